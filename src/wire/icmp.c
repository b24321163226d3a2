// SPDX-License-Identifier: BSD-2-Clause
/* icmp.c: echo replies and errors, of both versions. */
#include "wire/icmp.h"

#include <arpa/inet.h>

#include "wire/csum.h"
#include "wire/layers.h"

enum { ICMP4 = 1, ICMP6 = 58, IP4_HDR = 20, IP6_HDR = 40, ICMP_HDR = 8, HOPS = 64 };
enum { ECHO4 = 8, ECHO4_REPLY = 0, ECHO6 = 128, ECHO6_REPLY = 129 };
enum { ERROR4_MAX = 576, ERROR6_MAX = 1280 }; /* of the datagram */

static bool is_v6(const struct seg *s)
{
    return s->flags & SEG_IP6;
}

static bool is_icmp(const struct seg *s)
{
    return s->level >= SEG_IP && s->l4proto == (is_v6(s) ? ICMP6 : ICMP4);
}

static uint64_t pseudo_sum(const uint8_t *ip6, uint32_t len)
{
    return csum_add((uint64_t)htons(ICMP6) + htonl(len), ip6 + 8, 32);
}

bool icmp_is_whole(const struct seg *s)
{
    const uint32_t unfit = SEG_FRAG | SEG_TRUNC | SEG_IPCSUM_BAD | SEG_IP_DROPPED;
    const uint8_t *p = s->pb->data + s->l4_off;
    uint32_t len;

    if (!is_icmp(s) || (s->flags & unfit))
        return false;
    len = s->ip_len - (uint32_t)(s->l4_off - s->l3_off);
    if (len < ICMP_HDR)
        return false;
    if (s->pb->flags & PB_CSUM_PART)
        return true;
    return csum_fold(csum_add(is_v6(s) ? pseudo_sum(s->pb->data + s->l3_off, len) : 0, p, len)) ==
           0;
}

bool icmp_is_echo(const struct seg *s)
{
    const uint8_t *p = s->pb->data + s->l4_off;

    return s->pb->linktype == LINK_ETHER && icmp_is_whole(s) &&
           p[0] == (is_v6(s) ? ECHO6 : ECHO4) && p[1] == 0;
}

/* swap_bytes: n bytes at p and the n behind them. */
static void swap_bytes(uint8_t *p, uint32_t n)
{
    uint8_t t[16];

    memcpy(t, p, n);
    memcpy(p, p + n, n);
    memcpy(p + n, t, n);
}

static void set_ip4_csum(uint8_t *ip)
{
    uint16_t csum;

    store16(ip + 10, 0);
    csum = csum_fold(csum_add(0, ip, (ip[0] & 15u) * 4));
    memcpy(ip + 10, &csum, 2);
}

static void set_icmp_csum(const uint8_t *ip, bool v6, uint8_t *p, uint32_t len)
{
    uint16_t csum;

    store16(p + 2, 0);
    csum = csum_fold(csum_add(v6 ? pseudo_sum(ip, len) : 0, p, len));
    memcpy(p + 2, &csum, 2);
}

uint32_t icmp_echo_reply(uint8_t *out, uint32_t cap, const struct seg *s)
{
    const uint32_t len = s->l3_off + s->ip_len;
    uint8_t *ip = out + s->l3_off, *p = out + s->l4_off;

    if (len > cap || len > s->pb->len)
        return 0;
    memcpy(out, s->pb->data, len);
    swap_bytes(out, 6);
    if (is_v6(s)) {
        ip[7] = HOPS;
        swap_bytes(ip + 8, 16);
        p[0] = ECHO6_REPLY;
    } else {
        ip[8] = HOPS;
        swap_bytes(ip + 12, 4);
        p[0] = ECHO4_REPLY;
        set_ip4_csum(ip);
    }
    set_icmp_csum(ip, is_v6(s), p, s->ip_len - (uint32_t)(s->l4_off - s->l3_off));
    return len;
}

/* ---- errors ---- */

bool icmp_is_group(const uint8_t *addr, bool v6)
{
    static const uint8_t none[16];

    if (v6)
        return addr[0] == 0xff || memcmp(addr, none, 16) == 0;
    return addr[0] >= 224 || addr[0] == 0 || addr[0] == 127;
}

static bool is_answered(const struct seg *s)
{
    const uint8_t *p = s->pb->data + s->l4_off;
    bool v6 = is_v6(s);

    if (s->level < SEG_IP || s->pb->linktype != LINK_ETHER || s->pb->data[0] & 1)
        return false;
    if (s->frag_off || icmp_is_group(s->src.b, v6) || icmp_is_group(s->dst.b, v6))
        return false;
    if (!is_icmp(s))
        return true;
    if (s->pb->len <= s->l4_off)
        return false;
    return v6 ? p[0] >= ECHO6 && p[0] != 137 : p[0] == ECHO4 || p[0] == ECHO4_REPLY || p[0] > 12;
}

static void put_type(uint8_t *p, bool v6, enum icmp_why why, uint32_t mtu)
{
    static const uint8_t types[2][4][2] = {
        /* RFC 792: time exceeded, net and host unreachable, fragmentation needed */
        {{11, 0}, {3, 0}, {3, 1}, {3, 4}},
        /* RFC 4443: time exceeded, no route, address unreachable, packet too big */
        {{3, 0}, {1, 0}, {1, 3}, {2, 0}},
    };

    memset(p, 0, ICMP_HDR);
    store32(p + 4, v6 || mtu < UINT16_MAX ? mtu : UINT16_MAX);
    p[0] = types[v6][why][0];
    p[1] = types[v6][why][1];
}

static uint32_t put_ip(uint8_t *ip, const struct seg *s, uint32_t payload, const uint8_t *own)
{
    memset(ip, 0, IP6_HDR);
    if (is_v6(s)) {
        ip[0] = 0x60;
        store16(ip + 4, payload);
        ip[6] = ICMP6;
        ip[7] = HOPS;
        memcpy(ip + 8, own, 16);
        memcpy(ip + 24, s->src.b, 16);
        return IP6_HDR;
    }
    ip[0] = 0x45;
    ip[1] = 0xc0; /* RFC 1812 4.3.2.5: internetwork control */
    store16(ip + 2, IP4_HDR + payload);
    ip[8] = HOPS;
    ip[9] = ICMP4;
    memcpy(ip + 12, own, 4);
    memcpy(ip + 16, s->src.b, 4);
    set_ip4_csum(ip);
    return IP4_HDR;
}

static uint32_t make_error(uint8_t *out, const struct seg *s, enum icmp_why why, uint32_t mtu,
                           const uint8_t *mac, const uint8_t *own)
{
    const bool v6 = is_v6(s);
    const uint32_t hdr = v6 ? IP6_HDR : IP4_HDR;
    uint32_t quoted = s->ip_len, room = (v6 ? ERROR6_MAX : ERROR4_MAX) - hdr - ICMP_HDR;
    uint8_t *ip = out + ETHER_HDR, *p;

    if (!is_answered(s))
        return 0;
    if (quoted > s->pb->len - s->l3_off)
        quoted = s->pb->len - s->l3_off;
    if (quoted > room)
        quoted = room;
    memcpy(out, s->pb->data + 6, 6);
    memcpy(out + 6, mac, 6);
    store16(out + 12, v6 ? ETHER_IP6 : ETHER_IP4);
    p = ip + put_ip(ip, s, ICMP_HDR + quoted, own);
    put_type(p, v6, why, mtu);
    memcpy(p + ICMP_HDR, s->pb->data + s->l3_off, quoted);
    set_icmp_csum(ip, v6, p, ICMP_HDR + quoted);
    return ETHER_HDR + hdr + ICMP_HDR + quoted;
}

uint32_t icmp_error(uint8_t *out, const struct seg *s, enum icmp_why why, const uint8_t *mac,
                    const uint8_t *own)
{
    return make_error(out, s, why, 0, mac, own);
}

uint32_t icmp_too_big(uint8_t *out, const struct seg *s, uint32_t mtu, const uint8_t *mac,
                      const uint8_t *own)
{
    return make_error(out, s, ICMP_TOO_BIG, mtu, mac, own);
}
