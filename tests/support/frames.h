/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frames.h: frames for tests, from a template: name only what differs from a plain ACK.
 *
 *   static struct frame_buf b;
 *   struct pktbuf *p = frame_tcp(&b, (struct frame){.flags = "S", .seq = 100, .mss = 1460, .wscale
 * = FRAME_WSCALE(7)}); p = frame_tcp(&b, (struct frame){FRAME_REPLY, .flags = "S.", .seq = 499,
 * .ack = 101}); p = frame_tcp(&b, (struct frame){.src = "2001:db8::9", .dst = "2001:db8::a",
 * .payload = "GET / HTTP/1.1\r\n\r\n"}); p = frame_udp(&b, (struct frame){.vlan = {100, 7}, .dport
 * = 53, .payload = "x"});
 *
 * Every frame has right lengths and checksums unless a field asks for something else; the code
 * shares nothing with src/wire, so that each checks the other. A mistake in a template (no room,
 * bad address) ends the test program, unless .may_fail.
 */
#ifndef WEIR_TESTS_FRAMES_H
#define WEIR_TESTS_FRAMES_H

#include "base/pktbuf.h"

#define FRAME_HEADROOM  64
#define FRAME_ROOM      4096
#define FRAME_ZERO      (-1)      /* for fields where 0 means "the default": really 0 */
#define FRAME_WSCALE(n) ((n) + 1) /* .wscale: a shift of 0 is a shift too */
#define FRAME_REPLY     .reply = true

/* A pktbuf with its bytes. pb.data has FRAME_HEADROOM before it and pb.cap = FRAME_ROOM. */
struct frame_buf {
    struct pktbuf pb;
    uint8_t room[FRAME_HEADROOM + FRAME_ROOM];
};

enum frame_link {
    FRAME_ETHER, /* DLT_EN10MB */
    FRAME_SNAP,  /* Ethernet with an 802.3 length and LLC/SNAP */
    FRAME_SLL,
    FRAME_SLL2,
    FRAME_RAW,       /* DLT_RAW 12 */
    FRAME_IP4,       /* DLT_IPV4 */
    FRAME_IP6,       /* DLT_IPV6 */
    FRAME_NULL,      /* family in this machine's byte order */
    FRAME_NULL_SWAP, /* family in the other byte order */
    FRAME_LOOP,      /* family in network byte order */
};

struct frame {
    /* Ends. An address with ':' makes the frame IPv6. Defaults: 10.0.0.1:1234 > 10.0.0.2:80, IPv6
     * 2001:db8::1, ::2. */
    const char *src, *dst;
    uint16_t sport, dport;
    bool v6;
    bool reply; /* swap addresses and ports (given or default): the same flow's other direction */

    /* TCP */
    const char *flags; /* as tcpdump: S F R P . U E W ('A' is '.'); default "."; "" for none */
    uint32_t seq, ack;
    int win;             /* default 8192; FRAME_ZERO */
    uint16_t urp;        /* sets no flag by itself */
    const void *payload; /* NULL and plen > 0: byte at sequence number x is frame_byte(x) */
    uint32_t plen;       /* 0: strlen(payload) */
    uint16_t mss;        /* 0: no option; likewise below. They come in this order, NOPs first */
    uint8_t wscale;      /* FRAME_WSCALE(shift) */
    bool sackok;
    uint32_t ts[2]; /* value, echo; both 0: no option, unless has_ts */
    bool has_ts;
    uint32_t sack[8]; /* start, end, ... as many pairs as are not 0,0 */
    const void *opts; /* further options, raw; padded with zeros to 4 bytes */
    uint8_t optlen;
    uint8_t doff; /* data offset in words, if it must lie; 16 for a 0 */

    /* IP */
    uint8_t ttl; /* default 64 */
    uint8_t tos;
    uint8_t proto;     /* frame_ip only: payload is the transport header and all */
    uint32_t id;       /* IPv4 identification, or the fragment header's */
    uint16_t frag_off; /* bytes, a multiple of 8 */
    bool frag_more;
    bool df;             /* IPv4: do not fragment */
    bool frag6;          /* IPv6: a fragment header even if it is atomic */
    const void *ip_opts; /* IPv4 options; IPv6: extension headers, the last naming TCP or UDP */
    uint16_t ip_optlen;  /* IPv4: a multiple of 4 */
    uint8_t ext_first;   /* IPv6: type of the first of them */
    int ip_len_add;      /* the length field says so much more (or less) than the truth */
    bool ip_len_zero;    /* the length field says 0 (TSO) */

    /* Link */
    enum frame_link link;
    uint16_t vlan[5]; /* VIDs, outermost first; up to the first 0, unless nvlan says how many */
    uint8_t nvlan;
    uint16_t tpid; /* of the outer tags when there are several; default 0x8100 */
    bool pppoe;    /* after the tags */
    int pppoe_len_add;
    uint8_t mpls; /* so many labels, after the tags */

    /* The frame as captured */
    uint32_t pad;  /* bytes after the datagram (Ethernet padding), each 0xEE */
    uint32_t snap; /* captured bytes at most; wire_len stays */
    bool bad_csum; /* transport checksum wrong by one bit */
    bool bad_ipcsum;
    uint64_t ts_ns;  /* to pb.ts_ns */
    uint64_t number; /* to pb.frame */

    bool may_fail; /* what cannot be made gives NULL, and does not end the program */
};

/*
 * frame_tcp, frame_udp, frame_ip: make the frame in b. => &b->pb, all fields of pktbuf set, refs 1.
 * => frame_ip takes payload as all that follows the IP header, of protocol .proto; for fragments
 * and the unusual.
 */
struct pktbuf *frame_tcp(struct frame_buf *b, struct frame f);
struct pktbuf *frame_udp(struct frame_buf *b, struct frame f);
struct pktbuf *frame_ip(struct frame_buf *b, struct frame f);

/* frame_bytes: b holds these bytes as captured with this link type (DLT_). => &b->pb. */
struct pktbuf *frame_bytes(struct frame_buf *b, const void *p, uint32_t len, uint16_t linktype);

/* frame_byte: the payload byte that stands at a sequence number when .payload is NULL; any two
 * copies agree. */
uint8_t frame_byte(uint32_t seq);

/* frame_csum: the Internet checksum of bytes (RFC 1071), the naive way; 0 means that a whole header
 * is right. */
uint16_t frame_csum(const void *p, uint32_t len);

#endif
