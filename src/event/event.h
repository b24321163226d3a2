/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event.h: what happened, told in a fixed order. Three parts:
 *   ude.c       the forest of user-defined events (whole process): id -> base, filter, argument
 *   evset.c     sets of <event, callback> (per context): immutable, shared, found by XOR id;
 *               evraw.c has those that are new, evcompile.c writes them as flat arrays, evedge.c
 *               remembers what leads to which
 *   dispatch.c  one root event on one child: walk the compiled array
 *
 * A set is named by a 32-bit index; 0 is the empty set. Sets keep the order of registration: two
 * sets with equal members in different order have the same XOR id but are two sets (members are
 * compared in order, never the id alone).
 */
#ifndef WEIR_EVENT_EVENT_H
#define WEIR_EVENT_EVENT_H

#include <mos_api.h>

#include "base/pool.h"

/* Rank of the root events: the order within one hook call (contract 3). */
enum ev_rank {
    EV_PKT_IN,
    EV_PKT_OUT,
    EV_CONN_START,
    EV_CONN_SETUP,
    EV_STATE,
    EV_REXMIT,
    EV_OVERLAP,
    EV_ERROR,
    EV_GAP,
    EV_NEW_DATA,
    EV_TIMEOUT,
    EV_EVICT,
    EV_ORPHAN,
    EV_CONN_END,
    EV_DEBUG,
    EV_RANKS
};

#define EVB(rank) (1u << (rank)) /* bit of a rank in masks of raised events */

/* ev_rank_of: rank of a built-in event bit. => -1 if it is none. */
int ev_rank_of(event_t builtin);
/* ev_builtin: the built-in event of a rank. */
extern const struct ev_builtin {
    event_t ev;
    const char *name;
} ev_builtins[EV_RANKS];
static inline event_t ev_builtin(enum ev_rank rank)
{
    assert((unsigned)rank < EV_RANKS);
    return ev_builtins[rank].ev;
}
/* ev_name: "MOS_ON_PKT_IN" ... for built-ins. => NULL for others. */
const char *ev_name(event_t ev);

/* ---- the forest ------------------------------------------------------------------------------ */

enum ev_arity { EV_ARGS5 = 0, EV_ARGS4 = 4 };

struct ev_filter {
    uint8_t arity; /* enum ev_arity: through which member it is called */
    union {
        filter_t f5;
        filter4_t f4;
    };
};

struct ev_cb {
    uint8_t arity;
    union {
        callback_t f5;
        callback4_t f4;
    };
};

static inline bool ev_cb_null(const struct ev_cb *c)
{
    return c->arity == EV_ARGS4 ? c->f4 == NULL : c->f5 == NULL;
}

/*
 * ude_define: a user-defined event. Any thread; may be called before there is a context. `arg`
 * bytes are copied.
 * => its id (0x1000 ..); the same id for identical (base, filter, argument bytes); 0 with errno
 *    EINVAL (base unknown, filter NULL), ENOMEM, ENOSPC (no id left).
 */
event_t ude_define(event_t base, const struct ev_filter *f, const filter_arg_t *arg);
/* ude_alloc: a child event without filter that is only raised by hand. Each call gives a new id. */
event_t ude_alloc(event_t parent);
/*
 * ude_root: rank of the built-in at the root. => -1 with EINVAL if ev is no event (also for
 * built-ins: their own rank).
 */
int ude_root(event_t ev);
/* ude_forget_all: forget every user-defined event (tests, mtcp_destroy). No context may exist. */
void ude_forget_all(void);

/* ---- sets ------------------------------------------------------------------------------------ */

struct evtab; /* all sets of one context */

struct evtab *evtab_create(struct memacct *acct);
void evtab_destroy(struct evtab *t);

/*
 * evset_add: the set that is `set` plus <ev, cb>; when ev is in it already its callback is replaced
 * in place (order kept).
 * => the new set's index with one reference taken; the caller gives back its reference to `set`
 *    (evset_unref). -1 cast to UINT32_MAX with errno ENOMEM/EINVAL when it fails.
 * => follows a memoised edge (set, ev, cb) -> set when there is one; only a new edge builds or
 *    compares members.
 */
uint32_t evset_add(struct evtab *t, uint32_t set, event_t ev, const struct ev_cb *cb);
/*
 * evset_del: the same for removal. => a reference to `set` itself when ev is not in it (errno
 * ENOENT, harmless).
 */
uint32_t evset_del(struct evtab *t, uint32_t set, event_t ev);
void evset_ref(struct evtab *t, uint32_t set);
/*
 * evset_unref: when the last user leaves, the set may be freed from the next evset_gc on, not
 * before (a dispatch may walk it).
 * => a bounded number of sets nobody uses is kept, so that flows that come and go do not build the
 *    same ones over and over.
 */
void evset_unref(struct evtab *t, uint32_t set);
/* evset_gc: at the end of a batch. O(1) when nothing is to do. */
void evset_gc(struct evtab *t);
/* What each packet asks of a set first; by set, [0] is of the empty one. */
struct evset_brief {
    const struct ev_op
        *sole;     /* what PKT_IN runs, if one callback alone; NULL: not so, or not known */
    uint32_t mask; /* evset_mask */
};
struct evtab_head {
    struct pool sets; /* objects that begin with a struct evset_head; 0 is the empty set: none */
    struct evset_brief *brief;
};
struct evset_head {
    struct ev_op *ops;
    uint32_t refs;
    uint32_t sole; /* by rank: all there is is one callback, on the built-in event itself */
};
#define EVSET_SHIFT 6               /* log2 of sets in a slab */
#define EVSET_BYTES (3 * CACHELINE) /* of one; pool_at, with numbers that the compiler knows */
static inline struct evset_head *evset_head(const struct evtab *t, uint32_t set)
{
    char *slab = ((const struct evtab_head *)(const void *)t)->sets.slab[set >> EVSET_SHIFT];

    return (struct evset_head *)(void *)(slab +
                                         (size_t)(set & ((1u << EVSET_SHIFT) - 1)) * EVSET_BYTES);
}
static inline const struct evset_brief *evset_brief(const struct evtab *t, uint32_t set)
{
    return &((const struct evtab_head *)(const void *)t)->brief[set];
}
/*
 * evset_mask: OR of EVB(rank) over the roots of all members (those below hand-raised events too).
 * => two loads: test it before ev_dispatch.
 */
static inline uint32_t evset_mask(const struct evtab *t, uint32_t set)
{
    return evset_brief(t, set)->mask;
}
/* evset_many: are there more sets than lie in the cache anyway? */
static inline bool evset_many(const struct evtab *t)
{
    return ((const struct evtab_head *)(const void *)t)->sets.used > 64;
}
/* evset_prefetch: fetch what evset_mask and ev_dispatch look at; evset_prefetch_ops: then, what PKT_IN runs. */
static inline void evset_prefetch(const struct evtab *t, uint32_t set)
{
    if (set) {
        prefetch_r(evset_head(t, set));
        prefetch_r(evset_brief(t, set));
    }
}
static inline void evset_prefetch_ops(const struct evtab *t, uint32_t set)
{
    if (set)
        prefetch_r(evset_head(t, set)->ops);
}
/*
 * evset_count: number of different sets in use (tests, statistics). evset_members: members of one.
 */
uint32_t evset_count(const struct evtab *t);
uint32_t evset_members(const struct evtab *t, uint32_t set);
/* evset_member: the i-th member in order of registration (i < evset_members). */
void evset_member(struct evtab *t, uint32_t set, uint32_t i, event_t *ev, struct ev_cb *cb);
/* evset_has: the callback registered for ev. => false if ev is not a member. */
bool evset_has(struct evtab *t, uint32_t set, event_t ev, struct ev_cb *cb);
/* evtab_check: invariants (tests). */
bool evtab_check(struct evtab *t);

/* ---- dispatch -------------------------------------------------------------------------------- */

/* One child's view of one event. Lives on the caller's stack. */
struct ev_call {
    struct evtab *tab;
    const uint32_t
        *setp; /* the child's current set for this hook: read again after every callback */
    const uint16_t
        *flags; /* child flags, or NULL: the walk ends when (*flags & stop) becomes non-zero */
    uint16_t stop;
    mctx_t mctx;
    int sock;
    int side;
    struct ev_call
        *outer; /* the dispatch we are nested in (mtcp_raise_event, immediate events), or NULL */
    uint32_t walking; /* set: the set this walk began with */
    uint32_t raising; /* set: how many ev_raise run on this call, one in the other */
};

/*
 * ev_dispatch: tell one root event to one child.
 * => the base callback first, then user-defined events in registration order, depth first; a filter
 *    runs once, just before its own callback and children, and only if a member at or below it may
 *    still run; if the child's set changed since the walk began, a member runs only if it is in the
 *    current set too, with the same function.
 * => the caller keeps *setp's object alive: a set reached through a child whose callbacks change it
 *    is freed at evset_gc only.
 */
void ev_dispatch(struct ev_call *c, enum ev_rank rank);

/*
 * ev_raise: raise a hand-raised event (or any user-defined event, its filter then deciding) inside
 * a dispatch: the members at and below `ev` of the set that `c` walks.
 * => `c` is the call being walked: inside the raised event's own callbacks it is still the same
 *    one.
 * => hand-raised events below `ev` do not run with it: each is raised for itself.
 * => 0; -1 with EINVAL (not a user-defined event), ENOENT (nobody registered it, or not any more),
 *    ELOOP (nested deeper than 16, counted over `outer` and raises).
 */
int ev_raise(struct ev_call *c, event_t ev);

#endif
