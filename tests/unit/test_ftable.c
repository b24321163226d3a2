// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_ftable.c: the flow table by hand: who finds what under which key, and what is left at the
 * end.
 */
#include "flow/glance.h"

#include "base/errtext.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fix {
    struct memacct acct;
    struct ftable t;
};

static void check(const struct ftable *t)
{
    if (!ftable_check(t))
        fail_msg("%s", err_text());
}

static int setup(void **state)
{
    static struct fix f;

    memset(&f, 0, sizeof(f));
    *state = &f;
    return ftable_init(&f.t, 0, 99, &f.acct);
}

/* Every case ends with every byte given back; cases themselves empty the table. */
static int teardown(void **state)
{
    struct fix *f = *state;

    check(&f->t);
    assert_int_equal(f->t.flows.used + f->t.tombs.used + f->t.keys6.used + f->t.alts.used, 0);
    ftable_fini(&f->t);
    assert_int_equal(f->acct.used, 0);
    return 0;
}

/* Key of 10.0.0.a:ap -> 10.0.0.b:bp. => endpoint of a. */
static int key(struct flow_key *k, int a, int ap, int b, int bp)
{
    const uint8_t s[4] = {10, 0, 0, (uint8_t)a}, d[4] = {10, 0, 0, (uint8_t)b};

    return key_make(k, false, s, htons((uint16_t)ap), d, htons((uint16_t)bp), 6, 0);
}

static struct flow_hit find(struct ftable *t, int a, int ap, int b, int bp)
{
    struct flow_key k;
    int end = key(&k, a, ap, b, bp);

    return ftable_find(t, &k, ftable_hash(t, &k), end);
}

static uint32_t new_flow(struct ftable *t, int a, int ap, int b, int bp)
{
    struct flow_key k;
    int end = key(&k, a, ap, b, bp);

    return ftable_new(t, &k, ftable_hash(t, &k), end, 1000);
}

#define WANT_HIT(h, i, f, s)                                                                       \
    do {                                                                                           \
        struct flow_hit h_ = (h);                                                                  \
        assert_int_equal(h_.idx, (i));                                                             \
        assert_int_equal(h_.from, (f));                                                            \
        assert_int_equal(h_.second, (s));                                                          \
    } while (0)
#define WANT_MISS(h) assert_int_equal((h).idx, 0)

/* beyond_the_first: of 10,000 hashes without a flow, how many need more than one line? */
static int beyond_the_first(const struct ftable *t)
{
    const struct buckets *b = ftable_slots(t);
    int more = 0;

    for (uint32_t i = 0; i < 10000; i++) {
        struct flow_key k;
        uint32_t hash;

        key(&k, 8, (int)i, 7, 80);
        hash = ftable_hash(t, &k);
        more += bucket_beyond(bucket_of(b, hash), hash);
    }
    return more;
}

static void misses_stay_in_one_line(void **state)
{
    enum { N = 15000 };
    static uint32_t idx[N];
    struct ftable *t = &((struct fix *)*state)->t;

    for (int i = 0; i < N; i++)
        idx[i] = new_flow(t, 1 + i % 5, 1000 + i, 2, 80);
    check(t);
    assert_true(ftable_slots(t)->over.used > 300);
    assert_in_range(beyond_the_first(t), 1, 300);
    for (int i = 0; i < N; i++)
        assert_int_equal(find(t, 1 + i % 5, 1000 + i, 2, 80).idx, idx[i]);
    for (int i = 0; i < N; i++)
        ftable_del(t, idx[i]);
    assert_int_equal(beyond_the_first(t), 0);
}

/* A line's splits ask the owner for hashes up to 2^12 buckets, then what the line keeps: four bits, then the tags. */
static void many_splits_lose_nobody(void **state)
{
    enum { N = 480000, PORTS = 60000 };
    static uint32_t idx[N];
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t due = 1u << 11;

    for (int i = 0; i < N; i++) {
        idx[i] = new_flow(t, 1 + i / PORTS, 1000 + i % PORTS, 20, 80);
        if (ftable_slots(t)->n >= due) {
            check(t);
            due *= 2;
        }
    }
    assert_true(ftable_slots(t)->n > 1u << 16);
    check(t);
    for (int i = 0; i < N; i += 2)
        ftable_del(t, idx[i]);
    check(t);
    for (int i = 0; i < N; i++)
        assert_int_equal(find(t, 1 + i / PORTS, 1000 + i % PORTS, 20, 80).idx, i % 2 ? idx[i] : 0);
    for (int i = 1; i < N; i += 2)
        ftable_del(t, idx[i]);
}

static void both_ends_find_the_flow(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t up = new_flow(t, 1, 1000, 2, 80), down = new_flow(t, 9, 1000, 2, 80);

    assert_true(up && down);
    WANT_HIT(find(t, 1, 1000, 2, 80), up, CLI, 0);
    WANT_HIT(find(t, 2, 80, 1, 1000), up, SVR, 0);
    WANT_HIT(find(t, 9, 1000, 2, 80), down, CLI, 0);
    WANT_HIT(find(t, 2, 80, 9, 1000), down, SVR, 0);
    WANT_MISS(find(t, 1, 1001, 2, 80));
    WANT_MISS(find(t, 1, 80, 2, 1000));
    check(t);
    ftable_del(t, up);
    WANT_MISS(find(t, 1, 1000, 2, 80));
    WANT_HIT(find(t, 2, 80, 9, 1000), down, SVR, 0);
    ftable_del(t, down);
    assert_int_equal(t->count, 0);
}

static void a_new_record_is_empty_but_for_key_and_time(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t idx = new_flow(t, 9, 1000, 2, 80);
    struct flow *f = flow_at(t, idx), want = {0};
    struct flow_key k, got;

    key(&k, 9, 1000, 2, 80);
    assert_int_equal(flow_get_key(t, f, &got), 1);
    assert_true(key_eq(&k, &got));
    assert_int_equal(f->hash, ftable_hash(t, &k));
    assert_int_equal(f->start, 1000);
    assert_int_equal(f->last, 1000);
    assert_memory_equal(f->side, want.side, sizeof(f->side));
    assert_memory_equal(f->ctr, want.ctr, sizeof(f->ctr));

    /* The record's memory comes back dirty; the next user must not see that. */
    memset(f->side, 0xff, sizeof(f->side));
    ftable_del(t, idx);
    idx = new_flow(t, 9, 1000, 2, 80);
    assert_memory_equal(flow_at(t, idx)->side, want.side, sizeof(f->side));
    ftable_del(t, idx);
}

static void addresses_of_both_sides(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    const uint8_t a6[16] = {0xfe, 0x80, [15] = 9}, b6[16] = {0xfe, 0x80, [15] = 2};
    struct flow_key k, got;
    uint16_t port;
    uint32_t v4 = new_flow(t, 9, 1000, 2, 80);
    int end = key_make(&k, true, a6, htons(1000), b6, htons(80), 6, 0);
    uint32_t v6 = ftable_new(t, &k, ftable_hash(t, &k), end, 1);

    assert_int_equal(flow_addr(t, flow_at(t, v4), CLI, &port)[3], 9);
    assert_int_equal(port, htons(1000));
    assert_int_equal(flow_addr(t, flow_at(t, v4), SVR, &port)[3], 2);
    assert_int_equal(port, htons(80));
    assert_memory_equal(flow_addr(t, flow_at(t, v6), CLI, &port), a6, 16);
    assert_int_equal(port, htons(1000));
    assert_memory_equal(flow_addr(t, flow_at(t, v6), SVR, NULL), b6, 16);
    assert_int_equal(flow_get_key(t, flow_at(t, v6), &got), end);
    assert_true(key_eq(&k, &got));
    WANT_HIT(ftable_find(t, &k, ftable_hash(t, &k), !end), v6, SVR, 0);
    k.addr[0][7] = 1;
    WANT_MISS(ftable_find(t, &k, ftable_hash(t, &k), end));
    assert_int_equal(t->keys6.used, 1);
    check(t);
    ftable_del(t, v4);
    ftable_del(t, v6);
}

static void realm_and_protocol_are_part_of_the_key(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    struct flow_key k[4];
    uint32_t idx[4];

    for (int i = 0; i < 4; i++) {
        key(&k[i], 1, 53, 2, 53);
        k[i].realm = (uint32_t)i & 1;
        k[i].proto = i & 2 ? 17 : 6;
        /* The same hash for all: only the comparison tells them apart. */
        idx[i] = ftable_new(t, &k[i], 7, 0, 1);
    }
    for (int i = 0; i < 4; i++)
        WANT_HIT(ftable_find(t, &k[i], 7, 0), idx[i], CLI, 0);
    for (int i = 0; i < 4; i++)
        ftable_del(t, idx[i]);
}

static void a_host_that_talks_to_itself(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t idx = new_flow(t, 1, 7, 1, 7);

    WANT_HIT(find(t, 1, 7, 1, 7), idx, CLI, 0); /* the sender counts as endpoint 0 */
    check(t);
    ftable_del(t, idx);
    WANT_MISS(find(t, 1, 7, 1, 7));
}

/* 10.0.0.1:1000 -> .2:80, translated to .3:5000 -> .4:8080 (contract 4). */
static void a_translated_flow_answers_one_way_under_each_key(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t idx = new_flow(t, 1, 1000, 2, 80);
    struct flow_key k;
    int svr = !key(&k, 3, 5000, 4, 8080);

    assert_int_equal(ftable_alias(t, idx, &k, svr, 0), 0);
    check(t);
    WANT_HIT(find(t, 1, 1000, 2, 80), idx, CLI, 0);
    WANT_MISS(find(t, 2, 80, 1, 1000));
    WANT_HIT(find(t, 4, 8080, 3, 5000), idx, SVR, 1);
    WANT_MISS(find(t, 3, 5000, 4, 8080));
    assert_int_equal(t->count, 1);

    /* The direction that misses may become a flow of its own. */
    uint32_t own = new_flow(t, 2, 80, 1, 1000);
    WANT_HIT(find(t, 2, 80, 1, 1000), own, CLI, 0);
    WANT_HIT(find(t, 1, 1000, 2, 80), idx, CLI, 0);
    check(t);
    ftable_del(t, own);
    ftable_del(t, idx);
    WANT_MISS(find(t, 4, 8080, 3, 5000));
}

static void a_tombstone_takes_the_place(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t idx = new_flow(t, 9, 1000, 2, 80), tomb;
    struct flow_key k;
    int svr = !key(&k, 3, 5000, 4, 8080);

    assert_int_equal(ftable_alias(t, idx, &k, svr, 0), 0);
    assert_non_null(flow_ext_get(t, flow_at(t, idx)));
    flow_at(t, idx)->side[SVR].flags |= SIDE_FIN_SENT;
    wheel_hang(&t->wheel, idx, 5000);
    tomb = ftable_bury(t, idx, 2000);
    assert_true(tomb & FLOW_TOMB);
    check(t);
    assert_int_equal(t->count, 0);
    assert_int_equal(t->flows.used, 0);
    assert_int_equal(t->wheel.count, 0);
    WANT_HIT(find(t, 9, 1000, 2, 80), tomb, CLI, 0);
    WANT_HIT(find(t, 2, 80, 9, 1000), tomb, SVR, 0);
    WANT_MISS(find(t, 4, 8080, 3, 5000));
    assert_int_equal(tomb_at(t, tomb)->fins, 1 << SVR);
    assert_int_equal(tomb_at(t, tomb)->last, 2000);
    wheel_hang(&t->tomb_wheel, tomb & ~FLOW_TOMB, 9000);
    ftable_unbury(t, tomb);
    assert_int_equal(t->tomb_wheel.count, 0);
    WANT_MISS(find(t, 9, 1000, 2, 80));
}

/* The oldest that has been silent goes; of those that were heard, the oldest. */
static void the_first_tombstone_to_go(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t tomb[300];

    assert_int_equal(ftable_tomb_first(t), 0);
    for (uint32_t i = 0; i < ARRAY_SIZE(tomb); i++)
        tomb[i] = ftable_bury(t, new_flow(t, 9, (uint16_t)(1000 + i), 2, 80), 1);
    check(t);
    assert_int_equal(ftable_tomb_first(t), tomb[0]);
    tomb_at(t, tomb[0])->heard = tomb_at(t, tomb[1])->heard = true;
    assert_int_equal(ftable_tomb_first(t), tomb[2]);
    ftable_unbury(t, tomb[2]);
    ftable_unbury(t, tomb[270]);
    ftable_unbury(t, tomb[1]); /* the last in the queue now */
    check(t);
    for (uint32_t i = 3; i < 270; i++)
        tomb_at(t, tomb[i])->heard = true;
    assert_int_equal(ftable_tomb_first(t), tomb[259]); /* 256 were asked */
    assert_int_equal(t->stones.count, 297);
    check(t);
    for (uint32_t n = 297; n; n--)
        ftable_unbury(t, ftable_tomb_first(t));
    assert_int_equal(ftable_tomb_first(t), 0);
    check(t);
}

static void crowded_by_tombstones(void **state)
{
    struct memacct acct = {0};
    struct ftable t;
    uint32_t tomb;

    assert_int_equal(ftable_init(&t, 2, 1, &acct), 0);
    tomb = ftable_bury(&t, new_flow(&t, 1, 1, 2, 80), 1);
    assert_false(ftable_crowded(&t));
    new_flow(&t, 1, 2, 2, 80);
    assert_true(ftable_crowded(&t));
    ftable_unbury(&t, tomb);
    assert_false(ftable_crowded(&t));
    new_flow(&t, 1, 3, 2, 80);
    assert_false(ftable_crowded(&t)); /* full, but not of tombstones */
    ftable_fini(&t);
}

static void an_ipv6_tombstone_keeps_the_key(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    const uint8_t a6[16] = {1}, b6[16] = {2};
    struct flow_key k;

    key_make(&k, true, a6, 1, b6, 2, 6, 5);
    uint32_t idx = ftable_new(t, &k, ftable_hash(t, &k), 0, 1);
    uint32_t tomb = ftable_bury(t, idx, 2);
    assert_int_equal(t->keys6.used, 1);
    WANT_HIT(ftable_find(t, &k, ftable_hash(t, &k), 1), tomb, SVR, 0);
    check(t);
    ftable_unbury(t, tomb);
    assert_int_equal(t->keys6.used, 0);
}

static void the_walk_and_the_clock_hand(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t idx[1200], n = 0, last = 0;

    assert_int_equal(ftable_sample(t), 0);
    assert_int_equal(ftable_next(t, 0), 0);
    for (int i = 0; i < 1200; i++)
        idx[i] = new_flow(t, 1, 1 + i, 2, 80);
    for (int i = 0; i < 1200; i++) /* live ones: 0, 63, 126, ... */
        if (i % 63)
            ftable_del(t, idx[i]);
    for (uint32_t i = ftable_next(t, 0); i; i = ftable_next(t, i), n++) {
        assert_true(i > last);
        assert_int_equal(i, idx[n * 63]);
        last = i;
    }
    assert_int_equal(n, 20);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(ftable_sample(t), idx[i * 63]);
    check(t);
    for (uint32_t i = 0; i < n; i++)
        ftable_del(t, idx[i * 63]);
    assert_int_equal(ftable_sample(t), 0);
}

/* One hash for all: a chain of many lines, emptied from the front, the back and the middle. */
static void a_long_chain(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    struct flow_key k;
    uint32_t idx[100];

    for (int i = 0; i < 100; i++) {
        key(&k, 1, 1 + i, 2, 80);
        idx[i] = ftable_new(t, &k, 0xabcd0000u + (uint32_t)t->secret, 0, 1);
        assert_int_not_equal(idx[i], 0);
    }
    for (int i = 0; i < 100; i++) {
        const int j = i * 37 % 100;
        struct flow_hit h;

        key(&k, 1, 1 + j, 2, 80);
        h = ftable_find(t, &k, 0xabcd0000u + (uint32_t)t->secret, 0);
        WANT_HIT(h, idx[j], CLI, 0);
        ftable_del(t, idx[j]);
        h = ftable_find(t, &k, 0xabcd0000u + (uint32_t)t->secret, 0);
        WANT_MISS(h);
    }
}

static uint32_t expect(const struct ftable *t, uint32_t hash)
{
    return ftable_expect(t, ftable_prefetch(t, hash), hash).idx;
}

static void prefetching_is_harmless(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t idx = new_flow(t, 1, 1, 2, 2), hash = flow_at(t, idx)->hash;
    struct flow_key k;
    int svr = !key(&k, 3, 5000, 4, 8080);

    ftable_alias(t, idx, &k, svr, 0);
    assert_int_equal(expect(t, hash), idx);
    assert_int_equal(expect(t, ftable_hash(t, &k)), 0); /* a second key is none to confirm */
    assert_int_equal(expect(t, ~hash), 0);
    idx = ftable_bury(t, idx, 1);
    assert_int_equal(expect(t, hash), 0);
    ftable_unbury(t, idx);
}

/* What is expected is confirmed for its own segments only, of either end; never for a translated flow. */
/* confirmed: of this segment, as the look-ahead would ask. */
static struct flow_hit confirmed(const struct ftable *t, uint32_t idx, const struct seg *s)
{
    uint64_t end[2];
    unsigned from;

    key_glance(s, t->secret, end, &from);
    return ftable_confirm(t, idx, end, from);
}

static void expected_is_confirmed(void **state)
{
    struct ftable *t = &((struct fix *)*state)->t;
    uint32_t idx = new_flow(t, 1, 1, 2, 80), gone = t->gone;
    struct pktbuf pb = {0};
    struct seg s = {.pb = &pb, .l4proto = 6, .sport = htobe16(1), .dport = htobe16(80)}, other;
    uint64_t none[2];
    struct flow_key k;
    int cli = key(&k, 1, 1, 2, 80);

    memcpy(&s.src.v4, k.addr[cli], 4);
    memcpy(&s.dst.v4, k.addr[!cli], 4);
    assert_int_equal(key_of_seg(&k, &s), cli);
    WANT_HIT(confirmed(t, idx, &s), idx, CLI, 0);
    other = s;
    other.src = s.dst;
    other.dst = s.src;
    other.sport = s.dport;
    other.dport = s.sport;
    WANT_HIT(confirmed(t, idx, &other), idx, SVR, 0);
    other = s;
    other.dport++;
    WANT_MISS(confirmed(t, idx, &other));
    other = s;
    other.dst.v4++;
    WANT_MISS(confirmed(t, idx, &other));
    flow_at(t, idx)->proto = 17;
    WANT_MISS(confirmed(t, idx, &s));
    flow_at(t, idx)->proto = 6;
    flow_at(t, idx)->flags |= FLOW_V6; /* as if its numbers were something else's */
    WANT_MISS(confirmed(t, idx, &s));
    flow_at(t, idx)->flags &= (uint16_t)~FLOW_V6;
    key_no_ends(none);
    assert_true(none[0] << 16 > none[1] << 16); /* in no key's order */
    WANT_MISS(ftable_confirm(t, idx, none, 0));
    pb.realm = 7;
    WANT_MISS(confirmed(t, idx, &s));
    pb.realm = 7 << 16;
    WANT_MISS(confirmed(t, idx, &s));
    pb.realm = 0;
    key(&k, 3, 5000, 4, 8080);
    ftable_alias(t, idx, &k, 1, 0);
    WANT_MISS(confirmed(t, idx, &s));
    assert_int_equal(t->gone, gone);
    ftable_del(t, idx);
    assert_int_not_equal(t->gone, gone);
}

/* Full, by number or by bytes: no flow, nothing changed, and room again after a deletion. */
static void a_full_table_says_so(void **state)
{
    struct memacct acct = {0};
    struct ftable t;
    uint32_t first, n = 0;

    assert_int_equal(ftable_init(&t, 10, 1, &acct), 0);
    first = new_flow(&t, 1, 1, 2, 80);
    for (int i = 2; i <= 10; i++)
        assert_int_not_equal(new_flow(&t, 1, i, 2, 80), 0);
    assert_int_equal(new_flow(&t, 1, 11, 2, 80), 0);
    check(&t);
    ftable_del(&t, first);
    assert_int_not_equal(new_flow(&t, 1, 11, 2, 80), 0);
    ftable_fini(&t);
    assert_int_equal(acct.used, 0);

    acct.limit = 2 << 20;
    assert_int_equal(ftable_init(&t, 0, 1, &acct), 0);
    while (new_flow(&t, 1, 1 + (int)n % 60000, 2, 80 + (int)n / 60000))
        n++;
    assert_in_range(n, 1000, 8192);
    assert_true(acct.used <= acct.limit);
    check(&t);
    WANT_MISS(find(&t, 1, 1 + (int)n, 2, 80));
    ftable_fini(&t);
    assert_int_equal(acct.used, 0);
}

static void no_memory_for_v6_key_tomb_or_alias(void **state)
{
    struct memacct acct = {0};
    struct ftable t;
    struct flow_key k;
    const uint8_t a6[16] = {1}, b6[16] = {2};

    assert_int_equal(ftable_init(&t, 0, 1, &acct), 0);
    uint32_t idx = new_flow(&t, 1, 1, 2, 80);
    acct.limit = acct.used;
    key_make(&k, true, a6, 1, b6, 2, 6, 0);
    assert_int_equal(ftable_new(&t, &k, ftable_hash(&t, &k), 0, 1), 0);
    key(&k, 3, 1, 4, 80);
    errno = 0;
    assert_int_equal(ftable_alias(&t, idx, &k, 1, 0), -1);
    assert_int_equal(errno, ENOMEM);
    check(&t);
    WANT_HIT(find(&t, 2, 80, 1, 1), idx, SVR, 0); /* not translated: still answers both ways */
    assert_null(flow_ext_get(&t, flow_at(&t, idx)));
    assert_int_equal(ftable_bury(&t, idx, 1), 0);
    WANT_HIT(find(&t, 1, 1, 2, 80), idx, CLI, 0); /* nothing has changed */
    check(&t);
    ftable_fini(&t);
    assert_int_equal(acct.used, 0);
}

/* several fields as one number: each is where FLOW_WORD and SIDE_WORD say, and the rest is not. */
static void fields_as_numbers(void **state)
{
    struct flow f = {.proto = 0xa5};
    struct flow_side sd = {.flags = 0xa5c3};

    assert_int_equal(flow_word(&f), FLOW_WORD(0xa5, 0, 0, 0, 0));
    f = (struct flow){.calm = 1};
    assert_int_equal(flow_word(&f), FLOW_WORD(0, 1, 0, 0, 0));
    f = (struct flow){.timed = 1};
    assert_int_equal(flow_word(&f), FLOW_WORD(0, 0, 1, 0, 0));
    f = (struct flow){.asks = 1};
    assert_int_equal(flow_word(&f), FLOW_WORD(0, 0, 0, 1, 0));
    f = (struct flow){.flags = 0xa5c3};
    assert_int_equal(flow_word(&f), FLOW_WORD(0, 0, 0, 0, 0xa5c3));
    f = (struct flow){.kind = 3, .csum = 3, .lost = 1};
    assert_int_equal(flow_word(&f) & FLOW_WORD(255, 1, 1, 1, 65535), 0);
    assert_true(side_word(&sd) == SIDE_WORD(0xa5c3, 0));
    sd = (struct flow_side){.state = 0xa5};
    assert_true(side_word(&sd) == SIDE_WORD(0, 0xa5));
    sd = (struct flow_side){.strm = UINT32_MAX, .wscale = 15, .policy = 15, .wnd = 1, .max_wnd = 1};
    assert_true((side_word(&sd) & SIDE_WORD(65535, 255)) == 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(both_ends_find_the_flow),
        CASE(a_new_record_is_empty_but_for_key_and_time),
        CASE(addresses_of_both_sides),
        CASE(realm_and_protocol_are_part_of_the_key),
        CASE(a_host_that_talks_to_itself),
        CASE(a_translated_flow_answers_one_way_under_each_key),
        CASE(a_tombstone_takes_the_place),
        CASE(the_first_tombstone_to_go),
        CASE(crowded_by_tombstones),
        CASE(an_ipv6_tombstone_keeps_the_key),
        CASE(the_walk_and_the_clock_hand),
        CASE(a_long_chain),
        CASE(misses_stay_in_one_line),
        CASE(many_splits_lose_nobody),
        CASE(prefetching_is_harmless),
        CASE(expected_is_confirmed),
        cmocka_unit_test(fields_as_numbers),
        cmocka_unit_test(a_full_table_says_so),
        cmocka_unit_test(no_memory_for_v6_key_tomb_or_alias),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
