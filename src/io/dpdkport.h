/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdkport.h: the ports of DPDK that are open, each with one queue a handle and one pool of mbufs a
 * queue.
 *
 * A port is attached by the first handle that opens it, configured for as many queues as that says,
 * and stopped, closed and detached with the last. Ports of a pair share the pools of the one that
 * was opened first; a pool is freed with the last port that uses it.
 */
#ifndef WEIR_IO_DPDKPORT_H
#define WEIR_IO_DPDKPORT_H

#include <net/if.h>
#include <rte_ethdev.h>

#include "io/io.h"

struct dpdk_pool;
enum dpdk_link { DPDK_LINK_UP, DPDK_LINK_DOWN, DPDK_LINK_GONE };

struct dpdk_port {
    struct dpdk_port *next;
    char *spec;              /* as given */
    char *device;            /* its part before the first comma */
    char iface[IF_NAMESIZE]; /* the kernel's interface that a driver stands on, or "" */
    int ifindex;
    int ctl;     /* a socket to ask the kernel about it; keeps it promiscuous; else -1 */
    uint16_t id; /* DPDK's number */
    bool started;
    bool attached; /* by us, to be detached */
    uint16_t mtu;
    uint16_t rx_desc, tx_desc;
    struct rte_device *hw;
    int queues, opened;
    struct dpdk_pool **pool; /* of each queue */
    bool *taken;             /* queue has a handle */
};

/*
 * dpdk_port_open: the port that `rest` names, open, and its queue args.queue taken. `pair` is the
 * port of args.pair, or NULL.
 * => NULL with errno and text.
 */
struct dpdk_port *dpdk_port_open(struct io_dev *dev, const char *rest, struct dpdk_port *pair);
/* dpdk_port_close: the queue is given back. => no mbuf of its pool is out, but in the ports' rings. */
void dpdk_port_close(struct dpdk_port *port, int queue);

struct rte_mempool *dpdk_port_pool(const struct dpdk_port *port, int queue);
/* dpdk_port_memory: bytes of packet memory of a queue. */
uint64_t dpdk_port_memory(const struct dpdk_port *port, int queue);
/* dpdk_port_link: => up for a driver that does not know; gone: the kernel's interface is no more. */
enum dpdk_link dpdk_port_link(struct dpdk_port *port);

#endif
