/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scene.h: a run through the public API that takes every way on which the library asks for memory,
 * and writes down what it was told: a configuration file with all keys and blocks; two listeners
 * and a raw socket with filters, options, user-defined events; connections in order, out of order,
 * with repetitions, holes, tags, IPv6, translation, resets, changed and dropped frames; stopped
 * ones; timers; so many that every table grows; idle times; the end of the input.
 *
 * A run never trusts a call: one that fails must say why (errno, mtcp_errstr), is counted and made
 * once more; if it fails again the run goes on to its end without it.
 *
 * Payload is made of its place in the stream, so what is read is right or wrong by itself. A broken
 * rule ends the process, with the run's name.
 */
#ifndef WEIR_TESTS_SCENE_H
#define WEIR_TESTS_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#define SCENE_CORES   3
#define SCENE_CROWD   600 /* SYNs that come all at once */
#define SCENE_FLOWS   (48 + SCENE_CROWD)
#define SCENE_LINES   50000 /* per context */
#define SCENE_READERS 2     /* listeners */

struct scene_plan {
    int cores;         /* 0: frames by mtcp_push; else a capture file through so many contexts */
    uint64_t memory;   /* the key `memory`; 0: no limit */
    uint64_t from, to; /* allocations that fail, see failing.h */
    bool retry;        /* calls that failed are made again */
};

enum scene_what { SCENE_START, SCENE_STATE, SCENE_PACKET, SCENE_REXMIT, SCENE_END };

struct scene_line {
    uint16_t flow;
    uint8_t reader; /* which listener's child */
    uint8_t what, side, hook;
    uint32_t v; /* number of the frame; of a state: which */
};

/* What one reader got of one side's stream. */
struct scene_stream {
    uint64_t got, lost;
};

/* What MOS_FLOW_INFO said at the last. */
struct scene_info {
    uint64_t packets[2], bytes[2], rexmit[2], disorder[2], gap[2];
    uint32_t nvlan;
};

struct scene_log {
    uint32_t n[SCENE_CORES];
    struct scene_line line[SCENE_CORES][SCENE_LINES];
    struct scene_stream stream[SCENE_FLOWS][SCENE_READERS][2];
    struct scene_info info[SCENE_FLOWS][SCENE_READERS];
    uint32_t orphans, raw, timers, gaps, overruns, timeouts, raised; /* events of these kinds */
    uint64_t allocs;                                                 /* allocations of the run */
    uint64_t lost;          /* counters that tell of a loss, together: of memory, ids, limits */
    uint64_t stream_failed; /* bytes that could not be kept */
    uint64_t mem_peak;      /* bytes held at the end */
    uint32_t said_no;       /* calls of the API that failed for want of memory */
    bool up;                /* it came as far as packets */
};

/* scene_prepare: make the frames and the capture file. scene_run: one run. */
void scene_prepare(void);
void scene_run(const struct scene_plan *plan, struct scene_log *log);
void scene_done(void);

/* scene_fail: print the run's name and what is wrong, and end the process. */
void scene_fail(const char *what, int line) __attribute__((noreturn));
#define must(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            scene_fail(#cond, __LINE__);                                                           \
    } while (0)

#endif
