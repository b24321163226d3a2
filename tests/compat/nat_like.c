// SPDX-License-Identifier: BSD-2-Clause
/*
 * nat_like.c: source NAT in the manner of mOS's sample: every packet is rewritten at MOS_HK_SND, the client's source
 * and the reply's destination; the port is chosen so that the reply comes to the same core. Options: -c cores -f conf
 * -i NAT-address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <signal.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/queue.h>
#include <mos_api.h>
#include <mtcp_util.h>
#include "cpu.h"
#include "debug.h"
#include "applib.h"
#include "http_parsing.h"

#define FIRST_PORT 1025
#define NUM_PORTS  2048

struct port {
    in_port_t port; /* network order */
    TAILQ_ENTRY(port) link;
};

static TAILQ_HEAD(port_list, port) g_free[MAX_CPUS];
static struct port g_port[MAX_CPUS][NUM_PORTS];
static mctx_t g_mctx[MAX_CPUS];
static int g_cores;
static in_addr_t g_nat_ip;
static unsigned g_taken[MAX_CPUS], g_returned[MAX_CPUS], g_dropped[MAX_CPUS];

static struct port *take_port(int cpu, const struct sockaddr_in *server)
{
    struct port *w;

    TAILQ_FOREACH(w, &g_free[cpu], link)
    {
        if (g_cores > 1 && GetRSSCPUCore(g_nat_ip, server->sin_addr.s_addr, w->port,
                                         server->sin_port, g_cores) != cpu)
            continue;
        TAILQ_REMOVE(&g_free[cpu], w, link);
        g_taken[cpu]++;
        return w;
    }
    return NULL;
}

static void rewrite(mctx_t mctx, int sock, off_t addr_at, in_addr_t addr, off_t port_at,
                    in_port_t port)
{
    if (mtcp_setlastpkt(mctx, sock, 0, addr_at, (uint8_t *)&addr, sizeof(addr),
                        MOS_IP_HDR | MOS_OVERWRITE) < 0 ||
        mtcp_setlastpkt(mctx, sock, 0, port_at, (uint8_t *)&port, sizeof(port),
                        MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM |
                            MOS_UPDATE_TCP_CHKSUM) < 0) {
        TRACE_ERROR("setlastpkt: %d\n", errno);
        exit(EXIT_FAILURE);
    }
}

static void on_packet(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct port *w = mtcp_get_uctx(mctx, sock);
    struct sockaddr_in addr[2];
    socklen_t len = sizeof(addr);

    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH) < 0) {
        TRACE_ERROR("getpeername: %d\n", errno);
        exit(EXIT_FAILURE);
    }
    if (!w && side == MOS_SIDE_CLI) {
        w = take_port(mctx->cpu, &addr[MOS_SIDE_SVR]);
        mtcp_set_uctx(mctx, sock, w);
    }
    if (!w) {
        mtcp_setlastpkt(mctx, sock, 0, 0, NULL, 0, MOS_DROP);
        g_dropped[mctx->cpu]++;
    } else if (side == MOS_SIDE_CLI) {
        rewrite(mctx, sock, 12, g_nat_ip, 0, w->port);
    } else {
        rewrite(mctx, sock, 16, addr[MOS_SIDE_CLI].sin_addr.s_addr, 2, addr[MOS_SIDE_CLI].sin_port);
    }
}

static void on_end(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct port *w = mtcp_get_uctx(mctx, sock);

    if (!w)
        return; /* the second call */
    TAILQ_INSERT_TAIL(&g_free[mctx->cpu], w, link);
    mtcp_set_uctx(mctx, sock, NULL);
    g_returned[mctx->cpu]++;
}

static void start(int core)
{
    int off = 0, sock, i;

    TAILQ_INIT(&g_free[core]);
    for (i = 0; i < NUM_PORTS; i++) {
        g_port[core][i].port = htons((uint16_t)(FIRST_PORT + i));
        TAILQ_INSERT_TAIL(&g_free[core], &g_port[core][i], link);
    }
    g_mctx[core] = mtcp_create_context(core);
    if (!g_mctx[core]) {
        TRACE_ERROR("context %d: %d\n", core, errno);
        exit(EXIT_FAILURE);
    }
    sock = mtcp_socket(g_mctx[core], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0 ||
        mtcp_setsockopt(g_mctx[core], sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)) < 0 ||
        mtcp_setsockopt(g_mctx[core], sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off)) < 0 ||
        mtcp_register_callback(g_mctx[core], sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0 ||
        mtcp_register_callback(g_mctx[core], sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0) {
        TRACE_ERROR("core %d: %d\n", core, errno);
        exit(EXIT_FAILURE);
    }
}

static void on_sigint(int signum)
{
    int i;

    for (i = 0; i < g_cores; i++)
        mtcp_destroy_context(g_mctx[i]);
}

int main(int argc, char **argv)
{
    char *conf = "config/mos.conf";
    unsigned taken = 0, returned = 0, dropped = 0;
    struct mtcp_conf mcfg;
    int opt, i;

    g_cores = MIN(GetNumCPUs(), MAX_CPUS);
    while ((opt = getopt(argc, argv, "c:f:i:")) != -1) {
        if (opt == 'c')
            g_cores = atoi(optarg);
        else if (opt == 'f')
            conf = optarg;
        else if (opt == 'i')
            g_nat_ip = inet_addr(optarg);
    }
    if (g_cores < 1 || g_cores > MAX_CPUS || !g_nat_ip || mtcp_init(conf) < 0) {
        TRACE_ERROR("init: %d\n", errno);
        return EXIT_FAILURE;
    }
    mtcp_getconf(&mcfg);
    mcfg.num_cores = g_cores;
    mtcp_setconf(&mcfg);
    mtcp_register_signal(SIGINT, on_sigint);
    for (i = 0; i < g_cores; i++)
        start(i);
    for (i = 0; i < g_cores; i++)
        mtcp_app_join(g_mctx[i]);
    for (i = 0; i < g_cores; i++) {
        taken += g_taken[i];
        returned += g_returned[i];
        dropped += g_dropped[i];
        mtcp_destroy_context(g_mctx[i]);
    }
    mtcp_destroy();
    printf("ports taken %u returned %u, packets dropped %u\n", taken, returned, dropped);
    return 0;
}
