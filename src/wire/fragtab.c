// SPDX-License-Identifier: BSD-2-Clause
/*
 * fragtab.c: what unfinished datagrams are kept in. Memory is two pools with a limit each; when one is
 * used up the oldest datagram goes.
 */
#include "wire/fragtab.h"

#include <stdlib.h>
#include <string.h>

enum { SLAB = 64 };

void defrag_init(struct defrag *d, const struct defrag_conf *c, uint64_t secret)
{
    memset(d, 0, sizeof(*d));
    d->conf = *c;
    d->secret = secret;
    pool_init(&d->entry, "unfinished datagrams", sizeof(struct frag_entry), 8, SLAB, c->datagrams,
              NULL);
    pool_init(&d->block, "fragments", FRAG_BLOCK, 8, SLAB,
              c->memory > FRAG_BLOCK ? c->memory / FRAG_BLOCK : 1, NULL);
    frag_stones_init(d);
}

void defrag_fini(struct defrag *d)
{
    pool_fini(&d->entry);
    pool_fini(&d->block);
    frag_stones_fini(d);
    free(d->bucket);
    memset(d, 0, sizeof(*d));
}

/* ---- entries ---- */

bool frag_buckets(struct defrag *d)
{
    uint32_t n = 16;

    while (n < d->conf.datagrams && n < 1u << 20)
        n *= 2;
    d->bucket = calloc(n, sizeof(*d->bucket));
    d->mask = n - 1;
    return d->bucket != NULL;
}

uint32_t frag_find(const struct defrag *d, const struct frag *f, enum frag_world world)
{
    for (uint32_t i = d->bucket[f->hash & d->mask]; i; i = frag_entry_at(d, i)->hnext) {
        const struct frag_entry *e = frag_entry_at(d, i);

        if (e->hash == f->hash && (e->world & world) &&
            memcmp(&e->key, &f->key, sizeof(f->key)) == 0)
            return i;
    }
    return 0;
}

static void free_chain(struct defrag *d, uint32_t i)
{
    while (i) {
        uint32_t next = frag_piece_at(d, i)->chain;

        pool_free(&d->block, i);
        i = next;
    }
}

void frag_kill(struct defrag *d, struct frag_entry *e)
{
    for (uint32_t i = e->first; i; i = frag_piece_at(d, i)->next) {
        free_chain(d, frag_piece_at(d, i)->chain);
        frag_piece_at(d, i)->chain = 0;
    }
    free_chain(d, e->head);
    e->head = 0;
    e->dead = true;
}

static void free_bytes(struct defrag *d, struct frag_entry *e)
{
    for (uint32_t i = e->first, next; i; i = next) {
        next = frag_piece_at(d, i)->next;
        free_chain(d, i);
    }
    free_chain(d, e->head);
    for (int m = 0; m < FRAG_MAPS; m++) {
        if (e->map[m])
            pool_free(&d->block, e->map[m]);
        e->map[m] = 0;
    }
    e->first = e->last = e->head = 0;
}

static void unlink_entry(struct defrag *d, uint32_t i)
{
    struct frag_entry *e = frag_entry_at(d, i);
    uint32_t *at = &d->bucket[e->hash & d->mask];

    while (*at != i)
        at = &frag_entry_at(d, *at)->hnext;
    *at = e->hnext;
    *(e->older ? &frag_entry_at(d, e->older)->newer : &d->oldest[e->key.v6]) = e->newer;
    *(e->newer ? &frag_entry_at(d, e->newer)->older : &d->newest[e->key.v6]) = e->older;
}

void frag_drop(struct defrag *d, uint32_t i)
{
    free_bytes(d, frag_entry_at(d, i));
    unlink_entry(d, i);
    pool_free(&d->entry, i);
}

void frag_give_up(struct defrag *d, uint32_t i, uint32_t *lost)
{
    const struct frag_entry *e = frag_entry_at(d, i);

    if ((e->world & FW_RFC) && !e->dead)
        *lost += e->nfrags;
    frag_drop(d, i);
}

void frag_abandon(struct defrag *d, uint32_t i, uint64_t now, enum reason why, uint32_t *lost)
{
    const struct frag_entry *e = frag_entry_at(d, i);
    struct frag_key key = e->key;
    bool counts = (e->world & FW_RFC) && !e->dead;

    frag_give_up(d, i, lost);
    if (counts && d->conf.strict)
        defrag_bury(d, &key, why, now);
}

uint32_t defrag_expire(struct defrag *d, uint64_t now)
{
    uint32_t lost = 0;

    for (int v6 = 0; v6 < 2; v6++)
        for (uint32_t i; (i = d->oldest[v6]) != 0;) {
            const struct frag_entry *e = frag_entry_at(d, i);

            if (now - e->born < frag_time(d, &e->key))
                break;
            frag_abandon(d, i, now, REASON_FRAG_TIMEOUT, &lost);
        }
    return lost;
}

/* oldest: => 0: only those being worked on are left. */
static uint32_t oldest(const struct defrag *d)
{
    uint32_t found[2];

    for (int v6 = 0; v6 < 2; v6++) {
        uint32_t i = d->oldest[v6];

        while (i && (i == d->pinned[0] || i == d->pinned[1]))
            i = frag_entry_at(d, i)->newer;
        found[v6] = i;
    }
    if (found[0] && found[1])
        return found[frag_entry_at(d, found[1])->serial < frag_entry_at(d, found[0])->serial];
    return found[0] ? found[0] : found[1];
}

/* make_room: the oldest goes, in strict tracking under a stone. => false: only those being worked on
 * are left. */
static bool make_room(struct defrag *d, struct frag *f)
{
    uint32_t i = oldest(d);

    if (i == 0)
        return false;
    if (!frag_entry_at(d, i)->dead && (frag_entry_at(d, i)->world & FW_RFC))
        f->note->evicted[frag_entry_at(d, i)->key.v6]++;
    frag_abandon(d, i, f->now, REASON_FRAG_LIMIT, &f->note->limit);
    return true;
}

static uint32_t get_block(struct defrag *d, struct frag *f)
{
    uint32_t i;

    while ((i = pool_zalloc(&d->block)) == 0)
        if (!make_room(d, f))
            return 0;
    return i;
}

uint32_t frag_create(struct defrag *d, struct frag *f, enum frag_world world, uint64_t born)
{
    uint32_t i;
    struct frag_entry *e;

    if (d->conf.strict && !frag_stone_left(d, f->now))
        return 0;
    while ((i = pool_zalloc(&d->entry)) == 0)
        if (!make_room(d, f))
            return 0;
    e = frag_entry_at(d, i);
    e->key = f->key;
    e->hash = f->hash;
    e->world = (uint8_t)world;
    e->born = born;
    e->end = NO_END;
    e->hnext = d->bucket[f->hash & d->mask];
    d->bucket[f->hash & d->mask] = i;
    e->serial = ++d->serial;
    e->older = d->newest[e->key.v6];
    *(e->older ? &frag_entry_at(d, e->older)->newer : &d->oldest[e->key.v6]) = i;
    d->newest[e->key.v6] = i;
    return i;
}

/* ---- pieces ---- */

uint32_t frag_put(struct defrag *d, struct frag *f, const uint8_t *p, uint32_t len)
{
    uint32_t head = get_block(d, f), at = head, n;
    struct frag_block *first;

    if (head == 0)
        return 0;
    first = frag_piece_at(d, head);
    first->len = len;
    n = len < sizeof(first->data) ? len : sizeof(first->data);
    memcpy(first->data, p, n);
    while (len -= n, p += n, len) {
        uint32_t i = get_block(d, f);
        struct frag_more *m;

        if (i == 0) {
            free_chain(d, head);
            return 0;
        }
        m = pool_at(&d->block, i);
        n = len < sizeof(m->data) ? len : sizeof(m->data);
        memcpy(m->data, p, n);
        frag_piece_at(d, at)->chain = i; /* the link comes first in both */
        at = i;
    }
    return head;
}

/* A stretch of a piece's bytes in one block. => its length; *p points to it. */
static uint32_t stretch(const struct defrag *d, uint32_t *block, const uint8_t **p, bool first)
{
    struct frag_block *b = frag_piece_at(d, *block);

    *p = first ? b->data : ((struct frag_more *)(void *)b)->data;
    *block = b->chain;
    return first ? sizeof(b->data) : sizeof(((struct frag_more *)0)->data);
}

void frag_get(const struct defrag *d, uint32_t i, uint8_t *to)
{
    uint32_t left = frag_piece_at(d, i)->len, block = i;

    for (bool first = true; left; first = false) {
        const uint8_t *p;
        uint32_t n = stretch(d, &block, &p, first);

        n = n < left ? n : left;
        memcpy(to, p, n);
        to += n;
        left -= n;
    }
}

bool frag_differs(const struct defrag *d, uint32_t i, const struct frag *f, uint32_t lo,
                  uint32_t hi)
{
    const struct frag_block *q = frag_piece_at(d, i);
    uint32_t at = q->off, end = q->off + q->len, block = i;

    lo = lo > f->off ? lo : f->off;
    hi = hi < f->off + f->len ? hi : f->off + f->len;
    hi = hi < end ? hi : end;
    for (bool first = true; at < hi; first = false) {
        const uint8_t *p;
        uint32_t n = stretch(d, &block, &p, first), a = at > lo ? at : lo,
                 b = at + n < hi ? at + n : hi;

        if (a < b && memcmp(p + (a - at), f->data + (a - f->off), b - a) != 0)
            return true;
        at += n;
    }
    return false;
}

/* unseen: is some unit of [lo, hi) of the fragment not compared yet? */
static bool unseen(const struct frag_seen *seen, const struct frag *f, uint32_t lo, uint32_t hi)
{
    uint32_t u = (lo - f->off) / FRAG_UNIT, end = units_of(hi - f->off);

    while (u < end) {
        uint64_t left = ~seen->bit[u / 64] >> u % 64;

        if (left)
            return u + (uint32_t)__builtin_ctzll(left) < end;
        u = (u | 63) + 1;
    }
    return false;
}

/* add_diff: => is it the first byte that differs? */
static bool add_diff(struct frag_diff *diff, uint32_t at)
{
    bool first = diff->n == 0 || at < diff->off;

    diff->off = first ? at : diff->off;
    diff->end = at + 1 > diff->end ? at + 1 : diff->end;
    diff->n++;
    return first;
}

/* show: both copies from diff->off on, as far as both reach. */
static void show(const struct defrag *d, uint32_t i, const struct frag *f, uint32_t hi,
                 struct frag_diff *diff)
{
    uint32_t at = frag_piece_at(d, i)->off, block = i, n = hi - diff->off;

    diff->shown = n < FRAG_SHOWN ? n : FRAG_SHOWN;
    memcpy(diff->copy[1], f->data + (diff->off - f->off), diff->shown);
    for (bool first = true; at < diff->off + diff->shown; first = false) {
        const uint8_t *p;
        uint32_t len = stretch(d, &block, &p, first), end = diff->off + diff->shown,
                 lo = at > diff->off ? at : diff->off;

        end = at + len < end ? at + len : end;
        if (lo < end)
            memcpy(diff->copy[0] + (lo - diff->off), p + (lo - at), end - lo);
        at += len;
    }
}

/* see: the units of [lo, hi) have been compared. => how many were not. */
static uint32_t see(struct frag_seen *seen, const struct frag *f, uint32_t lo, uint32_t hi)
{
    uint32_t n = 0;

    for (uint32_t u = (lo - f->off) / FRAG_UNIT; u < units_of(hi - f->off); u++) {
        n += !(seen->bit[u / 64] >> u % 64 & 1);
        seen->bit[u / 64] |= 1ULL << u % 64;
    }
    return n;
}

uint32_t frag_compare(const struct defrag *d, uint32_t i, const struct frag *f,
                      struct frag_seen *seen, struct frag_diff *diff)
{
    const struct frag_block *q = frag_piece_at(d, i);
    uint32_t at = q->off, end = q->off + q->len, block = i, lo = at > f->off ? at : f->off,
             hi = f->off + f->len < end ? f->off + f->len : end;
    bool earlier = false;

    if (lo >= hi || !unseen(seen, f, lo, hi))
        return 0;
    for (bool first = true; at < hi; first = false) {
        const uint8_t *p;
        uint32_t n = stretch(d, &block, &p, first);

        for (uint32_t x = at > lo ? at : lo; x < at + n && x < hi; x++) {
            uint32_t u = (x - f->off) / FRAG_UNIT;

            if (!(seen->bit[u / 64] >> u % 64 & 1) && p[x - at] != f->data[x - f->off])
                earlier |= add_diff(diff, x);
        }
        at += n;
    }
    if (unlikely(earlier))
        show(d, i, f, hi, diff);
    return see(seen, f, lo, hi);
}

/* ---- what was seen ---- */

uint32_t frag_units(struct defrag *d, struct frag_entry *e, struct frag *f, bool set)
{
    uint32_t fresh = 0;

    for (uint32_t u = f->off / FRAG_UNIT; u * FRAG_UNIT < f->off + f->len; u++) {
        uint32_t m = u / FRAG_MAP_UNITS, bit = u % FRAG_MAP_UNITS;
        uint64_t *w;

        if (e->map[m] == 0 && !set) {
            fresh++;
            continue;
        }
        if (e->map[m] == 0 && (e->map[m] = get_block(d, f)) == 0)
            return UINT32_MAX;
        w = (uint64_t *)pool_at(&d->block, e->map[m]) + bit / 64;
        fresh += !(*w >> bit % 64 & 1);
        if (set)
            *w |= 1ULL << bit % 64;
    }
    return fresh;
}
