// SPDX-License-Identifier: BSD-2-Clause
/*
 * states.c: all connections with the TCP state of both ends, once a second.  ./states CAPTURE
 *
 * The second is one of packet time, so a capture of an hour is shown in an instant, as 3600 tables
 * (those that would repeat the one before are left out).
 */
#define EXAMPLE_KEYS "    epoch = 1\n" /* timers run after each packet, not after each 64 */
#include "example.h"

#include <sys/queue.h>

struct conn {
    LIST_ENTRY(conn) link;
    char ends[EXAMPLE_ENDS];
    int state[2]; /* enum tcpstate */
};

static LIST_HEAD(conn_list, conn) conns = LIST_HEAD_INITIALIZER(conns);
static bool changed;
static unsigned seconds, ended;

static const char *const state_name[] = {
    [TCP_CLOSED] = "CLOSED",           [TCP_LISTEN] = "LISTEN",
    [TCP_SYN_SENT] = "SYN_SENT",       [TCP_SYN_RCVD] = "SYN_RCVD",
    [TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN_WAIT_1",
    [TCP_FIN_WAIT_2] = "FIN_WAIT_2",   [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
    [TCP_CLOSING] = "CLOSING",         [TCP_LAST_ACK] = "LAST_ACK",
    [TCP_TIME_WAIT] = "TIME_WAIT",
};

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = calloc(1, sizeof(*c));
    char ends[EXAMPLE_ENDS];

    if (!c)
        return;
    snprintf(c->ends, sizeof(c->ends), "%s", example_ends(mctx, sock, ends));
    LIST_INSERT_HEAD(&conns, c, link);
    mtcp_set_uctx(mctx, sock, c);
    changed = true;
}

/* At MOS_HK_SND the sender has moved, at MOS_HK_RCV the receiver: side says which it is. */
static void on_change(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);
    socklen_t len = sizeof(int);

    if (!c)
        return;
    mtcp_getsockopt(mctx, sock, SOL_MONSOCKET,
                    side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR, &c->state[side],
                    &len);
    changed = true;
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);

    if (!c)
        return;
    LIST_REMOVE(c, link);
    free(c);
    mtcp_set_uctx(mctx, sock, NULL);
    changed = true;
    ended++;
}

static void print_table(void)
{
    struct conn *c;

    printf("second %u, %u ended\n", seconds, ended);
    for (c = LIST_FIRST(&conns); c; c = LIST_NEXT(c, link))
        printf("    %-45s  %-11s  %s\n", c->ends, state_name[c->state[MOS_SIDE_CLI]],
               state_name[c->state[MOS_SIDE_SVR]]);
}

/* A timer runs once: the callback arms it again. */
static void on_second(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
    struct timeval second = {1, 0};

    seconds++;
    if (changed)
        print_table();
    changed = false;
    mtcp_settimer(mctx, id, &second, on_second);
}

int main(int argc, char **argv)
{
    mctx_t mctx = example_start(argv + 1, "states");
    int code, off = 0, sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    struct timeval second = {1, 0};

    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off));
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off));
    if (mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_change) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_change) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0 ||
        mtcp_settimer(mctx, 0, &second, on_second) < 0)
        example_die("callback");
    code = example_finish(mctx);
    print_table();
    return code;
}
