// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_mon_data.c: mtcp_peek, mtcp_ppeek, mtcp_peekv, mtcp_ppeekv: what they return, and every
 * errno.
 */
#include "pushfix.h"

#include <pthread.h>

#include "mon/mon.h"

static char got[4096];

/* peeked: the next bytes are exactly these, then nothing. */
static void peeked(int side, const char *text)
{
    ssize_t n = mtcp_peek(fix.ctx, fix.child, side, got, sizeof(got));

    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, strlen(text));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, side, got, sizeof(got)), 0);
}

static uint64_t read_off(int name)
{
    uint64_t v = 0;
    socklen_t len = sizeof(v);

    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.child, SOL_MONSOCKET, name, &v, &len), 0);
    return v;
}

static void test_in_order(void **state)
{
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "GET /"));
    assert_int_equal(fix.calls, 1);
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 3), 3);
    assert_memory_equal(got, "GET", 3);
    assert_int_equal(read_off(MOS_READ_OFF_SVR), 3);
    assert_int_equal(read_off(MOS_PEEK_END_SVR), 5);
    peeked(MOS_SIDE_SVR, " /");
    fix_push(fix_svr(0, 5, "200 OK"));
    peeked(MOS_SIDE_CLI, "200 OK");
    assert_int_equal(read_off(MOS_READ_OFF_CLI), 6);
    assert_int_equal(read_off(MOS_READ_OFF_SVR), 5);
}

static void test_unread_stays(void **state)
{
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "one "));
    fix_push(fix_cli(4, "two "));
    fix_push(fix_cli(8, "three"));
    peeked(MOS_SIDE_SVR, "one two three");
}

/* Nobody asked for data: the first peek finds nothing and begins with the next byte. */
static void test_first_peek_wants(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "lost"));
    assert_int_equal(read_off(MOS_READ_OFF_SVR), 4);
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 0);
    fix_push(fix_cli(4, "kept"));
    peeked(MOS_SIDE_SVR, "kept");
    fix_push(fix_svr(0, 8, "other side"));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_CLI, got, sizeof(got)), 0);
}

/* ... and so does the next connection of this listener, from its first byte. */
static void test_next_child_wants(void **state)
{
    struct frame f = fix_cli(0, "again");

    test_first_peek_wants(state);
    fix_push((struct frame){.sport = 4321, .flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){FRAME_REPLY, .sport = 4321, .flags = "S.", .seq = FIX_SVR,
                            .ack = FIX_CLI + 1});
    f.sport = 4321;
    fix_push(f);
    peeked(MOS_SIDE_SVR, "again");
}

/* A gap: the bytes before it, then -L once, then those behind it; never two at a time. */
static void test_gap(void **state)
{
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    fix_push(fix_cli(13, "def"));
    assert_int_equal(read_off(MOS_PEEK_END_SVR), 3);
    fix_push(fix_ack(16));
    fix.now += 20 * FIX_MS;
    fix_push(fix_ack(16));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 3);
    errno = 0;
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), -10);
    assert_int_equal(errno, ENODATA);
    peeked(MOS_SIDE_SVR, "def");
}

/* Overrun: the limit holds, what was lost is told. */
static void test_overrun(void **state)
{
    int size = 100;
    ssize_t n;

    assert_int_equal(
        mtcp_setsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_SVRBUF, &size, sizeof(size)), 0);
    fix_on(fix.lst, MOS_ON_ERROR, MOS_NULL);
    fix_shake();
    fix_push((struct frame){.seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .plen = 300});
    assert_int_equal(fix.calls, 1);
    errno = 0;
    n = mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got));
    assert_int_equal(n, -200);
    assert_int_equal(errno, ENODATA);
    n = mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got));
    assert_int_equal(n, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal((uint8_t)got[i], frame_byte(FIX_CLI + 1 + 200 + (uint32_t)i));
}

static void read_three(int sock, int side, event_t ev)
{
    assert_int_equal(mtcp_peek(fix.ctx, sock, side, got, 3), 3);
}

/* Each listener's child has a read offset of its own. */
static void test_two_readers(void **state)
{
    int second = mtcp_socket(fix.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_on(second, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix.act = read_three;
    fix_shake();
    fix_push(fix_cli(0, "abcdef"));
    assert_int_equal(fix.calls, 2);
    assert_int_equal(read_off(MOS_READ_OFF_SVR), 3);
    peeked(MOS_SIDE_SVR, "def");
}

static void views(int sock, int side, event_t ev)
{
    struct iovec v[8];
    int cnt = 1;

    assert_int_equal(mtcp_peekv(fix.ctx, sock, side, v, &cnt), 4); /* the first packet's */
    assert_int_equal(cnt, 1);
    assert_memory_equal(v[0].iov_base, "one ", 4);
    assert_int_equal(read_off(MOS_READ_OFF_SVR), 4);
    cnt = 8;
    assert_int_equal(mtcp_ppeekv(fix.ctx, sock, side, v, &cnt, 1), 12);
    assert_int_equal(cnt, 3);
    assert_memory_equal(v[0].iov_base, "ne ", 3);
    assert_memory_equal(v[2].iov_base, "three", 5);
    cnt = 8;
    assert_int_equal(mtcp_peekv(fix.ctx, sock, side, v, &cnt), 9);
    assert_int_equal(cnt, 2);
    assert_int_equal(mtcp_peekv(fix.ctx, sock, side, v, &cnt), 0);
    assert_int_equal(cnt, 0);
}

static void test_views(void **state)
{
    const struct frame v[] = {fix_cli(0, "one "), fix_cli(4, "two "), fix_cli(8, "three")};

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix.act = views;
    fix_batch(v, 3);
    assert_int_equal(fix.calls, 1);
}

/* ppeek: by offset, out of order too, without moving anything. */
static void test_at_offset(void **state)
{
    struct iovec v;
    int cnt = 1;

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    fix_push(fix_cli(10, "xyz"));
    assert_int_equal(mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got), 1), 2);
    assert_memory_equal(got, "bc", 2);
    assert_int_equal(mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 2, 11), 2);
    assert_memory_equal(got, "yz", 2);
    assert_int_equal(mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 0, 11), 0);
    assert_int_equal(read_off(MOS_READ_OFF_SVR), 0);
    assert_fails(ENODATA, mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got), 3));
    assert_fails(ENODATA,
                 mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got), UINT64_MAX));
    assert_fails(ENODATA, mtcp_ppeekv(fix.ctx, fix.child, MOS_SIDE_SVR, &v, &cnt, 13));
    assert_int_equal(cnt, 0);
    peeked(MOS_SIDE_SVR, "abc");
    assert_fails(ENODATA, mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_CLI, got, sizeof(got), 0));
}

/* An explicit size keeps what was read (contract 1, Retained); also one that equals the default. */
static void test_retained(void **state)
{
    int size = *(int *)*state;

    assert_int_equal(
        mtcp_setsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_SVRBUF, &size, sizeof(size)), 0);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    peeked(MOS_SIDE_SVR, "abc");
    fix_push(fix_cli(3, "def"));
    assert_int_equal(mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got), 0), 6);
    assert_memory_equal(got, "abcdef", 6);
}

static int up_small(void **state)
{
    static int size = 64;

    *state = &size;
    return fix_up(state);
}

static int up_default(void **state)
{
    static int size;
    struct mtcp_conf conf;

    fix_up(state);
    assert_int_equal(mtcp_getconf(&conf), 0);
    size = conf.rcvbuf_size;
    *state = &size;
    return 0;
}

static void test_buffer_off(void **state)
{
    int off = 0, on = 100;
    struct iovec v;
    int cnt = 1;

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(
        mtcp_setsockopt(fix.ctx, fix.child, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off)), 0);
    assert_fails(EINVAL, mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)));
    assert_fails(EINVAL, mtcp_peekv(fix.ctx, fix.child, MOS_SIDE_SVR, &v, &cnt));
    assert_fails(EINVAL, mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got), 0));
    assert_fails(EINVAL, mtcp_ppeekv(fix.ctx, fix.child, MOS_SIDE_SVR, &v, &cnt, 0));
    assert_fails(EINVAL,
                 mtcp_setsockopt(fix.ctx, fix.child, SOL_MONSOCKET, MOS_SVRBUF, &on, sizeof(on)));
    fix.calls = 0;
    fix_push(fix_cli(3, "def")); /* tracked, not told */
    assert_int_equal(fix.calls, 0);
    assert_int_equal(read_off(MOS_PEEK_END_SVR), 6);
    fix_push(fix_svr(0, 6, "the other side goes on"));
    assert_int_equal(fix.calls, 1);
}

/* What was read in a batch without packets is let go with it. */
static void test_let_go(void **state)
{
    const struct strm_env *e = &mon_of(fix.ctx)->env.se;

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(e->chunks.used, 1);
    peeked(MOS_SIDE_SVR, "abc");
    mtcp_tick(fix.ctx, fix.now);
    assert_int_equal(e->chunks.used, 0);
    assert_int_equal(e->strms.used, 0);
}

static void test_errors(void **state)
{
    struct iovec v;
    int cnt = 1, none = 0;

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_fails(EACCES, mtcp_peek(NULL, fix.child, MOS_SIDE_SVR, got, 1));
    assert_fails(EBADF, mtcp_peek(fix.ctx, fix.lst, MOS_SIDE_SVR, got, 1));
    assert_fails(EBADF, mtcp_peek(fix.ctx, 99, MOS_SIDE_SVR, got, 1));
    assert_fails(EBADF, mtcp_peek(fix.ctx, -1, MOS_SIDE_SVR, got, 1));
    assert_fails(EINVAL, mtcp_peek(fix.ctx, fix.child, MOS_SIDE_BOTH, got, 1));
    assert_fails(EINVAL, mtcp_peek(fix.ctx, fix.child, -1, got, 1));
    assert_fails(EINVAL, mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, NULL, 1));
    assert_fails(EBADF, mtcp_ppeek(fix.ctx, fix.lst, MOS_SIDE_SVR, got, 1, 0));
    assert_fails(EINVAL, mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_BOTH, got, 1, 0));
    assert_fails(EINVAL, mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, NULL, 1, 0));
    assert_fails(EBADF, mtcp_peekv(fix.ctx, fix.lst, MOS_SIDE_SVR, &v, &cnt));
    assert_int_equal(cnt, 0);
    assert_fails(EINVAL, mtcp_peekv(fix.ctx, fix.child, MOS_SIDE_SVR, &v, &none));
    assert_fails(EINVAL, mtcp_peekv(fix.ctx, fix.child, MOS_SIDE_SVR, &v, NULL));
    cnt = 1;
    assert_fails(EINVAL, mtcp_peekv(fix.ctx, fix.child, MOS_SIDE_SVR, NULL, &cnt));
    cnt = 1;
    assert_fails(EINVAL, mtcp_ppeekv(fix.ctx, fix.child, MOS_SIDE_SVR, NULL, &cnt, 0));
    assert_fails(EINVAL, mtcp_ppeekv(fix.ctx, fix.child, MOS_SIDE_SVR, &v, &none, 0));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 0), 0);
    peeked(MOS_SIDE_SVR, "abc");
}

static void *peek_elsewhere(void *arg)
{
    errno = 0;
    return (void *)(intptr_t)(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 1) == -1 &&
                              errno == EPERM);
}

static void test_thread(void **state)
{
    pthread_t t;
    void *refused;

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(pthread_create(&t, NULL, peek_elsewhere, NULL), 0);
    pthread_join(t, &refused);
    assert_true((intptr_t)refused);
}

/* Who was stopped on a side reads nothing there any more. */
static void test_stopped(void **state)
{
    int side = MOS_SIDE_SVR;

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(
        mtcp_setsockopt(fix.ctx, fix.child, SOL_MONSOCKET, MOS_STOP_MON, &side, sizeof(side)), 0);
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 0);
    fix_push(fix_svr(0, 3, "xyz"));
    peeked(MOS_SIDE_CLI, "xyz");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fix_up, fix_down)
    const struct CMUnitTest tests[] = {
        TEST(test_in_order),
        TEST(test_unread_stays),
        TEST(test_first_peek_wants),
        TEST(test_next_child_wants),
        TEST(test_gap),
        TEST(test_overrun),
        TEST(test_two_readers),
        TEST(test_views),
        TEST(test_at_offset),
        {"test_retained small", test_retained, up_small, fix_down, NULL},
        {"test_retained default", test_retained, up_default, fix_down, NULL},
        TEST(test_buffer_off),
        TEST(test_let_go),
        TEST(test_errors),
        TEST(test_thread),
        TEST(test_stopped),
    };

    return cmocka_run_group_tests_name("mon_data", tests, NULL, NULL);
}
