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
    uint32_t rcv_nxt;   /* next number the receiver waits for, if all that we saw has arrived */
    uint32_t rcv_ack;   /* highest ACK the receiver has sent; = rcv_nxt if it sent none */
    uint32_t snd_first; /* the receiver's own ISN + 1 */
    uint32_t snd_max;   /* highest sequence number the receiver itself has sent + 1 */
    uint32_t peer_max;  /* highest the RST's sender has sent + 1; = rcv_nxt if unknown */
    uint32_t edge;      /* where the receiver's window ends; at least rcv_nxt + 1 */
    bool holes;         /* the receiver reports what lies behind holes (SACK) */
    uint32_t held_max;  /* end of what the receiver remembers to have beyond a hole */
    uint32_t held_end;  /* end of all that it has */
    bool ts_known;      /* both the RST and the receiver's last segment carry timestamps */
    uint32_t tsecr;     /* the RST's echo */
    uint32_t rcv_tsval; /* receiver's last timestamp */
    uint32_t rcv_first; /* SYN_SENT: that of its first SYN */
    bool answer;        /* its sender is in SYN_SENT, and the receiver has sent something: so it
                           answers what it did not believe, and closes neither end */
};

/*
 * ts_echo_sent: may a host whose SYNs had timestamps from `first` to `last` have sent one that comes
 * back as `tsecr`?
 * => tolerant: the first SYN may have passed unseen. An echo of 0 says nothing: true. To be asked of all that claims to answer a SYN, as Linux
 *    does.
 */
bool ts_echo_sent(uint32_t tsecr, uint32_t first, uint32_t last, bool strict);

/*
 * What a RST is worth. PENDING: its receiver closes if it waits for just this number, which we
 * cannot know; if it does not it answers with a challenge ACK, and both go on (RFC 5961 3.2).
 */
enum rst_verdict { RST_REFUSED, RST_PENDING, RST_BELIEVED };

/*
 * rst_check: does the receiver believe this RST?
 * => SYN_SENT: BELIEVED if the ACK is of the SYN (RFC 9293 3.10.7.3) and an echoed timestamp is one
 *    that was sent (as Linux does; RFC 7323 3.2).
 * => Else BELIEVED if exact: the next number; one below when that is the peer's FIN; the end of
 *    what it has beyond holes (all as Linux does); tolerant also where its sender stands.
 *    PENDING: strict: from the receiver's ACK on, for bytes may be lost behind us, and the end of all
 *    beyond holes, where more is there than it may remember; tolerant: anywhere in the window, and one
 *    below.
 */
enum rst_verdict rst_check(const struct rst_query *q);

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
    bool rcv_shut;   /* receiver's last window was 0 */
    bool rcv_sacked; /* the receiver's last SACK blocks cover all its bytes */
};

/*
 * rexmit_classify: => RX_NONE when nothing is repeated. Order of tests: SYN; keep-alive (at most
 * one byte, at snd_max - 1, below the receiver's ACK; RFC 9293 3.8.4); window probe (one byte
 * while the window is 0; 3.8.6.1); partial (some bytes are new); spurious (all acknowledged
 * before, selectively too: RFC 2018); lost; FIN alone.
 */
enum rexmit_class rexmit_classify(const struct rexmit_query *q);

/* stamp_expired: does a timestamp of this age say nothing any more (RFC 7323 5.5)? */
bool stamp_expired(uint64_t age_ns);
/*
 * paws_old: would PAWS refuse tsval (RFC 7323 5.3), TS.Recent being `recent`, `age_ns` old?
 * => As Linux: one tick older passes, a TS.Recent of 0 is none (some hosts send 0 on SYNs), and after
 *    2147 s nothing is old (5.5: 24 days).
 */
bool paws_old(uint32_t tsval, uint32_t recent, uint64_t age_ns);

/*
 * ack_too_old: is this ACK below what its receiver accepts (RFC 5961 5.2)? `una`: the highest ACK it
 * has got; max_window: the largest window it was ever offered; acked: how much of what it sent was ever
 * acknowledged, in 64 bits (Linux: bytes_acked), a client's SYN counted.
 * => As Linux: never below what it has sent.
 */
bool ack_too_old(uint32_t ack, uint32_t una, uint32_t max_window, uint64_t acked);

#endif
