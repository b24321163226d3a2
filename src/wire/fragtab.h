/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fragtab.h: the storage of defrag.c: entries by key and age, chains of blocks, maps of units.
 *
 * Pieces are chains of blocks of one size, so that any mixture of lengths fits into the same memory.
 * Nothing is sorted: whether a fragment overlaps, and whether all is there, a map of the 8-byte units
 * tells; pieces are looked through only when something overlaps.
 */
#ifndef WEIR_WIRE_FRAGTAB_H
#define WEIR_WIRE_FRAGTAB_H

#include "wire/defrag.h"

enum { FRAG_BLOCK = 256, FRAG_UNIT = 8, FRAG_MAX_LEN = 65535, FRAG_TCP_HEADER = 20 };
enum { FRAG_BARE4 = 20, FRAG_BARE6 = 48 }; /* IP header of a fragment, nothing else in it */
enum { FRAG_MAP_UNITS = FRAG_BLOCK * 8 };
enum { FRAG_SEEN = (FRAG_MAX_LEN + 40) / FRAG_UNIT / 64 + 1 }; /* an IPv6 packet's length */
enum { FRAG_MAPS = 2 * (FRAG_MAX_LEN + 1) / FRAG_UNIT / FRAG_MAP_UNITS }; /* Linux keeps more */
#define NO_END UINT32_MAX

/* First block of a chain; others are a link and bytes. */
struct frag_block {
    uint32_t chain, next;
    uint32_t off, len;
    uint32_t run;
    uint8_t data[FRAG_BLOCK - 20];
};

struct frag_more {
    uint32_t chain;
    uint8_t data[FRAG_BLOCK - 4];
};

struct frag_entry {
    struct frag_key key;
    uint32_t hash, hnext, older, newer;
    uint64_t born, serial;
    uint32_t first, last;    /* pieces in order of arrival */
    uint32_t head;           /* the first fragment up to its payload, as a piece */
    uint32_t map[FRAG_MAPS]; /* units seen; 0: none there */
    uint32_t units;          /* how many */
    uint32_t end;            /* NO_END: the last fragment has not come */
    uint32_t top, top_run, runs;
    uint32_t npieces, nfrags, bytes;
    uint32_t plain; /* `bytes` without IP options and extension headers */
    uint32_t tries; /* fragments that have come for it, repeated and refused ones too */
    uint32_t head_ip_len;
    uint16_t head_l3, head_link_len, head_linktype;
    uint16_t tcp_at; /* where its TCP header begins, once there is a head */
    uint8_t world;   /* enum frag_world */
    uint8_t ecn;     /* bit n: a piece with ECN field n */
    bool overlap;
    bool dead;             /* another protocol than TCP: only places and lengths are kept */
    struct frag_diff diff; /* copies of the same bytes */
};

/* What a fragment does to FW_DISCARD though others refuse it. */
enum frag_effect {
    FE_NONE,
    FE_KILLS, /* what has come for its datagram is thrown away */
    FE_TAKEN, /* it is taken */
};

/* The fragment at hand. */
struct frag {
    const struct seg *s;
    struct frag_key key;
    uint32_t hash;
    uint64_t now;
    const uint8_t *data;
    uint32_t off, len, tcp_at;
    bool more, dead;
    bool full;      /* somewhere there was no room for it */
    uint8_t effect; /* enum frag_effect */
    struct frag_note *note;
    struct frag_room *room;
};

/* Which of its units have been compared. */
struct frag_seen {
    uint64_t bit[FRAG_SEEN];
};

static inline struct frag_entry *frag_entry_at(const struct defrag *d, uint32_t i)
{
    return pool_at(&d->entry, i);
}

static inline struct frag_block *frag_piece_at(const struct defrag *d, uint32_t i)
{
    return pool_at(&d->block, i);
}

static inline uint32_t units_of(uint32_t len)
{
    return (len + FRAG_UNIT - 1) / FRAG_UNIT;
}

/* frag_buckets: before the first look-up. => false: no memory. */
bool frag_buckets(struct defrag *d);
/* frag_stones_*: the memory for stones (defrag_bury). _clear: none is left. */
void frag_stones_init(struct defrag *d);
void frag_stones_fini(struct defrag *d);
void frag_stones_clear(struct defrag *d);
/* frag_stone_left: is there room for a stone of one more datagram, should all that wait need one? */
bool frag_stone_left(struct defrag *d, uint64_t now);
/* frag_abandon: frag_give_up, and in strict tracking a stone. */
void frag_abandon(struct defrag *d, uint32_t i, uint64_t now, enum reason why, uint32_t *lost);
/* frag_make_key, frag_examine: fragcheck.c: => why it is refused; f->effect, and f->len cut by it. */
void frag_make_key(const struct defrag *d, struct frag *f);
enum reason frag_examine(const struct defrag *d, struct frag *f);
/* frag_time: how long a datagram of this key waits. */
static inline uint64_t frag_time(const struct defrag *d, const struct frag_key *key)
{
    return key->v6 ? d->conf.timeout6_ns : d->conf.timeout_ns;
}
/* frag_find: an entry of this fragment's key in one of these worlds. => 0: none. */
uint32_t frag_find(const struct defrag *d, const struct frag *f, enum frag_world world);
/* frag_create: an entry of this fragment's key, the newest. => 0: no room. */
uint32_t frag_create(struct defrag *d, struct frag *f, enum frag_world world, uint64_t born);
/* frag_drop: it goes. frag_kill: it is dead: only the bytes go. */
void frag_drop(struct defrag *d, uint32_t i);
void frag_kill(struct defrag *d, struct frag_entry *e);
/*
 * frag_give_up: drop it, and count its fragments at *lost. They are counted with the datagram of
 * FW_RFC, whatever others there are.
 */
void frag_give_up(struct defrag *d, uint32_t i, uint32_t *lost);
/* frag_put: a copy of len bytes as a chain. => 0: no room. frag_get: all its bytes, to `to`. */
uint32_t frag_put(struct defrag *d, struct frag *f, const uint8_t *p, uint32_t len);
void frag_get(const struct defrag *d, uint32_t i, uint8_t *to);
/* frag_differs: in [lo, hi) of the datagram, has the piece other bytes than the fragment? */
bool frag_differs(const struct defrag *d, uint32_t i, const struct frag *f, uint32_t lo,
                  uint32_t hi);
/*
 * frag_compare: the piece and those units of the fragment that were not compared yet; what differs is
 * added to *diff. => how many units of the fragment were compared now.
 */
uint32_t frag_compare(const struct defrag *d, uint32_t i, const struct frag *f,
                      struct frag_seen *seen, struct frag_diff *diff);
/* frag_units: => how many units of the fragment are new, noted if `set`; UINT32_MAX: no room. */
uint32_t frag_units(struct defrag *d, struct frag_entry *e, struct frag *f, bool set);

#endif
