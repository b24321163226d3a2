// SPDX-License-Identifier: BSD-2-Clause
/* sample.c: a ring of cells that grows with its stream. */
#include "sample.h"

#include <stdlib.h>
#include <string.h>

/* Which cell of a group is kept (splitmix64 of the key and the group's number). */
static uint64_t chosen(const struct sample *s, uint64_t group)
{
    uint64_t z = s->key + (group + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % s->one_of;
}

/* Stream offset of the cell that is kept of this group. */
static uint64_t cell_off(const struct sample *s, uint64_t group)
{
    return (group * s->one_of + chosen(s, group)) * SAMPLE_CELL;
}

/* The ring grows as long as the stream has not gone round it, so nothing changes its place. */
static struct sample_cell *cell_of(struct sample *s, uint64_t group)
{
    size_t max = 1, n = s->n ? s->n : 4;

    while (max * SAMPLE_CELL * s->one_of < SAMPLE_DEPTH)
        max *= 2;
    while (n < max && group >= n)
        n *= 2;
    n = n < max ? n : max;
    if (n > s->n) {
        struct sample_cell *v = realloc(s->v, n * sizeof(*v));

        if (!v)
            return NULL;
        memset(v + s->n, 0, (n - s->n) * sizeof(*v));
        s->v = v;
        s->n = n;
    }
    return &s->v[group & (s->n - 1)];
}

/* The bytes [from, to) were never seen. With too many gaps the two oldest become one. */
static bool note_gap(struct sample *s, uint64_t from, uint64_t to)
{
    if (!s->gap)
        s->gap = calloc(SAMPLE_GAPS, sizeof(*s->gap));
    if (!s->gap)
        return false;
    if (s->ngap == SAMPLE_GAPS) {
        s->gap[1].from = s->gap[0].from;
        memmove(s->gap, s->gap + 1, (size_t)--s->ngap * sizeof(*s->gap));
    }
    s->gap[s->ngap++] = (struct sample_gap){from, to};
    return true;
}

bool sample_put(struct sample *s, uint64_t off, const uint8_t *data, size_t n)
{
    uint64_t per = (uint64_t)SAMPLE_CELL * s->one_of;

    if (off > s->end && !note_gap(s, s->end, off))
        return false;
    s->end = off + n;
    for (uint64_t g = off / per; n > 0 && g <= (off + n - 1) / per; g++) {
        uint64_t at = cell_off(s, g), from = at > off ? at : off;
        uint64_t to = at + SAMPLE_CELL < off + n ? at + SAMPLE_CELL : off + n;
        struct sample_cell *c;

        if (from >= to)
            continue;
        c = cell_of(s, g);
        if (!c)
            return false;
        if (c->group != g)
            *c = (struct sample_cell){.group = g};
        memcpy(c->byte + (from - at), data + (from - off), to - from);
        for (; from < to; from++)
            c->have |= UINT32_C(1) << (from - at);
    }
    return true;
}

/* The bytes [from, to) of one cell. */
static void compare_cell(const struct sample_cell *c, uint64_t at, uint64_t from, uint64_t to,
                         const uint8_t *data, struct sample_found *f)
{
    for (uint64_t i = from; i < to; i++, data++) {
        if (!(c->have >> (i - at) & 1))
            continue;
        f->compared++;
        if (c->byte[i - at] != *data) {
            if (f->differ++ == 0) {
                f->first = i;
                f->kept = &c->byte[i - at];
            }
            f->last = i;
        }
        if (f->kept && i == f->first + f->nkept)
            f->nkept++;
    }
}

/* Bytes of [from, to) that lie in gaps. */
static uint32_t in_gaps(const struct sample *s, uint64_t from, uint64_t to)
{
    uint64_t n = 0;

    for (int i = 0; i < s->ngap; i++) {
        uint64_t a = s->gap[i].from > from ? s->gap[i].from : from;
        uint64_t b = s->gap[i].to < to ? s->gap[i].to : to;

        n += a < b ? b - a : 0;
    }
    return (uint32_t)n;
}

struct sample_found sample_compare(const struct sample *s, uint64_t off, const uint8_t *data,
                                   size_t n)
{
    uint64_t per = (uint64_t)SAMPLE_CELL * s->one_of, end = off + n < s->end ? off + n : s->end;
    struct sample_found f = {.missing = in_gaps(s, off, end)};

    for (uint64_t g = off / per; off < end && g <= (end - 1) / per; g++) {
        const struct sample_cell *c = s->n ? &s->v[g & (s->n - 1)] : NULL;
        uint64_t at = cell_off(s, g), from = at > off ? at : off;
        uint64_t to = at + SAMPLE_CELL < end ? at + SAMPLE_CELL : end;

        if (from >= to)
            continue;
        if (c && c->group == g)
            compare_cell(c, at, from, to, data + (from - off), &f);
        else
            f.missing += (uint32_t)(to - from);
    }
    return f;
}

void sample_free(struct sample *s)
{
    free(s->v);
    free(s->gap);
}
