// SPDX-License-Identifier: BSD-2-Clause
/*
 * hostq.c: what hosts do with out-of-order segments that overlap. One function per family; each
 * moves the entries' boundaries as that host's code does, because the next decision goes by them.
 *
 *   BSD        4.4BSD tcp_reass(); NetBSD, OpenBSD, FreeBSD to 11. Entries are disjoint. The entry
 *              that begins at or before the segment keeps its bytes; all that begin behind it lose.
 *   BSD_RIGHT  as BSD, but of two that begin at the same place the later one counts.
 *   WINDOWS    Windows to 2003, as Snort's stream preprocessor documents and tests it: as BSD, and
 *              entries that follow each other without a break from there on keep theirs too.
 *              (Windows Vista and later keep what came first: policy FIRST.)
 *   SOLARIS    illumos tcp_reass(), tcp_reass_elim_overlap(): of two that overlap in part the one
 *              that begins later counts; one that lies wholly within the other goes, whichever.
 *   OLD_LINUX  Linux 2.2 tcp_data_queue(): entries overlap and are drained by start, so that the
 *              one that begins first counts; of two that begin together the longer or later one.
 *   LINUX      hosttree.c.
 *
 * Novak and Sturges, "Target-Based TCP Stream Reassembly" (2007) describe the same families from
 * outside, for two segments each.
 */
#include "stream/hostq.h"

#include <string.h>

static const struct span nothing = {0, 0};

/* starting: how many entries begin before `off`. */
static uint32_t starting(const struct hostq *q, uint64_t off)
{
    uint32_t low = 0, high = q->n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (q->v[mid].at.start < off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void open_at(struct hostq *q, uint32_t i, struct span what)
{
    memmove(q->v + i + 1, q->v + i, (q->n - i) * sizeof(*q->v));
    q->v[i] = (struct hostq_entry){.at = what};
    q->n++;
}

/* drop_covered: entries from i on that lie wholly before `end` go. */
static void drop_covered(struct hostq *q, uint32_t i, uint64_t end)
{
    uint32_t k = i;

    while (k < q->n && q->v[k].at.start < end && q->v[k].at.end <= end)
        k++;
    memmove(q->v + i, q->v + k, (q->n - k) * sizeof(*q->v));
    q->n -= k - i;
}

static struct span take_bsd(enum overlap_policy policy, struct hostq *q, struct span seg)
{
    uint32_t i = starting(q, seg.start + (policy != OVERLAP_BSD_RIGHT));

    if (i && q->v[i - 1].at.end > seg.start)
        seg.start = q->v[i - 1].at.end;
    if (policy == OVERLAP_WINDOWS)
        for (; i < q->n && q->v[i].at.start == seg.start; i++)
            seg.start = q->v[i].at.end;
    if (seg.start >= seg.end)
        return nothing;
    drop_covered(q, i, seg.end);
    if (i < q->n && q->v[i].at.start < seg.end)
        q->v[i].at.start = seg.end;
    open_at(q, i, seg);
    return seg;
}

/*
 * take_solaris: the segment first yields to what follows it, then what precedes it yields to what
 * is left of the segment. One that begins where the head does is put behind the head. An entry may
 * become empty and stay.
 */
static struct span take_solaris(struct hostq *q, struct span seg)
{
    uint32_t i = starting(q, seg.start);

    if (q->n && seg.start >= q->v[q->n - 1].at.end)
        i = q->n;
    else if (i == 0 && q->n && q->v[0].at.start == seg.start)
        i = 1;
    drop_covered(q, i, seg.end);
    if (i < q->n && q->v[i].at.start < seg.end)
        seg.end = q->v[i].at.start;
    if (i && q->v[i - 1].at.end > seg.start) {
        if (q->v[i - 1].at.end >= seg.end)
            return nothing;
        q->v[i - 1].at.end = seg.start;
    }
    open_at(q, i, seg);
    return seg;
}

static struct span take_old_linux(struct hostq *q, struct span seg)
{
    uint32_t i = starting(q, seg.start);
    uint64_t from = seg.start;

    for (uint32_t k = 0; k < i; k++)
        if (q->v[k].at.end > from)
            from = q->v[k].at.end;
    if (i == q->n || q->v[i].at.start != seg.start)
        open_at(q, i, seg);
    else if (seg.end >= q->v[i].at.end)
        q->v[i].at.end = seg.end;
    else
        return nothing;
    return (struct span){from, seg.end};
}

struct span hostq_insert(enum overlap_policy policy, struct hostq *q, struct span seg)
{
    switch (policy) {
    case OVERLAP_LINUX:
        return hosttree_insert(q, seg);
    case OVERLAP_OLD_LINUX:
        return take_old_linux(q, seg);
    case OVERLAP_SOLARIS:
        return take_solaris(q, seg);
    default:
        return take_bsd(policy, q, seg);
    }
}

void hostq_drain(enum overlap_policy policy, struct hostq *q, uint64_t next)
{
    uint32_t k;

    if (policy == OVERLAP_LINUX) {
        hosttree_drain(q, next);
        return;
    }
    k = starting(q, next + 1);
    memmove(q->v, q->v + k, (q->n - k) * sizeof(*q->v));
    q->n -= k;
}
