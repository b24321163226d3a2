/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewriter.h: a string replaced in what passes, fed in pieces of any size. It knows nothing of packets.
 *
 * Of HTTP/1.x only the bodies of responses are changed. Where lengths differ the message must say so
 * before its body is known: a response of known length goes on in chunks (both ends must speak
 * HTTP/1.1), or up to the end of a connection that ends with it; one in chunks gets other chunks. What its
 * head says of the bytes as they were (digests, a strong ETag, ranges) goes. To have bodies that can be
 * read requests ask for no encoding. What is not HTTP, encoded, a part of something (206) or cannot be
 * framed is left alone, and counted.
 *
 * Bytes that may be the beginning of a match wait for those that follow. Where more is known to come, in
 * a body of known length or in chunks, they are kept here; else the caller holds them, and so he does
 * with a head (`hold`: they come again, in front of the next ones, or rewrite_left tells that they left).
 */
#ifndef WEIR_APPS_REWRITER_H
#define WEIR_APPS_REWRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REWRITE_TEXT  1024  /* bytes of either string, at most */
#define REWRITE_HEAD  16384 /* bytes of a head, at most */
#define REWRITE_ASKED 64    /* requests without response */

enum { REWRITE_REQUESTS, REWRITE_RESPONSES }; /* by sender: client, server */

struct rewrite_counts {
    uint64_t replaced;  /* strings */
    uint64_t responses; /* in which some were replaced */
    uint64_t encoded, partial,
        unframed;  /* those that were left alone: compressed, 206; HTTP/1.0, or framed in doubt */
    uint64_t late; /* heads that were too long, or could not be changed: their beginning had left */
    uint64_t missed; /* possible matches whose beginning had left */
};

struct rewrite_rule {
    const char *find, *with;
    size_t nfind, nwith; /* nfind > 0 */
    bool raw;            /* all payload, whatever it is */
};

enum rewrite_state {
    REWRITE_HEAD_,
    REWRITE_BODY,  /* `left` bytes */
    REWRITE_CLOSE, /* up to the end of the stream */
    REWRITE_CHUNK_SIZE,
    REWRITE_CHUNK, /* `left` bytes */
    REWRITE_CHUNK_END,
    REWRITE_TRAILER,
    REWRITE_BEHIND, /* the last message: what follows would be taken for its body */
    REWRITE_OFF,
};

struct rewrite_dir {
    enum rewrite_state state;
    uint64_t left;
    bool change;          /* this body is changed */
    bool frames;          /* it goes on in chunks of our own */
    bool last;            /* its length is not told any more: it ends with the connection */
    bool started, digits; /* of a chunk's size: a digit was seen; they have ended */
    bool hit;
    uint8_t line; /* of a trailer: bytes of this line, up to 2 */
    uint16_t ncarry;
    char carry[REWRITE_TEXT]; /* the beginning of a match, kept here */
    char *head;               /* what has come of a head; NULL: nothing, or no memory */
    size_t gone;              /* so many bytes of it have left */
};

struct rewrite_conn {
    struct rewrite_dir dir[2];
    uint8_t asked[REWRITE_ASKED]; /* what each open request allows, oldest first: bits below */
    uint8_t first, nasked;
    bool off; /* no message begins any more */
};

/* What a piece has become. `out` holds it; all of it but the last `hold` bytes, which come again. */
struct rewrite_out {
    char *buf;
    size_t len, cap;
    size_t hold;
    bool failed; /* out of memory, or a body that must not seem whole is not */
};

void rewrite_init(struct rewrite_conn *c, const struct rewrite_rule *rule);
/* rewrite_feed: the next n bytes of a direction; `end`: none follow. Room in o is used again. */
void rewrite_feed(struct rewrite_conn *c, const struct rewrite_rule *rule,
                  struct rewrite_counts *counts, int dir, const char *p, size_t n, bool end,
                  struct rewrite_out *o);
/*
 * rewrite_save: where the connection is before a piece of this direction, of which `held` bytes were to be
 * held. => false: no memory. rewrite_back: it was fed, and that does not count. rewrite_saved: it does.
 */
bool rewrite_save(const struct rewrite_conn *c, int dir, size_t held, struct rewrite_conn *saved);
void rewrite_back(struct rewrite_conn *c, int dir, const struct rewrite_conn *saved);
void rewrite_saved(int dir, struct rewrite_conn *saved);
/*
 * rewrite_passes: would these bytes pass as they are, and leave everything as it is? Cheaper than to
 * feed them.
 */
bool rewrite_passes(const struct rewrite_conn *c, const struct rewrite_rule *rule, int dir,
                    const char *p, size_t n);
/*
 * rewrite_left: the n bytes that were to be held have left as they were, and these np bytes follow. A
 * head that has left in part is read all the same: its message is changed if nothing of that part has
 * to be, else it passes as it is, and those behind it are changed again.
 */
void rewrite_left(struct rewrite_conn *c, const struct rewrite_rule *rule,
                  struct rewrite_counts *counts, int dir, size_t n, const char *p, size_t np);
/* rewrite_put: these bytes come next in the output. */
void rewrite_put(struct rewrite_out *o, const char *p, size_t n);
void rewrite_fini(struct rewrite_conn *c);
/* rewrite_is_off: nothing more will be changed in either direction. */
bool rewrite_is_off(const struct rewrite_conn *c);
/* rewrite_owes: what leaves as it comes now would not be what its receiver expects. */
bool rewrite_owes(const struct rewrite_conn *c, int dir);

#endif
