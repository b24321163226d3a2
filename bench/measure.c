// SPDX-License-Identifier: BSD-2-Clause
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <x86intrin.h>
static uint64_t ticks(void)
{
    return __rdtsc();
}
#else
static uint64_t ticks(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
#endif

static uint64_t wall_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

double measure_hz(void)
{
    static double hz;
    uint64_t ns, tsc, now;

    if (hz > 0)
        return hz;
    ns = wall_ns();
    tsc = ticks();
    do
        now = wall_ns();
    while (now - ns < 100000000);
    hz = (double)(ticks() - tsc) * 1e9 / (double)(now - ns);
    return hz;
}

/*
 * core_hz: rounds a second of a loop that takes a cycle when nobody else has work for the core: its clock, or what another
 * thread of the core leaves of it.
 */
static double core_hz(void)
{
    enum { TRIES = 11, STEPS = 4000000 };
    double hz[TRIES];

    for (int i = 0; i < TRIES; i++) {
        uint64_t x = 0, ns = thread_ns();

        while (x < STEPS) {
            x++;
            __asm__("" : "+r"(x));
        }
        hz[i] = STEPS * 1e9 / (double)(thread_ns() - ns + 1);
    }
    return median(hz, TRIES);
}

/* cpu_name: the processor's, as the system has it. */
static const char *cpu_name(void)
{
    static char name[128] = "unknown";
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "model name : %127[^\n]", name) == 1)
            break;
    if (f)
        fclose(f);
    return name;
}

const char *measure_machine(void)
{
    static char text[192];

    if (text[0] == '\0')
        snprintf(text, sizeof(text), "%s, counter at %.2f GHz, the core does %.2f GHz", cpu_name(),
                 measure_hz() / 1e9, core_hz() / 1e9);
    return text;
}

const char *measure_shown(int rounds)
{
    static char text[32];

    if (rounds == 1)
        return "one round";
    snprintf(text, sizeof(text), "medians of %d rounds", rounds);
    return text;
}

uint64_t measure_rss(void)
{
    unsigned long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL)
        return 0;
    if (fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median(const double *v, int n)
{
    double s[MEASURE_ROUNDS];

    memcpy(s, v, (size_t)n * sizeof(*v));
    qsort(s, (size_t)n, sizeof(*s), by_value);
    return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

double lowest(const double *v, int n)
{
    double m = v[0];

    for (int i = 1; i < n; i++)
        m = v[i] < m ? v[i] : m;
    return m;
}

double highest(const double *v, int n)
{
    double m = v[0];

    for (int i = 1; i < n; i++)
        m = v[i] > m ? v[i] : m;
    return m;
}
