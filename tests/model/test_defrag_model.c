// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fragments against a naive twin, all policies.
 *
 * An episode is one key (IPv4 or IPv6) and random fragments of short datagrams: in any order, repeated
 * with and without other bytes, overlapping, with ends that contradict. The twin keeps lists and byte
 * arrays: one list for hosts that throw away at an overlap, as Linux's inet_frag_queue_insert has it,
 * one for those that go on, whose bytes it places one by one, and one for the BSDs, which take the end
 * from the last piece that they have. After every fragment both must agree:
 * what was refused and why, which datagrams are complete, and every byte under every policy.
 *
 * SEED=n repeats a run, STEPS=n makes it longer. The seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "frames.h"
#include "repeat.h"
#include "wire/decode.h"
#include "wire/defrag.h"

enum { UNITS = 16, LONGEST = UNITS * 8, MANY = 200, HEADER = 20 };

struct bit { /* a fragment */
    uint32_t off, len;
    bool more;
    uint8_t data[LONGEST];
    uint8_t ecn;
    int run;
};

/* One unfinished datagram. */
struct list {
    int n, nfrags, runs;
    struct bit v[MANY];
    uint32_t end; /* 0: not known */
    bool on, overlap;
    bool stuck;              /* whole, by a repetition that told the end: nothing comes of it */
    bool capable, incapable; /* pieces' ECN fields */
};

static struct {
    struct rng r;
    uint64_t seed, step;
    bool v6;
    uint8_t marks;                  /* usual ECN field of an episode */
    struct list keep, bsd, discard; /* equal as long as nothing has overlapped */
    bool parted;
    struct defrag d;
    struct frag_room room;
    uint64_t whole[3], refused, choices, mixed;
} m;

#define CHECK(what, ...)                                                                           \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("seed %llu, step %llu: " #what ": ", (unsigned long long)m.seed,           \
                        (unsigned long long)m.step);                                               \
            print_error(__VA_ARGS__);                                                              \
            print_error("\n");                                                                     \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

static bool one_in(uint32_t n)
{
    return rng_below(&m.r, n) == 0;
}

/* ---- what is known of a list ---- */

static bool covered(const struct list *l, uint32_t x)
{
    for (int i = 0; i < l->n; i++)
        if (l->v[i].off <= x && x < l->v[i].off + l->v[i].len)
            return true;
    return false;
}

static int64_t end_of(const struct list *l)
{
    return l->end ? (int64_t)l->end : -1;
}

static uint32_t top_of(const struct list *l, int *run)
{
    uint32_t top = 0;

    for (int i = 0; i < l->n; i++)
        if (l->v[i].off + l->v[i].len > top) {
            top = l->v[i].off + l->v[i].len;
            *run = l->v[i].run;
        }
    return top;
}

static bool whole(const struct list *l)
{
    int64_t end = end_of(l);

    for (uint32_t x = 0; x < (uint32_t)end; x++)
        if (end < 0 || l->stuck || !covered(l, x))
            return false;
    return end >= 0;
}

static bool bad_end(const struct list *l, const struct bit *b)
{
    int64_t end = end_of(l), mine = b->off + b->len;
    int run;

    if (b->more)
        return end >= 0 && mine > end;
    return (end >= 0 && mine != end) || mine < top_of(l, &run);
}

static bool overlaps(const struct list *l, const struct bit *b)
{
    for (uint32_t x = b->off; x < b->off + b->len; x++)
        if (covered(l, x))
            return true;
    return false;
}

static bool same_as_one(const struct list *l, const struct bit *b)
{
    for (int i = 0; i < l->n; i++)
        if (l->v[i].off == b->off && l->v[i].len == b->len &&
            memcmp(l->v[i].data, b->data, b->len) == 0)
            return true;
    return false;
}

static bool in_one_run(const struct list *l, const struct bit *b)
{
    for (int r = 1; r <= l->runs; r++) {
        uint32_t in = 0;

        for (uint32_t x = b->off; x < b->off + b->len; x++)
            for (int i = 0; i < l->n; i++)
                in += l->v[i].run == r && l->v[i].off <= x && x < l->v[i].off + l->v[i].len;
        if (in == b->len)
            return true;
    }
    return false;
}

static bool header_differs(const struct list *l, const struct bit *b)
{
    bool known = !m.v6 || b->off == 0 || covered(l, 0);

    for (int i = 0; i < l->n && known; i++)
        for (uint32_t x = b->off; x < b->off + b->len && x < HEADER; x++)
            if (l->v[i].off <= x && x < l->v[i].off + l->v[i].len &&
                l->v[i].data[x - l->v[i].off] != b->data[x - b->off])
                return true;
    return false;
}

static void add(struct list *l, const struct bit *b)
{
    int run = 0;
    uint32_t top = top_of(l, &run);

    l->overlap |= overlaps(l, b);
    if (!b->more)
        l->end = b->off + b->len;
    l->v[l->n] = *b;
    l->v[l->n].run = l->n && b->off == top ? run : ++l->runs;
    l->n++;
    l->nfrags++;
    l->on = true;
    l->capable |= b->ecn > 0;
    l->incapable |= b->ecn == 0;
}

static void forget(struct list *l)
{
    memset(l, 0, sizeof(*l));
}

/* ---- the twin: what a fragment does ---- */

static int twin_keep(struct list *l, const struct bit *b)
{
    if (bad_end(l, b))
        return REASON_FRAG_LEN;
    if (overlaps(l, b) && !l->overlap && same_as_one(l, b)) {
        l->nfrags++;
        l->end = b->more ? l->end : b->off + b->len;
        return REASON_NONE;
    }
    if ((b->ecn == 3 && l->incapable) || (b->ecn == 0 && l->capable && !l->incapable))
        return REASON_FRAG_ECN;
    if (overlaps(l, b) && header_differs(l, b))
        return REASON_FRAG_HEADER;
    add(l, b);
    return REASON_NONE;
}

/* twin_bsd: as twin_keep, but of the end the last piece of the list tells, and what one covers is none. */
static void twin_bsd(struct list *l, const struct bit *b)
{
    uint32_t was = l->end, end = b->off + b->len;
    bool covered = false, repeated = !l->overlap && same_as_one(l, b);
    int run;

    for (int i = 0; i < l->n; i++)
        covered |= l->v[i].off <= b->off && end <= l->v[i].off + l->v[i].len;
    if (twin_keep(l, b) != REASON_NONE)
        return;
    if (covered || repeated || end < top_of(l, &run))
        l->end = was;
    else
        l->end = b->more ? 0 : end;
}

static int twin_discard(struct list *l, const struct bit *b)
{
    bool bad = bad_end(l, b);

    if (!bad && overlaps(l, b) && in_one_run(l, b)) {
        l->end = b->more ? l->end : b->off + b->len;
        l->stuck |= whole(l);
        if (header_differs(l, b))
            return REASON_FRAG_HEADER;
        l->nfrags++;
        return REASON_NONE;
    }
    if (bad || overlaps(l, b)) {
        forget(l);
        return bad ? REASON_FRAG_LEN : REASON_FRAG_OVERLAP;
    }
    add(l, b);
    return REASON_NONE;
}

/* twin_odd: a piece before the last whose length is not a multiple of 8: only Linux takes it, cut. */
static int twin_odd(const struct bit *b)
{
    struct bit c = *b;

    c.len -= c.len % 8;
    m.parted = true;
    if (c.len)
        twin_discard(&m.discard, &c);
    else
        forget(&m.discard);
    return REASON_FRAG_LEN;
}

static int twin_more(const struct bit *b)
{
    struct list *k = &m.keep, *l = &m.discard;
    int why;

    if (b->more && b->len % 8)
        return m.v6 ? REASON_FRAG_LEN : twin_odd(b);
    if (m.v6 && b->off == 0 && b->len < HEADER)
        return REASON_FRAG_TINY;
    if (m.v6)
        return twin_discard(l, b);
    if (!m.parted) {
        bool bad = bad_end(k, b), over = !bad && overlaps(k, b),
             told = over && !b->more && k->end == 0;

        m.parted = bad || told || (over && !same_as_one(k, b));
        if (over && !same_as_one(k, b) && in_one_run(k, b) && header_differs(k, b)) {
            m.parted = told;
            twin_bsd(&m.bsd, b);
            return twin_discard(l, b); /* nobody takes it, but Linux the end */
        }
    }
    why = twin_keep(k, b);
    twin_bsd(&m.bsd, b);
    m.parted |= why == REASON_FRAG_ECN;
    twin_discard(l, b);
    return why;
}

static int twin(const struct bit *b)
{
    int why = twin_more(b);
    struct list *l = &m.discard;

    if (l->on && whole(l) && l->capable && l->incapable) {
        forget(l);
        m.parted = true;
        m.mixed++;
        return m.v6 ? REASON_FRAG_ECN : why;
    }
    return why;
}

/* ---- the twin: whose byte ---- */

static bool wins(int policy, int64_t h0, int64_t h1, const struct bit *b, int64_t at)
{
    int64_t n0 = b->off, n1 = b->off + b->len;

    switch (policy) {
    case OVERLAP_LAST:
        return true;
    case OVERLAP_BSD:
        return n0 < h0;
    case OVERLAP_OLD_LINUX:
        return n0 <= h0;
    case OVERLAP_BSD_RIGHT:
        return n1 > h1 || (n1 == h1 && n0 <= h0);
    case OVERLAP_WINDOWS:
        return at < h0 && n1 > h1;
    case OVERLAP_SOLARIS:
        return at < h0 && n1 >= h1;
    default:
        return false;
    }
}

/* twin_bytes: owner of each byte, one fragment after the other; spans are what one owner has in a row. */
static void twin_bytes(const struct list *l, int policy, uint8_t *out)
{
    int owner[LONGEST + 1], now[LONGEST + 1];

    memset(owner, -1, sizeof(owner));
    for (int i = 0; i < l->n; i++) {
        const struct bit *b = &l->v[i];
        int64_t at = b->off;

        memcpy(now, owner, sizeof(now));
        for (int64_t x = b->off; x < b->off + b->len; x++) {
            int64_t h0 = x, h1 = x;

            while (h0 > 0 && owner[h0 - 1] == owner[x])
                h0--;
            while (owner[x] >= 0 && owner[h1] == owner[x])
                h1++;
            if (owner[x] < 0 || wins(policy, h0, h1, b, at)) {
                now[x] = i;
            } else {
                at = h1;
                x = h1 - 1;
            }
        }
        memcpy(owner, now, sizeof(owner));
    }
    for (int x = 0; x < end_of(l); x++)
        out[x] = l->v[owner[x]].data[(uint32_t)x - l->v[owner[x]].off];
}

/* ---- both ---- */

static struct bit any_bit(const uint8_t *truth, uint32_t len)
{
    struct bit b = {.off = 8 * (uint32_t)rng_below(&m.r, (len + 7) / 8)};

    b.len = 8 * (1 + (uint32_t)rng_below(&m.r, one_in(3) ? 8 : 3));
    b.more = b.off + b.len < len;
    if (!b.more)
        b.len = len - b.off;
    if (one_in(30))
        b.more = !b.more && b.len % 8 == 0;
    if (b.more && one_in(40))
        b.len -= 1 + (uint32_t)rng_below(&m.r, 7);
    b.ecn = one_in(m.marks ? 8 : 30) ? (uint8_t)rng_below(&m.r, 4) : m.marks;
    memcpy(b.data, truth + b.off, b.len);
    if (one_in(4))
        for (uint32_t i = 0; i < b.len; i++)
            if (b.off + i >= HEADER || one_in(20))
                b.data[i] = (uint8_t)rng_next(&m.r);
    return b;
}

/* compare: what has come for hosts of this world. */
static void compare(const struct frag_note *n, enum frag_world world, struct list *l,
                    const char *which)
{
    struct datagram *g = NULL;
    uint8_t want[LONGEST];

    for (int k = 0; k < FRAG_DATAGRAMS; k++)
        if (n->dg[k] && (n->dg[k]->world & world)) {
            CHECK(g == NULL, "two for %s", which);
            g = n->dg[k];
        }

    CHECK((g != NULL) == (l->on && whole(l)), "%s: %s", which, g ? "complete" : "incomplete");
    if (g == NULL)
        return;
    CHECK(g->len == end_of(l), "%s: %u bytes", which, g->len);
    CHECK(g->pb.nfrags == (uint32_t)l->nfrags, "%s: %u fragments, should be %d", which,
          g->pb.nfrags, l->nfrags);
    CHECK(g->overlap == l->overlap, "%s", which);
    m.choices += g->overlap;
    for (int p = 0; p < OVERLAP_CNT; p++) {
        twin_bytes(l, p, want);
        defrag_assemble(g, (enum overlap_policy)p);
        CHECK(memcmp(g->payload, want, g->len) == 0, "%s, policy %d", which, p);
    }
    forget(l);
}

static void step(const struct bit *b)
{
    static struct frame_buf buf;
    struct pktbuf *pb = frame_ip(&buf, (struct frame){.v6 = m.v6,
                                                      .id = 1,
                                                      .proto = 6,
                                                      .payload = b->data,
                                                      .plen = b->len,
                                                      .tos = b->ecn,
                                                      .frag_off = (uint16_t)b->off,
                                                      .frag_more = b->more});
    struct frag_note *n;
    struct seg s;
    int why;

    m.step++;
    decode(&s, pb);
    n = defrag_input(&m.d, &s, &m.room);
    assert_non_null(n);
    why = twin(b);
    CHECK(n->reason == why, "%s, should be %s", reason_name(n->reason),
          reason_name((enum reason)why));
    m.refused += why != REASON_NONE;
    for (int k = 0; k < FRAG_DATAGRAMS; k++)
        m.whole[k] += n->dg[k] != NULL;
    CHECK(m.parted || !n->dg[0] || (n->dg[0]->world & FW_DISCARD), "one for both");
    compare(n, FW_DISCARD, &m.discard, "throwing away");
    if (!m.v6) {
        compare(n, FW_RFC, &m.keep, "going on");
        compare(n, FW_BSD, &m.bsd, "BSD");
        m.parted &= m.keep.on || m.discard.on;
    }
    if (one_in(8))
        frag_room_empty(&m.room, true);
}

static void episode(void)
{
    uint8_t truth[LONGEST];
    uint32_t len = 24 + (uint32_t)rng_below(&m.r, LONGEST - 24 + 1);

    m.v6 = one_in(3);
    m.marks = one_in(2) ? 0 : (uint8_t)rng_below(&m.r, 4);
    m.parted = false;
    forget(&m.keep);
    forget(&m.bsd);
    forget(&m.discard);
    for (uint32_t i = 0; i < len; i++)
        truth[i] = (uint8_t)rng_next(&m.r);
    for (int i = 0; i < 60; i++) {
        struct bit b = any_bit(truth, len);

        if (b.off == 0 && !b.more)
            continue; /* no fragment */
        if (b.off + b.len <= len || b.more)
            step(&b);
        if (m.keep.n > MANY - 2 || m.discard.n > MANY - 2)
            break;
    }
    defrag_end(&m.d);
    CHECK(m.d.entry.used == 0 && m.d.block.used == 0, "%u, %u", m.d.entry.used, m.d.block.used);
}

static void against_the_twin(void **state)
{
    const struct defrag_conf conf = {.datagrams = 4,
                                     .memory = 1 << 20,
                                     .pieces = MANY,
                                     .min_tcp = 8,
                                     .timeout_ns = UINT64_MAX,
                                     .timeout6_ns = UINT64_MAX};
    const uint64_t steps = env_number("STEPS", 60000);

    m.seed = env_seed();
    rng_seed(&m.r, m.seed);
    defrag_init(&m.d, &conf, m.seed);
    while (m.step < steps)
        episode();
    defrag_fini(&m.d);
    frag_room_fini(&m.room);
    print_message("%llu thrown away for their ECN fields\n", (unsigned long long)m.mixed);
    print_message(
        "%llu fragments, %llu datagrams, %llu for Linux alone, %llu for the BSDs, %llu with a "
        "choice, %llu fragments refused\n",
        (unsigned long long)m.step, (unsigned long long)m.whole[0], (unsigned long long)m.whole[1],
        (unsigned long long)m.whole[2], (unsigned long long)m.choices,
        (unsigned long long)m.refused);
    assert_true(m.mixed > steps / 10000);
    assert_true(m.whole[0] > steps / 100 && m.whole[1] > steps / 1000 && m.choices > steps / 1000);
    assert_true(m.whole[2] > steps / 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_twin)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
