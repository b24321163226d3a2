/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h: the flow record, byte by byte. Everything that is known of one connection hangs here;
 * every folder to the right works on it. Four cache lines: identity and dispatch, the two sides,
 * counters, the cold rest, which a plain packet (conn/plain.h) does not touch. Links to other objects are pool indices (0: none), never pointers, so
 * that a record can be written out and read in.
 *
 * Sides are numbered as in the API: 0 the client, 1 the server. `side[s]` is what endpoint s has
 * told (as a sender) and what it has received (its receive stream: bytes that the other endpoint
 * sent).
 */
#ifndef WEIR_FLOW_RECORD_H
#define WEIR_FLOW_RECORD_H

#include <string.h>

#include "base/overlap.h"
#include "base/wheel.h"
#include "flow/key.h"

enum { CLI = 0, SVR = 1 };

enum flow_kind { FLOW_MONITOR, FLOW_ENDPOINT, FLOW_UDP, FLOW_STOPPED };

enum flow_flags {
    FLOW_CLI_IS_1 = 1 << 0,  /* the client is endpoint 1 of the key */
    FLOW_V6 = 1 << 1,        /* its addresses are in the key pool */
    FLOW_MIDSTREAM = 1 << 2, /* picked up without its SYN */
    FLOW_NAT = 1 << 3,       /* a second slot under the translated key (`alt`) */
    FLOW_ENDED = 1 << 4,     /* finished: destroyed at the end of the batch */
    FLOW_STRICT = 1 << 5,    /* strict tracking (else tolerant: a passive tap may miss packets) */
    FLOW_LINGER = 1 << 6,    /* both ends finished; kept for late packets until the timer fires */
    FLOW_LAST_SVR = 1 << 7,  /* the last packet was received by the server */
    FLOW_IDLE_TOLD = 1 << 8, /* TIMEOUT was raised for this idle period */
    FLOW_BASE_CLI = 1 << 9,  /* midstream: base of side CLI's receive stream is fixed */
    FLOW_BASE_SVR = 1 << 10, /* same for SVR */
    FLOW_SYN = 1 << 11,      /* the client's SYN was seen */
    FLOW_SYNACK = 1 << 12,   /* the server's SYN/ACK was seen, or its SYN where both open */
    FLOW_PENDING = 1 << 13,  /* on the batch's list of touched flows */
    FLOW_RST = 1 << 14,      /* an RST was believed */
    FLOW_HALF = 1 << 15,     /* half open or one-sided: it has yet to show that two take part */
};

enum side_flags {
    SIDE_FIN_SENT = 1 << 0, /* this side sent FIN; its sequence number is in ctr[].fin */
    SIDE_FIN_RCVD = 1 << 1, /* this side has received everything up to the other's FIN */
    SIDE_WANTED = 1 << 2,   /* a child wants this side's receive stream */
    SIDE_RETAIN = 1 << 3,   /* consumed bytes are kept too */
    SIDE_NOBUF = 1 << 4,    /* no child has a buffer for this side */
    SIDE_SACK_OK = 1 << 5,
    SIDE_TS_OK = 1 << 6,
    SIDE_WSCALE_OK = 1 << 7,
    SIDE_LAST = 1 << 8,      /* overlap policy LAST for this side's receive stream */
    SIDE_CSUM_GOOD = 1 << 9, /* checksum state of what this side sends (auto mode) */
    SIDE_CSUM_OFF = 1 << 10,
    SIDE_PEND_DATA = 1 << 11, /* NEW_DATA to raise at the end of the batch */
    SIDE_PEND_GAP = 1 << 12,  /* gaps to tell */
    SIDE_EDGE = 1 << 13,      /* ctr[].edge of this side is known */
    SIDE_ACKED = 1 << 14,     /* this side has sent an ACK (`ack` is valid) */
    SIDE_SPOKE = 1 << 15,     /* this side has sent anything (`snd_max` is valid) */
};

struct flow_side {      /* 32 bytes, written on every packet */
    uint64_t next;      /* receive stream: offset of the first byte not yet in order */
    uint32_t base;      /* receive stream: sequence number of offset 0 (IRS + 1) */
    uint32_t snd_max;   /* sender: highest sequence number seen + 1 (SND.NXT) */
    uint32_t ack;       /* sender: its highest ACK */
    uint16_t wnd;       /* sender: window of its last ACK, as on the wire */
    uint16_t max_wnd;   /* sender: largest window, in units of its scale */
    uint32_t strm;      /* receive stream's struct strm; 0 until it holds anything */
    uint16_t flags;     /* enum side_flags */
    uint8_t state;      /* enum tcpstate */
    uint8_t wscale : 4; /* sender's: 0-14; 15 unknown (counts as 14) */
    uint8_t policy : 4; /* receive stream: enum overlap_policy */
};

struct flow_ctr { /* 32 bytes: what side s has sent */
    uint64_t ip_bytes;
    uint64_t payload;
    uint32_t packets; /* 2^32 packets: the carry is in the extension */
    union {
        uint32_t fin;    /* SIDE_FIN_SENT: sequence number of its FIN */
        uint32_t echoed; /* before: the newest of its timestamps that its peer has echoed */
    };
    uint32_t tsval; /* its newest timestamp, not beyond holes; SIDE_FIN_SENT: what `echoed` was */
    uint32_t edge;  /* highest ACK + window it has offered, as a sequence number (SIDE_EDGE) */
};

/* One monitoring child of the flow: child 0 is inside the record, others are in the child pool. */
struct child {
    uint32_t set[3]; /* event sets: SND, RCV, NULL */
    int32_t sock;    /* id in this context */
    void *uctx;      /* the application's */
    uint32_t next;   /* index of the next child in creation order */
    uint16_t listener;
    uint16_t flags; /* enum child_flags */
};

enum child_flags {
    CHILD_WANT_CLI = 1 << 0, /* wants the client's receive stream */
    CHILD_WANT_SVR = 1 << 1,
    CHILD_NOBUF_CLI = 1 << 2, /* MOS_CLIBUF 0 */
    CHILD_NOBUF_SVR = 1 << 3,
    CHILD_STOP_CLI = 1 << 4,
    CHILD_STOP_SVR = 1 << 5,
    CHILD_ASKED_CLI = 1 << 6, /* wants by having asked: a buffer was set, or peek was called */
    CHILD_ASKED_SVR = 1 << 7,
    CHILD_CLOSED = 1 << 8,
    CHILD_META_CLI = 1 << 9, /* MOS_FRAG_CLIBUF 0: metadata only, bytes dropped */
    CHILD_META_SVR = 1 << 10,
};

struct child_ext { /* children 1..: in the child pool */
    struct child c;
    uint64_t cursor[2];
    uint32_t flow;
    uint32_t self;
};

struct flow {
    /* line 0: look-up, identity, dispatch */
    struct key_end end[2]; /* in the key's order; IPv6: end[0].addr is an index in the key pool */
    uint8_t proto;
    uint8_t kind : 2;  /* enum flow_kind */
    uint8_t calm : 1;  /* nothing about it is in question (conn/calm.h) */
    uint8_t timed : 1; /* `timeout` is not 0 */
    uint8_t csum : 2;  /* enum csum_mode of conn/ */
    uint8_t asks : 1;  /* the extension may have something that each segment must be asked about */
    uint8_t lost : 1;  /* bytes of it found no memory */
    uint16_t flags;    /* enum flow_flags */
    uint32_t ext;      /* struct flow_ext */
    struct child c0;
    uint64_t last; /* ns of the last packet */
    /* line 1 */
    struct flow_side side[2];
    /* line 2 */
    struct flow_ctr ctr[2];
    /* line 3 */
    uint64_t start;     /* ns of the first packet */
    uint64_t cursor[2]; /* child 0's read offsets, by side */
    struct wheel_node wheel;
    uint32_t hash;
    uint32_t alt;     /* NAT: struct flow_alt */
    uint32_t pend;    /* next flow on the batch's list of touched flows */
    uint32_t timeout; /* own idle timeout in ms, 0: the context's, UINT32_MAX: never (`timed`) */
    uint8_t reason;   /* MOS_END_* */
    uint8_t queue;    /* enum flow_class: the queue that it is in (queue.h) */
    uint8_t end_state[2];  /* states when the flow ended, before both were set to CLOSED */
    uint32_t qnext, qprev; /* its neighbours in that queue */
} __cacheline;

/*
 * Neighbours in one number, for tests of several at once, but not of what has just been written in parts: a processor
 * waits then until these, and all that was written before them, are in its cache. flow_word: proto to flags; side_word: strm to the
 * end. FLOW_WORD, SIDE_WORD: the number in which these fields have these values, and all others 0 (test_ftable).
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FLOW_WORD(proto, calm, timed, asks, flags)                                                 \
    ((uint32_t)(proto) | (calm) << 10 | (timed) << 11 | (asks) << 14 | (uint32_t)(flags) << 16)
#define SIDE_WORD(flags, state) ((uint64_t)(flags) << 32 | (uint64_t)(state) << 48)
#else
#define FLOW_WORD(proto, calm, timed, asks, flags)                                                 \
    ((uint32_t)(proto) << 24 | (calm) << 21 | (timed) << 20 | (asks) << 17 | (uint32_t)(flags))
#define SIDE_WORD(flags, state) ((uint64_t)(flags) << 16 | (uint64_t)(state) << 8)
#endif

static inline uint32_t flow_word(const struct flow *f)
{
    uint32_t w;

    memcpy(&w, (const char *)f + offsetof(struct flow, proto), sizeof(w));
    return w;
}

static inline uint64_t side_word(const struct flow_side *sd)
{
    uint64_t w;

    memcpy(&w, (const char *)sd + offsetof(struct flow_side, strm), sizeof(w));
    return w;
}

_Static_assert(offsetof(struct flow, ext) - offsetof(struct flow, proto) == sizeof(uint32_t) &&
                   offsetof(struct flow_side, strm) + sizeof(uint64_t) == sizeof(struct flow_side),
               "each is one word");
_Static_assert(sizeof(struct flow_side) == 32, "a side is half a cache line");
_Static_assert(sizeof(struct flow_ctr) == 32, "counters of a side are half a cache line");
_Static_assert(sizeof(struct child) == 32, "child 0 ends line 0");
_Static_assert(offsetof(struct flow, side) == 64, "line 0 is one cache line");
_Static_assert(sizeof(struct flow) == 256, "the record is four cache lines");

/* flow_set_timeout: its own idle timeout, as in `timeout`. */
static inline void flow_set_timeout(struct flow *f, uint32_t ms)
{
    f->timeout = ms;
    f->timed = ms != 0;
}

#define FLOW_SYNS 4 /* the last so many are kept */

/* What has shown that a kept SYN was believed, as bits. */
enum flow_syn_shown {
    KEPT_SYNACK = 1 << 0, /* its SYN/ACK came */
    KEPT_ACK = 1 << 1,    /* that passed unseen, and its sender acknowledged it */
    KEPT_ACKED =
        1 << 2, /* that passed unseen, and the other end acknowledged what followed the SYN */
    KEPT_LIVE = 1 << 3, /* no SYN: where a connection was that has made way */
};

/* A SYN on the key of a flow that is not over: it counts if both ends go by it (conn/reuse.c). */
struct flow_syn {
    uint32_t isn, len;       /* bytes on it */
    uint32_t tsval, tsfirst; /* its timestamp, the last and the first time that it came */
    uint16_t wnd;
    uint8_t wscale;
    uint8_t from;              /* side of the old flow */
    uint16_t flags;            /* SIDE_TS_OK, SIDE_SACK_OK, SIDE_WSCALE_OK */
    uint16_t times;            /* how often it came */
    uint32_t ip_len;           /* of each */
    uint64_t first;            /* ns when */
    uint64_t f_last, f_behind; /* what the old flow had for its last packet before */
    uint8_t shown;             /* enum flow_syn_shown */
    uint8_t said[2];           /* segments that go with it since f_said, by side of the old flow */
    uint64_t f_said;           /* the old flow's last packet then */
    struct {                   /* its SYN/ACK; if that passed unseen only the number */
        uint32_t isn, ack, len, ip_len;
        uint32_t tsval, tsecr;
        uint16_t wnd, times;
        uint8_t wscale;
        uint16_t flags; /* enum seg_flags; of KEPT_LIVE as above */
    } answer;
};

#define FLOW_FINS   3
#define FLOW_AGAINS 16 /* repetitions counted as lost, the last so many are kept */

/* A FIN out of order: where its segment begins, and its own number. */
struct flow_fin {
    uint32_t seg, fin;
};

struct flow_range { /* of sequence numbers */
    uint32_t start, end;
};

/* What few flows have: allocated when first needed. What each segment may have to be asked about lies in front, in few lines. */
struct flow_ext {
    uint64_t
        behind; /* `last` minus the newest packet's time, where times run backwards; < 0: refused */
    uint32_t edit; /* struct flow_edit of conn/: its bytes were changed or held on the way */
    uint8_t nsyn, next_syn;
    bool restored; /* the flow is one that had made way for what was none (KEPT_LIVE) */
    bool auth;     /* a SYN was signed (TCP-AO or MD5) */
    struct {
        uint64_t given_up; /* up to this offset holes were given up that nobody has acknowledged */
        uint32_t far_ack;  /* the other side's newest ACK of what passed unseen, not believed yet */
        uint16_t far_wnd;  /* its window */
        uint8_t far_acks;  /* how much ACKs there count so far, 0: there are none (conn/far.c) */
        uint8_t far_segs;  /* segments there since */
        bool unheard; /* it went beyond the window at unheard_seq; the peer had sent so much: */
        bool refused; /* strict: segments of it were refused, up to refused_max */
        bool rst;     /* it sent a RST that its receiver may have believed */
        bool reset;   /* it sent the RST that ended the flow */
        bool probe;   /* it sent one byte into a closed window: */
        uint8_t probe_byte;
        bool fin_on_syn;  /* there is a FIN, on its SYN: the next ACK tells */
        bool fin_doubted; /* there is one, and its receiver may not have taken it yet */
        bool ts_ahead;    /* it has sent this timestamp beyond a hole: */
        bool ts_doubt;    /* it has sent these in order, and they were refused: */
        uint8_t nsack; /* what it has told with SACK, newest first, as far as Linux remembers it */
        uint8_t nmore; /* FINs that wait behind the one of fin_seg */
        uint32_t ahead, doubt_first, doubt_last;
        uint32_t unheard_seq, unheard_packets;
        uint32_t refused_max;
        uint32_t fin_seg;  /* its FIN came out of order: where that segment begins */
        uint32_t held_fin; /* number of a FIN that counts once it is acknowledged */
        uint32_t next_again;
        uint64_t rexmit_packets, rexmit_bytes, ooo_packets, late_bytes;
        uint64_t gap_bytes; /* bytes it sent that were declared lost */
        uint64_t packets_carry;
        struct flow_range sack[SEG_MAX_SACK];
        struct flow_fin more[FLOW_FINS];
        /* its last repetitions that were counted as lost; start == end: none */
        struct flow_range again[FLOW_AGAINS];
        uint32_t kind[8]; /* repetitions by enum rexmit_class */
        uint64_t probe_off;
        uint64_t changed_packets, changed_bytes; /* repeated with other bytes */
    } dir[2];                                    /* by sender */
    struct flow_syn syn[FLOW_SYNS];              /* SYNs that may begin another connection */
    uint16_t vlan[SEG_MAX_VLANS];
    uint8_t nvlan;
    uint8_t zero;
};

/*
 * flow_ext_asks: is there anything in it that the next segment, whatever it is, may change or must be
 * looked at for? Else it only counts and remembers.
 */
static inline bool flow_ext_asks(const struct flow_ext *x)
{
    bool asks = x->behind != 0 || x->nsyn != 0 || x->edit != 0;

    for (int i = CLI; i <= SVR; i++)
        asks |= x->dir[i].far_acks | x->dir[i].unheard | x->dir[i].refused | x->dir[i].rst |
                x->dir[i].probe | x->dir[i].fin_on_syn | x->dir[i].fin_doubted |
                x->dir[i].ts_doubt | (x->dir[i].given_up != 0);
    return asks;
}

/* The second key of a translated flow. */
struct flow_alt {
    struct flow_key key; /* as the server sees it */
    uint32_t hash;
    uint8_t svr_end; /* the server's endpoint number in it */
    uint8_t cli_if;  /* interface by which the client's first segment came */
};

/*
 * A flow whose monitoring was stopped on both sides: only its key is remembered, so that its
 * packets are forwarded after one look-up, are no orphans and open no new flow. 64 bytes; its
 * index in the table carries FLOW_TOMB.
 */
#define FLOW_TOMB 0x80000000u

enum tomb_state {
    TOMB_ISN = 1 << 0,     /* isn is known */
    TOMB_GOES_ON = 1 << 1, /* more than SYNs was heard */
    TOMB_RST_CLI = 1 << 2, /* the client sent an RST, and nothing since */
    TOMB_RST_SVR = 1 << 3,
};

struct flow_tomb {
    struct key_end end[2];
    uint8_t proto;
    uint8_t kind;   /* FLOW_STOPPED */
    uint16_t flags; /* FLOW_V6, FLOW_CLI_IS_1 */
    uint32_t hash;
    uint64_t last;
    struct wheel_node wheel;
    uint8_t fins;  /* bit s: side s has sent FIN */
    uint8_t heard; /* a packet came since it was asked last (queue.h) */
    uint8_t state; /* TOMB_ bits */
    uint8_t zero;
    uint32_t packets;      /* wraps */
    uint32_t isn;          /* the client's */
    uint32_t qnext, qprev; /* its neighbours in the queue of tombstones */
};

_Static_assert(sizeof(struct flow_tomb) == 64, "a tombstone is one cache line");

#endif
