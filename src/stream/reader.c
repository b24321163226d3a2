// SPDX-License-Identifier: BSD-2-Clause
/*
 * reader.c: views of held bytes, comparing with them, and the end of a batch.
 */
#include <string.h>

#include "stream/chunk.h"

size_t strm_view(const struct strm_env *e, const struct flow_side *sd, uint64_t off, uint64_t end,
                 size_t max, struct iovec *iov, int *cnt)
{
    size_t sum = 0;
    uint32_t i = sd->strm ? strm_at(e, sd->strm)->head : 0;
    int n = 0;

    if (unlikely(i && off > sd->next))
        i = chunk_reach(e, strm_at(e, sd->strm), off);
    if (sd->strm && max < end - off && off < end)
        end = off + max;
    for (; i && n < *cnt && off < end; i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);
        uint64_t stop = chunk_end(c) < end ? chunk_end(c) : end;

        if (chunk_end(c) <= off)
            continue;
        if (c->off > off)
            break;
        /* struct iovec has no const; the public contract says read-only */
        iov[n].iov_base = (void *)(uintptr_t)(c->ptr + (off - c->off));
        iov[n].iov_len = stop - off;
        sum += stop - off;
        off = stop;
        n++;
    }
    *cnt = n;
    return sum;
}

uint64_t strm_lost(const struct strm_env *e, const struct flow_side *sd, uint64_t off)
{
    uint64_t end = strm_end(e, sd);

    if (off >= end)
        return 0;
    for (uint32_t i = sd->strm ? strm_at(e, sd->strm)->head : 0; i; i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);

        if (chunk_end(c) <= off)
            continue;
        if (c->off <= off)
            return 0;
        return (c->off < end ? c->off : end) - off;
    }
    return end - off;
}

bool strm_frag(const struct strm_env *e, const struct flow_side *sd, uint64_t off, uint64_t *start,
               uint64_t *len)
{
    uint32_t i = sd->strm ? chunk_reach(e, strm_at(e, sd->strm), off) : 0;
    uint64_t end;

    if (i == 0)
        return false;
    *start = chunk_at(e, i)->off;
    end = chunk_end(chunk_at(e, i));
    for (i = chunk_at(e, i)->next; i && chunk_at(e, i)->off == end; i = chunk_at(e, i)->next)
        end = chunk_end(chunk_at(e, i));
    *len = end - *start;
    return true;
}

uint64_t strm_oldest(const struct strm_env *e, const struct flow_side *sd)
{
    uint32_t head = sd->strm ? strm_at(e, sd->strm)->head : 0;

    return head && chunk_at(e, head)->off < sd->next ? chunk_at(e, head)->off : sd->next;
}

/* diff_run: n bytes at `off`, held as a. */
static void diff_run(struct strm_diff *d, uint64_t off, const uint8_t *a, const uint8_t *b,
                     uint64_t n)
{
    d->compared += (uint32_t)n;
    if (memcmp(a, b, n) == 0)
        return;
    for (uint64_t i = 0; i < n; i++) {
        if (a[i] == b[i])
            continue;
        if (d->differ++ == 0)
            d->first = off + i;
        d->end = off + i + 1;
    }
}

struct strm_diff strm_diff(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                           const uint8_t *data, uint32_t len)
{
    struct strm_diff d = {0};
    uint64_t end = off + len;

    for (uint32_t i = sd->strm ? chunk_reach(e, strm_at(e, sd->strm), off) : 0; i;
         i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);
        uint64_t a = c->off > off ? c->off : off;
        uint64_t b = chunk_end(c) < end ? chunk_end(c) : end;

        if (c->off >= end)
            break;
        diff_run(&d, a, c->ptr + (a - c->off), data + (a - off), b - a);
    }
    return d;
}

int strm_same(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
              const uint8_t *data, uint32_t len)
{
    struct strm_diff d = strm_diff(e, sd, off, data, len);

    if (d.differ)
        return 1;
    return d.compared == len && sd->strm ? 0 : 2;
}

uint32_t strm_own(struct strm_env *e, struct flow_side *sd)
{
    uint32_t lost;

    if (sd->strm == 0)
        return 0;
    lost = chunk_own_all(e, strm_at(e, sd->strm));
    if (unlikely(strm_at(e, sd->strm)->ooo.n))
        strm_ooo_count(e, sd->strm);
    return lost;
}

uint32_t strm_try_own(struct strm_env *e, struct flow_side *sd)
{
    uint32_t lack;

    if (sd->strm == 0)
        return 0;
    lack = chunk_try_own(e, strm_at(e, sd->strm));
    if (unlikely(strm_at(e, sd->strm)->ooo.n))
        strm_ooo_count(e, sd->strm);
    return lack;
}

void strm_release(struct strm_env *e, struct flow_side *sd, uint64_t keep)
{
    if (sd->strm == 0)
        return;
    chunk_cut_head(e, strm_at(e, sd->strm), keep < sd->next ? keep : sd->next);
}

void strm_clear(struct strm_env *e, struct flow_side *sd)
{
    if (sd->strm == 0)
        return;
    if (likely(strm_at(e, sd->strm)->ooo.n == 0)) { /* as at the end of most batches */
        chunk_drop_all(e, strm_at(e, sd->strm));
        return;
    }
    chunk_drop_all(e, strm_at(e, sd->strm));
    strm_ooo_count(e, sd->strm);
}
