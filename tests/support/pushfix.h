/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pushfix.h: one context fed by mtcp_push, for tests of single API calls. What a test wants to do in
 * a callback it puts into fix.act; every callback registered by fix_on calls that.
 */
#ifndef WEIR_TESTS_PUSHFIX_H
#define WEIR_TESTS_PUSHFIX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mos_api.h>

#include "frames.h"

#define FIX_MS    UINT64_C(1000000)
#define FIX_START UINT64_C(1700000000000000000)
#define FIX_CLI   1000 /* initial sequence numbers */
#define FIX_SVR   5000

static struct {
    mctx_t ctx;
    int lst, child;
    uint64_t now;
    void (*act)(int sock, int side, event_t ev);
    int calls; /* callbacks so far */
    struct frame_buf buf[64];
    struct mtcp_frame last[64]; /* the last batch, with its verdicts */
} fix;

#define assert_fails(code, call)                                                                   \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_int_equal((call), -1);                                                              \
        assert_int_equal(errno, code);                                                             \
        assert_true(mtcp_errstr()[0] != '\0');                                                     \
    } while (0)

static inline void fix_event(mctx_t mctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    fix.calls++;
    fix.child = sock;
    if (fix.act)
        fix.act(sock, side, ev);
}

static inline void fix_on(int sock, event_t ev, int hook)
{
    assert_int_equal((mtcp_register_callback)(fix.ctx, sock, ev, hook, fix_event), 0);
}

/* fix_init: mtcp_init with a configuration of these items in its mos block. */
static inline void fix_init(const char *items)
{
    char path[] = "/tmp/weir-push-XXXXXX";
    const int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_true(dprintf(fd, "mos {\n%s\n}\n", items) > 0);
    close(fd);
    if (mtcp_init(path) < 0)
        fail_msg("%s", mtcp_errstr());
    unlink(path);
}

static inline int fix_up(void **state)
{
    memset(&fix, 0, sizeof(fix));
    fix.now = FIX_START;
    fix.child = -1;
    assert_int_equal(mtcp_init(NULL), 0);
    fix.ctx = mtcp_create_context(0);
    assert_non_null(fix.ctx);
    fix.lst = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    assert_true(fix.lst >= 0);
    return 0;
}

static inline int fix_down(void **state)
{
    assert_int_equal(mtcp_destroy_context(fix.ctx), 0);
    assert_int_equal(mtcp_destroy(), 0);
    return 0;
}

/* fix_batch: n frames as one batch, 1 ms after the one before. */
static inline void fix_batch(const struct frame *f, int n)
{
    fix.now += FIX_MS;
    for (int i = 0; i < n; i++) {
        struct pktbuf *pb = frame_tcp(&fix.buf[i], f[i]);

        fix.last[i] = (struct mtcp_frame){.data = pb->data,
                                          .ts_ns = fix.now,
                                          .len = pb->len,
                                          .wire_len = pb->wire_len,
                                          .linktype = pb->linktype};
    }
    assert_int_equal(mtcp_push(fix.ctx, fix.last, n), n);
}

static inline void fix_push(struct frame f)
{
    fix_batch(&f, 1);
}

/* fix_shake: a handshake. Stream offset 0 is sequence number FIX_CLI + 1, FIX_SVR + 1. */
static inline void fix_shake(void)
{
    const struct frame v[] = {
        {.flags = "S", .seq = FIX_CLI},
        {FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1},
        {.seq = FIX_CLI + 1, .ack = FIX_SVR + 1},
    };

    fix_batch(v, 3);
}

/* fix_cli, fix_svr: the frame in which this end sends text at a stream offset. */
static inline struct frame fix_cli(uint32_t off, const char *text)
{
    return (struct frame){
        .flags = "P.", .seq = FIX_CLI + 1 + off, .ack = FIX_SVR + 1, .payload = text};
}

static inline struct frame fix_svr(uint32_t off, uint32_t acked, const char *text)
{
    return (struct frame){FRAME_REPLY, .flags = "P.", .seq = FIX_SVR + 1 + off,
                          .ack = FIX_CLI + 1 + acked, .payload = text};
}

/* fix_ack: the server acknowledges so many bytes. */
static inline struct frame fix_ack(uint32_t acked)
{
    return (struct frame){FRAME_REPLY, .seq = FIX_SVR + 1, .ack = FIX_CLI + 1 + acked};
}

#endif
