// SPDX-License-Identifier: BSD-2-Clause
/*
 * dpdk.c: frames by DPDK's poll mode drivers, cards and virtual devices.
 *
 * A handle is one queue of a port (dpdkport.h), both ways. What rx hands out lies in mbufs; when it
 * leaves by this handle or by the other one of the pair the mbuf itself goes, and what comes from
 * elsewhere is copied into one. rx_done frees what is left. tx collects up to a burst, which goes
 * out when it is full or flushed; a ring that stays full loses the rest, counted.
 *
 * There is nothing to wait on: a thread that serves such a device asks it again and again, and
 * fills a core with that.
 */
#include "io/backends.h"
#include "io/bpffilter.h"
#include "io/dpdkeal.h"
#include "io/dpdkport.h"
#include "io/offload.h"
#include "io/partcsum.h"
#include "base/errtext.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TX_PATIENCE   2000 /* attempts at a ring that is full, with a pause between */
#define LINK_PER_SEC  20   /* how often the link is looked at */
#define TRANSPORT_SUM RTE_MBUF_F_RX_L4_CKSUM_MASK

struct dpdk {
    struct dpdk_port *port;
    struct dpdk *peer; /* the other handle of the pair */
    struct rte_mempool *pool;
    uint16_t id, queue;
    bool local; /* frames come from this machine's kernel, which does not say what it left undone */
    bool link_up;
    uint64_t link_due; /* TSC */
    uint64_t frames;
    uint64_t lost; /* sent frames that a full ring has lost since the last flush */
    int held, nout;
    struct rte_mbuf *mb[IO_BURST]; /* of pb[]; NULL: has left */
    struct rte_mbuf *out[IO_BURST];
    struct pktbuf pb[IO_BURST];
    struct bpffilter filter;
};

static int dpdk_open(struct io_dev *dev, const char *rest)
{
    struct io_dev *other = dev->args.pair;
    struct dpdk *peer = other && other->ops == &dpdk_ops ? other->priv : NULL;
    struct dpdk *h;

    if (dpdk_eal_start(dev->name) < 0)
        return -1;
    dpdk_eal_thread();
    h = calloc(1, sizeof(*h));
    if (!h)
        return err_set(ENOMEM, "%s: out of memory", dev->name);
    if (dev->args.filter &&
        bpffilter_compile(&h->filter, dev->name, dev->args.filter, NULL, DLT_EN10MB) < 0) {
        free(h);
        return -1;
    }
    h->port = dpdk_port_open(dev, rest, peer ? peer->port : NULL);
    if (!h->port) {
        bpffilter_fini(&h->filter);
        free(h);
        return -1;
    }
    h->id = h->port->id;
    h->queue = (uint16_t)dev->args.queue;
    h->pool = dpdk_port_pool(h->port, h->queue);
    h->local = h->port->iface[0] != '\0';
    h->link_up = dpdk_port_link(h->port) != DPDK_LINK_DOWN;
    h->peer = peer;
    if (peer)
        peer->peer = h;
    dev->linktype = DLT_EN10MB;
    dev->caps = IO_LIVE | IO_OUTPUT;
    dev->priv = h;
    return 0;
}

static uint64_t wall_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Look at the link, now and then. => 0; -1 with errno ENODEV and text: the interface is gone. */
static int look_at_link(struct io_dev *dev, struct dpdk *h)
{
    uint64_t now = rte_rdtsc();
    enum dpdk_link link;

    if (likely(now < h->link_due))
        return 0;
    h->link_due = now + rte_get_tsc_hz() / LINK_PER_SEC;
    link = dpdk_port_link(h->port);
    if (h->link_up && link != DPDK_LINK_UP)
        dev->st.link_lost++;
    h->link_up = link == DPDK_LINK_UP;
    if (link == DPDK_LINK_GONE)
        return err_set(ENODEV, "%s: the interface is gone: deleted, or moved elsewhere", dev->name);
    return 0;
}

/* A frame as the wire had it, in one piece. => NULL: it cannot be had, and is freed. */
static struct rte_mbuf *whole(struct rte_mbuf *m)
{
    uint16_t inner = m->vlan_tci, outer = m->vlan_tci_outer;
    uint64_t flags = m->ol_flags;

    if (unlikely(m->nb_segs > 1) && rte_pktmbuf_linearize(m) < 0)
        goto lost;
    if (likely(!(flags & (RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_QINQ_STRIPPED))))
        return m;
    /* Drivers that put the tag back themselves leave the flag: the type says so. */
    if (rte_pktmbuf_data_len(m) < RTE_ETHER_HDR_LEN ||
        rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN))
        return m;
    if (rte_vlan_insert(&m) < 0)
        goto lost;
    if (flags & RTE_MBUF_F_RX_QINQ_STRIPPED) {
        m->vlan_tci = outer;
        if (rte_vlan_insert(&m) < 0)
            goto lost;
        m->vlan_tci = inner;
    }
    return m;
lost:
    rte_pktmbuf_free(m);
    return NULL;
}

/* What a local sender and a driver with slots of a fixed size leave undone and do not tell. */
static void find_unfinished(struct pktbuf *pb)
{
    const struct rte_ether_hdr *eth = (const void *)pb->data;
    const uint8_t *ip = pb->data + RTE_ETHER_HDR_LEN;
    uint32_t says = 0;
    uint8_t proto;

    if (pb->len < RTE_ETHER_HDR_LEN + 20)
        return;
    if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN))
        ip += RTE_VLAN_HLEN;
    if (ip[0] >> 4 == 4 && ip[-2] == 0x08 && ip[-1] == 0)
        says = (uint32_t)(ip - pb->data) + ((uint32_t)ip[2] << 8 | ip[3]);
    else if (ip[0] >> 4 == 6 && ip[-2] == 0x86 && ip[-1] == 0xdd)
        says = (uint32_t)(ip - pb->data) + 40 + ((uint32_t)ip[4] << 8 | ip[5]);
    if (says > pb->len)
        pb->wire_len = says; /* cut: a large segment */
    else
        partcsum_find(pb, &proto);
}

static void describe(struct io_dev *dev, struct dpdk *h, struct rte_mbuf *m, struct pktbuf *pb)
{
    uint64_t sum = m->ol_flags & TRANSPORT_SUM;

    memset(pb, 0, sizeof(*pb));
    pb->data = rte_pktmbuf_mtod(m, uint8_t *);
    pb->len = pb->wire_len = rte_pktmbuf_data_len(m);
    pb->cap = (uint32_t)(m->buf_len - m->data_off);
    pb->headroom = rte_pktmbuf_headroom(m);
    pb->refs = 1;
    pb->linktype = DLT_EN10MB;
    pb->in_if = dev->ifidx;
    pb->owner = h;
    if (sum == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
        pb->flags = PB_CSUM_GOOD;
    else if (sum == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        pb->flags = PB_CSUM_BAD;
    else if (h->local || sum == RTE_MBUF_F_RX_L4_CKSUM_NONE)
        find_unfinished(pb);
}

/* => is it for the caller, and then pb[] and mb[] have it; else it is freed. */
static bool take(struct io_dev *dev, struct dpdk *h, struct rte_mbuf *m)
{
    struct pktbuf *pb = &h->pb[h->held];

    m = whole(m);
    if (unlikely(!m)) {
        dev->st.rx_lost++;
        return false;
    }
    describe(dev, h, m, pb);
    if (!bpffilter_match(&h->filter, pb->data, pb->len, pb->wire_len)) {
        dev->st.rx_filtered++;
        rte_pktmbuf_free(m);
        return false;
    }
    pb->slot = (uint32_t)h->held;
    pb->frame = ++h->frames;
    h->mb[h->held++] = m;
    dev->st.rx_frames++;
    dev->st.rx_bytes += pb->len;
    dev->st.rx_truncated += pb->len < pb->wire_len;
    return true;
}

static int dpdk_rx(struct io_dev *dev, struct pktbuf **pb, int n)
{
    struct dpdk *h = dev->priv;
    struct rte_mbuf *got[IO_BURST];
    uint64_t now;
    int count;

    assert(h->held == 0); /* else: rx_done was forgotten */
    dpdk_eal_thread();
    count = rte_eth_rx_burst(h->id, h->queue, got, (uint16_t)RTE_MIN(n, IO_BURST));
    if (look_at_link(dev, h) < 0 && count == 0)
        return -1;
    if (count == 0)
        return 0;
    for (int i = 0; i < count; i++)
        rte_prefetch0(rte_pktmbuf_mtod(got[i], void *));
    now = wall_ns();
    for (int i = 0; i < count; i++)
        if (take(dev, h, got[i])) {
            h->pb[h->held - 1].ts_ns = now;
            pb[h->held - 1] = &h->pb[h->held - 1];
        }
    return h->held;
}

static void dpdk_rx_done(struct io_dev *dev)
{
    struct dpdk *h = dev->priv;
    int left = 0;

    for (int i = 0; i < h->held; i++) {
        struct rte_mbuf *m = h->mb[i];

        if (!m)
            continue;
        if (dev->args.poison)
            memset(rte_pktmbuf_mtod(m, void *), 0xDB, rte_pktmbuf_data_len(m));
        h->mb[left++] = m;
    }
    rte_pktmbuf_free_bulk(h->mb, (unsigned)left);
    h->held = 0;
}

/* send_out: what tx has collected. What a full ring does not take for a while is lost. */
static void send_out(struct io_dev *dev, struct dpdk *h)
{
    int sent = 0;

    for (int turn = 0; sent < h->nout && turn < TX_PATIENCE; turn++) {
        int k = rte_eth_tx_burst(h->id, h->queue, h->out + sent, (uint16_t)(h->nout - sent));

        sent += k;
        if (sent < h->nout && k == 0)
            rte_pause();
    }
    for (int i = sent; i < h->nout; i++) {
        dev->st.tx_bytes -= rte_pktmbuf_data_len(h->out[i]);
        rte_pktmbuf_free(h->out[i]);
    }
    dev->st.tx_frames -= (uint64_t)(h->nout - sent);
    dev->st.tx_errors += (uint64_t)(h->nout - sent);
    h->lost += (uint64_t)(h->nout - sent);
    h->nout = 0;
}

/* The mbuf that the frame lies in, if it is ours to give. => NULL: a copy is needed. */
static struct rte_mbuf *give(struct dpdk *h, const struct pktbuf *pb)
{
    struct dpdk *from = pb->owner == h ? h : h->peer;
    struct rte_mbuf *m;

    if (!from || pb < from->pb || pb >= from->pb + from->held)
        return NULL;
    m = from->mb[pb - from->pb];
    if (!m || m->pool != h->pool || pb->data < (uint8_t *)m->buf_addr ||
        pb->data + pb->len > (uint8_t *)m->buf_addr + m->buf_len)
        return NULL;
    from->mb[pb - from->pb] = NULL;
    m->data_off = (uint16_t)(pb->data - (uint8_t *)m->buf_addr);
    m->ol_flags = 0;
    return m;
}

static struct rte_mbuf *copy(struct dpdk *h, const struct pktbuf *pb)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(h->pool);

    if (!m)
        return NULL;
    if (rte_pktmbuf_tailroom(m) < pb->len) {
        rte_pktmbuf_free(m);
        return NULL;
    }
    memcpy(rte_pktmbuf_mtod(m, void *), pb->data, pb->len);
    return m;
}

/* => false */
static bool refuse(struct io_dev *dev, int code, const char *why)
{
    dev->st.tx_errors++;
    if (code == EMSGSIZE)
        dev->st.tx_too_big++;
    err_set(code, "%s: a frame was not sent: %s", dev->name, why);
    return false;
}

/* Out it goes, with the burst. */
static void push(struct io_dev *dev, struct dpdk *h, struct rte_mbuf *m, uint32_t len)
{
    m->data_len = (uint16_t)len;
    m->pkt_len = len;
    if (h->nout == IO_BURST)
        send_out(dev, h);
    h->out[h->nout++] = m;
    dev->st.tx_frames++;
    dev->st.tx_bytes += len;
}

/* The MTU counts neither the Ethernet header nor tags, of which the kernel's interfaces allow one. */
static bool too_long(const struct dpdk *h, const struct pktbuf *pb, uint32_t len)
{
    uint32_t most = (uint32_t)h->port->mtu + RTE_ETHER_HDR_LEN, at = RTE_ETHER_HDR_LEN - 2;

    for (int tags = h->local ? 1 : 2; unlikely(len > most) && tags > 0; tags--) {
        uint16_t type = (uint16_t)(pb->data[at] << 8 | pb->data[at + 1]);

        if (type != RTE_ETHER_TYPE_VLAN && (type != RTE_ETHER_TYPE_QINQ || h->local))
            return true;
        most += RTE_VLAN_HLEN;
        at += RTE_VLAN_HLEN;
    }
    return len > most;
}

/* send_parts: a frame that stands for several. => false: not all of them could be sent, counted. */
static bool send_parts(struct io_dev *dev, struct dpdk *h, const struct pktbuf *pb)
{
    struct io_split split;
    struct rte_mbuf *m;
    uint32_t len;

    if (!io_split_begin(&split, pb))
        return refuse(dev, EINVAL, "it cannot be cut into segments");
    if (too_long(h, pb, io_split_longest(&split)))
        return refuse(dev, EMSGSIZE, "its segments are longer than the MTU");
    while ((m = rte_pktmbuf_alloc(h->pool)) != NULL) {
        len = io_split_next(&split, rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m));
        if (len == 0) {
            rte_pktmbuf_free(m);
            return true;
        }
        push(dev, h, m, len);
    }
    return refuse(dev, ENOBUFS, "no packet memory left");
}

/* send_one: => false: refused, counted. */
static bool send_one(struct io_dev *dev, struct dpdk *h, struct pktbuf *pb)
{
    struct rte_mbuf *m;

    if (pb->len < pb->wire_len || pb->len < RTE_ETHER_HDR_LEN)
        return refuse(dev, EINVAL, "it is not whole");
    if (pb->gso_size)
        return send_parts(dev, h, pb);
    if (too_long(h, pb, pb->len))
        return refuse(dev, EMSGSIZE, "it is longer than the MTU");
    if ((pb->flags & PB_CSUM_PART) && !io_finish_csum(pb))
        return refuse(dev, EINVAL, "its checksum cannot be finished");
    m = give(h, pb);
    if (!m)
        m = copy(h, pb);
    if (!m)
        return refuse(dev, ENOBUFS, "no packet memory left");
    push(dev, h, m, pb->len);
    return true;
}

static int dpdk_tx(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    int sent = 0;

    dpdk_eal_thread();
    for (int i = 0; i < n; i++)
        sent += send_one(dev, dev->priv, pb[i]);
    return sent;
}

static int dpdk_flush(struct io_dev *dev)
{
    struct dpdk *h = dev->priv;
    uint64_t lost;

    if (h->nout > 0)
        send_out(dev, h);
    lost = h->lost;
    h->lost = 0;
    if (lost > 0)
        return err_set(ENOBUFS, "%s: its ring stays full, %llu frames are lost", dev->name,
                       (unsigned long long)lost);
    return 0;
}

/* What DPDK counts for the whole port is told by its first queue. */
static void dpdk_stats(struct io_dev *dev, struct io_stats *st)
{
    struct dpdk *h = dev->priv;
    struct rte_eth_stats s;

    st->memory = dpdk_port_memory(h->port, h->queue);
    if (h->queue != 0 || rte_eth_stats_get(h->id, &s) != 0)
        return;
    st->rx_lost += s.imissed + s.ierrors + s.rx_nombuf;
    st->tx_errors += s.oerrors;
    st->tx_frames -= RTE_MIN(s.oerrors, st->tx_frames);
}

static void dpdk_close(struct io_dev *dev)
{
    struct dpdk *h = dev->priv;

    dpdk_eal_thread();
    dpdk_flush(dev);
    dev->args.poison = false;
    dpdk_rx_done(dev);
    if (h->peer)
        h->peer->peer = NULL;
    dpdk_port_close(h->port, h->queue);
    bpffilter_fini(&h->filter);
    free(h);
}

static uint32_t dpdk_mtu(struct io_dev *dev)
{
    return ((struct dpdk *)dev->priv)->port->mtu;
}

/* => false: a driver without a link, whose ports have no address */
static bool dpdk_mac(struct io_dev *dev, uint8_t mac[6])
{
    const struct dpdk *h = dev->priv;
    struct rte_ether_addr addr;

    if (rte_eth_macaddr_get(h->id, &addr) != 0 || !rte_is_valid_assigned_ether_addr(&addr))
        return false;
    memcpy(mac, addr.addr_bytes, sizeof(addr.addr_bytes));
    return true;
}

const struct io_ops dpdk_ops = {
    .kind = "dpdk",
    .open = dpdk_open,
    .rx = dpdk_rx,
    .rx_done = dpdk_rx_done,
    .tx = dpdk_tx,
    .flush = dpdk_flush,
    .stats = dpdk_stats,
    .mtu = dpdk_mtu,
    .mac = dpdk_mac,
    .close = dpdk_close,
};
