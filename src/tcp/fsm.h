/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fsm.h: what both ends must believe. Two tables: what a segment tells of its sender, and what it
 * does to its receiver, both inferred by somebody in the middle (API semantics 5, RFC 9293 3.10).
 * Pure: a query in, the next state out.
 */
#ifndef WEIR_TCP_FSM_H
#define WEIR_TCP_FSM_H

#include "base/compiler.h"

/* Values of the public enum tcpstate (not Linux's order); mon/ asserts that they agree. */
enum fsm_state {
    FS_CLOSED,
    FS_LISTEN,
    FS_SYN_SENT,
    FS_SYN_RCVD,
    FS_ESTABLISHED,
    FS_FIN_WAIT_1,
    FS_FIN_WAIT_2,
    FS_CLOSE_WAIT,
    FS_CLOSING,
    FS_LAST_ACK,
    FS_TIME_WAIT,
    FS_CNT
};

/* A segment and what has been worked out about it, seen from one endpoint. */
struct fsm_query {
    uint8_t state;  /* the endpoint's, before */
    uint8_t tflags; /* enum tcp_flag */
    bool strict;    /* else tolerant: packets may have passed unseen */
    bool payload;   /* carries stream bytes */
    bool altered;   /* an application has changed the packet since it was judged */
    /* sender's view */
    bool ack_all;  /* its ACK equals the next number it expects */
    bool acks_fin; /* its ACK covers the peer's FIN: so it has received that */
    /* receiver's view */
    bool ack_of_syn; /* ISS < SEG.ACK <= SND.NXT (asked in SYN_SENT, SYN_RCVD) */
    bool ack_of_fin; /* the ACK covers the receiver's own FIN */
    bool fin_here;   /* the receiver has all up to and including the sender's FIN */
};

/*
 * fsm_send: the sender's next state.
 * => the same state when the segment tells nothing. RST: CLOSED (the caller has already judged it).
 */
uint8_t fsm_send(const struct fsm_query *q);

/* fsm_recv: the receiver's next state. RST: CLOSED. */
uint8_t fsm_recv(const struct fsm_query *q);

#ifdef WEIR_FSM_COVER
#define FSM_CASES 9 /* of either table */

/* How often each cell was asked: [0 sender, 1 receiver][strict][state][case]. */
extern uint64_t fsm_visits[2][2][FS_CNT][FSM_CASES];
/* fsm_stops: does a visit to a cell that no packets can reach abort? true until set. */
extern bool fsm_stops;
/* fsm_never: is the cell marked as one that no packets reach? */
bool fsm_never(int table, bool strict, unsigned state, unsigned c);
/* fsm_by_app: is it one that packets reach only if an application made something else of the SYN? */
bool fsm_by_app(int table, unsigned state, unsigned c);
#endif

/* fsm_name: "ESTABLISHED", ... => "?" when out of range. */
const char *fsm_name(unsigned state);

/* fsm_done: has this endpoint nothing more to do (CLOSED, or TIME_WAIT)? */
static inline bool fsm_done(uint8_t state)
{
    return state == FS_CLOSED || state == FS_TIME_WAIT;
}

#endif
