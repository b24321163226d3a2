// SPDX-License-Identifier: BSD-2-Clause
/* How connections begin: which segment opens one, who is the client, where offset 0 lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conn_fix.h"

static struct fix x;

static int up(void **state)
{
    fix_up(&x);
    return 0;
}

static int down(void **state)
{
    fix_down(&x);
    return 0;
}

/* ---- what opens ---- */

static void what_opens_a_flow(void **state)
{
    static const struct {
        const char *flags, *text;
        int without, with; /* MOS_MIDSTREAM */
    } row[] = {
        {"S", "", 1, 1},    {"S", "fast", 1, 1}, {"SE", "", 1, 1},    {"SF", "", 0, 0},
        {"SR", "", 0, 0},   {"SR.", "", 0, 0},   {"S.", "", 0, 2},    {".", "", 0, 0},
        {".", "abc", 0, 2}, {"", "abc", 0, 2},   {"F.", "", 0, 0},    {"F.", "abc", 0, 2},
        {"R", "", 0, 0},    {"R.", "", 0, 0},    {"R.", "abc", 0, 0}, {"", "", 0, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
        struct seg s;

        frame_tcp(&x.buf[0], (struct frame){.flags = row[i].flags,
                                            .payload = row[i].text[0] ? row[i].text : NULL});
        assert_int_equal(decode(&s, &x.buf[0].pb), REASON_NONE);
        x.env.cfg.midstream = false;
        if (conn_can_open(&x.env, &s) != row[i].without)
            fail_msg("'%s' \"%s\" without midstream: %d", row[i].flags, row[i].text,
                     conn_can_open(&x.env, &s));
        x.env.cfg.midstream = true;
        if (conn_can_open(&x.env, &s) != row[i].with)
            fail_msg("'%s' \"%s\" with midstream: %d", row[i].flags, row[i].text,
                     conn_can_open(&x.env, &s));
        x.env.cfg.strict = true;
        if (conn_can_open(&x.env, &s) != (row[i].flags[0] ? row[i].with : 0))
            fail_msg("'%s' \"%s\" strict: %d", row[i].flags, row[i].text,
                     conn_can_open(&x.env, &s));
        x.env.cfg.strict = false;
    }
}

static void who_is_the_client(void **state)
{
    static const struct {
        const char *flags;
        uint16_t sport, dport;
        bool sender;
    } row[] = {
        {"S", 80, 1234, true},   {"S", 1234, 80, true},  {"S.", 80, 1234, false},
        {"S.", 1234, 80, false}, {"P.", 1234, 80, true}, {"P.", 80, 1234, false},
        {"P.", 7, 7, true},      {"P.", 256, 255, true}, {"P.", 255, 256, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(row); i++)
        for (int from = 0; from < 2; from++) {
            struct seg s;

            frame_tcp(&x.buf[0], (struct frame){.flags = row[i].flags,
                                                .sport = row[i].sport,
                                                .dport = row[i].dport});
            assert_int_equal(decode(&s, &x.buf[0].pb), REASON_NONE);
            if (conn_client(&s, from) != (row[i].sender ? from : !from))
                fail_msg("'%s' %d > %d from %d", row[i].flags, row[i].sport, row[i].dport, from);
        }
}

/* ---- a SYN on a known key ---- */

/* reuse: would a SYN with this sequence number begin a new connection at once? */
static bool reuse(bool from_client, uint32_t seq)
{
    struct seg s;

    frame_tcp(&x.buf[127], (struct frame){.reply = !from_client, .flags = "S", .seq = seq});
    assert_int_equal(decode(&s, &x.buf[127].pb), REASON_NONE);
    return conn_reuse(&x.env, fix_flow(&x), &s, from_client ? CLI : SVR);
}

/* kept: is this client's SYN kept, for its answer to decide? */
static bool kept(uint32_t isn)
{
    struct flow_ext *e = flow_ext_get(&x.env.ft, fix_flow(&x));

    e->nsyn = e->next_syn = 0;
    assert_false(reuse(true, isn));
    assert_true(e->nsyn == 0 || e->syn[0].isn == isn);
    return e->nsyn == 1;
}

static void syn_while_it_opens(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    assert_false(kept(CLI_ISN));    /* again */
    assert_true(kept(CLI_ISN + 1)); /* gave up, another one; or somebody else */
    assert_true(kept(CLI_ISN - 1));
    assert_false(reuse(false, SVR_ISN)); /* both open at once */
}

static void syn_while_it_lives(void **state)
{
    const uint32_t wnd = 8192;

    shake(&x);
    c2s(&x, "P.", 0, 0, "0123456789");
    s2c(&x, ".", 0, 4, "");
    assert_false(kept(CLI_ISN));
    assert_false(reuse(false, SVR_ISN));
    /* the server's window: from its ACK (offset 4) to the edge that it has offered */
    assert_true(kept(CLI_ISN + 1 + 4 - 2));
    assert_false(kept(CLI_ISN + 1 + 4 - 1));
    assert_false(kept(CLI_ISN + 1 + 10));
    assert_false(kept(CLI_ISN + 1 + 4 + wnd));
    assert_true(kept(CLI_ISN + 1 + 4 + wnd + 1));
    assert_true(kept(CLI_ISN + (1u << 31)));
}

static void syn_when_it_is_over(void **state)
{
    shake(&x);
    x.env.cfg.strict = true;
    c2s(&x, "F.", 0, 0, "");
    s2c(&x, "F.", 0, 1, "");
    assert_true(kept(77)); /* both have closed, as far as we see */
    assert_true(kept(CLI_ISN));
    fix_flow(&x)->flags |= FLOW_ENDED;
    assert_true(reuse(true, 77));
}

/* Whoever is answered counts, in whatever order they came. */
static void the_answer_decides(void **state)
{
    const struct flow *f;

    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .wscale = FRAME_WSCALE(1)});
    for (uint32_t i = 1; i <= 3; i++)
        feed(&x, (struct frame){.flags = "S",
                                .seq = CLI_ISN + 1000 * i,
                                .wscale = FRAME_WSCALE(2),
                                .ts = {5, 0},
                                .win = 512});
    assert_int_equal(x.env.reasons[REASON_SYN_INVALID], 3);
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 2001,
                            .wscale = FRAME_WSCALE(3), .ts = {9, 5}});
    assert_true(x.reused);
    assert_int_equal(x.cp.snd, CR_CONN_START);
    assert_int_equal(x.cp.rcv, CR_CONN_START | CR_STATE);
    f = fix_flow(&x);
    states_are(&x, FS_ESTABLISHED, FS_SYN_RCVD);
    assert_int_equal(f->flags & (FLOW_MIDSTREAM | FLOW_SYN | FLOW_SYNACK), FLOW_SYN | FLOW_SYNACK);
    assert_int_equal(f->side[SVR].base, CLI_ISN + 2001);
    assert_int_equal(f->side[CLI].base, SVR_ISN + 1);
    assert_int_equal(f->side[CLI].wscale, 2);
    assert_int_equal(f->side[SVR].wscale, 3);
    assert_int_equal(f->ctr[CLI].edge, SVR_ISN + 1 + 512); /* a SYN's window is not scaled */
    assert_int_equal(f->ctr[CLI].packets, 1);
    feed(&x, (struct frame){.seq = CLI_ISN + 2001, .ack = SVR_ISN + 1, .payload = "ok"});
    reads(&x, SVR, 0, "ok");
}

/* The first SYN may be the one that is answered: the others never were. */
static void the_first_is_answered(void **state)
{
    shake(&x);
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN + (1u << 30)});
    c2s(&x, "P.", 0, 0, "abc");
    s2c(&x, ".", 0, 3, "");
    assert_false(x.reused);
    reads(&x, SVR, 0, "abc");
    assert_int_equal(x.env.reasons[REASON_SYN_INVALID], 1);
}

/*
 * A SYN below what has come, however much that was, and the challenge ACK, of the numbers of the
 * connection that lives.
 */
static void the_challenge_ack_is_no_answer(void **state)
{
    static const uint32_t sent[] = {1u << 20, 1u << 30, (1u << 31) + 1000, 3u << 30};

    for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
        struct flow *f;

        shake(&x);
        f = fix_flow(&x);
        for (int k = CLI; k <= SVR; k++) { /* it has got so many bytes by now */
            f->side[k].next = sent[i];
            f->side[!k].snd_max = f->side[k].ack = f->side[k].base + sent[i];
            f->ctr[k].edge = f->side[k].ack + 8192;
        }
        feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN + 1 + sent[i] - 100});
        s2c(&x, ".", sent[i], sent[i], "");
        c2s(&x, "P.", sent[i], sent[i], "abc");
        assert_false(x.reused);
        s2c(&x, ".", sent[i], sent[i] + 3, "");
        assert_false(x.reused);
        assert_int_equal(fix_flow(&x)->side[SVR].next, (uint64_t)sent[i] + 3);
        conn_free(&x.env, x.idx);
        x.idx = 0;
    }
}

static void syn_after_a_reset(void **state)
{
    shake(&x);
    x.env.cfg.strict = true;
    assert_false(reuse(true, 77));
    fix_flow(&x)->flags |= FLOW_LINGER;
    assert_true(reuse(true, 77));
}

static void only_syns_begin_anew(void **state)
{
    shake(&x);
    for (int i = 0; i < 4; i++) {
        static const char *const flags[] = {".", "S.", "SR", "F."};
        struct seg s;

        fix_flow(&x)->flags |= FLOW_LINGER;
        frame_tcp(&x.buf[127], (struct frame){.flags = flags[i], .seq = 77});
        assert_int_equal(decode(&s, &x.buf[127].pb), REASON_NONE);
        assert_false(conn_reuse(&x.env, fix_flow(&x), &s, CLI));
    }
    fix_flow(&x)->flags &= (uint16_t)~FLOW_LINGER;
}

/* ---- picked up in the middle ---- */

static void picked_up_by_data(void **state)
{
    const struct flow *f;

    x.env.cfg.midstream = true;
    c2s(&x, "P.", 500, 300, "abc");
    f = fix_flow(&x);
    assert_true(f->flags & FLOW_MIDSTREAM);
    assert_int_equal(f->side[SVR].base, CLI_ISN + 501); /* sender's first number */
    assert_int_equal(f->side[CLI].base, SVR_ISN + 301); /* what it acknowledged */
    assert_int_equal(f->side[SVR].next, 3);
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    assert_int_equal(x.cp.from, CLI);
    assert_int_equal(x.cp.snd, CR_CONN_START);
    assert_int_equal(x.cp.rcv, CR_CONN_START);
    reads(&x, SVR, 0, "abc");
    s2c(&x, "P.", 300, 503, "def");
    reads(&x, CLI, 0, "def");
    assert_int_equal(x.cp.snd | x.cp.rcv, 0);
    assert_int_equal(conn_acked(f, SVR), 3);
    /* what lies before offset 0 is repeated, never delivered */
    c2s(&x, "P.", 495, 303, "12345abcX");
    assert_int_equal(x.cp.off, -5);
    assert_int_equal(x.cp.rexmit.cls, RX_PARTIAL);
    assert_int_equal(x.cp.rexmit.len, 8);
    assert_int_equal(x.cp.rexmit.off, 0);
    assert_int_equal(x.cp.rexmit.content, 2);
    reads(&x, SVR, 0, "abcX");
    c2s(&x, "P.", 490, 303, "12345");
    assert_int_equal(x.cp.rexmit.len, 5);
    assert_int_equal(x.cp.data, 0);
    reads(&x, SVR, 0, "abcX");
}

/* A window of 1 GiB on top of as much that is not acknowledged: more than half of all numbers, yet nothing wraps. */
static void picked_up_far_behind(void **state)
{
    const uint32_t unacked = (1u << 30) + 100000;
    struct flow *f;

    x.env.cfg.midstream = true;
    feed(&x, (struct frame){.flags = "P.",
                            .seq = CLI_ISN + 501,
                            .ack = SVR_ISN + 301,
                            .win = 65535,
                            .payload = "abc"});
    f = fix_flow(&x);
    assert_int_equal(f->ctr[CLI].edge, SVR_ISN + 301 + (65535u << 14)); /* its scale is not known */
    f->side[SVR].snd_max = SVR_ISN + 301 + unacked;
    c2s(&x, ".", 503, 301, "");
    assert_int_equal(x.env.reasons[REASON_ACK_INVALID], 0);
    assert_int_equal(f->side[CLI].ack, SVR_ISN + 302);
}

static void picked_up_from_the_server(void **state)
{
    x.env.cfg.midstream = true;
    s2c(&x, "P.", 300, 500, "abc");
    assert_int_equal(x.cp.from, SVR);
    assert_int_equal(fix_flow(&x)->side[CLI].base, SVR_ISN + 301);
    assert_int_equal(fix_flow(&x)->side[SVR].base, CLI_ISN + 501);
}

static void picked_up_without_an_ack(void **state)
{
    x.env.cfg.midstream = true;
    c2s(&x, "P", 500, 0, "abc");
    assert_true(fix_flow(&x)->flags & FLOW_BASE_SVR);
    assert_false(fix_flow(&x)->flags & FLOW_BASE_CLI);
    c2s(&x, "P.", 503, 300, "def"); /* the first packet that carries ACK fixes the other */
    assert_true(fix_flow(&x)->flags & FLOW_BASE_CLI);
    assert_int_equal(fix_flow(&x)->side[CLI].base, SVR_ISN + 301);
    assert_int_equal(fix_flow(&x)->side[SVR].base, CLI_ISN + 501);
    s2c(&x, "P.", 304, 506, "late"); /* a hole before it */
    assert_int_equal(x.cp.off, 4);
    assert_int_equal(fix_flow(&x)->side[CLI].next, 0);
}

static void picked_up_by_a_syn_ack(void **state)
{
    const struct flow *f;

    x.env.cfg.midstream = true;
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1,
                            .wscale = FRAME_WSCALE(5)});
    f = fix_flow(&x);
    assert_int_equal(x.cp.from, SVR);
    assert_true(f->flags & FLOW_MIDSTREAM);
    assert_int_equal(f->side[CLI].base, SVR_ISN + 1);
    assert_int_equal(f->side[SVR].base, CLI_ISN + 1);
    assert_int_equal(f->side[SVR].wscale, 5);
    assert_int_equal(f->side[CLI].wscale, 15); /* it had one, for the server answered with one */
    states_are(&x, FS_ESTABLISHED, FS_SYN_RCVD);
    c2s(&x, ".", 0, 0, "");
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    /* the client's SYN, overtaken: it says its scale; nothing is repeated */
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .wscale = FRAME_WSCALE(3)});
    assert_false(x.cp.ignored);
    assert_int_equal(x.cp.rexmit.cls, RX_NONE);
    assert_int_equal(f->side[CLI].wscale, 3);
    /* another one is not believed */
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN + 9});
    assert_true(x.cp.ignored);
}

static void windows_without_scale(void **state)
{
    x.env.cfg.midstream = true;
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1});
    assert_int_equal(fix_flow(&x)->side[CLI].wscale, 0);
    assert_int_equal(fix_flow(&x)->side[SVR].wscale, 0);
    c2s(&x, "P.", 700, 0, "x");
    x.idx = 0;
    feed(&x,
         (struct frame){.sport = 99, .payload = "x", .seq = 1, .ack = 1}); /* scales count as 14 */
    assert_int_equal(fix_flow(&x)->side[CLI].wscale, 15);
    assert_int_equal(fix_flow(&x)->side[SVR].wscale, 15);
}

/* ---- the SYN/ACK passed unseen ---- */

static void syn_ack_unseen(void **state)
{
    const struct flow *f;

    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .wscale = FRAME_WSCALE(2)});
    states_are(&x, FS_SYN_SENT, FS_SYN_RCVD);
    c2s(&x, ".", 0, 0, "");
    f = fix_flow(&x);
    states_are(&x, FS_ESTABLISHED, FS_ESTABLISHED);
    assert_int_equal(f->side[CLI].base, SVR_ISN + 1);
    assert_int_equal(f->side[SVR].wscale, 15); /* not told */
    c2s(&x, ".", 0, 1u << 30, "");
    assert_int_equal(x.env.reasons[REASON_ACK_INVALID],
                     1); /* what it has sent is known by that first ACK */
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1,
                            .wscale = FRAME_WSCALE(9)});
    assert_int_equal(f->side[SVR].wscale, 9); /* late, but told */
    assert_int_equal(x.cp.rexmit.cls, RX_NONE);
    assert_int_equal(f->side[CLI].wscale, 2);
}

static void syn_ack_unseen_without_scale(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    c2s(&x, ".", 0, 0, "");
    assert_int_equal(fix_flow(&x)->side[SVR].wscale, 0); /* it cannot scale alone (RFC 7323 2.2) */
}

static void scaling_needs_both(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .wscale = FRAME_WSCALE(7)});
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    assert_int_equal(fix_flow(&x)->side[CLI].wscale, 0);
    assert_int_equal(fix_flow(&x)->side[SVR].wscale, 0);
}

/* ---- checksums ---- */

static struct frame data(uint32_t off, const char *text, bool bad)
{
    return (struct frame){.flags = "P.",
                          .seq = CLI_ISN + 1 + off,
                          .ack = SVR_ISN + 1,
                          .payload = text,
                          .bad_csum = bad};
}

static void checksum_auto(void **state)
{
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .bad_csum = true});
    assert_int_not_equal(x.idx, 0); /* offloaded, as long as none was right */
    assert_int_equal(x.refused, REASON_NONE);
    assert_true(fix_flow(&x)->side[CLI].flags & SIDE_CSUM_OFF);
    s2c(&x, "S.", (uint32_t)-1, 0, "");
    feed(&x, (struct frame){.seq = CLI_ISN + 1, .ack = SVR_ISN + 1, .bad_csum = true});
    feed(&x, data(0, "abc", true));
    assert_int_equal(x.refused, REASON_NONE);
    reads(&x, SVR, 0, "abc");
    feed(&x, data(3, "def", false));
    assert_true(fix_flow(&x)->side[CLI].flags & SIDE_CSUM_GOOD);
    feed(&x, data(6, "EVIL", true));
    assert_int_equal(x.refused, REASON_TCP_CSUM);
    feed(&x, data(6, "ghi", false));
    reads(&x, SVR, 0, "abcdefghi");
    /* the other side is for itself: it was good from its SYN/ACK */
    feed(&x, (struct frame){FRAME_REPLY, .seq = SVR_ISN + 1, .ack = CLI_ISN + 1, .payload = "x",
                            .bad_csum = true});
    assert_int_equal(x.refused, REASON_TCP_CSUM);
    assert_int_equal(fix_flow(&x)->ctr[SVR].packets, 1);
}

static void checksum_on_and_off(void **state)
{
    x.env.cfg.csum = CSUM_ON;
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .bad_csum = true});
    assert_int_equal(x.refused, REASON_TCP_CSUM);
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN, .bad_ipcsum = true});
    assert_int_equal(x.refused, REASON_IP_CSUM);
    feed(&x, (struct frame){.flags = "S", .seq = CLI_ISN});
    assert_int_equal(x.refused, REASON_NONE);
    x.env.cfg.csum = CSUM_OFF;
    feed(&x, (struct frame){
                 .flags = "S", .sport = 99, .seq = CLI_ISN, .bad_csum = true, .bad_ipcsum = true});
    assert_int_equal(x.refused, REASON_NONE);
    feed(&x, (struct frame){.flags = "S", .sport = 99, .seq = CLI_ISN});
    feed(&x, (struct frame){.flags = "S", .sport = 99, .seq = CLI_ISN, .bad_csum = true});
    assert_int_equal(x.refused, REASON_NONE);
    assert_false(fix_flow(&x)->side[CLI].flags & (SIDE_CSUM_GOOD | SIDE_CSUM_OFF));
}

static enum reason told(uint8_t pbflags, bool bad)
{
    feed(&x, data(0, "abc", bad));
    x.seg.pb->flags |= pbflags;
    return conn_refuse(&x.env, fix_flow(&x), &x.seg, CLI);
}

static void checksum_told_by_the_device(void **state)
{
    shake(&x);
    assert_int_equal(told(PB_CSUM_BAD, false), REASON_TCP_CSUM);
    assert_int_equal(told(PB_CSUM_GOOD, true), REASON_NONE);
    assert_int_equal(told(PB_CSUM_PART, true), REASON_NONE);
}

static void checksum_of_a_cut_frame(void **state)
{
    shake(&x);
    feed(&x, (struct frame){.flags = "P.",
                            .seq = CLI_ISN + 1,
                            .ack = SVR_ISN + 1,
                            .plen = 500,
                            .snap = 100,
                            .bad_csum = true});
    assert_int_equal(x.refused, REASON_NONE); /* cannot be known */
}

/* ---- memory ---- */

static void no_room(void **state)
{
    struct frame f = {.flags = "S", .seq = 1};

    for (int i = 0; i < 100; i++) {
        f.sport = (uint16_t)(2000 + i);
        feed(&x, f);
        assert_int_not_equal(x.idx, 0);
    }
    f.sport = 3000;
    feed(&x, f);
    assert_int_equal(x.idx, 0);
    assert_int_equal(x.env.reasons[REASON_NO_FLOW_MEM], 1);
}

static void tags_are_kept(void **state)
{
    struct flow_ext *ext;

    feed(&x, (struct frame){.flags = "S", .vlan = {100, 7}, .ts_ns = FIX_START - 5});
    ext = flow_ext_get(&x.env.ft, fix_flow(&x));
    assert_int_equal(ext->nvlan, 2);
    assert_int_equal(ext->vlan[0], 100);
    assert_int_equal(ext->vlan[1], 7);
    assert_int_equal(fix_flow(&x)->start, FIX_START - 5); /* the packet's time */
    assert_int_equal(fix_flow(&x)->last, FIX_START);      /* the clock */
}

/* The SYN came before, when it was only noted: the answer echoes its timestamp of then. */
static void syn_that_was_noted(void **state)
{
    struct frame syn = {.flags = "S", .seq = CLI_ISN, .ts = {1001000, 0}};
    struct synnote *n;

    assert_true(synnotes_made(&x.env.notes, &x.env.acct));
    x.env.cfg.strict = true;
    feed(&x, syn);
    n = synnote_at(&x.env.notes, fix_flow(&x)->hash);
    *n = (struct synnote){fix_flow(&x)->hash, CLI_ISN, 1000,
                          synnote_time(x.env.now) | NOTE_USED | NOTE_TS};
    conn_free(&x.env, x.idx);
    at(&x, 1000);
    feed(&x, syn);
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1,
                            .ts = {7, 999}});
    assert_true(x.cp.ignored);
    feed(&x, (struct frame){FRAME_REPLY, .flags = "S.", .seq = SVR_ISN, .ack = CLI_ISN + 1,
                            .ts = {7, 1000}});
    assert_false(x.cp.ignored);
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_opens_a_flow),
        T(who_is_the_client),
        T(syn_while_it_opens),
        T(syn_while_it_lives),
        T(syn_when_it_is_over),
        T(the_answer_decides),
        T(the_first_is_answered),
        T(the_challenge_ack_is_no_answer),
        T(syn_after_a_reset),
        T(only_syns_begin_anew),
        T(picked_up_by_data),
        T(picked_up_far_behind),
        T(picked_up_from_the_server),
        T(picked_up_without_an_ack),
        T(picked_up_by_a_syn_ack),
        T(windows_without_scale),
        T(syn_ack_unseen),
        T(syn_ack_unseen_without_scale),
        T(scaling_needs_both),
        T(checksum_auto),
        T(checksum_on_and_off),
        T(checksum_told_by_the_device),
        T(checksum_of_a_cut_frame),
        T(no_room),
        T(tags_are_kept),
        T(syn_that_was_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
