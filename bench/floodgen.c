// SPDX-License-Identifier: BSD-2-Clause
#include "floodgen.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "wire/csum.h"

#define PIECE   (1u << 18) /* packets */
#define LINE    64u
#define SHIFT   2u /* 2 + Ethernet's 14 bytes: the IP header is aligned */
#define SERVER  0x0a000001u
#define CLIENTS 0x0a010000u /* 10.1.0.0: clients of the connections; the flood avoids 10/8 */
#define T0      UINT64_C(1700000000000000000)

enum { SYN = 2, PSH = 8, ACK = 16, HDRS = 54, OPTS = 20, ROOM = 128 };

struct floodgen {
    struct flood_cfg c;
    struct preload p;
    uint8_t *mem;
    size_t size, used;
    uint64_t *sent; /* bytes of each connection's server */
    struct rng rng, data;
    uint64_t now, syns, packets, bytes;
    bool started;
};

struct floodgen *floodgen_new(const struct flood_cfg *c)
{
    struct floodgen *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->c = *c;
    g->now = T0;
    g->p.whole = c->options;
    rng_seed(&g->rng, c->seed);
    rng_seed(&g->data, c->seed + 1);
    g->size = (size_t)PIECE * ROOM + (size_t)(PIECE / 2 + 64) * (c->payload + ROOM);
    g->mem = mmap(NULL, g->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g->sent = calloc(c->flows, sizeof(*g->sent));
    g->p.pkt = calloc(PIECE > 3 * c->flows ? PIECE : 3 * c->flows, sizeof(*g->p.pkt));
    if (g->mem == MAP_FAILED || g->sent == NULL || g->p.pkt == NULL) {
        floodgen_free(g);
        return NULL;
    }
    madvise(g->mem, g->size, MADV_HUGEPAGE);
    return g;
}

void floodgen_free(struct floodgen *g)
{
    if (g == NULL)
        return;
    if (g->mem && g->mem != MAP_FAILED)
        munmap(g->mem, g->size);
    free(g->sent);
    free(g->p.pkt);
    free(g);
}

uint8_t floodgen_byte(uint32_t flow, uint64_t off)
{
    return (uint8_t)((off ^ off >> 8) * 31 + flow);
}

uint64_t floodgen_bytes(const struct floodgen *g)
{
    return g->bytes;
}

uint32_t floodgen_flow(uint32_t addr, uint16_t port)
{
    return (addr - CLIENTS) << 8 | (uint32_t)(port - 1024);
}

static uint32_t isn(uint32_t flow, bool server)
{
    return (uint32_t)hash_mix(2 * (uint64_t)flow + server + 7);
}

struct head {
    uint32_t src, dst; /* host order, as all here */
    uint16_t sport, dport;
    uint32_t seq, ack;
    uint8_t flags;
    uint32_t opts, plen;
};

static void put32(uint8_t *p, uint32_t v)
{
    v = htonl(v);
    memcpy(p, &v, 4);
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* frame: Ethernet, IPv4, TCP; options and payload are there already, checksums are made. */
static void frame(uint8_t *p, const struct head *h)
{
    uint32_t tcp = 20 + h->opts + h->plen;
    uint8_t tail[4] = {0, 6, (uint8_t)(tcp >> 8), (uint8_t)tcp};
    uint16_t sum;

    memset(p, 0, HDRS);
    put16(p + 12, 0x0800);
    p[14] = 0x45;
    put16(p + 16, 20 + tcp);
    p[22] = 64;
    p[23] = 6;
    put32(p + 26, h->src);
    put32(p + 30, h->dst);
    sum = csum_fold(csum_add(0, p + 14, 20));
    memcpy(p + 24, &sum, 2);
    put16(p + 34, h->sport);
    put16(p + 36, h->dport);
    put32(p + 38, h->seq);
    put32(p + 42, h->ack);
    p[46] = (uint8_t)((20 + h->opts) / 4 << 4);
    p[47] = h->flags;
    put16(p + 48, 29200);
    sum = csum_fold(csum_add(csum_add(csum_add(0, tail, 4), p + 26, 8), p + 34, tcp));
    memcpy(p + 50, &sum, 2);
}

/* room: of whole cache lines for one frame, noted as the next packet. */
static uint8_t *room(struct floodgen *g, uint32_t len)
{
    uint8_t *m = g->mem + g->used + SHIFT;

    g->used += (SHIFT + len + LINE - 1) & ~(size_t)(LINE - 1);
    g->p.pkt[g->p.n++] =
        (struct pre_pkt){.data = m, .len = len, .us = (uint32_t)((g->now - g->p.t0_ns) / 1000)};
    g->now += g->c.step_ns;
    return m;
}

static void add_flow_packet(struct floodgen *g, uint32_t flow, bool server, uint8_t flags,
                            uint32_t plen)
{
    uint8_t *p = room(g, HDRS + plen);
    uint32_t client = CLIENTS + (flow >> 8);
    uint16_t port = (uint16_t)(1024 + (flow & 255));
    uint32_t cli = isn(flow, false) + !(flags & SYN && !server);
    uint32_t svr = isn(flow, true) + !(flags & SYN) + (uint32_t)g->sent[flow];
    struct head h = {.src = server ? SERVER : client,
                     .dst = server ? client : SERVER,
                     .sport = server ? 80 : port,
                     .dport = server ? port : 80,
                     .seq = server ? svr : cli,
                     .ack = flags & ACK ? server ? cli : svr : 0,
                     .flags = flags,
                     .plen = plen};

    for (uint32_t i = 0; i < plen; i++)
        p[HDRS + i] = floodgen_byte(flow, g->sent[flow] + i);
    frame(p, &h);
    g->sent[flow] += plen;
    g->bytes += plen;
}

static void add_syn(struct floodgen *g)
{
    static const uint8_t opts[OPTS] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
                                       0, 1, 0, 0,    0, 0, 1, 3,  3, 7};
    uint32_t len = g->c.options ? OPTS : 0;
    uint8_t *p = room(g, HDRS + len);
    uint64_t r = rng_next(&g->rng), q = rng_next(&g->rng);
    struct head h = {.src = (uint32_t)r,
                     .dst = SERVER,
                     .sport = (uint16_t)(r >> 32),
                     .dport = 80,
                     .seq = (uint32_t)q,
                     .flags = SYN,
                     .opts = len};

    if (h.src >> 24 == 10)
        h.src ^= 0x80000000u;
    memcpy(p + HDRS, opts, len);
    if (len)
        put32(p + HDRS + 8, (uint32_t)(q >> 32));
    frame(p, &h);
    g->syns++;
}

static void handshakes(struct floodgen *g)
{
    for (uint32_t i = 0; i < g->c.flows; i++) {
        add_flow_packet(g, i, false, SYN, 0);
        add_flow_packet(g, i, true, SYN | ACK, 0);
        add_flow_packet(g, i, false, ACK, 0);
    }
}

/* mix: flood and connections in even proportion; the latter draw from a source of their own. */
static void mix(struct floodgen *g)
{
    uint64_t all = g->c.sources + g->c.packets;

    while (g->p.n < PIECE && g->syns + g->packets < all) {
        uint32_t flow;

        /* as many of either as its share of what has passed says */
        if (g->packets * all > (g->syns + g->packets) * g->c.packets ||
            g->packets == g->c.packets) {
            add_syn(g);
            continue;
        }
        flow = (uint32_t)rng_below(&g->data, g->c.flows);
        if (g->packets++ % 2 == 0)
            add_flow_packet(g, flow, true, PSH | ACK, g->c.payload);
        else
            add_flow_packet(g, flow, false, ACK, 0);
    }
}

const struct preload *floodgen_next(struct floodgen *g)
{
    g->p.n = 0;
    g->used = 0;
    g->p.t0_ns = g->now;
    if (!g->started)
        handshakes(g);
    else
        mix(g);
    g->started = true;
    return g->p.n ? &g->p : NULL;
}
