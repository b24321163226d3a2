// SPDX-License-Identifier: BSD-2-Clause
/*
 * send.c: segments of our own: what the application sends (mtcp_sendpkt), and the RSTs that end a
 * connection (mtcp_reset_conn).
 *
 * They look like the packet at hand: its link header, tags and all, turned round if they go the
 * other way. Where none is at hand, or one of another IP version, the link header is Ethernet with
 * zero addresses; in line it is as the flow's frames have it (heads.c), and so it is where the packet
 * at hand is another flow's.
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

enum { LINK_ROOM = 256, FRAME_MAX_ = UINT16_MAX + LINK_ROOM, ETHER_HLEN = 14 };

/* What a made segment is like: a seg that was never a packet, and its link header. */
struct mould {
    struct seg s;
    struct pktbuf pb;
    uint8_t link[LINK_ROOM];
};

/* ends: from whom to whom (network order); of which flow, to which side of it (-1: not known). */
struct ends {
    uint32_t idx;
    int to;
    bool v6;
    const void *src, *dst;
    uint16_t sport, dport;
};

static bool same_addr(const struct ends *e, const void *addr, const uint8_t *b)
{
    return memcmp(addr, b, e->v6 ? 16 : 4) == 0;
}

/* backwards: does the packet at hand go the other way? */
static bool backwards(const struct ends *e, const struct seg *s)
{
    bool forth = same_addr(e, e->src, s->src.b) && s->sport == e->sport;

    return !forth && (same_addr(e, e->src, s->dst.b) || same_addr(e, e->dst, s->src.b));
}

static void turn_round(struct mould *o)
{
    uint8_t dst[6];

    memcpy(dst, o->link, 6);
    memcpy(o->link, o->link + 6, 6);
    memcpy(o->link + 6, dst, 6);
}

/* way_on: where frames that come by this interface leave. */
static uint8_t way_on(const struct mon *m, uint8_t in_if)
{
    return in_if < MON_IFS ? m->peer[in_if] : MON_IF_NONE;
}

/*
 * copy_link: the link header of the packet at hand, its addresses swapped if that goes the other
 * way.
 */
static void copy_link(struct mould *o, const struct mon *m, const struct seg *s, bool turn)
{
    memcpy(o->link, s->pb->data, s->l3_off);
    o->s.l3_off = s->l3_off;
    o->s.link_len_off = s->link_len_off;
    o->pb.linktype = s->pb->linktype;
    o->pb.in_if = turn ? s->pb->in_if : way_on(m, s->pb->in_if);
    o->pb.realm = s->pb->realm;
    o->pb.ts_ns = s->pb->ts_ns;
    if (turn && s->pb->linktype == DLT_EN10MB)
        turn_round(o);
}

/* recall_link: as the flow's frames to that side have it. => false: none was seen either way. */
static bool recall_link(struct mould *o, const struct mon *m, const struct ends *e)
{
    const struct mon_head *from = e->to < 0 ? NULL : mon_head_of(m, e->idx, !e->to);
    const struct mon_head *back = e->to < 0 ? NULL : mon_head_of(m, e->idx, e->to);
    const struct mon_head *h = from ? from : back;

    if (h == NULL)
        return false;
    memcpy(o->link, h->bytes, h->len);
    o->s.l3_off = h->len;
    o->pb.linktype = DLT_EN10MB;
    o->pb.in_if = from ? way_on(m, h->in_if) : h->in_if;
    o->pb.ts_ns = m->env.now;
    if (!from)
        turn_round(o);
    return true;
}

/* is_bare: frames of this link type begin with the IP header. */
static bool is_bare(int linktype)
{
    return linktype == DLT_RAW || linktype == 101 || linktype == DLT_IPV4 || linktype == DLT_IPV6;
}

/* make_link: nothing is known of the flow's frames, but for an edited one their link type. */
static void make_link(struct mould *o, const struct mon *m, const struct ends *e)
{
    const struct flow_edit *fe = edit_of(&m->env, flow_at(&m->env.ft, e->idx));

    o->pb.linktype = DLT_EN10MB;
    o->pb.in_if = MON_IF_NONE;
    o->pb.ts_ns = m->env.now;
    if (fe && is_bare(fe->linktype)) {
        o->pb.linktype = fe->linktype;
        return;
    }
    o->link[12] = e->v6 ? 0x86 : 0x08;
    o->link[13] = e->v6 ? 0xdd : 0x00;
    o->s.l3_off = ETHER_HLEN;
}

/* is_like: does the packet at hand go between the same ends? In replay any packet will do. */
static bool is_like(const struct mon *m, const struct ends *e)
{
    const struct seg *s = m->seg;

    if (s == NULL || s->level < SEG_IP || ((s->flags & SEG_IP6) != 0) != e->v6 ||
        s->l3_off > LINK_ROOM)
        return false;
    return m->heads == NULL || (m->cp && m->cp->idx == e->idx);
}

static void shape(struct mould *o, const struct mon *m, const struct ends *e)
{
    memset(o, 0, sizeof(*o));
    o->pb.data = o->link;
    o->pb.cap = sizeof(o->link);
    o->pb.flags = PB_MADE;
    o->pb.refs = 1;
    if (is_like(m, e))
        copy_link(o, m, m->seg, backwards(e, m->seg));
    else if (!recall_link(o, m, e))
        make_link(o, m, e);
    o->pb.len = o->pb.wire_len = o->s.l3_off;
    o->s.pb = &o->pb;
    o->s.level = SEG_L4;
    o->s.flags = e->v6 ? SEG_IP6 : 0;
    memcpy(o->s.src.b, e->src, e->v6 ? 16 : 4);
    memcpy(o->s.dst.b, e->dst, e->v6 ? 16 : 4);
    o->s.sport = e->sport;
    o->s.dport = e->dport;
}

/* emit: build it and hand it to the engine. => 0; -1 EMSGSIZE, ENOBUFS. */
static int emit(struct mon *m, const struct ends *e, const struct build_tcp *what, const char *call)
{
    uint8_t frame[FRAME_MAX_];
    struct build_tcp b = *what;
    struct mould o;
    uint32_t n;

    shape(&o, m, e);
    b.like = &o.s;
    n = build_tcp(frame, sizeof(frame), &b);
    if (n == 0)
        return err_set(EMSGSIZE, "%s: %u bytes do not fit one segment", call, b.plen);
    if (m->send == NULL)
        return err_set(ENOBUFS, "%s: this context has no way out", call);
    if (m->send(m, &o.pb, frame, n) < 0) {
        err_prefix("%s: ", call);
        errno = ENOBUFS;
        return -1;
    }
    return 0;
}

int mon_send_edited(void *arg, const struct pktbuf *like, bool back, const uint8_t *frame,
                    uint32_t len)
{
    struct mon *m = arg;
    struct pktbuf by = *like;

    if (!back)
        by.in_if = way_on(m, like->in_if);
    by.flags = back ? PB_MADE : 0;
    return m->send ? m->send(m, &by, frame, len) : -1;
}

/* ---- mtcp_sendpkt ---- */

/* sender_of: which end of the flow is it that this would come from? => CLI, SVR, or -1. */
static int sender_of(const struct mon *m, const struct flow *f, const struct ends *e)
{
    for (int side = CLI; side <= SVR; side++) {
        uint16_t port;
        const uint8_t *addr = flow_addr(&m->env.ft, f, side, &port);

        if (((f->flags & FLOW_V6) != 0) == e->v6 && same_addr(e, e->src, addr) && port == e->sport)
            return side;
    }
    return -1;
}

/*
 * add_ts: once agreed on, every segment has timestamps (RFC 7323 3.2). The last ones seen will do.
 */
static void add_ts(const struct mon *m, const struct flow *f, const struct ends *e,
                   struct build_tcp *b)
{
    int from = e->to < 0 ? -1 : !e->to;

    if (from < 0 || !(f->side[CLI].flags & f->side[SVR].flags & SIDE_TS_OK))
        return;
    b->ts = true;
    b->tsval = f->ctr[from].tsval;
    b->tsecr = f->ctr[!from].tsval;
}

int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt)
{
    struct mon *m = mon_enter(mctx);
    struct build_tcp b = {.tflags = TH_ACK_};
    struct ends e;
    uint32_t idx;
    int from;

    if (m == NULL)
        return -1;
    if (mon_child(m, sock, &idx) == NULL)
        return err_set(EBADF, "mtcp_sendpkt: socket %d is not the child of a connection", sock);
    if (pkt == NULL || (pkt->payloadlen && pkt->payload == NULL))
        return err_set(EINVAL, "mtcp_sendpkt: %s is NULL", pkt ? "the payload" : "pkt");
    if ((pkt->iph == NULL && pkt->ip6h == NULL) || pkt->tcph == NULL)
        return err_set(ENODATA, "mtcp_sendpkt: the packet has no %s header",
                       pkt->tcph ? "IP" : "TCP");
    e.v6 = pkt->iph == NULL;
    e.src = e.v6 ? (const void *)&pkt->ip6h->ip6_src : (const void *)&pkt->iph->saddr;
    e.dst = e.v6 ? (const void *)&pkt->ip6h->ip6_dst : (const void *)&pkt->iph->daddr;
    e.sport = pkt->tcph->source;
    e.dport = pkt->tcph->dest;
    from = sender_of(m, flow_at(&m->env.ft, idx), &e);
    e.idx = idx;
    e.to = from < 0 ? -1 : !from;
    b.seq = pkt->seq;
    b.ack = pkt->ack_seq;
    b.win = pkt->window;
    b.payload = pkt->payload;
    b.plen = pkt->payloadlen;
    add_ts(m, flow_at(&m->env.ft, idx), &e, &b);
    return emit(m, &e, &b, "mtcp_sendpkt");
}

/* ---- mtcp_reset_conn ---- */

/*
 * ends_to: addresses of what goes to this side, as that side knows them: a translated server has
 * never seen the first ones.
 */
static struct ends ends_to(const struct mon *m, const struct flow *f, int to)
{
    struct ends e = {.v6 = f->flags & FLOW_V6};

    if (f->alt && to == SVR) {
        const struct flow_alt *a = pool_at(&m->env.ft.alts, f->alt);

        e.src = a->key.addr[!a->svr_end];
        e.sport = a->key.port[!a->svr_end];
        e.dst = a->key.addr[a->svr_end];
        e.dport = a->key.port[a->svr_end];
        return e;
    }
    e.src = flow_addr(&m->env.ft, f, !to, &e.sport);
    e.dst = flow_addr(&m->env.ft, f, to, &e.dport);
    return e;
}

/*
 * next_expected: RCV.NXT of this side. What it has acknowledged is a lower bound; what has passed
 * in order is what it expects once that has arrived. The higher one: an RST below RCV.NXT is thrown
 * away silently, one above it is answered by a challenge ACK, which the other end, being closed by
 * then, answers with the right RST (RFC 5961 3.2, RFC 9293 3.5.2).
 */
static uint32_t next_expected(const struct flow *f, int side)
{
    const struct flow_side *sd = &f->side[side];
    bool base = f->flags & (side == CLI ? FLOW_BASE_CLI : FLOW_BASE_SVR);
    uint32_t nxt = sd->base + (uint32_t)sd->next + !!(sd->flags & SIDE_FIN_RCVD);

    if (!base)
        return sd->flags & SIDE_ACKED ? sd->ack : 0;
    return sd->flags & SIDE_ACKED ? seq_max(nxt, sd->ack) : nxt;
}

/* first_syn: is the packet at hand the SYN that opens this flow, and not yet at its receiver? */
static bool first_syn(const struct mon *m, const struct flow *f)
{
    return m->cp && m->seg && m->cp->f == f && m->cp->opened && m->hook == HK_SND &&
           (m->seg->tflags & (TH_SYN_ | TH_ACK_)) == TH_SYN_;
}

/*
 * reset: to one side. It has the ACK of what that side sent: in SYN_SENT nothing else is believed
 * (RFC 9293 3.10.7.3).
 */
static int reset(struct mon *m, uint32_t idx, int to)
{
    const struct flow *f = flow_at(&m->env.ft, idx);
    const struct flow_side *sd = &f->side[to];
    struct ends e = ends_to(m, f, to);
    struct build_tcp b = {.tflags = TH_RST_, .seq = next_expected(f, to)};

    e.idx = idx;
    e.to = to;
    if (sd->flags & SIDE_SPOKE) {
        b.tflags |= TH_ACK_;
        b.ack = edit_sent_by(&m->env, f, to, sd->snd_max);
    } else if (first_syn(m, f)) { /* what a packet sends is noted after its SND callbacks */
        b.tflags |= TH_ACK_;
        b.ack = m->seg->seq + seg_slen(m->seg);
    }
    return emit(m, &e, &b, "mtcp_reset_conn");
}

/* reset_ends: both, or the only one that knows of it. => 0; -1: none could be. *some: one could not. */
static int reset_ends(struct mon *m, uint32_t idx, int *some)
{
    int cli = reset(m, idx, CLI), svr = cli;

    if (!first_syn(m, flow_at(&m->env.ft, idx)))
        svr = reset(m, idx, SVR);
    else if (cli == 0)
        mon_drop(m);
    *some = cli < 0 ? cli : svr;
    return cli < 0 && svr < 0 ? -1 : 0;
}

void mon_reset_edited(struct mon *m, uint32_t idx)
{
    int some;

    if (likely(!edit_lasts(&m->env, flow_at(&m->env.ft, idx))))
        return;
    m->env.reasons[REASON_EDIT_RESET]++;
    reset_ends(m, idx, &some);
}

void mon_reset_all_edited(struct mon *m)
{
    if (m->env.edit.flows.used == 0 || m->env.edit.replay)
        return;
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i))
        mon_reset_edited(m, i);
}

int mtcp_reset_conn(mctx_t mctx, int sock)
{
    struct mon *m = mon_enter(mctx);
    struct flow *f;
    uint32_t idx;
    int some;

    if (m == NULL)
        return -1;
    if (mon_child(m, sock, &idx) == NULL)
        return errno == ENOTSOCK
                   ? err_set(ENOTCONN, "mtcp_reset_conn: socket %d is no connection", sock)
                   : -1;
    f = flow_at(&m->env.ft, idx);
    if (f->flags & FLOW_ENDED)
        return 0;
    if (reset_ends(m, idx, &some) < 0)
        return -1;
    f->flags |= FLOW_RST;
    f->side[CLI].state = f->side[SVR].state = FS_CLOSED;
    conn_kill(&m->env, idx, MOS_END_RST);
    return some; /* one end that is reset is enough: the other finds out */
}
