// SPDX-License-Identifier: BSD-2-Clause
/*
 * fragmerge.c: whose copy of a byte counts where the pieces of a datagram overlap.
 *
 * As hosts do it: pieces are placed one by one, in order of arrival, into a list of spans without
 * overlap; at each overlap either the span that is held or the new piece is trimmed. The rules are
 * those of the literature on target-based reassembly (Shankar and Paxson 2003, "Active Mapping",
 * 5.3; Novak 2005, "Target-Based Fragmentation Reassembly"), as Snort's frag3 has them where the
 * papers are silent (WINDOWS and SOLARIS, a span within another for BSD_RIGHT):
 *
 *   FIRST      the held one
 *   LAST       the new one (RFC 791 3.2)
 *   BSD        the held one if it begins at or before the new one (4.4BSD ip_reass)
 *   OLD_LINUX  the held one if it begins before the new one (Linux to 4.18)
 *   BSD_RIGHT  the one that ends further to the right; level: the held one if it began before
 *   WINDOWS    the new one if it begins before and ends behind the held one, else the held one
 *   SOLARIS    the same, also if both end level
 *   LINUX      no choice: there is no datagram with an overlap (see defrag.h, two worlds)
 *
 * A span counts with the ends that trimming has left it.
 */
#include <string.h>

#include "wire/defrag.h"

struct span {
    uint32_t off, end;
    uint32_t piece;
};

/* new_wins: piece [off, end), of which what lies before `at` is settled, against a held span. */
static bool new_wins(enum overlap_policy policy, const struct span *held, uint32_t off, uint32_t at,
                     uint32_t end)
{
    switch (policy) {
    case OVERLAP_LAST:
        return true;
    case OVERLAP_BSD:
        return held->off > off;
    case OVERLAP_OLD_LINUX:
        return held->off >= off;
    case OVERLAP_BSD_RIGHT:
        return end > held->end || (end == held->end && off <= held->off);
    case OVERLAP_WINDOWS:
        return at < held->off && end > held->end;
    case OVERLAP_SOLARIS:
        return at < held->off && end >= held->end;
    default:
        return false;
    }
}

static uint32_t put(struct span *v, uint32_t n, uint32_t off, uint32_t end, uint32_t piece)
{
    if (off < end)
        v[n++] = (struct span){off, end, piece};
    return n;
}

/* place: the new piece into the n spans at `old`. => how many there are now, at `now`. */
static uint32_t place(enum overlap_policy policy, const struct span *old, uint32_t n,
                      struct span *now, const struct frag_piece *p, uint32_t number)
{
    uint32_t at = p->off, end = p->off + p->len, m = 0, i = 0;

    for (; i < n && old[i].end <= p->off; i++)
        now[m++] = old[i];
    for (; i < n && old[i].off < end; i++) {
        const struct span *h = &old[i];

        if (!new_wins(policy, h, p->off, at, end)) {
            m = put(now, m, at, h->off, number);
            now[m++] = *h;
            at = h->end;
            continue;
        }
        m = put(now, m, h->off, at, h->piece);
        if (h->end > end) {
            m = put(now, m, at, end, number);
            now[m++] = (struct span){end, h->end, h->piece};
            at = end;
        }
    }
    m = put(now, m, at, end, number);
    for (; i < n; i++)
        now[m++] = old[i];
    return m;
}

void defrag_assemble(struct datagram *g, enum overlap_policy policy)
{
    struct span *old = g->scratch, *now;
    uint32_t n = 0;

    if (g->npiece == 0)
        return;
    now = old + 2 * g->npiece + 1;
    for (uint32_t i = 0; i < g->npiece; i++) {
        struct span *was = old;

        n = place(policy, old, n, now, &g->piece[i], i);
        old = now;
        now = was;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct frag_piece *p = &g->piece[old[i].piece];

        memcpy(g->payload + old[i].off, p->data + (old[i].off - p->off), old[i].end - old[i].off);
    }
}
