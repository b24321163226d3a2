// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_fwmatch_model.c: random rules and packets: the first rule that matches, as the index of shapes finds it and as
 * one that goes through them bit by bit does. Rules pass through text, so the parser is asked as well. Few
 * values of each kind, so that they meet. SEED=n repeats a run, STEPS=n makes it longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "base/hash.h"
#include "fwrules.h"
#include "repeat.h"

#define RULES 60

/* A rule as the twin knows it. */
struct twin {
    int family; /* 0: either */
    int len[2];
    uint8_t addr[2][16];
    long lo[2], hi[2];
};

static struct rng r;
static struct twin twin[RULES];
static int ntwin;

static int below(int n)
{
    return (int)rng_below(&r, (uint64_t)n);
}

static int bit(const uint8_t *addr, int i)
{
    return addr[i / 8] >> (7 - i % 8) & 1;
}

/* an_address: of few: the bits at the front and at some edges vary. */
static void an_address(uint8_t *addr, int family)
{
    static const int places[] = {0, 7, 8, 15, 16, 30, 31, 32, 63, 64, 126, 127};
    const int max = family == AF_INET6 ? 128 : 32;

    memset(addr, 0, 16);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (places[i] < max && below(3) == 0)
            addr[places[i] / 8] |= (uint8_t)(0x80 >> places[i] % 8);
}

static void a_prefix(struct twin *t, int which)
{
    static const int lens[] = {0, 1, 7, 8, 9, 16, 31, 32, 33, 64, 127, 128};
    const int max = t->family == AF_INET6 ? 128 : 32;

    memset(t->addr[which], 0, 16);
    do
        t->len[which] = t->family ? lens[below(12)] : 0;
    while (t->len[which] > max);
    if (t->family)
        an_address(t->addr[which], t->family);
    for (int i = t->len[which]; i < 128; i++)
        t->addr[which][i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static void some_ports(struct twin *t, int which)
{
    static const int few[] = {0, 1, 2, 79, 80, 81, 1023, 65535};
    const int a = few[below(8)], b = few[below(8)], kind = below(3);

    t->lo[which] = kind == 0 ? 0 : kind == 1 ? a : a < b ? a : b;
    t->hi[which] = kind == 0 ? 65535 : kind == 1 ? a : a < b ? b : a;
}

static int put_prefix(char *out, size_t cap, const struct twin *t, int which)
{
    char text[INET6_ADDRSTRLEN];

    if (t->len[which] == 0 && (t->family == 0 || t->len[!which]))
        return snprintf(out, cap, " any");
    inet_ntop(t->family, t->addr[which], text, sizeof(text));
    return snprintf(out, cap, " %s/%d", text, t->len[which]);
}

static int put_rule(char *out, size_t cap, const struct twin *t)
{
    int n = snprintf(out, cap, "%s", fw_action_names[below(3)]);

    n += put_prefix(out + n, cap - (size_t)n, t, FW_SRC);
    n += put_prefix(out + n, cap - (size_t)n, t, FW_DST);
    for (int k = 0, first = below(2); k < 2; k++) {
        const int which = first ^ k;

        if (t->lo[which] == 0 && t->hi[which] == 65535 && below(2))
            continue;
        n += snprintf(out + n, cap - (size_t)n, " %cport:%ld", "sd"[which], t -> lo[which]);
        if (t->lo[which] != t->hi[which] || below(4) == 0)
            n += snprintf(out + n, cap - (size_t)n, "-%ld", t->hi[which]);
    }
    return n + snprintf(out + n, cap - (size_t)n, "\n");
}

static struct fwrules *some_rules(void)
{
    static const int families[] = {0, AF_INET, AF_INET, AF_INET6};
    static char text[RULES * 200];
    struct fwrules *rules;
    char why[256];
    int n = 0;

    ntwin = below(RULES + 1);
    for (int i = 0; i < ntwin; i++) {
        struct twin *t = &twin[i];

        t->family = families[below(4)];
        for (int which = FW_SRC; which <= FW_DST; which++) {
            a_prefix(t, which);
            some_ports(t, which);
        }
        n += put_rule(text + n, sizeof(text) - (size_t)n, t);
    }
    rules = fwrules_parse(text, (size_t)n, "rules", why, sizeof(why));
    if (!rules)
        fail_msg("%s\n%s", why, text);
    assert_int_equal(rules->n, ntwin);
    return rules;
}

static int naive(const struct fw_packet *p)
{
    for (int i = 0; i < ntwin; i++) {
        const struct twin *t = &twin[i];
        bool good = t->family == 0 || t->family == p->family;

        for (int which = FW_SRC; which <= FW_DST; which++) {
            good = good && p->port[which] >= t->lo[which] && p->port[which] <= t->hi[which];
            for (int b = 0; good && b < t->len[which]; b++)
                good = bit(t->addr[which], b) == bit(p->addr[which], b);
        }
        if (good)
            return i;
    }
    return -1;
}

static void a_packet(struct fw_packet *p)
{
    static const uint16_t few[] = {0, 1, 2, 3, 79, 80, 82, 1023, 1024, 65535};

    memset(p, 0, sizeof(*p));
    p->family = below(2) ? AF_INET : AF_INET6;
    for (int which = FW_SRC; which <= FW_DST; which++) {
        an_address(p->addr[which], p->family);
        p->port[which] = few[below(10)];
    }
}

static void like_the_twin(void **state)
{
    const unsigned long long seed = env_seed();
    const int steps = (int)env_number("STEPS", 2000);
    int found = 0;

    rng_seed(&r, seed);
    for (int step = 0; step < steps; step++) {
        struct fwrules *rules = some_rules();

        for (int i = 0; i < 50; i++) {
            struct fw_packet p;
            int got, want;

            a_packet(&p);
            got = fwrules_find(rules, &p);
            want = naive(&p);
            if (got != want)
                fail_msg("SEED=%llu, step %d, packet %d: rule %d, the twin says %d", seed, step, i,
                         got, want);
            found += want >= 0;
        }
        fwrules_free(rules);
    }
    assert_true(found > steps * 5 && found < steps * 49); /* both happen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(like_the_twin)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
