// SPDX-License-Identifier: BSD-2-Clause
/*
 * offload.c: what Linux does in skb_checksum_help, tcp_gso_segment and udp segmentation, so that
 * frames are the same as if the card or the kernel had made them.
 */
#include "io/offload.h"

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "base/inetsum.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { TCP = 6, UDP = 17, TCP_CSUM = 16, UDP_CSUM = 6, FIN_PSH = 0x09, CWR = 0x80 };

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

/* ---- checksums ---- */

/* put_csum: => in UDP a 0 says that there is none: there it has its other form. */
static void put_csum(uint8_t *field, uint64_t sum, bool udp)
{
    uint16_t v = csum_fold(sum);

    if (v == 0 && udp)
        v = 0xffff;
    memcpy(field, &v, 2);
}

/* pseudo: the sum of the pseudo header of len bytes of TCP or UDP in the frame at p. */
static uint64_t pseudo(const struct io_split *s, const uint8_t *p, uint32_t len)
{
    uint64_t sum = (uint64_t)htons(s->udp ? UDP : TCP) + htonl(len);

    return csum_add(sum, p + s->l3 + (s->v6 ? 8 : 12), s->v6 ? 32 : 8);
}

static uint8_t *csum_field(const struct io_split *s, uint8_t *p)
{
    return p + s->l4 + (s->udp ? UDP_CSUM : TCP_CSUM);
}

bool io_finish_csum(struct pktbuf *pb)
{
    uint32_t start = pb->csum_start, field = start + pb->csum_off;

    if (!(pb->flags & PB_CSUM_PART))
        return true;
    if (pb->len < pb->wire_len || field + 2 > pb->len)
        return false;
    put_csum(pb->data + field, csum_add(0, pb->data + start, pb->len - start),
             pb->csum_off == UDP_CSUM);
    pb->flags &= (uint8_t)~PB_CSUM_PART;
    pb->csum_start = pb->csum_off = 0;
    return true;
}

bool io_part_csum(struct pktbuf *pb)
{
    struct io_split s;
    uint16_t sum;

    if (pb->flags & PB_CSUM_PART)
        return true;
    if (!io_split_begin(&s, pb))
        return false;
    sum = (uint16_t)~csum_fold(pseudo(&s, pb->data, pb->len - s.l4));
    memcpy(csum_field(&s, pb->data), &sum, 2);
    pb->flags = (uint8_t)((pb->flags & ~(PB_CSUM_GOOD | PB_CSUM_BAD)) | PB_CSUM_PART);
    pb->csum_start = (uint16_t)s.l4;
    pb->csum_off = s.udp ? UDP_CSUM : TCP_CSUM;
    return true;
}

/* ---- finding the headers ---- */

static bool is_tag(uint32_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* find_ip: => false: no IP behind addresses and tags. */
static bool find_ip(struct io_split *s)
{
    const struct pktbuf *pb = s->pb;
    uint32_t at = 12;

    while (at + 4 <= pb->len && is_tag(get16(pb->data + at)))
        at += 4;
    s->l3 = at + 2;
    if (s->l3 + 20 > pb->len)
        return false;
    s->v6 = get16(pb->data + at) == 0x86dd;
    return (s->v6 || get16(pb->data + at) == 0x0800) && pb->data[s->l3] >> 4 == (s->v6 ? 6 : 4) &&
           (!s->v6 || s->l3 + 40 <= pb->len);
}

/* find_l4: IPv6 may have extension headers: then its sender says where the checksum starts. */
static bool find_l4(struct io_split *s)
{
    const struct pktbuf *pb = s->pb;
    const uint8_t *ip = pb->data + s->l3;
    uint32_t proto = s->udp ? UDP : TCP;

    s->l4 = s->l3 + (s->v6 ? 40 : (ip[0] & 15u) * 4);
    if (ip[s->v6 ? 6 : 9] == proto)
        return s->l4 >= s->l3 + 20;
    if (!s->v6 || !(pb->flags & PB_CSUM_PART) || pb->csum_start < s->l4)
        return false;
    s->l4 = pb->csum_start;
    return true;
}

bool io_split_begin(struct io_split *s, const struct pktbuf *pb)
{
    uint32_t type = pb->gso_type & ~(uint32_t)VIRTIO_NET_HDR_GSO_ECN, hdr;

    *s = (struct io_split){.pb = pb, .udp = type == VIRTIO_NET_HDR_GSO_UDP_L4};
    if (!s->udp && type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6)
        return false;
    if (pb->gso_size == 0 || pb->len < pb->wire_len || !find_ip(s) || !find_l4(s) ||
        s->l4 + 20 > pb->len)
        return false;
    hdr = s->udp ? 8 : (pb->data[s->l4 + 12] >> 4) * 4u;
    s->pay = s->at = s->l4 + hdr;
    return s->pay <= pb->len && hdr >= 8 && (s->udp || hdr >= 20);
}

/* ---- cutting ---- */

uint32_t io_split_longest(const struct io_split *s)
{
    uint32_t len = s->pb->len - s->pay;

    return s->pay + (len < s->pb->gso_size ? len : s->pb->gso_size);
}

static void set_ip(const struct io_split *s, uint8_t *p, uint32_t len)
{
    uint8_t *ip = p + s->l3;
    uint16_t sum;

    if (s->v6) {
        put16(ip + 4, len - s->l3 - 40);
        return;
    }
    put16(ip + 2, len - s->l3);
    put16(ip + 4, get16(ip + 4) + s->count);
    memset(ip + 10, 0, 2);
    sum = csum_fold(csum_add(0, ip, (ip[0] & 15u) * 4));
    memcpy(ip + 10, &sum, 2);
}

static void set_l4(const struct io_split *s, uint8_t *p, uint32_t len, bool last)
{
    uint8_t *l4 = p + s->l4;

    if (s->udp) {
        put16(l4 + 4, len - s->l4);
    } else {
        put32(l4 + 4, get32(l4 + 4) + s->at - s->pay);
        if (!last)
            l4[13] &= (uint8_t)~FIN_PSH;
        if (s->count > 0)
            l4[13] &= (uint8_t)~CWR;
    }
    memset(csum_field(s, p), 0, 2);
    put_csum(csum_field(s, p), csum_add(pseudo(s, p, len - s->l4), l4, len - s->l4), s->udp);
}

uint32_t io_split_next(struct io_split *s, uint8_t *buf, uint32_t room)
{
    const struct pktbuf *pb = s->pb;
    uint32_t left = pb->len - s->at, n = left < pb->gso_size ? left : pb->gso_size;

    if ((n == 0 && s->count > 0) || s->pay + n > room)
        return 0;
    memcpy(buf, pb->data, s->pay);
    memcpy(buf + s->pay, pb->data + s->at, n);
    set_ip(s, buf, s->pay + n);
    set_l4(s, buf, s->pay + n, n == left);
    s->at += n;
    s->count++;
    return s->pay + n;
}
