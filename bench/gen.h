/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gen.h: seeded TCP traffic, frame by frame, as a tap between client and server sees it.
 *
 * Each connection is played by two small endpoints: handshake, one request, an answer of many
 * segments with a window, acknowledgements, retransmission, and both FINs. What is lost, held back
 * or doubled on the way follows from the seed, so the same configuration gives the same bytes on
 * every machine. Frames are Ethernet with IPv4 or IPv6; all checksums are right.
 *
 * Use: gen_open - gen_next until it returns 0 - gen_totals - gen_close.
 */
#ifndef WEIR_BENCH_GEN_H
#define WEIR_BENCH_GEN_H

#include <stdbool.h>
#include <stdint.h>

#define GEN_FRAME_MAX 9216               /* room that gen_next needs */
#define GEN_PATTERN   "weir-bench-match" /* the planted string, 16 bytes */

enum gen_order {
    GEN_RANDOM, /* the next packet comes from any live flow */
    GEN_ROUND,  /* one from each in turn */
    GEN_SERIAL, /* one flow after the other */
};

struct gen_cfg {
    uint64_t seed;
    uint32_t flows;      /* in all, at most 2^24 */
    uint32_t concurrent; /* at a time: one that has ended makes room for the next */
    uint32_t bytes;      /* the server's answer, each flow */
    uint32_t request;    /* the client's request: one segment, at most mss */
    uint32_t mss;
    uint32_t window;    /* segments in flight, at most 32 */
    uint32_t ack_every; /* segments in order for one ACK */
    int order;          /* enum gen_order */
    uint32_t run;       /* packets of a flow in a row, with GEN_RANDOM and GEN_ROUND */
    bool handshakes_first;
    bool ipv6;
    bool idle; /* nothing comes behind the request and its ACK, nobody closes */
    /* Chances of one segment of the answer, in millionths. */
    uint32_t lost_before; /* it never reaches the tap */
    uint32_t lost_after;  /* the tap sees it, the receiver does not */
    uint32_t reordered;   /* held back behind 1 .. reorder_max later segments of its flow */
    uint32_t reorder_max; /* at most 8 */
    uint32_t doubled;     /* it comes twice */
    uint32_t plant_every; /* each n-th flow has GEN_PATTERN in its answer; 0: none has */
    uint32_t step_ns;     /* time between packets */
};

struct gen_totals {
    uint64_t packets, bytes; /* of frames */
    uint64_t flows;
    uint64_t payload;      /* TCP payload bytes as they passed the tap */
    uint64_t stream_bytes; /* bytes both ends received in order, each once */
    uint64_t planted;      /* GEN_PATTERN in them */
    uint64_t lost_before, lost_after, reordered, doubled, rexmits;
};

struct gen;

/* gen_default: 1,000 flows of 8 KB, 100 at a time, nothing lost. */
void gen_default(struct gen_cfg *c);
/* gen_open: => NULL when a number is out of range (*why says which) or there is no memory. */
struct gen *gen_open(const struct gen_cfg *c, const char **why);
void gen_close(struct gen *g);
/*
 * gen_next: the next frame, into buf (GEN_FRAME_MAX bytes).
 * => its length; 0 after the last one. *ts_ns: its time.
 */
uint32_t gen_next(struct gen *g, uint8_t *buf, uint64_t *ts_ns);
/* gen_totals: what has passed so far; after the last frame, all of it. */
const struct gen_totals *gen_totals(const struct gen *g);

#endif
