// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_conn.c: a context with a few connections, from its configuration to its end.
 *
 *   input: a header of 16 bytes (configuration, sockets, what the application does in callbacks),
 *   then records of 12 bytes: a packet, time that passes, the end of a batch, a move
 *   (connfuzz_send.c, connfuzz_move.c)
 *
 * What must hold: connfuzz_watch.c for each event; here, after each batch, the invariants of the
 * flow table, its streams and event sets; at the end, empty pools. The sanitizers see the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/errtext.h"
#include "connfuzz.h"
#include "engine/engine.h"
#include "fuzz_file.h"
#include "pools.h"

#define RECMUT_HEADER CF_HEADER
#define RECMUT_RECORD CF_RECORD
#include "recmut.h"

struct cf_world cf;
static event_t udes[4];

/* ---- set up ---- */

static bool no_secret(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;

    return mtcp_getlastpkt(m, sock, side, &p) == 0 && p.payloadlen & 1;
}

static bool first_bytes(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char room[8];

    return side <= MOS_SIDE_SVR && mtcp_ppeek(m, sock, side, room, sizeof(room), 0) > 0;
}

static void define_events(void)
{
    if (udes[0])
        return; /* events stay for the life of the process */
    udes[0] = (mtcp_define_event)(MOS_ON_PKT_IN, no_secret, NULL);
    udes[1] = (mtcp_define_event)(MOS_ON_CONN_NEW_DATA, first_bytes, NULL);
    udes[2] = (mtcp_define_event)(udes[1], no_secret, NULL);
    udes[3] = mtcp_alloc_event(MOS_ON_PKT_IN);
}

/* write_limits: flows, half-open flows, fragments; small, so that they are reached. */
static size_t write_limits(char *out, size_t room, const uint8_t *h)
{
    return (size_t)snprintf(out, room,
                            "max_flows = %d\nmax_half_open = %d\nfrag_datagrams = %d\n"
                            "frag_memory = %u\nfrag_pieces = %d\nfrag_timeout = %dms\n",
                            h[15] & 3 ? 0 : h[15] >> 2 & 3, h[15] & 0x30 ? 0 : h[15] >> 6,
                            1 + (h[14] & 3), 4096u << (h[14] >> 2 & 3), 2 + (h[14] >> 4 & 7),
                            h[14] & 128 ? 30000 : 10);
}

static size_t write_conf(char *out, size_t room, const uint8_t *h)
{
    static const char *const csum[] = {"auto", "on", "off", "auto"};
    static const char *const tw[] = {"0", "1", "60", "0.01"};
    static const char *const linger[] = {"0", "50ms", "2", "0"};
    static const char *const grace[] = {"10ms", "0", "1", "1ms"};
    static const char *const gap[] = {"2", "0", "100ms", "off"};
    static const char *const idle[] = {"30", "1", "-1", "0.1"};
    static const char *const flows[] = {"1000", "3", "8", "64"};
    static const char *const memory[] = {"0", "256K", "1M", "4M"};
    size_t n = (size_t)snprintf(
        out, room,
        "mos {\nstrict = %d\nmidstream = %d\nbuffer = %s\nvlan_in_key = %d\ndrop_orphans = %d\n"
        "checksum = %s\ntcp_tw_interval = %s\nlinger = %s\ngap_grace = %s\ngap_timeout = %s\n"
        "tcp_timeout = %s\nmax_concurrency = %s\nmemory = %s\nrmem_size = %u\nooo_size = %u\n",
        h[0] & 1, h[0] >> 1 & 1, h[0] & 4 ? "always" : "auto", h[0] >> 3 & 1, h[0] >> 4 & 1,
        csum[h[1] & 3], tw[h[1] >> 2 & 3], linger[h[1] >> 4 & 3], grace[h[1] >> 6], gap[h[2] & 3],
        idle[h[2] >> 2 & 3], flows[h[2] >> 4 & 3], memory[h[2] >> 6], 16u << (h[3] & 15),
        16u << (h[3] >> 4));

    n += write_limits(out + n, room - n, h);
    return n + (size_t)snprintf(out + n, room - n, "}\n");
}

static void register_one(int sock, event_t ev, bool snd, bool rcv, bool null)
{
    if (snd)
        (mtcp_register_callback)(cf.ctx, sock, ev, MOS_HK_SND, cf_on_event);
    if (rcv)
        (mtcp_register_callback)(cf.ctx, sock, ev, MOS_HK_RCV, cf_on_rcv);
    if (null)
        (mtcp_register_callback)(cf.ctx, sock, ev, MOS_NULL, cf_on_null);
}

/* CONN_END, at both hooks, is always there: the account of a child is closed by it. */
static void register_all(int sock, uint8_t which)
{
    register_one(sock, MOS_ON_CONN_END, true, true, false);
    register_one(sock, MOS_ON_CONN_START, true, true, false);
    register_one(sock, MOS_ON_TCP_STATE_CHANGE, true, true, false);
    register_one(sock, MOS_ON_TIMEOUT, false, false, true);
    register_one(sock, MOS_ON_EVICT, false, false, true);
    register_one(sock, MOS_ON_ERROR, false, false, true);
    if (!(which & 1))
        register_one(sock, MOS_ON_PKT_IN, true, true, false);
    register_one(sock, MOS_ON_CONN_NEW_DATA, false, which & 2, !(which & 4));
    register_one(sock, MOS_ON_GAP, false, which & 2, !(which & 8));
    if (!(which & 16))
        register_one(sock, MOS_ON_REXMIT, false, true, false);
    if (!(which & 32))
        register_one(sock, MOS_ON_OVERLAP, false, true, false);
    if (!(which & 64))
        register_one(sock, MOS_ON_ORPHAN, false, false, true);
    for (int i = 0; which & 128 && i < 4; i++)
        register_one(sock, udes[i], i == 0 || i == 3, i == 0, i == 1 || i == 2);
}

static void set_int(int sock, int option, int value)
{
    mtcp_setsockopt(cf.ctx, sock, SOL_MONSOCKET, option, &value, sizeof(value));
}

static void open_sockets(const uint8_t *h)
{
    int sock = mtcp_socket(cf.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    FUZZ_CHECK(sock >= 0, "%s", mtcp_errstr());
    cf.lst[cf.nlst++] = sock;
    register_all(sock, h[5]);
    set_int(sock, MOS_CLIOVERLAP, h[4] & 7);
    set_int(sock, MOS_SVROVERLAP, h[4] >> 3 & 7);
    if (h[13] & 1)
        set_int(sock, MOS_CLIBUF, h[13]);
    if (h[13] & 2)
        set_int(sock, MOS_SVRBUF, h[13] * 16);
    if (h[0] & 64) {
        sock = mtcp_socket(cf.ctx, h[12] & 1 ? AF_INET : AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
        if (sock >= 0) {
            cf.lst[cf.nlst++] = sock;
            register_all(sock, h[12]);
        }
    }
    cf.raw = h[0] & 128 ? mtcp_socket(cf.ctx, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0) : -1;
    if (cf.raw >= 0)
        (mtcp_register_callback)(cf.ctx, cf.raw, MOS_ON_PKT_IN, MOS_NULL, cf_on_null);
}

static bool set_up(const uint8_t *h)
{
    struct fuzz_file f;
    char conf[1000];
    int rc;

    memset(cf.kid, 0, sizeof(cf.kid[0]) * CF_KIDS);
    cf.header = h;
    cf.tight = h[2] >> 6 != 0;
    cf.tells_gaps = !(h[5] & 8) && !(h[0] & 64 && h[12] & 8);
    cf.now = UINT64_C(1700000000000000000);
    cf.any_bytes = cf.loose = cf.miscounts = false;
    cf.calls = cf.depth = cf.armed_at = cf.batches = 0;
    cf.n = cf.nlst = 0;
    memset(cf.peer, 0, sizeof(cf.peer));
    for (int p = 0; p < CF_PEERS; p++) {
        cf.peer[p].isn[0] = cf.peer[p].nxt[0] = p & 1 ? 0xffffff00u + h[11] : h[11] * 1000u;
        cf.peer[p].isn[1] = cf.peer[p].nxt[1] = 0x7fffff00u + h[11] * 3u;
    }
    define_events();
    fuzz_file_make(&f, conf, write_conf(conf, sizeof(conf), h));
    rc = mtcp_init(f.path);
    fuzz_file_free(&f);
    FUZZ_CHECK(rc == 0, "%s", mtcp_errstr());
    cf.ctx = mtcp_create_context(0);
    if (cf.ctx == NULL) { /* with too little memory for anything */
        mtcp_destroy();
        return false;
    }
    open_sockets(h);
    return true;
}

/* ---- what must hold ---- */

static const struct mon *mon_now(void)
{
    return engine.ctx[0].m;
}

static void check_streams(const struct conn_env *env)
{
    for (uint32_t i = ftable_next(&env->ft, 0); i; i = ftable_next(&env->ft, i)) {
        const struct flow *f = flow_at(&env->ft, i);

        for (int side = CLI; side <= SVR; side++)
            FUZZ_CHECK(strm_check(&env->se, &f->side[side], true), "flow %u, side %d: %s", i, side,
                       err_text());
    }
}

/* check_invariants: after each batch; what takes long, only now and then. */
static void check_invariants(void)
{
    const struct mon *m = mon_now();

    if (cf.batches++ % 8 == 0) {
        FUZZ_CHECK(ftable_check(&m->env.ft), "%s", err_text());
        FUZZ_CHECK(evtab_check(m->sets), "%s", err_text());
    }
    FUZZ_CHECK(m->env.acct.limit == 0 || m->env.acct.used <= m->env.acct.limit, "%llu bytes",
               (unsigned long long)m->env.acct.used);
    FUZZ_CHECK(m->in_callback == 0 && m->call == NULL && m->seg == NULL && m->cp == NULL, "%d",
               m->in_callback);
    check_streams(&m->env);
}

static void check_verdicts(void)
{
    for (int i = 0; i < cf.n; i++) {
        const struct mtcp_frame *f = &cf.batch[i];

        FUZZ_CHECK((f->verdict == MTCP_FRAME_DROP) == (f->out == NULL), "%d", f->verdict);
        FUZZ_CHECK(f->verdict != MTCP_FRAME_PASS || (f->out == f->data && f->out_len == f->len),
                   "%u", f->out_len);
        for (uint32_t k = 0; f->verdict == MTCP_FRAME_CHANGED && k < f->out_len; k += 64)
            FUZZ_CHECK(((const uint8_t *)f->out)[k] <= 255, "%u", k); /* may be read */
    }
}

void cf_flush(void)
{
    int n = cf.n;

    if (n == 0)
        return;
    FUZZ_CHECK(mtcp_push(cf.ctx, cf.batch, n) == n, "%s", mtcp_errstr());
    check_verdicts();
    cf.n = 0;
    check_invariants();
}

static void play(const uint8_t *rec)
{
    switch (rec[0] >> 3) {
    case CF_TICK:
        cf_flush();
        cf.now += (1000ull << (rec[9] % 28)) * (1 + rec[10] % 8);
        FUZZ_CHECK(mtcp_tick(cf.ctx, cf.now) == 0, "%s", mtcp_errstr());
        check_invariants();
        break;
    case CF_FLUSH:
        cf_flush();
        break;
    case CF_RAW:
        cf_send_raw(rec);
        break;
    case CF_ARM:
        memcpy(cf.armed, rec + 3, sizeof(cf.armed));
        cf.armed_at = 1 + rec[2];
        break;
    case CF_MOVE:
        cf_flush();
        cf_move();
        cf.batches = 0;
        check_invariants();
        break;
    default:
        cf_send(rec);
        break;
    }
    if (cf.n > cf.header[6] % CF_BATCH)
        cf_flush();
}

static void end(bool at_eof)
{
    cf_flush();
    cf.batches = 0;
    check_invariants();
    if (at_eof) {
        FUZZ_CHECK(mtcp_push(cf.ctx, NULL, 0) == 0, "%s", mtcp_errstr());
        cf_finished();
        assert_pools_empty(&mon_now()->env);
        FUZZ_CHECK(engine.ctx[0].w.frags.entry.used == 0 && engine.ctx[0].w.frags.block.used == 0,
                   "fragments are left");
        FUZZ_CHECK(evtab_check(mon_now()->sets), "%s", err_text());
    }
    FUZZ_CHECK(mtcp_destroy_context(cf.ctx) == 0, "%s", mtcp_errstr());
    FUZZ_CHECK(mtcp_destroy() == 0, "%s", mtcp_errstr());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t rec[CF_RECORD];

    if (size < CF_HEADER || !set_up(data))
        return 0;
    for (size_t at = CF_HEADER; at < size; at += CF_RECORD) {
        size_t n = size - at < CF_RECORD ? size - at : CF_RECORD;

        memset(rec, 0, sizeof(rec));
        memcpy(rec, data + at, n);
        play(rec);
    }
    end(!(data[0] & 32));
    return 0;
}

#ifdef WEIR_LIBFUZZER
/* ---- usual traffic, for the mutator ---- */

static uint8_t *put_rec(uint8_t *out, int peer, int from, int flags, int len)
{
    static const uint8_t zero[CF_RECORD];

    memcpy(out, zero, CF_RECORD);
    out[0] = (uint8_t)(peer | from << 2);
    out[1] = (uint8_t)flags;
    out[3] = (uint8_t)len;
    out[9] = 70; /* a millisecond or so later */
    return out + CF_RECORD;
}

static size_t recmut_typical(uint8_t *out, struct rng *r)
{
    int peer = (int)rng_below(r, CF_PEERS), from = (int)rng_below(r, 2);
    int len = 3 + (int)rng_below(r, 29);
    uint8_t *p = out;

    switch (rng_below(r, 7)) {
    case 0: /* a handshake, perhaps with data behind it */
        p = put_rec(p, peer, 0, 4, 0);
        p = put_rec(p, peer, 1, 5, 0);
        p = put_rec(p, peer, 0, 0, rng_below(r, 2) ? len : 0);
        break;
    case 1: /* question and answer */
        p = put_rec(p, peer, from, 1, len);
        p = put_rec(p, peer, !from, 1, 3 + (int)rng_below(r, 29));
        p = put_rec(p, peer, from, 0, 0);
        break;
    case 2: /* both close */
        p = put_rec(p, peer, from, 6, rng_below(r, 2) ? len : 0);
        p = put_rec(p, peer, !from, 6, 0);
        p = put_rec(p, peer, from, 0, 0);
        break;
    case 3: /* the second before the first */
        p = put_rec(p, peer, from, 1, len);
        p[-CF_RECORD + 2] = 7;
        p[-CF_RECORD + 4] = 100;
        p = put_rec(p, peer, from, 1, 18);
        p = put_rec(p, peer, !from, 0, 0);
        break;
    case 4: /* again, with other bytes */
        p = put_rec(p, peer, from, 1, len);
        p = put_rec(p, peer, from, 1, len | 0xe0);
        p[-CF_RECORD + 2] = 8;
        break;
    case 5: /* all flows move */
        p = put_rec(p, 0, 0, 0, 0);
        p[-CF_RECORD] = CF_MOVE << 3;
        break;
    default:
        p = put_rec(p, peer, from, 7 + (int)rng_below(r, 2), 0);
        break;
    }
    return (size_t)(p - out) / CF_RECORD;
}
#endif
