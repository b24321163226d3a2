/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * appflow.h: what several subcommands ask of a connection, and the words they use for it.
 */
#ifndef WEIR_APPS_APPFLOW_H
#define WEIR_APPS_APPFLOW_H

#include <stdbool.h>

#include <mos_api.h>

/* One end, in a form that can be compared by memcmp: two equal ends have equal bytes. */
struct endpoint {
    uint8_t family; /* AF_INET or AF_INET6 */
    uint8_t addr[16];
    uint8_t port[2]; /* network order */
};

/* [MOS_SIDE_CLI], [MOS_SIDE_SVR] */
struct ends {
    struct endpoint side[2];
};

#define ADDR_TEXT     INET6_ADDRSTRLEN
#define ENDPOINT_TEXT (INET6_ADDRSTRLEN + 8)

/* flow_ends: both addresses of a child. => 0, or -1. [callback] */
int flow_ends(mctx_t mctx, int sock, struct ends *ends);
/* flow_info: all that is known of it. => 0, or -1. [callback] */
int flow_info(mctx_t mctx, int sock, struct mos_flow_info *info);
/* flow_answered: have both ends been heard? A SYN alone can be anybody's. [callback] */
bool flow_answered(mctx_t mctx, int sock);
/*
 * flow_clock: the time now, in ns since 1970, unwrapped with the time of this child's last packet;
 * last_ns is mos_flow_info's. [callback]
 */
uint64_t flow_clock(mctx_t mctx, int sock, uint64_t last_ns);

enum { APP_FIN = 0x01, APP_SYN = 0x02, APP_ACK = 0x10 }; /* RFC 9293 3.1 */
/* tcp_flags: those of a packet with a TCP header, which need not be aligned. */
static inline unsigned tcp_flags(const struct pkt_info *p)
{
    return ((const uint8_t *)p->tcph)[13];
}

/* endpoint_set: from the bytes of a packet; port in network order. */
void endpoint_set(struct endpoint *e, int family, const void *addr, uint16_t port);
unsigned endpoint_port(const struct endpoint *e);
/* addr_text: as inet_ntop has it; out has ADDR_TEXT bytes. => out. */
const char *addr_text(const struct endpoint *e, char *out);
/* endpoint_text: "10.0.0.1:80", "[2001:db8::1]:80"; out has ENDPOINT_TEXT bytes. => out. */
const char *endpoint_text(const struct endpoint *e, char *out);

/* state_name: "ESTABLISHED"; end_name: "fin". => "?" for what nobody knows. */
const char *state_name(int state);
const char *end_name(uint32_t reason);

#endif
