/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pktbuf.h: one frame and what is known of it. Back ends fill it in, wire/ finds the layers,
 * streams borrow from it.
 *
 * Life: a back end hands out up to 64 of them (io_rx); they are valid until io_rx_done on that
 * device (or, for a back end that states IO_CAN_HOLD, until `refs` drops to 0). `data` may be
 * written by the library within [data, data + cap); in-order payload is borrowed by streams between
 * the end of the SND hooks and the end of the batch, and whoever wants to write payload in that
 * time calls through conn/ (conn_own_borrowed) first.
 */
#ifndef WEIR_BASE_PKTBUF_H
#define WEIR_BASE_PKTBUF_H

#include "base/compiler.h"

enum pb_flags {
    PB_DROP = 1 << 0,      /* the application's verdict */
    PB_CHANGED = 1 << 1,   /* bytes differ from what came in */
    PB_BORROWED = 1 << 2,  /* a stream has a view into the payload */
    PB_CSUM_GOOD = 1 << 3, /* the device verified the transport checksum */
    PB_CSUM_BAD = 1 << 4,  /* the device found it wrong */
    PB_CSUM_PART = 1 << 5, /* checksum to be finished by the device (never verified) */
    PB_MADE = 1 << 6,      /* made by the library (egress), never received */
    PB_DATAGRAM = 1 << 7,  /* put together from fragments (nfrags, frag_bytes), never received */
};

struct pktbuf {
    uint8_t *data;     /* first byte of the frame */
    uint32_t len;      /* captured bytes at data */
    uint32_t wire_len; /* length on the wire, >= len unless the back end lies (then len counts) */
    uint32_t cap;      /* bytes usable from data on, >= len */
    uint16_t headroom; /* bytes usable before data */
    uint16_t refs;     /* 1 */
    uint16_t linktype; /* DLT_ value of libpcap */
    uint8_t flags;     /* enum pb_flags */
    uint8_t in_if;     /* number of the device it came from */
    uint16_t l2_len;   /* offset of the network header from data, valid after decode */
    uint16_t l4_off;   /* offset of the transport header from data */
    uint32_t realm;    /* interned VLAN stack, tunnel or user number; 0 by default */
    uint32_t nfrags;   /* PB_DATAGRAM: fragments that came for it, repeated ones too */
    uint64_t ts_ns;    /* time of arrival, ns since 1970 */
    uint64_t clock_ns; /* replay: highest ts_ns up to this frame, set by engine/ before the split */
    uint64_t frame;    /* number of the frame in the input, from 1; 0: made here */
    uint32_t borrow_flow; /* flow whose stream has a view: one flow at most */
    uint32_t slot;        /* back end's own */
    uint32_t frag_bytes;  /* PB_DATAGRAM: their IP lengths together */
    void *owner;          /* back end's own */
    void *frag;           /* a fragment: its note (wire/defrag.h), or NULL */
    /* NULL: the frame may be written to. Else pb_own must come first: the bytes are somebody's. */
    void (*own)(struct pktbuf *pb);
    /*
     * What a live interface said of a frame that its sender has not finished; all 0: nothing.
     * PB_CSUM_PART: the checksum at csum_start + csum_off covers csum_start to the end and holds the
     * sum of the pseudo header. gso_size: the frame stands for several of so much payload each.
     */
    uint16_t csum_start, csum_off; /* bytes from data */
    uint16_t gso_size, gso_type;   /* bytes; VIRTIO_NET_HDR_GSO_ value */
};

/*
 * pb_own: before anything is written to the frame or its room grows: bytes that belong to the program
 * are copied. Views that streams have stay where they were.
 */
static inline void pb_own(struct pktbuf *pb)
{
    if (unlikely(pb->own != NULL))
        pb->own(pb);
}

#endif
