// SPDX-License-Identifier: BSD-2-Clause
/*
 * track.c: what a segment tells of its sender and does to its receiver. Judging comes first
 * (conn_send): a segment that the receiver would not believe is counted and shown, and changes
 * nothing. Then the two state tables (tcp/fsm.c) are asked, sender before receiver, and repetition
 * is classified before the payload is merged.
 *
 * Bases. The sequence number of stream offset 0 is fixed once per direction: by the SYN; else by
 * the other side's ACK; else by the first segment (contract 4). FLOW_BASE_* says that it is.
 */
#include "base/reasons.h"
#include "conn/conn.h"

#define WSCALE_UNKNOWN 15
#define WSCALE_MAX     14         /* RFC 7323 2.3 */
#define UNSEEN_SLACK   (1u << 20) /* bytes that may have passed unseen before a window is known */

static uint16_t base_bit(int side)
{
    return side == CLI ? FLOW_BASE_CLI : FLOW_BASE_SVR;
}

/* window_of: what this side's endpoint may be sent beyond its ACK. */
static uint64_t window_of(const struct flow_side *sd)
{
    return sd->flags & SIDE_ACKED ? tcp_window(sd->wnd, sd->wscale) : 1u << 30;
}

bool conn_beyond(const struct flow *f, int side, uint64_t end)
{
    const struct flow_side *sd = &f->side[side];
    uint64_t from = conn_acked(f, side), slack = f->flags & FLOW_STRICT ? 0 : UNSEEN_SLACK;

    if (from < sd->next)
        from = sd->next;
    return end > from + window_of(sd) + slack;
}

uint64_t conn_acked(const struct flow *f, int side)
{
    const struct flow_side *sd = &f->side[side];
    int64_t off;

    if (!(sd->flags & SIDE_ACKED) || !(f->flags & base_bit(side)))
        return 0;
    off = seq_to_off(sd->ack, sd->base, sd->next);
    if ((f->side[!side].flags & SIDE_FIN_SENT) && seq_lt(f->ctr[!side].fin, sd->ack))
        off--; /* the FIN's own number is no byte */
    return off > 0 ? (uint64_t)off : 0;
}

bool conn_fin_off(const struct flow *f, int side, uint64_t *off)
{
    const struct flow_side *sd = &f->side[side];
    int64_t o;

    if (!(f->side[!side].flags & SIDE_FIN_SENT) || !(f->flags & base_bit(side)))
        return false;
    o = seq_to_off(f->ctr[!side].fin, sd->base, sd->next);
    *off = o > 0 ? (uint64_t)o : 0;
    return true;
}

static void ignore(struct conn_env *env, struct conn_pkt *cp, enum reason why)
{
    cp->ignored = true;
    env->reasons[why]++;
}

/*
 * echo_ok: is the timestamp echoed to an endpoint in SYN_SENT one that it has sent? As Linux
 * (tcp_rcv_synsent_state_process).
 */
static bool echo_ok(const struct flow *f, const struct seg *s, int to)
{
    if (!(s->flags & SEG_TS) || !(f->side[to].flags & SIDE_TS_OK))
        return true;
    return ts_echo_sent(s->tsecr, f->ctr[to].tsval);
}

/*
 * ack_of_syn: ISS < SEG.ACK <= SND.NXT of the receiver. Where the SYN/ACK passed unseen, so may
 * have what the receiver has sent since: up to a window without a scale, that of a SYN/ACK.
 */
static bool ack_of_syn(const struct conn_pkt *cp)
{
    const struct flow_side *snd = &cp->f->side[cp->from], *rcv = &cp->f->side[cp->to];
    bool unseen = !(cp->f->flags & FLOW_STRICT) && !(cp->s->tflags & TH_SYN_);

    if (!(cp->s->tflags & TH_ACK_) || !(cp->f->flags & base_bit(cp->from)))
        return false;
    return seq_leq(snd->base, cp->s->ack) &&
           seq_leq(cp->s->ack, rcv->snd_max + (unseen ? UINT16_MAX : 0));
}

/*
 * new_isn: a SYN/ACK of another ISN than the one before, whose receiver has acknowledged nothing yet.
 * That one was lost behind us and its sender has forgotten it; it takes this one for the first (RFC
 * 9293 3.10.7.3).
 */
static bool new_isn(const struct conn_pkt *cp)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];

    return cp->from == SVR && (cp->s->tflags & TH_ACK_) && (cp->f->flags & base_bit(cp->to)) &&
           cp->s->seq + 1 != rcv->base && !(rcv->flags & SIDE_ACKED) && rcv->next == 0 &&
           rcv->strm == 0 && ack_of_syn(cp);
}

static bool rst_believed(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];
    uint32_t nxt = rcv->base + (uint32_t)rcv->next;
    struct rst_query q = {
        .rcv_state = rcv->state,
        .strict = f->flags & FLOW_STRICT,
        .has_ack = s->tflags & TH_ACK_,
        .seq = s->seq,
        .ack = s->ack,
        .rcv_nxt = nxt,
        .rcv_ack = rcv->flags & SIDE_ACKED ? rcv->ack : nxt,
        .snd_max = rcv->snd_max,
        .peer_max = snd->flags & SIDE_SPOKE ? snd->snd_max : nxt,
        .window = tcp_window(rcv->wnd, rcv->wscale),
        .ts_known = (s->flags & SEG_TS) && (rcv->flags & SIDE_TS_OK),
        .tsecr = s->tsecr,
        .rcv_tsval = f->ctr[cp->to].tsval,
        .answer = snd->state == FS_SYN_SENT && f->ctr[cp->to].packets > 0,
    };

    if (q.window == 0)
        q.window = 1;
    if (!(f->flags & base_bit(cp->to)) && rcv->state != FS_SYN_SENT)
        return true; /* nothing to compare with */
    return rst_check(&q) == REASON_NONE;
}

/*
 * fin_astray: is the first FIN of this sender where its receiver would not look at it (RFC 9293
 * 3.10.7.4, step 1)?
 */
static enum reason fin_astray(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    int64_t off;

    if (!(s->tflags & TH_FIN_) || !(f->flags & base_bit(cp->to)) ||
        (f->side[cp->from].flags & SIDE_FIN_SENT))
        return REASON_NONE;
    off = seq_to_off(s->seq + !!(s->tflags & TH_SYN_) + s->plen, rcv->base, rcv->next);
    /* an acknowledged FIN that passed unseen was given up as one byte */
    if (off + 1 < (int64_t)rcv->next)
        return REASON_SEG_OLD;
    return off > 0 && conn_beyond(f, cp->to, (uint64_t)off) ? REASON_SEG_ABOVE : REASON_NONE;
}

/*
 * ts_recent: the receiver's TS.Recent, for what this side sends. RFC 7323 4.3 says when it moves, but
 * not with which segments: one that we have seen may be lost behind us, or come behind others. Its
 * echoes tell (3.2), so that is the newest of them.
 */
static uint32_t ts_recent(const struct flow *f, int from)
{
    const struct flow_ctr *c = &f->ctr[from];

    return f->side[from].flags & SIDE_FIN_SENT ? c->tsval : c->echoed;
}

/* note_echo: => only what was sent can be echoed; more is a lie, which would make the truth old. */
static void note_echo(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_ctr *c = &cp->f->ctr[cp->to];
    uint16_t flags = cp->f->side[cp->to].flags & (SIDE_TS_OK | SIDE_FIN_SENT);

    if (flags == SIDE_TS_OK && seq_lt(c->echoed, s->tsecr) && seq_leq(s->tsecr, c->tsval))
        c->echoed = s->tsecr;
}

/* note_stamp: this side's newest timestamp; behind its FIN nothing is newer. */
static void note_stamp(struct conn_pkt *cp)
{
    struct flow_side *snd = &cp->f->side[cp->from];
    struct flow_ctr *c = &cp->f->ctr[cp->from];

    if (snd->flags & SIDE_FIN_SENT)
        return;
    if (!(snd->flags & SIDE_TS_OK))
        c->tsval = c->echoed = cp->s->tsval;
    else if (seq_lt(c->tsval, cp->s->tsval))
        c->tsval = cp->s->tsval;
    snd->flags |= SIDE_TS_OK;
}

/* note_fin: its FIN, the first. What TS.Recent was at this moment stays. */
static void note_fin(struct flow *f, int from, uint32_t fin)
{
    f->ctr[from].tsval = f->ctr[from].echoed;
    f->ctr[from].fin = fin;
    f->side[from].flags |= SIDE_FIN_SENT;
}

/* judge: would the receiver take this segment at all? */
static void judge(struct conn_env *env, struct conn_pkt *cp, uint64_t idle)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    enum reason why = fin_astray(cp);

    if (s->tflags & TH_RST_) {
        if (!(f->flags & FLOW_LINGER) && !rst_believed(cp))
            ignore(env, cp, REASON_RST_INVALID);
        return;
    }
    if ((s->tflags & TH_SYN_) && (f->flags & base_bit(cp->to)) && s->seq + 1 != rcv->base &&
        !(f->flags & FLOW_LINGER) && !new_isn(cp)) {
        ignore(env, cp, REASON_SYN_INVALID); /* RFC 5961 4.2: a challenge ACK, no more */
        return;
    }
    if ((f->flags & FLOW_STRICT) && (s->flags & SEG_TS) && (f->side[cp->from].flags & SIDE_TS_OK) &&
        paws_old(s->tsval, ts_recent(f, cp->from), idle)) { /* RFC 7323 5.3 */
        ignore(env, cp, REASON_PAWS);
        return;
    }
    if (rcv->state == FS_SYN_SENT && (s->tflags & TH_ACK_)) { /* RFC 9293 3.10.7.3 */
        bool unseen = !(s->tflags & TH_SYN_) && (f->flags & FLOW_STRICT);

        if (!ack_of_syn(cp) || !echo_ok(f, s, cp->to) || unseen) {
            ignore(env, cp, REASON_ACK_INVALID);
            return;
        }
    }
    if (rcv->state == FS_SYN_RCVD && (f->flags & FLOW_STRICT) && (s->tflags & TH_ACK_) &&
        !(rcv->flags & SIDE_SPOKE)) {
        /* 3.10.7.4, step 5: it has sent no SYN/ACK that this could acknowledge */
        ignore(env, cp, REASON_ACK_INVALID);
        return;
    }
    if (why != REASON_NONE)
        ignore(env, cp, why);
}

/*
 * note_syn: first SYN or SYN/ACK of this sender: ISN and options (RFC 7323 2.2: scaling needs
 * both).
 */
static void note_syn(struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];

    if ((s->tflags & TH_ACK_) && cp->from == SVR)
        f->flags |= FLOW_SYNACK;
    if (cp->from == CLI) {
        cp->first_syn = !(f->flags & FLOW_SYN);
        f->flags |= FLOW_SYN;
    }
    if (new_isn(cp)) { /* all that was known of its numbers is void */
        f->flags &= (uint16_t)~base_bit(cp->to);
        snd->flags &= (uint16_t) ~(SIDE_SPOKE | SIDE_TS_OK);
    }
    if ((f->flags & base_bit(cp->to)) && snd->wscale != WSCALE_UNKNOWN)
        return;
    if (!(f->flags & base_bit(cp->to)))
        rcv->base = s->seq + 1;
    f->flags |= base_bit(cp->to);
    snd->wscale = s->flags & SEG_WSCALE ? s->wscale : 0;
    if (s->flags & SEG_WSCALE)
        snd->flags |= SIDE_WSCALE_OK;
    if (s->flags & SEG_SACKOK)
        snd->flags |= SIDE_SACK_OK;
    if ((s->tflags & TH_ACK_) && !((snd->flags & rcv->flags) & SIDE_WSCALE_OK))
        snd->wscale = rcv->wscale = 0;
}

/*
 * keep_far_ack: an ACK of what was never sent, as it seems; or the tap has lost more than a window
 * of it. To be believed once the sender goes on from there (see agree).
 */
static void keep_far_ack(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_ext *x = conn_ext(env, cp->f);

    if (x == NULL)
        return;
    x->dir[cp->to].far_ack = cp->s->ack;
    x->dir[cp->to].far_wnd = cp->s->win;
    x->dir[cp->to].far = true;
}

/* agree: do both ends speak of one place beyond all that was seen? Then it is where they are. */
static void agree(struct conn_env *env, struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_side *rcv = &cp->f->side[cp->to];
    struct flow_ext *x = cp->f->ext ? conn_ext(env, cp->f) : NULL;
    uint32_t far;

    if (likely(x == NULL || !x->dir[cp->from].far) || (s->tflags & (TH_SYN_ | TH_RST_)))
        return;
    far = x->dir[cp->from].far_ack;
    if (s->seq - far > tcp_window(x->dir[cp->from].far_wnd, rcv->wscale))
        return;
    x->dir[cp->from].far = false;
    if ((rcv->flags & SIDE_ACKED) && !seq_lt(rcv->ack, far))
        return;
    rcv->flags |= SIDE_ACKED;
    rcv->ack = far;
    rcv->wnd = x->dir[cp->from].far_wnd;
    rcv->dupacks = 0;
}

/*
 * window: the sender's, as it stands in all segments but SYNs, which are not scaled (RFC 7323 2.2).
 * Its end does not go back with a newer ACK (RFC 9293 3.8.6): what was on its way into a window that
 * has shrunk is taken all the same once there is room.
 */
static uint16_t window(const struct flow_side *snd, const struct seg *s)
{
    uint32_t shift = snd->wscale > WSCALE_MAX ? WSCALE_MAX : snd->wscale, left, win = s->win;

    if ((s->tflags & TH_SYN_) && snd->wscale != WSCALE_UNKNOWN)
        win = (win + (1u << shift) - 1) >> shift;
    if (!(snd->flags & SIDE_ACKED))
        return (uint16_t)win;
    left = snd->ack + tcp_window(snd->wnd, snd->wscale) - s->ack;
    if (left >> 31 == 0 && left >> shift > win)
        win = left >> shift > UINT16_MAX ? UINT16_MAX : left >> shift;
    return (uint16_t)win;
}

/*
 * note_ack: the sender's ACK and window. An older ACK says nothing of the window, nor does a smaller
 * window with the same number: it was overtaken.
 */
static void note_ack(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];

    if (!(f->flags & base_bit(cp->from))) { /* the SYN/ACK passed unseen */
        snd->base = s->ack;
        f->flags |= base_bit(cp->from);
        rcv->wscale = snd->flags & SIDE_WSCALE_OK ? WSCALE_UNKNOWN : 0;
        if (!(rcv->flags & SIDE_SPOKE))
            rcv->snd_max = s->ack;
        rcv->flags |= SIDE_SPOKE;
    }
    if (!(snd->flags & SIDE_ACKED) || seq_lt(snd->ack, s->ack)) {
        uint32_t beyond =
            snd->flags & SIDE_ACKED ? tcp_window(snd->wnd, snd->wscale) + 1 : UNSEEN_SLACK;

        /*
         * RFC 9293 3.10.7.4: an ACK of what was never sent; at a tap data may have passed unseen,
         * up to the window
         */
        if ((rcv->flags & SIDE_SPOKE) &&
            seq_lt(rcv->snd_max + (f->flags & FLOW_STRICT ? 0 : beyond), s->ack)) {
            env->reasons[REASON_ACK_INVALID]++;
            if (!(f->flags & FLOW_STRICT))
                keep_far_ack(env, cp);
            return;
        }
        cp->first_ack = !(snd->flags & SIDE_ACKED);
        snd->wnd = window(snd, s);
        snd->flags |= SIDE_ACKED;
        snd->ack = s->ack;
        snd->dupacks = 0;
    } else if (snd->ack == s->ack) {
        if (s->plen == 0 && s->win == snd->wnd && !(s->tflags & (TH_SYN_ | TH_FIN_)))
            snd->dupacks += snd->dupacks < 255;
        snd->wnd = window(snd, s); /* not less than it was */
    } else {
        return;
    }
    snd->flags = (uint16_t)(s->win ? snd->flags & ~SIDE_SHUT : snd->flags | SIDE_SHUT);
}

/* count: a datagram counts with all the fragments that came for it. */
static void count(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_ctr *c = &cp->f->ctr[cp->from];
    const struct pktbuf *pb = cp->s->pb;
    bool parts = unlikely(pb->flags & PB_DATAGRAM);
    uint32_t n = parts ? pb->nfrags : 1;

    c->packets += n;
    if (unlikely(c->packets < n)) { /* tracking looks at this one, too */
        struct flow_ext *x = conn_ext(env, cp->f);

        if (x)
            x->dir[cp->from].packets_carry += 1ULL << 32;
    }
    if (unlikely(env->no_counts))
        return;
    c->ip_bytes += parts ? pb->frag_bytes : cp->s->ip_len;
    c->payload += cp->s->plen;
}

static void note_sent(struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from];
    uint32_t end = s->seq + seg_slen(s);

    if (!(snd->flags & SIDE_SPOKE) || seq_lt(snd->snd_max, end))
        snd->snd_max = end;
    snd->flags |= SIDE_SPOKE;
    if (s->flags & SEG_TS)
        note_stamp(cp);
}

static bool acks_fin(const struct flow *f, const struct seg *s, int of)
{
    return (s->tflags & TH_ACK_) && (f->side[of].flags & SIDE_FIN_SENT) &&
           seq_lt(f->ctr[of].fin, s->ack);
}

/* note_time: the clock never goes back; the times of frames may. */
static void note_time(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    uint64_t ts = cp->s->pb->ts_ns, newest;
    struct flow_ext *x = NULL;

    if (unlikely(f->ext || ts < env->now))
        x = conn_ext(env, f);
    if (unlikely(x && (x->behind || ts < env->now))) {
        newest = cp->opened ? 0 : f->last - x->behind;
        x->behind = env->now - (ts > newest ? ts : newest);
    }
    f->last = env->now;
}

void conn_send(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from];
    struct fsm_query q = {
        .state = snd->state, .tflags = s->tflags, .strict = f->flags & FLOW_STRICT};
    uint64_t idle = env->now - f->last;
    uint8_t next;

    note_time(env, cp);
    f->flags &= (uint16_t) ~(FLOW_IDLE_TOLD | FLOW_LAST_SVR);
    if (cp->to == SVR)
        f->flags |= FLOW_LAST_SVR;
    count(env, cp);
    if (cp->opened)
        cp->snd |= CR_CONN_START;
    agree(env, cp);
    if (unlikely(stamp_expired(idle)))
        for (int i = 0; i < 2; i++)
            f->side[i].flags &= (uint16_t)~SIDE_TS_OK;
    judge(env, cp, idle);
    if (cp->ignored)
        return;
    if (s->tflags & TH_SYN_)
        note_syn(cp);
    if ((s->tflags & (TH_ACK_ | TH_RST_)) == TH_ACK_)
        note_ack(env, cp);
    if ((s->flags & SEG_TS) && (s->tflags & (TH_ACK_ | TH_RST_)) == TH_ACK_)
        note_echo(cp);
    q.payload = s->plen > 0;
    q.acks_fin = acks_fin(f, s, cp->to);
    next = f->flags & FLOW_LINGER ? snd->state : fsm_send(&q);
    if (next != snd->state) {
        snd->state = next;
        cp->snd |= CR_STATE;
    }
    if (s->tflags & TH_RST_)
        f->flags |= FLOW_RST;
}

/*
 * compare: the repeated bytes against those held, `before` of them below offset 0 and `dup` above.
 * One that differs is a change wherever the others are; the rest is unknown if one is gone or was
 * not captured.
 */
static void compare(const struct conn_env *env, struct conn_pkt *cp, uint64_t off, uint32_t before,
                    uint32_t dup)
{
    const struct seg *s = cp->s;
    uint32_t cap = s->pcap > before ? s->pcap - before : 0;
    struct strm_diff d = {0};

    if (dup && cap)
        d = strm_diff(&env->se, &cp->f->side[cp->to], off, seg_payload(s) + before, cap);
    cp->rexmit.differ = d.differ;
    cp->rexmit.held = d.compared;
    if (d.differ)
        cp->rexmit.content = 1;
    else
        cp->rexmit.content = s->plen && (dup == 0 || before || d.compared < dup) ? 2 : 0;
}

/*
 * classify: is anything in this segment repeated? Before the merge, so that both copies can be
 * compared.
 */
static void classify(struct conn_env *env, struct conn_pkt *cp, bool syn_again, bool fin_again,
                     uint32_t max_before)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    uint32_t before = 0; /* bytes below offset 0 */
    uint64_t off = cp->off < 0 ? 0 : (uint64_t)cp->off;
    struct strm_overlap o = {0};
    struct rexmit_query q;

    if (cp->off < 0)
        before = (uint64_t)-cp->off < s->plen ? (uint32_t)-cp->off : s->plen;
    if (s->plen > before && !(s->tflags & TH_SYN_))
        o = strm_overlap(&env->se, rcv, off, s->plen - before);
    q = (struct rexmit_query){
        .seq = s->seq,
        .plen = s->plen,
        .tflags = s->tflags,
        .syn_again = syn_again,
        .fin_again = fin_again,
        .dup = o.dup + before,
        .snd_max = max_before,
        .rcv_ack = rcv->ack,
        .rcv_ack_known = rcv->flags & SIDE_ACKED,
        .rcv_window = rcv->flags & SIDE_SHUT ? 0 : tcp_window(rcv->wnd, rcv->wscale),
    };
    cp->rexmit.cls = (uint8_t)rexmit_classify(&q);
    if (cp->rexmit.cls == RX_NONE)
        return;
    cp->rcv |= CR_REXMIT;
    cp->rexmit.off = before || o.dup == 0 ? off : o.first;
    cp->rexmit.len = o.dup + before;
    cp->rexmit.fresh = s->plen - cp->rexmit.len;
    compare(env, cp, off, before, o.dup);
    if (cp->rexmit.held && cp->rexmit.cls != RX_KEEPALIVE)
        cp->rcv |= CR_OVERLAP;
    if (s->plen && cp->rexmit.fresh == 0)
        env->reasons[REASON_SEG_OLD]++;
    if (o.late)
        env->reasons[REASON_LATE]++;
    struct flow_ext *x = conn_ext(env, f);
    if (x && (cp->rexmit.len || syn_again || fin_again)) {
        x->dir[cp->from].rexmit_packets++;
        x->dir[cp->from].rexmit_bytes += cp->rexmit.len;
        x->dir[cp->from].late_bytes += o.late;
    }
    if (x)
        x->dir[cp->from].kind[cp->rexmit.cls]++;
}

/* has_all: with this payload, has the receiver everything up to the sender's FIN? */
static bool has_all(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];
    uint64_t fin, next = rcv->next;

    if (!conn_fin_off(cp->f, cp->to, &fin))
        return false;
    if (cp->s->plen && !(cp->s->tflags & TH_SYN_)) {
        int64_t end = cp->off + (int64_t)cp->s->plen;
        uint64_t off = cp->off < 0 ? 0 : (uint64_t)cp->off;

        if (end > (int64_t)next)
            next = strm_predict(&env->se, rcv, off, (uint32_t)(end - (int64_t)off));
    }
    return next >= fin;
}

/* step: ask the receiver's table. */
static void step(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *rcv = &f->side[cp->to];
    struct fsm_query q = {
        .state = rcv->state, .tflags = s->tflags, .strict = f->flags & FLOW_STRICT};
    uint8_t next;

    if (f->flags & FLOW_LINGER)
        return;
    q.payload = s->plen > 0;
    q.ack_of_syn = ack_of_syn(cp);
    q.ack_of_fin = acks_fin(f, s, cp->to);
    q.fin_here = (rcv->flags & SIDE_FIN_RCVD) || has_all(env, cp);
    if (q.fin_here)
        rcv->flags |= SIDE_FIN_RCVD;
    next = fsm_recv(&q);
    if (rcv->state == FS_LISTEN && next != FS_LISTEN)
        cp->rcv |= CR_CONN_START;
    if (next != rcv->state) {
        rcv->state = next;
        cp->rcv |= CR_STATE;
    }
}

void conn_recv(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];
    bool spoke = snd->flags & SIDE_SPOKE, syn = s->tflags & TH_SYN_, syn_again, fin_again = false;
    uint32_t max_before = snd->snd_max, seq = s->seq + syn;

    /* its SYN passed unseen, or was only noted */
    if (cp->opened && (s->tflags & (TH_SYN_ | TH_ACK_)) != TH_SYN_)
        cp->rcv |= CR_CONN_START;
    /* neither SYN nor ACK was seen */
    if (!(f->flags & base_bit(cp->to)) && !cp->ignored && !(s->tflags & TH_RST_)) {
        rcv->base = seq;
        f->flags |= base_bit(cp->to);
    }
    if (f->flags & base_bit(cp->to))
        cp->off = seq_to_off(seq, rcv->base, rcv->next);
    if (cp->ignored)
        return;
    if (s->tflags & TH_FIN_) {
        uint32_t fin = s->seq + syn + s->plen;

        fin_again = (snd->flags & SIDE_FIN_SENT) && f->ctr[cp->from].fin == fin;
        if (!(snd->flags & SIDE_FIN_SENT))
            note_fin(f, cp->from, fin);
    }
    /* the first SYN/ACK of a simultaneous open repeats the ISN and is no repetition */
    syn_again = syn && spoke && s->seq + 1 == rcv->base && !cp->first_ack && !cp->first_syn;
    note_sent(cp);
    /* the last: a keepalive without a byte */
    if (syn_again || fin_again || s->plen || (spoke && s->seq + 1 == max_before))
        classify(env, cp, syn_again, fin_again, spoke ? max_before : s->seq);
    step(env, cp);
}
