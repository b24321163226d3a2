/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glance.h: a look-up in three steps, inline, so that a burst of packets waits for memory once and not
 * one by one: the hash and the bucket (ftable_prefetch), the records whose tags match
 * (ftable_expect), and whether the one expected is it (ftable_confirm). What they do not answer
 * ftable_find does.
 */
#ifndef WEIR_FLOW_GLANCE_H
#define WEIR_FLOW_GLANCE_H

#include <netinet/in.h>

#include "flow/buckets.h"
#include "flow/keyhash.h"
#include "flow/table.h"

/*
 * key_glance: only the hash (key_hash), the two endpoints and which of them is the sender's, of an IPv4 TCP
 * segment.
 */
static inline uint32_t key_glance(const struct seg *s, uint64_t secret, uint64_t end[2],
                                  unsigned *from)
{
    *from = key_order_v4(key_end_v4(s->src.v4, s->sport, 0), key_end_v4(s->dst.v4, s->dport, 0),
                         s->pb->realm, end);
    return key_hash_v4(end, IPPROTO_TCP, secret);
}

/*
 * key_glance_v6: the key of an IPv6 TCP segment (key_of_seg), and its hash. In words, as they are hashed, and without a
 * branch on the direction.
 */
static inline uint32_t key_glance_v6(struct flow_key *k, const struct seg *s, uint64_t secret,
                                     unsigned *from)
{
    const struct key_addr src = key_addr_of(s->src.b), dst = key_addr_of(s->dst.b);
    const bool second = key_after_v6(src, s->sport, dst, s->dport);
    const uint64_t turn = -(uint64_t)second, hi = (src.w[0] ^ dst.w[0]) & turn,
                   lo = (src.w[1] ^ dst.w[1]) & turn;
    const uint16_t port = (s->sport ^ s->dport) & (uint16_t)turn;
    const struct flow_key rest = {.port = {s->sport ^ port, s->dport ^ port},
                                  .realm = s->pb->realm,
                                  .proto = s->l4proto,
                                  .v6 = 1};
    const uint64_t addr[4] = {src.w[0] ^ hi, src.w[1] ^ lo, dst.w[0] ^ hi, dst.w[1] ^ lo};

    memcpy(k->addr, addr, sizeof(addr));
    memcpy(k->port, rest.port, sizeof(rest) - sizeof(rest.addr));
    *from = second;
    return key_hash_v6(k, secret);
}

/* key_no_ends: of a segment that is none: no flow has these, since they are in no key's order. */
static inline void key_no_ends(uint64_t end[2])
{
    end[0] = UINT64_MAX;
    end[1] = 0;
}

/* ftable_prefetch: fetch the bucket of a hash. => its line, good until something is entered. */
static inline const struct bucket *ftable_prefetch(const struct ftable *t, uint32_t hash)
{
    const struct bucket *l = bucket_of(ftable_slots(t), hash);

    prefetch_r(l);
    return l;
}

/* ftable_fetch: fetch what a packet of this slot's record touches: identity, sides, counters. => the record, if it is one. */
static inline struct flow *ftable_fetch(const struct ftable *t, uint32_t ref)
{
    struct flow *f;

    if (unlikely(ref & FLOW_TOMB)) {
        prefetch_w(tomb_at(t, ref));
        return NULL;
    }
    f = flow_at(t, ref & SLOT_IDX);
    prefetch_w(f);
    prefetch_w((const char *)f + CACHELINE);
    prefetch_w((const char *)f + 2 * CACHELINE);
    return f;
}

/* What a look-up will probably find; idx 0: no idea, or it is no plain record. */
struct flow_guess {
    struct flow *f; /* NULL then */
    uint32_t idx;
};

/* ftable_expect_in: fetch the records whose tags match in this line. => the first of them, if it is a plain one. */
static inline struct flow_guess ftable_expect_in(const struct ftable *t, const struct bucket *l,
                                                 uint32_t match)
{
    const uint32_t first = l->ref[__builtin_ctz(match)];
    struct flow *f = ftable_fetch(t, first);

    while (unlikely(match &= match - 1))
        ftable_fetch(t, l->ref[__builtin_ctz(match)]);
    if (unlikely(first & (FLOW_TOMB | SLOT_ALT))) /* what ftable_find meets first may answer */
        return (struct flow_guess){0};
    return (struct flow_guess){.f = f, .idx = first};
}

/*
 * ftable_expect: fetch the records whose tags match, from the line on that ftable_prefetch told. => the one that a look-up will probably find, to
 * prefetch what hangs on it; no key is compared. None: or it is behind the
 * first line of its chain, and that is on its way: ask ftable_expect_behind, later.
 */
static inline struct flow_guess ftable_expect(const struct ftable *t, const struct bucket *l,
                                              uint32_t hash)
{
    const uint32_t match = bucket_match(l, hash);

    if (unlikely(bucket_beyond(l, hash)))
        prefetch_r(bucket_over(ftable_slots(t), l));
    return match ? ftable_expect_in(t, l, match) : (struct flow_guess){0};
}

/* ftable_expect_behind: where that had no idea: the same for the second line of the chain. */
static inline struct flow_guess ftable_expect_behind(const struct ftable *t, const struct bucket *l,
                                                     uint32_t hash)
{
    uint32_t match;

    if (!bucket_beyond(l, hash) || bucket_match(l, hash))
        return (struct flow_guess){0};
    l = bucket_over(ftable_slots(t), l);
    match = l ? bucket_match(l, hash) : 0;
    return match ? ftable_expect_in(t, l, match) : (struct flow_guess){0};
}

/* ftable_maybe: can ftable_find find anything? Seldom in vain, and no key is needed. */
static inline bool ftable_maybe(const struct ftable *t, uint32_t hash)
{
    const struct buckets *b = ftable_slots(t);

    return buckets_maybe(b, bucket_of(b, hash), hash);
}

/* flow_ends_are: of a flow of IPv4 TCP: are these its endpoints? */
static inline bool flow_ends_are(const struct flow *f, const uint64_t end[2])
{
    return key_end_word(&f->end[0]) == end[0] && key_end_word(&f->end[1]) == end[1];
}

/*
 * flow_is_of: does this record answer for a TCP segment between these endpoints (key_glance), as ftable_find would? =>
 * false: ask that one.
 */
static inline bool flow_is_of(const struct flow *f, const uint64_t end[2])
{
    return (flow_word(f) & FLOW_WORD(UINT8_MAX, 0, 0, 0, FLOW_NAT | FLOW_V6)) ==
               FLOW_WORD(IPPROTO_TCP, 0, 0, 0, 0) &&
           flow_ends_are(f, end);
}

/* same_addrs: are these two pairs of IPv6 addresses the same? */
static inline bool same_addrs(const uint8_t *a, const uint8_t *b)
{
    uint64_t v[4], w[4];

    memcpy(v, a, sizeof(v));
    memcpy(w, b, sizeof(w));
    return ((v[0] ^ w[0]) | (v[1] ^ w[1]) | (v[2] ^ w[2]) | (v[3] ^ w[3])) == 0;
}

/* flow_is_of_v6: the same of a key of IPv6. */
static inline bool flow_is_of_v6(const struct ftable *t, const struct flow *f,
                                 const struct flow_key *k)
{
    return (flow_word(f) & FLOW_WORD(UINT8_MAX, 0, 0, 0, FLOW_NAT | FLOW_V6)) ==
               FLOW_WORD(IPPROTO_TCP, 0, 0, 0, FLOW_V6) &&
           f->end[0].port == k->port[0] && f->end[1].port == k->port[1] &&
           f->end[0].realm == (uint16_t)k->realm && f->end[1].realm == (uint16_t)(k->realm >> 16) &&
           same_addrs(pool_at(&t->keys6, f->end[0].addr), k->addr[0]);
}

/* flow_from: which side is this endpoint of the flow's key? */
static inline int flow_from(const struct flow *f, unsigned end)
{
    _Static_assert(CLI == 0 && SVR == 1 && FLOW_CLI_IS_1 == 1, "as numbers");
    return (int)(end ^ (f->flags & FLOW_CLI_IS_1));
}

/*
 * ftable_confirm: is what ftable_expect said what ftable_find would find for a TCP segment between these
 * endpoints, sent by number `from`? To be asked only if it still lives (ftable_lives, or no record has gone since: ftable.gone). => as
 * ftable_find, idx 0: ask that one.
 */
static inline struct flow_hit ftable_confirm(const struct ftable *t, uint32_t idx,
                                             const uint64_t end[2], unsigned from)
{
    const struct flow *f = flow_at(t, idx);

    if (unlikely(!flow_is_of(f, end)))
        return (struct flow_hit){0};
    return (struct flow_hit){.idx = idx, .from = (uint8_t)flow_from(f, from)};
}

#endif
