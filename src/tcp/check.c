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

/* A tap may lack the first SYN: as far back as a host keeps trying (about two minutes), in
 * milliseconds, doubled. */
#define ECHO_TICKS (1u << 18)

/*
 * PAWS is suspended for a connection that idles this long, RFC 7323 5.5: there 24 days; since Linux
 * 6.7, whose ticks may be microseconds, INT_MAX of these (TCP_PAWS_WRAP).
 */
#define PAWS_SECONDS 2147

bool ts_echo_sent(uint32_t tsecr, uint32_t first, uint32_t last, bool strict)
{
    uint32_t low = strict ? first : first - ECHO_TICKS;

    return tsecr == 0 || seq_in(tsecr, low, last - low + 1);
}

/* RFC 9293 3.10.7.3: in SYN_SENT a RST counts if its ACK is acceptable, ISS < SEG.ACK <= SND.NXT: of
 * the SYN, or of the bytes on it, too. */
static bool rst_to_syn_sent(const struct rst_query *q)
{
    return q->has_ack &&
           seq_in(q->ack, q->snd_first, (uint32_t)seq_diff(q->snd_max, q->snd_first) + 1) &&
           (!q->ts_known || ts_echo_sent(q->tsecr, q->rcv_first, q->rcv_tsval, q->strict));
}

/*
 * rst_exact: RFC 5961 3.2: SEG.SEQ = RCV.NXT. Linux also takes the number of the peer's FIN when it
 * has that (tcp_reset_check: some stacks do not count it), and the end of its highest SACK block
 * (tcp_validate_incoming).
 */
static bool rst_exact(const struct rst_query *q)
{
    bool fin =
        q->rcv_state == FS_CLOSE_WAIT || q->rcv_state == FS_LAST_ACK || q->rcv_state == FS_CLOSING;

    if (q->seq == q->rcv_nxt || (fin && q->seq == q->rcv_nxt - 1))
        return true;
    if (q->holes && q->seq == q->held_max)
        return true;
    /* what lies before may have passed unseen; not where the receiver tells of holes */
    return !q->strict && ((q->seq == q->peer_max && !(q->holes && q->seq == q->held_end)) ||
                          (q->seq == q->rcv_ack && seq_lt(q->rcv_nxt, q->rcv_ack)));
}

/* rst_possible: may the receiver be waiting for this number, for all we know? */
static bool rst_possible(const struct rst_query *q)
{
    uint32_t lo = q->rcv_nxt, hi = seq_max(q->rcv_nxt, seq_max(q->rcv_ack, q->peer_max));

    if (seq_lt(q->rcv_ack, lo))
        lo = q->rcv_ack;
    if (q->holes && q->seq == q->held_end)
        return true;
    if (q->strict) /* RCV.NXT lies between its ACK and what has passed us */
        return seq_leq(lo, q->seq) && seq_diff(q->rcv_nxt, q->seq) >= 0;
    if (seq_lt(q->peer_max, lo))
        lo = q->peer_max;
    return seq_leq(lo - 1, q->seq) && seq_lt(q->seq, seq_max(q->edge, hi + 1));
}

enum rst_verdict rst_check(const struct rst_query *q)
{
    if (q->answer)
        return RST_REFUSED; /* RFC 9293 3.10.7.3, step 1: its sender does not close on it */
    if (q->rcv_state == FS_SYN_SENT)
        return rst_to_syn_sent(q) ? RST_BELIEVED : RST_REFUSED;
    if (rst_exact(q))
        return RST_BELIEVED;
    return rst_possible(q) ? RST_PENDING : RST_REFUSED;
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
        if (q->plen == 1 && q->rcv_ack_known && q->rcv_shut)
            return RX_PROBE;
        if (q->dup < q->plen)
            return RX_PARTIAL;
        if (q->rcv_ack_known && seq_leq(q->seq + q->plen, q->rcv_ack))
            return RX_SPURIOUS;
        if (q->rcv_sacked)
            return RX_SPURIOUS;
        return RX_LOST;
    }
    return q->fin_again ? RX_FIN : RX_NONE;
}

bool stamp_expired(uint64_t age_ns)
{
    return age_ns >= PAWS_SECONDS * NSEC_PER_SEC;
}

bool paws_old(uint32_t tsval, uint32_t recent, uint64_t age_ns)
{
    if (recent == 0 || stamp_expired(age_ns))
        return false;
    /* modulo 2^32; half the range away is taken (Linux: tcp_paws_check, (s32)(recent - tsval) <= 1) */
    return (int32_t)(recent - tsval) > 1;
}

bool ack_too_old(uint32_t ack, uint32_t una, uint32_t max_window, uint64_t acked)
{
    return seq_lt(ack, una - (max_window < acked ? max_window : (uint32_t)acked));
}
