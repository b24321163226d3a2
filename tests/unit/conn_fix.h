/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn_fix.h: connections fed frame by frame, through the steps in the order of conn.h, without an
 * application. Sequence numbers are written as stream offsets: the client's byte 0 is CLI_ISN + 1.
 * Include <cmocka.h> first.
 */
#ifndef WEIR_TESTS_CONN_FIX_H
#define WEIR_TESTS_CONN_FIX_H

#include <string.h>

#include <mos_api.h>

#include "base/errtext.h"
#include "conn/calm.h"
#include "conn/conn.h"
#include "frames.h"
#include "pools.h"
#include "wire/decode.h"

#define FIX_START UINT64_C(1700000000000000000)
#define CLI_ISN   1000u
#define SVR_ISN   5000u
#define MS        NSEC_PER_MSEC

struct fix {
    struct conn_env env;
    struct frame_buf buf[128]; /* of the batch: streams borrow from them */
    int nbuf;
    struct seg seg;
    struct conn_pkt cp;  /* of the last frame */
    enum reason refused; /* checksum verdict on it */
    uint32_t idx;        /* its flow; 0: it opened none, or its flow went */
    int done;            /* what conn_done said */
    bool reused;         /* it began a new connection on an old one's key */
    bool nobody;         /* new flows: nobody wants the bytes */
    uint16_t flags;      /* new flows: more flags for both sides */
    bool sized;          /* new flows: both sides have a stream from the first */
    bool change; /* an application changes the next frame at SND: a byte less, or another place */
    bool calm;   /* flows may be calm (conn/calm.h) */
    uint64_t calms; /* segments that went that way */
};

static inline struct conn_cfg fix_cfg(void)
{
    return (struct conn_cfg){
        .csum = CSUM_AUTO,
        .idle_ns = 30 * NSEC_PER_SEC,
        .grace_ns = 10 * MS,
        .grace_pkts = 64,
        .gap_timeout_ns = 2 * NSEC_PER_SEC,

    };
}

static inline void fix_up_cfg(struct fix *x, const struct conn_cfg *cfg)
{
    memset(x, 0, sizeof(*x));
    assert_int_equal(conn_env_init(&x->env, cfg, 100, 1, 8192, 1000), 0);
    x->env.now = FIX_START;
}

static inline void fix_up(struct fix *x)
{
    const struct conn_cfg cfg = fix_cfg();

    fix_up_cfg(x, &cfg);
}

static inline void fix_check(const struct fix *x)
{
    for (uint32_t i = ftable_next(&x->env.ft, 0); i; i = ftable_next(&x->env.ft, i))
        for (int side = CLI; side <= SVR; side++)
            if (!strm_check(&x->env.se, &flow_at(&x->env.ft, i)->side[side], false))
                fail_msg("%s", err_text());
    if (!ftable_check(&x->env.ft))
        fail_msg("%s", err_text());
}

static inline struct flow *fix_flow(const struct fix *x)
{
    return flow_at(&x->env.ft, x->idx);
}

static inline uint64_t gap_bytes(const struct fix *x, int sender)
{
    const struct flow *f = fix_flow(x);

    return f->ext ? ((struct flow_ext *)pool_at(&x->env.ft.exts, f->ext))->dir[sender].gap_bytes
                  : 0;
}

/* at: the clock stands at so many ms behind the start. */
static inline void at(struct fix *x, uint64_t ms)
{
    x->env.now = FIX_START + ms * MS;
}

static inline void fix_new(struct fix *x, const struct flow_key *k, uint32_t hash, int end)
{
    int mode = conn_can_open(&x->env, &x->seg);
    struct flow *f;

    if (mode == 0)
        return;
    x->idx = conn_open(&x->env, &x->seg, k, hash, conn_opener(&x->env, &x->seg, end, mode), mode);
    x->env.answered = false;
    if (x->idx == 0)
        return;
    f = fix_flow(x);
    for (int side = CLI; side <= SVR; side++) {
        f->side[side].flags |= (uint16_t)(x->flags | (x->nobody ? 0 : SIDE_WANTED));
        if (x->sized)
            strm_get(&x->env.se, &f->side[side])->sized = true;
    }
}

/* fix_reused: does the frame at hand begin a new connection on the key of x->idx? That one goes. */
static inline bool fix_reused(struct fix *x, int from)
{
    uint8_t data = 0;

    if (!conn_may_reuse(&x->env, fix_flow(x), &x->seg) ||
        !conn_reuse(&x->env, fix_flow(x), &x->seg, from))
        return false;
    conn_flush(&x->env, x->idx, &data);
    conn_free(&x->env, x->idx);
    x->idx = 0;
    return true;
}

static inline void fix_change(struct fix *x)
{
    x->seg.pb->flags |= PB_CHANGED;
    if (x->seg.pcap > 1) {
        x->seg.pcap--;
        x->seg.plen--;
    } else {
        x->seg.seq++;
    }
}

/* fix_track: the steps of a segment, as the worker takes them. */
static inline void fix_track(struct fix *x, int from, bool opened)
{
    conn_begin(&x->env, &x->cp, &x->seg, x->idx, from, opened);
    if (x->calm && x->cp.plain)
        conn_calm(&x->env, fix_flow(x));
    conn_send(&x->env, &x->cp);
    if (x->change)
        fix_change(x);
    conn_recv(&x->env, &x->cp);
    conn_merge(&x->env, &x->cp);
    x->done = conn_done(&x->env, &x->cp);
    if (x->calm && x->cp.in_place == PLACE_NEXT && !(x->seg.tflags & TH_FIN_))
        conn_calm(&x->env, fix_flow(x));
}

/* fix_calm: the shortest way, if it is open to the segment. */
static inline bool fix_calm(struct fix *x, int from)
{
    struct flow *f = fix_flow(x);
    const struct ends e = ends_of(f, (unsigned)from);

    if (!(x->seg.flags & SEG_IP6 ? calm_with_v6(f, &x->seg) : calm_with(f, &x->seg)) ||
        !calm_next(&x->env, f, e, &x->seg))
        return false;
    x->calms++;
    plain_begin(&x->env, &x->cp, &x->seg, f, x->idx, from);
    plain_send(&x->env, &x->cp, e);
    if (x->change)
        fix_change(x);
    if (calm_still(&x->cp)) {
        plain_recv(&x->cp, e);
        plain_merge(&x->env, &x->cp, e);
        return true;
    }
    conn_recv(&x->env, &x->cp);
    conn_merge(&x->env, &x->cp);
    x->done = conn_done(&x->env, &x->cp);
    return true;
}

/* feed: one frame, all steps. => x->cp; its idx is 0 if the frame belongs to no flow. */
static inline struct conn_pkt *feed(struct fix *x, struct frame f)
{
    struct pktbuf *pb;
    struct flow_key k;
    struct flow_hit hit;
    uint32_t hash;
    bool opened = false;
    int end;

    assert_true(x->nbuf < (int)ARRAY_SIZE(x->buf));
    if (f.ts_ns == 0)
        f.ts_ns = x->env.now;
    pb = frame_tcp(&x->buf[x->nbuf++], f);
    assert_int_equal(decode(&x->seg, pb), REASON_NONE);
    end = key_of_seg(&k, &x->seg);
    hash = ftable_hash(&x->env.ft, &k);
    hit = ftable_find(&x->env.ft, &k, hash, end);
    x->idx = hit.idx;
    memset(&x->cp, 0, sizeof(x->cp));
    x->refused = REASON_NONE;
    x->done = 0;
    x->reused = x->idx && fix_reused(x, hit.from);
    if (x->idx == 0) {
        fix_new(x, &k, hash, end);
        opened = true;
        if (x->idx)
            hit.from = !!(fix_flow(x)->flags & FLOW_CLI_IS_1) == end ? CLI : SVR;
    }
    if (x->idx == 0)
        return &x->cp;
    x->refused = conn_refuse(&x->env, fix_flow(x), &x->seg, hit.from);
    if (x->refused != REASON_NONE)
        return &x->cp;
    if (opened || !x->calm || !fix_calm(x, hit.from))
        fix_track(x, hit.from, opened);
    fix_check(x);
    return &x->cp;
}

/* c2s, s2c: flags, stream offset, what of the other side it acknowledges, payload. */
static inline struct conn_pkt *c2s(struct fix *x, const char *flags, uint32_t off, uint32_t acked,
                                   const char *text)
{
    return feed(x, (struct frame){.flags = flags,
                                  .seq = CLI_ISN + 1 + off,
                                  .ack = SVR_ISN + 1 + acked,
                                  .payload = *text ? text : NULL});
}

static inline struct conn_pkt *s2c(struct fix *x, const char *flags, uint32_t off, uint32_t acked,
                                   const char *text)
{
    return feed(x, (struct frame){FRAME_REPLY, .flags = flags, .seq = SVR_ISN + 1 + off,
                                  .ack = CLI_ISN + 1 + acked, .payload = *text ? text : NULL});
}

static inline void shake(struct fix *x)
{
    feed(x, (struct frame){.flags = "S", .seq = CLI_ISN, .mss = 1460});
    s2c(x, "S.", (uint32_t)-1, 0, "");
    c2s(x, ".", 0, 0, "");
}

/* end_batch: nobody told, everything owned, the frames are gone. */
static inline void end_batch(struct fix *x)
{
    struct conn_env *e = &x->env;

    for (uint32_t i = 0; i < e->nraises; i++)
        if (e->raises[i].flow)
            flow_at(&e->ft, e->raises[i].flow)->side[e->raises[i].side].flags &=
                (uint16_t) ~(SIDE_PEND_DATA | SIDE_PEND_GAP);
    e->nraises = e->ngaps = e->nended = 0;
    while (e->touched) {
        uint32_t idx = e->touched;
        struct flow *f = flow_at(&e->ft, idx);

        e->touched = f->pend;
        f->flags &= (uint16_t)~FLOW_PENDING;
        conn_own_borrowed(e, idx);
        for (int side = CLI; side <= SVR; side++) {
            if (!strm_check(&e->se, &f->side[side], true))
                fail_msg("%s", err_text());
            strm_put(&e->se, &f->side[side]);
        }
    }
    memset(x->buf, 0xdb, sizeof(x->buf));
    x->nbuf = 0;
}

static inline void fix_down(struct fix *x)
{
    for (uint32_t i = ftable_next(&x->env.ft, 0); i; i = ftable_next(&x->env.ft, i))
        conn_free(&x->env, i);
    assert_pools_empty(&x->env);
    assert_int_equal(x->env.ft.keys6.used, 0);
    conn_env_fini(&x->env);
}

/* reads: what can be read of a side from off on, up to the first byte that is not held. */
static inline void reads(const struct fix *x, int side, uint64_t off, const char *want)
{
    const struct flow_side *sd = &fix_flow(x)->side[side];
    struct iovec iov[32];
    char got[256];
    int cnt = 32;
    size_t n = 0;

    strm_view(&x->env.se, sd, off, strm_end(&x->env.se, sd), 255, iov, &cnt);
    for (int i = 0; i < cnt; i++) {
        memcpy(got + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    got[n] = 0;
    assert_string_equal(got, want);
}

/* gap_is: number i of this batch's gaps. */
#define gap_is(x, i, s, o, l, c)                                                                   \
    do {                                                                                           \
        const struct conn_gap *g_ = &(x)->env.gaps[i];                                             \
        assert_true((uint32_t)(i) < (x)->env.ngaps);                                               \
        assert_int_equal(g_->side, s);                                                             \
        assert_int_equal(g_->off, o);                                                              \
        assert_int_equal(g_->len, l);                                                              \
        assert_int_equal(g_->cause, c);                                                            \
    } while (0)

#define states_are(x, c, s)                                                                        \
    do {                                                                                           \
        assert_string_equal(fsm_name(fix_flow(x)->side[CLI].state), fsm_name(c));                  \
        assert_string_equal(fsm_name(fix_flow(x)->side[SVR].state), fsm_name(s));                  \
    } while (0)

#endif
