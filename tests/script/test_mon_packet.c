// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_mon_packet.c: mtcp_getlastpkt, mtcp_setlastpkt, mtcp_sendpkt, mtcp_reset_conn: what they do
 * to frames and streams, and every errno.
 */
#include "pushfix.h"

#include "mon/mon.h"
#include "wire/csum.h"
#include "wire/decode.h"

static struct pkt_info pkt;
static struct seg out_seg;
static struct pktbuf out_pb;

static void take(int sock, int side, event_t ev)
{
    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &pkt), 0);
}

/* out: frame i of the last batch as it leaves, decoded. => are both checksums right? */
static bool out(int i)
{
    bool known;

    out_pb = (struct pktbuf){.data = (uint8_t *)(uintptr_t)fix.last[i].out,
                             .len = fix.last[i].out_len,
                             .wire_len = fix.last[i].out_len,
                             .cap = fix.last[i].out_len,
                             .linktype = DLT_EN10MB};
    assert_int_equal(decode(&out_seg, &out_pb), REASON_NONE);
    return csum_tcp_ok(&out_seg, &known) && known && !(out_seg.flags & SEG_IPCSUM_BAD);
}

static void out_payload(int i, const char *text)
{
    out(i);
    assert_int_equal(out_seg.plen, strlen(text));
    assert_memory_equal(seg_payload(&out_seg), text, strlen(text));
}

static int setpkt(off_t off, const char *data, uint16_t len, int option)
{
    return mtcp_setlastpkt(fix.ctx, fix.child, 0, off, (byte *)(uintptr_t)data, len, option);
}

/* ---- mtcp_getlastpkt ---- */

static void test_info(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = take;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .win = 777});
    assert_int_equal(pkt.seq, FIX_CLI);
    assert_int_equal(pkt.window, 777);
    assert_int_equal(pkt.offset, 0);
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1});
    assert_int_equal(pkt.ack_seq, FIX_CLI + 1);
    fix_push((struct frame){
        .flags = "P.", .seq = FIX_CLI + 1, .ack = FIX_SVR + 1, .payload = "0123456789"});
    assert_int_equal(pkt.offset, 0);
    fix_push((struct frame){
        .flags = "P.", .seq = FIX_CLI + 11, .ack = FIX_SVR + 1, .payload = "abc", .pad = 3});
    assert_int_equal(pkt.offset, 10);
    assert_int_equal(pkt.payloadlen, 3);
    assert_int_equal(pkt.ip_len, 43);
    assert_int_equal(pkt.len32, 43);
    assert_int_equal(pkt.eth_len, 60);
    assert_int_equal(pkt.cur_ts, (uint32_t)(fix.now / FIX_MS));
    assert_int_equal(pkt.ts_ns, fix.now);
    assert_int_equal(pkt.in_ifidx, 0);
    assert_int_equal(pkt.l4proto, IPPROTO_TCP);
    assert_int_equal(pkt.frag, 0);
    assert_non_null(pkt.ethh);
    assert_non_null(pkt.iph);
    assert_null(pkt.ip6h);
    assert_ptr_equal(pkt.tcph, (uint8_t *)pkt.iph + 20);
    assert_ptr_equal(pkt.payload, (uint8_t *)pkt.tcph + 20);
    fix_push(
        (struct frame){.flags = "P.", .seq = FIX_CLI - 4, .ack = FIX_SVR + 1, .payload = "xyz"});
    assert_int_equal(pkt.offset, 0); /* never negative */
}

static void test_info_others(void **state)
{
    int any = mtcp_socket(fix.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
    struct frame_buf b;
    struct pktbuf *pb;
    struct mtcp_frame f;

    fix_on(any, MOS_ON_PKT_IN, MOS_NULL);
    fix.act = take;
    fix_push((struct frame){.v6 = true, .link = FRAME_RAW, .payload = "abc"});
    assert_null(pkt.ethh);
    assert_null(pkt.iph);
    assert_non_null(pkt.ip6h);
    assert_int_equal(pkt.payloadlen, 3);
    fix_push((struct frame){.payload = "0123456789", .snap = 14 + 20 + 15}); /* half a TCP header */
    assert_null(pkt.tcph);
    assert_null(pkt.payload);
    assert_int_equal(pkt.payloadlen, 0);
    fix_push((struct frame){.payload = "0123456789", .snap = 14 + 40 + 4});
    assert_int_equal(pkt.payloadlen, 4);
    assert_int_equal(pkt.ip_len, 50);
    pb = frame_ip(&b, (struct frame){.proto = 17, .payload = "12345678", .frag_off = 8});
    f = (struct mtcp_frame){.data = pb->data, .len = pb->len, .ts_ns = fix.now};
    assert_int_equal(mtcp_push(fix.ctx, &f, 1), 1);
    assert_int_equal(pkt.frag, 2);
    assert_int_equal(pkt.l4proto, 17);
    assert_null(pkt.tcph);
    assert_int_equal(fix.calls, 4);
}

static void get_errors(int sock, int side, event_t ev)
{
    assert_fails(EBADF, mtcp_getlastpkt(fix.ctx, 77, side, &pkt));
    assert_fails(EINVAL, mtcp_getlastpkt(fix.ctx, sock, side, NULL));
    assert_fails(EACCES, mtcp_getlastpkt(NULL, sock, side, &pkt));
    assert_int_equal(mtcp_getlastpkt(fix.ctx, fix.lst, 99, &pkt), 0);
}

static void no_packet(int sock, int side, event_t ev)
{
    byte b = 0;

    assert_fails(EACCES, mtcp_getlastpkt(fix.ctx, sock, side, &pkt));
    assert_fails(EACCES,
                 mtcp_setlastpkt(fix.ctx, sock, side, 0, &b, 1, MOS_OVERWRITE | MOS_IP_HDR));
    assert_fails(EACCES, mtcp_setlastpkt(fix.ctx, sock, side, 0, NULL, 0, MOS_DROP));
}

static void test_get_errors(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = get_errors;
    fix_shake();
    assert_int_equal(fix.calls, 3);
    assert_int_equal((mtcp_register_callback)(fix.ctx, fix.child, MOS_ON_PKT_IN, MOS_HK_SND, NULL),
                     0);
    fix_on(fix.child, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_on(fix.child, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = no_packet;
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(mtcp_push(fix.ctx, NULL, 0), 0);
    assert_int_equal(fix.calls, 6);
}

/* ---- mtcp_setlastpkt ---- */

static void set_errors(int sock, int side, event_t ev)
{
    byte b[4] = {0};

    assert_fails(EBADF, mtcp_setlastpkt(fix.ctx, 77, 0, 0, b, 1, MOS_OVERWRITE | MOS_IP_HDR));
    assert_fails(EACCES, mtcp_setlastpkt(NULL, sock, 0, 0, b, 1, MOS_OVERWRITE | MOS_IP_HDR));
    assert_fails(EAGAIN, setpkt(0, "x", 1, MOS_IP_HDR));
    assert_fails(EAGAIN, setpkt(0, "x", 1, MOS_UPDATE_IP_CHKSUM));
    assert_fails(EAGAIN, setpkt(0, "x", 1, MOS_OVERWRITE | MOS_DROP | MOS_IP_HDR));
    assert_fails(EAGAIN, setpkt(0, "x", 1, MOS_CHOMP | MOS_INSERT | MOS_TCP_PAYLOAD));
    assert_fails(EINVAL, setpkt(0, "x", 1, MOS_OVERWRITE));
    assert_fails(EINVAL, setpkt(0, "x", 1, MOS_CHOMP));
    assert_fails(EINVAL, setpkt(0, "x", 1, MOS_OVERWRITE | MOS_IP_HDR | MOS_TCP_HDR));
    assert_fails(EINVAL, setpkt(0, "x", 1, MOS_OVERWRITE | MOS_IP_HDR | 0x8000));
    assert_fails(EINVAL, setpkt(-1, "x", 1, MOS_OVERWRITE | MOS_IP_HDR));
    assert_fails(EINVAL, setpkt(20, "x", 1, MOS_OVERWRITE | MOS_IP_HDR));
    assert_fails(EINVAL, setpkt(19, "xx", 2, MOS_OVERWRITE | MOS_TCP_HDR));
    assert_fails(EINVAL, setpkt(14, "x", 1, MOS_OVERWRITE | MOS_ETH_HDR));
    assert_fails(EINVAL, setpkt(10, "x", 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD));
    assert_fails(EINVAL, setpkt((off_t)1 << 40, "x", 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD));
    assert_fails(EINVAL, setpkt(0, NULL, 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD));
    assert_fails(EOPNOTSUPP, setpkt(0, "x", 1, MOS_INSERT | MOS_TCP_HDR));
    assert_int_equal(setpkt(10, NULL, 0, MOS_OVERWRITE | MOS_TCP_PAYLOAD), 0);
    if (side == MOS_SIDE_SVR) { /* at MOS_HK_RCV */
        assert_fails(EOPNOTSUPP, setpkt(0, NULL, 0, MOS_HOLD));
        assert_fails(EOPNOTSUPP, setpkt(0, "x", 1, MOS_INSERT | MOS_TCP_PAYLOAD));
        assert_fails(EOPNOTSUPP, setpkt(0, NULL, 1, MOS_CHOMP | MOS_TCP_PAYLOAD));
        return;
    }
    assert_fails(EINVAL, setpkt(8, NULL, 3, MOS_CHOMP | MOS_TCP_PAYLOAD));
    assert_fails(EINVAL, setpkt(-1, NULL, 1, MOS_CHOMP | MOS_TCP_PAYLOAD));
    assert_fails(EINVAL, setpkt(11, "x", 1, MOS_INSERT | MOS_TCP_PAYLOAD));
    assert_fails(EINVAL, setpkt(0, NULL, 1, MOS_INSERT | MOS_TCP_PAYLOAD));
    assert_fails(EINVAL, setpkt(11, NULL, 0, MOS_HOLD));
    assert_fails(EINVAL, setpkt(-1, NULL, 0, MOS_HOLD));
}

static void test_set_errors(void **state)
{
    fix_shake();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_RCV);
    fix_push((struct frame){.sport = 9, .flags = "S", .seq = FIX_CLI});
    fix.act = set_errors;
    fix_push((struct frame){
        .sport = 9, .flags = "P.", .seq = FIX_CLI + 1, .ack = 1, .payload = "0123456789"});
    assert_int_equal(fix.calls, 4);
    assert_int_equal(fix.last[0].verdict, MTCP_FRAME_PASS); /* nothing was changed */
}

static void no_header(int sock, int side, event_t ev)
{
    assert_fails(ENODATA, setpkt(0, "x", 1, MOS_OVERWRITE | MOS_ETH_HDR));
    assert_int_equal(setpkt(8, "\x11", 1, MOS_OVERWRITE | MOS_IP_HDR), 0); /* TTL */
    if (fix.calls == 2) {
        assert_fails(ENODATA, setpkt(0, "x", 1, MOS_OVERWRITE | MOS_TCP_HDR));
        assert_fails(ENODATA, setpkt(0, "x", 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD));
        assert_fails(EOPNOTSUPP, setpkt(0, "x", 1, MOS_INSERT | MOS_IP_HDR));
    }
}

static void test_no_header(void **state)
{
    struct frame_buf b;
    struct pktbuf *pb = frame_udp(&b, (struct frame){.link = FRAME_RAW, .payload = "abc"});
    struct mtcp_frame f = {.data = pb->data, .len = pb->len, .linktype = DLT_RAW};

    fix.child = mtcp_socket(fix.ctx, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    fix_on(fix.child, MOS_ON_PKT_IN, MOS_NULL);
    fix.act = no_header;
    fix_push((struct frame){.link = FRAME_RAW, .payload = "abc"});
    assert_int_equal(fix.last[0].verdict, MTCP_FRAME_CHANGED);
    assert_int_equal(mtcp_push(fix.ctx, &f, 1), 1);
    assert_int_equal(f.verdict, MTCP_FRAME_CHANGED);
    assert_int_equal(((const uint8_t *)f.out)[8], 0x11);
    assert_int_equal(pb->data[8], 64); /* the program's own bytes stay */
}

static void signed_(int sock, int side, event_t ev)
{
    assert_fails(EPERM, setpkt(0, "x", 1, MOS_OVERWRITE | MOS_TCP_HDR));
    assert_fails(EPERM, setpkt(0, "x", 1, MOS_INSERT | MOS_TCP_PAYLOAD));
    assert_int_equal(setpkt(0, "x", 1, MOS_OVERWRITE | MOS_ETH_HDR), 0);
    assert_int_equal(setpkt(0, NULL, 0, MOS_DROP), 0);
}

static void test_signed(void **state)
{
    static const uint8_t md5[20] = {19, 18};

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = signed_;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .opts = md5, .optlen = 18});
    assert_int_equal(fix.calls, 1);
    assert_int_equal(fix.last[0].verdict, MTCP_FRAME_DROP);
    assert_null(fix.last[0].out);
}

static void drop(int sock, int side, event_t ev)
{
    if (fix.calls == 2)
        assert_int_equal(setpkt(0, NULL, 0, MOS_DROP), 0);
}

/* DROP: not forwarded, but the receiver is emulated as if it had come. */
static void test_drop(void **state)
{
    char got[4];

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix.act = drop;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){.flags = "P.", .seq = FIX_CLI + 1, .ack = 1, .payload = "abc"});
    assert_int_equal(fix.last[0].verdict, MTCP_FRAME_DROP);
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 4), 3);
}

static int sum_bits;

static void rewrite(int sock, int side, event_t ev)
{
    if (ev != MOS_ON_PKT_IN || mtcp_getlastpkt(fix.ctx, sock, side, &pkt) < 0 ||
        pkt.payloadlen == 0)
        return;
    assert_int_equal(setpkt(1, "XY", 2, MOS_OVERWRITE | MOS_TCP_PAYLOAD | sum_bits), 0);
    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &pkt), 0);
    assert_memory_equal(pkt.payload, "aXYd", 4);
}

/* rewritten: the frame and the stream after "abcd" became "aXYd" at this hook. */
static void rewritten(int hook, const char *stream)
{
    char got[8];

    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_on(fix.lst, MOS_ON_PKT_IN, hook);
    fix.act = rewrite;
    fix_shake();
    fix_push(fix_cli(0, "abcd"));
    assert_int_equal(fix.last[0].verdict, MTCP_FRAME_CHANGED);
    assert_int_equal(out(0), sum_bits != 0); /* checksums are right only if that was asked for */
    out_payload(0, "aXYd");
    assert_int_equal(mtcp_peek(fix.ctx, fix.child, MOS_SIDE_SVR, got, 8), 4);
    assert_memory_equal(got, stream, 4);
}

static void test_overwrite_stale(void **state)
{
    sum_bits = 0;
    rewritten(MOS_HK_SND, "aXYd");
}

static void test_overwrite_snd(void **state)
{
    sum_bits = MOS_UPDATE_TCP_CHKSUM;
    rewritten(MOS_HK_SND, "aXYd");
}

/* At RCV only the wire has the new bytes: the stream keeps what it has borrowed as it was. */
static void test_overwrite_rcv(void **state)
{
    sum_bits = MOS_UPDATE_TCP_CHKSUM;
    rewritten(MOS_HK_RCV, "abcd");
}

/* Translation as nat.c does it: the address first, then the port with both checksums. */
static void translate(int sock, int side, event_t ev)
{
    bool cli = side == MOS_SIDE_CLI;

    assert_int_equal(
        setpkt(cli ? 12 : 16, cli ? "\xc0\xa8\0\1" : "\x0a\0\0\1", 4, MOS_IP_HDR | MOS_OVERWRITE),
        0);
    assert_int_equal(
        setpkt(cli ? 0 : 2, cli ? "\x30\x39" : "\x04\xd2", 2,
               MOS_TCP_HDR | MOS_OVERWRITE | MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM),
        0);
}

static void test_translate(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = translate;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    assert_true(out(0));
    assert_int_equal(out_seg.sport, htons(12345));
    fix_push((struct frame){.src = "10.0.0.2",
                            .sport = 80,
                            .dst = "192.168.0.1",
                            .dport = 12345,
                            .flags = "S.",
                            .seq = FIX_SVR,
                            .ack = FIX_CLI + 1});
    assert_int_equal(fix.calls, 2);
    assert_true(out(0));
    assert_int_equal(out_seg.dst.v4, inet_addr("10.0.0.1"));
    assert_int_equal(out_seg.dport, htons(1234));
}

static int how; /* what resize does */

static void resize(int sock, int side, event_t ev)
{
    enum { SUMS = MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM };
    static const char shorter[] = {0, 48}, longer[] = {0, 52};

    if (side != MOS_SIDE_CLI || mtcp_getlastpkt(fix.ctx, sock, side, &pkt) < 0 ||
        pkt.payloadlen == 0)
        return;
    if (how == 0)
        assert_int_equal(setpkt(3, NULL, 2, MOS_CHOMP | MOS_TCP_PAYLOAD | SUMS), 0);
    if (how == 1)
        assert_int_equal(setpkt(10, "##", 2, MOS_INSERT | MOS_TCP_PAYLOAD | SUMS), 0);
    if (how == 2) { /* as for mOS: the length first */
        assert_int_equal(setpkt(2, shorter, 2, MOS_OVERWRITE | MOS_IP_HDR), 0);
        assert_int_equal(setpkt(3, NULL, 2, MOS_CHOMP | MOS_TCP_PAYLOAD | SUMS), 0);
    }
    if (how == 3) {
        assert_int_equal(setpkt(2, longer, 2, MOS_OVERWRITE | MOS_IP_HDR), 0);
        assert_int_equal(setpkt(0, "##", 2, MOS_INSERT | MOS_TCP_PAYLOAD | SUMS), 0);
    }
    if (how == 5 && pkt.payload[0] == '-') { /* a length, and nothing done with it */
        assert_int_equal(setpkt(2, "\0\51", 2, MOS_OVERWRITE | MOS_IP_HDR), 0);
        return;
    }
    if (how >= 4)
        assert_int_equal(setpkt(3, NULL, 2, MOS_CHOMP | MOS_TCP_PAYLOAD), 0);
}

static void test_resize(void **state)
{
    static const char *const after[] = {"01256789",     "0123456789##", "01256789",
                                        "##0123456789", "01256789",     "01256789"};

    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = resize;
    for (how = 0; how < 6; how++) {
        struct frame f = fix_cli(0, "0123456789");

        f.sport = (uint16_t)(100 + how);
        f.pad = 6;
        fix_push((struct frame){.sport = f.sport, .flags = "S", .seq = FIX_CLI});
        if (how == 5)
            fix_push((struct frame){
                .sport = f.sport, .flags = "P.", .seq = FIX_CLI + 1, .ack = 1, .payload = "-"});
        fix_push(f);
        assert_int_equal(fix.last[0].verdict, MTCP_FRAME_CHANGED);
        assert_true(out(0)); /* CHOMP and INSERT move checksums along, asked for or not */
        out_payload(0, after[how]);
        assert_int_equal(out_seg.ip_len, 40 + strlen(after[how]));
    }
}

static char shown[16];

static void note_shown(int sock, int side)
{
    struct pkt_info p;

    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &p), 0);
    strncat(shown, (const char *)p.payload, p.payloadlen);
    strcat(shown, ".");
}

/* What grows too long is shown again, less at a time; of a single byte not even 131,072 can be made. */
static void too_much(int sock, int side, event_t ev)
{
    static char big[65535];

    if (fix.calls < 2)
        return;
    note_shown(sock, side);
    if (fix.calls > 3)
        return;
    assert_int_equal(setpkt(0, big, sizeof(big), MOS_INSERT | MOS_TCP_PAYLOAD), 0);
    if (fix.calls == 2) {
        assert_fails(EAGAIN, setpkt(0, big, sizeof(big), MOS_INSERT | MOS_TCP_PAYLOAD));
        assert_fails(EAGAIN, setpkt(0, NULL, 1, MOS_CHOMP | MOS_TCP_PAYLOAD));
        assert_int_equal(setpkt(0, NULL, 0, MOS_HOLD), 0);
        note_shown(sock, side);
        return;
    }
    assert_int_equal(setpkt(0, big, sizeof(big), MOS_INSERT | MOS_TCP_PAYLOAD), 0);
    assert_fails(ENOBUFS, setpkt(0, big, sizeof(big), MOS_INSERT | MOS_TCP_PAYLOAD));
}

static void test_no_room(void **state)
{
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = too_much;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    shown[0] = '\0';
    fix_push(fix_cli(0, "abc"));
    assert_int_equal(fix.last[0].verdict, MTCP_FRAME_DROP); /* others leave instead */
    assert_string_equal(shown, "abc.abc.a.b.c.");
}

/* ---- frames of our own ---- */

static uint8_t sent[8][70000];
static uint32_t sent_len[8];
static int nsent, send_rc, send_most;
static uint16_t sent_link;

static int catch_frame(struct mon *m, const struct pktbuf *like, const uint8_t *frame, uint32_t len)
{
    if (send_rc < 0 || nsent == send_most) {
        errno = send_rc == -2 ? EIO : ENOBUFS;
        return -1;
    }
    memcpy(sent[nsent], frame, len);
    sent_len[nsent++] = len;
    sent_link = like->linktype;
    return 0;
}

static void catch_all(void)
{
    nsent = send_rc = 0;
    send_most = 8;
    mon_of(fix.ctx)->send = catch_frame;
}

static void see(int i)
{
    bool known;

    assert_true(i < nsent);
    out_pb = (struct pktbuf){.data = sent[i],
                             .len = sent_len[i],
                             .wire_len = sent_len[i],
                             .cap = sent_len[i],
                             .linktype = sent_link};
    assert_int_equal(decode(&out_seg, &out_pb), REASON_NONE);
    assert_true(csum_tcp_ok(&out_seg, &known) && known && !(out_seg.flags & SEG_IPCSUM_BAD));
}

static void grow_long(int sock, int side, event_t ev)
{
    static char more[30000];

    if (fix.calls == 2)
        assert_int_equal(setpkt(0, more, sizeof(more), MOS_INSERT | MOS_TCP_PAYLOAD), 0);
}

/* A frame longer than a datagram, from where segments are put together, leaves as datagrams. */
static void test_grow_long(void **state)
{
    static uint8_t data[100000];
    static struct frame_buf b;
    struct frame f = fix_cli(0, "abc");
    struct mtcp_frame v = {.data = data, .len = sizeof(data), .ts_ns = fix.now};
    struct pktbuf *p;
    uint32_t bytes = 0;

    catch_all();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = grow_long;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    f.ip_len_zero = true;
    p = frame_tcp(&b, f);
    memcpy(data, p->data, p->len);
    out_pb = (struct pktbuf){.data = data, .len = v.len, .wire_len = v.len, .linktype = 1};
    assert_int_equal(decode(&out_seg, &out_pb), REASON_NONE);
    csum_tcp_set(&out_seg);
    assert_int_equal(mtcp_push(fix.ctx, &v, 1), 1);
    assert_int_equal(v.verdict, MTCP_FRAME_DROP);
    for (int i = 0; i < nsent; i++) {
        see(i);
        assert_int_equal(out_seg.seq, FIX_CLI + 1 + bytes);
        bytes += out_seg.plen;
    }
    assert_int_equal(bytes, sizeof(data) - 54 + 30000);
}

static void answer(int sock, int side, event_t ev)
{
    struct pkt_info p;
    struct iphdr ip;
    struct tcphdr tcp;

    if (fix.calls != 4)
        return;
    assert_int_equal(mtcp_getlastpkt(fix.ctx, sock, side, &p), 0);
    ip = *p.iph; /* back to the sender */
    ip.saddr = p.iph->daddr;
    ip.daddr = p.iph->saddr;
    tcp = *p.tcph;
    tcp.source = p.tcph->dest;
    tcp.dest = p.tcph->source;
    p.iph = &ip;
    p.tcph = &tcp;
    p.seq = 111;
    p.ack_seq = 222;
    p.window = 333;
    p.payload = (uint8_t *)(uintptr_t) "hi";
    p.payloadlen = 2;
    assert_int_equal(mtcp_sendpkt(fix.ctx, sock, &p), 0);
}

static void test_sendpkt(void **state)
{
    const uint8_t *in = fix.buf[0].room + FRAME_HEADROOM;

    catch_all();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = answer;
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    assert_int_equal(nsent, 1);
    see(0);
    assert_int_equal(out_seg.seq, 111);
    assert_int_equal(out_seg.ack, 222);
    assert_int_equal(out_seg.win, 333);
    assert_int_equal(out_seg.tflags, TH_ACK_);
    assert_int_equal(out_seg.ttl, 64);
    assert_int_equal(out_seg.sport, htons(80));
    assert_int_equal(out_seg.dst.v4, inet_addr("10.0.0.1"));
    assert_memory_equal(seg_payload(&out_seg), "hi", 2);
    assert_memory_equal(sent[0], in + 6, 6); /* link addresses turned round */
    assert_memory_equal(sent[0] + 6, in, 6);
    assert_false(out_seg.flags & SEG_TS);
}

static void test_sendpkt_timer(void **state)
{
    struct ip6_hdr ip6 = {.ip6_src = {{{0x20, 1}}}, .ip6_dst = {{{0x20, 2}}}};
    struct tcphdr tcp = {.source = 1, .dest = 2};
    struct pkt_info p = {.ip6h = &ip6, .tcph = &tcp, .seq = 7};

    catch_all();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_int_equal(mtcp_sendpkt(fix.ctx, fix.child, &p), 0); /* no packet at hand */
    see(0);
    assert_true(out_seg.flags & SEG_IP6);
    assert_memory_equal(out_seg.dst.b, &ip6.ip6_dst, 16);
    assert_int_equal(out_seg.seq, 7);
}

/* Where timestamps were agreed on, ours has them (RFC 7323 3.2). */
static void test_sendpkt_ts(void **state)
{
    struct iphdr ip = {.saddr = inet_addr("10.0.0.2"), .daddr = inet_addr("10.0.0.1")};
    struct tcphdr tcp = {.source = htons(80), .dest = htons(1234)};
    struct pkt_info p = {.iph = &ip, .tcph = &tcp};

    catch_all();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI, .ts = {10, 0}});
    fix_push((struct frame){FRAME_REPLY, .flags = "S.", .seq = FIX_SVR, .ack = FIX_CLI + 1,
                            .ts = {90, 10}});
    assert_int_equal(mtcp_sendpkt(fix.ctx, fix.child, &p), 0);
    see(0);
    assert_true(out_seg.flags & SEG_TS);
    assert_int_equal(out_seg.tsval, 90);
    assert_int_equal(out_seg.tsecr, 10);
}

static void test_sendpkt_errors(void **state)
{
    struct iphdr ip = {.saddr = 1, .daddr = 2};
    struct tcphdr tcp = {.source = 1, .dest = 2};
    static uint8_t big[65535];
    struct pkt_info p = {.iph = &ip, .tcph = &tcp, .payload = big, .payloadlen = sizeof(big)};

    catch_all();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_fails(EBADF, mtcp_sendpkt(fix.ctx, fix.lst, &p));
    assert_fails(EBADF, mtcp_sendpkt(fix.ctx, 77, &p));
    assert_fails(EACCES, mtcp_sendpkt(NULL, fix.child, &p));
    assert_fails(EINVAL, mtcp_sendpkt(fix.ctx, fix.child, NULL));
    assert_fails(EMSGSIZE, mtcp_sendpkt(fix.ctx, fix.child, &p));
    p.payload = NULL;
    assert_fails(EINVAL, mtcp_sendpkt(fix.ctx, fix.child, &p));
    p.payloadlen = 0;
    send_rc = -2;
    assert_fails(ENOBUFS, mtcp_sendpkt(fix.ctx, fix.child, &p));
    mon_of(fix.ctx)->send = NULL;
    assert_fails(ENOBUFS, mtcp_sendpkt(fix.ctx, fix.child, &p));
    p.iph = NULL;
    assert_fails(ENODATA, mtcp_sendpkt(fix.ctx, fix.child, &p));
    p.iph = &ip;
    p.tcph = NULL;
    assert_fails(ENODATA, mtcp_sendpkt(fix.ctx, fix.child, &p));
}

/* ---- mtcp_reset_conn ---- */

static int ends, end_reason;

static void reset_on_data(int sock, int side, event_t ev)
{
    struct mos_flow_info v;
    socklen_t len = sizeof(v);

    if (ev == MOS_ON_CONN_NEW_DATA)
        assert_int_equal(mtcp_reset_conn(fix.ctx, sock), 0);
    assert_int_equal(mtcp_getsockopt(fix.ctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &v, &len), 0);
    if (ev != MOS_ON_CONN_END) {
        assert_int_equal(v.reason, 0); /* it ends with the batch */
        return;
    }
    end_reason = (int)v.reason;
    ends++;
}

static void rst_is(int i, uint16_t sport, uint32_t seq, uint32_t ack)
{
    see(i);
    assert_int_equal(out_seg.tflags, TH_RST_ | TH_ACK_);
    assert_int_equal(out_seg.sport, htons(sport));
    assert_int_equal(out_seg.seq, seq);
    assert_int_equal(out_seg.ack, ack);
    assert_int_equal(out_seg.plen, 0);
}

static void test_reset(void **state)
{
    catch_all();
    ends = 0;
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = reset_on_data;
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    assert_int_equal(nsent, 2);
    rst_is(0, 80, FIX_SVR + 1, FIX_CLI + 6);
    rst_is(1, 1234, FIX_CLI + 6, FIX_SVR + 1);
    assert_int_equal(ends, 2);
    assert_int_equal(end_reason, MOS_END_RST);
}

/* In SYN_SENT the client believes only what acknowledges its SYN (RFC 9293 3.10.7.3). */
static void reset_at_once(int sock, int side, event_t ev)
{
    assert_int_equal(mtcp_reset_conn(fix.ctx, sock), 0);
    assert_int_equal(mtcp_reset_conn(fix.ctx, sock), 0); /* over already: nothing more is sent */
}

static void test_reset_syn(void **state)
{
    catch_all();
    fix_push((struct frame){.sport = 9, .flags = "S", .seq = 1});
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_RCV);
    fix.act = reset_at_once;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    assert_int_equal(nsent, 2);
    rst_is(0, 80, 0, FIX_CLI + 1);
    see(1);
    assert_int_equal(out_seg.tflags, TH_RST_); /* the server has said nothing yet */
    assert_int_equal(out_seg.seq, FIX_CLI + 1);
}

/* A translated server gets its RST from the address that it knows. */
static void reset_translated(int sock, int side, event_t ev)
{
    translate(sock, side, ev);
    if (side == MOS_SIDE_SVR)
        assert_int_equal(mtcp_reset_conn(fix.ctx, sock), 0);
}

static void test_reset_translated(void **state)
{
    catch_all();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix.act = reset_translated;
    fix_push((struct frame){.flags = "S", .seq = FIX_CLI});
    fix_push((struct frame){.src = "10.0.0.2",
                            .sport = 80,
                            .dst = "192.168.0.1",
                            .dport = 12345,
                            .flags = "S.",
                            .seq = FIX_SVR,
                            .ack = FIX_CLI + 1});
    assert_int_equal(nsent, 2);
    rst_is(0, 80, FIX_SVR + 1, FIX_CLI + 1);
    assert_int_equal(out_seg.dst.v4, inet_addr("10.0.0.1"));
    see(1);
    assert_int_equal(out_seg.sport, htons(12345));
    assert_int_equal(out_seg.src.v4, inet_addr("192.168.0.1"));
    assert_int_equal(out_seg.dst.v4, inet_addr("10.0.0.2"));
}

static void test_reset_errors(void **state)
{
    catch_all();
    fix_on(fix.lst, MOS_ON_PKT_IN, MOS_HK_SND);
    fix_shake();
    assert_fails(EACCES, mtcp_reset_conn(NULL, fix.child));
    assert_fails(EBADF, mtcp_reset_conn(fix.ctx, 77));
    assert_fails(ENOTCONN, mtcp_reset_conn(fix.ctx, fix.lst));
    send_rc = -1;
    assert_fails(ENOBUFS, mtcp_reset_conn(fix.ctx, fix.child));
    fix.calls = 0;
    fix_push(fix_cli(0, "abc")); /* it goes on */
    assert_int_equal(fix.calls, 1);
}

/* One RST leaves, the other cannot: said, and a connection with one dead end does not live on. */
static void reset_half(int sock, int side, event_t ev)
{
    struct mos_flow_info v;
    socklen_t len = sizeof(v);

    if (ev == MOS_ON_CONN_NEW_DATA) {
        assert_fails(ENOBUFS, mtcp_reset_conn(fix.ctx, sock));
        assert_int_equal(mtcp_reset_conn(fix.ctx, sock), 0); /* it is over */
        return;
    }
    assert_int_equal(mtcp_getsockopt(fix.ctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &v, &len), 0);
    end_reason = (int)v.reason;
    ends++;
}

static void test_reset_half(void **state)
{
    catch_all();
    ends = 0;
    send_most = 1;
    fix_on(fix.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    fix_on(fix.lst, MOS_ON_CONN_END, MOS_HK_SND);
    fix.act = reset_half;
    fix_shake();
    fix_push(fix_cli(0, "hello"));
    assert_int_equal(nsent, 1);
    assert_int_equal(ends, 2);
    assert_int_equal(end_reason, MOS_END_RST);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fix_up, fix_down)
    const struct CMUnitTest tests[] = {
        TEST(test_info),          TEST(test_info_others),      TEST(test_get_errors),
        TEST(test_set_errors),    TEST(test_no_header),        TEST(test_signed),
        TEST(test_drop),          TEST(test_overwrite_stale),  TEST(test_overwrite_snd),
        TEST(test_overwrite_rcv), TEST(test_translate),        TEST(test_resize),
        TEST(test_no_room),       TEST(test_sendpkt),          TEST(test_sendpkt_timer),
        TEST(test_sendpkt_ts),    TEST(test_sendpkt_errors),   TEST(test_reset),
        TEST(test_reset_syn),     TEST(test_reset_translated), TEST(test_reset_errors),
        TEST(test_reset_half),    TEST(test_grow_long),
    };

    return cmocka_run_group_tests_name("mon_packet", tests, NULL, NULL);
}
