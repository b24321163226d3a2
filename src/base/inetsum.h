/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inetsum.h: the sum of Internet checksums (RFC 1071). What is built on it is in wire/csum.h and
 * io/offload.h.
 */
#ifndef WEIR_BASE_INETSUM_H
#define WEIR_BASE_INETSUM_H

#include "base/compiler.h"

/*
 * csum_add: one's complement sum of len bytes, added to `sum` (unfolded; a 64-bit accumulator in
 * memory order).
 * => an odd len counts as padded with a zero byte, so only the last piece of a message may be odd.
 * => `sum` does not overflow below 16 GiB of data.
 */
uint64_t csum_add(uint64_t sum, const void *p, size_t len);
/* csum_fold: => the 16-bit checksum to store, in memory (network) order. */
static inline uint16_t csum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

#endif
