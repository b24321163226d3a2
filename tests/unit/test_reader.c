// SPDX-License-Identifier: BSD-2-Clause
/* Reading: views, losses, fragments, and letting go at the end of a batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "stream/chunk.h"

struct fix {
    struct memacct acct;
    struct strm_env e;
    struct flow_side sd;
    uint8_t frame[256]; /* the byte at offset i is i */
};

static void setup(struct fix *f)
{
    memset(f, 0, sizeof(*f));
    strm_env_init(&f->e, &f->acct, 1000, 1000);
    for (size_t i = 0; i < sizeof(f->frame); i++)
        f->frame[i] = (uint8_t)i;
}

static void teardown(struct fix *f)
{
    assert_true(strm_check(&f->e, &f->sd, false));
    strm_drop(&f->e, &f->sd);
    assert_int_equal(f->e.chunks.used + f->e.strms.used, 0);
    assert_int_equal(blkpool_used(&f->e.blks), 0);
    strm_env_fini(&f->e);
}

static void put(struct fix *f, uint64_t from, uint64_t to, bool store)
{
    uint32_t len = (uint32_t)(to - from), cut;

    strm_insert(&f->e, &f->sd, &(struct strm_in){from, f->frame + from, len, len, store}, &cut);
    assert_int_equal(cut, 0);
}

/* view: what strm_view gives is n pieces that hold [off, off + sum). */
static void view(const struct fix *f, uint64_t off, uint64_t end, size_t max, int room, int n,
                 size_t sum)
{
    struct iovec iov[8];
    uint64_t at = off;
    int cnt = room;

    assert_int_equal(strm_view(&f->e, &f->sd, off, end, max, iov, &cnt), sum);
    assert_int_equal(cnt, n);
    for (int i = 0; i < cnt; i++) {
        const uint8_t *p = iov[i].iov_base;

        assert_true(iov[i].iov_len > 0);
        for (size_t b = 0; b < iov[i].iov_len; b++)
            assert_int_equal(p[b], at++);
    }
    assert_int_equal(at, off + sum);
}

static void no_stream_reads_nothing(void **state)
{
    uint64_t a = 1, b = 1;
    struct fix f;

    setup(&f);
    f.sd.next = 10;
    view(&f, 0, 10, SIZE_MAX, 8, 0, 0);
    assert_int_equal(strm_lost(&f.e, &f.sd, 0), 10);
    assert_int_equal(strm_lost(&f.e, &f.sd, 10), 0);
    assert_int_equal(strm_lost(&f.e, &f.sd, 11), 0);
    assert_false(strm_frag(&f.e, &f.sd, 0, &a, &b));
    assert_int_equal(strm_oldest(&f.e, &f.sd), 10);
    assert_int_equal(strm_own(&f.e, &f.sd), 0);
    strm_release(&f.e, &f.sd, 10);
    strm_clear(&f.e, &f.sd);
    assert_int_equal(f.sd.strm, 0);
    teardown(&f);
}

static void views_without_a_copy(void **state)
{
    struct iovec iov[2];
    struct fix f;
    int cnt = 2;

    setup(&f);
    put(&f, 0, 10, true);
    assert_int_equal(strm_view(&f.e, &f.sd, 3, 10, SIZE_MAX, iov, &cnt), 7);
    assert_ptr_equal(iov[0].iov_base, f.frame + 3); /* in the frame itself */
    assert_int_equal(f.e.copied, 0);
    teardown(&f);
}

static void views_end_where_they_must(void **state)
{
    struct fix f;

    setup(&f);
    put(&f, 0, 10, true);
    put(&f, 10, 20, true);
    put(&f, 20, 30, true);
    put(&f, 50, 60, true);
    view(&f, 0, 30, SIZE_MAX, 8, 3, 30);
    view(&f, 5, 30, SIZE_MAX, 8, 3, 25);
    view(&f, 10, 30, SIZE_MAX, 8, 2, 20);
    view(&f, 5, 25, SIZE_MAX, 8, 3, 20); /* end */
    view(&f, 5, 30, 7, 8, 2, 7);         /* max */
    view(&f, 5, 30, 5, 8, 1, 5);
    view(&f, 0, 30, SIZE_MAX, 2, 2, 20); /* room in iov */
    view(&f, 0, 30, SIZE_MAX, 0, 0, 0);
    view(&f, 0, 30, 0, 8, 0, 0);
    view(&f, 30, 30, SIZE_MAX, 8, 0, 0);
    view(&f, 31, 30, SIZE_MAX, 8, 0, 0); /* beyond the end */
    view(&f, 0, 60, SIZE_MAX, 8, 3, 30); /* the hole */
    view(&f, 40, 60, SIZE_MAX, 8, 0, 0);
    view(&f, 52, 60, SIZE_MAX, 8, 1, 8); /* a fragment, for ppeek */
    teardown(&f);
}

static void views_after_own_do_not_need_the_frame(void **state)
{
    struct fix f;
    uint8_t was[30];
    struct iovec iov[4];
    int cnt = 4;

    setup(&f);
    memcpy(was, f.frame, sizeof(was));
    put(&f, 0, 10, true);
    put(&f, 10, 30, true);
    assert_int_equal(strm_own(&f.e, &f.sd), 0);
    memset(f.frame, 0xdb, sizeof(f.frame));
    assert_true(strm_check(&f.e, &f.sd, true));
    assert_int_equal(strm_view(&f.e, &f.sd, 0, 30, SIZE_MAX, iov, &cnt), 30);
    assert_int_equal(cnt, 1);
    assert_memory_equal(iov[0].iov_base, was, 30);
    teardown(&f);
}

static void lost_up_to_what_is_held_or_the_end(void **state)
{
    struct fix f;

    setup(&f);
    put(&f, 0, 10, true);
    put(&f, 10, 20, false); /* nobody wanted it */
    put(&f, 20, 30, true);
    assert_int_equal(strm_skip(&f.e, &f.sd, 40), 10);
    assert_int_equal(strm_lost(&f.e, &f.sd, 0), 0);
    assert_int_equal(strm_lost(&f.e, &f.sd, 9), 0);
    assert_int_equal(strm_lost(&f.e, &f.sd, 10), 10);
    assert_int_equal(strm_lost(&f.e, &f.sd, 19), 1);
    assert_int_equal(strm_lost(&f.e, &f.sd, 20), 0);
    assert_int_equal(strm_lost(&f.e, &f.sd, 33), 7); /* a declared gap at the end */
    assert_int_equal(strm_lost(&f.e, &f.sd, 40), 0);
    put(&f, 50, 60, true); /* beyond a hole: not lost, not yet there */
    assert_int_equal(strm_lost(&f.e, &f.sd, 35), 5);
    assert_int_equal(strm_lost(&f.e, &f.sd, 40), 0);
    teardown(&f);
}

static void lost_stops_at_readable_with_last(void **state)
{
    struct fix f;

    setup(&f);
    f.sd.flags = SIDE_LAST;
    put(&f, 0, 10, false);
    assert_int_equal(strm_skip(&f.e, &f.sd, 15), 5); /* a stream, everything handed out */
    put(&f, 15, 30, false);
    put(&f, 30, 40, true);
    assert_int_equal(strm_end(&f.e, &f.sd), 15);
    assert_int_equal(strm_lost(&f.e, &f.sd, 12), 3);
    assert_int_equal(strm_lost(&f.e, &f.sd, 15), 0); /* not lost before its time */
    strm_ack(&f.e, &f.sd, 20);
    assert_int_equal(strm_lost(&f.e, &f.sd, 15), 5);
    strm_ack(&f.e, &f.sd, 40);
    assert_int_equal(strm_lost(&f.e, &f.sd, 15), 15);
    teardown(&f);
}

static void frag_joins_touching_chunks(void **state)
{
    uint64_t at = 0, len = 0;
    struct fix f;

    setup(&f);
    put(&f, 0, 10, true);
    put(&f, 10, 20, true);
    put(&f, 30, 40, true);
    assert_true(strm_frag(&f.e, &f.sd, 0, &at, &len));
    assert_int_equal(at, 0);
    assert_int_equal(len, 20);
    assert_true(strm_frag(&f.e, &f.sd, 19, &at, &len)); /* ends beyond 19 */
    assert_true(at <= 10 && at + len == 20);
    assert_true(strm_frag(&f.e, &f.sd, 20, &at, &len));
    assert_int_equal(at, 30);
    assert_int_equal(len, 10);
    assert_true(strm_frag(&f.e, &f.sd, 39, &at, &len));
    assert_false(strm_frag(&f.e, &f.sd, 40, &at, &len));
    teardown(&f);
}

static void release_never_beyond_next(void **state)
{
    struct fix f;

    setup(&f);
    put(&f, 0, 10, true);
    put(&f, 20, 30, true);
    assert_int_equal(strm_oldest(&f.e, &f.sd), 0);
    strm_release(&f.e, &f.sd, 4);
    assert_int_equal(strm_oldest(&f.e, &f.sd), 4);
    assert_int_equal(strm_held(&f.e, &f.sd), 6);
    strm_release(&f.e, &f.sd, 100); /* what is out of order stays */
    assert_int_equal(strm_oldest(&f.e, &f.sd), 10);
    assert_int_equal(strm_held(&f.e, &f.sd), 0);
    view(&f, 20, 30, SIZE_MAX, 8, 1, 10);
    assert_int_equal(strm_lost(&f.e, &f.sd, 2), 8); /* overrun, for a reader that was slow */
    teardown(&f);
}

static void clear_forgets_bytes_not_places(void **state)
{
    struct fix f;

    setup(&f);
    put(&f, 0, 10, true);
    put(&f, 20, 30, true);
    strm_clear(&f.e, &f.sd);
    assert_int_equal(f.e.chunks.used, 0);
    assert_int_equal(f.sd.next, 10);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 0, 40).dup, 20);
    put(&f, 10, 20, true); /* the order goes on */
    assert_int_equal(f.sd.next, 30);
    view(&f, 10, 30, SIZE_MAX, 8, 1, 10);
    assert_int_equal(strm_lost(&f.e, &f.sd, 20), 10);
    teardown(&f);
}

static void own_says_what_was_lost(void **state)
{
    struct fix f;

    setup(&f);
    put(&f, 0, 10, true);
    put(&f, 20, 30, true);
    f.acct.limit = 1;
    assert_int_equal(strm_own(&f.e, &f.sd), 20);
    assert_int_equal(f.e.failed, 20);
    assert_int_equal(strm_lost(&f.e, &f.sd, 0), 10);
    assert_int_equal(f.sd.next, 10);
    assert_int_equal(strm_overlap(&f.e, &f.sd, 20, 10).dup, 10); /* known, not held */
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_stream_reads_nothing),
        cmocka_unit_test(views_without_a_copy),
        cmocka_unit_test(views_end_where_they_must),
        cmocka_unit_test(views_after_own_do_not_need_the_frame),
        cmocka_unit_test(lost_up_to_what_is_held_or_the_end),
        cmocka_unit_test(lost_stops_at_readable_with_last),
        cmocka_unit_test(frag_joins_touching_chunks),
        cmocka_unit_test(release_never_beyond_next),
        cmocka_unit_test(clear_forgets_bytes_not_places),
        cmocka_unit_test(own_says_what_was_lost),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
