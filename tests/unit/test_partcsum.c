// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_partcsum.c: unfinished checksums are found by their value, in frames that tests/support makes;
 * finished ones are not, and finishing what was found gives the frame with its right checksum.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frames.h"
#include "io/offload.h"
#include "io/partcsum.h"

static struct frame_buf buf, whole;
static unsigned seed = 4;

/* What a sender leaves in the field, computed byte by byte. */
static void unfinish(struct pktbuf *pb, uint32_t l3, uint32_t l4, uint8_t proto)
{
    bool v6 = pb->data[l3] >> 4 == 6;
    uint32_t sum = 0, len = pb->len - l4, at = v6 ? l3 + 8 : l3 + 12, n = v6 ? 32 : 8;
    uint8_t *field = pb->data + l4 + (proto == 6 ? 16 : 6);

    for (uint32_t i = 0; i < n; i += 2)
        sum += (uint32_t)(pb->data[at + i] << 8 | pb->data[at + i + 1]);
    sum += len + proto;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    field[0] = (uint8_t)(sum >> 8);
    field[1] = (uint8_t)sum;
}

/* One frame: not found as it is; found when unfinished, where it is; whole again when finished. */
static void found(struct frame f, bool udp, uint32_t l4)
{
    struct pktbuf *want = udp ? frame_udp(&whole, f) : frame_tcp(&whole, f);
    struct pktbuf *pb = udp ? frame_udp(&buf, f) : frame_tcp(&buf, f);
    uint8_t proto = 0;

    assert_int_equal(partcsum_find(pb, &proto), l4);
    assert_int_equal(proto, udp ? 17 : 6);
    assert_int_equal(pb->flags & PB_CSUM_PART, 0);
    unfinish(pb, 14 + f.nvlan * 4u, l4, proto);
    assert_int_equal(partcsum_find(pb, &proto), l4);
    assert_int_equal(pb->flags & PB_CSUM_PART, PB_CSUM_PART);
    assert_int_equal(pb->csum_start, l4);
    assert_int_equal(pb->csum_off, udp ? 6 : 16);
    assert_true(io_finish_csum(pb));
    assert_memory_equal(pb->data, want->data, want->len);
}

static void finds_what_is_unfinished(void **state)
{
    static const uint8_t ext[] = {60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 1, 12,
                                  0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t options[] = {1, 1, 1, 1, 1, 1, 1, 0};

    for (uint32_t len = 1; len < 1400; len += 1 + len / 7)
        for (int i = 0; i < 16; i++) {
            struct frame f = {.v6 = i & 1, .plen = len, .nvlan = (uint8_t)(i >> 2), .seq = len};
            bool udp = i & 2;

            for (int k = 0; k < f.nvlan; k++)
                f.vlan[k] = (uint16_t)(k + 1);
            if (f.nvlan == 2)
                f.tpid = 0x88a8;
            found(f, udp, 14 + f.nvlan * 4u + (f.v6 ? 40 : 20));
        }
    found((struct frame){.plen = 9, .ip_opts = options, .ip_optlen = 8}, false, 42);
    found((struct frame){.v6 = true, .plen = 9, .ip_opts = ext, .ip_optlen = 24}, false, 78);
}

/* Fragments, other protocols, other frames, what is cut off, bytes behind the datagram. */
static void leaves_the_rest(void **state)
{
    static const uint8_t other[60] = {[12] = 0x08, [13] = 0x06};
    uint8_t proto = 0;
    struct pktbuf *pb = frame_tcp(&buf, (struct frame){.plen = 100, .frag_more = true});

    unfinish(pb, 14, 34, 6);
    assert_int_equal(partcsum_find(pb, &proto), 0);
    pb = frame_bytes(&buf, other, sizeof(other), 1);
    assert_int_equal(partcsum_find(pb, &proto), 0);
    pb = frame_tcp(&buf, (struct frame){.plen = 100});
    unfinish(pb, 14, 34, 6);
    pb->len -= 1;
    assert_int_equal(partcsum_find(pb, &proto), 0);
    assert_int_equal(pb->flags & PB_CSUM_PART, 0);
    pb->len += 1;
    pb->data[pb->len] = 0; /* padding */
    pb->len += 1;
    assert_int_equal(partcsum_find(pb, &proto), 34);
    assert_int_equal(pb->flags & PB_CSUM_PART, PB_CSUM_PART);
    pb->flags = 0;
    pb->data[pb->len - 1] = 1;
    partcsum_find(pb, &proto);
    assert_int_equal(pb->flags & PB_CSUM_PART, 0);
}

/* Frames damaged anywhere and cut anywhere: nothing is read behind their end. */
static void reads_nothing_behind(void **state)
{
    for (int i = 0; i < 200000; i++) {
        struct frame f = {.v6 = i & 1, .plen = 20, .nvlan = (uint8_t)(i % 4)};
        struct pktbuf *pb, exact;
        uint8_t proto = 0, *copy;

        for (int k = 0; k < f.nvlan; k++)
            f.vlan[k] = 5;
        pb = frame_tcp(&buf, f);
        for (int k = rand_r(&seed) % 4; k > 0; k--)
            pb->data[rand_r(&seed) % pb->len] = (uint8_t)rand_r(&seed);
        exact = *pb;
        exact.len = (uint32_t)rand_r(&seed) % (pb->len + 1);
        copy = malloc(exact.len ? exact.len : 1); /* ASan knows its end */
        memcpy(copy, pb->data, exact.len);
        exact.data = copy;
        assert_true(partcsum_find(&exact, &proto) <= exact.len);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_unfinished),
        cmocka_unit_test(leaves_the_rest),
        cmocka_unit_test(reads_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
