/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mos_forms.h - the older calling forms. Included by <mos_api.h>; do not include it yourself.
 *
 * mtcp_register_callback, mtcp_define_event and mtcp_settimer take functions with and without the
 * filter_arg_t; mtcp_define_event and mtcp_getpeername may be called without their last argument.
 *
 * In C a macro of the same name picks the exported twin by the function's type (_Generic) or by the
 * number of arguments; in C++ overloads do. No function is ever called, or cast, as what it is not,
 * and NULL or 0 for a function means the released form. The plain function is still there: take its
 * address, or write (mtcp_settimer)(...). To be rid of the macros, as in a file that defines these
 * functions, #define MOS_NO_OLDER_FORMS before the #include.                   Source: contract 2
 */
#ifndef MOS_FORMS_H
#define MOS_FORMS_H

#include <mos_api.h>

#ifdef __cplusplus

extern "C++" {

/* M is deduced as mctx_t; being templates these never take part for NULL, 0 or nullptr. */
template <class M>
inline int mtcp_register_callback(mctx_t mctx, int sock, event_t event, int hook,
                                  void (*cb)(M, int, int, event_t))
{
    return mtcp_register_callback4(mctx, sock, event, hook, cb);
}

template <class M>
inline int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout,
                         void (*cb)(M, int, int, event_t))
{
    return mtcp_settimer4(mctx, id, timeout, cb);
}

template <class M>
inline event_t mtcp_define_event(event_t event, bool (*filter)(M, int, int, event_t),
                                 struct filter_arg *arg)
{
    return mtcp_define_event4(event, filter, arg);
}

template <class M>
inline event_t mtcp_define_event(event_t event, bool (*filter)(M, int, int, event_t))
{
    return mtcp_define_event2(event, filter);
}

inline event_t mtcp_define_event(event_t event, filter_t filter)
{
    return mtcp_define_event(event, filter, static_cast<struct filter_arg *>(0));
}

inline int mtcp_getpeername(mctx_t mctx, int sock, struct sockaddr *addr, socklen_t *addrlen)
{
    return mtcp_getpeername4(mctx, sock, addr, addrlen);
}

} /* extern "C++" */

#else

/* The sixth argument: with N arguments, followed by names for 5, 4, 3, 2 and 1, the name for N. */
#define MOS_PICK_(a, b, c, d, e, name, ...) name

/* `twin` if func is without filter_arg_t, else `released`. __extension__: also in C99 -pedantic. */
#define MOS_TWIN_(func, type, twin, released)                                                      \
    __extension__ _Generic((func), type : twin, default : released)

#define mtcp_register_callback(...) MOS_REGISTER_(__VA_ARGS__)
#define MOS_REGISTER_(mctx, sock, event, hook, cb)                                                 \
    (MOS_TWIN_(cb, callback4_t, mtcp_register_callback4,                                           \
               mtcp_register_callback)((mctx), (sock), (event), (hook), (cb)))

/* A compound literal {s, us} for the timeout arrives as two arguments: hence the form with five. */
#define mtcp_settimer(...)                                                                         \
    MOS_PICK_(__VA_ARGS__, MOS_TIMER5_, MOS_TIMER4_, mtcp_settimer, mtcp_settimer, mtcp_settimer,  \
              0)                                                                                   \
    (__VA_ARGS__)
#define MOS_TIMER4_(mctx, id, timeout, cb)                                                         \
    (MOS_TWIN_(cb, callback4_t, mtcp_settimer4, mtcp_settimer)((mctx), (id), (timeout), (cb)))
#define MOS_TIMER5_(mctx, id, tv1, tv2, cb)                                                        \
    (MOS_TWIN_(cb, callback4_t, mtcp_settimer4, mtcp_settimer)((mctx), (id), tv1, tv2, (cb)))

/* The same holds for {arg, len}: all that follows the filter is the argument. */
#define mtcp_define_event(...)                                                                     \
    MOS_PICK_(__VA_ARGS__, MOS_DEFINE3_, MOS_DEFINE3_, MOS_DEFINE3_, MOS_DEFINE2_,                 \
              mtcp_define_event, 0)                                                                \
    (__VA_ARGS__)
#define MOS_DEFINE2_(event, filter) MOS_DEFINE3_(event, filter, NULL)
#define MOS_DEFINE3_(event, filter, ...)                                                           \
    (MOS_TWIN_(filter, filter4_t, mtcp_define_event4, mtcp_define_event)((event), (filter),        \
                                                                         __VA_ARGS__))

#define mtcp_getpeername(...)                                                                      \
    MOS_PICK_(__VA_ARGS__, mtcp_getpeername, mtcp_getpeername4, mtcp_getpeername,                  \
              mtcp_getpeername, mtcp_getpeername, 0)                                               \
    (__VA_ARGS__)

#endif
#endif /* MOS_FORMS_H */
