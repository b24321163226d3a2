// SPDX-License-Identifier: BSD-2-Clause
/*
 * rexmit.c: what in a segment is repeated, and what for. Told by sequence numbers and by what the
 * receiver has said; the bytes decide only whether the content changed. A repetition that was counted
 * as lost and turns out not to have been (D-SACK, RFC 2883) is counted as spurious from then on.
 */
#include <string.h>

#include "conn/conn_int.h"
#include "wire/defrag.h"

/*
 * compare: the repeated bytes against those held, `before` of them below offset 0 and `dup` above.
 * One that differs is a change wherever the others are; the rest is unknown if one is gone or was
 * not captured.
 */
static void compare(const struct conn_env *env, struct conn_pkt *cp, uint64_t off, uint32_t before,
                    uint32_t dup)
{
    const struct seg *s = cp->s;
    uint32_t cap = s->pcap > before ? s->pcap - before : 0;
    struct strm_diff d = {0};

    if (dup && cap)
        d = strm_diff(&env->se, &cp->f->side[cp->to], off, seg_payload(s) + before, cap);
    cp->rexmit.differ = d.differ;
    cp->rexmit.held = d.compared;
    if (d.differ)
        cp->rexmit.content = 1;
    else
        cp->rexmit.content = s->plen && (dup == 0 || before || d.compared < dup) ? 2 : 0;
}

/* sacked: has the receiver said that it has all bytes of this segment, beyond its ACK? */
static bool sacked(const struct flow_ext *x, int rcv, uint32_t from, uint32_t to)
{
    for (int i = 0; x && i < x->dir[rcv].nsack; i++)
        if (seq_leq(x->dir[rcv].sack[i].start, from) && seq_leq(to, x->dir[rcv].sack[i].end))
            return true;
    return false;
}

/* is_dsack: RFC 2883 4: the first block lies below the ACK or within the second: it came twice. */
static bool is_dsack(const struct seg *s)
{
    return s->nsack && (seq_leq(s->sack[0].end, s->ack) ||
                        (s->nsack > 1 && seq_leq(s->sack[1].start, s->sack[0].start) &&
                         seq_leq(s->sack[0].end, s->sack[1].end)));
}

/* first_again: of the repetitions counted as lost that have some of [start, end) the one that begins first. */
static int first_again(const struct flow_ext *x, int from, uint32_t start, uint32_t end)
{
    int first = -1;

    for (int i = 0; i < FLOW_AGAINS; i++) {
        uint32_t a = x->dir[from].again[i].start, b = x->dir[from].again[i].end;

        if (a != b && seq_lt(a, end) && seq_lt(start, b) &&
            (first < 0 || seq_lt(a, x->dir[from].again[first].start)))
            first = i;
    }
    return first;
}

/*
 * not_lost: [start, end) has come twice. A repetition may be reported in parts, where it was cut on its
 * way, and several at once, where they were joined; but none for another one of the same bytes.
 */
static void not_lost(struct flow_ext *x, int from, uint32_t start, uint32_t end)
{
    int i;

    while (seq_lt(start, end) && (i = first_again(x, from, start, end)) >= 0) {
        uint32_t *a = &x->dir[from].again[i].start, *b = &x->dir[from].again[i].end, upto = *b;

        if (seq_lt(end, upto))
            upto = end;
        if (seq_leq(start, *a))
            *a = upto;
        else
            *b = start;
        start = upto;
        if (*a != *b || x->dir[from].kind[RX_LOST] == 0)
            continue;
        x->dir[from].kind[RX_LOST]--;
        x->dir[from].kind[RX_SPURIOUS]++;
    }
}

/* add_block: one more that its receiver remembers; not one that is part of another. */
static void add_block(struct flow_range *list, uint8_t *n, struct flow_range b)
{
    for (int i = 0; i < *n; i++)
        if (seq_lt(list[i].start, b.end) && seq_lt(b.start, list[i].end))
            return;
    if (*n < SEG_MAX_SACK)
        list[(*n)++] = b;
}

/*
 * remember: what is told now, and of what was told before as much as Linux remembers (TCP_NUM_SACKS); with
 * timestamps it tells three of four.
 */
static void remember(struct flow_ext *x, int from, const struct seg *s)
{
    struct flow_range list[SEG_MAX_SACK];
    uint8_t n = 0;

    for (int i = is_dsack(s); i < s->nsack; i++)
        add_block(list, &n, (struct flow_range){s->sack[i].start, s->sack[i].end});
    for (int i = 0; i < x->dir[from].nsack; i++)
        if (seq_lt(s->ack, x->dir[from].sack[i].end))
            add_block(list, &n, x->dir[from].sack[i]);
    memcpy(x->dir[from].sack, list, n * sizeof(*list));
    x->dir[from].nsack = n;
}

void conn_note_sack(struct conn_env *env, const struct conn_pkt *cp)
{
    const struct seg *s = cp->s;
    struct flow_ext *x = conn_ext(env, cp->f);

    if (x == NULL || !(s->tflags & TH_ACK_))
        return;
    remember(x, cp->from, s);
    if (is_dsack(s))
        not_lost(x, cp->to, s->sack[0].start, s->sack[0].end);
}

/* counted_changed: a keep-alive's byte is garbage (RFC 9293 3.8.4). */
static bool counted_changed(const struct conn_pkt *cp)
{
    return cp->rexmit.differ && cp->rexmit.cls != RX_KEEPALIVE;
}

/* count_again: into the flow's books. */
static void count_again(struct conn_env *env, struct conn_pkt *cp, uint32_t late, bool flags_again)
{
    const struct seg *s = cp->s;
    struct flow_ext *x = conn_ext(env, cp->f);

    if (s->plen && cp->rexmit.fresh == 0)
        env->reasons[REASON_SEG_OLD]++;
    if (late)
        env->reasons[REASON_LATE]++;
    if (x == NULL)
        return;
    if (cp->rexmit.len || flags_again) {
        x->dir[cp->from].rexmit_packets++;
        x->dir[cp->from].rexmit_bytes += cp->rexmit.len;
        x->dir[cp->from].late_bytes += late;
    }
    x->dir[cp->from].kind[cp->rexmit.cls]++;
    if (counted_changed(cp)) {
        x->dir[cp->from].changed_packets++;
        x->dir[cp->from].changed_bytes += cp->rexmit.differ;
    }
    if (cp->rexmit.cls == RX_LOST) {
        uint32_t i = x->dir[cp->from].next_again++ % FLOW_AGAINS;

        x->dir[cp->from].again[i].start = s->seq;
        x->dir[cp->from].again[i].end = s->seq + s->plen;
    }
}

/* aside_overlap: bytes that are set aside count as seen, too. */
static void aside_overlap(const struct conn_env *env, const struct flow_side *rcv, uint64_t off,
                          uint32_t len, struct strm_overlap *o)
{
    uint32_t n = strm_doubt_overlap(&env->se, rcv, &off, len);

    if (n && (o->dup == 0 || off < o->first))
        o->first = off;
    o->dup += n;
}

/* probed: is this the byte that was sent into a closed window before and is held aside? */
static bool probed(const struct flow_ext *x, const struct conn_pkt *cp)
{
    return x && x->dir[cp->from].probe && cp->s->plen == 1 && cp->off >= 0 &&
           x->dir[cp->from].probe_off == (uint64_t)cp->off;
}

/*
 * syn_overlap: bytes on a SYN that came before: those of the first one, which wait for the SYN/ACK or have
 * been taken (RFC 7413 4.2: the same data goes with it again).
 */
static struct strm_overlap syn_overlap(const struct conn_env *env, const struct flow_side *rcv,
                                       uint32_t len)
{
    struct strm_overlap o = strm_overlap(&env->se, rcv, 0, len);
    uint32_t wait = strm_on_syn(&env->se, rcv);

    o.dup += wait < len ? wait : len;
    if (wait)
        o.first = 0;
    return o;
}

void conn_classify(struct conn_env *env, struct conn_pkt *cp, bool syn_again, bool fin_again,
                   uint32_t max_before)
{
    struct flow *f = cp->f;
    const struct seg *s = cp->s;
    const struct flow_side *rcv = &f->side[cp->to];
    const struct flow_ext *x = f->ext ? conn_ext(env, f) : NULL;
    uint32_t before = 0; /* bytes below offset 0 */
    uint64_t off = cp->off < 0 ? 0 : (uint64_t)cp->off;
    struct strm_overlap o = {.first = off};
    struct rexmit_query q;

    if (cp->off < 0)
        before = (uint64_t)-cp->off < s->plen ? (uint32_t)-cp->off : s->plen;
    if (s->plen > before && !(s->tflags & TH_SYN_)) {
        o = strm_overlap(&env->se, rcv, off, s->plen - before);
        if (unlikely(rcv->strm))
            aside_overlap(env, rcv, off, s->plen - before, &o);
    } else if (s->plen && syn_again)
        o = syn_overlap(env, rcv, s->plen);
    if (unlikely(probed(x, cp)))
        o.dup = 1;
    q = (struct rexmit_query){
        .seq = s->seq,
        .plen = s->plen,
        .tflags = s->tflags,
        .syn_again = syn_again,
        .fin_again = fin_again,
        .dup = o.dup + before,
        .snd_max = max_before,
        .rcv_ack = rcv->ack,
        .rcv_ack_known = rcv->flags & SIDE_ACKED,
        .rcv_shut = rcv->wnd == 0,
        .rcv_sacked = sacked(x, cp->to, s->seq, s->seq + s->plen),
    };
    cp->rexmit.cls = (uint8_t)rexmit_classify(&q);
    if (cp->rexmit.cls == RX_NONE)
        return;
    cp->rcv |= CR_REXMIT;
    cp->rexmit.off = before || o.dup == 0 ? off : o.first;
    cp->rexmit.len = o.dup + before;
    cp->rexmit.fresh = s->plen - cp->rexmit.len;
    compare(env, cp, off, before, o.dup);
    if (cp->rexmit.held && cp->rexmit.cls != RX_KEEPALIVE)
        cp->rcv |= CR_OVERLAP;
    count_again(env, cp, o.late, syn_again || fin_again);
}

/* ---- copies in fragments ---- */

/* in_stream: the stream offset of an offset into the datagram, kept within its payload. */
static uint64_t in_stream(const struct conn_pkt *cp, const struct datagram *g, uint32_t at)
{
    uint32_t pay = cp->s->pay_off - (uint32_t)(g->payload - g->pb.data);
    int64_t off = cp->off + (at < pay ? 0 : at - pay < cp->s->plen ? at - pay : cp->s->plen);

    return off < 0 ? 0 : (uint64_t)off;
}

struct conn_copies conn_copies(const struct conn_pkt *cp)
{
    const struct datagram *g = datagram_of(cp->s->pb);
    struct conn_copies c = {0};

    if (g == NULL || g->diff.n == 0)
        return c;
    c.off = in_stream(cp, g, g->diff.off);
    c.end = in_stream(cp, g, g->diff.end);
    c.differ = g->diff.n;
    c.shown = g->diff.shown;
    c.copy[0] = g->diff.copy[0];
    c.copy[1] = g->diff.copy[1];
    return c;
}

void conn_note_copies(struct conn_env *env, struct conn_pkt *cp)
{
    uint32_t differ = conn_copies(cp).differ;
    struct flow_ext *x = differ ? conn_ext(env, cp->f) : NULL;

    if (differ == 0)
        return;
    cp->rcv |= CR_OVERLAP;
    if (x) {
        x->dir[cp->from].changed_packets += !counted_changed(cp);
        x->dir[cp->from].changed_bytes += differ;
    }
    cp->rexmit.content = 1;
}

uint32_t conn_plain_len(const struct seg *s)
{
    const struct datagram *g = datagram_of(s->pb);
    uint32_t bare = s->flags & SEG_IP6 ? 40 : 20;

    if (g)
        return g->plain - (s->l4_off - (uint32_t)(g->payload - g->pb.data));
    if (s->flags & SEG_IP6 && s->flags & SEG_ATOMIC)
        bare += 8;
    return s->ip_len - (s->l4_off - s->l3_off - bare);
}
