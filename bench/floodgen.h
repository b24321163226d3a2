/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floodgen.h: a SYN flood from random sources, mixed with connections that carry data. Frames are
 * made piece by piece, a quarter of a million at a time, while no clock runs.
 */
#ifndef WEIR_BENCH_FLOODGEN_H
#define WEIR_BENCH_FLOODGEN_H

#include "preload.h"

struct flood_cfg {
    uint64_t seed;
    uint64_t sources; /* SYNs of the flood; 0: the connections' packets alone, the same ones */
    uint64_t packets; /* of the connections, after their handshakes: data and ACK in turn */
    uint32_t flows;
    uint32_t payload; /* bytes of a data segment */
    uint32_t step_ns; /* time between packets */
    bool options;     /* the flood's SYNs carry the options that Linux sends */
};

struct floodgen;

/* floodgen_new: => NULL: no memory. */
struct floodgen *floodgen_new(const struct flood_cfg *c);
void floodgen_free(struct floodgen *g);
/*
 * floodgen_next: the next piece: first all handshakes, then pieces of the mix. => NULL at the end.
 * Valid until the next call. Its t0_ns is the time of its first packet.
 */
const struct preload *floodgen_next(struct floodgen *g);
/* floodgen_byte: what connection number `flow` sends at this offset. */
uint8_t floodgen_byte(uint32_t flow, uint64_t off);
/* floodgen_bytes: payload sent so far. */
uint64_t floodgen_bytes(const struct floodgen *g);
/* floodgen_flow: the number of the connection whose client has this port and address. */
uint32_t floodgen_flow(uint32_t addr, uint16_t port);

#endif
