// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_ftable_model.c: random work on the flow table against a naive twin, an array of keys that is
 * searched from one end to the other. The seed is printed; SEED repeats a run. Last, a million
 * flows, with the cost of a look-up in lines touched.
 */
#include "flow/glance.h"
#include "flow/buckets.h"

#include "base/errtext.h"
#include "base/hash.h"
#include "repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define STEPS   200000
#define KEYS    600 /* few, so that the same one comes back dead, alive, buried and translated */
#define MILLION 1000000u

static uint64_t seed;

/* One thing that can be found: a flow (with a second key, perhaps) or a tombstone. */
struct twin {
    struct flow_key key, key2;
    uint32_t idx;
    int client, svr2;
    bool nat;
};

static struct twin twin[4 * KEYS];
static uint32_t ntwin, nflows;

/* From a small world: both families, several realms, two protocols, equal endpoints now and then.
 */
static int random_key(struct rng *r, struct flow_key *k)
{
    const uint32_t n = (uint32_t)rng_below(r, KEYS);
    struct rng kr;
    uint8_t a[16] = {0}, b[16] = {0};

    rng_seed(&kr, n / 4); /* four keys differ in realm and protocol only */
    const bool v6 = rng_below(&kr, 3) == 0;
    for (int i = 0; i < (v6 ? 16 : 4); i++) {
        a[i] = (uint8_t)rng_below(&kr, 2);
        b[i] = (uint8_t)rng_below(&kr, 2);
    }
    uint16_t ap = (uint16_t)rng_below(&kr, 65536), bp = (uint16_t)rng_below(&kr, 65536);
    if (rng_below(&kr, 16) == 0) {
        memcpy(b, a, sizeof(b));
        bp = ap;
    }
    return rng_next(r) & 1 ? key_make(k, v6, a, ap, b, bp, n & 1 ? 6 : 17, n >> 1 & 1)
                           : key_make(k, v6, b, bp, a, ap, n & 1 ? 6 : 17, n >> 1 & 1);
}

/* Does this twin answer a packet of key k from endpoint `end`? Written anew from contract 4. */
static bool twin_answers(const struct twin *w, const struct flow_key *k, int end,
                         struct flow_hit *h)
{
    if (memcmp(&w->key, k, sizeof(*k)) == 0 && (!w->nat || end == w->client)) {
        *h = (struct flow_hit){w->idx, end == w->client ? CLI : SVR, 0};
        return true;
    }
    if (w->nat && memcmp(&w->key2, k, sizeof(*k)) == 0 && end == w->svr2) {
        *h = (struct flow_hit){w->idx, SVR, 1};
        return true;
    }
    return false;
}

/* => how many twins answer; the one of them with this idx, or any, in h. */
static int twin_find(const struct flow_key *k, int end, uint32_t idx, struct flow_hit *h)
{
    struct flow_hit one;
    int n = 0;

    *h = (struct flow_hit){0};
    for (uint32_t i = 0; i < ntwin; i++)
        if (twin_answers(&twin[i], k, end, &one)) {
            if (!n || one.idx == idx)
                *h = one;
            n++;
        }
    return n;
}

/* compare_v6: the key of a segment of IPv6 at a glance is what it is with time. */
static void compare_v6(const struct ftable *t, const struct flow_key *k, int end)
{
    struct pktbuf pb = {.realm = k->realm};
    struct seg s = {.pb = &pb,
                    .flags = SEG_IP6,
                    .l4proto = k->proto,
                    .sport = k->port[end],
                    .dport = k->port[!end]};
    struct flow_key glance, want;
    unsigned from;

    memcpy(s.src.b, k->addr[end], 16);
    memcpy(s.dst.b, k->addr[!end], 16);
    memset(&glance, 0xff, sizeof(glance));
    assert_int_equal(key_glance_v6(&glance, &s, t->secret, &from), ftable_hash(t, k));
    assert_int_equal((int)from, key_of_seg(&want, &s));
    assert_memory_equal(&glance, k, sizeof(glance));
    assert_memory_equal(&glance, &want, sizeof(glance));
}

/* only_its_own: this record, which has key k of IPv6, answers for that and for no other. */
static void only_its_own(const struct ftable *t, const struct flow *f, const struct flow_key *k)
{
    struct flow_key other;

    assert_int_equal(flow_is_of_v6(t, f, k), k->proto == IPPROTO_TCP && !(f->flags & FLOW_NAT));
    for (size_t i = 0; i < offsetof(struct flow_key, proto); i++) {
        other = *k;
        ((uint8_t *)&other)[i] ^= 1;
        assert_false(flow_is_of_v6(t, f, &other));
    }
}

static void compare(const struct ftable *t, const struct flow_key *k, int end)
{
    struct flow_hit got = ftable_find(t, k, ftable_hash(t, k), end), want;

    twin_find(k, end, got.idx, &want);
    assert_int_equal(got.idx, want.idx);
    assert_int_equal(got.from, want.from);
    assert_int_equal(got.second, want.second);
    if (k->v6 && got.idx && !got.second && !(got.idx & FLOW_TOMB))
        only_its_own(t, flow_at(t, got.idx), k);
    /* what is expected, if it is confirmed, is what is found */
    const struct bucket *line = ftable_prefetch(t, ftable_hash(t, k));
    struct flow_guess g = ftable_expect(t, line, ftable_hash(t, k));
    if (g.idx == 0)
        g = ftable_expect_behind(t, line, ftable_hash(t, k));
    const uint32_t guess = g.idx;

    assert_true(guess ? g.f == flow_at(t, guess) : g.f == NULL);
    struct pktbuf pb = {.realm = k->realm};
    struct seg s = {.pb = &pb, .sport = k->port[end], .dport = k->port[!end]};
    struct flow_hit sure = {0};
    uint64_t ends[2];
    unsigned from = (unsigned)end;

    if (k->v6) {
        key_no_ends(ends);
        compare_v6(t, k, end);
    } else {
        memcpy(&s.src.v4, k->addr[end], 4);
        memcpy(&s.dst.v4, k->addr[!end], 4);
        uint32_t hash = key_glance(&s, t->secret, ends, &from);
        assert_true(k->proto != IPPROTO_TCP || hash == ftable_hash(t, k));
        assert_true(from == (unsigned)end || ends[0] << 16 == ends[1]
                                                                  << 16); /* a host with itself */
    }
    if (guess && k->proto == IPPROTO_TCP)
        sure = ftable_confirm(t, guess, ends, (unsigned)end);

    if (guess && k->v6 && flow_is_of_v6(t, g.f, k))
        sure = (struct flow_hit){.idx = guess, .from = (uint8_t)flow_from(g.f, (unsigned)end)};

    assert_true(sure.idx == 0 || (sure.idx == got.idx && sure.from == got.from && !got.second));
}

static void step_new(struct ftable *t, struct rng *r)
{
    struct flow_key k;
    struct flow_hit h;
    int end = random_key(r, &k);

    if (ntwin == sizeof(twin) / sizeof(*twin) || twin_find(&k, end, 0, &h) ||
        twin_find(&k, !end, 0, &h))
        return;
    uint32_t idx = ftable_new(t, &k, ftable_hash(t, &k), end, 1);
    assert_int_not_equal(idx, 0);
    twin[ntwin++] = (struct twin){.key = k, .idx = idx, .client = end};
    nflows++;
    if (rng_below(r, 4) == 0)
        wheel_hang(&t->wheel, idx, rng_below(r, 1u << 31));
    if (rng_below(r, 4) == 0)
        assert_non_null(flow_ext_get(t, flow_at(t, idx)));
}

static void step_alias(struct ftable *t, struct twin *w, struct rng *r)
{
    struct flow_key k;
    struct flow_hit h;
    int end = random_key(r, &k);

    if (w->idx & FLOW_TOMB || w->nat || twin_find(&k, end, 0, &h))
        return;
    assert_int_equal(ftable_alias(t, w->idx, &k, end, 0), 0);
    w->key2 = k;
    w->nat = true;
    w->svr2 = end;
}

static void step_remove(struct ftable *t, struct twin *w)
{
    if (w->idx & FLOW_TOMB) {
        ftable_unbury(t, w->idx);
    } else {
        ftable_del(t, w->idx);
        nflows--;
    }
    *w = twin[--ntwin];
}

static void step_bury(struct ftable *t, struct twin *w)
{
    if (w->idx & FLOW_TOMB)
        return;
    w->idx = ftable_bury(t, w->idx, 2);
    assert_true(w->idx & FLOW_TOMB);
    w->nat = false;
    nflows--;
}

static void one_step(struct ftable *t, struct rng *r, int bias)
{
    struct flow_key k;
    const uint32_t what = (uint32_t)rng_below(r, 20);
    struct twin *w = ntwin ? &twin[rng_below(r, ntwin)] : NULL;
    int end = random_key(r, &k);

    if (what < 8)
        compare(t, &k, end);
    else if ((int)what < 13 + bias)
        step_new(t, r);
    else if (!w)
        return;
    else if (what < 15)
        step_alias(t, w, r);
    else if (what < 16)
        step_bury(t, w);
    else
        step_remove(t, w);
}

static void check_all(struct ftable *t)
{
    uint32_t n = 0;

    if (!ftable_check(t))
        fail_msg("%s", err_text());
    for (uint32_t i = ftable_next(t, 0); i; i = ftable_next(t, i))
        n++;
    assert_int_equal(n, nflows);
    assert_int_equal(t->count, nflows);
    for (uint32_t i = 0; i < ntwin; i++) {
        compare(t, &twin[i].key, 0);
        compare(t, &twin[i].key, 1);
        if (twin[i].nat)
            compare(t, &twin[i].key2, twin[i].svr2);
    }
}

static void random_work_agrees_with_the_twin(void **state)
{
    struct memacct acct = {0};
    struct ftable t;
    struct rng r;

    ntwin = nflows = 0;
    rng_seed(&r, seed);
    assert_int_equal(ftable_init(&t, 0, seed, &acct), 0);
    for (int i = 0; i < STEPS; i++) {
        one_step(&t, &r, i / 5000 % 3 - 1); /* fuller and emptier in turns */
        if (i % 2000 == 0)
            check_all(&t);
    }
    check_all(&t);
    while (ntwin)
        step_remove(&t, &twin[ntwin - 1]);
    check_all(&t);
    assert_int_equal(t.flows.used + t.keys6.used + t.exts.used + t.alts.used + t.tombs.used, 0);
    ftable_fini(&t);
    assert_int_equal(acct.used, 0);
}

static void numbered_key(struct flow_key *k, uint32_t n, uint32_t realm)
{
    const uint8_t srv[4] = {192, 0, 2, 1};
    uint32_t src = n / 50000;

    key_make(k, false, &src, (uint16_t)(n % 50000), srv, 80, 6, realm);
}

/* Lines of the table that a look-up of this flow touches. */
static uint32_t lines(const struct ftable *t, uint32_t hash, uint32_t idx)
{
    const struct buckets *b = t->priv;
    uint32_t n = 1;

    for (const struct bucket *l = bucket_at(b, bucket_no(b, hash)); l; l = bucket_over(b, l), n++)
        for (int i = 0; i < BUCKET_SLOTS; i++)
            if (l->ref[i] == idx)
                return n;
    return 0;
}

static void a_million_flows(void **state)
{
    struct memacct acct = {0};
    struct ftable t;
    struct flow_key k;
    uint64_t touched = 0;

    assert_int_equal(ftable_init(&t, 0, seed, &acct), 0);
    for (uint32_t i = 0; i < MILLION; i++) {
        numbered_key(&k, i, 0);
        assert_int_not_equal(ftable_new(&t, &k, ftable_hash(&t, &k), 1, i), 0);
        if ((i & (i + 1)) == 0 && i < 1 << 17 && !ftable_check(&t))
            fail_msg("at %u: %s", i, err_text());
    }
    for (uint32_t i = 0; i < MILLION; i++) {
        numbered_key(&k, i, 0);
        struct flow_hit h = ftable_find(&t, &k, ftable_hash(&t, &k), 0);
        assert_int_not_equal(h.idx, 0);
        assert_int_equal(flow_at(&t, h.idx)->start, i);
        touched += lines(&t, flow_at(&t, h.idx)->hash, h.idx);
        numbered_key(&k, i, 1);
        assert_int_equal(ftable_find(&t, &k, ftable_hash(&t, &k), 0).idx, 0);
    }
    print_message("# %.1f bytes of table a flow, %.3f lines a look-up\n",
                  (double)ftable_bytes(&t) / MILLION, (double)touched / MILLION);
    assert_true(ftable_bytes(&t) < 15 * MILLION);
    assert_true(touched < MILLION / 10 * 11);
    if (!ftable_check(&t))
        fail_msg("%s", err_text());

    /* Turnover at this size asks the system for nothing more. */
    uint64_t allocs = acct.allocs;
    for (uint32_t i = 0; i < MILLION / 10; i++) {
        ftable_del(&t, ftable_sample(&t));
        numbered_key(&k, i, 2);
        assert_int_not_equal(ftable_new(&t, &k, ftable_hash(&t, &k), 1, i), 0);
    }
    assert_true(acct.allocs <= allocs + 2); /* a chain's slab or two */
    ftable_fini(&t);
    assert_int_equal(acct.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_work_agrees_with_the_twin),
        cmocka_unit_test(a_million_flows),
    };

    seed = env_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
