// SPDX-License-Identifier: BSD-2-Clause
/*
 * steer.c: which core. Chosen from the addresses and ports, the same for both directions, by the
 * function that applications can ask (GetRSSCPUCore) for IPv4; for IPv6 by the same fold of the
 * longer addresses. Fragments have no ports to go by: they go by addresses alone.
 * ICMP errors go by what they quote.
 */
#include "engine/engine.h"

#include <string.h>

#include <mtcp_util.h>

#include "wire/icmpquote.h"

static uint32_t fold6(const uint8_t *addr)
{
    uint32_t x = 0, w;

    for (int i = 0; i < 16; i += 4) {
        memcpy(&w, addr + i, 4);
        x ^= w;
    }
    return x;
}

/* by_ends: by addresses, and ports where they are known. */
static int by_ends(const struct seg *s, int cores)
{
    uint16_t sport = 0, dport = 0;

    if (s->level >= SEG_L4 && !(s->flags & SEG_FRAG)) {
        sport = s->sport;
        dport = s->dport;
    }
    if (s->flags & SEG_IP6)
        return GetRSSCPUCore(fold6(s->src.b), fold6(s->dst.b), sport, dport, cores);
    return GetRSSCPUCore(s->src.v4, s->dst.v4, sport, dport, cores);
}

int steer_error(const struct seg *s, int cores)
{
    struct icmp_quote q;

    return icmp_quotes_tcp(s, &q) ? by_ends(&q.seg, cores) : -1;
}

int steer_core(const struct seg *s, int cores)
{
    int core = -1;

    if (cores < 2 || s->level < SEG_IP)
        return 0;
    if (unlikely(s->level == SEG_IP))
        core = steer_error(s, cores);
    return core >= 0 ? core : by_ends(s, cores);
}
