// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_seqmap_model.c: random streams, edited, acknowledged and repeated at random, against a naive twin
 * that has every byte of both sides with the place it came from. STEPS and SEED in the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "conn/seqmap.h"
#include "repeat.h"
#include "tcp/seq.h"

#define LONGEST 4000 /* bytes of a stream on either side */
#define EDITS   400

/* The twin: which of the sender's bytes a change took, and what of the receiver's it made. */
struct twin_edit {
    int s, slen, r, rlen;
};

static struct {
    struct rng r;
    struct seqmap map;
    uint32_t s0, r0; /* numbers of the first bytes */
    uint8_t sent[LONGEST], got[LONGEST];
    int ns, nr, acked; /* bytes; of the receiver's, those acknowledged */
    int forgotten;     /* behind the last change that the receiver has whole */
    struct twin_edit e[EDITS];
    int ne;
    uint64_t steps, edits, rebuilt, blocks;
} m;

static uint64_t seed;

#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s; SEED=%llu, step %llu: ", #cond, (unsigned long long)seed,         \
                    (unsigned long long)m.steps);                                                  \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static int below(int n)
{
    return (int)rng_below(&m.r, (uint32_t)n);
}

static uint8_t any_byte(void)
{
    return (uint8_t)rng_next(&m.r);
}

/* ---- the twin ---- */

/* twin_ack: the sender's place for an ACK of the receiver's r, by looking at every change. */
static int twin_ack(int r)
{
    int shift = 0;

    for (int i = 0; i < m.ne; i++) {
        const struct twin_edit *e = &m.e[i];

        if (e->r + e->rlen <= r)
            shift = e->s + e->slen - (e->r + e->rlen);
        else if (e->r < r)
            return e->s;
    }
    return r + shift;
}

/* twin_begins: the same, in front of all deletions there that are still known. */
static int twin_begins(int r)
{
    int s = twin_ack(r);

    for (int i = m.ne - 1; i >= 0; i--) {
        const struct twin_edit *e = &m.e[i];

        if (e->rlen == 0 && e->r == r && e->s + e->slen == s && e->s + e->slen > m.forgotten)
            s = e->s;
    }
    return s;
}

/* twin_r: the receiver's place for the sender's s. */
static int twin_r(int s)
{
    int shift = 0;

    for (int i = 0; i < m.ne; i++) {
        const struct twin_edit *e = &m.e[i];

        if (e->s + e->slen <= s)
            shift = e->r + e->rlen - (e->s + e->slen);
        else if (e->s < s)
            return e->r;
    }
    return s + shift;
}

/* ---- steps ---- */

static void begin(void)
{
    seqmap_fini(&m.map);
    m.s0 = (uint32_t)rng_next(&m.r);
    m.r0 = below(2) ? m.s0 : (uint32_t)rng_next(&m.r);
    if (below(3) == 0)
        m.s0 = UINT32_MAX - (uint32_t)below(LONGEST); /* it wraps */
    m.ns = m.nr = m.acked = m.ne = m.forgotten = 0;
    seqmap_init(&m.map, m.s0, m.r0);
}

static void pass(void)
{
    int n = below(20);

    for (int i = 0; i < n; i++)
        m.sent[m.ns++] = m.got[m.nr++] = any_byte();
    seqmap_pass(&m.map, (uint32_t)n);
}

static void edit(void)
{
    int slen = 1 + below(12), rlen = below(3) ? below(20) : below(2) ? slen : 0;
    uint8_t *bytes = rlen ? malloc((size_t)rlen) : NULL;

    assert_true(seqmap_reserve(&m.map));
    m.e[m.ne++] = (struct twin_edit){.s = m.ns, .slen = slen, .r = m.nr, .rlen = rlen};
    for (int i = 0; i < slen; i++)
        m.sent[m.ns++] = any_byte();
    for (int i = 0; i < rlen; i++)
        bytes[i] = m.got[m.nr++] = any_byte();
    seqmap_edit(&m.map, (uint32_t)slen, bytes, (uint32_t)rlen);
    m.edits++;
}

static void ack(void)
{
    if (m.acked < m.nr)
        m.acked += below(m.nr - m.acked + 1);
    seqmap_acked(&m.map, m.r0 + (uint32_t)m.acked);
    for (int i = 0; i < m.ne; i++)
        if (m.e[i].r + m.e[i].rlen <= m.acked)
            m.forgotten = m.e[i].s + m.e[i].slen;
}

/* ---- looking ---- */

static void look_at_acks(void)
{
    int a = m.acked + below(m.nr - m.acked + 2), b = m.acked + below(m.nr - m.acked + 2);
    uint32_t sa = seqmap_to_s(&m.map, m.r0 + (uint32_t)a) - m.s0;
    uint32_t sb = seqmap_to_s(&m.map, m.r0 + (uint32_t)b) - m.s0;
    uint32_t start, end;

    uint32_t begins = seqmap_begins(&m.map, m.r0 + (uint32_t)a);

    CHECK((int)sa == twin_ack(a), "ACK of %d is %d, not %d", a, (int)sa, twin_ack(a));
    CHECK((int)(begins - m.s0) == twin_begins(a), "%d begins at %d, not %d", a,
          (int)(begins - m.s0), twin_begins(a));
    CHECK(a > b || (int)sa <= (int)sb, "ACKs %d and %d fall", a, b);
    if (a > b)
        return;
    start = m.r0 + (uint32_t)a;
    end = m.r0 + (uint32_t)b;
    if (!seqmap_sack(&m.map, &start, &end))
        return;
    m.blocks++;
    for (int i = (int)(start - m.s0); i < (int)(end - m.s0) && i < m.ns; i++)
        for (int k = 0; k < m.ne; k++)
            if (i >= m.e[k].s && i < m.e[k].s + m.e[k].slen && m.e[k].rlen)
                CHECK(m.e[k].r >= a && m.e[k].r + m.e[k].rlen <= b, "block %d-%d takes byte %d", a,
                      b, i);
}

static void look_at_surplus(void)
{
    int more = (m.nr - m.acked) - (m.ns - twin_ack(m.acked));
    uint32_t got = seqmap_surplus(&m.map, m.r0 + (uint32_t)m.acked);

    CHECK((int)got == (more > 0 ? more : 0), "surplus %u, not %d", got, more);
}

/* look_at_repetition: any cut of what was sent: the bytes that the receiver has there, at their place. */
static void look_at_shifts(void)
{
    bool shifts = m.s0 + (uint32_t)m.ns != m.r0 + (uint32_t)m.nr;

    for (int i = 0; i < m.ne; i++)
        if (m.e[i].s + m.e[i].slen > m.forgotten && m.e[i].slen != m.e[i].rlen)
            shifts = true;
    CHECK(seqmap_shifts(&m.map) == shifts, "%d edits, %d acked", m.ne, m.acked);
}

static void look_at_repetition(void)
{
    int low = m.forgotten, s = below(m.ns + 1), len = below(m.ns - s + 1), at;
    uint8_t out[LONGEST];
    uint32_t r, n;

    if (len == 0 || s + len <= low)
        return;
    n = seqmap_rebuild(&m.map, m.s0 + (uint32_t)s, (uint32_t)len, false, m.sent + s, out,
                       sizeof(out), &r);
    at = (int)(r - m.r0);
    m.rebuilt++;
    CHECK(n != UINT32_MAX && at >= 0 && at + (int)n <= m.nr, "%u bytes at %d of %d", n, at, m.nr);
    CHECK(at == twin_r(s < low ? low : s), "byte %d is at %d", s, at);
    CHECK(memcmp(out, m.got + at, n) == 0, "bytes %d+%d", s, len);
    CHECK(at + (int)n >= twin_r(s + len), "too few: %d+%u, up to %d", at, n, twin_r(s + len));
    CHECK(seqmap_touched(&m.map, m.s0 + (uint32_t)s, (uint32_t)len, false) ||
              ((int)n == len && memcmp(out, m.sent + s, n) == 0),
          "untouched %d+%d differs", s, len);
    CHECK(n == 0 || seqmap_rebuild(&m.map, m.s0 + (uint32_t)s, (uint32_t)len, false, m.sent + s,
                                   out, n - 1, &r) == UINT32_MAX,
          "it does not fit");
}

static void step(void)
{
    if (m.steps == 0 || m.ns > LONGEST - 50 || m.nr > LONGEST - 50 || m.ne == EDITS ||
        below(500) == 0)
        begin();
    switch (below(6)) {
    case 0:
    case 1:
        pass();
        break;
    case 2:
        edit();
        break;
    case 3:
        ack();
        break;
    default:
        look_at_repetition();
    }
    look_at_acks();
    look_at_surplus();
    look_at_shifts();
    m.steps++;
}

static void test_twin(void **state)
{
    const uint64_t steps = env_number("STEPS", 1000000);

    seed = env_seed();
    rng_seed(&m.r, seed);
    while (m.steps < steps)
        step();
    seqmap_fini(&m.map);
    assert_true(m.edits > steps / 20 && m.rebuilt > steps / 20 && m.blocks > steps / 20);
}

/* Contract 6, by hand. */
static void test_rules(void **state)
{
    struct seqmap map;
    uint32_t a = 1025, b = 1030, r;
    uint8_t out[64], *bytes = malloc(3);

    memcpy(bytes, "xyz", 3);
    seqmap_init(&map, 1000, 1000);
    seqmap_pass(&map, 10);
    assert_true(seqmap_reserve(&map));
    seqmap_edit(&map, 5, NULL, 0); /* 1010-1015 are gone */
    seqmap_pass(&map, 10);
    assert_true(seqmap_reserve(&map));
    seqmap_edit(&map, 1, bytes, 3); /* 1025 is three bytes at 1020 */
    seqmap_pass(&map, 4);
    assert_int_equal(seqmap_to_s(&map, 1009), 1009);
    assert_int_equal(seqmap_to_s(&map, 1010), 1015); /* at a deletion: the far end */
    assert_int_equal(seqmap_to_s(&map, 1020), 1025);
    assert_int_equal(seqmap_to_s(&map, 1022), 1025); /* within an insertion: the near end */
    assert_int_equal(seqmap_to_s(&map, 1023), 1026);
    assert_int_equal(seqmap_to_s(&map, 1027), 1030);
    assert_int_equal(seqmap_to_s(&map, 1028), 1031); /* a FIN */
    assert_int_equal(seqmap_surplus(&map, 1010), 2);
    a = 1021;
    b = 1022;
    assert_false(seqmap_sack(&map, &a, &b)); /* empty */
    a = 1021;
    b = 1025;
    assert_true(seqmap_sack(&map, &a, &b));
    assert_int_equal(a, 1026); /* the change is not whole */
    assert_int_equal(b, 1028);
    assert_int_equal(
        seqmap_rebuild(&map, 1012, 14, false, (uint8_t *)"0123456789abcd", out, 64, &r), 13);
    assert_int_equal(r, 1010);
    assert_memory_equal(out, "3456789abcxyz", 13);
    seqmap_acked(&map, 1022);
    assert_int_equal(map.n, 1);
    assert_int_equal(map.una_s, 1025);
    seqmap_acked(&map, 1028);
    assert_int_equal(map.n, 0);
    assert_int_equal(seqmap_to_r(&map, 1030), 1027);
    seqmap_fini(&map);
}

/* What is inserted in front of a FIN is repeated with the FIN. */
static void test_before_fin(void **state)
{
    struct seqmap map;
    uint8_t out[8], *bytes = malloc(3);
    uint32_t r;

    memcpy(bytes, "bye", 3);
    seqmap_init(&map, 100, 100);
    seqmap_pass(&map, 10);
    assert_true(seqmap_reserve(&map));
    seqmap_edit(&map, 0, bytes, 3);
    assert_int_equal(seqmap_to_s(&map, 110), 110);
    assert_int_equal(seqmap_to_s(&map, 113), 110);
    assert_int_equal(seqmap_to_s(&map, 114), 111);
    assert_false(seqmap_touched(&map, 105, 5, false));
    assert_int_equal(seqmap_rebuild(&map, 110, 0, true, NULL, out, 8, &r), 3);
    assert_int_equal(r, 110);
    assert_memory_equal(out, "bye", 3);
    seqmap_fini(&map);
}

/* Gigabytes behind the last change repetitions are what they are. */
static void test_far(void **state)
{
    struct seqmap map;
    uint32_t step = 1u << 28, r;
    uint8_t out[64];

    seqmap_init(&map, 1000, 1000);
    assert_true(seqmap_reserve(&map));
    seqmap_edit(&map, 5, NULL, 0);
    for (int i = 0; i < 64; i++) {
        seqmap_pass(&map, step);
        assert_false(seqmap_touched(&map, map.nxt_s - 10, 10, false));
        assert_int_equal(
            seqmap_rebuild(&map, map.nxt_s - 10, 10, false, (uint8_t *)"0123456789", out, 64, &r),
            10);
        assert_int_equal(r, map.nxt_r - 10);
        assert_int_equal(map.nxt_s - map.nxt_r, 5);
        seqmap_acked(&map, map.nxt_r);
    }
    seqmap_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_before_fin),
        cmocka_unit_test(test_far),
        cmocka_unit_test(test_twin),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
