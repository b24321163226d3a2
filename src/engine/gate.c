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
 * A plain SYN (Ethernet with at most one tag, IPv4 without options or IPv6 without extension headers) is
 * noted without being decoded: that path has to cost little more than the look-up itself. Whatever is not
 * as plain, or belongs to a flow after all, is decoded later and goes the common way, in its order.
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

enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd, TYPE_TAG = 0x8100 };
enum { ETHER = 14, TAG = 4, IP4 = 20, IP6 = 40, TCP = 20, PLAIN = ETHER + IP4 + TCP };

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

/* plain_match: which listeners want a SYN of this family, if that does not depend on filters. */
static uint64_t plain_match(const struct mon *m, bool v6, bool *filtered)
{
    uint64_t match = 0;

    for (int i = 0; i < m->nlst; i++) {
        const struct listener *l = &m->lst[i];

        if (!l->started || l->raw || l->closed || l->domain == (v6 ? AF_INET : AF_INET6))
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

/* look_again: at what a packet may have changed. */
static inline void look_again(struct worker *w)
{
    struct gate *g = &w->gate;

    g->until = g->open || !mon_half_full(w->m) ? 0 : mon_half_due(w->m);
}

/* refresh: listeners have changed. */
static void refresh(struct worker *w)
{
    struct mon *m = w->m;
    struct gate *g = &w->gate;
    bool verified = false;

    g->filtered = false;
    for (int v6 = 0; v6 < 2; v6++) {
        const uint64_t was = g->match[v6];

        g->match[v6] = plain_match(m, v6, &g->filtered);
        g->lost |= was && !g->match[v6];
        verified |= g->match[v6] && csum_mode(m, g->match[v6]) == CSUM_ON;
    }
    g->open = !mon_half_full(m) || m->raw_sockets || !(g->match[0] | g->match[1]) || g->lost ||
              !synnotes_made(&m->env.notes, &m->env.acct);
    g->drops = app_in_the_way(m);
    g->recalls = g->drops && mon_half_full(m) && syndrops_made(&m->env.drops, &m->env.acct);
    g->asks = g->filtered || g->drops || verified;
    g->changes = m->lst_changes;
    look_again(w);
}

bool gate_shut(struct worker *w)
{
    struct gate *g = &w->gate;

    g->lost = false;
    g->match[0] = g->match[1] = 0;
    refresh(w);
    return !g->open;
}

/* ---- plain SYNs: what they say ---- */

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

/* find_ip: behind Ethernet and at most one tag. => NULL: something else. There are PLAIN bytes. */
static inline const uint8_t *find_ip(const uint8_t *p, bool *v6)
{
    uint16_t type = get16(p + ETHER - 2);

    if (type == htobe16(TYPE_TAG)) {
        p += TAG;
        type = get16(p + ETHER - 2);
    }
    *v6 = type == htobe16(TYPE_IP6);
    return *v6 || type == htobe16(TYPE_IP4) ? p + ETHER : NULL;
}

/* ip_len, tcp_of: what find_ip has found: length of the datagram, and what follows its header. */
static inline uint32_t ip_len(const uint8_t *ip, bool v6)
{
    return v6 ? IP6 + be16toh(get16(ip + 4)) : be16toh(get16(ip + 2));
}

static inline const uint8_t *tcp_of(const uint8_t *ip, bool v6)
{
    return ip + (v6 ? IP6 : IP4);
}

/*
 * is_plain: a whole SYN (there may be data on it), with nothing between IP and TCP, no fragment: what
 * decode would make of it is known without it.
 */
static inline bool is_plain(const struct pktbuf *pb, const uint8_t *ip, bool v6)
{
    const uint32_t len = ip_len(ip, v6), head = v6 ? IP6 : IP4;
    const uint8_t *tcp = ip + head;
    uint32_t hlen;

    if (v6 ? ip[0] >> 4 != 6 || ip[6] != IPPROTO_TCP
           : ip[0] != 0x45 || (get32(ip + 6) & htobe32(0x3fff00ff)) != htobe32(IPPROTO_TCP))
        return false;
    if (len < head + TCP || (uint32_t)(ip - pb->data) + len > pb->len ||
        (tcp[13] & SYN_BITS) != TH_SYN_)
        return false;
    hlen = (tcp[12] >> 4) * 4u;
    return hlen >= TCP && head + hlen <= len && pb->realm == 0 && pb->flags == 0;
}

/* hash_v6, hash_v4: the hash as of the key that key_of_seg would make. *end: its sender's endpoint. */
static inline uint32_t hash_v6(const uint8_t *ip, uint32_t realm, uint64_t secret, int *end)
{
    struct flow_key k;

    *end = key_make(&k, true, ip + 8, get16(ip + IP6), ip + 24, get16(ip + IP6 + 2), IPPROTO_TCP,
                    realm);
    return key_hash(&k, secret);
}

static inline uint32_t hash_v4(const uint8_t *ip, uint32_t realm, uint64_t secret, int *end)
{
    uint64_t v[2];

    *end = (int)key_order_v4(key_end_v4(get32(ip + 12), get16(ip + IP4), 0),
                             key_end_v4(get32(ip + 16), get16(ip + IP4 + 2), 0), realm, v);
    return key_hash_v4(v, IPPROTO_TCP, secret);
}

static uint32_t option_bits(const struct seg *s)
{
    return (s->flags & SEG_WSCALE ? NOTE_HAS_WSCALE | s->wscale : 0) |
           (s->flags & SEG_SACKOK ? NOTE_SACKOK : 0) | (s->flags & SEG_TS ? NOTE_TS : 0);
}

/*
 * read_options: what Linux sends (MSS, SACK permitted, timestamps, NOP, window scale) is known at
 * sight. => false: malformed.
 */
static inline bool read_options(const uint8_t *p, uint32_t len, uint32_t *bits, uint32_t *tsval)
{
    struct seg s;

    *bits = *tsval = 0;
    if (len == 20 && get16(p) == htobe16(0x0204) && get32(p + 4) == htobe32(0x0402080a) &&
        (get32(p + 16) & htobe32(0xffffff00)) == htobe32(0x01030300) && p[19] <= 14) {
        *bits = NOTE_HAS_WSCALE | NOTE_SACKOK | NOTE_TS | p[19];
        *tsval = be32toh(get32(p + 8));
        return true;
    }
    if (len == 0)
        return true;
    s.flags = s.tsval = 0;
    decode_tcp_options(&s, p, len);
    *bits = option_bits(&s);
    *tsval = s.tsval;
    return !(s.flags & SEG_OPT_BAD);
}

/* may_be_syn: there are PLAIN bytes, and if they are IPv4 without options they are no other segment. */
static inline bool may_be_syn(const struct pktbuf *pb)
{
    const uint8_t *p = pb->data;

    return pb->linktype == DLT_EN10MB && pb->len >= PLAIN &&
           ((p[PLAIN - TCP + 13] & TH_SYN_) || p[ETHER] != 0x45 ||
            get16(p + ETHER - 2) != htobe16(TYPE_IP4));
}

/*
 * is_common: the SYN that nearly everybody sends: IPv4 without options, those of TCP as Linux has them
 * (MSS, SACK permitted, timestamps, NOP, window scale), no data. Its fixed bytes lie in three pieces of
 * the frame; of each, what it must be, and which bits matter.
 */
typedef uint64_t piece __attribute__((vector_size(16)));

enum { COMMON = ETHER + IP4 + TCP + 20, PIECES = 3 };

static const struct {
    int at;
    uint8_t is[16], matters[16];
} common[PIECES] = {
    {12, /* type, version, -, length, -, fragment, -, protocol */
     {8, 0, 0x45, 0, 0, COMMON - ETHER, [11] = IPPROTO_TCP},
     {255, 255, 255, 0, 255, 255, [8] = 0x3f, 255, 0, 255}},
    {46, /* data offset, flags; MSS, SACK permitted, timestamps */
     {0xa0, TH_SYN_, [8] = 2, 4, 0, 0, 4, 2, 8, 10},
     {0xf0, SYN_BITS, [8] = 255, 255, 0, 0, 255, 255, 255, 255}},
    {58, /* NOP, window scale */
     {[12] = 1, 3, 3, 0},
     {[12] = 255, 255, 255, 0xf0}},
};

static inline piece piece_at(const uint8_t *p)
{
    piece v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static inline bool is_common(const struct pktbuf *pb)
{
    piece differs = {pb->realm | pb->flags};

    if (pb->len < COMMON)
        return false;
    for (int i = 0; i < PIECES; i++)
        differs |= (piece_at(pb->data + common[i].at) ^ piece_at(common[i].is)) &
                   piece_at(common[i].matters);
    return (differs[0] | differs[1]) == 0 && pb->data[COMMON - 1] != 15;
}

/* note_of: what there is to note of a SYN; `tcp` as it lies in the frame. */
static inline struct synnote note_of(const struct pktbuf *pb, const uint8_t *tcp, uint32_t hash,
                                     int end, uint32_t bits, uint32_t tsval)
{
    return (struct synnote){.hash = hash,
                            .isn = be32toh(get32(tcp + 4)),
                            .tsval = tsval,
                            .meta = bits | NOTE_USED | (uint32_t)end * NOTE_CLI_IS_1 |
                                    synnote_time(pb->clock_ns)};
}

/* read_plain: all that there is to note of a plain SYN. => false: it is none. */
static inline bool read_plain(const struct pktbuf *pb, const uint8_t *ip, bool v6, uint32_t realm,
                              uint64_t secret, struct synnote *what)
{
    const uint8_t *tcp = tcp_of(ip, v6);
    uint32_t bits, tsval, hash;
    int end;

    if (!is_plain(pb, ip, v6) || !read_options(tcp + TCP, (tcp[12] >> 4) * 4u - TCP, &bits, &tsval))
        return false;
    hash = v6 ? hash_v6(ip, realm, secret, &end) : hash_v4(ip, realm, secret, &end);
    *what = note_of(pb, tcp, hash, end, bits, tsval);
    return true;
}

/* read_common: the same of the most common one. */
static inline bool read_common(const struct pktbuf *pb, uint64_t secret, struct synnote *what)
{
    const uint8_t *p = pb->data, *tcp = p + ETHER + IP4;
    uint32_t hash;
    int end;

    if (!is_common(pb))
        return false;
    hash = hash_v4(p + ETHER, 0, secret, &end);
    *what = note_of(pb, tcp, hash, end, NOTE_HAS_WSCALE | NOTE_SACKOK | NOTE_TS | p[COMMON - 1],
                    be32toh(get32(p + COMMON - 12)));
    return true;
}

/* read_other: of any other, with a tag or of IPv6 too. */
static never_inline bool read_other(const struct worker *w, const struct pktbuf *pb,
                                    struct synnote *what)
{
    const struct mon *m = w->m;
    bool v6;
    const uint8_t *ip = find_ip(pb->data, &v6);
    uint32_t realm = 0;

    if (ip == NULL || !w->gate.match[v6])
        return false;
    if (ip != pb->data + ETHER && m->vlan_in_key)
        realm = worker_realm(be16toh(get16(pb->data + ETHER)) & 0xfff);
    return read_plain(pb, ip, v6, realm, m->env.ft.secret, what);
}

/* ---- plain SYNs: a burst of them ---- */

uint64_t gate_look(struct worker *w, struct pktbuf *const *pb, int n)
{
    const struct buckets *b = ftable_slots(&w->m->env.ft);
    const uint64_t secret = w->m->env.ft.secret;
    struct gate *g = &w->gate;
    uint64_t bare = 0;

    for (int i = 0; i < n; i++) {
        struct synnote *what = &g->what[i];

        fetch_ahead(pb, i, n);
        if (!may_be_syn(pb[i]) ||
            !((g->match[0] && read_common(pb[i], secret, what)) || read_other(w, pb[i], what))) {
            worker_look(w, pb[i], &w->look[i]);
            continue;
        }
        bare |= 1ULL << i;
        w->look[i].line = bucket_of(b, what->hash);
        prefetch_r(w->look[i].line);
    }
    return bare;
}

void gate_sift(struct worker *w, uint64_t bare)
{
    const struct conn_env *env = &w->m->env;
    const struct buckets *b = ftable_slots(&env->ft);
    struct gate *g = &w->gate;

    g->strangers = 0;
    g->puts = b->puts;
    for (; bare; bare &= bare - 1) {
        const int i = __builtin_ctzll(bare);
        const struct synnote *what = &g->what[i];

        if (unlikely(buckets_maybe(b, w->look[i].line, what->hash)))
            continue;
        g->strangers |= 1ULL << i;
        prefetch_w(synnote_at(&env->notes, what->hash));
        if (g->recalls)
            prefetch_w(syndrop_at(&env->drops, syndrop_place(what->hash, what->isn)));
    }
}

/* sift_again: from frame i on: flows have been entered meanwhile, and lines may have been split. */
static void sift_again(struct worker *w, int i)
{
    const struct buckets *b = ftable_slots(&w->m->env.ft);
    const uint64_t rest = w->gate.strangers & UINT64_MAX << i;

    for (uint64_t left = rest; left; left &= left - 1) {
        const int k = __builtin_ctzll(left);

        w->look[k].line = bucket_of(b, w->gate.what[k].hash);
    }
    gate_sift(w, rest);
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

/* drop: a SYN that is noted does not leave; when it comes again, it is known. */
static void drop(struct worker *w, struct pktbuf *pb, uint32_t hash, uint32_t isn)
{
    struct mon *m = w->m;

    pb->flags |= PB_DROP;
    m->env.reasons[REASON_SYN_GATE_DROP]++;
    if (w->gate.recalls)
        syndrop_add(&m->env.drops, hash, isn, m->env.now);
}

/* sums_right: the checksums of IP (RFC 791) and TCP (RFC 9293 3.1, RFC 8200 8.1). */
static bool sums_right(const uint8_t *ip, bool v6)
{
    const uint32_t len = ip_len(ip, v6) - (v6 ? IP6 : IP4);
    uint64_t sum = (uint64_t)htobe16(IPPROTO_TCP) + htobe32(len);

    if (!v6 && csum_fold(csum_add(0, ip, IP4)) != 0)
        return false;
    sum = csum_add(sum, ip + (v6 ? 8 : 12), v6 ? 32 : 8);
    return csum_fold(csum_add(sum, tcp_of(ip, v6), len)) == 0;
}

/*
 * may_note: where there is more to ask (gate.asks): did it come before, do the filters want it, is its
 * checksum right? Then it is dropped, if it has to be. => false: the common way sees to it.
 */
static bool may_note(struct worker *w, struct pktbuf *pb, struct synnote *what)
{
    struct mon *m = w->m;
    bool v6;
    const uint8_t *ip = find_ip(pb->data, &v6);
    const uint32_t len = ip_len(ip, v6);
    uint64_t match = w->gate.match[v6];

    if (pb->clock_ns > m->env.now)
        m->env.now = pb->clock_ns;
    if (w->gate.recalls && syndrop_again(&m->env.drops, what->hash, what->isn))
        return false;
    if (w->gate.filtered)
        match = mon_match_syn(m, ip, len, len, v6);
    if (match == 0)
        return false;
    if (csum_mode(m, match) == CSUM_ON) {
        if (!sums_right(ip, v6))
            return false;
        what->meta |= NOTE_CSUM_GOOD;
    }
    if (w->gate.drops)
        drop(w, pb, what->hash, what->isn);
    return true;
}

/* run_of: how many of them follow one another from frame i on. */
static inline int run_of(uint64_t strangers, int i)
{
    const uint64_t others = ~(strangers >> i);

    return others ? __builtin_ctzll(others) : IO_BURST;
}

/* note_run: frames i to end - 1, as far as it goes. => the first that was not noted. */
static inline int note_run(struct worker *w, struct pktbuf *const *pb, int i, int end)
{
    const struct synnotes notes = w->m->env.notes;
    struct gate *g = &w->gate;
    struct mon *m = w->m;
    const bool asks = g->asks;
    uint64_t bytes = 0;

    for (; i < end; i++) {
        struct synnote *what = &g->what[i], *n = synnote_at(&notes, what->hash);

        if (is_noted(n, what->hash, what->isn))
            break;
        if (unlikely(asks) && !may_note(w, pb[i], what))
            break;
        *n = *what;
        bytes += pb[i]->wire_len;
    }
    m->nbytes += bytes;
    return i;
}

int gate_run(struct worker *w, struct pktbuf *const *pb, int i)
{
    struct gate *g = &w->gate;
    struct mon *m = w->m;
    const int first = i;
    int end;

    if (unlikely(g->changes != m->lst_changes))
        refresh(w);
    else
        look_again(w);
    if (unlikely(g->puts != ftable_slots(&m->env.ft)->puts))
        sift_again(w, i);
    end = m->env.now < g->until ? i + run_of(g->strangers, i) : i;
    while (end > i && unlikely(pb[end - 1]->clock_ns >= g->until))
        end--;
    i = note_run(w, pb, i, end);
    if (i == first)
        return i;
    if (pb[i - 1]->clock_ns > m->env.now)
        m->env.now = pb[i - 1]->clock_ns;
    m->npackets += (uint64_t)(i - first);
    m->env.reasons[REASON_SYN_GATED] += (uint64_t)(i - first);
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
static void note_seg(struct worker *w, struct look *l, uint32_t csum)
{
    const struct seg *s = &l->seg;
    struct synnote *n = synnote_at(&w->m->env.notes, l->hash), was = *n;

    w->m->env.reasons[REASON_SYN_GATED]++;
    if (w->gate.drops)
        drop(w, s->pb, l->hash, s->seq);
    *n = (struct synnote){.hash = l->hash,
                          .isn = s->seq,
                          .tsval = s->flags & SEG_TS ? s->tsval : 0,
                          .meta = csum | option_bits(s) | NOTE_USED | (l->end ? NOTE_CLI_IS_1 : 0) |
                                  synnote_time(w->m->env.now)};
    if (is_noted(&was, l->hash, s->seq))
        *n = was;
}

bool gate_admit(struct worker *w, struct look *l, const struct opening *o)
{
    const struct seg *s = &l->seg;
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
        again(w, l->hash, s->seq)) {
        m->half_evicted = m->env.now;
        mon_evict_half(m);
        return true;
    }
    note_seg(w, l, csum_mode(m, o->match) == CSUM_OFF ? 0 : csum_known(s));
    return false;
}

void gate_recall(struct worker *w, const struct look *l, struct opening *o)
{
    const struct seg *s = &l->seg;
    struct mon *m = w->m;

    if (is_syn(s) || (s->flags & SEG_IP_DROPPED))
        return;
    if (synnote_take(&m->env.notes, l->hash, s, l->end, m->env.now, &o->note)) {
        o->noted = true;
        o->mode = 3;
        o->client = !!(o->note.meta & NOTE_CLI_IS_1);
    } else if (o->mode == 0 && mon_half_full(m) &&
               (s->tflags & (TH_SYN_ | TH_ACK_ | TH_RST_ | TH_FIN_)) == (TH_SYN_ | TH_ACK_)) {
        o->mode = 3; /* its SYN's note may have been overwritten */
    }
}
