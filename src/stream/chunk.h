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
    return (struct chunk *)pool_at(&e->chunks, idx);
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
/* chunk_sum: bytes held in [from, to). */
uint64_t chunk_sum(const struct strm_env *e, const struct strm *s, uint64_t from, uint64_t to);

/* Interval lists (ival.c): sorted, disjoint, not adjacent. *n counts the members. */
static inline struct ival *ival_at(const struct strm_env *e, uint32_t idx)
{
    return (struct ival *)pool_at(&e->ivals, idx);
}

/*
 * ival_add: union with [start, end). => bytes that were not in it; UINT64_MAX out of memory
 * (nothing changed).
 */
uint64_t ival_add(struct strm_env *e, uint32_t *head, uint32_t *n, uint64_t start, uint64_t end);
/* ival_cover: bytes of [start, end) that are in the list. */
uint64_t ival_cover(const struct strm_env *e, uint32_t head, uint64_t start, uint64_t end);
/* ival_pop: take the first member off. */
void ival_pop(struct strm_env *e, uint32_t *head, uint32_t *n);
void ival_free_all(struct strm_env *e, uint32_t *head, uint32_t *n);

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
