/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h: the only folder that sees all. It knows the configuration, the devices, the contexts
 * and their threads, and moves packets: worker.c (read it first) is a packet's way in one function;
 * replay.c feeds capture files to contexts; push.c takes frames from the program; egress.c is the
 * only way out; lib.c is the API's beginning and end.
 */
#ifndef WEIR_ENGINE_ENGINE_H
#define WEIR_ENGINE_ENGINE_H

#include "base/apart.h"
#include "io/io.h"
#include "mon/mon.h"
#include "wire/defrag.h"

#define ENGINE_DEVS  512 /* each input file is open for the whole run */
#define ENGINE_EPOCH 64  /* frames after which a batch ends in replay (contract 5) */

/* ---- configuration (conf.c) ---- */

struct engine_dev {
    char *name;
    uint64_t mask; /* cores */
    int peer;      /* an interface: the device that its frames leave by, -1: none */
};

struct engine_conf {
    struct mtcp_conf pub; /* what mtcp_getconf shows */
    struct mon_conf mon;
    struct defrag_conf frag;
    uint64_t frag_timeout_ns; /* as configured; frag has what holds */
    int frag_min;             /* -1: by strictness (frag.min_tcp has what holds) */
    struct engine_dev dev[ENGINE_DEVS];
    int ndev;
    bool live;                  /* the devices are interfaces */
    struct router_conf *router; /* interfaces have addresses; NULL: none has */
    char *out;                  /* output device, or NULL */
    char *filter;               /* BPF expression on frames, or NULL */
    uint64_t seed;              /* if `seeded`; else the secret is drawn at random */
    bool seeded;
    int batch; /* frames read at once, 1..64 */
    int epoch; /* frames after which NEW_DATA, timers and ends are told, 1..64 */
    bool poison;
};

/*
 * conf_default: what holds without a file. conf_read: path NULL: defaults. => 0; -1 with errno and
 * text.
 */
void conf_default(struct engine_conf *c);
int conf_read(struct engine_conf *c, const char *path);
void conf_drop(struct engine_conf *c);

/* ---- a packet's way (worker.c) ---- */

struct buckets;
struct bucket;

/* What the gate (gate.c) knows of the listeners and of a burst. */
struct gate {
    uint64_t changes; /* mon.lst_changes then */
    bool open;        /* nothing is noted now */
    bool drops;       /* a SYN that is noted is dropped */
    bool recalls;     /* and is known when it comes again (conn/syndrop.h) */
    bool filtered;    /* which listeners want a SYN depends on the SYN */
    bool asks; /* for one of these reasons, or to verify checksums, each SYN is asked about */
    uint64_t match[2]; /* the listeners that want a SYN, of IPv4 and IPv6, unless `filtered` */
    bool lost;         /* of one of them, the last went since the burst was looked at */
    uint64_t until;    /* then a half-open flow makes way for a SYN */
    /* of the burst's bare SYNs: */
    struct synnote what[IO_BURST]; /* what would be noted */
    uint64_t strangers;            /* by bit: those that have none */
    uint32_t puts;                 /* as long as no other is entered (buckets.puts) */
};

/* What is known of a frame before it is worked off (lookahead.c). */
struct look {
    struct seg seg;
    uint64_t ends[2];          /* of its key, of IPv4 (flow/glance.h) */
    struct flow *rec;          /* the flow that it probably belongs to, NULL: no idea */
    uint32_t guess;            /* its number, 0 */
    uint32_t hash;             /* of its key */
    uint8_t end;               /* which endpoint of the key sent it */
    bool glanced;              /* `key` is not filled in yet, but the rest is */
    const struct bucket *line; /* where its flow is looked for */
    struct flow_key key;
} __cacheline;

_Static_assert(sizeof(struct look) == 256, "a shift away from each other");

struct worker {
    struct mon *m;
    struct look look[IO_BURST];
    uint32_t gone;                 /* what ftable.gone was then */
    const uint8_t *next[IO_BURST]; /* frames of the next burst, to be fetched meanwhile: */
    int nnext;                     /* so many are known, */
    const struct io_dev *next_of;  /* of this device */
    int fetched; /* so many of this burst were, while the one before was worked off */
    struct gate gate;
    int at;                 /* number of the frame being worked off, in its burst */
    bool slots;             /* frames carry that number in pb->slot */
    bool noted;             /* fragments have been to a table before the frames were split */
    struct defrag frags;    /* unfinished datagrams, unless `noted` */
    struct frag_room froom; /* this burst's notes and whole datagrams */
    struct look whole;      /* the datagram that a fragment has completed */
    uint32_t *realm3;       /* interned stacks of three tags */
    uint32_t nrealm3, cap_realm3;
};

void worker_init(struct worker *w, struct mon *m);
/*
 * worker_burst: n frames (at most IO_BURST) through the stack, one after the other. Verdicts are
 * left in pb->flags.
 */
void worker_burst(struct worker *w, struct pktbuf *const *pb, int n);
/*
 * Frames are looked at in their order, and meanwhile the headers of one that is so many further are
 * fetched, options and the beginning of the payload with them: spread over the work, and not a whole
 * burst at a time, for which the processor has to wait.
 * fetch_first: before the first frame of a burst; fetch_ahead: with frame i. n 0: they have been fetched, since their
 * device knew that they would come (worker_next).
 */
enum { FRAMES_AHEAD = 12 };

static inline void fetch_lines(const uint8_t *frame)
{
    prefetch_r(frame);
    prefetch_r(frame + CACHELINE);
}

static inline void fetch_frame(const struct pktbuf *pb)
{
    fetch_lines(pb->data);
}

/*
 * worker_next: while the burst at hand is worked off, the frames are fetched that this device knows to come next: memory is
 * asked for them all the time, and not only while a burst is looked at.
 */
static inline void worker_next(struct worker *w, struct io_dev *dev)
{
    w->fetched = w->next_of == dev ? w->nnext : 0;
    w->next_of = dev;
    w->nnext = io_ahead(dev, w->next, IO_BURST);
}

static inline void fetch_first(struct pktbuf *const *pb, int n)
{
    for (int i = 0; i < FRAMES_AHEAD && i < n; i++)
        fetch_frame(pb[i]);
}

static inline void fetch_ahead(struct pktbuf *const *pb, int i, int n)
{
    if (i + FRAMES_AHEAD < n)
        fetch_frame(pb[i + FRAMES_AHEAD]);
}

/* look_burst: fetch what it needs, step by step. => bare SYNs (gate.c), by bit, which were not decoded. */
uint64_t look_burst(struct worker *w, struct pktbuf *const *pb, int n);
/* worker_look: decode a frame and fetch what its look-up needs. */
void worker_look(struct worker *w, struct pktbuf *pb, struct look *l);
/* worker_realm: the realm of frames with this tag alone. */
static inline uint32_t worker_realm(uint32_t vlan)
{
    return vlan + 1;
}
/* worker_give_realm: what a frame's tags make its realm, if they count; it has it from now on. */
uint32_t worker_give_realm(struct worker *w, const struct seg *s);
/* worker_key: the key of a segment that is decoded, its hash and end. */
void worker_key(struct worker *w, struct look *l);
/* worker_epoch: the end of a batch at this time: mon_epoch, and unfinished datagrams grow old. */
void worker_epoch(struct worker *w, uint64_t now);
/* worker_end: the input has ended: unfinished datagrams are given up. */
void worker_end(struct worker *w);
void worker_fini(struct worker *w);

/* ---- too many half-open flows (gate.c) ---- */

/* How a flow is to be opened. */
struct opening {
    int mode;   /* as from conn_can_open; 3: from a note, or by a SYN/ACK while the gate is shut */
    int client; /* endpoint number of the client */
    uint64_t match;
    bool noted;
    struct synnote note;
};

/*
 * The half-open flows are at their limit, and a burst comes. gate_shut: may SYNs be noted now? Then:
 * gate_look: in place of worker_look for each frame: a SYN of the plainest kind is bare: decoding can
 * wait, the line of the table that its look-up needs is fetched. => the bare ones, by bit.
 * gate_sift: which of them belong to no flow? What their notes need is fetched.
 * gate_run: the bare SYNs from frame i on, as far as they belong to no flow and are not to be made
 * one: noted and done with. => the first frame that is something else: decode it if it is bare.
 */
bool gate_shut(struct worker *w);
uint64_t gate_look(struct worker *w, struct pktbuf *const *pb, int n);
void gate_sift(struct worker *w, uint64_t bare);
int gate_run(struct worker *w, struct pktbuf *const *pb, int i);
/*
 * gate_admit: the half-open flows are at their limit: may this segment open one more? Perhaps the
 * oldest makes way. => false: its SYN was noted, or refused for its checksum.
 */
bool gate_admit(struct worker *w, struct look *l, const struct opening *o);
/*
 * gate_hopeless: will the checksum refuse this segment whatever flow it opens? Counted then: nobody
 * is evicted for it.
 */
bool gate_hopeless(struct worker *w, const struct seg *s, uint64_t match);
/* gate_recall: is this a segment of a flow whose SYN was noted? Then it opens it. */
void gate_recall(struct worker *w, const struct look *l, struct opening *o);

/* ---- new flows (openflow.c) ---- */

/*
 * flow_open: => the new flow, 0 if this segment opens none. *gated: its SYN was noted or refused by
 * the gate, and is dealt with.
 */
uint32_t flow_open(struct worker *w, struct look *l, bool *gated);
/*
 * flow_still_there: the flow that a look-up found: has it expired, ended, or made way for a new
 * connection? => may it be used? *gone: no, and this segment is to open none.
 */
bool flow_still_there(struct worker *w, struct seg *s, struct flow_hit *hit, bool *gone);

/* ---- fragments (frags.c) ---- */

/* frags_take: a fragment goes to the table; s->pb->frag is its note. */
void frags_take(struct defrag *d, struct seg *s, struct frag_room *room);
/* frags_core: the core of a fragment that has its note: of the datagram it completes, if it does. */
int frags_core(const struct seg *s, int cores);
/*
 * frags_second: a fragment that completes datagrams of several worlds, of flows on two cores
 * (frags_core tells the first's): a frame of its own for those on the second, in `room`.
 * => NULL: it does not; or no memory, and they are given up, as one for a third core is. *core: the
 *    second's.
 * => counts as no frame and leaves with the first: so does its verdict.
 */
struct pktbuf *frags_second(const struct seg *s, int cores, struct frag_room *room, int *core);
/* frags_is_second: is it such a frame? */
static inline bool frags_is_second(const struct pktbuf *pb)
{
    return unlikely(pb->frag != NULL) && ((const struct frag_note *)pb->frag)->second;
}
/*
 * frags_dropped: a datagram that this fragment completed does not leave: nor does what comes for it
 * later. d NULL: the table is another's, who learns of it by frags_leave.
 * frags_leave: a fragment, worked off by its contexts, is about to leave, in the order of the input.
 */
void frags_dropped(struct defrag *d, struct frag_note *note, uint64_t now);
void frags_leave(struct defrag *d, struct pktbuf *pb, const struct pktbuf *second);
/* frags_tell: the counters, the drop and the events of a fragment's note. */
void frags_tell(struct worker *w, struct seg *s);
/*
 * frags_whole: a datagram, completed by `of`, decoded in w->whole with the bytes that its receiver
 * takes, with its key. => false: it is no TCP segment, or its receiver has none.
 */
bool frags_whole(struct worker *w, const struct seg *of, struct datagram *g);

/* ---- errors about segments (related.c) ---- */

/*
 * related_input: an ICMP error about a segment that was changed here is put in its sender's terms. => false: it is
 * none of those, and as it came.
 */
bool related_input(struct worker *w, struct seg *s);
/* related_too_big: a frame as it leaves was too big for where it was to go: of an edited flow none that grows is again. */
void related_too_big(struct worker *w, struct pktbuf *pb, uint32_t mtu);

/* ---- which core (steer.c) ---- */

/*
 * steer_core: 0 .. cores-1; the same for both directions, and what GetRSSCPUCore tells for IPv4. An ICMP error
 * goes where the segment went that it quotes. Not an IP packet: 0.
 * steer_error: the same, of such an error. => -1: it is none.
 */
int steer_core(const struct seg *s, int cores);
int steer_error(const struct seg *s, int cores);

/* ---- the way out (egress.c) ---- */

/* A frame made by the library, until it is written: after frame number `after` of its burst. */
struct made {
    struct made *next;
    int after;
    uint8_t dev;  /* live: the interface by which it leaves */
    bool ready;   /* routed: it leaves as it is */
    bool goes_on; /* routed: it stands for a frame that came, and takes a hop as that would have */
    uint8_t flags;
    uint16_t csum_start, csum_off, gso_size, gso_type; /* as in struct pktbuf */
    uint32_t len;
    uint16_t linktype;
    uint64_t ts_ns;
    uint8_t data[];
};

struct egress {
    struct made *first, **last;
    uint64_t frames; /* made, ever */
};

void egress_init(struct egress *e);
/*
 * egress_add: keep a made frame. like->in_if: as of made.dev; like without PB_MADE: made.goes_on.
 * => 0; -1 ENOBUFS.
 */
int egress_add(struct egress *e, int after, const struct pktbuf *like, uint64_t now,
               const uint8_t *frame, uint32_t len);
/*
 * egress_say: a frame of the router's own, which leaves by this interface as it is; before what is
 * made of the burst that comes next. egress_say_like: the same of a frame that was received.
 * For want of memory it is lost.
 */
void egress_say(struct egress *e, uint8_t dev, uint64_t now, const uint8_t *frame, uint32_t len);
void egress_say_like(struct egress *e, uint8_t dev, uint64_t now, const struct pktbuf *pb);
/*
 * egress_burst: write what leaves of a burst, in order: forwarded frames (if `forward`) and after
 * each what was made on its account by any of the n contexts. => frames the device refused.
 */
int egress_burst(struct io_dev *out, bool forward, struct pktbuf *const *pb, int n,
                 struct egress *const *e, int ne);
/* The interfaces of a live context, by number; and for each the one that its frames leave by. */
struct ways_out {
    struct io_dev *dev[MON_IFS];
    uint8_t peer[MON_IFS];      /* MON_IF_NONE: they do not leave */
    uint64_t sent_by;           /* by bit: those that something was sent by since the last flush */
    struct router_lane *router; /* it says by which interface frames leave; NULL: the pairs do */
};

/*
 * egress_live: the same by several interfaces: the frames of a burst by the peers of those that they
 * came by, what was made by its own. => frames refused.
 */
int egress_live(struct ways_out *w, bool forward, struct pktbuf *const *pb, int n,
                struct egress *e);
void egress_drop(struct egress *e);

/* ---- contexts and threads ---- */

struct ctx {
    struct mon *m; /* NULL: none */
    struct worker w;
    struct egress own; /* what was made, when the context works alone */
    struct egress *eg; /* where it goes now */
    pthread_t thread;
    bool has_thread;
    bool finished;     /* its last event was told; under engine.lock */
    int stop;          /* atomic, enum ctx_stop */
    struct push *push; /* fed by mtcp_push */
} __apart;

enum ctx_stop { GO_ON, STOP_QUIETLY = 1 /* destroyed: no CONN_END */ };

struct engine {
    pthread_cond_t ended; /* a context has finished or was given back; with lock */
    pthread_mutex_t lock; /* creation, joining, destruction; never on the packet path */
    struct engine_conf conf;
    bool up;
    struct ctx ctx[MON_CONTEXTS];
    int nctx;     /* those that have a mon */
    bool running; /* a capture runs or has run */
    struct io_dev *in, *out;
    struct replay *replay;
    struct live *live; /* the devices are interfaces */
    int broke;         /* errno: the input or output broke */
    char why[512];     /* in words */
    int end_now;       /* atomic: SIGINT */
    /* atomic: of the devices, after each burst */
    uint64_t position __apart, size, frames, filtered, sent, refused;
};

extern struct engine engine;

/* ctx_finished: the context's thread has told its last event and takes no lock any more. */
void ctx_finished(struct ctx *c);

/* ctx_should_stop: has the context been destroyed, or everything been interrupted? */
bool ctx_should_stop(const struct ctx *c);
/* ctx_begin: its thread, the caller, owns it from now on. ctx_end: its input has ended. */
void ctx_begin(struct ctx *c);
void ctx_end(struct ctx *c);
/* engine_broke: input or output failed, as errno and the error text say: the first reason stays. */
void engine_broke(struct engine *e);

/* ---- capture files (replay.c) ---- */

/* replay_open: open the devices of the configuration (input chain, output). => 0; -1. */
int replay_open(struct engine *e);
/*
 * replay_start: start the threads of all contexts there are. => 0; -1, and no thread is left: all
 * contexts are finished. Under engine.lock.
 */
int replay_start(struct engine *e);
/* replay_wake: contexts that wait for frames look if they were destroyed. Under engine.lock. */
void replay_wake(struct engine *e);
/* replay_close: close the devices. No thread runs. */
void replay_close(struct engine *e);

/* ---- interfaces (live.c, livedev.c) ---- */

/* live_init: is what the configuration says of interfaces possible? Opens nothing. => 0; -1. */
int live_init(struct engine *e);
/*
 * live_attach: open the context's share of all interfaces. Frames wait there from now on. => 0; the
 * text says how bare names were taken, errno 0. -1. Under engine.lock, as the rest.
 */
int live_attach(struct engine *e, struct ctx *c);
/*
 * live_start: start this context's thread, and those of all others that the caller has made. => 0; -1.
 */
int live_start(struct engine *e, struct ctx *c);
/* live_wake: a context that waits for frames looks if it is to stop. */
void live_wake(struct engine *e, struct ctx *c);
/* live_detach: close what live_attach has opened. Its thread is gone. */
void live_detach(struct engine *e, struct ctx *c);
void live_fini(struct engine *e);

/* Counters of all contexts together. */
struct live_tally {
    uint64_t frames, filtered, sent, refused; /* as of a capture */
    uint64_t lost;                            /* for want of room in an interface's ring */
    uint64_t too_big;                         /* of `refused`: longer than the MTU */
    uint64_t link_lost;                       /* how often a link went down */
    uint64_t crossed, cross_lost; /* frames passed on to another context; that had no room */
};
struct live_tally live_tally(struct engine *e);

/* ---- frames of the program (push.c) ---- */
/* push_abandon: the context is given back, perhaps in the midst of its input. push_free: its memory. */
void push_abandon(struct ctx *c);
void push_free(struct ctx *c);

#endif
