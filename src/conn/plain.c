// SPDX-License-Identifier: BSD-2-Clause
/*
 * plain.c: the short way. Most segments are the next bytes in order, or an ACK alone, between two ends
 * that are connected, with nothing out of order, nothing closing, nothing kept for later. For them the
 * long way (track.c, judge.c, rexmit.c, merge.c) asks a few dozen questions whose answer is no; here
 * they are asked at once, in conn_is_plain, and what is left of the long way is written straight down.
 *
 * It is a short cut and no second truth: for a segment that passes the test both ways leave the same
 * bytes in the record (test_plain compares them after each segment). What the short way does not know,
 * it does not take.
 */
#include "conn/conn_int.h"

#define NEVER_PLAIN  (FLOW_ENDED | FLOW_LINGER | FLOW_HALF | FLOW_RST)
#define BASES        (FLOW_BASE_CLI | FLOW_BASE_SVR)
#define SIDE_NEEDED  (SIDE_ACKED | SIDE_SPOKE | SIDE_EDGE)
#define SIDE_STRANGE (SIDE_FIN_SENT | SIDE_FIN_RCVD | SIDE_LAST)
#define PB_STRANGE   (PB_CHANGED | PB_DATAGRAM)
#define SEG_STRANGE  (SEG_AUTH | SEG_HDR_CUT | SEG_IP_DROPPED | SEG_IP_LINUX)
#define PLAIN_IDLE   (600 * NSEC_PER_SEC) /* timestamps do not grow old before */

/* plain_segment: by itself: an ACK, with bytes or without, all of it captured, in order of time. */
static inline bool plain_segment(const struct conn_env *env, const struct seg *s)
{
    return (s->tflags & ~(TH_PSH_ | TH_ECE_ | TH_CWR_)) == TH_ACK_ && s->nsack == 0 &&
           s->pcap == s->plen && !(s->flags & SEG_STRANGE) && !(s->pb->flags & PB_STRANGE) &&
           s->pb->ts_ns >= env->now;
}

/* plain_flow: both ends connected, nothing rare about them, and not idle for too long. */
static inline bool plain_flow(const struct conn_env *env, const struct flow *f)
{
    const struct flow_side *a = &f->side[CLI], *b = &f->side[SVR];
    uint64_t idle = env->now - f->last;

    return (f->flags & (NEVER_PLAIN | BASES)) == BASES && f->ext == 0 && !f->timed &&
           ((a->state ^ FS_ESTABLISHED) | (b->state ^ FS_ESTABLISHED)) == 0 &&
           (a->flags & b->flags & SIDE_NEEDED) == SIDE_NEEDED &&
           !((a->flags | b->flags) & SIDE_STRANGE) && idle <= env->cfg.idle_ns && idle < PLAIN_IDLE;
}

/* calm: nothing waits above what is in order on this side, and nothing is set aside. */
static inline bool calm(const struct conn_env *env, const struct flow_side *sd)
{
    const struct strm *s;

    if (likely(sd->strm == 0))
        return true;
    s = strm_at(&env->se, sd->strm);
    return s->ooo == 0 && s->syn_len == 0;
}

/*
 * plain_place: the next bytes in order, and inside the window; the ACK is no older than the last one,
 * and of what has come; all that either end has acknowledged is here.
 */
static inline bool plain_place(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *snd = &f->side[from], *rcv = &f->side[!from];

    return s->seq == rcv->base + (uint32_t)rcv->next && s->seq == snd->snd_max &&
           seq_leq(rcv->ack, s->seq) && seq_leq(s->seq + s->plen, f->ctr[!from].edge) &&
           seq_leq(snd->ack, s->ack) && seq_diff(rcv->snd_max, s->ack) >= 0 &&
           seq_leq(s->ack, snd->base + (uint32_t)snd->next);
}

/* plain_stamps: none, or agreed by both ends and not older than what has been echoed. */
static inline bool plain_stamps(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_ctr *c = &f->ctr[from];

    if (!(s->flags & SEG_TS))
        return true;
    return (f->side[CLI].flags & f->side[SVR].flags & SIDE_TS_OK) && c->tsval != 0 &&
           !seq_lt(s->tsval, c->echoed);
}

bool conn_is_plain(const struct conn_env *env, const struct flow *f, const struct seg *s, int from)
{
    return plain_segment(env, s) && plain_flow(env, f) && plain_place(f, s, from) &&
           plain_stamps(f, s, from) && f->ctr[from].packets != UINT32_MAX &&
           calm(env, &f->side[CLI]) && calm(env, &f->side[SVR]) && !env->cfg.long_way;
}

void plain_send(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from];
    struct flow_ctr *c = &f->ctr[cp->from], *other = &f->ctr[cp->to];
    uint32_t edge = s->ack + tcp_window(s->win, snd->wscale);

    cp->idle = env->now - f->last;
    f->last = env->now;
    f->flags = (uint16_t)((f->flags & ~(FLOW_IDLE_TOLD | FLOW_LAST_SVR)) |
                          (cp->to == SVR ? FLOW_LAST_SVR : 0));
    c->packets++;
    if (likely(!env->no_counts)) {
        c->ip_bytes += s->ip_len;
        c->payload += s->plen;
    }
    snd->ack = s->ack;
    snd->wnd = s->win;
    snd->max_wnd = s->win > snd->max_wnd ? s->win : snd->max_wnd;
    c->edge = seq_max(c->edge, edge);
    if ((s->flags & SEG_TS) && seq_lt(other->echoed, s->tsecr) && seq_leq(s->tsecr, other->tsval))
        other->echoed = s->tsecr;
}

/* still_plain: what callbacks at SND can have done to the packet and its flow. */
static inline bool still_plain(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;

    return !(cp->s->pb->flags & PB_STRANGE) && !(f->flags & NEVER_PLAIN) && f->ext == 0 &&
           !((f->side[CLI].flags | f->side[SVR].flags) & SIDE_STRANGE) &&
           calm(env, &f->side[CLI]) && calm(env, &f->side[SVR]);
}

bool plain_recv(const struct conn_env *env, struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_ctr *c = &cp->f->ctr[cp->from];

    if (unlikely(!still_plain(env, cp)))
        return false;
    cp->off = (int64_t)cp->f->side[cp->to].next;
    cp->f->side[cp->from].snd_max = s->seq + s->plen;
    if ((s->flags & SEG_TS) && seq_lt(c->tsval, s->tsval))
        c->tsval = s->tsval;
    return true;
}

void plain_merge(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];

    if (snd->strm)
        strm_ack(&env->se, snd, conn_acked(f, cp->from));
    if (rcv->strm == 0 && !(rcv->flags & SIDE_WANTED))
        rcv->next += cp->s->plen;
    else if (cp->s->plen)
        conn_insert(env, cp);
    age_hole(env, rcv);
    age_hole(env, snd);
}
