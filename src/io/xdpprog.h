/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdpprog.h: the XDP program of the "afxdp" back end, a handful of instructions written by hand, so
 * that nothing is needed to build it.
 */
#ifndef WEIR_IO_XDPPROG_H
#define WEIR_IO_XDPPROG_H

#include "base/compiler.h"

/*
 * xdpprog_load: for queues that are in `map` (an XSKMAP) redirect to their socket, else XDP_PASS.
 * => pieces: it takes frames of several pieces (for the generic mode: large segments).
 * => a descriptor; -1 with errno.
 */
int xdpprog_load(int map, bool pieces);
/*
 * xdpprog_load_tags: the same, and VLAN tags that the driver keeps beside the frame are put back
 * into it. Bound to the interface's driver; native mode only.
 * => -1: the kernel or the driver cannot say what the tags are.
 */
int xdpprog_load_tags(int map, int ifindex);

#endif
