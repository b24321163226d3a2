// SPDX-License-Identifier: BSD-2-Clause
/*
 * stopped.c: what is remembered of connections that nobody watches any more (struct flow_tomb), so that
 * their packets pass after one look-up and are no orphans.
 *
 * It ends by idleness. An RST, or FINs of both ends, leave it for the time in which late packets come
 * (linger, tcp_tw_interval; none: it goes at once). An RST proves nothing, since anybody can send one:
 * if its sender goes on it was none. A SYN that was never followed by anything is forgotten after a minute.
 *
 * A SYN begins a new connection where the old one is over, has not begun, or has been silent so long that
 * an end may have forgotten it. In a live one it begins nothing: its receiver answers with a challenge ACK
 * at most (RFC 5961 4), and a client that knows of no connection with an RST.
 */
#include "conn/streamedit.h"
#include "mon/mon.h"

#include <string.h>

#define UNANSWERED_NS                                                                              \
    (60 * NSEC_PER_SEC)               /* a SYN is sent again after 1, 3, 7, 15, 31 s (RFC 6298) */
#define SILENT_NS (60 * NSEC_PER_SEC) /* as in conn/reuse.c */

static bool is_syn(const struct seg *s)
{
    return (s->tflags & (TH_SYN_ | TH_ACK_ | TH_RST_)) == TH_SYN_;
}

static uint8_t rst_bit(int from)
{
    return from == CLI ? TOMB_RST_CLI : TOMB_RST_SVR;
}

static bool is_closed(const struct flow_tomb *t)
{
    return t->fins == 3 || (t->state & (TOMB_RST_CLI | TOMB_RST_SVR));
}

/* linger: how long one that is closed waits for late packets. */
static uint64_t linger(const struct conn_cfg *cfg, const struct flow_tomb *t)
{
    return t->fins == 3 && cfg->tw_ns > cfg->linger_ns ? cfg->tw_ns : cfg->linger_ns;
}

/* deadline: when it goes if nothing comes any more; UINT64_MAX: never. */
static uint64_t deadline(const struct conn_cfg *cfg, const struct flow_tomb *t)
{
    uint64_t wait = cfg->idle_ns;

    if (is_closed(t))
        wait = linger(cfg, t);
    else if (!(t->state & TOMB_GOES_ON) && wait > UNANSWERED_NS)
        wait = UNANSWERED_NS;
    return conn_later(t->last, wait);
}

void mon_stopped_arm(struct mon *m, uint32_t tomb)
{
    uint64_t when = deadline(&m->env.cfg, tomb_at(&m->env.ft, tomb));

    if (when != UINT64_MAX)
        wheel_hang(&m->env.ft.tomb_wheel, tomb & ~FLOW_TOMB, when);
}

void mon_stopped_due(struct mon *m, uint32_t tomb)
{
    if (deadline(&m->env.cfg, tomb_at(&m->env.ft, tomb)) <= m->env.now)
        ftable_unbury(&m->env.ft, tomb | FLOW_TOMB);
    else
        mon_stopped_arm(m, tomb);
}

/* ---- a packet of one ---- */

/* begins_anew: a SYN: of another connection? */
static bool begins_anew(const struct mon *m, const struct flow_tomb *t, const struct seg *s,
                        int from)
{
    if ((s->tflags & TH_FIN_) || (s->flags & SEG_IP_DROPPED) ||
        conn_refuse_stray(&m->env, s) != REASON_NONE)
        return false; /* no SYN that a host takes */
    if (from == CLI && (t->state & TOMB_ISN) && s->seq == t->isn)
        return false; /* once more */
    return is_closed(t) || !(t->state & TOMB_GOES_ON) || m->env.now - t->last >= SILENT_NS;
}

/* note: what the packet says of the connection. */
static void note(struct flow_tomb *t, const struct seg *s, int from)
{
    t->packets++;
    t->heard = true;
    if (!is_syn(s))
        t->state |= TOMB_GOES_ON;
    if (s->tflags & TH_FIN_)
        t->fins |= (uint8_t)(1 << from);
    if (s->tflags & TH_RST_)
        t->state |= rst_bit(from);
    else
        t->state &= (uint8_t)~rst_bit(from);
}

bool mon_stopped_hears(struct mon *m, const struct seg *s, uint32_t tomb, int from)
{
    struct flow_tomb *t = tomb_at(&m->env.ft, tomb);
    bool was;

    if (deadline(&m->env.cfg, t) < m->env.now || (is_syn(s) && begins_anew(m, t, s, from))) {
        ftable_unbury(&m->env.ft, tomb);
        return false;
    }
    was = is_closed(t);
    t->last = m->env.now;
    m->env.reasons[REASON_STOPPED]++;
    note(t, s, from);
    if (likely(was || !is_closed(t)))
        return true;
    if (linger(&m->env.cfg, t) == 0)
        ftable_unbury(&m->env.ft, tomb);
    else
        mon_stopped_arm(m, tomb);
    return true;
}

/* ---- burial ---- */

/*
 * leave_unwatched: the record itself stands for the tombstone, if it has not ended: there is no memory
 * for one, or the flow's numbers were shifted and must go on to be.
 */
static void leave_unwatched(struct mon *m, uint32_t idx)
{
    struct flow *f = flow_at(&m->env.ft, idx);

    memset(f->c0.set, 0, sizeof(f->c0.set));
    conn_ruffle(f);
    if (f->flags & FLOW_ENDED)
        conn_free(&m->env, idx);
}

static void bury(struct mon *m, uint32_t idx)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    uint32_t tomb;

    mon_abandon(m, idx);
    conn_forget(&m->env, idx); /* it may have been ended after it was stopped, or before */
    strm_drop(&m->env.se, &f->side[CLI]);
    strm_drop(&m->env.se, &f->side[SVR]);
    if (unlikely(f->ext) && edit_of(&m->env, f)) {
        leave_unwatched(m, idx);
        return;
    }
    tomb = ftable_bury(&m->env.ft, idx, m->env.now);
    if (tomb == 0 && mon_evict_stopped(m))
        tomb = ftable_bury(&m->env.ft, idx, m->env.now);
    if (tomb) {
        mon_stopped_arm(m, tomb);
        return;
    }
    m->env.reasons[REASON_NO_FLOW_MEM]++;
    leave_unwatched(m, idx);
}

void mon_bury_stopped(struct mon *m)
{
    for (uint32_t i = 0; i < m->nstopped; i++)
        if (m->stopped[i])
            bury(m, m->stopped[i]);
    m->nstopped = 0;
    if (likely(!m->stopped_lack))
        return;
    m->stopped_lack = false;
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i))
        if (mon_all_stopped(m, i))
            bury(m, i);
}

void mon_forget_stopped(struct mon *m, uint32_t idx)
{
    for (uint32_t i = 0; i < m->nstopped; i++)
        if (m->stopped[i] == idx)
            m->stopped[i] = 0;
}
