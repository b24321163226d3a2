// SPDX-License-Identifier: BSD-2-Clause
/*
 * floor.c: the floor. In batches of 64: take addresses and ports out of the headers, hash them,
 * prefetch the slot (one cache line, the table in huge pages); then look each one up and count. An
 * unknown flow enters at its SYN and leaves with the last ACK, so the table holds live flows only,
 * as the library's does. No options, no lengths beyond what the search needs, no state.
 */
#include "floor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "measure.h"
#include "wire/csum.h"

#define BATCH 64

struct slot { /* two to a cache line */
    uint32_t addr[2];
    uint16_t port[2];
    uint32_t live; /* 0: free */
    uint64_t packets;
    uint32_t fins;
    uint32_t zero;
};

struct floor_table {
    struct slot *v;
    uint32_t mask;
    size_t bytes;
};

/* One packet, decoded. */
struct item {
    uint32_t addr[2];
    uint16_t port[2];
    uint32_t at;
    const uint8_t *tcp;
    uint32_t tcp_len; /* header and payload */
};

struct floor_table *floor_new(uint32_t flows)
{
    struct floor_table *t = calloc(1, sizeof(*t));
    uint32_t n = 1024;

    if (t == NULL)
        return NULL;
    while (n < 2 * flows)
        n *= 2;
    t->mask = n - 1;
    t->bytes = (size_t)n * sizeof(struct slot);
    t->v = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t->v == MAP_FAILED) {
        free(t);
        return NULL;
    }
    madvise(t->v, t->bytes, MADV_HUGEPAGE);
    memset(t->v, 0, t->bytes);
    return t;
}

void floor_free(struct floor_table *t)
{
    if (t)
        munmap(t->v, t->bytes);
    free(t);
}

static uint32_t home(const struct floor_table *t, const uint32_t addr[2], const uint16_t port[2])
{
    return (uint32_t)hash_mix(((uint64_t)addr[0] << 32 | addr[1]) ^
                              ((uint64_t)port[0] << 16 | port[1]) * 0x9e3779b97f4a7c15ull) &
           t->mask;
}

/* decode: Ethernet, IPv4, TCP; both directions give one key. => false: something else. */
static inline bool decode_plain(struct item *it, const uint8_t *p, uint32_t len)
{
    uint32_t src, dst, ihl;
    uint16_t type, sport, dport, total;
    int o;

    memcpy(&type, p + 12, 2);
    if (len < 54 || type != __builtin_bswap16(0x0800) || p[23] != 6)
        return false;
    ihl = (p[14] & 15) * 4u;
    memcpy(&total, p + 16, 2);
    memcpy(&src, p + 26, 4);
    memcpy(&dst, p + 30, 4);
    it->tcp = p + 14 + ihl;
    it->tcp_len = __builtin_bswap16(total) - ihl;
    memcpy(&sport, it->tcp, 2);
    memcpy(&dport, it->tcp + 2, 2);
    o = src > dst || (src == dst && sport > dport);
    it->addr[o] = src;
    it->addr[!o] = dst;
    it->port[o] = sport;
    it->port[!o] = dport;
    return true;
}

static bool same(const struct slot *s, const struct item *it)
{
    return s->addr[0] == it->addr[0] && s->addr[1] == it->addr[1] && s->port[0] == it->port[0] &&
           s->port[1] == it->port[1];
}

/* leave: linear probing without gravestones (Knuth 6.4, algorithm R). */
static void leave(struct floor_table *t, uint32_t i)
{
    for (uint32_t j = (i + 1) & t->mask; t->v[j].live; j = (j + 1) & t->mask) {
        uint32_t h = home(t, t->v[j].addr, t->v[j].port);

        if (((j - h) & t->mask) >= ((j - i) & t->mask)) {
            t->v[i] = t->v[j];
            i = j;
        }
    }
    t->v[i].live = 0;
}

static inline void look_up(struct floor_table *t, const struct item *it, unsigned work,
                           struct floor_result *r)
{
    uint32_t i = it->at;
    uint8_t flags = it->tcp[13];
    struct slot *s;

    while (t->v[i].live && !same(&t->v[i], it))
        i = (i + 1) & t->mask;
    s = &t->v[i];
    if (!s->live) {
        if (!(flags & 2) || (work & FLOOR_KNOWN))
            return;
        *s = (struct slot){
            .addr = {it->addr[0], it->addr[1]}, .port = {it->port[0], it->port[1]}, .live = 1};
        r->flows++;
    }
    s->packets++;
    r->packets++;
    if (unlikely(s->fins == 2))
        leave(t, i);
    else
        s->fins += flags & 1;
}

static void search(const struct item *it, struct floor_result *r)
{
    uint32_t hlen = (it->tcp[12] >> 4) * 4u;

    if (it->tcp_len > hlen &&
        memmem(it->tcp + hlen, it->tcp_len - hlen, GEN_PATTERN, sizeof(GEN_PATTERN) - 1))
        r->found++;
}

static void verify(const struct item *it, struct floor_result *r)
{
    uint8_t tail[4] = {0, 6, (uint8_t)(it->tcp_len >> 8), (uint8_t)it->tcp_len};

    if (csum_fold(csum_add(csum_add(csum_add(0, tail, 4), it->addr, 8), it->tcp, it->tcp_len)) != 0)
        r->bad++;
}

static int decode_batch(const struct preload *p, const struct floor_table *t, uint64_t at,
                        struct item *it)
{
    int n = 0, want = p->n - at < BATCH ? (int)(p->n - at) : BATCH;

    for (int i = 0; i < want; i++) {
        if (!decode_plain(&it[n], p->pkt[at + (uint64_t)i].data, p->pkt[at + (uint64_t)i].len))
            continue;
        it[n].at = home(t, it[n].addr, it[n].port);
        prefetch_w(&t->v[it[n].at]);
        n++;
    }
    return n;
}

void floor_pass(struct floor_table *t, const struct preload *p, unsigned work,
                struct floor_result *r)
{
    struct item it[BATCH];
    uint64_t start = thread_ns();

    for (uint64_t at = 0; at < p->n; at += BATCH) {
        int n = decode_batch(p, t, at, it);

        preload_ahead(p, at + BATCH, BATCH);
        for (int i = 0; i < n; i++) {
            look_up(t, &it[i], work, r);
            if (work & FLOOR_CSUM)
                verify(&it[i], r);
            if (work & FLOOR_SEARCH)
                search(&it[i], r);
        }
    }
    r->ns += thread_ns() - start;
}

bool floor_run(const struct preload *p, unsigned work, struct floor_result *r)
{
    struct floor_table *t = floor_new(p->cfg.concurrent);

    memset(r, 0, sizeof(*r));
    if (t == NULL)
        return false;
    do
        floor_pass(t, p, work, r);
    while (preload_more(p->stream));
    floor_free(t);
    return true;
}
