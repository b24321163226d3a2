/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * isolate.h: one run in a process of its own: a fresh heap, and a crash costs one run.
 */
#ifndef WEIR_BENCH_ISOLATE_H
#define WEIR_BENCH_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * isolate: fn(arg, out) in a child; the n bytes (at most 4096) that it leaves at `out` come back.
 * => false: it did not get that far, within two minutes; what became of it is in `why` (room bytes).
 */
bool isolate(void (*fn)(const void *arg, void *out), const void *arg, void *out, size_t n,
             char *why, size_t room);

#endif
