/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * instr.h: what callgrind is told: when to collect, in the thread that says so, and where to put it.
 * A few instructions when nobody listens; nothing where valgrind's header is missing.
 */
#ifndef WEIR_BENCH_INSTR_H
#define WEIR_BENCH_INSTR_H

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>

static inline void instr_toggle(void)
{
    CALLGRIND_TOGGLE_COLLECT;
}

static inline void instr_dump(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
}

#else

static inline void instr_toggle(void)
{
}

static inline void instr_dump(const char *name)
{
    (void)name;
}

#endif
#endif
