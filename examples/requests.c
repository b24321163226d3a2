// SPDX-License-Identifier: BSD-2-Clause
/*
 * requests.c: every HTTP/1 request, by a user-defined event.  ./requests CAPTURE
 *
 * The event "a request has come" is new data for the server plus a filter that reads (peeks) until
 * it has seen a whole request head. Peeking consumes: what the filter has read nobody reads again,
 * so what belongs to a request is kept in the connection's user context. One batch may bring a
 * hundred requests but raises the event once: the callback goes on reading until there is no more.
 */
#include "example.h"

#include <strings.h>

struct conn {
    char buf[2048]; /* read, from `pos` on not looked at yet */
    size_t pos, have;
    char line[1024]; /* the line being put together; what is longer is cut */
    size_t len;
    bool skip;          /* after a gap: nothing counts up to the next newline */
    char request[1024]; /* request line of the head being read, "" outside of one */
    char host[256];
};

/* METHOD blank TARGET blank HTTP/1.x (RFC 9112 3) */
static bool is_request_line(const char *s)
{
    size_t method = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_");
    const char *version = strrchr(s, ' ');

    return method > 0 && s[method] == ' ' && version > s + method + 1 &&
           strncmp(version, " HTTP/1.", 8) == 0;
}

/* A line is complete. => true: and with it the head of a request */
static bool take_line(struct conn *c)
{
    if (c->len > 0 && c->line[c->len - 1] == '\r')
        c->len--;
    c->line[c->len] = '\0';
    c->len = 0;
    if (c->skip) {
        c->skip = false;
    } else if (!c->request[0]) {
        if (is_request_line(c->line))
            snprintf(c->request, sizeof(c->request), "%s", c->line);
        c->host[0] = '\0';
    } else if (!c->line[0]) {
        return true;
    } else if (strncasecmp(c->line, "Host:", 5) == 0) {
        snprintf(c->host, sizeof(c->host), "%.255s", c->line + 5 + strspn(c->line + 5, " \t"));
    }
    return false;
}

/* => false: nothing more to read now. A gap ends whatever was being read. */
static bool fill(mctx_t mctx, int sock, struct conn *c)
{
    ssize_t n;

    while ((n = mtcp_peek(mctx, sock, MOS_SIDE_SVR, c->buf, sizeof(c->buf))) != 0) {
        if (n < 0 && errno != ENODATA)
            break;
        c->pos = 0;
        c->have = n > 0 ? (size_t)n : 0;
        if (n > 0)
            return true;
        c->skip = true;
        c->len = 0;
        c->request[0] = '\0';
    }
    return false;
}

/* => true: c->request and c->host are a request */
static bool next_request(mctx_t mctx, int sock, struct conn *c)
{
    for (;;) {
        if (c->pos == c->have && !fill(mctx, sock, c))
            return false;
        while (c->pos < c->have) {
            char ch = c->buf[c->pos++];

            if (ch == '\n' && take_line(c))
                return true;
            if (ch != '\n' && c->len < sizeof(c->line) - 1)
                c->line[c->len++] = ch;
        }
    }
}

static bool is_request(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);

    if (side != MOS_SIDE_SVR)
        return false;
    if (!c) {
        c = calloc(1, sizeof(*c));
        mtcp_set_uctx(mctx, sock, c);
    }
    return c && next_request(mctx, sock, c);
}

static void on_request(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct conn *c = mtcp_get_uctx(mctx, sock);
    char ends[EXAMPLE_ENDS];

    do {
        printf("%s  %s  host %s\n", example_ends(mctx, sock, ends), c->request,
               c->host[0] ? c->host : "-");
        c->request[0] = '\0';
    } while (next_request(mctx, sock, c));
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    free(mtcp_get_uctx(mctx, sock));
    mtcp_set_uctx(mctx, sock, NULL);
}

int main(int argc, char **argv)
{
    event_t request = mtcp_define_event(MOS_ON_CONN_NEW_DATA, is_request, NULL);
    mctx_t mctx = example_start(argv + 1, "requests");
    int off = 0, sock = mtcp_socket(mctx, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    /* Nobody reads what the client receives. */
    mtcp_setsockopt(mctx, sock, SOL_MONSOCKET, MOS_CLIBUF, &off, sizeof(off));
    if (mtcp_register_callback(mctx, sock, request, MOS_NULL, on_request) < 0 ||
        mtcp_register_callback(mctx, sock, MOS_ON_CONN_END, MOS_HK_SND, on_end) < 0)
        example_die("callback");
    return example_finish(mctx);
}
