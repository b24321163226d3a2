/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io.h: frames in and out, nothing about IP. A back end is one file with one ops table; a device is named
 * "KIND:REST" ("pcap:/tmp/x.pcap", "mem:a") and opened through the registry. Decorators wrap another device.
 *
 * Threads: one device is used by one thread at a time.
 */
#ifndef WEIR_IO_IO_H
#define WEIR_IO_IO_H

#include "base/pktbuf.h"

#define IO_BURST 64

enum io_caps {
    IO_CAN_HOLD = 1 << 0,   /* frames may outlive the batch (pktbuf.refs) */
    IO_REPLAY = 1 << 1,     /* time comes from the frames; input ends */
    IO_OUTPUT = 1 << 2,     /* io_tx works */
    IO_LIVE = 1 << 3,       /* time is the wall's */
    IO_USER = 1 << 4,       /* frames come from the program (mem) */
};

enum io_dir { IO_IN = 1, IO_OUT = 2 };

struct io_stats {
    uint64_t rx_frames, rx_bytes;   /* bytes as captured */
    uint64_t rx_truncated;          /* frames with len < wire_len */
    uint64_t rx_filtered;           /* refused by io_open_args.filter */
    uint64_t tx_frames, tx_bytes, tx_errors;
    uint64_t size, position;        /* bytes of input, bytes read; 0 when not known (progress) */
};

struct io_dev;

struct io_ops {
    const char *kind; /* the word before the colon */
    /* open: => 0; -1 with errno and text. dev->priv is the back end's. `rest` is what stands after the colon. */
    int (*open)(struct io_dev *dev, const char *rest);
    /*
     * rx: up to n frames into pb[] (pointers to back end's pktbufs).
     * => the number of frames; 0: none now; -1 with errno ENODATA: end of input; -1 with another errno: broken input (errno
     *    EILSEQ for a capture cut off in the middle), text set. An error comes after all frames before it were handed out.
     */
    int (*rx)(struct io_dev *dev, struct pktbuf **pb, int n);
    /* rx_done: all frames of the last rx go back; with poison set they are overwritten with 0xDB first. */
    void (*rx_done)(struct io_dev *dev);
    /* tx: send n frames (copied or sent before return). => number taken; the rest failed (counted). */
    int (*tx)(struct io_dev *dev, struct pktbuf *const *pb, int n);
    void (*stats)(struct io_dev *dev, struct io_stats *st);
    void (*close)(struct io_dev *dev);
};

struct io_open_args {
    enum io_dir dir;
    const char *filter;  /* BPF expression on the frame as captured, or NULL */
    bool poison;         /* overwrite frames at rx_done */
    uint16_t linktype;   /* IO_OUT: link type of what will be written; 0: taken from the first frame */
    bool nanosec;        /* IO_OUT: nanosecond capture file */
};

struct io_dev {
    const struct io_ops *ops;
    void *priv;
    char *name;           /* as given, for messages */
    unsigned caps;
    uint8_t ifidx;        /* number in the configuration */
    uint16_t linktype;    /* of its frames (IO_IN), valid after open */
    struct io_open_args args;
    struct io_stats st;
};

/*
 * io_open: open "KIND:REST". A name without a colon is "KIND" with an empty rest.
 * => NULL with errno (ENODEV: unknown kind; others from the back end) and a text that names the device.
 */
struct io_dev *io_open(const char *name, const struct io_open_args *args);
void io_close(struct io_dev *dev);

/* io_kinds: NULL-ended list of the kinds this build knows. */
const char *const *io_kinds(void);

static inline int io_rx(struct io_dev *d, struct pktbuf **pb, int n)
{
    return d->ops->rx(d, pb, n);
}

static inline void io_rx_done(struct io_dev *d)
{
    d->ops->rx_done(d);
}

int io_tx(struct io_dev *dev, struct pktbuf *const *pb, int n);
void io_get_stats(struct io_dev *dev, struct io_stats *st);

/*
 * io_chain: several input devices read one after the other as one (several capture files in a row).
 * => takes ownership of devs[0..n-1], also when it fails. frame numbers go on; an input that breaks (rx error) is reported
 *    when its turn ends and the chain does NOT go on to the next.
 */
struct io_dev *io_chain(struct io_dev **devs, int n);

/*
 * The mem back end, for tests, benchmarks and programs: frames are put in by the program and come out of rx; what is
 * sent is kept and can be taken.
 */
/* mem_put: queue one frame (copied). => 0; -1 ENOMEM. wire_len 0 means len. */
int mem_put(struct io_dev *dev, const void *data, uint32_t len, uint32_t wire_len, uint64_t ts_ns, uint16_t linktype);
/* mem_eof: after the queued frames, rx answers ENODATA. */
void mem_eof(struct io_dev *dev);
/* mem_take: the oldest frame sent and not taken yet. => its length, data valid until the next call; -1 if none. */
int64_t mem_take(struct io_dev *dev, const uint8_t **data, uint64_t *ts_ns);

#endif
