// SPDX-License-Identifier: BSD-2-Clause
/*
 * fsm.c: what both ends must believe, inferred by somebody in the middle.
 *
 * An end point's state machine (RFC 9293 3.3.2) is driven by its own calls and by what arrives. We
 * see neither; we see segments on their way. So each segment moves two machines, in this order:
 *
 *   sender    what it sends betrays what it has done: whoever sends SYN has opened, whoever sends
 *             FIN has closed, whoever acknowledges a FIN has received it.
 *   receiver  what arrives does to it what the RFC says, provided it is believed: acceptance is
 *             worked out before and comes in with the query.
 *
 *      client            server                              client             server
 *      SYN_SENT  -SYN->  SYN_RCVD                            FIN_WAIT_1 -FIN->  CLOSE_WAIT
 *      ESTAB     <-S/A-  SYN_RCVD                            FIN_WAIT_2 <-ACK-  CLOSE_WAIT
 *      ESTAB     -ACK->  ESTAB                               TIME_WAIT  <-FIN-  LAST_ACK
 *                                                            TIME_WAIT  -ACK->  CLOSED
 *
 *              sends SYN                gets SYN/ACK
 *      LISTEN -----------> SYN_SENT ---------------------> ESTABLISHED
 *        | gets SYN           | gets SYN (both open)            ^
 *        +--------------------+--> SYN_RCVD --------------------+
 *                                             gets ACK
 *                         gets FIN
 *      ESTABLISHED ------------------------> CLOSE_WAIT
 *           | sends FIN                       |       | sends FIN and the ACK of the peer's
 *           v            gets FIN             |       v
 *      FIN_WAIT_1 -----------------> CLOSING  |    LAST_ACK -----------> CLOSED
 *           |     \                    | ^    |             gets ACK
 *           |      \          gets ACK | +----+ sends FIN without that ACK
 *           |       \ gets both        v
 *           |        +------------> TIME_WAIT
 *           | gets ACK                 ^
 *           +-----> FIN_WAIT_2 --------+ gets FIN
 *
 * Two flavours. Strict: every packet passes us, so what cannot be does not move anybody. Tolerant:
 * a passive tap misses packets, so an end that behaves as if it were further on is further on.
 * Cells that hold for tolerant only say TOL.
 *
 * The tables: [state][case]; a cell that is not listed is 0, "stays". A cell never holds a state as
 * such but TO(state), so that CLOSED (0) cannot be entered by forgetting.
 *
 * A FIN is a position in the sequence, not a flag: the receiver has it when everything before it is
 * there too (fin_here), which may come true on a segment without FIN that fills the hole.
 *
 * NEVER: no packets lead here, however they are made, from a SYN on or picked up. In test builds
 * (WEIR_FSM_COVER) visits are counted, and one to such a cell aborts, so that a fuzzer finds it;
 * test_fsmcover holds that all others are visited.
 */
#include "tcp/fsm.h"

#include <stdlib.h>

#include "wire/seg.h"

#define TO(s)    (FS_##s + 1)
#define TOL(s)   (TO(s) | TOLERANT)
#define TOLERANT 0x80
#define NEVER_S  0x40 /* strict: no packets lead here */
#define NEVER_T  0x20 /* tolerant: nor here */
#define NEVER    (NEVER_S | NEVER_T)
#define APP      0x10 /* only if an application made something else of the SYN */
#define TARGET   0x0f

#ifdef WEIR_FSM_COVER
uint64_t fsm_visits[2][2][FS_CNT][FSM_CASES];
bool fsm_stops = true;

/* visit: count the cell. Packets that come where none can are a find. */
static void visit(int table, const struct fsm_query *q, unsigned c, uint8_t cell)
{
    fsm_visits[table][q->strict][q->state][c]++;
    if (fsm_stops && !q->altered && (cell & (q->strict ? NEVER_S : NEVER_T)))
        abort();
}
#else
#define visit(table, q, c, cell) ((void)0)
#endif

static uint8_t next_state(uint8_t cell, const struct fsm_query *q)
{
    if (!(cell & TARGET) || (cell & TOLERANT && q->strict))
        return q->state;
    return (uint8_t)((cell & TARGET) - 1);
}

/* -- sender -- */

/* What a segment says of its sender, the strongest statement first. */
enum send_case {
    S_NOTHING,     /* no ACK, nothing in it */
    S_ACK,         /* an ACK and nothing else */
    S_DATA,        /* stream bytes */
    S_FIN,         /* FIN, perhaps with bytes */
    S_GOT_FIN,     /* its ACK covers the peer's FIN */
    S_FIN_GOT_FIN, /* both: FIN, and the peer's acknowledged */
    S_SYN,
    S_SYNACK,
    S_RST,
    S_CASES
};

/* clang-format off */
static const uint8_t send_table[FS_CNT][S_CASES] = {
    [FS_CLOSED] = {
        [S_NOTHING] = NEVER,     /* whatever carries none of SYN, ACK, RST is dropped, 3.10.7.4 */
        [S_SYN] = TO(SYN_SENT), /* active open, RFC 9293 3.10.1 */
        [S_RST] = TO(CLOSED),
    },
    [FS_LISTEN] = {                 /* the SYN that opens the flow moves its receiver on */
        [S_NOTHING] = NEVER,
        [S_ACK] = APP,
        [S_DATA] = APP,
        [S_FIN] = APP,
        [S_GOT_FIN] = APP,
        [S_FIN_GOT_FIN] = APP,
        [S_SYN] = TO(SYN_SENT) | APP,     /* LISTEN may turn active, 3.10.1 */
        [S_SYNACK] = TOL(SYN_RCVD) | APP, /* it answers a SYN that passed unseen */
        [S_RST] = TO(CLOSED) | APP,
    },
    [FS_SYN_SENT] = {
        [S_NOTHING] = NEVER,
        [S_SYN] = TO(SYN_SENT),         /* again */
        [S_SYNACK] = TO(SYN_RCVD),      /* it has the peer's SYN: both open, 3.5 figure 7 */
        [S_ACK] = TOL(ESTABLISHED),     /* the SYN/ACK passed unseen */
        [S_DATA] = TOL(ESTABLISHED),
        [S_FIN] = TOL(FIN_WAIT_1),      /* as before, and closed since */
        [S_GOT_FIN] = TOL(CLOSE_WAIT),
        [S_FIN_GOT_FIN] = TOL(LAST_ACK),
        [S_RST] = TO(CLOSED),
    },
    [FS_SYN_RCVD] = {
        [S_NOTHING] = NEVER,
        [S_SYN] = TO(SYN_RCVD),         /* its own SYN: it has got the peer's */
        [S_SYNACK] = TO(SYN_RCVD),
        [S_DATA] = TOL(ESTABLISHED),    /* handshake's end unseen; a bare ACK proves nothing */
        [S_FIN] = TO(FIN_WAIT_1),       /* CLOSE in SYN-RECEIVED, 3.10.4 */
        [S_GOT_FIN] = TO(CLOSE_WAIT),   /* with the FIN came the ACK of its SYN */
        [S_FIN_GOT_FIN] = TO(LAST_ACK),
        [S_RST] = TO(CLOSED),
    },
    [FS_ESTABLISHED] = {
        [S_NOTHING] = NEVER,
        [S_FIN] = TO(FIN_WAIT_1),       /* 3.10.4 */
        [S_GOT_FIN] = TO(CLOSE_WAIT),   /* bytes before the FIN passed unseen: the hole is ours */
        [S_FIN_GOT_FIN] = TO(LAST_ACK),
        [S_RST] = TO(CLOSED),
    },
    [FS_FIN_WAIT_1] = {
        [S_NOTHING] = NEVER,
        /* The peer's FIN lay behind a hole of ours: the receiver table did not see it. */
        [S_GOT_FIN] = TO(CLOSING),
        [S_FIN_GOT_FIN] = TO(CLOSING),
        [S_RST] = TO(CLOSED),
    },
    [FS_FIN_WAIT_2] = {
        [S_NOTHING] = NEVER,
        [S_GOT_FIN] = TO(TIME_WAIT),    /* likewise */
        [S_FIN_GOT_FIN] = TO(TIME_WAIT),
        [S_RST] = TO(CLOSED),
    },
    [FS_CLOSE_WAIT] = {
        [S_NOTHING] = NEVER,
        /* The peer's FIN, which we took for arrived, was still on its way when this one was
         * sent: both close at once (3.6 figure 13). */
        [S_FIN] = TO(CLOSING),
        [S_FIN_GOT_FIN] = TO(LAST_ACK), /* 3.10.4 */
        [S_RST] = TO(CLOSED),
    },
    /* Nothing but RST tells anything new of these: repeated FINs and ACKs. */
    [FS_CLOSING] = {[S_NOTHING] = NEVER, [S_RST] = TO(CLOSED)},
    [FS_LAST_ACK] = {[S_NOTHING] = NEVER, [S_RST] = TO(CLOSED)},
    [FS_TIME_WAIT] = {[S_NOTHING] = NEVER, [S_RST] = TO(CLOSED)}, /* SYN: a new flow, the caller's business */
};
/* clang-format on */

static enum send_case send_case(const struct fsm_query *q)
{
    const bool ack = q->tflags & TH_ACK_, got_fin = ack && q->acks_fin;

    if (q->tflags & TH_RST_)
        return S_RST;
    if (q->tflags & TH_SYN_)
        return ack ? S_SYNACK : S_SYN;
    if (q->tflags & TH_FIN_)
        return got_fin ? S_FIN_GOT_FIN : S_FIN;
    if (got_fin)
        return S_GOT_FIN;
    if (q->payload)
        return S_DATA;
    return ack ? S_ACK : S_NOTHING;
}

uint8_t fsm_send(const struct fsm_query *q)
{
    enum send_case c = send_case(q);

    assert(q->state < FS_CNT);
    /* After the handshake everything carries ACK (RFC 9293 3.10.7.4, step 5); what does not is
     * no proof that it is over. */
    if ((q->state == FS_SYN_SENT || q->state == FS_SYN_RCVD) && (c == S_DATA || c == S_FIN) &&
        !(q->tflags & TH_ACK_))
        c = S_NOTHING;
    visit(0, q, c, send_table[q->state][c]);
    return next_state(send_table[q->state][c], q);
}

/* -- receiver -- */

/*
 * What arrives, as three bits that may come together. ACK: of what this state waits for, its SYN
 * until it is established, its FIN after. SYN: counts until established; afterwards it is answered
 * with a challenge ACK and moves nothing (RFC 5961 4). FIN: all up to the peer's FIN is there.
 */
enum recv_case { R_ACK = 1, R_SYN = 2, R_FIN = 4, R_RST = 8, R_CASES };

/* A SYN counts until established: see recv_case. */
#define NO_SYN                                                                                     \
    [R_SYN] = NEVER, [R_SYN | R_ACK] = NEVER, [R_SYN | R_FIN] = NEVER,                             \
    [R_SYN | R_ACK | R_FIN] = NEVER

/* clang-format off */
static const uint8_t recv_table[FS_CNT][R_CASES] = {
    [FS_CLOSED] = {
        [R_RST] = TO(CLOSED),
    },
    [FS_LISTEN] = {
        [R_SYN] = TO(SYN_RCVD),          /* RFC 9293 3.10.7.2 */
        [0] = APP,
        [R_ACK] = APP,
        [R_SYN | R_ACK] = APP,
        [R_FIN] = APP,
        [R_ACK | R_FIN] = APP,
        [R_SYN | R_FIN] = TO(SYN_RCVD) | APP, /* no FIN is taken before the handshake is over */
        [R_SYN | R_ACK | R_FIN] = APP,
        [R_RST] = TO(CLOSED) | APP,      /* the RFC says stay, but there is no flow to follow */
    },
    [FS_SYN_SENT] = {                    /* 3.10.7.3 */
        [R_SYN | R_ACK] = TO(ESTABLISHED),
        [R_SYN | R_ACK | R_FIN] = TO(CLOSE_WAIT),
        [R_SYN] = TO(SYN_RCVD),          /* both open at once */
        [R_SYN | R_FIN] = TO(SYN_RCVD),
        /* the SYN/ACK passed unseen; a bare ACK of our SYN. Strict drops it */
        [R_ACK] = TOL(ESTABLISHED) | NEVER_S,
        [R_ACK | R_FIN] = TOL(CLOSE_WAIT) | NEVER_S,
        [0] = NEVER,                     /* all else is dropped */
        [R_FIN] = NEVER,
        [R_RST] = TO(CLOSED),
    },
    [FS_SYN_RCVD] = {                    /* 3.10.7.4, step 5; no FIN without ACK of the SYN */
        [R_SYN] = TO(SYN_RCVD),          /* again */
        [R_ACK] = TO(ESTABLISHED),
        [R_ACK | R_FIN] = TO(CLOSE_WAIT),
        [R_SYN | R_ACK] = TO(ESTABLISHED), /* both open at once, 3.5 figure 7, lines 5 and 6 */
        [R_SYN | R_ACK | R_FIN] = TO(CLOSE_WAIT) | NEVER_S, /* behind a FIN it is old */
        [0] = NEVER_S,                   /* dropped, unless it acknowledges the SYN */
        [R_FIN] = NEVER_S,
        [R_RST] = TO(CLOSED),            /* a passive open would return to LISTEN: another flow */
    },
    [FS_ESTABLISHED] = {                 /* step 8 from here on */
        NO_SYN,
        [R_FIN] = TO(CLOSE_WAIT),
        [R_ACK | R_FIN] = TO(CLOSE_WAIT),
        [R_RST] = TO(CLOSED),
    },
    [FS_FIN_WAIT_1] = {
        NO_SYN,
        [R_ACK] = TO(FIN_WAIT_2),
        [R_FIN] = TO(CLOSING),
        [R_ACK | R_FIN] = TO(TIME_WAIT),
        [R_RST] = TO(CLOSED),
    },
    [FS_FIN_WAIT_2] = {
        NO_SYN,
        [R_FIN] = TO(TIME_WAIT),
        [R_ACK | R_FIN] = TO(TIME_WAIT),
        [R_RST] = TO(CLOSED),
    },
    [FS_CLOSE_WAIT] = {
        NO_SYN,
        [R_RST] = TO(CLOSED),
    },
    [FS_CLOSING] = {
        NO_SYN,
        [R_ACK] = TO(TIME_WAIT),
        [R_ACK | R_FIN] = TO(TIME_WAIT),
        [R_RST] = TO(CLOSED),
    },
    [FS_LAST_ACK] = {
        NO_SYN,
        [R_ACK] = TO(CLOSED),
        [R_ACK | R_FIN] = TO(CLOSED),    /* the peer's FIN again, with the ACK of ours */
        [R_RST] = TO(CLOSED),
    },
    [FS_TIME_WAIT] = {
        NO_SYN,
        [R_RST] = TO(CLOSED),            /* if it is believed (RFC 1337 would not) */
    },
};
/* clang-format on */

static unsigned recv_case(const struct fsm_query *q)
{
    const bool ack = q->tflags & TH_ACK_;
    const bool opening = q->state < FS_ESTABLISHED;
    const bool good = ack && (opening ? q->ack_of_syn : q->ack_of_fin);
    /* A SYN/ACK of something else is no SYN either: RST would answer it (3.10.7.3, step 1). */
    const bool syn = opening && q->tflags & TH_SYN_ && (good || !ack);

    if (q->tflags & TH_RST_)
        return R_RST;
    return (good ? R_ACK : 0) | (syn ? R_SYN : 0) | (q->fin_here ? R_FIN : 0);
}

uint8_t fsm_recv(const struct fsm_query *q)
{
    unsigned c = recv_case(q);

    assert(q->state < FS_CNT);
    visit(1, q, c, recv_table[q->state][c]);
    return next_state(recv_table[q->state][c], q);
}

#ifdef WEIR_FSM_COVER
bool fsm_never(int table, bool strict, unsigned state, unsigned c)
{
    return (table ? recv_table[state][c] : send_table[state][c]) & (strict ? NEVER_S : NEVER_T);
}

bool fsm_by_app(int table, unsigned state, unsigned c)
{
    return (table ? recv_table[state][c] : send_table[state][c]) & APP;
}
#endif

/* -- names -- */

const char *fsm_name(unsigned state)
{
    static const char *const name[FS_CNT] = {
        [FS_CLOSED] = "CLOSED",           [FS_LISTEN] = "LISTEN",
        [FS_SYN_SENT] = "SYN_SENT",       [FS_SYN_RCVD] = "SYN_RCVD",
        [FS_ESTABLISHED] = "ESTABLISHED", [FS_FIN_WAIT_1] = "FIN_WAIT_1",
        [FS_FIN_WAIT_2] = "FIN_WAIT_2",   [FS_CLOSE_WAIT] = "CLOSE_WAIT",
        [FS_CLOSING] = "CLOSING",         [FS_LAST_ACK] = "LAST_ACK",
        [FS_TIME_WAIT] = "TIME_WAIT",
    };

    return state < FS_CNT ? name[state] : "?";
}
