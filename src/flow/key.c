// SPDX-License-Identifier: BSD-2-Clause
/*
 * key.c: both directions of a connection packed into one key.
 *
 * What is hashed: IPv4 16 bytes (its two struct key_end), XXH3's short path;
 * IPv6 the first 40 bytes of the key (addresses, ports, realm) as they lie. The protocol goes
 * into the seed. 64 bits are folded to the 32 that the table keeps.
 */
#include "flow/key.h"

#include "flow/keyhash.h"

#include <string.h>

_Static_assert(offsetof(struct flow_key, proto) == 40, "what is hashed has no holes");
_Static_assert(sizeof(struct flow_key) == 44, "a key has no padding: it may be compared as bytes");

/* after_v4: is endpoint a behind endpoint b, in the order of IPv4? (Of IPv6: key_after_v6.) */
static bool after_v4(const uint8_t *a, uint16_t aport, const uint8_t *b, uint16_t bport)
{
    uint32_t addr[2];

    memcpy(&addr[0], a, 4);
    memcpy(&addr[1], b, 4);
    return key_end_v4(addr[0], aport, 0) > key_end_v4(addr[1], bport, 0);
}

int key_make(struct flow_key *k, bool v6, const void *src, uint16_t sport, const void *dst,
             uint16_t dport, uint8_t proto, uint32_t realm)
{
    const size_t len = v6 ? 16 : 4;
    const int s = v6 ? key_after_v6(key_addr_of(src), sport, key_addr_of(dst), dport)
                     : after_v4(src, sport, dst, dport);

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
    const int at = key_end_v4(s->src.v4, s->sport, 0) > key_end_v4(s->dst.v4, s->dport, 0);

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

void key_ends(const struct flow_key *k, struct key_end end[2])
{
    memcpy(&end[0].addr, k->addr[0], sizeof(end[0].addr));
    memcpy(&end[1].addr, k->addr[1], sizeof(end[1].addr));
    end[0].port = k->port[0];
    end[1].port = k->port[1];
    end[0].realm = (uint16_t)k->realm;
    end[1].realm = (uint16_t)(k->realm >> 16);
}

uint32_t key_hash(const struct flow_key *k, uint64_t secret)
{
    struct key_end end[2];
    uint64_t v[2];

    if (likely(!k->v6)) {
        key_ends(k, end);
        memcpy(v, end, sizeof(v));
        return key_hash_v4(v, k->proto, secret);
    }
    return key_hash_v6(k, secret);
}

bool key_eq(const struct flow_key *a, const struct flow_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
