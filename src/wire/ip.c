// SPDX-License-Identifier: BSD-2-Clause
/*
 * ip.c: the network layer: IPv4 with options, IPv6 with its chain of extension headers. Finds where
 * the datagram ends (the smaller of what IP says and what the frame has), whether it is a fragment,
 * and what it carries.
 *
 * Addresses are those of the header. NOTE(issue): with an IPv6 routing header the TCP checksum, and
 * the flow as its ends know it, go by the last segment's address (RFC 8200 8.1); source-routed TCP
 * is tracked by the next hop's for now.
 */
#include "wire/csum.h"
#include "wire/layers.h"

enum { IP4_MIN = 20, IP6_HDR = 40, FRAG_HDR = 8 };
enum { IPP_HOPOPTS = 0, IPP_ROUTING = 43, IPP_FRAGMENT = 44, IPP_DSTOPTS = 60 };
enum { IPP_MOBILITY = 135, IPP_HIP = 139, IPP_SHIM6 = 140 };
enum { IP4_MORE = 0x2000, IP4_OFFSET = 0x1fff };

static enum reason version_or_truncated(const struct cursor *c, uint8_t version)
{
    if (cursor_has(c, 1) && c->p[c->off] >> 4 != version)
        return REASON_IP_VERSION;
    return REASON_IP_TRUNCATED;
}

/* end_of_datagram: the layers agree on the smallest; what was captured of it may be less still. */
static void end_of_datagram(struct seg *s, struct cursor *c, uint32_t len)
{
    cursor_cut(c, c->off + len);
    s->ip_len = c->wire - c->off;
    if (c->cap < c->wire)
        s->flags |= SEG_TRUNC;
}

static bool ip4_csum_bad(const uint8_t *p, uint32_t hlen)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < hlen; i += 4)
        sum += load32_raw(p + i);
    return csum_fold(sum) != 0;
}

static void ip4_fields(struct seg *s, const uint8_t *p, uint32_t hlen)
{
    s->level = SEG_IP;
    s->tos = p[1];
    s->frag_id = load16(p + 4);
    s->ttl = p[8];
    s->l4proto = p[9];
    s->src.v4 = load32_raw(p + 12);
    s->dst.v4 = load32_raw(p + 16);
    if (unlikely(ip4_csum_bad(p, hlen)))
        s->flags |= SEG_IPCSUM_BAD;
}

static enum reason fragment(struct seg *s, uint32_t off, bool more)
{
    s->flags |= SEG_FRAG | (more ? SEG_FRAG_MORE : 0);
    s->frag_off = (uint16_t)off;
    return REASON_IP_FRAGMENT;
}

/* take_auth: RFC 4302 2: the length is in words, less two. => false: cut off. */
static bool take_auth(struct seg *s, struct cursor *c)
{
    uint32_t len;

    if (!cursor_has(c, 2))
        return false;
    len = (c->p[c->off + 1] + 2u) * 4;
    if (!cursor_has(c, len))
        return false;
    s->l4proto = c->p[c->off];
    c->off += len;
    s->l4_off = (uint16_t)c->off;
    return true;
}

static enum reason ip4_decode(struct seg *s, struct cursor *c)
{
    const uint8_t *p = c->p + c->off;
    uint32_t hlen, len, frag;

    if (unlikely(!cursor_has(c, IP4_MIN) || p[0] >> 4 != 4))
        return version_or_truncated(c, 4);
    hlen = (p[0] & 15u) * 4;
    len = load16(p + 2);
    if (unlikely(len == 0)) /* segmentation offload: cut by the device after the capture */
        len = c->wire - c->off;
    if (unlikely(len < IP4_MIN))
        return REASON_IP_LEN;
    if (unlikely(hlen < IP4_MIN || hlen > len))
        return REASON_IP_HDR_LEN;
    if (unlikely(!cursor_has(c, hlen)))
        return REASON_IP_TRUNCATED;
    end_of_datagram(s, c, len);
    ip4_fields(s, p, hlen);
    if (unlikely(hlen > IP4_MIN))
        ip4_options(s, p + IP4_MIN, hlen - IP4_MIN);
    c->off += hlen;
    s->l4_off = (uint16_t)c->off;
    frag = load16(p + 6) & (IP4_MORE | IP4_OFFSET);
    if (unlikely(frag))
        return fragment(s, (frag & IP4_OFFSET) * 8, frag & IP4_MORE);
    if (unlikely(s->l4proto == IPP_AH) && !take_auth(s, c))
        return REASON_IP_TRUNCATED;
    return REASON_NONE;
}

/* look_at: would a host drop the packet for this extension header? */
static void look_at(struct seg *s, const uint8_t *p, uint32_t len)
{
    switch (s->l4proto) {
    case IPP_HOPOPTS:
    case IPP_DSTOPTS:
        ip6_options(s, p + 2, len - 2, s->l4proto == IPP_HOPOPTS);
        break;
    case IPP_ROUTING:
        ip6_routing(s, p);
        break;
    default: /* mobility, HIP, shim6: a protocol that a host without them does not know */
        ip_dropped(s, REASON_IP6_HDR_UNKNOWN);
        break;
    }
}

/* take_extension: the usual shape: next header, length in 8 bytes less one (RFC 8200 4.2-4.6). =>
 * false: cut off. */
static bool take_extension(struct seg *s, struct cursor *c)
{
    uint32_t len;

    if (!cursor_has(c, 8))
        return false;
    len = (c->p[c->off + 1] + 1u) * 8;
    if (!cursor_has(c, len))
        return false;
    look_at(s, c->p + c->off, len);
    s->l4proto = c->p[c->off];
    c->off += len;
    return true;
}

/* take_fragment: => REASON_NONE for an atomic fragment: it is processed alone, as a whole datagram
 * (RFC 6946 4). */
static enum reason take_fragment(struct seg *s, struct cursor *c)
{
    const uint8_t *p = c->p + c->off;
    uint32_t field;

    if (!cursor_has(c, FRAG_HDR))
        return REASON_IP6_EXT_TRUNCATED;
    field = load16(p + 2);
    s->l4proto = p[0];
    s->frag_id = load32(p + 4);
    c->off += FRAG_HDR;
    s->l4_off = (uint16_t)c->off;
    if (field & 0xfff9)
        return fragment(s, field & 0xfff8, field & 1);
    s->flags |= SEG_ATOMIC;
    return REASON_NONE;
}

static bool is_extension(uint8_t proto)
{
    switch (proto) {
    case IPP_HOPOPTS:
    case IPP_ROUTING:
    case IPP_FRAGMENT:
    case IPP_AH:
    case IPP_DSTOPTS:
    case IPP_MOBILITY:
    case IPP_HIP:
    case IPP_SHIM6:
        return true;
    default:
        return false;
    }
}

/* ip6_extensions: as many as there are, as hosts do; each has 8 bytes or more. */
static enum reason ip6_extensions(struct seg *s, struct cursor *c)
{
    bool atomic = false;

    s->l4_off = (uint16_t)c->off;
    for (uint32_t i = 0; is_extension(s->l4proto); i++) {
        enum reason r = REASON_NONE;

        if (i > 0 && s->l4proto == IPP_HOPOPTS) /* RFC 8200 4.1: first, or the host refuses it */
            return REASON_IP6_EXT_BAD;
        if (s->l4proto == IPP_FRAGMENT && atomic) /* Linux: IP6SKB_FRAGMENTED, refused */
            return REASON_IP6_EXT_BAD;
        if (s->l4proto == IPP_FRAGMENT) {
            r = take_fragment(s, c);
            atomic = true;
        } else if (!(s->l4proto == IPP_AH ? take_auth(s, c) : take_extension(s, c))) {
            r = REASON_IP6_EXT_TRUNCATED;
        }
        if (r != REASON_NONE)
            return r;
        s->l4_off = (uint16_t)c->off;
    }
    return REASON_NONE;
}

static enum reason ip6_decode(struct seg *s, struct cursor *c)
{
    const uint8_t *p = c->p + c->off;
    uint32_t len;

    if (unlikely(!cursor_has(c, IP6_HDR) || p[0] >> 4 != 6))
        return version_or_truncated(c, 6);
    len = load16(p + 4);
    /* 0: segmentation offload, or a jumbogram (RFC 2675), which no link here could carry: the
     * frame's length counts */
    end_of_datagram(s, c, len ? IP6_HDR + len : c->wire - c->off);
    s->level = SEG_IP;
    s->flags |= SEG_IP6;
    s->tos = (uint8_t)(load16(p) >> 4);
    s->l4proto = p[6];
    s->ttl = p[7];
    memcpy(s->src.b, p + 8, 16);
    memcpy(s->dst.b, p + 24, 16);
    c->off += IP6_HDR;
    return ip6_extensions(s, c);
}

enum reason ip_decode(struct seg *s, struct cursor *c)
{
    return likely(s->ethertype == ETHER_IP4) ? ip4_decode(s, c) : ip6_decode(s, c);
}
