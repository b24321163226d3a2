// SPDX-License-Identifier: BSD-2-Clause
/*
 * frames.c: writes a frame from the outside in: link, IP, transport. A writer with a position, one
 * function per header; lengths and checksums are known before or patched right after. Plain rather
 * than fast.
 */
#include "frames.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    uint8_t *p;
    uint32_t len;
};

struct ends {
    bool v6;
    uint8_t src[16], dst[16];
    uint16_t sport, dport;
};

/* What is wrong with the template at hand, NULL as long as nothing is. */
static _Thread_local const char *mistake;

static void wrong(const char *what)
{
    if (mistake == NULL)
        mistake = what;
}

static void put(struct writer *w, const void *p, uint32_t n)
{
    if (n > FRAME_ROOM - w->len) {
        wrong("no room: raise FRAME_ROOM or send less");
        return;
    }
    if (n > 0)
        memcpy(w->p + w->len, p, n);
    w->len += n;
}

static void put8(struct writer *w, uint32_t v)
{
    uint8_t b = (uint8_t)v;

    put(w, &b, 1);
}

static void put16(struct writer *w, uint32_t v)
{
    put8(w, v >> 8);
    put8(w, v);
}

static void put32(struct writer *w, uint32_t v)
{
    put16(w, v >> 16);
    put16(w, v);
}

static void fill(struct writer *w, uint8_t v, uint32_t n)
{
    while (n-- > 0 && mistake == NULL)
        put8(w, v);
}

static void patch16(struct writer *w, uint32_t at, uint32_t v)
{
    if (mistake)
        return;
    w->p[at] = (uint8_t)(v >> 8);
    w->p[at + 1] = (uint8_t)v;
}

static uint32_t sum16(uint32_t sum, const uint8_t *p, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

uint16_t frame_csum(const void *p, uint32_t len)
{
    return (uint16_t)~sum16(0, p, len);
}

uint8_t frame_byte(uint32_t seq)
{
    return (uint8_t)((seq * 2654435761u) >> 24);
}

/* ---- ends ---- */

static void parse_addr(const char *text, bool v6, uint8_t out[16])
{
    memset(out, 0, 16);
    if (inet_pton(v6 ? AF_INET6 : AF_INET, text, out) != 1)
        wrong("bad address (or IPv4 and IPv6 mixed)");
}

static struct ends ends_of(const struct frame *f)
{
    struct ends e = {.sport = f->sport ? f->sport : 1234, .dport = f->dport ? f->dport : 80};
    const char *src = f->src, *dst = f->dst;

    e.v6 = f->v6 || (src && strchr(src, ':')) || (dst && strchr(dst, ':'));
    if (!src)
        src = e.v6 ? "2001:db8::1" : "10.0.0.1";
    if (!dst)
        dst = e.v6 ? "2001:db8::2" : "10.0.0.2";
    parse_addr(f->reply ? dst : src, e.v6, e.src);
    parse_addr(f->reply ? src : dst, e.v6, e.dst);
    if (f->reply) {
        uint16_t port = e.sport;

        e.sport = e.dport;
        e.dport = port;
    }
    return e;
}

/* ---- link layer ---- */

static uint16_t dlt_of(enum frame_link link)
{
    static const uint16_t dlt[] = {
        [FRAME_ETHER] = 1,     [FRAME_SNAP] = 1,   [FRAME_SLL] = 113, [FRAME_SLL2] = 276,
        [FRAME_RAW] = 12,      [FRAME_IP4] = 228,  [FRAME_IP6] = 229, [FRAME_NULL] = 0,
        [FRAME_NULL_SWAP] = 0, [FRAME_LOOP] = 108,
    };
    return dlt[link];
}

static void put_family(struct writer *w, enum frame_link link, bool v6)
{
    uint32_t family = v6 ? 30 : 2; /* 30 as macOS has it */

    if (link == FRAME_LOOP)
        family = htonl(family);
    if (link == FRAME_NULL_SWAP)
        family = __builtin_bswap32(family);
    put(w, &family, 4);
}

/* put_link_start: up to the place where an ethertype comes. => whether one comes at all. */
static bool put_link_start(struct writer *w, const struct frame *f, bool v6)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    uint8_t swapped[12];

    switch (f->link) {
    case FRAME_ETHER:
    case FRAME_SNAP:
        memcpy(swapped, macs + 6, 6);
        memcpy(swapped + 6, macs, 6);
        put(w, f->reply ? swapped : macs, 12);
        return true;
    case FRAME_SLL: /* type, ARPHRD_ETHER, address length and address */
        put(w, "\0\0\0\1\0\6\2\0\0\0\0\1\0\0", 14);
        return true;
    case FRAME_SLL2:
        return true;
    case FRAME_NULL:
    case FRAME_NULL_SWAP:
    case FRAME_LOOP:
        put_family(w, f->link, v6);
        return false;
    default:
        return false;
    }
}

static uint32_t count_vlans(const struct frame *f)
{
    uint32_t n = f->nvlan;

    while (f->nvlan == 0 && n < 5 && f->vlan[n] != 0)
        n++;
    return n;
}

/* put_type: an ethertype, or length + LLC/SNAP around it. => position of the 802.3 length field or
 * 0. */
static uint32_t put_type(struct writer *w, const struct frame *f, uint32_t type)
{
    uint32_t at = 0;

    if (f->link == FRAME_SNAP) {
        at = w->len;
        put16(w, 0);
        put(w, "\xaa\xaa\3\0\0\0", 6);
    }
    put16(w, type);
    if (f->link == FRAME_SLL2)
        put(w, "\0\0\0\0\0\1\0\1\0\6\2\0\0\0\0\1\0\0", 18);
    return at;
}

static void put_mpls(struct writer *w, const struct frame *f)
{
    for (uint32_t i = 1; i <= f->mpls; i++)
        put32(w, (1000 + i) << 12 | (i == f->mpls ? 0x100 : 0) | 64);
}

/* put_link: everything before the IP header. => position of a length field to patch (802.3 or
 * PPPoE), or 0. */
static uint32_t put_link(struct writer *w, const struct frame *f, bool v6)
{
    uint32_t type = v6 ? 0x86dd : 0x0800, at = 0, n = count_vlans(f);

    if (!put_link_start(w, f, v6))
        return 0;
    if (f->link == FRAME_SLL2 && (n > 0 || f->pppoe || f->mpls))
        wrong("SLL2: no tags here");
    for (uint32_t i = 0; i < n; i++) {
        put16(w, i + 1 < n && f->tpid ? f->tpid : 0x8100);
        put16(w, f->vlan[i]);
    }
    at = put_type(w, f, f->pppoe ? 0x8864 : f->mpls ? 0x8847 : type);
    if (f->pppoe) {
        put(w, "\x11\0\0\7", 4);
        at = w->len;
        put16(w, 0);
        put16(w, v6 ? 0x0057 : 0x0021);
    }
    put_mpls(w, f);
    return at;
}

/* ---- IP ---- */

static void put_ip4(struct writer *w, const struct frame *f, const struct ends *e, uint32_t l4len)
{
    uint32_t at = w->len, hlen = 20 + f->ip_optlen;

    put8(w, 0x40 | hlen / 4);
    put8(w, f->tos);
    put16(w, f->ip_len_zero ? 0 : hlen + l4len + (uint32_t)f->ip_len_add);
    put16(w, f->id);
    put16(w, (f->df ? 0x4000 : 0) | (f->frag_more ? 0x2000 : 0) | f->frag_off / 8);
    put8(w, f->ttl ? f->ttl : 64);
    put8(w, f->proto);
    put16(w, 0);
    put(w, e->src, 4);
    put(w, e->dst, 4);
    put(w, f->ip_opts, f->ip_optlen);
    if (mistake == NULL)
        patch16(w, at + 10, frame_csum(w->p + at, hlen) ^ (f->bad_ipcsum ? 1 : 0));
}

static void put_ip6(struct writer *w, const struct frame *f, const struct ends *e, uint32_t l4len)
{
    bool frag = f->frag6 || f->frag_off || f->frag_more;
    uint8_t after = frag ? 44 : f->proto;

    put32(w, 6u << 28 | (uint32_t)f->tos << 20);
    put16(w, f->ip_len_zero ? 0 : f->ip_optlen + (frag ? 8 : 0) + l4len + (uint32_t)f->ip_len_add);
    put8(w, f->ip_optlen ? f->ext_first : after);
    put8(w, f->ttl ? f->ttl : 64);
    put(w, e->src, 16);
    put(w, e->dst, 16);
    put(w, f->ip_opts, f->ip_optlen);
    if (frag) {
        put8(w, f->proto);
        put8(w, 0);
        put16(w, f->frag_off | (f->frag_more ? 1 : 0));
        put32(w, f->id);
    }
}

/* ---- transport ---- */

static uint8_t flag_bits(const char *s)
{
    static const char letters[] = "FSRP.UEW";
    uint8_t bits = 0;

    for (; *s; s++) {
        const char *at = strchr(letters, *s == 'A' ? '.' : *s);

        if (!at)
            wrong("unknown TCP flag letter");
        else
            bits |= (uint8_t)(1 << (at - letters));
    }
    return bits;
}

static uint32_t count_sacks(const struct frame *f)
{
    uint32_t n = 0;

    while (n < 4 && (f->sack[2 * n] || f->sack[2 * n + 1]))
        n++;
    return n;
}

static uint32_t put_options(struct writer *w, const struct frame *f)
{
    uint32_t at = w->len, sacks = count_sacks(f);

    if (f->mss) {
        put(w, "\2\4", 2);
        put16(w, f->mss);
    }
    if (f->wscale) {
        put(w, "\1\3\3", 3);
        put8(w, f->wscale - 1u);
    }
    if (f->sackok)
        put(w, "\1\1\4\2", 4);
    if (f->has_ts || f->ts[0] || f->ts[1]) {
        put(w, "\1\1\x8\xa", 4);
        put32(w, f->ts[0]);
        put32(w, f->ts[1]);
    }
    if (sacks > 0) {
        put(w, "\1\1\5", 3);
        put8(w, 2 + 8 * sacks);
        for (uint32_t i = 0; i < 2 * sacks; i++)
            put32(w, f->sack[i]);
    }
    put(w, f->opts, f->optlen);
    fill(w, 0, (0 - f->optlen) & 3);
    if (w->len - at > 40)
        wrong("more than 40 bytes of TCP options");
    return w->len - at;
}

static void put_payload(struct writer *w, const struct frame *f)
{
    if (f->payload) {
        put(w, f->payload, f->plen);
        return;
    }
    for (uint32_t i = 0; i < f->plen && mistake == NULL; i++)
        put8(w, frame_byte(f->seq + i));
}

static void put_tcp(struct writer *w, const struct frame *f, const struct ends *e)
{
    uint32_t at = w->len, doff;

    put16(w, e->sport);
    put16(w, e->dport);
    put32(w, f->seq);
    put32(w, f->ack);
    put8(w, 0);
    put8(w, flag_bits(f->flags ? f->flags : "."));
    put16(w, f->win == FRAME_ZERO ? 0 : f->win ? (uint32_t)f->win : 8192);
    put16(w, 0);
    put16(w, f->urp);
    doff = (20 + put_options(w, f)) / 4;
    if (mistake == NULL)
        w->p[at + 12] = (uint8_t)((f->doff ? f->doff : doff) << 4);
    put_payload(w, f);
}

static void put_udp(struct writer *w, const struct frame *f, const struct ends *e)
{
    put16(w, e->sport);
    put16(w, e->dport);
    put16(w, 8 + f->plen);
    put16(w, 0);
    put_payload(w, f);
}

static void transport_csum(struct writer *w, const struct frame *f, const struct ends *e,
                           uint32_t at)
{
    uint32_t len = w->len - at, n = e->v6 ? 16 : 4, sum;
    uint8_t pseudo[8] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0, f->proto};

    sum = sum16(0, e->src, n);
    sum = sum16(sum, e->dst, n);
    sum = sum16(sum, pseudo, 8);
    sum = ~sum16(sum, w->p + at, len) & 0xffff;
    if (f->proto == 17 && sum == 0)
        sum = 0xffff;
    patch16(w, at + (f->proto == 6 ? 16 : 6), sum ^ (f->bad_csum ? 1 : 0));
}

static uint32_t transport_len(const struct frame *f)
{
    struct writer w = {.p = (uint8_t[512]){0}}; /* options cannot have more */

    if (f->proto == 6)
        return 20 + put_options(&w, f) + f->plen;
    return 8 + f->plen;
}

/* ---- the whole ---- */

static struct pktbuf *finish(struct frame_buf *b, struct writer *w, const struct frame *f)
{
    if (mistake) {
        if (f->may_fail)
            return NULL;
        fprintf(stderr, "frames: %s\n", mistake);
        abort();
    }
    b->pb.data = w->p;
    b->pb.wire_len = w->len;
    b->pb.len = f->snap && f->snap < w->len ? f->snap : w->len;
    b->pb.cap = FRAME_ROOM;
    b->pb.headroom = FRAME_HEADROOM;
    b->pb.refs = 1;
    b->pb.linktype = dlt_of(f->link);
    b->pb.ts_ns = f->ts_ns;
    b->pb.frame = f->number;
    return &b->pb;
}

static struct pktbuf *make(struct frame_buf *b, struct frame *f, bool transport)
{
    struct writer w = {.p = b->room + FRAME_HEADROOM};
    struct ends e;
    uint32_t at, link_len;

    mistake = NULL;
    e = ends_of(f);
    memset(&b->pb, 0, sizeof(b->pb));
    if (f->payload && f->plen == 0)
        f->plen = (uint32_t)strlen(f->payload);
    link_len = put_link(&w, f, e.v6);
    (e.v6 ? put_ip6 : put_ip4)(&w, f, &e, transport ? transport_len(f) : f->plen);
    at = w.len;
    if (!transport) {
        put_payload(&w, f);
    } else {
        (f->proto == 6 ? put_tcp : put_udp)(&w, f, &e);
        transport_csum(&w, f, &e, at);
    }
    if (link_len)
        patch16(&w, link_len, w.len - link_len - 2 + (uint32_t)(f->pppoe ? f->pppoe_len_add : 0));
    fill(&w, 0xee, f->pad);
    return finish(b, &w, f);
}

struct pktbuf *frame_tcp(struct frame_buf *b, struct frame f)
{
    f.proto = 6;
    return make(b, &f, true);
}

struct pktbuf *frame_udp(struct frame_buf *b, struct frame f)
{
    f.proto = 17;
    return make(b, &f, true);
}

struct pktbuf *frame_ip(struct frame_buf *b, struct frame f)
{
    return make(b, &f, false);
}

struct pktbuf *frame_bytes(struct frame_buf *b, const void *p, uint32_t len, uint16_t linktype)
{
    struct writer w = {.p = b->room + FRAME_HEADROOM};
    struct frame f = {0};

    mistake = NULL;
    memset(&b->pb, 0, sizeof(b->pb));
    put(&w, p, len);
    finish(b, &w, &f);
    b->pb.linktype = linktype;
    return &b->pb;
}
