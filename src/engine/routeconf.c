// SPDX-License-Identifier: BSD-2-Clause
/*
 * routeconf.c: addresses, routes and fixed neighbours, as the configuration has them:
 *
 *     address_table { eth0 10.0.0.1/24 [02:00:00:00:00:01] }
 *     route_table   { 10.0.2.0/24 eth1 [10.0.1.254] }  or  { 0.0.0.0/0 via 10.0.1.254 }
 *     arp_table     { 10.0.1.254/32 02:00:00:00:00:02 }
 */
#include "engine/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"

/* What is being read. */
struct rows {
    const struct conf_file *f;
    const char *const *names;
    int nnames;
    struct router_conf *c;
};

static int bad(const struct rows *r, const struct conf_item *it, const char *what)
{
    return err_set(EINVAL, "%s:%d: %s", r->f->path, it->line, what);
}

static int find_name(const struct rows *r, const struct conf_item *it, const char *name)
{
    for (int i = 0; i < r->nnames; i++)
        if (strcmp(r->names[i], name) == 0)
            return i;
    return err_set(ENODEV, "%s:%d: '%s' is not in netdev", r->f->path, it->line, name);
}

static bool read_mac(const char *text, uint8_t mac[6])
{
    unsigned v[6];
    int n = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", v, v + 1, v + 2, v + 3, v + 4, v + 5, &n) != 6 ||
        text[n])
        return false;
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)v[i];
    return !(mac[0] & 1);
}

/* beside_others: is there room for the next address? Neither it nor its net may be elsewhere. */
static int beside_others(const struct rows *r, const struct conf_item *it, int ifidx)
{
    const struct router_conf *c = r->c;
    const struct router_addr *a = &c->addr[c->naddr];

    for (int i = 0; i < c->naddr; i++) {
        const struct router_addr *b = &c->addr[i];

        if (ipaddr_eq(&b->addr, &a->addr))
            return bad(r, it, "address_table: the address is there twice");
        if (b->ifidx != ifidx && b->len == a->len && ipaddr_within(&a->addr, &b->addr, b->len))
            return err_set(EINVAL,
                           "%s:%d: address_table: %s: its net is that of an address of '%s' "
                           "already, and can be on one link only",
                           r->f->path, it->line, it->word[1], r->names[b->ifidx]);
    }
    return 0;
}

static int address_row(struct rows *r, const struct conf_item *it)
{
    struct router_conf *c = r->c;
    struct router_addr *a = &c->addr[c->naddr];
    int ifidx;

    if (it->kind != CONF_ROW || it->nwords < 2 || it->nwords > 3 || !strchr(it->word[1], '/') ||
        !ipaddr_read(it->word[1], &a->addr, &a->len))
        return bad(r, it,
                   "address_table: expected a device, an address such as 10.0.0.1/24, and "
                   "perhaps a MAC");
    ifidx = find_name(r, it, it->word[0]);
    if (ifidx < 0)
        return -1;
    if (beside_others(r, it, ifidx) < 0)
        return -1;
    a->ifidx = (uint8_t)ifidx;
    if (it->nwords == 3) {
        if (!read_mac(it->word[2], c->mac[ifidx]))
            return bad(r, it, "address_table: expected a MAC such as 02:00:00:00:00:01");
        c->has_mac[ifidx] = true;
    }
    if (++c->naddr == ROUTER_ADDRS)
        return bad(r, it, "address_table: too many addresses");
    return 0;
}

static int route_row(struct rows *r, const struct conf_item *it)
{
    struct router_conf *c = r->c;
    struct route *v, one = {.ifidx = ROUTER_IFS};
    const char *gateway = it->nwords == 3 ? it->word[2] : NULL;
    int ifidx = 0;

    if (it->kind != CONF_ROW || it->nwords < 2 || it->nwords > 3 ||
        !ipaddr_read(it->word[0], &one.net, &one.len))
        return bad(r, it,
                   "route_table: expected a prefix, a device or 'via', and perhaps a gateway");
    if (ipaddr_has_tail(&one.net, one.len))
        return bad(r, it, "route_table: there are bits behind the prefix length");
    if (strcmp(it->word[1], "via") != 0) {
        ifidx = find_name(r, it, it->word[1]);
        one.ifidx = (uint8_t)ifidx;
    } else if (gateway == NULL) {
        return bad(r, it, "route_table: via which gateway?");
    }
    if (ifidx < 0)
        return -1;
    one.has_gateway = gateway != NULL;
    if (gateway && (!ipaddr_read(gateway, &one.gateway, NULL) || one.gateway.v6 != one.net.v6))
        return bad(r, it, "route_table: the gateway is no address of the same IP version");
    v = realloc(c->route, (size_t)(c->nroute + 1) * sizeof(*v));
    if (v == NULL)
        return err_set(ENOMEM, "no memory");
    c->route = v;
    v[c->nroute++] = one;
    return 0;
}

static int arp_row(struct rows *r, const struct conf_item *it)
{
    struct router_conf *c = r->c;
    struct neigh *v, one = {0};
    uint8_t len;

    if (it->kind != CONF_ROW || it->nwords != 2 || !ipaddr_read(it->word[0], &one.addr, &len) ||
        len != (one.addr.v6 ? 128 : 32) || !read_mac(it->word[1], one.mac))
        return bad(r, it, "arp_table: expected an address and a MAC");
    v = realloc(c->fixed, (size_t)(c->nfixed + 1) * sizeof(*v));
    if (v == NULL)
        return err_set(ENOMEM, "no memory");
    c->fixed = v;
    v[c->nfixed++] = one;
    return 0;
}

static int read_rows(struct rows *r, const struct conf_item *block,
                     int (*row)(struct rows *, const struct conf_item *))
{
    for (const struct conf_item *it = block ? block->child : NULL; it; it = it->next)
        if (row(r, it) < 0)
            return -1;
    return 0;
}

int routeconf_read(const struct conf_file *f, const struct conf_item *addrs,
                   const struct conf_item *routes, const struct conf_item *arps,
                   const char *const *names, int nnames, struct router_conf **out)
{
    struct rows r = {.f = f, .names = names, .nnames = nnames};

    *out = NULL;
    if (addrs == NULL || addrs->child == NULL)
        return 0;
    if (nnames > ROUTER_IFS)
        return err_set(EINVAL, "%s:%d: address_table: more than %d devices", f->path, addrs->line,
                       ROUTER_IFS);
    r.c = calloc(1, sizeof(*r.c));
    if (r.c == NULL)
        return err_set(ENOMEM, "no memory");
    if (read_rows(&r, addrs, address_row) < 0 || read_rows(&r, routes, route_row) < 0 ||
        read_rows(&r, arps, arp_row) < 0) {
        routeconf_free(r.c);
        return -1;
    }
    *out = r.c;
    return 0;
}

void routeconf_free(struct router_conf *c)
{
    if (c) {
        free(c->route);
        free(c->fixed);
    }
    free(c);
}

/* ---- a router of it ---- */

/* on_link: the interface on whose link this address lies. => ROUTER_NOT. */
static int on_link(const struct router_conf *c, const struct ipaddr *a)
{
    for (int i = 0; i < c->naddr; i++)
        if (ipaddr_within(a, &c->addr[i].addr, c->addr[i].len))
            return c->addr[i].ifidx;
    return ROUTER_NOT;
}

static const char *addr_text(const struct ipaddr *a, char *out)
{
    if (!a->v6)
        sprintf(out, "%u.%u.%u.%u", a->b[0], a->b[1], a->b[2], a->b[3]);
    else
        sprintf(out, "%x:%x:...:%x", a->b[0] << 8 | a->b[1], a->b[2] << 8 | a->b[3],
                a->b[14] << 8 | a->b[15]);
    return out;
}

/* add_addresses: ours, and the nets on their links. */
static int add_addresses(struct router *r)
{
    const struct router_conf *c = r->conf;

    for (int i = 0; i < c->naddr; i++) {
        const struct router_addr *a = &c->addr[i];
        struct route own = {
            .net = a->addr, .len = a->addr.v6 ? 128 : 32, .ifidx = a->ifidx, .local = true};
        struct route net = {.net = a->addr, .len = a->len, .ifidx = a->ifidx};

        if (route_add(&r->routes, &own) < 0)
            return -1;
        if (a->len != own.len && route_add(&r->routes, &net) < 0 && errno != EEXIST)
            return -1; /* two addresses in one net */
    }
    return 0;
}

static int add_routes(struct router *r)
{
    const struct router_conf *c = r->conf;
    char text[40];

    for (int i = 0; i < c->nroute; i++) {
        struct route one = c->route[i];

        if (one.has_gateway) {
            int ifidx = on_link(c, &one.gateway);

            if (ifidx == ROUTER_NOT || (one.ifidx != ROUTER_IFS && one.ifidx != ifidx))
                return err_set(EINVAL, "route_table: the gateway %s is on no link of ours",
                               addr_text(&one.gateway, text));
            one.ifidx = (uint8_t)ifidx;
        }
        if (route_add(&r->routes, &one) < 0) {
            int code = errno;

            err_prefix("route_table: %s/%d: ", addr_text(&one.net, text), one.len);
            errno = code;
            return -1;
        }
    }
    return 0;
}

static int add_fixed(struct router *r)
{
    const struct router_conf *c = r->conf;
    char text[40];

    for (int i = 0; i < c->nfixed; i++) {
        int ifidx = on_link(c, &c->fixed[i].addr);

        if (ifidx == ROUTER_NOT)
            return err_set(EINVAL, "arp_table: %s is on no link of ours",
                           addr_text(&c->fixed[i].addr, text));
        if (neigh_fix(&r->neigh, (uint8_t)ifidx, &c->fixed[i].addr, c->fixed[i].mac) < 0)
            return -1;
    }
    return 0;
}

/* link_local: RFC 4291 appendix A. */
static struct ipaddr link_local(const uint8_t mac[6])
{
    struct ipaddr a = {.v6 = true, .b = {0xfe, 0x80, [11] = 0xff, [12] = 0xfe}};

    memcpy(a.b + 8, mac, 3);
    memcpy(a.b + 13, mac + 3, 3);
    a.b[8] ^= 2;
    return a;
}

int router_init(struct router *r, const struct router_conf *c, const uint8_t (*mac)[6], int nif,
                uint64_t secret)
{
    memset(r, 0, sizeof(*r));
    r->conf = c;
    r->nif = nif;
    neigh_init(&r->neigh, secret);
    for (int i = 0; i < nif; i++) {
        memcpy(r->mac[i], c->has_mac[i] ? c->mac[i] : mac[i], 6);
        r->link_local[i] = link_local(r->mac[i]);
    }
    if (add_addresses(r) == 0 && add_routes(r) == 0 && add_fixed(r) == 0)
        return 0;
    router_fini(r);
    return -1;
}

void router_fini(struct router *r)
{
    int code = errno;

    route_drop(&r->routes);
    neigh_fini(&r->neigh);
    errno = code;
}
