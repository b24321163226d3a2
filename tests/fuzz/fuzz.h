/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz.h: what fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: libFuzzer calls
 * it with bytes of its own making (make fuzz), fuzz_replay.c with every file of tests/fuzz/corpus/
 * and tests/fuzz/found/ (meson test).
 *
 * A target takes its input apart from the front with take_*; behind its end there are zeros, so that
 * every input means something. Nothing else may decide what happens: no clock, no random number, no
 * memory of earlier inputs.
 */
#ifndef WEIR_TESTS_FUZZ_H
#define WEIR_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* FUZZ_CHECK: what must hold whatever the input. The rest is printf's: values that tell how not. */
#define FUZZ_CHECK(cond, ...)                                                                      \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: does not hold: %s: ", __FILE__, __LINE__, #cond);              \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct take {
    const uint8_t *p, *end;
};

static inline bool take_more(const struct take *t)
{
    return t->p < t->end;
}

static inline uint8_t take_8(struct take *t)
{
    return t->p < t->end ? *t->p++ : 0;
}

static inline uint16_t take_16(struct take *t)
{
    uint16_t lo = take_8(t);

    return (uint16_t)(lo | take_8(t) << 8);
}

static inline uint32_t take_32(struct take *t)
{
    uint32_t lo = take_16(t);

    return lo | (uint32_t)take_16(t) << 16;
}

/* take_copy: n bytes, as many as there are, in memory of just that size (to be freed). */
static inline uint8_t *take_copy(struct take *t, size_t n, size_t *got)
{
    size_t left = (size_t)(t->end - t->p);
    uint8_t *copy;

    *got = n < left ? n : left;
    copy = malloc(*got ? *got : 1);
    FUZZ_CHECK(copy != NULL, "no memory");
    if (*got)
        memcpy(copy, t->p, *got);
    t->p += *got;
    return copy;
}

#endif
