// SPDX-License-Identifier: BSD-2-Clause
/*
 * Heads of changed responses: their framing as both ends can read it, nothing in them that is not true
 * any more; and what is framed in doubt passes as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rewriter.h"

#define ROOM  4096
#define GET   "GET / HTTP/1.1\r\n\r\n"
#define GET10 "GET / HTTP/1.0\r\n\r\n"
#define OLD   "HTTP/1.0 200 OK\r\n"
#define NEW   "HTTP/1.1 200 OK\r\n"
#define NEXT  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncat"

struct passed {
    char text[ROOM];
    size_t n;
    bool failed;
    struct rewrite_counts counts;
};

/* feed: one direction in pieces of `most` bytes; what is held comes again. */
static void feed(struct rewrite_conn *c, const struct rewrite_rule *r, int dir, const char *p,
                 size_t most, bool end, struct passed *got)
{
    static struct rewrite_out o;
    size_t n = strlen(p), from = 0, to = 0;

    got->n = 0;
    while (to < n) {
        to = to + most < n ? to + most : n;
        rewrite_feed(c, r, &got->counts, dir, p + from, to - from, end && to == n, &o);
        assert_true(got->n + o.len < ROOM);
        if (o.len)
            memcpy(got->text + got->n, o.buf, o.len);
        got->n += o.len;
        got->failed |= o.failed;
        from = to - o.hold;
    }
    got->text[got->n] = '\0';
    free(o.buf);
    memset(&o, 0, sizeof(o));
}

/* play: two requests, and what comes back for them. */
static struct passed play(const char *with, const char *request, const char *response, size_t most,
                          bool end)
{
    struct rewrite_rule r = {.find = "cat", .with = with, .nfind = 3, .nwith = strlen(with)};
    struct passed got = {.n = 0};
    struct rewrite_conn c;

    rewrite_init(&c, &r);
    for (int i = 0; i < 2; i++)
        feed(&c, &r, REWRITE_REQUESTS, request, most, false, &got);
    feed(&c, &r, REWRITE_RESPONSES, response, most, end, &got);
    rewrite_fini(&c);
    return got;
}

static void expect(const char *with, const char *request, const char *response, const char *want,
                   uint64_t unframed)
{
    for (size_t most = 1; most < 300; most += most < 40 ? 1 : 50) {
        struct passed got = play(with, request, response, most, true);

        if (strcmp(got.text, want) != 0)
            fail_msg("pieces of %zu of '%s':\n'%s', should be\n'%s'", most, response, got.text,
                     want);
        assert_false(got.failed);
        assert_int_equal(got.counts.unframed, unframed);
    }
}

/* RFC 9112 6.1: nobody is sent chunks who may not know them; a connection that ends tells the end. */
static void old_versions(void **state)
{
    expect("lion", GET, OLD "Server: x\r\nContent-Length: 7\r\nX: y\r\n\r\na cat. ",
           OLD "Server: x\r\nX: y\r\n\r\na lion. ", 0);
    expect("lion", GET, OLD "Connection: close\r\nContent-Length: 3\r\n\r\ncat",
           OLD "Connection: close\r\n\r\nlion", 0);
    expect("lion", GET10, NEW "Connection: x, Close\r\nContent-Length: 3\r\n\r\ncat",
           NEW "Connection: x, Close\r\n\r\nlion", 0);
    expect("lion", GET, NEW "Connection: close\r\nContent-Length: 3\r\n\r\ncat",
           NEW
           "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n00000004\r\nlion\r\n0\r\n\r\n",
           0);
    expect("lion", GET,
           OLD "Connection: keep-alive\r\nContent-Length: 3\r\n\r\ncat" OLD
               "Connection: close, keep-alive\r\nContent-Length: 3\r\n\r\ncat",
           OLD "Connection: keep-alive\r\nContent-Length: 3\r\n\r\ncat" OLD
               "Connection: close, keep-alive\r\n\r\nlion",
           1);
    expect("lion", GET10, NEW "Content-Length: 3\r\n\r\ncat", NEW "Content-Length: 3\r\n\r\ncat",
           1);
    expect("lion", GET, OLD "\r\na cat", OLD "\r\na lion", 0);
    expect("dog", GET, OLD "Content-Length: 3\r\n\r\ncat" NEXT,
           OLD "Content-Length: 3\r\n\r\ndog"
               "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ndog",
           0);
}

/* What a server sends behind its last response is no part of that. */
static void behind_the_last(void **state)
{
    expect("lion", GET, OLD "Content-Length: 3\r\n\r\ncat" NEXT, OLD "\r\nlion", 0);
}

/* A body that is cut short must not look whole: without a length only a reset says so. */
static void cut_short(void **state)
{
    struct passed got = play("lion", GET, OLD "Content-Length: 9\r\n\r\na cat", 100, true);

    assert_true(got.failed);
    got = play("lion", GET, OLD "Content-Length: 9\r\n\r\na cat", 100, false);
    assert_false(got.failed);
}

/* As some read it and others do not. */
static void in_doubt(void **state)
{
    static const char *const lines[] = {
        "Content-Length : 3\r\n",
        "Content-Length\t: 3\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nTransfer-Encoding\t: chunked\r\n",
        " Content-Length: 3\r\n",
        "\tX: y\r\nContent-Length: 3\r\n",
        "Content-Length:\r\n 3\r\n",
        "Content-Length: 3\r\n 4\r\n",
        "Content-Length: 3\r\n\t\r\n",
        "Transfer-Encoding: chunked,\r\n gzip\r\nContent-Length: 3\r\n",
        "X: y\rContent-Length: 4\r\nContent-Length: 3\r\n",
        "X: y\r\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 3\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551619\r\n",
    };
    char text[ROOM];

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        for (int same = 0; same < 2; same++) {
            snprintf(text, sizeof(text), NEW "%s\r\ncat%s", lines[i], NEXT);
            expect(same ? "dog" : "lion", GET, text, text, 1);
        }
    snprintf(text, sizeof(text), OLD "Transfer-Encoding: chunked\r\n\r\n3\r\ncat\r\n0\r\n\r\n");
    expect("lion", GET, text, text, 1);
    snprintf(text, sizeof(text), "HTTP/1.1 200 O\rK\r\nContent-Length: 3\r\n\r\ncat");
    expect("lion", GET, text, text, 1);
    expect("lion", "POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\ncat", NEXT, NEXT, 1);
}

/* What is said twice the same, or besides chunks, is said once. */
static void said_twice(void **state)
{
    static const char chunks[] =
        NEW "Transfer-Encoding: chunked\r\n\r\n00000004\r\nlion\r\n0\r\n\r\n";

    expect("lion", GET, NEW "Content-Length: 3\r\ncontent-length:3\r\n\r\ncat", chunks, 0);
    expect("lion", GET,
           NEW "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\ncat\r\n0\r\n\r\n",
           chunks, 0);
}

#define FALSE_NOW                                                                                  \
    "Content-MD5: a==\r\nDIGEST: sha-256=a\r\nContent-Digest: sha-256=:a:,\r\n sha-512=:b:\r\n"    \
    "Repr-Digest: sha-256=:a:\r\nAccept-Ranges: bytes\r\n"

/* What is true of the body as it was. */
static void validators(void **state)
{
    expect("lion", GET, NEW FALSE_NOW "ETag:  \"x\"\r\nX: y\r\nConnection: close\r\n\r\ncat",
           NEW "ETag:  W/\"x\"\r\nX: y\r\nConnection: close\r\n\r\nlion", 0);
    expect("lion", GET, NEW FALSE_NOW "ETag: W/\"x\"\r\nContent-Length: 3\r\n\r\ncat",
           NEW "ETag: W/\"x\"\r\nTransfer-Encoding: chunked\r\n\r\n00000004\r\nlion\r\n0\r\n\r\n",
           0);
    expect("dog", GET, NEW FALSE_NOW "ETag: \"x\"\r\nContent-Length: 3\r\n\r\ncat",
           NEW "X-ntent-MD5: a==\r\nX-GEST: sha-256=a\r\nX-ntent-Digest: sha-256=:a:,\r\n "
               "sha-512=:b:\r\nX-pr-Digest: sha-256=:a:\r\nX-cept-Ranges: bytes\r\nX-ag: \"x\"\r\n"
               "Content-Length: 3\r\n\r\ndog",
           0);
}

/* Of a body that is not changed everything stays. */
static void true_still(void **state)
{
    static const char *const all[] = {
        "HTTP/1.1 206 P\r\n" FALSE_NOW "ETag: \"x\"\r\nContent-Length: 3\r\n\r\ncat",
        NEW FALSE_NOW "ETag: \"x\"\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\ncat",
        "HTTP/1.1 304 N\r\n" FALSE_NOW "ETag: \"x\"\r\nContent-Length: 3\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        expect("lion", GET, all[i], all[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_versions), cmocka_unit_test(behind_the_last),
        cmocka_unit_test(cut_short),    cmocka_unit_test(in_doubt),
        cmocka_unit_test(said_twice),   cmocka_unit_test(validators),
        cmocka_unit_test(true_still),
    };

    return cmocka_run_group_tests_name("headedit", tests, NULL, NULL);
}
