// SPDX-License-Identifier: BSD-2-Clause
/*
 * above.c: which chunks lie where, when something is out of order, so that nobody looks for them from the
 * beginning.
 *
 *         |== below ==| next ...hole... |=== first ===|.....hole.....|=== second ===|...
 *                                       ^ region                     ^ region
 *
 * A region begins with an interval and ends where the next one begins. In a hole there is nothing but what
 * is set aside. An interval knows the last chunk of its region and one at or before the first that is
 * borrowed; `below` is the last chunk in front of all of them. New bytes lie in holes, so that the chunk
 * in front of them is the last of a region. Chunks in regions carry what they take (`cost`), and the
 * stream the sum of that and how many are borrowed, while there are intervals.
 */
#include <errno.h>

#include "base/errtext.h"
#include "stream/chunk.h"

/* beginning: how many intervals begin before `off`. */
static uint32_t beginning(const struct strm_env *e, const struct strm *s, uint64_t off)
{
    uint32_t k = ival_find(e, &s->ooo, off);

    return k < s->ooo.n && ival_at(e, &s->ooo, k)->start < off ? k + 1 : k;
}

/* last_of: the last chunk of the region of interval k - 1; 0: below all. */
static uint32_t *last_of(const struct strm_env *e, struct strm *s, uint32_t k)
{
    return k ? &ival_at(e, &s->ooo, k - 1)->last : &s->below;
}

static uint32_t cost_of(const struct chunk *c)
{
    return (uint32_t)sizeof(*c) + (c->blk ? blk_size(c->blk) : chunk_room(c->len));
}

uint32_t above_fresh(const struct strm_env *e, const struct strm *s)
{
    uint64_t first = ival_at(e, &s->ooo, 0)->start;
    int32_t up = (int32_t)(s->fresh - (uint32_t)first);

    return up <= 0 ? 0 : beginning(e, s, first + (uint32_t)up + 1) - 1;
}

uint32_t above_before(const struct strm_env *e, const struct strm *s, uint64_t off)
{
    uint32_t k = beginning(e, s, off);
    uint32_t i = k ? ival_at(e, &s->ooo, k - 1)->last : s->below;

    if (i && chunk_at(e, i)->off < off)
        return i;
    for (i = 0; k > 1 && i == 0; k--)
        i = ival_at(e, &s->ooo, k - 2)->last;
    if (i == 0 && k)
        i = s->below;
    for (uint32_t n = i ? chunk_at(e, i)->next : s->head; n && chunk_at(e, n)->off < off;
         n = chunk_at(e, i)->next)
        i = n;
    return i;
}

/* enter: the chunk lies in this interval's region, behind `before`. */
static void enter(const struct strm_env *e, struct strm *s, struct ival *v, uint32_t before,
                  uint32_t idx)
{
    struct chunk *c = chunk_at(e, idx);
    uint32_t from = before && chunk_at(e, before)->off >= v->start ? before : idx;

    c->cost = cost_of(c);
    s->above_mem += c->cost;
    if (c->blk)
        return;
    if (s->nfresh++ == 0 || (int32_t)((uint32_t)c->off - s->fresh) < 0)
        s->fresh = (uint32_t)c->off;
    if (v->fresh == 0 || chunk_at(e, v->fresh)->off > c->off)
        v->fresh = from;
}

void above_linked(const struct strm_env *e, struct strm *s, uint32_t before, uint32_t idx)
{
    uint64_t off = chunk_at(e, idx)->off;
    uint32_t k = beginning(e, s, off + 1), *last = last_of(e, s, k);

    if (*last == 0 || chunk_at(e, *last)->off < off)
        *last = idx;
    if (k)
        enter(e, s, ival_at(e, &s->ooo, k - 1), before, idx);
}

void above_unlink(const struct strm_env *e, struct strm *s, uint32_t before, uint32_t idx)
{
    const struct chunk *c = chunk_at(e, idx);
    uint32_t k = beginning(e, s, c->off + 1), *last = last_of(e, s, k);
    struct ival *v = k ? ival_at(e, &s->ooo, k - 1) : NULL;

    if (before && v && chunk_at(e, before)->off < v->start)
        before = 0;
    if (v && v->fresh == idx)
        v->fresh = before ? before : *last != idx ? c->next : 0;
    if (*last == idx)
        *last = before;
    if (c->cost == 0)
        return;
    s->above_mem -= c->cost;
    s->nfresh -= c->blk == 0;
}

void above_recount(struct strm *s, struct chunk *c, bool owned)
{
    if (c->cost == 0)
        return;
    s->above_mem -= c->cost;
    c->cost = cost_of(c);
    s->above_mem += c->cost;
    s->nfresh -= owned;
}

void above_kept(const struct strm_env *e, struct strm *s, uint32_t before, uint32_t idx)
{
    uint32_t k = s->ooo.n ? beginning(e, s, chunk_at(e, idx)->off + 1) : 0;
    struct ival *v = k ? ival_at(e, &s->ooo, k - 1) : NULL;

    if (v && v->fresh == 0)
        v->fresh = before && chunk_at(e, before)->off >= v->start ? before : idx;
}

void above_rebuild(const struct strm_env *e, struct strm *s)
{
    uint32_t k = 0, before = 0;

    s->below = s->above_mem = s->nfresh = 0;
    for (uint32_t i = 0; i < s->ooo.n; i++)
        ival_at(e, &s->ooo, i)->last = ival_at(e, &s->ooo, i)->fresh = 0;
    for (uint32_t i = s->head; i; before = i, i = chunk_at(e, i)->next) {
        while (k < s->ooo.n && ival_at(e, &s->ooo, k)->start <= chunk_at(e, i)->off)
            k++;
        chunk_at(e, i)->cost = 0;
        *last_of(e, s, k) = i;
        if (k)
            enter(e, s, ival_at(e, &s->ooo, k - 1), before, i);
    }
}

/* begins: interval k begins where no region began. What was set aside behind it is its own now. */
static void begins(const struct strm_env *e, struct strm *s, uint32_t k)
{
    uint32_t last = *last_of(e, s, k);

    if (unlikely(last && chunk_at(e, last)->off >= ival_at(e, &s->ooo, k)->start))
        above_rebuild(e, s);
}

uint64_t above_widen(struct strm_env *e, struct strm *s, uint64_t from, uint64_t end)
{
    uint32_t k = ival_find(e, &s->ooo, from);
    struct ival *v = k < s->ooo.n ? ival_at(e, &s->ooo, k) : NULL;
    uint64_t upto = end;

    if (v == NULL || v->start > end) {
        if (ival_add(e, &s->ooo, from, end) == UINT64_MAX)
            return from;
        if (s->ooo.n == 1) {
            s->below = s->tail;
            s->above_mem = s->nfresh = 0;
        }
    } else {
        if (v->start <= from)
            return from;
        upto = v->start;
        v->start = from;
    }
    begins(e, s, k);
    return upto;
}

void above_pop(struct strm_env *e, struct strm *s)
{
    uint32_t last = ival_at(e, &s->ooo, 0)->last;
    uint32_t i = s->below ? chunk_at(e, s->below)->next : s->head;

    for (bool more = last; more; i = chunk_at(e, i)->next) {
        struct chunk *c = chunk_at(e, i);

        s->above_mem -= c->cost;
        s->nfresh -= c->blk == 0;
        c->cost = 0;
        more = i != last;
    }
    if (last)
        s->below = last;
    ival_pop(e, &s->ooo);
}

/* check_region: of interval k - 1, from chunk `i` to before `stop`. => false: wrong. */
static bool check_region(const struct strm_env *e, const struct strm *s, uint32_t k, uint32_t i,
                         uint32_t stop, struct strm *sum)
{
    const struct ival *v = k ? ival_at(e, &s->ooo, k - 1) : NULL;
    uint32_t last = 0;
    bool marked = false, lacks = false;

    for (; i != stop; i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);

        last = i;
        marked |= v && v->fresh == i;
        lacks |= v && c->blk == 0 && (!marked || (int32_t)((uint32_t)c->off - s->fresh) < 0);
        sum->above_mem += c->cost;
        sum->nfresh += v && c->blk == 0;
        if (c->cost != (v ? cost_of(c) : 0))
            return false;
    }
    return last == (v ? v->last : s->below) && !lacks && (marked || !v || !v->fresh);
}

bool above_check(const struct strm_env *e, const struct strm *s)
{
    struct strm sum = {0};
    uint32_t i = s->head;

    for (uint32_t k = 0; s->ooo.n && k <= s->ooo.n; k++) {
        uint32_t stop = i;

        while (stop && (k == s->ooo.n || chunk_at(e, stop)->off < ival_at(e, &s->ooo, k)->start))
            stop = chunk_at(e, stop)->next;
        if (!check_region(e, s, k, i, stop, &sum))
            return err_set(EINVAL, "region %u of %u is wrong", k, s->ooo.n) == 0;
        i = stop;
    }
    if (s->ooo.n && (sum.above_mem != s->above_mem || sum.nfresh != s->nfresh))
        return err_set(EINVAL, "%u of memory, %u borrowed: sums disagree", s->above_mem,
                       s->nfresh) == 0;
    return true;
}
