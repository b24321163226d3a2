// SPDX-License-Identifier: BSD-2-Clause
/*
 * crossing.c: records one behind the other, each in one piece: where the rest of the ring is too
 * short for the next one a mark says so, and it begins in front. Positions count bytes and never go
 * back; they are multiples of a cache line, so there is always room for a mark.
 */
#include "engine/crossing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"

struct record {
    uint32_t size; /* of all of it */
    bool mark;     /* nothing in it: the next one lies in front */
    struct pktbuf pb;
    struct frag_hold *hold;
};

int crossing_init(struct crossing *x, size_t cap)
{
    memset(x, 0, sizeof(*x));
    x->mem = aligned_alloc(CACHELINE, cap);
    if (x->mem == NULL)
        return err_set(ENOMEM, "no memory for frames between contexts");
    x->cap = cap;
    return 0;
}

static struct record *at(const struct crossing *x, uint64_t pos)
{
    return (struct record *)(x->mem + (pos & (x->cap - 1)));
}

void frag_hold_drop(struct frag_hold *h)
{
    if (h == NULL || __atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    frag_room_fini(&h->room);
    free(h);
}

void crossing_fini(struct crossing *x)
{
    for (uint64_t pos = x->tail; pos < x->head; pos += at(x, pos)->size)
        if (!at(x, pos)->mark)
            frag_hold_drop(at(x, pos)->hold);
    free(x->mem);
    memset(x, 0, sizeof(*x));
}

static size_t size_for(const struct pktbuf *pb)
{
    size_t n = sizeof(struct record) + IO_HEADROOM + io_align(pb->linktype) + pb->len + IO_TAILROOM;

    return (n + CACHELINE - 1) & ~(size_t)(CACHELINE - 1);
}

/* fits: from head on? What the reader has given back is asked again only if it does not. */
static bool fits(struct crossing *x, size_t n)
{
    if (x->head + n - x->seen_tail <= x->cap)
        return true;
    x->seen_tail = __atomic_load_n(&x->tail, __ATOMIC_ACQUIRE);
    return x->head + n - x->seen_tail <= x->cap;
}

static void fill(struct record *r, size_t size, const struct pktbuf *pb, struct frag_hold *hold)
{
    uint32_t front = IO_HEADROOM + io_align(pb->linktype);

    r->size = (uint32_t)size;
    r->mark = false;
    r->hold = hold;
    r->pb = *pb;
    r->pb.data = (uint8_t *)(r + 1) + front;
    r->pb.headroom = IO_HEADROOM;
    r->pb.cap = (uint32_t)(size - sizeof(*r) - front);
    r->pb.refs = 1;
    r->pb.owner = NULL;
    memcpy(r->pb.data, pb->data, pb->len);
}

bool crossing_put(struct crossing *x, const struct pktbuf *pb, struct frag_hold *hold)
{
    size_t size = size_for(pb), rest = x->cap - (x->head & (x->cap - 1));
    size_t skip = size > rest ? rest : 0;

    if (size > x->cap / 2 || !fits(x, skip + size))
        return false;
    if (skip) { /* there may be no room for more than that */
        at(x, x->head)->size = (uint32_t)skip;
        at(x, x->head)->mark = true;
    }
    fill(at(x, x->head + skip), size, pb, hold);
    __atomic_store_n(&x->head, x->head + skip + size, __ATOMIC_RELEASE);
    return true;
}

int crossing_take(struct crossing *x, struct pktbuf **pb, int n)
{
    uint64_t head = __atomic_load_n(&x->head, __ATOMIC_ACQUIRE);
    int got = 0;

    while (got < n && x->next < head) {
        struct record *r = at(x, x->next);

        if (!r->mark)
            pb[got++] = &r->pb;
        x->next += r->size;
    }
    return got;
}

void crossing_done(struct crossing *x, bool poison)
{
    uint64_t pos = x->tail, size;

    for (; pos < x->next; pos += size) {
        struct record *r = at(x, pos);

        size = r->size;
        if (!r->mark)
            frag_hold_drop(r->hold);
        if (poison && !r->mark)
            memset(r + 1, 0xDB, size - sizeof(*r));
    }
    __atomic_store_n(&x->tail, x->next, __ATOMIC_RELEASE);
}
