// SPDX-License-Identifier: BSD-2-Clause
/* Interval lists: union, cover, pop, and a random run against a bitmap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "stream/chunk.h"

struct fix {
    struct memacct acct;
    struct strm_env e;
    struct ivals l;
};

static void setup(struct fix *f)
{
    memset(f, 0, sizeof(*f));
    strm_env_init(&f->e, &f->acct, 1000, 1000);
}

static void teardown(struct fix *f)
{
    ival_free_all(&f->e, &f->l);
    assert_int_equal(f->l.n, 0);
    assert_int_equal(blkpool_used(&f->e.blks), 0);
    strm_env_fini(&f->e);
    assert_int_equal(f->acct.used, 0);
}

static uint64_t add(struct fix *f, uint64_t start, uint64_t end)
{
    return ival_add(&f->e, &f->l, start, end);
}

/* is: the list is exactly the given n pairs. */
static void is(const struct fix *f, uint32_t n, const uint64_t (*want)[2])
{
    assert_int_equal(f->l.n, n);
    for (uint32_t k = 0; k < n; k++) {
        assert_int_equal(ival_at(&f->e, &f->l, k)->start, want[k][0]);
        assert_int_equal(ival_at(&f->e, &f->l, k)->end, want[k][1]);
    }
    assert_int_equal(blkpool_used(&f->e.blks), n > 0);
}

#define IS(f, ...)                                                                                 \
    is((f), sizeof((const uint64_t[][2]){__VA_ARGS__}) / sizeof(uint64_t[2]),                      \
       (const uint64_t[][2]){__VA_ARGS__})

static void apart_stay_apart_and_sorted(void **state)
{
    struct fix f;

    setup(&f);
    assert_int_equal(add(&f, 50, 60), 10);
    assert_int_equal(add(&f, 10, 20), 10);
    assert_int_equal(add(&f, 90, 91), 1);
    assert_int_equal(add(&f, 22, 49), 27); /* one byte off on both sides */
    IS(&f, {10, 20}, {22, 49}, {50, 60}, {90, 91});
    teardown(&f);
}

static void neighbours_join(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 10, 20);
    assert_int_equal(add(&f, 20, 30), 10); /* behind */
    IS(&f, {10, 30});
    assert_int_equal(add(&f, 5, 10), 5); /* before */
    IS(&f, {5, 30});
    add(&f, 40, 50);
    assert_int_equal(add(&f, 30, 40), 10); /* between */
    IS(&f, {5, 50});
    teardown(&f);
}

static void overlaps_count_new_bytes_only(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 10, 20);
    assert_int_equal(add(&f, 10, 20), 0);
    assert_int_equal(add(&f, 12, 18), 0);
    assert_int_equal(add(&f, 5, 15), 5);
    assert_int_equal(add(&f, 15, 25), 5);
    IS(&f, {5, 25});
    add(&f, 30, 40);
    add(&f, 50, 60);
    add(&f, 70, 80);
    assert_int_equal(add(&f, 35, 75), 20); /* 40-50 and 60-70 */
    IS(&f, {5, 25}, {30, 80});
    assert_int_equal(add(&f, 0, 100), 5 + 5 + 20);
    IS(&f, {0, 100});
    teardown(&f);
}

static void offsets_are_64_bits(void **state)
{
    const uint64_t high = (1ULL << 40) + 7;
    struct fix f;

    setup(&f);
    add(&f, high, high + 10);
    assert_int_equal(add(&f, 0, 10), 10);
    assert_int_equal(add(&f, 10, high), high - 10);
    IS(&f, {0, high + 10});
    teardown(&f);
}

static void cover_and_pop(void **state)
{
    struct fix f;

    setup(&f);
    assert_int_equal(ival_cover(&f.e, &f.l, 0, 100), 0);
    add(&f, 10, 20);
    add(&f, 30, 40);
    assert_int_equal(ival_cover(&f.e, &f.l, 0, 10), 0);
    assert_int_equal(ival_cover(&f.e, &f.l, 0, 11), 1);
    assert_int_equal(ival_cover(&f.e, &f.l, 19, 31), 2);
    assert_int_equal(ival_cover(&f.e, &f.l, 20, 30), 0);
    assert_int_equal(ival_cover(&f.e, &f.l, 0, 100), 20);
    assert_int_equal(ival_cover(&f.e, &f.l, 12, 15), 3);
    assert_int_equal(ival_cover(&f.e, &f.l, 40, 100), 0);
    assert_int_equal(ival_find(&f.e, &f.l, 20), 0);
    assert_int_equal(ival_find(&f.e, &f.l, 21), 1);
    assert_int_equal(ival_find(&f.e, &f.l, 41), 2);
    ival_pop(&f.e, &f.l);
    IS(&f, {30, 40});
    add(&f, 50, 60);
    add(&f, 70, 80);
    assert_int_equal(ival_cut(&f.e, &f.l, 55), 15);
    IS(&f, {30, 40}, {50, 55});
    assert_int_equal(ival_cut(&f.e, &f.l, 55), 0);
    assert_int_equal(ival_cut(&f.e, &f.l, 0), 15);
    assert_int_equal(f.l.blk, 0);
    teardown(&f);
}

static void out_of_memory_changes_nothing(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 10, 20);
    add(&f, 30, 40);
    f.acct.limit = f.acct.used; /* two fit into the smallest block */
    assert_true(add(&f, 50, 60) == UINT64_MAX);
    assert_true(add(&f, 0, 9) == UINT64_MAX);
    IS(&f, {10, 20}, {30, 40});
    assert_int_equal(add(&f, 20, 25), 5); /* extending takes none */
    assert_int_equal(add(&f, 25, 30), 5);
    IS(&f, {10, 40});
    teardown(&f);
}

#define ROOM 300

static void check_bits(const struct fix *f, const uint8_t *bit)
{
    uint32_t n = 0;

    for (uint32_t at = 0; at < ROOM; at++) {
        if (!bit[at])
            continue;
        assert_true(n < f->l.n);
        assert_int_equal(ival_at(&f->e, &f->l, n)->start, at);
        while (at < ROOM && bit[at])
            at++;
        assert_int_equal(ival_at(&f->e, &f->l, n)->end, at);
        n++;
    }
    assert_int_equal(f->l.n, n);
}

static void random_against_bitmap(void **state)
{
    struct rng r;
    struct fix f;

    rng_seed(&r, 7);
    for (int round = 0; round < 200; round++) {
        uint8_t bit[ROOM + 1] = {0};

        setup(&f);
        for (int step = 0; step < 60; step++) {
            uint32_t from = (uint32_t)rng_below(&r, ROOM), room = ROOM - from;
            uint32_t to = from + 1 + (uint32_t)rng_below(&r, room < 20 ? room : 20);
            uint64_t fresh = 0;

            for (uint32_t i = from; i < to; i++)
                fresh += !bit[i];
            assert_int_equal(ival_cover(&f.e, &f.l, from, to), to - from - fresh);
            assert_int_equal(add(&f, from, to), fresh);
            memset(bit + from, 1, to - from);
            check_bits(&f, bit);
        }
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apart_stay_apart_and_sorted),
        cmocka_unit_test(neighbours_join),
        cmocka_unit_test(overlaps_count_new_bytes_only),
        cmocka_unit_test(offsets_are_64_bits),
        cmocka_unit_test(cover_and_pop),
        cmocka_unit_test(out_of_memory_changes_nothing),
        cmocka_unit_test(random_against_bitmap),
    };
    return cmocka_run_group_tests_name("ival", tests, NULL, NULL);
}
