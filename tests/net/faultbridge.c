// SPDX-License-Identifier: BSD-2-Clause
/*
 * faultbridge.c: joins two interfaces by a bad line, with Weir as the tap in its middle.
 *
 *      faultbridge [OPTIONS] --pcap FILE IFACE IFACE      until SIGTERM
 *      faultbridge [OPTIONS] --replay FILE                what the tap has seen, again
 *
 * Each direction is: receive, faults before the tap, the tap (Weir and the capture file), faults
 * behind it, send. Both halves have the same chances, so a rate of 1 % is to be given as 5000
 * millionths. Frames come and go by packet sockets. The interfaces' hosts must have offloading
 * switched off: what comes in here has its checksum and fits the link.
 *
 * Decisions follow from the seed and the frames' order; that order is the kernel's, so a run cannot
 * be repeated to the byte, but what the tap has seen can: --replay gives Weir the capture.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "netwatch.h"

#define BURST     64
#define FRAME_MAX 65600
#define SNAPLEN   65535
#define BUFFER    (64 << 20)
#define GOODBYE   300 /* ms without a frame, after SIGTERM, and that was all */

/* One direction. */
struct line {
    int out; /* socket */
    struct faults *before, *behind;
    uint64_t unsent;
};

static struct {
    struct fault_cfg fault;
    struct netwatch_cfg watch;
    const char *pcap, *replay, *out;
} opt = {.watch = {.seed = 1, .csum = "on"}, .fault = {.reorder_max = 3, .delay_max_us = 2000}};

static volatile sig_atomic_t stop;
static pcap_dumper_t *dump;
static uint64_t now;
static uint64_t tap_frames, tap_bytes;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "faultbridge: %s: %s\n", what, why);
    exit(2);
}

static uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- a direction ---- */

static void send_frame(void *arg, const uint8_t *frame, uint32_t len)
{
    struct line *l = arg;

    if (send(l->out, frame, len, MSG_DONTWAIT) < 0)
        l->unsent++; /* as if lost behind the tap */
}

static void tap(void *arg, const uint8_t *frame, uint32_t len)
{
    struct line *l = arg;
    struct pcap_pkthdr h = {.caplen = len, .len = len};

    h.ts.tv_sec = (time_t)(now / 1000000000);
    h.ts.tv_usec = (suseconds_t)(now % 1000000000); /* the file has nanoseconds */
    if (dump)
        pcap_dump((u_char *)dump, &h, frame);
    tap_frames++;
    tap_bytes += len;
    netwatch_frame(frame, len, now);
    faults_frame(l->behind, frame, len, now);
}

static int packet_socket(const char *name)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int size = BUFFER, on = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    a.sll_ifindex = (int)if_nametoindex(name);
    if (fd < 0 || a.sll_ifindex == 0)
        die(name, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
        die("PACKET_IGNORE_OUTGOING", strerror(errno));
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die(name, strerror(errno));
    return fd;
}

static void line_open(struct line *l, int out, int number)
{
    uint64_t seed = opt.watch.seed * 4 + (uint64_t)number * 2;

    l->out = out;
    l->before = faults_new(&opt.fault, seed, tap, l);
    l->behind = faults_new(&opt.fault, seed + 1, send_frame, l);
    if (l->before == NULL || l->behind == NULL)
        die("faults", "out of memory");
}

/* receive: a burst from this side. => frames. */
static int receive(int fd, struct line *l)
{
    static uint8_t buf[BURST][FRAME_MAX];
    struct iovec v[BURST];
    struct mmsghdr m[BURST];
    int n;

    memset(m, 0, sizeof(m));
    for (int i = 0; i < BURST; i++) {
        v[i] = (struct iovec){.iov_base = buf[i], .iov_len = FRAME_MAX};
        m[i].msg_hdr.msg_iov = &v[i];
        m[i].msg_hdr.msg_iovlen = 1;
    }
    n = recvmmsg(fd, m, BURST, MSG_DONTWAIT, NULL);
    now = clock_ns();
    for (int i = 0; i < n; i++)
        faults_frame(l->before, buf[i], m[i].msg_len, now);
    return n > 0 ? n : 0;
}

/* tick: => milliseconds until one of them has something to do; at most 50. */
static int tick(struct line *l)
{
    uint64_t due = UINT64_MAX;

    now = clock_ns();
    for (int i = 0; i < 2; i++) {
        faults_tick(l[i].before, now);
        faults_tick(l[i].behind, now);
    }
    for (int i = 0; i < 2; i++) {
        uint64_t a = faults_due(l[i].before), b = faults_due(l[i].behind);

        due = a < due ? a : due;
        due = b < due ? b : due;
    }
    return due > now + 50000000 ? 50 : (int)((due - now) / 1000000);
}

static void tell_side(const char *name, const struct faults *f)
{
    const struct fault_totals *t = faults_totals(f);

    fprintf(opt.watch.out,
            "\"%s\":{\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"dropped\":%" PRIu64
            ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"delayed\":%" PRIu64
            ",\"corrupted\":%" PRIu64 ",\"fragmented\":%" PRIu64 "},",
            name, t->frames, t->bytes, t->dropped, t->duplicated, t->reordered, t->delayed,
            t->corrupted, t->fragmented);
}

static void tell_totals(const struct line *l)
{
    fprintf(opt.watch.out, "{\"bridge\":{");
    tell_side("before0", l[0].before);
    tell_side("behind0", l[0].behind);
    tell_side("before1", l[1].before);
    tell_side("behind1", l[1].behind);
    fprintf(opt.watch.out,
            "\"tap_frames\":%" PRIu64 ",\"tap_bytes\":%" PRIu64 ",\"unsent\":%" PRIu64 "}}\n",
            tap_frames, tap_bytes, l[0].unsent + l[1].unsent);
}

static void stopped(int sig)
{
    stop = 1;
}

static void bridge(const char *a, const char *b)
{
    int fd[2] = {packet_socket(a), packet_socket(b)}, wait = 0;
    struct pollfd p[2] = {{.fd = fd[0], .events = POLLIN}, {.fd = fd[1], .events = POLLIN}};
    struct line l[2];
    uint64_t last = clock_ns();

    memset(l, 0, sizeof(l));
    line_open(&l[0], fd[1], 0);
    line_open(&l[1], fd[0], 1);
    signal(SIGTERM, stopped);
    fprintf(opt.watch.out, "{\"ready\":true}\n");
    fflush(opt.watch.out);
    while (!stop || now < last + GOODBYE * UINT64_C(1000000)) {
        poll(p, 2, wait);
        if (receive(fd[0], &l[0]) + receive(fd[1], &l[1]) > 0)
            last = now;
        wait = tick(l);
        netwatch_push(now);
    }
    netwatch_close();
    tell_totals(l);
    for (int i = 0; i < 2; i++) {
        faults_free(l[i].before);
        faults_free(l[i].behind);
        close(fd[i]);
    }
}

/* ---- captures ---- */

static void open_dump(void)
{
    pcap_t *dead =
        pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);

    dump = dead ? pcap_dump_open(dead, opt.pcap) : NULL;
    if (dump == NULL)
        die(opt.pcap, dead ? pcap_geterr(dead) : "out of memory");
    pcap_close(dead);
}

static void replay(void)
{
    char err[PCAP_ERRBUF_SIZE];
    pcap_t *p =
        pcap_open_offline_with_tstamp_precision(opt.replay, PCAP_TSTAMP_PRECISION_NANO, err);
    struct pcap_pkthdr *h;
    const u_char *frame;

    if (p == NULL)
        die(opt.replay, err);
    while (pcap_next_ex(p, &h, &frame) == 1)
        netwatch_frame(frame, h->caplen,
                       (uint64_t)h->ts.tv_sec * 1000000000 + (uint64_t)h->ts.tv_usec);
    pcap_close(p);
    netwatch_close();
}

/* ---- options ---- */

static const struct {
    const char *name;
    size_t at;
} chances[] = {
    {"drop", offsetof(struct fault_cfg, drop)},
    {"duplicate", offsetof(struct fault_cfg, duplicate)},
    {"reorder", offsetof(struct fault_cfg, reorder)},
    {"reorder-max", offsetof(struct fault_cfg, reorder_max)},
    {"delay", offsetof(struct fault_cfg, delay)},
    {"delay-max-us", offsetof(struct fault_cfg, delay_max_us)},
    {"corrupt", offsetof(struct fault_cfg, corrupt)},
    {"fragment", offsetof(struct fault_cfg, fragment)},
};

enum { CHANCES = sizeof(chances) / sizeof(chances[0]), OPT_CHANCE = 256 };

static void options(int argc, char **argv)
{
    struct option o[CHANCES + 7] = {{"seed", 1, NULL, 's'},   {"pcap", 1, NULL, 'p'},
                                    {"replay", 1, NULL, 'r'}, {"out", 1, NULL, 'o'},
                                    {"strict", 0, NULL, 'S'}, {"checksum", 1, NULL, 'c'}};
    int c;

    for (int i = 0; i < CHANCES; i++)
        o[6 + i] = (struct option){chances[i].name, 1, NULL, OPT_CHANCE + i};
    while ((c = getopt_long(argc, argv, "", o, NULL)) != -1) {
        if (c == 's')
            opt.watch.seed = strtoull(optarg, NULL, 0);
        else if (c == 'p')
            opt.pcap = optarg;
        else if (c == 'r')
            opt.replay = optarg;
        else if (c == 'o')
            opt.out = optarg;
        else if (c == 'S')
            opt.watch.strict = true;
        else if (c == 'c')
            opt.watch.csum = optarg;
        else if (c >= OPT_CHANCE)
            *(uint32_t *)(void *)((char *)&opt.fault + chances[c - OPT_CHANCE].at) =
                (uint32_t)strtoul(optarg, NULL, 0);
        else
            exit(2);
    }
    if (argc - optind != (opt.replay ? 0 : 2))
        die("usage", "faultbridge [OPTIONS] IFACE IFACE, or --replay FILE");
}

int main(int argc, char **argv)
{
    options(argc, argv);
    opt.watch.out = opt.out ? fopen(opt.out, "w") : stdout;
    if (opt.watch.out == NULL)
        die(opt.out, strerror(errno));
    if (!netwatch_open(&opt.watch))
        return 2;
    if (opt.pcap)
        open_dump();
    if (opt.replay)
        replay();
    else
        bridge(argv[optind], argv[optind + 1]);
    if (dump)
        pcap_dump_close(dump);
    return fclose(opt.watch.out) == 0 ? 0 : 2;
}
