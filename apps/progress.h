/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * progress.h: a bar on standard error while a large capture is read; nothing in a pipe.
 *
 * => progress_hide may be called by any context, with the lock of the output held; the rest belongs
 *    to the first context and its creator.
 */
#ifndef WEIR_APPS_PROGRESS_H
#define WEIR_APPS_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <mos_api.h>

#include "appstat.h"

struct appopt;

struct progress {
    bool on;
    int listener;          /* where the counters are asked */
    uint64_t begun, drawn; /* wall time in ns */
    pthread_mutex_t lock;  /* of shown */
    bool shown;            /* the bar is on the screen now */
    struct appstat stats;
};

/* progress_start: draw from now on, if anybody sees it and it takes long enough. */
void progress_start(struct progress *p, const struct appopt *opt, mctx_t mctx, int listener);
/* progress_hide: take the bar off the screen before something else is written there. */
void progress_hide(struct progress *p);
void progress_stop(struct progress *p);

#endif
