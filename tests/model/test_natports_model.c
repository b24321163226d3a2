// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_natports_model.c: ports taken and given back at random, on several cores at a time, against
 * a naive twin: a list of who has which port to which server. Every reply must come to the core that
 * chose the port, no two connections to one server may share a port, and "none left" must be true.
 * STEPS and SEED in the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <mtcp_util.h>

#include "base/hash.h"
#include "natports.h"
#include "repeat.h"

enum { CORES = 64, LIVE = 1 << 17 };

/* A connection of the twin. */
struct conn {
    struct nat_binding *b;
    uint8_t core, server;
};

static struct {
    struct rng r;
    struct nat_pool pool;
    int cores, nservers;
    struct natports *np[CORES];
    struct conn live[LIVE];
    unsigned nlive;
    uint64_t steps, full;
} m;

static uint64_t seed;

static const struct in_addr servers[] = {{0x01020304}, {0xff00ff00}, {0x0a0b0c0d}, {0x7f7f0101}};

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s; SEED=%llu, step %llu, %d cores, %u live\n", #cond,                \
                    (unsigned long long)seed, (unsigned long long)m.steps, m.cores, m.nlive);      \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static unsigned below(unsigned n)
{
    return (unsigned)rng_below(&m.r, n);
}

static uint8_t server_fold(int server)
{
    const uint16_t port = htons((uint16_t)(80 + server));

    return nat_fold(&servers[server], 4) ^ nat_fold(&port, 2);
}

/* The core that a reply of this server to this address and port comes to. */
static int core_of(int server, int addr, unsigned port)
{
    in_addr_t pub;

    memcpy(&pub, m.pool.addr[addr].b, 4);
    return GetRSSCPUCore(servers[server].s_addr, pub, htons((uint16_t)(80 + server)),
                         htons((uint16_t)port), m.cores);
}

static void begin(void)
{
    m.pool = (struct nat_pool){.naddr = 1 + (int)below(4), .seed = rng_next(&m.r)};
    m.cores = below(3) ? 1 + (int)below(8) : 1;
    m.nservers = 1 + (int)below(4);
    m.nlive = 0;
    for (int i = 0; i < m.pool.naddr; i++) {
        struct nat_addr *a = &m.pool.addr[i];
        const uint32_t addr = (uint32_t)rng_next(&m.r);

        a->family = AF_INET;
        memcpy(a->b, &addr, 4);
        a->lo = (uint16_t)(1 + below(65000));
        a->hi = (uint16_t)(a->lo + below(below(2) ? 20 : 536));
    }
    for (int x = 0; x < NAT_CLASSES; x++)
        m.pool.core_of[x] = (uint8_t)GetRSSCPUCore(0, 0, htons((uint16_t)x), 0, m.cores);
    for (int c = 0; c < m.cores; c++) {
        m.np[c] = natports_create(&m.pool, c);
        assert_non_null(m.np[c]);
    }
}

/* Is this port free for that core, and does it lead there? */
static bool is_free(int core, int server, int addr, unsigned port)
{
    if (core_of(server, addr, port) != core)
        return false;
    for (unsigned i = 0; i < m.nlive; i++)
        if (m.live[i].core == core && m.live[i].b->addr == addr && ntohs(m.live[i].b->port) == port)
            return false;
    return true;
}

static bool any_free(int core, int server)
{
    for (int a = 0; a < m.pool.naddr; a++)
        for (unsigned p = m.pool.addr[a].lo; p <= m.pool.addr[a].hi; p++)
            if (is_free(core, server, a, p))
                return true;
    return false;
}

static void take(void)
{
    struct conn c = {.core = (uint8_t)below((unsigned)m.cores),
                     .server = (uint8_t)below((unsigned)m.nservers)};

    c.b = natports_take(m.np[c.core], AF_INET, server_fold(c.server), (uint32_t)rng_next(&m.r));
    if (!c.b) {
        m.full++;
        if (m.full % 16 == 0)
            CHECK(!any_free(c.core, c.server));
        return;
    }
    CHECK(c.b->taken && is_free(c.core, c.server, c.b->addr, ntohs(c.b->port)));
    for (unsigned i = 0; i < m.nlive; i++)
        CHECK(m.live[i].server != c.server || m.live[i].b->addr != c.b->addr ||
              m.live[i].b->port != c.b->port);
    CHECK(m.nlive < LIVE);
    m.live[m.nlive++] = c;
}

static void put(unsigned i)
{
    natports_put(m.np[m.live[i].core], m.live[i].b);
    m.live[i] = m.live[--m.nlive];
}

static void check(void)
{
    unsigned taken = 0;

    for (int c = 0; c < m.cores; c++) {
        CHECK(natports_check(m.np[c]));
        taken += natports_taken(m.np[c], -1);
    }
    CHECK(taken == m.nlive);
}

static void one_life(void)
{
    const unsigned steps = 100 + below(3000), more = 40 + below(40);

    begin();
    for (unsigned i = 0; i < steps; i++, m.steps++) {
        if (m.nlive == 0 || below(100) < more)
            take();
        else
            put(below(m.nlive));
        if (i % 256 == 0)
            check();
    }
    check();
    while (m.nlive)
        put(m.nlive - 1);
    check();
    for (int c = 0; c < m.cores; c++)
        natports_free(m.np[c]);
}

static void against_twin(void **state)
{
    const uint64_t end = env_number("STEPS", 60000);

    while (m.steps < end)
        one_life();
    assert_true(m.full > 0);
}

/* What was given back comes again only when all others were used. */
static void last_used_last(void **state)
{
    enum { PORTS = 1000 };
    struct nat_pool pool = {.naddr = 1, .seed = 9};
    unsigned when[65536] = {0}, shortest = PORTS;
    struct natports *np;

    pool.addr[0] = (struct nat_addr){.family = AF_INET, .lo = 2000, .hi = 2000 + PORTS - 1};
    np = natports_create(&pool, 0);
    assert_non_null(np);
    for (unsigned i = 1; i < 20 * PORTS; i++) {
        struct nat_binding *b = natports_take(np, AF_INET, (uint8_t)i, 0);

        assert_non_null(b);
        if (when[ntohs(b->port)] && i - when[ntohs(b->port)] < shortest)
            shortest = i - when[ntohs(b->port)];
        when[ntohs(b->port)] = i;
        natports_put(np, b);
    }
    assert_true(shortest >= PORTS / 2); /* classes differ in size by at most one of three or four */
    natports_free(np);
}

/* To one server each port can be used once, whatever the number of cores. */
static void all_ports_to_one_server(void **state)
{
    for (int cores = 1; cores <= 7; cores++) {
        struct nat_pool pool = {.naddr = 1, .seed = 1};
        unsigned all = 0;

        pool.addr[0] =
            (struct nat_addr){.family = AF_INET, .b = {192, 0, 2, 7}, .lo = 1, .hi = 65535};
        for (int x = 0; x < NAT_CLASSES; x++)
            pool.core_of[x] = (uint8_t)GetRSSCPUCore(0, 0, htons((uint16_t)x), 0, cores);
        for (int c = 0; c < cores; c++) {
            struct natports *np = natports_create(&pool, c);

            assert_non_null(np);
            while (natports_take(np, AF_INET, 0x5a, 3))
                all++;
            assert_true(natports_check(np));
            natports_free(np);
        }
        assert_int_equal(all, 65535);
    }
}

/* A client keeps its address while that has ports; families do not mix. */
static void address_of_a_client(void **state)
{
    struct nat_pool pool = {.naddr = 3, .seed = 1};
    struct natports *np;

    for (int i = 0; i < 3; i++)
        pool.addr[i] = (struct nat_addr){.family = i == 2 ? AF_INET6 : AF_INET, .lo = 7, .hi = 16};
    np = natports_create(&pool, 0);
    assert_non_null(np);
    for (int i = 0; i < 10; i++)
        assert_int_equal(natports_take(np, AF_INET, (uint8_t)i, 4)->addr, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(natports_take(np, AF_INET, (uint8_t)i, 4)->addr, 0);
    assert_null(natports_take(np, AF_INET, 0, 4));
    assert_int_equal(natports_take(np, AF_INET6, 0, 4)->addr, 2);
    natports_free(np);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_twin),
        cmocka_unit_test(last_used_last),
        cmocka_unit_test(all_ports_to_one_server),
        cmocka_unit_test(address_of_a_client),
    };

    seed = env_seed();
    rng_seed(&m.r, seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
