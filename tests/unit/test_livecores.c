// SPDX-License-Identifier: BSD-2-Clause
/* The live engine, several contexts: frames cross to where their flow belongs, and leave from there. */
#include "live_fix.h"

#define FLOWS 40

/* Each direction comes by another queue than the flow's core for half of the flows, at least. */
static void say(int flow, int step)
{
    const struct frame v[4] = {
        {.flags = "S", .seq = CLI_ISN},
        {FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1},
        {.flags = "P.", .seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .payload = "hello"},
        {FRAME_REPLY, .flags = "R", .seq = SVR_ISN + 1},
    };
    struct frame f = v[step];

    f.sport = (uint16_t)(2000 + flow);
    from_q(f.reply ? b : a, (flow + step) % 2, f);
}

/* count_out: frames that leave by this interface, until none has for a while. */
static int count_out(struct fakeif *f, int want)
{
    struct fake_frame *x;
    int n = 0;

    while ((x = fake_take(f, n < want ? 2000 : 20)) != NULL) {
        free(x);
        n++;
    }
    return n;
}

static void cross(void **state)
{
    set_up(INLINE_2, 2);
    go();
    for (int step = 0; step < 4; step++) {
        for (int i = 0; i < FLOWS; i++)
            say(i, step);
        assert_int_equal(count_out(step % 2 ? a : b, FLOWS), FLOWS);
    }
    soon(&live.ends, FLOWS);
    fake_over();
    wait_ends();
    assert_int_equal(live.starts, FLOWS);
    assert_int_equal(live.ends, FLOWS);
    assert_int_equal(live.reason, MOS_END_RST);
    assert_int_equal(live.data, FLOWS);
    assert_int_equal(stat_of(0, "orphan") + stat_of(1, "orphan"), 0);
    assert_true(stat_of(0, "flows") > 5 && stat_of(1, "flows") > 5);
    assert_int_equal(stat_of(0, "crossed"), 4 * FLOWS / 2);
    assert_int_equal(stat_of(0, "cross_lost"), 0);
    assert_int_equal(stat_of(1, "output_frames"), 4 * FLOWS);
    tear_down();
}

static int rightly, wrongly; /* packets of a side that came by its interface, and others */

static void by_which(mctx_t ctx, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;

    if (mtcp_getlastpkt(ctx, sock, side, &p) == 0 && p.in_ifidx == (side == MOS_SIDE_SVR))
        __atomic_fetch_add(&rightly, 1, __ATOMIC_RELAXED);
    else
        __atomic_fetch_add(&wrongly, 1, __ATOMIC_RELAXED);
}

/* The interface that a frame came by is told, in configuration order, wherever it is worked off. */
static void told_by_which(void **state)
{
    rightly = wrongly = 0;
    set_up(INLINE_2, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            (mtcp_register_callback)(live.ctx[i], live.lst[i], MOS_ON_PKT_IN, MOS_HK_SND, by_which),
            0);
    go();
    for (int step = 0; step < 4; step++) {
        for (int i = 0; i < FLOWS; i++)
            say(i, step);
        assert_int_equal(count_out(step % 2 ? a : b, FLOWS), FLOWS);
    }
    fake_over();
    wait_ends();
    assert_int_equal(rightly, 4 * FLOWS);
    assert_int_equal(wrongly, 0);
    assert_int_equal(stat_of(0, "crossed"), 4 * FLOWS / 2);
    tear_down();
}

/* One that does not run is passed nothing: the other works off all. */
static void one_of_two(void **state)
{
    set_up(INLINE_2, 1);
    go();
    for (int step = 0; step < 3; step++)
        for (int i = 0; i < FLOWS; i++) {
            struct frame f = {.flags = "S", .seq = CLI_ISN, .sport = (uint16_t)(2000 + i)};

            if (step == 0)
                from_q(a, 0, f);
        }
    assert_int_equal(count_out(b, FLOWS), FLOWS);
    assert_int_equal(live.starts, FLOWS);
    tear_down();
}

/* One is destroyed: its flows are gone without a word, and its frames are worked off by the other. */
static void one_goes(void **state)
{
    set_up(INLINE_2, 2);
    go();
    for (int i = 0; i < FLOWS; i++)
        say(i, 0);
    assert_int_equal(count_out(b, FLOWS), FLOWS);
    assert_int_equal(mtcp_destroy_context(live.ctx[1]), 0);
    assert_int_equal(live.ends, 0);
    for (int i = 0; i < FLOWS; i++) {
        struct frame f = {.flags = "S", .seq = CLI_ISN, .sport = (uint16_t)(3000 + i)};

        from_q(a, 0, f);
    }
    assert_int_equal(count_out(b, FLOWS), FLOWS);
    assert_int_equal(live.starts, 2 * FLOWS);
    fake_over();
    for (int i = 0; i < 2; i++)
        pthread_join(live.joiner[i], NULL);
    live.joined = false;
    live.cores = 1;
    tear_down();
}

/* frag: a piece of a TCP segment of flow i: its header with 8 bytes, or the 8 bytes behind. */
static void frag(int i, int part)
{
    struct frame_buf whole;
    struct frame f = {.flags = "P.",
                      .seq = CLI_ISN + 1,
                      .ack = SVR_ISN + 1,
                      .sport = (uint16_t)(2000 + i),
                      .payload = "0123456789abcdef"};
    const struct pktbuf *pb = frame_tcp(&whole, f);
    const uint8_t *tcp = pb->data + 34;
    struct frame g = {.proto = 6, .id = (uint32_t)(100 + i)};

    g.payload = part ? tcp + 24 : tcp;
    g.plen = part ? 12 : 24;
    g.frag_off = part ? 24 : 0;
    g.frag_more = !part;
    fake_put(a, (i + part) % 2, frame_ip(&live.buf, g));
}

/* Fragments meet in one table, wherever they come; the datagram is its flow's. */
static void fragments(void **state)
{
    set_up(INLINE_2, 2);
    go();
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < FLOWS; i++)
            say(i, step);
        assert_int_equal(count_out(step % 2 ? a : b, FLOWS), FLOWS);
    }
    for (int part = 0; part < 2; part++) {
        for (int i = 0; i < FLOWS; i++)
            frag(i, part);
        assert_int_equal(count_out(b, FLOWS), FLOWS);
    }
    soon(&live.data, FLOWS);
    fake_over();
    wait_ends();
    assert_int_equal(live.data, FLOWS);
    assert_int_equal(live.ends, FLOWS);
    assert_int_equal(stat_of(0, "ip-fragment") + stat_of(1, "ip-fragment"), 0);
    tear_down();
}

/* Much at once, for the rings and for whoever sleeps. */
static void much(void **state)
{
    enum { MANY = 3000 };

    set_up(INLINE_2, 2);
    go();
    for (int i = 0; i < MANY; i++) {
        from_q(a, i % 2,
               (struct frame){.flags = "S", .seq = CLI_ISN, .sport = (uint16_t)(2000 + i)});
        if (i % 100 == 0)
            pause_ms(1);
    }
    assert_int_equal(count_out(b, MANY), MANY);
    fake_over();
    wait_ends();
    assert_int_equal(live.starts, MANY);
    assert_int_equal(live.ends, MANY);
    tear_down();
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {T(cross),    T(told_by_which), T(one_of_two),
                                       T(one_goes), T(fragments),     T(much)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
