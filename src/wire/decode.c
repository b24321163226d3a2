// SPDX-License-Identifier: BSD-2-Clause
/*
 * decode.c: a frame's way through the layers: link, network, transport. Each is asked once and
 * checks its own bytes; what stands in struct seg afterwards needs no further check by anyone.
 * Plain Ethernet with IPv4 goes straight down.
 */
#include "wire/decode.h"

#include <endian.h>

#include "wire/csum.h"
#include "wire/layers.h"

enum { TCP_MIN = 20 };
enum { TCP_TRACKABLE = 14 }; /* ports, numbers, data offset, flags */
enum { IPP_DCCP = 33, IPP_SCTP = 132, IPP_UDPLITE = 136 };

/* seg_init: in two halves, since gcc makes of one a loop that takes longer to start than to run. */
static void seg_init(struct seg *s, struct pktbuf *pb)
{
    enum { HALF = 64, REST = offsetof(struct seg, sack) - HALF };

    memset(s, 0, HALF);
    memset((uint8_t *)s + HALF, 0, REST);
    s->pb = pb;
}

static void take_ports(struct seg *s, const struct cursor *c)
{
    if (!cursor_has(c, 4))
        return;
    s->sport = load16_raw(c->p + c->off);
    s->dport = load16_raw(c->p + c->off + 2);
    s->level = SEG_L4;
}

static enum reason not_tcp(struct seg *s, const struct cursor *c)
{
    switch (s->l4proto) {
    case IPP_UDP:
    case IPP_UDPLITE:
    case IPP_DCCP:
    case IPP_SCTP:
        take_ports(s, c);
        break;
    default:
        break;
    }
    return REASON_IP_NOT_TCP;
}

/* tcp_window: the fields that a capture may have cut while the segment can still be tracked. */
static void tcp_window(struct seg *s, const uint8_t *p, uint32_t cap)
{
    if (likely(cap >= TCP_MIN)) {
        s->win = load16(p + 14);
        s->urp = load16(p + 18);
    } else {
        s->flags |= SEG_HDR_CUT;
        s->win = cap >= 16 ? load16(p + 14) : 0;
    }
}

static void tcp_options(struct seg *s, const uint8_t *p, uint32_t cap)
{
    if (cap >= s->hdr_len) {
        decode_tcp_options(s, p + TCP_MIN, s->hdr_len - (uint32_t)TCP_MIN);
        return;
    }
    s->flags |= SEG_HDR_CUT;
    if (cap > TCP_MIN)
        decode_tcp_options(s, p + TCP_MIN, cap - TCP_MIN);
    s->flags &=
        ~(uint32_t)SEG_OPT_BAD; /* the capture ends there, which is not the option's fault */
}

static void tcp_payload(struct seg *s, const struct cursor *c)
{
    uint32_t start = c->off + s->hdr_len;

    s->plen = c->wire - start;
    s->pay_off = (uint16_t)(start < c->cap ? start : c->cap);
    s->pcap = c->cap - s->pay_off;
}

static enum reason tcp_decode(struct seg *s, const struct cursor *c)
{
    const uint8_t *p = c->p + c->off;
    uint32_t cap = c->cap - c->off, wire = c->wire - c->off, hlen;

    take_ports(s, c);
    if (unlikely(cap < TCP_TRACKABLE || wire < TCP_MIN))
        return REASON_TCP_TRUNCATED;
    hlen = (p[12] >> 4) * 4u;
    if (unlikely(hlen < TCP_MIN || hlen > wire)) /* RFC 9293 3.1, data offset */
        return REASON_TCP_HDR_LEN;
    s->level = SEG_TCP;
    s->hdr_len = (uint8_t)hlen;
    s->seq = load32(p + 4);
    s->ack = load32(p + 8);
    s->tflags = p[13];
    tcp_window(s, p, cap);
    if (hlen > TCP_MIN)
        tcp_options(s, p, cap);
    tcp_payload(s, c);
    s->flags |= seg_is_plain(s) ? SEG_PLAIN : 0;
    return REASON_NONE;
}

static enum reason datagram_decode(struct seg *s, struct cursor *c)
{
    enum reason r = ip_decode(s, c);

    if (unlikely(r != REASON_NONE))
        return r;
    return likely(s->l4proto == IPP_TCP) ? tcp_decode(s, c) : not_tcp(s, c);
}

static bool is_plain_ip4(const struct seg *s, const struct cursor *c)
{
    return s->pb->linktype == LINK_ETHER && cursor_has(c, ETHER_HDR) &&
           load16(c->p + 12) == ETHER_IP4;
}

/* ---- the usual frame in one go ---- */

enum { AT_IP = 14, AT_TCP = 34, PLAIN_MIN = 54, AT_TCP6 = 54, PLAIN6_MIN = 74 };

/* ip4_sum_ok: of a header of 20 bytes (RFC 1071: any word size will do); it is not all zeros. */
static inline bool ip4_sum_ok(const uint8_t *p)
{
    uint64_t sum = (uint64_t)load32_raw(p) + load32_raw(p + 4) + load32_raw(p + 8) +
                   load32_raw(p + 12) + load32_raw(p + 16);

    return sum % UINT16_MAX == 0;
}

/* is_usual: Ethernet, IPv4 with a header of 20 bytes, no fragment, TCP: by its bytes; the lengths are open. */
static inline bool is_usual(const struct pktbuf *pb)
{
    const uint8_t *p = pb->data;

    return pb->linktype == LINK_ETHER && pb->len >= PLAIN_MIN &&
           (load32_raw(p + 12) & htobe32(0xffffff00)) == htobe32(ETHER_IP4 << 16 | 0x4500) &&
           (load32_raw(p + 20) & htobe32(0x3fff00ff)) == htobe32(IPP_TCP);
}

/* is_usual6: likewise of IPv6 without extension headers. */
static inline bool is_usual6(const struct pktbuf *pb)
{
    const uint8_t *p = pb->data;

    return pb->linktype == LINK_ETHER && pb->len >= PLAIN6_MIN &&
           (load32_raw(p + 12) & htobe32(0xfffff000)) ==
               htobe32((uint32_t)ETHER_IP6 << 16 | 0x6000) &&
           p[AT_IP + 6] == IPP_TCP;
}

/* usual_options: of a usual frame that has options. */
static never_inline enum reason usual_options(struct seg *s)
{
    decode_tcp_options(s, s->pb->data + s->l4_off + TCP_MIN, s->hdr_len - (uint32_t)TCP_MIN);
    s->flags |= seg_is_plain(s) ? SEG_PLAIN : 0;
    return REASON_NONE;
}

/* usual_tcp: of a usual frame: its TCP header of hlen bytes, at this place, and the payload, len bytes together. */
static force_inline enum reason usual_tcp(struct seg *s, struct pktbuf *pb, uint32_t at,
                                          uint32_t hlen, uint32_t len)
{
    const uint8_t *p = pb->data + at;

    s->level = SEG_TCP;
    s->l4proto = IPP_TCP;
    s->l3_off = pb->l2_len = AT_IP;
    s->l4_off = pb->l4_off = (uint16_t)at;
    memcpy(&s->sport, p, 4); /* both */
    s->seq = load32(p + 4);
    s->ack = load32(p + 8);
    s->hdr_len = (uint8_t)hlen;
    s->tflags = p[13];
    s->win = load16(p + 14);
    s->urp = load16(p + 18);
    s->pay_off = (uint16_t)(at + hlen);
    s->plen = s->pcap = len - hlen;
    if (hlen > TCP_MIN)
        return usual_options(s);
    s->flags |= seg_is_plain(s) ? SEG_PLAIN : 0;
    return REASON_NONE;
}

static enum reason decode_any(struct seg *s, struct pktbuf *pb)
{
    struct cursor c = {
        .p = pb->data, .cap = pb->len, .wire = pb->wire_len > pb->len ? pb->wire_len : pb->len};
    enum reason r = REASON_NONE;

    seg_init(s, pb);
    if (likely(is_plain_ip4(s, &c))) {
        s->ethertype = ETHER_IP4;
        c.off = ETHER_HDR;
    } else {
        r = link_decode(s, &c);
    }
    s->l3_off = pb->l2_len = (uint16_t)c.off;
    if (likely(r == REASON_NONE))
        r = datagram_decode(s, &c);
    pb->l4_off = s->l4_off;
    s->reason = (uint8_t)r;
    return r;
}

/* decode_usual6: what decode_any would make of it, without asking twice. */
static never_inline enum reason decode_usual6(struct seg *s, struct pktbuf *pb)
{
    const uint8_t *p = pb->data + AT_IP;
    const uint32_t len = load16(p + 4), hlen = (pb->data[AT_TCP6 + 12] >> 4) * 4u;

    if (unlikely(hlen < TCP_MIN || hlen > len || AT_TCP6 + len > pb->len))
        return decode_any(s, pb);
    seg_init(s, pb);
    s->ethertype = ETHER_IP6;
    s->flags = SEG_IP6;
    s->ip_len = AT_TCP6 - AT_IP + len;
    s->tos = (uint8_t)(load16(p) >> 4);
    s->ttl = p[7];
    memcpy(s->src.b, p + 8, 16);
    memcpy(s->dst.b, p + 24, 16);
    return usual_tcp(s, pb, AT_TCP6, hlen, len);
}

/* The usual frame: likewise. */
enum reason decode(struct seg *s, struct pktbuf *pb)
{
    const uint8_t *p = pb->data;
    uint32_t len, hlen;

    if (unlikely(!is_usual(pb)))
        return is_usual6(pb) ? decode_usual6(s, pb) : decode_any(s, pb);
    len = load16(p + AT_IP + 2);
    hlen = (p[AT_TCP + 12] >> 4) * 4u;
    if (unlikely(hlen < TCP_MIN || AT_TCP - AT_IP + hlen > len || AT_IP + len > pb->len))
        return decode_any(s, pb);
    seg_init(s, pb);
    s->ethertype = ETHER_IP4;
    s->ip_len = len;
    s->tos = p[AT_IP + 1];
    s->frag_id = load16(p + AT_IP + 4);
    s->ttl = p[AT_IP + 8];
    s->src.v4 = load32_raw(p + AT_IP + 12);
    s->dst.v4 = load32_raw(p + AT_IP + 16);
    if (unlikely(!ip4_sum_ok(p + AT_IP)))
        s->flags = SEG_IPCSUM_BAD;
    return usual_tcp(s, pb, AT_TCP, hlen, len - (AT_TCP - AT_IP));
}
