/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * streamedit.h: payload that changes its length on the way (contract 6). A flow that was edited has a
 * struct flow_edit; its segments go the long way, and between the steps of that:
 *
 *     edit_enter     the sender's number becomes the receiver's, in which the record is kept; or the
 *                    segment waits, because bytes in front of it are missing
 *     conn_send      (judged and noted by its receiver's numbers; its ACK as its sender said it)
 *     edit_present   what the application sees at SND: the sender's numbers; bytes held before in front
 *     ... SND: edit_begin, edit_room, edit_reserve, edit_changed, edit_hold by what it asks for ...
 *     edit_apply     what the receiver gets: its numbers, ACK and SACK of what it has sent itself
 *     conn_recv, conn_merge; edit_show around what is told at RCV
 *     edit_finish    now it is certain: the map goes on, and what was made beside the frame leaves
 *     edit_next      a segment whose turn has come: it goes the same way
 *
 * The record speaks of each stream in its receiver's numbers: sequence numbers translated, ACKs as they
 * came. Frames hold what their end understands: at SND the sender, from edit_apply on the receiver.
 *
 * ORDER. The application at SND sees each byte once and in order from the first edit or MOS_HOLD on:
 * segments beyond a hole wait (and are told to their sender with an ACK of our own, SACK and all, as
 * their receiver would), what was seen before is repeated from what is kept. A segment that only repeats is
 * shown without its payload, so that its headers are changed as those of the first copy were. What lies in
 * front of the first edit is shown whenever it comes, as before: it was not kept; what is new behind it in one
 * segment is shown in its turn. A segment that grows too long is shown again, in parts (EDIT_PARTS).
 *
 * WINDOWS. What has grown may fill the receiver's window before its sender is at the end of the one that it
 * was told. The window told back shrinks by that. What waits then waits for room; what comes is refused by
 * its receiver, and its sender repeats it.
 *
 * LIFE. Without the map the two ends do not understand each other, and bytes would be lost that nobody misses. So
 * such a flow (edit_lasts) is kept through silence as a translator keeps one (RFC 5382: 2 hours 4 minutes, or
 * what is configured if that is more), is the last to be evicted, and if it is forgotten after all while it lives
 * both ends are reset (mon_reset_edited).
 *
 * MEMORY. Bytes changed, held and waiting count in the context's budget. Without memory an edit is
 * refused (ENOBUFS), and a segment that would wait is dropped: its sender has it. Nothing that was
 * promised is forgotten.
 */
#ifndef WEIR_CONN_STREAMEDIT_H
#define WEIR_CONN_STREAMEDIT_H

#include "conn/conn.h"
#include "conn/seqmap.h"

#define EDIT_HOLD_NS  (50 * NSEC_PER_MSEC)  /* so long bytes are held */
#define EDIT_HOLD_MAX 32768u                /* so many, of one direction */
#define EDIT_WAIT_MAX (8u << 20)            /* memory of frames that wait, of one direction */
#define EDIT_LINGER   (5 * NSEC_PER_SEC)    /* so long its numbers are known after its end */
#define EDIT_LIVES    (7440 * NSEC_PER_SEC) /* without a packet at least; */
#define EDIT_CLOSES   (240 * NSEC_PER_SEC)  /* once both have sent FIN, or one RST */

/* A frame that is kept: it waits for its turn, or its payload is held. */
struct kept_frame {
    struct kept_frame *next, *prev; /* that wait: ascending (editwait.c) */
    struct kept_frame *kid[2];
    struct pktbuf pb;  /* data, cap: in here */
    uint32_t seq, end; /* the sender's numbers, a FIN counts */
    uint32_t payload;  /* offset */
    size_t size;       /* of all this, as it counts */
    bool sent;         /* conn_send was there */
};

struct edit_dir { /* by sender */
    bool on;
    bool fin;       /* its FIN has passed: number nxt_s */
    uint32_t tsval; /* its newest timestamp */
    uint32_t start; /* its first number in the map: bytes in front passed before the first edit, */
    bool below;     /* and its receiver may lack some of them */
    uint32_t longest; /* datagram of its own: none that we make is longer */
    uint32_t
        path; /* datagram that the way to its receiver takes, as a router has said; 0: none has */
    struct seqmap map;
    struct kept_frame *held;        /* the bytes at nxt */
    uint64_t since;                 /* when the first of them came */
    struct kept_frame *wait, *tree; /* the first that waits; and how to find a place among them */
    uint32_t waiting;               /* bytes of memory */
    struct flow_range told[3];      /* what waits, as its sender was told last: newest first */
    uint8_t ntold;
    uint16_t part; /* new bytes that are shown at once; 0: EDIT_SHOWN */
};

struct flow_edit {
    struct edit_dir dir[2];
    uint32_t flow;
    uint16_t linktype;   /* of its frames */
    uint32_t next, prev; /* of those that hold bytes, the first due first; 0: none */
    uint64_t due;        /* if listed: when they leave */
    bool listed;
    uint32_t self;
};

/* edit_of: what was edited of a flow. => NULL: nothing. */
struct flow_edit *edit_of(const struct conn_env *env, const struct flow *f);
/*
 * edit_lasts: do both ends of a connection that lives depend on what is known here? They count differently, or
 * bytes of theirs are held or wait.
 */
bool edit_lasts(const struct conn_env *env, const struct flow *f);

/* ---- a segment's way ---- */

/*
 * edit_enter: a segment of a flow that has a flow_edit. => true: it is done with (it waits, or was
 * dropped). again: it has waited, and conn_send was there (*sent).
 */
bool edit_enter(struct conn_env *env, struct conn_pkt *cp);
void edit_present(struct conn_env *env, struct conn_pkt *cp);
/* edit_apply: => false: it is done with. */
bool edit_apply(struct conn_env *env, struct conn_pkt *cp);
/*
 * edit_cover: of a segment that repeats, the application at SND sees the headers, and no byte that it has seen
 * since the first edit. edit_present has called it. edit_uncover: its payload is there again. => false: no memory.
 * edit_repeats: is this such a segment? Nothing that is changed in its payload is kept.
 */
bool edit_cover(struct conn_env *env, struct conn_pkt *cp);
bool edit_uncover(struct conn_env *env, struct conn_pkt *cp);
bool edit_repeats(const struct conn_env *env, const struct conn_pkt *cp);
/* edit_beside: is nothing of this direction edited, as far as is known now, whatever is of the other? */
bool edit_beside(const struct conn_env *env, const struct conn_pkt *cp);
/* edit_waits: is it one that waits? edit_would_wait: would it, if its direction were edited from here on? */
bool edit_waits(const struct conn_env *env, const struct conn_pkt *cp);
bool edit_would_wait(const struct conn_env *env, const struct conn_pkt *cp);
/* edit_is_new: is there something in it that leaves for the first time, and now? */
bool edit_is_new(const struct conn_env *env, const struct conn_pkt *cp);
/* edit_show: `on`: the segment has the numbers that its receiver sees; else those of the record. */
void edit_show(struct conn_env *env, struct conn_pkt *cp, bool on);
void edit_finish(struct conn_env *env, struct conn_pkt *cp);

/*
 * edit_next: a frame of this flow whose turn has come: of *from; *sent: conn_send was there.
 * edit_flush: the bytes that `from` has sent and that are held, as a frame. => NULL: there is none.
 * edit_drop_frame: it is done with.
 */
struct kept_frame *edit_next(struct conn_env *env, uint32_t idx, int *from);
struct kept_frame *edit_flush(struct conn_env *env, uint32_t idx, int from);
void edit_drop_frame(struct conn_env *env, struct kept_frame *k);
/* edit_due: a flow that has held bytes until now long enough. => 0: none. edit_when: when. */
uint32_t edit_due(const struct conn_env *env, uint64_t now, int *from);
uint64_t edit_when(const struct conn_env *env);

/* ---- at SND, for mtcp_setlastpkt ---- */

/*
 * edit_begin: the payload at hand may change its length now, or be held. => 0; -1 EOPNOTSUPP, ENOBUFS,
 * with text; EAGAIN: what lies in front of it is missing: it waits, and is shown again in its turn.
 * edit_keep_whole: before the first change: should it grow too long it is there as it was.
 */
void edit_keep_whole(struct conn_env *env, const struct conn_pkt *cp);
int edit_begin(struct conn_env *env, struct conn_pkt *cp, bool hold);
/*
 * edit_room: room for a payload of n bytes. Moves the frame if need be. => 0; -1 ENOBUFS; EAGAIN: that is too
 * long: it is as it was, and is shown again in parts.
 */
int edit_room(struct conn_env *env, struct conn_pkt *cp, uint32_t n);
/* edit_reserve: memory to keep a change of a payload of n bytes. => 0; -1 ENOBUFS. */
int edit_reserve(struct conn_env *env, struct conn_pkt *cp, uint32_t n);
/* edit_changed: bytes [off, off + len) of the payload, n bytes long now, are not the sender's. */
void edit_changed(struct conn_env *env, uint32_t off, uint32_t len, uint32_t n);
/*
 * edit_editable: may [off, off + len) of n be changed? Not what is held back; nor, unless its length `stays`, what has
 * left before.
 */
bool edit_editable(const struct conn_env *env, uint32_t off, uint32_t len, uint32_t n, bool stays);
/* edit_hold: forward the first `off` bytes only. => 0; -1 EINVAL, ENOBUFS. */
int edit_hold(struct conn_env *env, const struct conn_pkt *cp, uint32_t off);

/* ---- for others ---- */

/* edit_rseq: where the payload at hand begins, in the receiver's numbers. */
uint32_t edit_rseq(const struct conn_env *env, const struct conn_pkt *cp);
/* edit_sent_by: an ACK of what `side` has sent, as that side counts. */
uint32_t edit_sent_by(const struct conn_env *env, const struct flow *f, int side, uint32_t ack);
/* edit_begun_by: the number of a segment that `side` has sent, from its receiver's, as that side counts. */
uint32_t edit_begun_by(const struct conn_env *env, const struct flow *f, int side, uint32_t seq);
/*
 * edit_too_big: the way to the receiver of what `side` sends takes datagrams of mtu bytes: from now on none that
 * has grown is longer. Its sender learns of it, and sends less; what becomes of that must not be too long again.
 */
void edit_too_big(struct conn_env *env, const struct flow *f, int side, uint32_t mtu);
void edit_free(struct conn_env *env, struct flow *f);
void edit_fini(struct conn_env *env);
/* edit_export, edit_import: as conn_export, conn_import. */
void edit_export(const struct conn_env *env, const struct flow *f, struct image *im);
bool edit_import(struct conn_env *env, uint32_t idx, struct image *im);

/* ---- what the parts share ---- */

/*
 * edit_mix: room to put payload together; edit_big: for a frame that grows. => NULL: no memory. Both are there before
 * anything is edited: what is promised then needs them.
 */
uint8_t *edit_mix(struct conn_env *env);
uint8_t *edit_big(struct conn_env *env);
void *edit_alloc(struct conn_env *env, size_t n); /* counts; NULL is counted as a reason */
void edit_release(struct conn_env *env, void *p, size_t n);
/* edit_copy: a frame like this one, with payload [off, off + len) of it and room for more. */
struct kept_frame *edit_copy(struct conn_env *env, const struct seg *s, uint32_t off, uint32_t len);
/* edit_set_payload: the payload becomes these bytes. => 0; -1 no memory. */
int edit_set_payload(struct conn_env *env, struct conn_pkt *cp, const uint8_t *bytes, uint32_t n);
/* edit_leave: the frame goes as one, or as several; restores the frame that came. */
void edit_leave(struct conn_env *env, struct conn_pkt *cp);
/*
 * edit_answer: an ACK to the sender of this segment, in the name of its receiver. waits: with what has
 * come to wait.
 */
void edit_answer(struct conn_env *env, const struct conn_pkt *cp, bool waits);
/* edit_window: the window field of a segment of `from`, without the surplus of its ACK. */
uint16_t edit_window(const struct conn_env *env, const struct flow *f, int from, uint32_t ack,
                     uint16_t win);
bool edit_wait(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, bool sent);
/* edit_list: what it holds has changed: to its place among those that hold, if it holds anything. */
void edit_list(struct conn_env *env, struct flow_edit *fe);
void edit_unlist(struct conn_env *env, struct flow_edit *fe);

#endif
