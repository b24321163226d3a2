// SPDX-License-Identifier: BSD-2-Clause
/* test_neightab.c: neighbours asked for, learned, asked again and forgotten, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "engine/neightab.h"

enum { SEC = 1000 }; /* times are in ms here */

static struct neigh_table t;

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2};

static struct ipaddr host(uint32_t n)
{
    struct ipaddr a = {0};

    memcpy(a.b, &n, 4);
    return a;
}

static uint64_t at(uint64_t ms)
{
    return (1000 * SEC + ms) * NSEC_PER_MSEC;
}

static enum neigh_answer find(uint32_t n, uint64_t ms, uint8_t mac[6])
{
    const struct ipaddr a = host(n);
    uint8_t none[6];
    enum neigh_answer answer = neigh_find(&t, 1, &a, at(ms), mac ? mac : none);

    assert_true(neigh_check(&t));
    return answer;
}

static void learn(uint32_t n, const uint8_t *mac, uint64_t ms, bool create)
{
    const struct ipaddr a = host(n);

    neigh_learn(&t, 1, &a, mac, at(ms), create);
    assert_true(neigh_check(&t));
}

/* How many questions are due? */
static int due(uint64_t ms)
{
    struct neigh out[NEIGH_MAX];
    int n = neigh_due(&t, at(ms), out, NEIGH_MAX);

    assert_true(neigh_check(&t));
    return n;
}

static int fresh(void **state)
{
    neigh_init(&t, 42);
    return 0;
}

static int gone(void **state)
{
    neigh_fini(&t);
    return 0;
}

static void asked_and_answered(void **state)
{
    uint64_t version = neigh_version(&t);
    uint8_t mac[6];

    assert_int_equal(find(1, 0, NULL), NEIGH_ASK);
    assert_int_equal(find(1, 1, NULL), NEIGH_WAIT);
    assert_int_equal(find(2, 1, NULL), NEIGH_ASK);
    learn(1, mac_a, 2, false);
    assert_true(neigh_version(&t) != version);
    assert_int_equal(find(1, 3, mac), NEIGH_YES);
    assert_memory_equal(mac, mac_a, 6);
    version = neigh_version(&t);
    learn(1, mac_a, 4, false);
    assert_int_equal(neigh_version(&t), version);
    learn(1, mac_b, 5, false);
    assert_true(neigh_version(&t) != version);
    assert_int_equal(find(1, 6, mac), NEIGH_YES);
    assert_memory_equal(mac, mac_b, 6);
}

static void nobody_answers(void **state)
{
    assert_int_equal(find(1, 0, NULL), NEIGH_ASK);
    assert_int_equal(due(999), 0);
    assert_int_equal(due(1000), 1);
    assert_int_equal(due(1500), 0);
    assert_int_equal(due(2000), 1);
    assert_int_equal(find(1, 2999, NULL), NEIGH_WAIT);
    assert_int_equal(due(3000), 0);
    assert_int_equal(find(1, 3001, NULL), NEIGH_NO);
    assert_int_equal(find(1, 3999, NULL), NEIGH_NO);
    assert_int_equal(find(1, 4000, NULL), NEIGH_ASK); /* once more */
    learn(1, mac_a, 4001, false);
    assert_int_equal(find(1, 4002, NULL), NEIGH_YES);
}

static void asked_again_while_it_is_used(void **state)
{
    const uint64_t version = neigh_version(&t);
    struct neigh out[2];

    find(1, 0, NULL);
    learn(1, mac_a, 0, false);
    assert_int_equal(find(1, 29 * SEC, NULL), NEIGH_YES);
    assert_int_equal(due(30 * SEC - 1), 0);
    assert_int_equal(neigh_due(&t, at(30 * SEC), out, 2), 1);
    assert_int_equal(out[0].state, NEIGH_KNOWN);
    assert_memory_equal(out[0].mac, mac_a, 6);
    assert_int_equal(find(1, 30 * SEC + 1, NULL), NEIGH_YES); /* meanwhile */
    learn(1, mac_a, 30 * SEC + 2, false);
    assert_int_equal(due(59 * SEC), 0);
    assert_int_equal(find(1, 59 * SEC, NULL), NEIGH_YES);
    assert_int_equal(due(61 * SEC), 1); /* and now it is silent */
    assert_int_equal(due(62 * SEC), 1);
    assert_int_equal(due(63 * SEC), 1);
    assert_int_equal(find(1, 63 * SEC + 500, NULL), NEIGH_YES);
    assert_int_equal(neigh_version(&t), version + 1);
    assert_int_equal(due(64 * SEC), 0);
    assert_int_equal(neigh_version(&t), version + 2); /* who remembers it must ask again */
    assert_int_equal(find(1, 64 * SEC, NULL), NEIGH_NO);
}

static void forgotten_when_not_used(void **state)
{
    find(1, 0, NULL);
    learn(1, mac_a, 0, false);
    assert_int_equal(due(31 * SEC), 0); /* nobody wants it: not asked */
    assert_int_equal(due(59 * SEC), 0);
    assert_int_equal(find(1, 59 * SEC, NULL), NEIGH_YES);
    assert_int_equal(due(60 * SEC), 1); /* used again: asked */
    learn(1, mac_a, 60 * SEC, false);
    assert_int_equal(due(91 * SEC), 0);
    assert_int_equal(due(119 * SEC), 0);
    assert_int_equal(due(120 * SEC), 0);
    assert_int_equal(find(1, 120 * SEC + 1, NULL), NEIGH_ASK);
}

static void who_is_learned(void **state)
{
    learn(1, mac_a, 0, false); /* nobody asked for it: anybody could say so */
    assert_int_equal(find(1, 1, NULL), NEIGH_ASK);
    learn(2, mac_a, 0, true);
    assert_int_equal(find(2, 1, NULL), NEIGH_YES);
}

static void fixed_ones_stay(void **state)
{
    const struct ipaddr a = host(7);
    uint8_t mac[6];

    assert_int_equal(neigh_fix(&t, 1, &a, mac_a), 0);
    learn(7, mac_b, 0, false);
    assert_int_equal(due(1000 * SEC), 0);
    assert_int_equal(find(7, 2000 * SEC, mac), NEIGH_YES);
    assert_memory_equal(mac, mac_a, 6);
}

static void interfaces_differ(void **state)
{
    const struct ipaddr a = host(1);
    uint8_t mac[6];

    learn(1, mac_a, 0, true);
    assert_int_equal(neigh_find(&t, 2, &a, at(1), mac), NEIGH_ASK);
    neigh_learn(&t, 2, &a, mac_b, at(2), false);
    assert_int_equal(find(1, 3, mac), NEIGH_YES);
    assert_memory_equal(mac, mac_a, 6);
}

/* A scan throws out what it made itself, not those who answer. */
static void bounded(void **state)
{
    for (uint32_t i = 0; i < 100; i++)
        learn(1 + i, mac_a, i, true);
    for (uint32_t i = 0; i < 5 * NEIGH_MAX; i++)
        assert_int_equal(find(1000 + i, 1000 + i, NULL), NEIGH_ASK);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(find(1 + i, 10000, NULL), NEIGH_YES);
    assert_int_equal(find(1000, 10000, NULL), NEIGH_ASK);
    assert_int_equal(find(1000 + 5 * NEIGH_MAX - 1, 10000, NULL), NEIGH_WAIT);
    for (uint32_t i = 0; i < NEIGH_MAX; i++) {
        const struct ipaddr a = host(100000 + i);

        assert_int_equal(neigh_fix(&t, 1, &a, mac_a), 0);
    }
    assert_int_equal(find(5, 10001, NULL), NEIGH_NO);
    assert_int_equal(neigh_fix(&t, 1, &(struct ipaddr){0}, mac_a), -1);
}

/* What does not fit into one answer comes in the next. */
static void many_are_due(void **state)
{
    struct neigh out[10];
    int all = 0, n;

    for (uint32_t i = 0; i < 95; i++)
        find(i, 0, NULL);
    while ((n = neigh_due(&t, at(1000), out, 10)) > 0)
        all += n;
    assert_int_equal(all, 95);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(asked_and_answered),      CASE(nobody_answers), CASE(asked_again_while_it_is_used),
        CASE(forgotten_when_not_used), CASE(who_is_learned), CASE(fixed_ones_stay),
        CASE(interfaces_differ),       CASE(bounded),        CASE(many_are_due),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
