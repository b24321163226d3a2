// SPDX-License-Identifier: BSD-2-Clause
#include "evapp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mos_api.h>

#include "engine/engine.h"
#include "evnaive.h"
#include "memdev.h"

enum { GROUPS = 8, YES = 64, LEAF_YES = 4, IOVS = 16 };

enum place { SND_PACKET, RCV_PACKET, DATA, STATE, REXMIT, GAP, START, END };

/* What a program keeps for each connection: a line of its own. */
struct cell {
    uint32_t number, packets;
    uint32_t first; /* of its events, in the ring */
    bool half_over; /* CONN_END was told for one side */
    struct evnaive *list;
} __cacheline;

static struct {
    const struct evapp_plan *plan;
    uint32_t groups; /* how many there are */
    event_t group[GROUPS], ring[EVAPP_RING];
    uint64_t group_calls[GROUPS];
    uint64_t ring_calls[EVAPP_RING];
    uint64_t told[GROUPS];       /* as the program itself is told */
    uint64_t unheard, shortened; /* changes at PKT_IN: see change() */
    uint64_t callbacks, changes, bytes, found;
    struct cell *cells;
    uint32_t flows;
} app;

/*
 * Where the groups hang. Without reading there is no NEW_DATA, and with reading an event below REXMIT has
 * the library keep bytes that were read (contract 1), which costs by itself: that group hangs at
 * STATE_CHANGE at RCV instead.
 */
static struct {
    event_t event;
    int hook;
} places[GROUPS] = {
    [SND_PACKET] = {MOS_ON_PKT_IN, MOS_HK_SND}, [RCV_PACKET] = {MOS_ON_PKT_IN, MOS_HK_RCV},
    [DATA] = {MOS_ON_CONN_NEW_DATA, MOS_NULL},  [STATE] = {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND},
    [REXMIT] = {MOS_ON_REXMIT, MOS_HK_RCV},     [GAP] = {MOS_ON_GAP, MOS_NULL},
    [START] = {MOS_ON_CONN_START, MOS_HK_RCV},  [END] = {MOS_ON_CONN_END, MOS_HK_SND},
};

/* missing: the place that this program does without; STATE_CHANGE at RCV stands in for it. */
static enum place missing(const struct evapp_plan *plan)
{
    return plan->reading ? REXMIT : DATA;
}

static void must(int result)
{
    if (result < 0) {
        fprintf(stderr, "evsets: %s\n", mtcp_errstr());
        abort();
    }
}

/* ---- the events' own functions ---- */

static bool group_says(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    return ++app.group_calls[event - app.group[0]] % YES == 0;
}

static bool member_says(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    return ++app.ring_calls[event - app.ring[0]] % LEAF_YES == 0;
}

static bool says_no(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    app.ring_calls[event - app.ring[0]]++;
    return false;
}

static void on_member(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    app.callbacks++;
}

/* ---- a connection's events ---- */

static uint32_t place_of(uint32_t i)
{
    return app.plan->running ? SND_PACKET : i % app.groups;
}

static filter_t member_filter(void)
{
    return app.plan->running ? says_no : member_says;
}

static void add_member(mctx_t mctx, int sock, struct cell *c, uint32_t i)
{
    uint32_t place = place_of(i % EVAPP_RING);
    event_t ev = app.ring[i % EVAPP_RING];
    struct evnaive **list = &c->list;

    if (app.plan->scheme == EVAPP_SETS) {
        must(mtcp_register_callback(mctx, sock, ev, places[place].hook, on_member));
        return;
    }
    for (struct evnaive *g = c->list; g && !app.plan->running; g = g->next)
        if (g->place == (int)place)
            list = &g->below;
    if (evnaive_add(list, (int)place, ev, member_filter(), on_member) == NULL)
        abort();
}

static void del_member(mctx_t mctx, int sock, struct cell *c, uint32_t i)
{
    event_t ev = app.ring[i % EVAPP_RING];

    if (app.plan->scheme == EVAPP_SETS)
        must(mtcp_register_callback(mctx, sock, ev, places[place_of(i)].hook, NULL));
    else
        evnaive_del(&c->list, ev);
}

static struct cell *begin(mctx_t mctx, int sock)
{
    struct cell *c = &app.cells[app.flows];

    *c = (struct cell){.number = app.flows++};
    c->first = app.plan->one_set ? 0 : c->number % EVAPP_RING;
    mtcp_set_uctx(mctx, sock, c);
    for (uint32_t g = 0; app.plan->scheme == EVAPP_LISTS && g < app.groups; g++)
        if (evnaive_add(&c->list, (int)g, app.group[g], group_says, NULL) == NULL)
            abort();
    for (uint32_t i = 0; i < app.plan->events; i++)
        add_member(mctx, sock, c, c->first + i);
    return c;
}

/*
 * change: the oldest event goes, the next of the ring comes. At PKT_IN, which is being told, the one that
 * goes does not run any more, and the one that comes not yet: so the library's contract. A list has it
 * at once.
 */
static void change(mctx_t mctx, int sock, struct cell *c)
{
    uint32_t members = app.plan->events / app.groups;

    app.changes++;
    if (app.plan->scheme == EVAPP_SETS && place_of(c->first) == SND_PACKET) {
        if (members == 1)
            app.unheard++;
        else if ((app.group_calls[SND_PACKET] + 1) % YES == 0)
            app.shortened++;
    }
    del_member(mctx, sock, c, c->first);
    add_member(mctx, sock, c, c->first + app.plan->events);
    c->first = (c->first + 1) % EVAPP_RING;
}

/* ---- what the program is told ---- */

static void tell_list(mctx_t mctx, int sock, int side, int place, filter_arg_t *arg)
{
    struct evnaive_call call = {mctx, sock, side, arg};
    const struct cell *c = app.plan->scheme == EVAPP_LISTS ? mtcp_get_uctx(mctx, sock) : NULL;

    if (c)
        evnaive_tell(c->list, place, &call);
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct cell *c = mtcp_get_uctx(mctx, sock);

    app.told[SND_PACKET]++;
    if (c == NULL) {
        begin(mctx, sock)->packets = 1;
        return;
    }
    if (evwork_change(c->number, ++c->packets) && app.plan->events)
        change(mctx, sock, c);
    tell_list(mctx, sock, side, SND_PACKET, arg);
}

static void look(const uint8_t *p, size_t len)
{
    app.bytes += len;
    app.found += memmem(p, len, GEN_PATTERN, sizeof(GEN_PATTERN) - 1) != NULL;
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct iovec v[IOVS];
    int cnt = IOVS;
    ssize_t n;

    app.told[DATA]++;
    for (; (n = mtcp_peekv(mctx, sock, side, v, &cnt)) != 0; cnt = IOVS) {
        if (n < 0 && errno != ENODATA)
            abort();
        for (int i = 0; n > 0 && i < cnt; i++)
            look(v[i].iov_base, v[i].iov_len);
    }
    tell_list(mctx, sock, side, DATA, arg);
}

#define TOLD(name, place)                                                                          \
    static void name(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)            \
    {                                                                                              \
        app.told[place]++;                                                                         \
        tell_list(mctx, sock, side, place, arg);                                                   \
    }

TOLD(on_rcv_packet, RCV_PACKET)
TOLD(on_rcv_state, missing(app.plan))
TOLD(on_state, STATE)
TOLD(on_rexmit, REXMIT)
TOLD(on_gap, GAP)
TOLD(on_start, START)

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct cell *c = mtcp_get_uctx(mctx, sock);

    app.told[END]++;
    if (c == NULL)
        return;
    tell_list(mctx, sock, side, END, arg);
    if (c->half_over) {
        evnaive_free(c->list);
        mtcp_set_uctx(mctx, sock, NULL);
    }
    c->half_over = true;
}

/* Running: a connection gets its events at the first packet's RCV, so that no packet counts in part. */
static void on_run_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    app.told[START]++;
    begin(mctx, sock);
}

static void on_run_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    tell_list(mctx, sock, side, SND_PACKET, arg);
}

/* ---- the program ---- */

static void define_events(const struct evapp_plan *plan)
{
    filter_arg_t arg = {.len = sizeof(uint32_t)};

    for (uint32_t g = 0; g < app.groups; g++) {
        arg.arg = &g;
        app.group[g] = mtcp_define_event(places[g].event, group_says, &arg);
    }
    for (uint32_t i = 0; i < EVAPP_RING && plan->events; i++) {
        event_t base = plan->running ? MOS_ON_PKT_IN : app.group[place_of(i)];

        arg.arg = &i;
        app.ring[i] = mtcp_define_event(base, member_filter(), &arg);
        must(app.ring[i] == app.ring[0] + i ? 0 : -1);
    }
}

/* For all programs that carry; then for those that keep lists; then for those that run. */
static void listen_for(mctx_t mctx, int sock, const struct evapp_plan *plan)
{
    callback_t usual[GROUPS] = {on_packet, NULL,   on_data,  on_state,
                                on_rexmit, on_gap, on_start, on_end};

    if (plan->running) {
        must(mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_RCV, on_run_start));
        if (plan->scheme == EVAPP_LISTS)
            must(mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_run_packet));
        return;
    }
    usual[missing(plan)] = on_rcv_state;
    for (int i = 0; i < GROUPS; i++)
        if (usual[i])
            must(mtcp_register_callback(mctx, sock, places[i].event, places[i].hook, usual[i]));
    if (plan->scheme == EVAPP_LISTS && app.groups > RCV_PACKET)
        must(mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_rcv_packet));
}

static void set_up(const struct evwork *w, const struct evapp_plan *plan, mctx_t *mctx,
                   struct memdev_result *dev)
{
    int off = 0, csum = MOS_CSUM_OFF, sock;
    struct mtcp_conf c;

    must(mtcp_init(NULL));
    must(mtcp_getconf(&c));
    c.max_concurrency = (int)w->p->cfg.concurrent * 2 + 1024;
    engine.conf.mon.max_half = w->p->cfg.concurrent + 512; /* all handshakes at once, no flood */
    must(mtcp_setconf(&c));
    places[missing(plan)].event = MOS_ON_TCP_STATE_CHANGE;
    places[missing(plan)].hook = MOS_HK_RCV;
    define_events(plan);
    memdev_install(w->p, dev);
    dev->mark = w->shaken;
    must((*mctx = mtcp_create_context(0)) ? 0 : -1);
    must(sock = mtcp_socket(*mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0));
    must(mtcp_setsockopt(*mctx, sock, SOL_MONSOCKET, MOS_CSUM, &csum, sizeof(csum)));
    if (!plan->reading) {
        must(mtcp_setsockopt(*mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off)));
        must(mtcp_setsockopt(*mctx, sock, SOL_MONSOCKET, MOS_SVRBUF, &off, sizeof(off)));
    }
    listen_for(*mctx, sock, plan);
}

/* ---- what must come out ---- */

static void check(struct evapp_result *r, const char *what, uint64_t is, uint64_t expected)
{
    if (is == expected || !r->ok)
        return;
    r->ok = false;
    snprintf(r->why, sizeof(r->why), "%s: %" PRIu64 ", expected %" PRIu64, what, is, expected);
}

/*
 * Of each connection: SYN_SENT, FIN_WAIT_1, LAST_ACK at SND, and CLOSED for both. Where a gap is not given
 * up before the FIN behind it comes, both ends close at the same time.
 */
enum { STATES = 5 };

static void check_told(const struct evwork *w, struct evapp_result *r)
{
    const uint64_t flows = w->p->cfg.flows;

    check(r, "packets", app.told[SND_PACKET], w->p->n);
    if (app.told[STATE] - STATES * flows > w->gaps)
        check(r, "changes of state", app.told[STATE], STATES * flows);
    if (!app.plan->reading)
        check(r, "repetitions", app.told[REXMIT], w->doubled);
    check(r, "gaps", app.told[GAP], w->gaps);
    check(r, "beginnings", app.told[START], flows);
    check(r, "ends", app.told[END], 2 * flows);
    check(r, "changes of sets", app.changes, app.plan->events ? w->changes : 0);
    if (app.plan->reading)
        check(r, "bytes read", app.bytes, w->p->tot.stream_bytes - w->gap_bytes);
}

/* Each group's filter runs when something happens at its place, its members' when it says yes. */
static uint64_t check_groups(const struct evwork *w, struct evapp_result *r)
{
    const uint32_t members = app.groups ? app.plan->events / app.groups : 0;
    uint64_t expected = 0;

    app.told[RCV_PACKET] = w->p->n;
    for (uint32_t g = 0; g < app.groups; g++) {
        uint64_t calls = app.told[g];

        if (g == SND_PACKET) /* the first packet's callback has registered them: it is too late */
            calls -= w->p->cfg.flows + app.unheard;
        check(r, "calls of a group's filter", app.group_calls[g], calls);
        expected += calls / YES * members;
        r->groups += app.group_calls[g];
    }
    return expected - app.shortened;
}

static void check_all(const struct evwork *w, struct evapp_result *r)
{
    uint64_t expected, callbacks = 0;

    if (app.plan->running) {
        expected = (w->p->n - w->p->cfg.flows) * app.plan->events;
    } else {
        check_told(w, r);
        expected = check_groups(w, r);
    }
    for (int i = 0; i < EVAPP_RING; i++) {
        r->filters += app.ring_calls[i];
        callbacks += app.plan->running ? 0 : app.ring_calls[i] / LEAF_YES;
    }
    check(r, "filters called", r->filters, expected);
    check(r, "callbacks", app.callbacks, callbacks);
}

void evapp_run(const struct evwork *w, const struct evapp_plan *plan, struct evapp_result *r)
{
    struct memdev_result dev;
    mctx_t mctx;

    memset(&app, 0, sizeof(app));
    *r = (struct evapp_result){.ok = true};
    app.plan = plan;
    app.groups = plan->running ? 0 : plan->events < GROUPS ? plan->events : GROUPS;
    app.cells = aligned_alloc(CACHELINE, w->p->cfg.flows * sizeof(struct cell));
    if (app.cells == NULL)
        abort();
    set_up(w, plan, &mctx, &dev);
    mtcp_app_join(mctx);
    r->setup_ns = dev.mark_ns;
    r->ns = dev.ns - dev.mark_ns;
    r->setup_packets = w->shaken;
    r->packets = w->p->n - w->shaken;
    r->rss = dev.rss > dev.mark_rss ? dev.rss : dev.mark_rss;
    r->changes = app.changes;
    r->callbacks = app.callbacks;
    mtcp_destroy_context(mctx);
    memdev_remove();
    mtcp_destroy();
    free(app.cells);
    check_all(w, r);
}
