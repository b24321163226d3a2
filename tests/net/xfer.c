// SPDX-License-Identifier: BSD-2-Clause
/*
 * xfer.c: the applications of a test transfer, on the kernel's sockets.
 *
 *      xfer [OPTIONS] server                 until SIGTERM
 *      xfer [OPTIONS] client ADDR4 ADDR6     --conns of them, --parallel at a time
 *
 * A connection is one thread at each end that sends what its plan says (xferplan.h) and reads the
 * other's bytes in the same loop: both ways at once, without order between them. What an end has
 * read it checks byte by byte against the plan and hashes; that goes to standard output, one JSON
 * object a line, and is compared with what Weir has delivered.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <xxhash.h>

#include "base/hash.h"
#include "xferplan.h"

#define IO_MAX  262144
#define US_MS   1000
#define SILENCE 1 /* seconds until keep-alives: an end that a lost RST has left behind finds out */

static struct {
    uint64_t seed, min, max;
    int conns, parallel;
    const char *addr4, *addr6;
} opt = {.seed = 1, .min = 1 << 20, .max = 20 << 20, .conns = 8, .parallel = 4};

static atomic_int next_conn, busy;
static volatile sig_atomic_t stop;

/* One end of one connection. */
struct endpoint {
    int fd, role;
    uint16_t port; /* the client's */
    struct xfer_plan plan;
    const struct xfer_end *me;
    struct rng rng;
    uint64_t sent, rcvd, right; /* bytes; those read before the first wrong one */
    uint64_t next_pause, read_after;
    bool eof, shut;
    const char *end; /* how it ended; NULL: it lives */
    uint64_t in_key, out_key;
    XXH3_state_t *hash;
    uint8_t buf[IO_MAX];
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "xfer: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void set(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
        die("setsockopt");
}

/* ---- one end ---- */

static void tell(struct endpoint *e)
{
    char line[512];

    snprintf(line, sizeof(line),
             "{\"role\":\"%s\",\"port\":%u,\"ending\":\"%s\",\"ipv6\":%s,\"mss\":%d,"
             "\"plan\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"read\":%" PRIu64 ",\"right\":%" PRIu64
             ",\"hash\":\"%016" PRIx64 "\",\"end\":\"%s\"}\n",
             e->role == XFER_CLIENT ? "client" : "server", e->port,
             xfer_ending_name(e->plan.ending), e->plan.ipv6 ? "true" : "false", e->plan.mss,
             e->me->bytes, e->sent, e->rcvd, e->right, (uint64_t)XXH3_64bits_digest(e->hash),
             e->end);
    fputs(line, stdout);
}

static void failed(struct endpoint *e, const char *how)
{
    e->end = errno == ECONNRESET || errno == EPIPE ? "reset" : how;
    if (errno == ETIMEDOUT)
        e->end = "timeout";
}

/* drop_connection: a reset, with whatever was not sent yet. */
static void drop_connection(struct endpoint *e)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};

    if (!e->me->unread)
        setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    e->end = "resets";
}

static void plan_pause(struct endpoint *e)
{
    e->next_pause = UINT64_MAX;
    if (e->me->pause_bytes)
        e->next_pause = e->rcvd + 1 + rng_below(&e->rng, 2 * e->me->pause_bytes);
}

static void read_some(struct endpoint *e)
{
    size_t want = 1 + rng_below(&e->rng, e->me->read_max);
    ssize_t n;

    if (e->me->resets && want > e->me->reset_at - e->rcvd)
        want = e->me->reset_at - e->rcvd;
    n = want ? recv(e->fd, e->buf, want, MSG_DONTWAIT) : 0;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            failed(e, "read");
        return;
    }
    XXH3_64bits_update(e->hash, e->buf, (size_t)n);
    if (e->right == e->rcvd)
        e->right += xfer_check(e->in_key, e->rcvd, e->buf, (size_t)n);
    e->rcvd += (uint64_t)n;
    if (e->me->resets && e->rcvd == e->me->reset_at)
        drop_connection(e);
    else if (n == 0)
        e->eof = true;
    if (e->rcvd >= e->next_pause) {
        e->read_after = now_us() + rng_below(&e->rng, e->me->pause_max_us);
        plan_pause(e);
    }
}

/* may_send: how many bytes, before it has to wait for the peer's FIN. */
static uint64_t may_send(const struct endpoint *e)
{
    return e->me->bytes - (e->eof ? 0 : e->me->late) - e->sent;
}

static void write_some(struct endpoint *e)
{
    uint64_t left = may_send(e);
    size_t want = 1 + rng_below(&e->rng, e->me->write_max);
    ssize_t n;

    if (want > left)
        want = left;
    xfer_fill(e->out_key, e->sent, e->buf, want);
    n = send(e->fd, e->buf, want, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        e->sent += (uint64_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        failed(e, "write");
}

/* may_close: its own FIN may go. */
static bool may_close(const struct endpoint *e)
{
    if (e->shut || e->sent < e->me->bytes)
        return false;
    if (e->plan.ending == (e->role == XFER_CLIENT ? XFER_SERVER_FIRST : XFER_CLIENT_FIRST))
        return e->eof;
    return true;
}

static int wait_ms(const struct endpoint *e)
{
    uint64_t now = now_us();

    return e->read_after > now ? (int)((e->read_after - now) / US_MS) + 1 : 10000;
}

static void step(struct endpoint *e)
{
    struct pollfd p = {.fd = e->fd};

    if (!e->eof && e->read_after <= now_us())
        p.events |= POLLIN;
    if (may_send(e))
        p.events |= POLLOUT;
    if (poll(&p, 1, wait_ms(e)) < 0 && errno != EINTR)
        die("poll");
    if (!e->eof && p.revents & (POLLIN | POLLERR | POLLHUP))
        read_some(e);
    if (!e->end && p.revents & (POLLOUT | POLLERR) && may_send(e))
        write_some(e);
    if (!e->end && may_close(e)) {
        e->shut = true;
        if (!e->eof && shutdown(e->fd, SHUT_WR) < 0)
            failed(e, "shutdown");
    }
    if (!e->end && e->eof && e->shut)
        e->end = "closed";
}

static void prepare(struct endpoint *e)
{
    int other = !e->role;

    e->me = &e->plan.end[e->role];
    e->in_key = xfer_key(opt.seed, e->port, other);
    e->out_key = xfer_key(opt.seed, e->port, e->role);
    e->hash = XXH3_createState();
    if (e->hash == NULL)
        die("out of memory");
    XXH3_64bits_reset(e->hash);
    rng_seed(&e->rng, e->in_key ^ 1);
    plan_pause(e);
    set(e->fd, IPPROTO_TCP, TCP_NODELAY, e->me->nodelay);
    set(e->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(e->fd, IPPROTO_TCP, TCP_KEEPIDLE, SILENCE);
    set(e->fd, IPPROTO_TCP, TCP_KEEPINTVL, SILENCE);
    set(e->fd, IPPROTO_TCP, TCP_KEEPCNT, 60);
}

/* play: from the first byte to the end, and say how it went. The socket is closed. */
static void play(struct endpoint *e)
{
    prepare(e);
    while (!e->end)
        step(e);
    close(e->fd);
    tell(e);
    XXH3_freeState(e->hash);
}

/* ---- client ---- */

static int connect_to(const struct endpoint *e)
{
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(e->port)};
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(e->port)};
    struct sockaddr *a = e->plan.ipv6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
    socklen_t len = e->plan.ipv6 ? sizeof(a6) : sizeof(a4);
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set(fd, IPPROTO_TCP, TCP_MAXSEG, e->plan.mss);
    if (e->plan.end[XFER_CLIENT].rcvbuf)
        set(fd, SOL_SOCKET, SO_RCVBUF, e->plan.end[XFER_CLIENT].rcvbuf);
    if (bind(fd, a, len) < 0)
        die("bind");
    a4.sin_port = a6.sin6_port = htons(XFER_SERVER_PORT);
    if (inet_pton(AF_INET, opt.addr4, &a4.sin_addr) != 1 ||
        inet_pton(AF_INET6, opt.addr6, &a6.sin6_addr) != 1)
        die("address");
    if (connect(fd, a, len) == 0)
        return fd;
    close(fd);
    return -1;
}

static void *client_main(void *arg)
{
    struct endpoint *e = malloc(sizeof(*e));
    int i;

    if (e == NULL)
        die("out of memory");
    while ((i = atomic_fetch_add(&next_conn, 1)) < opt.conns) {
        memset(e, 0, offsetof(struct endpoint, buf));
        e->port = (uint16_t)(XFER_FIRST_PORT + i);
        xfer_plan(&e->plan, opt.seed, e->port, opt.min, opt.max);
        e->fd = connect_to(e);
        if (e->fd >= 0)
            play(e);
        else
            printf("{\"role\":\"client\",\"port\":%u,\"ending\":\"unconnected\",\"end\":\"%s\"}\n",
                   e->port, strerror(errno));
        fflush(stdout);
    }
    free(e);
    return NULL;
}

static void client(void)
{
    pthread_t *t = calloc((size_t)opt.parallel, sizeof(*t));

    if (t == NULL)
        die("out of memory");
    for (int i = 0; i < opt.parallel; i++)
        if (pthread_create(&t[i], NULL, client_main, NULL) != 0)
            die("pthread_create");
    for (int i = 0; i < opt.parallel; i++)
        pthread_join(t[i], NULL);
    free(t);
}

/* ---- server ---- */

static void *server_main(void *arg)
{
    play(arg);
    free(arg);
    fflush(stdout);
    atomic_fetch_sub(&busy, 1);
    return NULL;
}

static void serve(int fd, uint16_t port)
{
    struct endpoint *e = malloc(sizeof(*e));
    pthread_t t;

    if (e == NULL)
        die("out of memory");
    memset(e, 0, offsetof(struct endpoint, buf));
    e->fd = fd;
    e->role = XFER_SERVER;
    e->port = port;
    xfer_plan(&e->plan, opt.seed, port, opt.min, opt.max);
    if (e->plan.end[XFER_SERVER].rcvbuf)
        set(fd, SOL_SOCKET, SO_RCVBUF, e->plan.end[XFER_SERVER].rcvbuf);
    atomic_fetch_add(&busy, 1);
    if (pthread_create(&t, NULL, server_main, e) != 0)
        die("pthread_create");
    pthread_detach(t);
}

static void stopped(int sig)
{
    stop = 1;
}

static void server(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(XFER_SERVER_PORT)};
    struct sigaction sa = {.sa_handler = stopped}; /* accept is interrupted */
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sigaction(SIGTERM, &sa, NULL);
    if (fd < 0)
        die("socket");
    set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 128) < 0)
        die("listen");
    puts("{\"role\":\"ready\"}");
    fflush(stdout);
    while (!stop) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        socklen_t len = sizeof(a);
        int c = poll(&p, 1, 100) > 0 ? accept(fd, (struct sockaddr *)&a, &len) : -1;

        if (c >= 0)
            serve(c, ntohs(a.sin6_port));
    }
    close(fd);
    while (atomic_load(&busy))
        usleep(1000);
}

int main(int argc, char **argv)
{
    static const struct option o[] = {{"seed", 1, NULL, 's'},     {"min", 1, NULL, 'm'},
                                      {"max", 1, NULL, 'M'},      {"conns", 1, NULL, 'c'},
                                      {"parallel", 1, NULL, 'p'}, {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", o, NULL)) != -1) {
        if (c == 's')
            opt.seed = strtoull(optarg, NULL, 0);
        else if (c == 'm')
            opt.min = strtoull(optarg, NULL, 0);
        else if (c == 'M')
            opt.max = strtoull(optarg, NULL, 0);
        else if (c == 'c')
            opt.conns = atoi(optarg);
        else if (c == 'p')
            opt.parallel = atoi(optarg);
        else
            return 2;
    }
    if (argc - optind == 1 && strcmp(argv[optind], "server") == 0) {
        server();
    } else if (argc - optind == 3 && strcmp(argv[optind], "client") == 0) {
        opt.addr4 = argv[optind + 1];
        opt.addr6 = argv[optind + 2];
        client();
    } else {
        fprintf(stderr, "usage: xfer [OPTIONS] server | client ADDR4 ADDR6\n");
        return 2;
    }
    return 0;
}
