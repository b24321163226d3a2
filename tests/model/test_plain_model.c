// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_plain_model.c: the short ways of conn/plain.h, place.h and calm.h against the long one. Two environments
 * see the same segments, one of them told that no segment is plain or in its place; after each, all that is
 * known of the connection must be the same, byte for byte, and so must what was raised. Most segments are
 * what honest ends would send, so that most go a short way; every few something of one is wrong or rare, and now and then an
 * application changes one halfway. STEPS and SEED in the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "conn_fix.h"
#include "repeat.h"
#include "stream/chunk.h"

enum { CONN = 200 }; /* segments of one connection at most */

static uint64_t seed;

static struct {
    struct rng r;
    struct fix a, b; /* the short way, the long way */
    uint32_t isn[2], sent[2], wnd[2], tsval[2], got_ts[2];
    bool ts, v6, opened;
    uint64_t steps, plain, calm, in_place[PLACE_NEXT + 1], odd, changed;
} m;

static uint32_t below(uint32_t n)
{
    return (uint32_t)rng_below(&m.r, n);
}

/* odd_one: now and then one field is not what it should be. */
static void odd_one(struct frame *f, int from)
{
    static const char *const flags[] = {"F.", "R",  "R.", "S",  "",  "FP.",
                                        "U.", "E.", "P",  "S.", "W."};

    m.odd++;
    switch (below(14)) {
    case 0:
        f->flags = flags[below(ARRAY_SIZE(flags))];
        break;
    case 1:
        f->seq += below(5) - 2;
        break;
    case 2:
        f->seq += below(20000) - 10000;
        break;
    case 3:
        f->ack += below(5) - 2;
        break;
    case 4:
        f->ack += below(200000) - 100000;
        break;
    case 5:
        f->ack = m.isn[!from] + 1 + below(m.sent[!from] + 1); /* an older one */
        break;
    case 6:
        f->ts[0] -= below(200);
        break;
    case 7:
        f->ts[0] = f->ts[1] = 0;
        break;
    case 8:
        f->ts[1] += below(30);
        break;
    case 9:
        f->win = below(2) ? FRAME_ZERO : 1 + (int)below(65535);
        break;
    case 10:
        f->sack[0] = f->ack + 100;
        f->sack[1] = f->ack + 200;
        break;
    case 11:
        f->snap = 60 + below(100);
        break;
    case 12:
        f->bad_csum = true;
        break;
    default:
        f->ts_ns = m.a.env.now - below(1000000);
        break;
    }
}

static struct frame next_frame(int from)
{
    struct frame f = {.reply = from == SVR, .flags = below(4) ? "." : "P."};
    uint32_t room = m.wnd[!from], len = below(3) ? below(1400) : 0;

    f.seq = m.isn[from] + 1 + m.sent[from];
    f.ack = m.isn[!from] + 1 + m.sent[!from];
    f.plen = len > room ? room : len;
    f.win = (int)(8000 + below(5) * 14000);
    if (m.ts) {
        m.tsval[from] += below(3);
        f.ts[0] = m.tsval[from];
        f.ts[1] = m.tsval[!from];
        f.has_ts = true;
    }
    m.sent[from] += f.plen;
    if (below(150) == 0)
        m.sent[from] += 500; /* lost before us */
    return f;
}

static void same(bool is, const char *what)
{
    if (!is)
        fail_msg("SEED=%llu, step %llu: %s", (unsigned long long)seed, (unsigned long long)m.steps,
                 what);
}

static void same_bytes(const void *a, const void *b, size_t len, const char *of)
{
    const uint8_t *p = a, *q = b;

    for (size_t i = 0; i < len; i++)
        if (p[i] != q[i])
            fail_msg(
                "SEED=%llu, step %llu: byte %zu of the %s: %d by the short way, %d by the long",
                (unsigned long long)seed, (unsigned long long)m.steps, i, of, p[i], q[i]);
}

/* compare: what the segment has raised; at the end of a batch all that is known. */
static void compare_raised(const struct conn_pkt *p, const struct conn_pkt *q)
{
    same(m.a.idx == m.b.idx && m.a.refused == m.b.refused && m.a.done == m.b.done &&
             m.a.reused == m.b.reused,
         "another end");
    if (m.a.idx == 0 || m.a.refused != REASON_NONE)
        return;
    same(p->snd == q->snd && p->rcv == q->rcv && p->data == q->data, "raised");
    same(p->ignored == q->ignored && p->off == q->off && p->idle == q->idle, "place");
    same(p->rexmit.cls == q->rexmit.cls && p->rexmit.len == q->rexmit.len, "repetition");
    same(m.a.env.nraises == m.b.env.nraises && m.a.env.ngaps == m.b.env.ngaps &&
             m.a.env.touched == m.b.env.touched,
         "lists");
    same(memcmp(m.a.env.reasons, m.b.env.reasons, sizeof(m.a.env.reasons)) == 0, "counters");
}

/* compare_stream: its own fields, and every byte held with its place. */
static void compare_stream(const struct flow_side *p, const struct flow_side *q)
{
    const struct strm_env *e = &m.a.env.se, *g = &m.b.env.se;
    uint32_t i, k;

    same(p->strm == q->strm, "one has a stream");
    if (p->strm == 0)
        return;
    same_bytes(strm_at(e, p->strm), strm_at(g, q->strm), sizeof(struct strm), "stream");
    for (i = strm_at(e, p->strm)->head, k = strm_at(g, q->strm)->head; i && k;
         i = chunk_at(e, i)->next, k = chunk_at(g, k)->next) {
        const struct chunk *c = chunk_at(e, i), *d = chunk_at(g, k);

        same(c->off == d->off && c->len == d->len && memcmp(c->ptr, d->ptr, c->len) == 0,
             "what is held");
    }
    same(i == 0 && k == 0, "one holds more");
}

static void compare_flow(void)
{
    const struct flow *p, *q;
    struct flow copy;

    if (m.a.idx == 0)
        return;
    p = fix_flow(&m.a);
    q = fix_flow(&m.b);
    same(!p->calm || calm_holds(&m.a.env, p), "not as calm as it says");
    copy = *p;
    copy.calm = false;
    same_bytes(&copy, q, sizeof(*p), "record");
    if (p->ext)
        same_bytes(pool_at(&m.a.env.ft.exts, p->ext), pool_at(&m.b.env.ft.exts, q->ext),
                   sizeof(struct flow_ext), "extension");
    compare_stream(&p->side[CLI], &q->side[CLI]);
    compare_stream(&p->side[SVR], &q->side[SVR]);
}

static void begin(void)
{
    struct conn_cfg cfg = fix_cfg();

    cfg.strict = below(2);
    cfg.midstream = below(4) == 0;
    cfg.csum = (uint8_t)(below(3) ? CSUM_OFF : CSUM_AUTO);
    fix_up_cfg(&m.a, &cfg);
    cfg.long_way = true;
    fix_up_cfg(&m.b, &cfg);
    m.a.calm = below(4) != 0;
    m.a.nobody = m.b.nobody = below(2);
    m.a.sized = m.b.sized = below(8) == 0;
    m.a.flags = below(8) ? 0 : m.a.nobody ? SIDE_NOBUF : SIDE_RETAIN;
    m.a.flags |= below(30) ? 0 : SIDE_LAST;
    m.b.flags = m.a.flags;
    m.ts = below(2);
    m.v6 = below(3) == 0;
    for (int i = 0; i < 2; i++) {
        m.isn[i] = below(3) ? below(UINT32_MAX) : 0u - below(3000);
        m.sent[i] = 0;
        m.wnd[i] = 30000;
        m.tsval[i] = below(3) ? below(UINT32_MAX) : 0u - below(40);
    }
    m.a.env.no_counts = m.b.env.no_counts = below(8) == 0;
}

static void both(struct frame f)
{
    const struct conn_pkt *p, *q;

    if (f.ts_ns == 0)
        f.ts_ns = m.a.env.now;
    f.may_fail = true;
    f.v6 = m.v6;
    if (f.snap && m.v6)
        f.snap += 20; /* its header is so much longer */
    m.a.change = m.b.change = below(100) == 0;
    p = feed(&m.a, f);
    q = feed(&m.b, f);
    m.plain += p->plain;
    m.in_place[p->in_place]++;
    m.changed += m.a.change && !p->ignored;
    same(!q->plain && !q->in_place, "the long way is not");
    m.steps++;
    compare_raised(p, q);
    if (below(3)) {
        end_batch(&m.a);
        end_batch(&m.b);
        compare_flow();
        m.a.env.now += below(40) ? below(3) * MS : below(40) * NSEC_PER_SEC;
        m.b.env.now = m.a.env.now;
    }
}

/* one_of: segments of the handshake: now and then odd, or twice. */
static void one_of(struct frame f, int from)
{
    if (below(25) == 0)
        odd_one(&f, from);
    both(f);
    if (below(30) == 0)
        both(f);
}

static int a_window(void)
{
    return 1 + (int)(below(10) ? 30000 + below(35000) : below(30000));
}

static void handshake(void)
{
    struct frame syn = {.flags = below(6) ? "S" : "SEW",
                        .seq = m.isn[CLI],
                        .mss = 1460,
                        .wscale = FRAME_WSCALE(below(8)),
                        .win = a_window(),
                        .sackok = below(2)};
    struct frame answer = {
        FRAME_REPLY, .flags = below(6) ? "S." : "S.E", .seq = m.isn[SVR], .ack = m.isn[CLI] + 1,
        .mss = 1460, .wscale = FRAME_WSCALE(below(8)), .win = a_window(), .sackok = below(2)};
    struct frame last = {.flags = ".", .seq = m.isn[CLI] + 1, .ack = m.isn[SVR] + 1};

    if (below(6) == 0)
        syn.wscale = 0;
    if (below(6) == 0)
        answer.wscale = 0;
    if (m.ts) {
        syn.ts[0] = answer.ts[1] = m.tsval[CLI];
        answer.ts[0] = last.ts[1] = m.tsval[SVR];
        last.ts[0] = m.tsval[CLI];
        syn.has_ts = below(20) != 0;
        answer.has_ts = below(20) != 0;
        last.has_ts = true;
    }
    one_of(syn, CLI);
    one_of(answer, SVR);
    if (below(8)) /* else the first bytes say it */
        one_of(last, CLI);
}

/* closing: a FIN of each end, with bytes or without, ACKs of them in time or late; some are odd. */
static void closing(void)
{
    int first = (int)below(2);

    for (int i = 0; i < 2; i++) {
        int from = i ? !first : first;
        struct frame f = next_frame(from), ack;

        f.flags = below(2) ? "F." : "FP.";
        if (below(20) == 0)
            odd_one(&f, from);
        m.sent[from]++;
        both(f);
        for (uint32_t k = below(4); k; k--) {
            ack = next_frame(!from);
            if (i == 1 || below(2)) { /* it has ended, too; or no bytes now */
                m.sent[!from] -= ack.plen;
                ack.plen = 0;
                ack.flags = ".";
            }
            if (below(20) == 0)
                odd_one(&ack, !from);
            both(ack);
        }
    }
}

static void one_connection(void)
{
    begin();
    if (below(8))
        handshake();
    for (uint32_t i = below(2) ? below(10) : 10 + below(CONN - 10); i; i--) {
        int from = (int)below(2);
        struct frame f = next_frame(from);

        if (below(25) == 0)
            odd_one(&f, from);
        if (m.a.nbuf == (int)ARRAY_SIZE(m.a.buf)) {
            end_batch(&m.a);
            end_batch(&m.b);
        }
        both(f);
    }
    if (below(4))
        closing();
    end_batch(&m.a);
    end_batch(&m.b);
    m.calm += m.a.calms;
    fix_down(&m.a);
    fix_down(&m.b);
}

static void short_way_is_the_long_one(void **state)
{
    const uint64_t n = env_number("STEPS", 60000);

    seed = env_seed();
    rng_seed(&m.r, seed);
    while (m.steps < n)
        one_connection();
    print_message("%llu segments, %llu plain (%llu of calm flows), %llu SYNs, %llu SYN/ACKs and "
                  "%llu others in place, "
                  "%llu changed, %llu odd\n",
                  (unsigned long long)m.steps, (unsigned long long)m.plain,
                  (unsigned long long)m.calm, (unsigned long long)m.in_place[PLACE_SYN],
                  (unsigned long long)m.in_place[PLACE_SYNACK],
                  (unsigned long long)m.in_place[PLACE_NEXT], (unsigned long long)m.changed,
                  (unsigned long long)m.odd);
    assert_true(m.plain > m.steps / 10 && m.calm > m.steps / 10); /* else it says nothing */
    for (int place = PLACE_SYN; place <= PLACE_NEXT; place++)
        assert_true(m.in_place[place] > m.steps / 200);
    assert_true(m.changed > m.steps / 1000);
    assert_true(m.steps - m.plain > m.steps / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(short_way_is_the_long_one)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
