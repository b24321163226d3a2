// SPDX-License-Identifier: BSD-2-Clause
/*
 * layout.c: every frozen value, size and offset of the public headers, held to its number at compile
 * time. Compiled as C and as C++; there is nothing to run. x86-64 and other LP64 machines.
 */
#include <mos_api.h>
#include <mtcp_util.h>
#include <compat/applib.h>
#include <compat/http_parsing.h>

#ifdef __cplusplus
#define HOLDS(what) static_assert(what, #what)
#else
#define HOLDS(what) _Static_assert(what, #what)
#endif
#define IS(name, number)          HOLDS((name) == (number))
#define AT(type, member, place)   HOLDS(offsetof(type, member) == (place))
#define WIDE(type, member, bytes) HOLDS(sizeof(((type *)0)->member) == (bytes))
#define FIELD(type, member, place, bytes)                                                          \
    AT(type, member, place);                                                                       \
    WIDE(type, member, bytes)

/* ---- Types ------------------------------------------------------------------------------------ */

HOLDS(sizeof(event_t) == 8 && (event_t)-1 > 0);
HOLDS(sizeof(byte) == 1 && (byte)-1 > 0);
HOLDS(sizeof(struct mtcp_context) == sizeof(int));

/* Exactly uint64_t, so that `uint64_t events` makes the same function type. */
extern uint64_t same_type;
extern event_t same_type;
extern mctx_t same_pointer;
extern struct mtcp_context *same_pointer;
extern monitor_filter_t same_union;
extern union monitor_filter *same_union;
extern monitor_filter *same_union;
extern filter_arg_t same_arg;
extern struct filter_arg same_arg;

/* ---- Numbers ---------------------------------------------------------------------------------- */

IS(MOS_SIDE_CLI, 0);
IS(MOS_SIDE_SVR, 1);
IS(MOS_SIDE_BOTH, 2);

IS(MOS_NULL, 0x20000000);
IS(MOS_HK_RCV, 0x40000000);
IS(MOS_HK_SND, -2147483647 - 1);
HOLDS(sizeof(MOS_HK_SND) == sizeof(int) && MOS_HK_SND < 0);

IS(MOS_NULL_EVENT, 0);
IS(MOS_ON_PKT_IN, 0x1);
IS(MOS_ON_PKT_OUT, 0x2);
IS(MOS_ON_CONN_START, 0x4);
IS(MOS_ON_CONN_SETUP, 0x8);
IS(MOS_ON_CONN_NEW_DATA, 0x10);
IS(MOS_ON_ERROR, 0x20);
IS(MOS_ON_TIMEOUT, 0x40);
IS(MOS_ON_TCP_STATE_CHANGE, 0x80);
IS(MOS_ON_ORPHAN, 0x100);
IS(MOS_ON_REXMIT, 0x200);
IS(MOS_ON_CONN_END, 0x400);
IS(MOS_ON_DEBUG_MESSAGE, 0x800);
IS(MOS_ON_GAP, 0x100000000ULL);
IS(MOS_ON_OVERLAP, 0x200000000ULL);
IS(MOS_ON_EVICT, 0x400000000ULL);
#if MOS_ON_GAP != 0x100000000
#error "the events are fit for #if"
#endif

IS(TCP_CLOSED, 0);
IS(TCP_LISTEN, 1);
IS(TCP_SYN_SENT, 2);
IS(TCP_SYN_RCVD, 3);
IS(TCP_ESTABLISHED, 4);
IS(TCP_FIN_WAIT_1, 5);
IS(TCP_FIN_WAIT_2, 6);
IS(TCP_CLOSE_WAIT, 7);
IS(TCP_CLOSING, 8);
IS(TCP_LAST_ACK, 9);
IS(TCP_TIME_WAIT, 10);
HOLDS(sizeof(enum tcpstate) == sizeof(int));

IS(MOS_SOCK_UNUSED, 0);
IS(MOS_SOCK_STREAM_LISTEN, 1);
IS(MOS_SOCK_PROXY_LISTEN, 2);
IS(MOS_SOCK_MONITOR_STREAM, 3);
IS(MOS_SOCK_STREAM, 4);
IS(MOS_SOCK_PROXY, 5);
IS(MOS_SOCK_MONITOR_STREAM_ACTIVE, 6);
IS(MOS_SOCK_MONITOR_RAW, 7);
IS(MOS_SOCK_EPOLL, 8);
IS(MOS_SOCK_PIPE, 9);
IS(MOS_SOCKET_MONITOR_STREAM, 3);

IS(SOL_MONSOCKET, 0xfffe);
IS(MOS_FRAGINFO_CLIBUF, 0x1);
IS(MOS_FRAGINFO_SVRBUF, 0x2);
IS(MOS_INFO_CLIBUF, 0x3);
IS(MOS_INFO_SVRBUF, 0x4);
IS(MOS_TCP_STATE_CLI, 0x5);
IS(MOS_TCP_STATE_SVR, 0x6);
IS(MOS_TIMESTAMP, 0x7);
IS(MOS_CLIBUF, 0x9);
IS(MOS_SVRBUF, 0xa);
IS(MOS_SEQ_REMAP, 0xb);
IS(MOS_STOP_MON, 0xc);
IS(MOS_FRAG_CLIBUF, 0xd);
IS(MOS_FRAG_SVRBUF, 0xe);
IS(MOS_CLIOVERLAP, 0xf);
IS(MOS_SVROVERLAP, 0x10);
IS(MOS_FLOW_INFO, 0x20);
IS(MOS_REXMIT_INFO, 0x21);
IS(MOS_GAP_INFO, 0x22);
IS(MOS_OVERLAP_INFO, 0x23);
IS(MOS_READ_OFF_CLI, 0x24);
IS(MOS_READ_OFF_SVR, 0x25);
IS(MOS_PEEK_END_CLI, 0x26);
IS(MOS_PEEK_END_SVR, 0x27);
IS(MOS_FLOW_TIMEOUT, 0x30);
IS(MOS_MIDSTREAM, 0x31);
IS(MOS_STRICT, 0x32);
IS(MOS_CSUM, 0x33);
IS(MOS_STATS, 0x34);

IS(MOS_OVERLAP_POLICY_FIRST, 0);
IS(MOS_OVERLAP_POLICY_LAST, 1);
IS(MOS_OVERLAP_CNT, 2);
IS(MOS_OVERLAP_POLICY_BSD, 2);
IS(MOS_OVERLAP_POLICY_BSD_RIGHT, 3);
IS(MOS_OVERLAP_POLICY_LINUX, 4);
IS(MOS_OVERLAP_POLICY_OLD_LINUX, 5);
IS(MOS_OVERLAP_POLICY_WINDOWS, 6);
IS(MOS_OVERLAP_POLICY_SOLARIS, 7);
IS(MOS_OVERLAP_POLICIES, 8);
IS(MOS_CSUM_OFF, 0);
IS(MOS_CSUM_ON, 1);
IS(MOS_CSUM_AUTO, 2);

IS(MOS_ETH_HDR, 0x1);
IS(MOS_IP_HDR, 0x2);
IS(MOS_TCP_HDR, 0x4);
IS(MOS_TCP_PAYLOAD, 0x8);
IS(MOS_UPDATE_IP_CHKSUM, 0x10);
IS(MOS_UPDATE_TCP_CHKSUM, 0x20);
IS(MOS_DROP, 0x40);
IS(MOS_OVERWRITE, 0x80);
IS(MOS_CHOMP, 0x100);
IS(MOS_INSERT, 0x200);
IS(MOS_HOLD, 0x400);

IS(MOS_END_FIN, 1);
IS(MOS_END_RST, 2);
IS(MOS_END_TIMEOUT, 3);
IS(MOS_END_EVICTED, 4);
IS(MOS_END_EOF, 5);
IS(MOS_END_REUSE, 6);
IS(MOS_END_STOPPED, 7);
IS(MOS_END_COLLISION, 8);
IS(MOS_FLOWF_MIDSTREAM, 1);
IS(MOS_FLOWF_EVICTED, 2);
IS(MOS_FLOWF_OFFLOAD, 4);
IS(MOS_FLOWF_IPV6, 8);
IS(MOS_FLOW_VLANS, 4);

IS(MOS_REXMIT_LOST, 1);
IS(MOS_REXMIT_SPURIOUS, 2);
IS(MOS_REXMIT_KEEPALIVE, 3);
IS(MOS_REXMIT_PROBE, 4);
IS(MOS_REXMIT_PARTIAL, 5);
IS(MOS_REXMIT_SYN, 6);
IS(MOS_REXMIT_FIN, 7);
IS(MOS_REXMIT_SAME, 0);
IS(MOS_REXMIT_CHANGED, 1);
IS(MOS_REXMIT_UNKNOWN, 2);

IS(MOS_GAP_ACKED, 1);
IS(MOS_GAP_LIMIT, 2);
IS(MOS_GAP_TIMEOUT, 3);
IS(MOS_GAP_END, 4);
IS(MOS_GAP_SNAPLEN, 5);

IS(MTCP_FRAME_PASS, 0);
IS(MTCP_FRAME_DROP, 1);
IS(MTCP_FRAME_CHANGED, 2);

IS(MOS_EPOLLIN, 0x2);
IS(MOS_EPOLLPRI, 0x4);
IS(MOS_EPOLLOUT, 0x8);
IS(MOS_EPOLLERR, 0x200);
IS(MOS_EPOLLHUP, 0x400);
IS(MOS_EPOLLRDHUP, 0x800);
IS(MOS_EPOLLONESHOT, 0x40000000);
IS(MOS_EPOLLET, 0x80000000U);
IS(MOS_EPOLL_CTL_ADD, 1);
IS(MOS_EPOLL_CTL_DEL, 2);
IS(MOS_EPOLL_CTL_MOD, 3);

IS(APP_NAME_LEN, 40);
IS(MOS_APP, 20);
IS(MOS_APP_ARGC, 20);
IS(MAX_LINE_LEN, 1000);
IS(MAX_FLOW_NUM, 1000000);
IS(MAX_EVENTS, 3000000);
IS(MAX_CPUS, 16);
IS(CONF_VALUE_LEN, 100);
WIDE(struct conf_var, value, 101);

/* ---- Structs ---------------------------------------------------------------------------------- */

FIELD(struct pkt_info, cur_ts, 0, 4);
FIELD(struct pkt_info, in_ifidx, 4, 1);
FIELD(struct pkt_info, eth_len, 6, 2);
FIELD(struct pkt_info, ip_len, 8, 2);
FIELD(struct pkt_info, offset, 16, 8);
FIELD(struct pkt_info, payloadlen, 24, 2);
FIELD(struct pkt_info, seq, 28, 4);
FIELD(struct pkt_info, ack_seq, 32, 4);
FIELD(struct pkt_info, window, 36, 2);
FIELD(struct pkt_info, ethh, 40, 8);
FIELD(struct pkt_info, iph, 48, 8);
FIELD(struct pkt_info, tcph, 56, 8);
FIELD(struct pkt_info, payload, 64, 8);
IS(PKT_INFO_LEN, 40);
FIELD(struct pkt_info, ip6h, 72, 8);
FIELD(struct pkt_info, ts_ns, 80, 8);
FIELD(struct pkt_info, l4proto, 88, 1);
FIELD(struct pkt_info, frag, 89, 1);
FIELD(struct pkt_info, len32, 92, 4);
IS(sizeof(struct pkt_info), 96);
#ifndef MTCP_CB_GETCURPKT_CREATE_COPY
#error "MTCP_CB_GETCURPKT_CREATE_COPY is defined"
#endif

AT(struct pkt_ctx, p, 0);
FIELD(struct pkt_ctx, direction, 96, 1);
FIELD(struct pkt_ctx, forward, 97, 1);
FIELD(struct pkt_ctx, out_ifidx, 98, 1);
FIELD(struct pkt_ctx, batch_index, 99, 1);

FIELD(filter_arg_t, arg, 0, 8);
FIELD(filter_arg_t, len, 8, 8);
IS(sizeof(filter_arg_t), 16);

FIELD(union monitor_filter, raw_pkt_filter, 0, 8);
FIELD(union monitor_filter, stream_syn_filter, 0, 8);
FIELD(union monitor_filter, stream_orphan_filter, 8, 8);
IS(sizeof(monitor_filter), 16);

FIELD(struct tcp_buf_info, tcpbi_init_seq, 0, 4);
FIELD(struct tcp_buf_info, tcpbi_last_byte_read, 4, 4);
FIELD(struct tcp_buf_info, tcpbi_next_byte_expected, 8, 4);
FIELD(struct tcp_buf_info, tcpbi_last_byte_received, 12, 4);
IS(sizeof(struct tcp_buf_info), 16);

FIELD(struct tcp_ring_fragment, offset, 0, 8);
FIELD(struct tcp_ring_fragment, len, 8, 4);
IS(sizeof(struct tcp_ring_fragment), 16);

FIELD(struct seq_remap_info, seq_off, 0, 8);
FIELD(struct seq_remap_info, side, 8, 4);
FIELD(struct seq_remap_info, base_seq, 12, 4);

FIELD(struct mtcp_conf, num_cores, 0, 4);
FIELD(struct mtcp_conf, max_concurrency, 4, 4);
FIELD(struct mtcp_conf, cpu_mask, 8, 8);
FIELD(struct mtcp_conf, max_num_buffers, 16, 4);
FIELD(struct mtcp_conf, rcvbuf_size, 20, 4);
FIELD(struct mtcp_conf, sndbuf_size, 24, 4);
FIELD(struct mtcp_conf, tcp_timewait, 28, 4);
FIELD(struct mtcp_conf, tcp_timeout, 32, 4);
FIELD(struct mtcp_conf, app_cpu_mask, 40, 160);
FIELD(struct mtcp_conf, app_argv, 200, 3200);
FIELD(struct mtcp_conf, app_argc, 3400, 80);
FIELD(struct mtcp_conf, num_app, 3480, 4);
IS(sizeof(struct mtcp_conf), 3488);

FIELD(struct mtcp_epoll_event, events, 0, 8);
FIELD(struct mtcp_epoll_event, data, 8, 8);
WIDE(struct mtcp_epoll_event, data.ptr, 8);
WIDE(struct mtcp_epoll_event, data.sock, 4);
WIDE(struct mtcp_epoll_event, data.u32, 4);
WIDE(struct mtcp_epoll_event, data.u64, 8);

/* Our own, frozen too: programs are linked against a newer library. */
FIELD(struct mos_flow_info, start_ns, 0, 8);
FIELD(struct mos_flow_info, last_ns, 8, 8);
FIELD(struct mos_flow_info, reason, 16, 4);
FIELD(struct mos_flow_info, flags, 20, 4);
FIELD(struct mos_flow_info, dir, 24, 144);
FIELD(struct mos_flow_info, state, 168, 2);
FIELD(struct mos_flow_info, nvlan, 170, 2);
FIELD(struct mos_flow_info, vlan, 172, 8);
FIELD(struct mos_flow_info, reserved, 180, 4);
IS(sizeof(struct mos_flow_info), 280);
FIELD(struct mos_flow_dir, packets, 0, 8);
FIELD(struct mos_flow_dir, ip_bytes, 8, 8);
FIELD(struct mos_flow_dir, payload_bytes, 16, 8);
FIELD(struct mos_flow_dir, stream_bytes, 24, 8);
FIELD(struct mos_flow_dir, gap_bytes, 32, 8);
FIELD(struct mos_flow_dir, rexmit_packets, 40, 8);
FIELD(struct mos_flow_dir, rexmit_bytes, 48, 8);
FIELD(struct mos_flow_dir, ooo_packets, 56, 8);
FIELD(struct mos_flow_dir, late_bytes, 64, 8);
IS(sizeof(struct mos_flow_dir), 72);

FIELD(struct mos_rexmit_info, off, 0, 8);
FIELD(struct mos_rexmit_info, len, 8, 4);
FIELD(struct mos_rexmit_info, new_len, 12, 4);
FIELD(struct mos_rexmit_info, kind, 16, 4);
FIELD(struct mos_rexmit_info, content, 20, 4);
FIELD(struct mos_rexmit_info, plain_len, 24, 4);
IS(sizeof(struct mos_rexmit_info), 32);

FIELD(struct mos_gap_info, off, 0, 8);
FIELD(struct mos_gap_info, len, 8, 8);
FIELD(struct mos_gap_info, side, 16, 4);
FIELD(struct mos_gap_info, cause, 20, 4);
IS(sizeof(struct mos_gap_info), 24);

FIELD(struct mos_overlap_info, off, 0, 8);
FIELD(struct mos_overlap_info, len, 8, 4);
FIELD(struct mos_overlap_info, side, 12, 4);
FIELD(struct mos_overlap_info, policy, 16, 4);
FIELD(struct mos_overlap_info, content, 20, 4);
FIELD(struct mos_overlap_info, ncopy, 56, 4);
FIELD(struct mos_overlap_info, copy, 64, 32);
IS(sizeof(struct mos_overlap_info), 96);

FIELD(struct mos_stat, name, 0, 32);
FIELD(struct mos_stat, value, 32, 8);
IS(sizeof(struct mos_stat), 40);

FIELD(struct mtcp_frame, data, 0, 8);
FIELD(struct mtcp_frame, ts_ns, 8, 8);
FIELD(struct mtcp_frame, len, 16, 4);
FIELD(struct mtcp_frame, wire_len, 20, 4);
FIELD(struct mtcp_frame, linktype, 24, 4);
FIELD(struct mtcp_frame, in_ifidx, 28, 4);
FIELD(struct mtcp_frame, verdict, 32, 4);
FIELD(struct mtcp_frame, out_len, 36, 4);
FIELD(struct mtcp_frame, out, 40, 8);
IS(sizeof(struct mtcp_frame), 48);
