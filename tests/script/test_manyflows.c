// SPDX-License-Identifier: BSD-2-Clause
/*
 * T8: 192,000 connections with 64 user-defined events each (API semantics 11.1, 13.8). Event sets are
 * shared: their number depends on how many different ones there are, not on the connections, and a
 * connection without bytes costs the same few hundred bytes with one event or with 64. A flood of SYNs
 * under a limit of memory: half-open connections go, the one that carries bytes stays.
 */
#include "pushlite.h"

#define FLOWS  192000
#define EVENTS 64
#define KINDS  8

static event_t extra[KINDS];
static long calls;

static bool never(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return false;
}

static void count(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    calls++;
}

/* Each connection takes one more event, of one of a few kinds: copy on write, and shared again. */
static void take_one_more(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    event_t e = extra[calls++ % KINDS];

    assert_int_equal(mtcp_register_callback(m, sock, e, MOS_HK_RCV, count), 0);
}

static void register_events(struct lite *l, int n)
{
    for (int i = 0; i < n; i++) {
        int32_t number = i;
        struct filter_arg arg = {.arg = &number, .len = sizeof(number)};
        event_t e = mtcp_define_event(MOS_ON_CONN_NEW_DATA, never, &arg);

        assert_true(e != MOS_NULL_EVENT);
        assert_int_equal(mtcp_register_callback(l->ctx, l->lst, e, MOS_NULL, count), 0);
    }
    for (int i = 0; i < KINDS; i++) {
        int32_t number = 1000 + i;
        struct filter_arg arg = {.arg = &number, .len = sizeof(number)};

        extra[i] = mtcp_define_event(MOS_ON_CONN_END, never, &arg);
        assert_true(extra[i] != MOS_NULL_EVENT);
    }
}

static void open_flows(struct lite *l, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        char src[40];

        snprintf(src, sizeof(src), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
        lite_tcp(l, 1000, (struct frame){.src = src, .flags = "S", .seq = 100});
    }
    lite_flush(l);
}

struct cost {
    uint64_t sets_few, sets_all, mem_few, mem_all;
};

static struct cost measure(int events, bool more)
{
    static struct lite l;
    struct cost c;

    lite_init(&l, "max_concurrency = 400000\nmax_half_open = 400000\ntcp_timeout = -1");
    register_events(&l, events);
    if (more)
        assert_int_equal(
            mtcp_register_callback(l.ctx, l.lst, MOS_ON_CONN_START, MOS_HK_SND, take_one_more), 0);
    open_flows(&l, 0, 1000);
    c.sets_few = lite_stat(&l, "sets_now");
    c.mem_few = lite_stat(&l, "mem_now");
    open_flows(&l, 1000, FLOWS);
    assert_int_equal(lite_stat(&l, "flows_now"), FLOWS);
    c.sets_all = lite_stat(&l, "sets_now");
    c.mem_all = lite_stat(&l, "mem_now");
    lite_fini(&l);
    return c;
}

static uint64_t per_flow(const struct cost *c)
{
    return (c->mem_all - c->mem_few) / (FLOWS - 1000);
}

static void sets_are_shared(void **state)
{
    struct cost one = measure(1, false), many = measure(EVENTS, false);

    assert_int_equal(many.sets_few, many.sets_all);
    assert_int_equal(one.sets_all, many.sets_all);
    print_message("# %llu bytes a connection with 1 event, %llu with %d\n",
                  (unsigned long long)per_flow(&one), (unsigned long long)per_flow(&many), EVENTS);
    assert_int_equal(per_flow(&one), per_flow(&many));
    assert_true(per_flow(&many) <= 400); /* API semantics 13.7 I13 */
}

/* Every connection changes its own set: still a handful of sets, not one for each. */
static void changed_sets_are_shared(void **state)
{
    struct cost c = measure(EVENTS, true);

    assert_int_equal(calls, FLOWS);
    assert_true(c.sets_all <= c.sets_few);
    assert_true(c.sets_all <= 2 + 2 * KINDS);
    assert_true(per_flow(&c) <= 400);
}

static long evicted, ended_evicted, ended_live;

static void on_evict(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    assert_int_equal(side, MOS_SIDE_BOTH);
    evicted++;
}

static void on_end(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    assert_int_equal(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len), 0);
    if (info.reason == MOS_END_EVICTED)
        ended_evicted++;
    if (info.dir[MOS_SIDE_CLI].packets > 1)
        ended_live++;
}

static void talk(struct lite *l, uint32_t from, uint32_t n)
{
    lite_tcp(l, 1000,
             (struct frame){.sport = 7, .flags = "P.", .seq = 101 + from, .ack = 501, .plen = n});
}

static void flood_evicts_the_half_open(void **state)
{
    static struct lite l;

    lite_init(&l,
              "max_concurrency = 400000\nmax_half_open = 400000\ntcp_timeout = -1\nmemory = 4M");
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_EVICT, MOS_NULL, on_evict), 0);
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_CONN_END, MOS_HK_RCV, on_end), 0);
    lite_tcp(&l, 1000, (struct frame){.sport = 7, .flags = "S", .seq = 100});
    lite_tcp(&l, 1000,
             (struct frame){FRAME_REPLY, .sport = 7, .flags = "S.", .seq = 500, .ack = 101});
    talk(&l, 0, 100);
    for (uint32_t i = 0; i < 50; i++) {
        open_flows(&l, i * 1000, (i + 1) * 1000);
        talk(&l, 100 + i * 10, 10);
    }
    lite_flush(&l);
    assert_true(evicted > 10000);
    assert_int_equal(ended_evicted, 2 * evicted); /* once a side */
    assert_int_equal(ended_live, 0);
    assert_true(lite_stat(&l, "mem_now") <= 4 << 20);
    assert_int_equal(lite_stat(&l, "flows_now"), 50001 - evicted);
    lite_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_shared),
        cmocka_unit_test(changed_sets_are_shared),
        cmocka_unit_test(flood_evicts_the_half_open),
    };

    return cmocka_run_group_tests_name("many flows", tests, NULL, NULL);
}
