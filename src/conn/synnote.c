// SPDX-License-Identifier: BSD-2-Clause
/*
 * synnote.c: SYNs that are remembered without a flow. The hash is keyed and of 32 bits, and the
 * number that a segment carries must fit the ISN: what is taken for an answer by mistake is one
 * segment in 2^48 and more.
 */
#include "conn/synnote.h"

#include <stdlib.h>
#include <string.h>

#define NOTES      (1u << 15) /* 512 KB: stays in the cache */
#define NOTES_FEW  (1u << 10)
#define NOTE_LIFE  (60 * NSEC_PER_SEC)
#define NOTE_AHEAD 65535u /* the first flight, of which the tap may have lost some */

bool synnotes_made(struct synnotes *t, struct memacct *acct)
{
    uint64_t bytes;
    uint32_t n = NOTES;

    if (t->v)
        return true;
    while (acct->limit && n > NOTES_FEW && n * sizeof(*t->v) > acct->limit / 16)
        n /= 2;
    bytes = n * sizeof(*t->v);
    if (acct->limit && acct->used + bytes > acct->limit)
        return false;
    t->v = aligned_alloc(CACHELINE, bytes);
    if (t->v == NULL)
        return false;
    memset(t->v, 0, bytes);
    t->mask = n - 1;
    acct->used += bytes;
    acct->allocs++;
    return true;
}

void synnotes_fini(struct synnotes *t, struct memacct *acct)
{
    if (t->v)
        acct->used -= ((uint64_t)t->mask + 1) * sizeof(*t->v);
    free(t->v);
    memset(t, 0, sizeof(*t));
}

static bool belongs(const struct synnote *n, const struct seg *s, int end)
{
    bool from_client = end == !!(n->meta & NOTE_CLI_IS_1);

    if (from_client)
        return !(s->tflags & TH_SYN_) && s->seq - (n->isn + 1) <= NOTE_AHEAD;
    /* one more for each byte on the SYN that the server took */
    return (s->tflags & TH_ACK_) && s->ack - (n->isn + 1) <= NOTE_AHEAD;
}

const struct synnote *synnote_of(const struct synnotes *t, uint32_t hash, uint32_t isn,
                                 uint64_t now)
{
    const struct synnote *n = synnote_at(t, hash);

    return (n->meta & NOTE_USED) && n->hash == hash && n->isn == isn &&
                   synnote_age(n, now) <= NOTE_LIFE
               ? n
               : NULL;
}

bool synnote_take(struct synnotes *t, uint32_t hash, const struct seg *s, int end, uint64_t now,
                  struct synnote *out)
{
    struct synnote *n = synnote_at(t, hash);

    if (!(n->meta & NOTE_USED) || n->hash != hash || !belongs(n, s, end))
        return false;
    *out = *n;
    n->meta = 0;
    return !(s->tflags & TH_RST_) && synnote_age(out, now) <= NOTE_LIFE;
}
