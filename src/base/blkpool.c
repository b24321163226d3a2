// SPDX-License-Identifier: BSD-2-Clause
#include "base/blkpool.h"

#define IDX_MASK   ((1u << BLK_IDX_BITS) - 1)
#define SLAB_BYTES (64u << 10)

/* Slabs of 64 KiB, but of four objects at least and 256 at most. */
void blkpool_init(struct blkpool *b, struct memacct *acct)
{
    static const char *const name[BLK_CLASSES] = {"blk32",  "blk64",  "blk128", "blk256",
                                                  "blk512", "blk1k",  "blk2k",  "blk4k",
                                                  "blk8k",  "blk16k", "blk32k", "blk64k"};

    for (uint32_t c = 0; c < BLK_CLASSES; c++) {
        uint32_t size = 1u << (BLK_MIN_SHIFT + c);
        uint32_t objs = SLAB_BYTES / size;

        objs = objs > 256 ? 256 : objs > 4 ? objs : 4;
        pool_init(&b->cls[c], name[c], size, size < CACHELINE ? size : CACHELINE, objs, IDX_MASK,
                  acct);
    }
}

void blkpool_fini(struct blkpool *b)
{
    for (uint32_t c = 0; c < BLK_CLASSES; c++)
        pool_fini(&b->cls[c]);
}

static uint32_t class_of(uint32_t len)
{
    if (len <= 1u << BLK_MIN_SHIFT)
        return 0;
    return 32 - BLK_MIN_SHIFT - (uint32_t)__builtin_clz(len - 1);
}

static blk_t alloc_of(struct blkpool *b, uint32_t c)
{
    uint32_t idx = pool_alloc(&b->cls[c]);

    return idx ? c << BLK_IDX_BITS | idx : 0;
}

blk_t blk_alloc(struct blkpool *b, uint32_t len)
{
    assert(len > 0 && len <= BLK_MAX);
    return alloc_of(b, class_of(len));
}

blk_t blk_alloc_any(struct blkpool *b, uint32_t len)
{
    uint32_t c = class_of(len);
    blk_t blk = blk_alloc(b, len);

    for (uint32_t k = c + 1; unlikely(!blk) && k < BLK_CLASSES; k++)
        if (pool_spare(&b->cls[k]))
            return alloc_of(b, k);
    for (uint32_t k = c; unlikely(!blk) && k-- > class_of(BLK_SOME);)
        if (pool_spare(&b->cls[k]))
            return alloc_of(b, k);
    return blk;
}

void blk_free(struct blkpool *b, blk_t blk)
{
    pool_free(&b->cls[blk >> BLK_IDX_BITS], blk & IDX_MASK);
}

uint64_t blkpool_spare(const struct blkpool *b)
{
    uint64_t n = 0;

    for (uint32_t c = class_of(BLK_SOME); c < BLK_CLASSES; c++)
        n += (uint64_t)pool_spare(&b->cls[c]) << (BLK_MIN_SHIFT + c);
    return n;
}

bool blkpool_some(const struct blkpool *b)
{
    for (uint32_t c = class_of(BLK_SOME); c < BLK_CLASSES; c++)
        if (b->cls[c].used)
            return true;
    return false;
}

uint32_t blkpool_used(const struct blkpool *b)
{
    uint32_t n = 0;

    for (uint32_t c = 0; c < BLK_CLASSES; c++)
        n += b->cls[c].used;
    return n;
}
