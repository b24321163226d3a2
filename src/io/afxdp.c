// SPDX-License-Identifier: BSD-2-Clause
/*
 * afxdp.c: a network interface by AF_XDP: "afxdp:IF[,QUEUE][,native|generic][,copy|zerocopy]".
 *
 * A device has a socket for every receive queue that is its own (of N devices on one interface,
 * number i has the queues i, i+N, ...; or the one that is named). The two interfaces of a pair
 * share one UMEM (xsk.h): a frame that leaves by the other one is not copied here, its address goes
 * from ring to ring, and comes back by the completion ring. After every burst the fill rings are
 * brought to their level again from all frames that are back, so that traffic in one direction
 * only does not starve them.
 *
 * Frames of virtual interfaces have unfinished checksums (partcsum.h). When such a frame leaves,
 * the kernel is asked to go on as if it came from a host (copy mode, Linux 6.8); else it is
 * finished here. Large segments do not come in native mode, as the kernel itself has the sender
 * cut them. In generic mode they come in pieces (Linux 6.6) and are put together in a buffer aside;
 * how they were to be cut is not told, so they are cut to the interface's MTU.
 *
 * What AF_XDP takes, the kernel does not see: the interface is ours as long as it is open.
 */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/errtext.h"
#include "io/afxdp.h"

#define MIN_FRAMES   8192 /* of a UMEM: 32 MiB */
#define MAX_FRAMES   32768
#define QUEUE_FRAMES 4096
#define MAX_MTU      (XFRAME - XSK_FRONT - IO_TAILROOM - 22) /* with an Ethernet header and two tags */

struct request {
    char ifname[IF_NAMESIZE];
    int queue; /* -1: all that are ours */
    enum xdp_mode mode;
    unsigned bind; /* XDP_COPY, XDP_ZEROCOPY */
    bool twice;    /* something was asked for in two ways */
};

static bool take_word(struct request *r, const char *word, size_t len)
{
    static const struct {
        const char *word;
        enum xdp_mode mode;
        unsigned bind;
    } words[] = {{"native", XDP_NATIVE, 0},
                 {"generic", XDP_GENERIC, 0},
                 {"copy", XDP_ANY, XDP_COPY},
                 {"zerocopy", XDP_ANY, XDP_ZEROCOPY}};

    if (len > 0 && len < 4 && strspn(word, "0123456789") >= len) {
        r->twice |= r->queue >= 0;
        r->queue = atoi(word);
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strncmp(word, words[i].word, len) == 0 && !words[i].word[len]) {
            r->twice |= words[i].mode ? r->mode != XDP_ANY : r->bind != 0;
            r->mode = words[i].mode ? words[i].mode : r->mode;
            r->bind |= words[i].bind;
            return true;
        }
    return false;
}

static int parse(struct io_dev *dev, const char *rest, struct request *r)
{
    size_t len = strcspn(rest, ",");

    *r = (struct request){.queue = -1};
    if (len >= IF_NAMESIZE)
        return err_set(ENODEV, "%s: no interface has a name of more than %d characters", dev->name,
                       IF_NAMESIZE - 1);
    memcpy(r->ifname, rest, len);
    for (const char *at = rest + len; *at; at += len) {
        len = strcspn(++at, ",");
        if (!take_word(r, at, len))
            return err_set(EINVAL,
                           "%s: '%.*s' is neither the number of a queue nor native, generic, copy "
                           "or zerocopy",
                           dev->name, (int)len, at);
    }
    if (r->twice)
        return err_set(
            EINVAL, "%s: expected one queue, one of native and generic, one of copy and zerocopy",
            dev->name);
    if (!r->ifname[0])
        return err_set(EINVAL, "%s: expected afxdp:INTERFACE[,QUEUE][,MODE]", dev->name);
    if (r->mode == XDP_GENERIC && r->bind & XDP_ZEROCOPY)
        return err_set(EINVAL, "%s: there is no zero-copy in generic mode", dev->name);
    return 0;
}

static int check(struct io_dev *dev, const struct afxdp *a)
{
    const struct io_open_args *args = &dev->args;

    if (a->link.type != ARPHRD_ETHER && a->link.type != ARPHRD_LOOPBACK)
        return err_set(EPROTONOSUPPORT,
                       "%s: not an Ethernet interface (ARPHRD type %u): no other is supported",
                       dev->name, a->link.type);
    if (args->queues < 0 || args->queue < 0 || args->queue >= (args->queues ? args->queues : 1))
        return err_set(EINVAL, "%s: there is no queue %d of %d", dev->name, args->queue,
                       args->queues);
    if (a->link.mtu > MAX_MTU)
        return err_set(EMSGSIZE,
                       "%s: an MTU of %u: frames of AF_XDP hold %d; lower it, or use afpacket",
                       dev->name, a->link.mtu, MAX_MTU);
    return 0;
}

/* The queues of this device into a->q. */
static int choose_queues(struct io_dev *dev, struct afxdp *a, const struct request *r)
{
    int step = dev->args.queues > 1 ? dev->args.queues : 1;
    int first = r->queue >= 0 ? r->queue : dev->args.queue;
    int end = r->queue >= 0 ? first + 1 : a->xif->queues;

    if (r->queue < 0 && step > a->xif->queues) /* said at once: another kind may do without */
        return err_set(ENOSPC,
                       "%s: the interface has %d receive queue%s, %d contexts want one each "
                       "(ethtool -L sets how many there are)",
                       dev->name, a->xif->queues, a->xif->queues > 1 ? "s" : "", step);
    if (first >= a->xif->queues)
        return err_set(ENOSPC,
                       "%s: the interface has %d receive queue%s, number %d is not there "
                       "(ethtool -L sets how many there are)",
                       dev->name, a->xif->queues, a->xif->queues > 1 ? "s" : "", first);
    a->q = calloc((size_t)(end - first + step - 1) / (size_t)step, sizeof(*a->q));
    if (!a->q)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    for (int queue = first; queue < end; queue += step) {
        a->q[a->nq++] = (struct xsk){.fd = -1, .queue = queue};
        a->ntx += queue < a->xif->tx_queues;
    }
    if (a->ntx == 0)
        return err_set(ENOSPC,
                       "%s: the interface has %d transmit queue%s, number %d is not there "
                       "(ethtool -L sets how many there are)",
                       dev->name, a->xif->tx_queues, a->xif->tx_queues > 1 ? "s" : "", first);
    return 0;
}

static int open_sockets(struct io_dev *dev, struct afxdp *a, unsigned bind)
{
    for (int i = 0; i < a->nq; i++)
        if (xsk_open(&a->q[i], a->umem, dev->name, a->link.ifindex, a->q[i].queue, bind) < 0) {
            int code = errno;

            while (i-- > 0)
                xsk_close(&a->q[i], a->umem);
            errno = code;
            return -1;
        }
    return 0;
}

static void leave_umem(struct afxdp *a)
{
    if (a->mate)
        a->mate->mate = NULL;
    a->mate = NULL;
    xumem_unref(a->umem);
    a->umem = NULL;
}

/* A UMEM of our own, and the sockets. Generic mode: large segments in pieces if the kernel can. */
static int start_alone(struct io_dev *dev, struct afxdp *a, unsigned bind)
{
    uint32_t frames = QUEUE_FRAMES * (uint32_t)a->nq;

    frames = frames < MIN_FRAMES ? MIN_FRAMES : frames > MAX_FRAMES ? MAX_FRAMES : frames;
    a->umem = xumem_create(dev->name, frames);
    if (!a->umem)
        return -1;
    if (!a->xif->native && open_sockets(dev, a, bind | XSK_USE_SG) == 0)
        return 0;
    return open_sockets(dev, a, bind);
}

/* may_share: a UMEM's sockets are all as its first one, whatever this one was asked to be. */
static bool may_share(const struct afxdp *mate, unsigned bind)
{
    return !(bind & (mate->q[0].zerocopy ? XDP_COPY : XDP_ZEROCOPY));
}

static int start_sockets(struct io_dev *dev, struct afxdp *a, unsigned bind)
{
    struct io_dev *pair = dev->args.pair;

    if (pair && pair->ops == &afxdp_ops && may_share(pair->priv, bind)) {
        a->mate = pair->priv;
        a->mate->mate = a;
        a->umem = a->mate->umem;
        a->umem->refs++;
        if (open_sockets(dev, a, bind) == 0)
            return 0;
        leave_umem(a); /* one copies and one does not: they cannot share */
    }
    return start_alone(dev, a, bind);
}

static void write_note(struct afxdp *a)
{
    snprintf(a->note, sizeof(a->note), "%s XDP, %s, %d queue%s%s%s",
             a->xif->native ? "native" : "generic", a->q[0].zerocopy ? "zero-copy" : "copy mode",
             a->nq, a->nq > 1 ? "s" : "", a->mate ? ", frames shared with the other interface" : "",
             a->xif->tags ? ", VLAN tags put back" : "");
}

static int start(struct io_dev *dev, struct afxdp *a, const struct request *r)
{
    struct xdpif_want want = {.mode = r->mode,
                              .promisc = !dev->args.no_promisc,
                              .queues = dev->args.queues > 1 ? dev->args.queues : 1};

    if (dev->args.filter && bpffilter_compile(&a->filter, dev->name, dev->args.filter, NULL, 1) < 0)
        return -1;
    a->xif = xdpif_get(dev->name, r->ifname, &want);
    if (!a->xif || choose_queues(dev, a, r) < 0 || start_sockets(dev, a, r->bind) < 0)
        return -1;
    for (int i = 0; i < a->nq; i++) {
        xsk_fill(&a->q[i], a->umem, afxdp_level(a->umem));
        if (xdpif_join(a->xif, dev->name, a->q[i].queue, a->q[i].fd) < 0)
            return -1;
    }
    write_note(a);
    return 0;
}

static void discard(struct io_dev *dev, struct afxdp *a)
{
    for (int i = 0; i < a->nq && a->q && a->q[i].fd >= 0; i++) {
        xdpif_leave(a->xif, a->q[i].queue);
        xsk_close(&a->q[i], a->umem);
    }
    leave_umem(a);
    if (a->xif)
        xdpif_put(a->xif, dev->name);
    linkwatch_close(&a->link);
    bpffilter_fini(&a->filter);
    free(a->q);
    free(a->big);
    free(a);
}

static int afxdp_open(struct io_dev *dev, const char *rest)
{
    struct request r;
    struct afxdp *a;

    if (parse(dev, rest, &r) < 0)
        return -1;
    a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    if (linkwatch_open(&a->link, dev->name, r.ifname) < 0) {
        free(a);
        return -1;
    }
    if (check(dev, a) < 0 || start(dev, a, &r) < 0) {
        int code = errno;

        discard(dev, a);
        errno = code;
        return -1;
    }
    dev->priv = a;
    dev->caps = IO_LIVE | IO_OUTPUT;
    dev->linktype = 1;
    return 0;
}

static void afxdp_close(struct io_dev *dev)
{
    discard(dev, dev->priv);
}

static int afxdp_fds(struct io_dev *dev, struct pollfd *fd)
{
    struct afxdp *a = dev->priv;

    _Static_assert(XSK_MAX < IO_FDS, "a socket for each queue, and the link");
    fd[0] = (struct pollfd){.fd = a->link.fd, .events = POLLIN};
    for (int i = 0; i < a->nq; i++)
        fd[i + 1] = (struct pollfd){.fd = a->q[i].fd, .events = POLLIN};
    return a->nq + 1;
}

static void afxdp_stats(struct io_dev *dev, struct io_stats *st)
{
    struct afxdp *a = dev->priv;

    st->rx_lost = a->lost;
    st->link_lost = a->link.downs;
    st->tx_frames -= a->dropped;
    st->tx_errors += a->dropped;
    for (int i = 0; i < a->nq; i++) {
        struct xdp_statistics s = {0};
        socklen_t len = sizeof(s);

        getsockopt(a->q[i].fd, SOL_XDP, XDP_STATISTICS, &s, &len);
        st->rx_lost += s.rx_dropped + s.rx_ring_full;
        st->tx_errors += s.tx_invalid_descs;
    }
}

static const char *afxdp_note(struct io_dev *dev)
{
    return ((struct afxdp *)dev->priv)->note;
}

static uint32_t afxdp_mtu(struct io_dev *dev)
{
    return ((struct afxdp *)dev->priv)->link.mtu;
}

const struct io_ops afxdp_ops = {
    .kind = "afxdp",
    .open = afxdp_open,
    .rx = afxdp_rx,
    .ahead = afxdp_ahead,
    .rx_done = afxdp_rx_done,
    .tx = afxdp_tx,
    .fds = afxdp_fds,
    .flush = afxdp_flush,
    .stats = afxdp_stats,
    .note = afxdp_note,
    .mtu = afxdp_mtu,
    .close = afxdp_close,
};
