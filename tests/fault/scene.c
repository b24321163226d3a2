// SPDX-License-Identifier: BSD-2-Clause
/*
 * scene.c: the run, see scene.h. The first 48 connections take turns, one frame each; what one does
 * follows from its number (enum kind). scene_traffic.c makes their frames.
 */
#include "scene.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mos_api.h>

#include "engine/engine.h"
#include "event/ude.h"
#include "failing.h"
#include "frames.h"
#include "scene_traffic.h"

static const struct scene_plan *plan;
static struct scene_log *out;
static mctx_t ctx[SCENE_CORES];
static int lst[SCENE_CORES][SCENE_READERS];
static event_t nth, nested, by_hand;

void scene_fail(const char *what, int line)
{
    fprintf(stderr,
            "run: cores %d memory %llu allocations %llu to %llu fail, retry %d\n%d: %s (%s)\n",
            plan->cores, (unsigned long long)plan->memory, (unsigned long long)plan->from,
            (unsigned long long)plan->to, plan->retry, line, what, mtcp_errstr());
    abort();
}

/* ---- calls that may fail ---- */

static void add(uint32_t *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* said_no: a call failed: for a reason that may be, and it says so. => shall it be made again? */
static bool said_no(void)
{
    must(errno == ENOMEM || errno == ENOBUFS);
    must(mtcp_errstr()[0] != '\0');
    add(&out->said_no);
    return plan->retry;
}

/* MAY: the call must succeed, or fail for want of memory. => did it, at last? */
#define MAY(good, call) ((errno = 0, (call)good) || (said_no() && (call)good))

/* ---- what is told ---- */

static uint16_t flow_of(mctx_t m, int sock)
{
    struct sockaddr_storage ss[2];
    socklen_t len = sizeof(ss);
    uint16_t port;

    must((mtcp_getpeername)(m, sock, (struct sockaddr *)ss, &len, MOS_SIDE_BOTH) == 0);
    port = ss[0].ss_family == AF_INET ? ((struct sockaddr_in *)&ss[0])->sin_port
                                      : ((struct sockaddr_in6 *)&ss[0])->sin6_port;
    return (uint16_t)(ntohs(port) - SCENE_PORT);
}

static int reader_of(mctx_t m, int sock)
{
    uint32_t idx;
    const struct child *c = mon_child(engine.ctx[m->cpu].m, sock, &idx);

    must(c != NULL);
    return engine.ctx[m->cpu].m->lst[c->listener].sock == lst[m->cpu][1];
}

/*
 * second_life: the connection begins. If it was evicted in its handshake, its SYN's note has brought it
 * back: what it told before counts no longer.
 */
static void second_life(mctx_t m, int sock)
{
    struct scene_line *v = out->line[m->cpu];
    uint16_t flow = flow_of(m, sock);
    int reader = reader_of(m, sock);
    uint32_t n = 0;

    if (engine.ctx[m->cpu].m->env.reasons[REASON_EVICTED_HALF] == 0)
        return;
    for (uint32_t i = 0; i < out->n[m->cpu]; i++)
        if (v[i].flow != flow || v[i].reader != reader)
            v[n++] = v[i];
    out->n[m->cpu] = n;
}

static void put(mctx_t m, int sock, enum scene_what what, int side, int hook, uint32_t v)
{
    uint32_t n = out->n[m->cpu]++;

    must(n < SCENE_LINES);
    out->line[m->cpu][n] = (struct scene_line){.flow = flow_of(m, sock),
                                               .reader = (uint8_t)reader_of(m, sock),
                                               .what = (uint8_t)what,
                                               .side = (uint8_t)side,
                                               .hook = (uint8_t)hook,
                                               .v = v};
}

static struct pkt_info packet(mctx_t m, int sock)
{
    struct pkt_info p;

    must(mtcp_getlastpkt(m, sock, 0, &p) == 0);
    return p;
}

static uint32_t number(const struct pkt_info *p)
{
    return (uint32_t)scene_number(p->ts_ns);
}

/* take: bytes that were read, at the reader's place. */
static void take(struct scene_stream *st, int side, const uint8_t *p, size_t n)
{
    uint32_t seq = (side == MOS_SIDE_SVR ? SCENE_ISN_CLI : SCENE_ISN_SVR) + 1;

    for (size_t i = 0; i < n; i++)
        must(p[i] == frame_byte(seq + (uint32_t)(st->got + st->lost + i)));
    st->got += n;
}

static void read_by_copy(mctx_t m, int sock, int side, struct scene_stream *st)
{
    uint8_t buf[300];
    ssize_t n;

    while ((n = mtcp_peek(m, sock, side, (char *)buf, sizeof(buf))) != 0) {
        must(n > 0 || errno == ENODATA);
        if (n > 0)
            take(st, side, buf, (size_t)n);
        else
            st->lost += (uint64_t)-n;
    }
}

static void read_by_view(mctx_t m, int sock, int side, struct scene_stream *st)
{
    struct iovec v[3];
    int cnt = 3;

    for (ssize_t n; (n = mtcp_peekv(m, sock, side, v, &cnt)) != 0; cnt = 3) {
        must(n > 0 || errno == ENODATA);
        if (n < 0)
            st->lost += (uint64_t)-n;
        for (int i = 0; i < cnt; i++)
            take(st, side, v[i].iov_base, v[i].iov_len);
    }
}

/* The second reader leaves what the client receives to the end. */
static void read_all(mctx_t m, int sock, int side, bool end)
{
    int reader = reader_of(m, sock);
    struct scene_stream *st = &out->stream[flow_of(m, sock)][reader][side];

    if (reader == 0)
        read_by_copy(m, sock, side, st);
    else if (side == MOS_SIDE_SVR || end)
        read_by_view(m, sock, side, st);
}

/* ---- callbacks ---- */

static bool every_second(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p = packet(m, sock);

    must(arg->len == 8 && memcmp(arg->arg, "argument", 8) == 0);
    return number(&p) % 2;
}

static bool has_payload(mctx_t m, int sock, int side, event_t ev)
{
    return packet(m, sock).payloadlen > 0;
}

static void on_other(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    if (ev == MOS_ON_ORPHAN)
        add(&out->orphans);
    else if (ev == MOS_ON_GAP)
        add(&out->gaps);
    else if (ev == MOS_ON_ERROR)
        add(&out->overruns);
    else if (ev == MOS_ON_TIMEOUT)
        add(&out->timeouts);
    else if (ev == by_hand)
        add(&out->raised);
}

static void on_raw(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    add(&out->raw);
}

static void on_timer(mctx_t m, int id, int side, event_t ev, filter_arg_t *arg)
{
    add(&out->timers);
}

static void on_more(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
}

/* A connection begins: what programs do then. */
static void on_start(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct timeval wait = {0, 3000};
    int both = MOS_SIDE_BOTH, size = 1 << 20;
    uint16_t flow = flow_of(m, sock);

    second_life(m, sock);
    put(m, sock, SCENE_START, side, 0, 0);
    (void)MAY(== 0, mtcp_settimer(m, flow, &wait, on_timer));
    if (flow % 4 == 1)
        (void)MAY(== 0, mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_more));
    if (scene_kind(flow) == SCENE_SIZED)
        (void)MAY(== 0, mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_CLIBUF, &size, sizeof(size)));
    if (scene_kind(flow) == SCENE_STOPPED)
        must(mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both)) == 0);
}

/* translate: the SYN goes to another server; so do all that follow, and replies come from there. */
static void translate(mctx_t m, int sock, int side, const struct pkt_info *p)
{
    bool forth = side == MOS_SIDE_CLI;
    in_addr_t to = inet_addr(forth ? SCENE_REAL : SCENE_VIRTUAL);

    if (p->iph)
        must(mtcp_setlastpkt(m, sock, side, forth ? 16 : 12, (byte *)&to, 4,
                             MOS_OVERWRITE | MOS_IP_HDR | MOS_UPDATE_IP_CHKSUM |
                                 MOS_UPDATE_TCP_CHKSUM) == 0);
}

static void on_sent(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p = packet(m, sock);

    put(m, sock, SCENE_PACKET, side, 0, number(&p));
    if (scene_kind(flow_of(m, sock)) == SCENE_TRANSLATED && reader_of(m, sock) == 0)
        translate(m, sock, side, &p);
}

static void on_received(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p = packet(m, sock);
    uint16_t flow = flow_of(m, sock);
    byte mark = '#';

    put(m, sock, SCENE_PACKET, side, 1, number(&p));
    if (p.payloadlen == 0 || reader_of(m, sock) != 0)
        return;
    /* changed on the wire only: the stream must not notice, though its bytes lie in the frame */
    if (flow % 2 == 0)
        must(mtcp_setlastpkt(m, sock, side, 0, &mark, 1, MOS_OVERWRITE | MOS_TCP_PAYLOAD) == 0);
    if (flow % 3 == 0)
        (void)MAY(== 0, mtcp_sendpkt(m, sock, &p));
    if (scene_kind(flow) == SCENE_KILLED)
        (void)MAY(== 0, mtcp_reset_conn(m, sock));
}

static void on_rexmit(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p = packet(m, sock);

    put(m, sock, SCENE_REXMIT, side, 1, number(&p));
}

static void on_state(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    int v;
    socklen_t len = sizeof(v);

    must(mtcp_getsockopt(m, sock, SOL_MONSOCKET,
                         side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR, &v,
                         &len) == 0);
    put(m, sock, SCENE_STATE, side, 0, (uint32_t)v);
}

static void on_data(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    read_all(m, sock, side, false);
    if (reader_of(m, sock) == 0 && mtcp_raise_event(m, by_hand) < 0)
        must(errno == ENOENT); /* it could not be registered */
}

static void note_info(mctx_t m, int sock)
{
    struct scene_info *to = &out->info[flow_of(m, sock)][reader_of(m, sock)];
    struct mos_flow_info v;
    socklen_t len = sizeof(v);

    must(mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &v, &len) == 0);
    for (int d = 0; d < 2; d++) {
        to->packets[d] = v.dir[d].packets;
        to->bytes[d] = v.dir[d].payload_bytes;
        to->rexmit[d] = v.dir[d].rexmit_bytes;
        to->disorder[d] = v.dir[d].ooo_packets;
        to->gap[d] = v.dir[d].gap_bytes;
    }
    to->nvlan = v.nvlan;
}

static void on_end(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    read_all(m, sock, MOS_SIDE_CLI, true);
    read_all(m, sock, MOS_SIDE_SVR, true);
    note_info(m, sock);
    put(m, sock, SCENE_END, side, 0, 0);
}

/* ---- setting up ---- */

static void write_conf(const char *path)
{
    FILE *f = fopen(path, "w");

    must(f != NULL);
    fprintf(f,
            "mos {\n forward = on\n max_concurrency = 100000\n rmem_size = 4K\n wmem_size = 4096\n"
            " ooo_size = 16K\n tcp_tw_interval = 20ms\n tcp_timeout = 5\n linger = 4ms\n"
            " gap_grace = 2ms\n gap_timeout = 1\n buffer = auto\n vlan_in_key = on\n"
            " drop_orphans = on\n checksum = auto\n strict = off\n midstream = off\n seed = 7\n"
            " max_flows = 50000\n max_half_open = 1000\n ooo_memory = 1M\n frag_datagrams = 64\n"
            " frag_memory = 256K\n frag_timeout = 3\n frag_pieces = 100\n frag_min = 8\n"
            " batch = 48\n epoch = 64\n memory = %llu\n filter = \"ip or ip6 or vlan\"\n"
            " nb_mem_channels = 4\n mos_log = logs/\n num_cores = 1\n",
            (unsigned long long)plan->memory);
    if (plan->cores)
        fprintf(f,
                " netdev {\n  \"pcap:%s\" %x\n }\n nic_forward_table {\n  \"pcap:%s\" "
                "\"pcap:%s\"\n }\n",
                scene_capture, (1u << plan->cores) - 1, scene_capture, scene_output);
    else
        fprintf(f, " netdev {\n  mem:a 1\n }\n nic_forward_table {\n  mem:a \"pcap:%s\"\n }\n",
                scene_output);
    fprintf(f, " arp_table {\n  10.0.0.1/32 0:1:2:3:4:5\n }\n route_table {\n }\n}\n"
               "application {\n type = sock\n run = \"prog -x 'one word'\"\n cpu_mask = 1\n "
               "ip_forward = 1\n}\n");
    fclose(f);
}

static bool define_events(void)
{
    char bytes[] = "argument";
    filter_arg_t arg = {bytes, 8};

    return MAY(!= 0, nth = mtcp_define_event(MOS_ON_PKT_IN, every_second, &arg)) &&
           MAY(!= 0, nested = mtcp_define_event(nth, has_payload)) &&
           MAY(!= 0, by_hand = mtcp_alloc_event(MOS_ON_CONN_NEW_DATA));
}

static bool listen_to(mctx_t m, int l)
{
    const struct {
        event_t ev;
        int hook;
        callback_t cb;
    } v[] = {
        {MOS_ON_CONN_START, MOS_HK_SND, on_start},
        {MOS_ON_PKT_IN, MOS_HK_SND, on_sent},
        {MOS_ON_PKT_IN, MOS_HK_RCV, on_received},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_state},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_state},
        {MOS_ON_REXMIT, MOS_HK_RCV, on_rexmit},
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data},
        {MOS_ON_GAP, MOS_NULL, on_other},
        {MOS_ON_ERROR, MOS_NULL, on_other},
        {MOS_ON_TIMEOUT, MOS_NULL, on_other},
        {MOS_ON_CONN_END, MOS_HK_SND, on_end},
        {MOS_ON_CONN_END, MOS_HK_RCV, on_end},
        {MOS_ON_ORPHAN, MOS_NULL, on_other},
        {nth, MOS_HK_SND, on_other},
        {nested, MOS_HK_SND, on_other},
        {by_hand, MOS_NULL, on_other},
    };

    for (size_t i = 0; i < ARRAY_SIZE(v); i++)
        if (!MAY(== 0, mtcp_register_callback(m, l, v[i].ev, v[i].hook, v[i].cb)))
            return false;
    return true;
}

static bool set(mctx_t m, int l, int name, int v)
{
    return MAY(== 0, mtcp_setsockopt(m, l, SOL_MONSOCKET, name, &v, sizeof(v)));
}

static bool set_up_context(int i)
{
    union monitor_filter ft = {0}, raw_ft = {0};
    int raw = -1;

    ft.stream_syn_filter = (char *)(uintptr_t) "tcp and dst port 80";
    ft.stream_orphan_filter = (char *)(uintptr_t) "tcp";
    raw_ft.raw_pkt_filter = (char *)(uintptr_t) "ip and tcp";
    return MAY(!= NULL, ctx[i] = mtcp_create_context(i)) &&
           MAY(>= 0, lst[i][0] = mtcp_socket(ctx[i], AF_INET, MOS_SOCK_MONITOR_STREAM, 0)) &&
           MAY(>= 0, lst[i][1] = mtcp_socket(ctx[i], AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0)) &&
           MAY(>= 0, raw = mtcp_socket(ctx[i], AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0)) &&
           MAY(== 0, mtcp_bind_monitor_filter(ctx[i], lst[i][0], &ft)) &&
           MAY(== 0, mtcp_bind_monitor_filter(ctx[i], raw, &raw_ft)) &&
           MAY(== 0, mtcp_register_callback(ctx[i], raw, MOS_ON_PKT_IN, MOS_NULL, on_raw)) &&
           listen_to(ctx[i], lst[i][0]) && listen_to(ctx[i], lst[i][1]) &&
           set(ctx[i], lst[i][1], MOS_CLIBUF, 2048) && set(ctx[i], lst[i][1], MOS_SVRBUF, 8192) &&
           set(ctx[i], lst[i][1], MOS_SVROVERLAP, MOS_OVERLAP_POLICY_LAST);
}

static bool set_up(void)
{
    char path[] = "/tmp/weir-scene-XXXXXX";
    int fd = mkstemp(path), n = plan->cores ? plan->cores : 1;
    bool up;

    must(fd >= 0);
    close(fd);
    write_conf(path);
    up = MAY(== 0, mtcp_init(path)) && define_events();
    unlink(path);
    for (int i = 0; i < n && up; i++)
        up = set_up_context(i);
    return up;
}

/* ---- running ---- */

/* push_all: n frames at a time. A push that failed has worked off nothing and may be made again. */
static void push_all(void)
{
    static struct mtcp_frame v[128];

    for (int at = 0, n; at < scene_frames; at += n) {
        n = scene_frames - at < 128 ? scene_frames - at : 128;
        for (int i = 0; i < n; i++)
            v[i] = scene_frame(at + i);
        (void)MAY(== n, mtcp_push(ctx[0], v, n));
    }
    (void)MAY(== 0, mtcp_push(ctx[0], NULL, 0));
}

static void join_all(void)
{
    for (int i = 0; i < plan->cores; i++) {
        mtcp_app_join(ctx[i]);
        if (errno)
            said_no();
    }
}

/* count_up: what the counters say of a context; and is everything given back? */
static void count_up(const struct mon *m)
{
    static const enum reason losses[] = {
        REASON_NO_FLOW_MEM, REASON_NO_SOCK,    REASON_NO_STREAM_MEM,
        REASON_SYN_GATED,   REASON_EVICTED,    REASON_NO_FRAME_MEM,
        REASON_FRAG_LIMIT,  REASON_OOO_MEMORY, REASON_EVICTED_STOPPED};
    const struct conn_env *e = &m->env;

    for (size_t i = 0; i < ARRAY_SIZE(losses); i++)
        out->lost += e->reasons[losses[i]];
    out->lost += e->se.failed;
    out->stream_failed += e->se.failed;
    out->mem_peak += e->acct.used;
    if (m->state == MON_SETUP)
        return; /* no packet came */
    must(e->ft.count == 0 && e->ft.flows.used == 0 && e->ft.exts.used == 0);
    must(e->ft.alts.used == 0 && e->ft.kids.used == 0 && e->ft.wheel.count == 0);
    must(e->ft.tombs.used >= e->ft.keys6.used);
    must(e->se.strms.used == 0 && e->se.chunks.used == 0);
    must(blkpool_used(&e->se.blks) == 0 && e->touched == 0);
    must(m->nsock - m->nfree == 3); /* the listeners and the raw socket */
    must(ftable_check(&e->ft));
    must(evtab_check(m->sets));
}

static void tear_down(void)
{
    for (int i = 0; i < SCENE_CORES; i++) {
        if (engine.ctx[i].m == NULL)
            continue;
        if (out->up)
            count_up(engine.ctx[i].m);
        must(mtcp_destroy_context(ctx[i]) == 0);
    }
    must(mtcp_destroy() == 0);
    ude_forget_all();
}

void scene_run(const struct scene_plan *p, struct scene_log *log)
{
    int64_t before = fail_live();

    plan = p;
    out = log;
    memset(log, 0, sizeof(*log));
    memset(ctx, 0, sizeof(ctx));
    fail_arm(&fail_alloc, p->from, p->to);
    out->up = set_up();
    if (out->up && plan->cores)
        join_all();
    else if (out->up)
        push_all();
    tear_down();
    fail_disarm(&fail_alloc);
    log->allocs = fail_alloc.calls;
    must(fail_live() == before);
}
