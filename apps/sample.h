/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sample.h: a share of a stream's bytes, kept to be compared with what claims to be their
 * repetition.
 *
 * The stream is cut into cells of SAMPLE_CELL bytes, N cells are a group, and of each group one
 * cell is kept, chosen by a keyed hash: who sends the stream cannot know which. So
 *      a byte is kept with probability 1/N,
 *      of SAMPLE_CELL * (2N - 1) bytes in a row at least one whole cell is.
 * Kept is the end of the stream, SAMPLE_DEPTH bytes before sampling; of all of it, where bytes are
 * missing that were never seen.
 */
#ifndef WEIR_APPS_SAMPLE_H
#define WEIR_APPS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_CELL  32
#define SAMPLE_DEPTH 262144
#define SAMPLE_GAPS  32 /* told apart; where there are more, what lies between the oldest is one */

struct sample_cell {
    uint64_t group;
    uint32_t have; /* one bit for each byte */
    uint8_t byte[SAMPLE_CELL];
};

/* Bytes [from, to) of a stream. */
struct sample_gap {
    uint64_t from, to;
};

struct sample {
    uint64_t key;
    uint32_t one_of; /* N */
    int ngap;        /* gaps below `end`, ascending */
    uint64_t end;    /* of what was put */
    size_t n;        /* cells at v, a power of two */
    struct sample_cell *v;
    struct sample_gap *gap; /* room for SAMPLE_GAPS, or NULL */
};

/* What a comparison found. */
struct sample_found {
    uint32_t compared, differ; /* bytes */
    uint32_t missing;          /* bytes that were never seen, or are kept no more */
    uint64_t first, last;      /* stream offsets of the first and last that differ */
    const uint8_t *kept;       /* the first that differs, and how many are kept behind it */
    uint32_t nkept;
};

/*
 * sample_put: n bytes at off, which the receiver has taken. => off: not below the end of what was put
 * before; what lies between was never seen. => false: no memory.
 */
bool sample_put(struct sample *s, uint64_t off, const uint8_t *data, size_t n);
/* sample_compare: n bytes that claim to be those at off. What lies above s->end is not looked at. */
struct sample_found sample_compare(const struct sample *s, uint64_t off, const uint8_t *data,
                                   size_t n);
void sample_free(struct sample *s);

#endif
