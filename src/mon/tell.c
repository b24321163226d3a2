// SPDX-License-Identifier: BSD-2-Clause
/*
 * tell.c: who hears of what. Children form a chain as middleboxes in a row do: what travels from
 * client to server meets them in order of creation, what travels back in reverse. Each child hears
 * all of one hook call before the next child does.
 */
#include "mon/tellpkt.h"

#include <netinet/in.h>

/* towards_client: does what is told here travel from server to client? */
static bool towards_client(enum mon_hook hook, int side)
{
    return hook == HK_SND ? side == MOS_SIDE_SVR : side == MOS_SIDE_CLI;
}

/* tell_one: these ranks to one set of callbacks. */
static void tell_one(struct mon *m, const uint32_t *setp, const uint16_t *flags, int sock, int side,
                     uint32_t ranks)
{
    struct ev_call call = {
        .tab = m->sets,
        .setp = setp,
        .flags = flags,
        .stop = stop_bits(side),
        .mctx = m->mctx,
        .sock = sock,
        .side = side,
        .outer = m->call,
    };
    uint32_t left = ranks;

    m->call = &call;
    m->in_callback++;
    while ((left &= evset_mask(m->sets, *setp)) != 0 && !(flags && (*flags & call.stop))) {
        int rank = __builtin_ctz(left);

        m->rexmit_now = rank == EV_REXMIT;
        m->overlap_now = rank == EV_OVERLAP;
        ev_dispatch(&call, (enum ev_rank)rank);
        /* a callback may have registered for what is still to come */
        left = ranks & ~((2u << rank) - 1);
    }
    m->rexmit_now = m->overlap_now = false;
    m->in_callback--;
    m->call = call.outer;
}

/* tell_rank: one of them, in which nothing is at hand that others may not ask about. */
static inline void tell_rank(struct mon *m, struct child *c, enum mon_hook hook, int side,
                             enum ev_rank rank)
{
    struct ev_call call;

    call_of(&call, m, c, hook, side, stop_bits(side), m->call);
    m->call = &call;
    m->in_callback++;
    ev_dispatch(&call, rank);
    m->in_callback--;
    m->call = call.outer;
}

/* tell_child: as tell_one; most have asked for one of these ranks. */
static inline void tell_child(struct mon *m, struct child *c, enum mon_hook hook, int side,
                              uint32_t ranks)
{
    uint32_t heard = evset_mask(m->sets, c->set[hook]) & ranks;

    if (likely(heard == EVB(EV_PKT_IN)))
        tell_rank(m, c, hook, side, EV_PKT_IN);
    else if (heard == EVB(EV_CONN_END))
        tell_rank(m, c, hook, side, EV_CONN_END);
    else if (heard == EVB(EV_NEW_DATA))
        tell_rank(m, c, hook, side, EV_NEW_DATA);
    else
        heard = 0;
    ranks &= heard ? ~(2 * heard - 1) : ~0u;
    if (ranks && (evset_mask(m->sets, c->set[hook]) & ranks)) /* perhaps only since then */
        tell_one(m, &c->set[hook], &c->flags, c->sock, side, ranks);
}

/*
 * only_wanted: NEW_DATA is for children that want the side's bytes; ERROR over lost bytes for those
 * that lose any.
 */
static inline uint32_t only_wanted(struct mon *m, struct flow *f, const struct child *c, int side,
                                   uint32_t ranks)
{
    if (likely(!(ranks & (EVB(EV_NEW_DATA) | EVB(EV_ERROR)))))
        return ranks;
    if ((ranks & EVB(EV_NEW_DATA)) && !mon_wants(m, c, side))
        ranks &= ~EVB(EV_NEW_DATA);
    if ((ranks & EVB(EV_ERROR)) && m->lost_below &&
        (!mon_wants(m, c, side) || *mon_cursor(m, f, c, side) >= m->lost_below))
        ranks &= ~EVB(EV_ERROR);
    return ranks;
}

/* tell_children: all of a flow that has several. */
static void tell_children(struct mon *m, struct flow *f, enum mon_hook hook, int side,
                          uint32_t ranks)
{
    uint32_t v[MON_LISTENERS];
    int n = mon_children(m, f, towards_client(hook, side), v);

    for (int i = 0; i < n; i++) {
        struct child *c = mon_child_at(m, f, v[i]);

        if (evset_mask(m->sets, c->set[hook]) & ranks)
            tell_child(m, c, hook, side, only_wanted(m, f, c, side, ranks));
    }
}

/* What is being told now, put by and restored: callbacks may cause more to be told. */
struct telling {
    struct flow *told;
    uint32_t told_idx;
    enum mon_hook hook;
};

static inline struct telling tell_begin(struct mon *m, struct flow *f, uint32_t idx,
                                        enum mon_hook hook)
{
    struct telling before = {.told = m->told, .told_idx = m->told_idx, .hook = m->hook};

    m->told = f;
    m->told_idx = idx;
    m->hook = hook;
    return before;
}

static inline void tell_end(struct mon *m, struct telling before)
{
    m->told = before.told;
    m->told_idx = before.told_idx;
    m->hook = before.hook;
}

void mon_tell_all(struct mon *m, uint32_t idx, enum mon_hook hook, int side, uint32_t ranks)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    struct telling before = tell_begin(m, f, idx, hook);

    if (unlikely(f->c0.next))
        tell_children(m, f, hook, side, ranks);
    else if (f->c0.sock >= 0)
        tell_child(m, &f->c0, hook, side, only_wanted(m, f, &f->c0, side, ranks));
    tell_end(m, before);
}

void mon_tell_some(struct mon *m, struct conn_pkt *cp, enum mon_hook hook, int side, uint32_t ranks)
{
    m->seg = cp->s;
    m->cp = cp;
    mon_tell_all(m, cp->idx, hook, side, ranks);
    m->seg = NULL;
    m->cp = NULL;
    m->ip_len_was = 0;
}

uint32_t mon_next_gap(const struct mon *m, uint32_t idx, int side, uint32_t gap0, uint64_t from)
{
    uint32_t low = m->env.ngaps;

    for (uint32_t i = gap0; i < m->env.ngaps; i++) {
        const struct conn_gap *g = &m->env.gaps[i];

        if (g->flow == idx && g->side == side && g->off >= from &&
            (low == m->env.ngaps || g->off < m->env.gaps[low].off))
            low = i;
    }
    return low;
}

/* tell_gaps_now: one side's gaps from gap0 on, ascending. */
static void tell_gaps_now(struct mon *m, uint32_t idx, int side, uint32_t gap0)
{
    uint64_t from = 0;
    uint32_t i;

    while ((i = mon_next_gap(m, idx, side, gap0, from)) < m->env.ngaps) {
        struct conn_gap g = m->env.gaps[i]; /* the list may move */

        m->gap = &g;
        mon_tell(m, idx, HK_RCV, side, EVB(EV_GAP));
        m->gap = NULL;
        from = g.off + 1;
    }
}

void mon_tell_given_up(struct mon *m, uint32_t idx, uint32_t gap0, uint8_t data)
{
    for (int side = CLI; side <= SVR && gap0 < m->env.ngaps; side++)
        tell_gaps_now(m, idx, side, gap0);
    for (int side = CLI; side <= SVR; side++)
        if (data & (1 << side))
            mon_tell(m, idx, HK_RCV, side, EVB(EV_NEW_DATA));
}

void mon_tell_merged(struct mon *m, struct conn_pkt *cp)
{
    if (cp->rcv & CR_ERROR)
        mon_tell_packet(m, cp, HK_NULL, cp->to, EVB(EV_ERROR));
    m->seg = cp->s;
    m->cp = cp;
    mon_tell_given_up(m, cp->idx, cp->gap0, cp->data);
    m->seg = NULL;
    m->cp = NULL;
    m->ip_len_was = 0;
}

void mon_tell_frag_evict(struct mon *m, bool v6, uint32_t n)
{
    m->hook = HK_NULL;
    for (uint32_t k = 0; k < n; k++)
        for (int i = 0; i < m->nlst; i++) {
            struct listener *l = &m->lst[i];

            if (l->started && l->raw && !l->closed &&
                (evset_mask(m->sets, l->set[HK_NULL]) & EVB(EV_EVICT)) &&
                (l->domain == AF_UNSPEC || (l->domain == AF_INET6) == v6))
                tell_one(m, &l->set[HK_NULL], NULL, l->sock, MOS_SIDE_BOTH, EVB(EV_EVICT));
        }
}

static bool domain_sees(const struct listener *l, const struct seg *s)
{
    return l->domain == AF_UNSPEC || (l->domain == AF_INET6) == ((s->flags & SEG_IP6) != 0);
}

/* frame_wanted: a raw socket's one filter, for whatever it is told. */
static bool frame_wanted(struct listener *l, const struct seg *s)
{
    return mon_filter_match(&l->syn, s->pb->linktype, s->pb->data, s->pb->len, s->pb->wire_len);
}

static bool orphan_wanted(struct listener *l, const struct seg *s)
{
    uint32_t caplen = s->pb->len - s->l3_off;

    if (l->raw)
        return frame_wanted(l, s);
    return mon_filter_match(&l->orphan, DLT_RAW, s->pb->data + s->l3_off,
                            caplen < s->ip_len ? caplen : s->ip_len, s->ip_len);
}

void mon_tell_orphan(struct mon *m, struct seg *s)
{
    m->env.reasons[REASON_ORPHAN]++;
    m->seg = s;
    m->hook = HK_NULL;
    for (int i = 0; i < m->nlst; i++) {
        struct listener *l = &m->lst[i];

        if (l->started && !l->closed && (evset_mask(m->sets, l->set[HK_NULL]) & EVB(EV_ORPHAN)) &&
            domain_sees(l, s) && orphan_wanted(l, s))
            tell_one(m, &l->set[HK_NULL], NULL, l->sock, MOS_SIDE_BOTH, EVB(EV_ORPHAN));
    }
    m->seg = NULL;
}

void mon_tell_raw(struct mon *m, struct seg *s)
{
    m->seg = s;
    m->hook = HK_NULL;
    for (int i = 0; i < m->nlst; i++) {
        struct listener *l = &m->lst[i];

        if (l->started && l->raw && !l->closed &&
            (evset_mask(m->sets, l->set[HK_NULL]) & EVB(EV_PKT_IN)) && domain_sees(l, s) &&
            frame_wanted(l, s))
            tell_one(m, &l->set[HK_NULL], NULL, l->sock, MOS_SIDE_BOTH, EVB(EV_PKT_IN));
    }
    m->seg = NULL;
}
