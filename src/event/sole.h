/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sole.h: the dispatch that most packets need, inline: the set has one callback for the packet itself, and no
 * user-defined event below that. Anything else is ev_dispatch's.
 */
#ifndef WEIR_EVENT_SOLE_H
#define WEIR_EVENT_SOLE_H

#include "event/evset_int.h"

/* ev_sole: what PKT_IN runs in this set (not the empty one). => NULL: it is not one callback alone. */
static inline const struct ev_op *ev_sole(const struct evtab *t, uint32_t set)
{
    const struct evset_head *h = evset_head(t, set);

    _Static_assert(EV_PKT_IN == 0, "its operations are the first");
    return likely(h->sole & EVB(EV_PKT_IN)) ? h->ops : NULL;
}

/* ev_run_sole: as ev_dispatch, for a child that is not stopped. */
static inline void ev_run_sole(struct ev_call *c, const struct ev_op *o)
{
    c->walking = *c->setp;
    c->raising = 0;
    o->cb.f5(c->mctx, c->sock, c->side, op_event(o), &o->u->arg);
}

#endif
