// SPDX-License-Identifier: BSD-2-Clause
/*
 * netwatch.c: a listener in one context that is fed by mtcp_push.
 *
 * Limits are such that they do not decide here: a hole may wait for as long as the kernel's
 * retransmission timer may back off, and whatever fits the kernel's receive window may wait behind
 * it. A connection that has ended lingers: data that the line has held back behind a FIN or RST
 * still reach the application, if the kernel has not believed the RST (RFC 5961 3.2).
 */
#include "netwatch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <mos_api.h>

#include "xferplan.h"

#define BATCH     64
#define FRAME_MAX 65600

static const char conf_text[] = "mos {\n"
                                "    checksum = %s\n    strict = %d\n"
                                "    linger = 10\n    tcp_timeout = 300\n    tcp_tw_interval = 10\n"
                                "    ooo_size = 32M\n    rmem_size = 32M\n    gap_timeout = 900\n"
                                "}\n";

/* One direction of a connection, named by its receiver. */
struct stream {
    uint64_t key;
    uint64_t got;   /* bytes delivered, without gaps */
    uint64_t right; /* of them, before the first that is not what belongs there */
    uint64_t off;   /* got, and gaps */
    uint64_t lost, first_gap;
    int gaps;
    XXH3_state_t *hash;
};

struct conn {
    uint16_t port; /* the client's */
    bool odd;      /* not between the two ports of the transfers */
    struct stream dir[2];
};

static struct {
    struct netwatch_cfg cfg;
    mctx_t ctx;
    int listener, n;
    struct mtcp_frame batch[BATCH];
    uint8_t *buf[BATCH];
    uint32_t cap[BATCH];
} w;

static char gone; /* the user context of a connection that was told */

static void complain(const char *what)
{
    fprintf(stderr, "netwatch: %s: %s\n", what, mtcp_errstr());
}

/* ---- streams ---- */

static void take_bytes(struct stream *s, const struct iovec *v)
{
    if (s->right == s->got)
        s->right += xfer_check(s->key, s->off, v->iov_base, v->iov_len);
    XXH3_64bits_update(s->hash, v->iov_base, v->iov_len);
    s->got += v->iov_len;
    s->off += v->iov_len;
}

static void take_gap(struct stream *s, uint64_t len)
{
    if (s->gaps++ == 0)
        s->first_gap = s->off;
    s->lost += len;
    s->off += len;
}

static void drain(mctx_t mctx, int sock, int side, struct stream *s)
{
    struct iovec v[16];
    int cnt = 16;
    ssize_t n;

    for (; (n = mtcp_peekv(mctx, sock, side, v, &cnt)) != 0; cnt = 16) {
        if (n < 0 && errno != ENODATA)
            return;
        if (n < 0)
            take_gap(s, (uint64_t)-n);
        for (int i = 0; n > 0 && i < cnt; i++)
            take_bytes(s, &v[i]);
    }
}

/* ---- connections ---- */

static uint16_t port_of(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                          : ((const struct sockaddr_in *)a)->sin_port);
}

static struct conn *conn_new(mctx_t mctx, int sock)
{
    struct conn *c = calloc(1, sizeof(*c));
    struct sockaddr_storage a[2];
    socklen_t len = sizeof(a);

    if (c == NULL || (mtcp_getpeername)(mctx, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH) < 0)
        abort();
    c->port = port_of(&a[0]);
    c->odd = port_of(&a[1]) != XFER_SERVER_PORT;
    for (int i = 0; i < 2; i++) {
        c->dir[i].key =
            xfer_key(w.cfg.seed, c->port, i == MOS_SIDE_CLI ? XFER_SERVER : XFER_CLIENT);
        c->dir[i].hash = XXH3_createState();
        if (c->dir[i].hash == NULL)
            abort();
        XXH3_64bits_reset(c->dir[i].hash);
    }
    mtcp_set_uctx(mctx, sock, c);
    return c;
}

static struct conn *conn_of(mctx_t mctx, int sock)
{
    void *c = mtcp_get_uctx(mctx, sock);

    if (c == &gone)
        return NULL;
    return c ? c : conn_new(mctx, sock);
}

static void tell_stream(const char *name, struct stream *s, char more)
{
    fprintf(w.cfg.out,
            "\"%s\":{\"bytes\":%" PRIu64 ",\"right\":%" PRIu64 ",\"lost\":%" PRIu64
            ",\"gaps\":%d,\"first_gap\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\"}%c",
            name, s->got, s->right, s->lost, s->gaps, s->first_gap,
            (uint64_t)XXH3_64bits_digest(s->hash), more);
    XXH3_freeState(s->hash);
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = conn_of(mctx, sock);

    if (c)
        drain(mctx, sock, side, &c->dir[side]);
}

/* on_end: comes once for each side; all is told the first time. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = conn_of(mctx, sock);
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    if (c == NULL)
        return;
    for (int i = 0; i < 2; i++)
        drain(mctx, sock, i, &c->dir[i]);
    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len) < 0)
        abort();
    fprintf(w.cfg.out, "{\"port\":%u,\"odd\":%s,\"reason\":%u,\"state\":[%u,%u],", c->port,
            c->odd ? "true" : "false", info.reason, info.state[0], info.state[1]);
    tell_stream("c2s", &c->dir[MOS_SIDE_SVR], ',');
    tell_stream("s2c", &c->dir[MOS_SIDE_CLI], '}');
    fputc('\n', w.cfg.out);
    free(c);
    mtcp_set_uctx(mctx, sock, &gone);
}

static void tell_counters(void)
{
    socklen_t len = 0;
    struct mos_stat *v;

    mtcp_getsockopt(w.ctx, w.listener, SOL_MONSOCKET, MOS_STATS, NULL, &len);
    v = malloc(len);
    if (v == NULL || mtcp_getsockopt(w.ctx, w.listener, SOL_MONSOCKET, MOS_STATS, v, &len) < 0)
        len = 0;
    fprintf(w.cfg.out, "{\"counters\":{");
    for (size_t i = 0, n = 0; i < len / sizeof(*v); i++)
        if (v[i].value)
            fprintf(w.cfg.out, "%s\"%s\":%" PRIu64, n++ ? "," : "", v[i].name, v[i].value);
    fprintf(w.cfg.out, "}}\n");
    free(v);
}

/* ---- the context ---- */

static int conf_file(void)
{
    int fd = memfd_create("weir.conf", MFD_CLOEXEC);

    if (fd >= 0 && dprintf(fd, conf_text, w.cfg.csum, w.cfg.strict) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool listen_here(void)
{
    static const struct {
        event_t event;
        int hook;
        callback_t cb;
    } want[] = {{MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data}, {MOS_ON_CONN_END, MOS_HK_SND, on_end}};

    w.listener = mtcp_socket(w.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    for (int i = 0; w.listener >= 0 && i < 2; i++)
        if ((mtcp_register_callback)(w.ctx, w.listener, want[i].event, want[i].hook, want[i].cb) <
            0)
            return false;
    return w.listener >= 0;
}

bool netwatch_open(const struct netwatch_cfg *cfg)
{
    char path[64];
    int fd;

    w.cfg = *cfg;
    fd = conf_file();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fd < 0 || mtcp_init(path) < 0) {
        complain(path);
        return false;
    }
    close(fd);
    w.ctx = mtcp_create_context(0);
    if (w.ctx == NULL || !listen_here()) {
        complain("context");
        return false;
    }
    return true;
}

void netwatch_frame(const uint8_t *frame, uint32_t len, uint64_t ts_ns)
{
    if (len > w.cap[w.n]) {
        free(w.buf[w.n]);
        w.cap[w.n] = len > 2048 ? FRAME_MAX : 2048;
        w.buf[w.n] = malloc(w.cap[w.n]);
        if (w.buf[w.n] == NULL || len > w.cap[w.n])
            abort();
    }
    memcpy(w.buf[w.n], frame, len);
    w.batch[w.n] = (struct mtcp_frame){.data = w.buf[w.n], .len = len, .ts_ns = ts_ns};
    if (++w.n == BATCH)
        netwatch_push(ts_ns);
}

void netwatch_push(uint64_t now_ns)
{
    if (w.n > 0 && mtcp_push(w.ctx, w.batch, w.n) != w.n)
        complain("mtcp_push");
    w.n = 0;
    mtcp_tick(w.ctx, now_ns);
}

void netwatch_close(void)
{
    if ((w.n > 0 && mtcp_push(w.ctx, w.batch, w.n) != w.n) || mtcp_push(w.ctx, NULL, 0) < 0)
        complain("mtcp_push");
    tell_counters();
    mtcp_destroy_context(w.ctx);
    mtcp_destroy();
    for (int i = 0; i < BATCH; i++)
        free(w.buf[i]);
}
