// SPDX-License-Identifier: BSD-2-Clause
/*
 * fin.c: where a receive stream ends. A FIN in order ends it. One that came out of order waits with
 * its segment, like any bytes, and as in Linux (tcp_data_queue_ofo, tcp_ofo_queue) it may never come
 * to its turn: a segment that brings nothing new is dropped with its FIN, one that another covers goes
 * with its FIN, and of the FINs that wait the one counts whose segment begins first; once it has gone
 * that way, the next. Until then it cuts nothing.
 */
#include <mos_api.h>

#include "conn/conn_int.h"

bool conn_fin_off(const struct flow *f, int side, uint64_t *off)
{
    const struct flow_side *sd = &f->side[side];
    int64_t o;

    if (!(f->side[!side].flags & SIDE_FIN_SENT) || !base_known(f, side))
        return false;
    o = seq_to_off(f->ctr[!side].fin, sd->base, sd->next);
    *off = o > 0 ? (uint64_t)o : 0;
    return true;
}

bool fin_firm(const struct flow *f, int side)
{
    const struct flow_side *sd = &f->side[side];
    uint64_t fin;

    if ((sd->flags & SIDE_FIN_RCVD) || !conn_fin_off(f, side, &fin) || fin <= sd->next)
        return true;
    return (sd->flags & SIDE_ACKED) && seq_lt(f->ctr[!side].fin, sd->ack);
}

/* held_from: where the segment begins whose FIN waits. */
static uint32_t held_from(const struct conn_env *env, const struct flow *f, int from)
{
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    return x ? x->dir[from].fin_seg : f->ctr[from].fin;
}

/*
 * fin_begins: where the segment begins with which the FIN waits; or the bytes that it is appended to
 * (Linux: tcp_ooo_try_coalesce).
 */
static uint32_t fin_begins(const struct conn_env *env, const struct conn_pkt *cp, uint32_t seq)
{
    uint64_t off = (uint64_t)cp->off;

    return seq - (uint32_t)(off - strm_ooo_begin(&env->se, &cp->f->side[cp->to], off));
}

/* covers: has the segment of the one all numbers of the other's? */
static bool covers(struct flow_fin one, struct flow_fin other)
{
    return seq_leq(one.seg, other.seg) && seq_leq(other.fin, one.fin);
}

/* covered: does a FIN that waits behind the one that counts have all of this one's segment? */
static bool covered(const struct flow_ext *x, int from, struct flow_fin fin)
{
    for (int i = 0; i < x->dir[from].nmore; i++)
        if (covers(x->dir[from].more[i], fin))
            return true;
    return false;
}

/* void_more: a segment has come, up to one.fin: FINs that it covers are gone. */
static void void_more(struct flow_ext *x, int from, struct flow_fin one)
{
    uint8_t n = 0;

    for (int i = 0; i < x->dir[from].nmore; i++)
        if (!covers(one, x->dir[from].more[i]))
            x->dir[from].more[n++] = x->dir[from].more[i];
    x->dir[from].nmore = n;
}

/* add_more: another FIN waits, behind the one that counts. */
static void add_more(struct flow_ext *x, int from, struct flow_fin fin)
{
    if (x->dir[from].nmore < FLOW_FINS)
        x->dir[from].more[x->dir[from].nmore++] = fin;
}

/* next_more: of those the one whose segment begins first counts now. => false: there is none. */
static bool next_more(struct flow *f, struct flow_ext *x, int from)
{
    int first = 0;

    if (x == NULL || x->dir[from].nmore == 0)
        return false;
    for (int i = 1; i < x->dir[from].nmore; i++)
        if (seq_lt(x->dir[from].more[i].seg, x->dir[from].more[first].seg))
            first = i;
    x->dir[from].fin_seg = x->dir[from].more[first].seg;
    f->ctr[from].fin = x->dir[from].more[first].fin;
    x->dir[from].more[first] = x->dir[from].more[--x->dir[from].nmore];
    return true;
}

/* nothing_new: are all its numbers, the FIN's too, those of bytes that wait already? */
static bool nothing_new(const struct conn_env *env, const struct conn_pkt *cp)
{
    uint32_t n = cp->s->plen + 1;

    return strm_overlap(&env->se, &cp->f->side[cp->to], (uint64_t)cp->off, n).dup == n;
}

/*
 * note_fin: the sender's FIN; the first, or one that counts instead of it. What TS.Recent was at the
 * first stays.
 */
static void note_fin(struct flow *f, int from, uint32_t fin)
{
    if (!(f->side[from].flags & SIDE_FIN_SENT))
        f->ctr[from].tsval = f->ctr[from].echoed;
    f->ctr[from].fin = fin;
    f->side[from].flags |= SIDE_FIN_SENT;
}

/* take_ooo: a FIN out of order, beside one that waits or as the first. */
static bool take_ooo(struct conn_env *env, struct conn_pkt *cp, uint32_t seq)
{
    struct flow *f = cp->f;
    bool first = !(f->side[cp->from].flags & SIDE_FIN_SENT);
    struct flow_fin fin = {.seg = fin_begins(env, cp, seq), .fin = seq + cp->s->plen},
                    old = {.seg = held_from(env, f, cp->from), .fin = f->ctr[cp->from].fin};
    struct flow_ext *x = conn_ext(env, f);

    if (x == NULL && first && !nothing_new(env, cp))
        note_fin(f, cp->from, fin.fin); /* no memory for where its segment begins */
    if (x == NULL || nothing_new(env, cp) || covered(x, cp->from, fin) ||
        (!first && covers(old, fin)))
        return !first && old.fin == fin.fin;
    void_more(x, cp->from, fin);
    if (!first && !seq_lt(fin.seg, old.seg)) {
        add_more(x, cp->from, fin);
        return false;
    }
    if (!first && !covers(fin, old))
        add_more(x, cp->from, old);
    x->dir[cp->from].fin_seg = fin.seg;
    note_fin(f, cp->from, fin.fin);
    return !first && old.fin == fin.fin;
}

/* behind_given_up: is a hole before it given up, and not acknowledged yet: so not for its receiver? */
static bool behind_given_up(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow *f = cp->f;
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    return x && x->dir[cp->from].given_up && (f->side[cp->to].flags & SIDE_ACKED);
}

bool fin_hold(struct conn_env *env, struct flow *f, int from, uint32_t fin)
{
    struct flow_ext *x = conn_ext(env, f);
    bool again;

    if (x == NULL)
        return false;
    again = x->dir[from].fin_doubted && x->dir[from].held_fin == fin;
    x->dir[from].fin_doubted = true;
    x->dir[from].held_fin = fin;
    return again;
}

bool fin_take(struct conn_env *env, struct conn_pkt *cp, uint32_t seq)
{
    struct flow *f = cp->f;
    uint32_t fin = seq + cp->s->plen;
    bool again = (f->side[cp->from].flags & SIDE_FIN_SENT) && f->ctr[cp->from].fin == fin;

    if ((f->side[cp->from].flags & SIDE_FIN_SENT) && fin_firm(f, cp->to))
        return again;
    if (base_known(f, cp->to) && cp->off > (int64_t)f->side[cp->to].next)
        return take_ooo(env, cp, seq);
    if (unlikely(f->ext) && behind_given_up(env, cp))
        return fin_hold(env, f, cp->from, fin);
    note_fin(f, cp->from, fin);
    return again;
}

/*
 * A FIN with a SYN: Linux throws it away, as the bytes there (tcp_rcv_synsent_state_process,
 * tcp_check_req), BSD takes both. The receiver's next ACK tells.
 */
void fin_hold_of_syn(struct conn_env *env, struct conn_pkt *cp, uint32_t seq)
{
    struct flow_ext *x = conn_ext(env, cp->f);

    if (x == NULL)
        return;
    x->dir[cp->from].fin_on_syn = true;
    x->dir[cp->from].held_fin = seq + cp->s->plen;
}

/*
 * fin_held_acked: the receiver of the FIN that is held has sent this ACK. => true: it has taken it: nothing
 * has come at its place, and no less nor more is acknowledged.
 */
static bool fin_held_acked(struct flow_ext *x, const struct conn_pkt *cp)
{
    const struct flow_side *rcv = &cp->f->side[cp->from];
    uint32_t fin = x->dir[cp->to].held_fin;
    bool void_ =
        base_known(cp->f, cp->from) && seq_to_off(fin, rcv->base, rcv->next) < (int64_t)rcv->next;

    if (x->dir[cp->to].fin_on_syn || void_ || seq_lt(fin, cp->s->ack))
        x->dir[cp->to].fin_on_syn = x->dir[cp->to].fin_doubted = false;
    return !void_ && cp->s->ack == fin + 1;
}

void fin_of_held(const struct conn_env *env, const struct conn_pkt *cp)
{
    struct flow_ext *x = pool_at(&env->ft.exts, cp->f->ext);

    if (cp->stale || (cp->s->tflags & (TH_ACK_ | TH_RST_)) != TH_ACK_)
        return;
    if (conn_acked(cp->f, cp->from) >= x->dir[cp->to].given_up)
        x->dir[cp->to].given_up = 0;
    if (!x->dir[cp->to].fin_on_syn && !x->dir[cp->to].fin_doubted)
        return;
    if (fin_held_acked(x, cp) && !(cp->f->side[cp->to].flags & SIDE_FIN_SENT))
        note_fin(cp->f, cp->to, x->dir[cp->to].held_fin);
}

void fin_void(const struct conn_env *env, const struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;
    struct flow_fin seg = {.seg = cp->s->seq, .fin = cp->s->seq + cp->s->plen - 1},
                    old = {.seg = held_from(env, f, cp->from), .fin = f->ctr[cp->from].fin};

    if (cp->s->plen == 0 || (cp->s->tflags & (TH_SYN_ | TH_RST_)) || fin_firm(f, cp->to))
        return;
    if (x)
        void_more(x, cp->from, seg);
    if (!covers(seg, old) || next_more(f, x, cp->from))
        return;
    f->side[cp->from].flags &= (uint16_t)~SIDE_FIN_SENT;
    f->ctr[cp->from].echoed = f->ctr[cp->from].tsval;
}

/* take_back: the FIN that waits is not to be believed before its receiver acknowledges it. */
static void take_back(struct conn_env *env, struct flow *f, int side)
{
    struct flow_ext *x = conn_ext(env, f);
    uint32_t fin = f->ctr[!side].fin;

    if (x == NULL)
        return;
    fin_hold(env, f, !side, fin);
    x->dir[!side].nmore = 0;
    f->side[!side].flags &= (uint16_t)~SIDE_FIN_SENT;
    f->ctr[!side].echoed = f->ctr[!side].tsval;
}

uint64_t fin_stop(struct conn_env *env, struct flow *f, int side, uint64_t upto, bool unsure)
{
    struct flow_side *sd = &f->side[side];
    uint64_t fin, off, len;

    if (!conn_fin_off(f, side, &fin) || fin < sd->next ||
        !strm_hole(&env->se, sd, upto, &off, &len))
        return upto;
    if (upto < off + len)
        len = upto - off;
    if (off + len < fin && strm_predict(&env->se, sd, off, (uint32_t)len) < fin)
        return upto;
    if (unsure && !(sd->flags & SIDE_FIN_RCVD) && (sd->flags & SIDE_ACKED))
        take_back(env, f, side);
    else
        strm_cut(&env->se, sd, fin);
    return upto < fin ? upto : fin;
}

/*
 * Strict: what waits is read by nobody any more: not at the end that believed the RST
 * (Linux: tcp_reset), not at the one that sent it. A tap may lack what went before: it keeps it.
 */
void fin_reset(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    struct flow_ext *x = conn_ext(env, f);

    if (x)
        x->dir[cp->from].reset = true;
    f->side[cp->from].snd_max = seq_max(next_seq(f, cp->to), cp->s->seq);
    for (int i = CLI; f->flags & FLOW_STRICT && i <= SVR; i++) {
        uint64_t acked = conn_acked(f, i), next;

        conn_settle(env, cp->idx, i, true, 0, &cp->data);
        next = f->side[i].next;
        strm_cut(&env->se, &f->side[i], acked > next ? acked : next);
    }
}

/* beyond_rst: does it carry bytes behind the end of the stream that they belong to? */
static bool beyond_rst(const struct flow *f, const struct seg *s, int from)
{
    uint32_t limit = next_seq(f, !from);

    if (s->plen == 0 || !base_known(f, !from))
        return s->plen;
    if (!(f->flags & FLOW_STRICT) && (f->side[from].flags & SIDE_SPOKE))
        limit = seq_max(limit, f->side[from].snd_max);
    return seq_lt(limit, s->seq + s->plen);
}

enum conn_after conn_after_rst(const struct conn_env *env, const struct flow *f,
                               const struct seg *s, int from)
{
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    if (!(f->flags & FLOW_RST) || f->reason != MOS_END_RST || (s->tflags & (TH_SYN_ | TH_RST_)) ||
        ip_refuses(f, s, from))
        return AFTER_JOINS;
    if (beyond_rst(f, s, from))
        return x && x->dir[!from].reset ? AFTER_REFUSED : AFTER_GOES_ON;
    if (x && x->dir[from].reset && (s->tflags & TH_ACK_) && base_known(f, from) &&
        seq_lt(next_seq(f, from), s->ack))
        return AFTER_GOES_ON;
    return AFTER_JOINS;
}

bool conn_fits(const struct flow *f, int side, struct strm_in *in)
{
    uint64_t fin;

    if (conn_beyond(f, side, in->off + in->wire_len))
        return false;
    if (!conn_fin_off(f, side, &fin) || in->off + in->wire_len <= fin || !fin_firm(f, side))
        return true;
    if (in->off >= fin)
        return false;
    in->wire_len = (uint32_t)(fin - in->off);
    if (in->len > in->wire_len)
        in->len = in->wire_len;
    return true;
}
