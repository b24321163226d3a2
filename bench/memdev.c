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
#include <sys/resource.h>

#include "engine/engine.h"
#include "instr.h"
#include "measure.h"

#define WARM 8 /* batches behind a pause, in which the caches were emptied, that are not noted */

struct memdev {
    struct io_dev dev;
    const struct preload *p;
    uint64_t at, frames; /* the next packet; packets before the first one of p */
    struct pktbuf pb[IO_BURST];
    uint64_t start_ns, burst_ns;
    struct memdev_result *r;
    long faults;
    uint32_t part;
    int warm; /* batches since the clock began to run, up to WARM */
    bool running, over;
};

static struct memdev one;
static struct memdev_batches *watched;
static void (*part_passed)(uint32_t part);

static void start(struct memdev *m)
{
    m->running = true;
    m->warm = 0;
    m->start_ns = thread_ns();
    instr_toggle();
}

static void stop(struct memdev *m)
{
    instr_toggle();
    m->r->ns += thread_ns() - m->start_ns;
    m->running = false;
}

static int finish(struct memdev *m)
{
    if (!m->over) {
        m->r->rss = measure_rss() - m->r->start_rss;
        m->r->packets = m->frames;
        m->r->tot = m->p->tot;
    }
    m->over = true;
    errno = ENODATA;
    return -1;
}

/* next_part: of a stream. => false: that was all. */
static bool next_part(struct memdev *m)
{
    if (m->running)
        stop(m);
    if (part_passed)
        part_passed(m->part);
    m->part++;
    m->frames += m->at;
    m->at = 0;
    return preload_more(m->p->stream);
}

static void note_batch(struct memdev *m)
{
    uint64_t now = thread_ns();
    struct rusage ru;

    getrusage(RUSAGE_THREAD, &ru);
    if (m->warm < WARM)
        m->warm++;
    else if (watched->n < watched->room)
        watched->v[watched->n++] = (struct memdev_batch){
            .ns = (uint32_t)(now - m->burst_ns), .faults = (uint32_t)(ru.ru_minflt - m->faults)};
    m->faults = ru.ru_minflt;
    m->burst_ns = thread_ns();
}

static int rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct memdev *m = dev->priv;
    uint64_t left;

    if (m->over)
        return finish(m);
    if (m->r->start_rss == 0)
        m->r->start_rss = measure_rss();
    if (watched && m->running)
        note_batch(m);
    if (m->at == m->p->n && !next_part(m))
        return finish(m);
    if (!m->running)
        start(m);
    if (m->r->mark && m->at >= m->r->mark && m->r->mark_ns == 0) {
        m->r->mark_ns = thread_ns() - m->start_ns;
        m->r->mark_rss = measure_rss() - m->r->start_rss;
    }
    left = m->p->n - m->at;
    if (left < (uint64_t)n)
        n = (int)left;
    for (int i = 0; i < n; i++) {
        const struct pre_pkt *k = &m->p->pkt[m->at + (uint64_t)i];
        struct pktbuf *b = &m->pb[i];

        memcpy(&b->data, &k->data, sizeof(b->data)); /* nobody writes to it: no callback does */
        b->len = b->wire_len = b->cap = k->len;
        b->ts_ns = m->p->t0_ns + k->us * NSEC_PER_USEC;
        b->frame = m->frames + m->at + (uint64_t)i + 1;
        b->realm = 0;
        b->flags = 0;
        pb[i] = b;
    }
    m->at += (uint64_t)n;
    return n;
}

static int ahead(struct io_dev *dev, const uint8_t **frame, int n)
{
    const struct memdev *m = dev->priv;
    const uint64_t left = m->p->n - m->at;

    if (left < (uint64_t)n)
        n = (int)left;
    for (int i = 0; i < n; i++)
        frame[i] = m->p->pkt[m->at + (uint64_t)i].data;
    return n;
}

static void rx_done(struct io_dev *dev)
{
    (void)dev;
}

static const struct io_ops ops = {.kind = "bench", .rx = rx, .ahead = ahead, .rx_done = rx_done};

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

void memdev_watch(struct memdev_batches *b)
{
    watched = b;
}

void memdev_parts(void (*passed)(uint32_t part))
{
    part_passed = passed;
}

void memdev_remove(void)
{
    engine.in = NULL;
}
