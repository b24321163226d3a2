/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faults.h: a bad line, one direction of it. Frames go in, and come out late, changed, twice, in
 * pieces or not at all; what happens to which follows from a seed. It knows neither clock nor socket.
 *
 * Two of them, one after the other with a tap between, are a line that fails before and behind the
 * tap.
 */
#ifndef WEIR_TESTS_FAULTS_H
#define WEIR_TESTS_FAULTS_H

#include <stdint.h>

#define FAULTS_FRAME_MAX 2048 /* longer frames are handed on as they are */

/* Chances are in millionths of the frames with TCP; all other frames pass unharmed. */
struct fault_cfg {
    uint32_t drop;
    uint32_t duplicate;   /* it comes twice, the second copy with faults of its own */
    uint32_t reorder;     /* held back behind 1 .. reorder_max later frames of its connection */
    uint32_t reorder_max; /* at least 1 */
    uint32_t delay;       /* held back for up to delay_max_us */
    uint32_t delay_max_us;
    uint32_t corrupt;  /* one byte of it is another one */
    uint32_t fragment; /* as fragments of IPv4 or IPv6, in random order */
};

struct fault_totals {
    uint64_t frames, bytes; /* that came in */
    uint64_t dropped, duplicated, reordered, delayed, corrupted, fragmented;
};

struct faults;
typedef void faults_out_fn(void *arg, const uint8_t *frame, uint32_t len);

/* faults_new: => out is called with arg for each frame that comes out. NULL: no memory. */
struct faults *faults_new(const struct fault_cfg *cfg, uint64_t seed, faults_out_fn *out,
                          void *arg);
void faults_free(struct faults *f);
/* faults_frame: a frame goes in; some may come out, it among them. The bytes are the caller's. */
void faults_frame(struct faults *f, const uint8_t *frame, uint32_t len, uint64_t now_ns);
/* faults_tick: whatever has waited long enough comes out. */
void faults_tick(struct faults *f, uint64_t now_ns);
/* faults_due: when faults_tick has something to do. => UINT64_MAX: nothing waits. */
uint64_t faults_due(const struct faults *f);
/* faults_flush: all that waits comes out. */
void faults_flush(struct faults *f);
const struct fault_totals *faults_totals(const struct faults *f);

#endif
