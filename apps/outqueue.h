/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outqueue.h: between those who have something to write and a reader who may be slow, or gone: a bounded
 * queue of records and a thread that writes them. Nobody who puts a record in ever waits for the reader;
 * what has no room is dropped, as a whole, and counted.
 *
 * LIFE  outqueue_init, outqueue_start, outqueue_put from any thread; when one thread is left that puts,
 * outqueue_ending; outqueue_finish. Records may be put before the thread is started. SIGPIPE is the queue's
 * from outqueue_init on: it ends nothing.
 */
#ifndef WEIR_APPS_OUTQUEUE_H
#define WEIR_APPS_OUTQUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTQUEUE_BYTES   (16U << 20) /* what waits at most; more only if it is a single record */
#define OUTQUEUE_IDLE_MS 1000        /* at the end: without progress for so long, nobody reads */
#define OUTQUEUE_END_MS  10000       /* at the end: the longest wait of all */

struct outqueue_record;

struct outqueue {
    int fd;
    void (*gone)(void *arg, int code);
    void *arg;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;  /* there is something to write, or `stop` */
    pthread_cond_t wrote; /* progress, or `error` */
    struct outqueue_record *first, *last;
    size_t offset;        /* bytes of the first that are written */
    size_t bytes;         /* of memory, all records that wait */
    uint64_t n, dropped;  /* records that wait; that had no room, or no reader */
    uint64_t moves;       /* times that something was written */
    int error;            /* errno of a write: nothing is written any more */
    bool ending, stop;    /* outqueue_ending; the thread is to end */
    bool stuck;           /* since `ending` there was no progress for too long */
    uint64_t deadline_ns; /* of the end */
    bool started, ended;  /* the thread */
    pthread_t thread;
};

void outqueue_init(struct outqueue *q, int fd);

/*
 * outqueue_start: from now on it is written. gone: called once, by the thread, when a write has failed; it
 * must not wait for this queue. => 0, or an error number.
 */
int outqueue_start(struct outqueue *q, void (*gone)(void *arg, int code), void *arg);

/* outqueue_put: one record, copied. Never waits before outqueue_ending. */
void outqueue_put(struct outqueue *q, const char *text, size_t len);

/* outqueue_ending: the caller is the last who puts; it may wait for room as long as somebody reads. */
void outqueue_ending(struct outqueue *q);

/*
 * outqueue_finish: wait as long as somebody reads, then end the thread and free what is left.
 * *error: of the write that failed, or 0. => records that were not written.
 */
uint64_t outqueue_finish(struct outqueue *q, int *error);

#endif
