// SPDX-License-Identifier: BSD-2-Clause
/* appflow.c: addresses, times and names of connections, from the public API. */
#include "appflow.h"

#include <stdio.h>
#include <string.h>

void endpoint_set(struct endpoint *e, int family, const void *addr, uint16_t port)
{
    memset(e, 0, sizeof(*e));
    e->family = (uint8_t)family;
    memcpy(e->addr, addr, family == AF_INET6 ? 16 : 4);
    memcpy(e->port, &port, 2);
}

int flow_ends(mctx_t mctx, int sock, struct ends *ends)
{
    struct sockaddr_storage peer[2];
    socklen_t len = sizeof(peer);

    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)peer, &len, MOS_SIDE_BOTH) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        const struct sockaddr_in *in = (const void *)&peer[i];
        const struct sockaddr_in6 *in6 = (const void *)&peer[i];

        if (peer[i].ss_family == AF_INET6)
            endpoint_set(&ends->side[i], AF_INET6, &in6->sin6_addr, in6->sin6_port);
        else
            endpoint_set(&ends->side[i], AF_INET, &in->sin_addr, in->sin_port);
    }
    return 0;
}

int flow_info(mctx_t mctx, int sock, struct mos_flow_info *info)
{
    socklen_t len = sizeof(*info);

    memset(info, 0, sizeof(*info));
    return mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, info, &len);
}

bool flow_answered(mctx_t mctx, int sock)
{
    struct mos_flow_info info;

    return flow_info(mctx, sock, &info) == 0 && info.dir[0].packets && info.dir[1].packets;
}

uint64_t flow_clock(mctx_t mctx, int sock, uint64_t last_ns)
{
    uint64_t last_us = last_ns / 1000, us = 0;
    socklen_t len = sizeof(us);
    uint32_t delta;

    /* where times run backwards the newest packet may lie far behind the clock at the last one */
    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_TIMESTAMP, &us, &len) == 0 && us > last_us) {
        last_us = us;
        last_ns = us * 1000;
    }
    delta = mtcp_cb_get_ts(mctx) - (uint32_t)last_us;
    /* A clock that stands a little before the last packet is at it, not 71 minutes behind. */
    if (delta == 0 || delta > UINT32_MAX - 10 * 1000000)
        return last_ns;
    return (last_us + delta) * 1000;
}

unsigned endpoint_port(const struct endpoint *e)
{
    return (unsigned)e->port[0] << 8 | e->port[1];
}

const char *addr_text(const struct endpoint *e, char *out)
{
    if (!inet_ntop(e->family, e->addr, out, ADDR_TEXT))
        memcpy(out, "?", 2);
    return out;
}

const char *endpoint_text(const struct endpoint *e, char *out)
{
    char addr[ADDR_TEXT];

    snprintf(out, ENDPOINT_TEXT, e->family == AF_INET6 ? "[%s]:%u" : "%s:%u", addr_text(e, addr),
             endpoint_port(e));
    return out;
}

const char *state_name(int state)
{
    static const char *const names[] = {
        [TCP_CLOSED] = "CLOSED",           [TCP_LISTEN] = "LISTEN",
        [TCP_SYN_SENT] = "SYN_SENT",       [TCP_SYN_RCVD] = "SYN_RCVD",
        [TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN_WAIT_1",
        [TCP_FIN_WAIT_2] = "FIN_WAIT_2",   [TCP_CLOSE_WAIT] = "CLOSE_WAIT",
        [TCP_CLOSING] = "CLOSING",         [TCP_LAST_ACK] = "LAST_ACK",
        [TCP_TIME_WAIT] = "TIME_WAIT",
    };

    return state >= TCP_CLOSED && state <= TCP_TIME_WAIT ? names[state] : "?";
}

const char *end_name(uint32_t reason)
{
    static const char *const names[] = {
        [MOS_END_FIN] = "fin",         [MOS_END_RST] = "rst",
        [MOS_END_TIMEOUT] = "timeout", [MOS_END_EVICTED] = "evicted",
        [MOS_END_EOF] = "eof",         [MOS_END_REUSE] = "reuse",
        [MOS_END_STOPPED] = "stopped", [MOS_END_COLLISION] = "collision",
    };

    return reason >= MOS_END_FIN && reason <= MOS_END_COLLISION ? names[reason] : "?";
}
