// SPDX-License-Identifier: BSD-2-Clause
/*
 * evedge.c: where adding or removing a member leads, remembered: (set, event, callback) -> set.
 *
 * An edge holds no reference; it lives as long as both its ends do, and hangs in the list of what
 * leaves the one and of what arrives at the other, so that a set that goes takes its edges along.
 * There are at most 16 edges for each set and 1,024 beside; a new edge then takes the place of some
 * old one, for sets that are all neighbours of each other (the same event, a thousand callbacks)
 * would else need a million.
 */
#include "event/evset_int.h"

#include "base/hash.h"

#define EDGES_PER_SET 16u
#define EDGES_MORE    1024u

enum { LEAVES, ARRIVES };

static struct ev_edge *edge_at(const struct evtab *t, uint32_t e)
{
    return pool_at(&t->edges, e);
}

static uint32_t edge_hash(const struct evtab *t, uint32_t from, event_t ev, const struct ev_cb *cb)
{
    uint64_t h = hash_mix(ev_member_hash(ev, cb) + from * 0x9e3779b97f4a7c15ULL);

    return (uint32_t)(h & t->hash_mask);
}

static uint32_t *bucket_of(const struct evtab *t, uint32_t hash)
{
    return &t->ebucket[hash & (t->nebuckets - 1)];
}

/*
 * The edge that was taken last is written in the set itself: connections that register one event after
 * the other all go the same way, and find the next step in the line that they are on.
 */
static void hop_set(struct evtab *t, const struct ev_edge *g)
{
    struct evset *s = evset_mut(t, g->from);

    s->hop_ev = g->ev;
    s->hop_cb = g->cb;
    s->hop_to = g->to;
}

uint32_t edge_find(struct evtab *t, uint32_t from, event_t ev, const struct ev_cb *cb)
{
    const struct evset *s = evset_at(t, from);
    uint32_t hash;

    if (s->hop_ev == ev && ev_cb_same(&s->hop_cb, cb))
        return s->hop_to;
    hash = edge_hash(t, from, ev, cb);
    for (uint32_t e = *bucket_of(t, hash); e; e = edge_at(t, e)->next) {
        const struct ev_edge *g = edge_at(t, e);

        if (g->hash == hash && g->from == from && g->ev == ev && ev_cb_same(&g->cb, cb)) {
            hop_set(t, g);
            return g->to;
        }
    }
    return EVSET_NONE;
}

static void link_edge(struct evtab *t, uint32_t e, uint32_t set, int kind)
{
    uint32_t *head = &evset_mut(t, set)->edges[kind];

    edge_at(t, e)->link[kind].prev = 0;
    edge_at(t, e)->link[kind].next = *head;
    if (*head)
        edge_at(t, *head)->link[kind].prev = e;
    *head = e;
}

static void unlink_edge(struct evtab *t, const struct ev_edge *g, uint32_t set, int kind)
{
    uint32_t prev = g->link[kind].prev, next = g->link[kind].next;

    if (prev)
        edge_at(t, prev)->link[kind].next = next;
    else
        evset_mut(t, set)->edges[kind] = next;
    if (next)
        edge_at(t, next)->link[kind].prev = prev;
}

static void edge_drop(struct evtab *t, uint32_t e)
{
    const struct ev_edge *g = edge_at(t, e);
    uint32_t *at = bucket_of(t, g->hash);

    while (*at != e)
        at = &edge_at(t, *at)->next;
    *at = g->next;
    if (evset_at(t, g->from)->hop_to == g->to)
        evset_mut(t, g->from)->hop_ev = 0;
    unlink_edge(t, g, g->from, LEAVES);
    unlink_edge(t, g, g->to, ARRIVES);
    pool_free(&t->edges, e);
}

void edge_purge(struct evtab *t, uint32_t set)
{
    const struct evset *s = evset_at(t, set);

    for (int kind = LEAVES; kind <= ARRIVES; kind++)
        while (s->edges[kind])
            edge_drop(t, s->edges[kind]);
}

/* Some edge goes: the first found from the bucket on that the new one will have. */
static void drop_some(struct evtab *t, uint32_t hash)
{
    while (*bucket_of(t, hash) == 0)
        hash++;
    edge_drop(t, *bucket_of(t, hash));
}

/* One bucket for each edge. Without memory the chains grow longer. */
static void grow_buckets(struct evtab *t)
{
    uint32_t n = t->nebuckets, *old = t->ebucket, *b;

    if (t->edges.used < n || n > UINT32_MAX / 2)
        return;
    b = evtab_zalloc(t, 2 * n * sizeof(*b));
    if (!b)
        return;
    t->ebucket = b;
    t->nebuckets = 2 * n;
    for (uint32_t k = 0; k < n; k++) {
        for (uint32_t e = old[k], next; e; e = next) {
            uint32_t *to = bucket_of(t, edge_at(t, e)->hash);

            next = edge_at(t, e)->next;
            edge_at(t, e)->next = *to;
            *to = e;
        }
    }
    evtab_free(t, old, n * sizeof(*old));
}

void edge_add(struct evtab *t, uint32_t from, event_t ev, const struct ev_cb *cb, uint32_t to)
{
    uint32_t hash = edge_hash(t, from, ev, cb), e;
    struct ev_edge *g;

    assert(from != to);
    if (t->edges.used >= EDGES_PER_SET * t->sets.used + EDGES_MORE)
        drop_some(t, hash);
    e = pool_zalloc(&t->edges);
    if (!e)
        return;
    grow_buckets(t);
    g = edge_at(t, e);
    g->from = from;
    g->to = to;
    g->ev = ev;
    g->cb = *cb;
    g->hash = hash;
    g->next = *bucket_of(t, hash);
    *bucket_of(t, hash) = e;
    link_edge(t, e, from, LEAVES);
    link_edge(t, e, to, ARRIVES);
    hop_set(t, g);
}
