// SPDX-License-Identifier: BSD-2-Clause
/*
 * More happens in one batch than its lists have room for, and there is no memory for longer ones:
 * nothing of it is forgotten all the same; only the order may be another.
 */
#include "pushfix.h"

#include "engine/engine.h"
#include "failing.h"
#include "pools.h"

#define MANY 300 /* connections; a list begins with 256 */

static int child[MANY], data[MANY], gaps, ends[MANY];

static int of(int sock)
{
    for (int i = 0; i < MANY; i++)
        if (child[i] == sock)
            return i;
    return -1;
}

static void note_child(int sock, int side, event_t ev)
{
    if (ev == MOS_ON_CONN_START && side == MOS_SIDE_CLI)
        for (int i = 0; i < MANY; i++)
            if (child[i] < 0) {
                child[i] = sock;
                break;
            }
}

static int up(void **state)
{
    fix_up(state);
    memset(child, -1, sizeof(child));
    memset(data, 0, sizeof(data));
    memset(ends, 0, sizeof(ends));
    gaps = 0;
    fix_on(fix.lst, MOS_ON_CONN_START, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_on(fix.lst, MOS_ON_GAP, MOS_NULL);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = note_child;
    for (uint16_t i = 0; i < MANY; i++) {
        uint16_t port = (uint16_t)(3000 + i);

        fix_push((struct frame){.sport = port, .flags = "S", .seq = FIX_CLI});
        fix_push((struct frame){FRAME_REPLY, .sport = port, .flags = "S.", .seq = FIX_SVR,
                                .ack = FIX_CLI + 1});
        fix_push((struct frame){.sport = port, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    }
    return 0;
}

static int down(void **state)
{
    fail_disarm(&fail_alloc);
    fix.act = NULL;
    mtcp_push(fix.ctx, NULL, 0);
    assert_pools_empty(&engine.ctx[0].m->env);
    return fix_down(state);
}

static uint64_t counted(enum reason r)
{
    return engine.ctx[0].m->env.reasons[r];
}

static void count(int sock, int side, event_t ev)
{
    gaps += ev == MOS_ON_GAP;
    if (ev == MOS_ON_CONN_NEW_DATA)
        data[of(sock)]++;
    if (ev == MOS_ON_CONN_END)
        ends[of(sock)]++;
}

static void close_all(int sock, int side, event_t ev)
{
    count(sock, side, ev);
    if (ev != MOS_ON_CONN_NEW_DATA)
        return;
    fix.act = count;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(mtcp_reset_conn(fix.ctx, child[i]), 0);
}

/* One callback ends all connections. */
static void ends_are_told(void **state)
{
    fix.act = close_all;
    fix_push((struct frame){
        .sport = 3007, .flags = "P.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .payload = "x"});
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ends[i], 2); /* both sides */
    assert_int_equal(engine.ctx[0].m->env.ft.count, 0);
}

static void ends_without_memory(void **state)
{
    fix.act = close_all;
    fail_arm(&fail_alloc, 1, UINT64_MAX);
    fix_push((struct frame){
        .sport = 3007, .flags = "P.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .payload = "x"});
    assert_true(fail_alloc.failed > 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ends[i], 2);
    assert_int_equal(engine.ctx[0].m->env.ft.count, 0);
}

/* hole_in_all: bytes behind a hole on every connection. */
static void hole_in_all(void)
{
    for (uint16_t i = 0; i < MANY; i++)
        fix_push((struct frame){.sport = (uint16_t)(3000 + i),
                                .flags = "P.",
                                .seq = FIX_CLI + 101,
                                .ack = FIX_SVR + 1,
                                .payload = "late"});
}

/* All holes are given up by one tick. */
static void holes_without_memory(void **state)
{
    hole_in_all();
    fix.act = count;
    fail_arm(&fail_alloc, 1, UINT64_MAX);
    assert_int_equal(mtcp_tick(fix.ctx, fix.now + 3000 * FIX_MS), 0);
    fix.now += 3000 * FIX_MS;
    assert_true(fail_alloc.failed > 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(data[i], 1);
    /* those that found no place in the list are counted, and who reads meets them */
    assert_true(gaps >= 256);
    assert_int_equal(counted(REASON_NO_STREAM_MEM), MANY - gaps);
    fail_disarm(&fail_alloc);
    /* and the lists work as ever */
    for (uint16_t i = 0; i < MANY; i++)
        fix_push((struct frame){.sport = (uint16_t)(3000 + i),
                                .flags = "P.",
                                .seq = FIX_CLI + 105,
                                .ack = FIX_SVR + 1,
                                .payload = "more"});
    for (int i = 0; i < MANY; i++)
        assert_int_equal(data[i], 2);
}

static void stop_all(int sock, int side, event_t ev)
{
    int both = MOS_SIDE_BOTH;

    fix.act = count;
    fail_arm(&fail_alloc, 1, UINT64_MAX);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(
            mtcp_setsockopt(fix.ctx, child[i], SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)),
            0);
    fail_disarm(&fail_alloc); /* tombstones need some */
}

static void stops_without_memory(void **state)
{
    struct mon *m = engine.ctx[0].m;

    fix.act = stop_all;
    fix_push((struct frame){
        .sport = 3007, .flags = "P.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .payload = "x"});
    assert_true(fail_alloc.failed > 0);
    assert_int_equal(m->env.ft.count, 0);
    assert_int_equal(m->env.ft.tombs.used, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(ends[i], 0);
}

static void first_tick_without_memory(void **state)
{
    assert_int_equal(mtcp_push(fix.ctx, NULL, 0), 0);
    fix_down(NULL);
    fix_up(NULL);
    fail_arm(&fail_alloc, 1, UINT64_MAX);
    assert_fails(ENOMEM, mtcp_tick(fix.ctx, fix.now));
    fail_disarm(&fail_alloc);
    assert_int_equal(mtcp_tick(fix.ctx, fix.now), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ends_are_told),        T(ends_without_memory),       T(holes_without_memory),
        T(stops_without_memory), T(first_tick_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
