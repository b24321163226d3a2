// SPDX-License-Identifier: BSD-2-Clause
/*
 * connfuzz_watch.c: callbacks for every event at every hook. Each event is held against what contract
 * 3 says of order, what contract 1 says of offsets, and the bytes against those that were sent.
 */
#include "connfuzz.h"

#include <errno.h>

enum { HOOK_SND, HOOK_RCV, HOOK_NULL };

static bool of_no_child(event_t ev, int sock)
{
    struct sockaddr_storage a[2];
    socklen_t len = sizeof(a);

    if (ev == MOS_ON_ORPHAN || sock == cf.raw)
        return true;
    for (int i = 0; i < cf.nlst;
         i++) /* raised by hand while an orphan is told, if it lives still */
        if (sock == cf.lst[i])
            return mtcp_getpeername(cf.ctx, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH) < 0;
    return false;
}

static int peer_of_sock(int sock)
{
    struct sockaddr_storage a[2];
    socklen_t len = sizeof(a);

    FUZZ_CHECK(mtcp_getpeername(cf.ctx, sock, (struct sockaddr *)a, &len, MOS_SIDE_BOTH) == 0, "%s",
               mtcp_errstr());
    FUZZ_CHECK(len == sizeof(a), "%u", len);
    for (int i = 0; i < 2; i++) { /* who of them sent the first packet is not always known */
        uint16_t port = a[i].ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a[i])->sin6_port
                                                   : ((struct sockaddr_in *)&a[i])->sin_port;

        if (cf_peer_of(ntohs(port)) >= 0)
            return cf_peer_of(ntohs(port)) | (i == 0 ? 0 : 0x100);
    }
    return -1;
}

/* kid_of: the child's account, opened at its first event. */
static struct cf_kid *kid_of(int sock, event_t ev)
{
    struct cf_kid *k;

    FUZZ_CHECK(sock >= 0 && sock < CF_KIDS, "%d", sock);
    k = &cf.kid[sock];
    if (mtcp_get_uctx(cf.ctx, sock) == k)
        return k;
    FUZZ_CHECK(mtcp_get_uctx(cf.ctx, sock) == NULL, "a child begins without context");
    FUZZ_CHECK(!k->live || k->loose, "child %d went without CONN_END", sock);
    *k = (struct cf_kid){.live = true, .loose = cf.loose, .peer = peer_of_sock(sock)};
    mtcp_set_uctx(cf.ctx, sock, k);
    return k;
}

static uint64_t number(int sock, int option, uint64_t otherwise)
{
    uint64_t v = 0;
    socklen_t len = sizeof(v);

    if (mtcp_getsockopt(cf.ctx, sock, SOL_MONSOCKET, option, &v, &len) < 0)
        return otherwise;
    return v;
}

/* offsets: neither the reader's place nor the end goes back; the reader is not beyond the end. */
static void offsets(struct cf_kid *k, int sock, int side)
{
    uint64_t read = number(sock, MOS_READ_OFF_CLI + side, k->read[side]);
    uint64_t end = number(sock, MOS_PEEK_END_CLI + side, k->end[side]);

    FUZZ_CHECK(read >= k->read[side], "side %d: read offset %llu after %llu", side,
               (unsigned long long)read, (unsigned long long)k->read[side]);
    FUZZ_CHECK(end >= k->end[side], "side %d: end %llu after %llu", side, (unsigned long long)end,
               (unsigned long long)k->end[side]);
    k->read[side] = read;
    k->end[side] = end;
}

static void conn_start(struct cf_kid *k, int side, int hook)
{
    uint8_t bit = (uint8_t)(1 << (hook == HOOK_RCV));

    FUZZ_CHECK(!(k->started & bit), "CONN_START twice at hook %d", hook);
    FUZZ_CHECK(k->ended == 0, "CONN_START after CONN_END");
    k->started |= bit;
}

static void conn_end(struct cf_kid *k, int sock, int side, int hook)
{
    uint8_t bit = (uint8_t)(1 << (side * 2 + (hook == HOOK_RCV)));
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    FUZZ_CHECK(side == 0 || side == 1, "%d", side);
    if (k->ended == 0)
        cf_account(k, sock);
    FUZZ_CHECK(!(k->ended & bit), "CONN_END twice, side %d, hook %d", side, hook);
    k->ended |= bit;
    FUZZ_CHECK(mtcp_getsockopt(cf.ctx, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len) == 0, "%s",
               mtcp_errstr());
    FUZZ_CHECK(info.reason >= MOS_END_FIN && info.reason <= MOS_END_COLLISION, "%u", info.reason);
    FUZZ_CHECK(info.last_ns >= info.start_ns, "%llu", (unsigned long long)info.last_ns);
    for (int s = 0; s < 2 && !cf.any_bytes && !cf.miscounts; s++)
        FUZZ_CHECK(info.dir[s].stream_bytes <= info.dir[s].payload_bytes, "%llu of %llu",
                   (unsigned long long)info.dir[s].stream_bytes,
                   (unsigned long long)info.dir[s].payload_bytes);
    if (k->ended == 15)
        k->live = false;
}

static void gap(struct cf_kid *k, int sock, int side, int hook)
{
    struct mos_gap_info g;
    socklen_t len = sizeof(g);

    FUZZ_CHECK(mtcp_getsockopt(cf.ctx, sock, SOL_MONSOCKET, MOS_GAP_INFO, &g, &len) == 0, "%s",
               mtcp_errstr());
    FUZZ_CHECK(g.side == side && g.len > 0 && g.cause >= MOS_GAP_ACKED, "side %d, %llu, cause %d",
               g.side, (unsigned long long)g.len, g.cause);
    if (hook == HOOK_NULL)
        cf_told(k, side, g.off, g.len);
    /* what the capture cut off, or finds no memory, is lost wherever it lies; other holes in their order */
    if (hook != HOOK_NULL || g.cause == MOS_GAP_SNAPLEN || (cf.tight && g.cause == MOS_GAP_LIMIT))
        return;
    FUZZ_CHECK(g.off >= k->gap[side], "gap at %llu+%llu, cause %d, after %llu",
               (unsigned long long)g.off, (unsigned long long)g.len, g.cause,
               (unsigned long long)k->gap[side]);
    k->gap[side] = g.off + g.len;
}

/* rexmit, overlap: the details are there and lie within the packet's reach. */
static void rexmit(int sock)
{
    struct mos_rexmit_info r;
    socklen_t len = sizeof(r);

    FUZZ_CHECK(mtcp_getsockopt(cf.ctx, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &r, &len) == 0, "%s",
               mtcp_errstr());
    FUZZ_CHECK(r.kind >= MOS_REXMIT_LOST && r.kind <= MOS_REXMIT_FIN, "%d", r.kind);
    FUZZ_CHECK(r.content >= MOS_REXMIT_SAME && r.content <= MOS_REXMIT_UNKNOWN, "%d", r.content);
}

static void packet(int sock, int side)
{
    struct pkt_info p;
    unsigned sum = 0;

    FUZZ_CHECK(mtcp_getlastpkt(cf.ctx, sock, side, &p) == 0, "%s", mtcp_errstr());
    for (uint32_t i = 0; p.payload && i < p.payloadlen; i++)
        sum += p.payload[i]; /* may be read to the end */
    FUZZ_CHECK(sum <= 255u * 65535u, "%u", sum);
}

void cf_check_bytes(const struct cf_kid *k, int sock, int side, const uint8_t *p, size_t n,
                    uint64_t off)
{
    struct tcp_buf_info b;
    socklen_t len = sizeof(b);
    int peer = k->peer & 0xff, from = !side;

    if (cf.any_bytes || k->peer < 0)
        return;
    if (mtcp_getsockopt(cf.ctx, sock, SOL_MONSOCKET, MOS_INFO_CLIBUF + side, &b, &len) < 0)
        return;
    if (k->peer & 0x100) /* the server spoke from our client's port */
        from = !from;
    for (size_t i = 0; i < n; i++) {
        uint8_t want = cf_byte(peer, from, b.tcpbi_init_seq + (uint32_t)(off + i));

        FUZZ_CHECK(p[i] == want || (cf.peer[peer].other && p[i] == (uint8_t)(want + CF_OTHER)),
                   "peer %d, side %d, offset %llu: %02x, should be %02x", peer, side,
                   (unsigned long long)(off + i), p[i], want);
    }
}

/* cf_read: as mtcp_peek's loop, at most `most` bytes. */
void cf_read(int sock, int side, size_t most, bool copy)
{
    struct cf_kid *k = &cf.kid[sock];
    struct iovec iov[3];
    uint8_t room[300];
    ssize_t n = 0;

    for (size_t sum = 0; sum<most; sum += n> 0 ? (size_t)n : 1) {
        uint64_t before = number(sock, MOS_READ_OFF_CLI + side, 0), at = before;
        int cnt = 3;

        errno = 0;
        if (copy)
            n = mtcp_peek(cf.ctx, sock, side, (char *)room,
                          most - sum < sizeof(room) ? most - sum : sizeof(room));
        else
            n = mtcp_peekv(cf.ctx, sock, side, iov, &cnt);
        if (n == 0 || (n < 0 && errno != ENODATA))
            break;
        if (n < 0)
            cf_lost(k, side, before, (uint64_t)-n);
        if (n > 0 && copy)
            cf_check_bytes(k, sock, side, room, (size_t)n, before);
        for (int i = 0; n > 0 && !copy && i < cnt; at += iov[i++].iov_len)
            cf_check_bytes(k, sock, side, iov[i].iov_base, iov[i].iov_len, at);
        FUZZ_CHECK(copy || n < 0 || at == before + (uint64_t)n, "%zd", n);
        FUZZ_CHECK(number(sock, MOS_READ_OFF_CLI + side, 0) == before + (uint64_t)(n < 0 ? -n : n),
                   "%zd from %llu", n, (unsigned long long)before);
    }
    offsets(k, sock, side);
}

static void act(int sock, int side, event_t ev)
{
    uint32_t h = (cf.calls + cf.header[10] * 131u) * 2654435761u;
    uint8_t code[3] = {(uint8_t)(h >> 24), (uint8_t)(h >> 16), (uint8_t)(h >> 8)};
    uint16_t mask = (uint16_t)(cf.header[8] | cf.header[9] << 8);

    cf.calls++;
    if (cf.depth > 4)
        return;
    cf.depth++;
    if (cf.armed_at && --cf.armed_at == 0)
        cf_act(sock, side, ev, cf.armed);
    else if (cf.header[7] && h % 256 < cf.header[7] && (mask & (1 << (code[0] & 15))))
        cf_act(sock, side, ev, code);
    cf.depth--;
}

static void on(int sock, int side, event_t ev, int hook)
{
    struct cf_kid *k;
    struct pkt_info p;

    if (of_no_child(ev, sock)) {
        if (ev == MOS_ON_ORPHAN || ev == MOS_ON_PKT_IN)
            packet(sock, side);
        act(sock, side, ev);
        return;
    }
    k = kid_of(sock, ev);
    FUZZ_CHECK(k->live, "event %llx after the last CONN_END", (unsigned long long)ev);
    FUZZ_CHECK(k->ended == 0 || ev == MOS_ON_CONN_END || ev == MOS_ON_TCP_STATE_CHANGE ||
                   ev >= 0x1000,
               "event %llx between CONN_ENDs", (unsigned long long)ev);
    offsets(k, sock, MOS_SIDE_CLI);
    offsets(k, sock, MOS_SIDE_SVR);
    if (ev == MOS_ON_CONN_START)
        conn_start(k, side, hook);
    else if (ev == MOS_ON_GAP)
        gap(k, sock, side, hook);
    else if (ev == MOS_ON_REXMIT)
        rexmit(sock);
    else if (ev == MOS_ON_ERROR && mtcp_getlastpkt(cf.ctx, sock, side, &p) < 0)
        cf_overrun(k, sock, side);
    if (ev == MOS_ON_PKT_IN || ev == MOS_ON_CONN_START || ev == MOS_ON_REXMIT ||
        ev == MOS_ON_OVERLAP)
        packet(sock, side);
    if (ev == MOS_ON_CONN_NEW_DATA && (cf.header[7] & 1))
        cf_read(sock, side, 65536, hook == HOOK_RCV);
    act(sock, side, ev);
    if (ev == MOS_ON_CONN_END)
        conn_end(k, sock, side, hook);
}

void cf_on_event(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    on(sock, side, ev, HOOK_SND);
}

void cf_on_rcv(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    on(sock, side, ev, HOOK_RCV);
}

void cf_on_null(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    on(sock, side, ev, HOOK_NULL);
}

void cf_on_timer(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    cf.calls++;
    FUZZ_CHECK(mtcp_canceltimer(m, id + 1) >= 0, "%s", mtcp_errstr());
}

void cf_finished(void)
{
    for (int i = 0; i < CF_KIDS; i++)
        FUZZ_CHECK(!cf.kid[i].live || cf.kid[i].loose, "child %d has %x of CONN_END", i,
                   cf.kid[i].ended);
}
