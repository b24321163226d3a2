// SPDX-License-Identifier: BSD-2-Clause
/*
 * editout.c: the frame of an edited segment: room for what grows, and the way out: as it is, cut in
 * several where it has grown too long, or as frames of our own where the one that came cannot hold it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "conn/conn_int.h"
#include "conn/editint.h"
#include "io/io.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/layers.h"

enum {
    HEADROOM = 128,
    HEADERS = 1024, /* link, IP and TCP, with all options and tags */
    BIG = HEADROOM + HEADERS + EDIT_MIX_OLD + EDIT_GROWN,
    IP4_LEAST = 576,   /* what every host takes */
    IP6_LEAST = 1280,  /* what every link takes */
    PATH4_LEAST = 552, /* less is not believed (Linux: min_pmtu) */
};

/* ---- room ---- */

/* len_field: of the IP header. */
static uint8_t *len_field(const struct seg *s)
{
    return s->pb->data + s->l3_off + (s->flags & SEG_IP6 ? 4 : 2);
}

/* unsize: an IP length of 0: the frame's counts. It is set right when it leaves. */
static void unsize(struct seg *s)
{
    uint32_t ip = s->l3_off + s->ip_len;

    memset(len_field(s), 0, 2);
    if (ip < s->pb->len) /* padding would be payload now */
        s->pb->len = ip;
    s->pb->wire_len = s->pb->len;
    decode(s, s->pb);
}

uint8_t *edit_big(struct conn_env *env)
{
    if (env->edit.big == NULL)
        env->edit.big = edit_alloc(env, BIG);
    return env->edit.big;
}

/* move: the frame goes into a buffer of our own, where it can grow. */
static int move(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct pktbuf *pb = cp->s->pb;

    if (e->data)
        return 0;
    if (edit_big(env) == NULL)
        return err_set(ENOBUFS, "no memory for a frame that grows");
    if (pb->flags & PB_BORROWED)
        conn_own_borrowed(env, pb->borrow_flow);
    e->data = pb->data;
    e->len = pb->len;
    e->wire_len = pb->wire_len;
    e->cap = pb->cap;
    pb->data = env->edit.big + HEADROOM + io_align(pb->linktype);
    pb->cap = BIG - HEADROOM - io_align(pb->linktype);
    memcpy(pb->data, e->data, pb->len);
    return 0;
}

static int make_room(struct conn_env *env, struct conn_pkt *cp, uint32_t n)
{
    struct seg *s = cp->s;
    uint32_t more = n > s->pcap ? n - s->pcap : 0;
    bool long_ = s->ip_len + more > UINT16_MAX && load16(len_field(s)) != 0;

    if (more == 0 || (more <= s->pb->cap - s->pb->len && !long_))
        return 0;
    if (move(env, cp) < 0)
        return -1;
    if (long_)
        unsize(s);
    return 0;
}

int edit_room(struct conn_env *env, struct conn_pkt *cp, uint32_t n)
{
    if (n <= EDIT_GROWN)
        return make_room(env, cp, n);
    if (edit_in_parts(env, cp))
        return err_set(EAGAIN, "a payload of %u bytes is too long: it is shown again in parts", n);
    return err_set(ENOBUFS, "a payload of %u bytes is too long", n);
}

int edit_set_payload(struct conn_env *env, struct conn_pkt *cp, const uint8_t *bytes, uint32_t n)
{
    if (make_room(env, cp, n) < 0)
        return -1;
    return edit_replace(cp->s, 0, cp->s->pcap, bytes, n);
}

/* ---- the way out ---- */

/* room_for: payload that one datagram may have. */
static uint32_t room_for(const struct edit_dir *d, const struct seg *s)
{
    uint32_t least = s->flags & SEG_IP6 ? IP6_LEAST : IP4_LEAST;
    uint32_t longest = d->longest > least ? d->longest : least;
    uint32_t headers = s->pay_off - s->l3_off;

    if (d->path && longest > d->path)
        longest = d->path;
    if (longest > UINT16_MAX) /* a frame that stands for several, and does not say of what size */
        longest = UINT16_MAX;
    if (s->link_len_off && longest > 1492)
        longest = 1492;
    return longest > headers + 8 ? longest - headers : 8;
}

/* A piece of a segment: its headers, and some of its payload. */
struct part {
    uint32_t off, len;
    bool last;
};

static void part_numbers(struct seg *p, const struct seg *s, const struct part *part)
{
    struct edit_numbers n = edit_numbers_of(p);

    n.seq = s->seq + part->off;
    if (!part->last)
        n.tflags &= (uint8_t) ~(TH_FIN_ | TH_PSH_);
    if (part->off)
        n.tflags &= (uint8_t)~TH_CWR_;
    if (n.tflags & TH_URG_) {
        if (n.urp > part->off)
            n.urp = (uint16_t)(n.urp - part->off);
        else
            n.tflags &= (uint8_t)~TH_URG_;
    }
    edit_renumber(p, &n);
}

/* size: the lengths of a frame of our own. */
static void size(struct seg *p, uint32_t ip_len)
{
    uint8_t *len = len_field(p);

    store16(len, p->flags & SEG_IP6 ? ip_len - 40 : ip_len);
    if (p->link_len_off)
        store16(p->pb->data + p->link_len_off, p->l3_off + ip_len - p->link_len_off - 2);
}

static void send_part(struct conn_env *env, const struct seg *s, const struct part *part)
{
    uint8_t frame[HEADERS + UINT16_MAX];
    struct pktbuf pb = {.data = frame,
                        .cap = sizeof(frame),
                        .refs = 1,
                        .linktype = s->pb->linktype,
                        .in_if = s->pb->in_if,
                        .flags = PB_MADE,
                        .ts_ns = env->now};
    struct seg p = *s;

    if (s->pay_off > HEADERS)
        return;
    pb.len = pb.wire_len = s->pay_off + part->len;
    memcpy(frame, s->pb->data, s->pay_off);
    memcpy(frame + s->pay_off, seg_payload(s) + part->off, part->len);
    p.pb = &pb;
    size(&p, pb.len - s->l3_off);
    if (decode(&p, &pb) != REASON_NONE)
        return;
    part_numbers(&p, s, part);
    csum_ip_set(&p);
    csum_tcp_set(&p);
    if (env->edit.send)
        env->edit.send(env->edit.arg, s->pb, false, frame, pb.len);
}

/* send_from: the payload from `off` on, in pieces of `room`; nothing at all is a piece, too. */
static void send_from(struct conn_env *env, const struct seg *s, uint32_t off, uint32_t room)
{
    do {
        uint32_t left = s->pcap - off;
        struct part p = {.off = off, .len = left < room ? left : room};

        p.last = p.len == left;
        send_part(env, s, &p);
        off += p.len;
    } while (off < s->pcap);
}

/* shorten: the frame keeps the first `room` bytes. */
static void shorten(struct seg *s, uint32_t room)
{
    struct part first = {.len = room};

    edit_chomp(s, room, s->pcap - room);
    part_numbers(s, s, &first);
}

/* give_back: the frame that came is as it was, and stays here. */
static void give_back(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct pktbuf *pb = cp->s->pb;

    if (pb->flags & PB_BORROWED)
        conn_own_borrowed(env, pb->borrow_flow);
    pb->flags |= PB_DROP;
    if (e->data == NULL)
        return;
    pb->data = e->data;
    pb->len = e->len;
    pb->wire_len = e->wire_len;
    pb->cap = e->cap;
    e->data = NULL;
    decode(cp->s, pb);
}

void edit_leave(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct seg *s = cp->s;
    struct pktbuf *pb = s->pb;
    bool own = e->data || (pb->flags & (PB_MADE | PB_DATAGRAM));
    uint32_t room;

    if (pb->flags & PB_DROP) {
        if (own)
            give_back(env, cp);
        return;
    }
    room = room_for(&e->fe->dir[cp->from], s);
    if (own) {
        if (s->pcap > room)
            env->reasons[REASON_EDIT_SPLIT]++;
        send_from(env, s, 0, room);
        give_back(env, cp);
        return;
    }
    if (pb->gso_size) {
        if (s->pcap <= pb->gso_size)
            pb->gso_size = pb->gso_type = 0;
        return;
    }
    if (s->pcap <= e->plen || s->pcap <= room)
        return;
    env->reasons[REASON_EDIT_SPLIT]++;
    send_from(env, s, room, room);
    shorten(s, room);
}

/* ---- ACKs in the receiver's name ---- */

uint16_t edit_window(const struct conn_env *env, const struct flow *f, int from, uint32_t ack,
                     uint16_t win)
{
    const struct flow_edit *fe = edit_of(env, f);
    uint32_t scale = f->side[from].wscale > 14 ? 14 : f->side[from].wscale;
    uint32_t more, w = (uint32_t)win << scale;

    if (fe == NULL || !fe->dir[!from].on)
        return win;
    more = seqmap_surplus(&fe->dir[!from].map, ack);
    return (uint16_t)((w > more ? w - more : 0) >> scale);
}

uint32_t edit_acceptable(const struct flow *f, int to, uint32_t r, uint32_t nxt)
{
    const struct flow_side *rcv = &f->side[to];

    if ((rcv->flags & SIDE_ACKED) && seq_lt(r, rcv->ack))
        r = seq_max(nxt, rcv->ack);
    if ((rcv->flags & SIDE_EDGE) && seq_lt(f->ctr[to].edge, r))
        r = f->ctr[to].edge;
    return r;
}

uint32_t edit_begun_by(const struct conn_env *env, const struct flow *f, int side, uint32_t seq)
{
    const struct flow_edit *fe = edit_of(env, f);

    return fe && fe->dir[side].on ? seqmap_begins(&fe->dir[side].map, seq) : seq;
}

void edit_too_big(struct conn_env *env, const struct flow *f, int side, uint32_t mtu)
{
    const uint32_t least = f->flags & FLOW_V6 ? IP6_LEAST : PATH4_LEAST;
    struct flow_edit *fe = edit_of(env, f);

    if (fe == NULL || !fe->dir[side].on)
        return;
    mtu = mtu > least ? mtu : least;
    if (fe->dir[side].path == 0 || mtu < fe->dir[side].path)
        fe->dir[side].path = mtu;
}

uint32_t edit_sent_by(const struct conn_env *env, const struct flow *f, int side, uint32_t ack)
{
    const struct flow_edit *fe = edit_of(env, f);

    return fe && fe->dir[side].on ? seqmap_to_s(&fe->dir[side].map, ack) : ack;
}

/* add_sacks: what waits. */
static void add_sacks(const struct edit_dir *d, struct build_tcp *b)
{
    for (int i = 0; i < d->ntold; i++) {
        if (!seq_lt(edit_top(d), d->told[i].start))
            continue;
        b->sack[b->nsack].start = d->told[i].start;
        b->sack[b->nsack++].end = d->told[i].end;
    }
}

void edit_answer(struct conn_env *env, const struct conn_pkt *cp, bool waits)
{
    const struct flow *f = cp->f;
    const struct flow_side *snd = &f->side[cp->from], *rcv = &f->side[cp->to];
    const struct edit_dir *d = &env->edit.at.fe->dir[cp->from];
    uint8_t frame[HEADERS];
    struct seg like = *cp->s;
    struct build_tcp b = {.like = &like, .reverse = true, .tflags = TH_ACK_};
    uint32_t n;

    if (!(rcv->flags & SIDE_ACKED) || !env->edit.send || env->edit.replay ||
        like.l3_off > HEADERS / 2)
        return;
    flow_as_known_to(&env->ft, f, cp->from, &like);
    b.seq = cp->s->ack;
    if (rcv->flags & SIDE_SPOKE)
        b.seq = edit_acceptable(f, cp->from, rcv->snd_max, rcv->snd_max);
    b.ack = seqmap_to_s(&d->map, rcv->ack);
    b.win = edit_window(env, f, cp->to, rcv->ack, rcv->wnd);
    if (snd->flags & rcv->flags & SIDE_TS_OK) {
        b.ts = true;
        b.tsval = f->ctr[cp->to].tsval;
        b.tsecr = f->ctr[cp->from].tsval;
    }
    if (waits && (snd->flags & rcv->flags & SIDE_SACK_OK))
        add_sacks(d, &b);
    n = build_tcp(frame, sizeof(frame), &b);
    if (n)
        env->edit.send(env->edit.arg, cp->s->pb, true, frame, n);
}
