/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * preload.h: packets in memory, one after the other, for loops that measure. Nobody writes to them.
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
    uint32_t nchunks;
    uint64_t used; /* of the last chunk */
    bool whole;    /* options are headers, too: preload_ahead fetches two lines */
    struct gen_totals tot;
    struct gen_cfg cfg;
};

/* preload_generate: all packets of this traffic. => NULL with *why. */
struct preload *preload_generate(const struct gen_cfg *c, const char **why);
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
