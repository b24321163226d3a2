/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strm.h: the bytes one endpoint receives, in order, and who may still read them.
 *
 * A receive stream is addressed by 64-bit offsets; 0 is the byte after the SYN. What every flow
 * keeps is flow_side.next: the first byte not yet in order. Only when something is unread, out of
 * order, retained or lost does the side own a `struct strm`, and loses it again when nothing is
 * left.
 *
 *            lo                read_to          readable      next         [ooo]      [ooo]
 *   ---------|=== retained =====|==== unread =====|== held ====|...hole.....|====|.....|===|
 *
 * chunks     what bytes are held: a sorted, disjoint list of views. A chunk is *borrowed* (points
 *            into a frame of this batch)
 *            or *owned* (points into a block of ours). At the end of the batch strm_own makes all
 *            of them owned.
 * intervals  what bytes were seen above `next`, whether held or not (buffers off: nothing is held,
 *            all is known).
 * gaps       declared holes below `next`: for telling late bytes from repeated ones. The last
 *            STRM_GAPS are remembered.
 * host       policies that follow a host: how its queue of segments above `next` looks (hostq.h).
 * readable   where readers must stop. Equal to `next`, except with overlap policy LAST: then bytes
 *            are handed out when the
 *            receiver has acknowledged them, since until then they may be rewritten.
 *
 * A reader whose offset stands on bytes that are not held, below `readable`, has lost them:
 * declared gap or overrun alike (contract 1). Nothing else needs to be remembered about loss.
 *
 * Invariants (strm_check): chunks and intervals sorted, disjoint, non-empty; intervals above `next`
 * and not adjacent to it; ooo_bytes is the sum it says; nothing is held that was not seen; no
 * borrowed chunk after strm_own.
 */
#ifndef WEIR_STREAM_STRM_H
#define WEIR_STREAM_STRM_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/blkpool.h"
#include "base/image.h"
#include "flow/record.h"

#define STRM_GAPS    32 /* declared gaps remembered per stream */
#define STRMS_SHIFT  8  /* log2 of streams in a slab, and of chunks */
#define CHUNKS_SHIFT 9
#define STRM_IVALS   512 /* intervals above `next`; one more declares the first hole a gap */

struct ival {
    uint64_t start, end;
    uint32_t last, fresh; /* above `next`: chunks of its region (above.c) */
};

/* A sorted list of them (ival.c). */
struct ivals {
    blk_t blk;  /* they are in it, or in those that it names; 0: none */
    uint16_t n; /* so many, from the at-th place on */
    uint8_t at;
    uint8_t leaves; /* that it names; 0: they are in it */
};

struct chunk {
    uint64_t off;
    const uint8_t *ptr;
    uint32_t len;
    uint32_t next;
    blk_t blk;     /* 0: borrowed from a frame */
    uint32_t cost; /* memory that it takes, as counted in strm.above_mem */
};

struct strm {
    uint32_t head, tail;   /* chunks */
    struct ivals ooo;      /* intervals above next */
    struct ivals gap;      /* declared gaps */
    uint32_t ooo_bytes;    /* seen above next */
    uint32_t ooo_mem;      /* memory that they take, as counted in strm_env.ooo_mem */
    uint32_t older, newer; /* neighbours among the streams that have such bytes */
    uint32_t flow;         /* whose it is, and side (conn/ says so when bytes come out of order) */
    uint32_t fresh; /* the lower half of an offset: none of those that nfresh counts begins below */
    uint32_t limit; /* bytes that may be held below next at the end of a batch */
    uint32_t ooo_limit;  /* bytes that may be seen above next */
    uint32_t below;      /* the last chunk before the first interval, while there is one */
    uint32_t nfresh;     /* chunks in the regions of intervals that are borrowed (above.c) */
    uint64_t readable;   /* only with SIDE_LAST */
    uint64_t read_to;    /* highest offset any child has read */
    uint64_t acked;      /* highest offset the receiver has acknowledged */
    uint64_t settled;    /* end of the highest forgotten gap: nothing below it is rewritten */
    uint64_t hole_off;   /* `next` when the first hole was noticed (conn/ keeps these four) */
    uint64_t hole_since; /* ns of that moment; 0: no hole noticed */
    uint64_t hole_acked; /* ns when an ACK beyond its start was first seen; 0: not yet */
    uint32_t hole_pkts;  /* segments of the flow since then */
    uint32_t syn_len;    /* bytes set aside: on the SYN, till the SYN/ACK; or doubted */
    blk_t host;          /* the host's queue (policy.c), 0: none, or to be made from `ooo` */
    uint16_t host_n, host_root;
    bool doubted; /* syn_len: they were not on the SYN */
    bool many;    /* there were more stretches above next than SACK tells, and still are some */
    uint8_t side;
    bool sized;         /* limit was asked for: it is retained, and stays */
    uint32_t above_mem; /* memory that chunks in the intervals' regions take, while there are any */
    uint64_t aside;     /* doubted bytes: where they begin: at `next`, or behind a hole */
    blk_t rival;        /* another copy of doubted bytes, that came after them (rival.c), 0: none */
    uint32_t rival_len;
    uint64_t rival_off;
    uint64_t lost; /* gap bytes for which the flow had no extension (conn/ keeps it) */
};

#define STRM_LOST 16

struct strm_run {
    uint64_t off, end;
};

struct strm_env {
    struct pool strms, chunks;
    struct blkpool blks;
    struct memacct *acct;
    uint32_t limit, ooo_limit;       /* defaults for new streams */
    uint64_t ooo_mem;                /* memory taken by what is out of order, over all streams */
    uint32_t ooo_oldest, ooo_newest; /* streams that have such bytes, oldest first */
    uint64_t copied;                 /* bytes copied into own blocks, ever */
    uint64_t failed;                 /* bytes not held because memory ran out, ever */
    uint64_t unnoted;                /* segments of which not even the place was noted, ever */
    struct strm_run lost[STRM_LOST]; /* ... and where those bytes were: see strm_take_lost */
    uint32_t nlost;
    uint64_t lost_more; /* bytes of runs that the list has no room for */
};

void strm_env_init(struct strm_env *e, struct memacct *acct, uint32_t limit, uint32_t ooo_limit);
void strm_env_fini(struct strm_env *e);

static inline struct strm *strm_at(const struct strm_env *e, uint32_t idx)
{
    return pool_of(&e->strms, struct strm, STRMS_SHIFT, idx);
}

/*
 * strm_get: the side's stream, made if missing. => NULL when out of memory (the caller counts
 * NO_STREAM_MEM).
 */
struct strm *strm_get(struct strm_env *e, struct flow_side *sd);
/*
 * strm_put: free it if nothing is left in it and no hole is being watched. strm_drop: free it with
 * everything in it.
 */
void strm_put(struct strm_env *e, struct flow_side *sd);
void strm_drop(struct strm_env *e, struct flow_side *sd);

/* strm_end: where readers must stop. */
static inline uint64_t strm_end(const struct strm_env *e, const struct flow_side *sd)
{
    return sd->strm && (sd->flags & SIDE_LAST) ? strm_at(e, sd->strm)->readable : sd->next;
}

/* A segment's payload at its place. The caller has cut off what lies before offset 0. */
struct strm_in {
    uint64_t off;
    const uint8_t *data; /* first byte, in a frame */
    uint32_t len;        /* bytes captured */
    uint32_t wire_len;   /* bytes on the wire, >= len: the tail was never captured */
    bool store;          /* hold the bytes (somebody wants or retains them) */
};

struct strm_overlap {
    uint32_t dup;   /* bytes seen before, late ones included */
    uint32_t late;  /* of them in declared gaps */
    uint64_t first; /* offset of the first of them (dup > 0) */
};

/* strm_on_syn: bytes that were on the SYN and wait at offset 0. */
static inline uint32_t strm_on_syn(const struct strm_env *e, const struct flow_side *sd)
{
    return sd->strm && !strm_at(e, sd->strm)->doubted ? strm_at(e, sd->strm)->syn_len : 0;
}

/* strm_overlap: what of [off, off+len) is not new. Changes nothing. */
struct strm_overlap strm_overlap(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                                 uint32_t len);

/*
 * strm_fresh: narrow [*from, *to) to its first run of bytes never seen. => false: all of them were.
 */
bool strm_fresh(const struct strm_env *e, const struct flow_side *sd, uint64_t *from, uint64_t *to);

/* strm_held_in: bytes held of [from, to), in order or not. */
uint64_t strm_held_in(const struct strm_env *e, const struct flow_side *sd, uint64_t from,
                      uint64_t to);

/* What strm_diff has found in [off, off+len). */
struct strm_diff {
    uint64_t first, end; /* from the first byte that differs to behind the last (differ > 0) */
    uint32_t differ;     /* bytes held that differ */
    uint32_t compared;   /* bytes held at all */
};

/* strm_diff: the bytes at data against those held at off. Exact as far as bytes are held. */
struct strm_diff strm_diff(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                           const uint8_t *data, uint32_t len);
/*
 * strm_same: do `len` bytes at data equal what is held at off? => 0 same, 1 changed, 2 unknown
 * (some byte is not held and no held one differs). Values of MOS_REXMIT content.
 */
int strm_same(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
              const uint8_t *data, uint32_t len);

/*
 * strm_policy: whose copy counts from now on. Of what is out of order already, each stretch counts
 * as one segment. SIDE_LAST follows; leaving LAST may make bytes readable (the caller tells).
 */
void strm_policy(struct strm_env *e, struct flow_side *sd, enum overlap_policy policy);

/* strm_taken: how many held bytes strm_insert of this would replace. Changes nothing. */
uint32_t strm_taken(const struct strm_env *e, const struct flow_side *sd, const struct strm_in *in);

/*
 * strm_insert: put a payload in its place. Policy FIRST: bytes seen before stay. LAST (SIDE_LAST):
 * they are replaced where nobody has read them yet. The others: bytes out of order are replaced
 * where the host would (hostq.h); what is in order stays. A tail that was not captured replaces
 * nothing.
 * => returns the bytes that were new; sd->next moves on as far as bytes are in order.
 * => *cut: bytes of a never captured tail (snap length) that passed into `next` by this call or
 *    will when their turn comes; they are declared a gap at once (strm remembers), the caller
 *    counts them.
 * => out of memory: the bytes are known but not held (readers see a loss); e->failed counts, and
 *    strm_take_lost tells which. When not even their place can be kept (out of order) it is as if the segment had not come.
 */
uint32_t strm_insert(struct strm_env *e, struct flow_side *sd, const struct strm_in *in,
                     uint32_t *cut);

/*
 * strm_append: strm_insert for a whole payload at `next`, where nothing is out of order or set aside, and
 * not LAST.
 */
void strm_append(struct strm_env *e, struct flow_side *sd, const uint8_t *data, uint32_t len,
                 bool store);

/* strm_predict: where `next` would stand after a payload at [off, off+len). Changes nothing. */
uint64_t strm_predict(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                      uint32_t len);

/*
 * strm_ooo_count (ooo.c): what a stream has out of order has changed: count the memory that it takes -
 * blocks, chunks, intervals, the stream itself - and bring the sum and the list up to date. What is
 * still borrowed counts as what it will take.
 */
void strm_ooo_count(struct strm_env *e, uint32_t idx);
/* strm_ooo_most: of the 16 streams that have waited longest, the one that takes most. => 0: none waits. */
uint32_t strm_ooo_most(const struct strm_env *e);

/* strm_ooo_begin: where the stretch above `next` begins that reaches to `off`. => off: none does. */
uint64_t strm_ooo_begin(const struct strm_env *e, const struct flow_side *sd, uint64_t off);
/* strm_ooo_end: where the bytes above `next` end. => next: there are none. */
uint64_t strm_ooo_end(const struct strm_env *e, const struct flow_side *sd);

/* strm_ooo_next: the first stretch above `next` that ends beyond `off`. => false: there is none. */
bool strm_ooo_next(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                   uint64_t *start, uint64_t *end);

/* strm_ooo_many: were there, since something waits above `next`, more stretches than SACK tells (4)? */
bool strm_ooo_many(const struct strm_env *e, const struct flow_side *sd);

/* strm_full: has the out-of-order limit been passed? */
bool strm_full(const struct strm_env *e, const struct flow_side *sd);

/*
 * strm_hole: the first hole. => false when nothing is known beyond `next` (`upto` = an offset known
 * to exist: ACK or FIN).
 */
bool strm_hole(const struct strm_env *e, const struct flow_side *sd, uint64_t upto, uint64_t *off,
               uint64_t *len);

/* strm_cut: the stream ends at `off`: what was seen from there on, out of order, is forgotten. */
void strm_cut(struct strm_env *e, struct flow_side *sd, uint64_t off);

/* strm_held: bytes held below next (unread and retained). */
uint64_t strm_held(const struct strm_env *e, const struct flow_side *sd);

/*
 * strm_skip: declare [next, upto) lost as far as it is a hole (to the first interval at most). =>
 * bytes given up.
 */
uint64_t strm_skip(struct strm_env *e, struct flow_side *sd, uint64_t upto);

/*
 * strm_ack: the receiver has acknowledged up to offset `off` (needs a stream).
 * => true if more became readable by it: only with LAST.
 */
bool strm_ack(struct strm_env *e, struct flow_side *sd, uint64_t off);

/*
 * Bytes on a SYN (fast open) are held aside until the SYN/ACK tells whether they were taken.
 * strm_syn_hold: keep them (borrowed like any others); => false: no memory. strm_syn_take: the SYN/ACK acknowledged n of
 * them: they become in order data, the rest goes. => bytes taken.
 */
bool strm_syn_hold(struct strm_env *e, struct flow_side *sd, const uint8_t *data, uint32_t len);
uint32_t strm_syn_take(struct strm_env *e, struct flow_side *sd, uint32_t n, bool store);

/*
 * Bytes that the receiver may take or not, nobody can tell, are set aside in the same way until they are
 * in order and it acknowledges them; others that come to the same place count instead. strm_doubt: =>
 * false: not where in order data would be (ahead: nor behind a hole, alone), seen already, or no room.
 * strm_doubt_take: those below `upto` are taken; the rest waits on. => bytes taken.
 */
bool strm_doubt(struct strm_env *e, struct flow_side *sd, uint64_t off, const uint8_t *data,
                uint32_t len, bool ahead);
uint32_t strm_doubt_take(struct strm_env *e, struct flow_side *sd, uint64_t upto, bool store);

/*
 * Others come to the place of doubted bytes (rival.c). strm_doubt_overlap: => how many bytes of [*off, *off + len)
 * are doubted, *off the first of them. strm_contested: do some of them differ from these, or from others
 * before? strm_doubt_same: they do not: what is doubted begins behind these, which are to be inserted.
 * strm_rival: keep these as the other copy, or its continuation; off >= aside. => false: no room, or out of
 * place: it is to count.
 */
uint32_t strm_doubt_overlap(const struct strm_env *e, const struct flow_side *sd, uint64_t *off,
                            uint32_t len);
bool strm_contested(const struct strm_env *e, const struct flow_side *sd, const struct strm_in *in);
void strm_doubt_same(struct strm_env *e, struct flow_side *sd, const struct strm_in *in);
bool strm_rival(struct strm_env *e, struct flow_side *sd, uint64_t off, const uint8_t *data,
                uint32_t len);
/*
 * strm_rival_counts: the receiver has acknowledged up to `upto`: may it have taken the other copy? Not if
 * that and what follows it end before, nor if just what was doubted is acknowledged, and that is less.
 */
bool strm_rival_counts(const struct strm_env *e, const struct flow_side *sd, uint64_t upto);
/* strm_rival_out: take it out: => the block that in->data is in, for the caller to free. */
blk_t strm_rival_out(struct strm_env *e, struct flow_side *sd, struct strm_in *in);
static inline bool strm_has_rival(const struct strm_env *e, const struct flow_side *sd)
{
    return sd->strm && strm_at(e, sd->strm)->rival;
}

/* ---- reading (reader.c) ---- */

/*
 * strm_view: up to *cnt views of held bytes from `off` on, ending at `end`, at the first byte not
 * held, or after `max` bytes.
 * => their sum; *cnt is what was filled in. 0 when the byte at off is not held.
 */
size_t strm_view(const struct strm_env *e, const struct flow_side *sd, uint64_t off, uint64_t end,
                 size_t max, struct iovec *iov, int *cnt);
/*
 * strm_fetch: fetch the bytes that came last, if they lie in a frame: at most one of Ethernet's; of larger ones the processor
 * finds the rest itself.
 */
static inline void strm_fetch(const struct strm_env *e, const struct flow_side *sd)
{
    enum { FRAME = 24 * CACHELINE };
    const struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;
    const struct chunk *c;

    if (s == NULL || s->tail == 0)
        return;
    c = pool_of(&e->chunks, struct chunk, CHUNKS_SHIFT, s->tail);
    for (uint32_t at = 0; c->blk == 0 && at < c->len && at < FRAME; at += CACHELINE)
        prefetch_r(c->ptr + at);
}

/*
 * strm_lost: bytes at `off`, below strm_end, that are not held and never will be. => 0 if the byte
 * at off is held or off is at the end.
 */
uint64_t strm_lost(const struct strm_env *e, const struct flow_side *sd, uint64_t off);
/* strm_frag: the first stretch of held bytes that ends beyond `off`. => false if there is none. */
bool strm_frag(const struct strm_env *e, const struct flow_side *sd, uint64_t off, uint64_t *start,
               uint64_t *len);
/* strm_oldest: lowest offset held, sd->next if none. */
uint64_t strm_oldest(const struct strm_env *e, const struct flow_side *sd);

/* ---- end of batch ---- */

/* strm_own: copy every borrowed chunk. => bytes that were lost because memory ran out. */
uint32_t strm_own(struct strm_env *e, struct flow_side *sd);
/* strm_try_own: the same, but what finds no memory stays borrowed. => bytes that do. */
uint32_t strm_try_own(struct strm_env *e, struct flow_side *sd);
/*
 * strm_take_lost: the next stretch of a side of which the last call (insert, append, own, skip) has
 * lost the bytes, without what some reader had already; it is remembered as a gap. What was set aside
 * is as if it had not come. => false: none is left.
 */
bool strm_take_lost(struct strm_env *e, const struct flow_side *sd, struct strm_run *run);
/*
 * strm_tight: is memory short for what another batch may bring? That is a reserve of blocks, a 32nd of
 * the account's limit and 4 MB at most, and the objects for 64 frames: while memory lasts for their
 * slabs it takes them.
 * => true: they are in use, and whoever lets go of some helps.
 */
bool strm_tight(struct strm_env *e);
/* strm_reserve: the bytes of that reserve; 0 without a limit. */
uint64_t strm_reserve(const struct strm_env *e);
/* strm_release: let go of what lies below `keep` (and below next). */
void strm_release(struct strm_env *e, struct flow_side *sd, uint64_t keep);
/* strm_clear: let go of all held bytes (a buffer was switched off); intervals and gaps stay. */
void strm_clear(struct strm_env *e, struct flow_side *sd);

/*
 * strm_export: append the side's stream to an image, if it has one (at the end of a batch).
 * strm_import: the reverse; sd->strm says whether there is one and gets the index here. => false,
 * sd without a stream: no memory, or the image is cut off.
 */
void strm_export(const struct strm_env *e, const struct flow_side *sd, struct image *im);
bool strm_import(struct strm_env *e, struct flow_side *sd, struct image *im);

/* strm_check: invariants (tests). => false with the reason in err_text(). */
bool strm_check(const struct strm_env *e, const struct flow_side *sd, bool after_own);

#endif
