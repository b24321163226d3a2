// SPDX-License-Identifier: BSD-2-Clause
/* neightab.c: a fixed array, chained by a keyed hash. Time comes with each call. */
#include "engine/neightab.h"

#include <errno.h>
#include <string.h>

#include "base/errtext.h"
#include "base/hash.h"

void neigh_init(struct neigh_table *t, uint64_t secret)
{
    memset(t, 0, sizeof(*t));
    pthread_mutex_init(&t->lock, NULL);
    t->secret = secret;
    t->version = 1;
}

void neigh_fini(struct neigh_table *t)
{
    pthread_mutex_destroy(&t->lock);
}

static void changed(struct neigh_table *t)
{
    __atomic_store_n(&t->version, t->version + 1, __ATOMIC_RELEASE);
}

/* ---- chains ---- */

static uint16_t *chain_of(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr)
{
    return &t->chain[hash_bytes(addr->b, sizeof(addr->b), t->secret + ifidx) % NEIGH_MAX];
}

static struct neigh *look_up(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr)
{
    for (uint16_t i = *chain_of(t, ifidx, addr); i; i = t->v[i - 1].next) {
        struct neigh *e = &t->v[i - 1];

        if (e->ifidx == ifidx && ipaddr_eq(&e->addr, addr))
            return e;
    }
    return NULL;
}

static void take_out(struct neigh_table *t, struct neigh *e)
{
    const uint16_t id = (uint16_t)(e - t->v + 1);
    uint16_t *link = chain_of(t, e->ifidx, &e->addr);

    while (*link != id)
        link = &t->v[*link - 1].next;
    *link = e->next;
    if (e->state == NEIGH_KNOWN)
        changed(t);
    e->state = NEIGH_FREE;
}

/* ---- entries ---- */

/* older: does a make room before b? */
static bool older(const struct neigh *a, const struct neigh *b)
{
    static const int rank[] = {[NEIGH_FREE] = 0,
                               [NEIGH_DEAD] = 1,
                               [NEIGH_ASKED] = 2,
                               [NEIGH_KNOWN] = 3,
                               [NEIGH_STATIC] = 4};

    if (rank[a->state] != rank[b->state])
        return rank[a->state] < rank[b->state];
    return a->used < b->used;
}

/* room: an entry that can be used. => NULL: all are fixed. */
static struct neigh *room(struct neigh_table *t)
{
    struct neigh *e = &t->v[0];

    if (t->n < NEIGH_MAX)
        return &t->v[t->n++];
    for (int i = 1; i < NEIGH_MAX; i++)
        if (older(&t->v[i], e))
            e = &t->v[i];
    if (e->state == NEIGH_STATIC)
        return NULL;
    if (e->state != NEIGH_FREE)
        take_out(t, e);
    return e;
}

static struct neigh *enter(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr,
                           uint64_t now)
{
    struct neigh *e = room(t);
    uint16_t *chain;

    if (e == NULL)
        return NULL;
    *e = (struct neigh){.addr = *addr, .ifidx = ifidx, .used = now, .made = now};
    chain = chain_of(t, ifidx, addr);
    e->next = *chain;
    *chain = (uint16_t)(e - t->v + 1);
    return e;
}

static void ask(struct neigh *e, uint64_t now)
{
    e->asks++;
    e->due = now + NEIGH_ASK_NS;
}

enum neigh_answer neigh_find(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr,
                             uint64_t now, uint8_t mac[6])
{
    enum neigh_answer answer = NEIGH_NO;
    struct neigh *e;

    pthread_mutex_lock(&t->lock);
    e = look_up(t, ifidx, addr);
    if (e && e->state == NEIGH_DEAD && now >= e->due) {
        take_out(t, e);
        e = NULL;
    }
    if (e == NULL) {
        e = enter(t, ifidx, addr, now);
        if (e) {
            e->state = NEIGH_ASKED;
            ask(e, now);
            answer = NEIGH_ASK;
        }
    } else if (e->state == NEIGH_KNOWN || e->state == NEIGH_STATIC) {
        memcpy(mac, e->mac, 6);
        answer = NEIGH_YES;
    } else if (e->state == NEIGH_ASKED) {
        answer = NEIGH_WAIT;
    }
    if (e)
        e->used = now;
    pthread_mutex_unlock(&t->lock);
    return answer;
}

bool neigh_is_dead(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr, uint64_t now)
{
    const struct neigh *e;
    bool dead;

    pthread_mutex_lock(&t->lock);
    e = look_up(t, ifidx, addr);
    dead = e && e->state == NEIGH_DEAD && now < e->due;
    pthread_mutex_unlock(&t->lock);
    return dead;
}

void neigh_learn(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr,
                 const uint8_t mac[6], uint64_t now, bool create)
{
    struct neigh *e;

    pthread_mutex_lock(&t->lock);
    e = look_up(t, ifidx, addr);
    if (e == NULL && create)
        e = enter(t, ifidx, addr, now);
    if (e && e->state != NEIGH_STATIC) {
        if (e->state != NEIGH_KNOWN || memcmp(e->mac, mac, 6) != 0)
            changed(t);
        memcpy(e->mac, mac, 6);
        e->state = NEIGH_KNOWN;
        e->asks = 0;
        e->due = now + NEIGH_KEEP_NS;
    }
    pthread_mutex_unlock(&t->lock);
}

int neigh_fix(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr, const uint8_t mac[6])
{
    struct neigh *e;

    pthread_mutex_lock(&t->lock);
    e = look_up(t, ifidx, addr);
    if (e == NULL)
        e = enter(t, ifidx, addr, 0);
    if (e) {
        memcpy(e->mac, mac, 6);
        e->state = NEIGH_STATIC;
        e->due = UINT64_MAX;
        changed(t);
    }
    pthread_mutex_unlock(&t->lock);
    return e ? 0 : err_set(ENOSPC, "more than %d neighbours", NEIGH_MAX);
}

/* dead: nobody answers. */
static void give_up(struct neigh_table *t, struct neigh *e, uint64_t now)
{
    if (e->state == NEIGH_KNOWN)
        changed(t);
    e->state = NEIGH_DEAD;
    e->due = now + NEIGH_DEAD_NS;
}

/* look_after: an entry whose time has come. => is it to be asked? */
static bool look_after(struct neigh_table *t, struct neigh *e, uint64_t now)
{
    if (e->state == NEIGH_DEAD ||
        (e->state == NEIGH_KNOWN && e->asks == 0 && now - e->used >= NEIGH_IDLE_NS)) {
        take_out(t, e);
        return false;
    }
    if (e->state == NEIGH_KNOWN && e->asks == 0 && now - e->used >= NEIGH_KEEP_NS) {
        e->due = e->used + NEIGH_IDLE_NS; /* nobody has wanted it since: it need not be asked */
        return false;
    }
    if (e->asks == NEIGH_ASKS) {
        give_up(t, e, now);
        return false;
    }
    ask(e, now);
    return true;
}

int neigh_due(struct neigh_table *t, uint64_t now, struct neigh *out, int n)
{
    int got = 0;

    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < t->n && got < n; i++) {
        struct neigh *e = &t->v[i];

        if (e->state != NEIGH_FREE && e->state != NEIGH_STATIC && now >= e->due &&
            look_after(t, e, now))
            out[got++] = *e;
    }
    pthread_mutex_unlock(&t->lock);
    return got;
}

bool neigh_check(struct neigh_table *t)
{
    int linked = 0, used = 0;

    for (int i = 0; i < t->n; i++)
        used += t->v[i].state != NEIGH_FREE;
    for (int c = 0; c < NEIGH_MAX; c++)
        for (uint16_t i = t->chain[c]; i && linked <= NEIGH_MAX; i = t->v[i - 1].next) {
            const struct neigh *e = &t->v[i - 1];

            if (e->state == NEIGH_FREE || chain_of(t, e->ifidx, &e->addr) != &t->chain[c])
                return false;
            linked++;
        }
    return linked == used;
}
