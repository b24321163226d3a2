// SPDX-License-Identifier: BSD-2-Clause
/* complain.c: a line at once, or none. */
#include "complain.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static int wait_ms = COMPLAIN_FOREVER;

void complain_wait(int ms)
{
    __atomic_store_n(&wait_ms, ms, __ATOMIC_RELAXED);
}

/* say_soon: one line, if there is room for it within that time: a pipe has it for all of a short one. */
static void say_soon(int ms, const char *fmt, va_list ap)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    char line[LINE_MAX_BYTES] = "weir: ";
    size_t len = strlen(line);
    int n;

    vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
    len = strlen(line);
    line[len++] = '\n';
    while ((n = poll(&room, 1, ms)) < 0 && errno == EINTR)
        ;
    if (n == 1 && room.revents & POLLOUT && write(STDERR_FILENO, line, len) < 0)
        return; /* nobody is there to be told that */
}

int complain(int status, const char *fmt, ...)
{
    int ms = __atomic_load_n(&wait_ms, __ATOMIC_RELAXED);
    va_list ap;

    va_start(ap, fmt);
    if (ms != COMPLAIN_FOREVER)
        say_soon(ms, fmt, ap);
    else {
        fflush(stdout);
        fputs("weir: ", stderr);
        vfprintf(stderr, fmt, ap);
        fputc('\n', stderr);
    }
    va_end(ap);
    return status;
}
