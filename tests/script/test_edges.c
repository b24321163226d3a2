// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_edges.c: what a program meets at the edges of the API: a context's handle after its end,
 * sockets closed or stopped while something still runs, buffers of just the default size, frames
 * and devices together, an interrupt where nobody joins.
 */
#include "pushlite.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

static struct lite l;
static mctx_t seen;
static int calls, ends, errors;

static void up(const char *conf)
{
    seen = NULL;
    calls = ends = errors = 0;
    lite_init(&l, conf);
}

static void on(int sock, event_t ev, int hook, callback_t cb)
{
    assert_int_equal(mtcp_register_callback(l.ctx, sock, ev, hook, cb), 0);
}

static void count(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    seen = m;
    calls++;
}

static void count_end(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    ends++;
}

static void syn(uint16_t port)
{
    lite_tcp(&l, 1000, (struct frame){.sport = port, .flags = "S", .seq = 1000});
}

static void handshake(uint16_t port)
{
    syn(port);
    lite_tcp(&l, 1000,
             (struct frame){FRAME_REPLY, .sport = port, .flags = "S.", .seq = 5000, .ack = 1001});
    lite_tcp(&l, 1000, (struct frame){.sport = port, .seq = 1001, .ack = 5001});
}

static void client_sends(uint16_t port, uint32_t off, uint32_t len)
{
    lite_tcp(
        &l, 1000,
        (struct frame){.sport = port, .flags = "P.", .seq = 1001 + off, .ack = 5001, .plen = len});
}

static void let_pass(uint64_t ns)
{
    l.now += ns;
    assert_int_equal(mtcp_tick(l.ctx, l.now), 0);
}

/* ---- the handle ---- */

static void handle_of_a_callback_stays_readable(void **state)
{
    up("");
    on(l.lst, MOS_ON_CONN_START, MOS_HK_SND, count);
    syn(99);
    lite_flush(&l);
    assert_ptr_equal(seen, l.ctx);
    lite_fini(&l);
    assert_int_equal(seen->cpu, 0);
    assert_int_equal(mtcp_destroy_context(seen), -1);
    assert_int_equal(errno, EPERM);
    mtcp_app_join(seen);
}

static void counters_stay_after_the_end(void **state)
{
    struct mos_stat v[128];
    socklen_t len = sizeof(v);
    int yes = 0;

    char conf[1000];

    snprintf(conf, sizeof(conf), "netdev {\n\"pcap:%s/tests/traces/s-gap-acked.pcap\" 1\n}",
             getenv("WEIR_SOURCE"));
    up(conf);
    mtcp_app_join(l.ctx);
    assert_int_equal(mtcp_getsockopt(l.ctx, l.lst, SOL_MONSOCKET, MOS_STATS, v, &len), 0);
    for (socklen_t i = 0; i < len / sizeof(v[0]); i++)
        if (strcmp(v[i].name, "flows") == 0)
            yes = v[i].value == 1;
    assert_true(yes);
    assert_int_equal(mtcp_setsockopt(l.ctx, l.lst, SOL_MONSOCKET, MOS_STATS, &yes, sizeof(yes)),
                     -1);
    assert_int_equal(errno, EPERM);
    lite_fini(&l);
}

static bool always(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return true;
}

static void events_outlive_the_library(void **state)
{
    event_t ev = mtcp_define_event(MOS_ON_PKT_IN, always, NULL);

    up("");
    lite_fini(&l);
    up("");
    assert_int_not_equal(mtcp_alloc_event(MOS_ON_PKT_IN), ev);
    on(l.lst, ev, MOS_HK_SND, count);
    syn(99);
    lite_flush(&l);
    assert_int_equal(calls, 1);
    lite_fini(&l);
}

/* ---- closed and stopped ---- */

static void close_it(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    assert_int_equal(mtcp_close(m, sock), 0);
}

/* With a child alive too: nothing of a listener runs behind the callback that closed it. */
static void closed_listener_is_silent_at_once(void **state)
{
    event_t ev = mtcp_define_event(MOS_ON_ORPHAN, always, NULL);

    up("");
    on(l.lst, MOS_ON_ORPHAN, MOS_NULL, close_it);
    on(l.lst, ev, MOS_NULL, count);
    on(l.lst, MOS_ON_CONN_END, MOS_HK_SND, count_end);
    handshake(99);
    client_sends(98, 0, 10);
    lite_flush(&l);
    assert_int_equal(calls, 0);
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, ev, MOS_NULL, count), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(mtcp_push(l.ctx, NULL, 0), 0);
    assert_int_equal(ends, 2);
    lite_fini(&l);
}

static void stop_and_reset(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    int both = MOS_SIDE_BOTH;

    errors++;
    assert_int_equal(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)), 0);
    assert_int_equal(mtcp_reset_conn(m, sock), 0);
}

/* At the very end of a batch, when ends have been told: the record's next owner is not ended. */
static void stopped_and_reset_ends_nobody_else(void **state)
{
    up("rmem_size = 100");
    on(l.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL, count);
    on(l.lst, MOS_ON_ERROR, MOS_NULL, stop_and_reset);
    on(l.lst, MOS_ON_CONN_END, MOS_HK_SND, count_end);
    handshake(99);
    for (uint32_t i = 1; i < 5; i++)
        client_sends(99, i * 1000, 1000);
    lite_flush(&l);
    assert_int_equal(errors, 0);
    let_pass(UINT64_C(3000000000)); /* gap_timeout: what waited is readable, and too much */
    assert_int_equal(errors, 1);
    handshake(97);
    lite_flush(&l);
    let_pass(1000);
    assert_int_equal(ends, 0);
    lite_fini(&l);
}

/* ---- raw sockets ---- */

static void raw_socket_has_one_filter(void **state)
{
    monitor_filter udp = {.raw_pkt_filter = "udp"}, none = {.stream_syn_filter = "port 1"};
    int raw;

    up("");
    raw = mtcp_socket(l.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    assert_true(raw >= 0);
    assert_int_equal(mtcp_bind_monitor_filter(l.ctx, l.lst, &none), 0);
    on(raw, MOS_ON_ORPHAN, MOS_NULL, count);
    syn(99);
    lite_flush(&l);
    assert_int_equal(calls, 1);
    assert_int_equal(mtcp_bind_monitor_filter(l.ctx, raw, &udp), 0);
    syn(99);
    lite_flush(&l);
    assert_int_equal(calls, 1);
    lite_fini(&l);
}

/* What succeeds leaves errno alone, whichever socket it is about. */
static void success_leaves_errno(void **state)
{
    int lst, off = 0;

    up("");
    lst = mtcp_socket(l.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    assert_true(lst >= 0);
    errno = 0;
    assert_int_equal(mtcp_setsockopt(l.ctx, lst, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)), 0);
    assert_int_equal(errno, 0);
    assert_int_equal(mtcp_register_callback(l.ctx, lst, MOS_ON_PKT_IN, MOS_HK_SND, count), 0);
    assert_int_equal(errno, 0);
    lite_fini(&l);
}

static void raw_socket_refuses_what_never_comes(void **state)
{
    static const struct {
        event_t ev;
        int hook, rc;
    } v[] = {
        {MOS_ON_PKT_IN, MOS_NULL, 0},         {MOS_ON_ORPHAN, MOS_NULL, 0},
        {MOS_ON_PKT_IN, MOS_HK_SND, -1},      {MOS_ON_PKT_IN, MOS_HK_RCV, -1},
        {MOS_ON_CONN_START, MOS_HK_SND, -1},  {MOS_ON_CONN_END, MOS_HK_RCV, -1},
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, -1}, {MOS_ON_TIMEOUT, MOS_NULL, -1},
        {MOS_ON_DEBUG_MESSAGE, MOS_NULL, 0},
    };
    int raw;

    up("");
    raw = mtcp_socket(l.ctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    assert_true(raw >= 0);
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        errno = 0;
        assert_int_equal(mtcp_register_callback(l.ctx, raw, v[i].ev, v[i].hook, count), v[i].rc);
        assert_int_equal(errno, v[i].rc ? EINVAL : 0);
    }
    lite_fini(&l);
}

/* ---- sizes ---- */

static uint64_t held;

static void drain(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char buf[4096];

    while (mtcp_peek(m, sock, side, buf, sizeof(buf)) > 0)
        ;
}

static void look(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char c;

    for (held = 0; held < 20000; held++)
        if (mtcp_ppeek(m, sock, MOS_SIDE_SVR, &c, 1, 20000 - held - 1) != 1)
            break;
}

static void ask_for(int sock, int size)
{
    assert_int_equal(mtcp_setsockopt(l.ctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &size, sizeof(size)),
                     0);
}

/* retained: of 20000 bytes that were read, when one listener asked for a, another (0: none) for b. */
static uint64_t retained(int a, int b)
{
    up("");
    ask_for(l.lst, a);
    on(l.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL, drain);
    on(l.lst, MOS_ON_PKT_IN, MOS_HK_SND, look);
    if (b) {
        int other = mtcp_socket(l.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

        ask_for(other, b);
        on(other, MOS_ON_CONN_NEW_DATA, MOS_NULL, drain);
    }
    handshake(99);
    for (uint32_t i = 0; i < 20; i++)
        client_sends(99, i * 1000, 1000);
    lite_tcp(&l, 1000,
             (struct frame){FRAME_REPLY, .sport = 99, .flags = ".", .seq = 5001, .ack = 21001});
    lite_flush(&l);
    lite_tcp(&l, 1000,
             (struct frame){FRAME_REPLY, .sport = 99, .flags = ".", .seq = 5001, .ack = 21001});
    lite_flush(&l);
    lite_fini(&l);
    return held;
}

static void size_asked_for_is_the_size(void **state)
{
    static const int sizes[] = {1, 1000, 8191, 8192 /* the default */, 8193};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal(retained(sizes[i], 0), sizes[i]);
    assert_int_equal(retained(9000, 1000), 9000);
    assert_int_equal(retained(1000, 9000), 9000);
}

/* ---- where frames come from, and when they end ---- */

static int init_with(const char *devices)
{
    int fd = memfd_create("edges.conf", 0), rc;
    char path[64];

    assert_true(dprintf(fd, "mos {\nnetdev {\n%s\n}\n}\n", devices) > 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    rc = mtcp_init(path);
    close(fd);
    return rc;
}

static int empty_capture(void)
{
    const uint32_t head[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};
    int fd = memfd_create("edges.pcap", 0);

    assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
    return fd;
}

static void frames_or_devices(void **state)
{
    char rows[128];
    int fd = empty_capture();

    snprintf(rows, sizeof(rows), "\"pcap:/proc/self/fd/%d\" 1\nmem: 1", fd);
    assert_int_equal(init_with(rows), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(init_with("mem:0 1\nmem:1 1"), 0);
    l.ctx = mtcp_create_context(0);
    assert_non_null(l.ctx);
    mtcp_app_join(l.ctx);
    assert_int_equal(mtcp_push(l.ctx, NULL, 0), 0);
    lite_fini(&l);
    close(fd);
}

static void interrupt_ends_a_loop_of_the_program(void **state)
{
    up("");
    on(l.lst, MOS_ON_CONN_END, MOS_HK_SND, count_end);
    handshake(99);
    lite_flush(&l);
    raise(SIGINT);
    errno = 0;
    assert_int_equal(mtcp_push(l.ctx, l.batch, 1), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(ends, 2);
    assert_int_equal(mtcp_tick(l.ctx, l.now), -1);
    assert_int_equal(ends, 2);
    lite_fini(&l);
}

static void *join(void *ctx)
{
    mtcp_app_join(ctx);
    return NULL;
}

/* Nothing comes, and nothing ends: each context still ends for itself. */
static void contexts_end_on_a_silent_input(void **state)
{
    const uint32_t head[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};

    for (int first = 0; first < 2; first++) {
        pthread_t thread[2];
        mctx_t m[2];
        char row[64];
        int fd[2];

        assert_int_equal(pipe(fd), 0);
        assert_int_equal(write(fd[1], head, sizeof(head)), sizeof(head));
        snprintf(row, sizeof(row), "\"pcap:/proc/self/fd/%d\" 3", fd[0]);
        assert_int_equal(init_with(row), 0);
        for (int i = 0; i < 2; i++)
            assert_non_null(m[i] = mtcp_create_context(i));
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, join, m[i]), 0);
        usleep(20000); /* most likely both wait by now */
        alarm(20);
        assert_int_equal(mtcp_destroy_context(m[first]), 0);
        assert_int_equal(mtcp_destroy_context(m[!first]), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_join(thread[i], NULL), 0);
        alarm(0);
        assert_int_equal(mtcp_destroy(), 0);
        close(fd[0]);
        close(fd[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handle_of_a_callback_stays_readable),
        cmocka_unit_test(counters_stay_after_the_end),
        cmocka_unit_test(events_outlive_the_library),
        cmocka_unit_test(closed_listener_is_silent_at_once),
        cmocka_unit_test(stopped_and_reset_ends_nobody_else),
        cmocka_unit_test(raw_socket_has_one_filter),
        cmocka_unit_test(success_leaves_errno),
        cmocka_unit_test(raw_socket_refuses_what_never_comes),
        cmocka_unit_test(size_asked_for_is_the_size),
        cmocka_unit_test(frames_or_devices),
        cmocka_unit_test(interrupt_ends_a_loop_of_the_program),
        cmocka_unit_test(contexts_end_on_a_silent_input),
    };

    return cmocka_run_group_tests_name("edges", tests, NULL, NULL);
}
