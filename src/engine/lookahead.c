// SPDX-License-Identifier: BSD-2-Clause
/*
 * lookahead.c: a burst looked at as a whole before its first frame is worked off (worker.c): every
 * frame decoded, its key hashed, and what it will touch fetched, in steps: headers, the line of the
 * table, the record, the application's context, event sets. What one step fetches the next one needs,
 * a burst later.
 */
#include "engine/engine.h"

#include <stdlib.h>

#include "flow/glance.h"
#include "wire/decode.h"

/* ---- realm: one number for a VLAN stack ---- */

/*
 * realm_of_three: stacks of three tags do not fit in 32 bits: they are numbered as they come. For
 * want of memory, those that have no number yet share the last one.
 */
static uint32_t realm_of_three(struct worker *w, const uint16_t *vlan)
{
    uint64_t packed = (uint64_t)vlan[0] << 24 | (uint32_t)vlan[1] << 12 | vlan[2];

    for (uint32_t i = 0; i < w->nrealm3; i++)
        if (((uint64_t)w->realm3[2 * i] << 32 | w->realm3[2 * i + 1]) == packed)
            return 1u << 31 | i;
    if (w->nrealm3 == w->cap_realm3) {
        uint32_t cap = w->cap_realm3 ? w->cap_realm3 * 2 : 16;
        uint32_t *v = realloc(w->realm3, 2 * cap * sizeof(*v));

        if (v == NULL) {
            w->m->env.reasons[REASON_NO_FLOW_MEM]++;
            return UINT32_MAX;
        }
        w->realm3 = v;
        w->cap_realm3 = cap;
    }
    w->realm3[2 * w->nrealm3] = (uint32_t)(packed >> 32);
    w->realm3[2 * w->nrealm3 + 1] = (uint32_t)packed;
    return 1u << 31 | w->nrealm3++;
}

/* realm_of: of a frame with tags. */
static uint32_t realm_of(struct worker *w, const struct seg *s)
{
    if (s->nvlan >= 3)
        return realm_of_three(w, s->vlan);
    return worker_realm(s->vlan[0]) | (s->nvlan == 2 ? (s->vlan[1] + 1u) << 13 : 0);
}

/* ---- keys ---- */

static inline void give_realm(struct worker *w, const struct seg *s)
{
    if (unlikely(s->nvlan) && s->pb->realm == 0 && w->m->vlan_in_key)
        s->pb->realm = realm_of(w, s);
}

uint32_t worker_give_realm(struct worker *w, const struct seg *s)
{
    give_realm(w, s);
    return s->pb->realm;
}

void worker_key(struct worker *w, struct look *l)
{
    give_realm(w, &l->seg);
    l->glanced = false;
    key_no_ends(l->ends);
    l->end = (uint8_t)key_of_seg(&l->key, &l->seg);
    l->hash = ftable_hash(&w->m->env.ft, &l->key);
}

/* look_key: key and hash of a segment of IPv6, or of any where raw sockets may change the frame: its key is that of what came. */
static never_inline void look_key(struct worker *w, struct look *l)
{
    unsigned end;

    if (unlikely(w->m->raw_sockets)) {
        worker_key(w, l);
        return;
    }
    give_realm(w, &l->seg);
    l->glanced = false;
    key_no_ends(l->ends);
    l->hash = key_glance_v6(&l->key, &l->seg, w->m->env.ft.secret, &end);
    l->end = (uint8_t)end;
}

/* look_at: decode a frame and fetch what its look-up needs. */
static inline void look_at(struct worker *w, struct pktbuf *pb, struct look *l)
{
    struct seg *s = &l->seg;

    decode(s, pb);
    if (unlikely(s->level != SEG_TCP))
        return;
    if (likely(!(s->flags & SEG_IP6) && !w->m->raw_sockets)) {
        unsigned end;

        give_realm(w, s);
        l->hash = key_glance(s, w->m->env.ft.secret, l->ends, &end);
        l->end = (uint8_t)end;
        l->glanced = true;
    } else {
        look_key(w, l);
    }
    l->line = ftable_prefetch(&w->m->env.ft, l->hash);
}

void worker_look(struct worker *w, struct pktbuf *pb, struct look *l)
{
    look_at(w, pb, l);
}

/* expect: the flow that a frame probably belongs to. */
static inline void expect(struct look *l, struct flow_guess g)
{
    l->guess = g.idx;
    l->rec = g.f;
}

/* fetch_record: of a frame that was looked at. => false: it may lie behind the first line of its chain. */
static inline bool fetch_record(const struct worker *w, struct look *l)
{
    if (unlikely(l->seg.level != SEG_TCP ||
                 w->m->raw_sockets)) { /* those may change a frame first */
        expect(l, (struct flow_guess){0});
        return true;
    }
    expect(l, ftable_expect(&w->m->env.ft, l->line, l->hash));
    return l->guess != 0;
}

/* fetch_behind: of a frame for which that said so. */
static inline void fetch_behind(const struct worker *w, struct look *l)
{
    expect(l, ftable_expect_behind(&w->m->env.ft, l->line, l->hash));
}

/* ends: will this segment, or has one before it, begin the end of its flow? Then it needs the record's last line. */
static inline bool ends(const struct flow *f, const struct seg *s)
{
    return unlikely((s->tflags & (TH_FIN_ | TH_RST_)) || ((f->side[CLI].state ^ FS_ESTABLISHED) |
                                                          (f->side[SVR].state ^ FS_ESTABLISHED)));
}

/* fetch_context: the application's, of the flow expected: what callbacks will touch first. */
static inline void fetch_context(const struct worker *w, const struct look *l)
{
    struct flow *f = l->rec;

    if (f == NULL)
        return;
    flow_prefetch_key(&w->m->env.ft, f);
    prefetch_w(f->c0.uctx);
    if (ends(f, &l->seg))
        prefetch_w(&f->start);
}

/* fetch_sets: the event sets of the flows expected, where they are too many to lie in the cache. */
static void fetch_sets(const struct worker *w, uint64_t seen)
{
    const struct evtab *sets = w->m->sets;

    for (uint64_t left = seen; left; left &= left - 1) {
        const struct flow *f = w->look[__builtin_ctzll(left)].rec;

        if (f) {
            evset_prefetch(sets, f->c0.set[HK_SND]);
            evset_prefetch(sets, f->c0.set[HK_RCV]);
        }
    }
    for (uint64_t left = seen; left; left &= left - 1) {
        const struct flow *f = w->look[__builtin_ctzll(left)].rec;

        if (f) {
            evset_prefetch_ops(sets, f->c0.set[HK_SND]);
            evset_prefetch_ops(sets, f->c0.set[HK_RCV]);
        }
    }
}

/* fetch_flows: what the n frames of a burst need, but for those in `bare`. */
static inline void fetch_flows(struct worker *w, int n, uint64_t bare)
{
    const bool many = ftable_big(&w->m->env.ft);
    uint64_t missed = 0;

    for (int i = 0; i < n; i++)
        if (!(bare >> i & 1) && unlikely(!fetch_record(w, &w->look[i])))
            missed |= 1ULL << i;
    for (; missed; missed &= missed - 1)
        fetch_behind(w, &w->look[__builtin_ctzll(missed)]);
    w->gone = w->m->env.ft.gone;
    if (unlikely(bare))
        gate_sift(w, bare);             /* in between: records are on their way */
    for (int i = 0; many && i < n; i++) /* few lie in the cache */
        if (!(bare >> i & 1))
            fetch_context(w, &w->look[i]);
}

uint64_t look_burst(struct worker *w, struct pktbuf *const *pb, int n)
{
    const uint64_t all = UINT64_MAX >> (IO_BURST - n);
    const int fetch = w->fetched >= n ? 0 : n;
    uint64_t bare = 0;

    assert(n > 0);
    fetch_first(pb, fetch);
    if (unlikely(mon_half_full(w->m)) && gate_shut(w)) {
        bare = gate_look(w, pb, n);
    } else {
        for (int i = 0; i < n; i++) {
            fetch_ahead(pb, i, fetch);
            look_at(w, pb[i], &w->look[i]);
        }
    }
    if (likely(!bare))
        fetch_flows(w, n, 0); /* a loop of its own: nothing is asked of each frame */
    else
        fetch_flows(w, n, bare);
    if (unlikely(evset_many(w->m->sets)))
        fetch_sets(w, all & ~bare);
    return bare;
}
