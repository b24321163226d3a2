/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evset_int.h: how sets lie in memory. For src/event and its tests only.
 *
 * A set's body is one block: the compiled operations, then the members' operations in order of
 * registration, then the operations of user-defined events sorted by id; in very large sets, where the
 * ranks begin.
 *
 *   ops     [ rank 0 | rank 1 | ... | rank 14 | hand-raised ]
 *
 * Rank r goes from evset_start(s, r) to evset_start(s, r + 1).
 *
 * Within a rank: the base callback if there is one, then the user-defined events depth first. An
 * operation's subtree is the `span` operations from it on. An event that is raised by hand
 * (ude_alloc), with what hangs below it, is a subtree of the last area and of nothing else.
 */
#ifndef WEIR_EVENT_EVSET_INT_H
#define WEIR_EVENT_EVSET_INT_H

#include "base/blkpool.h"
#include "event/event.h"
#include "event/ude.h"

#define EVSET_NONE UINT32_MAX

enum op_flags {
    OP_FILTER = 1,
    OP_FILTER4 = 2,
    OP_CB = 4,
    OP_CB4 = 8,
    OP_LEAF = 16, /* a filter, and nothing below it */
};

/* 24 bytes: filter and argument lie in the event, which all sets share. */
struct ev_op {
    struct ude *u; /* of a built-in: evtab.root[] */
    union {
        callback_t f5;
        callback4_t f4;
    } cb;               /* OP_CB: f5, OP_CB4: f4; neither: not a member, only on the way to one */
    uint32_t code;      /* rank of a built-in, id of a user-defined event */
    uint32_t span : 24; /* operations of the subtree, this one included */
    uint32_t flags : 8; /* enum op_flags; OP_FILTER: u->f.f5, OP_FILTER4: u->f.f4 */
};

#define OPS_MAX ((1u << 24) - 1) /* of one set */

struct ev_member {
    event_t ev;
    struct ev_cb cb;
};

/*
 * Three cache lines: what packets look at; what registrations look at; what new sets have.
 *
 * A set is `raw` when it is new: it has an id and says of its members only which other set it comes from,
 * by what change; and while somebody uses it, it has the room for its body. It is written out (evraw.c) when it is told
 * something, or at the end of the batch. One that nobody uses by then, because it was only a step on the
 * way to another, is never written: what is left then are its id and its edges, an outline. Who comes by such an edge makes it raw again.
 */
struct evset {
    struct evset_head head;        /* ops: NULL if raw, or an outline */
    uint32_t bytes;                /* of the body, or of the room for it */
    uint32_t dead_prev, dead_next; /* while `listed`: sets that nobody uses or used, oldest first */
    uint32_t nmembers : 28;
    uint32_t listed : 1; /* among the dead; it may have come back to life there */
    uint32_t recent : 1; /* it has, since it was put there */
    uint32_t raw : 1;
    uint32_t wide : 1; /* where the ranks begin does not fit here, it is in the body */
    uint16_t
        start[EV_RANKS]; /* where the ranks begin; 0 is 0, so: start[rank - 1]; hand-raised last */

    struct ev_cb hop_cb; /* the edge taken last (evedge.c): this event with this callback */
    event_t hop_ev;      /* leads to this set; 0: none */
    uint64_t id;         /* XOR of the members' hashes */
    uint32_t hop_to;
    uint32_t edges[2]; /* first memoised edge that leaves, that arrives */
    uint32_t next;     /* next set in its bucket */
    uint32_t nops;     /* raw, outline: at most so many */
    uint32_t nude;     /* operations of user-defined events: entries of the sorted index */
    blk_t blk;         /* the block of body or room; 0: from the system, too large for one */

    void *room __cacheline; /* raw: where it will be written */
    uint32_t from;          /* raw: the set that it comes from, */
    uint32_t steps; /* how many raw ones there are up to one that is not, this one included, */
    event_t ev;     /* and by what: this event gets this callback, or goes if it is NULL */
    struct ev_cb cb;
};

_Static_assert(offsetof(struct evset, hop_cb) == CACHELINE, "packets look at one line");
_Static_assert(offsetof(struct evset, room) == 2 * CACHELINE, "registrations at two");
_Static_assert(sizeof(struct evset) == EVSET_BYTES, "three lines");

struct ev_edge {
    uint32_t from, to;
    event_t ev;
    struct ev_cb cb; /* NULL: ev is taken out */
    uint32_t hash;
    uint32_t next; /* next edge in its bucket */
    struct {
        uint32_t prev, next;
    } link[2]; /* among the edges that leave `from`, that arrive at `to` */
};

/* One event of the tree while a set is compiled. Index 0 is none, then the ranks, then hand-raised.
 */
struct ev_node {
    event_t ev;
    uint32_t parent, first, last, next;
    uint32_t member; /* position + 1, 0: not a member */
    uint32_t op;
};

struct evtab {
    struct pool sets; /* struct evset; index 0 is the empty set and has no object; both first */
    struct evset_brief *brief;
    uint32_t brief_cap;
    struct memacct *acct;
    struct memacct own; /* when the caller has none */
    struct pool edges;  /* struct ev_edge */
    struct blkpool blks;
    struct evset empty;
    uint32_t *bucket, nbuckets;   /* sets by id */
    uint32_t *ebucket, nebuckets; /* edges by (from, ev, cb) */
    uint32_t dead_head, dead_tail, ndead;
    uint64_t live_bytes, dead_bytes;
    uint64_t keep; /* bytes of unused sets that are kept beside as many as are in use; 0: none */
    uint64_t hash_mask; /* tests: 0 makes all ids and all edges' hashes equal */
    uint64_t built;     /* sets built, ever; edges followed, ever (tests, statistics) */
    uint64_t followed;
    struct ude root[EV_RANKS]; /* the built-in events as operations see them */
    struct ev_member *cand;    /* members of the set that is looked for */
    uint32_t cand_cap;
    struct ev_node *node; /* scratch of the compiler */
    uint32_t nnodes, node_cap;
    uint32_t *map, map_cap, map_size; /* event -> node, map_size slots of map_cap in use */
    uint32_t *raw, nraw, raw_cap;     /* sets that are raw, or were in this batch */
    uint32_t *path, path_cap;         /* raw sets up to one that is not */
};

/* What a set counts for when it is asked if too many are dead. */
static inline uint64_t evset_weight(const struct evset *s)
{
    return s->bytes + sizeof(struct evset) + sizeof(struct ev_edge);
}

static inline bool evset_is_outline(const struct evset *s)
{
    return !s->raw && !s->head.ops;
}

static inline const struct evset *evset_at(const struct evtab *t, uint32_t set)
{
    return set ? (struct evset *)(void *)evset_head(t, set) : &t->empty;
}

static inline struct evset *evset_mut(struct evtab *t, uint32_t set)
{
    return set ? (struct evset *)(void *)evset_head(t, set) : &t->empty;
}

/* Operation of each member, in order of registration. */
static inline uint32_t *evset_order(const struct evset *s)
{
    return (uint32_t *)(void *)(s->head.ops + s->nops);
}

/* Operations of user-defined events, ascending by id. */
static inline uint32_t *evset_by_id(const struct evset *s)
{
    return evset_order(s) + s->nmembers;
}

static inline bool ev_cb_same(const struct ev_cb *a, const struct ev_cb *b)
{
    if (a->arity != b->arity)
        return false;
    return a->arity == EV_ARGS4 ? a->f4 == b->f4 : a->f5 == b->f5;
}

static inline event_t op_event(const struct ev_op *o)
{
    return o->u->id;
}

/* evset_start: the first operation of a rank; EV_RANKS: of hand-raised events. */
static inline uint32_t evset_start(const struct evset *s, uint32_t rank)
{
    if (unlikely(s->wide))
        return evset_by_id(s)[s->nude + rank];
    return rank ? s->start[rank - 1] : 0;
}

static inline bool op_is_member(const struct ev_op *o)
{
    return (o->flags & (OP_CB | OP_CB4)) != 0;
}

/* evset_is_sole: is the only operation of this rank a callback, of the usual form, on the event itself? */
static inline bool evset_is_sole(const struct evset *s, uint32_t rank)
{
    const uint32_t first = evset_start(s, rank);

    return !s->wide && evset_start(s, rank + 1) == first + 1 && s->head.ops[first].flags == OP_CB;
}

/* ---- evset.c */

/* ev_member_hash: of <event, function>, the bytes of the function pointer included. */
uint64_t ev_member_hash(event_t ev, const struct ev_cb *cb);
/* evset_op: the operation of an event in a set (code as in struct ev_op). => NULL if it has none.
 */
const struct ev_op *evset_op(const struct evset *s, uint32_t code);
/* op_cb: the callback of an operation that is a member. */
struct ev_cb op_cb(const struct ev_op *o);
/* evtab_room: an array with room for `need` elements. => NULL without memory, `p` is then still
 * good. */
void *evtab_grow(struct evtab *t, void *p, uint32_t *cap, uint32_t need, size_t size);
static inline void *evtab_room(struct evtab *t, void *p, uint32_t *cap, uint32_t need, size_t size)
{
    return likely(p && need <= *cap) ? p : evtab_grow(t, p, cap, need, size);
}
/* evtab_zalloc, evtab_free: zeroed memory of the system, counted in the account. */
void *evtab_zalloc(struct evtab *t, size_t bytes);
void evtab_free(struct evtab *t, void *p, size_t bytes);

/* evset_recharge: a set's body has so many bytes now. */
void evset_recharge(struct evtab *t, struct evset *s, uint32_t bytes);

/* ---- evraw.c */

/*
 * evset_raw: a set that has its number of members and its most operations becomes raw. => false without
 * memory.
 */
bool evset_raw(struct evtab *t, uint32_t set, uint32_t from, event_t ev, const struct ev_cb *cb);
/* evset_room: a raw set has room. => false without memory. */
bool evset_room(struct evtab *t, uint32_t set);
/*
 * evset_load: members of a set into t->cand, with room for one more; *pos is where ev is (the number of
 * members if it is none of them). => false with ENOMEM; never if the set is raw and ev 0.
 */
bool evset_load(struct evtab *t, uint32_t set, event_t ev, uint32_t *pos);
/* evset_change: of n members in t->cand the one at pos is ev with cb now, or goes. => how many then. */
uint32_t evset_change(struct evtab *t, uint32_t n, uint32_t pos, event_t ev,
                      const struct ev_cb *cb);
/* evset_write: write out a raw set that has room. Needs no memory. */
void evset_write(struct evtab *t, uint32_t set);
/* evset_end_raw: at the end of a batch: raw sets in use are written out, others are outlines now. */
void evset_end_raw(struct evtab *t);
/* evset_body_free: whatever it has, body or room. */
void evset_body_free(struct evtab *t, struct evset *s);

/* evset_written: the set, its operations at hand. */
static inline const struct evset *evset_written(struct evtab *t, uint32_t set)
{
    if (unlikely(evset_at(t, set)->raw))
        evset_write(t, set);
    return evset_at(t, set);
}

/* ---- evcompile.c */

/* evset_depth: operations that a member may need at most: its own and those on the way to its root. */
uint32_t evset_depth(event_t ev);
/* evset_scratch: see that evset_compile has what it needs for so many operations. => false. */
bool evset_scratch(struct evtab *t, uint32_t nops);
/* evset_plan: from the members t->cand[0 .. n-1] the tree, and the numbers of `s`. */
void evset_plan(struct evtab *t, struct evset *s, uint32_t n);
/* evset_compile: then the body, to s->head.ops. */
void evset_compile(struct evtab *t, struct evset *s);

/* ---- evedge.c */

/* edge_find: where <ev, cb> leads from a set; cb with a NULL function is removal. => EVSET_NONE. */
uint32_t edge_find(struct evtab *t, uint32_t from, event_t ev, const struct ev_cb *cb);
/* edge_add: remember it. Without memory it is not remembered. */
void edge_add(struct evtab *t, uint32_t from, event_t ev, const struct ev_cb *cb, uint32_t to);
/* edge_purge: forget all that leave or arrive at a set. */
void edge_purge(struct evtab *t, uint32_t set);

#endif
