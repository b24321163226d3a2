// SPDX-License-Identifier: BSD-2-Clause
/*
 * fragstone.c: what is remembered of a datagram that was dropped, or in strict tracking given up: its
 * key, so that the fragments still to come, or the last one sent again, do not complete it at its
 * receiver, which has the others.
 *
 * In strict tracking a datagram is begun only if there will be room for its stone: no flood of others
 * makes us forget one. There is room for several times as many stones as unfinished datagrams: lost
 * fragments leave some behind on any line, and must not stop what comes.
 *
 * They are kept in the order in which they were set, whatever time they stand for. A look-up goes
 * by the time of its own packet: that of several contexts' output is behind that of the input.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "wire/fragtab.h"

enum { BUCKETS_LEAST = 16, BUCKETS_MOST = 1 << 20, STONES_STRICT = 8 };

struct frag_stone {
    struct frag_key key;
    uint64_t born;
    uint32_t hash, hnext, newer;
    uint8_t reason;
};

static struct frag_stone *stone_at(const struct defrag *d, uint32_t i)
{
    return pool_at(&d->stone, i);
}

static uint32_t hash_of(const struct defrag *d, const struct frag_key *key)
{
    return (uint32_t)hash_bytes(key, sizeof(*key), d->secret);
}

/* most: so many stones there may be. */
static uint64_t most(const struct defrag *d)
{
    return (uint64_t)d->conf.datagrams * (d->conf.strict ? STONES_STRICT : 1);
}

void frag_stones_init(struct defrag *d)
{
    uint64_t n = most(d);

    pool_init(&d->stone, "dropped datagrams", sizeof(struct frag_stone), 8, 64,
              n < UINT32_MAX ? (uint32_t)n : 0, NULL);
}

void frag_stones_fini(struct defrag *d)
{
    pool_fini(&d->stone);
    free(d->graveyard);
    d->graveyard = NULL;
}

static uint32_t buckets(const struct defrag *d)
{
    uint32_t n = BUCKETS_LEAST;

    while (n < d->conf.datagrams && n < BUCKETS_MOST)
        n *= 2;
    return n;
}

static uint32_t *bucket_of(const struct defrag *d, uint32_t hash)
{
    return &d->graveyard[hash & (buckets(d) - 1)];
}

static bool stands(const struct defrag *d, const struct frag_stone *t, uint64_t now)
{
    return now < t->born || now - t->born < frag_time(d, &t->key);
}

static void remove_oldest(struct defrag *d)
{
    uint32_t i = d->stone_oldest, *at = bucket_of(d, stone_at(d, i)->hash);

    while (*at != i)
        at = &stone_at(d, *at)->hnext;
    *at = stone_at(d, i)->hnext;
    d->stone_oldest = stone_at(d, i)->newer;
    if (d->stone_oldest == 0)
        d->stone_newest = 0;
    pool_free(&d->stone, i);
}

void frag_stones_clear(struct defrag *d)
{
    while (d->stone_oldest)
        remove_oldest(d);
}

bool frag_stone_left(struct defrag *d, uint64_t now)
{
    while (d->stone_oldest && !stands(d, stone_at(d, d->stone_oldest), now))
        remove_oldest(d);
    return (uint64_t)d->entry.used + d->stone.used < most(d);
}

enum reason defrag_buried(const struct defrag *d, const struct frag_key *key, uint64_t now)
{
    uint32_t hash;

    if (d->stone_oldest == 0)
        return REASON_NONE;
    hash = hash_of(d, key);
    for (uint32_t i = *bucket_of(d, hash); i; i = stone_at(d, i)->hnext) {
        const struct frag_stone *t = stone_at(d, i);

        if (t->hash == hash && stands(d, t, now) && memcmp(&t->key, key, sizeof(*key)) == 0)
            return (enum reason)t->reason;
    }
    return REASON_NONE;
}

void defrag_bury(struct defrag *d, const struct frag_key *key, enum reason why, uint64_t now)
{
    struct frag_stone *t;
    uint32_t i;

    if (frag_time(d, key) == 0 || defrag_buried(d, key, now) != REASON_NONE)
        return;
    if (d->graveyard == NULL)
        d->graveyard = calloc(buckets(d), sizeof(*d->graveyard));
    if (d->graveyard == NULL)
        return;
    while ((i = pool_zalloc(&d->stone)) == 0) {
        if (d->stone_oldest == 0)
            return;
        remove_oldest(d);
    }
    t = stone_at(d, i);
    t->key = *key;
    t->born = now;
    t->hash = hash_of(d, key);
    t->reason = (uint8_t)why;
    t->hnext = *bucket_of(d, t->hash);
    *bucket_of(d, t->hash) = i;
    *(d->stone_newest ? &stone_at(d, d->stone_newest)->newer : &d->stone_oldest) = i;
    d->stone_newest = i;
}
