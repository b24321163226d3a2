// SPDX-License-Identifier: BSD-2-Clause
/*
 * sock.c: ids, listeners, children. An id goes back to the end of the queue of free ones when its
 * owner goes, so that a stale id is not somebody else's at once.
 *
 * A child wants a side's bytes or not (contract 1); the side is wanted if any child wants it.
 * mon_rewant is called whenever that may have changed: sets, buffers, stops, a first peek.
 */
#include "mon/mon.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"

#define DATA_RANKS   (EVB(EV_NEW_DATA) | EVB(EV_GAP) | EVB(EV_REXMIT) | EVB(EV_OVERLAP))
#define RETAIN_RANKS (EVB(EV_REXMIT) | EVB(EV_OVERLAP))

/* ---- ids ---- */

static bool have_ids(struct mon *m, uint32_t cap)
{
    uint32_t *v;

    if (cap > m->max_sock)
        cap = m->max_sock;
    v = realloc(m->sock, cap * sizeof(*v));
    if (v == NULL)
        return false;
    m->env.acct.allocs++;
    m->sock = v;
    m->cap_sock = cap;
    return true;
}

static bool grow_ids(struct mon *m)
{
    return m->nsock < m->cap_sock || have_ids(m, m->cap_sock ? m->cap_sock * 2 : 1024);
}

bool mon_reserve_ids(struct mon *m, uint32_t n)
{
    const uint32_t was = m->cap_sock;

    if (n <= was)
        return true;
    if (!have_ids(m, n))
        return false;
    memset(m->sock + was, 0,
           (m->cap_sock - was) * sizeof(*m->sock)); /* there, and not only its addresses */
    return true;
}

int mon_sock_new(struct mon *m, enum sock_kind kind, uint32_t idx)
{
    uint32_t id;

    if (m->free_head) {
        id = m->free_head - 1;
        m->free_head = m->sock[id];
        if (m->free_head == 0)
            m->free_tail = 0;
        m->nfree--;
    } else {
        if (m->nsock >= m->max_sock)
            return err_set(ENFILE, "no socket id left (max_concurrency = %u)", m->max_sock);
        if (!grow_ids(m))
            return err_set(ENOMEM, "no memory for another socket id");
        id = m->nsock++;
    }
    m->sock[id] = (uint32_t)kind << SK_SHIFT | idx;
    return (int)id;
}

void mon_sock_free(struct mon *m, int sock)
{
    uint32_t id = (uint32_t)sock;

    m->sock[id] = 0;
    if (m->free_tail)
        m->sock[m->free_tail - 1] = id + 1;
    else
        m->free_head = id + 1;
    m->free_tail = id + 1;
    m->nfree++;
}

static enum sock_kind kind_of(const struct mon *m, int sock)
{
    if (sock < 0 || (uint32_t)sock >= m->nsock)
        return SK_FREE;
    return (enum sock_kind)(m->sock[sock] >> SK_SHIFT);
}

struct child *mon_child(struct mon *m, int sock, uint32_t *flow)
{
    uint32_t idx;

    /* as a rule, a callback asks about the flow that it is told of */
    if (likely(mon_is_told(m, sock))) {
        *flow = m->told_idx;
        return &m->told->c0;
    }
    switch (kind_of(m, sock)) {
    case SK_CHILD0:
        *flow = m->sock[sock] & SK_IDX;
        return &flow_at(&m->env.ft, *flow)->c0;
    case SK_CHILD: {
        struct child_ext *x;

        idx = m->sock[sock] & SK_IDX;
        x = pool_at(&m->env.ft.kids, idx);
        *flow = x->flow;
        return &x->c;
    }
    case SK_LISTENER:
        return err_null(ENOTSOCK, "socket %d is a listener, not the child of a connection", sock);
    default:
        return err_null(EBADF, "no socket has the number %d", sock);
    }
}

struct listener *mon_listener(struct mon *m, int sock)
{
    switch (kind_of(m, sock)) {
    case SK_LISTENER:
        return &m->lst[m->sock[sock] & SK_IDX];
    case SK_FREE:
        return err_null(EBADF, "no socket has the number %d", sock);
    default:
        return err_null(ENOTSOCK, "socket %d is the child of a connection, not a listener", sock);
    }
}

/* ---- children of a flow ---- */

struct child *mon_child_at(const struct mon *m, struct flow *f, uint32_t ci)
{
    return ci ? &((struct child_ext *)pool_at(&m->env.ft.kids, ci))->c : &f->c0;
}

uint64_t *mon_cursor(const struct mon *m, struct flow *f, const struct child *c, int side)
{
    if (c == &f->c0)
        return &f->cursor[side];
    return &((struct child_ext *)pool_at(&m->env.ft.kids, m->sock[c->sock] & SK_IDX))->cursor[side];
}

int mon_children(const struct mon *m, const struct flow *f, bool back, uint32_t *v)
{
    int n = 0;

    if (f->c0.sock < 0)
        return 0;
    v[n++] = 0;
    for (uint32_t i = f->c0.next; i && n < MON_LISTENERS;
         i = ((struct child_ext *)pool_at(&m->env.ft.kids, i))->c.next)
        v[n++] = i;
    if (back)
        for (int a = 0, b = n - 1; a < b; a++, b--) {
            uint32_t t = v[a];

            v[a] = v[b];
            v[b] = t;
        }
    return n;
}

/* asked_for: the ranks that a child has registered for, at any hook. */
static inline uint32_t asked_for(const struct mon *m, const struct child *c)
{
    return evset_mask(m->sets, c->set[HK_SND]) | evset_mask(m->sets, c->set[HK_RCV]) |
           evset_mask(m->sets, c->set[HK_NULL]);
}

static inline bool wants(const struct mon *m, const struct child *c, int side, uint32_t asked)
{
    const uint16_t off = side == CLI ? CHILD_NOBUF_CLI | CHILD_STOP_CLI | CHILD_META_CLI
                                     : CHILD_NOBUF_SVR | CHILD_STOP_SVR | CHILD_META_SVR;
    const uint16_t peeks = side == CLI ? CHILD_ASKED_CLI : CHILD_ASKED_SVR;

    return !(c->flags & (off | CHILD_CLOSED)) &&
           (m->buffer_always || (c->flags & peeks) || (asked & DATA_RANKS));
}

bool mon_wants(const struct mon *m, const struct child *c, int side)
{
    return wants(m, c, side, asked_for(m, c));
}

/*
 * rewant_child: does it want this side's bytes now? => as side flags: SIDE_WANTED, SIDE_RETAIN; SIDE_NOBUF if
 * it has no buffer for them.
 */
static inline uint16_t rewant_child(const struct mon *m, struct flow *f, struct child *c, int side,
                                    uint32_t asked)
{
    const uint16_t want_bit = side == CLI ? CHILD_WANT_CLI : CHILD_WANT_SVR;
    uint16_t flags = c->flags & (side == CLI ? CHILD_NOBUF_CLI : CHILD_NOBUF_SVR) ? SIDE_NOBUF : 0;

    if (!wants(m, c, side, asked)) {
        c->flags &= (uint16_t)~want_bit;
        return flags;
    }
    if (!(c->flags & want_bit)) /* wanting starts with the next byte */
        *mon_cursor(m, f, c, side) = strm_end(&m->env.se, &f->side[side]);
    c->flags |= want_bit;
    if (evset_mask(m->sets, c->set[HK_RCV]) & RETAIN_RANKS)
        flags |= SIDE_RETAIN;
    return flags | SIDE_WANTED;
}

/* rewant_side: any: of all children, what one of them wants is wanted; all: what none has a buffer for. */
static inline void rewant_side(const struct mon *m, struct flow_side *sd, uint16_t any,
                               uint16_t all)
{
    if ((any & SIDE_WANTED) && sd->strm && strm_at(&m->env.se, sd->strm)->sized)
        any |= SIDE_RETAIN;
    sd->flags = (uint16_t)((sd->flags & ~(SIDE_WANTED | SIDE_RETAIN | SIDE_NOBUF)) |
                           (any & (SIDE_WANTED | SIDE_RETAIN)) | (all & SIDE_NOBUF));
}

void mon_rewant(struct mon *m, uint32_t idx)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    uint16_t any[2] = {0}, all[2] = {SIDE_NOBUF, SIDE_NOBUF}, flags;
    uint32_t v[MON_LISTENERS];
    int n = mon_children(m, f, false, v);

    for (int i = 0; i < n; i++) {
        struct child *c = mon_child_at(m, f, v[i]);
        const uint32_t asked = asked_for(m, c);

        for (int side = CLI; side <= SVR; side++) {
            flags = rewant_child(m, f, c, side, asked);
            any[side] |= flags;
            all[side] &= flags;
        }
    }
    for (int side = CLI; side <= SVR; side++)
        rewant_side(m, &f->side[side], any[side], all[side]);
}

/* want_first: the same for a flow that has one child. */
static inline void want_first(struct mon *m, struct flow *f)
{
    const uint32_t asked = asked_for(m, &f->c0);

    for (int side = CLI; side <= SVR; side++) {
        const uint16_t flags = rewant_child(m, f, &f->c0, side, asked);

        rewant_side(m, &f->side[side], flags, flags);
    }
}

/* ---- a new flow ---- */

/*
 * as_syn: the SYN that the client would have sent, for filters that are asked about a picked-up
 * flow. => its length.
 */
static uint32_t as_syn(uint8_t out[60], const struct seg *s, bool from_client)
{
    const void *src = from_client ? &s->src : &s->dst, *dst = from_client ? &s->dst : &s->src;
    uint16_t ports[2] = {from_client ? s->sport : s->dport, from_client ? s->dport : s->sport};
    uint32_t ip = s->flags & SEG_IP6 ? 40 : 20;

    memset(out, 0, 60);
    if (ip == 40) {
        out[0] = 0x60;
        out[5] = 20;
        out[6] = IPPROTO_TCP;
        out[7] = 64;
        memcpy(out + 8, src, 16);
        memcpy(out + 24, dst, 16);
    } else {
        out[0] = 0x45;
        out[3] = 40;
        out[8] = 64;
        out[9] = IPPROTO_TCP;
        memcpy(out + 12, src, 4);
        memcpy(out + 16, dst, 4);
    }
    memcpy(out + ip, ports, 4);
    out[ip + 12] = 0x50;
    out[ip + 13] = TH_SYN_;
    return ip + 20;
}

/* match_ip: the listeners that take a flow whose SYN these bytes are (an IP header first). */
static uint64_t match_ip(struct mon *m, const uint8_t *p, uint32_t caplen, uint32_t len, bool v6,
                         int mode)
{
    uint64_t match = 0;

    for (int i = 0; i < m->nlst; i++) {
        struct listener *l = &m->lst[i];

        if (!l->started || l->raw || l->closed ||
            (l->domain != AF_UNSPEC && (l->domain == AF_INET6) != v6))
            continue;
        if (mode == 2 && !(l->midstream < 0 ? m->midstream : l->midstream))
            continue;
        if (l->syn.expr == NULL || mon_filter_match(&l->syn, DLT_RAW, p, caplen, len))
            match |= 1ULL << i;
    }
    return match;
}

uint64_t mon_match_syn(struct mon *m, const uint8_t *p, uint32_t caplen, uint32_t len, bool v6)
{
    return match_ip(m, p, caplen, len, v6, 1);
}

uint64_t mon_match(struct mon *m, const struct seg *s, int mode, bool from_client)
{
    uint8_t made[60];
    const uint8_t *p = s->pb->data + s->l3_off;
    uint32_t len = s->ip_len, caplen = s->pb->len - s->l3_off;

    if (mode != 1) {
        len = caplen = as_syn(made, s, from_client);
        p = made;
    }
    return match_ip(m, p, caplen < len ? caplen : len, len, s->flags & SEG_IP6, mode);
}

enum overlap_policy mon_policy(const struct mon *m, uint64_t match, int side)
{
    for (; match; match &= match - 1) {
        const int8_t policy = m->lst[__builtin_ctzll(match)].policy[side];

        if (policy >= 0)
            return (enum overlap_policy)policy;
    }
    return (enum overlap_policy)m->overlap;
}

static void start_child(struct mon *m, struct child *c, const struct listener *l, int li, int sock)
{
    c->sock = sock;
    c->uctx = NULL;
    c->next = 0;
    c->listener = (uint16_t)li;
    c->flags = l->child_flags;
    for (int h = 0; h < 3; h++) {
        c->set[h] = l->set[h];
        if (c->set[h])
            evset_ref(m->sets, c->set[h]);
    }
}

/*
 * take_options: what the first matching listener says about the flow as a whole, each about its
 * buffers.
 */
static void take_options(struct mon *m, struct flow *f, const struct listener *l, bool first)
{
    for (int side = CLI; (l->buf[CLI] | l->buf[SVR]) && side <= SVR; side++) {
        struct flow_side *sd = &f->side[side];

        if (l->buf[side]) {
            struct strm *s = strm_get(&m->env.se, sd);

            m->env.reasons[REASON_NO_STREAM_MEM] += s == NULL; /* the size is not kept */
            if (s && (!s->sized || s->limit < l->buf[side])) { /* of several the largest */
                s->limit = l->buf[side];
                s->sized = true;
            }
        }
    }
    if (l->timeout_ms)
        flow_set_timeout(f, l->timeout_ms);
    if (!first)
        return;
    if (l->strict >= 0)
        f->flags = (uint16_t)(l->strict ? f->flags | FLOW_STRICT : f->flags & ~FLOW_STRICT);
    if (l->csum >= 0)
        f->csum = (uint8_t)l->csum;
}

static struct child *new_child_ext(struct mon *m, uint32_t idx, uint32_t *self)
{
    struct child_ext *x;

    *self = pool_zalloc(&m->env.ft.kids);
    if (*self == 0)
        return NULL;
    x = pool_at(&m->env.ft.kids, *self);
    x->flow = idx;
    x->self = *self;
    return &x->c;
}

bool mon_adopt(struct mon *m, uint32_t idx, uint64_t match)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    struct child *last = NULL;

    f->c0.sock = -1;
    for (int side = CLI; side <= SVR; side++) {
        const enum overlap_policy policy = mon_policy(m, match, side);

        if (f->side[side].policy != policy)
            strm_policy(&m->env.se, &f->side[side], policy);
    }
    for (; match; match &= match - 1) {
        const int i = __builtin_ctzll(match);
        uint32_t self = 0;
        struct child *c = &f->c0;
        int sock;

        if (last && (c = new_child_ext(m, idx, &self)) == NULL) {
            m->env.reasons[REASON_NO_SOCK]++;
            break;
        }
        sock = mon_sock_new(m, self ? SK_CHILD : SK_CHILD0, self ? self : idx);
        if (sock < 0) {
            m->env.reasons[REASON_NO_SOCK]++;
            if (self)
                pool_free(&m->env.ft.kids, self);
            break;
        }
        start_child(m, c, &m->lst[i], i, sock);
        take_options(m, f, &m->lst[i], last == NULL);
        m->lst[i].kids++;
        if (last)
            last->next = self;
        last = c;
    }
    if (last == NULL)
        return false;
    m->nflows++;
    if (f->timeout)
        conn_rearm(&m->env, idx); /* conn_open did not know it */
    if (likely(last == &f->c0))
        want_first(m, f);
    else
        mon_rewant(m, idx);
    return true;
}

/* listener_gone: a closed listener's slot is free when its last child has gone. */
static void listener_gone(struct mon *m, int li)
{
    struct listener *l = &m->lst[li];

    if (!l->closed || l->kids)
        return;
    for (int h = 0; h < 3; h++)
        evset_unref(m->sets, l->set[h]);
    mon_filter_free(&l->syn);
    mon_filter_free(&l->orphan);
    mon_sock_free(m, l->sock);
    memset(l, 0, sizeof(*l));
}

/* leave: a child goes. */
static void leave(struct mon *m, struct child *c)
{
    for (int h = 0; h < 3; h++)
        if (c->set[h])
            evset_unref(m->sets, c->set[h]);
    mon_sock_free(m, c->sock);
    if (--m->lst[c->listener].kids == 0)
        listener_gone(m, c->listener);
}

void mon_abandon(struct mon *m, uint32_t idx)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    uint32_t v[MON_LISTENERS];
    int n;

    if (likely(f->c0.next == 0)) {
        if (f->c0.sock >= 0)
            leave(m, &f->c0);
        f->c0.sock = -1;
        return;
    }
    n = mon_children(m, f, false, v);
    for (int i = 0; i < n; i++) {
        leave(m, mon_child_at(m, f, v[i]));
        if (v[i])
            pool_free(&m->env.ft.kids, v[i]);
    }
    f->c0.sock = -1;
    f->c0.next = 0;
}

bool mon_all_stopped(const struct mon *m, uint32_t idx)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    uint32_t v[MON_LISTENERS];
    int n = mon_children(m, f, false, v);

    for (int i = 0; i < n; i++)
        if (!(mon_child_at(m, f, v[i])->flags & CHILD_CLOSED))
            return false;
    return true;
}

void mon_child_stop(struct mon *m, uint32_t idx, struct child *c, int side)
{
    if (c->flags & CHILD_CLOSED)
        return; /* the flow is listed once */
    if (side == MOS_SIDE_CLI || side == MOS_SIDE_BOTH)
        c->flags |= CHILD_STOP_CLI;
    if (side == MOS_SIDE_SVR || side == MOS_SIDE_BOTH)
        c->flags |= CHILD_STOP_SVR;
    if ((c->flags & CHILD_STOP_CLI) && (c->flags & CHILD_STOP_SVR))
        c->flags |= CHILD_CLOSED;
    mon_rewant(m, idx);
    conn_touch(&m->env, idx);
    if (!mon_all_stopped(m, idx))
        return;
    if (conn_vec_grow(&m->env, (void **)&m->stopped, &m->cap_stopped, m->nstopped,
                      sizeof(*m->stopped)))
        m->stopped[m->nstopped++] = idx;
    else
        m->stopped_lack = true;
}
