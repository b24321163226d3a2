// SPDX-License-Identifier: BSD-2-Clause
#include "io/partcsum.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/inetsum.h"

#define MAX_TAGS 3
#define MAX_EXT  8

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* What a sender leaves in the field: the folded sum, not inverted, in memory order. */
static uint16_t fold(uint64_t sum)
{
    return (uint16_t)~csum_fold(sum);
}

static uint64_t sum32(const uint8_t *p, int words)
{
    uint64_t sum = 0;

    for (int i = 0; i < words; i++)
        sum += get32(p + 4 * i);
    return sum;
}

/* Where the network header begins, its ethertype through *type. => 0: too short */
static uint32_t skip_tags(const struct pktbuf *pb, uint16_t *type)
{
    uint32_t at = 14;

    for (int i = 0; at <= pb->len; i++) {
        *type = get16(pb->data + at - 2);
        if ((*type != 0x8100 && *type != 0x88a8) || i == MAX_TAGS)
            return at;
        at += 4;
    }
    return 0;
}

/* Past IPv6 extension headers. => 0: a fragment, or not to be followed */
static uint32_t skip_ext(const struct pktbuf *pb, uint32_t at, uint8_t *proto)
{
    for (int i = 0; i < MAX_EXT; i++) {
        if (*proto != IPPROTO_HOPOPTS && *proto != IPPROTO_DSTOPTS && *proto != IPPROTO_ROUTING)
            return at;
        if (at + 8 > pb->len)
            return 0;
        *proto = pb->data[at];
        at += 8 + 8u * pb->data[at + 1];
    }
    return 0;
}

struct found {
    uint32_t l4;     /* offset of the transport header */
    uint32_t len;    /* of it and what follows */
    uint64_t pseudo; /* sum of the addresses */
    uint8_t proto;
};

static bool find4(const struct pktbuf *pb, uint32_t at, struct found *f)
{
    const uint8_t *ip = pb->data + at;
    uint32_t hlen, total;

    if (at + 20 > pb->len || ip[0] >> 4 != 4 || (get16(ip + 6) & 0x3fff) != 0)
        return false;
    hlen = (ip[0] & 15) * 4u;
    total = get16(ip + 2);
    if (hlen < 20 || total < hlen)
        return false;
    f->l4 = at + hlen;
    f->len = total - hlen;
    f->pseudo = sum32(ip + 12, 2);
    f->proto = ip[9];
    return true;
}

static bool find6(const struct pktbuf *pb, uint32_t at, struct found *f)
{
    const uint8_t *ip = pb->data + at;

    if (at + 40 > pb->len || ip[0] >> 4 != 6)
        return false;
    f->proto = ip[6];
    f->l4 = skip_ext(pb, at + 40, &f->proto);
    if (f->l4 == 0 || f->l4 > at + 40 + get16(ip + 4))
        return false;
    f->len = at + 40 + get16(ip + 4) - f->l4;
    f->pseudo = sum32(ip + 8, 8);
    return true;
}

/* A sum goes to the end of the frame: is what is behind the datagram nothing to it? */
static bool ends_with_zeros(const struct pktbuf *pb, uint32_t from)
{
    while (from < pb->len && pb->data[from] == 0)
        from++;
    return from >= pb->len;
}

uint32_t partcsum_find(struct pktbuf *pb, uint8_t *proto)
{
    struct found f = {0};
    uint16_t type = 0, field;
    uint32_t at = skip_tags(pb, &type), off;

    if (at == 0 || !(type == 0x0800 ? find4(pb, at, &f) : type == 0x86dd && find6(pb, at, &f)))
        return 0;
    *proto = f.proto;
    if (f.proto == IPPROTO_TCP && f.len >= 20)
        off = 16;
    else if (f.proto == IPPROTO_UDP && f.len >= 8)
        off = 6;
    else
        return 0;
    if (f.l4 + f.len > pb->len)
        return 0;
    memcpy(&field, pb->data + f.l4 + off, sizeof(field));
    if (unlikely(field == fold(f.pseudo + htonl(f.len) + htonl(f.proto))) &&
        ends_with_zeros(pb, f.l4 + f.len)) {
        pb->flags |= PB_CSUM_PART;
        pb->csum_start = (uint16_t)f.l4;
        pb->csum_off = (uint16_t)off;
    }
    return f.l4;
}
