// SPDX-License-Identifier: BSD-2-Clause
/*
 * open.c: how a connection begins: by its SYN, by being picked up in the middle, or (reuse.c) on the
 * key of an older one.
 */
#include <string.h>

#include <arpa/inet.h>
#include <mos_api.h>

#include "conn/conn_int.h"
#include "conn/place.h"
#include "conn/plain.h"
#include "wire/csum.h"

int conn_can_open(const struct conn_env *env, const struct seg *s)
{
    if (env->answered)
        return 4;
    if (unlikely(s->flags & SEG_IP_DROPPED))
        return 0;
    if (is_syn(s))
        return s->tflags & TH_FIN_ ? 0 : 1; /* RFC 9293 has no segment that opens and closes */
    if (!env->cfg.midstream || (s->tflags & TH_RST_))
        return 0;
    if (env->cfg.strict && !(s->tflags & TH_ACK_))
        return 0; /* its receiver drops it, whatever it is connected to (RFC 9293 3.10.7.4) */
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

int conn_opener(const struct conn_env *env, const struct seg *s, int from, int mode)
{
    if (mode == 4)
        return env->kept.from ? from : !from;
    return conn_client(s, from);
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

/* noted_first: the SYN came before, and was only noted: its timestamp then is the first. */
static void noted_first(const struct conn_env *env, struct flow *f, const struct seg *s,
                        uint32_t hash)
{
    const struct synnote *n = synnote_of(&env->notes, hash, s->seq, env->now);

    if (n == NULL || !(n->meta & NOTE_TS) || !(s->flags & SEG_TS))
        return;
    f->ctr[CLI].tsval = f->ctr[CLI].echoed = n->tsval;
    f->side[CLI].flags |= SIDE_TS_OK;
}

static void keep_vlans(struct conn_env *env, struct flow *f, const struct seg *s)
{
    struct flow_ext *x = conn_ext(env, f);

    if (x) {
        memcpy(x->vlan, s->vlan, sizeof(x->vlan));
        x->nvlan = s->nvlan;
    }
}

/* arm_first: as conn_rearm, of a flow in which there can be no hole yet. */
static void arm_first(struct conn_env *env, uint32_t idx, const struct flow *f)
{
    const uint64_t when = conn_deadline(env, f);

    if (likely(when != UINT64_MAX))
        wheel_hang(&env->ft.wheel, idx, when);
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
    if (mode == 4) {
        kept_open(env, idx);
    } else if (mode != 1) {
        struct flow_key sent;

        pick_up(f, s, key_of_seg(&sent, s) == client ? CLI : SVR);
    } else {
        f->side[CLI].state = FS_CLOSED;
        f->side[SVR].state = FS_LISTEN;
        if (unlikely(env->notes.v != NULL) && is_syn(s))
            noted_first(env, f, s, hash);
    }
    if (s->nvlan)
        keep_vlans(env, f, s);
    arm_first(env, idx, f);
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
    f->ctr[CLI].tsval = f->ctr[CLI].echoed = n->tsval;
    return idx;
}

void conn_leave_note(struct conn_env *env, const struct flow *f)
{
    const struct flow_side *cli = &f->side[CLI];
    uint32_t bits = NOTE_USED;

    if (cli->state != FS_SYN_SENT || !(f->flags & FLOW_SYN) ||
        (f->flags & (FLOW_SYNACK | FLOW_MIDSTREAM | FLOW_NAT | FLOW_ENDED | FLOW_LINGER)) ||
        !synnotes_made(&env->notes, &env->acct))
        return;
    bits |= cli->flags & SIDE_WSCALE_OK ? NOTE_HAS_WSCALE | cli->wscale : 0;
    bits |= cli->flags & SIDE_SACK_OK ? NOTE_SACKOK : 0;
    bits |= cli->flags & SIDE_TS_OK ? NOTE_TS : 0;
    bits |= cli->flags & SIDE_CSUM_GOOD ? NOTE_CSUM_GOOD : 0;
    bits |= cli->flags & SIDE_CSUM_OFF ? NOTE_CSUM_WRONG : 0;
    bits |= f->flags & FLOW_CLI_IS_1 ? NOTE_CLI_IS_1 : 0;
    *synnote_at(&env->notes, f->hash) = (struct synnote){.hash = f->hash,
                                                         .isn = f->side[SVR].base - 1,
                                                         .tsval = f->ctr[CLI].tsval,
                                                         .meta = bits | synnote_time(f->last)};
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
    cp->plain = !opened && conn_is_plain(env, cp->f, s, from);
    cp->in_place = cp->plain ? PLACE_NONE : conn_place(env, cp->f, s, from, opened);
    if (!cp->plain)
        conn_ruffle(cp->f);
}
