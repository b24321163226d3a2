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
 * callback sees any of it; raw sockets have seen it as it came. Errors about segments that were not changed go
 * on as they came, like all that is no TCP.
 */
#include "engine/engine.h"

#include <string.h>

#include "conn/streamedit.h"
#include "flow/key.h"
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

/* terms_of: how the sender of the quoted segment would read it. => false: it is not for him. */
static bool terms_of(const struct worker *w, const struct seg *s, const struct icmp_quote *q,
                     const struct flow *f, int sender, struct icmp_terms *t)
{
    const struct conn_env *env = &w->m->env;
    const struct seg *in = &q->seg;
    const uint32_t n = s->flags & SEG_IP6 ? 16 : 4;
    struct seg own = {0};
    bool hides;

    if (memcmp(s->dst.b, in->src.b, n) != 0)
        return false;
    flow_as_known_to(&env->ft, f, sender, &own);
    hides = memcmp(own.dst.b, in->dst.b, n) != 0;
    memcpy(t->from, hides ? own.dst.b : s->src.b, n);
    memcpy(t->to, own.src.b, n);
    memcpy(t->src, own.src.b, n);
    memcpy(t->dst, own.dst.b, n);
    t->sport = own.sport;
    t->dport = own.dport;
    t->seq = edit_sent_by(env, f, sender, q->seq);
    return true;
}

bool related_input(struct worker *w, struct seg *s)
{
    const struct conn_env *env = &w->m->env;
    const struct flow *f;
    struct icmp_quote q;
    struct icmp_terms t;
    int from;

    if (!icmp_quotes_tcp(s, &q))
        return false;
    f = flow_of(w, s, &q, &from);
    if (f == NULL || (f->alt == 0 && !was_edited(env, f, !from)) ||
        !terms_of(w, s, &q, f, !from, &t))
        return false;
    pb_own(s->pb);
    icmp_quotes_tcp(s, &q); /* where it lies now */
    icmp_requote(s, &q, &t);
    w->m->env.reasons[REASON_ICMP_RELATED]++;
    return true;
}
