// SPDX-License-Identifier: BSD-2-Clause
/*
 * reuse.c: a SYN on the key of a flow that we still follow. Is the old connection over, so that a new
 * one begins?
 *
 * If both ends have closed it is. If not, the SYN says nothing by itself: anybody can send one, and a
 * host that is in a connection answers it with a challenge ACK at most (RFC 5961 4). So it is kept,
 * and the flow goes on, until somebody shows that he believed it: a SYN/ACK of exactly this SYN comes
 * from no end of the old connection. Then the old flow ends (MOS_END_REUSE), and the new one begins
 * with its SYN known. Strict does so only where the old connection was never answered, both ends
 * have sent FIN, or neither has said anything for long, to the SYN neither: as long as it lives, no end
 * of it can answer another SYN but with a challenge ACK, and all passes us.
 */
#include "conn/conn_int.h"

/* An end may have forgotten a connection that is silent for so long (Linux: tcp_fin_timeout). */
#define FORGOTTEN_NS (60 * NSEC_PER_SEC)

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

/* kept_as: where this SYN is kept, the oldest making room. */
static struct flow_syn *kept_as(struct flow_ext *x, const struct seg *s, int from)
{
    struct flow_syn *k;

    for (int i = 0; i < x->nsyn; i++)
        if (x->syn[i].isn == s->seq && x->syn[i].from == from)
            return &x->syn[i];
    k = &x->syn[x->next_syn];
    x->next_syn = (uint8_t)((x->next_syn + 1) % FLOW_SYNS);
    x->nsyn += x->nsyn < FLOW_SYNS;
    *k = (struct flow_syn){.isn = s->seq, .from = (uint8_t)from};
    return k;
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

static void keep(struct conn_env *env, struct flow *f, const struct seg *s, int from, bool quiet)
{
    struct flow_ext *x = conn_ext(env, f);
    struct flow_syn *k;

    if (x == NULL)
        return;
    k = kept_as(x, s, from);
    k->len = s->plen;
    k->ip_len = s->ip_len;
    k->tsval = s->flags & SEG_TS ? s->tsval : 0;
    k->quiet = quiet;
    k->wnd = s->win;
    k->wscale = s->flags & SEG_WSCALE ? s->wscale : 0;
    k->flags = (uint16_t)((s->flags & SEG_TS ? SIDE_TS_OK : 0) |
                          (s->flags & SEG_SACKOK ? SIDE_SACK_OK : 0) |
                          (s->flags & SEG_WSCALE ? SIDE_WSCALE_OK : 0));
    if (k->times == 0) {
        k->first = s->pb->ts_ns;
        k->tsfirst = k->tsval;
    }
    if (k->times == 0 || f->last != k->f_last) {
        k->f_last = f->last;
        k->f_behind = x->behind;
    }
    k->times += k->times < UINT16_MAX;
}

/* disown: the SYN was counted for the old flow, which it does not belong to. */
static void disown(const struct conn_env *env, struct flow *f, struct flow_ext *x,
                   const struct flow_syn *k)
{
    struct flow_ctr *c = &f->ctr[k->from];

    if (c->packets >= k->times)
        c->packets -= k->times;
    if (!env->no_counts) {
        c->ip_bytes -= (uint64_t)k->times * k->ip_len;
        c->payload -= (uint64_t)k->times * k->len;
    }
    if (f->last == k->f_last)
        x->behind = k->f_behind;
}

/* unanswered: has nobody answered the SYN that opened the flow? */
static bool unanswered(const struct flow *f)
{
    return !(f->flags & (FLOW_SYNACK | FLOW_MIDSTREAM)) && f->side[CLI].state == FS_SYN_SENT;
}

/*
 * embryo: a SYN within the window of an end that is not connected yet: Linux resets it and forgets the
 * connection (tcp_check_req; RFC 9293 3.10.7.4, step 4: back to LISTEN). Its reset tells that it got it.
 */
static bool embryo(const struct flow *f, const struct seg *s, int from)
{
    return f->side[!from].state == FS_SYN_RCVD && base_known(f, !from) &&
           in_window(f, !from, s->seq);
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

static bool syn_reuses(struct conn_env *env, struct flow *f, const struct seg *s, int from)
{
    bool strict = env->cfg.strict || (f->flags & FLOW_STRICT), known = known_isn(f, s, from);
    bool gives_up, over, sure;

    if (s->tflags & TH_FIN_)
        return false; /* no SYN that a host takes */
    if (f->flags & FLOW_ENDED)
        return true;
    over =
        (f->flags & FLOW_LINGER) || (fsm_done(f->side[CLI].state) && fsm_done(f->side[SVR].state));
    if (over && lets_in(f, s, from))
        return true;
    if (known ? !over && !both_closed(f) : !base_known(f, !from) && !over)
        return false; /* once more; or its first: simultaneous open (RFC 9293 3.5) */
    gives_up = unanswered(f) && from == CLI;
    if (f->flags & FLOW_NAT) /* the answer will come under the other key: no waiting for it */
        return gives_up || (both_closed(f) && !known);
    sure = gives_up || over || both_closed(f) || embryo(f, s, from);
    if (sure ||
        ((conn_rst_due(env, f) || !in_window(f, !from, s->seq)) && (!strict || silent(env, f))))
        keep(env, f, s, from, strict && !sure);
    return false;
}

/*
 * of_the_old: may the old connection have sent this ACK? A challenge ACK repeats the numbers of the
 * connection that lives, and they may lie behind the SYN's.
 */
static bool of_the_old(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *snd = &f->side[from], *rcv = &f->side[!from];

    return base_known(f, from) && seq_leq(snd->base, s->ack) &&
           seq_leq(s->ack, rcv->snd_max + tcp_window(snd->max_wnd, snd->wscale));
}

/*
 * answers: does this segment show that its sender, or the other end, believed the SYN? A SYN/ACK of
 * it; a reset of it, if nothing else was answered and acknowledged; tolerant, where the SYN/ACK may have passed unseen:
 * an ACK of what its sender has sent since, or its sender going on behind it.
 */
static bool answers(const struct conn_env *env, const struct flow *f, const struct flow_syn *k,
                    const struct seg *s, int from)
{
    uint32_t first = k->isn + 1;
    bool of_it = (s->tflags & TH_ACK_) && s->ack - first <= k->len;

    if (k->quiet && !silent(env, f))
        return false;
    if (from == k->from)
        return !(f->flags & FLOW_STRICT) && unanswered(f) && s->seq == first &&
               (s->tflags & (TH_SYN_ | TH_RST_ | TH_ACK_)) == TH_ACK_;
    if (s->tflags & TH_SYN_) /* not the old one again, where the SYN has the old one's number */
        return of_it && !(known_isn(f, s, from) && first == f->side[from].base);
    if (s->tflags & TH_RST_)
        return of_it && (unanswered(f) || f->side[from].state == FS_SYN_RCVD);
    return !(f->flags & FLOW_STRICT) && (s->tflags & TH_ACK_) && s->ack - first <= UINT16_MAX &&
           !of_the_old(f, s, from);
}

bool conn_reuse(struct conn_env *env, struct flow *f, const struct seg *s, int from)
{
    struct flow_ext *x;

    if (ip_refuses(f, s, from))
        return false;
    if (unlikely(is_syn(s)))
        return syn_reuses(env, f, s, from);
    x = f->ext ? conn_ext(env, f) : NULL;
    for (int i = 0; x && i < x->nsyn; i++)
        if (answers(env, f, &x->syn[i], s, from)) {
            env->kept = x->syn[i];
            disown(env, f, x, &env->kept);
            env->kept.from = x->syn[i].from == from; /* from here on: does the client answer? */
            env->answered = true;
            return true;
        }
    return false;
}
