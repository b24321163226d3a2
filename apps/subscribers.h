/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subscribers.h: whom connections are charged to, and what each of them has run up. One table for
 * each context; they are put together in the end.
 */
#ifndef WEIR_APPS_SUBSCRIBERS_H
#define WEIR_APPS_SUBSCRIBERS_H

#include <stdbool.h>

#include "appflow.h"
#include "prefixes.h"

#define EVIDENCE_BYTES 16 /* of each copy */
#define EVIDENCE_MAX   8  /* pieces kept of each subscriber; the others are counted */

/* subscriber_number: a key that is no address: from 0 on of the prefix list, and these. */
#define SUBSCRIBER_NONE   (-1)
#define SUBSCRIBER_ALL    (-2)
#define SUBSCRIBER_OTHERS (-3) /* more than SUBSCRIBERS_MAX */

#ifndef SUBSCRIBERS_MAX         /* tests have fewer */
#define SUBSCRIBERS_MAX 1000000 /* of a context */
#endif

struct pair {
    uint64_t packets, bytes;
};

enum { UP, DOWN }; /* what the subscriber has sent, what it was sent */

/* A repetition that was none: its bytes are not those of the first copy. */
struct change {
    uint64_t ts_ns;
    struct ends ends;
    int way;                         /* UP, DOWN */
    bool sampled;                    /* `differ` is of the bytes kept only */
    uint64_t off;                    /* in the stream: the first byte that differs */
    uint64_t len;                    /* from there to the last that does */
    uint64_t differ;                 /* bytes that do */
    uint32_t n[2];                   /* bytes at `copy` */
    uint8_t copy[2][EVIDENCE_BYTES]; /* [0] the first copy, [1] the repetition */
};

/* One way of a subscriber's traffic; bytes include IP headers, except those of `again` on. */
struct way {
    uint64_t packets, bytes;
    uint64_t free_bytes; /* of repetitions that are not charged */
    uint64_t again_packets, again_bytes;
    uint64_t unknown_bytes; /* repeated, and nothing was kept to compare them with */
    uint64_t changed_packets, changed_bytes;
};

#define SUBSCRIBER_BYTES 256 /* roughly what one takes, with its place in the table */

struct subscriber {
    struct endpoint key; /* address with port 0; or family 0 and a number */
    uint64_t conns;
    struct way way[2];
    int nchange; /* of `change`, in the order of time */
    struct change *change;
};

struct subscribers {
    struct subscriber **v; /* hash table */
    size_t n, cap;
    size_t most; /* told apart; 0: SUBSCRIBERS_MAX */
    uint64_t secret;
};

struct endpoint subscriber_number(int number);
/*
 * subscribers_get: the one with this key, made if need be; when there are too many, the one of all
 * others. Addresses that are not `proved`, by an answer, take no more than half of the places: no flood of
 * random ones takes those of the others. => NULL: no memory.
 */
struct subscriber *subscribers_get(struct subscribers *t, const struct endpoint *key, bool proved);
/* subscribers_merge: add all of `from` to `to`; `from` is empty afterwards. => false: no memory. */
bool subscribers_merge(struct subscribers *to, struct subscribers *from);
/* subscribers_list: all of them, by bytes, most first. => n entries to be freed; NULL: no memory. */
struct subscriber **subscribers_list(const struct subscribers *t);
void subscribers_free(struct subscribers *t);

/* change_copy: n bytes of evidence, as many as there is room for, of the first copy (0) or the other (1). */
void change_copy(struct change *c, int which, const void *p, uint64_t n);
/* subscriber_change: keep a piece of evidence, if there is room. => false: no memory. */
bool subscriber_change(struct subscriber *s, const struct change *c);

#endif
