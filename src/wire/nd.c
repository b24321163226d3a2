// SPDX-License-Identifier: BSD-2-Clause
/*
 * nd.c: neighbour solicitations and advertisements (RFC 4861 4.3, 4.4, 7). Router solicitations,
 * advertisements and redirects are not looked at: hosts have their default gateway configured.
 */
#include "wire/ndint.h"

#include <arpa/inet.h>

#include "wire/csum.h"
#include "wire/layers.h"

enum { ICMP6 = 58, SOLICIT = 135, ADVERT = 136, IP6_HDR = 40, ND_LEN = 24, OPT_LEN = 8 };
enum { ROUTER_SOLICIT = 133, REDIRECT = 137 };
enum { OPT_SOURCE = 1, OPT_TARGET = 2, HOPS = 255 };
enum { IS_ROUTER = 0x80, SOLICITED = 0x40, OVERRIDE = 0x20 };

static bool is_zero(const uint8_t *addr)
{
    static const uint8_t none[16];

    return memcmp(addr, none, sizeof(none)) == 0;
}

static uint64_t pseudo_sum(const uint8_t *ip, uint32_t len)
{
    return csum_add((uint64_t)htons(ICMP6) + htonl(len), ip + 8, 32);
}

bool neigh_is_discovery(const struct seg *s)
{
    const uint8_t *p = s->pb->data + s->l4_off;

    return s->level >= SEG_IP && (s->flags & SEG_IP6) && s->l4proto == ICMP6 && s->ttl == HOPS &&
           s->l4_off < s->pb->len && p[0] >= ROUTER_SOLICIT && p[0] <= REDIRECT;
}

/* find_mac: the link-layer address option. => false: an option that voids the message. */
static bool find_mac(const uint8_t *p, uint32_t len, struct neigh_msg *m)
{
    const uint8_t kind = m->answer ? OPT_TARGET : OPT_SOURCE;

    for (uint32_t at = ND_LEN; at < len;) {
        uint32_t n;

        if (len - at < 2 || p[at + 1] == 0)
            return false;
        n = p[at + 1] * 8u;
        if (n > len - at)
            return false;
        if (p[at] == kind && n == OPT_LEN && !(p[at + 2] & 1)) {
            memcpy(m->mac, p + at + 2, 6);
            m->has_mac = true;
        }
        at += n;
    }
    return true;
}

bool nd_parse(const struct seg *s, struct neigh_msg *m)
{
    const uint8_t *ip = s->pb->data + s->l3_off, *p = s->pb->data + s->l4_off;
    uint32_t len;

    if (s->level < SEG_IP || s->l4proto != ICMP6 || (s->flags & (SEG_FRAG | SEG_TRUNC)))
        return false;
    len = s->ip_len - (uint32_t)(s->l4_off - s->l3_off);
    if (len < ND_LEN || s->ttl != HOPS || (p[0] != SOLICIT && p[0] != ADVERT) || p[1] != 0)
        return false;
    if (csum_fold(csum_add(pseudo_sum(ip, len), p, len)) != 0 || p[8] == 0xff)
        return false;
    memset(m, 0, sizeof(*m));
    m->v6 = true;
    m->answer = p[0] == ADVERT;
    memcpy(m->addr, p + 8, 16);
    if (!m->answer)
        memcpy(m->asker, ip + 8, 16);
    if (!find_mac(p, len, m))
        return false;
    if (!m->answer && is_zero(m->asker) && m->has_mac)
        return false;              /* 7.1.1 */
    if (!m->answer && !m->has_mac) /* it need not say; the frame does */
        memcpy(m->mac, s->pb->data + 6, 6);
    return true;
}

/* nd_build: a message of `type` about addr, with our MAC in an option. */
static uint32_t nd_build(uint8_t *out, const uint8_t *to_mac, const uint8_t *mac,
                         const uint8_t *src, const uint8_t *dst, uint8_t type, uint8_t flags,
                         const uint8_t *addr)
{
    uint8_t *ip = out + ETHER_HDR, *p = ip + IP6_HDR;
    const uint32_t len = ND_LEN + OPT_LEN;
    uint16_t csum;

    memcpy(out, to_mac, 6);
    memcpy(out + 6, mac, 6);
    store16(out + 12, ETHER_IP6);
    memset(ip, 0, IP6_HDR + len);
    ip[0] = 0x60;
    store16(ip + 4, len);
    ip[6] = ICMP6;
    ip[7] = HOPS;
    memcpy(ip + 8, src, 16);
    memcpy(ip + 24, dst, 16);
    p[0] = type;
    p[4] = flags;
    memcpy(p + 8, addr, 16);
    p[24] = type == ADVERT ? OPT_TARGET : OPT_SOURCE;
    p[25] = 1;
    memcpy(p + 26, mac, 6);
    csum = csum_fold(csum_add(pseudo_sum(ip, len), p, len));
    memcpy(p + 2, &csum, 2);
    return ETHER_HDR + IP6_HDR + len;
}

uint32_t nd_ask(uint8_t *out, const uint8_t *mac, const uint8_t *own, const uint8_t *addr,
                const uint8_t *to)
{
    uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff}, group_mac[6] = {0x33, 0x33, 0xff};

    memcpy(group + 13, addr + 13, 3);
    memcpy(group_mac + 3, addr + 13, 3);
    return nd_build(out, to ? to : group_mac, mac, own, to ? addr : group, SOLICIT, 0, addr);
}

uint32_t nd_answer(uint8_t *out, const struct neigh_msg *m, const uint8_t *mac)
{
    static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
    static const uint8_t all_mac[6] = {0x33, 0x33, [5] = 1};

    if (is_zero(m->asker))
        return nd_build(out, all_mac, mac, m->addr, all_nodes, ADVERT, IS_ROUTER | OVERRIDE,
                        m->addr);
    return nd_build(out, m->mac, mac, m->addr, m->asker, ADVERT, IS_ROUTER | SOLICITED | OVERRIDE,
                    m->addr);
}
