/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.h: frames in and out, nothing about IP. A back end is one file with one ops table; a device is
 * named "KIND:REST" ("pcap:/tmp/x.pcap", "mem:a") and opened through the registry. Decorators wrap
 * another device.
 *
 * A caller's loop:
 *
 *     while ((n = io_rx(dev, pb, IO_BURST)) >= 0) {
 *         ... n may be 0; frames, and their pktbufs, are valid from here ...
 *         io_rx_done(dev);        ... to here
 *     }
 *     if (errno != ENODATA)
 *         ... the input broke: err_text() says how ...
 *
 * A live device has no end: rx answers 0 when nothing is there, and io_fds says what to poll. Frames
 * leave by the tx of any device, between rx and rx_done of the one they came from, each at most
 * once; what moves from one device of a pair to the other (io_open_args.pair) need not be copied:
 *
 *     n = io_rx(in, pb, IO_BURST);
 *     ... verdicts ...
 *     io_tx(out, pb, n); io_flush(out);
 *     io_rx_done(in);
 *
 * Threads: one device is used by one thread at a time. Several threads that share an interface open
 * it once each (io_open_args.queue).
 */
#ifndef WEIR_IO_IO_H
#define WEIR_IO_IO_H

#include <poll.h>

#include "base/pktbuf.h"

#define IO_BURST 64
#define IO_FDS   65 /* descriptors of a device, at most: see io_fds */
#define IO_HEADROOM                                                                                \
    128                 /* bytes before each frame that mem and pcap hand out: tags can be pushed  \
                         */
#define IO_TAILROOM 512 /* bytes after it: payload can be inserted */

/*
 * io_align: bytes between headroom and frame that put the IP header on a multiple of 4, where
 * struct iphdr and struct tcphdr may be read: every link header and tag is a multiple of 4 bytes
 * long but Ethernet's, which is 14.
 */
static inline uint32_t io_align(int linktype)
{
    return linktype == 1 /* DLT_EN10MB */ ? 2 : 0;
}

enum io_caps {
    IO_CAN_HOLD = 1 << 0, /* frames may outlive the batch (pktbuf.refs) */
    IO_REPLAY = 1 << 1,   /* time comes from the frames; input ends */
    IO_OUTPUT = 1 << 2,   /* io_tx works */
    IO_LIVE = 1 << 3,     /* time is the wall's */
    IO_USER = 1 << 4,     /* frames come from the program (mem) */
};

enum io_dir { IO_IN = 1, IO_OUT = 2 };

struct io_stats {
    uint64_t rx_frames, rx_bytes; /* handed out; bytes as captured */
    uint64_t rx_truncated;        /* frames with len < wire_len */
    uint64_t rx_filtered;         /* refused by io_open_args.filter */
    uint64_t tx_frames, tx_bytes, tx_errors;
    uint64_t rx_lost;        /* live: never handed out, for want of room in ring or memory */
    uint64_t tx_too_big;     /* live, of tx_errors: longer than the interface's MTU allows */
    uint64_t link_lost;      /* live: how often the link went down */
    uint64_t memory;         /* live: bytes of packet memory, where the back end counts them */
    uint64_t size, position; /* bytes of input, bytes read; 0 when not known (progress) */
};

struct io_dev;

struct io_ops {
    const char *kind; /* the word before the colon */
    /*
     * open: `rest` is what stands after the colon; dev->priv, caps and linktype are to be set.
     * => 0; -1 with errno and text, and nothing left open.
     */
    int (*open)(struct io_dev *dev, const char *rest);
    /*
     * rx: up to n (at most IO_BURST) frames into pb[] (pointers to back end's pktbufs).
     * => the number of frames; 0: none now, call again (a capture file with a filter that selects
     *    little answers so now and then); -1 with errno ENODATA: end of input; -1 with another
     *    errno: broken input (EILSEQ for a capture cut off in the middle, EINVAL if not even its
     *    first frame makes sense), text set. An error comes after all frames before it were handed
     *    out, and again at each further call.
     */
    int (*rx)(struct io_dev *dev, struct pktbuf **pb, int n);
    /* rx_done: the frames of the last rx go back; with poison set, 0xDB is written over them. */
    void (*rx_done)(struct io_dev *dev);
    /*
     * ahead: where the first frames of the next rx begin, as far as that is known without touching
     * them, at most n: to be fetched into the cache, and for nothing else. They may come later, or not.
     * Asked between rx and rx_done; may be NULL. => how many.
     */
    int (*ahead)(struct io_dev *dev, const uint8_t **frame, int n);
    /*
     * tx: send n frames (copied or sent before return). NULL: the back end has no output.
     * => number taken; the rest failed (counted, text of the last failure set).
     */
    int (*tx)(struct io_dev *dev, struct pktbuf *const *pb, int n);
    /* fds: see io_fds; may be NULL, as 0. They are the same ones from open to close. */
    int (*fds)(struct io_dev *dev, struct pollfd *fd);
    /* flush: see io_flush; may be NULL. Live: called once a burst, what was sent is kicked out. */
    int (*flush)(struct io_dev *dev);
    /* stats: *st is a copy of dev->st; add what that does not say. May be NULL. */
    void (*stats)(struct io_dev *dev, struct io_stats *st);
    const char *(*note)(struct io_dev *dev);         /* see io_note; may be NULL */
    uint32_t (*mtu)(struct io_dev *dev);             /* see io_mtu; may be NULL */
    bool (*mac)(struct io_dev *dev, uint8_t mac[6]); /* see io_mac; may be NULL */
    void (*close)(struct io_dev *dev);
};

struct io_open_args {
    enum io_dir dir;
    const char *filter; /* BPF expression on the frame as captured, or NULL (copied) */
    bool poison;        /* overwrite frames at rx_done; builds with -Dpoison=true always do */
    uint16_t linktype;  /* IO_OUT: link type of what will be written; 0: taken from first frame */
    bool nanosec;       /* IO_OUT: nanosecond capture file */
    /*
     * Live devices (they are open for both directions, whatever `dir` says): this is number `queue`
     * of `queues` handles of one interface, in as many threads of this process; both directions of
     * a connection come to the same one as far as the interface can tell (0 queues: 1).
     */
    int queue, queues;
    /*
     * Live: the other interface of an inline pair, opened before in the same thread, or NULL. The
     * two may share the memory of frames. It is closed after this one.
     */
    struct io_dev *pair;
    bool no_promisc; /* live: take only what is addressed to the interface */
    /* Live: frames are only looked at, nobody waits for them: they may come some milliseconds later,
     * many at once, without room behind them, where that saves work. What this machine itself sends
     * by the interface comes, too; never what was sent by tx. */
    bool mirror;
    /* IO_IN: asked now and then while a pipe is silent; true ends the input. NULL: never. */
    bool (*stop)(void);
};

struct io_dev {
    const struct io_ops *ops;
    void *priv;
    char *name; /* as given, for messages */
    unsigned caps;
    uint8_t ifidx; /* number in the configuration; the owner sets it, rx copies it into frames */
    uint16_t linktype; /* of its frames (IO_IN), valid after open; a chain's frames may differ */
    struct io_open_args args;
    struct io_stats st;
};

/*
 * io_open: open "KIND:REST". A name without a colon is "KIND" with an empty rest. args NULL: input,
 * nothing special.
 * => NULL with errno (ENODEV: unknown kind; others from the back end) and a text that names the
 *    device or its file.
 */
struct io_dev *io_open(const char *name, const struct io_open_args *args);
/*
 * io_close: => NULL is fine. What an output device could not write any more is in err_text() only:
 *    call io_flush first to know.
 */
void io_close(struct io_dev *dev);

/* io_kinds: NULL-ended list of the kinds this build knows. */
const char *const *io_kinds(void);
/* io_known: is it a bare name, or of a kind that this build knows? => false with errno and text. */
bool io_known(const char *name);
/*
 * io_is_live: is this the name of an interface? Any kind but "pcap" and "mem", and a bare name that
 * is no kind: whoever opens it chooses one.
 */
bool io_is_live(const char *name);
/* io_add_kind: one more kind of device, of the program's own (tests). Before anything is opened. */
void io_add_kind(const struct io_ops *ops);

static inline int io_rx(struct io_dev *d, struct pktbuf **pb, int n)
{
    return d->ops->rx(d, pb, n);
}

/* io_ahead: see io_ops.ahead. */
static inline int io_ahead(struct io_dev *d, const uint8_t **frame, int n)
{
    return d->ops->ahead ? d->ops->ahead(d, frame, n) : 0;
}

static inline void io_rx_done(struct io_dev *d)
{
    d->ops->rx_done(d);
}

/*
 * io_fds: live: what to poll: one of them is readable when rx would have frames, or the link has changed.
 * Not one descriptor for all, by epoll: a socket would then wake somebody for each frame that it has sent
 * (a tenth of what a frame costs by AF_XDP), and so only while somebody does wait.
 * => how many of fd[IO_FDS] are filled; 0: there is nothing to poll, rx must be asked again and again.
 */
static inline int io_fds(struct io_dev *d, struct pollfd *fd)
{
    return d->ops->fds ? d->ops->fds(d, fd) : 0;
}

/* io_tx: send frames. => number taken; the others are counted as tx_errors, err_text() says why. */
int io_tx(struct io_dev *dev, struct pktbuf *const *pb, int n);
/*
 * io_flush: everything sent so far is with the system.
 * => 0; -1 with errno and text (disk full), and the frames lost moved from tx_frames to tx_errors.
 */
int io_flush(struct io_dev *dev);
void io_get_stats(struct io_dev *dev, struct io_stats *st);
/* io_note: how it was opened, for people ("native XDP, copy mode, 1 queue"). => "" if there is
 *    nothing to say; valid until close. */
static inline const char *io_note(struct io_dev *d)
{
    return d->ops->note ? d->ops->note(d) : "";
}

/* io_mtu: bytes of an IP datagram that it can send now. => 0: it does not say. */
static inline uint32_t io_mtu(struct io_dev *d)
{
    return d->ops->mtu ? d->ops->mtu(d) : 0;
}

/*
 * io_mac: the address that it has on its link, where the back end knows it by itself: its name is not
 * that of an interface of the kernel.
 * => false: it does not say.
 */
static inline bool io_mac(struct io_dev *d, uint8_t mac[6])
{
    return d->ops->mac && d->ops->mac(d, mac);
}

/*
 * io_chain: several input devices read one after the other as one (several capture files in a row).
 * => takes ownership of devs[0..n-1], also when it fails (NULL, errno, text). Frame numbers go on;
 *    one that is cut off in the middle (EILSEQ) is told at the end of all, after the others were
 *    read; one that breaks otherwise is told in its place, and the chain does not go on to the
 *    next.
 */
struct io_dev *io_chain(struct io_dev **devs, int n);

/*
 * The mem back end, for tests, benchmarks and programs: frames are put in by the program and come
 * out of rx; what is sent is kept and can be taken. It allocates only while it holds more or longer
 * frames than ever before.
 */
/*
 * mem_put: queue one frame (copied). wire_len 0 means len; linktype is a DLT_ value.
 * => 0; -1 with ENOMEM, or EPIPE after mem_eof.
 */
int mem_put(struct io_dev *dev, const void *data, uint32_t len, uint32_t wire_len, uint64_t ts_ns,
            uint16_t linktype);
/* mem_eof: after the queued frames, rx answers ENODATA (before that, 0). */
void mem_eof(struct io_dev *dev);
/* mem_take: the oldest frame sent and not taken yet. => its length, data valid until the next call
 *    of mem_take; -1 if none. data and ts_ns may be NULL. */
int64_t mem_take(struct io_dev *dev, const uint8_t **data, uint64_t *ts_ns);

#endif
