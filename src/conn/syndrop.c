// SPDX-License-Identifier: BSD-2-Clause
#include "conn/syndrop.h"

#include <stdlib.h>
#include <string.h>

#define DROPS     (1u << 16) /* 1 MB */
#define DROPS_FEW (1u << 10)
#define DROP_LIFE (3 * NSEC_PER_SEC)

bool syndrops_made(struct syndrops *t, struct memacct *acct)
{
    uint64_t bytes;
    uint32_t n = DROPS;

    if (t->v)
        return true;
    while (acct->limit && n > DROPS_FEW && n * sizeof(*t->v) > acct->limit / 16)
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

void syndrops_fini(struct syndrops *t, struct memacct *acct)
{
    if (t->v)
        acct->used -= ((uint64_t)t->mask + 1) * sizeof(*t->v);
    free(t->v);
    memset(t, 0, sizeof(*t));
}

void syndrop_turn(struct syndrops *t, uint64_t now)
{
    for (int gens = now >= t->due + DROP_LIFE ? 2 : 1; gens > 0; gens--) {
        t->newer = !t->newer;
        for (uint32_t i = 0; i <= t->mask; i++)
            t->v[i].bits[t->newer] = 0;
    }
    t->due = now + DROP_LIFE;
    t->n = 0;
}
