// SPDX-License-Identifier: BSD-2-Clause
/*
 * benchfloor.c: in batches of 64: take addresses and ports out of the headers, hash them, prefetch
 * the slot; then look each one up and count. A connection enters with its SYN, or with data if that
 * was not seen, and leaves with a RST or the ACK behind both FINs. Addresses of IPv6 are folded to
 * 32 bits: it is no tracker.
 */
#include "benchfloor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "benchprog.h"

#define BATCH 64

enum { FIN = 1, SYN = 2, RST = 4 };

struct slot { /* two to a cache line */
    uint32_t addr[2];
    uint16_t port[2];
    uint32_t fins; /* 1 or 2: one or both were seen; its highest bit: the slot is in use */
    uint64_t packets;
    uint64_t spare;
};
#define LIVE (1u << 31)

_Static_assert(sizeof(struct slot) == 32, "two to a cache line");

struct floor_tab {
    struct slot *v;
    uint32_t mask, live, most;
};

/* One packet, decoded. */
struct item {
    uint32_t addr[2];
    uint16_t port[2];
    uint32_t at;
    const struct set_frame *f;
    const uint8_t *tcp;
};

static size_t table_bytes(uint32_t mask)
{
    return ((size_t)mask + 1) * sizeof(struct slot);
}

static struct slot *new_slots(uint32_t mask)
{
    struct slot *v =
        mmap(NULL, table_bytes(mask), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (v == MAP_FAILED)
        return NULL;
    madvise(v, table_bytes(mask), MADV_HUGEPAGE);
    memset(v, 0, table_bytes(mask));
    return v;
}

struct floor_tab *floor_new(uint32_t connections)
{
    struct floor_tab *t = calloc(1, sizeof(*t));
    uint32_t n = 1024;

    while (n < 2 * connections && n < 1u << 30)
        n *= 2;
    if (t && (t->v = new_slots(n - 1)) == NULL) {
        free(t);
        t = NULL;
    }
    if (t)
        t->mask = n - 1;
    return t;
}

void floor_free(struct floor_tab *t)
{
    if (t)
        munmap(t->v, table_bytes(t->mask));
    free(t);
}

void floor_forget(struct floor_tab *t)
{
    memset(t->v, 0, table_bytes(t->mask));
    t->live = 0;
}

uint32_t floor_most(const struct floor_tab *t)
{
    return t->most;
}

static uint32_t home(const struct floor_tab *t, const uint32_t addr[2], const uint16_t port[2])
{
    uint64_t x = ((uint64_t)addr[0] << 32 | addr[1]) ^
                 ((uint64_t)port[0] << 16 | port[1]) * 0x9e3779b97f4a7c15ull;

    x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
    return (uint32_t)(x ^ x >> 32) & t->mask;
}

static bool same(const struct slot *s, const struct item *it)
{
    return s->addr[0] == it->addr[0] && s->addr[1] == it->addr[1] && s->port[0] == it->port[0] &&
           s->port[1] == it->port[1];
}

/* grow: twice the size. For want of memory it stays, and gets full. */
static void grow(struct floor_tab *t)
{
    uint32_t mask = t->mask * 2 + 1;
    struct slot *old = t->v, *v = mask < 1u << 31 ? new_slots(mask) : NULL;
    uint32_t n = t->mask;

    if (v == NULL)
        return;
    t->v = v;
    t->mask = mask;
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t to;

        if (!(old[i].fins & LIVE))
            continue;
        for (to = home(t, old[i].addr, old[i].port); v[to].fins & LIVE; to = (to + 1) & mask)
            ;
        v[to] = old[i];
    }
    munmap(old, table_bytes(n));
}

/* leave: linear probing without gravestones (Knuth 6.4, algorithm R). */
static void leave(struct floor_tab *t, uint32_t i)
{
    for (uint32_t j = (i + 1) & t->mask; t->v[j].fins & LIVE; j = (j + 1) & t->mask) {
        uint32_t h = home(t, t->v[j].addr, t->v[j].port);

        if (((j - h) & t->mask) >= ((j - i) & t->mask)) {
            t->v[i] = t->v[j];
            i = j;
        }
    }
    t->v[i].fins = 0;
    t->live--;
}

/* payload: bytes behind the TCP header, padding not among them. */
static uint32_t payload(const struct item *it)
{
    const struct hdr *h = &it->f->hdr;
    const uint8_t *ip = it->tcp - h->tcp + h->ip;
    uint32_t end = h->v6 ? 40u + (uint32_t)(ip[4] << 8 | ip[5]) : (uint32_t)(ip[2] << 8 | ip[3]);
    uint32_t start = h->tcp + (it->tcp[12] >> 4) * 4u;

    end += h->ip;
    end = end < it->f->len ? end : it->f->len;
    return end > start ? end - start : 0;
}

/* enter: => the new slot; NULL: this packet begins nothing. */
static struct slot *enter(struct floor_tab *t, const struct item *it, uint32_t i)
{
    if (!(it->tcp[13] & SYN) && payload(it) == 0)
        return NULL;
    if (t->live >= t->mask / 2) {
        grow(t);
        for (i = home(t, it->addr, it->port); t->v[i].fins & LIVE; i = (i + 1) & t->mask)
            ;
    }
    if (t->live >= t->mask - 1)
        return NULL;
    t->v[i] = (struct slot){
        .addr = {it->addr[0], it->addr[1]}, .port = {it->port[0], it->port[1]}, .fins = LIVE};
    if (++t->live > t->most)
        t->most = t->live;
    return &t->v[i];
}

static inline uint64_t look_up(struct floor_tab *t, const struct item *it)
{
    uint32_t i = it->at;
    uint8_t flags = it->tcp[13];
    struct slot *s;

    while ((t->v[i].fins & LIVE) && !same(&t->v[i], it))
        i = (i + 1) & t->mask;
    s = &t->v[i];
    if (!(s->fins & LIVE) && (s = enter(t, it, i)) == NULL)
        return 0;
    s->packets++;
    if ((s->fins & 3) == 2 || (flags & RST))
        leave(t, (uint32_t)(s - t->v));
    else
        s->fins += flags & FIN;
    return 1;
}

/* decode_one: => false: no TCP header. */
static inline bool decode_one(struct item *it, const struct set_frame *f, const uint8_t *p)
{
    uint32_t addr[2];
    uint16_t port[2];
    int o;

    if (!f->hdr.tcp)
        return false;
    hdr_addr(&f->hdr, p, addr);
    it->f = f;
    it->tcp = p + f->hdr.tcp;
    memcpy(port, it->tcp, sizeof(port));
    o = addr[0] > addr[1] || (addr[0] == addr[1] && port[0] > port[1]);
    it->addr[o] = addr[0];
    it->addr[!o] = addr[1];
    it->port[o] = port[0];
    it->port[!o] = port[1];
    return true;
}

static void look_into(const struct item *it, struct floor_count *c)
{
    uint32_t n = payload(it);

    if (n)
        c->found += prog_search(it->tcp + (it->tcp[12] >> 4) * 4u, n);
}

void floor_pass(struct floor_tab *t, const struct set *s, int part, int loop, bool search,
                struct floor_count *c)
{
    const struct set_part *k = &s->part[part];
    const uint8_t *copy = set_copy(s, loop);
    struct item it[BATCH];

    set_ahead(s, part, loop, 0);
    for (uint64_t at = 0; at < k->n; at += BATCH) {
        int n = 0;

        for (uint64_t i = at; i < at + BATCH && i < k->n; i++) {
            if (!decode_one(&it[n], &k->v[i], copy + k->v[i].off))
                continue;
            it[n].at = home(t, it[n].addr, it[n].port);
            __builtin_prefetch(&t->v[it[n].at], 1);
            n++;
        }
        set_ahead(s, part, loop, at + BATCH);
        for (int i = 0; i < n; i++) {
            c->known += look_up(t, &it[i]);
            if (search)
                look_into(&it[i], c);
        }
    }
}
