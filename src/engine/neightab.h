/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neightab.h: which MAC has this address, for all contexts together.
 *
 * LIFE  Who wants to send to an address that nobody knows makes an entry and asks; it is asked again
 * every second, three times in all, then the address counts as dead for a second. An answer makes
 * it known. What is known and used is asked again after half a minute, and stays known meanwhile; if
 * three such questions bring no answer it is dead. What is not used for a minute is forgotten.
 *
 * ROOM  At most NEIGH_MAX entries. A new one takes the place of the oldest that is dead, else of the oldest
 * that is asked for, else of the oldest that is known: whoever scans a subnet throws out no neighbour that
 * answers as long as he has entries of his own.
 *
 * THREADS  Any thread; a lock of its own. Contexts remember answers for a while and look at
 * `version`, which changes when a MAC does, to see if they still hold.
 */
#ifndef WEIR_ENGINE_NEIGHTAB_H
#define WEIR_ENGINE_NEIGHTAB_H

#include <pthread.h>

#include "engine/route.h"

#define NEIGH_MAX     1024
#define NEIGH_ASK_NS  (1 * NSEC_PER_SEC) /* between two questions */
#define NEIGH_ASKS    3
#define NEIGH_DEAD_NS (1 * NSEC_PER_SEC)  /* no questions */
#define NEIGH_KEEP_NS (30 * NSEC_PER_SEC) /* an answer counts */
#define NEIGH_IDLE_NS (60 * NSEC_PER_SEC) /* and is kept if it is not used */

enum neigh_state { NEIGH_FREE, NEIGH_ASKED, NEIGH_KNOWN, NEIGH_DEAD, NEIGH_STATIC };

enum neigh_answer {
    NEIGH_YES,  /* here is its MAC */
    NEIGH_ASK,  /* send the first question now; wait */
    NEIGH_WAIT, /* it has been asked for */
    NEIGH_NO,   /* it does not answer */
};

struct neigh {
    struct ipaddr addr;
    uint8_t ifidx, state, asks; /* asks: questions without an answer */
    uint8_t mac[6];
    uint64_t due;  /* when it has to be looked at again */
    uint64_t used; /* when somebody last wanted it */
    uint64_t made;
    uint16_t next; /* of its chain, + 1 */
};

struct neigh_table {
    pthread_mutex_t lock;
    struct neigh v[NEIGH_MAX];
    uint16_t chain[NEIGH_MAX]; /* index + 1, by hash */
    uint64_t secret;
    uint64_t version; /* atomic */
    int n;            /* entries ever used */
};

void neigh_init(struct neigh_table *t, uint64_t secret);
void neigh_fini(struct neigh_table *t);

/* neigh_version: of what has been said so far. */
static inline uint64_t neigh_version(const struct neigh_table *t)
{
    return __atomic_load_n(&t->version, __ATOMIC_ACQUIRE);
}

/* neigh_find: somebody wants to send to it. mac: of NEIGH_YES. */
enum neigh_answer neigh_find(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr,
                             uint64_t now, uint8_t mac[6]);
/* neigh_is_dead: would neigh_find say NEIGH_NO since it does not answer? Nobody is asked. */
bool neigh_is_dead(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr, uint64_t now);
/*
 * neigh_learn: somebody says that it has this MAC. create: he has asked us, so that we will soon answer;
 * else only what is wanted, or known, is learned.
 */
void neigh_learn(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr,
                 const uint8_t mac[6], uint64_t now, bool create);
/* neigh_fix: configured, for ever. => 0; -1 ENOSPC. */
int neigh_fix(struct neigh_table *t, uint8_t ifidx, const struct ipaddr *addr,
              const uint8_t mac[6]);
/*
 * neigh_due: what time has brought; to be called now and then.
 * => up to n entries to be asked now, as copies (a MAC of KNOWN says whom to ask); what does not fit is
 *    due again at once.
 */
int neigh_due(struct neigh_table *t, uint64_t now, struct neigh *out, int n);
/* neigh_check: do chains and entries agree? For tests. */
bool neigh_check(struct neigh_table *t);

#endif
