// SPDX-License-Identifier: BSD-2-Clause
/*
 * route.c: a list, longest prefixes first: a box between two subnets has a handful of them, and
 * whoever forwards asks once a second for each destination (router.c), not for each packet.
 */
#include "engine/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/errtext.h"

static uint8_t bits(const struct ipaddr *a)
{
    return a->v6 ? 128 : 32;
}

bool ipaddr_read(const char *text, struct ipaddr *a, uint8_t *len)
{
    const size_t n = strcspn(text, "/");
    char addr[INET6_ADDRSTRLEN], *end;
    unsigned long v;

    memset(a, 0, sizeof(*a));
    if (n >= sizeof(addr))
        return false;
    memcpy(addr, text, n);
    addr[n] = '\0';
    a->v6 = strchr(addr, ':') != NULL;
    if (inet_pton(a->v6 ? AF_INET6 : AF_INET, addr, a->b) != 1)
        return false;
    if (len)
        *len = bits(a);
    if (text[n] == '\0')
        return true;
    if (len == NULL || text[n + 1] < '0' || text[n + 1] > '9')
        return false;
    v = strtoul(text + n + 1, &end, 10);
    if (*end || v > bits(a))
        return false;
    *len = (uint8_t)v;
    return true;
}

bool ipaddr_eq(const struct ipaddr *a, const struct ipaddr *b)
{
    return a->v6 == b->v6 && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool ipaddr_within(const struct ipaddr *a, const struct ipaddr *net, uint8_t len)
{
    const uint8_t rest = len % 8;

    if (a->v6 != net->v6 || memcmp(a->b, net->b, len / 8) != 0)
        return false;
    return rest == 0 || ((a->b[len / 8] ^ net->b[len / 8]) & (0xff00 >> rest & 0xff)) == 0;
}

static void clear_behind(struct ipaddr *a, uint8_t len)
{
    for (unsigned i = len; i < sizeof(a->b) * 8; i++)
        a->b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

bool ipaddr_has_tail(const struct ipaddr *a, uint8_t len)
{
    struct ipaddr net = *a;

    clear_behind(&net, len);
    return !ipaddr_eq(&net, a);
}

int route_add(struct route_table *t, const struct route *r)
{
    struct route new_ = *r, *v;
    int at = 0;

    clear_behind(&new_.net, new_.len);
    for (int i = 0; i < t->n; i++)
        if (t->v[i].len == new_.len && ipaddr_eq(&t->v[i].net, &new_.net))
            return err_set(EEXIST, "there is another route for the same prefix");
    if (t->n == ROUTE_MAX)
        return err_set(ENOSPC, "more than %d routes", ROUTE_MAX);
    v = realloc(t->v, (size_t)(t->n + 1) * sizeof(*v));
    if (v == NULL)
        return err_set(ENOMEM, "no memory");
    t->v = v;
    while (at < t->n && v[at].len >= new_.len)
        at++;
    memmove(v + at + 1, v + at, (size_t)(t->n - at) * sizeof(*v));
    v[at] = new_;
    t->n++;
    return 0;
}

const struct route *route_find(const struct route_table *t, const struct ipaddr *a)
{
    for (int i = 0; i < t->n; i++)
        if (ipaddr_within(a, &t->v[i].net, t->v[i].len))
            return &t->v[i];
    return NULL;
}

void route_drop(struct route_table *t)
{
    free(t->v);
    memset(t, 0, sizeof(*t));
}
