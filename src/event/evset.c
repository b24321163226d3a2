// SPDX-License-Identifier: BSD-2-Clause
/*
 * evset.c: sets of <event, callback>, shared by all flows of a context.
 *
 * Life cycle. A set is made by evset_add or evset_del when no equal one exists, and never changes. It
 * is written out when it is told something or at the end of the batch, if it is in use then
 * (evraw.c). Its id is the XOR of its members' hashes, so the id of "this set plus one member" is
 * known at once; a set with this id is taken only if its members are the same, in the same order.
 * The answer is remembered as an edge (set, event, callback) -> set, and the next flow that does the
 * same follows it (evedge.c).
 *
 * Ownership. Whoever points at a set holds a reference. A set without references goes to the end of
 * the list of the dead, where an edge or a search may still find it (it stays there when it comes
 * back to life, until evset_gc meets it); evset_gc, at the end of a batch, frees the oldest of them.
 * So no set disappears while a dispatch walks it, and dispatch touches no count. Dead sets stay as
 * long as they take no more memory than `keep` and eight times what the living ones take: with flows
 * coming and going, the sets on the way to the common ones are made once and not for each flow, and
 * yet K sets cost O(K) memory.
 *
 * Threads: none. One table belongs to one context.
 *
 * Invariants: evtab_check (evcheck.c).
 */
#include "event/evset_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/apart.h"
#include "base/errtext.h"
#include "base/hash.h"
#include "event/ude.h"

#define SETS_PER_SLAB  (1u << EVSET_SHIFT)
#define EDGES_PER_SLAB 256
#define BUCKETS0       64
#ifdef WEIR_POISON
#define KEEP_BYTES 0 /* whoever walks a set that is gone shall be found out */
#else
#define KEEP_BYTES (256u << 10)
#endif
#define KEEP_TIMES 8 /* enough for an outline for each member of each set in use */

/* ---- memory ------------------------------------------------------------------------------- */

static bool charge(struct evtab *t, size_t bytes)
{
    if (t->acct->limit && t->acct->used + bytes > t->acct->limit)
        return false;
    t->acct->used += bytes;
    t->acct->allocs++;
    return true;
}

void *evtab_zalloc(struct evtab *t, size_t bytes)
{
    void *p;

    if (!charge(t, bytes))
        return NULL;
    p = calloc(1, bytes);
    if (!p)
        t->acct->used -= bytes;
    return p;
}

void evtab_free(struct evtab *t, void *p, size_t bytes)
{
    if (p)
        t->acct->used -= bytes;
    free(p);
}

void *evtab_grow(struct evtab *t, void *p, uint32_t *cap, uint32_t need, size_t size)
{
    uint32_t n = *cap ? *cap : 64;
    void *q;

    while (n < need)
        n *= 2;
    q = evtab_zalloc(t, n * size);
    if (!q)
        return NULL;
    if (p)
        memcpy(q, p, *cap * size);
    evtab_free(t, p, *cap * size);
    *cap = n;
    return q;
}

/* ---- the table ---------------------------------------------------------------------------- */

struct evtab *evtab_create(struct memacct *acct)
{
    struct evtab *t = apart_zalloc(sizeof(*t));

    if (!t)
        return err_null(ENOMEM, "no memory for event sets");
    t->acct = acct ? acct : &t->own;
    for (uint32_t r = 0; r < EV_RANKS; r++)
        t->root[r].id = ev_builtin((enum ev_rank)r);
    t->hash_mask = UINT64_MAX;
    t->keep = KEEP_BYTES;
    pool_init(&t->sets, "evset", sizeof(struct evset), CACHELINE, SETS_PER_SLAB, 0, t->acct);
    pool_init(&t->edges, "evedge", sizeof(struct ev_edge), CACHELINE, EDGES_PER_SLAB, 0, t->acct);
    blkpool_init(&t->blks, t->acct);
    t->sets.vital = t->edges.vital = true; /* what the program asked for */
    for (int i = 0; i < BLK_CLASSES; i++)
        t->blks.cls[i].vital = true;
    t->brief = evtab_room(t, NULL, &t->brief_cap, 1, sizeof(*t->brief));
    t->bucket = evtab_zalloc(t, BUCKETS0 * sizeof(*t->bucket));
    t->ebucket = evtab_zalloc(t, BUCKETS0 * sizeof(*t->ebucket));
    t->nbuckets = t->nebuckets = BUCKETS0;
    if (!t->brief || !t->bucket || !t->ebucket) {
        evtab_destroy(t);
        return err_null(ENOMEM, "no memory for event sets");
    }
    return t;
}

static void free_large_bodies(struct evtab *t)
{
    for (uint32_t b = 0; b < t->nbuckets; b++)
        for (uint32_t i = t->bucket[b]; i; i = evset_at(t, i)->next)
            if (!evset_at(t, i)->blk)
                evset_body_free(t, evset_mut(t, i));
}

void evtab_destroy(struct evtab *t)
{
    if (!t)
        return;
    if (t->bucket)
        free_large_bodies(t);
    pool_fini(&t->sets);
    pool_fini(&t->edges);
    blkpool_fini(&t->blks);
    evtab_free(t, t->brief, t->brief_cap * sizeof(*t->brief));
    evtab_free(t, t->bucket, t->nbuckets * sizeof(*t->bucket));
    evtab_free(t, t->ebucket, t->nebuckets * sizeof(*t->ebucket));
    evtab_free(t, t->cand, t->cand_cap * sizeof(*t->cand));
    evtab_free(t, t->node, t->node_cap * sizeof(*t->node));
    evtab_free(t, t->map, t->map_cap * sizeof(*t->map));
    evtab_free(t, t->raw, t->raw_cap * sizeof(*t->raw));
    evtab_free(t, t->path, t->path_cap * sizeof(*t->path));
    free(t);
}

static uint32_t *id_bucket(const struct evtab *t, uint64_t id)
{
    return &t->bucket[hash_mix(id) & (t->nbuckets - 1)];
}

/* One bucket for each set. Without memory the chains grow longer, that is all. */
static void grow_buckets(struct evtab *t)
{
    uint32_t n = t->nbuckets, *old = t->bucket, *b;

    if (t->sets.used < n || n > UINT32_MAX / 2)
        return;
    b = evtab_zalloc(t, 2 * n * sizeof(*b));
    if (!b)
        return;
    t->bucket = b;
    t->nbuckets = 2 * n;
    for (uint32_t k = 0; k < n; k++) {
        for (uint32_t i = old[k], next; i; i = next) {
            struct evset *s = evset_mut(t, i);
            uint32_t *to = id_bucket(t, s->id);

            next = s->next;
            s->next = *to;
            *to = i;
        }
    }
    evtab_free(t, old, n * sizeof(*old));
}

/* ---- members ------------------------------------------------------------------------------ */

/* No function pointer is cast: the bytes of the object are hashed. */
uint64_t ev_member_hash(event_t ev, const struct ev_cb *cb)
{
    struct {
        event_t ev;
        uint64_t arity;
        unsigned char fn[sizeof(callback_t)];
    } key = {.ev = ev, .arity = cb->arity};

    if (cb->arity == EV_ARGS4)
        memcpy(key.fn, &cb->f4, sizeof(cb->f4));
    else
        memcpy(key.fn, &cb->f5, sizeof(cb->f5));
    return hash_bytes(&key, sizeof(key), 0);
}

struct ev_cb op_cb(const struct ev_op *o)
{
    struct ev_cb cb = {.arity = EV_ARGS5};

    if (o->flags & OP_CB4) {
        cb.arity = EV_ARGS4;
        cb.f4 = o->cb.f4;
    } else {
        cb.f5 = o->cb.f5;
    }
    return cb;
}

const struct ev_op *evset_op(const struct evset *s, uint32_t code)
{
    uint32_t lo = 0, hi = s->nude;
    const uint32_t *by_id;

    if (s->nops == 0)
        return NULL;
    if (code < EV_RANKS) {
        const uint32_t first = evset_start(s, code);
        const struct ev_op *o = &s->head.ops[first];

        return first < evset_start(s, code + 1) && o->code == code ? o : NULL;
    }
    by_id = evset_by_id(s);
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (s->head.ops[by_id[mid]].code < code)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->nude && s->head.ops[by_id[lo]].code == code ? &s->head.ops[by_id[lo]] : NULL;
}

/* A raw set that nobody uses has no room to be written to. */
static bool raw_has(struct evtab *t, uint32_t set, event_t ev, struct ev_cb *cb)
{
    uint32_t pos;

    if (!evset_load(t, set, ev, &pos) || pos == evset_at(t, set)->nmembers)
        return false;
    if (cb)
        *cb = t->cand[pos].cb;
    return true;
}

bool evset_has(struct evtab *t, uint32_t set, event_t ev, struct ev_cb *cb)
{
    int rank = ev_rank_of(ev);
    const struct ev_op *o;

    if (rank < 0 && (ev < UDE_FIRST || ev > UINT32_MAX))
        return false;
    if (evset_at(t, set)->raw)
        return raw_has(t, set, ev, cb);
    o = evset_op(evset_at(t, set), rank < 0 ? (uint32_t)ev : (uint32_t)rank);
    if (!o || !op_is_member(o))
        return false;
    if (cb)
        *cb = op_cb(o);
    return true;
}

uint32_t evset_members(const struct evtab *t, uint32_t set)
{
    return evset_at(t, set)->nmembers;
}

void evset_member(struct evtab *t, uint32_t set, uint32_t i, event_t *ev, struct ev_cb *cb)
{
    const struct evset *s = evset_written(t, set);
    const struct ev_op *o = &s->head.ops[evset_order(s)[i]];

    *ev = op_event(o);
    *cb = op_cb(o);
}

uint32_t evset_count(const struct evtab *t)
{
    return t->sets.used - t->ndead;
}

/* ---- references --------------------------------------------------------------------------- */

void evset_recharge(struct evtab *t, struct evset *s, uint32_t bytes)
{
    uint64_t *sum = s->head.refs ? &t->live_bytes : &t->dead_bytes;

    *sum += bytes;
    *sum -= s->bytes;
    s->bytes = bytes;
}

static void dead_append(struct evtab *t, uint32_t set, struct evset *s)
{
    s->dead_prev = t->dead_tail;
    s->dead_next = 0;
    if (t->dead_tail)
        evset_mut(t, t->dead_tail)->dead_next = set;
    else
        t->dead_head = set;
    t->dead_tail = set;
    s->listed = true;
    s->recent = false;
}

static void dead_remove(struct evtab *t, struct evset *s)
{
    if (s->dead_prev)
        evset_mut(t, s->dead_prev)->dead_next = s->dead_next;
    else
        t->dead_head = s->dead_next;
    if (s->dead_next)
        evset_mut(t, s->dead_next)->dead_prev = s->dead_prev;
    else
        t->dead_tail = s->dead_prev;
    s->listed = false;
}

/* A set that comes back to life stays in the list: the next step of a registration kills it again. */
void evset_ref(struct evtab *t, uint32_t set)
{
    struct evset *s;

    if (set == 0)
        return;
    s = evset_mut(t, set);
    if (s->head.refs++ > 0)
        return;
    s->recent = true;
    t->ndead--;
    t->dead_bytes -= evset_weight(s);
    t->live_bytes += evset_weight(s);
}

void evset_unref(struct evtab *t, uint32_t set)
{
    struct evset *s;

    if (set == 0)
        return;
    s = evset_mut(t, set);
    assert(s->head.refs > 0);
    if (--s->head.refs > 0)
        return;
    t->ndead++;
    t->dead_bytes += evset_weight(s);
    t->live_bytes -= evset_weight(s);
    if (!s->listed)
        dead_append(t, set, s);
    if (s->raw) /* a step on the way: the next one takes the same room */
        evset_body_free(t, s);
}

static void free_set(struct evtab *t, uint32_t set)
{
    struct evset *s = evset_mut(t, set);
    uint32_t *at = id_bucket(t, s->id);

    dead_remove(t, s);
    edge_purge(t, set);
    while (*at != set)
        at = &evset_mut(t, *at)->next;
    *at = s->next;
    evset_body_free(t, s);
    t->ndead--;
    t->dead_bytes -= evset_weight(s);
    t->brief[set] = (struct evset_brief){0};
    pool_free(&t->sets, set);
}

static bool too_many_dead(const struct evtab *t)
{
    return t->ndead > 0 && (t->keep == 0 || t->dead_bytes > t->keep + KEEP_TIMES * t->live_bytes);
}

void evset_gc(struct evtab *t)
{
    evset_end_raw(t);
    while (too_many_dead(t)) {
        uint32_t set = t->dead_head;
        struct evset *s = evset_mut(t, set);

        if (s->head.refs == 0 && !(s->recent && t->keep)) {
            free_set(t, set);
            continue;
        }
        dead_remove(t, s);
        if (s->head.refs == 0) /* it was used since: once round again */
            dead_append(t, set, s);
    }
}

/* ---- finding and building ----------------------------------------------------------------- */

static bool same_members(const struct evset *s, const struct ev_member *m, uint32_t n)
{
    const uint32_t *order = evset_order(s);

    for (uint32_t i = 0; i < n; i++) {
        const struct ev_op *o = &s->head.ops[order[i]];
        struct ev_cb cb = op_cb(o);

        if (op_event(o) != m[i].ev || !ev_cb_same(&cb, &m[i].cb))
            return false;
    }
    return true;
}

/* What is asked for: t->cand[0 .. n-1], which is `from` with one change. */
struct wish {
    uint32_t from;
    event_t ev;
    const struct ev_cb *cb; /* NULL in it: ev goes */
    uint64_t id;
    uint32_t n, nops, mask;
};

/*
 * The set that is wished for. An outline with this id may be the one or not, and nobody has come by an
 * edge: it makes room. => 0 if there is none; EVSET_NONE without memory.
 */
static uint32_t find_set(struct evtab *t, const struct wish *w)
{
    for (uint32_t i = *id_bucket(t, w->id), next; i; i = next) {
        const struct evset *s = evset_at(t, i);
        uint32_t pos;

        next = s->next;
        if (s->id != w->id || s->nmembers != w->n)
            continue;
        if (evset_is_outline(s)) {
            free_set(t, i);
            continue;
        }
        if (!evset_room(t, i))
            return EVSET_NONE;
        evset_written(t, i);
        evset_load(t, w->from, w->ev, &pos); /* there is room: it was loaded before */
        evset_change(t, evset_at(t, w->from)->nmembers, pos, w->ev, w->cb);
        if (same_members(s, t->cand, w->n))
            return i;
    }
    return 0;
}

/* => the new set, raw, with one reference; EVSET_NONE without memory. */
static uint32_t make_set(struct evtab *t, const struct wish *w)
{
    uint32_t set = pool_zalloc(&t->sets), *b;
    struct evset_brief *brief;
    struct evset *s;

    if (!set)
        return EVSET_NONE;
    s = evset_mut(t, set);
    s->head.refs = 1;
    s->nmembers = w->n;
    s->nops = w->nops;
    t->live_bytes += evset_weight(s);
    brief = evtab_room(t, t->brief, &t->brief_cap, set + 1, sizeof(*brief));
    if (brief)
        t->brief = brief;
    if (!brief || !evset_raw(t, set, w->from, w->ev, w->cb)) {
        t->live_bytes -= evset_weight(s);
        pool_free(&t->sets, set);
        return EVSET_NONE;
    }
    grow_buckets(t);
    b = id_bucket(t, w->id);
    s->id = w->id;
    t->brief[set] = (struct evset_brief){.mask = w->mask};
    s->next = *b;
    *b = set;
    t->built++;
    return set;
}

static uint32_t no_memory(uint32_t n)
{
    err_set(ENOMEM, "no memory for a set of %u events", n);
    return EVSET_NONE;
}

/* The set that is wished for, one reference taken, and the edge to it. */
static uint32_t settle(struct evtab *t, const struct wish *w)
{
    uint32_t to = 0;

    if (w->n > 0) {
        to = find_set(t, w);
        if (to == 0)
            to = make_set(t, w);
        else if (to != EVSET_NONE)
            evset_ref(t, to);
    }
    if (to == EVSET_NONE)
        return no_memory(w->n);
    edge_add(t, w->from, w->ev, w->cb, to);
    return to;
}

/*
 * A known edge: one reference more for where it leads.
 * => false if there is none; *to is EVSET_NONE without memory.
 */
static bool follow(struct evtab *t, uint32_t from, event_t ev, const struct ev_cb *cb, uint32_t *to)
{
    struct evset *s;

    *to = edge_find(t, from, ev, cb);
    if (*to == EVSET_NONE)
        return false;
    s = evset_mut(t, *to);
    if (*to && !s->head.ops && !(s->raw ? evset_room(t, *to) : evset_raw(t, *to, from, ev, cb))) {
        *to = no_memory(s->nmembers);
        return true;
    }
    evset_ref(t, *to);
    t->followed++;
    return true;
}

uint32_t evset_add(struct evtab *t, uint32_t set, event_t ev, const struct ev_cb *cb)
{
    struct wish w = {.from = set, .ev = ev, .cb = cb};
    const struct evset *s = evset_at(t, set);
    uint32_t to, pos;

    if (ev_cb_null(cb)) {
        err_set(EINVAL, "no function to call");
        return EVSET_NONE;
    }
    if (follow(t, set, ev, cb, &to))
        return to;
    if (ude_root(ev) < 0 || !evset_load(t, set, ev, &pos))
        return EVSET_NONE;
    w.n = s->nmembers;
    w.id = s->id ^ (ev_member_hash(ev, cb) & t->hash_mask);
    w.nops = s->nops;
    w.mask = t->brief[set].mask | EVB(ude_root(ev));
    if (pos < w.n) {
        if (ev_cb_same(&t->cand[pos].cb, cb)) {
            evset_ref(t, set);
            return set;
        }
        w.id ^= ev_member_hash(ev, &t->cand[pos].cb) & t->hash_mask;
    } else {
        w.n++;
        w.nops += evset_depth(ev);
    }
    return settle(t, &w);
}

uint32_t evset_del(struct evtab *t, uint32_t set, event_t ev)
{
    static const struct ev_cb none = {.arity = EV_ARGS5};
    struct wish w = {.from = set, .ev = ev, .cb = &none};
    const struct evset *s = evset_at(t, set);
    uint32_t to, pos;

    if (follow(t, set, ev, &none, &to))
        return to;
    if (!evset_load(t, set, ev, &pos))
        return EVSET_NONE;
    if (pos == s->nmembers) {
        err_set(ENOENT, "nothing is registered for event 0x%llx", (unsigned long long)ev);
        evset_ref(t, set);
        return set;
    }
    w.n = s->nmembers - 1;
    w.nops = s->nops;
    w.id = s->id ^ (ev_member_hash(ev, &t->cand[pos].cb) & t->hash_mask);
    for (uint32_t i = 0; i < s->nmembers; i++)
        w.mask |= i == pos ? 0 : EVB(ude_root(t->cand[i].ev));
    return settle(t, &w);
}
