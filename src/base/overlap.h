/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overlap.h: whose copy of a byte counts when two differ, by the host that receives them: for TCP
 * segments (stream/) and for IP fragments (wire/). Values of the public MOS_OVERLAP_POLICY_.
 */
#ifndef WEIR_BASE_OVERLAP_H
#define WEIR_BASE_OVERLAP_H

#include <stdbool.h>

enum overlap_policy {
    OVERLAP_FIRST,
    OVERLAP_LAST,
    OVERLAP_BSD,
    OVERLAP_BSD_RIGHT,
    OVERLAP_LINUX,
    OVERLAP_OLD_LINUX,
    OVERLAP_WINDOWS,
    OVERLAP_SOLARIS,
    OVERLAP_CNT
};

/* The policies' names in the configuration, in the order of the enum, and NULL. */
#define OVERLAP_NAMES                                                                              \
    {                                                                                              \
        "first", "last", "bsd", "bsd-right", "linux", "old-linux", "windows", "solaris", NULL      \
    }

/* overlap_by_host: does the policy follow a host's queue (and not just the order of arrival)? */
static inline bool overlap_by_host(enum overlap_policy p)
{
    return p > OVERLAP_LAST;
}

#endif
