/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.h: the flows that are given up first, in the order in which they came: half-open ones,
 * one-sided ones (data of one end, nothing of the other), closing ones. A flow is in one queue or in
 * none; it moves when its class changes - at its SYN, at the first data, when the other end has
 * spoken, at its first FIN - and never because a packet came. So the oldest of a
 * class is found at once, however many flows of other classes there are.
 *
 * Tombstones have a queue of their own, linked through their own records.
 */
#ifndef WEIR_FLOW_QUEUE_H
#define WEIR_FLOW_QUEUE_H

#include "flow/table.h"

enum flow_class { CLASS_NONE, CLASS_HALF, CLASS_ONE, CLASS_CLOSING };

/* flow_enqueue: the last in the queue of that class; it leaves the one that it was in. */
void flow_enqueue(struct ftable *t, uint32_t idx, enum flow_class class);
/* flow_unqueue: out of its queue. => harmless if it is in none. */
void flow_unqueue(struct ftable *t, uint32_t idx);

/* flow_fetch_neighbours: those in its queue and in the wheel are written when it leaves them. */
static inline void flow_fetch_neighbours(const struct ftable *t, const struct flow *f)
{
    prefetch_w(&flow_at(t, f->wheel.next)->wheel);
    prefetch_w(&flow_at(t, f->wheel.prev)->wheel);
    prefetch_w(&flow_at(t, f->qnext)->qnext);
    prefetch_w(&flow_at(t, f->qprev)->qnext);
}

/* tomb_enqueue: the last in the queue of tombstones. tomb_unqueue: out of it. */
void tomb_enqueue(struct ftable *t, uint32_t tomb);
void tomb_unqueue(struct ftable *t, uint32_t tomb);

/* flow_queue_check: are all queues whole (tests)? => false with the reason in err_text(). */
bool flow_queue_check(const struct ftable *t);

#endif
