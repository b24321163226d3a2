/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syndrop.h: SYNs that were dropped: has this one come before? Its sender sends it again after a
 * second, when a flood has long taken its note (synnote.h): so each leaves two bits, in a word that
 * its key's keyed hash and its ISN choose (a blocked Bloom filter). There are two generations of
 * them. The older is forgotten after 3 s, or when the newer has as many SYNs as it is good for: a
 * million, with which one SYN in six is taken for one that has come. So what is asked for within 3 s
 * is found, in a flood of a million SYNs a second still after one second; the false ones are few
 * enough that the half-open flows outlive a handshake.
 */
#ifndef WEIR_CONN_SYNDROP_H
#define WEIR_CONN_SYNDROP_H

#include "base/pool.h"

struct syndrop {
    uint64_t bits[2]; /* by generation: side by side, for one cache line */
};

struct syndrops {
    struct syndrop *v; /* NULL: none yet */
    uint32_t mask;
    uint32_t n;   /* SYNs of the newer generation */
    int newer;    /* which is it? */
    uint64_t due; /* ns when it is no longer */
};

/*
 * syndrops_made: the array, made when first needed and counted in the account: 1 MB, of a small
 * budget a sixteenth. => false: no memory.
 */
bool syndrops_made(struct syndrops *t, struct memacct *acct);
void syndrops_fini(struct syndrops *t, struct memacct *acct);

/* syndrop_turn: the older generation is forgotten; both, if the newer is as old. */
void syndrop_turn(struct syndrops *t, uint64_t now);

static inline uint64_t syndrop_place(uint32_t hash, uint32_t isn)
{
    return ((uint64_t)hash << 32 | isn) * 0x9e3779b97f4a7c15u;
}

static inline uint64_t syndrop_bits(uint64_t place)
{
    return 1ULL << (place >> 58) | 1ULL << (place >> 52 & 63);
}

static inline struct syndrop *syndrop_at(const struct syndrops *t, uint64_t place)
{
    return &t->v[place >> 32 & t->mask];
}

/* syndrop_again: was this SYN dropped before? */
static inline bool syndrop_again(const struct syndrops *t, uint32_t hash, uint32_t isn)
{
    const uint64_t place = syndrop_place(hash, isn), bits = syndrop_bits(place);
    const struct syndrop *d = syndrop_at(t, place);

    return (d->bits[0] & bits) == bits || (d->bits[1] & bits) == bits;
}

/* syndrop_add: it is dropped now. */
static inline void syndrop_add(struct syndrops *t, uint32_t hash, uint32_t isn, uint64_t now)
{
    const uint64_t place = syndrop_place(hash, isn);

    if (unlikely(now >= t->due || t->n >= 16 * t->mask)) /* a word is good for 16: 4 bits each */
        syndrop_turn(t, now);
    t->n++;
    syndrop_at(t, place)->bits[t->newer] |= syndrop_bits(place);
}

#endif
