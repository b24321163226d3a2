// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames that wait against a sorted array: they come at the end, in front, backwards, anywhere, with
 * numbers that wrap, some twice and some longer than before; the first leave. After every step the list is
 * compared, in both directions.
 *
 * SEED=n repeats a run, STEPS=n makes it longer. The seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/hash.h"
#include "conn/editint.h"
#include "repeat.h"

#define ROOM 600

static struct {
    struct rng r;
    struct edit_dir d;
    uint32_t base; /* number of offset 0 */
    struct kept_frame *twin[ROOM];
    uint32_t n;
    uint64_t steps, refused, twice, out;
} m;

static uint64_t seed;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "line %d: %s; SEED=%llu, step %llu\n", __LINE__, #cond,                \
                    (unsigned long long)seed, (unsigned long long)m.steps);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void compare(void)
{
    struct kept_frame *k = m.d.wait, *prev = NULL;
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < m.n; i++, prev = k, k = k->next) {
        CHECK(k == m.twin[i] && k->prev == prev);
        bytes += (uint32_t)k->size;
    }
    CHECK(k == NULL && m.d.waiting == bytes);
}

static void come(uint32_t off, uint32_t len)
{
    struct kept_frame *k = calloc(1, sizeof(*k));
    uint32_t i = m.n;
    bool taken;

    assert_non_null(k);
    k->seq = m.base + off;
    k->end = k->seq + len;
    k->size = 100 + len;
    while (i && m.twin[i - 1]->seq - m.base > off)
        i--;
    taken = !i || m.twin[i - 1]->seq != k->seq || m.twin[i - 1]->end - m.base < off + len;
    CHECK(edit_wait_in(&m.d, k) == taken);
    if (!taken) {
        m.refused++;
        free(k);
        return;
    }
    m.twice += i && m.twin[i - 1]->seq == k->seq;
    memmove(m.twin + i + 1, m.twin + i, (m.n++ - i) * sizeof(void *));
    m.twin[i] = k;
}

static void leave(void)
{
    struct kept_frame *k = edit_wait_out(&m.d);

    CHECK(k == m.twin[0]);
    memmove(m.twin, m.twin + 1, --m.n * sizeof(void *));
    free(k);
    m.out++;
}

static void step(void)
{
    uint32_t what = (uint32_t)rng_below(&m.r, 10), len = 1 + (uint32_t)rng_below(&m.r, 3);
    uint32_t first = m.n ? m.twin[0]->seq - m.base : 1000;
    uint32_t last = m.n ? m.twin[m.n - 1]->seq - m.base : 1000;

    if (m.n && (what < 3 || m.n == ROOM - 1))
        leave();
    else if (what < 5)
        come(last + len, len);
    else if (what < 7)
        come(first > 3 ? first - len : first, len);
    else
        come((uint32_t)rng_below(&m.r, 2000), len);
    m.steps++;
    compare();
}

static void random_against_an_array(void **state)
{
    const uint64_t steps = env_number("STEPS", 30000);

    rng_seed(&m.r, seed);
    while (m.steps < steps) {
        m.base = (uint32_t)rng_next(&m.r);
        m.base = rng_below(&m.r, 2) ? m.base : 0u - 1500;
        for (int i = 0; i < 1500; i++)
            step();
        while (m.n)
            leave();
        CHECK(m.d.wait == NULL && m.d.tree == NULL && m.d.waiting == 0);
    }
    printf("# %llu steps: %llu left, %llu refused, %llu longer than before\n",
           (unsigned long long)m.steps, (unsigned long long)m.out, (unsigned long long)m.refused,
           (unsigned long long)m.twice);
    if (steps >= 30000)
        CHECK(m.out && m.refused && m.twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_against_an_array),
    };

    seed = env_seed();
    return cmocka_run_group_tests_name("editwait_model", tests, NULL, NULL);
}
