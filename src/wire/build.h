/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * build.h: meaning to bytes: segments that the library sends itself (RST, ACK, sendpkt), and changes to frames.
 */
#ifndef WEIR_WIRE_BUILD_H
#define WEIR_WIRE_BUILD_H

#include "wire/seg.h"

struct build_tcp {
    const struct seg *like;   /* link header, addresses' family and VLAN tags are copied from this frame */
    bool reverse;             /* swap MAC and IP addresses, and ports */
    uint32_t seq, ack;        /* host order */
    uint16_t win;
    uint8_t tflags;
    bool ts;                  /* add a timestamps option */
    uint32_t tsval, tsecr;
    const uint8_t *payload;
    uint32_t plen;
};

/* build_tcp: write a frame of at most `cap` bytes to out, checksums right. => its length; 0 if it does not fit. TTL 64. */
uint32_t build_tcp(uint8_t *out, uint32_t cap, const struct build_tcp *b);

/*
 * Changes to a decoded frame, in place. Each updates the lengths and checksums named by the caller and decodes the frame
 * again into *s, so that s always tells what the frame is now.
 * Regions are named as in the public API: the caller turns (region, offset) into an offset from pb->data first.
 *
 * edit_overwrite: bytes at [off, off+len) become data.  => 0; -1 EINVAL outside the frame.
 * edit_chomp: take len payload bytes out at payload offset off (IP total length, checksums are updated).
 * edit_insert: put len bytes in at payload offset off. => -1 ENOSPC when the frame has no room (cap), EMSGSIZE when the
 *    datagram would pass 65,535 bytes.
 */
int edit_overwrite(struct seg *s, uint32_t off, const uint8_t *data, uint32_t len);
int edit_chomp(struct seg *s, uint32_t off, uint32_t len);
int edit_insert(struct seg *s, uint32_t off, const uint8_t *data, uint32_t len);

#endif
