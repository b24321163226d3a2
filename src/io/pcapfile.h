/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapfile.h: the two halves of the "pcap" back end, and what they share. Private to io/.
 */
#ifndef WEIR_IO_PCAPFILE_H
#define WEIR_IO_PCAPFILE_H

#include <stdio.h>

#include "io/io.h"

#define PCAPFILE_SNAPLEN 262144
#define PCAPFILE_BUFFER  65536 /* of stdio: a third faster than its own 4096 */

/*
 * pcapfile_stream: open `path`, or for "-" a duplicate of descriptor `std`, so that it may be
 * closed like any other. `buf` holds PCAPFILE_BUFFER bytes and must outlive the stream. => NULL
 * with errno and text.
 */
FILE *pcapfile_stream(const char *path, const char *mode, int std, char *buf);

/* pcapfile_linktype_ok: is it one that wire/ decodes? */
bool pcapfile_linktype_ok(int dlt);
/* pcapfile_bad_linktype: the error for one it does not. => -1 with EPROTONOSUPPORT and text. */
int pcapfile_bad_linktype(const char *path, int dlt);

/* pcapin.c: reading. */
int pcapin_open(struct io_dev *dev, const char *path);
int pcapin_rx(struct io_dev *dev, struct pktbuf **pb, int n);
void pcapin_rx_done(struct io_dev *dev);
void pcapin_stats(struct io_dev *dev, struct io_stats *st);
void pcapin_close(struct io_dev *dev);

/* pcapout.c: writing. */
int pcapout_open(struct io_dev *dev, const char *path);
int pcapout_tx(struct io_dev *dev, struct pktbuf *const *pb, int n);
int pcapout_flush(struct io_dev *dev);
void pcapout_close(struct io_dev *dev);

#endif
