/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostq.h: the queue in which a host keeps segments that came out of order, as far as it decides
 * whose copy of a byte the host will hand to its program: where every entry begins and ends, no
 * bytes. Pure: no memory, no stream. docs/tcp.md has the rules as a table.
 */
#ifndef WEIR_STREAM_HOSTQ_H
#define WEIR_STREAM_HOSTQ_H

#include <stdint.h>

#include "base/overlap.h"

#define HOSTQ_MAX 1000 /* entries; who has more must forget some boundaries */

struct span {
    uint64_t start, end;
};

struct hostq_entry {
    struct span at;
    uint16_t kid[2], up, red; /* LINUX: the tree's links, 1 + index, 0: none */
};

struct hostq {
    struct hostq_entry *v; /* by start; LINUX: in any order */
    uint32_t n;
    uint32_t root; /* LINUX: 1 + index */
};

/*
 * hostq_insert: a segment comes. v has room for one more entry; the segment is cut off at what is
 * in order already, and not empty.
 *
 * => changes the queue as the host would.
 * => the part of the segment whose bytes the host takes (start >= end: none). Whatever else of the
 *    segment it has from entries that were there before.
 */
struct span hostq_insert(enum overlap_policy policy, struct hostq *q, struct span seg);

/* hostq_drain: everything up to `next` is in order now: what begins there leaves the queue. */
void hostq_drain(enum overlap_policy policy, struct hostq *q, uint64_t next);

/* The same for LINUX (hosttree.c). */
struct span hosttree_insert(struct hostq *q, struct span seg);
void hosttree_drain(struct hostq *q, uint64_t next);

#endif
