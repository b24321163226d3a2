// SPDX-License-Identifier: BSD-2-Clause
/*
 * pipeline.c: cycles per packet of the library, beside the floor, packets in memory, one core.
 *
 *      pipeline [--rounds N] [--scale F] [--workload W1,W2,...] [--row NAME,...|all] [--seed N]
 *
 * Each workload is generated once; then each round runs every row once, each in a process of its
 * own (a fresh heap, and a crash costs one row), so that what disturbs the machine disturbs all
 * rows alike. Shown are medians over the rounds, and the ratio of the medians to the floor that
 * does the same kind of work: a table for each workload, then one JSON line for each row. Exit
 * status 1: a row failed or gave a wrong result (all counts are checked against the generator's).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchapp.h"
#include "benchopt.h"
#include "floor.h"
#include "inchild.h"
#include "measure.h"
#include "workload.h"

enum { CSUM = APP_CSUM, RESERVED = APP_RESERVED, FLOOR = 4 };

static const struct row {
    const char *name;
    unsigned what;
    int app;          /* enum bench_app, or enum floor_work bits */
    const char *base; /* its floor */
    bool extra;       /* only when asked for */
} rows[] = {
    {"floor", FLOOR, 0, "floor", false},
    {"floor+search", FLOOR, FLOOR_SEARCH, "floor+search", false},
    {"floor+csum", FLOOR, FLOOR_CSUM, "floor+csum", true},
    {"floor+csum+search", FLOOR, FLOOR_CSUM | FLOOR_SEARCH, "floor+csum+search", false},
    {"none", 0, APP_NONE, "floor", false},
    {"count", 0, APP_COUNT, "floor", false},
    {"count+reserve", RESERVED, APP_COUNT, "floor", false},
    {"search", 0, APP_SEARCH, "floor+search", false},
    {"search-peek", 0, APP_PEEK, "floor+search", true},
    {"count+csum", CSUM, APP_COUNT, "floor+csum", true},
    {"search+csum", CSUM, APP_SEARCH, "floor+csum+search", false},
};

enum { NROWS = sizeof(rows) / sizeof(rows[0]) };

/* One run of one row. */
struct outcome {
    bool ok;
    uint64_t ns, rss, stream_bytes;
    char why[WHY_TEXT];
};

struct score {
    bool wanted, failed;
    double cycles[MEASURE_ROUNDS];
    uint64_t rss[MEASURE_ROUNDS];
    uint64_t stream_bytes;
    int n;
};

static struct {
    int rounds;
    double scale;
    uint64_t seed;
    const char *workloads, *rows;
} opt = {.rounds = 3, .scale = 1, .seed = 1, .workloads = "W1,W2,W3,W4"};

static FILE *json; /* all lines, shown behind the tables */

/* ---- one run ---- */

static void wrong(struct outcome *o, const char *what, uint64_t is, uint64_t expected)
{
    if (is == expected || !o->ok)
        return;
    o->ok = false;
    snprintf(o->why, sizeof(o->why), "%s: %" PRIu64 ", expected %" PRIu64, what, is, expected);
}

static void run_floor(const struct preload *p, const struct row *row, struct outcome *o)
{
    struct floor_result r;

    o->ok = floor_run(p, (unsigned)row->app, &r);
    o->ns = r.ns;
    wrong(o, "packets", r.packets, p->n);
    wrong(o, "flows", r.flows, p->tot.flows);
    wrong(o, "bad checksums", r.bad, 0);
}

static void run_app(const struct preload *p, const struct row *row, struct outcome *o)
{
    struct app_result r;
    const char *why;

    o->ok = app_run(p, (enum bench_app)row->app, row->what & (CSUM | RESERVED), &r, &why);
    if (!o->ok)
        snprintf(o->why, sizeof(o->why), "%s", why);
    o->ns = r.ns;
    o->rss = r.rss_bytes;
    o->stream_bytes = r.stream_bytes;
    wrong(o, "flows", r.flows, p->tot.flows);
    if (row->app == APP_COUNT)
        wrong(o, "packets", r.packets, p->n);
    if (row->app >= APP_SEARCH) {
        wrong(o, "stream bytes", r.stream_bytes, p->tot.stream_bytes);
        wrong(o, "strings found", r.found, p->tot.planted);
    }
}

struct job {
    const struct preload *p;
    const struct row *row;
};

static bool run_here(const void *arg, void *out, char *why)
{
    const struct job *j = arg;
    struct outcome *o = out;

    memset(o, 0, sizeof(*o));
    if (j->row->what & FLOOR)
        run_floor(j->p, j->row, o);
    else
        run_app(j->p, j->row, o);
    snprintf(why, WHY_TEXT, "%s", o->why);
    return o->ok;
}

/* ---- a workload ---- */

/* choose: the rows asked for and the floors they are measured by. */
static void choose(struct score *s)
{
    for (int i = 0; i < NROWS; i++)
        s[i].wanted = opt.rows
                          ? strcmp(opt.rows, "all") == 0 || bench_listed(opt.rows, rows[i].name)
                          : !rows[i].extra;
    for (int i = 0; i < NROWS; i++)
        for (int b = 0; b < NROWS; b++)
            if (s[i].wanted && strcmp(rows[i].base, rows[b].name) == 0)
                s[b].wanted = true;
}

static const struct score *base_of(const struct score *s, int i)
{
    for (int b = 0; b < NROWS; b++)
        if (strcmp(rows[i].base, rows[b].name) == 0)
            return &s[b];
    return &s[i];
}

static void one_round(const char *name, const struct preload *p, struct score *s)
{
    for (int i = 0; i < NROWS; i++) {
        struct job job = {p, &rows[i]};
        struct outcome o;
        char why[WHY_TEXT];

        if (!s[i].wanted || s[i].failed)
            continue;
        if (!in_child(run_here, &job, &o, sizeof(o), why)) {
            s[i].failed = true;
            fprintf(stderr, "%s %s: %s\n", name, rows[i].name, why);
            continue;
        }
        s[i].cycles[s[i].n] = (double)o.ns * measure_hz() / 1e9 / (double)p->n;
        s[i].rss[s[i].n++] = o.rss;
        s[i].stream_bytes = o.stream_bytes;
    }
}

static double ratio(const struct score *s, int i)
{
    const struct score *b = base_of(s, i);

    return s[i].n && b->n ? median(s[i].cycles, s[i].n) / median(b->cycles, b->n) : 0;
}

static uint64_t memory(const struct score *s)
{
    double v[MEASURE_ROUNDS];

    for (int i = 0; i < s->n; i++)
        v[i] = (double)s->rss[i];
    return s->n ? (uint64_t)median(v, s->n) : 0;
}

static void print_json(const char *name, const struct preload *p, const struct score *s, int i)
{
    double c = median(s[i].cycles, s[i].n), sec = c * (double)p->n / measure_hz();

    fprintf(json,
            "{\"bench\":\"pipeline\",\"workload\":\"%s\",\"app\":\"%s\",\"packets\":%" PRIu64
            ",\"bytes\":%" PRIu64 ",\"flows\":%" PRIu64
            ",\"rounds\":%d,\"seconds\":%.4f,\"pps\":%.0f,\"gbps\":%.2f,\"cycles_per_packet\":%.1f,"
            "\"cycles_min\":%.1f,\"cycles_max\":%.1f,\"base\":\"%s\",\"ratio\":%.3f,\"stream_"
            "bytes\":%" PRIu64 ",\"rss_bytes\":%" PRIu64 "}\n",
            name, rows[i].name, p->n, p->tot.bytes, p->tot.flows, s[i].n, sec, (double)p->n / sec,
            (double)p->tot.bytes * 8 / sec / 1e9, c, lowest(s[i].cycles, s[i].n),
            highest(s[i].cycles, s[i].n), rows[i].base, ratio(s, i), s[i].stream_bytes,
            memory(&s[i]));
}

static void print_table(const char *name, const struct preload *p, const struct score *s)
{
    printf("\n%s: %s (%.3f M packets, %.2f GB)\n", name, workload_what(name), (double)p->n / 1e6,
           (double)p->tot.bytes / 1e9);
    printf("  %-18s %14s %17s %10s %8s  %s\n", "", "cycles/packet", "lowest - highest",
           "M packets/s", "MB more", "ratio to its floor");
    for (int i = 0; i < NROWS; i++) {
        double c = s[i].n ? median(s[i].cycles, s[i].n) : 0;

        if (!s[i].wanted)
            continue;
        if (s[i].n == 0 || s[i].failed) {
            printf("  %-18s %14s\n", rows[i].name, "FAILED");
            continue;
        }
        printf("  %-18s %14.0f %8.0f -%7.0f %11.2f %8.1f", rows[i].name, c,
               lowest(s[i].cycles, s[i].n), highest(s[i].cycles, s[i].n), measure_hz() / c / 1e6,
               (double)memory(&s[i]) / 1e6);
        if (rows[i].what & FLOOR)
            printf("\n");
        else
            printf("  %.2f x %s\n", ratio(s, i), rows[i].base);
    }
    fflush(stdout);
}

static bool measure(const char *name, struct score *s)
{
    struct gen_cfg c;
    struct preload *p;
    const char *why = "no such workload";
    bool ok = true;

    memset(s, 0, NROWS * sizeof(*s));
    choose(s);
    p = workload_get(name, opt.scale, &c) ? (c.seed = opt.seed, preload_generate(&c, &why)) : NULL;
    if (p == NULL) {
        fprintf(stderr, "pipeline: %s: %s\n", name, why);
        return false;
    }
    for (int i = 0; i < opt.rounds; i++)
        one_round(name, p, s);
    for (int i = 0; i < NROWS; i++) {
        ok = ok && !s[i].failed;
        if (s[i].n && !s[i].failed)
            print_json(name, p, s, i);
    }
    print_table(name, p, s);
    preload_free(p);
    return ok;
}

static const char *row_name(int i)
{
    return i < NROWS ? rows[i].name : i == NROWS ? "all" : NULL;
}

static const struct bench_opt options[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS, NULL},
    {"scale", BENCH_REAL, &opt.scale, 1e-6, 100, NULL},
    {"workload", BENCH_TEXT, &opt.workloads, 0, 0, workload_name},
    {"row", BENCH_TEXT, &opt.rows, 0, 0, row_name},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

int main(int argc, char **argv)
{
    struct score s[NROWS];
    bool ok = true;

    bench_options(argc, argv, "pipeline", options);
    json = bench_json();
    printf("One core, packets in memory. %s; %s.\n", measure_machine(), measure_shown(opt.rounds));
    fflush(stdout);
    for (int i = 0; workload_name(i); i++)
        if (bench_listed(opt.workloads, workload_name(i)))
            ok = measure(workload_name(i), s) && ok;
    bench_json_show();
    return ok ? 0 : 1;
}
