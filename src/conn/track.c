// SPDX-License-Identifier: BSD-2-Clause
/*
 * track.c: what a segment tells of its sender and does to its receiver. Judging comes first
 * (judge.c): a segment that the receiver would not take is counted and shown, and changes
 * nothing. Then the two state tables (tcp/fsm.c) are asked, sender before receiver, and repetition
 * is classified before the payload is merged.
 *
 * Bases. The sequence number of stream offset 0 is fixed once per direction: by the SYN; else by
 * the other side's ACK; else by the first segment (contract 4). FLOW_BASE_* says that it is.
 */
#include "conn/conn_int.h"
#include "conn/place.h"
#include "conn/plain.h"

uint64_t conn_limit(const struct flow *f, int side)
{
    const struct flow_side *sd = &f->side[side];
    uint64_t acked = conn_acked(f, side);
    int64_t off;

    if (!(sd->flags & SIDE_EDGE) || !base_known(f, side))
        return (acked > sd->next ? acked : sd->next) + (1u << 30);
    off = seq_to_off(f->ctr[side].edge, sd->base, sd->next);
    return off > 0 ? (uint64_t)off : 0;
}

bool conn_beyond(const struct flow *f, int side, uint64_t end)
{
    return end > conn_limit(f, side) + (f->flags & FLOW_STRICT ? 0 : UNSEEN_SLACK);
}

uint64_t conn_acked(const struct flow *f, int side)
{
    const struct flow_side *sd = &f->side[side];
    int64_t off;

    if (!(sd->flags & SIDE_ACKED) || !base_known(f, side))
        return 0;
    off = seq_to_off(sd->ack, sd->base, sd->next);
    if ((f->side[!side].flags & SIDE_FIN_SENT) && seq_lt(f->ctr[!side].fin, sd->ack))
        off--; /* the FIN's own number is no byte */
    return off > 0 ? (uint64_t)off : 0;
}

/* raise_edge: this side offers to take all up to here. */
static void raise_edge(struct flow *f, int side, uint32_t edge)
{
    if ((f->side[side].flags & SIDE_EDGE) && !seq_lt(f->ctr[side].edge, edge))
        return;
    f->side[side].flags |= SIDE_EDGE;
    f->ctr[side].edge = edge;
}

void conn_note_options(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_side *snd = &cp->f->side[cp->from], *rcv = &cp->f->side[cp->to];

    snd->wscale = s->flags & SEG_WSCALE ? s->wscale & 15 : 0;
    if (s->flags & SEG_WSCALE)
        snd->flags |= SIDE_WSCALE_OK;
    if (s->flags & SEG_SACKOK)
        snd->flags |= SIDE_SACK_OK;
    /* the second of two SYNs: a SYN/ACK, or both open at once */
    if (((s->tflags & TH_ACK_) || base_known(cp->f, cp->from)) &&
        !(snd->flags & rcv->flags & SIDE_WSCALE_OK))
        snd->wscale = rcv->wscale = 0;
}

/*
 * note_again: the SYN again, perhaps with other options, before anybody has answered. Which of them came
 * the SYN/ACK tells: it has an option only if that had it (RFC 7323 2.2, 3.2). Of two windows, or scales,
 * it does not tell: the larger.
 */
static void note_again(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_side *snd = &cp->f->side[cp->from];
    uint8_t scale = s->wscale & 15;

    if (cp->late_syn || cp->from != CLI || !is_syn(s) || (cp->f->flags & FLOW_SYNACK) ||
        (snd->flags & SIDE_ACKED))
        return;
    if (s->flags & SEG_WSCALE) {
        snd->wscale = snd->wscale < scale ? scale : snd->wscale;
        snd->flags |= SIDE_WSCALE_OK;
    }
    if (s->flags & SEG_SACKOK)
        snd->flags |= SIDE_SACK_OK;
    snd->wnd = snd->wnd < s->win ? s->win : snd->wnd;
    conn_note_max(snd, s);
}

/* note_syn: first SYN or SYN/ACK of this sender: ISN and options. */
static void note_syn(struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];

    if (cp->from == SVR)
        f->flags |= FLOW_SYNACK;
    if (cp->from == CLI) {
        cp->first_syn = !(f->flags & FLOW_SYN);
        f->flags |= FLOW_SYN;
    }
    if (new_isn(cp)) { /* all that was known of its numbers is void */
        f->flags &= (uint16_t)~base_bit(cp->to);
        snd->flags &= (uint16_t) ~(SIDE_SPOKE | SIDE_TS_OK);
        rcv->flags &= (uint16_t)~SIDE_EDGE;
    }
    if (base_known(f, cp->to) && snd->wscale != WSCALE_UNKNOWN) {
        note_again(cp);
        return;
    }
    if (!base_known(f, cp->to))
        rcv->base = s->seq + 1;
    f->flags |= base_bit(cp->to);
    snd->flags &= (uint16_t)~SIDE_EDGE; /* reckoned with a scale that was not known */
    conn_note_options(cp);
    snd->wnd = s->win;
    conn_note_max(snd, s);
    /* what the receiver's own SYN has offered begins here; 0: it was only noted */
    if (syn_seen(f, cp->to) && rcv->wnd && !(rcv->flags & (SIDE_EDGE | SIDE_ACKED)))
        raise_edge(f, cp->to, s->seq + 1 + rcv->wnd);
}

static void note_signed(struct conn_env *env, const struct conn_pkt *cp)
{
    struct flow_ext *x;

    if (likely(!(cp->s->flags & SEG_AUTH)))
        return;
    x = flow_ext_get(&env->ft, cp->f);
    if (x)
        x->auth = true;
}

/*
 * note_window: RFC 9293 3.10.7.4, step 5: of two equal ACKs the later counts, which is not the one
 * with older bytes (SND.WL1). The edge never moves back. Linux out of memory does close its window
 * (ICSK_ACK_NOMEM), but takes what is on its way when it has opened it again, before we hear of that.
 * The window of a SYN/ACK that connects an end in SYN_RCVD Linux scales (tcp_rcv_state_process).
 */
static void note_window(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_side *snd = &cp->f->side[cp->from];

    if (s->ack == snd->ack && (!(snd->flags & SIDE_SPOKE) || !seq_lt(s->seq, snd->snd_max)))
        snd->wnd = s->win;
    conn_note_max(snd, s);
    if ((s->tflags & TH_SYN_) && cp->f->side[cp->to].state != FS_SYN_RCVD)
        raise_edge(cp->f, cp->from, s->ack + s->win);
    else
        raise_edge(cp->f, cp->from, s->ack + tcp_window(s->win, snd->wscale));
}

/* note_ack: the sender's ACK and window. */
static void note_ack(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];

    if (!base_known(f, cp->from)) { /* the SYN/ACK passed unseen */
        snd->base = s->ack;
        f->flags |= base_bit(cp->from);
        rcv->wscale = snd->flags & SIDE_WSCALE_OK ? WSCALE_UNKNOWN : 0;
        if (!(rcv->flags & SIDE_SPOKE))
            rcv->snd_max = s->ack;
        rcv->flags |= SIDE_SPOKE;
    }
    /* the receiver has dropped it before; a SYN again is answered and no more */
    if (cp->stale || ((s->tflags & TH_SYN_) && (snd->flags & SIDE_ACKED)))
        return;
    if (!(snd->flags & SIDE_ACKED) || seq_lt(snd->ack, s->ack)) {
        uint32_t beyond = UNSEEN_SLACK;

        if ((snd->flags & SIDE_ACKED) && (snd->flags & SIDE_EDGE))
            beyond = f->ctr[cp->from].edge - snd->ack + 1; /* the last for a FIN */
        /*
         * RFC 9293 3.10.7.4: an ACK of what was never sent; at a tap data may have passed unseen,
         * up to the window
         */
        if ((rcv->flags & SIDE_SPOKE) &&
            seq_diff(s->ack, rcv->snd_max) > (int64_t)(all_seen(f) ? 0 : beyond)) {
            env->reasons[REASON_ACK_INVALID]++;
            if (!(f->flags & FLOW_STRICT))
                far_ack(env, cp, true);
            return;
        }
        cp->first_ack = !(snd->flags & SIDE_ACKED);
        snd->flags |= SIDE_ACKED;
        snd->ack = s->ack;
        snd->wnd = s->win;
    }
    if (unlikely(f->ext))
        flow_ext_get(&env->ft, f)->dir[cp->to].far_acks = 0; /* see far.c */
    note_window(cp);
}

/*
 * connected: a server in SYN_RCVD acknowledges more than with its SYN/ACK, or sends bytes after an ACK of it that was
 * refused for its timestamps (judge.c: cookie). Then it took what was refused.
 */
static bool connected(struct conn_env *env, const struct conn_pkt *cp, uint32_t acked)
{
    const struct flow *f = cp->f;
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    if (cp->from != SVR || f->side[SVR].state != FS_SYN_RCVD || cp->stale ||
        (cp->s->tflags & (TH_SYN_ | TH_RST_ | TH_ACK_)) != TH_ACK_ || !x || !x->dir[CLI].refused)
        return false;
    return cp->s->plen || seq_lt(acked, f->side[SVR].ack);
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

/*
 * note_stamp: this side's newest timestamp; behind its FIN nothing is newer. What comes beyond a hole does
 * not become TS.Recent (RFC 7323 4.3), as long as it is one for the receiver, too. Timestamps count only if
 * both SYNs had them (3.2).
 */
static void note_stamp(struct conn_env *env, struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_side *snd = &cp->f->side[cp->from];
    struct flow_ctr *c = &cp->f->ctr[cp->from];
    struct flow_ext *x;

    if (!(s->flags & SEG_TS) || cp->stale || (snd->flags & SIDE_FIN_SENT))
        return;
    if (!(snd->flags & SIDE_TS_OK) && !(s->tflags & TH_SYN_) && syn_seen(cp->f, cp->from))
        return;
    if (!(snd->flags & SIDE_TS_OK) || c->tsval == 0) {
        c->tsval = c->echoed = s->tsval;
    } else if (seq_lt(c->tsval, s->tsval)) {
        if (cp->off <= (int64_t)cp->f->side[cp->to].next) {
            c->tsval = s->tsval;
        } else if ((x = conn_ext(env, cp->f)) != NULL) {
            x->dir[cp->from].ahead = s->tsval;
            x->dir[cp->from].ts_ahead = true;
        }
    }
    snd->flags |= SIDE_TS_OK;
}

/*
 * note_syn_stamp: the SYN or SYN/ACK again: its newer timestamp may be echoed, too; an end that is connected does
 * not take it for TS.Recent.
 */
static void note_syn_stamp(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_ctr *c = &cp->f->ctr[cp->from];
    struct flow_ext *x;

    if (!(cp->s->flags & SEG_TS) || !(cp->f->side[cp->from].flags & SIDE_TS_OK) ||
        (cp->f->side[cp->from].flags & SIDE_FIN_SENT) || !seq_lt(c->tsval, cp->s->tsval))
        return;
    if (cp->f->side[cp->from].state <= FS_SYN_RCVD) {
        c->tsval = cp->s->tsval;
        return;
    }
    if ((x = conn_ext(env, cp->f)) == NULL)
        return;
    x->dir[cp->from].ahead = cp->s->tsval;
    x->dir[cp->from].ts_ahead = true;
}

/* echo_new: is this echo one of what was sent since the last one? */
static bool echo_new(const struct flow_ctr *c, const struct flow_ext *x, int of, uint32_t tsecr)
{
    uint32_t last = c->tsval;

    if (x && x->dir[of].ts_ahead && seq_lt(last, x->dir[of].ahead))
        last = x->dir[of].ahead;
    return seq_lt(c->echoed, tsecr) && seq_leq(tsecr, last);
}

/*
 * note_echo: only what was sent can be echoed; more is a lie, which would make the truth old. What was
 * refused, and is echoed, was taken: TS.Recent is there.
 */
static void note_echo(const struct conn_env *env, struct conn_pkt *cp)
{
    uint32_t tsecr = cp->s->tsecr;
    struct flow_ctr *c = &cp->f->ctr[cp->to];
    struct flow_ext *x = cp->f->ext ? pool_at(&env->ft.exts, cp->f->ext) : NULL;
    uint16_t flags = cp->f->side[cp->to].flags & (SIDE_TS_OK | SIDE_FIN_SENT);

    if (flags != SIDE_TS_OK || cp->stale)
        return;
    if (echo_new(c, x, cp->to, tsecr)) {
        c->echoed = tsecr;
        return;
    }
    if (x == NULL || !x->dir[cp->to].ts_doubt || tsecr == c->echoed ||
        !seq_in(tsecr, x->dir[cp->to].doubt_first,
                x->dir[cp->to].doubt_last - x->dir[cp->to].doubt_first + 1))
        return;
    c->echoed = tsecr;
    c->tsval = x->dir[cp->to].doubt_last;
    x->dir[cp->to].ts_doubt = x->dir[cp->to].ts_ahead = false;
}

/* forget_stamps: RFC 7323 5.5: after so long TS.Recent is no longer valid. */
static void forget_stamps(struct flow *f)
{
    for (int i = CLI; i <= SVR; i++) {
        f->ctr[i].tsval = 0;
        if (!(f->side[i].flags & SIDE_FIN_SENT))
            f->ctr[i].echoed = 0;
    }
}

static void note_sent(struct conn_env *env, struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_side *snd = &cp->f->side[cp->from];
    uint32_t end = s->seq + seg_slen(s);

    if (!(snd->flags & SIDE_SPOKE) || seq_lt(snd->snd_max, end))
        snd->snd_max = end;
    snd->flags |= SIDE_SPOKE;
    note_stamp(env, cp);
}

static bool acks_fin(const struct conn_pkt *cp, int of)
{
    const struct flow *f = cp->f;
    const struct seg *s = cp->s;

    return !cp->stale && (s->tflags & TH_ACK_) && (f->side[of].flags & SIDE_FIN_SENT) &&
           seq_lt(f->ctr[of].fin, s->ack);
}

/*
 * note_time: the clock never goes back; the times of frames may. For what is refused the flow is no less
 * idle, nor, strict, for what is old: an end that lives answers it. The newest packet then is newer than
 * `last`, and `behind` below 0.
 */
static void note_time(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    bool idle = cp->ignored || (cp->stale && (f->flags & FLOW_STRICT));
    uint64_t ts = cp->s->pb->ts_ns, last = idle ? f->last : env->now, newest;
    struct flow_ext *x = NULL;

    if (unlikely(f->ext || idle || ts < last))
        x = conn_ext(env, f);
    if (unlikely(x && (x->behind || idle || ts < last))) {
        newest = cp->opened ? 0 : f->last - x->behind;
        x->behind = last - (ts > newest ? ts : newest);
    }
    f->last = last;
    if (!idle)
        f->flags &= (uint16_t)~FLOW_IDLE_TOLD;
}

/*
 * go_on: a segment that is taken: what its receiver was sent before to end the connection has not
 * ended it.
 */
static void go_on(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_ext *x = flow_ext_get(&env->ft, cp->f);

    if (!(cp->s->tflags & TH_RST_))
        x->dir[CLI].rst = x->dir[SVR].rst = false;
    if (cp->s->plen) { /* see far.c */
        x->dir[cp->from].far_acks = 0;
        x->dir[cp->from].refused = false;
    }
}

/* turn: when it came, and which way it goes. */
static void turn(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;

    cp->idle = env->now - f->last;
    f->flags &= (uint16_t)~FLOW_LAST_SVR;
    if (cp->to == SVR)
        f->flags |= FLOW_LAST_SVR;
}

void conn_send(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from];
    struct fsm_query q = {
        .state = snd->state, .tflags = s->tflags, .strict = f->flags & FLOW_STRICT};
    uint32_t acked = snd->ack;
    uint8_t next;

    if (likely(cp->plain)) {
        plain_send(env, cp, cp_ends(cp));
        return;
    }
    if (cp->in_place) {
        place_send(env, cp, cp_ends(cp));
        return;
    }
    turn(env, cp);
    count(env, cp);
    if (cp->opened)
        cp->snd |= CR_CONN_START;
    if (unlikely(stamp_expired(cp->idle)))
        forget_stamps(f);
    conn_judge(env, cp);
    note_time(env, cp);
    if (cp->ignored)
        return;
    if (unlikely(f->ext) && !cp->stale)
        go_on(env, cp);
    if (s->tflags & TH_SYN_) {
        note_syn(cp);
        note_signed(env, cp);
    }
    if ((s->tflags & (TH_ACK_ | TH_RST_)) == TH_ACK_)
        note_ack(env, cp);
    if (unlikely(f->ext))
        fin_of_held(env, cp);
    if ((s->flags & SEG_TS) && (s->tflags & (TH_ACK_ | TH_RST_)) == TH_ACK_)
        note_echo(env, cp);
    if (unlikely(connected(env, cp, acked))) {
        snd->state = q.state = FS_ESTABLISHED;
        cp->snd |= CR_STATE;
        if (s->flags & SEG_TS && !(f->side[CLI].flags & SIDE_FIN_SENT))
            f->ctr[CLI].echoed = s->tsecr; /* older than the SYN's, perhaps */
    }
    q.payload = s->plen > 0;
    q.acks_fin = acks_fin(cp, cp->to);
    next = f->flags & FLOW_LINGER ? snd->state : fsm_send(&q);
    if (next != snd->state) {
        snd->state = next;
        cp->snd |= CR_STATE;
    }
    if (s->tflags & TH_RST_)
        f->flags |= FLOW_RST;
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

        if (end > (int64_t)next && !cp->contested)
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
    uint64_t fin;
    uint8_t next;

    if (f->flags & FLOW_LINGER)
        return;
    q.payload = s->plen > 0;
    q.ack_of_syn = ack_of_syn(cp);
    q.ack_of_fin = acks_fin(cp, cp->to);
    q.altered = s->pb->flags & PB_CHANGED;
    q.fin_here = (rcv->flags & SIDE_FIN_RCVD) || has_all(env, cp);
    if (q.fin_here && !(rcv->flags & SIDE_FIN_RCVD) && conn_fin_off(f, cp->to, &fin)) {
        rcv->flags |= SIDE_FIN_RCVD;
        strm_cut(&env->se, rcv, fin); /* RFC 9293 3.10.7.4, step 8; Linux: tcp_fin */
    }
    next = fsm_recv(&q);
    if (rcv->state == FS_LISTEN && next != FS_LISTEN)
        cp->rcv |= CR_CONN_START;
    if (next != rcv->state) {
        rcv->state = next;
        cp->rcv |= CR_STATE;
    }
}

/*
 * doubt: its receiver may take it, and acknowledge it then. Its sender takes all up to where it offers to,
 * whoever has heard of that.
 */
static void doubt(struct conn_env *env, struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_side *snd = &cp->f->side[cp->from];

    if (seq_lt(snd->snd_max, s->seq + seg_slen(s)))
        snd->snd_max = s->seq + seg_slen(s);
    if ((s->tflags & TH_ACK_) && seq_diff(cp->f->side[cp->to].snd_max, s->ack) >= 0)
        raise_edge(cp->f, cp->from, s->ack + tcp_window(s->win, snd->wscale));
    if ((s->tflags & TH_FIN_) && !(snd->flags & SIDE_FIN_SENT))
        fin_hold(env, cp->f, cp->from, s->seq + s->plen);
}

/* place_in_stream: where it begins there; the first segment of a side that was not heard makes the base. */
static void place_in_stream(struct conn_pkt *cp, uint32_t seq)
{
    struct flow *f = cp->f;
    struct flow_side *rcv = &f->side[cp->to];

    /* neither SYN nor ACK was seen */
    if (!base_known(f, cp->to) && !cp->ignored && !(cp->s->tflags & TH_RST_)) {
        rcv->base = seq;
        f->flags |= base_bit(cp->to);
    }
    if (base_known(f, cp->to))
        cp->off = seq_to_off(seq, rcv->base, rcv->next);
}

void conn_recv(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];
    bool spoke = snd->flags & SIDE_SPOKE, syn = s->tflags & TH_SYN_, syn_again, fin_again = false;
    uint32_t max_before = snd->snd_max, seq = s->seq + syn;
    struct strm_in in;

    if (likely(cp->plain && plain_still(env, cp))) {
        plain_recv(cp, cp_ends(cp));
        return;
    }
    if (cp->in_place && plain_still(env, cp)) {
        place_recv(cp, cp_ends(cp));
        return;
    }
    cp->plain = false;
    cp->in_place = PLACE_NONE;
    conn_ruffle(f);
    /* its SYN passed unseen, or was only noted, or kept */
    if (cp->opened && !is_syn(s))
        cp->rcv |= CR_CONN_START;
    place_in_stream(cp, seq);
    if (cp->ignored) {
        if (cp->doubt)
            doubt(env, cp);
        return;
    }
    if (unlikely((s->tflags & TH_FIN_) && syn && !cp->late_syn))
        fin_hold_of_syn(env, cp, seq);
    else if ((s->tflags & TH_FIN_) && !syn)
        fin_again = fin_take(env, cp, seq);
    else if (unlikely(snd->flags & SIDE_FIN_SENT))
        fin_void(env, cp);
    /* the first SYN/ACK of a simultaneous open repeats the ISN and is no repetition */
    syn_again = syn && spoke && s->seq + 1 == rcv->base && !cp->first_ack && !cp->first_syn;
    if (likely(!cp->late_syn))
        note_sent(env, cp);
    else
        note_syn_stamp(env, cp);
    if (unlikely(s->nsack) && !cp->stale)
        conn_note_sack(env, cp);
    /* the last: a keepalive without a byte */
    if (syn_again || fin_again || s->plen || (spoke && s->seq + 1 == max_before))
        conn_classify(env, cp, syn_again, fin_again, spoke ? max_before : s->seq);
    if (unlikely(s->pb->flags & PB_DATAGRAM))
        conn_note_copies(env, cp);
    if (unlikely(rcv->strm))
        cp->contested = conn_payload(cp, &in) && conn_contested(env, cp, &in);
    step(env, cp);
    if (unlikely(s->tflags & TH_RST_) && !(f->flags & FLOW_LINGER))
        fin_reset(env, cp);
}
