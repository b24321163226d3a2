// SPDX-License-Identifier: BSD-2-Clause
/*
 * ooo.c: what all streams of a context take: the memory of what is out of order, the sum and the
 * streams that have any, in the order in which they began to; is memory short? And where a stream ends.
 *
 * A byte out of order costs a block of 256, a chunk and an interval: so memory is counted, not bytes.
 */
#include "stream/chunk.h"

#define RESERVE_MAX (4u << 20) /* 64 frames of 64 KB */
#define SACK_BLOCKS 4          /* RFC 2018 3; Linux: TCP_NUM_SACKS */

static void enter(struct strm_env *e, struct strm *s, uint32_t idx)
{
    s->older = e->ooo_newest;
    s->newer = 0;
    if (e->ooo_newest)
        strm_at(e, e->ooo_newest)->newer = idx;
    else
        e->ooo_oldest = idx;
    e->ooo_newest = idx;
}

static void leave(struct strm_env *e, struct strm *s)
{
    if (s->older)
        strm_at(e, s->older)->newer = s->newer;
    else
        e->ooo_oldest = s->newer;
    if (s->newer)
        strm_at(e, s->newer)->older = s->older;
    else
        e->ooo_newest = s->older;
    s->older = s->newer = 0;
}

/* taken: by what a stream has out of order. */
static uint32_t taken(const struct strm *s)
{
    uint32_t sum = (uint32_t)sizeof(*s) + s->above_mem;

    if (s->ooo.n == 0)
        return 0;
    sum += ival_mem(&s->ooo);
    return s->host ? sum + blk_size(s->host) : sum;
}

void strm_ooo_count(struct strm_env *e, uint32_t idx)
{
    struct strm *s = strm_at(e, idx);
    uint32_t mem;

    if (likely(s->ooo.n == 0 && s->ooo_mem == 0))
        return;
    mem = taken(s);
    s->many = s->ooo.n > SACK_BLOCKS || (s->many && s->ooo.n);
    if (mem == s->ooo_mem)
        return;
    if (s->ooo_mem == 0)
        enter(e, s, idx);
    else if (mem == 0)
        leave(e, s);
    e->ooo_mem += mem;
    e->ooo_mem -= s->ooo_mem;
    s->ooo_mem = mem;
}

uint32_t strm_ooo_most(const struct strm_env *e)
{
    uint32_t best = e->ooo_oldest, i = best;

    for (int n = 0; i && n < 16; n++, i = strm_at(e, i)->newer)
        if (strm_at(e, i)->ooo_mem > strm_at(e, best)->ooo_mem)
            best = i;
    return best;
}

/* lacks: are these in use but for fewer than n? */
static bool lacks(struct pool *p, uint32_t n)
{
    return !pool_keep(p, n) && p->used > n;
}

uint64_t strm_reserve(const struct strm_env *e)
{
    const uint64_t part = e->acct->limit / 32;

    return part < RESERVE_MAX ? part : RESERVE_MAX;
}

bool strm_tight(struct strm_env *e)
{
    const uint64_t limit = e->acct->limit, reserve = strm_reserve(e);

    if (limit == 0 || e->acct->used + 2 * reserve <= limit)
        return false;
    return lacks(&e->strms, 64) || lacks(&e->chunks, 128) ||
           (blkpool_spare(&e->blks) < reserve && blkpool_some(&e->blks));
}

uint64_t strm_ooo_begin(const struct strm_env *e, const struct flow_side *sd, uint64_t off)
{
    const struct ivals *seen = sd->strm ? &strm_at(e, sd->strm)->ooo : NULL;
    uint32_t k = seen ? ival_find(e, seen, off) : 0;

    return seen && k < seen->n && ival_at(e, seen, k)->start < off ? ival_at(e, seen, k)->start
                                                                   : off;
}

uint64_t strm_ooo_end(const struct strm_env *e, const struct flow_side *sd)
{
    const struct ivals *seen = sd->strm ? &strm_at(e, sd->strm)->ooo : NULL;

    return seen && seen->n ? ival_at(e, seen, seen->n - 1u)->end : sd->next;
}

bool strm_ooo_next(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                   uint64_t *start, uint64_t *end)
{
    const struct ivals *seen = sd->strm ? &strm_at(e, sd->strm)->ooo : NULL;
    uint32_t k = seen ? ival_find(e, seen, off + 1) : 0;

    if (seen == NULL || k == seen->n)
        return false;
    *start = ival_at(e, seen, k)->start;
    *end = ival_at(e, seen, k)->end;
    return true;
}

bool strm_ooo_many(const struct strm_env *e, const struct flow_side *sd)
{
    return sd->strm && strm_at(e, sd->strm)->many;
}

void strm_cut(struct strm_env *e, struct flow_side *sd, uint64_t off)
{
    struct strm *s;

    if (sd->strm == 0 || (s = strm_at(e, sd->strm))->ooo.n == 0)
        return;
    if (off < sd->next)
        off = sd->next;
    chunk_cut(e, s, off, UINT64_MAX);
    s->ooo_bytes -= (uint32_t)ival_cut(e, &s->ooo, off);
    if (s->syn_len && s->aside + s->syn_len > off) /* set aside behind the end: gone, too */
        s->syn_len = off > s->aside ? (uint32_t)(off - s->aside) : 0;
    strm_rival_cut(e, s, off);
    strm_host_free(e, s); /* made again from what is left */
    strm_ooo_count(e, sd->strm);
}
