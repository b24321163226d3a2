/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fwreport.h: what `weir firewall` counts, and how it shows it.
 *
 * Each context counts for itself; who reads while it does takes numbers that may be a packet old.
 */
#ifndef WEIR_APPS_FWREPORT_H
#define WEIR_APPS_FWREPORT_H

#include <pthread.h>

#include "appflow.h"
#include "appopt.h"
#include "fwrules.h"

#define FW_SEEN 4096 /* SYNs that were refused and are known if they come again */

struct out;

struct fwpair {
    uint64_t packets, bytes; /* IP packets, their headers included */
};

struct fwcount {
    uint64_t connections;
    struct fwpair sum;
};

/* Rules and their counters: those of each context, and what they had before the last reload. */
struct fwset {
    struct fwrules *rules;
    struct fwcount *before; /* of each rule, and of the default behind the last */
    struct fwcount *count;  /* the same for each context, one after the other */
    int ncpu;
};

/* One context. */
struct fwctx {
    struct fwset *using; /* NULL: none at the moment */
    int number;
    struct fwpair strange, strange_dropped; /* of no known connection */
    struct fwpair odd;                      /* SYNs that begin nothing */
    struct fwpair vital, other_dropped;     /* with --other DROP */
    uint64_t seen[FW_SEEN];
};

struct firewall {
    const struct appopt *opt;
    struct fwset *set;    /* in force */
    pthread_mutex_t lock; /* of changing it, and of reports */
    pthread_t thread;     /* waits for SIGHUP */
    bool attended;        /* it runs */
    int wake[2];          /* its pipe */
    uint64_t reports;
    struct fwctx ctx[APP_MAX_CORES];
};

/* All contexts together. */
struct fwtotal {
    uint64_t frames, dropped;       /* all frames; those that did not leave */
    uint64_t remembered, forgotten; /* accepted connections */
    struct fwpair strange, strange_dropped, odd, vital, other_dropped;
};

/* fwset_read: => NULL with why. */
struct fwset *fwset_read(const char *path, int ncpu, char *why, size_t cap);
void fwset_free(struct fwset *set);
/* fwset_counter: of a rule, or of the default (-1), in a context. */
struct fwcount *fwset_counter(const struct fwset *set, int cpu, int rule);
/*
 * fwset_inherit: a new set begins with what rules that are in the old one too, and the default, had
 * counted. => false: no memory.
 */
bool fwset_inherit(struct fwset *set, const struct fwset *old);

void fw_packet_set(struct fw_packet *p, const struct ends *ends);
uint64_t fw_packet_hash(const struct fw_packet *p);

void fwtotal_add(struct fwtotal *t, const struct fwctx *c);
/* fw_report: a table, or JSON lines. => false: no memory. */
bool fw_report(struct out *out, const struct firewall *fw, const struct fwtotal *t, bool final);

#endif
