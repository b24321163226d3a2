/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vectors.h: the table of frames that scapy made (gen_frames.py), with what must be found in them.
 */
#ifndef WEIR_TESTS_VECTORS_H
#define WEIR_TESTS_VECTORS_H

#include "wire/seg.h"

struct frame_vec {
    const char *name;
    const char *bytes;
    uint32_t len;
    uint16_t dlt;
    enum reason reason;
    enum seg_level level;
    uint32_t flags; /* exactly these of enum seg_flags */
    const char *src, *dst;
    uint8_t nvlan, nsack;
    uint16_t vlan[SEG_MAX_VLANS];
    uint32_t ttl, proto, frag_off, frag_id, ip_len, ethertype; /* compared unless 0 */
    uint32_t sport, dport, seq, ack, win, urp, tflags, hdr_len, plen, pcap, mss, wscale, tsval,
        tsecr;
    uint32_t sack[SEG_MAX_SACK][2];
    bool nocsum; /* the length field lies so that the TCP checksum cannot be right */
};

static const struct frame_vec frame_vecs[] = {
#include "framevec.inc"
};

#endif
