// SPDX-License-Identifier: BSD-2-Clause
#include "flow/queue.h"

#include <errno.h>

#include "base/errtext.h"

static void add(struct ftable *t, struct flow_queue *q, uint32_t idx, struct flow *f)
{
    f->qnext = 0;
    f->qprev = q->tail;
    if (q->tail)
        flow_at(t, q->tail)->qnext = idx;
    else
        q->head = idx;
    q->tail = idx;
    q->count++;
}

static void del(struct ftable *t, struct flow_queue *q, struct flow *f)
{
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

static struct flow_queue *queue_of(struct ftable *t, enum flow_class class)
{
    return class == CLASS_HALF ? &t->half : class == CLASS_ONE ? &t->one : &t->closing;
}

/* leave: out of its queue, if it is in one. */
static inline void leave(struct ftable *t, struct flow *f)
{
    if (f->queue == CLASS_NONE)
        return;
    del(t, queue_of(t, f->queue), f);
    f->queue = CLASS_NONE;
    f->flags &= (uint16_t)~FLOW_HALF;
}

void flow_enqueue(struct ftable *t, uint32_t idx, enum flow_class class)
{
    struct flow *f = flow_at(t, idx);

    assert(class != CLASS_NONE);
    leave(t, f);
    f->queue = (uint8_t) class & 15;
    if (class != CLASS_CLOSING)
        f->flags |= FLOW_HALF;
    add(t, queue_of(t, class), idx, f);
}

void flow_unqueue(struct ftable *t, uint32_t idx)
{
    leave(t, flow_at(t, idx));
}

/* -- tombstones: idx without FLOW_TOMB inside the links, 0: none -- */

#define TOMB_SAMPLE 256 /* each was heard since it was moved last: a packet pays for a move */

void tomb_enqueue(struct ftable *t, uint32_t tomb)
{
    struct flow_queue *q = &t->stones;
    struct flow_tomb *g = tomb_at(t, tomb);

    tomb &= ~FLOW_TOMB;
    g->qnext = 0;
    g->qprev = q->tail;
    if (q->tail)
        tomb_at(t, q->tail)->qnext = tomb;
    else
        q->head = tomb;
    q->tail = tomb;
    q->count++;
}

void tomb_unqueue(struct ftable *t, uint32_t tomb)
{
    struct flow_queue *q = &t->stones;
    const struct flow_tomb *g = tomb_at(t, tomb);

    if (g->qprev)
        tomb_at(t, g->qprev)->qnext = g->qnext;
    else
        q->head = g->qnext;
    if (g->qnext)
        tomb_at(t, g->qnext)->qprev = g->qprev;
    else
        q->tail = g->qprev;
    q->count--;
}

uint32_t ftable_tomb_first(struct ftable *t)
{
    for (int i = 0; i < TOMB_SAMPLE && t->stones.head; i++) {
        uint32_t tomb = t->stones.head;

        if (!tomb_at(t, tomb)->heard)
            break;
        tomb_at(t, tomb)->heard = false;
        tomb_unqueue(t, tomb);
        tomb_enqueue(t, tomb);
    }
    return t->stones.head ? t->stones.head | FLOW_TOMB : 0;
}

static bool check_stones(const struct ftable *t)
{
    uint32_t n = 0, prev = 0;

    for (uint32_t i = t->stones.head; i; prev = i, i = tomb_at(t, i)->qnext)
        if (tomb_at(t, i)->qprev != prev || ++n > t->tombs.used)
            return err_set(EINVAL, "tombstone %u: misplaced in their queue", i) == 0;
    if (n != t->stones.count || n != t->tombs.used || t->stones.tail != prev)
        return err_set(EINVAL, "queue of tombstones: %u counted, %u found", t->stones.count, n) ==
               0;
    return true;
}

static bool check(const struct ftable *t, const struct flow_queue *q, const char *name,
                  enum flow_class class)
{
    uint32_t n = 0, prev = 0;

    for (uint32_t i = q->head; i; prev = i, i = flow_at(t, i)->qnext) {
        const struct flow *f = flow_at(t, i);

        if (f->qprev != prev || f->queue != class ||
            !(f->flags & FLOW_HALF) != (class == CLASS_CLOSING) || ++n > t->count)
            return err_set(EINVAL, "flow %u: misplaced in the queue of %s flows", i, name) == 0;
    }
    if (n != q->count || q->tail != prev)
        return err_set(EINVAL, "queue of %s flows: %u counted, %u found", name, q->count, n) == 0;
    return true;
}

bool flow_queue_check(const struct ftable *t)
{
    return check(t, &t->half, "half-open", CLASS_HALF) &&
           check(t, &t->one, "one-sided", CLASS_ONE) &&
           check(t, &t->closing, "closing", CLASS_CLOSING) && check_stones(t);
}
