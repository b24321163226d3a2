// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_related.c: ICMP errors about segments whose sequence numbers were changed on their way, because an
 * application changed the length of the stream: the quotation has the number that its sender knows. Errors about
 * others pass as they came. (Addresses and ports: tests/oracle/test_related.py.)
 */
#include "pushfix.h"

#include "base/inetsum.h"
#include "tcp/seq.h"

#define ROUTER "203.0.113.5"
#define QUOTED (20 + 8) /* IP header, ports and sequence number */

enum { ETHER = 14, IP = ETHER, ICMP = ETHER + 20, QUOTE = ICMP + 8, SEQ = QUOTE + 20 + 4 };

static struct frame_buf icmp_buf;
static struct mtcp_frame icmp;
static uint8_t came[200];

/* error: "needs fragmentation", about a frame of the last batch as it left. */
static void error(int i, const char *to)
{
    static uint8_t m[8 + QUOTED];
    uint16_t sum;
    struct pktbuf *pb;

    memset(m, 0, sizeof(m));
    m[0] = 3;
    m[1] = 4;
    m[6] = 1200 >> 8;
    m[7] = 1200 & 255;
    memcpy(m + 8, (const uint8_t *)fix.last[i].out + IP, QUOTED);
    sum = csum_fold(csum_add(0, m, sizeof(m)));
    memcpy(m + 2, &sum, 2);
    pb = frame_ip(
        &icmp_buf,
        (struct frame){.src = ROUTER, .dst = to, .proto = 1, .payload = m, .plen = sizeof(m)});
    assert_true(pb->len <= sizeof(came));
    memcpy(came, pb->data, pb->len);
    fix.now += FIX_MS;
    icmp = (struct mtcp_frame){.data = pb->data,
                               .len = pb->len,
                               .wire_len = pb->wire_len,
                               .ts_ns = fix.now,
                               .linktype = pb->linktype};
    assert_int_equal(mtcp_push(fix.ctx, &icmp, 1), 1);
}

static uint32_t quoted_seq(void)
{
    uint32_t n;

    memcpy(&n, (const uint8_t *)icmp.out + SEQ, 4);
    return ntohl(n);
}

static bool sums_right(void)
{
    const uint8_t *p = icmp.out;

    return csum_fold(csum_add(0, p + IP, 20)) == 0 &&
           csum_fold(csum_add(0, p + ICMP, 8 + QUOTED)) == 0;
}

static void must_be_as_it_came(void)
{
    assert_int_equal(icmp.out_len, ETHER + 20 + 8 + QUOTED);
    assert_memory_equal(icmp.out, came, icmp.out_len);
}

static uint64_t related(void)
{
    struct mos_stat v[400];
    socklen_t len = sizeof(v);

    assert_int_equal(mtcp_getsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_STATS, v, &len), 0);
    for (size_t i = 0; i < len / sizeof(*v); i++)
        if (strcmp(v[i].name, "icmp-related") == 0)
            return v[i].value;
    fail_msg("no such counter");
    return 0;
}

/* longer: what the client sends first gets five bytes in front. */
static void longer(int sock, int side, event_t ev)
{
    struct pkt_info p;

    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &p), 0);
    if (side == MOS_SIDE_CLI && p.payloadlen && p.offset == 0)
        assert_int_equal(mtcp_setlastpkt(fix.ctx, sock, side, 0, (byte *)(uintptr_t) "12345", 5,
                                         MOS_INSERT | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM),
                         0);
}

static void numbers(void **state)
{
    fix.act = longer;
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "first"));
    fix_push(fix_ack(10));
    fix_push(fix_cli(5, "second"));
    error(0, "10.0.0.1");
    assert_int_equal(quoted_seq(), FIX_CLI + 1 + 5);
    assert_true(sums_right());
    assert_int_equal(related(), 1);
    assert_memory_equal((const uint8_t *)icmp.out + IP + 12, came + IP + 12, 8); /* addresses */
    fix_push(fix_svr(0, 16, "answer")); /* nothing of that is changed */
    error(0, "10.0.0.2");
    must_be_as_it_came();
    assert_int_equal(related(), 1);
}

static void repeated(void **state)
{
    fix.act = longer;
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "first"));
    error(0, "10.0.0.1"); /* of the one that grew: it begins where it began */
    assert_int_equal(quoted_seq(), FIX_CLI + 1);
    assert_true(sums_right());
}

/* shorter: what begins with "del" loses that. */
static void shorter(int sock, int side, event_t ev)
{
    struct pkt_info p;

    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &p), 0);
    if (p.payloadlen > 3 && memcmp(p.payload, "del", 3) == 0)
        assert_int_equal(mtcp_setlastpkt(fix.ctx, sock, side, 0, NULL, 3,
                                         MOS_CHOMP | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM),
                         0);
}

static void deleted_in_front(void **state)
{
    fix.act = shorter;
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "delfirst"));
    error(0, "10.0.0.1");
    assert_int_equal(quoted_seq(), FIX_CLI + 1);
    fix_push(fix_cli(8, "delsecond"));
    error(0, "10.0.0.1");
    assert_int_equal(quoted_seq(), FIX_CLI + 1 + 8);
    assert_true(sums_right());
}

static void never_sent(void **state)
{
    fix.act = longer;
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "first"));
    ((uint8_t *)(uintptr_t)fix.last[0].out)[IP + 20 + 4] ^= 0x40; /* its number */
    error(0, "10.0.0.1");
    must_be_as_it_came();
    assert_int_equal(related(), 0);
}

/* grow: five bytes in front of everything. */
static void grow(int sock, int side, event_t ev)
{
    struct pkt_info p;

    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &p), 0);
    if (side == MOS_SIDE_CLI && p.payloadlen)
        mtcp_setlastpkt(fix.ctx, sock, side, 0, (byte *)(uintptr_t) "12345", 5,
                        MOS_INSERT | MOS_TCP_PAYLOAD | MOS_UPDATE_TCP_CHKSUM);
}

/* ip_len: of what has left in the place of the last frame. */
static int ip_len(void)
{
    const uint8_t *p = fix.last[0].out;

    return p[IP + 2] << 8 | p[IP + 3];
}

static void grown_are_cut(void **state)
{
    static char big[1461];

    memset(big, 'x', sizeof(big) - 1);
    fix.act = grow;
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, big));
    assert_int_equal(ip_len(), 1500);
    error(0, "10.0.0.1"); /* 1200 */
    assert_int_equal(related(), 1);
    big[1160] = 0; /* its sender has heard it */
    fix_push(fix_cli(1460, big));
    assert_int_equal(ip_len(), 1200);
    big[500] = 0;
    fix_push(fix_cli(2620, big));
    assert_int_equal(ip_len(), 545);
}

static void others(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    fix_push(fix_cli(0, "first"));
    error(0, "10.0.0.1");
    must_be_as_it_came();
    assert_int_equal(related(), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers, fix_up, fix_down),
        cmocka_unit_test_setup_teardown(repeated, fix_up, fix_down),
        cmocka_unit_test_setup_teardown(deleted_in_front, fix_up, fix_down),
        cmocka_unit_test_setup_teardown(never_sent, fix_up, fix_down),
        cmocka_unit_test_setup_teardown(grown_are_cut, fix_up, fix_down),
        cmocka_unit_test_setup_teardown(others, fix_up, fix_down),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
