// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_flood.c: too many half-open connections. What the gate notes must open its flow as if the SYN
 * had been seen, whatever the SYN looked like; who is behind a SYN gets in, who is not does not, and
 * nothing that carries bytes goes.
 */
#include "floodfix.h"

#include <netinet/in.h>

static int ended_evicted;
static uint64_t bytes;
static uint8_t got[4096];

static void on_start(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    started++;
}

static void on_data(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    ssize_t n;

    while ((n = mtcp_peek(m, sock, side, (char *)got + bytes, sizeof(got) - bytes)) > 0)
        bytes += (uint64_t)n;
    assert_true(n == 0);
    fix.child = sock;
}

static void on_end(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    assert_int_equal(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len), 0);
    ended_evicted += info.reason == MOS_END_EVICTED;
}

static void up(const char *keys, int start_hook)
{
    flood_up(keys);
    ended_evicted = 0;
    bytes = 0;
    on(MOS_ON_EVICT, MOS_NULL, on_evict);
    on(MOS_ON_CONN_START, start_hook, on_start);
    on(MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data);
    on(MOS_ON_CONN_END, MOS_HK_RCV, on_end);
}

static struct mos_flow_info info_of(int child)
{
    struct mos_flow_info v;
    socklen_t len = sizeof(v);

    assert_int_equal(mtcp_getsockopt(fix.ctx, child, SOL_MONSOCKET, MOS_FLOW_INFO, &v, &len), 0);
    return v;
}

/* The limit holds, the surplus is noted, and what has come is forwarded. */
static void surplus_is_noted(void **state)
{
    up("", MOS_HK_RCV);
    syns(0, 300);
    assert_int_equal(stat_of("half_open_now"), HALF);
    assert_int_equal(stat_of("flows_now"), HALF);
    assert_int_equal(stat_of("syn-gated"), 300 - HALF);
    assert_int_equal(stat_of("syn-gate-drop"), 0);
    assert_int_equal(stat_of("orphan"), 0);
    assert_int_equal(evicted, 0);
    assert_false(fix.last[0].verdict & MTCP_FRAME_DROP);
    down();
}

/* talk: a handshake in the midst of a flood, then bytes both ways. => its child. */
static void talk(struct frame syn, const char *cli, const char *svr)
{
    struct frame f = syn;
    int before;

    syns(2000 + syn.sport, 1); /* takes the place that the last one has left */
    before = started;
    f.flags = "S";
    f.seq = FIX_CLI;
    fix_push(f);
    syns(1000, 10);
    f = syn;
    f.reply = true;
    f.mss = f.wscale = 0;
    f.ts[0] = 0;
    f.flags = "S.";
    f.seq = FIX_SVR;
    f.ack = FIX_CLI + 1;
    fix_push(f);
    assert_int_equal(started, before + 1);
    f = syn;
    f.mss = f.wscale = 0;
    f.ts[0] = 0;
    f.flags = ".";
    f.seq = FIX_CLI + 1;
    f.ack = FIX_SVR + 1;
    fix_push(f);
    f.flags = "P.";
    f.payload = cli;
    bytes = 0;
    fix_push(f);
    assert_int_equal(bytes, strlen(cli));
    assert_memory_equal(got, cli, bytes);
    f.reply = true;
    f.seq = FIX_SVR + 1;
    f.ack = FIX_CLI + 1 + (uint32_t)strlen(cli);
    f.payload = svr;
    bytes = 0;
    fix_push(f);
    assert_int_equal(bytes, strlen(svr));
    assert_memory_equal(got, svr, bytes);
}

/* Whatever a SYN looks like: noted, and its connection followed from the SYN/ACK on. */
static void any_shape_is_followed(void **state)
{
    static const struct frame shape[] = {
        {.sport = 1},
        {.sport = 2, .mss = 1460},
        {.sport = 3, .mss = 1460, .wscale = FRAME_WSCALE(7), .ts = {5, 0}},
        {.sport = 4, .vlan = {7}},
        {.sport = 5, .src = "2001:db8::1", .dst = "2001:db8::2"},
        {.sport = 6, .src = "10.0.0.9", .dst = "10.0.0.2", .link = FRAME_SLL},
        {.sport = 90, .src = "10.0.0.2", .dst = "10.0.0.1", .dport = 8080},
        {.sport = 91, .src = "10.0.0.1", .dst = "10.0.0.1", .dport = 80},
        {.sport = 79, .src = "10.0.0.1", .dst = "10.0.0.1", .dport = 80},
    };

    up("", MOS_HK_RCV);
    syns(0, 100);
    for (size_t i = 0; i < ARRAY_SIZE(shape); i++) {
        talk(shape[i], "from the client", "and back again");
        assert_int_equal(info_of(fix.child).flags & MOS_FLOWF_MIDSTREAM, 0);
        assert_int_equal(info_of(fix.child).state[MOS_SIDE_SVR], TCP_ESTABLISHED);
        assert_int_equal(stat_of("flows_from_notes"), i + 1);
    }
    assert_int_equal(stat_of("half_open_now"), HALF - 1);
    assert_int_equal(evicted, ARRAY_SIZE(shape));
    assert_int_equal(stat_of("evicted-half-open"), ARRAY_SIZE(shape));
    down();
}

/* The SYN/ACK passed unseen: the client's own going on will do. An RST opens nothing. */
static void clients_go_on(void **state)
{
    up("", MOS_HK_RCV);
    syns(0, 100);
    fix_push((struct frame){.sport = 9, .flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){.sport = 9, .flags = ".", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    fix_push((struct frame){
        .sport = 9, .flags = "P.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .payload = "hello"});
    assert_int_equal(bytes, 5);
    assert_int_equal(stat_of("flows_from_notes"), 1);
    syns(2000, 1); /* takes the place that is left */
    fix_push((struct frame){.sport = 10, .flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){FRAME_REPLY, .sport = 10, .flags = "R.", .seq = 0, .ack = FIX_CLI + 1});
    fix_push((struct frame){.sport = 10, .flags = ".", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    assert_int_equal(stat_of("flows_from_notes"), 1);
    assert_int_equal(stat_of("orphan"), 2);
    fix_push((struct frame){.sport = 11, .flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){.sport = 11, .flags = ".", .seq = FIX_CLI + 70000, .ack = 1});
    assert_int_equal(stat_of("orphan"), 3); /* not behind that SYN */
    down();
}

/* What a host drops for its IP options is no answer to a noted SYN, and no SYN to be noted. */
static void source_routes_open_nothing(void **state)
{
    struct frame answer = {FRAME_REPLY, .sport = 9, .flags = "S.", .seq = 500, .ack = FIX_CLI + 1};

    up("", MOS_HK_RCV);
    syns(0, 100);
    fix_push((struct frame){.sport = 9, .flags = "S", .seq = FIX_CLI});
    answer.ip_opts = "\x83\3\4\0";
    answer.ip_optlen = 4;
    fix_push(answer);
    fix_push((struct frame){
        .sport = 10, .flags = "S", .seq = FIX_CLI, .ip_opts = "\x83\3\4\0", .ip_optlen = 4});
    assert_int_equal(stat_of("ip-source-route"), 2);
    assert_int_equal(stat_of("orphan"), 2);
    assert_int_equal(stat_of("flows_from_notes"), 0);
    assert_int_equal(stat_of("syn-gated"), 101 - HALF);
    down();
}

/* A client that sends its SYN again is somebody; a SYN doubled on the way is not. */
static void second_syn_gets_in(void **state)
{
    const struct frame syn = {.sport = 9, .flags = "S", .seq = FIX_CLI};

    up("", MOS_HK_RCV);
    syns(0, 100);
    fix_push(syn);
    fix_push(syn);
    assert_int_equal(started, HALF);
    fix.now += 300 * FIX_MS;
    fix_push(syn);
    assert_int_equal(started, HALF + 1);
    assert_int_equal(stat_of("half_open_now"), HALF);
    assert_int_equal(evicted, 1);
    assert_int_equal(ended_evicted, 2); /* once a side */
    down();
}

/* Half-open flows of a second make way, one a millisecond. */
static void old_ones_make_way(void **state)
{
    up("", MOS_HK_RCV);
    syns(0, HALF);
    fix.now += 1100 * FIX_MS;
    syns(1000, 64); /* one batch: one time */
    assert_int_equal(evicted, 1);
    for (int i = 0; i < 10; i++)
        syns(2000 + i, 1);
    assert_int_equal(evicted, 11);
    assert_int_equal(stat_of("half_open_now"), HALF);
    down();
}

/* Somebody who may change or drop a SYN has to see it: what is noted is dropped. */
static void unseen_is_not_forwarded(void **state)
{
    static const char *const keys[] = {"", "forward = 0", "drop_orphans = 1", "strict = 1"};
    static const bool drops[][2] = {{true, false}, {false, false}, {true, true}, {true, true}};

    for (int i = 0; i < 4; i++)
        for (int rcv = 0; rcv < 2; rcv++) {
            up(keys[i], rcv ? MOS_HK_RCV : MOS_HK_SND);
            syns(0, HALF);
            assert_false(fix.last[0].verdict & MTCP_FRAME_DROP);
            syns(1000, 10);
            assert_int_equal(!!(fix.last[0].verdict & MTCP_FRAME_DROP), drops[i][rcv]);
            assert_int_equal(stat_of("syn-gate-drop"), drops[i][rcv] ? 10 : 0);
            down();
        }
}

/* syn_of: the SYN of client i. => was it dropped? */
static bool syn_of(int i)
{
    char src[40];

    snprintf(src, sizeof(src), "192.168.1.%d", i);
    fix_push((struct frame){.src = src, .flags = "S", .seq = FIX_CLI});
    return fix.last[0].verdict & MTCP_FRAME_DROP;
}

/* Who has to send his SYN again gets in with it, whatever has come meanwhile; random sources do not. */
static void dropped_syns_come_again(void **state)
{
    const int clients = 20;

    int false_ones;

    up("strict = 1\n seed = 7", MOS_HK_RCV);
    syns(0, HALF);
    for (int i = 0; i < clients; i++) {
        assert_true(syn_of(i));
        assert_true(syn_of(i)); /* doubled on the way */
    }
    assert_int_equal(evicted, 0);
    syns(1000, 50000);
    false_ones = evicted;
    assert_in_range(false_ones, 0, 100); /* hardly one is taken for another */
    for (int i = 0; i < clients; i++)
        assert_false(syn_of(i));
    assert_int_equal(evicted, false_ones + clients);
    assert_int_equal(stat_of("half_open_now"), HALF);
    down();
}

/* A SYN that no listener wants is none for the gate; nor is one with a wrong checksum. */
static void refused_is_not_noted(void **state)
{
    int on = MOS_CSUM_ON;

    up("", MOS_HK_RCV);
    assert_int_equal(mtcp_setsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_CSUM, &on, sizeof(on)),
                     0);
    syns(0, 100);
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .bad_csum = true});
    assert_int_equal(stat_of("syn-gated"), 100 - HALF);
    assert_int_equal(stat_of("tcp-csum"), 1);
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1,
                            .bad_csum = true});
    assert_int_equal(stat_of("tcp-csum"), 2);
    assert_int_equal(evicted, 0);
    down();
}

/* Few half-open flows among many live ones: when the table is full it is they that go. */
static void live_ones_stay(void **state)
{
    static char src[40];

    up("max_flows = 500", MOS_HK_RCV);
    for (int i = 0; i < 497; i++) {
        struct frame f = {.src = src, .flags = "S", .seq = FIX_CLI};
        struct frame a = {FRAME_REPLY, .src = src, .flags = "S.", .seq = FIX_SVR,
                          .ack = FIX_CLI + 1};
        struct frame v[3] = {f, a, {.src = src, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1}};

        snprintf(src, sizeof(src), "192.168.%d.%d", i >> 8, i & 255);
        fix_batch(v, 3);
    }
    assert_int_equal(stat_of("half_open_now"), 0);
    syns(0, 60);
    assert_int_equal(stat_of("flows_now"), 500);
    assert_int_equal(evicted, 57);
    assert_int_equal(stat_of("evicted-half-open"), 57);
    assert_int_equal(stat_of("evicted"), 57);
    snprintf(src, sizeof(src), "192.168.0.0");
    fix_push((struct frame){.src = src, .flags = "F.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    snprintf(src, sizeof(src), "192.168.0.1");
    for (int i = 0; i < 4; i++) { /* the one that closes goes, then three young half-open ones */
        char other[40];
        struct frame v[3] = {
            {.src = other, .flags = "S", .seq = FIX_CLI},
            {FRAME_REPLY, .src = other, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1},
            {.src = other, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1}};

        snprintf(other, sizeof(other), "192.169.0.%d", i);
        fix_batch(v, 3);
        assert_int_equal(stat_of("evicted-closing"), 1);
    }
    assert_int_equal(stat_of("evicted-half-open"), 60);
    assert_int_equal(stat_of("evicted-closing"), 1);
    assert_int_equal(stat_of("evicted"), 61);
    fix.now += 2000 * FIX_MS;
    fix_push((struct frame){.src = "192.169.1.1", .flags = "S", .seq = FIX_CLI});
    assert_int_equal(stat_of("evicted-idle"), 1);
    down();
}

/* answered: the client's SYN has passed: the rest of its handshake, and five bytes. */
static void answered(uint16_t port)
{
    const struct frame v[3] = {
        {FRAME_REPLY, .sport = port, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1},
        {.sport = port, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1},
        {.sport = port, .flags = "P.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .payload = "hello"}};

    bytes = 0;
    fix_batch(v, 3);
    assert_int_equal(bytes, 5);
    assert_int_equal(info_of(fix.child).flags & MOS_FLOWF_MIDSTREAM, 0);
}

static void two_at_once(void)
{
    fix_push((struct frame){.sport = 9, .flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){.sport = 10, .flags = "S", .seq = FIX_CLI});
    answered(9);
    answered(10);
    assert_int_equal(stat_of("orphan"), 0);
}

/* A table full of what is silent, closes or has one end: those go before a handshake that is under way. */
static void handshakes_end(void **state)
{
    const int n = 20;

    up("max_flows = 20", MOS_HK_RCV);
    for (int i = 0; i < n; i++)
        established(i);
    fix.now += 2000 * FIX_MS;
    two_at_once();
    assert_int_equal(stat_of("evicted-idle"), 2);
    down();
    up("max_flows = 20", MOS_HK_RCV);
    bytes = 0;
    blind(0, n, "+", true);
    two_at_once();
    assert_int_equal(stat_of("evicted-one-sided"), 2);
    down();
    up("max_flows = 20", MOS_HK_RCV);
    for (int i = 0; i < n; i++)
        established(i);
    for (int i = 0; i < 2; i++) {
        char src[40];

        snprintf(src, sizeof(src), "192.168.0.%d", i);
        fix_push((struct frame){.src = src, .flags = "F.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1});
    }
    two_at_once();
    assert_int_equal(stat_of("evicted-closing"), 2);
    assert_int_equal(stat_of("evicted"), 2);
    down();
}

/* Among live flows a handshake goes after all, for the next; its SYN is noted, and the answer finds it. */
static void evicted_syn_is_noted(void **state)
{
    up("max_flows = 20", MOS_HK_RCV);
    for (int i = 0; i < 20; i++)
        established(i);
    two_at_once();
    assert_int_equal(stat_of("evicted-half-open"), 2);
    assert_int_equal(stat_of("evicted-live"), 2);
    assert_int_equal(stat_of("flows_from_notes"), 2);
    down();
}

/* One blind ACK makes no connection: among such flows those that two take part in stay, whole. */
static void blind_acks(const char *data, bool syn, const char *counter)
{
    const int n = 200, rounds = 30;

    up("memory = 1M\n midstream = 1", MOS_HK_RCV);
    assert_int_equal(
        mtcp_register_callback(fix.ctx, fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_length), 0);
    lengths = 0;
    for (int i = 0; i < n; i++)
        established(i);
    for (int r = 0; r < rounds; r++) {
        blind(r * 300, 300, data, syn);
        for (int i = 0; i < n; i++) {
            char src[40];

            snprintf(src, sizeof(src), "192.168.%d.%d", i >> 8, i & 255);
            fix_push((struct frame){.src = src,
                                    .flags = "P.",
                                    .payload = "++++",
                                    .seq = FIX_CLI + 1 + 4 * (uint32_t)r,
                                    .ack = FIX_SVR + 1});
        }
    }
    assert_int_equal(lengths, 4 * n * rounds);
    assert_int_equal(stat_of("evicted-live") + stat_of("evicted-idle"), 0);
    assert_true(stat_of(counter) > 0);
    down();
}

static void blind_acks_make_no_connection(void **state)
{
    blind_acks("data", true, "evicted-one-sided");
    blind_acks(NULL, true, "evicted-half-open");
    blind_acks("data", false, "evicted-one-sided");
}

/* one_sided: n sources send 9,800 bytes each, from offset off of their streams on. */
static void one_sided(int n, uint32_t off)
{
    static char text[1401];

    memset(text, '-', 1400);
    for (int i = 0; i < n; i++) {
        char src[40];
        struct frame v[8] = {{.src = src, .flags = "S", .seq = 77}};

        for (uint32_t k = 0; k < 7; k++)
            v[k + 1] = (struct frame){.src = src,
                                      .flags = "P.",
                                      .seq = 78 + off + 1400 * k,
                                      .ack = 4711,
                                      .payload = text};
        snprintf(src, sizeof(src), "172.16.%d.%d", i >> 8, i & 255);
        fix_batch(v, 8);
    }
}

/*
 * A budget full of bytes that others hold: those that were read and are only retained go, then flows
 * of which one end was heard; what a connection has to keep finds room, and nobody's bytes are lost.
 */
static void room_is_made(void **state)
{
    for (int held = 0; held < 2; held++) { /* behind a hole, by those flows */
        up("memory = 4M\n ooo_memory = 4M", MOS_HK_RCV);
        fix_on(fix.lst, MOS_ON_REXMIT, MOS_HK_RCV);
        assert_int_equal(
            mtcp_register_callback(fix.ctx, fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_length), 0);
        lengths = 0;
        for (int i = 0; i < 100; i++)
            established(i);
        one_sided(400, (uint32_t)held);
        late_bytes();
        assert_int_equal(lengths, 200000);
        assert_int_equal(stat_of("stream_failed"), 0);
        assert_int_equal(stat_of("no-stream-mem"), 0);
        assert_true(stat_of("mem_now") <= 4 << 20);
        assert_int_equal(stat_of("evicted-one-sided") > 0, held);
        assert_int_equal(stat_of("evicted"), stat_of("evicted-one-sided"));
        down();
    }
}

/* The server's first segment makes a one-sided flow a connection like any other. */
static void one_sided_until_answered(void **state)
{
    up("", MOS_HK_RCV);
    blind(0, 1, "data", true);
    blind(1, 1, NULL, true);
    assert_int_equal(stat_of("one_sided_now"), 1);
    assert_int_equal(stat_of("half_open_now"), 1);
    fix_push((struct frame){FRAME_REPLY, .src = "172.16.0.0", .seq = 4711, .ack = 82});
    assert_int_equal(stat_of("one_sided_now"), 0);
    assert_int_equal(stat_of("half_open_now"), 1);
    down();
}

static void on_any_data(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    ssize_t n;

    while ((n = mtcp_peek(m, sock, side, (char *)got, sizeof(got))) != 0)
        bytes += n > 0 ? (uint64_t)n : 0;
}

/* Holes of many flows: the sum of what waits has a limit; who has waited long and has most pays. */
static void waiting_bytes_have_a_limit(void **state)
{
    static char src[40], text[1001];

    uint64_t each = 0; /* what a hole with 1,000 bytes behind it takes */

    up("ooo_memory = 13000", MOS_HK_RCV);
    gaps = 0;
    memset(text, 'x', 1000);
    assert_int_equal(mtcp_register_callback(fix.ctx, fix.lst, MOS_ON_GAP, MOS_NULL, on_gap), 0);
    assert_int_equal(
        mtcp_register_callback(fix.ctx, fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_any_data), 0);
    for (int i = 0; i < 15; i++) {
        struct frame v[4] = {
            {.src = src, .flags = "S", .seq = FIX_CLI},
            {FRAME_REPLY, .src = src, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1},
            {.src = src, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1},
            {.src = src, .flags = "P.", .seq = FIX_CLI + 2, .ack = FIX_SVR + 1, .payload = text}};

        bytes = 0;
        snprintf(src, sizeof(src), "192.168.1.%d", i);
        fix_batch(v, 4);
        each = i ? each : stat_of("ooo_now");
        assert_in_range(each, 1024, 1300);
        assert_int_equal(stat_of("ooo_now"), each * (uint64_t)(i < 10 ? i + 1 : 10));
        assert_int_equal(gaps, i < 10 ? 0 : i - 9);
        assert_int_equal(bytes, i < 10 ? 0 : 1000); /* what waited behind it is read */
    }
    assert_int_equal(gap_cause, MOS_GAP_LIMIT);
    assert_int_equal(stat_of("ooo-memory"), 5);
    assert_int_equal(stat_of("evicted"), 0);
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(surplus_is_noted),
        cmocka_unit_test(any_shape_is_followed),
        cmocka_unit_test(clients_go_on),
        cmocka_unit_test(source_routes_open_nothing),
        cmocka_unit_test(second_syn_gets_in),
        cmocka_unit_test(old_ones_make_way),
        cmocka_unit_test(unseen_is_not_forwarded),
        cmocka_unit_test(dropped_syns_come_again),
        cmocka_unit_test(refused_is_not_noted),
        cmocka_unit_test(live_ones_stay),
        cmocka_unit_test(handshakes_end),
        cmocka_unit_test(evicted_syn_is_noted),
        cmocka_unit_test(blind_acks_make_no_connection),
        cmocka_unit_test(room_is_made),
        cmocka_unit_test(one_sided_until_answered),
        cmocka_unit_test(waiting_bytes_have_a_limit),
    };

    return cmocka_run_group_tests_name("flood", tests, NULL, NULL);
}
