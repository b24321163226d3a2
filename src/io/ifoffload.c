// SPDX-License-Identifier: BSD-2-Clause
/*
 * ifoffload.c: features of interfaces, by the names that ethtool(8) knows them by too.
 *
 * An interface may be renamed while it is ours, or after we were killed: the state file goes by its
 * index, and what is put back goes to whatever the interface is called by then.
 *
 * The state file is text, a line "interface NAME INDEX NETNS MAC" (the namespace by its inode), then a
 * line "on FEATURE" for each that was on, and "channels RX TX COMBINED" if there were fewer queues
 * than asked for. It is locked (flock) as long as its process lives; after
 * a restore it is emptied before it is unlinked, so that it says nothing even where unlinking is
 * not permitted any more.
 *
 * Files of other namespaces stay: whether one is gone cannot be known from outside (a mount or a
 * descriptor of any process may hold it), and of one that is not its file is all that is known.
 */
#include "io/ifoffload.h"
#include "base/errtext.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX       ".offload"
#define MAX_FEATURES 512
#define MAX_STATE    512 /* bytes of a state file */

/* What must be off: tags taken out of frames, and frames made of several. */
static const char *const unwanted[] = {"rx-vlan-hw-parse", "rx-vlan-stag-hw-parse", "rx-lro",
                                       "rx-gro-hw"};
#define UNWANTED ARRAY_SIZE(unwanted)

/* What an interface was like before. */
struct before {
    unsigned on; /* unwanted features that were on, a bit for each by its place in unwanted[] */
    bool fewer;  /* queues were added to these: */
    uint32_t rx, tx, combined;
};

struct features {
    int n;
    int bit[UNWANTED]; /* the bit's number, -1 where the kernel has no such feature */
};

static const char *run_dir(void)
{
    const char *dir = getenv("WEIR_RUN");

    return dir && *dir ? dir : "/run/weir";
}

/* => 0; -1 with errno */
static int ethtool(const char *ifname, void *cmd)
{
    struct ifreq r = {.ifr_data = cmd};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc, code;

    if (fd < 0)
        return -1;
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
    rc = ioctl(fd, SIOCETHTOOL, &r);
    code = errno;
    close(fd);
    errno = code;
    return rc;
}

void ifoffload_driver(const char *ifname, char driver[32], bool *virtual_)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

    if (ethtool(ifname, &info) < 0)
        info.driver[0] = info.bus_info[0] = '\0';
    snprintf(driver, 32, "%s", info.driver);
    /* tun's bus is called "tap"; the others' neighbours are virtual machines on the same host */
    *virtual_ = !info.bus_info[0] || strcmp(driver, "tun") == 0 ||
                strcmp(driver, "virtio_net") == 0 || strcmp(driver, "vif") == 0 ||
                strcmp(driver, "hv_netvsc") == 0;
}

void ifoffload_queues(const char *ifname, int *rx, int *tx)
{
    struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

    if (ethtool(ifname, &c) < 0)
        c.rx_count = c.tx_count = c.combined_count = 0;
    *rx = c.rx_count + c.combined_count ? (int)(c.rx_count + c.combined_count) : 1;
    *tx = c.tx_count + c.combined_count ? (int)(c.tx_count + c.combined_count) : 1;
}

/* The number of features the kernel knows. => 0: it does not say */
static int count_features(const char *ifname)
{
    struct { /* struct ethtool_sset_info, with room for the one answer */
        uint32_t cmd, reserved;
        uint64_t sset_mask;
        uint32_t n;
    } q = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES};

    if (ethtool(ifname, &q) < 0 || !q.sset_mask || q.n > MAX_FEATURES)
        return 0;
    return (int)q.n;
}

/* => 0; -1: this interface has no features */
static int find_features(const char *ifname, struct features *f)
{
    struct ethtool_gstrings *names;

    f->n = count_features(ifname);
    names = calloc(1, sizeof(*names) + (size_t)f->n * ETH_GSTRING_LEN);
    for (size_t k = 0; k < UNWANTED; k++)
        f->bit[k] = -1;
    if (!names || f->n == 0) {
        free(names);
        return -1;
    }
    *names = (struct ethtool_gstrings){
        .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = (uint32_t)f->n};
    if (ethtool(ifname, names) == 0)
        for (int i = 0; i < f->n; i++)
            for (size_t k = 0; k < UNWANTED; k++)
                if (strncmp((char *)names->data + i * ETH_GSTRING_LEN, unwanted[k],
                            ETH_GSTRING_LEN) == 0)
                    f->bit[k] = i;
    free(names);
    return 0;
}

/* Which of them are on and may be changed. => a bit for each, by its place in unwanted[] */
static unsigned which_are_on(const char *ifname, const struct features *f)
{
    struct { /* struct ethtool_gfeatures, with room */
        uint32_t cmd, size;
        struct ethtool_get_features_block block[MAX_FEATURES / 32];
    } get = {.cmd = ETHTOOL_GFEATURES, .size = ((uint32_t)f->n + 31) / 32};
    unsigned on = 0;

    if (ethtool(ifname, &get) < 0)
        return 0;
    for (size_t k = 0; k < UNWANTED; k++) {
        const struct ethtool_get_features_block *b = &get.block[f->bit[k] / 32];
        uint32_t bit = f->bit[k] >= 0 ? 1u << f->bit[k] % 32 : 0;

        if (b->active & b->available & ~b->never_changed & bit)
            on |= 1u << k;
    }
    return on;
}

/* => 0; -1 with errno */
static int set_features(const char *ifname, const struct features *f, unsigned which, bool on)
{
    struct { /* struct ethtool_sfeatures, with room */
        uint32_t cmd, size;
        struct ethtool_set_features_block block[MAX_FEATURES / 32];
    } set = {.cmd = ETHTOOL_SFEATURES, .size = ((uint32_t)f->n + 31) / 32};

    for (size_t k = 0; k < UNWANTED; k++)
        if (which & 1u << k && f->bit[k] >= 0) {
            set.block[f->bit[k] / 32].valid |= 1u << f->bit[k] % 32;
            if (on)
                set.block[f->bit[k] / 32].requested |= 1u << f->bit[k] % 32;
        }
    /* a positive answer: not all of it took effect at once, which the driver decides */
    return ethtool(ifname, &set) < 0 ? -1 : 0;
}

static unsigned long netns(void)
{
    struct stat st;

    return stat("/proc/thread-self/ns/net", &st) == 0 ? (unsigned long)st.st_ino : 0;
}

static void hwaddr(const char *ifname, char text[18])
{
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const uint8_t *a = (const uint8_t *)r.ifr_hwaddr.sa_data;

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &r) < 0)
        memset(&r.ifr_hwaddr, 0, sizeof(r.ifr_hwaddr));
    if (fd >= 0)
        close(fd);
    snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
}

/*
 * Read a state file of ours. ifname: what its interface is called now; "" if it is not about a
 * present interface of this namespace.
 */
static struct before read_state(int fd, char ifname[IF_NAMESIZE])
{
    char text[MAX_STATE + 1], *line, *save = NULL, was[18] = "", is[18] = "";
    ssize_t n = pread(fd, text, MAX_STATE, 0);
    unsigned long ns = 0;
    struct before b = {0};
    unsigned index = 0;

    text[n > 0 ? n : 0] = '\0';
    ifname[0] = '\0';
    line = strtok_r(text, "\n", &save);
    if (line && sscanf(line, "interface %*s %u %lu %17s", &index, &ns, was) == 3 && ns == netns() &&
        if_indextoname(index, ifname))
        hwaddr(ifname, is);
    if (!is[0] || strcmp(was, is) != 0) {
        ifname[0] = '\0';
        return b;
    }
    while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
        for (size_t k = 0; k < UNWANTED; k++)
            if (strncmp(line, "on ", 3) == 0 && strcmp(line + 3, unwanted[k]) == 0)
                b.on |= 1u << k;
        if (sscanf(line, "channels %u %u %u", &b.rx, &b.tx, &b.combined) == 3)
            b.fewer = true;
    }
    return b;
}

/* => 0; -1 with errno */
static int write_state(int fd, const char *ifname, const struct before *b)
{
    char text[MAX_STATE], mac[18];
    int len;

    hwaddr(ifname, mac);
    len = snprintf(text, sizeof(text), "interface %s %u %lu %s\n", ifname, if_nametoindex(ifname),
                   netns(), mac);

    for (size_t k = 0; k < UNWANTED; k++)
        if (b->on & 1u << k)
            len += snprintf(text + len, sizeof(text) - (size_t)len, "on %s\n", unwanted[k]);
    if (b->fewer)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "channels %u %u %u\n", b->rx, b->tx,
                        b->combined);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return -1;
    return fsync(fd);
}

/* => false: there are enough, or there cannot be as many */
static bool wants_channels(const char *ifname, uint32_t queues, struct before *b,
                           struct ethtool_channels *c)
{
    *c = (struct ethtool_channels){.cmd = ETHTOOL_GCHANNELS};
    if (ethtool(ifname, c) < 0 || c->rx_count + c->combined_count >= queues)
        return false;
    if (!b->fewer) {
        b->rx = c->rx_count;
        b->tx = c->tx_count;
        b->combined = c->combined_count;
    }
    if (c->max_combined >= queues) {
        c->combined_count = queues;
    } else if (c->max_rx >= queues && c->max_tx >= queues) {
        c->rx_count = queues;
        c->tx_count = c->tx_count > queues ? c->tx_count : queues;
    } else {
        return false;
    }
    c->cmd = ETHTOOL_SCHANNELS;
    b->fewer = true;
    return true;
}

static int fewer_channels(const char *ifname, const struct before *b)
{
    struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};

    if (ethtool(ifname, &c) < 0)
        return -1;
    c.cmd = ETHTOOL_SCHANNELS;
    c.rx_count = b->rx;
    c.tx_count = b->tx;
    c.combined_count = b->combined;
    return ethtool(ifname, &c);
}

/* Put back what an open, locked state file says. => 0; -1 with errno: the file stays */
static int put_back(int fd, const char *path)
{
    char ifname[IF_NAMESIZE];
    struct before b = read_state(fd, ifname);
    struct features f;

    if (b.on && find_features(ifname, &f) == 0 && set_features(ifname, &f, b.on, true) < 0)
        return -1;
    if (b.fewer && fewer_channels(ifname, &b) < 0)
        return -1;
    if (ftruncate(fd, 0) < 0)
        return -1;
    unlink(path);
    return 0;
}

/* Is it still the file of this name? Another process may have unlinked it before we had the lock. */
static bool same_file(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino;
}

int ifoffload_sweep(void)
{
    DIR *dir = opendir(run_dir());
    struct dirent *e;
    char tail[48], path[sizeof(((struct ifoffload *)0)->path)];
    int done = 0;

    snprintf(tail, sizeof(tail), ".%lu" SUFFIX, netns());
    while (dir && (e = readdir(dir)) != NULL) {
        size_t len = strlen(e->d_name), end = strlen(tail);
        int fd;

        if (len <= end || strcmp(e->d_name + len - end, tail) != 0 ||
            (size_t)snprintf(path, sizeof(path), "%s/%s", run_dir(), e->d_name) >= sizeof(path))
            continue;
        fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && same_file(fd, path))
            done += put_back(fd, path) == 0;
        close(fd);
    }
    if (dir)
        closedir(dir);
    return done;
}

/* The state file, locked. => -1 with errno and text */
static int take_file(struct ifoffload *o, const char *name)
{
    if (mkdir(run_dir(), 0755) < 0 && errno != EEXIST)
        return err_set(errno, "%s: %s: %s", name, run_dir(), strerror(errno));
    if ((size_t)snprintf(o->path, sizeof(o->path), "%s/%u.%lu" SUFFIX, run_dir(),
                         if_nametoindex(o->ifname), netns()) >= sizeof(o->path))
        return err_set(ENAMETOOLONG, "%s: the path $WEIR_RUN is too long", name);
    do {
        if (o->fd >= 0)
            close(o->fd);
        o->fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (o->fd < 0)
            return err_set(errno, "%s: %s: %s", name, o->path, strerror(errno));
        if (flock(o->fd, LOCK_EX | LOCK_NB) < 0) {
            close(o->fd);
            o->fd = -1;
            return err_set(EBUSY, "%s: another process uses %s (it holds %s)", name, o->ifname,
                           o->path);
        }
    } while (!same_file(o->fd, o->path));
    return 0;
}

static int give_up(struct ifoffload *o)
{
    int code = errno;

    put_back(o->fd, o->path);
    close(o->fd);
    o->fd = -1;
    errno = code;
    return -1;
}

/* Change what is written down. => 0; -1 with errno and text */
static int change(const char *name, const char *ifname, const struct features *f, unsigned off,
                  struct ethtool_channels *more)
{
    int rc = 0;

    if (more && ethtool(ifname, more) < 0 && errno == EPERM)
        rc = -1; /* other failures show when the queue is used */
    else if (off)
        rc = set_features(ifname, f, off, false);
    if (rc == 0)
        return 0;
    if (errno == EPERM)
        return err_set(EPERM, "%s: changing offloads of %s needs CAP_NET_ADMIN", name, ifname);
    return err_set(errno, "%s: offloads of %s: %s", name, ifname, strerror(errno));
}

int ifoffload_off(struct ifoffload *o, const char *name, const char *ifname, int queues)
{
    struct ethtool_channels c;
    struct features f;
    struct before b;
    char left[IF_NAMESIZE];
    unsigned on = 0;
    bool more;

    *o = (struct ifoffload){.fd = -1};
    snprintf(o->ifname, sizeof(o->ifname), "%s", ifname);
    ifoffload_sweep();
    if (take_file(o, name) < 0)
        return -1;
    b = read_state(o->fd, left); /* of a killed process, if it could not be put back */
    if (find_features(ifname, &f) == 0)
        on = which_are_on(ifname, &f);
    b.on |= on;
    more = wants_channels(ifname, (uint32_t)queues, &b, &c);
    if (write_state(o->fd, ifname, &b) < 0) {
        err_set(errno, "%s: %s: %s", name, o->path, strerror(errno));
        return give_up(o);
    }
    if (change(name, ifname, &f, on, more ? &c : NULL) < 0)
        return give_up(o);
    return 0;
}

/* The kernel lets go of a closed socket's queue a little later, and keeps the queue till then. */
static int put_back_soon(const struct ifoffload *o)
{
    const struct timespec nap = {0, 20000000};

    for (int tries = 25; put_back(o->fd, o->path) < 0; tries--)
        if (tries == 0 || (errno != EINVAL && errno != EBUSY) || nanosleep(&nap, NULL) < 0)
            return -1;
    return 0;
}

int ifoffload_restore(struct ifoffload *o, const char *name)
{
    int rc = 0;

    if (o->fd < 0)
        return 0;
    if (put_back_soon(o) < 0)
        rc = err_set(errno, "%s: %s is not yet as before: %s (the next start restores it)", name,
                     o->ifname, strerror(errno));
    close(o->fd);
    o->fd = -1;
    return rc;
}
