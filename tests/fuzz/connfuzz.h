/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * connfuzz.h: what the parts of fuzz_conn share: the world of one input.
 *
 *   connfuzz_send.c   records become segments of a few connections, near what each end expects
 *   connfuzz_watch.c  callbacks: is what is told possible? are the bytes those that were sent?
 *   connfuzz_loss.c   is every byte delivered, or was its loss told?
 *   connfuzz_act.c    what an application may do in a callback
 *   connfuzz_move.c   every flow leaves the context and comes back
 *   fuzz_conn.c       configuration, batches, the end: nothing is left
 */
#ifndef WEIR_TESTS_CONNFUZZ_H
#define WEIR_TESTS_CONNFUZZ_H

#include <mos_api.h>

#include "frames.h"
#include "fuzz.h"

#define CF_HEADER 16
#define CF_RECORD 12
#define CF_PEERS  4 /* connections at once; the last is IPv6 */
#define CF_BATCH  64
#define CF_KIDS   1040
#define CF_OTHER  0x5a /* other content: each byte with this added */

/* Kinds of records: the upper five bits of byte 0. Smaller numbers are segments. */
enum cf_kind {
    CF_GARBAGE = 24,
    CF_FRAGMENTS = 25,
    CF_TICK = 26,
    CF_FLUSH = 27,
    CF_RAW = 28,
    CF_ARM = 29,
    CF_MOVE = 30
};

/* One connection as its ends see it: by sender. */
struct cf_peer {
    uint32_t isn[2], nxt[2];
    uint32_t ack[2]; /* last sent */
    uint32_t seq[2]; /* last sent */
    bool other;      /* some bytes were sent twice, with other content */
};

#define CF_RANGES 8

/* Stretches of a stream, disjoint. */
struct cf_ranges {
    struct {
        uint64_t from, to;
    } v[CF_RANGES];
    int n;
    bool full; /* there were more */
};

/* A child, from its first event to its last. */
struct cf_kid {
    bool live;
    bool loose; /* the application has changed its callbacks: not all is told any more */
    int peer;   /* -1: not one of ours */
    uint8_t started, ended; /* bits: side * 2 + (hook is RCV) */
    uint64_t read[2], end[2], gap[2];
    struct cf_ranges lost[2], told[2]; /* what its reader missed; what it was told of */
};

struct cf_world {
    mctx_t ctx;
    int lst[2], nlst, raw;
    const uint8_t *header;
    uint64_t now;
    struct cf_peer peer[CF_PEERS];
    struct cf_kid kid[CF_KIDS];
    bool loose;      /* a listener's callbacks were changed: all its children are loose */
    bool tight;      /* memory has a limit */
    bool tells_gaps; /* all listeners have asked for GAP at MOS_NULL */
    bool miscounts;  /* counters were switched off or on */
    bool any_bytes;  /* payload was changed by somebody: bytes are not compared */
    uint32_t calls;  /* callbacks so far */
    uint32_t depth, batches;
    uint8_t armed[3]; /* an action for the callback number armed_at */
    uint32_t armed_at;
    int n;
    struct frame_buf buf[CF_BATCH];
    struct mtcp_frame batch[CF_BATCH];
};

extern struct cf_world cf;

/* cf_byte: the byte that stands at a sequence number. */
static inline uint8_t cf_byte(int peer, int from, uint32_t seq)
{
    return (uint8_t)(((seq + (uint32_t)peer * 7919u + (uint32_t)from * 104729u) * 2654435761u) >>
                     24);
}

/* connfuzz_send.c */
void cf_send(const uint8_t *rec);     /* => frames are put into cf.batch; pushed when it is full */
void cf_send_raw(const uint8_t *rec); /* a frame of bytes without sense */
int cf_peer_of(uint16_t client_port); /* host order; => -1: none */

/* fuzz_conn.c */
void cf_flush(void);

/* connfuzz_watch.c */
void cf_on_event(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);
void cf_on_rcv(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);
void cf_on_null(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg);
void cf_on_timer(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg);
void cf_read(int sock, int side, size_t most, bool copy);
void cf_check_bytes(const struct cf_kid *k, int sock, int side, const uint8_t *p, size_t n,
                    uint64_t off);
void cf_finished(void); /* after the end of the input */

/* connfuzz_loss.c */
void cf_lost(struct cf_kid *k, int side, uint64_t off, uint64_t len); /* the reader was told so */
void cf_told(struct cf_kid *k, int side, uint64_t off, uint64_t len); /* by GAP */
void cf_overrun(struct cf_kid *k, int sock, int side); /* by ERROR, before it happens */
void cf_account(struct cf_kid *k, int sock);           /* at the child's end */

/* connfuzz_move.c */
void cf_move(void);

/* connfuzz_act.c */
void cf_act(int sock, int side, event_t ev, const uint8_t code[3]);

#endif
