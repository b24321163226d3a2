/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdkeal.h: DPDK's run time (EAL), begun once in a process and never ended: it cannot be begun
 * twice.
 */
#ifndef WEIR_IO_DPDKEAL_H
#define WEIR_IO_DPDKEAL_H

#include <stddef.h>

/*
 * dpdk_eal_start: begin EAL at the first call, from any thread; later calls say how that went.
 * `name` is the device that asks, for the error text.
 *
 * => 0; -1 with errno and text.
 * => EAL keeps nothing in the file system, drives no card that was not asked for, and leaves the
 *    caller's affinity and signals alone. It lives in hugepages if 64 MB of them are free, else in
 *    512 MB of ordinary memory, of which it takes what is used.
 * => the environment's WEIR_EAL has further arguments of EAL, split at blanks.
 */
int dpdk_eal_start(const char *name);

/* dpdk_eal_thread: this thread is known to DPDK from now on, until it ends. Cheap. */
void dpdk_eal_thread(void);

/*
 * What DPDK and its drivers say goes here instead of to the terminal: warnings and errors since
 * dpdk_log_clear, joined by "; ", the first 255 bytes. The last resort of an EAL that cannot begin
 * is stderr all the same.
 */
void dpdk_log_clear(void);
/* dpdk_log_copy: => "no reason given" if nothing was said. */
void dpdk_log_copy(char *text, size_t size);

#endif
