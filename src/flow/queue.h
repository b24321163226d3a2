/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.h: the flows that are given up first, in the order in which they came: half-open ones and
 * closing ones. A flow is in one queue or in none; it moves when its class changes - at its SYN, at
 * the end of its handshake, at its first FIN - and never because a packet came. So the oldest of a
 * class is found at once, however many flows of other classes there are.
 */
#ifndef WEIR_FLOW_QUEUE_H
#define WEIR_FLOW_QUEUE_H

#include "flow/table.h"

/* flow_queued: is it in a queue? (FLOW_HALF says in which.) */
static inline bool flow_queued(const struct ftable *t, uint32_t idx)
{
    const struct flow *f = flow_at(t, idx);

    return (f->flags & FLOW_HALF) || f->qprev || t->closing.head == idx;
}

/* flow_half_open: count it as half-open: the last in that queue. It must be in none. */
void flow_half_open(struct ftable *t, uint32_t idx);
/* flow_begins_closing: the last in that queue; it leaves the other. Once is enough. */
void flow_begins_closing(struct ftable *t, uint32_t idx);
/* flow_unqueue: out of its queue. => harmless if it is in none. */
void flow_unqueue(struct ftable *t, uint32_t idx);

/* flow_queue_check: are both queues whole (tests)? => false with the reason in err_text(). */
bool flow_queue_check(const struct ftable *t);

#endif
