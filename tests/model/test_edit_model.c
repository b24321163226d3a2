// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_edit_model.c: two TCP endpoints with loss, reordering, duplicates, SACK, closed windows and
 * retransmissions cut anew talk through mtcp_push, and an application replaces strings in both
 * directions, held across segments. Both must see exactly what the application made of the other's
 * stream; no byte may ever come twice with two values, no ACK be of what was not sent. Some ends are as
 * strict as Linux: what lies outside of the window they drop with its ACK, an ACK has the window's end as
 * its number where that was taken back (tcp_acceptable_seq), and after a timeout only the first bytes are
 * sent again until they are acknowledged. Some read slowly.
 * RUNS and SEED in the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>

#include <mos_api.h>

#include "base/errtext.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "frames.h"
#include "repeat.h"
#include "tcp/seq.h"
#include "wire/csum.h"
#include "wire/decode.h"

#define STREAM  6000   /* bytes that an end sends at most */
#define GROWN   240000 /* that they may become */
#define FLIGHT  4096   /* packets under way */
#define MSEC    UINT64_C(1000000)
#define START   UINT64_C(1700000000000000000)
#define RTO     (200 * MSEC)
#define SCOLD   (500 * MSEC) /* between answers to ACKs out of place */
#define PATTERN 6

struct end {
    uint32_t iss, irs;
    uint8_t tx[STREAM];
    int ntx;
    int una, nxt, max, edge; /* offsets; the FIN is at ntx */
    int wl1;                 /* the segment that has told edge (RFC 9293 3.10.7.4) */
    bool sacked[STREAM + 1];
    int dup;
    uint64_t rto;
    uint8_t rx[GROWN];
    bool have[GROWN + 1];
    int rcv, fin, wnd, promised; /* fin: where the other's is, -1: not seen; wnd: an empty buffer */
    int read, pace;              /* what its reader has; takes at a time, 0: all */
    bool lost;                   /* after a timeout, until something is acknowledged */
    uint64_t scold;              /* when an ACK out of place is answered again */
    int newest, top;             /* where the last bytes came; behind all */
    bool ack_due;
    uint32_t ts_recent;
    uint32_t longest; /* datagram that it has sent */
    int last_ack;
};

struct packet {
    uint64_t at;
    int to; /* 0, 1: an end; 2: the box */
    uint32_t len;
    uint8_t *data;
};

/* What the application has done to what one end sends. */
struct work {
    char pattern[PATTERN + 1], replace[40];
    uint8_t want[GROWN];
    int out, held; /* bytes that have left; held */
    uint8_t hold[PATTERN];
    int changes;
};

static struct {
    struct rng r;
    mctx_t ctx;
    int lst;
    uint64_t now, born; /* the connection */
    struct end e[2];
    struct work w[2];
    struct packet *net;
    int nnet, mss, loss, jitter, alphabet;
    bool ts, sack, drops, strict;
    uint64_t packets, changes, clean, refused;
} m;

static uint64_t seed;
static int run, trace = -1;

#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s; SEED=%llu, run %d, %.3f s: ", #cond, (unsigned long long)seed,    \
                    run, (double)(m.now - START) / 1e9);                                           \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static int below(int n)
{
    return n > 0 ? (int)rng_below(&m.r, (uint32_t)n) : 0;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* ---- the net ---- */

/* show: TRACE=run tells of every packet. */
static void show(const char *what, const uint8_t *data, uint32_t len)
{
    struct pktbuf pb = {
        .data = (uint8_t *)(uintptr_t)data, .len = len, .wire_len = len, .cap = len, .linktype = 1};
    struct seg s;
    int side;

    if (trace != run || decode(&s, &pb) != REASON_NONE)
        return;
    side = s.dport != htons(80);
    fprintf(stderr, "%.4f %s %d: %d+%u%s%s ack %d win %u \"%.*s\"", (double)(m.now - START) / 1e9,
            what, side, seq_diff(s.seq, m.e[side].iss + 1), s.plen,
            s.tflags & TH_FIN_ ? " FIN" : "", s.tflags & TH_SYN_ ? " SYN" : "",
            seq_diff(s.ack, m.e[!side].iss + 1), s.win, (int)(s.plen < 20 ? s.plen : 20),
            (const char *)seg_payload(&s));
    for (int i = 0; i < s.nsack; i++)
        fprintf(stderr, " %d:%d", seq_diff(s.sack[i].start, m.e[!side].iss + 1),
                seq_diff(s.sack[i].end, m.e[!side].iss + 1));
    fprintf(stderr, "\n");
}

static void carry(int to, const uint8_t *data, uint32_t len)
{
    int copies = below(1000) < m.loss ? 0 : below(1000) < m.loss ? 2 : 1;

    m.packets++;
    while (copies-- > 0) {
        struct packet *p = &m.net[m.nnet++];

        CHECK(m.nnet < FLIGHT, "too many packets");
        *p = (struct packet){.at = m.now + MSEC + (uint64_t)below(m.jitter + 1) * MSEC / 4,
                             .to = to,
                             .len = len,
                             .data = malloc(len)};
        memcpy(p->data, data, len);
    }
}

/* ---- an end sends ---- */

static void put_sacks(struct end *e, struct frame *f)
{
    int n = 0, max = m.ts ? 3 : 4;

    if (!m.sack)
        return;
    for (int pass = 0; pass < 2; pass++)
        for (int i = e->rcv + 1; i < e->top && n < max; i++) {
            int start = i;

            if (!e->have[i])
                continue;
            while (i < e->top && e->have[i])
                i++;
            if ((pass == 0) != (e->newest >= start && e->newest < i))
                continue;
            f->sack[2 * n] = e->irs + 1 + (uint32_t)start;
            f->sack[2 * n++ + 1] = e->irs + 1 + (uint32_t)i;
        }
}

static void send_segment(int side, int off, int len, bool fin)
{
    static struct frame_buf b;
    struct end *e = &m.e[side];
    struct frame f = {.reply = side == 1, .seq = e->iss + 1 + (uint32_t)off};
    int room = e->wnd - (e->rcv - e->read), wnd = room - below(room / 2 + 1);
    struct pktbuf *p;

    if (e->pace && wnd < least(m.mss, e->wnd / 2)) /* RFC 9293 3.8.6.2.2 */
        wnd = 0;
    if (e->rcv + wnd < e->promised)
        wnd = e->promised - e->rcv;
    e->promised = e->rcv + wnd;
    f.ack = e->irs + 1 + (uint32_t)e->rcv + (e->fin >= 0 && e->rcv >= e->fin);
    f.win = wnd ? wnd : FRAME_ZERO;
    f.flags = fin ? (len ? "FP." : "F.") : len && below(2) ? "P." : ".";
    f.payload = len ? e->tx + off : NULL;
    f.plen = (uint32_t)len;
    if (m.ts) {
        f.has_ts = true;
        f.ts[0] = (uint32_t)((m.now - m.born) / MSEC) + 1000;
        f.ts[1] = e->ts_recent;
    }
    put_sacks(e, &f);
    e->ack_due = false;
    e->last_ack = (int)(f.ack - e->irs - 1);
    p = frame_tcp(&b, f);
    carry(2, p->data, p->len);
    if (e->longest < p->len - 14)
        e->longest = p->len - 14;
    if (off + len + fin > e->max)
        e->max = off + len + fin;
}

/* again: the first bytes that are not known to be there, cut anew; perhaps more than was sent before. */
static void again(int side)
{
    struct end *e = &m.e[side];
    int from = e->una, len;

    if (e->una > e->ntx)
        return;
    while (from < least(e->max, e->ntx) && e->sacked[from])
        from++;
    if (from >= e->max)
        from = e->una;
    len = least(1 + below(m.mss), e->ntx - from);
    if (from + len > e->max && from + len > e->edge)
        len = e->max - from > 0 ? least(e->max - from, e->ntx - from) : 0;
    send_segment(side, from, len, from + len == e->ntx && (e->max > e->ntx || below(2)));
    if (e->nxt < from + len)
        e->nxt = from + len;
}

/* go_back: the timer says that all of it is lost. */
static void go_back(int side)
{
    m.e[side].nxt = m.e[side].una;
    m.e[side].lost = m.strict;
    again(side);
}

/* ack_at: the number of a bare ACK. */
static int ack_at(const struct end *e)
{
    if (!m.strict || e->edge >= e->max)
        return e->max;
    return e->edge;
}

/* take_in: the reader does; the window that opens is told. */
static void take_in(int side)
{
    struct end *e = &m.e[side];
    int n = e->rcv - e->read;

    if (e->pace) {
        if (n == 0 || below(8))
            return;
        n = least(n, e->pace);
        e->ack_due |= e->promised - e->rcv < e->wnd / 4;
    }
    e->read += n;
}

static void push_out(int side)
{
    struct end *e = &m.e[side];

    while (!e->lost && e->nxt < e->ntx && e->nxt < e->edge && e->nxt - e->una < 4000 && below(4)) {
        int len = least(least(1 + below(m.mss), e->ntx - e->nxt), e->edge - e->nxt);

        send_segment(side, e->nxt, len, e->nxt + len == e->ntx && below(2));
        e->nxt += len;
    }
    if (!e->lost && e->nxt == e->ntx && e->max == e->ntx && below(3) == 0)
        send_segment(side, e->ntx, 0, true);
    if (e->una <= e->ntx && m.now >= e->rto) {
        memset(e->sacked, 0, sizeof(e->sacked)); /* RFC 2018 8 */
        if (e->una < e->max || e->nxt < e->edge)
            go_back(side);
        else if (below(2)) /* the window is closed */
            send_segment(side, e->una - 1, 0, false);
        else if (e->una < e->ntx)
            send_segment(side, e->una, 1, false);
        e->rto = m.now + RTO;
    }
    if (e->ack_due && below(2))
        send_segment(side, ack_at(e), 0, false);
}

/* ---- an end receives ---- */

/* newer_window: Linux: tcp_may_update_window. */
static bool newer_window(const struct end *e, const struct seg *s, int ack)
{
    int off = seq_diff(s->seq, e->irs + 1);

    return ack > e->una || off > e->wl1 ||
           (off == e->wl1 && (ack + s->win > e->edge || s->win == 0));
}

static void take_ack(int side, const struct seg *s)
{
    struct end *e = &m.e[side];
    int ack = seq_diff(s->ack, e->iss + 1);

    CHECK(ack <= e->max, "%d: ACK of %d, sent %d", side, ack, e->max);
    if (ack < e->una)
        return;
    if (!m.strict || newer_window(e, s, ack)) {
        e->edge = ack + s->win;
        e->wl1 = seq_diff(s->seq, e->irs + 1);
    }
    if (ack > e->una) {
        e->una = ack;
        e->dup = 0;
        e->lost = false;
        e->rto = m.now + RTO;
        if (e->nxt < least(ack, e->ntx))
            e->nxt = least(ack, e->ntx);
    } else if (s->plen == 0 && ++e->dup == 3) {
        again(side);
    }
    for (int i = 0; i < s->nsack; i++) {
        int from = seq_diff(s->sack[i].start, e->iss + 1),
            to = seq_diff(s->sack[i].end, e->iss + 1);

        CHECK(from < to && to <= e->max, "%d: SACK %d-%d, sent %d", side, from, to, e->max);
        for (int k = from < 0 ? 0 : from; k < to && k < e->ntx; k++)
            e->sacked[k] = true;
    }
}

static void take_bytes(int side, const struct seg *s)
{
    struct end *e = &m.e[side];
    int off = seq_diff(s->seq, e->irs + 1);

    if (off > e->promised) {
        e->ack_due = true;
        return;
    }
    for (int i = 0; i < (int)s->plen; i++) {
        int at = off + i;

        if (at < 0 || at >= e->promised)
            continue;
        CHECK(at < GROWN, "too many bytes");
        CHECK(!e->have[at] || e->rx[at] == seg_payload(s)[i], "%d: byte %d was %02x, is %02x", side,
              at, e->rx[at], seg_payload(s)[i]);
        CHECK(e->fin < 0 || at < e->fin, "%d: byte %d behind the FIN", side, at);
        e->rx[at] = seg_payload(s)[i];
        e->have[at] = true;
        e->newest = at;
        e->top = e->top > at ? e->top : at + 1;
    }
    if (s->tflags & TH_FIN_) {
        CHECK(e->fin < 0 || e->fin == off + (int)s->plen, "%d: two FINs", side);
        e->fin = off + (int)s->plen;
    }
    while (e->rcv < GROWN && e->have[e->rcv])
        e->rcv++;
    if (s->plen || (s->tflags & TH_FIN_) || off < e->rcv)
        e->ack_due = true;
}

/* old_stamp: RFC 7323 5.3. */
static bool old_stamp(struct end *e, const struct seg *s)
{
    if (!m.ts)
        return false;
    if (seq_lt(s->tsval, e->ts_recent))
        return true;
    if (seq_diff(s->seq, e->irs + 1) <= e->last_ack)
        e->ts_recent = s->tsval;
    return false;
}

/* out_of_place: Linux: tcp_sequence. It is answered, and dropped with its ACK. */
static bool out_of_place(struct end *e, const struct seg *s)
{
    int off = seq_diff(s->seq, e->irs + 1), end = off + (int)s->plen + !!(s->tflags & TH_FIN_);

    if (!m.strict || (end >= e->last_ack && off <= e->promised &&
                      (e->read == e->rcv || off + (int)s->plen <= e->promised)))
        return false;
    if (s->plen || m.now >= e->scold) {
        e->ack_due = true;
        e->scold = m.now + SCOLD;
    }
    return true;
}

static void arrive(int side, const uint8_t *data, uint32_t len)
{
    uint8_t copy[FRAME_ROOM];
    struct pktbuf pb = {.data = copy, .len = len, .wire_len = len, .cap = len, .linktype = 1};
    bool known;
    struct seg s;

    CHECK(len <= sizeof(copy), "%u bytes", len);
    memcpy(copy, data, len);
    CHECK(decode(&s, &pb) == REASON_NONE, "%d: %s", side, reason_text(s.reason));
    show("arrives", data, len);
    CHECK(csum_tcp_ok(&s, &known) && known, "%d: checksum", side);
    CHECK(s.dport == htons(side ? 80 : 1234), "%d: port %d", side, ntohs(s.dport));
    CHECK(s.ip_len <= 576 || s.ip_len <= m.e[!side].longest, "%d: a datagram of %u", side,
          s.ip_len);
    if (old_stamp(&m.e[side], &s)) {
        m.e[side].ack_due = true;
        return;
    }
    if (out_of_place(&m.e[side], &s))
        return;
    take_ack(side, &s);
    take_bytes(side, &s);
}

/* ---- the application ---- */

static int setpkt(int sock, int side, int off, const void *data, int len, int option)
{
    return mtcp_setlastpkt(m.ctx, sock, side, off, (uint8_t *)(uintptr_t)data, (uint16_t)len,
                           option);
}

/* current: the payload's length now. */
static int current(int sock, int side)
{
    struct pkt_info p;

    CHECK(mtcp_getlastpkt(m.ctx, sock, side, &p) == 0, "%s", mtcp_errstr());
    return p.payloadlen;
}

/* change: the pattern at `at` of the payload becomes what replaces it. => false: that is refused. */
static bool change(int sock, int side, struct work *w, int at)
{
    int plen = (int)strlen(w->pattern), rlen = (int)strlen(w->replace);

    if (plen == rlen && below(2)) {
        /* holding nothing: from now on it is kept, and repeated without us */
        if (setpkt(sock, side, current(sock, side), NULL, 0, MOS_HOLD) == 0 &&
            setpkt(sock, side, at, w->replace, rlen,
                   MOS_OVERWRITE | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM) == 0)
            return true;
    } else if (setpkt(sock, side, at, NULL, plen, MOS_CHOMP | MOS_TCP_PAYLOAD) == 0) {
        CHECK(rlen == 0 ||
                  setpkt(sock, side, at, w->replace, rlen, MOS_INSERT | MOS_TCP_PAYLOAD) == 0,
              "INSERT: %s", mtcp_errstr());
        return true;
    }
    CHECK(errno == EINVAL || errno == EOPNOTSUPP, "%s", mtcp_errstr());
    m.refused++;
    return false;
}

/* partial: how many bytes at the end may be the beginning of the pattern. */
static int partial(const struct work *w, const uint8_t *p, int n)
{
    int k = least((int)strlen(w->pattern) - 1, n);

    while (k > 0 && memcmp(p + n - k, w->pattern, (size_t)k) != 0)
        k--;
    return k;
}

static void leave(struct work *w, const uint8_t *p, int n)
{
    CHECK(w->out + n <= GROWN, "too many bytes");
    memcpy(w->want + w->out, p, (size_t)n);
    w->out += n;
}

/* edit: replace in p, n bytes at `at` of the payload. => bytes at its end that are to be held. */
static int edit(int sock, int side, struct work *w, const uint8_t *p, int n, int at)
{
    int plen = (int)strlen(w->pattern), i = 0;

    while (i + plen <= n) {
        if (memcmp(p + i, w->pattern, (size_t)plen) != 0 || !change(sock, side, w, at)) {
            leave(w, p + i++, 1);
            at++;
            continue;
        }
        leave(w, (uint8_t *)w->replace, (int)strlen(w->replace));
        at += (int)strlen(w->replace);
        i += plen;
        w->changes++;
    }
    plen = partial(w, p + i, n - i);
    leave(w, p + i, n - i - plen);
    return plen;
}

static void hold(int sock, int side, struct work *w, const uint8_t *p, int n, int off)
{
    if (n && setpkt(sock, side, off, NULL, 0, MOS_HOLD) < 0) {
        CHECK(errno == EINVAL || errno == EOPNOTSUPP, "%s", mtcp_errstr());
        leave(w, p, n);
        n = 0;
    }
    w->held = n;
    memcpy(w->hold, p, (size_t)n);
}

static void on_packet(mctx_t ctx, int sock, int side, uint64_t ev, filter_arg_t *arg)
{
    struct work *w = &m.w[side == MOS_SIDE_SVR];
    struct end *e = &m.e[side == MOS_SIDE_SVR];
    struct pkt_info p;
    uint8_t copy[GROWN];
    int at, n, skip = 0, tail;
    bool fin;

    CHECK(mtcp_getlastpkt(ctx, sock, side, &p) == 0, "%s", mtcp_errstr());
    n = p.payloadlen;
    fin = p.tcph->fin;
    if (p.tcph->syn || (n == 0 && !fin))
        return;
    if (trace == run)
        fprintf(stderr, "  app %d: %d+%d at %d%s, out %d held %d\n", side == MOS_SIDE_SVR,
                (int)p.offset, n, seq_diff(p.seq, e->iss + 1), fin ? " FIN" : "", w->out, w->held);
    /* once the numbers are shifted for good, what is dropped has not been sent */
    if (m.drops && w->changes && strlen(w->pattern) != strlen(w->replace) && below(50) == 0) {
        setpkt(sock, side, 0, NULL, 0, MOS_DROP);
        return;
    }
    at = seq_diff(p.seq, e->iss + 1);
    CHECK(n == 0 || memcmp(p.payload, e->tx + at, (size_t)n) == 0, "it was not sent: %d+%d", at, n);
    if (w->held && (int)p.offset != w->out && (int)p.offset + n > w->out) { /* it has left */
        leave(w, w->hold, w->held);
        w->held = 0;
    }
    if ((int)p.offset > w->out) {
        CHECK(setpkt(sock, side, 0, NULL, 0, MOS_HOLD) == 0, "%s", mtcp_errstr());
        return;
    }
    skip = w->out - (int)p.offset;
    if (skip >= n)
        return;
    memcpy(copy, p.payload, (size_t)n);
    w->held = 0;
    tail = edit(sock, side, w, copy + skip, n - skip, skip);
    mtcp_getlastpkt(ctx, sock, side, &p);
    if (fin)
        leave(w, copy + n - tail, tail);
    else
        hold(sock, side, w, copy + n - tail, tail, p.payloadlen - tail);
}

/* ---- the box ---- */

static int catch (struct mon *mon, const struct pktbuf *like, const uint8_t *frame, uint32_t len)
{
    uint8_t copy[FRAME_ROOM];
    struct pktbuf pb = {.data = copy, .len = len, .wire_len = len, .cap = len, .linktype = 1};
    struct seg s;

    CHECK(len <= sizeof(copy), "%u bytes", len);
    memcpy(copy, frame, len);
    CHECK(decode(&s, &pb) == REASON_NONE, "%s", reason_text(s.reason));
    show("made", copy, len);
    carry(s.dport == htons(80), copy, len);
    return 0;
}

/* The frame lies where it may stay (no copy is made of it but before a change), and is as it was afterwards. */
static void through(const uint8_t *frame, uint32_t len)
{
    static _Alignas(4) uint8_t room[FRAME_ROOM + 2];
    uint8_t *data = memcpy(room + 2, frame, len);
    struct mtcp_frame f = {.data = data, .len = len, .wire_len = len, .ts_ns = m.now};
    struct pktbuf pb = {.data = data, .len = len, .wire_len = len, .cap = len, .linktype = 1};
    struct seg s;

    CHECK(decode(&s, &pb) == REASON_NONE, "%s", reason_text(s.reason));
    show("in", data, len);
    CHECK(mtcp_push(m.ctx, &f, 1) == 1, "%s", mtcp_errstr());
    CHECK(memcmp(data, frame, len) == 0, "a frame of the program was written to");
    if (f.verdict != MTCP_FRAME_DROP)
        show("out", f.out, f.out_len);
    if (f.verdict != MTCP_FRAME_DROP)
        carry(s.dport == htons(80), f.out, f.out_len);
}

static void deliver(void)
{
    for (int i = 0; i < m.nnet;) {
        struct packet p = m.net[i];

        if (p.at > m.now) {
            i++;
            continue;
        }
        m.net[i] = m.net[--m.nnet];
        if (p.to == 2)
            through(p.data, p.len);
        else
            arrive(p.to, p.data, p.len);
        free(p.data);
    }
}

/* ---- a connection ---- */

static void some_text(char *p, int least_, int most)
{
    int n = least_ + below(most - least_ + 1);

    for (int i = 0; i < n; i++)
        p[i] = (char)('a' + below(m.alphabet));
    p[n] = 0;
}

static void new_end(int side)
{
    struct end *e = &m.e[side];

    memset(e, 0, sizeof(*e));
    e->iss = below(4) ? (uint32_t)rng_next(&m.r) : UINT32_MAX - (uint32_t)below(STREAM);
    e->ntx = below(8) ? below(STREAM) : 0;
    for (int i = 0; i < e->ntx; i++)
        e->tx[i] = (uint8_t)('a' + below(m.alphabet));
    e->fin = -1;
    e->wnd = e->promised = 200 + below(8000);
    e->pace = below(3) ? 0 : 20 + below(1000);
    memset(&m.w[side], 0, sizeof(m.w[side]));
    some_text(m.w[side].pattern, 1, PATTERN);
    some_text(m.w[side].replace, 0, below(2) ? 8 : 39);
}

static void begin(void)
{
    static struct frame_buf b;
    struct end *c = &m.e[0], *s = &m.e[1];
    struct pktbuf *p;

    m.born = m.now;
    m.mss = 12 + below(below(2) ? 60 : 1000);
    m.loss = below(3) ? below(100) : 0;
    m.jitter = below(3) ? below(40) : 0;
    m.alphabet = 2 + below(4);
    m.ts = below(2);
    m.sack = below(3) > 0;
    m.drops = below(5) == 0;
    m.strict = below(2);
    new_end(0);
    new_end(1);
    c->irs = s->iss;
    s->irs = c->iss;
    c->edge = s->promised;
    s->edge = c->promised;
    c->rto = s->rto = m.now + RTO;
    p = frame_tcp(&b, (struct frame){.flags = "S",
                                     .seq = c->iss,
                                     .win = c->wnd,
                                     .sackok = m.sack,
                                     .has_ts = m.ts,
                                     .ts = {1, 0}});
    through(p->data, p->len);
    p = frame_tcp(&b, (struct frame){.reply = true,
                                     .flags = "S.",
                                     .seq = s->iss,
                                     .ack = c->iss + 1,
                                     .win = s->wnd,
                                     .sackok = m.sack,
                                     .has_ts = m.ts,
                                     .ts = {1, 1}});
    through(p->data, p->len);
    for (int i = 0; i < m.nnet; i++)
        free(m.net[i].data);
    m.nnet = 0; /* both have come */
    c->ts_recent = s->ts_recent = 1;
    c->ack_due = true;
}

static bool done(void)
{
    for (int i = 0; i < 2; i++)
        if (m.e[i].una <= m.e[i].ntx || m.e[i].fin < 0 || m.e[i].rcv < m.e[i].fin)
            return false;
    return true;
}

/* compare: what came is what the application made of it; without a hurry that is all there is. */
static void compare(bool calm)
{
    for (int i = 0; i < 2; i++) {
        struct work *w = &m.w[i];
        const struct end *from = &m.e[i], *to = &m.e[!i];
        struct work all = {.out = 0};

        leave(w, w->hold, w->held);
        CHECK(to->fin == w->out, "%d: %d bytes, %d should be", i, to->fin, w->out);
        CHECK(memcmp(to->rx, w->want, (size_t)w->out) == 0, "%d: other bytes", i);
        m.changes += (uint64_t)w->changes;
        if (!calm)
            continue;
        for (int k = 0, n = (int)strlen(w->pattern); k < from->ntx;) {
            if (k + n <= from->ntx && memcmp(from->tx + k, w->pattern, (size_t)n) == 0) {
                leave(&all, (uint8_t *)w->replace, (int)strlen(w->replace));
                k += n;
            } else {
                leave(&all, from->tx + k++, 1);
            }
        }
        CHECK(all.out == w->out && memcmp(all.want, w->want, (size_t)all.out) == 0,
              "%d: not everything was replaced", i);
    }
    m.clean += calm;
}

static uint64_t reason(enum reason r)
{
    return engine.ctx[0].m->env.reasons[r];
}

static void connection(void)
{
    uint64_t flushed = reason(REASON_EDIT_FLUSH), refused = m.refused;

    begin();
    for (uint64_t i = 0; !done(); i++) {
        CHECK(i < 400000, "it does not end: una %d of %d, rcv %d of %d; una %d of %d, rcv %d of %d",
              m.e[0].una, m.e[0].ntx, m.e[0].rcv, m.e[0].fin, m.e[1].una, m.e[1].ntx, m.e[1].rcv,
              m.e[1].fin);
        m.now += MSEC / 2;
        deliver();
        take_in(0);
        take_in(1);
        push_out(0);
        push_out(1);
        if (i % 8 == 0)
            CHECK(mtcp_tick(m.ctx, m.now) == 0, "%s", mtcp_errstr());
    }
    compare(flushed == reason(REASON_EDIT_FLUSH) && refused == m.refused);
    for (int i = 0; i < m.nnet; i++)
        free(m.net[i].data);
    m.nnet = 0;
    m.now += 1000000 * MSEC; /* the flow goes */
    CHECK(mtcp_tick(m.ctx, m.now) == 0, "%s", mtcp_errstr());
    CHECK(engine.ctx[0].m->env.edit.flows.used == 0, "edited flows are left");
}

static void test_connections(void **state)
{
    const int runs = (int)env_number("RUNS", 100);

    trace = getenv("TRACE") ? atoi(getenv("TRACE")) : -1;
    seed = env_seed();
    rng_seed(&m.r, seed);
    m.now = START;
    m.net = calloc(FLIGHT, sizeof(*m.net));
    assert_int_equal(mtcp_init(NULL), 0);
    m.ctx = mtcp_create_context(0);
    assert_non_null(m.ctx);
    engine.ctx[0].m->send = catch;
    m.lst = mtcp_socket(m.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    assert_int_equal(mtcp_register_callback(m.ctx, m.lst, MOS_ON_PKT_IN, MOS_HK_SND, on_packet), 0);
    for (run = 0; run < runs; run++)
        connection();
    print_message(
        "%llu packets, %llu changes, %llu waited, %llu rebuilt, %llu split, %llu flushed, "
        "%llu of %d runs to the last string\n",
        (unsigned long long)m.packets, (unsigned long long)m.changes,
        (unsigned long long)reason(REASON_EDIT_WAIT), (unsigned long long)reason(REASON_EDIT_AGAIN),
        (unsigned long long)reason(REASON_EDIT_SPLIT),
        (unsigned long long)reason(REASON_EDIT_FLUSH), (unsigned long long)m.clean, runs);
    assert_int_equal(mtcp_destroy_context(m.ctx), 0);
    assert_int_equal(mtcp_destroy(), 0);
    free(m.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connections),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
