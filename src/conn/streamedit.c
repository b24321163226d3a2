// SPDX-License-Identifier: BSD-2-Clause
/*
 * streamedit.c: the way of a segment whose flow is edited (streamedit.h has the order). What becomes
 * of it is decided when it comes, by where it lies:
 *
 *      S <-- sender's numbers --> nxt         top
 *      ---------- has passed ------|--- held ---|--- to come
 *
 *      ends at top or before      OLD     rebuilt from what is kept; shown without payload
 *      ends behind top            FRESH   what lies before nxt is rebuilt, held bytes and the new ones are
 *                                         shown to the application
 *      begins behind top          WAIT
 *      no payload, no FIN         BARE
 */
#include "conn/streamedit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "conn/conn_int.h"
#include "conn/editint.h"

struct flow_edit *edit_of(const struct conn_env *env, const struct flow *f)
{
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    return x && x->edit ? pool_at(&env->edit.flows, x->edit) : NULL;
}

/* ---- what it is ---- */

/* in_window: does it end where the receiver takes it? */
static bool in_window(const struct flow *f, int to, uint32_t end)
{
    return !(f->side[to].flags & SIDE_EDGE) || seq_leq(end, f->ctr[to].edge);
}

static enum edit_what classify(const struct conn_env *env, const struct conn_pkt *cp,
                               const struct edit_dir *d)
{
    const struct seg *s = cp->s;
    uint32_t top = edit_top(d), end = s->seq + s->plen;
    bool fin = s->tflags & TH_FIN_, new_fin = fin && !d->fin && seq_leq(top, end);
    bool fresh = (s->plen && seq_lt(top, end)) || new_fin;

    if (s->tflags & (TH_SYN_ | TH_RST_))
        return EDIT_NUMBERS;
    if (s->pcap != s->plen || ((s->flags & SEG_HDR_CUT) && fin))
        return EDIT_CUT; /* nobody could keep it */
    if (!fresh)
        return s->plen || fin ? EDIT_OLD : EDIT_BARE;
    if (d->fin)
        return EDIT_PROBE;
    if (seq_lt(s->seq, d->map.nxt_s) && !env->edit.replay &&
        !in_window(cp->f, cp->to, d->map.nxt_r))
        return EDIT_OLD; /* what is new in it is not taken now */
    if (!seq_lt(top, s->seq))
        return EDIT_FRESH;
    return in_window(cp->f, cp->to, d->map.nxt_r + (end - d->map.nxt_s)) ? EDIT_WAITS : EDIT_PROBE;
}

/*
 * bare_r: the receiver's number of a segment without payload. That in front of the last is a question.
 * Behind a hole nobody knows it yet: an ACK has that of what has passed, and promises nothing.
 */
static uint32_t bare_r(const struct edit_dir *d, uint32_t s, bool bare)
{
    const struct seqmap *m = &d->map;
    uint32_t top = edit_top(d), r;

    if (!seq_lt(s, top))
        return m->nxt_r + (bare && s - top > d->fin ? d->fin : s - top);
    r = seq_lt(s, m->nxt_s) ? seqmap_to_r(m, s) : m->nxt_r;
    return s == top - 1 && r == m->nxt_r ? r - 1 : r;
}

/* older: is it an ACK that others have overtaken? A window is not taken back. */
static bool older(const struct conn_pkt *cp)
{
    const struct flow_side *snd = &cp->f->side[cp->from];
    uint32_t edge = cp->s->ack + tcp_window(cp->s->win, snd->wscale);

    return (snd->flags & SIDE_EDGE) && seq_lt(edge, cp->f->ctr[cp->from].edge);
}

/*
 * ack_r: the number of a bare ACK. An end that was told of less window than before has the window's end
 * there (Linux: tcp_acceptable_seq). Of the receiver's numbers that is one below what it has, and it drops
 * the ACK, or below what has told its window before, and it does not believe it (SND.WL1): each end
 * would wait for the other. So it is that of what has passed; but not where it asks for an answer.
 */
static uint32_t ack_r(const struct conn_pkt *cp, const struct edit_dir *d, uint32_t s)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];
    uint32_t r = bare_r(d, s, true), asks = edit_top(d) - 1, passed = d->map.nxt_r + d->fin;

    if (s == asks || s == seqmap_to_s(&d->map, rcv->ack) - 1)
        return r;
    if (!older(cp))
        r = seq_max(r, passed);
    return edit_acceptable(cp->f, cp->to, r, passed);
}

/* r_of: for conn_send. Of what is new the end counts, with a FIN: what is repeated may have another length. */
static uint32_t r_of(const struct conn_pkt *cp, const struct edit_dir *d, const struct conn_edit *e)
{
    const struct seqmap *m = &d->map;

    if (e->what == EDIT_BARE)
        return ack_r(cp, d, e->came);
    if (e->what == EDIT_NUMBERS)
        return e->beginning ? e->came : bare_r(d, e->came, false);
    if (seq_lt(e->came, m->nxt_s) && e->what != EDIT_FRESH)
        return seqmap_to_r(m, e->came);
    return e->what == EDIT_OLD ? m->nxt_r : m->nxt_r + (e->came - m->nxt_s);
}

/* measure: the longest datagram of this sender; of a large one each that it stands for. */
static void measure(struct edit_dir *d, const struct seg *s)
{
    uint32_t len = s->ip_len;

    if (s->pb->gso_size && s->plen > s->pb->gso_size)
        len = len - s->plen + s->pb->gso_size;
    if (d->longest < len)
        d->longest = len;
}

/*
 * stamp: what has waited leaves behind what came meanwhile: with its old timestamp the receiver would
 * not take it (RFC 7323 5.3).
 */
static void stamp(const struct conn_env *env, struct edit_dir *d, struct seg *s)
{
    struct edit_numbers n;

    if (!(s->flags & SEG_TS))
        return;
    if (seq_lt(d->tsval, s->tsval)) {
        d->tsval = s->tsval;
    } else if (env->edit.again && s->tsval != d->tsval) {
        n = edit_numbers_of(s);
        n.tsval = d->tsval;
        edit_renumber(s, &n);
    }
}

/*
 * of_beginning: a SYN, or what answers one: its numbers are of a connection's beginning, where nothing was changed,
 * this one's or that of another, which may take its place (reuse.c).
 */
static bool of_beginning(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow_ext *x = pool_at(&env->ft.exts, cp->f->ext);
    const struct seg *s = cp->s;

    if (s->tflags & TH_SYN_)
        return true;
    for (int i = 0; (s->tflags & TH_RST_) && (s->tflags & TH_ACK_) && i < x->nsyn; i++)
        if (x->syn[i].from == cp->to && s->ack - (x->syn[i].isn + 1) <= x->syn[i].len)
            return true;
    return false;
}

static void begin(struct conn_edit *e, struct conn_pkt *cp, struct flow_edit *fe)
{
    const struct seg *s = cp->s;

    memset(e, 0, sizeof(*e));
    e->fe = fe;
    e->came = e->s = e->r = s->seq;
    e->plen = s->plen;
    e->what = EDIT_BESIDE;
    cp->edited = true;
    cp->plain = false;
    cp->in_place = PLACE_NONE;
    conn_ruffle(cp->f);
}

/* acked_r: an ACK or the edge of a SACK block of what was sent, as if it was one of what becomes of it. */
static uint32_t acked_r(const struct edit_dir *o, uint32_t s)
{
    const struct seqmap *m = &o->map;

    if (seq_leq(s, m->nxt_s))
        return seqmap_to_r(m, s);
    return seq_leq(s, edit_top(o)) ? m->nxt_r : m->nxt_r + (s - edit_top(o));
}

/*
 * of_capture: in a capture the receiver has acknowledged what came to it then. What it has acknowledged
 * and the capture lacks is not waited for.
 */
static void of_capture(struct conn_pkt *cp, struct edit_dir *o)
{
    struct edit_numbers n = edit_numbers_of(cp->s);

    if (!o->on || !(n.tflags & TH_ACK_))
        return;
    if (o->wait && !o->held && seq_lt(edit_top(o), n.ack) && seq_leq(o->wait->seq, n.ack))
        seqmap_pass(&o->map, o->wait->seq - o->map.nxt_s);
    n.ack = acked_r(o, n.ack);
    for (int i = 0; i < n.nsack; i++) {
        n.sack[i].start = acked_r(o, n.sack[i].start);
        n.sack[i].end = acked_r(o, n.sack[i].end);
    }
    edit_renumber(cp->s, &n);
}

bool edit_enter(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_edit *fe = edit_of(env, cp->f);
    struct conn_edit *e = &env->edit.at;
    struct edit_dir *d;

    if (fe == NULL)
        return false;
    d = &fe->dir[cp->from];
    pb_own(cp->s->pb); /* from now on its numbers are changed */
    begin(e, cp, fe);
    e->beginning = of_beginning(env, cp);
    if (unlikely(env->edit.replay) && !env->edit.again)
        of_capture(cp, &fe->dir[cp->to]);
    if (!d->on)
        return false;
    if (!env->edit.again) /* what was held may be longer than any that came */
        measure(d, cp->s);
    stamp(env, d, cp->s);
    e->what = (uint8_t)classify(env, cp, d);
    if (e->what == EDIT_WAITS)
        return edit_wait(env, cp, d, false);
    e->r = r_of(cp, d, e);
    e->snd_max = cp->f->side[cp->from].snd_max;
    e->entered = true;
    cp->s->seq = e->r;
    return false;
}

/* ---- SND ---- */

/* keep_front: of the segment at hand the first n bytes are left. */
static void keep_front(struct conn_env *env, struct conn_pkt *cp, uint32_t n)
{
    struct seg *s = cp->s;
    struct edit_numbers numbers = edit_numbers_of(s);

    env->edit.at.plen = n;
    numbers.tflags &= (uint8_t) ~(TH_FIN_ | TH_PSH_);
    edit_chomp(s, n, s->plen - n);
    edit_renumber(s, &numbers);
}

/*
 * slice: no more than can be shown at once; the rest waits, its turn comes next. => bytes to show;
 * UINT32_MAX: no memory.
 */
static uint32_t slice(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, uint32_t off,
                      uint32_t fresh)
{
    uint32_t held = edit_held(d), keep = EDIT_SHOWN > held ? EDIT_SHOWN - held : 0;

    if (d->part && keep > d->part)
        keep = d->part;
    if (fresh <= keep)
        return fresh;
    if (!edit_wait_rest(env, cp, d, off + keep))
        return UINT32_MAX;
    keep_front(env, cp, off + keep);
    return keep;
}

/* put_together: held bytes and the new ones from `off` on. => 0; -1 no memory. */
static int put_together(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, uint32_t off,
                        uint32_t fresh)
{
    uint32_t held = edit_held(d);
    uint8_t *mix;

    if (off == 0 && held == 0)
        return 0;
    mix = edit_mix(env);
    if (mix == NULL)
        return -1;
    mix += EDIT_MIX_OLD;
    if (held)
        memcpy(mix, d->held->pb.data + d->held->payload, held);
    memcpy(mix + held, seg_payload(cp->s) + off, fresh);
    return edit_set_payload(env, cp, mix, held + fresh);
}

/* rebuild_old: what lies before nxt, into mix. => false: no memory. */
static bool rebuild_old(struct conn_env *env, const struct conn_pkt *cp, struct edit_dir *d,
                        uint32_t len)
{
    struct conn_edit *e = &env->edit.at;
    uint8_t *mix;

    if (len == 0)
        return true;
    mix = edit_mix(env);
    if (mix == NULL)
        return false;
    e->old = seqmap_rebuild(&d->map, e->came, len, false, seg_payload(cp->s), mix, EDIT_MIX_OLD,
                            &e->old_r);
    if (seqmap_touched(&d->map, e->came, len, false))
        env->reasons[REASON_EDIT_AGAIN]++;
    return e->old != UINT32_MAX;
}

static void present_fresh(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d)
{
    struct conn_edit *e = &env->edit.at;
    struct seg *s = cp->s;
    uint32_t top = edit_top(d), off = top - e->came, fresh = e->plen - off;
    uint32_t old = seq_lt(e->came, d->map.nxt_s) ? d->map.nxt_s - e->came : 0;
    struct edit_numbers n;

    fresh = slice(env, cp, d, off, fresh);
    if (fresh == UINT32_MAX || !rebuild_old(env, cp, d, old) ||
        put_together(env, cp, d, off, fresh) < 0) {
        e->what = EDIT_LOST; /* its sender has it */
        return;
    }
    e->fin = s->tflags & TH_FIN_;
    e->s = d->map.nxt_s;
    e->r = d->map.nxt_r;
    e->slen = e->pre = e->post = edit_held(d) + fresh;
    if (s->seq == e->s)
        return;
    n = edit_numbers_of(s);
    n.seq = e->s;
    edit_renumber(s, &n);
}

/*
 * old_first: what lies in front of the first edit is asked about again, so it goes alone; what is new behind it
 * comes next, or when its sender repeats it.
 */
static void old_first(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d)
{
    struct conn_edit *e = &env->edit.at;
    uint32_t off = edit_top(d) - e->came;

    if (!d->below || !seq_lt(e->came, d->start))
        return;
    if (!edit_wait_rest(env, cp, d, off))
        cp->f->side[cp->from].snd_max = e->snd_max;
    keep_front(env, cp, off);
    e->r = seqmap_to_r(&d->map, e->came);
    e->what = EDIT_OLD;
}

void edit_present(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;

    cp->s->seq = e->came;
    if (e->what == EDIT_FRESH && cp->ignored)
        e->what = EDIT_PROBE;
    if (e->what == EDIT_FRESH)
        old_first(env, cp, &e->fe->dir[cp->from]);
    if (e->what == EDIT_FRESH)
        present_fresh(env, cp, &e->fe->dir[cp->from]);
    if (edit_repeats(env, cp) && !edit_cover(env, cp))
        e->what = EDIT_LOST;
    cp->quiet = e->what == EDIT_LOST;
}

uint32_t edit_rseq(const struct conn_env *env, const struct conn_pkt *cp)
{
    return cp->edited ? env->edit.at.r : cp->s->seq;
}

/* ---- what the receiver gets ---- */

/*
 * cut_piece: the changed bytes, for the map. One that takes no byte of the sender's takes one beside it:
 * else nobody would repeat it. In front of a FIN that does.
 */
static void cut_piece(struct conn_edit *e, const uint8_t *payload, uint32_t n)
{
    if (!e->edited)
        return;
    if (e->slen == e->pre + e->post && n > e->slen) {
        if (e->pre)
            e->pre--;
        else if (e->post > e->tail)
            e->post--;
    }
    e->piece_len = n - e->pre - e->post;
    if (e->piece_len)
        memcpy(e->piece, payload + e->pre, e->piece_len);
}

/* keep_back: what is to be held becomes a frame of its own. */
static void keep_back(struct conn_env *env, const struct seg *s, struct conn_edit *e, uint32_t n)
{
    if (e->tail == 0)
        return;
    e->hold = edit_copy(env, s, n - e->tail, e->tail);
    if (e->hold == NULL) {
        e->tail = 0; /* it is not held then */
        return;
    }
    e->hold->seq = e->s + e->slen - e->tail;
    e->hold->end = e->s + e->slen;
}

static int apply_fresh(struct conn_env *env, struct conn_pkt *cp, struct edit_numbers *n)
{
    struct conn_edit *e = &env->edit.at;
    struct seg *s = cp->s;
    uint32_t len = s->pcap;

    cut_piece(e, seg_payload(s), len);
    keep_back(env, s, e, len);
    e->out = len - e->tail;
    n->seq = e->old ? e->old_r : e->r;
    if (e->old == 0)
        return e->tail ? edit_chomp(s, e->out, e->tail) : 0;
    memcpy(env->edit.mix + EDIT_MIX_OLD, seg_payload(s), e->out);
    memmove(env->edit.mix + EDIT_MIX_OLD - e->old, env->edit.mix, e->old);
    return edit_set_payload(env, cp, env->edit.mix + EDIT_MIX_OLD - e->old, e->old + e->out);
}

/* apply_probe: none of its bytes are for the receiver, which answers that it came: it expects `next`. */
static int apply_probe(struct conn_env *env, struct conn_pkt *cp, uint32_t next,
                       struct edit_numbers *n)
{
    n->seq = next - 1;
    n->tflags &= (uint8_t) ~(TH_FIN_ | TH_PSH_ | TH_URG_);
    env->edit.at.out = 0;
    return edit_chomp(cp->s, 0, cp->s->pcap);
}

static int apply_old(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d,
                     struct edit_numbers *n)
{
    struct conn_edit *e = &env->edit.at;
    const struct seqmap *m = &d->map;
    uint32_t end = e->came + e->plen, len = e->plen;
    bool fin = (n->tflags & TH_FIN_) && d->fin && end == m->nxt_s;

    if (e->plen && m->cut && seq_leq(end, m->cut_s)) { /* it has all of it long since */
        e->what = EDIT_PROBE;
        return apply_probe(env, cp, m->cut_r, n);
    }
    if (seq_lt(m->nxt_s, end)) /* what is held has not left */
        len = seq_lt(e->came, m->nxt_s) ? m->nxt_s - e->came : 0;
    if (!fin)
        n->tflags &= (uint8_t)~TH_FIN_;
    n->seq = len || fin ? seqmap_to_r(m, e->came) : m->nxt_r;
    e->out = len;
    if (!seqmap_touched(m, e->came, len, fin))
        return len < e->plen ? edit_chomp(cp->s, len, e->plen - len) : 0;
    env->reasons[REASON_EDIT_AGAIN]++;
    if (edit_mix(env) == NULL)
        return -1;
    while ((e->out = seqmap_rebuild(m, e->came, len, fin, seg_payload(cp->s), env->edit.mix,
                                    EDIT_MIX_OLD, &n->seq)) == UINT32_MAX) {
        if (len < 2)
            return -1;
        len /= 2; /* the rest when its sender repeats that */
        fin = false;
        n->tflags &= (uint8_t)~TH_FIN_;
    }
    return edit_set_payload(env, cp, env->edit.mix, e->out);
}

/* urgent: where urgent data ends, for the receiver. */
static void urgent(const struct edit_dir *d, const struct conn_edit *e, uint32_t len,
                   struct edit_numbers *n)
{
    uint32_t pos = e->came + n->urp, rel = pos - e->s, r = seqmap_to_r(&d->map, pos);

    if (!(n->tflags & TH_URG_))
        return;
    if (e->what == EDIT_FRESH && !seq_lt(pos, e->s)) {
        if (rel <= e->pre)
            r = e->r + rel;
        else
            r = e->r + len - (rel >= e->slen - e->post ? e->slen - rel : e->post);
    }
    n->urp = (uint16_t)(r - n->seq > UINT16_MAX ? UINT16_MAX : r - n->seq);
}

/* of_sender: its own number and payload. => -1: it cannot leave. */
static int of_sender(struct conn_env *env, struct conn_pkt *cp, struct edit_numbers *n)
{
    struct conn_edit *e = &env->edit.at;
    struct edit_dir *d = &e->fe->dir[cp->from];
    uint32_t len = cp->s->pcap;
    int rc = 0;

    switch ((enum edit_what)e->what) {
    case EDIT_BESIDE:
        return 0;
    case EDIT_FRESH:
        rc = apply_fresh(env, cp, n);
        break;
    case EDIT_OLD:
        rc = apply_old(env, cp, d, n);
        break;
    case EDIT_PROBE:
        env->reasons[REASON_EDIT_UNSURE]++;
        rc = apply_probe(env, cp, d->map.nxt_r, n);
        break;
    case EDIT_LOST:
        rc = -1;
        break;
    default:
        n->seq = e->r;
    }
    urgent(d, e, len, n);
    if (cp->s->pcap == 0)
        n->tflags &= (uint8_t)~TH_PSH_;
    return rc;
}

/* of_receiver: the ACK, SACK blocks and window for what the other end has sent. */
static void of_receiver(const struct conn_env *env, const struct conn_pkt *cp,
                        struct edit_numbers *n)
{
    const struct edit_dir *o = &env->edit.at.fe->dir[cp->to];
    uint32_t ack = n->ack;
    uint8_t k = 0;

    if (!o->on || !(n->tflags & TH_ACK_) || env->edit.replay || env->edit.at.beginning)
        return;
    n->ack = seqmap_to_s(&o->map, ack);
    n->win = edit_window(env, cp->f, cp->from, ack, n->win);
    for (int i = 0; i < n->nsack; i++) {
        uint32_t start = n->sack[i].start, end = n->sack[i].end;

        if (!seqmap_sack(&o->map, &start, &end))
            continue;
        n->sack[k].start = start;
        n->sack[k++].end = end;
    }
    n->nsack = k;
}

static void put_numbers(struct seg *s, const struct edit_numbers *n)
{
    s->ack = n->ack;
    s->win = n->win;
    s->nsack = n->nsack;
    for (int i = 0; i < n->nsack; i++) {
        s->sack[i].start = n->sack[i].start;
        s->sack[i].end = n->sack[i].end;
    }
}

void edit_show(struct conn_env *env, struct conn_pkt *cp, bool on)
{
    const struct conn_edit *e = &env->edit.at;

    if (cp->s->level == SEG_TCP)
        put_numbers(cp->s, on ? &e->shown : &e->raw);
}

bool edit_apply(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct seg *s = cp->s;
    struct flow_side *snd = &cp->f->side[cp->from];
    struct edit_numbers n;

    pb_own(s->pb); /* it may be the first that is edited, or held */
    if (e->what == EDIT_WAITS) {
        if (!(s->pb->flags & PB_DROP))
            edit_wait(env, cp, &e->fe->dir[cp->from], true);
        return false;
    }
    if (e->what == EDIT_PARTS)
        s->pb->flags |= PB_DROP;
    if ((e->what == EDIT_FRESH || e->what == EDIT_PARTS) && (s->pb->flags & PB_DROP)) {
        /* it comes again, perhaps as another */
        edit_finish(env, cp);
        return false;
    }
    if (env->edit.again && (snd->flags & SIDE_ACKED) && (s->tflags & TH_ACK_)) {
        s->ack = snd->ack; /* newer than when it came */
        s->win = snd->wnd;
    }
    if (!edit_uncover(env, cp))
        e->what = EDIT_LOST;
    e->raw = n = edit_numbers_of(s);
    if (of_sender(env, cp, &n) < 0) {
        env->reasons[REASON_EDIT_MEM] += !(s->pb->flags & PB_DROP);
        s->pb->flags |= PB_DROP;
        edit_finish(env, cp);
        return false;
    }
    of_receiver(env, cp, &n);
    edit_renumber(s, &n);
    e->shown = edit_numbers_of(s);
    put_numbers(s, &e->raw);
    return true;
}

/* ---- the end ---- */

static void commit_hold(struct conn_env *env, struct edit_dir *d)
{
    struct conn_edit *e = &env->edit.at;

    if (d->held == NULL || e->out)
        d->since = env->now;
    if (d->held)
        edit_drop_frame(env, d->held);
    d->held = e->hold;
    e->hold = NULL;
    edit_list(env, e->fe);
}

/* commit: what has left is written into the map. */
static void commit(struct conn_env *env, struct edit_dir *d)
{
    struct conn_edit *e = &env->edit.at;

    if (e->edited) {
        uint8_t *fits = e->piece_len ? realloc(e->piece, e->piece_len) : NULL;

        if (e->piece_len == 0)
            free(e->piece);
        else if (fits)
            e->piece = fits;
        env->acct.used -= e->piece_cap - e->piece_len;
        seqmap_pass(&d->map, e->pre);
        seqmap_edit(&d->map, e->slen - e->pre - e->post, e->piece_len ? e->piece : NULL,
                    e->piece_len);
        seqmap_pass(&d->map, e->post - e->tail);
        e->piece = NULL;
    } else {
        seqmap_pass(&d->map, e->slen - e->tail);
    }
    d->fin |= e->fin;
    if (d->part && e->out <= EDIT_GROWN / 4)
        d->part = d->part >= EDIT_SHOWN / 2 ? 0 : (uint16_t)(2 * d->part);
    d->below = d->below && d->map.nxt_s - d->start < 1u << 30;
    commit_hold(env, d);
}

/* skip: a frame of which the capture has only a part has passed as it was; what was held is lost. */
static void skip(struct conn_env *env, const struct conn_pkt *cp, struct edit_dir *d)
{
    const struct conn_edit *e = &env->edit.at;
    uint32_t end = e->came + e->plen;

    if (seq_lt(end, edit_top(d)))
        return;
    if (d->held)
        edit_drop_frame(env, d->held);
    d->held = NULL;
    edit_list(env, e->fe);
    seqmap_pass(&d->map, end - d->map.nxt_s);
    d->fin |= (cp->s->tflags & TH_FIN_) != 0;
}

/*
 * acknowledge: nothing is left of it, so its receiver says nothing: we do, as soon as that has all in
 * front of it.
 */
static void acknowledge(struct conn_env *env, const struct conn_pkt *cp, const struct edit_dir *d)
{
    const struct conn_edit *e = &env->edit.at;
    const struct flow_side *rcv = &cp->f->side[cp->to];

    if ((e->what != EDIT_FRESH && e->what != EDIT_OLD) || e->out || e->old || e->plen == 0 ||
        (cp->s->tflags & TH_FIN_) || !(rcv->flags & SIDE_ACKED))
        return;
    if (seq_lt(e->came, seqmap_to_s(&d->map, rcv->ack)))
        edit_answer(env, cp, false);
}

/* fold: what this segment's sender has acknowledged need not be kept. */
static void fold(struct conn_env *env, const struct conn_pkt *cp, struct edit_dir *o)
{
    const struct flow_side *snd = &cp->f->side[cp->from];
    uint64_t kept = o->map.kept;

    if (!o->on || !(snd->flags & SIDE_ACKED))
        return;
    if (!seq_lt(snd->ack, o->start))
        o->below = false;
    seqmap_acked(&o->map, snd->ack);
    env->acct.used -= kept - o->map.kept;
}

/* settle: a direction in which nothing was changed, and nothing waits, is as if it never was. */
static void settle(struct conn_env *env, const struct conn_pkt *cp)
{
    struct flow_edit *fe = env->edit.at.fe;

    for (int i = CLI; i <= SVR; i++) {
        struct edit_dir *d = &fe->dir[i];

        if (d->on && d->map.n == 0 && !d->map.cut && !d->held && !d->wait) {
            seqmap_fini(&d->map);
            d->on = d->fin = false;
        }
    }
    if (!fe->dir[CLI].on && !fe->dir[SVR].on)
        edit_free(env, cp->f);
}

void edit_finish(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct edit_dir *d = &e->fe->dir[cp->from];
    bool lasted = edit_lasts(env, cp->f);

    if (cp->s->level != SEG_TCP) /* the application made something else of it */
        cp->s->pb->flags |= PB_DROP;
    if (!(cp->s->pb->flags & PB_DROP)) {
        if (e->what == EDIT_FRESH)
            commit(env, d);
        else if (e->what == EDIT_CUT)
            skip(env, cp, d);
        acknowledge(env, cp, d);
    } else if ((e->what == EDIT_FRESH || e->what == EDIT_PARTS) && e->entered)
        cp->f->side[cp->from].snd_max =
            e->snd_max; /* it has not been sent, and may become shorter */
    if (env->edit.again && (e->what == EDIT_PROBE || (cp->s->pb->flags & PB_DROP)))
        d->ntold = 0; /* it was promised, and is gone (RFC 2018 8) */
    if (e->piece)
        edit_release(env, e->piece, e->piece_cap);
    e->piece = NULL;
    if (e->hold)
        edit_drop_frame(env, e->hold);
    e->hold = NULL;
    if (e->aside)
        edit_release(env, e->aside, e->aside_len + 1);
    e->aside = NULL;
    fold(env, cp, &e->fe->dir[cp->to]);
    edit_leave(env, cp);
    settle(env, cp);
    if (lasted && !(cp->f->flags & (FLOW_ENDED | FLOW_LINGER)) && !edit_lasts(env, cp->f))
        conn_rearm(env, cp->idx); /* from now on it is as any other */
}
