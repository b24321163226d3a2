/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * partcsum.h: finds unfinished checksums where the kernel does not say so.
 *
 * A host leaves the checksums of TCP and UDP to the device; a virtual one hands its frames on as
 * they are, the field holding the sum of the pseudo header alone. AF_XDP does not tell. But such a
 * field is easily known: a finished one has that value for one frame in 65,536, and finishing it
 * once more gives the same value again, so nothing is lost when the guess is wrong.
 */
#ifndef WEIR_IO_PARTCSUM_H
#define WEIR_IO_PARTCSUM_H

#include "base/pktbuf.h"

/*
 * partcsum_find: an Ethernet frame whose TCP or UDP checksum is not finished gets PB_CSUM_PART,
 * csum_start and csum_off.
 * => what lies behind tags and IPv6 extension headers is found, what is in a tunnel is not
 * => the offset of the TCP or UDP header, its protocol in *proto; 0: there is none, or not all of it
 */
uint32_t partcsum_find(struct pktbuf *pb, uint8_t *proto);

#endif
