// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_segprint.c: the line for each sort of frame, and its length in any buffer.
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

#include "frames.h"
#include "wire/decode.h"
#include "wire/print.h"

static struct frame_buf fb;

static void expect(struct pktbuf *pb, const char *want)
{
    char line[512];
    struct seg s;

    decode(&s, pb);
    assert_int_equal(seg_print(line, sizeof(line), &s), (int)strlen(want));
    assert_string_equal(line, want);
    for (size_t cap = 0; cap <= strlen(want); cap++) { /* exact memory, each size */
        char *small = malloc(cap + 1);

        assert_int_equal(seg_print(small, cap, &s), (int)strlen(want));
        if (cap > 0) {
            assert_int_equal(strlen(small), cap - 1);
            assert_memory_equal(small, want, cap - 1);
        }
        free(small);
    }
}

static void tcp_lines(void **state)
{
    expect(
        frame_tcp(&fb, (struct frame){.flags = "P.", .seq = 1, .ack = 1, .win = 502, .plen = 100}),
        "10.0.0.1.1234 > 10.0.0.2.80: Flags [P.], seq 1:101, ack 1, win 502, length 100");
    expect(frame_tcp(&fb, (struct frame){FRAME_REPLY, .seq = 1, .ack = 101}),
           "10.0.0.2.80 > 10.0.0.1.1234: Flags [.], ack 101, win 8192, length 0");
    expect(frame_tcp(&fb, (struct frame){.v6 = true, .flags = "F.", .seq = 7, .win = FRAME_ZERO}),
           "2001:db8::1.1234 > 2001:db8::2.80: Flags [F.], seq 7, ack 0, win 0, length 0");
    expect(frame_tcp(&fb, (struct frame){.flags = "R", .seq = 9, .ack = 4}),
           "10.0.0.1.1234 > 10.0.0.2.80: Flags [R], seq 9, win 8192, length 0");
    expect(frame_tcp(&fb, (struct frame){.flags = ""}),
           "10.0.0.1.1234 > 10.0.0.2.80: Flags [none], win 8192, length 0");
    expect(
        frame_tcp(&fb, (struct frame){.flags = "FSRP.UEW", .urp = 5, .seq = 0xffffffff, .plen = 3}),
        "10.0.0.1.1234 > 10.0.0.2.80: Flags [FSRP.UEW], seq 4294967295:2, ack 0, win 8192, urg 5, "
        "length 3");
}

static void options(void **state)
{
    struct frame syn = {.flags = "S",
                        .seq = 9,
                        .mss = 1460,
                        .sackok = true,
                        .ts = {4, 5},
                        .wscale = FRAME_WSCALE(7)};

    expect(frame_tcp(&fb, syn), "10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 9, win 8192, "
                                "options [mss 1460,sackOK,TS val 4 ecr 5,wscale 7], length 0");
    expect(frame_tcp(&fb, (struct frame){.sack = {1, 2, 3, 4}}),
           "10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 0, win 8192, options [sack 2 {1:2}{3:4}], "
           "length 0");
    expect(frame_tcp(&fb, (struct frame){.opts = "\x22\2\x1d\4\1\1\2\x63", .optlen = 8}),
           "10.0.0.1.1234 > 10.0.0.2.80: Flags [.], ack 0, win 8192, options [tfo,auth,bad], "
           "length 0");
    syn.snap = 14 + 20 + 26;
    expect(frame_tcp(&fb, syn), "10.0.0.1.1234 > 10.0.0.2.80: Flags [S], seq 9, win 8192, options "
                                "[mss 1460,|tcp], length 0");
}

static void other_datagrams(void **state)
{
    expect(frame_udp(&fb, (struct frame){.sport = 53, .dport = 53, .plen = 20}),
           "10.0.0.1.53 > 10.0.0.2.53: UDP, length 20");
    expect(frame_ip(&fb, (struct frame){.proto = 1, .plen = 16}),
           "10.0.0.1 > 10.0.0.2: ICMP, length 16");
    expect(frame_ip(&fb, (struct frame){.proto = 58, .plen = 16, .v6 = true}),
           "2001:db8::1 > 2001:db8::2: ICMP6, length 16");
    expect(frame_ip(&fb, (struct frame){.proto = 89, .plen = 4}),
           "10.0.0.1 > 10.0.0.2: ip-proto-89, length 4");
}

static void fragments(void **state)
{
    expect(
        frame_ip(&fb,
                 (struct frame){.proto = 6, .plen = 16, .id = 7, .frag_off = 8, .frag_more = true}),
        "10.0.0.1 > 10.0.0.2: frag (id 7, offset 8+, proto 6), length 16");
    expect(
        frame_ip(&fb,
                 (struct frame){.v6 = true, .proto = 17, .plen = 3, .id = 70000, .frag_off = 1448}),
        "2001:db8::1 > 2001:db8::2: frag (id 70000, offset 1448, proto 17), length 3");
}

static void refused(void **state)
{
    static const uint8_t arp[60] = {[12] = 0x08, [13] = 0x06};

    expect(frame_bytes(&fb, arp, sizeof(arp), 1),
           "ethertype 0x0806: link type or ethertype that carries no IP");
    expect(frame_bytes(&fb, arp, 5, 1), "link type 1: frame ends inside its link-layer header");
    expect(frame_tcp(&fb, (struct frame){.doff = 4, .plen = 2}),
           "10.0.0.1.1234 > 10.0.0.2.80: TCP, length 22 [TCP data offset below 5 or beyond the "
           "segment]");
    expect(frame_tcp(&fb, (struct frame){.snap = 14 + 22}),
           "10.0.0.1 > 10.0.0.2: TCP, length 20 [segment ends inside the TCP header]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_lines), cmocka_unit_test(options), cmocka_unit_test(other_datagrams),
        cmocka_unit_test(fragments), cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
