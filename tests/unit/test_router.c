// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_router.c: frames into the router and out of it, in virtual time: what is kept, answered, held,
 * sent on, with which MACs and hops; and what the configuration may say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/errtext.h"
#include "base/reasons.h"
#include "engine/engine.h"
#include "engine/router.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/neigh.h"

enum { IN, OUT };

static const uint8_t macs[2][6] = {{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 1, 2}};
static const uint8_t client_mac[6] = {2, 0, 0, 0, 2, 1}, server_mac[6] = {2, 0, 0, 0, 2, 2};

static struct {
    struct router_conf *conf;
    struct router r;
    struct router_lane *l;
    struct egress eg;
    uint64_t reasons[REASON_CNT];
    uint8_t frame[2048];
    struct pktbuf pb;
} m;

static struct ipaddr ip(const char *text)
{
    struct ipaddr a;

    assert_true(ipaddr_read(text, &a, NULL));
    return a;
}

/* ---- the configuration ---- */

static struct router_conf *conf_of(const char *text)
{
    static const char *const names[] = {"b0", "b1"};
    const struct conf_item *block[3] = {NULL};
    struct conf_file *f = conf_parse("x.conf", text, strlen(text));
    struct router_conf *c = NULL;

    assert_non_null(f);
    err_clear();
    for (const struct conf_item *it = f->first; it; it = it->next)
        block[it->name[0] == 'r' ? 1 : it->name[1] == 'r' ? 2 : 0] = it;
    if (routeconf_read(f, block[0], block[1], block[2], names, 2, &c) < 0)
        assert_null(c);
    conf_free(f);
    return c;
}

#define ADDRS                                                                                      \
    "address_table {\n b0 10.0.0.1/24\n b1 192.0.2.1/24\n b1 192.0.2.7/32\n"                       \
    " b0 fd00::1/64\n b1 2001:db8::1/64\n}\n"
#define ROUTES "route_table {\n 0.0.0.0/0 via 192.0.2.254\n 10.9.0.0/16 b0 10.0.0.9\n}\n"

static int start(void **state)
{
    memset(&m, 0, sizeof(m));
    m.conf = conf_of(ADDRS ROUTES "arp_table {\n 192.0.2.200/32 02:00:00:00:09:09\n}\n");
    assert_non_null(m.conf);
    assert_int_equal(router_init(&m.r, m.conf, macs, 2, 77), 0);
    egress_init(&m.eg);
    m.l = malloc(sizeof(*m.l));
    router_lane_init(m.l, &m.r, &m.eg, NULL, m.reasons, true);
    m.l->now = 1000 * NSEC_PER_SEC;
    return 0;
}

static int stop(void **state)
{
    assert_null(m.eg.first); /* all that it has said was looked at */
    router_lane_fini(m.l);
    free(m.l);
    router_fini(&m.r);
    routeconf_free(m.conf);
    return 0;
}

/* ---- frames ---- */

static void frame(int by, const uint8_t *to, const uint8_t *from, uint32_t len)
{
    memcpy(m.frame, to, 6);
    memcpy(m.frame + 6, from, 6);
    m.pb = (struct pktbuf){.data = m.frame,
                           .len = len,
                           .wire_len = len,
                           .cap = sizeof(m.frame),
                           .linktype = 1,
                           .in_if = (uint8_t)by};
}

/* packet: an IP packet with 20 bytes that nobody looks at. */
static void packet(int by, const char *src, const char *dst, uint8_t proto, uint8_t hops)
{
    const struct ipaddr s = ip(src), d = ip(dst);
    uint8_t *p = m.frame + 14;

    memset(m.frame, 0, sizeof(m.frame));
    frame(by, macs[by], by == IN ? client_mac : server_mac, 14 + (s.v6 ? 60 : 40));
    m.frame[12] = s.v6 ? 0x86 : 0x08;
    m.frame[13] = s.v6 ? 0xdd : 0;
    if (s.v6) {
        p[0] = 0x60;
        p[5] = 20;
        p[6] = proto;
        p[7] = hops;
        memcpy(p + 8, s.b, 16);
        memcpy(p + 24, d.b, 16);
    } else {
        uint16_t csum;

        p[0] = 0x45;
        p[3] = 40;
        p[8] = hops;
        p[9] = proto;
        memcpy(p + 12, s.b, 4);
        memcpy(p + 16, d.b, 4);
        csum = csum_fold(csum_add(0, p, 20));
        memcpy(p + 10, &csum, 2);
    }
    p[(s.v6 ? 40 : 20) + 12] = 0x50; /* TCP's data offset */
}

/* said: the next frame that the router has made or let go. => the interface; -1: none. */
static int said(uint8_t *out, uint32_t *len)
{
    struct made *f = m.eg.first;
    int dev;

    if (f == NULL)
        return -1;
    assert_true(f->ready);
    dev = f->dev;
    *len = f->len;
    memcpy(out, f->data, f->len);
    m.eg.first = f->next;
    if (m.eg.first == NULL)
        m.eg.last = &m.eg.first;
    free(f);
    return dev;
}

/* asked: it has asked for this address by this interface. */
static void asked(int by, const char *addr)
{
    const struct ipaddr a = ip(addr);
    uint8_t f[2048];
    struct pktbuf pb = {.data = f, .linktype = 1};
    struct neigh_msg msg;
    struct seg s;

    assert_int_equal(said(f, &pb.len), by);
    pb.wire_len = pb.len;
    decode(&s, &pb);
    assert_true(neigh_parse(&s, &msg) && !msg.answer);
    assert_memory_equal(msg.addr, a.b, 16);
    assert_memory_equal(msg.mac, macs[by], 6);
}

/* tells: somebody answers. */
static bool tells(int by, const char *addr, const uint8_t *mac)
{
    const struct ipaddr a = ip(addr);
    struct neigh_msg q = {.v6 = a.v6, .has_mac = true};

    memcpy(q.addr, a.b, 16);
    memcpy(q.asker, a.v6 ? ip("fd00::1").b : ip("10.0.0.1").b, 16);
    memcpy(q.mac, macs[by], 6);
    memset(m.frame, 0, sizeof(m.frame));
    frame(by, macs[by], mac, neigh_answer(m.frame, &q, mac));
    return router_in(m.l, &m.pb);
}

static void leaves(int by, const uint8_t *mac, uint8_t hops)
{
    const bool v6 = m.frame[12] == 0x86;

    assert_int_equal(router_out(m.l, &m.pb, false), by);
    assert_memory_equal(m.frame, mac, 6);
    assert_memory_equal(m.frame + 6, macs[by], 6);
    assert_int_equal(m.frame[14 + (v6 ? 7 : 8)], hops);
    if (!v6)
        assert_int_equal(csum_fold(csum_add(0, m.frame + 14, 20)), 0);
}

/* ---- cases ---- */

static void sent_on(void **state)
{
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
    assert_true(router_in(m.l, &m.pb));
    assert_int_equal(router_out(m.l, &m.pb, false), ROUTER_NOT);
    asked(OUT, "192.0.2.2");
    assert_true(router_tick(m.l, m.l->now + 1));
    assert_false(tells(OUT, "192.0.2.2", server_mac));
    assert_false(router_tick(m.l, m.l->now + 1));
    {
        uint8_t f[2048];
        uint32_t len;

        assert_int_equal(said(f, &len), OUT);
        assert_int_equal(len, 54);
        assert_memory_equal(f, server_mac, 6);
        assert_memory_equal(f + 6, macs[OUT], 6);
        assert_int_equal(f[22], 63);
    }
    for (int i = 2; i < 200; i += 50) {
        packet(IN, "10.0.0.2", "192.0.2.2", 6, (uint8_t)i);
        leaves(OUT, server_mac, (uint8_t)(i - 1));
    }
}

static void v6_too(void **state)
{
    packet(IN, "fd00::2", "2001:db8::2", 6, 64);
    assert_true(router_in(m.l, &m.pb));
    assert_int_equal(router_out(m.l, &m.pb, false), ROUTER_NOT);
    asked(OUT, "2001:db8::2");
    tells(OUT, "2001:db8::2", server_mac);
    router_tick(m.l, m.l->now + 1);
    {
        uint8_t f[2048];
        uint32_t len;

        assert_int_equal(said(f, &len), OUT);
        assert_int_equal(f[21], 63);
    }
    packet(IN, "fd00::2", "2001:db8::2", 6, 9);
    leaves(OUT, server_mac, 8);
}

static void gateways(void **state)
{
    packet(IN, "10.0.0.2", "198.51.100.1", 6, 64);
    assert_int_equal(router_out(m.l, &m.pb, false), ROUTER_NOT);
    asked(OUT, "192.0.2.254");
    packet(OUT, "198.51.100.1", "10.9.1.1", 6, 64);
    assert_int_equal(router_out(m.l, &m.pb, false), ROUTER_NOT);
    asked(IN, "10.0.0.9");
    packet(IN, "10.0.0.2", "192.0.2.200", 6, 64); /* fixed */
    leaves(OUT, (const uint8_t[]){2, 0, 0, 0, 9, 9}, 63);
}

/* told: the sender of what came by `by` is told this. */
static void told(int by, uint8_t type, uint8_t code, uint32_t mtu)
{
    uint8_t f[2048];
    const uint8_t *p;
    uint32_t len;
    bool v6;

    assert_int_equal(said(f, &len), by);
    assert_memory_equal(f, client_mac, 6);
    v6 = f[12] == 0x86;
    p = f + 14 + (v6 ? 40 : 20);
    assert_int_equal(f[14 + (v6 ? 6 : 9)], v6 ? 58 : 1);
    assert_int_equal(p[0], type);
    assert_int_equal(p[1], code);
    assert_int_equal(p[6] << 8 | p[7], mtu);
    if (!v6)
        assert_int_equal(csum_fold(csum_add(0, p, len - 34)), 0);
}

static void nobody_answers(void **state)
{
    const uint64_t t0 = m.l->now;

    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
    router_out(m.l, &m.pb, false);
    asked(OUT, "192.0.2.2");
    for (int i = 1; i <= 2; i++) {
        assert_true(router_tick(m.l, t0 + (uint64_t)i * NSEC_PER_SEC));
        asked(OUT, "192.0.2.2");
    }
    assert_false(router_tick(m.l, t0 + 3 * NSEC_PER_SEC));
    assert_int_equal(m.reasons[REASON_NO_NEIGHBOUR], 1);
    told(IN, 3, 1, 0);
    router_out(m.l, &m.pb, false); /* known to be dead: not held */
    assert_int_equal(m.reasons[REASON_NO_NEIGHBOUR], 2);
    told(IN, 3, 1, 0);
    m.pb.flags = PB_CHANGED; /* translated: that is not what its sender knows */
    router_out(m.l, &m.pb, false);
    assert_null(m.eg.first);
    m.pb.flags = 0;
    assert_false(router_in(m.l, &m.pb)); /* nor does the next one get in */
    assert_int_equal(m.reasons[REASON_NO_NEIGHBOUR], 4);
    told(IN, 3, 1, 0);
    assert_int_equal(m.l->nheld, 0);
}

static void nobody_answers6(void **state)
{
    const uint64_t t0 = m.l->now;

    packet(IN, "fd00::2", "2001:db8::2", 6, 64);
    router_out(m.l, &m.pb, false);
    for (int i = 1; i <= 3; i++) {
        asked(OUT, "2001:db8::2");
        assert_int_equal(router_tick(m.l, t0 + (uint64_t)i * NSEC_PER_SEC), i < 3);
    }
    told(IN, 1, 3, 0);
}

static bool of_size(const char *src, const char *dst, uint32_t len)
{
    packet(IN, src, dst, 6, 64);
    m.frame[20] = src[0] == '1' ? 0x40 : m.frame[20];
    if (src[0] == '1') {
        m.frame[16] = (uint8_t)(len >> 8);
        m.frame[17] = (uint8_t)len;
        memset(m.frame + 24, 0, 2);
        {
            uint16_t csum = csum_fold(csum_add(0, m.frame + 14, 20));

            memcpy(m.frame + 24, &csum, 2);
        }
    } else {
        m.frame[18] = (uint8_t)((len - 40) >> 8);
        m.frame[19] = (uint8_t)(len - 40);
    }
    m.pb.len = m.pb.wire_len = 14 + len;
    return router_in(m.l, &m.pb);
}

static void longer_than_the_way(void **state)
{
    assert_true(of_size("10.0.0.2", "192.0.2.2", 1500)); /* not known: as before */
    m.l->mtu[IN] = 1500;
    m.l->mtu[OUT] = 1400;
    assert_true(of_size("10.0.0.2", "192.0.2.2", 1400));
    assert_false(of_size("10.0.0.2", "192.0.2.2", 1401));
    told(IN, 3, 4, 1400);
    assert_false(of_size("fd00::2", "2001:db8::2", 1401));
    told(IN, 2, 0, 1400);
    assert_int_equal(m.reasons[REASON_TOO_BIG], 2);
    m.frame[20] = 0;
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64); /* it may be cut: the interface counts it */
    m.pb.len = m.pb.wire_len = 1500;
    assert_true(router_in(m.l, &m.pb));
    of_size("10.0.0.2", "192.0.2.2", 1900); /* stands for several that fit */
    told(IN, 3, 4, 1400);
    m.pb.gso_size = 1360;
    assert_true(router_in(m.l, &m.pb));
    m.pb.gso_size = 1361;
    assert_false(router_in(m.l, &m.pb));
    told(IN, 3, 4, 1400);
}

static void held_is_bounded(void **state)
{
    uint8_t f[2048];
    uint32_t len;
    int n = 0;

    for (int i = 0; i < ROUTER_HELD + 5; i++) {
        packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
        router_out(m.l, &m.pb, false);
    }
    asked(OUT, "192.0.2.2");
    assert_int_equal(m.reasons[REASON_NO_NEIGHBOUR], 5);
    tells(OUT, "192.0.2.2", server_mac);
    router_tick(m.l, m.l->now);
    while (said(f, &len) == OUT)
        n++;
    assert_int_equal(n, ROUTER_HELD);
}

static void what_is_held_keeps_its_marks(void **state)
{
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
    m.pb.flags = PB_CSUM_PART;
    m.pb.csum_start = 34;
    m.pb.csum_off = 16;
    router_out(m.l, &m.pb, false);
    asked(OUT, "192.0.2.2");
    tells(OUT, "192.0.2.2", server_mac);
    router_tick(m.l, m.l->now);
    assert_int_equal(m.eg.first->flags, PB_CSUM_PART);
    assert_int_equal(m.eg.first->csum_start, 34);
    egress_drop(&m.eg);
}

static void refused(void (*make)(void), enum reason why, int says)
{
    const uint64_t before = m.reasons[why];
    uint8_t f[2048];
    uint32_t len;
    int n = 0;

    make();
    assert_false(router_in(m.l, &m.pb));
    if (why != REASON_NONE)
        assert_int_equal(m.reasons[why], before + 1);
    while (said(f, &len) >= 0) {
        n++;
        if (f[12] == 8 && f[13] == 0)
            assert_int_equal(csum_fold(csum_add(0, f + 14, 20)), 0);
    }
    assert_int_equal(n, says);
}

static void other_mac(void)
{
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
    m.frame[5] ^= 1;
}

static void to_all(void)
{
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
    memset(m.frame, 0xff, 6);
}

static void to_group(void)
{
    packet(IN, "10.0.0.2", "224.0.0.1", 17, 64);
}

static void from_nowhere(void)
{
    packet(IN, "127.0.0.1", "192.0.2.2", 6, 64);
}

static void last_hop(void)
{
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 1);
}

static void last_hop6(void)
{
    packet(IN, "fd00::2", "2001:db8::2", 6, 1);
}

static void no_way6(void)
{
    packet(IN, "fd00::2", "2001:db8:5::2", 6, 9);
}

static void udp_to_us(void)
{
    packet(OUT, "192.0.2.2", "192.0.2.7", 17, 9);
}

static void what_is_refused(void **state)
{
    refused(other_mac, REASON_NOT_ROUTED, 0);
    refused(to_all, REASON_NOT_ROUTED, 0);
    refused(to_group, REASON_NOT_ROUTED, 0);
    refused(from_nowhere, REASON_NOT_ROUTED, 0);
    refused(last_hop, REASON_HOPS, 1);
    refused(last_hop6, REASON_HOPS, 1);
    refused(no_way6, REASON_NO_ROUTE, 1);
    refused(udp_to_us, REASON_ROUTE_LOCAL, 0);
    for (int i = 0; i < 17; i++)
        refused(last_hop, REASON_HOPS, 1);
    refused(last_hop, REASON_HOPS, 0); /* enough */
    router_tick(m.l, m.l->now + NSEC_PER_SEC);
    refused(last_hop, REASON_HOPS, 1);
}

/* TCP for an address of ours may be translated; what was not ends here. */
static void to_us(void **state)
{
    packet(OUT, "192.0.2.2", "192.0.2.7", 6, 9);
    assert_true(router_in(m.l, &m.pb));
    assert_int_equal(router_out(m.l, &m.pb, false), ROUTER_NOT);
    assert_int_equal(m.reasons[REASON_ROUTE_LOCAL], 1);
}

static void question(int by, const char *asker, const char *addr, const uint8_t *mac)
{
    const struct ipaddr a = ip(addr), from = ip(asker);

    memset(m.frame, 0, sizeof(m.frame));
    frame(by, macs[by], mac, 0);
    m.pb.len = m.pb.wire_len = neigh_ask(m.frame, a.v6, mac, from.b, a.b, NULL);
    assert_false(router_in(m.l, &m.pb));
}

static void answers(void **state)
{
    static const char *const mine[] = {"10.0.0.1", "fd00::1", "fe80::ff:fe00:101"};
    static const char *const askers[] = {"10.0.0.2", "fd00::2", "fd00::2"};
    uint8_t f[2048];
    uint32_t len;

    for (int i = 0; i < 3; i++) {
        question(IN, askers[i], mine[i], client_mac);
        assert_int_equal(said(f, &len), IN);
        assert_memory_equal(f, client_mac, 6);
        assert_memory_equal(f + 6, macs[IN], 6);
    }
    question(OUT, "192.0.2.2", "10.0.0.1", server_mac); /* the other side's */
    question(IN, "10.0.0.2", "10.0.0.3", client_mac);
    assert_null(m.eg.first);
    packet(OUT, "192.0.2.2", "10.0.0.2", 6, 64); /* who has asked for us is known */
    leaves(IN, client_mac, 63);
    question(OUT, "10.0.0.5", "192.0.2.1", server_mac); /* a liar: that is not on this link */
    assert_int_equal(said(f, &len), OUT);
    packet(OUT, "192.0.2.2", "10.0.0.5", 6, 64);
    assert_int_equal(router_out(m.l, &m.pb, false), ROUTER_NOT);
    asked(IN, "10.0.0.5");
    {
        const struct ipaddr liar = ip("10.0.0.5");
        uint8_t mac[6];

        assert_int_equal(neigh_find(&m.r.neigh, OUT, &liar, m.l->now, mac), NEIGH_ASK);
    }
}

static void a_new_mac_counts_at_once(void **state)
{
    question(OUT, "192.0.2.2", "192.0.2.1", server_mac);
    egress_drop(&m.eg);
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
    leaves(OUT, server_mac, 63);
    question(OUT, "192.0.2.2", "192.0.2.1", client_mac);
    egress_drop(&m.eg);
    packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
    leaves(OUT, client_mac, 63);
}

static void asked_again_in_use(void **state)
{
    const uint64_t t0 = m.l->now;

    question(OUT, "192.0.2.2", "192.0.2.1", server_mac);
    egress_drop(&m.eg);
    for (uint64_t s = 0; s < 31; s++) {
        router_tick(m.l, t0 + s * NSEC_PER_SEC);
        packet(IN, "10.0.0.2", "192.0.2.2", 6, 64);
        leaves(OUT, server_mac, 63);
    }
    asked(OUT, "192.0.2.2");
}

/* ---- what the configuration may say ---- */

static void conf_bad(const char *text, const char *words)
{
    struct router_conf *c = conf_of(text);

    assert_null(c);
    if (strstr(err_text(), words) == NULL)
        fail_msg("'%s' should have '%s'", err_text(), words);
}

static void init_bad(const char *text, const char *words)
{
    struct router_conf *c = conf_of(text);
    struct router *r = malloc(sizeof(*r));

    assert_non_null(c);
    assert_int_equal(router_init(r, c, macs, 2, 1), -1);
    if (strstr(err_text(), words) == NULL)
        fail_msg("'%s' should have '%s'", err_text(), words);
    routeconf_free(c);
    free(r);
}

static void conf_good(const char *text)
{
    struct router_conf *c = conf_of(text);

    if (c == NULL)
        fail_msg("%s", err_text());
    routeconf_free(c);
}

static void configuration(void **state)
{
    assert_null(conf_of("route_table {\n 0.0.0.0/0 via 1.2.3.4\n}\n")); /* nothing is routed */
    conf_bad("address_table {\n b7 10.0.0.1/24\n}\n", "'b7' is not in netdev");
    conf_bad("address_table {\n b0 10.0.0/24\n}\n", "x.conf:2: address_table: expected");
    conf_bad("address_table {\n b0 10.0.0.1/24 01:00:00:00:00:00\n}\n", "expected a MAC");
    conf_bad("address_table {\n b0 10.0.0.1/24\n b1 10.0.0.1/8\n}\n", "there twice");
    conf_bad("address_table {\n b0 10.0.0.1\n}\n", "x.conf:2: address_table: expected");
    conf_bad("address_table {\n b0 10.0.0.1/24\n b1 10.0.0.2/24\n}\n",
             "x.conf:3: address_table: 10.0.0.2/24: its net is that of an address of 'b0'");
    conf_bad("address_table {\n b0 fd00::1/64\n b1 fd00::2/64\n}\n", "its net is that of");
    conf_good("address_table {\n b0 10.0.0.1/24\n b0 10.0.0.2/24\n b1 10.1.0.1/24\n"
              " b1 10.0.0.7/32\n b1 10.0.1.1/16\n}\n");
    conf_bad(ADDRS "route_table {\n 1.2.3.4/8 via 192.0.2.254\n}\n", "bits behind the prefix");
    conf_bad(ADDRS "route_table {\n fc00::1/7 b0\n}\n", "bits behind the prefix");
    conf_bad(ADDRS "route_table {\n 10.0.0.0 via\n}\n", "via which gateway");
    conf_bad(ADDRS "route_table {\n 10.0.0.0/8 via ::1\n}\n", "the same IP version");
    conf_bad(ADDRS "route_table {\n 10.0.0.0/8 b9\n}\n", "'b9' is not in netdev");
    conf_bad(ADDRS "arp_table {\n 10.0.0.0/8 02:00:00:00:00:00\n}\n", "arp_table: expected");
    init_bad(ADDRS "route_table {\n 0.0.0.0/0 via 10.9.9.9\n}\n", "10.9.9.9 is on no link");
    init_bad(ADDRS "route_table {\n 0.0.0.0/0 b0 192.0.2.254\n}\n", "is on no link");
    init_bad(ADDRS "arp_table {\n 10.9.9.9/32 02:00:00:00:00:00\n}\n", "is on no link");
    init_bad(ADDRS "route_table {\n 10.0.0.0/24 b1\n}\n", "another route");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sent_on),
        CASE(v6_too),
        CASE(gateways),
        CASE(nobody_answers),
        CASE(nobody_answers6),
        CASE(longer_than_the_way),
        CASE(held_is_bounded),
        CASE(what_is_held_keeps_its_marks),
        CASE(what_is_refused),
        CASE(to_us),
        CASE(answers),
        CASE(a_new_mac_counts_at_once),
        CASE(asked_again_in_use),
        cmocka_unit_test(configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
