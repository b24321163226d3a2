/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wheel.h: a hierarchical timing wheel of nodes that live inside pool objects, linked by index.
 * Hanging, taking off and moving cost O(1). A node fires at the first advance that reaches its
 * tick: never early, at most one tick late. Ticks are WHEEL_TICK_NS long and lie at multiples of it
 * since 1970, so that every context fires at the same times whenever it started.
 *
 * Who fires decides what is due: owners that are touched often do not re-hang at each touch, but
 * look at their own "last seen" when the node fires and hang it again (lazy re-hanging).
 *
 * A node must be zeroed before its first use, and taken off (wheel_off) before its object is freed.
 */
#ifndef WEIR_BASE_WHEEL_H
#define WEIR_BASE_WHEEL_H

#include "base/pool.h"

#define WHEEL_TICK_NS (4 * NSEC_PER_MSEC)
#define WHEEL_LEVELS  4
#define WHEEL_BITS    8
#define WHEEL_SLOTS   (1u << WHEEL_BITS)

struct wheel_node {
    uint32_t next, prev; /* pool indices; next 0: last of its list, whose first names it as prev */
    uint32_t due;        /* low 32 bits of the tick; 0: hangs nowhere; all ones: fired */
};

struct wheel {
    struct pool *pool; /* the objects */
    uint32_t node_off; /* offset of the struct wheel_node inside an object */
    uint32_t count;    /* nodes that hang */
    uint32_t fired;    /* first of the nodes that are due and not taken by wheel_next_due yet */
    bool started;      /* now is set */
    uint64_t now;      /* tick reached, since 1970 */
    uint64_t now_ns;   /* latest time heard */
    uint64_t busy[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* which slots hold something */
    uint32_t slot[WHEEL_LEVELS][WHEEL_SLOTS];      /* first node of each */
};

/* wheel_init: an empty wheel over the objects of `pool`. => there is nothing to be undone. */
void wheel_init(struct wheel *w, struct pool *pool, uint32_t node_off);

/*
 * wheel_hang: hang object `idx` so that it fires at or after `when_ns`; takes it off first if it
 * hangs already.
 * => a time not after the latest one heard fires at the next advance, whatever that one's time.
 *    Times beyond the wheel's reach (about 198 days) are cut to it.
 */
void wheel_hang(struct wheel *w, uint32_t idx, uint64_t when_ns);
/* wheel_off: take object `idx` off, also out of the nodes that fired. => harmless if in neither. */
void wheel_off(struct wheel *w, uint32_t idx);
/* wheel_hangs: does it hang? => false for one that fired. */
bool wheel_hangs(const struct wheel *w, uint32_t idx);

/* wheel_when: the time of the tick at which it fires. => UINT64_MAX if it does not hang. */
uint64_t wheel_when(const struct wheel *w, uint32_t idx);

/*
 * wheel_advance: move to `now_ns`, and every node that became due to the list of those that fired.
 * => returns the first node of that list, 0 if none: in order of due tick, then of hanging within
 *    a tick. They no longer hang. Take them one by one:
 *        uint32_t head = wheel_advance(w, now), idx;
 *        while ((idx = wheel_next_due(w, &head)) != 0)
 *            ... hang idx again, free it, leave it; hang, take off or free others, fired or not
 * => a now_ns below an earlier one counts as the earlier one: the clock never goes back.
 * => idle stretches are skipped, of whatever length.
 */
uint32_t wheel_advance(struct wheel *w, uint64_t now_ns);

/* wheel_next_due: take the first node off the list of those that fired. => its index; 0 at the end.
 */
uint32_t wheel_next_due(struct wheel *w, uint32_t *head);

/*
 * wheel_next_ns: a lower bound of the time of the next node (live contexts sleep until then).
 * => UINT64_MAX if none hangs.
 */
uint64_t wheel_next_ns(const struct wheel *w);

/* wheel_check: walk every invariant (tests). => false with the reason in err_text(). */
bool wheel_check(const struct wheel *w);

#endif
