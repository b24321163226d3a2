// SPDX-License-Identifier: BSD-2-Clause
/*
 * buckets.c: linear hashing (Litwin, VLDB 1980), one bucket a cache line.
 *
 *      0        n - 2^i            2^i                 n - 1
 *      +-----------+----------------+--------------------+
 *      |  split    |  not yet       |  their other halves|        mask = 2^(i+1) - 1
 *      +-----------+----------------+--------------------+
 *                  ^ splits next, into itself and number n
 *
 * Growth: when the mean load passes LOAD_NUM / LOAD_DEN, the next bucket is split: hash bit i tells
 * for each of its refs whether it stays or goes to the new bucket at the end. One split per
 * insertion at most, so no insertion ever costs more than one chain. The table does not shrink.
 *
 * Which bit: a line keeps the upper 20 bits of its hashes. From 2^12 buckets on the bit is among
 * them and a split touches nothing but its own lines; below, the owner is asked (hash_of), whose
 * records are then few and near.
 *
 * Memory: lines of the table come from a pool that never frees and so numbers them 1, 2, 3...; its
 * slabs are the table's segments. Chains are dense (only the last line has free slots), which is
 * why a split never fails for want of an overflow line: a chain of c lines gives back c - 1, and
 * its two halves want at most that.
 *
 * A chain's first line has a bit for each of 64 parts of the hashes in the lines behind it (`beyond`):
 * a miss sees one line, as a rule.
 *
 * The load: at 85 % an entry takes two bytes less, one in eight of them lies behind the first line of its chain and not
 * one in sixteen, and looking for those costs more than it saves.
 */
#include "flow/buckets.h"

#include <errno.h>
#include <string.h>

#include "base/errtext.h"

#define START    16u /* buckets of an empty table */
#define LOAD_NUM 65u
#define LOAD_DEN 100u
#define SEGMENT  (1u << BUCKET_SHIFT)

/*
 * Entries for each line behind a first one. When half of the buckets are split, those that are not have a mean of 7.8, those that
 * are of 3.9; more than eight are 38 and 2 in a hundred of them then (Poisson): a line for 37 entries, at no other time for fewer.
 */
#define ENTRIES_OVER 32u

static bool grow(struct buckets *b)
{
    uint32_t idx = pool_zalloc(&b->base);

    if (!idx)
        return false;
    assert(idx == b->n + 1);
    if (b->n > b->mask)
        b->mask = b->mask << 1 | 1;
    b->n++;
    return true;
}

int buckets_init(struct buckets *b, uint32_t (*hash_of)(const void *, uint32_t), const void *owner,
                 struct memacct *acct)
{
    memset(b, 0, sizeof(*b));
    pool_init(&b->base, "buckets", sizeof(struct bucket), CACHELINE, SEGMENT, 0, acct);
    pool_init(&b->over, "bucket chains", sizeof(struct bucket), CACHELINE, SEGMENT, 0, acct);
    b->hash_of = hash_of;
    b->owner = owner;
    while (b->n < START)
        if (!grow(b))
            return -1;
    return 0;
}

void buckets_fini(struct buckets *b)
{
    pool_fini(&b->base);
    pool_fini(&b->over);
}

/* Used slots of a line: those before the first free one. */
static inline uint32_t used(const struct bucket *l)
{
    return (uint32_t)__builtin_ctz(bucket_free(l) | 1u << BUCKET_SLOTS);
}

/* The bit that bucket_beyond asks for. */
static uint64_t bit_of(uint16_t tag)
{
    return 1ULL << (tag >> 10);
}

#define KEPT_FROM 12u /* the first bit of a hash that is kept */

/* kept_hash, keep_hash: of a slot, the part that is kept. */
static inline uint32_t kept_hash(const struct bucket *l, uint32_t i)
{
    return (uint32_t)l->tag[i] << 16 | (l->low >> 4 * i & 15) << KEPT_FROM;
}

static inline void keep_hash(struct bucket *l, uint32_t i, uint32_t hash)
{
    l->tag[i] = (uint16_t)(hash >> 16);
    l->low = (l->low & ~(15u << 4 * i)) | (hash >> KEPT_FROM & 15) << 4 * i;
}

/* Put a ref at the end of the chain that begins at `first`. */
static bool append(struct buckets *b, struct bucket *first, uint32_t hash, uint32_t ref)
{
    struct bucket *l = first;

    while (l->over)
        l = bucket_over(b, l);

    uint32_t i = used(l);
    if (i == BUCKET_SLOTS) {
        uint32_t idx = pool_zalloc(&b->over);
        if (!idx)
            return false;
        l->over = idx;
        l = bucket_over(b, l);
        i = 0;
    }
    keep_hash(l, i, hash);
    l->ref[i] = ref;
    if (l != first)
        first->beyond |= bit_of(l->tag[i]);
    return true;
}

/* Deal one line's refs out to the two buckets that its old one has become. */
static void deal(struct buckets *b, const struct bucket *l, uint32_t from, uint32_t to)
{
    const uint32_t bit = (b->mask >> 1) + 1;

    for (uint32_t i = 0; i < BUCKET_SLOTS && l->ref[i]; i++) {
        const uint32_t hash = bit >> KEPT_FROM ? kept_hash(l, i) : b->hash_of(b->owner, l->ref[i]);
        bool ok = append(b, bucket_at(b, hash & bit ? to : from), hash, l->ref[i]);

        assert(ok); /* the lines it needs have just been given back */
        (void)ok;
    }
}

static void split(struct buckets *b)
{
    if (b->n >= 1u << 29 || !grow(b)) /* no memory: chains get longer, nothing breaks */
        return;

    const uint32_t to = b->n - 1, from = to & b->mask >> 1;
    struct bucket line = *bucket_at(b, from);

    memset(bucket_at(b, from), 0, sizeof(line));
    deal(b, &line, from, to);
    for (uint32_t next = line.over; next; next = line.over) {
        line = *(struct bucket *)pool_at(&b->over, next);
        pool_free(&b->over, next);
        deal(b, &line, from, to);
    }
}

/* crowded: are n entries more than the mean load allows? */
static inline bool crowded(const struct buckets *b, uint32_t n)
{
    return (uint64_t)n * LOAD_DEN > (uint64_t)b->n * BUCKET_SLOTS * LOAD_NUM;
}

bool buckets_reserve(struct buckets *b, uint32_t n)
{
    const uint64_t lines = (uint64_t)n * LOAD_DEN / (BUCKET_SLOTS * LOAD_NUM) + 1;

    if (lines > b->n && !pool_reserve(&b->base, (uint32_t)lines - b->n))
        return false;
    if (!pool_reserve(&b->over, n / ENTRIES_OVER))
        return false;
    while (crowded(b, n)) {
        const uint32_t was = b->n;

        split(b);
        if (b->n == was)
            return false;
    }
    return true;
}

bool buckets_put(struct buckets *b, uint32_t hash, uint32_t ref)
{
    assert(ref);
    if (!append(b, bucket_of(b, hash), hash, ref))
        return false;
    b->entries++;
    b->puts++;
    if (crowded(b, b->entries))
        split(b);
    return true;
}

/* Where ref is; NULL if nowhere. */
static struct bucket *where(const struct buckets *b, uint32_t hash, uint32_t ref, uint32_t *slot)
{
    for (struct bucket *l = bucket_of(b, hash); l; l = bucket_over(b, l)) {
        const uint32_t at = bucket_holds(l, ref);

        if (at) {
            *slot = (uint32_t)__builtin_ctz(at);
            return l;
        }
    }
    return NULL;
}

/* What the first line of a chain has to say of the others. */
static uint64_t beyond(const struct buckets *b, const struct bucket *first)
{
    uint64_t bits = 0;

    for (const struct bucket *l = bucket_over(b, first); l; l = bucket_over(b, l))
        for (uint32_t i = 0; i < BUCKET_SLOTS && l->ref[i]; i++)
            bits |= bit_of(l->tag[i]);
    return bits;
}

bool buckets_del(struct buckets *b, uint32_t hash, uint32_t ref)
{
    struct bucket *first = bucket_of(b, hash), *end = first, *before = NULL;
    uint32_t slot, last;
    struct bucket *l = where(b, hash, ref, &slot);

    if (!l)
        return false;
    for (; end->over; end = bucket_over(b, end))
        before = end;
    last = used(end) - 1;
    l->ref[slot] = end->ref[last];
    keep_hash(l, slot, kept_hash(end, last));
    end->ref[last] = 0;
    b->entries--;
    if (!before)
        return true;
    if (last == 0) { /* the last line is empty now */
        pool_free(&b->over, before->over);
        before->over = 0;
    }
    first->beyond = beyond(b, first);
    return true;
}

bool buckets_has(const struct buckets *b, uint32_t hash, uint32_t ref)
{
    uint32_t slot;

    return where(b, hash, ref, &slot) != NULL;
}

bool buckets_swap(struct buckets *b, uint32_t hash, uint32_t was, uint32_t now)
{
    uint32_t slot;
    struct bucket *l = where(b, hash, was, &slot);

    assert(now);
    if (l)
        l->ref[slot] = now;
    return l != NULL;
}

uint64_t buckets_bytes(const struct buckets *b)
{
    return pool_bytes(&b->base) + pool_bytes(&b->over);
}

/* One chain: dense, and every ref in the bucket of its hash. => refs, -1 if wrong. */
static int64_t check_chain(const struct buckets *b, uint32_t no, uint32_t *lines)
{
    int64_t refs = 0;

    for (const struct bucket *l = bucket_at(b, no); l; l = bucket_over(b, l)) {
        uint32_t n = used(l);

        for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
            if ((l->ref[i] != 0) != (i < n))
                return err_set(EINVAL, "bucket %u: a free slot before a used one", no);
            if (!l->ref[i])
                continue;
            uint32_t hash = b->hash_of(b->owner, l->ref[i]);
            if (bucket_no(b, hash) != no || (hash ^ kept_hash(l, i)) >> KEPT_FROM != 0)
                return err_set(EINVAL, "bucket %u: ref %#x does not belong here", no, l->ref[i]);
        }
        if ((l->over && n < BUCKET_SLOTS) || (!n && l != bucket_at(b, no)))
            return err_set(EINVAL, "bucket %u: chain not dense", no);
        *lines += l != bucket_at(b, no);
        refs += n;
    }
    if (bucket_at(b, no)->beyond != beyond(b, bucket_at(b, no)))
        return err_set(EINVAL, "bucket %u: its first line does not know the others", no);
    return refs;
}

bool buckets_check(const struct buckets *b)
{
    uint64_t refs = 0;
    uint32_t lines = 0;

    if (b->n - 1 > b->mask || b->n - 1 <= b->mask >> 1 || b->base.used != b->n) {
        err_set(EINVAL, "buckets: %u, mask %#x, lines %u", b->n, b->mask, b->base.used);
        return false;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        int64_t r = check_chain(b, i, &lines);

        if (r < 0)
            return false;
        refs += (uint64_t)r;
    }
    if (refs != b->entries || lines != b->over.used) {
        err_set(EINVAL, "buckets: %u refs counted, %u of %u chained lines reached", b->entries,
                lines, b->over.used);
        return false;
    }
    return true;
}
