/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * benchrun.h: one round of `weir bench`: the floor, then the library, over all loops, in a process of
 * its own.
 */
#ifndef WEIR_APPS_BENCHRUN_H
#define WEIR_APPS_BENCHRUN_H

#include "benchprog.h"
#include "benchset.h"

struct round {
    bool good;
    char why[256];       /* if not */
    uint64_t ns;         /* CPU time of the threads that had packets to work off, all of them */
    uint64_t longest_ns; /* of the one that had most to do */
    uint64_t floor_ns;   /* the same packets, the floor alone */
    uint64_t rss;        /* bytes of memory that library and program had at most, packets apart */
    struct prog_sums sums;
};

/* cycle_hz: ticks a second of the time stamp counter; elsewhere ns. */
double cycle_hz(void);

/*
 * run_round: connections: at a time, for the floor's table.
 */
void run_round(struct round *r, const struct appopt *opt, const struct set *s,
               uint32_t connections);

#endif
