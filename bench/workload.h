/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workload.h: the named workloads. W1-W4 lie in memory, P1-P4 in capture files.
 */
#ifndef WEIR_BENCH_WORKLOAD_H
#define WEIR_BENCH_WORKLOAD_H

#include "gen.h"

/*
 * workload_get: the traffic of a workload, flows (and concurrency where it is part of the point)
 * times scale.
 * => false: no such name.
 */
bool workload_get(const char *name, double scale, struct gen_cfg *c);
/* workload_what: a few words on it; NULL: no such name. */
const char *workload_what(const char *name);
/* workload_name: the i-th, from 0; NULL at the end. */
const char *workload_name(int i);

#endif
