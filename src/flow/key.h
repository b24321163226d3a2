/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * key.h: what makes a flow the same flow: the ordered pair of endpoints, protocol and realm. Both
 * directions of a connection give the same key; which endpoint a packet came from is told beside
 * it.
 *
 * Order: of IPv6 endpoint 0 is the one with the smaller (address, port), compared as bytes in network
 * order; of IPv4 the one that is the smaller number as it lies in memory (keyhash.h), which takes the
 * fewest steps and has no other meaning. Equal endpoints (a host that talks to itself on one port) are
 * legal, and the sender counts as endpoint 0.
 */
#ifndef WEIR_FLOW_KEY_H
#define WEIR_FLOW_KEY_H

#include "wire/seg.h"

struct flow_key {
    uint8_t addr[2][16]; /* network order; IPv4 in the first 4 bytes, the rest 0 */
    uint16_t port[2];    /* network order */
    uint32_t realm;
    uint8_t proto;
    uint8_t v6;
    uint16_t zero;
};

/*
 * An endpoint as records have it: two of them are all that a look-up compares. Of IPv6 addr of endpoint 0
 * says where both addresses are.
 */
struct key_end {
    uint32_t addr;  /* network order */
    uint16_t port;  /* network order */
    uint16_t realm; /* half of it: endpoint 0 has the lower */
};

/* key_of_seg: the key of a decoded TCP or UDP segment. => 0 or 1: the endpoint that sent it. */
int key_of_seg(struct flow_key *k, const struct seg *s);

/* key_make: from parts (network order). => endpoint of `src`. */
int key_make(struct flow_key *k, bool v6, const void *src, uint16_t sport, const void *dst,
             uint16_t dport, uint8_t proto, uint32_t realm);

/* key_ends: of a key of IPv4: its endpoints; of IPv6: but for the addresses. */
void key_ends(const struct flow_key *k, struct key_end end[2]);

/* key_hash: keyed with the run's secret; equal for both directions. */
uint32_t key_hash(const struct flow_key *k, uint64_t secret);

bool key_eq(const struct flow_key *a, const struct flow_key *b);

#endif
