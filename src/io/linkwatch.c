// SPDX-License-Identifier: BSD-2-Clause
/*
 * linkwatch.c: the kernel's messages about interfaces. When it had more of them than the socket
 * held (ENOBUFS), the state is asked for anew, so that only the number of changes may be too low.
 */
#include "io/linkwatch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/errtext.h"

#define READY (IFF_UP | IFF_RUNNING)

static void set_up(struct linkwatch *w, bool up)
{
    w->downs += w->up && !up;
    w->up = up;
}

static void set_gone(struct linkwatch *w)
{
    set_up(w, false);
    w->gone = true;
}

/* ask: the state as it is now. => 0; -1 with errno. */
static int ask(struct linkwatch *w)
{
    struct ifreq r = {.ifr_ifindex = w->ifindex};

    if (ioctl(w->fd, SIOCGIFNAME, &r) < 0 || ioctl(w->fd, SIOCGIFMTU, &r) < 0)
        return -1;
    w->mtu = (uint32_t)r.ifr_mtu;
    if (ioctl(w->fd, SIOCGIFHWADDR, &r) < 0)
        return -1;
    w->type = r.ifr_hwaddr.sa_family;
    if (ioctl(w->fd, SIOCGIFFLAGS, &r) < 0)
        return -1;
    set_up(w, (r.ifr_flags & READY) == READY);
    return 0;
}

/* take: one message about our interface. */
static void take(struct linkwatch *w, struct nlmsghdr *m, struct ifinfomsg *info)
{
    struct rtattr *a = IFLA_RTA(info);
    int left = (int)IFLA_PAYLOAD(m);

    if (m->nlmsg_type == RTM_DELLINK) {
        set_gone(w);
        return;
    }
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == IFLA_MTU && RTA_PAYLOAD(a) >= sizeof(w->mtu))
            memcpy(&w->mtu, RTA_DATA(a), sizeof(w->mtu));
    set_up(w, (info->ifi_flags & READY) == READY);
}

bool linkwatch_read(struct linkwatch *w)
{
    _Alignas(struct nlmsghdr) char buf[16384];
    bool ours = false;
    ssize_t n;

    for (;;) {
        n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ENOBUFS) {
            if (!w->gone && ask(w) < 0)
                set_gone(w);
            ours = true;
            continue;
        }
        if (n <= 0)
            return ours;
        for (struct nlmsghdr *m = (void *)buf; NLMSG_OK(m, (size_t)n); m = NLMSG_NEXT(m, n)) {
            struct ifinfomsg *info = NLMSG_DATA(m);

            if ((m->nlmsg_type != RTM_NEWLINK && m->nlmsg_type != RTM_DELLINK) ||
                m->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ifi_family != AF_UNSPEC ||
                info->ifi_index != w->ifindex || w->gone)
                continue;
            take(w, m, info);
            ours = true;
        }
    }
}

int linkwatch_open(struct linkwatch *w, const char *name, const char *ifname)
{
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int code;

    memset(w, 0, sizeof(*w));
    w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (w->fd < 0)
        return err_set(errno, "%s: no netlink socket: %s", name, strerror(errno));
    w->ifindex = (int)if_nametoindex(ifname);
    if (w->ifindex == 0)
        err_set(ENODEV, "%s: there is no network interface '%s'", name, ifname);
    else if (bind(w->fd, (struct sockaddr *)&to, sizeof(to)) < 0 || ask(w) < 0)
        err_set(errno, "%s: the state of '%s' cannot be read: %s", name, ifname, strerror(errno));
    else
        return 0;
    code = errno;
    linkwatch_close(w);
    errno = code;
    return -1;
}

void linkwatch_close(struct linkwatch *w)
{
    close(w->fd);
    w->fd = -1;
}
