/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * failing.h: the system's answer to the library is no. The test binary is linked with the library's
 * objects and --wrap for the allocator and pthread_create, so every call that the library (or the
 * test itself) makes comes through here; what shared libraries do among themselves does not.
 *
 * Nothing fails and nothing is counted unless armed. Calls are numbered from 1 on.
 */
#ifndef WEIR_TESTS_FAILING_H
#define WEIR_TESTS_FAILING_H

#include <stdint.h>

struct failing {
    uint64_t from, to; /* numbers of the calls that fail; from 0: none does */
    uint64_t calls;    /* made since it was armed */
    uint64_t failed;
};

extern struct failing fail_alloc, fail_thread;

/* fail_arm: count calls from now on, and let those with the numbers from .. to fail. */
void fail_arm(struct failing *f, uint64_t from, uint64_t to);
void fail_disarm(struct failing *f);

/* fail_live: blocks allocated and not freed, armed or not. */
int64_t fail_live(void);

#endif
