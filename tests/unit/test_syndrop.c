// SPDX-License-Identifier: BSD-2-Clause
/* Dropped SYNs: known for as long as a client waits, then forgotten; few are taken for known ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "conn/syndrop.h"

#define T0 (1000 * NSEC_PER_SEC)

static struct syndrops d;
static struct memacct acct;

static void up(uint64_t limit)
{
    memset(&d, 0, sizeof(d));
    memset(&acct, 0, sizeof(acct));
    acct.limit = limit;
    assert_true(syndrops_made(&d, &acct));
}

static void down(void)
{
    syndrops_fini(&d, &acct);
    assert_int_equal(acct.used, 0);
}

/* add: n SYNs, the first of them number `from`, as the keyed hash of a random source would have it. */
static void add(uint32_t from, uint32_t n, uint64_t now)
{
    for (uint32_t i = from; i < from + n; i++)
        syndrop_add(&d, (uint32_t)hash_mix(i), i, now);
}

static uint32_t known(uint32_t from, uint32_t n)
{
    uint32_t k = 0;

    for (uint32_t i = from; i < from + n; i++)
        k += syndrop_again(&d, (uint32_t)hash_mix(i), i);
    return k;
}

static void known_for_three_seconds(void **state)
{
    up(0);
    assert_int_equal(known(1, 100), 0);
    add(1, 100, T0);
    assert_int_equal(known(1, 100), 100);
    assert_int_equal(known(1001, 100), 0);
    add(101, 100, T0 + 2999 * NSEC_PER_MSEC);
    add(201, 1, T0 + 3000 * NSEC_PER_MSEC);
    add(202, 1, T0 + 5998 * NSEC_PER_MSEC);
    assert_int_equal(known(1, 202), 202);
    add(203, 1, T0 + 6000 * NSEC_PER_MSEC);
    assert_int_equal(known(1, 200), 0);
    assert_int_equal(known(201, 3), 3);
    add(204, 1, T0 + 60 * NSEC_PER_SEC); /* both have grown old */
    assert_int_equal(known(1, 203), 0);
    assert_int_equal(known(204, 1), 1);
    down();
}

/* The ISN counts: another SYN of the same addresses is another. */
static void another_isn_is_another(void **state)
{
    up(0);
    syndrop_add(&d, 0xabcd1234, 5, T0);
    assert_true(syndrop_again(&d, 0xabcd1234, 5));
    assert_false(syndrop_again(&d, 0xabcd1234, 6));
    assert_false(syndrop_again(&d, 0xabcd1235, 5));
    down();
}

/* A flood: what was dropped a million SYNs ago is known; of others, one in three at most. */
static void flood_does_not_hide_it(void **state)
{
    const uint32_t n = 1 << 20;

    up(0);
    for (uint32_t i = 0; i < 20; i++) {
        add(i * 100000, 100000, T0 + i * 50 * NSEC_PER_MSEC);
        if (i >= 10)
            assert_int_equal(known((i - 9) * 100000, 1000), 1000);
        assert_true(known(1u << 31, 100000) < 100000 / 3);
    }
    assert_int_equal(known(20 * 100000 - (n - 1000), n - 1000), n - 1000);
    down();
}

static void budget_is_kept(void **state)
{
    up(4 << 20);
    assert_int_equal(acct.used, 256 << 10);
    assert_true(syndrops_made(&d, &acct));
    assert_int_equal(acct.used, 256 << 10);
    down();
    up(0);
    assert_int_equal(acct.used, 1 << 20);
    down();
    acct.limit = 100000;
    acct.used = 90000;
    assert_false(syndrops_made(&d, &acct));
    assert_int_equal(acct.used, 90000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_for_three_seconds),
        cmocka_unit_test(another_isn_is_another),
        cmocka_unit_test(flood_does_not_hide_it),
        cmocka_unit_test(budget_is_kept),
    };

    return cmocka_run_group_tests_name("syndrop", tests, NULL, NULL);
}
