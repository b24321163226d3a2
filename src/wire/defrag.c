// SPDX-License-Identifier: BSD-2-Clause
/*
 * defrag.c: what a fragment does to the table of unfinished datagrams.
 *
 * Runs, as Linux has them (inet_frag_queue_insert): a piece that goes on where the highest one ended
 * prolongs its run, any other begins one. A fragment that lies within one run is a repetition and
 * ignored, any other overlap throws the datagram away.
 */
#include "wire/defrag.h"

#include <string.h>

#include "base/hash.h"
#include "wire/fragtab.h"
#include "wire/layers.h"

enum { TCP_HEADER = 20, MAX_EXTENSIONS = 8 };

enum kind {
    FRESH,  /* overlaps nothing */
    SAME,   /* repeats one piece, byte for byte, and nothing has overlapped yet */
    IN_RUN, /* lies within a run */
    OVER,   /* overlaps */
    ENDS,   /* contradicts what is known of the datagram's end */
};

static bool contradicts_end(const struct frag_entry *e, const struct frag *f)
{
    uint32_t end = f->off + f->len;

    if (f->more)
        return e->end != NO_END && end > e->end;
    return (e->end != NO_END && e->end != end) || end < e->top;
}

/* in_run: is it a repetition for Linux? Where this is asked nothing overlaps yet. */
static bool in_run(const struct defrag *d, const struct frag_entry *e, const struct frag *f)
{
    uint32_t run = 0, hi = 0;

    for (uint32_t i = e->first; i; i = frag_piece_at(d, i)->next) {
        const struct frag_block *q = frag_piece_at(d, i);

        if (q->off <= f->off && f->off < q->off + q->len)
            run = q->run;
    }
    for (uint32_t i = e->first; i && run; i = frag_piece_at(d, i)->next) {
        const struct frag_block *q = frag_piece_at(d, i);

        if (q->run == run && q->off + q->len > hi)
            hi = q->off + q->len;
    }
    return run && f->off + f->len <= hi;
}

static enum kind classify(struct defrag *d, struct frag_entry *e, struct frag *f)
{
    if (contradicts_end(e, f))
        return ENDS;
    if (frag_units(d, e, f, false) == units_of(f->len))
        return FRESH;
    for (uint32_t i = e->first; i && !e->overlap; i = frag_piece_at(d, i)->next) {
        const struct frag_block *q = frag_piece_at(d, i);

        if (q->off == f->off && q->len == f->len && !frag_differs(d, i, f, 0, UINT32_MAX))
            return SAME;
    }
    return e->world != FW_KEEP && in_run(d, e, f) ? IN_RUN : OVER;
}

/* rewrites: would it give TCP's header other bytes than another piece has (RFC 3128)? */
static bool rewrites(const struct defrag *d, const struct frag_entry *e, const struct frag *f)
{
    uint32_t from = e->head ? e->tcp_at : f->tcp_at;

    if (e->key.v6 && e->head == 0 && f->off > 0)
        return false; /* not known where it is */
    for (uint32_t i = e->first; i; i = frag_piece_at(d, i)->next)
        if (frag_differs(d, i, f, from, from + TCP_HEADER))
            return true;
    return false;
}

static void count(struct frag_entry *e, const struct frag *f)
{
    e->nfrags++;
    e->bytes += f->s->ip_len;
}

static bool keep_head(struct defrag *d, struct frag_entry *e, struct frag *f)
{
    const struct seg *s = f->s;

    if (f->off > 0 || e->head || f->data != s->pb->data + s->l4_off) /* or it is a copy */
        return true;
    e->head = frag_put(d, f, s->pb->data, s->l4_off);
    e->head_l3 = s->l3_off;
    e->head_link_len = s->link_len_off;
    e->head_linktype = s->pb->linktype;
    e->head_ip_len = s->ip_len;
    e->tcp_at = (uint16_t)f->tcp_at;
    return e->head != 0;
}

/* store: the fragment is a piece of this datagram. => false: no room. */
static bool store(struct defrag *d, struct frag_entry *e, struct frag *f)
{
    uint32_t fresh, i;
    struct frag_block *q;

    if (e->npieces >= d->conf.pieces)
        return false;
    fresh = frag_units(d, e, f, true);
    i = fresh == UINT32_MAX || !keep_head(d, e, f) ? 0 : frag_put(d, f, f->data, f->len);
    if (i == 0)
        return false;
    q = frag_piece_at(d, i);
    q->off = f->off;
    e->runs += e->first == 0 || f->off != e->top;
    q->run = e->first && f->off == e->top ? e->top_run : e->runs;
    *(e->last ? &frag_piece_at(d, e->last)->next : &e->first) = i;
    e->last = i;
    if (f->off + f->len > e->top) {
        e->top = f->off + f->len;
        e->top_run = q->run;
    }
    if (!f->more)
        e->end = f->off + f->len;
    e->overlap |= fresh != units_of(f->len);
    e->units += fresh;
    e->npieces++;
    count(e, f);
    return true;
}

/* ---- completion ---- */

static bool take_pieces(struct defrag *d, const struct frag_entry *e, struct datagram *g,
                        struct frag_room *room)
{
    uint32_t n = 0;

    if (e->overlap) {
        g->piece = frag_room_get(room, e->npieces * sizeof(*g->piece));
        g->scratch = frag_room_get(room, FRAG_SCRATCH(e->npieces));
        if (g->piece == NULL || g->scratch == NULL)
            return false;
        g->npiece = e->npieces;
    }
    for (uint32_t i = e->first; i; i = frag_piece_at(d, i)->next, n++) {
        const struct frag_block *q = frag_piece_at(d, i);
        uint8_t *to = g->payload + q->off;

        if (e->overlap) {
            to = frag_room_get(room, q->len);
            if (to == NULL)
                return false;
            g->piece[n] = (struct frag_piece){.off = q->off, .len = q->len, .data = to};
        }
        frag_get(d, i, to);
    }
    return true;
}

/* make_datagram: => NULL: no memory, or longer than IP allows. */
static struct datagram *make_datagram(struct defrag *d, const struct frag_entry *e, struct frag *f)
{
    uint32_t len = frag_piece_at(d, e->head)->len;
    struct datagram *g = frag_room_get(f->room, sizeof(*g));
    uint8_t *head = frag_room_get(f->room, len);
    struct frag_head h = {.data = head,
                          .len = len,
                          .l3_off = e->head_l3,
                          .link_len_off = e->head_link_len,
                          .v6 = e->key.v6,
                          .ip_len = e->head_ip_len};
    const struct pktbuf *of = f->s->pb;

    if (g == NULL || head == NULL)
        return NULL;
    frag_get(d, e->head, head);
    if (!frag_frame(g, &h, e->end, f->room) || !take_pieces(d, e, g, f->room))
        return NULL;
    g->world = e->world;
    g->overlap = e->overlap;
    g->pb.flags = PB_DATAGRAM;
    g->pb.nfrags = e->nfrags;
    g->pb.frag_bytes = e->bytes;
    g->pb.linktype = e->head_linktype; /* the link header is that of the first */
    g->pb.in_if = of->in_if;
    g->pb.realm = of->realm;
    g->pb.ts_ns = of->ts_ns;
    g->pb.clock_ns = of->clock_ns;
    g->pb.frame = of->frame;
    return g;
}

static void complete(struct defrag *d, uint32_t i, struct frag *f)
{
    struct frag_entry *e = frag_entry_at(d, i);
    struct datagram *g;

    if (e->end == NO_END || e->units != units_of(e->end))
        return;
    g = make_datagram(d, e, f);
    if (g) {
        f->note->dg[e->world == FW_DISCARD] = g;
        frag_drop(d, i);
    } else {
        if (e->world != FW_DISCARD) {
            f->note->reason = REASON_FRAG_LEN;
            e->nfrags--; /* this one is refused */
        }
        frag_abandon(d, i, f, REASON_FRAG_LEN, &f->note->limit);
    }
}

/* ---- what a fragment does ---- */

/* no_room: the datagram itself has to go. */
static void no_room(struct defrag *d, uint32_t i, struct frag *f)
{
    if (frag_entry_at(d, i)->world != FW_DISCARD) {
        f->note->reason = REASON_FRAG_LIMIT;
        f->note->evicted[f->key.v6]++;
    }
    frag_abandon(d, i, f, REASON_FRAG_LIMIT, &f->note->limit);
}

static void store_in(struct defrag *d, uint32_t i, struct frag *f)
{
    if (store(d, frag_entry_at(d, i), f))
        complete(d, i, f);
    else
        no_room(d, i, f);
}

/* copy_head: what entry `to` has not got from pieces. */
static bool copy_head(struct defrag *d, uint32_t from, uint32_t to, struct frag *f)
{
    const struct frag_entry *a = frag_entry_at(d, from);
    struct frag_entry *b = frag_entry_at(d, to);
    uint8_t *p;

    b->tcp_at = a->tcp_at;
    b->head_l3 = a->head_l3;
    b->head_link_len = a->head_link_len;
    b->head_linktype = a->head_linktype;
    b->head_ip_len = a->head_ip_len;
    b->nfrags = a->nfrags + 1; /* the one at hand, a repetition there */
    b->bytes = a->bytes + f->s->ip_len;
    if (a->head == 0)
        return true;
    p = frag_room_get(f->room, frag_piece_at(d, a->head)->len);
    if (p == NULL)
        return false;
    frag_get(d, a->head, p);
    b->head = frag_put(d, f, p, frag_piece_at(d, a->head)->len);
    return b->head != 0;
}

/* copy_pieces: in their order, so that the runs become the same. */
static bool copy_pieces(struct defrag *d, uint32_t from, uint32_t to, struct frag *f)
{
    for (uint32_t i = frag_entry_at(d, from)->first; i; i = frag_piece_at(d, i)->next) {
        const struct frag_block *q = frag_piece_at(d, i);
        uint8_t *p = frag_room_get(f->room, q->len);
        struct frag g = *f;

        if (p == NULL)
            return false;
        frag_get(d, i, p);
        g.data = p;
        g.off = q->off;
        g.len = q->len;
        g.more = q->off + q->len != frag_entry_at(d, from)->end;
        if (!store(d, frag_entry_at(d, to), &g))
            return false;
    }
    return true;
}

/* copy_entry: the same for the world that throws away. Nothing, where there is no room. */
static void copy_entry(struct defrag *d, uint32_t from, struct frag *f)
{
    uint32_t to = frag_create(d, f, FW_DISCARD, frag_entry_at(d, from)->born);

    if (to == 0)
        return;
    d->pinned[1] = to;
    if (!copy_pieces(d, from, to, f) || !copy_head(d, from, to, f))
        frag_drop(d, to);
    d->pinned[1] = 0;
}

/* keep_on: a host that goes on: every overlap is stored, its bytes chosen at the end. */
static void keep_on(struct defrag *d, uint32_t i, enum kind k, struct frag *f)
{
    struct frag_entry *e = frag_entry_at(d, i);

    if (k == SAME)
        count(e, f);
    else if (k == ENDS)
        f->note->reason = REASON_FRAG_LEN;
    else if (k != FRESH && rewrites(d, e, f))
        f->note->reason = REASON_FRAG_HEADER;
    else
        store_in(d, i, f);
}

/* discard: a host that throws away. */
static void discard(struct defrag *d, uint32_t i, enum kind k, struct frag *f)
{
    struct frag_entry *e = frag_entry_at(d, i);

    if (k == SAME || k == IN_RUN) {
        if (rewrites(d, e, f))
            f->note->reason = REASON_FRAG_HEADER;
        else
            count(e, f);
    } else if (k == FRESH) {
        store_in(d, i, f);
    } else {
        f->note->reason = k == ENDS ? REASON_FRAG_LEN : REASON_FRAG_OVERLAP;
        frag_give_up(d, i, &f->note->overlap);
    }
}

/* in_both: nothing has overlapped yet. The first to do so parts the worlds. */
static void in_both(struct defrag *d, uint32_t i, struct frag *f)
{
    struct frag_entry *e = frag_entry_at(d, i);
    enum kind k = classify(d, e, f);

    if (f->key.v6) {
        discard(d, i, k, f);
        return;
    }
    if (k == IN_RUN && rewrites(d, e, f)) {
        f->note->reason = REASON_FRAG_HEADER; /* nobody takes it */
        return;
    }
    if (k == IN_RUN)
        copy_entry(d, i, f);
    if (k != FRESH && k != SAME)
        e->world = FW_KEEP;
    keep_on(d, i, k, f);
}

/* in_one: of two worlds, or the beginning of a datagram. */
static void in_one(struct defrag *d, struct frag *f, enum frag_world world)
{
    uint32_t i = frag_find(d, f, world);

    if (i && f->now - frag_entry_at(d, i)->born >= d->conf.timeout_ns) {
        /* a copy is as old as what it was made of */
        frag_abandon(d, i, f, REASON_FRAG_TIMEOUT, &f->note->timeout);
        i = 0;
    }
    if (i == 0)
        i = frag_create(d, f, world, f->now);
    if (i == 0) {
        f->note->reason = REASON_FRAG_LIMIT;
        if (d->conf.strict && world != FW_DISCARD)
            defrag_bury(d, &f->key, REASON_FRAG_LIMIT, f->now);
        return;
    }
    d->pinned[0] = i;
    if (world == FW_BOTH)
        in_both(d, i, f);
    else if (world == FW_KEEP)
        keep_on(d, i, classify(d, frag_entry_at(d, i), f), f);
    else
        discard(d, i, classify(d, frag_entry_at(d, i), f), f);
    d->pinned[0] = 0;
}

static void take(struct defrag *d, struct frag *f)
{
    uint8_t reason;

    if (frag_find(d, f, FW_BOTH) || (!frag_find(d, f, FW_KEEP) && !frag_find(d, f, FW_DISCARD))) {
        in_one(d, f, FW_BOTH);
        return;
    }
    in_one(d, f, FW_KEEP);
    reason = f->note->reason;
    in_one(d, f, FW_DISCARD);
    f->note->reason = reason;
}

/*
 * not_ours: IPv6: a first fragment of another protocol; only it says which (RFC 8200 4.5). Its other
 * fragments are not kept; the entry waits for their end.
 */
static void not_ours(struct defrag *d, uint32_t i, struct frag *f)
{
    struct frag_entry *e;

    f->note->reason = REASON_IP_FRAGMENT;
    if (i == 0)
        i = frag_create(d, f, FW_BOTH, f->now);
    if (i == 0)
        return;
    e = frag_entry_at(d, i);
    if (!e->dead) {
        f->note->other += e->nfrags;
        frag_free_bytes(d, e);
        e->dead = true;
    }
    e->units += units_of(f->len);
    if (!f->more)
        e->end = f->off + f->len;
    if (e->end != NO_END && e->units >= units_of(e->end))
        frag_drop(d, i);
}

/* ---- what a fragment says of itself ---- */

static bool is_extension(uint8_t proto)
{
    return proto == 43 || proto == 51 || proto == 60 || proto == 135 || proto == 139 ||
           proto == 140;
}

/*
 * find_tcp: IPv6: where TCP begins in a first fragment, behind extension headers.
 * => REASON_IP_FRAGMENT: there is none; REASON_FRAG_TINY: the headers do not end in it (RFC 7112).
 */
static enum reason find_tcp(struct frag *f)
{
    uint8_t proto = f->s->l4proto;
    uint32_t at = 0;

    for (int i = 0; is_extension(proto) && i < MAX_EXTENSIONS; i++) {
        const uint8_t *p = f->data + at;

        if (at + FRAG_UNIT > f->len)
            return REASON_FRAG_TINY;
        at += proto == 51 ? (p[1] + 2u) * 4 : (p[1] + 1u) * 8;
        if (at > f->len)
            return REASON_FRAG_TINY;
        proto = p[0];
    }
    f->tcp_at = at;
    return proto == IPP_TCP ? REASON_NONE : REASON_IP_FRAGMENT;
}

static bool length_lies(const struct frag *f)
{
    const struct seg *s = f->s;
    const uint8_t *ip = s->pb->data + s->l3_off;
    uint32_t said = s->flags & SEG_IP6 ? load16(ip + 4) + 40u : load16(ip + 2);

    return said != s->ip_len || f->len == 0 || (f->more && f->len % FRAG_UNIT) ||
           f->off + f->len + (s->l4_off - s->l3_off - (f->key.v6 ? 48u : 0)) > FRAG_MAX_LEN;
}

/* examine: is it fit to be kept at all? */
static enum reason examine(const struct defrag *d, struct frag *f)
{
    const struct seg *s = f->s;
    bool tcp = s->l4proto == IPP_TCP;
    enum reason why = REASON_NONE;

    if (!f->key.v6 && !tcp)
        return REASON_IP_FRAGMENT;
    if (s->flags & SEG_IPCSUM_BAD)
        return REASON_IP_CSUM;
    if (s->flags & SEG_TRUNC)
        return REASON_FRAG_CUT;
    if (length_lies(f))
        return REASON_FRAG_LEN;
    if (f->off > 0)
        return tcp && f->off < d->conf.min_tcp ? REASON_FRAG_HEADER : REASON_NONE;
    if (f->key.v6)
        why = find_tcp(f);
    if (why == REASON_NONE && f->len - f->tcp_at < d->conf.min_tcp)
        why = REASON_FRAG_TINY; /* RFC 1858 3 */
    return why;
}

static void make_key(const struct defrag *d, struct frag *f)
{
    const struct seg *s = f->s;
    uint32_t n = s->flags & SEG_IP6 ? 16 : 4;

    memcpy(f->key.src, s->src.b, n);
    memcpy(f->key.dst, s->dst.b, n);
    f->key.id = s->frag_id;
    f->key.realm = s->pb->realm;
    for (int i = 0; i < s->nvlan && d->conf.vlan_in_key; i++)
        f->key.vlan = f->key.vlan << 13 | (s->vlan[i] + 1u);
    f->key.v6 = n == 16;
    f->key.proto = f->key.v6 ? 0 : s->l4proto;
    f->hash = (uint32_t)hash_bytes(&f->key, sizeof(f->key), d->secret);
}

struct frag_note *defrag_input(struct defrag *d, const struct seg *s, struct frag_room *room)
{
    struct frag f = {
        .s = s,
        .now = s->pb->clock_ns,
        .data = s->pb->data + s->l4_off,
        .off = s->frag_off,
        .len = s->ip_len - (s->l4_off - s->l3_off),
        .more = s->flags & SEG_FRAG_MORE,
        .note = frag_room_get(room, sizeof(*f.note)),
        .room = room,
    };
    enum reason why;
    uint32_t i;

    if (f.note == NULL || (d->bucket == NULL && !frag_buckets(d)))
        return NULL;
    make_key(d, &f);
    f.note->key = f.key;
    frag_expire(d, &f);
    why = defrag_buried(d, &f.key, f.now);
    if (unlikely(why != REASON_NONE)) {
        f.note->reason = (uint8_t)why;
        return f.note;
    }
    why = examine(d, &f);
    i = f.key.v6 ? frag_find(d, &f, FW_BOTH) : 0;
    if (f.key.v6 && (why == REASON_IP_FRAGMENT || (i && frag_entry_at(d, i)->dead)))
        not_ours(d, i, &f);
    else if (why != REASON_NONE)
        f.note->reason = (uint8_t)why;
    else
        take(d, &f);
    return f.note;
}

uint32_t defrag_end(struct defrag *d)
{
    uint32_t lost = 0;

    while (d->oldest)
        frag_give_up(d, d->oldest, &lost);
    frag_stones_clear(d);
    return lost;
}
