/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * build.h: meaning to bytes: segments that the library sends itself (RST, ACK, sendpkt), and
 * changes to frames.
 */
#ifndef WEIR_WIRE_BUILD_H
#define WEIR_WIRE_BUILD_H

#include "wire/seg.h"

struct build_tcp {
    const struct seg *like; /* link header with its tags, family and addresses come from it */
    bool reverse;           /* swap MAC and IP addresses, and ports */
    uint32_t seq, ack;      /* host order */
    uint16_t win;
    uint8_t tflags;
    bool ts; /* add a timestamps option */
    uint32_t tsval, tsecr;
    uint8_t nsack; /* and a SACK option of so many blocks, at most 3 */
    struct {
        uint32_t start, end;
    } sack[3];
    const uint8_t *payload;
    uint32_t plen;
};

/*
 * build_tcp: write a frame of at most `cap` bytes to out, checksums right, TTL 64.
 * => its length; 0 if it does not fit.
 * => `like` has its ports (level SEG_L4 or SEG_TCP); its IP options and extension headers are not
 *    copied.
 */
uint32_t build_tcp(uint8_t *out, uint32_t cap, const struct build_tcp *b);

/*
 * Changes to a decoded frame, in place. Each keeps lengths and checksums right and decodes the
 * frame again into *s, so that s always tells what the frame is now; PB_CHANGED is set. The caller
 * turns (region, offset) of the public API into an offset.
 *
 * Checksums (IPv4 header, TCP) are updated by the difference (RFC 1624): one that was wrong or
 * unfinished before stays so by the same amount, so a hop in the middle hides no damage;
 * csum_*_set makes it right whatever it was. A write over the checksum field itself is taken as the
 * writer's word for that field. Transport checksums other than TCP's are left alone, and so is
 * TCP's in a fragment, or when its field was not captured. With PB_CSUM_PART the field holds the
 * pseudo-header's sum, and goes on to.
 *
 * edit_overwrite: bytes at [off, off+len) of the frame become data; length fields change only if
 * the caller writes them.
 *    => 0; -1 EINVAL outside the frame.
 * edit_chomp: take len payload bytes out at payload offset off.
 *    => 0; -1 EINVAL if it is no TCP segment or they were not captured.
 * edit_insert: put len bytes in at payload offset off.
 *    => 0; -1 EINVAL as above, ENOSPC when the frame has no room (cap), EMSGSIZE when the datagram
 *       would pass 65,535 bytes.
 * => after the last two, the IP and the link layer's length (802.3, PPPoE) say what the datagram
 *    really has; an IP length of 0 stays 0. Bytes after the datagram (padding) stay after it.
 */
int edit_overwrite(struct seg *s, uint32_t off, const uint8_t *data, uint32_t len);
int edit_chomp(struct seg *s, uint32_t off, uint32_t len);
int edit_insert(struct seg *s, uint32_t off, const uint8_t *data, uint32_t len);
/*
 * edit_replace: len payload bytes at off become new_len bytes of data. => as edit_insert.
 */
int edit_replace(struct seg *s, uint32_t off, uint32_t len, const uint8_t *data, uint32_t new_len);

/* The numbers of a segment: what a translation between its two ends changes. */
struct edit_numbers {
    uint32_t seq, ack;
    uint16_t win, urp;
    uint8_t tflags;
    uint32_t tsval; /* if it has one */
    uint8_t nsack;  /* no more than it has: the option keeps its place, what goes becomes padding */
    struct {
        uint32_t start, end;
    } sack[SEG_MAX_SACK];
};

/* edit_numbers_of: as they are. edit_renumber: as they shall be, as far as the header was captured. */
struct edit_numbers edit_numbers_of(const struct seg *s);
void edit_renumber(struct seg *s, const struct edit_numbers *n);

#endif
