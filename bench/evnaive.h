/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evnaive.h: events of a connection as a program without shared sets would keep them: a list for each
 * connection, groups and below them their members, one allocation each; walked whenever something
 * happens.
 */
#ifndef WEIR_BENCH_EVNAIVE_H
#define WEIR_BENCH_EVNAIVE_H

#include <mos_api.h>

struct evnaive {
    struct evnaive *next, *below;
    int place; /* where it happens: the program's number for event and hook; below: its group's */
    event_t id;
    filter_t filter;
    callback_t cb; /* NULL: a group */
};

/* What is told. */
struct evnaive_call {
    mctx_t mctx;
    int sock, side;
    filter_arg_t *arg;
};

/* evnaive_add: at the end of the list. => NULL: no memory. */
struct evnaive *evnaive_add(struct evnaive **list, int place, event_t id, filter_t f,
                            callback_t cb);
/* evnaive_del: out of the list or what is below its elements. */
void evnaive_del(struct evnaive **list, event_t id);
/* evnaive_tell: filters of this place, and what hangs below those that say yes. */
void evnaive_tell(const struct evnaive *list, int place, const struct evnaive_call *c);
void evnaive_free(struct evnaive *list);

#endif
