// SPDX-License-Identifier: BSD-2-Clause
/*
 * forward.c: the least that can stand between two interfaces: what comes in by one leaves by the
 * other, both ways, over the io interface alone. For tests of back ends, and as the measure of what
 * the library adds.
 *
 *      forward DEVICE DEVICE [--seconds N] [--queues N] [--filter EXPR] [--mirror] [--spin]
 *
 * One thread a queue. JSON lines: {"ready":true} when all is open, at the end one line a queue, and
 * the totals. It ends after so many seconds (0: never), by SIGINT or SIGTERM, or when both inputs
 * have ended. Exit status 1: a device could not be opened, or has failed.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/errtext.h"
#include "benchopt.h"
#include "io/io.h"

enum { MOST_QUEUES = 64, PATIENCE_MS = 100 };

struct lane {
    pthread_t thread;
    int queue;
    struct io_dev *dev[2];
    bool ended[2];
    struct io_stats st[2];
    char failed[512]; /* why; "": it has not */
};

static const char *names[2], *filter;
static int queues = 1;
static double seconds;
static bool spin, mirror;
static volatile sig_atomic_t stopping;
static pthread_barrier_t all_open;

static void on_signal(int sig)
{
    (void)sig;
    stopping = 1;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool open_lane(struct lane *l)
{
    for (int i = 0; i < 2; i++) {
        struct io_open_args args = {.dir = IO_IN,
                                    .filter = filter,
                                    .queue = l->queue,
                                    .queues = queues,
                                    .mirror = mirror,
                                    .pair = i ? l->dev[0] : NULL};

        l->dev[i] = io_open(names[i], &args);
        if (!l->dev[i]) {
            snprintf(l->failed, sizeof(l->failed), "%s", err_text());
            return false;
        }
        l->dev[i]->ifidx = (uint8_t)i;
    }
    return true;
}

/* pass: one burst from one side to the other. => frames; -1: this side has ended. */
static int pass(struct lane *l, int from)
{
    struct pktbuf *pb[IO_BURST];
    int n = io_rx(l->dev[from], pb, IO_BURST);

    if (n < 0) {
        if (errno != ENODATA)
            snprintf(l->failed, sizeof(l->failed), "%s", err_text());
        l->ended[from] = true;
        return -1;
    }
    if (n > 0) {
        io_tx(l->dev[!from], pb, n);
        io_flush(l->dev[!from]);
    }
    io_rx_done(l->dev[from]);
    return n;
}

static void wait_for_frames(struct lane *l)
{
    struct pollfd p[2 * IO_FDS];
    int n = io_fds(l->dev[0], p), m = io_fds(l->dev[1], p + n);

    if (!spin && n > 0 && m > 0)
        poll(p, (nfds_t)n + (nfds_t)m, PATIENCE_MS);
}

static void forward(struct lane *l)
{
    double end = seconds > 0 ? now() + seconds : 0;
    unsigned turns = 0;

    while (!stopping && !*l->failed && !(l->ended[0] && l->ended[1])) {
        int got = 0;

        for (int i = 0; i < 2; i++)
            if (!l->ended[i])
                got |= pass(l, i) > 0;
        if (!got)
            wait_for_frames(l);
        if (end > 0 && (!got || turns++ % 64 == 0) && now() > end)
            break;
    }
}

static void *run(void *arg)
{
    struct lane *l = arg;
    bool open = open_lane(l);

    if (!open)
        stopping = 1;
    pthread_barrier_wait(&all_open);
    if (open)
        forward(l);
    if (*l->failed)
        stopping = 1;
    for (int i = 0; i < 2; i++)
        if (l->dev[i])
            io_get_stats(l->dev[i], &l->st[i]);
    io_close(l->dev[1]);
    io_close(l->dev[0]);
    return NULL;
}

static void add(struct io_stats *to, const struct io_stats *st)
{
    to->rx_frames += st->rx_frames;
    to->rx_bytes += st->rx_bytes;
    to->rx_lost += st->rx_lost;
    to->rx_filtered += st->rx_filtered;
    to->tx_frames += st->tx_frames;
    to->tx_bytes += st->tx_bytes;
    to->tx_errors += st->tx_errors;
    to->tx_too_big += st->tx_too_big;
    if (st->link_lost > to->link_lost)
        to->link_lost = st->link_lost;
}

static void show(const char *what, int number, const struct io_stats st[2])
{
    printf("{\"%s\":%d,\"devices\":[", what, number);
    for (int i = 0; i < 2; i++)
        printf("%s{\"rx_frames\":%llu,\"rx_bytes\":%llu,\"rx_lost\":%llu,\"rx_filtered\":%llu,"
               "\"tx_frames\":%llu,\"tx_bytes\":%llu,\"tx_errors\":%llu,\"tx_too_big\":%llu,"
               "\"link_lost\":%llu}",
               i ? "," : "", (unsigned long long)st[i].rx_frames,
               (unsigned long long)st[i].rx_bytes, (unsigned long long)st[i].rx_lost,
               (unsigned long long)st[i].rx_filtered, (unsigned long long)st[i].tx_frames,
               (unsigned long long)st[i].tx_bytes, (unsigned long long)st[i].tx_errors,
               (unsigned long long)st[i].tx_too_big, (unsigned long long)st[i].link_lost);
    printf("]}\n");
}

static int finish(struct lane *lanes)
{
    struct io_stats total[2] = {{0}};
    int status = 0;

    for (int q = 0; q < queues; q++) {
        pthread_join(lanes[q].thread, NULL);
        if (queues > 1)
            show("queue", q, lanes[q].st);
        add(&total[0], &lanes[q].st[0]);
        add(&total[1], &lanes[q].st[1]);
        if (*lanes[q].failed) {
            fprintf(stderr, "forward: %s\n", lanes[q].failed);
            status = 1;
        }
    }
    show("queues", queues, total);
    return status;
}

int main(int argc, char **argv)
{
    const struct bench_opt options[] = {{"seconds", BENCH_REAL, &seconds, 0, 86400, NULL},
                                        {"queues", BENCH_INT, &queues, 1, MOST_QUEUES, NULL},
                                        {"filter", BENCH_TEXT, &filter, 0, 0, NULL},
                                        {"mirror", BENCH_FLAG, &mirror, 0, 0, NULL},
                                        {"spin", BENCH_FLAG, &spin, 0, 0, NULL},
                                        {NULL, BENCH_FLAG, NULL, 0, 0, NULL}};
    static struct lane lanes[MOST_QUEUES];
    struct sigaction act = {.sa_handler = on_signal};

    if (argc < 3 || argv[1][0] == '-' || argv[2][0] == '-') {
        fprintf(stderr, "usage: forward DEVICE DEVICE [--seconds N] [--queues N] [--filter EXPR] "
                        "[--mirror] [--spin]\n");
        return 2;
    }
    names[0] = argv[1];
    names[1] = argv[2];
    argv[2] = argv[0];
    bench_options(argc - 2, argv + 2, "forward", options);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    pthread_barrier_init(&all_open, NULL, (unsigned)queues + 1);
    for (int q = 0; q < queues; q++) {
        lanes[q].queue = q;
        if (pthread_create(&lanes[q].thread, NULL, run, &lanes[q]) != 0)
            abort();
    }
    pthread_barrier_wait(&all_open);
    if (!stopping)
        printf("{\"ready\":true}\n");
    fflush(stdout);
    return finish(lanes);
}
