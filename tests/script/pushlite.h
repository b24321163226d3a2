/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pushlite.h: a context fed by mtcp_push, for tests that look at many packets and not at single
 * calls: batches that fill up and go by themselves, and the context's counters by name.
 */
#ifndef WEIR_TESTS_PUSHLITE_H
#define WEIR_TESTS_PUSHLITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mos_api.h>

#include "frames.h"

#define LITE_START UINT64_C(1700000000000000000)
#define LITE_BATCH 64

struct lite {
    mctx_t ctx;
    int lst;
    uint64_t now;
    int n;
    struct frame_buf buf[LITE_BATCH];
    struct mtcp_frame batch[LITE_BATCH];
};

/* lite_init: the library with these lines in the mos block, one context, one listener. */
static inline void lite_init(struct lite *l, const char *conf)
{
    int fd = memfd_create("test.conf", 0);
    char path[64];

    memset(l, 0, sizeof(*l));
    l->now = LITE_START;
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "mos {\n%s\n}\n", conf) > 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (mtcp_init(path) < 0)
        fail_msg("mtcp_init: %s", mtcp_errstr());
    close(fd);
    l->ctx = mtcp_create_context(0);
    assert_non_null(l->ctx);
    l->lst = mtcp_socket(l->ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    assert_true(l->lst >= 0);
}

static inline void lite_fini(struct lite *l)
{
    assert_int_equal(mtcp_destroy_context(l->ctx), 0);
    assert_int_equal(mtcp_destroy(), 0);
}

static inline void lite_flush(struct lite *l)
{
    if (l->n > 0)
        assert_int_equal(mtcp_push(l->ctx, l->batch, l->n), l->n);
    l->n = 0;
}

/* lite_tcp: one more frame, dns after the last; a full batch is pushed. */
static inline void lite_tcp(struct lite *l, uint64_t dns, struct frame f)
{
    struct pktbuf *p;

    l->now += dns;
    f.ts_ns = l->now;
    p = frame_tcp(&l->buf[l->n], f);
    l->batch[l->n++] = (struct mtcp_frame){
        .data = p->data, .ts_ns = p->ts_ns, .len = p->len, .wire_len = p->wire_len};
    if (l->n == LITE_BATCH)
        lite_flush(l);
}

/* lite_stat: a counter of the context. */
static inline uint64_t lite_stat(struct lite *l, const char *name)
{
    struct mos_stat *v;
    uint64_t value = UINT64_MAX;
    socklen_t len = 0;

    assert_int_equal(mtcp_getsockopt(l->ctx, l->lst, SOL_MONSOCKET, MOS_STATS, NULL, &len), 0);
    v = malloc(len);
    assert_int_equal(mtcp_getsockopt(l->ctx, l->lst, SOL_MONSOCKET, MOS_STATS, v, &len), 0);
    for (size_t i = 0; i < len / sizeof(*v); i++)
        if (strcmp(v[i].name, name) == 0)
            value = v[i].value;
    free(v);
    assert_true(value != UINT64_MAX);
    return value;
}

#endif
