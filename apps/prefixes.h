/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prefixes.h: a list of address ranges with names, as a file has it; the longest that matches wins.
 *
 * A line is PREFIX [NAME]: "192.0.2.0/24 Smith & Sons", "2001:db8::/32", "192.0.2.7". What follows
 * a # at the beginning or behind a blank is a comment. Ranges of the same name are one subscriber.
 */
#ifndef WEIR_APPS_PREFIXES_H
#define WEIR_APPS_PREFIXES_H

#include <stddef.h>
#include <stdint.h>

#include "appflow.h"

#define PREFIX_NAME_MAX 127 /* bytes */

/* What subscribers that are no prefix's are called (SUBSCRIBER_NONE and so on, from -1 down). */
#define SUBSCRIBER_NAMES                                                                           \
    {                                                                                              \
        "(no prefix)", "(everyone)", "(all others)"                                                \
    }

/* A binary trie for each family: node 0 is IPv4's root, 1 IPv6's. */
struct prefix_node {
    uint32_t child[2]; /* 0: none */
    int name;          /* -1: no range ends here */
    unsigned line;     /* where it was written */
};

struct prefix_name {
    int index;
    char text[];
};

struct prefixes {
    struct prefix_node *node;
    size_t nnode, cap_node;
    struct prefix_name **name; /* of the subscribers, in the order of the file */
    int nname;
    size_t cap_name;
    void *by_text; /* the same as a tree */
};

/* prefixes_read: => 0; else an exit status, the complaint made. Either way prefixes_free. */
int prefixes_read(struct prefixes *p, const char *path);
void prefixes_free(struct prefixes *p);
/* prefixes_find: => index of the name, -1 if the address is in no range. */
int prefixes_find(const struct prefixes *p, const struct endpoint *e);

#endif
