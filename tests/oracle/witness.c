// SPDX-License-Identifier: BSD-2-Clause
/*
 * witness.c: what a program can see of an evasion. Runs on a configuration; prints each packet whose
 * TTL is not that of its sender's first, each repetition with other content, and all counters.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mos_api.h>

/* The user context: the TTL of each side's first packet plus 1. */
struct seen {
    int ttl[2];
};

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct seen *seen = mtcp_get_uctx(mctx, sock);
    struct pkt_info p;

    if (!seen) {
        seen = calloc(1, sizeof(*seen));
        mtcp_set_uctx(mctx, sock, seen);
    }
    if (!seen || mtcp_getlastpkt(mctx, sock, side, &p) < 0 || !p.iph)
        return;
    if (!seen->ttl[side])
        seen->ttl[side] = p.iph->ttl + 1;
    if (p.iph->ttl + 1 != seen->ttl[side])
        printf("ttl %d not %d offset %" PRIu64 "\n", p.iph->ttl, seen->ttl[side] - 1, p.offset);
}

static void on_rexmit(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_rexmit_info info;
    socklen_t len = sizeof(info);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &info, &len) == 0 &&
        info.content == MOS_REXMIT_CHANGED)
        printf("changed offset %" PRIu64 " len %u\n", info.off, info.len);
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    free(mtcp_get_uctx(mctx, sock));
    mtcp_set_uctx(mctx, sock, NULL);
}

static void print_counters(mctx_t mctx, int sock)
{
    static struct mos_stat v[512];
    socklen_t len = sizeof(v);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_STATS, v, &len) < 0)
        return;
    for (size_t i = 0; i < len / sizeof(v[0]); i++)
        printf("counter %s %" PRIu64 "\n", v[i].name, v[i].value);
}

int main(int argc, char **argv)
{
    mctx_t mctx;
    int sock;

    if (argc != 2 || mtcp_init(argv[1]) < 0)
        return fprintf(stderr, "usage: witness CONFIG: %s\n", mtcp_errstr()), 2;
    mctx = mtcp_create_context(0);
    sock = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_REXMIT, MOS_HK_RCV, on_rexmit) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_end) < 0)
        return fprintf(stderr, "witness: %s\n", mtcp_errstr()), 2;
    mtcp_app_join(mctx);
    print_counters(mctx, sock);
    mtcp_destroy_context(mctx);
    mtcp_destroy();
    return 0;
}
