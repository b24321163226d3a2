// SPDX-License-Identifier: BSD-2-Clause
#include "preload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK (64u << 20)
#define ALIGN 64u
#define SHIFT 2u /* 2 + Ethernet's 14 bytes: the IP header is aligned */

/* new_chunk: => false: no memory. */
static bool new_chunk(struct preload *p)
{
    uint8_t **v = realloc(p->chunk, (p->nchunks + 1) * sizeof(*v));
    uint8_t *m;

    if (v == NULL)
        return false;
    p->chunk = v;
    m = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED)
        return false;
    madvise(m, CHUNK, MADV_HUGEPAGE);
    p->chunk[p->nchunks++] = m;
    return true;
}

/* room: `len` bytes for a frame. => NULL: no memory. */
static uint8_t *room(struct preload *p, uint32_t len)
{
    uint64_t need = (SHIFT + (uint64_t)len + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
    uint8_t *m;

    if (p->nchunks && p->used + need > CHUNK) {
        p->filling++;
        p->used = 0;
    }
    if (p->filling == p->nchunks && !new_chunk(p))
        return NULL;
    m = p->chunk[p->filling] + p->used + SHIFT;
    p->used += need;
    return m;
}

static bool add(struct preload *p, const uint8_t *frame, uint32_t len, uint64_t ts_ns)
{
    uint8_t *m = room(p, len);

    if (p->n == p->cap) {
        uint64_t cap = p->cap ? p->cap * 2 : 1 << 16;
        struct pre_pkt *v = realloc(p->pkt, cap * sizeof(*v));

        if (v == NULL)
            return false;
        p->pkt = v;
        p->cap = cap;
    }
    if (m == NULL)
        return false;
    memcpy(m, frame, len);
    p->pkt[p->n++] =
        (struct pre_pkt){.data = m, .len = len, .us = (uint32_t)((ts_ns - p->t0_ns) / 1000)};
    return true;
}

/* fill: up to n more packets, 0: all. => false: no memory. */
static bool fill(struct preload *p, uint64_t n)
{
    uint8_t frame[GEN_FRAME_MAX];
    uint64_t ns = 0;
    uint32_t len;

    while ((n == 0 || p->n < n) && (len = gen_next(p->gen, frame, &ns)) != 0) {
        if (p->n == 0 && p->before == 0)
            p->t0_ns = ns;
        if (!add(p, frame, len, ns))
            return false;
    }
    return true;
}

struct preload *preload_stream(const struct gen_cfg *c, uint64_t at_once, uint64_t most,
                               const char **why)
{
    struct preload *p = calloc(1, sizeof(*p));
    struct gen *g = gen_open(c, why);

    if (p && g) {
        *p = (struct preload){.gen = g, .cfg = *c, .at_once = at_once, .most = most};
        p->stream = p;
        if (fill(p, most && most < at_once ? most : at_once)) {
            p->tot = *gen_totals(g);
            return p;
        }
        *why = "out of memory";
    }
    if (p)
        preload_free(p);
    else
        gen_close(g);
    return NULL;
}

bool preload_more(struct preload *p)
{
    uint64_t n;

    if (p == NULL || p->n == 0)
        return false;
    n = p->at_once;
    p->before += p->n;
    p->n = p->used = 0;
    p->filling = 0;
    if (p->most && p->most - p->before < n)
        n = p->most - p->before;
    if (n == 0 || !fill(p, n))
        return false;
    p->tot = *gen_totals(p->gen);
    return p->n > 0;
}

struct preload *preload_generate(const struct gen_cfg *c, const char **why)
{
    struct preload *p = preload_stream(c, 0, 0, why);

    if (p) {
        gen_close(p->gen);
        p->gen = NULL;
        p->stream = NULL;
    }
    return p;
}

void preload_free(struct preload *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->nchunks; i++)
        munmap(p->chunk[i], CHUNK);
    gen_close(p->gen);
    free(p->chunk);
    free(p->pkt);
    free(p);
}
