// SPDX-License-Identifier: BSD-2-Clause
/*
 * guarded.c: the workloads in small, once, for an instruction count (tools/guard runs it under callgrind).
 *
 *      guarded
 *
 * Each row is packets of one workload through the library with one application, the same in every
 * run: the secret of the hash functions is fixed. Instructions are collected from the first frame
 * asked for to the end of the input (memdev.c), and dumped under the row's name. Standard output has
 * the compiler, then a line for each row: name and packets. Alone, it only checks the results.
 *
 * Besides, short connections in step, all their SYNs, then all their SYN/ACKs, and so on: a row for each kind
 * of segment, with what the end of its batch takes.
 */
#include <inttypes.h>
#include <stdio.h>

#include "benchapp.h"
#include "instr.h"
#include "memdev.h"
#include "workload.h"

static const struct row {
    const char *workload;
    double scale;
    enum bench_app app;
    const char *name;
    bool csum, ipv6;
} rows[] = {
    {"W1", 0.01, APP_NONE, "W1.none", false, false},
    {"W1", 0.01, APP_COUNT, "W1.count", false, false},
    {"W1", 0.01, APP_SEARCH, "W1.search", false, false},
    {"W2", 0.02, APP_NONE, "W2.none", false, false},
    {"W2", 0.02, APP_COUNT, "W2.count", false, false},
    {"W2", 0.02, APP_COUNT, "W2.count+csum", true, false},
    {"W2", 0.02, APP_SEARCH, "W2.search", false, false},
    {"W2", 0.02, APP_PEEK, "W2.search-peek", false, false},
    {"W3", 0.006, APP_COUNT, "W3.count", false, false},
    {"W3", 0.006, APP_SEARCH, "W3.search", false, false},
    {"W4", 0.02, APP_COUNT, "W4.count", false, false},
    {"W4", 0.02, APP_SEARCH, "W4.search", false, false},
    {"W1", 0.01, APP_COUNT, "W1.count-ipv6", false, true},
    {"W2", 0.02, APP_COUNT, "W2.count-ipv6", false, true},
    {"W3", 0.006, APP_COUNT, "W3.count-ipv6", false, true},
    {"W4", 0.02, APP_COUNT, "W4.count-ipv6", false, true},
};

/* check: a wrong result has no price. */
static bool check(const struct preload *p, const struct row *row, const struct app_result *r)
{
    if (row->app != APP_NONE && r->flows != p->tot.flows)
        return false;
    if (row->app == APP_COUNT)
        return r->packets == p->n;
    return row->app == APP_NONE ||
           (r->stream_bytes == p->tot.stream_bytes && r->found == p->tot.planted);
}

static bool run(const struct row *row)
{
    const char *why = "no such workload";
    struct app_result r;
    struct gen_cfg c;
    struct preload *p = NULL;
    bool ok;

    ok = workload_get(row->workload, row->scale, &c);
    c.ipv6 = row->ipv6;
    if (ok)
        p = preload_generate(&c, &why);
    ok = p && app_run(p, row->app, row->csum ? APP_CSUM : 0, &r, &why);
    if (ok && !check(p, row, &r)) {
        ok = false;
        why = "wrong result";
    }
    if (ok) {
        instr_dump(row->name);
        printf("%s %" PRIu64 "\n", row->name, p->n);
    } else {
        fprintf(stderr, "guarded: %s: %s\n", row->name, why);
    }
    preload_free(p);
    return ok;
}

#define IN_STEP 640 /* connections: ten batches of each kind */

static const struct {
    enum bench_app app;
    const char *kind[11];
} steps[] = {
    {APP_NONE,
     {"none.SYN", "none.SYN/ACK", "none.ACK", "none.request", "none.request-ACK", "none.data",
      "none.data-ACK", "none.FIN", "none.FIN-ACK", "none.FIN2", "none.last-ACK"}},
    {APP_COUNT,
     {"count.SYN", "count.SYN/ACK", "count.ACK", "count.request", "count.request-ACK", "count.data",
      "count.data-ACK", "count.FIN", "count.FIN-ACK", "count.FIN2", "count.last-ACK"}},
};

static const char *const *kinds;

static void passed(uint32_t part)
{
    instr_dump(kinds[part]);
    printf("%s %d\n", kinds[part], IN_STEP);
}

static bool run_in_step(size_t i)
{
    const char *why = "no such workload";
    struct app_result r;
    struct gen_cfg c;
    struct preload *p = NULL;
    bool ok;

    if (workload_get("W3", 1, &c)) {
        c.order = GEN_ROUND;
        c.flows = c.concurrent = IN_STEP;
        p = preload_stream(&c, IN_STEP, 0, &why);
    }
    kinds = steps[i].kind;
    memdev_parts(passed);
    ok = p && app_run(p, steps[i].app, 0, &r, &why) && r.fed == IN_STEP * ARRAY_SIZE(steps[i].kind);
    memdev_parts(NULL);
    if (!ok)
        fprintf(stderr, "guarded: %s and so on: %s\n", *kinds, why);
    preload_free(p);
    return ok;
}

int main(void)
{
    bool ok = true;

#ifdef __clang__
    printf("clang-%d\n", __clang_major__);
#else
    printf("gcc-%d\n", __GNUC__);
#endif
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ok = run(&rows[i]) && ok;
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        ok = run_in_step(i) && ok;
    return ok ? 0 : 1;
}
