// SPDX-License-Identifier: BSD-2-Clause
/*
 * print.c: one line for people, in tcpdump's words. Written from struct seg alone, so it shows what
 * the stack understood and not what the bytes might mean otherwise; options come in a fixed order,
 * without the padding.
 */
#include "wire/print.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "wire/layers.h"

/* Text that knows how long it would be. */
struct line {
    char *out;
    size_t cap, len;
};

static void add(struct line *l, const char *fmt, ...) __printflike(2, 3);

static void add(struct line *l, const char *fmt, ...)
{
    bool room = l->len < l->cap;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(room ? l->out + l->len : NULL, room ? l->cap - l->len : 0, fmt, ap);
    va_end(ap);
    if (n > 0)
        l->len += (size_t)n;
}

static void add_ends(struct line *l, const struct seg *s)
{
    int family = s->flags & SEG_IP6 ? AF_INET6 : AF_INET;
    char src[INET6_ADDRSTRLEN] = "?", dst[INET6_ADDRSTRLEN] = "?";

    inet_ntop(family, &s->src, src, sizeof(src));
    inet_ntop(family, &s->dst, dst, sizeof(dst));
    if (s->level >= SEG_L4)
        add(l, "%s.%u > %s.%u: ", src, ntohs(s->sport), dst, ntohs(s->dport));
    else
        add(l, "%s > %s: ", src, dst);
}

static void add_flags(struct line *l, uint8_t tflags)
{
    static const char letters[] = "FSRP.UEW"; /* '.' is ACK */

    add(l, "Flags [");
    for (uint32_t i = 0; i < 8; i++) {
        if (tflags & 1 << i)
            add(l, "%c", letters[i]);
    }
    add(l, "%s]", tflags ? "" : "none");
}

static void add_numbers(struct line *l, const struct seg *s)
{
    if (s->plen > 0)
        add(l, ", seq %u:%u", s->seq, s->seq + s->plen);
    else if (s->tflags & (TH_SYN_ | TH_FIN_ | TH_RST_))
        add(l, ", seq %u", s->seq);
    if (s->tflags & TH_ACK_)
        add(l, ", ack %u", s->ack);
    add(l, ", win %u", s->win);
    if (s->tflags & TH_URG_)
        add(l, ", urg %u", s->urp);
}

static const char *comma(struct line *l, size_t start)
{
    return l->len > start ? "," : "";
}

static void add_sack(struct line *l, const struct seg *s, size_t start)
{
    if (s->nsack == 0)
        return;
    add(l, "%ssack %u ", comma(l, start), s->nsack);
    for (uint32_t i = 0; i < s->nsack; i++)
        add(l, "{%u:%u}", s->sack[i].start, s->sack[i].end);
}

static void add_options(struct line *l, const struct seg *s)
{
    size_t start;

    if (s->hdr_len <= 20)
        return;
    add(l, ", options [");
    start = l->len;
    if (s->flags & SEG_MSS)
        add(l, "mss %u", s->mss);
    if (s->flags & SEG_SACKOK)
        add(l, "%ssackOK", comma(l, start));
    if (s->flags & SEG_TS)
        add(l, "%sTS val %u ecr %u", comma(l, start), s->tsval, s->tsecr);
    if (s->flags & SEG_WSCALE)
        add(l, "%swscale %u", comma(l, start), s->wscale);
    add_sack(l, s, start);
    if (s->flags & SEG_TFO)
        add(l, "%stfo", comma(l, start));
    if (s->flags & SEG_AUTH)
        add(l, "%sauth", comma(l, start));
    if (s->flags & SEG_OPT_BAD)
        add(l, "%sbad", comma(l, start));
    if (s->flags & SEG_HDR_CUT)
        add(l, "%s|tcp", comma(l, start));
    add(l, "]");
}

static void print_tcp(struct line *l, const struct seg *s)
{
    add_ends(l, s);
    add_flags(l, s->tflags);
    add_numbers(l, s);
    add_options(l, s);
    add(l, ", length %u", s->plen);
}

static const char *proto_name(uint8_t proto)
{
    switch (proto) {
    case 1:
        return "ICMP";
    case 2:
        return "IGMP";
    case IPP_TCP:
        return "TCP";
    case IPP_UDP:
        return "UDP";
    case 47:
        return "GRE";
    case 50:
        return "ESP";
    case 58:
        return "ICMP6";
    case 132:
        return "SCTP";
    default:
        return NULL;
    }
}

static void print_datagram(struct line *l, const struct seg *s)
{
    const char *name = proto_name(s->l4proto);
    uint32_t len = s->ip_len - (uint32_t)(s->l4_off - s->l3_off);

    add_ends(l, s);
    if (s->reason == REASON_IP_FRAGMENT) {
        add(l, "frag (id %u, offset %u%s, proto %u), length %u", s->frag_id, s->frag_off,
            s->flags & SEG_FRAG_MORE ? "+" : "", s->l4proto, len);
        return;
    }
    if (s->reason == REASON_IP_NOT_TCP && s->l4proto == IPP_UDP && len >= 8)
        len -= 8; /* as tcpdump: the UDP payload */
    if (name)
        add(l, "%s, length %u", name, len);
    else
        add(l, "ip-proto-%u, length %u", s->l4proto, len);
    if (s->reason != REASON_IP_NOT_TCP)
        add(l, " [%s]", reason_text(s->reason));
}

int seg_print(char *out, size_t cap, const struct seg *s)
{
    struct line l = {.out = out, .cap = cap};

    if (cap > 0)
        out[0] = '\0';
    if (s->level == SEG_TCP)
        print_tcp(&l, s);
    else if (s->level >= SEG_IP)
        print_datagram(&l, s);
    else if (s->ethertype)
        add(&l, "ethertype 0x%04x: %s", s->ethertype, reason_text(s->reason));
    else
        add(&l, "link type %u: %s", s->pb->linktype, reason_text(s->reason));
    return (int)l.len;
}
