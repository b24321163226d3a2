// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_overlap_model.c: overlapping segments against the naive twin, for all policies: whose byte
 * is held at every offset, how many bytes strm_taken foretells, and nothing left at the end. STEPS
 * and SEED in the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/errtext.h"
#include "base/hash.h"
#include "hosttwin.h"
#include "repeat.h"
#include "stream/chunk.h"

#define CASE 100 /* segments of one stream at most */

static struct {
    struct rng r;
    struct memacct acct;
    struct strm_env e;
    struct flow_side sd;
    struct twin t;
    uint8_t frame[CASE + 1][TWIN_BYTES];
    int size, seg, id, edges[2 * CASE], nedges;
    uint64_t base;
    uint64_t steps, taken, unsure, switched, skipped;
} m;

static uint64_t seed;

static const char *const names[] = OVERLAP_NAMES;

#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s; SEED=%llu, step %llu, %s: ", #cond, (unsigned long long)seed,     \
                    (unsigned long long)m.steps, names[m.t.policy]);                               \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static int below(int n)
{
    return (int)rng_below(&m.r, (uint64_t)n);
}

static uint8_t value(int id, int at)
{
    return (uint8_t)(id * 37 + at * 11 + 1);
}

static void compare(void)
{
    uint8_t got[TWIN_BYTES];
    bool have[TWIN_BYTES] = {false};

    CHECK(strm_check(&m.e, &m.sd, false), "%s", err_text());
    CHECK(m.sd.next == m.base + (uint64_t)m.t.next, "next %llu, should be %d",
          (unsigned long long)(m.sd.next - m.base), m.t.next);
    for (uint32_t i = m.sd.strm ? strm_at(&m.e, m.sd.strm)->head : 0; i;
         i = chunk_at(&m.e, i)->next) {
        const struct chunk *c = chunk_at(&m.e, i);

        memcpy(got + (c->off - m.base), c->ptr, c->len);
        memset(have + (c->off - m.base), 1, c->len);
    }
    for (int i = 0; i < m.size; i++) {
        CHECK(have[i] == (m.t.own[i] > 0), "byte %d", i);
        CHECK(!have[i] || got[i] == value(m.t.own[i], i), "byte %d should be of segment %d", i,
              m.t.own[i]);
    }
}

/* point: an offset; mostly one where a segment has begun or ended. */
static int point(void)
{
    int at = m.nedges && below(10) < 6
                 ? m.edges[below(m.nedges)] + (below(8) == 0) - (below(8) == 0)
                 : below(m.size + 1);

    return at < 0 ? 0 : at > m.size ? m.size : at;
}

static void segment(void)
{
    int s = point(), e = point();
    uint32_t want = 0, foretold, cut;
    struct strm_in in;
    struct twin before;

    if (s > e) {
        int x = s;

        s = e;
        e = x;
    }
    if (below(6) && s <= m.t.next) /* holes shall live */
        s = m.t.next + 1 < m.size ? m.t.next + 1 : s;
    if (e - s > m.seg)
        e = s + m.seg;
    if (s >= e)
        return;
    m.id++;
    m.edges[m.nedges++] = s;
    m.edges[m.nedges++] = e;
    for (int i = s; i < e; i++)
        m.frame[m.id][i] = value(m.id, i);
    in = (struct strm_in){m.base + (uint64_t)s, m.frame[m.id] + s, (uint32_t)(e - s),
                          (uint32_t)(e - s), true};
    foretold = strm_taken(&m.e, &m.sd, &in);
    before = m.t;
    twin_put(&m.t, m.id, s, e, m.size);
    if (m.t.unsure)
        return;
    for (int i = s; i < e; i++)
        want += before.own[i] > 0 && m.t.own[i] == m.id;
    CHECK(foretold == want, "%u bytes of %d-%d foretold, %u taken", foretold, s, e, want);
    m.taken += want;
    strm_insert(&m.e, &m.sd, &in, &cut);
}

static void step(void)
{
    int dice = below(100);

    m.steps++;
    if (dice < 4) {
        int next = m.t.next;

        twin_skip(&m.t, m.size);
        strm_skip(&m.e, &m.sd, m.base + (uint64_t)m.size);
        m.skipped += m.t.next > next;
    } else if (dice < 6) {
        enum overlap_policy p = (enum overlap_policy)below(OVERLAP_CNT);

        if (p != m.t.policy && p != OVERLAP_LAST && m.t.policy != OVERLAP_LAST) {
            twin_policy(&m.t, p, m.size);
            strm_policy(&m.e, &m.sd, p);
            m.switched++;
        }
    } else if (dice < 16) {
        strm_own(&m.e, &m.sd);
        memset(m.frame, 0xdb, sizeof(m.frame));
    } else {
        segment();
    }
}

static void stream(enum overlap_policy policy)
{
    m.size = 4 + below(below(3) ? 24 : TWIN_BYTES - 4);
    m.seg = 1 + below(m.size);
    m.base = below(2) ? 0 : below(2) ? 1ULL << 40 : UINT32_MAX - 20ULL;
    m.sd = (struct flow_side){.next = m.base};
    m.id = m.nedges = 0;
    twin_init(&m.t, policy);
    strm_policy(&m.e, &m.sd, policy);
    while (m.id < CASE && m.t.next < m.size && !m.t.unsure) {
        step();
        if (!m.t.unsure)
            compare();
    }
    m.unsure += m.t.unsure;
    strm_drop(&m.e, &m.sd);
    CHECK(m.e.strms.used + m.e.chunks.used + blkpool_used(&m.e.blks) == 0, "something is left");
}

static void all_policies_against_the_twin(void **state)
{
    const uint64_t steps = env_number("STEPS", 100000);

    rng_seed(&m.r, seed);
    strm_env_init(&m.e, &m.acct, 1u << 16, 1u << 16);
    while (m.steps < steps)
        stream((enum overlap_policy)below(OVERLAP_CNT));
    strm_env_fini(&m.e);
    CHECK(m.acct.used == 0, "memory is left");
    printf(
        "# %llu steps: %llu bytes taken, %llu holes skipped, %llu changes of policy, %llu streams "
        "left to the tree\n",
        (unsigned long long)m.steps, (unsigned long long)m.taken, (unsigned long long)m.skipped,
        (unsigned long long)m.switched, (unsigned long long)m.unsure);
    CHECK(steps < 10000 || (m.taken && m.skipped && m.switched && m.unsure), "never happened");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_policies_against_the_twin)};

    seed = env_seed();
    return cmocka_run_group_tests_name("overlap_model", tests, NULL, NULL);
}
