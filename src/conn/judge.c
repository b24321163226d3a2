// SPDX-License-Identifier: BSD-2-Clause
/*
 * judge.c: would its receiver take this segment? The checks of RFC 9293 3.10.7 in the order in which
 * Linux makes them (tcp_validate_incoming, tcp_ack): RST, SYN, timestamps, place, acknowledgement.
 * What is refused is counted and shown, and changes nothing. docs/tcp.md has them as a table.
 *
 * We know what has passed us; the receiver's own variables we know from what it has sent:
 *
 *                     rcv.ack              next          edge
 *      ---- acknowledged |--- has it, or it --|-- window --|---- nobody takes this
 *                        |  was lost behind us             |
 *
 * edge is the highest ACK + window ever offered: the right edge of a window does not move back (RFC
 * 9293 3.8.6.2.1), and what Linux has once offered it takes. Windows of SYNs are not scaled (RFC
 * 7323 2.2).
 *
 * Strict believes only what follows from what passed. Tolerant also believes what follows if packets
 * have passed unseen; it refuses where no loss of ours could make the segment acceptable.
 */
#include "conn/conn_int.h"

/*
 * echo_ok: is the timestamp echoed to an endpoint that is not connected one that it has sent? As Linux
 * (tcp_rcv_synsent_state_process; tcp_check_req since 6.15, which knows the first and the last of them).
 * As long as nothing was echoed, ts_recent is the first.
 */
static bool echo_ok(const struct flow *f, const struct seg *s, int to)
{
    if (!(s->flags & SEG_TS) || !(f->side[to].flags & SIDE_TS_OK))
        return true;
    return ts_echo_sent(s->tsecr, ts_recent(f, to), f->ctr[to].tsval, f->flags & FLOW_STRICT);
}

/*
 * Where the SYN/ACK passed unseen, so may have what the receiver has sent since: up to a window
 * without a scale, that of a SYN/ACK. Where both open Linux takes one of the ISN, too: it is no older
 * than SND.UNA (tcp_ack).
 */
bool ack_of_syn(const struct conn_pkt *cp)
{
    const struct flow_side *snd = &cp->f->side[cp->from], *rcv = &cp->f->side[cp->to];
    bool unseen = !(cp->f->flags & FLOW_STRICT) && !(cp->s->tflags & TH_SYN_);
    bool both = cp->to == CLI && rcv->state == FS_SYN_RCVD && !(cp->s->tflags & TH_SYN_);

    if (!(cp->s->tflags & TH_ACK_) || !base_known(cp->f, cp->from))
        return false;
    return seq_lt(snd->base - (both ? 2 : 1), cp->s->ack) &&
           seq_leq(cp->s->ack, rcv->snd_max + (unseen ? UINT16_MAX : 0));
}

/*
 * A SYN/ACK of another ISN than the one before, whose receiver has acknowledged nothing yet. That one
 * was lost behind us and its sender has forgotten it; it takes this one for the first (RFC 9293
 * 3.10.7.3).
 */
bool new_isn(const struct conn_pkt *cp)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];

    return cp->from == SVR && cp->f->side[SVR].state <= FS_SYN_RCVD && (cp->s->tflags & TH_ACK_) &&
           base_known(cp->f, cp->to) && cp->s->seq + 1 != rcv->base && !(rcv->flags & SIDE_ACKED) &&
           rcv->next == 0 && rcv->strm == 0 && ack_of_syn(cp);
}

/* ---- RST ---- */

/* held_end: the end of what this side has beyond holes; a FIN that waits counts. */
static uint32_t held_end(const struct conn_env *env, const struct flow *f, int side)
{
    const struct flow_side *rcv = &f->side[side];
    uint32_t end = rcv->base + (uint32_t)strm_ooo_end(&env->se, rcv), fin = f->ctr[!side].fin;

    return (f->side[!side].flags & SIDE_FIN_SENT) && seq_leq(end, fin) ? fin + 1 : end;
}

/*
 * held_max: the end of what this side remembers to have beyond holes: all that it has, or what it has told,
 * where there were more stretches than are told.
 */
static uint32_t held_max(const struct conn_env *env, const struct flow *f, int side)
{
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;
    uint32_t nxt = next_seq(f, side), end = nxt;

    if (!strm_ooo_many(&env->se, &f->side[side]))
        return held_end(env, f, side);
    for (int i = 0; x && i < x->dir[side].nsack; i++)
        end = seq_max(end, x->dir[side].sack[i].end);
    return end;
}

/*
 * doubtful: bytes that the receiver has taken or not are set aside where the next ones are expected, and
 * the RST is in front of them or right behind: one of the two numbers is the one that it waits for.
 */
static bool doubtful(const struct conn_env *env, const struct flow_side *rcv, uint32_t seq,
                     uint32_t nxt)
{
    const struct strm *s = rcv->strm ? strm_at(&env->se, rcv->strm) : NULL;

    return s && s->doubted && s->syn_len && s->aside == rcv->next &&
           (seq == nxt || seq == nxt + s->syn_len);
}

static enum rst_verdict rst_verdict(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];
    uint32_t nxt = next_seq(f, cp->to);
    struct rst_query q = {
        .rcv_state = rcv->state,
        .strict = f->flags & FLOW_STRICT,
        .has_ack = s->tflags & TH_ACK_,
        .seq = s->seq,
        .ack = s->ack,
        .rcv_nxt = nxt,
        .rcv_ack = rcv->flags & SIDE_ACKED ? rcv->ack : nxt,
        .snd_first = base_known(f, cp->from) ? snd->base : rcv->snd_max,
        .snd_max = rcv->snd_max,
        .peer_max = snd->flags & SIDE_SPOKE ? snd->snd_max : nxt,
        .held_max = held_max(env, f, cp->to),
        .held_end = held_end(env, f, cp->to),
        .edge = rcv->flags & SIDE_EDGE ? f->ctr[cp->to].edge : nxt + (1u << 30),
        .holes = (snd->flags & rcv->flags & SIDE_SACK_OK) && rcv->strm &&
                 strm_at(&env->se, rcv->strm)->ooo.n,
        .ts_known = (s->flags & SEG_TS) && (rcv->flags & SIDE_TS_OK),
        .tsecr = s->tsecr,
        .rcv_tsval = f->ctr[cp->to].tsval,
        .rcv_first = ts_recent(f, cp->to),
        .answer = snd->state == FS_SYN_SENT && f->ctr[cp->to].packets > 0,
    };

    if (!base_known(f, cp->to) && rcv->state != FS_SYN_SENT)
        return RST_BELIEVED; /* nothing to compare with */
    return doubtful(env, rcv, s->seq, nxt) ? RST_PENDING : rst_check(&q);
}

/*
 * judge_rst: one that may have been believed decides how the flow ends if nobody goes on after it
 * (conn_rst_due), not when: the receiver's challenge ACK, or any other segment that is taken, shows
 * that it was not; but that ACK may be lost, or left out (Linux: one in 500 ms), and an idle
 * connection says nothing either.
 */
static enum reason judge_rst(struct conn_env *env, const struct conn_pkt *cp)
{
    struct flow_ext *x;

    if (cp->f->flags & FLOW_LINGER)
        return REASON_NONE;
    switch (rst_verdict(env, cp)) {
    case RST_BELIEVED:
        return REASON_NONE;
    case RST_PENDING:
        x = conn_ext(env, cp->f);
        if (x)
            x->dir[cp->from].rst = true;
        return REASON_RST_INVALID;
    default:
        return REASON_RST_INVALID;
    }
}

/* ---- timestamps ---- */

/* older: by PAWS; to a listening end that is not connected yet not one tick is given (Linux: tcp_check_req). */
static bool older(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    uint32_t recent = ts_recent(f, cp->from), tsval = cp->s->tsval;

    if (cp->to == SVR && f->side[SVR].state == FS_SYN_RCVD)
        return recent && seq_diff(recent, tsval) > 0;
    return paws_old(tsval, recent, cp->idle);
}

/*
 * age_unsure: older than what was echoed. But TS.Recent may be what was sent since in order, or what was
 * refused and perhaps wrongly so: is it older than that, too?
 */
static bool age_unsure(const struct conn_pkt *cp, const struct flow_ext *x)
{
    const struct flow *f = cp->f;
    uint32_t tsval = cp->s->tsval;

    if (f->side[cp->from].flags & SIDE_FIN_SENT)
        return false;
    if (x && x->dir[cp->from].ts_doubt && !paws_old(tsval, x->dir[cp->from].doubt_last, cp->idle))
        return true;
    return !paws_old(tsval, f->ctr[cp->from].tsval, cp->idle);
}

/*
 * note_doubt: a timestamp that is refused, in order: if it is echoed its receiver has taken it. Of those that
 * may be taken all since the first, of others the last.
 */
static void note_doubt(struct conn_env *env, struct conn_pkt *cp, bool unsure)
{
    const struct seg *s = cp->s;
    struct flow_ext *x;

    if (!base_known(cp->f, cp->to) || seq_lt(next_seq(cp->f, cp->to), s->seq) ||
        (cp->f->side[cp->from].flags & SIDE_FIN_SENT) || (x = conn_ext(env, cp->f)) == NULL)
        return;
    if (!x->dir[cp->from].ts_doubt || !unsure || seq_lt(s->tsval, x->dir[cp->from].doubt_last))
        x->dir[cp->from].doubt_first = s->tsval;
    x->dir[cp->from].doubt_last = s->tsval;
    x->dir[cp->from].ts_doubt = true;
}

/*
 * judge_age: RFC 7323 5.3, R1; RST is exempt. What a tap sees out of order is no danger: TS.Recent
 * is what the receiver has echoed, or what came in order since then: that may have reached it, or not. What
 * one of them lets pass is not refused: on a bad line segments overtake each other all the time.
 */
static enum reason judge_age(struct conn_env *env, struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *snd = &f->side[cp->from];
    bool unsure;

    if (!(s->flags & SEG_TS) || !(f->side[CLI].flags & f->side[SVR].flags & SIDE_TS_OK) ||
        !older(cp))
        return REASON_NONE;
    unsure = f->side[cp->to].state > FS_SYN_RCVD &&
             age_unsure(cp, f->ext ? pool_at(&env->ft.exts, f->ext) : NULL);
    /* an ACK that was overtaken by a later one: no news, no harm (Linux: tcp_disordered_ack) */
    if (!unsure && seg_slen(s) == 0 && (snd->flags & SIDE_ACKED) && seq_leq(s->ack, snd->ack)) {
        cp->stale = true;
        return REASON_NONE;
    }
    note_doubt(env, cp, unsure);
    cp->doubt = unsure && !(s->tflags & (TH_SYN_ | TH_RST_));
    return REASON_PAWS;
}

/* ---- place ---- */

/*
 * given_up: is this number the last that was declared lost? An acknowledged FIN that passed unseen is
 * given up as one byte, if bytes before it are missing, too.
 */
static bool given_up(const struct conn_env *env, const struct flow_side *rcv, int64_t off)
{
    return off >= 0 && off + 1 == (int64_t)rcv->next &&
           strm_overlap(&env->se, rcv, (uint64_t)off, 1).late == 1;
}

/*
 * fin_astray: is the FIN of this sender where its receiver would not look at it? As long as the one
 * that we know waits, any may come.
 */
static enum reason fin_astray(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    int64_t off;

    if (!(s->tflags & TH_FIN_) ||
        ((f->side[cp->from].flags & SIDE_FIN_SENT) && fin_firm(f, cp->to)))
        return REASON_NONE;
    off = seq_to_off(s->seq + !!(s->tflags & TH_SYN_) + s->plen, rcv->base, rcv->next);
    if (off < (int64_t)rcv->next && !given_up(env, rcv, off))
        return REASON_SEG_OLD;
    return off > 0 && conn_beyond(f, cp->to, (uint64_t)off) ? REASON_SEG_ABOVE : REASON_NONE;
}

/* note_beyond: a segment that is refused, being beyond the window: it may show where both ends are. */
static void note_beyond(struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];

    if (!(cp->f->flags & FLOW_STRICT) && (cp->s->tflags & TH_ACK_) && (rcv->flags & SIDE_SPOKE) &&
        seq_lt(rcv->snd_max + UNSEEN_SLACK, cp->s->ack))
        far_ack(env, cp, false);
}

/* beyond: is it where no window reaches, and does nothing say that this is no longer so (far.c)? */
static bool beyond(struct conn_env *env, struct conn_pkt *cp)
{
    uint32_t limit = cp->f->ctr[cp->to].edge, seq = cp->s->seq, end = seq + cp->s->plen;
    bool refused;

    if (cp->f->flags & FLOW_STRICT)
        return seq_lt(limit, seq);
    if (likely(seq_leq(end, limit)))
        return false;
    refused = seq_lt(limit + UNSEEN_SLACK, end);
    return !far_unheard(env, cp, refused) && refused && !far_segment(env, cp);
}

/*
 * wider: may the window be wider than it says, and reach to this segment? 65535 is the most that can be
 * said, scaled or not; Linux takes what its own window has room for (tcp_select_window: rcv_wnd is not
 * cut down to what goes into the header).
 */
static bool wider(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    uint32_t end = cp->s->seq + cp->s->plen;

    return (f->flags & FLOW_STRICT) && f->side[cp->to].max_wnd == UINT16_MAX &&
           f->side[cp->to].state > FS_SYN_RCVD && !(cp->s->tflags & (TH_SYN_ | TH_RST_)) &&
           seq_leq(end, f->ctr[cp->to].edge + UNSEEN_SLACK);
}

/*
 * judge_place: RFC 9293 3.10.7.4, step 1. A segment with nothing but what the receiver has
 * acknowledged is dropped, with its ACK (Linux: tcp_sequence, end_seq before rcv_wup); here it still
 * counts as a repetition. One that begins beyond the window is refused, tolerant also one that
 * reaches beyond; in strict that is for conn_merge.
 */
static enum reason judge_place(struct conn_env *env, struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    uint32_t end = s->seq + seg_slen(s);

    if (!base_known(f, cp->to) || ((s->tflags & TH_SYN_) && new_isn(cp)))
        return REASON_NONE;
    if ((rcv->flags & SIDE_ACKED) && seq_lt(end, rcv->ack) && seq_leq(end, next_seq(f, cp->to)))
        cp->stale = true;
    if ((rcv->flags & SIDE_EDGE) && beyond(env, cp)) {
        note_beyond(env, cp);
        cp->doubt = wider(cp);
        return REASON_SEG_ABOVE;
    }
    return fin_astray(env, cp);
}

/* ---- acknowledgement ---- */

/*
 * judge_embryo: a listening end that has answered a SYN takes what begins at its next number, or has bytes
 * in its window; not the ACK of anything else (Linux: tcp_check_req, tcp_in_window). A connected end goes by judge_place.
 */
static enum reason judge_embryo(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    uint32_t end = s->seq + seg_slen(s), edge = f->ctr[cp->to].edge;

    if (!all_seen(f) || cp->to != SVR || (s->tflags & TH_SYN_) || !(rcv->flags & SIDE_ACKED) ||
        s->seq == rcv->ack)
        return REASON_NONE;
    if (seq_leq(end, rcv->ack))
        return REASON_SEG_OLD;
    return s->seq == edge && end != edge ? REASON_SEG_ABOVE : REASON_NONE;
}

/* judge_opening: before the connection is established on the receiver's side. */
static enum reason judge_opening(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];

    if (!(s->tflags & TH_ACK_))
        return REASON_NONE;
    if (rcv->state == FS_SYN_SENT) { /* RFC 9293 3.10.7.3 */
        bool unseen = !(s->tflags & TH_SYN_) && (f->flags & FLOW_STRICT);

        return !ack_of_syn(cp) || !echo_ok(f, s, cp->to) || unseen ? REASON_ACK_INVALID
                                                                   : REASON_NONE;
    }
    /* 3.10.7.4, step 5: reset, unless it is of the receiver's SYN; without one there is none */
    if (f->flags & FLOW_STRICT)
        return !(rcv->flags & SIDE_SPOKE) || !ack_of_syn(cp) || !echo_ok(f, s, cp->to)
                   ? REASON_ACK_INVALID
                   : judge_embryo(cp);
    return syn_seen(f, cp->to) && !ack_of_syn(cp) ? REASON_ACK_INVALID : REASON_NONE;
}

/*
 * ever_acked: how much of what the receiver has sent this sender has acknowledged. Linux counts the SYN of
 * a client among that, that of a server not.
 */
static uint64_t ever_acked(const struct conn_pkt *cp)
{
    const struct flow_side *snd = &cp->f->side[cp->from];
    int64_t off = seq_to_off(snd->ack, snd->base, snd->next);

    return (uint64_t)(off > 0 ? off : 0) + (cp->to == CLI);
}

/*
 * perhaps: the ACK is too old for all that passed here; but ACKs may be lost behind us. Its receiver has
 * sent no more than the largest window beyond its SND.UNA: may it take the ACK? If not, only header
 * prediction can take the bytes, which looks at no segment with these flags.
 */
static bool perhaps(const struct conn_pkt *cp, uint32_t window)
{
    const struct flow_side *snd = &cp->f->side[cp->from];
    uint32_t low = cp->f->side[cp->to].snd_max - window;

    if (cp->s->tflags & (TH_SYN_ | TH_RST_))
        return false;
    return !ack_too_old(cp->s->ack, seq_lt(low, snd->ack) ? low : snd->ack, window, UINT64_MAX) ||
           !(cp->s->tflags & (TH_FIN_ | TH_URG_));
}

/*
 * judge_ack: RFC 9293 3.10.7.4, step 5, and RFC 5961 5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <=
 * SND.NXT, else the segment is dropped with all its bytes (Linux: tcp_ack). That may be wrong: ACKs that
 * passed here may be lost behind us, and header prediction does not look; so they are set aside. An ACK of what was never
 * sent may at a tap be one of what passed unseen (note_ack).
 */
static enum reason judge_ack(struct conn_env *env, struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];
    uint32_t window = tcp_window(snd->max_wnd, snd->wscale);

    if (!(s->tflags & TH_ACK_))
        return REASON_NONE;
    if (all_seen(f) && (rcv->flags & SIDE_SPOKE) && seq_lt(rcv->snd_max, s->ack) &&
        !far_taken(env, cp))
        return REASON_ACK_INVALID;
    if ((snd->flags & SIDE_ACKED) && syn_seen(f, cp->to) &&
        ack_too_old(s->ack, snd->ack, window, ever_acked(cp))) {
        cp->doubt = perhaps(cp, window);
        return REASON_ACK_INVALID;
    }
    return REASON_NONE;
}

/* ---- all together ---- */

/*
 * unasked: a signature, on a connection whose SYNs had none: Linux drops the segment, a RST too
 * (tcp_inbound_md5_hash), as does FreeBSD.
 */
static bool unasked(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    return !(cp->s->tflags & TH_SYN_) && syn_seen(f, CLI) && !(x && x->auth);
}

/* known_syn: the SYN that fixed the number of offset 0, once more. */
static bool known_syn(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;

    return base_known(f, cp->to) && cp->s->seq + 1 == f->side[cp->to].base &&
           (f->flags & (cp->from == CLI ? FLOW_SYN : FLOW_SYNACK));
}

/*
 * judge_syn: RFC 5961 4.2: a challenge ACK, no more. An end that is connected answers the SYN that it
 * knows with an ACK, and takes nothing of it, no byte and no FIN. So does Linux
 * (tcp_validate_incoming) with a SYN/ACK that would connect it, if it is more than that.
 */
static enum reason judge_syn(struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];

    if (base_known(f, cp->to) && s->seq + 1 != rcv->base && !new_isn(cp))
        return REASON_SYN_INVALID;
    if (rcv->state > FS_SYN_RCVD && known_syn(cp))
        cp->late_syn = cp->stale = true;
    else if (rcv->state == FS_SYN_RCVD && (s->tflags & TH_ACK_) &&
             (s->plen || (s->tflags & TH_FIN_)) && known_syn(cp))
        return REASON_SYN_INVALID;
    return REASON_NONE;
}

static enum reason verdict(struct conn_env *env, struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    enum reason why;

    if (!cp->opened && ip_refuses(f, s, cp->from))
        return (enum reason)s->ip_why;
    if (unlikely(s->flags & SEG_AUTH) && unasked(env, cp))
        return REASON_TCP_AUTH;
    if (s->tflags & TH_RST_)
        return judge_rst(env, cp);
    if (unlikely(f->flags & FLOW_LINGER) && conn_after_rst(env, f, s, cp->from) == AFTER_REFUSED)
        return REASON_SEG_ABOVE;
    if (unlikely(s->tflags & TH_SYN_)) {
        why = judge_syn(cp);
        if (why != REASON_NONE || cp->late_syn)
            return why;
    }
    /* RFC 9293 3.10.7.4, step 5: if the ACK bit is off, drop the segment */
    if (!(s->tflags & (TH_SYN_ | TH_ACK_)) && !(cp->opened && (f->flags & FLOW_MIDSTREAM)))
        return REASON_TCP_FLAGS;
    why = rcv->state == FS_SYN_SENT ? REASON_NONE : judge_age(env, cp);
    if (why == REASON_NONE && (rcv->state == FS_SYN_SENT || rcv->state == FS_SYN_RCVD))
        why = judge_opening(cp);
    if (why == REASON_NONE)
        why = judge_place(env, cp);
    /* it connects nobody (Linux: tcp_check_req, tcp_in_window; tcp_sequence) */
    if (why == REASON_NONE && cp->stale && all_seen(f) && rcv->state == FS_SYN_RCVD)
        why = REASON_SEG_OLD;
    if (why == REASON_NONE && !cp->stale && rcv->state > FS_SYN_RCVD)
        why = judge_ack(env, cp);
    return why;
}

/*
 * cookie: the right ACK to a listening end, and only its timestamps are refused. If the SYN/ACK was a SYN cookie
 * (Linux under a flood), there is nothing to compare them with, and it is taken (cookie_v4_check). The receiver tells.
 */
static bool cookie(const struct conn_pkt *cp, enum reason why)
{
    return cp->to == SVR && cp->f->side[SVR].state == FS_SYN_RCVD && syn_seen(cp->f, SVR) &&
           (why == REASON_PAWS || why == REASON_ACK_INVALID) &&
           !(cp->s->tflags & (TH_SYN_ | TH_FIN_ | TH_RST_ | TH_URG_)) && ack_of_syn(cp);
}

void conn_judge(struct conn_env *env, struct conn_pkt *cp)
{
    enum reason why = verdict(env, cp);

    if (likely(why == REASON_NONE))
        return;
    cp->ignored = true;
    env->reasons[why]++;
    if (cookie(cp, why)) {
        cp->doubt = true;
        far_refused(env, cp);
    }
    if (all_seen(cp->f) && cp->f->side[cp->to].state > FS_SYN_RCVD && cp->s->plen &&
        (why == REASON_SEG_ABOVE || why == REASON_ACK_INVALID || why == REASON_PAWS))
        far_refused(env, cp);
    if (why == REASON_SEG_ABOVE && cp->s->plen && !(cp->f->flags & FLOW_LINGER))
        cp->rcv |= CR_ERROR;
}
