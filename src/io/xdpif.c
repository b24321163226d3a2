// SPDX-License-Identifier: BSD-2-Clause
/*
 * xdpif.c: see xdpif.h. The list has the interfaces of this process, by index and namespace.
 */
#include "io/xdpif.h"
#include "io/xdpprog.h"
#include "base/errtext.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_QUEUES 256

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct xdpif *all;

static int silent(enum libbpf_print_level level, const char *fmt, va_list args)
{
    return 0;
}

static unsigned long this_netns(void)
{
    struct stat st;

    return stat("/proc/thread-self/ns/net", &st) == 0 ? (unsigned long)st.st_ino : 0;
}

/* => -1 with errno and text; x is left for undo() */
static int explain(const char *name, const char *what)
{
    int code = errno;

    if (code == EPERM)
        return err_set(code, "%s: %s needs CAP_BPF and CAP_NET_ADMIN", name, what);
    return err_set(code, "%s: %s: %s", name, what, strerror(code));
}

static int attach_as(struct xdpif *x, bool native)
{
    struct bpf_link_create_opts opts = {.sz = sizeof(opts),
                                        .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE};

    x->link = bpf_link_create(x->prog, x->ifindex, BPF_XDP, &opts);
    x->native = native;
    return x->link < 0 ? -1 : 0;
}

static void drop_program(struct xdpif *x)
{
    if (x->prog >= 0)
        close(x->prog);
    x->prog = -1;
}

/* In the driver, with tags if it knows them. => 0; -1 with errno, not attached */
static int attach_native(struct xdpif *x)
{
    int code;

    x->prog = xdpprog_load_tags(x->map, x->ifindex);
    x->tags = x->prog >= 0;
    if (!x->tags)
        x->prog = xdpprog_load(x->map, false);
    if (x->prog < 0)
        return -1;
    if (attach_as(x, true) == 0)
        return 0;
    code = errno;
    drop_program(x);
    x->tags = false;
    errno = code;
    return -1;
}

static int attach_generic(struct xdpif *x)
{
    x->prog = xdpprog_load(x->map, true);
    if (x->prog < 0)
        x->prog = xdpprog_load(x->map, false);
    return x->prog < 0 ? -1 : attach_as(x, false);
}

static int attach(struct xdpif *x, const char *name, enum xdp_mode mode)
{
    x->map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "weir_queues", sizeof(uint32_t), sizeof(uint32_t),
                            MAX_QUEUES, NULL);
    if (x->map < 0)
        return explain(name, "an XDP map");
    if (mode != XDP_GENERIC && attach_native(x) == 0)
        return 0;
    if (mode == XDP_NATIVE && errno != EBUSY && errno != EEXIST && errno != EPERM)
        return err_set(errno, "%s: XDP in the driver of %s: %s", name, x->ifname, strerror(errno));
    if (mode != XDP_NATIVE && attach_generic(x) == 0)
        return 0;
    if (errno == EBUSY || errno == EEXIST)
        return err_set(EBUSY, "%s: %s has another XDP program (ip link show %s)", name, x->ifname,
                       x->ifname);
    return explain(name, "attaching an XDP program");
}

/* Packets for others are wanted too. It ends with the socket. */
static int be_promiscuous(struct xdpif *x, const char *name)
{
    struct packet_mreq m = {.mr_ifindex = x->ifindex, .mr_type = PACKET_MR_PROMISC};

    x->promisc = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (x->promisc < 0 && errno == EPERM)
        return err_set(EPERM, "%s: promiscuous mode needs CAP_NET_RAW", name);
    if (x->promisc < 0 ||
        setsockopt(x->promisc, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0)
        return err_set(errno, "%s: promiscuous mode: %s", name, strerror(errno));
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* => as ifoffload_restore */
static int undo(struct xdpif *x, const char *name)
{
    int rc;

    close_fd(x->link);
    close_fd(x->prog);
    close_fd(x->map);
    close_fd(x->promisc);
    rc = ifoffload_restore(&x->off, name);
    free(x);
    return rc;
}

static struct xdpif *find(int ifindex, unsigned long netns)
{
    for (struct xdpif *x = all; x; x = x->next)
        if (x->ifindex == ifindex && x->netns == netns)
            return x;
    return NULL;
}

static struct xdpif *make(const char *name, const char *ifname, const struct xdpif_want *want)
{
    struct xdpif *x = calloc(1, sizeof(*x));
    char driver[32];

    if (!x)
        return err_null(ENOMEM, "%s: out of memory", name);
    x->map = x->prog = x->link = x->promisc = x->off.fd = -1;
    snprintf(x->ifname, sizeof(x->ifname), "%s", ifname);
    x->ifindex = (int)if_nametoindex(ifname);
    x->netns = this_netns();
    ifoffload_driver(ifname, driver, &x->may_part);
    libbpf_set_print(silent);
    if (ifoffload_off(&x->off, name, ifname, want->queues) < 0 || attach(x, name, want->mode) < 0 ||
        (want->promisc && be_promiscuous(x, name) < 0)) {
        int code = errno;

        undo(x, name);
        errno = code;
        return NULL;
    }
    ifoffload_queues(ifname, &x->queues, &x->tx_queues);
    x->next = all;
    all = x;
    return x;
}

struct xdpif *xdpif_get(const char *name, const char *ifname, const struct xdpif_want *want)
{
    int ifindex = (int)if_nametoindex(ifname);
    struct xdpif *x;

    if (ifindex == 0)
        return err_null(ENODEV, "%s: there is no network interface '%s'", name, ifname);
    pthread_mutex_lock(&lock);
    x = find(ifindex, this_netns());
    if (x && want->mode != XDP_ANY && x->native != (want->mode == XDP_NATIVE))
        x = err_null(EINVAL, "%s: %s is open in the other XDP mode", name, ifname);
    else if (!x)
        x = make(name, ifname, want);
    if (x)
        x->refs++;
    pthread_mutex_unlock(&lock);
    return x;
}

int xdpif_put(struct xdpif *x, const char *name)
{
    int rc = 0;

    pthread_mutex_lock(&lock);
    if (--x->refs == 0) {
        struct xdpif **at = &all;

        while (*at != x)
            at = &(*at)->next;
        *at = x->next;
        rc = undo(x, name);
    }
    pthread_mutex_unlock(&lock);
    return rc;
}

int xdpif_join(struct xdpif *x, const char *name, int queue, int fd)
{
    if (queue >= MAX_QUEUES)
        return err_set(EINVAL, "%s: queue %d is beyond %d", name, queue, MAX_QUEUES - 1);
    if (bpf_map_update_elem(x->map, &queue, &fd, BPF_NOEXIST) < 0)
        return err_set(errno, "%s: queue %d: %s", name, queue, strerror(errno));
    return 0;
}

void xdpif_leave(struct xdpif *x, int queue)
{
    bpf_map_delete_elem(x->map, &queue);
}
