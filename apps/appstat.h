/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * appstat.h: the library's counters of a context, by name (MOS_STATS).
 */
#ifndef WEIR_APPS_APPSTAT_H
#define WEIR_APPS_APPSTAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mos_api.h>

struct appstat {
    struct mos_stat *v; /* room for all counters; NULL: none yet */
    socklen_t room;     /* bytes */
    size_t n;
};

/* appstat_read: all counters as they are now. => false: no memory. */
bool appstat_read(struct appstat *s, mctx_t mctx, int listener);
/* appstat_value: the counter of that name; 0 if there is none. */
uint64_t appstat_value(const struct appstat *s, const char *name);
/* appstat_syns_lost: SYNs of which, in a flood, only a note was made, and nothing came of it. */
uint64_t appstat_syns_lost(const struct appstat *s);
void appstat_free(struct appstat *s);

#endif
