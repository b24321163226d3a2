// SPDX-License-Identifier: BSD-2-Clause
/* Capture files: the same events whatever the number of contexts and the size of bursts (contract 5), the same output. */
#include "replay_fix.h"

#include "frames.h"
#include "wire/decode.h"

/* same_for: every number of contexts with every batch size, against one context with full bursts. */
static void same_for(struct plan p, bool all)
{
    static const int cores[] = {1, 2, 3, 7}, batch[] = {64, 1, 3};
    char *want;

    p.cores = 1;
    p.batch = 64;
    want = run(&p);
    assert_true(strlen(want) > 40);
    for (int c = 0; c < 4; c++)
        for (int b = 0; b < 3; b++) {
            char *got;

            if (!all && (c != 2 || b != 1))
                continue;
            p.cores = cores[c];
            p.batch = batch[b];
            got = run(&p);
            equal(&p, want, got);
            forget(got);
        }
    forget(want);
}

/* ---- the same events ---- */

static void many_flows(void **state)
{
    same_for((struct plan){.in = {"z-http-49-flows.pcap"}, .more = "midstream = 1"}, true);
}

static void longer_than_a_block(void **state)
{
    same_for((struct plan){.in = {"s-ftp-80-flows.pcap"}}, true);
}

static void all_kinds_of_trouble(void **state)
{
    same_for((struct plan){.in = {"a-tcp-reassembly-synthetic.pcap"}, .more = "linger = 0.2"},
             true);
    same_for((struct plan){.in = {"z-rdp-reordering.pcap"},
                           .more = "gap_timeout = 0.05\ngap_grace = 1ms"},
             true);
}

/* Several captures in a row, longer than all blocks together; the same connections again and again, time standing still. */
static void longer_than_all_blocks(void **state)
{
    same_for(
        (struct plan){.in = {"s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap",
                             "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap",
                             "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap"},
                      .quiet = 1},
        false);
}

static int is_capture(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');

    return dot && (strcmp(dot, ".pcap") == 0);
}

static void every_capture(void **state)
{
    const char *src = getenv("WEIR_SOURCE");
    struct dirent **v;
    char dir[300];
    int n;

    snprintf(dir, sizeof(dir), "%s/tests/traces", src ? src : ".");
    n = scandir(dir, &v, is_capture, alphasort);
    assert_true(n > 30);
    for (int i = 0; i < n; i++) {
        if (strcmp(v[i]->d_name, "t-tcp-bad-header-len.pcap") &&
            strcmp(v[i]->d_name, "z-ip6-ext-trunc.pcap"))
            same_for((struct plan){.in = {v[i]->d_name}, .more = "midstream = 1\nbuffer = always"},
                     false);
        free(v[i]);
    }
    free(v);
}

static void a_short_epoch(void **state)
{
    same_for((struct plan){.in = {"z-wikipedia.pcap"}, .more = "epoch = 5"}, true);
}

/* add: bytes [off, off + len) of this segment as a fragment, or all of it as it is (len 0). */
static void add(pcap_dumper_t *to, struct frame f, uint32_t off, uint32_t len, bool more)
{
    static long sec = 1000;
    static struct frame_buf whole, part;
    struct pktbuf *p = frame_tcp(&whole, f);
    struct pcap_pkthdr h = {.ts = {sec++ / 10, 0}};
    struct seg s;

    decode(&s, p);
    if (len) {
        f.payload = p->data + s.l4_off + off;
        f.plen = len;
        f.proto = 6;
        f.frag_off = (uint16_t)off;
        f.frag_more = more;
        p = frame_ip(&part, f);
    }
    h.caplen = h.len = p->len;
    pcap_dump((u_char *)to, &h, p->data);
}

/*
 * One fragment completes two datagrams, one for hosts that go on after an overlap and one for those
 * that threw away, of two connections: each goes where its own belongs.
 */
static void two_datagrams_of_one_fragment(void **state)
{
    char in[] = "/tmp/weir-in-XXXXXX";
    pcap_t *pc = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *to;

    close(mkstemp(in));
    to = pcap_dump_open(pc, in);
    for (uint16_t k = 0; k < 9; k++)
        add(to, (struct frame){.flags = "S", .seq = 100, .sport = (uint16_t)(1000 + k)}, 0, 0, 0);
    for (uint16_t k = 1; k < 9; k++) {
        struct frame a = {.flags = "A", .seq = 101, .plen = 60, .sport = 1000, .id = k}, b = a;

        b.sport = (uint16_t)(1000 + k);
        b.flags = "PA";
        add(to, a, 0, 32, true);
        add(to, a, 24, 16, true);
        add(to, b, 0, 32, true);
        add(to, b, 32, 48, false);
    }
    pcap_dump_close(to);
    pcap_close(pc);
    same_for((struct plan){.in = {in}, .more = "overlap = linux\nchecksum = off"}, true);
    same_for((struct plan){.in = {in}, .more = "overlap = last\nchecksum = off"}, true);
    unlink(in);
}

/* ---- what leaves ---- */

/* edits: by sequence number, so that they are the same wherever a packet is worked off: dropped, changed, reset. */
static void edits(mctx_t c, int sock, int side, event_t ev)
{
    struct pkt_info p;

    if (ev != MOS_ON_PKT_IN || mtcp_getlastpkt(c, sock, 0, &p) < 0)
        return;
    if (p.seq % 9 == 0)
        mtcp_setlastpkt(c, sock, 0, 0, NULL, 0, MOS_DROP);
    else if (p.seq % 11 == 0 && p.iph)
        mtcp_setlastpkt(c, sock, 0, 8, (byte *)(uintptr_t) "\x05", 1,
                        MOS_IP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM);
    if (p.seq % 7 == 0)
        mtcp_reset_conn(c, sock);
}

static void output_in_the_order_of_the_input(void **state)
{
    static const int cores[] = {1, 1, 2, 3, 7, 3}, batch[] = {64, 3, 64, 64, 1, 3};
    char out[] = "/tmp/weir-out-XXXXXX", *first = NULL;
    struct plan p = {
        .in = {"s-ftp-80-flows.pcap", "z-http-49-flows.pcap"}, .out = out, .change = edits};
    size_t want = 0;

    close(mkstemp(out));
    for (int i = 0; i < 6; i++) {
        char *text;
        size_t len;

        p.cores = cores[i];
        p.batch = batch[i];
        run(&p);
        text = whole_file(out, &len);
        if (i == 0) {
            first = text;
            want = len;
            assert_true(len > 100000);
            continue;
        }
        assert_int_equal(len, want);
        assert_memory_equal(text, first, len);
        forget(text);
    }
    unlink(out);
}

static void reset_at_data(mctx_t c, int sock, int side, event_t ev)
{
    if (ev == MOS_ON_CONN_NEW_DATA)
        mtcp_reset_conn(c, sock);
}

/* What is made at the end of a batch leaves before the next batch's first frame, whoever made it. */
static void output_of_the_end_of_a_batch(void **state)
{
    char out[] = "/tmp/weir-out-XXXXXX", *first, *text;
    struct plan p = {.in = {"a-http-post-retransmits.pcap"},
                     .out = out,
                     .change = reset_at_data,
                     .more = "epoch = 5",
                     .cores = 1,
                     .batch = 64};
    size_t want, len;

    close(mkstemp(out));
    run(&p);
    first = whole_file(out, &want);
    p.cores = 3;
    run(&p);
    text = whole_file(out, &len);
    assert_int_equal(len, want);
    assert_memory_equal(text, first, len);
    p.change = NULL;
    run(&p);
    whole_file(out, &len);
    assert_true(len < want); /* two RSTs at least */
    unlink(out);
}

/* Nothing is asked to change: the output is the input, frame by frame. */
static void output_is_the_input(void **state)
{
    for (int cores = 1; cores <= 3; cores += 2) {
        char out[] = "/tmp/weir-out-XXXXXX", err[PCAP_ERRBUF_SIZE], path[300];
        struct plan p = {.in = {"z-http-49-flows.pcap"}, .out = out, .cores = cores, .batch = 64};
        const char *src = getenv("WEIR_SOURCE");
        struct pcap_pkthdr *ha, *hb;
        const u_char *da, *db;
        pcap_t *a, *b;
        int n = 0;

        close(mkstemp(out));
        run(&p);
        snprintf(path, sizeof(path), "%s/tests/traces/z-http-49-flows.pcap", src ? src : ".");
        a = pcap_open_offline(path, err);
        b = pcap_open_offline(out, err);
        assert_non_null(a);
        assert_non_null(b);
        for (; pcap_next_ex(a, &ha, &da) == 1; n++) {
            assert_int_equal(pcap_next_ex(b, &hb, &db), 1);
            assert_int_equal(ha->caplen, hb->caplen);
            assert_int_equal(ha->len, hb->len);
            assert_int_equal(ha->ts.tv_sec, hb->ts.tv_sec);
            assert_int_equal(ha->ts.tv_usec, hb->ts.tv_usec);
            assert_memory_equal(da, db, ha->caplen);
        }
        assert_int_equal(n, 655);
        assert_int_not_equal(pcap_next_ex(b, &hb, &db), 1);
        pcap_close(a);
        pcap_close(b);
        unlink(out);
    }
}

#define T(f) cmocka_unit_test_teardown(f, drop_kept)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(many_flows),
        T(longer_than_a_block),
        T(all_kinds_of_trouble),
        T(longer_than_all_blocks),
        T(every_capture),
        T(a_short_epoch),
        T(two_datagrams_of_one_fragment),
        T(output_in_the_order_of_the_input),
        T(output_of_the_end_of_a_batch),
        T(output_is_the_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
