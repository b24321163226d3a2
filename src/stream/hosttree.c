// SPDX-License-Identifier: BSD-2-Clause
/*
 * hosttree.c: what Linux does with out-of-order segments that overlap (since 4.9; held against
 * 6.18 by tests/net). They are kept in a red-black tree by start and drained in that order; what an
 * entry has that was drained before is skipped, so that the entry that begins first counts.
 *
 *   A segment is dropped if an entry met on the way down has all of it.
 *   It takes the place of an entry that begins where it does and is shorter.
 *   It is appended to the last entry, or to one met on the way down, if that ends where it begins;
 *   what it covers of later entries then stays queued.
 *   Otherwise it gets an entry of its own, and later entries that it covers go.
 *
 * An entry that has grown begins where its first segment did, and wins by that. Which entries are
 * met on the way down depends on the tree's shape; so the tree is a tree here, of the same shape
 * (insertion and removal as in Cormen et al., Introduction to Algorithms, chapter 13).
 */
#include "stream/hostq.h"

/* Places are 1 + index, 0 is none. */
static struct hostq_entry *at(const struct hostq *q, uint32_t i)
{
    return &q->v[i - 1];
}

static bool is_red(const struct hostq *q, uint32_t i)
{
    return i && at(q, i)->red;
}

/* side_of: is i its parent's left (0) or right (1) child? */
static int side_of(const struct hostq *q, uint32_t i)
{
    return at(q, at(q, i)->up)->kid[1] == i;
}

/* put_in_place: what hung on `old` hangs on `new` now, seen from above. */
static void put_in_place(struct hostq *q, uint32_t old, uint32_t new)
{
    uint32_t up = at(q, old)->up;

    if (up)
        at(q, up)->kid[side_of(q, old)] = (uint16_t) new;
    else
        q->root = new;
    if (new)
        at(q, new)->up = (uint16_t)up;
}

/* rotate: i goes down on side d, its other child comes up. */
static void rotate(struct hostq *q, uint32_t i, int d)
{
    uint32_t c = at(q, i)->kid[!d], inner = at(q, c)->kid[d];

    put_in_place(q, i, c);
    at(q, i)->kid[!d] = (uint16_t)inner;
    if (inner)
        at(q, inner)->up = (uint16_t)i;
    at(q, c)->kid[d] = (uint16_t)i;
    at(q, i)->up = (uint16_t)c;
}

static void balance_added(struct hostq *q, uint32_t i)
{
    while (is_red(q, at(q, i)->up)) {
        uint32_t p = at(q, i)->up, g = at(q, p)->up;
        int d = side_of(q, p);
        uint32_t uncle = at(q, g)->kid[!d];

        at(q, g)->red = 1;
        if (is_red(q, uncle)) {
            at(q, p)->red = at(q, uncle)->red = 0;
            i = g;
            continue;
        }
        if (side_of(q, i) != d) {
            rotate(q, p, d);
            p = i;
        }
        at(q, p)->red = 0;
        rotate(q, g, !d);
        break;
    }
    at(q, q->root)->red = 0;
}

/* add: a new entry below p on side d. => its place. */
static uint32_t add(struct hostq *q, uint32_t p, int d, struct span seg)
{
    uint32_t i = ++q->n;

    *at(q, i) = (struct hostq_entry){.at = seg, .up = (uint16_t)p, .red = 1};
    if (p)
        at(q, p)->kid[d] = (uint16_t)i;
    else
        q->root = i;
    balance_added(q, i);
    return i;
}

/* balance_removed: a black entry is missing below p on side d. */
static void balance_removed(struct hostq *q, uint32_t p, int d)
{
    while (p) {
        uint32_t w = at(q, p)->kid[!d], up;

        if (is_red(q, w)) {
            at(q, w)->red = 0;
            at(q, p)->red = 1;
            rotate(q, p, d);
            w = at(q, p)->kid[!d];
        }
        if (is_red(q, at(q, w)->kid[0]) || is_red(q, at(q, w)->kid[1])) {
            if (!is_red(q, at(q, w)->kid[!d])) {
                at(q, at(q, w)->kid[d])->red = 0;
                at(q, w)->red = 1;
                rotate(q, w, !d);
                w = at(q, p)->kid[!d];
            }
            at(q, w)->red = at(q, p)->red;
            at(q, p)->red = 0;
            at(q, at(q, w)->kid[!d])->red = 0;
            rotate(q, p, d);
            return;
        }
        at(q, w)->red = 1;
        if (at(q, p)->red) {
            at(q, p)->red = 0;
            return;
        }
        up = at(q, p)->up;
        d = up ? side_of(q, p) : 0;
        p = up;
    }
}

/* vacate: place i is free; the last entry moves there, so that places stay dense. */
static void vacate(struct hostq *q, uint32_t i)
{
    uint32_t last = q->n--;

    if (i == last)
        return;
    put_in_place(q, last, i);
    *at(q, i) = *at(q, last);
    for (int d = 0; d < 2; d++)
        if (at(q, i)->kid[d])
            at(q, at(q, i)->kid[d])->up = (uint16_t)i;
}

static uint32_t leftmost(const struct hostq *q, uint32_t i)
{
    while (at(q, i)->kid[0])
        i = at(q, i)->kid[0];
    return i;
}

static void take_out(struct hostq *q, uint32_t i)
{
    uint32_t kid, up;
    int d;

    if (at(q, i)->kid[0] && at(q, i)->kid[1]) { /* the next one takes its place */
        uint32_t next = leftmost(q, at(q, i)->kid[1]);

        at(q, i)->at = at(q, next)->at;
        i = next;
    }
    kid = at(q, i)->kid[at(q, i)->kid[0] == 0];
    up = at(q, i)->up;
    d = up ? side_of(q, i) : 0;
    put_in_place(q, i, kid);
    if (kid)
        at(q, kid)->red = 0;
    else if (!at(q, i)->red)
        balance_removed(q, up, d);
    vacate(q, i);
}

static uint32_t rightmost(const struct hostq *q)
{
    uint32_t i = q->root;

    while (i && at(q, i)->kid[1])
        i = at(q, i)->kid[1];
    return i;
}

/* behind: the first entry that begins behind `off`. => 0: none. */
static uint32_t behind(const struct hostq *q, uint64_t off)
{
    uint32_t found = 0;

    for (uint32_t i = q->root; i;) {
        bool is = at(q, i)->at.start > off;

        if (is)
            found = i;
        i = at(q, i)->kid[!is];
    }
    return found;
}

/* drop_covered: later entries that seg covers go, up to the first that reaches beyond it. */
static void drop_covered(struct hostq *q, struct span seg)
{
    uint32_t i;

    while ((i = behind(q, seg.start)) && at(q, i)->at.start < seg.end &&
           at(q, i)->at.end <= seg.end)
        take_out(q, i);
}

#define DROPPED UINT64_MAX

/*
 * place: into the queue, as tcp_data_queue_ofo() does. => where the entry begins that has the
 * segment now, which is its turn to be drained; none if it was dropped.
 */
static uint64_t place(struct hostq *q, struct span seg)
{
    uint32_t p = rightmost(q), i;
    int d = 1;

    if (p && at(q, p)->at.end == seg.start) {
        at(q, p)->at.end = seg.end;
        return at(q, p)->at.start;
    }
    for (i = p && seg.start < at(q, p)->at.end ? q->root : 0; i; i = at(q, i)->kid[d]) {
        struct span *held = &at(q, i)->at;

        p = i;
        d = seg.start >= held->start;
        if (d && held->end >= seg.end)
            return DROPPED;
        if (held->end == seg.start) {
            held->end = seg.end;
            return held->start;
        }
        if (held->start == seg.start) {
            held->end = seg.end;
            drop_covered(q, seg);
            return seg.start;
        }
    }
    add(q, p, d, seg);
    drop_covered(q, seg);
    return seg.start;
}

struct span hosttree_insert(struct hostq *q, struct span seg)
{
    uint64_t turn = place(q, seg);

    if (turn == DROPPED)
        return (struct span){0, 0};
    for (uint32_t i = 1; i <= q->n; i++)
        if (at(q, i)->at.start < turn && at(q, i)->at.end > seg.start)
            seg.start = at(q, i)->at.end;
    return seg;
}

void hosttree_drain(struct hostq *q, uint64_t next)
{
    uint32_t i;

    while (q->n && at(q, i = leftmost(q, q->root))->at.start <= next)
        take_out(q, i);
}
