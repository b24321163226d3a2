/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.h: where does this address lie? The longest prefix wins; between equal ones the first that
 * was entered. Filled once, then only read.
 */
#ifndef WEIR_ENGINE_ROUTE_H
#define WEIR_ENGINE_ROUTE_H

#include "base/compiler.h"

#define ROUTE_MAX 1024

/* An address with its family: 4 bytes count, or 16. Network order. */
struct ipaddr {
    bool v6;
    uint8_t b[16];
};

struct route {
    struct ipaddr net;
    uint8_t len;      /* bits of net that count */
    uint8_t ifidx;    /* which interface leads there */
    bool local;       /* it is an address of ours */
    bool has_gateway; /* it is not on the link itself but behind this router: */
    struct ipaddr gateway;
};

struct route_table {
    struct route *v; /* longest first */
    int n;
};

/*
 * ipaddr_read: "10.0.0.1", "2001:db8::1"; with len also "/24", which is all bits if it is missing.
 * => false: it is none.
 */
bool ipaddr_read(const char *text, struct ipaddr *a, uint8_t *len);
bool ipaddr_eq(const struct ipaddr *a, const struct ipaddr *b);
/* ipaddr_within: do the first len bits agree? */
bool ipaddr_within(const struct ipaddr *a, const struct ipaddr *net, uint8_t len);
/* ipaddr_has_tail: are there bits behind the first len? */
bool ipaddr_has_tail(const struct ipaddr *a, uint8_t len);

/* route_add: bits behind len are cleared. => 0; -1 ENOMEM, ENOSPC, EEXIST (another for the same prefix). */
int route_add(struct route_table *t, const struct route *r);
/* route_find: => NULL: no way. */
const struct route *route_find(const struct route_table *t, const struct ipaddr *a);
void route_drop(struct route_table *t);

#endif
