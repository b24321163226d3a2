// SPDX-License-Identifier: BSD-2-Clause
#include "conn/place.h"

#include "conn/conn_int.h"
#include "conn/plain.h"

#define PLACE_SEEN (FLOW_SYN | FLOW_SYNACK | FLOW_BASE_CLI | FLOW_BASE_SVR)
#define PLACE_ALL  (PLACE_SEEN | FLOW_MIDSTREAM | PLAIN_GONE)
#define PLACE_TOLD (SIDE_SPOKE | SIDE_ACKED | SIDE_EDGE | SIDE_TS_OK | SIDE_WSCALE_OK)

/* ---- is it? ---- */

/* opens: the SYN of a flow of which nothing else is known. */
static bool opens(const struct flow *f, const struct seg *s)
{
    const struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    return s->plen == 0 && !(f->flags & PLACE_ALL) && !((cli->flags | svr->flags) & PLACE_TOLD) &&
           cli->state == FS_CLOSED && svr->state == FS_LISTEN;
}

/* answers: the SYN/ACK, after one SYN, which it acknowledges; nothing else has been sent. */
static bool answers(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];
    const struct flow_ctr *c = &f->ctr[CLI];

    return from == SVR && s->plen == 0 && (f->flags & PLACE_ALL) == (FLOW_SYN | FLOW_BASE_SVR) &&
           cli->state == FS_SYN_SENT && svr->state == FS_SYN_RCVD && !(svr->flags & PLACE_TOLD) &&
           (cli->flags & (SIDE_SPOKE | SIDE_ACKED | SIDE_EDGE)) == SIDE_SPOKE && svr->next == 0 &&
           s->ack == svr->base && s->ack == cli->snd_max &&
           (!(s->flags & SEG_TS) || !(cli->flags & SIDE_TS_OK) ||
            (s->tsecr == c->tsval && s->tsecr == c->echoed));
}

/* stamps: as plain_stamps. Behind a FIN its sender's do not move any more. */
static bool stamps(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *snd = &f->side[from], *rcv = &f->side[!from];
    const struct flow_ctr *c = &f->ctr[from], *other = &f->ctr[!from];

    if (!(s->flags & SEG_TS))
        return true;
    if (!(snd->flags & rcv->flags & SIDE_TS_OK) || c->tsval == 0 || seq_lt(s->tsval, c->tsval) ||
        (!(snd->flags & SIDE_FIN_SENT) && seq_lt(s->tsval, c->echoed)))
        return false;
    if (rcv->state == FS_SYN_RCVD && s->tsecr != other->tsval)
        return false;
    return (rcv->flags & SIDE_FIN_SENT) || seq_leq(s->tsecr, other->tsval);
}

/*
 * follows: both SYNs were seen, and it is the next of its sender, whole, and inside the window; it acknowledges
 * no less than before and what has come. Behind the sender's FIN only ACKs follow.
 */
static bool follows(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *snd = &f->side[from], *rcv = &f->side[!from];
    const bool ended = rcv->flags & SIDE_FIN_RCVD;
    const uint32_t fin = s->tflags & TH_FIN_, len = s->plen + fin, next = next_seq(f, !from);

    _Static_assert(TH_FIN_ == 1, "as a length");
    return (f->flags & (PLACE_SEEN | PLAIN_GONE)) == PLACE_SEEN &&
           (rcv->state > FS_SYN_RCVD || (rcv->state == FS_SYN_RCVD && from == CLI)) &&
           (snd->flags & rcv->flags & SIDE_SPOKE) && (rcv->flags & SIDE_EDGE) &&
           ended == !!(snd->flags & SIDE_FIN_SENT) && (!ended || len == 0) && s->seq == next &&
           s->seq == snd->snd_max && (!(rcv->flags & SIDE_ACKED) || seq_leq(rcv->ack, next)) &&
           seq_leq(s->seq + len, f->ctr[!from].edge) &&
           seq_leq(snd->flags & SIDE_ACKED ? snd->ack : snd->base, s->ack) &&
           seq_diff(rcv->snd_max, s->ack) >= 0 && seq_leq(s->ack, next_seq(f, from)) &&
           stamps(f, s, from);
}

enum conn_place conn_place(const struct conn_env *env, const struct flow *f, const struct seg *s,
                           int from, bool opened)
{
    if (s->nsack || s->pcap != s->plen || (s->flags & PLAIN_NO_SEG) ||
        (s->pb->flags & PLAIN_NO_PB) || s->pb->ts_ns < env->now || f->asks || f->timed ||
        env->now - f->last >= env->plain_ns || f->ctr[from].packets == UINT32_MAX ||
        ((f->side[CLI].flags | f->side[SVR].flags) & SIDE_LAST) || !plain_streams_calm(env, f))
        return PLACE_NONE;
    switch (s->tflags & ~(TH_PSH_ | TH_ECE_ | TH_CWR_)) {
    case TH_ACK_:
    case TH_ACK_ | TH_FIN_:
        return !opened && follows(f, s, from) ? PLACE_NEXT : PLACE_NONE;
    case TH_SYN_:
        return opened && opens(f, s) ? PLACE_SYN : PLACE_NONE;
    case TH_SYN_ | TH_ACK_:
        return !opened && answers(f, s, from) ? PLACE_SYNACK : PLACE_NONE;
    default:
        return PLACE_NONE;
    }
}

/* ---- what it tells of its sender ---- */

/* send_syn: the number of the first byte that it will send, and options. */
static void send_syn(struct conn_pkt *cp)
{
    struct flow *f = cp->f;

    f->flags |= FLOW_SYN | FLOW_BASE_SVR;
    f->side[SVR].base = cp->s->seq + 1;
    conn_note_options(cp);
    f->side[CLI].wnd = cp->s->win;
    conn_note_max(&f->side[CLI], cp->s);
    f->side[CLI].state = FS_SYN_SENT;
    cp->first_syn = true;
    cp->snd = CR_CONN_START | CR_STATE;
}

/* send_synack: likewise; what the client's SYN has offered begins here. Windows of SYNs are not scaled. */
static void send_synack(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow *f = cp->f;
    struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    f->flags |= FLOW_SYNACK | FLOW_BASE_CLI;
    cli->base = s->seq + 1;
    if (cli->wnd) {
        cli->flags |= SIDE_EDGE;
        f->ctr[CLI].edge = s->seq + 1 + cli->wnd;
    }
    conn_note_options(cp);
    svr->flags |= SIDE_ACKED | SIDE_EDGE;
    svr->ack = s->ack;
    svr->wnd = s->win;
    conn_note_max(svr, s);
    f->ctr[SVR].edge = s->ack + s->win;
    cp->first_ack = true;
}

/* enter: this end is in state `next` now. => CR_STATE if it was in another. */
static inline uint8_t enter(struct flow_side *sd, uint8_t next)
{
    bool moved = next != sd->state;

    sd->state = next;
    return moved ? CR_STATE : 0;
}

static bool acks_fin(const struct flow *f, const struct seg *s, int of)
{
    return (f->side[of].flags & SIDE_FIN_SENT) && seq_lt(f->ctr[of].fin, s->ack);
}

static void send_next(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow *f = cp->f;
    struct flow_side *snd = &f->side[cp->from];
    struct flow_ctr *c = &f->ctr[cp->from];
    const uint32_t edge = plain_acks(snd, s);
    const struct fsm_query q = {.state = snd->state,
                                .tflags = s->tflags,
                                .strict = f->flags & FLOW_STRICT,
                                .payload = s->plen > 0,
                                .acks_fin = acks_fin(f, s, cp->to)};

    cp->first_ack = !(snd->flags & SIDE_ACKED);
    c->edge = snd->flags & SIDE_EDGE ? seq_max(c->edge, edge) : edge;
    snd->flags |= SIDE_ACKED | SIDE_EDGE;
    if (!(f->side[cp->to].flags & SIDE_FIN_SENT))
        plain_echo(&f->ctr[cp->to], s);
    cp->snd = enter(snd, fsm_send(&q));
}

void place_send(const struct conn_env *env, struct conn_pkt *cp)
{
    plain_seen(env, cp);
    if (cp->in_place == PLACE_NEXT)
        send_next(cp);
    else if (cp->in_place == PLACE_SYN)
        send_syn(cp);
    else
        send_synack(cp);
}

/* ---- what it does to its receiver ---- */

/* recv_syn: the SYN, or the SYN/ACK. */
static void recv_syn(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow *f = cp->f;
    struct flow_side *snd = &f->side[cp->from];

    snd->snd_max = s->seq + 1;
    snd->flags |= SIDE_SPOKE;
    if (s->flags & SEG_TS) {
        f->ctr[cp->from].tsval = f->ctr[cp->from].echoed = s->tsval;
        snd->flags |= SIDE_TS_OK;
    }
    cp->rcv = CR_STATE | (cp->in_place == PLACE_SYN ? CR_CONN_START : 0);
    f->side[cp->to].state = cp->in_place == PLACE_SYN ? FS_SYN_RCVD : FS_ESTABLISHED;
}

/* recv_fin: it ends the stream at once. What TS.Recent was then stays. */
static void recv_fin(struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    struct flow_ctr *c = &f->ctr[cp->from];

    c->tsval = c->echoed;
    c->fin = cp->s->seq + cp->s->plen;
    f->side[cp->from].flags |= SIDE_FIN_SENT;
    f->side[cp->to].flags |= SIDE_FIN_RCVD;
}

static void recv_next(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow *f = cp->f;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];
    const bool ended = rcv->flags & SIDE_FIN_RCVD;
    struct fsm_query q = {.state = rcv->state,
                          .tflags = s->tflags,
                          .strict = f->flags & FLOW_STRICT,
                          .payload = s->plen > 0,
                          .ack_of_syn = seq_lt(snd->base - 1, s->ack),
                          .ack_of_fin = acks_fin(f, s, cp->to)};

    cp->off = (int64_t)rcv->next + ended;
    snd->snd_max = s->seq + seg_slen(s);
    if (s->tflags & TH_FIN_)
        recv_fin(cp);
    else if (!ended)
        plain_stamp(&f->ctr[cp->from], s);
    q.fin_here = rcv->flags & SIDE_FIN_RCVD;
    cp->rcv = enter(rcv, fsm_recv(&q));
}

void place_recv(struct conn_pkt *cp)
{
    if (cp->in_place == PLACE_NEXT)
        recv_next(cp);
    else
        recv_syn(cp);
}
