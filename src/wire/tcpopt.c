// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcpopt.c: TCP options (RFC 9293 3.1). Nearly every data segment has NOP NOP timestamps and
 * nothing else: that goes first. The rest is a loop with one function per option that matters to
 * tracking.
 */
#include "wire/decode.h"
#include "wire/layers.h"

enum {
    OPT_END = 0,
    OPT_NOP = 1,
    OPT_MSS = 2,
    OPT_WSCALE = 3,
    OPT_SACKOK = 4,
    OPT_SACK = 5,
    OPT_TS = 8
};
enum { OPT_MD5 = 19, OPT_AO = 29, OPT_TFO = 34, OPT_EXP = 254, EXP_TFO = 0xf989 };
/* Options as they lie side by side: kinds and lengths. */
enum {
    NOP_NOP_TS = 0x0101080a,
    MSS_4 = 0x0204,
    SACKOK_TS = 0x0402080a,
    NOP_WSCALE = 0x010303,
    NOP_NOP_SACKOK = 0x01010402,
};
enum { WSCALE_MAX = 14 };

static void take_ts(struct seg *s, const uint8_t *p)
{
    s->flags |= SEG_TS;
    s->tsval = load32(p);
    s->tsecr = load32(p + 4);
}

/* take_sack: RFC 2018 3: blocks of 8 bytes; at most 4 fit in any header. */
static void take_sack(struct seg *s, const uint8_t *p, uint32_t len)
{
    if (len % 8 != 0 || len / 8 > SEG_MAX_SACK)
        return;
    s->nsack = (uint8_t)(len / 8);
    for (uint32_t i = 0; i < s->nsack; i++) {
        s->sack[i].start = load32(p + 8 * i);
        s->sack[i].end = load32(p + 8 * i + 4);
    }
}

static void take_wscale(struct seg *s, uint8_t shift)
{
    s->flags |= SEG_WSCALE;
    s->wscale = shift > WSCALE_MAX ? WSCALE_MAX : shift;
}

/* take_option: one option of len >= 2 bytes, all readable. One that has not its kind's length is
 * passed over. */
static void take_option(struct seg *s, const uint8_t *p, uint32_t len)
{
    switch (p[0]) {
    case OPT_MSS:
        if (len == 4) {
            s->flags |= SEG_MSS;
            s->mss = load16(p + 2);
        }
        break;
    case OPT_WSCALE:
        if (len == 3)
            take_wscale(s, p[2]);
        break;
    case OPT_SACKOK:
        if (len == 2)
            s->flags |= SEG_SACKOK;
        break;
    case OPT_SACK:
        take_sack(s, p + 2, len - 2);
        break;
    case OPT_TS:
        if (len == 10)
            take_ts(s, p + 2);
        break;
    case OPT_MD5: /* RFC 2385 3 */
        if (len == 18)
            s->flags |= SEG_AUTH;
        break;
    case OPT_AO: /* RFC 5925 2.2 */
        if (len >= 4)
            s->flags |= SEG_AUTH;
        break;
    case OPT_TFO: /* RFC 7413 4.1.1: an empty one asks for a cookie */
        s->flags |= SEG_TFO;
        break;
    case OPT_EXP: /* RFC 6994; the magic number of fast open before it had a kind */
        if (len >= 4 && load16(p + 2) == EXP_TFO)
            s->flags |= SEG_TFO;
        break;
    default:
        break;
    }
}

/*
 * take_usual: the options of a segment as nearly all hosts lay them out: timestamps alone; the SYN of Linux (with
 * timestamps, 20 bytes), the SYN of Windows (without, 12 bytes). => false: others, nothing was taken.
 */
static inline bool take_usual(struct seg *s, const uint8_t *p, uint32_t len)
{
    if (len == 12 && load32(p) == NOP_NOP_TS) {
        take_ts(s, p + 4);
        return true;
    }
    if (len == 20 && load16(p) == MSS_4 && load32(p + 4) == SACKOK_TS &&
        load32(p + 16) >> 8 == NOP_WSCALE) {
        take_ts(s, p + 8);
        take_wscale(s, p[19]);
    } else if (len == 12 && load16(p) == MSS_4 && load32(p + 4) >> 8 == NOP_WSCALE &&
               load32(p + 8) == NOP_NOP_SACKOK) {
        take_wscale(s, p[7]);
    } else {
        return false;
    }
    s->flags |= SEG_MSS | SEG_SACKOK;
    s->mss = load16(p + 2);
    return true;
}

void decode_tcp_options(struct seg *s, const uint8_t *p, uint32_t len)
{
    if (likely(take_usual(s, p, len)))
        return;
    while (len > 0 && p[0] != OPT_END) {
        uint32_t n = 1;

        if (p[0] != OPT_NOP) {
            n = len < 2 ? 0 : p[1];
            if (n < 2 || n > len) {
                s->flags |= SEG_OPT_BAD;
                return;
            }
            take_option(s, p, n);
        }
        p += n;
        len -= n;
    }
}
