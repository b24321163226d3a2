// SPDX-License-Identifier: BSD-2-Clause
/* evcheck.c: the invariants of sets and edges. Tests call it after each step; slow. Raw sets
 * in use are written out for it. */
#include "event/evset_int.h"

#include "base/hash.h"
#include "event/ude.h"

/* Subtrees lie within each other; each filter hangs where the forest says. */
static bool ops_ok(const struct evset *s, uint32_t begin, uint32_t end, event_t parent)
{
    for (uint32_t i = begin; i < end; i += s->head.ops[i].span) {
        const struct ev_op *o = &s->head.ops[i];
        const struct ude *u = ude_get(op_event(o));

        if (o->span == 0 || i + o->span > end || !o->u)
            return false;
        if (((o->flags & OP_LEAF) != 0) != (u && !u->manual && o->span == 1))
            return false;
        if (!op_is_member(o) && (o->span == 1 || !u)) /* leads nowhere */
            return false;
        if (u && u->base != parent && !(u->manual && parent == 0))
            return false;
        if (u && u->manual != ((o->flags & (OP_FILTER | OP_FILTER4)) == 0))
            return false;
        if (!ops_ok(s, i + 1, i + o->span, op_event(o)))
            return false;
    }
    return true;
}

static bool members_ok(struct evtab *t, uint32_t set, const struct evset *s)
{
    uint32_t mask = 0, members = 0;
    uint64_t id = 0;

    for (uint32_t i = 0; i < s->nmembers; i++) {
        const struct ev_op *o = &s->head.ops[evset_order(s)[i]];
        struct ev_cb cb = op_cb(o), found;

        id ^= ev_member_hash(op_event(o), &cb) & t->hash_mask;
        mask |= EVB(ude_root(op_event(o)));
        if (!evset_has(t, set, op_event(o), &found) || !ev_cb_same(&cb, &found))
            return false;
    }
    for (uint32_t i = 0; i < s->nops; i++)
        members += op_is_member(&s->head.ops[i]);
    for (uint32_t i = 1; i < s->nude; i++)
        if (s->head.ops[evset_by_id(s)[i - 1]].code >= s->head.ops[evset_by_id(s)[i]].code)
            return false;
    return id == s->id && mask == evset_mask(t, set) && members == s->nmembers;
}

/* brief_ok: is known of a set that is written out what packets ask first, and of others nothing? */
static bool brief_ok(const struct evtab *t, uint32_t set)
{
    const struct evset *s = evset_at(t, set);
    const bool sole = s->head.ops && evset_is_sole(s, EV_PKT_IN);

    return evset_brief(t, set)->sole == (sole ? s->head.ops : NULL);
}

static bool areas_ok(const struct evset *s)
{
    for (uint32_t r = 0; r < EV_RANKS; r++) {
        uint32_t i = evset_start(s, r);

        if (i > evset_start(s, r + 1) || (s->head.sole >> r & 1) != evset_is_sole(s, r))
            return false;
        if (i < evset_start(s, r + 1) && s->head.ops[i].code == r) {
            if (s->head.ops[i].span != 1)
                return false;
            i++;
        }
        if (!ops_ok(s, i, evset_start(s, r + 1), ev_builtin((enum ev_rank)r)))
            return false;
    }
    return ops_ok(s, evset_start(s, EV_RANKS), s->nops, 0);
}

static bool equal(const struct evset *a, const struct evset *b)
{
    if (a->id != b->id || a->nmembers != b->nmembers || !a->head.ops || !b->head.ops)
        return false;
    for (uint32_t i = 0; i < a->nmembers; i++) {
        const struct ev_op *x = &a->head.ops[evset_order(a)[i]],
                           *y = &b->head.ops[evset_order(b)[i]];
        struct ev_cb cx = op_cb(x), cy = op_cb(y);

        if (x->code != y->code || !ev_cb_same(&cx, &cy))
            return false;
    }
    return true;
}

/* Does an edge say what evset_add and evset_del would? */
static bool edge_ok(struct evtab *t, const struct ev_edge *g)
{
    const struct evset *from = evset_at(t, g->from), *to = evset_at(t, g->to);
    struct ev_cb now;
    bool had;

    if ((g->from && !from->head.ops) || (g->to && !to->head.ops)) /* outlines cannot be asked */
        return to->nmembers + 1 >= from->nmembers && to->nmembers <= from->nmembers + 1;
    had = evset_has(t, g->from, g->ev, NULL);
    if (ev_cb_null(&g->cb))
        return had && to->nmembers + 1 == from->nmembers && !evset_has(t, g->to, g->ev, NULL);
    return to->nmembers == from->nmembers + !had && evset_has(t, g->to, g->ev, &now) &&
           ev_cb_same(&now, &g->cb);
}

/* The edges in the table are those in the lists of the sets: `n` counts the latter, both ways. */
static bool edges_ok(struct evtab *t, uint64_t n)
{
    uint32_t total = 0;

    for (uint32_t b = 0; b < t->nebuckets; b++) {
        for (uint32_t e = t->ebucket[b]; e;) {
            const struct ev_edge *g = pool_at(&t->edges, e);

            if (!edge_ok(t, g) || (g->hash & (t->nebuckets - 1)) != b)
                return false;
            total++;
            e = g->next;
        }
    }
    return total == t->edges.used && n == 2 * (uint64_t)total;
}

static uint32_t count_edges(const struct evtab *t, uint32_t set)
{
    uint32_t n = 0;

    for (int kind = 0; kind < 2; kind++) {
        for (uint32_t e = evset_at(t, set)->edges[kind]; e;) {
            const struct ev_edge *g = pool_at(&t->edges, e);

            n += (kind ? g->to : g->from) == set;
            e = g->link[kind].next;
        }
    }
    return n;
}

/* Every set that nobody uses is listed, and perhaps some that were there before. */
static bool dead_ok(const struct evtab *t)
{
    uint32_t n = 0, prev = 0;
    uint64_t bytes = 0;

    for (uint32_t i = t->dead_head; i; prev = i, i = evset_at(t, i)->dead_next) {
        const struct evset *s = evset_at(t, i);

        if (!s->listed || s->dead_prev != prev)
            return false;
        n += s->head.refs == 0;
        bytes += s->head.refs == 0 ? evset_weight(s) : 0;
    }
    return prev == t->dead_tail && n == t->ndead && bytes == t->dead_bytes;
}

/* The edge that was taken last is one. */
static bool hop_ok(const struct evtab *t, const struct evset *s)
{
    for (uint32_t e = s->edges[0]; e && s->hop_ev;) {
        const struct ev_edge *g = pool_at(&t->edges, e);

        if (g->ev == s->hop_ev && g->to == s->hop_to && ev_cb_same(&g->cb, &s->hop_cb))
            return true;
        e = g->link[0].next;
    }
    return s->hop_ev == 0;
}

bool evtab_check(struct evtab *t)
{
    uint64_t edges = count_edges(t, 0), live = 0;
    uint32_t total = 0, dead = 0;

    for (uint32_t i = 0; i < t->nraw; i++)
        if (evset_at(t, t->raw[i])->head.refs)
            evset_written(t, t->raw[i]);
    for (uint32_t b = 0; b < t->nbuckets; b++) {
        for (uint32_t i = t->bucket[b]; i; i = evset_at(t, i)->next) {
            const struct evset *s = evset_at(t, i);

            if (!brief_ok(t, i))
                return false;
            if (s->head.ops && (!members_ok(t, i, s) || !areas_ok(s)))
                return false;
            if (!hop_ok(t, s) || (s->raw && (s->head.refs || s->bytes)))
                return false;
            for (uint32_t k = s->next; k; k = evset_at(t, k)->next)
                if (equal(s, evset_at(t, k)))
                    return false;
            edges += count_edges(t, i);
            live += s->head.refs ? evset_weight(s) : 0;
            dead += s->head.refs == 0;
            total++;
        }
    }
    return total == t->sets.used && hop_ok(t, &t->empty) && dead == t->ndead &&
           live == t->live_bytes && dead_ok(t) && evset_mask(t, 0) == 0 && edges_ok(t, edges);
}
