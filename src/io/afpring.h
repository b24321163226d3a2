/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * afpring.h: walk along the receive ring of a packet socket. Private to the "afpacket" back end.
 *
 * Two kinds of ring. Slots (TPACKET_V2): one frame each, given to us as soon as it is filled, with
 * room behind the frame. Blocks (TPACKET_V3): frames of any length packed densely, given when the
 * block is full or some milliseconds old: a third of the processor's work for each frame, and
 * several times as many small frames in the same memory, but too late for frames that someone waits
 * for. (Measured on two busy cores over veth, 60 bytes: 1.4 us a frame and a ping of 0.11 ms with
 * slots, 0.7 us and 1 to 3 ms with blocks.)
 */
#ifndef WEIR_IO_AFPRING_H
#define WEIR_IO_AFPRING_H

#include "io/io.h"

/*
 * Where a frame lies (kernel's tpacket_rcv): the header and struct sockaddr_ll, room that we
 * reserve, the virtio-net header, the frame. AFP_RESERVE puts the IP header of an Ethernet frame on
 * a multiple of 4. AFP_MAC is the offset of the frame in a slot.
 */
#define AFP_RESERVE 130
#define AFP_VNET    10 /* sizeof(struct virtio_net_hdr) */
#define AFP_MAC     (80 + AFP_RESERVE + AFP_VNET - 14)

struct afpring {
    uint8_t *mem; /* nblocks of block bytes */
    bool blocks;  /* else slots, per_block of them in a block, and perhaps a rest */
    uint32_t block, nblocks, slot, per_block;
    /* where we are */
    uint32_t at_block, at; /* the next: slots: its number in the block; blocks: its offset, or 0 */
    uint32_t left;         /* blocks: frames of this block to come */
    int nheld;
    uint8_t *held[IO_BURST]; /* handed out since the last release */
    uint32_t room[IO_BURST]; /* from there on, header included */
};

/* What the ring says of a frame. */
struct afpframe {
    uint8_t *base; /* its header */
    uint32_t status, len, snaplen, mac, sec, nsec;
    uint16_t tci, tpid;
    uint8_t pkttype; /* PACKET_OUTGOING, ... */
    uint32_t hdr;    /* bytes at base that belong to the ring */
    uint32_t room;   /* bytes at base in all */
};

/* afpring_next: the next frame, ours until released. => false: there is none now, or IO_BURST. */
bool afpring_next(struct afpring *r, struct afpframe *f);
/* afpring_release: all handed out go back; with poison, 0xDB is written over them. */
void afpring_release(struct afpring *r, bool poison);

#endif
