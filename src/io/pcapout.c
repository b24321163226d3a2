// SPDX-License-Identifier: BSD-2-Clause
/*
 * pcapout.c: frames into a capture file. The file is made when the device is opened, its header
 * when the link type is known: at once if the caller said it, else with the first frame (an
 * output without any becomes an empty Ethernet capture). stdio collects the frames; what it
 * could not write is found at the next frame, at io_flush or at io_close, whichever is first.
 *
 * Frames that their sender has left unfinished (live) are written as they would be on the wire.
 */
#include "io/pcapfile.h"
#include "io/offload.h"
#include "base/errtext.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_ROOM 66000

struct pcapout {
    FILE *fp;
    pcap_t *dead;        /* says link type and precision */
    pcap_dumper_t *dump; /* NULL until the header is written */
    char *path;
    char buf[PCAPFILE_BUFFER];
    int failed;                             /* errno of the first write that failed */
    uint64_t pending_frames, pending_bytes; /* since the last flush that worked */
    uint8_t *segment;                       /* SEGMENT_ROOM, from the first frame that is cut */
};

/* Writing failed: what is pending is lost, as far as anyone knows. => -1 */
static int fail(struct io_dev *dev)
{
    struct pcapout *out = dev->priv;

    if (!out->failed)
        out->failed = errno ? errno : EIO;
    dev->st.tx_frames -= out->pending_frames;
    dev->st.tx_bytes -= out->pending_bytes;
    dev->st.tx_errors += out->pending_frames;
    out->pending_frames = out->pending_bytes = 0;
    return err_set(out->failed, "%s: writing failed: %s", out->path, strerror(out->failed));
}

/* Write the file's header. => 0; -1 with the error set. */
static int begin(struct io_dev *dev, uint16_t linktype)
{
    struct pcapout *out = dev->priv;
    u_int precision = dev->args.nanosec ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO;

    out->dead = pcap_open_dead_with_tstamp_precision(linktype, PCAPFILE_SNAPLEN, precision);
    if (!out->dead)
        return err_set(out->failed = ENOMEM, "%s: out of memory", out->path);
    errno = 0;
    out->dump = pcap_dump_fopen(out->dead, out->fp);
    if (!out->dump) {
        out->fp = NULL; /* libpcap closed it: the only way to fail here is to write */
        out->failed = errno ? errno : EIO;
        return err_set(out->failed, "%s: %s", out->path, pcap_geterr(out->dead));
    }
    dev->linktype = linktype;
    return 0;
}

int pcapout_open(struct io_dev *dev, const char *path)
{
    struct pcapout *out;

    if (dev->args.linktype && !pcapfile_linktype_ok(dev->args.linktype))
        return pcapfile_bad_linktype(path, dev->args.linktype);
    out = calloc(1, sizeof(*out));
    if (!out || !(out->path = strdup(path))) {
        free(out);
        return err_set(ENOMEM, "%s: out of memory", path);
    }
    out->fp = pcapfile_stream(path, "we", STDOUT_FILENO, out->buf);
    if (!out->fp) {
        free(out->path);
        free(out);
        return -1;
    }
    dev->priv = out;
    dev->caps = IO_OUTPUT | IO_REPLAY;
    if (dev->args.linktype && begin(dev, dev->args.linktype) < 0) {
        int code = errno;

        pcapout_close(dev);
        return err_set(code, "%s: %s", path, strerror(code));
    }
    return 0;
}

/* begun: is there a header, and one for such frames? => 0; -1 with the error set. */
static int begun(struct io_dev *dev, const struct pktbuf *pb)
{
    struct pcapout *out = dev->priv;

    if (out->failed)
        return err_set(out->failed, "%s: writing failed: %s", out->path, strerror(out->failed));
    if (!out->dump && !pcapfile_linktype_ok(pb->linktype))
        return pcapfile_bad_linktype(out->path, pb->linktype);
    if (!out->dump && begin(dev, pb->linktype) < 0)
        return -1;
    if (pb->linktype != dev->linktype)
        return err_set(EINVAL, "%s: a frame of link type %u does not fit a file of link type %u",
                       out->path, pb->linktype, dev->linktype);
    return 0;
}

/* put: these bytes, with what else is known of pb. => 0; -1 with the error set: not written. */
static int put(struct io_dev *dev, const struct pktbuf *pb, const uint8_t *data, uint32_t len,
               uint32_t wire_len)
{
    struct pcapout *out = dev->priv;
    struct pcap_pkthdr h = {.caplen = len, .len = wire_len > len ? wire_len : len};

    h.ts.tv_sec = (time_t)(pb->ts_ns / NSEC_PER_SEC);
    h.ts.tv_usec =
        (suseconds_t)(pb->ts_ns % NSEC_PER_SEC / (dev->args.nanosec ? 1 : NSEC_PER_USEC));
    errno = 0;
    pcap_dump((u_char *)out->dump, &h, data);
    if (ferror(out->fp))
        return fail(dev);
    dev->st.tx_frames++;
    dev->st.tx_bytes += len;
    out->pending_frames++;
    out->pending_bytes += len;
    return 0;
}

/* put_all: one that stands for several, cut up. */
static int put_all(struct io_dev *dev, const struct pktbuf *pb, struct io_split *s)
{
    struct pcapout *out = dev->priv;
    uint32_t len;

    if (!out->segment && !(out->segment = malloc(SEGMENT_ROOM)))
        return err_set(ENOMEM, "%s: out of memory", out->path);
    while ((len = io_split_next(s, out->segment, SEGMENT_ROOM)) > 0)
        if (put(dev, pb, out->segment, len, len) < 0)
            return -1;
    return 0;
}

/* => 0; -1 with the error set: not written. */
static int write_frame(struct io_dev *dev, struct pktbuf *pb)
{
    struct io_split split;

    if (begun(dev, pb) < 0)
        return -1;
    if (pb->gso_size && pb->linktype == DLT_EN10MB && io_split_begin(&split, pb))
        return put_all(dev, pb, &split);
    io_finish_csum(pb); /* where it cannot, the frame is not whole */
    return put(dev, pb, pb->data, pb->len, pb->wire_len);
}

int pcapout_tx(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    int sent = 0;

    for (int i = 0; i < n; i++)
        if (write_frame(dev, pb[i]) == 0)
            sent++;
        else
            dev->st.tx_errors++;
    return sent;
}

int pcapout_flush(struct io_dev *dev)
{
    struct pcapout *out = dev->priv;

    if (!out->failed && !out->dump)
        begin(dev, DLT_EN10MB);
    if (out->failed)
        return fail(dev);
    errno = 0;
    if (fflush(out->fp) != 0)
        return fail(dev);
    out->pending_frames = out->pending_bytes = 0;
    return 0;
}

void pcapout_close(struct io_dev *dev)
{
    struct pcapout *out = dev->priv;

    pcapout_flush(dev);
    if (out->fp && fclose(out->fp) != 0 && !out->failed)
        err_set(errno, "%s: closing failed: %s", out->path, strerror(errno));
    if (out->dead)
        pcap_close(out->dead);
    free(out->segment);
    free(out->path);
    free(out);
}
