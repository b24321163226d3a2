// SPDX-License-Identifier: BSD-2-Clause
/*
 * live.c: interfaces through the contexts. Each context has a thread and handles of its own of every
 * interface, and goes round and round: receive a burst, move the clock, work it off, end the batch,
 * send what leaves, give the frames back. When nothing comes it sleeps until the next timer is due.
 *
 * Start. A context's interfaces are opened when it is made, so what comes waits there; its thread is
 * started by the first mtcp_app_join of whoever has made it, on any context of his.
 *
 * Time. The clock follows the frames' own times. It goes on without frames, by the monotonic clock
 * from where it stood; frames whose times fall behind (the wall clock was set back) or run ahead by
 * more than a second (it was set forward, or the card's is another) do not take it along. A frame is
 * given the clock for its time: interfaces are read in turn, and what is a little late by that is not
 * out of order.
 *
 * Whose frame. With several contexts a TCP segment, or an ICMP error about one, belongs to the one
 * that steer_core names, whatever the interface thought: core_of. If it came elsewhere it crosses once
 * (crossing.h), is worked off and leaves there. All else stays where it came. A context that does not run (not started yet,
 * ended, destroyed) is passed nothing: its frames are worked off where they come.
 *
 * Fragments have no ports. With several contexts all of them have one table, behind a lock that only
 * fragments take; a fragment that completes a datagram goes on as a frame of that one's flow, as in
 * replay.c. The memory of its note goes with it.
 *
 * End. SIGINT, mtcp_destroy_context, or an interface that breaks, which ends all contexts. What lives
 * then ends with reason eof.
 */
#include "engine/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/errtext.h"
#include "wire/decode.h"

#define SLEEP_MOST  (100 * NSEC_PER_MSEC) /* how late a signal may be seen */
#define SLEEP_LEAST (200 * NSEC_PER_USEC) /* timers that are always due do not keep us awake */
#define SLEEP_HELD  (2 * NSEC_PER_MSEC)   /* frames wait for a MAC */
#define SLEEP_HOLD  (5 * NSEC_PER_MSEC)   /* bytes are held (MOS_HOLD), each flow's for 50 ms */
#define TIMER_SLACK NSEC_PER_USEC         /* of what the kernel may be late, on its own account */
#define SLACK       NSEC_PER_SEC          /* frames' times may run ahead of ours by so much */
#define BEHIND      (100 * NSEC_PER_MSEC) /* and fall behind by so much */
#define TELL_EVERY  (100 * NSEC_PER_MSEC) /* counters are published so often */
#define BLIND_NAP   (50 * NSEC_PER_USEC) /* between questions to an interface that cannot be polled */
#define BUSY_NAP    (30 * NSEC_PER_USEC) /* when so many frames came since the last sleep: */
#define BUSY_FRAMES 32

/* ---- the clock ---- */

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void start_clock(struct lane *l)
{
    l->mono = clock_ns(CLOCK_MONOTONIC);
    l->base = l->clock = clock_ns(CLOCK_REALTIME);
}

/* by_itself: the time of day as it would be had nobody set any clock. */
static uint64_t by_itself(const struct lane *l)
{
    return l->base + (clock_ns(CLOCK_MONOTONIC) - l->mono);
}

/* stamp: the clock reached at each frame. */
static void stamp(struct lane *l, struct pktbuf *const *pb, int n)
{
    uint64_t now = by_itself(l);

    if (l->clock + BEHIND < now)
        l->clock = now - BEHIND;
    for (int i = 0; i < n; i++) {
        if (pb[i]->ts_ns > l->clock && pb[i]->ts_ns <= now + SLACK)
            l->clock = pb[i]->ts_ns;
        pb[i]->ts_ns = pb[i]->clock_ns = l->clock;
        pb[i]->frag = NULL;
        pb[i]->realm = 0;
    }
}

/* idle_clock: nothing came. */
static void idle_clock(struct lane *l)
{
    uint64_t now = by_itself(l);

    if (now > l->clock)
        l->clock = now;
}

/* ---- whose frame ---- */

/* count: one more, of a counter that others read. */
static void count(uint64_t *v)
{
    __atomic_store_n(v, *v + 1, __ATOMIC_RELAXED);
}

static void ring_bell(struct lane *l)
{
    const uint64_t one = 1;

    if (write(l->bell, &one, sizeof(one)) < 0)
        return; /* it rings already */
}

/*
 * core_of: the context that a decoded frame belongs to. All that decides about it is here: a
 * translated connection's two keys would have to be made to agree in it.
 */
static int core_of(const struct live *lv, const struct lane *l, const struct seg *s)
{
    const struct frag_note *note = s->pb->frag;
    int error;

    if (s->level == SEG_TCP)
        return steer_core(s, lv->cores);
    for (int k = 0; note && k < FRAG_DATAGRAMS; k++)
        if (note->dg[k])
            return frags_core(s, lv->cores);
    error = s->level == SEG_IP ? steer_error(s, lv->cores) : -1;
    return error >= 0 ? error : l->me;
}

static bool takes(const struct live *lv, int core)
{
    return __atomic_load_n(&lv->lane[core].takes, __ATOMIC_ACQUIRE);
}

/* pass_on: into the ring of the other context, with a hold on the fragment's note; or it is lost. */
static void pass_on(struct live *lv, struct lane *l, int core, const struct pktbuf *pb,
                    struct frag_hold *hold)
{
    if (!crossing_put(&lv->lane[core].from[l->me], pb, hold)) {
        count(&l->tally.cross_lost);
        frag_hold_drop(hold);
        return;
    }
    count(&l->tally.crossed);
    l->rung |= 1ULL << core;
}

/* ring: whoever sleeps is woken. The fence pairs with the one in rest. */
static void ring(struct live *lv, struct lane *l)
{
    if (l->rung == 0)
        return;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (; l->rung; l->rung &= l->rung - 1) {
        struct lane *to = &lv->lane[__builtin_ctzll(l->rung)];

        if (__atomic_load_n(&to->asleep, __ATOMIC_RELAXED))
            ring_bell(to);
    }
}

/* ---- a burst ---- */

/* A burst that is being sorted: what stays, and its fragments' notes until the frames go back. */
struct sorted {
    struct pktbuf *pb[IO_BURST];
    int n;
    struct frag_hold *hold[IO_BURST];
    int nhold;
};

/* table_time: contexts' clocks differ by a little; the table's does not go back. Under its lock. */
static uint64_t table_time(struct live *lv, uint64_t now)
{
    if (now > lv->frag_clock)
        lv->frag_clock = now;
    return lv->frag_clock;
}

/* take_fragment: to the table. => where its note lies; NULL: there is none. */
static struct frag_hold *take_fragment(struct live *lv, struct seg *s)
{
    struct frag_hold *hold = calloc(1, sizeof(*hold));

    if (hold == NULL)
        return NULL;
    hold->refs = 1;
    pthread_mutex_lock(&lv->frag_lock);
    s->pb->clock_ns = table_time(lv, s->pb->clock_ns);
    frags_take(&lv->frags, s, &hold->room);
    pthread_mutex_unlock(&lv->frag_lock);
    return hold;
}

/*
 * pass_second: a fragment that completes datagrams of two contexts: the second gets a copy, which does
 * not leave.
 */
static void pass_second(struct live *lv, struct lane *l, const struct seg *s,
                        struct frag_hold *hold)
{
    int core;
    struct pktbuf *pb = frags_second(s, lv->cores, &hold->room, &core);

    if (pb == NULL)
        return;
    if (core == l->me || !takes(lv, core)) {
        worker_burst(&l->c->w, &pb, 1);
        mon_burst(l->c->m);
        return;
    }
    __atomic_fetch_add(&hold->refs, 1, __ATOMIC_RELAXED);
    pass_on(lv, l, core, pb, hold);
}

/* sort_out: which frames of a burst are ours; the others cross. */
static void sort_out(struct live *lv, struct lane *l, struct pktbuf *const *pb, int n,
                     struct sorted *o)
{
    o->n = o->nhold = 0;
    for (int i = 0; i < n; i++) {
        struct frag_hold *hold = NULL;
        struct seg s;
        int core;

        if (unlikely(decode(&s, pb[i]) == REASON_IP_FRAGMENT))
            hold = take_fragment(lv, &s);
        core = core_of(lv, l, &s);
        if (unlikely(hold != NULL))
            pass_second(lv, l, &s, hold);
        if (core != l->me && takes(lv, core)) {
            pass_on(lv, l, core, pb[i], hold);
            continue;
        }
        o->pb[o->n++] = pb[i];
        if (hold)
            o->hold[o->nhold++] = hold;
    }
    ring(lv, l);
}

/* leave_fragments: what was told of their datagrams holds for them and for those that come later. */
static void leave_fragments(struct live *lv, struct pktbuf *const *pb, int n)
{
    for (int i = 0; i < n; i++) {
        if (likely(pb[i]->frag == NULL))
            continue;
        pthread_mutex_lock(&lv->frag_lock);
        pb[i]->clock_ns = table_time(lv, pb[i]->clock_ns);
        frags_leave(&lv->frags, pb[i], NULL);
        pthread_mutex_unlock(&lv->frag_lock);
        if (frags_is_second(pb[i]))
            pb[i]->flags |= PB_DROP;
    }
}

static void flush(struct lane *l)
{
    for (; l->out.sent_by; l->out.sent_by &= l->out.sent_by - 1)
        io_flush(l->out.dev[__builtin_ctzll(l->out.sent_by)]);
}

static void send_out(struct lane *l, struct pktbuf *const *pb, int n)
{
    egress_live(&l->out, engine.conf.mon.forward, pb, n, &l->c->own);
    flush(l);
}

/* work: a burst of our own frames, and the end of the batch. */
static void work(struct live *lv, struct lane *l, struct pktbuf *const *pb, int n)
{
    struct ctx *c = l->c;

    mon_clock(c->m, pb[0]->clock_ns);
    worker_burst(&c->w, pb, n);
    c->w.at = n;
    worker_epoch(&c->w, l->clock);
    if (c->w.noted)
        leave_fragments(lv, pb, n);
    send_out(l, pb, n);
}

static void work_selected(struct live *lv, struct lane *l, struct pktbuf *const *pb, int n)
{
    struct sorted o;

    if (lv->cores == 1) {
        work(lv, l, pb, n);
        return;
    }
    sort_out(lv, l, pb, n, &o);
    if (o.n > 0)
        work(lv, l, o.pb, o.n);
    for (int i = 0; i < o.nhold; i++)
        frag_hold_drop(o.hold[i]);
}

static bool is_selected(struct lane *l, const struct pktbuf *pb)
{
    return mon_filter_match(&l->filter, pb->linktype, pb->data, pb->len, pb->wire_len);
}

/* work_runs: in line with a filter: what it does not select passes, in its order. */
static void work_runs(struct live *lv, struct lane *l, struct pktbuf *const *pb, int n)
{
    for (int i = 0, end; i < n; i = end) {
        bool yes = is_selected(l, pb[i]);

        for (end = i + 1; end < n && is_selected(l, pb[end]) == yes; end++)
            ;
        if (yes) {
            work_selected(lv, l, pb + i, end - i);
        } else {
            l->unselected += (uint64_t)(end - i);
            send_out(l, pb + i, end - i);
        }
    }
}

/* routed: what is not for the router alone, and goes on. => frames in `on`. */
static int routed(struct lane *l, struct pktbuf *const *pb, int n, struct pktbuf **on)
{
    int k = 0;

    l->router->now = l->clock;
    for (int i = 0; i < n; i++)
        if (router_in(l->router, pb[i]))
            on[k++] = pb[i];
    if (k == 0)
        send_out(l, NULL, 0);
    return k;
}

static void work_received(struct live *lv, struct lane *l, struct pktbuf *const *pb, int n)
{
    struct pktbuf *on[IO_BURST];

    stamp(l, pb, n);
    if (l->router) {
        n = routed(l, pb, n, on);
        pb = on;
    }
    if (n == 0)
        return;
    if (l->filter.expr)
        work_runs(lv, l, pb, n);
    else
        work_selected(lv, l, pb, n);
}

/* ---- the loop ---- */

/* failed: an interface broke: everything ends. */
static void failed(struct live *lv)
{
    engine_broke(&engine);
    __atomic_store_n(&lv->ended, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < lv->cores; i++)
        ring_bell(&lv->lane[i]);
}

/* read_over: this interface has no more frames: a device of the tests. */
static void read_over(struct live *lv, struct lane *l, int i)
{
    l->over[i] = true;
    if (--l->reads == 0)
        __atomic_fetch_sub(&lv->reading, 1, __ATOMIC_ACQ_REL);
}

/* receive: a burst from each interface. => frames. */
static int receive(struct live *lv, struct lane *l)
{
    struct pktbuf *pb[IO_BURST];
    int all = 0;

    for (int i = 0; i < lv->nif; i++) {
        int n = l->over[i] ? 0 : io_rx(l->out.dev[i], pb, engine.conf.batch);

        if (n < 0 && errno == ENODATA)
            read_over(lv, l, i);
        else if (n < 0)
            failed(lv);
        if (n <= 0)
            continue;
        worker_next(&l->c->w, l->out.dev[i]);
        work_received(lv, l, pb, n);
        io_rx_done(l->out.dev[i]);
        all += n;
    }
    return all;
}

/* collect: a burst from each ring. => frames. */
static int collect(struct live *lv, struct lane *l)
{
    struct pktbuf *pb[IO_BURST];
    int all = 0;

    for (int i = 0; lv->cores > 1 && i < lv->cores; i++) {
        int n = i == l->me ? 0 : crossing_take(&l->from[i], pb, engine.conf.batch);

        if (n == 0)
            continue;
        for (int k = 0; k < n; k++) {
            if (pb[k]->clock_ns > l->clock)
                l->clock = pb[k]->clock_ns;
            pb[k]->ts_ns = pb[k]->clock_ns = l->clock;
        }
        work(lv, l, pb, n);
        crossing_done(&l->from[i], engine.conf.poison);
        all += n;
    }
    return all;
}

static bool has_mail(const struct live *lv, const struct lane *l)
{
    for (int i = 0; lv->cores > 1 && i < lv->cores; i++)
        if (i != l->me && crossing_waits(&l->from[i]))
            return true;
    return false;
}

/* old_fragments: datagrams whose time is up, of all contexts. */
static void old_fragments(struct live *lv, struct lane *l)
{
    pthread_mutex_lock(&lv->frag_lock);
    if (lv->frags.entry.used)
        l->c->m->env.reasons[REASON_FRAG_TIMEOUT] +=
            defrag_expire(&lv->frags, table_time(lv, l->clock));
    pthread_mutex_unlock(&lv->frag_lock);
}

/* note_mtus: for the router. */
static void note_mtus(const struct live *lv, struct lane *l)
{
    for (int i = 0; l->router && i < lv->nif && i < ROUTER_IFS; i++)
        l->router->mtu[i] = io_mtu(l->out.dev[i]);
}

/* now_and_then: what does not have to be done with each burst. */
static void now_and_then(struct live *lv, struct lane *l)
{
    if (l->clock - l->told < TELL_EVERY)
        return;
    l->told = l->clock;
    live_publish(lv, l);
    note_mtus(lv, l);
    if (lv->cores > 1)
        old_fragments(lv, l);
}

/* route_on: what was held for want of a MAC, and questions that are due. */
static void route_on(struct lane *l)
{
    if (l->router == NULL)
        return;
    router_tick(l->router, l->clock);
    if (l->c->own.first)
        send_out(l, NULL, 0);
}

/* sleep_ns: until the next timer. */
static uint64_t sleep_ns(const struct lane *l)
{
    const struct mon *m = l->c->m;
    uint64_t due = mon_next_timer(m), flow = wheel_next_ns(&m->env.ft.wheel), ns;

    if (l->router && l->router->held) /* another context may hear the answer */
        return SLEEP_HELD;
    due = flow < due ? flow : due;
    ns = due > l->clock ? due - l->clock : 0;
    if (m->env.edit.holds && ns > SLEEP_HOLD)
        return SLEEP_HOLD;
    return ns < SLEEP_LEAST ? SLEEP_LEAST : ns > SLEEP_MOST ? SLEEP_MOST : ns;
}

static bool should_stop(const struct live *lv, const struct lane *l)
{
    if (ctx_should_stop(l->c) || __atomic_load_n(&lv->ended, __ATOMIC_RELAXED))
        return true;
    return l->reads == 0 && __atomic_load_n(&lv->reading, __ATOMIC_ACQUIRE) == 0 &&
           !has_mail(lv, l);
}

/*
 * nap: more frames are on their way. To be woken for the next one costs its sender time and us, so they gather
 * for a moment.
 */
static void nap(void)
{
    struct timespec ts = {0, BUSY_NAP};

    nanosleep(&ts, NULL);
}

/* rest: sleep until a frame comes or a timer is due. */
static void rest(struct live *lv, struct lane *l)
{
    uint64_t ns = l->blind ? BLIND_NAP : l->reads == 0 ? SLEEP_LEAST : sleep_ns(l), rung;
    struct timespec ts = {(time_t)(ns / NSEC_PER_SEC), (long)(ns % NSEC_PER_SEC)};

    __atomic_store_n(&l->asleep, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!has_mail(lv, l) && !should_stop(lv, l) && ppoll(l->fd, (nfds_t)l->nfd, &ts, NULL) > 0 &&
        (l->fd[l->nfd - 1].revents & POLLIN) && read(l->bell, &rung, sizeof(rung)) == sizeof(rung))
        rung = 0; /* it does not ring any more, and it does not matter how often it did */
    __atomic_store_n(&l->asleep, 0, __ATOMIC_RELAXED);
}

static void idle(struct live *lv, struct lane *l)
{
    idle_clock(l);
    worker_epoch(&l->c->w, l->clock);
    send_out(l, NULL, 0);
}

static void *run_live(void *arg)
{
    struct lane *l = arg;
    struct live *lv = engine.live;
    uint64_t since = 0; /* frames since it slept */

    ctx_begin(l->c);
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK);
    start_clock(l);
    mon_clock(l->c->m, l->clock);
    while (!should_stop(lv, l)) {
        int n = receive(lv, l) + collect(lv, l);

        since += (uint64_t)n;
        if (n == 0)
            idle(lv, l);
        route_on(l);
        now_and_then(lv, l);
        if (n > 0)
            continue;
        if (since < BUSY_FRAMES)
            rest(lv, l);
        else
            nap();
        since = 0;
    }
    __atomic_store_n(&l->takes, 0, __ATOMIC_RELEASE);
    if (l->reads > 0)
        __atomic_fetch_sub(&lv->reading, 1, __ATOMIC_ACQ_REL);
    ctx_end(l->c);
    send_out(l, NULL, 0);
    live_publish(lv, l);
    ctx_finished(l->c);
    return NULL;
}

/* ---- start ---- */

/* begins: is this context to be started by the caller's joining c? */
static bool begins(const struct live *lv, const struct ctx *c, int i)
{
    const struct lane *l = &lv->lane[i];

    return l->attached && !l->started && l->c->m &&
           (l->c == c || pthread_equal(l->creator, pthread_self()));
}

int live_start(struct engine *e, struct ctx *c)
{
    struct live *lv = e->live;
    struct lane *go[MON_CONTEXTS];
    int n = 0, rc = 0;

    for (int i = 0; i < lv->cores; i++)
        if (begins(lv, c, i))
            go[n++] = &lv->lane[i];
    for (int i = 0; i < n; i++) { /* before the first frame is sorted */
        go[i]->started = true;
        go[i]->reads = lv->nif;
        __atomic_fetch_add(&lv->reading, 1, __ATOMIC_ACQ_REL);
        __atomic_store_n(&go[i]->takes, 1, __ATOMIC_RELEASE);
    }
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = pthread_create(&go[i]->c->thread, NULL, run_live, go[i]);
        go[i]->c->has_thread = rc == 0;
        if (rc) /* no event will ever be told */
            __atomic_store_n(&go[i]->c->m->state, MON_DONE, __ATOMIC_RELEASE);
    }
    if (rc == 0)
        return 0;
    __atomic_store_n(&lv->ended, 1, __ATOMIC_RELAXED);
    return err_set(rc, "no thread for a context: %s", strerror(rc));
}

void live_wake(struct engine *e, struct ctx *c)
{
    struct lane *l = &e->live->lane[c->m->mctx->cpu];

    if (l->attached)
        ring_bell(l);
}
