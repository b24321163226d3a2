// SPDX-License-Identifier: BSD-2-Clause
/* plainhdr.c: TCP's options looked through, and what the library has counted of IP's. */
#include "plainhdr.h"

#include <netinet/ip6.h>
#include <stdbool.h>

#define TCP_BARE  20
#define TIMESTAMP 12 /* with the two NOPs that align it (RFC 7323, appendix A) */

/* Kinds that a repetition may have (IANA, "TCP Parameters"), and how long they are at most. */
static const uint8_t longest[] = {
    [2] = 4,   /* maximum segment size */
    [3] = 3,   /* window scale */
    [4] = 2,   /* SACK permitted */
    [5] = 34,  /* SACK */
    [8] = 10,  /* timestamps */
    [19] = 18, /* MD5 signature */
    [28] = 4,  /* user timeout */
    [29] = 40, /* TCP-AO */
    [30] = 40, /* multipath */
    [34] = 18, /* fast open cookie */
};

/* Options, of which n bytes are left. => how long the first is; 0: all that is left is none. */
static uint32_t option_len(const uint8_t *o, uint32_t n)
{
    if (o[0] == 1)
        return 1;
    if (o[0] == 0 || n < 2 || o[1] < 2 || o[1] > n)
        return 0;
    return o[1];
}

static bool is_known(const uint8_t *o, uint32_t len)
{
    return o[0] == 1 || (o[0] < sizeof(longest) && len <= longest[o[0]]);
}

/* What follows the end of the options: zeros (RFC 9293 3.1), or anything. */
static bool is_padding(const uint8_t *o, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (o[i])
            return false;
    return true;
}

static void add_odd(struct plainhdr *h, const void *at, uint32_t n)
{
    if (!h->shown) {
        h->shown = at;
        h->nshown = n;
    }
    h->odd += n;
}

/* TCP's options. => has it a timestamp? */
static bool look_through(struct plainhdr *h, const uint8_t *o, uint32_t n)
{
    bool stamp = false;

    for (uint32_t len; n; o += len, n -= len) {
        len = option_len(o, n);
        stamp |= o[0] == 8 && len == 10;
        if (len && is_known(o, len))
            continue;
        if (len == 0 && is_padding(o, n))
            break;
        len = len ? len : n;
        add_odd(h, o, len);
    }
    return stamp;
}

struct plainhdr plainhdr_of(const struct pkt_info *p, const struct mos_rexmit_info *info)
{
    uint32_t bare = p->ip6h ? sizeof(struct ip6_hdr) : sizeof(struct iphdr), more;
    const uint8_t *ip = p->ip6h ? (const uint8_t *)p->ip6h : (const uint8_t *)p->iph;
    struct plainhdr h = {.plain = bare + TCP_BARE + info->len, .odd = p->len32 - info->plain_len};

    if (!p->tcph || !p->payload) { /* the header was not captured as a whole */
        h.plain = h.plain < p->len32 ? h.plain : p->len32;
        return h;
    }
    if (h.odd && (const uint8_t *)p->tcph > ip + bare) {
        h.shown = ip + bare;
        h.nshown = (uint32_t)((const uint8_t *)p->tcph - (ip + bare));
    }
    more = (((const uint8_t *)p->tcph)[12] >> 4) * 4U - TCP_BARE;
    h.plain = info->plain_len - more;
    if (look_through(&h, (const uint8_t *)p->tcph + TCP_BARE, more))
        h.plain += more < TIMESTAMP ? more : TIMESTAMP;
    return h;
}
