// SPDX-License-Identifier: BSD-2-Clause
/*
 * defrag.c: what a fragment does to the table of unfinished datagrams.
 *
 * Runs, as Linux has them (inet_frag_queue_insert): a piece that goes on where the highest one ended
 * prolongs its run, any other begins one. A fragment that lies within one run is a repetition and
 * ignored, any other overlap throws the datagram away. Ignored are its bytes, not what it says of the
 * datagram's end: that is noted before anything else (ip_frag_queue, ip6_frag_queue), and nobody looks
 * whether all is there now.
 *
 * ECN (RFC 3168 5.3). Linux throws a whole datagram away some of whose fragments say "not ECN-capable"
 * and some do not (ip_frag_ecn_table); the BSDs refuse a fragment that has met congestion where the
 * first was not capable, and one that is not where the first was (ip_reass).
 */
#include "wire/defrag.h"

#include <string.h>

#include "wire/fragtab.h"

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

/* tells_end: does it say where the datagram ends, which was not known yet? */
static bool tells_end(const struct frag_entry *e, const struct frag *f)
{
    return !f->more && e->end == NO_END;
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
    for (uint32_t i = e->first; i && !e->overlap && !e->dead; i = frag_piece_at(d, i)->next) {
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
    for (uint32_t i = e->first; i && !e->dead; i = frag_piece_at(d, i)->next)
        if (frag_differs(d, i, f, from, from + FRAG_TCP_HEADER))
            return true;
    return false;
}

/*
 * note_change: does it bring other bytes for some that are held? Told, whatever becomes of it. Each of
 * its bytes is compared once, with the copy that came first: if two copies differ one of them differs
 * from that.
 */
static void note_change(struct defrag *d, struct frag_entry *e, struct frag *f)
{
    uint32_t left = units_of(f->len) - frag_units(d, e, f, false), was = e->diff.n;
    struct frag_seen seen;

    memset(seen.bit, 0, (units_of(f->len) + 63) / 64 * sizeof(*seen.bit));
    for (uint32_t i = e->first; i && left && !e->dead; i = frag_piece_at(d, i)->next)
        left -= frag_compare(d, i, f, &seen, &e->diff);
    f->note->changed |= e->diff.n > was;
}

/* ---- ECN, as bits by value of the field: 0 not capable, 3 has met congestion ---- */

static uint8_t ecn_bit(const struct frag *f)
{
    return (uint8_t)(1 << (f->s->tos & 3));
}

/* ecn_mixed: some capable, some not. */
static bool ecn_mixed(const struct frag_entry *e)
{
    return (e->ecn & 1) && e->ecn != 1;
}

/* ecn_refused: by the BSDs. */
static bool ecn_refused(const struct frag_entry *e, const struct frag *f)
{
    uint8_t bit = ecn_bit(f);

    return (bit == 8 && (e->ecn & 1)) || (bit == 1 && e->ecn && !(e->ecn & 1));
}

/* ---- pieces ---- */

static void count(struct frag_entry *e, const struct frag *f)
{
    e->nfrags++;
    e->bytes += f->s->ip_len;
    e->plain += (e->key.v6 ? FRAG_BARE6 : FRAG_BARE4) + f->len;
}

static bool keep_head(struct defrag *d, struct frag_entry *e, struct frag *f)
{
    const struct seg *s = f->s;

    if (f->off > 0 || e->head || e->dead || f->data != s->pb->data + s->l4_off) /* or a copy */
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

    fresh = frag_units(d, e, f, true);
    i = fresh == UINT32_MAX || !keep_head(d, e, f) ? 0
                                                   : frag_put(d, f, f->data, e->dead ? 0 : f->len);
    if (i == 0)
        return false;
    q = frag_piece_at(d, i);
    q->off = f->off;
    q->len = f->len;
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
    e->ecn |= ecn_bit(f);
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
                          .ce = e->ecn & 8,
                          .ip_len = e->head_ip_len};
    const struct pktbuf *of = f->s->pb;

    if (g == NULL || head == NULL)
        return NULL;
    frag_get(d, e->head, head);
    if (!frag_frame(g, &h, e->end, f->room) || !take_pieces(d, e, g, f->room))
        return NULL;
    g->world = e->world;
    g->overlap = e->overlap;
    g->ecn_mixed = ecn_mixed(e);
    g->diff = e->diff;
    g->plain = e->plain;
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
    if (e->dead) {
        frag_drop(d, i);
        return;
    }
    if (ecn_mixed(e) && (e->world == FW_DISCARD || e->key.v6)) {
        f->note->reason = REASON_FRAG_ECN;
        e->nfrags--; /* this one is refused */
        frag_give_up(d, i, &f->note->ecn);
        return;
    }
    if (ecn_mixed(e))
        e->world &= FW_KEEP; /* the others have thrown it away now */
    g = make_datagram(d, e, f);
    if (g) {
        f->note->dg[e->world & FW_RFC ? 0 : e->world & FW_DISCARD ? 1 : 2] = g;
        frag_drop(d, i);
    } else {
        if (e->world & FW_RFC) {
            f->note->reason = REASON_FRAG_LEN;
            e->nfrags--; /* this one is refused */
        }
        frag_abandon(d, i, f->now, REASON_FRAG_LEN, &f->note->limit);
    }
}

/* ---- what a fragment does ---- */

/* no_room: the datagram itself has to go. */
static void no_room(struct defrag *d, uint32_t i, struct frag *f)
{
    const struct frag_entry *e = frag_entry_at(d, i);

    f->full = true;
    if ((e->world & FW_RFC) && !e->dead) {
        f->note->reason = REASON_FRAG_LIMIT;
        f->note->evicted[f->key.v6]++;
    }
    frag_abandon(d, i, f->now, REASON_FRAG_LIMIT, &f->note->limit);
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
    b->nfrags = a->nfrags;
    b->bytes = a->bytes;
    b->plain = a->plain;
    b->ecn = a->ecn;
    b->diff = a->diff;
    b->tries = a->tries;
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

/*
 * part: the worlds part: a copy is for those of `out`, `from` for the others.
 * => the copy; 0: there is no room for one.
 */
static uint32_t part(struct defrag *d, uint32_t from, struct frag *f, enum frag_world out)
{
    uint32_t to;

    d->pinned[0] = from;
    to = frag_create(d, f, out, frag_entry_at(d, from)->born);
    d->pinned[1] = to;
    if (to && (!copy_pieces(d, from, to, f) || !copy_head(d, from, to, f))) {
        frag_drop(d, to);
        to = 0;
    }
    d->pinned[1] = 0;
    f->full |= to == 0;
    frag_entry_at(d, from)->world &= (uint8_t)~out;
    return to;
}

/* repeated: for one that has it already, and takes no more of it than the end. */
static void repeated(struct frag_entry *e, const struct frag *f)
{
    if (!f->dead)
        count(e, f);
    if (!f->more)
        e->end = f->off + f->len;
}

/* add: to what a host has that goes on. */
static void add(struct defrag *d, uint32_t i, enum kind k, struct frag *f)
{
    if (k == SAME) {
        repeated(frag_entry_at(d, i), f);
        complete(d, i, f);
    } else {
        store_in(d, i, f);
    }
}

/* covered: by one piece? The BSDs drop it then. */
static bool covered(const struct defrag *d, const struct frag_entry *e, const struct frag *f)
{
    for (uint32_t i = e->first; i; i = frag_piece_at(d, i)->next) {
        const struct frag_block *q = frag_piece_at(d, i);

        if (q->off <= f->off && f->off + f->len <= q->off + q->len)
            return true;
    }
    return false;
}

/* bsd_differs: do the BSDs take another end than the others, once this one has come? */
static bool bsd_differs(const struct defrag *d, const struct frag_entry *e, const struct frag *f)
{
    if (f->off + f->len != e->top)
        return false;
    return covered(d, e, f) ? tells_end(e, f) : f->more && e->end != NO_END;
}

/* bsd_goes: the BSDs go their own way, with one that is covered, or takes the place of the last one. */
static void bsd_goes(struct defrag *d, uint32_t i, enum kind k, struct frag *f)
{
    uint32_t own = frag_entry_at(d, i)->world == FW_BSD ? i : part(d, i, f, FW_BSD);
    struct frag last = *f;

    if (own) {
        d->pinned[1] = own;
        frag_entry_at(d, own)->end = NO_END;
        last.more = true;
        add(d, own, k, &last);
        d->pinned[1] = 0;
    } else if (d->conf.strict) {
        f->note->reason = REASON_FRAG_LIMIT;
    }
    f->full |= last.full;
    if (own != i && f->note->reason == REASON_NONE)
        add(d, i, k, f);
}

/* keep_on: a host that goes on: every overlap is stored, its bytes chosen at the end. */
static void keep_on(struct defrag *d, uint32_t i, enum kind k, struct frag *f)
{
    struct frag_entry *e = frag_entry_at(d, i);

    if (k == ENDS)
        f->note->reason = REASON_FRAG_LEN;
    else if (k != SAME && ecn_refused(e, f))
        f->note->reason = REASON_FRAG_ECN;
    else if (k != FRESH && k != SAME && rewrites(d, e, f))
        f->note->reason = REASON_FRAG_HEADER;
    else if (k != FRESH && (e->world & FW_BSD) && bsd_differs(d, e, f))
        bsd_goes(d, i, k, f);
    else
        add(d, i, k, f);
}

/* refuse_header: Linux takes its end all the same, if it comes there. */
static void refuse_header(const struct defrag *d, struct frag_entry *e, struct frag *f)
{
    f->note->reason = REASON_FRAG_HEADER;
    if (!f->more && !d->conf.strict)
        e->end = f->off + f->len;
}

/* discard: a host that throws away. */
static void discard(struct defrag *d, uint32_t i, enum kind k, struct frag *f)
{
    struct frag_entry *e = frag_entry_at(d, i);

    if (k == SAME || k == IN_RUN) {
        if (!f->dead && rewrites(d, e, f))
            refuse_header(d, e, f);
        else
            repeated(e, f);
    } else if (k == FRESH) {
        if (f->dead) {
            f->note->other += e->dead ? 0 : e->nfrags;
            frag_kill(d, e);
        }
        store_in(d, i, f);
    } else {
        f->note->reason = k == ENDS ? REASON_FRAG_LEN : REASON_FRAG_OVERLAP;
        frag_give_up(d, i, &f->note->overlap);
    }
}

static void linux_alone(struct defrag *d, struct frag *f, enum reason why);

/* begun: has anything come for its datagram? */
static bool begun(const struct defrag *d, const struct frag *f)
{
    return frag_find(d, f, FW_BOTH) != 0;
}

/* in_both: nothing has overlapped yet. The first to do so parts the worlds. */
static void in_both(struct defrag *d, uint32_t i, enum kind k, struct frag *f)
{
    struct frag_entry *e = frag_entry_at(d, i);

    if (f->key.v6) {
        discard(d, i, k, f);
    } else if (k == IN_RUN && rewrites(d, e, f)) {
        f->note->reason = REASON_FRAG_HEADER; /* nobody takes it */
        if (tells_end(e, f) && !d->conf.strict) {
            uint32_t to = part(d, i, f, FW_DISCARD);

            if (to)
                refuse_header(d, frag_entry_at(d, to), f);
        }
    } else if (k == FRESH && ecn_refused(e, f)) {
        f->effect = FE_TAKEN;
        linux_alone(d, f, REASON_FRAG_ECN);
    } else {
        if (k == IN_RUN || (k == SAME && tells_end(e, f))) {
            uint32_t to = part(d, i, f, FW_DISCARD);

            if (to) {
                repeated(frag_entry_at(d, to), f);
            } else if (d->conf.strict) {
                f->note->reason = REASON_FRAG_LIMIT;
                return;
            }
        }
        if (k == OVER || k == ENDS)
            e->world &= FW_KEEP;
        keep_on(d, i, k, f);
    }
}

/* in_one: what these worlds have in common, or begin. */
static void in_one(struct defrag *d, struct frag *f, enum frag_world world)
{
    uint32_t i = frag_find(d, f, world);
    enum kind k;

    if (i && f->now - frag_entry_at(d, i)->born >= frag_time(d, &f->key)) {
        /* a copy is as old as what it was made of */
        frag_abandon(d, i, f->now, REASON_FRAG_TIMEOUT, &f->note->timeout);
        i = 0;
    }
    if (i == 0)
        i = frag_create(d, f, world, f->now);
    if (i == 0) {
        f->note->reason = REASON_FRAG_LIMIT;
        f->full = true;
        return;
    }
    if (frag_entry_at(d, i)->tries++ >= d->conf.pieces) {
        no_room(d, i, f);
        return;
    }
    d->pinned[0] = i;
    k = classify(d, frag_entry_at(d, i), f);
    if (k != FRESH)
        note_change(d, frag_entry_at(d, i), f);
    if (!(world & FW_DISCARD))
        keep_on(d, i, k, f);
    else if (world & FW_KEEP)
        in_both(d, i, k, f);
    else
        discard(d, i, k, f);
    d->pinned[0] = 0;
}

/* linux_alone: others refuse it, for this reason. */
static void linux_alone(struct defrag *d, struct frag *f, enum reason why)
{
    uint32_t i = frag_find(d, f, FW_DISCARD), none = 0;
    bool alone = i == 0 || frag_entry_at(d, i)->world == FW_DISCARD;

    if (f->effect == FE_KILLS && i) {
        if (f->key.v6 || alone)
            frag_give_up(d, i, f->key.v6 ? &f->note->overlap : &none);
        else
            frag_entry_at(d, i)->world &= FW_KEEP;
    } else if (f->effect == FE_TAKEN) {
        if (alone || part(d, i, f, FW_DISCARD))
            in_one(d, f, FW_DISCARD);
    }
    d->pinned[0] = 0;
    f->note->reason = (uint8_t)why;
}

/*
 * refuse_full: strict tracking, and in some world there was no room: so that there is one truth it is
 * refused in all, with what has come for its datagram. `had`: something had, before it.
 */
static void refuse_full(struct defrag *d, struct frag *f, bool had)
{
    struct frag_note *n = f->note;
    uint32_t lost = n->dg[0] ? n->dg[0]->pb.nfrags : 0, i;

    memset(n->dg, 0, sizeof(n->dg));
    while ((i = frag_find(d, f, FW_BOTH)) != 0)
        frag_give_up(d, i, &lost);
    if (lost) {
        n->limit += lost - (n->reason == REASON_NONE); /* it was counted with them */
        n->evicted[f->key.v6]++;
    }
    n->reason = REASON_FRAG_LIMIT;
    if (had)
        defrag_bury(d, &f->key, REASON_FRAG_LIMIT, f->now);
}

/* together: of the worlds `left`, the first and those that have what it has, or nothing as it has. */
static enum frag_world together(const struct defrag *d, const struct frag *f, uint32_t left)
{
    uint32_t found = frag_find(d, f, left & -left), w = 0;

    if (found)
        return frag_entry_at(d, found)->world;
    for (uint32_t bit = FW_RFC; bit <= FW_DISCARD; bit *= 2)
        w |= (left & bit) && !frag_find(d, f, bit) ? bit : 0;
    return w;
}

static void take(struct defrag *d, struct frag *f)
{
    uint32_t i = frag_find(d, f, FW_BOTH), left = FW_BOTH;
    uint8_t reason = REASON_NONE;

    f->dead |= i && frag_entry_at(d, i)->dead;
    while (left) {
        enum frag_world w = together(d, f, left);

        in_one(d, f, w);
        if (w & FW_RFC)
            reason = f->note->reason;
        left &= ~(uint32_t)w;
    }
    f->note->reason = reason;
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
    bool had;

    if (f.note == NULL || (d->bucket == NULL && !frag_buckets(d)))
        return NULL;
    frag_make_key(d, &f);
    f.note->key = f.key;
    f.note->timeout = defrag_expire(d, f.now);
    why = defrag_buried(d, &f.key, f.now);
    if (unlikely(why != REASON_NONE)) {
        f.note->reason = (uint8_t)why;
        return f.note;
    }
    why = frag_examine(d, &f);
    /* IPv6: only a first fragment says which protocol it is (RFC 8200 4.5), and overlaps count */
    f.dead = f.key.v6 && why == REASON_IP_FRAGMENT;
    had = begun(d, &f);
    if (why == REASON_NONE || f.dead)
        take(d, &f);
    else
        linux_alone(d, &f, why);
    if (unlikely(f.full && d->conf.strict))
        refuse_full(d, &f, had);
    else if (f.dead)
        f.note->reason = REASON_IP_FRAGMENT;
    return f.note;
}

uint32_t defrag_end(struct defrag *d)
{
    uint32_t lost = 0;

    for (int v6 = 0; v6 < 2; v6++)
        while (d->oldest[v6])
            frag_give_up(d, d->oldest[v6], &lost);
    frag_stones_clear(d);
    return lost;
}
