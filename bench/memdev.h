/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memdev.h: preloaded packets as the library's input device. The only part of bench/ that reaches
 * into the engine.
 */
#ifndef WEIR_BENCH_MEMDEV_H
#define WEIR_BENCH_MEMDEV_H

#include "preload.h"

struct memdev_result {
    uint64_t ns;  /* thread CPU time from the first burst to the end */
    uint64_t rss; /* growth of the resident memory in that time */
};

/* memdev_install: after mtcp_init(NULL), before the first context. *r is filled at the end. */
void memdev_install(const struct preload *p, struct memdev_result *r);
/* memdev_remove: before mtcp_destroy. */
void memdev_remove(void);

#endif
