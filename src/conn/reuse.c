// SPDX-License-Identifier: BSD-2-Clause
/*
 * reuse.c: a SYN on the key of a flow that we still follow. Is the old connection over, so that a new
 * one begins?
 *
 * If both ends have closed it is. If not, the SYN says nothing by itself: anybody can send one, and a
 * host that is in a connection answers it with a challenge ACK at most (RFC 5961 4). Nor does a SYN/ACK: who
 * forges the one forges the other. So they are kept (kept.c), and the flow goes on, until the SYN's
 * sender acknowledges the SYN/ACK. Then the old flow ends (MOS_END_REUSE), and the new one begins with
 * both known. Strict does so only where no byte of the old connection was acknowledged, both ends have sent FIN, or
 * neither has said anything for long: as long as it lives, no end of it can answer another SYN but
 * with a challenge ACK, and all passes us.
 *
 * All three can be forged. So what makes way is kept in turn, and comes back when its ends go on.
 */
#include "conn/conn_int.h"

/* An end may have forgotten a connection that is silent for so long (Linux: tcp_fin_timeout). */
#define FORGOTTEN_NS (60 * NSEC_PER_SEC)
#define ELSEWHERE    8 /* segments of each end that show that it is elsewhere (as in far.c) */

/* in_window: is the SYN's number one that the receiver could take for data? */
static bool in_window(const struct flow *f, int side, uint32_t seq)
{
    const struct flow_side *rcv = &f->side[side];
    uint32_t next = next_seq(f, side), lo = next, edge = next;

    if ((rcv->flags & SIDE_ACKED) && seq_lt(rcv->ack, lo))
        lo = rcv->ack;
    if ((rcv->flags & SIDE_EDGE) && seq_lt(next, f->ctr[side].edge))
        edge = f->ctr[side].edge;
    return seq_in(seq, lo - 1, edge - lo + 2);
}

/*
 * lets_in: both ends have finished. Whoever is CLOSED takes any SYN; in TIME_WAIT one that cannot be
 * an old duplicate: it lies behind the old connection's numbers (RFC 9293 3.10.7.4, MAY-2) or is
 * younger by its timestamp (RFC 6191), as Linux does (tcp_timewait_state_process).
 */
static bool lets_in(const struct flow *f, const struct seg *s, int from)
{
    if (f->side[!from].state != FS_TIME_WAIT)
        return true;
    if ((s->flags & SEG_TS) && (f->side[from].flags & SIDE_TS_OK)) {
        uint32_t recent = ts_recent(f, from);

        if (seq_lt(s->tsval, recent))
            return false;
        if (seq_lt(recent, s->tsval))
            return true;
    }
    return seq_lt(next_seq(f, !from), s->seq);
}

/*
 * silent: may an end have forgotten the connection, or closed it on a RST? What is refused, the SYN
 * itself, does not break the silence.
 */
static bool silent(const struct conn_env *env, const struct flow *f)
{
    return env->now - f->last >=
           (conn_rst_due(env, f) ? env->cfg.gap_timeout_ns : (uint64_t)FORGOTTEN_NS);
}

/* unanswered: has nobody answered the SYN that opened the flow? */
static bool unanswered(const struct flow *f)
{
    return !(f->flags & (FLOW_SYNACK | FLOW_MIDSTREAM)) && f->side[CLI].state == FS_SYN_SENT;
}

/* known_isn: a SYN or SYN/ACK of the number that its sender's first had? */
static bool known_isn(const struct flow *f, const struct seg *s, int from)
{
    return base_known(f, !from) && s->seq + 1 == f->side[!from].base;
}

static bool both_closed(const struct flow *f)
{
    return f->side[CLI].flags & f->side[SVR].flags & SIDE_FIN_SENT;
}

static bool is_over(const struct flow *f)
{
    return (f->flags & FLOW_LINGER) ||
           (fsm_done(f->side[CLI].state) && fsm_done(f->side[SVR].state));
}

static bool is_strict(const struct conn_env *env, const struct flow *f)
{
    return env->cfg.strict || (f->flags & FLOW_STRICT);
}

/* yields: does nothing say that the flow lives? A SYN then is kept, wherever it is. */
static bool yields(const struct conn_env *env, const struct flow *f)
{
    return is_over(f) || both_closed(f) || !conn_proven(env, f);
}

static bool syn_reuses(struct conn_env *env, struct flow *f, const struct seg *s, int from)
{
    bool known = known_isn(f, s, from), over = is_over(f);

    if ((s->tflags & TH_FIN_) || (known && !syn_seen(f, from)))
        return false; /* no SYN that a host takes; the flow's own, out of order */
    if (f->flags & FLOW_ENDED)
        return true;
    if (over && lets_in(f, s, from))
        return true;
    if (known ? !over && !both_closed(f) : !base_known(f, !from) && !over)
        return false;        /* once more; or its first: simultaneous open (RFC 9293 3.5) */
    if (f->flags & FLOW_NAT) /* the answer will come under the other key: no waiting for it */
        return (unanswered(f) && from == CLI) || (both_closed(f) && !known);
    if (yields(env, f) || conn_rst_due(env, f) || !in_window(f, !from, s->seq))
        kept_add(env, f, s, from);
    return false;
}

/*
 * of_the_old: may the old connection have sent this ACK? A challenge ACK repeats the numbers of the
 * connection that lives, and they may lie behind the SYN's. Older than a window, or what may have
 * passed unseen, is none that is under way.
 */
static bool of_the_old(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *snd = &f->side[from], *rcv = &f->side[!from];
    uint32_t window = tcp_window(snd->max_wnd, snd->wscale);
    uint64_t back = (uint64_t)window + UNSEEN_SLACK;
    uint32_t oldest = snd->base + (uint32_t)(snd->next - (back < snd->next ? back : snd->next));

    return base_known(f, from) && seq_leq(oldest, s->ack) && seq_leq(s->ack, rcv->snd_max + window);
}

/*
 * goes_with: an end that believed the SYN, and the other's answer, sends segments like this one; or one that is still
 * where the connection was.
 */
static bool goes_with(const struct flow_syn *k, const struct seg *s, int from)
{
    bool live = k->shown & KEPT_LIVE, client = from == k->from;
    uint32_t back = live ? UINT16_MAX : 0, reach = back + 1 + (live ? UNSEEN_SLACK : UINT16_MAX);
    uint32_t own = (client ? k->isn : k->answer.isn) + 1 - back;
    uint32_t peer = (client ? k->answer.isn : k->isn) + 1 - back;

    return k->shown && (s->tflags & (TH_SYN_ | TH_RST_ | TH_ACK_)) == TH_ACK_ &&
           seq_in(s->seq, own, reach) && seq_in(s->ack, peer, reach);
}

/* exactly: is it the ACK of that SYN/ACK? */
static bool exactly(const struct flow_syn *k, const struct seg *s, int from)
{
    return (k->shown & KEPT_SYNACK) && from == k->from && s->seq == k->isn + 1 &&
           s->ack == k->answer.isn + 1;
}

/* fits_here: or is the flow where this segment is? */
static bool fits_here(const struct flow *f, const struct seg *s, int from)
{
    return base_known(f, !from) && of_the_old(f, s, from) &&
           seq_in(s->seq, next_seq(f, !from) - UINT16_MAX, 2 * UINT16_MAX);
}

/*
 * may_go: may the flow make way, once both ends go by what was kept? One that lives does not, if we have seen
 * everything: its ends answer nothing but with challenge ACKs, and all that is shown is forged. But
 * the flow may be what was forged, and then both ends go on elsewhere, and say nothing here.
 */
static bool may_go(const struct conn_env *env, const struct flow *f, const struct flow_syn *k)
{
    if (yields(env, f) || (!is_strict(env, f) && !(k->shown & KEPT_LIVE)) || silent(env, f))
        return true;
    return k->said[CLI] >= ELSEWHERE && k->said[SVR] >= ELSEWHERE;
}

/* says: one more segment that goes with it, and none was taken here meanwhile. */
static void says(const struct flow *f, struct flow_syn *k, int from)
{
    if (k->f_said != f->last)
        k->said[CLI] = k->said[SVR] = 0;
    k->f_said = f->last;
    k->said[from] += k->said[from] < ELSEWHERE;
}

/*
 * unseen: tolerant: the SYN/ACK may have passed unseen. An end goes on behind the SYN, or acknowledges what
 * followed it: noted, for the other end to confirm. => the SYN counts at once: nobody has answered the flow's own.
 */
static bool unseen(const struct conn_env *env, const struct flow *f, struct flow_syn *k,
                   const struct seg *s, int from)
{
    bool client = from == k->from;
    uint32_t first = k->isn + 1;

    if (is_strict(env, f) || (k->shown & (KEPT_LIVE | KEPT_SYNACK)) ||
        (s->tflags & (TH_SYN_ | TH_RST_ | TH_ACK_)) != TH_ACK_)
        return false;
    if (client ? s->seq != first : s->ack - first > UINT16_MAX || of_the_old(f, s, from))
        return false;
    k->shown = client ? KEPT_ACK : KEPT_ACKED;
    k->answer.isn = (client ? s->ack : s->seq) - 1;
    return unanswered(f);
}

/*
 * counts: does this segment, no SYN, show that a kept SYN was believed? Its sender acknowledges the
 * SYN/ACK; or that passed unseen, and both ends have gone on by now.
 */
static bool counts(const struct conn_env *env, const struct flow *f, struct flow_syn *k,
                   const struct seg *s, int from)
{
    bool last = k->shown == KEPT_ACK ? from != k->from : from == k->from;

    if (!goes_with(k, s, from))
        return unseen(env, f, k, s, from);
    if (fits_here(f, s, from) && !exactly(k, s, from))
        return false;
    says(f, k, from);
    return last && may_go(env, f, k);
}

/*
 * reset: is this the RST of a kept SYN, from an end that is not connected? It was within that end's window: Linux resets
 * the connection and forgets it (tcp_check_req; RFC 9293 3.10.7.4, step 4: back to LISTEN).
 */
static bool resets(const struct flow *f, const struct flow_syn *k, const struct seg *s, int from)
{
    return from != k->from && (s->tflags & TH_RST_) && (s->tflags & TH_ACK_) &&
           !(k->shown & KEPT_LIVE) && s->ack - (k->isn + 1) <= k->len &&
           f->side[from].state == FS_SYN_RCVD && base_known(f, from) && in_window(f, from, k->isn);
}

/* answered: a SYN/ACK of a kept SYN. => that, if it counts at once: nobody speaks for the flow. */
static const struct flow_syn *answered(struct flow *f, struct flow_ext *x, const struct seg *s,
                                       int from)
{
    const struct flow_syn *k;

    /* not the old one again, where the SYN has the old one's number */
    if (known_isn(f, s, from) && base_known(f, from) && s->ack == f->side[from].base)
        return NULL;
    k = kept_answer(x, s, from);
    return k && (is_over(f) || unanswered(f)) ? k : NULL;
}

bool conn_reuse(struct conn_env *env, struct flow *f, const struct seg *s, int from)
{
    const struct flow_syn *k = NULL;
    struct flow_ext *x;

    if (ip_refuses(f, s, from))
        return false;
    if (unlikely(is_syn(s)))
        return syn_reuses(env, f, s, from);
    x = f->ext ? conn_ext(env, f) : NULL;
    if (x && is_synack(s))
        k = answered(f, x, s, from);
    else
        for (int i = 0; x && k == NULL && i < x->nsyn; i++)
            if (counts(env, f, &x->syn[i], s, from) || resets(f, &x->syn[i], s, from))
                k = &x->syn[i];
    if (k == NULL)
        return false;
    kept_choose(env, f, k, s, from);
    return true;
}
