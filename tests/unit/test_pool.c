// SPDX-License-Identifier: BSD-2-Clause
/* Pools: growth, limits, the account, index 0, poison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/pool.h"

#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define N 1000

static void takes_nothing_until_used(void **state)
{
    struct memacct acct = {0};
    struct pool p;

    pool_init(&p, "t", 24, 8, 100, 0, &acct);
    assert_int_equal(pool_bytes(&p), 0);
    assert_int_equal(acct.used + acct.allocs, 0);
    assert_int_equal(p.size, 24);
    assert_int_equal(p.mask, 127); /* rounded up to a power of two */
    pool_fini(&p);
}

static void grows_and_never_moves(void **state)
{
    struct memacct acct = {0};
    struct pool p;
    uint32_t *first, idx;

    pool_init(&p, "t", 40, 8, 16, 0, &acct);
    idx = pool_zalloc(&p);
    assert_int_equal(idx, 1);
    first = pool_at(&p, idx);
    *first = 0x12345678;
    for (uint32_t i = 2; i <= N; i++) {
        idx = pool_alloc(&p);
        assert_int_equal(idx, i); /* dense, never 0 */
        memset(pool_at(&p, idx), 0xff, 40);
    }
    assert_ptr_equal(first, pool_at(&p, 1));
    assert_int_equal(*first, 0x12345678);
    assert_int_equal(p.used, N);
    assert_int_equal(p.nslabs, N / 16 + 1);
    assert_int_equal(pool_bytes(&p), acct.used);
    assert_true(acct.allocs >= p.nslabs);
    pool_fini(&p);
    assert_int_equal(acct.used, 0);
}

static void reuses_without_the_system(void **state)
{
    struct memacct acct = {0};
    struct pool p;
    uint32_t idx[N];
    uint64_t before;

    pool_init(&p, "t", 12, 4, 64, 0, &acct);
    for (int i = 0; i < N; i++)
        idx[i] = pool_alloc(&p);
    before = acct.allocs;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < N; i += 3)
            pool_free(&p, idx[i]);
        for (int i = 0; i < N; i += 3)
            assert_int_not_equal(idx[i] = pool_alloc(&p), 0);
    }
    assert_int_equal(acct.allocs, before);
    assert_int_equal(p.used, N);
    pool_free(&p, 77);
    assert_int_equal(pool_alloc(&p), 77); /* last in, first out */
    pool_fini(&p);
}

static void zalloc_clears_used_objects(void **state)
{
    struct pool p;
    uint32_t idx;

    pool_init(&p, "t", 64, 64, 4, 0, NULL);
    idx = pool_alloc(&p);
    memset(pool_at(&p, idx), 0xa5, 64);
    pool_free(&p, idx);
    assert_int_equal(pool_zalloc(&p), idx);
    for (int i = 0; i < 64; i++)
        assert_int_equal(((uint8_t *)pool_at(&p, idx))[i], 0);
    assert_int_equal((uintptr_t)pool_at(&p, idx) % 64, 0);
    pool_fini(&p);
}

static void object_limit_holds(void **state)
{
    struct pool p;

    pool_init(&p, "t", 16, 8, 4, 5, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_not_equal(pool_alloc(&p), 0);
    assert_int_equal(pool_alloc(&p), 0);
    assert_int_equal(pool_zalloc(&p), 0);
    pool_free(&p, 3);
    assert_int_equal(pool_alloc(&p), 3);
    assert_int_equal(pool_alloc(&p), 0);
    pool_fini(&p);
}

static void account_is_shared(void **state)
{
    struct memacct acct = {.limit = 3000};
    struct pool a, b;
    uint32_t n = 0;

    pool_init(&a, "a", 64, 8, 16, 0, &acct);  /* slabs of 1024 */
    pool_init(&b, "b", 128, 8, 16, 0, &acct); /* of 2048 */
    assert_int_not_equal(pool_alloc(&a), 0);
    assert_int_equal(acct.used, 1024);
    assert_int_equal(pool_alloc(&b), 0); /* 3072 > 3000 */
    assert_int_equal(acct.used, 1024);
    while (pool_alloc(&a))
        n++;
    assert_int_equal(acct.used, 2048);
    assert_int_equal(n + 1, 31); /* two slabs without slot 0 */
    pool_fini(&a);
    assert_int_equal(acct.used, 0);
    assert_int_not_equal(pool_alloc(&b), 0);
    pool_fini(&b);
    assert_int_equal(acct.used, 0);
}

static void live_tells_free_from_out(void **state)
{
    struct pool p;
    uint32_t a, b;

    pool_init(&p, "t", 8, 8, 8, 0, NULL);
    a = pool_alloc(&p);
    b = pool_alloc(&p);
    assert_true(pool_live(&p, a) && pool_live(&p, b));
    assert_false(pool_live(&p, 0));
    assert_false(pool_live(&p, b + 1));
    pool_free(&p, a);
    assert_false(pool_live(&p, a));
    assert_true(pool_live(&p, b));
    pool_free(&p, b);
    assert_false(pool_live(&p, a) || pool_live(&p, b));
    pool_fini(&p);
}

/* Random hands in and out against an array of flags; each object keeps its own pattern. */
static void random_against_twin(void **state)
{
    struct pool p;
    uint32_t out[257], nout = 0;
    bool is_out[258] = {false};
    uint64_t seed = 4711;
    struct rng r;

    print_message("# seed %llu\n", (unsigned long long)seed);
    rng_seed(&r, seed);
    pool_init(&p, "t", 20, 4, 32, 257, NULL);
    for (int step = 0; step < 100000; step++) {
        if (rng_below(&r, 2) && nout < 257) {
            uint32_t idx = pool_alloc(&p);

            assert_in_range(idx, 1, 257);
            assert_false(is_out[idx]);
            is_out[idx] = true;
            memset(pool_at(&p, idx), (int)(idx & 0xff), 20);
            out[nout++] = idx;
        } else if (nout) {
            uint32_t at = (uint32_t)rng_below(&r, nout), idx = out[at];
            uint8_t *o = pool_at(&p, idx);

            assert_true(o[0] == (idx & 0xff) && o[19] == (idx & 0xff));
            pool_free(&p, idx);
            is_out[idx] = false;
            out[at] = out[--nout];
        }
        assert_int_equal(p.used, nout);
    }
    pool_fini(&p);
}

#ifdef WEIR_ASAN
static void free_objects_are_poisoned(void **state)
{
    struct pool p;
    uint32_t a, b;

    pool_init(&p, "t", 12, 4, 8, 0, NULL);
    a = pool_alloc(&p);
    b = pool_alloc(&p);
    assert_null(__asan_region_is_poisoned(pool_at(&p, a), 12));
    pool_free(&p, a);
    assert_non_null(__asan_region_is_poisoned(pool_at(&p, a), 1));
    assert_false(pool_live(&p, a)); /* looking leaves the poison */
    assert_non_null(__asan_region_is_poisoned(pool_at(&p, a), 1));
    assert_null(__asan_region_is_poisoned(pool_at(&p, b), 12));
    assert_non_null(__asan_region_is_poisoned(p.slab[0], 1));
    pool_fini(&p);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_nothing_until_used),  cmocka_unit_test(grows_and_never_moves),
        cmocka_unit_test(reuses_without_the_system), cmocka_unit_test(zalloc_clears_used_objects),
        cmocka_unit_test(object_limit_holds),        cmocka_unit_test(account_is_shared),
        cmocka_unit_test(live_tells_free_from_out),  cmocka_unit_test(random_against_twin),
#ifdef WEIR_ASAN
        cmocka_unit_test(free_objects_are_poisoned),
#endif
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
