// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_abacus.c: accounting by subscriber - and the fraud that accounting invites. Operators do not
 * like to charge what the network had to carry twice; so who hides new bytes in what looks like a
 * retransmission rides free. A stack that keeps the first copy sees the difference.
 *
 * COUNTING  The library counts packets and bytes of every connection (MOS_FLOW_INFO); settle() adds
 * to the subscriber what has been added since it last looked: when the connection ends and, with
 * --interval, when a report is due. A raw socket counts all IP packets: what no connection has
 * counted belongs to nobody, and the sum is that of the capture.
 *
 * NOT CHARGED  MOS_ON_REXMIT tells of every repetition. Whole ones count with plain headers
 * (plainhdr.h), those that bring new bytes too with the bytes that are old. Changed ones are charged.
 *
 * EVIDENCE  MOS_ON_OVERLAP tells where copies differ, of segments and of fragments, and has the
 * beginnings of both. Registering it makes the library keep the last KEPT bytes of a stream, and all
 * that is not acknowledged.
 *
 * SAMPLE  With --sample 1/N the library keeps little (KEPT_LITTLE), and sample.c every N-th byte:
 * put there when they come in order, compared when a repetition comes whose content the library
 * does not know any more. It is paid unless each of its bytes was seen before.
 */
#include "commands.h"
#include "apprun.h"
#include "appstat.h"
#include "billout.h"
#include "plainhdr.h"
#include "sample.h"
#include "subscribers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEPT        SAMPLE_DEPTH
#define KEPT_LITTLE 4096
#define TIMER_ID    2

/* The user context of a connection. */
struct bill {
    struct subscriber *sub;
    struct ends ends;
    int upside;                /* the side that is the subscriber */
    struct pair seen[2];       /* what each side sent, as far as it is settled */
    struct sample sample[2];   /* of each side's receive stream */
    struct bill *next, **link; /* among those to be settled when the interval is over */
    int sock;
};

/* One context. */
struct account {
    struct subscribers subs;
    struct pair tcp, other; /* IP packets the raw socket saw */
    uint64_t now_ns, reports;
    struct bill *due; /* connections with something to settle, with --interval */
};

struct abacus {
    struct prefixes list;
    struct account account[APP_MAX_CORES];
};

static char done; /* the user context of a connection that was settled for good */

static struct account *account_of(mctx_t mctx)
{
    return &((struct abacus *)app_ctx_of(mctx)->app->data)->account[mctx->cpu];
}

/* ---- subscribers ---- */

/* Whose connection is it? In a prefix list either end may be a subscriber's; the client goes first. */
static struct endpoint whose(const struct app *app, struct bill *b)
{
    const struct abacus *a = app->data;
    struct endpoint key = b->ends.side[MOS_SIDE_CLI];

    b->upside = MOS_SIDE_CLI;
    if (app->opt->all)
        return subscriber_number(SUBSCRIBER_ALL);
    memset(key.port, 0, sizeof(key.port));
    if (!app->opt->prefixes)
        return key;
    for (int side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
        int found = prefixes_find(&a->list, &b->ends.side[side]);

        if (found < 0)
            continue;
        b->upside = side;
        return subscriber_number(found);
    }
    return subscriber_number(SUBSCRIBER_NONE);
}

/* ---- connections ---- */

/* => NULL: settled already, or no memory. */
static struct bill *bill_of(mctx_t mctx, int sock)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct subscribers *subs = &account_of(mctx)->subs;
    struct bill *b = mtcp_get_uctx(mctx, sock);
    struct endpoint key;

    if (b)
        return (void *)b == &done ? NULL : b;
    b = calloc(1, sizeof(*b));
    if (b && flow_ends(mctx, sock, &b->ends) == 0) {
        key = whose(app, b);
        b->sub = subscribers_get(subs, &key, flow_answered(mctx, sock));
    }
    if (!b || !b->sub) {
        free(b);
        app_failed(app, "out of memory");
        return NULL;
    }
    b->sub->conns++;
    b->sock = sock;
    for (int side = 0; side < 2; side++)
        b->sample[side] =
            (struct sample){.one_of = (uint32_t)app->opt->sample,
                            .key = subs->secret ^ (uintptr_t)b ^ (uint64_t)side << 63};
    mtcp_set_uctx(mctx, sock, b);
    return b;
}

/* Which way is what this side receives? */
static int way_to(const struct bill *b, int side)
{
    return side == b->upside ? DOWN : UP;
}

/* Charge what has passed since the last time. */
static void settle(mctx_t mctx, struct bill *b)
{
    struct mos_flow_info info;

    if (b->link) {
        *b->link = b->next;
        if (b->next)
            b->next->link = b->link;
        b->link = NULL;
    }
    if (flow_info(mctx, b->sock, &info) < 0)
        return;
    for (int side = MOS_SIDE_CLI; side <= MOS_SIDE_SVR; side++) {
        struct way *w = &b->sub->way[way_to(b, !side)];

        w->packets += info.dir[side].packets - b->seen[side].packets;
        w->bytes += info.dir[side].ip_bytes - b->seen[side].bytes;
        b->seen[side].packets = info.dir[side].packets;
        b->seen[side].bytes = info.dir[side].ip_bytes;
    }
}

/* ---- repetitions ---- */

static void note_change(struct app *app, struct bill *b, struct change *c, uint64_t bytes)
{
    struct way *w = &b->sub->way[c->way];

    c->ends = b->ends;
    w->changed_packets++;
    w->changed_bytes += bytes;
    if (!subscriber_change(b->sub, c))
        app_failed(app, "out of memory");
}

/* Does it begin below offset 0, where nothing was ever seen? */
static bool begins_below(mctx_t mctx, int sock, int side, const struct pkt_info *p)
{
    int name = side == MOS_SIDE_CLI ? MOS_INFO_CLIBUF : MOS_INFO_SVRBUF;
    struct tcp_buf_info info;
    socklen_t len = sizeof(info);

    return p->offset == 0 && (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, name, &info, &len) < 0 ||
                              p->seq != info.tcpbi_init_seq);
}

/* What the sample has not been given yet the library holds, and has compared; or else it is a gap. */
static bool rest_is_held(mctx_t mctx, int sock, int side, const struct sample *s,
                         const struct pkt_info *p, uint32_t again)
{
    uint64_t below = s->end > p->offset ? s->end - p->offset : 0;
    char held[65536];

    return below >= again || mtcp_ppeek(mctx, sock, side, held, again - below, p->offset + below) ==
                                 (ssize_t)(again - below);
}

/*
 * The library has forgotten the first copy; has the sample some of it? The bytes that differ are
 * taken for their share: each stands for N.
 * => is it to be paid: another content, or bytes that were never seen, or that nobody can compare
 *    (else new ones could pass for old)?
 */
static bool sample_tells(mctx_t mctx, int sock, int side, struct bill *b, const struct pkt_info *p,
                         const struct mos_rexmit_info *info)
{
    struct sample *s = &b->sample[side];
    bool below = begins_below(mctx, sock, side, p);
    struct sample_found f = sample_compare(s, p->offset, p->payload, below ? 0 : p->payloadlen);
    struct change c = {p->ts_ns, .way = way_to(b, side), .sampled = true, .off = f.first};
    uint64_t estimate = (uint64_t)f.differ * s->one_of;

    if (f.differ == 0) {
        bool seen = f.compared > 0 && f.missing == 0 &&
                    p->payloadlen >= info->len + info->new_len &&
                    rest_is_held(mctx, sock, side, s, p, info->len);

        b->sub->way[c.way].unknown_bytes += seen ? 0 : info->len;
        return !seen;
    }
    c.len = f.last + 1 - f.first;
    c.differ = f.differ;
    change_copy(&c, 0, f.kept, f.nkept);
    change_copy(&c, 1, p->payload + (f.first - p->offset), f.nkept);
    note_change(app_ctx_of(mctx)->app, b, &c, estimate < info->len ? estimate : info->len);
    return true;
}

/* Nothing new, it seems: free, but for what its headers have beyond plain ones. */
static void credit(struct app *app, struct bill *b, int side, const struct pkt_info *p,
                   const struct mos_rexmit_info *info)
{
    struct plainhdr h = plainhdr_of(p, info);
    struct change c = {p->ts_ns, .way = way_to(b, side), .off = info->off, .differ = h.odd};

    b->sub->way[c.way].free_bytes += h.plain;
    if (h.odd == 0)
        return;
    change_copy(&c, 1, h.shown, h.nshown);
    note_change(app, b, &c, h.odd);
}

static void on_rexmit(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct bill *b = bill_of(mctx, sock);
    struct mos_rexmit_info info;
    socklen_t len = sizeof(info);
    struct pkt_info p;
    bool alive, again;
    struct way *w;

    if (!b || mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &info, &len) < 0 ||
        mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    w = &b->sub->way[way_to(b, side)];
    w->again_packets++;
    w->again_bytes += info.len;
    /* of a keep-alive any byte will do (RFC 1122 4.2.3.6), in one piece */
    alive = info.kind == MOS_REXMIT_KEEPALIVE && p.frag == 0;
    again = alive || info.content == MOS_REXMIT_SAME ||
            (info.content == MOS_REXMIT_UNKNOWN && !sample_tells(mctx, sock, side, b, &p, &info));
    if (again && info.new_len)
        w->free_bytes += info.len;
    else if (again)
        credit(app_ctx_of(mctx)->app, b, side, &p, &info);
}

/* Copies that differ, of segments or of fragments. */
static void on_overlap(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct bill *b = bill_of(mctx, sock);
    struct mos_overlap_info info;
    socklen_t len = sizeof(info);
    struct change c = {0};
    struct pkt_info p;

    if (!b || mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_OVERLAP_INFO, &info, &len) < 0 ||
        info.content != MOS_REXMIT_CHANGED || mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    c = (struct change){.ts_ns = p.ts_ns,
                        .way = way_to(b, side),
                        .off = info.changed_off,
                        .len = info.changed_len,
                        .differ = info.differ};
    for (int which = 0; which < 2; which++)
        change_copy(&c, which, info.copy[which], info.ncopy);
    note_change(app_ctx_of(mctx)->app, b, &c, c.differ);
}

/* Bytes in order: into the sample, if there is one, and done with. */
static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct bill *b = app->opt->sample > 1 ? bill_of(mctx, sock) : NULL;
    int name = side == MOS_SIDE_CLI ? MOS_READ_OFF_CLI : MOS_READ_OFF_SVR, cnt = 16;
    struct iovec iov[16];
    uint64_t off = 0;
    socklen_t len = sizeof(off);
    ssize_t n;

    for (; (n = mtcp_peekv(mctx, sock, side, iov, &cnt)) != 0; cnt = 16) {
        if (n < 0 && errno != ENODATA)
            break;
        if (n < 0 || !b || mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, name, &off, &len) < 0)
            continue;
        off -= (uint64_t)n;
        for (int i = 0; i < cnt; off += iov[i++].iov_len)
            if (!sample_put(&b->sample[side], off, iov[i].iov_base, iov[i].iov_len))
                app_failed(app, "out of memory");
    }
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct bill *b = bill_of(mctx, sock);

    if (!b)
        return;
    settle(mctx, b);
    mtcp_set_uctx(mctx, sock, &done);
    sample_free(&b->sample[0]);
    sample_free(&b->sample[1]);
    free(b);
}

/* With --interval: this connection has something to settle. */
static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct account *a = account_of(mctx);
    struct bill *b = bill_of(mctx, sock);

    if (!b || b->link)
        return;
    b->next = a->due;
    b->link = &a->due;
    if (b->next)
        b->next->link = &b->next;
    a->due = b;
}

/* Every IP packet. */
static void on_raw(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct account *a = account_of(mctx);
    struct pair *sum;
    struct pkt_info p;

    if (mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    sum = p.l4proto == IPPROTO_TCP ? &a->tcp : &a->other;
    sum->packets++;
    sum->bytes += p.len32;
    if (p.ts_ns > a->now_ns)
        a->now_ns = p.ts_ns;
}

/* ---- reports ---- */

/* All contexts into one account, the first, and the report of it. */
static void report(struct app *app, bool final)
{
    struct abacus *a = app->data;
    struct account *all = &a->account[0];
    struct bill_report r = {.subs = &all->subs, .list = &a->list, .final = final};
    struct appstat stats = {0};
    bool good = true;

    all->subs.most *= (size_t)app->nctx;
    for (int i = 0; i < app->nctx; i++) {
        const struct account *one = &a->account[i];

        good = good && appstat_read(&stats, app->ctx[i].mctx, app->ctx[i].listener);
        r.frames += appstat_value(&stats, "packets"); /* read, what carries no IP included */
        r.given_up += appstat_value(&stats, "evicted") + appstat_syns_lost(&stats);
        r.tcp.packets += one->tcp.packets;
        r.tcp.bytes += one->tcp.bytes;
        r.other.packets += one->other.packets;
        r.other.bytes += one->other.bytes;
        r.now_ns = one->now_ns > r.now_ns ? one->now_ns : r.now_ns;
        if (i > 0)
            good = subscribers_merge(&all->subs, &a->account[i].subs) && good;
    }
    appstat_free(&stats);
    if (!good || !bill_report(&app->out, app->opt, &r))
        app_failed(app, "out of memory");
}

/* The first time comes with the first packets: there is nothing to tell yet. */
static void on_interval(mctx_t mctx, int id, int side, event_t event, filter_arg_t *arg)
{
    struct app *app = app_ctx_of(mctx)->app;
    struct account *a = account_of(mctx);
    struct timeval tv = {app->opt->interval_ms / 1000, app->opt->interval_ms % 1000 * 1000};

    if (a->reports++ > 0) {
        while (a->due)
            settle(mctx, a->due);
        report(app, false);
    }
    mtcp_settimer(mctx, id, &tv, on_interval);
}

/* ---- beginning and end ---- */

static int begin(struct app *app)
{
    struct abacus *a = app->data;
    uint64_t secret = 0;

    if (getrandom(&secret, sizeof(secret), 0) != sizeof(secret))
        return complain(APP_BROKEN, "no random numbers: %s", strerror(errno));
    for (int i = 0; i < APP_MAX_CORES; i++)
        a->account[i].subs = (struct subscribers){.secret = secret,
                                                  .most = app->opt->memory / 4 / SUBSCRIBER_BYTES /
                                                          (uint64_t)app->opt->cores};
    return APP_OK;
}

static int setup_raw(struct app_ctx *c)
{
    int raw = mtcp_socket(c->mctx, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);

    return raw < 0 ? -1 : mtcp_register_callback(c->mctx, raw, MOS_ON_PKT_IN, MOS_NULL, on_raw);
}

static int setup(struct app_ctx *c)
{
    const struct {
        event_t event;
        int hook;
        callback_t cb;
    } want[] = {{MOS_ON_REXMIT, MOS_HK_RCV, on_rexmit},
                {MOS_ON_OVERLAP, MOS_HK_RCV, on_overlap},
                {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
                {MOS_ON_CONN_END, MOS_HK_RCV, on_end},
                {MOS_ON_PKT_IN, MOS_HK_SND, on_packet}}; /* the last only with --interval */
    size_t n = sizeof(want) / sizeof(want[0]) - (c->app->opt->interval_ms == 0);
    int kept = c->app->opt->sample > 1 ? KEPT_LITTLE : KEPT;
    struct timeval now = {0};

    for (size_t i = 0; i < n; i++)
        if (mtcp_register_callback(c->mctx, c->listener, want[i].event, want[i].hook, want[i].cb) <
            0)
            return -1;
    if (mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_CLIBUF, &kept, sizeof(kept)) < 0 ||
        mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_SVRBUF, &kept, sizeof(kept)) < 0)
        return -1;
    if (c->app->opt->interval_ms && mtcp_settimer(c->mctx, TIMER_ID, &now, on_interval) < 0)
        return -1;
    return setup_raw(c);
}

static int end(struct app *app)
{
    struct abacus *a = app->data;

    if (app->ran && (a->account[0].tcp.packets || !app->broken))
        report(app, true);
    for (int i = 0; i < APP_MAX_CORES; i++)
        subscribers_free(&a->account[i].subs);
    return APP_OK;
}

static int run(const struct appopt *opt)
{
    static const struct app_hooks hooks = {
        .rmem = KEPT, .begin = begin, .setup = setup, .end = end};
    struct abacus *a = calloc(1, sizeof(*a));
    int status = APP_OK;

    if (!a)
        return complain(APP_BROKEN, "out of memory");
    if (opt->prefixes)
        status = prefixes_read(&a->list, opt->prefixes);
    if (status == APP_OK)
        status = app_run(opt, &hooks, a);
    prefixes_free(&a->list);
    free(a);
    return status;
}

const struct command cmd_abacus = {
    .name = "abacus",
    .does = "accounting by subscriber, and who hides bytes in retransmissions",
    .about =
        "Count connections, packets and IP bytes of every subscriber, both ways: > is what the\n"
        "subscriber sent. Retransmissions are not charged (--charge-rexmit: they are), unless\n"
        "their content differs from the first copy: that is new data in disguise. Such are\n"
        "listed, with the bytes of both copies.\n"
        "\n"
        "AGAIN counts bytes that were sent before, UNKNOWN those of them whose first copy is\n"
        "not kept any more (the last 256 KiB of each stream are): they are charged, since\n"
        "nobody can tell; CHANGED those that differ.\n"
        "With --sample 1/N one byte of N is kept: a changed byte is found with probability\n"
        "1/N, 64 N in a row for certain. The totals make up the whole capture.",
    .examples = "  weir abacus -r trace.pcap\n"
                "  weir abacus --prefixes customers.txt -r trace.pcap\n"
                "  weir abacus --all --charge-rexmit -r trace.pcap tcp port 443\n"
                "  weir abacus --json -r trace.pcap | jq 'select(.record == \"changed\")'\n"
                "  tcpdump -U -w - | weir abacus --interval 5 --sample 1/16 -r -\n",
    .takes = TAKES_BILL | TAKES_EVERY,
    .run = run,
};
