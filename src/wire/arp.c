// SPDX-License-Identifier: BSD-2-Clause
/*
 * arp.c: address resolution for IPv4 over Ethernet (RFC 826), and the two calls of neigh.h that
 * lead here or to nd.c.
 */
#include "wire/layers.h"
#include "wire/ndint.h"

enum { ARP_LEN = 28, OP_REQUEST = 1, OP_REPLY = 2, ETHER_ARP = 0x0806 };

static const uint8_t ether_ip4[6] = {0, 1, 8, 0, 6, 4}; /* hardware, protocol, their lengths */

static bool arp_parse(const struct seg *s, struct neigh_msg *m)
{
    const uint8_t *p = s->pb->data + s->l3_off;
    uint16_t op;

    if (s->pb->len < s->l3_off + (uint32_t)ARP_LEN || memcmp(p, ether_ip4, sizeof(ether_ip4)) != 0)
        return false;
    op = load16(p + 6);
    if ((op != OP_REQUEST && op != OP_REPLY) || (p[8] & 1)) /* a group is nobody's address */
        return false;
    memset(m, 0, sizeof(*m));
    m->answer = op == OP_REPLY;
    m->has_mac = true;
    memcpy(m->mac, p + 8, 6);
    memcpy(m->addr, m->answer ? p + 14 : p + 24, 4);
    if (!m->answer)
        memcpy(m->asker, p + 14, 4);
    return true;
}

/* arp_build: from sender (MAC, address) to target. => the frame's length. */
static uint32_t arp_build(uint8_t *out, uint16_t op, const uint8_t *mac, const uint8_t *own,
                          const uint8_t *to_mac, const uint8_t *to)
{
    static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    memcpy(out, to_mac ? to_mac : everyone, 6);
    memcpy(out + 6, mac, 6);
    store16(out + 12, ETHER_ARP);
    out += ETHER_HDR;
    memcpy(out, ether_ip4, sizeof(ether_ip4));
    store16(out + 6, op);
    memcpy(out + 8, mac, 6);
    memcpy(out + 14, own, 4);
    memset(out + 18, 0, 6);
    if (op == OP_REPLY)
        memcpy(out + 18, to_mac, 6);
    memcpy(out + 24, to, 4);
    return ETHER_HDR + ARP_LEN;
}

bool neigh_parse(const struct seg *s, struct neigh_msg *m)
{
    if (s->pb->linktype != LINK_ETHER || s->nvlan || s->l3_off != ETHER_HDR)
        return false;
    if (s->ethertype == ETHER_ARP)
        return arp_parse(s, m);
    return (s->flags & SEG_IP6) && nd_parse(s, m);
}

uint32_t neigh_ask(uint8_t *out, bool v6, const uint8_t *mac, const uint8_t *own,
                   const uint8_t *addr, const uint8_t *to)
{
    return v6 ? nd_ask(out, mac, own, addr, to) : arp_build(out, OP_REQUEST, mac, own, to, addr);
}

uint32_t neigh_answer(uint8_t *out, const struct neigh_msg *m, const uint8_t *mac)
{
    return m->v6 ? nd_answer(out, m, mac)
                 : arp_build(out, OP_REPLY, mac, m->addr, m->mac, m->asker);
}
