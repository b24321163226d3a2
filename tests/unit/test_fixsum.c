// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_fixsum.c: random changes to random packets, checksums moved along at random moments. At the end
 * a naive sum over header and segment must say what it said at first: 0 of one that came right, and
 * the same error of one that did not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "frames.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/fixsum.h"

static struct frame_buf fb;
static unsigned seed = 1624;
static uint64_t number;

static uint32_t pick(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

static struct seg made(bool v6, bool bad)
{
    static const uint8_t nops[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct seg s;
    struct pktbuf *pb = frame_tcp(&fb, (struct frame){.src = v6 ? "2001:db8::1" : "10.0.0.1",
                                                      .dst = v6 ? "2001:db8::2" : "10.0.0.2",
                                                      .sport = 1234,
                                                      .dport = 80,
                                                      .flags = "A",
                                                      .seq = pick(UINT32_MAX),
                                                      .ack = pick(UINT32_MAX),
                                                      .ttl = 64,
                                                      .opts = nops,
                                                      .optlen = (uint8_t)(4 * pick(3)),
                                                      .plen = 1 + pick(80),
                                                      .bad_csum = bad,
                                                      .bad_ipcsum = bad && !v6});

    assert_int_equal(decode(&s, pb), REASON_NONE);
    number++;
    return s;
}

/* error: what the naive sum over pseudo header and segment, or over the IPv4 header, says. */
static uint16_t error(const struct seg *s, bool ip)
{
    const uint32_t n = s->flags & SEG_IP6 ? 16 : 4, len = s->hdr_len + s->plen;
    uint8_t b[200] = {0};

    if (ip)
        return s->flags & SEG_IP6 ? 0 : frame_csum(s->pb->data + s->l3_off, s->l4_off - s->l3_off);
    memcpy(b, s->src.b, n);
    memcpy(b + n, s->dst.b, n);
    b[2 * n + 2] = (uint8_t)(len >> 8);
    b[2 * n + 3] = (uint8_t)len;
    b[2 * n + 7] = IPPROTO_TCP;
    memcpy(b + 2 * n + 8, s->pb->data + s->l4_off, len);
    return frame_csum(b, 2 * n + 8 + len);
}

/* somewhere: bytes that may change without making another kind of packet. => how many, at *lo. */
static uint32_t somewhere(const struct seg *s, uint32_t *lo)
{
    const uint32_t addr = s->l3_off + (s->flags & SEG_IP6 ? 8 : 12);
    const uint32_t start[] = {addr, s->l4_off, s->l4_off + 16, s->pay_off,
                              s->l3_off + (s->flags & SEG_IP6 ? 7u : 8u)};
    const uint32_t size[] = {s->l4_off - addr, 12, 4, s->pcap, 1};
    const uint32_t k = pick(5), off = pick(size[k]);

    *lo = start[k] + off;
    return 1 + pick(size[k] - off);
}

static void change(struct fixsum *f, struct seg *s)
{
    uint32_t lo, n = somewhere(s, &lo);
    const struct fixpart was = fixsum_begin(f, s, number, lo, lo + n);
    const uint8_t fill = (uint8_t)(pick(4) ? 0 : 0xff * pick(2));

    for (uint32_t i = 0; i < n; i++)
        s->pb->data[lo + i] = pick(8) ? (uint8_t)pick(256) : fill;
    decode(s, s->pb);
    fixsum_end(f, s, was, lo, lo + n);
}

static void errors_stay(void **state)
{
    struct fixsum f = {0};

    print_message("seed %u\n", seed);
    for (int i = 0; i < 20000; i++) {
        const bool bad = pick(2);
        struct seg s = made(pick(2), bad);
        const uint16_t ip = error(&s, true), tcp = error(&s, false);

        assert_int_equal(tcp != 0, bad);
        for (uint32_t k = pick(6); k; k--) {
            change(&f, &s);
            if (pick(3) == 0)
                fixsum_ip(&f, &s, number);
            if (pick(3) == 0)
                fixsum_tcp(&f, &s, number);
        }
        fixsum_ip(&f, &s, number);
        fixsum_tcp(&f, &s, number);
        assert_int_equal(error(&s, true), ip);
        assert_int_equal(error(&s, false), tcp);
    }
}

/* Without having been asked for, nothing moves; and what one packet is owed the next one does not get. */
static void only_when_asked(void **state)
{
    struct fixsum f = {0};
    struct seg s = made(false, false);

    change(&f, &s);
    s = made(false, false);
    fixsum_tcp(&f, &s, number);
    fixsum_ip(&f, &s, number);
    assert_int_equal(error(&s, false), 0);
    assert_int_equal(error(&s, true), 0);
}

/* Another length: what is in the segment has changed, so that the sum is made anew. */
static void other_length(void **state)
{
    struct fixsum f = {0};
    struct seg s = made(false, false);
    const uint32_t lo = s.l3_off + 2u;
    const struct fixpart was = fixsum_begin(&f, &s, number, lo, lo + 2);

    s.pb->data[lo + 1]--;
    decode(&s, s.pb);
    fixsum_end(&f, &s, was, lo, lo + 2);
    fixsum_tcp(&f, &s, number);
    fixsum_ip(&f, &s, number);
    assert_int_equal(error(&s, false), 0);
    assert_int_equal(error(&s, true), 0);
}

/* What the device finishes: the sum of the pseudo header, of the addresses as they are now. */
static void partial(void **state)
{
    struct fixsum f = {0};
    struct seg s = made(false, false);
    uint8_t *field = s.pb->data + s.l4_off + 16;
    struct fixpart was;

    s.pb->flags |= PB_CSUM_PART;
    was = fixsum_begin(&f, &s, number, s.l3_off + 12u, s.l3_off + 16u);
    s.pb->data[s.l3_off + 12]++;
    decode(&s, s.pb);
    fixsum_end(&f, &s, was, s.l3_off + 12u, s.l3_off + 16u);
    fixsum_tcp(&f, &s, number);
    s.pb->flags &= (uint8_t)~PB_CSUM_PART;
    { /* finish it as a device would */
        uint16_t v = frame_csum(s.pb->data + s.l4_off, s.hdr_len + s.plen);

        field[0] = (uint8_t)(v >> 8);
        field[1] = (uint8_t)v;
    }
    assert_int_equal(error(&s, false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_stay),
        cmocka_unit_test(only_when_asked),
        cmocka_unit_test(other_length),
        cmocka_unit_test(partial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
