/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h: key to record. One table per context; grows bucket by bucket (linear hashing), so no
 * insert ever pays for moving everything. A bucket is one cache line: 8 slots of (16-bit tag,
 * 32-bit index), overflow buckets chained.
 *
 * The table owns the flow pool, the pool of IPv6 keys, extensions and second keys, and nothing of
 * what else hangs on a record.
 */
#ifndef WEIR_FLOW_TABLE_H
#define WEIR_FLOW_TABLE_H

#include "flow/record.h"

/* Flows in the order in which they entered: linked through flow.qnext, qprev (queue.h). */
struct flow_queue {
    uint32_t head, tail, count;
};

struct ftable {
    struct pool flows; /* struct flow */
    struct pool keys6; /* 32 bytes: two addresses */
    struct pool exts;  /* struct flow_ext */
    struct pool alts;  /* struct flow_alt */
    struct pool kids;  /* struct child_ext */
    struct pool tombs; /* struct flow_tomb */
    struct pool live;  /* bitmap: record i is bit i % LIVE_BITS of object i / LIVE_BITS + 1 */
    struct wheel tomb_wheel;
    struct wheel wheel; /* over flows */
    uint64_t secret;
    uint32_t count;            /* live flows (slots of second keys not counted) */
    uint32_t gone;             /* records given back, ever: names of before may be another's now */
    uint32_t hand;             /* clock hand of eviction */
    struct flow_queue half;    /* half-open flows, oldest first */
    struct flow_queue one;     /* one-sided flows with data, in the order in which they are asked */
    struct flow_queue closing; /* flows that have begun to close, the first to do so first */
    struct flow_queue stones;  /* tombstones, in the order in which they go */
    uint32_t max_flows;        /* flows and tombstones together, 0: no limit */
    void *priv;                /* buckets */
    struct memacct *acct;
};

struct buckets;

#define LIVE_BITS 512u

static inline uint64_t *live_word(const struct ftable *t, uint32_t idx)
{
    return (uint64_t *)pool_at(&t->live, idx / LIVE_BITS + 1) + idx % LIVE_BITS / 64;
}

/* ftable_lives: is the record that had this index once, or has it now, live? */
static inline bool ftable_lives(const struct ftable *t, uint32_t idx)
{
    return *live_word(t, idx) >> idx % 64 & 1;
}

/* What a look-up found. */
struct flow_hit {
    uint32_t idx;   /* 0: none; with FLOW_TOMB: a tombstone (tomb_at) */
    uint8_t from;   /* CLI or SVR: who sent the packet */
    uint8_t second; /* found under its second (translated) key */
};

/* ftable_init: => 0; -1 ENOMEM. max_flows 0: no limit. */
int ftable_init(struct ftable *t, uint32_t max_flows, uint64_t secret, struct memacct *acct);
/* ftable_reserve: memory for n flows of IPv4 now, none of them has to wait for it later. => 0; -1 ENOMEM. */
int ftable_reserve(struct ftable *t, uint32_t n);
void ftable_fini(struct ftable *t);

#define FLOWS_SHIFT 9 /* log2 of records in a slab */

static inline struct flow *flow_at(const struct ftable *t, uint32_t idx)
{
    return pool_of(&t->flows, struct flow, FLOWS_SHIFT, idx);
}

#define FTABLE_CACHED 4096 /* flows whose records lie in the caches close to the processor: 1 MB */

/* ftable_big: are there more? Then what few packets touch is worth fetching ahead. */
static inline bool ftable_big(const struct ftable *t)
{
    return t->count > FTABLE_CACHED;
}

/* ftable_hash: hash of a key under this table's secret. */
static inline uint32_t ftable_hash(const struct ftable *t, const struct flow_key *k)
{
    return key_hash(k, t->secret);
}

/* What a slot's ref says besides FLOW_TOMB: it is that of a second key. */
#define SLOT_ALT 0x40000000u
#define SLOT_IDX 0x3fffffffu

/* ftable_slots: the slots themselves (flow/buckets.h), for who looks before he has a key (glance.h). */
static inline const struct buckets *ftable_slots(const struct ftable *t)
{
    return (const struct buckets *)t->priv;
}

/*
 * ftable_find: the flow with this key; `end` is the endpoint (0/1 of the key) that sent the
 * packet.
 * => hit.from tells which side that is. A flow with a second key is found under its first key only
 *    for packets of its client, under its second only for packets of its server (contract 4); the
 *    other two combinations are misses.
 */
struct flow_hit ftable_find(const struct ftable *t, const struct flow_key *k, uint32_t hash,
                            int end);

/* flow_prefetch_key: of a flow of IPv6, whose record has come: fetch its addresses. */
static inline void flow_prefetch_key(const struct ftable *t, const struct flow *f)
{
    if (f->flags & FLOW_V6)
        prefetch_r(pool_at(&t->keys6, f->end[0].addr));
}

/*
 * ftable_new: a zeroed record with this key, entered in the table. `client` is the client's
 * endpoint number in the key.
 * => its index; 0 when a pool or the account is full (nothing changed). The key must not be in the
 *    table.
 */
uint32_t ftable_new(struct ftable *t, const struct flow_key *k, uint32_t hash, int client,
                    uint64_t now);

/*
 * ftable_alias: enter a second slot for idx under key k (translation), `svr_end` the server's
 * endpoint number in k, cli_if: see struct flow_alt.
 * => 0; -1 ENOMEM; a live record under k is the caller's to deal with first.
 */
int ftable_alias(struct ftable *t, uint32_t idx, const struct flow_key *k, int svr_end,
                 uint8_t cli_if);

/*
 * ftable_del: take the flow out of the table, the wheel and its queue and free the record, its key, extension
 * and second key. Children in the child pool and streams must be gone.
 */
void ftable_del(struct ftable *t, uint32_t idx);

/* ftable_crowded: would a new flow be one too many, tombstones counted, and is there one of those? */
static inline bool ftable_crowded(const struct ftable *t)
{
    return t->max_flows && t->stones.count && t->count + t->stones.count >= t->max_flows;
}

/*
 * ftable_bury: replace the record by a tombstone under the same (first) key; a second slot goes.
 * The record is freed as by ftable_del. => the tombstone's index with FLOW_TOMB; 0 when there was
 * no room for one (nothing has changed).
 */
uint32_t ftable_bury(struct ftable *t, uint32_t idx, uint64_t now);
/* ftable_unbury: remove a tombstone (idx with FLOW_TOMB). */
void ftable_unbury(struct ftable *t, uint32_t idx);

/*
 * ftable_tomb_first: the tombstone that makes way first: the oldest of which no packet was heard since
 * it was made or asked here last; of 256 that were all heard, the oldest. => index with FLOW_TOMB; 0:
 * there is none.
 */
uint32_t ftable_tomb_first(struct ftable *t);

static inline struct flow_tomb *tomb_at(const struct ftable *t, uint32_t idx)
{
    return (struct flow_tomb *)pool_at(&t->tombs, idx & ~FLOW_TOMB);
}

/* flow_get_key: the (first) key of a record. => client's endpoint number. */
int flow_get_key(const struct ftable *t, const struct flow *f, struct flow_key *k);
/* tomb_get_key: the same of a tombstone. */
int tomb_get_key(const struct ftable *t, const struct flow_tomb *tomb, struct flow_key *k);

/* flow_addr: address (4 or 16 bytes) and port of a side, network order. */
const uint8_t *flow_addr(const struct ftable *t, const struct flow *f, int side, uint16_t *port);
/*
 * flow_as_known_to: addresses and ports, into s, of what `side` sends, as this end of a flow that may be translated
 * knows them.
 */
void flow_as_known_to(const struct ftable *t, const struct flow *f, int side, struct seg *s);

/*
 * flow_ext_get: the extension, made if missing, perhaps to be changed (flow.asks). => NULL when out of
 * memory.
 */
struct flow_ext *flow_ext_get(struct ftable *t, struct flow *f);

/*
 * ftable_sample: the next live record under the clock hand, for eviction. => 0 if the table is
 * empty.
 */
uint32_t ftable_sample(struct ftable *t);

/*
 * ftable_next: walk all live records in order of index: pass 0, then what it returned. => 0 at the
 * end.
 */
uint32_t ftable_next(const struct ftable *t, uint32_t idx);

/*
 * ftable_tombs: all tombstones, in the order in which they lie. Fills at most max of v. => how many
 * there are.
 */
uint32_t ftable_tombs(const struct ftable *t, uint32_t *v, uint32_t max);

/* ftable_check: all invariants (tests). => false with the reason in err_text(). */
bool ftable_check(const struct ftable *t);

/* ftable_bytes: bytes held for buckets. */
uint64_t ftable_bytes(const struct ftable *t);

#endif
