/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live_fix.h: contexts on interfaces that the test plays (fakeif.h). The test is the network; each
 * context is joined by a thread of its own.
 */
#ifndef WEIR_TESTS_LIVE_FIX_H
#define WEIR_TESTS_LIVE_FIX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include <mos_api.h>

#include "engine/engine.h"
#include "fakeif.h"
#include "frames.h"

#define LIVE_CORES 4
#define CLI_ISN    1000
#define SVR_ISN    5000

static struct {
    mctx_t ctx[LIVE_CORES];
    int lst[LIVE_CORES], cores;
    pthread_t joiner[LIVE_CORES];
    bool joined;
    int code[LIVE_CORES]; /* errno of the join */
    char said[LIVE_CORES][200];
    /* atomics, of all contexts */
    int starts, ends, reason, data, timers, other_thread;
    void (*act)(mctx_t ctx, int sock, int side, event_t ev); /* at each NEW_DATA */
    struct frame_buf buf;
} live;

static struct fakeif *a, *b;

/* on_event: what the contexts are told. */
static inline void on_event(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    if (ev == MOS_ON_CONN_START)
        __atomic_fetch_add(&live.starts, 1, __ATOMIC_RELAXED);
    if (ev == MOS_ON_CONN_NEW_DATA) {
        if (live.act)
            live.act(ctx, sock, side, ev);
        __atomic_fetch_add(&live.data, 1, __ATOMIC_RELEASE);
    }
    if (ev == MOS_ON_CONN_END && side == MOS_SIDE_CLI &&
        mtcp_getsockopt(ctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len) == 0) {
        __atomic_store_n(&live.reason, (int)info.reason, __ATOMIC_RELAXED);
        __atomic_fetch_add(&live.ends, 1, __ATOMIC_RELEASE);
    }
}

static inline void set_up_context(int i)
{
    live.ctx[i] = mtcp_create_context(i);
    if (live.ctx[i] == NULL)
        fail_msg("context %d: %s", i, mtcp_errstr());
    live.lst[i] = mtcp_socket(live.ctx[i], AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    assert_int_equal(
        (mtcp_register_callback)(live.ctx[i], live.lst[i], MOS_ON_CONN_START, MOS_HK_SND, on_event),
        0);
    assert_int_equal((mtcp_register_callback)(live.ctx[i], live.lst[i], MOS_ON_CONN_NEW_DATA,
                                              MOS_NULL, on_event),
                     0);
    assert_int_equal(
        (mtcp_register_callback)(live.ctx[i], live.lst[i], MOS_ON_CONN_END, MOS_HK_RCV, on_event),
        0);
}

/* init_with: items of the mos block. */
static inline int init_with(const char *items)
{
    char path[] = "/tmp/weir-live-XXXXXX";
    int fd = mkstemp(path), rc;
    FILE *f = fdopen(fd, "w");

    fprintf(f, "mos {\n%s\n}\n", items);
    fclose(f);
    rc = mtcp_init(path);
    unlink(path);
    return rc;
}

#define MIRROR   "netdev {\nfake:a 1\n}\n"
#define INLINE   "netdev {\nfake:a 1\nfake:b 1\n}\nnic_forward_table { fake:a fake:b }\n"
#define INLINE_2 "netdev {\nfake:a 3\nfake:b 3\n}\nnic_forward_table { fake:a fake:b }\n"

/* set_up: => contexts are made, none is joined. */
static inline void set_up(const char *items, int cores)
{
    memset(&live, 0, sizeof(live));
    fake_reset();
    io_add_kind(&fake_ops);
    a = fake_find("a");
    b = fake_find("b");
    if (init_with(items) < 0)
        fail_msg("%s", mtcp_errstr());
    live.cores = cores;
    for (int i = 0; i < cores; i++)
        set_up_context(i);
}

static inline void *join_one(void *arg)
{
    int i = (int)(intptr_t)arg;

    errno = 0;
    mtcp_app_join(live.ctx[i]);
    live.code[i] = errno;
    snprintf(live.said[i], sizeof(live.said[i]), "%s", mtcp_errstr());
    return NULL;
}

/* go: all are joined; since each by another thread than their maker they begin one by one: until all have. */
static inline void go(void)
{
    for (int i = 0; i < live.cores; i++)
        assert_int_equal(pthread_create(&live.joiner[i], NULL, join_one, (void *)(intptr_t)i), 0);
    for (int i = 0; i < live.cores; i++)
        while (__atomic_load_n(&engine.ctx[i].m->state, __ATOMIC_ACQUIRE) == MON_SETUP)
            sched_yield();
    live.joined = true;
}

/* wait_ends: until all contexts have told their last event. */
static inline void wait_ends(void)
{
    for (int i = 0; live.joined && i < live.cores; i++)
        pthread_join(live.joiner[i], NULL);
    live.joined = false;
}

static inline uint64_t stat_of(int i, const char *name)
{
    struct mos_stat v[200];
    socklen_t len = sizeof(v);

    assert_int_equal(mtcp_getsockopt(live.ctx[i], live.lst[i], SOL_MONSOCKET, MOS_STATS, v, &len),
                     0);
    for (size_t k = 0; k < len / sizeof(v[0]); k++)
        if (strcmp(v[k].name, name) == 0)
            return v[k].value;
    fail_msg("no counter is called %s", name);
    return 0;
}

/* tear_down: no more frames come; everything ends and is given back. */
static inline void tear_down(void)
{
    fake_over();
    wait_ends();
    for (int i = 0; i < live.cores; i++)
        assert_int_equal(mtcp_destroy_context(live.ctx[i]), 0);
    assert_int_equal(mtcp_destroy(), 0);
    fake_reset();
}

/* from: a frame comes by this interface and queue. */
static inline void from_q(struct fakeif *f, int queue, struct frame fr)
{
    fake_put(f, queue, frame_tcp(&live.buf, fr));
}

static inline void from(struct fakeif *f, struct frame fr)
{
    from_q(f, 0, fr);
}

/* leaves: the next frame that leaves by this interface is this one, unchanged. */
static inline void leaves_at(struct fakeif *f, const struct pktbuf *pb, int line)
{
    struct fake_frame *x = fake_take(f, 2000);

    if (x == NULL)
        fail_msg("line %d: no frame left", line);
    if (x->len != pb->len || memcmp(x->data, pb->data, pb->len) != 0)
        fail_msg("line %d: another frame left", line);
    free(x);
}
#define leaves(f, ...) leaves_at(f, frame_tcp(&live.buf, (struct frame)__VA_ARGS__), __LINE__)

/* nothing_leaves: not within 20 ms. */
static inline void nothing_leaves(struct fakeif *f)
{
    assert_null(fake_take(f, 20));
}

/* soon: until a counter has this value, or two seconds. */
static inline void soon_at(const int *v, int want, int line)
{
    struct timespec nap = {0, 1000000};

    for (int ms = 0; __atomic_load_n(v, __ATOMIC_ACQUIRE) < want; ms++) {
        if (ms == 5000)
            fail_msg("line %d: %d, expected %d", line, *v, want);
        nanosleep(&nap, NULL);
    }
}
#define soon(v, want) soon_at(v, want, __LINE__)

static inline void pause_ms(int ms)
{
    struct timespec nap = {0, ms * 1000000L};

    nanosleep(&nap, NULL);
}

#endif
