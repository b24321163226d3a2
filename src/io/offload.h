/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * offload.h: what a sender has left to the card, done by us: a checksum is filled in (PB_CSUM_PART),
 * a frame that stands for several is cut up (gso_size). For devices that cannot pass the request
 * on. Ethernet, with or without VLAN tags.
 *
 *     if (pb->gso_size) {
 *         if (!io_split_begin(&sp, pb))
 *             ... it cannot be cut: not to be sent ...
 *         while ((len = io_split_next(&sp, room, sizeof(room))) > 0)
 *             ... one frame of len bytes, whole ...
 *     } else if (!io_finish_csum(pb)) {
 *         ... not to be sent ...
 *     }
 */
#ifndef WEIR_IO_OFFLOAD_H
#define WEIR_IO_OFFLOAD_H

#include "base/pktbuf.h"

/*
 * io_finish_csum: fill in the checksum of a frame; the flag goes. Nothing if it is finished.
 * => false: the frame does not have the bytes that the checksum is to cover, or not all of them were
 *    captured; nothing was changed.
 */
bool io_finish_csum(struct pktbuf *pb);

/*
 * io_part_csum: the opposite, for a gso frame whose checksum someone has filled in: interfaces take
 * only unfinished ones. => false: it is not one that io_split can cut.
 */
bool io_part_csum(struct pktbuf *pb);

struct io_split {
    const struct pktbuf *pb;
    uint32_t l3, l4, pay; /* offsets in pb; l4: of TCP or UDP */
    uint32_t at;          /* of the payload that goes into the next frame */
    uint32_t count;       /* frames so far */
    bool v6, udp;
};

/*
 * io_split_begin: begin to cut up a frame with gso_size. pb stays as it is, and must stay so.
 * => false: it cannot be cut: no TCP or UDP over IP to be found, not wholly captured, or a kind of
 *    segmentation that is not known (IP fragments of UDP).
 */
bool io_split_begin(struct io_split *s, const struct pktbuf *pb);
/*
 * io_split_longest: => bytes of the longest frame that will come.
 * io_split_next: the next frame into buf, headers and checksums as if its sender had sent it so.
 * => its length; 0: that was all, or room is too short.
 */
uint32_t io_split_longest(const struct io_split *s);
uint32_t io_split_next(struct io_split *s, uint8_t *buf, uint32_t room);

#endif
