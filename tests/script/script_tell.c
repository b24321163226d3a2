// SPDX-License-Identifier: BSD-2-Clause
/*
 * script_tell.c: the callbacks. A callback is not told its hook nor its listener, so there is a
 * function of its own for each listener, hook and variant (the second one, written EVENT', is for
 * replacing the first). All write down what they were told, with the details that belong to the
 * event, and then run the rules for this place.
 */
#include "script.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/overlap.h"

struct run *script_run;

static const char *const state_names[] = {
    "CLOSED",     "LISTEN",     "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1",
    "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING",  "LAST_ACK", "TIME_WAIT",
};
static const char *const side_names[] = {"CLI", "SVR", "BOTH"};
static const char *const end_names[] = {"live", "fin",   "rst",     "timeout",  "evicted",
                                        "eof",  "reuse", "stopped", "collision"};
static const char *const kind_names[] = {"?",     "LOST",    "SPURIOUS", "KEEPALIVE",
                                         "PROBE", "PARTIAL", "SYN",      "FIN"};
static const char *const content_names[] = {"same", "changed", "unknown"};
static const char *const cause_names[] = {"?", "acked", "limit", "timeout", "end", "snaplen"};

#define NAME_OF(names, i) ((size_t)(i) < sizeof(names) / sizeof((names)[0]) ? (names)[i] : "?")

int side_by_name(const char *name)
{
    return strcasecmp(name, "cli") == 0    ? MOS_SIDE_CLI
           : strcasecmp(name, "svr") == 0  ? MOS_SIDE_SVR
           : strcasecmp(name, "both") == 0 ? MOS_SIDE_BOTH
                                           : -1;
}

const char *tell_state(mctx_t m, int sock, int side)
{
    int state = -1;
    socklen_t len = sizeof(state);

    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET,
                        side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR, &state,
                        &len) < 0)
        return errno == ENODATA ? "-" : strerrorname_np(errno);
    return NAME_OF(state_names, state);
}

/* ---- details of an event ---- */

static void put_states(FILE *f, const struct here *h)
{
    fprintf(f, "%s|", tell_state(h->mctx, h->sock, h->side));
    fprintf(f, "%s", tell_state(h->mctx, h->sock, !h->side));
}

static void put_gap(FILE *f, const struct here *h)
{
    struct mos_gap_info g;
    socklen_t len = sizeof(g);

    if (mtcp_getsockopt(h->mctx, h->sock, SOL_MONSOCKET, MOS_GAP_INFO, &g, &len) < 0)
        fprintf(f, "(!%s)", strerrorname_np(errno));
    else
        fprintf(f, "(%llu+%llu %s%s)", (unsigned long long)g.off, (unsigned long long)g.len,
                NAME_OF(cause_names, g.cause), g.side == h->side ? "" : " wrong-side");
}

static void put_rexmit(FILE *f, const struct here *h)
{
    struct mos_rexmit_info x;
    socklen_t len = sizeof(x);

    if (mtcp_getsockopt(h->mctx, h->sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &x, &len) < 0) {
        fprintf(f, "(!%s)", strerrorname_np(errno));
        return;
    }
    fprintf(f, "(%s", NAME_OF(kind_names, x.kind));
    if (x.kind != MOS_REXMIT_SYN && x.kind != MOS_REXMIT_FIN)
        fprintf(f, " %s %llu+%u", NAME_OF(content_names, x.content), (unsigned long long)x.off,
                x.len);
    if (x.new_len > 0)
        fprintf(f, " new %u", x.new_len);
    fputc(')', f);
}

static const char *const policies[] = OVERLAP_NAMES;

int policy_by_name(const char *name)
{
    for (int i = 0; policies[i]; i++)
        if (strcmp(policies[i], name) == 0)
            return i;
    return -1;
}

static void put_overlap_info(FILE *f, const struct mos_overlap_info *o, bool right_side)
{
    fprintf(f, "(%llu+%u %s %s", (unsigned long long)o->off, o->len, policies[o->policy],
            NAME_OF(content_names, o->content));
    if (o->differ)
        fprintf(f, " differ %u in %llu+%u", o->differ, (unsigned long long)o->changed_off,
                o->changed_len);
    if (o->taken)
        fprintf(f, " taken %u", o->taken);
    fprintf(f, "%s)", right_side ? "" : " wrong-side");
}

static void put_overlap(FILE *f, const struct here *h)
{
    struct mos_overlap_info o;
    socklen_t len = sizeof(o);

    if (mtcp_getsockopt(h->mctx, h->sock, SOL_MONSOCKET, MOS_OVERLAP_INFO, &o, &len) < 0)
        fprintf(f, "(!%s)", strerrorname_np(errno));
    else
        put_overlap_info(f, &o, o.side == h->side);
}

static void put_readable(FILE *f, const struct here *h)
{
    uint64_t off = 0, end = 0;
    socklen_t len = sizeof(off);
    bool cli = h->side == MOS_SIDE_CLI;

    if (mtcp_getsockopt(h->mctx, h->sock, SOL_MONSOCKET, cli ? MOS_READ_OFF_CLI : MOS_READ_OFF_SVR,
                        &off, &len) < 0 ||
        mtcp_getsockopt(h->mctx, h->sock, SOL_MONSOCKET, cli ? MOS_PEEK_END_CLI : MOS_PEEK_END_SVR,
                        &end, &len) < 0)
        fprintf(f, "(!%s)", strerrorname_np(errno));
    else
        fprintf(f, "(%llu-%llu)", (unsigned long long)off, (unsigned long long)end);
}

static void put_end(FILE *f, const struct here *h)
{
    struct mos_flow_info x;
    socklen_t len = sizeof(x);

    if (mtcp_getsockopt(h->mctx, h->sock, SOL_MONSOCKET, MOS_FLOW_INFO, &x, &len) < 0) {
        fprintf(f, "(!%s)", strerrorname_np(errno));
        return;
    }
    fprintf(f, "(%s ", NAME_OF(end_names, x.reason));
    put_states(f, h);
    fputc(')', f);
}

static const struct {
    event_t event;
    void (*put)(FILE *f, const struct here *h);
} details[] = {
    {MOS_ON_GAP, put_gap},         {MOS_ON_REXMIT, put_rexmit},
    {MOS_ON_OVERLAP, put_overlap}, {MOS_ON_CONN_NEW_DATA, put_readable},
    {MOS_ON_CONN_END, put_end},
};

static void put_details(FILE *f, const struct here *h)
{
    if (h->event == MOS_ON_TCP_STATE_CHANGE) {
        fputc('(', f);
        put_states(f, h);
        fputc(')', f);
    }
    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++)
        if (details[i].event == h->event)
            details[i].put(f, h);
}

/* ---- writing down ---- */

void tell_result(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        abort();
    va_end(ap);
    tokens_add(&script_run->got, script_run->line, "", s);
    free(s);
}

void tell_error(const char *action)
{
    tell_result("%s!%s", action, strerrorname_np(errno));
}

/* Which connection, by the client's port: 0 for "c" (1234), else k of "ck". */
static int flow_number(const struct here *h)
{
    struct sockaddr_storage a[2];
    socklen_t len = sizeof(a);

    if (mtcp_getpeername(h->mctx, h->sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH) < 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        int port = a[i].ss_family == AF_INET6
                       ? ntohs(((struct sockaddr_in6 *)(void *)&a[i])->sin6_port)
                       : ntohs(((struct sockaddr_in *)(void *)&a[i])->sin_port);

        if (port >= 1234 && port < 1334)
            return port - 1234;
    }
    return 0;
}

static const char *hook_name(int hook)
{
    return hook == MOS_HK_SND ? "SND" : hook == MOS_HK_RCV ? "RCV" : "NULL";
}

static void where_text(const struct here *h, int hook, char *buf, size_t size)
{
    const struct run *r = script_run;
    int k = h->side != MOS_SIDE_BOTH || h->sock != r->socks[h->listener].id ? flow_number(h) : 0;
    char num[12] = "";

    if (k > 0)
        snprintf(num, sizeof(num), "%d", k);
    snprintf(buf, size, "%s%s%s/%s%s", r->nsocks > 1 ? r->socks[h->listener].name : "",
             r->nsocks > 1 ? "." : "", hook_name(hook), NAME_OF(side_names, h->side), num);
}

static bool rule_fits(struct rule *u, const struct here *h, int hook, const char *event)
{
    if (strcmp(u->event, event) != 0 || (u->hook != 0 && u->hook != hook) ||
        (u->side >= 0 && u->side != h->side) ||
        (u->socket[0] != '\0' && strcmp(u->socket, script_run->socks[h->listener].name) != 0))
        return false;
    u->seen++;
    return u->nth == 0 || u->seen == u->nth || (u->nth < 0 && u->seen >= -u->nth);
}

static void run_rules(struct here *h, int hook, const char *event)
{
    for (int i = 0; i < script_run->nrules; i++)
        if (rule_fits(&script_run->rules[i], h, hook, event))
            act_run(h, &script_run->rules[i].act);
}

static bool arg_right(const filter_arg_t *arg, const char *name)
{
    for (int i = 0; i < script_run->nevents; i++)
        if (strcmp(script_run->events[i].name, name) == 0 && script_run->events[i].has_arg)
            return arg != NULL && arg->len == sizeof(struct condition) &&
                   strcmp(((struct condition *)arg->arg)->name, name) == 0;
    return arg != NULL && arg->arg == NULL && arg->len == 0;
}

static void told(struct here h, int hook, bool alt, const filter_arg_t *arg)
{
    struct run *r = script_run;
    char where[40], *what = NULL;
    size_t size = 0;
    bool ude;
    const char *name = event_name(r, h.event, &ude);
    FILE *f = open_memstream(&what, &size);

    where_text(&h, hook, where, sizeof(where));
    fprintf(f, "%s%s%s", name, alt ? "'" : "", arg_right(arg, name) ? "" : "!arg");
    put_details(f, &h);
    fclose(f);
    tokens_add(&r->got, r->line, where, what);
    free(what);
    run_rules(&h, hook, name);
}

#define TELL(l, hk, hook, alt)                                                                     \
    static void tell_##l##hk##alt(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)     \
    {                                                                                              \
        told((struct here){.mctx = m, .sock = sock, .side = side, .event = ev, .listener = l},     \
             hook, alt, arg);                                                                      \
    }
#define TELL_HOOKS(l, alt)                                                                         \
    TELL(l, s, MOS_HK_SND, alt) TELL(l, r, MOS_HK_RCV, alt) TELL(l, n, MOS_NULL, alt)
#define TELL_LISTENER(l) TELL_HOOKS(l, 0) TELL_HOOKS(l, 1)
TELL_LISTENER(0)
TELL_LISTENER(1)
TELL_LISTENER(2)
TELL_LISTENER(3)

#define ROW(l, alt)                                                                                \
    {                                                                                              \
        tell_##l##s##alt, tell_##l##r##alt, tell_##l##n##alt                                       \
    }
static const callback_t callbacks[SCRIPT_SOCKETS][2][3] = {
    {ROW(0, 0), ROW(0, 1)},
    {ROW(1, 0), ROW(1, 1)},
    {ROW(2, 0), ROW(2, 1)},
    {ROW(3, 0), ROW(3, 1)},
};

callback_t tell_callback(int listener, int hook, bool alt)
{
    return callbacks[listener][alt][hook == MOS_HK_SND ? 0 : hook == MOS_HK_RCV ? 1 : 2];
}

void tell_timer(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    struct here h = {.mctx = m, .sock = id, .side = side, .event = ev};
    char name[32];

    snprintf(name, sizeof(name), "TIMER(%d%s)", id,
             side == 0 && ev == 0 && arg == NULL ? "" : " wrong-args");
    tokens_add(&script_run->got, script_run->line, "", name);
    run_rules(&h, MOS_NULL, "TIMER");
}

/* ---- filters of user-defined events ---- */

static bool packet_has(mctx_t m, int sock, const struct condition *c)
{
    struct pkt_info p;

    if (mtcp_getlastpkt(m, sock, 0, &p) < 0) {
        tell_error("getlastpkt");
        return false;
    }
    if (strcmp(c->kind, "payload") == 0)
        return p.payloadlen > 0;
    if (strcmp(c->kind, "syn") == 0)
        return p.tcph && p.tcph->syn;
    if (strcmp(c->kind, "fin") == 0)
        return p.tcph && p.tcph->fin;
    return p.payload && memmem(p.payload, p.payloadlen, c->text, (size_t)c->len) != NULL;
}

static bool unread_begins(mctx_t m, int sock, int side, const struct condition *c)
{
    char buf[sizeof(c->text)];
    uint64_t off = 0;
    socklen_t len = sizeof(off);
    ssize_t n;

    if (strcmp(c->kind, "peek") == 0) {
        n = mtcp_peek(m, sock, side, buf, (size_t)c->len);
    } else {
        mtcp_getsockopt(m, sock, SOL_MONSOCKET,
                        side == MOS_SIDE_CLI ? MOS_READ_OFF_CLI : MOS_READ_OFF_SVR, &off, &len);
        n = mtcp_ppeek(m, sock, side, buf, (size_t)c->len, off);
    }
    return n == c->len && memcmp(buf, c->text, (size_t)n) == 0;
}

bool tell_filter(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct run *r = script_run;
    struct here h = {.mctx = m, .sock = sock, .side = side, .event = ev};
    const struct condition *c = arg->arg;
    char name[24];
    bool yes, ude;

    if (strcmp(event_name(r, ev, &ude), c->name) != 0)
        tell_result("filter of %s told another event", c->name);
    if (strcmp(c->kind, "true") == 0 || strcmp(c->kind, "false") == 0)
        yes = c->kind[0] == 't';
    else if (strcmp(c->kind, "peek") == 0 || strcmp(c->kind, "ppeek") == 0)
        yes = unread_begins(m, sock, side, c);
    else
        yes = packet_has(m, sock, c);
    snprintf(name, sizeof(name), "?%s", c->name);
    if (r->show_filters)
        tell_result("%s=%d", name, yes);
    run_rules(&h, 0, name);
    return yes;
}
