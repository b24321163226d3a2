// SPDX-License-Identifier: BSD-2-Clause
/*
 * ipopt.c: IP options and extension headers for which a host drops the packet before TCP sees it. Such
 * a segment is decoded as any other, and marked: SEG_IP_DROPPED where every host does so that is not
 * told otherwise, SEG_IP_LINUX where Linux does and others need not. The rules are those of Linux
 * (ip_options_compile, ip6_parse_tlv, ipv6_rthdr_rcv) and of the RFCs beside them.
 *
 * Not marked is what a host takes if it has been told to, by keys or by labels: AH, CIPSO and CALIPSO,
 * segment routing (RFC 8754) and RPL (RFC 6554).
 */
#include "wire/layers.h"

enum { O4_END = 0, O4_NOP = 1, O4_RR = 7, O4_TS = 68, O4_LSRR = 131, O4_CIPSO = 134 };
enum { O4_SSRR = 137, O4_ALERT = 148 };
enum { TS_ONLY = 0, TS_ADDR = 1, TS_PRESPEC = 3 };
enum { O6_PAD1 = 0, O6_PADN = 1, O6_ALERT = 5, O6_JUMBO = 0xc2, O6_ACTION = 0xc0 };
enum { O6_PAD_MAX = 7, O6_COUNT_MAX = 8 }; /* of Linux (RFC 8504 5.3 allows it) */
enum { ROUTE_RPL = 3, ROUTE_SEGMENTS = 4 };

void ip_dropped(struct seg *s, enum reason why)
{
    if (!(s->flags & SEG_IP_DROPPED))
        s->ip_why = (uint8_t)why;
    s->flags |= SEG_IP_DROPPED;
}

static void linux_drops(struct seg *s, enum reason why)
{
    if (!(s->flags & (SEG_IP_DROPPED | SEG_IP_LINUX)))
        s->ip_why = (uint8_t)why;
    s->flags |= SEG_IP_LINUX;
}

/* ---- IPv4 ---- */

/* room: what an option needs behind its pointer, p[2]; 0: the option is full (RFC 791 3.1). */
static void pointed(struct seg *s, const uint8_t *p, uint32_t room)
{
    if (p[2] <= p[1] && p[2] - 1 + room > p[1])
        linux_drops(s, REASON_IP_OPT_BAD); /* the BSDs take it for full */
}

static void timestamps(struct seg *s, const uint8_t *p)
{
    uint32_t kind = p[1] < 4 ? 0 : p[3] & 15;

    if (p[1] < 4 || p[2] < 5)
        ip_dropped(s, REASON_IP_OPT_BAD);
    else if (p[2] <= p[1])
        pointed(s, p, kind == TS_ADDR || kind == TS_PRESPEC ? 8 : 4);
    else if (p[3] >> 4 == 15 && kind != TS_PRESPEC) /* the count of those without room is full */
        ip_dropped(s, REASON_IP_OPT_BAD);
}

/* ip4_option: one whose length is right. */
static void ip4_option(struct seg *s, const uint8_t *p)
{
    switch (p[0]) {
    case O4_LSRR:
    case O4_SSRR:
        if (p[1] < 3 || p[2] < 4)
            ip_dropped(s, REASON_IP_OPT_BAD);
        else /* Linux: accept_source_route = 0, FreeBSD: accept_sourceroute = 0 */
            ip_dropped(s, REASON_IP_SOURCE_ROUTE);
        break;
    case O4_RR:
        if (p[1] < 3 || p[2] < 4)
            ip_dropped(s, REASON_IP_OPT_BAD);
        else
            pointed(s, p, 4);
        break;
    case O4_TS:
        timestamps(s, p);
        break;
    case O4_ALERT:
        if (p[1] < 4)
            linux_drops(s, REASON_IP_OPT_BAD);
        break;
    case O4_CIPSO:
        if (p[1] < 8)
            linux_drops(s, REASON_IP_OPT_BAD);
        break;
    default:
        break;
    }
}

/* once: RR, timestamp and CIPSO may be there once; Linux minds. */
static void once(struct seg *s, uint8_t kind, uint32_t *seen)
{
    uint32_t bit = kind == O4_RR ? 1 : kind == O4_TS ? 2 : kind == O4_CIPSO ? 4 : 0;

    if (*seen & bit)
        linux_drops(s, REASON_IP_OPT_BAD);
    *seen |= bit;
}

void ip4_options(struct seg *s, const uint8_t *p, uint32_t len)
{
    uint32_t seen = 0;

    for (uint32_t at = 0; at < len && p[at] != O4_END;) {
        if (p[at] == O4_NOP) {
            at++;
            continue;
        }
        if (len - at < 2 || p[at + 1] < 2 || p[at + 1] > len - at) {
            ip_dropped(s, REASON_IP_OPT_BAD);
            return;
        }
        ip4_option(s, p + at);
        once(s, p[at], &seen);
        at += p[at + 1];
    }
}

/* ---- IPv6 ---- */

/* jumbo_bad: RFC 2675 3: an error beside a length, and for less than that could say. */
static bool jumbo_bad(const struct seg *s, const uint8_t *p)
{
    return p[1] != 4 || load16(s->pb->data + s->l3_off + 4) != 0 || load32(p + 2) <= UINT16_MAX;
}

/* ip6_option: RFC 8200 4.2: what a host does with an option that it does not know is in its number. */
static void ip6_option(struct seg *s, const uint8_t *p, bool hop)
{
    bool bad = p[0] & O6_ACTION;

    if (hop && p[0] == O6_JUMBO)
        bad = jumbo_bad(s, p);
    else if (hop && p[0] == O6_ALERT) /* RFC 2711 2.1 */
        bad = p[1] != 2;
    if (bad)
        ip_dropped(s, REASON_IP6_OPT_BAD);
}

/* ip6_padding: `n` bytes at p. => how much that makes in a row, with the `pads` before. */
static uint32_t ip6_padding(struct seg *s, const uint8_t *p, uint32_t n, uint32_t pads)
{
    bool linux_minds = pads + n > O6_PAD_MAX;

    for (uint32_t i = 2; i < n; i++)
        linux_minds |= p[i] != 0;
    if (linux_minds)
        linux_drops(s, REASON_IP6_OPT_BAD);
    return pads + n;
}

void ip6_options(struct seg *s, const uint8_t *p, uint32_t len, bool hop)
{
    uint32_t pads = 0, count = 0, n;

    for (uint32_t at = 0; at < len; at += n) {
        n = p[at] == O6_PAD1 ? 1 : len - at < 2 ? len : p[at + 1] + 2u;
        if (n > len - at) {
            ip_dropped(s, REASON_IP6_OPT_BAD);
            return;
        }
        if (p[at] == O6_PAD1 || p[at] == O6_PADN) {
            pads = ip6_padding(s, p + at, n, pads);
            continue;
        }
        pads = 0;
        if (++count > O6_COUNT_MAX)
            linux_drops(s, REASON_IP6_OPT_BAD);
        ip6_option(s, p + at, hop);
    }
}

/*
 * RFC 8200 4.4: segments left, and a type that nobody knows: to be dropped. Type 0 is deprecated (RFC
 * 5095), type 2 is of Mobile IPv6.
 */
void ip6_routing(struct seg *s, const uint8_t *p)
{
    if (p[3] != 0 && p[2] != ROUTE_SEGMENTS && p[2] != ROUTE_RPL)
        ip_dropped(s, REASON_IP_SOURCE_ROUTE);
}
