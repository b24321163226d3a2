// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_fsm.c: the two state tables: row by row, then whole conversations.
 *
 * The conversations need a little connection tracker of their own (struct conv): both ends with 64
 * sequence numbers each, relative to their ISN, so that 0 is the SYN. It works the queries out; the
 * tables say what follows. A packet that "passes unseen" is one that the case does not feed.
 */
#include "tcp/fsm.h"

#include "wire/seg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define S  TH_SYN_
#define A  TH_ACK_
#define F  TH_FIN_
#define R  TH_RST_
#define SA (TH_SYN_ | TH_ACK_)
#define FA (TH_FIN_ | TH_ACK_)
#define RA (TH_RST_ | TH_ACK_)

static const bool STRICT = true, TOLERANT = false;

/* -- row by row -- */

enum { BOTH, TOL }; /* TOL: the tolerant flavour only; strict stays */

struct row {
    uint8_t from;
    struct fsm_query q; /* state and flavour are filled in */
    uint8_t to;
    int flavour;
};

static void run_rows(const struct row *row, unsigned n, uint8_t (*fsm)(const struct fsm_query *))
{
    for (unsigned i = 0; i < n; i++)
        for (int strict = 0; strict < 2; strict++) {
            struct fsm_query q = row[i].q;
            uint8_t want = strict && row[i].flavour == TOL ? row[i].from : row[i].to, got;

            q.state = row[i].from;
            q.strict = strict;
            got = fsm(&q);
            if (got != want)
                fail_msg("row %u, %s, flags %#x: %s -> %s, not %s", i,
                         strict ? "strict" : "tolerant", q.tflags, fsm_name(q.state), fsm_name(got),
                         fsm_name(want));
        }
}

#define Q(...)                                                                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define GOT .acks_fin = true

/* API semantics 5, sender rules, with what simultaneous open, loss and ACKs of FINs add. */
static const struct row send_rows[] = {
    /* SYN, no ACK, state <= SYN_SENT */
    {FS_CLOSED, Q(.tflags = S), FS_SYN_SENT, BOTH},
    {FS_LISTEN, Q(.tflags = S), FS_SYN_SENT, BOTH},
    {FS_SYN_SENT, Q(.tflags = S), FS_SYN_SENT, BOTH},
    {FS_SYN_SENT, Q(.tflags = S, .payload = true), FS_SYN_SENT, BOTH},
    {FS_SYN_RCVD, Q(.tflags = S), FS_SYN_RCVD, BOTH},
    {FS_ESTABLISHED, Q(.tflags = S), FS_ESTABLISHED, BOTH},
    {FS_TIME_WAIT, Q(.tflags = S), FS_TIME_WAIT, BOTH},
    /* SYN/ACK */
    {FS_SYN_RCVD, Q(.tflags = SA), FS_SYN_RCVD, BOTH},
    {FS_SYN_SENT, Q(.tflags = SA), FS_SYN_RCVD, BOTH},
    {FS_LISTEN, Q(.tflags = SA), FS_SYN_RCVD, TOL},
    {FS_ESTABLISHED, Q(.tflags = SA), FS_ESTABLISHED, BOTH},
    {FS_CLOSED, Q(.tflags = SA), FS_CLOSED, BOTH},
    /* the handshake's end passed unseen */
    {FS_SYN_SENT, Q(.tflags = A), FS_ESTABLISHED, TOL},
    {FS_SYN_SENT, Q(.tflags = A, .payload = true), FS_ESTABLISHED, TOL},
    {FS_SYN_SENT, Q(.tflags = FA), FS_FIN_WAIT_1, TOL},
    {FS_SYN_SENT, Q(.tflags = A, GOT), FS_CLOSE_WAIT, TOL},
    {FS_SYN_SENT, Q(.tflags = FA, GOT), FS_LAST_ACK, TOL},
    {FS_SYN_SENT, Q(.tflags = 0, .payload = true), FS_SYN_SENT, BOTH},
    {FS_SYN_SENT, Q(.tflags = F), FS_SYN_SENT, BOTH},
    {FS_SYN_RCVD, Q(.tflags = A), FS_SYN_RCVD, BOTH},
    {FS_SYN_RCVD, Q(.tflags = A, .payload = true), FS_ESTABLISHED, TOL},
    {FS_SYN_RCVD, Q(.tflags = 0, .payload = true), FS_SYN_RCVD, BOTH},
    {FS_SYN_RCVD, Q(.tflags = F), FS_SYN_RCVD, BOTH},
    /* FIN in ESTABLISHED (and before: CLOSE in SYN-RECEIVED) */
    {FS_ESTABLISHED, Q(.tflags = FA), FS_FIN_WAIT_1, BOTH},
    {FS_ESTABLISHED, Q(.tflags = FA, .payload = true), FS_FIN_WAIT_1, BOTH},
    {FS_SYN_RCVD, Q(.tflags = FA), FS_FIN_WAIT_1, BOTH},
    /* FIN in CLOSE_WAIT: LAST_ACK if it acknowledges the peer's, else CLOSING */
    {FS_CLOSE_WAIT, Q(.tflags = FA, GOT), FS_LAST_ACK, BOTH},
    {FS_CLOSE_WAIT, Q(.tflags = FA), FS_CLOSING, BOTH},
    {FS_CLOSE_WAIT, Q(.tflags = A, GOT), FS_CLOSE_WAIT, BOTH},
    {FS_CLOSE_WAIT, Q(.tflags = A, .payload = true), FS_CLOSE_WAIT, BOTH},
    /* whoever acknowledges a FIN has received it */
    {FS_ESTABLISHED, Q(.tflags = A, GOT), FS_CLOSE_WAIT, BOTH},
    {FS_ESTABLISHED, Q(.tflags = FA, GOT), FS_LAST_ACK, BOTH},
    {FS_SYN_RCVD, Q(.tflags = A, GOT), FS_CLOSE_WAIT, BOTH},
    {FS_SYN_RCVD, Q(.tflags = FA, GOT), FS_LAST_ACK, BOTH},
    {FS_FIN_WAIT_1, Q(.tflags = A, GOT), FS_CLOSING, BOTH},
    {FS_FIN_WAIT_1, Q(.tflags = FA, GOT), FS_CLOSING, BOTH},
    {FS_FIN_WAIT_2, Q(.tflags = A, GOT), FS_TIME_WAIT, BOTH},
    {FS_FIN_WAIT_2, Q(.tflags = FA, GOT), FS_TIME_WAIT, BOTH},
    {FS_ESTABLISHED, Q(.tflags = 0, GOT), FS_ESTABLISHED, BOTH}, /* no ACK: no number to go by */
    /* repeated FINs and plain ACKs tell nothing */
    {FS_FIN_WAIT_1, Q(.tflags = FA), FS_FIN_WAIT_1, BOTH},
    {FS_FIN_WAIT_2, Q(.tflags = FA), FS_FIN_WAIT_2, BOTH},
    {FS_CLOSING, Q(.tflags = FA, GOT), FS_CLOSING, BOTH},
    {FS_LAST_ACK, Q(.tflags = FA, GOT), FS_LAST_ACK, BOTH},
    {FS_TIME_WAIT, Q(.tflags = FA, GOT), FS_TIME_WAIT, BOTH},
    {FS_ESTABLISHED, Q(.tflags = A, .payload = true), FS_ESTABLISHED, BOTH},
    {FS_CLOSED, Q(.tflags = FA, GOT), FS_CLOSED, BOTH},
};

#define OWN_SYN .ack_of_syn = true
#define OWN_FIN .ack_of_fin = true
#define HERE    .fin_here = true

/* API semantics 5, receiver rules. */
static const struct row recv_rows[] = {
    {FS_LISTEN, Q(.tflags = S), FS_SYN_RCVD, BOTH},
    {FS_LISTEN, Q(.tflags = S | F, HERE), FS_SYN_RCVD, BOTH},
    {FS_LISTEN, Q(.tflags = SA), FS_LISTEN, BOTH},
    {FS_LISTEN, Q(.tflags = SA, OWN_SYN), FS_LISTEN, BOTH},
    {FS_LISTEN, Q(.tflags = A), FS_LISTEN, BOTH},
    /* SYN_SENT: SYN/ACK with iss < ack <= snd_nxt; SYN only: simultaneous open */
    {FS_SYN_SENT, Q(.tflags = SA, OWN_SYN), FS_ESTABLISHED, BOTH},
    {FS_SYN_SENT, Q(.tflags = SA), FS_SYN_SENT, BOTH},
    {FS_SYN_SENT, Q(.tflags = S), FS_SYN_RCVD, BOTH},
    {FS_SYN_SENT, Q(.tflags = S, OWN_SYN), FS_SYN_RCVD, BOTH}, /* without ACK flag: no ACK */
    {FS_SYN_SENT, Q(.tflags = A, OWN_SYN), FS_ESTABLISHED, TOL},
    {FS_SYN_SENT, Q(.tflags = A, OWN_SYN, .payload = true), FS_ESTABLISHED, TOL},
    {FS_SYN_SENT, Q(.tflags = FA, OWN_SYN, HERE), FS_CLOSE_WAIT, TOL},
    {FS_SYN_SENT, Q(.tflags = SA | F, OWN_SYN, HERE), FS_CLOSE_WAIT, BOTH},
    {FS_SYN_SENT, Q(.tflags = S | F, HERE), FS_SYN_RCVD, BOTH},
    {FS_SYN_SENT, Q(.tflags = A), FS_SYN_SENT, BOTH},
    {FS_SYN_SENT, Q(.tflags = FA, HERE), FS_SYN_SENT, BOTH},
    /* SYN_RCVD: SYN stays; any ACK of its SYN */
    {FS_SYN_RCVD, Q(.tflags = S), FS_SYN_RCVD, BOTH},
    {FS_SYN_RCVD, Q(.tflags = A, OWN_SYN), FS_ESTABLISHED, BOTH},
    {FS_SYN_RCVD, Q(.tflags = A, OWN_SYN, .payload = true), FS_ESTABLISHED, BOTH},
    {FS_SYN_RCVD, Q(.tflags = FA, OWN_SYN, HERE), FS_CLOSE_WAIT, BOTH},
    {FS_SYN_RCVD, Q(.tflags = FA, OWN_SYN), FS_ESTABLISHED, BOTH}, /* FIN beyond a hole */
    {FS_SYN_RCVD, Q(.tflags = SA, OWN_SYN), FS_ESTABLISHED, BOTH},
    {FS_SYN_RCVD, Q(.tflags = SA | F, OWN_SYN, HERE), FS_CLOSE_WAIT, BOTH},
    {FS_SYN_RCVD, Q(.tflags = SA), FS_SYN_RCVD, BOTH},
    {FS_SYN_RCVD, Q(.tflags = A), FS_SYN_RCVD, BOTH},
    {FS_SYN_RCVD, Q(.tflags = FA, HERE), FS_SYN_RCVD, BOTH},
    {FS_SYN_RCVD, Q(.tflags = A, OWN_FIN), FS_SYN_RCVD, BOTH},
    /* ESTABLISHED: FIN in order, which a segment without FIN may make true */
    {FS_ESTABLISHED, Q(.tflags = FA, HERE), FS_CLOSE_WAIT, BOTH},
    {FS_ESTABLISHED, Q(.tflags = A, .payload = true, HERE), FS_CLOSE_WAIT, BOTH},
    {FS_ESTABLISHED, Q(.tflags = FA), FS_ESTABLISHED, BOTH},
    {FS_ESTABLISHED, Q(.tflags = A, OWN_FIN, HERE), FS_CLOSE_WAIT, BOTH},
    {FS_ESTABLISHED, Q(.tflags = A, .payload = true), FS_ESTABLISHED, BOTH},
    {FS_ESTABLISHED, Q(.tflags = S), FS_ESTABLISHED, BOTH}, /* RFC 5961 4: challenge ACK */
    {FS_ESTABLISHED, Q(.tflags = SA, OWN_SYN), FS_ESTABLISHED, BOTH},
    /* FIN_WAIT_1: ACK of its FIN; with FIN; FIN only */
    {FS_FIN_WAIT_1, Q(.tflags = A, OWN_FIN), FS_FIN_WAIT_2, BOTH},
    {FS_FIN_WAIT_1, Q(.tflags = FA, OWN_FIN, HERE), FS_TIME_WAIT, BOTH},
    {FS_FIN_WAIT_1, Q(.tflags = FA, HERE), FS_CLOSING, BOTH},
    {FS_FIN_WAIT_1, Q(.tflags = FA, OWN_FIN), FS_FIN_WAIT_2, BOTH}, /* FIN beyond a hole */
    {FS_FIN_WAIT_1, Q(.tflags = A, .payload = true), FS_FIN_WAIT_1, BOTH},
    {FS_FIN_WAIT_1, Q(.tflags = A, OWN_SYN), FS_FIN_WAIT_1, BOTH},
    {FS_FIN_WAIT_1, Q(.tflags = 0, OWN_FIN), FS_FIN_WAIT_1, BOTH}, /* no ACK flag */
    /* FIN_WAIT_2, CLOSING, LAST_ACK, TIME_WAIT */
    {FS_FIN_WAIT_2, Q(.tflags = FA, OWN_FIN, HERE), FS_TIME_WAIT, BOTH},
    {FS_FIN_WAIT_2, Q(.tflags = FA, HERE), FS_TIME_WAIT, BOTH},
    {FS_FIN_WAIT_2, Q(.tflags = FA, OWN_FIN), FS_FIN_WAIT_2, BOTH},
    {FS_FIN_WAIT_2, Q(.tflags = A, OWN_FIN, .payload = true), FS_FIN_WAIT_2, BOTH},
    {FS_CLOSING, Q(.tflags = A, OWN_FIN), FS_TIME_WAIT, BOTH},
    {FS_CLOSING, Q(.tflags = FA, OWN_FIN, HERE), FS_TIME_WAIT, BOTH},
    {FS_CLOSING, Q(.tflags = A), FS_CLOSING, BOTH},
    {FS_CLOSING, Q(.tflags = FA, HERE), FS_CLOSING, BOTH},
    {FS_LAST_ACK, Q(.tflags = A, OWN_FIN), FS_CLOSED, BOTH},
    {FS_LAST_ACK, Q(.tflags = FA, OWN_FIN, HERE), FS_CLOSED, BOTH},
    {FS_LAST_ACK, Q(.tflags = A), FS_LAST_ACK, BOTH},
    {FS_LAST_ACK, Q(.tflags = FA, HERE), FS_LAST_ACK, BOTH},
    {FS_TIME_WAIT, Q(.tflags = FA, OWN_FIN, HERE), FS_TIME_WAIT, BOTH},
    {FS_TIME_WAIT, Q(.tflags = A, OWN_FIN), FS_TIME_WAIT, BOTH},
    {FS_TIME_WAIT, Q(.tflags = S), FS_TIME_WAIT, BOTH},
    {FS_CLOSE_WAIT, Q(.tflags = FA, HERE), FS_CLOSE_WAIT, BOTH},
    {FS_CLOSE_WAIT, Q(.tflags = A, OWN_FIN), FS_CLOSE_WAIT, BOTH},
    {FS_CLOSED, Q(.tflags = S), FS_CLOSED, BOTH},
    {FS_CLOSED, Q(.tflags = FA, OWN_FIN, HERE), FS_CLOSED, BOTH},
};

static void sender_row_by_row(void **state)
{
    run_rows(send_rows, ARRAY_SIZE(send_rows), fsm_send);
}

static void receiver_row_by_row(void **state)
{
    run_rows(recv_rows, ARRAY_SIZE(recv_rows), fsm_recv);
}

/* -- every query there is -- */

static int rank(uint8_t s)
{
    static const int r[FS_CNT] = {
        [FS_LISTEN] = 0,     [FS_SYN_SENT] = 1,   [FS_SYN_RCVD] = 2,   [FS_ESTABLISHED] = 3,
        [FS_FIN_WAIT_1] = 4, [FS_CLOSE_WAIT] = 4, [FS_FIN_WAIT_2] = 5, [FS_CLOSING] = 5,
        [FS_LAST_ACK] = 5,   [FS_TIME_WAIT] = 6,  [FS_CLOSED] = 7,
    };

    return r[s];
}

static struct fsm_query any_query(uint32_t n)
{
    return (struct fsm_query){
        .tflags = (uint8_t)n,
        .payload = n >> 8 & 1,
        .ack_all = n >> 9 & 1,
        .acks_fin = n >> 10 & 1,
        .ack_of_syn = n >> 11 & 1,
        .ack_of_fin = n >> 12 & 1,
        .fin_here = n >> 13 & 1,
    };
}

static void check_pair(struct fsm_query q, uint8_t (*fsm)(const struct fsm_query *), bool sender)
{
    uint8_t strict, tolerant;

    q.strict = true;
    strict = fsm(&q);
    q.strict = false;
    tolerant = fsm(&q);
    assert_true(strict < FS_CNT && tolerant < FS_CNT);
    if (q.tflags & R) {
        assert_int_equal(strict, FS_CLOSED);
        assert_int_equal(tolerant, FS_CLOSED);
        return;
    }
    /* Tolerant differs only where strict does not move. */
    if (strict != q.state)
        assert_int_equal(tolerant, strict);
    /* Nobody goes back; only a sender's SYN leaves CLOSED. */
    if (!(sender && q.state == FS_CLOSED && q.tflags & S))
        assert_true(rank(strict) >= rank(q.state) && rank(tolerant) >= rank(q.state));
    /* The sender's table never closes, the receiver's only when the last ACK is there. */
    if (tolerant == FS_CLOSED && q.state != FS_CLOSED)
        assert_true(!sender && q.state == FS_LAST_ACK && q.ack_of_fin && q.tflags & A);
}

static void every_query_gives_a_state_and_none_goes_back(void **state)
{
    for (uint8_t s = 0; s < FS_CNT; s++)
        for (uint32_t n = 0; n < 1u << 14; n++) {
            struct fsm_query q = any_query(n);

            q.state = s;
            check_pair(q, fsm_send, true);
            check_pair(q, fsm_recv, false);
        }
}

static void names(void **state)
{
    assert_string_equal(fsm_name(FS_CLOSED), "CLOSED");
    assert_string_equal(fsm_name(FS_SYN_RCVD), "SYN_RCVD");
    assert_string_equal(fsm_name(FS_TIME_WAIT), "TIME_WAIT");
    assert_string_equal(fsm_name(FS_CNT), "?");
    for (unsigned s = 0; s < FS_CNT; s++)
        assert_non_null(fsm_name(s));
    assert_true(fsm_done(FS_CLOSED) && fsm_done(FS_TIME_WAIT) && !fsm_done(FS_LAST_ACK));
}

/* -- conversations -- */

enum { C, V }; /* client, server */

struct end {
    uint8_t state;
    uint64_t got; /* what it has received of the peer: bit n is sequence number n */
    int nxt;      /* highest number it has sent + 1 */
    int fin;      /* its FIN's number, -1: none */
};

struct conv {
    struct end e[2];
    bool strict;
};

static struct conv begin(bool strict)
{
    struct conv c = {.strict = strict};

    c.e[C] = (struct end){.state = FS_CLOSED, .fin = -1};
    c.e[V] = (struct end){.state = FS_LISTEN, .fin = -1};
    return c;
}

static int rcv_nxt(const struct end *e)
{
    return __builtin_ctzll(~e->got);
}

/* Numbers first: what the sender has shown to have sent, and what its ACK covers. */
static struct fsm_query seen_from_sender(struct conv *c, int from, int flags, int seq, int ack,
                                         int len)
{
    struct end *me = &c->e[from];
    const struct end *peer = &c->e[!from];
    const int end = seq + len + !!(flags & S) + !!(flags & F);

    if (flags & F)
        me->fin = end - 1;
    if (end > me->nxt)
        me->nxt = end;
    return (struct fsm_query){
        .state = me->state,
        .tflags = (uint8_t)flags,
        .strict = c->strict,
        .payload = len > 0,
        .ack_all = ack == rcv_nxt(me),
        .acks_fin = peer->fin >= 0 && ack > peer->fin,
    };
}

static struct fsm_query seen_from_receiver(struct conv *c, int to, int flags, int seq, int ack,
                                           int len)
{
    struct end *me = &c->e[to];
    const struct end *peer = &c->e[!to];
    const int end = seq + len + !!(flags & S) + !!(flags & F);

    for (int i = seq; i < end; i++)
        me->got |= 1ull << i;
    return (struct fsm_query){
        .state = me->state,
        .tflags = (uint8_t)flags,
        .strict = c->strict,
        .payload = len > 0,
        .ack_of_syn = ack > 0 && ack <= me->nxt,
        .ack_of_fin = me->fin >= 0 && ack > me->fin,
        .fin_here = peer->fin >= 0 && rcv_nxt(me) > peer->fin,
    };
}

/* Feed one packet; want the state of the client and of the server after it. */
static void pkt(struct conv *c, int line, int from, int flags, int seq, int ack, int len,
                uint8_t wc, uint8_t ws)
{
    struct fsm_query q = seen_from_sender(c, from, flags, seq, ack, len);
    uint8_t idle = c->e[!from].state;

    c->e[from].state = fsm_send(&q);
    assert_int_equal(c->e[!from].state, idle); /* at SND only the sender has moved */
    q = seen_from_receiver(c, !from, flags, seq, ack, len);
    c->e[!from].state = fsm_recv(&q);
    if (c->e[C].state != wc || c->e[V].state != ws)
        fail_msg("line %d, %s: client %s, server %s; wanted %s, %s", line,
                 c->strict ? "strict" : "tolerant", fsm_name(c->e[C].state),
                 fsm_name(c->e[V].state), fsm_name(wc), fsm_name(ws));
}

/* PKT(from, flags, seq, ack, length, client's state, server's state) */
#define PKT(from, flags, seq, ack, len, wc, ws)                                                    \
    pkt(&c, __LINE__, from, flags, seq, ack, len, FS_##wc, FS_##ws)

static void handshake(struct conv *conv)
{
    struct conv c = *conv;

    PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
    PKT(V, SA, 0, 1, 0, ESTABLISHED, SYN_RCVD);
    PKT(C, A, 1, 1, 0, ESTABLISHED, ESTABLISHED);
    *conv = c;
}

static struct conv established(bool strict)
{
    struct conv c = begin(strict);

    handshake(&c);
    return c;
}

#define BOTH_FLAVOURS for (int strict = 0; strict < 2; strict++)

/* API semantics 3.3, line by line. */
static void reference_trace(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = established(strict);

        PKT(C, A, 1, 1, 10, ESTABLISHED, ESTABLISHED);
        PKT(V, A, 1, 11, 0, ESTABLISHED, ESTABLISHED);
        PKT(C, FA, 11, 1, 0, FIN_WAIT_1, CLOSE_WAIT);
        PKT(V, A, 1, 12, 0, FIN_WAIT_2, CLOSE_WAIT);
        PKT(V, FA, 1, 12, 0, TIME_WAIT, LAST_ACK);
        PKT(C, A, 12, 2, 0, TIME_WAIT, CLOSED);
    }
}

static void retransmissions_move_nobody(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = begin(strict);

        PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(V, SA, 0, 1, 0, ESTABLISHED, SYN_RCVD);
        PKT(V, SA, 0, 1, 0, ESTABLISHED, SYN_RCVD);
        PKT(C, S, 0, 0, 0, ESTABLISHED, SYN_RCVD);
        PKT(C, A, 1, 1, 0, ESTABLISHED, ESTABLISHED);
        PKT(V, SA, 0, 1, 0, ESTABLISHED, ESTABLISHED);
        PKT(C, A, 1, 1, 5, ESTABLISHED, ESTABLISHED);
        PKT(C, A, 1, 1, 5, ESTABLISHED, ESTABLISHED);
        PKT(C, FA, 6, 1, 0, FIN_WAIT_1, CLOSE_WAIT);
        PKT(C, FA, 6, 1, 0, FIN_WAIT_1, CLOSE_WAIT);
        PKT(V, FA, 1, 7, 0, TIME_WAIT, LAST_ACK);
        PKT(V, FA, 1, 7, 0, TIME_WAIT, LAST_ACK);
        PKT(C, FA, 6, 1, 0, TIME_WAIT, LAST_ACK);
        PKT(C, A, 7, 2, 0, TIME_WAIT, CLOSED);
        PKT(C, A, 7, 2, 0, TIME_WAIT, CLOSED);
    }
}

static void reset_closes_both(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = established(strict);

        PKT(V, RA, 1, 1, 0, CLOSED, CLOSED);

        c = begin(strict); /* refused */
        PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(V, RA, 0, 1, 0, CLOSED, CLOSED);

        c = established(strict); /* with data, after FIN */
        PKT(C, FA, 1, 1, 4, FIN_WAIT_1, CLOSE_WAIT);
        PKT(V, R | A, 1, 1, 3, CLOSED, CLOSED);
    }
}

static void half_closed(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = established(strict);

        PKT(C, FA, 1, 1, 0, FIN_WAIT_1, CLOSE_WAIT);
        PKT(V, A, 1, 2, 10, FIN_WAIT_2, CLOSE_WAIT);
        PKT(C, A, 2, 11, 0, FIN_WAIT_2, CLOSE_WAIT);
        PKT(V, A, 11, 2, 10, FIN_WAIT_2, CLOSE_WAIT);
        PKT(V, FA, 21, 2, 3, TIME_WAIT, LAST_ACK); /* FIN with data */
        PKT(C, A, 2, 25, 0, TIME_WAIT, CLOSED);
    }
}

static void server_closes_first(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = established(strict);

        PKT(V, FA, 1, 1, 8, CLOSE_WAIT, FIN_WAIT_1);
        PKT(C, FA, 1, 10, 0, LAST_ACK, TIME_WAIT); /* three-way close: ACK and FIN in one */
        PKT(V, A, 10, 2, 0, CLOSED, TIME_WAIT);
    }
}

/* RFC 9293 3.5, figure 7. */
static void simultaneous_open(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = begin(strict);

        PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(V, S, 0, 0, 0, SYN_RCVD, SYN_RCVD);
        PKT(C, SA, 0, 1, 0, SYN_RCVD, ESTABLISHED);
        PKT(V, SA, 0, 1, 0, ESTABLISHED, ESTABLISHED);
        PKT(C, A, 1, 1, 4, ESTABLISHED, ESTABLISHED);

        c = begin(strict); /* split handshake: s-split-handshake-4whs.pcap */
        PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(V, S, 0, 0, 0, SYN_RCVD, SYN_RCVD);
        PKT(C, SA, 0, 1, 0, SYN_RCVD, ESTABLISHED);
        PKT(V, A, 1, 1, 0, ESTABLISHED, ESTABLISHED);
    }
}

/* RFC 9293 3.6, figure 13. */
static void simultaneous_close(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = established(strict);

        PKT(C, FA, 1, 1, 0, FIN_WAIT_1, CLOSE_WAIT);
        PKT(V, FA, 1, 1, 0, CLOSING, CLOSING);
        PKT(C, A, 2, 2, 0, CLOSING, TIME_WAIT);
        PKT(V, A, 2, 2, 0, TIME_WAIT, TIME_WAIT);
    }
}

/* A FIN is a position: it counts when the bytes before it are there, whatever brings them. */
static void fin_beyond_a_hole(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = established(strict);

        PKT(C, FA, 11, 1, 5, FIN_WAIT_1, ESTABLISHED); /* 1..10 late */
        PKT(V, A, 1, 1, 0, FIN_WAIT_1, ESTABLISHED);
        PKT(C, A, 1, 1, 10, FIN_WAIT_1, CLOSE_WAIT); /* no FIN flag on this one */
        PKT(V, A, 1, 17, 0, FIN_WAIT_2, CLOSE_WAIT);
    }
}

/* The hole is ours only: the receiver's ACK says so. */
static void bytes_before_the_fin_pass_unseen(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = established(strict);

        PKT(C, FA, 11, 1, 5, FIN_WAIT_1, ESTABLISHED);
        PKT(V, A, 1, 17, 0, FIN_WAIT_2, CLOSE_WAIT);
        PKT(V, FA, 1, 17, 0, TIME_WAIT, LAST_ACK);
        PKT(C, A, 17, 2, 0, TIME_WAIT, CLOSED);

        c = established(strict); /* and at once with its own FIN */
        PKT(C, FA, 11, 1, 5, FIN_WAIT_1, ESTABLISHED);
        PKT(V, FA, 1, 17, 0, TIME_WAIT, LAST_ACK);
        PKT(C, A, 17, 2, 0, TIME_WAIT, CLOSED);

        c = established(strict); /* holes on both sides */
        PKT(C, FA, 11, 1, 0, FIN_WAIT_1, ESTABLISHED);
        PKT(V, FA, 11, 1, 0, FIN_WAIT_1, FIN_WAIT_1);
        PKT(C, A, 12, 12, 0, CLOSING, FIN_WAIT_2);
        PKT(V, A, 12, 12, 0, TIME_WAIT, TIME_WAIT);
    }
}

static void handshake_seen_in_part(void **state)
{
    struct conv c = begin(TOLERANT);

    PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD); /* SYN/ACK unseen */
    PKT(C, A, 1, 1, 0, ESTABLISHED, SYN_RCVD);
    PKT(V, A, 1, 1, 7, ESTABLISHED, ESTABLISHED);

    c = begin(TOLERANT);
    PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD); /* SYN/ACK and ACK unseen */
    PKT(V, A, 1, 1, 7, ESTABLISHED, ESTABLISHED);
    PKT(C, FA, 1, 8, 0, FIN_WAIT_1, CLOSE_WAIT);

    c = begin(TOLERANT);
    PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
    PKT(V, SA, 0, 1, 0, ESTABLISHED, SYN_RCVD); /* ACK unseen */
    PKT(V, A, 1, 1, 7, ESTABLISHED, ESTABLISHED);

    c = begin(STRICT); /* there nothing passes unseen, and such packets prove nothing */
    PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
    PKT(C, A, 1, 1, 0, SYN_SENT, SYN_RCVD);
    PKT(V, A, 1, 1, 7, SYN_SENT, SYN_RCVD);
}

/* Fast open (RFC 7413): the SYN/ACK acknowledges the SYN's bytes, or the SYN only. */
static void data_on_the_syn(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = begin(strict);

        PKT(C, S, 0, 0, 10, SYN_SENT, SYN_RCVD);
        PKT(V, SA, 0, 11, 0, ESTABLISHED, SYN_RCVD);
        PKT(C, A, 11, 1, 0, ESTABLISHED, ESTABLISHED);

        c = begin(strict);
        PKT(C, S, 0, 0, 10, SYN_SENT, SYN_RCVD);
        PKT(V, SA, 0, 1, 0, ESTABLISHED, SYN_RCVD);
        PKT(C, A, 1, 1, 10, ESTABLISHED, ESTABLISHED);

        c = begin(strict); /* and an ACK of what was never sent */
        PKT(C, S, 0, 0, 10, SYN_SENT, SYN_RCVD);
        PKT(V, SA, 0, 12, 0, SYN_SENT, SYN_RCVD);
    }
}

/* The handshake's last ACK carries the FIN. */
static void fin_on_the_last_ack(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = begin(strict);

        PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(V, SA, 0, 1, 0, ESTABLISHED, SYN_RCVD);
        PKT(C, FA, 1, 1, 3, FIN_WAIT_1, CLOSE_WAIT);
        PKT(V, FA, 1, 5, 0, TIME_WAIT, LAST_ACK);
        PKT(C, A, 5, 2, 0, TIME_WAIT, CLOSED);
    }
}

/* z-syn-stuff-rst.pcap: what proves nothing moves nobody. */
static void stuff_after_a_syn(void **state)
{
    BOTH_FLAVOURS
    {
        struct conv c = begin(strict);

        PKT(C, S, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(V, A, 1, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(C, F, 0, 0, 0, SYN_SENT, SYN_RCVD);
        PKT(C, R, 0, 0, 0, CLOSED, CLOSED);
    }
}

int main(void)
{
#ifdef WEIR_FSM_COVER
    fsm_stops = false; /* it asks for what no packet brings */
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sender_row_by_row),
        cmocka_unit_test(receiver_row_by_row),
        cmocka_unit_test(every_query_gives_a_state_and_none_goes_back),
        cmocka_unit_test(names),
        cmocka_unit_test(reference_trace),
        cmocka_unit_test(retransmissions_move_nobody),
        cmocka_unit_test(reset_closes_both),
        cmocka_unit_test(half_closed),
        cmocka_unit_test(server_closes_first),
        cmocka_unit_test(simultaneous_open),
        cmocka_unit_test(simultaneous_close),
        cmocka_unit_test(fin_beyond_a_hole),
        cmocka_unit_test(bytes_before_the_fin_pass_unseen),
        cmocka_unit_test(handshake_seen_in_part),
        cmocka_unit_test(data_on_the_syn),
        cmocka_unit_test(fin_on_the_last_ack),
        cmocka_unit_test(stuff_after_a_syn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
