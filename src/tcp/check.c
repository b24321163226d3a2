// SPDX-License-Identifier: BSD-2-Clause
/*
 * check.c: what an end point would check, as far as it can be known from outside.
 *
 * We know a segment's numbers exactly, but an end point's own variables only from what it has sent:
 * RCV.NXT is at least its highest ACK and at most what its peer has sent. Strict takes one number
 * for each, tolerant the range that is possible.
 */
#include "tcp/check.h"

#include "tcp/fsm.h"
#include "wire/seg.h"

/* An echo may be of an earlier SYN: as far back as a host keeps trying (about two minutes), in
 * milliseconds, doubled. */
#define ECHO_TICKS (1u << 18)

/* PAWS is suspended for a connection that idles this long, RFC 7323 5.5. */
#define PAWS_DAYS 24

bool ts_echo_sent(uint32_t tsecr, uint32_t last)
{
    return tsecr == 0 || seq_in(last, tsecr, ECHO_TICKS);
}

/* RFC 9293 3.10.7.3: in SYN_SENT a RST counts if its ACK is acceptable, that is, of the SYN (and of
 * the bytes on it: a closed port acknowledges all of them). */
static bool rst_to_syn_sent(const struct rst_query *q)
{
    return q->has_ack && q->ack == q->snd_max &&
           (!q->ts_known || ts_echo_sent(q->tsecr, q->rcv_tsval));
}

/* Lowest and highest number that the receiver may be waiting for, and its window behind it. One
 * below: some stacks repeat the number of their FIN on the RST. */
static bool rst_in_range(const struct rst_query *q)
{
    uint32_t lo = q->rcv_nxt, hi = seq_max(q->rcv_nxt, seq_max(q->rcv_ack, q->peer_max));

    if (seq_lt(q->rcv_ack, lo))
        lo = q->rcv_ack;
    if (seq_lt(q->peer_max, lo))
        lo = q->peer_max;
    return seq_leq(lo - 1, q->seq) && seq_lt(q->seq, hi + (q->window ? q->window : 1));
}

enum reason rst_check(const struct rst_query *q)
{
    bool good;

    if (q->answer)
        good = false; /* RFC 9293 3.10.7.3, step 1: a reset that its sender does not close on */
    else if (q->rcv_state == FS_SYN_SENT)
        good = rst_to_syn_sent(q);
    else if (q->strict)
        good = q->seq == q->rcv_nxt; /* RFC 5961 3.2; RFC 9293 3.10.7.4, step 2 */
    else
        good = rst_in_range(q);
    return good ? REASON_NONE : REASON_RST_INVALID;
}

/* RFC 9293 3.8.4: no bytes, or one of garbage, one below the next expected. */
static bool is_keepalive(const struct rexmit_query *q)
{
    return q->plen <= 1 && !(q->tflags & (TH_SYN_ | TH_FIN_ | TH_RST_)) &&
           q->seq == q->snd_max - 1 && q->rcv_ack_known && seq_lt(q->seq, q->rcv_ack);
}

enum rexmit_class rexmit_classify(const struct rexmit_query *q)
{
    if (q->syn_again)
        return RX_SYN;
    if (is_keepalive(q))
        return RX_KEEPALIVE;
    if (q->dup) {
        /* RFC 9293 3.8.6.1: the next byte is sent again and again until the window opens. */
        if (q->plen == 1 && q->rcv_ack_known && q->rcv_window == 0)
            return RX_PROBE;
        if (q->dup < q->plen)
            return RX_PARTIAL;
        if (q->rcv_ack_known && seq_leq(q->seq + q->plen, q->rcv_ack))
            return RX_SPURIOUS;
        return RX_LOST;
    }
    return q->fin_again ? RX_FIN : RX_NONE;
}

bool stamp_expired(uint64_t age_ns)
{
    return age_ns > PAWS_DAYS * 86400 * NSEC_PER_SEC;
}

bool paws_old(uint32_t tsval, uint32_t last, uint64_t age_ns)
{
    if (stamp_expired(age_ns))
        return false;
    /* RFC 7323 5.3: compared modulo 2^32, like sequence numbers. One tick less is not too old for
     * Linux (TCP_PAWS_WINDOW); who refuses it gets it again. */
    return seq_lt(tsval + 1, last);
}
