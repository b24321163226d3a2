/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blkpool.h: byte blocks in size classes (powers of two, 32 .. 65536), for stream bytes that must
 * outlive their frame. A thin layer over one pool per class; same rules: per context, no locks,
 * grows on demand, counted in the same account.
 */
#ifndef WEIR_BASE_BLKPOOL_H
#define WEIR_BASE_BLKPOOL_H

#include "base/pool.h"

#define BLK_MIN_SHIFT 5
#define BLK_CLASSES   12 /* 32 << 0 .. 32 << 11 */
#define BLK_MAX       (32u << (BLK_CLASSES - 1))
#define BLK_IDX_BITS  28
#define BLK_SOME      256

struct blkpool {
    struct pool cls[BLK_CLASSES];
};

/* A block's name: class in the top 4 bits, index in the lower 28. 0: none. */
typedef uint32_t blk_t;

void blkpool_init(struct blkpool *b, struct memacct *acct);
void blkpool_fini(struct blkpool *b);

/* blk_alloc: a block of at least `len` bytes (1 .. BLK_MAX). => 0 when the account is exhausted. */
blk_t blk_alloc(struct blkpool *b, uint32_t len);
/*
 * blk_alloc_any: the same; when the account is exhausted a free block of a larger class, else of the
 * largest smaller one, of BLK_SOME at least: slabs stay in the class they were taken for. => may be
 * smaller than len.
 */
blk_t blk_alloc_any(struct blkpool *b, uint32_t len);
void blk_free(struct blkpool *b, blk_t blk);

static inline uint8_t *blk_ptr(const struct blkpool *b, blk_t blk)
{
    return (uint8_t *)pool_at(&b->cls[blk >> BLK_IDX_BITS], blk & ((1u << BLK_IDX_BITS) - 1));
}

/* blk_size: usable bytes of the block. */
static inline uint32_t blk_size(blk_t blk)
{
    return 1u << (BLK_MIN_SHIFT + (blk >> BLK_IDX_BITS));
}

/* blkpool_spare: bytes in blocks, of BLK_SOME at least, that can be handed out without more memory. */
uint64_t blkpool_spare(const struct blkpool *b);
/* blkpool_some: are blocks of BLK_SOME at least handed out? */
bool blkpool_some(const struct blkpool *b);
/* blkpool_used: blocks handed out, over all classes (tests want 0 at the end). */
uint32_t blkpool_used(const struct blkpool *b);

#endif
