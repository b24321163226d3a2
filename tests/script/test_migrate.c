// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every flow exported after some packet and imported into a fresh context: what is told from then on
 * is what would have been told without (contract 7). Captures, each cut at random places or at each of
 * its frames, and made traffic with loss, repetition and reordering; connections that stop, change
 * their sets, have several children and contexts of their own.
 *
 * What is told is compared flow by flow, in order. SEED and RUNS choose other runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include "frames.h"
#include "repeat.h"

#define MAX_FRAMES 20000
#define START      UINT64_C(1700000000000000000)

/* ---- traffic ---- */

static struct mtcp_frame *frame;
static int nframes;
static const char *trace_dir;

static void add_frame(const void *p, uint32_t len, uint32_t wire_len, uint64_t ts, int linktype)
{
    void *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    assert_true(nframes < MAX_FRAMES);
    memcpy(copy, p, len);
    frame[nframes++] = (struct mtcp_frame){
        .data = copy, .len = len, .wire_len = wire_len, .ts_ns = ts, .linktype = linktype};
}

static void drop_frames(void)
{
    for (int i = 0; i < nframes; i++)
        free((void *)(uintptr_t)frame[i].data);
    nframes = 0;
}

static bool load_trace(const char *path)
{
    char err[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, err);
    struct pcap_pkthdr *h;
    const u_char *data;

    drop_frames();
    if (p == NULL)
        return false;
    while (nframes < MAX_FRAMES && pcap_next_ex(p, &h, &data) == 1)
        add_frame(data, h->caplen, h->len,
                  (uint64_t)h->ts.tv_sec * NSEC_PER_SEC + (uint64_t)h->ts.tv_usec,
                  pcap_datalink(p));
    pcap_close(p);
    return nframes > 0;
}

static uint64_t rng;

static uint32_t pick(uint32_t n)
{
    rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(rng >> 33) % n;
}

struct made {
    uint32_t snd[2], top[2]; /* next to send, highest sent */
    bool fin[2];
    bool up;
};

/* make_step: something that a connection could do next, or do again. */
static void make_step(struct made *c, int i, uint64_t ts)
{
    static struct frame_buf b;
    int from = (int)pick(2);
    uint32_t isn[2] = {1000u * (uint32_t)i + 0xfffff000u, 77}, len = 1 + pick(300);
    struct frame f = {.sport = (uint16_t)(1000 + i), .reply = from, .flags = "."};
    struct pktbuf *p;

    if (!c->up) {
        c->up = from == 1;
        f.flags = from ? "S." : "S";
        f.seq = isn[from];
        f.ack = from ? isn[0] + 1 : 0;
        c->snd[from] = c->top[from] = 0;
    } else {
        uint32_t at = pick(4) ? c->snd[from] : c->snd[from] / 2 + pick(600);

        f.seq = isn[from] + 1 + at;
        f.ack = isn[!from] + 1 + (pick(3) ? c->top[!from] : c->top[!from] / 2);
        f.plen = pick(5) ? len : 0;
        if (pick(60) == 0)
            f.flags = pick(2) ? "F." : "R";
        if (pick(6) == 0)
            c->snd[from] += 400; /* lost before the tap, or late */
        if (at + f.plen > c->top[from])
            c->top[from] = at + f.plen;
        if (at == c->snd[from])
            c->snd[from] += f.plen;
    }
    f.ts_ns = ts;
    p = frame_tcp(&b, f);
    add_frame(p->data, p->len, p->wire_len, ts, p->linktype);
}

static void make_traffic(int conns, int steps)
{
    struct made *c = calloc((size_t)conns, sizeof(*c));
    uint64_t ts = START;

    assert_non_null(c);
    drop_frames();
    for (int i = 0; i < steps; i++) {
        int n = (int)pick((uint32_t)conns);

        ts += pick(50) ? pick(3000000) : pick(2000) * NSEC_PER_MSEC;
        make_step(&c[n], n, ts);
    }
    free(c);
}

/* ---- the application: writes down what it is told ---- */

struct line {
    char *text;
    int no;
};

static struct log {
    struct line *v;
    int n, cap;
} told;
static long lines;

static void tell(const char *text)
{
    if (told.n == told.cap) {
        told.cap = told.cap ? told.cap * 2 : 4096;
        told.v = realloc(told.v, (size_t)told.cap * sizeof(*told.v));
        assert_non_null(told.v);
    }
    told.v[told.n] = (struct line){strdup(text), told.n};
    assert_non_null(told.v[told.n++].text);
}

static void forget(struct log *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->v[i].text);
    free(l->v);
    memset(l, 0, sizeof(*l));
}

static uint32_t sum_of(const char *p, ssize_t n)
{
    uint32_t h = 5381;

    for (ssize_t i = 0; i < n; i++)
        h = h * 33 + (uint8_t)p[i];
    return h;
}

/* A connection's context. All are freed at the end of a run. */
struct own {
    struct own *next;
    uint32_t calls;
};

static struct own *owns;

static struct own *own_new(uint32_t calls)
{
    struct own *o = malloc(sizeof(*o));

    assert_non_null(o);
    *o = (struct own){.next = owns, .calls = calls};
    owns = o;
    return o;
}

static event_t any_payload, third;

static int name_of(mctx_t m, int sock, char *out, size_t room, uint16_t *port)
{
    struct sockaddr_storage a[2];
    char host[2][INET6_ADDRSTRLEN];
    uint16_t ports[2];
    socklen_t len = sizeof(a);

    assert_int_equal(mtcp_getpeername(m, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH), 0);
    for (int i = 0; i < 2; i++) {
        const void *p = (const char *)a + (size_t)i * (len / 2);
        const struct sockaddr_in *v4 = p;
        const struct sockaddr_in6 *v6 = p;

        if (v4->sin_family == AF_INET)
            inet_ntop(AF_INET, &v4->sin_addr, host[i], sizeof(host[i]));
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, host[i], sizeof(host[i]));
        ports[i] = ntohs(v4->sin_port);
    }
    *port = ports[0];
    return snprintf(out, room, "%s:%u>%s:%u", host[0], ports[0], host[1], ports[1]);
}

static void on_any(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);

/* settle_in: what differs from connection to connection. */
static void settle_in(mctx_t m, int sock, uint16_t port)
{
    int n = 200;

    mtcp_set_uctx(m, sock, own_new(0));
    if (port % 3 == 0)
        mtcp_register_callback(m, sock, third, MOS_HK_RCV, on_any);
    if (port % 5 == 0)
        mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_SVRBUF, &n, sizeof(n));
    if (port % 7 == 0)
        mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL);
    if (port % 4 == 1) {
        n = MOS_OVERLAP_POLICY_LAST;
        mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIOVERLAP, &n, sizeof(n));
    }
}

/* details: what can be asked in this event, and what there is to read. */
static int details(mctx_t m, int sock, int side, event_t ev, char *out, size_t room)
{
    char buf[700];
    struct mos_flow_info f;
    struct mos_rexmit_info r;
    struct mos_gap_info g;
    socklen_t len = sizeof(f);
    int n = 0, s = side == MOS_SIDE_SVR ? MOS_SIDE_SVR : MOS_SIDE_CLI;

    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &f, &len) == 0)
        n += snprintf(out + n, room - (size_t)n, " st%u|%u p%llu,%llu g%llu,%llu r%llu,%llu e%u",
                      f.state[0], f.state[1], (unsigned long long)f.dir[0].packets,
                      (unsigned long long)f.dir[1].packets, (unsigned long long)f.dir[0].gap_bytes,
                      (unsigned long long)f.dir[1].gap_bytes,
                      (unsigned long long)f.dir[0].rexmit_bytes,
                      (unsigned long long)f.dir[1].rexmit_bytes, f.reason);
    len = sizeof(r);
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &r, &len) == 0)
        n += snprintf(out + n, room - (size_t)n, " rx%d %d %llu+%u", r.kind, r.content,
                      (unsigned long long)r.off, r.len);
    len = sizeof(g);
    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_GAP_INFO, &g, &len) == 0)
        n += snprintf(out + n, room - (size_t)n, " gap%d %llu+%llu", g.cause,
                      (unsigned long long)g.off, (unsigned long long)g.len);
    if (ev == MOS_ON_CONN_NEW_DATA || ev == MOS_ON_CONN_END) {
        ssize_t got = mtcp_peek(m, sock, s, buf, sizeof(buf));

        n += snprintf(out + n, room - (size_t)n, " peek%zd %08x", got, sum_of(buf, got));
    }
    return n;
}

static void on_any(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char line[512];
    struct own *o;
    uint16_t port;
    int n = name_of(m, sock, line, sizeof(line), &port), both = MOS_SIDE_BOTH;

    if (ev == MOS_ON_CONN_START && mtcp_get_uctx(m, sock) == NULL)
        settle_in(m, sock, port);
    o = mtcp_get_uctx(m, sock);
    n += snprintf(line + n, sizeof(line) - (size_t)n, " %d ev%llx #%u t%u", side,
                  (unsigned long long)ev, o ? ++o->calls : 0, mtcp_cb_get_ts(m));
    details(m, sock, side, ev, line + n, sizeof(line) - (size_t)n);
    tell(line);
    if (o && port % 11 == 3 && o->calls == 20)
        mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
}

static void on_orphan(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char line[64];

    snprintf(line, sizeof(line), "orphan t%u", mtcp_cb_get_ts(m));
    tell(line);
}

static bool has_payload(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;

    return mtcp_getlastpkt(m, sock, side, &p) == 0 && p.payloadlen > 0;
}

static size_t pack(void *uctx, void *out, size_t room)
{
    const struct own *o = uctx;

    memcpy(out, &o->calls, sizeof(o->calls));
    return sizeof(o->calls);
}

static void *unpack(const void *bytes, size_t n)
{
    uint32_t calls;

    assert_int_equal(n, sizeof(calls));
    memcpy(&calls, bytes, sizeof(calls));
    return own_new(calls);
}

static void listen_on(mctx_t ctx, int which)
{
    static const event_t rcv[] = {MOS_ON_PKT_IN, MOS_ON_CONN_START, MOS_ON_TCP_STATE_CHANGE,
                                  MOS_ON_REXMIT, MOS_ON_CONN_END};
    static const event_t null[] = {MOS_ON_CONN_NEW_DATA, MOS_ON_GAP, MOS_ON_ERROR, MOS_ON_TIMEOUT};
    int sock = mtcp_socket(ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0), yes = 1;
    struct mon *m = mon_of(ctx);

    assert_true(sock >= 0);
    mon_listener(m, sock)->uctx_pack = pack;
    mon_listener(m, sock)->uctx_unpack = unpack;
    mtcp_setsockopt(ctx, sock, SOL_MONSOCKET, MOS_MIDSTREAM, &yes, sizeof(yes));
    for (size_t i = 0; i < ARRAY_SIZE(rcv); i++) {
        assert_int_equal(mtcp_register_callback(ctx, sock, rcv[i], MOS_HK_RCV, on_any), 0);
        if (rcv[i] != MOS_ON_REXMIT && which == 0)
            assert_int_equal(mtcp_register_callback(ctx, sock, rcv[i], MOS_HK_SND, on_any), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(null); i++)
        assert_int_equal(mtcp_register_callback(ctx, sock, null[i], MOS_NULL, on_any), 0);
    assert_int_equal(mtcp_register_callback(ctx, sock, any_payload, MOS_HK_SND, on_any), 0);
    if (which == 0)
        assert_int_equal(mtcp_register_callback(ctx, sock, MOS_ON_ORPHAN, MOS_NULL, on_orphan), 0);
}

/* ---- a run ---- */

static mctx_t begin(int cpu)
{
    mctx_t ctx = mtcp_create_context(cpu);

    assert_non_null(ctx);
    listen_on(ctx, 0);
    listen_on(ctx, 1);
    return ctx;
}

/* move: every flow from one context to the other. */
static void move(mctx_t from, mctx_t to)
{
    struct mon *a = mon_of(from), *b = mon_of(to);
    struct mon_regs regs = {0};
    struct image im = {0};
    uint32_t flows = a->env.ft.count, tombs = ftable_tombs(&a->env.ft, NULL, 0);

    assert_int_equal(mtcp_tick(to, a->env.now), 0);
    b->env.now = a->env.now;
    assert_int_equal(mon_export_all(a, &regs, &im), 0);
    assert_int_equal(a->env.ft.count, 0);
    assert_int_equal(a->env.se.strms.used, 0);
    assert_int_equal(blkpool_used(&a->env.se.blks), 0);
    if (mon_import_all(b, &regs, &im) < 0)
        fail_msg("import: %s", mtcp_errstr());
    assert_int_equal(im.at, im.len);
    assert_int_equal(b->env.ft.count, flows);
    assert_int_equal(ftable_tombs(&b->env.ft, NULL, 0), tombs);
    assert_true(ftable_check(&b->env.ft));
    image_free(&im);
    mon_regs_free(&regs);
}

static void two_cores(void)
{
    struct mtcp_conf c;

    assert_int_equal(mtcp_getconf(&c), 0);
    c.num_cores = 2;
    assert_int_equal(mtcp_setconf(&c), 0);
}

/* run: all frames, in batches of `step`; at frame `at` everything moves (-1: never). */
static void run(int step, int at)
{
    mctx_t first, ctx;

    assert_int_equal(mtcp_init(NULL), 0);
    two_cores();
    any_payload = mtcp_define_event(MOS_ON_PKT_IN, has_payload, NULL);
    third = mtcp_define_event(MOS_ON_TCP_STATE_CHANGE, has_payload, NULL);
    first = ctx = begin(0);
    for (int i = 0; i < nframes; i += step) {
        int n = i + step < nframes ? step : nframes - i;

        if (at >= 0 && i >= at && ctx == first) {
            ctx = begin(1);
            move(first, ctx);
        }
        assert_int_equal(mtcp_push(ctx, frame + i, n), n);
    }
    assert_int_equal(mtcp_push(ctx, NULL, 0), 0);
    assert_int_equal(mtcp_destroy_context(first), 0);
    if (ctx != first)
        assert_int_equal(mtcp_destroy_context(ctx), 0);
    assert_int_equal(mtcp_destroy(), 0);
    while (owns) {
        struct own *o = owns;

        owns = o->next;
        free(o);
    }
}

/* by_flow: lines of one connection stay in the order in which they were told. */
static int by_flow(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    size_t n = strcspn(x->text, " "), k = strcspn(y->text, " ");
    int c = strncmp(x->text, y->text, n < k ? n : k);

    if (c)
        return c;
    return n != k ? (n > k) - (n < k) : (x->no > y->no) - (x->no < y->no);
}

static struct log told_of(int step, int at)
{
    struct log l;

    run(step, at);
    l = told;
    memset(&told, 0, sizeof(told));
    if (l.n)
        qsort(l.v, (size_t)l.n, sizeof(*l.v), by_flow);
    lines += l.n;
    return l;
}

static void compare(const char *what, const struct log *want, int step, int at)
{
    struct log got = told_of(step, at);

    for (int i = 0; i < want->n || i < got.n; i++) {
        const char *w = i < want->n ? want->v[i].text : "nothing";
        const char *g = i < got.n ? got.v[i].text : "nothing";

        if (strcmp(w, g) != 0)
            fail_msg(
                "%s, batches of %d, moved at frame %d: line %d of %d\n  expected %s\n  got      %s",
                what, step, at, i, want->n, w, g);
    }
    forget(&got);
}

/* try_places: the frames at hand, moved at `places` random frames. */
static void try_places(const char *what, int places)
{
    int step = pick(2) ? 1 : 1 + (int)pick(20);
    struct log want = told_of(step, -1);

    for (int i = 0; i < places; i++)
        compare(what, &want, step, (int)pick((uint32_t)nframes));
    forget(&want);
}

static void captures(void **state)
{
    int places = (int)env_number("RUNS", 3), files = 0;
    struct dirent **list;
    int n = scandir(trace_dir, &list, NULL, alphasort);

    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[1024];

        snprintf(path, sizeof(path), "%s/%s", trace_dir, list[i]->d_name);
        /* unfinished datagrams are no flow's: they do not move */
        if (strstr(path, ".pcap") && !strstr(path, "ipv4-frag") && load_trace(path)) {
            files++;
            try_places(list[i]->d_name, places);
        }
        free(list[i]);
    }
    free(list);
    assert_true(files > 30 && lines > 10000);
}

static void made_traffic(void **state)
{
    int rounds = (int)env_number("RUNS", 3);

    for (int i = 0; i < rounds; i++) {
        uint64_t seed = env_number("SEED", 20261120) + (uint64_t)i;
        char what[64];

        rng = seed;
        snprintf(what, sizeof(what), "SEED=%llu", (unsigned long long)seed);
        make_traffic(1 + (int)pick(40), 400 + (int)pick(2000));
        try_places(what, 4);
    }
}

/* An image that was cut off, or of another build, is refused; what was imported before it stays. */
static void images_that_are_none(void **state)
{
    struct mon_regs regs = {0};
    struct image im = {0};
    mctx_t a, b;

    rng = 7;
    make_traffic(5, 300);
    assert_int_equal(mtcp_init(NULL), 0);
    two_cores();
    any_payload = mtcp_define_event(MOS_ON_PKT_IN, has_payload, NULL);
    third = mtcp_define_event(MOS_ON_TCP_STATE_CHANGE, has_payload, NULL);
    a = begin(0);
    b = begin(1);
    assert_int_equal(mtcp_push(a, frame, nframes), nframes);
    assert_true(mon_of(a)->env.ft.count > 0);
    assert_int_equal(mon_export_all(mon_of(a), &regs, &im), 0);
    for (size_t full = im.len, cut = 0; cut < full; cut += 1 + cut / 40) {
        struct mon *m = mon_of(b);

        im.at = 0;
        im.bad = false;
        im.len = cut;
        errno = 0;
        assert_int_equal(mon_import_all(m, &regs, &im), -1);
        assert_int_equal(errno, EINVAL);
        for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i)) {
            mon_abandon(m, i);
            conn_free(&m->env, i);
        }
        for (uint32_t t; ftable_tombs(&m->env.ft, &t, 1) > 0;)
            ftable_unbury(&m->env.ft, t);
        assert_int_equal(m->env.se.strms.used + m->env.se.chunks.used, 0);
        assert_int_equal(blkpool_used(&m->env.se.blks), 0);
        im.len = full;
    }
    image_free(&im);
    mon_regs_free(&regs);
    assert_int_equal(mtcp_destroy_context(a), 0);
    assert_int_equal(mtcp_destroy_context(b), 0);
    assert_int_equal(mtcp_destroy(), 0);
    while (owns) {
        struct own *o = owns;

        owns = o->next;
        free(o);
    }
    forget(&told);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures),
        cmocka_unit_test(made_traffic),
        cmocka_unit_test(images_that_are_none),
    };
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: test_migrate DIRECTORY-OF-CAPTURES\n");
        return 2;
    }
    trace_dir = argv[1];
    frame = calloc(MAX_FRAMES, sizeof(*frame));
    rng = env_number("SEED", 20261120);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    drop_frames();
    free(frame);
    return rc;
}
