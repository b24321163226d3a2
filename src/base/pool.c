// SPDX-License-Identifier: BSD-2-Clause
/*
 * pool.c: slabs of objects and a free list through the free ones.
 *
 * An object is in one of three states:
 *   unborn  index >= fresh: its bytes were never touched (a slab costs address space until its
 * objects are used) out     handed out free    its first four bytes name the next free one Last
 * freed is first handed out again, since its lines are still in the cache. Slot 0 of slab 0 stays
 * unborn for ever: index 0 means "none". Under AddressSanitizer unborn and free objects are
 * poisoned, and so a record used after its end or freed twice is found at once.
 */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#define MIN_ALIGN      8u /* the shadow's grain: neighbours must not share one */
#define poison(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#define is_poisoned(p) __asan_address_is_poisoned(p)
#else
#define MIN_ALIGN      4u
#define poison(p, n)   ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#define is_poisoned(p) ((void)(p), 0)
#endif

#define IDX_MAX 0xfffffffeu

static uint32_t log2_up(uint32_t n)
{
    uint32_t s = 0;

    while (s < 31 && (1u << s) < n)
        s++;
    return s;
}

void pool_init(struct pool *p, const char *name, uint32_t size, uint32_t align, uint32_t slab_objs,
               uint32_t max, struct memacct *acct)
{
    assert(size > 0 && size <= 1u << 30);
    assert(align <= CACHELINE && (align & (align - 1)) == 0);

    memset(p, 0, sizeof(*p));
    p->name = name;
    p->align = align > MIN_ALIGN ? align : MIN_ALIGN;
    p->size = (size + p->align - 1) & ~(p->align - 1);
    p->shift = log2_up(slab_objs > 2 ? slab_objs : 2);
    p->mask = (1u << p->shift) - 1;
    p->max = max;
    p->acct = acct;
    p->fresh = 1;
}

/*
 * Regions. A pool that has grown beyond 2 MiB takes its slabs from aligned regions of that size, which
 * the system may back by huge pages: a table of many flows is read at random, and with small pages
 * nearly every record costs a walk through the page tables besides. It is told so of a region only when
 * that is full: to clear a huge page at the first touch takes longer than a batch of packets. (At once, where memory is reserved
 * before there are any.) Where a budget is small, pages are kept small, whatever the system does by itself, so that what is
 * counted is what is used.
 */
#define REGION       ((size_t)2 << 20)
#define SMALL_BUDGET (64 * REGION)
#define PAGE         4096u /* no system has smaller ones */

static uint32_t slabs_per_region(size_t slab)
{
    return slab && slab <= REGION / 2 && REGION % slab == 0 ? (uint32_t)(REGION / slab) : 0;
}

/* first_of_own: was slab i allocated by itself, or is it the first of a region? */
static bool first_of_own(uint32_t i, uint32_t per)
{
    return per == 0 || i < per || i % per == 0;
}

/* small_budget: do whole huge pages not go with what this pool may use? */
static bool small_budget(const struct pool *p)
{
    return p->acct && p->acct->limit && p->acct->limit < SMALL_BUDGET;
}

/* wish: tell the system how a region is used (MADV_...); it may know better. */
static void wish(char *region, int advice)
{
    (void)madvise(region, REGION, advice);
}

/* touch: n bytes of fresh memory, so that the system supplies them. */
static void touch(char *s, size_t n)
{
    unpoison(s, n);
    for (size_t at = 0; at < n; at += PAGE)
        ((volatile char *)s)[at] = 0;
}

static char *new_region(const struct pool *p)
{
    char *s = aligned_alloc(REGION, REGION);

    if (s == NULL)
        return NULL;
    if (small_budget(p))
        wish(s, MADV_NOHUGEPAGE);
    else if (p->at_once)
        wish(s, MADV_HUGEPAGE);
    poison(s, REGION);
    return s;
}

static char *slab_memory(const struct pool *p, size_t n)
{
    uint32_t per = slabs_per_region(n), i = p->nslabs;

    if (per == 0 || i < per)
        return aligned_alloc(CACHELINE, n);
    if (i % per)
        return p->slab[i - 1] + n;
    if (i > per && !small_budget(p))
        wish(p->slab[i - per], MADV_HUGEPAGE);
    return new_region(p);
}

static size_t slab_bytes(const struct pool *p)
{
    return (((size_t)p->size << p->shift) + CACHELINE - 1) & ~(size_t)(CACHELINE - 1);
}

void pool_fini(struct pool *p)
{
    const size_t n = slab_bytes(p);
    const uint32_t per = slabs_per_region(n);

    for (uint32_t i = p->nslabs; i-- > 0;)
        if (first_of_own(i, per)) {
            unpoison(p->slab[i], per == 0 || i < per ? n : REGION);
            free(p->slab[i]);
        }
    if (p->acct)
        p->acct->used -= pool_bytes(p);
    free(p->slab);
    p->slab = NULL;
    p->nslabs = p->slab_cap = 0;
    p->free_head = 0;
    p->fresh = 1;
    p->used = 0;
}

/* Room for one more pointer in slab[]. */
static bool grow_table(struct pool *p)
{
    uint32_t cap = p->slab_cap ? 2 * p->slab_cap : 8;
    char **t;

    if (p->nslabs < p->slab_cap)
        return true;
    t = realloc(p->slab, cap * sizeof(*t));
    if (!t)
        return false;
    if (p->acct)
        p->acct->allocs++;
    p->slab = t;
    p->slab_cap = cap;
    return true;
}

static bool add_slab(struct pool *p)
{
    size_t n = slab_bytes(p);
    struct memacct *a = p->acct;
    char *s;

    if (a && a->limit && a->used + n + (p->vital ? 0 : a->kept) > a->limit)
        return false;
    if (!grow_table(p))
        return false;
    s = slab_memory(p, n);
    if (!s)
        return false;
    if (a) {
        a->allocs++;
        a->used += n;
    }
    if (p->at_once)
        touch(s, n);
    poison(s, n);
    p->slab[p->nslabs++] = s;
    return true;
}

bool pool_keep(struct pool *p, uint32_t n)
{
    while (pool_spare(p) < n)
        if (!add_slab(p))
            return false;
    return true;
}

bool pool_reserve(struct pool *p, uint32_t n)
{
    bool there;

    p->at_once = true;
    there = pool_keep(p, n);
    p->at_once = false;
    return there;
}

/* An index never used yet; 0 when a limit is reached. */
static uint32_t take_fresh(struct pool *p)
{
    uint32_t idx = p->fresh;

    if (idx > IDX_MAX)
        return 0;
    if (idx >> p->shift >= p->nslabs && !add_slab(p))
        return 0;
    p->fresh++;
    unpoison(pool_at(p, idx), p->size);
    return idx;
}

static uint32_t take_free(struct pool *p)
{
    uint32_t idx = p->free_head;
    void *obj = pool_at(p, idx);

    unpoison(obj, p->size);
    memcpy(&p->free_head, obj, sizeof(p->free_head));
    return idx;
}

uint32_t pool_alloc(struct pool *p)
{
    uint32_t idx;

    if (unlikely(p->max && p->used >= p->max))
        return 0;
    idx = likely(p->free_head) ? take_free(p) : take_fresh(p);
    if (idx)
        p->used++;
    return idx;
}

uint32_t pool_zalloc(struct pool *p)
{
    uint32_t idx = pool_alloc(p);

    if (idx)
        memset(pool_at(p, idx), 0, p->size);
    return idx;
}

void pool_free(struct pool *p, uint32_t idx)
{
    void *obj;

    assert(idx > 0 && idx < p->fresh && p->used > 0);
    obj = pool_at(p, idx);
    assert(!is_poisoned(obj)); /* else: freed twice */
    memcpy(obj, &p->free_head, sizeof(p->free_head));
    poison(obj, p->size);
    p->free_head = idx;
    p->used--;
}

bool pool_live(const struct pool *p, uint32_t idx)
{
    uint32_t i = p->free_head;

    if (idx == 0 || idx >= p->fresh)
        return false;
    while (i && i != idx) {
        void *obj = pool_at(p, i);

        unpoison(obj, sizeof(i));
        memcpy(&i, obj, sizeof(i));
        poison(obj, p->size);
    }
    return i == 0;
}

uint64_t pool_bytes(const struct pool *p)
{
    return (uint64_t)p->nslabs * slab_bytes(p);
}
