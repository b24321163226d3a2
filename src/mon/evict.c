// SPDX-License-Identifier: BSD-2-Clause
/*
 * evict.c: who goes when room is needed: half-open flows, then one-sided ones, then those that close,
 * then the idle, then the least recent. The first three wait in queues (flow/queue.h), so that the
 * few of them among many live ones are found; of the others a sample of 16 is asked, since no list
 * is touched per packet (contract 4).
 *
 * A handshake takes a round trip: a half-open flow younger than a second waits for its turn till
 * behind the idle. Else each SYN would take the one before it, and where a table is full of silent
 * flows no new one would ever live to be answered. The SYN of one that goes is noted
 * (conn/synnote.h): if it is answered yet, its flow is there again.
 *
 * What only one end says proves nothing: a random source can send a SYN and then an ACK and data
 * with invented numbers, and a passive tap has to track that as a connection. So a flow stays half
 * open, whatever its states, until both ends have spoken; with data it is one-sided, which has no
 * limit of its own: where a tap sees one direction only, all its connections are.
 *
 * Last of all go flows whose ends count differently because their bytes were changed in length (edit_lasts): a new
 * one cannot take their place. If none but such are found in a larger sample one goes, and its ends are reset.
 *
 * What is remembered of stopped connections (tombstones) counts with the flows and goes before any of
 * them, when a flow is one too many or a tombstone finds no room. Its memory is bounded apart
 * (context.c), since slabs for the one are none for the other.
 */
#include "mon/mon.h"

#include "conn/streamedit.h"
#include "flow/queue.h"

#define SAMPLE      16
#define SAMPLE_MOST 64  /* with those that are spared */
#define ASKED       256 /* flows that are asked for bytes at the end of a batch */
#define ROOM_WAIT   16  /* batches without asking, when nobody had any */
#define IDLE_NS     NSEC_PER_SEC

/* busy: its callbacks run: nobody may take it from under them. */
static bool busy(const struct mon *m, uint32_t idx)
{
    return (m->cp && m->cp->idx == idx) || m->ending == idx;
}

/* spared: it goes last: its ends cannot go on without it. It does not wait among those that go first. */
static bool spared(struct mon *m, uint32_t idx)
{
    if (likely(!flow_at(&m->env.ft, idx)->asks) || !edit_lasts(&m->env, flow_at(&m->env.ft, idx)))
        return false;
    flow_unqueue(&m->env.ft, idx);
    return true;
}

static uint32_t first_of(struct mon *m, const struct flow_queue *q)
{
    uint32_t idx = q->head, next;

    for (; idx; idx = next) {
        next = flow_at(&m->env.ft, idx)->qnext;
        if (!busy(m, idx) && !spared(m, idx))
            break;
    }
    return idx;
}

/* older: of the two, the one that was heard less recently; 0: none. */
static uint32_t older(const struct ftable *ft, uint32_t a, uint32_t b)
{
    return a == 0 || (b && flow_at(ft, b)->last < flow_at(ft, a)->last) ? b : a;
}

/* least_recent: of a sample. *last: of those in it that are spared. */
static uint32_t least_recent(struct mon *m, uint32_t *last)
{
    const struct ftable *ft = &m->env.ft;
    uint32_t best = 0;

    *last = 0;
    for (int i = 0, n = 0; i < SAMPLE_MOST && n < SAMPLE; i++) {
        uint32_t idx = ftable_sample(&m->env.ft);

        if (idx == 0)
            break;
        n++;
        if (busy(m, idx))
            continue;
        if (unlikely(spared(m, idx))) {
            *last = older(ft, *last, idx);
            n--;
        } else {
            best = older(ft, best, idx);
        }
    }
    return best;
}

/*
 * of_one_sided: the least recent of the first 16. The others go to the end, so that the next ones are
 * asked next time: a busy one is not given up for having come early.
 */
static uint32_t of_one_sided(struct mon *m)
{
    struct ftable *ft = &m->env.ft;
    uint32_t best = 0;

    for (uint32_t i = 0, n = ft->one.count; i < SAMPLE && i < n; i++) {
        uint32_t idx = ft->one.head;

        if (spared(m, idx))
            continue;
        flow_enqueue(ft, idx, CLASS_ONE);
        if (!busy(m, idx) && (best == 0 || flow_at(ft, idx)->last < flow_at(ft, best)->last))
            best = idx;
    }
    return best;
}

static bool evict(struct mon *m, uint32_t idx, enum reason class)
{
    if (idx == 0)
        return false;
    m->env.reasons[REASON_EVICTED]++;
    m->env.reasons[class]++;
    if (class == REASON_EVICTED_HALF)
        conn_leave_note(&m->env, flow_at(&m->env.ft, idx));
    flow_at(&m->env.ft, idx)->flags &= (uint16_t)~FLOW_LINGER;
    mon_end(m, idx, MOS_END_EVICTED);
    return true;
}

bool mon_evict_stopped(struct mon *m)
{
    uint32_t tomb = ftable_tomb_first(&m->env.ft);

    if (tomb == 0)
        return false;
    m->env.reasons[REASON_EVICTED_STOPPED]++;
    ftable_unbury(&m->env.ft, tomb);
    return true;
}

bool mon_evict_half(struct mon *m)
{
    return evict(m, first_of(m, &m->env.ft.half), REASON_EVICTED_HALF);
}

/* silent: for so long? */
static bool silent(const struct mon *m, uint32_t idx, uint64_t ns)
{
    return idx && m->env.now - flow_at(&m->env.ft, idx)->last > ns;
}

bool mon_evict(struct mon *m)
{
    uint32_t idx, last;

    if ((silent(m, first_of(m, &m->env.ft.half), HALF_OLD) && mon_evict_half(m)) ||
        evict(m, of_one_sided(m), REASON_EVICTED_ONE) ||
        evict(m, first_of(m, &m->env.ft.closing), REASON_EVICTED_CLOSING))
        return true;
    idx = least_recent(m, &last);
    if (silent(m, idx, IDLE_NS))
        return evict(m, idx, REASON_EVICTED_IDLE);
    return mon_evict_half(m) || evict(m, idx, REASON_EVICTED_LIVE) ||
           evict(m, last, silent(m, last, IDLE_NS) ? REASON_EVICTED_IDLE : REASON_EVICTED_LIVE);
}

/* cede: one that has yet to show that two take part, or closes, goes for the bytes that it holds. */
static void cede(struct mon *m, uint32_t idx)
{
    static const enum reason class[] = {[CLASS_HALF] = REASON_EVICTED_HALF,
                                        [CLASS_ONE] = REASON_EVICTED_ONE,
                                        [CLASS_CLOSING] = REASON_EVICTED_CLOSING};
    const struct flow *f = flow_at(&m->env.ft, idx);

    if (f->queue != CLASS_NONE && !spared(m, idx) && (f->side[CLI].strm || f->side[SVR].strm))
        evict(m, idx, class[f->queue]);
}

/* relieve_one: one hole is given up, by `relieve`, and told. => false: there was no need, or none. */
static bool relieve_one(struct mon *m, uint32_t (*relieve)(struct conn_env *, uint8_t *))
{
    uint32_t gap0 = m->env.ngaps, idx;
    uint8_t data = 0;

    idx = relieve(&m->env, &data);
    if (idx)
        mon_tell_given_up(m, idx, gap0, data);
    return idx != 0;
}

/*
 * give_up_holes: of those that take most, as many as make the reserve whole when what waited behind
 * them has been read, at the end of this batch.
 */
static bool give_up_holes(struct mon *m)
{
    const struct strm_env *se = &m->env.se;
    const uint64_t was = se->ooo_mem, enough = strm_reserve(se);
    int n = 0;

    while (n < ASKED && se->ooo_mem + enough > was && relieve_one(m, conn_relieve_most))
        n++;
    return n > 0;
}

/*
 * mon_make_room: before the bytes come that need it: afterwards their frames are gone. Slabs are not
 * given back, a record's cannot hold bytes: so who holds none is not asked. Last of all those that
 * have much behind holes give them up, before others lose what is in order.
 */
void mon_make_room(struct mon *m)
{
    static void (*const step[])(struct mon *, uint32_t) = {mon_forget, cede};
    struct strm_env *se = &m->env.se;
    const uint32_t held = se->chunks.used + se->strms.used;

    if (m->room_wait && m->room_wait--)
        return;
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0, idx; i < ASKED && strm_tight(se); i++) {
            idx = ftable_sample(&m->env.ft);
            if (idx == 0)
                return;
            if (!busy(m, idx))
                step[k](m, idx);
        }
    if (strm_tight(se) && give_up_holes(m))
        return;
    if (se->chunks.used + se->strms.used == held)
        m->room_wait = ROOM_WAIT;
}

void mon_relieve(struct mon *m)
{
    while (relieve_one(m, conn_relieve))
        ;
}

/*
 * half_open: is an end still in the handshake? Where only the server is heard, its bytes say that
 * the handshake is over.
 */
static bool half_open(const struct flow *f)
{
    uint8_t c = f->side[CLI].state, s = f->side[SVR].state;

    if (f->flags & (FLOW_ENDED | FLOW_LINGER))
        return false;
    if (c == FS_SYN_SENT || s == FS_LISTEN || c == FS_SYN_RCVD)
        return true;
    return s == FS_SYN_RCVD && f->side[CLI].next == 0;
}

/* has_data: has the end received anything? */
static bool has_data(const struct flow_side *sd)
{
    return sd->next || sd->strm;
}

/* class_of: of one that does not close. Before its first packet is merged none is counted. */
static enum flow_class class_of(const struct flow *f)
{
    bool cli = f->ctr[CLI].packets || (f->flags & FLOW_SYN), svr = f->ctr[SVR].packets;

    if (f->flags & (FLOW_ENDED | FLOW_LINGER))
        return CLASS_NONE;
    if (half_open(f))
        return CLASS_HALF;
    if (cli && svr)
        return CLASS_NONE;
    return has_data(&f->side[CLI]) || has_data(&f->side[SVR]) || (!cli && !svr) ? CLASS_ONE
                                                                                : CLASS_HALF;
}

void mon_entered(struct mon *m, uint32_t idx)
{
    enum flow_class class = class_of(flow_at(&m->env.ft, idx));

    if (class != CLASS_NONE)
        flow_enqueue(&m->env.ft, idx, class);
}

/* promote: a flow that has yet to show that two take part. It never goes back. */
static void promote(struct mon *m, uint32_t idx, const struct flow *f)
{
    enum flow_class class = class_of(f);

    if (class == CLASS_NONE)
        flow_unqueue(&m->env.ft, idx);
    else if (class == CLASS_ONE && f->queue == CLASS_HALF)
        flow_enqueue(&m->env.ft, idx, CLASS_ONE);
}

static bool is_closing(const struct flow *f)
{
    return (f->flags & (FLOW_ENDED | FLOW_LINGER)) ||
           ((f->side[CLI].flags | f->side[SVR].flags) & SIDE_FIN_SENT);
}

void mon_reclass(struct mon *m, uint32_t idx, struct flow *f)
{
    if (is_closing(f) && likely(!(f->asks && edit_lasts(&m->env, f)))) {
        if (f->queue != CLASS_CLOSING)
            flow_enqueue(&m->env.ft, idx, CLASS_CLOSING);
    } else if (f->flags & FLOW_HALF) {
        promote(m, idx, f);
    }
}
