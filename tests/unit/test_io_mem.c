// SPDX-License-Identifier: BSD-2-Clause
/* The registry, the mem device, and chains of devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pcap/dlt.h>
#include <string.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "base/hash.h"
#include "io/io.h"

static struct io_dev *mem_open_args(const char *name, struct io_open_args args)
{
    struct io_dev *d = io_open(name, &args);

    if (!d)
        fail_msg("%s", err_text());
    return d;
}

static struct io_dev *mem(const char *name)
{
    return mem_open_args(name, (struct io_open_args){.dir = IO_IN | IO_OUT, .poison = true});
}

/* An Ethernet frame of `len` bytes of ethertype 0x0800, all else `fill`. */
static void put(struct io_dev *d, uint32_t len, int fill, uint64_t ts)
{
    uint8_t f[3000];

    memset(f, fill, sizeof(f));
    f[12] = 8;
    f[13] = 0;
    assert_int_equal(mem_put(d, f, len, 0, ts, DLT_EN10MB), 0);
}

static void registry(void **state)
{
    const char *const *k = io_kinds();
    struct io_dev *d;

    assert_string_equal(k[0], "mem");
    assert_string_equal(k[1], "pcap");
    assert_string_equal(k[2], "afpacket"); /* behind it what this build has found */
    assert_null(io_open("smoke:x", NULL));
    assert_int_equal(errno, ENODEV);
    assert_non_null(strstr(
        err_text(), "smoke:x: no kind of device is called 'smoke' (known: mem, pcap, afpacket"));
    assert_null(io_open("me", NULL));
    assert_null(io_open("memo", NULL));
    assert_null(io_open("", NULL));
    d = io_open("mem", NULL);
    assert_non_null(d);
    assert_string_equal(d->name, "mem");
    assert_int_equal(d->caps, IO_USER | IO_REPLAY | IO_OUTPUT);
    io_close(d);
    io_close(NULL);
}

static void in_and_end(void **state)
{
    struct io_dev *d = mem("mem:a");
    struct pktbuf *pb[IO_BURST];
    struct io_stats st;
    uint8_t *first;

    d->ifidx = 3;
    assert_int_equal(io_rx(d, pb, IO_BURST), 0); /* none yet */
    for (int i = 0; i < 70; i++)
        put(d, (uint32_t)(60 + i), i, (uint64_t)(1000 + i));
    assert_int_equal(mem_put(d, "abc", 3, 9, 5, DLT_RAW), 0);
    mem_eof(d);
    assert_int_equal(mem_put(d, "abc", 3, 9, 5, DLT_RAW), -1);
    assert_int_equal(errno, EPIPE);

    assert_int_equal(io_rx(d, pb, IO_BURST), IO_BURST);
    for (int i = 0; i < IO_BURST; i++) {
        assert_int_equal(pb[i]->len, 60 + i);
        assert_int_equal(pb[i]->wire_len, pb[i]->len);
        assert_int_equal(pb[i]->ts_ns, 1000 + i);
        assert_int_equal(pb[i]->frame, i + 1);
        assert_int_equal(pb[i]->linktype, DLT_EN10MB);
        assert_int_equal(pb[i]->in_if, 3);
        assert_int_equal(pb[i]->refs, 1);
        assert_int_equal(pb[i]->data[pb[i]->len - 1], i);
        assert_true(pb[i]->headroom >= IO_HEADROOM && pb[i]->cap >= pb[i]->len + IO_TAILROOM);
        memset(pb[i]->data - pb[i]->headroom, 1, pb[i]->headroom);
        memset(pb[i]->data, 2, pb[i]->cap);
    }
    first = pb[0]->data;
    io_rx_done(d);
    assert_int_equal(first[0], 0xDB); /* poisoned, still the device's memory */
    assert_int_equal(first[59], 0xDB);

    assert_int_equal(io_rx(d, pb, IO_BURST), 7);
    assert_int_equal(pb[6]->len, 3);
    assert_int_equal(pb[6]->wire_len, 9);
    assert_int_equal(pb[6]->linktype, DLT_RAW);
    assert_int_equal(pb[6]->frame, 71);
    io_rx_done(d);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(io_rx(d, pb, IO_BURST), -1);
        assert_int_equal(errno, ENODATA);
    }
    io_get_stats(d, &st);
    assert_int_equal(st.rx_frames, 71);
    assert_int_equal(st.rx_truncated, 1);
    io_close(d);
}

static void out_and_take(void **state)
{
    struct io_dev *d = mem("mem:a");
    uint8_t bytes[2] = {7, 8};
    struct pktbuf a = {.data = bytes, .len = 2, .wire_len = 2, .ts_ns = 11},
                  b = {.data = bytes, .len = 1};
    struct pktbuf *pb[] = {&a, &b};
    const uint8_t *data;
    uint64_t ts;
    struct io_stats st;

    assert_int_equal(mem_take(d, &data, &ts), -1);
    assert_int_equal(io_tx(d, pb, 2), 2);
    bytes[0] = 0; /* it was copied */
    assert_int_equal(mem_take(d, &data, &ts), 2);
    assert_int_equal(ts, 11);
    assert_int_equal(data[0], 7);
    assert_int_equal(mem_take(d, NULL, NULL), 1);
    assert_int_equal(mem_take(d, &data, &ts), -1);
    assert_int_equal(io_flush(d), 0);
    io_get_stats(d, &st);
    assert_int_equal(st.tx_frames, 2);
    assert_int_equal(st.tx_bytes, 3);
    assert_int_equal(io_tx(d, pb, 1), 1); /* left behind: close frees it */
    io_close(d);
}

static void filter_counts_and_numbers(void **state)
{
    struct io_dev *d =
        mem_open_args("mem:f", (struct io_open_args){.dir = IO_IN, .filter = "ip and greater 100"});
    struct pktbuf *pb[4];
    struct io_stats st;

    for (int i = 0; i < 10; i++)
        put(d, i % 3 == 2 ? 200 : 60, 0, 0);
    assert_int_equal(mem_put(d, "\x45", 1, 150, 0, DLT_RAW), 0); /* compiled anew for it */
    mem_eof(d);
    assert_int_equal(io_rx(d, pb, 4), 4);
    assert_int_equal(pb[0]->frame, 3);
    assert_int_equal(pb[2]->frame, 9);
    assert_int_equal(pb[3]->frame, 11);
    io_rx_done(d);
    assert_int_equal(io_rx(d, pb, 4), -1);
    io_get_stats(d, &st);
    assert_int_equal(st.rx_frames, 4);
    assert_int_equal(st.rx_filtered, 7);
    io_close(d);

    assert_null(io_open("mem:g", &(struct io_open_args){.dir = IO_IN, .filter = "tcp nonsense"}));
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "mem:g: filter 'tcp nonsense': "));
}

/* Random puts, bursts, sends and takes: everything comes out once, in order, unchanged. */
static void random_traffic(void **state)
{
    struct io_dev *d = mem("mem:r");
    uint64_t put_n = 0, got_n = 0, sent_n = 0, took_n = 0;
    struct pktbuf *pb[IO_BURST];
    struct rng r;

    rng_seed(&r, 3);
    for (int step = 0; step < 20000; step++) {
        const uint8_t *data;
        uint64_t ts;
        int n;

        if (rng_below(&r, 3)) {
            put(d, (uint32_t)(20 + rng_below(&r, 2900)), (int)(put_n & 0x7f), put_n);
            put_n++;
            continue;
        }
        n = io_rx(d, pb, (int)(1 + rng_below(&r, IO_BURST)));
        for (int i = 0; i < n; i++, got_n++) {
            assert_int_equal(pb[i]->ts_ns, got_n);
            assert_int_equal(pb[i]->data[pb[i]->len - 1], got_n & 0x7f);
        }
        sent_n += (uint64_t)io_tx(d, pb, n);
        io_rx_done(d);
        for (n = (int)rng_below(&r, 6); n > 0 && mem_take(d, &data, &ts) >= 0; n--, took_n++) {
            assert_int_equal(ts, took_n);
            assert_int_equal(data[0], took_n & 0x7f);
        }
    }
    assert_true(sent_n == got_n && got_n > 5000);
    io_close(d);
}

static void chain(void **state)
{
    struct io_dev *d[3], *c;
    struct pktbuf *pb[IO_BURST];
    struct io_stats st;
    uint64_t next = 1;
    int n;

    d[0] = mem_open_args("mem:a", (struct io_open_args){.dir = IO_IN, .filter = "less 1000"});
    d[1] = mem("mem:b");
    d[2] = mem("mem:c");
    for (int i = 0; i < 3; i++)
        put(d[0], 60, i, 0);
    put(d[0], 2000, 3, 0); /* number 4: refused, but counted */
    for (int i = 4; i < 100; i++)
        put(d[2], 60, i, 0); /* d[1] is empty */
    for (int i = 0; i < 3; i++)
        mem_eof(d[i]);
    c = io_chain(d, 3);
    assert_non_null(c);
    c->ifidx = 9;
    assert_int_equal(c->linktype, DLT_EN10MB);
    assert_int_equal(c->caps, IO_USER | IO_REPLAY);
    while ((n = io_rx(c, pb, 10)) >= 0) {
        for (int i = 0; i < n; i++) {
            assert_int_equal(pb[i]->frame, next);
            assert_int_equal(pb[i]->data[20], next - 1);
            assert_int_equal(pb[i]->in_if, 9);
            next += next == 3 ? 2 : 1;
        }
        io_rx_done(c);
    }
    assert_int_equal(errno, ENODATA);
    assert_int_equal(next, 101);
    assert_int_equal(io_rx(c, pb, 10), -1);
    assert_int_equal(errno, ENODATA);
    io_rx_done(c);
    assert_int_equal(io_tx(c, pb, 2), 0);
    assert_int_equal(errno, ENOTSUP);
    io_get_stats(c, &st);
    assert_int_equal(st.rx_frames, 99);
    assert_int_equal(st.rx_filtered, 1);
    io_close(c);

    assert_null(io_chain(d, 0));
    assert_int_equal(errno, EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry),       cmocka_unit_test(in_and_end),
        cmocka_unit_test(out_and_take),   cmocka_unit_test(filter_counts_and_numbers),
        cmocka_unit_test(random_traffic), cmocka_unit_test(chain),
    };
    return cmocka_run_group_tests_name("io_mem", tests, NULL, NULL);
}
