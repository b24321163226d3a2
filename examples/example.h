/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * example.h: what all examples need beside the API: a configuration for a capture file, and the
 * ends of a connection as text. Nothing here is about middleboxes; start with count.c.
 */
#ifndef WEIR_EXAMPLE_H
#define WEIR_EXAMPLE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mos_api.h>

static inline void example_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, mtcp_errstr());
    exit(2);
}

#ifndef EXAMPLE_KEYS
#define EXAMPLE_KEYS "" /* further lines for the configuration */
#endif

/* mtcp_init with the smallest configuration there is: one device, on core 0. */
static inline int example_init_capture(const char *capture)
{
    char path[64];
    int code, fd = memfd_create("weir.conf", 0);

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    dprintf(fd, "mos {\n    netdev {\n        \"pcap:%s\" 0x1\n    }\n%s}\n", capture,
            EXAMPLE_KEYS);
    code = mtcp_init(path);
    close(fd);
    return code;
}

/*
 * example_start: begin with what the command line says, `CAPTURE` or `-f CONFIGURATION`.
 *
 * => arg: the last arguments of main. The context of core 0; every mistake ends the program.
 */
static inline mctx_t example_start(char **arg, const char *usage)
{
    const char *file = arg[0] && strcmp(arg[0], "-f") == 0 ? arg[1] : arg[0];
    mctx_t mctx;

    if (!file || arg[file == arg[0] ? 1 : 2]) {
        fprintf(stderr, "usage: %s CAPTURE, or -f CONFIGURATION in its place\n", usage);
        exit(2);
    }
    if ((file == arg[0] ? example_init_capture(file) : mtcp_init(file)) < 0)
        example_die(file);
    mctx = mtcp_create_context(0);
    if (!mctx)
        example_die("context");
    return mctx;
}

/* example_finish: run until the capture ends. => the exit status: 1 if it is cut off or damaged. */
static inline int example_finish(mctx_t mctx)
{
    int code;

    mtcp_app_join(mctx);
    code = errno != 0;
    if (code)
        fprintf(stderr, "%s\n", mtcp_errstr());
    mtcp_destroy_context(mctx);
    mtcp_destroy();
    return code;
}

/* example_ends: "10.0.0.1:4000 > 10.0.0.2:80", client first. => text, EXAMPLE_ENDS bytes. */
#define EXAMPLE_ENDS 128
static inline const char *example_ends(mctx_t mctx, int sock, char *text)
{
    struct sockaddr_storage end[2];
    socklen_t len = sizeof(end);
    char host[2][INET6_ADDRSTRLEN], port[2][8];

    if (mtcp_getpeername(mctx, sock, (struct sockaddr *)end, &len, MOS_SIDE_BOTH) < 0)
        return "?";
    for (int i = 0; i < 2; i++)
        if (getnameinfo((struct sockaddr *)&end[i], sizeof(end[i]), host[i], sizeof(host[i]),
                        port[i], sizeof(port[i]), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
            return "?";
    snprintf(text, EXAMPLE_ENDS, "%s:%s > %s:%s", host[0], port[0], host[1], port[1]);
    return text;
}

#endif
