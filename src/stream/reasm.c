// SPDX-License-Identifier: BSD-2-Clause
/*
 * reasm.c: segments to streams. A payload is cut into the pieces that are new and those that
 * replace what is held (LAST, hosts); the pieces are held as views; the interval map and `next` move on. See strm.h
 * for the picture and the invariants.
 */
#include "stream/chunk.h"

#include <string.h>

#include <errno.h>

#include "base/errtext.h"

void strm_env_init(struct strm_env *e, struct memacct *acct, uint32_t limit, uint32_t ooo_limit)
{
    memset(e, 0, sizeof(*e));
    e->acct = acct;
    e->limit = limit;
    e->ooo_limit = ooo_limit;
    pool_init(&e->strms, "stream", sizeof(struct strm), 8, 1u << STRMS_SHIFT, 0, acct);
    pool_init(&e->chunks, "chunk", sizeof(struct chunk), 8, 1u << CHUNKS_SHIFT, 0, acct);
    blkpool_init(&e->blks, acct);
    e->strms.vital = e->chunks.vital = true;
    for (int i = 0; i < BLK_CLASSES; i++)
        e->blks.cls[i].vital = true;
}

void strm_env_fini(struct strm_env *e)
{
    pool_fini(&e->strms);
    pool_fini(&e->chunks);
    blkpool_fini(&e->blks);
}

struct strm *strm_get(struct strm_env *e, struct flow_side *sd)
{
    struct strm *s;

    if (sd->strm)
        return strm_at(e, sd->strm);
    sd->strm = pool_zalloc(&e->strms);
    if (sd->strm == 0)
        return NULL;
    s = strm_at(e, sd->strm);
    s->limit = e->limit;
    s->ooo_limit = e->ooo_limit;
    s->readable = s->read_to = sd->next;
    return s;
}

void strm_put(struct strm_env *e, struct flow_side *sd)
{
    const struct strm *s;

    if (sd->strm == 0)
        return;
    s = strm_at(e, sd->strm);
    if (s->head || s->ooo.n || s->gap.n || s->syn_len || s->sized || s->lost)
        return;
    if ((sd->flags & SIDE_LAST) && s->readable != sd->next)
        return;
    if (s->hole_since &&
        s->hole_off == sd->next) /* known by an ACK alone; it must be able to age */
        return;
    pool_free(&e->strms, sd->strm);
    sd->strm = 0;
}

void strm_drop(struct strm_env *e, struct flow_side *sd)
{
    struct strm *s;

    if (sd->strm == 0)
        return;
    s = strm_at(e, sd->strm);
    chunk_drop_all(e, s);
    strm_rival_cut(e, s, 0);
    strm_host_free(e, s);
    ival_free_all(e, &s->ooo);
    s->ooo_bytes = 0;
    strm_ooo_count(e, sd->strm);
    ival_free_all(e, &s->gap);
    pool_free(&e->strms, sd->strm);
    sd->strm = 0;
}

/*
 * first_seen: the first byte from off on that lies in one of the list's intervals (there is one).
 */
static uint64_t first_seen(const struct strm_env *e, const struct ivals *list, uint64_t off)
{
    const struct ival *v = ival_at(e, list, ival_find(e, list, off + 1));

    return v->start > off ? v->start : off;
}

bool strm_fresh(const struct strm_env *e, const struct flow_side *sd, uint64_t *from, uint64_t *to)
{
    const struct ivals *seen = sd->strm ? &strm_at(e, sd->strm)->ooo : NULL;
    const struct ival *v;
    uint32_t k;

    if (*from < sd->next)
        *from = sd->next;
    if (seen == NULL || (k = ival_find(e, seen, *from + 1)) == seen->n)
        return *from < *to;
    v = ival_at(e, seen, k);
    if (v->start <= *from) {
        *from = v->end;
        v = k + 1 < seen->n ? ival_at(e, seen, k + 1) : NULL;
    }
    if (v && v->start < *to)
        *to = v->start;
    return *from < *to;
}

uint64_t strm_held_in(const struct strm_env *e, const struct flow_side *sd, uint64_t from,
                      uint64_t to)
{
    return sd->strm ? chunk_sum(e, strm_at(e, sd->strm), from, to) : 0;
}

struct strm_overlap strm_overlap(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                                 uint32_t len)
{
    struct strm_overlap o = {0};
    uint64_t end = off + len;

    o.first = off;
    if (off < sd->next)
        o.dup = (uint32_t)((end < sd->next ? end : sd->next) - off);
    if (sd->strm) {
        const struct strm *s = strm_at(e, sd->strm);
        uint32_t seen = (uint32_t)ival_cover(e, &s->ooo, off, end);

        if (o.dup == 0 && seen)
            o.first = first_seen(e, &s->ooo, off);
        o.dup += seen;
        o.late = (uint32_t)ival_cover(e, &s->gap, off, end);
    }
    return o;
}

/*
 * set_aside_forget: bytes that wait aside come as ordinary data, in [off, to), or are given up: the
 * copy set aside was not taken, from there on.
 */
static void set_aside_forget(struct strm_env *e, struct strm *s, uint64_t off, uint64_t to)
{
    uint64_t end = s->aside + s->syn_len, from = off > s->aside && s->doubted ? off : s->aside;

    if (s->syn_len == 0 || off >= end || to <= s->aside)
        return;
    chunk_cut(e, s, from, end);
    s->syn_len = (uint32_t)(from - s->aside);
    s->doubted = s->doubted && s->syn_len;
}

/*
 * settle: a gap that ends at `to` is forgotten: what lies below must not be rewritten, or it would
 * be filled in.
 */
static void settle(struct strm *s, uint64_t to)
{
    if (to > s->settled)
        s->settled = to;
}

/* remember_gap: [from, to) is lost for good. */
static void remember_gap(struct strm_env *e, struct strm *s, uint64_t from, uint64_t to)
{
    if (ival_add(e, &s->gap, from, to) == UINT64_MAX)
        settle(s, to);
    while (s->gap.n > STRM_GAPS) {
        settle(s, ival_at(e, &s->gap, 0)->end);
        ival_pop(e, &s->gap);
    }
}

/*
 * hold: view of [from, to) of this payload. The tail that was never captured is remembered as lost.
 */
static void hold(struct strm_env *e, struct strm *s, const struct strm_in *in, uint64_t from,
                 uint64_t to, uint32_t *cut)
{
    uint64_t cap_end = in->off + in->len, mid = to < cap_end ? to : cap_end;

    if (mid < from)
        mid = from;
    if (in->store && mid > from &&
        chunk_add(e, s, from, in->data + (from - in->off), (uint32_t)(mid - from)) < 0)
        chunk_lost(e, from, mid);
    if (mid < to) {
        remember_gap(e, s, mid, to);
        *cut += (uint32_t)(to - mid);
    }
}

/* hold_around: hold what of [from, to) is in none of the list's intervals. => bytes. */
static uint64_t hold_around(struct strm_env *e, struct strm *s, const struct strm_in *in,
                            const struct ivals *list, uint64_t from, uint64_t to, uint32_t *cut)
{
    uint32_t k = ival_find(e, list, from + 1);
    uint64_t sum = 0;

    for (; from < to; k++) {
        const struct ival *v = k < list->n ? ival_at(e, list, k) : NULL;
        uint64_t stop = to, past = to;

        if (v && v->start < to) {
            stop = v->start > from ? v->start : from;
            past = v->end;
        }
        if (stop > from) {
            hold(e, s, in, from, stop, cut);
            sum += stop - from;
        }
        from = past;
    }
    return sum;
}

/* absorb: intervals that `next` has reached become in order. */
static void absorb(struct strm_env *e, struct flow_side *sd, struct strm *s)
{
    bool any = s->ooo.n && ival_at(e, &s->ooo, 0)->start <= sd->next;

    while (s->ooo.n && ival_at(e, &s->ooo, 0)->start <= sd->next) {
        const struct ival *v = ival_at(e, &s->ooo, 0);

        s->ooo_bytes -= (uint32_t)(v->end - v->start);
        if (v->end > sd->next)
            sd->next = v->end;
        above_pop(e, s);
    }
    if (any)
        strm_ooo_count(e, sd->strm);
    strm_host_drain(e, sd, s);
}

/*
 * rewrite: hold [from, to) from this payload, as far as it was captured, not read and not declared
 * lost.
 */
static void rewrite(struct strm_env *e, struct strm *s, const struct strm_in *in, uint64_t from,
                    uint64_t to)
{
    uint64_t floor = s->read_to > s->settled ? s->read_to : s->settled, cap_end = in->off + in->len;
    uint32_t none = 0;

    if (from < floor)
        from = floor;
    if (from < in->off)
        from = in->off;
    if (to > cap_end)
        to = cap_end;
    if (from >= to)
        return;
    chunk_cut(e, s, from, to);
    hold_around(e, s, in, &s->gap, from, to, &none);
}

/* rewrite_seen: hold this payload where [from, to) was seen out of order. */
static void rewrite_seen(struct strm_env *e, struct strm *s, const struct strm_in *in,
                         uint64_t from, uint64_t to)
{
    for (uint32_t k = ival_find(e, &s->ooo, from + 1); k < s->ooo.n; k++) {
        const struct ival *v = ival_at(e, &s->ooo, k);

        if (v->start >= to)
            break;
        rewrite(e, s, in, v->start > from ? v->start : from, v->end < to ? v->end : to);
    }
}

/* replace: bytes seen before are taken from this payload, as far as the policy says so. */
static void replace(struct strm_env *e, const struct flow_side *sd, struct strm *s,
                    const struct strm_in *in)
{
    uint64_t from = in->off > sd->next ? in->off : sd->next, end = in->off + in->wire_len;

    if ((sd->flags & SIDE_LAST) && in->store) {
        rewrite(e, s, in, in->off, sd->next);
        rewrite_seen(e, s, in, in->off, end);
    } else if (overlap_by_host(sd->policy) && from < end && (s->ooo.n || from > sd->next)) {
        struct span run = strm_host_insert(e, sd, s, from, end);

        if (in->store)
            rewrite_seen(e, s, in, run.start, run.end);
    }
}

/* insert_bare: there is no memory for a stream: an in-order payload at least moves `next` on. */
static uint32_t insert_bare(struct strm_env *e, struct flow_side *sd, const struct strm_in *in,
                            uint32_t *cut)
{
    uint64_t from = in->off > sd->next ? in->off : sd->next;
    uint64_t end = in->off + in->wire_len, mid = in->off + in->len;

    if (mid < from)
        mid = from;
    if (from > sd->next) {
        e->failed += in->store ? mid - from : 0;
        e->unnoted++;
        return 0;
    }
    if (in->store && mid > from)
        chunk_lost(e, from, mid);
    *cut = (uint32_t)(end - mid);
    sd->next = end;
    return (uint32_t)(end - from);
}

/* alone: does [from, end) touch no interval, so that it needs one of its own? */
static bool alone(const struct strm_env *e, const struct flow_side *sd, const struct strm *s,
                  uint64_t from, uint64_t end)
{
    return from > sd->next && ival_cover(e, &s->ooo, from - 1, end + 1) == 0;
}

/* insert_above: [from, end) lies behind a hole. => bytes that were new. */
static uint32_t insert_above(struct strm_env *e, struct flow_side *sd, struct strm *s,
                             const struct strm_in *in, uint64_t from, uint64_t end, uint32_t *cut)
{
    uint64_t upto = above_widen(e, s, from, end), fresh = upto - from;

    if (fresh)
        hold(e, s, in, from, upto, cut);
    if (upto < end) {
        fresh += hold_around(e, s, in, &s->ooo, upto, end, cut);
        ival_add(e, &s->ooo, from, end);
    }
    s->ooo_bytes += (uint32_t)fresh;
    strm_ooo_count(e, sd->strm);
    return (uint32_t)fresh;
}

/* insert_slow: there is a hole, a stream, bytes to hold, or a cut tail. */
static uint32_t insert_slow(struct strm_env *e, struct flow_side *sd, const struct strm_in *in,
                            uint32_t *cut)
{
    uint64_t end = in->off + in->wire_len, from = in->off > sd->next ? in->off : sd->next, fresh;
    bool last = (sd->flags & SIDE_LAST) && in->store && sd->strm;
    struct strm *s;

    if (in->wire_len == 0 || (end <= sd->next && !last))
        return 0;
    s = strm_get(e, sd);
    if (s == NULL)
        return insert_bare(e, sd, in, cut);
    if (alone(e, sd, s, from, end) && !ival_room(e, &s->ooo)) { /* nothing has changed */
        e->failed += in->store ? in->len : 0;
        e->unnoted++;
        return 0;
    }
    set_aside_forget(e, s, in->off, end);
    replace(e, sd, s, in);
    if (from >= end)
        return 0;
    if (from == sd->next) {
        fresh = hold_around(e, s, in, &s->ooo, from, end, cut);
        sd->next = end;
        absorb(e, sd, s);
    } else {
        fresh = insert_above(e, sd, s, in, from, end, cut);
    }
    if (sd->flags & SIDE_LAST)
        strm_ack(e, sd, s->acked);
    return (uint32_t)fresh;
}

uint32_t strm_insert(struct strm_env *e, struct flow_side *sd, const struct strm_in *in,
                     uint32_t *cut)
{
    *cut = 0;
    if (likely(in->off <= sd->next && sd->strm == 0 && in->len == in->wire_len && !in->store)) {
        uint64_t end = in->off + in->wire_len, old = sd->next;

        if (end > old)
            sd->next = end;
        return (uint32_t)(sd->next - old);
    }
    return insert_slow(e, sd, in, cut);
}

void strm_append(struct strm_env *e, struct flow_side *sd, const uint8_t *data, uint32_t len,
                 bool store)
{
    struct strm *s = store ? strm_get(e, sd) : NULL;

    if (store && (s == NULL || chunk_append(e, s, sd->next, data, len) < 0))
        chunk_lost(e, sd->next, sd->next + len);
    sd->next += len;
}

uint64_t strm_predict(const struct strm_env *e, const struct flow_side *sd, uint64_t off,
                      uint32_t len)
{
    uint64_t next = sd->next;

    if (off > next || off + len <= next)
        return next;
    next = off + len;
    if (sd->strm) {
        const struct ivals *seen = &strm_at(e, sd->strm)->ooo;
        uint32_t k = ival_find(e, seen, next);

        if (k < seen->n && ival_at(e, seen, k)->start <= next)
            next = ival_at(e, seen, k)->end;
    }
    return next;
}

bool strm_full(const struct strm_env *e, const struct flow_side *sd)
{
    const struct strm *s;

    if (sd->strm == 0)
        return false;
    s = strm_at(e, sd->strm);
    return s->ooo_bytes > s->ooo_limit || s->ooo.n > STRM_IVALS;
}

bool strm_hole(const struct strm_env *e, const struct flow_side *sd, uint64_t upto, uint64_t *off,
               uint64_t *len)
{
    uint64_t end = upto;

    if (sd->strm) {
        const struct strm *s = strm_at(e, sd->strm);

        if (s->ooo.n)
            end = ival_at(e, &s->ooo, 0)->start;
    }
    if (end <= sd->next)
        return false;
    *off = sd->next;
    *len = end - sd->next;
    return true;
}

uint64_t strm_held(const struct strm_env *e, const struct flow_side *sd)
{
    return sd->strm ? chunk_sum(e, strm_at(e, sd->strm), 0, sd->next) : 0;
}

uint64_t strm_skip(struct strm_env *e, struct flow_side *sd, uint64_t upto)
{
    uint64_t from = sd->next, end = upto;
    struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;

    if (s && s->ooo.n && ival_at(e, &s->ooo, 0)->start < end)
        end = ival_at(e, &s->ooo, 0)->start;
    if (end <= from)
        return 0;
    s = strm_get(e, sd);
    if (s)
        set_aside_forget(e, s, from, end);
    sd->next = end;
    if (s) {
        remember_gap(e, s, from, end);
        absorb(e, sd, s);
        if (sd->flags & SIDE_LAST)
            strm_ack(e, sd, end);
    }
    return end - from;
}

bool strm_ack(struct strm_env *e, struct flow_side *sd, uint64_t off)
{
    struct strm *s;
    uint64_t to;

    if (sd->strm == 0)
        return false;
    s = strm_at(e, sd->strm);
    if (off > s->acked)
        s->acked = off;
    to = s->acked < sd->next ? s->acked : sd->next;
    if (to <= s->readable)
        return false;
    s->readable = to;
    return (sd->flags & SIDE_LAST) != 0;
}

bool strm_syn_hold(struct strm_env *e, struct flow_side *sd, const uint8_t *data, uint32_t len)
{
    struct strm *s;
    bool held;

    if (len == 0 || sd->next != 0)
        return true;
    s = strm_get(e, sd);
    if (s && (s->syn_len || s->ooo.n)) /* repeated, or after what follows it */
        return true;
    held = s && chunk_add(e, s, 0, data, len) == 0;
    if (!held)
        e->failed += len;
    if (s) {
        s->syn_len = len;
        s->aside = 0;
    }
    return held;
}

bool strm_take_lost(struct strm_env *e, const struct flow_side *sd, struct strm_run *run)
{
    struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;

    while (e->nlost) {
        *run = e->lost[0];
        memmove(e->lost, e->lost + 1, --e->nlost * sizeof(*run));
        if (s && run->off < s->read_to)
            run->off = s->read_to;
        if (s && s->syn_len && run->end > s->aside && run->off < s->aside + s->syn_len) {
            uint64_t off = run->off;

            run->end = s->aside;
            set_aside_forget(e, s, off, UINT64_MAX);
        }
        if (run->off >= run->end)
            continue;
        if (s)
            remember_gap(e, s, run->off, run->end);
        return true;
    }
    return false;
}

bool strm_doubt(struct strm_env *e, struct flow_side *sd, uint64_t off, const uint8_t *data,
                uint32_t len, bool ahead)
{
    struct strm *s = strm_get(e, sd);
    uint64_t aside;

    if (s == NULL || (s->syn_len && !s->doubted))
        return false;
    if (s->syn_len && off == sd->next && s->aside > off) /* what is in order is more likely taken */
        set_aside_forget(e, s, s->aside, UINT64_MAX);
    aside = s->syn_len ? s->aside : ahead ? off : sd->next;
    if (off != aside + s->syn_len || aside < sd->next || (aside > sd->next && !ahead) ||
        s->syn_len + len > UINT16_MAX || ival_cover(e, &s->ooo, off, off + len))
        return false;
    if (chunk_add(e, s, off, data, len) < 0)
        return false;
    s->aside = aside;
    s->syn_len += len;
    s->doubted = true;
    return true;
}

uint32_t strm_doubt_take(struct strm_env *e, struct flow_side *sd, uint64_t upto, bool store)
{
    struct strm *s = sd->strm ? strm_at(e, sd->strm) : NULL;
    uint64_t n = upto > sd->next ? upto - sd->next : 0;

    if (s == NULL || !s->doubted || s->aside != sd->next || n == 0)
        return 0;
    if (n > s->syn_len)
        n = s->syn_len;
    if (!store)
        chunk_cut(e, s, sd->next, sd->next + n);
    s->syn_len -= (uint32_t)n;
    s->doubted = s->syn_len > 0;
    sd->next += n;
    s->aside = sd->next;
    absorb(e, sd, s);
    if (sd->flags & SIDE_LAST)
        strm_ack(e, sd, s->acked);
    return (uint32_t)n;
}

uint32_t strm_syn_take(struct strm_env *e, struct flow_side *sd, uint32_t n, bool store)
{
    struct strm *s;
    uint32_t held;

    if (sd->strm == 0)
        return 0;
    s = strm_at(e, sd->strm);
    held = s->syn_len;
    if (n > held)
        n = held;
    s->syn_len = 0;
    s->doubted = false;
    chunk_cut(e, s, s->aside + (store ? n : 0), s->aside + held);
    if (store && n && chunk_sum(e, s, s->aside, s->aside + n) == 0)
        chunk_note_lost(e, s->aside, s->aside + n); /* counted when they came */
    sd->next += n;
    absorb(e, sd, s);
    if (sd->flags & SIDE_LAST)
        strm_ack(e, sd, s->acked);
    return n;
}

/* common: bytes of the chunk in [from, to). */
static uint64_t common(const struct chunk *c, uint64_t from, uint64_t to)
{
    uint64_t a = c->off > from ? c->off : from, b = chunk_end(c) < to ? chunk_end(c) : to;

    return b > a ? b - a : 0;
}

static bool check_chunks(const struct strm_env *e, const struct strm *s, uint64_t next,
                         bool after_own)
{
    uint64_t last = 0;
    uint32_t tail = 0;

    for (uint32_t i = s->head; i; i = chunk_at(e, i)->next) {
        const struct chunk *c = chunk_at(e, i);

        if (c->len == 0 || c->off < last)
            return err_set(EINVAL, "chunk at %llu overlaps or is empty",
                           (unsigned long long)c->off) == 0;
        if (after_own && c->blk == 0)
            return err_set(EINVAL, "chunk at %llu still borrowed", (unsigned long long)c->off) == 0;
        last = chunk_end(c);
        tail = i;
        if (ival_cover(e, &s->ooo, c->off, last) + common(c, 0, next) +
                common(c, s->aside, s->aside + s->syn_len) <
            c->len)
            return err_set(EINVAL, "chunk at %llu holds bytes never seen",
                           (unsigned long long)c->off) == 0;
    }
    if (tail != s->tail)
        return err_set(EINVAL, "tail is not the last chunk") == 0;
    return true;
}

static bool check_gaps(const struct strm_env *e, const struct strm *s)
{
    uint64_t last = 0;

    for (uint32_t k = 0; k < s->gap.n; k++) {
        const struct ival *v = ival_at(e, &s->gap, k);

        if ((k && v->start <= last) || v->end <= v->start)
            return err_set(EINVAL, "gap at %llu touches its neighbour",
                           (unsigned long long)v->start) == 0;
        last = v->end;
    }
    if (s->gap.n > STRM_GAPS)
        return err_set(EINVAL, "too many gaps") == 0;
    return true;
}

bool strm_check(const struct strm_env *e, const struct flow_side *sd, bool after_own)
{
    const struct strm *s;
    uint64_t last = sd->next, sum = 0;

    if (sd->strm == 0)
        return true;
    s = strm_at(e, sd->strm);
    for (uint32_t k = 0; k < s->ooo.n; k++) {
        const struct ival *v = ival_at(e, &s->ooo, k);

        if (v->start <= last || v->end <= v->start)
            return err_set(EINVAL, "interval at %llu touches its neighbour",
                           (unsigned long long)v->start) == 0;
        last = v->end;
        sum += v->end - v->start;
    }
    if (s->host && (s->ooo.n == 0 || !overlap_by_host(sd->policy)))
        return err_set(EINVAL, "a host's queue of nothing") == 0;
    if (sum != s->ooo_bytes)
        return err_set(EINVAL, "interval sums disagree") == 0;
    return check_gaps(e, s) && check_chunks(e, s, sd->next, after_own) && above_check(e, s);
}
