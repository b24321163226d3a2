/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mos_api.h - watch, and change, the TCP connections that pass by.
 *
 * The library follows both ends of every connection: the client (who sent the SYN) and the server.
 * For each it keeps the TCP state and the stream of bytes which that end has received. What
 * happens is told by events. A program opens a listener, says which connections it wants, and
 * registers callbacks:
 *
 *      mctx_t m = mtcp_create_context(0);
 *      int l = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
 *      union monitor_filter ft = {0};
 *      ft.stream_syn_filter = "dst port 80";
 *      mtcp_bind_monitor_filter(m, l, &ft);
 *      mtcp_register_callback(m, l, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data);
 *      mtcp_app_join(m);
 *
 * WORDS
 *      listener  socket of type MOS_SOCK_MONITOR_STREAM, made by the program
 *      child     socket of one connection, made by the library for each listener whose filter took
 *                its SYN. It begins with the listener's callbacks and options; what is changed on
 *                the child later holds for this connection only. Its id is free again after the
 *                last CONN_END.
 *      side      which end is meant, MOS_SIDE_CLI or MOS_SIDE_SVR. A buffer, a stream or a state
 *                "of a side" is that of the end which RECEIVES: the client's request lies in the
 *                buffer of MOS_SIDE_SVR.
 *      offset    place in a stream, 64 bits: 0 is the first byte after the SYN. Bytes that were
 *                never seen (a gap) count.
 *      batch     up to 64 packets that are worked off together
 *
 * A PACKET'S WAY (API semantics 3.1)
 *      1  the sender's state moves, then its events at hook MOS_HK_SND; here a packet may be
 *         changed or dropped, and the receiver's stream gets what is left
 *      2  the receiver's state moves and the stream takes the bytes; MOS_ON_REXMIT and
 *         MOS_ON_OVERLAP before they are merged; then its events at hook MOS_HK_RCV
 *      3  the packet leaves (or not)
 *      at the end of the batch, hook MOS_NULL: MOS_ON_GAP, MOS_ON_CONN_NEW_DATA; MOS_ON_CONN_END of
 *      what has ended; timers.
 *      Within one hook, events go in this order: PKT_IN, CONN_START, TCP_STATE_CHANGE, REXMIT,
 *      OVERLAP, ERROR, GAP, CONN_NEW_DATA, TIMEOUT, EVICT, CONN_END; under each the callback on the
 *      event itself, then user-defined events in the order of their registration, depth first
 *      (contract 3).
 *
 * THREADS. [any], [setup] and [callback] mean what <mtcp_api.h> says; so does what it says of
 * errors.
 *
 * OWNERSHIP. What the library hands out (packet headers, iovecs, filter_arg_t) is to be read only,
 * and only until the callback returns. What the program hands in is copied before the call
 * returns, unless its declaration says otherwise; a user context belongs to the program for good.
 */
#ifndef MOS_API_H
#define MOS_API_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <linux/if_ether.h>
#include <linux/tcp.h> /* struct tcphdr; <netinet/tcp.h> numbers the TCP states otherwise */
#include <mtcp_api.h>
#include <mtcp_epoll.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- Basic types ---------------------------------------------------------------------------- */

typedef unsigned char byte;
typedef uint64_t event_t; /* a built-in event (one bit) or the id of a user-defined one */

#ifndef SOCKET_MAP_DECLARED
#define SOCKET_MAP_DECLARED
typedef struct socket_map *socket_map_t; /* private to the library */
#endif

/* A user-defined event's argument, copied when the event was defined; {NULL, 0} if it has none. */
typedef struct filter_arg {
    void *arg;
    size_t len; /* bytes at arg */
} filter_arg_t;

/*
 * callback_t: told of an event.
 *
 * => sock: the child; for MOS_ON_ORPHAN the listener; for raw packets the raw socket; for a timer
 *    its id.
 * => side: at MOS_HK_SND the sender, at MOS_HK_RCV the receiver, for data the side whose buffer
 *    has it, else MOS_SIDE_BOTH (0 for a timer).
 * => event: what it was registered for, a user-defined event's own id too.
 * => arg: never NULL in an event; NULL in a timer.
 */
typedef void (*callback_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/* filter_t: decides if a user-defined event has happened. Arguments as in callback_t. */
typedef bool (*filter_t)(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg);

/* The older forms of both, without the argument. They are taken wherever the above are. */
typedef void (*callback4_t)(mctx_t mctx, int sock, int side, event_t event);
typedef bool (*filter4_t)(mctx_t mctx, int sock, int side, event_t event);

/* ---- Sides, hooks, events ------------------------------------------------------------------- */

#define MOS_SIDE_CLI  0 /* who sent the SYN */
#define MOS_SIDE_SVR  1
#define MOS_SIDE_BOTH 2

#define MOS_NULL   (1 << 29)         /* outside a packet, as a rule at the end of the batch */
#define MOS_HK_RCV (1 << 30)         /* a packet reaches its receiver */
#define MOS_HK_SND (-0x7fffffff - 1) /* a packet leaves its sender; 1 << 31 without overflow */

/*
 * Built-in events: when, at which hooks, for which side. "Packet": mtcp_getlastpkt has one.
 * Ids of user-defined events are consecutive numbers from 0x1000, not bits. (API semantics 3.2,
 * contract 2 and 3)
 */
#define MOS_NULL_EVENT 0x0 /* no event; what a failed mtcp_define_event returns */

/* Every packet of a connection. SND (sender), RCV (receiver); NULL on raw sockets. Packet. */
#define MOS_ON_PKT_IN 0x1
/* May be registered; never raised. */
#define MOS_ON_PKT_OUT 0x2
/* First SYN: SND, client. Server enters SYN_RCVD: RCV, server. Once each. Packet. */
#define MOS_ON_CONN_START 0x4
/* May be registered; never raised. */
#define MOS_ON_CONN_SETUP 0x8
/* Bytes became readable; receiver. NULL: once a batch and side, no packet. RCV: at once, packet. */
#define MOS_ON_CONN_NEW_DATA 0x10
/* Bytes were refused, or unread ones are about to be lost. NULL, receiver. Packet. */
#define MOS_ON_ERROR 0x20
/*
 * Nothing was seen for the idle time: once per idle period, before the connection is ended for it.
 * NULL, side BOTH, no packet. setsockopt MOS_FLOW_TIMEOUT in the callback prolongs its life.
 */
#define MOS_ON_TIMEOUT 0x40
/* A side's state changed. SND (sender), RCV (receiver). Packet, except at the very end. */
#define MOS_ON_TCP_STATE_CHANGE 0x80
/* TCP packet of no known connection, or a SYN no filter took. NULL, listener, side BOTH. Packet. */
#define MOS_ON_ORPHAN 0x100
/*
 * Bytes (or SYN, FIN) seen before come again; raised before they are merged. RCV, receiver. Packet.
 * MOS_REXMIT_INFO has the details.
 */
#define MOS_ON_REXMIT 0x200
/*
 * The connection is over: once for each side, at SND and at RCV. Both sides' streams can still be
 * read, and MOS_FLOW_INFO has the reason. No packet.
 */
#define MOS_ON_CONN_END 0x400
/* May be registered; never raised. */
#define MOS_ON_DEBUG_MESSAGE 0x800
/*
 * Bytes of a stream are given up, never seen or for want of memory; receiver. NULL: at the end of the batch, no packet.
 * RCV: at once, with the packet that caused it, or none if a timer did. One event for each gap,
 * ascending; but what the capture cut off, or found no memory (readable bytes too, behind the batch),
 * is told when it is lost, wherever it lies. MOS_GAP_INFO has place and cause.
 */
#define MOS_ON_GAP (UINT64_C(1) << 32)
/*
 * Payload arrived for a place whose bytes are still held: the overlap policy has to choose. Or a
 * packet came as IP fragments of which two copies of its payload differ: it has chosen. RCV,
 * receiver. Packet. MOS_OVERLAP_INFO has place and outcome.
 */
#define MOS_ON_OVERLAP (UINT64_C(1) << 33)
/*
 * The connection will be forgotten to make room. NULL, side BOTH, no packet; CONN_END follows. On a
 * raw socket: a datagram was given up to make room before all its fragments had come.
 */
#define MOS_ON_EVICT (UINT64_C(1) << 34)

/* TCP states, in this order and not in Linux' (RFC 9293 3.3.2). */
enum tcpstate {
    TCP_CLOSED = 0,
    TCP_LISTEN = 1,
    TCP_SYN_SENT = 2,
    TCP_SYN_RCVD = 3,
    TCP_ESTABLISHED = 4,
    TCP_FIN_WAIT_1 = 5,
    TCP_FIN_WAIT_2 = 6,
    TCP_CLOSE_WAIT = 7,
    TCP_CLOSING = 8,
    TCP_LAST_ACK = 9,
    TCP_TIME_WAIT = 10
};

/* ---- Filters and callbacks ------------------------------------------------------------------ */

/*
 * union monitor_filter: which packets a socket is for, as pcap-filter(7) expressions; NULL means
 * all.
 *
 * => raw_pkt_filter: raw sockets, orphans included; seen on the frame as captured.
 * => stream_syn_filter: which SYNs begin a connection of this listener. stream_orphan_filter:
 *    which packets without connection it is told of. Both are seen on the innermost IP datagram,
 *    whole and before any change, so tags and tunnels do not matter (contract 4).
 * => The strings stay the program's; they are copied by mtcp_bind_monitor_filter.
 */
#ifdef __cplusplus
#define MOS_FILTER_CHAR_ const char /* a string literal is const in C++ */
#else
#define MOS_FILTER_CHAR_ char
#endif
union monitor_filter {
    MOS_FILTER_CHAR_ *raw_pkt_filter;
    __extension__ struct {
        MOS_FILTER_CHAR_ *stream_syn_filter;
        MOS_FILTER_CHAR_ *stream_orphan_filter;
    };
};
typedef union monitor_filter *monitor_filter_t;
typedef union monitor_filter monitor_filter; /* the older, plain type name */

/*
 * mtcp_bind_monitor_filter: give a listener or raw socket its filter, in place of the one before.
 * [setup]
 *
 * => Holds for connections that begin later. cat NULL: 0, and nothing changes.
 * => 0; -1 with EBADF, ENOPROTOOPT (neither listener nor raw socket), EINVAL (an expression is
 *    refused; mtcp_errstr has the words), ENOMEM. (API semantics 1.5)
 */
int mtcp_bind_monitor_filter(mctx_t mctx, int sock, monitor_filter_t cat);

/*
 * mtcp_register_callback: have cb called for an event at a hook; cb NULL takes it away again.
 * [setup]
 *
 * => sock: listener (a template for connections that begin later), child (this connection only) or
 *    raw.
 * => One function for each (socket, event, hook): registering again puts the new function in its
 *    place. Taking away what is not there is no error.
 * => In a callback: an added function waits for the next event, one taken away or replaced does
 *    not run any more, not even for the packet at hand. MOS_HK_RCV registered at MOS_HK_SND holds
 *    for the same packet's RCV (contract 3).
 * => Hooks: NEW_DATA and GAP: NULL or RCV. ORPHAN, ERROR, TIMEOUT, EVICT: NULL. CONN_START,
 *    REXMIT (never comes at SND), TCP_STATE_CHANGE, CONN_END: SND or RCV. OVERLAP: RCV. PKT_IN:
 *    SND or RCV, NULL on raw sockets (on others it is taken and never comes). Raw sockets have
 *    PKT_IN, ORPHAN and EVICT at NULL, nothing else. A user-defined event: as the built-in one at its root.
 * => 0; -1 with EBADF, EINVAL (unknown event, hook not for it or for this kind of socket), ENOMEM.
 * => The older form, with a callback4_t, is the same call. (API semantics 1.5)
 */
int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook, callback_t cb);
int mtcp_register_callback4(mctx_t mctx, int sock, event_t event, int hook, callback4_t cb);

/* ---- User-defined events -------------------------------------------------------------------- */

/*
 * mtcp_define_event: a new event: `event` happened, and `filter` says yes.
 * [any, before contexts too]
 *
 * => event: built-in or user-defined; so filters nest, and run only beneath a filter that said
 *    yes.
 * => filter runs once for each `event`, right before the callbacks at or beneath it, and only if
 *    there is one. It may call whatever a callback may.
 * => arg: arg->len bytes at arg->arg are copied now and given to filter and callback each time;
 *    NULL for none. The same (event, filter, bytes) again gives the same id.
 * => Events belong to the process and stay until it ends.
 * => The id; MOS_NULL_EVENT with EINVAL (unknown event, filter NULL), ENOMEM.
 * => The older forms leave out arg, or take a filter4_t, or both. (API semantics 1.6 and 4)
 */
event_t mtcp_define_event(event_t event, filter_t filter, struct filter_arg *arg);
event_t mtcp_define_event2(event_t event, filter4_t filter);
event_t mtcp_define_event4(event_t event, filter4_t filter, struct filter_arg *arg);

/*
 * mtcp_alloc_event: a new event beneath `event` that has no filter: it happens when the program
 * says so. [any, before contexts too]
 *
 * => Each call gives another id. MOS_NULL_EVENT with EINVAL (unknown event), ENOMEM.
 */
event_t mtcp_alloc_event(event_t event);

/*
 * mtcp_raise_event: raise such an event, now, for the connection and side at hand. [callback]
 *
 * => Its callbacks, and events beneath it, run before the call returns. A user-defined event with
 *    a filter may be raised too: its filter decides. Events from mtcp_alloc_event beneath it do not
 *    run with it: each is raised for itself.
 * => Only what was registered when the event at hand began can be raised.
 * => 0; -1 with EINVAL (not a user-defined event), EPERM (no event is running), ENOENT (nobody
 *    registered it here), ELOOP (16 deep).
 */
int mtcp_raise_event(mctx_t mctx, event_t event);

/* ---- User context --------------------------------------------------------------------------- */

/*
 * mtcp_set_uctx, mtcp_get_uctx: one pointer for each socket. [callback]
 *
 * => A child's is NULL at first (not the listener's) and shared by both sides. The library never
 *    looks at it and never frees it: do so in the last CONN_END.
 * => get: the pointer; NULL with EPERM (wrong thread) or EBADF. set: nothing happens in these
 *    cases. errno tells a NULL that was set from an error only if it was 0 before. (API semantics
 *    1.7)
 */
void mtcp_set_uctx(mctx_t mctx, int sock, void *uctx);
void *mtcp_get_uctx(mctx_t mctx, int sock);

/* ---- Stream data ---------------------------------------------------------------------------- */

/*
 * mtcp_peek: copy the next unread in-order bytes of a side's stream. [callback]
 *
 * => sock: child. side: whose receive buffer, MOS_SIDE_CLI or MOS_SIDE_SVR. At most len bytes go
 *    to buf.
 * => The child's read offset for this side moves behind them. All callbacks and filters of the
 *    child share it; another listener's child has its own.
 * => n > 0: that many bytes, never from both sides of a gap. 0: nothing unread.
 * => -L with ENODATA: L bytes at the read offset will never come (lost by the capture, or
 *    overrun); said once, and the offset is moved behind them. A loop is
 *        while ((n = mtcp_peek(m, sock, side, buf, sizeof(buf))) != 0) {
 *            if (n < 0 && errno != ENODATA)
 *                break;
 *            ...
 *        }
 * => -1 with another errno: EBADF (no child), EINVAL (side; buffer switched off; buf NULL).
 * => The first call for a side makes the child want its bytes; without that, or a callback on
 *    data, or a buffer size, nothing is kept (contract 1).
 */
ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len);

/*
 * mtcp_ppeek: copy bytes at a given offset; no read offset moves. [callback]
 *
 * => off: stream offset. May be out of order, or read already and retained (contract 1). Stops at
 *    the end of the contiguous piece that holds off.
 * => n > 0; -1 with ENODATA (off is not held), EBADF, EINVAL (as mtcp_peek). (API semantics 1.8)
 */
ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t count, uint64_t off);

/*
 * mtcp_peekv, mtcp_ppeekv: the same without copying. [callback]
 *
 * => *cnt: entries at iov on the way in, entries filled on the way out (0 with a return below 1).
 * => The pieces lie in the packets or in the connection's storage: read them only, and only until
 *    the callback returns. mtcp_peekv has consumed exactly what it returned.
 * => Returns and errors as mtcp_peek and mtcp_ppeek (EBADF, EINVAL, ENODATA); EINVAL also for iov
 *    or cnt NULL, *cnt below 1. (contract 2)
 */
ssize_t mtcp_peekv(mctx_t mctx, int sock, int side, struct iovec *iov, int *cnt);
ssize_t mtcp_ppeekv(mctx_t mctx, int sock, int side, struct iovec *iov, int *cnt, uint64_t off);

/*
 * mtcp_getpeername: the addresses of a connection, as they were in its first packet. [callback]
 *
 * => side MOS_SIDE_CLI or MOS_SIDE_SVR: that end's, one address. MOS_SIDE_BOTH: two next to each
 *    other, [0] the client, [1] the server. Changes made to packets (NAT) do not show.
 * => IPv4: struct sockaddr_in; *addrlen is 16, or 32 for both. IPv6: struct sockaddr_in6 (28, or
 *    56). With room for struct sockaddr_storage (128, or 256) the elements are sockaddr_storage
 *    and either family fits. On return *addrlen is the number of bytes written.
 * => The older form without side is MOS_SIDE_BOTH where there is room for two, else MOS_SIDE_SVR.
 * => 0; -1 with EBADF, ENOTCONN (not a child), EINVAL (side, length, NULL). (API semantics 1.8,
 *    contract 4)
 */
int mtcp_getpeername(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen, int side);
int mtcp_getpeername4(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen);

/* ---- Packets -------------------------------------------------------------------------------- */

/*
 * struct pkt_info: the packet at hand. Numbers are in host byte order, the headers as on the wire.
 *
 * => The first 72 bytes never change place; fields may be added at the end.
 * => Header pointers are NULL where the packet has no such header, and are not aligned for more
 *    than their members need.
 */
struct pkt_info {
    uint32_t cur_ts;     /* ms, wraps; ts_ns has it whole */
    int8_t in_ifidx;     /* device it came in by: 0 is the first row of netdev */
    uint16_t eth_len;    /* bytes of the frame on the wire; 65535 if more */
    uint16_t ip_len;     /* bytes of the IP datagram; 65535 if more */
    uint64_t offset;     /* stream offset of payload[0] at its receiver */
    uint16_t payloadlen; /* bytes at payload: only what was captured, no Ethernet padding */
    uint32_t seq;
    uint32_t ack_seq;
    uint16_t window; /* as on the wire, not scaled */
    struct ethhdr *ethh;
    struct iphdr *iph; /* innermost; NULL for IPv6 */
    struct tcphdr *tcph;
    uint8_t *payload;

    struct ip6_hdr *ip6h; /* innermost; NULL for IPv4 */
    uint64_t ts_ns;       /* capture time, ns since 1970 */
    uint8_t l4proto;      /* IPPROTO_ of what follows the IP header and its extensions */
    uint8_t frag;         /* 0 whole, 1 first fragment, 2 later one, 3 put together from them */
    uint32_t len32;       /* bytes of the IP datagram, captured or not; frag 3: of its fragments */
};
#define PKT_INFO_LEN                  (offsetof(struct pkt_info, ethh))
#define MTCP_CB_GETCURPKT_CREATE_COPY /* mtcp_getlastpkt copies the numbers, as it always did */

/* A packet with its way through the machine. No call takes one; kept for old programs. */
struct pkt_ctx {
    struct pkt_info p;
    int8_t direction;
    uint8_t forward;
    int8_t out_ifidx;
    int8_t batch_index;
};

/*
 * mtcp_getlastpkt: the packet that caused the event at hand, with all changes made so far.
 * [callback]
 *
 * => The numbers are copied to *pinfo; the headers and payload it points to are read-only and
 *    valid until the callback returns. sock: any socket of the context; side is not looked at.
 * => After stream edits: at MOS_HK_SND the sender's sequence numbers, at MOS_HK_RCV the
 *    receiver's.
 * => 0; -1 with EBADF, EINVAL (pinfo NULL), EACCES (no packet at hand: NEW_DATA at NULL, CONN_END,
 *    TIMEOUT, EVICT, timers). (API semantics 7)
 */
int mtcp_getlastpkt(mctx_t mctx, int sock, int side, struct pkt_info *pinfo);

/*
 * mtcp_setlastpkt: change, drop or hold back that packet. [callback]
 *
 * => option: exactly one of
 *      MOS_DROP       do not forward it; the receiver is emulated as if it had come
 *      MOS_OVERWRITE  put len bytes at offset; the size stays
 *      MOS_CHOMP      take len bytes out at offset (data is not looked at); payload, SND only
 *      MOS_INSERT     put len bytes in before offset; payload, SND only
 *      MOS_HOLD       forward only the first `offset` payload bytes now; the rest goes before the
 *                     next segment, at FIN or after 50 ms; SND only
 *    and, except for DROP and HOLD, exactly one of MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR and
 *    MOS_TCP_PAYLOAD: where offset is counted from, in bytes.
 * => MOS_UPDATE_IP_CHKSUM, MOS_UPDATE_TCP_CHKSUM: move the checksum along afterwards, for all
 *    changes so far (RFC 1624): one that was wrong stays wrong. Without them it stays as it is.
 * => Done at SND, the receiver's stream gets the changed bytes; at RCV only the wire does.
 *    Sequence numbers after CHOMP and INSERT are translated for the rest of the connection, and
 *    what is sent again is changed to the same bytes (contract 6): from the first CHOMP, INSERT or
 *    HOLD of a direction on a repetition is shown without its payload, for its headers' sake. Bytes
 *    in front of that first change are shown whenever they come, and can only be overwritten.
 * => EAGAIN: that first change was asked for behind a hole: the segment waits, and is shown again
 *    in its turn.
 * => sock: child (or raw socket). side is not looked at. data stays the program's.
 * => 0; -1 with EBADF, EAGAIN (not exactly one action; or it waits, as above), EINVAL (no region, outside
 *    of it, data NULL, HOLD of bytes that were changed), EACCES (no packet at hand), ENODATA (no such header),
 *    EOPNOTSUPP (length change at RCV, or not offered for this packet: one that came as fragments
 *    can only be dropped), EPERM (wrong thread; or the connection forbids edits: TCP-AO, TCP-MD5),
 *    ENOBUFS (more than 32,768 bytes would be held, or no memory for what was changed).
 */
int mtcp_setlastpkt(mctx_t mctx, int sock, int side, off_t offset, byte *data, uint16_t len,
                    int option);

#define MOS_ETH_HDR           0x001
#define MOS_IP_HDR            0x002
#define MOS_TCP_HDR           0x004
#define MOS_TCP_PAYLOAD       0x008
#define MOS_UPDATE_IP_CHKSUM  0x010
#define MOS_UPDATE_TCP_CHKSUM 0x020
#define MOS_DROP              0x040
#define MOS_OVERWRITE         0x080
#define MOS_CHOMP             0x100
#define MOS_INSERT            0x200
#define MOS_HOLD              0x400

/*
 * mtcp_sendpkt: build a TCP segment and send it. [callback]
 *
 * => Addresses and ports from pkt->iph (or ip6h) and pkt->tcph, in network order as in a packet;
 *    seq, ack_seq, window, payload and payloadlen from the fields, host order. The flag is ACK;
 *    TTL 64; checksums are filled in.
 * => It leaves by the device's output and is not shown to the emulated ends.
 * => 0; -1 with EINVAL (pkt NULL), EBADF (sock is no child), ENODATA (a header is missing),
 *    EMSGSIZE (does not fit one segment), ENOBUFS. (API semantics 1.10)
 */
int mtcp_sendpkt(mctx_t mctx, int sock, const struct pkt_info *pkt);

/*
 * mtcp_reset_conn: end a connection with a RST to both of its ends. [callback]
 *
 * => The RSTs take the sequence numbers each end expects and leave by the device's output. The
 *    connection ends as if they had passed by: reason MOS_END_RST, CONN_END at the end of the
 *    batch.
 * => At MOS_HK_SND of the first SYN the server knows of nothing yet: the SYN is dropped, and the
 *    RST goes to the client alone, as from a closed port.
 * => 0; -1 with EBADF, ENOTCONN (not a child), ENOBUFS. If only one RST could not leave, the
 *    connection ends all the same. (contract 2)
 */
int mtcp_reset_conn(mctx_t mctx, int sock);

/* ---- Time ----------------------------------------------------------------------------------- */

/*
 * mtcp_settimer: call cb once, timeout from now. [any, of a running context too]
 *
 * => id: any number; cb gets it as `sock`, with side 0, event 0, arg NULL. Arming one id several
 *    times gives several timers. Timers due together run in the order they were armed.
 * => Time is packet time: in a capture it moves with the packets. Timers run at the end of a
 *    batch. cb may arm it again. At the end of the input timers not yet due are dropped.
 * => timeout is copied. A callback4_t is taken as well.
 * => 0; -1 with EINVAL (timeout or cb NULL, negative time), ENOMEM. (API semantics 9)
 */
int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb);
int mtcp_settimer4(mctx_t mctx, int id, struct timeval *timeout, callback4_t cb);

/*
 * mtcp_canceltimer: take back every timer armed with this id that has not run. [as settimer]
 *
 * => How many there were, 0 or more; -1 on error. (contract 2)
 */
int mtcp_canceltimer(mctx_t mctx, int id);

/*
 * mtcp_cb_get_ts: the context's clock in microseconds, modulo 2^32 (71.6 minutes). [callback]
 *
 * => That of the newest packet seen, or of the timer. 0 on error.
 */
uint32_t mtcp_cb_get_ts(mctx_t mctx);

/* ---- Options -------------------------------------------------------------------------------- */

/*
 * Names for mtcp_getsockopt and mtcp_setsockopt at level SOL_MONSOCKET. C: on a child, L: on a
 * listener; behind it what optval points to. CLIBUF, and a stream or state of CLI, is what the
 * client receives; SVR the same for the server.
 *
 *    asked
 *      MOS_INFO_CLIBUF, _SVRBUF       C  struct tcp_buf_info; ENODATA without a buffer
 *      MOS_FRAGINFO_CLIBUF, _SVRBUF   C  struct tcp_ring_fragment[]: the pieces held, ascending
 *      MOS_TCP_STATE_CLI, _SVR        C  int, enum tcpstate; ENODATA if it does not exist yet (the
 *                                        server's, at MOS_HK_SND of the first SYN)
 *      MOS_TIMESTAMP                  C  uint64_t (or uint32_t): us, last packet of the connection
 *      MOS_FLOW_INFO                  C  struct mos_flow_info
 *      MOS_REXMIT_INFO                C  struct mos_rexmit_info; ENODATA outside of MOS_ON_REXMIT
 *      MOS_GAP_INFO                   C  struct mos_gap_info; ENODATA outside of MOS_ON_GAP
 *      MOS_OVERLAP_INFO               C  struct mos_overlap_info; ENODATA outside of MOS_ON_OVERLAP
 *      MOS_READ_OFF_CLI, _SVR         C  uint64_t: stream offset of the child's next mtcp_peek
 *      MOS_PEEK_END_CLI, _SVR         C  uint64_t: stream offset behind the last byte it can get
 *      MOS_STATS                      L  struct mos_stat[]: counters of the context
 *    told
 *      MOS_CLIBUF, MOS_SVRBUF       L C  int: 0 switches the buffer off, on a child for good; n > 0
 *                                        is its size in bytes, and makes the child want the bytes
 *      MOS_FRAG_CLIBUF, _SVRBUF     L C  int: 0 keeps track of pieces but not of their bytes
 *      MOS_CLIOVERLAP, _SVROVERLAP  L C  int: MOS_OVERLAP_POLICY_
 *      MOS_STOP_MON                 L C  int, a side: no more callbacks for it
 *      MOS_FLOW_TIMEOUT             L C  int: ms without a packet until it is ended; -1 never
 *      MOS_MIDSTREAM                L    int: 1 takes up connections whose beginning was not seen;
 *                                        0, as at first, gives their packets to MOS_ON_ORPHAN
 *      MOS_STRICT                   L    int: 0 forgives packets that the capture lost, 1 does not
 *      MOS_CSUM                     L    int: MOS_CSUM_OFF, ON or AUTO
 *      MOS_STATS                    L    int: 0 keeps no counters; 1 at first
 *    neither
 *      MOS_SEQ_REMAP                     ENOSYS: the library does it by itself
 *
 * => Set on a listener: for connections that begin later. Set on a child: for this one, at once.
 * => MOS_STOP_MON of both sides in a SND callback of the first packet, which is also dropped (or
 *    answered by mtcp_reset_conn): there was no connection, and its next SYN is asked anew.
 * => MOS_STRICT, MOS_MIDSTREAM, MOS_CSUM: two listeners that take the same SYN share the first's.
 * => Values 1 to 0x10: API semantics 1.2 and 1.9. From 0x20: contract 2.
 */
#define MOS_FRAGINFO_CLIBUF 0x01
#define MOS_FRAGINFO_SVRBUF 0x02
#define MOS_INFO_CLIBUF     0x03
#define MOS_INFO_SVRBUF     0x04
#define MOS_TCP_STATE_CLI   0x05
#define MOS_TCP_STATE_SVR   0x06
#define MOS_TIMESTAMP       0x07
#define MOS_CLIBUF          0x09
#define MOS_SVRBUF          0x0a
#define MOS_SEQ_REMAP       0x0b
#define MOS_STOP_MON        0x0c
#define MOS_FRAG_CLIBUF     0x0d
#define MOS_FRAG_SVRBUF     0x0e
#define MOS_CLIOVERLAP      0x0f
#define MOS_SVROVERLAP      0x10

#define MOS_FLOW_INFO    0x20
#define MOS_REXMIT_INFO  0x21
#define MOS_GAP_INFO     0x22
#define MOS_OVERLAP_INFO 0x23
#define MOS_READ_OFF_CLI 0x24
#define MOS_READ_OFF_SVR 0x25
#define MOS_PEEK_END_CLI 0x26
#define MOS_PEEK_END_SVR 0x27

#define MOS_FLOW_TIMEOUT 0x30
#define MOS_MIDSTREAM    0x31
#define MOS_STRICT       0x32
#define MOS_CSUM         0x33
#define MOS_STATS        0x34

/*
 * MOS_CLIOVERLAP, MOS_SVROVERLAP: which copy of a byte stays when two differ, for TCP segments and
 * for the fragments of IP datagrams towards that side. From BSD on: as that kind of host does; what
 * a host has handed to its program (in order) is never rewritten. At first the configuration's
 * `overlap`; of several listeners that match the first that was told any. On a child it holds for
 * the connection, from then on.
 */
#define MOS_OVERLAP_POLICY_FIRST     0 /* the one held already; the default */
#define MOS_OVERLAP_POLICY_LAST      1 /* the one that comes later */
#define MOS_OVERLAP_POLICY_BSD       2 /* the BSDs, macOS, AIX */
#define MOS_OVERLAP_POLICY_BSD_RIGHT 3 /* as BSD, the later one where they are level (printers) */
#define MOS_OVERLAP_POLICY_LINUX     4 /* Linux since 4.9 */
#define MOS_OVERLAP_POLICY_OLD_LINUX 5 /* Linux 2.2 and before */
#define MOS_OVERLAP_POLICY_WINDOWS   6 /* to 2003; later ones: FIRST */
#define MOS_OVERLAP_POLICY_SOLARIS   7 /* and HP-UX 11 */
#define MOS_OVERLAP_CNT              2 /* as in mOS: FIRST and LAST */
#define MOS_OVERLAP_POLICIES         8

/* MOS_CSUM: what a wrong TCP checksum means. */
#define MOS_CSUM_OFF  0 /* nothing: checksums are not looked at */
#define MOS_CSUM_ON   1 /* the segment is refused and counted */
#define MOS_CSUM_AUTO 2 /* as ON once that side has sent a right one; as OFF before */

/*
 * MOS_INFO_CLIBUF, MOS_INFO_SVRBUF: init_seq is a sequence number, that of stream offset 0; the
 * others are stream offsets, cut to 32 bits. MOS_READ_OFF_ and MOS_PEEK_END_ have them whole.
 */
struct tcp_buf_info {
    uint32_t tcpbi_init_seq;
    uint32_t tcpbi_last_byte_read;
    uint32_t tcpbi_next_byte_expected;
    uint32_t tcpbi_last_byte_received;
};

/*
 * MOS_FRAGINFO_: a contiguous piece that is held. *optlen is in bytes, a multiple of 16. If there
 * is room an element with len 0 follows the last.
 */
struct tcp_ring_fragment {
    uint64_t offset;
    uint32_t len;
};

/* Not used; the name is kept for old programs. */
struct seq_remap_info {
    int64_t seq_off;
    int side;
    uint32_t base_seq;
};

/* mos_flow_info.reason: why a connection ended; 0 while it lives. */
#define MOS_END_FIN       1 /* both ends closed it */
#define MOS_END_RST       2
#define MOS_END_TIMEOUT   3 /* nothing seen for the idle time */
#define MOS_END_EVICTED   4 /* forgotten to make room */
#define MOS_END_EOF       5 /* the input ended */
#define MOS_END_REUSE     6 /* a new SYN with the same addresses and ports */
#define MOS_END_STOPPED   7 /* the program did not want it any more */
#define MOS_END_COLLISION 8 /* after NAT, another live connection had its addresses and ports */

/* mos_flow_info.flags */
#define MOS_FLOWF_MIDSTREAM 0x1 /* taken up after its beginning */
#define MOS_FLOWF_EVICTED   0x2 /* some of its bytes or all of it were given up to make room */
#define MOS_FLOWF_OFFLOAD   0x4 /* a side's checksums were never right and were not looked at */
#define MOS_FLOWF_IPV6      0x8

#define MOS_FLOW_VLANS 4 /* tags remembered */

/* What one side has SENT. Bytes and packets are counted as seen, before any change. */
struct mos_flow_dir {
    uint64_t packets;
    uint64_t ip_bytes;       /* IP headers included; padding and link header not */
    uint64_t payload_bytes;  /* TCP payload, repeated bytes each time */
    uint64_t stream_bytes;   /* delivered in order, each once; without gap_bytes */
    uint64_t gap_bytes;      /* given up as never seen, or for want of memory */
    uint64_t rexmit_packets; /* with bytes, SYN or FIN seen before */
    uint64_t rexmit_bytes;   /* payload seen before */
    uint64_t ooo_packets;    /* came before a byte that precedes them */
    uint64_t late_bytes;     /* came after their place was given up */
};

/*
 * MOS_FLOW_INFO: all that is known of a connection, from its first packet to its last CONN_END
 * callback.
 *
 * => Versioned by size: *optlen in is the size of the caller's struct (24 at least, else EINVAL);
 *    as much as both know is filled, the rest zeroed; *optlen out is how much the library knows.
 *    Fields are only ever added at the end.
 */
struct mos_flow_info {
    uint64_t start_ns;          /* first packet, ns since 1970 */
    uint64_t last_ns;           /* newest packet */
    uint32_t reason;            /* MOS_END_ */
    uint32_t flags;             /* MOS_FLOWF_ */
    struct mos_flow_dir dir[2]; /* [MOS_SIDE_CLI] what the client sent, [MOS_SIDE_SVR] the server */
    uint8_t state[2];           /* enum tcpstate of each side; in CONN_END the last before CLOSED */
    uint16_t nvlan;             /* tags of the first packet, outermost first; 4 at most */
    uint16_t vlan[MOS_FLOW_VLANS]; /* 12-bit VLAN ids */
    uint32_t reserved;             /* 0 */
    /* [side that sent them] */
    uint32_t rexmit_kind[2][8];  /* repetitions by MOS_REXMIT_ kind; [0] is not used */
    uint64_t changed_packets[2]; /* repetitions whose bytes differ from the copy held */
    uint64_t changed_bytes[2];   /* bytes that differ */
};

/* mos_rexmit_info.kind: what a repetition was for. */
#define MOS_REXMIT_LOST      1 /* the receiver had not acknowledged it: presumably it was lost */
#define MOS_REXMIT_SPURIOUS  2 /* the receiver had acknowledged it already */
#define MOS_REXMIT_KEEPALIVE 3 /* idle; one byte or none, just below what is expected next */
#define MOS_REXMIT_PROBE     4 /* into a closed window */
#define MOS_REXMIT_PARTIAL   5 /* some bytes again, some new */
#define MOS_REXMIT_SYN       6
#define MOS_REXMIT_FIN       7

/* mos_rexmit_info.content, mos_overlap_info.content: the new copy against the one held. */
#define MOS_REXMIT_SAME    0
#define MOS_REXMIT_CHANGED 1
#define MOS_REXMIT_UNKNOWN 2 /* the first copy is gone, at least in part; the rest is the same */

/*
 * MOS_REXMIT_INFO, in an event rooted in MOS_ON_REXMIT.
 * => Of a packet that came as fragments (pkt_info.frag 3) content is CHANGED also if they brought
 *    copies of one another's bytes that differ.
 * => Versioned by size, as MOS_FLOW_INFO is: the first 24 bytes at least.
 */
struct mos_rexmit_info {
    uint64_t off;     /* stream offset of the first repeated byte */
    uint32_t len;     /* repeated bytes */
    uint32_t new_len; /* bytes of the segment that were not seen before */
    int32_t kind;     /* MOS_REXMIT_LOST .. MOS_REXMIT_FIN */
    int32_t content;  /* MOS_REXMIT_SAME, CHANGED, UNKNOWN */
    /* IP bytes of the packet, or of all its fragments, without IP options and IPv6 extension headers
     * (a fragment header is none); pkt_info.len32 has them in */
    uint32_t plain_len;
    uint32_t reserved; /* 0 */
};

/* mos_gap_info.cause: why bytes were given up (contract 1). */
#define MOS_GAP_ACKED   1 /* the receiver has acknowledged them, and the time of grace is over */
#define MOS_GAP_LIMIT   2 /* too many bytes wait behind them, or there was no memory for them */
#define MOS_GAP_TIMEOUT 3 /* gap_timeout of packet time has passed */
#define MOS_GAP_END     4 /* the connection ended */
#define MOS_GAP_SNAPLEN 5 /* the packet was there but the capture cut it short */

/* MOS_GAP_INFO, in an event rooted in MOS_ON_GAP. */
struct mos_gap_info {
    uint64_t off; /* stream offset of the first byte given up */
    uint64_t len; /* bytes */
    int32_t side; /* whose stream: the receiver that, as seen here, never got them */
    int32_t cause;
};

/*
 * MOS_OVERLAP_INFO, in an event rooted in MOS_ON_OVERLAP: two copies of some bytes. The one held is
 * read with mtcp_ppeek at off, the one that has come with mtcp_getlastpkt: its payload begins at
 * seg_off.
 * => Of a packet that came as fragments (pkt_info.frag 3) whose copies differ: content is CHANGED,
 *    changed_off, changed_len and differ are of those copies too, and differ counts the bytes of each
 *    copy but the first: it may be more than changed_len. What the packet has is the one chosen; of
 *    the others the beginning is at copy. If it repeats nothing that is held off and len are those of
 *    the change, and taken is 0. Copies may differ in headers alone (TCP options, IPv6 extension
 *    headers): changed_len is 0 then.
 * => Versioned by size, as MOS_FLOW_INFO is: the first 56 bytes at least.
 */
#define MOS_OVERLAP_COPY 16
struct mos_overlap_info {
    uint64_t off;         /* stream offset of the first byte that was held already */
    uint32_t len;         /* bytes */
    int32_t side;         /* whose stream: the receiver's */
    int32_t policy;       /* MOS_OVERLAP_POLICY_ that decides */
    int32_t content;      /* MOS_REXMIT_SAME, CHANGED or UNKNOWN: do the copies differ */
    uint64_t seg_off;     /* stream offset of the first byte of the packet's payload */
    uint32_t seg_len;     /* bytes of payload; those below stream offset 0 are left out */
    uint32_t changed_len; /* from the first byte that differs to the last; 0: none does */
    uint64_t changed_off; /* stream offset of the first byte that differs */
    uint32_t differ;      /* bytes that differ, of those that are held and were captured */
    uint32_t taken;       /* bytes of the packet's copy that will replace those held */
    uint32_t ncopy;       /* bytes at copy; 0: none differs */
    uint32_t reserved;    /* 0 */
    /* from changed_off, or from the first byte of a header that differs: the first copy, the other */
    uint8_t copy[2][MOS_OVERLAP_COPY];
};

/*
 * MOS_STATS, get on a listener: an array of the context's counters, by name. Each is a total since
 * the context began, or what is there at present if its name ends in "_now".
 *
 * => *optlen in: bytes at optval, a multiple of 40; out: bytes written. With optval NULL: bytes
 *    needed.
 * => May also be asked for, by any thread, after mtcp_app_join and before mtcp_destroy_context.
 */
struct mos_stat {
    char name[32]; /* ends in '\0' */
    uint64_t value;
};

/* ---- Frames handed in by the program -------------------------------------------------------- */

/*
 * struct mtcp_frame: one frame, for a program that has its own packet loop.
 *
 * => in: data .. in_ifidx. out: verdict .. out; they need not be set before.
 */
struct mtcp_frame {
    const void *data;  /* in: first byte of the link header; only read, and only during the call */
    uint64_t ts_ns;    /* in: ns since 1970; earlier than the frame before counts as equal to it */
    uint32_t len;      /* in: bytes at data */
    uint32_t wire_len; /* in: bytes it had on the wire; 0 means len */
    int32_t linktype;  /* in: DLT_ of <pcap/dlt.h>; 0 is Ethernet (for BSD loopback say DLT_LOOP) */
    int32_t in_ifidx;  /* in: device number for pkt_info.in_ifidx, 0 if there is one only */
    int32_t verdict;   /* out: MTCP_FRAME_ */
    uint32_t out_len;  /* out: bytes at out */
    const void *out;   /* out: what to forward. PASS: data itself. DROP: NULL. CHANGED: other bytes,
                        * the library's, valid until this context's next mtcp_push or mtcp_tick */
};
#define MTCP_FRAME_PASS    0
#define MTCP_FRAME_DROP    1
#define MTCP_FRAME_CHANGED 2

/*
 * mtcp_push: work off n frames, all their events and the end of the batch included.
 * [any thread, one at a time, not in a callback]
 *
 * => For a context whose configuration names no device. The calling thread is the context's thread
 *    for the time of the call: callbacks run in it.
 * => More than 64 frames are several batches.
 * => Further frames that callbacks send (mtcp_sendpkt, mtcp_reset_conn) leave by the device's
 *    output.
 * => v NULL and n 0: the end of the input; every live connection ends with reason MOS_END_EOF.
 *    Frames after that are refused.
 * => n; -1 with EINVAL (v NULL, n negative, a linktype nobody knows, data NULL: nothing was worked off),
 *    EBUSY (the context has a device of its own), EDEADLK (in a callback), EPIPE (after the end,
 *    or interrupted by SIGINT), EPERM (destroyed in a callback), ENOMEM (nothing was worked off).
 * => A changed frame that there is no memory for is dropped, and counted as no-frame-mem.
 *    (contract 2 and 7)
 */
int mtcp_push(mctx_t mctx, struct mtcp_frame *v, int n);

/*
 * mtcp_tick: let time pass without packets: timers and time-outs up to ns run. [as mtcp_push]
 *
 * => ns since 1970; a time that has passed already is no error and changes nothing.
 * => 0; -1 with EBUSY, EDEADLK, EPIPE, ENOMEM as mtcp_push.
 */
int mtcp_tick(mctx_t mctx, uint64_t ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#ifndef MOS_NO_OLDER_FORMS
#include <mos_forms.h> /* 4-argument callbacks and filters, arguments left out */
#endif

#endif /* MOS_API_H */
