// SPDX-License-Identifier: BSD-2-Clause
/*
 * dpdkport.c: see dpdkport.h. Ports are opened and closed under one lock.
 */
#include "io/dpdkport.h"
#include "io/dpdkeal.h"
#include "base/errtext.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <pthread.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESC       1024 /* descriptors of a ring, where the driver does not say */
#define POOL_CACHE 256
#define ROOM_LEAST 2048             /* bytes for a frame: what drivers expect */
#define FRAME_MORE (14 + 2 * 4 + 4) /* Ethernet header, two tags, FCS */
#define KEPT_FLAGS (IFF_PROMISC | IFF_ALLMULTI | IFF_UP)

struct dpdk_pool {
    struct rte_mempool *mp;
    unsigned refs;
    uint64_t bytes;
};

static struct {
    pthread_mutex_t lock;
    struct dpdk_port *first;
    unsigned pools; /* made ever, for their names */
} ports = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The same for both directions of a connection (Woo and Park, 2012). */
static uint8_t rss_key[52];

/* --- names -------------------------------------------------------------------------------- */

/* The value of `key=` in a list of arguments. => its length, 0 if there is none. */
static size_t argument(const char *spec, const char *key, const char **value)
{
    size_t len = strlen(key);

    for (const char *p = strchr(spec, ','); p; p = strchr(p + 1, ','))
        if (strncmp(p + 1, key, len) == 0 && p[1 + len] == '=') {
            *value = p + 2 + len;
            return strcspn(*value, ",");
        }
    return 0;
}

static bool driver_is(const struct dpdk_port *port, const char *name)
{
    return strncmp(port->device, name, strlen(name)) == 0;
}

/* => "spec" without our own argument mtu=, with those that several queues need; NULL: no memory. */
static char *device_arguments(const struct dpdk_port *port)
{
    const char *mtu = NULL, *value;
    size_t n = argument(port->spec, "mtu", &mtu), len = strlen(port->spec) + 64;
    char *args = malloc(len);
    int at;

    if (!args)
        return NULL;
    if (n > 0)
        at = snprintf(args, len, "%.*s%s", (int)(mtu - port->spec) - 5, port->spec, mtu + n);
    else
        at = snprintf(args, len, "%s", port->spec);
    if (port->queues > 1 && driver_is(port, "net_af_packet") &&
        !argument(port->spec, "qpairs", &value))
        snprintf(args + at, len - (size_t)at, ",qpairs=%d", port->queues);
    if (port->queues > 1 && driver_is(port, "net_af_xdp") &&
        !argument(port->spec, "queue_count", &value))
        snprintf(args + at, len - (size_t)at, ",queue_count=%d", port->queues);
    return args;
}

/* --- the kernel's interface under a virtual device ---------------------------------------- */

/* => its flags, 0 if there is none to ask about. */
static short iface_flags(const struct dpdk_port *port)
{
    struct ifreq ifr = {0};

    if (port->ctl < 0)
        return 0;
    memcpy(ifr.ifr_name, port->iface, sizeof(ifr.ifr_name));
    return ioctl(port->ctl, SIOCGIFFLAGS, &ifr) < 0 ? 0 : ifr.ifr_flags;
}

/* DPDK's start and stop take promiscuous mode from an interface that had it of its owner. */
static void iface_restore(const struct dpdk_port *port, short before)
{
    short now = iface_flags(port);
    struct ifreq ifr = {0};

    if (!now || !before || ((now ^ before) & KEPT_FLAGS) == 0)
        return;
    memcpy(ifr.ifr_name, port->iface, sizeof(ifr.ifr_name));
    ifr.ifr_flags = (short)((now & ~KEPT_FLAGS) | (before & KEPT_FLAGS));
    ioctl(port->ctl, SIOCSIFFLAGS, &ifr);
}

/* Promiscuous by a membership that ends with the process, not by the interface's flag. */
static void iface_promisc(const struct dpdk_port *port)
{
    struct packet_mreq req = {.mr_ifindex = port->ifindex, .mr_type = PACKET_MR_PROMISC};

    setsockopt(port->ctl, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &req, sizeof(req));
}

static int iface_find(struct dpdk_port *port)
{
    const char *value = NULL;
    size_t n = argument(port->spec, "iface", &value);
    struct ifreq ifr = {0};

    if (n == 0 || (!driver_is(port, "net_af_packet") && !driver_is(port, "net_af_xdp")))
        return 0;
    snprintf(port->iface, sizeof(port->iface), "%.*s", (int)n, value);
    port->ifindex = n < IF_NAMESIZE ? (int)if_nametoindex(port->iface) : 0;
    if (!port->ifindex)
        return err_set(ENODEV, "dpdk:%s: there is no interface '%.*s'", port->spec, (int)n, value);
    port->ctl = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (port->ctl < 0)
        return err_set(errno, "dpdk:%s: no packet socket: %s (CAP_NET_RAW)", port->spec,
                       strerror(errno));
    memcpy(ifr.ifr_name, port->iface, sizeof(ifr.ifr_name));
    if (ioctl(port->ctl, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu < UINT16_MAX)
        port->mtu = (uint16_t)ifr.ifr_mtu;
    return 0;
}

/* --- pools -------------------------------------------------------------------------------- */

static void pool_drop(struct dpdk_pool *p)
{
    if (!p || --p->refs > 0)
        return;
    rte_mempool_free(p->mp);
    free(p);
}

static uint32_t frame_room(const struct dpdk_port *port)
{
    uint32_t frame = ((uint32_t)port->mtu + FRAME_MORE + 63) & ~63U;
    uint32_t room = RTE_PKTMBUF_HEADROOM + (frame > ROOM_LEAST ? frame : ROOM_LEAST) + IO_TAILROOM;

    return room > UINT16_MAX ? UINT16_MAX : room;
}

/* Enough for the rings of both ports of a pair, what is being looked at, and caches. */
static struct dpdk_pool *pool_make(const struct dpdk_port *port)
{
    unsigned n = 2U * (port->rx_desc + port->tx_desc) + 4 * IO_BURST + 2 * POOL_CACHE;
    struct dpdk_pool *p = calloc(1, sizeof(*p));
    char name[32];

    if (!p)
        return err_null(ENOMEM, "dpdk:%s: out of memory", port->spec);
    snprintf(name, sizeof(name), "weir_%u", ports.pools++);
    p->mp = rte_pktmbuf_pool_create(name, n, POOL_CACHE, 0, (uint16_t)frame_room(port),
                                    rte_eth_dev_socket_id(port->id));
    if (!p->mp) {
        free(p);
        return err_null(ENOMEM,
                        "dpdk:%s: no %u MB of packet memory for each queue: %s (hugepages, or more "
                        "of it by WEIR_EAL='-m MB')",
                        port->spec, n * frame_room(port) >> 20, rte_strerror(rte_errno));
    }
    p->refs = 1;
    p->bytes = (uint64_t)n * (p->mp->header_size + p->mp->elt_size + p->mp->trailer_size);
    return p;
}

static bool pool_fits(const struct dpdk_port *port, const struct dpdk_port *pair, int q)
{
    return pair && q < pair->queues && pair->pool[q] &&
           rte_pktmbuf_data_room_size(pair->pool[q]->mp) >= frame_room(port) &&
           2U * (pair->rx_desc + pair->tx_desc) >=
               (uint32_t)pair->rx_desc + pair->tx_desc + port->rx_desc + port->tx_desc;
}

static int pools_take(struct dpdk_port *port, const struct dpdk_port *pair)
{
    for (int q = 0; q < port->queues; q++) {
        if (pool_fits(port, pair, q)) {
            port->pool[q] = pair->pool[q];
            port->pool[q]->refs++;
        } else if (!(port->pool[q] = pool_make(port))) {
            return -1;
        }
    }
    return 0;
}

struct rte_mempool *dpdk_port_pool(const struct dpdk_port *port, int queue)
{
    return port->pool[queue]->mp;
}

uint64_t dpdk_port_memory(const struct dpdk_port *port, int queue)
{
    return port->pool[queue]->bytes;
}

/* --- a port ------------------------------------------------------------------------------- */

/* A step of DPDK's failed: its own words are the text. => -1 */
static int refused(const struct dpdk_port *port, const char *step, int ret)
{
    char text[256];

    dpdk_log_copy(text, sizeof(text));
    return err_set(ret == -ENOMEM || ret == -EBUSY ? -ret : ENODEV, "dpdk:%s: %s: %s", port->spec,
                   step, text);
}

static int find_id(struct dpdk_port *port)
{
    struct rte_dev_iterator it;
    uint16_t id, found = RTE_MAX_ETHPORTS;

    if (rte_eth_dev_get_port_by_name(port->device, &port->id) == 0)
        return 0;
    RTE_ETH_FOREACH_MATCHING_DEV(id, port->device, &it)
    if (found == RTE_MAX_ETHPORTS)
        found = id;
    port->id = found;
    return found == RTE_MAX_ETHPORTS ? -1 : 0;
}

static int attach(struct dpdk_port *port)
{
    char *args;
    int ret;

    if (rte_eth_dev_get_port_by_name(port->device, &port->id) == 0)
        return 0; /* made by WEIR_EAL or by the program */
    args = device_arguments(port);
    if (!args)
        return err_set(ENOMEM, "dpdk:%s: out of memory", port->spec);
    dpdk_log_clear();
    ret = rte_dev_probe(args);
    free(args);
    if (ret < 0)
        return refused(port,
                       "not attached (a port is a card's PCI address, bound to vfio-pci unless "
                       "its driver needs none, or a virtual device: net_af_packet0,iface=IF)",
                       ret);
    port->attached = true;
    if (find_id(port) < 0)
        return err_set(ENODEV, "dpdk:%s: this is no network port", port->spec);
    return 0;
}

static int check_queues(const struct dpdk_port *port, const struct rte_eth_dev_info *info)
{
    unsigned most = RTE_MIN(info->max_rx_queues, info->max_tx_queues), n = (unsigned)port->queues;

    if (n > most)
        return err_set(EINVAL, "dpdk:%s: has %u queues, and %u are asked for (one for each core)",
                       port->spec, most, n);
    if (driver_is(port, "net_af_packet") && n != most)
        return err_set(EINVAL, "dpdk:%s: qpairs must be %u, one for each core", port->spec, n);
    return 0;
}

static int configure(struct dpdk_port *port, const struct rte_eth_dev_info *info)
{
    struct rte_eth_conf conf = {0};
    uint32_t most = info->max_rx_pktlen > 18 ? info->max_rx_pktlen - 18 : UINT16_MAX;
    int ret;

    most = RTE_MIN(most, (uint32_t)info->max_mtu);
    conf.rxmode.mtu = RTE_MIN((uint32_t)port->mtu, most);
    conf.rxmode.offloads = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_CHECKSUM;
    conf.txmode.offloads = info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    conf.rx_adv_conf.rss_conf.rss_hf =
        info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
    if (port->queues > 1 && conf.rx_adv_conf.rss_conf.rss_hf) {
        for (size_t i = 0; i < sizeof(rss_key); i++)
            rss_key[i] = i % 2 == 0 ? 0x6d : 0x5a;
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_key = rss_key;
        conf.rx_adv_conf.rss_conf.rss_key_len =
            info->hash_key_size ? RTE_MIN(info->hash_key_size, (uint8_t)sizeof(rss_key)) : 40;
    }
    ret = rte_eth_dev_configure(port->id, (uint16_t)port->queues, (uint16_t)port->queues, &conf);
    if (ret < 0)
        return refused(port, "not configured", ret);
    port->rx_desc = info->default_rxportconf.ring_size ? info->default_rxportconf.ring_size : DESC;
    port->tx_desc = info->default_txportconf.ring_size ? info->default_txportconf.ring_size : DESC;
    rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->rx_desc, &port->tx_desc);
    return 0;
}

static int set_up_queues(struct dpdk_port *port)
{
    unsigned node = (unsigned)rte_eth_dev_socket_id(port->id);

    for (int i = 0; i < port->queues; i++) {
        const uint16_t q = (uint16_t)i;
        int ret = rte_eth_rx_queue_setup(port->id, q, port->rx_desc, node, NULL, port->pool[q]->mp);

        if (ret == 0)
            ret = rte_eth_tx_queue_setup(port->id, q, port->tx_desc, node, NULL);
        if (ret < 0)
            return refused(port, "a queue is not set up", ret);
    }
    return 0;
}

static int start(struct dpdk_port *port, bool no_promisc)
{
    short before = iface_flags(port);
    int ret = rte_eth_dev_start(port->id);

    if (ret == 0 && port->ctl < 0 && !no_promisc)
        rte_eth_promiscuous_enable(port->id); /* a driver that cannot takes all anyway */
    iface_restore(port, before);
    if (ret < 0)
        return refused(port, "does not start", ret);
    port->started = true;
    if (port->ctl >= 0 && !no_promisc)
        iface_promisc(port);
    rte_eth_stats_reset(port->id);
    return 0;
}

/* The rings of net_ring stay when the device goes: what is in them must not, its pool goes. */
static void drain(const struct dpdk_port *port)
{
    struct rte_mbuf *m[IO_BURST];
    unsigned n;

    for (uint16_t q = 0; q < port->queues; q++)
        while ((n = rte_eth_rx_burst(port->id, q, m, IO_BURST)) > 0)
            rte_pktmbuf_free_bulk(m, n);
}

static void detach(struct dpdk_port *port)
{
    short before = iface_flags(port);

    if (port->started && driver_is(port, "net_ring"))
        drain(port);
    if (port->hw) {
        rte_eth_dev_stop(port->id);
        if (port->attached)
            rte_eth_dev_close(port->id);
    }
    if (port->attached && port->hw)
        rte_dev_remove(port->hw);
    iface_restore(port, before);
}

static void port_free(struct dpdk_port *port)
{
    for (int q = 0; port->pool && q < port->queues; q++)
        pool_drop(port->pool[q]);
    if (port->ctl >= 0)
        close(port->ctl);
    free(port->pool);
    free(port->taken);
    free(port->device);
    free(port->spec);
    free(port);
}

static struct dpdk_port *port_new(const char *spec, int queues)
{
    struct dpdk_port *port = calloc(1, sizeof(*port));

    if (!port)
        return err_null(ENOMEM, "dpdk:%s: out of memory", spec);
    port->ctl = -1;
    port->queues = queues;
    port->spec = strdup(spec);
    port->device = strndup(spec, strcspn(spec, ","));
    port->pool = calloc((size_t)queues, sizeof(struct dpdk_pool *));
    port->taken = calloc((size_t)queues, sizeof(bool));
    if (!port->spec || !port->device || !port->pool || !port->taken) {
        port_free(port);
        return err_null(ENOMEM, "dpdk:%s: out of memory", spec);
    }
    return port;
}

/* The MTU: as `mtu=` says, or the kernel's interface, or the driver. */
static int set_mtu(struct dpdk_port *port)
{
    const char *value = NULL;
    char *end = NULL;
    unsigned long mtu;

    if (argument(port->spec, "mtu", &value) > 0) {
        mtu = strtoul(value, &end, 10);
        if ((*end && *end != ',') || mtu < 68 || mtu > 16000)
            return err_set(EINVAL, "dpdk:%s: mtu is a number from 68 to 16000", port->spec);
        port->mtu = (uint16_t)mtu;
    }
    if (!port->mtu && rte_eth_dev_get_mtu(port->id, &port->mtu) != 0)
        port->mtu = RTE_ETHER_MTU;
    return 0;
}

static int bring_up(struct dpdk_port *port, const struct io_dev *dev, const struct dpdk_port *pair)
{
    struct rte_eth_dev_info info = {0};

    if (iface_find(port) < 0 || attach(port) < 0 || set_mtu(port) < 0)
        return -1;
    if (rte_eth_dev_info_get(port->id, &info) != 0)
        return err_set(ENODEV, "dpdk:%s: says nothing of itself", port->spec);
    port->hw = info.device;
    if (check_queues(port, &info) < 0 || configure(port, &info) < 0 || pools_take(port, pair) < 0)
        return -1;
    dpdk_log_clear();
    return set_up_queues(port) < 0 ? -1 : start(port, dev->args.no_promisc);
}

static struct dpdk_port *port_make(const struct io_dev *dev, const char *spec, int queues,
                                   const struct dpdk_port *pair)
{
    struct dpdk_port *port = port_new(spec, queues);

    if (!port)
        return NULL;
    if (bring_up(port, dev, pair) < 0) {
        int code = errno;

        detach(port);
        port_free(port);
        errno = code;
        return NULL;
    }
    port->next = ports.first;
    ports.first = port;
    return port;
}

/* An open port of the same device. => NULL with errno 0: there is none. */
static struct dpdk_port *find(const char *spec, int queues)
{
    size_t len = strcspn(spec, ",");

    errno = 0;
    for (struct dpdk_port *p = ports.first; p; p = p->next) {
        if (strlen(p->device) != len || strncmp(p->device, spec, len) != 0)
            continue;
        if (strcmp(p->spec, spec) != 0)
            return err_null(EEXIST,
                            "dpdk:%s: '%s' is open as dpdk:%s: virtual devices of one kind have "
                            "different numbers",
                            spec, p->device, p->spec);
        if (p->queues != queues)
            return err_null(EBUSY, "dpdk:%s: is open with %d queues, not %d", spec, p->queues,
                            queues);
        return p;
    }
    return NULL;
}

struct dpdk_port *dpdk_port_open(struct io_dev *dev, const char *rest, struct dpdk_port *pair)
{
    int queues = dev->args.queues > 0 ? dev->args.queues : 1, queue = dev->args.queue;
    struct dpdk_port *port;

    if (!*rest || *rest == ',')
        return err_null(EINVAL, "%s: expected dpdk:PCI-ADDRESS or dpdk:DRIVER[,ARGUMENT=VALUE]...",
                        dev->name);
    if (queue < 0 || queue >= queues)
        return err_null(EINVAL, "%s: no queue %d of %d", dev->name, queue, queues);
    pthread_mutex_lock(&ports.lock);
    port = find(rest, queues);
    if (!port && errno == 0)
        port = port_make(dev, rest, queues, pair);
    if (port && port->taken[queue]) {
        port = err_null(EBUSY, "%s: queue %d is open already", dev->name, queue);
    } else if (port) {
        port->taken[queue] = true;
        port->opened++;
    }
    pthread_mutex_unlock(&ports.lock);
    return port;
}

void dpdk_port_close(struct dpdk_port *port, int queue)
{
    struct dpdk_port **p = &ports.first;

    pthread_mutex_lock(&ports.lock);
    port->taken[queue] = false;
    if (--port->opened == 0) {
        while (*p != port)
            p = &(*p)->next;
        *p = port->next;
        detach(port);
        port_free(port);
    }
    pthread_mutex_unlock(&ports.lock);
}

enum dpdk_link dpdk_port_link(struct dpdk_port *port)
{
    struct rte_eth_link link = {0};
    struct ifreq ifr = {.ifr_ifindex = port->ifindex};

    if (port->ctl < 0)
        return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == 0
                   ? DPDK_LINK_DOWN
                   : DPDK_LINK_UP;
    if (ioctl(port->ctl, SIOCGIFNAME, &ifr) < 0 || ioctl(port->ctl, SIOCGIFFLAGS, &ifr) < 0)
        return DPDK_LINK_GONE;
    return ifr.ifr_flags & IFF_RUNNING ? DPDK_LINK_UP : DPDK_LINK_DOWN;
}
