/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linkwatch.h: what becomes of one network interface while it is in use: down, up again, another
 * MTU, deleted. Told by the kernel (rtnetlink); private to the live back ends.
 */
#ifndef WEIR_IO_LINKWATCH_H
#define WEIR_IO_LINKWATCH_H

#include "base/compiler.h"

struct linkwatch {
    int fd;         /* polls readable when something has changed */
    int ifindex;    /* of the interface */
    bool up;        /* it is up and has a carrier */
    bool gone;      /* deleted, or moved to another namespace: for good */
    uint32_t mtu;   /* bytes of an IP datagram */
    uint16_t type;  /* ARPHRD_ value */
    uint64_t downs; /* how often it went from up to down */
};

/*
 * linkwatch_open: find the interface and watch it. `name` is the device's, for messages.
 * => 0; -1 with errno (ENODEV: there is none of this name) and text, nothing left open.
 */
int linkwatch_open(struct linkwatch *w, const char *name, const char *ifname);
/* linkwatch_read: take in what has changed since, if anything. => true: something of ours has. */
bool linkwatch_read(struct linkwatch *w);
void linkwatch_close(struct linkwatch *w);

#endif
