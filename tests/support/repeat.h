/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * repeat.h: what a random test takes from the environment: SEED repeats a run, STEPS (or RUNS) makes it
 * longer. All of them print their seed.
 */
#ifndef WEIR_TESTS_REPEAT_H
#define WEIR_TESTS_REPEAT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* env_number: what the environment has under this name, decimal, octal or hexadecimal. */
static inline uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *v = getenv(name);

    return v && *v ? strtoull(v, NULL, 0) : otherwise;
}

/* env_seed: SEED, else one that no run had before; printed. */
static inline uint64_t env_seed(void)
{
    uint64_t n = env_number("SEED", (uint64_t)time(NULL));

    printf("# SEED=%llu\n", (unsigned long long)n);
    fflush(stdout);
    return n;
}

#endif
