// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_decode_model.c: usual frames are decoded in one go, others layer by layer (wire/decode.c). The
 * same frame with a VLAN tag is never usual: but for the tag and the four bytes, both must be told
 * the same, whatever is wrong with the headers. STEPS and SEED in the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "repeat.h"
#include "wire/decode.h"

enum { ETHER = 1, ROOM = 256, MAC = 12, TAG = 4 };

static struct rng r;
static unsigned long long seed, step;

static uint32_t below(uint32_t n)
{
    return (uint32_t)rng_below(&r, n);
}

/* fill_tcp: a TCP header of so many words at its place, random but for what makes it one. */
static void fill_tcp(uint8_t *p, uint32_t words)
{
    static const uint8_t stamps[12] = {1, 1, 8, 10, 0, 0, 1, 2, 0, 0, 3, 4};

    p[12] = (uint8_t)(words << 4);
    if (words == 8 && below(2))
        memcpy(p + 20, stamps, sizeof(stamps));
}

static void fill_ip4(uint8_t *p, uint32_t len)
{
    uint32_t sum = 0;

    p[0] = 0x45;
    p[2] = (uint8_t)(len >> 8);
    p[3] = (uint8_t)len;
    p[6] = below(2) ? 0x40 : 0;
    p[7] = 0;
    p[9] = 6;
    p[10] = p[11] = 0;
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(p[i] << 8 | p[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    p[10] = (uint8_t)(sum >> 8);
    p[11] = (uint8_t)sum;
}

static void fill_ip6(uint8_t *p, uint32_t len)
{
    p[0] = (uint8_t)(0x60 | (p[0] & 15));
    p[4] = (uint8_t)(len >> 8);
    p[5] = (uint8_t)len;
    p[6] = 6;
}

/* make: a frame that is nearly always right at first sight. => its length. */
static uint32_t make(uint8_t *p)
{
    const bool v6 = below(2);
    const uint32_t words = below(4) ? 5 : 8, tcp = words * 4 + below(60), ip = v6 ? 40 : 20;

    for (uint32_t i = 0; i < ROOM; i++)
        p[i] = (uint8_t)below(256);
    p[12] = v6 ? 0x86 : 8;
    p[13] = v6 ? 0xdd : 0;
    if (v6)
        fill_ip6(p + 14, tcp);
    else
        fill_ip4(p + 14, ip + tcp);
    fill_tcp(p + 14 + ip, words);
    for (uint32_t i = below(3); i; i--) /* and then something is not */
        p[12 + below(24 + ip)] ^= (uint8_t)(1 << below(8));
    return 14 + ip + tcp + (below(4) ? 0 : below(20));
}

static void same(uint32_t a, uint32_t b, const char *what)
{
    if (a != b)
        fail_msg("SEED=%llu, step %llu: %s is %u, layer by layer %u", seed, step, what, a, b);
}

#define SAME(f) same(a->f, b->f, #f)

static void compare(const struct seg *a, const struct seg *b)
{
    SAME(level);
    SAME(reason);
    SAME(l4proto);
    SAME(ethertype);
    SAME(flags);
    SAME(ip_len);
    SAME(ttl);
    SAME(tos);
    SAME(frag_off);
    SAME(frag_id);
    SAME(sport);
    SAME(dport);
    SAME(seq);
    SAME(ack);
    SAME(win);
    SAME(urp);
    SAME(tflags);
    SAME(hdr_len);
    SAME(wscale);
    SAME(nsack);
    SAME(mss);
    SAME(plen);
    SAME(pcap);
    SAME(tsval);
    SAME(tsecr);
    assert_memory_equal(&a->src, &b->src, sizeof(a->src));
    assert_memory_equal(&a->dst, &b->dst, sizeof(a->dst));
    same(a->l3_off + TAG, b->l3_off, "l3_off");
    if (a->level >= SEG_IP)
        same(a->l4_off + TAG, b->l4_off, "l4_off");
    if (a->level == SEG_TCP)
        same(a->pay_off + TAG, b->pay_off, "pay_off");
}

static void usual_as_any_other(void **state)
{
    const unsigned long long n = env_number("STEPS", 100000);
    unsigned long long tcp = 0;
    uint8_t plain[ROOM], tagged[ROOM + TAG];

    seed = env_seed();
    rng_seed(&r, seed);
    for (step = 0; step < n; step++) {
        uint32_t wire = make(plain), len = below(6) ? wire : below(wire + 1);
        struct pktbuf a = {.data = plain, .len = len, .wire_len = wire, .linktype = ETHER};
        struct pktbuf b = {
            .data = tagged, .len = len + TAG, .wire_len = wire + TAG, .linktype = ETHER};
        struct seg x, y;

        if (len < MAC + 2)
            continue;
        memcpy(tagged, plain, MAC);
        memcpy(tagged + MAC, "\x81\x00\x00\x07", TAG);
        memcpy(tagged + MAC + TAG, plain + MAC, ROOM - MAC);
        if (plain[12] == 0x81 || plain[12] < 6) /* a tag itself, or a length */
            continue;
        decode(&x, &a);
        decode(&y, &b);
        compare(&x, &y);
        tcp += x.level == SEG_TCP;
    }
    print_message("%llu segments of TCP\n", tcp);
    assert_true(tcp > n / 4 && tcp < n - n / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(usual_as_any_other)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
