// SPDX-License-Identifier: BSD-2-Clause
/*
 * No memory, at every place that asks for it: a run (scene.h) in which the k-th allocation fails,
 * for every k; in which all fail from the k-th on; and in which the configuration's `memory` is the
 * limit, in steps. Each is compared with the run in which nothing fails.
 *
 * What must hold, besides that the process lives, nothing leaks and pools end empty (scene_run):
 *   1  a call that fails says ENOMEM or ENOBUFS, and why (scene.c, said_no)
 *   2  of each connection and reader, the packets told (and repetitions) are a subsequence of those
 *      of the full run; so are the states of each side
 *   3  what began ends: one CONN_START, then four CONN_ENDs (each side, each hook) and nothing
 *      after them; a stopped one has none. A connection that did not begin tells nothing; of one that
 *      was evicted in its handshake and began again, the second life counts (scene.c)
 *   4  bytes read are those of the stream at that place (scene.c, take); what was not read was
 *      declared lost, or its connection ended early
 *   5  if any line, byte, gap or number in MOS_FLOW_INFO differs from the full run, a counter or a failed call says so
 *   6  bytes lost beyond those of the full run are at most those that counters say could not be
 *      kept, unless connections were lost or ended early
 *
 * Every allocation fails in turn where one fails of a pushed run; of the other ways every fifth,
 * unless WEIR_FAULT_STEP=1. WEIR_FAULT_ONLY=k: a single one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "scene.h"
#include "scene_traffic.h"

static struct scene_log full[SCENE_CORES + 1], run;

/* ---- lines of one connection, as one reader was told ---- */

/* Lines in order of connection and reader, as they came: made once for each run. */
struct sorted {
    uint32_t first[SCENE_FLOWS * SCENE_READERS + 1];
    struct scene_line line[SCENE_CORES * SCENE_LINES];
};

static struct sorted sorted_full, sorted_run;

static uint32_t slot_of(const struct scene_line *l)
{
    return (uint32_t)l->flow * SCENE_READERS + l->reader;
}

static void sort(struct sorted *s, const struct scene_log *log)
{
    static uint32_t at[SCENE_FLOWS * SCENE_READERS];
    uint32_t sum = 0;

    memset(at, 0, sizeof(at));
    for (int c = 0; c < SCENE_CORES; c++)
        for (uint32_t i = 0; i < log->n[c]; i++)
            at[slot_of(&log->line[c][i])]++;
    for (uint32_t i = 0; i < ARRAY_SIZE(at); i++) {
        uint32_t n = at[i];

        s->first[i] = at[i] = sum;
        sum += n;
    }
    s->first[ARRAY_SIZE(at)] = sum;
    for (int c = 0; c < SCENE_CORES; c++)
        for (uint32_t i = 0; i < log->n[c]; i++)
            s->line[at[slot_of(&log->line[c][i])]++] = log->line[c][i];
}

/* ---- the rules ---- */

enum sequence { PACKETS, STATES_CLI, STATES_SVR };

static bool belongs(const struct scene_line *l, enum sequence q)
{
    if (q == PACKETS)
        return l->what == SCENE_PACKET || l->what == SCENE_REXMIT;
    return l->what == SCENE_STATE && l->side == (q == STATES_SVR);
}

static bool same(const struct scene_line *a, const struct scene_line *b)
{
    return a->what == b->what && a->side == b->side && a->hook == b->hook && a->v == b->v;
}

/* show: what one reader was told of one connection, in the full run and in this one. */
static void show(uint32_t slot)
{
    const struct sorted *both[] = {&sorted_full, &sorted_run};

    fprintf(stderr, "connection %u (kind %d), reader %u\n", slot / SCENE_READERS,
            scene_kind((uint16_t)(slot / SCENE_READERS)), slot % SCENE_READERS);
    for (int k = 0; k < 2; k++) {
        fprintf(stderr, "%s:", k ? "now" : "full");
        for (uint32_t i = both[k]->first[slot]; i < both[k]->first[slot + 1]; i++) {
            const struct scene_line *l = &both[k]->line[i];

            fprintf(stderr, " %c%c%c%u", "bsprE"[l->what], "cs"[l->side], "><"[l->hook], l -> v);
        }
        fprintf(stderr, "\n");
    }
}

/* 2: => how many lines of the full run are missing. */
static uint32_t missing(uint32_t slot, enum sequence q)
{
    uint32_t f = sorted_full.first[slot], left = 0;

    for (uint32_t i = sorted_run.first[slot]; i < sorted_run.first[slot + 1]; i++) {
        const struct scene_line *l = &sorted_run.line[i];

        if (!belongs(l, q))
            continue;
        while (f < sorted_full.first[slot + 1] &&
               !(belongs(&sorted_full.line[f], q) && same(&sorted_full.line[f], l)))
            left += belongs(&sorted_full.line[f++], q);
        if (f == sorted_full.first[slot + 1]) {
            show(slot);
            must(!"no subsequence");
        }
        f++;
    }
    for (; f < sorted_full.first[slot + 1]; f++)
        left += belongs(&sorted_full.line[f], q);
    return left;
}

/* 3 */
static void balanced(uint32_t slot)
{
    const struct scene_line *v = sorted_run.line + sorted_run.first[slot];
    uint32_t n = sorted_run.first[slot + 1] - sorted_run.first[slot], ends = 0, starts = 0;
    bool stopped = scene_kind((uint16_t)(slot / SCENE_READERS)) == SCENE_STOPPED;

    for (uint32_t i = 0; i < n; i++) {
        starts += v[i].what == SCENE_START;
        ends += v[i].what == SCENE_END;
        /* between the ends of the two sides there is the state of the other */
        must(ends == 0 || v[i].what == SCENE_END || v[i].what == SCENE_STATE);
    }
    must(starts <= 1);
    must(n == 0 || starts == 1);
    must(ends == 4 * starts || (stopped && ends == 0));
}

/* 4: => bytes less than in the full run. */
static uint64_t fewer(uint32_t slot, int side)
{
    const struct scene_stream *r = &run.stream[slot / SCENE_READERS][slot % SCENE_READERS][side],
                              *f =
                                  &full[0].stream[slot / SCENE_READERS][slot % SCENE_READERS][side];

    /* the FIN's number, acknowledged and not seen, is taken for a byte where bytes are missing */
    if (r->got + r->lost > f->got + f->lost + (r->lost > 0)) {
        show(slot);
        fprintf(stderr, "side %d: %llu read, %llu lost; full: %llu, %llu\n", side,
                (unsigned long long)r->got, (unsigned long long)r->lost, (unsigned long long)f->got,
                (unsigned long long)f->lost);
        must(!"more bytes than there are");
    }
    return f->got > r->got ? f->got - r->got : 0;
}

static bool is_whole(uint32_t slot, int side)
{
    const struct scene_stream *r = &run.stream[slot / SCENE_READERS][slot % SCENE_READERS][side],
                              *f =
                                  &full[0].stream[slot / SCENE_READERS][slot % SCENE_READERS][side];

    return r->got + r->lost == f->got + f->lost;
}

/* 5: nothing was counted as lost, so nothing is. */
static void same_number(const char *what, uint64_t got, uint64_t want)
{
    if (got == want)
        return;
    fprintf(stderr, "%s: %llu, %llu in the full run\n", what, (unsigned long long)got,
            (unsigned long long)want);
    must(!"a loss that no counter tells");
}

static void compare(const struct scene_log *with)
{
    uint64_t lines = 0, bytes = 0, short_of = 0;

    sort(&sorted_run, &run);
    for (uint32_t slot = 0; slot < SCENE_FLOWS * SCENE_READERS; slot++) {
        bool lives_on = run.said_no && scene_kind((uint16_t)(slot / SCENE_READERS)) == SCENE_KILLED;
        uint32_t gone;

        balanced(slot);
        if (lives_on) /* it could not be reset */
            continue;
        gone = missing(slot, PACKETS) + missing(slot, STATES_CLI) + missing(slot, STATES_SVR);
        lines += gone;
        for (int side = 0; side < 2; side++) {
            if (is_whole(slot, side))
                short_of += fewer(slot, side);
            bytes += fewer(slot, side);
        }
    }
    if (run.lost == 0 && run.said_no == 0) {
        same_number("lines", lines, 0);
        same_number("bytes", bytes, 0);
        same_number("counts of connections", memcmp(run.info, full[0].info, sizeof(run.info)) != 0,
                    0);
        same_number("raw packets", run.raw, with->raw);
        same_number("timers", run.timers, with->timers);
        same_number("gaps", run.gaps, with->gaps);
        same_number("orphans", run.orphans, with->orphans);
        same_number("overruns", run.overruns, with->overruns);
        same_number("time-outs", run.timeouts, with->timeouts);
        same_number("raised", run.raised, with->raised);
    }
    if (lines == 0)
        must(short_of <= (run.stream_failed - with->stream_failed) * SCENE_READERS);
}

/* ---- runs ---- */

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);

    return s ? strtoull(s, NULL, 10) : otherwise;
}

static void full_run(int cores)
{
    struct scene_plan p = {.cores = cores};
    struct scene_log *f = &full[cores];

    scene_run(&p, f);
    run = *f;
    must(f->up && f->said_no == 0 && f->lost == 0 && f->stream_failed == 0);
    sort(&sorted_full, &full[0]);
    compare(&full[0]); /* any number of contexts: the same */
}

static void what_is_in_it(void **state)
{
    full_run(0);
    assert_true(full[0].n[0] > 5000);
    assert_true(full[0].gaps > 0 && full[0].overruns > 0 && full[0].orphans > 0);
    assert_true(full[0].timers > 0 && full[0].timeouts > 0 && full[0].raw > 0 &&
                full[0].raised > 0);
    print_message("# %d frames, %u lines, %llu allocations, %llu bytes\n", scene_frames,
                  full[0].n[0], (unsigned long long)full[0].allocs,
                  (unsigned long long)full[0].mem_peak);
    for (int cores = 1; cores <= SCENE_CORES; cores++)
        full_run(cores);
}

static void one_fails(int cores)
{
    uint64_t step = env_number("WEIR_FAULT_STEP", cores ? 5 : 1),
             only = env_number("WEIR_FAULT_ONLY", 0);

    for (uint64_t k = 1; k <= full[cores].allocs; k += step) {
        struct scene_plan p = {.cores = cores, .from = k, .to = k, .retry = true};

        if (only && k != only)
            continue;
        scene_run(&p, &run);
        compare(&full[cores]);
    }
}

static void all_fail_from(int cores)
{
    uint64_t step = env_number("WEIR_FAULT_STEP", 5), only = env_number("WEIR_FAULT_ONLY", 0);

    for (uint64_t k = 1; k <= full[cores].allocs; k += step) {
        struct scene_plan p = {.cores = cores, .from = k, .to = UINT64_MAX, .retry = true};

        if (only && k != only)
            continue;
        scene_run(&p, &run);
        if (run.up)
            compare(&full[cores]);
    }
}

static void one_fails_pushed(void **state)
{
    one_fails(0);
}

static void all_fail_pushed(void **state)
{
    all_fail_from(0);
}

static void one_fails_alone(void **state)
{
    one_fails(1);
}

static void all_fail_alone(void **state)
{
    all_fail_from(1);
}

static void one_fails_shared(void **state)
{
    one_fails(SCENE_CORES);
}

static void all_fail_shared(void **state)
{
    all_fail_from(SCENE_CORES);
}

static void limited_to(uint64_t bytes)
{
    struct scene_plan p = {.memory = bytes, .retry = true};

    scene_run(&p, &run);
    must(run.mem_peak <= bytes);
    if (run.up)
        compare(&full[0]);
}

static void memory_is_limited(void **state)
{
    for (uint64_t bytes = 4096; bytes < full[0].mem_peak; bytes += bytes / 16)
        limited_to(bytes);
    limited_to(4 * full[0].mem_peak);
    must(run.lost == 0);
}

static int prepare(void **state)
{
    scene_prepare();
    return 0;
}

static int done(void **state)
{
    scene_done();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_it),    cmocka_unit_test(one_fails_pushed),
        cmocka_unit_test(all_fail_pushed),  cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(one_fails_alone),  cmocka_unit_test(all_fail_alone),
        cmocka_unit_test(one_fails_shared), cmocka_unit_test(all_fail_shared),
    };

    return cmocka_run_group_tests(tests, prepare, done);
}
