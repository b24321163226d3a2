// SPDX-License-Identifier: BSD-2-Clause
/*
 * fragframe.c: the frame of a datagram that was put together: the first fragment's link and IP
 * header, as if it had come whole; and the room in which such frames lie until the burst is over.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/csum.h"
#include "wire/defrag.h"
#include "wire/layers.h"

enum { IP4_LEN = 2, IP4_FRAG = 6, IP4_CSUM = 10, IP4_DF = 0x4000 };
enum { IP6_LEN = 4, IP6_NEXT = 6, IP6_HDR = 40, FRAG_HDR = 8, IPP_FRAGMENT = 44 };
enum { MAX_LEN = 65535 };
enum { MIN_TYPE = 1536 }; /* an Ethernet type field below it is an 802.3 length */

/* ---- room ---- */

#define CHUNK ((size_t)1 << 17)

struct frag_chunk {
    struct frag_chunk *next;
    size_t cap, used;
    uint8_t data[] __attribute__((aligned(16)));
};

static struct frag_chunk *more_room(struct frag_room *r, size_t n)
{
    size_t cap = n > CHUNK ? n : CHUNK;
    struct frag_chunk *c = malloc(sizeof(*c) + cap);

    if (c == NULL)
        return NULL;
    c->cap = cap;
    c->used = 0;
    c->next = r->at ? r->at->next : r->first;
    *(r->at ? &r->at->next : &r->first) = c;
    return c;
}

void *frag_room_get(struct frag_room *r, size_t n)
{
    struct frag_chunk *c = r->at ? r->at : r->first;

    n = (n + 15) & ~(size_t)15;
    while (c && c->cap - c->used < n) {
        r->at = c;
        c = c->next;
    }
    if (c == NULL)
        c = more_room(r, n);
    if (c == NULL)
        return NULL;
    r->at = c;
    c->used += n;
    return memset(c->data + c->used - n, 0, n);
}

void frag_room_empty(struct frag_room *r, bool poison)
{
    for (struct frag_chunk *c = r->first; c && c->used; c = c->next) {
        if (poison)
            memset(c->data, 0xDB, c->used);
        c->used = 0;
    }
    r->at = NULL;
}

void frag_room_fini(struct frag_room *r)
{
    while (r->first) {
        struct frag_chunk *c = r->first;

        r->first = c->next;
        free(c);
    }
    r->at = NULL;
}

/* ---- headers ---- */

static bool ip4_header(uint8_t *ip, uint32_t hlen, uint32_t len)
{
    uint16_t sum;

    if (hlen + len > MAX_LEN)
        return false;
    store16(ip + IP4_LEN, hlen + len);
    store16(ip + IP4_FRAG, load16(ip + IP4_FRAG) & IP4_DF);
    store16(ip + IP4_CSUM, 0);
    sum = csum_fold(csum_add(0, ip, hlen));
    memcpy(ip + IP4_CSUM, &sum, sizeof(sum));
    return true;
}

/* ip6_header: `hlen` bytes without the fragment header, of which `next` was the first byte. */
static bool ip6_header(uint8_t *ip, uint32_t hlen, uint32_t len, uint8_t next)
{
    uint32_t field = IP6_NEXT, at = IP6_HDR;

    if (hlen - IP6_HDR + len > MAX_LEN)
        return false;
    store16(ip + IP6_LEN, hlen - IP6_HDR + len);
    while (at < hlen) { /* decode has walked the same way */
        uint32_t size = ip[field] == IPP_AH ? (ip[at + 1] + 2u) * 4 : (ip[at + 1] + 1u) * 8;

        field = at;
        at += size;
    }
    ip[field] = next;
    return true;
}

/* link_length: the link layer's own length field, where it has one, grows with the datagram. */
static bool link_length(uint8_t *frame, const struct frag_head *h, uint32_t ip_len)
{
    uint32_t len;

    if (h->link_len_off == 0)
        return true;
    len = load16(frame + h->link_len_off) + ip_len - h->ip_len;
    store16(frame + h->link_len_off, len);
    /* PPPoE's is followed by a protocol below 256, 802.3's by the LLC of SNAP, 0xaaaa */
    return len < (load16(frame + h->link_len_off + 2) == 0xaaaa ? MIN_TYPE : MAX_LEN);
}

bool frag_frame(struct datagram *g, const struct frag_head *h, uint32_t len, struct frag_room *room)
{
    uint32_t keep = h->v6 ? h->len - FRAG_HDR : h->len, hlen = keep - h->l3_off;
    uint8_t *p = frag_room_get(room, keep + (size_t)len + 4), *ip;

    if (p == NULL)
        return false;
    p += -h->l3_off & 3; /* the IP header on a multiple of 4 */
    ip = p + h->l3_off;
    memcpy(p, h->data, keep);
    if (h->ce)
        ip[1] |= h->v6 ? 0x30 : 0x03;
    if (!(h->v6 ? ip6_header(ip, hlen, len, h->data[keep]) : ip4_header(ip, hlen, len)) ||
        !link_length(p, h, hlen + len))
        return false;
    g->payload = p + keep;
    g->len = len;
    g->pb = (struct pktbuf){
        .data = p, .len = keep + len, .wire_len = keep + len, .cap = keep + len, .refs = 1};
    return true;
}
