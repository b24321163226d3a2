// SPDX-License-Identifier: BSD-2-Clause
/*
 * gen.c: connections that play themselves.
 *
 * Life of a flow: it is put into a slot; each gen_next picks a slot and asks its flow for one
 * packet (flow_packet), phase by phase: handshake, request and its ACK, the answer, both FINs.
 * After the last packet the slot goes to the next flow, or away.
 *
 * The answer (GP_DATA) is a sender with a window and a receiver that acknowledges, in one step
 * function. In the order of precedence it sends: an ACK that is due; the second copy of a doubled
 * segment; a held segment whose time has come; a fast retransmission; the next new segment; when
 * nothing else is left, held segments, the delayed ACK, and what a timeout would send again. A
 * segment meets the loss before the tap, then the tap (that is gen_next's result), then the loss
 * after it. ACKs are never lost: a capture then has every byte that counts.
 */
#include "gen.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "genframe.h"

#define HELD 8

enum phase {
    GP_SYN,
    GP_SYNACK,
    GP_ACK,
    GP_REQUEST,
    GP_REQUEST_ACK,
    GP_DATA,
    GP_FIN,
    GP_FIN_ACK,
    GP_FIN2,
    GP_LAST,
    GP_OVER
};

struct gflow {
    uint32_t id;
    uint8_t phase;
    bool ack_due, again, fast; /* an ACK; the doubled segment; the first missing one */
    uint8_t fresh;             /* segments in order since the last ACK */
    uint8_t dupacks;
    uint8_t nheld;
    uint32_t again_seg;
    uint32_t sent;  /* sender: segments sent at least once */
    uint32_t acked; /* sender: segments acknowledged */
    uint32_t have;  /* receiver: segments in order */
    uint64_t above; /* receiver: bit i: segment have + i is there */
    struct {
        uint32_t seg;
        uint32_t wait; /* segments of this flow that go first */
    } held[HELD];
};

struct gen {
    struct gen_cfg c;
    struct rng rng;
    struct gencontent *content;
    struct gflow *slot;
    uint32_t nslots, next_flow;
    uint32_t at, run; /* the slot that is being asked, how many more times */
    uint32_t nseg;    /* of an answer */
    uint32_t shaking; /* handshakes_first: slots before it are still at it */
    uint64_t now;
    struct gen_totals tot;
};

void gen_default(struct gen_cfg *c)
{
    *c = (struct gen_cfg){
        .seed = 1,
        .flows = 1000,
        .concurrent = 100,
        .bytes = 8192,
        .request = 100,
        .mss = 1460,
        .window = 16,
        .ack_every = 2,
        .order = GEN_RANDOM,
        .run = 1,
        .reorder_max = 3,
        .plant_every = 16,
        .step_ns = 1000,
    };
}

static const char *bad(const struct gen_cfg *c)
{
    if (c->flows < 1 || c->flows > 1u << 24)
        return "flows: 1 to 16777216";
    if (c->concurrent < 1)
        return "concurrent: 1 or more";
    if (c->mss < 64 || c->mss > 8960)
        return "mss: 64 to 8960";
    if (c->bytes > 1u << 30)
        return "bytes: at most 1073741824";
    if (c->request < 1 || c->request > c->mss)
        return "request: 1 to mss";
    if (c->window < 1 || c->window > 32 || c->ack_every < 1 || c->ack_every > c->window)
        return "window: 1 to 32, ack_every: 1 to window";
    if (c->reorder_max < 1 || c->reorder_max > HELD)
        return "reorder_max: 1 to 8";
    if (c->run < 1 || c->step_ns < 1)
        return "run, step_ns: 1 or more";
    if (c->lost_before > 500000 || c->lost_after > 500000 || c->reordered > 500000 ||
        c->doubled > 500000)
        return "a chance is at most one half";
    return NULL;
}

static void begin_flow(struct gen *g, struct gflow *f)
{
    memset(f, 0, sizeof(*f));
    f->id = g->next_flow++;
    g->tot.flows++;
    g->tot.stream_bytes += g->c.bytes + g->c.request;
    g->tot.planted += gencontent_planted(g->content, f->id);
}

struct gen *gen_open(const struct gen_cfg *c, const char **why)
{
    struct gen *g;

    *why = bad(c);
    if (*why)
        return NULL;
    *why = "out of memory";
    g = calloc(1, sizeof(*g));
    if (g == NULL)
        return NULL;
    g->c = *c;
    g->nslots = c->order == GEN_SERIAL ? 1 : c->concurrent < c->flows ? c->concurrent : c->flows;
    g->nseg = (c->bytes + c->mss - 1) / c->mss;
    g->now = 1700000000ull * 1000000000;
    g->slot = calloc(g->nslots, sizeof(*g->slot));
    g->content = gencontent_new(c);
    if (g->slot == NULL || g->content == NULL) {
        gen_close(g);
        return NULL;
    }
    rng_seed(&g->rng, c->seed);
    for (uint32_t i = 0; i < g->nslots; i++)
        begin_flow(g, &g->slot[i]);
    g->shaking = c->handshakes_first ? g->nslots : 0;
    return g;
}

void gen_close(struct gen *g)
{
    if (g == NULL)
        return;
    gencontent_free(g->content);
    free(g->slot);
    free(g);
}

const struct gen_totals *gen_totals(const struct gen *g)
{
    return &g->tot;
}

static bool chance(struct gen *g, uint32_t millionths)
{
    return millionths && rng_below(&g->rng, 1000000) < millionths;
}

/* ---- the answer ---- */

/* arrive: the receiver has this segment. */
static void arrive(struct gen *g, struct gflow *f, uint32_t seg)
{
    bool holes = f->above != 0;

    if (seg != f->have) { /* again, or out of order: both are acknowledged at once (RFC 5681 4.2) */
        if (seg > f->have)
            f->above |= 1ull << (seg - f->have);
        f->ack_due = true;
        return;
    }
    f->above |= 1;
    while (f->above & 1) {
        f->above >>= 1;
        f->have++;
        f->fresh++;
    }
    if (holes || f->fresh >= g->c.ack_every)
        f->ack_due = true;
}

/* transmit: a segment on its way. => did the tap see it? */
static bool transmit(struct gen *g, struct gflow *f, uint32_t seg, struct genframe *out)
{
    uint32_t off = seg * g->c.mss;

    if (chance(g, g->c.lost_before)) {
        g->tot.lost_before++;
        return false;
    }
    if (chance(g, g->c.doubled)) {
        g->tot.doubled++;
        f->again = true;
        f->again_seg = seg;
    }
    if (chance(g, g->c.lost_after))
        g->tot.lost_after++;
    else
        arrive(g, f, seg);
    out->from_server = true;
    out->off = off;
    out->plen = g->c.bytes - off < g->c.mss ? g->c.bytes - off : g->c.mss;
    out->flags = seg + 1 == g->nseg ? GF_ACK | GF_PSH : GF_ACK;
    return true;
}

/* send_ack: the receiver's, and what the sender makes of it (RFC 5681 3.2: three equal ones). */
static bool send_ack(struct gflow *f, struct genframe *out)
{
    f->ack_due = false;
    f->fresh = 0;
    if (f->have > f->acked) {
        f->acked = f->have;
        f->dupacks = 0;
    } else if (++f->dupacks == 3) {
        f->fast = true;
    }
    out->from_server = false;
    out->flags = GF_ACK;
    return true;
}

static uint32_t take_held(struct gflow *f, int i)
{
    uint32_t seg = f->held[i].seg;

    f->held[i] = f->held[--f->nheld];
    return seg;
}

/* ripe: a held segment that may go now. => -1: none. */
static int ripe(const struct gflow *f)
{
    for (int i = 0; i < f->nheld; i++)
        if (f->held[i].wait == 0)
            return i;
    return -1;
}

/* new_segment: the next one, or it is held back. => did the tap see it? */
static bool new_segment(struct gen *g, struct gflow *f, struct genframe *out)
{
    uint32_t seg = f->sent++;

    if (f->nheld < HELD && chance(g, g->c.reordered)) {
        f->held[f->nheld].seg = seg;
        f->held[f->nheld++].wait = 1 + (uint32_t)rng_below(&g->rng, g->c.reorder_max);
        g->tot.reordered++;
        return false;
    }
    for (int i = 0; i < f->nheld; i++)
        f->held[i].wait -= f->held[i].wait > 0;
    return transmit(g, f, seg, out);
}

/* resend: the first segment that is missing. */
static bool resend(struct gen *g, struct gflow *f, uint32_t seg, struct genframe *out)
{
    f->fast = false;
    g->tot.rexmits++;
    return transmit(g, f, seg, out);
}

/* data_packet: one packet of the answer. => false: it is over. */
static bool data_packet(struct gen *g, struct gflow *f, struct genframe *out)
{
    for (bool seen = false; !seen;) {
        int held = ripe(f);

        if (f->ack_due) {
            seen = send_ack(f, out);
        } else if (f->again) {
            f->again = false;
            seen = transmit(g, f, f->again_seg, out);
        } else if (held >= 0) {
            seen = transmit(g, f, take_held(f, held), out);
        } else if (f->fast && f->acked < f->sent) {
            seen = resend(g, f, f->acked, out);
        } else if (f->sent < g->nseg && f->sent - f->acked < g->c.window) {
            seen = new_segment(g, f, out);
        } else if (f->nheld) {
            seen = transmit(g, f, take_held(f, 0), out);
        } else if (f->have > f->acked) {
            seen = send_ack(f, out);
        } else if (f->acked < g->nseg) {
            seen = resend(g, f, f->have, out); /* the retransmission timer */
        } else {
            return false;
        }
    }
    return true;
}

/* ---- a flow ---- */

/* simple: packets outside of the answer. */
static void simple(const struct gen *g, const struct gflow *f, struct genframe *out)
{
    static const struct {
        bool from_server;
        uint8_t flags;
    } pkt[] = {
        [GP_SYN] = {false, GF_SYN},        [GP_SYNACK] = {true, GF_SYN | GF_ACK},
        [GP_ACK] = {false, GF_ACK},        [GP_REQUEST] = {false, GF_ACK | GF_PSH},
        [GP_REQUEST_ACK] = {true, GF_ACK}, [GP_FIN] = {true, GF_ACK | GF_FIN},
        [GP_FIN_ACK] = {false, GF_ACK},    [GP_FIN2] = {false, GF_ACK | GF_FIN},
        [GP_LAST] = {true, GF_ACK},
    };

    out->from_server = pkt[f->phase].from_server;
    out->flags = pkt[f->phase].flags;
    if (f->phase == GP_REQUEST)
        out->plen = g->c.request;
}

/* number: sequence and acknowledgement numbers, from phase and (out->off) place in the answer. */
static void number(const struct gen *g, const struct gflow *f, struct genframe *out)
{
    uint32_t isn[2] = {(uint32_t)hash_mix(g->c.seed ^ (2ull * f->id)),
                       (uint32_t)hash_mix(g->c.seed ^ (2ull * f->id + 1))};
    uint64_t have = (uint64_t)f->have * g->c.mss;
    uint32_t cli = isn[0] + (f->phase > GP_SYN) + (f->phase > GP_REQUEST ? g->c.request : 0) +
                   (f->phase > GP_FIN2);
    uint32_t svr = isn[1] + (f->phase > GP_SYNACK) +
                   (have < g->c.bytes ? (uint32_t)have : g->c.bytes) + (f->phase > GP_FIN);

    if (out->from_server) {
        out->seq = f->phase == GP_DATA ? isn[1] + 1 + out->off : svr;
        out->ack = cli;
    } else {
        out->seq = cli;
        out->ack = out->flags & GF_ACK ? svr : 0;
    }
}

/* flow_packet: its next packet. It has one as long as it is not over. */
static void flow_packet(struct gen *g, struct gflow *f, struct genframe *out)
{
    *out = (struct genframe){.flow = f->id};
    if (f->phase == GP_DATA && !data_packet(g, f, out))
        f->phase++;
    if (f->phase != GP_DATA)
        simple(g, f, out);
    number(g, f, out);
    if (f->phase != GP_DATA)
        f->phase++;
    if (f->phase == GP_DATA && g->c.idle)
        f->phase = GP_OVER;
}

/* ---- who is next ---- */

static void swap_slots(struct gen *g, uint32_t a, uint32_t b)
{
    struct gflow f = g->slot[a];

    g->slot[a] = g->slot[b];
    g->slot[b] = f;
}

/* leave: the flow in this slot is over, or (handshakes first) through with its handshake. */
static void leave(struct gen *g, uint32_t i)
{
    if (g->shaking) {
        swap_slots(g, i, --g->shaking);
    } else if (g->next_flow < g->c.flows) {
        begin_flow(g, &g->slot[i]);
    } else {
        swap_slots(g, i, --g->nslots);
    }
    g->run = 0;
}

static void choose(struct gen *g)
{
    uint32_t n = g->shaking ? g->shaking : g->nslots;

    if (g->run && g->at < n) {
        g->run--;
        return;
    }
    g->at = g->c.order == GEN_RANDOM ? (uint32_t)rng_below(&g->rng, n) : (g->at + 1) % n;
    g->run = g->c.run - 1;
}

uint32_t gen_next(struct gen *g, uint8_t *buf, uint64_t *ts_ns)
{
    struct genframe out;
    struct gflow *f;
    uint32_t len;

    if (g->nslots == 0)
        return 0;
    choose(g);
    f = &g->slot[g->at];
    flow_packet(g, f, &out);
    len = genframe_build(g->content, &out, buf);
    g->now += g->c.step_ns;
    *ts_ns = g->now;
    g->tot.packets++;
    g->tot.bytes += len;
    g->tot.payload += out.plen;
    if (f->phase == GP_OVER || (g->shaking && f->phase == GP_REQUEST))
        leave(g, g->at);
    return len;
}
