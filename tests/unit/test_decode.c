// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_decode.c: frames that scapy made (vectors.h) field by field; the same cut at every byte in
 * memory of exactly that size; lengths that disagree; every capture of tests/traces against numbers
 * that tshark 4.0.17 gave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pcap/pcap.h>

#include "frames.h"
#include "vectors.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/print.h"

static uint32_t mismatches;

static void differ(const char *name, const char *field, unsigned long long got,
                   unsigned long long want)
{
    if (got == want)
        return;
    print_error("%s: %s is %llu (0x%llx), not %llu (0x%llx)\n", name, field, got, got, want, want);
    mismatches++;
}

static void differ_set(const char *name, const char *field, unsigned long long got,
                       unsigned long long want)
{
    if (want)
        differ(name, field, got, want);
}

/* consistent: what holds for any frame whatever. */
static void consistent(const char *name, const struct seg *s)
{
    const struct pktbuf *pb = s->pb;
    uint32_t wire = pb->wire_len > pb->len ? pb->wire_len : pb->len;

    differ(name, "reason is NONE exactly at SEG_TCP", s->reason == REASON_NONE,
           s->level == SEG_TCP);
    differ(name, "l3_off in the frame", s->l3_off <= pb->len, true);
    differ(name, "l2_len, l4_off in pktbuf", pb->l2_len == s->l3_off && pb->l4_off == s->l4_off,
           true);
    if (s->level >= SEG_IP) {
        differ(name, "l4_off in the frame", s->l4_off > s->l3_off && s->l4_off <= pb->len, true);
        differ(name, "datagram in the frame", s->l3_off + s->ip_len <= wire, true);
        differ(name, "TRUNC", !!(s->flags & SEG_TRUNC), s->l3_off + s->ip_len > pb->len);
    }
    if (s->level == SEG_TCP) {
        differ(name, "payload in the frame", s->pay_off + s->pcap <= pb->len, true);
        differ(name, "pcap <= plen", s->pcap <= s->plen, true);
        differ(name, "pcap < plen only if TRUNC", s->pcap == s->plen || s->flags & SEG_TRUNC, true);
        differ(name, "lengths add up", s->l4_off - s->l3_off + s->hdr_len + s->plen, s->ip_len);
    }
}

/* ---- vectors ---- */

static void compare_addr(const char *name, const struct seg *s, const uint8_t *got,
                         const char *want)
{
    char text[INET6_ADDRSTRLEN];

    inet_ntop(s->flags & SEG_IP6 ? AF_INET6 : AF_INET, got, text, sizeof(text));
    if (strcmp(text, want) == 0)
        return;
    print_error("%s: address is %s, not %s\n", name, text, want);
    mismatches++;
}

static void compare_ip(const struct frame_vec *v, const struct seg *s)
{
    compare_addr(v->name, s, s->src.b, v->src);
    compare_addr(v->name, s, s->dst.b, v->dst);
    differ(v->name, "ttl", s->ttl, v->ttl);
    differ_set(v->name, "l4proto", s->l4proto, v->proto);
    differ_set(v->name, "frag_id", s->frag_id, v->frag_id);
    differ_set(v->name, "ip_len", s->ip_len, v->ip_len);
    differ(v->name, "frag_off", s->frag_off, v->frag_off);
}

static void compare_tcp(const struct frame_vec *v, const struct seg *s)
{
    differ(v->name, "seq", s->seq, v->seq);
    differ(v->name, "ack", s->ack, v->ack);
    differ(v->name, "win", s->win, v->win);
    differ(v->name, "urp", s->urp, v->urp);
    differ(v->name, "tflags", s->tflags, v->tflags);
    differ(v->name, "hdr_len", s->hdr_len, v->hdr_len);
    differ(v->name, "plen", s->plen, v->plen);
    differ(v->name, "pcap", s->pcap, v->pcap);
    differ(v->name, "mss", s->mss, v->mss);
    differ(v->name, "wscale", s->wscale, v->wscale);
    differ(v->name, "tsval", s->tsval, v->tsval);
    differ(v->name, "tsecr", s->tsecr, v->tsecr);
    differ(v->name, "nsack", s->nsack, v->nsack);
    for (uint32_t i = 0; i < s->nsack && i < v->nsack; i++) {
        differ(v->name, "sack start", s->sack[i].start, v->sack[i][0]);
        differ(v->name, "sack end", s->sack[i].end, v->sack[i][1]);
    }
}

static void compare(const struct frame_vec *v, const struct seg *s)
{
    differ(v->name, "reason", s->reason, v->reason);
    differ(v->name, "level", s->level, v->level);
    differ(v->name, "flags", s->flags & ~(uint32_t)SEG_PLAIN, v->flags);
    differ(v->name, "plain", !!(s->flags & SEG_PLAIN),
           v->level == SEG_TCP && (v->tflags & (1 | 2 | 4 | 16 | 32)) == 16 && v->nsack == 0 &&
               v->plen == v->pcap && !(v->flags & SEG_RARE));
    differ_set(v->name, "ethertype", s->ethertype, v->ethertype);
    differ(v->name, "nvlan", s->nvlan, v->nvlan);
    for (uint32_t i = 0; i < s->nvlan && i < v->nvlan; i++)
        differ(v->name, "vlan", s->vlan[i], v->vlan[i]);
    if (s->level >= SEG_IP)
        compare_ip(v, s);
    if (s->level >= SEG_L4) {
        differ(v->name, "sport", ntohs(s->sport), v->sport);
        differ(v->name, "dport", ntohs(s->dport), v->dport);
    }
    if (s->level == SEG_TCP)
        compare_tcp(v, s);
}

/* exact: a pktbuf in memory of just its size, so that one byte too far is found by the address
 * sanitizer. */
static struct pktbuf exact(const void *bytes, uint32_t len, uint32_t wire_len, uint16_t dlt)
{
    struct pktbuf pb = {.data = malloc(len ? len : 1),
                        .len = len,
                        .wire_len = wire_len,
                        .cap = len,
                        .linktype = dlt};

    assert_non_null(pb.data);
    if (len == 0) { /* nothing at all may be read */
        free(pb.data);
        pb.data = NULL;
        return pb;
    }
    memcpy(pb.data, bytes, len);
    return pb;
}

static void vectors(void **state)
{
    mismatches = 0;
    for (size_t i = 0; i < ARRAY_SIZE(frame_vecs); i++) {
        const struct frame_vec *v = &frame_vecs[i];
        struct pktbuf pb = exact(v->bytes, v->len, v->len, v->dlt);
        struct seg s;

        memset(&s, 0xa5, sizeof(s));
        differ(v->name, "returned", decode(&s, &pb), v->reason);
        compare(v, &s);
        consistent(v->name, &s);
        if (s.level == SEG_TCP && s.pcap)
            differ(v->name, "payload at the end",
                   memcmp(seg_payload(&s), v->bytes + s.pay_off, s.pcap), 0);
        free(pb.data);
    }
    assert_int_equal(mismatches, 0);
}

static void read_all(const char *name, const struct frame_vec *v, uint32_t len, uint32_t wire_len)
{
    struct pktbuf pb = exact(v->bytes, len, wire_len, v->dlt);
    volatile uint8_t sink = 0;
    char line[16];
    struct seg s;
    bool known;

    memset(&s, 0xa5, sizeof(s));
    decode(&s, &pb);
    consistent(name, &s);
    csum_tcp_ok(&s, &known);
    seg_print(line, sizeof(line), &s);
    if (s.level == SEG_TCP) {
        for (uint32_t i = 0; i < s.pcap; i++)
            sink = seg_payload(&s)[i];
        (void)sink;
        differ(name, "sequence numbers of a cut frame", s.seq, v->seq);
        differ(name, "payload length of a cut frame", s.plen,
               wire_len == v->len ? v->plen : s.plen);
    }
    free(pb.data);
}

static void every_prefix(void **state)
{
    mismatches = 0;
    for (size_t i = 0; i < ARRAY_SIZE(frame_vecs); i++) {
        const struct frame_vec *v = &frame_vecs[i];

        for (uint32_t len = 0; len <= v->len; len++) {
            read_all(v->name, v, len, len);    /* the frame ended there */
            read_all(v->name, v, len, v->len); /* the capture did */
        }
    }
    assert_int_equal(mismatches, 0);
}

/* Any byte of any frame set to anything: no over-read, and seg stays consistent. */
static void every_byte_changed(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

    mismatches = 0;
    for (size_t i = 0; i < ARRAY_SIZE(frame_vecs); i++) {
        const struct frame_vec *v = &frame_vecs[i];
        struct pktbuf pb = exact(v->bytes, v->len, v->len, v->dlt);

        for (uint32_t at = 0; at < v->len * ARRAY_SIZE(values); at++) {
            uint32_t off = at / ARRAY_SIZE(values);
            char line[256];
            struct seg s;
            bool known;

            pb.data[off] ^= values[at % ARRAY_SIZE(values)];
            decode(&s, &pb);
            consistent(v->name, &s);
            csum_tcp_ok(&s, &known);
            seg_print(line, sizeof(line), &s);
            pb.data[off] = (uint8_t)v->bytes[off];
        }
        free(pb.data);
    }
    assert_int_equal(mismatches, 0);
}

/* ---- captures that cut, lengths that disagree ---- */

static struct frame_buf fb;

static struct seg decode_of(struct pktbuf *pb)
{
    struct seg s;

    memset(&s, 0xa5, sizeof(s));
    decode(&s, pb);
    return s;
}

static void payload_cut(void **state)
{
    struct seg s = decode_of(frame_tcp(&fb, (struct frame){.plen = 100, .snap = 14 + 40 + 30}));

    assert_int_equal(s.level, SEG_TCP);
    assert_int_equal(s.flags, SEG_TRUNC);
    assert_int_equal(s.plen, 100);
    assert_int_equal(s.pcap, 30);
    assert_int_equal(s.ip_len, 140);
}

static void options_cut(void **state)
{
    struct frame f = {.flags = "S",
                      .mss = 1460,
                      .wscale = FRAME_WSCALE(7),
                      .ts = {1, 2},
                      .snap = 14 + 40 + 8 + 5};
    struct seg s = decode_of(frame_tcp(&fb, f));

    assert_int_equal(s.level, SEG_TCP);
    assert_int_equal(s.flags,
                     SEG_TRUNC | SEG_HDR_CUT | SEG_MSS | SEG_WSCALE); /* not OPT_BAD, no TS */
    assert_int_equal(s.mss, 1460);
    assert_int_equal(s.wscale, 7);
    assert_int_equal(s.hdr_len, 20 + 4 + 4 + 12);
    assert_int_equal(s.win, 8192);
    assert_int_equal(s.pay_off, s.pb->len);
    assert_int_equal(s.plen, 0);
    assert_int_equal(s.pcap, 0);
}

static void header_cut_at_14(void **state)
{
    struct frame f = {.flags = "P.", .seq = 7, .ack = 9, .plen = 100, .win = 500};
    struct seg s;

    f.snap = 14 + 20 + 14;
    s = decode_of(frame_tcp(&fb, f));
    assert_int_equal(s.level, SEG_TCP);
    assert_int_equal(s.flags, SEG_TRUNC | SEG_HDR_CUT);
    assert_int_equal(s.seq, 7);
    assert_int_equal(s.ack, 9);
    assert_int_equal(s.tflags, TH_PSH_ | TH_ACK_);
    assert_int_equal(s.win, 0);
    assert_int_equal(s.plen, 100);
    assert_int_equal(s.pcap, 0);
    assert_int_equal(s.pay_off, s.pb->len);
    f.snap = 14 + 20 + 16;
    assert_int_equal(decode_of(frame_tcp(&fb, f)).win, 500);
}

static void header_cut_before_14(void **state)
{
    struct frame f = {.plen = 100, .sport = 5, .snap = 14 + 20 + 13};
    struct seg s = decode_of(frame_tcp(&fb, f));

    assert_int_equal(s.reason, REASON_TCP_TRUNCATED);
    assert_int_equal(s.level, SEG_L4);
    assert_int_equal(ntohs(s.sport), 5);
    assert_int_equal(s.seq, 0);
    f.snap = 14 + 20 + 3;
    s = decode_of(frame_tcp(&fb, f));
    assert_int_equal(s.reason, REASON_TCP_TRUNCATED);
    assert_int_equal(s.level, SEG_IP);
}

static void smallest_length_counts(void **state)
{
    struct frame f = {.plen = 50};

    f.pad = 8;
    assert_int_equal(decode_of(frame_tcp(&fb, f)).plen, 50);
    f.ip_len_add = -10; /* IP says less than the frame has */
    assert_int_equal(decode_of(frame_tcp(&fb, f)).plen, 40);
    f.ip_len_add = 1000; /* IP says more: up to the frame's end */
    assert_int_equal(decode_of(frame_tcp(&fb, f)).plen, 58);
    f.ip_len_add = 0;
    f.pppoe = true;
    f.pppoe_len_add = -3; /* PPPoE says less than IP */
    assert_int_equal(decode_of(frame_tcp(&fb, f)).plen, 47);
    f.pppoe_len_add = 1000;
    assert_int_equal(decode_of(frame_tcp(&fb, f)).plen, 50);
    assert_int_equal(decode_of(frame_tcp(&fb, f)).flags, SEG_PLAIN);
}

static void cut_and_lying(void **state)
{
    struct frame f = {.plen = 50, .pad = 6, .snap = 14 + 40 + 50};

    assert_int_equal(decode_of(frame_tcp(&fb, f)).flags, SEG_PLAIN); /* only padding was cut off */
    f.ip_len_add = 3;
    assert_int_equal(decode_of(frame_tcp(&fb, f)).flags, SEG_TRUNC);
    assert_int_equal(decode_of(frame_tcp(&fb, f)).plen, 53);
    assert_int_equal(decode_of(frame_tcp(&fb, f)).pcap, 50);
}

static void wire_len_too_small(void **state)
{
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.plen = 50});

    pb->wire_len = 20; /* a back end that lies: len counts */
    assert_int_equal(decode_of(pb).plen, 50);
    assert_int_equal(decode_of(pb).flags, SEG_PLAIN);
}

static void length_fields(void **state)
{
    struct seg s = decode_of(frame_tcp(&fb, (struct frame){.link = FRAME_SNAP, .vlan = {5}}));
    struct pktbuf *pb;

    assert_int_equal(s.link_len_off, 16);
    s = decode_of(frame_tcp(&fb, (struct frame){.pppoe = true, .vlan = {5}}));
    assert_int_equal(s.link_len_off, 18 + 4);
    s = decode_of(frame_tcp(&fb, (struct frame){.vlan = {5}}));
    assert_int_equal(s.link_len_off, 0);
    pb = frame_tcp(&fb, (struct frame){.link = FRAME_SNAP, .plen = 9});
    pb->data[20] = 0x88; /* PPPoE under SNAP: two lengths to keep right, and nobody does it */
    pb->data[21] = 0x64;
    s = decode_of(pb);
    assert_int_equal(s.reason, REASON_LINK_TOO_DEEP);
}

static void every_link(void **state)
{
    for (int link = FRAME_ETHER; link <= FRAME_LOOP; link++) {
        for (int v6 = 0; v6 < 2; v6++) {
            struct seg s;

            if ((link == FRAME_IP4 && v6) || (link == FRAME_IP6 && !v6))
                continue;
            s = decode_of(
                frame_tcp(&fb, (struct frame){.link = link, .v6 = v6, .plen = 5, .sport = 77}));
            assert_int_equal(s.level, SEG_TCP);
            assert_int_equal(!!(s.flags & SEG_IP6), v6);
            assert_int_equal(ntohs(s.sport), 77);
            assert_int_equal(s.plen, 5);
        }
    }
}

/* ---- captures ---- */

struct trace {
    const char *name;
    uint32_t tcp;      /* segments: tshark -Y tcp, defragmentation off */
    uint32_t payload;  /* sum of tcp.len */
    uint32_t bad_csum; /* tcp.checksum.status == Bad */
    uint32_t bad_ip;   /* ip.checksum.status == Bad */
};

/*
 * Where tshark's count differs by intention: it calls first fragments TCP (p-ipv4-frag-http-req and
 * s-vlan-ipv4-frag-syn have 1 each). In t-tcp-bad-header-len the header is beyond what was
 * captured, not beyond the datagram.
 */
static const struct trace traces[] = {
    {"a-http-post-retransmits.pcap", 34, 7076, 0, 0},
    {"a-retrans-zero-window.pcap", 108, 23192, 0, 0},
    {"a-tcp-reassembly-synthetic.pcap", 106, 757, 0, 0},
    {"a-two-vlan.pcap", 6, 4457, 6, 6},
    {"p-ipv4-frag-http-req.pcap", 0, 0, 0, 0},
    {"p-ipv6-http-rawip.pcap", 19, 6843, 0, 0},
    {"p-nanosec-bigendian.pcap", 10, 1522, 10, 0},
    {"p-one-tcp-stream.pcap", 36, 25233, 0, 0},
    {"p-oneway-missing-packet.pcap", 14, 8528, 0, 0},
    {"p-three-http-streams.pcap", 28, 2935, 0, 0},
    {"s-ftp-80-flows.pcap", 755, 51542, 0, 0},
    {"s-gap-acked.pcap", 7, 8, 0, 0},
    {"s-gap-leading.pcap", 7, 8, 0, 0},
    {"s-overlap-exact.pcap", 7, 8, 0, 0},
    {"s-overlap-partial.pcap", 7, 7, 0, 0},
    {"s-port-reuse-after-rst.pcap", 8, 20, 0, 0},
    {"s-rst-evasion-linux.pcap", 10, 417, 0, 0},
    {"s-split-handshake-4whs.pcap", 7, 4, 0, 0},
    {"s-tfo-syn-data.pcap", 8, 1393, 0, 0},
    {"s-urgent-oob.pcap", 16, 369, 0, 0},
    {"s-vlan-ipv4-frag-syn.pcap", 0, 0, 0, 0},
    {"t-tcp-all-flags.pcap", 1, 0, 0, 0},
    {"t-tcp-bad-header-len.pcap", 1, 12256, 0, 1},
    {"z-bad-tcp-checksum.pcap", 10, 506, 6, 0},
    {"z-http-49-flows.pcap", 655, 184311, 0, 0},
    {"z-http-qinq.pcap", 14, 5143, 0, 0},
    {"z-ip6-ext-trunc.pcap", 0, 0, 0, 0},
    {"z-ipv6-atomic-frag.pcap", 36, 412, 4, 0},
    {"z-miss-end-data.pcap", 9, 538, 0, 0},
    {"z-missing-syn.pcap", 21, 9515, 0, 0},
    {"z-quantum-insert.pcap", 14, 544, 0, 0},
    {"z-rdp-reordering.pcap", 542, 104778, 0, 0},
    {"z-syn-stuff-rst.pcap", 4, 0, 0, 0},
    {"z-truncated-header.pcap", 24, 605, 0, 0},
    {"z-wikipedia.pcap", 78, 13807, 0, 0},
};

static pcap_t *open_trace(const char *name)
{
    const char *source = getenv("WEIR_SOURCE");
    char path[4096], why[PCAP_ERRBUF_SIZE];
    pcap_t *p;

    snprintf(path, sizeof(path), "%s/tests/traces/%s", source ? source : ".", name);
    p = pcap_open_offline(path, why);
    if (!p)
        fail_msg("%s", why);
    return p;
}

static struct trace count(pcap_t *p, const char *name)
{
    struct trace t = {.name = name};
    struct pcap_pkthdr *h;
    const u_char *bytes;

    while (pcap_next_ex(p, &h, &bytes) == 1) {
        struct pktbuf pb = exact(bytes, h->caplen, h->len, (uint16_t)pcap_datalink(p));
        struct seg s = decode_of(&pb);
        bool known, ok = csum_tcp_ok(&s, &known);

        consistent(name, &s);
        t.bad_ip += !!(s.flags & SEG_IPCSUM_BAD);
        t.tcp += s.level == SEG_TCP;
        t.payload += s.plen;
        t.bad_csum += known && !ok;
        free(pb.data);
    }
    return t;
}

static void captures_as_tshark(void **state)
{
    mismatches = 0;
    for (size_t i = 0; i < ARRAY_SIZE(traces); i++) {
        const struct trace *want = &traces[i];
        pcap_t *p = open_trace(want->name);
        struct trace got = count(p, want->name);

        differ(want->name, "TCP segments", got.tcp, want->tcp);
        differ(want->name, "payload", got.payload, want->payload);
        differ(want->name, "bad TCP checksums", got.bad_csum, want->bad_csum);
        differ(want->name, "bad IP checksums", got.bad_ip, want->bad_ip);
        pcap_close(p);
    }
    assert_int_equal(mismatches, 0);
}

/* RFC 6946: one is a datagram by itself; Linux refuses another fragment header in it. */
static void atomic_fragments(void **state)
{
    uint8_t p[8 + 20] = {6, 0, 0, 0, 0, 0, 0, 9, [8 + 12] = 5 << 4, [8 + 13] = 2};
    struct frame f = {.v6 = true, .frag6 = true, .proto = 6, .payload = p + 8, .plen = 20};
    struct frame_buf b;
    struct seg s;

    assert_int_equal(decode(&s, frame_ip(&b, f)), REASON_NONE);
    f.proto = 44;
    f.payload = p;
    f.plen = sizeof(p);
    assert_int_equal(decode(&s, frame_ip(&b, f)), REASON_IP6_EXT_BAD);
}

/* Options and headers for which hosts drop the packet; some do only some of them. */
struct marked {
    const char *bytes;
    uint16_t len;
    uint8_t first; /* IPv6: its type */
    uint32_t flag;
    enum reason why;
};
#define M(text, flag, why)                                                                         \
    {                                                                                              \
        (text), sizeof(text) - 1, 0, (flag), REASON_##why                                          \
    }
#define M6(first, text, flag, why)                                                                 \
    {                                                                                              \
        (text), sizeof(text) - 1, (first), (flag), REASON_##why                                    \
    }
#define DROPPED SEG_IP_DROPPED
#define LINUX   SEG_IP_LINUX

static const struct marked marks4[] = {
    M("\1\1\1\1", 0, NONE),
    M("\0\x83\1\1", 0, NONE), /* behind the end */
    M("\x5e\4\0\0", 0, NONE),
    M("\x5e\5\0\0", DROPPED, IP_OPT_BAD),
    M("\x5e\1\0\0", DROPPED, IP_OPT_BAD),
    M("\x5e\0\0\0", DROPPED, IP_OPT_BAD),
    M("\1\1\1\x5e", DROPPED, IP_OPT_BAD), /* no length */
    M("\x83\3\4\0", DROPPED, IP_SOURCE_ROUTE),
    M("\x89\3\4\0", DROPPED, IP_SOURCE_ROUTE),
    M("\x89\2\0\0", DROPPED, IP_OPT_BAD),
    M("\x83\3\3\0", DROPPED, IP_OPT_BAD),
    M("\x83\3\4\x5e", DROPPED, IP_SOURCE_ROUTE), /* the first counts */
    M("\7\3\4\0", 0, NONE),                      /* full */
    M("\7\3\3\0", DROPPED, IP_OPT_BAD),
    M("\7\2\0\0", DROPPED, IP_OPT_BAD),
    M("\7\7\4\0\0\0\0\0", 0, NONE),
    M("\7\7\5\0\0\0\0\0", LINUX, IP_OPT_BAD),
    M("\7\3\4\1\7\3\4\0", LINUX, IP_OPT_BAD), /* twice */
    M("\7\7\5\0\0\0\0\x5e", DROPPED, IP_OPT_BAD),
    M("\x44\4\5\xe0", 0, NONE),
    M("\x44\4\5\xf0", DROPPED, IP_OPT_BAD),
    M("\x44\4\5\xf3", 0, NONE),
    M("\x44\4\4\0", DROPPED, IP_OPT_BAD),
    M("\x44\3\5\0", DROPPED, IP_OPT_BAD),
    M("\x44\x08\5\0\0\0\0\0", 0, NONE),
    M("\x44\x08\6\0\0\0\0\0", LINUX, IP_OPT_BAD),
    M("\x44\x08\5\1\0\0\0\0", LINUX, IP_OPT_BAD), /* no room for the address */
    M("\x44\x0c\5\1\0\0\0\0\0\0\0\0", 0, NONE),
    M("\x44\4\5\0\x44\4\5\0", LINUX, IP_OPT_BAD),
    M("\x94\4\0\0", 0, NONE),
    M("\x94\3\0\0", LINUX, IP_OPT_BAD),
    M("\x86\x08\0\0\0\1\1\2", 0, NONE), /* labels: of those who use them */
    M("\x86\7\0\0\0\1\1\0", LINUX, IP_OPT_BAD),
    M("\x86\x08\0\0\0\1\1\2\x86\x08\0\0\0\1\1\2", LINUX, IP_OPT_BAD),
};

static const struct marked marks6[] = {
    M6(60, "\6\0\1\4\0\0\0\0", 0, NONE),
    M6(60, "\6\0\0\0\0\0\0\0", 0, NONE),
    M6(60, "\6\0\x1e\4abcd", 0, NONE),
    M6(60, "\6\0\x5e\4abcd", DROPPED, IP6_OPT_BAD),
    M6(60, "\6\0\x9e\4abcd", DROPPED, IP6_OPT_BAD),
    M6(0, "\6\0\xde\4abcd", DROPPED, IP6_OPT_BAD),
    M6(60, "\6\0\x1e\5abcd", DROPPED, IP6_OPT_BAD), /* reaches out of its header */
    M6(60, "\6\0\1\3\0\0\0\x1e", DROPPED, IP6_OPT_BAD),
    M6(0, "\6\0\5\2\0\0\1\0", 0, NONE),
    M6(0, "\6\0\5\3\0\0\0\0", DROPPED, IP6_OPT_BAD),
    M6(60, "\6\0\5\3\0\0\0\0", 0, NONE),
    M6(0, "\6\0\xc2\4\0\1\0\0", DROPPED, IP6_OPT_BAD), /* there is a length */
    M6(60, "\6\1\1\4\0\0\0\0\1\6\0\0\0\0\0\0", LINUX, IP6_OPT_BAD),
    M6(60, "\6\1\1\5\0\0\0\0\0\x1e\5abcde", 0, NONE),
    M6(60, "\6\0\1\4\0\0\1\0", LINUX, IP6_OPT_BAD),
    M6(60, "\6\2\2\0\2\0\2\0\2\0\2\0\2\0\2\0\2\0\1\4\0\0\0\0", 0, NONE),
    M6(60, "\6\2\2\0\2\0\2\0\2\0\2\0\2\0\2\0\2\0\2\0\1\2\0\0", LINUX, IP6_OPT_BAD),
    M6(43, "\6\0\0\0\0\0\0\0", 0, NONE),
    M6(43, "\6\0\0\1\0\0\0\0", DROPPED, IP_SOURCE_ROUTE),
    M6(43, "\6\0\2\1\0\0\0\0", DROPPED, IP_SOURCE_ROUTE),
    M6(43, "\6\0\4\1\0\0\0\0", 0, NONE), /* segment routing: of those who use it */
    M6(43, "\6\0\3\1\0\0\0\0", 0, NONE),
    M6(135, "\6\0\0\0\0\0\0\0", DROPPED, IP6_HDR_UNKNOWN),
    M6(139, "\6\0\0\0\0\0\0\0", DROPPED, IP6_HDR_UNKNOWN),
    M6(140, "\6\0\0\0\0\0\0\0", DROPPED, IP6_HDR_UNKNOWN),
    M6(51, "\6\0\0\0\0\0\0\0", 0, NONE),
    M6(60, "\x8b\0\x9e\4abcd\6\0\0\0\0\0\0\0", DROPPED, IP6_OPT_BAD),
};

static bool marked_as(struct frame f, const struct marked *m)
{
    struct frame_buf b;
    struct seg s;

    f.ip_opts = m->bytes;
    f.ip_optlen = m->len;
    f.ext_first = m->first;
    f.seq = 77;
    f.payload = "abc";
    return decode(&s, frame_tcp(&b, f)) == REASON_NONE && s.seq == 77 && s.plen == 3 &&
           s.ip_why == m->why &&
           (m->flag == DROPPED ? s.flags & DROPPED : (s.flags & (DROPPED | LINUX)) == m->flag);
}

static void dropped_before_tcp(void **state)
{
    for (size_t i = 0; i < sizeof(marks4) / sizeof(marks4[0]); i++)
        if (!marked_as((struct frame){.v6 = false}, &marks4[i]))
            fail_msg("IPv4 options %zu", i);
    for (size_t i = 0; i < sizeof(marks6) / sizeof(marks6[0]); i++)
        if (!marked_as((struct frame){.v6 = true}, &marks6[i]))
            fail_msg("IPv6 headers %zu", i);
}

/* RFC 2675: with no length beside it, as large segments are captured before the device cuts them. */
static void jumbo(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t dropped;
    } v[] = {
        {"\6\0\xc2\4\0\1\0\0", 0},
        {"\6\0\xc2\4\0\0\xff\xff", SEG_IP_DROPPED},
        {"\6\0\xc2\2\0\1\0\0", SEG_IP_DROPPED},
    };
    struct frame f = {.v6 = true, .ip_len_zero = true, .ip_optlen = 8, .payload = "abc"};
    struct frame_buf b;
    struct seg s;

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        f.ip_opts = v[i].bytes;
        assert_int_equal(decode(&s, frame_tcp(&b, f)), REASON_NONE);
        assert_int_equal(s.flags & SEG_IP_DROPPED, v[i].dropped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_prefix),
        cmocka_unit_test(every_byte_changed),
        cmocka_unit_test(payload_cut),
        cmocka_unit_test(options_cut),
        cmocka_unit_test(header_cut_at_14),
        cmocka_unit_test(header_cut_before_14),
        cmocka_unit_test(smallest_length_counts),
        cmocka_unit_test(cut_and_lying),
        cmocka_unit_test(wire_len_too_small),
        cmocka_unit_test(length_fields),
        cmocka_unit_test(every_link),
        cmocka_unit_test(captures_as_tshark),
        cmocka_unit_test(atomic_fragments),
        cmocka_unit_test(dropped_before_tcp),
        cmocka_unit_test(jumbo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
