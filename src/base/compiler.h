/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * compiler.h: what we ask of the compiler, in one place.
 */
#ifndef WEIR_BASE_COMPILER_H
#define WEIR_BASE_COMPILER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* The empty asm: else gcc takes a function that does nothing but prefetch for one without effect. */
#define prefetch_r(p)                                                                              \
    do {                                                                                           \
        __builtin_prefetch((p), 0, 3);                                                             \
        __asm__ volatile("");                                                                      \
    } while (0)
#define prefetch_w(p)                                                                              \
    do {                                                                                           \
        __builtin_prefetch((p), 1, 3);                                                             \
        __asm__ volatile("");                                                                      \
    } while (0)
#define never_inline  __attribute__((noinline))
#define force_inline  inline __attribute__((always_inline))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CACHELINE     64
#define __cacheline   __attribute__((aligned(CACHELINE)))
#define WEIR_API      __attribute__((visibility("default")))

/* Other people's headers have these, too: the same thing. */
#ifndef __printflike
#define __printflike(f, a) __attribute__((format(printf, f, a)))
#endif
#ifndef container_of
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#endif

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL

#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif

#endif
