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

#include <string.h>

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
    const struct frag_note *note = s->pb->frag;

    for (int k = 0; note && k < FRAG_DATAGRAMS; k++)
        if (note->dg[k])
            return steer_whole(note->dg[k], cores);
    return steer_core(s, cores);
}

static struct pktbuf *copy_frame(const struct pktbuf *from, struct frag_note *note,
                                 struct frag_room *room)
{
    struct pktbuf *pb = frag_room_get(room, sizeof(*pb));
    uint8_t *data = frag_room_get(room, from->len + 4), *p;

    if (pb == NULL || data == NULL)
        return NULL;
    p = data + (-from->l2_len & 3); /* the IP header on a multiple of 4 */
    memcpy(p, from->data, from->len);
    *pb = *from;
    pb->data = p;
    pb->cap = from->len;
    pb->headroom = 0;
    pb->own = NULL;
    pb->frag = note;
    return pb;
}

/* others_core: has it a datagram of another core than this one? A third core gets none. */
static bool others_core(const struct frag_note *note, int first, int cores, int *core)
{
    for (int k = 0; k < FRAG_DATAGRAMS; k++) {
        if (note->dg[k] == NULL)
            continue;
        *core = steer_whole(note->dg[k], cores);
        if (*core != first)
            return true;
    }
    return false;
}

struct pktbuf *frags_second(const struct seg *s, int cores, struct frag_room *room, int *core)
{
    struct frag_note *note = s->pb->frag, *own;
    struct pktbuf *pb = NULL;

    if (note == NULL || !others_core(note, frags_core(s, cores), cores, core))
        return NULL;
    own = frag_room_get(room, sizeof(*own));
    if (own)
        pb = copy_frame(s->pb, own, room);
    if (pb) {
        own->second = true;
        own->key = note->key;
    }
    for (int k = 0, first = frags_core(s, cores); k < FRAG_DATAGRAMS; k++) {
        int to = note->dg[k] ? steer_whole(note->dg[k], cores) : first;

        if (to == first)
            continue;
        if (pb && to == *core)
            own->dg[k] = note->dg[k];
        note->dg[k] = NULL;
    }
    return pb;
}

/* ---- in the context ---- */

static void count_lost(uint64_t *reasons, const struct frag_note *note)
{
    reasons[REASON_FRAG_TIMEOUT] += note->timeout;
    reasons[REASON_FRAG_LIMIT] += note->limit;
    reasons[REASON_FRAG_OVERLAP] += note->overlap;
    reasons[REASON_IP_FRAGMENT] += note->other;
    reasons[REASON_FRAG_ECN] += note->ecn;
    reasons[REASON_FRAG_CHANGED] += note->changed;
}

void frags_tell(struct worker *w, struct seg *s)
{
    const struct frag_note *note = s->pb->frag;
    struct mon *m = w->m;

    count_lost(m->env.reasons, note);
    if (note->reason != REASON_NONE)
        m->env.reasons[note->reason]++;
    /* in strict tracking nobody behind us takes what we did not */
    if (m->env.cfg.strict &&
        ((note->reason >= REASON_FRAG_CUT && note->reason <= REASON_FRAG_LIMIT) ||
         (note->reason >= REASON_IP_OPT_BAD && note->reason <= REASON_IP6_HDR_UNKNOWN)))
        s->pb->flags |= PB_DROP;
    if (note->reason == REASON_FRAG_DROPPED)
        s->pb->flags |= PB_DROP;
    for (int v6 = 0; v6 < 2; v6++)
        if (unlikely(note->evicted[v6]))
            mon_tell_frag_evict(m, v6, note->evicted[v6]);
}

void frags_dropped(struct defrag *d, struct frag_note *note, uint64_t now)
{
    note->dropped = true;
    if (d)
        defrag_bury(d, &note->key, REASON_FRAG_DROPPED, now);
}

void frags_leave(struct defrag *d, struct pktbuf *pb, const struct pktbuf *second)
{
    const struct frag_note *note = pb->frag, *other = second ? second->frag : NULL;

    if (other)
        pb->flags |= second->flags & PB_DROP;
    if (note->dropped || (other && other->dropped))
        defrag_bury(d, &note->key, REASON_FRAG_DROPPED, pb->clock_ns);
    else if (defrag_buried(d, &note->key, pb->clock_ns) == REASON_FRAG_DROPPED)
        pb->flags |= PB_DROP;
}

/* policy_of: of the side that receives this segment, or would. */
static enum overlap_policy policy_of(struct worker *w, const struct look *l)
{
    struct mon *m = w->m;
    struct flow_hit hit = ftable_find(&m->env.ft, &l->key, l->hash, l->end);
    int mode, client;
    uint64_t match;

    if (hit.idx & FLOW_TOMB)
        return OVERLAP_FIRST;
    if (hit.idx) {
        const struct flow_side *rcv = &flow_at(&m->env.ft, hit.idx)->side[!hit.from];

        return (enum overlap_policy)rcv->policy;
    }
    mode = conn_can_open(&m->env, &l->seg);
    if (mode == 0)
        return (enum overlap_policy)m->overlap;
    client = conn_client(&l->seg, l->end);
    match = mon_match(m, &l->seg, mode, client == l->end);
    return mon_policy(m, match, client == l->end ? SVR : CLI);
}

static bool whole_decode(struct worker *w, struct datagram *g, enum overlap_policy policy)
{
    struct seg *s = &w->whole.seg;

    defrag_assemble(g, policy);
    if (decode(s, &g->pb) == REASON_NONE)
        return true;
    w->m->env.reasons[s->reason]++;
    return false;
}

bool frags_whole(struct worker *w, const struct seg *of, struct datagram *g)
{
    enum overlap_policy policy;

    g->pb.slot = of->pb->slot;
    if (!whole_decode(w, g, OVERLAP_FIRST))
        return false;
    worker_key(w, &w->whole);
    if (likely(g->world == FW_BOTH && !g->overlap))
        return true;
    policy = policy_of(w, &w->whole);
    if (!(g->world & frag_world_of(policy))) {
        w->m->env.reasons[g->ecn_mixed ? REASON_FRAG_ECN : REASON_FRAG_OVERLAP] +=
            g->world & FW_RFC ? g->pb.nfrags : 0;
        return false;
    }
    return policy == OVERLAP_FIRST || whole_decode(w, g, policy);
}
