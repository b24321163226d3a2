/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * natports.h: the ports of a translator's public addresses, as one context has them.
 *
 * A port must lead the reply to the context that chose it. The core of a segment is a function of
 * the exclusive or of all bytes of its addresses and ports (GetRSSCPUCore); so the 65,536 ports of
 * an address are in 256 classes, by the exclusive or of their two bytes, and for a server whole
 * classes are right or wrong: a mask of 256 bits says which. Two contexts may use one port of one
 * address at a time, but never to the same server: the class tells them apart. So each context has
 * all ports, nothing is shared, and to one server all of them together have each port once.
 *
 * The ports of a class stand in a queue: what is given back goes to its end, and classes take
 * turns, so that what was used last is used again last. Taking and giving back take the same time
 * however few are left.
 *
 * A client has the same address for all its connections as long as that has ports (RFC 4787 4.1).
 */
#ifndef WEIR_APPS_NATPORTS_H
#define WEIR_APPS_NATPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAT_ADDRS   256 /* public addresses, at most */
#define NAT_CLASSES 256

/* A public address and its ports. */
struct nat_addr {
    uint8_t family;  /* AF_INET, AF_INET6 */
    uint8_t b[16];   /* network order */
    uint16_t lo, hi; /* ports, both included; host order; 1 <= lo <= hi */
};

/* What all contexts share and nobody changes. */
struct nat_pool {
    struct nat_addr addr[NAT_ADDRS];
    int naddr;
    uint64_t seed;                /* of the order in which ports are used at first */
    uint8_t core_of[NAT_CLASSES]; /* the core of a segment, by the xor of its bytes (nat_fold) */
};

/* A port that is taken: what stands for what. Ports are in network order. */
struct nat_binding {
    uint8_t client[16];
    uint16_t client_port, port;
    uint8_t addr; /* index in the pool */
    bool taken;
};

struct natports;

/* nat_fold: the exclusive or of n bytes. */
uint8_t nat_fold(const void *p, size_t n);

/* natports_create: those of one core. The pool stays the caller's. => NULL: no memory. */
struct natports *natports_create(const struct nat_pool *pool, int core);
void natports_free(struct natports *np);

/*
 * natports_take: a port for a connection to a server.
 *
 * => family: the client's. server: nat_fold of the server's address and port. spread: any number
 *    of the client, the same for all its connections.
 * => the binding, `client` and `client_port` for the caller to fill in; NULL: none is left that
 *    leads back to this core (or no memory for an address's first one).
 */
struct nat_binding *natports_take(struct natports *np, int family, uint8_t server, uint32_t spread);
/* natports_put: give one back. */
void natports_put(struct natports *np, struct nat_binding *b);

/* natports_taken: how many are taken now; of one address, or of all with addr -1. */
uint32_t natports_taken(const struct natports *np, int addr);
/* natports_check: do all its parts agree? For tests. */
bool natports_check(const struct natports *np);

#endif
