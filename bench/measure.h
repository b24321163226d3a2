/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * measure.h: time and what is made of it. Cycles are those of the constant-rate time stamp counter
 * (on other machines: nanoseconds); what is charged is the thread's CPU time, converted, so that
 * time taken by other programs does not count.
 */
#ifndef WEIR_BENCH_MEASURE_H
#define WEIR_BENCH_MEASURE_H

#include <stdint.h>
#include <time.h>

#define MEASURE_ROUNDS 32 /* at most */

static inline uint64_t thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* measure_hz: ticks of the time stamp counter a second, measured once against the clock. */
double measure_hz(void);
/*
 * measure_machine: for the report: the processor's name, the rate of its counter, and what its core does at the moment. Where
 * that is less another's work shares the core: instructions take more of the counter's cycles then, and memory no longer.
 */
const char *measure_machine(void);
/* measure_shown: what is shown of so many rounds, in words, for the report; valid until the next call. */
const char *measure_shown(int rounds);
/* measure_rss: bytes of this process in memory now. */
uint64_t measure_rss(void);

/* median, lowest, highest: of n values (1 to MEASURE_ROUNDS). */
double median(const double *v, int n);
double lowest(const double *v, int n);
double highest(const double *v, int n);

#endif
