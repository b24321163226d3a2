// SPDX-License-Identifier: BSD-2-Clause
/* Chunks: the sorted list of held bytes, cutting it, owning it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "stream/chunk.h"

/* A frame whose byte at offset i of the stream is i, for small offsets. */
struct fix {
    struct memacct acct;
    struct strm_env e;
    struct strm s;
    uint8_t frame[1000];
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
    chunk_drop_all(&f->e, &f->s);
    assert_int_equal(f->s.head, 0);
    assert_int_equal(f->s.tail, 0);
    assert_int_equal(f->e.chunks.used, 0);
    assert_int_equal(blkpool_used(&f->e.blks), 0);
    strm_env_fini(&f->e);
    assert_int_equal(f->acct.used, 0);
}

static void add(struct fix *f, uint64_t from, uint64_t to)
{
    assert_int_equal(chunk_add(&f->e, &f->s, from, f->frame + from, (uint32_t)(to - from)), 0);
}

/* is: the chunks are exactly the given n ranges, with the right bytes, and the tail is right. */
static void is(const struct fix *f, uint32_t n, const uint64_t (*want)[2])
{
    uint32_t i = f->s.head, k = 0, last = 0;

    for (; i; i = chunk_at(&f->e, i)->next, k++) {
        const struct chunk *c = chunk_at(&f->e, i);

        assert_true(k < n);
        assert_int_equal(c->off, want[k][0]);
        assert_int_equal(chunk_end(c), want[k][1]);
        for (uint32_t b = 0; b < c->len; b++)
            assert_int_equal(c->ptr[b], (uint8_t)(c->off + b));
        last = i;
    }
    assert_int_equal(k, n);
    assert_int_equal(f->s.tail, last);
    assert_int_equal(f->e.chunks.used, n);
}

#define IS(f, ...)                                                                                 \
    is((f), sizeof((const uint64_t[][2]){__VA_ARGS__}) / sizeof(uint64_t[2]),                      \
       (const uint64_t[][2]){__VA_ARGS__})

static void added_in_any_order(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 20, 30);
    add(&f, 40, 50); /* behind the tail */
    add(&f, 0, 10);  /* before the head */
    add(&f, 30, 40); /* between, touching both */
    IS(&f, {0, 10}, {20, 30}, {30, 40}, {40, 50});
    teardown(&f);
}

static void added_bytes_are_views(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 20, 30);
    assert_ptr_equal(chunk_at(&f.e, f.s.head)->ptr, f.frame + 20);
    assert_int_equal(chunk_at(&f.e, f.s.head)->blk, 0);
    assert_int_equal(f.e.copied, 0);
    assert_int_equal(blkpool_used(&f.e.blks), 0);
    teardown(&f);
}

static void add_without_memory(void **state)
{
    struct fix f;

    setup(&f);
    f.acct.limit = 1;
    assert_int_equal(chunk_add(&f.e, &f.s, 0, f.frame, 10), -1);
    assert_int_equal(f.s.head, 0);
    teardown(&f);
}

/* Every position of a cut against three chunks, borrowed and owned: against a byte map. */
static void cut_everywhere(void **state)
{
    static const uint64_t at[3][2] = {{2, 5}, {5, 9}, {12, 15}};

    for (int owned = 0; owned < 2; owned++) {
        for (uint64_t from = 0; from < 17; from++) {
            for (uint64_t to = from + 1; to < 18; to++) {
                uint8_t left[20] = {0};
                struct fix f;

                setup(&f);
                for (int i = 0; i < 3; i++) {
                    add(&f, at[i][0], at[i][1]);
                    memset(left + at[i][0], 1, at[i][1] - at[i][0]);
                }
                if (owned)
                    assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
                chunk_cut(&f.e, &f.s, from, to);
                memset(left + from, 0, to - from);
                for (uint64_t i = 0; i < 20; i++)
                    assert_int_equal(chunk_sum(&f.e, &f.s, i, i + 1), left[i]);
                for (uint32_t i = f.s.head; i; i = chunk_at(&f.e, i)->next) {
                    const struct chunk *c = chunk_at(&f.e, i);

                    assert_true(c->len > 0);
                    assert_int_equal(c->blk != 0, owned);
                    for (uint32_t b = 0; b < c->len; b++)
                        assert_int_equal(c->ptr[b], c->off + b);
                    assert_true(c->next || f.s.tail == i);
                }
                assert_int_equal(f.e.failed, 0);
                teardown(&f);
            }
        }
    }
}

static void cut_in_the_middle(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 0, 30);
    chunk_cut(&f.e, &f.s, 10, 12);
    IS(&f, {0, 10}, {12, 30});
    assert_ptr_equal(chunk_at(&f.e, f.s.tail)->ptr, f.frame + 12); /* still a view */
    chunk_own_all(&f.e, &f.s);
    chunk_cut(&f.e, &f.s, 20, 21);
    IS(&f, {0, 10}, {12, 20}, {21, 30});
    assert_int_equal(blkpool_used(&f.e.blks), 3); /* a block belongs to one chunk */
    teardown(&f);
}

static void cut_in_the_middle_without_memory(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 0, 30);
    f.e.chunks.max = 1;
    chunk_cut(&f.e, &f.s, 10, 12);
    IS(&f, {0, 10});
    assert_int_equal(f.e.failed, 18);
    teardown(&f);

    setup(&f);
    add(&f, 0, 100);
    chunk_own_all(&f.e, &f.s);
    f.acct.limit = 1; /* the rest would need a block of a class that has no slab yet */
    chunk_cut(&f.e, &f.s, 50, 51);
    IS(&f, {0, 50});
    assert_int_equal(f.e.failed, 49);
    assert_int_equal(blkpool_used(&f.e.blks), 1);
    teardown(&f);

    setup(&f);
    add(&f, 0, 100);
    chunk_own_all(&f.e, &f.s);
    f.e.chunks.max = 1; /* a block, but no chunk */
    chunk_cut(&f.e, &f.s, 50, 51);
    IS(&f, {0, 50});
    assert_int_equal(f.e.failed, 49);
    assert_int_equal(blkpool_used(&f.e.blks), 1);
    teardown(&f);
}

static void cut_head(void **state)
{
    struct fix f;

    setup(&f);
    chunk_cut_head(&f.e, &f.s, 10);
    add(&f, 5, 10);
    add(&f, 10, 20);
    add(&f, 30, 40);
    chunk_cut_head(&f.e, &f.s, 5);
    IS(&f, {5, 10}, {10, 20}, {30, 40});
    chunk_cut_head(&f.e, &f.s, 10);
    IS(&f, {10, 20}, {30, 40});
    chunk_own_all(&f.e, &f.s);
    chunk_cut_head(&f.e, &f.s, 15);
    IS(&f, {15, 20}, {30, 40});
    chunk_cut_head(&f.e, &f.s, 100);
    is(&f, 0, NULL);
    teardown(&f);
}

static void own_copies_once(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 10, 20);
    add(&f, 40, 50);
    assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
    assert_int_equal(f.e.copied, 20);
    memset(f.frame, 0xdb, sizeof(f.frame)); /* the frame goes */
    IS(&f, {10, 20}, {40, 50});
    assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
    assert_int_equal(f.e.copied, 20);
    teardown(&f);
}

static void own_puts_neighbours_together(void **state)
{
    struct fix f;

    setup(&f);
    for (uint64_t i = 0; i < 100; i++) /* one byte a segment, in one batch */
        add(&f, i, i + 1);
    assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
    IS(&f, {0, 100});
    assert_int_equal(blkpool_used(&f.e.blks), 1);
    chunk_cut_head(&f.e, &f.s, 30); /* half of it read */
    for (uint64_t i = 100; i < 190; i++) {
        add(&f, i, i + 1); /* one byte a batch */
        assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
    }
    IS(&f, {30, 190});
    assert_int_equal(f.e.copied, 190);
    assert_int_equal(blkpool_used(&f.e.blks), 1);
    teardown(&f);
}

static void own_starts_a_block_when_one_is_full(void **state)
{
    struct fix f;

    setup(&f);
    for (uint64_t i = 0; i < 200; i += 50)
        add(&f, i, i + 50);
    chunk_own_all(&f.e, &f.s);
    for (uint64_t i = 200; i < 300; i += 50) { /* a block of 256 has room for one of the two */
        uint8_t more[50];

        for (size_t b = 0; b < sizeof(more); b++)
            more[b] = (uint8_t)(i + b);
        assert_int_equal(chunk_add(&f.e, &f.s, i, more, 50), 0);
        assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
    }
    IS(&f, {0, 250}, {250, 300});
    teardown(&f);
}

static void own_after_cut_appends_at_the_right_place(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 0, 60);
    chunk_own_all(&f.e, &f.s);
    chunk_cut(&f.e, &f.s, 40, 60); /* the block still has the old bytes there */
    add(&f, 40, 80);
    chunk_own_all(&f.e, &f.s);
    IS(&f, {0, 80});
    teardown(&f);
}

static void own_without_memory_loses_and_says_so(void **state)
{
    struct fix f;

    setup(&f);
    add(&f, 0, 10);
    add(&f, 20, 30);
    f.acct.limit = 1;
    assert_int_equal(chunk_own_all(&f.e, &f.s), 20);
    assert_int_equal(f.e.failed, 20);
    assert_int_equal(f.e.copied, 0); /* nothing was */
    assert_int_equal(f.s.head, 0);
    assert_int_equal(f.s.tail, 0);
    teardown(&f);
}

/* Only small blocks are free: the bytes are kept in several. */
static void own_in_small_blocks(void **state)
{
    struct fix f;
    blk_t small;

    setup(&f);
    small = blk_alloc(&f.e.blks, BLK_SOME);
    add(&f, 0, 1000);
    f.acct.limit = 1;
    assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
    IS(&f, {0, 256}, {256, 512}, {512, 768}, {768, 1000});
    assert_int_equal(f.e.copied, 1000);
    assert_int_equal(f.e.failed, 0);
    blk_free(&f.e.blks, small);
    teardown(&f);
}

/* A payload may be longer than the largest block (jumbo frames, offloaded reassembly). */
static void own_longer_than_a_block(void **state)
{
    const uint32_t len = 2 * BLK_MAX + 1000;
    uint8_t *big = malloc(len);
    struct fix f;
    uint64_t off = 0;

    for (uint32_t i = 0; i < len; i++)
        big[i] = (uint8_t)(i * 7 + i / 256);
    setup(&f);
    assert_int_equal(chunk_add(&f.e, &f.s, 0, big, len), 0);
    assert_int_equal(chunk_own_all(&f.e, &f.s), 0);
    assert_int_equal(f.e.copied, len);
    for (uint32_t i = f.s.head; i; i = chunk_at(&f.e, i)->next) {
        const struct chunk *c = chunk_at(&f.e, i);

        assert_int_equal(c->off, off);
        assert_int_not_equal(c->blk, 0);
        assert_memory_equal(c->ptr, big + off, c->len);
        off += c->len;
    }
    assert_int_equal(off, len);
    chunk_drop_all(&f.e, &f.s);

    assert_int_equal(chunk_add(&f.e, &f.s, 0, big, len), 0);
    f.e.chunks.max = 1; /* no chunk for the rest */
    assert_int_equal(chunk_own_all(&f.e, &f.s), len - BLK_MAX);
    assert_int_equal(chunk_sum(&f.e, &f.s, 0, len), BLK_MAX);
    teardown(&f);
    free(big);
}

static void sum_of_a_range(void **state)
{
    struct fix f;

    setup(&f);
    assert_int_equal(chunk_sum(&f.e, &f.s, 0, 100), 0);
    add(&f, 10, 20);
    add(&f, 30, 40);
    assert_int_equal(chunk_sum(&f.e, &f.s, 0, 100), 20);
    assert_int_equal(chunk_sum(&f.e, &f.s, 15, 35), 10);
    assert_int_equal(chunk_sum(&f.e, &f.s, 20, 30), 0);
    assert_int_equal(chunk_sum(&f.e, &f.s, 0, 10), 0);
    assert_int_equal(chunk_sum(&f.e, &f.s, 0, 11), 1);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_in_any_order),
        cmocka_unit_test(added_bytes_are_views),
        cmocka_unit_test(add_without_memory),
        cmocka_unit_test(cut_everywhere),
        cmocka_unit_test(cut_in_the_middle),
        cmocka_unit_test(cut_in_the_middle_without_memory),
        cmocka_unit_test(cut_head),
        cmocka_unit_test(own_copies_once),
        cmocka_unit_test(own_puts_neighbours_together),
        cmocka_unit_test(own_starts_a_block_when_one_is_full),
        cmocka_unit_test(own_after_cut_appends_at_the_right_place),
        cmocka_unit_test(own_without_memory_loses_and_says_so),
        cmocka_unit_test(own_in_small_blocks),
        cmocka_unit_test(own_longer_than_a_block),
        cmocka_unit_test(sum_of_a_range),
    };
    return cmocka_run_group_tests_name("chunk", tests, NULL, NULL);
}
