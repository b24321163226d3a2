// SPDX-License-Identifier: BSD-2-Clause
/*
 * timer.c: the application's timers: a binary heap by (due, number of arming), so that those due
 * together run in the order they were armed.
 *
 * Time is the context's. Before its first packet there is none: timers armed by then hold how long
 * they wait, and mon_clock adds the time of day when it begins. mon_timers runs those that were
 * armed before it was called; what callbacks arm waits for the next time, so a timer with timeout 0
 * that arms itself again does not hang the batch. Timers still wait in the heap until their turn,
 * so a callback may cancel others that are due as well.
 *
 * Any thread may arm and cancel (the lock); callbacks run in the context's own, without the lock. What
 * that one asks at each batch - is anything due? - and tells - the clock - goes without it: mon.first_due
 * and mon.clock are atomics.
 */
#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include <errno.h>
#include <stdlib.h>

#include "base/errtext.h"
#include "conn/streamedit.h"

/* ---- the heap ---- */

static bool before(const struct mon_timer *a, const struct mon_timer *b)
{
    return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

static void swap(struct mon *m, uint32_t a, uint32_t b)
{
    struct mon_timer t = m->timer[a];

    m->timer[a] = m->timer[b];
    m->timer[b] = t;
}

static void sift_up(struct mon *m, uint32_t i)
{
    while (i && before(&m->timer[i], &m->timer[(i - 1) / 2])) {
        swap(m, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct mon *m, uint32_t i)
{
    for (;;) {
        uint32_t least = i;

        for (uint32_t c = 2 * i + 1; c <= 2 * i + 2; c++)
            if (c < m->ntimer && before(&m->timer[c], &m->timer[least]))
                least = c;
        if (least == i)
            return;
        swap(m, i, least);
        i = least;
    }
}

static void heapify(struct mon *m)
{
    for (uint32_t i = m->ntimer / 2; i-- > 0;)
        sift_down(m, i);
}

static uint64_t later(uint64_t now, uint64_t ns)
{
    return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

/* note_first: when the first is due, for the context's thread. Under the lock, after each change. */
static void note_first(struct mon *m)
{
    __atomic_store_n(&m->first_due, m->ntimer ? m->timer[0].due : UINT64_MAX, __ATOMIC_RELAXED);
}

/* ---- the clock ---- */

/* start_clock: waiting times become times. Under the lock. */
static void start_clock(struct mon *m, uint64_t ns)
{
    m->clock_started = true;
    __atomic_store_n(&m->clock, ns, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < m->ntimer; i++)
        m->timer[i].due = later(ns, m->timer[i].due);
    heapify(m); /* where times were cut to the last one there is, order has changed */
    note_first(m);
}

void mon_clock(struct mon *m, uint64_t ns)
{
    if (ns > m->env.now)
        m->env.now = ns;
    if (likely(m->clock_started)) { /* only this thread starts it */
        __atomic_store_n(&m->clock, m->env.now, __ATOMIC_RELAXED);
        return;
    }
    pthread_mutex_lock(&m->timer_lock);
    start_clock(m, m->env.now);
    pthread_mutex_unlock(&m->timer_lock);
}

uint64_t mon_next_timer(const struct mon *m)
{
    const uint64_t due =
        m->clock_started ? __atomic_load_n(&m->first_due, __ATOMIC_RELAXED) : UINT64_MAX;

    return due < edit_when(&m->env) ? due : edit_when(&m->env);
}

/* ---- running ---- */

/* pop_due: the first timer that is due and was armed before number `upto`. => false: none. */
static bool pop_due(struct mon *m, uint64_t upto, struct mon_timer *t)
{
    bool due;

    pthread_mutex_lock(&m->timer_lock);
    due = m->ntimer && m->timer[0].due <= m->env.now && m->timer[0].seq < upto;
    if (due) {
        *t = m->timer[0];
        m->timer[0] = m->timer[--m->ntimer];
        sift_down(m, 0);
        note_first(m);
    }
    pthread_mutex_unlock(&m->timer_lock);
    return due;
}

static void run(struct mon *m, const struct mon_timer *t)
{
    m->in_callback++;
    if (t->cb.arity == EV_ARGS4)
        t->cb.f4(m->mctx, t->id, 0, MOS_NULL_EVENT);
    else
        t->cb.f5(m->mctx, t->id, 0, MOS_NULL_EVENT, NULL);
    m->in_callback--;
}

void mon_timers(struct mon *m)
{
    struct mon_timer t;
    uint64_t upto;

    if (likely(!m->clock_started || __atomic_load_n(&m->first_due, __ATOMIC_RELAXED) > m->env.now))
        return;
    pthread_mutex_lock(&m->timer_lock);
    upto = m->timer_seq;
    pthread_mutex_unlock(&m->timer_lock);
    while (pop_due(m, upto, &t))
        run(m, &t);
}

void mon_timers_free(struct mon *m)
{
    free(m->timer);
    m->timer = NULL;
    m->ntimer = m->cap_timer = 0;
    pthread_mutex_destroy(&m->timer_lock);
}

/* ---- the calls ---- */

/* timer_enter: any thread, as long as the context lives. */
static struct mon *timer_enter(mctx_t mctx)
{
    struct mon *m = mon_of(mctx);

    if (m && __atomic_load_n(&m->state, __ATOMIC_ACQUIRE) == MON_DONE)
        return err_null(EPERM, "context %d is finished", mctx->cpu);
    return m;
}

/*
 * own_thread: is this the thread that moves the clock? Then `now` is finer than what mon_clock said
 * last.
 */
static bool own_thread(struct mon *m)
{
    return __atomic_load_n(&m->state, __ATOMIC_ACQUIRE) == MON_RUNNING &&
           pthread_equal(m->owner, pthread_self());
}

static int grow(struct mon *m)
{
    uint32_t cap = m->cap_timer ? m->cap_timer * 2 : 64;
    struct mon_timer *v;

    if (m->ntimer < m->cap_timer)
        return 0;
    v = realloc(m->timer, cap * sizeof(*v));
    if (v == NULL)
        return err_set(ENOMEM, "mtcp_settimer: no memory for another timer");
    m->timer = v;
    m->cap_timer = cap;
    return 0;
}

/* arm: under the lock. */
static int arm(struct mon *m, int id, uint64_t wait, const struct ev_cb *cb, bool own)
{
    uint64_t now = 0;

    if (own && !m->clock_started && m->env.now) /* in the very first batch */
        start_clock(m, m->env.now);
    if (m->clock_started)
        now = own ? m->env.now : __atomic_load_n(&m->clock, __ATOMIC_RELAXED);
    if (grow(m) < 0)
        return -1;
    m->timer[m->ntimer] =
        (struct mon_timer){.due = later(now, wait), .seq = m->timer_seq++, .id = id, .cb = *cb};
    sift_up(m, m->ntimer++);
    note_first(m);
    return 0;
}

static int set_timer(mctx_t mctx, int id, const struct timeval *tv, const struct ev_cb *cb)
{
    struct mon *m = timer_enter(mctx);
    uint64_t wait;
    int rc;

    if (m == NULL)
        return -1;
    if (tv == NULL || ev_cb_null(cb))
        return err_set(EINVAL, "mtcp_settimer: %s is NULL", tv ? "the callback" : "timeout");
    if (tv->tv_sec < 0 || tv->tv_usec < 0)
        return err_set(EINVAL, "mtcp_settimer: timeout is negative");
    wait = (uint64_t)tv->tv_sec > UINT64_MAX / NSEC_PER_SEC ? UINT64_MAX
                                                            : (uint64_t)tv->tv_sec * NSEC_PER_SEC;
    wait = later(wait, (uint64_t)tv->tv_usec * NSEC_PER_USEC);
    pthread_mutex_lock(&m->timer_lock);
    rc = arm(m, id, wait, cb, own_thread(m));
    pthread_mutex_unlock(&m->timer_lock);
    return rc;
}

int mtcp_settimer(mctx_t mctx, int id, struct timeval *timeout, callback_t cb)
{
    struct ev_cb c = {.arity = EV_ARGS5, .f5 = cb};

    return set_timer(mctx, id, timeout, &c);
}

int mtcp_settimer4(mctx_t mctx, int id, struct timeval *timeout, callback4_t cb)
{
    struct ev_cb c = {.arity = EV_ARGS4, .f4 = cb};

    return set_timer(mctx, id, timeout, &c);
}

int mtcp_canceltimer(mctx_t mctx, int id)
{
    struct mon *m = timer_enter(mctx);
    uint32_t kept = 0, gone;

    if (m == NULL)
        return -1;
    pthread_mutex_lock(&m->timer_lock);
    for (uint32_t i = 0; i < m->ntimer; i++)
        if (m->timer[i].id != id)
            m->timer[kept++] = m->timer[i];
    gone = m->ntimer - kept;
    m->ntimer = kept;
    if (gone)
        heapify(m);
    note_first(m);
    pthread_mutex_unlock(&m->timer_lock);
    return (int)gone;
}

uint32_t mtcp_cb_get_ts(mctx_t mctx)
{
    struct mon *m = mon_enter(mctx);

    return m ? (uint32_t)(m->env.now / NSEC_PER_USEC) : 0;
}
