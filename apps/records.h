/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * records.h: finished records of all contexts, given out in one order that does not depend on how
 * many contexts there are: (first time, second time, tuple, minor, text).
 *
 * With one context and RECORDS_BY_TIME they go out as the clock moves on: all of the same first
 * time wait for one another. With several, or with RECORDS_AT_END, they wait for the end of the
 * input. RECORDS_AT_ONCE does not sort. RECORDS_LIVE: nor does it wait, whatever the number of
 * contexts: an interface has no end.
 */
#ifndef WEIR_APPS_RECORDS_H
#define WEIR_APPS_RECORDS_H

#include <pthread.h>

#include "appflow.h"
#include "appopt.h"

enum records_mode { RECORDS_BY_TIME, RECORDS_AT_END, RECORDS_AT_ONCE, RECORDS_LIVE };

struct record_key {
    uint64_t first, second;
    struct ends ends;
    uint64_t minor;
};

struct record;

struct record_list {
    struct record **rec;
    size_t n, cap;
    bool lost; /* out of memory */
};

struct records {
    enum records_mode mode;
    int nctx;
    void (*emit)(void *arg, const char *text, size_t len);
    void *arg;
    uint64_t count;       /* given out */
    pthread_mutex_t lock; /* LIVE: around emit and count */
    struct record_list list[APP_MAX_CORES];
};

/*
 * records_init: emit gets every record, in order; with one context from its thread, else from the
 * thread of records_finish - but with AT_ONCE and LIVE from all of them, one record at a time with
 * LIVE.
 */
void records_init(struct records *r, enum records_mode mode, int nctx,
                  void (*emit)(void *arg, const char *text, size_t len), void *arg);
/* records_add: text is copied. ctx: number of the context that calls. */
void records_add(struct records *r, int ctx, const struct record_key *key, const char *text,
                 size_t len);
/* records_finish: give out all that is left and free it. => false if memory ran out on the way. */
bool records_finish(struct records *r);

#endif
