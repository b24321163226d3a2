// SPDX-License-Identifier: BSD-2-Clause
/*
 * context.c: contexts by number, and who may use one when. A context is set up from any thread;
 * once it runs only its own thread gets in; once it is done nobody does (its memory stays readable,
 * API semantics 13.2).
 */
#include "mon/mon.h"

#include <errno.h>
#include <stdlib.h>

#include "base/apart.h"
#include "base/errtext.h"

/*
 * Written by mon_register under the engine's lock, read by any thread: a context's pointer is
 * published once it is whole.
 */
static struct mon *contexts[MON_CONTEXTS];

/* What programs hold, callbacks' argument included: it outlives the context (API semantics 13.2). */
static struct mtcp_context handles[MON_CONTEXTS];

__thread struct mon_own mon_own;

void mon_mine(struct mon *m)
{
    mon_own = (struct mon_own){.mctx = m ? m->mctx : NULL, .m = m};
}

mctx_t mon_handle(int cpu)
{
    return &handles[cpu];
}

void mon_register(int cpu, struct mon *m)
{
    __atomic_store_n(&contexts[cpu], m, __ATOMIC_RELEASE);
}

struct mon *mon_of(mctx_t mctx)
{
    struct mon *m;

    if (mctx == NULL)
        return err_null(EACCES, "the context is NULL");
    if (mctx->cpu < 0 || mctx->cpu >= MON_CONTEXTS)
        return err_null(EINVAL, "no context can have the number %d", mctx->cpu);
    m = __atomic_load_n(&contexts[mctx->cpu], __ATOMIC_ACQUIRE);
    if (m == NULL)
        return err_null(EPERM, "context %d does not exist or is finished", mctx->cpu);
    return m;
}

struct mon *mon_enter_other(mctx_t mctx)
{
    struct mon *m = mon_of(mctx);
    enum mon_state st;

    if (m == NULL)
        return NULL;
    st = __atomic_load_n(&m->state, __ATOMIC_ACQUIRE);
    if (st == MON_DONE)
        return err_null(EPERM, "context %d is finished", mctx->cpu);
    if (st == MON_RUNNING && !pthread_equal(m->owner, pthread_self()))
        return err_null(EPERM, "context %d runs: only its own thread (a callback) may call",
                        mctx->cpu);
    return m;
}

#define KEPT_FROM (4u << 20) /* a budget of which a part is kept for streams */

/* half_limit: a quarter of all flows, but what a handful of hosts may do at once in any case. */
static uint32_t half_limit(const struct mon_conf *c, uint32_t flows)
{
    uint32_t n = flows / 4 > 64 ? flows / 4 : 64;

    if (c->max_half)
        return c->max_half;
    /* of a budget of memory, an eighth; a flow and its slot are some 300 bytes */
    if (c->mem_limit && n > c->mem_limit / 8 / 300)
        n = c->mem_limit / 8 / 300 > 64 ? (uint32_t)(c->mem_limit / 8 / 300) : 64;
    return n < flows ? n : flows;
}

/*
 * stopped_limit: what is asked for; else, of a budget of memory, a sixteenth; a tombstone and its slot are
 * some 80 bytes.
 */
static uint32_t stopped_limit(const struct mon_conf *c, uint32_t max)
{
    uint64_t n = c->mem_limit / 16 / 80;

    if (c->max_stopped)
        return c->max_stopped < max ? c->max_stopped : max;
    if (c->mem_limit == 0 || n >= max)
        return max;
    return n > 64 ? (uint32_t)n : 64;
}

/* reserve: what is asked for, and ids for listeners besides. => 0, -1: EINVAL, ENOMEM. */
static int reserve(struct mon *m, const struct mon_conf *c, uint32_t flows)
{
    if (c->reserve > flows)
        return err_set(EINVAL,
                       "reserve = %u: a context has no more than %u connections (see the keys "
                       "'max_concurrency' and 'max_flows')",
                       c->reserve, flows);
    if (c->reserve == 0 || (ftable_reserve(&m->env.ft, c->reserve) == 0 &&
                            mon_reserve_ids(m, c->reserve + MON_LISTENERS)))
        return 0;
    return err_set(ENOMEM, "no memory to reserve for %u connections%s", c->reserve,
                   c->mem_limit ? ": see the keys 'reserve' and 'memory'" : "");
}

struct mon *mon_create(int cpu, const struct mon_conf *c)
{
    struct mon *m = apart_zalloc(sizeof(*m));
    uint32_t flows = c->max_flows ? c->max_flows : c->max_sock;

    if (m == NULL)
        return err_null(ENOMEM, "no memory for a context");
    m->mctx = mon_handle(cpu);
    m->mctx->cpu = cpu;
    if (conn_env_init(&m->env, &c->conn, flows, c->secret, c->rmem_size, c->ooo_size) < 0) {
        free(m);
        return NULL;
    }
    m->env.edit.send = mon_send_edited;
    m->env.edit.arg = m;
    m->env.acct.limit = c->mem_limit;
    if (m->env.cfg.ooo_memory == 0)
        m->env.cfg.ooo_memory = c->mem_limit / 4;
    m->sets = evtab_create(&m->env.acct);
    if (m->sets == NULL) {
        conn_env_fini(&m->env);
        free(m);
        return err_null(ENOMEM, "no memory for a context's event sets%s",
                        c->mem_limit ? ": see the key 'memory'" : "");
    }
    /* for streams' bytes, however many flows come; a small budget has no slab to spare */
    m->env.acct.kept = c->mem_limit >= KEPT_FROM ? c->mem_limit / 4 : 0;
    m->max_sock = c->max_sock;
    m->max_half = half_limit(c, flows);
    m->env.ft.tombs.max = stopped_limit(c, m->env.ft.tombs.max);
    m->buffer_always = c->buffer_always;
    m->overlap = (uint8_t)c->overlap;
    m->drop_orphans = c->drop_orphans;
    m->drop_other = c->drop_other;
    m->forward = c->forward;
    m->midstream = c->conn.midstream;
    pthread_mutex_init(&m->timer_lock, NULL);
    m->vlan_in_key = c->vlan_in_key;
    if (reserve(m, c, flows) == 0)
        return m;
    mon_destroy(m);
    return NULL;
}

void mon_destroy(struct mon *m)
{
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i)) {
        mon_abandon(m, i);
        conn_free(&m->env, i);
    }
    for (int i = 0; i < m->nlst; i++) {
        mon_filter_free(&m->lst[i].syn);
        mon_filter_free(&m->lst[i].orphan);
    }
    mon_timers_free(m);
    evtab_destroy(m->sets);
    conn_env_fini(&m->env);
    mon_heads_free(m);
    free(m->sock);
    free(m->stopped);
    free(m);
}
