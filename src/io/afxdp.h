/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * afxdp.h: a device of the "afxdp" back end, between the file that opens it (afxdp.c) and the one
 * that moves frames (afxdpmove.c).
 */
#ifndef WEIR_IO_AFXDP_H
#define WEIR_IO_AFXDP_H

#include "io/backends.h"
#include "io/bpffilter.h"
#include "io/linkwatch.h"
#include "io/xdpif.h"
#include "io/xsk.h"

struct afxdp {
    struct xdpif *xif;
    struct xumem *umem;
    struct afxdp *mate; /* the other one of the pair, if it shares the UMEM */
    struct linkwatch link;
    int nq, turn; /* sockets; which one rx begins with */
    int ntx;      /* of them those, the first ones, that can send */
    struct xsk *q;
    int held;      /* frames of the last rx */
    unsigned idle; /* how often rx had none */
    bool down;     /* the kernel does not send: what is in a transmit ring stays there */
    int nbig;
    uint8_t *big; /* BIG_BUFS of BIG_ROOM bytes, made when the first one comes */
    uint64_t frames, lost;
    uint32_t dropped; /* by the kernel after they left us */
    struct bpffilter filter;
    char note[128];
    struct pktbuf pb[IO_BURST];
};

/* afxdp_level: => how many frames each fill ring should have. */
static inline uint32_t afxdp_level(const struct xumem *u)
{
    uint32_t share = u->frames / 2 / (uint32_t)u->nsocks;

    return share < XSK_RING ? share : XSK_RING;
}

/* The operations of io_ops with these names. */
int afxdp_rx(struct io_dev *dev, struct pktbuf **pb, int n);
int afxdp_ahead(struct io_dev *dev, const uint8_t **frame, int n);
void afxdp_rx_done(struct io_dev *dev);
int afxdp_tx(struct io_dev *dev, struct pktbuf *const *pb, int n);
int afxdp_flush(struct io_dev *dev);

#endif
