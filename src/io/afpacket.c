// SPDX-License-Identifier: BSD-2-Clause
/*
 * afpacket.c: a network interface by packet sockets: "afpacket:IF[,ring=MEGABYTES][,hwtime]".
 *
 * Receiving: a ring shared with the kernel (afpring.h). In line it has slots, each large enough for
 * a frame of the MTU with room before and behind it, so that frames are worked on where they lie.
 * Frames that stand for several (segmentation offload, up to 64 KiB) do not fit into a slot: the
 * kernel keeps them beside the ring, bounded by the socket's receive buffer, and they are read one
 * by one into buffers of this device (TP_STATUS_COPY). Where frames are only looked at
 * (io_open_args.mirror) the ring has blocks, which hold all of them, and what this machine itself
 * sends by the interface is taken, too; the loopback shows each frame once anyhow.
 *
 * Sending: sendmmsg from where the frames lie. The transmit ring would have them copied once more,
 * and was no faster (0.69 against 0.70 us a frame of 60 bytes, receiving included). The interface's
 * queue is not gone round (PACKET_QDISC_BYPASS): that gave 3 %, and takes from a full card the queue
 * that it has, and from a capture on the machine the sight of what is sent.
 *
 * Both ways each frame has a virtio-net header, which says what of it is unfinished: a checksum to
 * be filled in, a payload to be cut into segments. A VLAN tag that the kernel has taken out of the
 * frame is put back.
 *
 * Memory of one queue: the ring, 16 MiB; in the kernel beside it up to 8 MiB each way (afpsock.h),
 * and 1 MiB of buffers, the last three only as far as they are used.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/errtext.h"
#include "io/afpsock.h"
#include "io/backends.h"
#include "io/bpffilter.h"
#include "io/linkwatch.h"
#include "io/offload.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define TAG       4  /* bytes of a VLAN tag */
#define LINKTYPE  1  /* DLT_EN10MB */
#define BIG_BUFS  16 /* large frames in one burst; then it ends */
#define BIG_FRAME (65536 + 64)
#define BIG_ROOM  (IO_HEADROOM + 64 + BIG_FRAME + IO_TAILROOM)

struct afp {
    struct afpsock *sock;
    struct linkwatch link;
    bool outgoing; /* what this machine sends is taken, too */
    uint8_t *big;  /* BIG_BUFS of BIG_ROOM bytes */
    int nbig;      /* of them in use */
    uint64_t frames, lost;
    struct bpffilter filter;
    struct pktbuf pb[IO_BURST];
    struct mmsghdr msg[IO_BURST];
    struct iovec iov[IO_BURST][2];
    struct virtio_net_hdr vnet[IO_BURST];
};

/* ---- opening ---- */

struct words {
    char ifname[IF_NAMESIZE];
    uint32_t ring_mb;
    bool hwtime;
};

static int bad_words(struct io_dev *dev)
{
    return err_set(EINVAL,
                   "%s: expected afpacket:INTERFACE, behind it perhaps ,ring=MEGABYTES (1 to %d) "
                   "or ,hwtime",
                   dev->name, AFP_MAX_RING_MB);
}

static int parse(struct io_dev *dev, const char *rest, struct words *w)
{
    size_t n = strcspn(rest, ",");

    *w = (struct words){.ring_mb = AFP_RING_MB};
    if (n >= IF_NAMESIZE)
        return err_set(ENODEV, "%s: no interface has a name of more than %d characters", dev->name,
                       IF_NAMESIZE - 1);
    memcpy(w->ifname, rest, n);
    for (const char *p = rest + n; *p; p += n) {
        n = strcspn(++p, ",");
        if (n == 6 && strncmp(p, "hwtime", n) == 0) {
            w->hwtime = true;
        } else if (n > 5 && n < 11 && strncmp(p, "ring=", 5) == 0 &&
                   strspn(p + 5, "0123456789") == n - 5) {
            w->ring_mb = (uint32_t)strtoul(p + 5, NULL, 10);
        } else {
            return bad_words(dev);
        }
    }
    return *w->ifname && w->ring_mb >= 1 && w->ring_mb <= AFP_MAX_RING_MB ? 0 : bad_words(dev);
}

static int check(struct io_dev *dev, const struct afp *a)
{
    const struct io_open_args *args = &dev->args;

    if (a->link.type != ARPHRD_ETHER && a->link.type != ARPHRD_LOOPBACK)
        return err_set(EPROTONOSUPPORT,
                       "%s: not an Ethernet interface (ARPHRD type %u): no other is supported",
                       dev->name, a->link.type);
    if (args->queues < 0 || args->queue < 0 || args->queue >= (args->queues ? args->queues : 1))
        return err_set(EINVAL, "%s: there is no queue %d of %d", dev->name, args->queue,
                       args->queues);
    return 0;
}

/*
 * kernel_filter: the filter, as the kernel can apply it. It sees a tagged frame without its tag, and
 * so takes them all; rx looks again.
 */
static int kernel_filter(struct io_dev *dev, struct afp *a, struct sock_fprog *prog)
{
    const struct sock_filter tagged[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct bpf_program *p = &a->filter.prog;

    static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "the same instructions");
    if (bpffilter_compile(&a->filter, dev->name, dev->args.filter, NULL, LINKTYPE) < 0)
        return -1;
    prog->len = (unsigned short)(p->bf_len + ARRAY_SIZE(tagged));
    prog->filter = malloc(prog->len * sizeof(tagged[0]));
    if (!prog->filter)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    memcpy(prog->filter, tagged, sizeof(tagged));
    memcpy(prog->filter + ARRAY_SIZE(tagged), p->bf_insns, p->bf_len * sizeof(tagged[0]));
    return 0;
}

static int start(struct io_dev *dev, struct afp *a, const struct words *w)
{
    struct sock_fprog prog = {0};
    struct afpopts o = {.name = dev->name,
                        .ifindex = a->link.ifindex,
                        .mtu = a->link.mtu,
                        .ring_mb = w->ring_mb,
                        .queues = dev->args.queues > 1 ? dev->args.queues : 1,
                        .promisc = !dev->args.no_promisc,
                        .hwtime = w->hwtime,
                        .blocks = dev->args.mirror,
                        .outgoing = dev->args.mirror && a->link.type != ARPHRD_LOOPBACK};

    if (dev->args.filter && kernel_filter(dev, a, &prog) < 0)
        return -1;
    if (prog.len)
        o.filter = &prog;
    a->outgoing = o.outgoing;
    a->sock = afpsock_take(&o, dev->args.queue);
    free(prog.filter);
    if (!a->sock)
        return -1;
    a->big = malloc((size_t)BIG_BUFS * BIG_ROOM);
    if (!a->big)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    return 0;
}

static void discard(struct afp *a)
{
    if (a->sock)
        afpsock_give(a->sock);
    linkwatch_close(&a->link);
    bpffilter_fini(&a->filter);
    free(a->big);
    free(a);
}

static int afp_open(struct io_dev *dev, const char *rest)
{
    struct words w;
    struct afp *a;

    if (parse(dev, rest, &w) < 0)
        return -1;
    a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    if (linkwatch_open(&a->link, dev->name, w.ifname) < 0) {
        free(a);
        return -1;
    }
    if (check(dev, a) < 0 || start(dev, a, &w) < 0) {
        int code = errno;

        discard(a);
        errno = code;
        return -1;
    }
    dev->priv = a;
    dev->caps = IO_LIVE | IO_OUTPUT;
    dev->linktype = LINKTYPE;
    return 0;
}

static void afp_close(struct io_dev *dev)
{
    discard(dev->priv);
}

/* ---- receiving ---- */

/* read_big: the frame that did not fit into its slot. => false: it is lost. */
static bool read_big(struct afp *a, struct pktbuf *pb, struct virtio_net_hdr *v)
{
    uint8_t *buf = a->big + (size_t)a->nbig * BIG_ROOM;
    uint8_t *frame = buf + IO_HEADROOM + 64 + io_align(1);
    struct iovec iov[2] = {{v, sizeof(*v)}, {frame, BIG_FRAME}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n;

    do
        n = recvmsg(a->sock->fd, &m, MSG_DONTWAIT | MSG_TRUNC);
    while (n < 0 && (errno == EINTR || errno == ENETDOWN)); /* the link's news comes once */
    if (n < (ssize_t)(sizeof(*v) + ETH_HLEN) || m.msg_flags & MSG_TRUNC)
        return false;
    a->nbig++;
    pb->data = frame;
    pb->len = (uint32_t)n - (uint32_t)sizeof(*v);
    pb->headroom = (uint16_t)(frame - buf);
    pb->cap = (uint32_t)(BIG_ROOM - (frame - buf));
    return true;
}

/* locate: where the frame's bytes are, and its virtio-net header. => false: they are lost. */
static bool locate(struct afp *a, struct pktbuf *pb, const struct afpframe *f,
                   struct virtio_net_hdr *v)
{
    if (f->status & TP_STATUS_COPY)
        return read_big(a, pb, v);
    if (f->snaplen < f->len || f->snaplen < ETH_HLEN)
        return false;
    memcpy(v, f->base + f->mac - sizeof(*v), sizeof(*v));
    pb->data = f->base + f->mac;
    pb->len = f->snaplen;
    pb->headroom = (uint16_t)(f->mac - f->hdr);
    pb->cap = f->room - f->mac;
    return true;
}

/* put_tag: the VLAN tag goes back behind the addresses. */
static void put_tag(struct pktbuf *pb, const struct afpframe *f)
{
    uint16_t tpid = f->status & TP_STATUS_VLAN_TPID_VALID ? f->tpid : ETH_P_8021Q;
    uint8_t *p = pb->data - TAG;

    memmove(p, pb->data, 12);
    p[12] = (uint8_t)(tpid >> 8);
    p[13] = (uint8_t)tpid;
    p[14] = (uint8_t)(f->tci >> 8);
    p[15] = (uint8_t)f->tci;
    pb->data = p;
    pb->len += TAG;
    pb->cap += TAG;
    pb->headroom -= TAG;
}

/* describe: what else is known of it. */
static void describe(struct io_dev *dev, struct pktbuf *pb, const struct afpframe *f,
                     const struct virtio_net_hdr *v)
{
    bool tagged = f->status & TP_STATUS_VLAN_VALID;

    if (tagged)
        put_tag(pb, f);
    if (v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        pb->flags = PB_CSUM_PART;
        pb->csum_start = (uint16_t)(v->csum_start + (tagged ? TAG : 0));
        pb->csum_off = v->csum_offset;
    } else if (f->status & TP_STATUS_CSUM_VALID) {
        pb->flags = PB_CSUM_GOOD;
    }
    pb->gso_size = v->gso_type ? v->gso_size : 0;
    pb->gso_type = v->gso_type;
    pb->wire_len = pb->len;
    pb->refs = 1;
    pb->linktype = LINKTYPE;
    pb->in_if = dev->ifidx;
    pb->ts_ns = f->sec * NSEC_PER_SEC + f->nsec;
}

/* take: what the ring has. => true: a frame for the caller. */
static bool take(struct io_dev *dev, struct pktbuf *pb, const struct afpframe *f)
{
    struct afp *a = dev->priv;
    bool outgoing = f->pkttype == PACKET_OUTGOING && !a->outgoing;
    struct virtio_net_hdr v;

    memset(pb, 0, sizeof(*pb));
    if (!locate(a, pb, f, &v)) {
        a->lost += !outgoing;
        return false;
    }
    if (outgoing)
        return false;
    describe(dev, pb, f, &v);
    if ((f->status & TP_STATUS_VLAN_VALID || !a->sock->filtered) &&
        !bpffilter_match(&a->filter, pb->data, pb->len, pb->len)) {
        dev->st.rx_filtered++;
        return false;
    }
    pb->frame = ++a->frames;
    pb->owner = a;
    dev->st.rx_frames++;
    dev->st.rx_bytes += pb->len;
    return true;
}

static int afp_fds(struct io_dev *dev, struct pollfd *fd)
{
    struct afp *a = dev->priv;

    fd[0] = (struct pollfd){.fd = a->link.fd, .events = POLLIN};
    fd[1] = (struct pollfd){.fd = a->sock->fd, .events = POLLIN};
    return 2;
}

/* news: nothing is in the ring: has the link changed? */
static int news(struct io_dev *dev)
{
    struct afp *a = dev->priv;
    struct pollfd fd[IO_FDS];
    int n = poll(fd, (nfds_t)afp_fds(dev, fd), 0), code;
    socklen_t len = sizeof(code);

    if (n > 0 && fd[0].revents)
        linkwatch_read(&a->link);
    if (n > 0 && fd[1].revents & POLLERR) /* read, and so it is gone */
        getsockopt(a->sock->fd, SOL_SOCKET, SO_ERROR, &code, &len);
    if (!a->link.gone)
        return 0;
    return err_set(ENODEV, "%s: the interface is gone: deleted, or moved elsewhere", dev->name);
}

static int afp_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct afp *a = dev->priv;
    struct afpring *ring = &a->sock->ring;
    struct afpframe f;
    int got = 0;

    assert(ring->nheld == 0); /* else: rx_done was forgotten */
    while (got < n && a->nbig < BIG_BUFS && afpring_next(ring, &f))
        if (take(dev, &a->pb[got], &f)) {
            pb[got] = &a->pb[got];
            got++;
        }
    return ring->nheld ? got : news(dev);
}

static void afp_rx_done(struct io_dev *dev)
{
    struct afp *a = dev->priv;

    if (dev->args.poison)
        memset(a->big, 0xDB, (size_t)a->nbig * BIG_ROOM);
    a->nbig = 0;
    afpring_release(&a->sock->ring, dev->args.poison);
}

/* ---- sending ---- */

/* header_len: of link, IP and TCP or UDP, of a frame that stands for several. */
static uint32_t header_len(const struct pktbuf *pb)
{
    uint32_t l4 = pb->csum_start;

    if ((pb->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_UDP_L4)
        return l4 + 8;
    return l4 + 13 < pb->len ? l4 + (pb->data[l4 + 12] >> 4) * 4u : pb->len;
}

/* tag_len: bytes of VLAN tag that an interface's MTU does not count. */
static uint32_t tag_len(const struct pktbuf *pb)
{
    uint16_t type = (uint16_t)(pb->data[12] << 8 | pb->data[13]);

    return type == ETH_P_8021Q || type == ETH_P_8021AD ? TAG : 0;
}

/* put_vnet: what is unfinished of the frame. => 0; EMSGSIZE: its segments are too long; EINVAL: it
 * cannot be cut into any. */
static int put_vnet(const struct afp *a, struct pktbuf *pb, struct virtio_net_hdr *v)
{
    memset(v, 0, sizeof(*v));
    if (pb->gso_size && !io_part_csum(pb))
        return EINVAL;
    if (pb->flags & PB_CSUM_PART) {
        v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        v->csum_start = pb->csum_start;
        v->csum_offset = pb->csum_off;
    }
    if (!pb->gso_size)
        return 0;
    v->gso_type = (uint8_t)pb->gso_type;
    v->gso_size = pb->gso_size;
    v->hdr_len = (uint16_t)header_len(pb);
    return v->hdr_len + v->gso_size > a->link.mtu + ETH_HLEN + tag_len(pb) ? EMSGSIZE : 0;
}

static void refuse(struct io_dev *dev, int code)
{
    struct afp *a = dev->priv;

    dev->st.tx_errors++;
    if (code == EMSGSIZE) {
        dev->st.tx_too_big++;
        err_set(code, "%s: a frame is too long for the interface's MTU of %u", dev->name,
                a->link.mtu);
    } else {
        err_set(code, "%s: a frame was not sent: %s", dev->name, strerror(code));
    }
}

/* fill: messages of all that can be sent. => how many. */
static int fill(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    struct afp *a = dev->priv;
    int m = 0;

    for (int i = 0; i < n; i++) {
        bool whole = pb[i]->len >= pb[i]->wire_len && pb[i]->len >= ETH_HLEN;
        int why = whole ? put_vnet(a, pb[i], &a->vnet[m]) : EINVAL;

        if (why) {
            refuse(dev, why);
            continue;
        }
        a->iov[m][0] = (struct iovec){&a->vnet[m], sizeof(a->vnet[m])};
        a->iov[m][1] = (struct iovec){pb[i]->data, pb[i]->len};
        a->msg[m].msg_hdr = (struct msghdr){.msg_iov = a->iov[m], .msg_iovlen = 2};
        m++;
    }
    return m;
}

/* send_all: => how many were sent. One that is refused does not keep back the others. */
static int send_all(struct io_dev *dev, int m)
{
    struct afp *a = dev->priv;
    int at = 0, sent = 0;

    while (at < m) {
        int k = sendmmsg(a->sock->fd, a->msg + at, (unsigned)(m - at), MSG_DONTWAIT);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            refuse(dev, errno);
            at++;
            continue;
        }
        for (int i = at; i < at + k; i++)
            dev->st.tx_bytes += a->iov[i][1].iov_len;
        at += k;
        sent += k;
    }
    dev->st.tx_frames += (uint64_t)sent;
    return sent;
}

static int afp_tx(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    int sent = 0;

    for (int i = 0; i < n; i += IO_BURST)
        sent += send_all(dev, fill(dev, pb + i, n - i < IO_BURST ? n - i : IO_BURST));
    return sent;
}

/* ---- the rest ---- */

static void afp_stats(struct io_dev *dev, struct io_stats *st)
{
    struct afp *a = dev->priv;
    struct tpacket_stats k = {0};
    socklen_t len = sizeof(k);

    if (getsockopt(a->sock->fd, SOL_PACKET, PACKET_STATISTICS, &k, &len) == 0)
        a->lost += k.tp_drops; /* since the last time */
    st->rx_lost = a->lost;
    st->link_lost = a->link.downs;
}

static uint32_t afp_mtu(struct io_dev *dev)
{
    return ((struct afp *)dev->priv)->link.mtu;
}

const struct io_ops afpacket_ops = {
    .kind = "afpacket",
    .open = afp_open,
    .rx = afp_rx,
    .rx_done = afp_rx_done,
    .tx = afp_tx,
    .fds = afp_fds,
    .stats = afp_stats,
    .mtu = afp_mtu,
    .close = afp_close,
};
