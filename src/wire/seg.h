/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seg.h: what decode makes of a frame: checked once, in host order, so that nobody to the right of
 * wire/ reads packet memory again.
 *
 * Lengths. Every layer states one: the frame (wire_len), PPPoE, IP, and what was captured. The
 * smallest counts: Ethernet padding is no payload, a lying IP length does not reach beyond the
 * frame. An IP length of 0 (a large segment captured before the device cut it) means: up to the
 * frame's end. `plen` is the payload's length on the wire, `pcap` (<= plen) how much of it was
 * captured.
 *
 * Cut captures. A TCP header of which at least the first 14 bytes were captured is a segment like
 * any other (its sequence numbers and flags are known, so it can be tracked), marked SEG_HDR_CUT:
 * options may be missing, and below 20 bytes the window is unknown and told as 0.
 */
#ifndef WEIR_WIRE_SEG_H
#define WEIR_WIRE_SEG_H

#include "base/pktbuf.h"
#include "base/reasons.h"

#define SEG_MAX_VLANS 3
#define SEG_MAX_SACK  4

enum tcp_flag {
    TH_FIN_ = 1,
    TH_SYN_ = 2,
    TH_RST_ = 4,
    TH_PSH_ = 8,
    TH_ACK_ = 16,
    TH_URG_ = 32,
    TH_ECE_ = 64,
    TH_CWR_ = 128
};

enum seg_flags {
    SEG_IP6 = 1 << 0,
    SEG_FRAG = 1 << 1,      /* an IP fragment (not an atomic one) */
    SEG_FRAG_MORE = 1 << 2, /* more fragments follow */
    SEG_TRUNC = 1 << 3,     /* captured less than the datagram's length */
    SEG_TS = 1 << 4,        /* timestamps option */
    SEG_SACKOK = 1 << 5,    /* SACK permitted */
    SEG_WSCALE = 1 << 6,
    SEG_MSS = 1 << 7,
    SEG_TFO = 1 << 8,      /* fast open option (kind 34, or 254 with magic 0xF989) */
    SEG_AUTH = 1 << 9,     /* TCP-AO or MD5 option */
    SEG_OPT_BAD = 1 << 10, /* options malformed; those before count */
    SEG_IPCSUM_BAD = 1 << 11,
    SEG_TUNNEL = 1 << 12,     /* reserved: decapsulated */
    SEG_HDR_CUT = 1 << 13,    /* TCP header captured in part: options missing, perhaps the window */
    SEG_IP_DROPPED = 1 << 14, /* hosts drop it for its IP options or headers: ip_why */
    SEG_IP_LINUX = 1 << 15,   /* Linux does, others need not */
    SEG_ATOMIC = 1 << 16,     /* it has a fragment header and is whole all the same (RFC 6946) */
    SEG_PLAIN = 1 << 17, /* an ACK, with bytes or without, all captured, nothing rare about it */
};

/* What is rare: a segment that is SEG_PLAIN has none of these. */
#define SEG_RARE (SEG_OPT_BAD | SEG_AUTH | SEG_HDR_CUT | SEG_IP_DROPPED | SEG_IP_LINUX)

/* How far decode got. Fields of a higher level are 0 (but sack[] from nsack on is not written). */
enum seg_level {
    SEG_LINK, /* ethertype and tags; l3_off is where the link header ended or the trouble began */
    SEG_IP,   /* addresses, ip_len, l4proto, l4_off, ttl, tos, fragment fields */
    SEG_L4,   /* ports too: UDP, UDP-Lite, DCCP, SCTP, and TCP that is no valid segment */
    SEG_TCP,  /* everything */
};

struct seg {
    struct pktbuf *pb;
    uint8_t level;   /* enum seg_level */
    uint8_t reason;  /* enum reason: why decode stopped below SEG_TCP; NONE at SEG_TCP */
    uint8_t l4proto; /* after extension headers; or the header that decode stopped at */
    uint8_t nvlan;
    uint16_t vlan[SEG_MAX_VLANS]; /* outermost first, 12-bit VID */
    uint16_t l3_off;              /* offset of the IP header from pb->data */
    uint16_t l4_off;       /* of the transport header (of the fragment's payload for fragments) */
    uint16_t ethertype;    /* the last; IP is always 0x0800 or 0x86dd; below 1536: 802.3, no SNAP */
    uint16_t link_len_off; /* of the link layer's own length field (802.3, PPPoE); 0: has none */
    uint8_t ip_why;        /* enum reason: of SEG_IP_DROPPED, else of SEG_IP_LINUX, else NONE */
    uint32_t flags;        /* enum seg_flags */
    uint32_t ip_len;       /* the datagram on the wire, header and all, cut to the smallest layer */
    uint8_t ttl;
    uint8_t tos;
    uint16_t frag_off; /* bytes */
    uint32_t frag_id;

    /* addresses in network order, 16 bytes each for IPv6, first 4 bytes for IPv4 */
    union {
        uint32_t v4;
        uint8_t b[16];
    } src, dst;

    /* TCP (and ports for UDP at level SEG_L4) */
    uint16_t sport, dport; /* network order */
    uint32_t seq, ack;     /* host order */
    uint16_t win, urp;     /* host order, as on the wire */
    uint8_t tflags;        /* enum tcp_flag */
    uint8_t hdr_len;       /* TCP header with options */
    uint8_t wscale;
    uint8_t nsack;
    uint16_t mss;
    uint16_t pay_off; /* offset of payload from pb->data */
    uint32_t plen;    /* payload bytes on the wire */
    uint32_t pcap;    /* of them captured */
    uint32_t tsval, tsecr;
    struct {
        uint32_t start, end;
    } sack[SEG_MAX_SACK];
};

static inline const uint8_t *seg_payload(const struct seg *s)
{
    return s->pb->data + s->pay_off;
}

/* seg_is_plain: is it SEG_PLAIN? */
static inline bool seg_is_plain(const struct seg *s)
{
    return (s->tflags & ~(TH_PSH_ | TH_ECE_ | TH_CWR_)) == TH_ACK_ && s->nsack == 0 &&
           s->pcap == s->plen && !(s->flags & SEG_RARE);
}

/* seg_slen: the segment's length in sequence space: payload + SYN + FIN (RFC 9293, SEG.LEN). */
static inline uint32_t seg_slen(const struct seg *s)
{
    return s->plen + !!(s->tflags & TH_SYN_) + !!(s->tflags & TH_FIN_);
}

#endif
