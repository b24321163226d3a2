// SPDX-License-Identifier: BSD-2-Clause
/*
 * pcapfile.c: capture files as a device, "pcap:FILE" ("-": standard input or output). A device is
 * open in one direction; the two have nothing in common but the kinds of frames.
 */
#include "io/pcapfile.h"
#include "io/backends.h"
#include "base/errtext.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

static const int linktypes[] = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_RAW,
                                DLT_IPV4,   DLT_IPV6,      DLT_NULL,       DLT_LOOP};

bool pcapfile_linktype_ok(int dlt)
{
    for (size_t i = 0; i < ARRAY_SIZE(linktypes); i++)
        if (linktypes[i] == dlt)
            return true;
    return false;
}

int pcapfile_bad_linktype(const char *path, int dlt)
{
    const char *name = pcap_datalink_val_to_name(dlt);
    char number[16], list[160] = "";

    snprintf(number, sizeof(number), "%d", dlt);
    for (size_t i = 0; i < ARRAY_SIZE(linktypes); i++) {
        if (i)
            strcat(list, ", ");
        strcat(list, pcap_datalink_val_to_name(linktypes[i]));
    }
    return err_set(EPROTONOSUPPORT, "%s: link type %s is not supported (%s are)", path,
                   name ? name : number, list);
}

FILE *pcapfile_stream(const char *path, const char *mode, int std, char *buf)
{
    FILE *fp = NULL;

    if (strcmp(path, "-") == 0) {
        int fd = fcntl(std, F_DUPFD_CLOEXEC, 3);

        fp = fd < 0 ? NULL : fdopen(fd, mode);
        if (!fp && fd >= 0)
            close(fd);
    } else {
        fp = fopen(path, mode);
    }
    if (!fp)
        return err_null(errno, "%s: %s", path, strerror(errno));
    setvbuf(fp, buf, _IOFBF, PCAPFILE_BUFFER);
    __fsetlocking(fp, FSETLOCKING_BYCALLER); /* two locks less for each frame */
    return fp;
}

static int pcapfile_open(struct io_dev *dev, const char *path)
{
    if (!*path)
        return err_set(EINVAL, "%s: expected pcap:FILE", dev->name);
    switch (dev->args.dir) {
    case IO_IN:
        return pcapin_open(dev, path);
    case IO_OUT:
        return pcapout_open(dev, path);
    }
    return err_set(EINVAL, "%s: a capture file is either read or written", dev->name);
}

static int pcapfile_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    if (dev->args.dir != IO_IN)
        return err_set(ENOTSUP, "%s: not open for input", dev->name);
    return pcapin_rx(dev, pb, n);
}

static void pcapfile_rx_done(struct io_dev *dev)
{
    if (dev->args.dir == IO_IN)
        pcapin_rx_done(dev);
}

static int pcapfile_flush(struct io_dev *dev)
{
    return dev->args.dir == IO_OUT ? pcapout_flush(dev) : 0;
}

static void pcapfile_stats(struct io_dev *dev, struct io_stats *st)
{
    if (dev->args.dir == IO_IN)
        pcapin_stats(dev, st);
}

static void pcapfile_close(struct io_dev *dev)
{
    if (dev->args.dir == IO_IN)
        pcapin_close(dev);
    else
        pcapout_close(dev);
}

const struct io_ops pcapfile_ops = {
    .kind = "pcap",
    .open = pcapfile_open,
    .rx = pcapfile_rx,
    .rx_done = pcapfile_rx_done,
    .tx = pcapout_tx, /* io_tx asks for IO_OUTPUT first */
    .flush = pcapfile_flush,
    .stats = pcapfile_stats,
    .close = pcapfile_close,
};
