/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hosttwin.h: the naive twin of a host that receives overlapping segments, for every policy. It has
 * one cell for each byte of the stream, or whole copies of segments where the host keeps such; it
 * knows nothing of chunks, intervals, runs or trees. Written from the rules as docs/tcp.md has them.
 */
#ifndef WEIR_TESTS_HOSTTWIN_H
#define WEIR_TESTS_HOSTTWIN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/overlap.h"

#define TWIN_BYTES 256
#define TWIN_SEGS  128

/* A segment as a host queues it: which segment each of its bytes is from, by offset. */
struct twin_seg {
    int start, end, age;
    int16_t from[TWIN_BYTES];
};

struct twin {
    enum overlap_policy policy;
    int next; /* what is in order */
    int16_t
        own[TWIN_BYTES]; /* number of the segment that has the byte, 0: not seen, -1: given up */
    int16_t piece[TWIN_BYTES];    /* bytes of one entry of the host have the same number here */
    struct twin_seg q[TWIN_SEGS]; /* LINUX, OLD_LINUX, SOLARIS: by start */
    int n, age;
    int most;    /* entries since the queue was empty */
    bool unsure; /* LINUX: what the host does follows from the shape of its tree */
};

static inline void twin_init(struct twin *t, enum overlap_policy policy)
{
    memset(t, 0, sizeof(*t));
    t->policy = policy;
}

static inline bool twin_queues(const struct twin *t)
{
    return t->policy == OVERLAP_LINUX || t->policy == OVERLAP_OLD_LINUX ||
           t->policy == OVERLAP_SOLARIS;
}

/* ---- hosts that can be told byte by byte ---- */

static inline int twin_piece_start(const struct twin *t, int at)
{
    while (at > t->next && t->piece[at - 1] == t->piece[at])
        at--;
    return at;
}

/* twin_takes: does the new segment, from s on, get this byte? `run`: every byte before it from s on is held. */
static inline bool twin_takes(const struct twin *t, int s, int at, bool run)
{
    if (t->own[at] == 0)
        return true;
    if (t->own[at] == -1) /* given up */
        return false;
    switch (t->policy) {
    case OVERLAP_FIRST:
        return false;
    case OVERLAP_BSD:
        return at >= t->next && twin_piece_start(t, at) > s;
    case OVERLAP_BSD_RIGHT:
        return at >= t->next && twin_piece_start(t, at) >= s;
    case OVERLAP_WINDOWS:
        return at >= t->next && !run;
    default:
        return true;
    }
}

static inline void twin_put_bytes(struct twin *t, int id, int s, int e)
{
    bool takes[TWIN_BYTES], run = true;

    for (int i = s; i < e; i++) {
        takes[i] = twin_takes(t, s, i, run);
        run = run && t->own[i];
    }
    for (int i = s; i < e; i++) {
        if (takes[i])
            t->own[i] = t->piece[i] = (int16_t)id;
    }
}

/* ---- hosts that are told by their queue ---- */

static inline void twin_remove(struct twin *t, int k)
{
    t->n--;
    memmove(t->q + k, t->q + k + 1, (size_t)(t->n - k) * sizeof(t->q[0]));
}

static inline void twin_add(struct twin *t, int k, int id, int s, int e)
{
    memmove(t->q + k + 1, t->q + k, (size_t)(t->n - k) * sizeof(t->q[0]));
    t->n++;
    t->most = t->n == 1 ? 1 : t->n > t->most ? t->n : t->most;
    t->q[k] = (struct twin_seg){.start = s, .end = e, .age = ++t->age};
    for (int i = s; i < e; i++)
        t->q[k].from[i] = (int16_t)id;
}

static inline void twin_solaris_yield(struct twin *t, int k)
{
    while (k + 1 < t->n && t->q[k].end > t->q[k + 1].start) {
        if (t->q[k].end < t->q[k + 1].end) {
            t->q[k].end = t->q[k + 1].start;
            return;
        }
        twin_remove(t, k + 1);
    }
}

static inline void twin_solaris(struct twin *t, int id, int s, int e)
{
    int k = 0;

    if (t->n && s >= t->q[t->n - 1].end) {
        twin_add(t, t->n, id, s, e);
        return;
    }
    if (t->n && s >= t->q[0].start)
        for (k = 1; k < t->n && t->q[k].start < s; k++)
            ;
    twin_add(t, k, id, s, e);
    twin_solaris_yield(t, k);
    if (k > 0)
        twin_solaris_yield(t, k - 1);
}

static inline void twin_old_linux(struct twin *t, int id, int s, int e)
{
    int k = 0;

    while (k < t->n && t->q[k].start < s)
        k++;
    if (k < t->n && t->q[k].start == s) {
        if (t->q[k].end > e)
            return;
        twin_remove(t, k);
    }
    twin_add(t, k, id, s, e);
}

/* What Linux does with a segment when it meets an entry of its queue. */
enum twin_met { TWIN_PASSES, TWIN_DROPS, TWIN_JOINS, TWIN_REPLACES };

static inline enum twin_met twin_meets(const struct twin_seg *q, int s, int e)
{
    if (s < q->start)
        return TWIN_PASSES;
    if (e <= q->end)
        return TWIN_DROPS;
    if (s == q->end)
        return TWIN_JOINS;
    return s == q->start ? TWIN_REPLACES : TWIN_PASSES;
}

/*
 * twin_linux_meets: the entry that stops the segment on its way down, -1: none. Which of several is
 * met first, and whether one is met at all that does not border on the segment's place, the tree
 * decides. Of two the older one is its root, and the other is met if it lies on the segment's side.
 */
static inline int twin_linux_meets(struct twin *t, int s, int e, int k)
{
    int hit = -1, root = t->n == 2 && t->q[1].age < t->q[0].age;

    for (int i = 0; i < t->n; i++) {
        if (twin_meets(&t->q[i], s, e) == TWIN_PASSES)
            continue;
        if (t->most > 2 && (hit >= 0 || i != k - 1))
            t->unsure = true;
        if (t->most > 2 || i == root)
            hit = i;
        else if (hit < 0 && (s < t->q[root].start) == (i < root))
            hit = i;
    }
    return hit;
}

static inline void twin_linux(struct twin *t, int id, int s, int e)
{
    int k = 0, hit;

    while (k < t->n && t->q[k].start <= s)
        k++;
    if (t->n && t->q[t->n - 1].end < s)
        hit = -1;
    else if (t->n && t->q[t->n - 1].end == s)
        hit = t->n - 1;
    else
        hit = twin_linux_meets(t, s, e, k);
    if (hit >= 0 && twin_meets(&t->q[hit], s, e) == TWIN_DROPS)
        return;
    if (hit >= 0 && twin_meets(&t->q[hit], s, e) == TWIN_JOINS) {
        for (int i = s; i < e; i++)
            t->q[hit].from[i] = (int16_t)id;
        t->q[hit].end = e;
        return;
    }
    if (hit >= 0) {
        int age = t->q[hit].age;

        k = hit;
        twin_remove(t, k);
        twin_add(t, k, id, s, e);
        t->q[k].age = age;
    } else {
        twin_add(t, k, id, s, e);
    }
    while (k + 1 < t->n && t->q[k + 1].start < e && t->q[k + 1].end <= e)
        twin_remove(t, k + 1);
}

/* twin_look: who has which byte, if the queue were handed out by start now. */
static inline void twin_look(struct twin *t)
{
    bool done[TWIN_BYTES] = {false};

    for (int k = 0; k < t->n; k++) {
        for (int i = t->q[k].start; i < t->q[k].end; i++) {
            if (!done[i] && i >= t->next)
                t->own[i] = t->q[k].from[i];
            done[i] = true;
        }
    }
}

static inline void twin_put_queue(struct twin *t, int id, int s, int e)
{
    if (s < t->next)
        s = t->next;
    if (s >= e)
        return;
    if (t->policy == OVERLAP_LINUX)
        twin_linux(t, id, s, e);
    else if (t->policy == OVERLAP_OLD_LINUX)
        twin_old_linux(t, id, s, e);
    else
        twin_solaris(t, id, s, e);
    twin_look(t);
}

/* ---- both ---- */

static inline void twin_advance(struct twin *t, int size)
{
    while (t->next < size && t->own[t->next])
        t->next++;
    while (t->n && t->q[0].start <= t->next)
        twin_remove(t, 0);
}

/* twin_put: segment number id (> 0) has come with bytes [s, e), of a stream of `size`. */
static inline void twin_put(struct twin *t, int id, int s, int e, int size)
{
    if (twin_queues(t))
        twin_put_queue(t, id, s, e);
    else
        twin_put_bytes(t, id, s, e);
    twin_advance(t, size);
}

/* twin_skip: what is missing up to the first byte seen is given up. */
static inline void twin_skip(struct twin *t, int size)
{
    while (t->next < size && t->own[t->next] == 0)
        t->own[t->next++] = -1;
    twin_advance(t, size);
}

/* twin_policy: another policy from now on; each stretch that is out of order counts as one segment. */
static inline void twin_policy(struct twin *t, enum overlap_policy policy, int size)
{
    t->policy = policy;
    t->n = 0;
    for (int s = t->next, e; s < size; s = e) {
        for (e = s; e < size && t->own[e] && t->own[e] != -1; e++)
            t->piece[e] = (int16_t)(10000 + s);
        if (e == s)
            e++;
        else if (twin_queues(t)) {
            twin_add(t, t->n, 0, s, e);
            memcpy(t->q[t->n - 1].from + s, t->own + s, (size_t)(e - s) * sizeof(t->own[0]));
        }
    }
}

#endif
