// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_flows.c: one record per connection. Everything is asked once, when a connection ends; no
 * packet costs a callback, and no byte of any stream is kept.
 *
 * With --every a connection that lives is in a list of its context from its beginning, and is shown
 * at each report if it has had packets since the last one.
 */
#include "commands.h"
#include "apprun.h"
#include "jsonout.h"
#include "records.h"
#include "tableout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TIMER_ID 2

/* A connection that lives, with --every: its user context. */
struct living {
    struct living *next, **link;
    int sock;
    uint64_t packets; /* when it was shown last */
};

struct flows {
    struct living *living[APP_MAX_CORES]; /* by context */
    struct records records;
    struct table table;
    struct json json[APP_MAX_CORES];
    uint64_t over[APP_MAX_CORES];
    /* rows of connections that have ended */ /* each context's line */
    uint64_t packets;                         /* of the records given out */
};

static const struct column columns[] = {
    {"STARTED", false}, {"SECONDS", true}, {"CLIENT", false}, {"SERVER", false},
    {"END", false},     {"PKTS>", true},   {"<PKTS", true},   {"BYTES>", true},
    {"<BYTES", true},   {"LOST", true},    {"AGAIN", true},   {"NOTE", false},
};

/* Where rows cannot wait for one another. */
static const int live_widths[] = {26, 8, 21, 21, 7, 6, 6, 6, 6, 5, 5, 0};

/* The user context of a connection that was reported: CONN_END comes for each side. */
static char reported;

static const char *const kinds[8] = {
    [MOS_REXMIT_LOST] = "lost",
    [MOS_REXMIT_SPURIOUS] = "spurious",
    [MOS_REXMIT_KEEPALIVE] = "keepalive",
    [MOS_REXMIT_PROBE] = "probe",
    [MOS_REXMIT_PARTIAL] = "partial",
    [MOS_REXMIT_SYN] = "syn",
    [MOS_REXMIT_FIN] = "fin",
};

/* Repetitions by kind, those there are. */
static void put_kinds(struct json *j, const struct mos_flow_info *info, int side)
{
    json_open(j, "rexmit_kinds", '{');
    for (int k = MOS_REXMIT_LOST; k <= MOS_REXMIT_FIN; k++)
        if (info->rexmit_kind[side][k])
            json_u64(j, kinds[k], info->rexmit_kind[side][k]);
    json_close(j, '}');
    json_u64(j, "changed_packets", info->changed_packets[side]);
    json_u64(j, "changed_bytes", info->changed_bytes[side]);
}

static void put_direction(struct json *j, const char *key, const struct mos_flow_info *info,
                          int side)
{
    const struct mos_flow_dir *d = &info->dir[side];

    json_open(j, key, '{');
    json_u64(j, "packets", d->packets);
    json_u64(j, "bytes", d->ip_bytes);
    json_u64(j, "payload_bytes", d->payload_bytes);
    json_u64(j, "stream_bytes", d->stream_bytes);
    json_u64(j, "gap_bytes", d->gap_bytes);
    json_u64(j, "rexmit_packets", d->rexmit_packets);
    json_u64(j, "rexmit_bytes", d->rexmit_bytes);
    json_u64(j, "ooo_packets", d->ooo_packets);
    put_kinds(j, info, side);
    json_close(j, '}');
}

/* How it has ended; with --every it may not have. */
static const char *how(const struct mos_flow_info *info)
{
    return info->reason ? end_name(info->reason) : "live";
}

static void put_json(struct json *j, const struct ends *ends, const struct mos_flow_info *info)
{
    char addr[ADDR_TEXT];

    json_open(j, NULL, '{');
    json_str(j, "proto", "tcp");
    json_str(j, "client", addr_text(&ends->side[MOS_SIDE_CLI], addr));
    json_u64(j, "client_port", endpoint_port(&ends->side[MOS_SIDE_CLI]));
    json_str(j, "server", addr_text(&ends->side[MOS_SIDE_SVR], addr));
    json_u64(j, "server_port", endpoint_port(&ends->side[MOS_SIDE_SVR]));
    json_open(j, "vlan", '[');
    for (int i = 0; i < info->nvlan && i < MOS_FLOW_VLANS; i++)
        json_u64(j, NULL, info->vlan[i]);
    json_close(j, ']');
    json_time(j, "start", info->start_ns);
    json_time(j, "end", info->last_ns);
    json_str(j, "reason", how(info));
    if (info->flags & MOS_FLOWF_MIDSTREAM)
        json_bool(j, "midstream", true);
    json_str(j, "state_client", state_name(info->state[MOS_SIDE_CLI]));
    json_str(j, "state_server", state_name(info->state[MOS_SIDE_SVR]));
    put_direction(j, "c2s", info, MOS_SIDE_CLI);
    put_direction(j, "s2c", info, MOS_SIDE_SVR);
    json_close(j, '}');
    json_newline(j);
}

/* What is worth a word besides the numbers. */
static void note_text(const struct mos_flow_info *info, char *out, size_t cap)
{
    size_t n = 0;

    out[0] = '\0';
    if (info->flags & MOS_FLOWF_MIDSTREAM)
        n += (size_t)snprintf(out + n, cap - n, "beginning not seen ");
    if (info->reason != MOS_END_FIN && info->reason != MOS_END_RST)
        n += (size_t)snprintf(out + n, cap - n, "%s/%s ", state_name(info->state[MOS_SIDE_CLI]),
                              state_name(info->state[MOS_SIDE_SVR]));
    if (info->changed_bytes[0] || info->changed_bytes[1])
        n += (size_t)snprintf(out + n, cap - n, "%" PRIu64 " bytes changed ",
                              info->changed_bytes[0] + info->changed_bytes[1]);
    for (int i = 0; i < info->nvlan && i < MOS_FLOW_VLANS; i++)
        n += (size_t)snprintf(out + n, cap - n, "vlan %u ", info->vlan[i]);
    if (n > 0)
        out[n - 1] = '\0';
}

static const char *reason_colour(uint32_t reason)
{
    if (reason == MOS_END_FIN)
        return TABLE_GREEN;
    return reason == MOS_END_RST ? TABLE_RED : TABLE_YELLOW;
}

/* A row of the table; row has cap bytes. => its length. */
static size_t put_row(const struct ends *ends, const struct mos_flow_info *info, char *row,
                      size_t cap)
{
    const struct mos_flow_dir *c2s = &info->dir[MOS_SIDE_CLI], *s2c = &info->dir[MOS_SIDE_SVR];
    uint64_t lost = c2s->gap_bytes + s2c->gap_bytes;
    uint64_t again = c2s->rexmit_packets + s2c->rexmit_packets;
    char start[TIME_TEXT], cli[ENDPOINT_TEXT], svr[ENDPOINT_TEXT], note[160];
    char up[SIZE_TEXT], down[SIZE_TEXT], gap[SIZE_TEXT];
    int n;

    note_text(info, note, sizeof(note));
    n = snprintf(row, cap,
                 "%s\t%.3f\t%s\t%s\t%s%s\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\t%s%s\t%s%" PRIu64
                 "\t" TABLE_DIM "%s",
                 time_text(info->start_ns, start), (double)(info->last_ns - info->start_ns) / 1e9,
                 endpoint_text(&ends->side[MOS_SIDE_CLI], cli),
                 endpoint_text(&ends->side[MOS_SIDE_SVR], svr), reason_colour(info->reason),
                 how(info), c2s->packets, s2c->packets, size_text(c2s->stream_bytes, up),
                 size_text(s2c->stream_bytes, down), lost ? TABLE_RED : TABLE_DIM,
                 size_text(lost, gap), again ? TABLE_YELLOW : TABLE_DIM, again, note);
    return (size_t)n < cap ? (size_t)n : cap - 1;
}

/* A record of a connection, over or not. */
static void show(mctx_t mctx, int sock, const struct mos_flow_info *info)
{
    struct app_ctx *c = app_ctx_of(mctx);
    struct flows *f = c->app->data;
    struct json *j = &f->json[mctx->cpu];
    struct record_key key = {0};
    char row[512];

    if (flow_ends(mctx, sock, &key.ends) < 0)
        return;
    key.first = flow_clock(mctx, sock, info->last_ns) / 1000; /* us: the clock has no more */
    key.second = info->start_ns;
    if (!c->app->opt->json) {
        size_t len = put_row(&key.ends, info, row, sizeof(row));

        f->over[mctx->cpu] += info->reason != 0;
        records_add(&f->records, mctx->cpu, &key, row, len);
        return;
    }
    json_reset(j);
    put_json(j, &key.ends, info);
    if (j->failed)
        app_failed(c->app, "out of memory");
    else
        records_add(&f->records, mctx->cpu, &key, j->text, j->len);
}

/* A connection is over. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    void *uctx = mtcp_get_uctx(mctx, sock);
    struct living *l = uctx == &reported ? NULL : uctx;
    struct mos_flow_info info;

    if (uctx == &reported)
        return;
    mtcp_set_uctx(mctx, sock, &reported);
    if (l) {
        *l->link = l->next;
        if (l->next)
            l->next->link = l->link;
        free(l);
    }
    if (flow_info(mctx, sock, &info) == 0)
        show(mctx, sock, &info);
}

/* ---- --every ---- */

/* With --every: it begins. For want of memory it is shown when it ends only. */
static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct flows *f = app_ctx_of(mctx)->app->data;
    struct living **first = &f->living[mctx->cpu], *l;

    if (mtcp_get_uctx(mctx, sock))
        return;
    l = calloc(1, sizeof(*l));
    if (!l)
        return;
    *l = (struct living){.next = *first, .link = first, .sock = sock};
    if (l->next)
        l->next->link = &l->next;
    *first = l;
    mtcp_set_uctx(mctx, sock, l);
}

static void on_report(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct flows *f = app->data;
    struct timeval tv = {app->opt->interval_ms / 1000, app->opt->interval_ms % 1000 * 1000};

    for (struct living *l = f->living[mctx->cpu]; l; l = l->next) {
        struct mos_flow_info info;
        uint64_t packets;

        if (flow_info(mctx, l->sock, &info) < 0)
            continue;
        packets = info.dir[0].packets + info.dir[1].packets;
        if (packets != l->packets && info.reason == 0)
            show(mctx, l->sock, &info);
        l->packets = packets;
    }
    mtcp_settimer(mctx, id, &tv, on_report);
}

static int setup_reports(struct app_ctx *c)
{
    int ms = c->app->opt->interval_ms;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    if (mtcp_register_callback(c->mctx, c->listener, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0)
        return -1;
    return mtcp_settimer(c->mctx, TIMER_ID, &tv, on_report);
}

/* ---- beginning and end ---- */

static void emit_json(void *arg, const char *text, size_t len)
{
    out_write(arg, text, len);
}

static void emit_row(void *arg, const char *text, size_t len)
{
    table_row(arg, text, len);
}

static int begin(struct app *app)
{
    struct flows *f = app->data;
    enum records_mode mode = app->opt->in_if ? RECORDS_LIVE : RECORDS_BY_TIME;

    table_init(&f->table, &app->out, columns, sizeof(columns) / sizeof(columns[0]));
    if (app->opt->in_if)
        table_live(&f->table, live_widths);
    if (app->opt->json)
        records_init(&f->records, mode, app->opt->cores, emit_json, &app->out);
    else
        records_init(&f->records, mode, app->opt->cores, emit_row, &f->table);
    return APP_OK;
}

/* No buffers: the counters are right without them. */
static int setup(struct app_ctx *c)
{
    int none = 0;

    if (mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) < 0 ||
        mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) < 0)
        return -1;
    if (c->app->opt->interval_ms && setup_reports(c) < 0)
        return -1;
    return mtcp_register_callback(c->mctx, c->listener, MOS_ON_CONN_END, MOS_HK_RCV, on_end);
}

static int end(struct app *app)
{
    struct flows *f = app->data;
    int status = APP_OK;
    uint64_t over = 0;
    char line[64];

    bool all = records_finish(&f->records);

    if (!table_end(&f->table) || !all)
        status = complain(APP_BROKEN, "out of memory: not all connections are shown");
    for (int i = 0; i < APP_MAX_CORES; i++)
        json_free(&f->json[i]);
    for (int i = 0; i < APP_MAX_CORES; i++)
        over += f->over[i];
    if (app->ran && !app->opt->json && (over > 0 || !app->broken)) {
        int n =
            snprintf(line, sizeof(line), "%" PRIu64 " connection%s\n", over, over == 1 ? "" : "s");

        out_write(&app->out, line, (size_t)n);
    }
    return status;
}

static int run(const struct appopt *opt)
{
    static const struct app_hooks hooks = {
        .rmem = 1048576, .begin = begin, .setup = setup, .end = end};
    struct flows flows = {0};

    return app_run(opt, &hooks, &flows);
}

const struct command cmd_flows = {
    .name = "flows",
    .does = "one record per connection: who, when, how much, how it ended",
    .about = "Show one record for every TCP connection when it ends, or the input does; with\n"
             "--every also of those that live and have had packets since the last report.\n"
             "\n"
             "In the table, > is what the client sent; BYTES are those delivered in order, LOST\n"
             "those the capture never saw, AGAIN counts packets that repeat something.",
    .examples = "  weir flows -r trace.pcap\n"
                "  weir flows -r trace.pcap tcp port 443 and not host 10.0.0.1\n"
                "  weir flows --json -r *.pcap | jq 'select(.reason == \"rst\")'\n"
                "  weir flows --json -r trace.pcap | jq -s 'map(.c2s.bytes + .s2c.bytes) | add'\n"
                "  tcpdump -w - | weir flows -r -\n"
                "  weir flows -i eth1 -o eth2 --user nobody --every 10\n",
    .takes = TAKES_EVERY,
    .run = run,
};
