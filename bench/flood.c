// SPDX-License-Identifier: BSD-2-Clause
/*
 * flood.c: what a packet of a SYN flood costs, beside the floor's look-up.
 *
 *      flood [--rounds N] [--sources N] [--flows N] [--per N] [--step NS] [--bare] [--seed N]
 *
 * So many SYNs from random sources, and one packet of established connections for each `per` of
 * them. Three loops in each round, each with the flood and with the connections' packets alone: the
 * floor where the flood is looked up among the connections and not found, the floor as elsewhere (a
 * SYN enters), the library. A flood packet's cost is the difference, divided by their number; ratios
 * are those of medians. Handshakes and the making of frames are not timed. Everything is checked: each
 * byte of the connections must be read as it was sent, none of them may be evicted, and the
 * context's memory must stay within its budget.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mos_api.h>

#include "benchopt.h"
#include "engine/engine.h"
#include "floodgen.h"
#include "floor.h"
#include "measure.h"

#define BUDGET (32u << 20)

static struct {
    int rounds;
    uint64_t sources, seed;
    uint32_t flows, per, step;
    bool bare;
} opt = {.rounds = 3, .sources = 10000000, .seed = 1, .flows = 10000, .per = 3, .step = 750};

/* One run of the library. */
static struct run {
    struct io_dev dev;
    struct floodgen *gen;
    const struct preload *p;
    uint64_t at, start_ns, ns;
    bool timed; /* the piece at hand is not the handshakes */
    struct pktbuf pb[IO_BURST];
    uint64_t bytes, wrong, lost, evicted; /* what the application saw */
    uint64_t memory;                      /* most */
} run;

static uint64_t stats[5];
static const char *const stat_names[5] = {"syn-gated", "flows", "evicted-half-open", "evicted",
                                          "stream_failed"};

/* ---- the device ---- */

/* next_piece: the clock stands while frames are made. => false: the end. */
static bool next_piece(void)
{
    const struct mon *m = engine.ctx[0].m;

    if (run.timed)
        run.ns += thread_ns() - run.start_ns;
    run.timed = run.p != NULL;
    run.p = floodgen_next(run.gen);
    run.at = 0;
    if (m->env.acct.used > run.memory)
        run.memory = m->env.acct.used;
    if (run.p == NULL)
        return false;
    run.start_ns = thread_ns();
    return true;
}

static int rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    const struct pre_pkt *k;
    uint64_t t0;

    if ((run.p == NULL || run.at == run.p->n) && !next_piece()) {
        run.timed = false;
        errno = ENODATA;
        return -1;
    }
    if (run.p->n - run.at < (uint64_t)n)
        n = (int)(run.p->n - run.at);
    k = &run.p->pkt[run.at];
    t0 = run.p->t0_ns;
    for (int i = 0; i < n; i++, k++) {
        struct pktbuf *b = &run.pb[i];

        prefetch_r(k + IO_BURST);                    /* the list, not the frames */
        memcpy(&b->data, &k->data, sizeof(b->data)); /* nobody writes to it */
        b->len = b->wire_len = b->cap = k->len;
        b->ts_ns = t0 + k->us * NSEC_PER_USEC;
        b->realm = 0;
        b->flags = 0;
        pb[i] = b;
    }
    run.at += (uint64_t)n;
    return n;
}

static void rx_done(struct io_dev *dev)
{
}

/* ---- the application: reads all, compares all ---- */

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    uint32_t flow = (uint32_t)(uintptr_t)mtcp_get_uctx(mctx, sock);
    struct sockaddr_in peer[2];
    socklen_t len = sizeof(peer);
    struct iovec iov[8];
    uint64_t off;
    int cnt = 8;
    ssize_t n;

    if (flow == 0) {
        mtcp_getpeername(mctx, sock, (struct sockaddr *)peer, &len, MOS_SIDE_CLI);
        flow = floodgen_flow(ntohl(peer[0].sin_addr.s_addr), ntohs(peer[0].sin_port)) + 1;
        mtcp_set_uctx(mctx, sock, (void *)(uintptr_t)flow);
    }
    len = sizeof(off);
    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET,
                        side == MOS_SIDE_CLI ? MOS_READ_OFF_CLI : MOS_READ_OFF_SVR, &off, &len) < 0)
        run.wrong++;
    while ((n = mtcp_peekv(mctx, sock, side, iov, &cnt)) != 0) {
        if (n < 0) {
            run.lost++;
            return;
        }
        for (int i = 0; i < cnt; i++) {
            const uint8_t *p = iov[i].iov_base;

            for (size_t k = 0; k < iov[i].iov_len; k++)
                run.wrong += p[k] != floodgen_byte(flow - 1, off++);
        }
        run.bytes += (uint64_t)n;
        cnt = 8;
    }
}

static void on_evict(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    run.evicted++;
}

static void read_stats(mctx_t mctx, int sock)
{
    struct mos_stat v[256];
    socklen_t len = sizeof(v);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_STATS, v, &len) < 0)
        return;
    for (size_t i = 0; i < len / sizeof(v[0]); i++)
        for (int k = 0; k < 5; k++)
            if (strcmp(v[i].name, stat_names[k]) == 0)
                stats[k] = v[i].value;
}

static int configure(char *path)
{
    int fd = mkstemp(path);
    FILE *fp = fd < 0 ? NULL : fdopen(fd, "w");
    int rc;

    if (fp == NULL)
        return -1;
    fprintf(fp, "mos {\n max_concurrency = 100000\n memory = %u\n rmem_size = 64K\n}\n", BUDGET);
    fclose(fp);
    rc = mtcp_init(path);
    unlink(path);
    return rc;
}

/* library: one run. => ns; 0 on failure. */
static uint64_t library(const struct flood_cfg *c)
{
    static const struct io_ops ops = {.kind = "bench", .rx = rx, .rx_done = rx_done};
    static char name[] = "bench:";
    char path[] = "/tmp/flood.XXXXXX";
    mctx_t mctx = NULL;
    int sock = -1;

    memset(&run, 0, sizeof(run));
    run.gen = floodgen_new(c);
    run.dev = (struct io_dev){
        .ops = &ops, .priv = &run, .name = name, .caps = IO_REPLAY, .linktype = DLT_EN10MB};
    for (int i = 0; i < IO_BURST; i++)
        run.pb[i] = (struct pktbuf){.refs = 1, .linktype = DLT_EN10MB};
    if (run.gen && configure(path) == 0) {
        engine.in = &run.dev;
        mctx = mtcp_create_context(0);
    }
    if (mctx)
        sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock >= 0 &&
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) == 0 &&
        mtcp_register_callback(mctx, sock, MOS_ON_EVICT, MOS_NULL, on_evict) == 0)
        mtcp_app_join(mctx);
    else
        fprintf(stderr, "flood: %s\n", mtcp_errstr());
    if (mctx) {
        read_stats(mctx, sock);
        mtcp_destroy_context(mctx);
    }
    engine.in = NULL;
    mtcp_destroy();
    return run.ns;
}

/* ---- the floor ---- */

/* floor_loop: entering: each SYN is entered, as elsewhere; else the flood is looked up only. */
static uint64_t floor_loop(const struct flood_cfg *c, bool entering)
{
    struct floodgen *g = floodgen_new(c);
    struct floor_table *t = floor_new(c->flows + (entering ? (uint32_t)(c->sources / 2) : 0));
    struct floor_result r = {0};
    const struct preload *p;
    uint64_t ns = 0;

    for (int i = 0; g && t && (p = floodgen_next(g)) != NULL; i++) {
        r.ns = 0;
        floor_pass(t, p, i && !entering ? FLOOR_KNOWN : 0, &r);
        ns += i ? r.ns : 0;
    }
    floor_free(t);
    floodgen_free(g);
    return ns;
}

static uint64_t floor_look_up(const struct flood_cfg *c)
{
    return floor_loop(c, false);
}

static uint64_t floor_enter(const struct flood_cfg *c)
{
    return floor_loop(c, true);
}

/* ---- rounds ---- */

static bool is(const char *what, uint64_t got, uint64_t expected)
{
    if (got != expected)
        fprintf(stderr, "flood: %s: %" PRIu64 ", expected %" PRIu64 "\n", what, got, expected);
    return got == expected;
}

static bool right(const struct flood_cfg *c)
{
    bool ok = is("bytes", run.bytes, floodgen_bytes(run.gen));

    ok = is("wrong bytes", run.wrong + run.lost, 0) && ok;
    ok = is("SYNs", stats[0] + stats[1], c->sources + c->flows) && ok;
    ok = is("evicted that were not half open", stats[3] - stats[2], 0) && ok;
    ok = is("evictions told", run.evicted, stats[3]) && ok;
    ok = is("bytes without memory", stats[4], 0) && ok;
    if (run.memory > BUDGET)
        ok = is("memory", run.memory, BUDGET);
    return ok;
}

static const struct bench_opt options[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS, NULL},
    {"sources", BENCH_NUMBER, &opt.sources, 1, 1e12, NULL},
    {"flows", BENCH_UINT, &opt.flows, 1, 50000, NULL},
    {"per", BENCH_UINT, &opt.per, 1, 1e6, NULL},
    {"step", BENCH_UINT, &opt.step, 0, 1e9, NULL},
    {"bare", BENCH_FLAG, &opt.bare, 0, 0, NULL},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

enum { LOOK_UP, ENTER, LIB, KINDS };

static double cost[KINDS][MEASURE_ROUNDS];

/* one_round: each loop without the flood and with it. => were all results right? */
static bool one_round(int i, const struct flood_cfg *with, const struct flood_cfg *without)
{
    static uint64_t (*const loop[])(const struct flood_cfg *) = {floor_look_up, floor_enter,
                                                                 library};
    bool ok = true;

    for (int k = 0; k < KINDS; k++) {
        uint64_t alone = loop[k](without), all;

        if (k == LIB) {
            ok = right(without);
            floodgen_free(run.gen);
        }
        all = loop[k](with);
        cost[k][i] = ((double)all - (double)alone) / 1e9 * measure_hz() / (double)with->sources;
    }
    return right(with) && ok;
}

static double of(int k)
{
    return median(cost[k], opt.rounds);
}

static void report(void)
{
    static const char *const name[] = {"floor, looked up", "floor, entered", "library"};

    printf("SYN flood: %" PRIu64 " random sources, %u connections with data between. %s; "
           "%s.\n",
           opt.sources, opt.flows, measure_machine(), measure_shown(opt.rounds));
    printf("  %-18s %20s %17s  %s\n", "", "cycles/flood packet", "lowest - highest",
           "library's ratio to it");
    for (int k = 0; k < KINDS; k++)
        printf("  %-18s %20.1f %8.1f -%7.1f  %.2f\n", name[k], of(k), lowest(cost[k], opt.rounds),
               highest(cost[k], opt.rounds), of(LIB) / of(k));
    printf("  %" PRIu64 " of %" PRIu64 " bytes read, %.1f of %.1f MB used, %" PRIu64
           " SYNs noted, %" PRIu64 " flows evicted, all half open\n\n",
           run.bytes, floodgen_bytes(run.gen), (double)run.memory / 1e6, (double)BUDGET / 1e6,
           stats[0], stats[3]);
    printf("{\"bench\":\"flood\",\"sources\":%" PRIu64 ",\"flows\":%u,\"options\":%s,\"rounds\":%d,"
           "\"floor_cycles\":%.1f,\"floor_entering_cycles\":%.1f,\"cycles\":%.1f,\"ratio\":%.3f,"
           "\"ratio_entering\":%.3f,\"bytes\":%" PRIu64 ",\"bytes_expected\":%" PRIu64
           ",\"memory\":%" PRIu64 ",\"budget\":%u,\"gated\":%" PRIu64 ",\"evicted\":%" PRIu64 "}\n",
           opt.sources, opt.flows, opt.bare ? "false" : "true", opt.rounds, of(LOOK_UP), of(ENTER),
           of(LIB), of(LIB) / of(LOOK_UP), of(LIB) / of(ENTER), run.bytes, floodgen_bytes(run.gen),
           run.memory, BUDGET, stats[0], stats[3]);
}

int main(int argc, char **argv)
{
    struct flood_cfg with, without;
    bool ok = true;

    bench_options(argc, argv, "flood", options);
    with = (struct flood_cfg){.seed = opt.seed,
                              .sources = opt.sources,
                              .packets = opt.sources / opt.per,
                              .flows = opt.flows,
                              .payload = 64,
                              .step_ns = opt.step,
                              .options = !opt.bare};
    without = with;
    without.sources = 0;
    without.step_ns = opt.step * (opt.per + 1);
    for (int i = 0; i < opt.rounds; i++) {
        ok = one_round(i, &with, &without) && ok;
        if (i + 1 < opt.rounds)
            floodgen_free(run.gen);
    }
    report();
    floodgen_free(run.gen);
    return ok ? 0 : 1;
}
