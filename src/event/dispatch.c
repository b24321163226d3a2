// SPDX-License-Identifier: BSD-2-Clause
/*
 * dispatch.c: one event, one child: walk the compiled set.
 *
 * The set cannot change, but the child may point at another one after any callback or filter. Then
 * what is left of the walk runs only as far as it is in the child's new set too, with the same
 * function; what is new there waits for the next event (contract 3). No reference is taken: a set
 * is freed between batches only.
 *
 * A filter may be costly, may consume stream bytes and may itself change the set. So it runs once,
 * and only if something at or below it may still run at that moment.
 */
#include "event/evset_int.h"

#include <errno.h>

#include "base/errtext.h"
#include "event/ude.h"

#define MAX_NESTING 16

/* May member `o` run? It is in the walked set; see if it is in the child's present set. */
static bool in_present_set(const struct ev_call *c, const struct ev_op *o)
{
    const struct ev_op *now = evset_op(evset_written(c->tab, *c->setp), o->code);
    struct ev_cb a, b;

    if (!now || !op_is_member(now))
        return false;
    a = op_cb(o);
    b = op_cb(now);
    return ev_cb_same(&a, &b);
}

static inline bool changed(const struct ev_call *c)
{
    return unlikely(*c->setp != c->walking);
}

/* May any member of the subtree at `o` run, now that the child has another set? */
static __attribute__((noinline)) bool any_may_run(const struct ev_call *c, const struct ev_op *o)
{
    for (const struct ev_op *behind = o + o->span; o < behind; o++)
        if (op_is_member(o) && in_present_set(c, o))
            return true;
    return false;
}

static inline bool run_filter(const struct ev_call *c, const struct ev_op *o)
{
    if (likely(o->flags & OP_FILTER))
        return o->u->f.f5(c->mctx, c->sock, c->side, o->code, &o->u->arg);
    if (o->flags & OP_FILTER4)
        return o->u->f.f4(c->mctx, c->sock, c->side, o->code);
    return true;
}

static void run_callback(const struct ev_call *c, const struct ev_op *o)
{
    if (o->flags & OP_CB)
        o->cb.f5(c->mctx, c->sock, c->side, op_event(o), &o->u->arg);
    else
        o->cb.f4(c->mctx, c->sock, c->side, op_event(o));
}

/*
 * A filter that has nothing below and says no is the common case. The operation behind it is then the
 * next one: a guess that does not wait for this one's `span`.
 */
#define PLAIN (OP_FILTER | OP_LEAF)

static void walk(const struct ev_call *c, const struct ev_op *o, const struct ev_op *last)
{
    static const uint16_t no_flags;
    const uint16_t *flags = c->flags ? c->flags : &no_flags, stop = c->stop;
    const uint32_t *setp = c->setp;

    while (o < last && !(*flags & stop)) {
        if (unlikely(*setp != c->walking) && !any_may_run(c, o)) {
            o += o->span;
            continue;
        }
        if (likely((o->flags & PLAIN) == PLAIN)) {
            if (likely(!o->u->f.f5(c->mctx, c->sock, c->side, o->code, &o->u->arg))) {
                o++;
                continue;
            }
        } else if (!run_filter(c, o)) {
            o += o->span;
            continue;
        }
        if (*flags & stop)
            return;
        if (op_is_member(o) && (!changed(c) || in_present_set(c, o)))
            run_callback(c, o);
        o++;
    }
}

static inline bool stopped(const struct ev_call *c)
{
    return c->flags && (*c->flags & c->stop);
}

/* dispatch_some: as ev_dispatch. One callback, or one event whose filter says no, need no walk. */
static never_inline void dispatch_some(struct ev_call *c, enum ev_rank rank)
{
    const struct evset *s = evset_written(c->tab, *c->setp);
    const uint32_t first = evset_start(s, rank), end = evset_start(s, rank + 1);
    const struct ev_op *o = &s->head.ops[first], *last = &s->head.ops[end];

    if (likely(o < last && o->flags == OP_CB)) { /* on the built-in event itself */
        if (stopped(c))
            return;
        o->cb.f5(c->mctx, c->sock, c->side, op_event(o), &o->u->arg);
        o++;
    }
    if (o < last && o->flags == OP_FILTER && o + o->span == last && !changed(c)) {
        if (stopped(c) || !o->u->f.f5(c->mctx, c->sock, c->side, o->code, &o->u->arg))
            return;
        o++;
    }
    if (o < last)
        walk(c, o, last);
}

/* What most programs have is one callback. */
void ev_dispatch(struct ev_call *c, enum ev_rank rank)
{
    const struct evset *s = evset_at(c->tab, *c->setp);
    const struct ev_op *o;

    c->walking = *c->setp;
    c->raising = 0;
    if (unlikely(!(s->head.sole >> rank & 1))) {
        dispatch_some(c, rank);
        return;
    }
    if (stopped(c))
        return;
    o = &s->head.ops[rank ? s->start[rank - 1] : 0];
    o->cb.f5(c->mctx, c->sock, c->side, op_event(o), &o->u->arg);
}

static uint32_t nesting(const struct ev_call *c)
{
    uint32_t n = c->raising;

    while ((c = c->outer) != NULL)
        n += 1 + c->raising;
    return n;
}

int ev_raise(struct ev_call *c, event_t ev)
{
    const struct evset *s = evset_at(c->tab, c->walking);
    const struct ev_op *o;

    if (!ude_get(ev))
        return err_set(EINVAL, "0x%llx is no user-defined event", (unsigned long long)ev);
    if (nesting(c) >= MAX_NESTING)
        return err_set(ELOOP, "events raised within events, more than %d deep", MAX_NESTING);
    o = evset_op(s, (uint32_t)ev);
    if (!o || (changed(c) && !any_may_run(c, o)))
        return err_set(ENOENT, "nothing is registered at or below event 0x%llx",
                       (unsigned long long)ev);
    c->raising++;
    walk(c, o, o + o->span);
    c->raising--;
    return 0;
}
