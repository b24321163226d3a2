// SPDX-License-Identifier: BSD-2-Clause
/* What a segment tells and does: belief, acknowledgements, repetition, order, the place of the FIN. */
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

static int up_strict(void **state)
{
    struct conn_cfg cfg = fix_cfg();

    cfg.strict = true;
    fix_up_cfg(&x, &cfg);
    return 0;
}

static int down(void **state)
{
    fix_down(&x);
    return 0;
}

static uint64_t counted(enum reason why)
{
    return x.env.reasons[why];
}

static struct flow_ext *ext(void)
{
    return flow_ext_get(&x.env.ft, fix_flow(&x));
}

/* ---- a whole life ---- */

static void reference(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    assert_int_equal(x.cp.snd, CR_CONN_START | CR_STATE);
    assert_int_equal(x.cp.rcv, CR_CONN_START | CR_STATE);
    states_are(&x, FS_SYN_SENT, FS_SYN_RCVD);
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    assert_int_equal(x.cp.snd, 0);
    assert_int_equal(x.cp.rcv, CR_STATE);
    c2s(&x, ".", 0, 0, "");
    assert_int_equal(x.cp.snd, 0);
    assert_int_equal(x.cp.rcv, CR_STATE);
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    c2s(&x, "P.", 0, 0, "GET /");
    assert_int_equal(x.cp.snd | x.cp.rcv, 0);
    assert_int_equal(x.cp.data, 1 << SVR);
    reads(&x, SVR, 0, "GET /");
    s2c(&x, "P.", 0, 5, "200 OK");
    assert_int_equal(x.cp.data, 1 << CLI);
    c2s(&x, "F.", 5, 6, "");
    assert_int_equal(x.cp.snd, CR_STATE);
    assert_int_equal(x.cp.rcv, CR_STATE);
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
    s2c(&x, ".", 6, 6, "");
    states_are(&x, FS_FIN_WAIT_2, FS_CLOSE_WAIT);
    s2c(&x, "F.", 6, 6, "");
    states_are(&x, FS_TIME_WAIT, FS_LAST_ACK);
    assert_int_equal(x.done, 0);
    c2s(&x, ".", 6, 7, "");
    states_are(&x, FS_TIME_WAIT, FS_CLOSED);
    assert_int_equal(x.done, MOS_END_FIN);
    assert_int_equal(fix_flow(&x)->ctr[CLI].packets, 5);
    assert_int_equal(fix_flow(&x)->ctr[SVR].packets, 4);
    assert_int_equal(fix_flow(&x)->ctr[CLI].payload, 5);
    assert_int_equal(fix_flow(&x)->ctr[CLI].ip_bytes, 5 * 40 + 5);
    assert_int_equal(fix_flow(&x)->ext, 0); /* nothing unusual: nothing allocated */
}

static void numbers_wrap(void **state)
{
    const uint32_t isn = UINT32_MAX - 4;

    feed(&x, (struct frame){.flags = "S", .seq = isn});
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = 9, .ack = isn + 1});
    feed(&x, (struct frame){.seq = isn + 1, .ack = 10, .payload = "0123456789"});
    assert_int_equal(fix_flow(&x)->side[SVR].next, 10);
    feed(&x, (struct frame){FRAME_REPLY, .seq = 10, .ack = isn + 11});
    assert_int_equal(conn_acked(fix_flow(&x), SVR), 10);
    feed(&x, (struct frame){.seq = isn + 1, .ack = 10, .payload = "0123456789"});
    assert_int_equal(x.cp.rexmit.cls, RX_SPURIOUS);
    feed(&x, (struct frame){.flags = "F.", .seq = isn + 11, .ack = 10});
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
}

/* ---- belief ---- */

#define refused_as(why) refused_as_(why, __LINE__)

static void refused_as_(enum reason why, int line)
{
    uint64_t sum = 0;

    for (int i = REASON_NONE + 1; i < REASON_CNT; i++)
        sum += x.env.reasons[i];
    if (!x.cp.ignored || sum != 1 || counted(why) != 1)
        fail_msg("line %d: not refused as %s once", line, reason_name(why));
    assert_int_equal(x.cp.snd | x.cp.rcv | x.cp.data, 0);
    assert_int_equal(x.done, 0);
    x.env.reasons[why] = 0;
}

static void rst_in_syn_sent(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    s2c(&x, "R.", 0, 1, "");
    refused_as(REASON_RST_INVALID);
    s2c(&x, "R", 0, 0, "");
    refused_as(REASON_RST_INVALID);
    states_are(&x, FS_SYN_SENT, FS_SYN_RCVD);
    s2c(&x, "R.", 0, 0, "");
    assert_int_equal(x.done, MOS_END_RST);
    states_are(&x, FS_CLOSED, FS_CLOSED);
    assert_int_equal(x.cp.snd, CR_STATE);
    assert_int_equal(x.cp.rcv, CR_STATE);
}

static void rst_out_of_the_window(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    s2c(&x, ".", 0, 10, "");
    c2s(&x, "R", 10 + 8192, 0, "");
    refused_as(REASON_RST_INVALID);
    c2s(&x, "R", (uint32_t)-500, 0, "");
    refused_as(REASON_RST_INVALID);
    c2s(&x, "R", 10, 0, "");
    assert_int_equal(x.done, MOS_END_RST);
}

/* RFC 5961 3.2: the receiver may answer with a challenge ACK; whoever goes on was not reset. */
static void rst_in_the_window(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    s2c(&x, ".", 0, 10, "");
    for (int i = 0; i < 2; i++) {
        c2s(&x, "R", 10 + 8191, 0, "");
        refused_as(REASON_RST_INVALID);
        assert_true(conn_rst_due(&x.env, fix_flow(&x)));
        assert_int_equal(conn_deadline(&x.env, fix_flow(&x)), x.env.now + 30 * NSEC_PER_SEC);
        if (i)
            break;
        c2s(&x, "P.", 0, 0, "012345678"); /* old: says nothing */
        x.env.reasons[REASON_SEG_OLD] = 0;
        assert_true(conn_rst_due(&x.env, fix_flow(&x)));
        s2c(&x, ".", 0, 10, ""); /* the challenge ACK */
        assert_false(conn_rst_due(&x.env, fix_flow(&x)));
        assert_int_equal(conn_deadline(&x.env, fix_flow(&x)), x.env.now + 30 * NSEC_PER_SEC);
    }
}

static void rst_strict(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    c2s(&x, "R", 11, 0, "");
    refused_as(REASON_RST_INVALID);
    c2s(&x, "R", 9, 0, "");
    refused_as(REASON_RST_INVALID);
    c2s(&x, "R", 10, 0, "");
    assert_int_equal(x.done, MOS_END_RST);
}

static void syn_in_a_live_connection(void **state)
{
    shake(&x);
    c2s(&x, "S", 30, 0, "");
    refused_as(REASON_SYN_INVALID);
    s2c(&x, "S.", 30, 0, "");
    refused_as(REASON_SYN_INVALID);
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    c2s(&x, "P.", 0, 0, "abc");
    reads(&x, SVR, 0, "abc");
}

/* An answer to another SYN fixes nothing: the true SYN/ACK is still the first. */
static void answer_to_another_syn(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = 777, .ack = CLI_ISN + 2});
    refused_as(REASON_ACK_INVALID);
    feed(&x, (struct frame){FRAME_REPLY, .flags = "F.", .seq = 777, .ack = CLI_ISN});
    refused_as(REASON_ACK_INVALID);
    assert_false(fix_flow(&x)->flags & FLOW_BASE_CLI);
    assert_false(fix_flow(&x)->side[SVR].flags & (SIDE_ACKED | SIDE_SPOKE | SIDE_FIN_SENT));
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    c2s(&x, ".", 0, 0, "");
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    s2c(&x, "P.", 0, 0, "abc");
    reads(&x, CLI, 0, "abc");
}

/* The client resets what it did not believe, and goes on. */
static void echo_never_sent(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .ts = {5000, 0}});
    feed(&x,
         (struct frame){FRAME_REPLY, .flags = "R.", .seq = 0, .ack = CLI_ISN + 1, .ts = {1, 6000}});
    refused_as(REASON_RST_INVALID);
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = 777, .ack = CLI_ISN + 1,
                            .ts = {1, 6000}});
    refused_as(REASON_ACK_INVALID);
    feed(&x, (struct frame){.flags = "R", .seq = CLI_ISN + 1});
    refused_as(REASON_RST_INVALID);
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1,
                            .ts = {1, 5000}});
    c2s(&x, ".", 0, 0, "");
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
}

static void the_same_without_counters(void **state)
{
    x.env.no_counts = true;
    echo_never_sent(state);
    assert_int_equal(fix_flow(&x)->ctr[CLI].ip_bytes, 0);
}

static void strict_wants_the_syn_ack(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    s2c(&x, "P.", 0, 0, "abc");
    refused_as(REASON_ACK_INVALID);
    states_are(&x, FS_SYN_SENT, FS_SYN_RCVD);
}

static void tolerant_does_without(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    s2c(&x, "P.", 0, 0, "abc");
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    reads(&x, CLI, 0, "abc");
}

static void old_timestamps_strict(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .ts = {100, 0}});
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1,
                            .ts = {7, 100}});
    feed(&x, (struct frame){.seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .ts = {101, 7}});
    feed(&x,
         (struct frame){.seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .ts = {98, 7}, .payload = "old"});
    refused_as(REASON_PAWS);
    at(&x, UINT64_C(2147) * 1000); /* RFC 7323 5.5: after so long nothing is old */
    feed(&x,
         (struct frame){.seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .ts = {99, 7}, .payload = "new"});
    assert_false(x.cp.ignored);
    reads(&x, SVR, 0, "new");
}

/* ---- acknowledgements ---- */

static void ack_of_what_was_never_sent(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    s2c(&x, ".", 0, 5, "");
    assert_int_equal(conn_acked(fix_flow(&x), SVR), 5);
    s2c(&x, ".", 0, 10 + 8192 + 2, ""); /* beyond what the window lets pass unseen */
    assert_int_equal(counted(REASON_ACK_INVALID), 1);
    assert_int_equal(conn_acked(fix_flow(&x), SVR), 5);
    s2c(&x, ".", 0, 10 + 8192 + 1, "");
    assert_int_equal(conn_acked(fix_flow(&x), SVR), 10 + 8192 + 1);
}

static void ack_strict(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    s2c(&x, ".", 0, 11, "");
    assert_int_equal(counted(REASON_ACK_INVALID), 1);
    s2c(&x, ".", 0, 10, "");
    assert_int_equal(conn_acked(fix_flow(&x), SVR), 10);
}

/* Numbers wrap, what was sent does not: just behind 4 GiB an ACK is no older than at the same place before. */
static void ack_behind_4_gib(void **state)
{
    const uint64_t sent = (UINT64_C(1) << 32) + 10;
    struct flow *f;

    shake(&x);
    s2c(&x, "P.", 0, 0, "0123456789");
    c2s(&x, ".", 0, 10, "");
    f = fix_flow(&x);
    strm_skip(&x.env.se, &f->side[CLI], sent); /* as if so much had come and was acknowledged */
    assert_int_equal(conn_acked(f, CLI), sent);
    c2s(&x, "P.", 0, (uint32_t)-1000, "abc");
    assert_false(x.cp.ignored);
    reads(&x, SVR, 0, "abc");
    c2s(&x, "P.", 3, (uint32_t)-70000, "def");
    refused_as(REASON_ACK_INVALID);
}

/* One bad number, first, must not make all true ones look old. */
static void first_ack_of_nonsense(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    c2s(&x, ".", 0, 1u << 30, "");
    assert_int_equal(counted(REASON_ACK_INVALID), 1);
    assert_int_equal(conn_acked(fix_flow(&x), CLI), 0);
    c2s(&x, ".", 0, 0, "");
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    s2c(&x, "P.", 0, 0, "abc");
    c2s(&x, ".", 0, 3, "");
    assert_int_equal(conn_acked(fix_flow(&x), CLI), 3);
}

/* ---- repetition ---- */

#define repeated(cls_, off_, len_, fresh_, content_)                                               \
    do {                                                                                           \
        assert_true(x.cp.rcv &CR_REXMIT);                                                          \
        assert_int_equal(x.cp.rexmit.cls, cls_);                                                   \
        assert_int_equal(x.cp.rexmit.off, off_);                                                   \
        assert_int_equal(x.cp.rexmit.len, len_);                                                   \
        assert_int_equal(x.cp.rexmit.fresh, fresh_);                                               \
        assert_int_equal(x.cp.rexmit.content, content_);                                           \
    } while (0)

enum { SAME, CHANGED, UNKNOWN };

static void repeated_bytes(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    c2s(&x, "P.", 0, 0, "0123456789");
    repeated(RX_LOST, 0, 10, 0, SAME);
    c2s(&x, "P.", 3, 0, "3X5");
    repeated(RX_LOST, 3, 3, 0, CHANGED);
    c2s(&x, "P.", 7, 0, "789abc");
    repeated(RX_PARTIAL, 7, 3, 3, SAME);
    c2s(&x, "P.", 10, 0, "aBc");
    repeated(RX_LOST, 10, 3, 0, CHANGED);
    reads(&x, SVR, 0, "0123456789abc");
    s2c(&x, ".", 0, 13, "");
    c2s(&x, "P.", 0, 0, "0123456789");
    repeated(RX_SPURIOUS, 0, 10, 0, SAME);
    assert_int_equal(ext()->dir[CLI].rexmit_packets, 5);
    assert_int_equal(ext()->dir[CLI].rexmit_bytes, 10 + 3 + 3 + 3 + 10);
    assert_int_equal(ext()->dir[SVR].rexmit_packets, 0);
}

/* What is repeated need not be the beginning: out of order bytes in the middle. */
static void repeated_out_of_order(void **state)
{
    shake(&x);
    c2s(&x, "P.", 10, 0, "abc");
    c2s(&x, "P.", 20, 0, "xyz");
    c2s(&x, "P.", 10, 0, "abc");
    repeated(RX_LOST, 10, 3, 0, SAME);
    c2s(&x, "P.", 8, 0, "89abcdef");
    repeated(RX_PARTIAL, 10, 3, 5, SAME);
    c2s(&x, "P.", 15, 0, "fghijxyZ"); /* 15 was seen, 16-19 not, 20-22 were */
    repeated(RX_PARTIAL, 15, 4, 4, CHANGED);
    c2s(&x, "P.", 0, 0, "01234567");
    assert_false(x.cp.rcv & CR_REXMIT);
    reads(&x, SVR, 0, "0123456789abcdefghijxyz");
    assert_int_equal(ext()->dir[CLI].ooo_packets, 5);
}

static void repeated_and_gone(void **state)
{
    x.nobody = true;
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    c2s(&x, "P.", 0, 0, "0123456789");
    repeated(RX_LOST, 0, 10, 0, UNKNOWN);
    end_batch(&x);
    assert_int_equal(x.env.se.strms.used, 0); /* nobody wants anything: nothing is kept */
    c2s(&x, "P.", 5, 0, "56789abc");
    repeated(RX_PARTIAL, 5, 5, 3, UNKNOWN);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 13);
}

static void repeated_half_gone(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    strm_release(&x.env.se, &fix_flow(&x)->side[SVR], 5);
    c2s(&x, "P.", 0, 0, "0123456789");
    repeated(RX_LOST, 0, 10, 0, UNKNOWN);
    c2s(&x, "P.", 0, 0, "01234X6789"); /* what is left tells */
    repeated(RX_LOST, 0, 10, 0, CHANGED);
    c2s(&x, "P.", 5, 0, "56789");
    repeated(RX_LOST, 5, 5, 0, SAME);
}

static void repeated_but_cut(void **state)
{
    shake(&x);
    feed(&x, (struct frame){.seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .plen = 10});
    feed(&x, (struct frame){.seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .plen = 10, .snap = 60});
    repeated(RX_LOST, 0, 10, 0, UNKNOWN);
}

static void repeated_handshake(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    repeated(RX_SYN, 0, 0, 0, SAME);
    assert_int_equal(x.cp.rcv & ~CR_REXMIT, 0); /* CONN_START once */
    assert_int_equal(x.cp.snd, 0);
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    assert_false(x.cp.rcv & CR_REXMIT);
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    repeated(RX_SYN, 0, 0, 0, SAME);
}

static void repeated_fin(void **state)
{
    shake(&x);
    c2s(&x, "FP.", 0, 0, "end");
    assert_false(x.cp.rcv & CR_REXMIT);
    c2s(&x, "F.", 3, 0, "");
    repeated(RX_FIN, 3, 0, 0, SAME);
    c2s(&x, "FP.", 0, 0, "end");
    repeated(RX_LOST, 0, 3, 0, SAME);
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
}

static void keep_alive(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    s2c(&x, ".", 0, 3, "");
    c2s(&x, ".", 2, 0, "");
    repeated(RX_KEEPALIVE, 2, 0, 0, SAME);
    c2s(&x, ".", 2, 0, "?");
    assert_int_equal(x.cp.rexmit.cls, RX_KEEPALIVE);
    assert_false(x.cp.rcv & CR_OVERLAP);
    reads(&x, SVR, 0, "abc");
    /* behind the FIN a probe's byte takes the FIN's number */
    c2s(&x, "F.", 3, 0, "");
    s2c(&x, ".", 0, 4, "");
    c2s(&x, ".", 3, 0, "?");
    assert_false(x.cp.rcv & CR_ERROR);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 3);
}

static void window_probe(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    feed(&x,
         (struct frame){FRAME_REPLY, .seq = SVR_ISN + 1, .ack = CLI_ISN + 4, .win = FRAME_ZERO});
    c2s(&x, ".", 3, 0, "d");
    assert_false(x.cp.rcv & (CR_REXMIT | CR_ERROR));
    c2s(&x, ".", 3, 0, "d");
    repeated(RX_PROBE, 3, 1, 0, SAME);
    reads(&x, SVR, 0, "abcd");
}

static void bytes_for_a_gap_are_late(void **state)
{
    shake(&x);
    c2s(&x, "P.", 5, 0, "567");
    at(&x, 3000);
    c2s(&x, ".", 8, 0, "");
    gap_is(&x, 0, SVR, 0, 5, GAP_TIMEOUT);
    c2s(&x, "P.", 0, 0, "01234567");
    repeated(RX_LOST, 0, 8, 0, UNKNOWN);
    assert_int_equal(counted(REASON_LATE), 1);
    assert_int_equal(ext()->dir[CLI].late_bytes, 5);
    assert_int_equal(gap_bytes(&x, CLI), 5);
    reads(&x, SVR, 0, ""); /* never filled in */
    reads(&x, SVR, 5, "567");
}

/* ---- beyond the window ---- */

static void segment_beyond_the_window(void **state)
{
    const uint32_t edge = 8192 + (1u << 20); /* tolerant: a megabyte may have been lost */

    shake(&x);
    s2c(&x, ".", 0, 0, "");
    c2s(&x, "P.", edge - 2, 0, "abc");
    assert_true(x.cp.rcv & CR_ERROR);
    assert_int_equal(counted(REASON_SEG_ABOVE), 1);
    assert_int_equal(x.env.se.strms.used, 0);
    c2s(&x, "P.", edge - 3, 0, "abc");
    assert_false(x.cp.rcv & CR_ERROR);
}

static void segment_beyond_the_window_strict(void **state)
{
    shake(&x);
    s2c(&x, ".", 0, 0, "");
    c2s(&x, "P.", 8192 + 1, 0, "abc");
    assert_true(x.cp.ignored);
    assert_true(x.cp.rcv & CR_ERROR);
    c2s(&x, "P.", 8192, 0, "abc"); /* at the edge: nothing of it fits */
    assert_true(x.cp.rcv & CR_ERROR);
    assert_int_equal(x.env.se.strms.used, 0);
    c2s(&x, "P.", 8192 - 2, 0, "abc"); /* trimmed, taken, or not: hosts differ, the ACK will tell */
    assert_true(x.cp.rcv & CR_ERROR);
    assert_int_equal(x.env.se.ooo_mem, 0);
    assert_int_equal(x.env.se.strms.used, 1);
    c2s(&x, "P.", 8192 - 3, 0, "abc");
    assert_false(x.cp.rcv & CR_ERROR);
}

/* More than a window was lost by the capture: data and ACK together say so, and the stream goes on. */
static void a_long_outage(void **state)
{
    const uint32_t far = 50u << 20;

    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    s2c(&x, ".", 0, 3, "");
    c2s(&x, "P.", far, 0, "def");
    assert_true(x.cp.rcv & CR_ERROR);
    s2c(&x, ".", 0, far + 3, "");
    c2s(&x, "P.", far + 3, 0, "ghi");
    assert_true(x.cp.rcv & CR_ERROR);
    s2c(&x, ".", 0, far + 6, "");
    c2s(&x, "P.", far + 6, 0, "jkl");
    assert_false(x.cp.rcv & CR_ERROR);
    at(&x, 11);
    c2s(&x, "P.", far + 9, 0, "mno");
    gap_is(&x, 0, SVR, 3, far + 3, GAP_ACKED);
    reads(&x, SVR, far + 6, "jklmno");
}

/* ---- the FIN is a position ---- */

static void fin_before_its_data(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    c2s(&x, "F.", 9, 0, "");
    states_are(&x, FS_FIN_WAIT_1, FS_ESTABLISHED);
    c2s(&x, "P.", 6, 0, "ghi");
    states_are(&x, FS_FIN_WAIT_1, FS_ESTABLISHED);
    c2s(&x, "P.", 3, 0, "def"); /* without FIN, but it completes */
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
    assert_int_equal(x.cp.rcv, CR_STATE);
    reads(&x, SVR, 0, "abcdefghi");
    s2c(&x, ".", 0, 10, "");
    states_are(&x, FS_FIN_WAIT_2, FS_CLOSE_WAIT);
    assert_int_equal(conn_acked(fix_flow(&x), SVR), 9); /* the FIN is no byte */
}

static void fin_whose_data_never_come(void **state)
{
    shake(&x);
    c2s(&x, "F.", 9, 0, "");
    states_are(&x, FS_FIN_WAIT_1, FS_ESTABLISHED);
    s2c(&x, ".", 0, 10, ""); /* whoever acknowledges it has it */
    states_are(&x, FS_FIN_WAIT_2, FS_CLOSE_WAIT);
    at(&x, 10);
    s2c(&x, "F.", 0, 10, "");
    gap_is(&x, 0, SVR, 0, 9, GAP_ACKED);
    assert_int_equal(x.cp.data, 0); /* given up, and nothing behind it */
    c2s(&x, ".", 10, 1, "");
    assert_int_equal(x.done, MOS_END_FIN);
}

static void data_behind_the_fin(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "a");
    c2s(&x, "F.", 2, 0, "c");
    c2s(&x, "P.", 3, 0, "evil"); /* waits, as the FIN does */
    c2s(&x, "P.", 1, 0, "b");
    c2s(&x, "P.", 0, 0, "abcevil"); /* the FIN has been taken */
    reads(&x, SVR, 0, "abc");
    assert_int_equal(fix_flow(&x)->side[SVR].next, 3);
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
}

/* Linux, tcp_ofo_queue: a FIN that waits behind a hole is gone when bytes in order cover its place. */
static void fin_that_was_none(void **state)
{
    shake(&x);
    c2s(&x, "F.", 3, 0, "");
    c2s(&x, "P.", 0, 0, "abcdef");
    reads(&x, SVR, 0, "abcdef");
    states_are(&x, FS_FIN_WAIT_1, FS_ESTABLISHED);
    c2s(&x, "F.", 6, 0, "");
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
}

/* The same: one that another segment covers is gone, and one within what waits never comes. */
static void fin_covered(void **state)
{
    shake(&x);
    c2s(&x, "F.", 3, 0, "");
    c2s(&x, "P.", 2, 0, "cdef");
    c2s(&x, "F.", 4, 0, "e");
    c2s(&x, "P.", 0, 0, "ab");
    reads(&x, SVR, 0, "abcdef");
    states_are(&x, FS_FIN_WAIT_1, FS_ESTABLISHED);
    assert_false(fix_flow(&x)->side[CLI].flags & SIDE_FIN_SENT);
}

/* Of two that wait the one counts whose segment begins first. */
static void fin_of_two(void **state)
{
    shake(&x);
    c2s(&x, "F.", 5, 0, "fg");
    c2s(&x, "F.", 8, 0, "");
    c2s(&x, "F.", 3, 0, "d");
    c2s(&x, "P.", 0, 0, "abc");
    reads(&x, SVR, 0, "abcd");
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
}

/* A hole that is given up before it: the stream ends at the FIN, what waits behind it goes. */
static void fin_behind_a_gap(void **state)
{
    shake(&x);
    c2s(&x, "F.", 2, 0, "c");
    c2s(&x, "P.", 3, 0, "evil");
    s2c(&x, ".", 0, 3, "");
    at(&x, 10);
    s2c(&x, ".", 0, 3, "");
    gap_is(&x, 0, SVR, 0, 2, GAP_ACKED);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 3);
    c2s(&x, "P.", 3, 0, "evil");
    assert_int_equal(fix_flow(&x)->side[SVR].next, 3);
}

static void fin_astray(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    s2c(&x, ".", 0, 10, "");
    c2s(&x, "F.", 3, 0, "");
    refused_as(REASON_SEG_OLD);
    c2s(&x, "F.", 1u << 24, 0, "");
    refused_as(REASON_SEG_ABOVE);
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    assert_false(fix_flow(&x)->side[CLI].flags & SIDE_FIN_SENT);
    c2s(&x, "F.", 10, 0, "");
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
    c2s(&x, "F.", 12, 0, ""); /* the first one stands */
    assert_int_equal(fix_flow(&x)->ctr[CLI].fin, CLI_ISN + 11);
}

/* The ACK came first: its last number is that of a FIN, no lost byte. */
static void fin_behind_its_ack(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    s2c(&x, ".", 0, 4, "");
    at(&x, 10);
    s2c(&x, ".", 0, 4, "");
    assert_int_equal(x.env.ngaps, 0);
    c2s(&x, "F.", 3, 0, "");
    assert_false(x.cp.ignored);
    states_are(&x, FS_FIN_WAIT_1, FS_CLOSE_WAIT);
}

static void both_close_at_once(void **state)
{
    shake(&x);
    c2s(&x, "F.", 0, 0, "");
    s2c(&x, "F.", 0, 0, "");
    states_are(&x, FS_CLOSING, FS_CLOSING);
    c2s(&x, ".", 1, 1, "");
    s2c(&x, ".", 1, 1, "");
    states_are(&x, FS_TIME_WAIT, FS_TIME_WAIT);
    assert_int_equal(x.done, MOS_END_FIN);
}

/* ---- IPv6 ---- */

static void over_ipv6(void **state)
{
    feed(&x, (struct frame){.v6 = true, .flags = "S", .seq = CLI_ISN});
    assert_int_equal(x.env.ft.keys6.used, 1);
    feed(&x, (struct frame){
                 .v6 = true, FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1});
    feed(&x, (struct frame){.v6 = true, .seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .payload = "abc"});
    reads(&x, SVR, 0, "abc");
    assert_int_equal(fix_flow(&x)->ctr[CLI].ip_bytes, 60 + 63);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
#define S(f) cmocka_unit_test_setup_teardown(f, up_strict, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reference),
        S(reference),
        T(numbers_wrap),
        T(rst_in_syn_sent),
        T(rst_out_of_the_window),
        T(rst_in_the_window),
        S(rst_strict),
        T(syn_in_a_live_connection),
        T(answer_to_another_syn),
        T(echo_never_sent),
        T(the_same_without_counters),
        S(strict_wants_the_syn_ack),
        T(tolerant_does_without),
        S(old_timestamps_strict),
        T(ack_of_what_was_never_sent),
        T(ack_behind_4_gib),
        S(ack_behind_4_gib),
        S(ack_strict),
        T(first_ack_of_nonsense),
        T(repeated_bytes),
        T(repeated_out_of_order),
        T(repeated_and_gone),
        T(repeated_half_gone),
        T(repeated_but_cut),
        T(repeated_handshake),
        T(repeated_fin),
        T(keep_alive),
        T(window_probe),
        T(bytes_for_a_gap_are_late),
        T(segment_beyond_the_window),
        S(segment_beyond_the_window_strict),
        T(a_long_outage),
        T(fin_before_its_data),
        T(fin_whose_data_never_come),
        T(data_behind_the_fin),
        T(fin_that_was_none),
        T(fin_covered),
        T(fin_of_two),
        T(fin_behind_a_gap),
        T(fin_astray),
        T(fin_behind_its_ack),
        T(both_close_at_once),
        T(over_ipv6),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
