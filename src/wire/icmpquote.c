// SPDX-License-Identifier: BSD-2-Clause
/* icmpquote.c: what an ICMP error quotes, read and changed. */
#include "wire/icmpquote.h"

#include <arpa/inet.h>

#include "base/compiler.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/icmp.h"
#include "wire/layers.h"

enum { ICMP_HDR = 8, PORTS_AND_SEQ = 8, IP4_CSUM = 10, TCP_CSUM = 16 };
enum { QUOTED_MOST = 40 + UINT16_MAX }; /* bytes that it may have had */
enum { IP4_ADDRS = 12, IP6_ADDRS = 8 }; /* where they begin: source, then destination */

static bool is_v6(const struct seg *s)
{
    return s->flags & SEG_IP6;
}

static uint8_t *icmp_of(const struct seg *s)
{
    return s->pb->data + s->l4_off;
}

static uint32_t icmp_len(const struct seg *s)
{
    return s->ip_len - (uint32_t)(s->l4_off - s->l3_off);
}

static bool is_error(const struct seg *s)
{
    const uint8_t type = *icmp_of(s);

    if (is_v6(s))
        return type < 128;
    return type == 3 || type == 11 || type == 12;
}

bool icmp_quotes_tcp(const struct seg *s, struct icmp_quote *q)
{
    struct seg *in = &q->seg;

    if (!icmp_is_whole(s) || (s->pb->flags & PB_CSUM_PART) || !is_error(s) ||
        icmp_is_group(s->src.b, is_v6(s)))
        return false;
    q->pb = (struct pktbuf){.data = icmp_of(s) + ICMP_HDR,
                            .len = icmp_len(s) - ICMP_HDR,
                            .wire_len = QUOTED_MOST,
                            .linktype = is_v6(s) ? LINK_IPV6 : LINK_IPV4};
    decode(in, &q->pb);
    if (in->l4proto != IPP_TCP || in->l4_off == 0 || in->frag_off != 0 ||
        in->l4_off + (uint32_t)PORTS_AND_SEQ > q->pb.len)
        return false;
    if (in->level == SEG_IP) { /* the first of a datagram's fragments: decode asks for the others */
        in->flags &= ~(uint32_t)SEG_FRAG;
        memcpy(&in->sport, q->pb.data + in->l4_off, 4); /* both */
        in->level = SEG_L4;
    }
    q->seq = load32(q->pb.data + in->l4_off + 4);
    return true;
}

uint32_t icmp_mtu(const struct seg *s, const struct icmp_quote *q)
{
    static const uint16_t plateau[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};
    const uint8_t *p = icmp_of(s);
    const uint32_t mtu = load16(p + 6);
    size_t i = 0;

    if (is_v6(s))
        return p[0] == 2 ? load32(p + 4) : 0;
    if (p[0] != 3 || p[1] != 4)
        return 0;
    while (i + 1 < ARRAY_SIZE(plateau) && plateau[i] >= q->seg.ip_len)
        i++;
    return mtu ? mtu : plateau[i];
}

/* ---- changed ---- */

/* A checksum field, and what it is to be after the changes so far. */
struct field {
    uint8_t *at; /* NULL: there is none */
    uint16_t sum;
};

static struct field field_at(uint8_t *at)
{
    struct field f = {.at = at};

    if (at)
        memcpy(&f.sum, at, 2);
    return f;
}

static void field_put(const struct field *f)
{
    if (f->at)
        memcpy(f->at, &f->sum, 2);
}

/* put: n bytes at p become others, and these fields follow: a field that covers p by the same parity. */
static void put(uint8_t *p, const void *bytes, uint32_t n, struct field *a, struct field *b)
{
    if (a && a->at)
        a->sum = csum_update(a->sum, p, n, bytes, n);
    if (b && b->at)
        b->sum = csum_update(b->sum, p, n, bytes, n);
    memcpy(p, bytes, n);
}

/*
 * put_quoted: the checksums in the quotation lie under the one of the error: what they change by is put
 * last, as any other change.
 */
static void put_quoted(struct seg *s, const struct icmp_quote *q, const struct icmp_terms *t,
                       struct field *icmp)
{
    const bool v6 = is_v6(s);
    const uint32_t n = v6 ? 16 : 4;
    uint8_t *ip = icmp_of(s) + ICMP_HDR, *addrs = ip + (v6 ? IP6_ADDRS : IP4_ADDRS),
            *tcp = ip + q->seg.l4_off;
    struct field ipsum = field_at(v6 ? NULL : ip + IP4_CSUM);
    struct field sum = field_at(q->seg.l4_off + TCP_CSUM + 2u <= q->pb.len ? tcp + TCP_CSUM : NULL);
    const uint32_t seq = htonl(t->seq);
    struct field *both[2] = {&ipsum, &sum};

    /* an address changes the sum over the IP header, that of the pseudo header, and that of ICMP */
    for (int i = 0; i < 2; i++) {
        const uint8_t *addr = i ? t->dst : t->src;
        uint8_t *at = addrs + (uint32_t)i * n;

        icmp->sum = csum_update(icmp->sum, at, n, addr, n);
        put(at, addr, n, both[0], both[1]);
    }
    put(tcp, &t->sport, 2, &sum, icmp);
    put(tcp + 2, &t->dport, 2, &sum, icmp);
    put(tcp + 4, &seq, 4, &sum, icmp);
    for (int i = 0; i < 2; i++)
        if (both[i]->at)
            put(both[i]->at, &both[i]->sum, 2, icmp, NULL);
}

void icmp_requote(struct seg *s, const struct icmp_quote *q, const struct icmp_terms *t)
{
    const bool v6 = is_v6(s);
    const uint32_t n = v6 ? 16 : 4;
    uint8_t *ip = s->pb->data + s->l3_off, *addrs = ip + (v6 ? IP6_ADDRS : IP4_ADDRS);
    struct field icmp = field_at(icmp_of(s) + 2);
    struct field outer = field_at(v6 ? NULL : ip + IP4_CSUM);

    put_quoted(s, q, t, &icmp);
    put(addrs, t->from, n, &outer, v6 ? &icmp : NULL); /* ICMPv6 has a pseudo header */
    put(addrs + n, t->to, n, &outer, v6 ? &icmp : NULL);
    field_put(&icmp);
    field_put(&outer);
    s->pb->flags |= PB_CHANGED;
}
