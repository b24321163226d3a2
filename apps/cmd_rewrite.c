// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_rewrite.c: a string replaced in what passes, whatever its length: in the bodies of HTTP responses,
 * or in all payload (--raw).
 *
 * Each packet with something new is fed to rewriter.h at SND, before its receiver gets it, and becomes
 * what that makes of it: one CHOMP and one INSERT where they differ, and a HOLD for what may be the
 * beginning of a match. The library does the rest: numbers, repetitions, order. As long as nothing of a
 * stream was changed or held it is an ordinary one, which repeats itself and comes in any order; so
 * this looks at offsets: what it has seen is left alone, and what comes too early is held whole, which
 * makes the library put things in order.
 */
#include "commands.h"
#include "appflow.h"
#include "apprun.h"
#include "jsonout.h"
#include "rewriter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct conn {
    struct rewrite_conn rw;
    uint64_t out[2]; /* by sender: bytes that have left, as the receiver counts */
    size_t held[2];
    bool begun[2], changed, stopped;
};

/* What one context has done. */
struct tally {
    struct rewrite_counts counts;
    uint64_t changed, failed, reset; /* connections */
    struct rewrite_out out;
};

struct rewrite {
    struct rewrite_rule rule;
    char *with; /* padded */
    struct tally ctx[APP_MAX_CORES];
};

/* A packet, and what it is to become. */
struct packet {
    struct app_ctx *c;
    const struct rewrite_rule *rule;
    struct tally *t;
    struct conn *conn;
    int sock, side, dir;
    struct pkt_info p;
};

static int set(const struct packet *k, size_t off, const char *data, size_t len, int what)
{
    return mtcp_setlastpkt(k->c->mctx, k->sock, k->side, (off_t)off, (byte *)(uintptr_t)data,
                           (uint16_t)len, what);
}

/* give_up: this connection is left alone from now on; if that cannot be, it is reset. */
static void give_up(struct packet *k)
{
    k->t->failed++;
    if (rewrite_owes(&k->conn->rw, REWRITE_RESPONSES)) {
        k->t->reset++;
        mtcp_reset_conn(k->c->mctx, k->sock);
        set(k, 0, NULL, 0, MOS_DROP); /* a FIN in it would seem to be the end */
    }
    k->conn->stopped = true;
}

/* swap: payload [off, off + n) becomes these bytes. => 0, or -1. */
static int swap(struct packet *k, size_t off, size_t n, const char *new_, size_t len)
{
    if (n && set(k, off, NULL, n, MOS_CHOMP | MOS_TCP_PAYLOAD) < 0)
        return -1;
    while (len) {
        size_t part = len < UINT16_MAX ? len : UINT16_MAX;

        len -= part;
        if (set(k, off, new_ + len, part, MOS_INSERT | MOS_TCP_PAYLOAD) < 0)
            return -1;
    }
    return 0;
}

/*
 * become: payload from `skip` on, n bytes of it, becomes what the rewriter has made. Where they agree at
 * both ends nothing is touched.
 */
static int become(struct packet *k, size_t skip, size_t n)
{
    const struct rewrite_out *o = &k->t->out;
    const char *was = (const char *)k->p.payload + skip;
    size_t pre = 0, post = 0, most = n < o->len ? n : o->len;

    if (n == o->len && (n == 0 || memcmp(was, o->buf, n) == 0))
        return 0;
    while (pre < most && was[pre] == o->buf[pre])
        pre++;
    while (post < most - pre && was[n - 1 - post] == o->buf[o->len - 1 - post])
        post++;
    k->t->changed += !k->conn->changed;
    k->conn->changed = true;
    return swap(k, skip + pre, n - pre - post, o->buf + pre, o->len - pre - post);
}

/* How much payload may grow without any doubt that the library takes it. */
enum { GROWS = 32768 };

/*
 * feed: n bytes from `skip` on, to the rewriter, and the packet becomes what that makes of them. => false: that
 * cannot be. Where it is shown again, less at a time, nothing has happened.
 */
static bool feed(struct packet *k, size_t skip, size_t n, bool fin)
{
    struct conn *x = k->conn;
    struct rewrite_out *o = &k->t->out;
    struct rewrite_counts counts = k->t->counts;
    struct rewrite_conn was;
    bool large = n / k->rule->nfind * k->rule->nwith > GROWS, ok;

    if (large && !rewrite_save(&x->rw, k->dir, x->held[k->dir], &was))
        return false;
    rewrite_feed(&x->rw, k->rule, &k->t->counts, k->dir, (const char *)k->p.payload + skip, n, fin,
                 o);
    ok = !o->failed && become(k, skip, n - o->hold) == 0 &&
         (o->hold == 0 || set(k, skip + o->len, NULL, 0, MOS_HOLD) == 0);
    if (!ok && large && !o->failed && errno == EAGAIN) {
        rewrite_back(&x->rw, k->dir, &was);
        k->t->counts = counts;
        return true;
    }
    if (large)
        rewrite_saved(k->dir, &was);
    if (!ok)
        return false;
    x->out[k->dir] += o->len;
    x->held[k->dir] = fin ? 0 : o->hold;
    return true;
}

/* work_on: payload from `skip` on is new. */
static void work_on(struct packet *k, size_t skip, bool fin)
{
    struct conn *x = k->conn;
    size_t n = k->p.payloadlen - skip;

    if (rewrite_passes(&x->rw, k->rule, k->dir, (const char *)k->p.payload + skip, n)) {
        x->out[k->dir] += n;
        x->held[k->dir] = 0;
        return;
    }
    if (!feed(k, skip, n, fin))
        give_up(k);
}

/* in_order: what the packet brings that is new, from the next byte on. => false: nothing, now. */
static bool in_order(struct packet *k, size_t *skip)
{
    struct conn *x = k->conn;
    uint64_t off = k->p.offset;
    int d = k->dir;

    if (!x->begun[d]) {
        struct mos_flow_info info;

        x->begun[d] = true;
        if (flow_info(k->c->mctx, k->sock, &info) == 0 && (info.flags & MOS_FLOWF_MIDSTREAM))
            x->out[d] = off;
    }
    if (x->held[d] && off == x->out[d] + x->held[d]) {
        rewrite_left(&x->rw, k->rule, &k->t->counts, d, x->held[d], (const char *)k->p.payload,
                     k->p.payloadlen);
        x->out[d] = off;
        x->held[d] = 0;
    }
    if (off > x->out[d]) {
        if (set(k, 0, NULL, 0, MOS_HOLD) < 0)
            give_up(k);
        return false;
    }
    *skip = (size_t)(x->out[d] - off);
    return *skip < k->p.payloadlen || (*skip == k->p.payloadlen && (tcp_flags(&k->p) & APP_FIN));
}

static struct conn *conn_of(struct packet *k)
{
    struct conn *x = mtcp_get_uctx(k->c->mctx, k->sock);

    if (x)
        return x;
    x = calloc(1, sizeof(*x));
    if (x == NULL) {
        app_failed(k->c->app, "out of memory");
        return NULL;
    }
    mtcp_set_uctx(k->c->mctx, k->sock, x);
    rewrite_init(&x->rw, k->rule);
    return x;
}

static void release(struct conn *x)
{
    if (x)
        rewrite_fini(&x->rw);
    free(x);
}

/* let_go: nothing will ever be changed here: the library need not look at it any more. */
static void let_go(struct packet *k)
{
    int both = MOS_SIDE_BOTH;
    struct conn *x = k->conn;

    if (x->changed || x->held[0] || x->held[1] || !rewrite_is_off(&x->rw))
        return;
    mtcp_set_uctx(k->c->mctx, k->sock, NULL);
    mtcp_setsockopt(k->c->mctx, k->sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
    release(x);
}

static void on_packet(mctx_t mctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct app_ctx *c = app_ctx_of(mctx);
    struct rewrite *r = c->app->data;
    struct packet k = {.c = c, .rule = &r->rule, .t = c->data, .sock = sock, .side = side};
    size_t skip;

    k.dir = side == MOS_SIDE_SVR ? REWRITE_RESPONSES : REWRITE_REQUESTS;
    if (mtcp_getlastpkt(mctx, sock, side, &k.p) < 0 || k.p.tcph == NULL ||
        (tcp_flags(&k.p) & APP_SYN) || (k.p.payloadlen == 0 && !(tcp_flags(&k.p) & APP_FIN)))
        return;
    k.conn = conn_of(&k);
    if (k.conn == NULL || k.conn->stopped)
        return;
    if (in_order(&k, &skip))
        work_on(&k, skip, tcp_flags(&k.p) & APP_FIN);
    let_go(&k);
}

static void on_end(mctx_t mctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct conn *x = mtcp_get_uctx(mctx, sock);

    mtcp_set_uctx(mctx, sock, NULL);
    release(x);
}

static int setup(struct app_ctx *c)
{
    struct rewrite *r = c->app->data;
    int none = 0;

    c->data = &r->ctx[c - c->app->ctx];
    if (mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_CLIBUF, &none, sizeof(none)) < 0 ||
        mtcp_setsockopt(c->mctx, c->listener, SOL_MONSOCKET, MOS_SVRBUF, &none, sizeof(none)) < 0 ||
        mtcp_register_callback(c->mctx, c->listener, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0)
        return -1;
    return mtcp_register_callback(c->mctx, c->listener, MOS_ON_CONN_END, MOS_HK_RCV, on_end);
}

/* ---- what was done ---- */

static struct tally sum(const struct rewrite *r)
{
    struct tally all = {.changed = 0};

    for (int i = 0; i < APP_MAX_CORES; i++) {
        const struct tally *t = &r->ctx[i];

        all.counts.replaced += t->counts.replaced;
        all.counts.responses += t->counts.responses;
        all.counts.encoded += t->counts.encoded;
        all.counts.partial += t->counts.partial;
        all.counts.unframed += t->counts.unframed;
        all.counts.late += t->counts.late;
        all.counts.missed += t->counts.missed;
        all.changed += t->changed;
        all.failed += t->failed;
        all.reset += t->reset;
    }
    return all;
}

static void say(struct app *app, const struct tally *t)
{
    const struct {
        const char *key, *words;
        uint64_t n;
    } all[] = {
        {"replaced", "strings replaced", t->counts.replaced},
        {"connections", "connections changed", t->changed},
        {"responses", "responses changed", t->counts.responses},
        {"encoded", "responses left alone: encoded", t->counts.encoded},
        {"partial", "responses left alone: a part of something", t->counts.partial},
        {"unframed", "messages left alone: of HTTP/1.0, or it is in doubt where they end",
         t->counts.unframed},
        {"late", "heads left alone: too long, or too slow", t->counts.late},
        {"missed", "strings that came too slowly to be replaced", t->counts.missed},
        {"failed", "connections given up", t->failed},
        {"reset", "of those, reset", t->reset},
    };
    char text[1024];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (app->opt->json)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"%s\":%" PRIu64 "%s",
                                  i ? "," : "{", all[i].key, all[i].n,
                                  i + 1 == sizeof(all) / sizeof(all[0]) ? "}\n" : "");
        else if (i < 3 || all[i].n)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%10" PRIu64 "  %s\n", all[i].n,
                                  all[i].words);
    }
    out_write(&app->out, text, n);
}

static int end(struct app *app)
{
    struct rewrite *r = app->data;
    struct tally all = sum(r);

    if (app->ran)
        say(app, &all);
    for (int i = 0; i < APP_MAX_CORES; i++)
        free(r->ctx[i].out.buf);
    free(r->with);
    return APP_OK;
}

/* same_length: --pad: what replaces is cut, or filled up with blanks. => NULL: no memory. */
static char *same_length(const struct appopt *opt)
{
    size_t n = strlen(opt->find), len = strlen(opt->with);
    char *with = malloc(n + 1);

    if (with == NULL)
        return NULL;
    memset(with, ' ', n);
    memcpy(with, opt->with, len < n ? len : n);
    with[n] = '\0';
    return with;
}

static int run(const struct appopt *opt)
{
    static const struct app_hooks hooks = {.rmem = 65536, .setup = setup, .end = end};
    struct rewrite *r = calloc(1, sizeof(*r));
    int status;

    if (r == NULL)
        return complain(APP_BROKEN, "out of memory");
    r->with = opt->pad ? same_length(opt) : strdup(opt->with);
    r->rule = (struct rewrite_rule){
        .find = opt->find, .with = r->with, .nfind = strlen(opt->find), .raw = opt->raw};
    if (r->with == NULL) {
        free(r);
        return complain(APP_BROKEN, "out of memory");
    }
    r->rule.nwith = strlen(r->with);
    status = app_run(opt, &hooks, r);
    free(r);
    return status;
}

const struct command cmd_rewrite = {
    .name = "rewrite",
    .does = "replace a string in what passes, whatever its length",
    .about =
        "Replace a string in the bodies of HTTP/1.x responses, or with --raw in all that TCP\n"
        "carries, on the way from one interface to the other, or into a capture (-w).\n"
        "\n"
        "Responses whose length was announced go on in chunks, where both ends speak HTTP/1.1, or\n"
        "up to the end of a connection that ends with them; requests ask for no encoding. What is\n"
        "compressed, a part of something (206), framed in doubt, or not HTTP is left alone, and\n"
        "counted. --pad keeps every length.",
    .examples = "  weir rewrite --find cloud --with butt -i eth1 -o eth2 tcp port 80\n"
                "  weir rewrite --find secret --with '' -r trace.pcap -w clean.pcap\n"
                "  weir rewrite --raw --pad --find password --with xxxxxxxx -i eth1 -o eth2\n",
    .takes = TAKES_REWRITE,
    .run = run,
};
