// SPDX-License-Identifier: BSD-2-Clause
/*
 * lossy.c: the lossy workload, every byte checked.
 *
 *      lossy [--scale F] [--seed N] [--workload NAME]
 *
 * 1,000 flows of 1 MB at a time; of their segments 1 % are lost, half of them before the tap and
 * half behind it, 2 % come 1 to 3 later, 1 % come twice, and the senders send again what their
 * receivers lack (gen.h). The library gets the frames by mtcp_push with its default configuration.
 * A stream is right if it is complete, without a gap, and each byte is the one that was said.
 *
 * Exit status 0 if all are.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mos_api.h>

#include "gen.h"
#include "genframe.h"
#include "workload.h"

#define BATCH 64
#define PIECE 4096

static struct gen_cfg cfg;
static struct gencontent *content;
static uint64_t ended[7], right[2], read_bytes; /* by reason; by receiver */

/* A connection: what has come of its two streams. */
struct got {
    uint32_t flow;
    uint64_t off[2];
    bool wrong[2];
};

static struct got *got_new(mctx_t mctx, int sock)
{
    struct got *c = calloc(1, sizeof(*c));
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    uint32_t host;

    if (!c || mtcp_getpeername(mctx, sock, (struct sockaddr *)&a, &len, MOS_SIDE_CLI) < 0)
        abort();
    if (a.ss_family == AF_INET6)
        memcpy(&host, &((struct sockaddr_in6 *)&a)->sin6_addr.s6_addr[12], 4);
    else
        host = ((struct sockaddr_in *)&a)->sin_addr.s_addr;
    c->flow = genframe_flow(ntohl(host));
    mtcp_set_uctx(mctx, sock, c);
    return c;
}

/* compare: bytes of one stream with those that were said at their place. */
static void compare(struct got *c, int side, const uint8_t *p, size_t len)
{
    uint8_t want[PIECE];
    uint32_t most = side == MOS_SIDE_CLI ? cfg.bytes : cfg.request;

    if (c->off[side] + len > most)
        c->wrong[side] = true;
    while (len && !c->wrong[side]) {
        uint32_t n = len < PIECE ? (uint32_t)len : PIECE;

        gencontent_bytes(content, c->flow, side == MOS_SIDE_CLI, (uint32_t)c->off[side], want, n);
        c->wrong[side] = memcmp(p, want, n) != 0;
        c->off[side] += n;
        read_bytes += n;
        p += n;
        len -= n;
    }
}

static void drain(mctx_t mctx, int sock, int side, struct got *c)
{
    struct iovec v[16];
    int cnt = 16;
    ssize_t n;

    for (; (n = mtcp_peekv(mctx, sock, side, v, &cnt)) != 0; cnt = 16) {
        if (n < 0 && errno != ENODATA)
            return;
        c->wrong[side] |= n < 0; /* a gap */
        for (int i = 0; n > 0 && i < cnt; i++)
            compare(c, side, v[i].iov_base, v[i].iov_len);
    }
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct got *c = mtcp_get_uctx(mctx, sock);

    drain(mctx, sock, side, c ? c : got_new(mctx, sock));
}

/* on_end: comes once for each side; the second time is the end. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct got *c = mtcp_get_uctx(mctx, sock);
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    if (side != MOS_SIDE_SVR)
        return;
    c = c ? c : got_new(mctx, sock);
    for (int i = 0; i < 2; i++) {
        drain(mctx, sock, i, c);
        right[i] += !c->wrong[i] && c->off[i] == (i == MOS_SIDE_CLI ? cfg.bytes : cfg.request);
    }
    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len) == 0)
        ended[info.reason < 7 ? info.reason : 0]++;
    free(c);
}

static bool set_up(mctx_t *ctx)
{
    int sock;

    if (mtcp_init(NULL) < 0 || (*ctx = mtcp_create_context(0)) == NULL)
        return false;
    sock = mtcp_socket(*ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    return sock >= 0 &&
           mtcp_register_callback(*ctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) == 0 &&
           mtcp_register_callback(*ctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) == 0;
}

static bool push_all(mctx_t ctx, struct gen *g)
{
    static uint8_t buf[BATCH][GEN_FRAME_MAX];
    struct mtcp_frame v[BATCH];
    uint64_t ns;
    int n;

    do {
        for (n = 0; n < BATCH; n++) {
            uint32_t len = gen_next(g, buf[n], &ns);

            if (len == 0)
                break;
            v[n] = (struct mtcp_frame){.data = buf[n], .len = len, .ts_ns = ns};
        }
        if (n && mtcp_push(ctx, v, n) != n)
            return false;
    } while (n == BATCH);
    return mtcp_push(ctx, NULL, 0) == 0;
}

static void options(int argc, char **argv)
{
    static const struct option o[] = {{"scale", 1, NULL, 's'},
                                      {"seed", 1, NULL, 'i'},
                                      {"workload", 1, NULL, 'w'},
                                      {NULL, 0, NULL, 0}};
    const char *name = "W4";
    double scale = 1;
    uint64_t seed = 1;
    int c;

    while ((c = getopt_long(argc, argv, "", o, NULL)) != -1) {
        if (c == 's')
            scale = atof(optarg);
        else if (c == 'i')
            seed = strtoull(optarg, NULL, 0);
        else if (c == 'w')
            name = optarg;
        else
            exit(2);
    }
    if (optind != argc || !(scale > 0) || !workload_get(name, scale, &cfg)) {
        fprintf(stderr, "usage: lossy [--scale F] [--seed N] [--workload NAME]\n");
        exit(2);
    }
    cfg.seed = seed;
}

int main(int argc, char **argv)
{
    const struct gen_totals *t;
    mctx_t ctx = NULL;
    const char *why;
    struct gen *g;
    bool ok;

    options(argc, argv);
    g = gen_open(&cfg, &why);
    content = gencontent_new(&cfg);
    if (g == NULL || content == NULL) {
        fprintf(stderr, "lossy: %s\n", g ? "out of memory" : why);
        return 2;
    }
    if (!set_up(&ctx) || !push_all(ctx, g)) {
        fprintf(stderr, "lossy: %s\n", mtcp_errstr());
        return 2;
    }
    t = gen_totals(g);
    printf("seed %" PRIu64 ": %" PRIu64 " packets; segments lost before the tap %" PRIu64
           ", behind it %" PRIu64 ", reordered %" PRIu64 ", doubled %" PRIu64
           ", sent again %" PRIu64 "\n",
           cfg.seed, t->packets, t->lost_before, t->lost_after, t->reordered, t->doubled,
           t->rexmits);
    printf("%" PRIu64 " of %" PRIu64 " bytes read; connections ended by FIN: %" PRIu64 "\n",
           read_bytes, t->stream_bytes, ended[MOS_END_FIN]);
    printf("%" PRIu64 " of %" PRIu64 " answers and %" PRIu64 " requests complete and right\n",
           right[MOS_SIDE_CLI], t->flows, right[MOS_SIDE_SVR]);
    ok = right[MOS_SIDE_CLI] == t->flows && right[MOS_SIDE_SVR] == t->flows &&
         ended[MOS_END_FIN] == t->flows && t->flows == cfg.flows;
    mtcp_destroy_context(ctx);
    mtcp_destroy();
    gen_close(g);
    gencontent_free(content);
    return ok ? 0 : 1;
}
