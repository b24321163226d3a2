// SPDX-License-Identifier: BSD-2-Clause
/*
 * outqueue.c: the thread alone takes records out, and only when they are written: what is in the list when
 * all is over was not. The lock is not held while it writes. It writes little at a time, so that a pipe
 * takes all of it or nothing. A signal gets it out of a write, however long the reader has been asleep: SIGPIPE,
 * whose own news a write brings anyway.
 */
#include "outqueue.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define CHUNK    4096 /* PIPE_BUF */
#define PARTS    64
#define AGAIN_NS UINT64_C(10000000)

struct outqueue_record {
    struct outqueue_record *next;
    size_t len;
    char text[];
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* size_of: what it takes of the queue. */
static size_t size_of(size_t len)
{
    return sizeof(struct outqueue_record) + len;
}

static void on_pipe(int sig)
{
}

void outqueue_init(struct outqueue *q, int fd)
{
    const struct sigaction sa = {.sa_handler = on_pipe}; /* no SA_RESTART */
    pthread_condattr_t attr;

    sigaction(SIGPIPE, &sa, NULL);
    *q = (struct outqueue){.fd = fd};
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->work, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->wrote, &attr);
    pthread_condattr_destroy(&attr);
}

/* ---- the thread ---- */

/* gather: the next bytes to be written. => parts. */
static int gather(const struct outqueue *q, struct iovec *part)
{
    size_t room = CHUNK, from = q->offset;
    int n = 0;

    for (struct outqueue_record *r = q->first; r && room > 0 && n < PARTS; r = r->next) {
        size_t len = r->len - from < room ? r->len - from : room;

        part[n++] = (struct iovec){r->text + from, len};
        room -= len;
        from = 0;
    }
    return n;
}

/* take_out: so many bytes are written. */
static void take_out(struct outqueue *q, size_t len)
{
    len += q->offset;
    while (q->first && len >= q->first->len) {
        struct outqueue_record *r = q->first;

        len -= r->len;
        q->bytes -= size_of(r->len);
        q->n--;
        q->first = r->next;
        free(r);
    }
    q->offset = len;
    q->moves++;
}

/* write_parts: => bytes, or -1 with errno. */
static ssize_t write_parts(int fd, const struct iovec *part, int n)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    ssize_t len = writev(fd, part, n);

    if (len < 0 && errno == EAGAIN) { /* somebody else has made it so */
        poll(&room, 1, -1);
        errno = EAGAIN;
    }
    return len;
}

/* write_some: the lock is held, and given up meanwhile. */
static void write_some(struct outqueue *q)
{
    struct iovec part[PARTS];
    int code, n = gather(q, part);
    ssize_t len;

    pthread_mutex_unlock(&q->lock);
    len = write_parts(q->fd, part, n);
    code = errno;
    pthread_mutex_lock(&q->lock);
    if (len >= 0)
        take_out(q, (size_t)len);
    else if (code != EINTR && code != EAGAIN)
        q->error = code;
    pthread_cond_signal(&q->wrote);
}

static void *write_all(void *arg)
{
    struct outqueue *q = arg;
    int error;

    pthread_mutex_lock(&q->lock);
    while (!q->stop && !q->error) {
        if (q->first)
            write_some(q);
        else
            pthread_cond_wait(&q->work, &q->lock);
    }
    error = q->error;
    pthread_mutex_unlock(&q->lock);
    if (error)
        q->gone(q->arg, error);
    pthread_mutex_lock(&q->lock);
    q->ended = true;
    pthread_cond_signal(&q->wrote);
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

int outqueue_start(struct outqueue *q, void (*gone)(void *arg, int code), void *arg)
{
    sigset_t all, before;
    int code;

    q->gone = gone;
    q->arg = arg;
    sigfillset(&all);
    sigdelset(&all, SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for other threads */
    code = pthread_create(&q->thread, NULL, write_all, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    q->started = code == 0;
    return code;
}

/* ---- the others ---- */

static struct timespec time_of(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

/* wait_for_reader: until something more is written. The lock is held. => false: it is not. */
static bool wait_for_reader(struct outqueue *q)
{
    uint64_t moves = q->moves, until = now_ns() + OUTQUEUE_IDLE_MS * UINT64_C(1000000);
    struct timespec ts = time_of(until < q->deadline_ns ? until : q->deadline_ns);
    int code = 0;

    while (code == 0 && q->moves == moves && q->started && !q->stuck && !q->error)
        code = pthread_cond_timedwait(&q->wrote, &q->lock, &ts);
    if (q->moves == moves || code)
        q->stuck = true;
    return !q->stuck && !q->error;
}

static bool has_room(const struct outqueue *q, size_t len)
{
    return q->n == 0 || q->bytes + size_of(len) <= OUTQUEUE_BYTES;
}

void outqueue_put(struct outqueue *q, const char *text, size_t len)
{
    struct outqueue_record *r = len > 0 ? malloc(size_of(len)) : NULL;
    bool room;

    if (len == 0)
        return;
    if (r) {
        r->next = NULL;
        r->len = len;
        memcpy(r->text, text, len);
    }
    pthread_mutex_lock(&q->lock);
    while (q->ending && !has_room(q, len) && wait_for_reader(q))
        ;
    room = r && !q->error && has_room(q, len);
    if (room) {
        *(q->n ? &q->last->next : &q->first) = r;
        q->last = r;
        q->bytes += size_of(len);
        q->n++;
        pthread_cond_signal(&q->work);
    } else
        q->dropped++;
    pthread_mutex_unlock(&q->lock);
    if (!room)
        free(r);
}

void outqueue_ending(struct outqueue *q)
{
    pthread_mutex_lock(&q->lock);
    q->ending = true;
    q->deadline_ns = now_ns() + OUTQUEUE_END_MS * UINT64_C(1000000);
    pthread_mutex_unlock(&q->lock);
}

/* end_thread: the signal comes again, since it may have come right before the write. The lock is held. */
static void end_thread(struct outqueue *q)
{
    q->stop = true;
    pthread_cond_signal(&q->work);
    while (q->started && !q->ended) {
        struct timespec ts = time_of(now_ns() + AGAIN_NS);

        if (q->n > 0)
            pthread_kill(q->thread, SIGPIPE);
        pthread_cond_timedwait(&q->wrote, &q->lock, &ts);
    }
}

uint64_t outqueue_finish(struct outqueue *q, int *error)
{
    uint64_t lost;

    pthread_mutex_lock(&q->lock);
    while (q->n > 0 && wait_for_reader(q))
        ;
    end_thread(q);
    pthread_mutex_unlock(&q->lock);
    if (q->started)
        pthread_join(q->thread, NULL);
    lost = q->dropped + q->n;
    *error = q->error;
    while (q->first) {
        struct outqueue_record *r = q->first;

        q->first = r->next;
        free(r);
    }
    pthread_cond_destroy(&q->work);
    pthread_cond_destroy(&q->wrote);
    pthread_mutex_destroy(&q->lock);
    return lost;
}
