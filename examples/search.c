// SPDX-License-Identifier: BSD-2-Clause
/*
 * search.c: where a string occurs in what the two ends of each connection say.
 *      ./search STRING CAPTURE
 *
 * The bytes come in order, whatever the packets did; a match may lie across any number of packets
 * and batches. It never spans a gap: what was lost there nobody knows. All that is kept for each
 * side is how far the string has matched (Knuth, Morris, Pratt) and the place in the stream.
 */
#include "example.h"

struct place {
    uint64_t off;   /* of the next byte */
    size_t matched; /* bytes of the string that the last ones are */
};

static const char *needle;
static size_t needle_len;
static size_t *fallback; /* [n]: longest proper prefix of the first n bytes that is also a suffix */
static uint64_t found;

static void prepare(void)
{
    size_t k = 0;

    fallback = calloc(needle_len + 1, sizeof(*fallback));
    if (!fallback)
        exit(2);
    for (size_t i = 1; i < needle_len; i++) {
        while (k > 0 && needle[i] != needle[k])
            k = fallback[k];
        if (needle[i] == needle[k])
            k++;
        fallback[i + 1] = k;
    }
}

static void look_through(mctx_t mctx, int sock, int side, struct place *at, const char *buf,
                         size_t n)
{
    char ends[EXAMPLE_ENDS];

    for (size_t i = 0; i < n; i++) {
        while (at->matched > 0 && buf[i] != needle[at->matched])
            at->matched = fallback[at->matched];
        if (buf[i] == needle[at->matched])
            at->matched++;
        if (at->matched < needle_len)
            continue;
        printf("%s  %s at %" PRIu64 "\n", example_ends(mctx, sock, ends),
               side == MOS_SIDE_SVR ? "client said it" : "server said it",
               at->off + i + 1 - needle_len);
        found++;
        at->matched = fallback[needle_len];
    }
    at->off += n;
}

/* side: whose receive buffer has new bytes. */
static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct place *at = mtcp_get_uctx(mctx, sock); /* two, one for each side */
    char buf[4096];
    ssize_t n;

    if (!at) {
        at = calloc(2, sizeof(*at));
        if (!at)
            return;
        mtcp_set_uctx(mctx, sock, at);
    }
    while ((n = mtcp_peek(mctx, sock, side, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno != ENODATA)
            break;
        if (n < 0) { /* -n bytes will never come */
            at[side].off += (uint64_t)-n;
            at[side].matched = 0;
            continue;
        }
        look_through(mctx, sock, side, &at[side], buf, (size_t)n);
    }
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    free(mtcp_get_uctx(mctx, sock));
    mtcp_set_uctx(mctx, sock, NULL);
}

int main(int argc, char **argv)
{
    mctx_t mctx;
    int code, sock;

    needle = argc > 1 ? argv[1] : "";
    needle_len = strlen(needle);
    mctx = example_start(needle_len > 0 ? argv + 2 : (char *[]){NULL}, "search STRING");
    prepare();
    sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    if (mtcp_register_callback(mctx, sock, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        example_die("callback");
    code = example_finish(mctx);
    free(fallback);
    printf("found %" PRIu64 " times\n", found);
    return code ? code : found == 0;
}
