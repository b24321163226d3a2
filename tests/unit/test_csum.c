// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_csum.c: checksums against the RFCs' own numbers, a naive sum, and the frames that scapy made.
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
#include "vectors.h"
#include "wire/csum.h"
#include "wire/decode.h"

static struct frame_buf fb;
static unsigned seed = 1071;

static uint32_t pick(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

static uint16_t full(const void *p, size_t len)
{
    return ntohs(csum_fold(csum_add(0, p, len)));
}

static void rfc1071_example(void **state)
{
    /* RFC 1071 3: the sum is ddf2 */
    assert_int_equal(full("\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8), 0xffff ^ 0xddf2);
    assert_int_equal(full("", 0), 0xffff);
    assert_int_equal(full("\xff", 1), 0xffff ^ 0xff00);
    assert_int_equal(full("\xff\xff\xff\xff", 4), 0);
}

static void rfc1624_example(void **state)
{
    /* RFC 1624 4: HC dd2f, m 5555 -> 3285: HC' is 0000, where eqn. 2 says ffff */
    assert_int_equal(ntohs(csum_update(htons(0xdd2f), "\x55\x55", 2, "\x32\x85", 2)), 0x0000);
}

static void random_sums(void **state)
{
    static uint8_t bytes[1600];

    print_message("seed %u\n", seed);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t off = pick(16), len = pick(i % 50 ? 90 : 1500), cut = pick(len + 1) & ~1u;
        uint8_t fill = (uint8_t)(pick(4) ? 0 : 0xff);

        for (uint32_t j = 0; j < len; j++)
            bytes[off + j] = fill ? fill : (uint8_t)pick(256);
        assert_int_equal(full(bytes + off, len), frame_csum(bytes + off, len));
        /* in two pieces */
        assert_int_equal(
            csum_fold(csum_add(csum_add(0, bytes + off, cut), bytes + off + cut, len - cut)),
            htons(frame_csum(bytes + off, len)));
    }
}

static void update_equals_full(void **state)
{
    uint8_t msg[64];

    for (uint32_t i = 0; i < 50000; i++) {
        uint32_t at = 2 + 2 * pick(20), len = pick(20);
        uint16_t field;
        uint8_t new_[20];

        for (uint32_t j = 0; j < sizeof(msg); j++)
            msg[j] = pick(3) ? (uint8_t)pick(256) : 0;
        msg[0] = 1; /* no real message is all zeros */
        field = htons(full(msg, sizeof(msg)));
        for (uint32_t j = 0; j < len; j++)
            new_[j] = (uint8_t)pick(256);
        if (len &
            1) /* an odd piece is padded with zero, so its neighbour must be zero before and after */
            msg[at + len] = 0, field = htons(full(msg, sizeof(msg)));
        field = csum_update(field, msg + at, len, new_, len);
        memcpy(msg + at, new_, len);
        assert_int_equal(ntohs(field), frame_csum(msg, sizeof(msg)));
    }
}

static void scapy_frames_are_right(void **state)
{
    uint32_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(frame_vecs); i++) {
        const struct frame_vec *v = &frame_vecs[i];
        struct seg s;
        bool known, ok;

        decode(&s, frame_bytes(&fb, v->bytes, v->len, v->dlt));
        ok = csum_tcp_ok(&s, &known);
        if (known != (v->level == SEG_TCP) || ok != (known && !v->nocsum))
            fail_msg("%s: known %d, ok %d", v->name, known, ok);
        n += ok;
    }
    assert_true(n > 50);
}

/* Every bit of the segment, the addresses and nothing else counts. */
static void every_bit_counts(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct pktbuf *pb =
            frame_tcp(&fb, (struct frame){.v6 = v6, .plen = 7, .ts = {1, 2}, .pad = 5});
        struct seg s;
        bool known;

        for (uint32_t bit = 14 * 8; bit < pb->len * 8; bit++) {
            uint32_t off = bit / 8;
            bool address = off >= 14u + (v6 ? 8 : 12) && off < 14u + (v6 ? 40 : 20), covered;

            pb->data[off] ^= (uint8_t)(1 << bit % 8);
            decode(&s, pb);
            covered = address || (off >= 14u + (v6 ? 40 : 20) && off < pb->len - 5);
            if (s.level == SEG_TCP && s.ip_len == (v6 ? 79 : 59))
                assert_int_equal(csum_tcp_ok(&s, &known), !covered);
            pb->data[off] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void unknown_is_said(void **state)
{
    struct seg s;
    bool known = true;

    decode(&s, frame_tcp(&fb, (struct frame){.plen = 50, .snap = 100}));
    assert_false(csum_tcp_ok(&s, &known));
    assert_false(known);
    decode(&s, frame_udp(&fb, (struct frame){.plen = 50}));
    assert_false(csum_tcp_ok(&s, &known));
    assert_false(known);
    decode(&s, frame_tcp(&fb, (struct frame){.bad_csum = true}));
    assert_false(csum_tcp_ok(&s, &known));
    assert_true(known);
}

static void device_is_believed(void **state)
{
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.bad_csum = true});
    struct seg s;
    bool known;

    decode(&s, pb);
    pb->flags = PB_CSUM_GOOD;
    assert_true(csum_tcp_ok(&s, &known));
    assert_true(known);
    pb->flags = PB_CSUM_PART;
    assert_false(csum_tcp_ok(&s, &known));
    assert_false(known);
    pb->flags = PB_CSUM_BAD;
    assert_false(csum_tcp_ok(&s, &known));
    assert_true(known);
}

/* What the device finishes gets the pseudo header's sum: that, and the segment, make it right. */
static void device_finishes(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct pktbuf *pb = frame_tcp(&fb, (struct frame){.v6 = v6, .plen = 33, .bad_csum = true});
        uint16_t csum;
        struct seg s;
        bool known;

        decode(&s, pb);
        pb->flags = PB_CSUM_PART;
        csum_tcp_set(&s);
        assert_true(pb->flags & PB_CSUM_PART);
        csum = csum_fold(csum_add(0, pb->data + s.l4_off, s.hdr_len + s.plen));
        memcpy(pb->data + s.l4_off + 16, &csum, 2);
        pb->flags = 0;
        assert_true(csum_tcp_ok(&s, &known) && known);
    }
}

static void set_makes_right(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct pktbuf *pb = frame_tcp(
            &fb,
            (struct frame){.v6 = v6, .plen = 33, .bad_csum = true, .bad_ipcsum = true, .pad = 3});
        struct frame_buf good;
        struct seg s;

        decode(&s, pb);
        csum_tcp_set(&s);
        csum_ip_set(&s);
        frame_tcp(&good, (struct frame){.v6 = v6, .plen = 33, .pad = 3});
        assert_memory_equal(pb->data, good.pb.data, pb->len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc1071_example),
        cmocka_unit_test(rfc1624_example),
        cmocka_unit_test(random_sums),
        cmocka_unit_test(update_equals_full),
        cmocka_unit_test(scapy_frames_are_right),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(unknown_is_said),
        cmocka_unit_test(device_is_believed),
        cmocka_unit_test(device_finishes),
        cmocka_unit_test(set_makes_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
