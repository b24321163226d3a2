// SPDX-License-Identifier: BSD-2-Clause
#include "preload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK (64u << 20)
#define ALIGN 64u
#define SHIFT 2u /* 2 + Ethernet's 14 bytes: the IP header is aligned */

/* room: `len` bytes for a frame. => NULL: no memory. */
static uint8_t *room(struct preload *p, uint32_t len)
{
    uint64_t need = (SHIFT + (uint64_t)len + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
    uint8_t **v, *m;

    if (p->nchunks == 0 || p->used + need > CHUNK) {
        v = realloc(p->chunk, (p->nchunks + 1) * sizeof(*v));
        if (v == NULL)
            return NULL;
        p->chunk = v;
        m = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (m == MAP_FAILED)
            return NULL;
        madvise(m, CHUNK, MADV_HUGEPAGE);
        p->chunk[p->nchunks++] = m;
        p->used = 0;
    }
    m = p->chunk[p->nchunks - 1] + p->used + SHIFT;
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

struct preload *preload_generate(const struct gen_cfg *c, const char **why)
{
    struct preload *p = calloc(1, sizeof(*p));
    struct gen *g = gen_open(c, why);
    uint8_t frame[GEN_FRAME_MAX];
    bool ok = p && g;
    uint64_t ns = 0;
    uint32_t len;

    if (p && g)
        p->cfg = *c;
    while (ok && (len = gen_next(g, frame, &ns)) != 0) {
        if (p->n == 0)
            p->t0_ns = ns;
        ok = add(p, frame, len, ns);
    }
    if (ok)
        p->tot = *gen_totals(g);
    else if (g)
        *why = "out of memory";
    gen_close(g);
    if (ok)
        return p;
    preload_free(p);
    return NULL;
}

void preload_free(struct preload *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->nchunks; i++)
        munmap(p->chunk[i], CHUNK);
    free(p->chunk);
    free(p->pkt);
    free(p);
}
