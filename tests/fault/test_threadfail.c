// SPDX-License-Identifier: BSD-2-Clause
/*
 * A capture that cannot be started because a thread cannot be had: whoever joins is told, nobody
 * waits for ever, no event was told, and the next run is as any other. No clock watches: a hang
 * ends by meson's limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mos_api.h>

#include "failing.h"

#define MOST 5

static mctx_t ctx[MOST];
static int told;

static void on_event(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    __atomic_add_fetch(&told, 1, __ATOMIC_RELAXED);
}

static void up(int cores)
{
    char path[] = "/tmp/weir-thread-XXXXXX", text[512];
    struct mtcp_conf conf;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    snprintf(text, sizeof(text),
             "mos {\nnetdev {\n\"pcap:%s/tests/traces/p-three-http-streams.pcap\" 1\n}\n}\n",
             getenv("WEIR_SOURCE"));
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    if (mtcp_init(path) < 0)
        fail_msg("%s", mtcp_errstr());
    unlink(path);
    assert_int_equal(mtcp_getconf(&conf), 0);
    conf.num_cores = cores;
    assert_int_equal(mtcp_setconf(&conf), 0);
    told = 0;
    for (int i = 0; i < cores; i++) {
        int l;

        ctx[i] = mtcp_create_context(i);
        assert_non_null(ctx[i]);
        l = mtcp_socket(ctx[i], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
        assert_int_equal(mtcp_register_callback(ctx[i], l, MOS_ON_PKT_IN, MOS_HK_SND, on_event), 0);
    }
}

static void down(int cores)
{
    for (int i = 0; i < cores; i++)
        assert_int_equal(mtcp_destroy_context(ctx[i]), 0);
    assert_int_equal(mtcp_destroy(), 0);
}

/* joined: a join says why there was no run. */
static void joined(mctx_t c, const char *what)
{
    mtcp_app_join(c);
    assert_int_equal(errno, EAGAIN);
    assert_non_null(strstr(mtcp_errstr(), what));
}

static void from_one_thread(void **state)
{
    for (int cores = 1; cores <= MOST; cores++) {
        int threads = cores == 1 ? 1 : cores + 1; /* the last is the feeder */

        for (int k = 1; k <= threads; k++) {
            up(cores);
            fail_arm(&fail_thread, (uint64_t)k, (uint64_t)k);
            for (int i = 0; i < cores; i++)
                joined(ctx[i], k > cores ? "no thread for the capture" : "no thread for a context");
            fail_disarm(&fail_thread);
            assert_int_equal(fail_thread.failed, 1);
            assert_int_equal(told, 0);
            /* it is over: nothing will ever be told, and nothing can be set up for it */
            assert_int_equal(mtcp_socket(ctx[0], AF_INET, MOS_SOCK_MONITOR_STREAM, 0), -1);
            assert_int_equal(errno, EPERM);
            assert_null(mtcp_create_context(0));
            assert_int_equal(errno, EBUSY);
            down(cores);
        }
        up(cores);
        fail_arm(&fail_thread, 0, 0);
        for (int i = 0; i < cores; i++) {
            mtcp_app_join(ctx[i]);
            assert_int_equal(errno, 0);
        }
        fail_disarm(&fail_thread);
        assert_int_equal(fail_thread.calls, threads);
        assert_int_equal(told, 28); /* the frames of the capture */
        down(cores);
    }
}

static pthread_barrier_t gate;

static void *join_one(void *arg)
{
    pthread_barrier_wait(&gate);
    mtcp_app_join(arg);
    return (void *)(intptr_t)(errno == EAGAIN && mtcp_errstr()[0] != '\0');
}

/* As programs do it: a thread for each context, all of them waiting. */
static void from_many_threads(void **state)
{
    for (uint64_t k = 1; k <= MOST + 1; k++) {
        pthread_t t[MOST];

        up(MOST);
        assert_int_equal(pthread_barrier_init(&gate, NULL, MOST + 1), 0);
        for (int i = 0; i < MOST; i++)
            assert_int_equal(pthread_create(&t[i], NULL, join_one, ctx[i]), 0);
        fail_arm(&fail_thread, k, UINT64_MAX);
        pthread_barrier_wait(&gate);
        for (int i = 0; i < MOST; i++) {
            void *ok = NULL;

            assert_int_equal(pthread_join(t[i], &ok), 0);
            assert_non_null(ok);
        }
        fail_disarm(&fail_thread);
        pthread_barrier_destroy(&gate);
        assert_int_equal(told, 0);
        down(MOST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_one_thread),
        cmocka_unit_test(from_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
