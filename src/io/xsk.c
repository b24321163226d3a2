// SPDX-License-Identifier: BSD-2-Clause
#include "io/xsk.h"
#include "base/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define KICKS  64 /* of one call: a kernel sends at least 32 frames a kick */
#define SNDBUF (8 << 20)

/* XDP_UMEM_REG as of Linux 6.8. */
struct umem_reg {
    uint64_t addr, len;
    uint32_t chunk_size, headroom, flags, tx_metadata_len;
};

struct xumem *xumem_create(const char *name, uint32_t frames)
{
    size_t size = (size_t)frames * XFRAME;
    struct xumem *u = calloc(1, sizeof(*u));
    uint32_t *idle = malloc(frames * sizeof(*idle));
    void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (!u || !idle || area == MAP_FAILED) {
        free(u);
        free(idle);
        if (area != MAP_FAILED)
            munmap(area, size);
        return err_null(ENOMEM, "%s: out of memory: %zu bytes for frames", name, size);
    }
    madvise(area, size, MADV_HUGEPAGE);
    *u = (struct xumem){.area = area, .frames = frames, .idle = idle, .refs = 1, .fd = -1};
    for (uint32_t i = frames; i-- > 0;)
        xumem_put(u, i);
    return u;
}

void xumem_unref(struct xumem *u)
{
    if (!u || --u->refs > 0)
        return;
    munmap(u->area, (size_t)u->frames * XFRAME);
    free(u->idle);
    free(u);
}

/* => 0, or -1 with errno and text */
static int register_umem(struct xumem *u, const char *name, int fd)
{
    struct umem_reg reg = {.addr = (uintptr_t)u->area,
                           .len = (uint64_t)u->frames * XFRAME,
                           .chunk_size = XFRAME,
                           .headroom = XSK_HEADROOM,
                           .flags = XSK_UMEM_TX_METADATA,
                           .tx_metadata_len = XSK_TXMETA};
    struct rlimit lim = {0};

    u->txmeta = setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) == 0;
    if (u->txmeta)
        return 0;
    /* a kernel before 6.8 knows no such flag */
    reg.flags = 0;
    if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, offsetof(struct umem_reg, tx_metadata_len)) ==
        0)
        return 0;
    if (errno != ENOBUFS)
        return err_set(errno, "%s: memory for AF_XDP: %s", name, strerror(errno));
    getrlimit(RLIMIT_MEMLOCK, &lim);
    return err_set(ENOBUFS,
                   "%s: %llu KiB of locked memory are needed, the limit (ulimit -l) is %llu KiB: "
                   "raise it, or run with CAP_IPC_LOCK",
                   name, (unsigned long long)reg.len / 1024,
                   (unsigned long long)lim.rlim_cur / 1024);
}

static int map_ring(struct xring *r, int fd, uint64_t page, const struct xdp_ring_offset *off,
                    size_t desc_size)
{
    uint8_t *map;

    r->map_len = off->desc + XSK_RING * desc_size;
    map =
        mmap(NULL, r->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)page);
    if (map == MAP_FAILED)
        return -1;
    r->map = map;
    r->prod = (uint32_t *)(map + off->producer);
    r->cons = (uint32_t *)(map + off->consumer);
    r->flags = (uint32_t *)(map + off->flags);
    r->desc = map + off->desc;
    r->mask = XSK_RING - 1;
    return 0;
}

/* => 0; -1 with errno */
static int make_rings(struct xsk *x)
{
    static const int opts[] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING,
                               XDP_TX_RING};
    struct xdp_mmap_offsets off;
    socklen_t len = sizeof(off);
    int size = XSK_RING;

    for (size_t i = 0; i < ARRAY_SIZE(opts); i++)
        if (setsockopt(x->fd, SOL_XDP, opts[i], &size, sizeof(size)) < 0)
            return -1;
    if (getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len) < 0)
        return -1;
    if (len != sizeof(off)) {
        errno = ENOTSUP; /* before Linux 5.4 */
        return -1;
    }
    if (map_ring(&x->fill, x->fd, XDP_UMEM_PGOFF_FILL_RING, &off.fr, sizeof(uint64_t)) < 0 ||
        map_ring(&x->comp, x->fd, XDP_UMEM_PGOFF_COMPLETION_RING, &off.cr, sizeof(uint64_t)) < 0 ||
        map_ring(&x->rx, x->fd, XDP_PGOFF_RX_RING, &off.rx, sizeof(struct xdp_desc)) < 0 ||
        map_ring(&x->tx, x->fd, XDP_PGOFF_TX_RING, &off.tx, sizeof(struct xdp_desc)) < 0)
        return -1;
    return 0;
}

static int bind_to(struct xsk *x, struct xumem *u, int ifindex, unsigned flags)
{
    struct sockaddr_xdp to = {.sxdp_family = AF_XDP,
                              .sxdp_ifindex = (uint32_t)ifindex,
                              .sxdp_queue_id = (uint32_t)x->queue};

    if (u->fd >= 0) {
        to.sxdp_flags = XDP_SHARED_UMEM;
        to.sxdp_shared_umem_fd = (uint32_t)u->fd;
    } else {
        to.sxdp_flags = (uint16_t)(flags | XDP_USE_NEED_WAKEUP);
    }
    return bind(x->fd, (struct sockaddr *)&to, sizeof(to));
}

static int explain_bind(const char *name, int queue, unsigned flags)
{
    int code = errno;

    if (code == EBUSY)
        return err_set(code, "%s: queue %d has an AF_XDP socket of another program", name, queue);
    if (code == EOPNOTSUPP && (flags & XDP_ZEROCOPY))
        return err_set(code, "%s: the driver has no zero-copy AF_XDP", name);
    if (code == EINVAL)
        return err_set(code, "%s: the interface has no queue %d", name, queue);
    return err_set(code, "%s: AF_XDP on queue %d: %s", name, queue, strerror(code));
}

static void note_options(struct xsk *x)
{
    struct xdp_options opt = {0};
    socklen_t len = sizeof(opt);
    int budget = XSK_RING, room = SNDBUF;

    if (getsockopt(x->fd, SOL_XDP, XDP_OPTIONS, &opt, &len) == 0)
        x->zerocopy = opt.flags & XDP_OPTIONS_ZEROCOPY;
    /* These make a burst one system call; without them it is two or three. */
    setsockopt(x->fd, SOL_XDP, XSK_MAX_TX_BUDGET, &budget, sizeof(budget));
    if (setsockopt(x->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        setsockopt(x->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
}

static void unmap_ring(struct xring *r)
{
    if (r->map)
        munmap(r->map, r->map_len);
}

static int give_up(struct xsk *x)
{
    int code = errno;

    unmap_ring(&x->rx);
    unmap_ring(&x->tx);
    unmap_ring(&x->fill);
    unmap_ring(&x->comp);
    close(x->fd);
    x->fd = -1;
    errno = code;
    return -1;
}

int xsk_open(struct xsk *x, struct xumem *u, const char *name, int ifindex, int queue,
             unsigned bind_flags)
{
    *x = (struct xsk){.queue = queue};
    if (u->nsocks == XSK_MAX)
        return err_set(EMFILE, "%s: more than %d queues", name, XSK_MAX);
    x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (x->fd < 0 && errno == EPERM)
        return err_set(EPERM, "%s: an AF_XDP socket needs CAP_NET_RAW", name);
    if (x->fd < 0)
        return err_set(errno, "%s: AF_XDP socket: %s%s", name, strerror(errno),
                       errno == EAFNOSUPPORT ? " (the kernel is built without XDP sockets)" : "");
    if (u->fd < 0 && register_umem(u, name, x->fd) < 0)
        return give_up(x);
    if (make_rings(x) < 0) {
        err_set(errno, "%s: AF_XDP rings: %s", name, strerror(errno));
        return give_up(x);
    }
    if (bind_to(x, u, ifindex, bind_flags) < 0) {
        explain_bind(name, queue, bind_flags);
        return give_up(x);
    }
    if (u->fd < 0) {
        u->fd = x->fd;
        u->pieces = bind_flags & XSK_USE_SG;
    }
    note_options(x);
    u->sock[u->nsocks++] = x;
    return 0;
}

void xsk_close(struct xsk *x, struct xumem *u)
{
    int i = 0;

    while (u->sock[i] != x)
        i++;
    u->sock[i] = u->sock[--u->nsocks];
    if (u->fd == x->fd)
        u->fd = -1;
    give_up(x);
}

/* One call into the kernel. => 0, or errno */
static int kick_once(struct xsk *x)
{
    if (sendto(x->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
        return 0;
    return errno;
}

int xsk_kick(struct xsk *x, struct xumem *u, uint32_t *dropped)
{
    xsk_tx_submit(x);
    for (int i = 0; i < KICKS; i++) {
        uint32_t seen;
        int code;

        if (!(__atomic_load_n(x->tx.flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP))
            return 0; /* the driver is at it */
        code = kick_once(x);
        seen = __atomic_load_n(x->tx.cons, __ATOMIC_ACQUIRE);
        *dropped += code == EBUSY; /* taken from the ring, and lost */
        if (x->zerocopy || seen == x->tx.at)
            return 0;
        if (code != 0 && code != EAGAIN && code != EBUSY && code != ENOBUFS)
            return code;
        xumem_reclaim(u); /* a full completion ring stops it */
    }
    return EAGAIN;
}

static void reclaim(struct xsk *x, struct xumem *u)
{
    struct xring *c = &x->comp;
    uint32_t end = __atomic_load_n(c->prod, __ATOMIC_ACQUIRE);

    if (c->at == end)
        return;
    while (c->at != end)
        xumem_put(u, (uint32_t)(((uint64_t *)c->desc)[c->at++ & c->mask] / XFRAME));
    __atomic_store_n(c->cons, c->at, __ATOMIC_RELEASE);
}

void xumem_reclaim(struct xumem *u)
{
    for (int i = 0; i < u->nsocks; i++)
        reclaim(u->sock[i], u);
}

void xsk_fill(struct xsk *x, struct xumem *u, uint32_t level)
{
    struct xring *f = &x->fill;
    uint32_t in_ring = f->at - __atomic_load_n(f->cons, __ATOMIC_ACQUIRE);
    uint32_t want = in_ring < level ? level - in_ring : 0;

    if (want > u->nidle)
        xumem_reclaim(u);
    if (want > u->nidle)
        want = u->nidle;
    if (want > 0) {
        while (want-- > 0)
            ((uint64_t *)f->desc)[f->at++ & f->mask] = (uint64_t)u->idle[--u->nidle] * XFRAME;
        __atomic_store_n(f->prod, f->at, __ATOMIC_RELEASE);
    }
    if (__atomic_load_n(f->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP)
        recvfrom(x->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}
