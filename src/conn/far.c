// SPDX-License-Identifier: BSD-2-Clause
/*
 * far.c: a tap has lost more than a window and a megabyte: one end acknowledges, and the other sends,
 * what lies beyond all that we know. One such segment anybody can forge, who need not even know where
 * the connection is; so both ends have to speak of one place more than once, and none of them may go on
 * at the old one meanwhile. The ACK of a segment that is itself out of place counts little: it takes
 * many of them to say that both directions were lost.
 *
 * Or it sees one direction only, from some time on. Then a sender goes on beyond the window and nobody
 * says a word, or ACKs go on and nobody sends: what was known of the silent end holds no longer.
 *
 * Strict has lost nothing, but it may have refused what the receiver took. If that acknowledges it, twice
 * and without going back, it has it: what an end that refuses a segment sends is the ACK of before.
 */
#include "conn/conn_int.h"

#define FAR_ACKS     8
#define ACK_IN_PLACE 4 /* so much of that, else 1 */
#define FAR_SEGS     2

void far_ack(struct conn_env *env, const struct conn_pkt *cp, bool in_place)
{
    struct flow_ext *x = conn_ext(env, cp->f);
    const struct seg *s = cp->s;
    uint32_t reach;

    if (x == NULL)
        return;
    reach = tcp_window(x->dir[cp->to].far_wnd, cp->f->side[cp->from].wscale) + UNSEEN_SLACK;
    if (x->dir[cp->to].far_acks == 0 ||
        !seq_in(s->ack, x->dir[cp->to].far_ack - reach, 2 * reach)) {
        x->dir[cp->to].far_acks = x->dir[cp->to].far_segs = 0;
        x->dir[cp->to].far_ack = s->ack;
    }
    if (seq_leq(x->dir[cp->to].far_ack, s->ack)) {
        x->dir[cp->to].far_ack = s->ack;
        x->dir[cp->to].far_wnd = s->win;
    }
    if (x->dir[cp->to].far_acks < FAR_ACKS)
        x->dir[cp->to].far_acks += in_place ? ACK_IN_PLACE : 1;
    if (in_place && x->dir[cp->to].far_acks >= FAR_ACKS && !(cp->f->flags & FLOW_STRICT))
        cp->f->side[cp->from].flags &= (uint16_t)~SIDE_ACKED; /* it would be too old one day */
}

bool far_unheard(struct conn_env *env, const struct conn_pkt *cp, bool refused)
{
    struct flow_side *snd = &cp->f->side[cp->from], *rcv = &cp->f->side[cp->to];
    struct flow_ext *x = conn_ext(env, cp->f);
    uint32_t heard = cp->f->ctr[cp->to].packets;

    if (x == NULL)
        return false;
    if (!x->dir[cp->from].unheard || x->dir[cp->from].unheard_packets != heard) {
        if (refused)
            return false;
        x->dir[cp->from].unheard = true;
        x->dir[cp->from].unheard_packets = heard;
        x->dir[cp->from].unheard_seq = cp->s->seq;
        return false;
    }
    if (!refused || !seq_in(cp->s->seq, snd->snd_max - UNSEEN_SLACK, 2 * UNSEEN_SLACK) ||
        seq_lt(cp->s->seq, x->dir[cp->from].unheard_seq + UNSEEN_SLACK / 2))
        return false;
    rcv->flags &= (uint16_t) ~(SIDE_EDGE | SIDE_ACKED);
    return true;
}

/* believe: the receiver of what this side sends is where it says. */
static void believe(struct flow *f, struct flow_ext *x, int from)
{
    struct flow_side *rcv = &f->side[!from];
    uint32_t ack = x->dir[from].far_ack;

    x->dir[from].far_acks = 0;
    rcv->flags |= SIDE_ACKED | SIDE_EDGE;
    rcv->ack = ack;
    rcv->wnd = x->dir[from].far_wnd;
    f->ctr[!from].edge = ack + tcp_window(rcv->wnd, rcv->wscale);
}

bool far_segment(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_ext *x = cp->f->ext ? conn_ext(env, cp->f) : NULL;
    const struct seg *s = cp->s;
    uint32_t window;

    if (x == NULL || x->dir[cp->from].far_acks == 0)
        return false;
    window = tcp_window(x->dir[cp->from].far_wnd, cp->f->side[cp->to].wscale);
    if (!seq_in(s->seq, x->dir[cp->from].far_ack, window + 1))
        return false;
    x->dir[cp->from].far_segs += x->dir[cp->from].far_segs < FAR_SEGS;
    if (x->dir[cp->from].far_acks < FAR_ACKS || x->dir[cp->from].far_segs < FAR_SEGS)
        return false;
    believe(cp->f, x, cp->from);
    return true;
}

void far_refused(struct conn_env *env, const struct conn_pkt *cp)
{
    uint32_t end = cp->s->seq + seg_slen(cp->s);
    struct flow_ext *x = conn_ext(env, cp->f);

    if (x == NULL)
        return;
    if (!x->dir[cp->from].refused || seq_lt(x->dir[cp->from].refused_max, end))
        x->dir[cp->from].refused_max = end;
    x->dir[cp->from].refused = true;
}

bool far_taken(struct conn_env *env, const struct conn_pkt *cp)
{
    struct flow_ext *x = cp->f->ext ? conn_ext(env, cp->f) : NULL;

    if (x == NULL || !x->dir[cp->to].refused || seq_lt(x->dir[cp->to].refused_max, cp->s->ack))
        return false;
    far_ack(env, cp, true);
    if (x->dir[cp->to].far_acks < FAR_ACKS)
        return false;
    cp->f->side[cp->to].snd_max = cp->s->ack;
    return true;
}
