// SPDX-License-Identifier: BSD-2-Clause
/*
 * openflow.c: the beginning of a flow, and whether the one that is there makes way for it. Part of a packet's
 * way (worker.c) that few packets go.
 */
#include "conn/streamedit.h"
#include "engine/engine.h"

/* try_open: record and children. => index, 0 when there was no room. */
static uint32_t try_open(struct worker *w, struct look *l, const struct opening *o)
{
    struct seg *s = &l->seg;
    struct mon *m = w->m;
    uint32_t idx;

    if (unlikely(ftable_crowded(&m->env.ft)))
        mon_evict_stopped(m);
    idx = o->noted ? conn_open_noted(&m->env, s, &l->key, l->hash, &o->note)
                   : conn_open(&m->env, s, &l->key, l->hash, o->client, o->mode);

    if (idx == 0)
        return 0;
    if (mon_adopt(m, idx, o->match)) {
        mon_entered(m, idx);
        m->from_notes += o->noted;
        return idx;
    }
    conn_free(&m->env, idx);
    return 0;
}

uint32_t flow_open(struct worker *w, struct look *l, bool *gated)
{
    const struct seg *s = &l->seg;
    struct mon *m = w->m;
    struct opening o = {.mode = conn_can_open(&m->env, s)};
    uint32_t idx;

    o.client = conn_opener(&m->env, s, l->end, o.mode);
    if (unlikely(m->env.notes.v != NULL) && o.mode != 4)
        gate_recall(w, l, &o);
    if (o.mode == 0)
        return 0;
    o.match = mon_match(m, s, o.mode, o.client == l->end);
    if (o.match == 0) {
        m->env.reasons[REASON_SYN_FILTERED] += o.mode == 1;
        return 0;
    }
    if (unlikely(mon_half_full(m))) {
        if (!gate_admit(w, l, &o)) {
            *gated = true;
            return 0;
        }
        o.match = mon_match(m, s, o.mode, o.client == l->end); /* see below */
        if (unlikely(o.match == 0))
            return 0;
    }
    idx = try_open(w, l, &o);
    if (idx)
        return idx;
    *gated = gate_hopeless(w, s, o.match);
    if (*gated || !mon_evict(m))
        return 0;
    /* callbacks of the flow that made room may have closed listeners, and made others */
    o.match = mon_match(m, s, o.mode, o.client == l->end);
    return o.match ? try_open(w, l, &o) : 0;
}

/* ---- does it make way? ---- */

/*
 * outlived: the flow was reset: does its sender go on? What nobody receives does not.
 */
static bool outlived(struct worker *w, const struct seg *s, const struct flow_hit *hit)
{
    struct flow *f = flow_at(&w->m->env.ft, hit->idx);

    return conn_after_rst(&w->m->env, f, s, hit->from) == AFTER_GOES_ON &&
           conn_refuse(&w->m->env, f, s, hit->from) == REASON_NONE;
}

bool flow_still_there(struct worker *w, struct seg *s, struct flow_hit *hit, bool *gone)
{
    struct mon *m = w->m;
    struct flow *f = flow_at(&m->env.ft, hit->idx);

    *gone = true;
    if (f->flags & FLOW_ENDED) {
        int mode = conn_can_open(&m->env, s);

        if (mode == 0 || (mode == 2 && !outlived(w, s, hit)))
            return false;
        mon_end(m, hit->idx, 0);
        *gone = false;
        return false;
    }
    if (unlikely(f->flags & FLOW_LINGER) && outlived(w, s, hit)) {
        mon_end(m, hit->idx, 0);
        *gone = false;
        return false;
    }
    if (unlikely(conn_deadline(&m->env, f) < m->env.now)) {
        bool lasts = edit_lasts(&m->env, f);

        if (mon_idle(m, hit->idx)) {
            if (lasts) /* it has numbers that its receiver does not know */
                s->pb->flags |= PB_DROP;
            *gone = lasts;
            return false;
        }
    }
    if (unlikely(conn_may_reuse(&m->env, f, s))) {
        if (conn_refuse(&m->env, f, s, hit->from) != REASON_NONE ||
            !conn_reuse(&m->env, f, s, hit->from))
            return true; /* what nobody receives ends nothing: it is refused next */
        mon_end(m, hit->idx, MOS_END_REUSE);
        *gone = false;
        return false;
    }
    return true;
}
