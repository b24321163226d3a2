/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plain.h: the short way. Most segments are the next bytes in order, or an ACK alone, between two ends
 * that are connected, with nothing out of order, nothing closing, nothing kept for later. For them the
 * long way (track.c, judge.c, rexmit.c, merge.c) asks a few dozen questions whose answer is no; here
 * they are asked at once, in conn_is_plain, and what is left of the long way is written straight down,
 * inline, so that the worker goes through without a call.
 *
 * It is a short cut and no second truth: for a segment that passes the test both ways leave the same
 * bytes in the record (test_plain_model compares them after each segment). What the short way does not
 * know, it does not take.
 */
#ifndef WEIR_CONN_PLAIN_H
#define WEIR_CONN_PLAIN_H

#include <string.h>

#include "conn/conn.h"

#define PLAIN_NEVER   (FLOW_ENDED | FLOW_LINGER | FLOW_HALF | FLOW_RST)
#define PLAIN_BASES   (FLOW_BASE_CLI | FLOW_BASE_SVR)
#define PLAIN_SIDE    (SIDE_ACKED | SIDE_SPOKE | SIDE_EDGE)
#define PLAIN_NO_SIDE (SIDE_FIN_SENT | SIDE_FIN_RCVD | SIDE_LAST)
#define PLAIN_GONE    (FLOW_ENDED | FLOW_LINGER | FLOW_RST)
#define PLAIN_NO_PB   (PB_CHANGED | PB_DATAGRAM)

/* The two ends of a segment: where its sender's and its receiver's halves of the record are. */
struct ends {
    struct flow_side *snd, *rcv;
};

/* side_at: the one so many bytes behind the client's. */
static inline struct flow_side *side_at(struct flow *f, size_t at)
{
    return (struct flow_side *)(void *)((char *)f->side + at);
}

static inline struct ends ends_of(struct flow *f, unsigned from)
{
    const size_t at = from * sizeof(f->side[0]);

    return (struct ends){side_at(f, at), side_at(f, at ^ sizeof(f->side[0]))};
}

/* ctr_of: the counters that belong to this side: as far behind it whichever it is. */
static inline struct flow_ctr *ctr_of(struct flow_side *sd)
{
    enum { BEHIND = offsetof(struct flow, ctr) - offsetof(struct flow, side) };

    _Static_assert(sizeof(struct flow_ctr) == sizeof(struct flow_side), "side by side");
    return (struct flow_ctr *)(void *)((char *)sd + BEHIND);
}

/* side_next, next_seq: the sequence number behind what has come in order on this side; a FIN counts. */
static inline uint32_t side_next(const struct flow_side *sd)
{
    return sd->base + (uint32_t)sd->next + !!(sd->flags & SIDE_FIN_RCVD);
}

static inline uint32_t next_seq(const struct flow *f, int side)
{
    return side_next(&f->side[side]);
}

/* plain_now: in order of time, and as it came. */
static inline bool plain_now(const struct conn_env *env, const struct seg *s)
{
    return !(s->pb->flags & PLAIN_NO_PB) && s->pb->ts_ns >= env->now;
}

/* plain_flow: both ends connected, and nothing rare about them. */
static inline bool plain_flow(const struct flow *f)
{
    const uint64_t is = SIDE_WORD(PLAIN_SIDE, FS_ESTABLISHED),
                   differ = (side_word(&f->side[CLI]) ^ is) | (side_word(&f->side[SVR]) ^ is);

    return (((flow_word(f) ^ FLOW_WORD(0, 0, 0, 0, PLAIN_BASES)) &
             FLOW_WORD(0, 0, 1, 1, PLAIN_NEVER | PLAIN_BASES)) |
            (differ & SIDE_WORD(PLAIN_SIDE | PLAIN_NO_SIDE, UINT8_MAX))) == 0;
}

/* plain_awake: not idle for so long that somebody would have to be told. */
static inline bool plain_awake(const struct conn_env *env, const struct flow *f)
{
    return env->now - f->last < env->plain_ns;
}

/* plain_calm: nothing waits above what is in order on this side, and nothing is set aside. */
static inline bool plain_calm(const struct conn_env *env, const struct flow_side *sd)
{
    const struct strm *s;

    if (likely(sd->strm == 0))
        return true;
    s = strm_at(&env->se, sd->strm);
    return s->ooo.n == 0 && s->syn_len == 0;
}

static inline bool plain_streams_calm(const struct conn_env *env, const struct flow *f)
{
    return likely((f->side[CLI].strm | f->side[SVR].strm) == 0) ||
           (plain_calm(env, &f->side[CLI]) && plain_calm(env, &f->side[SVR]));
}

/*
 * plain_place: the next bytes in order, and inside the window; the ACK is no older than the last one,
 * and of what has come; all that either end has acknowledged is here.
 */
static inline bool plain_place(struct ends e, const struct seg *s)
{
    const struct flow_side *snd = e.snd, *rcv = e.rcv;

    return s->seq == rcv->base + (uint32_t)rcv->next && s->seq == snd->snd_max &&
           seq_leq(rcv->ack, s->seq) && seq_leq(s->seq + s->plen, ctr_of(e.rcv)->edge) &&
           seq_leq(snd->ack, s->ack) && seq_diff(rcv->snd_max, s->ack) >= 0 &&
           seq_leq(s->ack, snd->base + (uint32_t)snd->next);
}

/*
 * plain_stamps: none, or agreed by both ends, not older than what has been echoed or sent, and the echo is of
 * what is known to have come in order.
 */
static inline bool plain_stamps(struct ends e, const struct seg *s)
{
    const struct flow_ctr *c = ctr_of(e.snd);

    if (!(s->flags & SEG_TS))
        return true;
    return (e.snd->flags & e.rcv->flags & SIDE_TS_OK) && c->tsval != 0 &&
           !seq_lt(s->tsval, c->echoed) && !seq_lt(s->tsval, c->tsval) &&
           seq_leq(s->tsecr, ctr_of(e.rcv)->tsval);
}

/* plain_streams: plain_merge where there is a stream, or somebody wants one (merge.c). */
void plain_streams(struct conn_env *env, struct conn_pkt *cp);

static inline bool conn_is_plain(const struct conn_env *env, struct flow *f, const struct seg *s,
                                 int from)
{
    const struct ends e = ends_of(f, (unsigned)from);

    return plain_flow(f) & !!(s->flags & SEG_PLAIN) && plain_now(env, s) && plain_awake(env, f) &&
           plain_place(e, s) && plain_stamps(e, s) && ctr_of(e.snd)->packets != UINT32_MAX &&
           plain_streams_calm(env, f);
}

/* cp_ends: of the segment at hand. */
static inline struct ends cp_ends(const struct conn_pkt *cp)
{
    return ends_of(cp->f, cp->from);
}

/* plain_begin: as conn_begin, for a segment that is plain. */
static inline void plain_begin(const struct conn_env *env, struct conn_pkt *cp, struct seg *s,
                               struct flow *f, uint32_t idx, int from)
{
    memset(cp, 0, sizeof(*cp));
    cp->s = s;
    cp->idx = idx;
    cp->f = f;
    cp->from = (uint8_t)from;
    cp->to = (uint8_t)(from ^ 1);
    cp->gap0 = env->ngaps;
    cp->plain = true;
}

/* plain_seen: it has passed, now, and counts. */
static inline void plain_seen(const struct conn_env *env, struct conn_pkt *cp, struct flow_ctr *c)
{
    struct flow *f = cp->f;

    cp->idle = env->now - f->last;
    f->last = env->now;
    f->flags = (uint16_t)((f->flags & ~(FLOW_IDLE_TOLD | FLOW_LAST_SVR)) | cp->to * FLOW_LAST_SVR);
    c->packets++;
    if (likely(!env->no_counts)) {
        c->ip_bytes += cp->s->ip_len;
        c->payload += cp->s->plen;
    }
}

/* plain_acks: the newest ACK of its sender, and the window with it. => where that ends. */
static inline uint32_t plain_acks(struct flow_side *snd, const struct seg *s)
{
    snd->ack = s->ack;
    snd->wnd = s->win;
    snd->max_wnd = s->win > snd->max_wnd ? s->win : snd->max_wnd;
    return s->ack + tcp_window(s->win, snd->wscale);
}

/* plain_echo: the newest timestamp of the other end that is known to have come. */
static inline void plain_echo(struct flow_ctr *other, const struct seg *s)
{
    if ((s->flags & SEG_TS) && seq_lt(other->echoed, s->tsecr) && seq_leq(s->tsecr, other->tsval))
        other->echoed = s->tsecr;
}

/* plain_stamp: its sender's newest timestamp. */
static inline void plain_stamp(struct flow_ctr *c, const struct seg *s)
{
    if ((s->flags & SEG_TS) && seq_lt(c->tsval, s->tsval))
        c->tsval = s->tsval;
}

/* plain_send: as conn_send. */
static inline void plain_send(const struct conn_env *env, struct conn_pkt *cp, struct ends e)
{
    struct flow_ctr *c = ctr_of(e.snd);

    plain_seen(env, cp, c);
    c->edge = seq_max(c->edge, plain_acks(e.snd, cp->s));
    plain_echo(ctr_of(e.rcv), cp->s);
}

/* plain_still: what callbacks at SND can have done to the packet and its flow (place.h asks, too). */
static inline bool plain_still(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;

    /* not as one word: the flags have just been written, and their neighbours have not */
    return !(cp->s->pb->flags & PLAIN_NO_PB) && !(f->flags & PLAIN_GONE) && !f->asks &&
           !((f->side[CLI].flags | f->side[SVR].flags) & SIDE_LAST) && plain_streams_calm(env, f);
}

/* plain_recv: as conn_recv. */
static inline void plain_recv(struct conn_pkt *cp, struct ends e)
{
    const struct seg *s = cp->s;

    cp->off = (int64_t)e.rcv->next;
    e.snd->snd_max = s->seq + s->plen;
    plain_stamp(ctr_of(e.snd), s);
}

/* plain_merge: as conn_merge. */
static inline void plain_merge(struct conn_env *env, struct conn_pkt *cp, struct ends e)
{
    /* as a number: a branch on whether a segment has bytes would be wrong every other time */
    const uint32_t wanted = cp->s->plen & -(uint32_t) !!(e.rcv->flags & SIDE_WANTED);

    cp->merged = true;
    if (likely((e.snd->strm | e.rcv->strm | wanted) == 0))
        e.rcv->next += cp->s->plen;
    else
        plain_streams(env, cp);
}

#endif
