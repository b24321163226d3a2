// SPDX-License-Identifier: BSD-2-Clause
/* Frames that the program hands in: misuse, verdicts and their bytes, time, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pushfix.h"
#include "engine/engine.h"
#include "pools.h"

/* down: the input ends, and nothing is left of any connection. */
static int down(void **state)
{
    struct mon *m = engine.ctx[0].m;

    fix.act = NULL;
    mtcp_push(fix.ctx, NULL, 0);
    assert_pools_empty(&m->env);
    assert_int_equal(m->nsock - m->nfree, 1); /* the listener */
    return fix_down(state);
}

static struct mtcp_frame frame_of(struct frame f)
{
    struct pktbuf *pb = frame_tcp(&fix.buf[0], f);

    return (struct mtcp_frame){
        .data = pb->data, .len = pb->len, .ts_ns = fix.now, .linktype = pb->linktype};
}

/* ---- misuse ---- */

static void bad_arguments(void **state)
{
    struct mtcp_frame v[3];
    mctx_t none = NULL;
    struct mtcp_context far = {99}, other = {1};

    for (int i = 0; i < 3; i++)
        v[i] = frame_of((struct frame){.flags = "S"});
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    assert_fails(EACCES, mtcp_push(none, v, 1));
    assert_fails(EINVAL, mtcp_push(&far, v, 1));
    assert_fails(EPERM, mtcp_push(&other, v, 1));
    assert_fails(EINVAL, mtcp_push(fix.ctx, NULL, 1));
    assert_fails(EINVAL, mtcp_push(fix.ctx, v, -1));
    v[2].linktype = 105; /* DLT_IEEE802_11 */
    assert_fails(EINVAL, mtcp_push(fix.ctx, v, 3));
    v[2].linktype = 1;
    v[2].data = NULL;
    assert_fails(EINVAL, mtcp_push(fix.ctx, v, 3));
    assert_int_equal(fix.calls, 0); /* nothing was worked off */
    v[2].len = 0;                   /* no bytes at all: a frame that says nothing */
    assert_int_equal(mtcp_push(fix.ctx, v, 3), 3);
    assert_int_equal(fix.calls, 2);
    assert_int_equal(mtcp_push(fix.ctx, v, 0), 0);
    assert_fails(EACCES, mtcp_tick(none, 1));
}

static int inner_push, inner_tick, inner_errno[2];

static void push_again(int sock, int side, event_t ev)
{
    struct mtcp_frame v = {0};

    errno = 0;
    inner_push = mtcp_push(fix.ctx, &v, 1);
    inner_errno[0] = errno;
    inner_tick = mtcp_tick(fix.ctx, 1);
    inner_errno[1] = errno;
}

static void from_a_callback(void **state)
{
    fix_on(fix.lst, MOS_ON_CONN_START, MOS_HK_SND);
    fix.act = push_again;
    fix_push((struct frame){.flags = "S"});
    assert_int_equal(fix.calls, 1);
    assert_int_equal(inner_push, -1);
    assert_int_equal(inner_errno[0], EDEADLK);
    assert_int_equal(inner_tick, -1);
    assert_int_equal(inner_errno[1], EDEADLK);
}

static void after_the_end(void **state)
{
    struct mtcp_frame v = frame_of((struct frame){.flags = "S"});

    assert_int_equal(mtcp_push(fix.ctx, NULL, 0), 0);
    assert_fails(EPIPE, mtcp_push(fix.ctx, &v, 1));
    assert_fails(EPIPE, mtcp_push(fix.ctx, NULL, 0));
    assert_fails(EPIPE, mtcp_tick(fix.ctx, 1));
    mtcp_app_join(fix.ctx); /* returns at once */
}

static void with_a_device(void **state)
{
    char trace[300];
    const char *src = getenv("WEIR_SOURCE");
    struct mtcp_frame v = {0};
    mctx_t ctx;

    snprintf(trace, sizeof(trace), "netdev {\npcap:%s/tests/traces/s-gap-acked.pcap\n}",
             src ? src : ".");
    fix_init(trace);
    ctx = mtcp_create_context(0);
    assert_fails(EBUSY, mtcp_push(ctx, &v, 1));
    assert_fails(EBUSY, mtcp_push(ctx, NULL, 0));
    assert_fails(EBUSY, mtcp_tick(ctx, 1));
    assert_int_equal(mtcp_destroy_context(ctx), 0);
    assert_int_equal(mtcp_destroy(), 0);
}

static void *call_from_elsewhere(void *arg)
{
    errno = 0;
    *(int *)arg = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0) == -1 ? errno : 0;
    return NULL;
}

static void the_pushing_thread_is_the_contexts(void **state)
{
    pthread_t t;
    int code = -1;

    fix_push((struct frame){.flags = "S"});
    pthread_create(&t, NULL, call_from_elsewhere, &code);
    pthread_join(t, NULL);
    assert_int_equal(code, EPERM);
}

/* ---- verdicts ---- */

static const char *edit = "";

static void edit_it(int sock, int side, event_t ev)
{
    if (*edit == 'd')
        assert_int_equal(mtcp_setlastpkt(fix.ctx, sock, side, 0, NULL, 0, MOS_DROP), 0);
    if (*edit == 'c')
        assert_int_equal(mtcp_setlastpkt(fix.ctx, sock, side, 8, (byte *)(uintptr_t) "\x07", 1,
                                         MOS_IP_HDR | MOS_OVERWRITE),
                         0);
}

static void verdicts(void **state)
{
    struct mtcp_frame v[3];
    uint8_t before[100];
    const uint8_t *kept;

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = edit_it;
    v[0] = frame_of((struct frame){.flags = "S"});
    v[0].verdict = 77;
    memcpy(before, v[0].data, v[0].len);
    assert_int_equal(mtcp_push(fix.ctx, v, 1), 1);
    assert_int_equal(v[0].verdict, MTCP_FRAME_PASS);
    assert_ptr_equal(v[0].out, v[0].data);
    assert_int_equal(v[0].out_len, v[0].len);

    edit = "d";
    assert_int_equal(mtcp_push(fix.ctx, v, 1), 1);
    assert_int_equal(v[0].verdict, MTCP_FRAME_DROP);
    assert_null(v[0].out);
    assert_int_equal(v[0].out_len, 0);

    edit = "c";
    v[1] = v[2] = v[0];
    assert_int_equal(mtcp_push(fix.ctx, v, 3), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(v[i].verdict, MTCP_FRAME_CHANGED);
        assert_ptr_not_equal(v[i].out, v[i].data);
        assert_int_equal(v[i].out_len, v[i].len);
        assert_int_equal(((const uint8_t *)v[i].out)[14 + 8], 7);
    }
    assert_ptr_not_equal(v[0].out, v[1].out);
    assert_memory_equal(before, v[0].data, v[0].len); /* the program's bytes are only read */
    kept = v[2].out;
    memset(fix.buf, 0xee, sizeof(fix.buf[0]));
    assert_int_equal(kept[14 + 8], 7); /* valid until the next call, whatever becomes of data */
    edit = "";
}

/* More than a batch: the first group's changed frames outlive the second's. */
static void changed_over_several_batches(void **state)
{
    static struct mtcp_frame v[150];

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = edit_it;
    edit = "c";
    for (int i = 0; i < 150; i++)
        v[i] = frame_of((struct frame){.flags = "S"});
    assert_int_equal(mtcp_push(fix.ctx, v, 150), 150);
    edit = "";
    assert_int_equal(fix.calls, 150);
    for (int i = 0; i < 150; i++) {
        assert_int_equal(v[i].verdict, MTCP_FRAME_CHANGED);
        assert_int_equal(((const uint8_t *)v[i].out)[14 + 8], 7);
        assert_memory_equal((const uint8_t *)v[i].out + 14 + 9, (const uint8_t *)v[i].data + 14 + 9,
                            v[i].len - 23);
    }
}

/* ---- batches ---- */

static char got[100];

static void read_all(int sock, int side, event_t ev)
{
    char buf[64];
    ssize_t n;

    while ((n = mtcp_peek(fix.ctx, sock, side, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno != ENODATA)
            break;
        sprintf(got + strlen(got), n > 0 ? "[%.*s]" : "<%d>", n > 0 ? (int)n : -(int)n, buf);
    }
}

static void a_batch_ends_before_the_call_returns(void **state)
{
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix.act = read_all;
    got[0] = '\0';
    fix_shake();
    fix_batch((struct frame[]){fix_cli(0, "abc"), fix_cli(3, "def")}, 2);
    assert_int_equal(fix.calls, 1);
    assert_string_equal(got, "[abcdef]");
    fix_push(fix_cli(6, "ghi"));
    assert_string_equal(got, "[abcdef][ghi]");
}

static void sixty_four_make_a_batch(void **state)
{
    static struct frame_buf buf[100];
    static struct mtcp_frame v[100];

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    for (uint32_t i = 0; i < 100; i++) {
        struct pktbuf *pb = frame_tcp(&buf[i], fix_cli(i, "x"));

        v[i] = (struct mtcp_frame){.data = pb->data, .len = pb->len, .ts_ns = fix.now};
    }
    assert_int_equal(mtcp_push(fix.ctx, v, 100), 100);
    assert_int_equal(fix.calls, 2);
}

/* Link type 0 is Ethernet; a cut frame says how long it was. */
static void lengths_and_link_types(void **state)
{
    struct mtcp_frame v;
    struct frame f = fix_cli(0, "");

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix.act = read_all;
    got[0] = '\0';
    fix_shake();
    f.payload = NULL;
    f.plen = 100;
    v = frame_of(f);
    v.linktype = 0;
    v.wire_len = v.len;
    v.len -= 90;
    assert_int_equal(mtcp_push(fix.ctx, &v, 1), 1);
    assert_int_equal(strlen(got), strlen("[0123456789]<90>"));
    assert_string_equal(got + 12, "<90>");
    f = (struct frame){
        .link = FRAME_RAW, .seq = FIX_CLI + 101, .ack = FIX_SVR + 1, .payload = "raw"};
    v = frame_of(f);
    assert_int_equal(v.linktype, 12);
    assert_int_equal(mtcp_push(fix.ctx, &v, 1), 1);
    assert_string_equal(got + 12, "<90>[raw]");
}

/* ---- time ---- */

static char fired[20];

static void on_timer(mctx_t ctx, int id, int side, event_t ev, filter_arg_t *arg)
{
    sprintf(fired + strlen(fired), "%d@%u ", id,
            (unsigned)(mtcp_cb_get_ts(ctx) - (uint32_t)(FIX_START / 1000)) / 1000);
}

static void time_without_packets(void **state)
{
    struct timeval tv = {.tv_usec = 50000};

    fired[0] = '\0';
    assert_int_equal(mtcp_tick(fix.ctx, FIX_START), 0);
    assert_int_equal((mtcp_settimer)(fix.ctx, 7, &tv, on_timer), 0);
    assert_int_equal(mtcp_tick(fix.ctx, FIX_START + 49 * FIX_MS), 0);
    assert_string_equal(fired, "");
    assert_int_equal(mtcp_tick(fix.ctx, FIX_START + 50 * FIX_MS), 0);
    assert_string_equal(fired, "7@50 ");
    assert_int_equal(mtcp_tick(fix.ctx, FIX_START + 10 * FIX_MS),
                     0); /* passed: no error, no change */
    assert_int_equal((mtcp_settimer)(fix.ctx, 8, &tv, on_timer), 0);
    assert_int_equal(mtcp_tick(fix.ctx, FIX_START + 99 * FIX_MS), 0);
    assert_string_equal(fired, "7@50 ");
}

static void the_clock_never_goes_back(void **state)
{
    struct mtcp_frame v = frame_of((struct frame){.flags = "S"});

    assert_int_equal(mtcp_tick(fix.ctx, FIX_START + 1000), 0);
    v.ts_ns = FIX_START - 5;
    assert_int_equal(mtcp_push(fix.ctx, &v, 1), 1);
    assert_int_equal(engine.ctx[0].m->env.now, FIX_START + 1000);
}

static int idle_told;

static void on_idle(int sock, int side, event_t ev)
{
    idle_told += ev == MOS_ON_TIMEOUT;
}

static void idle_by_tick(void **state)
{
    idle_told = 0;
    fix_on(fix.lst, MOS_ON_TIMEOUT, MOS_NULL);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = on_idle;
    fix_shake();
    assert_int_equal(mtcp_tick(fix.ctx, fix.now + 29999 * FIX_MS), 0);
    assert_int_equal(fix.calls, 0);
    assert_int_equal(mtcp_tick(fix.ctx, fix.now + 30005 * FIX_MS), 0);
    assert_int_equal(idle_told, 1);
    assert_int_equal(fix.calls, 3);
    assert_int_equal(engine.ctx[0].m->env.ft.count, 0);
}

static char kinds[60];

static void on_kind(int sock, int side, event_t ev)
{
    struct pkt_info p;

    sprintf(kinds + strlen(kinds), "%s%d%s ", ev == MOS_ON_GAP ? "gap" : "data", side,
            mtcp_getlastpkt(fix.ctx, sock, side, &p) < 0 ? "" : "*");
}

/* A timer gives up: told at once at RCV, without a packet, and at the end of the batch. */
static void gap_by_tick(void **state)
{
    kinds[0] = '\0';
    fix_on(fix.lst, MOS_ON_GAP, MOS_HK_RCV);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_HK_RCV);
    fix_on(fix.lst, MOS_ON_GAP, MOS_NULL);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix.act = on_kind;
    fix_shake();
    fix_push(fix_cli(3, "def"));
    assert_int_equal(mtcp_tick(fix.ctx, fix.now + 1999 * FIX_MS), 0);
    assert_string_equal(kinds, "");
    assert_int_equal(mtcp_tick(fix.ctx, fix.now + 2004 * FIX_MS), 0);
    assert_string_equal(kinds, "gap1 data1 gap1 data1 ");
    /* and the end of a flow does so, too */
    kinds[0] = '\0';
    fix_push(fix_cli(9, "jkl"));
    fix_push((struct frame){.flags = "R", .seq = FIX_CLI + 13});
    assert_string_equal(kinds, "gap1 data1 gap1 data1 ");
}

/* ---- the end ---- */

static int ended[2], reason;

static void on_end(int sock, int side, event_t ev)
{
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    ended[side]++;
    assert_int_equal(mtcp_getsockopt(fix.ctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len), 0);
    reason = (int)info.reason;
}

static void the_end(void **state)
{
    ended[0] = ended[1] = 0;
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = on_end;
    fix_shake();
    fix_push((struct frame){.flags = "S", .sport = 9});
    assert_int_equal(mtcp_push(fix.ctx, NULL, 0), 0);
    assert_int_equal(ended[0], 2);
    assert_int_equal(ended[1], 2);
    assert_int_equal(reason, MOS_END_EOF);
}

/* ---- what callbacks send ---- */

static void reset_it(int sock, int side, event_t ev)
{
    assert_int_equal(mtcp_reset_conn(fix.ctx, sock), 0);
}

/* left: frames in the output capture, by their TCP flags. */
static void left(const char *file, const char *want)
{
    char err[PCAP_ERRBUF_SIZE], flags[32] = "";
    pcap_t *p = pcap_open_offline(file, err);
    struct pcap_pkthdr h;
    const u_char *d;

    if (p == NULL)
        fail_msg("%s", err);
    while ((d = pcap_next(p, &h)) != NULL)
        sprintf(flags + strlen(flags), "%s%s%s ", d[14 + 33] & 2 ? "S" : "",
                d[14 + 33] & 4 ? "R" : "", d[14 + 33] & 16 ? "." : "");
    pcap_close(p);
    assert_string_equal(flags, want);
}

static void what_is_made_leaves_by_the_output(void **state)
{
    char out[] = "/tmp/weir-out-XXXXXX", text[300];
    int fd = mkstemp(out);

    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof(text), "nic_forward_table {\nmem pcap:%s\n}", out);
    memset(&fix, 0, sizeof(fix));
    fix.now = FIX_START;
    fix_init(text);
    fix.ctx = mtcp_create_context(0);
    fix.lst = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    fix_on(fix.lst, MOS_ON_TIMEOUT, MOS_NULL);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix.act = reset_it;
    fix_shake();
    fix_push(fix_cli(0, "abc")); /* two RSTs at the end of its batch */
    fix_push((struct frame){.flags = "S", .sport = 9});
    assert_int_equal(
        mtcp_tick(fix.ctx, fix.now + 40000 * FIX_MS),
        0); /* and two by a tick; nothing is known of what the server expects to hear acknowledged */
    assert_int_equal(fix.calls, 2);
    assert_int_equal(mtcp_push(fix.ctx, NULL, 0), 0);
    left(out, "S S. . . R. R. S R. R ");
    assert_int_equal(mtcp_destroy_context(fix.ctx), 0);
    assert_int_equal(mtcp_destroy(), 0);
    unlink(out);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fix_up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(bad_arguments),
        T(from_a_callback),
        T(after_the_end),
        cmocka_unit_test(with_a_device),
        T(the_pushing_thread_is_the_contexts),
        T(verdicts),
        T(changed_over_several_batches),
        T(a_batch_ends_before_the_call_returns),
        T(sixty_four_make_a_batch),
        T(lengths_and_link_types),
        T(time_without_packets),
        T(the_clock_never_goes_back),
        T(idle_by_tick),
        T(gap_by_tick),
        T(the_end),
        cmocka_unit_test(what_is_made_leaves_by_the_output),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
