/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyhash.h: the hash of an IPv4 key from its parts, inline: for key.c, and for who has to hash
 * before he decodes.
 */
#ifndef WEIR_FLOW_KEYHASH_H
#define WEIR_FLOW_KEYHASH_H

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <string.h>

#include "flow/key.h"

/* key_seed: the protocol is in the seed. */
static inline uint64_t key_seed(uint8_t proto, uint64_t secret)
{
    return secret + proto * 0x9e3779b97f4a7c15ULL;
}

/* key_end_v4: an IPv4 endpoint (network order) as one number: a struct key_end as it lies in memory. */
static inline uint64_t key_end_v4(uint32_t addr, uint16_t port, uint16_t realm)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return addr | (uint64_t)port << 32 | (uint64_t)realm << 48;
#else
    return (uint64_t)addr << 32 | (uint32_t)port << 16 | realm;
#endif
}

/* key_end_word: the same of one in memory. */
static inline uint64_t key_end_word(const struct key_end *e)
{
    uint64_t w;

    _Static_assert(sizeof(*e) == sizeof(w), "one word");
    memcpy(&w, e, sizeof(w));
    return w;
}

/*
 * key_order_v4: two ends without a realm in a key's order, with it. => which endpoint of the key the first is. Without
 * a branch: packets of both directions come at random.
 */
static inline unsigned key_order_v4(uint64_t src, uint64_t dst, uint32_t realm, uint64_t end[2])
{
    const bool second = src > dst;
    const uint64_t swap = (src ^ dst) & -(uint64_t)second;

    end[0] = (src ^ swap) | key_end_v4(0, 0, (uint16_t)realm);
    end[1] = (dst ^ swap) | key_end_v4(0, 0, (uint16_t)(realm >> 16));
    return second;
}

/* key_hash_v4: what key_hash gives for the key of these ends. */
static inline uint32_t key_hash_v4(const uint64_t end[2], uint8_t proto, uint64_t secret)
{
    const uint64_t h = XXH3_64bits_withSeed(end, 2 * sizeof(end[0]), key_seed(proto, secret));

    return (uint32_t)(h ^ h >> 32);
}

#endif
