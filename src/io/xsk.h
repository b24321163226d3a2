/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xsk.h: AF_XDP sockets, their rings, and the memory of frames (UMEM) that several of them share.
 * Written on the kernel's interface itself (linux/if_xdp.h): the rings are all there is to it, and
 * libxdp of today's distributions cannot ask for what newer kernels have (checksums left to the
 * kernel, frames in several pieces).
 *
 * A frame is a piece of XFRAME bytes. Where it is: in the stack of free ones (xumem.idle), in a
 * fill ring (the kernel may write it), in a receive ring, with the program, in a transmit ring, in
 * a completion ring, and so round to the stack, whichever socket's rings it went through.
 *
 * Threads: one UMEM with all its sockets belongs to one thread.
 */
#ifndef WEIR_IO_XSK_H
#define WEIR_IO_XSK_H

#include "base/compiler.h"

#include <linux/if_xdp.h>
#include <stddef.h>

#define XFRAME       4096 /* bytes of a frame */
#define XSK_RING     2048
#define XSK_HEADROOM 2 /* bytes behind XDP_PACKET_HEADROOM: the IP header on a multiple of 4 */
#define XSK_FRONT    (256 + XSK_HEADROOM) /* bytes before a received packet */
#define XSK_TXMETA   24 /* bytes before a packet in which the kernel finds requests */
#define XSK_MAX      64 /* sockets of a UMEM */

/* Newer than the headers of Debian 12. */
#define XSK_USE_SG           (1 << 4)
#define XSK_PKT_CONTD        (1 << 0)
#define XSK_TX_METADATA      (1 << 1)
#define XSK_MAX_TX_BUDGET    9
#define XSK_UMEM_TX_METADATA (1 << 2)

struct xring {
    uint32_t *prod, *cons, *flags;
    void *desc;
    uint32_t mask;
    uint32_t at; /* our own index: of the producer in fill and tx, of the consumer in rx and comp */
    uint32_t far; /* the other side's as last read */
    void *map;
    size_t map_len;
};

struct xsk {
    int fd;
    int queue;
    bool zerocopy;
    struct xring rx, tx, fill, comp;
};

struct xumem {
    uint8_t *area;
    uint32_t frames;
    uint32_t nidle;
    uint32_t *idle; /* numbers of free frames */
    int refs;
    int fd; /* the socket it is registered with; -1 before the first */
    bool txmeta;
    bool pieces; /* frames longer than one come in pieces */
    int nsocks;
    struct xsk *sock[XSK_MAX];
};

/* xumem_create: => NULL with ENOMEM and text. One reference is the caller's. */
struct xumem *xumem_create(const char *name, uint32_t frames);
/* xumem_unref: the last reference unmaps; its sockets must be closed before. */
void xumem_unref(struct xumem *u);

/*
 * xsk_open: a socket on one queue of an interface, with its rings, bound.
 * => 0; -1 with errno and text that names `name`: EPERM, ENOBUFS (locked memory), EBUSY (the queue
 *    is taken), EOPNOTSUPP (bind_flags ask for what the driver cannot; or the UMEM is used without
 *    copying elsewhere and this driver cannot), ENODEV.
 * => bind_flags (XDP_COPY, XDP_ZEROCOPY, XSK_USE_SG) count for the first socket of a UMEM; the
 *    others are as that one.
 */
int xsk_open(struct xsk *x, struct xumem *u, const char *name, int ifindex, int queue,
             unsigned bind_flags);
/* xsk_close: => frames that were in its rings stay with the UMEM unseen. */
void xsk_close(struct xsk *x, struct xumem *u);

/* xsk_kick: have the kernel send what is in tx. => 0, or the errno of a failure that is not over. */
int xsk_kick(struct xsk *x, struct xumem *u, uint32_t *dropped);
/* xumem_reclaim: frames that were sent, by whichever socket, go back to the stack. */
void xumem_reclaim(struct xumem *u);
/* xsk_fill: bring the fill ring to `level` frames as far as the stack has them. */
void xsk_fill(struct xsk *x, struct xumem *u, uint32_t level);

/* xsk_rx_avail: => packets in the receive ring, at most n. */
static inline uint32_t xsk_rx_avail(struct xsk *x, uint32_t n)
{
    uint32_t have = x->rx.far - x->rx.at;

    if (have == 0) {
        x->rx.far = __atomic_load_n(x->rx.prod, __ATOMIC_ACQUIRE);
        have = x->rx.far - x->rx.at;
    }
    return have < n ? have : n;
}

/* xsk_rx_next: the next packet of those that are there. */
static inline struct xdp_desc *xsk_rx_next(struct xsk *x)
{
    return (struct xdp_desc *)x->rx.desc + (x->rx.at++ & x->rx.mask);
}

/* xsk_rx_peek: the packet that is `ahead` behind that one. => NULL: it was not there when we looked last. */
static inline const struct xdp_desc *xsk_rx_peek(const struct xsk *x, uint32_t ahead)
{
    return ahead < x->rx.far - x->rx.at
               ? (const struct xdp_desc *)x->rx.desc + ((x->rx.at + ahead) & x->rx.mask)
               : NULL;
}

/* xsk_rx_release: what was taken from the ring is ours. */
static inline void xsk_rx_release(struct xsk *x)
{
    __atomic_store_n(x->rx.cons, x->rx.at, __ATOMIC_RELEASE);
}

/* xsk_tx_room: => free places of the transmit ring. */
static inline uint32_t xsk_tx_room(struct xsk *x)
{
    uint32_t size = x->tx.mask + 1;

    if (x->tx.at - x->tx.far == size)
        x->tx.far = __atomic_load_n(x->tx.cons, __ATOMIC_ACQUIRE);
    return size - (x->tx.at - x->tx.far);
}

/* xsk_unsent: are there frames in the transmit ring? */
static inline bool xsk_unsent(const struct xsk *x)
{
    return __atomic_load_n(x->tx.cons, __ATOMIC_RELAXED) != x->tx.at;
}

/* xsk_tx_put: one packet into the ring, which has room; seen by the kernel at xsk_tx_submit. */
static inline void xsk_tx_put(struct xsk *x, uint64_t addr, uint32_t len, uint32_t options)
{
    struct xdp_desc *d = (struct xdp_desc *)x->tx.desc + (x->tx.at++ & x->tx.mask);

    *d = (struct xdp_desc){.addr = addr, .len = len, .options = options};
}

static inline void xsk_tx_submit(struct xsk *x)
{
    __atomic_store_n(x->tx.prod, x->tx.at, __ATOMIC_RELEASE);
}

static inline void xumem_put(struct xumem *u, uint32_t frame)
{
    assert(u->nidle < u->frames);
    u->idle[u->nidle++] = frame;
}

#endif
