// SPDX-License-Identifier: BSD-2-Clause
/*
 * open.c: how a connection begins: by its SYN, by being picked up in the middle, or on the key of
 * an older one.
 */
#include <string.h>

#include <arpa/inet.h>
#include <mos_api.h>

#include "conn/conn.h"
#include "wire/csum.h"

static bool is_syn(const struct seg *s)
{
    return (s->tflags & (TH_SYN_ | TH_ACK_ | TH_RST_)) == TH_SYN_;
}

static bool is_synack(const struct seg *s)
{
    return (s->tflags & (TH_SYN_ | TH_ACK_ | TH_RST_)) == (TH_SYN_ | TH_ACK_);
}

/* in_window: is the SYN's number one that the receiver could take for data? */
static bool in_window(const struct flow_side *rcv, uint32_t seq)
{
    uint32_t lo = rcv->base + (uint32_t)rcv->next, wnd = tcp_window(rcv->wnd, rcv->wscale);

    if ((rcv->flags & SIDE_ACKED) && seq_lt(rcv->ack, lo))
        lo = rcv->ack;
    return seq_in(seq, lo - 1, wnd + (rcv->base + (uint32_t)rcv->next - lo) + 2);
}

bool conn_reuse(const struct conn_env *env, const struct flow *f, const struct seg *s, int from)
{
    const struct flow_side *snd = &f->side[from], *rcv = &f->side[!from];
    bool base_known = f->flags & (from == CLI ? FLOW_BASE_SVR : FLOW_BASE_CLI);

    if (!is_syn(s))
        return false;
    if (base_known && s->seq + 1 == rcv->base)
        return false; /* the SYN we know, once more */
    if (f->flags & (FLOW_ENDED | FLOW_LINGER))
        return true;
    if ((snd->flags & SIDE_FIN_SENT) && (rcv->flags & SIDE_FIN_SENT))
        return true;
    if (!base_known)
        return false; /* its first SYN: simultaneous open (RFC 9293 3.5) */
    if (!(f->flags & (FLOW_SYNACK | FLOW_MIDSTREAM)) && from == CLI && snd->state == FS_SYN_SENT)
        return true; /* gave up and tries again with another ISN */
    return !env->cfg.strict && !(f->flags & FLOW_STRICT) && !in_window(rcv, s->seq);
}

int conn_can_open(const struct conn_env *env, const struct seg *s)
{
    if (is_syn(s))
        return s->tflags & TH_FIN_ ? 0 : 1; /* RFC 9293 has no segment that opens and closes */
    if (!env->cfg.midstream || (s->tflags & TH_RST_))
        return 0;
    if ((s->flags & SEG_IPCSUM_BAD) && s->pcap == 0 && !is_synack(s))
        return 0; /* a broken header with nothing behind it is no sign of a connection */
    return is_synack(s) || (s->plen > 0 && !(s->tflags & TH_SYN_)) ? 2 : 0;
}

int conn_client(const struct seg *s, int from)
{
    if (is_syn(s))
        return from;
    if (is_synack(s))
        return !from;
    return ntohs(s->sport) >= ntohs(s->dport) ? from : !from;
}

/* pick_up: both sides of a flow whose beginning passed unseen (contract 4). */
static void pick_up(struct flow *f, const struct seg *s, int from)
{
    struct flow_side *snd = &f->side[from], *rcv = &f->side[!from];

    f->flags |= FLOW_MIDSTREAM;
    f->side[CLI].wscale = f->side[SVR].wscale = 15;
    if (is_synack(s)) {
        snd->state = FS_SYN_RCVD;
        rcv->state = FS_SYN_SENT;
        snd->base = s->ack;
        rcv->snd_max = s->ack;
        rcv->flags |= SIDE_SPOKE | SIDE_WSCALE_OK;
        f->flags |= from == CLI ? FLOW_BASE_CLI : FLOW_BASE_SVR;
        return;
    }
    snd->state = rcv->state = FS_ESTABLISHED;
    rcv->base = s->seq;
    f->flags |= from == CLI ? FLOW_BASE_SVR : FLOW_BASE_CLI;
    if (s->tflags & TH_ACK_) {
        snd->base = s->ack;
        rcv->snd_max = s->ack;
        rcv->flags |= SIDE_SPOKE;
        f->flags |= from == CLI ? FLOW_BASE_CLI : FLOW_BASE_SVR;
    }
}

static void keep_vlans(struct conn_env *env, struct flow *f, const struct seg *s)
{
    struct flow_ext *x = conn_ext(env, f);

    if (x) {
        memcpy(x->vlan, s->vlan, sizeof(x->vlan));
        x->nvlan = s->nvlan;
    }
}

uint32_t conn_open(struct conn_env *env, const struct seg *s, const struct flow_key *k,
                   uint32_t hash, int client, int mode)
{
    uint32_t idx = ftable_new(&env->ft, k, hash, client, env->now);
    struct flow *f;

    if (idx == 0) {
        env->reasons[REASON_NO_FLOW_MEM]++;
        return 0;
    }
    f = flow_at(&env->ft, idx);
    f->kind = FLOW_MONITOR;
    f->csum = env->cfg.csum;
    f->start = s->pb->ts_ns;
    f->last = env->now;
    if (env->cfg.strict)
        f->flags |= FLOW_STRICT;
    if (mode != 1) {
        struct flow_key sent;

        pick_up(f, s, key_of_seg(&sent, s) == client ? CLI : SVR);
    } else {
        f->side[CLI].state = FS_CLOSED;
        f->side[SVR].state = FS_LISTEN;
    }
    if (s->nvlan)
        keep_vlans(env, f, s);
    conn_rearm(env, idx);
    return idx;
}

uint32_t conn_open_noted(struct conn_env *env, const struct seg *s, const struct flow_key *k,
                         uint32_t hash, const struct synnote *n)
{
    uint32_t idx = conn_open(env, s, k, hash, !!(n->meta & NOTE_CLI_IS_1), 1);
    struct flow_side *cli, *svr;
    struct flow *f;

    if (idx == 0)
        return 0;
    f = flow_at(&env->ft, idx);
    cli = &f->side[CLI];
    svr = &f->side[SVR];
    f->flags |= FLOW_SYN | FLOW_BASE_SVR;
    cli->state = FS_SYN_SENT;
    svr->state = FS_SYN_RCVD;
    svr->base = cli->snd_max = n->isn + 1;
    cli->flags |= SIDE_SPOKE | (n->meta & NOTE_HAS_WSCALE ? SIDE_WSCALE_OK : 0) |
                  (n->meta & NOTE_SACKOK ? SIDE_SACK_OK : 0) |
                  (n->meta & NOTE_TS ? SIDE_TS_OK : 0) |
                  (n->meta & NOTE_CSUM_GOOD ? SIDE_CSUM_GOOD : 0) |
                  (n->meta & NOTE_CSUM_WRONG ? SIDE_CSUM_OFF : 0);
    cli->wscale = n->meta & NOTE_WSCALE;
    f->ctr[CLI].tsval = n->tsval;
    return idx;
}

enum reason conn_refuse(struct conn_env *env, struct flow *f, const struct seg *s, int from)
{
    uint16_t *flags = &f->side[from].flags;
    bool known = true, ok;

    if (f->csum == CSUM_OFF)
        return REASON_NONE;
    if (s->pb->flags & (PB_CSUM_GOOD | PB_CSUM_PART))
        ok = true;
    else if (s->pb->flags & PB_CSUM_BAD)
        ok = false;
    else
        ok = csum_tcp_ok(s, &known);
    if (s->flags & SEG_IPCSUM_BAD) {
        ok = false;
        known = true;
    }
    if (!known)
        return REASON_NONE;
    if (ok) {
        *flags |= SIDE_CSUM_GOOD;
        return REASON_NONE;
    }
    /* contract 4: Good from its first valid one */
    if (f->csum == CSUM_ON || (*flags & SIDE_CSUM_GOOD))
        return s->flags & SEG_IPCSUM_BAD ? REASON_IP_CSUM : REASON_TCP_CSUM;
    *flags |= SIDE_CSUM_OFF;
    return REASON_NONE;
}

enum reason conn_refuse_stray(const struct conn_env *env, const struct seg *s)
{
    bool known = true;

    if (env->cfg.csum != CSUM_ON)
        return REASON_NONE;
    if (s->flags & SEG_IPCSUM_BAD)
        return REASON_IP_CSUM;
    return csum_tcp_ok(s, &known) || !known ? REASON_NONE : REASON_TCP_CSUM;
}

void conn_begin(struct conn_env *env, struct conn_pkt *cp, struct seg *s, uint32_t idx, int from,
                bool opened)
{
    memset(cp, 0, sizeof(*cp));
    cp->s = s;
    cp->idx = idx;
    cp->f = flow_at(&env->ft, idx);
    cp->from = (uint8_t)from;
    cp->to = (uint8_t)!from;
    cp->opened = opened;
    cp->gap0 = env->ngaps;
}
