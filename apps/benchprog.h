/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * benchprog.h: the programs that `weir bench` runs: an ordinary program's callbacks, and what they
 * have counted.
 */
#ifndef WEIR_APPS_BENCHPROG_H
#define WEIR_APPS_BENCHPROG_H

#include <mos_api.h>

#include "appopt.h"

/* What one context has seen. Equal for every way to share the capture out. */
struct prog_sums {
    /* told by the library at the end of each connection */
    uint64_t connections, packets, stream_bytes, gap_bytes, rexmit_packets, rexmit_bytes;
    /* by the program itself */
    uint64_t counted;            /* count: packets */
    uint64_t searched, found;    /* search: bytes read, strings found in them */
    uint64_t again, again_bytes; /* rexmit: repetitions */
    uint64_t filters;            /* events: calls of filters */
};

/* prog_choose: which program. prog_define: its events, after mtcp_init. => 0; -1. */
void prog_choose(const struct appopt *opt);
int prog_define(const struct appopt *opt);

/* prog_setup: register the program's callbacks on a context's listener. => 0; -1. */
int prog_setup(mctx_t mctx, int listener);

/* prog_sums: what all contexts have seen. => false: one of them had no memory. */
bool prog_sum(struct prog_sums *all);

/* prog_search: how often is the string of --app search in these bytes? */
uint64_t prog_search(const uint8_t *p, size_t len);

#endif
