/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * layers.h: what the decoders of wire/ share. No business of other folders.
 *
 * A cursor walks down the layers. Each layer that states a length calls cursor_cut, which only ever
 * narrows; each that takes a header asks cursor_has first. Invariant: off <= cap <= wire.
 */
#ifndef WEIR_WIRE_LAYERS_H
#define WEIR_WIRE_LAYERS_H

#include <string.h>

#include "wire/seg.h"

enum {
    LINK_NULL = 0,
    LINK_ETHER = 1,
    LINK_RAW = 12,
    LINK_RAW_BSD = 14,
    LINK_RAW_FILE = 101,
    LINK_LOOP = 108
};
enum { LINK_SLL = 113, LINK_IPV4 = 228, LINK_IPV6 = 229, LINK_SLL2 = 276 };
enum { ETHER_IP4 = 0x0800, ETHER_IP6 = 0x86dd, ETHER_HDR = 14 };
enum { IPP_TCP = 6, IPP_UDP = 17, IPP_AH = 51 };

struct cursor {
    const uint8_t *p; /* the frame */
    uint32_t off;     /* where the next header starts */
    uint32_t cap;     /* end of what was captured and still counts */
    uint32_t wire;    /* end on the wire, as far as the layers so far agree */
};

static inline bool cursor_has(const struct cursor *c, uint32_t n)
{
    return c->cap - c->off >= n;
}

static inline void cursor_cut(struct cursor *c, uint32_t end)
{
    if (end < c->wire)
        c->wire = end;
    if (c->cap > c->wire)
        c->cap = c->wire;
}

static inline uint16_t load16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* load*_raw: as it lies in memory, network order. */
static inline uint16_t load16_raw(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t load32_raw(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void store16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void store32(uint8_t *p, uint32_t v)
{
    store16(p, v >> 16);
    store16(p + 2, v);
}

/* link_decode: from the frame's start to an IP header. => REASON_NONE: c->off is there,
 * s->ethertype says which. */
enum reason link_decode(struct seg *s, struct cursor *c);

/*
 * ip_decode: the IP header at c->off, of the version that s->ethertype says, and all extension
 * headers.
 * => REASON_NONE: a whole datagram; c->off is at the transport header, c->wire at the datagram's
 * end.
 * => REASON_IP_FRAGMENT: s is filled in up to SEG_IP, too.
 */
enum reason ip_decode(struct seg *s, struct cursor *c);

/* ip_dropped: mark it: no host takes it, for this reason. */
void ip_dropped(struct seg *s, enum reason why);
/* ip4_options, ip6_options: mark it if a host would drop it for these options: `len` bytes at p. */
void ip4_options(struct seg *s, const uint8_t *p, uint32_t len);
/* => hop: those of a hop-by-hop header, else destination options. */
void ip6_options(struct seg *s, const uint8_t *p, uint32_t len, bool hop);
/* ip6_routing: the same for a routing header. */
void ip6_routing(struct seg *s, const uint8_t *p);

#endif
