// SPDX-License-Identifier: BSD-2-Clause
/*
 * steer.c: which core. Chosen from the addresses and ports, the same for both directions, by the
 * function that applications can ask (GetRSSCPUCore) for IPv4; for IPv6 by the same fold of the
 * longer addresses. Fragments have no ports to go by: they go by addresses alone.
 */
#include "engine/engine.h"

#include <string.h>

#include <mtcp_util.h>

static uint32_t fold6(const uint8_t *addr)
{
    uint32_t x = 0, w;

    for (int i = 0; i < 16; i += 4) {
        memcpy(&w, addr + i, 4);
        x ^= w;
    }
    return x;
}

int steer_core(const struct seg *s, int cores)
{
    uint16_t sport = 0, dport = 0;

    if (cores < 2 || s->level < SEG_IP)
        return 0;
    if (s->level >= SEG_L4 && !(s->flags & SEG_FRAG)) {
        sport = s->sport;
        dport = s->dport;
    }
    if (s->flags & SEG_IP6)
        return GetRSSCPUCore(fold6(s->src.b), fold6(s->dst.b), sport, dport, cores);
    return GetRSSCPUCore(s->src.v4, s->dst.v4, sport, dport, cores);
}
