// SPDX-License-Identifier: BSD-2-Clause
/*
 * ival.c: sorted lists of disjoint, non-adjacent intervals, linked by pool index. Lists are short
 * (one interval per hole), so they are walked; their length is bounded by STRM_IVALS.
 */
#include "stream/chunk.h"

uint64_t ival_cover(const struct strm_env *e, uint32_t head, uint64_t start, uint64_t end)
{
    uint64_t sum = 0;

    for (uint32_t i = head; i; i = ival_at(e, i)->next) {
        const struct ival *v = ival_at(e, i);

        if (v->start >= end)
            break;
        if (v->end > start) {
            uint64_t a = v->start > start ? v->start : start;
            uint64_t b = v->end < end ? v->end : end;

            sum += b - a;
        }
    }
    return sum;
}

uint64_t ival_add(struct strm_env *e, uint32_t *head, uint32_t *n, uint64_t start, uint64_t end)
{
    uint32_t *link = head;
    struct ival *v;
    uint64_t old = 0;

    while (*link && ival_at(e, *link)->end < start)
        link = &ival_at(e, *link)->next;
    if (*link == 0 || ival_at(e, *link)->start > end) { /* touches nobody */
        uint32_t idx = pool_alloc(&e->ivals);

        if (idx == 0)
            return UINT64_MAX;
        v = ival_at(e, idx);
        v->start = start;
        v->end = end;
        v->next = *link;
        *link = idx;
        ++*n;
        return end - start;
    }
    v = ival_at(e, *link);
    old = v->end - v->start;
    if (start < v->start)
        v->start = start;
    while (v->next && ival_at(e, v->next)->start <= end) { /* swallow what it reaches */
        uint32_t dead = v->next;
        const struct ival *d = ival_at(e, dead);

        old += d->end - d->start;
        if (d->end > end)
            end = d->end;
        v->next = d->next;
        pool_free(&e->ivals, dead);
        --*n;
    }
    if (end > v->end)
        v->end = end;
    return v->end - v->start - old;
}

void ival_pop(struct strm_env *e, uint32_t *head, uint32_t *n)
{
    uint32_t dead = *head;

    *head = ival_at(e, dead)->next;
    pool_free(&e->ivals, dead);
    --*n;
}

void ival_free_all(struct strm_env *e, uint32_t *head, uint32_t *n)
{
    while (*head)
        ival_pop(e, head, n);
}
