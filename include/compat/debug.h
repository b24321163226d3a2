/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * debug.h - trace macros of old programs, for programs only: the library prints nothing.
 *
 * Each is a printf that a -D switches on; TRACE_CONFIG is always on. Errors and debugging go to
 * standard error with file and line, the rest to standard output as it is.
 */
#ifndef WEIR_COMPAT_DEBUG_H
#define WEIR_COMPAT_DEBUG_H

#include <errno.h>
#include <stdio.h>
#include <assert.h>

#define WEIR_TRACE_OFF_ (void)0

#define WEIR_TRACE_OUT_(f, m...)                                                                   \
    do {                                                                                           \
        fprintf(stdout, f, ##m);                                                                   \
        fflush(stdout);                                                                            \
    } while (0)

#define WEIR_TRACE_ERR_(f, m...)                                                                   \
    do {                                                                                           \
        fprintf(stderr, "%s:%d (%s): " f, __FILE__, __LINE__, __func__, ##m);                      \
    } while (0)

#define TRACE_CONFIG(f, m...) WEIR_TRACE_OUT_(f, ##m)

#ifdef DBGERR
#define TRACE_ERROR(f, m...) WEIR_TRACE_ERR_(f, ##m)
#else
#define TRACE_ERROR(f, m...) WEIR_TRACE_OFF_
#endif

#ifdef DBGMSG
#define TRACE_DBG(f, m...) WEIR_TRACE_ERR_(f, ##m)
#else
#define TRACE_DBG(f, m...) WEIR_TRACE_OFF_
#endif

#ifdef INFO
#define TRACE_INFO(f, m...) WEIR_TRACE_OUT_(f, ##m)
#else
#define TRACE_INFO(f, m...) WEIR_TRACE_OFF_
#endif

#ifdef EPOLL
#define TRACE_EPOLL(f, m...) WEIR_TRACE_ERR_(f, ##m)
#else
#define TRACE_EPOLL(f, m...) WEIR_TRACE_OFF_
#endif

#ifdef APP
#define TRACE_APP(f, m...) WEIR_TRACE_ERR_(f, ##m)
#else
#define TRACE_APP(f, m...) WEIR_TRACE_OFF_
#endif

#ifdef DBGFUNC
#define TRACE_FUNC(f, m...) WEIR_TRACE_ERR_(f, ##m)
#else
#define TRACE_FUNC(f, m...) WEIR_TRACE_OFF_
#endif

#endif /* WEIR_COMPAT_DEBUG_H */
