// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdpmove.c: frames in and out of an "afxdp" device.
 *
 * pktbuf.slot has in its lower half the number of the frame in the UMEM, which rx_done gives back, or
 * NO_FRAME: it was put into a transmit ring, or has its bytes elsewhere. In its upper half is by
 * which of our sockets it came: it leaves by the one of the same number, so that the frames of one
 * connection stay in order.
 */
#include <errno.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/errtext.h"
#include "io/afxdp.h"
#include "io/offload.h"
#include "io/partcsum.h"

#define NO_FRAME  UINT16_MAX
#define LOOK      16 /* a system call in so many idle ones */
#define BIG_BUFS  16 /* large segments in one burst; then it ends */
#define BIG_FRONT (IO_HEADROOM + 2)
#define BIG_FRAME (65536 + 64)
#define BIG_ROOM  (BIG_FRONT + BIG_FRAME + IO_TAILROOM)

/* ---- receiving ---- */

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static uint32_t frame_of(const struct pktbuf *pb)
{
    return pb->slot & UINT16_MAX;
}

static uint32_t socket_of(const struct pktbuf *pb)
{
    return pb->slot >> 16;
}

/* A frame as it came, in its place. */
static void describe(struct afxdp *a, struct pktbuf *pb, const struct xdp_desc *d)
{
    memset(pb, 0, sizeof(*pb));
    pb->data = a->umem->area + d->addr;
    pb->len = d->len;
    pb->slot = (uint32_t)(d->addr / XFRAME);
    pb->headroom = (uint16_t)(d->addr % XFRAME);
    pb->cap = XFRAME - pb->headroom;
}

/*
 * The pieces of a long frame into a buffer of its own; they go back at once. The ring has all of
 * them. => false: no room, it is lost
 */
static bool gather(struct afxdp *a, struct xsk *x, struct pktbuf *pb, const struct xdp_desc *d)
{
    uint8_t *buf = a->big ? a->big + (size_t)a->nbig * BIG_ROOM : NULL;
    uint32_t len = 0;

    for (;; d = xsk_rx_next(x)) {
        if (buf && len + d->len <= BIG_FRAME)
            memcpy(buf + BIG_FRONT + len, a->umem->area + d->addr, d->len);
        len += d->len;
        xumem_put(a->umem, (uint32_t)(d->addr / XFRAME));
        if (!(d->options & XSK_PKT_CONTD))
            break;
    }
    if (!buf || len > BIG_FRAME)
        return false;
    a->nbig++;
    memset(pb, 0, sizeof(*pb));
    pb->data = buf + BIG_FRONT;
    pb->len = len;
    pb->slot = NO_FRAME;
    pb->headroom = BIG_FRONT;
    pb->cap = BIG_ROOM - BIG_FRONT;
    return true;
}

/* How a frame of several segments is to be cut. => false: it cannot be */
static bool note_gso(const struct afxdp *a, struct pktbuf *pb, uint32_t l4, uint8_t proto)
{
    uint32_t l3 = 14, hlen;

    while (pb->data[l3 - 2] == 0x81 || (pb->data[l3 - 2] == 0x88 && pb->data[l3 - 1] == 0xa8))
        l3 += 4;
    if (l4 == 0 || proto != IPPROTO_TCP || !(pb->flags & PB_CSUM_PART))
        return false;
    hlen = l4 - l3 + (pb->data[l4 + 12] >> 4) * 4u;
    if (hlen >= a->link.mtu)
        return false;
    pb->gso_size = (uint16_t)(a->link.mtu - hlen);
    pb->gso_type = pb->data[l3] >> 4 == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    return true;
}

/* What is known of it. => false: not for the caller */
static bool judge(struct io_dev *dev, struct pktbuf *pb, uint64_t ts)
{
    struct afxdp *a = dev->priv;
    uint8_t proto = 0;
    uint32_t l4;

    if (pb->len < 14) {
        a->lost++;
        return false;
    }
    if (!bpffilter_match(&a->filter, pb->data, pb->len, pb->len)) {
        dev->st.rx_filtered++;
        return false;
    }
    if (a->xif->may_part) {
        l4 = partcsum_find(pb, &proto);
        if (unlikely(pb->len > a->link.mtu + 22) && !note_gso(a, pb, l4, proto)) {
            a->lost++;
            return false;
        }
    }
    pb->wire_len = pb->len;
    pb->refs = 1;
    pb->linktype = 1;
    pb->in_if = dev->ifidx;
    pb->ts_ns = ts;
    pb->frame = ++a->frames;
    pb->owner = a;
    dev->st.rx_frames++;
    dev->st.rx_bytes += pb->len;
    return true;
}

/*
 * fetch: the first lines of the packet that is `ahead` behind the next one: another processor has written
 * them, and they are looked at at once.
 */
enum { PACKETS_AHEAD = 8 };

static inline void fetch(const struct afxdp *a, const struct xsk *x, uint32_t ahead)
{
    const struct xdp_desc *d = xsk_rx_peek(x, ahead);

    if (d)
        prefetch_r(a->umem->area + d->addr);
}

static void take_queue(struct io_dev *dev, struct xsk *x, int n, uint64_t ts)
{
    struct afxdp *a = dev->priv;

    for (uint32_t i = 0; i < PACKETS_AHEAD; i++)
        fetch(a, x, i);
    while (a->held < n && a->nbig < BIG_BUFS && xsk_rx_avail(x, 1) > 0) {
        const struct xdp_desc *d = xsk_rx_next(x);
        struct pktbuf *pb = &a->pb[a->held];

        fetch(a, x, PACKETS_AHEAD - 1);
        if (unlikely(d->options & XSK_PKT_CONTD)) {
            if (!a->big)
                a->big = malloc((size_t)BIG_BUFS * BIG_ROOM);
            if (!gather(a, x, pb, d)) {
                a->lost++;
                continue;
            }
        } else {
            describe(a, pb, d);
        }
        pb->slot |= (uint32_t)(x - a->q) << 16;
        if (judge(dev, pb, ts))
            a->held++;
        else if (frame_of(pb) != NO_FRAME)
            xumem_put(a->umem, frame_of(pb));
    }
    xsk_rx_release(x);
}

static void refill(struct afxdp *a)
{
    uint32_t lv = afxdp_level(a->umem);

    for (int i = 0; i < a->nq; i++)
        xsk_fill(&a->q[i], a->umem, lv);
}

/* Nothing has come: has the link changed? => 0; -1 when it is gone */
static int news(struct io_dev *dev)
{
    struct afxdp *a = dev->priv;

    refill(a);
    if (++a->idle % LOOK == 0)
        linkwatch_read(&a->link);
    if (!a->link.gone)
        return 0;
    return err_set(ENODEV, "%s: the interface is gone: deleted, or moved elsewhere", dev->name);
}

int afxdp_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct afxdp *a = dev->priv;
    uint64_t ts = 0;

    assert(a->held == 0 && a->nbig == 0); /* else: rx_done was forgotten */
    n = n < IO_BURST ? n : IO_BURST;
    for (int i = 0; i < a->nq && a->held < n; i++) {
        struct xsk *x = &a->q[(a->turn + i) % a->nq];

        if (xsk_rx_avail(x, 1) == 0)
            continue;
        ts = ts ? ts : now_ns();
        take_queue(dev, x, n, ts);
    }
    a->turn = (a->turn + 1) % a->nq;
    if (a->held == 0)
        return news(dev);
    for (int i = 0; i < a->held; i++)
        pb[i] = &a->pb[i];
    return a->held;
}

/* Of the queue that is asked first. Another processor has written them. */
int afxdp_ahead(struct io_dev *dev, const uint8_t **frame, int n)
{
    struct afxdp *a = dev->priv;
    struct xsk *x = &a->q[a->turn % a->nq];
    const int have = (int)xsk_rx_avail(x, (uint32_t)n);

    for (int i = 0; i < have; i++)
        frame[i] = a->umem->area + xsk_rx_peek(x, (uint32_t)i)->addr;
    return have;
}

void afxdp_rx_done(struct io_dev *dev)
{
    struct afxdp *a = dev->priv;

    if (a->held == 0)
        return;
    for (int i = 0; i < a->held; i++) {
        uint32_t frame = frame_of(&a->pb[i]);

        if (frame == NO_FRAME)
            continue;
        if (dev->args.poison)
            memset(a->umem->area + (size_t)frame * XFRAME, 0xDB, XFRAME);
        xumem_put(a->umem, frame);
    }
    if (dev->args.poison && a->big)
        memset(a->big, 0xDB, (size_t)a->nbig * BIG_ROOM);
    a->held = a->nbig = 0;
    refill(a);
}

/* ---- sending ---- */

static void refuse(struct io_dev *dev, int code)
{
    struct afxdp *a = dev->priv;

    dev->st.tx_errors++;
    dev->st.tx_too_big += code == EMSGSIZE;
    if (code == EMSGSIZE)
        err_set(code, "%s: a frame is too long for the interface's MTU of %u", dev->name,
                a->link.mtu);
    else if (code == ENETDOWN)
        err_set(code, "%s: a frame was not sent: the link is down", dev->name);
    else
        err_set(code, "%s: a frame was not sent: %s", dev->name, strerror(code));
}

/* Is it a frame of our UMEM, as rx gave it out, and not sent before? */
static bool is_own(const struct afxdp *a, const struct pktbuf *pb)
{
    const struct afxdp *from = pb->owner == a->mate ? a->mate : a;

    return pb->owner == from && pb >= from->pb && pb < from->pb + IO_BURST &&
           frame_of(pb) != NO_FRAME;
}

/* Room for a packet in a free frame. => NULL: none is free */
static uint8_t *free_frame(struct xumem *u)
{
    if (u->nidle == 0)
        xumem_reclaim(u);
    return u->nidle ? u->area + (size_t)u->idle[--u->nidle] * XFRAME + XSK_FRONT : NULL;
}

/* What xsk_tx_metadata is in Linux 6.8 and later. */
struct txmeta {
    uint64_t flags;
    uint16_t csum_start, csum_offset;
    uint8_t pad[12];
};

/*
 * An unfinished checksum: the kernel goes on as if the packet came from a host, or we finish it. *opt
 * for the descriptor. => false: it cannot be
 */
static bool settle_csum(const struct afxdp *a, const struct xsk *x, struct pktbuf *pb,
                        uint8_t *data, uint32_t *opt)
{
    struct txmeta m = {.flags = 1 << 1 /* XDP_TXMD_FLAGS_CHECKSUM */,
                       .csum_start = pb->csum_start,
                       .csum_offset = pb->csum_off};

    _Static_assert(sizeof(m) == XSK_TXMETA, "txmeta");
    if (!a->umem->txmeta || x->zerocopy || (data - a->umem->area) % XFRAME < XSK_TXMETA ||
        (uint32_t)pb->csum_start + pb->csum_off + 2 > pb->len)
        return io_finish_csum(pb);
    memcpy(data - sizeof(m), &m, sizeof(m));
    *opt = XSK_TX_METADATA;
    return true;
}

static void kick_all(struct afxdp *a)
{
    bool down = false;

    for (int i = 0; i < a->nq; i++)
        if (xsk_unsent(&a->q[i])) {
            int code = xsk_kick(&a->q[i], a->umem, &a->dropped);

            down |= code == ENETDOWN || code == ENXIO;
        }
    a->down = down;
    xumem_reclaim(a->umem);
}

static bool has_room(struct afxdp *a, struct xsk *x)
{
    if (xsk_tx_room(x) == 0)
        kick_all(a);
    return xsk_tx_room(x) > 0;
}

static uint32_t longest(const struct afxdp *a, const struct pktbuf *pb)
{
    return a->link.mtu + 14 + (pb->data[12] == 0x81 || pb->data[12] == 0x88 ? 4 : 0);
}

/* Cut a frame that stands for several. => 0, or the errno of why not, or not all of it */
static int send_several(struct afxdp *a, struct xsk *x, const struct pktbuf *pb)
{
    struct io_split sp;

    if (!io_split_begin(&sp, pb))
        return EINVAL;
    if (io_split_longest(&sp) > longest(a, pb))
        return EMSGSIZE;
    for (;;) {
        uint8_t *data = has_room(a, x) ? free_frame(a->umem) : NULL;
        uint32_t len;

        if (!data)
            return ENOBUFS;
        len = io_split_next(&sp, data, XFRAME - XSK_FRONT);
        if (len == 0) {
            xumem_put(a->umem, (uint32_t)((size_t)(data - a->umem->area) / XFRAME));
            return 0;
        }
        xsk_tx_put(x, (uint64_t)(data - a->umem->area), len, 0);
    }
}

/* => 0, or the errno of why not */
static int send_one(struct afxdp *a, struct xsk *x, struct pktbuf *pb)
{
    bool own = is_own(a, pb);
    uint32_t opt = 0;
    uint8_t *data;

    if (pb->len < 14)
        return EINVAL;
    if (unlikely(pb->gso_size))
        return send_several(a, x, pb);
    if (pb->len > longest(a, pb))
        return EMSGSIZE;
    if (!has_room(a, x))
        return ENOBUFS;
    data = own ? pb->data : free_frame(a->umem);
    if (!data)
        return ENOBUFS;
    if (pb->flags & PB_CSUM_PART && !settle_csum(a, x, pb, data, &opt)) {
        if (!own)
            xumem_put(a->umem, (uint32_t)((size_t)(data - a->umem->area) / XFRAME));
        return EINVAL;
    }
    if (own)
        pb->slot |= NO_FRAME;
    else
        memcpy(data, pb->data, pb->len);
    xsk_tx_put(x, (uint64_t)(data - a->umem->area), pb->len, opt);
    return 0;
}

/* By which socket a frame leaves; what did not come by AF_XDP by the first one. */
static struct xsk *way(const struct afxdp *a, const struct pktbuf *pb)
{
    bool xdp = pb->owner == a || (a->mate && pb->owner == a->mate);

    return &a->q[xdp ? socket_of(pb) % (uint32_t)a->ntx : 0];
}

int afxdp_tx(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    struct afxdp *a = dev->priv;
    int sent = 0;

    if (a->down)
        kick_all(a); /* up again? */
    for (int i = 0; i < n; i++) {
        int code = a->down ? ENETDOWN : send_one(a, way(a, pb[i]), pb[i]);

        if (code) {
            refuse(dev, code);
            continue;
        }
        dev->st.tx_frames++;
        dev->st.tx_bytes += pb[i]->len;
        sent++;
    }
    return sent;
}

int afxdp_flush(struct io_dev *dev)
{
    kick_all(dev->priv);
    return 0;
}
