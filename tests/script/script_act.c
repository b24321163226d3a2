// SPDX-License-Identifier: BSD-2-Clause
/*
 * script_act.c: what a script may do inside a callback. An action that brings something back (peek,
 * info) writes it down; one that fails writes NAME!ERRNO; one that works writes nothing.
 */
#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMERS_MOST 10000 /* of one script: callbacks that arm two each time would never end */

struct action {
    struct here *h;
    char **v; /* [0] is the action's name */
    int n;
};

static const struct {
    const char *name;
    int number;
} options[] = {
    {"FRAGINFO_CLIBUF", MOS_FRAGINFO_CLIBUF},
    {"FRAGINFO_SVRBUF", MOS_FRAGINFO_SVRBUF},
    {"INFO_CLIBUF", MOS_INFO_CLIBUF},
    {"INFO_SVRBUF", MOS_INFO_SVRBUF},
    {"TIMESTAMP", MOS_TIMESTAMP},
    {"CLIBUF", MOS_CLIBUF},
    {"SVRBUF", MOS_SVRBUF},
    {"SEQ_REMAP", MOS_SEQ_REMAP},
    {"STOP_MON", MOS_STOP_MON},
    {"FRAG_CLIBUF", MOS_FRAG_CLIBUF},
    {"FRAG_SVRBUF", MOS_FRAG_SVRBUF},
    {"CLIOVERLAP", MOS_CLIOVERLAP},
    {"SVROVERLAP", MOS_SVROVERLAP},
    {"READ_OFF_CLI", MOS_READ_OFF_CLI},
    {"READ_OFF_SVR", MOS_READ_OFF_SVR},
    {"PEEK_END_CLI", MOS_PEEK_END_CLI},
    {"PEEK_END_SVR", MOS_PEEK_END_SVR},
    {"FLOW_TIMEOUT", MOS_FLOW_TIMEOUT},
    {"MIDSTREAM", MOS_MIDSTREAM},
    {"STRICT", MOS_STRICT},
    {"CSUM", MOS_CSUM},
    {"STATS", MOS_STATS},
};

int option_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (strcmp(options[i].name, name) == 0)
            return options[i].number;
    return -1;
}

static int64_t number_at(const struct action *a, int i, int64_t otherwise)
{
    int64_t v;

    return i < a->n && text_number(a->v[i], &v) ? v : otherwise;
}

/* A side named among the words, else that of the callback. */
static int side_of(const struct action *a)
{
    for (int i = 1; i < a->n; i++)
        if (side_by_name(a->v[i]) >= 0)
            return side_by_name(a->v[i]);
    return a->h->side;
}

static const char *side_mark(const struct action *a)
{
    int side = side_of(a);

    return side == a->h->side ? "" : side == MOS_SIDE_CLI ? "(cli)" : "(svr)";
}

/* ---- streams ---- */

static void put_read(const struct action *a, ssize_t n, const char *buf)
{
    char *s;

    if (n == 0 || (n < 0 && errno == ENODATA && strncmp(a->v[0], "peek", 4) == 0)) {
        tell_result("%s%s=%zd", a->v[0], side_mark(a), n);
    } else if (n < 0) {
        tell_error(a->v[0]);
    } else {
        s = text_encode(buf, (size_t)n);
        tell_result("%s%s=%s", a->v[0], side_mark(a), s);
        free(s);
    }
}

/* peek [SIDE] N; ppeek [SIDE] N OFF: numbers where no side stands */
static int64_t nth_number(const struct action *a, int nth, int64_t otherwise)
{
    int64_t v;

    for (int i = 1; i < a->n; i++)
        if (text_number(a->v[i], &v) && nth-- == 0)
            return v;
    return otherwise;
}

/* room_of: the first number, as a length; what no script needs is cut. */
static size_t room_of(const struct action *a)
{
    int64_t n = nth_number(a, 0, 65536);

    return n < 0 ? 0 : n > 1 << 24 ? 1 << 24 : (size_t)n;
}

static void act_peek(struct action *a)
{
    size_t len = room_of(a);
    char *buf = malloc(len + 1);
    ssize_t n = mtcp_peek(a->h->mctx, a->h->sock, side_of(a), buf, len);

    put_read(a, n, buf);
    free(buf);
}

static void act_ppeek(struct action *a)
{
    size_t len = room_of(a);
    char *buf = malloc(len + 1);
    ssize_t n =
        mtcp_ppeek(a->h->mctx, a->h->sock, side_of(a), buf, len, (uint64_t)nth_number(a, 1, 0));

    put_read(a, n, buf);
    free(buf);
}

static void read_pieces(struct action *a, bool fixed)
{
    struct iovec iov[64];
    int64_t most = nth_number(a, 0, 16);
    int cnt = most > 64 ? 64 : (int)most;
    char *buf;
    size_t at = 0;
    ssize_t n = fixed ? mtcp_ppeekv(a->h->mctx, a->h->sock, side_of(a), iov, &cnt,
                                    (uint64_t)nth_number(a, 1, 0))
                      : mtcp_peekv(a->h->mctx, a->h->sock, side_of(a), iov, &cnt);

    buf = malloc(n > 0 ? (size_t)n + 1 : 1);
    for (int i = 0; n > 0 && i < cnt && at + iov[i].iov_len <= (size_t)n; i++) {
        memcpy(buf + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    if (n > 0 && at != (size_t)n)
        tell_result("%s: pieces have %zu of %zd bytes", a->v[0], at, n);
    put_read(a, n, buf);
    free(buf);
}

static void act_peekv(struct action *a)
{
    read_pieces(a, false);
}

static void act_ppeekv(struct action *a)
{
    read_pieces(a, true);
}

/* drain [SIDE]: the loop of the contract, told as one text with gaps as <LEN>. */
static void act_drain(struct action *a)
{
    char buf[4096], *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ssize_t n;

    while ((n = mtcp_peek(a->h->mctx, a->h->sock, side_of(a), buf, sizeof(buf))) != 0) {
        char *s;

        if (n < 0 && errno != ENODATA) {
            fprintf(f, "!%s", strerrorname_np(errno));
            break;
        }
        if (n < 0) {
            fprintf(f, "<%zd>", -n);
            continue;
        }
        s = text_encode(buf, (size_t)n);
        fputs(s, f);
        free(s);
    }
    fclose(f);
    tell_result("drain%s=%s", side_mark(a), size > 0 ? text : "0");
    free(text);
}

/* ---- packets ---- */

static int region_of(const struct action *a)
{
    static const char *const names[] = {"eth", "ip", "tcp", "payload"};
    int bits = 0;

    for (int i = 1; i < a->n; i++)
        for (int k = 0; k < 4; k++)
            if (strcmp(a->v[i], names[k]) == 0)
                bits |= MOS_ETH_HDR << k;
    for (int i = 1; i < a->n; i++)
        if (strcmp(a->v[i], "csum") == 0)
            bits |= MOS_UPDATE_IP_CHKSUM | MOS_UPDATE_TCP_CHKSUM;
    return bits;
}

static void set_packet(struct action *a, int option, off_t off, const void *data, uint16_t len)
{
    byte copy[2048];

    if (data != NULL)
        memcpy(copy, data, len);
    if (mtcp_setlastpkt(a->h->mctx, a->h->sock, a->h->side, off, data != NULL ? copy : NULL, len,
                        option | region_of(a)) < 0)
        tell_error(a->v[0]);
}

static size_t text_at(const struct action *a, char *buf, size_t room)
{
    for (int i = 1; i < a->n; i++)
        if (a->v[i][0] == '"')
            return text_decode(a->v[i], buf, room);
    return 0;
}

static void act_drop(struct action *a)
{
    set_packet(a, MOS_DROP, 0, NULL, 0);
}

/* overwrite REGION OFF "BYTES" [csum] */
static void act_overwrite(struct action *a)
{
    char buf[2048];
    size_t n = text_at(a, buf, sizeof(buf));

    set_packet(a, MOS_OVERWRITE, (off_t)nth_number(a, 0, 0), buf, (uint16_t)n);
}

static void act_insert(struct action *a)
{
    char buf[2048];
    size_t n = text_at(a, buf, sizeof(buf));

    set_packet(a, MOS_INSERT, (off_t)nth_number(a, 0, 0), buf, (uint16_t)n);
}

/* chomp REGION OFF LEN [csum] */
static void act_chomp(struct action *a)
{
    set_packet(a, MOS_CHOMP, (off_t)nth_number(a, 0, 0), NULL, (uint16_t)nth_number(a, 1, 0));
}

static void act_hold(struct action *a)
{
    set_packet(a, MOS_HOLD, (off_t)nth_number(a, 0, 0), NULL, 0);
}

/* setlast OPTIONS: any bits, for what must be refused */
static void act_setlast(struct action *a)
{
    char buf[64];
    size_t n = text_at(a, buf, sizeof(buf));

    set_packet(a, (int)nth_number(a, 0, 0), (off_t)nth_number(a, 1, 0), n > 0 ? buf : NULL,
               (uint16_t)n);
}

static void act_lastpkt(struct action *a)
{
    struct pkt_info p;
    char flags[16], *s;

    if (mtcp_getlastpkt(a->h->mctx, a->h->sock, a->h->side, &p) < 0) {
        tell_error("lastpkt");
        return;
    }
    if (p.tcph == NULL) {
        tell_result("lastpkt(proto %u len %u)", p.l4proto, p.len32);
        return;
    }
    flags_text(p.tcph, flags);
    s = text_encode(p.payload, p.payloadlen);
    tell_result("lastpkt(%s %u:%u(%u) ack %u off %llu %s)", flags, p.seq, p.seq + p.payloadlen,
                p.payloadlen, p.ack_seq, (unsigned long long)p.offset, s);
    free(s);
}

/* send "BYTES" SEQ ACK: a segment with the addresses of the packet at hand */
static void act_send(struct action *a)
{
    struct pkt_info p;
    char buf[2048];

    if (mtcp_getlastpkt(a->h->mctx, a->h->sock, a->h->side, &p) < 0) {
        tell_error("getlastpkt");
        return;
    }
    p.payloadlen = (uint16_t)text_at(a, buf, sizeof(buf));
    p.payload = (uint8_t *)buf;
    p.seq = (uint32_t)nth_number(a, 0, p.seq);
    p.ack_seq = (uint32_t)nth_number(a, 1, p.ack_seq);
    if (mtcp_sendpkt(a->h->mctx, a->h->sock, &p) < 0)
        tell_error("send");
}

static void act_reset(struct action *a)
{
    if (mtcp_reset_conn(a->h->mctx, a->h->sock) < 0)
        tell_error("reset");
}

/* ---- options ---- */

static void set_option(struct action *a, int option, int value)
{
    if (mtcp_setsockopt(a->h->mctx, a->h->sock, SOL_MONSOCKET, option, &value, sizeof(value)) < 0)
        tell_error(a->v[0]);
}

/* set OPTION VALUE */
static void act_set(struct action *a)
{
    int64_t v = 0;

    if (a->n > 2 && !text_number(a->v[2], &v))
        v = policy_by_name(a->v[2]) >= 0 ? policy_by_name(a->v[2]) : side_by_name(a->v[2]);
    set_option(a, a->n > 1 ? option_by_name(a->v[1]) : -1, (int)v);
}

static void act_stop(struct action *a)
{
    set_option(a, MOS_STOP_MON, side_of(a));
}

static void put_option(struct action *a, const char *name, const void *v, socklen_t len)
{
    const struct tcp_ring_fragment *fr = v;
    const struct tcp_buf_info *b = v;
    char text[512] = "";
    size_t n = 0;

    if (strncmp(name, "FRAGINFO", 8) == 0) {
        for (size_t i = 0; i < len / sizeof(*fr) && fr[i].len > 0 && n < 400; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%llu+%u", i > 0 ? " " : "",
                                  (unsigned long long)fr[i].offset, fr[i].len);
        tell_result("get=%s", n > 0 ? text : "none");
    } else if (strncmp(name, "INFO", 4) == 0) {
        tell_result("get=%u %u %u %u", b->tcpbi_init_seq, b->tcpbi_last_byte_read,
                    b->tcpbi_next_byte_expected, b->tcpbi_last_byte_received);
    } else {
        tell_result("get=%llu", (unsigned long long)*(const uint64_t *)v);
    }
}

/* get OPTION */
static void act_get(struct action *a)
{
    const char *name = a->n > 1 ? a->v[1] : "";
    union {
        struct tcp_ring_fragment frags[16];
        uint64_t u;
        struct tcp_buf_info info;
    } v;
    socklen_t len = strncmp(name, "FRAGINFO", 8) == 0 ? sizeof(v.frags)
                    : strncmp(name, "INFO", 4) == 0   ? sizeof(v.info)
                                                      : sizeof(v.u);

    memset(&v, 0, sizeof(v));
    if (mtcp_getsockopt(a->h->mctx, a->h->sock, SOL_MONSOCKET, option_by_name(name), &v, &len) < 0)
        tell_error("get");
    else
        put_option(a, name, &v, len);
}

static void put_dir(FILE *f, char who, const struct mos_flow_dir *d)
{
    const struct {
        uint64_t v;
        const char *unit;
    } all[] = {
        {d->payload_bytes, "b"},   {d->stream_bytes, "str"}, {d->gap_bytes, "gap"},
        {d->rexmit_packets, "rx"}, {d->rexmit_bytes, "rxb"}, {d->ooo_packets, "ooo"},
        {d->late_bytes, "late"},
    };

    fprintf(f, "%c:%llup", who, (unsigned long long)d->packets);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].v > 0)
            fprintf(f, ",%llu%s", (unsigned long long)all[i].v, all[i].unit);
}

/* kinds [SIDE]: repetitions that this side has sent, by kind */
static void act_kinds(struct action *a)
{
    static const char *const names[8] = {"",      "lost",    "spurious", "keepalive",
                                         "probe", "partial", "syn",      "fin"};
    struct mos_flow_info x;
    socklen_t len = sizeof(x);
    int side = side_of(a);
    char text[200] = "";

    if (mtcp_getsockopt(a->h->mctx, a->h->sock, SOL_MONSOCKET, MOS_FLOW_INFO, &x, &len) < 0) {
        tell_error("kinds");
        return;
    }
    for (int i = 1; i < 8; i++)
        if (x.rexmit_kind[side][i])
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u%s", *text ? "," : "",
                     x.rexmit_kind[side][i], names[i]);
    tell_result("kinds(%s)", text);
}

/* info: counters that are not 0 */
static void act_info(struct action *a)
{
    struct mos_flow_info x;
    socklen_t len = sizeof(x);
    char *text = NULL;
    size_t size = 0;
    FILE *f;

    if (mtcp_getsockopt(a->h->mctx, a->h->sock, SOL_MONSOCKET, MOS_FLOW_INFO, &x, &len) < 0) {
        tell_error("info");
        return;
    }
    f = open_memstream(&text, &size);
    put_dir(f, 'c', &x.dir[MOS_SIDE_CLI]);
    fputc(' ', f);
    put_dir(f, 's', &x.dir[MOS_SIDE_SVR]);
    if (x.flags & MOS_FLOWF_MIDSTREAM)
        fputs(" midstream", f);
    if (x.flags & MOS_FLOWF_OFFLOAD)
        fputs(" offload", f);
    if (x.flags & MOS_FLOWF_EVICTED)
        fputs(" evicted", f);
    for (int i = 0; i < x.nvlan; i++)
        fprintf(f, " vlan%u", x.vlan[i]);
    fclose(f);
    tell_result("info(%s)", text);
    free(text);
}

static int addr_text(const struct sockaddr_storage *s, char *buf, size_t size)
{
    char ip[48];

    if (s->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)s;

        inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        return snprintf(buf, size, "%s:%u", ip, ntohs(in6->sin6_port));
    }
    inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)s)->sin_addr, ip, sizeof(ip));
    return snprintf(buf, size, "%s:%u", ip,
                    ntohs(((const struct sockaddr_in *)(const void *)s)->sin_port));
}

static void act_names(struct action *a)
{
    struct sockaddr_storage s[2];
    socklen_t len = sizeof(s);
    char cli[64], svr[64];

    if (mtcp_getpeername(a->h->mctx, a->h->sock, (struct sockaddr *)s, &len, MOS_SIDE_BOTH) < 0) {
        tell_error("names");
        return;
    }
    addr_text(&s[0], cli, sizeof(cli));
    addr_text(&s[1], svr, sizeof(svr));
    tell_result("names=%s>%s", cli, svr);
}

static void act_states(struct action *a)
{
    char cli[16];

    snprintf(cli, sizeof(cli), "%s", tell_state(a->h->mctx, a->h->sock, MOS_SIDE_CLI));
    tell_result("states=%s|%s", cli, tell_state(a->h->mctx, a->h->sock, MOS_SIDE_SVR));
}

/* ---- sockets, events, time ---- */

static void act_close(struct action *a)
{
    int s = a->n > 1 ? socket_by_name(script_run, a->v[1]) : -1;

    if (mtcp_close(a->h->mctx, s >= 0 ? script_run->socks[s].id : a->h->sock) < 0)
        tell_error("close");
}

static void change_callback(struct action *a, bool on)
{
    struct run *r = script_run;
    int s = a->n > 2 ? socket_by_name(r, a->v[2]) : -1, hook;
    event_t ev;
    bool alt;

    if (a->n < 2 || !event_at(r, a->v[1], &ev, &hook, &alt)) {
        tell_result("no such event");
        return;
    }
    if (mtcp_register_callback(a->h->mctx, s >= 0 ? r->socks[s].id : a->h->sock, ev, hook,
                               on ? tell_callback(s >= 0 ? s : a->h->listener, hook, alt) : NULL) <
        0)
        tell_error(a->v[0]);
}

/* register EVENT@HOOK[']; with a listener's name behind it: there, else on the child */
static void act_register(struct action *a)
{
    change_callback(a, true);
}

static void act_unregister(struct action *a)
{
    change_callback(a, false);
}

static void act_raise(struct action *a)
{
    if (mtcp_raise_event(a->h->mctx, event_by_name(script_run, a->n > 1 ? a->v[1] : "")) < 0)
        tell_error("raise");
}

/* timer ID MS */
static void act_timer(struct action *a)
{
    int ms = (int)number_at(a, 2, 0);
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (script_run->timers++ >= TIMERS_MOST)
        errno = ENOSPC;
    else if (mtcp_settimer(a->h->mctx, (int)number_at(a, 1, 0), &tv, tell_timer) == 0)
        return;
    tell_error("timer");
}

static void act_canceltimer(struct action *a)
{
    int n = mtcp_canceltimer(a->h->mctx, (int)number_at(a, 1, 0));

    if (n < 0)
        tell_error("canceltimer");
    else
        tell_result("canceltimer=%d", n);
}

static void act_ts(struct action *a)
{
    uint32_t base = (uint32_t)(SCRIPT_EPOCH / 1000);

    tell_result("ts=%u", mtcp_cb_get_ts(a->h->mctx) - base);
}

/* uctx [N]: set it, or tell it */
static void act_uctx(struct action *a)
{
    static int marks[16];
    int64_t n = number_at(a, 1, -1);
    int *p;

    if (n >= 0) {
        mtcp_set_uctx(a->h->mctx, a->h->sock, n > 0 ? &marks[n & 15] : NULL);
        return;
    }
    p = mtcp_get_uctx(a->h->mctx, a->h->sock);
    tell_result("uctx=%d", p != NULL ? (int)(p - marks) : 0);
}

/* push: which must be refused here */
static void act_push(struct action *a)
{
    struct mtcp_frame f = {.data = "", .len = 0};

    if (mtcp_push(a->h->mctx, &f, 1) < 0)
        tell_error("push");
    if (mtcp_tick(a->h->mctx, SCRIPT_EPOCH) < 0)
        tell_error("tick");
}

static void act_destroy(struct action *a)
{
    if (mtcp_destroy_context(a->h->mctx) < 0)
        tell_error("destroy");
}

static void act_say(struct action *a)
{
    tell_result("%s=1", a->n > 1 ? a->v[1] : "said");
}

static const struct {
    const char *name;
    void (*run)(struct action *a);
} actions[] = {
    {"peek", act_peek},
    {"ppeek", act_ppeek},
    {"peekv", act_peekv},
    {"ppeekv", act_ppeekv},
    {"drain", act_drain},
    {"drop", act_drop},
    {"overwrite", act_overwrite},
    {"insert", act_insert},
    {"chomp", act_chomp},
    {"hold", act_hold},
    {"setlast", act_setlast},
    {"lastpkt", act_lastpkt},
    {"send", act_send},
    {"reset", act_reset},
    {"set", act_set},
    {"stop", act_stop},
    {"get", act_get},
    {"info", act_info},
    {"kinds", act_kinds},
    {"names", act_names},
    {"states", act_states},
    {"close", act_close},
    {"register", act_register},
    {"unregister", act_unregister},
    {"raise", act_raise},
    {"timer", act_timer},
    {"canceltimer", act_canceltimer},
    {"ts", act_ts},
    {"uctx", act_uctx},
    {"push", act_push},
    {"destroy", act_destroy},
    {"say", act_say},
};

static void run_one(struct here *h, char **v, int n)
{
    struct action a = {.h = h, .v = v, .n = n};

    if (n == 0)
        return;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, v[0]) != 0)
            continue;
        errno = 0;
        actions[i].run(&a);
        return;
    }
    tell_result("no action %s", v[0]);
}

void act_run(struct here *h, struct words *w)
{
    int from = 0;

    for (int i = 0; i <= w->n; i++) {
        if (i < w->n && strcmp(w->v[i], ";") != 0)
            continue;
        run_one(h, w->v + from, i - from);
        from = i + 1;
    }
}
