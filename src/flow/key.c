// SPDX-License-Identifier: BSD-2-Clause
/*
 * key.c: both directions of a connection packed into one key.
 *
 * What is hashed: IPv4 16 bytes (keyhash.h: two addresses, two ports, realm), XXH3's short path;
 * IPv6 the first 40 bytes of the key (addresses, ports, realm) as they lie. The protocol goes
 * into the seed. 64 bits are folded to the 32 that the table keeps.
 */
#include "flow/key.h"

#include "base/hash.h"
#include "flow/keyhash.h"

#include <endian.h>
#include <string.h>

#define KEY6_BYTES offsetof(struct flow_key, proto)

_Static_assert(offsetof(struct flow_key, proto) == 40, "what is hashed has no holes");
_Static_assert(sizeof(struct flow_key) == 44, "a key has no padding: it may be compared as bytes");

/* Is endpoint a after endpoint b? Bytes in network order, the address first. */
static bool after(const uint8_t *a, uint16_t aport, const uint8_t *b, uint16_t bport, size_t len)
{
    int c = memcmp(a, b, len);

    return c > 0 || (c == 0 && be16toh(aport) > be16toh(bport));
}

int key_make(struct flow_key *k, bool v6, const void *src, uint16_t sport, const void *dst,
             uint16_t dport, uint8_t proto, uint32_t realm)
{
    const size_t len = v6 ? 16 : 4;
    const int s = after(src, sport, dst, dport, len);

    memset(k, 0, sizeof(*k));
    memcpy(k->addr[s], src, len);
    memcpy(k->addr[!s], dst, len);
    k->port[s] = sport;
    k->port[!s] = dport;
    k->realm = realm;
    k->proto = proto;
    k->v6 = v6;
    return s;
}

/* key_of_v4: key_of_seg of most segments. */
static inline int key_of_v4(struct flow_key *k, const struct seg *s)
{
    const int at = key_end_v4(s->src.v4, s->sport) > key_end_v4(s->dst.v4, s->dport);

    memset(k, 0, sizeof(*k));
    memcpy(k->addr[0], at ? &s->dst.v4 : &s->src.v4, 4);
    memcpy(k->addr[1], at ? &s->src.v4 : &s->dst.v4, 4);
    k->port[0] = at ? s->dport : s->sport;
    k->port[1] = at ? s->sport : s->dport;
    k->realm = s->pb->realm;
    k->proto = s->l4proto;
    return at;
}

int key_of_seg(struct flow_key *k, const struct seg *s)
{
    if (likely(!(s->flags & SEG_IP6)))
        return key_of_v4(k, s);
    return key_make(k, s->flags & SEG_IP6, s->src.b, s->sport, s->dst.b, s->dport, s->l4proto,
                    s->pb->realm);
}

uint32_t key_hash(const struct flow_key *k, uint64_t secret)
{
    uint32_t addr[2];
    uint64_t h;
    int at;

    if (likely(!k->v6)) {
        memcpy(&addr[0], k->addr[0], 4);
        memcpy(&addr[1], k->addr[1], 4);
        return key_hash_v4(key_end_v4(addr[0], k->port[0]), key_end_v4(addr[1], k->port[1]),
                           k->realm, k->proto, secret, &at);
    }
    h = hash_bytes(k, KEY6_BYTES, key_seed(k->proto, secret));
    return (uint32_t)(h ^ h >> 32);
}

bool key_eq(const struct flow_key *a, const struct flow_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
