// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reassembly against a naive twin (reasm_twin.h).
 *
 * An episode is one stream from its first byte to its last: random segments (reordered, repeated,
 * overlapping, with other content, with tails that were never captured), two readers,
 * acknowledgements, skipped holes, ends of batches, where every frame is overwritten and given back,
 * lack of memory. After every step all of stream/'s answers are compared. A segment refused for lack
 * of memory must have left no trace.
 *
 * SEED=n repeats a run, STEPS=n makes it longer. The seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "reasm_twin.h"
#include "repeat.h"

/* ---- segments ---- */

static uint8_t *new_frame(uint32_t len)
{
    struct frame *f = &m.batch[m.nbatch++];

    f->p = malloc(len ? len : 1); /* exactly as long: AddressSanitizer sees an over-read */
    f->len = len;
    assert_non_null(f->p);
    return f->p;
}

static void fill(uint8_t *p, uint64_t off, uint32_t len)
{
    if (m.other == 0 || !one_in(m.other)) {
        memcpy(p, m.truth + off, len);
        return;
    }
    for (uint32_t i = 0; i < len; i++)
        p[i] = (uint8_t)rng_next(&m.r);
}

static void compare_overlap(uint64_t off, const uint8_t *data, uint32_t len, uint32_t wire_len)
{
    struct strm_overlap o = strm_overlap(&m.e, &m.sd, m.base + off, wire_len);
    uint32_t dup = 0, late = 0, held = 0, differ = 0;
    int same;

    note_forgotten();
    for (uint64_t i = off; i < off + wire_len; i++) {
        dup += m.seen[i];
        late += m.gap[i];
    }
    CHECK(o.dup == dup, "%u, should be %u", o.dup, dup);
    CHECK(o.late == late || (o.late < late && m.forgot), "%u, should be %u", o.late, late);
    for (uint64_t i = off; i < off + len; i++) {
        held += m.held[i];
        differ += m.held[i] && m.val[i] != data[i - off];
    }
    if (len == 0)
        return;
    same = strm_same(&m.e, &m.sd, m.base + off, data, len);
    CHECK(same == (differ ? 1 : held == len ? 0 : 2), "%d: %u of %u held", same, held, len);
}

/* twin_insert: what a segment does that was not refused. => new bytes; *cut as strm_insert's. */
static uint32_t twin_insert(const struct strm_in *in, uint64_t off, uint64_t settled, bool had,
                            uint32_t *cut)
{
    uint64_t end = off + in->wire_len, cap_end = off + in->len;
    bool kept = m.sd.strm != 0; /* else there was no memory for a stream */
    uint32_t fresh = 0;

    *cut = 0;
    if (in->wire_len && off < m.syn) { /* again: the SYN's copy was not taken */
        unhold(0, m.syn);
        m.syn = 0;
    }
    for (uint64_t i = off; i < end; i++) {
        bool captured = i < cap_end;

        if (!m.seen[i]) {
            fresh++;
            if (captured && in->store)
                twin_hold(i, in->data[i - off]);
            if (!captured) {
                m.gap[i] = 1;
                m.forgot |= !kept;
                ++*cut;
            }
        } else if (last() && had && in->store && captured && !m.gap[i] && i >= m.read_to &&
                   i + m.base >= settled) {
            m.rewrites += m.held[i] && m.val[i] != in->data[i - off];
            twin_hold(i, in->data[i - off]);
        }
        twin_see(i);
    }
    twin_absorb();
    return fresh;
}

/* refused: was there no memory to know a segment's place? Then it must have changed nothing. */
static bool refused(const struct strm_in *in, uint64_t off, uint32_t n, uint32_t cut,
                    uint64_t failed)
{
    uint32_t fresh = 0;

    for (uint64_t i = off; i < off + in->wire_len; i++)
        fresh += !m.seen[i];
    if (!m.tight || n || !fresh)
        return false;
    CHECK(fresh == in->wire_len && off > m.next, "only what touches nothing may be refused");
    CHECK(cut == 0, "%u cut of a refused segment", cut);
    CHECK(m.e.failed - failed == (in->store ? in->len : 0), "%llu failed",
          (unsigned long long)(m.e.failed - failed));
    m.refused++;
    return true;
}

static void insert(uint64_t off, uint32_t len, uint32_t wire_len)
{
    uint64_t next = m.next, failed = m.e.failed, settled = m.sd.strm ? strm_now()->settled : 0;
    bool had = m.sd.strm != 0;
    uint64_t predicted = strm_predict(&m.e, &m.sd, m.base + off, wire_len) - m.base;
    uint8_t *p = new_frame(len);
    struct strm_in in = {m.base + off, p, len, wire_len, m.store};
    uint32_t n, cut = 77, want, want_cut;

    fill(p, off, len);
    compare_overlap(off, p, len, wire_len);
    n = strm_insert(&m.e, &m.sd, &in, &cut);
    m.inserts++;
    m.fresh += n;
    m.cuts += cut;
    CHECK(m.sd.next - m.base == predicted, "next %llu was predicted",
          (unsigned long long)predicted);
    twin_stream(had, next);
    if (refused(&in, off, n, cut, failed))
        return;
    want = twin_insert(&in, off, settled, had, &want_cut);
    CHECK(n == want, "%u new bytes, should be %u", n, want);
    CHECK(cut == want_cut, "%u cut, should be %u", cut, want_cut);
    if (n && m.sd.strm)
        twin_ack(m.acked);
    twin_dropped(failed);
}

/* A segment near what is next, mostly. */
static void op_insert(void)
{
    uint64_t at = m.next, off;
    uint32_t len = 1 + below(m.seg), wire_len;

    if (m.syn && one_in(2))
        at = m.syn;     /* what follows the SYN's bytes */
    else if (one_in(3)) /* behind or beyond */
        at = m.next + below(6 * m.seg) - min64(m.next, below(6 * m.seg));
    else if (one_in(5))
        at = below(m.size);
    if (one_in(40))
        len = 0;
    off = at;
    if (off >= m.size)
        off = m.size - 1;
    wire_len = len;
    if (!m.whole && one_in(12))
        wire_len += below(m.seg);
    wire_len = (uint32_t)min64(wire_len, m.size - off);
    len = (uint32_t)min64(len, wire_len);
    insert(off, len, wire_len);
}

/* Every other byte: as many holes as there can be. */
static void op_comb(void)
{
    uint64_t at = m.next + 1;

    for (uint32_t i = 0; i < 20 && m.nbatch < FRAMES && at < m.size; i++, at += 2) {
        while (at < m.size && m.seen[at])
            at += 2;
        if (at < m.size)
            insert(at, 1, 1);
    }
}

/* ---- readers ---- */

/* told: a reader gets this byte. Whoever read it before got the same. */
static void told(uint64_t i, uint8_t v)
{
    CHECK(m.held[i] && v == m.val[i], "byte %llu", (unsigned long long)i);
    CHECK(!m.was_read[i] || m.read_val[i] == v, "byte %llu was read as another",
          (unsigned long long)i);
    CHECK(!m.gap[i], "byte %llu is lost", (unsigned long long)i);
    m.was_read[i] = 1;
    m.read_val[i] = v;
}

static uint64_t look(uint64_t from, uint64_t end, size_t max, bool consume)
{
    struct iovec iov[IOV];
    int room = 1 + (int)below(IOV), cnt = room;
    size_t sum = strm_view(&m.e, &m.sd, m.base + from, m.base + end, max, iov, &cnt);
    uint64_t at = from, stop = from;

    while (stop < end && stop - from < max && m.held[stop])
        stop++;
    for (int k = 0; k < cnt; k++) {
        const uint8_t *p = iov[k].iov_base;

        CHECK(iov[k].iov_len > 0 && at + iov[k].iov_len <= stop, "view of %zu", iov[k].iov_len);
        for (size_t b = 0; b < iov[k].iov_len; b++, at++) {
            if (consume)
                told(at, p[b]);
            else
                CHECK(p[b] == m.val[at], "byte %llu", (unsigned long long)at);
        }
    }
    CHECK(at - from == sum, "%zu", sum);
    CHECK(at == stop || cnt == room, "%llu bytes short", (unsigned long long)(stop - at));
    m.views++;
    return sum;
}

static uint64_t twin_lost(uint64_t from)
{
    uint64_t i = from, end = twin_end();

    while (i < end && !m.held[i])
        i++;
    return i - from;
}

static void move(int k, uint64_t to)
{
    m.cur[k] = to;
    if (to > m.read_to)
        m.read_to = to;
    if (m.sd.strm)
        strm_now()->read_to = m.base + m.read_to;
}

static void read_some(int k, size_t max)
{
    uint64_t n, from = m.cur[k], end = twin_end();

    if (from > end)
        return;
    n = strm_lost(&m.e, &m.sd, m.base + from);
    CHECK(n == twin_lost(from), "%llu lost at %llu", (unsigned long long)n,
          (unsigned long long)from);
    if (n == 0) {
        n = look(from, end, max, true);
        m.read += n;
    } else {
        m.lost_told += n;
    }
    move(k, from + n);
}

static void op_read(void)
{
    read_some((int)below(READERS), one_in(2) ? SIZE_MAX : below(2 * m.seg));
}

/* Anywhere, also out of order: ppeek. */
static void op_ppeek(void)
{
    uint64_t from = below(m.size), end = below(m.size + 1);

    look(from, end, one_in(2) ? SIZE_MAX : below(m.seg), false);
}

/* ---- what else happens to a stream ---- */

static void op_ack(void)
{
    uint64_t off = one_in(3)   ? m.next
                   : one_in(4) ? m.next + below(m.seg)
                               : below((uint32_t)m.next + 1);
    uint64_t was = m.readable;
    bool moved = strm_ack(&m.e, &m.sd, m.base + off);

    if (m.sd.strm)
        twin_ack(off);
    CHECK(moved == (m.sd.strm && last() && m.readable > was), "ack %llu", (unsigned long long)off);
}

static void skip_hole(uint64_t upto)
{
    uint64_t end = first_seen_above_next(), next = m.next, n, failed = m.e.failed;
    bool had = m.sd.strm != 0;

    end = min64(end, upto);
    n = strm_skip(&m.e, &m.sd, m.base + upto);
    CHECK(n == (end > next ? end - next : 0), "%llu", (unsigned long long)n);
    twin_stream(had, next);
    if (n == 0)
        return;
    m.skips++;
    unhold(0, m.syn);
    m.syn = 0;
    for (uint64_t i = next; i < end; i++) {
        m.gap[i] = 1;
        m.seen[i] = 1;
        m.ooo_n++;
    }
    m.forgot |= m.sd.strm == 0;
    twin_absorb();
    if (m.sd.strm && last())
        twin_ack(end);
    twin_dropped(failed);
}

static void op_skip(void)
{
    skip_hole(one_in(3) ? m.size : min64(m.next + below(2 * m.seg), m.size));
}

static void op_syn(void)
{
    uint32_t len = below((uint32_t)min64(m.seg, m.size)), n = 0;
    uint64_t next = m.next, failed = m.e.failed;
    bool had = m.sd.strm != 0, held;
    uint8_t *p;

    if (m.base || m.next || (m.ooo_n && !m.syn))
        return;
    m.syns++;
    if (one_in(2)) {
        p = new_frame(len);
        fill(p, 0, len);
        held = len && m.syn == 0 && m.ooo_n == 0;
        strm_syn_hold(&m.e, &m.sd, p, len);
        twin_stream(had, next);
        for (uint32_t i = 0; held && i < len; i++)
            twin_hold(i, p[i]);
        if (held && m.sd.strm)
            m.syn = len;
    } else {
        uint64_t syn = m.syn;
        bool store = one_in(2);

        if (one_in(2))
            len = (uint32_t)syn; /* all of it */
        n = strm_syn_take(&m.e, &m.sd, len, store);
        CHECK(n == min64(len, syn), "%u of %llu", n, (unsigned long long)syn);
        m.syn = 0;
        unhold(store ? n : 0, syn);
        for (uint32_t i = 0; i < n; i++)
            twin_see(i);
        twin_absorb();
        if (m.sd.strm)
            twin_ack(m.acked);
    }
    twin_dropped(failed);
}

static void op_memory(void)
{
    struct pool *p[] = {&m.e.strms, &m.e.chunks, &m.e.blks.cls[0], &m.e.blks.cls[3],
                        &m.e.blks.cls[6]};
    struct pool *q = p[below(ARRAY_SIZE(p))];
    bool more = one_in(2);

    if (!m.tight)
        return;
    if (!one_in(4)) {
        q->max = more ? 0 : q->used + below(3);
        return;
    }
    for (int i = 0; i < BLK_CLASSES; i++) /* or no block at all, of any size */
        m.e.blks.cls[i].max = more ? 0 : m.e.blks.cls[i].used + 1;
}

/* ---- batches ---- */

static uint64_t keep(void)
{
    uint64_t low = min64(m.cur[0], m.cur[1]);

    if (one_in(30)) /* everybody loses */
        return m.base + m.size;
    if (one_in(20)) /* the slower reader loses */
        low = m.cur[0] > m.cur[1] ? m.cur[0] : m.cur[1];
    return m.base + (low > m.retain ? low - m.retain : 0);
}

static void poison_frames(void)
{
    for (uint32_t i = 0; i < m.nold; i++)
        free(m.old[i].p);
    for (uint32_t i = 0; i < m.nbatch; i++)
        memset(m.batch[i].p, 0xdb, m.batch[i].len);
    memcpy(m.old, m.batch, sizeof(m.old));
    m.nold = m.nbatch;
    m.nbatch = 0;
}

static void release(uint64_t off)
{
    strm_release(&m.e, &m.sd, off);
    if (off > m.base && m.sd.strm)
        unhold(0, min64(off - m.base, m.next));
}

static void put(void)
{
    const struct strm *s = strm_now();
    bool gaps = s && s->gap.n;
    bool needed = s && (m.held_n || m.ooo_n || m.syn || gaps || (last() && m.readable != m.next));

    strm_put(&m.e, &m.sd);
    CHECK((m.sd.strm != 0) == needed, "put");
    m.puts += s && !needed;
}

static void end_batch(void)
{
    uint64_t failed = m.e.failed, lost;

    for (uint32_t i = 0; i < 50 && one_in(2) && strm_full(&m.e, &m.sd); i++, m.full++)
        skip_hole(m.size);
    if (one_in(3))
        release(keep());
    failed = m.e.failed;
    lost = strm_own(&m.e, &m.sd);
    CHECK(m.e.failed - failed == lost, "%llu lost", (unsigned long long)lost);
    twin_dropped(failed);
    m.owns++;
    poison_frames();
    compare(true);
    if (one_in(2))
        release(keep());
    put();
    compare(true);
    if (one_in(6))
        m.store = !one_in(3);
    if (one_in(60)) {
        strm_clear(&m.e, &m.sd);
        unhold(0, m.size);
    }
}

/* ---- episodes ---- */

static void start(void)
{
    bool large = one_in(40);

    m.size = large ? 20000 + below(ROOM - 20000) : 20 + below(1500);
    m.seg = large ? (one_in(2) ? 70000 : 3000) : 1 + below(one_in(3) ? 10 : 120);
    m.base = one_in(2) ? 0 : one_in(2) ? (1ULL << 32) - below(m.size) : 1ULL << 45;
    m.tight = one_in(3);
    m.forgot = false;
    m.whole = one_in(3);
    m.store = !one_in(4);
    m.other = one_in(3) ? 0 : 1 + below(6);
    m.retain = one_in(2) ? 0 : below(m.size);
    m.acct.limit = m.tight && one_in(3) ? m.acct.used + below(200000) : 0;
    m.e.ooo_limit = one_in(2) ? m.size : below(m.size);
    m.sd = (struct flow_side){.next = m.base, .flags = one_in(2) ? SIDE_LAST : 0};
    m.next = m.syn = m.acked = m.readable = m.read_to = 0;
    m.cur[0] = m.cur[1] = m.held_n = m.ooo_n = 0;
    memset(m.seen, 0, m.size);
    memset(m.gap, 0, m.size);
    memset(m.held, 0, m.size);
    memset(m.was_read, 0, m.size);
    for (uint32_t i = 0; i < m.size; i++)
        m.truth[i] = (uint8_t)(i * 37 + i / 251 + m.steps);
    if (one_in(3))
        op_syn();
}

static void step(void)
{
    uint32_t dice = below(100);

    m.steps++;
    if (m.nbatch + 20 >= FRAMES || dice < 8)
        end_batch();
    else if (m.syn && one_in(3))
        op_syn();
    else if (dice < 55)
        op_insert();
    else if (dice < 72)
        op_read();
    else if (dice < 78)
        op_ppeek();
    else if (dice < 88)
        op_ack();
    else if (dice < 90 && !m.whole)
        op_skip();
    else if (dice < 93)
        op_syn();
    else if (dice < 95)
        op_memory();
    else if (m.seg < 12 || one_in(20))
        op_comb();
    compare(false);
}

/* finish: everything comes or is given up, everybody reads to the end, and nothing is left. */
static void finish(void)
{
    if (one_in(3)) {
        strm_drop(&m.e, &m.sd);
    } else {
        while (m.next < m.size)
            skip_hole(m.size);
        strm_ack(&m.e, &m.sd, m.base + m.size);
        if (m.sd.strm)
            twin_ack(m.size);
        end_batch();
        for (int k = 0; k < READERS; k++) {
            while (m.cur[k] < m.size)
                read_some(k, SIZE_MAX);
        }
        release(m.base + m.size);
        CHECK(m.held_n == 0, "%llu", (unsigned long long)m.held_n);
        compare(false);
        put();
        strm_drop(&m.e, &m.sd);
    }
    CHECK(m.e.strms.used + m.e.chunks.used == 0, "objects left");
    CHECK(blkpool_used(&m.e.blks) == 0, "blocks left");
    poison_frames();
    poison_frames();
    m.e.strms.max = m.e.chunks.max = 0;
    for (int i = 0; i < BLK_CLASSES; i++)
        m.e.blks.cls[i].max = 0;
}

static void random_against_twin(void **state)
{
    const uint64_t steps = env_number("STEPS", 120000);

    rng_seed(&m.r, seed);
    while (m.steps < steps) {
        strm_env_init(&m.e, &m.acct, 1u << 16, 1u << 16);
        for (int k = 0; k < 40 && m.steps < steps;
             k++) { /* streams of one context, one after the other */
            uint32_t n;

            start();
            n = 1 + below(one_in(10) ? 2000 : 300);
            for (uint32_t i = 0; i < n && m.next < m.size; i++)
                step();
            finish();
        }
        strm_env_fini(&m.e);
        CHECK(m.acct.used == 0, "%llu bytes left", (unsigned long long)m.acct.used);
    }
    printf("# %llu steps: %llu segments, %llu new bytes, %llu cut, %llu read, %llu lost, %llu "
           "rewritten\n",
           (unsigned long long)m.steps, (unsigned long long)m.inserts, (unsigned long long)m.fresh,
           (unsigned long long)m.cuts, (unsigned long long)m.read, (unsigned long long)m.lost_told,
           (unsigned long long)m.rewrites);
    printf("# %llu batches, %llu skips (%llu full), %llu refused, %llu bytes dropped, %llu SYNs, "
           "%llu put\n",
           (unsigned long long)m.owns, (unsigned long long)m.skips, (unsigned long long)m.full,
           (unsigned long long)m.refused, (unsigned long long)m.dropped, (unsigned long long)m.syns,
           (unsigned long long)m.puts);
    if (steps < 100000)
        return;
    CHECK(m.cuts && m.read && m.lost_told && m.rewrites && m.skips && m.full,
          "something never happened");
    CHECK(m.refused && m.dropped && m.syns && m.puts, "something never happened");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_against_twin),
    };

    seed = env_seed();
    return cmocka_run_group_tests_name("reasm_model", tests, NULL, NULL);
}
