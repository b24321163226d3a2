// SPDX-License-Identifier: BSD-2-Clause
/*
 * frags.c: what becomes of fragments. Before anything of a burst is worked off, its fragments have
 * gone to the table (wire/defrag.h), and each has its note. Raw sockets see fragments; then, in the
 * place of the one that completed it, the datagram goes the way of any other frame.
 *
 * With several contexts the feeder does the first part, before the frames are split: a datagram
 * belongs where its addresses and ports say, and no single context sees all of its fragments. So
 * there is one table whatever their number, and fragments are taken as they came: what a raw socket
 * changes of one is forwarded, and not part of the datagram.
 */
#include "engine/engine.h"

#include "wire/decode.h"

void frags_take(struct defrag *d, struct seg *s, struct frag_room *room)
{
    s->pb->frag = defrag_input(d, s, room);
}

/* steer_whole: the core of a datagram. Its TCP header is the same whatever the overlap policy. */
static int steer_whole(struct datagram *g, int cores)
{
    struct seg s;

    defrag_assemble(g, OVERLAP_FIRST);
    decode(&s, &g->pb);
    return steer_core(&s, cores);
}

int frags_core(const struct seg *s, int cores)
{
    struct frag_note *note = s->pb->frag;
    int core, other;

    if (note == NULL || (note->dg[0] == NULL && note->dg[1] == NULL))
        return steer_core(s, cores);
    core = steer_whole(note->dg[0] ? note->dg[0] : note->dg[1], cores);
    if (note->dg[0] && note->dg[1]) {
        other = steer_whole(note->dg[1], cores);
        if (other != core) { /* two datagrams of two connections in one: no host means that */
            note->overlap += note->dg[1]->pb.nfrags;
            note->dg[1] = NULL;
        }
    }
    return core;
}

/* ---- in the context ---- */

static void count_lost(uint64_t *reasons, const struct frag_note *note)
{
    reasons[REASON_FRAG_TIMEOUT] += note->timeout;
    reasons[REASON_FRAG_LIMIT] += note->limit;
    reasons[REASON_FRAG_OVERLAP] += note->overlap;
    reasons[REASON_IP_FRAGMENT] += note->other;
}

void frags_tell(struct worker *w, struct seg *s)
{
    const struct frag_note *note = s->pb->frag;
    struct mon *m = w->m;

    count_lost(m->env.reasons, note);
    if (note->reason != REASON_NONE)
        m->env.reasons[note->reason]++;
    /* in strict tracking nobody behind us takes what we did not */
    if (note->reason >= REASON_FRAG_CUT && note->reason <= REASON_FRAG_LIMIT && m->env.cfg.strict)
        s->pb->flags |= PB_DROP;
    for (int v6 = 0; v6 < 2; v6++)
        if (unlikely(note->evicted[v6]))
            mon_tell_frag_evict(m, v6, note->evicted[v6]);
}

/* policy_of: of the side that receives this segment, or would. */
static enum overlap_policy policy_of(struct worker *w, const struct seg *s, int i)
{
    struct mon *m = w->m;
    struct flow_hit hit = ftable_find(&m->env.ft, &w->key[i], w->hash[i], w->end[i]);
    int mode, client;
    uint64_t match;

    if (hit.idx & FLOW_TOMB)
        return OVERLAP_FIRST;
    if (hit.idx) {
        const struct flow_side *rcv = &flow_at(&m->env.ft, hit.idx)->side[!hit.from];

        return (enum overlap_policy)rcv->policy;
    }
    mode = conn_can_open(&m->env, s);
    if (mode == 0)
        return (enum overlap_policy)m->overlap;
    client = conn_client(s, w->end[i]);
    match = mon_match(m, s, mode, client == w->end[i]);
    return mon_policy(m, match, client == w->end[i] ? SVR : CLI);
}

static bool whole_decode(struct worker *w, struct datagram *g, enum overlap_policy policy)
{
    struct seg *s = &w->whole;

    defrag_assemble(g, policy);
    if (decode(s, &g->pb) == REASON_NONE)
        return true;
    w->m->env.reasons[s->reason]++;
    return false;
}

bool frags_whole(struct worker *w, const struct seg *of, struct datagram *g, int i)
{
    struct seg *s = &w->whole;
    enum overlap_policy policy;

    g->pb.slot = of->pb->slot;
    if (!whole_decode(w, g, OVERLAP_FIRST))
        return false;
    worker_key(w, s, i);
    if (likely(g->world == FW_BOTH && !g->overlap))
        return true;
    policy = policy_of(w, s, i);
    if (g->world == (policy == OVERLAP_LINUX ? FW_KEEP : FW_DISCARD)) {
        w->m->env.reasons[REASON_FRAG_OVERLAP] += g->world == FW_KEEP ? g->pb.nfrags : 0;
        return false;
    }
    return policy == OVERLAP_FIRST || whole_decode(w, g, policy);
}
