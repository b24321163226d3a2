// SPDX-License-Identifier: BSD-2-Clause
/*
 * migrate.c: flows that move to another context. No public call yet: a test exports every flow at
 * a packet and imports it into a fresh context, which must go on as if nothing had happened (contract
 * 7: indices and no pointers in records).
 *
 * What a record cannot carry: event sets go as lists of registrations, numbered in a list that both
 * contexts share; socket ids are new; uctx is the application's to pack. Only at the end of a batch
 * does a flow stand still: nothing is borrowed from frames, nothing waits to be told.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/errtext.h"
#include "mon/mon.h"

#define UCTX_MAX 4096 /* bytes that an application may send along */

void mon_regs_free(struct mon_regs *r)
{
    free(r->v);
    *r = (struct mon_regs){0};
}

static bool same_cb(const struct ev_cb *a, const struct ev_cb *b)
{
    if (a->arity != b->arity)
        return false;
    return a->arity == EV_ARGS4 ? a->f4 == b->f4 : a->f5 == b->f5;
}

/* number_of: the registration's number, a new one if need be. => UINT32_MAX: no memory. */
static uint32_t number_of(struct mon_regs *r, event_t ev, const struct ev_cb *cb)
{
    void *p;

    for (uint32_t i = 0; i < r->n; i++)
        if (r->v[i].ev == ev && same_cb(&r->v[i].cb, cb))
            return i;
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 64;

        p = realloc(r->v, cap * sizeof(*r->v));
        if (p == NULL)
            return UINT32_MAX;
        r->v = p;
        r->cap = cap;
    }
    r->v[r->n].ev = ev;
    r->v[r->n].cb = *cb;
    return r->n++;
}

static bool put_set(const struct mon *m, uint32_t set, struct mon_regs *regs, struct image *im)
{
    uint32_t n = evset_members(m->sets, set);

    image_put_val(im, n);
    for (uint32_t i = 0; i < n; i++) {
        struct ev_cb cb;
        event_t ev;
        uint32_t no;

        evset_member(m->sets, set, i, &ev, &cb);
        no = number_of(regs, ev, &cb);
        if (no == UINT32_MAX)
            return false;
        image_put_val(im, no);
    }
    return true;
}

static bool put_child(const struct mon *m, struct flow *f, const struct child *c,
                      struct mon_regs *regs, struct image *im)
{
    const struct listener *l = &m->lst[c->listener];
    const uint64_t *cursor = mon_cursor(m, f, c, CLI);
    uint8_t bytes[UCTX_MAX];
    size_t n = l->uctx_pack && c->uctx ? l->uctx_pack(c->uctx, bytes, sizeof(bytes)) : 0;

    image_put_val(im, c->listener);
    image_put_val(im, c->flags);
    image_put(im, cursor, 2 * sizeof(*cursor));
    image_put_val(im, n);
    image_put(im, bytes, n);
    for (int h = 0; h < 3; h++)
        if (!put_set(m, c->set[h], regs, im))
            return false;
    return !im->bad;
}

/* stands_still: is it the end of a batch? */
static bool stands_still(const struct mon *m)
{
    return m->in_callback == 0 && m->env.touched == 0 && m->env.nraises == 0 &&
           m->env.nended == 0 && m->nstopped == 0;
}

int mon_export(struct mon *m, uint32_t idx, struct mon_regs *regs, struct image *im)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    size_t was = im->len;
    uint32_t v[MON_LISTENERS];
    int n = mon_children(m, f, false, v);

    if (!stands_still(m))
        return err_set(EBUSY, "a flow can be exported at the end of a batch only");
    conn_export(&m->env, idx, im);
    image_put_val(im, n);
    for (int i = 0; i < n; i++)
        if (!put_child(m, f, mon_child_at(m, f, v[i]), regs, im))
            im->bad = true;
    if (im->bad) {
        im->len = was;
        im->bad = false;
        return err_set(ENOMEM, "no memory for a flow's image");
    }
    mon_abandon(m, idx);
    conn_free(&m->env, idx);
    return 0;
}

/* get_set: => the set, with one reference; UINT32_MAX: no memory, or no such registration. */
static uint32_t get_set(struct mon *m, const struct mon_regs *regs, struct image *im)
{
    uint32_t n, set = 0;

    image_get_val(im, n);
    for (; n && !im->bad; n--) {
        uint32_t no, next;

        image_get_val(im, no);
        if (no >= regs->n)
            im->bad = true;
        if (im->bad)
            break;
        next = evset_add(m->sets, set, regs->v[no].ev, &regs->v[no].cb);
        evset_unref(m->sets, set);
        if (next == UINT32_MAX)
            return next;
        set = next;
    }
    if (im->bad) {
        evset_unref(m->sets, set);
        return UINT32_MAX;
    }
    return set;
}

static bool get_child(struct mon *m, struct child *c, uint64_t *cursor, const struct mon_regs *regs,
                      struct image *im)
{
    const struct listener *l = &m->lst[c->listener];
    const uint8_t *bytes;
    size_t n;

    image_get_val(im, c->flags);
    image_get(im, cursor, 2 * sizeof(*cursor));
    image_get_val(im, n);
    bytes = image_view(im, n);
    if (bytes == NULL)
        return false;
    c->uctx = n && l->uctx_unpack ? l->uctx_unpack(bytes, n) : NULL;
    for (int h = 0; h < 3; h++) {
        uint32_t set = get_set(m, regs, im);

        if (set == UINT32_MAX)
            return false;
        c->set[h] = set;
    }
    return true;
}

/* child_room: a child without an id yet, behind `last` (NULL: the first). => NULL: no memory. */
static struct child *child_room(struct mon *m, uint32_t idx, struct child *last, uint32_t *self)
{
    struct child_ext *x;

    *self = 0;
    if (last == NULL)
        return &flow_at(&m->env.ft, idx)->c0;
    *self = pool_zalloc(&m->env.ft.kids);
    if (*self == 0)
        return err_null(ENOMEM, "flow image: no room for a child");
    x = pool_at(&m->env.ft.kids, *self);
    x->flow = idx;
    x->self = *self;
    return &x->c;
}

/*
 * add_child: the next child of a flow. => NULL with errno; what there is of it then hangs on the
 * flow, and goes with it.
 */
static struct child *add_child(struct mon *m, uint32_t idx, struct child *last,
                               const struct mon_regs *regs, struct image *im)
{
    uint16_t li;
    uint32_t self;
    struct child *c;
    int sock;

    if (!image_get_val(im, li) || li >= m->nlst || !m->lst[li].started || m->lst[li].raw)
        return err_null(EINVAL, "flow image: cut off, or of other listeners");
    c = child_room(m, idx, last, &self);
    if (c == NULL)
        return NULL;
    sock = mon_sock_new(m, self ? SK_CHILD : SK_CHILD0, self ? self : idx);
    if (sock < 0) {
        if (self)
            pool_free(&m->env.ft.kids, self);
        return NULL;
    }
    *c = (struct child){.sock = sock, .listener = li};
    if (last)
        last->next = self;
    m->lst[li].kids++;
    if (get_child(m, c, mon_cursor(m, flow_at(&m->env.ft, idx), c, CLI), regs, im))
        return c;
    return err_null(im->bad ? EINVAL : ENOMEM, "flow image: %s", im->bad ? "cut off" : "no memory");
}

int mon_import(struct mon *m, const struct mon_regs *regs, struct image *im)
{
    uint32_t idx = conn_import(&m->env, im);
    struct child *last = NULL;
    int n;

    if (idx == 0)
        return -1;
    image_get_val(im, n);
    for (int i = 0; i < n; i++) {
        last = add_child(m, idx, last, regs, im);
        if (last == NULL) {
            int code = errno;

            mon_abandon(m, idx);
            conn_free(&m->env, idx);
            errno = code;
            return -1;
        }
    }
    m->nflows++;
    mon_entered(m, idx);
    mon_reclass(m, idx, flow_at(&m->env.ft, idx));
    return 0;
}

/* ---- tombstones ---- */

struct tomb_image {
    struct flow_key key;
    int client;
    uint8_t fins, state;
    uint32_t packets, isn;
    uint64_t last;
};

static void put_tomb(struct mon *m, uint32_t ref, struct image *im)
{
    struct ftable *ft = &m->env.ft;
    const struct flow_tomb *t = tomb_at(ft, ref);
    struct tomb_image v = {
        .fins = t->fins, .state = t->state, .packets = t->packets, .isn = t->isn, .last = t->last};

    v.client = tomb_get_key(ft, t, &v.key);
    image_put_val(im, v);
    ftable_unbury(ft, ref);
}

static int get_tomb(struct mon *m, struct image *im)
{
    struct ftable *ft = &m->env.ft;
    struct tomb_image v;
    struct flow_tomb *t;
    uint32_t flow, idx;

    if (!image_get_val(im, v))
        return err_set(EINVAL, "flow image: cut off");
    flow = ftable_new(ft, &v.key, ftable_hash(ft, &v.key), v.client, v.last);
    idx = flow ? ftable_bury(ft, flow, v.last) : 0;
    if (flow && idx == 0)
        ftable_del(ft, flow);
    if (idx == 0)
        return err_set(ENOMEM, "flow image: no room for a tombstone");
    t = tomb_at(ft, idx);
    t->fins = v.fins;
    t->state = v.state;
    t->packets = v.packets;
    t->isn = v.isn;
    mon_stopped_arm(m, idx);
    return 0;
}

int mon_export_all(struct mon *m, struct mon_regs *regs, struct image *im)
{
    struct ftable *ft = &m->env.ft;
    uint32_t n = ft->count, tombs = ftable_tombs(ft, NULL, 0), *v;

    if (!stands_still(m))
        return err_set(EBUSY, "flows can be exported at the end of a batch only");
    v = calloc(tombs + 1, sizeof(*v));
    if (v == NULL)
        return err_set(ENOMEM, "no memory for the flows' image");
    ftable_tombs(ft, v, tombs);
    image_put_val(im, n);
    image_put_val(im, tombs);
    /* Tombstones first: each is a flow for a moment, for which a full table would have no room. */
    for (uint32_t i = 0; i < tombs; i++)
        put_tomb(m, v[i], im);
    free(v);
    for (uint32_t i = ftable_next(ft, 0); i; i = ftable_next(ft, i))
        if (mon_export(m, i, regs, im) < 0)
            return -1;
    return im->bad ? err_set(ENOMEM, "no memory for the flows' image") : 0;
}

int mon_import_all(struct mon *m, const struct mon_regs *regs, struct image *im)
{
    uint32_t n, tombs;

    image_get_val(im, n);
    if (!image_get_val(im, tombs))
        return err_set(EINVAL, "flow image: cut off");
    for (; tombs; tombs--)
        if (get_tomb(m, im) < 0)
            return -1;
    for (; n; n--)
        if (mon_import(m, regs, im) < 0)
            return -1;
    return 0;
}
