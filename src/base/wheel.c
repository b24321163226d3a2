// SPDX-License-Identifier: BSD-2-Clause
/*
 * wheel.c: four wheels of 256 slots, each slot of one wheel as long as the whole wheel below it.
 *
 * Where a node hangs follows from its due tick and from now alone: look at both as numbers of four
 * digits (of 8 bits); the highest digit in which they differ gives the level, and the due tick's
 * digit there gives the slot. Level 0 also holds what is due now. From this follows:
 *
 *   - below the top level every slot in use lies ahead of now's digit, and everything on a level
 *     is due before everything on the levels above: the next slot in use on the lowest level that
 *     has one is where time may jump to;
 *   - nodes with the same due tick are always in the same slot, so that appending keeps the
 *     order in which they were hung;
 *   - when now enters a slot of level > 0, its nodes must be spread over the levels below.
 *
 * Due ticks are kept modulo 2^32. The top level is circular: a slot whose digit is not above
 * now's belongs to the next turn. The reach is one top slot less than a turn, so no slot is
 * ambiguous.
 *
 * Lists: `next` ends with 0; `prev` of the first node names the last one (append in O(1)).
 */
#include "base/wheel.h"
#include "base/errtext.h"

#include <errno.h>
#include <string.h>

#define DUE_NONE  0u
#define DUE_FIRED UINT32_MAX
#define TOP       (WHEEL_LEVELS - 1)
#define REACH     ((1ULL << 32) - (1ULL << (TOP * WHEEL_BITS)) - 4)

static inline struct wheel_node *node(const struct wheel *w, uint32_t idx)
{
    return (struct wheel_node *)((char *)pool_at(w->pool, idx) + w->node_off);
}

void wheel_init(struct wheel *w, struct pool *pool, uint32_t node_off)
{
    memset(w, 0, sizeof(*w));
    w->pool = pool;
    w->node_off = node_off;
}

static inline void append(struct wheel *w, uint32_t *list, uint32_t idx, struct wheel_node *n)
{
    struct wheel_node *first;

    n->next = 0;
    n->prev = idx;
    if (!*list) {
        *list = idx;
        return;
    }
    first = node(w, *list);
    n->prev = first->prev;
    node(w, n->prev)->next = idx;
    first->prev = idx;
}

static inline void unlink_node(struct wheel *w, uint32_t *list, uint32_t idx, struct wheel_node *n)
{
    if (n->next)
        node(w, n->next)->prev = n->prev;
    else if (*list != idx)
        node(w, *list)->prev = n->prev;
    if (*list == idx)
        *list = n->next;
    else
        node(w, n->prev)->next = n->next;
    n->next = n->prev = 0;
}

static unsigned digit(uint64_t tick, unsigned level)
{
    return (unsigned)(tick >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
}

static unsigned level_of(const struct wheel *w, uint32_t due)
{
    uint32_t differ = due ^ (uint32_t)w->now;

    return differ ? (31u - (unsigned)__builtin_clz(differ)) / WHEEL_BITS : 0;
}

static inline void place(struct wheel *w, uint32_t idx, struct wheel_node *n)
{
    const unsigned l = level_of(w, n->due), s = digit(n->due, l);

    append(w, &w->slot[l][s], idx, n);
    w->busy[l][s / 64] |= 1ULL << s % 64;
}

static inline void displace(struct wheel *w, uint32_t idx, struct wheel_node *n)
{
    const unsigned l = level_of(w, n->due), s = digit(n->due, l);

    unlink_node(w, &w->slot[l][s], idx, n);
    if (!w->slot[l][s])
        w->busy[l][s / 64] &= ~(1ULL << s % 64);
}

/*
 * The first hanging sets the clock, as well as it can: 99 days before that time, so that both
 * earlier and later ones are within reach. The first advance moves it to the real time.
 */
static void start(struct wheel *w, uint64_t when)
{
    w->started = true;
    w->now = when > REACH / 2 ? when - REACH / 2 : 0;
    w->now_ns = w->now * WHEEL_TICK_NS;
}

void wheel_hang(struct wheel *w, uint32_t idx, uint64_t when_ns)
{
    uint64_t t = when_ns / WHEEL_TICK_NS + (when_ns % WHEEL_TICK_NS != 0);
    struct wheel_node *n = node(w, idx);

    if (n->due != DUE_NONE)
        wheel_off(w, idx);
    if (!w->started)
        start(w, t);
    if (when_ns <= w->now_ns)
        t = w->now;
    else if (t - w->now > REACH)
        t = w->now + REACH;
    while ((uint32_t)t == DUE_NONE || (uint32_t)t == DUE_FIRED)
        t++;
    n->due = (uint32_t)t;
    place(w, idx, n);
    w->count++;
}

void wheel_off(struct wheel *w, uint32_t idx)
{
    struct wheel_node *n = node(w, idx);

    if (n->due == DUE_NONE)
        return;
    if (n->due == DUE_FIRED) {
        unlink_node(w, &w->fired, idx, n);
    } else {
        displace(w, idx, n);
        w->count--;
    }
    n->due = DUE_NONE;
}

bool wheel_hangs(const struct wheel *w, uint32_t idx)
{
    uint32_t due = node(w, idx)->due;

    return due != DUE_NONE && due != DUE_FIRED;
}

uint64_t wheel_when(const struct wheel *w, uint32_t idx)
{
    uint32_t due = node(w, idx)->due;

    if (!wheel_hangs(w, idx))
        return UINT64_MAX;
    return (w->now + (uint32_t)(due - (uint32_t)w->now)) * WHEEL_TICK_NS;
}

/* Take a whole list out of its slot. => its first node, still linked by next. */
static uint32_t take_slot(struct wheel *w, unsigned l, unsigned s)
{
    uint32_t first = w->slot[l][s];

    w->slot[l][s] = 0;
    w->busy[l][s / 64] &= ~(1ULL << s % 64);
    return first;
}

/* Everything due at w->now fires. */
static void fire_now(struct wheel *w)
{
    uint32_t idx = take_slot(w, 0, digit(w->now, 0)), next;

    for (; idx; idx = next) {
        struct wheel_node *n = node(w, idx);

        next = n->next;
        n->due = DUE_FIRED;
        append(w, &w->fired, idx, n);
        w->count--;
    }
}

/* Spread the slot of level l that now has just entered. */
static void cascade(struct wheel *w, unsigned l)
{
    uint32_t idx = take_slot(w, l, digit(w->now, l)), next;

    for (; idx; idx = next) {
        next = node(w, idx)->next;
        place(w, idx, node(w, idx));
    }
}

/* The first slot in use from `from` on. => -1 if none up to the end of the wheel. */
static int next_busy(const uint64_t *busy, unsigned from)
{
    uint64_t bits;

    if (from >= WHEEL_SLOTS)
        return -1;
    bits = busy[from / 64] & (~0ULL << from % 64);
    for (unsigned i = from / 64;;) {
        if (bits)
            return (int)(i * 64 + (unsigned)__builtin_ctzll(bits));
        if (++i == WHEEL_SLOTS / 64)
            return -1;
        bits = busy[i];
    }
}

/* The tick at which the next slot in use begins, and its level. => UINT64_MAX if none ahead. */
static uint64_t next_slot(const struct wheel *w, unsigned *level)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        unsigned shift = l * WHEEL_BITS;
        uint64_t turn = w->now >> shift >> WHEEL_BITS;
        int s = next_busy(w->busy[l], digit(w->now, l) + 1);

        if (s < 0 && l == TOP) {
            s = next_busy(w->busy[l], 0);
            turn++;
        }
        if (s >= 0) {
            *level = l;
            return (turn << WHEEL_BITS | (unsigned)s) << shift;
        }
    }
    return UINT64_MAX;
}

static void move_to(struct wheel *w, uint64_t target)
{
    for (;;) {
        unsigned level = 0;
        uint64_t t;

        fire_now(w);
        t = w->count ? next_slot(w, &level) : UINT64_MAX;
        if (t > target)
            break;
        w->now = t;
        if (level > 0)
            cascade(w, level);
    }
    w->now = target;
}

uint32_t wheel_advance(struct wheel *w, uint64_t now_ns)
{
    if (now_ns > w->now_ns)
        w->now_ns = now_ns;
    w->started = true;
    move_to(w, w->now_ns / WHEEL_TICK_NS);
    return w->fired;
}

uint32_t wheel_next_due(struct wheel *w, uint32_t *head)
{
    uint32_t idx = w->fired;

    if (idx) {
        unlink_node(w, &w->fired, idx, node(w, idx));
        node(w, idx)->due = DUE_NONE;
    }
    *head = w->fired;
    return idx;
}

uint64_t wheel_next_ns(const struct wheel *w)
{
    unsigned level;

    if (w->fired || w->slot[0][digit(w->now, 0)])
        return w->now_ns;
    return w->count ? next_slot(w, &level) * WHEEL_TICK_NS : UINT64_MAX;
}

/* One list: links in both directions, and each node where it belongs. => nodes, or -1. */
static int check_list(const struct wheel *w, uint32_t first, int level, unsigned s)
{
    uint32_t prev = first ? node(w, first)->prev : 0;
    int n = 0;

    for (uint32_t i = first; i; prev = i, i = node(w, i)->next, n++) {
        const struct wheel_node *x = node(w, i);

        if (x->prev != prev)
            return err_set(EINVAL, "node %u: prev is %u, not %u", i, x->prev, prev);
        if (level < 0 && x->due != DUE_FIRED)
            return err_set(EINVAL, "node %u: fired, but due %u", i, x->due);
        if (level >= 0 && (level_of(w, x->due) != (unsigned)level || digit(x->due, level) != s))
            return err_set(EINVAL, "node %u: due %u is in slot %d/%u at tick %llu", i, x->due,
                           level, s, (unsigned long long)w->now);
    }
    if (first && node(w, first)->prev != prev)
        return err_set(EINVAL, "slot %d/%u: last node is not %u", level, s, prev);
    return n;
}

bool wheel_check(const struct wheel *w)
{
    uint32_t n = 0;

    for (int l = 0; l < WHEEL_LEVELS; l++) {
        for (unsigned s = 0; s < WHEEL_SLOTS; s++) {
            bool busy = w->busy[l][s / 64] >> s % 64 & 1;
            int k = check_list(w, w->slot[l][s], l, s);

            if (k < 0)
                return false;
            if (busy != (k > 0))
                return err_set(EINVAL, "slot %d/%u: %d nodes, bit %d", l, s, k, busy) == 0;
            n += (uint32_t)k;
        }
    }
    if (n != w->count)
        return err_set(EINVAL, "%u nodes hang, count says %u", n, w->count) == 0;
    return check_list(w, w->fired, -1, 0) >= 0;
}
