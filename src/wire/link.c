// SPDX-License-Identifier: BSD-2-Clause
/*
 * link.c: from the first byte of a frame to the IP header, whatever lies between. Ethernet and
 * Linux cooked captures say an ethertype, and an ethertype may lead to a tag with another one:
 * follow_type is the loop. Tags end within MAX_TAGS bytes - a host takes off one after the other,
 * however many, so who stopped at a few would let pass what he was to look at - labels are at most
 * MAX_LABELS, and there is one layer with a length field of its own (802.3 or PPPoE): so the loop ends,
 * and offsets stay small.
 */
#include "wire/layers.h"

enum { ETHER_VLAN = 0x8100, ETHER_QINQ = 0x88a8, ETHER_QINQ_OLD = 0x9100 };
enum { ETHER_PPPOE = 0x8864, ETHER_MPLS = 0x8847, ETHER_MPLS_UP = 0x8848 };
enum { ETHER_MIN = 1536 }; /* IEEE 802.3 3.2.6: below it is a length */
enum { PPP_IP4 = 0x0021, PPP_IP6 = 0x0057 };
enum { MAX_LABELS = 16, MAX_TAGS = 16384 };

/* take_nibble: only the IP header's first nibble says the version. */
static enum reason take_nibble(struct seg *s, const struct cursor *c, enum reason neither)
{
    if (!cursor_has(c, 1))
        return REASON_IP_TRUNCATED;
    switch (c->p[c->off] >> 4) {
    case 4:
        s->ethertype = ETHER_IP4;
        return REASON_NONE;
    case 6:
        s->ethertype = ETHER_IP6;
        return REASON_NONE;
    default:
        return neither;
    }
}

/* take_vlan: of more than SEG_MAX_VLANS the outermost are kept. */
static enum reason take_vlan(struct seg *s, struct cursor *c, uint16_t *type)
{
    if (c->off > MAX_TAGS)
        return REASON_LINK_TOO_DEEP;
    if (!cursor_has(c, 4))
        return REASON_LINK_TRUNCATED;
    if (s->nvlan < SEG_MAX_VLANS)
        s->vlan[s->nvlan++] = load16(c->p + c->off) & 0xfff;
    *type = load16(c->p + c->off + 2);
    c->off += 4;
    return REASON_NONE;
}

/* take_llc: IEEE 802.2 LLC, with SNAP (RFC 1042; OUI 0000F8 is 802.1H's) or with IP's own SAP. */
static enum reason take_llc(struct cursor *c, uint16_t *type)
{
    const uint8_t *p = c->p + c->off;

    if (!cursor_has(c, 3))
        return REASON_LINK_TRUNCATED;
    if (p[0] == 0x06 && p[1] == 0x06 && p[2] == 0x03) {
        *type = ETHER_IP4;
        c->off += 3;
        return REASON_NONE;
    }
    if (p[0] != 0xaa || p[1] != 0xaa || p[2] != 0x03)
        return REASON_LINK_UNKNOWN;
    if (!cursor_has(c, 8))
        return REASON_LINK_TRUNCATED;
    if (p[3] != 0 || p[4] != 0 || (p[5] != 0 && p[5] != 0xf8))
        return REASON_LINK_UNKNOWN;
    *type = load16(p + 6);
    c->off += 8;
    return REASON_NONE;
}

/* take_length: `*type` is an 802.3 length, the field just before c->off. */
static enum reason take_length(struct seg *s, struct cursor *c, uint16_t *type)
{
    if (s->link_len_off)
        return REASON_LINK_TOO_DEEP;
    s->link_len_off = (uint16_t)(c->off - 2);
    cursor_cut(c, c->off + *type);
    return take_llc(c, type);
}

/* take_ppp: the protocol field, one byte where it may be compressed to one (RFC 1661 6.5). */
static enum reason take_ppp(struct seg *s, struct cursor *c)
{
    bool one = c->p[c->off] & 1;

    if (!cursor_has(c, one ? 1 : 2))
        return REASON_LINK_TRUNCATED;
    switch (one ? c->p[c->off] : load16(c->p + c->off)) {
    case PPP_IP4:
        s->ethertype = ETHER_IP4;
        break;
    case PPP_IP6:
        s->ethertype = ETHER_IP6;
        break;
    default:
        return REASON_LINK_UNKNOWN;
    }
    c->off += one ? 1 : 2;
    return REASON_NONE;
}

/*
 * take_pppoe: RFC 2516 4, session stage. Its length may be less than the frame's (padding); more is
 * a lie.
 */
static enum reason take_pppoe(struct seg *s, struct cursor *c)
{
    const uint8_t *p = c->p + c->off;
    uint32_t len;

    if (s->link_len_off)
        return REASON_LINK_TOO_DEEP;
    if (!cursor_has(c, 7))
        return REASON_LINK_TRUNCATED;
    len = load16(p + 4);
    if (p[0] != 0x11 || p[1] != 0 || len < 2)
        return REASON_PPPOE_BAD;
    s->link_len_off = (uint16_t)(c->off + 4);
    cursor_cut(c, c->off + 6 + len);
    c->off += 6;
    return take_ppp(s, c);
}

/* take_mpls: RFC 3032. What is under the bottom label is not said; the first nibble tells (RFC 4928
 * 2). */
static enum reason take_mpls(struct seg *s, struct cursor *c)
{
    for (uint32_t i = 0; i < MAX_LABELS; i++) {
        bool bottom;

        if (!cursor_has(c, 4))
            return c->wire - c->off < 4 ? REASON_MPLS_BAD : REASON_LINK_TRUNCATED;
        bottom = c->p[c->off + 2] & 1;
        c->off += 4;
        if (bottom)
            return take_nibble(s, c, REASON_MPLS_BAD);
    }
    return REASON_LINK_TOO_DEEP;
}

static enum reason follow_type(struct seg *s, struct cursor *c, uint16_t type)
{
    enum reason r;

    for (;;) {
        s->ethertype = type;
        switch (type) {
        case ETHER_IP4:
        case ETHER_IP6:
            return REASON_NONE;
        case ETHER_VLAN:
        case ETHER_QINQ:
        case ETHER_QINQ_OLD:
            r = take_vlan(s, c, &type);
            break;
        case ETHER_PPPOE:
            return take_pppoe(s, c);
        case ETHER_MPLS:
        case ETHER_MPLS_UP:
            return take_mpls(s, c);
        default:
            if (type >= ETHER_MIN)
                return REASON_LINK_UNKNOWN;
            r = take_length(s, c, &type);
        }
        if (r != REASON_NONE)
            return r;
    }
}

static enum reason take_ether(struct seg *s, struct cursor *c)
{
    if (!cursor_has(c, ETHER_HDR))
        return REASON_LINK_TRUNCATED;
    c->off = ETHER_HDR;
    return follow_type(s, c, load16(c->p + 12));
}

/*
 * take_cooked: Linux cooked capture, both versions: a protocol field at proto_off, a device type at
 * dev_off. For some devices the protocol is not an ethertype (netlink 824, radiotap 803).
 */
static enum reason take_cooked(struct seg *s, struct cursor *c, uint32_t len, uint32_t proto_off,
                               uint32_t dev_off)
{
    enum { PROTO_LLC = 4, DEV_RADIOTAP = 803, DEV_NETLINK = 824 };
    enum reason r = REASON_NONE;
    uint16_t type, dev;

    if (!cursor_has(c, len))
        return REASON_LINK_TRUNCATED;
    type = load16(c->p + proto_off);
    dev = load16(c->p + dev_off);
    s->ethertype = type;
    c->off = len;
    if (dev == DEV_NETLINK || dev == DEV_RADIOTAP)
        return REASON_LINK_UNKNOWN;
    if (type == PROTO_LLC)
        r = take_llc(c, &type);
    else if (type < ETHER_MIN)
        r = REASON_LINK_UNKNOWN;
    return r == REASON_NONE ? follow_type(s, c, type) : r;
}

/* take_family: NULL and LOOP: 4 bytes of address family, in the byte order of the machine that
 * captured. */
static enum reason take_family(struct seg *s, struct cursor *c)
{
    uint32_t family;

    if (!cursor_has(c, 4))
        return REASON_LINK_TRUNCATED;
    family = load32(c->p);
    if (family > 0xffff)
        family = __builtin_bswap32(family);
    c->off = 4;
    switch (family) {
    case 2:
        s->ethertype = ETHER_IP4;
        return REASON_NONE;
    case 10: /* Linux */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* macOS */
        s->ethertype = ETHER_IP6;
        return REASON_NONE;
    default:
        return REASON_LINK_UNKNOWN;
    }
}

enum reason link_decode(struct seg *s, struct cursor *c)
{
    switch (s->pb->linktype) {
    case LINK_ETHER:
        return take_ether(s, c);
    case LINK_SLL:
        return take_cooked(s, c, 16, 14, 2);
    case LINK_SLL2:
        return take_cooked(s, c, 20, 0, 8);
    case LINK_NULL:
    case LINK_LOOP:
        return take_family(s, c);
    case LINK_RAW:
    case LINK_RAW_BSD:
    case LINK_RAW_FILE:
        return take_nibble(s, c, REASON_IP_VERSION);
    case LINK_IPV4:
        s->ethertype = ETHER_IP4;
        return REASON_NONE;
    case LINK_IPV6:
        s->ethertype = ETHER_IP6;
        return REASON_NONE;
    default:
        return REASON_LINK_UNKNOWN;
    }
}
