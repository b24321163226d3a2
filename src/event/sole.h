/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sole.h: the dispatch that most packets need, inline: the set has one callback for the packet itself, and no
 * user-defined event below that (evset_brief says which). Anything else is ev_dispatch's.
 */
#ifndef WEIR_EVENT_SOLE_H
#define WEIR_EVENT_SOLE_H

#include "event/evset_int.h"

/* ev_run_sole: as ev_dispatch, for a child that is not stopped. */
static inline void ev_run_sole(struct ev_call *c, const struct ev_op *o)
{
    c->walking = *c->setp;
    c->raising = 0;
    o->cb.f5(c->mctx, c->sock, c->side, ev_builtin(EV_PKT_IN), &o->u->arg);
}

#endif
