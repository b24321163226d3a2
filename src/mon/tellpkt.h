/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tellpkt.h: telling of a packet what most packets tell, inline: PKT_IN and nothing else, to a flow's only child,
 * which has one callback for it. What is not so goes the common way (tell.c).
 */
#ifndef WEIR_MON_TELLPKT_H
#define WEIR_MON_TELLPKT_H

#include <assert.h>

#include "event/sole.h"
#include "mon/mon.h"

/* stop_of: the flags with which a child hears no more of this side, the client's or the server's. stop_bits: or of both. */
static inline uint16_t stop_of(int side)
{
    _Static_assert(MOS_SIDE_CLI == 0 && MOS_SIDE_SVR == 1 && CHILD_STOP_SVR == CHILD_STOP_CLI << 1,
                   "by side");
    assert(side == MOS_SIDE_CLI || side == MOS_SIDE_SVR);
    return (uint16_t)(CHILD_CLOSED | CHILD_STOP_CLI << side);
}

static inline uint16_t stop_bits(int side)
{
    return side == MOS_SIDE_BOTH ? CHILD_CLOSED : stop_of(side);
}

/* call_of: a child's dispatch, in the one that `outer` is. A struct that is cleared first would be written twice. */
static inline void call_of(struct ev_call *call, struct mon *m, struct child *c, enum mon_hook hook,
                           int side, uint16_t stop, struct ev_call *outer)
{
    call->tab = m->sets;
    call->setp = &c->set[hook];
    call->flags = &c->flags;
    call->stop = stop;
    call->mctx = m->mctx;
    call->sock = c->sock;
    call->side = side;
    call->outer = outer;
}

/* tell_sole: the packet to child 0, which has one callback for it; nothing else is being told. */
static inline void tell_sole(struct mon *m, struct conn_pkt *cp, enum mon_hook hook, int side,
                             const struct ev_op *op)
{
    struct child *c = &cp->f->c0;
    struct ev_call call;

    call_of(&call, m, c, hook, side, stop_of(side), NULL);
    m->told = cp->f;
    m->told_idx = cp->idx;
    m->hook = hook;
    m->seg = cp->s;
    m->cp = cp;
    m->call = &call;
    m->in_callback = 1;
    ev_run_sole(&call, op);
    m->in_callback = 0;
    m->call = NULL;
    m->told = NULL;
    m->seg = NULL;
    m->cp = NULL;
    m->ip_len_was = 0;
}

/* sole_of: the only callback for the packet, of child 0, if that is so. => NULL: go the common way. */
static inline const struct ev_op *sole_of(const struct evset_brief *b, const struct child *c,
                                          int side)
{
    return likely(b->sole && !c->next && !(c->flags & stop_of(side))) ? b->sole : NULL;
}

/* mon_tell_packet_in: as mon_tell_packet, where it raises nothing but PKT_IN. => was anybody told? */
static force_inline bool mon_tell_packet_in(struct mon *m, struct conn_pkt *cp, enum mon_hook hook,
                                            int side)
{
    const struct child *c = &cp->f->c0;
    const struct evset_brief *b = evset_brief(m->sets, c->set[hook]);
    const struct ev_op *op = sole_of(b, c, side);

    assert(!m->in_callback && (c->sock >= 0 || c->set[hook] == 0));
    if (likely(op != NULL)) {
        tell_sole(m, cp, hook, side, op);
        return true;
    }
    if (likely(!(b->mask & EVB(EV_PKT_IN)) && !c->next))
        return false;
    mon_tell_some(m, cp, hook, side, EVB(EV_PKT_IN));
    return true;
}

/* mon_tell_ranks: as mon_tell_packet, where it may raise more than that. => was anybody told? */
static inline bool mon_tell_ranks(struct mon *m, struct conn_pkt *cp, enum mon_hook hook, int side,
                                  uint32_t ranks)
{
    const struct child *c = &cp->f->c0;
    const struct evset_brief *b = evset_brief(m->sets, c->set[hook]);
    const uint32_t heard = b->mask & ranks;
    const struct ev_op *op = sole_of(b, c, side);

    assert(!m->in_callback);
    if (heard == 0 && likely(!c->next))
        return false;
    /* of an edited flow that nobody watches any more, or that found no memory to be forgotten, the child has gone */
    if (heard != EVB(EV_PKT_IN) || op == NULL || unlikely(c->sock < 0)) {
        mon_tell_some(m, cp, hook, side, ranks);
        return true;
    }
    tell_sole(m, cp, hook, side, op);
    ranks &= ~EVB(EV_PKT_IN);
    if (unlikely(ranks && mon_hears(m, cp->f, hook, ranks))) /* since then */
        mon_tell_some(m, cp, hook, side, ranks);
    return true;
}

#endif
