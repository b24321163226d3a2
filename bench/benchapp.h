/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * benchapp.h: the applications that are measured: an ordinary program's callbacks, on the public
 * API, and the device that feeds them packets from memory.
 */
#ifndef WEIR_BENCH_BENCHAPP_H
#define WEIR_BENCH_BENCHAPP_H

#include "preload.h"

enum bench_app {
    APP_NONE,   /* a listener without callbacks: tracking alone */
    APP_COUNT,  /* packets of each connection, in a struct behind its user context */
    APP_SEARCH, /* a string in all reassembled bytes, by mtcp_peekv */
    APP_PEEK,   /* the same by mtcp_peek */
};

struct app_result {
    uint64_t packets, flows;      /* as the application has counted them */
    uint64_t stream_bytes, found; /* read; strings found */
    uint64_t ns;                  /* thread CPU time, first frame asked for to end of input told */
    uint64_t rss_bytes;           /* more in memory at the end of the input than at its start */
    uint64_t start_bytes;         /* at its start, more than before mtcp_init */
    uint64_t fed;                 /* packets from the device */
    struct gen_totals tot;        /* and what is in them */
};

enum app_how {
    APP_CSUM = 1,     /* TCP checksums are verified; else they are not looked at */
    APP_RESERVED = 2, /* memory for all flows is there from the beginning (the key `reserve`) */
};

/*
 * app_run: one pass over all packets through the library, in this process, in one context. how: APP_ bits.
 *
 * => The frames are not copied: the device's rx points at them. From there to the end of the batch
 *    it is the code that reads capture files.
 * => false: *why says what failed.
 */
bool app_run(const struct preload *p, enum bench_app app, unsigned how, struct app_result *r,
             const char **why);

#endif
