/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * icmpquote.h: ICMP errors quote the packet that they are about, so that its sender knows it again. Where
 * that was changed on its way (addresses, ports, sequence number), the quotation must be changed back, or he
 * takes the error for somebody else's (RFC 5508 4, RFC 5927 4.1).
 */
#ifndef WEIR_WIRE_ICMPQUOTE_H
#define WEIR_WIRE_ICMPQUOTE_H

#include "wire/seg.h"

/* An error, and the beginning of the TCP segment that it quotes. */
struct icmp_quote {
    struct pktbuf
        pb; /* the quoted datagram, as much as there is of it: in the frame of the error */
    struct seg
        seg; /* what it says: addresses and ports; at SEG_TCP more, though seldom its payload */
    uint32_t seq; /* of the segment, host order */
};

/*
 * icmp_quotes_tcp: is this an error (RFC 792: unreachable, time exceeded, parameter problem; not source quench,
 * RFC 6633; RFC 4443: types below 128), from what may be a host, that came whole, with a right checksum, and quotes ports and sequence number of a TCP
 * segment? => true: *q is filled in.
 */
bool icmp_quotes_tcp(const struct seg *s, struct icmp_quote *q);
/*
 * icmp_mtu: such an error says that the segment was too big: for datagrams of what size there was room (RFC 1191,
 * RFC 8201); where a router does not say, the next smaller one of RFC 1191 7.1. => 0: it says something else.
 */
uint32_t icmp_mtu(const struct seg *s, const struct icmp_quote *q);

/* What is to stand there instead. Addresses: 4 or 16 bytes, network order; ports: network order. */
struct icmp_terms {
    uint8_t from[16], to[16]; /* of the error itself */
    uint8_t src[16], dst[16]; /* of the quoted segment */
    uint16_t sport, dport;
    uint32_t seq; /* host order */
};

/*
 * icmp_requote: change the error at hand: its addresses, and the quotation's addresses, ports and sequence
 * number; all checksums (ICMP, both IP headers, quoted TCP as far as it is quoted) are moved along (RFC 1624).
 * => the frame is ours to write to (it may have moved since q was filled in). s and q speak of what was there before.
 */
void icmp_requote(struct seg *s, const struct icmp_quote *q, const struct icmp_terms *t);

#endif
