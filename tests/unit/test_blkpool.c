// SPDX-License-Identifier: BSD-2-Clause
/* Byte blocks in size classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/blkpool.h"

static void every_length_gets_its_class(void **state)
{
    struct blkpool b;

    blkpool_init(&b, NULL);
    for (uint32_t len = 1; len <= BLK_MAX; len += len < 600 ? 1 : 61) {
        blk_t k = blk_alloc(&b, len);

        assert_int_not_equal(k, 0);
        assert_true(blk_size(k) >= len);
        assert_true(blk_size(k) == 32 || blk_size(k) / 2 < len);
        memset(blk_ptr(&b, k), 0x5a, blk_size(k));
        assert_int_equal(blkpool_used(&b), 1);
        blk_free(&b, k);
    }
    assert_int_equal(blk_size(blk_alloc(&b, 64)), 64);
    assert_int_equal(blk_size(blk_alloc(&b, 65)), 128);
    assert_int_equal(blk_size(blk_alloc(&b, BLK_MAX)), BLK_MAX);
    assert_int_equal(blkpool_used(&b), 3);
    blkpool_fini(&b);
}

static void blocks_do_not_overlap(void **state)
{
    struct blkpool b;
    blk_t k[200];

    blkpool_init(&b, NULL);
    for (int i = 0; i < 200; i++) {
        k[i] = blk_alloc(&b, (uint32_t)(i * 37 % 4000 + 1));
        memset(blk_ptr(&b, k[i]), i, blk_size(k[i]));
    }
    for (int i = 0; i < 200; i++) {
        const uint8_t *p = blk_ptr(&b, k[i]);

        assert_true(p[0] == i && p[blk_size(k[i]) - 1] == i);
        blk_free(&b, k[i]);
    }
    assert_int_equal(blkpool_used(&b), 0);
    blkpool_fini(&b);
}

static void limit_of_the_account(void **state)
{
    struct memacct acct = {.limit = 300 << 10};
    struct blkpool b;
    blk_t small;

    blkpool_init(&b, &acct);
    assert_int_not_equal(blk_alloc(&b, BLK_MAX), 0); /* 256 KiB */
    assert_int_equal(blk_alloc(&b, 512), 0);         /* 64 more: over */
    acct.limit = 320 << 10;
    small = blk_alloc(&b, 512);
    assert_int_not_equal(small, 0);
    assert_int_equal(acct.used, 320 << 10);
    blk_free(&b, small);
    assert_int_equal(blk_alloc(&b, 500), small);
    blkpool_fini(&b);
    assert_int_equal(acct.used, 0);
}

/* No memory for a slab: a free block of another class will do, a larger one first. */
static void any_block_that_is_free(void **state)
{
    struct memacct acct = {.limit = 144 << 10};
    struct blkpool b;
    blk_t k[3], any;

    blkpool_init(&b, &acct);
    assert_int_equal(blkpool_spare(&b), 0);
    k[0] = blk_alloc(&b, 64); /* 256 of them: 16 KB */
    assert_false(blkpool_some(&b));
    k[1] = blk_alloc(&b, 256);
    k[2] = blk_alloc(&b, 2048);
    assert_int_equal(acct.used, acct.limit);
    assert_true(blkpool_some(&b));
    /* a slab each, without slot 0 and what is out; less than 256 bytes do not count */
    assert_int_equal(blkpool_spare(&b), 2 * (64 << 10) - 2 * (256 + 2048));
    assert_int_equal(blk_alloc(&b, 1000), 0);
    assert_int_equal(blk_size(blk_alloc_any(&b, 200)), 256);
    for (int i = 0; i < 30; i++)
        assert_int_equal(blk_size(blk_alloc_any(&b, 1000)), 2048);
    any = blk_alloc_any(&b, 1000);
    assert_int_equal(blk_size(any), 256);
    blk_free(&b, k[2]);
    assert_int_equal(blk_alloc_any(&b, 1000), k[2]);
    while (blk_alloc_any(&b, 1000))
        ;
    assert_int_equal(blkpool_spare(&b), 0);
    blk_free(&b, k[0]);
    assert_int_equal(blk_alloc_any(&b, 1000), 0); /* nor are they given for more */
    assert_int_equal(blk_alloc_any(&b, 64), k[0]);
    blkpool_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_gets_its_class),
        cmocka_unit_test(blocks_do_not_overlap),
        cmocka_unit_test(limit_of_the_account),
        cmocka_unit_test(any_block_that_is_free),
    };
    return cmocka_run_group_tests_name("blkpool", tests, NULL, NULL);
}
