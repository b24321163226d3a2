// SPDX-License-Identifier: BSD-2-Clause
/*
 * epoch.c: the end of a batch and the end of a flow, in the order of contract 3:
 *
 *   GAP and NEW_DATA in the order first raised -> CONN_END of finished flows (each after its own
 *   last data) -> what must stay is copied, the rest let go -> application timers -> flow timers
 *   (and what they raise) -> room for the next batch (evict.c) -> tombstones -> sets freed
 *
 * A flow's record lives until its last CONN_END callback has returned; only then is anything of it
 * freed.
 */
#include "mon/mon.h"
#include "flow/queue.h"

#include <stdlib.h>
#include <string.h>

#define FLIGHT_MAX (16u << 20) /* bytes in flight that are kept of one side for comparison */

/* tell_gaps: this batch's gaps of one side, ascending. */
static void tell_gaps(struct mon *m, uint32_t idx, int side)
{
    uint32_t i;

    while ((i = mon_next_gap(m, idx, side, 0, 0)) < m->env.ngaps) {
        struct conn_gap g = m->env.gaps[i];

        m->env.gaps[i].flow = 0;
        m->gap = &g;
        mon_tell(m, idx, HK_NULL, side, EVB(EV_GAP));
        m->gap = NULL;
    }
}

/* tell_raise: one (flow, side). */
static void tell_raise(struct mon *m, uint32_t idx, int side)
{
    struct flow_side *sd = &flow_at(&m->env.ft, idx)->side[side];
    uint16_t what = sd->flags & (SIDE_PEND_DATA | SIDE_PEND_GAP);

    sd->flags &= (uint16_t) ~(SIDE_PEND_DATA | SIDE_PEND_GAP);
    if (what & SIDE_PEND_GAP)
        tell_gaps(m, idx, side);
    if (what & SIDE_PEND_DATA)
        mon_tell(m, idx, HK_NULL, side, EVB(EV_NEW_DATA));
}

/* tell_unlisted: those that found no room in the list, in any order. */
static void tell_unlisted(struct mon *m, uint32_t only)
{
    uint32_t idx = only ? only : ftable_next(&m->env.ft, 0);

    while (idx) {
        tell_raise(m, idx, CLI);
        tell_raise(m, idx, SVR);
        idx = only ? 0 : ftable_next(&m->env.ft, idx);
    }
}

/* fetch_next: what whoever is told of this, next, will read: while the one before is told. */
static inline void fetch_next(const struct mon *m, struct conn_raise r)
{
    if (likely(r.flow != 0))
        strm_fetch(&m->env.se, &flow_at(&m->env.ft, r.flow)->side[r.side]);
}

/* tell_raises: all of them, or those of one flow; callbacks may add more. */
static void tell_raises(struct mon *m, uint32_t only)
{
    for (uint32_t i = 0; i < m->env.nraises; i++) {
        struct conn_raise r = m->env.raises[i];

        if (r.flow == 0 || (only && r.flow != only))
            continue;
        m->env.raises[i].flow = 0;
        if (only == 0 && i + 1 < m->env.nraises)
            fetch_next(m, m->env.raises[i + 1]);
        tell_raise(m, r.flow, r.side);
    }
    if (unlikely(m->env.raises_lack) && only)
        tell_unlisted(m, only);
    while (unlikely(m->env.raises_lack) && !only) {
        m->env.raises_lack = false;
        tell_unlisted(m, 0);
    }
    if (only == 0)
        m->env.nraises = m->env.ngaps = 0;
}

/* end_side: the side is CLOSED now; its last two events at both hooks (API semantics 3.3). */
static void end_side(struct mon *m, uint32_t idx, struct flow *f, int side)
{
    const uint32_t ranks = EVB(EV_STATE) | EVB(EV_CONN_END);

    f->side[side].state = FS_CLOSED;
    if (mon_hears(m, f, HK_RCV, ranks))
        mon_tell_all(m, idx, HK_RCV, side, ranks);
    if (mon_hears(m, f, HK_SND, ranks))
        mon_tell_all(m, idx, HK_SND, side, ranks);
}

void mon_end(struct mon *m, uint32_t idx, int reason)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    uint32_t outer = m->ending, gap0 = m->env.ngaps;
    uint8_t data = 0;
    int last = f->flags & FLOW_LAST_SVR ? SVR : CLI;

    /* where a capture ends nobody goes on */
    if (unlikely(f->asks) && !(m->env.edit.replay && reason == MOS_END_EOF))
        mon_reset_edited(m, idx);
    if (f->reason == 0 || (reason && !(f->flags & (FLOW_LINGER | FLOW_ENDED))))
        f->reason = (uint8_t)(reason ? reason : MOS_END_EOF);
    if (conn_rst_due(&m->env, f))
        f->reason = MOS_END_RST;
    f->flags |= FLOW_ENDED;
    conn_flush(&m->env, idx, &data);
    if (unlikely(data || gap0 < m->env.ngaps))
        mon_tell_given_up(m, idx, gap0, data);
    if (unlikely(m->env.nraises || m->env.raises_lack))
        tell_raises(m, idx);
    m->ending = idx;
    f->end_state[CLI] = f->side[CLI].state;
    f->end_state[SVR] = f->side[SVR].state;
    if (f->reason == MOS_END_EVICTED)
        mon_tell(m, idx, HK_NULL, MOS_SIDE_BOTH, EVB(EV_EVICT));
    end_side(m, idx, f, last);
    end_side(m, idx, f, !last);
    m->ending = outer;
    mon_take_back(m, idx);
}

void mon_take_back(struct mon *m, uint32_t idx)
{
    mon_abandon(m, idx);
    mon_forget_stopped(m, idx);
    conn_free(&m->env, idx);
}

bool mon_idle(struct mon *m, uint32_t idx)
{
    struct flow *f = flow_at(&m->env.ft, idx);

    if (!(f->flags & (FLOW_LINGER | FLOW_IDLE_TOLD)) && !conn_rst_due(&m->env, f)) {
        f->flags |= FLOW_IDLE_TOLD;
        mon_tell(m, idx, HK_NULL, MOS_SIDE_BOTH, EVB(EV_TIMEOUT));
        if (conn_deadline(&m->env, f) > m->env.now) {
            conn_rearm(&m->env, idx);
            return false;
        }
    }
    mon_end(m, idx, MOS_END_TIMEOUT);
    return true;
}

/* slowest: the lowest offset that some child still has to read. */
static uint64_t slowest(const struct mon *m, struct flow *f, int side)
{
    uint64_t low = f->side[side].next;
    uint32_t v[MON_LISTENERS];
    int n = mon_children(m, f, false, v);

    for (int i = 0; i < n; i++) {
        const struct child *c = mon_child_at(m, f, v[i]);

        if ((c->flags & (side == CLI ? CHILD_WANT_CLI : CHILD_WANT_SVR)) &&
            *mon_cursor(m, f, c, side) < low)
            low = *mon_cursor(m, f, c, side);
    }
    return low;
}

/*
 * may_hold: bytes that were read and may stay: the buffer's size; if none was asked for and
 * repetitions are compared, all that is in flight: at most what the receiver has ever offered to
 * take, within reason.
 */
static uint64_t may_hold(const struct flow *f, int side, const struct strm *s)
{
    const struct flow_side *sd = &f->side[side];
    uint64_t acked, flight, window;

    if (!(sd->flags & SIDE_RETAIN) || s->sized || !(sd->flags & SIDE_ACKED))
        return s->limit;
    acked = conn_acked(f, side);
    flight = sd->next > acked ? sd->next - acked : 0;
    window = tcp_window(sd->max_wnd, sd->wscale);
    if (flight > window)
        flight = window;
    if (flight > FLIGHT_MAX)
        flight = FLIGHT_MAX;
    return flight > s->limit ? flight : s->limit;
}

/* all_read: in order, by the only child, and nothing of it is kept: what most batches leave behind. */
static bool all_read(const struct mon *m, const struct flow *f, int side)
{
    const struct flow_side *sd = &f->side[side];
    const struct strm *s = strm_at(&m->env.se, sd->strm);

    return f->c0.next == 0 && (f->c0.flags & (side == CLI ? CHILD_WANT_CLI : CHILD_WANT_SVR)) &&
           (sd->flags & (SIDE_WANTED | SIDE_RETAIN)) == SIDE_WANTED &&
           f->cursor[side] == sd->next && s->ooo.n == 0 && s->syn_len == 0;
}

/*
 * own_side: the frames go. Where there is no memory for what is in them retained bytes make way, then
 * who has not read has a last chance to. What is lost then is a gap.
 */
static void own_side(struct mon *m, uint32_t idx, int side, uint64_t unread)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    struct strm_env *se = &m->env.se;
    uint32_t gap0 = m->env.ngaps;

    if (likely(strm_try_own(se, &f->side[side]) == 0))
        return;
    strm_release(se, &f->side[side], unread);
    if (strm_try_own(se, &f->side[side]) == 0 && se->nlost == 0)
        return;
    m->lost_below = f->side[side].next;
    mon_tell(m, idx, HK_NULL, side, EVB(EV_ERROR));
    m->lost_below = 0;
    strm_release(se, &f->side[side], slowest(m, f, side));
    conn_own(&m->env, idx, side);
    if (gap0 < m->env.ngaps)
        mon_tell_given_up(m, idx, gap0, 0);
}

/*
 * settle_side: let go of what nobody needs; when too much is left, retained bytes go first, then
 * the slowest child's.
 */
static void settle_side(struct mon *m, uint32_t idx, int side)
{
    struct flow *f = flow_at(&m->env.ft, idx);
    struct flow_side *sd = &f->side[side];
    struct strm *s;
    uint64_t unread, keep, acked, most;

    if (sd->strm == 0)
        return;
    if (likely(all_read(m, f, side))) {
        strm_clear(&m->env.se, sd);
        strm_put(&m->env.se, sd);
        return;
    }
    if (!(sd->flags & SIDE_WANTED))
        strm_clear(&m->env.se, sd);
    s = strm_at(&m->env.se, sd->strm);
    keep = unread = slowest(m, f, side);
    if (sd->flags & SIDE_RETAIN) {
        uint64_t from = sd->next > s->limit ? sd->next - s->limit : 0;

        acked = conn_acked(f, side);
        keep = from < keep ? from : keep;
        if ((f->side[!side].flags & SIDE_SPOKE) && acked < keep)
            keep = acked;
    }
    strm_release(&m->env.se, sd, keep);
    most = may_hold(f, side, s);
    if (keep < unread && strm_held(&m->env.se, sd) > most)
        strm_release(&m->env.se, sd, unread < sd->next - most ? unread : sd->next - most);
    if (strm_held(&m->env.se, sd) > s->limit && sd->next - unread > s->limit) {
        m->lost_below = sd->next - s->limit;
        mon_tell(m, idx, HK_NULL, side, EVB(EV_ERROR)); /* a last chance to read */
        m->lost_below = 0;
        strm_release(&m->env.se, sd, sd->next - s->limit);
    }
    own_side(m, idx, side, unread);
    strm_put(&m->env.se, sd);
}

void mon_forget(struct mon *m, uint32_t idx)
{
    struct flow *f = flow_at(&m->env.ft, idx);

    for (int side = 0; side < 2; side++) {
        if (f->side[side].strm == 0)
            continue;
        strm_release(&m->env.se, &f->side[side], slowest(m, f, side));
        strm_put(&m->env.se, &f->side[side]);
    }
}

static void settle(struct mon *m)
{
    while (m->env.touched) {
        uint32_t idx = m->env.touched;
        struct flow *f = flow_at(&m->env.ft, idx);

        m->env.touched = f->pend;
        f->pend = 0;
        f->flags &= (uint16_t)~FLOW_PENDING;
        settle_side(m, idx, CLI);
        settle_side(m, idx, SVR);
    }
}

void mon_burst(struct mon *m)
{
    for (uint32_t idx = m->env.touched; idx; idx = flow_at(&m->env.ft, idx)->pend)
        conn_own_borrowed(&m->env, idx);
}

/* fetch_neighbours: of the flows that end, in wheel and queue: they are written when those go. */
static void fetch_neighbours(const struct mon *m)
{
    const struct ftable *ft = &m->env.ft;

    for (uint32_t i = 0; i < m->env.nended; i++) {
        const struct flow *f = m->env.ended[i] ? flow_at(ft, m->env.ended[i]) : NULL;

        if (f)
            flow_fetch_neighbours(ft, f);
    }
}

static void end_finished(struct mon *m)
{
    if (m->env.nended > 1 && ftable_big(&m->env.ft))
        fetch_neighbours(m);
    for (uint32_t i = 0; i < m->env.nended; i++) {
        if ((m->env.unlisted = m->env.ended[i]) == 0)
            continue;
        m->env.ended[i] = 0;
        mon_end(m, m->env.unlisted, 0);
    }
    m->env.nended = m->env.unlisted = 0;
    if (likely(!m->env.ended_lack))
        return;
    m->env.ended_lack = false;
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i))
        if (flow_at(&m->env.ft, i)->flags & FLOW_ENDED)
            mon_end(m, i, 0);
}

/* flow_timers: idle flows, holes that waited long enough, lingering that is over. */
static void flow_timers(struct mon *m)
{
    struct wheel *w = &m->env.ft.wheel;
    uint32_t head = wheel_advance(w, m->env.now), idx;

    while ((idx = wheel_next_due(w, &head)) != 0) {
        uint32_t gap0 = m->env.ngaps;
        uint8_t data = 0;
        bool idle = conn_timer(&m->env, idx, &data);

        if (data || gap0 < m->env.ngaps)
            mon_tell_given_up(m, idx, gap0, data);
        if (idle)
            mon_idle(m, idx);
    }
    w = &m->env.ft.tomb_wheel;
    head = wheel_advance(w, m->env.now);
    while ((idx = wheel_next_due(w, &head)) != 0)
        mon_stopped_due(m, idx);
}

void mon_epoch(struct mon *m, uint64_t now)
{
    mon_clock(m, now);
    tell_raises(m, 0);
    end_finished(m);
    tell_raises(m, 0);
    settle(m);
    mon_timers(m);
    flow_timers(m);
    if (unlikely(strm_tight(&m->env.se)))
        mon_make_room(m);
    tell_raises(m, 0);
    end_finished(m);
    tell_raises(m, 0);
    settle(m);
    while (unlikely(m->env.nraises)) { /* gaps for want of memory; nothing is in frames any more */
        tell_raises(m, 0);
        settle(m);
    }
    mon_bury_stopped(m);
    evset_gc(m->sets);
}

struct eof_item {
    uint64_t start;
    uint32_t idx;
};

static int eof_order(const void *a, const void *b)
{
    const struct eof_item *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->idx < y->idx ? -1 : x->idx > y->idx;
}

void mon_eof(struct mon *m)
{
    uint32_t n = 0, cnt = m->env.ft.count;
    struct eof_item *v = calloc(cnt ? cnt : 1, sizeof(*v));

    if (v == NULL) { /* any order will do */
        for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i))
            mon_end(m, i, MOS_END_EOF);
    } else {
        for (uint32_t i = ftable_next(&m->env.ft, 0); i && n < cnt; i = ftable_next(&m->env.ft, i))
            v[n++] = (struct eof_item){.start = flow_at(&m->env.ft, i)->start, .idx = i};
        qsort(v, n, sizeof(*v), eof_order);
        for (uint32_t i = 0; i < n; i++) {
            mon_end(m, v[i].idx, MOS_END_EOF);
            if ((i & 63) == 63)
                evset_gc(m->sets);
        }
        free(v);
    }
    tell_raises(m, 0);
    settle(m);
    mon_bury_stopped(m);
    evset_gc(m->sets);
}
