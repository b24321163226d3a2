// SPDX-License-Identifier: BSD-2-Clause
/*
 * replay.c: capture files through the contexts, the same events whatever their number (contract 5).
 *
 * The unit is the epoch: `epoch` consecutive frames of the input. Its end is told to every context
 * with the clock reached there, and NEW_DATA, ends and timers happen on that mark only. The clock
 * is the highest time seen so far in the whole input; each frame carries it (pb->clock_ns), stamped
 * before the frames are split.
 *
 * One context: its own thread reads, works and writes; frames stay where the device put them.
 * Several: a feeder thread reads, decodes as far as steering needs, and copies frames into blocks
 * of some epochs; every context gets every block, works off the frames that are its own and all
 * marks, and says when it is done with the block. The feeder then writes what leaves, in the order
 * of the input. Blocks are handed over in a ring; the lock guards the ring's two counters, not
 * packets.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "wire/decode.h"

#define BLOCKS       8
#define BLOCK_FRAMES 1024

/*
 * Bytes of a block's arena for a frame, which begins where io_align puts its IP header on a
 * multiple of 4.
 */
#define BLOCK_ROOM(len) ((IO_HEADROOM + 2 + (size_t)(len) + IO_TAILROOM + 15) & ~(size_t)15)

struct block {
    struct pktbuf pb[BLOCK_FRAMES];
    uint8_t core[BLOCK_FRAMES];
    struct pktbuf *second[BLOCK_FRAMES]; /* the same frame for another core, of frags_second */
    uint8_t second_core[BLOCK_FRAMES];
    uint8_t *arena;
    size_t cap, used;
    int n;
    struct frag_room froom;         /* its fragments' notes and whole datagrams */
    uint32_t expired[BLOCK_FRAMES]; /* by epoch: fragments whose time was up at its end */
    uint32_t unfinished; /* with `last`: fragments of datagrams that were never completed */
    bool last;           /* the input ends with it */
    int left;            /* contexts that still work on it; under replay.lock */
    struct egress eg[MON_CONTEXTS];
};

struct replay {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    uint64_t nfilled;    /* blocks handed out */
    struct block *block; /* BLOCKS of them; NULL with one context */
    pthread_t feeder;
    bool has_feeder;
    enum { NOT_YET, GO, CALLED_OFF } start; /* under lock */
    bool complete;                          /* the feeder has written all; under lock */
    int cores;
    int working; /* contexts that were not destroyed; under lock */
    struct ctx *core[MON_CONTEXTS];
    uint64_t clock;      /* highest time seen */
    struct defrag frags; /* several contexts: the feeder's; unfinished datagrams */
};

struct engine engine = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

bool ctx_should_stop(const struct ctx *c)
{
    return __atomic_load_n(&c->stop, __ATOMIC_RELAXED) ||
           __atomic_load_n(&engine.end_now, __ATOMIC_RELAXED);
}

/* all_stop: has every context been destroyed, or everything been interrupted? */
static bool all_stop(const struct replay *r)
{
    for (int i = 0; i < r->cores; i++)
        if (!ctx_should_stop(r->core[i]))
            return false;
    return true;
}

/* ---- devices ---- */

static int open_output(struct engine *e)
{
    struct io_open_args args = {.dir = IO_OUT, .nanosec = true};

    if (e->conf.out == NULL)
        return 0;
    e->out = io_open(e->conf.out, &args);
    return e->out ? 0 : -1;
}

/* is_own_input: would writing to `out` destroy an input? */
static bool is_own_input(const struct engine_conf *c)
{
    for (int i = 0; c->out && i < c->ndev; i++)
        if (strcmp(c->dev[i].name, c->out) == 0)
            return true;
    return false;
}

/*
 * nobody_reads: for an input that is silent: everything was interrupted, or every context
 * destroyed.
 */
static bool nobody_reads(void)
{
    if (__atomic_load_n(&engine.end_now, __ATOMIC_RELAXED))
        return true;
    return engine.running && engine.replay && all_stop(engine.replay);
}

/* from_program: how many of the devices are "mem:", whose frames come by mtcp_push? */
static int from_program(struct io_dev *const *dev, int n)
{
    int user = 0;

    for (int i = 0; i < n; i++)
        user += (dev[i]->caps & IO_USER) != 0;
    return user;
}

int replay_open(struct engine *e)
{
    struct io_open_args args = {
        .dir = IO_IN, .filter = e->conf.filter, .poison = e->conf.poison, .stop = nobody_reads};
    struct io_dev *dev[ENGINE_DEVS];
    int n = 0, user;

    if (is_own_input(&e->conf))
        return err_set(EINVAL, "%s is an input and cannot be the output too", e->conf.out);
    for (; n < e->conf.ndev; n++) {
        dev[n] = io_open(e->conf.dev[n].name, &args);
        if (dev[n] == NULL)
            goto fail;
        dev[n]->ifidx = (uint8_t)n;
        if (!(dev[n]->caps & (IO_REPLAY | IO_USER))) {
            err_set(ENODEV, "%s: not a device that can be read here", e->conf.dev[n++].name);
            goto fail;
        }
    }
    user = from_program(dev, n);
    if (user > 0 && user < n) {
        err_set(EINVAL, "netdev: frames come from the program (mem:) or are read, not both");
        goto fail;
    }
    if (user > 0) {
        while (n > 0)
            io_close(dev[--n]);
    } else if (n > 0) {
        e->in = n == 1 ? dev[0] : io_chain(dev, n);
        n = 0;
        if (e->in == NULL)
            return -1;
    }
    if (open_output(e) == 0)
        return 0;
fail:
    for (int code = errno; n > 0; errno = code)
        io_close(dev[--n]);
    replay_close(e);
    return -1;
}

static void drop_block(struct block *b)
{
    free(b->arena);
    frag_room_fini(&b->froom);
}

void replay_close(struct engine *e)
{
    int code = errno;
    struct replay *r = e->replay;

    if (r) {
        if (r->has_feeder)
            pthread_join(r->feeder, NULL);
        for (int i = 0; r->block && i < BLOCKS; i++)
            drop_block(&r->block[i]);
        free(r->block);
        defrag_fini(&r->frags);
        pthread_mutex_destroy(&r->lock);
        pthread_cond_destroy(&r->filled);
        pthread_cond_destroy(&r->emptied);
        free(r);
        e->replay = NULL;
    }
    if (e->in)
        io_close(e->in);
    if (e->out)
        io_close(e->out);
    e->in = e->out = NULL;
    errno = code;
}

void engine_broke(struct engine *e)
{
    int code = errno ? errno : EIO;

    pthread_mutex_lock(&e->lock);
    if (e->broke == 0) {
        e->broke = code;
        snprintf(e->why, sizeof(e->why), "%s", err_text());
    }
    pthread_mutex_unlock(&e->lock);
}

/* publish: the device's counters, for whoever asks from another thread. */
static void publish(struct engine *e)
{
    struct io_stats st;

    io_get_stats(e->in, &st);
    __atomic_store_n(&e->position, st.position, __ATOMIC_RELAXED);
    __atomic_store_n(&e->size, st.size, __ATOMIC_RELAXED);
    __atomic_store_n(&e->frames, st.rx_frames, __ATOMIC_RELAXED);
    __atomic_store_n(&e->filtered, st.rx_filtered, __ATOMIC_RELAXED);
    if (e->out) {
        io_get_stats(e->out, &st);
        __atomic_store_n(&e->sent, st.tx_frames, __ATOMIC_RELAXED);
        __atomic_store_n(&e->refused, st.tx_errors, __ATOMIC_RELAXED);
    }
}

static void close_output(struct engine *e)
{
    if (e->out && io_flush(e->out) < 0)
        engine_broke(e);
    publish(e);
}

/* stamp: the clock reached at each frame. */
static void stamp(struct replay *r, struct pktbuf *pb)
{
    if (pb->ts_ns > r->clock)
        r->clock = pb->ts_ns;
    pb->clock_ns = r->clock;
}

static void write_out(struct engine *e, struct pktbuf *const *pb, int n, struct egress *const *eg,
                      int ne)
{
    if (egress_burst(e->out, e->conf.mon.forward, pb, n, eg, ne) && e->out)
        engine_broke(e);
}

/* ---- one context ---- */

void ctx_begin(struct ctx *c)
{
    c->m->owner = pthread_self();
    __atomic_store_n(&c->m->state, MON_RUNNING, __ATOMIC_RELEASE);
    mon_mine(c->m);
}

void ctx_end(struct ctx *c)
{
    worker_end(&c->w);
    if (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
        mon_eof(c->m);
    else
        mon_reset_all_edited(c->m);
    mon_mine(NULL);
    __atomic_store_n(&c->m->state, MON_DONE, __ATOMIC_RELEASE);
}

static void *run_alone(void *arg)
{
    struct ctx *c = arg;
    struct engine *e = &engine;
    struct replay *r = e->replay;
    struct pktbuf *pb[IO_BURST];
    int in_epoch = 0, n = 0;

    ctx_begin(c);
    c->m->env.edit.replay = true;
    c->eg = &c->own;
    while (!ctx_should_stop(c)) {
        int want = e->conf.epoch - in_epoch;

        n = io_rx(e->in, pb, want < e->conf.batch ? want : e->conf.batch);
        if (n < 0)
            break;
        if (n == 0)
            continue;
        for (int i = 0; i < n; i++)
            stamp(r, pb[i]);
        mon_clock(c->m, pb[0]->clock_ns);
        worker_next(&c->w, e->in);
        worker_burst(&c->w, pb, n);
        c->w.at = n;
        in_epoch += n;
        if (in_epoch == e->conf.epoch) {
            worker_epoch(&c->w, r->clock);
            in_epoch = 0;
        } else {
            mon_burst(c->m);
        }
        write_out(e, pb, n, &c->eg, 1);
        io_rx_done(e->in);
        publish(e);
    }
    if (n < 0 && errno != ENODATA)
        engine_broke(e);
    if (in_epoch && !__atomic_load_n(&c->stop, __ATOMIC_RELAXED))
        worker_epoch(&c->w, r->clock);
    ctx_end(c);
    write_out(e, pb, 0, &c->eg, 1);
    close_output(e);
    ctx_finished(c);
    return NULL;
}

/* ---- several contexts: the feeder ---- */

static int block_room(struct block *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 1 << 20;
    uint8_t *p;

    if (b->used + need <= b->cap)
        return 0;
    while (cap < b->used + need)
        cap *= 2;
    p = malloc(cap);
    if (p == NULL)
        return err_set(ENOMEM, "no memory for %zu bytes of frames", cap);
    if (b->used)
        memcpy(p, b->arena, b->used);
    for (int i = 0; i < b->n; i++) /* the frames moved */
        b->pb[i].data = p + (b->pb[i].data - b->arena);
    free(b->arena);
    b->arena = p;
    b->cap = cap;
    return 0;
}

/* end_epoch: with the block's last frame, the mark at which all contexts are told that it is over. */
static void end_epoch(struct replay *r, struct block *b)
{
    b->expired[(b->n - 1) / engine.conf.epoch] = defrag_expire(&r->frags, r->clock);
}

static int block_add(struct replay *r, struct block *b, const struct pktbuf *from)
{
    struct pktbuf *to = &b->pb[b->n];
    struct seg s;
    int core = 0;

    if (block_room(b, BLOCK_ROOM(from->len)) < 0)
        return -1;
    *to = *from;
    to->data = b->arena + b->used + IO_HEADROOM + io_align(from->linktype);
    to->headroom = IO_HEADROOM;
    to->cap = from->len + IO_TAILROOM;
    to->slot = (uint32_t)b->n;
    memcpy(to->data, from->data, from->len);
    b->used += BLOCK_ROOM(from->len);
    if (decode(&s, to) == REASON_IP_FRAGMENT)
        frags_take(&r->frags, &s, &b->froom);
    b->core[b->n] = (uint8_t)frags_core(&s, r->cores);
    b->second[b->n] = frags_second(&s, r->cores, &b->froom, &core);
    b->second_core[b->n++] = (uint8_t)core;
    if (b->n % engine.conf.epoch == 0)
        end_epoch(r, b);
    return 0;
}

/*
 * empty: wait until all contexts are done with the block, write what leaves of it, make it ready
 * again.
 */
static void empty(struct engine *e, struct block *b)
{
    struct replay *r = e->replay;
    struct pktbuf *pp[BLOCK_FRAMES];
    struct egress *eg[MON_CONTEXTS];

    pthread_mutex_lock(&r->lock);
    while (b->left)
        pthread_cond_wait(&r->emptied, &r->lock);
    pthread_mutex_unlock(&r->lock);
    for (int i = 0; i < b->n; i++) {
        pp[i] = &b->pb[i];
        if (unlikely(b->pb[i].frag != NULL))
            frags_leave(&r->frags, &b->pb[i], b->second[i]);
    }
    for (int i = 0; i < r->cores; i++)
        eg[i] = &b->eg[i];
    write_out(e, pp, b->n, eg, r->cores);
    if (e->conf.poison && b->arena)
        memset(b->arena, 0xDB, b->used);
    frag_room_empty(&b->froom, e->conf.poison);
    b->n = 0;
    b->used = 0;
}

/*
 * room_of: frames of a block, whole epochs. A pipe may be slow: one epoch, so that nobody waits
 * long.
 */
static int room_of(struct engine *e)
{
    struct io_stats st;

    io_get_stats(e->in, &st);
    return st.size ? BLOCK_FRAMES / e->conf.epoch * e->conf.epoch : e->conf.epoch;
}

/* fill: the next frames of the input. => false: it has ended. */
static bool fill(struct engine *e, struct block *b)
{
    struct replay *r = e->replay;
    int room = room_of(e);
    struct pktbuf *pb[IO_BURST];

    while (b->n < room) {
        int left = room - b->n, n = io_rx(e->in, pb, left < IO_BURST ? left : IO_BURST);
        bool ok = true;

        if (n < 0) {
            if (errno != ENODATA)
                engine_broke(e);
            return false;
        }
        for (int i = 0; i < n && ok; i++) {
            stamp(r, pb[i]);
            ok = block_add(r, b, pb[i]) == 0;
        }
        if (!ok)
            engine_broke(e);
        if (n > 0)
            io_rx_done(e->in);
        if (!ok || all_stop(r))
            return false;
    }
    return true;
}

static void hand_out(struct replay *r, struct block *b)
{
    pthread_mutex_lock(&r->lock);
    b->left = r->working;
    r->nfilled++;
    pthread_cond_broadcast(&r->filled);
    pthread_mutex_unlock(&r->lock);
}

/* may_go: wait until every thread is there. => false: one could not be had, nobody begins. */
static bool may_go(struct replay *r)
{
    bool go;

    pthread_mutex_lock(&r->lock);
    while (r->start == NOT_YET)
        pthread_cond_wait(&r->filled, &r->lock);
    go = r->start == GO;
    pthread_mutex_unlock(&r->lock);
    return go;
}

static void *run_feeder(void *arg)
{
    struct engine *e = arg;
    struct replay *r = e->replay;
    uint64_t seq = 0;
    bool more = may_go(r);

    if (!more)
        return NULL;
    for (; more; seq++) {
        struct block *b = &r->block[seq % BLOCKS];

        empty(e, b);
        more = fill(e, b);
        if (b->n % e->conf.epoch)
            end_epoch(r, b);
        b->last = !more;
        if (!more)
            b->unfinished = defrag_end(&r->frags);
        hand_out(r, b);
        publish(e);
    }
    for (uint64_t i = seq > BLOCKS ? seq - BLOCKS : 0; i < seq; i++)
        empty(e, &r->block[i % BLOCKS]);
    close_output(e);
    pthread_mutex_lock(&r->lock);
    r->complete = true;
    pthread_cond_broadcast(&r->filled);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- several contexts: their part ---- */

/* work_epoch: frames [from, to) of the block that are this core's, in bursts, then the mark. */
static void work_epoch(struct ctx *c, struct block *b, int me, int from, int to)
{
    struct pktbuf *pp[IO_BURST];
    int batch = engine.conf.batch;

    for (int i = from; i < to; i += batch) {
        int n = 0;

        for (int k = i; k < to && k < i + batch; k++) {
            if (b->core[k] == me)
                pp[n++] = &b->pb[k];
            else if (unlikely(b->second[k] != NULL) && b->second_core[k] == me)
                pp[n++] = b->second[k];
        }
        if (n) {
            worker_burst(&c->w, pp, n);
            mon_burst(c->m);
        }
    }
    c->w.at = to - 1; /* what is made now leaves before the next epoch's first frame */
    if (me == 0)
        c->m->env.reasons[REASON_FRAG_TIMEOUT] += b->expired[from / engine.conf.epoch];
    mon_epoch(c->m, b->pb[to - 1].clock_ns);
}

static void work_block(struct ctx *c, struct block *b, int me)
{
    int epoch = engine.conf.epoch;

    c->eg = &b->eg[me];
    if (b->n)
        mon_clock(c->m, b->pb[0].clock_ns);
    for (int i = 0; i < b->n && !__atomic_load_n(&c->stop, __ATOMIC_RELAXED); i += epoch)
        work_epoch(c, b, me, i, i + epoch < b->n ? i + epoch : b->n);
    if (b->last) {
        c->w.at = b->n;
        if (me == 0)
            c->m->env.reasons[REASON_FRAG_TIMEOUT] += b->unfinished;
        ctx_end(c);
    }
}

/* done_with: a block less that this context is waited for. Under replay.lock. */
static void done_with(struct replay *r, uint64_t seq)
{
    if (--r->block[seq % BLOCKS].left == 0)
        pthread_cond_signal(&r->emptied);
}

/* leave: the context was destroyed: the others and the feeder go on without it. */
static void leave(struct replay *r, uint64_t seq)
{
    pthread_mutex_lock(&r->lock);
    r->working--;
    for (; seq < r->nfilled; seq++)
        done_with(r, seq);
    pthread_mutex_unlock(&r->lock);
}

static bool destroyed(const struct ctx *c)
{
    return __atomic_load_n(&c->stop, __ATOMIC_RELAXED);
}

void replay_wake(struct engine *e)
{
    struct replay *r = e->replay;

    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    pthread_cond_broadcast(&r->filled);
    pthread_mutex_unlock(&r->lock);
}

static void *run_shared(void *arg)
{
    struct ctx *c = arg;
    struct replay *r = engine.replay;
    bool last = false, gone = false;
    int me = 0;

    if (!may_go(r))
        return NULL;
    while (r->core[me] != c)
        me++;
    ctx_begin(c);
    c->m->env.edit.replay = true;
    c->w.slots = c->w.noted = true;
    for (uint64_t seq = 0; !last && !gone; seq++) {
        struct block *b = &r->block[seq % BLOCKS];
        uint64_t next = seq; /* the first that it is not done with */

        pthread_mutex_lock(&r->lock);
        while (r->nfilled <= seq && !destroyed(c))
            pthread_cond_wait(&r->filled, &r->lock);
        gone = r->nfilled <= seq;
        pthread_mutex_unlock(&r->lock);
        if (!gone) {
            last = b->last;
            work_block(c, b, me);
            pthread_mutex_lock(&r->lock);
            done_with(r, next++);
            pthread_mutex_unlock(&r->lock);
            gone = !last && destroyed(c);
        }
        if (gone) {
            ctx_end(c);
            leave(r, next);
        }
    }
    if (!gone) { /* whoever joins finds the output complete and the input's verdict known */
        pthread_mutex_lock(&r->lock);
        while (!r->complete)
            pthread_cond_wait(&r->filled, &r->lock);
        pthread_mutex_unlock(&r->lock);
    }
    ctx_finished(c);
    return NULL;
}

/* ---- start ---- */

static int start_contexts(struct engine *e, void *(*run)(void *))
{
    struct replay *r = e->replay;

    for (int i = 0; i < r->cores; i++) {
        int rc = pthread_create(&r->core[i]->thread, NULL, run, r->core[i]);

        if (rc)
            return err_set(rc, "no thread for a context: %s", strerror(rc));
        r->core[i]->has_thread = true;
    }
    return 0;
}

/* start_feeder: the last thread, so that nothing is read unless all contexts have theirs. */
static int start_feeder(struct engine *e)
{
    struct replay *r = e->replay;
    int rc = pthread_create(&r->feeder, NULL, run_feeder, e);

    if (rc)
        return err_set(rc, "no thread for the capture: %s", strerror(rc));
    r->has_feeder = true;
    return 0;
}

static void tell_start(struct replay *r, int start)
{
    pthread_mutex_lock(&r->lock);
    r->start = start;
    pthread_cond_broadcast(&r->filled);
    pthread_mutex_unlock(&r->lock);
}

/* call_off: threads that wait for others which could not be had end; no context has run. */
static void call_off(struct replay *r)
{
    int code = errno;

    tell_start(r, CALLED_OFF);
    for (int i = 0; i < r->cores; i++) {
        if (r->core[i]->has_thread)
            pthread_join(r->core[i]->thread, NULL);
        r->core[i]->has_thread = false;
    }
    errno = code;
}

static int start_shared(struct engine *e)
{
    struct replay *r = e->replay;

    r->block = calloc(BLOCKS, sizeof(*r->block));
    if (r->block == NULL)
        return err_set(ENOMEM, "no memory for %d blocks of frames", BLOCKS);
    defrag_init(&r->frags, &e->conf.frag, e->conf.mon.secret);
    for (int i = 0; i < BLOCKS; i++)
        for (int k = 0; k < MON_CONTEXTS; k++)
            egress_init(&r->block[i].eg[k]);
    r->working = r->cores;
    if (start_contexts(e, run_shared) < 0 || start_feeder(e) < 0) {
        call_off(r);
        return -1;
    }
    tell_start(r, GO);
    return 0;
}

/* start: => 0; -1 with errno and text. */
static int start(struct engine *e)
{
    struct replay *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return err_set(ENOMEM, "no memory to run a capture");
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->filled, NULL);
    pthread_cond_init(&r->emptied, NULL);
    e->replay = r;
    for (int i = 0; i < MON_CONTEXTS; i++)
        if (e->ctx[i].m)
            r->core[r->cores++] = &e->ctx[i];
    return r->cores == 1 ? start_contexts(e, run_alone) : start_shared(e);
}

int replay_start(struct engine *e)
{
    e->running = true;
    if (start(e) == 0)
        return 0;
    for (int i = 0; i < MON_CONTEXTS; i++) /* no event will ever be told */
        if (e->ctx[i].m)
            __atomic_store_n(&e->ctx[i].m->state, MON_DONE, __ATOMIC_RELEASE);
    return -1;
}
