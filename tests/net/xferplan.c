// SPDX-License-Identifier: BSD-2-Clause
#include "xferplan.h"

#include <string.h>

#include "base/hash.h"

static uint64_t between(struct rng *r, uint64_t lo, uint64_t hi)
{
    return lo + rng_next(r) % (hi - lo + 1);
}

/* size: each doubling is a third as likely as the one before it. */
static uint64_t size(struct rng *r, uint64_t min, uint64_t max)
{
    uint64_t lo = min;

    while (2 * lo < max && rng_below(r, 3) == 0)
        lo *= 2;
    return between(r, lo, 2 * lo < max ? 2 * lo : max);
}

/* length: of one read or write; small ones are as usual as large ones. */
static uint32_t length(struct rng *r)
{
    static const uint32_t most[] = {100, 1460, 5000, 65536, 262144};

    return most[rng_below(r, sizeof(most) / sizeof(most[0]))];
}

static void plan_end(struct rng *r, struct xfer_end *e, uint64_t min, uint64_t max)
{
    memset(e, 0, sizeof(*e));
    e->bytes = size(r, min, max);
    e->write_max = length(r);
    e->read_max = length(r);
    if (e->bytes > 4 * min && e->write_max < 5000) /* not hundreds of thousands of segments */
        e->write_max = 5000;
    if (rng_below(r, 3) == 0) {
        e->pause_bytes = (uint32_t)(min / 4 + 1);
        e->pause_max_us = 1 + (uint32_t)rng_below(r, 60000);
    }
    if (rng_below(r, 2) == 0)
        e->rcvbuf = 4096 << rng_below(r, 8);
    e->nodelay = rng_below(r, 2) == 0;
}

void xfer_plan(struct xfer_plan *p, uint64_t seed, uint16_t port, uint64_t min, uint64_t max)
{
    struct rng r;
    struct xfer_end *e;
    int dropper;

    rng_seed(&r, hash_mix(seed) ^ port);
    p->ending = (int)rng_below(&r, XFER_ENDINGS);
    p->ipv6 = rng_below(&r, 3) == 0;
    p->mss = 536 + (int)rng_below(&r, 1460 - 536 + 1);
    for (int i = 0; i < 2; i++)
        plan_end(&r, &p->end[i], min, max);
    if (p->ending == XFER_HALF)
        p->end[XFER_SERVER].late = between(&r, 1, p->end[XFER_SERVER].bytes);
    dropper = (int)rng_below(&r, 2);
    e = &p->end[dropper];
    e->unread = rng_below(&r, 2) == 0;
    e->reset_at = between(&r, 0, p->end[!dropper].bytes - 1);
    e->resets = p->ending == XFER_RESET;
}

const char *xfer_ending_name(int ending)
{
    static const char *const names[] = {"client-first", "server-first", "both", "half-close",
                                        "reset"};

    return ending >= 0 && ending < XFER_ENDINGS ? names[ending] : "?";
}

/* ---- content ---- */

uint64_t xfer_key(uint64_t seed, uint16_t port, int sender)
{
    return hash_mix(hash_mix(seed) + (uint64_t)port * 2 + (uint64_t)sender + 1);
}

static uint64_t word(uint64_t key, uint64_t n)
{
    return hash_mix(key + n * UINT64_C(0x9e3779b97f4a7c15));
}

void xfer_fill(uint64_t key, uint64_t off, uint8_t *buf, size_t len)
{
    while (len) {
        uint64_t w = word(key, off / 8);
        size_t skip = off % 8, n = 8 - skip < len ? 8 - skip : len;

        memcpy(buf, (uint8_t *)&w + skip, n);
        off += n;
        buf += n;
        len -= n;
    }
}

size_t xfer_check(uint64_t key, uint64_t off, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        uint64_t w = word(key, (off + done) / 8);
        size_t skip = (off + done) % 8, n = 8 - skip < len - done ? 8 - skip : len - done;
        const uint8_t *want = (uint8_t *)&w + skip;

        if (memcmp(buf + done, want, n) != 0) {
            while (buf[done] == *want) {
                done++;
                want++;
            }
            return done;
        }
        done += n;
    }
    return len;
}
