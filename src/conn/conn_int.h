/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn_int.h: what the parts of conn/ share and nobody else sees.
 */
#ifndef WEIR_CONN_CONN_INT_H
#define WEIR_CONN_CONN_INT_H

#include "conn/conn.h"
#include "conn/plain.h"

#define WSCALE_UNKNOWN 15
#define UNSEEN_SLACK   (1u << 20) /* bytes that may have passed a tap unseen */

static inline uint16_t base_bit(int side)
{
    return side == CLI ? FLOW_BASE_CLI : FLOW_BASE_SVR;
}

/*
 * conn_lost: what the last call on a side's stream has lost for want of memory: each stretch is a gap
 * (GAP_LIMIT), and the flow is marked (merge.c).
 */
void conn_lost(struct conn_env *env, uint32_t idx, int side);

/* base_known: is the sequence number of offset 0 of this side's receive stream fixed? */
static inline bool base_known(const struct flow *f, int side)
{
    return f->flags & base_bit(side);
}

/* syn_seen: was the SYN or SYN/ACK that this side sent seen? */
static inline bool syn_seen(const struct flow *f, int side)
{
    return f->flags & (side == CLI ? FLOW_SYN : FLOW_SYNACK);
}

/* all_seen: has every packet of the connection passed us? */
static inline bool all_seen(const struct flow *f)
{
    return (f->flags & (FLOW_STRICT | FLOW_MIDSTREAM)) == FLOW_STRICT;
}

/*
 * ts_recent: the receiver's TS.Recent, for what this side sends. RFC 7323 4.3 says when it moves, but
 * not with which segments: one that we have seen may be lost behind us, or come behind others. Its
 * echoes tell (3.2), so that is the newest of them.
 */
static inline uint32_t ts_recent(const struct flow *f, int from)
{
    const struct flow_ctr *c = &f->ctr[from];

    return f->side[from].flags & SIDE_FIN_SENT ? c->tsval : c->echoed;
}

/*
 * ip_refuses: does the receiver of this segment drop it before TCP sees it, for its IP options or
 * headers? Which of them the hosts disagree on goes by the policy for overlaps, which names the host.
 */
static inline bool ip_refuses(const struct flow *f, const struct seg *s, int from)
{
    if (likely(!(s->flags & (SEG_IP_DROPPED | SEG_IP_LINUX))))
        return false;
    return (s->flags & SEG_IP_DROPPED) || f->side[!from].policy == OVERLAP_LINUX;
}

static inline bool is_syn(const struct seg *s)
{
    return (s->tflags & (TH_SYN_ | TH_ACK_ | TH_RST_)) == TH_SYN_;
}

static inline bool is_synack(const struct seg *s)
{
    return (s->tflags & (TH_SYN_ | TH_ACK_ | TH_RST_)) == (TH_SYN_ | TH_ACK_);
}

/* conn_note_max: the largest window that this sender has offered; that of a SYN is not scaled. */
static inline void conn_note_max(struct flow_side *snd, const struct seg *s)
{
    uint32_t wnd = s->win, scale = snd->wscale > 14 ? 14 : snd->wscale;

    if (s->tflags & TH_SYN_)
        wnd = (wnd + (1u << scale) - 1) >> scale;
    if (wnd > snd->max_wnd)
        snd->max_wnd = (uint16_t)wnd;
}

/* conn_note_options: what a SYN offers. Scaling needs both of them (RFC 7323 2.2). */
void conn_note_options(struct conn_pkt *cp);

/* age_hole: one more segment of the flow since an ACK told of the side's first hole. */
static inline void age_hole(const struct conn_env *env, const struct flow_side *sd)
{
    if (unlikely(sd->strm) && strm_at(&env->se, sd->strm)->hole_acked)
        strm_at(&env->se, sd->strm)->hole_pkts++;
}

/* conn_judge: would the receiver take this segment? Sets cp->ignored, cp->stale. */
void conn_judge(struct conn_env *env, struct conn_pkt *cp);

/* ack_of_syn: is the segment's ACK of its receiver's SYN, ISS < SEG.ACK <= SND.NXT? */
bool ack_of_syn(const struct conn_pkt *cp);

/* new_isn: a SYN/ACK that takes the place of one that nobody has acknowledged? */
bool new_isn(const struct conn_pkt *cp);

/* conn_note_copies: have its fragments brought copies that differ? Counted, and the content is a changed one. */
void conn_note_copies(struct conn_env *env, struct conn_pkt *cp);
/*
 * conn_classify: is anything in this segment repeated? To be asked before the merge, so that both
 * copies can be compared. max_before: the sender's highest number before this segment.
 */
void conn_classify(struct conn_env *env, struct conn_pkt *cp, bool syn_again, bool fin_again,
                   uint32_t max_before);

/* conn_note_sack: what the sender of this segment says that it has beyond its ACK, and twice. */
void conn_note_sack(struct conn_env *env, const struct conn_pkt *cp);

/*
 * What lies beyond all that may have passed unseen (far.c). far_ack: the sender of this segment
 * acknowledges something there. far_segment: its sender goes on there. => both have said so often
 * enough: the receiver is there, and this segment is to be taken.
 */
void far_ack(struct conn_env *env, const struct conn_pkt *cp, bool in_place);
bool far_segment(struct conn_env *env, struct conn_pkt *cp);
/*
 * far_unheard: this segment reaches beyond the window, or is even to be refused for that. => it is to be
 * taken: its receiver has long said nothing, and its window is not known any more.
 */
bool far_unheard(struct conn_env *env, const struct conn_pkt *cp, bool refused);
/*
 * Strict. far_refused: this segment is refused, rightly or not. far_taken: is this ACK, of more than was
 * taken here, one of what was refused, and not the first? => the receiver has it; we have a hole.
 */
void far_refused(struct conn_env *env, const struct conn_pkt *cp);
bool far_taken(struct conn_env *env, const struct conn_pkt *cp);

/*
 * fin_firm: has the FIN on side's receive stream come to its turn (or is there none)? Not as long as it
 * waits behind a hole, unless the receiver has acknowledged it.
 */
bool fin_firm(const struct flow *f, int side);
/* fin_take: a FIN, whose segment begins at `seq` (a SYN not counted). => true: it was known. */
bool fin_take(struct conn_env *env, struct conn_pkt *cp, uint32_t seq);
/*
 * fin_hold_of_syn: a FIN on a SYN: nobody is to believe it before its receiver acknowledges it. fin_hold:
 * another FIN of which that holds. => true: it was known. fin_of_held: the sender of this segment may have
 * acknowledged it (there is an extension).
 */
void fin_hold_of_syn(struct conn_env *env, struct conn_pkt *cp, uint32_t seq);
bool fin_hold(struct conn_env *env, struct flow *f, int from, uint32_t fin);
void fin_of_held(const struct conn_env *env, const struct conn_pkt *cp);
/* fin_void: the sender's FIN is known: does this segment, which has none, do away with it? */
void fin_void(const struct conn_env *env, const struct conn_pkt *cp);
/*
 * fin_stop: side's first hole is about to be given up, up to `upto`. If that brings the stream to a
 * FIN that waits it ends there: what is held behind goes. `unsure`: the receiver may be waiting for what is
 * given up: then it does not end, the FIN is held until it is acknowledged.
 * => where to give up to.
 */
uint64_t fin_stop(struct conn_env *env, struct flow *f, int side, uint64_t upto, bool unsure);
/* fin_reset: this RST is believed: where it leaves both streams. */
void fin_reset(struct conn_env *env, struct conn_pkt *cp);

/*
 * SYNs that may begin another connection (kept.c). kept_add: this one, if it is not kept yet.
 * kept_answer: note this SYN/ACK with the SYN that it acknowledges. => that; NULL: there is none.
 */
void kept_add(struct conn_env *env, struct flow *f, const struct seg *s, int from);
struct flow_syn *kept_answer(struct flow_ext *x, const struct seg *s, int from);
/*
 * kept_choose: the flow makes way for this one, for a segment of side `from`: env->kept, and what the new
 * flow keeps. kept_open: the new flow is where they have brought it.
 */
void kept_choose(struct conn_env *env, struct flow *f, const struct flow_syn *k,
                 const struct seg *s, int from);
void kept_open(struct conn_env *env, uint32_t idx);

/* conn_proven: has either end acknowledged a byte of the other's? A handshake two forged packets can make. */
bool conn_proven(const struct conn_env *env, const struct flow *f);

/* conn_contested: do these bytes differ from some that are set aside, and will the receiver tell which it took? */
bool conn_contested(const struct conn_env *env, const struct conn_pkt *cp,
                    const struct strm_in *in);

/*
 * conn_settle: if two copies of the same bytes wait: the one that came later counts, or that which was set aside
 * before, as far as `upto`.
 */
void conn_settle(struct conn_env *env, uint32_t idx, int side, bool later, uint64_t upto,
                 uint8_t *data);

/* conn_insert: the payload into its stream; what is repeated was looked at before. */
void conn_insert(struct conn_env *env, struct conn_pkt *cp);

/* conn_limit: where the receive stream's window ends, as an offset; UINT64_MAX: unknown. */
uint64_t conn_limit(const struct flow *f, int side);

#endif
