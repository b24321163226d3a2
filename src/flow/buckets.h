/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buckets.h: hash to 32-bit name ("ref"), by linear hashing. It knows no keys: a look-up walks the
 * refs whose tags match, the caller compares. The same hash, even the same ref, may be in several
 * times.
 */
#ifndef WEIR_FLOW_BUCKETS_H
#define WEIR_FLOW_BUCKETS_H

#include "base/pool.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BUCKET_SLOTS 8
#define BUCKET_SHIFT 10 /* log2 of the lines taken from the system at a time: 64 KiB */

/* One cache line. Used slots come first, and only the last line of a chain has free ones. */
struct bucket {
    uint32_t ref[BUCKET_SLOTS]; /* 0: free */
    uint16_t tag[BUCKET_SLOTS]; /* the upper half of the hash */
    uint32_t over;              /* next line of the chain in the pool `over`, 0: none */
    uint32_t low;               /* four bits a slot: those of the hash below its tag */
    uint64_t beyond; /* of a chain's first line: the hashes in the others, a bit for each */
};

_Static_assert(sizeof(struct bucket) == CACHELINE, "a bucket is one cache line");

struct buckets {
    struct pool base; /* line b of the table is object b + 1: handed out in order, never freed */
    struct pool over; /* lines behind full ones */
    uint32_t n;       /* buckets */
    uint32_t mask;    /* smallest 2^i - 1 >= n - 1 */
    uint32_t entries;
    uint32_t puts; /* ever: a miss of before still is one if it has not changed */
    uint32_t (*hash_of)(const void *owner, uint32_t ref);
    const void *owner;
};

/*
 * buckets_init: => 0; -1 ENOMEM. hash_of(owner, ref) must give the hash that ref was put in with: a
 * split asks for it while the table is small.
 */
int buckets_init(struct buckets *b, uint32_t (*hash_of)(const void *, uint32_t), const void *owner,
                 struct memacct *acct);
void buckets_fini(struct buckets *b);
/*
 * buckets_reserve: room for n entries now, so that no split is due before, and for the lines that they will need behind
 * full ones. => false: no memory for that.
 */
bool buckets_reserve(struct buckets *b, uint32_t n);

/*
 * buckets_put: enter ref (not 0), and split one bucket if the load asks for it.
 * => false when a line was needed and there is no memory. A split that finds none is put off.
 */
bool buckets_put(struct buckets *b, uint32_t hash, uint32_t ref);
/* buckets_del: take ref out. => false when it was not there. */
bool buckets_del(struct buckets *b, uint32_t hash, uint32_t ref);
bool buckets_has(const struct buckets *b, uint32_t hash, uint32_t ref);
/* buckets_swap: put `now` where `was` is. => false when that was not there. */
bool buckets_swap(struct buckets *b, uint32_t hash, uint32_t was, uint32_t now);

/* buckets_bytes: bytes held. buckets_check: all invariants. => false, reason in err_text(). */
uint64_t buckets_bytes(const struct buckets *b);
bool buckets_check(const struct buckets *b);

/*
 * bucket_no: the bucket of a hash: the bits below the mask, one bit less if that one is not born.
 * Without a branch: which of the two it is changes at random.
 */
static inline uint32_t bucket_no(const struct buckets *b, uint32_t hash)
{
    uint32_t i = hash & b->mask;

    return i & b->mask >> (i >= b->n);
}

/* bucket_line: pool_at, with numbers that the compiler knows. */
static inline struct bucket *bucket_line(const struct pool *p, uint32_t idx)
{
    return (struct bucket *)(void *)p->slab[idx >> BUCKET_SHIFT] +
           (idx & ((1u << BUCKET_SHIFT) - 1));
}

static inline struct bucket *bucket_at(const struct buckets *b, uint32_t no)
{
    return bucket_line(&b->base, no + 1);
}

/* bucket_of: the first line of the chain where a look-up of this hash goes. */
static inline struct bucket *bucket_of(const struct buckets *b, uint32_t hash)
{
    return bucket_at(b, bucket_no(b, hash));
}

static inline struct bucket *bucket_over(const struct buckets *b, const struct bucket *l)
{
    return l->over ? bucket_line(&b->over, l->over) : NULL;
}

/*
 * bucket_holds: bit i for each slot i of this line that has this ref. bucket_free: for each free one.
 * bucket_match: for each used one whose tag is that of the hash.
 */
#ifdef __SSE2__
static inline __m128i bucket_equal(const struct bucket *l, uint32_t ref)
{
    const __m128i v = _mm_set1_epi32((int)ref);
    const __m128i lo = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)&l->ref[0]), v);
    const __m128i hi = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)&l->ref[4]), v);

    return _mm_packs_epi32(lo, hi);
}

static inline uint32_t bucket_bits(__m128i words)
{
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128()));
}

static inline uint32_t bucket_holds(const struct bucket *l, uint32_t ref)
{
    return bucket_bits(bucket_equal(l, ref));
}

/* bucket_tags: not 0 if a slot has this tag; one that is free may have it still. */
static inline uint32_t bucket_tags(const struct bucket *l, uint32_t hash)
{
    const __m128i tag = _mm_set1_epi16((short)(hash >> 16));

    return (uint32_t)_mm_movemask_epi8(
        _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)l->tag), tag));
}

static inline uint32_t bucket_match(const struct bucket *l, uint32_t hash)
{
    const __m128i tag = _mm_set1_epi16((short)(hash >> 16));
    const __m128i eq = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)l->tag), tag);

    return bucket_bits(_mm_andnot_si128(bucket_equal(l, 0), eq));
}
#else
static inline uint32_t bucket_holds(const struct bucket *l, uint32_t ref)
{
    uint32_t m = 0;

    for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
        m |= (uint32_t)(l->ref[i] == ref) << i;
    return m;
}

static inline uint32_t bucket_match(const struct bucket *l, uint32_t hash)
{
    const uint16_t tag = (uint16_t)(hash >> 16);
    uint32_t m = 0;

    for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
        m |= (uint32_t)(l->tag[i] == tag && l->ref[i]) << i;
    return m;
}

static inline uint32_t bucket_tags(const struct bucket *l, uint32_t hash)
{
    return bucket_match(l, hash);
}
#endif

static inline uint32_t bucket_free(const struct bucket *l)
{
    return bucket_holds(l, 0);
}

/*
 * bucket_beyond: need a look-up of this hash go on behind the first line of its chain? Seldom in vain:
 * what is not there is missed in one line, however full the table is. The hash's uppermost bits choose
 * the bit: those that have no part in choosing the bucket.
 */
static inline bool bucket_beyond(const struct bucket *first, uint32_t hash)
{
    return first->beyond >> (hash >> 26) & 1;
}

/* buckets_maybe: is anything of this tag where a look-up of this hash goes, from bucket_of on? */
static inline bool buckets_maybe(const struct buckets *b, const struct bucket *first, uint32_t hash)
{
    if (likely(!bucket_tags(first, hash) && !bucket_beyond(first, hash)))
        return false;
    for (const struct bucket *l = first; l; l = bucket_over(b, l))
        if (bucket_match(l, hash))
            return true;
    return false;
}

#endif
