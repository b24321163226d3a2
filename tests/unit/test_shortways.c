// SPDX-License-Identifier: BSD-2-Clause
/* What callbacks do while segments go the short ways (conn/calm.h, plain.h, place.h), and must leave as the long way would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "pushfix.h"
#include "engine/engine.h"
#include "flow/queue.h"

#define IP_DST  16 /* offsets in their headers */
#define TCP_BIT 13

static struct mon *m;
static int acts;

static int up(void **state)
{
    int rc = fix_up(state);

    m = engine.ctx[0].m;
    acts = 0;
    return rc;
}

static struct flow *only_flow(void)
{
    assert_int_equal(m->env.ft.count, 1);
    return flow_at(&m->env.ft, ftable_next(&m->env.ft, 0));
}

/* take_fin: out of a segment's flags. */
static void take_fin(int sock, int side, event_t ev)
{
    struct pkt_info p;
    uint8_t ack = 0x10;

    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &p), 0);
    if (!p.tcph->fin)
        return;
    acts++;
    assert_int_equal(mtcp_setlastpkt(fix.ctx, sock, side, TCP_BIT, &ack, 1,
                                     MOS_OVERWRITE | MOS_TCP_HDR | MOS_UPDATE_TCP_CHKSUM),
                     0);
}

/* Its receiver has taken it when RCV is told: the connection closes, whatever the packet says now. */
static void a_fin_taken_out_at_rcv(void **state)
{
    struct frame fin = fix_cli(0, "abc");

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_RCV);
    fix.act = take_fin;
    fix_shake();
    fin.flags = "FP.";
    fix_push(fin);
    assert_int_equal(acts, 1);
    assert_true(only_flow()->side[CLI].flags & SIDE_FIN_SENT);
    assert_int_equal(only_flow()->queue, CLASS_CLOSING);
    assert_int_equal(m->env.ft.closing.count, 1);
}

static void other_address(mctx_t mctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    uint8_t addr[4] = {10, 0, 0, 77};

    acts++;
    assert_int_equal(
        mtcp_setlastpkt(mctx, sock, side, IP_DST, addr, sizeof(addr),
                        MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM),
        0);
}

static void raw_now(int sock, int side, event_t ev)
{
    int raw;

    fix.act = NULL;
    raw = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    assert_true(raw >= 0);
    assert_int_equal((mtcp_register_callback)(fix.ctx, raw, MOS_ON_PKT_IN, MOS_NULL, other_address),
                     0);
}

/* A raw socket that a callback makes is told of the rest of the burst, which was looked at before: the key is that of the frame as it came. */
static void a_raw_socket_amid_a_burst(void **state)
{
    const struct frame v[] = {{.flags = "S", .seq = 1, .sport = 1111},
                              {.flags = "S", .seq = 1, .sport = 2222}};

    fix_on(fix.lst, MOS_ON_CONN_START, MOS_HK_SND);
    fix.act = raw_now;
    fix_batch(v, 2);
    assert_int_equal(acts, 1);
    assert_int_equal(m->env.ft.count, 2);
    if (!ftable_check(&m->env.ft))
        fail_msg("%s", mtcp_errstr());
}

/* stop_without_memory: both sides, when nothing more is to be had. */
static void stop_without_memory(int sock, int side, event_t ev)
{
    int both = MOS_SIDE_BOTH;

    fix.act = NULL;
    acts++;
    assert_int_equal(
        mtcp_setsockopt(fix.ctx, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)), 0);
    m->env.acct.limit = m->env.acct.used;
}

/* The record stays where nothing finds room to remember it, and its plain segments are told to nobody. */
static void stopped_and_not_forgotten(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_true(only_flow()->calm);
    fix.act = stop_without_memory;
    fix_push(fix_cli(3, "def"));
    assert_int_equal(acts, 1);
    assert_int_equal(only_flow()->c0.sock, -1);
    assert_false(only_flow()->calm);
    fix_push(fix_cli(6, "ghi"));
    fix_push(fix_cli(9, "jkl"));
    assert_int_equal(acts, 1);
    m->env.acct.limit = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, fix_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_fin_taken_out_at_rcv),
        T(a_raw_socket_amid_a_burst),
        T(stopped_and_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
