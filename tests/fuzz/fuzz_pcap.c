// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_pcap.c: any bytes as a capture file: read frame by frame by the device, then run through a
 * context as `weir -r` would.
 */
#include <errno.h>

#include <mos_api.h>

#include "base/errtext.h"
#include "fuzz_file.h"
#include "io/io.h"

static uint64_t told; /* packets that the context has raised */

static void on_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct pkt_info p;

    told++;
    FUZZ_CHECK(mtcp_getlastpkt(mctx, sock, side, &p) == 0, "%s", mtcp_errstr());
}

/* read_device: => frames; *clean: they ended as files end. */
static uint64_t read_device(const char *path, bool *clean)
{
    char name[64];
    struct pktbuf *pb[IO_BURST];
    struct io_dev *dev;
    uint64_t frames = 0;
    int n;

    snprintf(name, sizeof(name), "pcap:%s", path);
    dev = io_open(name, NULL);
    *clean = false;
    if (dev == NULL) {
        FUZZ_CHECK(errno && err_text()[0], "errno %d, '%s'", errno, err_text());
        return 0;
    }
    while ((n = io_rx(dev, pb, IO_BURST)) >= 0) {
        for (int i = 0; i < n; i++) {
            FUZZ_CHECK(pb[i]->len <= pb[i]->cap && pb[i]->headroom >= IO_HEADROOM, "%u %u %u",
                       pb[i]->len, pb[i]->cap, pb[i]->headroom);
            FUZZ_CHECK(pb[i]->frame == ++frames, "%llu", (unsigned long long)pb[i]->frame);
        }
        io_rx_done(dev);
    }
    *clean = errno == ENODATA;
    FUZZ_CHECK(*clean || (errno && err_text()[0]), "errno %d, '%s'", errno, err_text());
    io_close(dev);
    return frames;
}

static void run_context(const char *path, uint64_t frames)
{
    char conf[128];
    struct fuzz_file f;
    mctx_t m;
    int raw;

    fuzz_file_make(
        &f, conf,
        (size_t)snprintf(conf, sizeof(conf),
                         "mos {\nbuffer = always\nmidstream = on\nnetdev {\npcap:%s 1\n}\n}\n",
                         path));
    told = 0;
    if (mtcp_init(f.path) == 0) {
        m = mtcp_create_context(0);
        FUZZ_CHECK(m != NULL, "%s", mtcp_errstr());
        raw = mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
        FUZZ_CHECK((mtcp_register_callback)(m, raw, MOS_ON_PKT_IN, MOS_NULL, on_packet) == 0, "%s",
                   mtcp_errstr());
        FUZZ_CHECK(mtcp_socket(m, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0) >= 0, "%s", mtcp_errstr());
        mtcp_app_join(m);
        FUZZ_CHECK(told <= frames, "%llu packets of %llu frames", (unsigned long long)told,
                   (unsigned long long)frames);
        mtcp_destroy_context(m);
        mtcp_destroy();
    } else {
        FUZZ_CHECK(frames == 0 && mtcp_errstr()[0], "%s", mtcp_errstr());
    }
    fuzz_file_free(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file f;
    bool clean;
    uint64_t frames;

    fuzz_file_make(&f, data, size);
    frames = read_device(f.path, &clean);
    run_context(f.path, frames);
    fuzz_file_free(&f);
    return 0;
}
