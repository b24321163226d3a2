// SPDX-License-Identifier: BSD-2-Clause
/*
 * evcompile.c: from members in order of registration to the flat arrays that dispatch walks.
 *
 * First a tree: each member hangs below its base, that below its own, up to the built-in event, or
 * up to an event that is raised by hand, which begins a tree of its own. A node is made when the
 * first member at or below it comes along and goes last among its siblings: so each level is in
 * order of the first registration at or below (contract 3). Then the trees are written out depth
 * first. No recursion: events may nest as deep as memory allows.
 */
#include "event/evset_int.h"

#include <string.h>

#include "base/hash.h"
#include "event/ude.h"

#define NODE_RANK(r) (1u + (r))
#define NODE_RAISED  (1u + EV_RANKS) /* parent of all hand-raised events */
#define NODE_FIRST   (2u + EV_RANKS)
#define MAP0         64u

/* ---- the tree ----------------------------------------------------------------------------- */

static uint32_t *map_slot(const struct evtab *t, event_t ev)
{
    uint32_t i = (uint32_t)hash_mix(ev);

    while (t->map[i & (t->map_size - 1)] && t->node[t->map[i & (t->map_size - 1)]].ev != ev)
        i++;
    return &t->map[i & (t->map_size - 1)];
}

/* An empty map of `size` slots, and every node so far in it. */
static void map_resize(struct evtab *t, uint32_t size)
{
    assert(size <= t->map_cap);
    t->map_size = size;
    memset(t->map, 0, size * sizeof(*t->map));
    for (uint32_t i = NODE_FIRST; i < t->nnodes; i++)
        *map_slot(t, t->node[i].ev) = i;
}

/* => a node for ev, in the map, without parent. */
static uint32_t new_node(struct evtab *t, event_t ev)
{
    uint32_t i = t->nnodes;

    assert(i < t->node_cap);
    if (2 * (i + 1) > t->map_size)
        map_resize(t, 2 * t->map_size);
    t->node[i] = (struct ev_node){.ev = ev};
    *map_slot(t, ev) = i;
    t->nnodes++;
    return i;
}

static void hang(struct evtab *t, uint32_t parent, uint32_t child)
{
    struct ev_node *p = &t->node[parent];

    t->node[child].parent = parent;
    if (p->last)
        t->node[p->last].next = child;
    else
        p->first = child;
    p->last = child;
}

/* The node of ev, with all that lie between it and its root. */
static uint32_t node_of(struct evtab *t, event_t ev)
{
    uint32_t below = 0, found = 0;

    for (;;) {
        const struct ude *u = ude_get(ev);
        uint32_t n = u ? *map_slot(t, ev) : NODE_RANK((uint32_t)ev_rank_of(ev));
        bool known = n != 0;

        if (!known)
            n = new_node(t, ev);
        if (below)
            hang(t, n, below);
        else
            found = n;
        if (known || !u)
            return found;
        if (u->manual) {
            hang(t, NODE_RAISED, n);
            return found;
        }
        below = n;
        ev = u->base;
    }
}

uint32_t evset_depth(event_t ev)
{
    uint32_t n = 1;

    for (const struct ude *u = ude_get(ev); u && !u->manual && (u = ude_get(u->base)) != NULL;)
        n++;
    return n;
}

bool evset_scratch(struct evtab *t, uint32_t nops)
{
    uint32_t nodes = NODE_FIRST + nops;
    struct ev_node *node = evtab_room(t, t->node, &t->node_cap, nodes, sizeof(*node));
    uint32_t *map;

    if (!node)
        return false;
    t->node = node;
    map = evtab_room(t, t->map, &t->map_cap, 4 * nodes, sizeof(*map)); /* at least half empty */
    if (map)
        t->map = map;
    return map != NULL;
}

void evset_plan(struct evtab *t, struct evset *s, uint32_t n)
{
    struct ev_node *node = t->node;

    t->nnodes = NODE_FIRST;
    memset(node, 0, NODE_FIRST * sizeof(*node));
    for (uint32_t r = 0; r < EV_RANKS; r++)
        node[NODE_RANK(r)].ev = ev_builtin((enum ev_rank)r);
    map_resize(t, MAP0);
    s->nops = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = node_of(t, t->cand[i].ev);

        node[at].member = i + 1;
        s->nops += at < NODE_FIRST; /* a base callback; the others are counted as nodes */
    }
    s->nude = t->nnodes - NODE_FIRST;
    s->nops += s->nude;
    s->wide = s->nops > UINT16_MAX;
}

/* ---- writing it out ----------------------------------------------------------------------- */

struct writer {
    struct evtab *t;
    struct evset *s;
    uint32_t nops;
    uint32_t nude;
};

static void emit(struct writer *w, uint32_t node)
{
    struct ev_node *n = &w->t->node[node];
    struct ude *u = ude_get(n->ev);
    struct ev_op *o = &w->s->head.ops[w->nops];

    *o = (struct ev_op){.u = u ? u : &w->t->root[ev_rank_of(n->ev)]};
    o->code = u ? (uint32_t)n->ev : (uint32_t)ev_rank_of(n->ev);
    o->span = 1;
    if (u && !u->manual) {
        o->flags |= u->f.arity == EV_ARGS4 ? OP_FILTER4 : OP_FILTER;
        o->flags |= n->first ? 0 : OP_LEAF;
    }
    if (n->member) {
        const struct ev_cb *cb = &w->t->cand[n->member - 1].cb;

        o->flags |= cb->arity == EV_ARGS4 ? OP_CB4 : OP_CB;
        if (cb->arity == EV_ARGS4)
            o->cb.f4 = cb->f4;
        else
            o->cb.f5 = cb->f5;
        evset_order(w->s)[n->member - 1] = w->nops;
    }
    if (u)
        evset_by_id(w->s)[w->nude++] = w->nops;
    n->op = w->nops++;
}

/* All below `root`, depth first. */
static void emit_below(struct writer *w, uint32_t root)
{
    const struct ev_node *node = w->t->node;
    uint32_t n = node[root].first;

    while (n) {
        emit(w, n);
        if (node[n].first) {
            n = node[n].first;
            continue;
        }
        for (; n != root; n = node[n].parent) {
            w->s->head.ops[node[n].op].span = w->nops - node[n].op;
            if (node[n].next)
                break;
        }
        n = n == root ? 0 : node[n].next;
    }
}

/* Shell's sort: nearly nothing to do when events are registered in the order of their definition.
 */
static void sort_by_id(struct evset *s)
{
    uint32_t *a = evset_by_id(s), gap = 1;

    while (gap < s->nude / 3)
        gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3) {
        for (uint32_t i = gap; i < s->nude; i++) {
            uint32_t x = a[i], j = i;

            for (; j >= gap && s->head.ops[a[j - gap]].code > s->head.ops[x].code; j -= gap)
                a[j] = a[j - gap];
            a[j] = x;
        }
    }
}

static void set_start(struct evset *s, uint32_t rank, uint32_t first)
{
    if (s->wide)
        evset_by_id(s)[s->nude + rank] = first;
    else if (rank > 0)
        s->start[rank - 1] = (uint16_t)first;
}

void evset_compile(struct evtab *t, struct evset *s)
{
    struct writer w = {.t = t, .s = s};

    for (uint32_t r = 0; r < EV_RANKS; r++) {
        set_start(s, r, w.nops);
        if (t->node[NODE_RANK(r)].member)
            emit(&w, NODE_RANK(r));
        emit_below(&w, NODE_RANK(r));
    }
    set_start(s, EV_RANKS, w.nops);
    for (uint32_t r = 0; r < EV_RANKS; r++)
        s->head.sole |= (uint32_t)evset_is_sole(s, r) << r;
    emit_below(&w, NODE_RAISED);
    assert(w.nops == s->nops && w.nude == s->nude);
    sort_by_id(s);
}
