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

void worker_key(struct worker *w, struct seg *s, int i)
{
    give_realm(w, s);
    w->glanced[i] = false;
    w->end[i] = (uint8_t)key_of_seg(&w->key[i], s);
    w->hash[i] = ftable_hash(&w->m->env.ft, &w->key[i]);
}

/* look_at: decode a frame and fetch what its look-up needs. */
static inline void look_at(struct worker *w, struct pktbuf *pb, int i)
{
    struct seg *s = &w->seg[i];

    if (unlikely(decode(s, pb) != REASON_NONE))
        return;
    if (likely(!(s->flags & SEG_IP6) && !w->m->raw_sockets)) {
        int end;

        give_realm(w, s);
        w->hash[i] = key_glance(s, w->m->env.ft.secret, &end);
        w->end[i] = (uint8_t)end;
        w->glanced[i] = true;
    } else {
        worker_key(w, s, i); /* raw sockets may change the frame: its key is that of what came */
    }
    w->line[i] = ftable_prefetch(&w->m->env.ft, w->hash[i]);
}

void worker_look(struct worker *w, struct pktbuf *pb, int i)
{
    look_at(w, pb, i);
}

/* fetch_records: of the frames in `seen`, by bit, that were looked at. */
static inline void fetch_records(struct worker *w, uint64_t seen)
{
    const struct ftable *ft = &w->m->env.ft;
    const bool tracks = !w->m->raw_sockets; /* those may change a frame first */
    uint64_t missed = 0;

    for (; seen; seen &= seen - 1) {
        const int i = __builtin_ctzll(seen);

        w->guess[i] = 0;
        if (unlikely(w->seg[i].level != SEG_TCP || !tracks))
            continue;
        w->guess[i] = ftable_expect(ft, w->line[i], w->hash[i]);
        if (unlikely(w->guess[i] == 0))
            missed |= 1ULL << i;
    }
    for (; missed; missed &= missed - 1) {
        const int i = __builtin_ctzll(missed);

        w->guess[i] = ftable_expect_behind(ft, w->line[i], w->hash[i]);
    }
    w->gone = ft->gone;
}

/* ends: will this segment, or has one before it, begin the end of its flow? Then it needs the record's last line. */
static inline bool ends(const struct flow *f, const struct seg *s)
{
    return unlikely((s->tflags & (TH_FIN_ | TH_RST_)) || ((f->side[CLI].state ^ FS_ESTABLISHED) |
                                                          (f->side[SVR].state ^ FS_ESTABLISHED)));
}

/* fetch_contexts: the application's, of the flows expected: what callbacks will touch first. */
static inline void fetch_contexts(struct worker *w, uint64_t seen)
{
    const bool many = ftable_big(&w->m->env.ft);

    for (; seen; seen &= seen - 1) {
        const int i = __builtin_ctzll(seen);
        struct flow *f;

        if (w->guess[i] == 0)
            continue;
        f = flow_at(&w->m->env.ft, w->guess[i]);
        prefetch_w(f->c0.uctx);
        if (many && ends(f, &w->seg[i]))
            prefetch_w(&f->start);
    }
}

/* fetch_sets: the event sets of the flows expected, where they are too many to lie in the cache. */
static void fetch_sets(const struct worker *w, uint64_t seen)
{
    const struct mon *m = w->m;

    for (uint64_t left = seen; left; left &= left - 1) {
        const uint32_t idx = w->guess[__builtin_ctzll(left)];

        if (idx) {
            evset_prefetch(m->sets, flow_at(&m->env.ft, idx)->c0.set[HK_SND]);
            evset_prefetch(m->sets, flow_at(&m->env.ft, idx)->c0.set[HK_RCV]);
        }
    }
    for (uint64_t left = seen; left; left &= left - 1) {
        const uint32_t idx = w->guess[__builtin_ctzll(left)];

        if (idx) {
            evset_prefetch_ops(m->sets, flow_at(&m->env.ft, idx)->c0.set[HK_SND]);
            evset_prefetch_ops(m->sets, flow_at(&m->env.ft, idx)->c0.set[HK_RCV]);
        }
    }
}

uint64_t look_burst(struct worker *w, struct pktbuf *const *pb, int n)
{
    const uint64_t all = UINT64_MAX >> (IO_BURST - n);
    uint64_t bare = 0;

    fetch_first(pb, n);
    if (unlikely(mon_half_full(w->m)) && gate_shut(w)) {
        bare = gate_look(w, pb, n);
    } else {
        for (int i = 0; i < n; i++) {
            fetch_ahead(pb, i, n);
            look_at(w, pb[i], i);
        }
    }
    fetch_records(w, all & ~bare);
    if (unlikely(bare))
        gate_sift(w, bare); /* in between: records are on their way */
    fetch_contexts(w, all & ~bare);
    if (unlikely(evset_many(w->m->sets)))
        fetch_sets(w, all & ~bare);
    return bare;
}
