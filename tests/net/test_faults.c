// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_faults.c: the bad line does what it is told, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "faults.h"
#include "wire/csum.h"

enum { N = 20000, LEN = 14 + 20 + 20 + 100, DATA = 54, HEAD = 34 };

static struct {
    uint32_t n;
    uint32_t at[4 * N]; /* number of the frame */
    uint32_t len[4 * N];
    uint8_t frame[4 * N][LEN];
} got;

/* frame: number i, of a connection between two ports. */
static void frame(uint8_t *p, uint32_t i, uint8_t port)
{
    struct rng r = {i};
    uint16_t sum;

    memset(p, 0, LEN);
    p[12] = 8;
    p[14] = 0x45;
    p[17] = LEN - 14;
    p[22] = 64;
    p[23] = 6;
    sum = csum_fold(csum_add(0, p + 14, 20));
    memcpy(p + 24, &sum, 2);
    p[35] = port;
    p[46] = 0x50;
    for (int k = DATA; k < LEN; k++)
        p[k] = (uint8_t)rng_next(&r);
    memcpy(p + DATA, &i, 4);
}

static void out(void *arg, const uint8_t *f, uint32_t len)
{
    assert_true(got.n < 4 * N && len <= LEN);
    memcpy(&got.at[got.n], f + DATA, 4);
    memcpy(got.frame[got.n], f, len);
    got.len[got.n++] = len;
}

static struct fault_totals pass(const struct fault_cfg *c, uint64_t seed, bool ports)
{
    struct faults *f = faults_new(c, seed, out, NULL);
    struct fault_totals t;
    uint8_t buf[LEN];

    assert_non_null(f);
    got.n = 0;
    for (uint32_t i = 0; i < N; i++) {
        frame(buf, i, ports ? (uint8_t)(i % 3) : 0);
        faults_frame(f, buf, LEN, i);
    }
    faults_flush(f);
    assert_true(faults_due(f) == UINT64_MAX);
    t = *faults_totals(f);
    faults_free(f);
    return t;
}

static void nothing_happens_to_a_good_line(void **state)
{
    pass(&(struct fault_cfg){.reorder_max = 3}, 1, false);
    assert_int_equal(got.n, N);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(got.at[i], i);
}

static void drops_are_as_many_as_asked_for(void **state)
{
    struct fault_totals t = pass(&(struct fault_cfg){.drop = 50000, .reorder_max = 3}, 2, false);

    assert_int_equal(got.n + t.dropped, N);
    assert_in_range(t.dropped, N / 20 - 150, N / 20 + 150);
}

static void duplicates_come_twice(void **state)
{
    struct fault_totals t =
        pass(&(struct fault_cfg){.duplicate = 20000, .reorder_max = 3}, 3, false);
    uint32_t twice = 0;

    assert_int_equal(got.n, N + t.duplicated);
    assert_in_range(t.duplicated, N / 50 - 100, N / 50 + 100);
    for (uint32_t i = 1; i < got.n; i++)
        twice += got.at[i] == got.at[i - 1];
    assert_int_equal(twice, t.duplicated);
}

/* A held frame goes behind 1 to 3 later ones of its own connection, which may be held themselves. */
static void reordering_keeps_close(void **state)
{
    struct fault_totals t = pass(&(struct fault_cfg){.reorder = 20000, .reorder_max = 3}, 4, true);
    uint32_t moved = 0;

    assert_int_equal(got.n, N);
    assert_in_range(t.reordered, N / 50 - 100, N / 50 + 100);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t later = 0;

        for (uint32_t k = i > 40 ? i - 40 : 0; k < i; k++)
            later += got.at[k] > got.at[i] && got.at[k] % 3 == got.at[i] % 3;
        assert_in_range(later, 0, 6);
        moved += later > 0;
    }
    assert_in_range(moved, t.reordered * 9 / 10, t.reordered);
}

static void a_delayed_frame_waits_for_its_time(void **state)
{
    const struct fault_cfg c = {.delay = 1000000, .delay_max_us = 100, .reorder_max = 3};
    struct faults *f = faults_new(&c, 5, out, NULL);
    uint8_t buf[LEN];

    got.n = 0;
    frame(buf, 7, 0);
    faults_frame(f, buf, LEN, 1000);
    assert_int_equal(got.n, 0);
    assert_in_range(faults_due(f), 1001, 1000 + 100000);
    faults_tick(f, faults_due(f) - 1);
    assert_int_equal(got.n, 0);
    faults_tick(f, faults_due(f));
    assert_int_equal(got.n, 1);
    faults_free(f);
}

static void corruption_is_one_byte(void **state)
{
    struct fault_totals t =
        pass(&(struct fault_cfg){.corrupt = 1000000, .reorder_max = 3}, 6, false);
    uint8_t buf[LEN];

    assert_int_equal(t.corrupted, N);
    for (uint32_t i = 0; i < N; i++) {
        int differ = 0;

        frame(buf, i, 0);
        for (int k = 0; k < LEN; k++)
            differ += buf[k] != got.frame[i][k];
        assert_int_equal(differ, 1);
    }
}

/* piece: its bytes go to their place. => how many. */
static uint32_t piece(const uint8_t *p, uint32_t len, uint8_t *whole, bool *last)
{
    uint32_t word = (uint32_t)p[20] << 8 | p[21], off = (word & 0x1fff) * 8;

    assert_int_equal(csum_fold(csum_add(0, p + 14, 20)), 0);
    assert_int_equal((uint32_t)p[16] << 8 | p[17], len - 14);
    assert_true(HEAD + off + (len - HEAD) <= LEN);
    memcpy(whole + HEAD + off, p + HEAD, len - HEAD);
    *last = !(word & 0x2000);
    return len - HEAD;
}

static void fragments_make_the_whole(void **state)
{
    struct fault_totals t =
        pass(&(struct fault_cfg){.fragment = 1000000, .reorder_max = 3}, 7, false);
    uint32_t at = 0;

    assert_int_equal(t.fragmented, N);
    assert_true(got.n > 2 * N);
    for (uint32_t i = 0; i < N; i++) {
        uint8_t buf[LEN], whole[LEN] = {0};
        uint32_t bytes = 0, ident = 0, lasts = 0;

        frame(buf, i, 0);
        for (; bytes < LEN - HEAD; at++) {
            bool last;

            if (bytes)
                assert_memory_equal(&ident, got.frame[at] + 18, 2);
            memcpy(&ident, got.frame[at] + 18, 2);
            bytes += piece(got.frame[at], got.len[at], whole, &last);
            lasts += last;
        }
        assert_int_equal(bytes, LEN - HEAD);
        assert_int_equal(lasts, 1);
        assert_memory_equal(whole + HEAD, buf + HEAD, LEN - HEAD);
    }
    assert_int_equal(at, got.n);
}

static void a_damaged_header_is_not_healed(void **state)
{
    const struct fault_cfg c = {.corrupt = 1000000, .fragment = 1000000, .reorder_max = 3};
    struct fault_totals t = pass(&c, 10, false);

    for (uint32_t i = 0; i < got.n; i++)
        if (got.len[i] < LEN)
            assert_int_equal(csum_fold(csum_add(0, got.frame[i] + 14, 20)), 0);
    assert_in_range(N - t.fragmented, N * 20 / LEN * 9 / 10, N * 24 / LEN * 11 / 10);
}

static void the_same_seed_does_the_same(void **state)
{
    const struct fault_cfg c = {.drop = 30000,
                                .duplicate = 10000,
                                .reorder = 20000,
                                .reorder_max = 3,
                                .corrupt = 5000,
                                .delay = 5000,
                                .delay_max_us = 50,
                                .fragment = 10000};
    static uint8_t first[4 * N][LEN];
    uint32_t n;

    pass(&c, 8, true);
    n = got.n;
    memcpy(first, got.frame, sizeof(first));
    pass(&c, 8, true);
    assert_int_equal(got.n, n);
    assert_memory_equal(first, got.frame, (size_t)n * LEN);
    pass(&c, 9, true);
    assert_true(got.n != n || memcmp(first, got.frame, (size_t)n * LEN) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_to_a_good_line),
        cmocka_unit_test(drops_are_as_many_as_asked_for),
        cmocka_unit_test(duplicates_come_twice),
        cmocka_unit_test(reordering_keeps_close),
        cmocka_unit_test(a_delayed_frame_waits_for_its_time),
        cmocka_unit_test(corruption_is_one_byte),
        cmocka_unit_test(fragments_make_the_whole),
        cmocka_unit_test(a_damaged_header_is_not_healed),
        cmocka_unit_test(the_same_seed_does_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
