/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * calm.h: the shortest way (plain.h has the second): of a calm flow, a plain segment. What conn_is_plain asks about a
 * flow alone holds for its next segment, too, unless something else has happened to it meanwhile. A flow for which it
 * holds, of which all that was sent has come in order, and of whose bytes no more are acknowledged than were sent, is
 * marked as calm; whatever is not plain takes the mark away (conn_ruffle). A few comparisons are left for
 * its next segment.
 *
 * It is a short cut and no second truth: where no flag beside it says that the flow is over or has a timeout of its own, the
 * mark says what calm_holds says (asserted for each segment), and for
 * what passes the test all ways leave the same bytes in the record (test_plain_model).
 */
#ifndef WEIR_CONN_CALM_H
#define WEIR_CONN_CALM_H

#include <assert.h>
#include <netinet/in.h>

#include "conn/plain.h"

/* In one word: a calm flow of IPv4 with one key. */
#define CALM_FLAGS (PLAIN_NEVER | PLAIN_BASES | FLOW_NAT | FLOW_V6)
#define CALM_ASKS  FLOW_WORD(UINT8_MAX, 1, 1, 1, CALM_FLAGS)
#define CALM_IS    FLOW_WORD(IPPROTO_TCP, 1, 0, 0, PLAIN_BASES)

/* ---- the mark ---- */

/* calm_settled: of what this side has sent. */
static inline bool calm_settled(const struct flow *f, int side)
{
    const struct flow_side *snd = &f->side[side], *rcv = &f->side[side ^ 1];

    return snd->snd_max == rcv->base + (uint32_t)rcv->next && seq_leq(rcv->ack, snd->snd_max);
}

/*
 * calm_holds: does the mark say the truth, or may it be set? By parts (record.h): the flags and states of a flow that has
 * just been connected have been written so.
 */
static inline bool calm_holds(const struct conn_env *env, const struct flow *f)
{
    const struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    return cli->state == FS_ESTABLISHED && svr->state == FS_ESTABLISHED &&
           (cli->flags & svr->flags & PLAIN_SIDE) == PLAIN_SIDE &&
           !((cli->flags | svr->flags) & PLAIN_NO_SIDE) &&
           (f->flags & (PLAIN_NEVER | PLAIN_BASES)) == PLAIN_BASES && !f->timed && !f->asks &&
           plain_streams_calm(env, f) && calm_settled(f, CLI) && calm_settled(f, SVR);
}

/* conn_calm: mark it, if so. */
static inline void conn_calm(const struct conn_env *env, struct flow *f)
{
    if (calm_holds(env, f))
        f->calm = true;
}

/* calm_with: is a flow of IPv4 that has one key calm, and the segment SEG_PLAIN? Other flows are never asked. */
static inline bool calm_with(const struct flow *f, const struct seg *s)
{
    return (((flow_word(f) ^ CALM_IS) & CALM_ASKS) | (~s->flags & SEG_PLAIN)) == 0;
}

/* calm_with_v6: the same of a flow of IPv6, of which that is known. */
static inline bool calm_with_v6(const struct flow *f, const struct seg *s)
{
    return (((flow_word(f) ^ CALM_IS) & (CALM_ASKS & ~FLOW_WORD(0, 0, 0, 0, FLOW_V6))) |
            (~s->flags & SEG_PLAIN)) == 0;
}

/* ---- a segment of it ---- */

/*
 * calm_next: of a segment that is SEG_PLAIN: is it plain? The next bytes in order, and inside the window; the ACK is no older than the last one, and
 * of what has come.
 */
static inline bool calm_next(const struct conn_env *env, const struct flow *f, struct ends e,
                             const struct seg *s)
{
    assert(calm_holds(env, f));
    return plain_now(env, s) && plain_awake(env, f) && s->seq == e.snd->snd_max &&
           seq_diff(ctr_of(e.rcv)->edge, s->seq + s->plen) >= 0 &&
           s->ack - e.snd->ack <= e.rcv->snd_max - e.snd->ack &&
           ctr_of(e.snd)->packets != UINT32_MAX && plain_stamps(e, s);
}

/* calm_still: after a callback: does it go on this way (or on that of a plain one of IPv6)? By parts, as they have been written. */
static inline bool calm_still(const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;

    return !(cp->s->pb->flags & PLAIN_NO_PB) && f->calm && !f->timed && !f->asks &&
           (f->flags & (CALM_FLAGS & ~FLOW_V6)) == PLAIN_BASES;
}

#endif
