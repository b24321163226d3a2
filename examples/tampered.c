// SPDX-License-Identifier: BSD-2-Clause
/*
 * tampered.c: bytes that were sent twice, and not the same both times.  ./tampered CAPTURE
 *
 * An honest sender repeats what it sent. Somebody who wants to hide from a monitor, or who injects
 * answers of his own, does not: the two ends and the monitor then believe different things.
 * MOS_ON_REXMIT comes before the new copy is merged, so both can be read: the first in the
 * receiver's buffer (mtcp_ppeek), the second in the packet. A callback on it makes the library keep
 * bytes that have been read already.
 */
#include "example.h"

#include <ctype.h>

#define SHOWN 24 /* bytes */

static void show(const char *what, const char *bytes, size_t n)
{
    printf("    %s \"", what);
    for (size_t i = 0; i < n; i++)
        putchar(isprint((unsigned char)bytes[i]) ? bytes[i] : '.');
    printf("\"\n");
}

/* side: the receiver, at whom the second copy arrives now. */
static void on_rexmit(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct mos_rexmit_info info;
    socklen_t len = sizeof(info);
    struct pkt_info p;
    char ends[EXAMPLE_ENDS], old[2048];
    const char *new;
    ssize_t n;
    size_t same = 0, most;

    if (mtcp_getsockopt(mctx, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &info, &len) < 0 ||
        info.content != MOS_REXMIT_CHANGED || info.kind == MOS_REXMIT_KEEPALIVE ||
        mtcp_getlastpkt(mctx, sock, side, &p) < 0)
        return;
    n = mtcp_ppeek(mctx, sock, side, old, info.len < sizeof(old) ? info.len : sizeof(old),
                   info.off);
    new = (const char *)p.payload + (info.off - p.offset);
    while (n > 0 && same < (size_t)n && old[same] == new[same])
        same++;
    printf("%s  to the %s: %" PRIu32 " bytes at %" PRIu64 " come again, changed from %" PRIu64
           " on\n",
           example_ends(mctx, sock, ends), side == MOS_SIDE_SVR ? "server" : "client", info.len,
           info.off, info.off + same);
    if (n <= 0)
        return;
    most = (size_t)n - same < SHOWN ? (size_t)n - same : SHOWN;
    show("first ", old + same, most);
    show("second", new + same, most);
}

int main(int argc, char **argv)
{
    mctx_t mctx = example_start(argv + 1, "tampered");
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    if (mtcp_register_callback(mctx, sock, MOS_ON_REXMIT, MOS_HK_RCV, on_rexmit) < 0)
        example_die("callback");
    return example_finish(mctx);
}
