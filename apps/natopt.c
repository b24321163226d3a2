// SPDX-License-Identifier: BSD-2-Clause
/*
 * natopt.c: --to ADDRESS[-ADDRESS][:PORT-PORT] and --from PREFIX. An IPv6 address that ports follow
 * stands in brackets.
 */
#include "natopt.h"
#include "appconf.h"
#include "netaddr.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <arpa/inet.h>
#include <mtcp_util.h>

#define FIRST_PORT 1024 /* of those that clients choose from */
#define LAST_PORT  65535

/* Who is translated if --from does not say: private addresses (RFC 1918, 6598, 4193). */
static const char *const private_nets[] = {"10.0.0.0/8",    "172.16.0.0/12", "192.168.0.0/16",
                                           "100.64.0.0/10", "fc00::/7",      NULL};

const char natopt_help[] =
    "  --to ADDR[-ADDR][:PORT-PORT]\n"
    "                       public addresses and their ports (1024-65535); several times if need "
    "be\n"
    "  --from PREFIX        whose connections are translated: private addresses if not given;\n"
    "                       several times if need be\n"
    "  --rest SECONDS       how long a connection that has ended keeps its port (4)\n"
    "  --transitory SECONDS silence after which one that opens or closes is given up (240)\n"
    "  --timeout SECONDS    the same for one that is open (7440)\n"
    "  --pass-other         let pass as it is what is not TCP; if not, it is dropped\n"
    "  --seed N             the order in which ports are used; drawn at random if not given\n";

static int bad_to(const char *text)
{
    return complain(APP_MISUSE,
                    "--to: expected ADDRESS[-ADDRESS][:PORT-PORT], such as 192.0.2.1-192.0.2.4 or "
                    "[2001:db8::1]:1024-65535, got '%s'",
                    text);
}

/* take_addr: an address at *at, which moves behind it. => false: there is none. */
static bool take_addr(const char **at, struct nat_addr *a)
{
    const bool bracket = **at == '[';
    const char *s = *at + bracket;
    size_t n = strcspn(s, "]-");
    char text[INET6_ADDRSTRLEN];

    if (!bracket && memchr(s, '.', n)) /* IPv4: ports may follow */
        n = strcspn(s, ":-");
    if (n >= sizeof(text) || (bracket && s[n] != ']'))
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    *at = s + n + bracket;
    a->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    memset(a->b, 0, sizeof(a->b));
    return inet_pton(a->family, text, a->b) == 1;
}

/* take_ports: what stands behind the addresses. */
static bool take_ports(const char *s, struct nat_addr *a)
{
    unsigned lo = FIRST_PORT, hi = LAST_PORT;
    int n = 0;

    if (*s && (sscanf(s, ":%5u-%5u%n", &lo, &hi, &n) != 2 || s[n]))
        return false;
    if (lo < 1 || lo > hi || hi > LAST_PORT)
        return false;
    a->lo = (uint16_t)lo;
    a->hi = (uint16_t)hi;
    return true;
}

static void next_addr(struct nat_addr *a)
{
    int i = (a->family == AF_INET6 ? 16 : 4) - 1;

    while (i >= 0 && ++a->b[i] == 0)
        i--;
}

static bool has_addr(const struct nat_pool *pool, const struct nat_addr *a)
{
    for (int i = 0; i < pool->naddr; i++)
        if (pool->addr[i].family == a->family && memcmp(pool->addr[i].b, a->b, sizeof(a->b)) == 0)
            return true;
    return false;
}

/* One --to. => an exit status. */
static int add_to(struct nat_pool *pool, const char *text)
{
    const char *at = text;
    struct nat_addr a, last;

    if (!take_addr(&at, &a))
        return bad_to(text);
    last = a;
    if (*at == '-') {
        at++;
        if (!take_addr(&at, &last) || last.family != a.family)
            return bad_to(text);
    }
    if (!take_ports(at, &a) || memcmp(a.b, last.b, sizeof(a.b)) > 0)
        return bad_to(text);
    for (;; next_addr(&a)) {
        if (pool->naddr == NAT_ADDRS)
            return complain(APP_MISUSE, "--to: more than %d addresses", NAT_ADDRS);
        if (netaddr_not_host(a.family, a.b))
            return complain(APP_MISUSE, "--to: expected addresses of hosts, got '%s': one is %s",
                            text, netaddr_not_host(a.family, a.b));
        if (has_addr(pool, &a))
            return complain(APP_MISUSE, "--to: an address of '%s' stands there twice", text);
        pool->addr[pool->naddr++] = a;
        if (memcmp(a.b, last.b, sizeof(a.b)) == 0)
            return APP_OK;
    }
}

static bool has_family(const struct nat_pool *pool, int family)
{
    for (int i = 0; i < pool->naddr; i++)
        if (pool->addr[i].family == family)
            return true;
    return false;
}

/* One --from: its family. => 0: it is no prefix, the complaint made. */
static int family_of(const char *text)
{
    struct netaddr a;

    if (!netaddr_read(&a, text, strlen(text)))
        return complain(0, "--from: expected a prefix such as 10.0.0.0/8, got '%s'", text);
    if (netaddr_has_tail(&a))
        return complain(0, "--from: there are bits behind the prefix length, got '%s'", text);
    return a.family;
}

/* The filter: SYNs from one of these, of a family that has a public address. => an exit status. */
static int make_filter(struct natopt *n, const char *const *from, int nfrom)
{
    size_t len = 0, cap = (size_t)nfrom * (INET6_ADDRSTRLEN + 20) + 1;

    n->filter = malloc(cap);
    if (!n->filter)
        return complain(APP_BROKEN, "out of memory");
    for (int i = 0; i < nfrom; i++) {
        int family = family_of(from[i]);

        if (family == 0)
            return APP_MISUSE;
        if (has_family(&n->pool, family))
            len += (size_t)snprintf(n->filter + len, cap - len, "%ssrc net %s", len ? " or " : "",
                                    from[i]);
    }
    if (len == 0)
        return complain(APP_MISUSE, "--from: no address of --to is of the clients' IP version");
    return APP_OK;
}

static int ms_of(const char *seconds)
{
    double ms = strtod(seconds, NULL) * 1000 + 0.5;

    return ms < INT_MAX ? (int)ms : -1;
}

/* make_proxies: routed, the box answers for all public addresses. => an exit status. */
static int make_proxies(struct natopt *n, const struct appopt *opt)
{
    int k = 0;

    n->proxy = calloc((size_t)n->pool.naddr, sizeof(*n->proxy));
    n->proxies = calloc((size_t)n->pool.naddr + 1, sizeof(*n->proxies));
    if (!n->proxy || !n->proxies)
        return complain(APP_BROKEN, "out of memory");
    for (int i = 0; i < n->pool.naddr; i++) {
        const struct nat_addr *a = &n->pool.addr[i];

        inet_ntop(a->family, a->b, n->proxy[k], sizeof(n->proxy[k]));
        if (!appconf_is_address(opt, n->proxy[k]))
            n->proxies[k] = n->proxy[k];
        k += n->proxies[k] != NULL;
    }
    return APP_OK;
}

int natopt_make(struct natopt *n, const struct appopt *opt)
{
    int nprivate = 0, status = APP_OK;

    *n = (struct natopt){.live_ms = ms_of(opt->timeout), .transitory_ms = ms_of(opt->transitory)};
    if (opt->nto == 0)
        return complain(APP_MISUSE, "--to: which addresses are connections to come from?");
    for (int i = 0; status == APP_OK && i < opt->nto; i++)
        status = add_to(&n->pool, opt->to[i]);
    if (status != APP_OK)
        return status;
    n->pool.seed = (uint64_t)opt->seed;
    if (!opt->seed && getrandom(&n->pool.seed, sizeof(n->pool.seed), 0) != sizeof(n->pool.seed))
        return complain(APP_BROKEN, "no random numbers: %s", strerror(errno));
    for (int x = 0; x < NAT_CLASSES; x++)
        n->pool.core_of[x] = (uint8_t)GetRSSCPUCore(0, 0, htons((uint16_t)x), 0, opt->cores);
    snprintf(n->conf, sizeof(n->conf),
             "    midstream = 0\n    drop_orphans = 1\n    drop_other = %d\n"
             "    tcp_tw_interval = %s\n    linger = %s\n",
             !opt->pass_other, opt->rest, opt->rest);
    while (private_nets[nprivate])
        nprivate++;
    status =
        opt->nfrom ? make_filter(n, opt->from, opt->nfrom) : make_filter(n, private_nets, nprivate);
    return status == APP_OK && opt->naddress ? make_proxies(n, opt) : status;
}

void natopt_free(struct natopt *n)
{
    free(n->filter);
    free(n->proxy);
    free(n->proxies);
    n->filter = NULL;
}
