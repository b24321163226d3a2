// SPDX-License-Identifier: BSD-2-Clause
/* appstat.c: an array that is asked for again and again. */
#include "appstat.h"

#include <stdlib.h>
#include <string.h>

bool appstat_read(struct appstat *s, mctx_t mctx, int listener)
{
    socklen_t len = 0;

    s->n = 0;
    if (!s->v) {
        if (mtcp_getsockopt(mctx, listener, SOL_MONSOCKET, MOS_STATS, NULL, &s->room) < 0)
            return false;
        s->v = malloc(s->room);
    }
    len = s->room;
    if (!s->v || mtcp_getsockopt(mctx, listener, SOL_MONSOCKET, MOS_STATS, s->v, &len) < 0)
        return false;
    s->n = len / sizeof(*s->v);
    return true;
}

uint64_t appstat_value(const struct appstat *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].name, name) == 0)
            return s->v[i].value;
    return 0;
}

uint64_t appstat_syns_lost(const struct appstat *s)
{
    uint64_t noted = appstat_value(s, "syn-gated"), found = appstat_value(s, "flows_from_notes");

    return noted > found ? noted - found : 0;
}

void appstat_free(struct appstat *s)
{
    free(s->v);
    *s = (struct appstat){0};
}
