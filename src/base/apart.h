/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart.h: what different threads write lies in different cache lines, and, since a processor fetches lines in
 * pairs, in different pairs of them: else each waits for the other's, though they share nothing.
 */
#ifndef WEIR_BASE_APART_H
#define WEIR_BASE_APART_H

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define LINE_PAIR ((size_t)2 * CACHELINE)
#define __apart   __attribute__((aligned(LINE_PAIR)))

/* apart_zalloc: n zeroed bytes that share no pair of lines with any other. => NULL: no memory; for free(). */
static inline void *apart_zalloc(size_t n)
{
    size_t whole = (n + LINE_PAIR - 1) & ~(LINE_PAIR - 1);
    void *p = aligned_alloc(LINE_PAIR, whole);

    return p ? memset(p, 0, whole) : NULL;
}

#endif
