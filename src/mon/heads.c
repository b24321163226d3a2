// SPDX-License-Identifier: BSD-2-Clause
/*
 * heads.c: in line, what the library sends to an end of a connection needs the link header that
 * frames to it have, and the interface that faces it, also when no packet is at hand. So of each flow
 * and side the link header of a frame that it sent is remembered.
 *
 * They are few, the same for all flows between two neighbours: each is kept once, and a flow has two
 * numbers of 16 bits beside its record. When there are 65,535 different ones, others are not kept.
 *
 * Life: noted by the worker when a flow begins and when its other side is first heard (not on the
 * short way); a record that is used again begins anew.
 */
#include "mon/mon.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define HEADS_MOST 65535

struct mon_heads {
    struct mon_head *v; /* number 0: none */
    uint32_t n, cap;
    uint16_t *bucket;  /* cap is a power of two, buckets twice as many */
    uint16_t (*of)[2]; /* by flow and sender's side */
    uint32_t nof;
};

bool mon_heads_keep(struct mon *m)
{
    m->heads = calloc(1, sizeof(*m->heads));
    return m->heads != NULL;
}

void mon_heads_free(struct mon *m)
{
    if (m->heads == NULL)
        return;
    free(m->heads->v);
    free(m->heads->bucket);
    free(m->heads->of);
    free(m->heads);
    m->heads = NULL;
}

static uint16_t *bucket_of(struct mon_heads *h, const struct mon_head *head)
{
    uint32_t mask = 2 * h->cap - 1, i = (uint32_t)hash_bytes(head, sizeof(*head), 0) & mask;

    while (h->bucket[i] && memcmp(&h->v[h->bucket[i]], head, sizeof(*head)) != 0)
        i = (i + 1) & mask;
    return &h->bucket[i];
}

static bool grow(struct mon_heads *h)
{
    uint32_t cap = h->cap ? h->cap * 2 : 64;
    struct mon_head *v = realloc(h->v, cap * sizeof(*v));
    uint16_t *bucket = calloc(2 * (size_t)cap, sizeof(*bucket));

    if (v)
        h->v = v;
    if (v == NULL || bucket == NULL) {
        free(bucket);
        return false;
    }
    free(h->bucket);
    h->bucket = bucket;
    h->cap = cap;
    h->n = h->n ? h->n : 1;
    for (uint32_t i = 1; i < h->n; i++)
        *bucket_of(h, &h->v[i]) = (uint16_t)i;
    return true;
}

/* number_of: => 0: it cannot be kept. */
static uint16_t number_of(struct mon_heads *h, const struct mon_head *head)
{
    uint16_t *b;

    if (h->n == h->cap && !grow(h))
        return 0;
    b = bucket_of(h, head);
    if (*b == 0 && h->n <= HEADS_MOST) {
        h->v[h->n] = *head;
        *b = (uint16_t)h->n++;
    }
    return *b;
}

/* room_for: for this flow's two numbers. */
static bool room_for(struct mon_heads *h, uint32_t idx)
{
    uint32_t n = h->nof ? h->nof : 1024;
    void *p;

    if (idx < h->nof)
        return true;
    while (n <= idx)
        n *= 2;
    p = realloc(h->of, n * sizeof(*h->of));
    if (p == NULL)
        return false;
    h->of = p;
    memset(h->of + h->nof, 0, (n - h->nof) * sizeof(*h->of));
    h->nof = n;
    return true;
}

void mon_head_note(struct mon *m, const struct conn_pkt *cp)
{
    struct mon_heads *h = m->heads;
    const struct seg *s = cp->s;
    struct mon_head head = {.len = (uint8_t)s->l3_off, .in_if = s->pb->in_if};

    if (!room_for(h, cp->idx))
        return;
    if (cp->opened)
        h->of[cp->idx][CLI] = h->of[cp->idx][SVR] = 0;
    if (h->of[cp->idx][cp->from] || s->pb->linktype != DLT_EN10MB || s->link_len_off ||
        s->l3_off > sizeof(head.bytes))
        return;
    memcpy(head.bytes, s->pb->data, s->l3_off);
    h->of[cp->idx][cp->from] = number_of(h, &head);
}

const struct mon_head *mon_head_of(const struct mon *m, uint32_t idx, int side)
{
    const struct mon_heads *h = m->heads;
    uint16_t n = h && idx < h->nof ? h->of[idx][side] : 0;

    return n ? &h->v[n] : NULL;
}
