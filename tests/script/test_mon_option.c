// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_mon_option.c: every option of mtcp_getsockopt and mtcp_setsockopt, what it does and every
 * errno.
 */
#include "pushfix.h"

static int get(int sock, int name, void *v, socklen_t len)
{
    return mtcp_getsockopt(fix.ctx, sock, SOL_MONSOCKET, name, v, &len);
}

static int set(int sock, int name, int v)
{
    return mtcp_setsockopt(fix.ctx, sock, SOL_MONSOCKET, name, &v, sizeof(v));
}

static int state_of(int name)
{
    int v = -1;

    assert_int_equal(get(fix.child, name, &v, sizeof(v)), 0);
    return v;
}

static struct mos_flow_info info(void)
{
    struct mos_flow_info v;

    assert_int_equal(get(fix.child, MOS_FLOW_INFO, &v, sizeof(v)), 0);
    return v;
}

/* ---- misuse ---- */

static void test_get_errors(void **state)
{
    static const int of_child[] = {MOS_FRAGINFO_CLIBUF, MOS_FRAGINFO_SVRBUF, MOS_INFO_CLIBUF,
                                   MOS_INFO_SVRBUF,     MOS_TCP_STATE_CLI,   MOS_TCP_STATE_SVR,
                                   MOS_TIMESTAMP,       MOS_FLOW_INFO,       MOS_REXMIT_INFO,
                                   MOS_GAP_INFO,        MOS_OVERLAP_INFO,    MOS_READ_OFF_CLI,
                                   MOS_READ_OFF_SVR,    MOS_PEEK_END_CLI,    MOS_PEEK_END_SVR};
    static const int never[] = {MOS_CLIBUF,       MOS_SVRBUF,     MOS_SEQ_REMAP, MOS_STOP_MON,
                                MOS_CLIOVERLAP,   MOS_SVROVERLAP, MOS_MIDSTREAM, MOS_STRICT,
                                MOS_FLOW_TIMEOUT, 0x7777};
    uint8_t room[256];
    socklen_t len = sizeof(room);

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    for (size_t i = 0; i < sizeof(of_child) / sizeof(of_child[0]); i++) {
        assert_fails(EBADF, get(77, of_child[i], room, sizeof(room)));
        assert_fails(ENOTSOCK, get(fix.lst, of_child[i], room, sizeof(room)));
        assert_fails(EFAULT, get(fix.child, of_child[i], NULL, sizeof(room)));
        assert_fails(EFAULT,
                     mtcp_getsockopt(fix.ctx, fix.child, SOL_MONSOCKET, of_child[i], room, NULL));
        if (of_child[i] < MOS_REXMIT_INFO || of_child[i] > MOS_OVERLAP_INFO)
            assert_fails(EINVAL, get(fix.child, of_child[i], room, 3));
        else
            assert_fails(ENODATA, get(fix.child, of_child[i], room, sizeof(room)));
    }
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        assert_fails(ENOSYS, get(fix.child, never[i], room, sizeof(room)));
    assert_fails(ENOSYS, mtcp_getsockopt(fix.ctx, fix.child, 1234, MOS_TIMESTAMP, room, &len));
    assert_fails(ENOSYS, mtcp_getsockopt(fix.ctx, fix.child, SOL_SOCKET, SO_RCVBUF, room, &len));
    assert_fails(ENOTSOCK, mtcp_getsockopt(fix.ctx, fix.child, SOL_SOCKET, SO_ERROR, room, &len));
    assert_fails(EBADF, mtcp_getsockopt(fix.ctx, 77, SOL_SOCKET, SO_ERROR, room, &len));
    assert_fails(EACCES,
                 mtcp_getsockopt(NULL, fix.child, SOL_MONSOCKET, MOS_TIMESTAMP, room, &len));
}

static void test_set_errors(void **state)
{
    static const struct {
        int name, bad, good;
        bool child;
    } v[] = {
        {MOS_CLIBUF, -1, 4096, true},    {MOS_SVRBUF, -1, 4096, true},
        {MOS_FRAG_CLIBUF, 2, 1, true},   {MOS_FRAG_SVRBUF, -1, 1, true},
        {MOS_CLIOVERLAP, 8, 7, true},    {MOS_SVROVERLAP, -1, 1, true},
        {MOS_FLOW_TIMEOUT, 0, 50, true}, {MOS_FLOW_TIMEOUT, -2, -1, true},
        {MOS_MIDSTREAM, 2, 0, false},    {MOS_STRICT, 2, 0, false},
        {MOS_CSUM, 3, 2, false},         {MOS_CSUM, -1, 0, false},
        {MOS_STATS, 2, 1, false},        {MOS_STOP_MON, 3, 0, true},
        {MOS_STOP_MON, -1, 1, true},
    };
    int one = 1;

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        assert_fails(EBADF, set(77, v[i].name, v[i].good));
        assert_fails(EINVAL, set(fix.lst, v[i].name, v[i].bad));
        assert_fails(EFAULT, mtcp_setsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, v[i].name, NULL, 4));
        assert_fails(EINVAL, mtcp_setsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, v[i].name, &one, 3));
        assert_int_equal(set(fix.lst, v[i].name, v[i].good), 0);
        if (v[i].child) {
            assert_fails(EINVAL, set(fix.child, v[i].name, v[i].bad));
            assert_int_equal(set(fix.child, v[i].name, v[i].good), 0);
        } else {
            assert_fails(ENOTSOCK, set(fix.child, v[i].name, v[i].good));
        }
    }
    assert_fails(ENOSYS, set(fix.lst, MOS_SEQ_REMAP, 1));
    assert_fails(ENOSYS, set(fix.lst, MOS_TIMESTAMP, 1));
    assert_fails(ENOSYS, mtcp_setsockopt(fix.ctx, fix.lst, SOL_SOCKET, SO_ERROR, &one, 4));
    assert_fails(EACCES, mtcp_setsockopt(NULL, fix.lst, SOL_MONSOCKET, MOS_CLIBUF, &one, 4));
}

/* ---- the connection ---- */

static void states_at_syn(int sock, int side, event_t ev)
{
    int v;

    if (fix.calls > 1)
        return;
    assert_int_equal(state_of(MOS_TCP_STATE_CLI), TCP_SYN_SENT);
    assert_fails(ENODATA, get(sock, MOS_TCP_STATE_SVR, &v, sizeof(v)));
}

static void test_states(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = states_at_syn;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    assert_int_equal(state_of(MOS_TCP_STATE_SVR), TCP_SYN_RCVD);
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1});
    fix_push((struct frame){.seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    assert_int_equal(state_of(MOS_TCP_STATE_CLI), TCP_ESTABLISHED);
    assert_int_equal(state_of(MOS_TCP_STATE_SVR), TCP_ESTABLISHED);
    fix_push((struct frame){.flags = "F.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    assert_int_equal(state_of(MOS_TCP_STATE_CLI), TCP_FIN_WAIT_1);
    assert_int_equal(state_of(MOS_TCP_STATE_SVR), TCP_CLOSE_WAIT);
}

static void test_timestamp(void **state)
{
    uint64_t us = 0;
    uint32_t low = 0;

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_int_equal(get(fix.child, MOS_TIMESTAMP, &us, sizeof(us)), 0);
    assert_int_equal(us, fix.now / 1000);
    assert_int_equal(get(fix.child, MOS_TIMESTAMP, &low, sizeof(low)), 0);
    assert_int_equal(low, (uint32_t)(fix.now / 1000));
}

static void last_info(int sock, int side, event_t ev)
{
    struct mos_flow_info v = info();

    if (ev != MOS_ON_CONN_END)
        return;
    assert_int_equal(v.reason, MOS_END_RST);
    assert_int_equal(v.dir[MOS_SIDE_CLI].stream_bytes, 8);
    assert_int_equal(v.dir[MOS_SIDE_CLI].gap_bytes, 10);
}

static void test_flow_info(void **state)
{
    struct mos_flow_info v;
    uint8_t big[sizeof(v) + 16];
    socklen_t len = sizeof(big);

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = last_info;
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    fix_push(fix_cli(0, "hello"));
    fix_push(fix_cli(15, "abc")); /* out of order, behind a hole */
    v = info();
    assert_int_equal(v.start_ns, FIX_START + FIX_MS);
    assert_int_equal(v.last_ns, fix.now);
    assert_int_equal(v.reason, 0);
    assert_int_equal(v.flags, 0);
    assert_int_equal(v.dir[MOS_SIDE_CLI].packets, 5);
    assert_int_equal(v.dir[MOS_SIDE_SVR].packets, 1);
    assert_int_equal(v.dir[MOS_SIDE_CLI].ip_bytes, 5 * 40 + 13);
    assert_int_equal(v.dir[MOS_SIDE_CLI].payload_bytes, 13);
    assert_int_equal(v.dir[MOS_SIDE_CLI].stream_bytes, 5);
    assert_int_equal(v.dir[MOS_SIDE_CLI].rexmit_packets, 1);
    assert_int_equal(v.dir[MOS_SIDE_CLI].rexmit_bytes, 5);
    assert_int_equal(v.dir[MOS_SIDE_CLI].ooo_packets, 1);
    assert_int_equal(v.state[MOS_SIDE_SVR], TCP_ESTABLISHED);
    memset(big, 0xaa, sizeof(big));
    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.child, SOL_MONSOCKET, MOS_FLOW_INFO, big, &len),
                     0);
    assert_int_equal(len, sizeof(v));
    assert_memory_equal(big, &v, sizeof(v));
    assert_int_equal(big[sizeof(v)], 0);
    len = 24; /* as much as the caller knows */
    memset(big, 0xaa, sizeof(big));
    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.child, SOL_MONSOCKET, MOS_FLOW_INFO, big, &len),
                     0);
    assert_int_equal(len, sizeof(v));
    assert_int_equal(big[24], 0xaa);
    assert_fails(EINVAL, get(fix.child, MOS_FLOW_INFO, big, 23));
    fix_push((struct frame){FRAME_REPLY, .flags = "R.", .seq = FIX_SVR + 1, .ack = FIX_CLI + 19});
    mtcp_tick(fix.ctx, fix.now + 1000 * FIX_MS);
}

static void test_flow_flags(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .bad_csum = true, .vlan = {100, 7}});
    assert_int_equal(info().flags, MOS_FLOWF_OFFLOAD);
    assert_int_equal(info().nvlan, 2);
    assert_int_equal(info().vlan[0], 100);
    assert_int_equal(info().vlan[1], 7);
}

static void test_stats_off(void **state)
{
    assert_int_equal(set(fix.lst, MOS_STATS, 0), 0);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_int_equal(info().dir[MOS_SIDE_CLI].ip_bytes, 0);
    assert_int_equal(set(fix.lst, MOS_STATS, 1), 0);
    fix_push(fix_cli(0, "hello"));
    assert_int_equal(info().dir[MOS_SIDE_CLI].ip_bytes, 45);
}

/* ---- events ---- */

static void rexmit(int sock, int side, event_t ev)
{
    struct mos_rexmit_info v;

    if (ev != MOS_ON_REXMIT) {
        assert_fails(ENODATA, get(sock, MOS_REXMIT_INFO, &v, sizeof(v)));
        return;
    }
    assert_int_equal(get(sock, MOS_REXMIT_INFO, &v, sizeof(v)), 0);
    assert_int_equal(v.off, 2);
    assert_int_equal(v.len, 3);
    assert_int_equal(v.new_len, 2);
    assert_int_equal(v.kind, MOS_REXMIT_PARTIAL);
    assert_int_equal(v.content, MOS_REXMIT_CHANGED);
    assert_int_equal(v.plain_len, 20 + 20 + 5);
    assert_fails(EINVAL, get(sock, MOS_REXMIT_INFO, &v, 23));
    v = (struct mos_rexmit_info){.plain_len = 7};
    assert_int_equal(get(sock, MOS_REXMIT_INFO, &v, 24), 0); /* who knows no more of it */
    assert_int_equal(v.content, MOS_REXMIT_CHANGED);
    assert_int_equal(v.plain_len, 7);
    fix.calls += 100;
}

static void test_rexmit_info(void **state)
{
    fix_on(fix.lst, MOS_ON_REXMIT, MOS_HK_RCV);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_RCV);
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    fix.calls = 0;
    fix.act = rexmit;
    fix_push(fix_cli(2, "lXo!!"));
    assert_int_equal(fix.calls, 102);
}

static void gap(int sock, int side, event_t ev)
{
    struct mos_gap_info v;
    struct mos_overlap_info o;

    assert_int_equal(get(sock, MOS_GAP_INFO, &v, sizeof(v)), 0);
    assert_int_equal(v.off, 5);
    assert_int_equal(v.len, 10);
    assert_int_equal(v.side, MOS_SIDE_SVR);
    assert_int_equal(v.cause, MOS_GAP_ACKED);
    assert_fails(EINVAL, get(sock, MOS_GAP_INFO, &v, sizeof(v) - 1));
    assert_fails(ENODATA, get(sock, MOS_OVERLAP_INFO, &o, sizeof(o)));
    assert_int_equal(side, MOS_SIDE_SVR);
}

static void test_gap_info(void **state)
{
    struct mos_gap_info v;

    fix_on(fix.lst, MOS_ON_GAP, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    fix_push(fix_cli(15, "abc"));
    fix_push(fix_ack(18));
    fix.act = gap;
    fix.now += 20 * FIX_MS;
    fix_push(fix_ack(18));
    assert_int_equal(fix.calls, 1);
    assert_fails(ENODATA, get(fix.child, MOS_GAP_INFO, &v, sizeof(v)));
}

/* ---- buffers ---- */

static void test_buf_info(void **state)
{
    struct tcp_buf_info v;
    char got[3];

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    assert_fails(ENODATA, get(fix.child, MOS_INFO_CLIBUF, &v, sizeof(v)));
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    fix_push(fix_cli(15, "abc"));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 3), 3);
    assert_int_equal(get(fix.child, MOS_INFO_SVRBUF, &v, sizeof(v)), 0);
    assert_int_equal(v.tcpbi_init_seq, FIX_CLI + 1);
    assert_int_equal(v.tcpbi_last_byte_read, 3);
    assert_int_equal(v.tcpbi_next_byte_expected, 5);
    assert_int_equal(v.tcpbi_last_byte_received, 18);
    assert_int_equal(get(fix.child, MOS_INFO_CLIBUF, &v, sizeof(v)), 0);
    assert_int_equal(v.tcpbi_init_seq, FIX_SVR + 1);
    assert_int_equal(v.tcpbi_last_byte_received, 0);
    assert_int_equal(set(fix.child, MOS_SVRBUF, 0), 0);
    assert_fails(ENODATA, get(fix.child, MOS_INFO_SVRBUF, &v, sizeof(v)));
}

static void two_pieces(void)
{
    struct tcp_ring_fragment v[3];
    socklen_t len = sizeof(v);

    memset(v, 0xaa, sizeof(v));
    assert_int_equal(
        mtcp_getsockopt(fix.ctx, fix.child, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, v, &len), 0);
    assert_int_equal(len, 32);
    assert_int_equal(v[0].offset, 0);
    assert_int_equal(v[0].len, 5);
    assert_int_equal(v[1].offset, 15);
    assert_int_equal(v[1].len, 3);
    assert_int_equal(v[2].len, 0);
    len = 16;
    assert_int_equal(
        mtcp_getsockopt(fix.ctx, fix.child, SOL_MONSOCKET, MOS_FRAGINFO_SVRBUF, v, &len), 0);
    assert_int_equal(len, 16);
    assert_fails(EINVAL, get(fix.child, MOS_FRAGINFO_SVRBUF, v, 0));
    assert_fails(EINVAL, get(fix.child, MOS_FRAGINFO_SVRBUF, v, 20));
}

static void test_pieces(void **state)
{
    struct tcp_ring_fragment v;

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    fix_push(fix_cli(15, "abc"));
    two_pieces();
    assert_int_equal(set(fix.child, MOS_SVRBUF, 0), 0);
    assert_fails(ENODATA, get(fix.child, MOS_FRAGINFO_SVRBUF, &v, sizeof(v)));
}

/* MOS_FRAG_SVRBUF 0: the pieces are known, their bytes are gone. */
static void test_pieces_only(void **state)
{
    char c;

    assert_int_equal(set(fix.lst, MOS_FRAG_SVRBUF, 0), 0);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    fix_push(fix_cli(15, "abc"));
    two_pieces();
    assert_fails(EINVAL, mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, &c, 1));
    assert_int_equal(set(fix.child, MOS_FRAG_SVRBUF, 1), 0);
    fix_push(fix_cli(5, "0123456789"));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, &c, 1), 1);
    assert_int_equal(c, '0');
}

static void test_buffer_on_child(void **state)
{
    char got[8];

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "lost"));
    assert_int_equal(set(fix.child, MOS_SVRBUF, 4096), 0); /* a size is a wish */
    fix_push(fix_cli(4, "kept"));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 4);
    assert_memory_equal(got, "kept", 4);
}

static void test_buffers_of_listener(void **state)
{
    char c;

    assert_int_equal(set(fix.lst, MOS_SVRBUF, 0), 0);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(fix.calls, 0);
    fix_push(fix_svr(0, 3, "xyz"));
    assert_int_equal(fix.calls, 1);
    assert_fails(EINVAL, mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, &c, 1));
    assert_int_equal(set(fix.lst, MOS_SVRBUF, 100), 0); /* the next one has it again */
    fix_push((struct frame){.sport = 9, .flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){.sport = 9, .seq = FIX_CLI + 1, .ack = 1, .payload = "abc"});
    assert_int_equal(fix.calls, 2);
}

/* Policy LAST: what is rewritten before the receiver has acknowledged it, and read only after. */
static void test_overlap_last(void **state)
{
    char got[8];

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_int_equal(set(fix.child, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
    fix_push(fix_cli(0, "abc"));
    fix_push(fix_cli(0, "xyz"));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 0);
    fix_push(fix_ack(3));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 3);
    assert_memory_equal(got, "xyz", 3);
    fix_push(fix_cli(3, "def"));
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 0);
    (mtcp_register_callback)(fix.ctx, fix.child, MOS_ON_PKT_IN, MOS_HK_SND, NULL);
    fix.calls = 0;
    assert_int_equal(set(fix.child, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_FIRST), 0);
    mtcp_tick(fix.ctx, fix.now);
    assert_int_equal(fix.calls, 1); /* what waited for its ACK is told */
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 3);
}

/* What could be read before the policy changed can be read after, and what was read stays as it was. */
static void test_overlap_read(void **state)
{
    char got[8];

    assert_int_equal(set(fix.lst, MOS_SVRBUF, 100), 0);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(set(fix.child, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 3);
    fix_push(fix_cli(0, "xyz"));
    assert_int_equal(mtcp_ppeek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got), 0), 3);
    assert_memory_equal(got, "abc", 3);
}

static void test_overlap_listener(void **state)
{
    char got[8];

    assert_int_equal(set(fix.lst, MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST), 0);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_shake();
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(fix.calls, 0);
    fix_push(fix_cli(0, "xyz"));
    fix_push(fix_ack(3));
    assert_int_equal(fix.calls, 1);
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, sizeof(got)), 3);
    assert_memory_equal(got, "xyz", 3);
}

/* ---- life ---- */

static int ended;

static void count_ends(int sock, int side, event_t ev)
{
    ended += ev == MOS_ON_CONN_END;
    if (ev == MOS_ON_TIMEOUT)
        assert_int_equal(set(sock, MOS_FLOW_TIMEOUT, 5000), 0);
}

#define DAY (86400 * 1000 * FIX_MS)

static void test_timeout(void **state)
{
    ended = 0;
    fix.act = count_ends;
    assert_int_equal(set(fix.lst, MOS_FLOW_TIMEOUT, 100), 0);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix_shake();
    mtcp_tick(fix.ctx, fix.now + 90 * FIX_MS);
    assert_int_equal(ended, 0);
    mtcp_tick(fix.ctx, fix.now + 150 * FIX_MS);
    assert_int_equal(ended, 2);
}

/* A callback may prolong the life of its connection; -1 does so for good. */
static void test_timeout_prolonged(void **state)
{
    ended = 0;
    fix.act = count_ends;
    assert_int_equal(set(fix.lst, MOS_FLOW_TIMEOUT, 100), 0);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_TIMEOUT, MOS_NULL);
    fix_shake();
    mtcp_tick(fix.ctx, fix.now + 150 * FIX_MS);
    mtcp_tick(fix.ctx, fix.now + 4900 * FIX_MS);
    assert_int_equal(ended, 0);
    assert_int_equal(set(fix.child, MOS_FLOW_TIMEOUT, -1), 0);
    mtcp_tick(fix.ctx, fix.now + 60 * DAY);
    assert_int_equal(ended, 0);
    assert_int_equal(set(fix.child, MOS_FLOW_TIMEOUT, 10), 0);
    mtcp_tick(fix.ctx, fix.now + 61 * DAY);
    assert_int_equal(ended, 2);
}

static void test_midstream(void **state)
{
    int second = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(second, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(fix.calls, 0);
    assert_int_equal(set(second, MOS_MIDSTREAM, 1), 0);
    fix_push(fix_cli(3, "def"));
    assert_int_equal(fix.calls, 1); /* of the one that wants it */
    assert_int_equal(info().flags, MOS_FLOWF_MIDSTREAM);
    assert_int_equal(set(second, MOS_MIDSTREAM, 0), 0);
    fix_push((struct frame){.sport = 9, .payload = "abc"});
    assert_int_equal(fix.calls, 1);
}

static void test_csum(void **state)
{
    assert_int_equal(set(fix.lst, MOS_CSUM, MOS_CSUM_ON), 0);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .bad_csum = true});
    assert_int_equal(fix.calls, 0);
    assert_int_equal(set(fix.lst, MOS_CSUM, MOS_CSUM_OFF), 0);
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .bad_csum = true});
    assert_int_equal(fix.calls, 2);
}

/*
 * Strict: a RST beside the one number that is expected is not believed (RFC 5961 3.2). Tolerant: one
 * where its sender stands is, for the bytes before may have passed unseen.
 */
static void test_strict(void **state)
{
    struct frame rst = {FRAME_REPLY, .flags = "R", .seq = FIX_SVR + 104};

    for (int strict = 0; strict <= 1; strict++) {
        assert_int_equal(set(fix.lst, MOS_STRICT, strict), 0);
        fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
        fix_push((struct frame){.sport = 9, .flags = "S", .seq = FIX_CLI});
        fix_push((struct frame){FRAME_REPLY, .sport = 9, .flags = "S.", .seq = FIX_SVR,
                                .ack = FIX_CLI + 1});
        fix_push((struct frame){.sport = 9, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
        fix_push((struct frame){FRAME_REPLY, .sport = 9, .seq = FIX_SVR + 101, .ack = FIX_CLI + 1,
                                .payload = "abc"});
        rst.sport = 9;
        fix.calls = 0;
        fix_push(rst);
        fix_push((struct frame){.sport = 9, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
        assert_int_equal(fix.calls, strict ? 2 : 1); /* else the flow ended with the RST */
        mtcp_tick(fix.ctx, fix.now += 100000 * FIX_MS);
    }
}

static void test_stop(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_ORPHAN, MOS_NULL);
    fix_shake();
    assert_int_equal(fix.calls, 3);
    assert_int_equal(set(fix.child, MOS_STOP_MON, MOS_SIDE_CLI), 0);
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(fix.calls, 3);
    fix_push(fix_ack(3));
    assert_int_equal(fix.calls, 4);
    assert_int_equal(set(fix.child, MOS_STOP_MON, MOS_SIDE_SVR), 0);
    fix_push(fix_ack(3));
    fix_push(fix_cli(3, "def"));
    assert_int_equal(fix.calls, 4); /* forwarded, no orphans */
    assert_fails(EBADF, set(fix.child, MOS_STOP_MON, MOS_SIDE_SVR));
}

static void test_stop_listener(void **state)
{
    assert_int_equal(set(fix.lst, MOS_STOP_MON, MOS_SIDE_SVR), 0);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_int_equal(fix.calls, 2);
}

/* ---- counters ---- */

static uint64_t stat(const struct mos_stat *v, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].name, name) == 0)
            return v[i].value;
    fail_msg("no counter %s", name);
    return 0;
}

static void test_stats(void **state)
{
    struct mos_stat v[256];
    socklen_t len = 0, need;
    size_t n;

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push((struct frame){.sport = 9, .payload = "orphan"});
    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_STATS, NULL, &len), 0);
    need = len;
    assert_true(need > 0 && need <= sizeof(v) && need % sizeof(v[0]) == 0);
    len = sizeof(v[0]) * 256;
    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_STATS, v, &len), 0);
    assert_int_equal(len, need);
    n = len / sizeof(v[0]);
    assert_int_equal(stat(v, n, "packets"), 4);
    assert_int_equal(stat(v, n, "flows"), 1);
    assert_int_equal(stat(v, n, "flows_now"), 1);
    assert_int_equal(stat(v, n, "sockets_now"), 2);
    assert_int_equal(stat(v, n, "orphan"), 1);
    assert_int_equal(stat(v, n, "input_size_now"), 0);
    assert_true(stat(v, n, "mem_now") > 0);
    memset(v, 0xaa, sizeof(v));
    len = 2 * sizeof(v[0]);
    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_STATS, v, &len), 0);
    assert_int_equal(len, 2 * sizeof(v[0]));
    assert_int_equal((uint8_t)v[2].name[0], 0xaa);
    assert_fails(EINVAL, get(fix.lst, MOS_STATS, v, 41));
    assert_fails(ENOTSOCK, get(fix.child, MOS_STATS, v, 40));
    assert_fails(EBADF, get(77, MOS_STATS, v, 40));
    assert_fails(EFAULT, mtcp_getsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_STATS, v, NULL));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fix_up, fix_down)
    const struct CMUnitTest tests[] = {
        TEST(test_get_errors),
        TEST(test_set_errors),
        TEST(test_states),
        TEST(test_timestamp),
        TEST(test_flow_info),
        TEST(test_flow_flags),
        TEST(test_stats_off),
        TEST(test_rexmit_info),
        TEST(test_gap_info),
        TEST(test_buf_info),
        TEST(test_pieces),
        TEST(test_pieces_only),
        TEST(test_buffer_on_child),
        TEST(test_buffers_of_listener),
        TEST(test_overlap_last),
        TEST(test_overlap_listener),
        TEST(test_overlap_read),
        TEST(test_timeout),
        TEST(test_timeout_prolonged),
        TEST(test_midstream),
        TEST(test_csum),
        TEST(test_strict),
        TEST(test_stop),
        TEST(test_stop_listener),
        TEST(test_stats),
    };

    return cmocka_run_group_tests_name("mon_option", tests, NULL, NULL);
}
