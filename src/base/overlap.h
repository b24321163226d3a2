/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overlap.h: whose copy of a byte counts when two differ, by the host that receives them: for TCP
 * segments (stream/) and for IP fragments (wire/). Values of the public MOS_OVERLAP_POLICY_.
 */
#ifndef WEIR_BASE_OVERLAP_H
#define WEIR_BASE_OVERLAP_H

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

#endif
