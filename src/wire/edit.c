// SPDX-License-Identifier: BSD-2-Clause
/*
 * edit.c: changes to a frame in place. All of them go the same way:
 *
 *   1 sum what the checksums cover, as far as the change can touch it   (sums_of, before)
 *   2 move and write bytes, put the length fields right
 *   3 decode again
 *   4 sum the same part, as it is now                                   (sums_of, after)
 *   5 move each checksum by the difference                              (settle)
 *
 * Headers are summed whole (they are short), payload only where it changes; a change that moves the
 * boundaries of layers (a length, a protocol, a header length) has the whole segment summed twice.
 * The sums include the checksum field itself, so that it may even move.
 */
#include "wire/build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/errtext.h"
#include "wire/csum.h"
#include "wire/decode.h"
#include "wire/layers.h"

enum { IP4_CSUM = 10, TCP_CSUM = 16, TO_END = UINT32_MAX };

/* What each checksum covers, as far as a change can touch it. */
struct sums {
    bool has_ip, has_tcp;
    uint64_t ip, tcp;
};

/* ---- sums ---- */

static uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* l4_captured: bytes of the IP payload that lie in the frame. */
static uint32_t l4_captured(const struct seg *s)
{
    return min32(s->pb->len, s->l3_off + s->ip_len) - s->l4_off;
}

static bool has_tcp_csum(const struct seg *s)
{
    return s->level >= SEG_IP && s->l4proto == IPP_TCP && !(s->flags & SEG_FRAG) &&
           l4_captured(s) >= TCP_CSUM + 2;
}

static uint64_t pseudo_sum(const struct seg *s)
{
    uint32_t n = s->flags & SEG_IP6 ? 16 : 4;
    uint64_t sum = csum_add(csum_add(htons(IPP_TCP), s->src.b, n), s->dst.b, n);

    return sum + htonl(s->ip_len - (uint32_t)(s->l4_off - s->l3_off));
}

/* l4_sum: the segment's bytes in the frame's [lo, hi), from the 16-bit word that lo is in. */
static uint64_t l4_sum(const struct seg *s, uint32_t lo, uint32_t hi)
{
    uint32_t len = l4_captured(s), from, to;

    from = lo > s->l4_off ? min32(lo - s->l4_off, len) & ~1u : 0;
    to = hi > s->l4_off ? min32(hi - s->l4_off, len) : 0;
    return from < to ? csum_add(0, s->pb->data + s->l4_off + from, to - from) : 0;
}

static struct sums sums_of(const struct seg *s, uint32_t lo, uint32_t hi)
{
    struct sums sums = {.has_ip = s->level >= SEG_IP && !(s->flags & SEG_IP6),
                        .has_tcp = has_tcp_csum(s)};
    const uint8_t *ip = s->pb->data + s->l3_off;

    if (sums.has_ip)
        sums.ip = csum_add(0, ip, (ip[0] & 15u) * 4);
    if (sums.has_tcp) {
        sums.tcp = pseudo_sum(s);
        if (!(s->pb->flags & PB_CSUM_PART))
            sums.tcp += l4_sum(s, lo, hi);
    }
    return sums;
}

/* move_csum: RFC 1624 eqn. 3, by the sums. `invert`: the field holds the plain sum (PART). */
static void move_csum(uint8_t *field, uint64_t before, uint64_t after, bool invert)
{
    uint16_t flip = invert ? 0xffff : 0, v = load16_raw(field) ^ flip;

    v = csum_fold((uint64_t)(uint16_t)~v + csum_fold(before) + after) ^ flip;
    memcpy(field, &v, 2);
}

/* settle: s is decoded anew; a field in [given, given_end) was written by its owner and stays. */
static void settle(const struct seg *s, const struct sums *before, const struct sums *after,
                   uint32_t given, uint32_t given_end)
{
    uint32_t ip = s->l3_off + (uint32_t)IP4_CSUM, tcp = s->l4_off + (uint32_t)TCP_CSUM;

    if (before->has_ip && after->has_ip && (given_end <= ip || given >= ip + 2))
        move_csum(s->pb->data + ip, before->ip, after->ip, false);
    if (before->has_tcp && after->has_tcp && (given_end <= tcp || given >= tcp + 2))
        move_csum(s->pb->data + tcp, before->tcp, after->tcp, s->pb->flags & PB_CSUM_PART);
}

static int finish(struct seg *s)
{
    s->pb->flags |= PB_CHANGED;
    decode(s, s->pb);
    return 0;
}

/* ---- overwrite ---- */

/* same: does the write leave the bytes [lo, hi) of the frame as they are? */
static bool same(const struct seg *s, uint32_t lo, uint32_t hi, uint32_t off, const uint8_t *data,
                 uint32_t len)
{
    lo = max32(lo, off);
    hi = min32(hi, off + len);
    return lo >= hi || memcmp(s->pb->data + lo, data + (lo - off), hi - lo) == 0;
}

/* keeps_shape: will every layer begin and end where it does now? */
static bool keeps_shape(const struct seg *s, uint32_t off, const uint8_t *data, uint32_t len)
{
    uint32_t link = s->pb->linktype == LINK_ETHER ? 12 : 0, ip = s->l3_off;

    if (s->level < SEG_IP)
        return false;
    if (off >= s->l4_off)
        return true;
    if (!same(s, link, ip + 1, off, data, len)) /* tags, version, IPv4 header length */
        return false;
    if (s->flags & SEG_IP6)
        return same(s, ip + 4, ip + 7, off, data, len) &&
               same(s, ip + 40, s->l4_off, off, data, len);
    return same(s, ip + 2, ip + 4, off, data, len) && same(s, ip + 6, ip + 8, off, data, len) &&
           same(s, ip + 9, ip + 10, off, data, len) && same(s, ip + 20, s->l4_off, off, data, len);
}

int edit_overwrite(struct seg *s, uint32_t off, const uint8_t *data, uint32_t len)
{
    struct pktbuf *pb = s->pb;
    struct sums before, after;
    uint32_t hi;

    if (off > pb->len || len > pb->len - off)
        return err_set(EINVAL, "overwrite of %u bytes at %u is outside the frame of %u", len, off,
                       pb->len);
    if (len == 0)
        return 0;
    hi = keeps_shape(s, off, data, len) ? off + len : TO_END;
    before = sums_of(s, off, hi);
    memcpy(pb->data + off, data, len);
    finish(s);
    after = sums_of(s, off, hi);
    settle(s, &before, &after, off, off + len);
    return finish(s);
}

/* ---- payload that grows and shrinks ---- */

/* set_lengths: the datagram has ip_len bytes now. A 0 (segmentation offload) stays: the frame's
 * length counts there. */
static void set_lengths(const struct seg *s, uint32_t ip_len)
{
    uint8_t *p = s->pb->data, *ip = p + s->l3_off;

    if (s->link_len_off)
        store16(p + s->link_len_off, s->l3_off + ip_len - s->link_len_off - 2);
    if (s->flags & SEG_IP6) {
        if (load16(ip + 4) != 0)
            store16(ip + 4, ip_len - 40);
    } else if (load16(ip + 2) != 0) {
        store16(ip + 2, ip_len);
    }
}

/* resize: len bytes at `at` become new_len bytes (new, if there are any). The frame's end moves
 * with them. */
static int resize(struct seg *s, uint32_t at, uint32_t len, const uint8_t *new_, uint32_t new_len)
{
    struct pktbuf *pb = s->pb;
    struct sums before = sums_of(s, at, TO_END), after;
    uint32_t wire = max32(pb->wire_len, pb->len);

    memmove(pb->data + at + new_len, pb->data + at + len, pb->len - at - len);
    if (new_len)
        memcpy(pb->data + at, new_, new_len);
    set_lengths(s, s->ip_len - len + new_len);
    pb->len = pb->len - len + new_len;
    pb->wire_len = wire - len + new_len;
    finish(s);
    after = sums_of(s, at, TO_END);
    settle(s, &before, &after, TO_END, TO_END);
    return finish(s);
}

static int check_place(const struct seg *s, uint32_t off, uint32_t len)
{
    if (s->level != SEG_TCP)
        return err_set(EINVAL, "not a TCP segment: %s", reason_text(s->reason));
    if (off > s->pcap || len > s->pcap - off)
        return err_set(EINVAL, "%u bytes at %u are outside the payload of %u", len, off, s->pcap);
    return 0;
}

int edit_chomp(struct seg *s, uint32_t off, uint32_t len)
{
    if (check_place(s, off, len) < 0)
        return -1;
    return len ? resize(s, s->pay_off + off, len, NULL, 0) : 0;
}

/* unsized: an IP length of 0: the frame's own counts (a large segment, to be cut later). */
static bool unsized(const struct seg *s)
{
    return load16(s->pb->data + s->l3_off + (s->flags & SEG_IP6 ? 4 : 2)) == 0;
}

int edit_replace(struct seg *s, uint32_t off, uint32_t len, const uint8_t *data, uint32_t new_len)
{
    struct pktbuf *pb = s->pb;
    uint64_t ip_len = (uint64_t)s->ip_len - len + new_len;

    if (check_place(s, off, len) < 0)
        return -1;
    if (new_len > len && ip_len > UINT16_MAX && !unsized(s))
        return err_set(EMSGSIZE, "datagram would be %llu bytes long", (unsigned long long)ip_len);
    if (new_len > len && new_len - len > pb->cap - pb->len)
        return err_set(ENOSPC, "no room for %u more bytes in the frame", new_len - len);
    return len || new_len ? resize(s, s->pay_off + off, len, data, new_len) : 0;
}

int edit_insert(struct seg *s, uint32_t off, const uint8_t *data, uint32_t len)
{
    return edit_replace(s, off, 0, data, len);
}

/* ---- numbers ---- */

enum { OPT_END = 0, OPT_NOP = 1, OPT_SACK = 5, OPT_TS = 8, TCP_FIXED = 20 };

struct edit_numbers edit_numbers_of(const struct seg *s)
{
    struct edit_numbers n = {.seq = s->seq,
                             .ack = s->ack,
                             .win = s->win,
                             .urp = s->urp,
                             .tflags = s->tflags,
                             .tsval = s->tsval,
                             .nsack = s->nsack};

    for (int i = 0; i < s->nsack; i++) {
        n.sack[i].start = s->sack[i].start;
        n.sack[i].end = s->sack[i].end;
    }
    return n;
}

/* put_sacks: into the SACK option at p, which has `len` bytes. */
static void put_sacks(uint8_t *p, uint32_t len, const struct edit_numbers *n)
{
    uint32_t used = n->nsack ? 2 + 8u * n->nsack : 0;

    if (used > len)
        return;
    if (n->nsack)
        p[1] = (uint8_t)used;
    for (int i = 0; i < n->nsack; i++) {
        store32(p + 2 + 8 * i, n->sack[i].start);
        store32(p + 6 + 8 * i, n->sack[i].end);
    }
    memset(p + used, OPT_NOP, len - used);
}

static void renumber_options(const struct seg *s, uint8_t *tcp, const struct edit_numbers *n)
{
    uint32_t at = TCP_FIXED;

    if (s->nsack == 0 && n->tsval == s->tsval)
        return;
    while (at + 1 < s->hdr_len && tcp[at] != OPT_END) {
        uint32_t len = tcp[at] == OPT_NOP ? 1 : tcp[at + 1];

        if (tcp[at] != OPT_NOP && (len < 2 || at + len > s->hdr_len))
            return;
        if (tcp[at] == OPT_SACK)
            put_sacks(tcp + at, len, n);
        if (tcp[at] == OPT_TS && len == 10)
            store32(tcp + at + 2, n->tsval);
        at += len;
    }
}

void edit_renumber(struct seg *s, const struct edit_numbers *n)
{
    uint8_t *tcp = s->pb->data + s->l4_off;
    uint32_t len = min32(s->hdr_len, l4_captured(s)) & ~1u;
    uint64_t before = csum_add(0, tcp, len), after;

    store32(tcp + 4, n->seq);
    store32(tcp + 8, n->ack);
    tcp[13] = n->tflags;
    if (len >= TCP_FIXED) {
        store16(tcp + 14, n->win);
        store16(tcp + 18, n->urp);
    }
    if (len == s->hdr_len)
        renumber_options(s, tcp, n);
    after = csum_add(0, tcp, len);
    if (has_tcp_csum(s) && !(s->pb->flags & PB_CSUM_PART))
        move_csum(tcp + TCP_CSUM, before, after, false);
    finish(s);
}
