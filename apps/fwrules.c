// SPDX-License-Identifier: BSD-2-Clause
/* fwrules.c: rules by shape and hash: which is the first that matches? */
#include "fwrules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#define NO_RULE    UINT32_MAX
#define PREFIXES_4 33 /* lengths that there are */
#define PREFIXES_6 129

/* Rules that fix the same bits. */
struct fw_shape {
    uint8_t len[2];
    uint8_t one[2];  /* one port, not many */
    uint32_t first;  /* rule */
    uint32_t number; /* part of the key */
};

/* A rule in the chain of its hash: ascending. */
struct fw_link {
    uint32_t next, rule; /* next: link + 1; 0: none */
    uint32_t shape;
};

/* What is hashed. */
struct key {
    uint8_t addr[2][16];
    uint16_t port[2];
    uint32_t shape;
};

const char *const fw_action_names[] = {"ACCEPT", "DROP", "REJECT", NULL};

/* ---- one rule ---- */

static bool in_prefix(const uint8_t *addr, const uint8_t *prefix, int len)
{
    const int whole = len / 8, rest = len % 8;

    return memcmp(addr, prefix, (size_t)whole) == 0 &&
           (rest == 0 || ((addr[whole] ^ prefix[whole]) >> (8 - rest)) == 0);
}

bool fw_matches(const struct fw_rule *rule, const struct fw_packet *p)
{
    if (rule->family && rule->family != p->family)
        return false;
    for (int w = FW_SRC; w <= FW_DST; w++)
        if (p->port[w] < rule->lo[w] || p->port[w] > rule->hi[w] ||
            !in_prefix(p->addr[w], rule->addr[w], rule->len[w]))
            return false;
    return true;
}

const char *fw_prefix_text(const struct fw_rule *rule, int which, char out[FW_TEXT])
{
    const int max = rule->family == AF_INET6 ? 128 : 32, len = rule->len[which];
    size_t n;

    if (len == 0 && (rule->family == 0 || rule->len[!which]))
        return strcpy(out, "any");
    inet_ntop(rule->family, rule->addr[which], out, FW_TEXT);
    n = strlen(out);
    if (len < max) /* also where `any` would be either family's */
        snprintf(out + n, FW_TEXT - n, "/%d", len);
    return out;
}

const char *fw_ports_text(const struct fw_rule *rule, int which, char out[FW_TEXT])
{
    const unsigned lo = rule->lo[which], hi = rule->hi[which];

    if (lo == 0 && hi == UINT16_MAX)
        return strcpy(out, "any");
    if (lo == hi)
        snprintf(out, FW_TEXT, "%u", lo);
    else
        snprintf(out, FW_TEXT, "%u-%u", lo, hi);
    return out;
}

/* ---- keys ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    const unsigned __int128 m =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xd6e8feb86659fd93);

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint32_t hash_of(const struct key *k)
{
    uint64_t v[5], h;

    _Static_assert(sizeof(v) == sizeof(*k), "a key is five words");
    memcpy(v, k, sizeof(v));
    h = mix(mix(v[0], v[1]), mix(v[2], v[3]) ^ v[4]);
    return (uint32_t)(h ^ h >> 32);
}

static void cut(uint8_t *out, const uint8_t *addr, int len)
{
    memcpy(out, addr, (size_t)len / 8);
    if (len % 8)
        out[len / 8] = (uint8_t)(addr[len / 8] & (0xff00 >> len % 8));
}

static uint32_t place(const struct fwrules *r, const struct fw_shape *s, const uint8_t addr[2][16],
                      const uint16_t port[2])
{
    struct key k = {.shape = s->number};

    for (int w = FW_SRC; w <= FW_DST; w++) {
        cut(k.addr[w], addr[w], s->len[w]);
        k.port[w] = s->one[w] ? port[w] : 0;
    }
    return hash_of(&k) & r->mask;
}

/* ---- the index ---- */

/* shape_at: the place of a rule's shape in an array of all that there may be. */
static uint32_t shape_at(const struct fw_rule *rule, uint32_t prefixes)
{
    return ((rule->len[FW_SRC] * prefixes + rule->len[FW_DST]) * 2 +
            (rule->lo[FW_SRC] == rule->hi[FW_SRC])) *
               2 +
           (rule->lo[FW_DST] == rule->hi[FW_DST]);
}

static bool is_of(const struct fw_rule *rule, int v6)
{
    return rule->family == 0 || (rule->family == AF_INET6) == v6;
}

/* find_shapes: of one family, in the order of their first rules; of[rule] is its shape. */
static bool find_shapes(struct fwrules *r, int v6, uint32_t *of)
{
    const uint32_t prefixes = v6 ? PREFIXES_6 : PREFIXES_4;
    uint32_t *known = calloc((size_t)prefixes * prefixes * 4, sizeof(*known)), n = 0;
    struct fw_shape *v = calloc((size_t)r->n + 1, sizeof(*v));

    for (uint32_t i = 0; known && v && i < r->n; i++) {
        const struct fw_rule *rule = &r->rule[i];
        uint32_t *k = &known[shape_at(rule, prefixes)];

        if (!is_of(rule, v6))
            continue;
        if (*k == 0) {
            v[n] = (struct fw_shape){.first = i, .number = n * 2 + (uint32_t)v6};
            for (int w = FW_SRC; w <= FW_DST; w++) {
                v[n].len[w] = rule->len[w];
                v[n].one[w] = rule->lo[w] == rule->hi[w];
            }
            *k = ++n;
        }
        of[i] = *k - 1;
    }
    free(r->shape[v6]);
    r->shape[v6] = v;
    r->nshape[v6] = n;
    free(known);
    return known && v;
}

/* link_all: from the last rule to the first, each in front of its chain. */
static void link_all(struct fwrules *r, int v6, const uint32_t *of)
{
    for (uint32_t i = r->n; i-- > 0;) {
        const struct fw_rule *rule = &r->rule[i];
        const uint32_t at = i * 2 + (uint32_t)v6;
        const struct fw_shape *s;
        uint32_t *head;

        if (!is_of(rule, v6))
            continue;
        s = &r->shape[v6][of[i]];
        head = &r->head[place(r, s, rule->addr, rule->lo)];
        r->link[at] = (struct fw_link){.next = *head, .rule = i, .shape = s->number};
        *head = at + 1;
    }
}

bool fwrules_build(struct fwrules *r)
{
    uint32_t size = 64, *of = calloc(r->n + 1, sizeof(*of));
    bool good = of != NULL;

    while (size < r->n * 4)
        size *= 2;
    free(r->head);
    free(r->link);
    r->mask = size - 1;
    r->head = calloc(size, sizeof(*r->head));
    r->link = calloc(r->n * 2 + 1, sizeof(*r->link));
    good = good && r->head && r->link;
    for (int v6 = 0; good && v6 < 2; v6++) {
        good = find_shapes(r, v6, of);
        if (good)
            link_all(r, v6, of);
    }
    free(of);
    return good;
}

/* first_of: the first rule of this shape that matches, if it is below `best`; else that. */
static uint32_t first_of(const struct fwrules *r, const struct fw_shape *s,
                         const struct fw_packet *p, uint32_t best)
{
    for (uint32_t at = r->head[place(r, s, p->addr, p->port)]; at; at = r->link[at - 1].next) {
        const struct fw_link *l = &r->link[at - 1];

        if (l->shape == s->number && l->rule < best && fw_matches(&r->rule[l->rule], p))
            return l->rule;
    }
    return best;
}

int fwrules_find(const struct fwrules *r, const struct fw_packet *p)
{
    const int v6 = p->family == AF_INET6;
    uint32_t best = NO_RULE;

    for (uint32_t i = 0; i < r->nshape[v6] && r->shape[v6][i].first < best; i++)
        best = first_of(r, &r->shape[v6][i], p, best);
    return best == NO_RULE ? -1 : (int)best;
}

void fwrules_free(struct fwrules *r)
{
    if (!r)
        return;
    free(r->rule);
    free(r->line);
    free(r->shape[0]);
    free(r->shape[1]);
    free(r->link);
    free(r->head);
    free(r);
}
