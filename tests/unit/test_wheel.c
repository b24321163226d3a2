// SPDX-License-Identifier: BSD-2-Clause
/* The timing wheel, mostly against a naive twin: an array of due times that is searched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "base/hash.h"
#include "base/wheel.h"

#define N    200
#define SEC  NSEC_PER_SEC
#define DAY  (86400ULL * SEC)
#define TICK WHEEL_TICK_NS

struct obj {
    uint64_t something;
    struct wheel_node timer;
};

struct twin {
    uint64_t due;   /* tick, 0: does not hang */
    uint64_t order; /* of hanging */
};

struct world {
    struct pool pool;
    struct wheel w;
    uint64_t now_ns, order, reach;
    struct twin twin[N + 1];
};

static void world_init(struct world *x, uint64_t start_ns)
{
    memset(x, 0, sizeof(*x));
    pool_init(&x->pool, "obj", sizeof(struct obj), 8, 64, 0, NULL);
    for (int i = 1; i <= N; i++)
        assert_int_equal(pool_zalloc(&x->pool), i);
    wheel_init(&x->w, &x->pool, offsetof(struct obj, timer));
    x->now_ns = start_ns;
    assert_int_equal(wheel_advance(&x->w, start_ns), 0);
}

static void check(struct world *x)
{
    if (!wheel_check(&x->w))
        fail_msg("%s", err_text());
}

static uint64_t tick_up(uint64_t ns)
{
    return (ns + TICK - 1) / TICK;
}

static void hang(struct world *x, uint32_t idx, uint64_t when)
{
    uint64_t t = when <= x->now_ns ? x->now_ns / TICK : tick_up(when);

    while ((uint32_t)t == 0 || (uint32_t)t == UINT32_MAX)
        t++;
    x->twin[idx] = (struct twin){.due = t, .order = ++x->order};
    wheel_hang(&x->w, idx, when);
}

static void off(struct world *x, uint32_t idx)
{
    x->twin[idx].due = 0;
    wheel_off(&x->w, idx);
}

/* The twin's next node due by now_ns. => 0 if none. */
static uint32_t twin_next(const struct world *x)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i <= N; i++) {
        const struct twin *t = &x->twin[i], *b = &x->twin[best];

        if (!t->due || t->due > x->now_ns / TICK)
            continue;
        if (!best || t->due < b->due || (t->due == b->due && t->order < b->order))
            best = i;
    }
    return best;
}

static void advance(struct world *x, uint64_t to)
{
    uint32_t head, idx, want;

    if (to > x->now_ns)
        x->now_ns = to;
    head = wheel_advance(&x->w, to);
    while ((want = twin_next(x)) != 0) {
        assert_int_equal(head, want);
        idx = wheel_next_due(&x->w, &head);
        assert_int_equal(idx, want);
        assert_false(wheel_hangs(&x->w, idx));
        x->twin[idx].due = 0;
    }
    assert_int_equal(wheel_next_due(&x->w, &head), 0);
}

static uint64_t random_step(struct rng *r)
{
    uint64_t v = rng_next(r) >> 20;

    switch (rng_below(r, 10)) {
    case 0:
        return 0;
    case 1:
    case 2:
    case 3:
        return v % (3 * TICK);
    case 4:
    case 5:
        return v % (2 * SEC);
    case 6:
    case 7:
        return v % (90 * SEC);
    case 8:
        return v % (3 * 3600 * SEC);
    default:
        return v % (190 * DAY);
    }
}

static void run_random(uint64_t seed, uint64_t start_ns, int steps)
{
    struct world x;
    struct rng r;

    print_message("# seed %llu\n", (unsigned long long)seed);
    rng_seed(&r, seed);
    world_init(&x, start_ns);
    for (int i = 0; i < steps; i++) {
        uint32_t idx = 1 + (uint32_t)rng_below(&r, N), what = (uint32_t)rng_below(&r, 100);

        if (what < 60)
            hang(&x, idx, x.now_ns + random_step(&r) - (what < 5 ? TICK : 0));
        else if (what < 75)
            off(&x, idx);
        else if (what < 97)
            advance(&x, x.now_ns + random_step(&r) % (what < 95 ? 300 * SEC : 200 * DAY));
        else
            advance(&x, x.now_ns - random_step(&r) % x.now_ns);
        assert_int_equal(wheel_hangs(&x.w, idx), x.twin[idx].due != 0);
        if (i % 64 == 0)
            check(&x);
    }
    advance(&x, x.now_ns + 400 * DAY);
    assert_int_equal(x.w.count, 0);
    check(&x);
    pool_fini(&x.pool);
}

static void random_against_twin(void **state)
{
    run_random(1, 1700000000 * SEC, 100000);
    run_random(2, 5, 50000); /* virtual time: a little after 1970 */
    /* around the tick whose low 32 bits are zero */
    for (uint64_t seed = 100; seed < 140; seed++)
        run_random(seed, (77ULL << 32) * TICK - 10 * TICK - seed * SEC / 100, 1000);
}

static void never_early_at_most_a_tick_late(void **state)
{
    struct world x;

    world_init(&x, 1000 * SEC + 1);
    for (uint64_t d = 1; d < 40 * TICK; d += TICK / 7) {
        uint64_t when = x.now_ns + d, t = when - 1;

        wheel_hang(&x.w, 1, when);
        assert_int_equal(wheel_advance(&x.w, t), 0);
        assert_true(wheel_next_ns(&x.w) <= when + TICK);
        assert_true(wheel_advance(&x.w, when + TICK - 1) == 1);
        wheel_off(&x.w, 1);
        x.now_ns = when + TICK - 1;
    }
    pool_fini(&x.pool);
}

static void past_fires_at_next_advance(void **state)
{
    struct world x;
    uint32_t head;

    world_init(&x, 50 * SEC + 123);
    wheel_hang(&x.w, 3, 1);
    wheel_hang(&x.w, 4, x.now_ns);
    wheel_hang(&x.w, 5, x.now_ns + 1);
    assert_true(wheel_next_ns(&x.w) <= x.now_ns);
    head = wheel_advance(&x.w, x.now_ns - 7); /* counts as now */
    assert_int_equal(wheel_next_due(&x.w, &head), 3);
    assert_int_equal(wheel_next_due(&x.w, &head), 4);
    assert_int_equal(wheel_next_due(&x.w, &head), 0);
    assert_true(wheel_hangs(&x.w, 5));
    pool_fini(&x.pool);
}

static void first_hang_sets_the_clock(void **state)
{
    struct world x;
    uint32_t head;

    world_init(&x, 0);
    wheel_init(&x.w, &x.pool, offsetof(struct obj, timer)); /* fresh: no advance yet */
    wheel_hang(&x.w, 1, 1700000030 * SEC);
    wheel_hang(&x.w, 2, 1700000010 * SEC);
    wheel_hang(&x.w, 3, 1700000020 * SEC);
    assert_int_equal(wheel_advance(&x.w, 1700000005 * SEC), 0);
    head = wheel_advance(&x.w, 1700000040 * SEC);
    assert_int_equal(wheel_next_due(&x.w, &head), 2);
    assert_int_equal(wheel_next_due(&x.w, &head), 3);
    assert_int_equal(wheel_next_due(&x.w, &head), 1);
    pool_fini(&x.pool);
}

/* While the fired ones are worked off, each may be hung again, and others taken off or freed. */
static void fired_nodes_may_be_touched(void **state)
{
    struct world x;
    uint32_t head, seen = 0;

    world_init(&x, SEC);
    for (uint32_t i = 1; i <= 6; i++)
        wheel_hang(&x.w, i, 2 * SEC);
    head = wheel_advance(&x.w, 3 * SEC);
    assert_int_equal(wheel_next_due(&x.w, &head), 1);
    wheel_hang(&x.w, 1, 4 * SEC);
    wheel_off(&x.w, 2); /* fired, not taken yet: also first of the list */
    pool_free(&x.pool, 2);
    wheel_off(&x.w, 4);
    wheel_off(&x.w, 6); /* the last */
    wheel_hang(&x.w, 5, 3 * SEC);
    check(&x);
    while (wheel_next_due(&x.w, &head))
        seen++;
    assert_int_equal(seen, 1); /* 3 */
    head = wheel_advance(&x.w, 4 * SEC);
    assert_int_equal(wheel_next_due(&x.w, &head), 5);
    assert_int_equal(wheel_next_due(&x.w, &head), 1);
    assert_int_equal(wheel_next_due(&x.w, &head), 0);
    assert_true(wheel_next_ns(&x.w) == UINT64_MAX);
    pool_fini(&x.pool);
}

/* Nodes that nobody took stay first in line. */
static void fired_nodes_wait(void **state)
{
    struct world x;
    uint32_t head;

    world_init(&x, SEC);
    wheel_hang(&x.w, 2, 2 * SEC);
    wheel_hang(&x.w, 1, 3 * SEC);
    assert_int_equal(wheel_advance(&x.w, 2 * SEC), 2);
    head = wheel_advance(&x.w, 3 * SEC);
    assert_int_equal(wheel_next_due(&x.w, &head), 2);
    assert_int_equal(wheel_next_due(&x.w, &head), 1);
    pool_fini(&x.pool);
}

/* Ticks whose low 32 bits are the marks of a node that hangs nowhere, or fired. */
static void marks_are_no_ticks(void **state)
{
    struct world x;

    world_init(&x, ((77ULL << 32) - 6) * TICK);
    for (uint32_t i = 1; i <= 10; i++)
        hang(&x, i, x.now_ns + i * TICK);
    for (uint32_t i = 1; i <= 10; i++)
        assert_true(wheel_hangs(&x.w, i));
    check(&x);
    for (uint32_t i = 1; i <= 12; i++) {
        advance(&x, x.now_ns + TICK);
        check(&x);
    }
    assert_int_equal(x.w.count, 0);
    pool_fini(&x.pool);
}

static void far_times_are_cut(void **state)
{
    struct world x;

    world_init(&x, 1700000000 * SEC);
    wheel_hang(&x.w, 1, x.now_ns + 1000 * DAY);
    wheel_hang(&x.w, 2, UINT64_MAX);
    check(&x);
    assert_int_equal(wheel_advance(&x.w, x.now_ns + 197 * DAY), 0);
    assert_int_equal(wheel_advance(&x.w, x.now_ns + 199 * DAY), 1);
    assert_int_equal(x.w.count, 0);
    pool_fini(&x.pool);
}

static void check_finds_damage(void **state)
{
    struct world x;
    struct obj *o;

    world_init(&x, SEC);
    wheel_hang(&x.w, 1, 2 * SEC);
    wheel_hang(&x.w, 2, 2 * SEC);
    o = pool_at(&x.pool, 2);
    check(&x);
    o->timer.prev = 7;
    assert_false(wheel_check(&x.w));
    o->timer.prev = 1;
    o->timer.due += 1000;
    assert_false(wheel_check(&x.w));
    o->timer.due -= 1000;
    x.w.count++;
    assert_false(wheel_check(&x.w));
    assert_string_equal(err_text(), "2 nodes hang, count says 3");
    pool_fini(&x.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_against_twin),
        cmocka_unit_test(never_early_at_most_a_tick_late),
        cmocka_unit_test(past_fires_at_next_advance),
        cmocka_unit_test(first_hang_sets_the_clock),
        cmocka_unit_test(fired_nodes_may_be_touched),
        cmocka_unit_test(fired_nodes_wait),
        cmocka_unit_test(marks_are_no_ticks),
        cmocka_unit_test(far_times_are_cut),
        cmocka_unit_test(check_finds_damage),
    };
    return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
