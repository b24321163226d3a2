// SPDX-License-Identifier: BSD-2-Clause
/*
 * editkeep.c: what is kept of edited flows beside the maps: frames that wait, payload that is held, the
 * list of those that hold, and all of it written out and read in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "conn/conn_int.h"
#include "conn/editint.h"
#include "io/io.h"
#include "wire/decode.h"

enum { HEAD = 128, TAIL = 512 };

/* ---- memory ---- */

void *edit_alloc(struct conn_env *env, size_t n)
{
    struct memacct *a = &env->acct;
    void *p = a->limit && a->used + n > a->limit ? NULL : malloc(n);

    if (p == NULL) {
        env->reasons[REASON_EDIT_MEM]++;
        return NULL;
    }
    a->used += n;
    return p;
}

void edit_release(struct conn_env *env, void *p, size_t n)
{
    free(p);
    env->acct.used -= n;
}

uint8_t *edit_mix(struct conn_env *env)
{
    if (env->edit.mix == NULL)
        env->edit.mix = edit_alloc(env, EDIT_MIX);
    return env->edit.mix;
}

void edit_fini(struct conn_env *env)
{
    free(env->edit.mix);
    free(env->edit.big);
    pool_fini(&env->edit.flows);
}

/* ---- frames ---- */

static struct kept_frame *new_frame(struct conn_env *env, uint16_t linktype, uint32_t len)
{
    uint32_t head = HEAD + io_align(linktype);
    size_t size = sizeof(struct kept_frame) + head + len + TAIL;
    struct kept_frame *k = edit_alloc(env, size);

    if (k == NULL)
        return NULL;
    memset(k, 0, sizeof(*k));
    k->size = size;
    k->pb.data = (uint8_t *)(k + 1) + head;
    k->pb.len = k->pb.wire_len = len;
    k->pb.cap = len + TAIL;
    k->pb.headroom = (uint16_t)head;
    k->pb.linktype = linktype;
    k->pb.refs = 1;
    return k;
}

/* like: what is known of a frame beside its bytes. */
static void like(struct pktbuf *pb, const struct pktbuf *from)
{
    pb->flags = (uint8_t)(PB_MADE | (from->flags & (PB_CSUM_GOOD | PB_CSUM_PART)));
    pb->in_if = from->in_if;
    pb->realm = from->realm;
    pb->slot = from->slot;
    pb->csum_start = from->csum_start;
    pb->csum_off = from->csum_off;
    pb->gso_size = from->gso_size;
    pb->gso_type = from->gso_type;
}

struct kept_frame *edit_copy(struct conn_env *env, const struct seg *s, uint32_t off, uint32_t len)
{
    const struct pktbuf *from = s->pb;
    struct kept_frame *k = new_frame(env, from->linktype, s->pay_off + s->pcap);
    struct seg copy;

    if (k == NULL)
        return NULL;
    memcpy(k->pb.data, from->data, s->pay_off + s->pcap);
    like(&k->pb, from);
    decode(&copy, &k->pb);
    if (off + len < copy.pcap)
        edit_chomp(&copy, off + len, copy.pcap - off - len);
    if (off)
        edit_chomp(&copy, 0, off);
    k->payload = s->pay_off;
    return k;
}

void edit_drop_frame(struct conn_env *env, struct kept_frame *k)
{
    edit_release(env, k, k->size);
}

/* ---- what waits ---- */

/*
 * tell_block: what has come to wait is the first block of the next ACK, together with those told before
 * that it touches (RFC 2018 4).
 */
static void tell_block(struct edit_dir *d, const struct kept_frame *k)
{
    struct flow_range b = {.start = k->seq, .end = k->end}, old[ARRAY_SIZE(d->told)];
    uint8_t n = d->ntold;

    memcpy(old, d->told, sizeof(old));
    d->ntold = 1;
    for (int i = 0; i < n; i++) {
        if (seq_leq(old[i].start, b.end) && seq_leq(b.start, old[i].end)) {
            b.start = seq_lt(old[i].start, b.start) ? old[i].start : b.start;
            b.end = seq_max(b.end, old[i].end);
        } else if (d->ntold < ARRAY_SIZE(d->told) && seq_lt(edit_top(d), old[i].start)) {
            d->told[d->ntold++] = old[i];
        }
    }
    d->told[0] = b;
}

static struct kept_frame *wait_copy(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d,
                                    uint32_t off, bool sent)
{
    const struct seg *s = cp->s;
    struct kept_frame *k;

    if (d->waiting > EDIT_WAIT_MAX) {
        env->reasons[REASON_EDIT_MEM]++;
        return NULL;
    }
    k = edit_copy(env, s, off, s->pcap - off);
    if (k == NULL)
        return NULL;
    k->seq = env->edit.at.came + off;
    k->end = env->edit.at.came + s->plen + !!(s->tflags & TH_FIN_);
    k->sent = sent;
    if (edit_wait_in(d, k))
        return k;
    edit_drop_frame(env, k);
    return NULL;
}

bool edit_wait(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, bool sent)
{
    const struct kept_frame *k = wait_copy(env, cp, d, 0, sent);

    if (k)
        tell_block(d, k);
    cp->s->pb->flags |= PB_DROP;
    env->reasons[REASON_EDIT_WAIT] += k != NULL;
    edit_answer(env, cp, k != NULL);
    return true;
}

bool edit_wait_rest(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, uint32_t off)
{
    struct kept_frame *k = wait_copy(env, cp, d, off, true);
    struct edit_numbers n;
    struct seg s;

    if (k == NULL)
        return false;
    decode(&s, &k->pb);
    n = edit_numbers_of(&s);
    n.seq = k->seq;
    edit_renumber(&s, &n);
    return true;
}

/* takes: has the receiver room for the first that waits? What has grown may have filled its window. */
static bool takes(const struct conn_env *env, const struct flow *f, int to,
                  const struct edit_dir *d)
{
    uint32_t least = d->wait->end - d->wait->seq > 1;

    return env->edit.replay || !(f->side[to].flags & SIDE_EDGE) ||
           seq_leq(d->map.nxt_r + least, f->ctr[to].edge);
}

struct kept_frame *edit_next(struct conn_env *env, uint32_t idx, int *from)
{
    struct flow *f = flow_at(&env->ft, idx);
    struct flow_edit *fe = edit_of(env, f);

    for (int side = CLI; fe && side <= SVR; side++) {
        struct edit_dir *d = &fe->dir[side];

        while (d->on && d->wait && seq_leq(d->wait->seq, edit_top(d)) && takes(env, f, !side, d)) {
            struct kept_frame *k = edit_wait_out(d);

            *from = side;
            if (seq_lt(edit_top(d) + d->fin, k->end))
                return k;
            edit_drop_frame(env, k);
        }
    }
    return NULL;
}

/* ---- what is held ---- */

/* held_until: when the bytes of this flow are to leave, and whose. */
static uint64_t held_until(const struct flow_edit *fe, int *from)
{
    uint64_t when = UINT64_MAX;

    for (int side = CLI; side <= SVR; side++) {
        const struct edit_dir *d = &fe->dir[side];

        if (d->held && conn_later(d->since, EDIT_HOLD_NS) < when) {
            when = conn_later(d->since, EDIT_HOLD_NS);
            *from = side;
        }
    }
    return when;
}

static struct flow_edit *holder(const struct conn_env *env, uint32_t ref)
{
    return ref ? pool_at(&env->edit.flows, ref) : NULL;
}

void edit_list(struct conn_env *env, struct flow_edit *fe)
{
    struct edit_env *e = &env->edit;
    struct flow_edit *before;
    int from;

    edit_unlist(env, fe);
    fe->due = held_until(fe, &from);
    if (fe->due == UINT64_MAX)
        return;
    before = holder(env, e->holds_last);
    while (before && before->due > fe->due) /* near the end as a rule */
        before = holder(env, before->prev);
    fe->prev = before ? before->self : 0;
    fe->next = before ? before->next : e->holds;
    *(before ? &before->next : &e->holds) = fe->self;
    *(fe->next ? &holder(env, fe->next)->prev : &e->holds_last) = fe->self;
    fe->listed = true;
}

void edit_unlist(struct conn_env *env, struct flow_edit *fe)
{
    struct edit_env *e = &env->edit;

    if (!fe->listed)
        return;
    *(fe->prev ? &holder(env, fe->prev)->next : &e->holds) = fe->next;
    *(fe->next ? &holder(env, fe->next)->prev : &e->holds_last) = fe->prev;
    fe->listed = false;
}

uint32_t edit_due(const struct conn_env *env, uint64_t now, int *from)
{
    const struct flow_edit *fe;

    if (likely(env->edit.holds == 0))
        return 0;
    fe = pool_at(&env->edit.flows, env->edit.holds);
    return held_until(fe, from) <= now ? fe->flow : 0;
}

uint64_t edit_when(const struct conn_env *env)
{
    int from;

    if (likely(env->edit.holds == 0))
        return UINT64_MAX;
    return held_until(pool_at(&env->edit.flows, env->edit.holds), &from);
}

struct kept_frame *edit_flush(struct conn_env *env, uint32_t idx, int from)
{
    struct flow_edit *fe = edit_of(env, flow_at(&env->ft, idx));
    struct kept_frame *k;
    struct edit_numbers n;
    struct seg s;

    if (fe == NULL || fe->dir[from].held == NULL)
        return NULL;
    k = fe->dir[from].held;
    fe->dir[from].held = NULL;
    edit_list(env, fe);
    env->reasons[REASON_EDIT_FLUSH]++;
    decode(&s, &k->pb);
    n = edit_numbers_of(&s);
    n.seq = k->seq;
    n.tflags = (uint8_t)((n.tflags & ~(TH_URG_ | TH_FIN_)) | TH_PSH_);
    edit_renumber(&s, &n);
    return k;
}

/* ---- the end of a flow ---- */

bool edit_lasts(const struct conn_env *env, const struct flow *f)
{
    const struct flow_edit *fe = f->asks ? edit_of(env, f) : NULL;

    if (likely(fe == NULL) || (f->flags & FLOW_RST) ||
        (fsm_done(f->side[CLI].state) && fsm_done(f->side[SVR].state)))
        return false;
    for (int i = CLI; i <= SVR; i++) {
        const struct edit_dir *d = &fe->dir[i];

        if (d->on && (seqmap_shifts(&d->map) || d->held || d->wait))
            return true;
    }
    return false;
}

static void drop_dir(struct conn_env *env, struct edit_dir *d)
{
    while (d->wait)
        edit_drop_frame(env, edit_wait_out(d));
    if (d->held)
        edit_drop_frame(env, d->held);
    env->acct.used -= d->map.kept;
    seqmap_fini(&d->map);
    *d = (struct edit_dir){0};
}

void edit_free(struct conn_env *env, struct flow *f)
{
    struct flow_edit *fe = edit_of(env, f);
    struct flow_ext *x;

    if (fe == NULL)
        return;
    edit_unlist(env, fe);
    drop_dir(env, &fe->dir[CLI]);
    drop_dir(env, &fe->dir[SVR]);
    x = pool_at(&env->ft.exts, f->ext);
    pool_free(&env->edit.flows, x->edit);
    x->edit = 0;
}

/* ---- images ---- */

static void put_frame(struct image *im, const struct kept_frame *k)
{
    image_put_val(im, *k);
    image_put(im, k->pb.data, k->pb.len);
}

/* unsound: it was written by nobody. => false. */
static bool unsound(struct image *im)
{
    im->bad = true;
    return false;
}

/* is_bool: bytes from elsewhere may be none. */
static bool is_bool(const bool *b)
{
    uint8_t v;

    memcpy(&v, b, sizeof(v));
    return v <= 1;
}

/* sound_frame: is it the segment that it is said to be? */
static bool sound_frame(struct kept_frame *k)
{
    const struct pktbuf *pb = &k->pb;
    uint32_t n = k->end - k->seq;
    struct seg s;

    if ((pb->flags & PB_CSUM_PART) && pb->csum_start + pb->csum_off + 2u > pb->len)
        return false;
    return decode(&s, &k->pb) == REASON_NONE && s.level == SEG_TCP && s.pay_off == k->payload &&
           s.pcap == s.plen && n == s.plen + !!(s.tflags & TH_FIN_);
}

/* get_frame: => NULL: cut off, unsound, or no memory. */
static struct kept_frame *get_frame(struct conn_env *env, struct image *im)
{
    struct kept_frame was, *k;

    if (!image_get_val(im, was))
        return NULL;
    if (was.pb.len > im->len - im->at || !is_bool(&was.sent)) {
        unsound(im);
        return NULL;
    }
    k = new_frame(env, was.pb.linktype, was.pb.len);
    if (k == NULL)
        return NULL;
    like(&k->pb, &was.pb);
    k->seq = was.seq;
    k->end = was.end;
    k->payload = was.payload;
    k->sent = was.sent;
    if (image_get(im, k->pb.data, k->pb.len) && (sound_frame(k) || unsound(im)))
        return k;
    edit_drop_frame(env, k);
    return NULL;
}

static void put_dir(const struct edit_dir *d, struct image *im)
{
    uint32_t waits = 0;

    image_put_val(im, *d);
    for (uint32_t i = 0; i < d->map.n; i++) {
        const struct seqedit *e = &d->map.v[d->map.head + i];

        image_put_val(im, *e);
        image_put(im, e->bytes, e->rlen);
    }
    if (d->held)
        put_frame(im, d->held);
    for (const struct kept_frame *k = d->wait; k; k = k->next)
        waits++;
    image_put_val(im, waits);
    for (const struct kept_frame *k = d->wait; k; k = k->next)
        put_frame(im, k);
}

static bool get_map(struct conn_env *env, struct seqmap *m, const struct seqmap *was,
                    struct image *im)
{
    if (!is_bool(&was->cut))
        return unsound(im);
    *m = *was;
    m->v = NULL;
    m->head = m->n = m->cap = 0;
    m->kept = 0;
    m->moves = 0;
    for (uint32_t i = 0; i < was->n; i++) {
        struct seqedit e;
        const uint8_t *bytes;

        if (!image_get_val(im, e) || !seqmap_reserve(m))
            return false;
        bytes = image_view(im, e.rlen);
        if (bytes == NULL)
            return false;
        e.bytes = e.rlen ? edit_alloc(env, e.rlen) : NULL;
        if (e.rlen && e.bytes == NULL)
            return false;
        if (e.rlen)
            memcpy(e.bytes, bytes, e.rlen);
        m->v[m->n++] = e;
        m->kept += e.rlen;
        m->moves += e.slen != e.rlen;
    }
    return seqmap_sound(m) || unsound(im);
}

static bool get_waiting(struct conn_env *env, struct edit_dir *d, struct image *im)
{
    uint32_t n;

    image_get_val(im, n);
    for (; n && !im->bad; n--) {
        struct kept_frame *k = get_frame(env, im);

        if (k == NULL)
            return false;
        if (edit_wait_in(d, k))
            continue;
        edit_drop_frame(env, k);
        return unsound(im);
    }
    return !im->bad;
}

static bool get_dir(struct conn_env *env, struct edit_dir *d, struct image *im)
{
    struct edit_dir was;

    if (!image_get_val(im, was))
        return false;
    if (!is_bool(&was.on) || !is_bool(&was.fin) || !is_bool(&was.below) ||
        was.ntold > ARRAY_SIZE(was.told))
        return unsound(im);
    d->on = was.on;
    d->fin = was.fin;
    d->start = was.start;
    d->below = was.below;
    d->longest = was.longest;
    d->path = was.path;
    d->tsval = was.tsval;
    d->since = was.since;
    d->ntold = was.ntold;
    d->part = was.part;
    memcpy(d->told, was.told, sizeof(d->told));
    if (!get_map(env, &d->map, &was.map, im))
        return false;
    if (d->on && d->below && seq_lt(d->map.nxt_s, d->start)) /* it begins in what has passed */
        return unsound(im);
    if (was.held) {
        d->held = get_frame(env, im);
        if (d->held == NULL)
            return false;
        if (d->held->seq != d->map.nxt_s)
            return unsound(im);
    }
    if (!get_waiting(env, d, im))
        return false;
    return d->on || (!d->map.n && !d->held && !d->wait) || unsound(im);
}

void edit_export(const struct conn_env *env, const struct flow *f, struct image *im)
{
    const struct flow_edit *fe = edit_of(env, f);
    uint8_t has = fe != NULL;

    image_put_val(im, has);
    if (!has)
        return;
    put_dir(&fe->dir[CLI], im);
    put_dir(&fe->dir[SVR], im);
}

bool edit_import(struct conn_env *env, uint32_t idx, struct image *im)
{
    struct flow *f = flow_at(&env->ft, idx);
    struct flow_ext *x;
    struct flow_edit *fe;
    uint8_t has;

    if (!image_get_val(im, has) || !has)
        return !im->bad;
    if (has > 1)
        return unsound(im);
    x = flow_ext_get(&env->ft, f);
    if (x)
        x->edit = pool_zalloc(&env->edit.flows);
    if (x == NULL || x->edit == 0)
        return false;
    fe = pool_at(&env->edit.flows, x->edit);
    fe->flow = idx;
    fe->self = x->edit;
    if (!get_dir(env, &fe->dir[CLI], im) || !get_dir(env, &fe->dir[SVR], im))
        return false;
    edit_list(env, fe);
    return true;
}
