// SPDX-License-Identifier: BSD-2-Clause
/*
 * lib.c: the API's beginning and end: configuration, contexts, joining, signals.
 *
 * Life of a context: mtcp_create_context -> set up from any thread -> first mtcp_app_join on any
 * context starts the threads of all -> its input ends, its last event is told, `finished` is set ->
 * mtcp_destroy_context frees it. Its handle lies in a static array and stays readable for good.
 *
 * Lock: engine.lock, around creation, start and destruction; never held while waiting for a thread,
 * never taken in a signal handler (there only `stop` and `end_now` are set).
 */
#define MOS_NO_OLDER_FORMS
#include "engine/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <compat/cpu.h>

#include "base/errtext.h"
#include "base/hash.h"

static mtcp_sighandler_t on_interrupt; /* the application's SIGINT handler */
static struct sigaction before_us;
/* Of the thread that runs the handler: others are free to wait. No allocation in a handler. */
static __thread volatile sig_atomic_t in_handler __attribute__((tls_model("initial-exec")));
static uint64_t last_interrupt; /* ns; 0: none yet */

/* ---- signals ---- */

static void interrupted(int sig)
{
    int code = errno;
    struct timespec ts;
    uint64_t now;
    bool again;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
    again = last_interrupt && now - last_interrupt <= NSEC_PER_SEC;
    last_interrupt = now;
    if (on_interrupt == NULL || again)
        __atomic_store_n(&engine.end_now, 1, __ATOMIC_RELAXED);
    if (on_interrupt) {
        in_handler++;
        on_interrupt(sig);
        in_handler--;
    }
    errno = code;
}

mtcp_sighandler_t mtcp_register_signal(int signum, mtcp_sighandler_t handler)
{
    mtcp_sighandler_t old = on_interrupt;

    if (signum != SIGINT) {
        old = signal(signum, handler);
        if (old == SIG_ERR)
            err_set(EINVAL, "mtcp_register_signal: no handler can be set for signal %d", signum);
        return old;
    }
    on_interrupt = handler == SIG_DFL || handler == SIG_IGN ? NULL : handler;
    return old ? old : SIG_DFL;
}

/* ---- configuration ---- */

const char *mtcp_errstr(void)
{
    return err_text();
}

int mtcp_core_affinitize(int cpu)
{
    if (cpu < 0 || cpu >= GetNumCPUs())
        return err_set(EINVAL, "mtcp_core_affinitize: no CPU %d", cpu);
    return CoreAffinitize(cpu) < 0
               ? err_set(errno ? errno : EPERM, "mtcp_core_affinitize: CPU %d", cpu)
               : 0;
}

/*
 * draw_seed: the secret of the hash functions, if the configuration gives none: who does not know it
 * cannot choose keys that meet in one place. What is told does not depend on it. Where the system
 * has no randomness yet, an address of this process has to do.
 */
static void draw_seed(struct engine_conf *c)
{
    struct timespec ts;

    if (c->seeded || getrandom(&c->seed, sizeof(c->seed), GRND_NONBLOCK) == sizeof(c->seed))
        return;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    c->seed = hash_mix((uint64_t)(uintptr_t)c ^ (uint64_t)ts.tv_nsec << 32);
}

static int init(const char *conf)
{
    struct sigaction sa = {.sa_handler = interrupted, .sa_flags = SA_RESTART};
    char note[512];

    if (conf_read(&engine.conf, conf) < 0)
        return -1;
    snprintf(note, sizeof(note), "%s", err_text());
    draw_seed(&engine.conf);
    engine.broke = 0;
    engine.why[0] = '\0';
    engine.end_now = 0;
    engine.running = false;
    engine.position = engine.size = engine.frames = engine.filtered = engine.sent = engine.refused =
        0;
    if ((engine.conf.live ? live_init(&engine) : replay_open(&engine)) < 0) {
        int code = errno;

        conf_drop(&engine.conf);
        errno = code;
        return -1;
    }
    last_interrupt = 0;
    sigaction(SIGINT, &sa, &before_us);
    engine.up = true;
    err_clear();
    if (note[0])
        err_set(0, "%s", note);
    return 0;
}

int mtcp_init(const char *conf)
{
    int rc;

    pthread_mutex_lock(&engine.lock);
    rc = engine.up ? err_set(EALREADY, "mtcp_init was called before") : init(conf);
    pthread_mutex_unlock(&engine.lock);
    return rc;
}

int mtcp_getconf(struct mtcp_conf *conf)
{
    if (conf == NULL)
        return err_set(EINVAL, "mtcp_getconf: conf is NULL");
    if (!engine.up)
        return err_set(EPERM, "mtcp_getconf: mtcp_init was not called");
    *conf = engine.conf.pub;
    return 0;
}

static int setconf(const struct mtcp_conf *n)
{
    struct engine_conf *c = &engine.conf;

    if (n->num_cores < 1 || n->num_cores > MON_CONTEXTS)
        return err_set(EINVAL, "mtcp_setconf: num_cores %d is not 1 to %d", n->num_cores,
                       MON_CONTEXTS);
    if (n->max_concurrency < 1 || n->max_concurrency > 1 << 29 || n->rcvbuf_size < 1)
        return err_set(EINVAL, "mtcp_setconf: max_concurrency %d or rcvbuf_size %d out of range",
                       n->max_concurrency, n->rcvbuf_size);
    c->pub.num_cores = n->num_cores;
    c->pub.max_concurrency = n->max_concurrency;
    c->pub.rcvbuf_size = n->rcvbuf_size;
    c->pub.sndbuf_size = n->sndbuf_size;
    c->pub.tcp_timewait = n->tcp_timewait;
    c->pub.tcp_timeout = n->tcp_timeout;
    c->mon.rmem_size = (uint32_t)n->rcvbuf_size;
    c->mon.conn.tw_ns = n->tcp_timewait > 0 ? (uint64_t)n->tcp_timewait * NSEC_PER_MSEC : 0;
    c->mon.conn.idle_ns =
        n->tcp_timeout > 0 ? (uint64_t)n->tcp_timeout * NSEC_PER_MSEC : UINT64_MAX;
    return 0;
}

int mtcp_setconf(const struct mtcp_conf *conf)
{
    int rc;

    if (conf == NULL)
        return err_set(EINVAL, "mtcp_setconf: conf is NULL");
    pthread_mutex_lock(&engine.lock);
    if (!engine.up)
        rc = err_set(EPERM, "mtcp_setconf: mtcp_init was not called");
    else if (engine.nctx)
        rc = err_set(EBUSY, "mtcp_setconf: a context exists already");
    else
        rc = setconf(conf);
    pthread_mutex_unlock(&engine.lock);
    return rc;
}

/* ---- contexts ---- */

static int send_made(struct mon *m, const struct pktbuf *like, const uint8_t *frame, uint32_t len)
{
    struct ctx *c = m->engine;
    bool out = engine.out != NULL;

    if (engine.live)
        out = engine.conf.mon.forward && (like->in_if < MON_IFS || engine.conf.router);
    if (!out) {
        m->env.reasons[REASON_NO_OUTPUT]++;
        return 0;
    }
    return egress_add(c->eg, c->w.at, like, m->env.now, frame, len);
}

/* tell_live: the same counters of interfaces, and what captures do not have. */
static int tell_live(struct mos_stat *v, int n)
{
    struct live_tally t = live_tally(&engine);
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"input_frames", t.frames}, {"input_filtered", t.filtered}, {"input_lost", t.lost},
        {"output_frames", t.sent},  {"output_refused", t.refused},  {"output_too_big", t.too_big},
        {"link_lost", t.link_lost}, {"crossed", t.crossed},         {"cross_lost", t.cross_lost},
    };

    for (int i = 0; i < (int)ARRAY_SIZE(all) && i < n; i++) {
        snprintf(v[i].name, sizeof(v[i].name), "%s", all[i].name);
        v[i].value = all[i].value;
    }
    return (int)ARRAY_SIZE(all);
}

static int tell_stats(struct mon *m, struct mos_stat *v, int n)
{
    const struct {
        const char *name;
        const uint64_t *value;
    } all[] = {
        {"input_position_now", &engine.position}, {"input_size_now", &engine.size},
        {"input_frames", &engine.frames},         {"input_filtered", &engine.filtered},
        {"output_frames", &engine.sent},          {"output_refused", &engine.refused},
    };

    if (engine.live)
        return tell_live(v, n);
    for (int i = 0; i < (int)ARRAY_SIZE(all) && i < n; i++) {
        snprintf(v[i].name, sizeof(v[i].name), "%s", all[i].name);
        v[i].value = __atomic_load_n(all[i].value, __ATOMIC_RELAXED);
    }
    return (int)ARRAY_SIZE(all);
}

static mctx_t create(int cpu)
{
    struct ctx *c = &engine.ctx[cpu];

    engine.conf.mon.max_sock = (uint32_t)engine.conf.pub.max_concurrency;
    engine.conf.mon.secret = hash_mix(engine.conf.seed);
    memset(c, 0, sizeof(*c));
    c->m = mon_create(cpu, &engine.conf.mon);
    if (c->m == NULL)
        return NULL;
    worker_init(&c->w, c->m);
    c->m->engine = c;
    c->m->send = send_made;
    c->m->stats = tell_stats;
    egress_init(&c->own);
    c->eg = &c->own;
    if (engine.live && live_attach(&engine, c) < 0) {
        int code = errno;

        worker_fini(&c->w);
        mon_destroy(c->m);
        c->m = NULL;
        errno = code;
        return NULL;
    }
    mon_register(cpu, c->m);
    engine.nctx++;
    return mon_handle(cpu);
}

mctx_t mtcp_create_context(int cpu)
{
    mctx_t m = NULL;

    pthread_mutex_lock(&engine.lock);
    if (!engine.up)
        err_set(EPERM, "mtcp_create_context: mtcp_init was not called");
    else if (cpu < 0 || cpu >= engine.conf.pub.num_cores)
        err_set(EINVAL, "mtcp_create_context: %d is not 0 to %d", cpu,
                engine.conf.pub.num_cores - 1);
    else if (engine.running)
        err_set(EBUSY, "mtcp_create_context: the capture runs already");
    else if (engine.ctx[cpu].m)
        err_set(EEXIST, "mtcp_create_context: context %d exists", cpu);
    else
        m = create(cpu);
    pthread_mutex_unlock(&engine.lock);
    return m;
}

/* reap: its thread is gone or never was: give everything back. Under the lock. */
static void reap(struct ctx *c)
{
    int cpu = c->m->mctx->cpu;

    push_abandon(c);
    if (engine.live)
        live_detach(&engine, c);
    mon_register(cpu, NULL);
    mon_destroy(c->m);
    worker_fini(&c->w);
    egress_drop(&c->own);
    push_free(c);
    c->m = NULL;
    engine.nctx--;
}

void ctx_finished(struct ctx *c)
{
    pthread_mutex_lock(&engine.lock);
    c->finished = true;
    pthread_cond_broadcast(&engine.ended);
    pthread_mutex_unlock(&engine.lock);
}

/* wait_done: until this context's last event was told, or somebody else has given it back. */
static void wait_done(struct ctx *c, const struct mon *m)
{
    pthread_mutex_lock(&engine.lock);
    while (c->m == m && c->has_thread && !c->finished)
        pthread_cond_wait(&engine.ended, &engine.lock);
    pthread_mutex_unlock(&engine.lock);
}

/* inside: does the caller run in a callback of this context? */
static bool inside(const struct ctx *c)
{
    const struct mon *m = c->m;

    return __atomic_load_n(&m->state, __ATOMIC_ACQUIRE) == MON_RUNNING &&
           pthread_equal(m->owner, pthread_self()) && m->in_callback;
}

/* give_back: a context that has ended: its thread and memory. */
static void give_back(struct ctx *c, const struct mon *m)
{
    pthread_mutex_lock(&engine.lock);
    if (c->m == m) {
        if (c->has_thread)
            pthread_join(c->thread, NULL); /* it takes no lock any more */
        c->has_thread = false;
        reap(c);
        pthread_cond_broadcast(&engine.ended);
    }
    pthread_mutex_unlock(&engine.lock);
}

int mtcp_destroy_context(mctx_t mctx)
{
    const struct mon *m = mon_of(mctx);
    struct ctx *c = m ? m->engine : NULL;
    bool later;

    if (c == NULL)
        return -1;
    later = in_handler || inside(c);
    if (__atomic_exchange_n(&c->stop, STOP_QUIETLY, __ATOMIC_RELAXED) && later)
        return err_set(EPERM, "mtcp_destroy_context: context %d was destroyed before", mctx->cpu);
    if (later)
        /* it ends at the next burst; mtcp_app_join or mtcp_destroy gives its memory back */
        return 0;
    pthread_mutex_lock(&engine.lock);
    if (engine.live && c->m == m)
        live_wake(&engine, c);
    replay_wake(&engine);
    pthread_mutex_unlock(&engine.lock);
    wait_done(c, m);
    give_back(c, m);
    return 0;
}

/* join_running: start what is to be started. => is there a thread to wait for? */
static bool join_start(struct ctx *c)
{
    bool wait;

    pthread_mutex_lock(&engine.lock);
    if (c->m && ((engine.live && live_start(&engine, c) < 0) ||
                 (engine.in && !engine.running && replay_start(&engine) < 0))) {
        engine.broke = errno;
        snprintf(engine.why, sizeof(engine.why), "%s", err_text());
    }
    wait = c->m && c->has_thread && !inside(c);
    pthread_mutex_unlock(&engine.lock);
    return wait;
}

/*
 * destroyed_elsewhere: was it destroyed from a callback or signal handler, which could not give
 * back its memory?
 */
static bool destroyed_elsewhere(struct ctx *c, const struct mon *m)
{
    bool yes;

    pthread_mutex_lock(&engine.lock);
    yes = c->m == m && __atomic_load_n(&c->stop, __ATOMIC_RELAXED) && !in_handler && !inside(c);
    pthread_mutex_unlock(&engine.lock);
    return yes;
}

void mtcp_app_join(mctx_t mctx)
{
    const struct mon *m = mon_of(mctx);
    struct ctx *c = m ? m->engine : NULL;

    err_clear();
    errno = 0;
    if (c == NULL)
        return;
    if (join_start(c))
        wait_done(c, m);
    if (destroyed_elsewhere(c, m))
        give_back(c, m);
    err_clear();
    errno = 0;
    pthread_mutex_lock(&engine.lock);
    if (engine.broke)
        err_set(engine.broke, "%s", engine.why);
    pthread_mutex_unlock(&engine.lock);
}

int mtcp_destroy(void)
{
    for (int i = 0; i < MON_CONTEXTS; i++)
        if (engine.ctx[i].m && __atomic_load_n(&engine.ctx[i].stop, __ATOMIC_RELAXED))
            mtcp_destroy_context(mon_handle(i));
    pthread_mutex_lock(&engine.lock);
    if (engine.up && engine.nctx == 0) {
        replay_close(&engine);
        live_fini(&engine);
        conf_drop(&engine.conf);
        sigaction(SIGINT, &before_us, NULL);
        on_interrupt = NULL;
        engine.up = false;
    }
    pthread_mutex_unlock(&engine.lock);
    return 0;
}
