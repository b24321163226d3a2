/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reasm_twin.h: the naive twin of a receive stream, and the comparison with the real one. It is a
 * few arrays with one cell per byte of the stream: was it seen, was it declared lost, is it held and
 * with what value, has it been read and as what. It knows nothing of chunks, intervals or frames.
 * Included by test_reasm_model.c alone.
 *
 * Lack of memory is the only thing the twin does not foresee. It looks which bytes were dropped and
 * checks that they are as many as were counted.
 */
#ifndef WEIR_TESTS_REASM_TWIN_H
#define WEIR_TESTS_REASM_TWIN_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "base/hash.h"
#include "stream/chunk.h"

#define ROOM    (300u << 10) /* largest stream of an episode */
#define FRAMES  64           /* of one batch */
#define READERS 2
#define IOV     6

struct frame {
    uint8_t *p;
    uint32_t len;
};

static struct model {
    struct rng r;
    struct memacct acct;
    struct strm_env e;
    struct flow_side sd;
    /* this episode */
    uint32_t size;   /* offsets used */
    uint32_t seg;    /* longest segment */
    uint64_t base;   /* offset of cell 0 */
    bool tight;      /* memory may run out */
    bool forgot;     /* a gap may be forgotten: `late` is a lower bound */
    bool store;      /* somebody wants the bytes */
    bool whole;      /* nothing is ever lost: no cut tails, no skipped holes */
    uint32_t other;  /* one in `other` copies has different content */
    uint32_t retain; /* bytes kept behind the readers */
    struct frame batch[FRAMES], old[FRAMES]; /* old: poisoned, still allocated */
    uint32_t nbatch, nold;
    /* the twin */
    uint64_t next, syn, acked, readable, read_to;
    uint64_t cur[READERS];
    uint64_t held_n, ooo_n;
    uint8_t seen[ROOM], gap[ROOM], held[ROOM], was_read[ROOM];
    uint8_t val[ROOM], read_val[ROOM], truth[ROOM];
    /* totals, to see that everything happens */
    uint64_t steps, inserts, fresh, views, read, lost_told, owns, rewrites, refused, dropped, skips,
        cuts, syns, puts, full;
} m;

static uint64_t seed;

#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond))                                                                               \
            broken(__LINE__, #cond, __VA_ARGS__);                                                  \
    } while (0)

__attribute__((noreturn))
__printflike(3, 4) static void broken(int line, const char *cond, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "line %d: %s; SEED=%llu, step %llu: ", line, cond, (unsigned long long)seed,
            (unsigned long long)m.steps);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    abort();
}

static inline uint32_t below(uint32_t n)
{
    return n ? (uint32_t)rng_below(&m.r, n) : 0;
}

static inline bool one_in(uint32_t n)
{
    return below(n) == 0;
}

static inline uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline struct strm *strm_now(void)
{
    return m.sd.strm ? strm_at(&m.e, m.sd.strm) : NULL;
}

static inline bool last(void)
{
    return m.sd.flags & SIDE_LAST;
}

/* ---- the twin's bookkeeping ---- */

static inline uint64_t first_seen_above_next(void)
{
    uint64_t i = m.next;

    while (i < m.size && !m.seen[i])
        i++;
    return i;
}

static inline void unhold(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        m.held_n -= m.held[i];
        m.held[i] = 0;
    }
}

static inline void twin_hold(uint64_t i, uint8_t v)
{
    m.held_n += !m.held[i];
    m.held[i] = 1;
    m.val[i] = v;
}

/* twin_see: the byte is known from now on. */
static inline void twin_see(uint64_t i)
{
    m.ooo_n += !m.seen[i];
    m.seen[i] = 1;
}

static inline void twin_absorb(void)
{
    while (m.next < m.size && m.seen[m.next]) {
        m.next++;
        m.ooo_n--;
    }
}

static inline void twin_ack(uint64_t off)
{
    if (off > m.acked)
        m.acked = off;
    if (min64(m.acked, m.next) > m.readable)
        m.readable = min64(m.acked, m.next);
}

/* twin_stream: a stream was made or went by the last call, made when `next` was as given. */
static inline void twin_stream(bool had, uint64_t next)
{
    if (had || !m.sd.strm)
        return;
    m.acked = 0;
    m.readable = m.read_to = next;
    strm_now()->ooo_limit = m.e.ooo_limit;
}

static inline uint64_t twin_end(void)
{
    return last() && m.sd.strm ? m.readable : m.next;
}

/* twin_dropped: forget the bytes that were dropped for lack of memory since `failed` was `before`. */
static inline void twin_dropped(uint64_t before)
{
    uint64_t n = 0, at = 0;

    if (m.e.failed == before)
        return;
    CHECK(m.tight, "memory ran out");
    for (uint32_t i = m.sd.strm ? strm_now()->head : 0;; i = chunk_at(&m.e, i)->next) {
        uint64_t stop = i ? chunk_at(&m.e, i)->off - m.base : m.size;

        for (; at < stop; at++) {
            n += m.held[at];
            m.held_n -= m.held[at];
            m.held[at] = 0;
        }
        if (i == 0)
            break;
        at = chunk_end(chunk_at(&m.e, i)) - m.base;
    }
    CHECK(n == m.e.failed - before, "%llu bytes went, %llu were counted", (unsigned long long)n,
          (unsigned long long)(m.e.failed - before));
    m.dropped += n;
}

/* ---- comparing ---- */

static inline void compare_held(void)
{
    uint64_t n = 0;

    for (uint32_t i = m.sd.strm ? strm_now()->head : 0; i; i = chunk_at(&m.e, i)->next) {
        const struct chunk *c = chunk_at(&m.e, i);
        uint64_t off = c->off - m.base;

        CHECK(off + c->len <= m.size, "chunk at %llu", (unsigned long long)off);
        CHECK(memchr(m.held + off, 0, c->len) == NULL, "chunk at %llu + %u",
              (unsigned long long)off, c->len);
        CHECK(memcmp(m.val + off, c->ptr, c->len) == 0, "wrong bytes in %llu + %u",
              (unsigned long long)off, c->len);
        n += c->len;
    }
    CHECK(n == m.held_n, "%llu bytes held, should be %llu", (unsigned long long)n,
          (unsigned long long)m.held_n);
}

static inline void compare_hole(void)
{
    uint64_t upto = m.next + below(50), end = first_seen_above_next(), off = 0, len = 0;
    bool want = end < m.size ? end > m.next : upto > m.next;

    if (end == m.size)
        end = upto;
    CHECK(strm_hole(&m.e, &m.sd, m.base + upto, &off, &len) == want, "upto %llu",
          (unsigned long long)upto);
    CHECK(!want || (off == m.base + m.next && len == end - m.next), "%llu + %llu",
          (unsigned long long)off, (unsigned long long)len);
}

static inline void compare_frag(void)
{
    uint64_t from = below(m.size), a = from, b, start = 0, len = 0;
    bool got = strm_frag(&m.e, &m.sd, m.base + from, &start, &len);

    while (a < m.size && !m.held[a])
        a++;
    CHECK(got == (a < m.size), "from %llu", (unsigned long long)from);
    if (!got)
        return;
    for (b = a; b < m.size && m.held[b]; b++)
        ;
    start -= m.base;
    CHECK(start <= a && start + len == b, "%llu + %llu", (unsigned long long)start,
          (unsigned long long)len);
    for (uint64_t i = start; i < a; i++) /* it may begin before `from` */
        CHECK(m.held[i], "%llu", (unsigned long long)i);
}

static inline void compare_sums(void)
{
    uint64_t below_next = 0, oldest = m.next, ooo_runs = 0;

    for (uint64_t i = m.next; i-- > 0;) {
        below_next += m.held[i];
        oldest = m.held[i] ? i : oldest;
    }
    CHECK(strm_held(&m.e, &m.sd) == below_next, "%llu", (unsigned long long)below_next);
    CHECK(strm_oldest(&m.e, &m.sd) == m.base + oldest, "%llu", (unsigned long long)oldest);
    for (uint64_t i = m.next; i < m.size; i++)
        ooo_runs += m.seen[i] && !m.seen[i - 1];
    CHECK(strm_full(&m.e, &m.sd) ==
              (m.sd.strm && (m.ooo_n > m.e.ooo_limit || ooo_runs > STRM_IVALS)),
          "%llu bytes in %llu runs", (unsigned long long)m.ooo_n, (unsigned long long)ooo_runs);
}

/* note_forgotten: from the first forgotten gap on `late` may be too low. It takes many gaps, or no memory. */
static inline void note_forgotten(void)
{
    uint64_t lost = 0;

    if (m.forgot || !m.sd.strm || strm_now()->settled == 0)
        return;
    m.forgot = true;
    for (uint32_t i = 0; i < m.size; i++)
        lost += m.gap[i];
    CHECK(m.tight || lost > STRM_GAPS, "%llu lost", (unsigned long long)lost);
}

static inline void compare(bool after_own)
{
    const struct strm *s = strm_now();

    CHECK(strm_check(&m.e, &m.sd, after_own), "%s", err_text());
    CHECK(m.sd.next == m.base + m.next, "next %llu, should be %llu",
          (unsigned long long)(m.sd.next - m.base), (unsigned long long)m.next);
    CHECK(strm_end(&m.e, &m.sd) == m.base + twin_end(), "end %llu",
          (unsigned long long)strm_end(&m.e, &m.sd));
    CHECK((s ? s->ooo_bytes : 0) == m.ooo_n, "%llu bytes out of order",
          (unsigned long long)m.ooo_n);
    CHECK(!s || s->syn_len == m.syn, "%u on the SYN", s->syn_len);
    note_forgotten();
    compare_held();
    if (one_in(m.size > 10000 ? 200 : 8)) {
        compare_hole();
        compare_frag();
        compare_sums();
    }
}

#endif
