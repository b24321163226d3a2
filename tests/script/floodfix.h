/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floodfix.h: what the tests of floods and of budgets share: a context with few half-open flows, who comes
 * in numbers, and what was told.
 */
#ifndef WEIR_TESTS_FLOODFIX_H
#define WEIR_TESTS_FLOODFIX_H

#include "pushfix.h"

#include <stdlib.h>
#include <unistd.h>

#define HALF 64

static int evicted, started, gaps, gap_cause;
static uint64_t lengths; /* bytes '+' that were read */

/* flood_up: a context with HALF half-open flows and these keys besides, and a listener. */
static inline void flood_up(const char *keys)
{
    char path[] = "/tmp/flood.XXXXXX";
    int fd = mkstemp(path);
    FILE *fp = fdopen(fd, "w");

    fprintf(fp, "mos {\n max_half_open = %d\n %s\n}\n", HALF, keys);
    fclose(fp);
    memset(&fix, 0, sizeof(fix));
    evicted = started = gaps = gap_cause = 0;
    lengths = 0;
    fix.now = FIX_START;
    assert_int_equal(mtcp_init(path), 0);
    unlink(path);
    fix.ctx = mtcp_create_context(0);
    assert_non_null(fix.ctx);
    fix.lst = mtcp_socket(fix.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
}

static inline void on(event_t ev, int hook, callback_t cb)
{
    assert_int_equal(mtcp_register_callback(fix.ctx, fix.lst, ev, hook, cb), 0);
}

static inline void on_evict(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    evicted++;
}

static inline void on_length(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    static char buf[4096];
    ssize_t n;

    while ((n = mtcp_peek(m, sock, side, buf, sizeof(buf))) != 0)
        for (ssize_t i = 0; i < n; i++)
            lengths += buf[i] == '+';
}

static inline void on_gap(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct mos_gap_info v;
    socklen_t len = sizeof(v);

    assert_int_equal(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_GAP_INFO, &v, &len), 0);
    gaps++;
    gap_cause = v.cause;
}

static inline void down(void)
{
    assert_int_equal(fix_down(NULL), 0);
}

static inline uint64_t stat_of(const char *name)
{
    static struct mos_stat v[256];
    socklen_t len = sizeof(v);

    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_STATS, v, &len), 0);
    for (size_t i = 0; i < len / sizeof(v[0]); i++)
        if (strcmp(v[i].name, name) == 0)
            return v[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

/* syns: n SYNs of as many sources, from number `from` on, in batches. */
static inline void syns(int from, int n)
{
    static char src[64][40];
    struct frame f[64];
    int k = 0;

    for (int i = from; i < from + n; i++) {
        snprintf(src[k], sizeof(src[k]), "172.%d.%d.%d", 16 + (i >> 16), i >> 8 & 255, i & 255);
        f[k] = (struct frame){.src = src[k], .flags = "S", .seq = 77};
        if (++k == 64 || i == from + n - 1) {
            fix_batch(f, k);
            k = 0;
        }
    }
}

/* established: connection i of a thousand: its handshake. */
static inline void established(int i)
{
    char src[40];
    struct frame v[3] = {
        {.src = src, .flags = "S", .seq = FIX_CLI},
        {FRAME_REPLY, .src = src, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1},
        {.src = src, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1}};

    snprintf(src, sizeof(src), "192.168.%d.%d", i >> 8, i & 255);
    fix_batch(v, 3);
}

/* blind: n random sources send a SYN and, knowing no answer, an ACK with or without data. */
static inline void blind(int from, int n, const char *data, bool syn)
{
    for (int i = from; i < from + n; i++) {
        char src[40];
        struct frame v[2] = {{.src = src, .flags = "S", .seq = 77},
                             {.src = src, .flags = "P.", .seq = 78, .ack = 4711, .payload = data}};

        snprintf(src, sizeof(src), "172.%d.%d.%d", 16 + (i >> 16), i >> 8 & 255, i & 255);
        fix_batch(syn ? v : v + 1, syn ? 2 : 1);
    }
}

/* late_bytes: of 100 established connections: 2,000 bytes each, the second half first. */
static inline void late_bytes(void)
{
    static char text[1001];

    memset(text, '+', 1000);
    for (int k = 1; k >= 0; k--)
        for (int i = 0; i < 100; i++) {
            char src[40];

            snprintf(src, sizeof(src), "192.168.0.%d", i);
            fix_push((struct frame){.src = src,
                                    .flags = "P.",
                                    .payload = text,
                                    .ack = FIX_SVR + 1,
                                    .seq = FIX_CLI + 1 + 1000 * (uint32_t)k});
        }
}

#endif
