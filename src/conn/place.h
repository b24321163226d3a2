/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * place.h: the other short way (plain.h has the first): the segments with which a connection begins and
 * ends, where each is what its receiver waits for: the SYN that opens the flow, its SYN/ACK, the ACK that
 * connects, a FIN in order, the ACKs behind it. Nothing of them is in question, and they leave no hole: the
 * long way need not judge, classify and look for holes. Bytes and ACK are treated as those of a plain segment.
 *
 * It is a short cut and no second truth (test_plain_model).
 */
#ifndef WEIR_CONN_PLACE_H
#define WEIR_CONN_PLACE_H

#include "conn/plain.h"

#define PLACE_SEEN (FLOW_SYN | FLOW_SYNACK | FLOW_BASE_CLI | FLOW_BASE_SVR)

/* ---- is it in its place? ---- */

/* place_may: by itself, and by what is rare about its flow. */
static inline bool place_may(const struct conn_env *env, const struct flow *f, const struct seg *s,
                             int from)
{
    return s->nsack == 0 && s->pcap == s->plen && !(s->flags & SEG_RARE) &&
           !(s->pb->flags & PLAIN_NO_PB) && s->pb->ts_ns >= env->now && !f->asks && !f->timed &&
           env->now - f->last < env->plain_ns && f->ctr[from].packets != UINT32_MAX &&
           !((f->side[CLI].flags | f->side[SVR].flags) & SIDE_LAST) && plain_streams_calm(env, f);
}

/* place_stamps: as plain_stamps, of one that has them. Behind a FIN its sender's do not move any more. */
static inline bool place_stamps(struct ends e, const struct seg *s)
{
    const struct flow_ctr *c = ctr_of(e.snd), *other = ctr_of(e.rcv);

    if (!(e.snd->flags & e.rcv->flags & SIDE_TS_OK) || c->tsval == 0 ||
        seq_lt(s->tsval, c->tsval) ||
        (!(e.snd->flags & SIDE_FIN_SENT) && seq_lt(s->tsval, c->echoed)))
        return false;
    if (e.rcv->state == FS_SYN_RCVD && s->tsecr != other->tsval)
        return false;
    return (e.rcv->flags & SIDE_FIN_SENT) || seq_leq(s->tsecr, other->tsval);
}

/*
 * place_follows: both SYNs were seen, and it is the next of its sender, whole, and inside the window; it acknowledges
 * no less than before and what has come. Behind the sender's FIN only ACKs follow.
 */
static inline bool place_follows(const struct flow *f, struct ends e, const struct seg *s, int from)
{
    const struct flow_side *snd = e.snd, *rcv = e.rcv;
    const bool ended = rcv->flags & SIDE_FIN_RCVD;
    const uint32_t fin = s->tflags & TH_FIN_, len = s->plen + fin;

    _Static_assert(TH_FIN_ == 1, "as a length");
    return (f->flags & (PLACE_SEEN | PLAIN_GONE)) == PLACE_SEEN &&
           (rcv->state > FS_SYN_RCVD || (rcv->state == FS_SYN_RCVD && from == CLI)) &&
           (snd->flags & rcv->flags & SIDE_SPOKE) && (rcv->flags & SIDE_EDGE) &&
           ended == !!(snd->flags & SIDE_FIN_SENT) && (!ended || len == 0) &&
           s->seq == side_next(rcv) && s->seq == snd->snd_max &&
           (!(rcv->flags & SIDE_ACKED) || seq_leq(rcv->ack, s->seq)) &&
           seq_leq(s->seq + len, ctr_of(e.rcv)->edge) &&
           seq_leq(snd->flags & SIDE_ACKED ? snd->ack : snd->base, s->ack) &&
           seq_diff(rcv->snd_max, s->ack) >= 0 && seq_leq(s->ack, side_next(snd)) &&
           (!(s->flags & SEG_TS) || place_stamps(e, s));
}

/* place_of_syn: a SYN or a SYN/ACK: PLACE_SYN, PLACE_SYNACK or PLACE_NONE. */
enum conn_place place_of_syn(const struct conn_env *env, const struct flow *f, const struct seg *s,
                             int from, bool opened);

/*
 * conn_place: what is this segment to its flow, which it has opened or not? The flow has neither expired nor
 * ended if it is anything.
 */
static inline enum conn_place conn_place(const struct conn_env *env, struct flow *f,
                                         const struct seg *s, int from, bool opened)
{
    const uint32_t what = s->tflags & (uint32_t) ~(TH_PSH_ | TH_ECE_ | TH_CWR_);

    if (likely((what & ~TH_FIN_) == TH_ACK_))
        return !opened && place_may(env, f, s, from) &&
                       place_follows(f, ends_of(f, (unsigned)from), s, from)
                   ? PLACE_NEXT
                   : PLACE_NONE;
    if ((what & ~TH_ACK_) == TH_SYN_)
        return place_of_syn(env, f, s, from, opened);
    return PLACE_NONE;
}

/* ---- what it tells of its sender ---- */

/* place_enter: this end is in state `next` now. => CR_STATE if it was in another. */
static inline uint8_t place_enter(struct flow_side *sd, uint8_t next)
{
    bool moved = next != sd->state;

    sd->state = next;
    return moved ? CR_STATE : 0;
}

/* place_acks_fin: does it acknowledge the FIN of this end? */
static inline bool place_acks_fin(struct flow_side *of, const struct seg *s)
{
    return (of->flags & SIDE_FIN_SENT) && seq_lt(ctr_of(of)->fin, s->ack);
}

/* place_send_syn: of a SYN or SYN/ACK. place_send_next: of any other. */
void place_send_syn(struct conn_pkt *cp);
static inline void place_send_next(struct conn_pkt *cp, struct ends e)
{
    const struct seg *s = cp->s;
    struct flow_ctr *c = ctr_of(e.snd);
    const uint32_t edge = plain_acks(e.snd, s);
    const struct fsm_query q = {.state = e.snd->state,
                                .tflags = s->tflags,
                                .strict = cp->f->flags & FLOW_STRICT,
                                .payload = s->plen > 0,
                                .acks_fin = place_acks_fin(e.rcv, s)};

    cp->first_ack = !(e.snd->flags & SIDE_ACKED);
    c->edge = e.snd->flags & SIDE_EDGE ? seq_max(c->edge, edge) : edge;
    e.snd->flags |= SIDE_ACKED | SIDE_EDGE;
    if (!(e.rcv->flags & SIDE_FIN_SENT))
        plain_echo(ctr_of(e.rcv), s);
    cp->snd = place_enter(e.snd, fsm_send(&q));
}

/* place_send: as conn_send, if cp->in_place is set. */
static inline void place_send(const struct conn_env *env, struct conn_pkt *cp, struct ends e)
{
    plain_seen(env, cp, ctr_of(e.snd));
    if (likely(cp->in_place == PLACE_NEXT))
        place_send_next(cp, e);
    else
        place_send_syn(cp);
}

/* ---- what it does to its receiver ---- */

/* place_recv_syn, place_recv_next: likewise. */
void place_recv_syn(struct conn_pkt *cp);

/* place_recv_fin: it ends the stream at once. What TS.Recent was then stays. */
static inline void place_recv_fin(struct conn_pkt *cp, struct ends e)
{
    struct flow_ctr *c = ctr_of(e.snd);

    c->tsval = c->echoed;
    c->fin = cp->s->seq + cp->s->plen;
    e.snd->flags |= SIDE_FIN_SENT;
    e.rcv->flags |= SIDE_FIN_RCVD;
}

static inline void place_recv_next(struct conn_pkt *cp, struct ends e)
{
    const struct seg *s = cp->s;
    const bool ended = e.rcv->flags & SIDE_FIN_RCVD;
    struct fsm_query q = {.state = e.rcv->state,
                          .tflags = s->tflags,
                          .strict = cp->f->flags & FLOW_STRICT,
                          .payload = s->plen > 0,
                          .ack_of_syn = seq_lt(e.snd->base - 1, s->ack),
                          .ack_of_fin = place_acks_fin(e.rcv, s)};

    cp->off = (int64_t)e.rcv->next + ended;
    e.snd->snd_max = s->seq + seg_slen(s);
    if (s->tflags & TH_FIN_)
        place_recv_fin(cp, e);
    else if (!ended)
        plain_stamp(ctr_of(e.snd), s);
    q.fin_here = e.rcv->flags & SIDE_FIN_RCVD;
    cp->rcv = place_enter(e.rcv, fsm_recv(&q));
}

/* place_recv: as conn_recv. plain_merge goes on. */
static inline void place_recv(struct conn_pkt *cp, struct ends e)
{
    if (likely(cp->in_place == PLACE_NEXT))
        place_recv_next(cp, e);
    else
        place_recv_syn(cp);
}

#endif
