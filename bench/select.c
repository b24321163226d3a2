// SPDX-License-Identifier: BSD-2-Clause
/*
 * select.c: what a program pays for, connection by connection: how much of it is followed.
 *
 *      select [--rounds N] [--scale F] [--seed N] [--check]
 *
 * 192,000 connections at a time (W1), a request of 1,460 bytes and an answer of 8 KB each. The program
 * reads what it has asked for as it comes and keeps the last 16 KB of a side at hand (MOS_CLIBUF and
 * MOS_SVRBUF are 16384), so that a step down shows in memory, too:
 *
 *      both   both sides
 *      half   every second connection switches its client's buffer off when it begins
 *      one    the listener has no buffer for the client's side: requests only
 *      none   no buffers: states and counters
 *      stop   both sides, until 2 KB of an answer have been read: then MOS_STOP_MON
 *
 * In each round every row runs once, in a process of its own; shown are medians. All counts are checked,
 * and that each step takes less memory; with --check each byte is compared with what was said. Exit
 * status 1: something is wrong.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mos_api.h>

#include "benchopt.h"
#include "engine/engine.h"
#include "evwork.h"
#include "genframe.h"
#include "inchild.h"
#include "measure.h"
#include "memdev.h"
#include "workload.h"

enum { REQUEST = 1460, ENOUGH = 2048, WINDOW = 16384, IOVS = 16 };

enum mode { BOTH, HALF, ONE, NONE, STOP, MODES };

static const char *const names[MODES] = {"both", "half", "one", "none", "stop"};

struct cell {
    uint32_t flow;
    uint32_t off[2]; /* read so far, by receiver */
};

struct result {
    bool ok;
    char why[200];
    uint64_t ns, rss, read[2], flows, stopped, ends, wrong;
};

static struct {
    int rounds;
    double scale;
    uint64_t seed;
    bool check;
} opt = {.rounds = 3, .scale = 1, .seed = 1};

/* ---- the program ---- */

static struct {
    enum mode mode;
    struct result *r;
    struct cell *cells;
    struct gencontent *content;
} app;

static void must(int result)
{
    if (result < 0) {
        fprintf(stderr, "select: %s\n", mtcp_errstr());
        abort();
    }
}

static void set_option(mctx_t mctx, int sock, int name, int v)
{
    must(mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, name, &v, sizeof(v)));
}

static uint32_t flow_of(mctx_t mctx, int sock)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    must(mtcp_getpeername(mctx, sock, (struct sockaddr *)&a, &len, MOS_SIDE_CLI));
    return genframe_flow(ntohl(a.sin_addr.s_addr));
}

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct cell *c = &app.cells[app.r->flows];

    *c = (struct cell){.flow = opt.check ? flow_of(mctx, sock) : 0};
    mtcp_set_uctx(mctx, sock, c);
    if (app.mode == HALF && app.r->flows % 2)
        set_option(mctx, sock, MOS_CLIBUF, 0);
    app.r->flows++;
}

/* take: a piece of what side `side` receives. */
static void take(struct cell *c, int side, const uint8_t *p, size_t len)
{
    uint8_t want[65536];

    if (opt.check) {
        gencontent_bytes(app.content, c->flow, side == MOS_SIDE_CLI, c->off[side], want,
                         (uint32_t)len);
        app.r->wrong += memcmp(p, want, len) != 0;
    }
    c->off[side] += (uint32_t)len;
    app.r->read[side] += len;
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct cell *c = mtcp_get_uctx(mctx, sock);
    struct iovec v[IOVS];
    int cnt = IOVS;
    ssize_t n;

    for (; (n = mtcp_peekv(mctx, sock, side, v, &cnt)) > 0; cnt = IOVS)
        for (int i = 0; i < cnt; i++)
            take(c, side, v[i].iov_base, v[i].iov_len);
    must((int)n);
    if (app.mode == STOP && c->off[MOS_SIDE_CLI] >= ENOUGH) {
        set_option(mctx, sock, MOS_STOP_MON, MOS_SIDE_BOTH);
        app.r->stopped++;
    }
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    app.r->ends++;
}

static void set_up(const struct evwork *w, struct memdev_result *dev, mctx_t *mctx)
{
    struct mtcp_conf c;
    int sock;

    must(mtcp_init(NULL));
    must(mtcp_getconf(&c));
    c.max_concurrency = (int)w->p->cfg.concurrent * 2 + 1024;
    engine.conf.mon.max_half = w->p->cfg.concurrent + 512; /* all handshakes at once, no flood */
    must(mtcp_setconf(&c));
    memdev_install(w->p, dev);
    must((*mctx = mtcp_create_context(0)) ? 0 : -1);
    must(sock = mtcp_socket(*mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0));
    set_option(*mctx, sock, MOS_CSUM, MOS_CSUM_OFF);
    set_option(*mctx, sock, MOS_CLIBUF, app.mode == ONE || app.mode == NONE ? 0 : WINDOW);
    set_option(*mctx, sock, MOS_SVRBUF, app.mode == NONE ? 0 : WINDOW);
    must(mtcp_register_callback(*mctx, sock, MOS_ON_CONN_START, MOS_HK_RCV, on_start));
    must(mtcp_register_callback(*mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data));
    must(mtcp_register_callback(*mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end));
}

/* ---- what must come out ---- */

static void check(struct result *r, const char *what, uint64_t is, uint64_t low, uint64_t high)
{
    if ((is >= low && is <= high) || !r->ok)
        return;
    r->ok = false;
    snprintf(r->why, sizeof(r->why), "%s: %" PRIu64 ", expected %" PRIu64 " to %" PRIu64, what, is,
             low, high);
}

static void check_all(const struct evwork *w, struct result *r)
{
    const uint64_t flows = w->p->cfg.flows, answers = flows * w->p->cfg.bytes;
    const uint64_t requests = flows * REQUEST, stopped = app.mode == STOP ? flows : 0;
    uint64_t low = answers, high = answers;

    if (app.mode == HALF)
        low = high = (flows + 1) / 2 * w->p->cfg.bytes;
    else if (app.mode == ONE || app.mode == NONE)
        low = high = 0;
    else if (app.mode == STOP)
        low = flows * ENOUGH;
    check(r, "connections", r->flows, flows, flows);
    check(r, "bytes of answers", r->read[MOS_SIDE_CLI], low, high);
    low = app.mode == NONE ? 0 : requests;
    check(r, "bytes of requests", r->read[MOS_SIDE_SVR], low, low);
    check(r, "stopped", r->stopped, stopped, stopped);
    check(r, "ends", r->ends, 2 * (flows - stopped), 2 * (flows - stopped));
    check(r, "wrong pieces", r->wrong, 0, 0);
}

struct job {
    const struct evwork *w;
    enum mode mode;
};

static bool work(const void *arg, void *out, char *why)
{
    const struct job *j = arg;
    struct memdev_result dev;
    mctx_t mctx;

    memset(out, 0, sizeof(struct result));
    app.mode = j->mode;
    app.r = out;
    app.r->ok = true;
    app.cells = calloc(j->w->p->cfg.flows, sizeof(struct cell));
    app.content = gencontent_new(&j->w->p->cfg);
    if (app.cells == NULL || app.content == NULL)
        abort();
    set_up(j->w, &dev, &mctx);
    mtcp_app_join(mctx);
    app.r->ns = dev.ns;
    app.r->rss = dev.rss;
    mtcp_destroy_context(mctx);
    memdev_remove();
    mtcp_destroy();
    check_all(j->w, app.r);
    snprintf(why, WHY_TEXT, "%s", app.r->why);
    return app.r->ok;
}

/* ---- the report ---- */

struct score {
    bool failed;
    int n;
    double cycles[MEASURE_ROUNDS], rss[MEASURE_ROUNDS];
    struct result last;
};

static void run(const struct evwork *w, enum mode mode, struct score *s)
{
    struct job j = {w, mode};
    struct result r;
    char why[WHY_TEXT];

    if (!in_child(work, &j, &r, sizeof(r), why)) {
        fprintf(stderr, "select: %s: %s\n", names[mode], why);
        s->failed = true;
        return;
    }
    s->cycles[s->n] = (double)r.ns * measure_hz() / 1e9 / (double)w->p->n;
    s->rss[s->n++] = (double)r.rss;
    s->last = r;
}

static void print_json(const struct evwork *w, enum mode mode, const struct score *s)
{
    printf("{\"bench\":\"select\",\"row\":\"%s\",\"flows\":%u,\"packets\":%" PRIu64
           ",\"rounds\":%d,\"cycles_per_packet\":%.1f,\"cycles_min\":%.1f,\"cycles_max\":%.1f,"
           "\"rss_bytes\":%.0f,\"answer_bytes\":%" PRIu64 ",\"request_bytes\":%" PRIu64 "}\n",
           names[mode], w->p->cfg.flows, w->p->n, s->n, median(s->cycles, s->n),
           lowest(s->cycles, s->n), highest(s->cycles, s->n), median(s->rss, s->n),
           s->last.read[MOS_SIDE_CLI], s->last.read[MOS_SIDE_SVR]);
}

static bool report(const struct evwork *w, const struct score *s)
{
    bool ok = true;

    printf("  %-6s %14s %17s %10s %8s %16s\n", "", "cycles/packet", "lowest - highest",
           "M packets/s", "MB more", "bytes read, MB");
    for (int i = 0; i < MODES; i++) {
        double c = s[i].n ? median(s[i].cycles, s[i].n) : 0;

        ok = ok && !s[i].failed && s[i].n;
        if (s[i].n)
            printf("  %-6s %14.0f %8.0f -%7.0f %11.2f %8.1f %7.1f + %.1f\n", names[i], c,
                   lowest(s[i].cycles, s[i].n), highest(s[i].cycles, s[i].n),
                   measure_hz() / c / 1e6, median(s[i].rss, s[i].n) / 1e6,
                   (double)s[i].last.read[MOS_SIDE_CLI] / 1e6,
                   (double)s[i].last.read[MOS_SIDE_SVR] / 1e6);
    }
    printf("\n");
    for (int i = 0; i < MODES; i++)
        if (s[i].n)
            print_json(w, (enum mode)i, &s[i]);
    for (int i = BOTH; ok && i < NONE; i++)
        if (median(s[i].rss, s[i].n) <= median(s[i + 1].rss, s[i + 1].n)) {
            fprintf(stderr, "select: %s takes no less memory than %s\n", names[i + 1], names[i]);
            ok = false;
        }
    return ok;
}

static const struct bench_opt options[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS, NULL},
    {"scale", BENCH_REAL, &opt.scale, 1e-6, 100, NULL},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {"check", BENCH_FLAG, &opt.check, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

int main(int argc, char **argv)
{
    static struct score s[MODES];
    const char *why = "no such workload";
    struct evwork *w = NULL;
    struct gen_cfg c;
    bool ok;

    bench_options(argc, argv, "select", options);
    if (workload_get("W1", opt.scale, &c)) {
        c.seed = opt.seed;
        c.request = REQUEST;
        w = evwork_new(&c, false, &why);
    }
    if (w == NULL) {
        fprintf(stderr, "select: %s\n", why);
        return 2;
    }
    printf("Resource selection: %u connections at a time, %.2f M packets, %s; "
           "%s.\n",
           c.flows, (double)w->p->n / 1e6, measure_machine(), measure_shown(opt.rounds));
    fflush(stdout);
    for (int k = 0; k < opt.rounds; k++)
        for (int i = 0; i < MODES; i++)
            if (!s[i].failed)
                run(w, (enum mode)i, &s[i]);
    ok = report(w, s);
    evwork_free(w);
    return ok ? 0 : 1;
}
