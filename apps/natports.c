// SPDX-License-Identifier: BSD-2-Clause
/*
 * natports.c: queues of free ports, by address and class, and a bit for each that is not empty.
 *
 * What belongs to an address is made when its first port is taken: 128 KB for the queues, 24 bytes
 * for each port that was ever used (pages that were never touched cost nothing).
 */
#include "natports.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#define WORDS (NAT_CLASSES / 64)

struct mask {
    uint64_t w[WORDS];
};

/* One address. Class c has ring[start[c]] up to ring[start[c + 1]]; of these len, from head on, are free. */
struct set {
    struct mask some; /* classes that are not empty */
    int turn;         /* the class whose turn it is */
    uint32_t nports, nfree;
    uint16_t start[NAT_CLASSES + 1], head[NAT_CLASSES], len[NAT_CLASSES];
    uint16_t *ring;
    struct nat_binding *binding; /* of port lo, lo + 1, ... */
};

struct natports {
    const struct nat_pool *pool;
    int core;
    struct mask
        right[NAT_CLASSES]; /* by the xor of all bytes but the port: classes that lead here */
    uint8_t fold[NAT_ADDRS];
    struct set *set[NAT_ADDRS];
};

uint8_t nat_fold(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint8_t x = 0;

    while (n--)
        x ^= *b++;
    return x;
}

static int class_of(unsigned port)
{
    return (int)((port >> 8 ^ port) & 0xff);
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- masks ---- */

static void mask_set(struct mask *m, int bit)
{
    m->w[bit / 64] |= UINT64_C(1) << bit % 64;
}

static void mask_clear(struct mask *m, int bit)
{
    m->w[bit / 64] &= ~(UINT64_C(1) << bit % 64);
}

/* mask_first: the first bit in both from `from` on, then from 0. => -1: none. */
static int mask_first(const struct mask *a, const struct mask *b, int from)
{
    for (int i = 0; i <= WORDS; i++) {
        int k = (from / 64 + i) % WORDS;
        uint64_t w = a->w[k] & b->w[k];

        if (i == 0)
            w &= UINT64_MAX << from % 64;
        else if (i == WORDS)
            w &= ~(UINT64_MAX << from % 64);
        if (w)
            return k * 64 + __builtin_ctzll(w);
    }
    return -1;
}

/* ---- one address ---- */

static void shuffle(uint16_t *v, unsigned n, uint64_t *random)
{
    for (; n > 1; n--) {
        unsigned k = (unsigned)(next_random(random) % n);
        uint16_t other = v[k];

        v[k] = v[n - 1];
        v[n - 1] = other;
    }
}

/* All ports are free: each in its class, in any order. */
static void fill(struct set *s, const struct nat_addr *a, uint64_t random)
{
    uint16_t at = 0;

    for (unsigned p = a->lo; p <= a->hi; p++)
        s->len[class_of(p)]++;
    for (int c = 0; c < NAT_CLASSES; c++) {
        s->start[c] = at;
        at = (uint16_t)(at + s->len[c]);
        if (s->len[c])
            mask_set(&s->some, c);
        s->len[c] = 0;
    }
    s->start[NAT_CLASSES] = at;
    for (unsigned p = a->lo; p <= a->hi; p++) {
        int c = class_of(p);

        s->ring[s->start[c] + s->len[c]++] = (uint16_t)p;
    }
    for (int c = 0; c < NAT_CLASSES; c++)
        shuffle(s->ring + s->start[c], s->len[c], &random);
    s->turn = (int)(next_random(&random) % NAT_CLASSES);
}

static void set_free(struct set *s)
{
    if (s) {
        free(s->ring);
        free(s->binding);
    }
    free(s);
}

/* => NULL: no memory */
static struct set *make_set(struct natports *np, int i)
{
    const struct nat_addr *a = &np->pool->addr[i];
    struct set *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->nports = s->nfree = a->hi - a->lo + 1u;
    s->ring = malloc(s->nports * sizeof(*s->ring));
    s->binding = calloc(s->nports, sizeof(*s->binding));
    if (!s->ring || !s->binding) {
        set_free(s);
        return NULL;
    }
    fill(s, a, np->pool->seed ^ (uint64_t)(np->core + 1) << 32 ^ (uint64_t)i);
    np->set[i] = s;
    return s;
}

static unsigned pop(struct set *s, int c)
{
    const unsigned room = s->start[c + 1] - s->start[c];
    unsigned port = s->ring[s->start[c] + s->head[c]];

    s->head[c] = (uint16_t)((s->head[c] + 1u) % room);
    if (--s->len[c] == 0)
        mask_clear(&s->some, c);
    s->nfree--;
    return port;
}

static void push(struct set *s, unsigned port)
{
    const int c = class_of(port);
    const unsigned room = s->start[c + 1] - s->start[c];

    s->ring[s->start[c] + (s->head[c] + s->len[c]) % room] = (uint16_t)port;
    if (s->len[c]++ == 0)
        mask_set(&s->some, c);
    s->nfree++;
}

/* ---- all of them ---- */

struct natports *natports_create(const struct nat_pool *pool, int core)
{
    struct natports *np = calloc(1, sizeof(*np));

    if (!np)
        return NULL;
    np->pool = pool;
    np->core = core;
    for (int x = 0; x < NAT_CLASSES; x++)
        for (int c = 0; c < NAT_CLASSES; c++)
            if (pool->core_of[x ^ c] == core)
                mask_set(&np->right[x], c);
    for (int i = 0; i < pool->naddr; i++)
        np->fold[i] = nat_fold(pool->addr[i].b, sizeof(pool->addr[i].b));
    return np;
}

void natports_free(struct natports *np)
{
    if (!np)
        return;
    for (int i = 0; i < np->pool->naddr; i++)
        set_free(np->set[i]);
    free(np);
}

/* take_of: a port of this address. => NULL: it has none for this server. */
static struct nat_binding *take_of(struct natports *np, int i, uint8_t server)
{
    struct set *s = np->set[i] ? np->set[i] : make_set(np, i);
    struct nat_binding *b;
    unsigned port;
    int c;

    if (!s)
        return NULL;
    c = mask_first(&s->some, &np->right[np->fold[i] ^ server], s->turn);
    if (c < 0)
        return NULL;
    s->turn = (c + 1) % NAT_CLASSES;
    port = pop(s, c);
    b = &s->binding[port - np->pool->addr[i].lo];
    b->port = htons((uint16_t)port);
    b->addr = (uint8_t)i;
    b->taken = true;
    return b;
}

struct nat_binding *natports_take(struct natports *np, int family, uint8_t server, uint32_t spread)
{
    const int n = np->pool->naddr;

    for (int k = 0; k < n; k++) {
        const int i = (int)((spread % (uint32_t)n + (uint32_t)k) % (uint32_t)n);
        struct nat_binding *b;

        if (np->pool->addr[i].family != family)
            continue;
        b = take_of(np, i, server);
        if (b)
            return b;
    }
    return NULL;
}

void natports_put(struct natports *np, struct nat_binding *b)
{
    b->taken = false;
    push(np->set[b->addr], ntohs(b->port));
}

uint32_t natports_taken(const struct natports *np, int addr)
{
    uint32_t sum = 0;

    if (addr >= 0)
        return np->set[addr] ? np->set[addr]->nports - np->set[addr]->nfree : 0;
    for (int i = 0; i < np->pool->naddr; i++)
        sum += natports_taken(np, i);
    return sum;
}

/* Each port is either taken or stands in its class once. */
static bool set_check(const struct set *s, const struct nat_addr *a)
{
    uint8_t seen[65536] = {0};
    uint32_t nfree = 0;

    for (int c = 0; c < NAT_CLASSES; c++) {
        const unsigned room = s->start[c + 1] - s->start[c];

        nfree += s->len[c];
        if (s->len[c] > room || !(s->some.w[c / 64] >> c % 64 & 1) != (s->len[c] == 0))
            return false;
        for (unsigned k = 0; k < s->len[c]; k++) {
            unsigned port = s->ring[s->start[c] + (s->head[c] + k) % room];

            if (class_of(port) != c || port < a->lo || port > a->hi || seen[port]++)
                return false;
        }
    }
    for (unsigned p = a->lo; p <= a->hi; p++)
        if (s->binding[p - a->lo].taken == seen[p])
            return false;
    return nfree == s->nfree;
}

bool natports_check(const struct natports *np)
{
    for (int i = 0; i < np->pool->naddr; i++)
        if (np->set[i] && !set_check(np->set[i], &np->pool->addr[i]))
            return false;
    return true;
}
