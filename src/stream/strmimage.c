// SPDX-License-Identifier: BSD-2-Clause
/*
 * strmimage.c: a receive stream written out and read in. At the end of a batch only: every chunk
 * owns its bytes then. Lists go as their members in order; what links them is made anew.
 */
#include <string.h>

#include "stream/chunk.h"

static void put_ivals(const struct strm_env *e, const struct ivals *l, struct image *im)
{
    for (uint32_t k = 0; k < l->n; k++)
        image_put_val(im, *ival_at(e, l, k));
}

void strm_export(const struct strm_env *e, const struct flow_side *sd, struct image *im)
{
    const struct strm *s;
    uint32_t n = 0;

    if (sd->strm == 0)
        return;
    s = strm_at(e, sd->strm);
    for (uint32_t i = s->head; i; i = chunk_at(e, i)->next)
        n++;
    image_put_val(im, *s);
    image_put_val(im, n);
    if (s->rival)
        image_put(im, blk_ptr(&e->blks, s->rival), s->rival_len);
    for (uint32_t i = s->head; i; i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);

        assert(c->blk != 0); /* a borrowed one: not at the end of a batch */
        image_put_val(im, *c);
        image_put(im, c->ptr, c->len);
    }
    put_ivals(e, &s->ooo, im);
    put_ivals(e, &s->gap, im);
    strm_host_export(e, s, im);
}

/* get_ivals: n members. => false: no memory, or no image. */
static bool get_ivals(struct strm_env *e, struct image *im, struct ivals *l, uint32_t n)
{
    struct ival v;

    for (; n; n--) {
        if (!image_get_val(im, v) || !ival_room(e, l))
            return false;
        *ival_at(e, l, l->n++) = v;
    }
    return true;
}

/* get_rival: len bytes. => false: no memory, or no image. */
static bool get_rival(struct strm_env *e, struct strm *s, struct image *im)
{
    const uint8_t *bytes = image_view(im, s->rival_len);

    if (bytes == NULL || s->rival_len == 0 || s->rival_len > BLK_MAX ||
        (s->rival = blk_alloc(&e->blks, s->rival_len)) == 0)
        return false;
    memcpy(blk_ptr(&e->blks, s->rival), bytes, s->rival_len);
    return true;
}

static bool get_chunk(struct strm_env *e, struct strm *s, struct image *im)
{
    struct chunk c;
    const uint8_t *bytes;
    uint32_t idx;

    if (!image_get_val(im, c) || (bytes = image_view(im, c.len)) == NULL || c.len == 0 ||
        c.len > BLK_MAX)
        return false;
    c.blk = blk_alloc(&e->blks, c.len);
    if (c.blk == 0)
        return false;
    idx = pool_alloc(&e->chunks);
    if (idx == 0) {
        blk_free(&e->blks, c.blk);
        return false;
    }
    c.ptr = memcpy(blk_ptr(&e->blks, c.blk), bytes, c.len);
    c.next = 0;
    *chunk_at(e, idx) = c;
    *(s->tail ? &chunk_at(e, s->tail)->next : &s->head) = idx;
    s->tail = idx;
    return true;
}

bool strm_import(struct strm_env *e, struct flow_side *sd, struct image *im)
{
    uint32_t chunks, ooo_n, gap_n;
    struct strm *s;
    bool ok;

    blk_t host, rival;

    if (sd->strm == 0)
        return true;
    sd->strm = pool_alloc(&e->strms);
    if (sd->strm == 0)
        return false;
    s = strm_at(e, sd->strm);
    ok = image_get_val(im, *s);
    host = s->host;
    rival = s->rival;
    s->host = s->rival = 0;
    ok &= image_get_val(im, chunks);
    ooo_n = s->ooo.n;
    gap_n = s->gap.n;
    s->ooo_mem = s->older = s->newer = 0;
    s->head = s->tail = 0;
    s->ooo = s->gap = (struct ivals){0};
    if (ok && rival)
        ok = get_rival(e, s, im);
    for (; ok && chunks; chunks--)
        ok = get_chunk(e, s, im);
    ok = ok && get_ivals(e, im, &s->ooo, ooo_n) && get_ivals(e, im, &s->gap, gap_n) &&
         strm_host_import(e, s, host != 0, im);
    above_rebuild(e, s);
    strm_ooo_count(e, sd->strm);
    if (!ok)
        strm_drop(e, sd);
    return ok;
}
