// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_monfilter.c: BPF expressions on frames of every link type.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/errtext.h"
#include "frames.h"
#include "mon/mon.h"

static struct mon_filter f;
static struct frame_buf b;

static void set(const char *expr, int linktype)
{
    mon_filter_free(&f);
    assert_int_equal(mon_filter_set(&f, expr, linktype), 0);
}

static bool match(struct frame fr)
{
    const struct pktbuf *p = frame_tcp(&b, fr);

    return mon_filter_match(&f, p->linktype, p->data, p->len, p->wire_len);
}

static int down(void **state)
{
    mon_filter_free(&f);
    return 0;
}

static void test_none(void **state)
{
    set(NULL, DLT_RAW);
    assert_true(match((struct frame){.flags = "S"}));
    assert_true(mon_filter_match(&f, 12345, NULL, 0, 0));
    set("", DLT_RAW); /* selects everything */
    assert_true(match((struct frame){.flags = "S"}));
}

static void test_match(void **state)
{
    set("tcp dst port 80 and tcp[tcpflags] & tcp-syn != 0", DLT_EN10MB);
    assert_true(match((struct frame){.flags = "S"}));
    assert_false(match((struct frame){.flags = "."}));
    assert_false(match((struct frame){.flags = "S", .dport = 81}));
    set("ip6 and port 80", DLT_EN10MB);
    assert_true(match((struct frame){.v6 = true}));
    assert_false(match((struct frame){0}));
    set("vlan 100", DLT_EN10MB);
    assert_true(match((struct frame){.vlan = {100}}));
    assert_false(match((struct frame){.vlan = {101}}));
    set("greater 1000", DLT_EN10MB); /* length on the wire, however little was captured */
    assert_true(match((struct frame){.plen = 1000, .snap = 60}));
    assert_false(match((struct frame){.plen = 900}));
}

/* One expression on frames of several kinds, more kinds than are kept compiled. */
static void test_linktypes(void **state)
{
    static const enum frame_link link[] = {FRAME_ETHER, FRAME_SLL,  FRAME_RAW, FRAME_IP4,
                                           FRAME_NULL,  FRAME_LOOP, FRAME_SLL2};

    set("host 10.0.0.9", DLT_EN10MB);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < ARRAY_SIZE(link); i++) {
            assert_true(match((struct frame){.link = link[i], .src = "10.0.0.9"}));
            assert_false(match((struct frame){.link = link[i]}));
        }
    assert_int_equal(f.n, MON_FILTERS);
}

/* Raw IP has three numbers. */
static void test_raw_numbers(void **state)
{
    const struct pktbuf *p = frame_tcp(&b, (struct frame){.link = FRAME_RAW});

    set("tcp port 80", DLT_RAW);
    assert_true(mon_filter_match(&f, 12, p->data, p->len, p->len));
    assert_true(mon_filter_match(&f, 14, p->data, p->len, p->len));
    assert_true(mon_filter_match(&f, 101, p->data, p->len, p->len));
}

/* Where an expression makes no sense nothing matches; elsewhere it goes on to. */
static void test_bad_there(void **state)
{
    set("ether[0] & 1 = 0 and ether host 02:00:00:00:00:01", DLT_EN10MB);
    assert_false(match((struct frame){.link = FRAME_RAW}));
    assert_false(match((struct frame){.link = FRAME_RAW}));
    assert_int_equal(f.n, 2);
    set("ether proto 0x0800", DLT_EN10MB);
    assert_true(match((struct frame){0}));
    assert_false(mon_filter_match(&f, 9999, b.pb.data, b.pb.len, b.pb.len));
    assert_true(match((struct frame){0}));
}

static void test_errors(void **state)
{
    errno = 0;
    assert_int_equal(mon_filter_set(&f, "tcp port port", DLT_RAW), -1);
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "tcp port port"));
    assert_non_null(strstr(err_text(), "syntax error"));
    assert_null(f.expr);
    errno = 0;
    assert_int_equal(mon_filter_set(&f, "ether host 02:00:00:00:00:01", DLT_RAW), -1);
    assert_int_equal(errno, EINVAL);
}

static void test_short_frames(void **state)
{
    const struct pktbuf *p = frame_tcp(&b, (struct frame){0});

    set("tcp port 80", DLT_EN10MB);
    for (uint32_t n = 0; n <= p->len; n++)
        assert_int_equal(mon_filter_match(&f, p->linktype, p->data, n, p->len), n >= 38);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_teardown(t, down)
    const struct CMUnitTest tests[] = {
        TEST(test_none),      TEST(test_match),  TEST(test_linktypes),    TEST(test_raw_numbers),
        TEST(test_bad_there), TEST(test_errors), TEST(test_short_frames),
    };

    return cmocka_run_group_tests_name("monfilter", tests, NULL, NULL);
}
