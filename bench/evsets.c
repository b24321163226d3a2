// SPDX-License-Identifier: BSD-2-Clause
/*
 * evsets.c: event sets at scale: what it costs to carry events, and to run filters.
 *
 *      evsets [--rounds N] [--scale F] [--rows NAME,...] [--seed N]
 *
 * 192,000 connections of 8 KB at a time (W1). See evapp.h for what the programs do. `sets` are the
 * library's, `lists` a list of its own for each connection (evnaive.c). Measured is from the end of the
 * last handshake on; what registering costs before is shown beside it. In each round every row runs
 * once, in a process of its own; shown are medians. Exit status 1: a row failed, or some filter or
 * callback was not called exactly as often as it must be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchopt.h"
#include "evapp.h"
#include "inchild.h"
#include "measure.h"
#include "workload.h"

#define FEW  8 /* events of the smaller rows that run */
#define MANY EVAPP_MOST

static const struct evapp_plan rows[] = {
    {.name = "carry-0"},
    {.name = "carry-1", .events = 1},
    {.name = "carry-4", .events = 4},
    {.name = "carry-16", .events = 16},
    {.name = "carry-64", .events = 64},
    {.name = "carry-1-lists", .events = 1, .scheme = EVAPP_LISTS},
    {.name = "carry-4-lists", .events = 4, .scheme = EVAPP_LISTS},
    {.name = "carry-16-lists", .events = 16, .scheme = EVAPP_LISTS},
    {.name = "carry-64-lists", .events = 64, .scheme = EVAPP_LISTS},
    {.name = "read-1", .events = 1, .reading = true},
    {.name = "read-64", .events = 64, .reading = true},
    {.name = "read-1-lists", .events = 1, .scheme = EVAPP_LISTS, .reading = true},
    {.name = "read-64-lists", .events = 64, .scheme = EVAPP_LISTS, .reading = true},
    {.name = "run-8-one-set", .events = FEW, .running = true, .one_set = true},
    {.name = "run-64-one-set", .events = MANY, .running = true, .one_set = true},
    {.name = "run-8", .events = FEW, .running = true},
    {.name = "run-64", .events = MANY, .running = true},
    {.name = "run-8-lists", .events = FEW, .running = true, .scheme = EVAPP_LISTS},
    {.name = "run-64-lists", .events = MANY, .running = true, .scheme = EVAPP_LISTS},
};

enum { NROWS = sizeof(rows) / sizeof(rows[0]) };

struct score {
    bool wanted, failed;
    double cycles[MEASURE_ROUNDS], setup[MEASURE_ROUNDS], rss[MEASURE_ROUNDS];
    struct evapp_result last;
    int n;
};

static struct score score[NROWS];

static struct {
    int rounds;
    double scale;
    uint64_t seed;
    const char *rows;
} opt = {.rounds = 3, .scale = 1, .seed = 1};

struct job {
    const struct evwork *w;
    const struct evapp_plan *plan;
};

static bool work(const void *arg, void *out, char *why)
{
    const struct job *j = arg;
    struct evapp_result *r = out;

    evapp_run(j->w, j->plan, r);
    snprintf(why, WHY_TEXT, "%s", r->why);
    return r->ok;
}

static void run(const struct evwork *w, int i)
{
    struct job j = {w, &rows[i]};
    struct score *s = &score[i];
    struct evapp_result r;
    char why[WHY_TEXT];

    if (!in_child(work, &j, &r, sizeof(r), why)) {
        fprintf(stderr, "evsets: %s: %s\n", rows[i].name, why);
        s->failed = true;
        return;
    }
    s->cycles[s->n] = (double)r.ns * measure_hz() / 1e9 / (double)r.packets;
    s->setup[s->n] = (double)r.setup_ns * measure_hz() / 1e9 / (double)w->p->cfg.flows;
    s->rss[s->n++] = (double)r.rss;
    s->last = r;
}

/* ---- the report ---- */

static const struct score *row_named(const char *name)
{
    for (int i = 0; i < NROWS; i++)
        if (strcmp(rows[i].name, name) == 0 && score[i].n && !score[i].failed)
            return &score[i];
    return NULL;
}

/* ratio: of each round for itself, so that what disturbs the machine disturbs both; then the median. */
static double ratio(const struct score *s, const struct score *base)
{
    double v[MEASURE_ROUNDS];

    if (!base || base->n != s->n)
        return 0;
    for (int i = 0; i < s->n; i++)
        v[i] = s->cycles[i] / base->cycles[i];
    return median(v, s->n);
}

/* base_of: the row with one event, of the same kind. */
static const struct score *base_of(int i)
{
    const char *lists = rows[i].scheme == EVAPP_LISTS ? "-lists" : "";
    char name[32];

    snprintf(name, sizeof(name), "%s-1%s", rows[i].reading ? "read" : "carry", lists);
    return rows[i].running || rows[i].events == 0 ? NULL : row_named(name);
}

static void print_row(const struct evwork *w, int i)
{
    const struct score *s = &score[i], *base = base_of(i), *none = row_named("carry-0");
    double c = median(s->cycles, s->n), rss = median(s->rss, s->n);

    printf("  %-16s %8.0f %7.0f -%6.0f %8.2f %9.0f %9.1f", rows[i].name, c, lowest(s->cycles, s->n),
           highest(s->cycles, s->n), measure_hz() / c / 1e6, median(s->setup, s->n), rss / 1e6);
    if (none && !rows[i].reading && !rows[i].running)
        printf(" %8.0f", (rss - median(none->rss, none->n)) / w->p->cfg.flows);
    else
        printf(" %8s", "");
    if (base && base != s)
        printf("   %.3f x the one with one event", ratio(s, base));
    printf("\n");
}

static void print_json(const struct evwork *w, int i)
{
    const struct score *s = &score[i];
    double c = median(s->cycles, s->n);

    printf("{\"bench\":\"evsets\",\"row\":\"%s\",\"flows\":%u,\"packets\":%" PRIu64
           ",\"rounds\":%d,\"cycles_per_packet\":%.1f,\"cycles_min\":%.1f,\"cycles_max\":%.1f,"
           "\"pps\":%.0f,\"setup_cycles_per_flow\":%.0f,\"rss_bytes\":%.0f,\"ratio\":%.3f,"
           "\"filters\":%" PRIu64 ",\"groups\":%" PRIu64 ",\"callbacks\":%" PRIu64
           ",\"changes\":%" PRIu64 "}\n",
           rows[i].name, w->p->cfg.flows, s->last.packets, s->n, c, lowest(s->cycles, s->n),
           highest(s->cycles, s->n), measure_hz() / c, median(s->setup, s->n), median(s->rss, s->n),
           ratio(s, base_of(i)), s->last.filters, s->last.groups, s->last.callbacks,
           s->last.changes);
}

static void print_further(const char *what, const char *few, const char *many, double goal)
{
    const struct score *a = row_named(few), *b = row_named(many);
    double v[MEASURE_ROUNDS];

    if (!a || !b || a->n != b->n)
        return;
    for (int i = 0; i < a->n; i++)
        v[i] = (b->cycles[i] - a->cycles[i]) / (MANY - FEW);
    printf("  each further filter, %-26s %6.2f cycles (%.2f - %.2f)", what, median(v, a->n),
           lowest(v, a->n), highest(v, a->n));
    if (goal > 0)
        printf(", wanted: %.0f", goal);
    printf("\n");
}

static void report(const struct evwork *w)
{
    printf("  %-16s %8s %15s %8s %9s %9s %8s\n", "", "cycles/", "lowest -", "M", "cycles to", "MB",
           "bytes a");
    printf("  %-16s %8s %15s %8s %9s %9s %8s\n", "", "packet", "highest", "pkt/s", "register",
           "more", "flow");
    for (int i = 0; i < NROWS; i++)
        if (score[i].n && !score[i].failed)
            print_row(w, i);
    printf("\n");
    print_further("one set", "run-8-one-set", "run-64-one-set", 6);
    print_further("1,000 sets", "run-8", "run-64", 15);
    print_further("a list for each connection", "run-8-lists", "run-64-lists", 0);
    printf("\n");
    for (int i = 0; i < NROWS; i++)
        if (score[i].n && !score[i].failed)
            print_json(w, i);
}

static const char *row_name(int i)
{
    return i < NROWS ? rows[i].name : NULL;
}

static const struct bench_opt options[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS, NULL},
    {"scale", BENCH_REAL, &opt.scale, 1e-6, 100, NULL},
    {"rows", BENCH_TEXT, &opt.rows, 0, 0, row_name},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

int main(int argc, char **argv)
{
    struct evwork *w = NULL;
    struct gen_cfg c;
    const char *why = "no such workload";
    bool ok = true;

    bench_options(argc, argv, "evsets", options);
    if (workload_get("W1", opt.scale, &c)) {
        c.seed = opt.seed;
        c.doubled = 2000;
        w = evwork_new(&c, true, &why);
    }
    if (w == NULL) {
        fprintf(stderr, "evsets: %s\n", why);
        return 2;
    }
    printf("Event sets: %u connections of 8 KB at a time, %.2f M packets behind the handshakes, "
           "%s; %s.\n",
           c.flows, (double)(w->p->n - w->shaken) / 1e6, measure_machine(),
           measure_shown(opt.rounds));
    fflush(stdout);
    for (int k = 0; k < opt.rounds; k++)
        for (int i = 0; i < NROWS; i++)
            if (!score[i].failed && bench_listed(opt.rows, rows[i].name))
                run(w, i);
    report(w);
    for (int i = 0; i < NROWS; i++)
        ok = ok && !score[i].failed;
    evwork_free(w);
    return ok ? 0 : 1;
}
