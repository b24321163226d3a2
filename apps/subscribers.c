// SPDX-License-Identifier: BSD-2-Clause
/* subscribers.c: a hash table of accounts. */
#include "subscribers.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a from a secret start: nobody can choose addresses that fall on one another. */
static size_t hash(const struct subscribers *t, const struct endpoint *key)
{
    const uint8_t *p = (const uint8_t *)key;
    uint64_t h = t->secret;

    for (size_t i = 0; i < sizeof(*key); i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    h = (h ^ h >> 32 ^ t->secret >> 7) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 32);
}

static struct subscriber **slot_of(const struct subscribers *t, const struct endpoint *key)
{
    size_t i = hash(t, key) & (t->cap - 1);

    while (t->v[i] && memcmp(&t->v[i]->key, key, sizeof(*key)) != 0)
        i = (i + 1) & (t->cap - 1);
    return &t->v[i];
}

static size_t most(const struct subscribers *t)
{
    return t->most && t->most < SUBSCRIBERS_MAX ? t->most : SUBSCRIBERS_MAX;
}

static bool grow(struct subscribers *t)
{
    struct subscribers more = *t;

    more.cap = t->cap ? 2 * t->cap : 64;
    more.v = calloc(more.cap, sizeof(struct subscriber *));
    if (!more.v)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->v[i])
            *slot_of(&more, &t->v[i]->key) = t->v[i];
    free(t->v);
    *t = more;
    return true;
}

struct endpoint subscriber_number(int number)
{
    struct endpoint key = {0};

    memcpy(key.addr, &number, sizeof(number));
    return key;
}

struct subscriber *subscribers_get(struct subscribers *t, const struct endpoint *key, bool proved)
{
    const struct endpoint others = subscriber_number(SUBSCRIBER_OTHERS);
    size_t room = proved || key->family == 0 ? most(t) : (most(t) + 1) / 2;
    struct subscriber **slot;

    if (2 * t->n >= t->cap && !grow(t))
        return NULL;
    slot = slot_of(t, key);
    if (!*slot && t->n >= room)
        slot = slot_of(t, key = &others);
    if (!*slot) {
        struct subscriber *s = calloc(1, sizeof(*s));

        if (!s)
            return NULL;
        s->key = *key;
        *slot = s;
        t->n++;
    }
    return *slot;
}

static int cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int cmp_change(const void *va, const void *vb)
{
    const struct change *a = va, *b = vb;
    int c = cmp_u64(a->ts_ns, b->ts_ns);

    if (c == 0)
        c = memcmp(&a->ends, &b->ends, sizeof(a->ends));
    return c ? c : cmp_u64(a->off, b->off);
}

void change_copy(struct change *c, int which, const void *p, uint64_t n)
{
    c->n[which] = (uint32_t)(n < EVIDENCE_BYTES ? n : EVIDENCE_BYTES);
    if (c->n[which])
        memcpy(c->copy[which], p, c->n[which]);
}

bool subscriber_change(struct subscriber *s, const struct change *c)
{
    int at = s->nchange;

    if (!s->change)
        s->change = calloc(EVIDENCE_MAX + 1, sizeof(*s->change));
    if (!s->change)
        return false;
    while (at > 0 && cmp_change(&s->change[at - 1], c) > 0)
        at--;
    memmove(&s->change[at + 1], &s->change[at], (size_t)(s->nchange - at) * sizeof(*c));
    s->change[at] = *c;
    if (s->nchange < EVIDENCE_MAX)
        s->nchange++;
    return true;
}

static void add_way(struct way *to, const struct way *from)
{
    to->packets += from->packets;
    to->bytes += from->bytes;
    to->free_bytes += from->free_bytes;
    to->again_packets += from->again_packets;
    to->again_bytes += from->again_bytes;
    to->unknown_bytes += from->unknown_bytes;
    to->changed_packets += from->changed_packets;
    to->changed_bytes += from->changed_bytes;
}

bool subscribers_merge(struct subscribers *to, struct subscribers *from)
{
    bool done = true;

    for (size_t i = 0; done && i < from->cap; i++) {
        const struct subscriber *s = from->v[i];
        struct subscriber *into = s ? subscribers_get(to, &s->key, true) : NULL;

        if (!s)
            continue;
        done = into != NULL;
        for (int way = UP; done && way <= DOWN; way++)
            add_way(&into->way[way], &s->way[way]);
        if (done)
            into->conns += s->conns;
        for (int k = 0; done && k < s->nchange; k++)
            done = subscriber_change(into, &s->change[k]);
    }
    subscribers_free(from);
    return done;
}

static int by_bytes(const void *va, const void *vb)
{
    const struct subscriber *a = *(struct subscriber *const *)va;
    const struct subscriber *b = *(struct subscriber *const *)vb;
    int c = cmp_u64(b->way[UP].bytes + b->way[DOWN].bytes, a->way[UP].bytes + a->way[DOWN].bytes);

    return c ? c : memcmp(&a->key, &b->key, sizeof(a->key));
}

struct subscriber **subscribers_list(const struct subscribers *t)
{
    struct subscriber **v = malloc((t->n + 1) * sizeof(struct subscriber *));
    size_t n = 0;

    for (size_t i = 0; v && i < t->cap; i++)
        if (t->v[i])
            v[n++] = t->v[i];
    if (v)
        qsort(v, n, sizeof(struct subscriber *), by_bytes);
    return v;
}

void subscribers_free(struct subscribers *t)
{
    for (size_t i = 0; i < t->cap; i++) {
        if (t->v[i])
            free(t->v[i]->change);
        free(t->v[i]);
    }
    free(t->v);
    t->v = NULL;
    t->n = t->cap = 0;
}
