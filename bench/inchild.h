/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inchild.h: one run in a process of its own: a fresh heap, and a crash costs one run.
 */
#ifndef WEIR_BENCH_INCHILD_H
#define WEIR_BENCH_INCHILD_H

#include <stdbool.h>
#include <stddef.h>

#define WHY_TEXT 200

/*
 * in_child: run fn(arg, out, why) in a child and bring back what it has put at out (len bytes).
 * => fn returns false with a text in why (WHY_TEXT bytes), or the child dies: false, and why says so.
 */
bool in_child(bool (*fn)(const void *arg, void *out, char *why), const void *arg, void *out,
              size_t len, char *why);

#endif
