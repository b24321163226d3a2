/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * defrag.h: IP fragments put together, IPv4 and IPv6, bounded in number, bytes and time.
 *
 * A table (struct defrag) keeps the pieces of unfinished datagrams as they came, in order of
 * arrival. What a fragment did to the table is a note (struct frag_note), hung on its frame
 * (pb->frag); the fragment that completes a datagram has it in its note, with a copy of every piece.
 * Which copy of a byte counts where pieces overlap is not decided here: whoever knows the receiver
 * says so to defrag_assemble (fragmerge.c).
 *
 * Two worlds. A Linux host of today throws an IPv4 datagram away at the first overlap, and so does
 * every host with IPv6 (RFC 8200 4.5, RFC 5722); what comes after it begins a new one. The others go
 * on. So from the first overlap on there are two different unfinished datagrams of one key: FW_KEEP
 * for hosts that go on, FW_DISCARD for those that threw away. Until then there is one, FW_BOTH.
 *
 * A third one. Most that go on take a datagram's end from any fragment that says it (RFC 791 3.2). The
 * BSDs look at the last piece that they have (4.4BSD, ip_reass): a fragment that one piece covers goes
 * with what it says of the end, and one that takes the last one's place has its say. Where that makes
 * a difference FW_KEEP parts into FW_RFC and FW_BSD.
 *
 * Notes and what hangs on them lie in a struct frag_room of the caller, which empties it when the
 * frames go back.
 */
#ifndef WEIR_WIRE_DEFRAG_H
#define WEIR_WIRE_DEFRAG_H

#include "base/overlap.h"
#include "base/pool.h"
#include "wire/seg.h"

/* ---- notes ---- */

/* Hosts, as bits: a datagram is that of some. */
enum frag_world {
    FW_RFC = 1,
    FW_BSD = 2,
    FW_DISCARD = 4,
    FW_KEEP = FW_RFC | FW_BSD,
    FW_BOTH = FW_KEEP | FW_DISCARD,
};

enum { FRAG_DATAGRAMS = 3 }; /* at most, completed by one fragment */

static inline enum frag_world frag_world_of(enum overlap_policy p)
{
    return p == OVERLAP_LINUX ? FW_DISCARD : p == OVERLAP_BSD ? FW_BSD : FW_RFC;
}

struct frag_piece {
    uint32_t off, len;
    const uint8_t *data;
};

enum { FRAG_SHOWN = 16 };

/* Copies of the same bytes that differ: all lie in [off, end). */
struct frag_diff {
    uint32_t off, end;
    uint32_t n; /* how many that differ from the copy that came first, of all others; 0: none */
    uint32_t shown;
    uint8_t copy[2][FRAG_SHOWN]; /* `shown` bytes from off on: of the first copy, of the other */
};

/* A datagram that is complete. */
struct datagram {
    struct pktbuf pb; /* its frame: first fragment's link and IP header, lengths set right */
    uint8_t *payload; /* in that frame, `len` bytes */
    uint32_t len;
    uint32_t plain; /* the bytes of its fragments, repeated ones too, each with a bare IP header */
    uint8_t world;  /* enum frag_world */
    bool overlap;   /* pieces overlap: defrag_assemble has a choice */
    bool ecn_mixed; /* only for its ECN fields not one of FW_DISCARD, too */
    struct frag_diff diff;    /* fragments that came for it, taken or not, had other bytes */
    uint32_t npiece;          /* 0 without an overlap: the payload stands */
    struct frag_piece *piece; /* in order of arrival */
    void *scratch;            /* fragmerge.c's */
};

/* Bytes of scratch for n pieces. */
#define FRAG_SCRATCH(n) ((4 * (size_t)(n) + 2) * 12)

struct frag_key {
    uint8_t src[16], dst[16];
    uint64_t vlan;
    uint32_t id, realm;
    uint8_t proto, v6, zero[6]; /* RFC 791 3.2; RFC 8200 4.5 leaves the protocol out */
};

/* What a fragment did. */
struct frag_note {
    uint8_t reason; /* why it was not taken; REASON_NONE: it was */
    bool changed;   /* it brought other bytes for some that are held */
    bool second;    /* not a fragment's own: one of its datagrams, for another context */
    bool dropped;   /* its datagram was, by who worked it off */
    struct frag_key key;
    /* fragments given up with it, by reason */
    uint32_t timeout, limit, overlap, other, ecn;
    uint32_t evicted[2]; /* datagrams given up for lack of room: IPv4, IPv6 */
    struct datagram
        *dg[FRAG_DATAGRAMS]; /* complete: for FW_RFC; FW_DISCARD; FW_BSD alone; or NULL */
};

/* ---- room for notes ---- */

struct frag_chunk;
struct frag_room {
    struct frag_chunk *first, *at; /* chunks that stay, filled anew each time */
};

/* frag_room_get: n bytes, zeroed, aligned to 16. => NULL: no memory. */
void *frag_room_get(struct frag_room *r, size_t n);
/* frag_room_empty: all of it is free again; `poison`: overwritten. frag_room_fini: given back. */
void frag_room_empty(struct frag_room *r, bool poison);
void frag_room_fini(struct frag_room *r);

/* ---- the table ---- */

struct defrag_conf {
    uint32_t datagrams;               /* unfinished at once */
    uint32_t memory;                  /* bytes for their pieces */
    uint32_t pieces;                  /* per datagram, repeated and refused ones too */
    uint32_t min_tcp;                 /* bytes of TCP that a first fragment must carry */
    uint64_t timeout_ns, timeout6_ns; /* IPv4, IPv6 */
    bool vlan_in_key;
    bool strict; /* what was given up is not begun anew, for as long as fragments are waited for */
};

struct frag_entry;
struct defrag {
    struct defrag_conf conf;
    uint64_t secret;
    struct pool entry, block, stone;
    uint32_t *bucket;    /* NULL until the first fragment */
    uint32_t *graveyard; /* buckets of stones; NULL until the first */
    uint32_t stone_oldest, stone_newest;
    uint32_t mask;
    uint32_t oldest[2], newest[2]; /* by age: IPv4, IPv6 */
    uint64_t serial;
    uint32_t pinned[2]; /* being worked on: not to be given up for room */
};

void defrag_init(struct defrag *d, const struct defrag_conf *c, uint64_t secret);
void defrag_fini(struct defrag *d);

/*
 * defrag_input: a frame that decode found to be a fragment (REASON_IP_FRAGMENT).
 * => its note, in `room`; NULL when there was no memory for one.
 * => time is s->pb->clock_ns. Whatever was too old then is given up first.
 */
struct frag_note *defrag_input(struct defrag *d, const struct seg *s, struct frag_room *room);
/*
 * defrag_expire: what is too old at this time is given up; in strict tracking what comes for it later
 * is refused. => fragments.
 */
uint32_t defrag_expire(struct defrag *d, uint64_t now);
/* defrag_end: the input has ended: all that is unfinished is given up. => fragments. */
uint32_t defrag_end(struct defrag *d);

/* datagram_of: the datagram whose frame this is. => NULL: it is none. */
static inline const struct datagram *datagram_of(const struct pktbuf *pb)
{
    return pb->flags & PB_DATAGRAM ? (const struct datagram *)pb : NULL;
}

/*
 * defrag_assemble: fill in the payload by this policy, for a receiver whose bytes these are.
 * => nothing to do, and nothing done, without an overlap.
 */
void defrag_assemble(struct datagram *g, enum overlap_policy policy);

/* ---- fragstone.c: datagrams of which no fragment is taken any more ---- */

/*
 * A stone stands for a datagram, by its key, for the time that one waits for its fragments: all that
 * comes for it is refused, for the stone's reason. There are at most as many as unfinished datagrams;
 * for one more the oldest goes. In strict tracking there are eight times as many, none goes, and no
 * datagram is begun that might need one more.
 */

/* defrag_bury: one is set, unless there is one; no memory: none is. */
void defrag_bury(struct defrag *d, const struct frag_key *key, enum reason why, uint64_t now);
/* defrag_buried: => its reason; REASON_NONE: there is none. */
enum reason defrag_buried(const struct defrag *d, const struct frag_key *key, uint64_t now);

/* ---- fragframe.c ---- */

/* What the frame of a datagram begins with: a first fragment up to its payload. */
struct frag_head {
    const uint8_t *data;
    uint32_t len; /* up to the fragment's payload */
    uint16_t l3_off, link_len_off;
    bool v6;
    bool ce;         /* some fragment has met congestion: so has the datagram (RFC 3168 5.3) */
    uint32_t ip_len; /* of that fragment */
};

/*
 * frag_frame: the frame of a datagram of `len` payload bytes: header written, payload empty.
 * => false: no memory, or a length that some header cannot say.
 */
bool frag_frame(struct datagram *g, const struct frag_head *h, uint32_t len,
                struct frag_room *room);

#endif
