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

#include <endian.h>
#include <stdbool.h>
#include <string.h>

/* key_seed: the protocol is in the seed. */
static inline uint64_t key_seed(uint8_t proto, uint64_t secret)
{
    return secret + proto * 0x9e3779b97f4a7c15ULL;
}

/* key_end_v4: an IPv4 endpoint (network order) as a number, in a key's order. */
static inline uint64_t key_end_v4(uint32_t addr, uint16_t port)
{
    return (uint64_t)be32toh(addr) << 16 | be16toh(port);
}

/*
 * key_hash_v4: what key_hash gives for the key of these ends, whichever of them is the source. *at:
 * which endpoint of the key that is. Without a branch: packets of both directions come at random.
 */
static inline uint32_t key_hash_v4(uint64_t src, uint64_t dst, uint32_t realm, uint8_t proto,
                                   uint64_t secret, int *at)
{
    const bool second = src > dst;
    const uint64_t swap = (src ^ dst) & -(uint64_t)second;
    const uint64_t v[2] = {(src ^ swap) | (uint64_t)realm << 48,
                           (dst ^ swap) | (uint64_t)(realm >> 16) << 48};
    uint64_t h;

    *at = second;
    h = XXH3_64bits_withSeed(v, sizeof(v), key_seed(proto, secret));
    return (uint32_t)(h ^ h >> 32);
}

#endif
