// SPDX-License-Identifier: BSD-2-Clause
/* released.c: what talk.c does, in the released forms. C and C++, -Wall -Wextra -Werror. Argument: configuration. */
#include <errno.h>
#include <mos_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mine {
    unsigned bytes;
};

static event_t http_request, big_request;
static unsigned packets, requests, big, orphans, ticks;

static bool begins_with(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    char buf[64];

    if (side != MOS_SIDE_SVR || events != http_request || arg->len >= sizeof(buf))
        return false;
    return mtcp_ppeek(mctx, sock, side, buf, arg->len, 0) == (ssize_t)arg->len &&
           memcmp(buf, arg->arg, arg->len) == 0;
}

static bool is_big(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct mine *m = (struct mine *)mtcp_get_uctx(mctx, sock);
    char buf[256];
    ssize_t n;

    (void)arg;
    while ((n = mtcp_peek(mctx, sock, side, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno != ENODATA)
            break;
        if (n > 0)
            m->bytes += (unsigned)n;
    }
    return events == big_request && m->bytes > 100;
}

static void on_packet(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct pkt_info p;

    (void)events;
    if (arg->arg || mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    if (p.tcph->syn && !p.tcph->ack)
        mtcp_set_uctx(mctx, sock, calloc(1, sizeof(struct mine)));
    packets++;
}

static void on_request(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct sockaddr_in addr[2];
    socklen_t len = sizeof(addr);

    requests += events == http_request;
    big += events == big_request;
    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) == 0)
        printf("%s from port %u, side %d, argument of %u\n",
               events == big_request ? "big" : "request", ntohs(addr[0].sin_port), side,
               (unsigned)arg->len);
}

static void on_orphan(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    (void)mctx, (void)sock, (void)events, (void)arg;
    orphans += side == MOS_SIDE_BOTH;
}

static void on_end(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    (void)side, (void)events, (void)arg;
    free(mtcp_get_uctx(mctx, sock));
    mtcp_set_uctx(mctx, sock, NULL);
}

static void on_timer(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct timeval tv = {1, 0};

    ticks += side == 0 && events == 0 && arg == NULL;
    mtcp_settimer(mctx, sock, &tv, on_timer);
}

int main(int argc, char **argv)
{
    static char syn[] = "dst net 216.58 and dst port 80", get[] = "GET ";
    union monitor_filter ft = {0};
    filter_arg_t arg = {get, 4};
    struct timeval tv = {1, 0};
    mctx_t mctx;
    int s;

    if (argc != 2 || mtcp_init(argv[1]) < 0)
        return fprintf(stderr, "%s\n", mtcp_errstr()), 2;
    http_request = mtcp_define_event(MOS_ON_CONN_NEW_DATA, begins_with, &arg);
    big_request = mtcp_define_event(http_request, is_big, NULL);
    mctx = mtcp_create_context(0);
    s = mtcp_socket(mctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    ft.stream_syn_filter = syn;
    if (mtcp_bind_monitor_filter(mctx, s, &ft) < 0 || mtcp_settimer(mctx, s, &tv, on_timer) < 0 ||
        mtcp_register_callback(mctx, s, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
        mtcp_register_callback(mctx, s, http_request, MOS_NULL, on_request) < 0 ||
        mtcp_register_callback(mctx, s, big_request, MOS_NULL, on_request) < 0 ||
        mtcp_register_callback(mctx, s, MOS_ON_ORPHAN, MOS_NULL, on_orphan) < 0 ||
        mtcp_register_callback(mctx, s, MOS_ON_CONN_END, MOS_HK_RCV, on_end) < 0)
        return fprintf(stderr, "%s\n", mtcp_errstr()), 2;
    mtcp_app_join(mctx);
    printf("packets %u requests %u big %u orphans %u ticks %u\n", packets, requests, big, orphans,
           ticks);
    mtcp_destroy_context(mctx);
    return mtcp_destroy();
}
