// SPDX-License-Identifier: BSD-2-Clause
/*
 * benchrun.c: a thread for each context, each with its share of the frames. Loops are played in
 * step: all threads prepare their frames, then the clocks run, each thread's own CPU time. Within
 * them: every frame, and the end of all connections, for between two loops so much time passes that
 * each is over.
 */
#include "benchrun.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "appconf.h"
#include "appstat.h"
#include "benchfloor.h"

#define BATCH  64
#define SECOND UINT64_C(1000000000)

struct player {
    struct play *play;
    int part;
    pthread_t thread;
    mctx_t mctx;
    int listener;
    struct floor_tab *floor;
    uint64_t ns, rss;
    struct floor_count known;
    char why[256];
};

/* All threads of a run over all loops. */
struct play {
    const struct appopt *opt;
    const struct set *set;
    void (*pass)(struct player *, int loop);
    uint64_t start_rss;
    pthread_barrier_t step;
    struct player player[APP_MAX_CORES];
};

static uint64_t thread_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

double cycle_hz(void)
{
#if defined(__x86_64__)
    struct timespec a, b;
    uint64_t from, ns;

    clock_gettime(CLOCK_MONOTONIC_RAW, &a);
    from = __builtin_ia32_rdtsc();
    do {
        clock_gettime(CLOCK_MONOTONIC_RAW, &b);
        ns = (uint64_t)(b.tv_sec - a.tv_sec) * SECOND + (uint64_t)b.tv_nsec - (uint64_t)a.tv_nsec;
    } while (ns < SECOND / 50);
    return (double)(__builtin_ia32_rdtsc() - from) * 1e9 / (double)ns;
#else
    return 1e9;
#endif
}

static uint64_t resident(void)
{
    unsigned long size, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%lu %lu", &size, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the library ---- */

static void went_wrong(struct player *p, const char *what)
{
    if (!*p->why)
        snprintf(p->why, sizeof(p->why), "%s", *what ? what : strerror(errno));
}

/* push_all: the part's frames of a loop, `later` ns later than they were captured. */
static bool push_all(struct player *p, int loop, uint64_t later)
{
    const struct set *s = p->play->set;
    const struct set_part *k = &s->part[p->part];
    const uint8_t *copy = set_copy(s, loop);
    struct mtcp_frame v[BATCH];

    set_ahead(s, p->part, loop, 0);
    for (uint64_t at = 0; at < k->n; at += BATCH) {
        int n = k->n - at < BATCH ? (int)(k->n - at) : BATCH;

        for (int i = 0; i < n; i++) {
            const struct set_frame *f = &k->v[at + (uint64_t)i];

            v[i] = (struct mtcp_frame){.data = copy + f->off,
                                       .ts_ns = f->ts_ns + later,
                                       .len = f->len,
                                       .wire_len = f->wire_len,
                                       .linktype = s->linktype};
        }
        set_ahead(s, p->part, loop, at + BATCH);
        if (mtcp_push(p->mctx, v, n) < 0)
            return false;
    }
    return true;
}

/* end_all: so much time passes that no connection is left, nor one that lingers. */
static bool end_all(struct player *p, uint64_t last)
{
    uint64_t idle = last + APPCONF_IDLE_SEC * SECOND + SECOND;

    return mtcp_tick(p->mctx, idle) == 0 &&
           mtcp_tick(p->mctx, idle + APPCONF_LINGER_SEC * SECOND + SECOND) == 0;
}

static uint64_t flows_now(const struct player *p)
{
    struct appstat st = {0};
    uint64_t n = UINT64_MAX;

    if (appstat_read(&st, p->mctx, p->listener))
        n = appstat_value(&st, "flows_now");
    appstat_free(&st);
    return n;
}

static void library_pass(struct player *p, int loop)
{
    uint64_t later = (uint64_t)loop * set_period(p->play->set), now;

    if (!push_all(p, loop, later)) {
        went_wrong(p, mtcp_errstr());
        return;
    }
    now = resident();
    if (now > p->play->start_rss && now - p->play->start_rss > p->rss)
        p->rss = now - p->play->start_rss;
    if (!end_all(p, p->play->set->last_ns + later))
        went_wrong(p, mtcp_errstr());
}

static void floor_loop(struct player *p, int loop)
{
    floor_pass(p->floor, p->play->set, p->part, loop, p->play->opt->program == APP_SEARCH,
               &p->known);
}

/* ---- threads ---- */

static void *play_part(void *arg)
{
    struct player *p = arg;
    struct play *play = p->play;

    for (int loop = 0; loop < play->opt->loops; loop++) {
        uint64_t start;

        set_prepare(play->set, p->part, loop);
        pthread_barrier_wait(&play->step);
        start = thread_ns();
        if (!*p->why)
            play->pass(p, loop);
        p->ns += thread_ns() - start;
        if (p->floor)
            floor_forget(p->floor);
        else if (!*p->why && flows_now(p) != 0)
            went_wrong(p, "connections of one loop live on in the next");
    }
    return NULL;
}

/* play_all: => false: *why says it. */
static bool play_all(struct play *play, char *why, size_t cap)
{
    int n = play->set->parts, started = 0;

    pthread_barrier_init(&play->step, NULL, (unsigned)n);
    for (; started < n; started++)
        if (pthread_create(&play->player[started].thread, NULL, play_part,
                           &play->player[started]) != 0)
            break;
    if (started < n) { /* the others wait for it: the process ends */
        snprintf(why, cap, "no thread for context %d: %s", started, strerror(errno));
        return false;
    }
    for (int i = 0; i < n; i++)
        pthread_join(play->player[i].thread, NULL);
    pthread_barrier_destroy(&play->step);
    for (int i = 0; i < n; i++)
        if (*play->player[i].why) {
            snprintf(why, cap, "%s", play->player[i].why);
            return false;
        }
    return true;
}

static void prepare(struct play *play, const struct appopt *opt, const struct set *s)
{
    memset(play, 0, sizeof(*play));
    play->opt = opt;
    play->set = s;
    for (int i = 0; i < s->parts; i++) {
        play->player[i].play = play;
        play->player[i].part = i;
    }
}

/* ---- a round ---- */

static bool run_floor(struct round *r, struct play *play, uint32_t connections)
{
    bool good = true;

    play->pass = floor_loop;
    for (int i = 0; i < play->set->parts; i++)
        good = (play->player[i].floor = floor_new(connections)) != NULL && good;
    if (!good)
        snprintf(r->why, sizeof(r->why), "out of memory");
    good = good && play_all(play, r->why, sizeof(r->why));
    for (int i = 0; i < play->set->parts; i++) {
        r->floor_ns += play->player[i].ns;
        floor_free(play->player[i].floor);
    }
    return good;
}

static int init_library(const struct appopt *opt)
{
    struct appopt mine = *opt;
    static const char *none[] = {NULL};
    char path[64];
    int fd, rc;

    mine.file = none;
    mine.nfiles = 0;
    mine.expr = NULL; /* what it leaves out was left out when the capture was read */
    fd = appconf_file(&mine, 1048576, NULL, NULL);
    if (fd < 0)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    rc = mtcp_init(path);
    close(fd);
    return rc;
}

static int open_contexts(struct play *play)
{
    for (int i = 0; i < play->set->parts; i++) {
        struct player *p = &play->player[i];

        p->mctx = mtcp_create_context(i);
        if (p->mctx == NULL)
            return -1;
        p->listener = mtcp_socket(p->mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
        if (p->listener < 0 || prog_setup(p->mctx, p->listener) < 0)
            return -1;
    }
    return 0;
}

static bool run_library(struct round *r, struct play *play)
{
    bool good;

    play->pass = library_pass;
    play->start_rss = resident();
    good = init_library(play->opt) == 0 && prog_define(play->opt) == 0 && open_contexts(play) == 0;
    if (!good)
        snprintf(r->why, sizeof(r->why), "%s", *mtcp_errstr() ? mtcp_errstr() : strerror(errno));
    good = good && play_all(play, r->why, sizeof(r->why));
    for (int i = 0; i < play->set->parts; i++) {
        struct player *p = &play->player[i];

        r->ns += p->ns;
        r->longest_ns = p->ns > r->longest_ns ? p->ns : r->longest_ns;
        r->rss = p->rss > r->rss ? p->rss : r->rss;
        if (good && p->mctx)
            mtcp_push(p->mctx, NULL, 0);
    }
    if (good && !prog_sum(&r->sums)) {
        good = false;
        snprintf(r->why, sizeof(r->why), "out of memory");
    }
    for (int i = 0; good && i < play->set->parts; i++)
        mtcp_destroy_context(play->player[i].mctx);
    mtcp_destroy();
    return good;
}

static void run_here(struct round *r, const struct appopt *opt, const struct set *s,
                     uint32_t connections)
{
    static struct play play;

    prepare(&play, opt, s);
    prog_choose(opt);
    r->good = run_floor(r, &play, connections);
    if (!r->good)
        return;
    prepare(&play, opt, s);
    r->good = run_library(r, &play);
}

void run_round(struct round *r, const struct appopt *opt, const struct set *s, uint32_t connections)
{
    int fd[2], status = 0;
    bool got;
    pid_t pid;

    memset(r, 0, sizeof(*r));
    fflush(NULL);
    if (pipe(fd) < 0 || (pid = fork()) < 0) {
        snprintf(r->why, sizeof(r->why), "no process: %s", strerror(errno));
        return;
    }
    if (pid == 0) {
        close(fd[0]);
        run_here(r, opt, s, connections);
        _exit(write(fd[1], r, sizeof(*r)) == sizeof(*r) ? 0 : 1);
    }
    close(fd[1]);
    got = read(fd[0], r, sizeof(*r)) == sizeof(*r);
    close(fd[0]);
    waitpid(pid, &status, 0);
    if (got)
        return;
    memset(r, 0, sizeof(*r));
    if (WIFSIGNALED(status))
        snprintf(r->why, sizeof(r->why), "died of signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(r->why, sizeof(r->why), "a round ended with status %d", WEXITSTATUS(status));
}
