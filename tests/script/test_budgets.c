// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_budgets.c: what is limited, and who pays: stopped connections, memory behind holes, bytes that
 * find no memory. Floods of SYNs are test_flood.c's.
 */
#include "floodfix.h"

#include <netinet/in.h>

static void stop_it(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    int both = MOS_SIDE_BOTH;

    started++;
    assert_int_equal(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)), 0);
}

/* up_stopping: what begins is stopped at once: a firewall that lets everything through. */
static void up_stopping(const char *keys)
{
    flood_up(keys);
    on(MOS_ON_EVICT, MOS_NULL, on_evict);
    on(MOS_ON_CONN_START, MOS_HK_SND, stop_it);
}

/* passes: a whole connection. => how many of its packets were dropped. */
static int passes(int i)
{
    char src[40];
    int dropped = 0;
    struct frame v[5] = {
        {.src = src, .flags = "S", .seq = FIX_CLI},
        {FRAME_REPLY, .src = src, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1},
        {.src = src, .seq = FIX_CLI + 1, .ack = FIX_SVR + 1},
        {.src = src, .flags = "P.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .payload = "hello"},
        {FRAME_REPLY, .src = src, .seq = FIX_SVR + 1, .ack = FIX_CLI + 6}};

    snprintf(src, sizeof(src), "192.168.%d.%d", i >> 8, i & 255);
    for (int k = 0; k < 5; k++) {
        fix_push(v[k]);
        dropped += !!(fix.last[0].verdict & MTCP_FRAME_DROP);
    }
    return dropped;
}

/* Stopped connections count with the others; the oldest makes way for a new one, and it gets through. */
static void stopped_ones_make_way(void **state)
{
    up_stopping("max_flows = 100\n drop_orphans = 1");
    syns(0, 1000);
    assert_int_equal(started, 1000);
    assert_int_equal(stat_of("flows_now"), 0);
    assert_int_equal(stat_of("stopped_now"), 100);
    assert_int_equal(stat_of("evicted-stopped"), 900);
    for (int i = 0; i < 20; i++)
        assert_int_equal(passes(i), 0);
    assert_int_equal(stat_of("stopped_now"), 100);
    assert_int_equal(stat_of("evicted-stopped"), 920);
    for (int r = 0; r < 50; r++) { /* those that go on stay, whatever comes */
        syns(2000 + 60 * r, 60);
        for (int i = 0; i < 20; i++) {
            char src[40];

            snprintf(src, sizeof(src), "192.168.0.%d", i);
            fix_push((struct frame){.src = src, .seq = FIX_CLI + 6, .ack = FIX_SVR + 1});
        }
    }
    assert_int_equal(stat_of("orphan"), 0);
    assert_int_equal(evicted, 0);
    assert_int_equal(stat_of("evicted"), 0); /* no socket was left: that is a counter of its own */
    down();
}

/* Before connections that are watched. */
static void stopped_ones_go_first(void **state)
{
    flood_up("max_flows = 20");
    for (int i = 0; i < 10; i++)
        established(i);
    on(MOS_ON_CONN_START, MOS_HK_SND, stop_it);
    for (int i = 0; i < 30; i++)
        syns(i, 1);
    assert_int_equal(stat_of("stopped_now"), 10);
    on(MOS_ON_CONN_START, MOS_HK_SND, NULL);
    for (int i = 10; i < 20; i++)
        established(i);
    assert_int_equal(stat_of("stopped_now"), 0);
    assert_int_equal(stat_of("flows_now"), 20);
    assert_int_equal(stat_of("evicted"), 0);
    established(20);
    assert_int_equal(stat_of("evicted"), 1);
    down();
}

/* A budget of memory: they have a sixteenth of it, and new ones get through; so do they in a full one. */
static void stopped_ones_in_memory(void **state)
{
    static const char *const keys[] = {"memory = 1M\n drop_orphans = 1",
                                       "memory = 8M\n drop_orphans = 1"};

    for (int k = 0; k < 2; k++) {
        up_stopping(keys[k]);
        syns(0, k ? 120000 : 20000);
        for (int i = 0; i < 50; i++)
            assert_int_equal(passes(i), 0);
        assert_int_equal(stat_of("orphan"), 0);
        assert_in_range(stat_of("stopped_now"), 64, (k ? 8 : 1) * (1 << 20) / 16 / 80);
        assert_true(stat_of("mem_now") <= (uint64_t)(k ? 8 : 1) << 20);
        down();
    }
    flood_up("memory = 8M\n drop_orphans = 1\n max_half_open = 100000");
    on(MOS_ON_EVICT, MOS_NULL, on_evict);
    syns(0, 30000); /* all that there is */
    assert_true(evicted > 0);
    on(MOS_ON_CONN_START, MOS_HK_SND, stop_it);
    for (int i = 0; i < 50; i++)
        assert_int_equal(passes(i), 0);
    assert_true(stat_of("stopped_now") > 0);
    down();
}

static char gone[INET_ADDRSTRLEN]; /* the client of the last one that was evicted */

static void on_gone(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct sockaddr_in a[2];
    socklen_t len = sizeof(a);

    assert_int_equal(mtcp_getpeername(m, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH), 0);
    inet_ntop(AF_INET, &a[0].sin_addr, gone, sizeof(gone));
}

/* Of the first 16 one-sided flows the one goes that has been silent longest; the next 16 are asked next. */
static void silent_ones_go(void **state)
{
    flood_up("max_flows = 20");
    on(MOS_ON_EVICT, MOS_NULL, on_gone);
    blind(0, 20, "+", true);
    for (int i = 0; i < 16; i++) { /* number 7 says no more, and 4 was the first to go on */
        int n = (i + 4) % 16;
        char src[40];

        snprintf(src, sizeof(src), "172.16.0.%d", n);
        if (n != 7)
            fix_push(
                (struct frame){.src = src, .flags = "P.", .seq = 79, .ack = 4711, .payload = "-"});
    }
    established(0);
    assert_string_equal(gone, "172.16.0.7");
    established(1); /* asks 16 to 19, and 0 to 11 */
    assert_string_equal(gone, "172.16.0.16");
    assert_int_equal(stat_of("evicted-one-sided"), 2);
    assert_int_equal(stat_of("evicted"), 2);
    down();
}

/* splinters: n established connections send single bytes with holes between, so many each. */
static void splinters(int n, int pieces)
{
    for (int k = 0; k < pieces; k += 60)
        for (int i = 0; i < n; i++) {
            char src[40];
            struct frame v[60];

            snprintf(src, sizeof(src), "192.168.%d.%d", 1 + (i >> 8), i & 255);
            for (int j = 0; j < 60; j++)
                v[j] = (struct frame){.src = src,
                                      .flags = "P.",
                                      .seq = FIX_CLI + 2 + 2 * (uint32_t)(k + j),
                                      .ack = FIX_SVR + 1,
                                      .payload = "x"};
            fix_batch(v, 60);
        }
}

/*
 * A byte behind a hole takes the memory of some 300: that is what is counted, and limited; and where it
 * has no limit of its own, who takes most gives up his holes before anybody loses a byte.
 */
static void splinters_have_a_limit(void **state)
{
    static const char *const keys[] = {"memory = 4M", "memory = 4M\n ooo_memory = 64M"};

    for (int k = 0; k < 2; k++) {
        flood_up(keys[k]);
        gaps = gap_cause = 0;
        on(MOS_ON_GAP, MOS_NULL, on_gap);
        on(MOS_ON_CONN_NEW_DATA, MOS_NULL, on_length);
        lengths = 0;
        for (int i = 0; i < 100; i++)
            established(i);
        for (int i = 0; i < 50; i++)
            established(256 + i);
        splinters(50, 480);
        late_bytes();
        assert_int_equal(lengths, 200000);
        assert_int_equal(stat_of("stream_failed"), 0);
        assert_int_equal(stat_of("no-stream-mem"), 0);
        assert_int_equal(stat_of("evicted"), 0);
        assert_int_equal(stat_of("ooo-memory"), gaps);
        assert_true(gaps > 0);
        assert_int_equal(gap_cause, MOS_GAP_LIMIT);
        assert_true(k || stat_of("ooo_now") <= 1 << 20);
        down();
    }
}

/* What became of the clients' bytes, over all connections: as told, as counted, and as read at the end. */
static struct {
    uint64_t errors, told, read, lost, stream, gap;
    int marked, unmarked;
    bool in_time; /* who is warned reads */
} bill;

static void read_all(mctx_t m, int sock)
{
    static char buf[65536];
    ssize_t n;

    while ((n = mtcp_peek(m, sock, MOS_SIDE_SVR, buf, sizeof(buf))) != 0) {
        assert_true(n > 0 || errno == ENODATA);
        bill.read += n > 0 ? (uint64_t)n : 0;
        bill.lost += n < 0 ? (uint64_t)-n : 0;
    }
}

static void on_bill(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct mos_flow_info info;
    struct mos_gap_info gap;
    socklen_t len = sizeof(gap);

    if (ev == MOS_ON_GAP) {
        assert_int_equal(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_GAP_INFO, &gap, &len), 0);
        assert_int_equal(gap.side, MOS_SIDE_SVR);
        assert_int_equal(gap.cause, MOS_GAP_LIMIT);
        bill.told += gap.len;
        return;
    }
    if (ev == MOS_ON_ERROR) {
        bill.errors++;
        if (bill.in_time)
            read_all(m, sock);
        return;
    }
    if (side != MOS_SIDE_SVR)
        return;
    len = sizeof(info);
    read_all(m, sock);
    assert_int_equal(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len), 0);
    bill.stream += info.dir[MOS_SIDE_CLI].stream_bytes;
    bill.gap += info.dir[MOS_SIDE_CLI].gap_bytes;
    if (info.flags & MOS_FLOWF_EVICTED)
        bill.marked++;
    else
        bill.unmarked++;
    assert_int_equal(!!(info.flags & MOS_FLOWF_EVICTED), info.dir[MOS_SIDE_CLI].gap_bytes > 0);
}

/* fill: n connections send 60,000 bytes each, which nobody reads before the end. */
static void fill(int n)
{
    static char text[1001];

    memset(text, '.', 1000);
    for (int k = 0; k < 60; k++)
        for (int i = 0; i < n; i++) {
            char src[40];

            snprintf(src, sizeof(src), "192.168.%d.%d", i >> 8, i & 255);
            fix_push((struct frame){.src = src,
                                    .flags = "P.",
                                    .payload = text,
                                    .ack = FIX_SVR + 1,
                                    .seq = FIX_CLI + 1 + 1000 * (uint32_t)k});
        }
}

/*
 * Bytes that find no memory: who has not read has a last chance to, then they are a gap like any other,
 * do not count as delivered, and their connection is marked.
 */
static void bytes_without_room_are_told(void **state)
{
    static const char *const keys[] = {"memory = 1M", "memory = 4M", "memory = 2M"};
    const int n = 100, size = 65536;

    for (int k = 0; k < 3; k++) {
        flood_up(keys[k]);
        memset(&bill, 0, sizeof(bill));
        bill.in_time = k == 2;
        assert_int_equal(
            mtcp_setsockopt(fix.ctx, fix.lst, SOL_MONSOCKET, MOS_SVRBUF, &size, sizeof(size)), 0);
        on(MOS_ON_GAP, MOS_NULL, on_bill);
        on(MOS_ON_ERROR, MOS_NULL, on_bill);
        on(MOS_ON_CONN_END, MOS_HK_RCV, on_bill);
        for (int i = 0; i < n; i++)
            established(i);
        fill(n);
        assert_int_equal(bill.told, stat_of("stream_failed"));
        assert_int_equal(stat_of("evicted"), 0);
        assert_int_equal(stat_of("stream_failed") > 0, !bill.in_time);
        assert_int_equal(mtcp_push(fix.ctx, NULL, 0), 0);
        assert_int_equal(bill.stream + bill.gap, 60000 * n);
        assert_int_equal(bill.read, bill.stream);
        assert_int_equal(bill.lost, bill.gap);
        assert_int_equal(bill.told, bill.gap);
        assert_int_equal(stat_of("stream_failed"), bill.gap);
        assert_true(bill.errors > 0);
        assert_int_equal(bill.marked > 0, !bill.in_time);
        assert_int_equal(bill.marked + bill.unmarked, n);
        down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped_ones_make_way),  cmocka_unit_test(stopped_ones_go_first),
        cmocka_unit_test(stopped_ones_in_memory), cmocka_unit_test(silent_ones_go),
        cmocka_unit_test(splinters_have_a_limit), cmocka_unit_test(bytes_without_room_are_told),
    };

    return cmocka_run_group_tests_name("budgets", tests, NULL, NULL);
}
