// SPDX-License-Identifier: BSD-2-Clause
/* How connections end, when they must be looked at, and that nothing is left of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conn_fix.h"

static struct fix x;

static int up(void **state)
{
    fix_up(&x);
    return 0;
}

static int down(void **state)
{
    fix_down(&x);
    return 0;
}

static uint64_t deadline_ms(void)
{
    uint64_t ns = conn_deadline(&x.env, fix_flow(&x));

    return ns == UINT64_MAX ? UINT64_MAX : (ns - FIX_START) / MS;
}

static void close_both(void)
{
    shake(&x);
    c2s(&x, "F.", 0, 0, "");
    s2c(&x, "F.", 0, 1, "");
    c2s(&x, ".", 1, 1, "");
}

/* due: does the flow's timer fire at this ms, and is it idle then? */
static bool due(uint64_t ms)
{
    uint32_t head, idx;
    uint8_t data = 0;
    bool idle = false;

    at(&x, ms);
    head = wheel_advance(&x.env.ft.wheel, x.env.now);
    while ((idx = wheel_next_due(&x.env.ft.wheel, &head)) != 0)
        idle |= conn_timer(&x.env, idx, &data);
    return idle;
}

/* ---- done ---- */

static void ends_at_once(void **state)
{
    close_both();
    assert_int_equal(x.done, MOS_END_FIN);
    assert_false(fix_flow(&x)->flags & FLOW_LINGER);
}

static void not_before_it_began(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    assert_int_equal(x.done, 0);
    s2c(&x, "R.", 7, 7, "");
    assert_int_equal(x.done, 0);
}

static void lingers(void **state)
{
    const struct flow *f;

    x.env.cfg.linger_ns = 500 * MS;
    close_both();
    f = fix_flow(&x);
    assert_int_equal(x.done, 0);
    assert_true(f->flags & FLOW_LINGER);
    assert_int_equal(f->reason, MOS_END_FIN);
    assert_int_equal(deadline_ms(), 500);
    at(&x, 300);
    s2c(&x, "F.", 0, 1, ""); /* late, its own, and told apart from an orphan */
    assert_int_equal(x.done, 0);
    assert_int_equal(deadline_ms(), 800);
    assert_false(due(600)); /* hung again for 800 */
    assert_true(due(804));
}

static void reset_while_it_lingers(void **state)
{
    x.env.cfg.linger_ns = 500 * MS;
    close_both();
    c2s(&x, "R", 4444, 0, "");
    assert_false(x.cp.ignored);
    states_are(&x, FS_TIME_WAIT, FS_CLOSED); /* nobody moves any more */
    assert_int_equal(fix_flow(&x)->reason, MOS_END_FIN);
}

static void time_wait(void **state)
{
    x.env.cfg.tw_ns = 2000 * MS;
    close_both();
    assert_int_equal(x.done, 0);
    assert_int_equal(deadline_ms(), 2000);
    at(&x, 1000);
    c2s(&x, ".", 1, 1, "");
    assert_int_equal(deadline_ms(), 3000); /* RFC 9293 3.10.7.4: the timer begins again */
    assert_false(due(2004));
    assert_true(due(3004));
}

static void the_longer_of_both(void **state)
{
    x.env.cfg.tw_ns = 2000 * MS;
    x.env.cfg.linger_ns = 5000 * MS;
    close_both();
    assert_int_equal(deadline_ms(), 5000);
}

static void no_time_wait_after_a_reset(void **state)
{
    x.env.cfg.tw_ns = 2000 * MS;
    shake(&x);
    c2s(&x, "R", 0, 0, "");
    assert_int_equal(x.done, MOS_END_RST);
}

/* ---- idle ---- */

static void idle(void **state)
{
    shake(&x);
    assert_int_equal(deadline_ms(), 30000);
    at(&x, 20000);
    c2s(&x, ".", 0, 0, "");
    assert_int_equal(deadline_ms(), 50000);
    assert_false(due(30004)); /* the entry of the first packet fires early */
    assert_false(due(49999));
    assert_true(due(50004));
    conn_rearm(&x.env, x.idx); /* the caller's choice: it lives on */
    assert_true(due(50008));
}

static void idle_times_of_its_own(void **state)
{
    shake(&x);
    flow_set_timeout(fix_flow(&x), 100);
    assert_int_equal(deadline_ms(), 100);
    flow_set_timeout(fix_flow(&x), UINT32_MAX);
    assert_int_equal(deadline_ms(), UINT64_MAX);
    conn_rearm(&x.env, x.idx);
    assert_false(wheel_hangs(&x.env.ft.wheel, x.idx));
    flow_set_timeout(fix_flow(&x), UINT32_MAX - 1);
    assert_int_equal(deadline_ms(), UINT32_MAX - 1);
    flow_set_timeout(fix_flow(&x), 0);
    x.env.cfg.idle_ns = UINT64_MAX;
    assert_int_equal(deadline_ms(), UINT64_MAX);
    x.env.cfg.idle_ns = UINT64_MAX - 1; /* a sum that cannot be counted */
    assert_int_equal(deadline_ms(), UINT64_MAX);
}

static void a_hole_is_looked_at_first(void **state)
{
    shake(&x);
    c2s(&x, "P.", 5, 0, "x");
    assert_false(due(1999));
    assert_int_equal(x.env.ngaps, 0);
    assert_false(due(2004));
    assert_int_equal(x.env.ngaps, 1);
    assert_false(due(29999));
    assert_true(due(30004));
}

/* ---- killed ---- */

static void killed_once(void **state)
{
    shake(&x);
    conn_kill(&x.env, x.idx, MOS_END_RST);
    conn_kill(&x.env, x.idx, MOS_END_EVICTED);
    assert_int_equal(x.env.nended, 1);
    assert_int_equal(x.env.ended[0], x.idx);
    assert_int_equal(fix_flow(&x)->reason, MOS_END_RST);
    assert_true(fix_flow(&x)->flags & FLOW_ENDED);
}

static void what_finished_it_stands(void **state)
{
    x.env.cfg.linger_ns = 500 * MS;
    close_both();
    conn_kill(&x.env, x.idx, MOS_END_EVICTED);
    assert_int_equal(fix_flow(&x)->reason, MOS_END_FIN);
}

/* ---- nothing is left ---- */

static void freed_with_everything_pending(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "fast", .vlan = {5}});
    feed(&x, (struct frame){.sport = 99, .flags = "S", .seq = CLI_ISN, .payload = "open"});
    feed(&x, (struct frame){.v6 = true, .flags = "S", .seq = CLI_ISN});
    c2s(&x, "P.", 9, 0, "abc");
    c2s(&x, "P.", 4, 0, "abc");
    conn_kill(&x.env, x.idx, MOS_END_EVICTED);
    assert_int_equal(x.env.ft.count, 3);
    assert_int_not_equal(x.env.se.chunks.used, 0);
    /* down() wants all of it gone */
}

static void freed_in_any_order(void **state)
{
    uint32_t idx[3];

    for (int i = 0; i < 3; i++) {
        struct frame f = {.sport = (uint16_t)(100 + i), .flags = "S", .seq = CLI_ISN};

        feed(&x, f);
        idx[i] = x.idx;
        f.flags = "P.";
        f.seq = CLI_ISN + 1 + 20;
        f.ack = SVR_ISN + 1;
        f.payload = "abc";
        feed(&x, f);
        f.seq = CLI_ISN + 1;
        feed(&x, f);
    }
    assert_int_equal(x.env.nraises, 3);
    at(&x, 3000);
    due(3000); /* gaps */
    assert_int_equal(x.env.ngaps, 3);
    conn_kill(&x.env, idx[1], MOS_END_RST);
    conn_free(&x.env, idx[1]); /* the middle one of the list of touched flows */
    assert_int_equal(x.env.raises[1].flow, 0);
    assert_int_equal(x.env.gaps[1].flow, 0);
    assert_int_equal(x.env.ended[0], 0);
    assert_int_equal(x.env.raises[0].flow, idx[0]);
    assert_int_equal(x.env.raises[2].flow, idx[2]);
    assert_int_equal(x.env.touched, idx[2]);
    assert_int_equal(flow_at(&x.env.ft, idx[2])->pend, idx[0]);
    conn_free(&x.env, idx[2]);
    conn_free(&x.env, idx[0]);
    assert_pools_empty(&x.env);
}

/* Ten thousand connections, one after the other: the second half takes no memory that the first had not. */
static void steady_state(void **state)
{
    uint64_t allocs = 0;

    for (int i = 0; i < 10000; i++) {
        if (i == 5000)
            allocs = x.env.acct.allocs;
        shake(&x);
        c2s(&x, "P.", 5, 0, "late");
        c2s(&x, "P.", 0, 0, "early");
        c2s(&x, "F.", 9, 0, "");
        end_batch(&x);
        s2c(&x, "FP.", 0, 10, "bye");
        c2s(&x, ".", 10, 4, "");
        assert_int_equal(x.done, MOS_END_FIN);
        conn_free(&x.env, x.idx);
        end_batch(&x);
        at(&x, (uint64_t)i + 1);
        wheel_advance(&x.env.ft.wheel, x.env.now);
    }
    assert_int_equal(x.env.acct.allocs, allocs);
    assert_pools_empty(&x.env);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ends_at_once),
        T(not_before_it_began),
        T(lingers),
        T(reset_while_it_lingers),
        T(time_wait),
        T(the_longer_of_both),
        T(no_time_wait_after_a_reset),
        T(idle),
        T(idle_times_of_its_own),
        T(a_hole_is_looked_at_first),
        T(killed_once),
        T(what_finished_it_stands),
        T(freed_with_everything_pending),
        T(freed_in_any_order),
        T(steady_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
