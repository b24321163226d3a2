// SPDX-License-Identifier: BSD-2-Clause
/*
 * gate.c: a flood of SYNs. When as many flows are half open as may be (max_half_open) and the oldest
 * of them is young, a SYN is not made a flow: it is noted in 16 bytes (conn/synnote.h). Its flow is
 * opened by whoever shows that there is somebody behind it: the server with its SYN/ACK, the client
 * by going on or by sending the SYN again. Random sources do none of that.
 *
 * What happens to the noted SYN itself: it is forwarded, unless an application is in the way that
 * would have had the right to change or drop it (callbacks on packets or CONN_START at MOS_HK_SND;
 * drop_orphans; strict): then it is dropped, and the client sends it again.
 *
 * A plain SYN (Ethernet, IPv4 without options, no payload) is noted without being decoded: that path
 * has to cost no more than the look-up itself. Whatever is not as plain, or belongs to a flow after
 * all, is decoded later and goes the common way, in its order.
 */
#include "engine/engine.h"

#include <string.h>

#include "wire/csum.h"
#include "wire/decode.h"

#define NOTES       (1u << 16) /* 1 MB: stays in the cache */
#define NOTES_FEW   (1u << 10)
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

/* notes_made: the array, made when first needed; of a small budget it takes a sixteenth. */
static bool notes_made(struct mon *m)
{
    uint32_t n = NOTES;

    if (m->env.notes.v)
        return true;
    while (m->env.acct.limit && n > NOTES_FEW &&
           n * sizeof(struct synnote) > m->env.acct.limit / 16)
        n /= 2;
    return synnotes_init(&m->env.notes, n, &m->env.acct);
}

bool gate_begin(struct worker *w)
{
    w->gate_drops = app_in_the_way(w->m);
    return !w->m->raw_sockets && notes_made(w->m);
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

/*
 * is_plain: whole, with no payload; what decode would make of it is known without it. => length of
 * the datagram, 0: not plain.
 */
static inline uint32_t is_plain(const struct pktbuf *pb)
{
    const uint8_t *p = pb->data;
    uint32_t len, hlen;

    if (pb->linktype != DLT_EN10MB || pb->len < PLAIN || pb->wire_len > pb->len || pb->realm ||
        get16(p + 12) != __builtin_bswap16(0x0800) || p[14] != 0x45 || p[23] != 6 ||
        (get16(p + 20) & __builtin_bswap16(0x3fff)) || (p[47] & SYN_BITS) != TH_SYN_)
        return 0;
    len = __builtin_bswap16(get16(p + 16));
    hlen = (p[46] >> 4) * 4u;
    return hlen >= TCP && len == IP4 + hlen && ETHER + len <= pb->len ? len : 0;
}

bool gate_bare_syn(struct worker *w, const struct pktbuf *pb, int i)
{
    const uint8_t *p = pb->data;
    uint32_t src, dst, addr[2];
    uint16_t port[2];
    int from;

    if (!is_plain(pb))
        return false;
    src = get32(p + 26);
    dst = get32(p + 30);
    /* key.h: the smaller address comes first, then the smaller port, as bytes */
    from = src == dst ? __builtin_bswap16(get16(p + 34)) > __builtin_bswap16(get16(p + 36))
                      : __builtin_bswap32(src) > __builtin_bswap32(dst);
    addr[from] = src;
    addr[!from] = dst;
    port[from] = get16(p + 34);
    port[!from] = get16(p + 36);
    w->end[i] = (uint8_t)from;
    w->hash[i] = key_hash_v4(addr, port, 0, 6, w->m->env.ft.secret);
    ftable_prefetch(&w->m->env.ft, w->hash[i]);
    prefetch_w(synnote_at(&w->m->env.notes, w->hash[i]));
    return true;
}

/* csum_bits: what is known of the checksums of a plain SYN. */
static inline uint32_t csum_bits(const uint8_t *ip, uint32_t len)
{
    const uint32_t tcp = len - IP4;
    uint64_t head = 0, sum = (uint64_t)__builtin_bswap16(6) + __builtin_bswap16((uint16_t)tcp);

    for (int i = 0; i < IP4; i += 4)
        head += get32(ip + i);
    sum += (uint64_t)get32(ip + 12) + get32(ip + 16);
    for (uint32_t i = 0; i < tcp; i += 4)
        sum += get32(ip + IP4 + i);
    return (csum_fold(head) | csum_fold(sum)) == 0 ? NOTE_CSUM_GOOD : NOTE_CSUM_WRONG;
}

static uint32_t option_bits(const struct seg *s)
{
    return (s->flags & SEG_WSCALE ? NOTE_HAS_WSCALE | s->wscale : 0) |
           (s->flags & SEG_SACKOK ? NOTE_SACKOK : 0) | (s->flags & SEG_TS ? NOTE_TS : 0);
}

/* csum_mode: of the flow that it would be: the first listener's that takes it (sock.c). */
static uint8_t csum_mode(const struct mon *m, uint64_t match)
{
    const struct listener *l = &m->lst[__builtin_ctzll(match)];

    return l->csum >= 0 ? (uint8_t)l->csum : m->env.cfg.csum;
}

/* again: was this SYN noted a while ago? Its sender is no random source. */
static bool again(const struct synnote *n, uint32_t hash, uint32_t isn, uint64_t now)
{
    return n->hash == hash && n->isn == isn && (n->meta & NOTE_USED) &&
           synnote_age(n, now) >= AGAIN_NS;
}

static void note(struct worker *w, struct pktbuf *pb, int i, uint32_t isn, uint32_t tsval,
                 uint32_t bits)
{
    struct mon *m = w->m;
    struct synnote *n = synnote_at(&m->env.notes, w->hash[i]);

    m->env.reasons[REASON_SYN_GATED]++;
    if (w->gate_drops) {
        pb->flags |= PB_DROP;
        m->env.reasons[REASON_SYN_GATE_DROP]++;
    }
    if (n->hash == w->hash[i] && n->isn == isn && (n->meta & NOTE_USED))
        return; /* doubled on the way: its time stays */
    *n = (struct synnote){.hash = w->hash[i], .isn = isn, .tsval = tsval};
    n->meta = bits | (w->end[i] ? NOTE_CLI_IS_1 : 0) | NOTE_USED | synnote_time(m->env.now);
}

bool gate_note_bare(struct worker *w, struct pktbuf *pb, int i)
{
    struct mon *m = w->m;
    const uint8_t *ip = pb->data + ETHER;
    const uint32_t len = is_plain(pb), isn = __builtin_bswap32(get32(ip + IP4 + 4));
    struct seg s;
    uint32_t bits = 0;
    uint64_t match;
    uint8_t mode;

    if (!mon_half_full(m) || mon_half_due(m) || ftable_maybe(&m->env.ft, w->hash[i]) ||
        again(synnote_at(&m->env.notes, w->hash[i]), w->hash[i], isn, m->env.now))
        return false;
    match = mon_match_syn(m, ip, len, len, false);
    if (match == 0 || (pb->flags & (PB_CSUM_BAD | PB_CSUM_PART | PB_CSUM_GOOD)))
        return false;
    mode = csum_mode(m, match);
    if (mode != CSUM_OFF)
        bits = csum_bits(ip, len);
    if (mode == CSUM_ON && bits == NOTE_CSUM_WRONG)
        return false;
    s.flags = 0;
    s.tsval = 0;
    if (len > IP4 + TCP)
        decode_tcp_options(&s, ip + IP4 + TCP, len - IP4 - TCP);
    if (s.flags & SEG_OPT_BAD)
        return false;
    note(w, pb, i, isn, s.tsval, bits | option_bits(&s));
    return true;
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
    w->gate_drops = app_in_the_way(m);
    if (mon_half_due(m) || !notes_made(m) ||
        again(synnote_at(&m->env.notes, w->hash[i]), w->hash[i], s->seq, m->env.now)) {
        m->half_evicted = m->env.now;
        mon_evict_half(m);
        return true;
    }
    note(w, s->pb, i, s->seq, s->flags & SEG_TS ? s->tsval : 0,
         option_bits(s) | (csum_mode(m, o->match) == CSUM_OFF ? 0 : csum_known(s)));
    return false;
}

void gate_recall(struct worker *w, const struct seg *s, int i, struct opening *o)
{
    struct mon *m = w->m;

    if (is_syn(s))
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
