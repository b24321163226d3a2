// SPDX-License-Identifier: BSD-2-Clause
/* Ids, listeners and their children; stopped flows; room made for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pushfix.h"
#include "engine/engine.h"
#include "pools.h"

static struct mon *m;
static char told[400]; /* what was told, by log_it */

/* up_with: a configuration of these items in its mos block. */
static int up_with(const char *items)
{
    memset(&fix, 0, sizeof(fix));
    fix.now = FIX_START;
    fix.child = -1;
    fix_init(items);
    fix.ctx = mtcp_create_context(0);
    m = engine.ctx[0].m;
    fix.lst = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    told[0] = '\0';
    return 0;
}

static int up(void **state)
{
    return up_with("");
}

/* down: the input ends, nothing is left, every id but the listeners' is free. */
static int down(void **state)
{
    uint32_t listeners = 0;

    fix.act = NULL;
    mtcp_push(fix.ctx, NULL, 0);
    assert_pools_empty(&m->env);
    for (int i = 0; i < m->nlst; i++)
        listeners += m->lst[i].started;
    assert_int_equal(m->nsock - m->nfree, listeners);
    return fix_down(state);
}

static void log_it(int sock, int side, event_t ev)
{
    snprintf(told + strlen(told), sizeof(told) - strlen(told), "%d%s ", sock,
             ev == MOS_ON_ORPHAN     ? "o"
             : ev == MOS_ON_CONN_END ? (side == MOS_SIDE_CLI ? "ec" : "es")
             : ev == MOS_ON_EVICT    ? "v"
             : side == MOS_SIDE_CLI  ? "c"
                                     : "s");
}

#define was_told(want)                                                                             \
    do {                                                                                           \
        assert_string_equal(told, want);                                                           \
        told[0] = '\0';                                                                            \
    } while (0)

static void syn_from(uint16_t port)
{
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .sport = port});
}

static void reset_from(uint16_t port)
{
    fix_push((struct frame){.flags = "R", .seq = FIX_CLI + 1, .sport = port});
}

/* ---- ids ---- */

static void kinds(void **state)
{
    int raw = mtcp_socket(fix.ctx, AF_INET6, MOS_SOCK_MONITOR_RAW, 0);

    assert_int_equal(fix.lst, 0);
    assert_int_equal(raw, 1); /* one space of ids for all */
    assert_fails(EAFNOSUPPORT, mtcp_socket(fix.ctx, AF_UNIX, MOS_SOCK_MONITOR_STREAM, 0));
    assert_fails(EPROTONOSUPPORT, mtcp_socket(fix.ctx, AF_INET, SOCK_STREAM, 0));
    assert_fails(EINVAL, mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM_ACTIVE, 0));
    assert_fails(EINVAL, mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_EPOLL, 0));
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    syn_from(5);
    assert_int_equal(fix.child, 2);
}

/* A freed id is not somebody else's at once: the longest free is taken first. */
static void recycled_first_in_first_out(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    for (uint16_t port = 11; port <= 13; port++)
        syn_from(port);
    assert_int_equal(fix.child, 3);
    reset_from(12);
    reset_from(11);
    syn_from(21);
    assert_int_equal(fix.child, 2);
    syn_from(22);
    assert_int_equal(fix.child, 1);
    syn_from(23);
    assert_int_equal(fix.child, 4);
}

static void up_to_max_concurrency(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_ORPHAN, MOS_NULL);
    assert_int_equal(mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 1);
    assert_int_equal(mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 2);
    assert_int_equal(mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), 3);
    assert_fails(ENFILE, mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0));
    fix.act = log_it;
    syn_from(5);
    was_told("0o "); /* no id for a child: an orphan, forwarded */
    assert_true(m->env.reasons[REASON_NO_SOCK] > 0);
    assert_int_equal(m->env.ft.count, 0);
}

/* A connection is one, not two streams: with the listener's that makes four. */
static void connections_up_to_max_concurrency(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    for (uint16_t port = 5; port < 8; port++)
        syn_from(port);
    assert_int_equal(m->env.ft.count, 3);
    assert_int_equal(m->env.reasons[REASON_NO_SOCK], 0);
}

static int up_four(void **state)
{
    return up_with("max_concurrency = 4");
}

static void sixty_four_listeners(void **state)
{
    for (int i = 1; i < 64; i++)
        assert_int_equal(mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), i);
    assert_fails(ENFILE, mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0));
    syn_from(5); /* and all of them get a child */
    assert_int_equal(m->env.ft.kids.used, 63);
    assert_int_equal(m->nsock, 128);
}

/* ---- listeners ---- */

static void a_chain(void **state)
{
    int second = mtcp_socket(fix.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    int six = mtcp_socket(fix.ctx, AF_INET6, MOS_SOCK_MONITOR_STREAM, 0);

    for (int s = fix.lst; s <= six; s++) {
        fix_on(s, MOS_ON_PKT_IN, MOS_HK_SND);
        fix_on(s, MOS_ON_PKT_IN, MOS_HK_RCV);
    }
    fix.act = log_it;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    was_told("3c 4c 3s 4s "); /* towards the server: in order of creation */
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1});
    was_told("4s 3s 4c 3c "); /* towards the client: the other way round */
    fix_push((struct frame){.v6 = true, .flags = "S", .seq = FIX_CLI});
    was_told("5c 6c 5s 6s "); /* IPv6: those of AF_UNSPEC and AF_INET6 */
    assert_int_equal(m->lst[second].kids, 2);
    assert_int_equal(m->lst[six].kids, 1);
}

static void filters_for_each_syn(void **state)
{
    int web = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    union monitor_filter ft = {0};

    ft.stream_syn_filter = (char *)(uintptr_t) "dst port 80 and src port 7";
    assert_int_equal(mtcp_bind_monitor_filter(fix.ctx, web, &ft), 0);
    syn_from(7);
    assert_int_equal(m->lst[0].kids, 1);
    assert_int_equal(m->lst[1].kids, 1);
    syn_from(8); /* once matched is not always matched */
    assert_int_equal(m->lst[0].kids, 2);
    assert_int_equal(m->lst[1].kids, 1);
}

static void nobody_selects_it(void **state)
{
    union monitor_filter ft = {0};

    ft.stream_syn_filter = (char *)(uintptr_t) "dst port 81";
    assert_int_equal(mtcp_bind_monitor_filter(fix.ctx, fix.lst, &ft), 0);
    fix_on(fix.lst, MOS_ON_ORPHAN, MOS_NULL);
    fix.act = log_it;
    syn_from(7);
    was_told("0o ");
    assert_int_equal(m->env.ft.count, 0);
    assert_int_equal(m->env.reasons[REASON_SYN_FILTERED], 1);
}

static void a_closed_listener_waits_for_its_last_child(void **state)
{
    int l = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), raw;

    fix_on(l, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = log_it;
    syn_from(7);
    assert_int_equal(mtcp_close(fix.ctx, l), 0);
    assert_fails(EBADF, mtcp_close(fix.ctx, l));
    syn_from(8);
    assert_int_equal(m->lst[1].kids, 1); /* no new ones */
    reset_from(7);
    was_told("3es 3ec "); /* its child went on to its end */
    assert_false(m->lst[1].started);
    assert_fails(EBADF, mtcp_close(fix.ctx, l));
    raw = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    assert_true(raw >= 0);
    assert_int_equal(m->raw_sockets, 1);
    assert_int_equal(mtcp_close(fix.ctx, raw), 0);
    assert_int_equal(m->raw_sockets, 0);
    assert_fails(EBADF, mtcp_close(fix.ctx, 999));
    assert_fails(EBADF, mtcp_close(fix.ctx, -1));
}

/* ---- stopped ---- */

static int stops;

static void stop_both(int sock, int side, event_t ev)
{
    int both = MOS_SIDE_BOTH;

    log_it(sock, side, ev);
    if (ev != MOS_ON_PKT_IN)
        return;
    for (int i = 0; i < stops; i++)
        assert_int_equal(
            mtcp_setsockopt(fix.ctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)), 0);
    for (int i = 0; i < stops; i++)
        assert_int_equal(mtcp_close(fix.ctx, sock), 0);
}

static void listen_to_all(void)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_RCV);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_ORPHAN, MOS_NULL);
}

static void stopped_leaves_a_stone(void **state)
{
    listen_to_all();
    fix.act = stop_both;
    stops = 2; /* however often: buried once */
    fix_shake();
    was_told("1c "); /* nothing more of the same packet, or batch; no CONN_END */
    assert_int_equal(m->env.ft.count, 0);
    assert_int_equal(m->env.ft.tombs.used, 1);
    assert_int_equal(m->nsock - m->nfree, 1);
    fix_push(fix_cli(0, "abc"));
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    was_told(""); /* no orphan, no new flow */
    assert_int_equal(fix.last[0].verdict, MTCP_FRAME_PASS);
    /* a FIN from each end removes it; of one end, however often, does not */
    for (int i = 0; i < 3; i++)
        fix_push((struct frame){.flags = "F.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    assert_int_equal(m->env.ft.tombs.used, 1);
    fix_push((struct frame){FRAME_REPLY, .flags = "F.", .seq = FIX_SVR + 1, .ack = FIX_CLI + 2});
    assert_int_equal(m->env.ft.tombs.used, 0);
    fix_push((struct frame){.seq = FIX_CLI + 2, .ack = FIX_SVR + 2});
    was_told("0o ");
}

static void stop_at(int sock, int side, event_t ev)
{
    if (fix.calls == 1)
        stop_both(sock, side, ev);
}

/* The FIN seen before the burial counts for the same end. */
static void stopped_when_half_closed(void **state)
{
    fix_shake();
    fix_push((struct frame){.flags = "F.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    assert_int_equal(mtcp_register_callback(fix.ctx, 1, MOS_ON_PKT_IN, MOS_HK_SND, fix_event), 0);
    fix.act = stop_at;
    stops = 1;
    fix_push((struct frame){FRAME_REPLY, .seq = FIX_SVR + 1, .ack = FIX_CLI + 2});
    assert_int_equal(m->env.ft.tombs.used, 1);
    fix_push((struct frame){.flags = "F.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1}); /* again */
    assert_int_equal(m->env.ft.tombs.used, 1);
    fix_push((struct frame){FRAME_REPLY, .flags = "F.", .seq = FIX_SVR + 1, .ack = FIX_CLI + 2});
    assert_int_equal(m->env.ft.tombs.used, 0);
}

static void a_stone_goes_with_a_reset_or_time(void **state)
{
    listen_to_all();
    fix.act = stop_both;
    stops = 1;
    syn_from(5);
    syn_from(6);
    assert_int_equal(m->env.ft.tombs.used, 2);
    reset_from(5);
    assert_int_equal(m->env.ft.tombs.used, 1);
    mtcp_tick(fix.ctx, fix.now + 20000 * FIX_MS);
    fix.now += 20000 * FIX_MS;
    fix_push((struct frame){.seq = FIX_CLI + 1, .sport = 6}); /* seen */
    mtcp_tick(fix.ctx, fix.now + 29000 * FIX_MS);
    assert_int_equal(m->env.ft.tombs.used, 1);
    mtcp_tick(fix.ctx, fix.now + 30010 * FIX_MS);
    assert_int_equal(m->env.ft.tombs.used, 0);
}

/* max_stopped: one more takes the place of the oldest. */
static void few_stones(void **state)
{
    listen_to_all();
    fix.act = stop_both;
    stops = 1;
    for (uint16_t port = 5; port <= 8; port++)
        syn_from(port);
    assert_int_equal(m->env.ft.tombs.used, 3);
    assert_int_equal(m->env.reasons[REASON_EVICTED_STOPPED], 1);
    was_told("1c 1c 1c 1c ");
    fix_push((struct frame){.seq = FIX_CLI + 1, .sport = 5});
    fix_push((struct frame){.seq = FIX_CLI + 1, .sport = 6});
    was_told("0o ");
}

static int up_three_stones(void **state)
{
    return up_with("max_stopped = 3");
}

static void stopped_by_one_of_two(void **state)
{
    int l = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(l, MOS_ON_PKT_IN, MOS_HK_RCV);
    stops = 1;
    fix.act = stop_at; /* the first listener's child, at the SYN */
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    assert_int_equal(m->env.ft.count, 1);
    fix.act = log_it;
    told[0] = '\0';
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1});
    was_told("3c "); /* the other hears everything */
}

/* ---- what a broken SYN may do ---- */

static void a_broken_syn_ends_nothing(void **state)
{
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = log_it;
    fix_shake();
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI + (1u << 30), .bad_csum = true});
    was_told("");
    assert_int_equal(m->env.reasons[REASON_TCP_CSUM], 1);
    assert_int_equal(m->env.ft.count, 1);
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = 7, .ack = FIX_CLI + 1 + (1u << 30)});
    was_told("");
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI + (1u << 30)});
    was_told("");
    /* a whole one does once both ends go by it: the old one's end passed unseen */
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = 7, .ack = FIX_CLI + 1 + (1u << 30)});
    was_told("");
    fix_push((struct frame){.flags = ".", .seq = FIX_CLI + 1 + (1u << 30), .ack = 8});
    was_told("1ec 1es ");
}

static int up_csum(void **state)
{
    return up_with("checksum = on");
}

static void a_broken_syn_begins_nothing(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = log_it;
    fix_push((struct frame){.flags = "S", .bad_csum = true});
    was_told("");
    assert_int_equal(m->env.ft.count, 0);
    assert_int_equal(m->nsock - m->nfree, 1);
    assert_int_equal(m->nflows, 0);
}

/* ---- room for others ---- */

static void evicted_for_another(void **state)
{
    fix_on(fix.lst, MOS_ON_EVICT, MOS_NULL);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_RCV);
    fix.act = log_it;
    for (uint16_t port = 1; port <= 7; port++)
        syn_from(port);
    was_told("");
    /* all but port 3 are established */
    for (uint16_t port = 1; port <= 7; port++)
        if (port != 3)
            fix_push((struct frame){FRAME_REPLY, .flags = "S.", .sport = port, .seq = FIX_SVR,
                                    .ack = FIX_CLI + 1}),
                fix_push((struct frame){.sport = port, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    syn_from(8);
    was_told("3v 3es 3ec "); /* the half-open one */
    assert_int_equal(m->env.reasons[REASON_EVICTED], 1);
    fix_push(
        (struct frame){FRAME_REPLY, .flags = "S.", .sport = 8, .seq = FIX_SVR, .ack = FIX_CLI + 1});
    fix_push((struct frame){.sport = 8, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    syn_from(9);
    was_told("1v 1es 1ec "); /* among equals the least recently seen */
    assert_int_equal(m->env.ft.count, 7);
}

static int up_eight(void **state)
{
    return up_with("max_concurrency = 8");
}

static int reason_of_end;

static void ask_reason(int sock, int side, event_t ev)
{
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    assert_int_equal(mtcp_getsockopt(fix.ctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len), 0);
    reason_of_end = (int)info.reason;
}

static void evicted_for_want_of_memory(void **state)
{
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = ask_reason;
    for (uint32_t i = 0; i < 20000; i++) {
        syn_from((uint16_t)(1 + i));
        if (m->env.reasons[REASON_EVICTED])
            break;
    }
    assert_int_equal(reason_of_end, MOS_END_EVICTED);
    assert_true(m->env.ft.count > 100);
    assert_true(m->env.acct.used <= 2 << 20);
    for (uint32_t i = 0; i < 2000; i++)
        syn_from((uint16_t)(30000 + i));
    assert_true(m->env.acct.used <= 2 << 20);
    assert_true(m->env.ft.count > 100);
}

static int up_2m(void **state)
{
    return up_with("memory = 2M");
}

#define T(f)    cmocka_unit_test_setup_teardown(f, up, down)
#define U(f, u) cmocka_unit_test_setup_teardown(f, u, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(kinds),
        T(recycled_first_in_first_out),
        U(up_to_max_concurrency, up_four),
        U(connections_up_to_max_concurrency, up_four),
        T(sixty_four_listeners),
        T(a_chain),
        T(filters_for_each_syn),
        T(nobody_selects_it),
        T(a_closed_listener_waits_for_its_last_child),
        T(stopped_leaves_a_stone),
        T(stopped_when_half_closed),
        T(a_stone_goes_with_a_reset_or_time),
        U(few_stones, up_three_stones),
        T(stopped_by_one_of_two),
        T(a_broken_syn_ends_nothing),
        U(a_broken_syn_begins_nothing, up_csum),
        U(evicted_for_another, up_eight),
        U(evicted_for_want_of_memory, up_2m),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
