// SPDX-License-Identifier: BSD-2-Clause
/*
 * memdev.c: preloaded packets as an input device. It is put in the place that a capture file's
 * device has, between mtcp_init and the first context; the library's own thread then asks it for
 * bursts. The clock runs from the first burst asked for to the end of input told, on that thread:
 * what is measured has all of the packet path, and the flows' begin and end, in it.
 */
#include "memdev.h"

#include <errno.h>
#include <string.h>

#include "engine/engine.h"
#include "instr.h"
#include "measure.h"

struct memdev {
    struct io_dev dev;
    const struct preload *p;
    uint64_t at;
    struct pktbuf pb[IO_BURST];
    uint64_t start_ns, start_rss;
    struct memdev_result *r;
};

static struct memdev one;

static int finish(struct memdev *m)
{
    if (m->r->ns == 0) {
        instr_toggle();
        m->r->ns = thread_ns() - m->start_ns;
        m->r->rss = measure_rss() - m->start_rss;
    }
    errno = ENODATA;
    return -1;
}

static void start(struct memdev *m)
{
    m->start_rss = measure_rss();
    preload_ahead(m->p, 0, IO_BURST);
    m->start_ns = thread_ns();
    instr_toggle();
}

static int rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct memdev *m = dev->priv;
    uint64_t left = m->p->n - m->at;

    if (m->at == 0)
        start(m);
    if (left == 0)
        return finish(m);
    if (left < (uint64_t)n)
        n = (int)left;
    for (int i = 0; i < n; i++) {
        const struct pre_pkt *k = &m->p->pkt[m->at + (uint64_t)i];
        struct pktbuf *b = &m->pb[i];

        memcpy(&b->data, &k->data, sizeof(b->data)); /* nobody writes to it: no callback does */
        b->len = b->wire_len = b->cap = k->len;
        b->ts_ns = m->p->t0_ns + k->us * NSEC_PER_USEC;
        b->frame = m->at + (uint64_t)i + 1;
        b->realm = 0;
        b->flags = 0;
        pb[i] = b;
    }
    m->at += (uint64_t)n;
    preload_ahead(m->p, m->at, n);
    return n;
}

static void rx_done(struct io_dev *dev)
{
    (void)dev;
}

static const struct io_ops ops = {.kind = "bench", .rx = rx, .rx_done = rx_done};

void memdev_install(const struct preload *p, struct memdev_result *r)
{
    static char name[] = "bench:";

    memset(&one, 0, sizeof(one));
    memset(r, 0, sizeof(*r));
    one.dev = (struct io_dev){
        .ops = &ops, .priv = &one, .name = name, .caps = IO_REPLAY, .linktype = DLT_EN10MB};
    one.p = p;
    one.r = r;
    for (int i = 0; i < IO_BURST; i++)
        one.pb[i] = (struct pktbuf){.refs = 1, .linktype = DLT_EN10MB};
    engine.in = &one.dev;
}

void memdev_remove(void)
{
    engine.in = NULL;
}
