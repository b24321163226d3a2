// SPDX-License-Identifier: BSD-2-Clause
/*
 * dupacks.c: three duplicate ACKs, the sign by which a sender knows that a segment was lost.
 *      ./dupacks CAPTURE
 *
 * Two user-defined events, one built on the other:
 *      MOS_ON_PKT_IN -> "duplicate ACK" -> "the third in a row"
 * The second filter runs only when the first has said yes, and only the second has a callback.
 */
#include "example.h"

/* What one side has sent; RFC 5681 2 says which of it makes an ACK a duplicate. */
struct sent {
    bool acked;      /* ack and window are known */
    uint32_t ack;    /* its newest acknowledgement */
    uint32_t window; /* announced with it */
    uint32_t end;    /* sequence number behind its last byte */
    unsigned dups;   /* duplicates in a row */
};

static bool is_dup_ack(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sent *c = mtcp_get_uctx(mctx, sock), *me, *peer;
    struct pkt_info p;
    bool dup;

    if (!c) {
        c = calloc(2, sizeof(*c));
        mtcp_set_uctx(mctx, sock, c);
    }
    if (!c || mtcp_getlastpkt(mctx, sock, side, &p) < 0 || !p.tcph || p.tcph->rst)
        return false;
    me = &c[side];
    peer = &c[!side];
    me->end = p.seq + p.payloadlen + p.tcph->syn + p.tcph->fin;
    if (!p.tcph->ack)
        return false;
    dup = me->acked && p.ack_seq == me->ack && p.window == me->window && p.payloadlen == 0 &&
          !p.tcph->syn && !p.tcph->fin && (int32_t)(peer->end - p.ack_seq) > 0;
    if (p.ack_seq != me->ack)
        me->dups = 0;
    me->acked = true;
    me->ack = p.ack_seq;
    me->window = p.window;
    return dup;
}

static bool is_third(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sent *c = mtcp_get_uctx(mctx, sock);

    return ++c[side].dups == 3;
}

static void on_third(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    char ends[EXAMPLE_ENDS];
    struct pkt_info p;

    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    printf("%" PRIu64 ".%06" PRIu64 "  %s  %s still waits for %" PRIu32 "\n", p.ts_ns / 1000000000,
           p.ts_ns / 1000 % 1000000, example_ends(mctx, sock, ends),
           side == MOS_SIDE_CLI ? "client" : "server", p.ack_seq);
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    free(mtcp_get_uctx(mctx, sock));
    mtcp_set_uctx(mctx, sock, NULL);
}

int main(int argc, char **argv)
{
    event_t dup_ack = mtcp_define_event(MOS_ON_PKT_IN, is_dup_ack, NULL);
    event_t third = mtcp_define_event(dup_ack, is_third, NULL);
    mctx_t mctx = example_start(argv + 1, "dupacks");
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    if (mtcp_register_callback(mctx, sock, third, MOS_HK_SND, on_third) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        example_die("callback");
    return example_finish(mctx);
}
