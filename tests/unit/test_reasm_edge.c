// SPDX-License-Identifier: BSD-2-Clause
/* Segments to streams, the edges: bytes on a SYN (fast open), no memory, what strm_check finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "reasm_fix.h"

static void syn_taken(void **state)
{
    struct fix f;

    setup(&f, 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    check(&f);
    assert_int_equal(f.sd.next, 0);
    assert_int_equal(strm_held(&f.e, &f.sd), 0);
    reads(&f, 0, "");
    strm_own(&f.e, &f.sd);
    strm_put(&f.e, &f.sd);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, true), 5);
    check(&f);
    assert_int_equal(f.sd.next, 5);
    reads(&f, 0, "hello");
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, true), 0); /* a second SYN/ACK */
    assert_int_equal(f.sd.next, 5);
    teardown(&f);
}

static void syn_taken_in_part_or_not(void **state)
{
    struct fix f;

    setup(&f, 0);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, true), 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 2, true), 2);
    reads(&f, 0, "he");
    put(&f, 2, "LLO");
    reads(&f, 0, "heLLO");
    teardown(&f);

    setup(&f, 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 0, true), 0);
    strm_put(&f.e, &f.sd);
    assert_int_equal(objects(&f), 0);
    put(&f, 0, "HELLO");
    reads(&f, 0, "HELLO");
    teardown(&f);

    setup(&f, 0); /* taken, wanted by nobody */
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 99, false), 5);
    assert_int_equal(f.sd.next, 5);
    assert_int_equal(f.e.chunks.used, 0);
    teardown(&f);
}

static void syn_held_once(void **state)
{
    struct fix f;

    setup(&f, 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"", 0);
    assert_int_equal(f.sd.strm, 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"again", 5); /* the SYN repeated */
    check(&f);
    assert_int_equal(f.e.failed, 0); /* memory had nothing to do with it */
    strm_syn_take(&f.e, &f.sd, 5, true);
    reads(&f, 0, "hello");
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"late", 4);
    assert_int_equal(f.sd.next, 5);
    reads(&f, 0, "hello");
    teardown(&f);
}

/* The tap sees what follows before the SYN/ACK. */
static void syn_then_the_next_bytes_first(void **state)
{
    struct fix f;

    setup(&f, 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    assert_int_equal(put(&f, 5, " world"), 6);
    assert_int_equal(f.sd.next, 0);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, true), 5);
    check(&f);
    assert_int_equal(f.sd.next, 11);
    reads(&f, 0, "hello world");
    teardown(&f);
}

/* Sent again as ordinary data: the SYN's copy was not taken. */
static void syn_then_the_same_bytes_as_data(void **state)
{
    struct fix f;

    for (int last = 0; last < 2; last++) {
        setup(&f, last ? SIDE_LAST : 0);
        strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
        assert_int_equal(put(&f, 2, "LLO!"), 4);
        assert_int_equal(put(&f, 0, "HE"), 2);
        assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, true), 0);
        check(&f);
        assert_int_equal(f.sd.next, 6);
        strm_ack(&f.e, &f.sd, 6);
        reads(&f, 0, "HELLO!");
        teardown(&f);
    }
}

static void syn_then_given_up(void **state)
{
    struct fix f;

    setup(&f, 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    assert_int_equal(strm_skip(&f.e, &f.sd, 3), 3);
    check(&f);
    assert_int_equal(strm_lost(&f.e, &f.sd, 0), 3);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, true), 0);
    assert_int_equal(f.sd.next, 3);
    teardown(&f);
}

/* Switched off between SYN and SYN/ACK: the bytes go, their place in the stream does not. */
static void syn_cleared(void **state)
{
    struct fix f;

    setup(&f, 0);
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    strm_clear(&f.e, &f.sd);
    assert_int_equal(f.e.chunks.used, 0);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, false), 5);
    assert_int_equal(f.sd.next, 5);
    teardown(&f);

    setup(&f, 0); /* the same when memory ran out */
    assert_non_null(strm_get(&f.e, &f.sd));
    f.acct.limit = 1;
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"hello", 5);
    assert_int_equal(f.e.failed, 5);
    assert_int_equal(strm_syn_take(&f.e, &f.sd, 5, true), 5);
    assert_int_equal(strm_lost(&f.e, &f.sd, 0), 5);
    teardown(&f);
}

static bool doubt(struct fix *f, uint64_t off, const char *text)
{
    return strm_doubt(&f->e, &f->sd, off, (const uint8_t *)text, (uint32_t)strlen(text), false);
}

static bool doubt_ahead(struct fix *f, uint64_t off, const char *text)
{
    return strm_doubt(&f->e, &f->sd, off, (const uint8_t *)text, (uint32_t)strlen(text), true);
}

static void doubted_taken_bit_by_bit(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 0, "ab");
    assert_false(doubt(&f, 3, "x"));
    assert_true(doubt(&f, 2, "cde"));
    assert_false(doubt(&f, 2, "CDE"));
    assert_true(doubt(&f, 5, "fg"));
    check(&f);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 2, true), 0);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 4, true), 2);
    check(&f);
    strm_own(&f.e, &f.sd);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 9, true), 3);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 9, true), 0);
    reads(&f, 0, "abcdefg");
    check(&f);
    teardown(&f);
}

static void doubted_and_others_come(void **state)
{
    struct fix f;

    setup(&f, 0);
    assert_true(doubt(&f, 0, "evil"));
    put(&f, 2, "XY"); /* out of order: what lies before it waits on */
    check(&f);
    assert_false(doubt(&f, 2, "z"));
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 4, true), 2);
    reads(&f, 0, "evXY");
    assert_true(doubt(&f, 4, "evil"));
    put(&f, 4, "good");
    reads(&f, 0, "evXYgood");
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 8, true), 0);
    assert_true(doubt(&f, 8, "evil"));
    assert_int_equal(strm_skip(&f.e, &f.sd, 10), 2);
    check(&f);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 12, true), 0);
    teardown(&f);
}

static void doubted_behind_a_hole(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 0, "ab");
    assert_false(doubt_ahead(&f, 1, "B"));
    assert_true(doubt_ahead(&f, 4, "efgh"));
    assert_false(doubt_ahead(&f, 9, "j"));
    assert_false(doubt(&f, 8, "i"));
    assert_true(doubt_ahead(&f, 8, "i"));
    put(&f, 11, "l");
    check(&f);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 9, true), 0); /* not in order */
    put(&f, 2, "cd");
    check(&f);
    reads(&f, 0, "abcd");
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 7, true), 3);
    put(&f, 8, "I"); /* others come: from there on it is not taken */
    check(&f);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 9, true), 1);
    reads(&f, 4, "efghI");
    assert_true(doubt_ahead(&f, 10, "k"));
    assert_int_equal(strm_skip(&f.e, &f.sd, 10), 1);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 12, true), 1);
    check(&f);
    reads(&f, 10, "kl");
    assert_true(doubt_ahead(&f, 14, "evil"));
    assert_int_equal(strm_skip(&f.e, &f.sd, 15), 3);
    check(&f);
    assert_int_equal(strm_doubt_take(&f.e, &f.sd, 18, true), 0);
    teardown(&f);
}

static void no_memory_for_a_stream(void **state)
{
    struct fix f;

    setup(&f, 0);
    f.acct.limit = 1;
    assert_int_equal(put_cut(&f, 0, "abc", 2, true), 5); /* in order: the stream moves on */
    assert_int_equal(f.cut, 2);
    assert_int_equal(f.sd.next, 5);
    assert_int_equal(f.e.failed, 3);
    assert_int_equal(put_cut(&f, 3, "defg", 0, true), 2);
    assert_int_equal(f.e.failed, 3 + 2);
    assert_int_equal(put_cut(&f, 10, "xyz", 2, true), 0); /* else as if it had not come */
    assert_int_equal(f.cut, 0);
    assert_int_equal(f.e.failed, 3 + 2 + 3);
    assert_int_equal(put_cut(&f, 10, "xyz", 0, false), 0);
    assert_int_equal(f.e.failed, 3 + 2 + 3); /* nobody wanted it held */
    strm_syn_hold(&f.e, &f.sd, (const uint8_t *)"x", 1);
    assert_int_equal(f.sd.next, 7);
    teardown(&f);
}

static void no_memory_for_chunks(void **state)
{
    struct fix f;

    setup(&f, 0);
    put(&f, 0, "abc");
    f.e.chunks.max = 1;
    assert_int_equal(put(&f, 3, "def"), 3); /* known, not held */
    assert_int_equal(put(&f, 8, "ij"), 2);
    assert_int_equal(f.e.failed, 5);
    f.e.chunks.max = 0;
    assert_int_equal(put(&f, 3, "defgh"), 2);
    assert_int_equal(f.sd.next, 10);
    reads(&f, 0, "abc");
    assert_int_equal(strm_lost(&f.e, &f.sd, 3), 3);
    reads(&f, 6, "gh");
    assert_int_equal(strm_lost(&f.e, &f.sd, 8), 2);
    teardown(&f);
}

static void no_memory_for_intervals(void **state)
{
    struct fix f;

    for (int last = 0; last < 2; last++) {
        setup(&f, last ? SIDE_LAST : 0);
        put(&f, 2, "cd");
        put(&f, 20, "uv");
        f.acct.limit = f.acct.used;                         /* two fit into the smallest block */
        assert_int_equal(put_cut(&f, 8, "ij", 3, true), 0); /* as if it had not come */
        assert_int_equal(f.cut, 0);
        assert_int_equal(f.e.failed, 2);
        assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 20).dup, 2);
        assert_int_equal(f.e.chunks.used, 2);
        assert_int_equal(put(&f, 4, "ef"), 2); /* extending needs none */
        f.acct.limit = 0;
        assert_int_equal(put_cut(&f, 8, "ij", 3, true), 5);
        assert_int_equal(f.cut, 3);
        assert_int_equal(put(&f, 0, "ab"), 2);
        assert_int_equal(put(&f, 6, "gh"), 2);
        strm_ack(&f.e, &f.sd, 13);
        reads(&f, 0, "abcdefghij");
        assert_int_equal(f.sd.next, 13);
        assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 13).late, 3);
        teardown(&f);
    }
}

/* A gap that cannot be remembered is not filled in either. */
static void no_memory_for_gaps(void **state)
{
    struct fix f;

    setup(&f, SIDE_LAST);
    put(&f, 0, "ab");
    put(&f, 4, "ef");
    f.e.blks.cls[0].max = 1;
    assert_int_equal(strm_skip(&f.e, &f.sd, 4), 2);
    assert_int_equal(f.sd.next, 6);
    put(&f, 0, "ABCDEF");
    strm_ack(&f.e, &f.sd, 6);
    assert_int_equal(strm_lost(&f.e, &f.sd, 2), 2);
    teardown(&f);
}

static void check_finds_damage(void **state)
{
    struct strm *s;
    struct fix f;

    setup(&f, 0);
    put(&f, 0, "ab");
    put(&f, 4, "ef");
    s = strm_at(&f.e, f.sd.strm);
    assert_false(strm_check(&f.e, &f.sd, true));
    assert_string_equal(err_text(), "chunk at 0 still borrowed");
    s->ooo_bytes++;
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_string_equal(err_text(), "interval sums disagree");
    s->ooo_bytes--;
    f.sd.next = 4;
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_string_equal(err_text(), "interval at 4 touches its neighbour");
    f.sd.next = 2;
    chunk_at(&f.e, s->tail)->off = 1;
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_string_equal(err_text(), "chunk at 1 overlaps or is empty");
    chunk_at(&f.e, s->tail)->off = 7;
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_string_equal(err_text(), "chunk at 7 holds bytes never seen");
    chunk_at(&f.e, s->tail)->off = 4;
    s->tail = s->head;
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_string_equal(err_text(), "tail is not the last chunk");
    s->tail = chunk_at(&f.e, s->head)->next;
    for (uint64_t i = 0; i <= STRM_GAPS; i++)
        ival_add(&f.e, &s->gap, 2 * i, 2 * i + 1);
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_string_equal(err_text(), "too many gaps");
    ival_free_all(&f.e, &s->gap);
    s->below = s->tail;
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_string_equal(err_text(), "region 0 of 1 is wrong");
    s->below = s->head;
    s->above_mem++;
    assert_false(strm_check(&f.e, &f.sd, false));
    assert_int_equal(strncmp(err_text(), "289 of memory, 1 borrowed", 25), 0);
    s->above_mem--;
    teardown(&f);
}

/* pieces: n single bytes with holes between, at the end of a batch. */
static void pieces(struct fix *f, struct flow_side *sd, int n)
{
    uint32_t cut;

    for (int i = 0; i < n; i++) {
        const struct strm_in in = {.off = 10 + 2 * (uint64_t)i,
                                   .data = (const uint8_t *)"x",
                                   .len = 1,
                                   .wire_len = 1,
                                   .store = true};

        strm_insert(&f->e, sd, &in, &cut);
    }
    strm_own(&f->e, sd);
}

/* What is out of order is counted by what holds it. */
static void splinters_are_counted(void **state)
{
    struct fix f;
    uint64_t each = sizeof(struct chunk) + 256, list = 2 * 1024 + 32; /* 50 of 24 bytes */

    setup(&f, 0);
    pieces(&f, &f.sd, 50);
    assert_int_equal(blkpool_used(&f.e.blks), 50 + 3);
    assert_int_equal(f.e.ooo_mem, sizeof(struct strm) + list + 50 * each);
    strm_skip(&f.e, &f.sd, 10);
    assert_int_equal(f.e.ooo_mem, sizeof(struct strm) + list + 49 * each);
    strm_clear(&f.e, &f.sd); /* their places are known still */
    assert_int_equal(f.e.ooo_mem, sizeof(struct strm) + list);
    strm_cut(&f.e, &f.sd, 12);
    assert_int_equal(f.e.ooo_mem, 0);
    assert_int_equal(f.e.ooo_oldest + f.e.ooo_newest, 0);
    teardown(&f);
}

/* Who has most: in memory, not in bytes; among the 16 that wait longest. */
static void the_one_with_most(void **state)
{
    static const int n[] = {2, 5, 3, 1, 4};
    struct flow_side sd[20] = {0};
    struct fix f;

    setup(&f, 0);
    assert_int_equal(strm_ooo_most(&f.e), 0);
    for (int i = 0; i < 5; i++)
        pieces(&f, &sd[i], n[i]);
    put(&f, 10, "many bytes in one piece");
    assert_int_equal(strm_ooo_most(&f.e), sd[1].strm);
    strm_drop(&f.e, &sd[1]);
    assert_int_equal(strm_ooo_most(&f.e), sd[4].strm);
    for (int i = 5; i < 20; i++)
        pieces(&f, &sd[i], i == 15 ? 6 : i == 16 ? 7 : 1);
    assert_int_equal(strm_ooo_most(&f.e), sd[15].strm); /* the 16th that waits */
    for (int i = 0; i < 20; i++)
        strm_drop(&f.e, &sd[i]);
    assert_int_equal(strm_ooo_most(&f.e), f.sd.strm);
    teardown(&f);
    assert_int_equal(f.e.ooo_mem, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splinters_are_counted),
        cmocka_unit_test(the_one_with_most),
        cmocka_unit_test(syn_taken),
        cmocka_unit_test(syn_taken_in_part_or_not),
        cmocka_unit_test(syn_held_once),
        cmocka_unit_test(syn_then_the_next_bytes_first),
        cmocka_unit_test(syn_then_the_same_bytes_as_data),
        cmocka_unit_test(syn_then_given_up),
        cmocka_unit_test(syn_cleared),
        cmocka_unit_test(doubted_taken_bit_by_bit),
        cmocka_unit_test(doubted_and_others_come),
        cmocka_unit_test(doubted_behind_a_hole),
        cmocka_unit_test(no_memory_for_a_stream),
        cmocka_unit_test(no_memory_for_chunks),
        cmocka_unit_test(no_memory_for_intervals),
        cmocka_unit_test(no_memory_for_gaps),
        cmocka_unit_test(check_finds_damage),
    };
    return cmocka_run_group_tests_name("reasm_edge", tests, NULL, NULL);
}
