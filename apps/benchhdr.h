/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * benchhdr.h: where the addresses of a frame are, and other addresses in their place. `weir bench`
 * plays a capture many times, with other hosts each time, and shares it out among contexts.
 */
#ifndef WEIR_APPS_BENCHHDR_H
#define WEIR_APPS_BENCHHDR_H

#include <stdbool.h>
#include <stdint.h>

/* What hdr_find has found; offsets from the frame's first byte. */
struct hdr {
    uint16_t ip;  /* of the IP header */
    uint16_t tcp; /* of the TCP header, its 20 bytes captured; 0: there is none here */
    bool has_ip;  /* addresses are here, and may be changed */
    bool v6;
    bool frag; /* a fragment: ports are in the first of them at most */
};

/* hdr_find: len captured bytes of this link type (DLT_). */
void hdr_find(struct hdr *h, const uint8_t *p, uint32_t len, int linktype);

/*
 * hdr_rekey: other addresses, each number its own: 0 to 65534, and what has been added to a frame so far counts modulo 65535.
 * Two addresses that differ stay different. Checksums that were right are right, wrong ones wrong, and none of them is
 * touched: a header may be split over fragments. An address with 255.255 in the first or last half of its (last) 32 bits
 * stays as it is.
 */
void hdr_rekey(const struct hdr *h, uint8_t *p, uint32_t by);

/* hdr_addr: both addresses, folded to 32 bits each, in memory's order. */
void hdr_addr(const struct hdr *h, const uint8_t *p, uint32_t addr[2]);

#endif
