// SPDX-License-Identifier: BSD-2-Clause
/* Fragments on their way through a context: counters, verdicts, what the application is shown. */
#include "pushfix.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "pools.h"
#include "wire/decode.h"

static struct frame_buf buf;
static uint8_t kind[64];
static int nkind;

static uint64_t counted(enum reason why)
{
    return engine.ctx[0].m->env.reasons[why];
}

/* up: a context with these lines in its mos block. */
static void up(const char *conf)
{
    memset(&fix, 0, sizeof(fix));
    fix.now = FIX_START;
    fix_init(conf);
    fix.ctx = mtcp_create_context(0);
    assert_non_null(fix.ctx);
    fix.lst = mtcp_socket(fix.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
}

static void down(void)
{
    struct ctx *c = &engine.ctx[0];

    fix.act = NULL;
    mtcp_push(fix.ctx, NULL, 0);
    assert_int_equal(c->w.frags.entry.used, 0);
    assert_int_equal(c->w.frags.block.used, 0);
    assert_pools_empty(&c->m->env);
    fix_down(NULL);
}

/* send_part: bytes [off, off + len) of a segment as a fragment. => the verdict. */
static int send_part(struct frame f, uint32_t off, uint32_t len)
{
    uint8_t bytes[FRAME_ROOM];
    struct frame_buf part;
    struct pktbuf *p = frame_tcp(&buf, f);
    struct mtcp_frame v;
    struct seg s;

    decode(&s, p);
    memcpy(bytes, p->data + s.l4_off, p->len - s.l4_off);
    f.proto = 6;
    f.frag_off = (uint16_t)off;
    f.frag_more = s.l4_off + off + len < p->len;
    f.payload = bytes + off;
    f.plen = len;
    p = frame_ip(&part, f);
    fix.now += FIX_MS;
    v = (struct mtcp_frame){.data = p->data, .len = p->len, .ts_ns = fix.now};
    assert_int_equal(mtcp_push(fix.ctx, &v, 1), 1);
    return v.verdict;
}

static void note_kind(int sock, int side, event_t ev)
{
    struct pkt_info p;

    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &p), 0);
    kind[nkind++ & 63] = p.frag;
}

/* 0 whole, 1 first fragment, 2 later one, 3 put together. */
static void what_is_shown(void **state)
{
    struct frame f = {.flags = "S", .seq = FIX_CLI, .id = 5};
    int raw;

    up("");
    raw = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    nkind = 0;
    fix.act = note_kind;
    fix_on(raw, MOS_ON_PKT_IN, MOS_NULL);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_RCV);
    send_part(f, 8, 12);
    send_part(f, 0, 8);
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1});
    assert_int_equal(nkind, 7);
    assert_memory_equal(kind, ((uint8_t[]){2, 1, 3, 3, 0, 0, 0}), 7);
    down();
}

/* Tolerant: what is refused passes and is counted; in strict tracking it does not pass. */
static void refused_and_counted(void **state)
{
    for (int strict = 0; strict < 2; strict++) {
        struct frame f = {.seq = 100, .plen = 100, .id = 5};
        int drop = strict ? MTCP_FRAME_DROP : MTCP_FRAME_PASS;

        up(strict ? "strict = on" : "frag_min = 16");
        assert_int_equal(send_part(f, 0, 8), drop);
        assert_int_equal(send_part(f, 8, 16), drop);
        assert_int_equal(send_part(f, 24, 15), drop);
        assert_int_equal(send_part(f, 24, 16), MTCP_FRAME_PASS);
        f.bad_ipcsum = true;
        assert_int_equal(send_part(f, 40, 16), MTCP_FRAME_PASS); /* its receiver drops it */
        f.bad_ipcsum = false;
        f.v6 = true;
        assert_int_equal(send_part(f, 24, 16), MTCP_FRAME_PASS);
        assert_int_equal(send_part(f, 32, 16), drop);
        assert_int_equal(counted(REASON_FRAG_TINY), 1);
        assert_int_equal(counted(REASON_FRAG_HEADER), 1);
        assert_int_equal(counted(REASON_FRAG_LEN), 1);
        assert_int_equal(counted(REASON_IP_CSUM), 1);
        assert_int_equal(counted(REASON_FRAG_OVERLAP), 2); /* both that overlap */
        assert_int_equal(counted(REASON_IP_FRAGMENT), 0);
        mtcp_push(fix.ctx, NULL, 0);
        assert_int_equal(counted(REASON_FRAG_TIMEOUT), 1); /* never completed */
        down();
    }
}

static void lost_and_counted(void **state)
{
    struct frame f = {.seq = 100, .plen = 100};

    up("frag_timeout = 1\nfrag_datagrams = 4\nfrag_pieces = 2");
    for (f.id = 1; f.id <= 6; f.id++)
        send_part(f, 24, 16);
    assert_int_equal(counted(REASON_FRAG_LIMIT), 2);
    f.id = 6;
    send_part(f, 40, 16);
    send_part(f, 56, 16); /* the third piece */
    assert_int_equal(counted(REASON_FRAG_LIMIT), 5);
    fix.now += 1000 * FIX_MS;
    send_part(f, 56, 16);
    assert_int_equal(counted(REASON_FRAG_TIMEOUT), 3);
    down();
}

/* A datagram whose receiver throws it away, and one that is no segment. */
static void nobody_takes_it(void **state)
{
    const int linux_host = MOS_OVERLAP_POLICY_LINUX;
    struct frame f = {.seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .plen = 100, .id = 5};

    up("");
    assert_int_equal(mtcp_setsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_SVROVERLAP, &linux_host,
                                     sizeof(linux_host)),
                     0);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_int_equal(fix.calls, 3);
    send_part(f, 0, 80);
    send_part(f, 72, 48);
    assert_int_equal(counted(REASON_FRAG_OVERLAP), 2);
    assert_int_equal(fix.calls, 3);
    f.doff = 3;
    send_part(f, 0, 80);
    send_part(f, 80, 40);
    assert_int_equal(counted(REASON_TCP_HDR_LEN), 1);
    assert_int_equal(fix.calls, 3);
    down();
}

/*
 * A repetition that reaches over two pieces of a run: Linux ignores it, the others take it. One datagram
 * for each completes with the same fragment, the connection takes one, and nothing was lost.
 */
static void one_of_two_is_taken(void **state)
{
    struct frame f = {.seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .plen = 100, .id = 5};

    up("");
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    send_part(f, 0, 40);
    send_part(f, 40, 40);
    send_part(f, 24, 32);
    assert_int_equal(fix.calls, 3);
    send_part(f, 80, 40);
    assert_int_equal(fix.calls, 4);
    assert_int_equal(counted(REASON_FRAG_OVERLAP), 0);
    down();
}

/* Nothing waits: fragments are handed on. */
static void switched_off(void **state)
{
    struct frame f = {.flags = "S", .seq = 100, .id = 5};

    up("frag_timeout = 0");
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    send_part(f, 0, 8);
    send_part(f, 8, 12);
    assert_int_equal(fix.calls, 0);
    assert_int_equal(counted(REASON_FRAG_TIMEOUT), 2);
    down();
}

/* Time is up without another fragment: the end of a batch is enough. */
static void old_without_another(void **state)
{
    struct frame f = {.flags = "S", .seq = FIX_CLI, .id = 5};

    up("frag_timeout = 2");
    send_part(f, 0, 8);
    mtcp_tick(fix.ctx, fix.now + 1999 * FIX_MS);
    assert_int_equal(counted(REASON_FRAG_TIMEOUT), 0);
    mtcp_tick(fix.ctx, fix.now + 2000 * FIX_MS);
    assert_int_equal(counted(REASON_FRAG_TIMEOUT), 1);
    assert_int_equal(engine.ctx[0].w.frags.entry.used, 0);
    down();
}

/* Unless the file says otherwise IPv4 waits 30 s and IPv6 60 s, as Linux does. */
static void times(void **state)
{
    for (int said = 0; said < 2; said++) {
        struct frame f = {.seq = FIX_CLI, .plen = 60, .id = 5};

        up(said ? "frag_timeout = 45" : "");
        send_part(f, 0, 40);
        f.v6 = true;
        send_part(f, 0, 40);
        mtcp_tick(fix.ctx, fix.now + 30000 * FIX_MS);
        assert_int_equal(counted(REASON_FRAG_TIMEOUT), said ? 0 : 1);
        mtcp_tick(fix.ctx, fix.now + 45000 * FIX_MS);
        assert_int_equal(counted(REASON_FRAG_TIMEOUT), said ? 2 : 1);
        mtcp_tick(fix.ctx, fix.now + 60000 * FIX_MS);
        assert_int_equal(counted(REASON_FRAG_TIMEOUT), 2);
        down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_shown),       cmocka_unit_test(refused_and_counted),
        cmocka_unit_test(lost_and_counted),    cmocka_unit_test(nobody_takes_it),
        cmocka_unit_test(one_of_two_is_taken), cmocka_unit_test(switched_off),
        cmocka_unit_test(old_without_another), cmocka_unit_test(times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
