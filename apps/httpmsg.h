/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpmsg.h: the head of an HTTP/1.x message, taken apart (RFC 9112). It knows nothing of packets.
 */
#ifndef WEIR_APPS_HTTPMSG_H
#define WEIR_APPS_HTTPMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes from the network: anything may be in them, a 0 too. */
struct http_text {
    const char *p;
    size_t n;
};

struct http_msg {
    struct http_msg *next;
    bool request;
    bool complete;  /* the whole message was seen */
    uint64_t ts_ns; /* when its first byte was sent */
    uint64_t off;   /* of its first byte in the stream */
    uint64_t header_bytes, body_bytes;
    uint64_t missing;                      /* bytes of the body that the capture never saw */
    int status;                            /* responses: 100 to 999 */
    struct http_text version;              /* "1.1" */
    struct http_text method, target, host; /* requests; host may be empty */
    struct http_text reason;               /* responses; may be empty */
    /* How the body ends: what the head says. */
    bool chunked, has_length;
    uint64_t length;
    char head[]; /* what the texts point into */
};

/*
 * http_start_line: is this line, its end included, a request or status line of HTTP/1.x?
 * => plain: the method has upper case letters only; for lines in the middle of something.
 */
bool http_start_line(bool request, const char *line, size_t n, bool plain);
/* http_may_start: could a line that begins with these bytes become one? */
bool http_may_start(bool request, const char *line, size_t n);
/*
 * http_head: a whole head, from a line that is one to the empty line.
 * => the caller's to free; NULL: out of memory.
 */
struct http_msg *http_head(bool request, const char *head, size_t n);

#endif
