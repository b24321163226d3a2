// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_montimer.c: the application's timers: order, clock, arming and cancelling from callbacks,
 * threads, every errno.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#define MS NSEC_PER_MSEC

static struct mon *m;
static mctx_t ctx;
static int ran[4096], nran;
static void (*also)(int id); /* what a callback does besides */

static void note(mctx_t mctx, int id, int side, event_t ev, filter_arg_t *arg)
{
    assert_ptr_equal(mon_of(mctx), m);
    assert_int_equal(side, 0);
    assert_int_equal(ev, 0);
    assert_null(arg);
    assert_int_equal(m->in_callback, 1);
    ran[nran++ % 4096] = id;
    if (also)
        also(id);
}

static void note4(mctx_t mctx, int id, int side, event_t ev)
{
    ran[nran++ % 4096] = 1000 + id;
}

static int up(void **state)
{
    const struct mon_conf conf = {
        .conn = {.idle_ns = UINT64_MAX}, .max_sock = 16, .rmem_size = 100, .ooo_size = 100};

    m = mon_create(0, &conf);
    assert_non_null(m);
    mon_register(0, m);
    ctx = m->mctx;
    nran = 0;
    also = NULL;
    return 0;
}

static int down(void **state)
{
    mon_register(0, NULL);
    mon_destroy(m);
    return 0;
}

static void arm(int id, uint64_t ms)
{
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    assert_int_equal(mtcp_settimer(ctx, id, &tv, note), 0);
}

/* at: the clock moves there, and what is due runs. => how many so far. */
static int at(uint64_t ms)
{
    mon_clock(m, ms * MS);
    mon_timers(m);
    return nran;
}

static void test_before_the_start(void **state)
{
    arm(1, 10);
    assert_int_equal(mon_next_timer(m), UINT64_MAX);
    mon_timers(m);
    assert_int_equal(nran, 0);
    assert_int_equal(at(1000000), 0); /* it counts from here */
    assert_int_equal(mon_next_timer(m), 1000010 * MS);
    assert_int_equal(at(1000009), 0);
    assert_int_equal(at(1000010), 1);
    assert_int_equal(at(2000000), 1); /* once */
    assert_int_equal(mon_next_timer(m), UINT64_MAX);
}

static void test_order(void **state)
{
    static const int want[] = {5, 2, 3, 4, 1};

    at(1);
    arm(1, 30);
    arm(2, 20);
    arm(3, 20);
    arm(4, 20);
    arm(5, 10);
    assert_int_equal(at(100), 5);
    assert_memory_equal(ran, want, sizeof(want));
}

/* Many, in any order: each runs at its time, those of one time as armed. */
static void test_many(void **state)
{
    static int due[4096];
    uint32_t x = 1;

    at(1);
    for (int i = 0; i < 4096; i++) {
        x = x * 1664525u + 1013904223u;
        due[i] = (int)(x >> 22);
        arm(i, (uint64_t)due[i]);
    }
    for (uint64_t t = 1; t <= 1025; t++)
        at(t);
    assert_int_equal(nran, 4096);
    for (int i = 1; i < 4096; i++) {
        assert_true(due[ran[i - 1]] <= due[ran[i]]);
        assert_true(due[ran[i - 1]] < due[ran[i]] || ran[i - 1] < ran[i]);
    }
}

static void again(int id)
{
    if (nran < 1000)
        arm(id, 0);
}

/* What a callback arms waits for the next time, even if it is due at once. */
static void test_arms_itself(void **state)
{
    at(1);
    also = again;
    arm(7, 0);
    assert_int_equal(at(1), 1);
    assert_int_equal(at(1), 2);
    assert_int_equal(at(5), 3);
}

static void cancel_others(int id)
{
    if (id == 1)
        assert_int_equal(mtcp_canceltimer(ctx, 2), 2);
}

static void test_cancel(void **state)
{
    at(1);
    arm(1, 10);
    arm(2, 10);
    arm(3, 10);
    arm(2, 20);
    assert_int_equal(mtcp_canceltimer(ctx, 99), 0);
    assert_int_equal(mtcp_canceltimer(ctx, 3), 1);
    assert_int_equal(mtcp_canceltimer(ctx, 3), 0);
    also = cancel_others; /* one is due at the same time */
    assert_int_equal(at(100), 1);
    assert_int_equal(ran[0], 1);
}

static void test_cancel_keeps_order(void **state)
{
    at(1);
    for (int i = 0; i < 500; i++)
        arm(i % 3, (uint64_t)(i * 7919 % 500));
    assert_int_equal(mtcp_canceltimer(ctx, 1), 167);
    for (uint64_t t = 1, n = 0; t <= 501; t++) {
        for (int i = 0; i < 500; i++)
            n += i % 3 != 1 && (uint64_t)(i * 7919 % 500) == t - 1;
        assert_int_equal(at(t), n);
    }
}

static void test_four_arguments(void **state)
{
    struct timeval tv = {0};

    assert_int_equal(mtcp_settimer4(ctx, 5, &tv, note4), 0);
    assert_int_equal(at(1), 1);
    assert_int_equal(ran[0], 1005);
}

static void test_clock(void **state)
{
    assert_int_equal(mtcp_cb_get_ts(ctx), 0);
    at(5000000);
    assert_int_equal(mtcp_cb_get_ts(ctx), (uint32_t)5000000000u);
    mon_clock(m, 1); /* never back */
    assert_int_equal(mtcp_cb_get_ts(ctx), (uint32_t)5000000000u);
    assert_int_equal(mtcp_cb_get_ts(NULL), 0);
}

/* In the first batch the packets' time counts already. */
static void test_first_batch(void **state)
{
    m->state = MON_RUNNING;
    m->owner = pthread_self();
    m->env.now = 100 * MS;
    arm(1, 10);
    m->env.now = 105 * MS;
    assert_int_equal(at(109), 0);
    assert_int_equal(at(110), 1);
}

static void test_errors(void **state)
{
    struct timeval neg = {.tv_sec = -1}, negus = {.tv_usec = -1}, ok = {0};

    assert_int_equal(mtcp_settimer(NULL, 1, &ok, note), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(mtcp_settimer(ctx, 1, NULL, note), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(mtcp_settimer(ctx, 1, &ok, NULL), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(mtcp_settimer4(ctx, 1, &ok, NULL), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(mtcp_settimer(ctx, 1, &neg, note), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(mtcp_settimer(ctx, 1, &negus, note), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(mtcp_canceltimer(NULL, 1), -1);
    assert_int_equal(errno, EACCES);
    m->state = MON_DONE;
    assert_int_equal(mtcp_settimer(ctx, 1, &ok, note), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(mtcp_canceltimer(ctx, 1), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(at(1), 0);
}

/* For ever is a time, too; also several of them, armed before the start. */
static void test_far_away(void **state)
{
    struct timeval ever = {.tv_sec = LONG_MAX, .tv_usec = 999999};

    arm(1, 20);
    assert_int_equal(mtcp_settimer(ctx, 2, &ever, note), 0);
    assert_int_equal(mtcp_settimer(ctx, 3, &ever, note), 0);
    arm(4, 10);
    assert_int_equal(at(1000), 0);
    assert_int_equal(at(1000000), 2);
    assert_int_equal(ran[0], 4);
    assert_int_equal(mtcp_canceltimer(ctx, 2), 1);
    assert_int_equal(mtcp_canceltimer(ctx, 3), 1);
}

/* Where two times become the last one there is, they go in the order they were armed. */
static void test_end_of_time(void **state)
{
    struct timeval ever = {.tv_sec = LONG_MAX},
                   almost = {.tv_sec = (time_t)(UINT64_MAX / NSEC_PER_SEC - 1)};

    assert_int_equal(mtcp_settimer(ctx, 1, &ever, note), 0);
    assert_int_equal(mtcp_settimer(ctx, 2, &almost, note), 0);
    at(1000000);
    mon_clock(m, UINT64_MAX);
    mon_timers(m);
    assert_int_equal(nran, 2);
    assert_int_equal(ran[0], 1);
}

static void *arm_elsewhere(void *arg)
{
    for (int i = 0; i < 1000; i++)
        arm(i, 1);
    return NULL;
}

/* Any thread may arm timers while the context runs in its own. */
static void test_threads(void **state)
{
    pthread_t t[2];

    m->state = MON_RUNNING;
    m->owner = pthread_self();
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, arm_elsewhere, NULL), 0);
    for (uint64_t ms = 1; ms < 500; ms++)
        at(ms);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(at(1000), 2000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)
    const struct CMUnitTest tests[] = {
        TEST(test_before_the_start), TEST(test_order),    TEST(test_many),
        TEST(test_arms_itself),      TEST(test_cancel),   TEST(test_cancel_keeps_order),
        TEST(test_four_arguments),   TEST(test_clock),    TEST(test_first_batch),
        TEST(test_errors),           TEST(test_far_away), TEST(test_end_of_time),
        TEST(test_threads),
    };

    return cmocka_run_group_tests_name("montimer", tests, NULL, NULL);
}
