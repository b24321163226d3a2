/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * httpparse.h: HTTP/1.x messages out of the two streams of a connection, fed in pieces of any size.
 *
 * What is found depends on the bytes alone, never on how they were cut. A gap inside a body whose
 * length is known is passed over by counting; after any other gap the next line that looks like the
 * beginning of a message is searched.
 *
 * How a response ends depends on its request (HEAD, CONNECT). So a response waits for its request
 * if that is late, as behind a gap, and nothing depends on which direction is fed first. Where they
 * cannot be told together any more, because some were lost, responses are taken to be to GET.
 */
#ifndef WEIR_APPS_HTTPPARSE_H
#define WEIR_APPS_HTTPPARSE_H

#include "httpmsg.h"

enum http_state {
    HTTP_HEAD,        /* between messages, and in a head */
    HTTP_BODY,        /* `left` bytes of it */
    HTTP_CHUNK_SIZE,  /* the line before a chunk */
    HTTP_CHUNK,       /* `left` bytes of it */
    HTTP_CHUNK_END,   /* the line end behind a chunk */
    HTTP_TRAILER,     /* lines behind the last chunk */
    HTTP_UNTIL_CLOSE, /* a body that the end of the connection ends */
    HTTP_SEARCH,      /* lost: looking for a start line */
    HTTP_HOLD,        /* behind CONNECT: kept until it is answered */
    HTTP_WAIT,        /* the head of a response: kept until its request is known */
    HTTP_OFF,         /* not HTTP, or not any more */
};

struct http_dir {
    enum http_state state;
    bool request;
    bool lenient; /* something was HTTP here, or may have been: a strange line does not end it */
    bool skip;    /* HTTP_SEARCH: drop the rest of this line */
    uint64_t off; /* of the next byte */
    uint64_t left;
    struct http_msg *msg;         /* whose body is read */
    char *buf;                    /* a head, or a line, so far */
    size_t len, cap, line;        /* line: where the last line of a head begins */
    uint64_t begun_off, begun_ns; /* of buf's first byte */
};

struct http_conn {
    struct http_dir dir[2]; /* [HTTP_REQUESTS], [HTTP_RESPONSES] */
    uint8_t *asked;         /* requests without response: what kind */
    size_t nasked, cap_asked;
    bool requests_lost;             /* the last of `asked` stands for all that follow */
    bool blind;                     /* nobody knows which request a response is for */
    struct http_msg *first, **last; /* found and not taken yet, oldest first */
    uint64_t (*when)(void *arg, int dir, uint64_t off); /* when was this byte sent? */
    void *arg;
    bool failed; /* out of memory: both directions are off */
};

#define HTTP_REQUESTS  0
#define HTTP_RESPONSES 1

/* http_init: => lenient: the beginning of the connection was not seen. */
void http_init(struct http_conn *c, bool lenient,
               uint64_t (*when)(void *arg, int dir, uint64_t off), void *arg);
/* http_feed: the next n bytes of a direction. http_gap: n bytes of it will never come. */
void http_feed(struct http_conn *c, int dir, const char *p, size_t n);
void http_gap(struct http_conn *c, int dir, uint64_t n);
/* http_close: the connection is over: what is still open ends now. */
void http_close(struct http_conn *c);
/*
 * http_take: the oldest message found of one kind, the caller's to free. => NULL if there is none.
 */
struct http_msg *http_take(struct http_conn *c, bool request);
bool http_found(const struct http_conn *c, bool request);
/* http_needed: bytes from this offset on are still being worked at. */
uint64_t http_needed(const struct http_conn *c, int dir);
/* http_is_off: nothing more can be found. */
bool http_is_off(const struct http_conn *c);
void http_free(struct http_conn *c);

#endif
