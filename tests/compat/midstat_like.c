// SPDX-License-Identifier: BSD-2-Clause
/*
 * midstat_like.c: the states of all connections, in the manner of mOS's midstat: every symbol that one uses and no
 * other, its options (-c cores -f conf), its habits - contexts for all CPUs, one timer armed from main, a SIGINT
 * handler that destroys the contexts while main waits in mtcp_app_join, and joins after that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <signal.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/queue.h>
#include <linux/if_ether.h>
#include <linux/tcp.h>
#include <mos_api.h>
#include "cpu.h"
#include "debug.h"

#define MAX_CORES 64

struct session {
    int sock;
    struct sockaddr_in addr[2];
    int state[2];
    TAILQ_ENTRY(session) link;
};

static TAILQ_HEAD(session_list, session) g_sessions[MAX_CORES];
/* The original reads every core's list without a lock; here the sanitizers are looking. */
static pthread_mutex_t g_lock = PTHREAD_MUTEX_INITIALIZER;
static mctx_t g_mctx[MAX_CORES];
static int g_cores;
static unsigned g_started, g_ended, g_strange, g_ticks, g_most;

static const char *state_name(int state)
{
    switch (state) {
    case TCP_CLOSED:
        return "CLOSED";
    case TCP_LISTEN:
        return "LISTEN";
    case TCP_SYN_SENT:
        return "SYN_SENT";
    case TCP_SYN_RCVD:
        return "SYN_RCVD";
    case TCP_ESTABLISHED:
        return "ESTABLISHED";
    case TCP_FIN_WAIT_1:
        return "FIN_WAIT_1";
    case TCP_FIN_WAIT_2:
        return "FIN_WAIT_2";
    case TCP_CLOSE_WAIT:
        return "CLOSE_WAIT";
    case TCP_CLOSING:
        return "CLOSING";
    case TCP_LAST_ACK:
        return "LAST_ACK";
    case TCP_TIME_WAIT:
        return "TIME_WAIT";
    }
    return "?";
}

static struct session *find_session(int cpu, int sock)
{
    struct session *s;

    TAILQ_FOREACH(s, &g_sessions[cpu], link)
    if (s->sock == sock)
        return s;
    return NULL;
}

static void on_start(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct session *s = calloc(1, sizeof(*s));
    socklen_t len = sizeof(s->addr);

    if (!s)
        exit(EXIT_FAILURE);
    s->sock = sock;
    s->state[MOS_SIDE_CLI] = TCP_SYN_SENT;
    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)s->addr, &len, MOS_SIDE_BOTH) < 0) {
        TRACE_ERROR("getpeername: %d\n", errno);
        exit(EXIT_FAILURE);
    }
    pthread_mutex_lock(&g_lock);
    if (find_session(mctx->cpu, sock))
        g_strange++;
    TAILQ_INSERT_TAIL(&g_sessions[mctx->cpu], s, link);
    g_started++;
    pthread_mutex_unlock(&g_lock);
}

static void on_end(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct session *s;

    pthread_mutex_lock(&g_lock);
    s = find_session(mctx->cpu, sock);
    if (s) {
        TAILQ_REMOVE(&g_sessions[mctx->cpu], s, link);
        free(s);
        g_ended++;
    }
    pthread_mutex_unlock(&g_lock);
}

static void on_state(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct session *s;
    int state;
    socklen_t len = sizeof(state);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET,
                        side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR,
                        (void *)&state, &len) < 0) {
        TRACE_ERROR("state of side %d: %d\n", side, errno);
        exit(EXIT_FAILURE);
    }
    pthread_mutex_lock(&g_lock);
    s = find_session(mctx->cpu, sock);
    if (s)
        s->state[side] = state;
    else if (state != TCP_CLOSED) /* before CONN_START, or after CONN_END and yet alive */
        g_strange++;
    pthread_mutex_unlock(&g_lock);
}

static void print_sessions(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    struct timeval tv = {1, 0};
    struct session *s;
    unsigned n = 0;
    int i;

    pthread_mutex_lock(&g_lock);
    for (i = 0; i < g_cores; i++) {
        TAILQ_FOREACH(s, &g_sessions[i], link)
        {
            printf("%d: %u > %u %s %s\n", i, ntohs(s->addr[0].sin_port), ntohs(s->addr[1].sin_port),
                   state_name(s->state[0]), state_name(s->state[1]));
            n++;
        }
    }
    g_ticks++;
    if (n > g_most)
        g_most = n;
    pthread_mutex_unlock(&g_lock);
    printf("tick %u: %u sessions\n", g_ticks, n);
    fflush(stdout);
    if (mtcp_settimer(mctx, sock, &tv, print_sessions) < 0)
        TRACE_ERROR("settimer: %d\n", errno);
}

static void on_sigint(int signum)
{
    int i;

    for (i = 0; i < g_cores; i++)
        mtcp_destroy_context(g_mctx[i]);
}

static void start(int core)
{
    struct timeval tv = {1, 0};
    int off = 0, sock;

    g_mctx[core] = mtcp_create_context(core);
    if (!g_mctx[core]) {
        TRACE_ERROR("context %d: %d\n", core, errno);
        exit(EXIT_FAILURE);
    }
    sock = mtcp_socket(g_mctx[core], AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0 ||
        mtcp_setsockopt(g_mctx[core], sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)) < 0 ||
        mtcp_setsockopt(g_mctx[core], sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off)) < 0 ||
        mtcp_register_callback(g_mctx[core], sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
        mtcp_register_callback(g_mctx[core], sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0 ||
        mtcp_register_callback(g_mctx[core], sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state) <
            0 ||
        mtcp_register_callback(g_mctx[core], sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state) <
            0 ||
        (core == 0 && mtcp_settimer(g_mctx[core], sock, &tv, print_sessions) < 0)) {
        TRACE_ERROR("core %d: %d\n", core, errno);
        exit(EXIT_FAILURE);
    }
}

/* Sessions that were still there, and are given back now. */
static int leftover(void)
{
    struct session *s;
    int i, left = 0;

    for (i = 0; i < g_cores; i++) {
        for (; (s = TAILQ_FIRST(&g_sessions[i])); left++) {
            TAILQ_REMOVE(&g_sessions[i], s, link);
            free(s);
        }
    }
    return left;
}

static void run(void)
{
    int i;

    for (i = 0; i < g_cores; i++)
        TAILQ_INIT(&g_sessions[i]);
    for (i = 0; i < g_cores; i++)
        start(i);
    printf("%d cores\n", g_cores);
    fflush(stdout);
    for (i = 0; i < g_cores; i++)
        mtcp_app_join(g_mctx[i]);
    for (i = 0; i < g_cores; i++)
        mtcp_destroy_context(g_mctx[i]);
    mtcp_destroy();
    printf("started %u ended %u left %d strange %u most %u\n", g_started, g_ended, leftover(),
           g_strange, g_most);
}

int main(int argc, char **argv)
{
    const char *conf = "config/mos.conf";
    struct mtcp_conf mcfg;
    int opt;

    g_cores = GetNumCPUs();
    while ((opt = getopt(argc, argv, "c:f:")) != -1) {
        if (opt == 'c')
            g_cores = atoi(optarg);
        else if (opt == 'f')
            conf = optarg;
        else
            return EXIT_FAILURE;
    }
    if (g_cores < 1 || g_cores > MAX_CORES || mtcp_init(conf) < 0) {
        TRACE_ERROR("init: %d\n", errno);
        return EXIT_FAILURE;
    }
    mtcp_getconf(&mcfg);
    mcfg.num_cores = g_cores;
    mtcp_setconf(&mcfg);
    mtcp_register_signal(SIGINT, on_sigint);
    run();
    return 0;
}
