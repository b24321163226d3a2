/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h: is a segment believable, and what kind of repetition is it? Pure functions on plain
 * numbers.
 */
#ifndef WEIR_TCP_CHECK_H
#define WEIR_TCP_CHECK_H

#include "base/reasons.h"
#include "tcp/seq.h"

/* A window as the peer may use it: scaled; unknown scale (15) counts as 14 (contract 4). */
static inline uint32_t tcp_window(uint16_t wnd, uint8_t wscale)
{
    return (uint32_t)wnd << (wscale > 14 ? 14 : wscale);
}

struct rst_query {
    uint8_t rcv_state; /* receiver's, enum fsm_state */
    bool strict;
    bool has_ack;
    uint32_t seq, ack;  /* the RST's */
    uint32_t rcv_nxt;   /* next byte the receiver expects, as far as we know */
    uint32_t rcv_ack;   /* highest ACK the receiver has sent; = rcv_nxt if it sent none */
    uint32_t snd_max;   /* highest sequence number the receiver itself has sent + 1 */
    uint32_t peer_max;  /* highest the RST's sender has sent + 1; = rcv_nxt if unknown */
    uint32_t window;    /* receiver's window, scaled; at least 1 */
    bool ts_known;      /* both the RST and the receiver's last segment carry timestamps */
    uint32_t tsecr;     /* the RST's echo */
    uint32_t rcv_tsval; /* receiver's last timestamp */
    bool answer;        /* its sender is in SYN_SENT, and the receiver has sent something: so it
                           answers what it did not believe, and closes neither end */
};

/*
 * ts_echo_sent: may a host whose last timestamp is `last` have sent one that comes back as
 * `tsecr`?
 * => an echo of 0 says nothing: true. To be asked of all that claims to answer a SYN, as Linux
 *    does.
 */
bool ts_echo_sent(uint32_t tsecr, uint32_t last);

/*
 * rst_check: may the receiver believe this RST?
 * => REASON_NONE, or REASON_RST_INVALID.
 * => SYN_SENT: the ACK must be of the SYN (RFC 9293 3.10.7.3) and an echoed timestamp must be one
 *    that was sent (as Linux does; RFC 7323 3.2). Else: strict: SEG.SEQ = RCV.NXT exactly (RFC
 *    5961 3.2); tolerant: inside the window from the lowest to the highest of rcv_nxt, rcv_ack and
 *    peer_max, and one below (some stacks repeat the FIN's number).
 */
enum reason rst_check(const struct rst_query *q);

/* Repetition classes: values of the public MOS_REXMIT_*. */
enum rexmit_class {
    RX_NONE = 0,
    RX_LOST,
    RX_SPURIOUS,
    RX_KEEPALIVE,
    RX_PROBE,
    RX_PARTIAL,
    RX_SYN,
    RX_FIN
};

struct rexmit_query {
    uint32_t seq;
    uint32_t plen;
    uint8_t tflags;
    bool syn_again;   /* a SYN or SYN/ACK of an ISN already known */
    bool fin_again;   /* FIN whose number is already recorded */
    uint32_t dup;     /* payload bytes seen before (declared gaps included) */
    uint32_t snd_max; /* sender's highest + 1, before this segment */
    uint32_t rcv_ack; /* receiver's highest ACK, as far as seen */
    bool rcv_ack_known;
    uint32_t rcv_window; /* receiver's last window, scaled */
};

/*
 * rexmit_classify: => RX_NONE when nothing is repeated. Order of tests: SYN; keep-alive (at most
 * one byte, at snd_max - 1, below the receiver's ACK; RFC 9293 3.8.4); window probe (one byte
 * while the window is 0; 3.8.6.1); partial (some bytes are new); spurious (all acknowledged
 * before); lost; FIN alone.
 */
enum rexmit_class rexmit_classify(const struct rexmit_query *q);

/* stamp_expired: does a timestamp of this age say nothing any more (RFC 7323 5.5)? */
bool stamp_expired(uint64_t age_ns);
/*
 * paws_old: is tsval older than the last one (RFC 7323 5.3), given that the last is `age_ns` old?
 * After 24 days nothing is.
 */
bool paws_old(uint32_t tsval, uint32_t last, uint64_t age_ns);

#endif
