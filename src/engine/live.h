/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live.h: what live.c (threads, the loop) and livedev.c (interfaces, names, counters) share.
 *
 * A lane is what a context has of the interfaces: a handle of each (its queue), a ring from every
 * other context, and the clock. Lanes stay until mtcp_destroy: others may write to their rings.
 */
#ifndef WEIR_ENGINE_LIVE_H
#define WEIR_ENGINE_LIVE_H

#include <poll.h>

#include "engine/crossing.h"
#include "engine/engine.h"
#include "engine/router.h"

struct lane {
    struct ctx *c;
    int me;
    pthread_t creator; /* who has made the context */
    bool attached, started;
    struct ways_out out; /* the interfaces; NULL behind its last one */
    bool over[MON_IFS];  /* it has no more frames (tests) */
    int reads;           /* interfaces that have more */
    struct pollfd fd[MON_IFS * IO_FDS + 1];
    int nfd;                  /* the bell is the last */
    bool blind;               /* an interface has nothing to poll: it is asked again and again */
    int bell;                 /* eventfd: something was put into a ring, or it is to stop */
    int asleep;               /* atomic: it waits, or is about to: ring */
    int takes;                /* atomic: frames of its flows may be put into its rings */
    struct crossing *from;    /* by context; its own is not used */
    struct mon_filter filter; /* in line: what is not selected passes unseen */
    uint64_t unselected;
    uint64_t rung;              /* contexts that something was put in for, by bit */
    uint64_t clock;             /* of the context: never goes back */
    uint64_t mono, base;        /* CLOCK_MONOTONIC then; the time of day then */
    uint64_t told;              /* monotonic: when the counters were published */
    struct router_lane *router; /* NULL: frames are not routed */
    struct live_tally tally;    /* atomics, written by its thread */
} __apart;

struct live {
    int cores, nif;
    char why[256];             /* why bare names were not taken by a faster kind; "": they were */
    char *name[MON_IFS];       /* with its kind; NULL: not chosen yet */
    int reading;               /* atomic: lanes whose interfaces have more frames */
    int ended;                 /* atomic: all lanes stop */
    pthread_mutex_t frag_lock; /* several contexts: the table of unfinished datagrams */
    struct defrag frags;
    uint64_t frag_clock;   /* of the table: the latest of all contexts' that have come to it */
    struct router *router; /* made with the first context; NULL: frames are not routed */
    struct lane lane[MON_CONTEXTS];
};

/* live_publish: the lane's counters, for whoever asks from another thread. */
void live_publish(struct live *lv, struct lane *l);

#endif
