// SPDX-License-Identifier: BSD-2-Clause
/*
 * connfuzz_act.c: what an application may do in a callback, and what it may not. Whatever the answer,
 * it comes with a reason.
 */
#include "connfuzz.h"

#include <errno.h>

/* said: a call that fails says why. */
static void said(int rc)
{
    FUZZ_CHECK(rc >= 0 || (errno != 0 && mtcp_errstr()[0]), "failed without a word, errno %d",
               errno);
}

static struct cf_kid *kid(int sock)
{
    static struct cf_kid nobody;

    return sock >= 0 && sock < CF_KIDS ? &cf.kid[sock] : &nobody;
}

static void ppeek(int sock, int side, uint8_t n, uint64_t off)
{
    uint8_t room[256];
    ssize_t got = mtcp_ppeek(cf.ctx, sock, side & 1, (char *)room, n, off);

    said((int)got);
    if (got > 0)
        cf_check_bytes(kid(sock), sock, side & 1, room, (size_t)got, off);
}

static void set_int(int sock, int option, int value)
{
    said(mtcp_setsockopt(cf.ctx, sock, SOL_MONSOCKET, option, &value, sizeof(value)));
}

static void set_some(int sock, const uint8_t c[3])
{
    static const int names[] = {MOS_CLIBUF,       MOS_SVRBUF,      MOS_CLIBUF,     MOS_SVRBUF,
                                MOS_FRAG_CLIBUF,  MOS_FRAG_SVRBUF, MOS_CLIOVERLAP, MOS_SVROVERLAP,
                                MOS_FLOW_TIMEOUT, MOS_STATS,       MOS_MIDSTREAM,  MOS_STRICT,
                                MOS_CSUM,         MOS_SEQ_REMAP};
    int option = names[c[1] % (sizeof(names) / sizeof(names[0]))];

    if (option == MOS_CLIBUF || option == MOS_SVRBUF)
        set_int(sock, option, c[2] < 64 ? 0 : 1 << (c[2] % 14));
    else if (option == MOS_CLIOVERLAP || option == MOS_SVROVERLAP)
        set_int(sock, option, c[2] % 10);
    else if (option == MOS_FLOW_TIMEOUT)
        set_int(sock, option, c[2] - 1);
    else
        set_int(sock, option, c[2] % 4);
    cf.miscounts |= option == MOS_STATS;
}

static void get_all(int sock)
{
    uint64_t room[512];
    struct mos_stat *v = NULL;
    socklen_t len = 0;

    for (int option = 0; option < 0x40; option++) {
        len = sizeof(room);
        if (option != MOS_STATS)
            said(mtcp_getsockopt(cf.ctx, sock, SOL_MONSOCKET, option, room, &len));
    }
    said(mtcp_getsockopt(cf.ctx, cf.lst[0], SOL_MONSOCKET, MOS_STATS, NULL, &len));
    if (len == 0 || (v = malloc(len)) == NULL)
        return;
    said(mtcp_getsockopt(cf.ctx, cf.lst[0], SOL_MONSOCKET, MOS_STATS, v, &len));
    free(v);
}

static void change(int sock, int side, const uint8_t c[3])
{
    static const int regions[] = {MOS_ETH_HDR, MOS_IP_HDR, MOS_TCP_HDR, MOS_TCP_PAYLOAD};
    static const int what[] = {MOS_DROP,   MOS_OVERWRITE, MOS_CHOMP,
                               MOS_INSERT, MOS_OVERWRITE, MOS_DROP};
    int option = what[c[1] % 6], rc;
    byte bytes[64];

    memset(bytes, c[2], sizeof(bytes));
    if (option != MOS_DROP)
        option |= regions[(c[1] >> 3) & 3];
    if (c[1] & 0x80)
        option |= MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM;
    rc = mtcp_setlastpkt(cf.ctx, sock, side, c[2] & 63, bytes, 1 + (c[2] >> 3), option);
    said(rc);
    if (rc == 0 && !(option & MOS_DROP))
        cf.any_bytes = true;
}

static void timers(const uint8_t c[3])
{
    struct timeval tv = {.tv_sec = c[1] >> 5, .tv_usec = (c[1] & 31) * 1000};

    if (c[2] & 1)
        said(mtcp_canceltimer(cf.ctx, c[2] >> 5));
    else
        said((mtcp_settimer)(cf.ctx, c[2] >> 5, &tv, cf_on_timer));
}

static void send_packet(int sock, int side, bool reset)
{
    struct pkt_info p;

    if (reset) {
        said(mtcp_reset_conn(cf.ctx, sock));
        return;
    }
    if (mtcp_getlastpkt(cf.ctx, sock, side, &p) == 0)
        said(mtcp_sendpkt(cf.ctx, sock, &p));
}

/* registration: on a listener it is for the children to come. */
static void registration(int sock, bool child, const uint8_t c[3])
{
    static const event_t events[] = {
        MOS_ON_PKT_IN, MOS_ON_CONN_NEW_DATA, MOS_ON_REXMIT, MOS_ON_OVERLAP,
        MOS_ON_GAP,    MOS_ON_CONN_END,      MOS_ON_ERROR,  MOS_ON_TCP_STATE_CHANGE};
    static const int hooks[] = {MOS_HK_SND, MOS_HK_RCV, MOS_NULL};
    callback_t fn[] = {cf_on_event, cf_on_rcv, cf_on_null};
    int h = (c[2] >> 1) % 3;

    if (child)
        kid(sock)->loose = true;
    else
        cf.loose = true;
    said((mtcp_register_callback)(cf.ctx, sock, events[c[1] % 8], hooks[h],
                                  c[2] & 1 ? fn[h] : NULL));
}

static void stop(int sock, uint8_t c, bool close)
{
    kid(sock)->loose = true;
    if (close)
        said(mtcp_close(cf.ctx, sock));
    else
        set_int(sock, MOS_STOP_MON, c % 3);
}

/*
 * sockets: one more listener, or the first one goes; a second context's calls in a callback are not
 * among this.
 */
static void sockets(const uint8_t c[3])
{
    if (c[1] & 1 && c[2] > 200) {
        kid(cf.lst[0])->loose = true; /* closed before, the number may be a child's by now */
        said(mtcp_close(cf.ctx, cf.lst[0]));
    } else if (cf.nlst < 2) {
        int s = mtcp_socket(cf.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

        said(s);
        if (s >= 0)
            cf.lst[cf.nlst++] = s;
    }
}

void cf_act(int sock, int side, event_t ev, const uint8_t code[3])
{
    bool child = ev != MOS_ON_ORPHAN && sock != cf.raw;

    errno = 0;
    switch (code[0] & 15) {
    case 0:
    case 1:
        if (child)
            cf_read(sock, code[1] & 1, code[2], code[0] & 1);
        break;
    case 2:
        ppeek(sock, code[1] & 1, code[2], code[1] >> 1);
        break;
    case 3:
        if (child)
            cf_read(sock, code[1] & 1, 100000, true);
        break;
    case 4:
    case 5:
        if (child)
            stop(sock, code[1], code[0] & 1);
        break;
    case 6:
        sockets(code);
        break;
    case 7:
        registration(sock, child, code);
        break;
    case 8:
    case 9:
        change(sock, side, code);
        break;
    case 10:
        timers(code);
        break;
    case 11:
        set_some(code[2] & 1 ? cf.lst[0] : sock, code);
        break;
    case 12:
    case 13:
        send_packet(sock, side, code[0] & 1);
        break;
    case 14:
        get_all(sock);
        break;
    default:
        said(mtcp_raise_event(cf.ctx, code[1] & 1 ? 0x1000 + code[2] % 4 : code[2]));
        break;
    }
}
