// SPDX-License-Identifier: BSD-2-Clause
/*
 * embed.c: Weir inside a packet loop that is ours: libpcap reads, libpcap writes.
 *      ./embed IN.pcap OUT.pcap PORT
 *
 * OUT gets the frames of IN, without the connections to server port PORT. No configuration and no
 * device: mtcp_push takes a frame, runs all its callbacks, and says what shall become of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <mos_api.h>
#include <pcap/pcap.h>

static uint16_t blocked;
static unsigned connections, refused;

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    connections++;
}

/* The client's and the server's packets alike: none leaves. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    mtcp_setlastpkt(mctx, sock, side, 0, NULL, 0, MOS_DROP);
}

/* The first packet decides; from then on only this connection has a callback for packets. */
static void on_first(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct sockaddr_storage server;
    socklen_t len = sizeof(server);
    uint16_t port;

    on_start(mctx, sock, side, event, arg);
    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)&server, &len, MOS_SIDE_SVR) < 0)
        return;
    port = server.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&server)->sin6_port
                                        : ((struct sockaddr_in *)&server)->sin_port;
    if (ntohs(port) != blocked)
        return;
    refused++;
    on_packet(mctx, sock, side, event, arg);
    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet);
}

static mctx_t set_up(void)
{
    mctx_t mctx = mtcp_init(NULL) == 0 ? mtcp_create_context(0) : NULL;
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    if (mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_first) == 0)
        return mctx;
    fprintf(stderr, "%s\n", mtcp_errstr());
    exit(2);
}

/* Frame by frame; with more at hand, up to 64 in one mtcp_push are faster. */
static void run(mctx_t mctx, pcap_t *in, pcap_dumper_t *out)
{
    struct pcap_pkthdr *h;
    const u_char *data;
    unsigned count[3] = {0};

    while (pcap_next_ex(in, &h, &data) == 1) {
        struct mtcp_frame f = {
            .data = data,
            .len = h->caplen,
            .wire_len = h->len,
            .linktype = pcap_datalink(in),
            .ts_ns = (uint64_t)h->ts.tv_sec * 1000000000 + (uint64_t)h->ts.tv_usec * 1000,
        };

        if (mtcp_push(mctx, &f, 1) < 0) {
            fprintf(stderr, "%s\n", mtcp_errstr());
            exit(2);
        }
        count[f.verdict]++;
        if (f.verdict != MTCP_FRAME_DROP) /* f.out is data, or what a callback made of it */
            pcap_dump((u_char *)out, h, f.out);
    }
    printf("%u frames passed, %u dropped; %u connections, %u of them refused\n",
           count[MTCP_FRAME_PASS] + count[MTCP_FRAME_CHANGED], count[MTCP_FRAME_DROP], connections,
           refused);
}

int main(int argc, char **argv)
{
    char err[PCAP_ERRBUF_SIZE] = "usage: embed IN OUT PORT";
    pcap_t *in = argc == 4 ? pcap_open_offline(argv[1], err) : NULL;
    pcap_dumper_t *out = in ? pcap_dump_open(in, argv[2]) : NULL;
    mctx_t mctx;

    if (!out) {
        fprintf(stderr, "%s\n", in ? pcap_geterr(in) : err);
        return 2;
    }
    blocked = (uint16_t)atoi(argv[3]);
    mctx = set_up();
    run(mctx, in, out);
    mtcp_push(mctx, NULL, 0); /* the end: whatever is still open ends now */
    mtcp_destroy_context(mctx);
    mtcp_destroy();
    pcap_dump_close(out);
    pcap_close(in);
    return 0;
}
