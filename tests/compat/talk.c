// SPDX-License-Identifier: BSD-2-Clause
/* talk.c: a program as the 2015 and 2016 talks write it. C and C++, -Wall -Wextra -Werror. Argument: configuration. */
#include <mos_api.h>
#include <stdio.h>
#include <string.h>

static event_t http_request;
static unsigned sent, received, requests, ends;

static bool is_http_request(mctx_t mctx, int sock, int side, event_t event)
{
    char buf[1024];
    ssize_t n = mtcp_peek(mctx, sock, side, buf, sizeof(buf));

    return event == http_request && side == MOS_SIDE_SVR && n >= 4 && memcmp(buf, "GET ", 4) == 0;
}

static void on_sent(mctx_t mctx, int sock, int side, event_t event)
{
    struct pkt_info p;

    if (event == MOS_ON_PKT_IN && mtcp_getlastpkt(mctx, sock, side, &p) == 0)
        sent++;
}

static void on_received(mctx_t mctx, int sock, int side, event_t event)
{
    struct pkt_info p;

    if (event == MOS_ON_PKT_IN && mtcp_getlastpkt(mctx, sock, side, &p) == 0)
        received++;
}

static void on_request(mctx_t mctx, int sock, int side, event_t event)
{
    struct sockaddr_in addr[2];
    socklen_t len = sizeof(addr);
    struct pkt_info p;

    if (event != http_request || mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len) < 0)
        return;
    requests++;
    printf("request from port %u to port %u, packet %s\n", ntohs(addr[MOS_SIDE_CLI].sin_port),
           ntohs(addr[MOS_SIDE_SVR].sin_port),
           mtcp_getlastpkt(mctx, sock, side, &p) == 0 ? "at hand" : "gone");
}

static void on_end(mctx_t mctx, int sock, int side, event_t event)
{
    (void)mctx, (void)sock, (void)side;
    ends += event == MOS_ON_CONN_END;
}

int main(int argc, char **argv)
{
    monitor_filter ft = {0};
    mctx_t mctx;
    int s;

    if (argc != 2 || mtcp_init(argv[1]) < 0 || (mctx = mtcp_create_context(0)) == NULL)
        return fprintf(stderr, "%s\n", mtcp_errstr()), 2;
    s = mtcp_socket(mctx, AF_INET, MOS_SOCKET_MONITOR_STREAM, 0);
    ft.stream_syn_filter = "dst net 216.58 and dst port 80";
    http_request = mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_http_request);
    if (mtcp_bind_monitor_filter(mctx, s, &ft) < 0 ||
        mtcp_register_callback(mctx, s, MOS_ON_PKT_IN, MOS_HK_SND, on_sent) < 0 ||
        mtcp_register_callback(mctx, s, MOS_ON_PKT_IN, MOS_HK_RCV, on_received) < 0 ||
        mtcp_register_callback(mctx, s, http_request, MOS_HK_RCV, on_request) < 0 ||
        mtcp_register_callback(mctx, s, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        return fprintf(stderr, "%s\n", mtcp_errstr()), 2;
    mtcp_app_join(mctx);
    printf("sent %u received %u requests %u ends %u\n", sent, received, requests, ends);
    mtcp_destroy_context(mctx);
    return mtcp_destroy();
}
