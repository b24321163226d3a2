// SPDX-License-Identifier: BSD-2-Clause
/* Which core: the same for both directions, and the one that applications are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include <mtcp_util.h>

#include "engine/engine.h"
#include "frames.h"
#include "wire/decode.h"

static struct frame_buf b;
static struct seg s;

static int core(struct frame f, int cores)
{
    decode(&s, frame_tcp(&b, f));
    return steer_core(&s, cores);
}

/* rnd: of a seed, so that a failure can be run again. */
static uint32_t seed;

static uint32_t rnd(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void both_directions(void **state)
{
    int used[8] = {0};

    seed = 1;
    for (int i = 0; i < 2000; i++) {
        char src[40], dst[40];
        bool v6 = i & 1;
        struct frame f = {
            .src = src, .dst = dst, .sport = (uint16_t)rnd(), .dport = (uint16_t)rnd()};
        int n = 1 + (int)(rnd() % 8), c;

        if (f.sport == 0 || f.dport == 0)
            continue;
        snprintf(src, sizeof(src), v6 ? "2001:db8::%x" : "10.1.0.%u", rnd() % 255 + 1);
        snprintf(dst, sizeof(dst), v6 ? "2001:db8:1::%x" : "192.168.3.%u", rnd() % 255 + 1);
        c = core(f, n);
        assert_in_range(c, 0, n - 1);
        if (!v6)
            assert_int_equal(c, GetRSSCPUCore(s.src.v4, s.dst.v4, s.sport, s.dport, n));
        f.reply = true;
        if (core(f, n) != c)
            fail_msg("packet %d: %s.%d > %s.%d", i, src, f.sport, dst, f.dport);
        used[core(f, 8)]++;
    }
    for (int i = 0; i < 8; i++)
        assert_true(used[i] > 100); /* some balance */
}

static void one_core(void **state)
{
    assert_int_equal(core((struct frame){.sport = 5}, 1), 0);
    assert_int_equal(core((struct frame){.sport = 5}, 0), 0);
}

static void no_ip(void **state)
{
    static const uint8_t arp[60] = {[12] = 0x08, [13] = 0x06, [14] = 0xff, [20] = 0xab};

    decode(&s, frame_bytes(&b, arp, sizeof(arp), 1));
    assert_int_equal(steer_core(&s, 7), 0);
}

/* The first fragment goes where the others go, which have no ports. */
static void fragments(void **state)
{
    bool seen_other = false;

    for (uint16_t port = 1; port < 200; port++) {
        struct frame f = {.sport = port, .payload = "12345678", .frag_more = true, .id = 7};
        int first = core(f, 7), last;

        f.frag_more = false;
        f.frag_off = 24;
        last = core(f, 7);
        assert_int_equal(first, last);
        assert_int_equal(first, GetRSSCPUCore(s.src.v4, s.dst.v4, 0, 0, 7));
        f.frag_off = 0;
        seen_other |= core(f, 7) != first;
    }
    assert_true(seen_other); /* whole ones go by their ports */
}

static void by_inner_addresses(void **state)
{
    struct frame f = {.sport = 77, .vlan = {100, 5}};
    int tagged = core(f, 7);

    f.vlan[0] = f.vlan[1] = 0;
    assert_int_equal(core(f, 7), tagged);
}

static void udp(void **state)
{
    decode(&s, frame_udp(&b, (struct frame){.sport = 1000, .dport = 53, .payload = "x"}));
    assert_int_equal(steer_core(&s, 7), GetRSSCPUCore(s.src.v4, s.dst.v4, s.sport, s.dport, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions),
        cmocka_unit_test(one_core),
        cmocka_unit_test(no_ip),
        cmocka_unit_test(fragments),
        cmocka_unit_test(by_inner_addresses),
        cmocka_unit_test(udp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
