// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_nat.c: source translation. The first SYN of a connection takes a port of a public address;
 * from then on what the client sends leaves with that, and what comes for it goes to the client.
 *
 * The library does the look-up: replies come for the addresses that the callback left in the SYN.
 * A port goes back when the library forgets the connection, that is --rest seconds after its end:
 * so long late packets are still translated. Contexts share no ports (natports.h).
 */
#include "commands.h"
#include "appflow.h"
#include "apprun.h"
#include "appstat.h"
#include "jsonout.h"
#include "natopt.h"
#include "tableout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <mtcp_util.h>

/* Written by one context, read by the one that reports. */
struct counts {
    uint64_t opened, ended; /* connections that were given a port */
    uint64_t refused;       /* those for which there was none */
    uint64_t failed;        /* packets that could not be changed: fragments, signed ones */
    uint64_t packets[2];    /* translated, by sender */
    uint64_t taken, most;   /* ports taken now, and most at a time */
    uint64_t stray, other;  /* dropped: of no connection; no TCP, or damaged */
    uint64_t related;       /* ICMP errors about translated packets, translated */
    uint64_t astray;        /* dropped: came by the wrong interface, or was to begin with no SYN */
    uint64_t now_ns;        /* packet time */
};

#define NCOUNTS (sizeof(struct counts) / sizeof(uint64_t))

/* One context's. */
struct translator {
    struct natports *ports;
    struct counts n;
    struct appstat stats;
};

struct nat {
    struct natopt opt;
    bool two_ifs; /* of clients and of the world: it is looked at by which a packet came */
    struct translator core[APP_MAX_CORES];
    struct table table;
    struct json json;
};

#define REPORT_TIMER 1
#define INSIDE       0 /* pkt_info.in_ifidx: -i is the first device of the configuration, */
#define OUTSIDE      1 /* -o the second */

/* The user context of a connection that was given no port, or whose port went back. */
static char refused;

static struct translator *translator_of(mctx_t mctx)
{
    return app_ctx_of(mctx)->data;
}

static struct nat *nat_of(mctx_t mctx)
{
    return app_ctx_of(mctx)->app->data;
}

static void count(uint64_t *n)
{
    __atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

static void set(uint64_t *n, uint64_t v)
{
    __atomic_store_n(n, v, __ATOMIC_RELAXED);
}

/* ---- packets ---- */

static void drop(mctx_t mctx, int sock)
{
    mtcp_setlastpkt(mctx, sock, 0, 0, NULL, 0, MOS_DROP);
}

/* May this side's packets come by this interface? A capture has one only, for both. */
static bool right_way(const struct nat *nat, int side, const struct pkt_info *p)
{
    return !nat->two_ifs || p->in_ifidx == (side == MOS_SIDE_CLI ? INSIDE : OUTSIDE);
}

/* An address and a port of the packet at hand, those of its sender or of its receiver. => done? */
static bool put(mctx_t mctx, int sock, bool sender, int family, uint8_t *addr, uint16_t port)
{
    static const off_t at[2][2] = {{16, 24}, {12, 8}}; /* [sender][IPv6] */
    const bool v6 = family == AF_INET6;

    return mtcp_setlastpkt(mctx, sock, 0, at[sender][v6], addr, v6 ? 16 : 4,
                           MOS_IP_HDR | MOS_OVERWRITE) == 0 &&
           mtcp_setlastpkt(mctx, sock, 0, sender ? 0 : 2, (uint8_t *)&port, sizeof(port),
                           MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM |
                               MOS_UPDATE_TCP_CHKSUM) == 0;
}

/* One packet of a connection that has a port. */
static void translate(mctx_t mctx, int sock, int side, struct nat_binding *b)
{
    struct translator *t = translator_of(mctx);
    const struct nat_addr *pub = &nat_of(mctx)->opt.pool.addr[b->addr];
    uint8_t addr[16];
    bool done;

    if (side == MOS_SIDE_CLI) {
        memcpy(addr, pub->b, sizeof(addr));
        done = put(mctx, sock, true, pub->family, addr, b->port);
    } else {
        done = put(mctx, sock, false, pub->family, b->client, b->client_port);
    }
    if (done) {
        count(&t->n.packets[side == MOS_SIDE_SVR]);
        return;
    }
    drop(mctx, sock);
    count(&t->n.failed);
}

/* Is this one of our own addresses? Nobody is there to answer. */
static bool is_public(const struct nat_pool *pool, int family, const void *addr)
{
    for (int i = 0; i < pool->naddr; i++)
        if (pool->addr[i].family == family &&
            memcmp(pool->addr[i].b, addr, family == AF_INET6 ? 16 : 4) == 0)
            return true;
    return false;
}

/* A port for the connection whose SYN is at hand. => NULL: none. */
static struct nat_binding *choose(mctx_t mctx, const struct pkt_info *p)
{
    const bool v6 = p->iph == NULL;
    const size_t len = v6 ? 16 : 4;
    const uint8_t *src = v6 ? (const uint8_t *)p->ip6h + 8 : (const uint8_t *)p->iph + 12,
                  *dst = src + len, *ports = (const uint8_t *)p->tcph; /* need not be aligned */
    const uint8_t server = nat_fold(dst, len) ^ nat_fold(ports + 2, 2);
    struct nat_binding *b;

    if (is_public(&nat_of(mctx)->opt.pool, v6 ? AF_INET6 : AF_INET, dst))
        return NULL;
    b = natports_take(translator_of(mctx)->ports, v6 ? AF_INET6 : AF_INET, server,
                      XXH32(src, len, (uint32_t)nat_of(mctx)->opt.pool.seed));
    if (!b)
        return NULL;
    memcpy(b->client, src, len);
    memcpy(&b->client_port, ports, sizeof(b->client_port));
    return b;
}

/* A packet that is not from where it says it is. */
static void drop_astray(mctx_t mctx, int sock)
{
    drop(mctx, sock);
    count(&translator_of(mctx)->n.astray);
}

/*
 * It is not for clients to receive connections. Nothing is kept of the one that this packet was to
 * open (MOS_STOP_MON): else it would be in the way of a client's with the same addresses.
 */
static void turn_away(mctx_t mctx, int sock)
{
    const int both = MOS_SIDE_BOTH;

    drop_astray(mctx, sock);
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
}

/* The first packet: a SYN from inside, or it opens nothing. */
static void open_connection(mctx_t mctx, int sock, int side)
{
    struct translator *t = translator_of(mctx);
    struct nat_binding *b;
    struct pkt_info p;

    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0 || !p.tcph ||
        (tcp_flags(&p) & (APP_SYN | APP_ACK)) != APP_SYN || side != MOS_SIDE_CLI ||
        !right_way(nat_of(mctx), side, &p)) {
        turn_away(mctx, sock);
        return;
    }
    b = choose(mctx, &p);
    if (!b) { /* the client is told at once, and not left to try again and again */
        mtcp_set_uctx(mctx, sock, &refused);
        mtcp_reset_conn(mctx, sock);
        drop(mctx, sock);
        count(&t->n.refused);
        return;
    }
    mtcp_set_uctx(mctx, sock, b);
    count(&t->n.opened);
    set(&t->n.taken, natports_taken(t->ports, -1));
    if (t->n.taken > t->n.most)
        set(&t->n.most, t->n.taken);
    set(&t->n.now_ns, p.ts_ns);
    translate(mctx, sock, MOS_SIDE_CLI, b);
}

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    const struct nat *nat = nat_of(mctx);
    void *uctx = mtcp_get_uctx(mctx, sock);
    struct pkt_info p;

    if (uctx == NULL)
        open_connection(mctx, sock, side);
    else if (uctx == &refused)
        drop(mctx, sock);
    else if (nat->two_ifs &&
             (mtcp_getlastpkt(mctx, sock, side, &p) < 0 || !right_way(nat, side, &p)))
        drop_astray(mctx, sock);
    else
        translate(mctx, sock, side, uctx);
}

/* ---- connections ---- */

/* A connection that is open may be silent for long, one that opens or closes may not. */
static void on_state(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct nat *nat = nat_of(mctx);
    int cli = TCP_CLOSED, svr = TCP_CLOSED, ms = nat->opt.transitory_ms;
    socklen_t len = sizeof(int);

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_TCP_STATE_CLI, &cli, &len) < 0 ||
        mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_TCP_STATE_SVR, &svr, &len) < 0)
        return;
    if (cli == TCP_ESTABLISHED && svr == TCP_ESTABLISHED)
        ms = nat->opt.live_ms;
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_FLOW_TIMEOUT, &ms, sizeof(ms));
}

/* It is over, and comes for each side. */
static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct translator *t = translator_of(mctx);
    void *uctx = mtcp_get_uctx(mctx, sock);

    if (uctx == NULL || uctx == &refused)
        return;
    natports_put(t->ports, uctx);
    mtcp_set_uctx(mctx, sock, &refused);
    count(&t->n.ended);
    set(&t->n.taken, natports_taken(t->ports, -1));
}

/* ---- reports ---- */

static const int live_widths[] = {26, 8, 6, 6, 7, 8, 8, 6, 6, 6, 0};

static const struct column columns[] = {
    {"TIME", false}, {"OPENED", true}, {"PORTS", true}, {"MOST", true},  {"REFUSED", true},
    {"PKTS>", true}, {"<PKTS", true},  {"STRAY", true}, {"OTHER", true}, {"FAILED", true},
};

/* What the library has counted of this context. */
static void ask_library(struct app_ctx *c)
{
    struct translator *t = c->data;

    if (!appstat_read(&t->stats, c->mctx, c->listener))
        return;
    set(&t->n.stray,
        appstat_value(&t->stats, "orphan-drop") + appstat_value(&t->stats, "syn-gate-drop"));
    set(&t->n.other, appstat_value(&t->stats, "other-drop"));
    set(&t->n.related, appstat_value(&t->stats, "icmp-related"));
}

/* All contexts together. */
static struct counts sum(const struct app *app)
{
    const struct nat *nat = app->data;
    struct counts all = {0};
    uint64_t latest = 0;

    for (int i = 0; i < app->opt->cores; i++) {
        const uint64_t *from = (const uint64_t *)&nat->core[i].n;
        uint64_t now = __atomic_load_n(&nat->core[i].n.now_ns, __ATOMIC_RELAXED);

        for (size_t k = 0; k < NCOUNTS; k++)
            ((uint64_t *)&all)[k] += __atomic_load_n(&from[k], __ATOMIC_RELAXED);
        latest = now > latest ? now : latest;
    }
    all.now_ns = latest;
    return all;
}

static void report_json(struct app *app, const struct counts *n, bool final)
{
    struct nat *nat = app->data;
    struct json *j = &nat->json;

    json_reset(j);
    json_open(j, NULL, '{');
    json_time(j, "time", n->now_ns);
    json_bool(j, "final", final);
    json_u64(j, "opened", n->opened);
    json_u64(j, "ended", n->ended);
    json_u64(j, "refused", n->refused);
    json_u64(j, "ports_taken", n->taken);
    json_u64(j, "ports_most", n->most);
    json_u64(j, "packets_out", n->packets[0]);
    json_u64(j, "packets_in", n->packets[1]);
    json_u64(j, "icmp_errors", n->related);
    json_u64(j, "dropped_stray", n->stray + n->astray);
    json_u64(j, "dropped_other", n->other);
    json_u64(j, "failed", n->failed);
    json_close(j, '}');
    json_newline(j);
    if (j->failed)
        app_failed(app, "out of memory");
    else
        out_write(&app->out, j->text, j->len);
}

static void report(struct app *app, bool final)
{
    struct nat *nat = app->data;
    const struct counts n = sum(app);
    char row[300], time[TIME_TEXT];
    int len;

    if (app->opt->json) {
        report_json(app, &n, final);
        return;
    }
    len = snprintf(row, sizeof(row),
                   "%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
                   "\t%" PRIu64 "\t%" PRIu64 "\t%s%" PRIu64,
                   n.now_ns ? time_text(n.now_ns, time) : "-", n.opened, n.taken, n.most,
                   n.refused ? TABLE_RED : "", n.refused, n.packets[0], n.packets[1],
                   n.stray + n.astray, n.other, n.failed ? TABLE_YELLOW : "", n.failed);
    table_row(&nat->table, row, (size_t)len);
}

/* Each context asks for its own counters; the first one tells them all. */
static void on_report(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
    struct app_ctx *c = app_ctx_of(mctx);
    const int ms = c->app->opt->interval_ms;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    ask_library(c);
    if (mctx->cpu == 0)
        report(c->app, false);
    mtcp_settimer(mctx, id, &tv, on_report);
}

/* ---- beginning and end ---- */

static int begin(struct app *app)
{
    struct nat *nat = app->data;

    table_init(&nat->table, &app->out, columns, sizeof(columns) / sizeof(columns[0]));
    if (app->opt->in_if)
        table_live(&nat->table, live_widths);
    for (int i = 0; i < app->opt->cores; i++) {
        nat->core[i].ports = natports_create(&nat->opt.pool, i);
        if (!nat->core[i].ports)
            return complain(APP_BROKEN, "out of memory");
    }
    return APP_OK;
}

static int set_options(struct app_ctx *c)
{
    struct nat *nat = c->app->data;
    union monitor_filter ft = {.stream_syn_filter = nat->opt.filter};
    int none = 0, ms = nat->opt.transitory_ms;

    if (mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) < 0 ||
        mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) < 0 ||
        mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_FLOW_TIMEOUT, &ms, sizeof(ms)) < 0)
        return -1;
    return mtcp_bind_monitor_filter(c->mctx, c->listener, &ft);
}

static int setup(struct app_ctx *c)
{
    static const struct {
        event_t event;
        int hook;
        callback_t cb;
    } want[] = {{MOS_ON_PKT_IN, MOS_HK_SND, on_packet},
                {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state},
                {MOS_ON_CONN_END, MOS_HK_SND, on_end}};
    const int ms = c->app->opt->interval_ms;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    c->data = &((struct nat *)c->app->data)->core[c->mctx->cpu];
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
        if (mtcp_register_callback(c->mctx, c->listener, want[i].event, want[i].hook, want[i].cb) <
            0)
            return -1;
    if (ms && mtcp_settimer(c->mctx, REPORT_TIMER, &tv, on_report) < 0)
        return -1;
    return set_options(c);
}

static int end(struct app *app)
{
    struct nat *nat = app->data;
    int status = APP_OK;

    for (int i = 0; i < app->nctx; i++)
        if (app->ctx[i].data)
            ask_library(&app->ctx[i]);
    if (app->ran)
        report(app, true);
    if (!table_end(&nat->table))
        status = complain(APP_BROKEN, "out of memory");
    json_free(&nat->json);
    return status;
}

static int run(const struct appopt *opt)
{
    struct app_hooks hooks = {.rmem = 8192, .begin = begin, .setup = setup, .end = end};
    struct nat *nat = calloc(1, sizeof(*nat));
    int status;

    if (!nat)
        return complain(APP_BROKEN, "out of memory");
    nat->two_ifs = opt->out_if != NULL;
    status = natopt_make(&nat->opt, opt);
    if (status == APP_OK) {
        hooks.conf = nat->opt.conf;
        hooks.proxies = nat->opt.proxies;
        status = app_run(opt, &hooks, nat);
    }
    for (int i = 0; i < APP_MAX_CORES; i++) {
        natports_free(nat->core[i].ports);
        appstat_free(&nat->core[i].stats);
    }
    natopt_free(&nat->opt);
    free(nat);
    return status;
}

const struct command cmd_nat = {
    .name = "nat",
    .does = "give clients' connections another source address and port",
    .about =
        "Translate the source of TCP connections: each takes a free port of a public address\n"
        "for as long as it lives, and what comes for that goes to its client. When no port is\n"
        "left the client gets a RST, and it is counted.\n"
        "\n"
        "What belongs to no connection is dropped, and so is what is not TCP. In the table\n"
        "PORTS are taken now, REFUSED are connections without a port, STRAY and OTHER dropped\n"
        "packets, FAILED those that cannot be changed (IP fragments, signed ones).",
    .examples = "  weir nat --to 192.0.2.1 -r clients.pcap -w outside.pcap\n"
                "  weir nat --to 192.0.2.1-192.0.2.8:1024-65535 --from 10.0.0.0/8 -r in.pcap -w "
                "out.pcap\n",
    .takes = TAKES_NAT | TAKES_EVERY,
    .run = run,
};
