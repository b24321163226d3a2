// SPDX-License-Identifier: BSD-2-Clause
/*
 * forms_talk.c: a program in the forms of the 2015 and 2016 talks, C and C++. It must compile without a
 * warning by any standard that tests/api/check-forms names.
 */
#include <mos_api.h>
#include <stdio.h>
#include <string.h>

static event_t http_request;

static bool is_http_request_start(mctx_t mctx, int sock, int side, event_t event)
{
    char buf[5];
    ssize_t n = mtcp_peek(mctx, sock, side, buf, 4);

    (void)event;
    return n == 4 && memcmp(buf, "GET ", 4) == 0;
}

static bool never(mctx_t mctx, int sock, int side, uint64_t events)
{
    (void)mctx, (void)sock, (void)side, (void)events;
    return false;
}

static void on_packet(mctx_t mctx, int sock, int side, uint64_t events)
{
    struct pkt_info p;

    (void)events;
    if (mtcp_getlastpkt(mctx, sock, side, &p) == 0 && p.payloadlen > 0)
        printf("%u\n", p.payloadlen);
}

static void on_request(mctx_t mctx, int sock, int side, event_t event)
{
    struct sockaddr_in peer[2];
    socklen_t len = sizeof(peer);

    if (event == http_request && mtcp_getpeername(mctx, sock, (struct sockaddr *)peer, &len) == 0)
        printf("side %d port %u\n", side, ntohs(peer[MOS_SIDE_CLI].sin_port));
}

static void set_up(mctx_t mctx)
{
    monitor_filter ft = {0};
    int sock = mtcp_socket(mctx, AF_INET, MOS_SOCKET_MONITOR_STREAM, 0);

    ft.stream_syn_filter = "dst net 216.58 and dst port 80";
    mtcp_bind_monitor_filter(mctx, sock, &ft);
    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet);
    mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_HK_RCV, &on_packet);
    http_request = mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_http_request_start);
    if (mtcp_register_callback(mctx, sock, http_request, MOS_NULL, on_request) < 0 ||
        mtcp_register_callback(mctx, sock, mtcp_define_event(http_request, never), MOS_NULL,
                               http_request ? on_request : on_packet) < 0)
        printf("not registered\n");
}

int main(void)
{
    mctx_t mctx;

    if (mtcp_init("config/mos.conf") < 0)
        return 1;
    mctx = mtcp_create_context(0);
    set_up(mctx);
    mtcp_app_join(mctx);
    mtcp_destroy_context(mctx);
    return mtcp_destroy();
}
