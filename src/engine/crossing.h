/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crossing.h: the way of a frame from the context that received it to the one that its flow belongs
 * to: a ring of bytes with one writer and one reader, without a lock. The frame is copied into it,
 * with room in front and behind, and worked off where it lies.
 *
 * LIFE  crossing_put -> crossing_take (up to a burst) -> ... worked off, sent ... -> crossing_done.
 * THREADS  put: the writer's; take and done: the reader's; init and fini: nobody uses it.
 */
#ifndef WEIR_ENGINE_CROSSING_H
#define WEIR_ENGINE_CROSSING_H

#include "io/io.h"
#include "wire/defrag.h"

/* Bytes of a ring: large frames of offloads take 64 KiB each. */
static inline size_t crossing_size(int contexts)
{
    return (contexts <= 4 ? 8u : contexts <= 8 ? 4u : 1u) << 20;
}

/* Where the note of a fragment lies, and what hangs on it: for as long as anybody holds it. */
struct frag_hold {
    struct frag_room room;
    int refs; /* atomic */
};

/* frag_hold_drop: one holds it less. => NULL is fine. */
void frag_hold_drop(struct frag_hold *h);

struct crossing {
    uint8_t *mem; /* NULL: not made */
    size_t cap;   /* a power of two */
    /* the writer's */
    uint64_t head __cacheline; /* atomic: bytes ever written */
    uint64_t seen_tail;
    /* the reader's */
    uint64_t tail __cacheline; /* atomic: bytes ever given back */
    uint64_t next;             /* up to here they were taken */
};

/* crossing_init: `cap` bytes, a power of two. => 0; -1 with ENOMEM. */
int crossing_init(struct crossing *x, size_t cap);
void crossing_fini(struct crossing *x);

/*
 * crossing_put: copy a frame into the ring. hold: of its fragment note, or NULL; goes with it,
 * and is dropped when the reader is done with the frame.
 * => false: it is full, nothing has happened.
 */
bool crossing_put(struct crossing *x, const struct pktbuf *pb, struct frag_hold *hold);

/* crossing_take: at most n frames, in the order in which they were put. => how many. */
int crossing_take(struct crossing *x, struct pktbuf **pb, int n);
/* crossing_done: all that were taken go back; `poison`: they are overwritten. */
void crossing_done(struct crossing *x, bool poison);

/* crossing_waits: is there something to take? The reader asks. */
static inline bool crossing_waits(const struct crossing *x)
{
    return __atomic_load_n(&x->head, __ATOMIC_ACQUIRE) != x->next;
}

#endif
