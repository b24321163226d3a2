// SPDX-License-Identifier: BSD-2-Clause
/*
 * merge.c: payload into streams, and the holes in them (contract 1). A hole becomes a gap when
 *   (a) the receiver has acknowledged beyond its start and the grace has passed: the monitor lost
 *       what the receiver has;
 *   (b) more has come out of order than is kept;
 *   (c) it has been the first hole for gap_timeout;
 *   (d) the flow ends (close.c).
 * What a frame was cut off by the snap length is a gap at once: nobody will send it again. So is what
 * found no memory.
 */
#include "conn/conn_int.h"
#include "conn/plain.h"

void conn_touch(struct conn_env *env, uint32_t idx)
{
    struct flow *f = flow_at(&env->ft, idx);

    if (f->flags & FLOW_PENDING)
        return;
    f->flags |= FLOW_PENDING;
    f->pend = env->touched;
    env->touched = idx;
}

void conn_raise(struct conn_env *env, uint32_t idx, int side, uint16_t kind)
{
    struct flow_side *sd = &flow_at(&env->ft, idx)->side[side];

    if (!(sd->flags & (SIDE_PEND_DATA | SIDE_PEND_GAP))) {
        if (conn_vec_grow(env, (void **)&env->raises, &env->cap_raises, env->nraises,
                          sizeof(*env->raises)))
            env->raises[env->nraises++] = (struct conn_raise){.flow = idx, .side = (uint8_t)side};
        else
            env->raises_lack = true;
    }
    sd->flags |= kind;
}

/* count_gap: where there is no memory for the flow's extension its stream will do. */
static void count_gap(struct conn_env *env, uint32_t idx, int side, uint64_t len)
{
    struct flow *f = flow_at(&env->ft, idx);
    struct flow_ext *x = conn_ext(env, f);

    if (x)
        x->dir[!side].gap_bytes += len;
    else if (f->side[side].strm)
        strm_at(&env->se, f->side[side].strm)->lost += len;
}

/* note_gap: a gap was declared: count it, remember it for the application. */
static void note_gap(struct conn_env *env, uint32_t idx, int side, enum gap_cause cause,
                     uint64_t off, uint64_t len)
{
    count_gap(env, idx, side, len);
    if (!conn_vec_grow(env, (void **)&env->gaps, &env->cap_gaps, env->ngaps, sizeof(*env->gaps))) {
        env->reasons[REASON_NO_STREAM_MEM]++; /* no MOS_ON_GAP; who reads is told all the same */
        return;
    }
    env->gaps[env->ngaps++] = (struct conn_gap){
        .flow = idx, .side = (uint8_t)side, .cause = (uint8_t)cause, .off = off, .len = len};
    conn_raise(env, idx, side, SIDE_PEND_GAP);
}

void conn_lost(struct conn_env *env, uint32_t idx, int side)
{
    struct flow *f = flow_at(&env->ft, idx);
    uint64_t sum = env->se.lost_more;
    struct strm_run run;

    if (sum)
        count_gap(env, idx, side, sum);
    env->se.lost_more = 0;
    while (strm_take_lost(&env->se, &f->side[side], &run)) {
        note_gap(env, idx, side, GAP_LIMIT, run.off, run.end - run.off);
        sum += run.end - run.off;
    }
    f->lost |= sum != 0;
}

/* data_ready: bytes became readable on this side, if somebody wants them. */
static void data_ready(struct conn_env *env, uint32_t idx, int side, uint8_t *data)
{
    const struct flow_side *sd = &flow_at(&env->ft, idx)->side[side];

    if (sd->flags & SIDE_WANTED) {
        *data |= (uint8_t)(1 << side);
        conn_raise(env, idx, side, SIDE_PEND_DATA);
    }
    if (sd->strm)
        conn_touch(env, idx);
}

/* note_given_up: the receiver may still be waiting for what lies below `end`: a FIN behind it is in doubt. */
static void note_given_up(struct conn_env *env, uint32_t idx, int side, uint64_t end)
{
    struct flow *f = flow_at(&env->ft, idx);
    struct flow_ext *x = conn_ext(env, f);

    if (x == NULL || !(f->side[side].flags & SIDE_ACKED) || conn_acked(f, side) >= end)
        return;
    x->dir[!side].given_up = end;
}

/* give_up: declare the first hole, up to `upto` at most, and let the bytes behind it through. */
static bool give_up(struct conn_env *env, uint32_t idx, int side, uint64_t upto,
                    enum gap_cause cause, uint8_t *data)
{
    struct flow_side *sd = &flow_at(&env->ft, idx)->side[side];
    uint64_t off = sd->next, end = strm_end(&env->se, sd), len;
    bool unsure = cause == GAP_TIMEOUT || cause == GAP_LIMIT;

    if (unlikely(strm_has_rival(&env->se, sd))) {
        conn_settle(env, idx, side, true, 0, data);
        return sd->next != off;
    }
    upto = fin_stop(env, flow_at(&env->ft, idx), side, upto, unsure);
    len = strm_skip(&env->se, sd, upto);
    if (len == 0)
        return false;
    if (unsure)
        note_given_up(env, idx, side, off + len);
    if (unlikely(env->se.nlost))
        conn_lost(env, idx, side);
    note_gap(env, idx, side, cause, off, len);
    env->reasons[REASON_BUF_FULL] += cause == GAP_LIMIT;
    conn_touch(env, idx); /* what waited behind it counts against the buffer's size now */
    /* bytes before it (policy LAST), or behind it */
    if (end < off || strm_end(&env->se, sd) > off + len)
        data_ready(env, idx, side, data);
    return true;
}

/*
 * known_end: highest offset of this receive stream that is known to exist. One number acknowledged
 * behind the last byte is a FIN that a tap has missed, as long as nothing comes behind it.
 */
static uint64_t known_end(const struct flow *f, int side)
{
    uint64_t end = conn_acked(f, side), fin;

    if (conn_fin_off(f, side, &fin))
        return fin > end ? fin : end;
    if (!(f->flags & FLOW_STRICT) && end == f->side[side].next + 1)
        end--;
    return end;
}

/* hang_at: make sure the flow is looked at by then. */
static void hang_at(struct conn_env *env, uint32_t idx, uint64_t when)
{
    const struct flow *f = flow_at(&env->ft, idx);
    struct wheel *w = &env->ft.wheel;

    if (when == UINT64_MAX)
        return;
    if (!wheel_hangs(w, idx) || (int32_t)(f->wheel.due - (uint32_t)(when / WHEEL_TICK_NS)) > 0)
        wheel_hang(w, idx, when);
}

/*
 * overdue: rules (a) and (c) for the first hole, which starts at `off`. => enum gap_cause, 0: keep
 * waiting.
 */
static int overdue(struct conn_env *env, const struct flow *f, int side, const struct strm *s,
                   uint64_t off)
{
    uint64_t acked = conn_acked(f, side);

    if (acked > off && s->hole_acked &&
        (env->cfg.in_line || env->now - s->hole_acked >= env->cfg.grace_ns ||
         s->hole_pkts >= env->cfg.grace_pkts))
        return GAP_ACKED;
    if (env->now - s->hole_since >= env->cfg.gap_timeout_ns)
        return GAP_TIMEOUT;
    return 0;
}

/*
 * look_at_hole: notice the first hole of a side, let it age, give it up when it is time.
 * => true if one was given up (there may be another behind it).
 */
static bool look_at_hole(struct conn_env *env, uint32_t idx, int side, uint8_t *data)
{
    struct flow *f = flow_at(&env->ft, idx);
    struct flow_side *sd = &f->side[side];
    uint64_t upto = known_end(f, side), acked, off, len;
    struct strm *s;
    int cause;

    if (likely(sd->strm == 0 && upto <= sd->next))
        return false;
    if (!strm_hole(&env->se, sd, upto, &off, &len))
        return false;
    s = strm_get(&env->se, sd);
    if (s == NULL) {
        env->reasons[REASON_NO_STREAM_MEM]++;
        return false;
    }
    acked = conn_acked(f, side);
    if (s->hole_off != off || s->hole_since == 0) {
        s->hole_off = off;
        s->hole_since = env->now ? env->now : 1;
        s->hole_acked = 0;
        s->hole_pkts = 0;
        hang_at(env, idx, conn_later(env->now, env->cfg.gap_timeout_ns));
    }
    if (acked > off && s->hole_acked == 0) {
        s->hole_acked = env->now ? env->now : 1;
        hang_at(env, idx, conn_later(env->now, env->cfg.grace_ns));
    }
    if (strm_full(&env->se, sd))
        return give_up(env, idx, side, off + len, GAP_LIMIT, data);
    cause = overdue(env, f, side, s, off);
    if (cause == 0)
        return false;
    return give_up(env, idx, side, cause == GAP_ACKED && acked < off + len ? acked : off + len,
                   (enum gap_cause)cause, data);
}

/*
 * all_here: everything is in order, up to the other's FIN if there is one, and nothing beyond it is known
 * of: what most packets, and most connections, leave behind.
 */
static bool all_here(const struct flow *f, int side)
{
    const struct flow_side *sd = &f->side[side];
    const uint32_t next = sd->base + (uint32_t)sd->next, fin = f->ctr[!side].fin;
    const bool ended = f->side[!side].flags & SIDE_FIN_SENT;

    return sd->strm == 0 && (!ended || seq_leq(fin, next)) &&
           (!(sd->flags & SIDE_ACKED) || seq_leq(sd->ack, next + (ended && seq_lt(fin, sd->ack))));
}

static void look_at_holes(struct conn_env *env, uint32_t idx, int side, uint8_t *data)
{
    if (likely(all_here(flow_at(&env->ft, idx), side)))
        return;
    while (look_at_hole(env, idx, side, data))
        ;
}

/*
 * take_syn_data: bytes on the SYN were accepted as far as the SYN/ACK, or the client's going on
 * behind them, says (RFC 7413); bytes on a SYN of the server as far as the client acknowledges them:
 * Linux throws them away (tcp_rcv_synsent_state_process), BSD takes them.
 */
static void take_syn_data(struct conn_env *env, struct conn_pkt *cp, int side, uint64_t taken)
{
    struct flow_side *sd = &cp->f->side[side];
    const struct strm *s;
    bool store = (sd->flags & (SIDE_WANTED | SIDE_RETAIN)) && !(sd->flags & SIDE_NOBUF);

    if (sd->strm == 0 || (s = strm_at(&env->se, sd->strm))->syn_len == 0 || s->doubted)
        return;
    if (strm_syn_take(&env->se, sd, taken > s->syn_len ? s->syn_len : (uint32_t)taken, store))
        data_ready(env, cp->idx, side, &cp->data);
    if (unlikely(env->se.nlost))
        conn_lost(env, cp->idx, side);
}

/* set_aside: bytes that the receiver takes or not: its ACK tells. ahead: they may lie behind a hole. */
static void set_aside(struct conn_env *env, struct conn_pkt *cp, uint64_t off, const uint8_t *data,
                      uint32_t len, bool ahead)
{
    if (!strm_doubt(&env->se, &cp->f->side[cp->to], off, data, len, ahead))
        return;
    cp->s->pb->flags |= PB_BORROWED;
    cp->s->pb->borrow_flow = cp->idx;
    conn_touch(env, cp->idx);
}

/*
 * hold_doubt: a segment that is refused, and that its receiver may take. The ACK is too old: RFC 5961 5.2
 * drops it, with its bytes; but the ACKs after it may be lost behind us, and Linux' header prediction does
 * not look at it where bytes are in order and the memory that the socket has charged suffices, which nobody
 * sees from outside. Or it is beyond a window that may be wider than can be said. The receiver's ACK tells.
 */
static void hold_doubt(struct conn_env *env, struct conn_pkt *cp)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];
    uint64_t from, to;
    struct strm_in in;

    if (!conn_payload(cp, &in) || in.len < in.wire_len ||
        (!conn_beyond(cp->f, cp->to, in.off + in.wire_len) && !conn_fits(cp->f, cp->to, &in)))
        return;
    from = in.off;
    to = in.off + in.wire_len;
    if (strm_fresh(&env->se, rcv, &from, &to))
        set_aside(env, cp, from, in.data + (from - in.off), (uint32_t)(to - from), true);
}

/*
 * hold_beyond: strict: it begins inside the window and reaches beyond. RFC 9293 3.10.7.4 and BSD cut it
 * off there; Linux takes all of it, since 6.17 only if nothing waits for the program to read it, else
 * nothing (tcp_sequence). The receiver's ACK tells here, too. Of what was seen before nothing is said.
 */
static void hold_beyond(struct conn_env *env, struct conn_pkt *cp, const struct strm_in *in)
{
    const struct flow *f = cp->f;
    const struct flow_side *rcv = &f->side[cp->to];
    uint64_t end = in->off + in->wire_len, limit = conn_limit(f, cp->to), from = in->off, to = end;

    if (!(f->flags & FLOW_STRICT) || end <= limit || from >= limit || rcv->next >= limit ||
        in->len < in->wire_len)
        return;
    while (strm_fresh(&env->se, rcv, &from, &to) && to < end) {
        from = to;
        to = end;
    }
    if (from < end)
        set_aside(env, cp, from, in->data + (from - in->off), (uint32_t)(end - from), true);
}

/* came_twice: does this segment report with a D-SACK that the other copy has come to bytes that were there? */
static bool came_twice(const struct seg *s, const struct flow_side *sd, const struct strm *st)
{
    uint32_t off = sd->base + (uint32_t)st->rival_off;

    return s->nsack && seq_leq(s->sack[0].end, s->ack) && seq_leq(s->sack[0].start, off) &&
           seq_lt(off, s->sack[0].end) && seq_leq(s->sack[0].end, off + st->rival_len);
}

/* take_doubted: the receiver has acknowledged. */
static void take_doubted(struct conn_env *env, struct conn_pkt *cp, int side)
{
    struct flow_side *sd = &cp->f->side[side];
    const struct strm *st = strm_at(&env->se, sd->strm);
    uint64_t acked = conn_acked(cp->f, side);
    bool store = (sd->flags & (SIDE_WANTED | SIDE_RETAIN)) && !(sd->flags & SIDE_NOBUF);

    if (unlikely(st->rival) && acked > st->rival_off && st->aside == sd->next)
        conn_settle(env, cp->idx, side,
                    !came_twice(cp->s, sd, st) && strm_rival_counts(&env->se, sd, acked), acked,
                    &cp->data);
    else if (strm_doubt_take(&env->se, sd, acked, store))
        data_ready(env, cp->idx, side, &cp->data);
    if (unlikely(env->se.nlost))
        conn_lost(env, cp->idx, side);
}

bool conn_payload(const struct conn_pkt *cp, struct strm_in *in)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];
    uint32_t skip = cp->off < 0 ? (uint32_t)-cp->off : 0;
    const struct seg *s = cp->s;

    if (cp->off < 0 && -cp->off > s->plen)
        skip = s->plen;
    *in = (struct strm_in){
        .off = cp->off < 0 ? 0 : (uint64_t)cp->off,
        .data = seg_payload(s) + (skip < s->pcap ? skip : s->pcap),
        .len = skip < s->pcap ? s->pcap - skip : 0,
        .wire_len = s->plen - skip,
        .store = (rcv->flags & (SIDE_WANTED | SIDE_RETAIN)) && !(rcv->flags & SIDE_NOBUF),
    };
    return in->wire_len > 0;
}

static void insert(struct conn_env *env, uint32_t idx, int side, const struct strm_in *in,
                   uint32_t *cut);

/* to_fin: with these bytes everything up to the sender's FIN is there: it ends the stream. */
static void to_fin(struct conn_env *env, struct flow *f, int side, struct strm_in *in)
{
    struct flow_side *sd = &f->side[side];
    uint64_t fin;

    if (!conn_fin_off(f, side, &fin) || strm_predict(&env->se, sd, in->off, in->len) < fin)
        return;
    strm_cut(&env->se, sd, fin);
    if (in->off + in->len > fin)
        in->len = in->wire_len = fin > in->off ? (uint32_t)(fin - in->off) : 0;
}

void conn_settle(struct conn_env *env, uint32_t idx, int side, bool later, uint64_t upto,
                 uint8_t *data)
{
    struct flow_side *sd = &flow_at(&env->ft, idx)->side[side];
    bool store = (sd->flags & (SIDE_WANTED | SIDE_RETAIN)) && !(sd->flags & SIDE_NOBUF);
    struct strm_in in = {.store = store};
    uint64_t end = strm_end(&env->se, sd);
    uint32_t cut;
    blk_t blk;

    if (!strm_has_rival(&env->se, sd))
        return;
    blk = strm_rival_out(&env->se, sd, &in);
    if (later && upto > in.off)
        upto = in.off;
    strm_doubt_take(&env->se, sd, upto, store);
    to_fin(env, flow_at(&env->ft, idx), side, &in);
    insert(env, idx, side, &in, &cut);
    conn_own(env, idx, side);
    blk_free(&env->se.blks, blk);
    if (strm_end(&env->se, sd) > end)
        data_ready(env, idx, side, data);
}

/*
 * conn_contested: by the ACK's place, where one copy ends before the other, or by a D-SACK; in order only. Else
 * it cannot be known: the later one counts, and the application is told of both (conn_classify).
 */
bool conn_contested(const struct conn_env *env, const struct conn_pkt *cp, const struct strm_in *in)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];
    const struct strm *s = rcv->strm ? strm_at(&env->se, rcv->strm) : NULL;
    bool tells;

    if (s == NULL || !s->doubted || (cp->s->tflags & (TH_SYN_ | TH_FIN_)))
        return false; /* a FIN ends the stream at once, or not */
    tells = in->off + in->wire_len != s->aside + s->syn_len ||
            (rcv->flags & cp->f->side[cp->from].flags & SIDE_SACK_OK);
    return (s->rival || (tells && s->aside == rcv->next && in->off <= rcv->next)) &&
           strm_contested(&env->se, rcv, in);
}

/*
 * contest: bytes come to a place where others are set aside, which differ: both wait till the receiver's ACK
 * tells which it has taken. What lies before them has no part in that.
 */
static bool contest(struct conn_env *env, struct conn_pkt *cp, struct flow_side *rcv,
                    const struct strm_in *in)
{
    struct strm_in part = *in;
    uint64_t aside, end = strm_end(&env->se, rcv), off = in->off;
    uint32_t front, cut;

    if (!conn_contested(env, cp, in)) {
        if (strm_has_rival(&env->se, rcv) && strm_doubt_overlap(&env->se, rcv, &off, in->wire_len))
            conn_settle(env, cp->idx, cp->to, true, 0, &cp->data);
        else if (!strm_contested(&env->se, rcv, in))
            strm_doubt_same(&env->se, rcv, in);
        return false;
    }
    aside = strm_at(&env->se, rcv->strm)->aside;
    front = in->off < aside ? (uint32_t)(aside - in->off) : 0;
    if (!strm_rival(&env->se, rcv, in->off + front, in->data + front, in->wire_len - front)) {
        conn_settle(env, cp->idx, cp->to, true, 0, &cp->data);
        return false;
    }
    part.len = part.wire_len = front;
    insert(env, cp->idx, cp->to, &part, &cut);
    conn_own(env, cp->idx, cp->to);
    if (strm_end(&env->se, rcv) > end)
        data_ready(env, cp->idx, cp->to, &cp->data);
    return true;
}

/*
 * keep_probe: strict: one byte into a closed window (RFC 9293 3.8.6.1). Whether the receiver takes it
 * is known when it acknowledges it: till then it is held aside.
 */
static bool keep_probe(struct conn_env *env, const struct conn_pkt *cp, const struct strm_in *in)
{
    struct flow *f = cp->f;
    struct flow_ext *x;

    if (!(f->flags & FLOW_STRICT) || in->wire_len != 1 || in->len != 1 ||
        in->off != f->side[cp->to].next || in->off != conn_limit(f, cp->to) ||
        (x = conn_ext(env, f)) == NULL)
        return false;
    if (x->dir[cp->from].probe && x->dir[cp->from].probe_off == in->off)
        return true;
    x->dir[cp->from].probe = true;
    x->dir[cp->from].probe_off = in->off;
    x->dir[cp->from].probe_byte = in->data[0];
    return true;
}

/* insert: strm_insert; what there is no memory for is counted, and a gap. */
static void insert(struct conn_env *env, uint32_t idx, int side, const struct strm_in *in,
                   uint32_t *cut)
{
    uint64_t failed = env->se.failed + env->se.unnoted;

    strm_insert(&env->se, &flow_at(&env->ft, idx)->side[side], in, cut);
    if (likely(env->se.failed + env->se.unnoted == failed))
        return;
    env->reasons[REASON_NO_STREAM_MEM]++;
    conn_lost(env, idx, side);
}

/* take_probe: the receiver has acknowledged, and the probe's byte has come in no other way. */
static void take_probe(struct conn_env *env, struct conn_pkt *cp, int side)
{
    struct flow_side *sd = &cp->f->side[side];
    struct flow_ext *x = conn_ext(env, cp->f);
    struct strm_in in = {.wire_len = 1, .len = 1};
    uint32_t cut;

    if (x == NULL || !x->dir[!side].probe)
        return;
    in.off = x->dir[!side].probe_off;
    in.data = &x->dir[!side].probe_byte;
    in.store = (sd->flags & (SIDE_WANTED | SIDE_RETAIN)) && !(sd->flags & SIDE_NOBUF);
    if (sd->next > in.off || conn_acked(cp->f, side) <= in.off)
        return;
    x->dir[!side].probe = false;
    insert(env, cp->idx, side, &in, &cut);
    conn_own(env, cp->idx, side);
    data_ready(env, cp->idx, side, &cp->data);
}

#define CUTS 4 /* runs of new bytes in a tail that was not captured; hardly ever more than one */

/*
 * find_cuts: where the tail that was not captured would have brought something new. => how many
 * runs.
 */
static int find_cuts(const struct conn_env *env, const struct flow_side *sd,
                     const struct strm_in *in, struct conn_gap *run)
{
    uint64_t from = in->off + in->len, end = in->off + in->wire_len, to = end;
    int n = 0;

    for (; n < CUTS && strm_fresh(&env->se, sd, &from, &to); n++) {
        run[n].off = from;
        run[n].len = to - from;
        from = to;
        to = end;
    }
    return n;
}

void conn_insert(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    struct seg *s = cp->s;
    struct flow_side *rcv = &f->side[cp->to];
    uint32_t cut;
    uint64_t end = strm_end(&env->se, rcv), next = rcv->next;
    struct conn_gap run[CUTS];
    struct strm_in in;
    int cuts = 0;

    /* a probe's byte is no data, whatever the policy */
    if (!conn_payload(cp, &in) || cp->rexmit.cls == RX_KEEPALIVE)
        return;
    if (keep_probe(env, cp, &in))
        return;
    if (!conn_fits(f, cp->to, &in)) {
        env->reasons[REASON_SEG_ABOVE]++;
        cp->rcv |= CR_ERROR;
        hold_beyond(env, cp, &in);
        return;
    }
    if (unlikely(rcv->strm) && contest(env, cp, rcv, &in))
        return;
    if (in.off > next) {
        struct flow_ext *x = conn_ext(env, f);

        if (x)
            x->dir[cp->from].ooo_packets++;
    }
    if (in.len < in.wire_len)
        cuts = find_cuts(env, rcv, &in, run);
    insert(env, cp->idx, cp->to, &in, &cut);
    if (in.off > next && rcv->strm) {
        strm_at(&env->se, rcv->strm)->flow = cp->idx;
        strm_at(&env->se, rcv->strm)->side = cp->to;
    }
    for (int i = 0; i < cuts && cut; i++)
        note_gap(env, cp->idx, cp->to, GAP_SNAPLEN, run[i].off, run[i].len);
    if (rcv->flags & SIDE_LAST)
        strm_ack(&env->se, rcv, conn_acked(f, cp->to)); /* an ACK that overtook its data */
    if (in.store && in.len) {
        s->pb->flags |= PB_BORROWED;
        s->pb->borrow_flow = cp->idx;
        conn_touch(env, cp->idx);
    }
    if (strm_end(&env->se, rcv) > end + cut)
        data_ready(env, cp->idx, cp->to, &cp->data);
}

void plain_streams(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_side *snd = &cp->f->side[cp->from], *rcv = &cp->f->side[cp->to];
    struct seg *s = cp->s;

    if (snd->strm)
        strm_ack(&env->se, snd, conn_acked(cp->f, cp->from));
    if (s->plen) {
        bool store = (rcv->flags & (SIDE_WANTED | SIDE_RETAIN)) && !(rcv->flags & SIDE_NOBUF);
        uint64_t failed = env->se.failed;

        strm_append(&env->se, rcv, seg_payload(s), s->plen, store);
        if (store) {
            s->pb->flags |= PB_BORROWED;
            s->pb->borrow_flow = cp->idx;
        }
        if (unlikely(env->se.failed != failed)) {
            env->reasons[REASON_NO_STREAM_MEM]++;
            conn_lost(env, cp->idx, cp->to);
        }
        data_ready(env, cp->idx, cp->to, &cp->data); /* who reads is told, if they are lost too */
    }
    age_hole(env, rcv);
    age_hole(env, snd);
}

static void merge(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    struct seg *s = cp->s;
    struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];

    if (unlikely(cp->ignored)) {
        if (cp->doubt)
            hold_doubt(env, cp);
        return;
    }
    if (unlikely(f->ext) && (s->tflags & TH_ACK_))
        take_probe(env, cp, cp->from);
    if ((s->tflags & TH_ACK_) && snd->strm) {
        take_syn_data(env, cp, cp->from, conn_acked(f, cp->from));
        take_doubted(env, cp, cp->from);
        if (strm_ack(&env->se, snd, conn_acked(f, cp->from)) && (snd->flags & SIDE_LAST))
            data_ready(env, cp->idx, cp->from, &cp->data);
    }
    /* an RST's payload is a message, no stream data (RFC 9293 3.5.2) */
    if (s->plen && !(s->tflags & TH_RST_) && !cp->late_syn) {
        if (s->tflags & TH_SYN_) {
            if (!strm_syn_hold(&env->se, rcv, seg_payload(s), s->pcap))
                env->reasons[REASON_NO_STREAM_MEM]++;
            if (s->pcap) {
                s->pb->flags |= PB_BORROWED;
                s->pb->borrow_flow = cp->idx;
                conn_touch(env, cp->idx);
            }
        } else {
            if (cp->from == CLI)
                take_syn_data(env, cp, cp->to, cp->off < 0 ? 0 : (uint64_t)cp->off);
            conn_insert(env, cp);
        }
    }
    age_hole(env, rcv);
    age_hole(env, snd);
    look_at_holes(env, cp->idx, cp->to, &cp->data);
    look_at_holes(env, cp->idx, cp->from, &cp->data);
}

void conn_merge(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;

    if (cp->merged)
        return;
    if (likely(cp->plain || cp->in_place)) {
        plain_merge(env, cp, cp_ends(cp));
        return;
    }
    cp->merged = true;
    merge(env, cp);
    f->asks = f->ext && flow_ext_asks(pool_at(&env->ft.exts, f->ext));
}

void conn_flush(struct conn_env *env, uint32_t idx, uint8_t *data)
{
    struct flow *f = flow_at(&env->ft, idx);

    for (int side = CLI; side <= SVR; side++) {
        struct flow_side *sd = &f->side[side];
        uint64_t off, len, end;

        if (likely(all_here(f, side) && env->se.nlost == 0))
            continue;
        conn_settle(env, idx, side, true, 0, data);
        if (sd->strm && strm_at(&env->se, sd->strm)->syn_len)
            strm_syn_take(&env->se, sd, 0, false); /* never acknowledged */
        if (unlikely(env->se.nlost))
            conn_lost(env, idx, side);
        while (strm_hole(&env->se, sd, known_end(f, side), &off, &len))
            if (!give_up(env, idx, side, off + len, GAP_END, data))
                break;
        end = strm_end(&env->se, sd);
        strm_ack(&env->se, sd, sd->next);
        if (strm_end(&env->se, sd) > end)
            data_ready(env, idx, side, data);
    }
}

uint32_t conn_relieve(struct conn_env *env, uint8_t *data)
{
    if (env->cfg.ooo_memory == 0 || env->se.ooo_mem <= env->cfg.ooo_memory)
        return 0;
    return conn_relieve_most(env, data);
}

uint32_t conn_relieve_most(struct conn_env *env, uint8_t *data)
{
    uint32_t idx = strm_ooo_most(&env->se);
    const struct strm *s;

    if (idx == 0)
        return 0;
    s = strm_at(&env->se, idx);
    idx = s->flow;
    if (!give_up(env, idx, (int)s->side, UINT64_MAX, GAP_LIMIT, data))
        return 0;
    env->reasons[REASON_OOO_MEMORY]++;
    return idx;
}

bool conn_timer(struct conn_env *env, uint32_t idx, uint8_t *data)
{
    look_at_holes(env, idx, CLI, data);
    look_at_holes(env, idx, SVR, data);
    if (conn_deadline(env, flow_at(&env->ft, idx)) <= env->now)
        return true;
    conn_rearm(env, idx);
    return false;
}
