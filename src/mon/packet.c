// SPDX-License-Identifier: BSD-2-Clause
/*
 * packet.c: the packet at hand, looked at and changed; packets of the application's own.
 *
 * Changes are made in the frame, which is decoded again after each, so that m->seg always tells
 * what it is now. After an OVERWRITE checksums are the caller's business (MOS_UPDATE_*): without being
 * told to, it does not touch them; CHOMP and INSERT move them along. Streams may have views into the
 * frame: mon_write_guard comes first.
 */
#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include <errno.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/errtext.h"
#include "conn/streamedit.h"
#include "tcp/seq.h"
#include "wire/build.h"
#include "wire/csum.h"
#include "wire/decode.h"

enum { ETHER_HLEN = 14, TCP_FIXED = 20, IP4_LEN = 2, IP6_LEN = 4, IP6_FIXED = 40 };

/* any_sock: is there a socket with this id, of whatever kind? */
static bool any_sock(struct mon *m, int sock)
{
    uint32_t idx;

    return mon_child(m, sock, &idx) || mon_listener(m, sock);
}

static uint16_t cap16(uint32_t v)
{
    return v < UINT16_MAX ? (uint16_t)v : UINT16_MAX;
}

/* captured: bytes of the frame from off on. */
static uint32_t captured(const struct seg *s, uint32_t off)
{
    return off < s->pb->len ? s->pb->len - off : 0;
}

/* ---- mtcp_getlastpkt ---- */

/* stream_offset: of payload[0], in the receiver's stream; 0 where that does not exist (yet). */
static uint64_t stream_offset(const struct mon *m)
{
    const struct conn_pkt *cp = m->cp;
    const struct flow_side *rcv;
    uint32_t seq;
    int64_t off;

    if (cp == NULL || !(cp->f->flags & (cp->to == CLI ? FLOW_BASE_CLI : FLOW_BASE_SVR)))
        return 0;
    rcv = &cp->f->side[cp->to];
    seq = m->hook == HK_SND ? edit_rseq(&m->env, cp) : cp->s->seq;
    off = seq_to_off(seq + !!(cp->s->tflags & TH_SYN_), rcv->base, rcv->next);
    return off > 0 ? (uint64_t)off : 0;
}

static uint8_t frag_kind(const struct seg *s)
{
    if (s->pb->flags & PB_DATAGRAM)
        return 3;
    if (!(s->flags & SEG_FRAG))
        return 0;
    return s->frag_off ? 2 : 1;
}

static void tell_tcp(const struct mon *m, struct pkt_info *p)
{
    const struct seg *s = m->seg;

    p->offset = stream_offset(m);
    p->payloadlen = cap16(s->pcap);
    p->seq = s->seq;
    p->ack_seq = s->ack;
    p->window = s->win;
    if (captured(s, s->l4_off) >= TCP_FIXED)
        p->tcph = (struct tcphdr *)(s->pb->data + s->l4_off);
    if (!(s->flags & SEG_HDR_CUT))
        p->payload = s->pb->data + s->pay_off;
}

int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *pinfo)
{
    struct mon *m = mon_enter(mctx);
    const struct seg *s;

    if (m == NULL)
        return -1;
    if (!any_sock(m, sock))
        return err_set(EBADF, "mtcp_getlastpkt: no socket has the number %d", sock);
    if (pinfo == NULL)
        return err_set(EINVAL, "mtcp_getlastpkt: pinfo is NULL");
    s = m->seg;
    if (s == NULL)
        return err_set(EACCES, "mtcp_getlastpkt: no packet is at hand in this event");
    memset(pinfo, 0, sizeof(*pinfo));
    pinfo->cur_ts = (uint32_t)(s->pb->ts_ns / NSEC_PER_MSEC);
    pinfo->ts_ns = s->pb->ts_ns;
    pinfo->in_ifidx = (int8_t)s->pb->in_if;
    pinfo->eth_len = cap16(s->pb->wire_len > s->pb->len ? s->pb->wire_len : s->pb->len);
    if (s->pb->linktype == DLT_EN10MB && s->pb->len >= ETHER_HLEN)
        pinfo->ethh = (struct ethhdr *)s->pb->data;
    if (s->level >= SEG_IP) {
        pinfo->ip_len = cap16(s->ip_len);
        pinfo->len32 = s->pb->flags & PB_DATAGRAM ? s->pb->frag_bytes : s->ip_len;
        pinfo->l4proto = s->l4proto;
        pinfo->frag = frag_kind(s);
        if (s->flags & SEG_IP6)
            pinfo->ip6h = (struct ip6_hdr *)(s->pb->data + s->l3_off);
        else
            pinfo->iph = (struct iphdr *)(s->pb->data + s->l3_off);
    }
    if (s->level == SEG_TCP)
        tell_tcp(m, pinfo);
    return 0;
}

/* ---- mtcp_setlastpkt ---- */

enum {
    ACTIONS = MOS_DROP | MOS_OVERWRITE | MOS_CHOMP | MOS_INSERT | MOS_HOLD,
    REGIONS = MOS_ETH_HDR | MOS_IP_HDR | MOS_TCP_HDR | MOS_TCP_PAYLOAD,
    UPDATES = MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM,
};

/* What is to be changed: len bytes from `at` on, in a region of the frame. */
struct edit {
    int action, region;
    uint32_t start, size; /* of the region */
    off_t off;
    const uint8_t *data;
    uint16_t len;
};

void mon_write_guard(struct mon *m)
{
    struct pktbuf *pb = m->seg->pb;

    if (m->hook == HK_RCV && m->cp)
        /* a repetition is told before its merge: the stream gets what arrived */
        conn_merge(&m->env, m->cp);
    if (pb->flags & PB_BORROWED)
        conn_own_borrowed(&m->env, pb->borrow_flow);
    pb_own(pb);
}

/* check_option: exactly one action, exactly one region unless it needs none. */
static int check_option(struct edit *e, int option)
{
    e->action = option & ACTIONS;
    e->region = option & REGIONS;
    if (e->action == 0 || (e->action & (e->action - 1)))
        return err_set(
            EAGAIN, "mtcp_setlastpkt: exactly one of MOS_DROP, OVERWRITE, CHOMP, INSERT and HOLD");
    if (option & ~(ACTIONS | REGIONS | UPDATES))
        return err_set(EINVAL, "mtcp_setlastpkt: unknown bits 0x%x in option",
                       (unsigned)(option & ~(ACTIONS | REGIONS | UPDATES)));
    if (e->action == MOS_DROP || e->action == MOS_HOLD)
        return 0;
    if (e->region == 0 || (e->region & (e->region - 1)))
        return err_set(
            EINVAL, "mtcp_setlastpkt: exactly one of MOS_ETH_HDR, IP_HDR, TCP_HDR and TCP_PAYLOAD");
    return 0;
}

/* find_region: where it lies in the frame, as far as it was captured. */
static int find_region(struct edit *e, const struct seg *s)
{
    bool eth = s->pb->linktype == DLT_EN10MB && s->pb->len >= ETHER_HLEN, ip = s->level >= SEG_IP,
         tcp = s->level == SEG_TCP;

    if (e->region == MOS_ETH_HDR && eth) {
        e->start = 0;
        e->size = s->l3_off > ETHER_HLEN ? s->l3_off : ETHER_HLEN;
    } else if (e->region == MOS_IP_HDR && ip) {
        e->start = s->l3_off;
        e->size = (uint32_t)s->l4_off - s->l3_off;
    } else if (e->region == MOS_TCP_HDR && tcp) {
        e->start = s->l4_off;
        e->size = s->hdr_len;
    } else if (e->region == MOS_TCP_PAYLOAD && tcp) {
        e->start = s->pay_off;
        e->size = s->pcap;
    } else {
        return err_set(ENODATA, "mtcp_setlastpkt: this packet has no such header");
    }
    if (e->size > captured(s, e->start))
        e->size = captured(s, e->start);
    return 0;
}

/*
 * keep_length: programs written for mOS put the new length into the IP header before CHOMP and
 * INSERT. Remember the true one.
 */
static void keep_length(struct mon *m, const struct edit *e)
{
    const struct seg *s = m->seg;
    uint32_t field = s->flags & SEG_IP6 ? IP6_LEN : IP4_LEN;

    if (e->region == MOS_IP_HDR && m->hook == HK_SND && m->cp && m->ip_len_was == 0 &&
        (uint32_t)e->off < field + 2 && (uint32_t)e->off + e->len > field)
        m->ip_len_was = s->ip_len;
}

/* of_stream: is this payload that will become the stream's? */
static bool of_stream(const struct mon *m, const struct edit *e)
{
    return e->region == MOS_TCP_PAYLOAD && m->hook == HK_SND && m->cp;
}

static bool of_this_packet(const struct mon *m)
{
    return fixsum_is_of(&m->fix, m->seg, m->npackets);
}

/*
 * note_payload: of a stream that is not edited, bytes of the payload are about to be changed, behind
 * fixsum_begin. Should it be edited in this packet, they are to be repeated; and should the packet have to
 * wait for that, it waits as it came.
 */
static void note_payload(struct mon *m, const struct edit *e)
{
    fixsum_payload(&m->fix, (uint32_t)e->off, (uint32_t)e->off + e->len);
    if (m->fix.pay_kept || !edit_would_wait(&m->env, m->cp) || edit_mix(&m->env) == NULL)
        return;
    m->fix.pay_kept = m->seg->pcap;
    memcpy(edit_mix(&m->env), seg_payload(m->seg), m->seg->pcap);
}

/* payload_back: it waits, and is shown again in its turn. */
static void payload_back(struct mon *m)
{
    struct seg *s = m->seg;
    const uint32_t lo = s->pay_off, hi = lo + s->pcap;
    struct fixpart was;

    if (!of_this_packet(m) || m->fix.pay_kept != s->pcap || !edit_waits(&m->env, m->cp))
        return;
    was = fixsum_begin(&m->fix, s, m->npackets, lo, hi);
    memcpy(s->pb->data + lo, edit_mix(&m->env), s->pcap);
    fixsum_end(&m->fix, s, was, lo, hi);
    fixsum_tcp(&m->fix, s, m->npackets);
    m->fix.pay_kept = m->fix.pay_hi = 0;
}

/* changed_before: payload that was overwritten before the first edit is kept, too. */
static int changed_before(struct mon *m)
{
    const uint32_t lo = m->fix.pay_lo, hi = m->fix.pay_hi, n = m->seg->pcap;

    if (!of_this_packet(m) || hi == 0 || !edit_is_new(&m->env, m->cp))
        return 0;
    if (edit_reserve(&m->env, m->cp, n) < 0)
        return -1;
    edit_changed(&m->env, lo, hi - lo, n);
    m->fix.pay_hi = 0;
    return 0;
}

/* keep_change: see that a change of [off, off + len) of n bytes can be repeated; stays: its length does. */
static int keep_change(struct mon *m, uint32_t off, uint32_t len, uint32_t n, bool stays)
{
    if (edit_begin(&m->env, m->cp, false) < 0) {
        payload_back(m);
        return -1;
    }
    if (!of_this_packet(m) || m->fix.pay_hi == 0)
        edit_keep_whole(&m->env, m->cp);
    if (changed_before(m) < 0)
        return -1;
    if (!edit_editable(&m->env, off, len, n, stays))
        return err_set(EINVAL, "bytes that are held, or have left before, cannot be changed");
    return 0;
}

static int overwrite(struct mon *m, const struct edit *e)
{
    const uint32_t lo = e->start + (uint32_t)e->off, hi = lo + e->len;
    struct seg *s = m->seg;
    struct fixpart was;

    if (e->off < 0 || e->off > e->size || e->len > e->size - e->off)
        return err_set(EINVAL, "mtcp_setlastpkt: %u bytes at %lld are outside of the region's %u",
                       e->len, (long long)e->off, e->size);
    if (e->len == 0)
        return 0;
    if (e->data == NULL)
        return err_set(EINVAL, "mtcp_setlastpkt: data is NULL");
    if (of_stream(m, e) && !edit_beside(&m->env, m->cp) && !edit_repeats(&m->env, m->cp)) {
        if (keep_change(m, (uint32_t)e->off, e->len, e->size, true) < 0 ||
            edit_reserve(&m->env, m->cp, e->size) < 0)
            return err_prefix("mtcp_setlastpkt: "), -1;
        edit_changed(&m->env, (uint32_t)e->off, e->len, e->size);
    }
    keep_length(m, e);
    mon_write_guard(m);
    was = fixsum_begin(&m->fix, s, m->npackets, lo, hi);
    if (of_stream(m, e) && edit_beside(&m->env, m->cp))
        note_payload(m, e);
    memcpy(s->pb->data + lo, e->data, e->len);
    s->pb->flags = (uint8_t)((s->pb->flags & ~PB_CSUM_GOOD) | PB_CHANGED);
    decode(s, s->pb);
    fixsum_end(&m->fix, s, was, lo, hi);
    return 0;
}

/* put_length_back: undo what keep_length has seen; the edits work out the length themselves. */
static void put_length_back(struct mon *m)
{
    struct seg *s = m->seg;
    struct fixpart was;
    uint32_t lo;
    uint16_t v;

    if (m->ip_len_was == 0 || s->level < SEG_IP)
        return;
    lo = s->l3_off + (s->flags & SEG_IP6 ? IP6_LEN : IP4_LEN);
    was = fixsum_begin(&m->fix, s, m->npackets, lo, lo + 2);
    v = htons((uint16_t)(s->flags & SEG_IP6 ? m->ip_len_was - IP6_FIXED : m->ip_len_was));
    memcpy(s->pb->data + lo, &v, sizeof(v));
    m->ip_len_was = 0;
    decode(s, s->pb);
    fixsum_end(&m->fix, s, was, lo, lo + 2);
}

static int check_resize(struct mon *m, struct edit *e)
{
    if (m->cp == NULL || m->hook != HK_SND)
        return err_set(EOPNOTSUPP,
                       "mtcp_setlastpkt: the length of a packet can only change at MOS_HK_SND");
    if (e->region != MOS_TCP_PAYLOAD)
        return err_set(EOPNOTSUPP,
                       "mtcp_setlastpkt: only a payload can change its length, no header");
    put_length_back(m);
    if (find_region(e, m->seg) < 0)
        return -1;
    if (e->off < 0 || e->off > e->size || (e->action == MOS_CHOMP && e->len > e->size - e->off))
        return err_set(EINVAL, "mtcp_setlastpkt: %u bytes at %lld are outside of the payload's %u",
                       e->len, (long long)e->off, e->size);
    if (e->action == MOS_INSERT && e->data == NULL && e->len)
        return err_set(EINVAL, "mtcp_setlastpkt: data is NULL");
    return 0;
}

/*
 * resize: the checksums move along. What the stack needs to keep both ends consistent is there before
 * a byte is changed.
 */
static int resize(struct mon *m, struct edit *e)
{
    struct seg *s = m->seg;
    uint32_t off = (uint32_t)e->off, gone = e->action == MOS_CHOMP ? e->len : 0;
    uint32_t new_ = e->action == MOS_INSERT ? e->len : 0, n;

    if (check_resize(m, e) < 0)
        return -1;
    if (e->len == 0)
        return 0;
    n = s->pcap - gone + new_;
    if (keep_change(m, off, gone, s->pcap, false) < 0 || edit_room(&m->env, m->cp, n) < 0 ||
        edit_reserve(&m->env, m->cp, n > s->pcap ? n : s->pcap) < 0)
        return err_prefix("mtcp_setlastpkt: "), -1;
    mon_write_guard(m);
    if (edit_replace(s, off, gone, e->data, new_) < 0)
        return err_prefix("mtcp_setlastpkt: "), -1;
    edit_changed(&m->env, off, new_, n);
    return 0;
}

/* hold: forward the first `off` bytes of the payload; the rest waits for the next segment. */
static int hold(struct mon *m, const struct edit *e)
{
    const struct seg *s = m->seg;

    if (m->cp == NULL || m->hook != HK_SND)
        return err_set(EOPNOTSUPP, "mtcp_setlastpkt: bytes can only be held at MOS_HK_SND");
    if (s->level != SEG_TCP || (s->pb->flags & PB_DATAGRAM))
        return err_set(EOPNOTSUPP, "mtcp_setlastpkt: fragments leave as they came");
    if (e->off < 0 || e->off > s->pcap)
        return err_set(EINVAL, "mtcp_setlastpkt: hold from %lld on is outside of the payload's %u",
                       (long long)e->off, s->pcap);
    if (s->plen == 0 && !(s->tflags & TH_FIN_))
        return 0;
    if (edit_begin(&m->env, m->cp, true) < 0 || changed_before(m) < 0 ||
        edit_hold(&m->env, m->cp, (uint32_t)e->off) < 0)
        return err_prefix("mtcp_setlastpkt: "), -1;
    payload_back(m);
    return 0;
}

static int change(struct mon *m, struct edit *e)
{
    if (m->seg->pb->flags & PB_DATAGRAM)
        return err_set(
            EOPNOTSUPP,
            "mtcp_setlastpkt: the packet came as IP fragments, which leave as they came: "
            "it can be dropped, not changed");
    if (find_region(e, m->seg) < 0)
        return -1;
    if ((m->seg->flags & SEG_AUTH) && e->region != MOS_ETH_HDR) /* contract 6 */
        return err_set(
            EPERM,
            "mtcp_setlastpkt: the connection is signed (TCP-AO, TCP-MD5) and forbids changes");
    return e->action == MOS_OVERWRITE ? overwrite(m, e) : resize(m, e);
}

void mon_drop(struct mon *m)
{
    m->env.reasons[REASON_APP_DROP] += !(m->seg->pb->flags & PB_DROP);
    m->seg->pb->flags |= PB_DROP;
}

int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t len,
                    int option)
{
    struct mon *m = mon_enter(mctx);
    struct edit e = {.off = offset, .data = data, .len = len};

    if (m == NULL)
        return -1;
    if (!any_sock(m, sock))
        return err_set(EBADF, "mtcp_setlastpkt: no socket has the number %d", sock);
    if (check_option(&e, option) < 0)
        return -1;
    if (m->seg == NULL)
        return err_set(EACCES, "mtcp_setlastpkt: no packet is at hand in this event");
    if (e.action == MOS_HOLD)
        return hold(m, &e);
    if (e.action == MOS_DROP) {
        mon_drop(m);
    } else if (change(m, &e) < 0) {
        return -1;
    }
    if (option & UPDATES)
        mon_write_guard(m);
    if (option & MOS_UPDATE_IP_CHKSUM)
        fixsum_ip(&m->fix, m->seg, m->npackets);
    if (option & MOS_UPDATE_TCP_CHKSUM)
        fixsum_tcp(&m->fix, m->seg, m->npackets);
    return 0;
}
