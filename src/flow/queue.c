// SPDX-License-Identifier: BSD-2-Clause
#include "flow/queue.h"

#include <errno.h>

#include "base/errtext.h"

static void add(struct ftable *t, struct flow_queue *q, uint32_t idx)
{
    struct flow *f = flow_at(t, idx);

    f->qnext = 0;
    f->qprev = q->tail;
    if (q->tail)
        flow_at(t, q->tail)->qnext = idx;
    else
        q->head = idx;
    q->tail = idx;
    q->count++;
}

static void del(struct ftable *t, struct flow_queue *q, uint32_t idx)
{
    struct flow *f = flow_at(t, idx);

    if (f->qprev)
        flow_at(t, f->qprev)->qnext = f->qnext;
    else
        q->head = f->qnext;
    if (f->qnext)
        flow_at(t, f->qnext)->qprev = f->qprev;
    else
        q->tail = f->qprev;
    f->qnext = f->qprev = 0;
    q->count--;
}

void flow_half_open(struct ftable *t, uint32_t idx)
{
    assert(!flow_queued(t, idx));
    flow_at(t, idx)->flags |= FLOW_HALF;
    add(t, &t->half, idx);
}

void flow_begins_closing(struct ftable *t, uint32_t idx)
{
    if (!(flow_at(t, idx)->flags & FLOW_HALF) && flow_queued(t, idx))
        return;
    flow_unqueue(t, idx);
    add(t, &t->closing, idx);
}

void flow_unqueue(struct ftable *t, uint32_t idx)
{
    struct flow *f = flow_at(t, idx);

    if (f->flags & FLOW_HALF) {
        f->flags &= (uint16_t)~FLOW_HALF;
        del(t, &t->half, idx);
    } else if (flow_queued(t, idx)) {
        del(t, &t->closing, idx);
    }
}

static bool check(const struct ftable *t, const struct flow_queue *q, const char *name, bool half)
{
    uint32_t n = 0, prev = 0;

    for (uint32_t i = q->head; i; prev = i, i = flow_at(t, i)->qnext) {
        if (flow_at(t, i)->qprev != prev || !(flow_at(t, i)->flags & FLOW_HALF) == half ||
            ++n > t->count)
            return err_set(EINVAL, "flow %u: misplaced in the queue of %s flows", i, name) == 0;
    }
    if (n != q->count || q->tail != prev)
        return err_set(EINVAL, "queue of %s flows: %u counted, %u found", name, q->count, n) == 0;
    return true;
}

bool flow_queue_check(const struct ftable *t)
{
    return check(t, &t->half, "half-open", true) && check(t, &t->closing, "closing", false);
}
