// SPDX-License-Identifier: BSD-2-Clause
/* Frames from one context to another: in order, whole, each once; full and empty; two threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/crossing.h"

static struct crossing x;
static uint8_t bytes[70000];

static struct pktbuf frame(uint32_t len, uint64_t number)
{
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(number + i);
    return (struct pktbuf){.data = bytes,
                           .len = len,
                           .wire_len = len,
                           .cap = len,
                           .linktype = 1,
                           .refs = 1,
                           .frame = number};
}

static bool put(uint32_t len, uint64_t number)
{
    struct pktbuf pb = frame(len, number);

    return crossing_put(&x, &pb, NULL);
}

static void is(const struct pktbuf *pb, uint32_t len, uint64_t number)
{
    assert_int_equal(pb->frame, number);
    assert_int_equal(pb->len, len);
    assert_true(pb->headroom >= 128 && pb->cap >= len + IO_TAILROOM);
    assert_int_equal((uintptr_t)(pb->data + 14) % 4, 0);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(pb->data[i], (uint8_t)(number + i));
}

static int up(void **state)
{
    return crossing_init(&x, 65536);
}

static int down(void **state)
{
    crossing_fini(&x);
    return 0;
}

static void in_order(void **state)
{
    struct pktbuf *pb[IO_BURST];

    assert_false(crossing_waits(&x));
    assert_int_equal(crossing_take(&x, pb, IO_BURST), 0);
    for (uint64_t i = 0; i < 5; i++)
        assert_true(put(60 + (uint32_t)i * 100, i));
    assert_true(crossing_waits(&x));
    assert_int_equal(crossing_take(&x, pb, 3), 3);
    for (uint64_t i = 0; i < 3; i++)
        is(pb[i], 60 + (uint32_t)i * 100, i);
    assert_int_equal(crossing_take(&x, pb + 3, IO_BURST), 2);
    is(pb[4], 460, 4);
    assert_false(crossing_waits(&x));
    crossing_done(&x, true);
    assert_int_equal(pb[0]->data[0], 0xDB);
}

/* What was taken and not given back takes room; what does not fit leaves no trace. */
static void full(void **state)
{
    struct pktbuf *pb[IO_BURST];
    uint64_t n = 0;

    while (put(1000, n))
        n++;
    assert_true(n > 20);
    assert_false(put(1000, n));
    assert_int_equal(crossing_take(&x, pb, 1), 1);
    assert_false(put(1000, n));
    crossing_done(&x, false);
    assert_true(put(1000, n));
    for (uint64_t i = 1; i <= n; i++) {
        assert_int_equal(crossing_take(&x, pb, 1), 1);
        is(pb[0], 1000, i);
        crossing_done(&x, true);
    }
    assert_false(put(40000, 1)); /* more than half of it */
}

/* The end of the ring: rests of all sizes. */
static void wraps(void **state)
{
    struct pktbuf *pb[IO_BURST];
    struct rng r;

    rng_seed(&r, 1);
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t len = (uint32_t)rng_below(&r, i % 50 == 0 ? 30000 : 2000);

        assert_true(put(len, i));
        assert_int_equal(crossing_take(&x, pb, IO_BURST), 1);
        is(pb[0], len, i);
        crossing_done(&x, true);
    }
}

static void holds(void **state)
{
    struct frag_hold *h = calloc(1, sizeof(*h));
    struct pktbuf pb = frame(100, 1), *v[2];

    h->refs = 3;
    assert_non_null(frag_room_get(&h->room, 100));
    assert_true(crossing_put(&x, &pb, h));
    assert_true(crossing_put(&x, &pb, h));
    assert_int_equal(crossing_take(&x, v, 1), 1);
    crossing_done(&x, true);
    assert_int_equal(h->refs, 2);
    crossing_fini(&x); /* with one in it */
    assert_int_equal(h->refs, 1);
    frag_hold_drop(h);
    assert_int_equal(crossing_init(&x, 65536), 0);
}

enum { MANY = 200000 };

static void *writer(void *arg)
{
    uint8_t own[1500];
    struct rng r;

    rng_seed(&r, 7);
    for (uint64_t i = 0; i < MANY;) {
        struct pktbuf pb = {.data = own, .linktype = 1, .refs = 1, .frame = i};

        pb.len = pb.wire_len = pb.cap = 8 + (uint32_t)(i * 7919 % 1400);
        memset(own, (int)(i & 0xff), pb.len);
        if (crossing_put(&x, &pb, NULL))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void two_threads(void **state)
{
    struct pktbuf *pb[IO_BURST];
    uint64_t next = 0;
    pthread_t t;

    assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
    while (next < MANY) {
        int n = crossing_take(&x, pb, IO_BURST);

        for (int i = 0; i < n; i++, next++) {
            assert_int_equal(pb[i]->frame, next);
            assert_int_equal(pb[i]->len, 8 + next * 7919 % 1400);
            assert_int_equal(pb[i]->data[0], next & 0xff);
            assert_int_equal(pb[i]->data[pb[i]->len - 1], next & 0xff);
        }
        crossing_done(&x, true);
        if (n == 0)
            sched_yield();
    }
    pthread_join(t, NULL);
    assert_false(crossing_waits(&x));
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {T(in_order), T(full), T(wraps), T(holds), T(two_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
