/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ifoffload.h: switches off, at our own end, what an interface does to frames before AF_XDP sees
 * them (VLAN tags taken out, frames put together), and on again afterwards; and adds queues where
 * there are fewer than threads.
 *
 * Such a setting stays when the process dies, so it is written down before it is changed: one file
 * for each interface (by its index: names change) below $WEIR_RUN (/run/weir), which its writer holds
 * locked. A file that nobody holds was left behind by a process that was killed; the next one to come by puts things right.
 */
#ifndef WEIR_IO_IFOFFLOAD_H
#define WEIR_IO_IFOFFLOAD_H

#include "base/compiler.h"

struct ifoffload {
    int fd;         /* the state file, locked; -1: none */
    char path[160]; /* of the state file */
    char ifname[16];
};

/*
 * ifoffload_off: note and switch off what is on, and have `queues` receive queues at least if the
 * driver can. `name` is the device's, for messages.
 * => 0, also when there was nothing to switch off, or the driver does not let us (that is its
 *    word); -1 with errno and text: EBUSY (another process has the interface), EPERM, or the state
 *    could not be written: then nothing was changed.
 */
int ifoffload_off(struct ifoffload *o, const char *name, const char *ifname, int queues);
/*
 * ifoffload_restore: as it was before ifoffload_off; the state file goes.
 * => -1 with errno and text: not restored (EPERM after privileges were dropped); the file stays, and
 *    the next start does it.
 */
int ifoffload_restore(struct ifoffload *o, const char *name);
/*
 * ifoffload_sweep: restore what killed processes have left behind in this network namespace.
 * => how many interfaces
 */
int ifoffload_sweep(void);
/* ifoffload_driver: the name of an interface's driver, "" if it has none to tell. virtual_: no
 *    hardware of its own. */
void ifoffload_driver(const char *ifname, char driver[32], bool *virtual_);
/* ifoffload_queues: how many receive and transmit queues it has, 1 where it does not say. */
void ifoffload_queues(const char *ifname, int *rx, int *tx);

#endif
