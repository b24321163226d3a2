// SPDX-License-Identifier: BSD-2-Clause
/*
 * benchhdr.c: link headers are followed as far as the library follows them: Ethernet, its tags,
 * PPPoE, MPLS and LLC; Linux' cooked captures; BSD's loopback; bare IP. What is not found here
 * keeps its addresses.
 */
#include "benchhdr.h"

#include <string.h>

enum {
    ETHER = 1,
    LOOP = 108,
    SLL = 113,
    SLL2 = 276,
    RAW_BSD = 12,
    RAW = 101,
    IP4 = 228,
    IP6 = 229
};
enum { IP4_LEN = 20, IP6_LEN = 40, TCP_LEN = 20, IPP_TCP = 6 };

/* A place in a frame, and what the header there is said to be. */
struct walk {
    const uint8_t *p;
    uint32_t len, at;
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static bool has(const struct walk *w, uint32_t n)
{
    return w->len - w->at >= n && w->at <= w->len;
}

/* ---- link headers: each => the version of the IP header at w->at, 0: none ---- */

static int by_nibble(const struct walk *w)
{
    return has(w, 1) ? w->p[w->at] >> 4 : 0;
}

static int by_mpls(struct walk *w)
{
    while (has(w, 4)) {
        bool bottom = w->p[w->at + 2] & 1;

        w->at += 4;
        if (bottom)
            return by_nibble(w);
    }
    return 0;
}

static int by_pppoe(struct walk *w)
{
    uint32_t proto;

    if (!has(w, 8))
        return 0;
    proto = w->p[w->at + 6] & 1 ? w->p[w->at + 6] : get16(w->p + w->at + 6);
    w->at += w->p[w->at + 6] & 1 ? 7 : 8;
    return proto == 0x21 ? 4 : proto == 0x57 ? 6 : 0;
}

/* by_llc: IEEE 802.2; SNAP has an ethertype. => 0 with *type, if that is what it has. */
static int by_llc(struct walk *w, uint16_t *type)
{
    const uint8_t *p = w->p + w->at;

    *type = 0;
    if (has(w, 3) && p[0] == 6 && p[1] == 6) {
        w->at += 3;
        return 4;
    }
    if (has(w, 8) && p[0] == 0xaa && p[1] == 0xaa) {
        *type = get16(p + 6);
        w->at += 8;
    }
    return 0;
}

static int by_type(struct walk *w, uint16_t type)
{
    int version = 0;

    for (int depth = 0; depth < 8; depth++) {
        switch (type) {
        case 0x0800:
            return 4;
        case 0x86dd:
            return 6;
        case 0x8864:
            return by_pppoe(w);
        case 0x8847:
        case 0x8848:
            return by_mpls(w);
        case 0x8100:
        case 0x88a8:
        case 0x9100:
            if (!has(w, 4))
                return 0;
            type = get16(w->p + w->at + 2);
            w->at += 4;
            break;
        default:
            if (type >= 1536 || (version = by_llc(w, &type)) != 0 || type == 0)
                return version;
        }
    }
    return 0;
}

/* by_header: a link header of n bytes with an ethertype at `type_at`. */
static int by_header(struct walk *w, uint32_t n, uint32_t type_at)
{
    if (!has(w, n))
        return 0;
    w->at = n;
    return by_type(w, get16(w->p + type_at));
}

static int link_version(struct walk *w, int linktype)
{
    switch (linktype) {
    case ETHER:
        return by_header(w, 14, 12);
    case SLL:
        return by_header(w, 16, 14);
    case SLL2:
        return by_header(w, 20, 0);
    case LOOP:
        w->at = 4;
        return by_nibble(w);
    case RAW:
    case RAW_BSD:
    case IP4:
    case IP6:
        return by_nibble(w);
    default:
        return 0;
    }
}

/* ---- IP ---- */

static void find_tcp(struct hdr *h, const struct walk *w, uint32_t at)
{
    if (at <= UINT16_MAX && at <= w->len && w->len - at >= TCP_LEN)
        h->tcp = (uint16_t)at;
}

static void find_in_ip4(struct hdr *h, const struct walk *w)
{
    const uint8_t *p = w->p + w->at;
    uint32_t hlen;

    if (!has(w, IP4_LEN) || (hlen = (p[0] & 15) * 4u) < IP4_LEN)
        return;
    h->has_ip = true;
    h->frag = (get16(p + 6) & 0x3fff) != 0;
    if (p[9] == IPP_TCP && (get16(p + 6) & 0x1fff) == 0)
        find_tcp(h, w, w->at + hlen);
}

/*
 * find_in_ip6: a routing header that is not done with names the receiver that the checksum is
 * about: such packets keep their addresses.
 */
static void find_in_ip6(struct hdr *h, const struct walk *w)
{
    enum { HOP = 0, ROUTING = 43, FRAGMENT = 44, AH = 51, DEST = 60 };
    const uint8_t *p = w->p;
    uint32_t at = w->at + IP6_LEN;
    int next;

    if (!has(w, IP6_LEN))
        return;
    next = p[w->at + 6];
    h->has_ip = h->v6 = true;
    while (next == HOP || next == ROUTING || next == FRAGMENT || next == AH || next == DEST) {
        uint32_t len;

        if (at + 8 > w->len)
            return;
        if (next == ROUTING && p[at + 3] > 0) {
            h->has_ip = false;
            return;
        }
        len = next == FRAGMENT ? 8 : next == AH ? (p[at + 1] + 2u) * 4 : (p[at + 1] + 1u) * 8;
        h->frag = h->frag || (next == FRAGMENT && (get16(p + at + 2) & 0xfff9));
        if (next == FRAGMENT && (get16(p + at + 2) & 0xfff8))
            return;
        next = p[at];
        at += len;
    }
    if (next == IPP_TCP)
        find_tcp(h, w, at);
}

void hdr_find(struct hdr *h, const uint8_t *p, uint32_t len, int linktype)
{
    struct walk w = {.p = p, .len = len};
    int version = link_version(&w, linktype);

    *h = (struct hdr){0};
    if (version == 0 || by_nibble(&w) != version || w.at > UINT16_MAX)
        return;
    h->ip = (uint16_t)w.at;
    if (version == 4)
        find_in_ip4(h, &w);
    else if (version == 6)
        find_in_ip6(h, &w);
}

/* ---- other addresses ---- */

/*
 * turn: add to one half of an address what the other half loses, modulo 65535, so that no checksum changes, wherever
 * it lies (RFC 1071). A half of 65535 would come back as 0: such an address stays as it is.
 */
static void turn(uint8_t *addr, uint32_t by)
{
    enum { MOD = 65535 };
    uint32_t hi = get16(addr), lo = get16(addr + 2);

    if (hi == MOD || lo == MOD)
        return;
    hi = (hi + by) % MOD;
    lo = (lo + MOD - by) % MOD;
    addr[0] = (uint8_t)(hi >> 8);
    addr[1] = (uint8_t)hi;
    addr[2] = (uint8_t)(lo >> 8);
    addr[3] = (uint8_t)lo;
}

void hdr_rekey(const struct hdr *h, uint8_t *p, uint32_t by)
{
    if (!h->has_ip)
        return;
    turn(p + h->ip + (h->v6 ? 20 : 12), by);
    turn(p + h->ip + (h->v6 ? 36 : 16), by);
}

static uint32_t fold(const uint8_t *p)
{
    uint32_t w[4];

    memcpy(w, p, sizeof(w));
    return w[0] ^ w[1] ^ w[2] ^ w[3];
}

void hdr_addr(const struct hdr *h, const uint8_t *p, uint32_t addr[2])
{
    if (h->v6) {
        addr[0] = fold(p + h->ip + 8);
        addr[1] = fold(p + h->ip + 24);
    } else {
        memcpy(addr, p + h->ip + 12, 8);
    }
}
