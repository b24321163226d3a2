// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_hostq.c: hosts' queues of overlapping segments, rule by rule. A row: what comes, in order;
 * what the host takes of the last one; how its queue looks then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "stream/hostq.h"

struct row {
    enum overlap_policy policy;
    const char *come, *run, *queue;
};

static const char *const names[] = OVERLAP_NAMES;

static int by_start(const void *a, const void *b)
{
    const struct hostq_entry *x = a, *y = b;

    return x->at.start < y->at.start ? -1 : x->at.start > y->at.start;
}

static void text_of(struct hostq *q, char *out)
{
    out[0] = '\0';
    qsort(q->v, q->n, sizeof(*q->v), by_start);
    for (uint32_t i = 0; i < q->n; i++)
        out += sprintf(out, "%s%d-%d", i ? " " : "", (int)q->v[i].at.start, (int)q->v[i].at.end);
}

static void play(const struct row *r)
{
    struct hostq_entry v[32];
    struct hostq q = {.v = v};
    struct span run = {0, 0};
    char is[256] = "none";
    int from, to, used;

    for (const char *p = r->come; sscanf(p, "%d-%d%n", &from, &to, &used) == 2; p += used)
        run = hostq_insert(r->policy, &q, (struct span){(uint64_t)from, (uint64_t)to});
    if (run.start < run.end)
        snprintf(is, sizeof(is), "%d-%d", (int)run.start, (int)run.end);
    if (strcmp(is, r->run) != 0)
        fail_msg("%s, %s: takes %s, should take %s", names[r->policy], r->come, is, r->run);
    text_of(&q, is);
    if (strcmp(is, r->queue) != 0)
        fail_msg("%s, %s: queue %s, should be %s", names[r->policy], r->come, is, r->queue);
}

#define PLAY(rows)                                                                                 \
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)                                    \
    play(&(rows)[i])

/* 4.4BSD: the held one stays if it begins before or level. */
static void bsd(void **state)
{
    static const struct row rows[] = {
        {OVERLAP_BSD, "5-10 7-12", "10-12", "5-10 10-12"},
        {OVERLAP_BSD, "5-10 5-12", "10-12", "5-10 10-12"},
        {OVERLAP_BSD, "5-10 5-10", "none", "5-10"},
        {OVERLAP_BSD, "5-10 6-9", "none", "5-10"},
        {OVERLAP_BSD, "5-10 3-7", "3-7", "3-7 7-10"},
        {OVERLAP_BSD, "5-10 3-10", "3-10", "3-10"},
        {OVERLAP_BSD, "5-7 8-9 11-15 4-13", "4-13", "4-13 13-15"},
        /* its own trimmed start counts, and the segment's untrimmed one */
        {OVERLAP_BSD, "0-10 5-15 7-12", "10-12", "0-10 10-12 12-15"},
        {OVERLAP_BSD, "0-10 10-15 5-20", "10-20", "0-10 10-20"},
    };

    PLAY(rows);
}

static void bsd_right(void **state)
{
    static const struct row rows[] = {
        {OVERLAP_BSD_RIGHT, "5-10 7-12", "10-12", "5-10 10-12"},
        {OVERLAP_BSD_RIGHT, "5-10 5-12", "5-12", "5-12"},
        {OVERLAP_BSD_RIGHT, "5-10 5-10", "5-10", "5-10"},
        {OVERLAP_BSD_RIGHT, "5-10 5-8", "5-8", "5-8 8-10"},
        {OVERLAP_BSD_RIGHT, "5-10 3-7", "3-7", "3-7 7-10"},
    };

    PLAY(rows);
}

static void windows(void **state)
{
    static const struct row rows[] = {
        {OVERLAP_WINDOWS, "5-10 7-12", "10-12", "5-10 10-12"},
        {OVERLAP_WINDOWS, "5-10 5-12", "10-12", "5-10 10-12"},
        {OVERLAP_WINDOWS, "5-10 3-7", "3-7", "3-7 7-10"},
        {OVERLAP_WINDOWS, "5-10 3-12", "3-12", "3-12"},
        {OVERLAP_WINDOWS, "0-10 10-15 5-20", "15-20", "0-10 10-15 15-20"},
        {OVERLAP_WINDOWS, "0-10 10-15 16-18 5-20", "15-20", "0-10 10-15 15-20"},
    };

    PLAY(rows);
}

/* illumos: of two that overlap in part the one that begins later; one inside the other goes. */
static void solaris(void **state)
{
    static const struct row rows[] = {
        {OVERLAP_SOLARIS, "5-10 7-12", "7-12", "5-7 7-12"},
        {OVERLAP_SOLARIS, "5-10 3-7", "3-5", "3-5 5-10"},
        {OVERLAP_SOLARIS, "5-10 3-12", "3-12", "3-12"},
        {OVERLAP_SOLARIS, "5-10 6-9", "none", "5-10"},
        {OVERLAP_SOLARIS, "5-10 5-10", "none", "5-10"}, /* behind the head, which has it all */
        {OVERLAP_SOLARIS, "5-10 5-12", "5-12", "5-5 5-12"},
        {OVERLAP_SOLARIS, "1-2 5-10 5-10", "5-10", "1-2 5-10"}, /* not the head: the later one */
        {OVERLAP_SOLARIS, "0-10 10-20 5-15", "none", "0-10 10-20"},
    };

    PLAY(rows);
}

/* Linux 2.2: by start; of two level ones the longer, or the later one. */
static void old_linux(void **state)
{
    static const struct row rows[] = {
        {OVERLAP_OLD_LINUX, "5-10 7-12", "10-12", "5-10 7-12"},
        {OVERLAP_OLD_LINUX, "5-10 5-10", "5-10", "5-10"},
        {OVERLAP_OLD_LINUX, "5-10 5-9", "none", "5-10"},
        {OVERLAP_OLD_LINUX, "5-10 3-7", "3-7", "3-7 5-10"},
        {OVERLAP_OLD_LINUX, "5-10 3-12 4-14", "12-14", "3-12 4-14 5-10"},
    };

    PLAY(rows);
}

/* Linux: by start, level ones the longer, else the earlier; what touches an entry's end joins it. */
static void new_linux(void **state)
{
    static const struct row rows[] = {
        {OVERLAP_LINUX, "5-10 7-12", "10-12", "5-10 7-12"},
        {OVERLAP_LINUX, "5-10 5-10", "none", "5-10"},
        {OVERLAP_LINUX, "5-10 5-12", "5-12", "5-12"},
        {OVERLAP_LINUX, "5-10 3-7", "3-7", "3-7 5-10"},
        {OVERLAP_LINUX, "5-10 3-12", "3-12", "3-12"},
        {OVERLAP_LINUX, "5-10 10-15", "10-15", "5-15"},
        {OVERLAP_LINUX, "5-10 10-15 7-20", "15-20", "5-15 7-20"},   /* joined: begins at 5 */
        {OVERLAP_LINUX, "10-15 5-10 7-20", "10-20", "5-10 7-20"},   /* touching, not joined */
        {OVERLAP_LINUX, "1-6 3-7 6-7", "6-7", "1-7 3-7"},           /* joined: before 3-7 */
        {OVERLAP_LINUX, "0-10 12-14 9-20", "10-20", "0-10 9-20"},   /* covered: gone */
        {OVERLAP_LINUX, "0-10 12-14 10-20", "10-20", "0-20 12-14"}, /* joined: stays, behind */
        {OVERLAP_LINUX, "0-10 12-14 10-20 20-30", "20-30", "0-20 12-14 20-30"},
    };

    PLAY(rows);
}

static uint32_t height(const struct hostq *q, uint32_t i, uint32_t up)
{
    uint32_t l, r;

    if (i == 0)
        return 1;
    assert_int_equal(q->v[i - 1].up, up);
    assert_false(q->v[i - 1].red && up && q->v[up - 1].red);
    l = height(q, q->v[i - 1].kid[0], i);
    r = height(q, q->v[i - 1].kid[1], i);
    assert_int_equal(l, r);
    return l + !q->v[i - 1].red;
}

/* The tree is red-black whatever comes and goes: no red below red, equally many black. */
static void tree(void **state)
{
    static struct hostq_entry v[HOSTQ_MAX + 1];
    struct hostq q = {.v = v};
    struct rng r;
    uint64_t next = 0;

    rng_seed(&r, 7);
    for (int k = 0; k < 30000; k++) {
        uint64_t at = next + 1 + rng_below(&r, 3000);

        if (rng_below(&r, 40) == 0)
            hosttree_drain(&q, next += rng_below(&r, 300));
        else if (q.n < HOSTQ_MAX)
            hosttree_insert(&q, (struct span){at, at + 1 + rng_below(&r, 12)});
        height(&q, q.root, 0);
    }
    hosttree_drain(&q, UINT64_MAX - 1);
    assert_int_equal(q.n, 0);
    assert_int_equal(q.root, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bsd),     cmocka_unit_test(bsd_right), cmocka_unit_test(windows),
        cmocka_unit_test(solaris), cmocka_unit_test(old_linux), cmocka_unit_test(new_linux),
        cmocka_unit_test(tree),
    };

    return cmocka_run_group_tests_name("hostq", tests, NULL, NULL);
}
