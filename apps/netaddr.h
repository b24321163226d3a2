/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netaddr.h: addresses and prefixes of the command line: "10.0.0.1", "10.0.0.0/8", "fc00::/7".
 */
#ifndef WEIR_APPS_NETADDR_H
#define WEIR_APPS_NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct netaddr {
    int family; /* AF_INET, AF_INET6 */
    uint8_t b[16];
    int len;      /* bits of the prefix; all, if there is no length */
    bool has_len; /* one was given */
};

/* netaddr_read: the first n bytes of text, all of them. => false: no address, or no such length. */
bool netaddr_read(struct netaddr *a, const char *text, size_t n);
/* netaddr_has_tail: are there bits behind the length? Then it is the prefix of no net. */
bool netaddr_has_tail(const struct netaddr *a);
/*
 * netaddr_not_host: why this can be no host's address on a link: "of many hosts". => NULL: it can.
 */
const char *netaddr_not_host(int family, const uint8_t *b);

#endif
