/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evwork.h: the traffic of `evsets` and `select`, and what a program must see of it.
 *
 * W1's shape. For evsets some segments come twice (REXMIT), and of some connections one segment is taken
 * out that the receiver has acknowledged (GAP).
 */
#ifndef WEIR_BENCH_EVWORK_H
#define WEIR_BENCH_EVWORK_H

#include "preload.h"

#define EVWORK_EVERY 16 /* packets of a flow for one change of its set */

struct evwork {
    struct preload *p;
    uint64_t shaken;  /* packets until all handshakes are over */
    uint64_t changes; /* how many changes that makes, the first packets excepted */
    uint64_t doubled; /* segments that come twice */
    uint64_t gaps;    /* segments taken out */
    uint64_t gap_bytes;
};

/* evwork_new: => NULL with *why. */
struct evwork *evwork_new(const struct gen_cfg *c, bool with_gaps, const char **why);
void evwork_free(struct evwork *w);

/* evwork_change: does packet number `packet` (from 1) of the flow-th flow change the flow's set? */
static inline bool evwork_change(uint32_t flow, uint32_t packet)
{
    return packet > 1 && (flow + packet) % EVWORK_EVERY == 0;
}

#endif
