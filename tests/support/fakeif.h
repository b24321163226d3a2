/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fakeif.h: interfaces that exist in this process only, "fake:NAME": what a test puts in comes by the
 * queue that it says, what leaves can be taken. Each frame lies in memory of its own and is freed when
 * it goes back, so that whoever keeps a pointer is found.
 */
#ifndef WEIR_TESTS_FAKEIF_H
#define WEIR_TESTS_FAKEIF_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/errtext.h"
#include "io/io.h"

#define FAKE_IFS    4
#define FAKE_QUEUES 4
#define FAKE_FRAMES 4096

struct fake_frame {
    uint32_t len;
    uint8_t flags; /* enum pb_flags */
    uint64_t ts_ns;
    uint8_t data[2048];
};

struct fake_queue {
    struct fake_frame *in[FAKE_FRAMES];
    int put, got;
    bool over; /* no more will come: rx answers ENODATA behind the last */
    int bell;  /* what its device polls; 0: not open */
};

static struct fakeif {
    const char *name;
    struct fake_queue q[FAKE_QUEUES];
    struct fake_frame *out[FAKE_FRAMES];
    int sent, taken;
    int breaks; /* errno: rx fails */
} fake_if[FAKE_IFS];
static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

/* One handle. */
struct fake_dev {
    struct fakeif *f;
    struct fake_queue *q;
    struct fake_frame *held[IO_BURST];
    struct pktbuf pb[IO_BURST];
    uint8_t *room[IO_BURST];
    int nheld;
};

static inline struct fakeif *fake_find(const char *name)
{
    for (int i = 0; i < FAKE_IFS; i++) {
        if (fake_if[i].name == NULL)
            fake_if[i].name = name;
        if (strcmp(fake_if[i].name, name) == 0)
            return &fake_if[i];
    }
    abort();
}

static inline void fake_ring(struct fake_queue *q)
{
    uint64_t one = 1;

    if (q->bell > 0 && write(q->bell, &one, sizeof(one)) != sizeof(one))
        abort();
}

static inline uint64_t fake_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* fake_put: a frame comes by a queue of this interface, now. */
static inline void fake_put(struct fakeif *f, int queue, const struct pktbuf *pb)
{
    struct fake_queue *q = &f->q[queue];
    struct fake_frame *x = calloc(1, sizeof(*x));

    if (x == NULL || pb->len > sizeof(x->data))
        abort();
    x->len = pb->len;
    x->flags = pb->flags;
    x->ts_ns = pb->ts_ns ? pb->ts_ns : fake_now();
    memcpy(x->data, pb->data, pb->len);
    pthread_mutex_lock(&fake_lock);
    q->in[q->put++ % FAKE_FRAMES] = x;
    fake_ring(q);
    pthread_mutex_unlock(&fake_lock);
}

/* fake_over: nothing comes any more by any queue of any interface. */
static inline void fake_over(void)
{
    pthread_mutex_lock(&fake_lock);
    for (int i = 0; i < FAKE_IFS; i++)
        for (int k = 0; k < FAKE_QUEUES; k++) {
            fake_if[i].q[k].over = true;
            fake_ring(&fake_if[i].q[k]);
        }
    pthread_mutex_unlock(&fake_lock);
}

/* fake_break: rx of all its queues fails with this errno from now on. */
static inline void fake_break(struct fakeif *f, int code)
{
    pthread_mutex_lock(&fake_lock);
    f->breaks = code;
    for (int k = 0; k < FAKE_QUEUES; k++)
        fake_ring(&f->q[k]);
    pthread_mutex_unlock(&fake_lock);
}

/* fake_take: the oldest frame that has left by this interface, within `ms`. => the caller frees it; NULL: none. */
static inline struct fake_frame *fake_take(struct fakeif *f, int ms)
{
    struct timespec nap = {0, 1000000};
    struct fake_frame *x = NULL;

    for (; ms >= 0 && x == NULL; ms--) {
        pthread_mutex_lock(&fake_lock);
        if (f->taken < f->sent)
            x = f->out[f->taken++ % FAKE_FRAMES];
        pthread_mutex_unlock(&fake_lock);
        if (x == NULL && ms > 0)
            nanosleep(&nap, NULL);
    }
    return x;
}

/* fake_reset: all interfaces are as new. No device is open. */
static inline void fake_reset(void)
{
    for (int i = 0; i < FAKE_IFS; i++) {
        struct fakeif *f = &fake_if[i];

        for (int k = 0; k < FAKE_QUEUES; k++)
            for (struct fake_queue *q = &f->q[k]; q->got < q->put;)
                free(q->in[q->got++ % FAKE_FRAMES]);
        while (f->taken < f->sent)
            free(f->out[f->taken++ % FAKE_FRAMES]);
        memset(f, 0, sizeof(*f));
    }
}

/* ---- the back end ---- */

static inline int fake_open(struct io_dev *dev, const char *rest)
{
    struct fake_dev *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    if (strcmp(rest, "none") == 0) {
        free(d);
        return err_set(ENODEV, "%s: there is no such interface", dev->name);
    }
    for (const char *const *n = (const char *const[]){"a", "b", "c", "d", NULL}; *n; n++)
        if (strcmp(rest, *n) == 0)
            d->f = fake_find(*n);
    d->q = &d->f->q[dev->args.queue];
    d->q->bell = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    dev->priv = d;
    dev->caps = IO_LIVE | IO_OUTPUT;
    dev->linktype = 1;
    return 0;
}

static inline void fake_hand_out(struct io_dev *dev, struct fake_dev *d, struct fake_frame *x,
                                 int i)
{
    uint8_t *room = malloc(IO_HEADROOM + 2 + x->len + IO_TAILROOM);

    if (room == NULL)
        abort();
    memcpy(room + IO_HEADROOM + 2, x->data, x->len);
    d->held[i] = x;
    d->room[i] = room;
    d->pb[i] = (struct pktbuf){.data = room + IO_HEADROOM + 2,
                               .len = x->len,
                               .wire_len = x->len,
                               .cap = x->len + IO_TAILROOM,
                               .headroom = IO_HEADROOM,
                               .refs = 1,
                               .linktype = 1,
                               .flags = x->flags,
                               .in_if = dev->ifidx,
                               .ts_ns = x->ts_ns,
                               .frame = ++dev->st.rx_frames};
}

static inline int fake_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct fake_dev *d = dev->priv;
    uint64_t rung;
    int k = 0, rc = 0;

    pthread_mutex_lock(&fake_lock);
    while (read(d->q->bell, &rung, sizeof(rung)) == sizeof(rung))
        ;
    for (; k < n && d->q->got < d->q->put; k++) {
        fake_hand_out(dev, d, d->q->in[d->q->got++ % FAKE_FRAMES], k);
        pb[k] = &d->pb[k];
    }
    if (k == 0 && d->f->breaks)
        rc = err_set(d->f->breaks, "%s: the interface is gone", dev->name);
    else if (k == 0 && d->q->over)
        rc = err_set(ENODATA, "%s: no more frames", dev->name);
    pthread_mutex_unlock(&fake_lock);
    d->nheld = k;
    return rc < 0 ? rc : k;
}

static inline void fake_rx_done(struct io_dev *dev)
{
    struct fake_dev *d = dev->priv;

    for (; d->nheld > 0; d->nheld--) {
        free(d->held[d->nheld - 1]);
        free(d->room[d->nheld - 1]);
    }
}

static inline int fake_tx(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    struct fake_dev *d = dev->priv;

    pthread_mutex_lock(&fake_lock);
    for (int i = 0; i < n; i++) {
        struct fake_frame *x = calloc(1, sizeof(*x));

        if (x == NULL || pb[i]->len > sizeof(x->data))
            abort();
        x->len = pb[i]->len;
        x->flags = pb[i]->flags;
        memcpy(x->data, pb[i]->data, x->len);
        d->f->out[d->f->sent++ % FAKE_FRAMES] = x;
        dev->st.tx_frames++;
    }
    pthread_mutex_unlock(&fake_lock);
    return n;
}

static inline int fake_fds(struct io_dev *dev, struct pollfd *fd)
{
    *fd = (struct pollfd){.fd = ((struct fake_dev *)dev->priv)->q->bell, .events = POLLIN};
    return 1;
}

static inline void fake_close(struct io_dev *dev)
{
    struct fake_dev *d = dev->priv;

    pthread_mutex_lock(&fake_lock);
    close(d->q->bell);
    d->q->bell = 0;
    pthread_mutex_unlock(&fake_lock);
    free(d);
}

static const struct io_ops fake_ops = {
    .kind = "fake",
    .open = fake_open,
    .rx = fake_rx,
    .rx_done = fake_rx_done,
    .tx = fake_tx,
    .fds = fake_fds,
    .close = fake_close,
};

#endif
