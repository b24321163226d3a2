/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evapp.h: programs with many events for each connection, as event sets of the library or as a list of
 * their own for each connection (evnaive.c).
 *
 * Carrying. There are eight groups, one for each of eight places where events happen (evapp_roots): a
 * user-defined event whose filter says yes one time in 64, and below it the connections' own events, an
 * eighth of them in each group. These have filters, too, that say yes one time in four, and callbacks.
 * A connection takes the next n of a ring of 1,000 events, so that there are 1,000 different sets; and
 * every 16 packets it gives up its oldest event and takes the next one of the ring. With four events
 * there are four groups, with one there is one: PKT_IN at SND. Beside them each program counts packets,
 * and everything else that happens, once for each connection.
 *
 * Running. A connection's events hang at PKT_IN at SND directly. All filters run and say no.
 */
#ifndef WEIR_BENCH_EVAPP_H
#define WEIR_BENCH_EVAPP_H

#include "evwork.h"

#define EVAPP_RING 1000 /* events, and sets */
#define EVAPP_MOST 64   /* of a connection */

enum evapp_scheme { EVAPP_SETS, EVAPP_LISTS };

struct evapp_plan {
    const char *name;
    enum evapp_scheme scheme;
    uint32_t events; /* of each connection */
    bool running;    /* else carrying */
    bool one_set;    /* all connections have the same */
    bool reading;    /* every byte of both sides is read and searched; else buffers are off */
};

struct evapp_result {
    bool ok;
    char why[200];
    uint64_t setup_ns, ns; /* until all handshakes are over, and from then on */
    uint64_t setup_packets, packets;
    uint64_t rss;             /* most at the two ends */
    uint64_t filters, groups; /* calls */
    uint64_t callbacks, changes;
};

/* evapp_run: the whole workload; all counts are checked. */
void evapp_run(const struct evwork *w, const struct evapp_plan *plan, struct evapp_result *r);

#endif
