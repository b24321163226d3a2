// SPDX-License-Identifier: BSD-2-Clause
/*
 * policy.c: a stream's overlap policy. For those that follow a host the stream owns the host's
 * queue (hostq.h) while anything is out of order. It is kept whether bytes are held or not. Without
 * memory for it, or when it grows too long, boundaries are forgotten: each stretch seen then counts
 * as one segment.
 */
#include "stream/chunk.h"

#include <string.h>

#include "stream/hostq.h"

#define FIRST_ROOM 10 /* entries of the smallest queue */

_Static_assert((HOSTQ_MAX + 1) * sizeof(struct hostq_entry) <= BLK_MAX, "a queue is one block");
_Static_assert(STRM_IVALS + 2 < HOSTQ_MAX, "stretches always fit");

static struct hostq load(const struct strm_env *e, const struct strm *s)
{
    return (struct hostq){.v = s->host ? (struct hostq_entry *)blk_ptr(&e->blks, s->host) : NULL,
                          .n = s->host_n,
                          .root = s->host_root};
}

static void save(struct strm *s, const struct hostq *q)
{
    s->host_n = (uint16_t)q->n;
    s->host_root = (uint16_t)q->root;
}

void strm_host_free(struct strm_env *e, struct strm *s)
{
    if (s->host)
        blk_free(&e->blks, s->host);
    s->host = 0;
    s->host_n = s->host_root = 0;
}

/* grow: room for `want` entries. => false: no memory. */
static bool grow(struct strm_env *e, struct strm *s, uint32_t want)
{
    uint32_t bytes = want * (uint32_t)sizeof(struct hostq_entry);
    blk_t blk;

    if (s->host && blk_size(s->host) >= bytes)
        return true;
    blk = blk_alloc(&e->blks, bytes);
    if (blk == 0)
        return false;
    if (s->host) {
        memcpy(blk_ptr(&e->blks, blk), blk_ptr(&e->blks, s->host),
               s->host_n * sizeof(struct hostq_entry));
        blk_free(&e->blks, s->host);
    }
    s->host = blk;
    return true;
}

/* by_stretch: the queue as if each stretch seen had come as one segment. */
static void by_stretch(const struct strm_env *e, const struct strm *s, enum overlap_policy policy,
                       struct hostq *q)
{
    q->n = q->root = 0;
    for (uint32_t k = 0; k < s->ooo.n; k++) {
        const struct ival *v = ival_at(e, &s->ooo, k);

        hostq_insert(policy, q, (struct span){v->start, v->end});
    }
}

struct span strm_host_insert(struct strm_env *e, const struct flow_side *sd, struct strm *s,
                             uint64_t from, uint64_t end)
{
    bool begin = s->host == 0;
    struct span run = {0, 0};
    struct hostq q;

    if (!grow(e, s, begin ? (uint32_t)s->ooo.n + FIRST_ROOM : s->host_n + 1u))
        return run;
    q = load(e, s);
    if (begin || q.n >= HOSTQ_MAX)
        by_stretch(e, s, sd->policy, &q);
    run = hostq_insert(sd->policy, &q, (struct span){from, end});
    save(s, &q);
    return run;
}

void strm_host_drain(struct strm_env *e, const struct flow_side *sd, struct strm *s)
{
    struct hostq q = load(e, s);

    if (s->host == 0)
        return;
    hostq_drain(sd->policy, &q, sd->next);
    save(s, &q);
    if (s->ooo.n == 0)
        strm_host_free(e, s);
}

void strm_policy(struct strm_env *e, struct flow_side *sd, enum overlap_policy policy)
{
    struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;

    if (sd->policy == policy)
        return;
    sd->policy = (uint8_t)policy;
    if (policy == OVERLAP_LAST)
        sd->flags |= SIDE_LAST;
    else
        sd->flags &= (uint16_t)~SIDE_LAST;
    if (s == NULL)
        return;
    strm_host_free(e, s);
    if (policy == OVERLAP_LAST) /* what could be read stays so */
        s->readable = sd->next;
}

/* held_seen: bytes held of [from, to) as far as it lies in intervals above `next`. */
static uint64_t held_seen(const struct strm_env *e, const struct strm *s, uint64_t from,
                          uint64_t to)
{
    uint64_t sum = 0;

    for (uint32_t k = ival_find(e, &s->ooo, from + 1); k < s->ooo.n; k++) {
        const struct ival *v = ival_at(e, &s->ooo, k);
        uint64_t a = v->start > from ? v->start : from, b = v->end < to ? v->end : to;

        if (v->start >= to)
            break;
        if (b > a)
            sum += chunk_sum(e, s, a, b);
    }
    return sum;
}

static uint64_t taken_last(const struct strm_env *e, const struct flow_side *sd,
                           const struct strm *s, const struct strm_in *in)
{
    uint64_t floor = s->read_to > s->settled ? s->read_to : s->settled, end = in->off + in->len;
    uint64_t from = in->off > floor ? in->off : floor, to = end < sd->next ? end : sd->next;

    return (to > from ? chunk_sum(e, s, from, to) : 0) + held_seen(e, s, in->off, end);
}

static uint64_t taken_host(const struct strm_env *e, const struct flow_side *sd,
                           const struct strm *s, const struct strm_in *in)
{
    uint64_t from = in->off > sd->next ? in->off : sd->next, end = in->off + in->wire_len;
    struct hostq_entry copy[HOSTQ_MAX + 1];
    struct hostq q = load(e, s);
    struct span run;

    if (s->ooo.n == 0 || end <= from)
        return 0;
    if (s->host)
        memcpy(copy, q.v, q.n * sizeof(*copy));
    q.v = copy;
    if (s->host == 0 || q.n >= HOSTQ_MAX)
        by_stretch(e, s, sd->policy, &q);
    run = hostq_insert(sd->policy, &q, (struct span){from, end});
    if (run.end > in->off + in->len)
        run.end = in->off + in->len;
    return held_seen(e, s, run.start, run.end);
}

uint32_t strm_taken(const struct strm_env *e, const struct flow_side *sd, const struct strm_in *in)
{
    const struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;

    if (s == NULL || !in->store)
        return 0;
    if (sd->flags & SIDE_LAST)
        return (uint32_t)taken_last(e, sd, s, in);
    return overlap_by_host(sd->policy) ? (uint32_t)taken_host(e, sd, s, in) : 0;
}

void strm_host_export(const struct strm_env *e, const struct strm *s, struct image *im)
{
    struct hostq q = load(e, s);

    image_put(im, q.v, q.n * sizeof(*q.v));
}

bool strm_host_import(struct strm_env *e, struct strm *s, bool was, struct image *im)
{
    uint32_t n = s->host_n;
    struct hostq q;

    if (!was)
        return true;
    if (n > HOSTQ_MAX + 1 || s->host_root > n || !grow(e, s, n + 1))
        return false;
    q = load(e, s);
    for (uint32_t i = 0; i < n; i++)
        if (!image_get_val(im, q.v[i]) || q.v[i].kid[0] > n || q.v[i].kid[1] > n || q.v[i].up > n)
            return false;
    return true;
}
