// SPDX-License-Identifier: BSD-2-Clause
#include "io/afpring.h"

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>

#define HDR2 TPACKET_ALIGN(sizeof(struct tpacket2_hdr))
#define HDR3 TPACKET_ALIGN(sizeof(struct tpacket3_hdr))

static_assert(sizeof(struct virtio_net_hdr) == AFP_VNET, "as AFP_MAC has it");
static_assert(TPACKET_ALIGN(TPACKET2_HDRLEN + 16) == 80, "as AFP_MAC has it");
static_assert((AFP_MAC + 14) % 4 == 0, "IP header in a slot");
static_assert((TPACKET_ALIGN(TPACKET3_HDRLEN + 16) + AFP_RESERVE + AFP_VNET) % 4 == 0,
              "IP header in a block");

static uint8_t *this_block(const struct afpring *r)
{
    return r->mem + (size_t)r->at_block * r->block;
}

static void next_block(struct afpring *r)
{
    r->at = 0;
    if (++r->at_block == r->nblocks)
        r->at_block = 0;
}

static void hold(struct afpring *r, const struct afpframe *f)
{
    r->held[r->nheld] = f->base;
    r->room[r->nheld++] = f->room;
}

/* ---- slots ---- */

static bool slot_next(struct afpring *r, struct afpframe *f)
{
    uint8_t *p = this_block(r) + (size_t)r->at * r->slot;
    struct tpacket2_hdr *h = (void *)p;
    const struct sockaddr_ll *from = (void *)(p + HDR2);

    f->status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);
    if (!(f->status & TP_STATUS_USER))
        return false;
    f->base = p;
    f->len = h->tp_len;
    f->snaplen = h->tp_snaplen;
    f->mac = h->tp_mac;
    f->sec = h->tp_sec;
    f->nsec = h->tp_nsec;
    f->tci = h->tp_vlan_tci;
    f->tpid = h->tp_vlan_tpid;
    f->pkttype = from->sll_pkttype;
    f->hdr = HDR2;
    f->room = r->slot;
    hold(r, f);
    if (++r->at == r->per_block)
        next_block(r);
    return true;
}

static void slot_release(struct afpring *r)
{
    for (int i = 0; i < r->nheld; i++) {
        struct tpacket2_hdr *h = (void *)r->held[i];

        __atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    }
}

/* ---- blocks: the frames of one at a time ---- */

static bool block_begin(struct afpring *r)
{
    struct tpacket_hdr_v1 *b = &((struct tpacket_block_desc *)(void *)this_block(r))->hdr.bh1;

    if (!(__atomic_load_n(&b->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
        return false;
    r->at = b->offset_to_first_pkt;
    r->left = b->num_pkts;
    return true;
}

static bool block_next(struct afpring *r, struct afpframe *f)
{
    const struct tpacket3_hdr *h;
    const struct sockaddr_ll *from;

    if ((r->at == 0 && !block_begin(r)) || r->left == 0)
        return false;
    f->base = this_block(r) + r->at;
    h = (void *)f->base;
    from = (void *)(f->base + HDR3);
    f->status = h->tp_status;
    f->len = h->tp_len;
    f->snaplen = h->tp_snaplen;
    f->mac = h->tp_mac;
    f->sec = h->tp_sec;
    f->nsec = h->tp_nsec;
    f->tci = (uint16_t)h->hv1.tp_vlan_tci;
    f->tpid = h->hv1.tp_vlan_tpid;
    f->pkttype = from->sll_pkttype;
    f->hdr = HDR3;
    f->room = f->mac + f->snaplen;
    hold(r, f);
    r->at += h->tp_next_offset;
    r->left--;
    return true;
}

static void block_release(struct afpring *r)
{
    struct tpacket_hdr_v1 *b = &((struct tpacket_block_desc *)(void *)this_block(r))->hdr.bh1;

    if (r->at == 0 || r->left > 0)
        return;
    __atomic_store_n(&b->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    next_block(r);
}

/* ---- both ---- */

bool afpring_next(struct afpring *r, struct afpframe *f)
{
    if (r->nheld == IO_BURST)
        return false;
    return r->blocks ? block_next(r, f) : slot_next(r, f);
}

void afpring_release(struct afpring *r, bool poison)
{
    uint32_t hdr = r->blocks ? HDR3 : HDR2;

    for (int i = 0; poison && i < r->nheld; i++)
        memset(r->held[i] + hdr, 0xDB, r->room[i] - hdr);
    if (r->blocks)
        block_release(r);
    else
        slot_release(r);
    r->nheld = 0;
}
