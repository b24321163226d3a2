// SPDX-License-Identifier: BSD-2-Clause
#include "io/afpsock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/errtext.h"

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING /* Linux 5.15 */
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

/* Of blocks the largest frame must fit into one; they go round in no less than 1.28 s (16 MB). */
#define BLOCK     (128u << 10)
#define BLOCK_AGE 10 /* ms until a block that is not full is given to us */

/* All queues of one interface. */
struct group {
    struct group *next;
    int ifindex, queues, in_use;
    bool blocks, promisc;
    bool *taken;
    struct afpsock socks[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct group *groups;

/* ---- one socket ---- */

static int set_int(int fd, int option, int value)
{
    return setsockopt(fd, SOL_PACKET, option, &value, sizeof(value));
}

static int no_socket(const char *name)
{
    if (errno == EPERM || errno == EACCES)
        return err_set(errno,
                       "%s: a packet socket needs the capability CAP_NET_RAW: run as root, or "
                       "give it to the program (setcap cap_net_raw+ep)",
                       name);
    return err_set(errno, "%s: no packet socket: %s", name, strerror(errno));
}

/* What a socket must be able to do; the kernels that cannot are named. */
static int set_must(int fd, const struct afpopts *o)
{
    const struct {
        int option, value;
        const char *what;
    } must[] = {
        {PACKET_VERSION, o->blocks ? TPACKET_V3 : TPACKET_V2, "TPACKET_V3 (Linux 3.2)"},
        {PACKET_RESERVE, AFP_RESERVE, "PACKET_RESERVE (Linux 2.6.27)"},
        {PACKET_VNET_HDR, 1, "PACKET_VNET_HDR in rings (Linux 4.6)"},
        {PACKET_COPY_THRESH, 1, "PACKET_COPY_THRESH"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(must); i++)
        if (set_int(fd, must[i].option, must[i].value) < 0)
            return err_set(errno, "%s: this kernel does not have %s: %s", o->name, must[i].what,
                           strerror(errno));
    return 0;
}

/* What is good to have: room in the kernel (more than net.core.[rw]mem_max takes CAP_NET_ADMIN). */
static void set_may(int fd, const struct afpopts *o)
{
    int room = AFP_BIG_BYTES;

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (!o->outgoing)
        set_int(fd, PACKET_IGNORE_OUTGOING, 1); /* Linux 4.20; rx looks, too */
    if (o->hwtime)
        set_int(fd, PACKET_TIMESTAMP, SOF_TIMESTAMPING_RAW_HARDWARE);
}

static void *map(struct afpsock *s, const struct afpopts *o, size_t bytes)
{
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);

    if (mem == MAP_FAILED)
        return err_null(errno, "%s: the receive ring cannot be mapped: %s", o->name,
                        strerror(errno));
    return mem;
}

static int make_ring(struct afpsock *s, const struct afpopts *o)
{
    uint32_t mtu = o->mtu < AFP_MAX_MTU ? o->mtu : AFP_MAX_MTU;
    struct afpring *r = &s->ring;
    struct tpacket_req3 req = {.tp_block_size = BLOCK, .tp_retire_blk_tov = BLOCK_AGE};

    r->blocks = o->blocks;
    r->block = BLOCK;
    r->nblocks = req.tp_block_nr = (o->ring_mb << 20) / BLOCK;
    r->slot = req.tp_frame_size = TPACKET_ALIGN(AFP_MAC + ETH_HLEN + 8 + mtu + IO_TAILROOM);
    r->per_block = BLOCK / r->slot;
    req.tp_frame_nr = r->per_block * r->nblocks;
    if (setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &req,
                   o->blocks ? sizeof(req) : sizeof(struct tpacket_req)) < 0)
        return err_set(errno, "%s: no receive ring of %u megabytes: %s", o->name, o->ring_mb,
                       strerror(errno));
    r->mem = map(s, o, (size_t)r->nblocks * BLOCK);
    return r->mem ? 0 : -1;
}

static int attach(struct afpsock *s, const struct afpopts *o)
{
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = o->ifindex};
    struct packet_mreq m = {.mr_ifindex = o->ifindex, .mr_type = PACKET_MR_PROMISC};

    s->filtered = o->filter && setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, o->filter,
                                          sizeof(*o->filter)) == 0;
    if (bind(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        return err_set(errno, "%s: cannot bind to the interface: %s", o->name, strerror(errno));
    if (o->promisc && setsockopt(s->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0)
        return err_set(errno, "%s: the interface does not become promiscuous: %s", o->name,
                       strerror(errno));
    return 0;
}

/*
 * join: the sockets of a group share the frames by a hash that is the same for both directions of a
 * connection, and on every interface. The kernel gives the first an id that nobody else has.
 */
static int join(struct afpsock *s, const struct afpopts *o, int *id)
{
    int type = PACKET_FANOUT_HASH | (o->outgoing ? 0 : PACKET_FANOUT_FLAG_IGNORE_OUTGOING);
    int first = *id < 0 ? PACKET_FANOUT_FLAG_UNIQUEID : 0;
    int rc = set_int(s->fd, PACKET_FANOUT, (*id < 0 ? 0 : *id) | (type | first) << 16);
    socklen_t len = sizeof(*id);

    if (rc < 0 && errno == EINVAL) { /* a kernel before 5.15 */
        type = PACKET_FANOUT_HASH;
        rc = set_int(s->fd, PACKET_FANOUT, (*id < 0 ? 0 : *id) | (type | first) << 16);
    }
    if (rc == 0 && first)
        rc = getsockopt(s->fd, SOL_PACKET, PACKET_FANOUT, id, &len);
    if (rc < 0)
        return err_set(errno,
                       "%s: %d queues need PACKET_FANOUT (Linux 4.12) and the interface up: "
                       "%s",
                       o->name, o->queues, strerror(errno));
    *id &= 0xffff;
    return 0;
}

static void shut(struct afpsock *s)
{
    if (s->ring.mem)
        munmap(s->ring.mem, (size_t)s->ring.nblocks * BLOCK);
    if (s->fd >= 0)
        close(s->fd);
}

static int open_one(struct afpsock *s, const struct afpopts *o, int *id)
{
    s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return no_socket(o->name);
    set_may(s->fd, o);
    if (set_must(s->fd, o) < 0 || make_ring(s, o) < 0 || attach(s, o) < 0)
        return -1;
    return o->queues > 1 ? join(s, o, id) : 0;
}

/* ---- groups ---- */

static void group_free(struct group *g)
{
    for (int i = 0; i < g->queues; i++)
        shut(&g->socks[i]);
    free(g->taken);
    free(g);
}

static struct group *group_new(const struct afpopts *o)
{
    struct group *g = calloc(1, sizeof(*g) + (size_t)o->queues * sizeof(g->socks[0]));
    int id = -1;

    if (!g || !(g->taken = calloc((size_t)o->queues, sizeof(bool)))) {
        free(g);
        return err_null(ENOMEM, "%s: out of memory", o->name);
    }
    g->ifindex = o->ifindex;
    g->queues = o->queues;
    g->blocks = o->blocks;
    g->promisc = o->promisc;
    for (int i = 0; i < o->queues; i++)
        g->socks[i].fd = -1;
    for (int i = 0; i < o->queues; i++)
        if (open_one(&g->socks[i], o, &id) < 0) {
            int code = errno;

            group_free(g);
            errno = code;
            return NULL;
        }
    return g;
}

struct afpsock *afpsock_take(const struct afpopts *o, int queue)
{
    struct afpsock *s = NULL;
    struct group *g;

    pthread_mutex_lock(&lock);
    for (g = groups; g; g = g->next)
        if (g->ifindex == o->ifindex && g->queues == o->queues && g->blocks == o->blocks &&
            g->promisc == o->promisc && !g->taken[queue])
            break;
    if (!g && (g = group_new(o)) != NULL) {
        g->next = groups;
        groups = g;
    }
    if (g) {
        g->taken[queue] = true;
        g->in_use++;
        s = &g->socks[queue];
    }
    pthread_mutex_unlock(&lock);
    return s;
}

void afpsock_give(struct afpsock *s)
{
    pthread_mutex_lock(&lock);
    for (struct group **at = &groups; *at; at = &(*at)->next) {
        struct group *g = *at;

        if (s < g->socks || s >= g->socks + g->queues)
            continue;
        if (--g->in_use == 0) {
            *at = g->next;
            group_free(g);
        }
        break;
    }
    pthread_mutex_unlock(&lock);
}
