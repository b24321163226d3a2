// SPDX-License-Identifier: BSD-2-Clause
/*
 * gate.c: a flood of SYNs. When as many flows are half open as may be (max_half_open) and the oldest
 * of them is young, a SYN is not made a flow: it is noted in 16 bytes (conn/synnote.h). Its flow is
 * opened by whoever shows that there is somebody behind it: the server with its SYN/ACK, the client
 * by going on or by sending the SYN again. Random sources do none of that.
 *
 * What happens to the noted SYN itself: it is forwarded, unless an application is in the way that
 * would have had the right to change or drop it (callbacks on packets or CONN_START at MOS_HK_SND;
 * drop_orphans; strict): then it is dropped, and the client sends it again. That is a second later,
 * and a flood has taken the note by then: what was dropped is remembered apart (conn/syndrop.h).
 *
 * A plain SYN (Ethernet, IPv4 without options, no payload) is noted without being decoded: that path
 * has to cost no more than the look-up itself. Whatever is not as plain, or belongs to a flow after
 * all, is decoded later and goes the common way, in its order.
 */
#include "engine/engine.h"

#include <endian.h>
#include <netinet/in.h>
#include <string.h>

#include "flow/buckets.h"
#include "flow/keyhash.h"
#include "wire/csum.h"
#include "wire/decode.h"

#define AGAIN_NS    (200 * NSEC_PER_MSEC) /* a SYN so much later is sent again, not doubled */
#define SYN_BITS    (TH_FIN_ | TH_SYN_ | TH_RST_ | TH_PSH_ | TH_ACK_ | TH_URG_)
#define TELLS_OF_IT (EVB(EV_PKT_IN) | EVB(EV_CONN_START) | EVB(EV_STATE))

enum { ETHER = 14, IP4 = 20, TCP = 20, PLAIN = ETHER + IP4 + TCP, OPTS_MAX = 40 };

/* app_in_the_way: might an application have changed or dropped the SYN? */
static bool app_in_the_way(const struct mon *m)
{
    if (!m->forward)
        return false;
    if (m->drop_orphans || m->env.cfg.strict)
        return true;
    for (int i = 0; i < m->nlst; i++)
        if (m->lst[i].started && !m->lst[i].raw && !m->lst[i].closed &&
            (evset_mask(m->sets, m->lst[i].set[HK_SND]) & TELLS_OF_IT))
            return true;
    return false;
}

/* plain_match: which listeners want an IPv4 SYN, if that does not depend on filters. */
static uint64_t plain_match(const struct mon *m, bool *filtered)
{
    uint64_t match = 0;

    *filtered = false;
    for (int i = 0; i < m->nlst; i++) {
        const struct listener *l = &m->lst[i];

        if (!l->started || l->raw || l->closed || l->domain == AF_INET6)
            continue;
        *filtered |= l->syn.expr != NULL;
        match |= 1ULL << i;
    }
    return match;
}

/* csum_mode: of the flow that it would be: the first listener's that takes it (sock.c). */
static uint8_t csum_mode(const struct mon *m, uint64_t match)
{
    const struct listener *l = &m->lst[__builtin_ctzll(match)];

    return l->csum >= 0 ? (uint8_t)l->csum : m->env.cfg.csum;
}

/* refresh: a callback may have changed anything. */
static void refresh(struct worker *w)
{
    struct mon *m = w->m;
    struct gate *g = &w->gate;

    g->match = plain_match(m, &g->filtered);
    g->open = !mon_half_full(m) || m->raw_sockets || g->match == 0 ||
              !synnotes_made(&m->env.notes, &m->env.acct);
    g->drops = app_in_the_way(m);
    g->recalls = g->drops && mon_half_full(m) && syndrops_made(&m->env.drops, &m->env.acct);
    g->csum = g->match ? csum_mode(m, g->match) : CSUM_OFF;
    g->until = g->open ? 0 : mon_half_due(m);
    g->fresh = true;
}

/* ---- plain SYNs ---- */

static inline uint16_t get16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, 2);
    return v;
}

static inline uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

/* The frame's bytes 12-15 and 20-23 (type, version, header length; fragment, protocol), 46-47. */
#define PLAIN_A 0x0800450000000000ULL
#define MASK_A  0xffffff0000000000ULL
#define PLAIN_B 0x0000000600000000ULL
#define MASK_B  0x3fff00ff00000000ULL

/*
 * is_plain: whole, with no payload; what decode would make of it is known without it. The length of
 * the datagram is that of its headers.
 */
static inline bool is_plain(const struct pktbuf *pb)
{
    const uint8_t *p = pb->data;
    uint32_t len;

    if (pb->linktype != DLT_EN10MB || pb->len < PLAIN ||
        (get64(p + 12) & htobe64(MASK_A)) != htobe64(PLAIN_A) ||
        (get64(p + 20) & htobe64(MASK_B)) != htobe64(PLAIN_B) || (p[47] & SYN_BITS) != TH_SYN_)
        return false;
    len = be16toh(get16(p + 16));
    return len == IP4 + (p[46] >> 4) * 4u && len >= IP4 + TCP && ETHER + len <= pb->len &&
           pb->wire_len <= pb->len && pb->realm == 0 && pb->flags == 0;
}

/* hash_bare: hash and sender's endpoint, as key_of_seg and ftable_hash would give them. */
static inline void hash_bare(struct worker *w, const uint8_t *p, int i)
{
    int end;

    w->hash[i] =
        key_hash_v4(key_end_v4(get32(p + 26), get16(p + 34)),
                    key_end_v4(get32(p + 30), get16(p + 36)), 0, 6, w->m->env.ft.secret, &end);
    w->end[i] = (uint8_t)end;
}

static inline uint32_t isn_of(const struct pktbuf *pb)
{
    return be32toh(get32(pb->data + ETHER + IP4 + 4));
}

void gate_scan(struct worker *w, struct pktbuf *const *pb, int n)
{
    const struct buckets *b = ftable_slots(&w->m->env.ft);

    refresh(w);
    if (w->gate.open)
        return;
    for (int i = 0; i < n; i++) {
        if (!is_plain(pb[i]))
            continue;
        w->bare[i] = true;
        hash_bare(w, pb[i]->data, i);
        prefetch_r(bucket_of(b, w->hash[i]));
        prefetch_w(synnote_at(&w->m->env.notes, w->hash[i]));
        if (w->gate.recalls)
            prefetch_w(syndrop_at(&w->m->env.drops, syndrop_place(w->hash[i], isn_of(pb[i]))));
    }
}

static uint32_t option_bits(const struct seg *s)
{
    return (s->flags & SEG_WSCALE ? NOTE_HAS_WSCALE | s->wscale : 0) |
           (s->flags & SEG_SACKOK ? NOTE_SACKOK : 0) | (s->flags & SEG_TS ? NOTE_TS : 0);
}

/*
 * bare_options: of a plain SYN: what Linux sends (MSS, SACK permitted, timestamps, NOP, window
 * scale) is known at sight. => false: malformed.
 */
static inline bool bare_options(const uint8_t *p, uint32_t len, uint32_t *bits, uint32_t *tsval)
{
    struct seg s;

    *tsval = 0;
    if (len == 0)
        return true;
    if (len == 20 && get16(p) == htobe16(0x0204) && get32(p + 4) == htobe32(0x0402080a) &&
        p[16] == 1 && p[17] == 3 && p[18] == 3 && p[19] <= 14) {
        *bits |= NOTE_HAS_WSCALE | NOTE_SACKOK | NOTE_TS | p[19];
        *tsval = be32toh(get32(p + 8));
        return true;
    }
    s.flags = s.tsval = 0;
    decode_tcp_options(&s, p, len);
    *bits |= option_bits(&s);
    *tsval = s.tsval;
    return !(s.flags & SEG_OPT_BAD);
}

/* is_noted: is this the note of this SYN? */
static inline bool is_noted(const struct synnote *n, uint32_t hash, uint32_t isn)
{
    return unlikely(n->hash == hash) && n->isn == isn && (n->meta & NOTE_USED);
}

/* again: is this SYN sent again, not doubled on the way? Its sender is no random source. */
static bool again(const struct worker *w, uint32_t hash, uint32_t isn)
{
    const struct conn_env *env = &w->m->env;
    const struct synnote *n = synnote_at(&env->notes, hash);

    if (is_noted(n, hash, isn))
        return synnote_age(n, env->now) >= AGAIN_NS;
    return w->gate.recalls && syndrop_again(&env->drops, hash, isn);
}

static inline void note(struct worker *w, struct synnote *n, struct pktbuf *pb, int i,
                        struct synnote what)
{
    struct mon *m = w->m;

    m->env.reasons[REASON_SYN_GATED]++;
    if (w->gate.drops) {
        pb->flags |= PB_DROP;
        m->env.reasons[REASON_SYN_GATE_DROP]++;
        if (w->gate.recalls)
            syndrop_add(&m->env.drops, w->hash[i], what.isn, m->env.now);
    }
    what.hash = w->hash[i];
    what.meta |= (w->end[i] ? NOTE_CLI_IS_1 : 0) | NOTE_USED | synnote_time(m->env.now);
    *n = what;
}

/* filter_says: where the listeners have filters. => are there listeners, and what of checksums? */
static bool filter_says(struct worker *w, const uint8_t *ip, uint32_t len, uint8_t *csum)
{
    uint64_t match = mon_match_syn(w->m, ip, len, len, false);

    if (match)
        *csum = csum_mode(w->m, match);
    return match != 0;
}

/*
 * note_bare: one that gate_scan has found, if it belongs to no flow, has not come before, and is not
 * to be made a flow. => false: none of these.
 */
static inline bool note_bare(struct worker *w, struct pktbuf *pb, int i)
{
    const struct mon *m = w->m;
    const struct buckets *b = ftable_slots(&m->env.ft);
    const uint8_t *ip = pb->data + ETHER;
    const uint32_t len = IP4 + (ip[IP4 + 12] >> 4) * 4u;
    struct synnote *n = synnote_at(&m->env.notes, w->hash[i]);
    struct synnote what = {.isn = isn_of(pb)};
    uint8_t csum = w->gate.csum;

    if (unlikely(m->env.now >= w->gate.until) ||
        buckets_maybe(b, bucket_of(b, w->hash[i]), w->hash[i]) ||
        is_noted(n, w->hash[i], what.isn) ||
        (w->gate.recalls && syndrop_again(&m->env.drops, w->hash[i], what.isn)) ||
        (unlikely(w->gate.filtered) && !filter_says(w, ip, len, &csum)) ||
        unlikely(csum == CSUM_ON) || /* it is verified on the common way */
        !bare_options(ip + IP4 + TCP, len - IP4 - TCP, &what.meta, &what.tsval))
        return false;
    note(w, n, pb, i, what);
    return true;
}

int gate_run(struct worker *w, struct pktbuf *const *pb, int i, int n)
{
    struct mon *m = w->m;

    if (unlikely(!w->gate.fresh))
        refresh(w);
    for (; i < n && w->bare[i]; i++) {
        if (pb[i]->clock_ns > m->env.now)
            m->env.now = pb[i]->clock_ns;
        if (unlikely(!note_bare(w, pb[i], i)))
            break;
        m->npackets++;
        m->nbytes += pb[i]->wire_len;
    }
    return i;
}

/* ---- any segment ---- */

static bool is_syn(const struct seg *s)
{
    return (s->tflags & (TH_SYN_ | TH_ACK_)) == TH_SYN_;
}

/* csum_known: what is known of a segment's checksums. */
static uint32_t csum_known(const struct seg *s)
{
    bool known = true, ok = csum_tcp_ok(s, &known);

    if (s->flags & SEG_IPCSUM_BAD)
        return NOTE_CSUM_WRONG;
    if (s->pb->flags & PB_CSUM_PART) /* as conn_refuse: it has been in no network yet */
        return NOTE_CSUM_GOOD;
    return !known ? 0 : ok ? NOTE_CSUM_GOOD : NOTE_CSUM_WRONG;
}

bool gate_hopeless(struct worker *w, const struct seg *s, uint64_t match)
{
    if (csum_mode(w->m, match) != CSUM_ON || csum_known(s) != NOTE_CSUM_WRONG)
        return false;
    w->m->env.reasons[s->flags & SEG_IPCSUM_BAD ? REASON_IP_CSUM : REASON_TCP_CSUM]++;
    return true;
}

/* note_seg: a SYN of any shape. One that was doubled on the way keeps its time. */
static void note_seg(struct worker *w, struct seg *s, int i, uint32_t csum)
{
    struct synnote *n = synnote_at(&w->m->env.notes, w->hash[i]), was = *n;

    note(w, n, s->pb, i,
         (struct synnote){.isn = s->seq,
                          .tsval = s->flags & SEG_TS ? s->tsval : 0,
                          .meta = csum | option_bits(s)});
    if (is_noted(&was, w->hash[i], s->seq))
        *n = was;
}

bool gate_admit(struct worker *w, struct seg *s, int i, const struct opening *o)
{
    struct mon *m = w->m;

    if (gate_hopeless(w, s, o->match))
        return false;
    if (!is_syn(s)) { /* an answer to a SYN takes its place; what was picked up is not half open */
        if (o->mode == 3 || (s->tflags & TH_SYN_))
            mon_evict_half(m);
        return true;
    }
    refresh(w);
    if (m->env.now >= w->gate.until || !synnotes_made(&m->env.notes, &m->env.acct) ||
        again(w, w->hash[i], s->seq)) {
        m->half_evicted = m->env.now;
        mon_evict_half(m);
        return true;
    }
    note_seg(w, s, i, csum_mode(m, o->match) == CSUM_OFF ? 0 : csum_known(s));
    return false;
}

void gate_recall(struct worker *w, const struct seg *s, int i, struct opening *o)
{
    struct mon *m = w->m;

    if (is_syn(s) || (s->flags & SEG_IP_DROPPED))
        return;
    if (synnote_take(&m->env.notes, w->hash[i], s, w->end[i], m->env.now, &o->note)) {
        o->noted = true;
        o->mode = 3;
        o->client = !!(o->note.meta & NOTE_CLI_IS_1);
    } else if (o->mode == 0 && mon_half_full(m) &&
               (s->tflags & (TH_SYN_ | TH_ACK_ | TH_RST_ | TH_FIN_)) == (TH_SYN_ | TH_ACK_)) {
        o->mode = 3; /* its SYN's note may have been overwritten */
    }
}
