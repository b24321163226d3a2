// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_events.c: what the stack saw, event by event. Every built-in event is registered at every
 * hook where it can be raised; three callbacks, one for each hook, since an event does not say at
 * which hook it came. Bytes are read as soon as they are there, so that watching changes nothing:
 * no buffer ever runs full.
 */
#include "commands.h"
#include "apprun.h"
#include "eventline.h"

#include <errno.h>
#include <string.h>

struct events {
    struct json line[APP_MAX_CORES];
};

/* A registration. PKT_OUT, CONN_SETUP and DEBUG_MESSAGE are missing: they are never raised. */
struct told {
    event_t event;
    int hook;
};

static const struct told told[] = {
    {MOS_ON_PKT_IN, MOS_HK_SND},
    {MOS_ON_PKT_IN, MOS_HK_RCV},
    {MOS_ON_CONN_START, MOS_HK_SND},
    {MOS_ON_CONN_START, MOS_HK_RCV},
    {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND},
    {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV},
    {MOS_ON_REXMIT, MOS_HK_SND},
    {MOS_ON_REXMIT, MOS_HK_RCV},
    {MOS_ON_OVERLAP, MOS_HK_RCV},
    {MOS_ON_ERROR, MOS_NULL},
    {MOS_ON_GAP, MOS_HK_RCV},
    {MOS_ON_GAP, MOS_NULL},
    {MOS_ON_CONN_NEW_DATA, MOS_HK_RCV},
    {MOS_ON_CONN_NEW_DATA, MOS_NULL},
    {MOS_ON_TIMEOUT, MOS_NULL},
    {MOS_ON_EVICT, MOS_NULL},
    {MOS_ON_CONN_END, MOS_HK_SND},
    {MOS_ON_CONN_END, MOS_HK_RCV},
    {MOS_ON_ORPHAN, MOS_NULL},
};

static const char *event_name(event_t event)
{
    switch (event) {
    case MOS_ON_PKT_IN:
        return "PKT_IN";
    case MOS_ON_CONN_START:
        return "CONN_START";
    case MOS_ON_TCP_STATE_CHANGE:
        return "TCP_STATE_CHANGE";
    case MOS_ON_REXMIT:
        return "REXMIT";
    case MOS_ON_OVERLAP:
        return "OVERLAP";
    case MOS_ON_ERROR:
        return "ERROR";
    case MOS_ON_GAP:
        return "GAP";
    case MOS_ON_CONN_NEW_DATA:
        return "NEW_DATA";
    case MOS_ON_TIMEOUT:
        return "TIMEOUT";
    case MOS_ON_EVICT:
        return "EVICT";
    case MOS_ON_CONN_END:
        return "CONN_END";
    case MOS_ON_ORPHAN:
        return "ORPHAN";
    default:
        return "?";
    }
}

static const char *side_name(int side)
{
    return side == MOS_SIDE_CLI ? "CLI" : side == MOS_SIDE_SVR ? "SVR" : "BOTH";
}

static const char *content_name(int content)
{
    return content == MOS_REXMIT_SAME      ? "same"
           : content == MOS_REXMIT_CHANGED ? "changed"
                                           : "unknown";
}

static const char *kind_name(int kind)
{
    static const char *const names[] = {"?",     "lost",    "spurious", "keepalive",
                                        "probe", "partial", "syn",      "fin"};

    return kind >= MOS_REXMIT_LOST && kind <= MOS_REXMIT_FIN ? names[kind] : names[0];
}

static const char *cause_name(int cause)
{
    static const char *const names[] = {"?", "acked", "limit", "timeout", "end", "snaplen"};

    return cause >= MOS_GAP_ACKED && cause <= MOS_GAP_SNAPLEN ? names[cause] : names[0];
}

/* ---- what single events have to tell ---- */

static void tell_rexmit(struct event_line *e, mctx_t mctx, int sock)
{
    struct mos_rexmit_info info;
    socklen_t len = sizeof(info);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &info, &len) < 0)
        return;
    event_line_number(e, "off", info.off);
    event_line_number(e, "again", info.len);
    event_line_number(e, "new", info.new_len);
    event_line_word(e, "kind", kind_name(info.kind));
    event_line_word(e, "content", content_name(info.content));
}

static void tell_overlap(struct event_line *e, mctx_t mctx, int sock)
{
    struct mos_overlap_info info;
    socklen_t len = sizeof(info);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_OVERLAP_INFO, &info, &len) < 0)
        return;
    event_line_number(e, "off", info.off);
    event_line_number(e, "overlap", info.len);
    event_line_word(e, "policy", app_overlap_names[info.policy]);
    event_line_word(e, "content", content_name(info.content));
    if (info.differ) {
        event_line_number(e, "changed", info.changed_off);
        event_line_number(e, "differ", info.differ);
        event_line_number(e, "taken", info.taken);
    }
}

static void tell_gap(struct event_line *e, mctx_t mctx, int sock)
{
    struct mos_gap_info info;
    socklen_t len = sizeof(info);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_GAP_INFO, &info, &len) < 0)
        return;
    event_line_number(e, "off", info.off);
    event_line_number(e, "gap", info.len);
    event_line_word(e, "cause", cause_name(info.cause));
}

/* Where the stream stands; reads what is there. At MOS_NULL the other hook has read it already. */
static void tell_data(struct event_line *e, mctx_t mctx, int sock, int side)
{
    int name = side == MOS_SIDE_CLI ? MOS_READ_OFF_CLI : MOS_READ_OFF_SVR;
    struct iovec iov[16];
    int cnt = 16;
    uint64_t off = 0, bytes = 0;
    socklen_t len = sizeof(off);
    ssize_t n;

    mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, name, &off, &len);
    for (; (n = mtcp_peekv(mctx, sock, side, iov, &cnt)) != 0; cnt = 16) {
        if (n < 0 && errno != ENODATA)
            break;
        bytes += n > 0 ? (uint64_t)n : 0;
    }
    event_line_number(e, "off", off);
    event_line_number(e, "bytes", bytes);
}

static void tell_end(struct event_line *e, mctx_t mctx, int sock)
{
    struct mos_flow_info info;

    if (flow_info(mctx, sock, &info) == 0)
        event_line_word(e, "reason", end_name(info.reason));
}

static void tell_more(struct event_line *e, mctx_t mctx, int sock, int side, event_t event)
{
    switch (event) {
    case MOS_ON_REXMIT:
        tell_rexmit(e, mctx, sock);
        return;
    case MOS_ON_OVERLAP:
        tell_overlap(e, mctx, sock);
        return;
    case MOS_ON_GAP:
        tell_gap(e, mctx, sock);
        return;
    case MOS_ON_CONN_NEW_DATA:
        tell_data(e, mctx, sock, side);
        return;
    case MOS_ON_CONN_END:
        tell_end(e, mctx, sock);
        return;
    default:
        return;
    }
}

/* ---- what all events have ---- */

static int state_of(mctx_t mctx, int sock, int name)
{
    int state;
    socklen_t len = sizeof(state);

    return mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, name, &state, &len) < 0 ? -1 : state;
}

/*
 * An orphan has no connection: sender and receiver stand for client and server. Behind some link
 * headers (PPP's may be odd) an IP header is not aligned, so the addresses are taken as bytes.
 */
static bool orphan_ends(struct event_line *e)
{
    const struct pkt_info *p = &e->packet;
    uint16_t port[2] = {0, 0};

    if (!e->has_packet || (!p->iph && !p->ip6h))
        return false;
    if (p->tcph)
        memcpy(port, p->tcph, sizeof(port)); /* RFC 9293 3.1: source, destination */
    if (p->iph) {
        const uint8_t *ip = (const void *)p->iph;

        endpoint_set(&e->ends.side[0], AF_INET, ip + offsetof(struct iphdr, saddr), port[0]);
        endpoint_set(&e->ends.side[1], AF_INET, ip + offsetof(struct iphdr, daddr), port[1]);
    } else {
        const uint8_t *ip = (const void *)p->ip6h;

        endpoint_set(&e->ends.side[0], AF_INET6, ip + offsetof(struct ip6_hdr, ip6_src), port[0]);
        endpoint_set(&e->ends.side[1], AF_INET6, ip + offsetof(struct ip6_hdr, ip6_dst), port[1]);
    }
    return true;
}

/* => false: nothing to show. */
static bool describe(struct event_line *e, mctx_t mctx, int sock, int side, event_t event)
{
    struct mos_flow_info info;

    e->side = side_name(side);
    e->event = event_name(event);
    e->state[0] = e->state[1] = -1;
    e->has_packet = mtcp_getlastpkt(mctx, sock, side, &e->packet) == 0;
    e->ts_ns = e->packet.ts_ns;
    if (event == MOS_ON_ORPHAN)
        return orphan_ends(e);
    if (flow_ends(mctx, sock, &e->ends) < 0)
        return false;
    e->state[MOS_SIDE_CLI] = state_of(mctx, sock, MOS_TCP_STATE_CLI);
    e->state[MOS_SIDE_SVR] = state_of(mctx, sock, MOS_TCP_STATE_SVR);
    if (!e->has_packet && flow_info(mctx, sock, &info) == 0)
        e->ts_ns = flow_clock(mctx, sock, info.last_ns);
    return true;
}

static void show(mctx_t mctx, int sock, int side, event_t event, const char *hook)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct json *line = &((struct events *)app->data)->line[mctx->cpu];
    struct event_line e = {.hook = hook};

    if (!describe(&e, mctx, sock, side, event))
        return;
    tell_more(&e, mctx, sock, side, event);
    json_reset(line);
    if (app->opt->json)
        event_line_json(&e, line);
    else
        event_line_text(&e, line);
    if (line->failed)
        app_failed(app, "out of memory");
    else
        out_write(&app->out, line->text, line->len);
}

static void at_snd(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    show(mctx, sock, side, event, "SND");
}

static void at_rcv(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    show(mctx, sock, side, event, "RCV");
}

static void at_null(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    show(mctx, sock, side, event, "NULL");
}

static int setup(struct app_ctx *c)
{
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        int hook = told[i].hook;
        callback_t cb = hook == MOS_HK_SND ? at_snd : hook == MOS_HK_RCV ? at_rcv : at_null;

        if (mtcp_register_callback(c->mctx, c->listener, told[i].event, hook, cb) < 0)
            return -1;
    }
    return 0;
}

static int end(struct app *app)
{
    struct events *all = app->data;

    for (int i = 0; i < APP_MAX_CORES; i++)
        json_free(&all->line[i]);
    return APP_OK;
}

static int run(const struct appopt *opt)
{
    /* REXMIT and OVERLAP make the library keep that much of every stream, to compare. */
    static const struct app_hooks hooks = {.rmem = 262144, .setup = setup, .end = end};
    struct events all = {0};

    return app_run(opt, &hooks, &all);
}

const struct command cmd_events = {
    .name = "events",
    .does = "what the stack saw, line by line: for writers of applications",
    .about = "Show every built-in event at every hook: time, connection, hook, side, event, the\n"
             "states of client and server, and the packet if there is one. In an ORPHAN line\n"
             "sender and receiver stand in the places of client and server.\n"
             "\n"
             "With several --cores the lines of different connections mix; sorted, the log of a\n"
             "capture is always the same.",
    .examples = "  weir events -r trace.pcap | less -S\n"
                "  weir events -r trace.pcap host 10.0.0.1 and port 80\n"
                "  weir events --json -r trace.pcap | jq -c 'select(.event == \"GAP\")'\n"
                "  weir events --json -r trace.pcap | sort > before.log\n",
    .takes = TAKES_OVERLAP,
    .run = run,
};
