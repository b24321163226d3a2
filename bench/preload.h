/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * preload.h: packets in memory, one after the other, for loops that measure. Nobody writes to them
 * but preload_more, which puts the next ones in their place: where all of them would be too many.
 */
#ifndef WEIR_BENCH_PRELOAD_H
#define WEIR_BENCH_PRELOAD_H

#include "base/compiler.h"
#include "gen.h"

struct pre_pkt {
    const uint8_t *data; /* the IP header lies on a multiple of 4, all headers in one cache line */
    uint32_t len;
    uint32_t us; /* after preload.t0_ns */
};

struct preload {
    struct pre_pkt *pkt;
    uint64_t n, cap, t0_ns;
    uint8_t **chunk; /* where the frames lie: mapped in pieces, huge pages where there are */
    uint32_t nchunks, filling; /* the chunk at hand */
    uint64_t used;             /* of it */
    bool whole;                /* options are headers, too: preload_ahead fetches two lines */
    struct gen_totals tot;     /* of a stream: when it has ended */
    struct gen_cfg cfg;
    struct preload *stream;         /* itself, if it is one: for preload_more */
    struct gen *gen;                /* of a stream: what comes next */
    uint64_t at_once, before, most; /* packets: at a time, gone already, in all */
};

/* preload_generate: all packets of this traffic. => NULL with *why. */
struct preload *preload_generate(const struct gen_cfg *c, const char **why);
/*
 * preload_stream: the same, `at_once` packets at a time, the first of them now; no more than `most`
 * packets in all, 0: no limit.
 */
struct preload *preload_stream(const struct gen_cfg *c, uint64_t at_once, uint64_t most,
                               const char **why);
/* preload_more: the next packets of a stream. => false: there are none (left), or no memory. */
bool preload_more(struct preload *p);
void preload_free(struct preload *p);

/*
 * preload_ahead: fetch the headers of packets at .. at + n - 1, as a device that puts headers into
 * the cache does. The floor and the library are helped alike.
 */
static inline void preload_ahead(const struct preload *p, uint64_t at, int n)
{
    uint64_t end = at + (uint64_t)n < p->n ? at + (uint64_t)n : p->n;

    for (; at < end; at++) {
        prefetch_r(p->pkt[at].data);
        if (p->whole)
            prefetch_r(p->pkt[at].data + 64);
    }
}

#endif
