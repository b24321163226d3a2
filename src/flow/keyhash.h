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

/* key_seed: the protocol is in the seed. */
static inline uint64_t key_seed(uint8_t proto, uint64_t secret)
{
    return secret + proto * 0x9e3779b97f4a7c15ULL;
}

/* key_hash_v4: what key_hash gives for the key of these parts, which are in a key's order. */
static inline uint32_t key_hash_v4(const uint32_t addr[2], const uint16_t port[2], uint32_t realm,
                                   uint8_t proto, uint64_t secret)
{
    uint8_t p[16];
    uint64_t h;

    memcpy(p, addr, 8);
    memcpy(p + 8, port, 4);
    memcpy(p + 12, &realm, 4);
    h = XXH3_64bits_withSeed(p, sizeof(p), key_seed(proto, secret));
    return (uint32_t)(h ^ h >> 32);
}

#endif
