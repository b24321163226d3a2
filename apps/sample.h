/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.h: a share of a stream's bytes, kept to be compared with what claims to be their
 * repetition.
 *
 * The stream is cut into cells of SAMPLE_CELL bytes, N cells are a group, and of each group one
 * cell is kept, chosen by a keyed hash: who sends the stream cannot know which. So
 *      a byte is kept with probability 1/N,
 *      of SAMPLE_CELL * (2N - 1) bytes in a row at least one whole cell is.
 * Kept is the end of the stream, SAMPLE_DEPTH bytes before sampling.
 */
#ifndef WEIR_APPS_SAMPLE_H
#define WEIR_APPS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_CELL  32
#define SAMPLE_DEPTH 262144

struct sample_cell {
    uint64_t group;
    uint32_t have; /* one bit for each byte */
    uint8_t byte[SAMPLE_CELL];
};

struct sample {
    uint64_t key;
    uint32_t one_of; /* N */
    size_t n;        /* cells at v, a power of two */
    struct sample_cell *v;
};

/* What a comparison found. */
struct sample_found {
    uint32_t compared, differ; /* bytes */
    uint64_t first, last;      /* stream offsets of the first and last that differ */
    const uint8_t *kept;       /* the first that differs, and how many are kept behind it */
    uint32_t nkept;
};

/* sample_put: n bytes at off, which the receiver has taken. => false: no memory. */
bool sample_put(struct sample *s, uint64_t off, const uint8_t *data, size_t n);
/* sample_compare: n bytes that claim to be those at off. */
struct sample_found sample_compare(const struct sample *s, uint64_t off, const uint8_t *data,
                                   size_t n);

#endif
