// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_http.c: requests and responses - and a worked example of the API. The HTTP itself is in
 * httpparse.c and knows nothing of packets; what is here is how it is fed and asked.
 *
 * EVENTS  Three events of our own, one beneath the other:
 *
 *      MOS_ON_CONN_NEW_DATA          built in: bytes became readable, once a batch and side
 *        MESSAGE   filter has_message:   reads them, and says if a message has come to its end
 *          REQUEST   filter has_request:   is there a request among them?      -> on_request
 *          RESPONSE  filter has_response:  is there a response among them?     -> on_response
 *
 * A filter runs only beneath a filter that said yes, and only if something at or beneath it is
 * registered: nobody asks has_request before has_message has read. One batch may bring no message
 * (one byte of a header), or a hundred: the filter answers "some", and the callback takes them all.
 *
 * SIDES  A stream belongs to who receives it: requests lie in the buffer of MOS_SIDE_SVR. How a
 * response ends depends on its request, so has_message always reads both sides, whichever the event
 * is for; the parser lets a response wait whose request is late.
 *
 * CURSORS  The library has a read offset for each side and moves it with mtcp_peekv; the parser
 * keeps what it needs of an unfinished header. So nothing is ever read twice, and what is found
 * does not depend on the batch size. Gaps are told by mtcp_peekv at their place in the stream.
 *
 * TIME  A message has the time of the packet that brought its first byte. A batch knows no single
 * packet any more, so a callback on MOS_ON_PKT_IN leaves marks: which bytes came when.
 *
 * LIFE  The user context of a connection is made with its first packet and freed at the first of
 * its two CONN_END (one for each side). When both directions turn out not to be HTTP, the
 * connection is given up: MOS_STOP_MON, and its packets cost nothing any more.
 */
#include "commands.h"
#include "apprun.h"
#include "httpparse.h"
#include "jsonout.h"
#include "records.h"
#include "tableout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TIMER_ID  1
#define MARKS_MAX 4096 /* of one direction; further packets go unmarked */

/* Bytes [off, end) of a stream came at ts_ns. */
struct mark {
    uint64_t off, end, ts_ns;
};

struct marks {
    struct mark *mark; /* in the order of arrival; those read already are thrown away */
    size_t n, cap;
    uint64_t newest; /* the latest time seen */
};

/* The user context of a connection. */
struct web {
    struct ends ends;
    struct http_conn http;
    struct marks marks[2]; /* [HTTP_REQUESTS], [HTTP_RESPONSES] */
};

/* What --every reports, since the start. Written by one context, read by the one that reports. */
struct counts {
    uint64_t requests, responses;
    uint64_t status[5]; /* responses by class: 1xx to 5xx */
    uint64_t header_bytes, body_bytes, missing;
    uint64_t now_ns; /* of the newest packet */
};

#define NCOUNTS (sizeof(struct counts) / sizeof(uint64_t))

struct http {
    event_t message, request, response; /* our events */
    struct records records;
    struct table table;
    struct json json[APP_MAX_CORES];
    struct counts counts[APP_MAX_CORES];
};

/* Of an interface rows are shown as they come: room for most. */
static const int live_widths[] = {26, 21, 21, 24, 6, 7, 0};

static const struct column columns[] = {{"TIME", false},    {"CLIENT", false}, {"SERVER", false},
                                        {"MESSAGE", false}, {"HEADER", true},  {"BODY", true},
                                        {"NOTE", false}};

/* The user context of a connection that is done with. */
static char done;

/* ---- marks ---- */

/* => false: no memory. */
static bool add_mark(struct marks *k, const struct pkt_info *p)
{
    if (k->n == MARKS_MAX)
        return true;
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 16;
        struct mark *more = realloc(k->mark, cap * sizeof(*more));

        if (!more)
            return false;
        k->mark = more;
        k->cap = cap;
    }
    k->mark[k->n++] = (struct mark){p->offset, p->offset + p->payloadlen, p->ts_ns};
    return true;
}

/* Everything below off was read. */
static void drop_marks(struct marks *k, uint64_t off)
{
    size_t n = 0;

    for (size_t i = 0; i < k->n; i++)
        if (k->mark[i].end > off)
            k->mark[n++] = k->mark[i];
    k->n = n;
}

/* For the parser: when was this byte sent (for the first time)? */
static uint64_t when(void *arg, int dir, uint64_t off)
{
    const struct marks *k = &((struct web *)arg)->marks[dir];

    for (size_t i = 0; i < k->n; i++)
        if (k->mark[i].off <= off && off < k->mark[i].end)
            return k->mark[i].ts_ns;
    return k->newest;
}

/* ---- connections ---- */

static struct http *http_of(mctx_t mctx)
{
    return app_ctx_of(mctx)->app->data;
}

static int dir_of(int side)
{
    return side == MOS_SIDE_SVR ? HTTP_REQUESTS : HTTP_RESPONSES;
}

/* => NULL: nothing to do for this connection any more (or no memory). */
static struct web *web_of(mctx_t mctx, int sock)
{
    struct web *w = mtcp_get_uctx(mctx, sock);
    struct mos_flow_info info;

    if ((void *)w == &done)
        return NULL;
    if (w)
        return w;
    w = calloc(1, sizeof(*w));
    if (!w || flow_ends(mctx, sock, &w->ends) < 0 || flow_info(mctx, sock, &info) < 0) {
        free(w);
        app_failed(app_ctx_of(mctx)->app, "out of memory");
        return NULL;
    }
    http_init(&w->http, info.flags & MOS_FLOWF_MIDSTREAM, when, w);
    mtcp_set_uctx(mctx, sock, w);
    return w;
}

static void free_web(mctx_t mctx, int sock, struct web *w)
{
    mtcp_set_uctx(mctx, sock, &done);
    http_free(&w->http);
    free(w->marks[0].mark);
    free(w->marks[1].mark);
    free(w);
}

/* Feed the parser all that one side has, straight from where the library keeps it. */
static void drain(mctx_t mctx, int sock, int side, struct web *w)
{
    int dir = dir_of(side), cnt = 16;
    struct iovec iov[16];
    ssize_t n;

    for (; (n = mtcp_peekv(mctx, sock, side, iov, &cnt)) != 0; cnt = 16) {
        if (n < 0 && errno != ENODATA)
            break;
        if (n < 0)
            http_gap(&w->http, dir, (uint64_t)-n);
        for (int i = 0; n > 0 && i < cnt; i++)
            http_feed(&w->http, dir, iov[i].iov_base, iov[i].iov_len);
    }
}

static void drain_both(mctx_t mctx, int sock, struct web *w)
{
    drain(mctx, sock, MOS_SIDE_SVR, w);
    drain(mctx, sock, MOS_SIDE_CLI, w);
    for (int dir = 0; dir < 2; dir++)
        drop_marks(&w->marks[dir], http_needed(&w->http, dir));
    if (w->http.failed)
        app_failed(app_ctx_of(mctx)->app, "out of memory");
}

/* ---- showing ---- */

static void put_json(struct json *j, const struct ends *ends, const struct http_msg *m)
{
    char addr[ADDR_TEXT];

    json_open(j, NULL, '{');
    json_time(j, "ts", m->ts_ns);
    json_str(j, "client", addr_text(&ends->side[MOS_SIDE_CLI], addr));
    json_u64(j, "client_port", endpoint_port(&ends->side[MOS_SIDE_CLI]));
    json_str(j, "server", addr_text(&ends->side[MOS_SIDE_SVR], addr));
    json_u64(j, "server_port", endpoint_port(&ends->side[MOS_SIDE_SVR]));
    json_str(j, "type", m->request ? "request" : "response");
    if (m->request) {
        json_strn(j, "method", m->method.p, m->method.n);
        json_strn(j, "host", m->host.n ? m->host.p : "", m->host.n);
        json_strn(j, "path", m->target.p, m->target.n);
    } else {
        json_u64(j, "status", (uint64_t)m->status);
        json_strn(j, "reason", m->reason.p, m->reason.n);
    }
    json_strn(j, "version", m->version.p, m->version.n);
    json_u64(j, "header_bytes", m->header_bytes);
    json_u64(j, "body_bytes", m->body_bytes);
    if (m->missing)
        json_u64(j, "missing_bytes", m->missing);
    json_bool(j, "complete", m->complete);
    json_close(j, '}');
    json_newline(j);
}

static void message_text(const struct http_msg *m, char *out, size_t cap)
{
    char a[64], b[160], c[160];

    if (m->request)
        snprintf(out, cap, "%s %s%s", plain_text(m->method.p, m->method.n, a, sizeof(a)),
                 *m->target.p == '/' ? plain_text(m->host.p, m->host.n, b, sizeof(b)) : "",
                 plain_text(m->target.p, m->target.n, c, sizeof(c)));
    else
        snprintf(out, cap, "  %d %s", m->status,
                 plain_text(m->reason.p, m->reason.n, b, sizeof(b)));
}

static size_t put_row(const struct ends *ends, const struct http_msg *m, char *row, size_t cap)
{
    char time[TIME_TEXT], cli[ENDPOINT_TEXT], svr[ENDPOINT_TEXT], text[400], lost[SIZE_TEXT];
    char head[SIZE_TEXT], body[SIZE_TEXT];
    const char *colour = m->status >= 400 ? TABLE_RED : m->status >= 300 ? TABLE_YELLOW : "";
    int n;

    message_text(m, text, sizeof(text));
    n = snprintf(row, cap, "%s\t%s\t%s\t%s%s\t%s\t%s\t", time_text(m->ts_ns, time),
                 endpoint_text(&ends->side[MOS_SIDE_CLI], cli),
                 endpoint_text(&ends->side[MOS_SIDE_SVR], svr), colour, text,
                 size_text(m->header_bytes, head), size_text(m->body_bytes, body));
    if (m->missing)
        n += snprintf(row + n, cap - (size_t)n, TABLE_RED "%s lost", size_text(m->missing, lost));
    else if (!m->complete)
        n += snprintf(row + n, cap - (size_t)n, TABLE_RED "not whole");
    return (size_t)n;
}

static void add(uint64_t *n, uint64_t more)
{
    __atomic_store_n(n, *n + more, __ATOMIC_RELAXED);
}

static void count(struct counts *n, const struct http_msg *m)
{
    add(m->request ? &n->requests : &n->responses, 1);
    if (!m->request && m->status >= 100 && m->status < 600)
        add(&n->status[m->status / 100 - 1], 1);
    add(&n->header_bytes, m->header_bytes);
    add(&n->body_bytes, m->body_bytes);
    add(&n->missing, m->missing);
}

static void show(mctx_t mctx, const struct web *w, const struct http_msg *m)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct http *h = app->data;
    struct json *j = &h->json[mctx->cpu];
    struct record_key key = {.first = m->ts_ns, .second = !m->request, .ends = w->ends};
    char row[800];

    key.minor = m->off;
    count(&h->counts[mctx->cpu], m);
    if (!app->opt->json) {
        records_add(&h->records, mctx->cpu, &key, row, put_row(&w->ends, m, row, sizeof(row)));
        return;
    }
    json_reset(j);
    put_json(j, &w->ends, m);
    if (j->failed)
        app_failed(app, "out of memory");
    else
        records_add(&h->records, mctx->cpu, &key, j->text, j->len);
}

/* Show all messages of one kind that were found. */
static void show_found(mctx_t mctx, struct web *w, bool request)
{
    struct http_msg *m;

    while ((m = http_take(&w->http, request))) {
        show(mctx, w, m);
        free(m);
    }
}

/* ---- --every ---- */

/* All contexts together. */
static struct counts sum(const struct app *app)
{
    const struct http *h = app->data;
    uint64_t each[NCOUNTS] = {0}, latest = 0;
    struct counts all;

    for (int i = 0; i < app->opt->cores; i++) {
        const uint64_t *from = (const uint64_t *)&h->counts[i];
        uint64_t now = __atomic_load_n(&h->counts[i].now_ns, __ATOMIC_RELAXED);

        for (size_t k = 0; k < NCOUNTS; k++)
            each[k] += __atomic_load_n(&from[k], __ATOMIC_RELAXED);
        latest = now > latest ? now : latest;
    }
    memcpy(&all, each, sizeof(all));
    all.now_ns = latest;
    return all;
}

static void put_summary(struct json *j, const struct counts *n, bool final)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

    json_open(j, NULL, '{');
    json_time(j, "ts", n->now_ns);
    json_str(j, "type", "summary");
    json_bool(j, "final", final);
    json_u64(j, "requests", n->requests);
    json_u64(j, "responses", n->responses);
    json_open(j, "status", '{');
    for (int i = 0; i < 5; i++)
        json_u64(j, classes[i], n->status[i]);
    json_close(j, '}');
    json_u64(j, "header_bytes", n->header_bytes);
    json_u64(j, "body_bytes", n->body_bytes);
    json_u64(j, "missing_bytes", n->missing);
    json_close(j, '}');
    json_newline(j);
}

static size_t put_summary_row(const struct counts *n, char *row, size_t cap)
{
    char time[TIME_TEXT], head[SIZE_TEXT], body[SIZE_TEXT];
    int len;

    len = snprintf(row, cap,
                   "%s\t-\t-\t%" PRIu64 " requests, %" PRIu64 " responses\t%s\t%s\t" TABLE_DIM
                   "in all; 1xx %" PRIu64 ", 2xx %" PRIu64 ", 3xx %" PRIu64 ", 4xx %" PRIu64
                   ", 5xx %" PRIu64,
                   n->now_ns ? time_text(n->now_ns, time) : "-", n->requests, n->responses,
                   size_text(n->header_bytes, head), size_text(n->body_bytes, body), n->status[0],
                   n->status[1], n->status[2], n->status[3], n->status[4]);
    return (size_t)len < cap ? (size_t)len : cap - 1;
}

/* One more record: what there was since the start. */
static void report(struct app *app, bool final)
{
    struct http *h = app->data;
    const struct counts n = sum(app);
    const struct record_key key = {0};
    struct json *j = &h->json[0];
    char row[400];

    if (!app->opt->json) {
        records_add(&h->records, 0, &key, row, put_summary_row(&n, row, sizeof(row)));
        return;
    }
    json_reset(j);
    put_summary(j, &n, final);
    if (j->failed)
        app_failed(app, "out of memory");
    else
        records_add(&h->records, 0, &key, j->text, j->len);
}

static void on_interval(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct timeval tv = {app->opt->interval_ms / 1000, app->opt->interval_ms % 1000 * 1000};

    report(app, false);
    mtcp_settimer(mctx, id, &tv, on_interval);
}

/* The first context tells of all. */
static int setup_reports(struct app_ctx *c)
{
    int ms = c->app->opt->interval_ms;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    return ms && c->mctx->cpu == 0 ? mtcp_settimer(c->mctx, TIMER_ID, &tv, on_interval) : 0;
}

/* ---- filters: the three events ---- */

static bool has_message(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct web *w = web_of(mctx, sock);
    int both = MOS_SIDE_BOTH;

    if (!w)
        return false;
    drain_both(mctx, sock, w);
    if (w->http.first)
        return true;
    if (http_is_off(&w->http)) {
        free_web(mctx, sock, w);
        mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
    }
    return false;
}

static bool has_request(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    const struct web *w = web_of(mctx, sock);

    return w && http_found(&w->http, true);
}

static bool has_response(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    const struct web *w = web_of(mctx, sock);

    return w && http_found(&w->http, false);
}

/* ---- callbacks ---- */

static void on_request(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct web *w = web_of(mctx, sock);

    if (w)
        show_found(mctx, w, true);
}

static void on_response(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct web *w = web_of(mctx, sock);

    if (w)
        show_found(mctx, w, false);
}

/* Every packet, when it reaches its receiver, before its bytes can be read. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct web *w = web_of(mctx, sock);
    struct pkt_info p;

    if (!w || mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    __atomic_store_n(&http_of(mctx)->counts[mctx->cpu].now_ns, p.ts_ns, __ATOMIC_RELAXED);
    if (p.ts_ns > w->marks[dir_of(side)].newest)
        w->marks[dir_of(side)].newest = p.ts_ns;
    if (p.payloadlen > 0 && w->http.dir[dir_of(side)].state != HTTP_OFF &&
        !add_mark(&w->marks[dir_of(side)], &p))
        app_failed(app_ctx_of(mctx)->app, "out of memory");
}

/* Raised for each side; both streams can still be read at the first, and nothing is left then. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct web *w = web_of(mctx, sock);

    if (!w)
        return;
    drain_both(mctx, sock, w);
    http_close(&w->http);
    show_found(mctx, w, true);
    show_found(mctx, w, false);
    free_web(mctx, sock, w);
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

/*
 * Events are defined once for the whole process. Messages of a file are shown in the order of their
 * times; those of standard input, which may be a live capture, as soon as they are found.
 */
static int begin(struct app *app)
{
    struct http *h = app->data;
    enum records_mode mode = app->opt->in_if               ? RECORDS_LIVE
                             : appopt_from_stdin(app->opt) ? RECORDS_AT_ONCE
                                                           : RECORDS_AT_END;

    h->message = mtcp_define_event(MOS_ON_CONN_NEW_DATA, has_message, NULL);
    h->request = mtcp_define_event(h->message, has_request, NULL);
    h->response = mtcp_define_event(h->message, has_response, NULL);
    if (!h->message || !h->request || !h->response)
        return complain(APP_MISUSE, "%s", mtcp_errstr());
    table_init(&h->table, &app->out, columns, sizeof(columns) / sizeof(columns[0]));
    if (app->opt->in_if)
        table_live(&h->table, live_widths);
    if (app->opt->json)
        records_init(&h->records, mode, app->opt->cores, emit_json, &app->out);
    else
        records_init(&h->records, mode, app->opt->cores, emit_row, &h->table);
    return APP_OK;
}

/* A user-defined event is registered at the hooks of the built-in event at its root. */
static int setup(struct app_ctx *c)
{
    const struct http *h = c->app->data;

    if (mtcp_register_callback(c->mctx, c->listener, MOS_ON_PKT_IN, MOS_HK_RCV, on_packet) < 0 ||
        mtcp_register_callback(c->mctx, c->listener, h->request, MOS_NULL, on_request) < 0 ||
        mtcp_register_callback(c->mctx, c->listener, h->response, MOS_NULL, on_response) < 0)
        return -1;
    if (setup_reports(c) < 0)
        return -1;
    return mtcp_register_callback(c->mctx, c->listener, MOS_ON_CONN_END, MOS_HK_RCV, on_end);
}

static int end(struct app *app)
{
    struct http *h = app->data;
    int status = APP_OK;
    bool all;

    if (app->ran && app->opt->interval_ms)
        report(app, true);
    all = records_finish(&h->records);

    if (!table_end(&h->table) || !all)
        status = complain(APP_BROKEN, "out of memory: not all messages are shown");
    for (int i = 0; i < APP_MAX_CORES; i++)
        json_free(&h->json[i]);
    return status;
}

static int run(const struct appopt *opt)
{
    static const struct app_hooks hooks = {
        .rmem = 16 * 1048576, .begin = begin, .setup = setup, .end = end};
    struct http http = {0};

    return app_run(opt, &hooks, &http);
}

const struct command cmd_http = {
    .name = "http",
    .does = "HTTP/1.x requests and responses, on any port",
    .about = "Show the HTTP/1.x requests and responses of every connection, on any port: method,\n"
             "host, path, status and sizes. HEADER counts the head with its empty line, BODY the\n"
             "body without the coding of chunks.\n"
             "\n"
             "Messages of files are shown in the order of their times when all were read; those\n"
             "of standard input, and of an interface, as they are found. With --every a row or\n"
             "object between them counts all since the start: requests, responses by the class\n"
             "of their status, and bytes.",
    .examples = "  weir http -r trace.pcap\n"
                "  weir http -r trace.pcap tcp port 8080\n"
                "  weir http --json -r trace.pcap | jq -r 'select(.method) | .host + .path'\n"
                "  tcpdump -w - port 80 | weir http -r -\n"
                "  weir http -i eth1 --every 10 tcp port 80\n",
    .takes = TAKES_OVERLAP | TAKES_EVERY,
    .run = run,
};
