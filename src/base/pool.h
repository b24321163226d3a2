/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h: objects of one size, named by a 32-bit index. Grows by slabs on demand, up to a limit,
 * never moves an object, and never gives slabs back before pool_fini. Index 0 is never handed out
 * and means "none" in every record.
 *
 * One pool belongs to one context: no locks. Free objects are poisoned under AddressSanitizer. The
 * free list lives inside the free objects (so objects are at least 4 bytes).
 *
 * `struct memacct` is what several pools of one context share: bytes taken from the system, and the
 * limit.
 */
#ifndef WEIR_BASE_POOL_H
#define WEIR_BASE_POOL_H

#include "base/compiler.h"

struct memacct {
    uint64_t used;   /* bytes of slabs held */
    uint64_t limit;  /* 0: none */
    uint64_t kept;   /* part of the limit that only pools with `vital` may fill */
    uint64_t allocs; /* calls to the system's allocator, ever: flat in steady state */
};

struct pool {
    char **slab; /* slab[i] holds objects i << shift .. */
    uint32_t nslabs;
    uint32_t slab_cap; /* room in slab[] */
    uint32_t size;     /* bytes per object, rounded up to `align` */
    uint32_t shift;    /* log2 of objects per slab */
    uint32_t mask;
    uint32_t free_head; /* index of the first free object, 0 if none */
    uint32_t fresh;     /* next index never used yet */
    uint32_t used;      /* objects handed out */
    uint32_t max;       /* limit on objects, 0: none */
    uint32_t align;
    bool vital;           /* may fill what the account keeps; set after pool_init */
    bool at_once;         /* what is allocated now is to be there, and not only its addresses */
    struct memacct *acct; /* may be NULL */
    const char *name;     /* for tests' reports; a literal */
};

/*
 * pool_init: an empty pool of objects of `size` bytes, aligned to `align` (power of two, at most
 * 64).
 * => slab_objs is rounded up to a power of two; max 0 means no limit but 2^32-2.
 * => takes no memory until the first pool_alloc.
 */
void pool_init(struct pool *p, const char *name, uint32_t size, uint32_t align, uint32_t slab_objs,
               uint32_t max, struct memacct *acct);
/* pool_fini: give every slab back. => objects still out become invalid. */
void pool_fini(struct pool *p);

/*
 * pool_alloc: hand out one object; its bytes are undefined.
 * => its index; 0 when the pool's limit or the account's is reached, or the system has no memory.
 */
uint32_t pool_alloc(struct pool *p);
/* pool_zalloc: the same, zeroed. */
uint32_t pool_zalloc(struct pool *p);
/* pool_free: take an object back. => idx must be out (ASan builds find a second time). */
void pool_free(struct pool *p, uint32_t idx);
/* pool_live: is idx an object that is handed out? Linear in free objects: for tests and checks. */
bool pool_live(const struct pool *p, uint32_t idx);
/* pool_bytes: bytes held from the system. */
uint64_t pool_bytes(const struct pool *p);

/* pool_spare: objects that can be handed out without another slab. */
static inline uint32_t pool_spare(const struct pool *p)
{
    return p->nslabs ? (p->nslabs << p->shift) - 1 - p->used : 0;
}

/* pool_keep: see that n can be. => false: no memory for the slabs. */
bool pool_keep(struct pool *p, uint32_t n);
/*
 * pool_reserve: the same, and the memory is the process's own from now on, beyond the first 2 MB in huge pages if the system has
 * them: nothing waits for it later. => takes as long as the system needs to clear it.
 */
bool pool_reserve(struct pool *p, uint32_t n);

/* pool_at: the object with this index. => idx must be 1 .. fresh-1. */
static inline void *pool_at(const struct pool *p, uint32_t idx)
{
    return p->slab[idx >> p->shift] + (size_t)(idx & p->mask) * p->size;
}

/* pool_of: the same, with numbers that the compiler knows: of such objects, 1 << shift in a slab. */
#define pool_of(p, type, shift, idx)                                                               \
    ((type *)(void *)(p)->slab[(idx) >> (shift)] + ((idx) & ((1u << (shift)) - 1)))

#endif
