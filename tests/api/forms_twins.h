/* SPDX-License-Identifier: BSD-2-Clause */
/* forms_twins.h: stand-ins for the functions with older forms; they note which was called, and how. */
#ifndef WEIR_FORMS_TWINS_H
#define WEIR_FORMS_TWINS_H

#include <mos_api.h>

#ifdef __cplusplus
extern "C" {
#endif

struct twin_call {
    const char *name; /* function */
    int arity;        /* of the function handed in: 4 or 5; 0 if it was NULL */
    const void *last; /* data pointer handed in: filter_arg, timeout or addrlen */
    int side;         /* mtcp_getpeername's */
};
extern struct twin_call twin_called;

#ifdef __cplusplus
}
#endif
#endif
