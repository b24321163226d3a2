/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netwatch.h: Weir as it watches test transfers: every stream is read as it comes, checked byte by
 * byte against the connection's plan and hashed, and told when the connection has ended.
 */
#ifndef WEIR_TESTS_NETWATCH_H
#define WEIR_TESTS_NETWATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct netwatch_cfg {
    uint64_t seed;    /* of the run: says what the streams must be */
    bool strict;      /* as if inline */
    const char *csum; /* on, off, auto */
    FILE *out;        /* one JSON object for each connection */
};

/* netwatch_open: => false: standard error has why. */
bool netwatch_open(const struct netwatch_cfg *cfg);
/* netwatch_frame: the tap has seen this frame. It is copied; Weir gets up to 64 at a time. */
void netwatch_frame(const uint8_t *frame, uint32_t len, uint64_t ts_ns);
/* netwatch_push: Weir gets what it has not yet, and learns what time it is. */
void netwatch_push(uint64_t now_ns);
/* netwatch_close: the end of the input; all that lives is told, and the counters that are not 0. */
void netwatch_close(void);

#endif
