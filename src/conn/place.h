/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * place.h: the other short way (plain.h has the first): the segments with which a connection begins and
 * ends, where each is what its receiver waits for: the SYN that opens the flow, its SYN/ACK, the ACK that
 * connects, a FIN in order, the ACKs behind it. Nothing of them is in question, and they leave no hole: the
 * long way need not judge, classify and look for holes. Bytes and ACK are treated as those of a plain segment.
 *
 * It is a short cut and no second truth (test_plain_model).
 */
#ifndef WEIR_CONN_PLACE_H
#define WEIR_CONN_PLACE_H

#include "conn/conn.h"

/*
 * conn_place: what is this segment to its flow, which it has opened or not? The flow has neither expired nor
 * ended if it is anything.
 */
enum conn_place conn_place(const struct conn_env *env, const struct flow *f, const struct seg *s,
                           int from, bool opened);
/* place_send, place_recv: as conn_send and conn_recv, if cp->in_place is set. plain_merge goes on. */
void place_send(const struct conn_env *env, struct conn_pkt *cp);
void place_recv(struct conn_pkt *cp);

#endif
