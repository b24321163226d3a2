/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdpif.h: an interface with our XDP program on it, shared by all AF_XDP sockets of this process.
 *
 * The program hands packets of those queues that have a socket to it, and all others to the kernel,
 * as without it. It is attached by a BPF link that this process holds: with the process it goes,
 * however that ends. So does the interface's promiscuous mode. What does not go by itself is in
 * ifoffload.h.
 *
 * Threads: any; one lock around opening and closing.
 */
#ifndef WEIR_IO_XDPIF_H
#define WEIR_IO_XDPIF_H

#include "io/ifoffload.h"

enum xdp_mode {
    XDP_ANY,     /* in the driver if it can, else generic */
    XDP_NATIVE,  /* in the driver */
    XDP_GENERIC, /* in the kernel's common path */
};

struct xdpif_want {
    enum xdp_mode mode;
    bool promisc;
    int queues; /* receive queues that the interface should have at least, if it can */
};

struct xdpif {
    struct xdpif *next;
    char ifname[16];
    int ifindex;
    unsigned long netns;
    int refs;
    int queues, tx_queues; /* of the interface */
    bool native;
    bool tags;     /* the program puts VLAN tags back that the driver holds apart */
    bool may_part; /* frames may come with unfinished checksums: no hardware made them */
    int map, prog, link, promisc; /* descriptors */
    struct ifoffload off;
};

/*
 * xdpif_get: attach to the interface, or share what this process has attached. `name` is the
 * device's, for messages.
 * => NULL with errno and text: EPERM, ENODEV, EBUSY (another program is attached, or the interface
 *    is in another process's hands), EOPNOTSUPP (XDP_NATIVE), EINVAL (attached in another mode).
 */
struct xdpif *xdpif_get(const char *name, const char *ifname, const struct xdpif_want *want);
/* xdpif_put: the last one detaches. => -1 with text: offloads could not be restored now. */
int xdpif_put(struct xdpif *x, const char *name);
/* xdpif_join: from now on packets of this queue go to the socket. => -1 with errno and text. */
int xdpif_join(struct xdpif *x, const char *name, int queue, int fd);
void xdpif_leave(struct xdpif *x, int queue);

#endif
