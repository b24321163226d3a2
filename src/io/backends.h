/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backends.h: what the files of io/ know of each other.
 */
#ifndef WEIR_IO_BACKENDS_H
#define WEIR_IO_BACKENDS_H

#include "io/io.h"

extern const struct io_ops mem_ops;
extern const struct io_ops pcapfile_ops;
extern const struct io_ops afpacket_ops;
#ifdef WEIR_AFXDP
extern const struct io_ops afxdp_ops;
#endif
#ifdef WEIR_DPDK
extern const struct io_ops dpdk_ops;
#endif

/* io_dev_new: a device with its name and arguments copied, not opened. => NULL with ENOMEM. */
struct io_dev *io_dev_new(const struct io_ops *ops, const char *name,
                          const struct io_open_args *args);
/* io_dev_free: free what io_dev_new made; nothing is closed. */
void io_dev_free(struct io_dev *dev);

#endif
