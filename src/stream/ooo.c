// SPDX-License-Identifier: BSD-2-Clause
/*
 * ooo.c: what all streams of a context take: the memory of what is out of order, the sum and the
 * streams that have any, in the order in which they began to; is memory short? And where a stream ends.
 *
 * A byte out of order costs a block of 256, a chunk and an interval: so memory is counted, not bytes.
 * It is counted anew when it changes, along the stream's chunks, which an insertion out of order walks
 * anyway.
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
static uint32_t taken(const struct strm_env *e, const struct strm *s)
{
    uint32_t sum = (uint32_t)(sizeof(*s) + s->ooo_n * sizeof(struct ival));
    uint64_t from;

    if (s->ooo == 0)
        return 0;
    from = ival_at(e, s->ooo)->start;
    for (uint32_t i = s->head; i; i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);

        if (chunk_end(c) > from)
            sum += (uint32_t)sizeof(*c) + (c->blk ? blk_size(c->blk) : chunk_room(c->len));
    }
    return s->host ? sum + blk_size(s->host) : sum;
}

void strm_ooo_count(struct strm_env *e, uint32_t idx)
{
    struct strm *s = strm_at(e, idx);
    uint32_t mem;

    if (likely(s->ooo == 0 && s->ooo_mem == 0))
        return;
    mem = taken(e, s);
    s->many = s->ooo_n > SACK_BLOCKS || (s->many && s->ooo_n);
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
    return lacks(&e->strms, 64) || lacks(&e->chunks, 128) || lacks(&e->ivals, 128) ||
           (blkpool_spare(&e->blks) < reserve && blkpool_used(&e->blks));
}

uint64_t strm_ooo_begin(const struct strm_env *e, const struct flow_side *sd, uint64_t off)
{
    for (uint32_t i = sd->strm ? strm_at(e, sd->strm)->ooo : 0; i; i = ival_at(e, i)->next)
        if (ival_at(e, i)->start < off && off <= ival_at(e, i)->end)
            return ival_at(e, i)->start;
    return off;
}

uint64_t strm_ooo_end(const struct strm_env *e, const struct flow_side *sd)
{
    uint64_t end = sd->next;

    for (uint32_t i = sd->strm ? strm_at(e, sd->strm)->ooo : 0; i; i = ival_at(e, i)->next)
        end = ival_at(e, i)->end;
    return end;
}

bool strm_ooo_many(const struct strm_env *e, const struct flow_side *sd)
{
    return sd->strm && strm_at(e, sd->strm)->many;
}

void strm_cut(struct strm_env *e, struct flow_side *sd, uint64_t off)
{
    struct strm *s;
    uint32_t *link;

    if (sd->strm == 0 || (s = strm_at(e, sd->strm))->ooo == 0)
        return;
    if (off < sd->next)
        off = sd->next;
    for (link = &s->ooo; *link && ival_at(e, *link)->start < off;) {
        struct ival *v = ival_at(e, *link);

        if (v->end > off) {
            s->ooo_bytes -= (uint32_t)(v->end - off);
            v->end = off;
        }
        link = &v->next;
    }
    while (*link) {
        uint32_t idx = *link;
        const struct ival *v = ival_at(e, idx);

        s->ooo_bytes -= (uint32_t)(v->end - v->start);
        s->ooo_n--;
        *link = v->next;
        pool_free(&e->ivals, idx);
    }
    chunk_cut(e, s, off, UINT64_MAX);
    if (s->syn_len && s->aside + s->syn_len > off) /* set aside behind the end: gone, too */
        s->syn_len = off > s->aside ? (uint32_t)(off - s->aside) : 0;
    strm_rival_cut(e, s, off);
    strm_host_free(e, s); /* made again from what is left */
    strm_ooo_count(e, sd->strm);
}
