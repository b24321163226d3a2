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

#include "io/io.h"

/*
 * Where a frame lies in its slot (kernel's tpacket_rcv): struct tpacket2_hdr and sockaddr_ll, room
 * that we reserve, the virtio-net header, the frame. AFP_MAC puts the IP header of an Ethernet
 * frame on a multiple of 4.
 */
#define AFP_RESERVE 130
#define AFP_VNET    10 /* sizeof(struct virtio_net_hdr) */
#define AFP_MAC     (80 + AFP_RESERVE + AFP_VNET - 14)

/* Memory of one queue: 8 MiB of ring, frames of offloads in the kernel beside it (SO_RCVBUF). */
#define AFP_RING_BYTES (8u << 20)
#define AFP_BIG_BYTES  (8u << 20)
#define AFP_MAX_MTU    9216 /* what is longer does not lie in the ring but is read by recvmsg */

struct afpsock {
    int fd;
    int group_id;  /* of the fanout */
    uint8_t *ring; /* nblocks of block bytes, each per_block slots and perhaps a rest */
    uint32_t block, nblocks, slot, per_block;
};

struct afpopts {
    const char *name; /* the device's, for messages */
    int ifindex;
    uint32_t mtu;
    int queues;
    bool promisc, hwtime;
    const struct sock_fprog *filter; /* NULL: all frames */
};

/*
 * afpsock_take: the socket of queue number `queue`. => NULL with errno and text.
 * afpsock_give: back; the last one given back closes them all.
 */
struct afpsock *afpsock_take(const struct afpopts *o, int queue);
void afpsock_give(struct afpsock *s);

#endif
