/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mon.h: the monitoring half of the API: sockets, children, who is told what, and what callbacks
 * may ask and do.
 *
 * One `struct mon` per context. It owns the connections (conn_env), the event sets, the sockets and
 * the application's timers. The engine feeds it: mon_tell_* while packets pass, mon_epoch at the
 * end of a batch, mon_end when a flow goes.
 *
 * Threads. A context is set up by any one thread until it runs; from then on only its own thread
 * may call. For a context fed by mtcp_push the pushing thread is the context's own. mon_enter()
 * checks that for every public call.
 *
 * Sockets. One id space per context, dense from 0, recycled first in first out: listeners, raw
 * sockets and children alike. sock[] says what an id is: a listener's number, or the flow (child 0)
 * or the child_ext it stands for.
 */
#ifndef WEIR_MON_MON_H
#define WEIR_MON_MON_H

#include <pcap/pcap.h>
#include <pthread.h>

#include <mos_api.h>

#include "conn/conn.h"
#include "event/event.h"
#include "wire/fixsum.h"

#define MON_CONTEXTS  64 /* contexts per process */
#define MON_LISTENERS 64 /* listeners and raw sockets per context */
#define MON_FILTERS   4  /* link types for which a raw socket's filter is kept compiled */
#define MON_IFS       32 /* live interfaces */
#define MON_IF_NONE   255

enum mon_hook { HK_SND, HK_RCV, HK_NULL }; /* index of child.set[] */

/* A BPF expression, compiled for a link type when it is first needed there (filter.c). */
struct mon_filter {
    char *expr; /* NULL: none, everything passes */
    int n;
    struct {
        int linktype;
        bool bad; /* the expression makes no sense for this link type: nothing matches */
        struct bpf_program prog;
    } c[MON_FILTERS];
};

struct listener {
    int sock;
    bool raw;
    bool closed;  /* takes no new flow; freed when `kids` is 0 */
    bool started; /* in use (slot taken) */
    int domain;   /* AF_INET, AF_INET6, AF_UNSPEC */
    uint32_t set[3];
    struct mon_filter syn, orphan; /* raw sockets: `syn` holds the packet filter */
    void *uctx;
    uint16_t child_flags; /* what a child begins with */
    int8_t policy[2];     /* enum overlap_policy for CLI, SVR; -1: the context's */
    uint32_t buf[2];      /* explicit buffer sizes, 0: default */
    uint32_t timeout_ms;
    int8_t strict, midstream, csum; /* -1: the context's */
    /* of a flow that moves: its context to bytes (=> how many) and back */
    size_t (*uctx_pack)(void *uctx, void *out, size_t room);
    void *(*uctx_unpack)(const void *bytes, size_t n);
    uint32_t kids;
};

/* What an id stands for. */
enum sock_kind { SK_FREE, SK_LISTENER, SK_CHILD0, SK_CHILD };
#define SK_SHIFT 30
#define SK_IDX   ((1u << SK_SHIFT) - 1)

struct mon_timer {
    uint64_t due; /* ns; before the clock has started: time from then on */
    uint64_t seq;
    int id;
    struct ev_cb cb;
};

enum mon_state { MON_SETUP, MON_RUNNING, MON_DONE };

struct mon {
    mctx_t mctx; /* the public handle */
    struct conn_env env;
    struct evtab *sets;
    struct listener lst[MON_LISTENERS]; /* in order of creation; slots are reused */
    int nlst;                           /* slots ever used */

    /* what an id stands for: kind << SK_SHIFT | index; a free one: the next free id + 1 */
    uint32_t *sock;
    uint32_t nsock, cap_sock, max_sock;
    uint32_t free_head, free_tail, nfree; /* ids + 1; 0: none */

    /* what is going on */
    struct seg *seg;     /* the packet at hand, NULL outside of packet events */
    struct conn_pkt *cp; /* its connection, NULL for raw and orphans */
    struct flow *told;   /* the flow that is being told of something, NULL: none */
    uint32_t told_idx;
    enum mon_hook hook;         /* hook being dispatched */
    const struct conn_gap *gap; /* during GAP events */
    struct ev_call *call;       /* innermost dispatch */
    bool rexmit_now;            /* during REXMIT events */
    bool overlap_now;           /* during OVERLAP events */
    uint32_t ending;            /* flow whose CONN_END is told */
    /* during ERROR over unread bytes: those below this offset will go; else 0 */
    uint64_t lost_below;
    /* the datagram's length before an OVERWRITE of its length field, 0: none (packet.c) */
    uint32_t ip_len_was;
    struct fixsum fix; /* what was changed of the packet at hand, checksums first of all */

    /* application timers: a heap by (due, seq) */
    struct mon_timer *timer;
    uint32_t ntimer, cap_timer;
    uint64_t timer_seq;
    uint64_t first_due; /* atomic: when the first of them is due */
    uint64_t clock;     /* atomic: what mon_clock said last */
    bool clock_started;
    pthread_mutex_t timer_lock; /* around the heap: timers may be armed from any thread */

    /* flows that nobody watches any more: buried at the end of the batch */
    uint32_t *stopped;
    uint32_t nstopped, cap_stopped;
    bool stopped_lack; /* no memory for the list: it lacks some */

    /* configuration that is only used here */
    bool buffer_always, drop_orphans, drop_other, forward, vlan_in_key;
    bool midstream;       /* of listeners that do not say (env.cfg.midstream: of any) */
    uint8_t overlap;      /* of listeners that do not say: enum overlap_policy */
    uint32_t raw_sockets; /* open raw sockets */

    /* half-open flows: how many there may be; when one was evicted for a SYN (evict.c) */
    uint32_t max_half;
    uint64_t half_evicted;
    uint64_t from_notes; /* flows opened from the note of a SYN */
    uint32_t room_wait;  /* batches until room is looked for again, where there was none */

    enum mon_state state; /* changes only in its own thread or before it runs */
    pthread_t owner;      /* valid while MON_RUNNING */
    int in_callback;      /* depth */
    uint64_t lst_changes; /* to the listeners, ever: what gate.c knows of them was before */

    /* live interfaces, by number: the one by which its frames leave; MON_IF_NONE */
    uint8_t peer[MON_IFS];
    struct mon_heads *heads; /* link headers of the flows' ends; NULL: not in line */
    /*
     * output: the engine's; => 0, or -1 ENOBUFS. The frame is complete, link header included.
     * like->in_if: live: the interface by which it leaves; PB_MADE: not in a frame's place.
     */
    int (*send)(struct mon *m, const struct pktbuf *like, const uint8_t *frame, uint32_t len);
    /*
     * counters of the engine and its device, for MOS_STATS: fills at most n, => how many there are
     */
    int (*stats)(struct mon *m, struct mos_stat *v, int n);
    void *engine;
    uint64_t npackets, nbytes, nflows;
};

/* ---- contexts (context.c) ---- */

/* mon_handle: context number cpu as programs know it; the same for good. */
mctx_t mon_handle(int cpu);
/*
 * mon_of: the context behind a handle, whatever its state. => NULL with EACCES (NULL handle),
 * EINVAL (cpu), EPERM (none).
 */
struct mon *mon_of(mctx_t mctx);
/*
 * The context whose thread this is, while it runs: what callbacks ask for. mon_here: it, if it is that one; else
 * NULL.
 */
struct mon_own {
    mctx_t mctx;
    struct mon *m;
};
extern __thread struct mon_own mon_own
    __attribute__((visibility("hidden"), tls_model("initial-exec")));
static inline struct mon *mon_here(mctx_t mctx)
{
    return likely(mctx == mon_own.mctx) ? mon_own.m : NULL;
}
/*
 * mon_enter: mon_of, and the calling thread may use it now. => NULL with EPERM too (wrong thread,
 * or finished).
 */
struct mon *mon_enter_other(mctx_t mctx); /* not from its own thread while it runs */
static inline struct mon *mon_enter(mctx_t mctx)
{
    struct mon *m = mon_here(mctx);

    return likely(m != NULL) ? m : mon_enter_other(mctx);
}
/* mon_mine: the calling thread runs this context from now on, until it says NULL; then mon_enter is quick. */
void mon_mine(struct mon *m);
/* mon_register: make it known under its number; NULL takes it back. */
void mon_register(int cpu, struct mon *m);

struct mon_conf {
    struct conn_cfg conn;
    uint32_t max_sock;            /* max_concurrency */
    uint32_t max_flows, max_half; /* 0: from max_sock, from max_flows */
    uint32_t max_stopped;         /* 0: from max_flows and mem_limit */
    uint32_t reserve;             /* flows whose memory is there from the beginning */
    uint32_t rmem_size, ooo_size;
    uint64_t secret;
    uint64_t mem_limit; /* bytes, 0: none */
    int overlap;        /* enum overlap_policy */
    bool buffer_always, drop_orphans, drop_other, forward, vlan_in_key;
};
struct mon *mon_create(int cpu, const struct mon_conf *c);
void mon_destroy(struct mon *m);

/* ---- sockets and children (sock.c) ---- */

/*
 * mon_child: the child behind an id. => NULL (EBADF no such id, ENOTSOCK no child). *flow is its
 * flow.
 */
struct child *mon_child(struct mon *m, int sock, uint32_t *flow);
/* mon_is_told: is it child 0 of the flow that is being told of something? */
static inline bool mon_is_told(const struct mon *m, int sock)
{
    return m->told && sock >= 0 && m->told->c0.sock == sock;
}
/* mon_listener: the listener or raw socket behind an id. => NULL with EBADF or ENOTSOCK. */
struct listener *mon_listener(struct mon *m, int sock);
int mon_sock_new(struct mon *m, enum sock_kind kind, uint32_t idx);
void mon_sock_free(struct mon *m, int sock);
/* mon_reserve_ids: room for n ids in all, or all that there may be. => false: no memory. */
bool mon_reserve_ids(struct mon *m, uint32_t n);

/*
 * mon_children: indices in the chain's order: 0 stands for child 0, others are child_ext. => how
 * many. `back`: reversed.
 */
int mon_children(const struct mon *m, const struct flow *f, bool back, uint32_t *v);
struct child *mon_child_at(const struct mon *m, struct flow *f, uint32_t ci);
uint64_t *mon_cursor(const struct mon *m, struct flow *f, const struct child *c, int side);

/*
 * mon_match: which listeners want this new flow (bit per slot)? mode as conn_can_open: 2 asks as if
 * the client had sent a SYN; 3 does so too, and also listeners that pick up nothing in the middle.
 */
uint64_t mon_match(struct mon *m, const struct seg *s, int mode, bool from_client);
/* mon_match_syn: the same for a SYN that is not decoded: caplen of len bytes from its IP header on. */
uint64_t mon_match_syn(struct mon *m, const uint8_t *p, uint32_t caplen, uint32_t len, bool v6);
/*
 * mon_policy: the overlap policy of a side's bytes, of flows that these listeners take: what the
 * first that was told any was told, else the context's.
 */
enum overlap_policy mon_policy(const struct mon *m, uint64_t match, int side);
/*
 * mon_adopt: make the children of a new flow. => false when no id was left for any (the flow must
 * go).
 */
bool mon_adopt(struct mon *m, uint32_t idx, uint64_t match);
/* mon_abandon: free all children of a flow. */
void mon_abandon(struct mon *m, uint32_t idx);
/* mon_rewant: what the children want has changed: work out the sides' flags. */
void mon_rewant(struct mon *m, uint32_t idx);
/* mon_child_stop: no more callbacks for this child and side (MOS_SIDE_BOTH: nor anything). */
void mon_child_stop(struct mon *m, uint32_t idx, struct child *c, int side);
/* mon_take_back: forget a flow that never was, with what is noted of it; nobody is told. */
void mon_take_back(struct mon *m, uint32_t idx);
/*
 * What is remembered of stopped flows (stopped.c); `tomb` with FLOW_TOMB. mon_stopped_hears: a packet of
 * one. => false: none any more: it was idle too long, or this SYN begins a new connection; it is forgotten.
 */
bool mon_stopped_hears(struct mon *m, const struct seg *s, uint32_t tomb, int from);
/* mon_stopped_arm: hang it where it is due. mon_stopped_due: it was: does it go, or is it hung anew? */
void mon_stopped_arm(struct mon *m, uint32_t tomb);
void mon_stopped_due(struct mon *m, uint32_t tomb);
/* mon_bury_stopped: at the end of a batch. mon_forget_stopped: this flow is gone before. */
void mon_bury_stopped(struct mon *m);
void mon_forget_stopped(struct mon *m, uint32_t idx);
/* mon_all_stopped: has nobody any interest in this flow any more? */
bool mon_all_stopped(const struct mon *m, uint32_t idx);
/* mon_wants: does this child want this side's bytes? */
bool mon_wants(const struct mon *m, const struct child *c, int side);

/* ---- telling (tell.c) ---- */

/* mon_hears: would anybody hear of any of these? */
static inline bool mon_hears(const struct mon *m, const struct flow *f, enum mon_hook hook,
                             uint32_t ranks)
{
    return (evset_mask(m->sets, f->c0.set[hook]) & ranks) || unlikely(f->c0.next != 0);
}
/* mon_tell: these ranks (EVB bits), lowest first, to each child of the chain in turn. */
void mon_tell_all(struct mon *m, uint32_t idx, enum mon_hook hook, int side, uint32_t ranks);
static inline void mon_tell(struct mon *m, uint32_t idx, enum mon_hook hook, int side,
                            uint32_t ranks)
{
    if (mon_hears(m, flow_at(&m->env.ft, idx), hook, ranks))
        mon_tell_all(m, idx, hook, side, ranks);
}
/* mon_tell_packet: the same for the packet at hand: m->seg and m->cp are set around it (tellpkt.h has it inline). */
void mon_tell_some(struct mon *m, struct conn_pkt *cp, enum mon_hook hook, int side,
                   uint32_t ranks);
static inline void mon_tell_packet(struct mon *m, struct conn_pkt *cp, enum mon_hook hook, int side,
                                   uint32_t ranks)
{
    if (mon_hears(m, cp->f, hook, ranks))
        mon_tell_some(m, cp, hook, side, ranks);
}
/*
 * mon_tell_merged: what the merge of a packet has raised: ERROR at NULL, GAP and NEW_DATA at RCV.
 */
void mon_tell_merged(struct mon *m, struct conn_pkt *cp);
/*
 * mon_tell_given_up: what a timer or the end of a flow has given up and made readable, at RCV: gaps
 * from gap0 on, and data.
 */
void mon_tell_given_up(struct mon *m, uint32_t idx, uint32_t gap0, uint8_t data);
/*
 * mon_next_gap: of this batch's gaps of one side, from number gap0 on, the lowest that begins at
 * `from` or behind: what a frame's cut end has lost is declared before the holes below it.
 * => its number; env.ngaps if there is none.
 */
uint32_t mon_next_gap(const struct mon *m, uint32_t idx, int side, uint32_t gap0, uint64_t from);
/* mon_tell_orphan: a TCP segment without a flow. mon_tell_raw: any IP packet, to raw sockets. */
void mon_tell_orphan(struct mon *m, struct seg *s);
void mon_tell_raw(struct mon *m, struct seg *s);
/*
 * mon_tell_frag_evict: n unfinished datagrams were given up to make room: EVICT to raw sockets, once
 * for each. No packet is at hand.
 */
void mon_tell_frag_evict(struct mon *m, bool v6, uint32_t n);

/* ---- packets (packet.c) ---- */

/*
 * mon_write_guard: call before writing to the frame of the packet at hand: streams that have
 * borrowed from it get copies.
 */
void mon_write_guard(struct mon *m);
/* mon_drop: the packet at hand is not forwarded. */
void mon_drop(struct mon *m);

/*
 * mon_send_edited: the way out of what stream editing makes (edit_env.send, arg is the mon). send.c.
 */
int mon_send_edited(void *arg, const struct pktbuf *like, bool back, const uint8_t *frame,
                    uint32_t len);

/* ---- link headers of the flows' ends (heads.c) ---- */

/* As a frame had it that came by this interface. */
struct mon_head {
    uint8_t len, in_if;
    uint8_t bytes[22]; /* Ethernet with two tags */
};

/* mon_heads_keep: keep them from now on. => false: no memory. */
bool mon_heads_keep(struct mon *m);
void mon_heads_free(struct mon *m);
/* mon_head_note: a segment of a flow that does not go the short way: its sender's, if not known. */
void mon_head_note(struct mon *m, const struct conn_pkt *cp);
/* mon_head_of: what this side of the flow sends. => NULL: not known. */
const struct mon_head *mon_head_of(const struct mon *m, uint32_t idx, int side);

/*
 * mon_reset_edited: a flow is about to be forgotten in its life. If its ends do not understand each other without it
 * (edit_lasts) both are reset (send.c). mon_reset_all_edited: the whole context is.
 */
void mon_reset_edited(struct mon *m, uint32_t idx);
void mon_reset_all_edited(struct mon *m);

/* ---- ends and batches (epoch.c) ---- */

/*
 * mon_end: the flow goes now: the last data and gaps, CONN_END for both sides, then everything is
 * freed. reason 0: as recorded (conn_kill). */
void mon_end(struct mon *m, uint32_t idx, int reason);
/*
 * mon_idle: the flow has been silent too long: TIMEOUT, and mon_end unless a callback prolonged it.
 * => true if it went.
 */
bool mon_idle(struct mon *m, uint32_t idx);
/* mon_burst: the frames go back: borrowed bytes are copied. */
void mon_burst(struct mon *m);
/* mon_forget: bytes of a flow that everybody has read are no longer retained. */
void mon_forget(struct mon *m, uint32_t idx);
/* mon_epoch: the end of a batch at time `now`: contract 3's order. mon_burst is part of it. */
void mon_epoch(struct mon *m, uint64_t now);
/* mon_eof: the input ended: every live flow ends with MOS_END_EOF, oldest first. */
void mon_eof(struct mon *m);
/* ---- who goes when room is needed (evict.c) ---- */

/*
 * mon_evict: end one flow to make room: the oldest half-open one if it is a second old, else a one-sided one, else the
 * first that began to close, else the least recent of a sample if it is idle, else the oldest half-open one, else that
 * least recent one. => false: there is none.
 */
bool mon_evict(struct mon *m);
/*
 * mon_evict_stopped: forget a stopped connection to make room: the oldest that has been silent since.
 * Nobody is told, no socket is left. => false: there is none.
 */
bool mon_evict_stopped(struct mon *m);
/* mon_evict_half: end the oldest half-open flow; its SYN is noted. => false: there is none. */
bool mon_evict_half(struct mon *m);
#define HALF_OLD NSEC_PER_SEC  /* a half-open flow that makes way for a SYN */
#define HALF_GAP NSEC_PER_MSEC /* between two that do */
/*
 * mon_half_due: when the oldest half-open flow is old enough to make way for a SYN (a second without
 * a packet; one eviction a millisecond).
 */
static inline uint64_t mon_half_due(const struct mon *m)
{
    const struct ftable *ft = &m->env.ft;
    uint64_t old = ft->half.head ? flow_at(ft, ft->half.head)->last + HALF_OLD : UINT64_MAX;
    uint64_t gap = m->half_evicted + HALF_GAP;

    return old > gap ? old : gap;
}

/*
 * mon_make_room: at the end of a batch: when memory is short for the bytes of the next one, retained
 * bytes go, then half-open, one-sided and closing flows that hold bytes: of 256 flows a batch; then
 * holes are given up by who has most behind them, 256 at most.
 */
void mon_make_room(struct mon *m);
/* mon_relieve: what is out of order takes more than all flows together may: holes are given up. */
void mon_relieve(struct mon *m);
/* mon_entered: a new flow is half open, or one-sided if it was picked up behind its handshake. */
void mon_entered(struct mon *m, uint32_t idx);
/* mon_reclass: after a packet: has the handshake ended, have both spoken, does it close? */
void mon_reclass(struct mon *m, uint32_t idx, struct flow *f);

static inline bool mon_half_full(const struct mon *m)
{
    return m->env.ft.half.count >= m->max_half;
}

/* ---- timers (timer.c) ---- */
void mon_timers(struct mon *m);
/* mon_clock: the clock moves to ns (never back). The first call starts the application's timers. */
void mon_clock(struct mon *m, uint64_t ns);
uint64_t mon_next_timer(const struct mon *m);
void mon_timers_free(struct mon *m);

/* ---- flows that move to another context (migrate.c) ---- */

/*
 * What callbacks are called in an image: their place in this list, which both contexts share. The
 * exporting one adds to it.
 */
struct mon_regs {
    struct {
        event_t ev;
        struct ev_cb cb;
    } * v;
    uint32_t n, cap;
};
void mon_regs_free(struct mon_regs *r);

/*
 * mon_export: append a flow to an image, children and event sets with it, at the end of a batch,
 * and forget it here without a word. => 0; -1 with ENOMEM (nothing has changed), EBUSY (not the end
 * of a batch).
 * mon_import: the reverse, in a context with the same listeners. => 0; -1 with EINVAL (no such
 * image, or another set of listeners), ENOMEM, ENFILE.
 * => uctx goes as listener.uctx_pack and uctx_unpack make it; without them it is NULL afterwards.
 */
int mon_export(struct mon *m, uint32_t idx, struct mon_regs *regs, struct image *im);
int mon_import(struct mon *m, const struct mon_regs *regs, struct image *im);
/*
 * mon_export_all, mon_import_all: every flow and every tombstone; how many of each stands in front.
 */
int mon_export_all(struct mon *m, struct mon_regs *regs, struct image *im);
int mon_import_all(struct mon *m, const struct mon_regs *regs, struct image *im);

/* ---- filters (filter.c) ---- */

/*
 * mon_filter_set: => 0; -1 EINVAL with libpcap's words. linktype: what to try it on; expr NULL: no
 * filter.
 */
int mon_filter_set(struct mon_filter *f, const char *expr, int linktype);
void mon_filter_free(struct mon_filter *f);
/* mon_filter_match: does it select these bytes? */
bool mon_filter_match(struct mon_filter *f, int linktype, const uint8_t *p, uint32_t caplen,
                      uint32_t len);

#endif
