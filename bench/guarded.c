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
 */
#include <inttypes.h>
#include <stdio.h>

#include "benchapp.h"
#include "instr.h"
#include "workload.h"

static const struct row {
    const char *workload;
    double scale;
    enum bench_app app;
    const char *name;
    bool csum;
} rows[] = {
    {"W1", 0.01, APP_NONE, "W1.none", false},     {"W1", 0.01, APP_COUNT, "W1.count", false},
    {"W1", 0.01, APP_SEARCH, "W1.search", false}, {"W2", 0.02, APP_NONE, "W2.none", false},
    {"W2", 0.02, APP_COUNT, "W2.count", false},   {"W2", 0.02, APP_COUNT, "W2.count+csum", true},
    {"W2", 0.02, APP_SEARCH, "W2.search", false}, {"W2", 0.02, APP_PEEK, "W2.search-peek", false},
    {"W3", 0.006, APP_COUNT, "W3.count", false},  {"W3", 0.006, APP_SEARCH, "W3.search", false},
    {"W4", 0.02, APP_COUNT, "W4.count", false},   {"W4", 0.02, APP_SEARCH, "W4.search", false},
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

    if (workload_get(row->workload, row->scale, &c))
        p = preload_generate(&c, &why);
    ok = p && app_run(p, row->app, row->csum, &r, &why);
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
    return ok ? 0 : 1;
}
