/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wheel.h: a hierarchical timing wheel of nodes that live inside pool objects, linked by index. Hanging, taking off and
 * moving cost O(1). Ticks are WHEEL_TICK_NS long; a node fires at the first advance that reaches its tick (never early).
 *
 * Who fires decides what is due: owners that are touched often do not re-hang at each touch, but look at their own
 * "last seen" when the node fires and hang it again (lazy re-hanging).
 */
#ifndef WEIR_BASE_WHEEL_H
#define WEIR_BASE_WHEEL_H

#include "base/pool.h"

#define WHEEL_TICK_NS (4 * NSEC_PER_MSEC)
#define WHEEL_LEVELS  4
#define WHEEL_BITS    8
#define WHEEL_SLOTS   (1u << WHEEL_BITS)

struct wheel_node {
    uint32_t next, prev; /* pool indices; 0 ends the list */
    uint32_t due;        /* tick; 0: hangs nowhere */
};

struct wheel {
    struct pool *pool; /* the objects */
    uint32_t node_off; /* offset of the struct wheel_node inside an object */
    uint32_t now;      /* tick reached; ticks start at 1 at `epoch_ns` */
    uint64_t epoch_ns; /* time of tick 1; set by the first wheel_advance or wheel_hang */
    uint32_t count;    /* nodes that hang */
    uint32_t slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, struct pool *pool, uint32_t node_off);

/*
 * wheel_hang: hang object `idx` so that it fires at or after `when_ns`; takes it off first if it hangs already.
 * => a time in the past fires at the next advance. Times beyond the wheel's reach (about 198 days) are cut to it.
 */
void wheel_hang(struct wheel *w, uint32_t idx, uint64_t when_ns);
/* wheel_off: take object `idx` off; harmless if it does not hang. */
void wheel_off(struct wheel *w, uint32_t idx);
/* wheel_hangs: does it hang? */
bool wheel_hangs(const struct wheel *w, uint32_t idx);

/*
 * wheel_advance: move to `now_ns`, and move every node that became due to a list of its own.
 * => returns the index of the first due node (linked through wheel_node.next, in order of due tick, then of hanging
 *    within a tick), 0 if none. They no longer hang: the caller may hang, free or leave each, but must read
 *    `next` before it does (wheel_next_due does that).
 * => now_ns below an earlier one does nothing. Idle stretches are skipped in O(levels x slots), not per tick.
 */
uint32_t wheel_advance(struct wheel *w, uint64_t now_ns);

/* wheel_next_due: take the first node off the due list. => its index, *head moves on; 0 at the end. */
uint32_t wheel_next_due(struct wheel *w, uint32_t *head);

/* wheel_next_ns: a lower bound of the time of the next node, UINT64_MAX if none hangs (live contexts sleep until then). */
uint64_t wheel_next_ns(const struct wheel *w);

/* wheel_check: walk every invariant (tests). => false with the reason in err_text(). */
bool wheel_check(const struct wheel *w);

#endif
