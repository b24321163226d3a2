/* SPDX-License-Identifier: BSD-2-Clause */
/* applib.h - what sample programs share: limits, little macros, a reader of "key = value" files. */
#ifndef WEIR_COMPAT_APPLIB_H
#define WEIR_COMPAT_APPLIB_H

#include <stdint.h>
#include <sys/time.h>

#define MAX_LINE_LEN 1000
#define MAX_FLOW_NUM 1000000
#define MAX_EVENTS   (MAX_FLOW_NUM * 3)
#define MAX_CPUS     16

#ifndef MAX
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
#ifndef MIN
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#endif
#ifndef TRUE
#define TRUE (1)
#endif
#ifndef FALSE
#define FALSE (0)
#endif
#ifndef ERROR
#define ERROR (-1)
#endif

/* A struct timeval as one number. */
#define TIMEVAL_TO_MSEC(t) ((t).tv_sec * 1000 + (t).tv_usec / 1000)
#define TIMEVAL_TO_USEC(t) ((t).tv_sec * 1000000 + (t).tv_usec)

/* TS_GT: is time a after time b, both 32-bit counters that wrap. */
#define TS_GT(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)) > 0)

#define CONF_VALUE_LEN 100

/* A key that the program knows, and room for its value. */
struct conf_var {
    char *name;
    char value[CONF_VALUE_LEN + 1];
};

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * LoadConfig: read lines "key = value" (or "key value") from fname into var[0 .. size-1]. [any]
 *
 * => '#' begins a comment; blank lines and keys that are not in var are passed over. A key that
 *    does not occur keeps the value it had; one that occurs twice gets the last.
 * => 0; -1 with EINVAL (an argument), the errno of fopen (ENOENT ...), or E2BIG (a value longer than
 *    CONF_VALUE_LEN or a line longer than MAX_LINE_LEN: what came before it is in var).
 */
int LoadConfig(char *fname, struct conf_var *var, int size);

/*
 * strevent: name of one MOS_EPOLL bit. strcbevent: name of one built-in MOS_ON_ event, "UDE" for
 * an id of a user-defined one. Constant strings; "(unknown)" for anything else. [any]
 */
char *strevent(uint64_t event);
char *strcbevent(uint64_t event);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* WEIR_COMPAT_APPLIB_H */
