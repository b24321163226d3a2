// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_key.c: one key for both directions, and another one for anything else.
 */
#include "flow/keyhash.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECRET 0x1234567890abcdefULL

static const uint8_t A[4] = {10, 0, 0, 1}, B[4] = {10, 0, 0, 2};
static const uint8_t A6[16] = {0x20, 1, 0xd, 0xb8, [15] = 1},
                     B6[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

static void both_directions_give_one_key(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        const void *a = v6 ? A6 : A, *b = v6 ? B6 : B;
        struct flow_key k, r;

        assert_int_equal(key_make(&k, v6, a, htons(40000), b, htons(80), 6, 7), 0);
        assert_int_equal(key_make(&r, v6, b, htons(80), a, htons(40000), 6, 7), 1);
        assert_true(key_eq(&k, &r));
        assert_int_equal(key_hash(&k, SECRET), key_hash(&r, SECRET));
        assert_memory_equal(k.addr[0], a, v6 ? 16 : 4);
        assert_memory_equal(k.addr[1], b, v6 ? 16 : 4);
        assert_int_equal(k.port[0], htons(40000));
        assert_int_equal(k.port[1], htons(80));
        assert_int_equal(k.realm, 7);
        assert_int_equal(k.v6, v6);
    }
}

static void order_is_address_then_port_in_network_order(void **state)
{
    const uint8_t lo[16] = {1, [15] = 9}, hi[16] = {2}; /* as a host integer hi < lo */
    struct flow_key k;

    assert_int_equal(key_make(&k, true, hi, htons(1), lo, htons(2), 6, 0), 1);
    assert_int_equal(key_make(&k, true, A6, htons(256), A6, htons(2), 6, 0), 1);
    assert_int_equal(key_make(&k, true, A6, htons(2), A6, htons(256), 6, 0), 0);
    assert_int_equal(k.port[0], htons(2));
    assert_int_equal(key_make(&k, true, A6, htons(40000), A6, htons(80), 6, 0), 1); /* unsigned */
}

/* IPv4 has an order of its own; whichever it is, it is one: of two ends each is the same in both directions. */
static void order_of_v4_is_that_of_records(void **state)
{
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t a = htonl(0x0a000000 + i % 8), b = htonl(0x0a000000 + i / 8);
        const uint16_t ap = htons((uint16_t)(i * 7919)), bp = htons((uint16_t)(i * 104729));
        const bool same = a == b && ap == bp;
        struct flow_key k, r;
        struct key_end end[2];
        uint64_t v[2];

        assert_int_equal(
            key_make(&k, false, &a, ap, &b, bp, 6, 0x80000000u + i),
            key_order_v4(key_end_v4(a, ap, 0), key_end_v4(b, bp, 0), 0x80000000u + i, v));
        assert_int_equal(!key_make(&r, false, &b, bp, &a, ap, 6, 0x80000000u + i),
                         same || key_make(&k, false, &a, ap, &b, bp, 6, 0x80000000u + i));
        assert_true(key_eq(&k, &r));
        key_ends(&k, end);
        assert_true(key_end_word(&end[0]) == v[0] && key_end_word(&end[1]) == v[1]);
        assert_int_equal(key_hash(&k, SECRET), key_hash_v4(v, 6, SECRET));
    }
}

static void equal_endpoints_send_as_endpoint_0(void **state)
{
    struct flow_key k, r;

    assert_int_equal(key_make(&k, false, A, htons(7), A, htons(7), 6, 0), 0);
    assert_int_equal(key_make(&r, false, A, htons(7), A, htons(7), 6, 0), 0);
    assert_true(key_eq(&k, &r));
}

/* Each part on its own makes another key, and (with this secret) another hash. */
static void every_part_counts(void **state)
{
    struct flow_key k, o[8];
    const uint8_t a16[16] = {10, 0, 0, 1}, b16[16] = {10, 0, 0, 2};
    int n = 0;

    key_make(&k, false, A, htons(1), B, htons(2), 6, 0);
    key_make(&o[n++], false, A, htons(3), B, htons(2), 6, 0);
    key_make(&o[n++], false, A, htons(1), B, htons(3), 6, 0);
    key_make(&o[n++], false, A, htons(2), B, htons(1), 6, 0); /* ports swapped, addresses not */
    key_make(&o[n++], false, A, htons(1), A, htons(2), 6, 0);
    key_make(&o[n++], false, A, htons(1), B, htons(2), 17, 0);
    key_make(&o[n++], false, A, htons(1), B, htons(2), 6, 1);
    key_make(&o[n++], false, A, htons(1), B, htons(2), 6, 0x80000000u);
    key_make(&o[n++], true, a16, htons(1), b16, htons(2), 6, 0); /* same bytes, other family */
    for (int i = 0; i < n; i++) {
        assert_false(key_eq(&k, &o[i]));
        assert_int_not_equal(key_hash(&k, SECRET), key_hash(&o[i], SECRET));
    }
}

static void every_byte_of_an_ipv6_address_counts(void **state)
{
    struct flow_key k, o;

    key_make(&k, true, A6, htons(1), B6, htons(2), 6, 0);
    for (int i = 0; i < 32; i++) {
        o = k;
        o.addr[i / 16][i % 16] ^= 0x40;
        assert_false(key_eq(&k, &o));
        assert_int_not_equal(key_hash(&k, SECRET), key_hash(&o, SECRET));
    }
}

static void hash_depends_on_the_secret(void **state)
{
    struct flow_key k, k6;

    key_make(&k, false, A, htons(1), B, htons(2), 6, 0);
    key_make(&k6, true, A6, htons(1), B6, htons(2), 6, 0);
    assert_int_not_equal(key_hash(&k, 1), key_hash(&k, 2));
    assert_int_not_equal(key_hash(&k6, 1), key_hash(&k6, 2));
}

static void key_from_a_decoded_segment(void **state)
{
    struct pktbuf pb = {.realm = 42};
    struct seg s = {
        .pb = &pb, .level = SEG_TCP, .l4proto = 6, .sport = htons(80), .dport = htons(9)};
    struct flow_key k, want;

    memcpy(s.src.b, B, 4);
    memcpy(s.dst.b, A, 4);
    assert_int_equal(key_of_seg(&k, &s), 1);
    key_make(&want, false, A, htons(9), B, htons(80), 6, 42);
    assert_true(key_eq(&k, &want));

    s.flags = SEG_IP6;
    memcpy(s.src.b, A6, 16);
    memcpy(s.dst.b, B6, 16);
    assert_int_equal(key_of_seg(&k, &s), 0);
    key_make(&want, true, A6, htons(80), B6, htons(9), 6, 42);
    assert_true(key_eq(&k, &want));
}

/* longest: of n keys that meet in one of 1,024 places under secret `chosen_for`: most in one place. */
static unsigned longest(uint64_t chosen_for, uint64_t secret, unsigned n)
{
    unsigned in[1024] = {0}, most = 0;
    struct flow_key k;

    for (uint32_t i = 0; n; i++) {
        const uint32_t src = htonl(i >> 4);

        key_make(&k, false, &src, htons((uint16_t)(1000 + (i & 15))), B, htons(80), 6, 0);
        if ((key_hash(&k, chosen_for) & 1023) != 0)
            continue;
        n--;
        if (++in[key_hash(&k, secret) & 1023] > most)
            most = in[key_hash(&k, secret) & 1023];
    }
    return most;
}

/* Keys chosen to meet in one place do so under the secret they were chosen for only. */
static void chosen_keys_do_not_meet(void **state)
{
    assert_int_equal(longest(0x57656972, 0x57656972, 2000), 2000);
    for (uint64_t secret = 1; secret < 20; secret++)
        assert_true(longest(0x57656972, secret * 0x9e3779b97f4a7c15ULL, 2000) <= 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_give_one_key),
        cmocka_unit_test(order_is_address_then_port_in_network_order),
        cmocka_unit_test(order_of_v4_is_that_of_records),
        cmocka_unit_test(equal_endpoints_send_as_endpoint_0),
        cmocka_unit_test(every_part_counts),
        cmocka_unit_test(every_byte_of_an_ipv6_address_counts),
        cmocka_unit_test(hash_depends_on_the_secret),
        cmocka_unit_test(key_from_a_decoded_segment),
        cmocka_unit_test(chosen_keys_do_not_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
