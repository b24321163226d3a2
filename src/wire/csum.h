/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * csum.h: Internet checksums (RFC 1071), full and incremental (RFC 1624 eqn. 3).
 */
#ifndef WEIR_WIRE_CSUM_H
#define WEIR_WIRE_CSUM_H

#include "base/inetsum.h"
#include "wire/seg.h"

/*
 * csum_update: new checksum field after `old_len` bytes at old became new_len bytes at new, both
 * starting at an even offset.
 * => a wrong field stays wrong by the same amount; a right one equals the full computation exactly.
 */
uint16_t csum_update(uint16_t field, const void *old, size_t old_len, const void *new_,
                     size_t new_len);

/*
 * csum_tcp_ok: is the TCP checksum right?
 * => only for whole segments: a truncated or fragmented one answers false with *known = false.
 * => what the device said goes first: PB_CSUM_GOOD and PB_CSUM_BAD are believed, PB_CSUM_PART is
 *    not known.
 */
bool csum_tcp_ok(const struct seg *s, bool *known);
/*
 * csum_tcp_set: recompute the TCP checksum in the frame.
 * => nothing for what is not a whole TCP segment. Ends PB_CSUM_BAD.
 * => PB_CSUM_PART: the device finishes it, perhaps for each of several segments: it becomes the sum of
 *    the pseudo header.
 * csum_ip_set: recompute the IPv4 header checksum.
 * => nothing for IPv6.
 */
void csum_tcp_set(const struct seg *s);
void csum_ip_set(const struct seg *s);

#endif
