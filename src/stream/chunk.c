// SPDX-License-Identifier: BSD-2-Clause
/*
 * chunk.c: held bytes. A stream's chunks are sorted by offset and disjoint; each is a view,
 * borrowed from a frame of this batch (blk 0) or into a block that belongs to this chunk alone.
 * Appending in order is O(1) through `tail`.
 *
 * When borrowed bytes must stay they are copied into blocks; a chunk that follows its neighbour
 * without a break is appended to the neighbour's block while that has room, so that one byte per
 * segment does not cost a block per byte.
 */
#include "stream/chunk.h"

#include <string.h>

#define OWN_MIN 256 /* room given to a small owned chunk so that its followers fit in */

void chunk_note_lost(struct strm_env *e, uint64_t from, uint64_t to)
{
    if (e->nlost && e->lost[e->nlost - 1].end == from)
        e->lost[e->nlost - 1].end = to;
    else if (e->nlost < STRM_LOST)
        e->lost[e->nlost++] = (struct strm_run){from, to};
    else
        e->lost_more += to - from;
}

void chunk_lost(struct strm_env *e, uint64_t from, uint64_t to)
{
    e->failed += to - from;
    chunk_note_lost(e, from, to);
}

static void chunk_free(struct strm_env *e, uint32_t idx)
{
    const struct chunk *c = chunk_at(e, idx);

    if (c->blk)
        blk_free(&e->blks, c->blk);
    pool_free(&e->chunks, idx);
}

/* find_before: the last chunk that starts below off. => 0: none. */
static uint32_t find_before(const struct strm_env *e, const struct strm *s, uint64_t off)
{
    uint32_t before = 0;

    if (s->tail && chunk_at(e, s->tail)->off < off)
        return s->tail;
    if (unlikely(s->ooo.n))
        return above_before(e, s, off);
    for (uint32_t i = s->head; i && chunk_at(e, i)->off < off; i = chunk_at(e, i)->next)
        before = i;
    return before;
}

static void link_after(struct strm_env *e, struct strm *s, uint32_t before, uint32_t idx)
{
    struct chunk *c = chunk_at(e, idx);

    if (before) {
        c->next = chunk_at(e, before)->next;
        chunk_at(e, before)->next = idx;
    } else {
        c->next = s->head;
        s->head = idx;
    }
    if (c->next == 0)
        s->tail = idx;
    if (unlikely(s->ooo.n))
        above_linked(e, s, before, idx);
}

/* add: chunk_add; bytes in a block are the chunk's own. */
static int add(struct strm_env *e, struct strm *s, uint64_t off, const uint8_t *data, uint32_t len,
               blk_t blk)
{
    uint32_t idx = pool_alloc(&e->chunks);

    if (idx == 0)
        return -1;
    *chunk_at(e, idx) = (struct chunk){.off = off, .ptr = data, .len = len, .blk = blk};
    link_after(e, s, find_before(e, s, off), idx);
    return 0;
}

int chunk_add(struct strm_env *e, struct strm *s, uint64_t off, const uint8_t *data, uint32_t len)
{
    return add(e, s, off, data, len, 0);
}

int chunk_append(struct strm_env *e, struct strm *s, uint64_t off, const uint8_t *data,
                 uint32_t len)
{
    uint32_t idx = pool_alloc(&e->chunks);

    if (idx == 0)
        return -1;
    *chunk_at(e, idx) = (struct chunk){.off = off, .ptr = data, .len = len};
    if (s->tail)
        chunk_at(e, s->tail)->next = idx;
    else
        s->head = idx;
    s->tail = idx;
    return 0;
}

/* unlink_after: take the chunk after `before` out of the list and free it. */
static void unlink_after(struct strm_env *e, struct strm *s, uint32_t before)
{
    uint32_t dead = before ? chunk_at(e, before)->next : s->head;
    uint32_t next = chunk_at(e, dead)->next;

    if (unlikely(s->ooo.n))
        above_unlink(e, s, before, dead);
    if (before)
        chunk_at(e, before)->next = next;
    else
        s->head = next;
    if (s->tail == dead)
        s->tail = before;
    chunk_free(e, dead);
}

static void cut_front(struct strm *s, struct chunk *c, uint64_t to)
{
    uint32_t n = (uint32_t)(to - c->off);

    c->off += n;
    c->ptr += n;
    c->len -= n;
    above_recount(s, c, false);
}

static void cut_back(struct strm *s, struct chunk *c, uint64_t from)
{
    c->len = (uint32_t)(from - c->off);
    above_recount(s, c, false);
}

/* split: c covers [from, to) in its middle; the part behind becomes a chunk of its own. */
static void split(struct strm_env *e, struct strm *s, uint32_t idx, uint64_t from, uint64_t to)
{
    struct chunk *c = chunk_at(e, idx);
    uint32_t skip = (uint32_t)(to - c->off), rest = c->len - skip;
    const uint8_t *ptr = c->ptr + skip;
    blk_t blk = 0;

    if (c->blk) {
        blk = blk_alloc(&e->blks, rest);
        if (blk) {
            memcpy(blk_ptr(&e->blks, blk), ptr, rest);
            ptr = blk_ptr(&e->blks, blk);
        }
    }
    cut_back(s, c, from);
    if ((c->blk && !blk) || add(e, s, to, ptr, rest, blk) < 0) {
        chunk_lost(e, to, to + rest);
        if (blk)
            blk_free(&e->blks, blk);
    }
}

void chunk_cut(struct strm_env *e, struct strm *s, uint64_t from, uint64_t to)
{
    uint32_t before = find_before(e, s, from), i = before ? before : s->head;

    if (before && chunk_end(chunk_at(e, before)) > to) {
        split(e, s, before, from, to);
        return;
    }
    if (before) {
        if (chunk_end(chunk_at(e, before)) > from)
            cut_back(s, chunk_at(e, before), from);
        i = chunk_at(e, before)->next;
    }
    while (i && chunk_at(e, i)->off < to) {
        if (chunk_end(chunk_at(e, i)) > to) {
            cut_front(s, chunk_at(e, i), to);
            break;
        }
        unlink_after(e, s, before);
        i = before ? chunk_at(e, before)->next : s->head;
    }
}

void chunk_cut_head(struct strm_env *e, struct strm *s, uint64_t to)
{
    while (s->head && chunk_end(chunk_at(e, s->head)) <= to)
        unlink_after(e, s, 0);
    if (s->head && chunk_at(e, s->head)->off < to)
        cut_front(s, chunk_at(e, s->head), to);
}

void chunk_drop_all(struct strm_env *e, struct strm *s)
{
    while (s->head)
        unlink_after(e, s, 0);
}

/* room_behind: bytes free in an owned chunk's block behind its last byte. */
static uint32_t room_behind(const struct strm_env *e, const struct chunk *c)
{
    uint32_t used = (uint32_t)(c->ptr - blk_ptr(&e->blks, c->blk)) + c->len;

    return blk_size(c->blk) - used;
}

/*
 * shorten: a borrowed payload longer than its block can be: the rest becomes a chunk of its own.
 * => bytes lost.
 */
static uint32_t shorten(struct strm_env *e, struct strm *s, struct chunk *c, uint32_t max)
{
    uint32_t rest = c->len > max ? c->len - max : 0;

    if (rest == 0)
        return 0;
    cut_back(s, c, c->off + max);
    if (chunk_add(e, s, c->off + max, c->ptr + max, rest) == 0)
        return 0;
    chunk_lost(e, c->off + max, c->off + max + rest);
    return rest;
}

uint32_t chunk_room(uint32_t len)
{
    return len <= OWN_MIN ? OWN_MIN : 1u << (32 - __builtin_clz(len - 1));
}

/* own_one: give c, or its beginning, bytes of its own. => false: no memory. *lost as by shorten. */
static bool own_one(struct strm_env *e, struct strm *s, struct chunk *c, uint32_t *lost)
{
    blk_t blk = blk_alloc_any(&e->blks, c->len < OWN_MIN ? OWN_MIN : c->len);

    if (blk == 0)
        return false;
    *lost += shorten(e, s, c, blk_size(blk));
    memcpy(blk_ptr(&e->blks, blk), c->ptr, c->len);
    c->ptr = blk_ptr(&e->blks, blk);
    c->blk = blk;
    above_recount(s, c, true);
    return true;
}

/* append_to: move c's bytes to the end of p's block if they follow p and fit. => done? */
static bool append_to(struct strm_env *e, struct chunk *p, const struct chunk *c)
{
    if (!p->blk || chunk_end(p) != c->off || room_behind(e, p) < c->len)
        return false;
    memcpy(blk_ptr(&e->blks, p->blk) + (p->ptr - blk_ptr(&e->blks, p->blk)) + p->len, c->ptr,
           c->len);
    p->len += c->len;
    return true;
}

/*
 * own_from: chunks behind `before` that begin in [start, end), a region or (start 0) what lies below all.
 * What begins there stays there.
 */
static uint32_t own_from(struct strm_env *e, struct strm *s, uint32_t before, uint64_t start,
                         uint64_t end, bool keep)
{
    uint32_t i = before ? chunk_at(e, before)->next : s->head, lost = 0;

    while (i && chunk_at(e, i)->off < end && (start == 0 || s->nfresh)) {
        struct chunk *c = chunk_at(e, i);
        bool gone = false;

        if (c->blk == 0) {
            lost += shorten(e, s, c, BLK_MAX);
            if (before && chunk_at(e, before)->off >= start &&
                append_to(e, chunk_at(e, before), c)) {
                e->copied += c->len;
                gone = true;
            } else if (own_one(e, s, c, &lost)) {
                e->copied += c->len;
            } else {
                lost += c->len;
                gone = !keep;
                if (gone)
                    chunk_lost(e, c->off, chunk_end(c));
                else
                    above_kept(e, s, before, i);
            }
        }
        if (gone) {
            unlink_after(e, s, before);
            i = before ? chunk_at(e, before)->next : s->head;
        } else {
            before = i;
            i = c->next;
        }
    }
    return lost;
}

/* own_all: above `next`, in the regions that have borrowed chunks only. */
static uint32_t own_all(struct strm_env *e, struct strm *s, bool keep)
{
    struct ival *v, *after;
    uint32_t lost, k;

    if (likely(s->ooo.n == 0))
        return own_from(e, s, 0, 0, UINT64_MAX, keep);
    lost = own_from(e, s, 0, 0, ival_at(e, &s->ooo, 0)->start, keep);
    k = s->nfresh ? above_fresh(e, s) : 0;
    for (v = ival_at(e, &s->ooo, k); v && s->nfresh; v = after, k++) {
        const struct chunk *c;
        uint32_t from = v->fresh;

        after = ival_after(e, &s->ooo, k, v);
        if (from == 0)
            continue;
        v->fresh = 0;
        c = chunk_at(e, from);
        if (c->blk == 0)
            from = find_before(e, s, c->off);
        lost += own_from(e, s, from, v->start, after ? after->start : UINT64_MAX, keep);
    }
    return lost;
}

uint32_t chunk_own_all(struct strm_env *e, struct strm *s)
{
    return own_all(e, s, false);
}

uint32_t chunk_try_own(struct strm_env *e, struct strm *s)
{
    return own_all(e, s, true);
}

uint32_t chunk_reach(const struct strm_env *e, const struct strm *s, uint64_t off)
{
    uint32_t i = find_before(e, s, off);

    if (i == 0)
        return s->head;
    return chunk_end(chunk_at(e, i)) > off ? i : chunk_at(e, i)->next;
}

uint64_t chunk_sum(const struct strm_env *e, const struct strm *s, uint64_t from, uint64_t to)
{
    uint64_t sum = 0;

    for (uint32_t i = chunk_reach(e, s, from); i; i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);
        uint64_t a = c->off > from ? c->off : from;
        uint64_t b = chunk_end(c) < to ? chunk_end(c) : to;

        if (c->off >= to)
            break;
        if (b > a)
            sum += b - a;
    }
    return sum;
}
