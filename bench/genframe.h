/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * genframe.h: the bytes of generated frames.
 */
#ifndef WEIR_BENCH_GENFRAME_H
#define WEIR_BENCH_GENFRAME_H

#include "gen.h"

enum { GF_FIN = 1, GF_SYN = 2, GF_PSH = 8, GF_ACK = 16 };

struct genframe {
    uint32_t flow; /* number of the flow: says addresses, ports and content */
    bool from_server;
    uint8_t flags;      /* GF_ */
    uint32_t seq, ack;  /* as they go on the wire */
    uint32_t off, plen; /* of the sender's stream */
};

struct gencontent;

/* gencontent_new: what the flows say, from the seed. => NULL: no memory. */
struct gencontent *gencontent_new(const struct gen_cfg *c);
void gencontent_free(struct gencontent *k);
/* gencontent_planted: how often GEN_PATTERN is in the answer of one flow. */
uint32_t gencontent_planted(const struct gencontent *k, uint32_t flow);
/* gencontent_bytes: what one end of a flow says from off on. => len is at most 65536. */
void gencontent_bytes(const struct gencontent *k, uint32_t flow, bool from_server, uint32_t off,
                      uint8_t *to, uint32_t len);
/* genframe_flow: the number of the flow whose client has this address: its last 32 bits, host order. */
uint32_t genframe_flow(uint32_t client);

/* genframe_build: => length of the frame written to buf. */
uint32_t genframe_build(struct gencontent *k, const struct genframe *f, uint8_t *buf);

#endif
