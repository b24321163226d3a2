/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h: one connection = flow record + TCP state of both sides + two receive streams. A segment
 * goes in, raised events come out as masks; who tells them to whom is not decided here.
 *
 * A segment's way (the engine's worker calls these in this order, dispatching what each has raised
 * in between):
 *
 *     conn_reuse   a SYN that begins a new connection on an old key? (then conn_end of the old one
 *                  first)
 *     conn_open    make the record
 *     conn_refuse  checksum: is the segment to be ignored altogether?
 *     conn_begin   most segments are plain and go a short way (plain.h)   -> cp.plain,
 *                  or begin and end in their place (place.h)   -> cp.in_place
 *     conn_send    what the segment tells of its sender          -> cp.snd
 *     conn_recv    what it does to its receiver, retransmission?  -> cp.rcv
 *     conn_merge   its payload goes into the stream, gaps         -> cp.rcv, cp.data, env.gaps
 *     conn_done    has the connection come to its end?
 *
 * Ends: conn_flush delivers what is held and declares the last gaps; after the application was
 * told, conn_free gives all back. Timers: conn_timer looks at one flow whose wheel entry fired.
 */
#ifndef WEIR_CONN_CONN_H
#define WEIR_CONN_CONN_H

#include "base/image.h"
#include "base/reasons.h"
#include "conn/syndrop.h"
#include "conn/synnote.h"
#include "flow/table.h"
#include "stream/strm.h"
#include "tcp/check.h"
#include "tcp/fsm.h"
#include "wire/build.h"

/* What a step has raised, as bits; event/ has the order, mon/ asserts the values' agreement. */
enum conn_raised {
    CR_CONN_START = 1 << 0,
    CR_STATE = 1 << 1,
    CR_REXMIT = 1 << 2,
    CR_ERROR = 1 << 3,
    CR_OVERLAP = 1 << 4, /* some repeated bytes are still held, or fragments brought two copies */
};

enum csum_mode { CSUM_OFF, CSUM_ON, CSUM_AUTO }; /* values of MOS_CSUM */

struct conn_cfg {
    bool strict, midstream;
    bool in_line;       /* an inline pair (live devices): no grace for gaps */
    uint8_t csum;       /* enum csum_mode */
    uint64_t idle_ns;   /* UINT64_MAX: never */
    uint64_t tw_ns;     /* TIME_WAIT */
    uint64_t linger_ns; /* ended flows are kept so long for late packets */
    uint64_t grace_ns;  /* gap_grace */
    uint32_t grace_pkts;
    uint64_t gap_timeout_ns;
    uint64_t ooo_memory; /* memory for what is out of order over all flows, 0: no limit */
    bool long_way;       /* tests: no segment is plain (plain.h) */
};

/* Causes of gaps: values of the public MOS_GAP_*. */
enum gap_cause { GAP_ACKED = 1, GAP_LIMIT, GAP_TIMEOUT, GAP_END, GAP_SNAPLEN };

/* One declared gap, until the end of the batch. */
struct conn_gap {
    uint32_t flow;
    uint8_t side;  /* whose receive stream */
    uint8_t cause; /* enum gap_cause */
    uint64_t off, len;
};

/* One (flow, side) with something to tell at the end of the batch, in the order first raised. */
struct conn_raise {
    uint32_t flow; /* 0: taken back */
    uint8_t side;
};

/* What is done to the segment at hand of an edited flow (streamedit.h). */
struct conn_edit {
    struct flow_edit *fe;
    uint8_t what;        /* enum edit_what */
    bool fin;            /* its FIN is new */
    bool edited;         /* all but the first `pre` and the last `post` bytes */
    bool whole;          /* edit_env.mix has it as it was presented, behind EDIT_MIX_OLD */
    uint32_t came, plen; /* its sequence number and payload, as it came */
    uint32_t snd_max;    /* its sender's, before; valid if: */
    bool entered;
    uint32_t s, slen, r; /* payload as presented: where it begins, and its length, for the sender */
    uint32_t pre, post;  /* bytes of it that are the sender's */
    uint32_t floor, tail; /* of those, known before; to be held back */
    uint32_t old,
        old_r;      /* bytes in front that are a repetition (in edit_env.mix); where they begin */
    uint32_t out;   /* payload bytes that leave, without those */
    bool beginning; /* of a connection: its numbers are as they are */
    struct kept_frame *hold; /* what will be held */
    uint8_t *aside;          /* the payload, while less of it is shown (edit_cover); NULL: all is */
    uint32_t aside_len, seen; /* its bytes; so many are shown */
    bool aside_fin;           /* it had a FIN */
    uint8_t *piece;           /* the changed bytes, for the map */
    uint32_t piece_len, piece_cap;
    struct edit_numbers raw, shown; /* ACK and SACK as they came; as its receiver counts */
    /* the frame that came, if it was moved into edit_env.big */
    uint8_t *data;
    uint32_t len, wire_len, cap;
};

struct edit_env {
    struct pool flows;          /* struct flow_edit */
    uint32_t holds, holds_last; /* flows that hold bytes, the first due first */
    struct conn_edit at;        /* the segment at hand */
    uint8_t *big, *mix; /* a frame that has grown; a payload put together: made when needed */
    bool again;         /* the frame at hand has waited, or was held */
    /* the way out: `back`: to the end that `like` came from. => 0, or -1 */
    int (*send)(void *arg, const struct pktbuf *like, bool back, const uint8_t *frame,
                uint32_t len);
    void *arg;
    bool
        replay; /* of captures: what ends say is about what was sent, not about what becomes of it */
};

struct conn_env {
    struct ftable ft;
    struct strm_env se;
    struct memacct acct;
    struct conn_cfg cfg;
    struct synnotes notes; /* SYNs that were not made flows */
    struct syndrops drops; /* those of them that were not forwarded */
    uint64_t now;
    uint64_t plain_ns; /* a flow that was idle for so long goes no short way (plain.h) */
    uint64_t reasons[REASON_CNT];
    struct conn_gap *gaps; /* this batch's */
    uint32_t ngaps, cap_gaps;
    struct conn_raise *raises; /* this batch's */
    uint32_t nraises, cap_raises;
    uint32_t touched; /* flows with borrowed bytes, linked by flow.pend */
    uint32_t *ended;  /* flows that end with this batch, in order */
    uint32_t nended, cap_ended;
    uint32_t unlisted; /* that list has it no more, though the flow has ended; 0: none */
    /* no memory for the list: it lacks flows, whose flags say that they belong there */
    bool raises_lack, ended_lack;
    bool no_counts;                    /* flows do not count bytes (MOS_STATS 0) */
    bool answered;                     /* conn_reuse found that a kept SYN counts: */
    struct flow_syn kept;              /* .from: its sender sent this segment, too */
    struct flow_syn others[FLOW_SYNS]; /* what the new flow keeps, in turn */
    uint32_t nothers;
    struct edit_env edit;
};

/* What a segment in its place is (place.h). */
enum conn_place {
    PLACE_NONE,
    PLACE_SYN,    /* it has opened the flow */
    PLACE_SYNACK, /* the first one */
    PLACE_NEXT,   /* an ACK, bytes or a FIN, the next of its sender */
};

struct rexmit_info {
    uint8_t cls;     /* enum rexmit_class */
    uint8_t content; /* 0 same, 1 changed, 2 unknown */
    uint64_t off;    /* stream offset of the first repeated byte */
    uint32_t len;    /* repeated bytes */
    uint32_t fresh;  /* new bytes in the same segment */
    uint32_t held;   /* repeated bytes that are held and captured: they were compared */
    uint32_t differ; /* of them, bytes that differ */
};

struct conn_pkt {
    struct seg *s;
    struct flow *f;
    uint32_t idx;
    uint8_t from, to;
    uint8_t snd, rcv; /* enum conn_raised: for the sender at SND, for the receiver at RCV */
    uint8_t data;     /* bit s: bytes became readable on side s */
    /*
     * the packet is not believed (RST or SYN out of place): counted, told as PKT_IN, changes
     * nothing
     */
    bool ignored;
    bool late_syn;  /* the SYN again, where nothing of it is taken */
    bool stale;     /* nothing but what the receiver has: it does not look at the ACK either */
    bool doubt;     /* ignored; but its receiver may take its bytes, and will tell */
    bool contested; /* its bytes differ from some that are set aside */
    bool opened;    /* it opened the flow */
    bool merged;    /* conn_merge was here */
    bool edited;    /* its flow is an edited one (streamedit.h) */
    bool quiet;     /* nothing of it is new: it is not told at SND */
    bool plain;     /* it goes the short way */
    uint8_t
        in_place; /* enum conn_place: not so plain, but in its place: a short way, too (place.h) */
    bool first_ack; /* the first ACK of its sender */
    bool first_syn; /* the first SYN seen of the client */
    uint32_t gap0;  /* env.gaps from here on are this packet's */
    uint64_t idle;  /* ns since the flow's packet before */
    int64_t off;    /* stream offset of payload[0] in the receiver's stream; may be negative */
    struct rexmit_info rexmit;
};

int conn_env_init(struct conn_env *env, const struct conn_cfg *cfg, uint32_t max_flows,
                  uint64_t secret, uint32_t limit, uint32_t ooo_limit);
void conn_env_fini(struct conn_env *env);

/*
 * conn_reuse: does this segment, found to belong to `f`, begin a new connection on the same
 * addresses? (conn/reuse.c)
 * => true: end `f` (MOS_END_REUSE if it still lived) and open a new one at once: conn_can_open says 4
 *    until env.answered is taken back. A SYN that may turn out to begin one is kept.
 */
bool conn_reuse(struct conn_env *env, struct flow *f, const struct seg *s, int from);

/* conn_ruffle: something happens to the flow that is not a plain segment: it is not marked as calm any more (calm.h). */
static inline void conn_ruffle(struct flow *f)
{
    f->calm = false;
}

/* conn_may_reuse: is conn_reuse to be asked at all? */
static inline bool conn_may_reuse(const struct conn_env *env, const struct flow *f,
                                  const struct seg *s)
{
    const struct flow_ext *x = f->ext ? (struct flow_ext *)pool_at(&env->ft.exts, f->ext) : NULL;

    return (s->tflags & (TH_SYN_ | TH_ACK_)) == TH_SYN_ || (x && x->nsyn);
}

/*
 * conn_can_open: may this segment, on an unknown key, open a flow? => 0 no; 1 as a SYN; 2 picked up
 * in the middle; 4 as the answer to a SYN that was kept.
 */
int conn_can_open(const struct conn_env *env, const struct seg *s);

/*
 * conn_opener: which endpoint (0/1 of the key) is the client of the flow that s, sent by endpoint
 * `from`, opens in this mode?
 */
int conn_opener(const struct conn_env *env, const struct seg *s, int from, int mode);

/*
 * conn_client: which endpoint (0/1 of the key) is the client? `from` is the endpoint that sent s.
 * => sender of a SYN; receiver of a SYN/ACK; else the side with the higher port, the sender if
 *    equal.
 */
int conn_client(const struct seg *s, int from);

/*
 * conn_open: => the new flow's index; 0 when there is no memory (reason counted). mode as from
 * conn_can_open; what is not 1 is picked up.
 */
uint32_t conn_open(struct conn_env *env, const struct seg *s, const struct flow_key *k,
                   uint32_t hash, int client, int mode);

/*
 * conn_open_noted: as conn_open for the SYN that the note tells of; `s` is a later segment. The flow
 * then is where that SYN would have brought it.
 */
uint32_t conn_open_noted(struct conn_env *env, const struct seg *s, const struct flow_key *k,
                         uint32_t hash, const struct synnote *n);

/*
 * conn_leave_note: the flow goes; if it is nothing but a SYN, that is noted, for conn_open_noted. To
 * be asked while its record is whole.
 */
void conn_leave_note(struct conn_env *env, const struct flow *f);

/* conn_refuse: checksum verdict of this segment for this flow side. => REASON_NONE: take it. */
enum reason conn_refuse(struct conn_env *env, struct flow *f, const struct seg *s, int from);

/*
 * conn_refuse_stray: the same for a segment that belongs to no flow. => REASON_NONE unless checksums
 * are verified throughout (CSUM_ON) and this one's is wrong.
 */
enum reason conn_refuse_stray(const struct conn_env *env, const struct seg *s);

/*
 * conn_begin: fill in cp for a segment of a flow.
 * => cp.plain, cp.in_place: the flow is there (it has neither expired nor ended, nor makes way for another), and
 *    the segment goes a short way (plain.h, place.h).
 */
void conn_begin(struct conn_env *env, struct conn_pkt *cp, struct seg *s, uint32_t idx, int from,
                bool opened);
void conn_send(struct conn_env *env, struct conn_pkt *cp);
void conn_recv(struct conn_env *env, struct conn_pkt *cp);
/*
 * conn_merge: once per packet; a second call does nothing (whoever changes the packet at RCV merges
 * it first).
 */
void conn_merge(struct conn_env *env, struct conn_pkt *cp);

/*
 * conn_done: => MOS_END_* reason when both ends have finished and nothing is waited for; 0 else
 * (lingering is arranged).
 */
int conn_done(struct conn_env *env, struct conn_pkt *cp);

/*
 * conn_after_rst: the flow was ended by a RST: what is this segment to it? GOES_ON: the RST's sender
 * sends bytes behind it, or acknowledges some that came after: it did not mean it. REFUSED: bytes for
 * the RST's sender, under way when it hung up.
 */
enum conn_after { AFTER_JOINS, AFTER_REFUSED, AFTER_GOES_ON };
enum conn_after conn_after_rst(const struct conn_env *env, const struct flow *f,
                               const struct seg *s, int from);

/* conn_kill: put the flow on the batch's list of ended flows with this MOS_END_* reason (once). */
void conn_kill(struct conn_env *env, uint32_t idx, int reason);
/*
 * conn_flush: make all that is held readable, declare the last holes. Adds to env.gaps/raises;
 * *data as conn_pkt.data.
 */
void conn_flush(struct conn_env *env, uint32_t idx, uint8_t *data);
/* conn_forget: take the flow off every list of the batch: raises, gaps, ended, touched. */
void conn_forget(struct conn_env *env, uint32_t idx);
/*
 * conn_free: give streams and record back; conn_forget is done.
 * Children must be gone.
 */
void conn_free(struct conn_env *env, uint32_t idx);

/* conn_later: a time after another. => UINT64_MAX, never, where it cannot be counted. */
static inline uint64_t conn_later(uint64_t from, uint64_t ns)
{
    return from > UINT64_MAX - ns ? UINT64_MAX : from + ns;
}

/*
 * conn_rst_due: has a RST that may have been believed been followed by nothing? => the flow ends as
 * reset whatever else ends it. It does not end sooner.
 */
bool conn_rst_due(const struct conn_env *env, const struct flow *f);
/* conn_deadline: when the flow must be looked at for idleness. => ns; UINT64_MAX: never. */
uint64_t conn_deadline(const struct conn_env *env, const struct flow *f);
/*
 * conn_timer: the flow's wheel entry fired at env->now: gap rules (a) and (c) are applied, the
 * entry is hung again.
 * => true when the flow is idle beyond its deadline: the caller tells TIMEOUT and ends it, or hangs
 *    it again (conn_rearm).
 */
bool conn_timer(struct conn_env *env, uint32_t idx, uint8_t *data);
void conn_rearm(struct conn_env *env, uint32_t idx);
/*
 * conn_relieve: if what is out of order takes more than cfg.ooo_memory, a stream that has waited long
 * and takes much gives up its first hole. conn_relieve_most: whatever it takes.
 * => its flow, to be told of gaps and data as after conn_timer; 0: all is well, or nobody waits.
 */
uint32_t conn_relieve(struct conn_env *env, uint8_t *data);
uint32_t conn_relieve_most(struct conn_env *env, uint8_t *data);

/*
 * conn_raise: list (flow, side) for NEW_DATA (kind SIDE_PEND_DATA) or GAP (SIDE_PEND_GAP) at the
 * end of the batch.
 */
void conn_raise(struct conn_env *env, uint32_t idx, int side, uint16_t kind);
/* conn_touch: list the flow for strm_own at the end of the burst. */
void conn_touch(struct conn_env *env, uint32_t idx);

/*
 * conn_export: append a connection to an image, without its children. At the end of a batch.
 * conn_import: the reverse, in another context: a record like the exported one, without children
 * (c0.sock is -1). => its index; 0 with EINVAL (no such image), ENOMEM. Its key must not be in the
 * table.
 */
void conn_export(const struct conn_env *env, uint32_t idx, struct image *im);
uint32_t conn_import(struct conn_env *env, struct image *im);

/* conn_own: strm_own; what is lost for want of memory is counted, and a gap if nobody had read it. */
void conn_own(struct conn_env *env, uint32_t idx, int side);
/*
 * conn_own_borrowed: before a frame's payload is written to: whatever this flow's streams have
 * borrowed becomes their own.
 */
void conn_own_borrowed(struct conn_env *env, uint32_t idx);

/*
 * conn_acked: highest stream offset that side's endpoint has acknowledged of what it receives; 0 if
 * none is known.
 */
uint64_t conn_acked(const struct flow *f, int side);
/* conn_fin_off: stream offset of the FIN on side's receive stream. => false if none was seen. */
bool conn_fin_off(const struct flow *f, int side, uint64_t *off);

/*
 * Of which bytes the fragments of one packet brought copies that differ. They may be TCP's options, in
 * front of all payload: off == end then.
 */
struct conn_copies {
    uint64_t off, end;      /* of the stream: those of the payload lie in here */
    uint32_t differ;        /* in each copy but the first; 0: none */
    uint32_t shown;         /* bytes at copy */
    const uint8_t *copy[2]; /* from the first that differs on: the first copy, the other */
};

/* conn_copies: of this packet; none if it did not come as fragments. conn_recv has seen it. */
struct conn_copies conn_copies(const struct conn_pkt *cp);
/*
 * conn_plain_len: IP bytes of this packet, or of all its fragments, without IP options and extension headers
 * but a fragment's own.
 */
uint32_t conn_plain_len(const struct seg *s);

/*
 * conn_payload: the packet's payload as the merge will take it: without what lies below offset 0.
 * => false: nothing is left.
 */
bool conn_payload(const struct conn_pkt *cp, struct strm_in *in);
/*
 * conn_fits: cut off what lies behind the sender's FIN, unless that still waits behind a hole (fin.c).
 * => false: nothing is left, or the segment ends where no window reaches (tolerant: not even one that
 *    a lost ACK could have opened). RFC 9293 3.10.7.4 trims such a segment, Linux takes all of it or
 *    nothing (tcp_sequence), and no sender has one to send.
 */
bool conn_fits(const struct flow *f, int side, struct strm_in *in);
/* conn_beyond: does this offset of side's receive stream lie where no window reaches? */
bool conn_beyond(const struct flow *f, int side, uint64_t end);

/* conn_ext: the flow's extension, made if missing. => NULL without memory, which is counted. */
struct flow_ext *conn_ext(struct conn_env *env, struct flow *f);

/*
 * conn_vec_grow: room for one more element in a batch list; doubles (counted as an allocation). =>
 * false: no memory.
 */
bool conn_vec_grow(struct conn_env *env, void **v, uint32_t *cap, uint32_t n, size_t elem);

#endif
