// SPDX-License-Identifier: BSD-2-Clause
/*
 * script_setup.c: the lines before the first packet: configuration, sockets, events, what to log,
 * rules. The library starts at the first line that needs it, so `conf` lines come first; a script
 * that opens no socket gets one listener, "l", for IPv4 and IPv6; one without a `log` line is told
 * everything that changes nothing by being told (docs/packet-scripts.md).
 */
#include "script.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct {
    const char *name;
    event_t id;
    const char *hooks; /* where `log NAME` registers it */
    bool trace;        /* in `log trace` */
} builtins[] = {
    {"PKT_IN", MOS_ON_PKT_IN, "SR", true},
    {"PKT_OUT", MOS_ON_PKT_OUT, "SR", false},
    {"CONN_START", MOS_ON_CONN_START, "SR", true},
    {"CONN_SETUP", MOS_ON_CONN_SETUP, "SR", false},
    {"NEW_DATA", MOS_ON_CONN_NEW_DATA, "N", true},
    {"ERROR", MOS_ON_ERROR, "N", true},
    {"TIMEOUT", MOS_ON_TIMEOUT, "N", true},
    {"STATE", MOS_ON_TCP_STATE_CHANGE, "SR", true},
    {"ORPHAN", MOS_ON_ORPHAN, "N", true},
    {"REXMIT", MOS_ON_REXMIT, "R", true},
    {"CONN_END", MOS_ON_CONN_END, "SR", true},
    {"DEBUG", MOS_ON_DEBUG_MESSAGE, "N", false},
    {"GAP", MOS_ON_GAP, "N", true},
    {"OVERLAP", MOS_ON_OVERLAP, "R", false},
    {"EVICT", MOS_ON_EVICT, "N", true},
};
#define BUILTINS ((int)(sizeof(builtins) / sizeof(builtins[0])))

bool script_fail(struct run *r, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (r->why[0] != '\0')
        return false;
    n = snprintf(r->why, sizeof(r->why), "%s:%d: ", r->path, r->line);
    va_start(ap, fmt);
    vsnprintf(r->why + n, sizeof(r->why) - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- names ---- */

event_t event_by_name(struct run *r, const char *name)
{
    int64_t v;

    for (int i = 0; i < BUILTINS; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return builtins[i].id;
    for (int i = 0; i < r->nevents; i++)
        if (strcmp(r->events[i].name, name) == 0)
            return r->events[i].id;
    return text_number(name, &v) ? (event_t)v : MOS_NULL_EVENT;
}

const char *event_name(struct run *r, event_t id, bool *ude)
{
    *ude = false;
    for (int i = 0; i < BUILTINS; i++)
        if (builtins[i].id == id)
            return builtins[i].name;
    *ude = true;
    for (int i = 0; i < r->nevents; i++)
        if (r->events[i].id == id)
            return r->events[i].name;
    return "?";
}

int socket_by_name(struct run *r, const char *name)
{
    for (int i = 0; i < r->nsocks; i++)
        if (strcmp(r->socks[i].name, name) == 0)
            return i;
    return -1;
}

static int hook_by_name(const char *s)
{
    return strcmp(s, "SND") == 0 ? MOS_HK_SND : strcmp(s, "RCV") == 0 ? MOS_HK_RCV : MOS_NULL;
}

/* "NEW_DATA@RCV'": hook 0 if none is named; the mark is the second function. */
bool event_at(struct run *r, const char *word, event_t *ev, int *hook, bool *alt)
{
    char buf[64];
    char *at;
    size_t n;

    snprintf(buf, sizeof(buf), "%s", word);
    n = strlen(buf);
    *alt = n > 0 && buf[n - 1] == '\'';
    if (*alt)
        buf[n - 1] = '\0';
    at = strchr(buf, '@');
    if (at != NULL)
        *at++ = '\0';
    *hook = at != NULL ? hook_by_name(at) : 0;
    *ev = event_by_name(r, buf);
    return *ev != MOS_NULL_EVENT;
}

/* ---- the library's start and end ---- */

static bool write_conf(struct run *r, char path[64], int *fd)
{
    FILE *f;

    *fd = memfd_create("script.conf", 0);
    f = fdopen(dup(*fd), "w");
    if (*fd < 0 || f == NULL)
        return script_fail(r, "memfd: %s", strerror(errno));
    fprintf(f, "mos {\n%s", r->conf != NULL ? r->conf : "");
    if (r->with_output) {
        snprintf(r->outfile, sizeof(r->outfile), "/tmp/weir-script-%d.pcap", (int)getpid());
        fprintf(f, "nic_forward_table {\nmem \"pcap:%s\"\n}\n", r->outfile);
    }
    fprintf(f, "}\n");
    fclose(f);
    snprintf(path, 64, "/proc/self/fd/%d", *fd);
    return true;
}

bool setup_context(struct run *r)
{
    char path[64];
    int fd = -1, rc;

    if (r->inited)
        return r->mctx != NULL || script_fail(r, "the context has ended");
    if (!write_conf(r, path, &fd))
        return false;
    rc = mtcp_init(path);
    close(fd);
    if (rc < 0)
        return script_fail(r, "mtcp_init: %s", mtcp_errstr());
    r->inited = true;
    r->mctx = mtcp_create_context(0);
    if (r->mctx == NULL)
        return script_fail(r, "mtcp_create_context: %s", mtcp_errstr());
    return true;
}

void setup_end(struct run *r)
{
    if (r->mctx != NULL)
        mtcp_destroy_context(r->mctx);
    r->mctx = NULL;
    if (r->inited)
        mtcp_destroy();
    r->inited = false;
}

/* ---- lines that may be refused: => 0, or -1 with errno ---- */

static int open_socket(struct run *r, const char *name, int domain, bool raw)
{
    struct script_socket *s = &r->socks[r->nsocks];

    if (r->nsocks == SCRIPT_SOCKETS) {
        errno = ENFILE;
        return -1;
    }
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->raw = raw;
    s->logged = false;
    s->id = mtcp_socket(r->mctx, domain, raw ? MOS_SOCK_MONITOR_RAW : MOS_SOCK_MONITOR_STREAM, 0);
    if (s->id < 0)
        return -1;
    r->nsocks++;
    return 0;
}

/* listen NAME [inet|inet6] [syn "EXPR"] [orphan "EXPR"] */
static int line_listen(struct run *r, struct words *w)
{
    char syn[256], orphan[256];
    union monitor_filter ft;
    int domain = AF_UNSPEC, i = 2;

    memset(&ft, 0, sizeof(ft));
    for (; i < w->n; i++) {
        if (strcmp(w->v[i], "inet") == 0) {
            domain = AF_INET;
        } else if (strcmp(w->v[i], "inet6") == 0) {
            domain = AF_INET6;
        } else if (i + 1 < w->n && strcmp(w->v[i], "syn") == 0) {
            syn[text_decode(w->v[++i], syn, sizeof(syn) - 1)] = '\0';
            ft.stream_syn_filter = syn;
        } else if (i + 1 < w->n && strcmp(w->v[i], "orphan") == 0) {
            orphan[text_decode(w->v[++i], orphan, sizeof(orphan) - 1)] = '\0';
            ft.stream_orphan_filter = orphan;
        }
    }
    if (open_socket(r, w->v[1], domain, false) < 0)
        return -1;
    if (ft.stream_syn_filter == NULL && ft.stream_orphan_filter == NULL)
        return 0;
    return mtcp_bind_monitor_filter(r->mctx, r->socks[r->nsocks - 1].id, &ft);
}

/* raw NAME ["EXPR"] */
static int line_raw(struct run *r, struct words *w)
{
    union monitor_filter ft;
    char expr[256];

    memset(&ft, 0, sizeof(ft));
    if (open_socket(r, w->v[1], AF_UNSPEC, true) < 0)
        return -1;
    if (w->n < 3)
        return 0;
    expr[text_decode(w->v[2], expr, sizeof(expr) - 1)] = '\0';
    ft.raw_pkt_filter = expr;
    return mtcp_bind_monitor_filter(r->mctx, r->socks[r->nsocks - 1].id, &ft);
}

/* set NAME OPTION VALUE */
static int line_set(struct run *r, struct words *w)
{
    int s = socket_by_name(r, w->v[1]);
    int64_t v = 0;
    int value;

    if (w->n < 4 || s < 0 || option_by_name(w->v[2]) < 0) {
        script_fail(r, "set SOCKET OPTION VALUE");
        return 0;
    }
    if (!text_number(w->v[3], &v))
        v = policy_by_name(w->v[3]) >= 0   ? policy_by_name(w->v[3])
            : strcmp(w->v[3], "auto") == 0 ? MOS_CSUM_AUTO
                                           : side_by_name(w->v[3]);
    value = (int)v;
    return mtcp_setsockopt(r->mctx, r->socks[s].id, SOL_MONSOCKET, option_by_name(w->v[2]), &value,
                           sizeof(value));
}

/* event NAME = PARENT KIND ["TEXT"|N] */
static int line_event(struct run *r, struct words *w)
{
    struct script_event *e = &r->events[r->nevents];
    struct condition c;
    struct filter_arg arg = {.arg = &c, .len = sizeof(c)};
    event_t parent = w->n > 3 ? event_by_name(r, w->v[3]) : MOS_NULL_EVENT;

    memset(&c, 0, sizeof(c));
    if (w->n < 5 || r->nevents == SCRIPT_EVENTS) {
        script_fail(r, "event NAME = PARENT KIND [TEXT]");
        return 0;
    }
    snprintf(c.name, sizeof(c.name), "%s", w->v[1]);
    snprintf(c.kind, sizeof(c.kind), "%s", w->v[4]);
    if (w->n > 5 && w->v[5][0] == '"')
        c.len = (int32_t)text_decode(w->v[5], c.text, sizeof(c.text));
    else if (w->n > 5)
        c.len = atoi(w->v[5]);
    if (c.len < 0 || c.len > (int32_t)sizeof(c.text)) {
        script_fail(r, "event: %s is no length", w->v[5]);
        return 0;
    }
    e->id = mtcp_define_event(parent, tell_filter, &arg);
    memcpy(e->name, c.name, sizeof(e->name));
    e->has_arg = true;
    if (e->id == MOS_NULL_EVENT)
        return -1;
    r->nevents++;
    return 0;
}

/* alloc NAME = PARENT */
static int line_alloc(struct run *r, struct words *w)
{
    struct script_event *e = &r->events[r->nevents];

    if (w->n < 4 || r->nevents == SCRIPT_EVENTS) {
        script_fail(r, "alloc NAME = PARENT");
        return 0;
    }
    snprintf(e->name, sizeof(e->name), "%s", w->v[1]);
    e->has_arg = false;
    e->id = mtcp_alloc_event(event_by_name(r, w->v[3]));
    if (e->id == MOS_NULL_EVENT)
        return -1;
    r->nevents++;
    return 0;
}

static int log_hooks(struct run *r, int s, event_t ev, const char *hooks, bool on, bool alt)
{
    for (const char *h = hooks; *h != '\0'; h++) {
        int hook = *h == 'S' ? MOS_HK_SND : *h == 'R' ? MOS_HK_RCV : MOS_NULL;

        if (mtcp_register_callback(r->mctx, r->socks[s].id, ev, hook,
                                   on ? tell_callback(s, hook, alt) : NULL) < 0)
            return -1;
    }
    return 0;
}

static int log_trace(struct run *r, int s)
{
    if (r->socks[s].raw)
        return log_hooks(r, s, MOS_ON_PKT_IN, "N", true, false);
    for (int i = 0; i < BUILTINS; i++)
        if (builtins[i].trace &&
            log_hooks(r, s, builtins[i].id, builtins[i].hooks, true, false) < 0)
            return -1;
    return 0;
}

static int log_one(struct run *r, int s, const char *word)
{
    bool on = word[0] != '-', alt;
    const char *hooks = NULL;
    event_t ev;
    int hook;

    if (strcmp(word, "trace") == 0)
        return log_trace(r, s);
    if (strcmp(word, "nothing") == 0)
        return 0;
    if (!event_at(r, on ? word : word + 1, &ev, &hook, &alt)) {
        script_fail(r, "no event %s", word);
        return 0;
    }
    if (hook != 0)
        return mtcp_register_callback(r->mctx, r->socks[s].id, ev, hook,
                                      on ? tell_callback(s, hook, alt) : NULL);
    for (int i = 0; i < BUILTINS; i++)
        if (builtins[i].id == ev)
            hooks = builtins[i].hooks;
    if (hooks == NULL) {
        script_fail(r, "%s needs a hook: NAME@SND", word);
        return 0;
    }
    return log_hooks(r, s, ev, hooks, on, alt);
}

/* log [SOCKET] [-]EVENT[@HOOK]... */
static int line_log(struct run *r, struct words *w)
{
    int s = w->n > 1 ? socket_by_name(r, w->v[1]) : -1, i = s >= 0 ? 2 : 1;

    if (s < 0 && r->nsocks == 0 && open_socket(r, "l", AF_UNSPEC, false) < 0)
        return -1;
    if (s < 0)
        s = r->nsocks - 1;
    r->socks[s].logged = true;
    for (; i < w->n; i++)
        if (log_one(r, s, w->v[i]) < 0)
            return -1;
    return 0;
}

/* close NAME */
static int line_close(struct run *r, struct words *w)
{
    int s = w->n > 1 ? socket_by_name(r, w->v[1]) : -1;

    return mtcp_close(r->mctx, s >= 0 ? r->socks[s].id : 9999);
}

/* timer ID MS */
static int line_timer(struct run *r, struct words *w)
{
    int ms = w->n > 2 ? atoi(w->v[2]) : 0;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    return mtcp_settimer(r->mctx, w->n > 1 ? atoi(w->v[1]) : 0, &tv, tell_timer);
}

static const struct {
    const char *word;
    int (*run)(struct run *r, struct words *w);
} refusable[] = {
    {"listen", line_listen}, {"raw", line_raw}, {"set", line_set},     {"event", line_event},
    {"alloc", line_alloc},   {"log", line_log}, {"close", line_close}, {"timer", line_timer},
};

static int run_refusable(struct run *r, struct words *w, bool *mine)
{
    for (size_t i = 0; i < sizeof(refusable) / sizeof(refusable[0]); i++) {
        if (strcmp(refusable[i].word, w->v[0]) != 0)
            continue;
        *mine = true;
        if (!setup_context(r))
            return 0;
        if (refusable[i].run == line_set && r->nsocks == 0 &&
            open_socket(r, "l", AF_UNSPEC, false) < 0)
            return -1;
        return refusable[i].run(r, w);
    }
    return 0;
}

/* ---- the other lines ---- */

static bool line_conf(struct run *r, struct words *w)
{
    char *old = r->conf, *now = NULL;
    size_t size = 0;
    FILE *f;

    if (r->inited)
        return script_fail(r, "conf after the library has started");
    f = open_memstream(&now, &size);
    fputs(old != NULL ? old : "", f);
    for (int i = 1; i < w->n; i++)
        fprintf(f, "%s ", w->v[i]);
    fputc('\n', f);
    fclose(f);
    free(old);
    r->conf = now;
    return true;
}

static bool rule_where(struct run *r, struct rule *u, const char *where)
{
    char buf[64];
    char *p = buf, *dot, *slash;

    snprintf(buf, sizeof(buf), "%s", where);
    dot = strchr(p, '.');
    if (dot != NULL) {
        *dot = '\0';
        snprintf(u->socket, sizeof(u->socket), "%.15s", p);
        p = dot + 1;
    }
    slash = strchr(p, '/');
    u->side = -1;
    if (slash != NULL) {
        *slash = '\0';
        u->side = side_by_name(slash + 1);
    }
    u->hook = hook_by_name(p);
    return true;
}

/* on [SOCKET.]HOOK[/SIDE] EVENT [N|N+] : ACTIONS; on ?FILTER : ACTIONS; on timer ID : ... */
static bool line_on(struct run *r, struct words *w, const char *text)
{
    struct rule *u = &r->rules[r->nrules];
    int i = 1;
    char *end;

    if (w->n < 4 || r->nrules == SCRIPT_RULES || strstr(text, ": ") == NULL)
        return script_fail(r, "on WHERE EVENT [N]: ACTIONS");
    *u = (struct rule){.side = -1};
    if (w->v[1][0] != '?' && strcmp(w->v[1], "TIMER") != 0)
        rule_where(r, u, w->v[i++]);
    snprintf(u->event, sizeof(u->event), "%s", w->v[i++]);
    if (w->v[i][0] >= '1' && w->v[i][0] <= '9') {
        u->nth = (int)strtol(w->v[i], &end, 10);
        if (*end == '+')
            u->nth = -u->nth;
    }
    words_cut(&u->act, strstr(text, ": ") + 2);
    r->nrules++;
    return true;
}

static bool line_show(struct run *r, struct words *w)
{
    for (int i = 1; i < w->n; i++) {
        r->show_wire |= strcmp(w->v[i], "wire") == 0;
        r->show_filters |= strcmp(w->v[i], "filters") == 0;
    }
    return true;
}

static void shift_words(struct words *w, int by)
{
    memmove(w->v, w->v + by, sizeof(w->v[0]) * (size_t)(w->n - by));
    w->n -= by;
}

/* refused ERRNO LINE: the library must say no, and why. */
static bool line_refused(struct run *r, struct words *w, bool *mine)
{
    char name[32];
    int rc;

    snprintf(name, sizeof(name), "%s", w->n > 2 ? w->v[1] : "");
    shift_words(w, w->n > 2 ? 2 : 0);
    errno = 0;
    rc = run_refusable(r, w, mine);
    if (rc == 0)
        return script_fail(r, "was to be refused with %s, but was taken", name);
    if (strcmp(strerrorname_np(errno), name) != 0)
        return script_fail(r, "refused with %s, expected %s", strerrorname_np(errno), name);
    return true;
}

bool setup_line(struct run *r, struct words *w, bool *mine)
{
    *mine = true;
    if (strcmp(w->v[0], "conf") == 0)
        return line_conf(r, w);
    if (strcmp(w->v[0], "show") == 0)
        return line_show(r, w);
    if (strcmp(w->v[0], "output") == 0)
        return r->with_output = true;
    if (strcmp(w->v[0], "refused") == 0)
        return line_refused(r, w, mine);
    *mine = false;
    errno = 0;
    if (run_refusable(r, w, mine) < 0)
        return script_fail(r, "%s: %s: %s", w->v[0], strerrorname_np(errno), mtcp_errstr());
    return r->why[0] == '\0';
}

bool setup_rule(struct run *r, struct words *w, const char *text)
{
    return line_on(r, w, text);
}

bool setup_finish(struct run *r)
{
    if (r->started)
        return r->mctx != NULL || script_fail(r, "the context has ended");
    if (!setup_context(r))
        return false;
    if (r->nsocks == 0 && open_socket(r, "l", AF_UNSPEC, false) < 0)
        return script_fail(r, "mtcp_socket: %s", mtcp_errstr());
    for (int s = 0; s < r->nsocks; s++)
        if (!r->socks[s].logged && log_trace(r, s) < 0)
            return script_fail(r, "mtcp_register_callback: %s", mtcp_errstr());
    r->started = true;
    return true;
}
