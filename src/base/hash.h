/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h: keyed hashing (xxHash's XXH3, seeded per run) and the seeded random numbers of tests, ids
 * and tie-breaks.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include "base/compiler.h"

/* hash_bytes: 64-bit keyed hash of len bytes. */
uint64_t hash_bytes(const void *p, size_t len, uint64_t seed);

/* hash_mix: spread one 64-bit word (splitmix64's finaliser). */
static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

struct rng {
    uint64_t s;
};

static inline void rng_seed(struct rng *r, uint64_t seed)
{
    r->s = seed;
}

static inline uint64_t rng_next(struct rng *r)
{
    r->s += 0x9e3779b97f4a7c15ULL;
    return hash_mix(r->s);
}

/* rng_below: 0 .. n-1, n > 0 (bias below 2^-32 for n < 2^32). */
static inline uint64_t rng_below(struct rng *r, uint32_t n)
{
    return ((rng_next(r) >> 32) * n) >> 32;
}

#endif
