// SPDX-License-Identifier: BSD-2-Clause
/*
 * ude.c: the forest of user-defined events, one for the whole process.
 *
 * Life cycle: an event is defined once, gets the next id (0x1000, 0x1001, ...) and stays until
 * ude_forget_all. It never changes and never moves, so what has an id may point into it.
 *
 * Storage: chunk k holds 256 << k events; 24 chunks cover every id there can be, and none is ever
 * moved or given back. Identical definitions are found through a hash table that only writers use.
 *
 * Threads: writers hold `lock`. Readers on any thread take none: `count` is stored with release
 * after the event and its chunk are complete, and read with acquire before either is looked at.
 */
#include "event/ude.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "base/hash.h"

#define CHUNK0  256u
#define NCHUNKS 25
#define UDE_MAX (UINT32_MAX - UDE_FIRST + 1)

static struct {
    pthread_mutex_t lock;
    _Atomic uint32_t count; /* events that readers may look at */
    _Atomic(struct ude *) chunk[NCHUNKS];
    uint32_t *bucket; /* ordinal + 1 of the first event, 0 if none */
    uint32_t nbuckets;
    uint32_t hash_mask;
} forest = {.lock = PTHREAD_MUTEX_INITIALIZER, .hash_mask = UINT32_MAX};

static uint32_t chunk_of(uint32_t n)
{
    return 31 - (uint32_t)__builtin_clz(n / CHUNK0 + 1);
}

static struct ude *slot(uint32_t n)
{
    uint32_t k = chunk_of(n);
    struct ude *c = atomic_load_explicit(&forest.chunk[k], memory_order_relaxed);

    return c + (n - ((1u << k) - 1) * CHUNK0);
}

struct ude *ude_get(event_t ev)
{
    uint32_t count = atomic_load_explicit(&forest.count, memory_order_acquire);

    if (ev < UDE_FIRST || ev - UDE_FIRST >= count)
        return NULL;
    return slot((uint32_t)(ev - UDE_FIRST));
}

int ude_root(event_t ev)
{
    const struct ude *u = ude_get(ev);
    int rank = u ? u->rank : ev_rank_of(ev);

    if (rank < 0)
        return err_set(EINVAL, "0x%llx is no event", (unsigned long long)ev);
    return rank;
}

/* ---- identical definitions ---------------------------------------------------------------- */

/* The bytes of the function pointer are hashed; no function pointer is ever cast (contract 2). */
static uint32_t def_hash(event_t base, const struct ev_filter *f, const filter_arg_t *arg)
{
    struct {
        event_t base;
        uint64_t arity;
        unsigned char fn[sizeof(filter_t)];
    } key = {.base = base, .arity = f->arity};
    uint64_t seed = 0;

    if (f->arity == EV_ARGS4)
        memcpy(key.fn, &f->f4, sizeof(f->f4));
    else
        memcpy(key.fn, &f->f5, sizeof(f->f5));
    if (arg->len)
        seed = hash_bytes(arg->arg, arg->len, 0);
    return (uint32_t)hash_bytes(&key, sizeof(key), seed) & forest.hash_mask;
}

void ude_hash_mask(uint32_t mask)
{
    forest.hash_mask = mask;
}

static bool same_filter(const struct ev_filter *a, const struct ev_filter *b)
{
    if (a->arity != b->arity)
        return false;
    return a->arity == EV_ARGS4 ? a->f4 == b->f4 : a->f5 == b->f5;
}

static bool same_arg(const filter_arg_t *a, const filter_arg_t *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->arg, b->arg, a->len) == 0);
}

static event_t find_same(uint32_t hash, event_t base, const struct ev_filter *f,
                         const filter_arg_t *arg)
{
    uint32_t i = forest.nbuckets ? forest.bucket[hash & (forest.nbuckets - 1)] : 0;

    for (; i; i = slot(i - 1)->next) {
        const struct ude *u = slot(i - 1);

        if (u->hash == hash && u->base == base && same_filter(&u->f, f) && same_arg(&u->arg, arg))
            return UDE_FIRST + i - 1;
    }
    return 0;
}

static void hang(uint32_t n)
{
    struct ude *u = slot(n);
    uint32_t *b = &forest.bucket[u->hash & (forest.nbuckets - 1)];

    u->next = *b;
    *b = n + 1;
}

/* One bucket for each event at least. => false without memory. */
static bool grow_buckets(uint32_t count)
{
    uint32_t nb = forest.nbuckets ? 2 * forest.nbuckets : CHUNK0;
    uint32_t *b;

    if (count < forest.nbuckets)
        return true;
    if (nb == 0) /* 2^31 of them: let the chains be long */
        return true;
    b = calloc(nb, sizeof(*b));
    if (!b)
        return false;
    free(forest.bucket);
    forest.bucket = b;
    forest.nbuckets = nb;
    for (uint32_t i = 0; i < count; i++)
        if (!slot(i)->manual)
            hang(i);
    return true;
}

/* ---- definition --------------------------------------------------------------------------- */

/* The place of event number n, zeroed. => NULL without memory. */
static struct ude *new_slot(uint32_t n)
{
    uint32_t k = chunk_of(n);

    if (!atomic_load_explicit(&forest.chunk[k], memory_order_relaxed)) {
        struct ude *c = aligned_alloc(CACHELINE, ((size_t)CHUNK0 << k) * sizeof(*c));

        if (!c)
            return NULL;
        atomic_store_explicit(&forest.chunk[k], c, memory_order_relaxed);
    }
    memset(slot(n), 0, sizeof(struct ude));
    return slot(n);
}

static bool copy_arg(filter_arg_t *to, const filter_arg_t *from)
{
    if (from->len == 0)
        return true;
    to->arg = malloc(from->len);
    if (!to->arg)
        return false;
    memcpy(to->arg, from->arg, from->len);
    to->len = from->len;
    return true;
}

/* Under the lock. `f` is NULL for an event that is raised by hand. */
static event_t add(event_t base, int rank, const struct ev_filter *f, const filter_arg_t *arg,
                   uint32_t hash)
{
    uint32_t n = atomic_load_explicit(&forest.count, memory_order_relaxed);
    struct ude *u;

    if (n >= UDE_MAX) {
        err_set(ENOSPC, "no id is left for another event");
        return 0;
    }
    u = new_slot(n);
    if (!u || !grow_buckets(n) || !copy_arg(&u->arg, arg)) {
        err_set(ENOMEM, "no memory for another event");
        return 0;
    }
    u->id = UDE_FIRST + n;
    u->base = base;
    u->rank = (uint8_t)rank;
    u->hash = hash;
    u->manual = f == NULL;
    if (f) {
        u->f = *f;
        hang(n);
    }
    atomic_store_explicit(&forest.count, n + 1, memory_order_release);
    return UDE_FIRST + n;
}

event_t ude_define(event_t base, const struct ev_filter *f, const filter_arg_t *arg)
{
    static const filter_arg_t none;
    int rank = ude_root(base);
    uint32_t hash;
    event_t ev;

    if (rank < 0)
        return 0;
    if (!f || (f->arity == EV_ARGS4 ? f->f4 == NULL : f->f5 == NULL)) {
        err_set(EINVAL, "an event needs a filter");
        return 0;
    }
    if (!arg || arg->len == 0)
        arg = &none;
    if (arg->len && !arg->arg) {
        err_set(EINVAL, "the argument has %zu bytes at NULL", arg->len);
        return 0;
    }
    hash = def_hash(base, f, arg);
    pthread_mutex_lock(&forest.lock);
    ev = find_same(hash, base, f, arg);
    if (!ev)
        ev = add(base, rank, f, arg, hash);
    pthread_mutex_unlock(&forest.lock);
    return ev;
}

event_t ude_alloc(event_t parent)
{
    static const filter_arg_t none;
    int rank = ude_root(parent);
    event_t ev;

    if (rank < 0)
        return 0;
    pthread_mutex_lock(&forest.lock);
    ev = add(parent, rank, NULL, &none, 0);
    pthread_mutex_unlock(&forest.lock);
    return ev;
}

void ude_forget_all(void)
{
    uint32_t n;

    pthread_mutex_lock(&forest.lock);
    n = atomic_exchange(&forest.count, 0);
    while (n > 0)
        free(slot(--n)->arg.arg);
    for (uint32_t k = 0; k < NCHUNKS; k++)
        free(atomic_exchange(&forest.chunk[k], NULL));
    free(forest.bucket);
    forest.bucket = NULL;
    forest.nbuckets = 0;
    pthread_mutex_unlock(&forest.lock);
}
