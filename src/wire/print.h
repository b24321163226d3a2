/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print.h: a segment in one line, as tcpdump writes it, sequence numbers absolute:
 *   "10.0.0.1.1234 > 10.0.0.2.80: Flags [P.], seq 1:101, ack 1, win 502, options [...], length 100"
 * Other datagrams, fragments and refused frames get a line of their own:
 *   "10.0.0.1.53 > 10.0.0.2.53: UDP, length 20"
 *   "10.0.0.1 > 10.0.0.2: frag (id 7, offset 8+, proto 6), length 16"
 *   "ethertype 0x0806: link type or ethertype that carries no IP"
 */
#ifndef WEIR_WIRE_PRINT_H
#define WEIR_WIRE_PRINT_H

#include "wire/seg.h"

/*
 * seg_print: write at most cap bytes with the ending 0.
 * => the length that a large enough buffer would have had.
 */
int seg_print(char *out, size_t cap, const struct seg *s);

#endif
