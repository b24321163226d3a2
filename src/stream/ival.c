// SPDX-License-Identifier: BSD-2-Clause
/*
 * ival.c: sorted lists of disjoint, non-adjacent intervals: an array, found by halving, the ends first.
 * What comes in or goes moves the members on its shorter side, at most half of STRM_IVALS; at the ends
 * nothing moves.
 *
 * Few members are in one block, which grows and shrinks. More than a leaf of them are in leaves of
 * IVAL_LEAF places each, and the block has their names; all but the first and the last are full. So a list
 * takes little more than its members do, however it has grown.
 */
#include <string.h>

#include "stream/chunk.h"

_Static_assert(IVAL_LEAF == IVAL_LEAF_BYTES / sizeof(struct ival), "a leaf is a block");
_Static_assert(STRM_IVALS / IVAL_LEAF + 3 <= UINT8_MAX, "so many leaves");

static blk_t *names(const struct strm_env *e, const struct ivals *l)
{
    return (blk_t *)(void *)blk_ptr(&e->blks, l->blk);
}

/* room_of: places there are. */
static uint32_t room_of(const struct ivals *l)
{
    uint32_t n = l->blk ? blk_size(l->blk) / (uint32_t)sizeof(struct ival) : 0;

    return l->leaves ? l->leaves * (uint32_t)IVAL_LEAF : n < IVAL_LEAF ? n : IVAL_LEAF;
}

/* take: a block of at least so many bytes. => 0: no memory. */
static blk_t take(struct strm_env *e, uint32_t bytes)
{
    blk_t blk = blk_alloc_any(&e->blks, bytes);

    if (blk && blk_size(blk) < bytes) {
        blk_free(&e->blks, blk);
        return 0;
    }
    return blk;
}

/* move: the first `bytes` of what is in the list's block go into this one, which takes its place. */
static void move(struct strm_env *e, struct ivals *l, blk_t blk, const void *from, uint32_t bytes)
{
    if (l->blk) {
        memcpy(blk_ptr(&e->blks, blk), from, bytes);
        blk_free(&e->blks, l->blk);
    }
    l->blk = blk;
}

/* branch: the block becomes the first leaf. => false: no memory. */
static bool branch(struct strm_env *e, struct ivals *l)
{
    bool fits = blk_size(l->blk) == IVAL_LEAF_BYTES;
    blk_t leaf = fits ? 0 : blk_alloc(&e->blks, IVAL_LEAF_BYTES), blk = 0;

    if ((fits || leaf) && (blk = take(e, 2 * sizeof(blk_t))) == 0 && leaf)
        blk_free(&e->blks, leaf);
    if (blk == 0)
        return false;
    if (leaf)
        move(e, l, leaf, ival_at(e, l, 0), l->n * (uint32_t)sizeof(struct ival));
    *(blk_t *)(void *)blk_ptr(&e->blks, blk) = l->blk;
    l->blk = blk;
    l->leaves = 1;
    return true;
}

/* more_leaves: one behind the others. => false: no memory. */
static bool more_leaves(struct strm_env *e, struct ivals *l)
{
    uint32_t bytes = l->leaves * (uint32_t)sizeof(blk_t);
    blk_t leaf, blk;

    if (l->leaves == UINT8_MAX || (leaf = blk_alloc(&e->blks, IVAL_LEAF_BYTES)) == 0)
        return false;
    if (blk_size(l->blk) == bytes) {
        blk = take(e, 2 * bytes);
        if (blk == 0) {
            blk_free(&e->blks, leaf);
            return false;
        }
        move(e, l, blk, names(e, l), bytes);
    }
    names(e, l)[l->leaves++] = leaf;
    return true;
}

/* unbranch: the only leaf is the block again. */
static void unbranch(struct strm_env *e, struct ivals *l)
{
    blk_t leaf = names(e, l)[0];

    blk_free(&e->blks, l->blk);
    l->blk = leaf;
    l->leaves = 0;
}

bool ival_room(struct strm_env *e, struct ivals *l)
{
    bool branched = false;
    blk_t blk;

    if (l->leaves == 0 && l->n < room_of(l))
        return true;
    if (l->leaves == 0 && l->n < IVAL_LEAF) {
        blk = take(e, (l->n + 1u) * (uint32_t)sizeof(struct ival));
        if (blk == 0)
            return false;
        move(e, l, blk, l->blk ? ival_at(e, l, 0) : NULL, l->n * (uint32_t)sizeof(struct ival));
        l->at = 0;
        return true;
    }
    if (l->leaves && l->at + l->n < room_of(l))
        return true;
    if (l->leaves == 0 && !(branched = branch(e, l)))
        return false;
    if (more_leaves(e, l))
        return true;
    if (branched)
        unbranch(e, l);
    return false;
}

/* trim: members have gone, those that are left begin at place `at`. Blocks that are not needed go. */
static void trim(struct strm_env *e, struct ivals *l, uint32_t at)
{
    uint32_t bytes = 2u * l->n * (uint32_t)sizeof(struct ival), empty = 0;
    blk_t blk;

    if (l->n == 0) {
        ival_free_all(e, l);
        return;
    }
    for (; l->leaves && at >= IVAL_LEAF; at -= IVAL_LEAF)
        blk_free(&e->blks, names(e, l)[empty++]);
    if (empty) {
        l->leaves = (uint8_t)(l->leaves - empty);
        memmove(names(e, l), names(e, l) + empty, l->leaves * sizeof(blk_t));
    }
    l->at = (uint8_t)at;
    while (l->leaves > 1 && (l->leaves - 1u) * IVAL_LEAF >= at + l->n)
        blk_free(&e->blks, names(e, l)[--l->leaves]);
    if (l->leaves == 1)
        unbranch(e, l);
    if (l->leaves == 0 && unlikely(blk_size(l->blk) >= 2 * bytes) && (blk = take(e, bytes))) {
        move(e, l, blk, ival_at(e, l, 0), bytes / 2);
        l->at = 0;
    }
}

/* shift: as memmove, n members at places counted from the first leaf's first. */
static void shift(const struct strm_env *e, struct ivals *l, uint32_t to, uint32_t from, uint32_t n)
{
    const struct ivals all = {.blk = l->blk, .leaves = l->leaves};

    if (l->leaves == 0 && n) {
        memmove(ival_at(e, &all, to), ival_at(e, &all, from), n * sizeof(struct ival));
        return;
    }
    while (n) {
        uint32_t a = to < from ? to : to + n - 1, b = to < from ? from : from + n - 1, m;

        a %= IVAL_LEAF;
        b %= IVAL_LEAF;
        if (to < from) {
            m = IVAL_LEAF - (a > b ? a : b);
            m = m < n ? m : n;
            memmove(ival_at(e, &all, to), ival_at(e, &all, from), m * sizeof(struct ival));
            to += m;
            from += m;
        } else {
            m = 1 + (a < b ? a : b);
            m = m < n ? m : n;
            memmove(ival_at(e, &all, to + n - m), ival_at(e, &all, from + n - m),
                    m * sizeof(struct ival));
        }
        n -= m;
    }
}

/* open_at: a member comes to place k, there is room. */
static struct ival *open_at(struct strm_env *e, struct ivals *l, uint32_t k)
{
    if (l->at + l->n == room_of(l)) { /* of one block: the free places in front go behind */
        shift(e, l, 0, l->at, l->n);
        l->at = 0;
    }
    if (l->at && k < l->n / 2u) {
        shift(e, l, l->at - 1u, l->at, k);
        l->at--;
    } else {
        shift(e, l, l->at + k + 1, l->at + k, l->n - k);
    }
    l->n++;
    return ival_at(e, l, k);
}

/* close_at: m members from place k on go. */
static void close_at(struct strm_env *e, struct ivals *l, uint32_t k, uint32_t m)
{
    uint32_t rest = l->n - k - m, at = l->at;

    if (k < rest) {
        shift(e, l, at + m, at, k);
        at += m;
    } else {
        shift(e, l, at + k, at + k + m, rest);
    }
    l->n = (uint16_t)(l->n - m);
    trim(e, l, at);
}

/* in_leaf: which leaf has the first member that ends at `off` or behind (there is one)? */
static uint32_t in_leaf(const struct strm_env *e, const struct ivals *l, uint64_t off)
{
    const blk_t *leaf = names(e, l);
    uint32_t low = 0;

    for (uint32_t n = l->leaves, half; n > 1; n -= half) {
        const struct ival *v;

        half = n / 2;
        v = (const struct ival *)(void *)blk_ptr(&e->blks, leaf[low + half - 1]);
        low += v[IVAL_LEAF - 1].end < off ? half : 0;
    }
    return low;
}

/* find: among n > 0 members that follow each other. No branch, as nobody can foretell which way. */
static uint32_t find(const struct ival *v, uint32_t n, uint64_t off)
{
    const struct ival *low = v;

    for (uint32_t half; n > 1; n -= half) {
        half = n / 2;
        low += low[half - 1].end < off ? half : 0;
    }
    return (uint32_t)(low - v) + (low->end < off);
}

uint32_t ival_find(const struct strm_env *e, const struct ivals *l, uint64_t off)
{
    uint32_t low = 0, high = l->n, leaf;
    const struct ival *v;

    if (l->n == 0 || ival_at(e, l, 0)->end >= off)
        return 0;
    v = ival_at(e, l, high - 1);
    if (v->start <= off)
        return v->end < off ? high : high - 1;
    if (l->leaves) {
        leaf = in_leaf(e, l, off);
        low = leaf ? leaf * IVAL_LEAF - l->at : 0;
        high = (leaf + 1) * IVAL_LEAF - l->at < high ? (leaf + 1) * IVAL_LEAF - l->at : high;
    }
    return low + find(ival_at(e, l, low), high - low, off);
}

uint64_t ival_cover(const struct strm_env *e, const struct ivals *l, uint64_t start, uint64_t end)
{
    uint64_t sum = 0;

    for (uint32_t k = ival_find(e, l, start + 1); k < l->n; k++) {
        const struct ival *v = ival_at(e, l, k);
        uint64_t a = v->start > start ? v->start : start, b = v->end < end ? v->end : end;

        if (v->start >= end)
            break;
        sum += b - a;
    }
    return sum;
}

/*
 * join: member k takes in the m behind it, and what else lies before `end`. => bytes that were in them.
 */
static uint64_t join(struct strm_env *e, struct ivals *l, uint32_t k, uint32_t m, uint64_t end)
{
    struct ival *v = ival_at(e, l, k);
    uint64_t old = v->end - v->start;

    v->end = v->end > end ? v->end : end;
    for (uint32_t i = 1; i <= m; i++) {
        const struct ival *w = ival_at(e, l, k + i);

        old += w->end - w->start;
        v->last = w->last ? w->last : v->last;
        v->fresh = v->fresh ? v->fresh : w->fresh;
        v->end = w->end > end ? w->end : end;
    }
    return old;
}

uint64_t ival_add(struct strm_env *e, struct ivals *l, uint64_t start, uint64_t end)
{
    uint32_t k = ival_find(e, l, start), m = 0;
    struct ival *v = k < l->n ? ival_at(e, l, k) : NULL;
    uint64_t old, now;

    if (v == NULL || v->start > end) { /* touches nobody */
        if (!ival_room(e, l))
            return UINT64_MAX;
        *open_at(e, l, k) = (struct ival){.start = start, .end = end};
        return end - start;
    }
    while (k + m + 1 < l->n && ival_at(e, l, k + m + 1)->start <= end)
        m++;
    old = join(e, l, k, m, end);
    v->start = v->start < start ? v->start : start;
    now = v->end - v->start;
    if (m)
        close_at(e, l, k + 1, m);
    return now - old;
}

void ival_pop(struct strm_env *e, struct ivals *l)
{
    l->n--;
    trim(e, l, l->at + 1u);
}

uint64_t ival_cut(struct strm_env *e, struct ivals *l, uint64_t off)
{
    uint32_t k = ival_find(e, l, off + 1);
    uint64_t sum = 0;

    if (k == l->n)
        return 0;
    sum = ival_cover(e, l, off, UINT64_MAX);
    if (ival_at(e, l, k)->start < off)
        ival_at(e, l, k++)->end = off;
    if (k < l->n)
        close_at(e, l, k, l->n - k);
    return sum;
}

void ival_free_all(struct strm_env *e, struct ivals *l)
{
    for (uint32_t i = 0; i < l->leaves; i++)
        blk_free(&e->blks, names(e, l)[i]);
    if (l->blk)
        blk_free(&e->blks, l->blk);
    *l = (struct ivals){0};
}
