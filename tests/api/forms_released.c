// SPDX-License-Identifier: BSD-2-Clause
/*
 * forms_released.c: the released forms, with the headers that old programs bring along, in their order
 * and before <mos_api.h> as well as behind it. C and C++, as forms_talk.c.
 */
#define INFO
#define DBGERR
#include <sys/queue.h>
#include <sys/types.h>
#include <linux/if_ether.h>
#include <linux/tcp.h>
#include <netinet/ip.h>
#include <mos_api.h>
#include <mtcp_util.h>
#include <mtcp_epoll.h>
#include <mtcp_api.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <signal.h>
#include <unistd.h>
#include "cpu.h"
#include "rss.h"
#include "http_parsing.h"
#include "debug.h"
#include "applib.h"

typedef int (*registrar_t)(mctx_t, int, event_t, int, callback_t);
typedef event_t (*definer_t)(event_t, filter_t, struct filter_arg *);
typedef ssize_t (*peeker_t)(mctx_t, int, int, char *, size_t);

static struct mtcp_conf g_mcfg;
static mctx_t g_mctx[MAX_CPUS];

static bool from_port(mctx_t mctx, int sock, int side, uint64_t events, struct filter_arg *arg)
{
    struct pkt_info p;

    (void)events;
    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        TRACE_ERROR("no packet on core %d: %s\n", mctx->cpu, mtcp_errstr());
    return arg->len == 2 && p.iph && p.tcph->syn && p.tcph->source == *(const uint16_t *)arg->arg;
}

static void on_event(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct sockaddr_in addr[2];
    socklen_t len = sizeof(addr), size = sizeof(int);
    int state = 0, both = MOS_SIDE_BOTH;
    uint16_t port = htons(80);

    (void)arg;
    if (events == MOS_ON_CONN_START)
        mtcp_set_uctx(mctx, sock, g_mctx);
    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) < 0 ||
        mtcp_getsockopt(mctx, sock, SOL_MONSOCKET,
                        side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR, &state,
                        &size) < 0)
        TRACE_ERROR("%d\n", errno);
    if (state == TCP_ESTABLISHED && mtcp_get_uctx(mctx, sock) == NULL)
        mtcp_setlastpkt(mctx, sock, 0, 0, NULL, 0, MOS_DROP);
    mtcp_setlastpkt(mctx, sock, 0, 0, (uint8_t *)&port, sizeof(port),
                    MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM);
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
}

static void on_timer(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct timeval tv = {1, 0};

    on_event(mctx, sock, side, events, arg);
    mtcp_settimer(mctx, sock, &tv, on_timer);
#ifndef __cplusplus
    mtcp_settimer(mctx, sock, &(struct timeval){1, 0}, on_timer);
#endif
}

static void on_signal(int signum)
{
    (void)signum;
    mtcp_destroy_context(g_mctx[0]);
}

static void register_all(mctx_t mctx, int sock, event_t ude)
{
    registrar_t plain = &mtcp_register_callback;
    callback_t none = NULL;

    mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_event);
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND, &on_event);
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND, NULL);
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND, (callback_t)NULL);
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND, (callback4_t)NULL);
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND, 0);
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND, none);
    (mtcp_register_callback)(mctx, sock, ude, MOS_HK_SND, on_event);
    plain(mctx, sock, MOS_ON_CONN_END, MOS_HK_RCV, on_event);
#if defined(__cplusplus) && __cplusplus >= 201103L
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND, nullptr);
    mtcp_register_callback(mctx, sock, ude, MOS_HK_SND,
                           [](mctx_t, int, int, event_t, filter_arg_t *) {});
#endif
}

static event_t define_all(void)
{
    uint16_t port = htons(80);
    filter_arg_t arg = {&port, sizeof(port)};
    definer_t plain = &mtcp_define_event;
    event_t sum = mtcp_define_event(MOS_ON_PKT_IN, from_port, NULL);

    sum += mtcp_define_event(MOS_ON_PKT_IN, from_port, &arg);
    sum += mtcp_define_event(mtcp_define_event(MOS_ON_PKT_IN, from_port), &from_port, &arg);
    sum += mtcp_define_event(MOS_ON_PKT_IN, NULL, NULL);
    sum += plain(MOS_ON_PKT_IN, from_port, NULL) + mtcp_alloc_event(sum);
#ifndef __cplusplus
    sum += mtcp_define_event(MOS_ON_PKT_IN, from_port, &(filter_arg_t){&port, sizeof(port)});
#endif
    return sum;
}

int main(void)
{
    static char syn[] = "tcp and dst port 80";
    union monitor_filter ft = {0};
    peeker_t peek = mtcp_peek;
    event_t ude;
    int sock;

    if (mtcp_init("config/mos.conf") < 0 || mtcp_getconf(&g_mcfg) < 0)
        return 1;
    g_mcfg.num_cores = MIN(GetNumCPUs(), MAX_CPUS);
    mtcp_setconf(&g_mcfg);
    mtcp_register_signal(SIGINT, on_signal);
    ude = define_all();
    g_mctx[0] = mtcp_create_context(0);
    sock = mtcp_socket(g_mctx[0], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    ft.stream_syn_filter = syn;
    if (mtcp_bind_monitor_filter(g_mctx[0], sock, &ft) < 0 || peek == NULL)
        TRACE_INFO("core %d\n", GetRSSCPUCore(1, 2, 3, 4, g_mcfg.num_cores));
    register_all(g_mctx[0], sock, ude);
    on_timer(g_mctx[0], sock, 0, 0, NULL);
    mtcp_app_join(g_mctx[0]);
    mtcp_close(g_mctx[0], sock);
    return mtcp_destroy();
}
