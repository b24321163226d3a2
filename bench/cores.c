// SPDX-License-Identifier: BSD-2-Clause
/*
 * cores.c: what a second core gains, for the library and for the floor's loop.
 *
 *      cores [--rounds N] [--scale F] [--workload W1,W2,...] [--seed N]
 *
 * The packets of a workload lie in memory and are shared out by GetRSSCPUCore. A thread for each
 * part either runs the floor over it, with a table of its own, or hands it to a context of its own
 * (mtcp_push, 64 at a time, packets counted for each flow). Time is the CPU time of the thread
 * that took longest: what is lost by sharing memory, and by parts of different size, is in it, what other
 * programs take is not. Gain is one thread's time by that of two; the ratio is the
 * library's gain by the floor's in the same run.
 *
 * Before that, untimed, every flow's record is taken at its end, for 1, 2, 3 and 7 contexts: sums and
 * records must be the same. Exit status 1: they are not.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mos_api.h>
#include <mtcp_util.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "benchopt.h"
#include "engine/engine.h"
#include "floor.h"
#include "inchild.h"
#include "measure.h"
#include "workload.h"

enum { MAX_PARTS = 7, LINE = 64, CELLS = 1024 };

static struct {
    int rounds;
    double scale;
    uint64_t seed;
    const char *workloads;
} opt = {.rounds = 3, .scale = 1, .seed = 1, .workloads = "W1,W2"};

/* ---- the application ---- */

union cell {
    uint64_t packets;
    union cell *next;
    uint8_t line[LINE];
};

struct seen {
    uint64_t flows, packets, counted, stream_bytes;
    uint64_t records; /* sum of a hash of each flow's record: of any order the same */
};

/* One thread: its packets, its context, what it has seen. */
struct worker_ctx {
    struct preload part;
    pthread_t thread;
    mctx_t mctx;
    union cell *idle;
    struct seen seen;
    struct floor_result floor;
    uint64_t ns;
    bool good;
} __attribute__((aligned(2 * LINE)));

static struct worker_ctx worker[MAX_PARTS];
static bool with_records;

static union cell *cell_new(struct worker_ctx *w)
{
    union cell *c;

    if (w->idle == NULL) {
        c = aligned_alloc(LINE, CELLS * sizeof(*c));
        for (int i = 0; c && i < CELLS; i++) {
            c[i].next = w->idle;
            w->idle = &c[i];
        }
        if (w->idle == NULL)
            abort();
    }
    c = w->idle;
    w->idle = c->next;
    c->packets = 0;
    return c;
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    union cell *c = mtcp_get_uctx(mctx, sock);

    if (c == NULL) {
        c = cell_new(&worker[mctx->cpu]);
        mtcp_set_uctx(mctx, sock, c);
    }
    c->packets++;
}

static uint64_t mix_bytes(uint64_t h, const void *p, size_t len)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < len; i++)
        h = hash_mix(h ^ b[i]);
    return h;
}

static void take_record(struct seen *s, mctx_t mctx, int sock)
{
    struct sockaddr_storage ends[2];
    struct mos_flow_info info;
    socklen_t len = sizeof(info);
    uint64_t h;

    memset(ends, 0, sizeof(ends));
    memset(&info, 0, sizeof(info));
    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len) < 0)
        return;
    len = sizeof(ends);
    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)ends, &len, MOS_SIDE_BOTH) < 0)
        return;
    h = mix_bytes(1, &info, sizeof(info));
    s->records += mix_bytes(h, ends, sizeof(ends));
    s->packets += info.dir[0].packets + info.dir[1].packets;
    s->stream_bytes += info.dir[0].stream_bytes + info.dir[1].stream_bytes;
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct worker_ctx *w = &worker[mctx->cpu];
    union cell *c = mtcp_get_uctx(mctx, sock);

    if (c == NULL) /* the second of two */
        return;
    mtcp_set_uctx(mctx, sock, NULL);
    w->seen.flows++;
    w->seen.counted += c->packets;
    if (with_records)
        take_record(&w->seen, mctx, sock);
    c->next = w->idle;
    w->idle = c;
}

/* ---- threads ---- */

static bool push_all(struct worker_ctx *w)
{
    const struct preload *p = &w->part;
    struct mtcp_frame v[64];

    for (uint64_t at = 0; at < p->n; at += 64) {
        int n = p->n - at < 64 ? (int)(p->n - at) : 64;

        for (int i = 0; i < n; i++) {
            const struct pre_pkt *k = &p->pkt[at + (uint64_t)i];

            v[i] = (struct mtcp_frame){
                .data = k->data, .len = k->len, .ts_ns = p->t0_ns + k->us * NSEC_PER_USEC};
        }
        if (mtcp_push(w->mctx, v, n) < 0)
            return false;
    }
    return true;
}

static void *run_library(void *arg)
{
    struct worker_ctx *w = arg;
    uint64_t start = thread_ns();

    w->good = push_all(w);
    w->ns = thread_ns() - start;
    w->good = w->good && mtcp_push(w->mctx, NULL, 0) == 0;
    return NULL;
}

static void *run_floor(void *arg)
{
    struct worker_ctx *w = arg;

    w->good = floor_run(&w->part, 0, &w->floor);
    w->ns = w->floor.ns;
    w->seen.flows = w->floor.flows;
    w->seen.packets = w->floor.packets;
    return NULL;
}

/* run_threads: => false: a thread is missing or has failed. */
static bool run_threads(int parts, void *(*fn)(void *))
{
    bool good = true;

    for (int i = 0; i < parts; i++)
        if (pthread_create(&worker[i].thread, NULL, fn, &worker[i]) != 0)
            return false;
    for (int i = 0; i < parts; i++) {
        pthread_join(worker[i].thread, NULL);
        good = good && worker[i].good;
    }
    return good;
}

/* ---- parts ---- */

static int part_of(const struct pre_pkt *k, int parts)
{
    uint32_t addr[2];
    uint16_t port[2];

    memcpy(addr, k->data + 26, sizeof(addr)); /* Ethernet, IPv4 without options: as generated */
    memcpy(port, k->data + 34, sizeof(port));
    return GetRSSCPUCore(addr[0], addr[1], port[0], port[1], parts);
}

static bool share_out(const struct preload *p, int parts)
{
    memset(worker, 0, sizeof(worker));
    for (int i = 0; i < parts; i++) {
        worker[i].part = (struct preload){.t0_ns = p->t0_ns, .cfg = p->cfg};
        worker[i].part.pkt = calloc(p->n, sizeof(struct pre_pkt));
        if (worker[i].part.pkt == NULL)
            return false;
    }
    for (uint64_t i = 0; i < p->n; i++) {
        struct preload *to = &worker[part_of(&p->pkt[i], parts)].part;

        to->pkt[to->n++] = p->pkt[i];
    }
    return true;
}

static bool open_contexts(const struct preload *p, int parts)
{
    struct mtcp_conf c;

    if (mtcp_init(NULL) < 0 || mtcp_getconf(&c) < 0)
        return false;
    c.num_cores = parts;
    c.max_concurrency = (int)p->cfg.concurrent * 2 + 1024;
    engine.conf.mon.max_half = p->cfg.concurrent + 512; /* as benchapp.c has it: no flood */
    if (mtcp_setconf(&c) < 0)
        return false;
    for (int i = 0; i < parts; i++) {
        int off = 0, mode = MOS_CSUM_OFF, s;
        mctx_t m = worker[i].mctx = mtcp_create_context(i);

        if (m == NULL || (s = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0)) < 0 ||
            mtcp_setsockopt(m, s, SOL_MONSOCKET, MOS_CSUM, &mode, sizeof(mode)) < 0 ||
            mtcp_setsockopt(m, s, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)) < 0 ||
            mtcp_setsockopt(m, s, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off)) < 0 ||
            mtcp_register_callback(m, s, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
            mtcp_register_callback(m, s, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
            return false;
    }
    return true;
}

/* ---- one run ---- */

struct job {
    const struct preload *p;
    int parts;
    bool floor, records;
};

struct outcome {
    struct seen seen;
    uint64_t ns; /* of the thread that took longest */
};

static bool run_job(const void *arg, void *out, char *why)
{
    const struct job *job = arg;
    struct outcome *o = out;
    bool good;

    memset(o, 0, sizeof(*o));
    with_records = job->records;
    good = share_out(job->p, job->parts) && (job->floor || open_contexts(job->p, job->parts)) &&
           run_threads(job->parts, job->floor ? run_floor : run_library);
    if (!good)
        snprintf(why, WHY_TEXT, "%s", *mtcp_errstr() ? mtcp_errstr() : "no memory, or no thread");
    for (int i = 0; i < job->parts; i++) {
        const struct seen *s = &worker[i].seen;

        o->ns = worker[i].ns > o->ns ? worker[i].ns : o->ns;
        o->seen.flows += s->flows;
        o->seen.packets += s->packets;
        o->seen.counted += s->counted;
        o->seen.stream_bytes += s->stream_bytes;
        o->seen.records += s->records;
    }
    return good;
}

static bool run(const char *name, const struct job *job, struct outcome *o)
{
    char why[WHY_TEXT];
    uint64_t packets;

    if (!in_child(run_job, job, o, sizeof(*o), why)) {
        fprintf(stderr, "cores: %s, %d threads: %s\n", name, job->parts, why);
        return false;
    }
    packets = job->floor ? o->seen.packets : o->seen.counted;
    if (packets == job->p->tot.packets && o->seen.flows == job->p->tot.flows)
        return true;
    fprintf(stderr, "cores: %s, %d threads: %" PRIu64 " packets, %" PRIu64 " flows\n", name,
            job->parts, packets, o->seen.flows);
    return false;
}

/* ---- a workload ---- */

/* same_records: whatever the number of contexts. */
static bool same_records(const char *name, const struct preload *p)
{
    static const int parts[] = {1, 2, 3, 7};
    struct outcome first, o;

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        struct job job = {.p = p, .parts = parts[i], .records = true};

        if (!run(name, &job, i ? &o : &first))
            return false;
        if (i && memcmp(&o.seen, &first.seen, sizeof(o.seen)) != 0) {
            fprintf(stderr, "cores: %s: %d contexts have seen other things than one\n", name,
                    parts[i]);
            return false;
        }
    }
    return first.seen.packets == p->tot.packets;
}

enum { FLOOR1, FLOOR2, LIB1, LIB2, NRUNS };

static void report(const char *name, const struct preload *p, double v[NRUNS][MEASURE_ROUNDS],
                   FILE *json)
{
    double c[NRUNS], gain[2];

    for (int k = 0; k < NRUNS; k++)
        c[k] = median(v[k], opt.rounds) * measure_hz() / 1e9 / (double)p->n;
    gain[0] = c[FLOOR1] / c[FLOOR2];
    gain[1] = c[LIB1] / c[LIB2];
    printf("  %-4s %8.1f %8.1f %6.2f x %10.1f %8.1f %6.2f x %12.3f\n", name, c[FLOOR1], c[FLOOR2],
           gain[0], c[LIB1], c[LIB2], gain[1], gain[1] / gain[0]);
    fflush(stdout);
    fprintf(
        json,
        "{\"bench\":\"cores\",\"workload\":\"%s\",\"packets\":%" PRIu64
        ",\"rounds\":%d,\"floor_cycles\":[%.1f,%.1f],\"cycles\":[%.1f,%.1f],\"floor_gain\":%.3f,"
        "\"gain\":%.3f,\"ratio\":%.3f}\n",
        name, p->n, opt.rounds, c[FLOOR1], c[FLOOR2], c[LIB1], c[LIB2], gain[0], gain[1],
        gain[1] / gain[0]);
}

static bool measure(const char *name, FILE *json)
{
    double v[NRUNS][MEASURE_ROUNDS];
    const char *why = "no such workload";
    struct preload *p = NULL;
    struct gen_cfg c;
    bool good;

    if (workload_get(name, opt.scale, &c)) {
        c.seed = opt.seed;
        p = preload_generate(&c, &why);
    }
    if (p == NULL) {
        fprintf(stderr, "cores: %s: %s\n", name, why);
        return false;
    }
    good = same_records(name, p);
    for (int r = 0; good && r < opt.rounds; r++)
        for (int k = 0; good && k < NRUNS; k++) {
            struct job job = {.p = p, .parts = 1 + k % 2, .floor = k < LIB1};
            struct outcome o;

            good = run(name, &job, &o);
            v[k][r] = (double)o.ns;
        }
    if (good)
        report(name, p, v, json);
    preload_free(p);
    return good;
}

static const struct bench_opt options[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS, NULL},
    {"scale", BENCH_REAL, &opt.scale, 1e-6, 100, NULL},
    {"workload", BENCH_TEXT, &opt.workloads, 0, 0, workload_name},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

int main(int argc, char **argv)
{
    char *names, *rest, *name;
    FILE *json = bench_json();
    bool good = true;

    bench_options(argc, argv, "cores", options);
    names = strdup(opt.workloads);
    if (names == NULL)
        return 2;
    printf("Two threads against one: cycles per packet of the busier one. %s; %s.\n"
           "  %-4s %8s %8s %8s %10s %8s %8s %12s\n",
           measure_machine(), measure_shown(opt.rounds), "", "floor: 1", "2", "gain", "count: 1",
           "2", "gain", "gain / gain");
    fflush(stdout);
    for (name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        good = measure(name, json) && good;
    bench_json_show();
    free(names);
    return good ? 0 : 1;
}
