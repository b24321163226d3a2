/* SPDX-License-Identifier: BSD-2-Clause */
/* cpu.h - the machine's CPUs, for programs that include it by this name. */
#ifndef WEIR_COMPAT_CPU_H
#define WEIR_COMPAT_CPU_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* GetNumCPUs: CPUs that are switched on, 1 or more. [any] */
int GetNumCPUs(void);

/*
 * CoreAffinitize: pin the calling thread to one of them. [any]
 *
 * => 0; -1 with EINVAL (no such CPU, or none that the system lets this process have).
 */
int CoreAffinitize(int cpu);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* WEIR_COMPAT_CPU_H */
