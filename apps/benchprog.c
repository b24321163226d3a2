// SPDX-License-Identifier: BSD-2-Clause
/*
 * benchprog.c: five programs. All of them ask once for the record of each connection, when it has
 * ended; besides,
 *   none    has no callback;
 *   count   counts the packets of each connection, behind its user context;
 *   search  looks for a string in all reassembled bytes, across the borders of packets too;
 *   rexmit  asks about every repetition;
 *   events  registers N events of its own on each connection, whose filters always say no.
 */
#include "benchprog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appflow.h"

#define LINE  64
#define CELLS 1024
#define TAIL  (APP_NEEDLE - 1)

/* What a program keeps for a connection: a line of its own. */
union cell {
    uint64_t packets;
    struct {
        uint8_t tail[2][TAIL]; /* the last bytes of each side: a match may begin there */
        uint8_t n[2];
    } search;
    union cell *next;
    uint8_t line[LINE];
};

_Static_assert(sizeof(union cell) == LINE, "a cache line each");

struct prog_ctx {
    struct prog_sums sums;
    union cell *idle;
    bool failed;
} __attribute__((aligned(2 * LINE))); /* contexts share no line */

static struct prog_ctx ctx[APP_MAX_CORES];
static event_t own[APP_EVENTS];
static int nown;
static const char *needle;
static size_t needle_len;
static enum app_program program;

/* The user context of a connection that was reported: CONN_END comes for each side. */
static char reported;

static struct prog_ctx *of(mctx_t mctx)
{
    return &ctx[mctx->cpu];
}

static union cell *cell_new(struct prog_ctx *c)
{
    union cell *v;

    if (c->idle == NULL) {
        v = aligned_alloc(LINE, CELLS * sizeof(*v));
        for (int i = 0; v && i < CELLS; i++) {
            v[i].next = c->idle;
            c->idle = &v[i];
        }
    }
    v = c->idle;
    if (v == NULL) {
        c->failed = true;
        return NULL;
    }
    c->idle = v->next;
    memset(v, 0, sizeof(*v));
    return v;
}

/* cell_of: the connection's cell, made at its first use. */
static union cell *cell_of(mctx_t mctx, int sock)
{
    union cell *v = mtcp_get_uctx(mctx, sock);

    if (v == NULL && (v = cell_new(of(mctx))) != NULL)
        mtcp_set_uctx(mctx, sock, v);
    return v;
}

/* ---- all of them ---- */

static void add_record(struct prog_sums *s, const struct mos_flow_info *info)
{
    s->connections++;
    for (int i = 0; i < 2; i++) {
        s->packets += info->dir[i].packets;
        s->stream_bytes += info->dir[i].stream_bytes;
        s->gap_bytes += info->dir[i].gap_bytes;
        s->rexmit_packets += info->dir[i].rexmit_packets;
        s->rexmit_bytes += info->dir[i].rexmit_bytes;
    }
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct prog_ctx *c = of(mctx);
    void *kept = mtcp_get_uctx(mctx, sock);
    struct mos_flow_info info;
    union cell *v = kept;

    if (kept == &reported)
        return;
    mtcp_set_uctx(mctx, sock, &reported);
    if (flow_info(mctx, sock, &info) == 0)
        add_record(&c->sums, &info);
    else
        c->failed = true;
    if (v == NULL || program == APP_EVENTS_N)
        return;
    c->sums.counted += program == APP_COUNT ? v->packets : 0;
    v->next = c->idle;
    c->idle = v;
}

/* ---- count ---- */

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    union cell *v = cell_of(mctx, sock);

    if (v)
        v->packets++;
}

/* ---- search ---- */

uint64_t prog_search(const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    uint64_t n = 0;

    while ((p = memmem(p, (size_t)(end - p), needle, needle_len)) != NULL) {
        n++;
        p++;
    }
    return n;
}

/* remember: the last bytes of the stream so far. */
static void remember(union cell *v, int side, const uint8_t *p, size_t len)
{
    size_t want = needle_len - 1, had = v->search.n[side];
    uint8_t *tail = v->search.tail[side];

    if (len >= want) {
        memcpy(tail, p + len - want, want);
        v->search.n[side] = (uint8_t)want;
        return;
    }
    if (had + len > want) {
        memmove(tail, tail + had + len - want, want - len);
        had = want - len;
    }
    memcpy(tail + had, p, len);
    v->search.n[side] = (uint8_t)(had + len);
}

/* look: in this piece, and across the border to the one before. */
static void look(struct prog_sums *s, union cell *v, int side, const uint8_t *p, size_t len)
{
    uint8_t join[2 * TAIL];
    size_t had = v->search.n[side];

    if (had) {
        size_t more = len < needle_len - 1 ? len : needle_len - 1;

        memcpy(join, v->search.tail[side], had);
        memcpy(join + had, p, more);
        s->found += prog_search(join, had + more);
    }
    s->found += prog_search(p, len);
    s->searched += len;
    remember(v, side, p, len);
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    union cell *v = cell_of(mctx, sock);
    struct iovec iov[16];
    int cnt = 16;
    ssize_t n;

    while (v && (n = mtcp_peekv(mctx, sock, side, iov, &cnt)) != 0) {
        if (n < 0 && errno != ENODATA)
            return;
        if (n < 0)
            v->search.n[side] = 0; /* a gap: nothing goes across it */
        for (int i = 0; i < cnt; i++)
            look(&of(mctx)->sums, v, side, iov[i].iov_base, iov[i].iov_len);
        cnt = 16;
    }
}

/* ---- rexmit ---- */

static void on_again(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct prog_sums *s = &of(mctx)->sums;
    struct mos_rexmit_info info;
    socklen_t len = sizeof(info);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &info, &len) < 0)
        return;
    s->again++;
    s->again_bytes += info.len;
}

/* ---- events=N ---- */

static bool says_no(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    of(mctx)->sums.filters++;
    return false;
}

static void on_own(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    of(mctx)->failed = true; /* never: no filter says yes */
}

/* on_first: the connection's first packet: it gets its events, half of them at each hook. */
static void on_first(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    for (int i = 0; i < nown; i++)
        if (mtcp_register_callback(mctx, sock, own[i], i % 2 ? MOS_HK_RCV : MOS_HK_SND, on_own) < 0)
            of(mctx)->failed = true;
    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL);
}

int prog_define(const struct appopt *opt)
{
    int n = program == APP_EVENTS_N ? opt->events : 0;

    for (nown = 0; nown < n; nown++) {
        struct filter_arg arg = {.arg = &nown, .len = sizeof(nown)};

        own[nown] = mtcp_define_event(MOS_ON_PKT_IN, says_no, &arg);
        if (own[nown] == MOS_NULL_EVENT)
            return -1;
    }
    return 0;
}

/* ---- from the command ---- */

void prog_choose(const struct appopt *opt)
{
    memset(ctx, 0, sizeof(ctx));
    program = opt->program;
    needle = opt->needle;
    needle_len = strlen(needle);
}

static int no_buffers(mctx_t mctx, int sock)
{
    int off = 0;

    if (mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)) < 0)
        return -1;
    return mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off));
}

int prog_setup(mctx_t mctx, int listener)
{
    static const struct {
        event_t event;
        int hook;
        callback_t cb;
    } wish[] = {
        [APP_COUNT] = {MOS_ON_PKT_IN, MOS_HK_SND, on_packet},
        [APP_SEARCH] = {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
        [APP_REXMIT] = {MOS_ON_REXMIT, MOS_HK_RCV, on_again},
        [APP_EVENTS_N] = {MOS_ON_PKT_IN, MOS_HK_SND, on_first},
    };

    if (program != APP_SEARCH && no_buffers(mctx, listener) < 0)
        return -1;
    if (program != APP_NONE && mtcp_register_callback(mctx, listener, wish[program].event,
                                                      wish[program].hook, wish[program].cb) < 0)
        return -1;
    return mtcp_register_callback(mctx, listener, MOS_ON_CONN_END, MOS_HK_RCV, on_end);
}

bool prog_sum(struct prog_sums *all)
{
    uint64_t *to = (uint64_t *)all;
    bool good = true;

    memset(all, 0, sizeof(*all));
    for (int i = 0; i < APP_MAX_CORES; i++) {
        const uint64_t *from = (const uint64_t *)&ctx[i].sums;

        good = good && !ctx[i].failed;
        for (size_t k = 0; k < sizeof(*all) / sizeof(*to); k++)
            to[k] += from[k];
    }
    return good;
}
