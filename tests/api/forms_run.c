// SPDX-License-Identifier: BSD-2-Clause
/*
 * forms_run.c: each calling form reaches the twin it is meant to, with its arguments in place. Linked
 * with forms_twins.c and not with the library. Compiled as C and as C++. Exit status 0: all did.
 */
#include "forms_twins.h"

#include <stdio.h>
#include <string.h>

static int calls, wrong;

static void cb5(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    (void)mctx, (void)sock, (void)side, (void)events, (void)arg;
    calls++;
}

static void cb4(mctx_t mctx, int sock, int side, uint64_t events)
{
    (void)mctx, (void)sock, (void)side, (void)events;
    calls++;
}

static bool f5(mctx_t mctx, int sock, int side, uint64_t events, filter_arg_t *arg)
{
    (void)mctx, (void)sock, (void)side, (void)arg;
    calls++;
    return events == MOS_ON_GAP;
}

static bool f4(mctx_t mctx, int sock, int side, uint64_t events)
{
    (void)mctx, (void)sock, (void)side;
    calls++;
    return events == MOS_ON_GAP;
}

static void want(int line, const char *name, int arity, const void *last, int side)
{
    if (strcmp(twin_called.name, name) == 0 && twin_called.arity == arity &&
        twin_called.last == last && twin_called.side == side)
        return;
    printf("line %d: %s, function of %d arguments, side %d; want %s, %d, %d\n", line,
           twin_called.name, twin_called.arity, twin_called.side, name, arity, side);
    wrong++;
}
#define WANT(name, arity, last, side) want(__LINE__, name, arity, last, side)

static void check_callbacks(void)
{
    int (*plain)(mctx_t, int, event_t, int, callback_t) = &mtcp_register_callback;
    int evaluated = 0;

    mtcp_register_callback(NULL, 0, 0, 0, cb5);
    WANT("mtcp_register_callback", 5, NULL, 0);
    mtcp_register_callback(NULL, 0, 0, 0, cb4);
    WANT("mtcp_register_callback4", 4, NULL, 0);
    mtcp_register_callback(NULL, evaluated++, 0, 0, &cb4);
    WANT("mtcp_register_callback4", 4, NULL, 0);
    mtcp_register_callback(NULL, 0, 0, 0, (evaluated++, cb4));
    WANT("mtcp_register_callback4", 4, NULL, 0);
    mtcp_register_callback(NULL, 0, 0, 0, NULL);
    WANT("mtcp_register_callback", 0, NULL, 0);
    mtcp_register_callback(NULL, 0, 0, 0, 0);
    WANT("mtcp_register_callback", 0, NULL, 0);
    mtcp_register_callback(NULL, 0, 0, 0, (callback4_t)NULL);
    WANT("mtcp_register_callback4", 0, NULL, 0);
    plain(NULL, 0, 0, 0, cb5);
    WANT("mtcp_register_callback", 5, NULL, 0);
    if (evaluated != 2) {
        printf("an argument was evaluated %d times, not once\n", evaluated - 1);
        wrong++;
    }
}

static void check_timers(void)
{
    struct timeval tv = {1, 7};

    mtcp_settimer(NULL, 0, &tv, cb5);
    WANT("mtcp_settimer", 5, &tv, 0);
    mtcp_settimer(NULL, 0, &tv, cb4);
    WANT("mtcp_settimer4", 4, &tv, 0);
    mtcp_settimer(NULL, 0, &tv, NULL);
    WANT("mtcp_settimer", 0, &tv, 0);
#ifndef __cplusplus
    if (mtcp_settimer(NULL, 0, &(struct timeval){1, 9}, cb4) != 9 ||
        mtcp_settimer(NULL, 0, &(struct timeval){1, 9}, cb5) != 9) {
        printf("the compound literal did not arrive\n");
        wrong++;
    }
#endif
}

static void check_events(void)
{
    filter_arg_t arg = {NULL, 0};
    event_t nested;

    mtcp_define_event(MOS_ON_GAP, f5, &arg);
    WANT("mtcp_define_event", 5, &arg, 0);
    mtcp_define_event(MOS_ON_GAP, f5);
    WANT("mtcp_define_event", 5, NULL, 0);
    mtcp_define_event(MOS_ON_GAP, f4, &arg);
    WANT("mtcp_define_event4", 4, &arg, 0);
    mtcp_define_event(MOS_ON_GAP, f4, NULL);
    WANT("mtcp_define_event4", 4, NULL, 0);
    mtcp_define_event(MOS_ON_GAP, NULL, NULL);
    WANT("mtcp_define_event", 0, NULL, 0);
    if (mtcp_define_event(MOS_ON_GAP, f4) != 0x1000 || mtcp_define_event(MOS_ON_EVICT, f4) != 0) {
        printf("the event did not arrive\n");
        wrong++;
    }
#ifdef __cplusplus
    WANT("mtcp_define_event2", 4, NULL, 0);
#else
    WANT("mtcp_define_event4", 4, NULL, 0);
#endif
    nested = mtcp_define_event(mtcp_define_event(MOS_ON_GAP, f4), f5, &arg);
    WANT("mtcp_define_event", 5, &arg, 0);
    wrong += nested != MOS_NULL_EVENT; /* f5 was asked about 0x1000 */
}

static void check_addresses(void)
{
    struct sockaddr_in addr[2];
    socklen_t len = sizeof(addr);

    mtcp_getpeername(NULL, 0, (struct sockaddr *)addr, &len, MOS_SIDE_BOTH);
    WANT("mtcp_getpeername", 0, &len, MOS_SIDE_BOTH);
    mtcp_getpeername(NULL, 0, (struct sockaddr *)addr, &len);
    WANT("mtcp_getpeername4", 0, &len, -1);
    (mtcp_getpeername)(NULL, 0, (struct sockaddr *)addr, &len, MOS_SIDE_CLI);
    WANT("mtcp_getpeername", 0, &len, MOS_SIDE_CLI);
}

/* Functions called in all; C has two more, with compound literals. */
#define WITHOUT_LITERALS 15

int main(void)
{
    check_callbacks();
    check_timers();
    check_events();
    check_addresses();
#ifdef __cplusplus
    wrong += calls != WITHOUT_LITERALS;
#else
    wrong += calls != WITHOUT_LITERALS + 2;
#endif
    printf("%d calls, %d wrong\n", calls, wrong);
    return wrong != 0;
}
