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

    if (x == NULL)
        return NULL;
    if (x->edit == 0)
        x->edit = pool_zalloc(&env->edit.flows);
    if (x->edit == 0)
        return NULL;
    fe = pool_at(&env->edit.flows, x->edit);
    fe->flow = cp->idx;
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

/*
 * open_dir: from this segment on. What it repeats passes again as it is (floor); where it is not the
 * next one and to be held it waits.
 */
static int open_dir(struct conn_env *env, struct conn_pkt *cp, struct edit_dir *d, bool hold)
{
    struct conn_edit *e = &env->edit.at;
    const struct seg *s = cp->s;
    uint32_t top = top_of(env, cp);

    if (seq_leq(s->seq + s->plen, top) && !((s->tflags & TH_FIN_) && s->seq + s->plen == top))
        return err_set(EOPNOTSUPP, "a repetition of what has left as it was");
    d->on = true;
    d->fin = false;
    d->tsval = s->tsval;
    d->longest = s->pb->gso_size && s->plen > s->pb->gso_size
                     ? s->ip_len - s->plen + s->pb->gso_size
                     : s->ip_len;
    e->s = e->r = e->came = s->seq;
    e->plen = s->plen;
    e->slen = e->pre = e->post = s->plen;
    e->fin = s->tflags & TH_FIN_;
    e->what = EDIT_FRESH;
    if (hold && seq_lt(top, s->seq)) {
        e->what = EDIT_WAITS;
        seqmap_init(&d->map, top, top);
        return 0;
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
        return hold ? 0 : err_set(EOPNOTSUPP, "it waits, and is told again when its turn comes");
    if (cp->edited && e->what != EDIT_BESIDE)
        return err_set(EOPNOTSUPP, "this segment brings nothing new");
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

bool edit_editable(const struct conn_env *env, uint32_t off, uint32_t len, uint32_t n)
{
    const struct conn_edit *e = &env->edit.at;

    return off >= e->floor && off + len <= n - e->tail;
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

    if (e->what == EDIT_WAITS || (cp->s->tflags & TH_FIN_))
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
