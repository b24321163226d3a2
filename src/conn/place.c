// SPDX-License-Identifier: BSD-2-Clause
#include "conn/place.h"

#include "conn/conn_int.h"
#include "conn/plain.h"

#define PLACE_ALL  (PLACE_SEEN | FLOW_MIDSTREAM | PLAIN_GONE)
#define PLACE_TOLD (SIDE_SPOKE | SIDE_ACKED | SIDE_EDGE | SIDE_TS_OK | SIDE_WSCALE_OK)

/* ---- is it one? ---- */

/* opens: the SYN of a flow of which nothing else is known. */
static bool opens(const struct flow *f, const struct seg *s)
{
    const struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    return s->plen == 0 && !(f->flags & PLACE_ALL) && !((cli->flags | svr->flags) & PLACE_TOLD) &&
           cli->state == FS_CLOSED && svr->state == FS_LISTEN;
}

/* answers: the SYN/ACK, after one SYN, which it acknowledges; nothing else has been sent. */
static bool answers(const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];
    const struct flow_ctr *c = &f->ctr[CLI];

    return from == SVR && s->plen == 0 && (f->flags & PLACE_ALL) == (FLOW_SYN | FLOW_BASE_SVR) &&
           cli->state == FS_SYN_SENT && svr->state == FS_SYN_RCVD && !(svr->flags & PLACE_TOLD) &&
           (cli->flags & (SIDE_SPOKE | SIDE_ACKED | SIDE_EDGE)) == SIDE_SPOKE && svr->next == 0 &&
           s->ack == svr->base && s->ack == cli->snd_max &&
           (!(s->flags & SEG_TS) || !(cli->flags & SIDE_TS_OK) ||
            (s->tsecr == c->tsval && s->tsecr == c->echoed));
}

enum conn_place place_of_syn(const struct conn_env *env, const struct flow *f, const struct seg *s,
                             int from, bool opened)
{
    if (!place_may(env, f, s, from))
        return PLACE_NONE;
    if (s->tflags & TH_ACK_)
        return !opened && answers(f, s, from) ? PLACE_SYNACK : PLACE_NONE;
    return opened && opens(f, s) ? PLACE_SYN : PLACE_NONE;
}

/* ---- what it tells of its sender ---- */

/* send_syn: the number of the first byte that it will send, and options. */
static void send_syn(struct conn_pkt *cp)
{
    struct flow *f = cp->f;

    f->flags |= FLOW_SYN | FLOW_BASE_SVR;
    f->side[SVR].base = cp->s->seq + 1;
    conn_note_options(cp);
    f->side[CLI].wnd = cp->s->win;
    conn_note_max(&f->side[CLI], cp->s);
    f->side[CLI].state = FS_SYN_SENT;
    cp->first_syn = true;
    cp->snd = CR_CONN_START | CR_STATE;
}

/* send_synack: likewise; what the client's SYN has offered begins here. Windows of SYNs are not scaled. */
static void send_synack(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow *f = cp->f;
    struct flow_side *cli = &f->side[CLI], *svr = &f->side[SVR];

    f->flags |= FLOW_SYNACK | FLOW_BASE_CLI;
    cli->base = s->seq + 1;
    if (cli->wnd) {
        cli->flags |= SIDE_EDGE;
        f->ctr[CLI].edge = s->seq + 1 + cli->wnd;
    }
    conn_note_options(cp);
    svr->flags |= SIDE_ACKED | SIDE_EDGE;
    svr->ack = s->ack;
    svr->wnd = s->win;
    conn_note_max(svr, s);
    f->ctr[SVR].edge = s->ack + s->win;
    cp->first_ack = true;
}

void place_send_syn(struct conn_pkt *cp)
{
    if (cp->in_place == PLACE_SYN)
        send_syn(cp);
    else
        send_synack(cp);
}

/* ---- what it does to its receiver ---- */

void place_recv_syn(struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow *f = cp->f;
    struct flow_side *snd = &f->side[cp->from];

    snd->snd_max = s->seq + 1;
    snd->flags |= SIDE_SPOKE;
    if (s->flags & SEG_TS) {
        f->ctr[cp->from].tsval = f->ctr[cp->from].echoed = s->tsval;
        snd->flags |= SIDE_TS_OK;
    }
    cp->rcv = CR_STATE | (cp->in_place == PLACE_SYN ? CR_CONN_START : 0);
    f->side[cp->to].state = cp->in_place == PLACE_SYN ? FS_SYN_RCVD : FS_ESTABLISHED;
}
