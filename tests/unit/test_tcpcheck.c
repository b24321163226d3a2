// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_tcpcheck.c: which RST is believed, what kind of repetition it is, which timestamp is old.
 * Row by row; each says the rule that it comes from.
 */
#include "tcp/check.h"

#include "tcp/fsm.h"
#include "wire/seg.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A row is a template and what differs from it. */
#pragma GCC diagnostic ignored "-Woverride-init"

/* -- RST -- */

/* A receiver that waits for 1000, has acknowledged 900, and whose peer has sent up to 1200. */
#define RST(...)                                                                                   \
    {                                                                                              \
        .rcv_state = FS_ESTABLISHED, .rcv_nxt = 1000, .rcv_ack = 900, .peer_max = 1200,            \
        .edge = 1300, .snd_first = 5001, .snd_max = 5001, __VA_ARGS__                              \
    }

enum { NO = RST_REFUSED, IF = RST_PENDING, YES = RST_BELIEVED };

struct rst_row {
    const char *rule;
    struct rst_query q;
    int strict, tolerant;
};

static const struct rst_row rst_rows[] = {
    {"RFC 5961 3.2: exactly RCV.NXT", RST(.seq = 1000), YES, YES},
    {"RFC 5961 3.2: in the window is not enough (a challenge ACK)", RST(.seq = 1001), NO, IF},
    {"one below, no FIN", RST(.seq = 999), IF, IF},
    {"Linux: one below is the FIN's number", RST(.rcv_state = FS_CLOSE_WAIT, .seq = 999), YES, YES},
    {"the same", RST(.rcv_state = FS_LAST_ACK, .seq = 999), YES, YES},
    {"the same", RST(.rcv_state = FS_CLOSING, .seq = 999), YES, YES},
    {"our FIN, not its", RST(.rcv_state = FS_FIN_WAIT_2, .rcv_ack = 1000, .seq = 999), NO, IF},
    {"Linux: the end of what it has beyond a hole",
     RST(.seq = 1100, .holes = true, .held_max = 1100), YES, YES},
    {"the end of all, where it remembers less",
     RST(.seq = 1150, .holes = true, .held_max = 1100, .held_end = 1150), IF, IF},
    {"the same, and its sender stands there",
     RST(.seq = 1200, .holes = true, .held_max = 1100, .held_end = 1200), IF, IF},
    {"inside of that", RST(.seq = 1050, .holes = true, .held_max = 1100), NO, IF},
    {"where its sender stands, beyond that", RST(.seq = 1200, .holes = true, .held_max = 1100), NO,
     YES},
    {"the receiver's last ACK: bytes may be lost behind us", RST(.seq = 900), IF, IF},
    {"tolerant: one below the lowest (the FIN's number again)", RST(.seq = 899), NO, IF},
    {"tolerant: two below the lowest", RST(.seq = 898), NO, NO},
    {"tolerant: where the peer stands", RST(.seq = 1200), NO, YES},
    {"tolerant: last in the window", RST(.seq = 1299), NO, IF},
    {"tolerant: first beyond the window", RST(.seq = 1300), NO, NO},
    {"blind: seq 0", RST(.seq = 0), NO, NO},
    {"blind: far off", RST(.seq = 0x80000000u), NO, NO},
    {"half the range away", RST(.rcv_ack = 1000, .seq = 1000 + 0x80000000u), NO, NO},
    {"an edge passed by bytes that we believe", RST(.seq = 1201, .edge = 1100), NO, NO},
    {"ACK beyond RCV.NXT: our tap missed bytes", RST(.rcv_ack = 1100, .seq = 1100), NO, YES},
    {"the lowest may be what the peer sent", RST(.peer_max = 800, .seq = 799), NO, IF},
    {"the lowest of three", RST(.rcv_ack = 700, .peer_max = 800, .seq = 699), NO, IF},
    {"the lowest may be RCV.NXT", RST(.rcv_ack = 1000, .seq = 998), NO, NO},
    {"across the wrap",
     RST(.rcv_nxt = 5, .rcv_ack = 0xfffffff0u, .peer_max = 50, .seq = 0xffffffffu), IF, IF},
    {"across the wrap, exact", RST(.rcv_nxt = 0, .rcv_ack = 0xfffffff0u, .peer_max = 50, .seq = 0),
     YES, YES},
    {"SYN_RCVD: as any other", RST(.rcv_state = FS_SYN_RCVD, .seq = 1000), YES, YES},
    /* RFC 9293 3.10.7.3, first and second step: SYN_SENT asks for the ACK only. */
    {"SYN_SENT: acknowledges the SYN",
     RST(.rcv_state = FS_SYN_SENT, .seq = 0, .has_ack = true, .ack = 5001), YES, YES},
    {"SYN_SENT: no ACK", RST(.rcv_state = FS_SYN_SENT, .seq = 1000, .ack = 5001), NO, NO},
    {"SYN_SENT: ACK = ISS", RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5000), NO, NO},
    {"SYN_SENT: ACK beyond SND.NXT", RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5002),
     NO, NO},
    {"SYN_SENT: ACK of the SYN without the bytes on it",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .snd_max = 5011, .ack = 5001), YES, YES},
    {"SYN_SENT: ACK of some of them",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .snd_max = 5011, .ack = 5005), YES, YES},
    {"SYN_SENT: ACK = ISS, bytes on the SYN",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .snd_max = 5011, .ack = 5000), NO, NO},
    /* RFC 7323 3.2, and what Linux asks: s-rst-evasion-linux.pcap. */
    {"SYN_SENT: echo of the SYN",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5001, .ts_known = true,
         .rcv_first = 1821165629, .rcv_tsval = 1821165629, .tsecr = 1821165629),
     YES, YES},
    {"SYN_SENT: echo of an earlier SYN, in microseconds",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5001, .ts_known = true,
         .rcv_first = 1758165629, .rcv_tsval = 1821165629, .tsecr = 1758165629),
     YES, YES},
    {"SYN_SENT: echo of before the first SYN that was seen",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5001, .ts_known = true,
         .rcv_first = 1821165629, .rcv_tsval = 1821165629, .tsecr = 1821165629 - 63000),
     NO, YES},
    {"SYN_SENT: an echo never sent",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5001, .ts_known = true,
         .rcv_first = 1821165629, .rcv_tsval = 1821165629, .tsecr = 100),
     NO, NO},
    {"SYN_SENT: an echo of the future",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5001, .ts_known = true,
         .rcv_first = 1821165629, .rcv_tsval = 1821165629, .tsecr = 1821165630),
     NO, NO},
    {"SYN_SENT: echo 0 says nothing",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5001, .ts_known = true,
         .rcv_tsval = 1821165629, .tsecr = 0),
     YES, YES},
    {"SYN_SENT: no timestamps on either",
     RST(.rcv_state = FS_SYN_SENT, .has_ack = true, .ack = 5001, .rcv_tsval = 7, .tsecr = 100), YES,
     YES},
    {"established: the echo is not asked (RFC 7323 5.2)",
     RST(.seq = 1000, .ts_known = true, .rcv_tsval = 1821165629, .tsecr = 100), YES, YES},
    /* RFC 9293 3.10.7.3, first step: reset, and the sender stays in SYN_SENT. */
    {"an answer to what was not believed",
     RST(.rcv_state = FS_SYN_RCVD, .seq = 1000, .answer = true), NO, NO},
};

static void rst_row_by_row(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rst_rows); i++)
        for (int strict = 0; strict < 2; strict++) {
            const struct rst_row *r = &rst_rows[i];
            struct rst_query q = r->q;
            int want = strict ? r->strict : r->tolerant, got;

            q.strict = strict;
            got = (int)rst_check(&q);
            if (got != want)
                fail_msg("row %u (%s), %s: %d, not %d", i, r->rule, strict ? "strict" : "tolerant",
                         got, want);
        }
}

/* -- repetitions -- */

/* The sender has sent up to 1000, the receiver has acknowledged 800 and has room. */
#define RX(...)                                                                                    \
    {                                                                                              \
        .tflags = TH_ACK_, .snd_max = 1000, .rcv_ack = 800, .rcv_ack_known = true, __VA_ARGS__     \
    }

struct rx_row {
    const char *rule;
    struct rexmit_query q;
    enum rexmit_class want;
};

static const struct rx_row rx_rows[] = {
    {"new bytes", RX(.seq = 1000, .plen = 100), RX_NONE},
    {"bare ACK", RX(.seq = 1000), RX_NONE},
    {"bytes that fill a hole are new", RX(.seq = 900, .plen = 50), RX_NONE},
    {"not yet acknowledged", RX(.seq = 900, .plen = 100, .dup = 100), RX_LOST},
    {"acknowledged in part", RX(.seq = 750, .plen = 100, .dup = 100), RX_LOST},
    {"acknowledged in part, new in part", RX(.seq = 950, .plen = 100, .dup = 50), RX_PARTIAL},
    {"all acknowledged", RX(.seq = 700, .plen = 100, .dup = 100), RX_SPURIOUS},
    {"acknowledged selectively (RFC 2018)",
     RX(.seq = 900, .plen = 100, .dup = 100, .rcv_sacked = true), RX_SPURIOUS},
    {"no ACK seen: lost", RX(.seq = 700, .plen = 100, .dup = 100, .rcv_ack_known = false), RX_LOST},
    {"all acknowledged, window closed since",
     RX(.seq = 700, .plen = 100, .dup = 100, .rcv_shut = true), RX_SPURIOUS},
    {"across the wrap", RX(.seq = 0xfffffff0u, .plen = 0x20, .dup = 0x20, .rcv_ack = 0x10),
     RX_SPURIOUS},
    {"SYN again", RX(.tflags = TH_SYN_, .seq = 0, .syn_again = true), RX_SYN},
    {"SYN again with the same bytes on it (fast open)",
     RX(.tflags = TH_SYN_, .syn_again = true, .plen = 9, .dup = 9), RX_SYN},
    /* RFC 9293 3.8.4: SEG.SEQ = SND.NXT - 1, with or without one byte of garbage. */
    {"keep-alive without a byte", RX(.seq = 999, .rcv_ack = 1000), RX_KEEPALIVE},
    {"keep-alive with a byte", RX(.seq = 999, .plen = 1, .dup = 1, .rcv_ack = 1000), RX_KEEPALIVE},
    {"keep-alive while the window is closed", RX(.seq = 999, .rcv_ack = 1000, .rcv_shut = true),
     RX_KEEPALIVE},
    {"two bytes are no keep-alive", RX(.seq = 999, .plen = 2, .dup = 1, .rcv_ack = 1000),
     RX_PARTIAL},
    {"the last byte, not acknowledged: lost", RX(.seq = 999, .plen = 1, .dup = 1), RX_LOST},
    {"not the last byte", RX(.seq = 998, .rcv_ack = 1000), RX_NONE},
    {"a FIN there is a FIN",
     RX(.tflags = TH_FIN_ | TH_ACK_, .seq = 999, .rcv_ack = 1000, .fin_again = true), RX_FIN},
    {"a RST there is none", RX(.tflags = TH_RST_, .seq = 999, .rcv_ack = 1000), RX_NONE},
    /* RFC 9293 3.8.6.1: the first byte beyond the window, until it opens. */
    {"first probe: nothing repeated", RX(.seq = 1000, .plen = 1, .rcv_ack = 1000, .rcv_shut = true),
     RX_NONE},
    {"probe again",
     RX(.seq = 1000, .snd_max = 1001, .plen = 1, .dup = 1, .rcv_ack = 1000, .rcv_shut = true),
     RX_PROBE},
    {"one byte into an open window",
     RX(.seq = 1000, .snd_max = 1001, .plen = 1, .dup = 1, .rcv_ack = 1000), RX_LOST},
    {"FIN alone", RX(.tflags = TH_FIN_ | TH_ACK_, .seq = 999, .fin_again = true), RX_FIN},
    {"FIN with its bytes: they decide",
     RX(.tflags = TH_FIN_ | TH_ACK_, .seq = 899, .plen = 100, .dup = 100, .fin_again = true),
     RX_LOST},
    {"first FIN", RX(.tflags = TH_FIN_ | TH_ACK_, .seq = 1000), RX_NONE},
};

static void repetition_row_by_row(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rx_rows); i++)
        if (rexmit_classify(&rx_rows[i].q) != rx_rows[i].want)
            fail_msg("row %u (%s): %d, not %d", i, rx_rows[i].rule, rexmit_classify(&rx_rows[i].q),
                     rx_rows[i].want);
}

/* -- timestamps and windows -- */

static void paws(void **state)
{
    /* RFC 7323 5.3: R1 refuses SEG.TSval < TS.Recent; Linux gives it one tick (TCP_PAWS_WINDOW) */
    assert_false(paws_old(100, 100, 0));
    assert_false(paws_old(101, 100, 0));
    assert_false(paws_old(99, 100, 0));
    assert_true(paws_old(98, 100, 0));
    assert_false(paws_old(0x90000000u, 0, 0)); /* Linux: 0 is none */
    assert_false(paws_old(5, 0xfffffff0u, 0));
    assert_true(paws_old(0xfffffff0u, 5, 0));
    /* 5.5: after long silence TS.Recent is no longer valid; Linux: 2147 s (TCP_PAWS_WRAP) */
    assert_true(paws_old(98, 100, 2147 * NSEC_PER_SEC - 1));
    assert_false(paws_old(98, 100, 2147 * NSEC_PER_SEC));
    assert_false(paws_old(98, 100, UINT64_MAX));
}

static void old_acks(void **state)
{
    /* RFC 5961 5.2: from SND.UNA - MAX.SND.WND on */
    assert_false(ack_too_old(4000, 5000, 1000, 4999));
    assert_true(ack_too_old(3999, 5000, 1000, 4999));
    assert_false(ack_too_old(6000, 5000, 1000, 4999));
    /* Linux: never below what was sent */
    assert_false(ack_too_old(4990, 5000, 1000, 10));
    assert_true(ack_too_old(4989, 5000, 1000, 10));
    /* across the wrap */
    assert_false(ack_too_old(0xfffffff0u, 10, 26, UINT32_MAX));
    assert_true(ack_too_old(0xffffffefu, 10, 26, UINT32_MAX));
    /* more than 4 GiB */
    assert_false(ack_too_old(4000, 5000, 1000, (UINT64_C(1) << 32) + 10));
    assert_true(ack_too_old(3999, 5000, 1000, (UINT64_C(1) << 32) + 10));
}

static void windows(void **state)
{
    assert_int_equal(tcp_window(100, 0), 100);
    assert_int_equal(tcp_window(100, 7), 12800);
    assert_int_equal(tcp_window(65535, 14), 65535u << 14); /* RFC 7323 2.3 */
    assert_int_equal(tcp_window(65535, 15), 65535u << 14); /* unknown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rst_row_by_row), cmocka_unit_test(repetition_row_by_row),
        cmocka_unit_test(paws),           cmocka_unit_test(old_acks),
        cmocka_unit_test(windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
