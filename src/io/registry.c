// SPDX-License-Identifier: BSD-2-Clause
#include "io/backends.h"
#include "base/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The back ends of this build; a new one is a line in each list. */
static const struct io_ops *const backends[] = {
    &mem_ops,   &pcapfile_ops, &afpacket_ops,
#ifdef WEIR_AFXDP
    &afxdp_ops,
#endif
#ifdef WEIR_DPDK
    &dpdk_ops,
#endif
};
static const char *const kinds[] = {"mem",   "pcap", "afpacket",
#ifdef WEIR_AFXDP
                                    "afxdp",
#endif
#ifdef WEIR_DPDK
                                    "dpdk",
#endif
                                    NULL};

static const struct io_ops *added;

const char *const *io_kinds(void)
{
    return kinds;
}

void io_add_kind(const struct io_ops *ops)
{
    added = ops;
}

struct io_dev *io_dev_new(const struct io_ops *ops, const char *name,
                          const struct io_open_args *args)
{
    struct io_dev *dev = calloc(1, sizeof(*dev));

    if (!dev)
        return err_null(ENOMEM, "%s: out of memory", name);
    dev->ops = ops;
    dev->args = args ? *args : (struct io_open_args){.dir = IO_IN};
    dev->name = strdup(name);
    if (dev->args.filter)
        dev->args.filter = strdup(dev->args.filter);
#ifdef WEIR_POISON
    dev->args.poison = true;
#endif
    if (!dev->name || (args && args->filter && !dev->args.filter)) {
        io_dev_free(dev);
        return err_null(ENOMEM, "%s: out of memory", name);
    }
    return dev;
}

void io_dev_free(struct io_dev *dev)
{
    free((void *)(uintptr_t)dev->args.filter);
    free(dev->name);
    free(dev);
}

static const struct io_ops *find(const char *kind, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
        if (strncmp(backends[i]->kind, kind, len) == 0 && !backends[i]->kind[len])
            return backends[i];
    if (added && strncmp(added->kind, kind, len) == 0 && !added->kind[len])
        return added;
    return NULL;
}

bool io_is_live(const char *name)
{
    size_t len = strcspn(name, ":");
    const struct io_ops *ops = find(name, len);

    return ops ? ops != &mem_ops && ops != &pcapfile_ops : name[len] == '\0' && len > 0;
}

static void *no_such_kind(const char *name, size_t len)
{
    char list[128] = "";

    for (const char *const *k = kinds; *k; k++) {
        if (*list)
            strcat(list, ", ");
        strcat(list, *k);
    }
    return err_null(ENODEV, "%s: no kind of device is called '%.*s' (known: %s)", name, (int)len,
                    name, list);
}

bool io_known(const char *name)
{
    const size_t len = strcspn(name, ":");

    if (name[len] == '\0' || find(name, len))
        return true;
    no_such_kind(name, len);
    return false;
}

struct io_dev *io_open(const char *name, const struct io_open_args *args)
{
    size_t len = strcspn(name, ":");
    const struct io_ops *ops = find(name, len);
    struct io_dev *dev;

    if (!ops)
        return no_such_kind(name, len);
    dev = io_dev_new(ops, name, args);
    if (!dev)
        return NULL;
    if (ops->open(dev, name + len + (name[len] == ':')) < 0) {
        int code = errno;

        io_dev_free(dev);
        errno = code;
        return NULL;
    }
    return dev;
}

void io_close(struct io_dev *dev)
{
    if (!dev)
        return;
    dev->ops->close(dev);
    io_dev_free(dev);
}

int io_tx(struct io_dev *dev, struct pktbuf *const *pb, int n)
{
    if (!dev->ops->tx || !(dev->caps & IO_OUTPUT)) {
        dev->st.tx_errors += (uint64_t)n;
        err_set(ENOTSUP, "%s: not open for output", dev->name);
        return 0;
    }
    return dev->ops->tx(dev, pb, n);
}

int io_flush(struct io_dev *dev)
{
    return dev->ops->flush ? dev->ops->flush(dev) : 0;
}

void io_get_stats(struct io_dev *dev, struct io_stats *st)
{
    *st = dev->st;
    if (dev->ops->stats)
        dev->ops->stats(dev, st);
}
