// SPDX-License-Identifier: BSD-2-Clause
/*
 * editapp.c: what the application does to the payload at hand at SND: may it, and what is to be
 * remembered of it until edit_finish.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "conn/conn_int.h"
#include "conn/editint.h"

/* why_not: what keeps this segment's payload from changing its length. => NULL: nothing. */
static const char *why_not(const struct conn_pkt *cp)
{
    const struct seg *s = cp->s;

    if (s->tflags & TH_SYN_)
        return "a SYN";
    if (s->tflags & TH_RST_)
        return "an RST";
    if (s->pcap != s->plen || (s->flags & SEG_HDR_CUT))
        return "a packet of which only a part was captured";
    if (cp->ignored)
        return "a segment that its receiver does not take";
    if (cp->f->flags & (FLOW_ENDED | FLOW_LINGER))
        return "a connection that has ended";
    return NULL;
}

static bool is_signed(const struct conn_env *env, const struct flow *f)
{
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    return x && x->auth;
}

/* make: the flow's struct flow_edit. => NULL: no memory. */
static struct flow_edit *make(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow_ext *x = conn_ext(env, cp->f);
    struct flow_edit *fe;

    if (x == NULL || edit_mix(env) == NULL || edit_big(env) == NULL)
        return NULL;
    if (x->edit == 0)
        x->edit = pool_zalloc(&env->edit.flows);
    if (x->edit == 0)
        return NULL;
    fe = pool_at(&env->edit.flows, x->edit);
    fe->flow = cp->idx;
    fe->linktype = cp->s->pb->linktype;
    fe->self = x->edit;
    return fe;
}

/*
 * top_of: behind what has passed to the receiver, as far as is known. Not what the sender has sent: its
 * ACKs may have overtaken its bytes.
 */
static uint32_t top_of(const struct conn_env *env, const struct conn_pkt *cp)
{
    const struct flow_side *rcv = &cp->f->side[cp->to];

    if (!base_known(cp->f, cp->to))
        return cp->s->seq;
    return rcv->base + (uint32_t)strm_ooo_end(&env->se, rcv);
}

static int waits(void)
{
    return err_set(EAGAIN,
                   "what lies in front of it is missing: it waits, and is shown again in its turn");
}

/* keeps_its_place: it repeats what has left as it was, or fills a hole in front of that. */
static int keeps_its_place(void)
{
    return err_set(EOPNOTSUPP,
                   "it has left before as it was, or what follows it has: its length stays");
}

/* fin_left: has the sender's FIN left before, by its own number? */
static bool fin_left(const struct conn_pkt *cp)
{
    return cp->f->side[cp->from].flags & SIDE_FIN_SENT;
}

/*
 * open_dir: from this segment on. What it repeats passes again as it is (floor); where it is not the
 * next one it waits.
 */
static int open_dir(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, bool hold)
{
    struct conn_edit *e = &env->edit.at;
    const struct seg *s = cp->s;
    uint32_t top = top_of(env, cp), end = s->seq + s->plen;

    if (fin_left(cp) || (seq_leq(end, top) && !((s->tflags & TH_FIN_) && end == top)))
        return keeps_its_place();
    d->on = d->below = true;
    d->fin = false;
    d->start = seq_lt(top, s->seq) ? top : s->seq;
    d->tsval = s->tsval;
    d->longest = s->pb->gso_size && s->plen > s->pb->gso_size
                     ? s->ip_len - s->plen + s->pb->gso_size
                     : s->ip_len;
    e->s = e->r = e->came = s->seq;
    e->plen = s->plen;
    e->slen = e->pre = e->post = s->plen;
    e->fin = s->tflags & TH_FIN_;
    e->what = EDIT_FRESH;
    if (seq_lt(top, s->seq)) {
        e->what = EDIT_WAITS;
        seqmap_init(&d->map, top, top);
        return hold ? 0 : waits();
    }
    seqmap_init(&d->map, s->seq, s->seq);
    e->floor = seq_lt(s->seq, top) ? top - s->seq : 0;
    return 0;
}

int edit_begin(struct conn_env *env, struct conn_pkt *cp, bool hold)
{
    struct conn_edit *e = &env->edit.at;
    const char *why = why_not(cp);
    struct flow_edit *fe;

    if (why)
        return err_set(EOPNOTSUPP, "the payload of %s keeps its length", why);
    if (is_signed(env, cp->f))
        return err_set(EPERM, "the connection is signed (TCP-AO, TCP-MD5) and forbids changes");
    if (cp->edited && e->what == EDIT_FRESH)
        return 0;
    if (cp->edited && e->what == EDIT_WAITS)
        return hold ? 0 : waits();
    if (cp->edited && e->what == EDIT_PARTS)
        return hold ? 0 : err_set(EAGAIN, "it has grown too long: it is shown again in parts");
    if (cp->edited && e->what != EDIT_BESIDE)
        return keeps_its_place();
    if (cp->s->plen == 0 && !(cp->s->tflags & TH_FIN_))
        return err_set(EOPNOTSUPP, "a segment without payload is repeated by nobody");
    fe = make(env, cp);
    if (fe == NULL) {
        env->reasons[REASON_EDIT_MEM]++;
        return err_set(ENOBUFS, "no memory to keep track of changed bytes");
    }
    if (!cp->edited) {
        memset(e, 0, sizeof(*e));
        e->fe = fe;
        e->s = e->r = e->came = cp->s->seq;
        e->plen = cp->s->plen;
        cp->edited = true;
    }
    return open_dir(env, cp, &fe->dir[cp->from], hold);
}

/* ---- what grows too long ---- */

void edit_keep_whole(struct conn_env *env, const struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;

    if (e->what != EDIT_FRESH || e->edited || e->whole || cp->s->pcap > EDIT_GROWN ||
        edit_mix(env) == NULL)
        return;
    memcpy(env->edit.mix + EDIT_MIX_OLD, seg_payload(cp->s), cp->s->pcap);
    e->whole = true;
}

/* as_it_came: the new bytes, without those that are held. => false: no memory. */
static bool as_it_came(struct conn_env *env, struct conn_pkt *cp, uint32_t held, uint32_t fresh)
{
    struct conn_edit *e = &env->edit.at;
    struct edit_numbers n;

    if ((e->edited || held) &&
        edit_set_payload(env, cp, env->edit.mix + EDIT_MIX_OLD + held, fresh) < 0)
        return false;
    e->s += held;
    e->r += held;
    e->came = e->s;
    n = edit_numbers_of(cp->s);
    if (n.seq == e->s)
        return true;
    n.seq = e->s;
    edit_renumber(cp->s, &n);
    return true;
}

bool edit_in_parts(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct edit_dir *d = &e->fe->dir[cp->from];
    uint32_t held = edit_held(d), fresh = e->slen - held;

    if (e->what != EDIT_FRESH || !e->whole || fresh - e->floor < 2)
        return false;
    if (!as_it_came(env, cp, held, fresh) || !edit_wait_rest(env, cp, d, 0)) {
        e->what = EDIT_LOST; /* its sender has it, and sends it again */
        return true;
    }
    d->part = (uint16_t)((fresh - e->floor) / 2);
    seqmap_pass(&d->map, e->floor);
    d->start += e->floor;
    e->what = EDIT_PARTS;
    return true;
}

/* ---- what it sees of a repetition ---- */

bool edit_repeats(const struct conn_env *env, const struct conn_pkt *cp)
{
    return cp->edited && (env->edit.at.what == EDIT_OLD || env->edit.at.what == EDIT_PROBE);
}

bool edit_beside(const struct conn_env *env, const struct conn_pkt *cp)
{
    return !cp->edited || env->edit.at.what == EDIT_BESIDE;
}

bool edit_waits(const struct conn_env *env, const struct conn_pkt *cp)
{
    return cp->edited && env->edit.at.what == EDIT_WAITS;
}

bool edit_would_wait(const struct conn_env *env, const struct conn_pkt *cp)
{
    return edit_beside(env, cp) && seq_lt(top_of(env, cp), cp->s->seq);
}

bool edit_is_new(const struct conn_env *env, const struct conn_pkt *cp)
{
    return cp->edited && env->edit.at.what == EDIT_FRESH;
}

/* to_show: payload bytes in front of the first edit. */
static uint32_t to_show(const struct conn_edit *e, const struct edit_dir *d, uint32_t len)
{
    if (e->what != EDIT_OLD || !d->below || !seq_lt(e->came, d->start))
        return 0;
    return len < d->start - e->came ? len : d->start - e->came;
}

bool edit_cover(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct seg *s = cp->s;
    struct edit_numbers n = edit_numbers_of(s);

    e->seen = to_show(e, &e->fe->dir[cp->from], s->pcap);
    e->aside_len = s->pcap;
    e->aside_fin = n.tflags & TH_FIN_;
    if (e->seen == s->pcap && !e->aside_fin)
        return true;
    e->aside = edit_alloc(env, e->aside_len + 1);
    if (e->aside == NULL)
        return false;
    memcpy(e->aside, seg_payload(s), e->aside_len);
    if (edit_chomp(s, e->seen, e->aside_len - e->seen) < 0)
        return false;
    n.tflags &= (uint8_t)~TH_FIN_;
    edit_renumber(s, &n);
    return true;
}

bool edit_uncover(struct conn_env *env, struct conn_pkt *cp)
{
    struct conn_edit *e = &env->edit.at;
    struct edit_numbers n = edit_numbers_of(cp->s);

    if (e->aside == NULL)
        return true;
    memcpy(e->aside, seg_payload(cp->s), e->seen < cp->s->pcap ? e->seen : cp->s->pcap);
    if (edit_set_payload(env, cp, e->aside, e->aside_len) < 0)
        return false;
    n.tflags |= e->aside_fin ? TH_FIN_ : 0;
    edit_renumber(cp->s, &n);
    edit_release(env, e->aside, e->aside_len + 1);
    e->aside = NULL;
    return true;
}

/* ---- what it changes ---- */

int edit_reserve(struct conn_env *env, struct conn_pkt *cp, uint32_t n)
{
    struct conn_edit *e = &env->edit.at;
    struct seqmap *m = &e->fe->dir[cp->from].map;
    uint32_t cap = n + 64;
    uint8_t *p;

    if (!seqmap_reserve(m)) {
        env->reasons[REASON_EDIT_MEM]++;
        return err_set(ENOBUFS, "no memory for another change");
    }
    if (n <= e->piece_cap)
        return 0;
    p = edit_alloc(env, cap);
    if (p == NULL)
        return err_set(ENOBUFS, "no memory to keep changed bytes");
    if (e->piece)
        edit_release(env, e->piece, e->piece_cap);
    e->piece = p;
    e->piece_cap = cap;
    return 0;
}

bool edit_editable(const struct conn_env *env, uint32_t off, uint32_t len, uint32_t n, bool stays)
{
    const struct conn_edit *e = &env->edit.at;

    return (stays || off >= e->floor) && off + len <= n - e->tail;
}

void edit_changed(struct conn_env *env, uint32_t off, uint32_t len, uint32_t n)
{
    struct conn_edit *e = &env->edit.at;

    if (off < e->pre)
        e->pre = off;
    if (n - off - len < e->post)
        e->post = n - off - len;
    e->edited = true;
}

int edit_hold(struct conn_env *env, const struct conn_pkt *cp, uint32_t off)
{
    struct conn_edit *e = &env->edit.at;
    uint32_t n = cp->s->pcap;

    if (e->what == EDIT_WAITS || e->what == EDIT_PARTS || (cp->s->tflags & TH_FIN_))
        return 0; /* all of it waits; behind a FIN nothing comes that is to be waited for */
    if (off > n)
        return err_set(EINVAL, "hold from %u on is outside of the payload's %u", off, n);
    if (off < e->floor)
        return err_set(EINVAL, "bytes that have left before cannot be held");
    if (n - off > e->post)
        return err_set(EINVAL, "bytes that were changed cannot be held");
    if (n - off > EDIT_HOLD_MAX)
        return err_set(ENOBUFS, "no more than %u bytes can be held", EDIT_HOLD_MAX);
    e->tail = n - off;
    return 0;
}
