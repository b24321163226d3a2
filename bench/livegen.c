// SPDX-License-Identifier: BSD-2-Clause
/*
 * livegen.c: what passes through a box that is measured (livebench.py), beside iperf3.
 *
 *      livegen blast --interface IF --to MAC --peer IF --peer-netns NAME [--seconds N] [--flows N]
 *              [--pps N] [--size N]
 *              frames of 60 bytes (64 with their FCS) by a packet socket: bare acknowledgements of
 *              N connections, with changing windows. Handshakes come first, the server's part of them by the
 *              peer's interface, in its namespace: a box between them is to see whole connections. --size: data segments of that frame length
 *      livegen serve --port N
 *              an echo for the other two
 *      livegen ask --address A --port N [--seconds N]
 *              one connection, 64 bytes there and back: how long that takes
 *      livegen connect --address A --port N [--seconds N] [--at-once N]
 *              connections that are opened, ask once and are closed: how many a second
 *
 * One JSON line at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "benchopt.h"

enum { BURST = 64, ETH = 14, HEADERS = ETH + 40, MOST_FLOWS = 65536, MOST_ASKS = 1 << 21 };
enum { MESSAGE = 64, MOST_AT_ONCE = 512 };

static struct {
    const char *interface, *to, *address, *peer, *peer_netns;
    int port, flows, size, at_once;
    double seconds, pps;
} opt = {.port = 7000, .flows = 64, .size = 60, .at_once = 32, .seconds = 2};

static void die(const char *what)
{
    fprintf(stderr, "livegen: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- blast ---- */

struct flow {
    uint32_t seq, ack, turn;
};

static struct flow *flow;
static int first; /* port: another one each time */
static uint8_t frame[BURST][2048];
static struct iovec piece[BURST];
static struct mmsghdr message[BURST];

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static uint32_t sum_up(const uint8_t *p, int len)
{
    uint32_t sum = 0;

    for (int i = 0; i < len; i += 2)
        sum += (uint32_t)p[i] << 8 | (i + 1 < len ? p[i + 1] : 0);
    return sum;
}

/* The headers that all frames have. */
static void lay_out(uint8_t *f, const uint8_t to[6], const uint8_t from[6])
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP};

    memcpy(f, to, 6);
    memcpy(f + 6, from, 6);
    f[12] = 8;
    f[13] = 0;
    ip.saddr = inet_addr("10.99.0.1");
    ip.daddr = inet_addr("10.99.0.2");
    memcpy(f + ETH, &ip, sizeof(ip));
    memset(f + HEADERS, 'x', sizeof(frame[0]) - HEADERS);
}

/* The next segment of connection n. => its frame's length. */
static size_t fill(uint8_t *f, int n, int payload)
{
    struct iphdr ip;
    struct tcphdr tcp = {.doff = 5, .ack = 1};

    memcpy(&ip, f + ETH, sizeof(ip));
    ip.tot_len = htons((uint16_t)(40 + payload));
    ip.check = 0;
    ip.check = folded(sum_up((const uint8_t *)&ip, sizeof(ip)));
    memcpy(f + ETH, &ip, sizeof(ip));
    tcp.source = htons((uint16_t)(1024 + (first + n) % 60000));
    tcp.dest = htons((uint16_t)(80 + n / 60000));
    tcp.seq = htonl(flow[n].seq);
    tcp.ack_seq = htonl(flow[n].ack);
    flow[n].seq += (uint32_t)payload;
    tcp.window = htons((uint16_t)(50000 + flow[n].turn++ % 10000));
    memcpy(f + ETH + 20, &tcp, sizeof(tcp));
    tcp.check = folded(sum_up(f + ETH + 12, 8) + IPPROTO_TCP + 20 + (uint32_t)payload +
                       sum_up(f + ETH + 20, 20 + payload));
    memcpy(f + ETH + 20 + 16, &tcp.check, 2);
    return HEADERS + payload < 60 ? 60 : (size_t)(HEADERS + payload);
}

enum { SYN = 1, SYN_ACK, LAST_ACK };

/* One of a connection's first three. => its frame's length. */
static size_t shake(uint8_t *f, int n, int which)
{
    static const uint8_t wscale[4] = {3, 3, 14, 1};
    const int opts = which == LAST_ACK ? 0 : 4;
    struct iphdr ip;
    struct tcphdr tcp = {.doff = (uint16_t)(5 + opts / 4) & 15,
                         .syn = which != LAST_ACK,
                         .ack = which != SYN,
                         .window = htons(60000)};
    const uint16_t cli = htons((uint16_t)(1024 + (first + n) % 60000)),
                   svr = htons((uint16_t)(80 + n / 60000));

    memcpy(&ip, f + ETH, sizeof(ip));
    ip.saddr = inet_addr(which == SYN_ACK ? "10.99.0.2" : "10.99.0.1");
    ip.daddr = inet_addr(which == SYN_ACK ? "10.99.0.1" : "10.99.0.2");
    ip.tot_len = htons((uint16_t)(40 + opts));
    ip.check = 0;
    ip.check = folded(sum_up((const uint8_t *)&ip, sizeof(ip)));
    memcpy(f + ETH, &ip, sizeof(ip));
    tcp.source = which == SYN_ACK ? svr : cli;
    tcp.dest = which == SYN_ACK ? cli : svr;
    tcp.seq = htonl(which == LAST_ACK);
    tcp.ack_seq = htonl(which != SYN);
    memcpy(f + ETH + 20, &tcp, sizeof(tcp));
    memcpy(f + HEADERS, wscale, sizeof(wscale));
    tcp.check = folded(sum_up(f + ETH + 12, 8) + IPPROTO_TCP + 20 + (uint32_t)opts +
                       sum_up(f + ETH + 20, 20 + opts));
    memcpy(f + ETH + 20 + 16, &tcp.check, 2);
    flow[n] = (struct flow){.seq = 1, .ack = 1};
    return 60;
}

static int open_interface(const char *name, uint8_t from[6])
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET};
    struct ifreq ifr = {0};
    int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

    if (fd < 0)
        die("packet socket");
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name ? name : "");
    if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
        die(ifr.ifr_name);
    memcpy(from, ifr.ifr_hwaddr.sa_data, 6);
    if (ioctl(fd, SIOCGIFINDEX, &ifr) < 0)
        die(ifr.ifr_name);
    at.sll_ifindex = ifr.ifr_ifindex;
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        die("bind");
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
    return fd;
}

static uint64_t send_burst(int fd, int *next, int payload)
{
    int n;

    for (int i = 0; i < BURST; i++) {
        piece[i].iov_len = fill(frame[i], *next, payload);
        *next = (*next + 1) % opt.flows;
    }
    n = sendmmsg(fd, message, BURST, 0);
    if (n < 0 && errno != ENOBUFS && errno != EAGAIN)
        die("send");
    return n > 0 ? (uint64_t)n : 0;
}

/* The same in another namespace. */
static int open_there(const char *netns, const char *name, uint8_t from[6])
{
    char path[256];
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there, fd;

    snprintf(path, sizeof(path), "/run/netns/%s", netns);
    there = open(path, O_RDONLY | O_CLOEXEC);
    if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
        die(path);
    fd = open_interface(name, from);
    if (setns(here, CLONE_NEWNET) < 0)
        die("back again");
    close(here);
    close(there);
    return fd;
}

/* Both ends' part of all handshakes. The box gets time for each step. */
static void shake_hands(int fd, const uint8_t to[6], const uint8_t from[6])
{
    uint8_t f[2048], peer[6];
    const int far = open_there(opt.peer_netns, opt.peer, peer);

    for (int which = SYN; which <= LAST_ACK; which++) {
        lay_out(f, which == SYN_ACK ? from : to, which == SYN_ACK ? peer : from);
        for (int n = 0; n < opt.flows; n++) {
            if (send(which == SYN_ACK ? far : fd, f, shake(f, n, which), 0) < 0)
                die("send");
            if (n % BURST == BURST - 1)
                usleep(1000);
        }
        usleep(10000);
    }
    close(far);
}

static void blast(void)
{
    uint8_t from[6], to[6] = {0};
    int fd = open_interface(opt.interface, from), next = 0,
        payload = opt.size > 60 ? opt.size - HEADERS : 0;
    double start, end, t;
    uint64_t sent = 0;

    if (!opt.to || sscanf(opt.to, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &to[0], &to[1], &to[2], &to[3],
                          &to[4], &to[5]) != 6) {
        errno = EINVAL;
        die("--to");
    }
    first = getpid() * BURST % 60000;
    flow = calloc((size_t)opt.flows, sizeof(*flow));
    if (!flow)
        die("memory");
    for (int i = 0; i < BURST; i++) {
        lay_out(frame[i], to, from);
        piece[i].iov_base = frame[i];
        message[i].msg_hdr.msg_iov = &piece[i];
        message[i].msg_hdr.msg_iovlen = 1;
    }
    if (!opt.peer || !opt.peer_netns) {
        errno = EINVAL;
        die("--peer, --peer-netns");
    }
    shake_hands(fd, to, from);
    start = now();
    end = start + opt.seconds;
    while ((t = now()) < end) {
        if (opt.pps > 0 && (double)sent > (t - start) * opt.pps) {
            usleep(50);
            continue;
        }
        sent += send_burst(fd, &next, payload);
    }
    printf("{\"sent\":%llu,\"seconds\":%.3f,\"bytes\":%d}\n", (unsigned long long)sent, t - start,
           payload ? opt.size : 60);
}

/* ---- serve ---- */

static void add(int ep, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
        die("epoll");
}

static void echo(int fd)
{
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n <= 0 && !(n < 0 && errno == EAGAIN))
        close(fd);
    else if (n > 0 && send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
        close(fd);
}

static void serve(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)opt.port)};
    int s = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, ep = epoll_create1(0), fd;
    struct epoll_event e[64];

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(s, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(s, 4096) < 0)
        die("listen");
    add(ep, s);
    puts("{\"ready\":true}");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, e, 64, -1);

        for (int i = 0; i < n; i++) {
            if (e[i].data.fd != s) {
                echo(e[i].data.fd);
                continue;
            }
            while ((fd = accept4(s, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                add(ep, fd);
            }
        }
    }
}

/* ---- ask, connect ---- */

static int dial(bool wait)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
    int fd = socket(AF_INET, SOCK_STREAM | (wait ? 0 : SOCK_NONBLOCK), 0), on = 1;

    at.sin_addr.s_addr = inet_addr(opt.address ? opt.address : "");
    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 && errno != EINPROGRESS)
        die("connect");
    return fd;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static void ask(void)
{
    float *took = calloc(MOST_ASKS, sizeof(*took));
    double end, before;
    char buf[MESSAGE] = "ask";
    int fd = dial(true), n = 0;

    if (!took)
        die("memory");
    end = now() + opt.seconds;
    while ((before = now()) < end && n < MOST_ASKS) {
        if (send(fd, buf, sizeof(buf), MSG_NOSIGNAL) < 0 ||
            recv(fd, buf, sizeof(buf), MSG_WAITALL) != sizeof(buf))
            die("ask");
        took[n++] = (float)((now() - before) * 1e6);
    }
    qsort(took, (size_t)n, sizeof(*took), by_value);
    printf("{\"asked\":%d,\"median_us\":%.1f,\"p10_us\":%.1f,\"p99_us\":%.1f}\n", n,
           n ? took[n / 2] : 0, n ? took[n / 10] : 0, n ? took[n * 99L / 100] : 0);
    free(took);
}

/* One step of a connection: opened -> asked -> answered. => true: it is over. */
static bool step(struct pollfd *p)
{
    char buf[MESSAGE] = "ask";

    if (p->events == POLLOUT) {
        if (send(p->fd, buf, sizeof(buf), MSG_NOSIGNAL) != sizeof(buf))
            die("connect");
        p->events = POLLIN;
        return false;
    }
    if (recv(p->fd, buf, sizeof(buf), 0) <= 0)
        die("answer");
    close(p->fd);
    return true;
}

static void connect_often(void)
{
    struct pollfd p[MOST_AT_ONCE];
    double start = now(), end = start + opt.seconds, t;
    uint64_t count = 0;

    for (int i = 0; i < opt.at_once; i++)
        p[i] = (struct pollfd){.fd = dial(false), .events = POLLOUT};
    while ((t = now()) < end) {
        poll(p, (nfds_t)opt.at_once, 100);
        for (int i = 0; i < opt.at_once; i++)
            if (p[i].revents && step(&p[i])) {
                count++;
                p[i] = (struct pollfd){.fd = dial(false), .events = POLLOUT};
            }
    }
    printf("{\"connections\":%llu,\"seconds\":%.3f}\n", (unsigned long long)count, t - start);
}

int main(int argc, char **argv)
{
    const struct bench_opt options[] = {{"interface", BENCH_TEXT, &opt.interface, 0, 0, NULL},
                                        {"to", BENCH_TEXT, &opt.to, 0, 0, NULL},
                                        {"address", BENCH_TEXT, &opt.address, 0, 0, NULL},
                                        {"peer", BENCH_TEXT, &opt.peer, 0, 0, NULL},
                                        {"peer-netns", BENCH_TEXT, &opt.peer_netns, 0, 0, NULL},
                                        {"port", BENCH_INT, &opt.port, 1, 65535, NULL},
                                        {"flows", BENCH_INT, &opt.flows, 1, MOST_FLOWS, NULL},
                                        {"size", BENCH_INT, &opt.size, 60, 1514, NULL},
                                        {"at-once", BENCH_INT, &opt.at_once, 1, MOST_AT_ONCE, NULL},
                                        {"seconds", BENCH_REAL, &opt.seconds, 0, 86400, NULL},
                                        {"pps", BENCH_REAL, &opt.pps, 0, 1e9, NULL},
                                        {NULL, BENCH_FLAG, NULL, 0, 0, NULL}};
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"blast", blast}, {"serve", serve}, {"ask", ask}, {"connect", connect_often}};

    if (argc > 1) {
        bench_options(argc - 1, argv + 1, "livegen", options);
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
            if (strcmp(argv[1], modes[i].name) == 0) {
                modes[i].run();
                return 0;
            }
    }
    fprintf(stderr, "usage: livegen blast|serve|ask|connect [OPTION...]\n");
    return 2;
}
