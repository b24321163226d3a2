// SPDX-License-Identifier: BSD-2-Clause
/* Keyed hash and seeded random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"

/* Values published with the algorithms: they must not change between machines or versions, or logs
 * would. */
static void known_answers(void **state)
{
    struct rng r;

    assert_true(hash_bytes("", 0, 0) == 0x2d06800538d394c2ULL);
    rng_seed(&r, 1234567);
    assert_true(rng_next(&r) == 6457827717110365317ULL);
    assert_true(rng_next(&r) == 3203168211198807973ULL);
}

/* One bit of input, or of seed, flips about half of the output. */
static void every_bit_counts(void **state)
{
    uint8_t key[40] = {0};

    for (unsigned len = 1; len <= sizeof(key); len++) {
        uint64_t h0 = hash_bytes(key, len, 99);

        for (unsigned bit = 0; bit < 8 * len; bit++) {
            int flipped;

            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            flipped = __builtin_popcountll(h0 ^ hash_bytes(key, len, 99));
            key[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_in_range(flipped, 8, 56);
        }
        for (unsigned bit = 0; bit < 64; bit++)
            assert_true(hash_bytes(key, len, 99 ^ 1ULL << bit) != h0);
    }
}

static void below_covers_its_range(void **state)
{
    unsigned seen[10] = {0};
    struct rng r;

    rng_seed(&r, 7);
    for (int i = 0; i < 10000; i++) {
        uint64_t v = rng_below(&r, 10);

        assert_in_range(v, 0, 9);
        seen[v]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 850, 1150);
    assert_int_equal(rng_below(&r, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(below_covers_its_range),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
