// SPDX-License-Identifier: BSD-2-Clause
/*
 * fixsum.c: a checksum field is the complement of a sum. Of each change, what the sum over the bytes
 * concerned was before is taken off, what it is afterwards is added, and the field follows when that is
 * asked for. The field itself counts among the bytes: a program that has zeroed it gets the same.
 */
#include "wire/fixsum.h"

#include <string.h>

#include "wire/csum.h"

enum { IP_SUM = 10, TCP_SUM = 16 };

static uint16_t folded(uint64_t sum)
{
    return (uint16_t)~csum_fold(sum);
}

/* part: of [lo, hi), what lies in [start, end), in whole words as seen from `start`. */
static uint64_t part(const uint8_t *p, uint32_t lo, uint32_t hi, uint32_t start, uint32_t end)
{
    lo = lo > start ? lo - ((lo - start) & 1) : start;
    hi = hi > start ? hi + ((hi - start) & 1) : start;
    hi = hi < end ? hi : end;
    return lo < hi ? csum_add(0, p + lo, hi - lo) : 0;
}

/* addresses: what of the IP header is in TCP's pseudo header. */
static uint64_t addresses(const struct seg *s)
{
    const uint32_t n = s->flags & SEG_IP6 ? 16 : 4;

    return csum_add(csum_add(0, s->src.b, n), s->dst.b, n);
}

static struct fixpart part_of(const struct seg *s, uint32_t lo, uint32_t hi)
{
    struct fixpart v = {.ip_len = s->ip_len, .l4_off = s->l4_off, .level = s->level};
    const uint8_t *p = s->pb->data;

    if (s->level < SEG_IP)
        return v;
    v.ip = folded(part(p, lo, hi, s->l3_off, s->l4_off));
    if (s->level == SEG_TCP)
        v.tcp = folded(addresses(s) + part(p, lo, hi, s->l4_off, s->pay_off + s->pcap));
    return v;
}

bool fixsum_is_of(const struct fixsum *f, const struct seg *s, uint64_t number)
{
    return f->pb == s->pb && f->number == number;
}

static void renew(struct fixsum *f, const struct seg *s, uint64_t number)
{
    if (!fixsum_is_of(f, s, number))
        *f = (struct fixsum){.pb = s->pb, .number = number};
}

struct fixpart fixsum_begin(struct fixsum *f, const struct seg *s, uint64_t number, uint32_t lo,
                            uint32_t hi)
{
    renew(f, s, number);
    return part_of(s, lo, hi);
}

static void differ(uint16_t *sum, uint16_t was, uint16_t is)
{
    *sum = folded((uint64_t)*sum + (uint16_t)~was + is);
}

void fixsum_end(struct fixsum *f, const struct seg *s, struct fixpart was, uint32_t lo, uint32_t hi)
{
    const struct fixpart is = part_of(s, lo, hi);

    if (is.level != was.level || is.l4_off != was.l4_off)
        f->other = true;
    f->longer += is.ip_len - was.ip_len;
    differ(&f->ip, was.ip, is.ip);
    differ(&f->tcp, was.tcp, is.tcp);
}

void fixsum_payload(struct fixsum *f, uint32_t lo, uint32_t hi)
{
    if (f->pay_hi == 0 || lo < f->pay_lo)
        f->pay_lo = lo;
    if (hi > f->pay_hi)
        f->pay_hi = hi;
}

/* move: the field at p, by what its sum differs. RFC 1624 eqn. 3, as csum_update. */
static void move(uint8_t *p, uint16_t *by)
{
    uint16_t v;

    memcpy(&v, p, 2);
    v = csum_fold((uint64_t)(uint16_t)~v + *by);
    memcpy(p, &v, 2);
    *by = 0;
}

void fixsum_ip(struct fixsum *f, const struct seg *s, uint64_t number)
{
    renew(f, s, number);
    if (s->level < SEG_IP || (s->flags & SEG_IP6))
        return;
    if (f->other)
        csum_ip_set(s);
    else
        move(s->pb->data + s->l3_off + IP_SUM, &f->ip);
    f->ip = 0;
}

void fixsum_tcp(struct fixsum *f, const struct seg *s, uint64_t number)
{
    renew(f, s, number);
    if (f->other || f->longer || (s->pb->flags & PB_CSUM_PART))
        csum_tcp_set(s);
    else if (s->level == SEG_TCP && !(s->flags & (SEG_FRAG | SEG_HDR_CUT)))
        move(s->pb->data + s->l4_off + TCP_SUM, &f->tcp);
    f->tcp = 0;
}
