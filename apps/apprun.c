// SPDX-License-Identifier: BSD-2-Clause
/*
 * apprun.c: from options to running contexts and back. The configuration never touches a disk: it
 * is a memory file, named to mtcp_init by its place in /proc.
 */
#include "apprun.h"
#include "appconf.h"
#include "applive.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Callbacks are given a context and no pointer of ours: this is where they find it. */
static struct app *running;

struct app_ctx *app_ctx_of(mctx_t mctx)
{
    return &running->ctx[mctx->cpu];
}

void out_write(struct out *out, const char *text, size_t len)
{
    pthread_mutex_lock(&out->lock);
    if (out->tty && out->progress)
        progress_hide(out->progress);
    if (out->live)
        outqueue_put(&out->queue, text, len);
    else
        fwrite(text, 1, len, out->file);
    out->used = true;
    pthread_mutex_unlock(&out->lock);
}

void app_failed(struct app *app, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    bool first;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&app->lock);
    first = app->status == APP_OK;
    app->status = APP_BROKEN;
    pthread_mutex_unlock(&app->lock);
    if (first)
        complain(APP_BROKEN, "%s", text);
}

/* SIGTERM and SIGHUP are SIGINT: what the library makes of that, an end with everything told, is what is wanted. */
static void on_term(int sig)
{
    raise(SIGINT);
}

static void catch_signals(void)
{
    mtcp_register_signal(SIGTERM, on_term);
    mtcp_register_signal(SIGALRM, on_term);               /* --duration */
    if (mtcp_register_signal(SIGHUP, on_term) == SIG_IGN) /* nohup */
        mtcp_register_signal(SIGHUP, SIG_IGN);
}

/* Hand the configuration to the library. => an exit status, the complaint made. */
static int init_library(struct app *app)
{
    const char *bad = appconf_bad_name(app->opt);
    char path[64];
    int fd, rc;

    if (app->opt->fail_open && applive_fail_open(app->opt) < 0)
        return APP_MISUSE;
    if (bad)
        return complain(APP_MISUSE, "%s: a file name with a line end in it cannot be used", bad);
    if (appconf_check_routes(app->opt) < 0)
        return APP_MISUSE;
    fd = appconf_file(app->opt, app->hooks->rmem, app->hooks->conf, app->hooks->proxies);
    if (fd < 0)
        return complain(APP_MISUSE, "cannot write the configuration: %s", strerror(errno));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    rc = mtcp_init(path);
    if (rc < 0)
        complain(APP_MISUSE, "%s", appconf_message(mtcp_errstr(), path));
    else
        catch_signals();
    close(fd);
    return rc < 0 ? APP_MISUSE : APP_OK;
}

static int set_overlap(const struct app *app, const struct app_ctx *c)
{
    int policy = app->opt->overlap;

    if (!(app->opt->cmd->takes & TAKES_OVERLAP))
        return 0;
    if (mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_CLIOVERLAP, &policy,
                        sizeof(policy)) < 0)
        return -1;
    return mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_SVROVERLAP, &policy,
                           sizeof(policy));
}

/* One context with its listener and the subcommand's callbacks. */
static int open_context(struct app *app, int cpu)
{
    struct app_ctx *c = &app->ctx[cpu];

    c->app = app;
    c->mctx = mtcp_create_context(cpu);
    if (!c->mctx)
        return -1;
    if (cpu == 0 && app->opt->in_if && *mtcp_errstr())
        complain(APP_OK, "%s", mtcp_errstr()); /* how they were opened */
    app->nctx = cpu + 1;
    c->listener = mtcp_socket(c->mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (c->listener < 0 || set_overlap(app, c) < 0)
        return -1;
    return app->hooks->setup(c);
}

/*
 * output_gone: in the thread of the queue. What stands in line goes on, for the traffic's sake; who only
 * watches has nothing left to do.
 */
static void output_gone(void *arg, int code)
{
    const struct app *app = arg;

    complain(APP_OK, "standard output: %s%s", strerror(code),
             app->opt->out_if ? "; the traffic goes on without it" : "");
    if (!app->opt->out_if)
        kill(getpid(), SIGTERM);
}

/* out_go: the queue is written from now on. => an exit status. */
static int out_go(struct app *app)
{
    int code = outqueue_start(&app->out.queue, output_gone, app);

    return code ? complain(APP_BROKEN, "cannot make a thread: %s", strerror(code)) : APP_OK;
}

static int open_contexts(struct app *app)
{
    int status = APP_OK;

    if (app->opt->user && !applive_knows_user(app->opt->user))
        return APP_MISUSE;
    for (int i = 0; i < app->opt->cores; i++)
        if (open_context(app, i) < 0)
            return complain(APP_MISUSE, "context %d: %s", i,
                            *mtcp_errstr() ? mtcp_errstr() : strerror(errno));
    if (app->opt->user && applive_be_user(app->opt->user) < 0)
        return APP_MISUSE;
    progress_start(&app->progress, app->opt, app->ctx[0].mctx, app->ctx[0].listener);
    if (app->out.live)
        status = out_go(app);
    return status;
}

/*
 * Run until the input has ended. A context whose input broke says so when it is joined; all of them
 * saw the same input, so it is said once.
 */
static void join_contexts(struct app *app)
{
    char said[512] = "";

    for (int i = 0; i < app->nctx; i++) {
        int code;

        errno = 0;
        mtcp_app_join(app->ctx[i].mctx);
        code = errno;
        if (code == 0 || !*mtcp_errstr() || strcmp(said, mtcp_errstr()) == 0)
            continue;
        app->broken = code;
        snprintf(said, sizeof(said), "%s", mtcp_errstr());
        progress_stop(&app->progress);
        complain(APP_BROKEN, "%s", said);
    }
    progress_stop(&app->progress);
}

/* An input of which not even the first frame could be read is as good as none. */
static int input_status(const struct app *app)
{
    if (app->broken == 0)
        return APP_OK;
    return app->broken == EINVAL ? APP_MISUSE : APP_BROKEN;
}

static void close_contexts(struct app *app)
{
    for (int i = 0; i < app->nctx; i++)
        mtcp_destroy_context(app->ctx[i].mctx);
    mtcp_destroy();
}

static int worse(int a, int b)
{
    return a > b ? a : b;
}

/* What the library has given up for want of memory. */
struct given_up {
    bool known, lost; /* asked successfully; new connections or bytes had no room */
    uint64_t frags, conns, syns;
};

static void add_given_up(struct given_up *g, const struct appstat *stats)
{
    static const char *const lacks[] = {"no-flow-mem", "no-sock", "no-stream-mem", "stream_failed"};

    for (size_t k = 0; k < sizeof(lacks) / sizeof(lacks[0]); k++)
        g->lost |= appstat_value(stats, lacks[k]) > 0;
    g->frags += appstat_value(stats, "frag-limit");
    g->conns += appstat_value(stats, "evicted");
    g->syns += appstat_syns_lost(stats);
}

/* Has it given up anything? What is shown is not all then. => an exit status. */
static int memory_status(const struct app *app)
{
    struct given_up g = {.known = true};
    struct appstat stats = {0};
    int status = APP_OK;

    for (int i = 0; g.known && i < app->nctx; i++) {
        g.known = appstat_read(&stats, app->ctx[i].mctx, app->ctx[i].listener);
        add_given_up(&g, &stats);
    }
    appstat_free(&stats);
    if (!g.known || g.lost)
        status = complain(APP_BROKEN, "out of memory: this is not all");
    if (g.conns || g.syns)
        status = complain(APP_BROKEN,
                          "--memory %lluM: %llu connections were forgotten early, %llu SYNs were "
                          "not followed",
                          (unsigned long long)(app->opt->memory >> 20), (unsigned long long)g.conns,
                          (unsigned long long)g.syns);
    if (g.frags)
        status = complain(APP_BROKEN, "no room for %llu IP fragments: what they carried is missing",
                          (unsigned long long)g.frags);
    return status;
}

/* out_drain: nothing more is put into the queue, and the library's handlers are still there. */
static void out_drain(struct out *out)
{
    if (!out->live)
        return;
    out->lost = outqueue_finish(&out->queue, &out->error);
    out->live = false;
}

/* All between mtcp_init and mtcp_destroy. */
static int run_contexts(struct app *app)
{
    int status = app->hooks->begin ? app->hooks->begin(app) : APP_OK;
    const bool live = app->out.live;

    if (status != APP_OK)
        return status;
    status = open_contexts(app);
    app->ran = status == APP_OK;
    if (app->ran) {
        if (app->opt->duration_ms)
            applive_end_after(app->opt->duration_ms);
        if (live)
            complain_wait(0); /* packets come first */
        join_contexts(app);
        if (live)
            complain_wait(OUTQUEUE_IDLE_MS);
        status = memory_status(app);
    }
    if (live)
        outqueue_ending(&app->out.queue);
    if (app->hooks->end)
        status = worse(status, app->hooks->end(app));
    out_drain(&app->out);
    if (app->ran && live)
        applive_summary(app);
    return worse(worse(status, input_status(app)), app->status);
}

void out_open(struct out *out)
{
    *out = (struct out){.file = stdout, .tty = isatty(STDOUT_FILENO)};
    out->colour = out->tty && !getenv("NO_COLOR");
    pthread_mutex_init(&out->lock, NULL);
    if (!out->tty)
        setvbuf(stdout, NULL, _IOFBF, 65536);
}

int out_close(struct out *out, int status)
{
    out_drain(out);
    pthread_mutex_destroy(&out->lock);
    if (out->lost || out->error) /* it was said */
        status = worse(status, APP_BROKEN);
    if (fflush(stdout) != 0 || ferror(stdout))
        status = worse(status, complain(APP_BROKEN, "standard output: %s", strerror(errno)));
    return status;
}

int app_run(const struct appopt *opt, const struct app_hooks *hooks, void *data)
{
    struct app app = {.opt = opt, .hooks = hooks, .data = data};
    int status;

    out_open(&app.out);
    app.out.live = opt->in_if != NULL;
    if (app.out.live) {
        outqueue_init(&app.out.queue, STDOUT_FILENO);
        complain_wait(OUTQUEUE_IDLE_MS);
    }
    app.out.progress = &app.progress;
    pthread_mutex_init(&app.lock, NULL);
    running = &app;
    status = init_library(&app);
    if (status == APP_OK) {
        status = run_contexts(&app);
        close_contexts(&app);
    }
    running = NULL;
    pthread_mutex_destroy(&app.lock);
    return out_close(&app.out, status);
}
