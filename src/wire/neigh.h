/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neigh.h: who has this address? ARP (RFC 826, 5227) and IPv6's neighbour discovery (RFC 4861) ask
 * and answer the same, and are one message here. Untagged Ethernet only.
 */
#ifndef WEIR_WIRE_NEIGH_H
#define WEIR_WIRE_NEIGH_H

#include "wire/seg.h"

#define NEIGH_FRAME 86 /* bytes of the longest message that is built here */

struct neigh_msg {
    bool v6;
    bool answer;       /* ARP reply, neighbour advertisement; else somebody asks */
    bool has_mac;      /* `mac` is said */
    uint8_t addr[16];  /* whose MAC is asked for; of an answer: whose it is */
    uint8_t asker[16]; /* of a question: who asks; all 0: has no address yet (a probe) */
    uint8_t mac[6];    /* the asker's; of an answer: that of addr */
};

/*
 * neigh_parse: is this frame a question or an answer? Of neighbour discovery what RFC 4861 7.1 does
 * not take is none: hop limit, checksum, options.
 * => a decoded frame.
 */
bool neigh_parse(const struct seg *s, struct neigh_msg *m);

/*
 * neigh_is_discovery: any message of neighbour discovery, of routers too, without which IPv6 does not
 * work on a link. => a decoded frame, with tags or without.
 */
bool neigh_is_discovery(const struct seg *s);

/*
 * neigh_ask: a question for addr (4 bytes, or 16 for IPv6), from an interface with this MAC and
 * address. to: the MAC that is believed to have it, to see if it still does; NULL: everyone.
 * neigh_answer: the answer to a question: this interface has it.
 * => out has NEIGH_FRAME bytes; the length of the frame.
 */
uint32_t neigh_ask(uint8_t *out, bool v6, const uint8_t *mac, const uint8_t *own,
                   const uint8_t *addr, const uint8_t *to);
uint32_t neigh_answer(uint8_t *out, const struct neigh_msg *m, const uint8_t *mac);

#endif
