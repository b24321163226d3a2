// SPDX-License-Identifier: BSD-2-Clause
/*
 * related.c: ICMP errors about segments that were changed on their way: addresses and ports (a flow with a
 * second key), or sequence numbers (an edited one). The error comes from behind us, where the segment is known
 * as it left here; its sender knows it as it came. So the quotation is put in his terms, and the error goes to
 * him (RFC 5508 4.2):
 *
 *      client C ---- us: C is P ---- router R ---- server S
 *
 *      the client's segment was too big for R:    R > P  quotes P > S    leaves as  R > C  quotes C > S
 *      a router Q at the client's has no way on:  Q > S  quotes S > C    leaves as  P > S  quotes S > P
 *
 * In the second the error's own source is hidden behind the address that its side has here, whoever it was. No
 * callback sees any of it; raw sockets have seen it as it came. Errors about segments whose addresses and numbers were
 * not changed go on as they came, like all that is no TCP; so do those that come in fragments. Quoted ACK numbers stay
 * as they are: nobody looks at them.
 */
#include "engine/engine.h"
#include "engine/live.h"

#include <string.h>

#include "conn/streamedit.h"
#include "flow/key.h"
#include "tcp/check.h"
#include "tcp/seq.h"
#include "wire/decode.h"
#include "wire/icmpquote.h"

/* flow_of: the flow that the quoted segment is of; from: the side that it was on its way to. */
static struct flow *flow_of(struct worker *w, const struct seg *s, const struct icmp_quote *q,
                            int *from)
{
    const struct seg *in = &q->seg;
    struct ftable *ft = &w->m->env.ft;
    struct flow_key k;
    struct flow_hit hit;
    int end = key_make(&k, in->flags & SEG_IP6, in->dst.b, in->dport, in->src.b, in->sport,
                       in->l4proto, worker_give_realm(w, s));

    hit = ftable_find(ft, &k, ftable_hash(ft, &k), end);
    *from = hit.from;
    return hit.idx && !(hit.idx & FLOW_TOMB) ? flow_at(ft, hit.idx) : NULL;
}

/* was_edited: has what this side sends other numbers behind us? */
static bool was_edited(const struct conn_env *env, const struct flow *f, int side)
{
    const struct flow_edit *fe = edit_of(env, f);

    return fe && fe->dir[side].on;
}

/*
 * right_way: does it come by an interface by which that side's segments may come? From the client's side by that of
 * its first, from the server's by another one. Where all come by one there is no telling.
 */
static bool right_way(const struct worker *w, const struct pktbuf *pb, const struct flow *f,
                      int from)
{
    const struct flow_alt *a = f->alt ? pool_at(&w->m->env.ft.alts, f->alt) : NULL;

    if (a == NULL || engine.live == NULL || engine.live->nif < 2)
        return true;
    return (pb->in_if == a->cli_if) == (from == CLI);
}

/*
 * was_sent: has the sender sent this number, and is it not acknowledged since long (RFC 5927 4.1)? Whoever has not
 * seen the connection would have to guess it.
 */
static bool was_sent(const struct flow *f, int sender, uint32_t seq)
{
    const struct flow_side *snd = &f->side[sender], *rcv = &f->side[!sender];

    if ((snd->flags & SIDE_SPOKE) && seq_lt(snd->snd_max, seq))
        return false;
    return !(rcv->flags & SIDE_ACKED) ||
           seq_leq(rcv->ack - 1 - tcp_window(rcv->max_wnd, rcv->wscale), seq);
}

/* terms_of: how the sender of the quoted segment would read it. */
static void terms_of(const struct worker *w, const struct seg *s, const struct icmp_quote *q,
                     const struct flow *f, int sender, struct icmp_terms *t)
{
    const struct conn_env *env = &w->m->env;
    const uint32_t n = s->flags & SEG_IP6 ? 16 : 4;
    struct seg own = {0};
    bool hides;

    flow_as_known_to(&env->ft, f, sender, &own);
    hides = memcmp(own.dst.b, q->seg.dst.b, n) != 0;
    memcpy(t->from, hides ? own.dst.b : s->src.b, n);
    memcpy(t->to, own.src.b, n);
    memcpy(t->src, own.src.b, n);
    memcpy(t->dst, own.dst.b, n);
    t->sport = own.sport;
    t->dport = own.dport;
    t->seq = edit_begun_by(env, f, sender, q->seq);
}

bool related_input(struct worker *w, struct seg *s)
{
    const uint32_t n = s->flags & SEG_IP6 ? 16 : 4;
    struct conn_env *env = &w->m->env;
    const struct flow *f;
    struct icmp_quote q;
    struct icmp_terms t;
    int from;

    if (!icmp_quotes_tcp(s, &q) || memcmp(s->dst.b, q.seg.src.b, n) != 0 ||
        memcmp(s->dst.b, s->src.b, n) == 0)
        return false;
    f = flow_of(w, s, &q, &from);
    if (f == NULL || (f->alt == 0 && !was_edited(env, f, !from)) || !right_way(w, s->pb, f, from) ||
        !was_sent(f, !from, q.seq))
        return false;
    terms_of(w, s, &q, f, !from, &t);
    if (icmp_mtu(s, &q))
        edit_too_big(env, f, !from, icmp_mtu(s, &q));
    pb_own(s->pb);
    icmp_requote(s, &q, &t);
    env->reasons[REASON_ICMP_RELATED]++;
    return true;
}

void related_too_big(struct worker *w, struct pktbuf *pb, uint32_t mtu)
{
    const struct flow *f;
    struct icmp_quote q;
    int from;

    if (decode(&q.seg, pb) != REASON_NONE)
        return;
    f = flow_of(w, &q.seg, &q, &from);
    if (f)
        edit_too_big(&w->m->env, f, !from, mtu);
}
