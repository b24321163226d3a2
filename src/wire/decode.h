/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * decode.h: bytes to meaning. Pure: no state, no allocation; reads only the frame's pb->len bytes.
 */
#ifndef WEIR_WIRE_DECODE_H
#define WEIR_WIRE_DECODE_H

#include "wire/seg.h"

/*
 * decode: fill in *s from the frame.
 * => returns s->reason: REASON_NONE when it is a TCP segment (level SEG_TCP); else why it is none.
 *    s is valid up to s->level.
 * => sets pb->l2_len and pb->l4_off (0: not reached).
 * => follows Ethernet (802.3 LLC/SNAP too), up to 3 VLAN tags (802.1Q, 802.1ad, 0x9100), PPPoE
 *    session, MPLS (IPv4/IPv6 under it), Linux cooked v1/v2, raw IP (DLT_RAW 12 and 14 and
 *    LINKTYPE 101, DLT_IPV4, DLT_IPV6), NULL and LOOP.
 * => IPv4 header checksum is checked (SEG_IPCSUM_BAD, no refusal here: captures of one's own
 *    sending have unfinished ones); the TCP checksum is not: see csum.h.
 * => IPv6 extension headers: hop-by-hop (first only), routing, destination options, mobility, HIP,
 *    shim6, authentication; as many as there are. An atomic fragment is a whole datagram (RFC 6946).
 *    IPv4 has the authentication header.
 * => a segment whose receiver drops it for its IP options or extension headers is one all the same,
 *    marked SEG_IP_DROPPED or SEG_IP_LINUX (ipopt.c).
 */
enum reason decode(struct seg *s, struct pktbuf *pb);

/*
 * decode_tcp_options: the options of a TCP header, into s (flags, mss, wscale, sack, timestamps).
 * => `len` bytes at p are readable.
 * => an impossible length (below 2, or beyond len) sets SEG_OPT_BAD and stops; a known option of
 *    another length than its own is skipped, as Linux does. The last of several counts.
 * => a window scale above 14 counts as 14 (RFC 7323 2.3).
 * => only adds to s: the caller has zeroed flags and nsack.
 */
void decode_tcp_options(struct seg *s, const uint8_t *p, uint32_t len);

#endif
