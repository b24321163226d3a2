/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor.h: what the machine itself allows: the least that any program must do which knows a
 * packet's flow. Nobody's flow table or decoder but its own.
 */
#ifndef WEIR_BENCH_FLOOR_H
#define WEIR_BENCH_FLOOR_H

#include "preload.h"

enum floor_work {
    FLOOR_SEARCH = 1, /* memmem over each payload */
    FLOOR_CSUM = 2,   /* the TCP checksum of each packet */
    FLOOR_KNOWN = 4,  /* SYNs enter nothing: look-ups only */
};

struct floor_result {
    uint64_t packets, flows; /* counted in the table; flows that began */
    uint64_t found, bad;     /* strings found, wrong checksums */
    uint64_t ns;             /* thread CPU time of the loop */
};

/* floor_new: a table for so many flows at a time. => NULL: no memory. */
struct floor_table *floor_new(uint32_t flows);
void floor_free(struct floor_table *t);
/* floor_pass: all packets of p; what is counted is added to *r. */
void floor_pass(struct floor_table *t, const struct preload *p, unsigned work,
                struct floor_result *r);
/*
 * floor_run: one pass over all packets; the clock stands while the next of a stream are made.
 * => false: no memory.
 */
bool floor_run(const struct preload *p, unsigned work, struct floor_result *r);

#endif
