/* SPDX-License-Identifier: BSD-2-Clause */
/* icmp.h: what a router says for itself: echo replies, and why a packet goes no further. */
#ifndef WEIR_WIRE_ICMP_H
#define WEIR_WIRE_ICMP_H

#include "wire/seg.h"

#define ICMP_FRAME 1294 /* bytes of the longest error */

enum icmp_why {
    ICMP_TTL,      /* the hop limit is used up */
    ICMP_NO_ROUTE, /* there is no way to this address */
    ICMP_NO_HOST,  /* the address does not answer on its link */
    ICMP_TOO_BIG,  /* and may not be cut: icmp_too_big says it */
};

/*
 * icmp_is_whole: is this ICMP of a header at least, all of it here, no fragment, with right checksums (or one that a
 * device is to finish, PB_CSUM_PART)?
 */
bool icmp_is_whole(const struct seg *s);
/* icmp_is_group: an address that no single host has: a group's, none, IPv4's 0/8 and 127/8. */
bool icmp_is_group(const uint8_t *addr, bool v6);
/* icmp_is_echo: is this a whole and undamaged echo request? => a decoded frame. */
bool icmp_is_echo(const struct seg *s);
/*
 * icmp_echo_reply: the answer to such a request, as a whole frame.
 * => its length; 0 if it does not fit into cap.
 */
uint32_t icmp_echo_reply(uint8_t *out, uint32_t cap, const struct seg *s);

/*
 * icmp_error: a frame for the sender of this one, from an interface with this MAC and address
 * (4 bytes, or 16 for IPv6): back the way it came, quoting as much as the RFCs want (RFC 1812 4.3.2.3,
 * RFC 4443 2.4).
 * => out has ICMP_FRAME bytes; the length; 0: nothing is to be said to that: it is an error
 *    itself, a later fragment, or from or to a group (RFC 1812 4.3.2.7).
 */
uint32_t icmp_error(uint8_t *out, const struct seg *s, enum icmp_why why, const uint8_t *mac,
                    const uint8_t *own);
/* icmp_too_big: the same: the next link takes datagrams of `mtu` bytes (RFC 1191, RFC 4443 3.2). */
uint32_t icmp_too_big(uint8_t *out, const struct seg *s, uint32_t mtu, const uint8_t *mac,
                      const uint8_t *own);

#endif
