/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plainhdr.h: what of a repetition is worth nothing to anybody: its bytes, which were there before, and
 * headers as every packet must have them. A bare IP header, 20 bytes or 40 with IPv6 (48 in a fragment),
 * and TCP's 20, or 32 with a timestamp. In what headers have beyond that new bytes could hide.
 */
#ifndef WEIR_APPS_PLAINHDR_H
#define WEIR_APPS_PLAINHDR_H

#include <stdint.h>

#include <mos_api.h>

struct plainhdr {
    uint32_t plain; /* IP bytes of the packet, of all its fragments, that are no more than that */
    uint32_t
        odd; /* bytes that may say anything: IP options, extension headers, TCP options of no known kind */
    uint32_t nshown;   /* bytes at shown */
    const void *shown; /* the first of them, in the packet */
};

/* plainhdr_of: a packet that brings no new payload, in an event rooted in MOS_ON_REXMIT. */
struct plainhdr plainhdr_of(const struct pkt_info *p, const struct mos_rexmit_info *info);

#endif
