// SPDX-License-Identifier: BSD-2-Clause
/*
 * close.c: how a connection ends, and when it must be looked at. A flow that has finished stays in
 * the table to the end of the batch (FLOW_ENDED), or for cfg.linger / TIME_WAIT longer
 * (FLOW_LINGER): late packets are then still its own.
 */
#include <mos_api.h>

#include "conn/conn_int.h"
#include "conn/streamedit.h"

/* linger_of: what the flow is kept for late packets; in one that was edited they need other numbers. */
static uint64_t linger_of(const struct conn_env *env, const struct flow *f)
{
    bool tw = f->side[CLI].state == FS_TIME_WAIT || f->side[SVR].state == FS_TIME_WAIT;
    uint64_t ns = env->cfg.linger_ns;

    if (tw && env->cfg.tw_ns > ns)
        ns = env->cfg.tw_ns;
    if (unlikely(f->ext) && ns < EDIT_LINGER && !(f->flags & FLOW_RST) && edit_of(env, f))
        ns = EDIT_LINGER;
    return ns;
}

int conn_done(struct conn_env *env, struct conn_pkt *cp)
{
    struct flow *f = cp->f;
    int reason;

    if ((f->flags & (FLOW_ENDED | FLOW_LINGER)) || !fsm_done(f->side[CLI].state) ||
        !fsm_done(f->side[SVR].state))
        return 0;
    if (f->side[SVR].state == FS_CLOSED && !(f->flags & (FLOW_RST | FLOW_BASE_SVR | FLOW_BASE_CLI)))
        return 0; /* not begun */
    reason = f->flags & FLOW_RST ? MOS_END_RST : MOS_END_FIN;
    f->reason = (uint8_t)reason;
    if (linger_of(env, f) == 0)
        return reason;
    f->flags |= FLOW_LINGER;
    wheel_hang(&env->ft.wheel, cp->idx, conn_deadline(env, f));
    return 0;
}

bool conn_rst_due(const struct conn_env *env, const struct flow *f)
{
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    return x && (x->dir[CLI].rst || x->dir[SVR].rst) && !(f->flags & FLOW_LINGER);
}

/* least_silence: of a flow without which its ends do not understand each other: as a translator's (RFC 5382 REQ-5). */
static uint64_t least_silence(const struct conn_env *env, const struct flow *f)
{
    if ((f->side[CLI].flags & f->side[SVR].flags & SIDE_FIN_SENT) || conn_rst_due(env, f))
        return EDIT_CLOSES;
    return EDIT_LIVES;
}

uint64_t conn_deadline(const struct conn_env *env, const struct flow *f)
{
    uint64_t wait = env->cfg.idle_ns;

    if (unlikely(f->timed)) /* else its line is not touched */
        wait = f->timeout == UINT32_MAX ? UINT64_MAX : f->timeout * NSEC_PER_MSEC;

    if (f->flags & FLOW_LINGER)
        wait = linger_of(env, f);
    else if (unlikely(f->asks) && edit_lasts(env, f) && wait < least_silence(env, f))
        wait = least_silence(env, f);
    return conn_later(f->last, wait);
}

/* hole_deadline: when gap rules (a), (c) must be looked at again. */
static uint64_t hole_deadline(const struct conn_env *env, const struct flow_side *sd)
{
    const struct strm *s;
    uint64_t when, acked;

    if (sd->strm == 0)
        return UINT64_MAX;
    s = strm_at(&env->se, sd->strm);
    if (s->hole_since == 0 || s->hole_off != sd->next)
        return UINT64_MAX;
    when = conn_later(s->hole_since, env->cfg.gap_timeout_ns);
    acked = s->hole_acked ? conn_later(s->hole_acked, env->cfg.grace_ns) : UINT64_MAX;
    return acked < when ? acked : when;
}

void conn_rearm(struct conn_env *env, uint32_t idx)
{
    const struct flow *f = flow_at(&env->ft, idx);
    uint64_t when = conn_deadline(env, f), a = hole_deadline(env, &f->side[CLI]),
             b = hole_deadline(env, &f->side[SVR]);

    if (a < when)
        when = a;
    if (b < when)
        when = b;
    if (unlikely(f->asks) && edit_lasts(env, f) && conn_later(env->now, EDIT_CLOSES) < when)
        when = conn_later(env->now, EDIT_CLOSES); /* it may be less by then */
    if (when != UINT64_MAX)
        wheel_hang(&env->ft.wheel, idx, when);
    else
        wheel_off(&env->ft.wheel, idx);
}

void conn_kill(struct conn_env *env, uint32_t idx, int reason)
{
    struct flow *f = flow_at(&env->ft, idx);

    if (f->flags & FLOW_ENDED)
        return;
    /* what finished it stands; lingering only delays the end */
    if (!(f->flags & FLOW_LINGER) || f->reason == 0)
        f->reason = (uint8_t)reason;
    f->flags |= FLOW_ENDED;
    if (likely(env->nended < env->cap_ended) ||
        conn_vec_grow(env, (void **)&env->ended, &env->cap_ended, env->nended, sizeof(*env->ended)))
        env->ended[env->nended++] = idx;
    else
        env->ended_lack = true;
}

/*
 * untouch: take the flow off the list of touched flows (rare: only when it goes before the batch
 * ends).
 */
static void untouch(struct conn_env *env, uint32_t idx)
{
    uint32_t *link = &env->touched;

    while (*link && *link != idx)
        link = &flow_at(&env->ft, *link)->pend;
    if (*link)
        *link = flow_at(&env->ft, idx)->pend;
}

void conn_forget(struct conn_env *env, uint32_t idx)
{
    const struct flow *f = flow_at(&env->ft, idx);

    if ((f->side[CLI].flags | f->side[SVR].flags) & (SIDE_PEND_DATA | SIDE_PEND_GAP)) {
        for (uint32_t i = 0; i < env->nraises; i++)
            if (env->raises[i].flow == idx)
                env->raises[i].flow = 0;
        for (uint32_t i = 0; i < env->ngaps; i++)
            if (env->gaps[i].flow == idx)
                env->gaps[i].flow = 0;
    }
    if (f->flags & FLOW_PENDING)
        untouch(env, idx);
    if ((f->flags & FLOW_ENDED) && idx != env->unlisted)
        for (uint32_t i = 0; i < env->nended; i++)
            if (env->ended[i] == idx)
                env->ended[i] = 0;
}

void conn_free(struct conn_env *env, uint32_t idx)
{
    struct flow *f = flow_at(&env->ft, idx);

    conn_forget(env, idx);
    if (unlikely(f->ext))
        edit_free(env, f);
    for (int side = CLI; side <= SVR; side++)
        if (f->side[side].strm)
            strm_drop(&env->se, &f->side[side]);
    ftable_del(&env->ft, idx);
}

void conn_own(struct conn_env *env, uint32_t idx, int side)
{
    uint32_t lost = strm_own(&env->se, &flow_at(&env->ft, idx)->side[side]);

    if (likely(lost == 0 && env->se.nlost == 0))
        return;
    env->reasons[REASON_NO_STREAM_MEM]++;
    conn_lost(env, idx, side);
}

void conn_own_borrowed(struct conn_env *env, uint32_t idx)
{
    conn_own(env, idx, CLI);
    conn_own(env, idx, SVR);
}
