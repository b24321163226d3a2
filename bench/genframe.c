// SPDX-License-Identifier: BSD-2-Clause
/*
 * genframe.c: frames of generated flows. A flow's number says everything that is constant in it:
 * its addresses and ports (bijective: no two flows share a client) and its content, a window into a
 * pool of random bytes that is larger than any second-level cache.
 */
#include "genframe.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "wire/csum.h"

#define POOL_BYTES (4u << 20) /* a power of two */
#define POOL_TAIL  65536u     /* repeats the beginning: a segment never wraps */

#define HOST_FACTOR 0x9e3779b1u /* odd, so that no two flows share a client */

enum { ETHER = 14, IP4 = 20, IP6 = 40, TCP = 20, SYN_OPTIONS = 12 };
enum { PATTERN_LEN = sizeof(GEN_PATTERN) - 1, PLANT_AT = 16 };
enum { WINDOW = 65535, WSCALE = 7 };

struct gencontent {
    struct gen_cfg c;
    uint16_t ip_id;
    uint8_t pool[POOL_BYTES + POOL_TAIL];
};

struct gencontent *gencontent_new(const struct gen_cfg *c)
{
    struct gencontent *k = malloc(sizeof(*k));
    struct rng r;

    if (k == NULL)
        return NULL;
    k->c = *c;
    k->ip_id = 0;
    rng_seed(&r, c->seed ^ 0x636f6e74656e74);
    for (uint32_t i = 0; i < POOL_BYTES; i += 8) {
        uint64_t v = rng_next(&r);

        memcpy(k->pool + i, &v, sizeof(v));
    }
    memcpy(k->pool + POOL_BYTES, k->pool, POOL_TAIL);
    return k;
}

void gencontent_free(struct gencontent *k)
{
    free(k);
}

/* ---- content ---- */

/* plant_at: stream offset of the n-th planted string; the second lies across two segments.
 * => false: there is none. */
static bool plant_at(const struct gen_cfg *c, uint32_t flow, int n, uint32_t *at)
{
    *at = n ? c->mss - PATTERN_LEN / 2 : PLANT_AT;
    if (c->plant_every == 0 || flow % c->plant_every || n > 1 || *at + PATTERN_LEN > c->bytes)
        return false;
    return n == 0 || *at >= PLANT_AT + PATTERN_LEN;
}

uint32_t gencontent_planted(const struct gencontent *k, uint32_t flow)
{
    uint32_t n = 0, at;

    while (plant_at(&k->c, flow, (int)n, &at))
        n++;
    return n;
}

static void put_payload(const struct gencontent *k, const struct genframe *f, uint8_t *to)
{
    uint64_t base = hash_mix(k->c.seed + f->flow * 2u + f->from_server);
    uint32_t at;

    memcpy(to, k->pool + ((base + f->off) & (POOL_BYTES - 1)), f->plen);
    for (int n = 0; f->from_server && plant_at(&k->c, f->flow, n, &at); n++)
        for (uint32_t i = 0; i < PATTERN_LEN; i++)
            if (at + i >= f->off && at + i < f->off + f->plen)
                to[at + i - f->off] = (uint8_t)GEN_PATTERN[i];
}

void gencontent_bytes(const struct gencontent *k, uint32_t flow, bool from_server, uint32_t off,
                      uint8_t *to, uint32_t len)
{
    const struct genframe f = {.flow = flow, .from_server = from_server, .off = off, .plen = len};

    put_payload(k, &f, to);
}

/* ---- headers ---- */

static uint8_t *put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    return put16(put16(p, v >> 16), v & 0xffff);
}

/* host: an address' last 32 bits: 10.x.x.x for clients, each its own; 192.168.0.x for servers. */
static uint32_t host(uint32_t flow, bool server)
{
    if (server)
        return 0xc0a80001u + hash_mix(flow) % 250;
    return 0x0a000000u | ((flow * HOST_FACTOR) & 0xffffff);
}

uint32_t genframe_flow(uint32_t client)
{
    uint32_t inverse = HOST_FACTOR;

    for (int i = 0; i < 5; i++) /* Newton: each step doubles the right bits */
        inverse *= 2 - HOST_FACTOR * inverse;
    return client * inverse & 0xffffff;
}

static uint32_t port(uint32_t flow, bool server)
{
    return server ? (flow & 1 ? 443 : 80) : 1024 + (uint32_t)(hash_mix(~(uint64_t)flow) % 60000);
}

static uint8_t *put_address(uint8_t *p, bool ipv6, uint32_t h)
{
    if (ipv6) {
        p = put32(p, 0x20010db8);
        p = put32(p, 0);
        p = put32(p, 1);
    }
    return put32(p, h);
}

static uint8_t *put_ether(uint8_t *p, bool from_server, bool ipv6)
{
    static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 0xc}, {2, 0, 0, 0, 0, 0x5}};

    memcpy(p, mac[!from_server], 6);
    memcpy(p + 6, mac[from_server], 6);
    return put16(p + 12, ipv6 ? 0x86dd : 0x0800);
}

static uint8_t *put_ip(struct gencontent *k, uint8_t *p, const struct genframe *f, uint32_t l4_len)
{
    bool v6 = k->c.ipv6;
    uint8_t *start = p;
    uint16_t sum;

    if (v6) {
        p = put32(p, 0x60000000);
        p = put16(p, l4_len);
        p = put16(p, 6 << 8 | 64);
    } else {
        p = put16(p, 0x4500);
        p = put16(p, IP4 + l4_len);
        p = put16(p, k->ip_id++);
        p = put16(p, 0x4000);
        p = put16(p, 64 << 8 | 6);
        p = put16(p, 0);
    }
    p = put_address(p, v6, host(f->flow, f->from_server));
    p = put_address(p, v6, host(f->flow, !f->from_server));
    if (!v6) {
        sum = csum_fold(csum_add(0, start, IP4));
        memcpy(start + 10, &sum, sizeof(sum));
    }
    return p;
}

/* put_tcp: header and payload. The addresses for the checksum lie right before it. */
static uint8_t *put_tcp(const struct gencontent *k, uint8_t *p, const struct genframe *f)
{
    static const uint8_t options[] = {2, 4, 0, 0, 1, 3, 3, WSCALE, 1, 1, 4, 2};
    uint32_t hlen = f->flags & GF_SYN ? TCP + SYN_OPTIONS : TCP, pair = k->c.ipv6 ? 32 : 8;
    uint8_t *t = p, tail[4];
    uint16_t sum;

    p = put16(p, port(f->flow, f->from_server));
    p = put16(p, port(f->flow, !f->from_server));
    p = put32(p, f->seq);
    p = put32(p, f->ack);
    p = put16(p, hlen << 10 | f->flags);
    p = put16(p, WINDOW);
    p = put32(p, 0);
    if (f->flags & GF_SYN) {
        memcpy(p, options, SYN_OPTIONS);
        put16(p + 2, k->c.mss);
        p += SYN_OPTIONS;
    }
    if (f->plen)
        put_payload(k, f, p);
    p += f->plen;
    put16(put16(tail, 6), hlen + f->plen);
    sum = csum_fold(csum_add(csum_add(csum_add(0, tail, 4), t - pair, pair), t, hlen + f->plen));
    memcpy(t + 16, &sum, sizeof(sum));
    return p;
}

uint32_t genframe_build(struct gencontent *k, const struct genframe *f, uint8_t *buf)
{
    uint32_t hlen = f->flags & GF_SYN ? TCP + SYN_OPTIONS : TCP;
    uint8_t *p = put_ether(buf, f->from_server, k->c.ipv6);

    p = put_ip(k, p, f, hlen + f->plen);
    return (uint32_t)(put_tcp(k, p, f) - buf);
}
