// SPDX-License-Identifier: BSD-2-Clause
/* Payload into streams: holes and when they are given up, cut frames, fast open, policy LAST, the last words. */
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

static int up_last(void **state)
{
    fix_up(&x);
    x.flags = SIDE_LAST;
    return 0;
}

static int down(void **state)
{
    fix_down(&x);
    return 0;
}

/* fire: flow timers that are due. => data as conn_pkt.data, or 0x80 when the flow is idle. */
static uint8_t fire(void)
{
    uint32_t head = wheel_advance(&x.env.ft.wheel, x.env.now), idx;
    uint8_t data = 0;

    while ((idx = wheel_next_due(&x.env.ft.wheel, &head)) != 0)
        if (conn_timer(&x.env, idx, &data))
            data |= 0x80;
    return data;
}

/* ---- (a): the receiver has it, the monitor lost it ---- */

static void acked_and_grace_over(void **state)
{
    shake(&x);
    c2s(&x, "P.", 4, 0, "efg");
    at(&x, 5);
    s2c(&x, ".", 0, 7, ""); /* the grace begins */
    assert_int_equal(x.env.ngaps, 0);
    at(&x, 14);
    c2s(&x, ".", 7, 0, "");
    assert_int_equal(x.env.ngaps, 0);
    at(&x, 15); /* exactly */
    c2s(&x, ".", 7, 0, "");
    assert_int_equal(x.env.ngaps, 1);
    gap_is(&x, 0, SVR, 0, 4, GAP_ACKED);
    assert_int_equal(x.cp.data, 1 << SVR);
    assert_int_equal(x.cp.gap0, 0);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 7);
    assert_int_equal(gap_bytes(&x, CLI), 4);
    reads(&x, SVR, 4, "efg");
    assert_int_equal(strm_lost(&x.env.se, &fix_flow(&x)->side[SVR], 0), 4);
}

static void acked_and_filled_in_the_grace(void **state)
{
    shake(&x);
    c2s(&x, "P.", 4, 0, "efg");
    s2c(&x, ".", 0, 7, "");
    at(&x, 9);
    c2s(&x, "P.", 0, 0, "abcd"); /* the capture had two of them the wrong way round */
    at(&x, 5000);
    s2c(&x, ".", 0, 7, "");
    assert_int_equal(x.env.ngaps, 0);
    reads(&x, SVR, 0, "abcdefg");
}

static void acked_and_many_segments(void **state)
{
    shake(&x);
    c2s(&x, "P.", 4, 0, "efg");
    s2c(&x, ".", 0, 7, "");
    for (int i = 0; i < 63; i++) {
        s2c(&x, ".", 0, 7, "");
        assert_int_equal(x.env.ngaps, 0);
    }
    c2s(&x, ".", 7, 0, "");
    gap_is(&x, 0, SVR, 0, 4, GAP_ACKED);
}

static void acked_in_line(void **state)
{
    x.env.cfg.in_line = true;
    shake(&x);
    c2s(&x, "P.", 4, 0, "efg");
    s2c(&x, ".", 0, 7, "");
    gap_is(&x, 0, SVR, 0, 4, GAP_ACKED); /* nothing overtakes us */
}

static void acked_in_part(void **state)
{
    shake(&x);
    c2s(&x, "P.", 10, 0, "klm");
    s2c(&x, ".", 0, 4, "");
    at(&x, 10);
    c2s(&x, ".", 13, 0, "");
    assert_int_equal(x.env.ngaps, 1);
    gap_is(&x, 0, SVR, 0, 4, GAP_ACKED); /* the rest may still come */
    assert_int_equal(x.cp.data, 0);
    c2s(&x, "P.", 4, 0, "efghij");
    reads(&x, SVR, 4, "efghijklm");
}

/* The ACK alone says that there was something. */
static void acked_and_nothing_seen(void **state)
{
    shake(&x);
    s2c(&x, ".", 0, 500, "");
    assert_int_equal(x.env.se.strms.used, 1);
    end_batch(&x);
    assert_int_equal(x.env.se.strms.used, 1); /* it must age */
    at(&x, 16);
    assert_int_equal(fire(), 0); /* no byte became readable */
    assert_int_equal(x.env.ngaps, 1);
    gap_is(&x, 0, SVR, 0, 500, GAP_ACKED);
    assert_false(fix_flow(&x)->side[SVR].flags & SIDE_PEND_DATA);
    assert_true(fix_flow(&x)->side[SVR].flags & SIDE_PEND_GAP);
    c2s(&x, "P.", 500, 0, "x");
    reads(&x, SVR, 500, "x");
}

static void acked_beyond_the_window(void **state)
{
    shake(&x);
    c2s(&x, "P.", 4, 0, "efg");
    s2c(&x, ".", 0, 0, "");
    s2c(&x, ".", 0, 1u << 20, ""); /* no ACK of theirs: nothing ages */
    at(&x, 1000);
    s2c(&x, ".", 0, 0, "");
    assert_int_equal(x.env.ngaps, 0);
}

/* ---- (b): too much waits ---- */

static void limit_of_bytes(void **state)
{
    struct frame f = {.flags = ".", .ack = SVR_ISN + 1, .plen = 500};

    shake(&x);
    f.seq = CLI_ISN + 1 + 10;
    feed(&x, f);
    f.seq += 500;
    feed(&x, f); /* 1000: just fits */
    assert_int_equal(x.env.ngaps, 0);
    f.seq += 510;
    f.plen = 1;
    feed(&x, f);
    assert_int_equal(x.env.ngaps, 1);
    gap_is(&x, 0, SVR, 0, 10, GAP_LIMIT);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 1010); /* the second hole may wait */
    assert_int_equal(x.env.reasons[REASON_BUF_FULL], 1);
}

static void limit_several_holes(void **state)
{
    struct frame f = {.flags = ".", .ack = SVR_ISN + 1, .plen = 10};

    shake(&x);
    for (uint32_t i = 0; i < 5; i++) {
        f.seq = CLI_ISN + 1 + 5 + 20 * i;
        feed(&x, f);
    }
    f.seq += 100;
    f.plen = 996;
    feed(&x, f);
    assert_int_equal(x.env.ngaps, 5); /* 1046 wait: holes go until 1000 are left */
    for (int i = 0; i < 5; i++)
        gap_is(&x, i, SVR, i ? 20 * i - 5 : 0, i ? 10 : 5, GAP_LIMIT);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 95);
}

/* ---- (c): two seconds ---- */

static void timeout_by_packet(void **state)
{
    shake(&x);
    at(&x, 100);
    c2s(&x, "P.", 4, 0, "efg");
    at(&x, 2099);
    c2s(&x, "P.", 7, 0, "h");
    assert_int_equal(x.env.ngaps, 0);
    at(&x, 2100);
    s2c(&x, "P.", 0, 0, "z"); /* of the other direction */
    gap_is(&x, 0, SVR, 0, 4, GAP_TIMEOUT);
    assert_int_equal(x.cp.data, 1 << SVR | 1 << CLI);
    reads(&x, SVR, 4, "efgh");
}

static void timeout_by_timer(void **state)
{
    uint64_t fired = 0;

    shake(&x);
    c2s(&x, "P.", 4, 0, "efg");
    for (uint64_t ms = 1; ms <= 2100 && !fired; ms++) {
        at(&x, ms);
        if (fire())
            fired = ms;
    }
    assert_in_range(fired, 2000, 2000 + WHEEL_TICK_NS / MS); /* never early, a tick late at most */
    gap_is(&x, 0, SVR, 0, 4, GAP_TIMEOUT);
}

static void timeout_begins_with_the_hole(void **state)
{
    shake(&x);
    c2s(&x, "P.", 4, 0, "ef");
    c2s(&x, "P.", 10, 0, "kl");
    at(&x, 1500);
    c2s(&x, "P.", 0, 0, "abcd"); /* now the second is the first */
    at(&x, 2500);
    c2s(&x, ".", 12, 0, "");
    assert_int_equal(x.env.ngaps, 0);
    at(&x, 3500);
    c2s(&x, ".", 12, 0, "");
    gap_is(&x, 0, SVR, 6, 4, GAP_TIMEOUT);
}

static void timeout_of_a_fin_alone(void **state)
{
    shake(&x);
    c2s(&x, "F.", 20, 0, "");
    at(&x, 2004);
    fire();
    gap_is(&x, 0, SVR, 0, 20, GAP_TIMEOUT);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 20);
}

static void never(void **state)
{
    x.env.cfg.gap_timeout_ns = x.env.cfg.grace_ns = x.env.cfg.idle_ns = UINT64_MAX;
    shake(&x);
    assert_int_equal(x.env.ft.wheel.count, 0);
    c2s(&x, "P.", 4, 0, "efg");
    s2c(&x, ".", 0, 7, "");
    at(&x, 86400000);
    for (int i = 0; i < 3; i++) {
        at(&x, 86400000 + (uint64_t)i * 4);
        assert_int_equal(fire(), 0);
    }
    assert_int_equal(x.env.ngaps, 0);
    assert_int_equal(x.env.ft.wheel.count, 0); /* no timer that fires for nothing */
}

/* ---- (d): the end ---- */

static void flush_up_to_fin_and_ack(void **state)
{
    uint8_t data = 0;

    shake(&x);
    c2s(&x, "P.", 4, 0, "efg");
    c2s(&x, "P.", 10, 0, "kl");
    c2s(&x, "F.", 20, 0, "");
    s2c(&x, "P.", 3, 0, "uvw");
    c2s(&x, ".", 21, 9, "");
    conn_flush(&x.env, x.idx, &data);
    assert_int_equal(x.env.ngaps, 5);
    gap_is(&x, 0, CLI, 0, 3, GAP_END);
    gap_is(&x, 1, CLI, 6, 3, GAP_END);
    gap_is(&x, 2, SVR, 0, 4, GAP_END);
    gap_is(&x, 3, SVR, 7, 3, GAP_END);
    gap_is(&x, 4, SVR, 12, 8, GAP_END);
    assert_int_equal(data, 1 << CLI | 1 << SVR);
    reads(&x, SVR, 4, "efg");
    reads(&x, SVR, 10, "kl");
    reads(&x, CLI, 3, "uvw");
    assert_int_equal(gap_bytes(&x, CLI), 15);
    assert_int_equal(gap_bytes(&x, SVR), 6);
    data = 0;
    x.env.ngaps = 0;
    conn_flush(&x.env, x.idx, &data); /* once is enough */
    assert_int_equal(x.env.ngaps | data, 0);
}

static void flush_of_nothing(void **state)
{
    uint8_t data = 0;

    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    end_batch(&x);
    conn_flush(&x.env, x.idx, &data);
    assert_int_equal(x.env.ngaps | data | x.env.nraises, 0);
}

/* ---- what the capture cut off ---- */

#define HDRS 54 /* Ethernet, IPv4, TCP */

static struct frame cut_frame(uint32_t off, uint32_t plen, uint32_t captured)
{
    return (struct frame){.flags = "P.",
                          .seq = CLI_ISN + 1 + off,
                          .ack = SVR_ISN + 1,
                          .plen = plen,
                          .snap = HDRS + captured};
}

static void cut_in_order(void **state)
{
    shake(&x);
    feed(&x, cut_frame(0, 100, 60));
    assert_int_equal(x.env.ngaps, 1);
    gap_is(&x, 0, SVR, 60, 40, GAP_SNAPLEN);
    assert_int_equal(x.cp.data, 1 << SVR);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 100);
    feed(&x, cut_frame(100, 50, 0));
    gap_is(&x, 1, SVR, 100, 50, GAP_SNAPLEN);
    assert_int_equal(x.cp.data, 0); /* nothing to read in it */
    assert_int_equal(gap_bytes(&x, CLI), 90);
}

static void cut_out_of_order(void **state)
{
    shake(&x);
    feed(&x, cut_frame(100, 100, 60));
    gap_is(&x, 0, SVR, 160, 40, GAP_SNAPLEN); /* nobody will send it again */
    assert_int_equal(x.cp.data, 0);
    feed(&x, cut_frame(0, 100, 100));
    assert_int_equal(x.env.ngaps, 1);
    assert_int_equal(x.cp.data, 1 << SVR);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 200);
    assert_int_equal(strm_lost(&x.env.se, &fix_flow(&x)->side[SVR], 160), 40);
}

/* Where the tail brings something new is where the gap lies, not where the frame was cut. */
static void cut_over_what_is_known(void **state)
{
    shake(&x);
    feed(&x, cut_frame(0, 50, 50));
    feed(&x, cut_frame(40, 30, 5));
    gap_is(&x, 0, SVR, 50, 20, GAP_SNAPLEN);
    feed(&x, cut_frame(100, 10, 10));
    feed(&x, cut_frame(120, 10, 10));
    feed(&x, cut_frame(75, 75, 10)); /* [75,85) captured */
    assert_int_equal(x.env.ngaps, 4);
    gap_is(&x, 1, SVR, 85, 15, GAP_SNAPLEN);
    gap_is(&x, 2, SVR, 110, 10, GAP_SNAPLEN);
    gap_is(&x, 3, SVR, 130, 20, GAP_SNAPLEN);
    feed(&x, cut_frame(75, 75, 10));
    assert_int_equal(x.env.ngaps, 4); /* nothing new */
    assert_int_equal(gap_bytes(&x, CLI), 20 + 15 + 10 + 20);
}

/* ---- fast open (RFC 7413) ---- */

static void syn_bytes_taken(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "GET /"});
    assert_int_equal(fix_flow(&x)->side[SVR].next, 0);
    assert_int_equal(x.cp.data, 0);
    assert_true(x.buf[0].pb.flags & PB_BORROWED);
    end_batch(&x);
    s2c(&x, "S.", (uint32_t)-1, 5, "");
    assert_int_equal(x.cp.data, 1 << SVR);
    reads(&x, SVR, 0, "GET /");
    states_are(&x, FS_ESTABLISHED, FS_SYN_RCVD);
    c2s(&x, "P.", 5, 0, " HTTP");
    assert_false(x.cp.rcv & CR_REXMIT);
    reads(&x, SVR, 0, "GET / HTTP");
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
}

static void syn_bytes_refused(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "GET /"});
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    assert_int_equal(x.cp.data, 0);
    c2s(&x, "P.", 0, 0, "PUT /"); /* sent again, whatever it is */
    reads(&x, SVR, 0, "PUT /");
    assert_false(x.cp.rcv & CR_REXMIT);
}

static void syn_bytes_taken_in_part(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "GET /"});
    s2c(&x, "S.", (uint32_t)-1, 3, "");
    reads(&x, SVR, 0, "GET");
    c2s(&x, "P.", 3, 0, "xyz");
    reads(&x, SVR, 0, "GETxyz");
}

static void syn_bytes_and_the_answer_unseen(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "GET /"});
    c2s(&x, "P.", 5, 0, " HTTP"); /* it goes on behind them: they were taken */
    reads(&x, SVR, 0, "GET / HTTP");
}

static void syn_bytes_never_answered(void **state)
{
    uint8_t data = 0;

    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "GET /"});
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "GET /"});
    conn_flush(&x.env, x.idx, &data);
    assert_int_equal(data | x.env.ngaps, 0);
    assert_int_equal(x.env.se.chunks.used, 0);
}

static void syn_bytes_nobody_wants(void **state)
{
    x.nobody = true;
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .payload = "GET /"});
    s2c(&x, "S.", (uint32_t)-1, 5, "");
    assert_int_equal(fix_flow(&x)->side[SVR].next, 5);
    assert_int_equal(x.env.se.chunks.used, 0);
    end_batch(&x);
    assert_int_equal(x.env.se.strms.used, 0);
}

/* ---- policy LAST: readable is what the receiver has acknowledged ---- */

static void last_until_acked(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "GOOD");
    assert_int_equal(x.cp.data, 0);
    reads(&x, SVR, 0, "");
    c2s(&x, "P.", 0, 0, "EVIL");
    assert_int_equal(x.cp.rexmit.content, 1);
    s2c(&x, ".", 0, 4, "");
    assert_int_equal(x.cp.data, 1 << SVR);
    reads(&x, SVR, 0, "EVIL");
}

/* At a tap the ACK may overtake its data. */
static void last_acked_before_it_came(void **state)
{
    shake(&x);
    s2c(&x, ".", 0, 4, "");
    c2s(&x, "P.", 0, 0, "GOOD");
    assert_int_equal(x.cp.data, 1 << SVR);
    reads(&x, SVR, 0, "GOOD");
}

static void last_never_acked(void **state)
{
    uint8_t data = 0;

    shake(&x);
    c2s(&x, "P.", 0, 0, "GOOD");
    conn_flush(&x.env, x.idx, &data);
    assert_int_equal(data, 1 << SVR);
    reads(&x, SVR, 0, "GOOD");
}

static void last_and_a_gap(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "ab");
    c2s(&x, "P.", 5, 0, "fg");
    at(&x, 2000);
    c2s(&x, ".", 7, 0, "");
    gap_is(&x, 0, SVR, 2, 3, GAP_TIMEOUT);
    assert_int_equal(x.cp.data, 1 << SVR); /* "ab" lies before what was given up */
    reads(&x, SVR, 0, "ab");
    reads(&x, SVR, 5, "");
    s2c(&x, ".", 0, 7, "");
    reads(&x, SVR, 5, "fg");
}

/* ---- what is borrowed, what is listed ---- */

static void borrowed_until_the_end_of_the_batch(void **state)
{
    uint64_t copied;

    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    assert_true(x.seg.pb->flags & PB_BORROWED);
    assert_int_equal(x.seg.pb->borrow_flow, x.idx);
    assert_int_equal(x.env.touched, x.idx);
    copied = x.env.se.copied;
    assert_int_equal(copied, 0);
    end_batch(&x);
    assert_int_equal(x.env.se.copied, 3);
    reads(&x, SVR, 0, "abc");
    c2s(&x, ".", 3, 0, "");
    assert_false(x.seg.pb->flags & PB_BORROWED);
    assert_int_equal(x.env.touched, 0);
}

static void raised_once_a_side(void **state)
{
    shake(&x);
    c2s(&x, "P.", 0, 0, "abc");
    c2s(&x, "P.", 3, 0, "def");
    s2c(&x, "P.", 0, 6, "xyz");
    c2s(&x, "P.", 6, 0, "ghi");
    assert_int_equal(x.env.nraises, 2);
    assert_int_equal(x.env.raises[0].side, SVR);
    assert_int_equal(x.env.raises[1].side, CLI);
    end_batch(&x);
    s2c(&x, "P.", 3, 9, "q");
    assert_int_equal(x.env.nraises, 1);
}

static void no_buffer_no_bytes(void **state)
{
    shake(&x);
    fix_flow(&x)->side[SVR].flags |= SIDE_NOBUF;
    c2s(&x, "P.", 3, 0, "def");
    c2s(&x, "P.", 0, 0, "abc");
    assert_int_equal(x.env.se.chunks.used, 0);
    assert_int_equal(fix_flow(&x)->side[SVR].next, 6);
    end_batch(&x);
    assert_int_equal(x.env.se.strms.used, 0);
}

static void a_reset_has_no_data(void **state)
{
    shake(&x);
    c2s(&x, "R.", 0, 0, "go away");
    assert_int_equal(fix_flow(&x)->side[SVR].next, 0);
    assert_int_equal(x.env.se.strms.used, 0);
    assert_int_equal(x.done, MOS_END_RST);
}

/* No memory for anything: the stream is followed all the same. */
static void without_memory(void **state)
{
    shake(&x);
    x.env.acct.limit = 1;
    c2s(&x, "P.", 0, 0, "abc");
    assert_int_equal(fix_flow(&x)->side[SVR].next, 3);
    assert_int_equal(x.env.reasons[REASON_NO_STREAM_MEM], 1);
    c2s(&x, "P.", 6, 0, "ghi"); /* out of order: as if it had not come */
    c2s(&x, "P.", 3, 0, "def");
    assert_int_equal(fix_flow(&x)->side[SVR].next, 6);
    reads(&x, SVR, 0, "");
    x.env.acct.limit = 0;
    c2s(&x, "P.", 6, 0, "ghi");
    reads(&x, SVR, 6, "ghi");
}

/* Moved to another context, where it has another index, a flow still gives up its own first hole. */
static void relieved_where_it_went(void **state)
{
    static struct fix y;
    struct image im = {0};
    uint8_t data = 0;
    uint32_t idx;

    feed(&x, (struct frame){.sport = 1000, .flags = "S", .seq = CLI_ISN});
    shake(&x);
    c2s(&x, "P.", 10, 0, "abc");
    end_batch(&x);
    conn_export(&x.env, x.idx, &im);
    fix_up(&y);
    y.env.cfg.ooo_memory = 1;
    idx = conn_import(&y.env, &im);
    assert_int_not_equal(idx, 0);
    assert_int_not_equal(idx, x.idx);
    assert_int_equal(conn_relieve(&y.env, &data), idx);
    gap_is(&y, 0, SVR, 0, 10, GAP_LIMIT);
    assert_int_equal(data, 1 << SVR);
    image_free(&im);
    end_batch(&y);
    fix_down(&y);
}

/* Bytes that wait when their frame goes, and find no block: lost, and counted. */
static void nothing_to_keep_them_in(void **state)
{
    shake(&x);
    c2s(&x, "P.", 3, 0, "def");
    x.env.acct.limit = 1;
    conn_own_borrowed(&x.env, x.idx);
    assert_int_equal(x.env.se.failed, 3);
    assert_int_equal(x.env.reasons[REASON_NO_STREAM_MEM], 1);
    x.env.acct.limit = 0;
    end_batch(&x);
    assert_int_equal(x.env.reasons[REASON_NO_STREAM_MEM], 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
#define L(f) cmocka_unit_test_setup_teardown(f, up_last, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(acked_and_grace_over),
        T(acked_and_filled_in_the_grace),
        T(acked_and_many_segments),
        T(acked_in_line),
        T(acked_in_part),
        T(acked_and_nothing_seen),
        T(acked_beyond_the_window),
        T(limit_of_bytes),
        T(limit_several_holes),
        T(timeout_by_packet),
        T(timeout_by_timer),
        T(timeout_begins_with_the_hole),
        T(timeout_of_a_fin_alone),
        T(never),
        T(flush_up_to_fin_and_ack),
        T(flush_of_nothing),
        T(cut_in_order),
        T(cut_out_of_order),
        T(cut_over_what_is_known),
        T(syn_bytes_taken),
        T(syn_bytes_refused),
        T(syn_bytes_taken_in_part),
        T(syn_bytes_and_the_answer_unseen),
        T(syn_bytes_never_answered),
        T(syn_bytes_nobody_wants),
        L(last_until_acked),
        L(last_acked_before_it_came),
        L(last_never_acked),
        L(last_and_a_gap),
        T(borrowed_until_the_end_of_the_batch),
        T(raised_once_a_side),
        T(no_buffer_no_bytes),
        T(a_reset_has_no_data),
        T(without_memory),
        T(relieved_where_it_went),
        T(nothing_to_keep_them_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
