// SPDX-License-Identifier: BSD-2-Clause
/*
 * kept.c: SYNs that came on the key of a flow and may begin another connection (reuse.c decides), with the
 * SYN/ACKs that answered them; and how a flow is opened with what was kept.
 *
 * When a flow makes way for one of them it may be the wrong one that goes. So the new flow keeps the others,
 * and what the old one was: its own SYN and SYN/ACK if nothing came behind them, else where both its ends
 * were (KEPT_LIVE).
 */
#include <string.h>

#include "conn/conn_int.h"

static bool is_of(const struct flow_syn *k, uint32_t isn, int from)
{
    return k->isn == isn && k->from == from && !(k->shown & KEPT_LIVE);
}

/* worth: what is worth more makes room later: anybody can send a SYN. */
static int worth(const struct flow_syn *k)
{
    return k->shown & KEPT_LIVE ? 2 : k->shown != 0;
}

/* room: a place for one more, the oldest of the least worth making room. */
static struct flow_syn *room(struct flow_ext *x)
{
    uint32_t at = x->next_syn;

    if (x->nsyn < FLOW_SYNS) {
        at = x->nsyn++;
    } else {
        for (uint32_t i = 1; i < FLOW_SYNS; i++) {
            uint32_t k = (x->next_syn + i) % FLOW_SYNS;

            if (worth(&x->syn[k]) < worth(&x->syn[at]))
                at = k;
        }
        x->next_syn = (uint8_t)((at + 1) % FLOW_SYNS);
    }
    memset(&x->syn[at], 0, sizeof(x->syn[at]));
    return &x->syn[at];
}

static struct flow_syn *kept_as(struct flow_ext *x, const struct seg *s, int from)
{
    struct flow_syn *k;

    for (int i = 0; i < x->nsyn; i++)
        if (is_of(&x->syn[i], s->seq, from))
            return &x->syn[i];
    k = room(x);
    k->isn = s->seq;
    k->from = (uint8_t)from;
    return k;
}

void kept_add(struct conn_env *env, struct flow *f, const struct seg *s, int from)
{
    struct flow_ext *x = conn_ext(env, f);
    struct flow_syn *k;

    if (x == NULL)
        return;
    k = kept_as(x, s, from);
    k->len = s->plen;
    k->ip_len = s->ip_len;
    k->tsval = s->flags & SEG_TS ? s->tsval : 0;
    /* with other options, perhaps: see note_again */
    k->wnd = k->wnd < s->win ? s->win : k->wnd;
    if ((s->flags & SEG_WSCALE) && k->wscale < s->wscale)
        k->wscale = s->wscale;
    k->flags |= (uint16_t)((s->flags & SEG_TS ? SIDE_TS_OK : 0) |
                           (s->flags & SEG_SACKOK ? SIDE_SACK_OK : 0) |
                           (s->flags & SEG_WSCALE ? SIDE_WSCALE_OK : 0));
    if (k->times == 0) {
        k->first = s->pb->ts_ns;
        k->tsfirst = k->tsval;
    }
    if (k->times == 0 || f->last != k->f_last) {
        k->f_last = f->last;
        k->f_behind = x->behind;
    }
    k->times += k->times < UINT16_MAX;
}

struct flow_syn *kept_answer(struct flow_ext *x, const struct seg *s, int from)
{
    struct flow_syn *k = NULL, copy;

    for (int i = 0; i < x->nsyn; i++) {
        struct flow_syn *o = &x->syn[i];

        if (o->from == from || (o->shown & KEPT_LIVE) || s->ack - (o->isn + 1) > o->len)
            continue;
        k = o;
        if (!(o->shown & KEPT_SYNACK) || o->answer.isn == s->seq)
            break;
    }
    if (k && (k->shown & KEPT_SYNACK) && k->answer.isn != s->seq) { /* the SYN of two: who knows */
        copy = *k;
        k = room(x);
        *k = copy;
        k->answer.times = 0;
    }
    if (k == NULL)
        return NULL;
    k->shown = KEPT_SYNACK;
    k->answer.isn = s->seq;
    k->answer.ack = s->ack;
    k->answer.len = s->plen;
    k->answer.ip_len = s->ip_len;
    k->answer.tsval = s->tsval;
    k->answer.tsecr = s->tsecr;
    k->answer.wnd = s->win;
    k->answer.wscale = s->wscale;
    k->answer.flags = (uint16_t)(s->flags & (SEG_TS | SEG_WSCALE | SEG_SACKOK));
    k->answer.times += k->answer.times < UINT16_MAX;
    return k;
}

/* ---- making way ---- */

/* disown: so many packets were counted for the old flow, which they do not belong to. */
static void disown(const struct conn_env *env, struct flow_ctr *c, uint32_t times, uint32_t ip_len,
                   uint32_t len)
{
    if (c->packets >= times)
        c->packets -= times;
    if (env->no_counts)
        return;
    c->ip_bytes -= (uint64_t)times * ip_len;
    c->payload -= (uint64_t)times * len;
}

/* own_syn: the flow is no more than a SYN, or that and a SYN/ACK: as they would have been kept. */
static void own_syn(const struct flow *f, struct flow_syn *k)
{
    const struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    k->isn = svr->base - 1;
    k->len = f->flags & FLOW_SYNACK ? 0 : cli->snd_max - svr->base;
    k->tsval = f->ctr[CLI].tsval;
    k->tsfirst = f->ctr[CLI].echoed;
    k->wnd = cli->wnd;
    k->wscale = cli->wscale;
    k->flags = cli->flags & (SIDE_TS_OK | SIDE_SACK_OK | SIDE_WSCALE_OK);
    k->first = f->start;
    if (!(f->flags & FLOW_SYNACK))
        return;
    k->shown = KEPT_SYNACK;
    k->answer.isn = cli->base - 1;
    k->answer.ack = svr->base;
    k->answer.tsval = f->ctr[SVR].tsval;
    k->answer.tsecr = f->ctr[CLI].echoed;
    k->answer.wnd = svr->wnd;
    k->answer.wscale = svr->wscale;
    k->answer.flags = (uint16_t)((svr->flags & SIDE_TS_OK ? SEG_TS : 0) |
                                 (svr->flags & SIDE_WSCALE_OK ? SEG_WSCALE : 0) |
                                 (svr->flags & SIDE_SACK_OK ? SEG_SACKOK : 0));
}

/* own_place: where both its ends are. */
static void own_place(const struct flow *f, struct flow_syn *k)
{
    const struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    k->shown = KEPT_LIVE;
    k->isn = svr->base + (uint32_t)svr->next - 1;
    k->answer.isn = cli->base + (uint32_t)cli->next - 1;
    k->wscale = cli->wscale;
    k->answer.wscale = svr->wscale;
    k->flags = cli->flags & (SIDE_TS_OK | SIDE_SACK_OK | SIDE_WSCALE_OK);
    k->answer.flags = svr->flags & (SIDE_TS_OK | SIDE_SACK_OK | SIDE_WSCALE_OK);
}

bool conn_proven(const struct conn_env *env, const struct flow *f)
{
    const struct flow_ext *x = f->ext ? pool_at(&env->ft.exts, f->ext) : NULL;

    return conn_acked(f, CLI) > 0 || conn_acked(f, SVR) > 0 || (x && x->restored);
}

/* own: what is kept of the flow itself. => false: it has nothing to come back to. */
static bool own(const struct conn_env *env, const struct flow *f, struct flow_syn *k)
{
    bool over = fsm_done(f->side[CLI].state) && fsm_done(f->side[SVR].state);

    memset(k, 0, sizeof(*k));
    if (over || (f->flags & (FLOW_ENDED | FLOW_LINGER | FLOW_NAT)) || !base_known(f, SVR))
        return false;
    if (!conn_proven(env, f) && (f->flags & FLOW_SYN))
        own_syn(f, k);
    else if (conn_proven(env, f) && base_known(f, CLI))
        own_place(f, k);
    else
        return false;
    return true;
}

void kept_choose(struct conn_env *env, struct flow *f, const struct flow_syn *k,
                 const struct seg *s, int from)
{
    struct flow_ext *x = conn_ext(env, f);
    int flip = k->shown & KEPT_LIVE ? CLI : k->from;

    env->answered = true;
    env->kept = *k;
    env->kept.from = k->from == from;
    if (is_synack(s)) { /* it is the new flow's first, and was not counted here */
        env->kept.shown = 0;
        env->kept.answer.times--;
    }
    env->nothers = 0;
    disown(env, &f->ctr[k->from], k->times, k->ip_len, k->len);
    disown(env, &f->ctr[!k->from], env->kept.answer.times, k->answer.ip_len, k->answer.len);
    if (f->last == k->f_last)
        x->behind = k->f_behind;
    if (k->shown & KEPT_LIVE) /* it goes on: what took its place was none, nor are the others */
        return;
    if (own(env, f, &env->others[0]))
        env->others[env->nothers++].from = (uint8_t)flip;
    for (int i = 0; i < x->nsyn && env->nothers < FLOW_SYNS; i++) {
        if (&x->syn[i] == k)
            continue;
        env->others[env->nothers] = x->syn[i];
        env->others[env->nothers++].from ^= (uint8_t)flip;
    }
}

/* ---- the new flow ---- */

/* synack: the SYN/ACK that was kept, as if it came now. */
static void synack(struct conn_env *env, uint32_t idx)
{
    const struct flow_syn *k = &env->kept;
    struct pktbuf pb = {.ts_ns = env->now};
    struct seg s = {.pb = &pb,
                    .level = SEG_TCP,
                    .tflags = TH_SYN_ | TH_ACK_,
                    .flags = k->answer.flags,
                    .seq = k->answer.isn,
                    .ack = k->answer.ack,
                    .win = k->answer.wnd,
                    .wscale = k->answer.wscale,
                    .tsval = k->answer.tsval,
                    .tsecr = k->answer.tsecr};
    struct conn_pkt cp;
    struct flow *f;

    conn_begin(env, &cp, &s, idx, SVR, true);
    conn_send(env, &cp);
    conn_recv(env, &cp);
    f = cp.f;
    if (cp.ignored)
        return;
    f->side[SVR].snd_max += k->answer.len;
    f->ctr[SVR].packets = k->answer.times;
    if (!env->no_counts) {
        f->ctr[SVR].ip_bytes = (uint64_t)k->answer.times * k->answer.ip_len;
        f->ctr[SVR].payload = (uint64_t)k->answer.times * k->answer.len;
    }
}

/* syn: the SYN came before, while the key was another flow's: both sides stand where it has put them. */
static void syn(const struct conn_env *env, struct flow *f)
{
    const struct flow_syn *k = &env->kept;
    struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    cli->state = FS_SYN_SENT;
    svr->state = FS_SYN_RCVD;
    svr->base = k->isn + 1;
    cli->snd_max = k->isn + 1 + k->len;
    cli->wnd = k->wnd;
    cli->wscale = k->wscale & 15;
    cli->max_wnd = (uint16_t)(k->wnd >> k->wscale);
    cli->flags |= SIDE_SPOKE | k->flags;
    f->ctr[CLI].tsval = k->tsval;
    f->ctr[CLI].echoed = k->tsfirst;
    f->flags |= FLOW_BASE_SVR | FLOW_SYN;
    f->start = k->first;
    f->ctr[CLI].packets = k->times;
    if (!env->no_counts) {
        f->ctr[CLI].ip_bytes = (uint64_t)k->times * k->ip_len;
        f->ctr[CLI].payload = (uint64_t)k->times * k->len;
    }
}

/* live: the connection goes on where it was; what passed since is a hole. */
static void live(struct flow *f, const struct flow_syn *k)
{
    struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    cli->state = svr->state = FS_ESTABLISHED;
    svr->base = cli->snd_max = k->isn + 1;
    cli->base = svr->snd_max = k->answer.isn + 1;
    cli->wscale = k->wscale & 15;
    svr->wscale = k->answer.wscale & 15;
    cli->flags |= SIDE_SPOKE | k->flags;
    svr->flags |= SIDE_SPOKE | k->answer.flags;
    f->flags |= FLOW_MIDSTREAM | FLOW_BASE_CLI | FLOW_BASE_SVR;
}

void kept_open(struct conn_env *env, uint32_t idx)
{
    struct flow *f = flow_at(&env->ft, idx);
    bool restored = env->kept.shown & KEPT_LIVE;
    struct flow_ext *x;

    if (restored)
        live(f, &env->kept);
    else
        syn(env, f);
    if (env->kept.shown & KEPT_SYNACK)
        synack(env, idx);
    if (!restored && env->nothers == 0)
        return;
    x = conn_ext(env, f);
    if (x == NULL)
        return;
    x->restored = restored;
    x->nsyn = (uint8_t)env->nothers;
    memcpy(x->syn, env->others, env->nothers * sizeof(x->syn[0]));
    for (uint32_t i = 0; i < x->nsyn; i++) { /* they were counted for a flow that has gone */
        x->syn[i].times = x->syn[i].answer.times = 0;
        x->syn[i].said[CLI] = x->syn[i].said[SVR] = 0;
    }
}
