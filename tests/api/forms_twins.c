// SPDX-License-Identifier: BSD-2-Clause
/* forms_twins.c: see the header. Each calls what it was given, through the type it was given as. */
#define MOS_NO_OLDER_FORMS
#include "forms_twins.h"

struct twin_call twin_called;

static void note(const char *name, int arity, const void *last, int side)
{
    twin_called.name = name;
    twin_called.arity = arity;
    twin_called.last = last;
    twin_called.side = side;
}

int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook, callback_t cb)
{
    filter_arg_t none = {NULL, 0};

    note("mtcp_register_callback", cb ? 5 : 0, NULL, 0);
    if (cb)
        cb(mctx, sock, hook, event, &none);
    return 0;
}

int mtcp_register_callback4(mctx_t mctx, int sock, event_t event, int hook, callback4_t cb)
{
    note("mtcp_register_callback4", cb ? 4 : 0, NULL, 0);
    if (cb)
        cb(mctx, sock, hook, event);
    return 0;
}

int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb)
{
    note("mtcp_settimer", cb ? 5 : 0, timeout, 0);
    if (cb)
        cb(mctx, id, 0, 0, NULL);
    return (int)timeout->tv_usec;
}

int mtcp_settimer4(mctx_t mctx, int id, struct timeval *timeout, callback4_t cb)
{
    note("mtcp_settimer4", cb ? 4 : 0, timeout, 0);
    if (cb)
        cb(mctx, id, 0, 0);
    return (int)timeout->tv_usec;
}

event_t mtcp_define_event(event_t event, filter_t filter, struct filter_arg *arg)
{
    filter_arg_t none = {NULL, 0};

    note("mtcp_define_event", filter ? 5 : 0, arg, 0);
    return filter && filter(NULL, 0, 0, event, arg ? arg : &none) ? 0x1000 : MOS_NULL_EVENT;
}

event_t mtcp_define_event2(event_t event, filter4_t filter)
{
    note("mtcp_define_event2", filter ? 4 : 0, NULL, 0);
    return filter && filter(NULL, 0, 0, event) ? 0x1000 : MOS_NULL_EVENT;
}

event_t mtcp_define_event4(event_t event, filter4_t filter, struct filter_arg *arg)
{
    note("mtcp_define_event4", filter ? 4 : 0, arg, 0);
    return filter && filter(NULL, 0, 0, event) ? 0x1000 : MOS_NULL_EVENT;
}

int mtcp_getpeername(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen, int side)
{
    (void)mctx, (void)sock, (void)addr;
    note("mtcp_getpeername", 0, addrlen, side);
    return 0;
}

int mtcp_getpeername4(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen)
{
    (void)mctx, (void)sock, (void)addr;
    note("mtcp_getpeername4", 0, addrlen, -1);
    return 0;
}
