// SPDX-License-Identifier: BSD-2-Clause
/* test_route.c: addresses read, and the longest prefix found, against a naive twin. SEED= prints its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "engine/route.h"

static struct ipaddr addr(const char *text)
{
    struct ipaddr a;

    assert_true(ipaddr_read(text, &a, NULL));
    return a;
}

static struct route to(const char *prefix, uint8_t ifidx)
{
    struct route r = {.ifidx = ifidx};

    assert_true(ipaddr_read(prefix, &r.net, &r.len));
    return r;
}

static int way(const struct route_table *t, const char *text)
{
    const struct ipaddr a = addr(text);
    const struct route *r = route_find(t, &a);

    return r ? r->ifidx : -1;
}

static void reads(void **state)
{
    static const char *const wrong[] = {"",           "10.0.0",       "10.0.0.1/",  "10.0.0.1/33",
                                        "10.0.0.1/x", "10.0.0.1/-1",  "::1/129",    "10.0.0.0/8 ",
                                        "g::1",       "10.0.0.1/8/8", "1.2.3.4/+8", "eth0"};
    struct ipaddr a;
    uint8_t len;

    assert_true(ipaddr_read("10.0.0.1", &a, &len) && len == 32 && !a.v6 && a.b[0] == 10);
    assert_true(ipaddr_read("2001:db8::1/64", &a, &len) && len == 64 && a.v6 && a.b[15] == 1);
    assert_true(ipaddr_read("0.0.0.0/0", &a, &len) && len == 0);
    assert_false(ipaddr_read("10.0.0.1/8", &a, NULL));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(ipaddr_read(wrong[i], &a, &len));
}

static void longest(void **state)
{
    static const char *const prefixes[] = {"10.0.0.0/8",    "0.0.0.0/0", "10.1.0.0/16", "10.1.2.3",
                                           "2001:db8::/32", "::/0",      "10.1.2.0/23"};
    struct route_table t = {0};

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        struct route r = to(prefixes[i], (uint8_t)i);

        assert_int_equal(route_add(&t, &r), 0);
    }
    assert_int_equal(way(&t, "10.1.2.3"), 3);
    assert_int_equal(way(&t, "10.1.3.3"), 6);
    assert_int_equal(way(&t, "10.1.4.3"), 2);
    assert_int_equal(way(&t, "10.2.0.0"), 0);
    assert_int_equal(way(&t, "11.0.0.0"), 1);
    assert_int_equal(way(&t, "2001:db8:ffff::"), 4);
    assert_int_equal(way(&t, "::1"), 5);
    route_drop(&t);
    assert_int_equal(way(&t, "10.1.2.3"), -1);
}

static void refused(void **state)
{
    struct route_table t = {0};
    struct route r = to("10.1.2.3/16", 1), same = to("10.1.0.0/16", 2), more = to("10.1.0.0/17", 2);

    assert_int_equal(route_add(&t, &r), 0);
    assert_int_equal(route_add(&t, &same), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(route_add(&t, &more), 0);
    assert_int_equal(way(&t, "10.1.200.0"), 1);
    assert_int_equal(way(&t, "10.1.100.0"), 2);
    for (uint32_t i = 2; i < ROUTE_MAX; i++) {
        struct route one = to("11.0.0.0/32", 3);

        memcpy(one.net.b + 1, &i, 3);
        assert_int_equal(route_add(&t, &one), 0);
    }
    r = to("12.0.0.0/8", 1);
    assert_int_equal(route_add(&t, &r), -1);
    assert_int_equal(errno, ENOSPC);
    route_drop(&t);
}

static bool bit(const struct ipaddr *a, unsigned i)
{
    return a->b[i / 8] >> (7 - i % 8) & 1;
}

/* The twin: bit by bit. */
static int twin(const struct route *v, int n, const struct ipaddr *a)
{
    int best = -1;

    for (int i = 0; i < n; i++) {
        unsigned k = 0;

        while (v[i].net.v6 == a->v6 && k < v[i].len && bit(&v[i].net, k) == bit(a, k))
            k++;
        if (v[i].net.v6 == a->v6 && k == v[i].len && (best < 0 || v[i].len > v[best].len))
            best = i;
    }
    return best < 0 ? -1 : v[best].ifidx;
}

/* Few bits differ, so that prefixes and addresses meet. */
static struct ipaddr any(struct rng *r)
{
    struct ipaddr a = {.v6 = rng_below(r, 2)};

    for (int i = 0; i < (a.v6 ? 16 : 4); i++)
        a.b[i] = rng_below(r, 3) ? 0xa5 : (uint8_t)(0xa5 ^ 1 << rng_below(r, 8));
    return a;
}

static void against_twin(void **state)
{
    const char *env = getenv("SEED");
    const uint64_t seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
    struct rng rng;

    printf("# SEED=%llu\n", (unsigned long long)seed);
    rng_seed(&rng, seed);
    for (int round = 0; round < 200; round++) {
        struct route_table t = {0};
        struct route v[40];
        int n = 0;

        for (int i = 0; i < 40; i++) {
            struct route r = {.net = any(&rng), .ifidx = (uint8_t)i};

            r.len = (uint8_t)rng_below(&rng, r.net.v6 ? 129 : 33);
            if (route_add(&t, &r) == 0)
                v[n++] = r;
        }
        for (int i = 0; i < 100; i++) {
            const struct ipaddr a = any(&rng);
            const struct route *r = route_find(&t, &a);

            assert_int_equal(r ? r->ifidx : -1, twin(v, n, &a));
        }
        route_drop(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(longest),
        cmocka_unit_test(refused),
        cmocka_unit_test(against_twin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
