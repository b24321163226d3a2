// SPDX-License-Identifier: BSD-2-Clause
/*
 * lengthen.c: lengthen IN OUT MAX_FLOWS: in line between two interfaces; whatever line of a client has "needle"
 * in it becomes longer. For as many connections at a time as are said. Says "ready"; at SIGINT what it counted;
 * at SIGTERM the context is destroyed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mos_api.h>

static const char conf_text[] = "mos {\n    max_flows = %d\n    tcp_timeout = 2\n"
                                "    netdev {\n        %s 1\n        %s 1\n    }\n"
                                "    nic_forward_table {\n        %s %s\n    }\n}\n";

static unsigned failed;
static mctx_t context;

static void on_term(int sig)
{
    mtcp_destroy_context(context);
}

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, mtcp_errstr());
    return 1;
}

static void on_packet(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    const byte more[] = "more ";
    const byte *at;

    if (side != MOS_SIDE_CLI || mtcp_getlastpkt(m, sock, side, &p) < 0 || p.payloadlen == 0)
        return;
    at = memmem(p.payload, p.payloadlen, "needle", 6);
    if (at && mtcp_setlastpkt(m, sock, side, (off_t)(at - p.payload), (byte *)(uintptr_t)more, 5,
                              MOS_TCP_PAYLOAD | MOS_INSERT | MOS_UPDATE_IP_CHKSUM |
                                  MOS_UPDATE_TCP_CHKSUM) < 0)
        failed += fail("insert");
}

/* tell: counters that are not 0. */
static void tell(mctx_t m, int sock)
{
    static struct mos_stat v[400];
    socklen_t len = sizeof(v);

    if (mtcp_getsockopt(m, sock, SOL_MONSOCKET, MOS_STATS, v, &len) < 0)
        return;
    printf("{\"failed\":%u", failed);
    for (size_t i = 0; i < len / sizeof(*v); i++)
        if (v[i].value)
            printf(",\"%s\":%llu", v[i].name, (unsigned long long)v[i].value);
    printf("}\n");
}

int main(int argc, char **argv)
{
    int fd = memfd_create("conf", 0), sock;
    char path[32];
    mctx_t m;

    mtcp_register_signal(SIGTERM, on_term);
    if (argc != 4 || fd < 0)
        return 2;
    dprintf(fd, conf_text, atoi(argv[3]), argv[1], argv[2], argv[1], argv[2]);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (mtcp_init(path) < 0)
        return fail("init");
    context = m = mtcp_create_context(0);
    if (m == NULL)
        return fail("context");
    sock = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (sock < 0 || mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_SND, on_packet) < 0)
        return fail("socket");
    printf("ready\n");
    fflush(stdout);
    mtcp_app_join(m);
    tell(m, sock);
    fflush(stdout);
    mtcp_destroy_context(m); /* fails, and does nothing, where on_term has */
    mtcp_destroy();
    return failed != 0;
}
