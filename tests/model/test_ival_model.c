// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interval lists against a naive twin: one cell per offset, set or not, and whether a member began there
 * with chunks of its own. Members come at the end, between others, over many at once; the first goes,
 * everything from some offset on goes; memory runs out and comes back. After every step each member, and
 * some searches, are compared. A member that found no room must have changed nothing.
 *
 * SEED=n repeats a run, STEPS=n makes it longer. The seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/hash.h"
#include "repeat.h"
#include "stream/chunk.h"

#define ROOM 4000

static struct {
    struct rng r;
    struct memacct acct;
    struct strm_env e;
    struct ivals l;
    bool short_of; /* of memory, since the list was empty */
    uint8_t bit[ROOM + 2], mark[ROOM + 2];
    /* totals, to see that everything happens */
    uint64_t steps, refused, joined, most;
} m;

static uint64_t seed;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "line %d: %s; SEED=%llu, step %llu\n", __LINE__, #cond,                \
                    (unsigned long long)seed, (unsigned long long)m.steps);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static uint32_t below(uint32_t n)
{
    return n ? (uint32_t)rng_below(&m.r, n) : 0;
}

/* run_end: where the run of set cells at `at` ends. */
static uint32_t run_end(uint32_t at)
{
    while (m.bit[at])
        at++;
    return at;
}

static uint32_t run_begin(uint32_t at)
{
    while (at <= ROOM && !m.bit[at])
        at++;
    return at;
}

/* compare_member: k lies at [from, to), and knows the marks there. */
static void compare_member(uint32_t k, uint32_t from, uint32_t to)
{
    const struct ival *v;
    uint32_t first = 0, last = 0;

    CHECK(k < m.l.n);
    v = ival_at(&m.e, &m.l, k);
    CHECK(v->start == from && v->end == to);
    for (uint32_t i = from; i < to; i++) {
        last = m.mark[i] ? i + 1 : last;
        first = m.mark[i] && !first ? i + 1 : first;
    }
    CHECK(v->last == last && v->fresh == first);
}

static void compare(void)
{
    uint32_t n = 0, off = below(ROOM), to = off + below(ROOM - off), sum = 0, find = 0;

    for (uint32_t at = run_begin(0); at < ROOM; at = run_begin(run_end(at))) {
        compare_member(n++, at, run_end(at));
        find += run_end(at) < off;
    }
    CHECK(m.l.n == n);
    CHECK(ival_find(&m.e, &m.l, off) == find);
    for (uint32_t i = off; i < to; i++)
        sum += m.bit[i];
    CHECK(ival_cover(&m.e, &m.l, off, to) == sum);
    CHECK(blkpool_used(&m.e.blks) == (n > 0) + (uint32_t)m.l.leaves);
    CHECK(m.short_of || n < 2 || ival_mem(&m.l) < 8 * n * sizeof(struct ival));
    m.most = n > m.most ? n : m.most;
}

static void add(uint32_t from, uint32_t to)
{
    bool touches = from && m.bit[from - 1];
    uint32_t fresh = 0, n = m.l.n;
    uint64_t got;

    for (uint32_t i = from; i <= to; i++)
        touches |= m.bit[i];
    for (uint32_t i = from; i < to; i++)
        fresh += !m.bit[i];
    got = ival_add(&m.e, &m.l, from, to);
    if (got == UINT64_MAX) {
        CHECK(m.acct.limit && !touches);
        m.refused++;
        return;
    }
    CHECK(got == fresh);
    memset(m.bit + from, 1, to - from);
    m.joined += n > m.l.n ? n - m.l.n : 0;
    if (touches || below(3) == 0)
        return;
    m.mark[from] = 1;
    n = ival_find(&m.e, &m.l, from);
    ival_at(&m.e, &m.l, n)->last = ival_at(&m.e, &m.l, n)->fresh = from + 1;
}

static void op_add(void)
{
    uint32_t from = below(ROOM), most = ROOM - from;
    uint32_t last = m.l.n ? (uint32_t)ival_at(&m.e, &m.l, m.l.n - 1u)->end : 0;

    if (below(2) && last + 1 < ROOM) { /* behind all, or at the end of the last */
        from = last + below(2);
        most = 1;
    } else if (below(30)) {
        most = most < 4 ? most : 4;
    } else {
        most = most < 300 ? most : 300;
    }
    add(from, from + 1 + below(most));
}

/* op_comb: every second place of a stretch. */
static void op_comb(void)
{
    uint32_t from = below(ROOM - 200);

    for (uint32_t i = 0; i < 200; i += 2)
        add(from + i, from + i + 1);
}

static void op_pop(void)
{
    uint32_t from = run_begin(0), to = run_end(from);

    if (m.l.n == 0)
        return;
    memset(m.bit + from, 0, to - from);
    memset(m.mark + from, 0, to - from);
    ival_pop(&m.e, &m.l);
}

/* op_cut: chunks beyond have gone before; the member that is cut forgets its own here. */
static void op_cut(void)
{
    uint32_t off = below(8) ? ROOM - below(ROOM / 8) : below(ROOM), from = off, sum = 0;
    uint64_t got = ival_cut(&m.e, &m.l, off);

    for (uint32_t i = off; i < ROOM; i++)
        sum += m.bit[i];
    CHECK(got == sum);
    while (from && m.bit[from - 1])
        from--;
    if (from < off && m.bit[off])
        ival_at(&m.e, &m.l, m.l.n - 1u)->last = ival_at(&m.e, &m.l, m.l.n - 1u)->fresh = 0;
    memset(m.mark + (m.bit[off] ? from : off), 0, ROOM - (m.bit[off] ? from : off));
    memset(m.bit + off, 0, ROOM - off);
}

static void op_memory(void)
{
    m.acct.limit = m.acct.limit ? 0 : 1; /* 1: no more than there is */
    m.short_of |= m.acct.limit != 0;
}

static void step(void)
{
    uint32_t what = below(100);

    if (what < 75)
        op_add();
    else if (what < 95)
        op_pop();
    else if (what < 97)
        op_comb();
    else if (what < 98 || below(20) == 0)
        op_memory();
    else if (below(20) == 0)
        op_cut();
    m.short_of &= m.l.n > 0 || m.acct.limit;
    m.steps++;
    compare();
}

/* episode: a context's first list; its pools have nothing to spare at first. */
static void episode(uint32_t steps)
{
    memset(m.bit, 0, sizeof(m.bit));
    memset(m.mark, 0, sizeof(m.mark));
    m.short_of = false;
    strm_env_init(&m.e, &m.acct, 1000, 1000);
    while (steps--)
        step();
    ival_free_all(&m.e, &m.l);
    CHECK(blkpool_used(&m.e.blks) == 0 && m.l.n == 0);
    strm_env_fini(&m.e);
    CHECK(m.acct.used == 0);
    m.acct.limit = 0;
}

static void random_against_bitmap(void **state)
{
    const uint64_t steps = env_number("STEPS", 40000);

    rng_seed(&m.r, seed);
    while (m.steps < steps)
        episode(50 + below(1500));
    printf("# %llu steps, %llu members at most, %llu joined, %llu refused\n",
           (unsigned long long)m.steps, (unsigned long long)m.most, (unsigned long long)m.joined,
           (unsigned long long)m.refused);
    if (steps >= 40000)
        CHECK(m.most > 200 && m.joined > 1000 && m.refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_against_bitmap),
    };

    seed = env_seed();
    return cmocka_run_group_tests_name("ival_model", tests, NULL, NULL);
}
