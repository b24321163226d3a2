/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chunk.h: what is inside a struct strm: held bytes, intervals, the host's queue; only stream/ uses it.
 */
#ifndef WEIR_STREAM_CHUNK_H
#define WEIR_STREAM_CHUNK_H

#include "stream/hostq.h"
#include "stream/strm.h"

static inline struct chunk *chunk_at(const struct strm_env *e, uint32_t idx)
{
    return pool_of(&e->chunks, struct chunk, CHUNKS_SHIFT, idx);
}

static inline uint64_t chunk_end(const struct chunk *c)
{
    return c->off + c->len;
}

/* chunk_add: hold a view of bytes that no chunk covers yet. => 0; -1 out of memory. */
int chunk_add(struct strm_env *e, struct strm *s, uint64_t off, const uint8_t *data, uint32_t len);
/* chunk_append: the same behind all others. */
int chunk_append(struct strm_env *e, struct strm *s, uint64_t off, const uint8_t *data,
                 uint32_t len);
/*
 * chunk_cut: stop holding [from, to). A chunk cut in the middle becomes two (an owned one's second
 * part is copied).
 */
void chunk_cut(struct strm_env *e, struct strm *s, uint64_t from, uint64_t to);
/* chunk_cut_head: stop holding everything below `to`. */
void chunk_cut_head(struct strm_env *e, struct strm *s, uint64_t to);
void chunk_drop_all(struct strm_env *e, struct strm *s);
/*
 * chunk_own_all: copy borrowed bytes into blocks, neighbours together. => bytes lost to lack of
 * memory. chunk_try_own: the same, but what finds none stays borrowed. => bytes that do.
 */
uint32_t chunk_own_all(struct strm_env *e, struct strm *s);
uint32_t chunk_try_own(struct strm_env *e, struct strm *s);
/* chunk_lost: these bytes of a stream found no memory: count and note them. chunk_note_lost: note only. */
void chunk_note_lost(struct strm_env *e, uint64_t from, uint64_t to);
void chunk_lost(struct strm_env *e, uint64_t from, uint64_t to);
/* chunk_room: the block that borrowed bytes of this length will have of their own. */
uint32_t chunk_room(uint32_t len);
/* chunk_reach: the first chunk that ends beyond `off`. => 0: there is none. */
uint32_t chunk_reach(const struct strm_env *e, const struct strm *s, uint64_t off);
/* chunk_sum: bytes held in [from, to). */
uint64_t chunk_sum(const struct strm_env *e, const struct strm *s, uint64_t from, uint64_t to);

#define IVAL_LEAF_BYTES 1024
#define IVAL_LEAF       42 /* members of a leaf */

/*
 * Interval lists (ival.c): sorted, disjoint, not adjacent. A zeroed one is empty. ival_at: member k; its
 * place changes with the list.
 */
static inline struct ival *ival_at(const struct strm_env *e, const struct ivals *l, uint32_t k)
{
    uint32_t p = l->at + k;

    if (l->leaves == 0)
        return (struct ival *)(void *)blk_ptr(&e->blks, l->blk) + p;
    return (struct ival *)(void *)blk_ptr(
               &e->blks, ((blk_t *)(void *)blk_ptr(&e->blks, l->blk))[p / IVAL_LEAF]) +
           p % IVAL_LEAF;
}

/* ival_after: the one behind v, which is member k. => NULL: there is none. */
static inline struct ival *ival_after(const struct strm_env *e, const struct ivals *l, uint32_t k,
                                      struct ival *v)
{
    if (k + 1 >= l->n)
        return NULL;
    return l->leaves && (l->at + k + 1) % IVAL_LEAF == 0 ? ival_at(e, l, k + 1) : v + 1;
}

/* ival_mem: bytes of memory that the list takes. */
static inline uint32_t ival_mem(const struct ivals *l)
{
    return (l->blk ? blk_size(l->blk) : 0) + l->leaves * (uint32_t)IVAL_LEAF_BYTES;
}

/* ival_find: the first member that ends at `off` or behind. => its place; n: there is none. */
uint32_t ival_find(const struct strm_env *e, const struct ivals *l, uint64_t off);
/* ival_room: see that another member finds room. => false: no memory. */
bool ival_room(struct strm_env *e, struct ivals *l);
/*
 * ival_add: union with [start, end). => bytes that were not in it; UINT64_MAX out of memory
 * (nothing changed).
 */
uint64_t ival_add(struct strm_env *e, struct ivals *l, uint64_t start, uint64_t end);
/* ival_cover: bytes of [start, end) that are in the list. */
uint64_t ival_cover(const struct strm_env *e, const struct ivals *l, uint64_t start, uint64_t end);
/* ival_pop: take the first member off. ival_cut: and all from `off` on. => bytes. */
void ival_pop(struct strm_env *e, struct ivals *l);
uint64_t ival_cut(struct strm_env *e, struct ivals *l, uint64_t off);
void ival_free_all(struct strm_env *e, struct ivals *l);

/*
 * Chunks among intervals (above.c), for a stream that has intervals above `next`. above_before: the last
 * chunk that begins below `off`; 0: none. above_linked, above_unlink: a chunk has come behind `before`, is
 * about to go from there. above_recount: what it takes has changed; `owned`: it is borrowed no more.
 * above_kept: it stays borrowed at the end of a batch. above_fresh: the first interval that may have a
 * borrowed one in its region. above_rebuild: all anew.
 */
uint32_t above_fresh(const struct strm_env *e, const struct strm *s);
uint32_t above_before(const struct strm_env *e, const struct strm *s, uint64_t off);
void above_linked(const struct strm_env *e, struct strm *s, uint32_t before, uint32_t idx);
void above_unlink(const struct strm_env *e, struct strm *s, uint32_t before, uint32_t idx);
void above_recount(struct strm *s, struct chunk *c, bool owned);
void above_kept(const struct strm_env *e, struct strm *s, uint32_t before, uint32_t idx);
void above_rebuild(const struct strm_env *e, struct strm *s);
/*
 * above_widen: [from, end) is seen, as far as it lies before what was: by an interval of its own, for which
 * there is room, or by the one that it reaches. Before its chunks come. => where that ends; from: nothing.
 */
uint64_t above_widen(struct strm_env *e, struct strm *s, uint64_t from, uint64_t end);
/* above_pop: `next` has reached the first interval. */
void above_pop(struct strm_env *e, struct strm *s);
/* above_check: is that right (tests)? => false with the reason in err_text(). */
bool above_check(const struct strm_env *e, const struct strm *s);

/* strm_rival_cut (rival.c): the stream ends at `off`, for the other copy of doubted bytes, too. */
void strm_rival_cut(struct strm_env *e, struct strm *s, uint64_t off);

/* The host's queue of a stream whose policy follows a host (policy.c). */

/*
 * strm_host_insert: a segment covers [from, end), from >= next, and its interval is not in the list
 * yet. => what of it the host takes.
 */
struct span strm_host_insert(struct strm_env *e, const struct flow_side *sd, struct strm *s,
                             uint64_t from, uint64_t end);
/* strm_host_drain: `next` has moved on, the intervals too. */
void strm_host_drain(struct strm_env *e, const struct flow_side *sd, struct strm *s);
void strm_host_free(struct strm_env *e, struct strm *s);
/*
 * strm_host_export, _import: its entries; s itself has been written or read already, `was`: with a
 * queue.
 */
void strm_host_export(const struct strm_env *e, const struct strm *s, struct image *im);
bool strm_host_import(struct strm_env *e, struct strm *s, bool was, struct image *im);

#endif
