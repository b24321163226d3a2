/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seqmap.h: what was done to the length of one direction of a connection: between the numbers of its
 * sender (s) and those of its receiver (r). Bytes pass one to one, but for changes: slen bytes of the
 * sender's became rlen others. A change is kept, with its bytes, until the receiver has acknowledged
 * all of it; what lies in front of the first is one difference.
 *
 *              una                    nxt
 *      s  ------|------[ slen ]--------|------     to come
 *                      /        \
 *      r  ------|------[  rlen  ]--------|----
 *        delta  |  kept, to be repeated  |
 *
 * Numbers are below 2^31 apart. A pure module: it knows of no packet and no connection.
 */
#ifndef WEIR_CONN_SEQMAP_H
#define WEIR_CONN_SEQMAP_H

#include "base/compiler.h"

struct seqedit {
    uint32_t s, slen;
    uint32_t r, rlen;
    uint8_t *bytes; /* rlen of them, malloc'ed; NULL: none */
};

struct seqmap {
    uint32_t una_s, una_r; /* in front of it nothing is to be repeated any more */
    uint32_t nxt_s, nxt_r; /* behind all that has passed */
    uint32_t cut_s,
        cut_r; /* behind the last change that was forgotten, or far behind it; valid if: */
    bool cut;
    struct seqedit *v; /* ascending: from head on, n of them */
    uint32_t head, n, cap;
    uint32_t moves; /* of them, those that move what follows: slen is not rlen */
    uint64_t kept;  /* bytes of theirs */
};

/* seqmap_init: the sender's number s is the receiver's number r. seqmap_fini: give all back. */
void seqmap_init(struct seqmap *m, uint32_t s, uint32_t r);
void seqmap_fini(struct seqmap *m);

/*
 * seqmap_reserve: room for one more change. => false: no memory.
 * seqmap_pass: n bytes at nxt pass as they are.
 * seqmap_edit: slen bytes at nxt become rlen others. => there is room. `bytes` becomes the map's.
 */
bool seqmap_reserve(struct seqmap *m);
void seqmap_pass(struct seqmap *m, uint32_t n);
void seqmap_edit(struct seqmap *m, uint32_t slen, uint8_t *bytes, uint32_t rlen);

/* seqmap_to_r: the receiver's number for a sender's: within a change where that begins. */
uint32_t seqmap_to_r(const struct seqmap *m, uint32_t s);
/*
 * seqmap_to_s: the sender's number for an ACK: at a deletion its far end, within what replaced or was
 * inserted its near end. Never falls where ACKs rise.
 */
uint32_t seqmap_to_s(const struct seqmap *m, uint32_t r);
/* seqmap_begins: the sender's number of a segment that begins at r: in front of what was deleted there. */
uint32_t seqmap_begins(const struct seqmap *m, uint32_t r);
/*
 * seqmap_sack: a block that the receiver has, in the sender's numbers: a change that it has in part
 * does not count. => false: nothing is left of it.
 */
bool seqmap_sack(const struct seqmap *m, uint32_t *start, uint32_t *end);
/* seqmap_acked: the receiver has all in front of r: changes that it has whole are forgotten. */
void seqmap_acked(struct seqmap *m, uint32_t r);
/* seqmap_surplus: how much more the receiver must take from r on than the sender has sent. */
uint32_t seqmap_surplus(const struct seqmap *m, uint32_t r);

/*
 * seqmap_rebuild: what the receiver was sent for [s, s + len), of which `from` are the sender's bytes:
 * into out. A change that is touched is sent whole; what lies before one that was forgotten is left out:
 * the receiver has it. fin: what was inserted at its end counts, too.
 * => number of bytes, and *r where they begin; UINT32_MAX: more than cap. len ends at nxt or before.
 * seqmap_touched: would it be anything else than the bytes themselves?
 */
uint32_t seqmap_rebuild(const struct seqmap *m, uint32_t s, uint32_t len, bool fin,
                        const uint8_t *from, uint8_t *out, uint32_t cap, uint32_t *r);
bool seqmap_touched(const struct seqmap *m, uint32_t s, uint32_t len, bool fin);

/* seqmap_shifts: do its ends count differently: for good, or until changes that cancel out are acknowledged? */
static inline bool seqmap_shifts(const struct seqmap *m)
{
    return m->nxt_s != m->nxt_r || m->moves;
}

/* seqmap_sound: do its numbers fit together? For a map that was read from somewhere. */
bool seqmap_sound(const struct seqmap *m);

#endif
