// SPDX-License-Identifier: BSD-2-Clause
/*
 * evraw.c: new sets, and those that are only a step on the way to another.
 *
 * A program that registers sixty-four events for a connection goes through sixty-three sets that
 * nobody is ever told of. To write each of them out would cost the square of their number; so a set
 * is a note at first: "that one, and this change", and is written out when it is told something, or at
 * the end of the batch if it is in use then. The others never are: what they leave is an outline, so
 * that the next connection that goes the same way finds the same steps.
 *
 * No memory is asked for when a set is written: the room for its body and for the compiler's scratch is
 * taken when it is made, so that registering says ENOMEM and an event never does.
 */
#include "event/evset_int.h"

#include <errno.h>
#include <string.h>

#include "base/errtext.h"
#include "event/ude.h"

/* ---- room --------------------------------------------------------------------------------- */

static uint64_t body_bytes(uint64_t nops, uint64_t nude, uint64_t nmembers)
{
    uint64_t starts = nops > UINT16_MAX ? EV_RANKS + 1 : 0;

    return nops * sizeof(struct ev_op) + (nmembers + nude + starts) * sizeof(uint32_t);
}

static bool room_alloc(struct evtab *t, struct evset *s)
{
    uint64_t bytes = body_bytes(s->nops, s->nops, s->nmembers);

    if (s->nops > OPS_MAX)
        return false;
    s->blk = 0;
    if (bytes <= BLK_MAX) {
        s->blk = blk_alloc(&t->blks, (uint32_t)bytes);
        s->room = s->blk ? blk_ptr(&t->blks, s->blk) : NULL;
    } else {
        s->room = evtab_zalloc(t, bytes);
    }
    if (s->room)
        evset_recharge(t, s, (uint32_t)bytes);
    return s->room != NULL;
}

/* The room was for as many operations as there might have been: perhaps less will do. */
static void room_shrink(struct evtab *t, struct evset *s)
{
    uint32_t bytes = (uint32_t)body_bytes(s->nops, s->nude, s->nmembers);
    blk_t blk = s->blk && bytes <= blk_size(s->blk) / 2 ? blk_alloc(&t->blks, bytes) : 0;

    if (blk) {
        blk_free(&t->blks, s->blk);
        s->blk = blk;
        s->room = blk_ptr(&t->blks, blk);
    }
    if (s->blk)
        evset_recharge(t, s, bytes);
}

void evset_body_free(struct evtab *t, struct evset *s)
{
    if (s->blk)
        blk_free(&t->blks, s->blk);
    else if (s->bytes)
        evtab_free(t, s->raw ? s->room : s->head.ops, s->bytes);
    s->blk = 0;
    if (s->raw)
        s->room = NULL;
    evset_recharge(t, s, 0);
}

bool evset_room(struct evtab *t, uint32_t set)
{
    struct evset *s = evset_mut(t, set);

    return !s->raw || s->room || room_alloc(t, s);
}

/* ---- raw sets ----------------------------------------------------------------------------- */

bool evset_raw(struct evtab *t, uint32_t set, uint32_t from, event_t ev, const struct ev_cb *cb)
{
    struct evset *s = evset_mut(t, set);
    const struct evset *f = evset_at(t, from);
    struct ev_member *c;
    uint32_t *v;

    s->steps = f->raw ? f->steps + 1 : 1;
    v = evtab_room(t, t->path, &t->path_cap, s->steps, sizeof(*v));
    if (!v)
        return false;
    t->path = v;
    v = evtab_room(t, t->raw, &t->raw_cap, t->nraw + 1, sizeof(*v));
    if (!v)
        return false;
    t->raw = v;
    c = evtab_room(t, t->cand, &t->cand_cap, s->nmembers + 1, sizeof(*c));
    if (!c)
        return false;
    t->cand = c;
    if (!evset_scratch(t, s->nops) || !room_alloc(t, s))
        return false;
    t->raw[t->nraw++] = set;
    s->raw = true;
    s->from = from;
    s->ev = ev;
    s->cb = *cb;
    return true;
}

static uint32_t position(const struct evtab *t, uint32_t n, event_t ev)
{
    uint32_t i = 0;

    while (i < n && t->cand[i].ev != ev)
        i++;
    return i;
}

uint32_t evset_change(struct evtab *t, uint32_t n, uint32_t pos, event_t ev, const struct ev_cb *cb)
{
    if (ev_cb_null(cb)) {
        memmove(&t->cand[pos], &t->cand[pos + 1], (n - pos - 1) * sizeof(*t->cand));
        return n - 1;
    }
    t->cand[pos] = (struct ev_member){ev, *cb};
    return pos < n ? n : n + 1;
}

bool evset_load(struct evtab *t, uint32_t set, event_t ev, uint32_t *pos)
{
    const uint32_t want = evset_at(t, set)->nmembers + 1;
    struct ev_member *c = evtab_room(t, t->cand, &t->cand_cap, want, sizeof(*c));
    const struct evset *s = evset_at(t, set);
    uint32_t k = 0, n;

    if (!c) {
        err_set(ENOMEM, "no memory for a set of %u events", want);
        return false;
    }
    t->cand = c;
    for (; s->raw; s = evset_at(t, set)) {
        t->path[k++] = set;
        set = s->from;
    }
    for (n = 0; n < s->nmembers; n++) {
        const struct ev_op *o = &s->head.ops[evset_order(s)[n]];

        c[n] = (struct ev_member){op_event(o), op_cb(o)};
    }
    while (k > 0) {
        s = evset_at(t, t->path[--k]);
        n = evset_change(t, n, n < s->nmembers ? n : position(t, n, s->ev), s->ev, &s->cb);
    }
    assert(n + 1 == want);
    *pos = position(t, n, ev);
    return true;
}

void evset_write(struct evtab *t, uint32_t set)
{
    struct evset *s = evset_mut(t, set);
    uint32_t pos;
    bool ok = evset_load(t, set, 0, &pos);

    assert(ok);
    (void)ok;
    evset_plan(t, s, s->nmembers);
    room_shrink(t, s);
    s->head.ops = s->room;
    s->raw = false;
    evset_compile(t, s);
    _Static_assert(EV_PKT_IN == 0, "its operations are the first");
    t->brief[set].sole = s->head.sole & EVB(EV_PKT_IN) ? s->head.ops : NULL;
}

void evset_end_raw(struct evtab *t)
{
    while (t->nraw > 0) { /* the newest first: it may come from others */
        uint32_t set = t->raw[--t->nraw];
        struct evset *s = evset_mut(t, set);

        if (!s->raw)
            continue;
        if (s->head.refs > 0)
            evset_write(t, set);
        s->raw = false;
    }
}
