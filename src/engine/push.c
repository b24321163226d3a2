// SPDX-License-Identifier: BSD-2-Clause
/*
 * push.c: frames that the program hands in, in its own thread: mtcp_push and mtcp_tick. Each group
 * of up to 64 frames is a batch, NEW_DATA included, and has ended when the call returns. Frames stay
 * where they are. One that is to be changed is copied into an arena of the context first, so that
 * what belongs to the program is never written to; the answer stays until the next call.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"

/* Where changed frames wait for the next call: blocks that stay, filled anew each time. */
#define CHANGED_BLOCK ((size_t)65536)

struct changed {
    struct changed *next;
    size_t used, cap;
    uint8_t data[];
};

struct push {
    struct pktbuf pb[IO_BURST];
    uint8_t *arena;
    size_t cap, at[IO_BURST]; /* of each frame of the group: its place in the arena */
    uint64_t clock, frames;
    struct changed *changed, *filling; /* first block; the one at hand */
    bool inside, ended;
};

static void forget_changed(struct push *p)
{
    for (struct changed *c = p->changed; c; c = c->next)
        c->used = 0;
    p->filling = p->changed;
}

static void free_changed(struct push *p)
{
    while (p->changed) {
        struct changed *c = p->changed;

        p->changed = c->next;
        free(c);
    }
}

/* room_changed: room for one changed frame. => NULL: no memory. */
static uint8_t *room_changed(struct push *p, size_t len)
{
    struct changed *c = p->filling;

    while (c && c->cap - c->used < len && c->next)
        c = c->next;
    if (c == NULL || c->cap - c->used < len) {
        size_t cap = len > CHANGED_BLOCK ? len : CHANGED_BLOCK;
        struct changed *b = malloc(sizeof(*b) + cap);

        if (b == NULL)
            return NULL;
        *b = (struct changed){.cap = cap};
        *(c ? &c->next : &p->changed) = b;
        c = b;
    }
    p->filling = c;
    c->used += len;
    return c->data + c->used - len;
}

void push_free(struct ctx *c)
{
    if (c->push == NULL)
        return;
    free_changed(c->push);
    free(c->push->arena);
    free(c->push);
    c->push = NULL;
}

static bool linktype_known(int lt)
{
    static const int known[] = {0,   DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_RAW,
                                101, DLT_IPV4,   DLT_IPV6,      DLT_LOOP};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i] == lt)
            return true;
    return false;
}

/* end_input: what lives ends, and nothing more is taken. */
static int end_input(struct ctx *c)
{
    c->push->inside = true;
    worker_end(&c->w);
    mon_eof(c->m);
    c->push->inside = false;
    c->push->ended = true;
    egress_burst(engine.out, engine.conf.mon.forward, NULL, 0, &c->eg, 1);
    if (engine.out)
        io_flush(engine.out);
    __atomic_store_n(&c->m->state, MON_DONE, __ATOMIC_RELEASE);
    return 0;
}

void push_abandon(struct ctx *c)
{
    if (c->push == NULL || c->push->ended)
        return;
    mon_reset_all_edited(c->m);
    egress_burst(engine.out, engine.conf.mon.forward, NULL, 0, &c->eg, 1);
    if (engine.out)
        io_flush(engine.out);
}

/* push_enter: the context behind the handle, ready for frames, this thread its own. */
static struct ctx *push_enter(mctx_t mctx)
{
    struct mon *m = mon_of(mctx);
    struct ctx *c;

    if (m == NULL)
        return NULL;
    c = m->engine;
    if (engine.in || engine.live || c->has_thread)
        return err_null(EBUSY, "context %d has a device of its own", mctx->cpu);
    if (m->in_callback)
        return err_null(EDEADLK, "mtcp_push and mtcp_tick cannot be called from a callback");
    if (__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
        return err_null(EPERM, "context %d was destroyed", mctx->cpu);
    if (c->push == NULL) {
        c->push = apart_zalloc(sizeof(*c->push));
        if (c->push == NULL)
            return err_null(ENOMEM, "mtcp_push: no memory for frames");
    }
    if (c->push->ended || m->state == MON_DONE)
        return err_null(EPIPE, "the input of context %d has ended", mctx->cpu);
    m->owner = pthread_self();
    __atomic_store_n(&m->state, MON_RUNNING, __ATOMIC_RELEASE);
    c->eg = &c->own;
    forget_changed(c->push);
    if (ctx_should_stop(c)) { /* SIGINT ends this context as it ends one that reads a capture */
        end_input(c);
        return err_null(EPIPE, "context %d was interrupted", mctx->cpu);
    }
    return c;
}

/* Bytes of the arena for one frame, its IP header on a multiple of 4. */
static size_t room_for(const struct mtcp_frame *f)
{
    return ((size_t)IO_HEADROOM + 2 + f->len + IO_TAILROOM + 15) & ~(size_t)15;
}

/* make_room: for the largest group of these frames, before any of them is worked off. */
static int make_room(struct push *p, const struct mtcp_frame *v, int n)
{
    size_t need = 0, group = 0;

    for (int i = 0; i < n; i++) {
        group = (i % IO_BURST ? group : 0) + room_for(&v[i]);
        if (group > need)
            need = group;
    }
    if (need > p->cap) {
        uint8_t *a = realloc(p->arena, need * 2);

        if (a == NULL)
            return err_set(ENOMEM, "mtcp_push: no memory for %zu bytes of frames", need);
        p->arena = a;
        p->cap = need * 2;
    }
    return 0;
}

/* own: a frame moves to its place in the arena. */
static void own(struct pktbuf *pb)
{
    const struct push *p = pb->owner;
    uint8_t *to = p->arena + p->at[pb->slot];

    if (pb->len)
        memcpy(to, pb->data, pb->len);
    pb->data = to;
    pb->cap = pb->len + IO_TAILROOM;
    pb->headroom = IO_HEADROOM;
    pb->own = NULL;
}

/* may_stay: frames that will be poisoned may not, nor those whose IP header is at an odd place. */
static bool may_stay(const void *data, int linktype)
{
    return !engine.conf.poison && ((uintptr_t)data - io_align(linktype)) % 4 == 0;
}

/* take: the group becomes a burst. */
static void take(struct push *p, const struct mtcp_frame *v, int n)
{
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        struct pktbuf *pb = &p->pb[i];
        int lt = v[i].linktype ? v[i].linktype : DLT_EN10MB;

        if (v[i].ts_ns > p->clock)
            p->clock = v[i].ts_ns;
        p->at[i] = at + IO_HEADROOM + io_align(lt);
        *pb = (struct pktbuf){
            .data = (uint8_t *)(uintptr_t)v[i].data,
            .len = v[i].len,
            .cap = v[i].len,
            .slot = (uint32_t)i,
            .owner = p,
            .own = own,
            .wire_len = v[i].wire_len > v[i].len ? v[i].wire_len : v[i].len,
            .refs = 1,
            .in_if = (uint8_t)v[i].in_ifidx,
            .linktype = (uint16_t)lt,
            .ts_ns = v[i].ts_ns,
            .clock_ns = p->clock,
            .frame = ++p->frames,
        };
        if (!may_stay(v[i].data, lt))
            own(pb);
        at += room_for(&v[i]);
    }
}

/* answer: verdict and bytes of one frame; one that was changed and has no room is lost. */
static void answer(struct ctx *c, struct mtcp_frame *v, const struct pktbuf *pb)
{
    uint8_t *copy = NULL;

    v->verdict = MTCP_FRAME_PASS;
    v->out = v->data;
    v->out_len = v->len;
    if (!(pb->flags & (PB_DROP | PB_CHANGED)))
        return;
    if (!(pb->flags & PB_DROP)) {
        copy = room_changed(c->push, pb->len);
        c->m->env.reasons[REASON_NO_FRAME_MEM] += copy == NULL;
    }
    if (copy)
        memcpy(copy, pb->data, pb->len);
    v->verdict = copy ? MTCP_FRAME_CHANGED : MTCP_FRAME_DROP;
    v->out = copy;
    v->out_len = copy ? pb->len : 0;
}

static void push_group(struct ctx *c, struct mtcp_frame *v, int n)
{
    struct push *p = c->push;
    struct pktbuf *pp[IO_BURST];

    take(p, v, n);
    for (int i = 0; i < n; i++)
        pp[i] = &p->pb[i];
    mon_clock(c->m, p->pb[0].clock_ns);
    worker_burst(&c->w, pp, n);
    c->w.at = n;
    worker_epoch(&c->w, p->clock);
    for (int i = 0; i < n; i++)
        answer(c, &v[i], pp[i]);
    egress_burst(engine.out, engine.conf.mon.forward, pp, n, &c->eg, 1);
    if (engine.conf.poison)
        memset(p->arena, 0xDB, p->cap);
}

int mtcp_push(mctx_t mctx, struct mtcp_frame *v, int n)
{
    struct ctx *c = push_enter(mctx);

    if (c == NULL)
        return -1;
    if (v == NULL && n == 0)
        return end_input(c);
    if (v == NULL || n < 0)
        return err_set(EINVAL,
                       "mtcp_push: expected frames and their number, or NULL and 0 for the end");
    for (int i = 0; i < n; i++)
        if (!linktype_known(v[i].linktype) || (v[i].data == NULL && v[i].len))
            return err_set(EINVAL,
                           "mtcp_push: frame %d: link type %d is not known, or data is NULL", i,
                           v[i].linktype);
    if (make_room(c->push, v, n) < 0)
        return -1;
    for (int i = 0; i < n; i += IO_BURST) {
        if (__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
            return err_set(EPERM, "mtcp_push: context %d was destroyed in a callback", mctx->cpu);
        if (ctx_should_stop(c)) {
            end_input(c);
            return err_set(EPIPE, "mtcp_push: context %d was interrupted", mctx->cpu);
        }
        push_group(c, v + i, n - i < IO_BURST ? n - i : IO_BURST);
    }
    return n;
}

int mtcp_tick(mctx_t mctx, uint64_t ns)
{
    struct ctx *c = push_enter(mctx);

    if (c == NULL)
        return -1;
    if (ns > c->push->clock)
        c->push->clock = ns;
    mon_clock(c->m, c->push->clock);
    worker_epoch(&c->w, c->push->clock);
    egress_burst(engine.out, engine.conf.mon.forward, NULL, 0, &c->eg, 1);
    return 0;
}
