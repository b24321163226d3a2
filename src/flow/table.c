// SPDX-License-Identifier: BSD-2-Clause
/*
 * table.c: flow records and the slots that lead to them.
 *
 * A slot's ref says what it leads to:
 *   idx              a record, under its first key
 *   idx | SLOT_ALT   a record, under its second (translated) key
 *   idx | FLOW_TOMB  a tombstone
 *
 * Life of a record: ftable_new (slot, live bit, for IPv6 a key object) - perhaps ftable_alias
 * (second slot) - ftable_del, or ftable_bury, which puts a tombstone in the place of the first
 * slot; the tombstone takes the IPv6 key over and lives until ftable_unbury.
 *
 * Translated flows. The first key then answers the client's packets only, the second the server's
 * only; the other two directions are somebody else's traffic and miss. So one key may lead to a
 * translated flow from one end and to a flow of its own from the other: a look-up goes on past a
 * slot that does not answer.
 *
 * A record in hand does not tell whether it is live (free ones are poisoned), so a bitmap does: it
 * serves the walk in order of index and the clock hand.
 */
#include "flow/table.h"

#include "flow/glance.h"
#include "flow/keyhash.h"
#include "flow/queue.h"
#include "base/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REF_IDX   SLOT_IDX
#define MAX_FLOWS 0x3ffffffeu

struct priv {
    struct buckets slots; /* first: ftable_slots */
};

/* A tombstone begins as a record does: what looks at identity only, looks at either. */
#define SAME_PLACE(m)                                                                              \
    _Static_assert(offsetof(struct flow, m) == offsetof(struct flow_tomb, m), "identity: " #m)
SAME_PLACE(end);
SAME_PLACE(proto);
SAME_PLACE(flags);

static inline struct buckets *slots_of(const struct ftable *t)
{
    return &((struct priv *)t->priv)->slots;
}

static inline const struct flow_tomb *identity(const struct ftable *t, uint32_t ref)
{
    return ref & FLOW_TOMB ? tomb_at(t, ref) : (const void *)flow_at(t, ref & REF_IDX);
}

static inline struct flow_alt *alt_at(const struct ftable *t, const struct flow *f)
{
    return (struct flow_alt *)pool_at(&t->alts, f->alt);
}

static uint32_t ref_hash(const void *owner, uint32_t ref)
{
    const struct ftable *t = owner;

    const struct flow *f;

    if (ref & FLOW_TOMB)
        return tomb_at(t, ref)->hash;
    f = flow_at(t, ref & REF_IDX);
    return ref & SLOT_ALT ? alt_at(t, f)->hash : f->hash;
}

/* -- the bitmap of live records -- */

static bool live_set(struct ftable *t, uint32_t idx)
{
    while (t->live.used <= idx / LIVE_BITS)
        if (!pool_zalloc(&t->live))
            return false;
    *live_word(t, idx) |= 1ULL << idx % 64;
    return true;
}

static void live_clear(struct ftable *t, uint32_t idx)
{
    *live_word(t, idx) &= ~(1ULL << idx % 64);
}

uint32_t ftable_next(const struct ftable *t, uint32_t idx)
{
    const uint64_t end = (uint64_t)t->live.used * LIVE_BITS;
    uint64_t i = (uint64_t)idx + 1;

    while (i < end) {
        uint64_t w = *live_word(t, (uint32_t)i) >> i % 64;
        if (w)
            return (uint32_t)(i + (unsigned)__builtin_ctzll(w));
        i = (i | 63) + 1;
    }
    return 0;
}

uint32_t ftable_sample(struct ftable *t)
{
    t->hand = ftable_next(t, t->hand);
    if (!t->hand)
        t->hand = ftable_next(t, 0);
    return t->hand;
}

/* -- begin and end -- */

static void init_pools(struct ftable *t, uint32_t max_flows)
{
    struct memacct *a = t->acct;
    uint32_t max = max_flows && max_flows < MAX_FLOWS ? max_flows : MAX_FLOWS;

    pool_init(&t->flows, "flows", sizeof(struct flow), CACHELINE, 1u << FLOWS_SHIFT, max, a);
    pool_init(&t->keys6, "IPv6 keys", 32, 32, 1024, 0, a);
    pool_init(&t->exts, "flow extensions", sizeof(struct flow_ext), CACHELINE, 64, 0, a);
    pool_init(&t->alts, "second keys", sizeof(struct flow_alt), 4, 256, 0, a);
    pool_init(&t->kids, "children", sizeof(struct child_ext), 8, 512, 0, a);
    pool_init(&t->tombs, "tombstones", sizeof(struct flow_tomb), CACHELINE, 512, max, a);
    t->tombs.vital = true; /* else full of flows no table would have room for any */
    wheel_init(&t->wheel, &t->flows, offsetof(struct flow, wheel));
    wheel_init(&t->tomb_wheel, &t->tombs, offsetof(struct flow_tomb, wheel));
}

int ftable_init(struct ftable *t, uint32_t max_flows, uint64_t secret, struct memacct *acct)
{
    struct priv *p = calloc(1, sizeof(*p));

    memset(t, 0, sizeof(*t));
    t->acct = acct;
    t->secret = secret;
    t->max_flows = max_flows;
    t->priv = p;
    init_pools(t, max_flows);
    if (!p)
        return err_set(ENOMEM, "flow table: out of memory");
    pool_init(&t->live, "live bits", LIVE_BITS / 8, CACHELINE, 64, 0, acct);
    if (buckets_init(&p->slots, ref_hash, t, acct) < 0) {
        ftable_fini(t);
        return err_set(ENOMEM, "flow table: out of memory");
    }
    return 0;
}

int ftable_reserve(struct ftable *t, uint32_t n)
{
    if (pool_reserve(&t->flows, n) && pool_reserve(&t->live, n / LIVE_BITS + 1) &&
        buckets_reserve(slots_of(t), n))
        return 0;
    return err_set(ENOMEM, "no memory to reserve for %u flows", n);
}

void ftable_fini(struct ftable *t)
{
    struct priv *p = t->priv;

    if (p) {
        buckets_fini(&p->slots);
        free(p);
        t->priv = NULL;
    }
    pool_fini(&t->live);
    pool_fini(&t->flows);
    pool_fini(&t->keys6);
    pool_fini(&t->exts);
    pool_fini(&t->alts);
    pool_fini(&t->kids);
    pool_fini(&t->tombs);
    t->count = t->hand = 0;
}

/* -- look-up -- */

static bool same_key(const struct ftable *t, const struct flow_tomb *id, const struct flow_key *k)
{
    struct key_end end[2];

    if (id->proto != k->proto || !(id->flags & FLOW_V6) != !k->v6)
        return false;
    key_ends(k, end);
    if (k->v6) {
        if (memcmp(pool_at(&t->keys6, id->end[0].addr), k->addr, sizeof(k->addr)) != 0)
            return false;
        end[0].addr = id->end[0].addr;
        end[1].addr = id->end[1].addr;
    }
    return key_end_word(&id->end[0]) == key_end_word(&end[0]) &&
           key_end_word(&id->end[1]) == key_end_word(&end[1]);
}

/* Does this slot answer for a packet with key k from endpoint `end`? */
static bool answers(const struct ftable *t, uint32_t ref, const struct flow_key *k, uint32_t hash,
                    int end, struct flow_hit *hit)
{
    if (unlikely((ref & (FLOW_TOMB | SLOT_ALT)) == SLOT_ALT)) {
        const struct flow_alt *a = alt_at(t, flow_at(t, ref & REF_IDX));

        if (a->hash != hash || end != a->svr_end || !key_eq(&a->key, k))
            return false;
        *hit = (struct flow_hit){.idx = ref & REF_IDX, .from = SVR, .second = 1};
        return true;
    }

    const struct flow_tomb *id = identity(t, ref);
    const int from = end == !!(id->flags & FLOW_CLI_IS_1) ? CLI : SVR;

    if (!same_key(t, id, k) || (id->flags & FLOW_NAT && from == SVR))
        return false;
    *hit = (struct flow_hit){.idx = ref, .from = (uint8_t)from};
    return true;
}

struct flow_hit ftable_find(const struct ftable *t, const struct flow_key *k, uint32_t hash,
                            int end)
{
    const struct buckets *b = slots_of(t);
    const struct bucket *first = bucket_of(b, hash), *l = first;
    struct flow_hit hit = {0};

    for (; l; l = bucket_beyond(first, hash) ? bucket_over(b, l) : NULL)
        for (uint32_t m = bucket_match(l, hash); m; m &= m - 1)
            if (likely(answers(t, l->ref[__builtin_ctz(m)], k, hash, end, &hit)))
                return hit;
    return hit;
}

/* -- entering -- */

static bool set_key(struct ftable *t, struct flow *f, const struct flow_key *k)
{
    key_ends(k, f->end);
    f->proto = k->proto;
    if (!k->v6)
        return true;
    f->end[0].addr = pool_alloc(&t->keys6);
    f->end[1].addr = 0;
    if (!f->end[0].addr)
        return false;
    f->flags |= FLOW_V6;
    memcpy(pool_at(&t->keys6, f->end[0].addr), k->addr, sizeof(k->addr));
    return true;
}

static void free_key(struct ftable *t, const struct key_end *end, uint16_t flags)
{
    if (flags & FLOW_V6)
        pool_free(&t->keys6, end[0].addr);
}

uint32_t ftable_new(struct ftable *t, const struct flow_key *k, uint32_t hash, int client,
                    uint64_t now)
{
    const uint32_t idx = pool_zalloc(&t->flows);

    if (!idx)
        return 0;
    struct flow *f = flow_at(t, idx);
    f->hash = hash;
    f->flags = client ? FLOW_CLI_IS_1 : 0;
    f->start = f->last = now;
    if (!set_key(t, f, k))
        goto no_key;
    if (!live_set(t, idx))
        goto no_bit;
    if (!buckets_put(slots_of(t), hash, idx))
        goto no_slot;
    t->count++;
    return idx;

no_slot:
    live_clear(t, idx);
no_bit:
    free_key(t, f->end, f->flags);
no_key:
    pool_free(&t->flows, idx);
    return 0;
}

int ftable_alias(struct ftable *t, uint32_t idx, const struct flow_key *k, int svr_end,
                 uint8_t cli_if)
{
    struct flow *f = flow_at(t, idx);

    assert(!f->alt);
    f->alt = pool_alloc(&t->alts);
    if (!f->alt)
        return err_set(ENOMEM, "flow table: no memory for a second key");

    struct flow_alt *a = alt_at(t, f);
    a->key = *k;
    a->hash = ftable_hash(t, k);
    a->svr_end = (uint8_t)svr_end;
    a->cli_if = cli_if;
    if (!buckets_put(slots_of(t), a->hash, idx | SLOT_ALT)) {
        pool_free(&t->alts, f->alt);
        f->alt = 0;
        return err_set(ENOMEM, "flow table: no memory for a second slot");
    }
    f->flags |= FLOW_NAT;
    return 0;
}

/* -- leaving -- */

/* Everything but the first slot and the key. */
static void release(struct ftable *t, uint32_t idx)
{
    struct flow *f = flow_at(t, idx);

    wheel_off(&t->wheel, idx);
    flow_unqueue(t, idx);
    if (f->alt) {
        bool was = buckets_del(slots_of(t), alt_at(t, f)->hash, idx | SLOT_ALT);
        assert(was);
        (void)was;
        pool_free(&t->alts, f->alt);
    }
    if (f->ext)
        pool_free(&t->exts, f->ext);
    live_clear(t, idx);
    pool_free(&t->flows, idx);
    t->count--;
    t->gone++;
}

void ftable_del(struct ftable *t, uint32_t idx)
{
    const struct flow *f = flow_at(t, idx);
    bool was = buckets_del(slots_of(t), f->hash, idx);

    assert(was);
    (void)was;
    free_key(t, f->end, f->flags);
    release(t, idx);
}

/* goes_on: was more heard of it than the client's SYN? */
static bool goes_on(const struct flow *f)
{
    return f->flags & (FLOW_SYNACK | FLOW_MIDSTREAM) || f->ctr[SVR].packets ||
           f->side[SVR].next > 0;
}

uint32_t ftable_bury(struct ftable *t, uint32_t idx, uint64_t now)
{
    const struct flow *f = flow_at(t, idx);
    const uint32_t tomb = pool_zalloc(&t->tombs);

    if (!tomb)
        return 0;
    struct flow_tomb *g = tomb_at(t, tomb);
    memcpy(g->end, f->end, sizeof(g->end));
    g->proto = f->proto;
    g->kind = FLOW_STOPPED;
    g->flags = f->flags & (FLOW_V6 | FLOW_CLI_IS_1);
    g->hash = f->hash;
    g->last = now;
    for (int s = 0; s < 2; s++)
        g->fins |= (uint8_t)(!!(f->side[s].flags & SIDE_FIN_SENT) << s);
    g->state = goes_on(f) ? TOMB_GOES_ON : 0;
    if ((f->flags & (FLOW_SYN | FLOW_MIDSTREAM)) == FLOW_SYN && (f->flags & FLOW_BASE_SVR)) {
        g->state |= TOMB_ISN;
        g->isn = f->side[SVR].base - 1;
    }

    bool was = buckets_swap(slots_of(t), f->hash, idx, tomb | FLOW_TOMB);
    assert(was);
    (void)was;
    release(t, idx);
    tomb_enqueue(t, tomb);
    return tomb | FLOW_TOMB;
}

void ftable_unbury(struct ftable *t, uint32_t idx)
{
    const struct flow_tomb *g = tomb_at(t, idx);
    bool was = buckets_del(slots_of(t), g->hash, idx);

    assert(idx & FLOW_TOMB && was);
    (void)was;
    wheel_off(&t->tomb_wheel, idx & ~FLOW_TOMB);
    tomb_unqueue(t, idx);
    free_key(t, g->end, g->flags);
    pool_free(&t->tombs, idx & ~FLOW_TOMB);
}

/* -- what a record says -- */

static int get_key(const struct ftable *t, const struct flow_tomb *id, struct flow_key *k)
{
    memset(k, 0, sizeof(*k));
    k->port[0] = id->end[0].port;
    k->port[1] = id->end[1].port;
    k->realm = id->end[0].realm | (uint32_t)id->end[1].realm << 16;
    k->proto = id->proto;
    k->v6 = !!(id->flags & FLOW_V6);
    if (k->v6) {
        memcpy(k->addr, pool_at(&t->keys6, id->end[0].addr), sizeof(k->addr));
    } else {
        memcpy(k->addr[0], &id->end[0].addr, 4);
        memcpy(k->addr[1], &id->end[1].addr, 4);
    }
    return !!(id->flags & FLOW_CLI_IS_1);
}

int flow_get_key(const struct ftable *t, const struct flow *f, struct flow_key *k)
{
    return get_key(t, (const void *)f, k);
}

int tomb_get_key(const struct ftable *t, const struct flow_tomb *tomb, struct flow_key *k)
{
    return get_key(t, tomb, k);
}

const uint8_t *flow_addr(const struct ftable *t, const struct flow *f, int side, uint16_t *port)
{
    const int end = side ^ !!(f->flags & FLOW_CLI_IS_1);

    if (port)
        *port = f->end[end].port;
    if (f->flags & FLOW_V6)
        return (const uint8_t *)pool_at(&t->keys6, f->end[0].addr) + end * 16;
    return (const uint8_t *)&f->end[end].addr;
}

void flow_as_known_to(const struct ftable *t, const struct flow *f, int side, struct seg *s)
{
    const uint32_t n = f->flags & FLOW_V6 ? 16 : 4;
    uint16_t sport, dport;

    if (f->alt && side == SVR) {
        const struct flow_alt *a = pool_at(&t->alts, f->alt);

        memcpy(s->src.b, a->key.addr[a->svr_end], n);
        memcpy(s->dst.b, a->key.addr[!a->svr_end], n);
        s->sport = a->key.port[a->svr_end];
        s->dport = a->key.port[!a->svr_end];
        return;
    }
    memcpy(s->src.b, flow_addr(t, f, side, &sport), n);
    memcpy(s->dst.b, flow_addr(t, f, !side, &dport), n);
    s->sport = sport;
    s->dport = dport;
}

struct flow_ext *flow_ext_get(struct ftable *t, struct flow *f)
{
    if (!f->ext)
        f->ext = pool_zalloc(&t->exts);
    f->asks = f->ext != 0; /* who changes it */
    return f->ext ? (struct flow_ext *)pool_at(&t->exts, f->ext) : NULL;
}

uint64_t ftable_bytes(const struct ftable *t)
{
    return buckets_bytes(slots_of(t)) + pool_bytes(&t->live);
}

uint32_t ftable_tombs(const struct ftable *t, uint32_t *v, uint32_t max)
{
    const struct buckets *b = slots_of(t);
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n; i++)
        for (const struct bucket *l = bucket_at(b, i); l; l = bucket_over(b, l))
            for (uint32_t j = 0; j < BUCKET_SLOTS && l->ref[j]; j++)
                if ((l->ref[j] & FLOW_TOMB) && n++ < max)
                    v[n - 1] = l->ref[j];
    return n;
}

/* -- self-check -- */

static bool check_flow(const struct ftable *t, uint32_t idx, uint32_t *alts, uint32_t *exts)
{
    const struct flow *f = flow_at(t, idx);
    struct flow_key k;

    flow_get_key(t, f, &k);
    if (f->hash != ftable_hash(t, &k) || !buckets_has(slots_of(t), f->hash, idx)) {
        err_set(EINVAL, "flow %u: not in the table under its key", idx);
        return false;
    }
    if (!f->alt != !(f->flags & FLOW_NAT) ||
        (f->alt && !buckets_has(slots_of(t), alt_at(t, f)->hash, idx | SLOT_ALT))) {
        err_set(EINVAL, "flow %u: not in the table under its second key", idx);
        return false;
    }
    *alts += f->alt != 0;
    *exts += f->ext != 0;
    return true;
}

/* Are there as many tombstones in the buckets as in their queue? */
static bool check_tombs(const struct ftable *t, uint32_t *tombs, uint32_t *v6)
{
    const struct buckets *b = slots_of(t);

    for (uint32_t i = 0; i < b->n; i++)
        for (const struct bucket *l = bucket_at(b, i); l; l = bucket_over(b, l))
            for (uint32_t j = 0; j < BUCKET_SLOTS && l->ref[j]; j++) {
                const struct flow_tomb *g = identity(t, l->ref[j]);
                struct flow_key k;

                *v6 += g->flags & FLOW_V6 && (l->ref[j] & (FLOW_TOMB | SLOT_ALT)) != SLOT_ALT;
                if (!(l->ref[j] & FLOW_TOMB))
                    continue;
                ++*tombs;
                get_key(t, g, &k);
                if (g->hash != ftable_hash(t, &k) || g->kind != FLOW_STOPPED) {
                    err_set(EINVAL, "tombstone %#x: hash or kind", l->ref[j]);
                    return false;
                }
            }
    return true;
}

bool ftable_check(const struct ftable *t)
{
    const struct buckets *b = slots_of(t);
    uint32_t flows = 0, alts = 0, exts = 0, tombs = 0, v6 = 0;

    if (!buckets_check(b) || !wheel_check(&t->wheel) || !wheel_check(&t->tomb_wheel) ||
        !flow_queue_check(t))
        return false;
    for (uint32_t i = ftable_next(t, 0); i; i = ftable_next(t, i), flows++)
        if (!check_flow(t, i, &alts, &exts))
            return false;
    if (!check_tombs(t, &tombs, &v6))
        return false;
    if (flows != t->count || flows != t->flows.used || alts != t->alts.used ||
        exts != t->exts.used || tombs != t->tombs.used || v6 != t->keys6.used ||
        b->entries != flows + alts + tombs) {
        err_set(EINVAL, "flow table: %u flows, %u alts, %u exts, %u tombs, %u v6, %u slots", flows,
                alts, exts, tombs, v6, b->entries);
        return false;
    }
    return true;
}
