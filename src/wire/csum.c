// SPDX-License-Identifier: BSD-2-Clause
#include "wire/csum.h"

#include <arpa/inet.h>

#include "wire/layers.h"

/* RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'). csum_fold(m) is ~m. The form never turns a true 0x0000
 * into 0xffff. */
uint16_t csum_update(uint16_t field, const void *old, size_t old_len, const void *new_,
                     size_t new_len)
{
    uint64_t sum = (uint16_t)~field;

    sum += csum_fold(csum_add(0, old, old_len));
    return csum_fold(csum_add(sum, new_, new_len));
}

static bool is_whole_tcp(const struct seg *s)
{
    return s->level == SEG_TCP && !(s->flags & (SEG_TRUNC | SEG_FRAG));
}

/* pseudo_sum: over the pseudo header (RFC 9293 3.1, RFC 8200 8.1). */
static uint64_t pseudo_sum(const struct seg *s)
{
    uint32_t n = s->flags & SEG_IP6 ? 16 : 4;
    uint64_t sum = (uint64_t)htons(IPP_TCP) + htonl(s->hdr_len + s->plen);

    return csum_add(csum_add(sum, s->src.b, n), s->dst.b, n);
}

/* tcp_sum: over the segment and its pseudo header, the checksum field included. */
static uint64_t tcp_sum(const struct seg *s)
{
    return csum_add(pseudo_sum(s), s->pb->data + s->l4_off, s->hdr_len + s->plen);
}

bool csum_tcp_ok(const struct seg *s, bool *known)
{
    *known = is_whole_tcp(s) && !(s->pb->flags & PB_CSUM_PART);
    if (!*known)
        return false;
    if (s->pb->flags & (PB_CSUM_GOOD | PB_CSUM_BAD))
        return !(s->pb->flags & PB_CSUM_BAD);
    return csum_fold(tcp_sum(s)) == 0;
}

void csum_tcp_set(const struct seg *s)
{
    uint8_t *field = s->pb->data + s->l4_off + 16;
    uint16_t csum;

    if (!is_whole_tcp(s))
        return;
    if (s->pb->flags & PB_CSUM_PART) {
        csum = (uint16_t)~csum_fold(pseudo_sum(s));
    } else {
        memset(field, 0, 2);
        csum = csum_fold(tcp_sum(s));
    }
    memcpy(field, &csum, 2);
    s->pb->flags &= (uint8_t)~PB_CSUM_BAD;
}

void csum_ip_set(const struct seg *s)
{
    uint8_t *p = s->pb->data + s->l3_off;
    uint16_t csum;

    if (s->level < SEG_IP || s->flags & SEG_IP6)
        return;
    memset(p + 10, 0, 2);
    csum = csum_fold(csum_add(0, p, (p[0] & 15u) * 4));
    memcpy(p + 10, &csum, 2);
}
