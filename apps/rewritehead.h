/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewritehead.h: what a head of HTTP/1.x says of its body, for rewriter.c.
 */
#ifndef WEIR_APPS_REWRITEHEAD_H
#define WEIR_APPS_REWRITEHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct head {
    const char *p;
    size_t n;
    bool chunked; /* the last transfer coding */
    bool coded;   /* there are others */
    bool encoded, partial, has_length;
    uint64_t length;
    bool old;    /* a response of HTTP/1.0: it has no chunks */
    bool closes; /* a response: the connection ends with it */
    bool odd; /* its framing can be read in more than one way (RFC 9112 2.2, 5.1, 5.2, 6.1, 6.3) */
};

/* head_end: bytes up to the empty line, it included. => 0: it has not come. */
size_t head_end(const char *p, size_t n);
/* read_head: all that matters of a head of n bytes, which ends with its empty line. */
struct head read_head(const char *p, size_t n, bool response);

/* line_of: the line of the head that begins at p, its end included. */
size_t line_of(const char *p, size_t n);

/* value_of: is this a header line with this name? *v, *len: its value, without blanks. */
bool value_of(const char *line, size_t n, const char *name, const char **v, size_t *len);
/* next_of: the next word of a list, from *at on, without blanks. => false: there is none. */
bool next_of(const char *v, size_t n, size_t *at, const char **word, size_t *len);
/* word_is: in any case. */
bool word_is(const char *word, size_t len, const char *what);

#endif
