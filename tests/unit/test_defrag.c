// SPDX-License-Identifier: BSD-2-Clause
/* Fragments put together: the policies, whole datagrams, every refusal, every limit. */
#include "fragfix.h"

#include "wire/csum.h"

/* A whole segment, and pieces of it. */
static struct frame_buf whole;
static struct seg of_whole;

static void make_whole(struct frame f)
{
    if (f.plen == 0 && f.payload == NULL)
        f.plen = 200;
    assert_int_equal(decode(&of_whole, frame_tcp(&whole, f)), REASON_NONE);
}

/* give: bytes [off, off + len) of the whole, by a template that says all but that. */
static struct frag_note *give(struct frame f, uint32_t off, uint32_t len)
{
    f.payload = whole.pb.data + of_whole.l4_off + off;
    f.plen = len;
    f.proto = f.proto ? f.proto : 6;
    f.frag_off = (uint16_t)off;
    f.frag_more |= of_whole.l4_off + off + len < whole.pb.len;
    return input(frame_ip(&part, f));
}

/* ---- policies ---- */

/*
 * The pattern by which Sturges and Novak have told hosts apart, one letter for 8 bytes, and what each
 * kind of host makes of it.
 */
static void published_pattern(void **state)
{
    static const struct {
        uint32_t off, len;
    } at[] = {{0, 3}, {4, 2}, {6, 3}, {10, 1}, {13, 2}, {15, 3}, {18, 2}, {20, 2}, {22, 1},
              {1, 4}, {6, 3}, {9, 3}, {12, 3}, {16, 1}, {19, 1}, {20, 1}, {22, 2}};
    static const char *const want[] = {
        [OVERLAP_FIRST] = "AAAJBBCCCLDLMEEFFFGGHHIQ",
        [OVERLAP_LAST] = "AJJJJBKKKLLLMMMFNFGOPHQQ",
        [OVERLAP_BSD] = "AAAJJBCCCLLLMMMFFFGGHHIQ",
        [OVERLAP_BSD_RIGHT] = "AJJJBBKKKLLLMMMFFFGGHHQQ",
        [OVERLAP_OLD_LINUX] = "AAAJJBKKKLLLMMMFFFGGPHQQ",
        [OVERLAP_WINDOWS] = "AAAJBBCCCLLLMEEFFFGGHHIQ",
        [OVERLAP_SOLARIS] = "AAAJBBCCCLLLMMMFFFGGHHIQ",
    };
    struct frag_piece piece[17];
    uint8_t bytes[17][32], payload[192], scratch[FRAG_SCRATCH(17)];
    struct datagram g = {.payload = payload,
                         .len = sizeof(payload),
                         .overlap = true,
                         .npiece = 17,
                         .piece = piece,
                         .scratch = scratch};

    for (uint32_t i = 0; i < 17; i++) {
        memset(bytes[i], 'A' + (int)i, sizeof(bytes[i]));
        piece[i] =
            (struct frag_piece){.off = at[i].off * 8, .len = at[i].len * 8, .data = bytes[i]};
    }
    for (int p = 0; p < OVERLAP_CNT; p++) {
        char got[25] = "";

        if (want[p] == NULL)
            continue;
        defrag_assemble(&g, (enum overlap_policy)p);
        for (int i = 0; i < 24; i++) {
            got[i] = (char)payload[8 * i];
            for (int k = 1; k < 8; k++)
                assert_int_equal(payload[8 * i + k], got[i]);
        }
        if (strcmp(got, want[p]) != 0)
            fail_msg("policy %d: %s, should be %s", p, got, want[p]);
    }
}

/* ---- whole datagrams ---- */

/* same_segment: the datagram is what was cut. */
static void same_segment(struct datagram *g, uint32_t nfrags)
{
    struct seg s;
    bool known;

    assert_non_null(g);
    defrag_assemble(g, OVERLAP_FIRST);
    assert_int_equal(decode(&s, &g->pb), REASON_NONE);
    assert_int_equal(g->pb.len, whole.pb.len);
    assert_int_equal(g->pb.wire_len, whole.pb.len);
    assert_int_equal((uintptr_t)(g->pb.data + s.l3_off) & 3, 0);
    assert_memory_equal(g->pb.data, whole.pb.data, s.l3_off);
    assert_int_equal(s.ip_len, of_whole.ip_len);
    assert_int_equal(s.flags & SEG_IPCSUM_BAD, 0);
    assert_true(csum_tcp_ok(&s, &known) && known);
    assert_int_equal(s.plen, of_whole.plen);
    assert_int_equal(s.nvlan, of_whole.nvlan);
    assert_memory_equal(g->pb.data + s.l4_off, whole.pb.data + of_whole.l4_off,
                        whole.pb.len - of_whole.l4_off);
    assert_int_equal(g->pb.flags, PB_DATAGRAM);
    assert_int_equal(g->pb.nfrags, nfrags);
    assert_int_equal(g->pb.ts_ns, now);
}

static void put_together(struct frame f)
{
    struct frag_note *n;

    make_whole(f);
    f.payload = NULL;
    f.plen = 0;
    f.id = 7;
    taken(give(f, 0, 80)); /* in order */
    taken(give(f, 80, 80));
    n = give(f, 160, 60);
    taken(n);
    same_segment(n->dg[0], 3);
    assert_null(n->dg[1]);
    taken(give(f, 160, 60)); /* backwards, one twice */
    taken(give(f, 80, 80));
    now += SEC;
    taken(give(f, 160, 60));
    n = give(f, 0, 80);
    taken(n);
    same_segment(n->dg[0], 4);
    assert_int_equal(n->dg[0]->pb.frag_bytes, 3 * (of_whole.ip_len - 220) + 220 + 60 +
                                                  (of_whole.ip_len - 220) + (f.v6 ? 4 * 8u : 0));
    assert_false(n->dg[0]->overlap);
    assert_int_equal(d.entry.used, 0);
    frag_room_empty(&room, true);
}

static void whole_datagrams(void **state)
{
    static const uint8_t options[] = {7, 7, 4, 0, 0, 0, 0, 1};

    put_together((struct frame){0});
    put_together((struct frame){.df = true, .tos = 4, .ttl = 3});
    put_together((struct frame){.vlan = {5, 6}});
    put_together((struct frame){.pppoe = true});
    put_together((struct frame){.link = FRAME_SNAP});
    put_together((struct frame){.link = FRAME_RAW});
    put_together((struct frame){.mpls = 2});
    put_together((struct frame){.ip_opts = options, .ip_optlen = sizeof(options)});
    put_together((struct frame){.v6 = true});
    put_together((struct frame){.v6 = true, .link = FRAME_SLL, .vlan = {0}});
}

/* What tells datagrams apart: addresses, id, protocol (IPv4), tags, realm. */
static void keys(void **state)
{
    make_whole((struct frame){.plen = 60});
    taken(give((struct frame){.id = 1}, 0, 40));
    assert_null(give((struct frame){.id = 2}, 40, 40)->dg[0]);
    assert_null(give((struct frame){.id = 1, .reply = true}, 40, 40)->dg[0]);
    assert_null(give((struct frame){.id = 1, .src = "10.0.0.9"}, 40, 40)->dg[0]);
    assert_null(give((struct frame){.id = 1, .vlan = {1}}, 40, 40)->dg[0]);
    assert_null(give((struct frame){.id = 1, .vlan = {1, 2}}, 40, 40)->dg[0]);
    assert_int_equal(d.entry.used, 6);
    assert_non_null(give((struct frame){.id = 1}, 40, 40)->dg[0]);
    assert_int_equal(d.entry.used, 5);
}

/* The longest there is, and one byte more. */
static void long_ones(void **state)
{
    static uint8_t frame[14 + 20 + 65528];
    struct frag_note *n = NULL;
    struct frame f = {.proto = 6, .plen = 2048, .frag_more = true, .payload = frame};
    struct seg s;

    for (uint32_t off = 0; off < 63488; off += 2048) {
        f.frag_off = (uint16_t)off;
        d.conf.pieces = 64;
        n = input(frame_ip(&part, f));
        taken(n);
    }
    f.frag_off = 63488;
    f.frag_more = false;
    f.plen = 2028;
    refused(FRAG_LEN, input(frame_ip(&part, f))); /* 65,536 with its IP header */
    f.plen = 2027;
    n = input(frame_ip(&part, f));
    taken(n);
    assert_non_null(n->dg[0]);
    assert_int_equal(n->dg[0]->len, 65515);
    decode(&s, &n->dg[0]->pb);
    assert_int_equal(s.ip_len, 65535);
    assert_int_equal(s.flags & SEG_IPCSUM_BAD, 0);
}

/* ---- refusals ---- */

static void refusals(void **state)
{
    struct frame f = {.id = 9};

    make_whole(f);
    d.conf.min_tcp = 16;
    refused(FRAG_TINY, give(f, 0, 8));
    refused(FRAG_HEADER, give(f, 8, 16));
    refused(FRAG_HEADER, give(f, 8, 212));
    taken(give(f, 16, 16));
    f.snap = 60;
    refused(FRAG_CUT, give(f, 32, 80));
    f.snap = 0;
    f.bad_ipcsum = true;
    refused(IP_CSUM, give(f, 32, 80));
    f.bad_ipcsum = false;
    f.proto = 17;
    refused(IP_FRAGMENT, give(f, 32, 80));
    f.proto = 6;
    f.ip_len_add = 8; /* says more than came */
    refused(FRAG_LEN, give(f, 32, 80));
    f.ip_len_add = 0;
    assert_int_equal(d.entry.used, 1);
    refused(FRAG_LEN, give(f, 32, 81)); /* not the last, not a multiple of 8: Linux cuts it */
    assert_int_equal(d.entry.used, 2);
}

static void lengths(void **state)
{
    refused(FRAG_LEN, text(1, 65528, "12345678", false));
    refused(FRAG_LEN, text(1, 65528, "12345678", true));
    refused(FRAG_LEN, text(1, 65512, "12345678", true)); /* with its header */
    assert_int_equal(defrag_end(&d), 0);                 /* Linux has kept some */
    taken(text(2, 24, "aaaaaaaabbbbbbbb", false));       /* ends at 40 */
    refused(FRAG_LEN, text(2, 24, "aaaaaaaa", false));
    refused(FRAG_LEN, text(2, 40, "aaaaaaaa", true));
    refused(FRAG_LEN, text(2, 40, "a", false));
    taken(text(3, 24, "aaaaaaaabbbbbbbb", true));
    refused(FRAG_LEN, text(3, 24, "aaaaaaa", false)); /* an end before what is there */
}

/* Linux: a piece of no length ends its datagram, one of an odd length is cut, one too long is kept. */
static void lengths_of_linux(void **state)
{
    struct frag_note *n;

    taken(text(1, 0, HEAD, true));
    refused(FRAG_LEN, text(1, 24, "", true));
    n = text(1, 24, "end", false);
    assert_int_equal(n->dg[0]->world, FW_KEEP);
    assert_null(n->dg[1]);
    assert_text(text(1, 0, HEAD, true)->dg[1], OVERLAP_LINUX, HEAD "end");
    defrag_end(&d);

    taken(text(1, 0, HEAD, true));
    refused(FRAG_LEN, text(1, 24, "aaaaaaaabbb", true));
    n = text(1, 32, "end", false);
    assert_null(n->dg[0]);
    assert_text(n->dg[1], OVERLAP_LINUX, HEAD "aaaaaaaaend");
    assert_int_equal(n->dg[1]->pb.nfrags, 3);
    assert_text(text(1, 24, "bbbbbbbb", true)->dg[0], OVERLAP_FIRST, HEAD "bbbbbbbbend");
    defrag_end(&d);

    taken(text(1, 0, HEAD, true));
    refused(FRAG_LEN, text(1, 24, "bbb", true)); /* nothing is left of it */
    assert_int_equal(text(1, 24, "end", false)->dg[0]->world, FW_KEEP);
    defrag_end(&d);

    taken(text(1, 0, HEAD, true));
    refused(FRAG_LEN, text(1, 65528, "12345678", false)); /* the end, where none can be */
    n = text(1, 24, "end", false);                        /* so this is a second one */
    assert_int_equal(n->dg[0]->world, FW_KEEP);
    assert_int_equal(d.entry.used, 0);
    taken(text(1, 0, HEAD, true));
    n = text(1, 24, "END", false);
    assert_text(n->dg[0], OVERLAP_LINUX, HEAD "END");
    assert_int_equal(n->dg[0]->world, FW_BOTH);
}

/* RFC 3168 5.3, for each two ECN fields: is there a datagram, for whom, and what does it say? */
static void ecn(void **state)
{
    for (uint8_t a = 0; a < 4; a++) {
        for (uint8_t b = 0; b < 4; b++) {
            bool mixed = (a == 0) != (b == 0), bsd = (b == 3 && a == 0) || (b == 0 && a != 0);
            struct frag_note *n;
            struct seg s;

            taken(marked(0, HEAD, true, false, a));
            n = marked(24, "end", false, false, b);
            assert_int_equal(n->reason, bsd ? REASON_FRAG_ECN : REASON_NONE);
            assert_null(n->dg[1]);
            if (!bsd) {
                assert_int_equal(n->dg[0]->world, mixed ? FW_KEEP : FW_BOTH);
                assert_int_equal(n->dg[0]->ecn_mixed, mixed);
                decode(&s, &n->dg[0]->pb);
                assert_int_equal(s.tos & 3, b == 3 ? 3 : a);
                assert_int_equal(s.flags & SEG_IPCSUM_BAD, 0);
            }
            assert_int_equal(defrag_end(&d), bsd);
            taken(marked(0, HEAD, true, true, a));
            n = marked(24, "end", false, true, b);
            assert_int_equal(n->reason, mixed ? REASON_FRAG_ECN : REASON_NONE);
            assert_int_equal(n->ecn, mixed);
            assert_int_equal(n->dg[0] == NULL, mixed);
            if (n->dg[0]) {
                decode(&s, &n->dg[0]->pb);
                assert_int_equal(s.tos & 3, b == 3 ? 3 : a);
            }
            assert_int_equal(d.entry.used, 0);
        }
    }
}

/* Copies that differ are told, whoever takes which. */
static void changes(void **state)
{
    struct frag_note *n;

    taken(text(1, 0, HEAD "aaaaaaaabbbbbbbb", true));
    n = text(1, 24, "aaaaaaaa", true);
    assert_false(n->changed);
    n = text(1, 24, "aaXaYaaa", true);
    assert_true(n->changed);
    n = text(1, 40, "end", false);
    assert_false(n->changed);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(n->dg[i]->diff.off, 26);
        assert_int_equal(n->dg[i]->diff.end, 29);
        assert_int_equal(n->dg[i]->diff.n, 2); /* from the copy that came first */
    }
    taken(marked(0, HEAD, true, true, 0));
    taken(marked(24, "aaaaaaaa", true, true, 0));
    n = marked(24, "bbbbbbbb", true, true, 0); /* IPv6 hosts ignore it */
    taken(n);
    assert_true(n->changed);
    n = marked(32, "end", false, true, 0);
    assert_int_equal(n->dg[0]->diff.n, 8);
    taken(marked(0, HEAD, true, true, 0));
    n = marked(16, "bbbbbbbbbbbbbbbb", true, true, 0); /* thrown away */
    assert_true(n->changed);
}

/* Every byte is compared once, whatever copies of it there are, in pieces that begin and end anywhere. */
static void changes_among_many(void **state)
{
    static char bytes[801];
    struct frag_note *n;

    memset(bytes, 'a', 800);
    d.conf.pieces = 64;
    taken(text(1, 0, HEAD, true));
    taken(text(1, 400, bytes + 400, true));
    taken(text(1, 48, bytes + 400, true)); /* both to 448 and to 800 */
    for (uint32_t off = 48; off < 800; off += 248) {
        n = text(1, off, bytes + off, true);
        assert_false(n->changed);
    }
    bytes[47] = bytes[399] = bytes[447] = bytes[448] = 'X';
    n = text(1, 24, bytes + 24, true); /* 24 to 47 are held by nobody */
    assert_true(n->changed);
    n = text(1, 24, bytes + 24, true);
    assert_true(n->changed);
    n = text(1, 800, "end", false);
    assert_non_null(n->dg[0]);
    assert_int_equal(n->dg[0]->diff.off, 399);
    assert_int_equal(n->dg[0]->diff.end, 449);
    assert_int_equal(n->dg[0]->diff.n, 2 * 3);
    defrag_end(&d);
}

/* ---- IPv6 ---- */

static void ipv6_overlaps(void **state)
{
    struct frag_note *n;

    taken(text6(0, HEAD, true, 6));
    taken(text6(24, "aaaaaaaabbbbbbbb", true, 6));
    taken(text6(24, "aaaaaaaabbbbbbbb", true, 6)); /* once more */
    n = text6(32, "bbbbbbbbcccccccc", true, 6);    /* the same bytes, and an overlap */
    refused(FRAG_OVERLAP, n);
    assert_int_equal(n->overlap, 3);
    assert_int_equal(d.entry.used, 0);
    taken(text6(0, HEAD, true, 6)); /* what comes now is a new one */
    n = text6(24, "end", false, 6);
    assert_text(n->dg[0], OVERLAP_LAST, HEAD "end");
    assert_int_equal(n->dg[0]->world, FW_BOTH);
    taken(text6(0, HEAD, true, 6));
    taken(text6(24, "aaaaaaaa", true, 6));
    n = text6(24, "end", false, 6); /* an end before what came */
    refused(FRAG_LEN, n);
    assert_int_equal(n->overlap, 2);
}

/* The protocol is what the first fragment says, and not part of the key. */
static void ipv6_protocols(void **state)
{
    struct frag_note *n;

    taken(text6(24, "end", false, 17));
    n = text6(0, HEAD, true, 6);
    assert_text(n->dg[0], OVERLAP_FIRST, HEAD "end");
    taken(text6(24, "aaaaaaaa", true, 6));
    n = text6(0, HEAD, true, 17); /* not TCP: what was kept for it goes, what comes is not kept */
    refused(IP_FRAGMENT, n);
    assert_int_equal(n->other, 1);
    assert_int_equal(d.block.used, 3); /* two places and what is there */
    refused(IP_FRAGMENT, text6(32, "aaaaaaaa", true, 17));
    assert_int_equal(d.entry.used, 1);
    refused(IP_FRAGMENT, text6(40, "end", false, 17)); /* its end */
    assert_int_equal(d.entry.used, 0);                 /* what was given up was seen, too */
}

static struct frag_note *raw6(uint8_t first, const uint8_t *p, uint32_t len)
{
    return input(frame_ip(
        &part,
        (struct frame){
            .v6 = true, .id = 5, .proto = first, .frag_more = true, .payload = p, .plen = len}));
}

/* Linux has places and lengths of another protocol's fragments in the same queue. */
static void ipv6_overlaps_of_others(void **state)
{
    struct frag_note *n;

    refused(IP_FRAGMENT, text6(0, HEAD, true, 17));
    refused(IP_FRAGMENT, text6(0, HEAD, true, 6));                /* a repetition: ignored */
    refused(IP_FRAGMENT, text6(16, "aaaaaaaabbbbbbbb", true, 6)); /* thrown away */
    assert_int_equal(d.entry.used, 0);
    taken(text6(0, HEAD, true, 6));
    refused(IP_FRAGMENT, text6(0, HEAD, true, 17)); /* a repetition: the first one has said it */
    n = text6(24, "end", false, 17);
    assert_text(n->dg[0], OVERLAP_FIRST, HEAD "end");
    assert_int_equal(n->dg[0]->pb.nfrags, 2);
    taken(text6(0, HEAD, true, 6));
    n = text6(0, HEAD "aaaaaaaa", true, 17);
    refused(IP_FRAGMENT, n);
    assert_int_equal(n->overlap, 1);
    assert_int_equal(d.entry.used, 0);
}

/* Each kind has its time, and the oldest goes first whichever it is. */
static void ipv6_time(void **state)
{
    taken(text(1, 0, HEAD, true));
    taken(text6(0, HEAD, true, 6));
    now += 30 * SEC;
    assert_int_equal(defrag_expire(&d, now), 1);
    for (uint32_t i = 1; i <= 7; i++)
        taken(text(i, 0, HEAD, true));
    assert_int_equal(text(8, 0, HEAD, true)->evicted[1], 1);
    assert_int_equal(text(9, 0, HEAD, true)->evicted[0], 1);
    defrag_end(&d);
    taken(text6(0, HEAD, true, 6));
    assert_int_equal(defrag_expire(&d, now + 60 * SEC - 1), 0);
    assert_int_equal(defrag_expire(&d, now + 60 * SEC), 1);
}

/* Extension headers between the fragment header and TCP: all in the first fragment (RFC 7112). */
static void ipv6_header_chain(void **state)
{
    uint8_t p[64] = {6, 1}; /* destination options of 16 bytes, then TCP */
    static const uint8_t udp[16] = {17}, beyond[8] = {6, 3}, more[8] = {60};
    struct frag_note *n;
    struct seg s;

    taken(raw6(60, p, 40));
    assert_int_equal(defrag_end(&d), 1);
    refused(FRAG_TINY, raw6(60, p, 24)); /* all of TCP's header, RFC 8200 4.5 */
    refused(FRAG_TINY, raw6(6, p, 16));
    taken(raw6(60, more, 8)); /* where the next header begins behind its end Linux does not mind */
    assert_int_equal(defrag_end(&d), 1);
    d.conf.strict = true;
    refused(FRAG_TINY, raw6(60, more, 8));
    refused(FRAG_TINY, raw6(60, p, 16));
    refused(FRAG_TINY, raw6(60, p, 8));
    refused(FRAG_TINY, raw6(60, beyond, 8));
    refused(IP_FRAGMENT, raw6(60, udp, 16));
    defrag_end(&d);
    p[16 + 12] = 5 << 4; /* TCP's data offset */
    taken(raw6(60, p, 40));
    n = input(frame_ip(
        &part, (struct frame){.v6 = true, .id = 5, .proto = 60, .frag_off = 40, .payload = "end"}));
    assert_non_null(n->dg[0]);
    assert_int_equal(decode(&s, &n->dg[0]->pb), REASON_NONE);
    assert_int_equal(s.plen, 7);
    assert_int_equal(s.ip_len, 40 + 43);
}

/* As many headers as there are in it; nine are no other protocol. */
static void ipv6_long_header_chain(void **state)
{
    uint8_t p[9 * 8 + 24];

    memset(p, 0, sizeof(p));
    for (int i = 0; i < 9; i++)
        p[8 * i] = i < 8 ? 60 : 6;
    taken(raw6(60, p, sizeof(p)));
    assert_int_equal(defrag_end(&d), 1);
    refused(FRAG_TINY, raw6(60, p, sizeof(p) - 8));
    p[8 * 8] = 17;
    refused(IP_FRAGMENT, raw6(60, p, sizeof(p)));
    defrag_end(&d);
}

/* What a host drops before it puts anything together. */
static void dropped_for_options(void **state)
{
    struct frame f = {.id = 5, .proto = 6, .frag_more = true, .payload = HEAD, .plen = 24};
    struct frame f6 = {
        .v6 = true, .id = 6, .proto = 6, .frag_more = true, .payload = HEAD, .plen = 24};

    f.ip_opts = "\x5e\1\0\0";
    f.ip_optlen = 4;
    refused(IP_OPT_BAD, input(frame_ip(&part, f)));
    f.ip_opts = "\x83\3\4\0";
    refused(IP_SOURCE_ROUTE, input(frame_ip(&part, f)));
    f.ip_opts = "\x94\4\0\0";
    taken(input(frame_ip(&part, f)));
    f6.ip_optlen = 8;
    f6.ip_opts = "\x2c\0\x9e\4abcd";
    refused(IP6_OPT_BAD, input(frame_ip(&part, f6)));
    f6.ip_opts = "\x2c\0\x1e\4abcd";
    taken(input(frame_ip(&part, f6)));
    assert_int_equal(defrag_end(&d), 2);
}

/* ---- limits ---- */

static void time_is_up(void **state)
{
    struct frag_note *n;

    taken(text(1, 0, HEAD, true));
    taken(text(1, 24, "aaaaaaaa", true));
    now += 10 * SEC;
    taken(text(2, 0, HEAD, true));
    now += 20 * SEC - 1;
    n = text(3, 0, HEAD, true);
    assert_int_equal(n->timeout, 0);
    now += 1;
    n = text(1, 32, "end", false);
    assert_int_equal(n->timeout, 2);
    assert_null(n->dg[0]);
    assert_int_equal(n->evicted[0] + n->evicted[1], 0);
    assert_int_equal(defrag_end(&d), 3);
}

static void too_many_datagrams(void **state)
{
    struct frag_note *n;

    for (uint32_t i = 1; i <= 8; i++)
        taken(text(i, 0, HEAD, true));
    taken(text(1, 24, "aaaaaaaa", true)); /* the oldest stays the oldest */
    n = text(9, 0, HEAD, true);
    taken(n);
    assert_int_equal(n->limit, 2);
    assert_int_equal(n->evicted[0], 1);
    n = text6(0, HEAD, true, 6);
    assert_int_equal(n->limit, 1);
    assert_non_null(text(3, 24, "end", false)->dg[0]);
    assert_null(text(2, 24, "end", false)->dg[0]);
}

static void too_many_pieces(void **state)
{
    struct frag_note *n;

    d.conf.pieces = 3;
    taken(text(1, 0, HEAD, true));
    taken(text(1, 24, "aaaaaaaa", true));
    taken(text(1, 40, "aaaaaaaa", true));
    n = text(1, 56, "aaaaaaaa", true);
    refused(FRAG_LIMIT, n);
    assert_int_equal(n->limit, 3);
    assert_int_equal(n->evicted[0], 1);
    assert_int_equal(d.entry.used, 0);
}

/* Repeated and refused ones count as well: each has to be compared with what is held. */
static void too_many_repeated(void **state)
{
    struct frag_note *n;

    d.conf.pieces = 4;
    for (uint32_t off = 0; off <= 48; off += 48) { /* repeated; behind the end */
        taken(text(1, 0, HEAD, true));
        taken(text(1, 40, "aaaaaaaa", false));
        for (int i = 0; i < 2; i++)
            assert_int_equal(text(1, off, HEAD, true)->reason, off ? REASON_FRAG_LEN : 0);
        n = text(1, off, HEAD, true);
        refused(FRAG_LIMIT, n);
        assert_int_equal(n->limit, off ? 2 : 4);
        assert_int_equal(n->evicted[0], 1);
        defrag_end(&d);
    }
}

/* Memory: the oldest goes; one that does not fit into all of it goes itself. */
static void too_many_bytes(void **state)
{
    static char big[1025];
    struct frag_note *n;
    uint32_t i, lost = 0;

    memset(big, 'x', 1024);
    defrag_fini(&d);
    defrag_init(&d,
                &(struct defrag_conf){.datagrams = 100,
                                      .memory = 16384,
                                      .pieces = 200,
                                      .min_tcp = 8,
                                      .timeout_ns = SEC,
                                      .timeout6_ns = SEC},
                1);
    for (i = 1; i < 50; i++) {
        n = text(i, 0, big, true);
        taken(n);
        lost += n->limit;
        assert_int_equal(n->limit, n->evicted[0]);
    }
    assert_int_equal(d.entry.used + lost, 49);
    assert_in_range(d.entry.used, 8, 16);
    lost = 0;
    for (i = 0; i < 30; i++) {
        n = text(100, 1024 * i, big, true);
        lost += n->limit + (n->reason == REASON_FRAG_LIMIT);
    }
    assert_true(lost > 16);
    assert_true(d.block.used * 256 <= 16384 + 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        frag_test(published_pattern),
        frag_test(whole_datagrams),
        frag_test(keys),
        frag_test(long_ones),
        frag_test(refusals),
        frag_test(lengths),
        frag_test(lengths_of_linux),
        frag_test(ecn),
        frag_test(changes),
        frag_test(changes_among_many),
        frag_test(ipv6_overlaps),
        frag_test(ipv6_protocols),
        frag_test(ipv6_overlaps_of_others),
        frag_test(ipv6_time),
        frag_test(ipv6_header_chain),
        frag_test(ipv6_long_header_chain),
        frag_test(dropped_for_options),
        frag_test(time_is_up),
        frag_test(too_many_datagrams),
        frag_test(too_many_pieces),
        frag_test(too_many_repeated),
        frag_test(too_many_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
