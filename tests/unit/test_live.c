// SPDX-License-Identifier: BSD-2-Clause
/* The live engine, one context: who is told what, what leaves by which interface, and when it ends. */
#include "live_fix.h"

#include <arpa/inet.h>
#include <signal.h>

#include "pools.h"

#define SYN                                                                                        \
    {                                                                                              \
        .flags = "S", .seq = CLI_ISN                                                               \
    }
#define SYNACK                                                                                     \
    {                                                                                              \
        FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1                             \
    }
#define ACK                                                                                        \
    {                                                                                              \
        .seq = CLI_ISN + 1, .ack = SVR_ISN + 1                                                     \
    }
#define DATA                                                                                       \
    {                                                                                              \
        .flags = "P.", .seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .payload = "GET / HTTP/1.1"         \
    }

static void handshake(void)
{
    from(a, (struct frame)SYN);
    leaves(b, SYN);
    from(b, (struct frame)SYNACK);
    leaves(a, SYNACK);
    from(a, (struct frame)ACK);
    leaves(b, ACK);
}

static void in_line(void **state)
{
    set_up(INLINE, 1);
    go();
    handshake();
    from(a, (struct frame)DATA);
    leaves(b, DATA);
    soon(&live.data, 1);
    nothing_leaves(a);
    nothing_leaves(b);
    assert_int_equal(live.starts, 1);
    fake_over();
    wait_ends();
    assert_int_equal(live.ends, 1);
    assert_int_equal(live.reason, MOS_END_EOF);
    assert_int_equal(live.code[0], 0);
    assert_pools_empty(&engine.ctx[0].m->env);
    assert_int_equal(stat_of(0, "input_frames"), 4);
    assert_int_equal(stat_of(0, "output_frames"), 4);
    tear_down();
}

/* Two pairs, and one that is only watched: each frame leaves by the other of its own pair. */
static void pairs(void **state)
{
    struct fakeif *c, *d;

    set_up("netdev {\nfake:a\nfake:c\nfake:d\nfake:b\n}\n"
           "nic_forward_table {\nfake:a fake:b\n}\n",
           1);
    c = fake_find("c");
    d = fake_find("d");
    go();
    handshake();
    from(c, (struct frame){.flags = "S", .seq = 1, .sport = 9});
    from(d, (struct frame){.flags = "S", .seq = 1, .sport = 10});
    nothing_leaves(c);
    nothing_leaves(d);
    tear_down();
    assert_int_equal(live.starts, 3);
    set_up("netdev {\nfake:a\nfake:c\nfake:d\nfake:b\n}\n"
           "nic_forward_table {\nfake:a fake:b\nfake:d fake:c\n}\n",
           1);
    c = fake_find("c");
    d = fake_find("d");
    go();
    handshake();
    from(c, (struct frame)SYN);
    leaves(d, SYN);
    from(d, (struct frame)SYNACK);
    leaves(c, SYNACK);
    nothing_leaves(a);
    nothing_leaves(b);
    tear_down();
}

/* What is no TCP, or no IP, or tagged, passes as it came, in order. */
static void all_passes(void **state)
{
    static const uint8_t arp[42] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1};
    static const uint8_t odd[15] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 99};
    struct pktbuf *pb;

    set_up(INLINE, 1);
    go();
    fake_put(b, 0, frame_bytes(&live.buf, arp, sizeof(arp), 1));
    fake_put(b, 0, frame_bytes(&live.buf, odd, sizeof(odd), 1));
    pb = frame_udp(&live.buf, (struct frame){.vlan = {7, 9}, .dport = 53, .payload = "x"});
    fake_put(b, 0, pb);
    from(b, (struct frame){.vlan = {100}, .flags = "S", .seq = 7, .pad = 6});
    leaves_at(a, frame_bytes(&live.buf, arp, sizeof(arp), 1), __LINE__);
    leaves_at(a, frame_bytes(&live.buf, odd, sizeof(odd), 1), __LINE__);
    pb = frame_udp(&live.buf, (struct frame){.vlan = {7, 9}, .dport = 53, .payload = "x"});
    leaves_at(a, pb, __LINE__);
    leaves(a, {.vlan = {100}, .flags = "S", .seq = 7, .pad = 6});
    nothing_leaves(b);
    tear_down();
}

/* In line a tag belongs to the wire: both ways of one flow may have different ones. */
static void tags_are_no_key(void **state)
{
    set_up(INLINE, 1);
    go();
    from(a, (struct frame){.vlan = {5}, .flags = "S", .seq = CLI_ISN});
    free(fake_take(b, 2000));
    from(b, (struct frame){
                .vlan = {6}, FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1});
    free(fake_take(a, 2000));
    from(a,
         (struct frame){
             .vlan = {5}, .flags = "P.", .seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .payload = "x"});
    soon(&live.data, 1);
    tear_down();
    assert_int_equal(live.ends, 1);
}

static void drop(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;

    if (mtcp_getlastpkt(ctx, sock, side, &p) == 0 && p.payloadlen == 4)
        mtcp_setlastpkt(ctx, sock, side, 0, NULL, 0, MOS_DROP);
}

static void verdicts(void **state)
{
    set_up(INLINE, 1);
    (mtcp_register_callback)(live.ctx[0], live.lst[0], MOS_ON_PKT_IN, MOS_HK_SND, drop);
    go();
    handshake();
    from(a,
         (struct frame){.flags = "P.", .seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .payload = "drop"});
    from(a, (struct frame){
                .flags = "P.", .seq = CLI_ISN + 5, .ack = SVR_ISN + 1, .payload = "pass on"});
    leaves(b, {.flags = "P.", .seq = CLI_ISN + 5, .ack = SVR_ISN + 1, .payload = "pass on"});
    fake_over();
    wait_ends();
    assert_int_equal(stat_of(0, "app-drop"), 1);
    tear_down();
}

static void reset(mctx_t ctx, int sock, int side, event_t ev)
{
    assert_int_equal(mtcp_reset_conn(ctx, sock), 0);
}

/* is_reset: a RST leaves by this interface, between these MAC addresses, with this tag. */
static void is_reset(struct fakeif *f, const uint8_t *dst, const uint8_t *src, uint16_t tag)
{
    struct fake_frame *x = fake_take(f, 2000);

    assert_non_null(x);
    assert_memory_equal(x->data, dst, 6);
    assert_memory_equal(x->data + 6, src, 6);
    assert_int_equal(x->data[12] << 8 | x->data[13], 0x8100);
    assert_int_equal(x->data[14] << 8 | x->data[15], tag);
    assert_int_equal(x->data[18 + 20 + 13] & 4, 4);
    assert_true(x->flags & PB_MADE);
    free(x);
}

/* At the end of a batch no packet is at hand: what is sent has the addresses that the flow has. */
static void reset_at_null(void **state)
{
    const uint8_t *mac;
    uint8_t cli[6], svr[6];

    set_up(INLINE, 1);
    live.act = reset;
    mac = frame_tcp(&live.buf, (struct frame)SYN)->data;
    memcpy(svr, mac, 6);
    memcpy(cli, mac + 6, 6);
    go();
    from(a, (struct frame){.vlan = {5}, .flags = "S", .seq = CLI_ISN});
    free(fake_take(b, 2000));
    from(b, (struct frame){
                .vlan = {6}, FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1});
    free(fake_take(a, 2000));
    from(a,
         (struct frame){
             .vlan = {5}, .flags = "P.", .seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .payload = "x"});
    free(fake_take(b, 2000));
    mac = frame_tcp(&live.buf, (struct frame)SYNACK)->data;
    is_reset(a, mac, mac + 6, 6);
    is_reset(b, svr, cli, 5);
    soon(&live.ends, 1);
    assert_int_equal(live.reason, MOS_END_RST);
    tear_down();
}

/* Nothing is sent by an interface that is only watched; what a program sends has no way out. */
static void mirror(void **state)
{
    set_up(MIRROR, 1);
    live.act = reset;
    go();
    from(a, (struct frame)SYN);
    from(a, (struct frame)SYNACK);
    from(a, (struct frame)DATA);
    soon(&live.ends, 1);
    nothing_leaves(a);
    fake_over();
    wait_ends();
    assert_int_equal(stat_of(0, "no-output"), 2);
    tear_down();
}

static void on_timer(mctx_t ctx, int id, int side, event_t ev, filter_arg_t *arg)
{
    struct timeval tv = {0, 10000};

    __atomic_fetch_add(&live.timers, 1, __ATOMIC_RELEASE);
    (mtcp_settimer)(ctx, id, &tv, on_timer);
}

/* Without a packet time goes on: timers, and connections that are silent. */
static void time_passes(void **state)
{
    struct timeval tv = {0, 1000};

    set_up(INLINE "tcp_timeout = 0.2\n", 1);
    (mtcp_settimer)(live.ctx[0], 1, &tv, on_timer);
    pause_ms(30);
    assert_int_equal(__atomic_load_n(&live.timers, __ATOMIC_ACQUIRE), 0);
    go();
    soon(&live.timers, 3);
    handshake();
    soon(&live.ends, 1);
    assert_int_equal(live.reason, MOS_END_TIMEOUT);
    tear_down();
}

/* Frames' times that run backwards or far ahead do not take the clock along. */
static void odd_times(void **state)
{
    set_up(INLINE "tcp_timeout = 5\n", 1);
    go();
    handshake();
    from(a, (struct frame){
                .flags = "P.", .seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .payload = "x", .ts_ns = 1});
    from(a, (struct frame){.flags = "P.",
                           .seq = CLI_ISN + 2,
                           .ack = SVR_ISN + 1,
                           .payload = "y",
                           .ts_ns = fake_now() + 3600 * NSEC_PER_SEC});
    from(a, (struct frame){.flags = "P.", .seq = CLI_ISN + 3, .ack = SVR_ISN + 1, .payload = "z"});
    for (int i = 0; i < 3; i++)
        free(fake_take(b, 2000));
    pause_ms(150);
    assert_int_equal(live.ends, 0);
    tear_down();
    assert_int_equal(live.ends, 1);
    assert_int_equal(live.reason, MOS_END_EOF);
}

/* Before its creator joins it a context is offered nothing; what comes waits. */
static void waits_for_join(void **state)
{
    set_up(INLINE, 1);
    from(a, (struct frame)SYN);
    pause_ms(30);
    assert_null(fake_take(b, 0));
    assert_int_equal(live.starts, 0);
    go();
    leaves(b, SYN);
    assert_int_equal(live.starts, 1);
    tear_down();
}

static void breaks(void **state)
{
    set_up(INLINE, 1);
    go();
    handshake();
    fake_break(b, ENODEV);
    wait_ends();
    assert_int_equal(live.code[0], ENODEV);
    assert_string_equal(live.said[0], "fake:b: the interface is gone");
    assert_int_equal(live.ends, 1);
    assert_int_equal(live.reason, MOS_END_EOF);
    tear_down();
}

static void interrupted(void **state)
{
    set_up(INLINE, 1);
    go();
    handshake();
    raise(SIGINT);
    wait_ends();
    assert_int_equal(live.code[0], 0);
    assert_int_equal(live.ends, 1);
    tear_down();
}

/* In line what a filter does not select is not watched, and passes. */
static void filtered(void **state)
{
    set_up(INLINE "filter = \"port 80\"\n", 1);
    go();
    for (int i = 0; i < 20; i++)
        from(a, (struct frame){.flags = "S",
                               .seq = CLI_ISN,
                               .sport = (uint16_t)(1000 + i),
                               .dport = i % 3 ? 80 : 81});
    for (int i = 0; i < 20; i++)
        leaves(b, {.flags = "S",
                   .seq = CLI_ISN,
                   .sport = (uint16_t)(1000 + i),
                   .dport = i % 3 ? 80 : 81});
    fake_over();
    wait_ends();
    assert_int_equal(live.starts, 13);
    assert_int_equal(stat_of(0, "input_filtered"), 7);
    tear_down();
}

/* The back end's word on a checksum counts; without one it is verified. */
static void checksums(void **state)
{
    struct pktbuf *pb;

    set_up(INLINE, 1);
    go();
    from(a, (struct frame){.flags = "S", .seq = 1, .sport = 1, .bad_csum = true});
    pb = frame_tcp(&live.buf, (struct frame){.flags = "S", .seq = 1, .sport = 2, .bad_csum = true});
    pb->flags |= PB_CSUM_PART;
    fake_put(a, 0, pb);
    for (int i = 0; i < 2; i++)
        free(fake_take(b, 2000));
    fake_over();
    wait_ends();
    assert_int_equal(live.starts, 1);
    assert_int_equal(stat_of(0, "tcp-csum"), 1);
    tear_down();
}

static void refusals(void **state)
{
    io_add_kind(&fake_ops);
    assert_int_equal(init_with("netdev {\nno-such-if\n}\n"), -1);
    assert_int_equal(errno, ENODEV);
    assert_string_equal(mtcp_errstr(), "no interface is called 'no-such-if'");
    assert_int_equal(init_with("netdev {\nfake:a\npcap:x\n}\n"), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(init_with("netdev {\nfake:a\nfake:a\n}\n"), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(init_with("netdev {\nfake:a\nfake:none\n}\n"), 0);
    assert_null(mtcp_create_context(0));
    assert_int_equal(errno, ENODEV);
    assert_string_equal(mtcp_errstr(), "fake:none: there is no such interface");
    assert_int_equal(mtcp_destroy(), 0);
    fake_reset();
}

/* A context may be made again. */
static void again(void **state)
{
    set_up(INLINE, 1);
    go();
    handshake();
    mtcp_destroy_context(live.ctx[0]);
    wait_ends();
    assert_int_equal(live.ends, 0);
    set_up_context(0);
    go();
    handshake();
    tear_down();
    assert_int_equal(live.ends, 1);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(in_line),   T(pairs),          T(all_passes), T(tags_are_no_key),
        T(verdicts),  T(reset_at_null),  T(mirror),     T(time_passes),
        T(odd_times), T(waits_for_join), T(breaks),     T(interrupted),
        T(filtered),  T(checksums),      T(refusals),   T(again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
