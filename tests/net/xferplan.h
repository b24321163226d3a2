/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xferplan.h: what one connection of a test transfer does, and what it says. Both follow from the
 * run's seed and the client's port, so client, server and whoever watches know them without a word
 * between them, and each can check every byte by its place.
 */
#ifndef WEIR_TESTS_XFERPLAN_H
#define WEIR_TESTS_XFERPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XFER_SERVER_PORT 5001
#define XFER_FIRST_PORT  10000 /* of the first client; the others follow */

enum { XFER_CLIENT, XFER_SERVER };

enum xfer_ending {
    XFER_CLIENT_FIRST, /* the server closes when it has read the client's FIN */
    XFER_SERVER_FIRST, /* the other way round */
    XFER_BOTH,         /* each closes when it has nothing more to say */
    XFER_HALF,         /* the server has more to say after the client's FIN */
    XFER_RESET,        /* one end drops the connection in the middle */
    XFER_ENDINGS
};

/* One end of the connection. */
struct xfer_end {
    uint64_t bytes; /* it sends in all */
    uint64_t late;  /* of them after the peer's FIN (XFER_HALF) */
    uint32_t write_max, read_max;
    uint32_t pause_bytes;  /* it stops reading now and then, after about so many; 0: never, ... */
    uint32_t pause_max_us; /* ... for so long at most: a small buffer is full before */
    int rcvbuf;            /* SO_RCVBUF; 0: as the kernel likes it */
    bool nodelay;
    bool resets;       /* XFER_RESET: this end does it, ... */
    bool unread;       /* by close() with bytes unread, else by SO_LINGER 0 */
    uint64_t reset_at; /* ... when it has read so many bytes */
};

struct xfer_plan {
    int ending; /* enum xfer_ending */
    bool ipv6;
    int mss; /* 536 .. 1460 */
    struct xfer_end end[2];
};

/* xfer_plan: => sizes lie from min to max, most of them near min. */
void xfer_plan(struct xfer_plan *p, uint64_t seed, uint16_t port, uint64_t min, uint64_t max);
const char *xfer_ending_name(int ending);

/* xfer_key: names the bytes that one end of this connection sends. */
uint64_t xfer_key(uint64_t seed, uint16_t port, int sender);
/* xfer_fill: the bytes at this place of the stream. */
void xfer_fill(uint64_t key, uint64_t off, uint8_t *buf, size_t len);
/* xfer_check: => how many of these bytes are right, up to the first wrong one. */
size_t xfer_check(uint64_t key, uint64_t off, const uint8_t *buf, size_t len);

#endif
