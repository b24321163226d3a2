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
 * hdr_rekey: turn some bits of both addresses, up to 24 of each. IP and TCP checksums change with
 * them (RFC 1624): right ones stay right, wrong ones wrong.
 * => the same again gives the frame as it was.
 */
void hdr_rekey(const struct hdr *h, uint8_t *p, uint32_t bits);

/* hdr_addr: both addresses, folded to 32 bits each, in memory's order. */
void hdr_addr(const struct hdr *h, const uint8_t *p, uint32_t addr[2]);

#endif
