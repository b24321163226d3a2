// SPDX-License-Identifier: BSD-2-Clause
/*
 * connfuzz_loss.c: a byte that a child does not get is one that it was told of: by MOS_ON_GAP at
 * MOS_NULL, or by MOS_ON_ERROR before its buffer overran (contract 1). The reader may come first
 * (it reads in the middle of a batch), so the two accounts are compared at the end.
 *
 * Not so where it registered late or reads what it did not ask for, where somebody's buffer is
 * switched off, or memory ran out: then what one child has read is no gap, though another has not.
 */
#include "connfuzz.h"
#include "engine/engine.h"

/* add: [from, to) to a set; one that has no room left knows nothing any more. */
static void add(struct cf_ranges *r, uint64_t from, uint64_t to)
{
    for (int i = 0; i < r->n; i++)
        if (from <= r->v[i].to && r->v[i].from <= to) {
            from = from < r->v[i].from ? from : r->v[i].from;
            to = to > r->v[i].to ? to : r->v[i].to;
            r->v[i--] = r->v[--r->n];
        }
    if (r->n == CF_RANGES) {
        r->full = true;
        return;
    }
    r->v[r->n].from = from;
    r->v[r->n++].to = to;
}

static bool within(const struct cf_ranges *r, uint64_t from, uint64_t to)
{
    for (int i = 0; i < r->n; i++)
        if (r->v[i].from <= from && to <= r->v[i].to)
            return true;
    return false;
}

void cf_lost(struct cf_kid *k, int side, uint64_t off, uint64_t len)
{
    add(&k->lost[side], off, off + len);
}

void cf_told(struct cf_kid *k, int side, uint64_t off, uint64_t len)
{
    add(&k->told[side], off, off + len);
}

/* cf_overrun: what lies unread at this moment may be gone afterwards. */
void cf_overrun(struct cf_kid *k, int sock, int side)
{
    struct mon *m = engine.ctx[0].m;
    uint32_t idx = 0;

    if (mon_child(m, sock, &idx))
        cf_told(k, side, 0, flow_at(&m->env.ft, idx)->side[side].next);
}

/*
 * known: does the stream reach as far as the receiver has acknowledged? One more may be a FIN; nothing
 * is behind one that came.
 */
static void known(const struct flow *f, int side)
{
    uint64_t acked = conn_acked(f, side), fin;

    if (conn_fin_off(f, side, &fin) && acked > fin)
        acked = fin;
    FUZZ_CHECK(acked <= f->side[side].next + 1,
               "side %d: %llu acknowledged, the stream ends at %llu", side,
               (unsigned long long)acked, (unsigned long long)f->side[side].next);
}

void cf_account(struct cf_kid *k, int sock)
{
    struct mon *m = engine.ctx[0].m;
    uint32_t idx = 0;

    if (mon_child(m, sock, &idx) == NULL)
        return;
    for (int side = 0; side < 2; side++) {
        if (m->env.reasons[REASON_NO_STREAM_MEM] || m->env.reasons[REASON_NO_FLOW_MEM])
            return;
        known(flow_at(&m->env.ft, idx), side);
        if (!cf.tells_gaps || k->loose)
            continue;
        cf_read(sock, side, SIZE_MAX, false);
        for (int i = 0; i < k->lost[side].n && !k->told[side].full; i++)
            FUZZ_CHECK(within(&k->told[side], k->lost[side].v[i].from, k->lost[side].v[i].to),
                       "side %d: nothing was told of what was lost from %llu to %llu", side,
                       (unsigned long long)k->lost[side].v[i].from,
                       (unsigned long long)k->lost[side].v[i].to);
    }
}
