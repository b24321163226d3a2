// SPDX-License-Identifier: BSD-2-Clause
/*
 * rival.c: bytes are set aside, for their receiver may take them or not, and others come to the same
 * place. The two copies are kept till the receiver's ACK tells which was taken, as far as it can.
 */
#include "stream/chunk.h"

#include <string.h>

/* doubted: are bytes set aside in [*from, *to)? Narrows it to them. */
static const struct strm *doubted(const struct strm_env *e, const struct flow_side *sd,
                                  uint64_t *from, uint64_t *to)
{
    const struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;

    if (s == NULL || !s->doubted)
        return NULL;
    if (*from < s->aside)
        *from = s->aside;
    if (*to > s->aside + s->syn_len)
        *to = s->aside + s->syn_len;
    return *from < *to ? s : NULL;
}

uint32_t strm_doubt_overlap(const struct strm_env *e, const struct flow_side *sd, uint64_t *off,
                            uint32_t len)
{
    uint64_t to = *off + len;

    return doubted(e, sd, off, &to) ? (uint32_t)(to - *off) : 0;
}

bool strm_contested(const struct strm_env *e, const struct flow_side *sd, const struct strm_in *in)
{
    uint64_t from = in->off, to = in->off + in->wire_len;
    const struct strm *s = doubted(e, sd, &from, &to);

    if (s == NULL || in->len < in->wire_len)
        return false;
    return s->rival ||
           strm_diff(e, sd, from, in->data + (from - in->off), (uint32_t)(to - from)).differ;
}

void strm_doubt_same(struct strm_env *e, struct flow_side *sd, const struct strm_in *in)
{
    uint64_t from = in->off, to = in->off + in->wire_len;
    struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;

    if (s == NULL || !doubted(e, sd, &from, &to) || s->rival || from > s->aside ||
        in->len < in->wire_len)
        return;
    chunk_cut(e, s, s->aside, to);
    s->syn_len -= (uint32_t)(to - s->aside);
    s->aside = to;
    s->doubted = s->syn_len > 0;
}

/* widen: the copy goes on with `len` more bytes. => false: no memory. */
static bool widen(struct strm_env *e, struct strm *s, const uint8_t *data, uint32_t len)
{
    uint32_t all = s->rival_len + len;
    blk_t blk = all <= BLK_MAX ? blk_alloc(&e->blks, all) : 0;

    if (blk == 0)
        return false;
    if (s->rival) {
        memcpy(blk_ptr(&e->blks, blk), blk_ptr(&e->blks, s->rival), s->rival_len);
        blk_free(&e->blks, s->rival);
    }
    memcpy(blk_ptr(&e->blks, blk) + s->rival_len, data, len);
    s->rival = blk;
    s->rival_len = all;
    return true;
}

bool strm_rival(struct strm_env *e, struct flow_side *sd, uint64_t off, const uint8_t *data,
                uint32_t len)
{
    struct strm *s = strm_at(e, sd->strm);
    uint64_t end = s->rival_off + s->rival_len;

    if (s->rival == 0)
        s->rival_off = end = off;
    if (off < s->rival_off || off > end)
        return false;
    if (off + len <= end)
        return true; /* once more */
    return widen(e, s, data + (end - off), (uint32_t)(off + len - end));
}

bool strm_rival_counts(const struct strm_env *e, const struct flow_side *sd, uint64_t upto)
{
    const struct strm *s = strm_at(e, sd->strm);
    uint64_t doubt = s->aside + s->syn_len, end = s->rival_off + s->rival_len, reach = end;

    uint32_t k = ival_find(e, &s->ooo, reach);

    if (k < s->ooo.n && ival_at(e, &s->ooo, k)->start <= reach)
        reach = ival_at(e, &s->ooo, k)->end;
    return upto <= reach && !(upto == doubt && doubt < end);
}

blk_t strm_rival_out(struct strm_env *e, struct flow_side *sd, struct strm_in *in)
{
    struct strm *s = strm_at(e, sd->strm);
    blk_t blk = s->rival;

    in->off = s->rival_off;
    in->data = blk_ptr(&e->blks, blk);
    in->len = in->wire_len = s->rival_len;
    s->rival = 0;
    s->rival_len = 0;
    return blk;
}

void strm_rival_cut(struct strm_env *e, struct strm *s, uint64_t off)
{
    if (s->rival == 0 || s->rival_off + s->rival_len <= off)
        return;
    s->rival_len = off > s->rival_off ? (uint32_t)(off - s->rival_off) : 0;
    if (s->rival_len)
        return;
    blk_free(&e->blks, s->rival);
    s->rival = 0;
}
