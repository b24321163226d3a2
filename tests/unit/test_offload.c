// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_offload.c: frames cut up and checksums filled in, against frames that tests/support makes
 * one by one, each with its own checksum computed the naive way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_net.h>

#include "frames.h"
#include "io/io.h"
#include "io/offload.h"

#define GSO_UDP_L4 5 /* VIRTIO_NET_HDR_GSO_UDP_L4 */

static struct frame_buf big, one;
static uint8_t room[FRAME_ROOM];
static unsigned seed = 9000;

static uint32_t pick(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

/* where the transport header starts */
static uint32_t l4_of(const struct frame *f, const struct pktbuf *pb)
{
    uint32_t l3 = 14 + f->nvlan * 4u;

    return l3 + (f->v6 ? 40 : (pb->data[l3] & 15u) * 4);
}

/* naive_pseudo: the sum of the pseudo header, byte by byte. */
static uint16_t naive_pseudo(const struct frame *f, const struct pktbuf *pb, uint32_t l4, int proto)
{
    uint32_t l3 = 14 + f->nvlan * 4u, len = pb->len - l4, n = 0;
    uint8_t p[40] = {0};

    n = f->v6 ? 32 : 8;
    memcpy(p, pb->data + l3 + (f->v6 ? 8 : 12), n);
    p[n + 1] = (uint8_t)proto;
    p[n + 2] = (uint8_t)(len >> 8);
    p[n + 3] = (uint8_t)len;
    return (uint16_t)~frame_csum(p, n + 4);
}

/* unfinished: the frame as a sender with offloads gives it to its card. */
static void unfinished(const struct frame *f, struct pktbuf *pb, int proto)
{
    uint32_t l4 = l4_of(f, pb);
    uint16_t sum = naive_pseudo(f, pb, l4, proto);

    pb->csum_start = (uint16_t)l4;
    pb->csum_off = proto == 6 ? 16 : 6;
    pb->flags |= PB_CSUM_PART;
    pb->data[l4 + pb->csum_off] = (uint8_t)(sum >> 8);
    pb->data[l4 + pb->csum_off + 1] = (uint8_t)sum;
}

static struct frame random_frame(void)
{
    struct frame f = {.v6 = pick(2), .nvlan = (uint8_t)pick(3), .seq = 0xfffffe00u};

    for (int i = 0; i < f.nvlan; i++)
        f.vlan[i] = (uint16_t)(7 + i);
    if (f.nvlan == 2)
        f.tpid = 0x88a8;
    if (pick(2))
        f.has_ts = true, f.ts[0] = 1, f.ts[1] = 2;
    f.id = 0xfffe;
    f.df = true;
    f.plen = pick(5) ? 1 + pick(3000) : 0;
    f.flags = pick(2) ? "P." : "F.";
    return f;
}

static void finishes_what_a_sender_left(void **state)
{
    for (int i = 0; i < 2000; i++) {
        bool udp = pick(3) == 0;
        struct frame f = random_frame();
        struct pktbuf *want, *pb;

        if (udp)
            f.has_ts = false, f.ts[0] = f.ts[1] = 0;
        want = udp ? frame_udp(&one, f) : frame_tcp(&one, f);
        pb = udp ? frame_udp(&big, f) : frame_tcp(&big, f);
        unfinished(&f, pb, udp ? 17 : 6);
        assert_true(io_finish_csum(pb));
        assert_int_equal(pb->flags & PB_CSUM_PART, 0);
        assert_memory_equal(pb->data, want->data, want->len);
        assert_true(io_finish_csum(pb)); /* once is enough */
        assert_memory_equal(pb->data, want->data, want->len);
    }
}

/* A UDP checksum that comes out as 0 is sent as ffff. */
static void zero_is_not_none(void **state)
{
    for (uint32_t v = 0; v < 0x10000; v++) {
        uint8_t payload[2] = {(uint8_t)(v >> 8), (uint8_t)v};
        struct frame f = {.payload = payload, .plen = 2};
        struct pktbuf *pb = frame_udp(&big, f);

        unfinished(&f, pb, 17);
        assert_true(io_finish_csum(pb));
        assert_false(pb->data[40] == 0 && pb->data[41] == 0);
    }
}

static void leaves_what_it_cannot(void **state)
{
    struct frame f = {.plen = 100};
    struct pktbuf *pb = frame_tcp(&big, f);

    unfinished(&f, pb, 6);
    pb->len = 51; /* 34 + 16 + 2 are needed */
    pb->wire_len = 51;
    assert_false(io_finish_csum(pb));
    pb->len = 100;
    pb->wire_len = 154; /* not all captured */
    assert_false(io_finish_csum(pb));
    assert_int_equal(pb->flags & PB_CSUM_PART, PB_CSUM_PART);
}

/* cut_one: the frame f, cut; each piece is the one that tests/support makes. */
static uint32_t cut_one(struct frame f, uint32_t gso, bool part, int type)
{
    static const char *const last_flags[] = {"P.", "F."};
    bool fin = f.flags[0] == 'F', ecn = type & VIRTIO_NET_HDR_GSO_ECN;
    struct frame whole = f;
    struct pktbuf *pb;
    struct io_split s;
    uint32_t n = 0, at = 0, len;

    whole.flags = ecn ? (fin ? "F.W" : "P.W") : f.flags;
    pb = frame_tcp(&big, whole);
    if (part)
        unfinished(&f, pb, 6);
    pb->gso_size = (uint16_t)gso;
    pb->gso_type = (uint16_t)type;
    assert_true(io_split_begin(&s, pb));
    while ((len = io_split_next(&s, room, sizeof(room))) > 0) {
        struct frame g = f;
        bool last = f.plen - at <= gso;

        g.plen = last ? f.plen - at : gso;
        g.seq = f.seq + at;
        g.id = (f.id + n) & 0xffff;
        g.flags = last ? last_flags[fin] : ".";
        if (ecn && n == 0)
            g.flags = last ? whole.flags : ".W";
        frame_tcp(&one, g);
        assert_int_equal(len, one.pb.len);
        assert_memory_equal(room, one.pb.data, len);
        assert_true(len <= io_split_longest(&s));
        at += g.plen;
        n++;
    }
    assert_int_equal(at, f.plen);
    return n;
}

static void cuts_as_the_sender_would(void **state)
{
    uint32_t n = 0;

    for (int i = 0; i < 2000; i++) {
        struct frame f = random_frame();
        int type = f.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
        uint32_t size = 1 + pick(1500);
        bool part = pick(2);

        n += cut_one(f, size, part, type | (pick(2) ? VIRTIO_NET_HDR_GSO_ECN : 0));
    }
    assert_true(n > 5000);
}

static void cuts_udp(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame f = {.v6 = v6, .plen = 1000, .id = 5}, g = f;
        struct pktbuf *pb = frame_udp(&big, f);
        struct io_split s;
        uint32_t len, at = 0;

        pb->gso_size = 300;
        pb->gso_type = GSO_UDP_L4;
        assert_true(io_split_begin(&s, pb));
        for (; (len = io_split_next(&s, room, sizeof(room))) > 0; at += g.plen, g.id++) {
            g.plen = 1000 - at < 300 ? 1000 - at : 300;
            g.payload = pb->data + 14 + (v6 ? 40 : 20) + 8 + at;
            frame_udp(&one, g);
            assert_int_equal(len, one.pb.len);
            assert_memory_equal(room, one.pb.data, len);
        }
        assert_int_equal(at, 1000);
    }
}

/* What someone has finished is made unfinished again as the sender had it. */
static void takes_a_checksum_out(void **state)
{
    for (int i = 0; i < 500; i++) {
        struct frame f = random_frame();
        struct pktbuf *want = frame_tcp(&one, f), *pb = frame_tcp(&big, f);

        unfinished(&f, want, 6);
        pb->gso_size = 500;
        pb->gso_type = f.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
        pb->flags |= PB_CSUM_GOOD;
        assert_true(io_part_csum(pb));
        assert_int_equal(pb->flags & (PB_CSUM_PART | PB_CSUM_GOOD), PB_CSUM_PART);
        assert_int_equal(pb->csum_start, want->csum_start);
        assert_int_equal(pb->csum_off, want->csum_off);
        assert_memory_equal(pb->data, want->data, want->len);
    }
}

static void refuses_what_it_does_not_know(void **state)
{
    struct frame f = {.plen = 2000};
    struct pktbuf *pb = frame_tcp(&big, f);
    struct io_split s;

    pb->gso_size = 1000;
    pb->gso_type = VIRTIO_NET_HDR_GSO_UDP; /* IP fragments */
    assert_false(io_split_begin(&s, pb));
    pb->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    for (uint32_t len = 0; len < 54; len++) {
        pb->len = pb->wire_len = len;
        assert_false(io_split_begin(&s, pb));
    }
    pb->len = pb->wire_len = 2054;
    assert_true(io_split_begin(&s, pb));
    assert_int_equal(io_split_next(&s, room, 1053), 0); /* no room */
    pb->wire_len++;
    assert_false(io_split_begin(&s, pb));
    frame_udp(&big, f);
    big.pb.gso_size = 1000;
    big.pb.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    assert_false(io_split_begin(&s, &big.pb));
}

/* A capture file has what would be on the wire. */
static void capture_file_is_cut(void **state)
{
    struct frame f = {.plen = 2500, .flags = "."};
    struct pktbuf *pb = frame_tcp(&big, f), *got[IO_BURST];
    const struct io_open_args to = {.dir = IO_OUT};
    char path[] = "/tmp/weir-offload-XXXXXX", name[64];
    struct io_dev *d;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    snprintf(name, sizeof(name), "pcap:%s", path);
    unfinished(&f, pb, 6);
    pb->gso_size = 1000;
    pb->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    d = io_open(name, &to);
    assert_int_equal(io_tx(d, &pb, 1), 1);
    f.plen = 10;
    pb = frame_tcp(&big, f);
    unfinished(&f, pb, 6);
    assert_int_equal(io_tx(d, &pb, 1), 1);
    assert_int_equal(io_flush(d), 0);
    assert_int_equal(d->st.tx_frames, 4);
    io_close(d);
    d = io_open(name, NULL);
    assert_int_equal(io_rx(d, got, IO_BURST), 4);
    for (int i = 0; i < 4; i++) {
        f.plen = i < 2 ? 1000 : i < 3 ? 500 : 10;
        f.seq = i < 3 ? (uint32_t)i * 1000 : 0;
        f.id = i < 3 ? (uint32_t)i : 0;
        frame_tcp(&one, f);
        assert_int_equal(got[i]->len, one.pb.len);
        assert_memory_equal(got[i]->data, one.pb.data, one.pb.len);
    }
    io_rx_done(d);
    io_close(d);
    unlink(path);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finishes_what_a_sender_left),
        cmocka_unit_test(zero_is_not_none),
        cmocka_unit_test(leaves_what_it_cannot),
        cmocka_unit_test(cuts_as_the_sender_would),
        cmocka_unit_test(cuts_udp),
        cmocka_unit_test(takes_a_checksum_out),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(capture_file_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
