// SPDX-License-Identifier: BSD-2-Clause
/*
 * errtext.c: one line of text per thread. Texts are made in a second buffer first, because callers
 * like to quote the text that is already there: err_set(e, "%s: %s", name, err_text()).
 */
#include "base/errtext.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 512

static _Thread_local char text[TEXT_MAX];

static void set_text(const char *fmt, va_list ap)
{
    char fresh[TEXT_MAX];

    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the analyzer looks at us alone */
    if (vsnprintf(fresh, sizeof(fresh), fmt, ap) < 0)
        fresh[0] = '\0';
    memcpy(text, fresh, strlen(fresh) + 1);
}

int err_set(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_text(fmt, ap);
    va_end(ap);
    errno = code;
    return -1;
}

void *err_null(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set_text(fmt, ap);
    va_end(ap);
    errno = code;
    return NULL;
}

int err_prefix(const char *fmt, ...)
{
    char old[TEXT_MAX];
    int code = errno;
    size_t n;
    va_list ap;

    memcpy(old, text, strlen(text) + 1);
    va_start(ap, fmt);
    set_text(fmt, ap);
    va_end(ap);
    n = strlen(text);
    snprintf(text + n, sizeof(text) - n, "%s", old);
    errno = code;
    return -1;
}

const char *err_text(void)
{
    return text;
}

void err_clear(void)
{
    text[0] = '\0';
}
