/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * billout.h: what `weir abacus` shows: subscribers, evidence, totals; as tables or as JSON.
 */
#ifndef WEIR_APPS_BILLOUT_H
#define WEIR_APPS_BILLOUT_H

#include "apprun.h"
#include "subscribers.h"

struct bill_report {
    const struct subscribers *subs;
    const struct prefixes *list; /* the names of numbered subscribers */
    uint64_t frames;             /* read, what carries no IP included */
    struct pair tcp, other;      /* IP packets */
    uint64_t given_up; /* connections forgotten early, SYNs not followed, for want of memory */
    uint64_t now_ns;
    bool final; /* nothing comes after it */
};

/*
 * bill_report: on a terminal a report that is not the last takes the place of the one before; in a
 * pipe it follows it. => false: no memory.
 */
bool bill_report(struct out *out, const struct appopt *opt, const struct bill_report *r);

#endif
