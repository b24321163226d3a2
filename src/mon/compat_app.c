// SPDX-License-Identifier: BSD-2-Clause
/*
 * compat_app.c: "applib.h" and EventToString: a reader of "key = value" files and names of events.
 */
#include <compat/applib.h>
#include <mos_api.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/errtext.h"

/* ---- Configuration files -----------------------------------------------------------------------
 */

/* trim: cut blanks off both ends, in place. => the first character that stays. */
static char *trim(char *s)
{
    size_t len;

    while (isspace((unsigned char)*s))
        s++;
    len = strlen(s);
    while (len > 0 && isspace((unsigned char)s[len - 1]))
        len--;
    s[len] = '\0';
    return s;
}

static struct conf_var *find_var(struct conf_var *var, int size, const char *name)
{
    for (int i = 0; i < size; i++)
        if (var[i].name != NULL && strcmp(var[i].name, name) == 0)
            return &var[i];
    return NULL;
}

/* take_line: "key = value" or "key value" without comment. => 0, or -1 if the value is too long. */
static int take_line(char *line, struct conf_var *var, int size)
{
    char *key = trim(line);
    char *value = key + strcspn(key, "= \t");
    struct conf_var *v;

    if (*value == '\0')
        return 0;
    if (*value != '=') {
        *value++ = '\0';
        value += strspn(value, " \t");
    }
    if (*value == '=')
        *value++ = '\0';
    value = trim(value);
    v = find_var(var, size, key);
    if (v == NULL)
        return 0;
    if (strlen(value) > CONF_VALUE_LEN)
        return err_set(E2BIG, "%s: a value of more than %d characters", key, CONF_VALUE_LEN);
    memcpy(v->value, value, strlen(value) + 1);
    return 0;
}

int LoadConfig(char *fname, struct conf_var *var, int size)
{
    char line[MAX_LINE_LEN + 2]; /* newline and '\0' */
    int status = 0;
    FILE *in;

    if (fname == NULL || var == NULL || size < 0)
        return err_set(EINVAL, "LoadConfig: an argument is missing");
    in = fopen(fname, "re");
    if (in == NULL)
        return err_set(errno, "%s: %s", fname, strerror(errno));
    while (status == 0 && fgets(line, sizeof(line), in) != NULL) {
        if (strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n') {
            status = err_set(E2BIG, "a line of more than %d characters", MAX_LINE_LEN);
            break;
        }
        line[strcspn(line, "#")] = '\0';
        status = take_line(line, var, size);
    }
    if (status == 0 && ferror(in))
        status = err_set(EIO, "it cannot be read");
    if (status != 0)
        err_prefix("%s: ", fname);
    fclose(in);
    return status;
}

/* ---- Names of events ---------------------------------------------------------------------------
 */

struct event_name {
    uint64_t value;
    const char *name;
};

#define NAME(event)                                                                                \
    {                                                                                              \
        event, #event                                                                              \
    }

static const struct event_name epoll_names[] = {
    NAME(MOS_EPOLLIN),  NAME(MOS_EPOLLPRI),   NAME(MOS_EPOLLOUT),     NAME(MOS_EPOLLERR),
    NAME(MOS_EPOLLHUP), NAME(MOS_EPOLLRDHUP), NAME(MOS_EPOLLONESHOT), NAME(MOS_EPOLLET),
};

static const struct event_name built_in_names[] = {
    NAME(MOS_NULL_EVENT),    NAME(MOS_ON_PKT_IN),     NAME(MOS_ON_PKT_OUT),
    NAME(MOS_ON_CONN_START), NAME(MOS_ON_CONN_SETUP), NAME(MOS_ON_CONN_NEW_DATA),
    NAME(MOS_ON_ERROR),      NAME(MOS_ON_TIMEOUT),    NAME(MOS_ON_TCP_STATE_CHANGE),
    NAME(MOS_ON_ORPHAN),     NAME(MOS_ON_REXMIT),     NAME(MOS_ON_CONN_END),
    NAME(MOS_ON_GAP),        NAME(MOS_ON_OVERLAP),    NAME(MOS_ON_DEBUG_MESSAGE),
    NAME(MOS_ON_EVICT),
};

/* name_of: the API returns char * as it always did; the strings are constant all the same. */
static char *name_of(const struct event_name *names, size_t n, uint64_t value, const char *none)
{
    const char *name = none;

    for (size_t i = 0; i < n; i++)
        if (names[i].value == value)
            name = names[i].name;
    return (char *)(uintptr_t)name;
}

char *EventToString(uint32_t event)
{
    return name_of(epoll_names, sizeof(epoll_names) / sizeof(epoll_names[0]), event, "(unknown)");
}

char *strevent(uint64_t event)
{
    return event > UINT32_MAX ? EventToString(0) : EventToString((uint32_t)event);
}

char *strcbevent(uint64_t event)
{
    const char *none = event >= 0x1000 && event <= UINT32_MAX ? "UDE" : "(unknown)";

    return name_of(built_in_names, sizeof(built_in_names) / sizeof(built_in_names[0]), event, none);
}
