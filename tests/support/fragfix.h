/* SPDX-License-Identifier: BSD-2-Clause */
/* fragfix.h: a table of fragments, and fragments for it. */
#ifndef WEIR_TESTS_FRAGFIX_H
#define WEIR_TESTS_FRAGFIX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "frames.h"
#include "wire/decode.h"
#include "wire/defrag.h"

#define SEC UINT64_C(1000000000)

static struct defrag d;
static struct frag_room room;
static uint64_t now;

static const struct defrag_conf usual = {.datagrams = 8,
                                         .memory = 1 << 20,
                                         .pieces = 16,
                                         .min_tcp = 8,
                                         .timeout_ns = 30 * SEC,
                                         .timeout6_ns = 60 * SEC,
                                         .vlan_in_key = true};

static inline int up(void **state)
{
    memset(&room, 0, sizeof(room));
    defrag_init(&d, &usual, 1);
    now = 100 * SEC;
    return 0;
}

static inline int down(void **state)
{
    defrag_end(&d);
    assert_int_equal(d.entry.used, 0);
    assert_int_equal(d.block.used, 0);
    defrag_fini(&d);
    frag_room_fini(&room);
    return 0;
}

static struct frame_buf part;

static inline struct frag_note *input(struct pktbuf *pb)
{
    struct seg s;

    pb->clock_ns = pb->ts_ns = now;
    assert_int_equal(decode(&s, pb), REASON_IP_FRAGMENT);
    return defrag_input(&d, &s, &room);
}

/* text: a fragment of letters. */
static inline struct frag_note *text(uint32_t id, uint32_t off, const char *s, bool more)
{
    return input(frame_ip(
        &part,
        (struct frame){
            .id = id, .proto = 6, .frag_off = (uint16_t)off, .frag_more = more, .payload = s}));
}

static inline void assert_text(struct datagram *g, enum overlap_policy p, const char *want)
{
    char got[4096] = "";

    assert_non_null(g);
    defrag_assemble(g, p);
    assert_true(g->len < sizeof(got));
    memcpy(got, g->payload, g->len);
    assert_string_equal(got, want);
}

#define taken(note)        assert_int_equal((note)->reason, REASON_NONE)
#define refused(why, note) assert_int_equal((note)->reason, REASON_##why)

#define HEAD "HEADHEADHEADHEADHEADHEAD" /* 24 bytes: TCP's header is not touched below */

static inline struct frag_note *marked(uint32_t off, const char *s, bool more, bool v6, uint8_t ecn)
{
    return input(frame_ip(&part, (struct frame){.v6 = v6,
                                                .id = 1,
                                                .proto = 6,
                                                .frag_off = (uint16_t)off,
                                                .frag_more = more,
                                                .payload = s,
                                                .tos = ecn}));
}

static inline struct frag_note *text6(uint32_t off, const char *s, bool more, uint8_t proto)
{
    return input(frame_ip(&part, (struct frame){.v6 = true,
                                                .id = 70000,
                                                .proto = proto,
                                                .frag_off = (uint16_t)off,
                                                .frag_more = more,
                                                .payload = s}));
}

#define frag_test(name) cmocka_unit_test_setup_teardown(name, up, down)

#endif
