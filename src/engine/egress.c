// SPDX-License-Identifier: BSD-2-Clause
/*
 * egress.c: the only way out. Frames leave in the order in which they came, and what the library
 * made (RSTs, ACKs, sendpkt) right after the frame on whose account it was made, whatever the
 * number of contexts that worked on the burst.
 */
#include "engine/engine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "engine/router.h"

void egress_init(struct egress *e)
{
    memset(e, 0, sizeof(*e));
    e->last = &e->first;
}

int egress_add(struct egress *e, int after, const struct pktbuf *like, uint64_t now,
               const uint8_t *frame, uint32_t len)
{
    struct made *f = malloc(sizeof(*f) + len);

    if (f == NULL)
        return err_set(ENOBUFS, "no memory for a frame of %u bytes", len);
    f->next = NULL;
    f->after = after;
    f->len = len;
    f->dev = like ? like->in_if : MON_IF_NONE;
    f->linktype = like ? like->linktype : 0;
    f->ts_ns = like ? like->ts_ns : now;
    f->ready = false;
    f->goes_on = like && !(like->flags & PB_MADE);
    f->flags = PB_MADE;
    f->csum_start = f->csum_off = f->gso_size = f->gso_type = 0;
    memcpy(f->data, frame, len);
    *e->last = f;
    e->last = &f->next;
    e->frames++;
    return 0;
}

void egress_say_like(struct egress *e, uint8_t dev, uint64_t now, const struct pktbuf *pb)
{
    struct made **at = e->last, *f;

    if (egress_add(e, 0, NULL, now, pb->data, pb->len) < 0)
        return;
    f = *at;
    f->dev = dev;
    f->ready = true;
    f->flags = pb->flags & (PB_MADE | PB_CSUM_PART | PB_CSUM_GOOD);
    f->csum_start = pb->csum_start;
    f->csum_off = pb->csum_off;
    f->gso_size = pb->gso_size;
    f->gso_type = pb->gso_type;
}

void egress_say(struct egress *e, uint8_t dev, uint64_t now, const uint8_t *frame, uint32_t len)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } data = {.in = frame}; /* it is only read */
    struct pktbuf pb = {.data = data.out, .len = len, .flags = PB_MADE};

    egress_say_like(e, dev, now, &pb);
}

static struct pktbuf frame_of(struct made *f)
{
    return (struct pktbuf){
        .data = f->data,
        .len = f->len,
        .wire_len = f->len,
        .cap = f->len,
        .linktype = f->linktype ? f->linktype : 1, /* Ethernet */
        .ts_ns = f->ts_ns,
        .flags = f->flags,
        .csum_start = f->csum_start,
        .csum_off = f->csum_off,
        .gso_size = f->gso_size,
        .gso_type = f->gso_type,
        .refs = 1,
    };
}

/* take_off: the oldest of what a context has made is done with. */
static void take_off(struct egress *e)
{
    struct made *f = e->first;

    e->first = f->next;
    if (e->first == NULL)
        e->last = &e->first;
    free(f);
}

/* send_one: the oldest of what a context has made. => frames refused. */
static int send_one(struct io_dev *out, struct egress *e)
{
    struct pktbuf pb = frame_of(e->first), *v = &pb;
    int refused = out == NULL || io_tx(out, &v, 1) != 1;

    take_off(e);
    return refused;
}

/* send_made: what one context made on account of frame `after` or earlier. */
static int send_made(struct io_dev *out, struct egress *e, int after)
{
    int refused = 0;

    while (e->first && e->first->after <= after)
        refused += send_one(out, e);
    return refused;
}

int egress_burst(struct io_dev *out, bool forward, struct pktbuf *const *pb, int n,
                 struct egress *const *e, int ne)
{
    int refused = 0;
    bool made = false;

    for (int c = 0; c < ne; c++)
        made |= e[c]->first != NULL;
    for (int i = 0; (made || (forward && out)) && i < n; i++) {
        if (forward && out && !(pb[i]->flags & PB_DROP) && io_tx(out, &pb[i], 1) != 1)
            refused++;
        for (int c = 0; c < ne; c++)
            if (e[c]->first)
                refused += send_made(out, e[c], i);
    }
    for (int c = 0; c < ne; c++)
        /* at the end of the batch, or without one: a tick, the end of the input */
        refused += send_made(out, e[c], INT_MAX);
    return refused;
}

/* ---- live ---- */

/* way_of: where the frames of this interface leave. => NULL: nowhere. */
static struct io_dev *way_of(struct ways_out *w, uint8_t peer)
{
    if (peer >= MON_IFS || w->dev[peer] == NULL)
        return NULL;
    w->sent_by |= 1ULL << peer;
    return w->dev[peer];
}

/* send_run: frames that leave by one interface, one behind the other. => frames refused. */
static int send_run(struct ways_out *w, uint8_t peer, struct pktbuf *const *pb, int n)
{
    struct io_dev *out = n > 0 ? way_of(w, peer) : NULL;

    return out ? n - io_tx(out, pb, n) : 0;
}

/*
 * send_routed: the same, by the interface that the router says. What it says meanwhile itself (a
 * question for a MAC) comes behind it in the list.
 */
static int send_routed(struct ways_out *w, struct egress *e)
{
    struct made *f = e->first;
    struct pktbuf pb = frame_of(f), *v = &pb;
    struct io_dev *out;
    int by = router_out(w->router, &pb, !f->goes_on), refused = 0;

    if (by != ROUTER_NOT) {
        out = way_of(w, (uint8_t)by);
        refused = out == NULL || io_tx(out, &v, 1) != 1;
    }
    take_off(e);
    return refused;
}

static int send_made_live(struct ways_out *w, struct egress *e, int after)
{
    int refused = 0;

    while (e->first && e->first->after <= after)
        refused += w->router && !e->first->ready ? send_routed(w, e)
                                                 : send_one(way_of(w, e->first->dev), e);
    return refused;
}

/* leaves_by: => MON_IF_NONE: it does not. */
static uint8_t leaves_by(struct ways_out *w, bool forward, struct pktbuf *pb)
{
    int by;

    if (!forward || (pb->flags & PB_DROP))
        return MON_IF_NONE;
    if (w->router == NULL)
        return w->peer[pb->in_if];
    by = router_out(w->router, pb, false);
    return by == ROUTER_NOT ? MON_IF_NONE : (uint8_t)by;
}

int egress_live(struct ways_out *w, bool forward, struct pktbuf *const *pb, int n, struct egress *e)
{
    struct pktbuf *run[IO_BURST];
    uint8_t by = MON_IF_NONE;
    int refused = 0, k = 0;

    for (int i = 0; i < n; i++) {
        uint8_t peer = leaves_by(w, forward, pb[i]);

        if (peer != MON_IF_NONE) {
            if (peer != by) {
                refused += send_run(w, by, run, k);
                k = 0;
            }
            by = peer;
            run[k++] = pb[i];
        }
        if (unlikely(e->first && e->first->after <= i)) {
            refused += send_run(w, by, run, k) + send_made_live(w, e, i);
            k = 0;
        }
    }
    return refused + send_run(w, by, run, k) + send_made_live(w, e, INT_MAX);
}

void egress_drop(struct egress *e)
{
    while (e->first) {
        struct made *f = e->first;

        e->first = f->next;
        free(f);
    }
    egress_init(e);
}
