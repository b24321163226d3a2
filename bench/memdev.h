/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memdev.h: preloaded packets as the library's input device. The only part of bench/ that reaches
 * into the engine.
 */
#ifndef WEIR_BENCH_MEMDEV_H
#define WEIR_BENCH_MEMDEV_H

#include "preload.h"

struct memdev_result {
    uint64_t ns;        /* thread CPU time from the first burst to the end */
    uint64_t rss;       /* growth of the resident memory in that time */
    uint64_t start_rss; /* what it was before */
    uint64_t packets;
    struct gen_totals tot; /* of what was fed */
    /* to be set behind memdev_install, of one part: a packet's number; */
    uint64_t mark;
    uint64_t mark_ns, mark_rss; /* and ns, rss when the burst that begins there was asked for */
};

/* One batch, from the burst given to the next one asked for. */
struct memdev_batch {
    uint32_t ns;     /* CPU time, the system's in it */
    uint32_t faults; /* pages that the system gave */
};

struct memdev_batches {
    struct memdev_batch *v;
    uint64_t n, room;
};

/* memdev_install: after mtcp_init(NULL), before the first context. *r is filled at the end. */
void memdev_install(const struct preload *p, struct memdev_result *r);
/*
 * memdev_watch: the next device notes the time of each batch here; NULL: it does not, as at first.
 * The clock is asked once a batch, which costs something. The first batches after a pause, with
 * empty caches, are left out.
 */
void memdev_watch(struct memdev_batches *b);
/*
 * memdev_parts: the next device says when a part of a stream (preload_stream) has passed, which it is,
 * from 0; NULL: it does not, as at first. The clock stands then.
 */
void memdev_parts(void (*passed)(uint32_t part));
/* memdev_remove: before mtcp_destroy. */
void memdev_remove(void);

#endif
