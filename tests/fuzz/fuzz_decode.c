// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_decode.c: any bytes under any link type through src/wire: decode, print, checksums, edits.
 *
 *   input: link type (1 byte, of a table), what was not captured (1), an edit: kind, offset, length
 *   (1 + 2 + 1 bytes), then the frame
 */
#include <arpa/inet.h>

#include "base/compiler.h"
#include "fuzz.h"
#include "wire/build.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/icmpquote.h"
#include "wire/print.h"

#define ROOM 512 /* behind the frame, for what is inserted */

static const uint16_t links[] = {1, 12, 14, 101, 113, 276, 228, 229, 0, 108, 147, 65535};

struct line {
    char s[1024];
};

static struct line line_of(const struct seg *s)
{
    struct line l;
    int n = seg_print(l.s, sizeof(l.s), s);
    char small[16];

    FUZZ_CHECK(n > 0 && strlen(l.s) == ((size_t)n < sizeof(l.s) ? (size_t)n : sizeof(l.s) - 1),
               "%d, %s", n, l.s);
    FUZZ_CHECK(seg_print(small, sizeof(small), s) == n, "%s", small);
    FUZZ_CHECK(strncmp(small, l.s, strlen(small)) == 0, "%s", small);
    return l;
}

static void check_tcp(const struct seg *s, uint32_t len, uint32_t wire_len)
{
    FUZZ_CHECK(s->pay_off <= len && s->pcap <= len - s->pay_off, "payload %u+%u in %u", s->pay_off,
               s->pcap, len);
    FUZZ_CHECK(s->pcap <= s->plen && s->plen <= wire_len, "%u <= %u <= %u", s->pcap, s->plen,
               wire_len);
    FUZZ_CHECK(s->l4_off + 14u <= len && s->l4_off >= s->l3_off, "header at %u", s->l4_off);
    FUZZ_CHECK((s->flags & SEG_HDR_CUT) || s->pay_off == s->l4_off + s->hdr_len, "payload at %u",
               s->pay_off);
    FUZZ_CHECK(s->hdr_len >= 20 && s->hdr_len <= 60, "%u", s->hdr_len);
    FUZZ_CHECK(s->nsack <= SEG_MAX_SACK && s->wscale <= 14, "%u %u", s->nsack, s->wscale);
    FUZZ_CHECK(s->plen + s->hdr_len <= s->ip_len, "%u + %u in %u", s->plen, s->hdr_len, s->ip_len);
}

/* check_seg: what decode.h and seg.h promise. */
static void check_seg(const struct seg *s, enum reason why)
{
    uint32_t len = s->pb->len, wire_len = s->pb->wire_len > len ? s->pb->wire_len : len;

    FUZZ_CHECK(why == s->reason && why < REASON_CNT, "%d", why);
    FUZZ_CHECK(!s->ip_why == !(s->flags & (SEG_IP_DROPPED | SEG_IP_LINUX)), "%u", s->ip_why);
    FUZZ_CHECK((s->level == SEG_TCP) == (why == REASON_NONE), "level %u, reason %d", s->level, why);
    FUZZ_CHECK(s->l3_off <= len && s->nvlan <= SEG_MAX_VLANS, "%u %u", s->l3_off, s->nvlan);
    FUZZ_CHECK(s->link_len_off == 0 || s->link_len_off + 2u <= s->l3_off, "%u", s->link_len_off);
    for (int i = 0; i < s->nvlan; i++)
        FUZZ_CHECK(s->vlan[i] < 4096, "%u", s->vlan[i]);
    if (s->level >= SEG_IP) {
        FUZZ_CHECK(s->ethertype == 0x0800 || s->ethertype == 0x86dd, "%04x", s->ethertype);
        FUZZ_CHECK(s->l4_off >= s->l3_off && s->l4_off <= len, "%u", s->l4_off);
        FUZZ_CHECK(s->ip_len <= wire_len - s->l3_off, "%u from %u", s->ip_len, s->l3_off);
    }
    if (s->level == SEG_TCP)
        check_tcp(s, len, wire_len);
}

/* again: the same bytes are decoded to the same, whatever was in the struct before. */
static void again(const struct seg *s, uint8_t fill)
{
    struct line want = line_of(s), got;
    struct seg t;

    memset(&t, fill, sizeof(t));
    check_seg(&t, decode(&t, s->pb));
    got = line_of(&t);
    FUZZ_CHECK(strcmp(want.s, got.s) == 0, "%s; %s", want.s, got.s);
    FUZZ_CHECK(t.level == s->level && t.reason == s->reason && t.flags == s->flags &&
                   t.l4_off == s->l4_off && t.pay_off == s->pay_off && t.plen == s->plen &&
                   t.pcap == s->pcap && t.ip_len == s->ip_len && t.nsack == s->nsack,
               "%s", want.s);
}

static void checksums(struct seg *s)
{
    bool known, ok = csum_tcp_ok(s, &known);

    FUZZ_CHECK(known || !ok, "right although not known");
    csum_ip_set(s);
    csum_tcp_set(s);
    FUZZ_CHECK(csum_tcp_ok(s, &ok) == known && ok == known, "not right after it was set");
    check_seg(s, decode(s, s->pb));
    FUZZ_CHECK(s->level < SEG_IP || !(s->flags & SEG_IPCSUM_BAD), "%u", s->reason);
}

static void edit(struct seg *s, uint8_t kind, uint32_t off, uint32_t len)
{
    uint8_t bytes[256];
    bool known, known_after, ok = csum_tcp_ok(s, &known);
    uint32_t plen = s->plen;
    int rc = -1;

    memset(bytes, kind, sizeof(bytes));
    if (kind % 3 == 0)
        rc = edit_overwrite(s, off, bytes, len);
    else if (kind % 3 == 1)
        rc = edit_chomp(s, off, len);
    else
        rc = edit_insert(s, off, bytes, len);
    check_seg(s, (enum reason)s->reason);
    again(s, 0x55);
    if (rc < 0 || len == 0)
        return;
    FUZZ_CHECK(s->pb->flags & PB_CHANGED, "not marked");
    FUZZ_CHECK(s->pb->len <= s->pb->cap, "%u in %u", s->pb->len, s->pb->cap);
    if (kind % 3 == 0)
        return;
    FUZZ_CHECK(s->level == SEG_TCP && s->plen == (kind % 3 == 1 ? plen - len : plen + len),
               "%u from %u", s->plen, plen);
    if (known && ok)
        FUZZ_CHECK(csum_tcp_ok(s, &known_after) || !known_after, "%u %u", off, len);
}

static void answer(const struct seg *s)
{
    uint8_t out[256];
    struct build_tcp b = {.like = s, .reverse = true, .seq = s->ack, .ack = s->seq, .tflags = 4};
    struct pktbuf pb = *s->pb;
    struct seg t;

    if (s->level < SEG_L4 || s->l4proto != 6)
        return;
    pb.data = out;
    pb.flags = 0;
    pb.len = pb.wire_len = build_tcp(out, sizeof(out), &b);
    if (pb.len == 0)
        return;
    check_seg(&t, decode(&t, &pb));
    FUZZ_CHECK(t.level == SEG_TCP && t.sport == s->dport && t.dport == s->sport, "%u", t.reason);
    FUZZ_CHECK(t.seq == s->ack && t.plen == 0 && t.nvlan == s->nvlan, "%u %u", t.seq, t.plen);
}

/* requote: an ICMP error with these bytes in it, whatever its checksum was. */
static void requote(struct seg *s, uint8_t fill)
{
    uint8_t *p = s->pb->data + s->l4_off;
    uint32_t len = s->ip_len - (uint32_t)(s->l4_off - s->l3_off);
    struct icmp_quote q;
    struct icmp_terms t;
    uint64_t sum = 0;
    uint16_t csum;

    if (s->level != SEG_IP || (s->flags & SEG_TRUNC) || len < 8)
        return;
    memset(p + 2, 0, 2);
    if (s->flags & SEG_IP6)
        sum = csum_add(csum_add((uint64_t)htons(58) + htonl(len), s->src.b, 16), s->dst.b, 16);
    csum = csum_fold(csum_add(sum, p, len));
    memcpy(p + 2, &csum, 2);
    if (!icmp_quotes_tcp(s, &q))
        return;
    memset(&t, fill, sizeof(t));
    memset(t.from, 10, sizeof(t.from)); /* a host's */
    icmp_requote(s, &q, &t);
    check_seg(s, decode(s, s->pb));
    FUZZ_CHECK(icmp_quotes_tcp(s, &q), "no error any more, or a wrong checksum");
    FUZZ_CHECK(q.seg.sport == t.sport && q.seg.dport == t.dport && q.seq == t.seq, "%u", q.seq);
    FUZZ_CHECK(memcmp(q.seg.src.b, t.src, 4) == 0 && memcmp(s->dst.b, t.to, 4) == 0, "%u", fill);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct take t = {data, data + size};
    struct pktbuf pb = {.linktype = links[take_8(&t) % ARRAY_SIZE(links)], .refs = 1};
    uint32_t cut = take_8(&t), off, len;
    uint8_t kind = take_8(&t), *frame, *room;
    struct seg s;
    size_t n;

    off = take_16(&t);
    len = take_8(&t);
    frame = take_copy(&t, 65535, &n);
    pb.data = frame;
    pb.len = pb.cap = (uint32_t)n;
    pb.wire_len = pb.len + (cut < 128 ? 0 : cut < 250 ? cut - 128 : cut << 8);
    memset(&s, 0xaa, sizeof(s));
    check_seg(&s, decode(&s, &pb));
    again(&s, 0);
    answer(&s);
    room = malloc(n + ROOM);
    FUZZ_CHECK(room != NULL, "no memory");
    memcpy(room, frame, n);
    pb.data = room;
    pb.cap = (uint32_t)n + ROOM;
    s.pb = &pb;
    if (kind & 0x80)
        checksums(&s);
    requote(&s, (uint8_t)len);
    edit(&s, kind & 0x7f, off, len);
    free(room);
    free(frame);
    return 0;
}
