// SPDX-License-Identifier: BSD-2-Clause
/* Capture files in and out: the captures of tests/traces, and files made here byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "base/hash.h"
#include "io/io.h"

static char dir[] = "/tmp/test_pcapfile.XXXXXX";

/* A file in the test's directory; at most four names are good at a time. */
static const char *path_of(const char *name)
{
    static char buf[4][300];
    static unsigned at;
    char *p = buf[at++ % 4];

    snprintf(p, sizeof(buf[0]), "%s/%s", dir, name);
    return p;
}

static struct io_dev *try_open(const char *path, struct io_open_args args)
{
    char name[400];

    snprintf(name, sizeof(name), "pcap:%s", path);
    return io_open(name, &args);
}

static struct io_dev *open_in(const char *path)
{
    struct io_dev *d = try_open(path, (struct io_open_args){.dir = IO_IN, .poison = true});

    if (!d)
        fail_msg("%s", err_text());
    return d;
}

static void refused(const char *path, int code, const char *text)
{
    errno = 0;
    err_clear();
    assert_null(try_open(path, (struct io_open_args){.dir = IO_IN}));
    assert_int_equal(errno, code);
    if (strncmp(err_text(), path, strlen(path)) != 0 || !strstr(err_text(), text))
        fail_msg("'%s' does not say '%s'", err_text(), text);
}

/* ---- files made byte by byte ---- */

struct bytes {
    uint8_t b[700000];
    size_t len;
    bool big; /* byte order */
};

static struct bytes mk;

static void u(uint64_t v, int width)
{
    for (int i = 0; i < width; i++)
        mk.b[mk.len++] = (uint8_t)(v >> 8 * (mk.big ? width - 1 - i : i));
}

static void raw(int fill, size_t n)
{
    memset(mk.b + mk.len, fill, n);
    mk.len += n;
}

static void start(bool big)
{
    mk.len = 0;
    mk.big = big;
}

static void header(uint32_t magic, uint32_t linktype)
{
    u(magic, 4);
    u(2, 2);
    u(4, 2);
    u(0, 4);
    u(0, 4);
    u(262144, 4);
    u(linktype, 4);
}

static void record(uint32_t sec, uint32_t frac, uint32_t len, uint32_t wire_len, int fill)
{
    u(sec, 4);
    u(frac, 4);
    u(len, 4);
    u(wire_len, 4);
    raw(fill, len);
}

#define MICRO 0xa1b2c3d4
#define NANO  0xa1b23c4d

static const char *save(const char *name)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(mk.b, 1, mk.len, f), mk.len);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* pcapng: section header, an interface, a packet. */
static void ng_section(void)
{
    u(0x0a0d0d0a, 4);
    u(28, 4);
    u(0x1a2b3c4d, 4);
    u(1, 2);
    u(0, 2);
    u(UINT64_MAX, 8);
    u(28, 4);
}

/* tsresol: 9 for ns; the default of 6 is said by leaving the option out (0). */
static void ng_interface(uint16_t linktype, uint8_t tsresol)
{
    uint32_t len = tsresol ? 32 : 20;

    u(1, 4);
    u(len, 4);
    u(linktype, 2);
    u(0, 2);
    u(0, 4);
    if (tsresol) {
        u(9, 2);
        u(1, 2);
        mk.b[mk.len++] = tsresol;
        raw(0, 3);
        u(0, 4);
    }
    u(len, 4);
}

static void ng_packet(uint32_t interface, uint64_t ts, uint32_t len, int fill)
{
    uint32_t padded = (len + 3) & ~3u;

    u(6, 4);
    u(32 + padded, 4);
    u(interface, 4);
    u(ts >> 32, 4);
    u(ts & 0xffffffff, 4);
    u(len, 4);
    u(len + 10, 4);
    raw(fill, padded);
    u(32 + padded, 4);
}

/* ---- reading ---- */

struct seen {
    uint64_t frames, bytes, truncated;
    int code; /* errno at the end */
};

/* Read all of it in bursts of n, and check what holds for every frame. */
static struct seen read_all(struct io_dev *d, int n)
{
    struct pktbuf *pb[IO_BURST];
    struct seen s = {0};
    uint64_t last = 0;
    int got;

    while ((got = io_rx(d, pb, n)) >= 0) {
        uint8_t *mine = got ? pb[0]->data : NULL;

        for (int i = 0; i < got; i++) {
            const struct pktbuf *p = pb[i];

            assert_true(p->frame > last);
            last = p->frame;
            assert_true(p->wire_len >= p->len);
            assert_true(p->headroom >= 128 && p->cap >= p->len + 512);
            for (int j = 0; j < i; j++) /* no two frames share a byte, rooms included */
                assert_true(pb[j]->data + pb[j]->cap <= p->data - p->headroom);
            s.bytes += p->len;
            s.truncated += p->len < p->wire_len;
        }
        s.frames += (uint64_t)got;
        for (int i = 0; i < got; i++) { /* all of it may be written */
            memset(pb[i]->data - pb[i]->headroom, 1, pb[i]->headroom);
            memset(pb[i]->data, 2, pb[i]->cap);
        }
        io_rx_done(d);
        if (mine)
            assert_int_equal(mine[0], 0xDB);
    }
    s.code = errno;
    return s;
}

/* The 36 captures: how many frames tests/traces/expected.jsonl gives them. */
static int expected_packets(const char *traces, const char *file)
{
    char path[400], line[65536], want[300];
    int n = -1;
    FILE *f;

    snprintf(path, sizeof(path), "%s/expected.jsonl", traces);
    snprintf(want, sizeof(want), "\"%s\"", file);
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        const char *p = strstr(line, want) ? strstr(line, "\"packets\":") : NULL;

        if (p)
            n = atoi(p + 10);
    }
    fclose(f);
    return n;
}

static void every_trace(void **state)
{
    const char *root = getenv("WEIR_SOURCE");
    char traces[300], path[600];
    struct dirent *e;
    int files = 0;
    DIR *dp;

    snprintf(traces, sizeof(traces), "%s/tests/traces", root ? root : ".");
    dp = opendir(traces);
    if (!dp)
        skip();
    while ((e = readdir(dp)) != NULL) {
        struct io_dev *d;
        struct seen a, b;

        if (!strstr(e->d_name, ".pcap") || strcmp(e->d_name, "p-many-interfaces.pcapng") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", traces, e->d_name);
        d = open_in(path);
        a = read_all(d, IO_BURST);
        io_close(d);
        d = open_in(path);
        b = read_all(d, 3);
        io_close(d);
        assert_int_equal(a.code, ENODATA);
        assert_memory_equal(&a, &b, sizeof(a));
        if ((int)a.frames != expected_packets(traces, e->d_name))
            fail_msg("%s: %d frames", e->d_name, (int)a.frames);
        files++;
    }
    closedir(dp);
    assert_true(files >= 35);
}

static void both_orders_and_precisions(void **state)
{
    for (int i = 0; i < 4; i++) {
        bool big = i & 1, nano = i & 2;
        struct pktbuf *pb[IO_BURST];
        struct io_dev *d;

        start(big);
        header(nano ? NANO : MICRO, 1);
        record(1700000000, 123456, 60, 1500, 0xaa);
        record(1600000000, 999999, 70, 70, 0xbb); /* time runs backwards: file order stays */
        record(3000000000u, 0, 1, 1, 0xcc);       /* after 2038 */
        d = open_in(save("x.pcap"));
        assert_int_equal(d->caps, IO_REPLAY);
        assert_int_equal(d->linktype, DLT_EN10MB);
        assert_int_equal(io_rx(d, pb, IO_BURST), 3);
        assert_true(pb[0]->ts_ns == 1700000000 * NSEC_PER_SEC + 123456 * (nano ? 1 : 1000));
        assert_true(pb[1]->ts_ns == 1600000000 * NSEC_PER_SEC + 999999 * (nano ? 1 : 1000));
        assert_true(pb[2]->ts_ns == 3000000000 * NSEC_PER_SEC);
        assert_int_equal(pb[0]->len, 60);
        assert_int_equal(pb[0]->wire_len, 1500);
        assert_int_equal(pb[1]->data[69], 0xbb);
        io_rx_done(d);
        assert_int_equal(read_all(d, 1).code, ENODATA);
        assert_int_equal(d->st.rx_truncated, 1);
        assert_int_equal(d->st.rx_bytes, 131);
        io_close(d);
    }
}

static void pcapng(void **state)
{
    for (int i = 0; i < 4; i++) {
        bool big = i & 1, nano = i & 2;
        uint64_t scale = nano ? 1000 : 1;
        struct pktbuf *pb[IO_BURST];
        struct io_dev *d;

        start(big);
        ng_section();
        ng_interface(1, nano ? 9 : 0);
        ng_interface(1, nano ? 9 : 0);
        ng_packet(0, 1700000000123456 * scale, 61, 0x11);
        ng_packet(1, 1700000000123457 * scale, 62, 0x22);
        d = open_in(save("x.pcapng"));
        assert_int_equal(io_rx(d, pb, IO_BURST), 2);
        assert_true(pb[0]->ts_ns == 1700000000123456000);
        assert_true(pb[1]->ts_ns == 1700000000123457000);
        assert_int_equal(pb[1]->len, 62);
        assert_int_equal(pb[1]->wire_len, 72);
        assert_int_equal(pb[1]->data[61], 0x22);
        io_rx_done(d);
        io_close(d);
    }
}

static void pcapng_of_two_link_types(void **state)
{
    const char *path;
    struct io_dev *d;
    struct seen s;

    start(false);
    ng_section();
    ng_interface(1, 0);
    ng_packet(0, 1, 60, 0);
    ng_interface(0, 0);
    ng_packet(1, 2, 60, 0);
    path = save("two.pcapng");
    d = open_in(path);
    s = read_all(d, 7);
    assert_int_equal(s.frames, 1);
    assert_int_equal(s.code, EBADMSG);
    assert_non_null(strstr(err_text(), "two.pcapng: unreadable after frame 1 ("));
    assert_non_null(strstr(err_text(), "type"));
    assert_int_equal(read_all(d, 7).code, EBADMSG); /* and again */
    io_close(d);
}

/* Cut a capture at every byte: all whole frames come out, and the end says what it is. */
static void cut_off_anywhere(void **state)
{
    size_t end[5], whole = 0;

    start(false);
    header(MICRO, 1);
    end[0] = mk.len;
    for (uint32_t i = 1; i < 5; i++) {
        record(i, 0, 10 + i, 10 + i, (int)i);
        end[i] = mk.len;
    }
    for (size_t len = end[0]; len <= end[4]; len++) {
        const char *path = path_of("cut.pcap");
        char want[100];
        struct io_dev *d;
        struct seen s;

        mk.len = len;
        save("cut.pcap");
        while (whole < 4 && end[whole + 1] <= len)
            whole++;
        d = open_in(path);
        s = read_all(d, 3);
        assert_int_equal(s.frames, whole);
        assert_int_equal(s.code, len == end[whole] ? ENODATA : EILSEQ);
        snprintf(want, sizeof(want), "/cut.pcap: cut off after frame %u (truncated dump file",
                 (unsigned)whole);
        if (s.code == EILSEQ && !strstr(err_text(), want))
            fail_msg("%s", err_text());
        io_close(d);
    }
    mk.len = 10;
    refused(save("cut.pcap"), EINVAL, "truncated");
}

static void damaged_length(void **state)
{
    struct io_dev *d;
    struct seen s;

    start(false);
    header(MICRO, 1);
    record(1, 0, 60, 60, 0);
    u(1, 4);
    u(0, 4);
    u(0xfffffff0, 4);
    u(0xfffffff0, 4);
    raw(0, 100);
    d = open_in(save("damaged.pcap"));
    s = read_all(d, 64);
    assert_int_equal(s.frames, 1);
    assert_int_equal(s.code, EBADMSG);
    assert_non_null(strstr(err_text(), "unreadable after frame 1 ("));
    io_close(d);
}

static void bad_files(void **state)
{
    start(false);
    refused(path_of("nothing.pcap"), ENOENT, ": No such file or directory");
    refused("/tmp", EISDIR, ": Is a directory");
    refused(save("zero.pcap"), EINVAL, ": empty, without even the header");
    raw('x', 100);
    refused(save("text.pcap"), EINVAL, ": unknown file format");
    start(false);
    u(0x8b1f, 2);
    raw(0, 100);
    refused(save("x.pcap.gz"), EINVAL, ": compressed by gzip: unpack it first");
    start(false);
    header(MICRO, 105);
    refused(save("wlan.pcap"), EPROTONOSUPPORT,
            ": link type IEEE802_11 is not supported (EN10MB, LINUX_SLL, LINUX_SLL2, RAW, IPV4, "
            "IPV6, NULL, LOOP are)");
    start(false);
    header(MICRO, 1);
    save("good.pcap");
    assert_null(
        try_open(path_of("good.pcap"), (struct io_open_args){.dir = IO_IN, .filter = "tcp port"}));
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "good.pcap: filter 'tcp port': "));
    assert_null(io_open("pcap:", NULL));
    assert_string_equal(err_text(), "pcap:: expected pcap:FILE");
    assert_null(try_open("/dev/null", (struct io_open_args){.dir = IO_IN | IO_OUT}));
    assert_int_equal(errno, EINVAL);
}

static void header_only_is_fine(void **state)
{
    struct io_dev *d;
    struct seen s;

    start(false);
    header(NANO, 101);
    d = open_in(save("empty.pcap"));
    assert_int_equal(d->linktype, DLT_RAW);
    s = read_all(d, IO_BURST);
    assert_int_equal(s.frames, 0);
    assert_int_equal(s.code, ENODATA);
    io_close(d);
}

/* Small and huge frames in one burst: the arena moves while it fills. */
static void arena_grows(void **state)
{
    struct pktbuf *pb[IO_BURST];
    struct io_dev *d;

    start(false);
    header(MICRO, 1);
    record(1, 0, 60, 60, 0x11);
    record(1, 0, 262144, 262144, 0x22);
    record(1, 0, 262100, 262144, 0x33);
    record(1, 0, 0, 60, 0);
    record(1, 0, 60, 40, 0x44); /* shorter than what was captured: a lie */
    d = open_in(save("huge.pcap"));
    assert_int_equal(io_rx(d, pb, IO_BURST), 5);
    assert_int_equal(pb[0]->data[0], 0x11);
    assert_int_equal(pb[1]->len, 262144);
    assert_int_equal(pb[1]->data[262143], 0x22);
    assert_int_equal(pb[2]->data[262099], 0x33);
    assert_int_equal(pb[3]->len, 0);
    assert_int_equal(pb[4]->data[59], 0x44);
    assert_int_equal(pb[4]->wire_len, 60);
    io_rx_done(d);
    io_close(d);
}

static void filter_numbers_all_frames(void **state)
{
    const char *path;
    struct io_dev *d;
    struct pktbuf *pb[IO_BURST];
    struct io_stats st;
    int n, calls = 0;

    start(false);
    header(MICRO, 1);
    for (uint32_t i = 1; i <= 9000; i++)
        record(i, 0, i == 3 || i == 9000 ? 30 : 20, i == 3 || i == 9000 ? 30 : 20, 0);
    path = save("many.pcap");
    d = try_open(path, (struct io_open_args){.dir = IO_IN, .filter = "greater 30"});
    assert_non_null(d);
    assert_int_equal(io_rx(d, pb, 1), 1);
    assert_int_equal(pb[0]->frame, 3);
    io_rx_done(d);
    while ((n = io_rx(d, pb, IO_BURST)) == 0) {
        calls++; /* it answers while it looks */
        io_rx_done(d);
    }
    assert_int_equal(n, 1);
    assert_in_range(calls, 1, 10);
    assert_int_equal(pb[0]->frame, 9000);
    io_rx_done(d);
    assert_int_equal(io_rx(d, pb, 1), -1);
    io_get_stats(d, &st);
    assert_int_equal(st.rx_frames, 2);
    assert_int_equal(st.rx_filtered, 8998);
    assert_int_equal(st.size, mk.len);
    assert_int_equal(st.position, mk.len);
    io_close(d);
}

static void chain_of_files(void **state)
{
    struct io_dev *d[4], *c;
    struct pktbuf *pb[IO_BURST];
    uint64_t next = 1;
    struct io_stats st;
    int n;

    start(false);
    header(MICRO, 1);
    for (uint32_t i = 0; i < 70; i++)
        record(i, 0, 60, 60, (int)i);
    d[0] = open_in(save("one.pcap"));
    d[3] = open_in(save("four.pcap"));
    start(true);
    header(NANO, 101);
    record(1, 0, 60, 60, 0x66);
    d[1] = open_in(save("two.pcap"));
    mk.len -= 5;
    d[2] = open_in(save("three.pcap")); /* cut off: told after all the others */
    c = io_chain(d, 4);
    assert_non_null(c);
    while ((n = io_rx(c, pb, IO_BURST)) >= 0) {
        for (int i = 0; i < n; i++, next++) {
            assert_int_equal(pb[i]->frame, next);
            assert_int_equal(pb[i]->linktype, next == 71 ? DLT_RAW : DLT_EN10MB);
        }
        io_rx_done(c);
    }
    assert_int_equal(errno, EILSEQ);
    assert_non_null(strstr(err_text(), "three.pcap: cut off after frame 0 ("));
    assert_int_equal(next, 142); /* 70, 1, none of the broken one, 70 */
    assert_int_equal(io_rx(c, pb, 1), -1);
    assert_int_equal(errno, EILSEQ);
    io_get_stats(c, &st);
    assert_int_equal(st.rx_frames, 141);
    assert_true(st.size >= st.position && st.position > 140 * 76);
    io_close(c);
}

/* ---- writing ---- */

static struct pktbuf frame(uint8_t *bytes, uint32_t len, uint32_t wire_len, uint64_t ts)
{
    return (struct pktbuf){
        .data = bytes, .len = len, .wire_len = wire_len, .ts_ns = ts, .linktype = DLT_EN10MB};
}

static void written_is_read(void **state)
{
    uint8_t bytes[2000];

    memset(bytes, 0x5a, sizeof(bytes));
    for (int nano = 0; nano < 2; nano++) {
        struct pktbuf a = frame(bytes, 60, 60, 1700000000123456789),
                      b = frame(bytes, 2000, 9000, 7);
        struct pktbuf odd = frame(bytes, 60, 60, 8), *pb[IO_BURST] = {&a, &odd, &b};
        const char *path = path_of("out.pcap");
        struct io_dev *d;

        odd.linktype = DLT_RAW;
        unlink(path);
        d = try_open(path, (struct io_open_args){.dir = IO_OUT, .nanosec = nano});
        assert_non_null(d);
        assert_true(d->caps & IO_OUTPUT);
        assert_int_equal(io_rx(d, pb, 1), -1);
        assert_int_equal(errno, ENOTSUP);
        assert_int_equal(io_tx(d, pb, 3), 2); /* the odd one does not fit this file */
        assert_non_null(strstr(err_text(), "out.pcap: a frame of link type 12 does not fit"));
        assert_int_equal(io_flush(d), 0);
        assert_int_equal(d->st.tx_frames, 2);
        assert_int_equal(d->st.tx_bytes, 2060);
        assert_int_equal(d->st.tx_errors, 1);
        io_close(d);

        d = open_in(path);
        assert_int_equal(d->linktype, DLT_EN10MB);
        assert_int_equal(io_rx(d, pb, IO_BURST), 2);
        assert_true(pb[0]->ts_ns == (nano ? 1700000000123456789 : 1700000000123456000));
        assert_true(pb[1]->ts_ns == (nano ? 7 : 0));
        assert_int_equal(pb[1]->len, 2000);
        assert_int_equal(pb[1]->wire_len, 9000);
        assert_int_equal(pb[1]->data[1999], 0x5a);
        assert_int_equal(io_tx(d, pb, 2), 0); /* not open for output */
        assert_int_equal(d->st.tx_errors, 2);
        io_rx_done(d);
        io_close(d);
    }
}

/* Whatever was sent or not, what is left behind is a capture file. */
static void output_without_frames(void **state)
{
    const char *path = path_of("none.pcap");
    struct io_dev *d = try_open(path, (struct io_open_args){.dir = IO_OUT});

    assert_non_null(d);
    io_close(d);
    d = open_in(path);
    assert_int_equal(d->linktype, DLT_EN10MB);
    assert_int_equal(read_all(d, 1).code, ENODATA);
    io_close(d);
    d = try_open(path, (struct io_open_args){.dir = IO_OUT, .linktype = DLT_LINUX_SLL2});
    assert_non_null(d);
    io_close(d);
    d = open_in(path);
    assert_int_equal(d->linktype, DLT_LINUX_SLL2);
    io_close(d);
}

static void output_refused(void **state)
{
    uint8_t bytes[60] = {0};
    struct pktbuf a = frame(bytes, 60, 60, 1), *pb[] = {&a};
    struct io_dev *d;

    assert_null(try_open("/no/such/place.pcap", (struct io_open_args){.dir = IO_OUT}));
    assert_int_equal(errno, ENOENT);
    assert_string_equal(err_text(), "/no/such/place.pcap: No such file or directory");
    assert_null(try_open(path_of("w.pcap"), (struct io_open_args){.dir = IO_OUT, .linktype = 105}));
    assert_int_equal(errno, EPROTONOSUPPORT);
    assert_int_equal(access(path_of("w.pcap"), F_OK), -1); /* not even made */
    d = try_open(path_of("w.pcap"), (struct io_open_args){.dir = IO_OUT});
    a.linktype = 105;
    assert_int_equal(io_tx(d, pb, 1), 0); /* the first frame, of a type that no file has */
    assert_int_equal(d->st.tx_errors, 1);
    a.linktype = DLT_EN10MB;
    assert_int_equal(io_tx(d, pb, 1), 1);
    io_close(d);
}

static void disk_full(void **state)
{
    uint8_t bytes[1000] = {0};
    struct pktbuf a = frame(bytes, 1000, 1000, 1), *pb[] = {&a};
    struct io_dev *d;

    if (access("/dev/full", W_OK) != 0)
        skip();
    d = try_open("/dev/full", (struct io_open_args){.dir = IO_OUT});
    assert_non_null(d);
    for (int i = 0; i < 5; i++)
        assert_int_equal(io_tx(d, pb, 1), 1); /* stdio holds them */
    assert_int_equal(io_flush(d), -1);
    assert_int_equal(errno, ENOSPC);
    assert_string_equal(err_text(), "/dev/full: writing failed: No space left on device");
    assert_int_equal(d->st.tx_frames, 0);
    assert_int_equal(d->st.tx_bytes, 0);
    assert_int_equal(d->st.tx_errors, 5);
    assert_int_equal(io_tx(d, pb, 1), 0);
    assert_int_equal(io_flush(d), -1);
    assert_int_equal(d->st.tx_errors, 6);
    err_clear();
    io_close(d);
    assert_string_equal(err_text(), "/dev/full: writing failed: No space left on device");

    d = try_open("/dev/full", (struct io_open_args){.dir = IO_OUT});
    for (int i = 0; i < 1000; i++)
        io_tx(d, pb, 1); /* more than stdio holds */
    assert_int_equal(d->st.tx_frames, 0);
    assert_int_equal(d->st.tx_errors, 1000);
    io_close(d);
}

/* "-" is standard input and output, and stays open. */
static void through_pipes(void **state)
{
    uint8_t bytes[60] = {0};
    struct pktbuf a = frame(bytes, 60, 60, 5 * NSEC_PER_SEC), *pb[IO_BURST] = {&a};
    int in = dup(0), out = dup(1), p[2];
    bool good = false;
    struct io_dev *d;
    struct seen s = {0};
    struct io_stats st = {0};

    fflush(stdout);
    assert_int_equal(pipe(p), 0);
    dup2(p[1], 1);
    d = try_open("-", (struct io_open_args){.dir = IO_OUT});
    if (d) {
        good = io_tx(d, pb, 1) == 1;
        io_close(d);
        good = good && fcntl(1, F_GETFD) >= 0;
    }
    dup2(out, 1); /* cmocka speaks there */
    close(p[1]);
    dup2(p[0], 0);
    assert_true(good);
    d = open_in("-");
    s = read_all(d, 2);
    io_get_stats(d, &st);
    io_close(d);
    good = fcntl(0, F_GETFD) >= 0;
    dup2(in, 0);
    assert_int_equal(s.frames, 1);
    assert_int_equal(s.code, ENODATA);
    assert_int_equal(st.size + st.position, 0);
    assert_true(good);
    close(p[0]);
    close(in);
    close(out);
}

/* Random damage to a capture: whatever libpcap makes of it, frames are whole and the end is told. */
static void random_damage(void **state)
{
    struct rng r;

    rng_seed(&r, 20);
    for (int round = 0; round < 400; round++) {
        struct io_dev *d;

        start(round & 1);
        if (round & 2) {
            ng_section();
            ng_interface(1, 9);
        } else {
            header(MICRO, 1);
        }
        for (uint32_t i = 0; i < 20; i++) {
            if (round & 2)
                ng_packet(0, i, 60, (int)i);
            else
                record(i, 0, 60, 60, (int)i);
        }
        for (uint64_t n = 1 + rng_below(&r, 4); n > 0; n--)
            mk.b[rng_below(&r, (uint32_t)mk.len)] = (uint8_t)rng_next(&r);
        err_clear();
        d = try_open(save("damage.pcap"), (struct io_open_args){.dir = IO_IN, .poison = true});
        if (d)
            assert_true(read_all(d, 8).code != 0);
        assert_true(err_text()[0] != '\0');
        io_close(d);
    }
}

static int make_dir(void **state)
{
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    struct dirent *e;
    DIR *dp = opendir(dir);

    while (dp && (e = readdir(dp)) != NULL)
        unlink(path_of(e->d_name));
    if (dp)
        closedir(dp);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_trace),
        cmocka_unit_test(both_orders_and_precisions),
        cmocka_unit_test(pcapng),
        cmocka_unit_test(pcapng_of_two_link_types),
        cmocka_unit_test(cut_off_anywhere),
        cmocka_unit_test(damaged_length),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(header_only_is_fine),
        cmocka_unit_test(arena_grows),
        cmocka_unit_test(filter_numbers_all_frames),
        cmocka_unit_test(chain_of_files),
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(output_without_frames),
        cmocka_unit_test(output_refused),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(through_pipes),
        cmocka_unit_test(random_damage),
    };
    return cmocka_run_group_tests_name("pcapfile", tests, make_dir, remove_dir);
}
