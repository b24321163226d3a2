// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_tcpopt.c: TCP options alone: random ones against a naive parser, in memory of exactly their size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "wire/decode.h"

/* What the naive parser finds: by position, with no fast path and nothing shared. */
struct found {
    bool ts, mss, wscale, sackok, tfo, auth, bad;
    uint32_t tsval, tsecr, mss_value, shift, nsack;
    uint32_t edges[8];
};

static uint32_t be(const uint8_t *p, uint32_t n)
{
    uint32_t v = 0;

    while (n-- > 0)
        v = v * 256 + *p++;
    return v;
}

static void naive_one(struct found *f, const uint8_t *o, uint32_t n)
{
    if (o[0] == 2 && n == 4) {
        f->mss = true;
        f->mss_value = be(o + 2, 2);
    } else if (o[0] == 3 && n == 3) {
        f->wscale = true;
        f->shift = o[2] < 14 ? o[2] : 14;
    } else if (o[0] == 4 && n == 2) {
        f->sackok = true;
    } else if (o[0] == 5 && (n == 2 || n == 10 || n == 18 || n == 26 || n == 34)) {
        f->nsack = (n - 2) / 8;
        for (uint32_t i = 0; i < 2 * f->nsack; i++)
            f->edges[i] = be(o + 2 + 4 * i, 4);
    } else if (o[0] == 8 && n == 10) {
        f->ts = true;
        f->tsval = be(o + 2, 4);
        f->tsecr = be(o + 6, 4);
    } else if (o[0] == 34 || (o[0] == 254 && n >= 4 && o[2] == 0xf9 && o[3] == 0x89)) {
        f->tfo = true;
    } else if ((o[0] == 19 && n == 18) || (o[0] == 29 && n >= 4)) {
        f->auth = true;
    }
}

static struct found naive(const uint8_t *o, uint32_t len)
{
    struct found f = {0};
    uint32_t i = 0;

    while (i < len && o[i] != 0 && !f.bad) {
        if (o[i] == 1) {
            i++;
        } else if (i + 1 >= len || o[i + 1] < 2 || i + o[i + 1] > len) {
            f.bad = true;
        } else {
            naive_one(&f, o + i, o[i + 1]);
            i += o[i + 1];
        }
    }
    return f;
}

static bool agree(const struct seg *s, const struct found *f)
{
    uint32_t flags = (f->ts ? SEG_TS : 0) | (f->mss ? SEG_MSS : 0) | (f->wscale ? SEG_WSCALE : 0) |
                     (f->sackok ? SEG_SACKOK : 0) | (f->tfo ? SEG_TFO : 0) |
                     (f->auth ? SEG_AUTH : 0) | (f->bad ? SEG_OPT_BAD : 0);

    for (uint32_t i = 0; i < f->nsack; i++) {
        if (s->sack[i].start != f->edges[2 * i] || s->sack[i].end != f->edges[2 * i + 1])
            return false;
    }
    return s->flags == flags && s->tsval == f->tsval && s->tsecr == f->tsecr &&
           s->mss == f->mss_value && s->wscale == f->shift && s->nsack == f->nsack;
}

static void check(const uint8_t *opts, uint32_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    struct found want = naive(opts, len);
    struct seg s = {0};

    memcpy(copy, opts, len);
    decode_tcp_options(&s, copy, len);
    free(copy);
    if (agree(&s, &want))
        return;
    for (uint32_t i = 0; i < len; i++)
        print_error("%02x ", opts[i]);
    fail_msg("flags %x, ts %u %u, mss %u, wscale %u, nsack %u", s.flags, s.tsval, s.tsecr, s.mss,
             s.wscale, s.nsack);
}

static unsigned seed = 20240229;

static uint32_t pick(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

/* random_options: mostly valid kinds and lengths, now and then anything. */
static uint32_t random_options(uint8_t out[40])
{
    static const uint8_t kinds[][2] = {{2, 4},   {3, 3},  {4, 2},   {5, 10},  {5, 18},
                                       {5, 34},  {8, 10}, {1, 1},   {19, 18}, {29, 16},
                                       {34, 10}, {34, 2}, {254, 4}, {77, 6}};
    uint32_t n = 0, want = pick(11) * 4;

    for (uint32_t i = 0; i < 40; i++)
        out[i] = (uint8_t)pick(256);
    while (n < want) {
        const uint8_t *k = kinds[pick(ARRAY_SIZE(kinds))];

        if (n + k[1] > 40)
            break;
        out[n] = k[0];
        if (k[0] != 1)
            out[n + 1] = pick(20) ? k[1] : (uint8_t)pick(256);
        if (k[0] == 254 && pick(2))
            memcpy(out + n + 2, "\xf9\x89", 2);
        n += k[1];
    }
    return pick(8) ? n : pick(41);
}

static void random_ones(void **state)
{
    uint8_t opts[40];

    print_message("seed %u\n", seed);
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t len = random_options(opts);

        check(opts, len);
    }
}

static void every_prefix(void **state)
{
    static const uint8_t opts[] =
        "\2\4\5\xb4\4\2\x8\xa\0\0\0\1\0\0\0\2\1\3\3\7\5\xa\0\0\0\1\0\0\0\2\xfe\4\xf9\x89";

    for (uint32_t len = 0; len < sizeof(opts); len++)
        check(opts, len);
}

static void fast_path_is_only_a_short_cut(void **state)
{
    check((const uint8_t *)"\1\1\x8\xa\0\0\0\1\0\0\0\2", 12);
    check((const uint8_t *)"\1\1\x8\xa\0\0\0\1\0\0\0\2\3\3\7\0", 16);
    check((const uint8_t *)"\1\1\x8\xb\0\0\0\1\0\0\0\2", 12);
    check((const uint8_t *)"\1\1\x8\xa\0\0\0\1\0\0\0", 11);
}

/* The usual layouts, and each with one byte that has any other value, and cut off or with more behind. */
static void usual_ones_are_only_short_cuts(void **state)
{
    static const struct {
        uint8_t opts[24], len;
    } v[] = {{"\1\1\x8\xa\0\0\0\1\0\0\0\2", 12},
             {"\2\4\5\xb4\4\2\x8\xa\0\0\0\1\0\0\0\2\1\3\3\7", 20},
             {"\2\4\5\xb4\1\3\3\x8\1\1\4\2", 12}};
    uint8_t opts[24];

    for (uint32_t i = 0; i < ARRAY_SIZE(v); i++) {
        for (uint32_t len = 0; len <= sizeof(opts); len++)
            check(v[i].opts, len);
        for (uint32_t at = 0; at < v[i].len; at++)
            for (uint32_t byte = 0; byte < 256; byte++) {
                memcpy(opts, v[i].opts, sizeof(opts));
                opts[at] = (uint8_t)byte;
                check(opts, v[i].len);
            }
    }
}

static void kept_values(void **state)
{
    struct seg s = {.flags = SEG_IP6 | SEG_TRUNC};

    decode_tcp_options(&s, (const uint8_t *)"\3\3\x9", 3); /* only adds */
    assert_int_equal(s.flags, SEG_IP6 | SEG_TRUNC | SEG_WSCALE);
    assert_int_equal(s.wscale, 9);
    decode_tcp_options(&s, (const uint8_t *)"\3\3\xf", 3); /* RFC 7323 2.3 */
    assert_int_equal(s.wscale, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_ones),
        cmocka_unit_test(every_prefix),
        cmocka_unit_test(fast_path_is_only_a_short_cut),
        cmocka_unit_test(usual_ones_are_only_short_cuts),
        cmocka_unit_test(kept_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
