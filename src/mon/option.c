// SPDX-License-Identifier: BSD-2-Clause
/*
 * option.c: mtcp_setsockopt. On a listener an option is a template for connections that begin
 * later; on a child it holds at once, except that memory is let go at the end of the batch only.
 * mtcp_getsockopt is in optget.c.
 */
#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include <errno.h>

#include "base/errtext.h"

/* One call: a listener, or a child and its flow. */
struct set {
    struct mon *m;
    struct listener *l;
    struct child *c;
    uint32_t idx;
    int side; /* of an option that has one for each side */
    int v;
};

static uint16_t side_bit(int side, uint16_t cli, uint16_t svr)
{
    return side == CLI ? cli : svr;
}

static uint16_t *flags_of(const struct set *s)
{
    return s->l ? &s->l->child_flags : &s->c->flags;
}

static struct flow_side *side_of(const struct set *s)
{
    return &flow_at(&s->m->env.ft, s->idx)->side[s->side];
}

static int bad_value(const struct set *s, const char *name, const char *what)
{
    return err_set(EINVAL, "mtcp_setsockopt: %s %d is not %s", name, s->v, what);
}

/* changed: what a child wants may be another thing now. */
static int changed(const struct set *s)
{
    if (s->l == NULL) {
        mon_rewant(s->m, s->idx);
        conn_touch(&s->m->env, s->idx);
    }
    return 0;
}

/* ---- buffers ---- */

static int buffer_off(const struct set *s)
{
    uint16_t *flags = flags_of(s);

    *flags |= side_bit(s->side, CHILD_NOBUF_CLI, CHILD_NOBUF_SVR);
    if (s->l)
        s->l->buf[s->side] = 0;
    return changed(s);
}

static int set_buf(const struct set *s)
{
    uint16_t *flags = flags_of(s), off = side_bit(s->side, CHILD_NOBUF_CLI, CHILD_NOBUF_SVR);
    uint32_t size = (uint32_t)s->v;
    struct strm *strm;

    if (s->v < 0)
        return bad_value(s, "a buffer of", "a size");
    if (s->v == 0)
        return buffer_off(s);
    if (s->l == NULL) {
        if (*flags & off)
            return err_set(EINVAL, "mtcp_setsockopt: this buffer was switched off for good");
        strm = strm_get(&s->m->env.se, side_of(s));
        if (strm == NULL)
            return err_set(ENOMEM, "mtcp_setsockopt: no memory for a stream");
        strm->limit = size;
        strm->sized = true;
    } else {
        *flags &= (uint16_t)~off;
        s->l->buf[s->side] = size;
    }
    *flags |= side_bit(s->side, CHILD_ASKED_CLI, CHILD_ASKED_SVR);
    return changed(s);
}

static int set_frag(const struct set *s)
{
    uint16_t meta = side_bit(s->side, CHILD_META_CLI, CHILD_META_SVR), *flags = flags_of(s);

    if (s->v != 0 && s->v != 1)
        return bad_value(s, "MOS_FRAG_", "0 or 1");
    *flags = (uint16_t)(s->v ? *flags & ~meta : *flags | meta);
    return changed(s);
}

static int set_overlap(const struct set *s)
{
    _Static_assert(MOS_OVERLAP_POLICY_SOLARIS == (int)OVERLAP_SOLARIS &&
                       MOS_OVERLAP_POLICY_LINUX == (int)OVERLAP_LINUX &&
                       MOS_OVERLAP_POLICIES == (int)OVERLAP_CNT,
                   "values agree");
    struct strm_env *se = &s->m->env.se;
    struct flow_side *sd;
    uint64_t end;

    if (s->v < 0 || s->v >= MOS_OVERLAP_POLICIES)
        return bad_value(s, "policy", "a MOS_OVERLAP_POLICY_");
    if (s->l) {
        s->l->policy[s->side] = (int8_t)s->v;
        return 0;
    }
    sd = side_of(s);
    end = strm_end(se, sd);
    strm_policy(se, sd, (enum overlap_policy)s->v);
    conn_ruffle(flow_at(&s->m->env.ft, s->idx));
    if (strm_end(se, sd) > end) { /* LAST no more: what waited for its ACK can be read now */
        conn_raise(&s->m->env, s->idx, s->side, SIDE_PEND_DATA);
        conn_touch(&s->m->env, s->idx);
    }
    return 0;
}

/* ---- the connection ---- */

static int set_stop(const struct set *s)
{
    if (s->v < MOS_SIDE_CLI || s->v > MOS_SIDE_BOTH)
        return bad_value(s, "MOS_STOP_MON", "a side");
    if (s->l == NULL) {
        mon_child_stop(s->m, s->idx, s->c, s->v);
        return 0;
    }
    if (s->v != MOS_SIDE_SVR)
        s->l->child_flags |= CHILD_STOP_CLI;
    if (s->v != MOS_SIDE_CLI)
        s->l->child_flags |= CHILD_STOP_SVR;
    if ((s->l->child_flags & CHILD_STOP_CLI) && (s->l->child_flags & CHILD_STOP_SVR))
        s->l->child_flags |= CHILD_CLOSED;
    return 0;
}

static int set_timeout(const struct set *s)
{
    uint32_t ms = s->v == -1 ? UINT32_MAX : (uint32_t)s->v;

    if (s->v == 0 || s->v < -1)
        return bad_value(s, "MOS_FLOW_TIMEOUT", "a number of milliseconds, or -1");
    if (s->l) {
        s->l->timeout_ms = ms;
        return 0;
    }
    flow_set_timeout(flow_at(&s->m->env.ft, s->idx), ms);
    conn_rearm(&s->m->env, s->idx);
    return 0;
}

static int set_midstream(const struct set *s)
{
    if (s->v != 0 && s->v != 1)
        return bad_value(s, "MOS_MIDSTREAM", "0 or 1");
    s->l->midstream = (int8_t)s->v;
    if (s->v)
        s->m->env.cfg.midstream = true; /* some listener wants it: mon_match asks which */
    return 0;
}

static int set_strict(const struct set *s)
{
    if (s->v != 0 && s->v != 1)
        return bad_value(s, "MOS_STRICT", "0 or 1");
    s->l->strict = (int8_t)s->v;
    return 0;
}

static int set_csum(const struct set *s)
{
    _Static_assert(MOS_CSUM_OFF == (int)CSUM_OFF && MOS_CSUM_ON == (int)CSUM_ON &&
                       MOS_CSUM_AUTO == (int)CSUM_AUTO,
                   "values agree");
    if (s->v < MOS_CSUM_OFF || s->v > MOS_CSUM_AUTO)
        return bad_value(s, "MOS_CSUM", "MOS_CSUM_OFF, ON or AUTO");
    s->m->lst_changes++;
    s->l->csum = (int8_t)s->v;
    return 0;
}

static int set_stats(const struct set *s)
{
    if (s->v != 0 && s->v != 1)
        return bad_value(s, "MOS_STATS", "0 or 1");
    s->m->env.no_counts = s->v == 0;
    return 0;
}

/* ---- the call ---- */

static const struct set_opt {
    int name;
    bool child; /* for children, too */
    uint8_t side;
    int (*set)(const struct set *s);
} opts[] = {
    {MOS_CLIBUF, true, CLI, set_buf},         {MOS_SVRBUF, true, SVR, set_buf},
    {MOS_FRAG_CLIBUF, true, CLI, set_frag},   {MOS_FRAG_SVRBUF, true, SVR, set_frag},
    {MOS_CLIOVERLAP, true, CLI, set_overlap}, {MOS_SVROVERLAP, true, SVR, set_overlap},
    {MOS_STOP_MON, true, 0, set_stop},        {MOS_FLOW_TIMEOUT, true, 0, set_timeout},
    {MOS_MIDSTREAM, false, 0, set_midstream}, {MOS_STRICT, false, 0, set_strict},
    {MOS_CSUM, false, 0, set_csum},           {MOS_STATS, false, 0, set_stats},
};

static const struct set_opt *find_opt(int level, int name)
{
    for (size_t i = 0; i < ARRAY_SIZE(opts) && level == SOL_MONSOCKET; i++)
        if (opts[i].name == name)
            return &opts[i];
    return err_null(ENOSYS, "mtcp_setsockopt: level 0x%x has no option 0x%x that could be set",
                    (unsigned)level, (unsigned)name);
}

int mtcp_setsockopt(mctx_t mctx, int sock, int level, int optname, const void *optval,
                    socklen_t optlen)
{
    struct set s = {.m = mon_enter(mctx)};
    const struct set_opt *o;
    int err = errno;

    if (s.m == NULL)
        return -1;
    o = find_opt(level, optname);
    if (o == NULL)
        return -1;
    if (o->child) /* first: programs do this for each connection */
        s.c = mon_child(s.m, sock, &s.idx);
    if (s.c == NULL) {
        errno = err;
        s.l = mon_listener(s.m, sock);
    }
    if (s.l == NULL && s.c == NULL)
        return err_prefix("mtcp_setsockopt: ");
    if (optval == NULL)
        return err_set(EFAULT, "mtcp_setsockopt: optval is NULL");
    if (optlen != sizeof(int))
        return err_set(EINVAL, "mtcp_setsockopt: %u bytes, where an int is meant",
                       (unsigned)optlen);
    s.v = *(const int *)optval;
    s.side = o->side;
    return o->set(&s);
}
