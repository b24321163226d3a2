/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seq.h: sequence number arithmetic (RFC 9293 3.4), modulo 2^32. Nobody else subtracts sequence
 * numbers.
 */
#ifndef WEIR_TCP_SEQ_H
#define WEIR_TCP_SEQ_H

#include "base/compiler.h"

/* seq_diff: a - b as a signed distance, valid for distances below 2^31. */
static inline int32_t seq_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return seq_diff(a, b) < 0;
}

static inline bool seq_leq(uint32_t a, uint32_t b)
{
    return seq_diff(a, b) <= 0;
}

/* seq_in: lo <= x < lo + len. */
static inline bool seq_in(uint32_t x, uint32_t lo, uint32_t len)
{
    return (uint32_t)(x - lo) < len;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? b : a;
}

/*
 * seq_to_off: the 64-bit stream offset of sequence number s, given that offset `near` has sequence
 * number base + near.
 * => negative when s lies before offset 0.
 */
static inline int64_t seq_to_off(uint32_t s, uint32_t base, uint64_t near)
{
    return (int64_t)near + seq_diff(s, base + (uint32_t)near);
}

#endif
