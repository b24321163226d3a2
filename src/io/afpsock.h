/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * afpsock.h: the sockets of the "afpacket" back end: one packet socket with its receive ring for
 * each queue of an interface. Private to io/.
 *
 * The kernel numbers the members of a fanout group by the order in which they join, and so all of
 * them are made by whoever opens the first queue, in the order of queues; the others find theirs
 * made. This way number i is the same on both interfaces of a pair, whichever thread is first.
 */
#ifndef WEIR_IO_AFPSOCK_H
#define WEIR_IO_AFPSOCK_H

#include <linux/filter.h>

#include "io/afpring.h"

/*
 * Memory of one queue: the ring (afpacket:IF,ring=MEGABYTES), and what waits in the kernel beside it:
 * frames of offloads that do not fit into a slot (SO_RCVBUF), frames on their way out (SO_SNDBUF).
 */
#define AFP_RING_MB     16
#define AFP_MAX_RING_MB 1024
#define AFP_BIG_BYTES   (8 << 20)
#define AFP_MAX_MTU     9216 /* slots hold no more; what is longer is read by recvmsg */

struct afpsock {
    int fd;
    bool filtered; /* the kernel applies the filter */
    struct afpring ring;
};

struct afpopts {
    const char *name; /* the device's, for messages */
    int ifindex;
    uint32_t mtu, ring_mb;
    int queues;
    bool promisc, hwtime, blocks, outgoing; /* outgoing: take those of this machine, too */
    const struct sock_fprog *filter;        /* NULL: all frames */
};

/*
 * afpsock_take: the socket of queue number `queue`. => NULL with errno and text.
 * afpsock_give: back; the last one given back closes them all.
 */
struct afpsock *afpsock_take(const struct afpopts *o, int queue);
void afpsock_give(struct afpsock *s);

#endif
