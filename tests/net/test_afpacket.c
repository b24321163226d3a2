// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_afpacket.c: what the "afpacket" back end says of frames. In a network namespace of this
 * process: a veth pair, the device under test at v0, a plain packet socket with virtio-net headers
 * at v1. Exit status 77 where that cannot be made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "base/errtext.h"
#include "frames.h"
#include "io/io.h"
#include "io/offload.h"

enum { SKIP = 77, ROOM = 70000 };

static const struct virtio_net_hdr plain;
static struct frame_buf fb;
static uint8_t heard[ROOM];
static int peer; /* the socket at v1 */

static int set_up(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
        return -1;
    return system("ip link add v0 type veth peer name v1 && "
                  "sysctl -qw net.ipv6.conf.v0.disable_ipv6=1 net.ipv6.conf.v1.disable_ipv6=1 && "
                  "ip link set v0 arp off up && ip link set v1 arp off up && "
                  "ip link set lo up") == 0
               ? 0
               : -1;
}

static int open_peer(void **state)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex("v1")};
    int on = 1;

    peer = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
    return peer < 0 || setsockopt(peer, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
           setsockopt(peer, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
           bind(peer, (struct sockaddr *)&to, sizeof(to)) < 0;
}

static int close_peer(void **state)
{
    close(peer);
    return 0;
}

static void say(const void *p, size_t len, const struct virtio_net_hdr *v)
{
    struct virtio_net_hdr head = *v;
    struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)p, len}};

    assert_int_equal(writev(peer, iov, 2), sizeof(head) + len);
}

/* hear: => bytes of the next frame at v1, in heard; -1: none. */
static ssize_t hear(struct virtio_net_hdr *v)
{
    struct iovec iov[2] = {{v, sizeof(*v)}, {heard, sizeof(heard)}};
    ssize_t n = readv(peer, iov, 2);

    return n < 0 ? -1 : n - (ssize_t)sizeof(*v);
}

static struct io_dev *device(const char *name, bool mirror)
{
    const struct io_open_args args = {.dir = IO_IN, .mirror = mirror};
    struct io_dev *d = io_open(name, &args);

    if (!d)
        fail_msg("%s", err_text());
    return d;
}

/* await: one frame; the caller ends the burst. */
static struct pktbuf *await(struct io_dev *d)
{
    struct pktbuf *pb = NULL;

    for (int i = 0; i < 100; i++) {
        struct pollfd p[IO_FDS];
        int n = io_rx(d, &pb, 1);

        if (n == 1)
            return pb;
        assert_int_equal(n, 0);
        io_rx_done(d);
        poll(p, (nfds_t)io_fds(d, p), 20);
    }
    struct io_stats st;
    io_get_stats(d, &st);
    fail_msg("no frame comes: %llu so far, %llu lost", (unsigned long long)st.rx_frames,
             (unsigned long long)st.rx_lost);
    return NULL;
}

static void no_more(struct io_dev *d)
{
    struct pktbuf *pb;
    struct pollfd p[IO_FDS];

    poll(p, (nfds_t)io_fds(d, p), 20);
    assert_int_equal(io_rx(d, &pb, 1), 0);
    io_rx_done(d);
}

static void as_it_was_sent(void **state)
{
    for (int mirror = 0; mirror < 2; mirror++) {
        struct io_dev *d = device("afpacket:v0", mirror);
        struct pktbuf *pb, *f;
        struct timespec now;
        int64_t age;

        d->ifidx = 3;
        assert_int_equal(d->caps, IO_LIVE | IO_OUTPUT);
        for (uint32_t i = 1; i < 5; i++) {
            f = frame_tcp(&fb, (struct frame){.plen = i * 350, .seq = i});
            say(f->data, f->len, &plain);
            pb = await(d);
            clock_gettime(CLOCK_REALTIME, &now);
            age = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)pb->ts_ns;
            assert_true(age >= 0 && age < 2000000000);
            assert_int_equal(pb->len, f->len);
            assert_memory_equal(pb->data, f->data, f->len);
            assert_int_equal(pb->wire_len, f->len);
            assert_int_equal(pb->frame, i);
            assert_int_equal(pb->in_if, 3);
            assert_int_equal(pb->linktype, 1);
            assert_int_equal((uintptr_t)(pb->data + 14) % 4, 0);
            assert_true(pb->headroom >= IO_HEADROOM);
            assert_true(mirror ? pb->cap >= pb->len : pb->cap >= pb->len + IO_TAILROOM);
            memset(pb->data - pb->headroom, 0x55, pb->headroom + pb->cap); /* all of it is ours */
            io_rx_done(d);
        }
        no_more(d);
        io_close(d);
    }
}

static void tag_is_put_back(void **state)
{
    const struct frame tagged[] = {{.vlan = {5}, .plen = 100},
                                   {.vlan = {0x6005}, .plen = 1460},
                                   {.vlan = {6, 7}, .tpid = 0x88a8, .plen = 100}};

    for (size_t i = 0; i < 2 * ARRAY_SIZE(tagged); i++) {
        struct io_dev *d = device("afpacket:v0", i % 2);
        struct pktbuf *f = frame_tcp(&fb, tagged[i / 2]), *pb;

        say(f->data, f->len, &plain);
        pb = await(d);
        assert_int_equal(pb->len, f->len);
        assert_memory_equal(pb->data, f->data, f->len);
        assert_true(pb->headroom >= 124);
        io_rx_done(d);
        io_close(d);
    }
}

/* partial: the frame with only its pseudo header summed, as a sender with offloads leaves it. */
static struct virtio_net_hdr partial(struct pktbuf *pb, uint16_t gso_size)
{
    struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};

    pb->gso_size = gso_size ? gso_size : 1000;
    pb->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    assert_true(io_part_csum(pb));
    v.csum_start = pb->csum_start;
    v.csum_offset = pb->csum_off;
    v.hdr_len = (uint16_t)(pb->csum_start + 20);
    v.gso_size = gso_size;
    v.gso_type = gso_size ? VIRTIO_NET_HDR_GSO_TCPV4 : 0;
    return v;
}

static void unfinished_both_ways(void **state)
{
    for (int i = 0; i < 12; i++) {
        struct frame f = {.plen = i & 2 ? 3500 : 700, .df = true};
        struct io_dev *d = device("afpacket:v0", i & 1);
        uint16_t gso = i & 2 ? 1000 : 0;
        struct virtio_net_hdr v, w;
        struct pktbuf *sent, *pb;
        uint32_t tags = (uint32_t)i / 4;

        f.nvlan = (uint8_t)tags;
        f.vlan[0] = tags > 0 ? 5 : 0;
        f.vlan[1] = tags > 1 ? 6 : 0;
        sent = frame_tcp(&fb, f);
        v = partial(sent, gso);
        say(sent->data, sent->len, &v);
        pb = await(d);
        assert_int_equal(pb->len, sent->len);
        assert_memory_equal(pb->data, sent->data, sent->len);
        assert_int_equal(pb->flags, PB_CSUM_PART);
        assert_int_equal(pb->csum_start, 34 + tags * 4);
        assert_int_equal(pb->csum_off, 16);
        assert_int_equal(pb->gso_size, gso);
        assert_int_equal(pb->gso_type, gso ? VIRTIO_NET_HDR_GSO_TCPV4 : 0);
        if (tags == 0) { /* a plain socket is shown frames without their tag */
            assert_int_equal(io_tx(d, &pb, 1), 1);
            assert_int_equal(hear(&w), sent->len);
            assert_memory_equal(heard, sent->data, sent->len);
            assert_int_equal(w.csum_start, 34);
            assert_int_equal(w.gso_size, gso);
        }
        assert_true(gso || io_finish_csum(pb));
        io_rx_done(d);
        io_close(d);
    }
}

/* 64 KB, many of them at once. */
static void largest_segments(void **state)
{
    static uint8_t frame[14 + 0xff00]; /* less than gso_max_size */
    struct pktbuf pb = {.data = frame, .linktype = 1}, *got[IO_BURST];
    struct frame_buf head;
    struct io_dev *d = device("afpacket:v0", false);
    struct virtio_net_hdr v;
    int n = 0, k;

    memcpy(frame, frame_tcp(&head, (struct frame){.plen = 0})->data, 54);
    for (uint32_t i = 54; i < sizeof(frame); i++)
        frame[i] = (uint8_t)(i * 7 >> 3);
    frame[16] = 0xff;
    frame[17] = 0;
    pb.len = pb.wire_len = sizeof(frame);
    v = partial(&pb, 1460);
    for (int i = 0; i < 40; i++)
        say(frame, sizeof(frame), &v);
    for (int i = 0; i < 20 && n < 40; i++) {
        k = io_rx(d, got, IO_BURST);
        for (int j = 0; j < k; j++) {
            assert_int_equal(got[j]->len, sizeof(frame));
            assert_memory_equal(got[j]->data, frame, sizeof(frame));
            assert_true(got[j]->cap >= got[j]->len + IO_TAILROOM);
        }
        n += k;
        io_rx_done(d);
    }
    assert_int_equal(n, 40);
    io_close(d);
}

/* outgoing: a frame that this machine sends by an interface, by another socket. */
static void outgoing(const char *ifname, const struct pktbuf *f)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(ifname)};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    assert_int_equal(sendto(fd, f->data, f->len, 0, (struct sockaddr *)&to, sizeof(to)), f->len);
    close(fd);
}

static void outgoing_frames(void **state)
{
    for (int mirror = 0; mirror < 2; mirror++) {
        struct io_dev *d = device("afpacket:v0", mirror), *lo = device("afpacket:lo", mirror);
        struct pktbuf *f = frame_tcp(&fb, (struct frame){.plen = 40});
        struct virtio_net_hdr v;

        assert_int_equal(io_tx(d, &f, 1), 1); /* its own do not come back */
        assert_int_equal(hear(&v), f->len);
        no_more(d);
        outgoing("v0", f);
        assert_int_equal(hear(&v), f->len);
        if (mirror) {
            assert_int_equal(await(d)->len, f->len);
            io_rx_done(d);
        }
        no_more(d);
        outgoing("lo", f); /* here it comes in, too: once */
        await(lo);
        io_rx_done(lo);
        no_more(lo);
        io_close(d);
        io_close(lo);
    }
}

/* Four thousand frames, a ring for four hundred: what was not kept is counted. */
static void lost_is_counted(void **state)
{
    for (int mirror = 0; mirror < 2; mirror++) {
        struct io_dev *d = device("afpacket:v0,ring=1", mirror);
        struct pktbuf *got[IO_BURST];
        struct io_stats st;
        uint32_t last = 0;
        int n;

        for (uint32_t i = 1; i <= 4000; i++) {
            struct pktbuf *f = frame_tcp(&fb, (struct frame){.plen = 1000, .seq = i});

            say(f->data, f->len, &plain);
        }
        usleep(20000);
        while ((n = io_rx(d, got, IO_BURST)) > 0) {
            for (int i = 0; i < n; i++) {
                uint32_t seq;

                memcpy(&seq, got[i]->data + 38, 4);
                assert_int_equal(ntohl(seq), ++last); /* what came later is lost */
            }
            io_rx_done(d);
        }
        assert_int_equal(n, 0);
        io_get_stats(d, &st);
        assert_true(st.rx_frames >= 400 && st.rx_frames < 2000);
        assert_int_equal(st.rx_frames + st.rx_lost, 4000);
        io_get_stats(d, &st);
        assert_int_equal(st.rx_frames + st.rx_lost, 4000);
        io_close(d);
    }
}

/* Several times around the ring, nothing lost, in order. */
static void around_the_ring(void **state)
{
    for (int mirror = 0; mirror < 2; mirror++) {
        struct io_dev *d = device("afpacket:v0,ring=4", mirror);
        uint32_t last = 0;

        for (uint32_t i = 1; i <= 9000; i++) {
            struct pktbuf *f = frame_tcp(&fb, (struct frame){.plen = i % 1461, .seq = i}), *pb;
            uint32_t seq;

            say(f->data, f->len, &plain);
            if (mirror && i % 100)
                continue;
            while (last < i) {
                pb = await(d);
                memcpy(&seq, pb->data + 38, 4);
                assert_int_equal(ntohl(seq), ++last);
                assert_int_equal(pb->len, 54 + last % 1461);
                io_rx_done(d);
            }
        }
        io_close(d);
    }
}

static void refused_frames_keep_back_nobody(void **state)
{
    static struct frame_buf bufs[4];
    struct io_dev *d = device("afpacket:v0", false);
    struct pktbuf *f[4];
    struct virtio_net_hdr v;

    f[0] = frame_tcp(&bufs[0], (struct frame){.plen = 1461});
    f[1] = frame_tcp(&bufs[1], (struct frame){.plen = 1460});
    f[2] = frame_tcp(&bufs[2], (struct frame){.plen = 1000, .snap = 500});
    f[3] = frame_tcp(&bufs[3], (struct frame){.plen = 1460, .vlan = {9}});
    assert_int_equal(io_tx(d, f, 4), 2);
    assert_int_equal(d->st.tx_frames, 2);
    assert_int_equal(d->st.tx_bytes, f[1]->len + f[3]->len);
    assert_int_equal(d->st.tx_errors, 2);
    assert_int_equal(d->st.tx_too_big, 1);
    assert_int_equal(hear(&v), f[1]->len);
    assert_int_equal(hear(&v), f[3]->len - 4); /* its tag beside it */
    assert_int_equal(hear(&v), -1);
    io_close(d);
}

static void only_ethernet(void **state)
{
    if (system("ip tuntap add dev t0 mode tun") != 0)
        skip();
    assert_null(io_open("afpacket:t0", NULL));
    assert_int_equal(errno, EPROTONOSUPPORT);
    assert_non_null(strstr(err_text(), "afpacket:t0: not an Ethernet interface"));
}

static void not_promiscuous(void **state)
{
    const struct io_open_args args = {.no_promisc = true};
    struct io_dev *d = io_open("afpacket:v0", &args);

    assert_non_null(d);
    assert_int_equal(system("ip -d link show v0 | grep -q 'promiscuity 0'"), 0);
    io_close(d);
    d = device("afpacket:v0", false);
    assert_int_equal(system("ip -d link show v0 | grep -q 'promiscuity 1'"), 0);
    io_close(d);
    assert_int_equal(system("ip -d link show v0 | grep -q 'promiscuity 0'"), 0);
}

/* Of a device that knows what comes next (io_ahead): it comes, there and in that order; others know nothing. */
static void what_comes_next(void **state)
{
    enum { FRAMES = 12, FIRST = 5 };
    struct io_dev *d = device("afpacket:v0", false);
    const uint8_t *ahead[IO_BURST];
    struct pktbuf *pb, *got[IO_BURST];
    int n = 0, k = 0;

    assert_int_equal(io_ahead(d, ahead, IO_BURST), 0);
    io_close(d);
    if (!io_known("afxdp:v0")) /* built without libbpf */
        skip();
    d = device("afxdp:v0", false);
    for (uint32_t i = 0; i < FRAMES; i++) {
        pb = frame_tcp(&fb, (struct frame){.seq = i, .plen = 100});
        say(pb->data, pb->len, &plain);
    }
    usleep(100000);
    for (int i = 0; i < 100 && n == 0; i++, usleep(1000)) /* as many as fit, all are there */
        n = io_rx(d, got, FIRST);
    assert_int_equal(n, FIRST);
    assert_int_equal(io_ahead(d, ahead, 3), 3);
    n = io_ahead(d, ahead, IO_BURST);
    assert_int_equal(n, FRAMES - FIRST);
    io_rx_done(d);
    k = io_rx(d, got, IO_BURST);
    assert_int_equal(k, n);
    for (int i = 0; i < k; i++)
        assert_ptr_equal(got[i]->data, ahead[i]);
    assert_int_equal(io_ahead(d, ahead, IO_BURST), 0);
    io_rx_done(d);
    io_close(d);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_peer, close_peer)
    const struct CMUnitTest tests[] = {
        T(not_promiscuous),      T(as_it_was_sent),   T(tag_is_put_back),
        T(unfinished_both_ways), T(largest_segments), T(outgoing_frames),
        T(lost_is_counted),      T(around_the_ring),  T(refused_frames_keep_back_nobody),
        T(only_ethernet),        T(what_comes_next),
    };

    if (set_up() != 0) {
        fprintf(stderr, "skipped: no network namespace with a veth pair (root, iproute2)\n");
        return SKIP;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
