/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * natopt.h: what `weir nat` makes of its options: the public addresses, whose connections are
 * translated, and what the library is to be told.
 */
#ifndef WEIR_APPS_NATOPT_H
#define WEIR_APPS_NATOPT_H

#include <arpa/inet.h>

#include "appopt.h"
#include "natports.h"

struct natopt {
    struct nat_pool pool;
    char (*proxy)[INET6_ADDRSTRLEN]; /* public addresses that are not of --address, as text */
    const char **proxies;            /* the same, ended by NULL */
    char *filter;                    /* SYNs of the clients, as pcap-filter(7) has it */
    char conf[256];                  /* lines of the configuration */
    int live_ms;       /* silence after which an open connection is given up; -1: never */
    int transitory_ms; /* the same for one that opens or closes */
};

/* What its options are, for --help. */
extern const char natopt_help[];

/* natopt_make: => an exit status, the complaint made. Either way natopt_free. */
int natopt_make(struct natopt *n, const struct appopt *opt);
void natopt_free(struct natopt *n);

#endif
