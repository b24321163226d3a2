// SPDX-License-Identifier: BSD-2-Clause
/*
 * seqmap.c: see seqmap.h. Changes lie in an array, the oldest at `head`; they are found by halving.
 *
 * Invariants: una <= first change, last change <= nxt, no two overlap, between two of them (and in
 * front of the first, behind the last) s and r advance alike.
 */
#include "conn/seqmap.h"

#include <stdlib.h>
#include <string.h>

#include "tcp/seq.h"

#define FAR (1u << 30)

void seqmap_init(struct seqmap *m, uint32_t s, uint32_t r)
{
    *m = (struct seqmap){.una_s = s, .una_r = r, .nxt_s = s, .nxt_r = r};
}

void seqmap_fini(struct seqmap *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        free(m->v[m->head + i].bytes);
    free(m->v);
    *m = (struct seqmap){0};
}

bool seqmap_reserve(struct seqmap *m)
{
    uint32_t cap = m->cap ? m->cap * 2 : 8;
    struct seqedit *v;

    if (m->head + m->n < m->cap)
        return true;
    if (m->head > m->n) { /* half of it is free */
        memmove(m->v, m->v + m->head, m->n * sizeof(*m->v));
        m->head = 0;
        return true;
    }
    v = realloc(m->v, cap * sizeof(*v));
    if (v == NULL)
        return false;
    m->v = v;
    m->cap = cap;
    return true;
}

void seqmap_pass(struct seqmap *m, uint32_t n)
{
    m->nxt_s += n;
    m->nxt_r += n;
    if (m->n == 0) { /* nothing to be repeated but what the sender has itself */
        m->una_s = m->nxt_s;
        m->una_r = m->nxt_r;
    }
}

void seqmap_edit(struct seqmap *m, uint32_t slen, uint8_t *bytes, uint32_t rlen)
{
    m->v[m->head + m->n++] =
        (struct seqedit){.s = m->nxt_s, .slen = slen, .r = m->nxt_r, .rlen = rlen, .bytes = bytes};
    m->nxt_s += slen;
    m->nxt_r += rlen;
    m->kept += rlen;
    m->moves += slen != rlen;
}

/* ---- positions ---- */

static const struct seqedit *at(const struct seqmap *m, uint32_t i)
{
    return &m->v[m->head + i];
}

/* behind_s, behind_r: how many changes end at this number or before. */
static uint32_t behind_s(const struct seqmap *m, uint32_t s)
{
    uint32_t lo = 0, hi = m->n;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (seq_leq(at(m, mid)->s + at(m, mid)->slen, s))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static uint32_t behind_r(const struct seqmap *m, uint32_t r)
{
    uint32_t lo = 0, hi = m->n;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (seq_leq(at(m, mid)->r + at(m, mid)->rlen, r))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t seqmap_to_r(const struct seqmap *m, uint32_t s)
{
    uint32_t i = behind_s(m, s);

    if (i < m->n && seq_lt(at(m, i)->s, s))
        return at(m, i)->r;
    if (i == 0)
        return m->una_r + (s - m->una_s);
    return at(m, i - 1)->r + at(m, i - 1)->rlen + (s - at(m, i - 1)->s - at(m, i - 1)->slen);
}

uint32_t seqmap_to_s(const struct seqmap *m, uint32_t r)
{
    uint32_t i = behind_r(m, r);

    if (i < m->n && seq_lt(at(m, i)->r, r))
        return at(m, i)->s;
    if (i == 0)
        return m->una_s + (r - m->una_r);
    return at(m, i - 1)->s + at(m, i - 1)->slen + (r - at(m, i - 1)->r - at(m, i - 1)->rlen);
}

uint32_t seqmap_begins(const struct seqmap *m, uint32_t r)
{
    uint32_t s = seqmap_to_s(m, r);

    for (uint32_t i = behind_r(m, r); i > 0; i--) {
        const struct seqedit *e = at(m, i - 1);

        if (e->rlen || e->r != r || e->s + e->slen != s)
            break;
        s = e->s;
    }
    return s;
}

bool seqmap_sack(const struct seqmap *m, uint32_t *start, uint32_t *end)
{
    uint32_t i = behind_r(m, *start);
    uint32_t lo = i < m->n && seq_lt(at(m, i)->r, *start) ? at(m, i)->s + at(m, i)->slen
                                                          : seqmap_to_s(m, *start);
    uint32_t hi = seqmap_to_s(m, *end);

    *start = lo;
    *end = hi;
    return seq_lt(lo, hi);
}

/* follow: numbers wrap: what was forgotten long since is behind what the receiver has now. */
static void follow(struct seqmap *m, uint32_t r)
{
    uint32_t far = (m->n && seq_lt(at(m, 0)->r, r) ? at(m, 0)->r : r) - m->cut_r;

    if (!m->cut || far < FAR || far > INT32_MAX)
        return;
    m->cut_s += far;
    m->cut_r += far;
}

void seqmap_acked(struct seqmap *m, uint32_t r)
{
    uint32_t gone;

    if (seq_lt(m->nxt_r, r))
        r = m->nxt_r; /* a FIN */
    follow(m, r);
    if (m->n == 0 || !seq_lt(m->una_r - 1, r))
        return;
    gone = behind_r(m, r);
    for (uint32_t i = 0; i < gone; i++) {
        m->kept -= at(m, i)->rlen;
        m->moves -= at(m, i)->slen != at(m, i)->rlen;
        free(at(m, i)->bytes);
    }
    if (gone) {
        const struct seqedit *last = at(m, gone - 1);

        m->una_s = m->cut_s = last->s + last->slen;
        m->una_r = m->cut_r = last->r + last->rlen;
        m->cut = true;
        m->head += gone;
        m->n -= gone;
        if (m->n == 0)
            m->head = 0;
    }
    if (m->n == 0)
        r = m->nxt_r;
    else if (seq_lt(at(m, 0)->r, r))
        r = at(m, 0)->r;
    if (seq_lt(m->una_r, r)) {
        m->una_s += r - m->una_r;
        m->una_r = r;
    }
}

uint32_t seqmap_surplus(const struct seqmap *m, uint32_t r)
{
    /* r may be any number: an ACK of what was never sent */
    int64_t more = (int64_t)seq_diff(m->nxt_r, r) - seq_diff(m->nxt_s, seqmap_to_s(m, r));

    return more > 0 ? (uint32_t)more : 0;
}

/* ---- repetition ---- */

/* first_of: the first change that a repetition from s on may touch. */
static uint32_t first_of(const struct seqmap *m, uint32_t s)
{
    uint32_t i = behind_s(m, s);

    while (i && at(m, i - 1)->slen == 0 && at(m, i - 1)->s == s) /* inserted there */
        i--;
    return i;
}

/* reached: does a repetition up to `end` touch this change? */
static bool reached(const struct seqedit *e, uint32_t end, bool fin)
{
    return seq_lt(e->s, end) || (fin && e->slen == 0 && e->s == end);
}

bool seqmap_touched(const struct seqmap *m, uint32_t s, uint32_t len, bool fin)
{
    uint32_t i = first_of(m, s);

    if (m->cut && seq_lt(s, m->cut_s))
        return true;
    return i < m->n && reached(at(m, i), s + len, fin);
}

/* put: n bytes more, if there is room. */
static bool put(uint8_t *out, uint32_t cap, uint32_t *n, const uint8_t *from, uint32_t len)
{
    if (len > cap - *n)
        return false;
    if (len)
        memcpy(out + *n, from, len);
    *n += len;
    return true;
}

uint32_t seqmap_rebuild(const struct seqmap *m, uint32_t s, uint32_t len, bool fin,
                        const uint8_t *from, uint8_t *out, uint32_t cap, uint32_t *r)
{
    uint32_t i, pos, end = s + len, n = 0;

    if (m->cut && seq_lt(s, m->cut_s)) {
        from += seq_lt(m->cut_s, end) ? m->cut_s - s : len;
        s = m->cut_s;
    }
    i = first_of(m, s);
    pos = s;
    *r = i < m->n && seq_leq(at(m, i)->s, s) ? at(m, i)->r : seqmap_to_r(m, s);
    for (; i < m->n && reached(at(m, i), end, fin); i++) {
        const struct seqedit *e = at(m, i);

        if (seq_lt(pos, e->s)) {
            if (!put(out, cap, &n, from + (pos - s), e->s - pos))
                return UINT32_MAX;
        }
        if (!put(out, cap, &n, e->bytes, e->rlen))
            return UINT32_MAX;
        pos = e->s + e->slen;
    }
    if (seq_lt(pos, end) && !put(out, cap, &n, from + (pos - s), end - pos))
        return UINT32_MAX;
    return n;
}

/* ---- maps from elsewhere ---- */

bool seqmap_sound(const struct seqmap *m)
{
    uint64_t s = 0, r = 0; /* from una on */
    uint32_t tail;

    for (uint32_t i = 0; i < m->n; i++) {
        const struct seqedit *e = at(m, i);
        uint32_t gap = e->s - (m->una_s + (uint32_t)s);

        if (gap != e->r - (m->una_r + (uint32_t)r))
            return false;
        s += (uint64_t)gap + e->slen;
        r += (uint64_t)gap + e->rlen;
        if (s > INT32_MAX || r > INT32_MAX)
            return false;
    }
    tail = m->nxt_s - (m->una_s + (uint32_t)s);
    return tail == m->nxt_r - (m->una_r + (uint32_t)r) && s + tail <= INT32_MAX &&
           r + tail <= INT32_MAX;
}
