// SPDX-License-Identifier: BSD-2-Clause
/*
 * growth.c: W5: what a packet costs, and a flow takes, when there are 1 thousand to 4 million flows.
 *
 *      growth [--rounds N] [--scale F] [--most N] [--seed N]
 *
 * Four runs for each size, each in a process of its own. `floor` and `count` (pipeline.c has both) play
 * whole connections, so many at a time, all handshakes of the first ones before anything else; a
 * request, two short segments, both FINs: 12 packets each. `grow` plays handshake and request
 * of so many flows, nothing else, to a listener without callbacks, and takes the CPU time of each
 * batch of 64 packets: what the growth of the tables costs at once. Packets are made a million at a
 * time while the clock stands. Behind it a loop only writes to as much fresh memory, 64 records at a
 * time: the longest of those pieces is what the machine itself takes to supply it. `reserved` is `grow` with the memory there
 * from the beginning (the key of that name).
 *
 * Sizes for which there is not memory enough are left out, and said. Exit status 1: wrong counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/compiler.h"
#include "benchapp.h"
#include "benchopt.h"
#include "floor.h"
#include "inchild.h"
#include "measure.h"
#include "memdev.h"

#define AT_ONCE   (1u << 20)
#define PER_FLOW  1000   /* bytes a flow may take of generator, library and application together */
#define AT_LEAST  100000 /* flows in all, however few at a time */
#define TOO_LONG  200000 /* ns: the goal for a batch */
#define ONCE_FROM 900000 /* flows from which one round must do */
#define PIECE     (64 * 256) /* bytes touched at a time: the records of a batch of new flows */

enum kind { FLOOR, COUNT, GROW, RESERVED, KINDS };

static const char *const kind_name[KINDS] = {"floor", "count", "grow", "reserved"};
static const uint32_t sizes[] = {1000, 10000, 100000, 1000000, 4000000};

enum { NSIZES = ARRAY_SIZE(sizes) };

struct job {
    enum kind kind;
    uint32_t flows;
    uint64_t seed;
};

struct outcome {
    uint64_t packets, ns, rss;
    double longest_us, most_us;  /* batches: the longest; 99.99 % are not longer */
    double over, plain_us;       /* above 200 us; the longest for which the system gave no page */
    double touch_us, touch_over; /* the same of pieces of memory that is only written to */
};

/* All rounds of a size. */
struct score {
    uint32_t flows;
    int n[KINDS];
    double cycles[KINDS][MEASURE_ROUNDS];
    double longest[KINDS][MEASURE_ROUNDS], most[KINDS][MEASURE_ROUNDS], over[KINDS][MEASURE_ROUNDS];
    double plain[MEASURE_ROUNDS], touch[MEASURE_ROUNDS], touch_over[MEASURE_ROUNDS];
    double rss[KINDS][MEASURE_ROUNDS];
};

static struct {
    int rounds;
    double scale;
    uint32_t most;
    uint64_t seed;
} opt = {.rounds = 3, .scale = 1, .most = UINT32_MAX, .seed = 1};

/* ---- one run ---- */

/* grows: handshake and request, nothing else, and each batch is timed. */
static bool grows(enum kind kind)
{
    return kind == GROW || kind == RESERVED;
}

static struct gen_cfg traffic(const struct job *job)
{
    struct gen_cfg c;
    uint32_t least = (uint32_t)(AT_LEAST * opt.scale);

    gen_default(&c);
    c.seed = job->seed;
    c.concurrent = job->flows;
    c.flows = grows(job->kind) || job->flows > least ? job->flows : least;
    c.bytes = 128;
    c.mss = 64;
    c.request = 64;
    c.plant_every = 0;
    c.handshakes_first = true;
    c.idle = grows(job->kind);
    c.step_ns = 100; /* nobody is idle for long */
    return c;
}

static int by_size(const void *a, const void *b)
{
    const struct memdev_batch *x = a, *y = b;

    return (x->ns > y->ns) - (x->ns < y->ns);
}

static void tell_batches(struct memdev_batches *b, struct outcome *o)
{
    if (b->n == 0)
        return;
    qsort(b->v, b->n, sizeof(*b->v), by_size);
    o->longest_us = b->v[b->n - 1].ns / 1e3;
    o->most_us = b->v[b->n - 1 - b->n / 10000].ns / 1e3;
    for (uint64_t i = b->n; i > 0 && b->v[i - 1].ns > TOO_LONG; i--)
        o->over++;
    for (uint64_t i = 0; i < b->n; i++)
        if (b->v[i].faults == 0)
            o->plain_us = b->v[i].ns / 1e3;
}

/* touch: how long does the machine take for as much memory, when nothing else is done with it? */
static void touch(struct outcome *o)
{
    const size_t n = o->rss / PIECE * PIECE;
    char *p =
        n ? mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;

    if (p == MAP_FAILED)
        return;
    for (size_t at = 0; at < n; at += PIECE) {
        const uint64_t was = thread_ns();
        uint64_t took;

        memset(p + at, 1, PIECE);
        took = thread_ns() - was;
        o->touch_over += took > TOO_LONG;
        o->touch_us = took / 1e3 > o->touch_us ? took / 1e3 : o->touch_us;
    }
    munmap(p, n);
}

static bool run_floor(struct preload *p, struct outcome *o, char *why)
{
    struct floor_result r;
    bool good = floor_run(p, 0, &r);

    o->packets = p->tot.packets;
    o->ns = r.ns;
    if (good && r.packets == p->tot.packets && r.flows == p->tot.flows)
        return true;
    snprintf(why, WHY_TEXT, "the floor has counted %" PRIu64 " packets of %" PRIu64, r.packets,
             p->tot.packets);
    return false;
}

static bool run_app(struct preload *p, const struct job *job, struct outcome *o, char *why)
{
    uint64_t batches = job->flows * (uint64_t)5 / 64 + 2;
    struct memdev_batches b = {.v = calloc(batches, sizeof(*b.v)), .room = batches};
    struct app_result r;
    const char *said;
    bool good;

    memdev_watch(grows(job->kind) && b.v ? &b : NULL);
    good = app_run(p, grows(job->kind) ? APP_NONE : APP_COUNT,
                   job->kind == RESERVED ? APP_RESERVED : 0, &r, &said);
    *o = (struct outcome){.packets = r.fed, .ns = r.ns, .rss = r.rss_bytes};
    tell_batches(&b, o);
    free(b.v);
    if (job->kind == GROW)
        touch(o);
    if (!good)
        snprintf(why, WHY_TEXT, "%s", said);
    else if (r.flows != r.tot.flows || (job->kind == COUNT && r.packets != r.fed))
        snprintf(why, WHY_TEXT, "%" PRIu64 " flows of %" PRIu64 ", %" PRIu64 " packets of %" PRIu64,
                 r.flows, r.tot.flows, r.packets, r.fed);
    else
        return true;
    return false;
}

static bool run_job(const void *arg, void *out, char *why)
{
    const struct job *job = arg;
    struct gen_cfg c = traffic(job);
    const char *said = "";
    struct preload *p = preload_stream(&c, AT_ONCE, 0, &said);

    memset(out, 0, sizeof(struct outcome));
    if (p == NULL) {
        snprintf(why, WHY_TEXT, "%s", said);
        return false;
    }
    return job->kind == FLOOR ? run_floor(p, out, why) : run_app(p, job, out, why);
}

/* ---- sizes ---- */

static uint64_t memory_there(void)
{
    unsigned long long kb = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "r");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %llu", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return (uint64_t)kb * 1024;
}

static bool one_round(struct score *s, int round)
{
    for (int k = 0; k < KINDS; k++) {
        struct job job = {.kind = (enum kind)k, .flows = s->flows, .seed = opt.seed};
        struct outcome o;
        char why[WHY_TEXT];

        if (!in_child(run_job, &job, &o, sizeof(o), why)) {
            fprintf(stderr, "growth: %u flows, %s: %s\n", s->flows, kind_name[k], why);
            return false;
        }
        s->cycles[k][round] = (double)o.ns * measure_hz() / 1e9 / (double)o.packets;
        s->rss[k][round] = (double)o.rss;
        s->n[k]++;
        s->longest[k][round] = o.longest_us;
        s->most[k][round] = o.most_us;
        s->over[k][round] = o.over;
        if (k == GROW) {
            s->plain[round] = o.plain_us;
            s->touch[round] = o.touch_us;
            s->touch_over[round] = o.touch_over;
        }
    }
    return true;
}

static double cycles(const struct score *s, int kind)
{
    return median(s->cycles[kind], s->n[kind]);
}

static void print_row(const struct score *s, const struct score *first)
{
    int n = s->n[GROW];
    double rss = median(s->rss[GROW], n);

    printf("  %9u %10.0f %10.0f %8.2f %10.2f %12.1f %10.0f %12.0f %8.0f %6.0f %8.0f %8.0f %6.0f "
           "%8.0f %6.0f\n",
           s->flows, cycles(s, FLOOR), cycles(s, COUNT), cycles(s, COUNT) / cycles(s, FLOOR),
           cycles(s, COUNT) / cycles(first, COUNT), rss / 1048576, rss / s->flows,
           median(s->most[GROW], n), median(s->longest[GROW], n), median(s->over[GROW], n),
           median(s->plain, n), median(s->touch, n), median(s->touch_over, n),
           median(s->longest[RESERVED], n), median(s->over[RESERVED], n));
    fflush(stdout);
}

static void print_json(FILE *f, const struct score *s, const struct score *first)
{
    int n = s->n[GROW];

    fprintf(f,
            "{\"bench\":\"growth\",\"workload\":\"W5\",\"flows\":%u,\"rounds\":%d,"
            "\"floor_cycles\":%.1f,\"cycles_per_packet\":%.1f,\"ratio\":%.3f,\"to_first\":%.3f,"
            "\"grow_cycles\":%.1f,\"rss_bytes\":%.0f,\"bytes_per_flow\":%.1f,"
            "\"batch_9999_us\":%.1f,\"batch_longest_us\":%.1f,\"batches_over_200us\":%.0f,\"batch_"
            "longest_without_fault_us\":%.1f,\"touch_longest_us\":%.1f,\"touch_over_200us\":%.0f,"
            "\"reserved_longest_us\":%.1f,\"reserved_over_200us\":%.0f}\n",
            s->flows, n, cycles(s, FLOOR), cycles(s, COUNT), cycles(s, COUNT) / cycles(s, FLOOR),
            cycles(s, COUNT) / cycles(first, COUNT), cycles(s, GROW), median(s->rss[GROW], n),
            median(s->rss[GROW], n) / s->flows, median(s->most[GROW], n),
            median(s->longest[GROW], n), median(s->over[GROW], n), median(s->plain, n),
            median(s->touch, n), median(s->touch_over, n), median(s->longest[RESERVED], n),
            median(s->over[RESERVED], n));
}

static bool all_sizes(FILE *json)
{
    static struct score score[NSIZES];
    const struct score *first = NULL;
    bool good = true;

    for (int i = 0; i < NSIZES; i++) {
        struct score *s = &score[i];
        int rounds = sizes[i] * opt.scale < ONCE_FROM ? opt.rounds : 1;

        s->flows = sizes[i] * opt.scale < 10 ? 10 : (uint32_t)(sizes[i] * opt.scale);
        if (s->flows > opt.most)
            continue;
        if ((uint64_t)s->flows * PER_FLOW + (1u << 28) > memory_there()) {
            printf("  %9u left out: not memory enough\n", s->flows);
            continue;
        }
        for (int r = 0; r < rounds && good; r++)
            good = one_round(s, r);
        if (!good)
            return false;
        first = first ? first : s;
        print_row(s, first);
        print_json(json, s, first);
    }
    if (first == NULL)
        fprintf(stderr, "growth: no size is left to measure (--most, --scale, or memory)\n");
    return first != NULL;
}

static const struct bench_opt options[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS, NULL},
    {"scale", BENCH_REAL, &opt.scale, 1e-6, 1, NULL},
    {"most", BENCH_UINT, &opt.most, 10, UINT32_MAX, NULL},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

int main(int argc, char **argv)
{
    FILE *json = bench_json();
    bool good;

    bench_options(argc, argv, "growth", options);
    printf("W5: so many flows at a time. %s; %s.\n"
           "  %9s %10s %10s %8s %10s %12s %10s %12s %8s %6s %8s %8s %6s %8s %6s\n",
           measure_machine(), measure_shown(opt.rounds), "flows", "floor", "count", "ratio",
           "to first", "grown: MB", "B a flow", "batch 99.99%", "longest", "> 200", "no fault",
           "touch", "> 200", "reserved", "> 200");
    fflush(stdout);
    good = all_sizes(json);
    bench_json_show();
    return good ? 0 : 1;
}
