/* SPDX-License-Identifier: BSD-2-Clause */
/* editint.h: what the parts of stream editing share and nobody else sees. */
#ifndef WEIR_CONN_EDITINT_H
#define WEIR_CONN_EDITINT_H

#include "conn/streamedit.h"
#include "tcp/seq.h"

enum edit_what {
    EDIT_BESIDE, /* the other direction is edited, not this one */
    EDIT_FRESH,  /* something of it is new, and nothing in front is missing */
    EDIT_OLD,    /* all of it has passed before */
    EDIT_BARE,   /* no payload, no FIN */
    EDIT_WAITS,  /* something in front is missing */
    EDIT_PROBE, /* where the receiver takes nothing, or it is not believed: only that it came counts */
    EDIT_NUMBERS, /* SYN, RST */
    EDIT_CUT,     /* captured in part */
    EDIT_LOST,    /* no memory: its sender has it */
    EDIT_PARTS,   /* it grows too long: it is shown again, in parts */
};

#define EDIT_SHOWN   61440u  /* payload bytes that are shown at once */
#define EDIT_GROWN   131072u /* payload bytes that they may become */
#define EDIT_MIX_OLD 131072u /* of edit_env.mix: for repeated bytes; behind it for a payload */
#define EDIT_MIX     (EDIT_MIX_OLD + EDIT_GROWN)

static inline uint32_t edit_held(const struct edit_dir *d)
{
    return d->held ? d->held->end - d->held->seq : 0;
}

/* edit_top: behind all that was seen of this sender in order. */
static inline uint32_t edit_top(const struct edit_dir *d)
{
    return d->map.nxt_s + edit_held(d);
}

/* edit_wait_in: a frame at its place. => false: what it has waits already, and it was not taken. */
bool edit_wait_in(struct edit_dir *d, struct kept_frame *k);
/* edit_wait_out: take out the first (there is one). */
struct kept_frame *edit_wait_out(struct edit_dir *d);

/*
 * edit_acceptable: the sequence number r of an ACK to this end, if it takes it; else one that it takes: no
 * more than `nxt`, where what was sent to it ends.
 */
uint32_t edit_acceptable(const struct flow *f, int to, uint32_t r, uint32_t nxt);
/*
 * edit_in_parts: what is shown becomes too long: it is shown again, less at a time. => false: that cannot be.
 */
bool edit_in_parts(struct conn_env *env, struct conn_pkt *cp);
/* edit_wait_rest: the payload from `off` on waits, FIN and all. => false: no memory. */
bool edit_wait_rest(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, uint32_t off);

#endif
