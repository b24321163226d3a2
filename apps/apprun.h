/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apprun.h: the way that every subcommand goes - configuration, contexts, listeners, join, exit
 * status - and what its callbacks find on the way.
 *
 * LIFE  app_run() makes one struct app on its stack. For each context it opens a listener and calls
 * hooks->setup; packets flow; callbacks come, each in the thread of its context; when all contexts
 * have ended hooks->end is called, in the thread of app_run again.
 *
 * THREADS  What belongs to one context (struct app_ctx, `data`) is used by its callbacks alone.
 * What they share (struct out, app_failed) has locks of its own.
 */
#ifndef WEIR_APPS_APPRUN_H
#define WEIR_APPS_APPRUN_H

#include <pthread.h>
#include <stdio.h>

#include <mos_api.h>

#include "appopt.h"
#include "outqueue.h"
#include "progress.h"

/*
 * Standard output, shared by all contexts and with the progress bar. With interfaces it is a queue: no packet
 * waits for a reader, and what nobody has read is lost, and counted.
 */
struct out {
    FILE *file;
    bool tty, colour;
    bool used; /* something was written */
    pthread_mutex_t lock;
    struct progress *progress;
    bool live;             /* it goes through `queue` */
    struct outqueue queue; /* until out_drain */
    int error;             /* errno of a write to it */
    uint64_t lost;         /* records: calls of out_write */
};

/* out_write: whole lines, never mixed with those of another context; of a queue, all of them or none. */
void out_write(struct out *out, const char *text, size_t len);

/* out_open: standard output; nobody else is using it. out_close: => the worse exit status. */
void out_open(struct out *out);
int out_close(struct out *out, int status);

struct app;

struct app_ctx {
    struct app *app;
    mctx_t mctx;
    int listener;
    void *data; /* the subcommand's own, per context */
};

struct app_hooks {
    uint64_t rmem;              /* bytes kept of what a side has not read yet */
    const char *const *proxies; /* addresses that the second interface answers for, or NULL */
    const char *conf;           /* more lines for the mos block of the configuration, or NULL */
    /* The input can be read: prepare. => an exit status. NULL: nothing to do. */
    int (*begin)(struct app *app);
    /* Register callbacks on c->listener. => 0; -1 with errno (mtcp_errstr has the words). */
    int (*setup)(struct app_ctx *c);
    /*
     * All contexts have ended: print what is left, free what `begin` and `setup` made. Also after a
     * complaint at the start: then app->ran is false, and there is nothing to print.
     */
    int (*end)(struct app *app);
};

struct app {
    const struct appopt *opt;
    const struct app_hooks *hooks;
    void *data; /* the subcommand's own */
    struct out out;
    struct progress progress;
    int broken;           /* errno of an input that broke; 0: it was read to its end */
    pthread_mutex_t lock; /* of status */
    int status;
    bool ran; /* all contexts were opened, and their callbacks registered */
    int nctx;
    struct app_ctx ctx[APP_MAX_CORES];
};

/* app_run: all of it. data goes to app->data. => the exit status. */
int app_run(const struct appopt *opt, const struct app_hooks *hooks, void *data);

/* app_ctx_of: the context of a callback. */
struct app_ctx *app_ctx_of(mctx_t mctx);

/*
 * app_failed: something could not be written: complain, once, and end with status 1. Any thread.
 */
void app_failed(struct app *app, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
