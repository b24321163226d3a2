// SPDX-License-Identifier: BSD-2-Clause
/*
 * iomem.c: a device whose other end is the program.
 *
 * A frame lives in a cell. Cells go round: free -> queued (mem_put) -> out (rx) -> free (rx_done),
 * and free -> sent (tx) -> taken (mem_take) -> free. A cell too small for its next frame grows.
 */
#include "io/backends.h"
#include "io/bpffilter.h"
#include "base/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_ROOM 2048

struct cell {
    struct pktbuf pb;
    struct cell *next;
    uint8_t *buf;
    size_t room;
};

struct fifo {
    struct cell *first, *last;
};

struct mem {
    struct cell *idle;
    struct fifo queued, out, sent;
    struct cell *taken;
    uint64_t frames; /* put, ever */
    bool eof;
    struct bpffilter filter;
};

static void push(struct fifo *f, struct cell *c)
{
    c->next = NULL;
    if (f->first)
        f->last->next = c;
    else
        f->first = c;
    f->last = c;
}

static struct cell *pop(struct fifo *f)
{
    struct cell *c = f->first;

    if (c)
        f->first = c->next;
    return c;
}

static void put_idle(struct mem *m, struct cell *c)
{
    c->next = m->idle;
    m->idle = c;
}

/* An idle cell that holds a copy of the frame. => NULL with ENOMEM. */
static struct cell *fill(struct io_dev *dev, const void *data, uint32_t len, int linktype)
{
    struct mem *m = dev->priv;
    struct cell *c = m->idle ? m->idle : calloc(1, sizeof(*c));
    size_t front = (size_t)IO_HEADROOM + io_align(linktype), need = front + len + IO_TAILROOM;

    if (!c)
        return err_null(ENOMEM, "%s: out of memory", dev->name);
    m->idle = m->idle ? c->next : NULL;
    if (c->room < need) {
        size_t room = need > MIN_ROOM ? need : MIN_ROOM;

        free(c->buf);
        c->buf = malloc(room);
        c->room = c->buf ? room : 0;
        if (!c->buf) {
            put_idle(m, c);
            return err_null(ENOMEM, "%s: out of memory", dev->name);
        }
    }
    memset(&c->pb, 0, sizeof(c->pb));
    c->pb.data = c->buf + front;
    c->pb.len = c->pb.wire_len = len;
    c->pb.cap = (uint32_t)(c->room - front);
    c->pb.headroom = IO_HEADROOM;
    c->pb.refs = 1;
    c->pb.owner = c;
    if (len > 0)
        memcpy(c->pb.data, data, len);
    return c;
}

static int mem_open(struct io_dev *dev, const char *rest)
{
    struct mem *m = calloc(1, sizeof(*m));

    if (!m)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    dev->linktype = DLT_EN10MB;
    dev->caps = IO_REPLAY | IO_OUTPUT | IO_USER;
    if (dev->args.filter &&
        bpffilter_compile(&m->filter, dev->name, dev->args.filter, NULL, DLT_EN10MB) < 0) {
        free(m);
        return -1;
    }
    dev->priv = m;
    return 0;
}

int mem_put(struct io_dev *dev, const void *data, uint32_t len, uint32_t wire_len, uint64_t ts_ns,
            uint16_t linktype)
{
    struct mem *m = dev->priv;
    struct cell *c;

    assert(dev->ops == &mem_ops);
    if (m->eof)
        return err_set(EPIPE, "%s: the end of input was said before", dev->name);
    c = fill(dev, data, len, linktype);
    if (!c)
        return -1;
    c->pb.wire_len = wire_len > len ? wire_len : len;
    c->pb.linktype = linktype;
    c->pb.ts_ns = ts_ns;
    c->pb.frame = ++m->frames;
    push(&m->queued, c);
    return 0;
}

void mem_eof(struct io_dev *dev)
{
    ((struct mem *)dev->priv)->eof = true;
}

/* => 1, 0, or -1 when the filter does not fit this link type. */
static int selected(struct io_dev *dev, const struct pktbuf *pb)
{
    struct mem *m = dev->priv;

    if (!dev->args.filter)
        return 1;
    if (m->filter.linktype != pb->linktype || !m->filter.compiled)
        if (bpffilter_compile(&m->filter, dev->name, dev->args.filter, NULL, pb->linktype) < 0)
            return -1;
    return bpffilter_match(&m->filter, pb->data, pb->len, pb->wire_len);
}

static void hand_out(struct io_dev *dev, struct cell *c)
{
    struct mem *m = dev->priv;

    c->pb.in_if = dev->ifidx;
    dev->st.rx_frames++;
    dev->st.rx_bytes += c->pb.len;
    dev->st.rx_truncated += c->pb.len < c->pb.wire_len;
    push(&m->out, c);
}

static int mem_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct mem *m = dev->priv;
    int got = 0;

    assert(!m->out.first); /* else: rx_done was forgotten */
    while (got < n && m->queued.first) {
        int yes = selected(dev, &m->queued.first->pb);
        struct cell *c;

        if (yes < 0)
            return got > 0 ? got : -1;
        c = pop(&m->queued);
        if (!yes) {
            dev->st.rx_filtered++;
            put_idle(m, c);
            continue;
        }
        hand_out(dev, c);
        pb[got++] = &c->pb;
    }
    if (got == 0 && m->eof)
        return err_set(ENODATA, "%s: end of input", dev->name);
    return got;
}

static void mem_rx_done(struct io_dev *dev)
{
    struct mem *m = dev->priv;
    struct cell *c;

    while ((c = pop(&m->out)) != NULL) {
        if (dev->args.poison)
            memset(c->buf, 0xDB, c->room);
        put_idle(m, c);
    }
}

static int mem_tx(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    struct mem *m = dev->priv;
    int sent = 0;

    for (int i = 0; i < n; i++) {
        struct cell *c = fill(dev, pb[i]->data, pb[i]->len, pb[i]->linktype);

        if (!c) {
            dev->st.tx_errors++;
            continue;
        }
        c->pb.wire_len = pb[i]->wire_len;
        c->pb.linktype = pb[i]->linktype;
        c->pb.ts_ns = pb[i]->ts_ns;
        push(&m->sent, c);
        dev->st.tx_frames++;
        dev->st.tx_bytes += pb[i]->len;
        sent++;
    }
    return sent;
}

int64_t mem_take(struct io_dev *dev, const uint8_t **data, uint64_t *ts_ns)
{
    struct mem *m = dev->priv;

    assert(dev->ops == &mem_ops);
    if (m->taken)
        put_idle(m, m->taken);
    m->taken = pop(&m->sent);
    if (!m->taken)
        return -1;
    if (data)
        *data = m->taken->pb.data;
    if (ts_ns)
        *ts_ns = m->taken->pb.ts_ns;
    return m->taken->pb.len;
}

static void free_cells(struct cell *c)
{
    struct cell *next;

    for (; c; c = next) {
        next = c->next;
        free(c->buf);
        free(c);
    }
}

static void mem_close(struct io_dev *dev)
{
    struct mem *m = dev->priv;

    if (m->taken)
        put_idle(m, m->taken);
    free_cells(m->idle);
    free_cells(m->queued.first);
    free_cells(m->out.first);
    free_cells(m->sent.first);
    bpffilter_fini(&m->filter);
    free(m);
}

const struct io_ops mem_ops = {
    .kind = "mem",
    .open = mem_open,
    .rx = mem_rx,
    .rx_done = mem_rx_done,
    .tx = mem_tx,
    .close = mem_close,
};
