// SPDX-License-Identifier: BSD-2-Clause
/*
 * faults.c: the decisions are taken in the order drop, corrupt, duplicate, hold, fragment. A frame
 * that is held for reordering goes after so many later frames of its own connection, or after
 * PATIENCE_NS: the last frame of a flight has none behind it. A full store lets frames pass.
 */
#include "faults.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "wire/csum.h"

#define HELD_MAX    64
#define PIECES_MAX  16
#define PATIENCE_NS UINT64_C(3000000)

enum { ETHER = 14, IP4 = 20, IP6 = 40, FRAG6 = 8, PROTO_TCP = 6, PROTO_FRAGMENT = 44 };

struct held {
    uint64_t key, until; /* of its connection; it goes at the latest then */
    uint32_t behind;     /* so many later frames of the connection; 0: only time counts */
    uint32_t len;
    uint8_t frame[FAULTS_FRAME_MAX];
};

struct faults {
    struct fault_cfg cfg;
    struct rng rng;
    faults_out_fn *out;
    void *arg;
    struct fault_totals tot;
    uint32_t ident; /* of the next datagram that is cut */
    int nheld;
    struct held *held[HELD_MAX]; /* in the order in which they came */
};

struct faults *faults_new(const struct fault_cfg *cfg, uint64_t seed, faults_out_fn *out, void *arg)
{
    struct faults *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->cfg = *cfg;
    rng_seed(&f->rng, seed);
    f->out = out;
    f->arg = arg;
    f->ident = (uint32_t)rng_next(&f->rng);
    for (int i = 0; i < HELD_MAX; i++) {
        f->held[i] = malloc(sizeof(*f->held[i]));
        if (f->held[i] == NULL) {
            faults_free(f);
            return NULL;
        }
    }
    return f;
}

void faults_free(struct faults *f)
{
    for (int i = 0; f && i < HELD_MAX; i++)
        free(f->held[i]);
    free(f);
}

const struct fault_totals *faults_totals(const struct faults *f)
{
    return &f->tot;
}

static bool chance(struct faults *f, uint32_t millionths)
{
    return millionths && rng_below(&f->rng, 1000000) < millionths;
}

static uint32_t get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* tcp_key: equal for the frames of one direction of a connection. => 0: no plain TCP over IP. */
static uint64_t tcp_key(const uint8_t *frame, uint32_t len)
{
    const uint8_t *ip = frame + ETHER;
    uint32_t type, head;

    if (len < ETHER + IP4 + 20)
        return 0;
    type = get16(frame + 12);
    head = type == 0x0800 ? (ip[0] & 15) * 4u : IP6;
    if ((type != 0x0800 || ip[9] != PROTO_TCP) && (type != 0x86dd || ip[6] != PROTO_TCP))
        return 0;
    if (len < ETHER + head + 20)
        return 0;
    return hash_bytes(ip + head, 4, 1) | 1; /* the two ports */
}

/* ---- fragments ---- */

struct pieces {
    int n;
    uint32_t len[PIECES_MAX];
    uint8_t frame[PIECES_MAX][FAULTS_FRAME_MAX];
};

/* put_piece: bytes from .. to of the datagram's payload, as a fragment with this header. */
static void put_piece(struct faults *f, struct pieces *v, const uint8_t *frame, uint32_t head,
                      uint32_t from, uint32_t to, bool more)
{
    uint8_t *p = v->frame[v->n], *ip = p + ETHER, *end = ip + head;
    bool v6 = frame[12] == 0x86;
    uint16_t sum;

    memcpy(p, frame, ETHER + head);
    if (v6) {
        ip[6] = PROTO_FRAGMENT;
        put16(ip + 4, FRAG6 + to - from);
        memset(end, 0, FRAG6);
        end[0] = PROTO_TCP;
        put16(end + 2, from | more);
        memcpy(end + 4, &f->ident, 4);
        end += FRAG6;
    } else {
        put16(ip + 2, head + to - from);
        memcpy(ip + 4, &f->ident, 2);
        put16(ip + 6, from / 8 | (more ? 0x2000 : 0));
        put16(ip + 10, 0);
        sum = csum_fold(csum_add(0, ip, head));
        memcpy(ip + 10, &sum, sizeof(sum));
    }
    memcpy(end, frame + ETHER + head + from, to - from);
    v->len[v->n++] = (uint32_t)(end - p) + to - from;
}

/* cut: the frame in 2 or more pieces, in random order. => false: it cannot be cut. */
static bool cut(struct faults *f, const uint8_t *frame, uint32_t len)
{
    bool v6 = frame[12] == 0x86;
    const uint8_t *ip = frame + ETHER;
    uint32_t head = v6 ? IP6 : (ip[0] & 15) * 4u, at = 0;
    uint32_t total = v6 ? get16(ip + 4) : get16(ip + 2) - head;
    struct pieces *v;

    /* nobody cuts a datagram whose header is damaged; it would heal it */
    if (!v6 && csum_fold(csum_add(0, ip, head)) != 0)
        return false;
    if (total < 24 || ETHER + head + total > len || len + FRAG6 > FAULTS_FRAME_MAX)
        return false;
    v = malloc(sizeof(*v));
    if (v == NULL)
        return false;
    v->n = 0;
    f->ident++;
    while (at < total) { /* the first one has the TCP header's first 16 bytes at least */
        uint32_t n = 16 + 8 * (uint32_t)rng_below(&f->rng, 1 + total / 12);

        if (v->n == PIECES_MAX - 1 || at + n > total || (at == 0 && n >= total))
            n = at == 0 ? 16 : total - at;
        put_piece(f, v, frame, head, at, at + n, at + n < total);
        at += n;
    }
    for (int n = v->n; n > 0; n--) {
        int i = (int)rng_below(&f->rng, (uint32_t)n);

        f->out(f->arg, v->frame[i], v->len[i]);
        memcpy(v->frame[i], v->frame[n - 1], v->len[n - 1]);
        v->len[i] = v->len[n - 1];
    }
    free(v);
    f->tot.fragmented++;
    return true;
}

/* leave: out it goes, whole or in pieces. */
static void leave(struct faults *f, const uint8_t *frame, uint32_t len)
{
    if (!tcp_key(frame, len) || !chance(f, f->cfg.fragment) || !cut(f, frame, len))
        f->out(f->arg, frame, len);
}

/* ---- what waits ---- */

/* take: the i-th of those that wait leaves. */
static void take(struct faults *f, int i)
{
    struct held *h = f->held[i];

    memmove(&f->held[i], &f->held[i + 1], sizeof(*f->held) * (size_t)(f->nheld - i - 1));
    f->held[--f->nheld] = h;
    leave(f, h->frame, h->len);
}

static bool hold(struct faults *f, const uint8_t *frame, uint32_t len, uint64_t key, uint64_t now)
{
    struct held *h = f->held[f->nheld < HELD_MAX ? f->nheld : 0];

    if (f->nheld == HELD_MAX || len > FAULTS_FRAME_MAX)
        return false;
    if (chance(f, f->cfg.reorder)) {
        h->behind = 1 + (uint32_t)rng_below(&f->rng, f->cfg.reorder_max);
        h->until = now + PATIENCE_NS;
        f->tot.reordered++;
    } else if (chance(f, f->cfg.delay)) {
        h->behind = 0;
        h->until = now + 1000 * (1 + rng_below(&f->rng, f->cfg.delay_max_us));
        f->tot.delayed++;
    } else {
        return false;
    }
    h->key = key;
    h->len = len;
    memcpy(h->frame, frame, len);
    f->nheld++;
    return true;
}

/* passed: a frame of this connection has left; what waited for it leaves too. */
static void passed(struct faults *f, uint64_t key)
{
    for (int i = 0; i < f->nheld;) {
        struct held *h = f->held[i];

        if (h->key == key && h->behind && --h->behind == 0)
            take(f, i);
        else
            i++;
    }
}

void faults_tick(struct faults *f, uint64_t now_ns)
{
    for (int i = 0; i < f->nheld;) {
        if (f->held[i]->until <= now_ns)
            take(f, i);
        else
            i++;
    }
}

uint64_t faults_due(const struct faults *f)
{
    uint64_t due = UINT64_MAX;

    for (int i = 0; i < f->nheld; i++)
        if (f->held[i]->until < due)
            due = f->held[i]->until;
    return due;
}

void faults_flush(struct faults *f)
{
    faults_tick(f, UINT64_MAX);
}

/* ---- one frame ---- */

static void one_copy(struct faults *f, const uint8_t *frame, uint32_t len, uint64_t key,
                     uint64_t now)
{
    uint8_t wrong[FAULTS_FRAME_MAX];

    if (len <= sizeof(wrong) && chance(f, f->cfg.corrupt)) {
        memcpy(wrong, frame, len);
        wrong[rng_below(&f->rng, len)] ^= (uint8_t)(1 + rng_below(&f->rng, 255));
        frame = wrong;
        f->tot.corrupted++;
    }
    if (hold(f, frame, len, key, now))
        return;
    leave(f, frame, len);
    passed(f, key);
}

void faults_frame(struct faults *f, const uint8_t *frame, uint32_t len, uint64_t now_ns)
{
    uint64_t key = tcp_key(frame, len);

    f->tot.frames++;
    f->tot.bytes += len;
    if (key == 0 || len > FAULTS_FRAME_MAX) {
        f->out(f->arg, frame, len);
        return;
    }
    if (chance(f, f->cfg.drop)) {
        f->tot.dropped++;
        return;
    }
    if (chance(f, f->cfg.duplicate)) {
        f->tot.duplicated++;
        one_copy(f, frame, len, key, now_ns);
    }
    one_copy(f, frame, len, key, now_ns);
}
