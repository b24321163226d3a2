// SPDX-License-Identifier: BSD-2-Clause
/*
 * connrate.c: how many new connections a second? The server says one byte and closes; the client holds so
 * many open at a time, and opens a new one whenever one has ended.
 *
 *   connrate serve ADDRESS PORT             says "ready", until it is killed
 *   connrate ask ADDRESS PORT CLIENTS SECONDS
 *                                           one JSON object: connections that brought the byte, others
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256 };

static int die(const char *what)
{
    fprintf(stderr, "connrate: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static socklen_t address(struct sockaddr_storage *ss, const char *text, const char *port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

    memset(ss, 0, sizeof(*ss));
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)atoi(port));
        return sizeof(*v6);
    }
    if (inet_pton(AF_INET, text, &v4->sin_addr) != 1) {
        errno = EINVAL;
        die(text);
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)atoi(port));
    return sizeof(*v4);
}

static void serve(const struct sockaddr_storage *ss, socklen_t len)
{
    int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, conn;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (const struct sockaddr *)ss, len) < 0 || listen(fd, 4096) < 0)
        die("listen");
    puts("ready");
    fflush(stdout);
    while ((conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == ECONNABORTED) {
        if (conn < 0)
            continue;
        if (send(conn, "x", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
            die("send");
        close(conn);
    }
    die("accept");
}

/* One more connection. => false: it could not even be begun. */
static bool begin(int ep, const struct sockaddr_storage *ss, socklen_t len)
{
    int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0)
        die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
    if (connect(fd, (const struct sockaddr *)ss, len) < 0 && errno != EINPROGRESS) {
        close(fd);
        return false;
    }
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll");
    return true;
}

static void ask(const struct sockaddr_storage *ss, socklen_t len, int clients, double seconds)
{
    const double start = now(), end = start + seconds;
    uint64_t good = 0, bad = 0;
    int ep = epoll_create1(EPOLL_CLOEXEC);
    double t;

    for (int i = 0; i < clients; i++)
        bad += !begin(ep, ss, len);
    while ((t = now()) < end) {
        struct epoll_event ev[EVENTS];
        int n = epoll_wait(ep, ev, EVENTS, 100);

        for (int i = 0; i < n; i++) {
            char c[2];
            bool got = recv(ev[i].data.fd, c, sizeof(c), 0) == 1;

            close(ev[i].data.fd);
            good += got;
            bad += !got;
            if (!begin(ep, ss, len))
                bad++;
        }
    }
    printf("{\"connections\":%llu,\"failed\":%llu,\"seconds\":%.3f}\n", (unsigned long long)good,
           (unsigned long long)bad, t - start);
}

int main(int argc, char **argv)
{
    struct sockaddr_storage ss;
    socklen_t len;

    if (argc < 4) {
        fprintf(stderr, "usage: connrate serve|ask ADDRESS PORT [CLIENTS SECONDS]\n");
        return 2;
    }
    len = address(&ss, argv[2], argv[3]);
    if (strcmp(argv[1], "serve") == 0)
        serve(&ss, len);
    if (argc == 6)
        ask(&ss, len, atoi(argv[4]), atof(argv[5]));
    return 0;
}
