// SPDX-License-Identifier: BSD-2-Clause
/*
 * Flows whose streams an application edits move to another context at random frames: with bytes held,
 * changes kept for repetition, segments behind a hole. The frames that leave from then on and all that
 * is told are those of a run without moving, byte for byte. Ends are simple: they send with holes, out
 * of order, again and cut anew, and acknowledge what came; the first run makes the input, the others
 * repeat it. Then images with damaged bytes where the edits are: they are refused, or go on.
 *
 * SEED and RUNS choose other runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include "base/hash.h"
#include "conn/streamedit.h"
#include "engine/engine.h"
#include "frames.h"
#include "tcp/seq.h"
#include "wire/decode.h"
#include "repeat.h"

#define START  UINT64_C(1700000000000000000)
#define STREAM 6000
#define GROWN  (4 * STREAM)
#define CONNS  12
#define STEPS  1500
#define BURST  4

/* ---- what leaves and what is told, by connection ---- */

struct text {
    char *p;
    size_t n, cap;
};

static struct text told[CONNS], want[CONNS];

static void say(int c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(int c, const char *fmt, ...)
{
    struct text *t = &told[c];
    va_list v;

    if (t->cap - t->n < 3 * FRAME_ROOM) {
        t->cap = 2 * t->cap + 4 * FRAME_ROOM;
        t->p = realloc(t->p, t->cap);
        assert_non_null(t->p);
    }
    va_start(v, fmt);
    t->n += (size_t)vsnprintf(t->p + t->n, t->cap - t->n, fmt, v);
    va_end(v);
}

static void say_bytes(int c, const uint8_t *p, uint32_t n)
{
    static const char digit[] = "0123456789abcdef";
    char hex[2 * FRAME_ROOM + 1];

    assert_true(n <= FRAME_ROOM);
    for (uint32_t i = 0; i < n; i++) {
        hex[2 * i] = digit[p[i] >> 4];
        hex[2 * i + 1] = digit[p[i] & 15];
    }
    hex[2 * n] = 0;
    say(c, " %s\n", hex);
}

static void forget(struct text *t)
{
    for (int i = 0; i < CONNS; i++)
        free(t[i].p);
    memset(t, 0, CONNS * sizeof(*t));
}

/* ---- the input: frames in bursts, or only time ---- */

struct step {
    uint64_t ts;
    int n; /* 0: mtcp_tick */
    struct mtcp_frame frame[BURST];
};

struct end {
    uint32_t iss;
    uint8_t tx[STREAM];
    int ntx, nxt, una; /* offsets */
    uint8_t have[GROWN];
    int rcv, top, fin;
};

static struct step step[STEPS];
static int nsteps;
static struct end ends[CONNS][2];
static bool making; /* the ends listen */
static bool broken; /* of damaged images anything may come */
static struct rng r;

static int below(int n)
{
    return n > 0 ? (int)rng_below(&r, (uint32_t)n) : 0;
}

static void drop_input(void)
{
    for (int i = 0; i < nsteps; i++)
        for (int k = 0; k < step[i].n; k++)
            free((void *)(uintptr_t)step[i].frame[k].data);
    nsteps = 0;
}

/* put: a segment of this end into the step. */
static void put(struct step *s, int c, int from, struct frame f)
{
    static struct frame_buf b;
    const struct end *e = &ends[c][from], *o = &ends[c][!from];
    struct pktbuf *p;
    uint8_t *copy;

    f.sport = (uint16_t)(1000 + c);
    f.reply = from;
    f.seq += e->iss;
    if (strchr(f.flags, '.'))
        f.ack = o->iss + 1 + (uint32_t)e->rcv + (e->fin >= 0 && e->rcv >= e->fin);
    if (c % 2) {
        f.has_ts = true;
        f.ts[0] = (uint32_t)((s->ts - START) / 1000000) + 1;
        f.ts[1] = f.ack ? f.ts[0] - 1 : 0;
    }
    if (c % 3 == 0)
        f.sackok = strchr(f.flags, 'S') != NULL;
    for (int i = e->rcv + 1; c % 3 == 0 && i < e->top; i++)
        if (e->have[i]) {
            f.sack[0] = f.sack[0] ? f.sack[0] : o->iss + 1 + (uint32_t)i;
            f.sack[1] = o->iss + 1 + (uint32_t)i + 1;
            if (!e->have[i + 1])
                break;
        }
    p = frame_tcp(&b, f);
    copy = malloc(p->len);
    assert_non_null(copy);
    memcpy(copy, p->data, p->len);
    s->frame[s->n++] = (struct mtcp_frame){
        .data = copy, .len = p->len, .wire_len = p->len, .ts_ns = s->ts, .linktype = 1};
}

/* transmit: something that an end could send next, or again. */
static void transmit(struct step *s, int c, int from)
{
    struct end *e = &ends[c][from];
    int at = e->nxt, len = 1 + below(below(4) ? 60 : 900), way = below(10);

    if (way == 0) { /* lost in front of the box */
        e->nxt = e->nxt + len < e->ntx ? e->nxt + len : e->ntx;
        return;
    }
    if (way < 4 || at == e->ntx)
        at = below(3) ? e->una : e->una + below(e->nxt - e->una);
    if (way == 9 || at > e->ntx) {
        put(s, c, from, (struct frame){.flags = ".", .seq = 1 + (uint32_t)e->nxt});
        return;
    }
    len = at + len < e->ntx ? len : e->ntx - at;
    e->nxt = at + len > e->nxt ? at + len : e->nxt;
    put(s, c, from,
        (struct frame){.flags = at + len == e->ntx ? "F." : ".",
                       .seq = 1 + (uint32_t)at,
                       .payload = len ? e->tx + at : NULL,
                       .plen = (uint32_t)len});
}

static void make_step(struct step *s, int i, int conns, uint64_t *now)
{
    *now += 1000 + (uint64_t)below(below(8) ? 6000000 : 60000000);
    *s = (struct step){.ts = *now};
    if (i < 2 * conns) {
        put(s, i / 2, i % 2, (struct frame){.flags = i % 2 ? "S." : "S"});
        return;
    }
    for (int n = below(10) ? 1 + below(below(2) ? BURST : 1) : 0; n > 0; n--) {
        int c = below(conns);

        transmit(s, c, below(2));
    }
}

static void make_ends(void)
{
    memset(ends, 0, sizeof(ends));
    for (int i = 0; i < 2 * CONNS; i++) {
        struct end *e = &ends[i / 2][i % 2];

        e->iss = below(3) ? (uint32_t)rng_next(&r) : UINT32_MAX - (uint32_t)below(STREAM);
        e->ntx = 200 + below(STREAM - 200);
        e->fin = -1;
        for (int k = 0; k < e->ntx; k++)
            e->tx[k] = (uint8_t)('a' + below(4));
    }
}

/* arrive: what an end learns of a frame. */
static void arrive(int c, int to, const struct seg *s)
{
    struct end *e = &ends[c][to], *o = &ends[c][!to];
    int off = seq_diff(s->seq, o->iss + 1), ack = seq_diff(s->ack, e->iss + 1);

    if (below(12) == 0 || (s->tflags & TH_SYN_)) /* lost behind the box */
        return;
    if (ack > e->una && ack <= e->ntx + 1)
        e->una = ack < e->ntx ? ack : e->ntx;
    for (int i = 0; i < (int)s->plen; i++)
        if (off + i >= 0 && off + i < GROWN - 1) {
            e->have[off + i] = 1;
            e->top = off + i + 1 > e->top ? off + i + 1 : e->top;
        }
    if (s->tflags & TH_FIN_)
        e->fin = off + (int)s->plen;
    while (e->have[e->rcv])
        e->rcv++;
}

/* leaves: a frame on its way out. */
static void leaves(const char *how, const uint8_t *data, uint32_t len)
{
    uint8_t copy[FRAME_ROOM];
    struct pktbuf pb = {.data = copy, .len = len, .wire_len = len, .cap = len, .linktype = 1};
    struct seg s;
    int to, c;

    if (broken)
        return;
    assert_true(len <= sizeof(copy));
    memcpy(copy, data, len);
    assert_int_equal(decode(&s, &pb), REASON_NONE);
    to = s.dport == htons(80);
    c = ntohs(to ? s.sport : s.dport) - 1000;
    assert_in_range(c, 0, CONNS - 1);
    say(c, "%s", how);
    say_bytes(c, data, len);
    if (making)
        arrive(c, to, &s);
}

static int made_frame(struct mon *m, const struct pktbuf *like, const uint8_t *frame, uint32_t len)
{
    (void)m;
    (void)like;
    leaves("made", frame, len);
    return 0;
}

/* ---- the application: what it does follows from the bytes alone ---- */

static int conn_of(mctx_t m, int sock)
{
    struct sockaddr_in a[2];
    socklen_t len = sizeof(a);

    assert_int_equal(mtcp_getpeername(m, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH), 0);
    return ntohs(a[0].sin_port) - 1000;
}

static int change(mctx_t m, int sock, int side, int c, int off, const char *data, int len, int how)
{
    int rc = mtcp_setlastpkt(m, sock, side, off, (uint8_t *)(uintptr_t)data, (uint16_t)len, how);

    say(c, "change %x at %d, %d: %d %d\n", (unsigned)how, off, len, rc, rc < 0 ? errno : 0);
    return rc;
}

/* on_edit: "ab" gets something behind it, "cd" goes, "bb" becomes upper case; ends are held. */
static void on_edit(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    static const char more[] = "0123456789012345678901234567890123456789";
    int c = conn_of(m, sock), at = 0, n, i = 0;
    uint8_t copy[FRAME_ROOM];
    struct pkt_info p;

    (void)ev;
    (void)arg;
    assert_int_equal(mtcp_getlastpkt(m, sock, side, &p), 0);
    n = p.payloadlen;
    say(c, "SND %d %d+%d %u\n", side, (int)p.offset, n, p.seq);
    memcpy(copy, p.payload, (size_t)n);
    for (; i + 2 <= n; i++, at++)
        if (memcmp(copy + i, "ab", 2) == 0) {
            int len = 1 + copy[i + 2 < n ? i + 2 : 0] % 4 * 13;

            at +=
                change(m, sock, side, c, at + 2, more, len, MOS_INSERT | MOS_TCP_PAYLOAD) ? 0 : len;
        } else if (memcmp(copy + i, "cd", 2) == 0) {
            at -= change(m, sock, side, c, at, NULL, 2, MOS_CHOMP | MOS_TCP_PAYLOAD) ? 0 : 2;
            i++;
            at++;
        } else if (memcmp(copy + i, "bb", 2) == 0) {
            change(m, sock, side, c, at, "BB", 2,
                   MOS_OVERWRITE | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM);
        }
    if (n && copy[n - 1] != 'd')
        change(m, sock, side, c, at + n - i - (copy[n - 1] == 'a' || n < 9 ? 1 : 9), NULL, 0,
               MOS_HOLD);
}

static void on_any(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    int c = conn_of(m, sock);
    struct mos_flow_info f;
    socklen_t len = sizeof(f);
    char buf[700];
    ssize_t got = 0;

    (void)arg;
    if (ev == MOS_ON_CONN_NEW_DATA)
        got = mtcp_peek(m, sock, side, buf, sizeof(buf));
    assert_int_equal(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &f, &len), 0);
    say(c, "told %d %llx t%u st%u,%u p%llu,%llu rx%llu,%llu \"%.*s\"\n", side,
        (unsigned long long)ev, mtcp_cb_get_ts(m), f.state[0], f.state[1],
        (unsigned long long)f.dir[0].packets, (unsigned long long)f.dir[1].packets,
        (unsigned long long)f.dir[0].rexmit_bytes, (unsigned long long)f.dir[1].rexmit_bytes,
        (int)(got > 0 ? got : 0), buf);
}

/* ---- a run ---- */

static mctx_t begin(int cpu)
{
    static const event_t null[] = {MOS_ON_CONN_NEW_DATA, MOS_ON_GAP, MOS_ON_ERROR, MOS_ON_TIMEOUT};
    static const event_t rcv[] = {MOS_ON_PKT_IN, MOS_ON_CONN_START, MOS_ON_TCP_STATE_CHANGE,
                                  MOS_ON_REXMIT, MOS_ON_CONN_END};
    mctx_t ctx = mtcp_create_context(cpu);
    int sock;

    assert_non_null(ctx);
    mon_of(ctx)->send = made_frame;
    sock = mtcp_socket(ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    assert_int_equal(mtcp_register_callback(ctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_edit), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rcv); i++)
        assert_int_equal(mtcp_register_callback(ctx, sock, rcv[i], MOS_HK_RCV, on_any), 0);
    for (size_t i = 0; i < ARRAY_SIZE(null); i++)
        assert_int_equal(mtcp_register_callback(ctx, sock, null[i], MOS_NULL, on_any), 0);
    return ctx;
}

static void start(void)
{
    struct mtcp_conf c;

    assert_int_equal(mtcp_init(NULL), 0);
    assert_int_equal(mtcp_getconf(&c), 0);
    c.num_cores = 2;
    assert_int_equal(mtcp_setconf(&c), 0);
}

/* in_time: nothing is held longer than it may. */
static void in_time(const struct mon *m)
{
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i)) {
        const struct flow_edit *fe = edit_of(&m->env, flow_at(&m->env.ft, i));

        for (int d = 0; fe && d < 2 && !broken; d++)
            assert_true(!fe->dir[d].held || fe->dir[d].since + EDIT_HOLD_NS > m->env.now);
    }
}

static void play(mctx_t ctx, struct step *s)
{
    if (s->n == 0)
        assert_int_equal(mtcp_tick(ctx, s->ts), 0);
    else
        assert_int_equal(mtcp_push(ctx, s->frame, s->n), s->n);
    for (int i = 0; i < s->n; i++)
        if (s->frame[i].verdict != MTCP_FRAME_DROP)
            leaves("out", s->frame[i].out, s->frame[i].out_len);
    in_time(mon_of(ctx));
}

static struct {
    uint64_t flows, edited, held, kept, waiting;
} moved;

static void count(const struct mon *m)
{
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i)) {
        const struct flow_edit *fe = edit_of(&m->env, flow_at(&m->env.ft, i));

        moved.flows++;
        moved.edited += fe != NULL;
        for (int d = 0; fe && d < 2; d++) {
            moved.held += fe->dir[d].held != NULL;
            moved.kept += fe->dir[d].map.n > 0;
            moved.waiting += fe->dir[d].wait != NULL;
        }
    }
}

static void move(mctx_t from, mctx_t to)
{
    struct mon *a = mon_of(from), *b = mon_of(to);
    struct mon_regs regs = {0};
    struct image im = {0};
    size_t bytes = a->env.edit.flows.used;

    count(a);
    assert_int_equal(mtcp_tick(to, a->env.now), 0);
    b->env.now = a->env.now;
    assert_int_equal(mon_export_all(a, &regs, &im), 0);
    assert_int_equal(a->env.edit.flows.used, 0);
    assert_int_equal(a->env.edit.holds, 0);
    if (mon_import_all(b, &regs, &im) < 0)
        fail_msg("import: %s", mtcp_errstr());
    assert_int_equal(im.at, im.len);
    assert_int_equal(b->env.edit.flows.used, bytes);
    image_free(&im);
    mon_regs_free(&regs);
}

/* run: all steps; at step `at` everything moves (-1: never, -2: again and again). */
static void run(int conns, int at)
{
    uint64_t now = START;
    mctx_t ctx, other;

    start();
    ctx = begin(0);
    other = begin(1);
    for (int i = 0; i < STEPS; i++) {
        if (making)
            make_step(&step[nsteps++], i, conns, &now);
        else if (i == at || (at == -2 && below(6) == 0)) {
            mctx_t was = ctx;

            ctx = other;
            other = was;
            move(other, ctx);
        }
        play(ctx, &step[i]);
    }
    assert_int_equal(mtcp_push(ctx, NULL, 0), 0);
    assert_int_equal(mtcp_destroy_context(ctx), 0);
    assert_int_equal(mtcp_destroy_context(other), 0);
    assert_int_equal(mtcp_destroy(), 0);
}

static void compare(uint64_t seed, int at)
{
    for (int c = 0; c < CONNS; c++) {
        size_t i = 0, line = 0;

        if (told[c].n == want[c].n &&
            (told[c].n == 0 || memcmp(told[c].p, want[c].p, told[c].n) == 0))
            continue;
        for (; i < told[c].n && i < want[c].n && told[c].p[i] == want[c].p[i]; i++)
            line = told[c].p[i] == '\n' ? i + 1 : line;
        fail_msg("SEED=%llu, connection %d, moved at %d:\n  expected %.*s\n  got      %.*s",
                 (unsigned long long)seed, c, at, (int)(strcspn(want[c].p + line, "\n")),
                 want[c].p + line, (int)(strcspn(told[c].p + line, "\n")), told[c].p + line);
    }
    forget(told);
}

/* make: the input of this seed, and what becomes of it without moving. */
static int make(uint64_t seed)
{
    int conns;

    drop_input();
    forget(told);
    rng_seed(&r, seed);
    conns = 1 + below(CONNS);
    make_ends();
    making = true;
    run(conns, -1);
    making = false;
    return conns;
}

static void moves(void **state)
{
    uint64_t seed = env_number("SEED", 108);
    int rounds = (int)env_number("RUNS", 4);

    (void)state;
    for (; rounds > 0; rounds--, seed++) {
        int conns = make(seed);

        memcpy(want, told, sizeof(want));
        memset(told, 0, sizeof(told));
        for (int k = 0; k < 6; k++) {
            int at = k ? 2 * conns + below(STEPS - 2 * conns) : -2;

            run(conns, at);
            compare(seed, at);
        }
        forget(want);
        drop_input();
    }
    print_message("# SEED=%llu: moved %llu flows, edited %llu; directions that held %llu, kept "
                  "%llu, waited %llu\n",
                  (unsigned long long)env_number("SEED", 108), (unsigned long long)moved.flows,
                  (unsigned long long)moved.edited, (unsigned long long)moved.held,
                  (unsigned long long)moved.kept, (unsigned long long)moved.waiting);
    assert_true(moved.held && moved.kept && moved.waiting);
}

/* ---- damaged images ---- */

struct part {
    size_t at, len;
};

/* export: all of it; where the edits lie. => number of parts. */
static int export(struct mon *m, struct mon_regs *regs, struct image *im, struct part *part)
{
    struct image one[CONNS] = {0};
    int n = 0;

    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i))
        if (edit_of(&m->env, flow_at(&m->env.ft, i)))
            edit_export(&m->env, flow_at(&m->env.ft, i), &one[n++]);
    assert_int_equal(mon_export_all(m, regs, im), 0);
    for (int i = 0; i < n; i++) {
        const uint8_t *p = memmem(im->data, im->len, one[i].data, one[i].len);

        assert_non_null(p);
        part[i] = (struct part){.at = (size_t)(p - im->data), .len = one[i].len};
        image_free(&one[i]);
    }
    return n;
}

static void clear(struct mon *m)
{
    for (uint32_t i = ftable_next(&m->env.ft, 0); i; i = ftable_next(&m->env.ft, i)) {
        mon_abandon(m, i);
        conn_free(&m->env, i);
    }
    for (uint32_t t; ftable_tombs(&m->env.ft, &t, 1) > 0;)
        ftable_unbury(&m->env.ft, t);
    assert_int_equal(m->env.edit.flows.used, 0);
    assert_int_equal(m->env.edit.holds, 0);
}

/* try_image: it is refused, or goes on somehow. => was it refused? */
static bool try_image(uint64_t now, const struct mon_regs *regs, struct image *im, int from)
{
    mctx_t b = begin(1);
    bool refused;

    assert_int_equal(mtcp_tick(b, now), 0);
    im->at = 0;
    im->bad = false;
    errno = 0;
    refused = mon_import_all(mon_of(b), regs, im) < 0;
    assert_true(!refused || errno == EINVAL);
    for (int i = from; !refused && i < from + 60; i++)
        play(b, &step[i]);
    clear(mon_of(b));
    assert_int_equal(mtcp_destroy_context(b), 0);
    forget(told);
    return refused;
}

/*
 * behind_its_end: of each direction that is edited the first number is put behind the last. A segment between them
 * would be of the beginning and new, and shown for ever.
 */
static void behind_its_end(uint64_t now, const struct mon_regs *regs, struct image *im,
                           const struct part *part, int nparts, int from)
{
    for (int i = 0; i < nparts; i++) {
        uint8_t *at = im->data + part[i].at + 1;
        struct edit_dir was, d;

        memcpy(&was, at, sizeof(was));
        d = was;
        if (!d.on)
            continue;
        d.below = true;
        assert_false(seq_lt(d.map.nxt_s, d.start));
        d.start = d.map.nxt_s + 1 + (uint32_t)below(1000);
        memcpy(at, &d, sizeof(d));
        assert_true(try_image(now, regs, im, from));
        memcpy(at, &was, sizeof(was));
    }
}

static void damaged(void **state)
{
    uint64_t seed = env_number("SEED", 108), now;
    int rounds = 100 * (int)env_number("RUNS", 4), from = 0, nparts, refused = 0;
    struct part part[CONNS];
    struct mon_regs regs = {0};
    struct image im = {0};
    mctx_t a;

    (void)state;
    make(seed);
    start();
    a = begin(0);
    while (from < 2 * CONNS || (mon_of(a)->env.edit.holds == 0 && from < STEPS - 60))
        play(a, &step[from++]);
    now = mon_of(a)->env.now;
    nparts = export(mon_of(a), &regs, &im, part);
    assert_true(nparts > 0);
    broken = true;
    assert_false(try_image(now, &regs, &im, from));
    behind_its_end(now, &regs, &im, part, nparts, from);
    for (int i = 0; i < rounds; i++) {
        const struct part *p = &part[below(nparts)];
        uint8_t *at = im.data + p->at + below((int)(below(2) || p->len < 400 ? p->len : 400));
        uint8_t was = *at;

        *at = (uint8_t)(below(3) ? was ^ (1 << below(8)) : below(2) ? 0xff : 0);
        refused += try_image(now, &regs, &im, from);
        *at = was;
    }
    broken = false;
    print_message("# SEED=%llu: %d of %d damaged images refused\n", (unsigned long long)seed,
                  refused, rounds);
    assert_true(refused > rounds / 50);
    image_free(&im);
    mon_regs_free(&regs);
    assert_int_equal(mtcp_destroy_context(a), 0);
    assert_int_equal(mtcp_destroy(), 0);
    drop_input();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves),
        cmocka_unit_test(damaged),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
