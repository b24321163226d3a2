// SPDX-License-Identifier: BSD-2-Clause
/*
 * optget.c: mtcp_getsockopt: what is known of a connection, and the context's counters.
 */
#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include <errno.h>
#include <string.h>

#include "base/errtext.h"
#include "wire/defrag.h"

/* One question: a child and its flow, and where the answer goes. */
struct get {
    struct mon *m;
    struct child *c;
    struct flow *f;
    uint32_t idx;
    int side; /* of an option that has one for each side */
    void *out;
    socklen_t *len;
};

/* answer: n bytes. => 0; -1 EINVAL when there is no room. */
static int answer(const struct get *g, const void *v, size_t n)
{
    if (*g->len < n)
        return err_set(EINVAL, "mtcp_getsockopt: %u bytes are too few, %zu are needed",
                       (unsigned)*g->len, n);
    memcpy(g->out, v, n);
    *g->len = (socklen_t)n;
    return 0;
}

/* answer_some: n bytes, of which the caller may know the first `oldest` only; as MOS_FLOW_INFO. */
static int answer_some(const struct get *g, const void *v, size_t n, size_t oldest)
{
    size_t room = *g->len;

    if (room < oldest)
        return err_set(EINVAL, "mtcp_getsockopt: %zu bytes are too few, %zu are needed", room,
                       oldest);
    memset(g->out, 0, room);
    memcpy(g->out, v, room < n ? room : n);
    *g->len = (socklen_t)n;
    return 0;
}

static int nothing(const char *why)
{
    return err_set(ENODATA, "mtcp_getsockopt: %s", why);
}

static bool has_flag(const struct get *g, uint16_t cli, uint16_t svr)
{
    return g->c->flags & (g->side == CLI ? cli : svr);
}

static const struct flow_side *side_of(const struct get *g)
{
    return &g->f->side[g->side];
}

/* read_off: where the child's next peek stands; one that wants nothing would begin at the end. */
static uint64_t read_off(const struct get *g)
{
    if (has_flag(g, CHILD_WANT_CLI, CHILD_WANT_SVR))
        return *mon_cursor(g->m, g->f, g->c, g->side);
    return strm_end(&g->m->env.se, side_of(g));
}

/* ---- streams ---- */

static int get_buf_info(const struct get *g)
{
    const struct flow_side *sd = side_of(g);
    struct tcp_buf_info v;

    if (has_flag(g, CHILD_NOBUF_CLI, CHILD_NOBUF_SVR))
        return nothing("the buffer is switched off");
    if (!(g->f->flags & (g->side == CLI ? FLOW_BASE_CLI : FLOW_BASE_SVR)))
        return nothing("the stream has not begun");
    v.tcpbi_init_seq = sd->base;
    v.tcpbi_last_byte_read = (uint32_t)read_off(g);
    v.tcpbi_next_byte_expected = (uint32_t)sd->next;
    v.tcpbi_last_byte_received = (uint32_t)strm_ooo_end(&g->m->env.se, sd);
    return answer(g, &v, sizeof(v));
}

/* next_piece: the piece that ends beyond `off`: held, or (bytes switched off) seen. */
static bool next_piece(const struct get *g, uint64_t off, uint64_t *start, uint64_t *len)
{
    const struct flow_side *sd = side_of(g);
    uint64_t end;

    if (!has_flag(g, CHILD_META_CLI, CHILD_META_SVR))
        return strm_frag(&g->m->env.se, sd, off, start, len);
    if (off < sd->next) {
        *start = off;
        *len = sd->next - off;
        return true;
    }
    if (!strm_ooo_next(&g->m->env.se, sd, off, start, &end))
        return false;
    *len = end - *start;
    return true;
}

static int get_pieces(const struct get *g)
{
    struct tcp_ring_fragment piece, none = {0};
    size_t room = *g->len / sizeof(piece), n = 0;
    uint64_t off = 0, start, len;
    uint8_t *out = g->out;

    if (room == 0 || *g->len % sizeof(piece))
        return err_set(EINVAL, "mtcp_getsockopt: %u is not a multiple of %zu bytes",
                       (unsigned)*g->len, sizeof(piece));
    if (has_flag(g, CHILD_NOBUF_CLI, CHILD_NOBUF_SVR))
        return nothing("the buffer is switched off");
    for (; n < room && next_piece(g, off, &start, &len); n++) {
        memset(&piece, 0, sizeof(piece));
        piece.offset = start;
        piece.len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
        memcpy(out + n * sizeof(piece), &piece, sizeof(piece));
        off = start + len;
    }
    if (n < room)
        memcpy(out + n * sizeof(none), &none, sizeof(none));
    *g->len = (socklen_t)(n * sizeof(piece));
    return 0;
}

static int get_read_off(const struct get *g)
{
    uint64_t v = read_off(g);

    return answer(g, &v, sizeof(v));
}

static int get_peek_end(const struct get *g)
{
    uint64_t v = strm_end(&g->m->env.se, side_of(g));

    return answer(g, &v, sizeof(v));
}

/* ---- the connection ---- */

_Static_assert((int)TCP_CLOSED == (int)FS_CLOSED && (int)TCP_SYN_RCVD == (int)FS_SYN_RCVD &&
                   (int)TCP_CLOSE_WAIT == (int)FS_CLOSE_WAIT &&
                   (int)TCP_TIME_WAIT == (int)FS_TIME_WAIT,
               "states have one numbering");

static int get_state(const struct get *g)
{
    int v = side_of(g)->state;

    if (v == FS_LISTEN)
        return nothing("the server's side does not exist yet");
    return answer(g, &v, sizeof(v));
}

static int get_timestamp(const struct get *g)
{
    const struct flow_ext *x = g->f->ext ? pool_at(&g->m->env.ft.exts, g->f->ext) : NULL;
    bool newer = x && (int64_t)x->behind < 0; /* it was refused */
    uint64_t us = (g->f->last - (newer ? x->behind : 0)) / NSEC_PER_USEC;
    uint32_t low = (uint32_t)us;

    return *g->len >= sizeof(us) ? answer(g, &us, sizeof(us)) : answer(g, &low, sizeof(low));
}

/* get_dir: what side d has sent; its stream is the one that the other side receives. */
static struct mos_flow_dir get_dir(const struct get *g, int d)
{
    const struct flow_ctr *c = &g->f->ctr[d];
    const struct flow_ext *x = g->f->ext ? pool_at(&g->m->env.ft.exts, g->f->ext) : NULL;
    struct mos_flow_dir v = {
        .packets = c->packets, .ip_bytes = c->ip_bytes, .payload_bytes = c->payload};
    const struct flow_side *sd = &g->f->side[!d];
    uint64_t next = sd->next;

    if (x) {
        v.packets += x->dir[d].packets_carry;
        v.gap_bytes = x->dir[d].gap_bytes;
        v.rexmit_packets = x->dir[d].rexmit_packets;
        v.rexmit_bytes = x->dir[d].rexmit_bytes;
        v.ooo_packets = x->dir[d].ooo_packets;
        v.late_bytes = x->dir[d].late_bytes;
    }
    if (sd->strm)
        v.gap_bytes += strm_at(&g->m->env.se, sd->strm)->lost;
    v.stream_bytes = next > v.gap_bytes ? next - v.gap_bytes : 0;
    return v;
}

static uint32_t info_flags(const struct get *g)
{
    const struct flow *f = g->f;
    uint32_t v = 0;

    if (f->flags & FLOW_MIDSTREAM)
        v |= MOS_FLOWF_MIDSTREAM;
    if (f->reason == MOS_END_EVICTED || f->lost)
        v |= MOS_FLOWF_EVICTED;
    if (f->flags & FLOW_V6)
        v |= MOS_FLOWF_IPV6;
    for (int d = CLI; d <= SVR; d++)
        if ((f->side[d].flags & (SIDE_CSUM_OFF | SIDE_CSUM_GOOD)) == SIDE_CSUM_OFF)
            v |= MOS_FLOWF_OFFLOAD;
    return v;
}

static int get_flow_info(const struct get *g)
{
    enum { OLDEST = offsetof(struct mos_flow_info, dir) };
    const struct flow *f = g->f;
    const struct flow_ext *x = f->ext ? pool_at(&g->m->env.ft.exts, f->ext) : NULL;
    bool ending = g->m->ending == g->idx;
    struct mos_flow_info v = {
        .start_ns = f->start, .last_ns = f->last - (x ? x->behind : 0), .flags = info_flags(g)};

    v.reason = ending ? f->reason : 0;
    for (int d = CLI; d <= SVR; d++) {
        v.dir[d] = get_dir(g, d);
        v.state[d] = ending ? f->end_state[d] : f->side[d].state;
    }
    for (int d = CLI; x && d <= SVR; d++) {
        memcpy(v.rexmit_kind[d], x->dir[d].kind, sizeof(v.rexmit_kind[d]));
        v.changed_packets[d] = x->dir[d].changed_packets;
        v.changed_bytes[d] = x->dir[d].changed_bytes;
    }
    v.nvlan = x ? x->nvlan : 0;
    for (int i = 0; i < v.nvlan && i < SEG_MAX_VLANS; i++)
        v.vlan[i] = x->vlan[i];
    return answer_some(g, &v, sizeof(v), OLDEST);
}

/* ---- the event at hand ---- */

static int get_rexmit(const struct get *g)
{
    _Static_assert(MOS_REXMIT_LOST == (int)RX_LOST && MOS_REXMIT_PARTIAL == (int)RX_PARTIAL &&
                       MOS_REXMIT_FIN == (int)RX_FIN,
                   "classes have one numbering");
    const struct conn_pkt *cp = g->m->cp;
    struct mos_rexmit_info v = {0};

    if (!g->m->rexmit_now || cp == NULL || cp->idx != g->idx)
        return nothing("this is not a MOS_ON_REXMIT event");
    v.off = cp->rexmit.off;
    v.len = cp->rexmit.len;
    v.new_len = cp->rexmit.fresh;
    v.kind = cp->rexmit.cls;
    v.content = cp->rexmit.content;
    v.plain_len = conn_plain_len(cp->s);
    return answer_some(g, &v, sizeof(v), offsetof(struct mos_rexmit_info, plain_len));
}

static int get_gap(const struct get *g)
{
    _Static_assert(MOS_GAP_ACKED == (int)GAP_ACKED && MOS_GAP_SNAPLEN == (int)GAP_SNAPLEN,
                   "causes have one numbering");
    const struct conn_gap *gap = g->m->gap;
    struct mos_gap_info v;

    if (gap == NULL || gap->flow != g->idx)
        return nothing("this is not a MOS_ON_GAP event");
    v.off = gap->off;
    v.len = gap->len;
    v.side = gap->side;
    v.cause = gap->cause;
    return answer(g, &v, sizeof(v));
}

/* put_shown: the beginnings of the held copy and of the packet's, from the first byte that differs. */
static void put_shown(const struct get *g, struct mos_overlap_info *v, const struct strm_in *in)
{
    const struct flow_side *sd = &g->m->cp->f->side[g->m->cp->to];
    const uint8_t *again = in->data + (v->changed_off - in->off);
    struct iovec iov[MOS_OVERLAP_COPY];
    int n = MOS_OVERLAP_COPY;

    v->ncopy = v->changed_len < MOS_OVERLAP_COPY ? v->changed_len : MOS_OVERLAP_COPY;
    v->ncopy =
        (uint32_t)strm_view(&g->m->env.se, sd, v->changed_off, UINT64_MAX, v->ncopy, iov, &n);
    for (int i = 0, at = 0; i < n; at += (int)iov[i++].iov_len)
        memcpy(v->copy[0] + at, iov[i].iov_base, iov[i].iov_len);
    memcpy(v->copy[1], again, v->ncopy);
}

/* put_repeated: what the packet repeats of the bytes that are held. */
static void put_repeated(const struct get *g, struct mos_overlap_info *v)
{
    const struct conn_pkt *cp = g->m->cp;
    const struct flow_side *sd = &cp->f->side[cp->to];
    struct strm_diff d;
    struct strm_in in;

    v->off = cp->rexmit.off;
    v->len = cp->rexmit.len;
    v->content = cp->rexmit.content;
    conn_payload(cp, &in);
    d = strm_diff(&g->m->env.se, sd, in.off, in.data, in.len);
    v->differ = d.differ;
    v->changed_off = d.first;
    v->changed_len = (uint32_t)(d.end - d.first);
    if (d.differ)
        put_shown(g, v, &in);
    if (conn_fits(cp->f, cp->to, &in))
        v->taken = strm_taken(&g->m->env.se, sd, &in);
}

/* put_copies: and where its own fragments brought two copies. */
static void put_copies(struct mos_overlap_info *v, const struct conn_copies *c)
{
    uint64_t off = c->off, end = c->end;

    if (v->len == 0) {
        v->off = off;
        v->len = (uint32_t)(end - off);
    }
    if (v->differ == 0 || off < v->changed_off) {
        v->ncopy = c->shown;
        memcpy(v->copy[0], c->copy[0], c->shown);
        memcpy(v->copy[1], c->copy[1], c->shown);
    }
    if (v->differ) {
        off = v->changed_off < off ? v->changed_off : off;
        end = v->changed_off + v->changed_len > end ? v->changed_off + v->changed_len : end;
    }
    v->changed_off = off;
    v->changed_len = (uint32_t)(end - off);
    v->differ += c->differ;
    v->content = MOS_REXMIT_CHANGED;
}

static int get_overlap(const struct get *g)
{
    const struct conn_pkt *cp = g->m->cp;
    _Static_assert(MOS_OVERLAP_COPY == (int)FRAG_SHOWN, "room for what is held");
    struct mos_overlap_info v = {0};
    struct conn_copies c;

    if (!g->m->overlap_now || cp == NULL || cp->idx != g->idx)
        return nothing("this is not a MOS_ON_OVERLAP event");
    v.side = cp->to;
    v.policy = cp->f->side[cp->to].policy;
    v.seg_off = cp->off > 0 ? (uint64_t)cp->off : 0;
    v.seg_len = cp->off < 0 ? cp->s->plen - (uint32_t)-cp->off : cp->s->plen;
    c = conn_copies(cp);
    if (cp->rexmit.held && cp->rexmit.cls != RX_KEEPALIVE)
        put_repeated(g, &v);
    if (c.differ)
        put_copies(&v, &c);
    return answer_some(g, &v, sizeof(v), offsetof(struct mos_overlap_info, ncopy));
}

/* ---- counters ---- */

/* Counters on their way out: n so far, `room` of them fit at v. */
struct stat_out {
    struct mos_stat *v;
    size_t n, room;
};

static void put_stat(struct stat_out *o, const char *name, uint64_t value)
{
    if (o->n < o->room) {
        struct mos_stat *s = &o->v[o->n];

        memset(s, 0, sizeof(*s));
        memcpy(s->name, name, strnlen(name, sizeof(s->name) - 1));
        s->value = value;
    }
    o->n++;
}

static void put_stats(struct mon *m, struct stat_out *o)
{
    put_stat(o, "packets", m->npackets);
    put_stat(o, "bytes", m->nbytes);
    put_stat(o, "flows", m->nflows);
    put_stat(o, "flows_now", m->env.ft.count);
    put_stat(o, "half_open_now", m->env.ft.half.count);
    put_stat(o, "one_sided_now", m->env.ft.one.count);
    put_stat(o, "stopped_now", m->env.ft.stones.count);
    put_stat(o, "flows_from_notes", m->from_notes);
    put_stat(o, "ooo_now", m->env.se.ooo_mem);
    put_stat(o, "sockets_now", m->nsock - m->nfree);
    put_stat(o, "sets_now", evset_count(m->sets));
    put_stat(o, "mem_now", m->env.acct.used);
    put_stat(o, "mem_allocs", m->env.acct.allocs);
    put_stat(o, "stream_copied", m->env.se.copied);
    put_stat(o, "stream_failed", m->env.se.failed);
    for (int r = REASON_NONE + 1; r < REASON_CNT; r++)
        put_stat(o, reason_name((enum reason)r), m->env.reasons[r]);
    if (m->stats) {
        size_t left = o->n < o->room ? o->room - o->n : 0;

        o->n += (size_t)m->stats(m, left ? o->v + o->n : NULL, (int)left);
    }
}

static int get_stats(struct mon *m, void *out, socklen_t *len)
{
    struct stat_out o = {.v = out, .room = out ? *len / sizeof(struct mos_stat) : 0};

    if (out && *len % sizeof(struct mos_stat))
        return err_set(EINVAL, "mtcp_getsockopt: %u is not a multiple of %zu bytes", (unsigned)*len,
                       sizeof(struct mos_stat));
    put_stats(m, &o);
    *len = (socklen_t)((out && o.n > o.room ? o.room : o.n) * sizeof(struct mos_stat));
    return 0;
}

/* ---- the call ---- */

static const struct get_opt {
    int name;
    uint8_t side;
    int (*get)(const struct get *g);
} opts[] = {
    {MOS_FRAGINFO_CLIBUF, CLI, get_pieces}, {MOS_FRAGINFO_SVRBUF, SVR, get_pieces},
    {MOS_INFO_CLIBUF, CLI, get_buf_info},   {MOS_INFO_SVRBUF, SVR, get_buf_info},
    {MOS_TCP_STATE_CLI, CLI, get_state},    {MOS_TCP_STATE_SVR, SVR, get_state},
    {MOS_TIMESTAMP, 0, get_timestamp},      {MOS_FLOW_INFO, 0, get_flow_info},
    {MOS_REXMIT_INFO, 0, get_rexmit},       {MOS_GAP_INFO, 0, get_gap},
    {MOS_OVERLAP_INFO, 0, get_overlap},     {MOS_READ_OFF_CLI, CLI, get_read_off},
    {MOS_READ_OFF_SVR, SVR, get_read_off},  {MOS_PEEK_END_CLI, CLI, get_peek_end},
    {MOS_PEEK_END_SVR, SVR, get_peek_end},
};

static const struct get_opt *find_opt(int name)
{
    for (size_t i = 0; i < ARRAY_SIZE(opts); i++)
        if (opts[i].name == name)
            return &opts[i];
    return NULL;
}

/* of_listener: options about the context. */
static int of_listener(struct mon *m, int sock, void *optval, socklen_t *optlen)
{
    if (mon_listener(m, sock) == NULL)
        return err_prefix("mtcp_getsockopt: ");
    if (optlen == NULL)
        return err_set(EFAULT, "mtcp_getsockopt: optlen is NULL");
    return get_stats(m, optval, optlen);
}

static int of_child(struct mon *m, int sock, const struct get_opt *o, void *optval,
                    socklen_t *optlen)
{
    struct get g = {.m = m, .side = o->side, .out = optval, .len = optlen};

    g.c = mon_child(m, sock, &g.idx);
    if (g.c == NULL)
        return err_prefix("mtcp_getsockopt: ");
    if (optval == NULL || optlen == NULL)
        return err_set(EFAULT, "mtcp_getsockopt: optval or optlen is NULL");
    g.f = flow_at(&m->env.ft, g.idx);
    return o->get(&g);
}

/* of_endpoint: SO_ERROR is for sockets of our own end, of which there are none. */
static int of_endpoint(struct mon *m, int sock)
{
    uint32_t idx;

    if (!mon_child(m, sock, &idx) && !mon_listener(m, sock))
        return err_set(EBADF, "mtcp_getsockopt: no socket has the number %d", sock);
    return err_set(ENOTSOCK, "mtcp_getsockopt: SO_ERROR is for endpoint sockets, and %d is none",
                   sock);
}

/* enter: as mon_enter; the counters of a finished context may be asked for until it is destroyed. */
static struct mon *enter(mctx_t mctx, int level, int optname)
{
    struct mon *m = NULL;

    if (level == SOL_MONSOCKET && optname == MOS_STATS)
        m = mon_of(mctx);
    if (m && __atomic_load_n(&m->state, __ATOMIC_ACQUIRE) == MON_DONE)
        return m;
    return mon_enter(mctx);
}

int mtcp_getsockopt(mctx_t mctx, int sock, int level, int optname, void *optval, socklen_t *optlen)
{
    struct mon *m = enter(mctx, level, optname);
    const struct get_opt *o = level == SOL_MONSOCKET ? find_opt(optname) : NULL;

    if (m == NULL)
        return -1;
    if (o)
        return of_child(m, sock, o, optval, optlen);
    if (level == SOL_MONSOCKET && optname == MOS_STATS)
        return of_listener(m, sock, optval, optlen);
    if (level == SOL_SOCKET && optname == SO_ERROR)
        return of_endpoint(m, sock);
    return err_set(ENOSYS, "mtcp_getsockopt: level 0x%x has no option 0x%x to ask for",
                   (unsigned)level, (unsigned)optname);
}
