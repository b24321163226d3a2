// SPDX-License-Identifier: BSD-2-Clause
/*
 * grepfile.c: a whole program, as a user would write it: how often a string occurs in all that the
 * ends of the connections of a capture file say. Checksums are verified.
 *
 *      grepfile CAPTURE
 *
 * The string is that of the generator (gen.h). One JSON line: flows, bytes read, bytes lost, strings.
 * Exit status 1: the capture is damaged, or these are not what WEIR_BENCH_EXPECT says (flows, bytes,
 * strings).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>

#define EXAMPLE_KEYS "max_concurrency = 2000000\n max_half_open = 2000000\n"
#include "example.h"

#include "gen.h"

#define PATTERN_LEN (sizeof(GEN_PATTERN) - 1)
#define TAIL        (PATTERN_LEN - 1)

/* What is kept for each connection: the last bytes of both streams, where a match may begin. */
struct ends {
    uint8_t tail[2][TAIL];
    uint8_t n[2];
};

static uint64_t flows, bytes, lost, found;

/* across: a match that begins in what is remembered and ends in this piece. */
static bool across(const uint8_t *tail, size_t n, const uint8_t *p, size_t len)
{
    const uint8_t *at = tail, *end = tail + n;

    while ((at = memchr(at, GEN_PATTERN[0], (size_t)(end - at))) != NULL) {
        size_t have = (size_t)(end - at);

        if (PATTERN_LEN - have <= len && memcmp(at, GEN_PATTERN, have) == 0 &&
            memcmp(p, &GEN_PATTERN[have], PATTERN_LEN - have) == 0)
            return true;
        at++;
    }
    return false;
}

static void remember(struct ends *e, int side, const uint8_t *p, size_t len)
{
    size_t keep = e->n[side], room = TAIL - (len < TAIL ? len : TAIL);

    if (keep > room) {
        memmove(e->tail[side], e->tail[side] + keep - room, room);
        keep = room;
    }
    len -= len > TAIL ? len - TAIL : 0;
    memcpy(e->tail[side] + keep, p, len);
    e->n[side] = (uint8_t)(keep + len);
}

static void look(struct ends *e, int side, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len, *hit = p;

    found += across(e->tail[side], e->n[side], p, len);
    while ((hit = memmem(hit, (size_t)(end - hit), GEN_PATTERN, PATTERN_LEN)) != NULL) {
        found++;
        hit += PATTERN_LEN;
    }
    remember(e, side, len > TAIL ? end - TAIL : p, len);
    bytes += len;
}

static void on_start(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct ends *e = calloc(1, sizeof(*e));

    if (e == NULL)
        example_die("memory");
    mtcp_set_uctx(mctx, sock, e);
    flows++;
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct ends *e = mtcp_get_uctx(mctx, sock);
    struct iovec iov[16];
    int cnt = 16;
    ssize_t n;

    while ((n = mtcp_peekv(mctx, sock, side, iov, &cnt)) != 0) {
        if (n < 0) { /* so many bytes will never come */
            if (errno != ENODATA)
                return;
            lost += (uint64_t)-n;
            e->n[side] = 0;
        }
        for (int i = 0; i < cnt; i++)
            look(e, side, iov[i].iov_base, iov[i].iov_len);
        cnt = 16;
    }
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    free(mtcp_get_uctx(mctx, sock));
    mtcp_set_uctx(mctx, sock, NULL);
}

static bool as_expected(void)
{
    const char *e = getenv("WEIR_BENCH_EXPECT");
    uint64_t f, b, s;

    if (e == NULL)
        return true;
    if (sscanf(e, "%" SCNu64 " %" SCNu64 " %" SCNu64, &f, &b, &s) == 3 && f == flows &&
        b == bytes && s == found && lost == 0)
        return true;
    fprintf(stderr, "grepfile: expected (flows, bytes, strings) %s\n", e);
    return false;
}

int main(int argc, char **argv)
{
    mctx_t mctx = example_start(argv + 1, "grepfile CAPTURE");
    int sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0), on = MOS_CSUM_ON, code;

    if (mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CSUM, &on, sizeof(on)) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_START, MOS_HK_SND, on_start) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        example_die("grepfile");
    code = example_finish(mctx);
    printf("{\"flows\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"found\":%" PRIu64
           "}\n",
           flows, bytes, lost, found);
    return as_expected() ? code : 1;
}
