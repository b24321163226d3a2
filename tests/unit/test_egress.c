// SPDX-License-Identifier: BSD-2-Clause
/* In which order frames leave, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/engine.h"

#define CTXS 3

static struct io_dev *out;
static struct egress eg[CTXS];
static struct pktbuf pb[8];
static uint8_t bytes[8];

static int up(void **state)
{
    struct io_open_args args = {.dir = IO_OUT};

    out = io_open("mem:out", &args);
    assert_non_null(out);
    for (int i = 0; i < CTXS; i++)
        egress_init(&eg[i]);
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)('0' + i);
        pb[i] = (struct pktbuf){.data = &bytes[i],
                                .len = 1,
                                .wire_len = 1,
                                .cap = 1,
                                .linktype = 1,
                                .refs = 1,
                                .ts_ns = 100 + (uint64_t)i};
    }
    return 0;
}

static int down(void **state)
{
    for (int i = 0; i < CTXS; i++) {
        assert_null(eg[i].first);
        egress_drop(&eg[i]);
    }
    io_close(out);
    return 0;
}

static int burst(bool forward, int n, int ctxs)
{
    struct pktbuf *pp[8];
    struct egress *ee[CTXS];

    for (int i = 0; i < 8; i++)
        pp[i] = &pb[i];
    for (int i = 0; i < CTXS; i++)
        ee[i] = &eg[i];
    return egress_burst(out, forward, pp, n, ee, ctxs);
}

static void made(int ctx, int after, char what)
{
    uint8_t b = (uint8_t)what;

    assert_int_equal(
        egress_add(&eg[ctx], after, after >= 0 && after < 8 ? &pb[after] : NULL, 555, &b, 1), 0);
}

/* sent: the first bytes of all that has left, in order. */
static void sent(const char *want)
{
    const uint8_t *data;
    char got[64];
    int n = 0;

    while (mem_take(out, &data, NULL) > 0 && n < 63)
        got[n++] = (char)data[0];
    got[n] = '\0';
    assert_string_equal(got, want);
}

static void in_the_order_they_came(void **state)
{
    pb[2].flags |= PB_DROP;
    assert_int_equal(burst(true, 5, 1), 0);
    sent("0134");
}

static void what_is_made_follows_its_frame(void **state)
{
    made(0, 1, 'a');
    made(0, 1, 'b');
    made(0, 3, 'c');
    made(0, 5, 'd'); /* at the end of the batch */
    pb[1].flags |= PB_DROP;
    assert_int_equal(burst(true, 5, 1), 0);
    sent("0ab23c4d");
    assert_int_equal(eg[0].frames, 4);
}

/* The same frames, worked on by three contexts: the same output. */
static void of_several_contexts(void **state)
{
    made(2, 0, 'a');
    made(0, 1, 'b');
    made(2, 3, 'd');
    made(1, 1, 'c');
    made(0, 4, 'e');
    assert_int_equal(burst(true, 5, CTXS), 0);
    sent("0a1bc23d4e");
}

static void not_forwarding(void **state)
{
    made(0, 1, 'a');
    assert_int_equal(burst(false, 3, 1), 0);
    sent("a"); /* what is made leaves all the same */
}

static void times_and_link_types(void **state)
{
    const uint8_t *data;
    uint64_t ts;

    pb[1].linktype = 101;
    made(0, 1, 'a');
    made(0, 9, 'b'); /* nobody's packet: a timer */
    assert_int_equal(burst(false, 3, 1), 0);
    assert_int_equal(mem_take(out, &data, &ts), 1);
    assert_int_equal(ts, 101);
    assert_int_equal(mem_take(out, &data, &ts), 1);
    assert_int_equal(ts, 555);
    sent("");
}

static void without_a_device(void **state)
{
    struct pktbuf *pp[1] = {&pb[0]};
    struct egress *ee[1] = {&eg[0]};

    made(0, 0, 'a');
    assert_int_equal(egress_burst(NULL, true, pp, 1, ee, 1),
                     1); /* what was made has nowhere to go */
    assert_null(eg[0].first);
}

static void refused_by_the_device(void **state)
{
    struct io_open_args args = {.dir = IO_OUT};
    struct io_dev *full = io_open("pcap:/dev/full", &args);
    struct pktbuf *pp[8];
    struct egress *ee[1] = {&eg[0]};

    if (full == NULL)
        skip();
    for (int i = 0; i < 8; i++)
        pp[i] = &pb[i];
    pb[1].linktype = 113; /* a capture file has one link type */
    assert_int_equal(egress_burst(full, true, pp, 3, ee, 1), 1);
    io_close(full);
}

static void dropped_unsent(void **state)
{
    made(0, 1, 'a');
    made(0, 2, 'b');
    egress_drop(&eg[0]);
    made(0, 0, 'c');
    assert_int_equal(burst(true, 1, 1), 0);
    sent("0c");
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(in_the_order_they_came), T(what_is_made_follows_its_frame),
        T(of_several_contexts),    T(not_forwarding),
        T(times_and_link_types),   T(without_a_device),
        T(refused_by_the_device),  T(dropped_unsent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
