// SPDX-License-Identifier: BSD-2-Clause
/*
 * count.c: packets and bytes of every connection.  ./count CAPTURE
 *
 * The smallest useful program: one callback for each packet, one for the end, and a counter of our
 * own in the connection's user context. (MOS_FLOW_INFO would tell the same, and more.)
 */
#include "example.h"

/* What each side sent: [MOS_SIDE_CLI], [MOS_SIDE_SVR]. */
struct count {
    uint64_t packets[2];
    uint64_t bytes[2];
};

static uint64_t connections, packets;

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct count *c = mtcp_get_uctx(mctx, sock);
    struct pkt_info p;

    if (!c) { /* the first packet of this connection */
        c = calloc(1, sizeof(*c));
        if (!c)
            return;
        mtcp_set_uctx(mctx, sock, c);
        connections++;
    }
    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    c->packets[side]++; /* at MOS_HK_SND, side is who sent it */
    c->bytes[side] += p.len32;
    packets++;
}

/* Called once for each side: the first call finds the counter, the second finds it gone. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct count *c = mtcp_get_uctx(mctx, sock);
    char ends[EXAMPLE_ENDS];

    if (!c)
        return;
    printf("%-45s  %6" PRIu64 " packets %9" PRIu64 " bytes  back %6" PRIu64 " %9" PRIu64 "\n",
           example_ends(mctx, sock, ends), c->packets[MOS_SIDE_CLI], c->bytes[MOS_SIDE_CLI],
           c->packets[MOS_SIDE_SVR], c->bytes[MOS_SIDE_SVR]);
    free(c);
    mtcp_set_uctx(mctx, sock, NULL);
}

int main(int argc, char **argv)
{
    mctx_t mctx = example_start(argv + 1, "count");
    int code, off = 0, sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    if (sock < 0)
        example_die("socket");
    /* We look at packets only: no bytes need to be put in order. */
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off));
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off));
    if (mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        example_die("callback");
    code = example_finish(mctx);
    printf("%" PRIu64 " connections, %" PRIu64 " packets\n", connections, packets);
    return code;
}
