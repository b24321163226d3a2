// SPDX-License-Identifier: BSD-2-Clause
/*
 * chain.c: several inputs as one. The chain stands at one device; at its end of input the number of
 * its frames, counted before its filter, is added to the numbers of all that follow.
 */
#include "io/backends.h"
#include "base/errtext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chain {
    int n, at;
    int broke; /* errno of the first file that was cut off in the middle; 0: none */
    char why[256];
    uint64_t before; /* frames of the devices before this one */
    struct io_dev *dev[];
};

static int chain_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct chain *c = dev->priv;

    while (c->at < c->n) {
        struct io_dev *d = c->dev[c->at];
        int got = io_rx(d, pb, n);

        if (got >= 0) {
            for (int i = 0; i < got; i++) {
                pb[i]->frame += c->before;
                pb[i]->in_if = dev->ifidx;
            }
            return got;
        }
        if (errno == EILSEQ && c->broke == 0) {
            /* cut off: told at the end; the files after it are read all the same */
            c->broke = errno;
            snprintf(c->why, sizeof(c->why), "%s", err_text());
        } else if (errno != ENODATA && errno != EILSEQ) {
            return -1;
        }
        c->before += d->st.rx_frames + d->st.rx_filtered;
        c->at++;
    }
    if (c->broke)
        return err_set(c->broke, "%s", c->why);
    return err_set(ENODATA, "%s: end of input", dev->name);
}

static void chain_rx_done(struct io_dev *dev)
{
    struct chain *c = dev->priv;

    if (c->at < c->n)
        io_rx_done(c->dev[c->at]);
}

static void chain_stats(struct io_dev *dev, struct io_stats *st)
{
    struct chain *c = dev->priv;

    memset(st, 0, sizeof(*st));
    for (int i = 0; i < c->n; i++) {
        struct io_stats s;

        io_get_stats(c->dev[i], &s);
        st->rx_frames += s.rx_frames;
        st->rx_bytes += s.rx_bytes;
        st->rx_truncated += s.rx_truncated;
        st->rx_filtered += s.rx_filtered;
        st->size += s.size;
        st->position += s.position;
    }
}

static void chain_close(struct io_dev *dev)
{
    struct chain *c = dev->priv;

    for (int i = 0; i < c->n; i++)
        io_close(c->dev[i]);
    free(c);
}

static const struct io_ops chain_ops = {
    .kind = "chain",
    .rx = chain_rx,
    .rx_done = chain_rx_done,
    .stats = chain_stats,
    .close = chain_close,
};

static struct io_dev *give_up(struct io_dev **devs, int n)
{
    int code = errno;

    for (int i = 0; i < n; i++)
        io_close(devs[i]);
    errno = code;
    return NULL;
}

struct io_dev *io_chain(struct io_dev **devs, int n)
{
    struct chain *c;
    struct io_dev *dev;

    if (n < 1) {
        err_set(EINVAL, "no input given");
        return NULL;
    }
    dev = io_dev_new(&chain_ops, devs[0]->name, &devs[0]->args);
    c = dev ? calloc(1, sizeof(*c) + (size_t)n * sizeof(void *)) : NULL;
    if (!c) {
        if (dev)
            io_dev_free(dev);
        err_set(ENOMEM, "%s: out of memory", devs[0]->name);
        return give_up(devs, n);
    }
    c->n = n;
    dev->priv = c;
    dev->linktype = devs[0]->linktype;
    dev->caps = ~(unsigned)IO_OUTPUT;
    for (int i = 0; i < n; i++) {
        c->dev[i] = devs[i];
        dev->caps &= devs[i]->caps;
    }
    return dev;
}
