// SPDX-License-Identifier: BSD-2-Clause
/* The dpdk back end over virtual devices that need no privileges: null, ring, capture files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "io/io.h"

#define FRAMES 200

static struct io_dev *open_args(const char *name, struct io_open_args args)
{
    struct io_dev *d = io_open(name, &args);

    if (!d)
        fail_msg("%s", err_text());
    return d;
}

static struct io_dev *open_dev(const char *name)
{
    return open_args(name, (struct io_open_args){.poison = true});
}

/* Ethernet, ethertype `type`, the rest counts up from `n`. */
static uint32_t make(uint8_t *f, uint32_t len, uint16_t type, unsigned n)
{
    for (uint32_t i = 0; i < len; i++)
        f[i] = (uint8_t)(i + n);
    f[12] = (uint8_t)(type >> 8);
    f[13] = (uint8_t)type;
    return len;
}

static int send_copy(struct io_dev *d, uint8_t *f, uint32_t len)
{
    struct pktbuf pb = {.data = f, .len = len, .wire_len = len, .cap = len, .linktype = 1};
    struct pktbuf *v = &pb;

    return io_tx(d, &v, 1);
}

static void refuse(const char *name, int code, const char *words)
{
    assert_null(io_open(name, NULL));
    if (errno != code || !strstr(err_text(), words))
        fail_msg("%s: errno %d, text '%s'", name, errno, err_text());
}

static void names(void **state)
{
    struct io_dev *d;

    refuse("dpdk:", EINVAL, "expected dpdk:PCI-ADDRESS or dpdk:DRIVER");
    refuse("dpdk:net_null0,bogus=1", ENODEV, "dpdk:net_null0,bogus=1: not attached");
    refuse("dpdk:net_nothing0", ENODEV, "net_nothing0");
    refuse("dpdk:ffff:00:00.0", ENODEV, "Cannot find device (ffff:00:00.0)");
    refuse("dpdk:net_af_packet0,iface=weir-none", ENODEV, "there is no interface 'weir-none'");
    refuse("dpdk:net_null0,mtu=67", EINVAL, "mtu is a number from 68 to 16000");
    refuse("dpdk:net_null0,mtu=9x", EINVAL, "mtu is a number");
    d = open_dev("dpdk:net_null0");
    assert_int_equal(d->caps, IO_LIVE | IO_OUTPUT);
    assert_int_equal(d->linktype, 1);
    assert_int_equal(io_fds(d, NULL), 0);
    refuse("dpdk:net_null0", EBUSY, "queue 0 is open already");
    refuse("dpdk:net_null0,copy=1", EEXIST, "different numbers");
    io_close(d);
    d = open_dev("dpdk:net_null0,copy=1");
    io_close(d);
}

static void bad_filter(void **state)
{
    struct io_open_args args = {.filter = "no such word"};

    assert_null(io_open("dpdk:net_null0", &args));
    assert_int_equal(errno, EINVAL);
    args.filter = "ether proto 0x1234";
    args.queue = 1;
    args.queues = 1;
    assert_null(io_open("dpdk:net_null0", &args));
    assert_int_equal(errno, EINVAL);
    args.queue = 0;
    args.queues = 60000;
    assert_null(io_open("dpdk:net_null0", &args));
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "queues, and 60000 are asked for"));
}

/* Whoever opens first keeps its affinity and its signals; EAL's threads take none of them. */
static void bystander(void **state)
{
    cpu_set_t cpus;
    sigset_t mask;
    struct io_dev *d = open_dev("dpdk:net_null0");

    assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    assert_int_equal(CPU_COUNT(&cpus), sysconf(_SC_NPROCESSORS_ONLN));
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGINT));
    io_close(d);
}

static void null(void **state)
{
    struct io_dev *d = open_dev("dpdk:net_null0");
    struct pktbuf *pb[IO_BURST];
    struct io_stats st;
    int n = io_rx(d, pb, 32);

    assert_int_equal(n, 32);
    for (int i = 0; i < n; i++) {
        assert_int_equal(pb[i]->len, 64);
        assert_int_equal(pb[i]->frame, i + 1);
        assert_int_equal(pb[i]->linktype, 1);
        assert_true(pb[i]->headroom >= IO_HEADROOM);
        assert_true(pb[i]->cap >= 64 + IO_TAILROOM);
        assert_true(pb[i]->ts_ns > 1700000000 * NSEC_PER_SEC);
    }
    assert_int_equal(io_tx(d, pb, n), n);
    assert_int_equal(io_flush(d), 0);
    io_rx_done(d);
    io_get_stats(d, &st);
    assert_int_equal(st.rx_frames, 32);
    assert_int_equal(st.rx_bytes, 32 * 64);
    assert_int_equal(st.tx_frames, 32);
    assert_int_equal(st.tx_bytes, 32 * 64);
    assert_int_equal(st.tx_errors, 0);
    assert_true(st.memory > 1 << 20 && st.memory < 64 << 20);
    io_close(d);
}

/* Out and in again by the same ring; what is sent on is not copied, what is kept is freed. */
static void ring(void **state)
{
    struct io_dev *d = open_dev("dpdk:net_ring0");
    struct pktbuf *pb[IO_BURST];
    uint8_t f[1514];
    const uint8_t *at;

    for (unsigned i = 0; i < 30000; i++) { /* more than the pool has */
        uint32_t len = make(f, 60 + i % 1400, 0x88b5, i);

        assert_int_equal(send_copy(d, f, len), 1);
        assert_int_equal(io_flush(d), 0);
        assert_int_equal(io_rx(d, pb, IO_BURST), 1);
        assert_int_equal(pb[0]->len, len);
        assert_memory_equal(pb[0]->data, f, len);
        at = pb[0]->data;
        if (i % 3 == 0) {
            pb[0]->data -= 4; /* a tag */
            pb[0]->len += 4;
            pb[0]->wire_len += 4;
            assert_int_equal(io_tx(d, pb, 1), 1);
        }
        io_rx_done(d);
        if (i % 3)
            continue;
        assert_int_equal(io_flush(d), 0);
        assert_int_equal(io_rx(d, pb, IO_BURST), 1);
        assert_ptr_equal(pb[0]->data, at - 4);
        assert_int_equal(pb[0]->len, len + 4);
        assert_memory_equal(pb[0]->data + 4, f, len);
        io_rx_done(d);
    }
    io_close(d);
}

/* A pair has one pool: a frame moves from one to the other, and into its own again. */
static void pair(void **state)
{
    struct io_dev *a = open_dev("dpdk:net_ring0");
    struct io_dev *b = open_args("dpdk:net_ring1", (struct io_open_args){.pair = a});
    struct pktbuf *pb[IO_BURST];
    uint8_t f[200];
    const uint8_t *at = NULL;
    struct io_dev *way[] = {a, b, b, a, a};

    make(f, sizeof(f), 0x88b5, 1);
    assert_int_equal(send_copy(a, f, sizeof(f)), 1);
    io_flush(a);
    for (size_t i = 0; i + 1 < ARRAY_SIZE(way); i++) {
        assert_int_equal(io_rx(way[i], pb, IO_BURST), 1);
        assert_true(i == 0 || pb[0]->data == at);
        at = pb[0]->data;
        assert_memory_equal(pb[0]->data, f, sizeof(f));
        assert_int_equal(io_tx(way[i + 1], pb, 1), 1);
        io_flush(way[i + 1]);
        io_rx_done(way[i]);
    }
    io_close(b);
    assert_int_equal(io_rx(a, pb, IO_BURST), 1);
    io_rx_done(a);
    io_close(a);
}

/* A ring holds 1,023: the rest is lost, said and counted, and nothing of it is kept. */
static void full(void **state)
{
    uint8_t f[100];
    struct pktbuf *pb[IO_BURST];
    struct io_stats st;

    make(f, sizeof(f), 0x88b5, 1);
    for (int round = 0; round < 20; round++) {
        struct io_dev *d = open_dev("dpdk:net_ring0");
        int got = 0, n;

        for (int i = 0; i < 1100; i++)
            assert_int_equal(send_copy(d, f, sizeof(f)), 1);
        assert_int_equal(io_flush(d), -1);
        assert_int_equal(errno, ENOBUFS);
        assert_non_null(strstr(err_text(), "ring stays full"));
        assert_int_equal(io_flush(d), 0);
        io_get_stats(d, &st);
        assert_int_equal(st.tx_frames + st.tx_errors, 1100);
        assert_int_equal(st.tx_bytes, st.tx_frames * sizeof(f));
        while ((n = io_rx(d, pb, IO_BURST)) > 0) {
            got += n;
            io_rx_done(d);
        }
        assert_int_equal(got, st.tx_frames);
        io_close(d);
    }
}

static void unfit(void **state)
{
    struct io_dev *d = open_dev("dpdk:net_ring0,mtu=1000");
    static uint8_t f[2000];
    struct pktbuf pb = {.data = f, .len = 100, .wire_len = 101, .linktype = 1}, *v = &pb;
    struct io_stats st;

    assert_int_equal(io_tx(d, &v, 1), 0);
    assert_non_null(strstr(err_text(), "not whole"));
    assert_int_equal(send_copy(d, f, 1014), 1);
    assert_int_equal(send_copy(d, f, 1015), 0);
    assert_int_equal(errno, EMSGSIZE);
    memcpy(f + 12, "\x88\xa8\x00\x01\x81\x00\x00\x02\x08\x00", 10);
    assert_int_equal(send_copy(d, f, 1022), 1);
    assert_int_equal(send_copy(d, f, 1023), 0);
    io_get_stats(d, &st);
    assert_int_equal(st.tx_errors, 3);
    assert_int_equal(st.tx_too_big, 2);
    assert_int_equal(st.tx_frames, 2);
    io_close(d);
}

static void filter(void **state)
{
    struct io_dev *d =
        open_args("dpdk:net_ring0", (struct io_open_args){.filter = "ether proto 0x88b5"});
    struct pktbuf *pb[IO_BURST];
    struct io_stats st;
    uint8_t f[100];

    for (unsigned i = 0; i < 10; i++)
        send_copy(d, f, make(f, sizeof(f), i % 2 ? 0x88b5 : 0x88b6, i));
    io_flush(d);
    assert_int_equal(io_rx(d, pb, IO_BURST), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pb[i]->data[13], 0xb5);
    io_rx_done(d);
    io_get_stats(d, &st);
    assert_int_equal(st.rx_filtered, 5);
    assert_int_equal(st.rx_frames, 5);
    io_close(d);
}

static uint32_t length_of(unsigned i)
{
    return i % 10 == 9 ? 3000 + i * 20 : 60 + i * 7;
}

static void write_capture(const char *path)
{
    pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *d = pcap_dump_open(p, path);
    static uint8_t f[8000];

    assert_non_null(d);
    for (unsigned i = 0; i < FRAMES; i++) {
        struct pcap_pkthdr h = {.caplen = make(f, length_of(i), 0x88b5, i)};

        h.len = h.caplen;
        pcap_dump((u_char *)d, &h, f);
    }
    pcap_dump_close(d);
    pcap_close(p);
}

static void check_capture(const char *path)
{
    char text[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_open_offline(path, text);
    struct pcap_pkthdr *h;
    const u_char *data;
    static uint8_t f[8000];

    assert_non_null(p);
    for (unsigned i = 0; i < FRAMES; i++) {
        assert_int_equal(pcap_next_ex(p, &h, &data), 1);
        assert_int_equal(h->caplen, make(f, length_of(i), 0x88b5, i));
        assert_int_equal(h->len, h->caplen);
        assert_memory_equal(data, f, h->caplen);
    }
    assert_int_equal(pcap_next_ex(p, &h, &data), PCAP_ERROR_BREAK);
    pcap_close(p);
}

/* A capture file in, the same frames out; long ones come in pieces and leave whole. */
static void capture(void **state)
{
    char dir[] = "/tmp/weir-dpdk-XXXXXX", in[64], out[64], name[256];
    struct pktbuf *pb[IO_BURST];
    struct io_dev *d;
    int n, total = 0, idle = 0;

    assert_non_null(mkdtemp(dir));
    snprintf(in, sizeof(in), "%s/in.pcap", dir);
    snprintf(out, sizeof(out), "%s/out.pcap", dir);
    write_capture(in);
    snprintf(name, sizeof(name), "dpdk:net_pcap0,rx_pcap=%s,tx_pcap=%s,mtu=9000", in, out);
    d = open_dev(name);
    while (idle < 3) {
        n = io_rx(d, pb, IO_BURST);
        assert_true(n >= 0);
        idle = n == 0 ? idle + 1 : 0;
        total += n;
        assert_int_equal(io_tx(d, pb, n), n);
        assert_int_equal(io_flush(d), 0);
        io_rx_done(d);
    }
    assert_int_equal(total, FRAMES);
    io_close(d);
    check_capture(out);
    unlink(in);
    unlink(out);
    rmdir(dir);
}

static void *use_queue(void *arg)
{
    int queue = *(int *)arg;
    struct io_dev *d =
        io_open("dpdk:net_null3", &(struct io_open_args){.queue = queue, .queues = 4});
    struct pktbuf *pb[IO_BURST];
    uintptr_t got = 0;

    for (int i = 0; d && i < 2000; i++) {
        int n = io_rx(d, pb, IO_BURST);

        io_tx(d, pb, n);
        io_rx_done(d);
        got += (uintptr_t)n;
    }
    io_close(d);
    return (void *)got;
}

/* Four threads, a queue each, come and go. */
static void queues(void **state)
{
    for (int round = 0; round < 3; round++) {
        pthread_t t[4];
        int number[4];
        void *got;

        for (int i = 0; i < 4; i++) {
            number[i] = i;
            assert_int_equal(pthread_create(&t[i], NULL, use_queue, &number[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(t[i], &got);
            assert_int_equal((uintptr_t)got, 2000 * IO_BURST);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),   cmocka_unit_test(bad_filter), cmocka_unit_test(bystander),
        cmocka_unit_test(null),    cmocka_unit_test(ring),       cmocka_unit_test(pair),
        cmocka_unit_test(full),    cmocka_unit_test(unfit),      cmocka_unit_test(filter),
        cmocka_unit_test(capture), cmocka_unit_test(queues),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
