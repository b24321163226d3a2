// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_edit.c: edits of random frames against a naive twin: the twin changes the words of the template and builds the
 * whole frame anew, and both must be the same bytes, checksums included.
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
#include <errno.h>

#include "base/errtext.h"
#include "frames.h"
#include "wire/build.h"
#include "wire/csum.h"
#include "wire/decode.h"

static struct frame_buf fb, twin;
static unsigned seed = 1624;

static uint32_t pick(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

/* ---- random frames ---- */

struct words {
    struct frame f;
    uint8_t payload[1024];
    char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
};

static struct pktbuf *make(struct frame_buf *b, struct words *w)
{
    w->f.payload = w->payload;
    w->f.src = w->src;
    w->f.dst = w->dst;
    if (w->f.plen == 0)
        w->f.payload = NULL; /* else the builder would take a string's length */
    return frame_tcp(b, w->f);
}

static void random_addr(char *out, bool v6)
{
    uint8_t raw[16];

    for (uint32_t i = 0; i < 16; i++)
        raw[i] = (uint8_t)pick(256);
    inet_ntop(v6 ? AF_INET6 : AF_INET, raw, out, INET6_ADDRSTRLEN);
}

static struct words random_words(void)
{
    struct words w = {
        .f = {.flags = "P.", .v6 = pick(2), .plen = pick(300), .pad = pick(2) * pick(7)}};

    w.f.seq = (uint32_t)pick(1 << 30);
    w.f.vlan[0] = (uint16_t)(pick(3) ? 0 : 5);
    w.f.pppoe = pick(4) == 0;
    w.f.link = !w.f.pppoe && pick(4) == 0 ? FRAME_SNAP : FRAME_ETHER;
    w.f.has_ts = pick(2);
    w.f.sport = (uint16_t)(1 + pick(65535));
    random_addr(w.src, w.f.v6);
    random_addr(w.dst, w.f.v6);
    for (uint32_t i = 0; i < sizeof(w.payload); i++)
        w.payload[i] = (uint8_t)(pick(3) ? pick(256) : 0);
    if (!w.f.v6 && pick(4) == 0) {
        w.f.ip_opts = "\1\1\1\0";
        w.f.ip_optlen = 4;
    }
    return w;
}

/* check: the edited frame is the twin's; s tells what a fresh decode tells. */
static void check(const struct seg *s, struct words *w, const char *what)
{
    struct pktbuf *want = make(&twin, w), *got = s->pb;
    struct seg fresh;

    if (got->len != want->len || got->wire_len != want->wire_len)
        fail_msg("%s: length %u (wire %u), not %u", what, got->len, got->wire_len, want->len);
    for (uint32_t i = 0; i < got->len; i++) {
        if (got->data[i] != want->data[i])
            fail_msg("%s: byte %u is %02x, not %02x (l3 at %u, l4 at %u)", what, i, got->data[i],
                     want->data[i], s->l3_off, s->l4_off);
    }
    assert_true(got->flags & PB_CHANGED);
    decode(&fresh, got);
    assert_int_equal(fresh.plen, s->plen);
    assert_int_equal(fresh.pay_off, s->pay_off);
    assert_int_equal(fresh.seq, s->seq);
    assert_int_equal(fresh.sport, s->sport);
    assert_memory_equal(&fresh.src, &s->src, sizeof(s->src));
}

/* ---- the edits, each in both worlds ---- */

static void do_chomp(struct seg *s, struct words *w)
{
    uint32_t off = pick(w->f.plen + 1), len = 1 + pick(40);

    if (off + len > w->f.plen) {
        assert_int_equal(edit_chomp(s, off, len), -1);
        assert_int_equal(errno, EINVAL);
        return;
    }
    assert_int_equal(edit_chomp(s, off, len), 0);
    memmove(w->payload + off, w->payload + off + len, w->f.plen - off - len);
    w->f.plen -= len;
    check(s, w, "chomp");
}

static void do_insert(struct seg *s, struct words *w)
{
    uint32_t off = pick(w->f.plen + 1), len = 1 + pick(40);
    uint8_t data[40];

    if (w->f.plen + len > sizeof(w->payload))
        return;
    for (uint32_t i = 0; i < len; i++)
        data[i] = (uint8_t)pick(256);
    assert_int_equal(edit_insert(s, off, data, len), 0);
    memmove(w->payload + off + len, w->payload + off, w->f.plen - off);
    memcpy(w->payload + off, data, len);
    w->f.plen += len;
    check(s, w, "insert");
}

static void do_payload(struct seg *s, struct words *w)
{
    uint32_t off = pick(w->f.plen + 1), len = 1 + pick(40);
    uint8_t data[40];

    if (off + len > w->f.plen)
        return;
    for (uint32_t i = 0; i < len; i++)
        data[i] = (uint8_t)pick(256);
    assert_int_equal(edit_overwrite(s, s->pay_off + off, data, len), 0);
    memcpy(w->payload + off, data, len);
    check(s, w, "payload");
}

static void do_header(struct seg *s, struct words *w)
{
    uint16_t port = (uint16_t)(1 + pick(65535)), net_port = htons(port);
    uint32_t seq = 1 + pick(1 << 30), net_seq = htonl(seq);

    assert_int_equal(edit_overwrite(s, s->l4_off, (uint8_t *)&net_port, 2), 0);
    w->f.sport = port;
    check(s, w, "port");
    assert_int_equal(edit_overwrite(s, s->l4_off + 4u, (uint8_t *)&net_seq, 4), 0);
    w->f.seq = seq;
    check(s, w, "seq");
}

static void do_address(struct seg *s, struct words *w)
{
    uint32_t n = w->f.v6 ? 16 : 4;
    uint8_t raw[16];

    random_addr(w->dst, w->f.v6);
    inet_pton(w->f.v6 ? AF_INET6 : AF_INET, w->dst, raw);
    assert_int_equal(edit_overwrite(s, s->l3_off + (w->f.v6 ? 24u : 16u), raw, n), 0);
    check(s, w, "address");
}

static void do_ttl(struct seg *s, struct words *w)
{
    uint8_t ttl = (uint8_t)(1 + pick(255));

    assert_int_equal(edit_overwrite(s, s->l3_off + (w->f.v6 ? 7u : 8u), &ttl, 1), 0);
    w->f.ttl = ttl;
    check(s, w, "ttl");
}

/* IP header and TCP ports in one write, as a program does that edits a copy of the headers; checksum bytes go stale. */
static void do_across(struct seg *s, struct words *w)
{
    uint8_t copy[128];
    uint32_t off = s->l3_off + (w->f.v6 ? 8u : 12u), len = s->l4_off + 4u - off;
    uint16_t port = htons(4321);

    memcpy(copy, s->pb->data + off, len);
    random_addr(w->src, w->f.v6);
    inet_pton(w->f.v6 ? AF_INET6 : AF_INET, w->src, copy);
    memcpy(copy + len - 4, &port, 2);
    w->f.sport = 4321;
    assert_int_equal(edit_overwrite(s, off, copy, len), 0);
    check(s, w, "across");
}

static void (*const edits[])(struct seg *, struct words *) = {
    do_chomp, do_insert, do_payload, do_header, do_address, do_ttl, do_across,
};

static void random_edits(void **state)
{
    print_message("seed %u\n", seed);
    for (uint32_t i = 0; i < 4000; i++) {
        struct words w = random_words();
        struct seg s;

        decode(&s, make(&fb, &w));
        assert_int_equal(s.level, SEG_TCP);
        for (uint32_t n = 1 + pick(10); n > 0; n--)
            edits[pick(ARRAY_SIZE(edits))](&s, &w);
    }
}

/* ---- what is not right before stays so, no more, no less ---- */

static uint32_t tcp_error(const struct pktbuf *pb)
{
    struct frame_buf copy = *(const struct frame_buf *)(const void *)pb;
    uint16_t was, right;
    struct seg s;

    copy.pb.data = copy.room + FRAME_HEADROOM;
    decode(&s, &copy.pb);
    memcpy(&was, copy.pb.data + s.l4_off + 16, 2);
    csum_tcp_set(&s);
    memcpy(&right, copy.pb.data + s.l4_off + 16, 2);
    return (uint32_t)(ntohs(was) + 0xffff - ntohs(right)) % 0xffff;
}

static void wrong_stays_equally_wrong(void **state)
{
    for (uint32_t i = 0; i < 300; i++) {
        struct pktbuf *pb =
            frame_tcp(&fb, (struct frame){.plen = 50 + pick(9), .bad_csum = true, .v6 = pick(2)});
        uint32_t error = tcp_error(pb), at;
        struct seg s;

        decode(&s, pb);
        edit_overwrite(&s, s.pay_off + pick(9), (const uint8_t *)"zzz", 3);
        at = pick(20);
        edit_chomp(&s, at, 1 + pick(9));
        edit_insert(&s, pick(20), (const uint8_t *)"abcdefghi", 1 + pick(9));
        edit_overwrite(&s, s.l3_off + 20u, (const uint8_t *)"\7\7", 2);
        assert_int_not_equal(error, 0);
        assert_int_equal(tcp_error(pb), error);
    }
}

static void bad_ip_sum_stays(void **state)
{
    struct seg s;

    decode(&s, frame_tcp(&fb, (struct frame){.plen = 5, .bad_ipcsum = true}));
    assert_int_equal(edit_overwrite(&s, s.l3_off + 8u, (const uint8_t *)"\5", 1), 0);
    assert_int_equal(s.ttl, 5);
    assert_true(s.flags & SEG_IPCSUM_BAD);
    frame_tcp(&twin, (struct frame){.plen = 5, .ttl = 5});
    assert_int_not_equal(fb.pb.data[s.l3_off + 11], twin.pb.data[s.l3_off + 11]);
    csum_ip_set(&s);
    assert_memory_equal(fb.pb.data, twin.pb.data, fb.pb.len);
}

static void own_word_for_checksums(void **state)
{
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.plen = 5});
    struct seg s;
    bool known;

    decode(&s, pb);
    edit_overwrite(&s, s.l4_off + 16u, (const uint8_t *)"\x12\x34", 2);
    assert_memory_equal(pb->data + s.l4_off + 16, "\x12\x34", 2);
    edit_overwrite(&s, s.l3_off + 10u, (const uint8_t *)"\x56\x78", 2);
    assert_memory_equal(pb->data + s.l3_off + 10, "\x56\x78", 2);
    csum_ip_set(&s);
    csum_tcp_set(&s);
    assert_true(csum_tcp_ok(&s, &known));
}

static void unfinished_stays_unfinished(void **state)
{
    struct frame f = {.plen = 9, .sport = 99};
    struct pktbuf *pb = frame_tcp(&fb, f);
    uint16_t sum, want;
    struct seg s;

    /* PB_CSUM_PART: the field holds the sum of the pseudo header alone */
    decode(&s, pb);
    sum = frame_csum("\12\0\0\1\12\0\0\2\0\6\0\35", 12) ^ 0xffff;
    sum = htons(sum);
    memcpy(pb->data + s.l4_off + 16, &sum, 2);
    pb->flags = PB_CSUM_PART;
    edit_overwrite(&s, s.pay_off, (const uint8_t *)"xy", 2);
    assert_memory_equal(pb->data + s.l4_off + 16, &sum, 2);
    edit_chomp(&s, 0, 3);
    edit_overwrite(&s, s.l3_off + 12u, (const uint8_t *)"\xfe\xdc\xba\x98", 4);
    want = htons(frame_csum("\xfe\xdc\xba\x98\12\0\0\2\0\6\0\32", 12) ^ 0xffff);
    assert_memory_equal(pb->data + s.l4_off + 16, &want, 2);
}

/* ---- shapes that move ---- */

static void length_written_then_chomped(void **state)
{
    /* as mOS programs do it: the new total length first, then the payload */
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.payload = "0123456789"});
    struct seg s;

    decode(&s, pb);
    assert_int_equal(edit_overwrite(&s, s.l3_off + 2u, (const uint8_t *)"\0\x2f", 2), 0);
    assert_int_equal(s.plen, 7);
    assert_int_equal(edit_chomp(&s, 0, 2), 0);
    frame_tcp(&twin, (struct frame){.payload = "23456"});
    assert_int_equal(pb->len, twin.pb.len + 3); /* what the length cut off is padding now */
    assert_memory_equal(pb->data, twin.pb.data, twin.pb.len);
}

static void family_of_lengths(void **state)
{
    /* a write that changes where the payload ends keeps the checksum's error: none */
    struct seg s;
    bool known;

    for (int v6 = 0; v6 < 2; v6++) {
        struct pktbuf *pb = frame_tcp(&fb, (struct frame){.plen = 41, .v6 = v6});

        decode(&s, pb);
        assert_int_equal(edit_overwrite(&s, s.l3_off + (v6 ? 5u : 3u), (const uint8_t *)"\x2e", 1),
                         0);
        assert_int_equal(s.plen, v6 ? 0x2e - 20 : 0x2e - 40);
        assert_true(csum_tcp_ok(&s, &known));
        assert_false(s.flags & SEG_IPCSUM_BAD);
    }
}

static void header_length_moves(void **state)
{
    /* the first 4 bytes of the TCP header become IP options: a right checksum stays right */
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.plen = 60, .id = 3});
    struct seg s;

    decode(&s, pb);
    pb->data[14 + 20 + 12 + 4] = 0x50; /* a data offset where the moved header will have it */
    csum_tcp_set(&s);
    assert_int_equal(edit_overwrite(&s, 14, (const uint8_t *)"\x46", 1), 0);
    assert_int_equal(s.level, SEG_TCP);
    assert_int_equal(s.l4_off, 14 + 24);
    assert_false(s.flags & SEG_IPCSUM_BAD);
    assert_int_equal(tcp_error(pb), 0);
}

static void link_header(void **state)
{
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.plen = 41, .vlan = {5}});
    struct seg s;
    bool known;

    decode(&s, pb);
    assert_int_equal(edit_overwrite(&s, 0, (const uint8_t *)"\2\2\2\2\2\2\4\4\4\4\4\4", 12), 0);
    assert_int_equal(edit_overwrite(&s, 14, (const uint8_t *)"\0\x9", 2), 0);
    assert_int_equal(s.vlan[0], 9);
    assert_true(csum_tcp_ok(&s, &known));
    assert_int_equal(edit_overwrite(&s, 16, (const uint8_t *)"\x08\x06", 2),
                     0); /* no IP any more */
    assert_int_equal(s.reason, REASON_LINK_UNKNOWN);
    assert_int_equal(edit_overwrite(&s, 16, (const uint8_t *)"\x08\x00", 2), 0);
    assert_true(csum_tcp_ok(&s, &known));
}

static void not_tcp(void **state)
{
    struct pktbuf *pb = frame_udp(&fb, (struct frame){.plen = 41});
    struct seg s;

    decode(&s, pb);
    assert_int_equal(edit_overwrite(&s, s.l3_off + 8u, (const uint8_t *)"\5", 1), 0);
    assert_false(s.flags & SEG_IPCSUM_BAD);
    frame_udp(&twin, (struct frame){.plen = 41, .ttl = 5});
    assert_memory_equal(pb->data, twin.pb.data, pb->len);
    assert_int_equal(edit_chomp(&s, 0, 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(edit_insert(&s, 0, (const uint8_t *)"x", 1), -1);
    assert_int_equal(errno, EINVAL);
}

static void offload_length_stays_0(void **state)
{
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.plen = 41, .ip_len_zero = true});
    struct seg s;
    bool known;

    decode(&s, pb);
    assert_int_equal(edit_chomp(&s, 3, 5), 0);
    assert_int_equal(s.plen, 36);
    assert_memory_equal(pb->data + s.l3_off + 2, "\0\0", 2);
    assert_true(csum_tcp_ok(&s, &known));
}

static void truncated_capture(void **state)
{
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.plen = 100, .snap = 14 + 40 + 30});
    struct seg s;

    decode(&s, pb);
    assert_int_equal(edit_chomp(&s, 10, 21), -1); /* one more than there is */
    assert_int_equal(edit_chomp(&s, 10, 20), 0);
    assert_int_equal(s.pcap, 10);
    assert_int_equal(s.plen, 80);
    assert_int_equal(edit_insert(&s, 10, (const uint8_t *)"abcd", 4), 0);
    assert_int_equal(s.pcap, 14);
    assert_int_equal(s.plen, 84);
    assert_int_equal(pb->wire_len, 14 + 40 + 84);
    assert_false(s.flags & SEG_IPCSUM_BAD);
}

static void refusals(void **state)
{
    static uint8_t big[65536];
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.payload = "0123456789"});
    struct seg s;

    decode(&s, pb);
    assert_int_equal(edit_overwrite(&s, pb->len - 1, big, 2), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(edit_overwrite(&s, pb->len + 1, big, 0), -1);
    assert_int_equal(edit_overwrite(&s, 1, big, UINT32_MAX), -1);
    assert_int_equal(edit_overwrite(&s, pb->len, big, 0), 0);
    assert_int_equal(edit_chomp(&s, UINT32_MAX, 2), -1);
    assert_int_equal(edit_chomp(&s, 1, UINT32_MAX), -1);
    assert_int_equal(edit_insert(&s, 11, big, 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(edit_insert(&s, 0, big, 65535 - 50 + 1), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_true(strlen(err_text()) > 0);
    assert_int_equal(edit_insert(&s, 0, big, UINT32_MAX), -1);
    assert_int_equal(errno, EMSGSIZE);
    pb->cap = pb->len + 5;
    assert_int_equal(edit_insert(&s, 0, big, 6), -1);
    assert_int_equal(errno, ENOSPC);
    assert_false(pb->flags & PB_CHANGED);
    assert_int_equal(edit_insert(&s, 0, big, 5), 0);
    assert_true(pb->flags & PB_CHANGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_edits),
        cmocka_unit_test(wrong_stays_equally_wrong),
        cmocka_unit_test(bad_ip_sum_stays),
        cmocka_unit_test(own_word_for_checksums),
        cmocka_unit_test(unfinished_stays_unfinished),
        cmocka_unit_test(length_written_then_chomped),
        cmocka_unit_test(family_of_lengths),
        cmocka_unit_test(header_length_moves),
        cmocka_unit_test(link_header),
        cmocka_unit_test(not_tcp),
        cmocka_unit_test(offload_length_stays_0),
        cmocka_unit_test(truncated_capture),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
