// SPDX-License-Identifier: BSD-2-Clause
/*
 * progress.c: a timer asks the library how far it has read, at most ten times a second of our time.
 * Timers run in packet time, which may stand still (files in a row that were recorded at once), so
 * this one waits for nothing: it comes once an epoch.
 */
#include "progress.h"
#include "apprun.h"
#include "tableout.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LARGE_FILE (32 * 1048576L)
#define TIMER_ID   1
#define DRAW_NS    UINT64_C(100000000)
#define BAR_CELLS  30

static uint64_t wall_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool is_large(const struct appopt *opt)
{
    off_t size = 0;
    struct stat sb;

    for (int i = 0; i < opt->nfiles; i++)
        if (stat(opt->file[i], &sb) == 0 && S_ISREG(sb.st_mode))
            size += sb.st_size;
    return size >= LARGE_FILE;
}

static void draw(struct progress *p, uint64_t now, uint64_t done, uint64_t all)
{
    double part = done < all ? (double)done / (double)all : 1;
    double spent = (double)(now - p->begun) / 1e9;
    int cells = (int)(part * BAR_CELLS);
    char bar[BAR_CELLS + 1], a[SIZE_TEXT], b[SIZE_TEXT];

    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', (size_t)cells);
    bar[BAR_CELLS] = '\0';
    pthread_mutex_lock(&p->lock);
    fprintf(stderr, "\r\033[K%3d%% [%s] %s of %s, %.0f s left", (int)(part * 100), bar,
            size_text(done, a), size_text(all, b), part > 0 ? spent / part - spent : 0);
    p->shown = true;
    pthread_mutex_unlock(&p->lock);
}

/* => false: no memory. */
static bool look(struct progress *p, mctx_t mctx)
{
    uint64_t now = wall_ns(), all;

    if (now - p->drawn < DRAW_NS)
        return true;
    p->drawn = now;
    if (!appstat_read(&p->stats, mctx, p->listener))
        return false;
    all = appstat_value(&p->stats, "input_size_now");
    if (all > 0)
        draw(p, now, appstat_value(&p->stats, "input_position_now"), all);
    return true;
}

static void on_timer(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
    struct progress *p = &app_ctx_of(mctx)->app->progress;
    struct timeval tv = {0};

    if (look(p, mctx))
        mtcp_settimer(mctx, id, &tv, on_timer);
}

void progress_start(struct progress *p, const struct appopt *opt, mctx_t mctx, int listener)
{
    struct timeval tv = {0};

    if (!isatty(STDERR_FILENO) || !is_large(opt))
        return;
    pthread_mutex_init(&p->lock, NULL);
    p->listener = listener;
    p->begun = p->drawn = wall_ns();
    p->on = mtcp_settimer(mctx, TIMER_ID, &tv, on_timer) == 0;
    if (!p->on)
        pthread_mutex_destroy(&p->lock);
}

void progress_hide(struct progress *p)
{
    if (!p->on)
        return;
    pthread_mutex_lock(&p->lock);
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
    pthread_mutex_unlock(&p->lock);
}

void progress_stop(struct progress *p)
{
    if (!p->on)
        return;
    progress_hide(p);
    pthread_mutex_destroy(&p->lock);
    appstat_free(&p->stats);
    *p = (struct progress){0};
}
