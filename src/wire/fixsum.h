/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixsum.h: what an application's changes to the packet at hand have done to the sums over it, so that
 * its checksums can be moved along (RFC 1624) instead of made anew: what came with a wrong one leaves
 * with a wrong one, and nothing that was not changed is read.
 */
#ifndef WEIR_WIRE_FIXSUM_H
#define WEIR_WIRE_FIXSUM_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/seg.h"

struct fixsum {
    const struct pktbuf *pb; /* of which packet: its frame, */
    uint64_t number;         /* and how many there were before it */
    uint16_t ip;             /* how the sum over the IP header differs, */
    uint16_t tcp;            /* and that over TCP with its pseudo header */
    bool other;      /* it is no TCP any more, or begins elsewhere: they are to be made anew, */
    uint32_t longer; /* as for a length that differs by so much */
    uint32_t pay_lo, pay_hi; /* payload bytes that were changed: from, up to */
    uint32_t pay_kept;       /* so much of the payload was put by, as it came (mon/packet.c) */
};

/*
 * fixsum_begin, fixsum_end: around a change of bytes [lo, hi) of the frame, which decode has seen in
 * between. `number`: of the packet; with another one all begins anew.
 */
struct fixpart {
    uint16_t ip, tcp;
    uint32_t ip_len;
    uint16_t l4_off;
    uint8_t level;
};
struct fixpart fixsum_begin(struct fixsum *f, const struct seg *s, uint64_t number, uint32_t lo,
                            uint32_t hi);
/* fixsum_payload: that change was one of payload bytes [lo, hi), as seen from its beginning. */
void fixsum_payload(struct fixsum *f, uint32_t lo, uint32_t hi);
void fixsum_end(struct fixsum *f, const struct seg *s, struct fixpart was, uint32_t lo,
                uint32_t hi);

/* fixsum_is_of: does it speak of this packet? If not, nothing of it was changed yet. */
bool fixsum_is_of(const struct fixsum *f, const struct seg *s, uint64_t number);

/*
 * fixsum_ip, fixsum_tcp: put the checksum right as far as these changes are concerned. A partial one
 * (PB_CSUM_PART) gets the sum of the pseudo header.
 */
void fixsum_ip(struct fixsum *f, const struct seg *s, uint64_t number);
void fixsum_tcp(struct fixsum *f, const struct seg *s, uint64_t number);

#endif
