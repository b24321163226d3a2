// SPDX-License-Identifier: BSD-2-Clause
/*
 * build.c: segments of our own, made to look like the frame they answer or continue: same link
 * header, same tags, same family. The frame is written without checksums, decoded, and has them set
 * by csum.c: one way to compute them.
 */
#include "wire/build.h"

#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/layers.h"

enum {
    IP4_HDR = 20,
    IP6_HDR = 40,
    TCP_HDR = 20,
    TS_LEN = 12,
    SACK_LEN = 4,
    TTL = 64,
    DONT_FRAGMENT = 0x4000
};

/* put_link: the other frame's link header; the length fields in it speak of this one. */
static uint32_t put_link(uint8_t *out, const struct build_tcp *b, uint32_t ip_len)
{
    const struct seg *like = b->like;
    const uint8_t *p = like->pb->data;
    uint32_t n = like->l3_off;

    memcpy(out, p, n);
    if (b->reverse && like->pb->linktype == LINK_ETHER) {
        memcpy(out, p + 6, 6);
        memcpy(out + 6, p, 6);
    }
    if (like->link_len_off)
        store16(out + like->link_len_off, n + ip_len - like->link_len_off - 2);
    return n;
}

static uint32_t put_ip(uint8_t *p, const struct build_tcp *b, uint32_t ip_len)
{
    const struct seg *like = b->like;
    const void *src = b->reverse ? like->dst.b : like->src.b,
               *dst = b->reverse ? like->src.b : like->dst.b;

    if (like->flags & SEG_IP6) {
        memset(p, 0, 8);
        p[0] = 0x60;
        store16(p + 4, ip_len - IP6_HDR);
        p[6] = IPP_TCP;
        p[7] = TTL;
        memcpy(p + 8, src, 16);
        memcpy(p + 24, dst, 16);
        return IP6_HDR;
    }
    memset(p, 0, IP4_HDR);
    p[0] = 0x45;
    store16(p + 2, ip_len);
    store16(p + 6, DONT_FRAGMENT); /* so the identification may be 0 (RFC 6864 4.1) */
    p[8] = TTL;
    p[9] = IPP_TCP;
    memcpy(p + 12, src, 4);
    memcpy(p + 16, dst, 4);
    return IP4_HDR;
}

static void put_sack(uint8_t *p, const struct build_tcp *b)
{
    if (b->nsack == 0)
        return;
    p[0] = p[1] = 1;
    p[2] = 5;
    p[3] = (uint8_t)(2 + 8 * b->nsack);
    for (int i = 0; i < b->nsack; i++) {
        store32(p + SACK_LEN + 8 * i, b->sack[i].start);
        store32(p + SACK_LEN + 8 * i + 4, b->sack[i].end);
    }
}

static uint32_t put_tcp(uint8_t *p, const struct build_tcp *b, uint32_t hlen)
{
    uint16_t sport = b->reverse ? b->like->dport : b->like->sport,
             dport = b->reverse ? b->like->sport : b->like->dport;

    memset(p, 0, TCP_HDR);
    memcpy(p, &sport, 2);
    memcpy(p + 2, &dport, 2);
    store32(p + 4, b->seq);
    store32(p + 8, b->ack);
    p[12] = (uint8_t)(hlen / 4 << 4);
    p[13] = b->tflags;
    store16(p + 14, b->win);
    if (b->ts) {
        static const uint8_t nop_nop_ts[4] = {1, 1, 8, 10}; /* RFC 7323 appendix A */

        memcpy(p + TCP_HDR, nop_nop_ts, sizeof(nop_nop_ts));
        store32(p + TCP_HDR + 4, b->tsval);
        store32(p + TCP_HDR + 8, b->tsecr);
    }
    put_sack(p + TCP_HDR + (b->ts ? TS_LEN : 0), b);
    return hlen;
}

static void set_csums(uint8_t *out, uint32_t len, uint16_t linktype)
{
    struct pktbuf pb = {.data = out, .len = len, .wire_len = len, .cap = len, .linktype = linktype};
    enum reason r;
    struct seg s;

    r = decode(&s, &pb);
    assert(r == REASON_NONE);
    (void)r;
    csum_ip_set(&s);
    csum_tcp_set(&s);
}

uint32_t build_tcp(uint8_t *out, uint32_t cap, const struct build_tcp *b)
{
    uint32_t hlen = TCP_HDR + (b->ts ? TS_LEN : 0) + (b->nsack ? SACK_LEN + 8u * b->nsack : 0);
    uint32_t ip_hlen = b->like->flags & SEG_IP6 ? IP6_HDR : IP4_HDR;
    uint64_t ip_len = (uint64_t)ip_hlen + hlen + b->plen;
    uint32_t n;

    assert(b->like->level >= SEG_L4);
    if (ip_len > UINT16_MAX || b->like->l3_off + ip_len > cap)
        return 0;
    n = put_link(out, b, (uint32_t)ip_len);
    n += put_ip(out + n, b, (uint32_t)ip_len);
    n += put_tcp(out + n, b, hlen);
    if (b->plen)
        memcpy(out + n, b->payload, b->plen);
    n += b->plen;
    set_csums(out, n, b->like->pb->linktype);
    return n;
}
