// SPDX-License-Identifier: BSD-2-Clause
/*
 * test_httpparse.c: messages found in streams, each case cut in pieces of every size from one byte
 * to the whole: what is found must be the same.
 */
#include "httpparse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define GAP "\001" /* in a script: ten bytes are missing here */

static uint64_t when(void *arg, int dir, uint64_t off)
{
    return off;
}

/* Feed one direction of a script, in pieces of `cut` bytes. */
static void feed(struct http_conn *c, int dir, const char *s, size_t cut)
{
    while (*s) {
        size_t n = strcspn(s, GAP);
        char *piece;

        if (n == 0) {
            http_gap(c, dir, 10);
            s++;
            continue;
        }
        if (n > cut)
            n = cut;
        piece = malloc(n); /* exactly as long: the sanitizer sees every step too far */
        assert_non_null(piece);
        memcpy(piece, s, n);
        http_feed(c, dir, piece, n);
        free(piece);
        s += n;
    }
}

/* All found, one after the other: "GET /path 27+0@0" or "200 38+5@0", "!" if not complete. */
static void describe(struct http_conn *c, char *out, size_t cap)
{
    size_t n = 0;

    out[0] = '\0';
    for (int request = 1; request >= 0; request--) {
        struct http_msg *m;

        while ((m = http_take(c, request))) {
            if (request)
                n += (size_t)snprintf(out + n, cap - n, "%.*s %.*s ", (int)m->method.n, m->method.p,
                                      (int)m->target.n, m->target.p);
            else
                n += (size_t)snprintf(out + n, cap - n, "%d ", m->status);
            n += (size_t)snprintf(out + n, cap - n, "%d+%d@%d%s; ", (int)m->header_bytes,
                                  (int)m->body_bytes, (int)m->off, m->complete ? "" : "!");
            assert_int_equal(m->ts_ns, m->off);
            assert_true(n < cap);
            free(m);
        }
    }
}

static void check(const char *requests, const char *responses, bool responses_first,
                  const char *want)
{
    size_t longest = strlen(requests) + strlen(responses) + 1;
    char got[8192];

    for (size_t cut = 1; cut <= longest; cut++) {
        struct http_conn c;

        http_init(&c, false, when, NULL);
        if (responses_first)
            feed(&c, HTTP_RESPONSES, responses, cut);
        feed(&c, HTTP_REQUESTS, requests, cut);
        if (!responses_first)
            feed(&c, HTTP_RESPONSES, responses, cut);
        http_close(&c);
        describe(&c, got, sizeof(got));
        http_free(&c);
        assert_string_equal(got, want);
    }
}

#define BOTH(requests, responses, want)                                                            \
    do {                                                                                           \
        check(requests, responses, false, want);                                                   \
        check(requests, responses, true, want);                                                    \
    } while (0)

#define GET_A "GET /a HTTP/1.1\r\nHost: h\r\n\r\n" /* 28 bytes */

static void requests_and_responses(void **state)
{
    BOTH(GET_A, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "GET /a 28+0@0; 200 38+5@0; ");
    BOTH("\r\nPOST /p HTTP/1.0\ncontent-length : 1\nContent-Length: 3\n\nabc" GET_A,
         "HTTP/1.1 204 No\r\n\r\nHTTP/1.0 200 \r\n\r\nuntil the end",
         "POST /p 55+3@2; GET /a 28+0@60; 204 19+0@0; 200 17+13@19; ");
}

static void bodies_that_are_none(void **state)
{
    BOTH(
        "HEAD /a HTTP/1.1\r\n\r\n" GET_A GET_A,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        "HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        "HEAD /a 20+0@0; GET /a 28+0@20; GET /a 28+0@48; "
        "100 25+0@0; 200 38+0@25; 304 39+0@63; 404 38+0@102; ");
}

static void chunked(void **state)
{
    BOTH(GET_A GET_A,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
         "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: v\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
         "GET /a 28+0@0; GET /a 28+0@28; 200 53+15@0; 200 38+1@101; ");
}

static void pipelined(void **state)
{
    char all[101 * 30] = "", want[101 * 30] = "";

    for (int i = 0; i < 100; i++) {
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "GET /%02d HTTP/1.1\r\n\r\n", i);
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "GET /%02d 20+0@%d; ", i,
                 20 * i);
    }
    check(all, "", false, want);
}

static void gaps(void **state)
{
    /* in a body: counted */
    BOTH("POST /p HTTP/1.1\r\nContent-Length: 14\r\n\r\nab" GAP "cd" GET_A, "",
         "POST /p 40+4@0!; GET /a 28+0@54; ");
    /* beyond a body, in a header: the next line that looks like a message */
    BOTH("POST /p HTTP/1.1\r\nContent-Length: 4\r\n\r\nab" GAP "cd\r\n" GET_A, "",
         "POST /p 39+2@0!; GET /a 28+0@55; ");
    BOTH("GET /lost HTTP/1.1\r\nHo" GAP "st: x\r\n\r\n" GET_A, "", "GET /a 28+0@41; ");
    /* in a chunk */
    BOTH(GET_A,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\na" GAP "b\r\n0\r\n\r\n"
         "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
         "GET /a 28+0@0; 200 47+2@0!; 500 38+0@69; ");
}

static void tunnels(void **state)
{
    BOTH("CONNECT h:1 HTTP/1.1\r\n\r\n" GET_A, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 inside\r\n\r\n",
         "CONNECT h:1 24+0@0; 200 19+0@0; ");
    BOTH("CONNECT h:1 HTTP/1.1\r\n\r\n" GET_A,
         "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
         "CONNECT h:1 24+0@0; GET /a 28+0@24; 407 38+0@0; 204 19+0@38; ");
}

static void not_http(void **state)
{
    BOTH("EHLO example.org\r\n" GET_A, "220 hello\r\nHTTP/1.1 200 OK\r\n\r\n", "");
    BOTH("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x03", "");
    /* after a message a strange line is passed over */
    BOTH(GET_A "what is this\r\n" GET_A, "", "GET /a 28+0@0; GET /a 28+0@42; ");
}

static void cut_off(void **state)
{
    BOTH("POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 200 OK\r\nX: y",
         "POST /p 40+3@0!; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_responses),
        cmocka_unit_test(bodies_that_are_none),
        cmocka_unit_test(chunked),
        cmocka_unit_test(pipelined),
        cmocka_unit_test(gaps),
        cmocka_unit_test(tunnels),
        cmocka_unit_test(not_http),
        cmocka_unit_test(cut_off),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
