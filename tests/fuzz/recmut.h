/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recmut.h: mutations for inputs that are a header and then records of one size. Records are put in,
 * taken out, repeated, swapped and changed as wholes; what follows keeps its meaning. Included once
 * by a target that has defined RECMUT_HEADER and RECMUT_RECORD, and recmut_typical, which writes a
 * usual run of records (say, a handshake).
 */
#ifndef WEIR_TESTS_RECMUT_H
#define WEIR_TESTS_RECMUT_H

#include "base/hash.h"
#include "fuzz.h"

#define RECMUT_RUN 6 /* most records that recmut_typical writes */

#ifdef WEIR_LIBFUZZER
static size_t recmut_typical(uint8_t *out, struct rng *r);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t na, const uint8_t *b, size_t nb,
                                 uint8_t *out, size_t max, unsigned seed);

static size_t recmut_count(size_t size)
{
    return size <= RECMUT_HEADER ? 0 : (size - RECMUT_HEADER) / RECMUT_RECORD;
}

/* recmut_insert: n records before record number `at`. => the new size. */
static size_t recmut_insert(uint8_t *data, size_t size, size_t max, size_t at, const uint8_t *rec,
                            size_t n)
{
    uint8_t *p = data + RECMUT_HEADER + at * RECMUT_RECORD;

    if (size + n * RECMUT_RECORD > max)
        return size;
    memmove(p + n * RECMUT_RECORD, p, size - (size_t)(p - data));
    memcpy(p, rec, n * RECMUT_RECORD);
    return size + n * RECMUT_RECORD;
}

static size_t recmut_remove(uint8_t *data, size_t size, size_t at)
{
    uint8_t *p = data + RECMUT_HEADER + at * RECMUT_RECORD;

    memmove(p, p + RECMUT_RECORD, size - (size_t)(p - data) - RECMUT_RECORD);
    return size - RECMUT_RECORD;
}

static size_t recmut_once(uint8_t *data, size_t size, size_t max, struct rng *r)
{
    uint8_t rec[RECMUT_RECORD * RECMUT_RUN], *a, *b;
    size_t n = recmut_count(size), i = n ? rng_below(r, (uint32_t)n) : 0;

    a = data + RECMUT_HEADER + i * RECMUT_RECORD;
    switch (n == 0 ? 0 : rng_below(r, 12)) {
    case 0:
    case 1: /* a usual run, somewhere */
        return recmut_insert(data, size, max, rng_below(r, (uint32_t)n + 1), rec,
                             recmut_typical(rec, r));
    case 2: /* again, right after or later */
        memcpy(rec, a, RECMUT_RECORD);
        return recmut_insert(data, size, max, i + rng_below(r, (uint32_t)(n - i) + 1), rec, 1);
    case 3:
        return recmut_remove(data, size, i);
    case 4: /* out of order */
        b = data + RECMUT_HEADER + rng_below(r, (uint32_t)n) * RECMUT_RECORD;
        memcpy(rec, a, RECMUT_RECORD);
        memmove(a, b, RECMUT_RECORD);
        memcpy(b, rec, RECMUT_RECORD);
        return size;
    case 5: /* the header */
        LLVMFuzzerMutate(data, RECMUT_HEADER, RECMUT_HEADER);
        return size;
    case 6: /* one byte of a record */
        a[rng_below(r, RECMUT_RECORD)] = (uint8_t)rng_next(r);
        return size;
    case 7: /* one bit of a record */
        a[rng_below(r, RECMUT_RECORD)] ^= (uint8_t)(1 << rng_below(r, 8));
        return size;
    default:
        LLVMFuzzerMutate(a, RECMUT_RECORD, RECMUT_RECORD);
        return size;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct rng r;

    rng_seed(&r, seed);
    if (max < RECMUT_HEADER + RECMUT_RECORD)
        return size;
    if (size < RECMUT_HEADER) {
        memset(data + size, 0, RECMUT_HEADER - size);
        size = RECMUT_HEADER;
    }
    if (rng_below(&r, 40) == 0)
        return LLVMFuzzerMutate(data, size, max);
    size = RECMUT_HEADER + recmut_count(size) * RECMUT_RECORD;
    for (uint32_t n = 1 + rng_below(&r, 3); n > 0; n--)
        size = recmut_once(data, size, max, &r);
    return size;
}

/* One input's beginning and another's end. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t na, const uint8_t *b, size_t nb,
                                 uint8_t *out, size_t max, unsigned seed)
{
    size_t ra = recmut_count(na), rb = recmut_count(nb), from, n;
    struct rng r;

    rng_seed(&r, seed);
    if (ra == 0 || rb == 0 || max < na)
        return 0;
    n = RECMUT_HEADER + (1 + rng_below(&r, (uint32_t)ra)) * RECMUT_RECORD;
    memcpy(out, a, n);
    from = rng_below(&r, (uint32_t)rb);
    rb = (rb - from) * RECMUT_RECORD;
    if (rb > max - n)
        rb = (max - n) / RECMUT_RECORD * RECMUT_RECORD;
    memcpy(out + n, b + RECMUT_HEADER + from * RECMUT_RECORD, rb);
    return n + rb;
}
#endif

#endif
