/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyhash.h: order and hash of a key from its parts, inline: for key.c, for the look at a burst, and for who has to hash
 * before he decodes.
 */
#ifndef WEIR_FLOW_KEYHASH_H
#define WEIR_FLOW_KEYHASH_H

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

#include <endian.h>
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

/* An IPv6 address as two numbers, in memory's order: only equal or not equal means something. */
struct key_addr {
    uint64_t w[2];
};

static inline struct key_addr key_addr_of(const uint8_t *p)
{
    struct key_addr a;

    memcpy(&a, p, sizeof(a));
    return a;
}

/* key_after_v6: does (address, port) a come behind b? Without a branch. */
static inline bool key_after_v6(struct key_addr a, uint16_t aport, struct key_addr b,
                                uint16_t bport)
{
    const uint64_t ah = be64toh(a.w[0]), bh = be64toh(b.w[0]), al = be64toh(a.w[1]),
                   bl = be64toh(b.w[1]);
    const bool low = (al > bl) | ((al == bl) & (be16toh(aport) > be16toh(bport)));

    return (ah > bh) | ((ah == bh) & low);
}

#define KEY6_BYTES offsetof(struct flow_key, proto) /* of an IPv6 key: what is hashed */

/* key_hash_v6: what key_hash gives for this key of IPv6. */
static inline uint32_t key_hash_v6(const struct flow_key *k, uint64_t secret)
{
    const uint64_t h = XXH3_64bits_withSeed(k, KEY6_BYTES, key_seed(k->proto, secret));

    return (uint32_t)(h ^ h >> 32);
}

#endif
