/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reasons.h: why a frame, a segment or a flow was refused, dropped, or ended early. One line gives
 * the enum, the counter's name, the text and the manual's row. Every refusal in the library names
 * one of these.
 */
#ifndef WEIR_BASE_REASONS_H
#define WEIR_BASE_REASONS_H

#include <stdint.h>

#define WEIR_REASONS(R)                                                                            \
    R(NONE, "none", "nothing was refused")                                                         \
    /* link layer */                                                                               \
    R(LINK_TRUNCATED, "link-truncated", "frame ends inside its link-layer header")                 \
    R(LINK_UNKNOWN, "link-unknown", "link type or ethertype that carries no IP")                   \
    R(LINK_TOO_DEEP, "link-too-deep", "more tags or labels than are followed")                     \
    R(PPPOE_BAD, "pppoe-bad", "PPPoE header with a bad version, code or length")                   \
    R(MPLS_BAD, "mpls-bad", "MPLS label stack without a bottom, or no IP under it")                \
    /* network layer */                                                                            \
    R(IP_TRUNCATED, "ip-truncated", "frame ends inside the IP header")                             \
    R(IP_VERSION, "ip-version", "IP version is neither 4 nor 6, or contradicts the link layer")    \
    R(IP_HDR_LEN, "ip-hdr-len", "IPv4 header length below 20 or beyond the total length")          \
    R(IP_LEN, "ip-len", "IP total length shorter than its own headers")                            \
    R(IP_CSUM, "ip-csum", "IPv4 header checksum is wrong")                                         \
    R(IP6_EXT_TRUNCATED, "ip6-ext-truncated", "IPv6 extension header cut off")                     \
    R(IP6_EXT_BAD, "ip6-ext-bad", "IPv6 extension header where no host takes one")                 \
    R(IP_OPT_BAD, "ip-opt-bad", "IPv4 option that is malformed")                                   \
    R(IP_SOURCE_ROUTE, "ip-source-route", "source route, which hosts refuse by default")           \
    R(IP6_OPT_BAD, "ip6-opt-bad", "IPv6 option malformed, or to be dropped for if unknown")        \
    R(IP6_HDR_UNKNOWN, "ip6-hdr-unknown", "mobility, HIP or shim6 header before TCP")              \
    R(IP_FRAGMENT, "ip-fragment", "IP fragment of what is not TCP, handed on as such")             \
    R(FRAG_CUT, "frag-cut", "IP fragment of which the capture has only a part")                    \
    R(FRAG_TINY, "frag-tiny", "first IP fragment with less of TCP than frag_min")                  \
    R(FRAG_HEADER, "frag-header", "IP fragment that would rewrite another's TCP header")           \
    R(FRAG_LEN, "frag-len", "IP fragment with an impossible length or a second end")               \
    R(FRAG_ECN, "frag-ecn", "IP fragment of a datagram whose ECN fields contradict each other")    \
    R(FRAG_OVERLAP, "frag-overlap", "IP fragment of a datagram thrown away for an overlap")        \
    R(FRAG_TIMEOUT, "frag-timeout", "IP fragment of a datagram that was never completed")          \
    R(FRAG_LIMIT, "frag-limit", "IP fragment of a datagram given up to make room")                 \
    R(FRAG_DROPPED, "frag-dropped", "IP fragment of a datagram that was dropped")                  \
    R(FRAG_CHANGED, "frag-changed", "IP fragment with other bytes for some that came before")      \
    R(IP_NOT_TCP, "ip-not-tcp", "datagram carries another protocol than TCP")                      \
    /* transport layer */                                                                          \
    R(TCP_TRUNCATED, "tcp-truncated", "segment ends inside the TCP header")                        \
    R(TCP_HDR_LEN, "tcp-hdr-len", "TCP data offset below 5 or beyond the segment")                 \
    R(TCP_OPT_BAD, "tcp-opt-bad", "TCP option with an impossible length; the rest is ignored")     \
    R(TCP_CSUM, "tcp-csum", "TCP checksum is wrong")                                               \
    R(TCP_FLAGS, "tcp-flags", "TCP flags that no host sends together, or none of SYN, ACK, RST")   \
    R(TCP_AUTH, "tcp-auth", "MD5 or TCP-AO signature on a connection that began without")          \
    /* connection */                                                                               \
    R(ORPHAN, "orphan", "TCP segment that belongs to no flow")                                     \
    R(SYN_FILTERED, "syn-filtered", "SYN that no listener's filter selects")                       \
    R(RST_INVALID, "rst-invalid", "RST that its receiver does not believe, or perhaps not")        \
    R(SYN_INVALID, "syn-invalid", "SYN inside a live connection")                                  \
    R(SEG_OLD, "seg-old", "segment entirely before what the receiver has")                         \
    R(SEG_ABOVE, "seg-above", "segment beyond the receiver's window")                              \
    R(ACK_INVALID, "ack-invalid", "ACK of something never sent")                                   \
    R(PAWS, "paws", "timestamp older than the connection's (RFC 7323)")                            \
    R(BUF_FULL, "buf-full", "out-of-order limit of a stream reached")                              \
    R(LATE, "late", "bytes that arrived for a hole already given up")                              \
    R(STOPPED, "stopped", "flow whose monitoring was stopped")                                     \
    /* memory and limits */                                                                        \
    R(NO_FLOW_MEM, "no-flow-mem", "no room for a flow, or for more about one")                     \
    R(NO_SOCK, "no-sock", "no socket id or memory for another child")                              \
    R(NO_STREAM_MEM, "no-stream-mem", "no room to keep stream bytes")                              \
    R(NO_FRAME_MEM, "no-frame-mem", "no room for a changed frame, which was dropped")              \
    R(EVICTED, "evicted", "flow ended to make room for another")                                   \
    R(EVICTED_HALF, "evicted-half-open", "evicted before its handshake was complete")              \
    R(EVICTED_ONE, "evicted-one-sided", "evicted while only one of its ends was heard")            \
    R(EVICTED_CLOSING, "evicted-closing", "evicted while closing or lingering")                    \
    R(EVICTED_IDLE, "evicted-idle", "evicted after a second or more of silence")                   \
    R(EVICTED_LIVE, "evicted-live", "evicted in the midst of its traffic, least recent first")     \
    R(EVICTED_STOPPED, "evicted-stopped", "stopped flow forgotten to make room; nobody is told")   \
    R(OOO_MEMORY, "ooo-memory", "hole given up: what waits behind holes takes too much memory")    \
    R(SYN_GATED, "syn-gated", "SYN noted, not made a flow: too many flows are half open")          \
    R(EDIT_RESET, "edit-reset", "changed in length, forgotten while alive: both ends are reset")   \
    R(EDIT_MEM, "edit-mem", "no room to keep changed bytes: edit refused, or segment dropped")     \
    /* verdicts and output */                                                                      \
    R(APP_DROP, "app-drop", "dropped by the application")                                          \
    R(ORPHAN_DROP, "orphan-drop", "orphan dropped because drop_orphans is set")                    \
    R(OTHER_DROP, "other-drop", "packet of no connection dropped because drop_other is set")       \
    R(SYN_GATE_DROP, "syn-gate-drop", "noted SYN dropped: an application would have to see it")    \
    R(NOT_ROUTED, "not-routed", "frame that is not for this router, or not for any host")          \
    R(ROUTE_LOCAL, "route-local", "packet for the router itself, answered or dropped")             \
    R(NO_ROUTE, "no-route", "no route leads to the destination")                                   \
    R(NO_NEIGHBOUR, "no-neighbour", "next hop does not answer, or too much waits for answers")     \
    R(HOPS, "hops", "no hops left")                                                                \
    R(TOO_BIG, "too-big", "longer than the MTU of the way it would take; its sender is told")      \
    R(KEY_TAKEN, "key-taken", "translated tuple belongs to another live flow")                     \
    R(ICMP_RELATED, "icmp-related", "ICMP error about a changed segment, as its sender knows it")  \
    R(EDIT_WAIT, "edit-wait", "waited: bytes in front of it were missing, and the flow is edited") \
    R(EDIT_AGAIN, "edit-again", "repeated, and rebuilt from the changed bytes that are kept")      \
    R(EDIT_SPLIT, "edit-split", "had grown too long, and left as several")                         \
    R(EDIT_FLUSH, "edit-flush", "held bytes that left because nothing followed in time")           \
    R(EDIT_UNSURE, "edit-unsure", "of an edited flow, beyond its window: bytes taken out")         \
    R(NO_OUTPUT, "no-output", "no output device for this frame")

enum reason {
#define R(id, name, text) REASON_##id,
    WEIR_REASONS(R)
#undef R
        REASON_CNT
};

/* reason_name: the counter's name, e.g. "ip-truncated". => a literal; "?" for no reason. */
const char *reason_name(enum reason r);
/* reason_text: one phrase for people. => a literal; "?" for no reason. */
const char *reason_text(enum reason r);

#endif
