/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * benchset.h: a capture in memory, as often as it takes to be larger than the last cache, shared
 * out among contexts.
 *
 * A copy is all frames once, with other addresses than any other copy: what one loop plays. There
 * are as many copies as loops, or as the cache and memory ask for; then the oldest is given new
 * addresses.
 *
 * THREADS  set_prepare is called by one thread for each context, for frames of its own: a frame
 * belongs to one context for good.
 */
#ifndef WEIR_APPS_BENCHSET_H
#define WEIR_APPS_BENCHSET_H

#include "appopt.h"
#include "benchhdr.h"

struct set_frame {
    uint64_t off;   /* in each copy */
    uint64_t ts_ns; /* never less than that of the frame before */
    uint32_t len, wire_len;
    struct hdr hdr;
};

/* The frames of one context, in order. */
struct set_part {
    struct set_frame *v;
    uint64_t n;
    uint32_t *loop; /* of each copy: with which loop's addresses its frames of this part are */
};

struct set {
    uint64_t frames, bytes; /* of one copy; bytes: captured */
    uint64_t first_ns, last_ns;
    int linktype;
    uint64_t cache;  /* bytes of the last cache; 0: nobody knows */
    uint64_t stride; /* from one copy to the next */
    int copies, parts;
    uint8_t *base; /* of the first copy */
    struct set_part part[APP_MAX_CORES];
};

/*
 * set_load: read the input of `opt`; loops: how many copies are worth it.
 * => an exit status. APP_BROKEN: what was read before the input broke is there, if s->frames is
 *    not 0. The complaint is made.
 */
int set_load(struct set *s, const struct appopt *opt, int loops);
void set_free(struct set *s);

/* set_copy: the bytes that loop number `loop` plays. */
static inline uint8_t *set_copy(const struct set *s, int loop)
{
    return s->base + (uint64_t)(loop % s->copies) * s->stride;
}

/* set_period: ns from the beginning of one loop to that of the next: every connection is over. */
uint64_t set_period(const struct set *s);

/*
 * set_ahead: fetch the headers of the 64 frames of a part from `at` on, as a device that puts headers
 * into the cache does. Whoever is measured is helped so.
 */
static inline void set_ahead(const struct set *s, int part, int loop, uint64_t at)
{
    const struct set_part *k = &s->part[part];
    const uint8_t *copy = set_copy(s, loop);

    for (uint64_t i = at; i < at + 64 && i < k->n; i++)
        __builtin_prefetch(copy + k->v[i].off);
}

/* set_prepare: give the frames of a part the addresses of this loop, if they have not got them. */
void set_prepare(const struct set *s, int part, int loop);

#endif
