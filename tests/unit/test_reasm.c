// SPDX-License-Identifier: BSD-2-Clause
/* Segments to streams: order, overlaps, both policies, cut tails, holes and gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "reasm_fix.h"

static void in_order_unwanted_takes_nothing(void **state)
{
    struct fix f;

    setup(&f, 0);
    f.acct.limit = 1;
    assert_int_equal(put_cut(&f, 0, "abcdef", 0, false), 6);
    assert_int_equal(put_cut(&f, 6, "ghi", 0, false), 3);
    assert_int_equal(put_cut(&f, 0, "abcdef", 0, false), 0); /* again */
    assert_int_equal(put_cut(&f, 7, "hi", 0, true), 0);      /* again, wanted by now */
    assert_int_equal(put_cut(&f, 7, "hijk", 0, false), 2);   /* partly */
    assert_int_equal(put_cut(&f, 11, "", 0, true), 0);
    assert_int_equal(put_cut(&f, 20, "", 0, true), 0);
    assert_int_equal(f.sd.next, 11);
    assert_int_equal(f.sd.strm, 0);
    assert_int_equal(objects(&f), 0);
    assert_int_equal(f.acct.allocs, 0);
    assert_int_equal(f.e.failed, 0);
    teardown(&f);
}

static void get_put_drop(void **state)
{
    struct strm *s;
    struct fix f;

    setup(&f, 0);
    f.sd.next = 77;
    strm_put(&f.e, &f.sd); /* none: nothing happens */
    strm_drop(&f.e, &f.sd);
    s = strm_get(&f.e, &f.sd);
    assert_non_null(s);
    assert_ptr_equal(strm_get(&f.e, &f.sd), s);
    assert_int_equal(s->limit, 1000);
    assert_int_equal(s->ooo_limit, 500);
    assert_int_equal(s->readable, 77);
    assert_int_equal(s->read_to, 77);
    assert_int_equal(s->head | s->tail | s->ooo.n | s->gap.n | s->syn_len, 0);
    strm_put(&f.e, &f.sd);
    assert_int_equal(f.sd.strm, 0);
    f.acct.limit = 1;
    f.e.strms.max = 1;
    assert_int_not_equal(pool_alloc(&f.e.strms), 0);
    assert_null(strm_get(&f.e, &f.sd));
    assert_int_equal(f.sd.strm, 0);
    pool_free(&f.e.strms, 1);
    teardown(&f);
}

static void put_keeps_what_is_needed(void **state)
{
    struct strm *s;
    struct fix f;

    setup(&f, 0);
    put(&f, 0, "ab");
    strm_put(&f.e, &f.sd);
    assert_int_not_equal(f.sd.strm, 0); /* bytes */
    strm_release(&f.e, &f.sd, 2);
    strm_put(&f.e, &f.sd);
    assert_int_equal(f.sd.strm, 0);
    put_cut(&f, 5, "x", 0, false);
    strm_put(&f.e, &f.sd);
    assert_int_not_equal(f.sd.strm, 0); /* an interval */
    put_cut(&f, 2, "cde", 0, false);
    strm_put(&f.e, &f.sd);
    assert_int_equal(f.sd.strm, 0);
    s = strm_get(&f.e, &f.sd);
    s->sized = true; /* a buffer size of its own */
    strm_put(&f.e, &f.sd);
    assert_int_not_equal(f.sd.strm, 0);
    s->sized = false;
    strm_skip(&f.e, &f.sd, 8);
    strm_put(&f.e, &f.sd);
    assert_int_not_equal(f.sd.strm, 0); /* a gap */
    teardown(&f);

    setup(&f, 0); /* a hole that only an ACK told of is waited for */
    f.sd.next = 5;
    s = strm_get(&f.e, &f.sd);
    s->hole_off = 5;
    s->hole_since = 1;
    strm_put(&f.e, &f.sd);
    assert_int_not_equal(f.sd.strm, 0);
    put_cut(&f, 5, "x", 0, false);
    strm_put(&f.e, &f.sd);
    assert_int_equal(f.sd.strm, 0);
    teardown(&f);

    setup(&f, SIDE_LAST);
    put(&f, 0, "ab");
    strm_clear(&f.e, &f.sd);
    strm_put(&f.e, &f.sd);
    assert_int_not_equal(f.sd.strm, 0); /* not handed out yet */
    assert_true(strm_ack(&f.e, &f.sd, 2));
    strm_put(&f.e, &f.sd);
    assert_int_equal(f.sd.strm, 0);
    teardown(&f);
}

static void in_order(void **state)
{
    struct fix f;

    setup(&f, 0);
    assert_int_equal(put(&f, 0, "abc"), 3);
    assert_int_equal(put(&f, 3, "def"), 3);
    assert_int_equal(f.sd.next, 6);
    assert_int_equal(strm_end(&f.e, &f.sd), 6);
    reads(&f, 0, "abcdef");
    reads(&f, 4, "ef");
    assert_int_equal(strm_held(&f.e, &f.sd), 6);
    assert_int_equal(blkpool_used(&f.e.blks), 0);
    teardown(&f);
}

static void out_of_order(void **state)
{
    struct fix f;

    setup(&f, 0);
    assert_int_equal(put(&f, 6, "ghi"), 3);
    assert_int_equal(put(&f, 12, "mno"), 3);
    assert_int_equal(put(&f, 3, "def"), 3);
    assert_int_equal(f.sd.next, 0);
    assert_int_equal(strm_at(&f.e, f.sd.strm)->ooo.n, 2);
    assert_int_equal(strm_at(&f.e, f.sd.strm)->ooo_bytes, 9);
    assert_int_equal(strm_held(&f.e, &f.sd), 0);
    assert_int_equal(put(&f, 0, "abc"), 3);
    assert_int_equal(f.sd.next, 9);
    reads(&f, 0, "abcdefghi");
    assert_int_equal(put(&f, 9, "jkl"), 3);
    assert_int_equal(f.sd.next, 15);
    assert_int_equal(strm_at(&f.e, f.sd.strm)->ooo_bytes, 0);
    assert_int_equal(blkpool_used(&f.e.blks), 0);
    reads(&f, 0, "abcdefghijklmno");
    teardown(&f);
}

static uint64_t predict(const struct fix *f, uint64_t off, uint32_t len)
{
    return strm_predict(&f->e, &f->sd, off, len);
}

static void predicted(void **state)
{
    struct fix f;

    setup(&f, 0);
    f.sd.next = 10;
    assert_int_equal(predict(&f, 0, 5), 10); /* no stream */
    assert_int_equal(predict(&f, 0, 10), 10);
    assert_int_equal(predict(&f, 8, 4), 12);
    assert_int_equal(predict(&f, 11, 4), 10);
    put(&f, 15, "pq");
    put(&f, 20, "uv");
    assert_int_equal(predict(&f, 10, 4), 14);
    assert_int_equal(predict(&f, 10, 5), 17); /* touches the first */
    assert_int_equal(predict(&f, 10, 9), 19); /* swallows it */
    assert_int_equal(predict(&f, 10, 10), 22);
    assert_int_equal(predict(&f, 10, 30), 40);
    assert_int_equal(predict(&f, 15, 2), 10);
    assert_int_equal(f.sd.next, 10);
    teardown(&f);
}

static void in_order_over_several_holes(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 2, "CD");
    put(&f, 6, "GH");
    put(&f, 10, "KL");
    assert_int_equal(put(&f, 0, "abcdefghijk"), 2 + 2 + 2);
    assert_int_equal(f.sd.next, 12);
    reads(&f, 0, "abCDefGHijKL"); /* the first copy stays */
    teardown(&f);
}

static void first_keeps_the_first(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 4, "eeee");
    assert_int_equal(put(&f, 2, "XXXXXXXX"), 4); /* 2-4 and 8-10 */
    reads(&f, 0, "");
    put(&f, 0, "aa");
    reads(&f, 0, "aaXXeeeeXX");
    assert_int_equal(put(&f, 0, "zzzzzzzzzzzz"), 2);
    reads(&f, 0, "aaXXeeeeXXzz");
    assert_int_equal(put(&f, 3, "qqq"), 0);
    reads(&f, 0, "aaXXeeeeXXzz");
    teardown(&f);
}

static void last_replaces_what_is_not_read(void **state)
{
    struct fix f;

    setup(&f, SIDE_LAST);
    put(&f, 0, "abcdef");
    put(&f, 8, "ij");
    assert_int_equal(put(&f, 2, "CD"), 0);
    assert_int_equal(put(&f, 5, "FGHIJK"), 3); /* 6-8 and 10 */
    assert_int_equal(f.sd.next, 11);
    reads(&f, 0, ""); /* nothing acknowledged */
    assert_true(strm_ack(&f.e, &f.sd, 11));
    reads(&f, 0, "abCDeFGHIJK");
    strm_at(&f.e, f.sd.strm)->read_to = 4;
    assert_int_equal(put(&f, 0, "1234567"), 0);
    reads(&f, 0, "abCD567HIJK");
    assert_true(strm_own(&f.e, &f.sd) == 0);
    put(&f, 6, "x");
    reads(&f, 0, "abCD56xHIJK"); /* an owned chunk with a hole cut in it */
    teardown(&f);
}

static void last_hands_out_what_is_acknowledged(void **state)
{
    struct fix f;

    setup(&f, SIDE_LAST);
    assert_false(strm_ack(&f.e, &f.sd, 3)); /* no stream */
    put(&f, 0, "abcdef");
    assert_int_equal(strm_end(&f.e, &f.sd), 0);
    assert_true(strm_ack(&f.e, &f.sd, 3));
    assert_int_equal(strm_end(&f.e, &f.sd), 3);
    assert_false(strm_ack(&f.e, &f.sd, 3));
    assert_false(strm_ack(&f.e, &f.sd, 1));
    reads(&f, 0, "abc");
    assert_true(strm_ack(&f.e, &f.sd, 8)); /* beyond what we have */
    assert_int_equal(strm_end(&f.e, &f.sd), 6);
    put(&f, 6, "ghij"); /* acknowledged up to 8 already */
    assert_int_equal(strm_end(&f.e, &f.sd), 8);
    teardown(&f);
}

static void last_never_fills_a_gap(void **state)
{
    struct fix f;

    setup(&f, SIDE_LAST);
    put(&f, 0, "ab");
    assert_int_equal(strm_skip(&f.e, &f.sd, 4), 2);
    put(&f, 4, "ef");
    assert_int_equal(put(&f, 0, "ABCDEF"), 0);
    strm_ack(&f.e, &f.sd, 6);
    reads(&f, 0, "AB");
    assert_int_equal(strm_lost(&f.e, &f.sd, 2), 2);
    reads(&f, 4, "EF");
    teardown(&f);
}

/* More gaps than are remembered: the forgotten ones stay unfilled too. */
static void last_never_fills_a_forgotten_gap(void **state)
{
    char all[4 * STRM_GAPS + 13];
    struct fix f;

    setup(&f, SIDE_LAST);
    for (uint64_t i = 0; i < STRM_GAPS + 3; i++) {
        put(&f, 3 * i, "x");
        assert_int_equal(strm_skip(&f.e, &f.sd, 3 * i + 3), 2);
    }
    assert_int_equal(strm_at(&f.e, f.sd.strm)->gap.n, STRM_GAPS);
    memset(all, 'L', sizeof(all));
    all[3 * (STRM_GAPS + 3)] = 0;
    assert_int_equal(put(&f, 0, all), 0);
    for (uint64_t i = 0; i < STRM_GAPS + 3; i++) {
        assert_int_equal(strm_lost(&f.e, &f.sd, 3 * i), 0);
        assert_int_equal(strm_lost(&f.e, &f.sd, 3 * i + 1), 2);
    }
    teardown(&f);
}

static void last_unwanted_changes_nothing(void **state)
{
    struct fix f;

    setup(&f, SIDE_LAST);
    put(&f, 0, "abc");
    assert_int_equal(put_cut(&f, 0, "xyz1", 0, false), 1);
    strm_ack(&f.e, &f.sd, 4);
    reads(&f, 0, "abc");
    assert_int_equal(strm_lost(&f.e, &f.sd, 3), 1);
    teardown(&f);
}

static void ack_moves_nothing_with_first(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 0, "abc");
    assert_int_equal(strm_end(&f.e, &f.sd), 3);
    assert_false(strm_ack(&f.e, &f.sd, 2)); /* nothing became readable by it */
    assert_int_equal(strm_at(&f.e, f.sd.strm)->acked, 2);
    teardown(&f);
}

static void cut_tail_in_order(void **state)
{
    struct fix f;

    setup(&f, 0);
    assert_int_equal(put_cut(&f, 0, "abc", 5, true), 8);
    assert_int_equal(f.cut, 5);
    assert_int_equal(f.sd.next, 8);
    reads(&f, 0, "abc");
    assert_int_equal(strm_lost(&f.e, &f.sd, 3), 5);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 8).late, 5);
    assert_int_equal(put_cut(&f, 0, "abcdefgh", 0, true), 0); /* never filled in */
    assert_int_equal(f.cut, 0);
    assert_int_equal(strm_lost(&f.e, &f.sd, 3), 5);
    put(&f, 8, "ij");
    reads(&f, 8, "ij");
    teardown(&f);

    setup(&f, 0); /* not wanted: the gap is known all the same */
    assert_int_equal(put_cut(&f, 0, "abc", 5, false), 8);
    assert_int_equal(f.cut, 5);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 8).late, 5);
    teardown(&f);
}

static void cut_tail_counts_new_bytes_only(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 4, "ef");
    assert_int_equal(put_cut(&f, 0, "abc", 9, true), 10);
    assert_int_equal(f.cut, 1 + 6); /* d and what lies behind f */
    assert_int_equal(f.sd.next, 12);
    reads(&f, 0, "abc");
    reads(&f, 4, "ef");
    assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 12).late, 7);
    assert_int_equal(put_cut(&f, 2, "c", 5, true), 0); /* nothing new */
    assert_int_equal(f.cut, 0);
    assert_int_equal(put_cut(&f, 10, "", 5, true), 3); /* headers only */
    assert_int_equal(f.cut, 3);
    teardown(&f);
}

static void cut_tail_out_of_order(void **state)
{
    struct fix f;

    for (int last = 0; last < 2; last++) {
        setup(&f, last ? SIDE_LAST : 0);
        assert_int_equal(put_cut(&f, 2, "cd", 4, true), 6);
        assert_int_equal(f.cut, 4);
        assert_int_equal(f.sd.next, 0);
        assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 10).dup, 6);
        assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 10).late, 4);
        assert_int_equal(put_cut(&f, 0, "abXXefgh", 0, true), 2);
        assert_int_equal(f.cut, 0); /* told before */
        strm_ack(&f.e, &f.sd, 8);
        reads(&f, 0, last ? "abXX" : "abcd");
        assert_int_equal(strm_lost(&f.e, &f.sd, 4), 4);
        teardown(&f);
    }
}

static void overlap_counts(void **state)
{
    struct strm_overlap o;
    struct fix f;

    setup(&f, 0);
    f.sd.next = 100; /* no stream at all */
    o = strm_overlap(&f.e, &f.sd, 90, 20);
    assert_int_equal(o.dup, 10);
    assert_int_equal(o.late, 0);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 100, 20).dup, 0);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 100).dup, 100);
    put(&f, 110, "kkkkkkkkkk");
    assert_int_equal(strm_overlap(&f.e, &f.sd, 90, 100).dup, 20);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 100, 10).dup, 0);
    assert_int_equal(strm_skip(&f.e, &f.sd, 105), 5);
    o = strm_overlap(&f.e, &f.sd, 98, 20);
    assert_int_equal(o.dup, 7 + 8);
    assert_int_equal(o.late, 5);
    teardown(&f);
}

static int same(const struct fix *f, uint64_t off, const char *text)
{
    return strm_same(&f->e, &f->sd, off, (const uint8_t *)text, (uint32_t)strlen(text));
}

static void same_changed_unknown(void **state)
{
    struct fix f;

    setup(&f, 0);
    f.sd.next = 3;
    assert_int_equal(same(&f, 0, "abc"), 2); /* no stream */
    put(&f, 3, "def");
    put(&f, 6, "ghi");
    put(&f, 12, "mno");
    assert_int_equal(same(&f, 3, "defghi"), 0);
    assert_int_equal(same(&f, 4, "efg"), 0);
    assert_int_equal(same(&f, 4, "eXg"), 1);
    assert_int_equal(same(&f, 0, "abcdef"), 2);
    assert_int_equal(same(&f, 0, "abcdeX"), 1); /* what is held differs */
    assert_int_equal(same(&f, 8, "ijklmno"), 2);
    assert_int_equal(same(&f, 8, "ijklmnX"), 1);
    assert_int_equal(same(&f, 12, "mno"), 0); /* out of order is held too */
    assert_int_equal(same(&f, 15, "p"), 2);
    teardown(&f);
}

static void holes(void **state)
{
    uint64_t off = 0, len = 0;
    struct fix f;

    setup(&f, 0);
    f.sd.next = 10;
    assert_false(strm_hole(&f.e, &f.sd, 0, &off, &len));
    assert_false(strm_hole(&f.e, &f.sd, 10, &off, &len));
    assert_true(strm_hole(&f.e, &f.sd, 15, &off, &len)); /* known by an ACK */
    assert_int_equal(off, 10);
    assert_int_equal(len, 5);
    put(&f, 12, "m");
    put(&f, 20, "u");
    assert_true(strm_hole(&f.e, &f.sd, 0, &off, &len));
    assert_int_equal(off, 10);
    assert_int_equal(len, 2);
    assert_true(strm_hole(&f.e, &f.sd, 100, &off, &len));
    assert_int_equal(len, 2);
    teardown(&f);
}

static void skip_one_hole_at_a_time(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 0, "ab");
    put(&f, 4, "ef");
    put(&f, 8, "ij");
    assert_int_equal(strm_skip(&f.e, &f.sd, 2), 0);
    assert_int_equal(strm_skip(&f.e, &f.sd, 1), 0);
    assert_int_equal(strm_skip(&f.e, &f.sd, 3), 1); /* a part of it */
    check(&f);
    assert_int_equal(f.sd.next, 3);
    assert_int_equal(strm_skip(&f.e, &f.sd, 1000), 1);
    check(&f);
    assert_int_equal(f.sd.next, 6);
    reads(&f, 0, "ab");
    reads(&f, 4, "ef");
    assert_int_equal(strm_lost(&f.e, &f.sd, 2), 2);
    assert_int_equal(strm_at(&f.e, f.sd.strm)->gap.n, 1);
    assert_int_equal(strm_at(&f.e, f.sd.strm)->ooo_bytes, 2);
    assert_int_equal(strm_skip(&f.e, &f.sd, 1000), 2);
    assert_int_equal(strm_skip(&f.e, &f.sd, 1000), 990); /* nothing known beyond */
    assert_int_equal(f.sd.next, 1000);
    assert_int_equal(put(&f, 2, "cd"), 0); /* late */
    reads(&f, 2, "");
    teardown(&f);
}

static void skip_of_nothing_takes_nothing(void **state)
{
    struct fix f;

    setup(&f, 0);
    f.sd.next = 10;
    assert_int_equal(strm_skip(&f.e, &f.sd, 10), 0);
    assert_int_equal(objects(&f), 0);
    f.acct.limit = 1;
    assert_int_equal(strm_skip(&f.e, &f.sd, 15), 5); /* no memory: skipped all the same */
    assert_int_equal(f.sd.next, 15);
    teardown(&f);
}

static void skip_hands_out_with_last(void **state)
{
    struct fix f;

    setup(&f, SIDE_LAST);
    put(&f, 0, "ab");
    put(&f, 4, "ef");
    assert_int_equal(strm_skip(&f.e, &f.sd, 9), 2);
    assert_int_equal(f.sd.next, 6);
    assert_int_equal(strm_end(&f.e, &f.sd), 4); /* what lies beyond waits for its ACK */
    reads(&f, 0, "ab");
    teardown(&f);
}

static void gaps_are_forgotten_oldest_first(void **state)
{
    struct fix f;

    setup(&f, 0);
    for (uint64_t i = 0; i < STRM_GAPS + 2; i++) {
        assert_int_equal(strm_skip(&f.e, &f.sd, 2 * i + 1), 1);
        put_cut(&f, 2 * i + 1, "x", 0, false);
    }
    assert_int_equal(strm_at(&f.e, f.sd.strm)->gap.n, STRM_GAPS);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 4).late, 0);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 4).dup, 4);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 4, 2).late, 1);
    teardown(&f);
}

static void full_by_bytes_and_by_intervals(void **state)
{
    char text[501];
    struct fix f;

    setup(&f, 0);
    assert_false(strm_full(&f.e, &f.sd));
    memset(text, 'x', 500);
    text[500] = 0;
    put(&f, 10, text);
    assert_false(strm_full(&f.e, &f.sd)); /* exactly the limit */
    put(&f, 600, "y");
    assert_true(strm_full(&f.e, &f.sd));
    strm_skip(&f.e, &f.sd, 10);
    assert_false(strm_full(&f.e, &f.sd));
    teardown(&f);

    setup(&f, 0);
    for (uint64_t i = 0; i < STRM_IVALS; i++)
        put_cut(&f, 2 * i + 1, "z", 0, false);
    strm_at(&f.e, f.sd.strm)->ooo_limit = 1u << 20;
    assert_false(strm_full(&f.e, &f.sd));
    put_cut(&f, 2 * STRM_IVALS + 1, "z", 0, false);
    assert_true(strm_full(&f.e, &f.sd));
    teardown(&f);
}

static void high_offsets(void **state)
{
    struct fix f;

    setup(&f, 0);
    f.sd.next = (1ULL << 32) - 3;
    put(&f, (1ULL << 32) + 1, "efg");
    put(&f, (1ULL << 32) - 4, "Xabc");
    reads(&f, (1ULL << 32) - 3, "abc");
    put(&f, (1ULL << 32), "d");
    reads(&f, (1ULL << 32) - 3, "abcdefg");
    assert_int_equal(strm_overlap(&f.e, &f.sd, (1ULL << 32) + 2, 10).dup, 2);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_unwanted_takes_nothing),
        cmocka_unit_test(get_put_drop),
        cmocka_unit_test(put_keeps_what_is_needed),
        cmocka_unit_test(in_order),
        cmocka_unit_test(out_of_order),
        cmocka_unit_test(predicted),
        cmocka_unit_test(in_order_over_several_holes),
        cmocka_unit_test(first_keeps_the_first),
        cmocka_unit_test(last_replaces_what_is_not_read),
        cmocka_unit_test(last_hands_out_what_is_acknowledged),
        cmocka_unit_test(last_never_fills_a_gap),
        cmocka_unit_test(last_never_fills_a_forgotten_gap),
        cmocka_unit_test(last_unwanted_changes_nothing),
        cmocka_unit_test(ack_moves_nothing_with_first),
        cmocka_unit_test(cut_tail_in_order),
        cmocka_unit_test(cut_tail_counts_new_bytes_only),
        cmocka_unit_test(cut_tail_out_of_order),
        cmocka_unit_test(overlap_counts),
        cmocka_unit_test(same_changed_unknown),
        cmocka_unit_test(holes),
        cmocka_unit_test(skip_one_hole_at_a_time),
        cmocka_unit_test(skip_of_nothing_takes_nothing),
        cmocka_unit_test(skip_hands_out_with_last),
        cmocka_unit_test(gaps_are_forgotten_oldest_first),
        cmocka_unit_test(full_by_bytes_and_by_intervals),
        cmocka_unit_test(high_offsets),
    };
    return cmocka_run_group_tests_name("reasm", tests, NULL, NULL);
}
