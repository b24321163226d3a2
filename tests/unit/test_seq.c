// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_seq.c: sequence numbers modulo 2^32 (RFC 9293 3.4), on both sides of the wrap.
 */
#include "tcp/seq.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void order_holds_across_the_wrap(void **state)
{
    const uint32_t at[] = {0, 1, 1000, 0x7fffffff, 0x80000000u, 0xfffffff0u, 0xffffffffu};

    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        const uint32_t a = at[i];

        assert_true(seq_leq(a, a));
        assert_false(seq_lt(a, a));
        assert_true(seq_lt(a, a + 1));
        assert_false(seq_lt(a + 1, a));
        assert_true(seq_lt(a, a + 0x7fffffff));
        assert_false(seq_leq(a + 0x7fffffff, a));
        assert_int_equal(seq_diff(a + 100, a), 100);
        assert_int_equal(seq_diff(a, a + 100), -100);
        assert_int_equal(seq_max(a, a + 9), a + 9);
        assert_int_equal(seq_max(a + 9, a), a + 9);
    }
}

static void windows_hold_across_the_wrap(void **state)
{
    assert_true(seq_in(0xffffffff, 0xfffffff0, 0x20));
    assert_true(seq_in(0x0f, 0xfffffff0, 0x20));
    assert_false(seq_in(0x10, 0xfffffff0, 0x20));
    assert_false(seq_in(0xffffffef, 0xfffffff0, 0x20));
    assert_false(seq_in(5, 5, 0));
    assert_true(seq_in(5, 5, 1));
}

/* Offsets go on for ever; the sequence number says only the lower half. */
static void offsets_are_64_bits_long(void **state)
{
    const uint32_t base = 0xfffffff0;
    const uint64_t near[] = {0, 5, 0xffffffff, 0x100000000, 0x2fffffff3, 1ull << 40};

    for (unsigned i = 0; i < ARRAY_SIZE(near); i++)
        for (int64_t d = -100000; d <= 100000; d += 9999) {
            const int64_t want = (int64_t)near[i] + d;

            assert_int_equal(seq_to_off(base + (uint32_t)want, base, near[i]), want);
        }
    assert_int_equal(seq_to_off(base - 1, base, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_holds_across_the_wrap),
        cmocka_unit_test(windows_hold_across_the_wrap),
        cmocka_unit_test(offsets_are_64_bits_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
