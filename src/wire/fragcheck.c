// SPDX-License-Identifier: BSD-2-Clause
/*
 * fragcheck.c: what a fragment says of itself: its key, and whether it is fit to be kept at all.
 *
 * A host like Linux (FW_DISCARD) goes other ways than most with a piece of an odd length, none or too
 * much: enum frag_effect. Its rules are those of ip_frag_queue() and ip6_frag_queue().
 */
#include <string.h>

#include "base/hash.h"
#include "wire/fragtab.h"
#include "wire/layers.h"

static bool is_extension(uint8_t proto)
{
    return proto == 43 || proto == 51 || proto == 60 || proto == 135 || proto == 139 ||
           proto == 140;
}

/*
 * find_tcp: IPv6: where TCP begins in a first fragment, behind extension headers.
 * => REASON_IP_FRAGMENT: there is none; REASON_FRAG_TINY: the headers do not end in it (RFC 7112).
 *    Only hosts that are strict mind if it is a header's beginning that is missing (Linux:
 *    ipv6frag_thdr_truncated): tcp_at is beyond the fragment then.
 */
static enum reason find_tcp(const struct defrag *d, struct frag *f)
{
    uint8_t proto = f->s->l4proto;
    uint32_t at = 0;

    while (is_extension(proto)) { /* as many as there are, of 8 bytes or more */
        const uint8_t *p = f->data + at;

        if (at + FRAG_UNIT > f->len && !d->conf.strict) {
            f->tcp_at = f->len + 1;
            return REASON_NONE;
        }
        if (at + FRAG_UNIT > f->len)
            return REASON_FRAG_TINY;
        at += proto == IPP_AH ? (p[1] + 2u) * 4 : (p[1] + 1u) * 8;
        proto = p[0];
    }
    f->tcp_at = at;
    if (proto != IPP_TCP)
        return REASON_IP_FRAGMENT;
    return at + FRAG_TCP_HEADER > f->len ? REASON_FRAG_TINY : REASON_NONE;
}

/* length_lies: => refused; f->effect says what Linux does, for which an IPv4 piece is cut. */
static bool length_lies(struct frag *f)
{
    const struct seg *s = f->s;
    const uint8_t *ip = s->pb->data + s->l3_off;
    uint32_t said = s->flags & SEG_IP6 ? load16(ip + 4) + 40u : load16(ip + 2);
    bool odd = f->more && f->len % FRAG_UNIT, none = f->len == 0, lies;

    if (said != s->ip_len)
        return true;
    if (f->key.v6) {
        lies = odd || f->off + f->len > FRAG_MAX_LEN; /* a parameter problem: no more than that */
        if (none && f->off > 0)
            f->effect = FE_KILLS;
        return lies || none;
    }
    lies = odd || none || f->off + f->len + (s->l4_off - s->l3_off) > FRAG_MAX_LEN;
    f->len -= odd ? f->len % FRAG_UNIT : 0;
    if (lies)
        f->effect = f->len ? FE_TAKEN : FE_KILLS;
    return lies;
}

/* tcp_missing: does it not have of TCP's header what it must? */
static enum reason tcp_missing(const struct defrag *d, struct frag *f)
{
    enum reason why = REASON_NONE;

    if (f->off > 0)
        return f->s->l4proto == IPP_TCP && f->off < d->conf.min_tcp ? REASON_FRAG_HEADER
                                                                    : REASON_NONE;
    if (f->key.v6)
        why = find_tcp(d, f);
    if (why == REASON_NONE && f->tcp_at <= f->len && f->len - f->tcp_at < d->conf.min_tcp)
        why = REASON_FRAG_TINY; /* RFC 1858 3 */
    return why;
}

enum reason frag_examine(const struct defrag *d, struct frag *f)
{
    const struct seg *s = f->s;
    enum reason why;
    bool lies;

    if (!f->key.v6 && s->l4proto != IPP_TCP)
        return REASON_IP_FRAGMENT;
    if (s->flags & SEG_IPCSUM_BAD)
        return REASON_IP_CSUM;
    if (s->flags & (SEG_IP_DROPPED | SEG_IP_LINUX))
        return (enum reason)s->ip_why;
    if (s->flags & SEG_TRUNC)
        return REASON_FRAG_CUT;
    lies = length_lies(f);
    if (lies && f->effect != FE_TAKEN)
        return REASON_FRAG_LEN;
    why = tcp_missing(d, f);
    if (why != REASON_NONE)
        f->effect = FE_NONE;
    return why == REASON_NONE && lies ? REASON_FRAG_LEN : why;
}

void frag_make_key(const struct defrag *d, struct frag *f)
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
