// SPDX-License-Identifier: BSD-2-Clause
#include "benchapp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <mos_api.h>

#include "engine/engine.h"
#include "measure.h"
#include "memdev.h"

#define LINE        64
#define CELLS       1024
#define PATTERN_LEN (sizeof(GEN_PATTERN) - 1)
#define TAIL        (PATTERN_LEN - 1)

static struct app_result res;
static char scratch[65536];

/* ---- what the application keeps for each connection ---- */

struct counter { /* a line of its own: a real program has more than one number */
    uint64_t packets;
    uint8_t more[LINE - 8];
};

struct searcher { /* the last bytes of each side's stream: a match may begin there */
    uint8_t tail[2][TAIL];
    uint8_t n[2];
};

union cell {
    struct counter count;
    struct searcher search;
    union cell *next;
    uint8_t line[LINE];
};

_Static_assert(sizeof(union cell) == LINE, "a cache line each");

static union cell *idle;

static void *cell_new(void)
{
    union cell *c;

    if (idle == NULL) {
        c = aligned_alloc(LINE, CELLS * sizeof(*c));
        for (int i = 0; c && i < CELLS; i++) {
            c[i].next = idle;
            idle = &c[i];
        }
        if (idle == NULL)
            abort();
    }
    c = idle;
    idle = c->next;
    memset(c, 0, sizeof(*c));
    return c;
}

static void cell_free(void *p)
{
    union cell *c = p;

    c->next = idle;
    idle = c;
}

static void *begin(mctx_t mctx, int sock)
{
    void *c = cell_new();

    mtcp_set_uctx(mctx, sock, c);
    res.flows++;
    return c;
}

/* ---- count ---- */

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct counter *c = mtcp_get_uctx(mctx, sock);

    if (c == NULL)
        c = begin(mctx, sock);
    c->packets++;
}

static void on_counted(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct counter *c = mtcp_get_uctx(mctx, sock);

    if (c == NULL) /* the second of two CONN_END */
        return;
    res.packets += c->packets;
    cell_free(c);
    mtcp_set_uctx(mctx, sock, NULL);
}

/* ---- search ---- */

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    begin(mctx, sock);
}

/* remember: the last bytes of the stream so far. */
static void remember(struct searcher *s, int side, const uint8_t *p, size_t len)
{
    size_t keep = s->n[side];

    if (len >= TAIL) {
        memcpy(s->tail[side], p + len - TAIL, TAIL);
        s->n[side] = TAIL;
        return;
    }
    if (keep + len > TAIL) {
        size_t drop = keep + len - TAIL;

        memmove(s->tail[side], s->tail[side] + drop, keep - drop);
        keep -= drop;
    }
    memcpy(s->tail[side] + keep, p, len);
    s->n[side] = (uint8_t)(keep + len);
}

/* across: a match that begins in what is remembered and ends in this piece. */
static uint64_t across(const struct searcher *s, int side, const uint8_t *p, size_t len)
{
    const uint8_t *at = s->tail[side], *end = at + s->n[side];

    while ((at = memchr(at, GEN_PATTERN[0], (size_t)(end - at))) != NULL) {
        size_t have = (size_t)(end - at);

        if (PATTERN_LEN - have <= len && memcmp(at, GEN_PATTERN, have) == 0 &&
            memcmp(p, &GEN_PATTERN[have], PATTERN_LEN - have) == 0)
            return 1;
        at++;
    }
    return 0;
}

/* look: in this piece, and across the border to the one before. */
static void look(struct searcher *s, int side, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len, *hit = p;

    res.found += across(s, side, p, len);
    while ((hit = memmem(hit, (size_t)(end - hit), GEN_PATTERN, PATTERN_LEN)) != NULL) {
        res.found++;
        hit += PATTERN_LEN;
    }
    remember(s, side, p, len);
    res.stream_bytes += len;
}

static void on_views(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct searcher *s = mtcp_get_uctx(mctx, sock);
    struct iovec iov[16];
    int cnt = 16;
    ssize_t n;

    while ((n = mtcp_peekv(mctx, sock, side, iov, &cnt)) != 0) {
        if (n < 0 && errno != ENODATA)
            return;
        if (n < 0)
            s->n[side] = 0;
        for (int i = 0; i < cnt; i++)
            look(s, side, iov[i].iov_base, iov[i].iov_len);
        cnt = 16;
    }
}

static void on_bytes(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct searcher *s = mtcp_get_uctx(mctx, sock);
    ssize_t n;

    while ((n = mtcp_peek(mctx, sock, side, scratch, sizeof(scratch))) != 0) {
        if (n < 0 && errno != ENODATA)
            return;
        if (n < 0)
            s->n[side] = 0;
        else
            look(s, side, (const uint8_t *)scratch, (size_t)n);
    }
}

static void on_searched(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    void *s = mtcp_get_uctx(mctx, sock);

    if (s)
        cell_free(s);
    mtcp_set_uctx(mctx, sock, NULL);
}

/* ---- the program ---- */

static int no_buffers(mctx_t mctx, int sock)
{
    int off = 0;

    if (mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)) < 0)
        return -1;
    return mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off));
}

static const struct {
    enum bench_app app;
    event_t event;
    int hook;
    callback_t cb;
} wish[] = {
    {APP_COUNT, MOS_ON_PKT_IN, MOS_HK_SND, on_packet},
    {APP_COUNT, MOS_ON_CONN_END, MOS_HK_SND, on_counted},
    {APP_SEARCH, MOS_ON_CONN_START, MOS_HK_SND, on_start},
    {APP_SEARCH, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_views},
    {APP_SEARCH, MOS_ON_CONN_END, MOS_HK_SND, on_searched},
    {APP_PEEK, MOS_ON_CONN_START, MOS_HK_SND, on_start},
    {APP_PEEK, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_bytes},
    {APP_PEEK, MOS_ON_CONN_END, MOS_HK_SND, on_searched},
};

static int listen_for(mctx_t mctx, int sock, enum bench_app app, bool csum)
{
    int mode = csum ? MOS_CSUM_ON : MOS_CSUM_OFF;

    if (sock < 0 || mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CSUM, &mode, sizeof(mode)) < 0)
        return -1;
    if (app < APP_SEARCH && no_buffers(mctx, sock) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(wish); i++)
        if (wish[i].app == app &&
            mtcp_register_callback(mctx, sock, wish[i].event, wish[i].hook, wish[i].cb) < 0)
            return -1;
    return 0;
}

static int configure(const struct preload *p, unsigned how)
{
    struct mtcp_conf c;

    if (mtcp_init(NULL) < 0 || mtcp_getconf(&c) < 0)
        return -1;
    c.max_concurrency = (int)p->cfg.concurrent * 2 + 1024;
    c.rcvbuf_size = 65536;
    engine.conf.seed = 1;                               /* the same table in every run */
    engine.conf.mon.max_half = p->cfg.concurrent + 512; /* W1: all handshakes at once, no flood */
    if (how & APP_RESERVED)
        engine.conf.mon.reserve = p->cfg.concurrent + 512;
    return mtcp_setconf(&c);
}

/* opened: flows that the library has had. */
static uint64_t opened(mctx_t mctx, int sock)
{
    struct mos_stat v[256];
    socklen_t len = sizeof(v);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_STATS, v, &len) < 0)
        return 0;
    for (size_t i = 0; i < len / sizeof(v[0]); i++)
        if (strcmp(v[i].name, "flows") == 0)
            return v[i].value;
    return 0;
}

bool app_run(const struct preload *p, enum bench_app app, unsigned how, struct app_result *r,
             const char **why)
{
    struct memdev_result dev = {0};
    uint64_t before = measure_rss();
    mctx_t mctx = NULL;
    bool ok = false;
    int sock = -1;

    memset(&res, 0, sizeof(res));
    if (configure(p, how) == 0) {
        memdev_install(p, &dev);
        mctx = mtcp_create_context(0);
    }
    if (mctx)
        sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (mctx && listen_for(mctx, sock, app, how & APP_CSUM) == 0) {
        mtcp_app_join(mctx);
        if (app == APP_NONE)
            res.flows = opened(mctx, sock);
        ok = dev.ns > 0;
    }
    *why = mtcp_errstr();
    if (mctx)
        mtcp_destroy_context(mctx);
    memdev_remove();
    mtcp_destroy();
    *r = res;
    r->ns = dev.ns;
    r->rss_bytes = dev.rss;
    r->start_bytes = dev.start_rss > before ? dev.start_rss - before : 0;
    r->fed = dev.packets;
    r->tot = dev.tot;
    return ok;
}
