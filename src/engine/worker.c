// SPDX-License-Identifier: BSD-2-Clause
/*
 * worker.c: READ ME FIRST. A packet's way through the stack is worker_burst() and what it calls
 * here, straight down:
 *
 *   decode (the whole burst), fragments to their table (frags.c) -> key, hash, prefetch (the whole
 *   burst: lookahead.c) -> raw sockets -> a datagram in the place of the fragment that completed it
 *   -> look up: hit | SYN or picked up: new flow and children (openflow.c) | ORPHAN
 *      (too many half-open flows: a SYN is noted, not made a flow: gate.c)
 *   -> checksum
 *   -> 1 what it tells of its sender            -> events at SND (the application may read, change,
 *      drop)
 *   -> 2 first SYN: the server is keyed by the addresses as they are now (translation)
 *   -> 3 what it does to its receiver, repetition -> REXMIT is told before the merge
 *   -> 4 its payload is merged                  -> events at RCV, ERROR, GAP and NEW_DATA at once
 *   -> 5 has the connection come to its end?
 *
 * Most segments take a short cut through the steps: input_calm (conn/calm.h), or input_short (conn/plain.h, place.h).
 * All others go by input_tcp and track.
 *
 * The verdict is left in pb->flags; egress.c acts on it. The end of a batch is mon/epoch.c.
 */
#include "engine/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conn/calm.h"
#include "conn/place.h"
#include "conn/streamedit.h"
#include "flow/glance.h"
#include "flow/queue.h"
#include "mon/tellpkt.h"
#include "wire/decode.h"
#include "wire/neigh.h"

void worker_init(struct worker *w, struct mon *m)
{
    w->m = m;
    defrag_init(&w->frags, &engine.conf.frag, engine.conf.mon.secret);
}

static never_inline void flush_held(struct worker *w, uint64_t now);

void worker_epoch(struct worker *w, uint64_t now)
{
    if (unlikely(w->frags.entry.used))
        w->m->env.reasons[REASON_FRAG_TIMEOUT] += defrag_expire(&w->frags, now);
    if (unlikely(w->m->env.edit.holds)) {
        mon_clock(w->m, now);
        flush_held(w, w->m->env.now);
    }
    mon_epoch(w->m, now);
}

void worker_end(struct worker *w)
{
    if (unlikely(w->m->env.edit.holds))
        flush_held(w, UINT64_MAX);
    w->m->env.reasons[REASON_FRAG_TIMEOUT] += defrag_end(&w->frags);
}

void worker_fini(struct worker *w)
{
    defrag_fini(&w->frags);
    frag_room_fini(&w->froom);
    free(w->realm3);
    memset(w, 0, sizeof(*w));
}

/* ---- new flows ---- */

/* leave_out: a packet of IP that no connection takes: it does not leave, if that is configured. */
static void leave_out(struct worker *w, struct pktbuf *pb)
{
    if (likely(!w->m->drop_other) || (pb->flags & PB_DROP))
        return;
    pb->flags |= PB_DROP;
    w->m->env.reasons[REASON_OTHER_DROP]++;
}

static void orphan(struct worker *w, struct seg *s)
{
    if (unlikely(s->flags & SEG_IP_DROPPED))
        w->m->env.reasons[s->ip_why]++;
    mon_tell_orphan(w->m, s);
    if (w->m->drop_orphans && !(s->pb->flags & PB_DROP)) {
        s->pb->flags |= PB_DROP;
        w->m->env.reasons[REASON_ORPHAN_DROP]++;
    }
}

/* sender_side: which side of the flow is this endpoint of its key? */
static int sender_side(const struct flow *f, int end)
{
    return !!(f->flags & FLOW_CLI_IS_1) == end ? CLI : SVR;
}

/* ---- one packet of a flow ---- */

/* ranks_of: what is told of a packet: PKT_IN, and what it has raised. */
static inline uint32_t ranks_of(uint8_t raised)
{
#define STATES(x)                                                                                  \
    (x), (x) | EVB(EV_CONN_START), (x) | EVB(EV_STATE), (x) | EVB(EV_STATE) | EVB(EV_CONN_START)
#define REXMITS(x) STATES(x), STATES((x) | EVB(EV_REXMIT))
#define ERRORS(x)  REXMITS(x), REXMITS(x) /* told by itself */
    static const uint16_t ranks[] = {ERRORS(EVB(EV_PKT_IN)),
                                     ERRORS(EVB(EV_PKT_IN) | EVB(EV_OVERLAP))};

    _Static_assert(CR_CONN_START == 1 && CR_STATE == 2 && CR_REXMIT == 4 && CR_ERROR == 8 &&
                       CR_OVERLAP == 16 && EVB(EV_RANKS) - 1 <= UINT16_MAX,
                   "by number");
    assert(raised < ARRAY_SIZE(ranks));
    return ranks[raised];
}

/*
 * second_key: the first SYN's SND hooks may have changed its addresses: replies will come for those
 * (API semantics 3.1 step 3).
 * => false: the key belongs to a live flow; this one ends.
 */
static bool second_key(struct worker *w, struct conn_pkt *cp, const struct flow_key *first)
{
    struct ftable *ft = &w->m->env.ft;
    struct flow_key now;
    struct flow_hit hit;
    int end;

    if (likely(!(cp->s->pb->flags & PB_CHANGED)))
        return true;
    now.realm = first->realm;
    end = key_of_seg(&now, cp->s);
    if (key_eq(&now, first))
        return true;
    hit = ftable_find(ft, &now, ftable_hash(ft, &now), !end);
    if (hit.idx & FLOW_TOMB) {
        ftable_unbury(ft, hit.idx);
    } else if (hit.idx) {
        if (!(flow_at(ft, hit.idx)->flags & (FLOW_ENDED | FLOW_LINGER))) {
            w->m->env.reasons[REASON_KEY_TAKEN]++;
            cp->s->pb->flags |= PB_DROP;
            conn_kill(&w->m->env, cp->idx, MOS_END_COLLISION);
            return false;
        }
        mon_end(w->m, hit.idx, MOS_END_REUSE);
    }
    if (ftable_alias(ft, cp->idx, &now, !end, cp->s->pb->in_if) < 0)
        w->m->env.reasons[REASON_NO_FLOW_MEM]++;
    return true;
}

/* finish: what a segment may have brought to an end, or put into another class. */
static void finish(struct worker *w, struct conn_pkt *cp)
{
    struct mon *m = w->m;
    int reason = conn_done(&m->env, cp);

    if (reason)
        conn_kill(&m->env, cp->idx, reason);
    mon_reclass(m, cp->idx, cp->f);
    if (unlikely(m->env.cfg.ooo_memory && m->env.se.ooo_mem > m->env.cfg.ooo_memory))
        mon_relieve(m);
}

/* tell_receiver: in an edited flow the packet has the numbers of the receiver meanwhile. */
static void tell_receiver(struct worker *w, struct conn_pkt *cp)
{
    if (unlikely(cp->edited))
        edit_show(&w->m->env, cp, true);
    mon_tell_ranks(w->m, cp, HK_RCV, cp->to, ranks_of(cp->rcv));
    if (unlikely(cp->edited))
        edit_show(&w->m->env, cp, false);
}

/* track_receiver: steps 3 to 5. */
static void track_receiver(struct worker *w, struct conn_pkt *cp)
{
    struct mon *m = w->m;

    conn_recv(&m->env, cp);
    if (unlikely(cp->rcv & CR_REXMIT)) {
        tell_receiver(w, cp);
        conn_merge(&m->env, cp);
    } else {
        conn_merge(&m->env, cp);
        tell_receiver(w, cp);
    }
    if ((cp->rcv & CR_ERROR) || cp->data || cp->gap0 < m->env.ngaps)
        mon_tell_merged(m, cp);
    finish(w, cp);
}

/*
 * stillborn: the packet that opened the flow was dropped at SND, and nobody watches any more, or it
 * was reset: its receiver hears of nothing, and what comes next is asked anew.
 */
static bool stillborn(struct worker *w, const struct conn_pkt *cp)
{
    if (likely(!cp->opened || !(cp->s->pb->flags & PB_DROP)))
        return false;
    if (mon_all_stopped(w->m, cp->idx)) {
        mon_take_back(w->m, cp->idx);
        return true;
    }
    return cp->f->flags & FLOW_ENDED;
}

static never_inline void track_edited(struct worker *w, struct conn_pkt *cp);
static never_inline void receive_edited(struct worker *w, struct conn_pkt *cp);

/* track: one segment of a flow; conn_begin was there. */
static void track(struct worker *w, struct conn_pkt *cp, const struct flow_key *key)
{
    struct mon *m = w->m;

    if (unlikely(m->heads != NULL))
        mon_head_note(m, cp);
    if (unlikely(cp->f->asks) && edit_of(&m->env, cp->f)) {
        track_edited(w, cp);
        return;
    }
    conn_send(&m->env, cp);
    mon_tell_ranks(m, cp, HK_SND, cp->from, ranks_of(cp->snd));
    if (unlikely(cp->edited)) {
        receive_edited(w, cp);
        return;
    }
    if (unlikely(cp->s->level != SEG_TCP)) /* the application made something else of it */
        return;
    if (unlikely(stillborn(w, cp)))
        return;
    if (cp->opened && (cp->s->tflags & TH_SYN_) && !second_key(w, cp, key))
        return;
    track_receiver(w, cp);
}

/* ---- edited flows (conn/streamedit.h) ---- */

/* apply_edited: steps 3 to 5, with what the receiver gets. */
static void apply_edited(struct worker *w, struct conn_pkt *cp)
{
    struct conn_env *env = &w->m->env;

    if (unlikely(cp->s->level != SEG_TCP)) {
        edit_finish(env, cp);
        return;
    }
    if (!edit_apply(env, cp))
        return;
    track_receiver(w, cp);
    edit_finish(env, cp);
}

/* What is done with a frame that was kept. */
enum kept_for { KEPT_WAITED, KEPT_HELD };

static void track_kept(struct worker *w, uint32_t idx, int from, struct kept_frame *k,
                       enum kept_for what)
{
    struct conn_env *env = &w->m->env;
    struct conn_pkt cp;
    struct seg s;

    w->m->fix.pb = NULL; /* of another frame, perhaps, that was kept in the same place */
    k->pb.ts_ns = k->pb.clock_ns = env->now;
    env->edit.again = true;
    if (decode(&s, &k->pb) == REASON_NONE) {
        conn_begin(env, &cp, &s, idx, from, false);
        if (!edit_enter(env, &cp)) {
            if (what == KEPT_WAITED && !k->sent)
                conn_send(env, &cp);
            edit_present(env, &cp);
            if (what == KEPT_WAITED && !cp.quiet)
                mon_tell_packet(w->m, &cp, HK_SND, from, ranks_of(cp.snd));
            apply_edited(w, &cp);
        }
    }
    env->edit.again = false;
    edit_drop_frame(env, k);
}

/* take_turns: those whose turn has come. */
static void take_turns(struct worker *w, uint32_t idx)
{
    struct kept_frame *k;
    int from;

    while ((k = edit_next(&w->m->env, idx, &from)) != NULL)
        track_kept(w, idx, from, k, KEPT_WAITED);
}

/* receive_edited: of a packet that came: what waited for it follows. */
static never_inline void receive_edited(struct worker *w, struct conn_pkt *cp)
{
    apply_edited(w, cp);
    take_turns(w, cp->idx);
}

/* flush_one: what is held of one sender leaves. */
static void flush_one(struct worker *w, uint32_t idx, int from)
{
    struct kept_frame *k = edit_flush(&w->m->env, idx, from);

    if (k)
        track_kept(w, idx, from, k, KEPT_HELD);
    take_turns(w, idx);
}

static never_inline void flush_held(struct worker *w, uint64_t now)
{
    uint32_t idx;
    int from;

    while ((idx = edit_due(&w->m->env, now, &from)) != 0)
        flush_one(w, idx, from);
}

/* flush_late: what was held too long by now, this packet does not find any more. */
static void flush_late(struct worker *w, struct conn_pkt *cp)
{
    const struct flow_edit *fe = edit_of(&w->m->env, cp->f);
    int at = w->at--; /* it leaves in front */

    for (int side = CLI; fe && side <= SVR; side++) {
        if (fe->dir[side].held && fe->dir[side].since + EDIT_HOLD_NS <= w->m->env.now)
            flush_one(w, cp->idx, side);
        fe = edit_of(&w->m->env, cp->f);
    }
    w->at = at;
    cp->gap0 = w->m->env.ngaps;
}

/* track_edited: one segment of a flow whose payload was changed or held. */
static never_inline void track_edited(struct worker *w, struct conn_pkt *cp)
{
    struct mon *m = w->m;

    flush_late(w, cp);
    if (edit_enter(&m->env, cp))
        return;
    conn_send(&m->env, cp);
    if (cp->edited)
        edit_present(&m->env, cp);
    if (!cp->quiet)
        mon_tell_packet(m, cp, HK_SND, cp->from, ranks_of(cp->snd));
    else if (cp->snd)
        mon_tell_packet(m, cp, HK_SND, cp->from, ranks_of(cp->snd) & ~EVB(EV_PKT_IN));
    if (cp->edited)
        receive_edited(w, cp);
    else if (cp->s->level == SEG_TCP)
        track_receiver(w, cp);
}

/* turned: a callback at SND has made something else of a segment, perhaps, or of its flow. => it is dealt with. */
static never_inline bool turned(struct worker *w, struct conn_pkt *cp)
{
    if (cp->edited)
        receive_edited(w, cp);
    else if (cp->s->level == SEG_TCP && plain_still(&w->m->env, cp))
        return false;
    else if (cp->s->level == SEG_TCP)
        track_receiver(w, cp);
    return true;
}

/* tell_merged: likewise of what the merge of a plain segment has raised, and whether the flow has ended in a callback. */
static inline void tell_merged(struct worker *w, struct conn_pkt *cp)
{
    struct mon *m = w->m;

    if (unlikely(cp->gap0 < m->env.ngaps) ||
        (cp->data && mon_hears(m, cp->f, HK_RCV, EVB(EV_NEW_DATA))))
        mon_tell_merged(m, cp);
    if (unlikely(cp->f->flags & FLOW_ENDED))
        finish(w, cp);
}

/* track_calm: the same for a plain segment, most of all in a calm flow (conn/calm.h): what it can raise is known. */
static force_inline void track_calm(struct worker *w, struct conn_pkt *cp, struct ends e)
{
    struct mon *m = w->m;

    plain_send(&m->env, cp, e);
    if (mon_tell_packet_in(m, cp, HK_SND, cp->from) && unlikely(!calm_still(cp)) && turned(w, cp))
        return;
    plain_recv(cp, e);
    plain_merge(&m->env, cp, e);
    mon_tell_packet_in(m, cp, HK_RCV, cp->to);
    tell_merged(w, cp);
}

/* track_plain: where the flow is not calm. */
static never_inline void track_plain(struct worker *w, struct conn_pkt *cp)
{
    track_calm(w, cp, cp_ends(cp));
}

/*
 * finish_in_place: the same, where only a FIN, the end of the handshake or the last ACK can have. tflags: of the segment as its
 * receiver took it; callbacks may have written others since.
 */
static inline void finish_in_place(struct worker *w, struct conn_pkt *cp, uint8_t tflags)
{
    const struct flow *f = cp->f;

    if ((cp->in_place == PLACE_NEXT &&
         ((f->flags & FLOW_HALF) || (tflags & TH_FIN_) ||
          (fsm_done(f->side[CLI].state) && fsm_done(f->side[SVR].state)))) ||
        unlikely(f->flags & FLOW_ENDED))
        finish(w, cp);
    if (!(tflags & (TH_SYN_ | TH_FIN_))) /* the handshake has ended: what follows is plain */
        conn_calm(&w->m->env, cp->f);
}

/* track_in_place: likewise for one in its place (conn/place.h). key: of a flow that it has opened. */
static void track_in_place(struct worker *w, struct conn_pkt *cp, const struct flow_key *key)
{
    const struct ends e = cp_ends(cp);
    struct mon *m = w->m;
    uint8_t tflags;

    if (unlikely(m->heads != NULL))
        mon_head_note(m, cp);
    place_send(&m->env, cp, e);
    if (mon_tell_ranks(m, cp, HK_SND, cp->from, ranks_of(cp->snd))) {
        if (unlikely(cp->edited)) {
            receive_edited(w, cp);
            return;
        }
        if (unlikely(cp->s->level != SEG_TCP || stillborn(w, cp)))
            return;
        if (unlikely(!plain_still(&m->env, cp))) {
            if (!cp->opened || second_key(w, cp, key))
                track_receiver(w, cp);
            return;
        }
    }
    place_recv(cp, e);
    plain_merge(&m->env, cp, e);
    tflags = cp->s->tflags;
    mon_tell_ranks(m, cp, HK_RCV, cp->to, ranks_of(cp->rcv));
    if (cp->gap0 < m->env.ngaps || (cp->data && mon_hears(m, cp->f, HK_RCV, EVB(EV_NEW_DATA))))
        mon_tell_merged(m, cp);
    finish_in_place(w, cp, tflags);
}

/*
 * refused: the checksum says that the receiver would not take it. A flow that it would have opened
 * never was.
 */
static bool refused(struct worker *w, struct seg *s, uint32_t idx, int from, bool opened)
{
    struct flow *f = flow_at(&w->m->env.ft, idx);
    enum reason why;

    if (f->csum == CSUM_OFF || (why = conn_refuse(&w->m->env, f, s, from)) == REASON_NONE)
        return false;
    w->m->env.reasons[why]++;
    leave_out(w, s->pb);
    if (opened) {
        mon_abandon(w->m, idx);
        w->m->nflows--;
        conn_free(&w->m->env, idx);
    }
    return true;
}

/* need_key: what is not the flow that was expected needs the whole key. */
static inline void need_key(struct look *l)
{
    if (l->glanced)
        key_of_seg(&l->key, &l->seg);
    l->glanced = false;
}

/* still_lives: the flow that was expected when the burst was looked at. */
static inline bool still_lives(const struct worker *w, const struct look *l)
{
    const struct ftable *ft = &w->m->env.ft;

    return likely(w->gone == ft->gone) || ftable_lives(ft, l->guess);
}

/* expected: that flow, if it is still there, else 0. */
static inline uint32_t expected(const struct worker *w, const struct look *l)
{
    return l->guess && still_lives(w, l) ? l->guess : 0;
}

/* find_flow: as it was expected, or by a look-up. */
static inline struct flow_hit find_flow(struct worker *w, struct look *l)
{
    const struct ftable *ft = &w->m->env.ft;
    uint32_t idx = expected(w, l);
    struct flow_hit hit = idx ? ftable_confirm(ft, idx, l->ends, l->end) : (struct flow_hit){0};

    if (likely(hit.idx))
        return hit;
    if (!ftable_maybe(ft, l->hash))
        return hit;
    need_key(l);
    return ftable_find(ft, &l->key, l->hash, l->end);
}

/* input_in_place: others of the flow that was expected. => false: as input_short. */
static never_inline bool input_in_place(struct worker *w, struct look *l, int from)
{
    struct conn_env *env = &w->m->env;
    struct flow *f = l->rec;
    struct seg *s = &l->seg;
    const enum conn_place place = conn_place(env, f, s, from, false);
    struct conn_pkt cp;

    if (place == PLACE_NONE)
        return false;
    if (f->csum != CSUM_OFF && refused(w, s, l->guess, from, false))
        return true;
    /* its handshake ends: it leaves a queue, soon */
    if ((f->flags & FLOW_HALF) && !(s->tflags & TH_SYN_) && ftable_big(&env->ft))
        flow_fetch_neighbours(&env->ft, f);
    conn_ruffle(f);
    plain_begin(env, &cp, s, f, l->guess, from);
    cp.plain = false;
    cp.in_place = place;
    track_in_place(w, &cp, NULL);
    return true;
}

/*
 * input_calm: most packets: plain ones of the flow that was expected, which is calm. => false: it is not, and nothing has
 * been done yet.
 */
static force_inline bool input_calm(struct worker *w, struct look *l)
{
    struct seg *s = &l->seg;
    struct conn_env *env = &w->m->env;
    struct flow *f = l->rec;
    struct conn_pkt cp;
    struct ends e;
    unsigned from;

    if (unlikely(f == NULL || !still_lives(w, l) || !flow_ends_are(f, l->ends)))
        return false;
    if (unlikely(!calm_with(f, s)))
        return false;
    from = (unsigned)flow_from(f, l->end);
    e = ends_of(f, from);
    if (unlikely(!calm_next(env, f, e, s)))
        return false;
    if (f->csum != CSUM_OFF && refused(w, s, l->guess, (int)from, false))
        return true;
    plain_begin(env, &cp, s, f, l->guess, (int)from);
    track_calm(w, &cp, e);
    return true;
}

/* as_expected: is that flow still there, and that of this segment? */
static inline bool as_expected(const struct worker *w, const struct look *l, const struct flow *f)
{
    if (!still_lives(w, l))
        return false;
    if (unlikely(l->seg.flags & SEG_IP6))
        return flow_is_of_v6(&w->m->env.ft, f, &l->key);
    return flow_is_of(f, l->ends);
}

/* is_calm_v6: is this a plain segment of a calm flow of IPv6? */
static inline bool is_calm_v6(const struct conn_env *env, struct flow *f, const struct seg *s,
                              int from)
{
    return (s->flags & SEG_IP6) && calm_with_v6(f, s) &&
           calm_next(env, f, ends_of(f, (unsigned)from), s);
}

/*
 * input_short: others that are plain, or in their place. => false: go the common way; nothing has been
 * done yet.
 */
static inline bool input_short(struct worker *w, struct look *l)
{
    struct seg *s = &l->seg;
    struct conn_env *env = &w->m->env;
    struct flow *f = l->rec;
    struct conn_pkt cp;
    int from;

    if (f == NULL || !as_expected(w, l, f))
        return false;
    from = flow_from(f, l->end);
    if (!is_calm_v6(env, f, s, from)) {
        if (!conn_is_plain(env, f, s, from))
            return input_in_place(w, l, from);
        conn_calm(env, f);
    }
    if (f->csum != CSUM_OFF && refused(w, s, l->guess, from, false))
        return true;
    plain_begin(env, &cp, s, f, l->guess, from);
    track_plain(w, &cp);
    return true;
}

static never_inline void input_tcp(struct worker *w, struct look *l)
{
    struct seg *s = &l->seg;
    struct ftable *ft = &w->m->env.ft;
    struct flow_hit hit = find_flow(w, l);
    bool opened = false, orphaned = false, gated = false;
    struct conn_pkt cp;

    if (unlikely(hit.idx & FLOW_TOMB)) { /* nobody watches: forwarded, no orphan */
        if (mon_stopped_hears(w->m, s, hit.idx, hit.from))
            return;
        hit.idx = 0;
    }
    if (likely(hit.idx)) {
        conn_begin(&w->m->env, &cp, s, hit.idx, hit.from, false);
        if (!cp.plain && !cp.in_place && !flow_still_there(w, s, &hit, &orphaned))
            hit.idx = 0;
    }
    if (hit.idx == 0 && !orphaned) {
        need_key(l); /* the flow that was there has made way */
        hit.idx = flow_open(w, l, &gated);
        w->m->env.answered = false;
        opened = hit.idx != 0;
        if (opened)
            hit.from = sender_side(flow_at(ft, hit.idx), l->end);
    }
    if (unlikely(gated))
        return;
    if (hit.idx == 0) {
        enum reason why = conn_refuse_stray(&w->m->env, s);

        if (why == REASON_NONE) {
            orphan(w, s);
            return;
        }
        w->m->env.reasons[why]++;
        leave_out(w, s->pb);
        return;
    }
    if (unlikely(refused(w, s, hit.idx, hit.from, opened)))
        return;
    if (unlikely(opened))
        conn_begin(&w->m->env, &cp, s, hit.idx, hit.from, true);
    if (cp.in_place)
        track_in_place(w, &cp, &l->key);
    else
        track(w, &cp, &l->key);
}

static void account(struct worker *w, const struct pktbuf *pb, int i)
{
    struct mon *m = w->m;

    w->at = w->slots ? (int)pb->slot : i;
    if (pb->clock_ns > m->env.now)
        m->env.now = pb->clock_ns;
    if (w->noted && frags_is_second(pb))
        return;
    m->npackets++;
    m->nbytes += pb->wire_len;
}

/* input_uncalm: any other segment. */
static void input_uncalm(struct worker *w, struct look *l)
{
    const struct seg *s = &l->seg;

    if (input_short(w, l))
        return;
    if (unlikely(s->flags & SEG_OPT_BAD))
        w->m->env.reasons[REASON_TCP_OPT_BAD]++;
    if (unlikely((s->tflags & TH_SYN_) && (s->tflags & (TH_FIN_ | TH_RST_))))
        w->m->env.reasons[REASON_TCP_FLAGS]++;
    input_tcp(w, l);
}

/* input_fragment: a datagram that it completes goes in its place; both have one verdict. */
static void input_fragment(struct worker *w, struct seg *s)
{
    struct frag_note *note = s->pb->frag;

    frags_tell(w, s);
    for (int k = 0; k < FRAG_DATAGRAMS; k++) {
        if (note->dg[k] == NULL || !frags_whole(w, s, note->dg[k]))
            continue;
        input_uncalm(w, &w->whole);
        if (note->dg[k]->pb.flags & PB_DROP) {
            s->pb->flags |= PB_DROP;
            frags_dropped(w->noted ? NULL : &w->frags, note, s->pb->clock_ns);
        }
    }
    leave_out(w, s->pb);
}

static bool is_ip(const struct seg *s)
{
    return s->level >= SEG_IP || s->ethertype == 0x0800 || s->ethertype == 0x86dd;
}

/* input_other: forwarded as it came. A fragment without a note: there was no memory for one. */
static void input_other(struct worker *w, struct seg *s)
{
    bool lost = s->reason == REASON_IP_FRAGMENT;
    struct mon *m = w->m;

    if (s->level == SEG_IP && !(s->pb->flags & PB_DROP) && related_input(w, s))
        return;
    m->env.reasons[lost ? REASON_FRAG_LIMIT : s->reason]++;
    if (lost && m->env.cfg.strict)
        s->pb->flags |= PB_DROP;
    if (is_ip(s) && !neigh_is_discovery(s))
        leave_out(w, s->pb);
}

/* input_rare: neither a segment alone, nor all there is to tell. */
static never_inline void input_rare(struct worker *w, struct look *l)
{
    struct seg *s = &l->seg;
    struct mon *m = w->m;

    /* only now: the verdict on a datagram holds for what comes next; as it came, so before raw sockets */
    if (unlikely(s->reason == REASON_IP_FRAGMENT) && !w->noted)
        frags_take(&w->frags, s, &w->froom);
    if (s->level == SEG_TCP)
        need_key(l); /* as it came, if there was no raw socket yet when it was looked at */
    if (unlikely(m->raw_sockets) && s->level >= SEG_IP && !(w->noted && frags_is_second(s->pb)))
        mon_tell_raw(m, s);
    if (s->level == SEG_TCP)
        input_uncalm(w, l);
    else if (s->pb->frag)
        input_fragment(w, s);
    else
        input_other(w, s);
}

/* worker_input: one frame, decoded, that is no segment of a calm flow. */
static never_inline void worker_input(struct worker *w, struct look *l)
{
    if (likely(l->seg.level == SEG_TCP && !w->m->raw_sockets))
        input_uncalm(w, l);
    else
        input_rare(w, l);
}

/* input_bare: frames that were not decoded, from this one on: SYNs, and the gate takes them. => the last that is done with. */
static never_inline int input_bare(struct worker *w, struct pktbuf *const *pb, int i)
{
    const int end = gate_run(w, pb, i);
    struct look *l = &w->look[i];

    if (end > i)
        return end - 1;
    account(w, pb[i], i);
    worker_look(w, pb[i], l); /* not for the gate: as any other */
    l->guess = 0;
    l->rec = NULL;
    worker_input(w, l);
    return i;
}

void worker_burst(struct worker *w, struct pktbuf *const *pb, int n)
{
    struct look *l = w->look;
    uint64_t bare;

    if (unlikely(w->froom.at))
        frag_room_empty(&w->froom, engine.conf.poison);
    bare = look_burst(w, pb, n);
    for (int i = 0; i < n; i++, l++) {
        if (unlikely(bare && bare >> i & 1)) {
            i = input_bare(w, pb, i);
            l = &w->look[i];
            continue;
        }
        account(w, l->seg.pb, i);
        if (i < w->nnext)
            fetch_lines(w->next[i]);
        if (unlikely(w->m->raw_sockets || !input_calm(w, l)))
            worker_input(w, l);
    }
    w->fetched = 0; /* of this burst */
}
