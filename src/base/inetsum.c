// SPDX-License-Identifier: BSD-2-Clause
/*
 * inetsum.c: the sum is the same in any byte order as long as one keeps to it (RFC 1071 2B), so
 * words are added as they lie in memory; 32-bit words into 64-bit sums need no carries in the loop,
 * and the compiler makes vectors of it.
 */
#include "base/inetsum.h"

#include <string.h>

static uint16_t word16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t word32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

uint64_t csum_add(uint64_t sum, const void *p, size_t len)
{
    const uint8_t *b = p;
    uint16_t last = 0;

    for (; len >= 4; len -= 4, b += 4)
        sum += word32(b);
    if (len >= 2) {
        sum += word16(b);
        b += 2;
        len -= 2;
    }
    if (len) {
        memcpy(&last, b, 1);
        sum += last;
    }
    return sum;
}
