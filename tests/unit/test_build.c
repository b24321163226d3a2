// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_build.c: segments of our own compared byte for byte with what the test's builder makes of the same words.
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
#include "wire/build.h"
#include "wire/csum.h"
#include "wire/decode.h"

static struct frame_buf like_buf, want_buf;
static uint8_t out[FRAME_ROOM];

static void expect(struct frame like, const struct build_tcp *b, struct frame want)
{
    struct build_tcp copy = *b;
    struct pktbuf *wanted;
    struct seg s;
    uint32_t len;

    decode(&s, frame_tcp(&like_buf, like));
    copy.like = &s;
    len = build_tcp(out, sizeof(out), &copy);
    want.df = true;
    wanted = frame_tcp(&want_buf, want);
    assert_int_equal(len, wanted->len);
    assert_memory_equal(out, wanted->data, len);
    assert_int_equal(build_tcp(out, len, &copy), len);
    assert_int_equal(build_tcp(out, len - 1, &copy), 0);
}

/* In each way of carrying IP that has a length or an address to get right. */
static const struct frame carriers[] = {
    {.link = FRAME_ETHER},
    {.v6 = true},
    {.vlan = {100}},
    {.vlan = {7, 8, 9}, .v6 = true},
    {.link = FRAME_SNAP},
    {.link = FRAME_SNAP, .vlan = {3}, .v6 = true},
    {.pppoe = true},
    {.pppoe = true, .vlan = {3}, .v6 = true},
    {.mpls = 2},
    {.link = FRAME_SLL},
    {.link = FRAME_SLL2, .v6 = true},
    {.link = FRAME_RAW},
    {.link = FRAME_NULL_SWAP},
};

static void same_direction(void **state)
{
    static const struct build_tcp b = {.seq = 1000,
                                       .ack = 2000,
                                       .win = 77,
                                       .tflags = TH_PSH_ | TH_ACK_,
                                       .payload = (const uint8_t *)"hello, world",
                                       .plen = 12};

    for (size_t i = 0; i < ARRAY_SIZE(carriers); i++) {
        struct frame like = carriers[i], want = carriers[i];

        like.plen = 33;
        like.mss = 99; /* options are not copied, nor payload */
        like.pad = 3;
        want.flags = "P.";
        want.seq = 1000;
        want.ack = 2000;
        want.win = 77;
        want.payload = "hello, world";
        expect(like, &b, want);
    }
}

static void reversed_reset(void **state)
{
    static const struct build_tcp b = {
        .reverse = true, .seq = 5, .ack = 6, .tflags = TH_RST_ | TH_ACK_};

    for (size_t i = 0; i < ARRAY_SIZE(carriers); i++) {
        struct frame like = carriers[i], want = carriers[i];

        like.flags = "S";
        want.reply = true;
        want.flags = "R.";
        want.seq = 5;
        want.ack = 6;
        want.win = FRAME_ZERO;
        expect(like, &b, want);
    }
}

static void with_timestamps(void **state)
{
    static const struct build_tcp b = {.seq = 1,
                                       .ack = 2,
                                       .win = 9,
                                       .tflags = TH_ACK_,
                                       .ts = true,
                                       .tsval = 0xfffffffe,
                                       .tsecr = 3,
                                       .payload = (const uint8_t *)"x",
                                       .plen = 1};
    struct frame want = {.seq = 1, .ack = 2, .win = 9, .ts = {0xfffffffe, 3}, .payload = "x"};

    expect((struct frame){.ttl = 3, .tos = 9}, &b, want);
}

static void headers_are_plain(void **state)
{
    /* IP options and extension headers stay behind */
    static const struct build_tcp b = {.seq = 1, .ack = 2, .win = 9, .tflags = TH_ACK_};
    struct frame want = {.seq = 1, .ack = 2, .win = 9};

    expect((struct frame){.ip_opts = "\x94\4\0\0", .ip_optlen = 4}, &b, want);
    want.v6 = true;
    expect(
        (struct frame){.v6 = true, .ip_opts = "\6\0\1\4\0\0\0\0", .ip_optlen = 8, .ext_first = 60},
        &b, want);
    expect((struct frame){.v6 = true, .frag6 = true}, &b, want);
}

static void rewritten_addresses_count(void **state)
{
    struct build_tcp b = {.seq = 1, .ack = 2, .win = 9, .tflags = TH_ACK_};
    struct seg s;

    decode(&s, frame_tcp(&like_buf, (struct frame){.sport = 5}));
    inet_pton(AF_INET, "203.0.113.9", s.src.b); /* as translation leaves it in the record */
    s.sport = htons(4000);
    b.like = &s;
    frame_tcp(&want_buf,
              (struct frame){
                  .src = "203.0.113.9", .sport = 4000, .seq = 1, .ack = 2, .win = 9, .df = true});
    assert_int_equal(build_tcp(out, sizeof(out), &b), want_buf.pb.len);
    assert_memory_equal(out, want_buf.pb.data, want_buf.pb.len);
}

static void too_long_for_ip(void **state)
{
    static uint8_t big[70000];
    struct build_tcp b = {.tflags = TH_ACK_, .payload = big, .plen = 65535 - 40};
    static uint8_t room[80000];
    struct seg s;

    decode(&s, frame_tcp(&like_buf, (struct frame){0}));
    b.like = &s;
    assert_int_equal(build_tcp(room, sizeof(room), &b), 14 + 65535);
    b.plen++;
    assert_int_equal(build_tcp(room, sizeof(room), &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_direction),
        cmocka_unit_test(reversed_reset),
        cmocka_unit_test(with_timestamps),
        cmocka_unit_test(headers_are_plain),
        cmocka_unit_test(rewritten_addresses_count),
        cmocka_unit_test(too_long_for_ip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
