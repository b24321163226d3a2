/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * synnote.h: what is remembered of a SYN that was not made a flow, or whose flow had to go: 16 bytes
 * in an array of fixed size, found by the flow's hash. A newer one in the same place takes it. Enough to go on as if the
 * SYN had opened a flow, once somebody answers it or its sender goes on.
 */
#ifndef WEIR_CONN_SYNNOTE_H
#define WEIR_CONN_SYNNOTE_H

#include "base/pool.h"
#include "wire/seg.h"

enum synnote_bits {
    NOTE_WSCALE = 15, /* mask: the shift count */
    NOTE_HAS_WSCALE = 1 << 4,
    NOTE_SACKOK = 1 << 5,
    NOTE_TS = 1 << 6,
    NOTE_CLI_IS_1 = 1 << 7,   /* the client is endpoint 1 of the key */
    NOTE_CSUM_GOOD = 1 << 8,  /* the SYN's checksum was verified */
    NOTE_CSUM_WRONG = 1 << 9, /* and was wrong */
    NOTE_USED = 1 << 10,
    NOTE_BITS = 11,
};

#define NOTE_TICK 23 /* time is kept in units of 2^23 ns, 8 ms; 21 bits of it: nearly 5 hours */

struct synnote {
    uint32_t hash; /* of the key */
    uint32_t isn;
    uint32_t tsval;
    uint32_t meta; /* enum synnote_bits; time << NOTE_BITS */
};

_Static_assert(sizeof(struct synnote) == 16, "four to a cache line");

struct synnotes {
    struct synnote *v; /* NULL: none yet */
    uint32_t mask;
};

/*
 * synnotes_made: the array, made when first needed and counted in the account: 512 KB, of a small
 * budget a sixteenth. => false: no memory.
 */
bool synnotes_made(struct synnotes *t, struct memacct *acct);
void synnotes_fini(struct synnotes *t, struct memacct *acct);

static inline struct synnote *synnote_at(const struct synnotes *t, uint32_t hash)
{
    return &t->v[hash & t->mask];
}

static inline uint32_t synnote_time(uint64_t now)
{
    return (uint32_t)(now >> NOTE_TICK) << NOTE_BITS;
}

/* synnote_age: in ns, to 8 ms. */
static inline uint64_t synnote_age(const struct synnote *n, uint64_t now)
{
    return (uint64_t)((synnote_time(now) - (n->meta & ~((1u << NOTE_BITS) - 1))) >> NOTE_BITS)
           << NOTE_TICK;
}

/* synnote_of: the note of this very SYN, if it came within a minute. => NULL: there is none. */
const struct synnote *synnote_of(const struct synnotes *t, uint32_t hash, uint32_t isn,
                                 uint64_t now);

/*
 * synnote_take: the note of the SYN that this segment answers or follows: sent by the server and
 * acknowledging it (`end` is its sender's endpoint), or by the client behind it. It is taken off.
 * => false: there is none, or it is older than a minute. An RST takes the note and opens nothing.
 */
bool synnote_take(struct synnotes *t, uint32_t hash, const struct seg *s, int end, uint64_t now,
                  struct synnote *out);

#endif
