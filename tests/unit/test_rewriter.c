// SPDX-License-Identifier: BSD-2-Clause
/*
 * The rewriter: messages cut in every way become the same; bodies are what they should be, read as a
 * client reads them; what cannot be changed passes as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "rewriter.h"

#define ROOM 65536

static struct rewrite_counts counts;
static struct rewrite_out o;
static struct rng rng;

static struct rewrite_rule rule_of(const char *find, const char *with)
{
    return (struct rewrite_rule){
        .find = find, .with = with, .nfind = strlen(find), .nwith = strlen(with)};
}

/*
 * run: n bytes of a direction in pieces of at most `most` bytes, held bytes again with the next. =>
 * bytes in out.
 */
static size_t run(struct rewrite_conn *c, const struct rewrite_rule *r, int dir, const char *p,
                  size_t n, size_t most, bool end, char *out)
{
    size_t from = 0, to = 0, len = 0;

    while (to < n) {
        size_t more = most == 1 ? 1 : 1 + (size_t)rng_below(&rng, (uint32_t)most);

        to = to + more < n ? to + more : n;
        rewrite_feed(c, r, &counts, dir, p + from, to - from, end && to == n, &o);
        assert_false(o.failed);
        assert_true(len + o.len <= ROOM);
        if (o.len)
            memcpy(out + len, o.buf, o.len);
        len += o.len;
        from = to - o.hold;
    }
    assert_true(from == n || !end);
    return len;
}

/* body_of: the body of a response, as a client reads it. => its length. */
static size_t body_of(const char *p, size_t n, char *out)
{
    const char *body = memmem(p, n, "\r\n\r\n", 4), *end = p + n;
    size_t len = 0;

    assert_non_null(body);
    body += 4;
    if (!memmem(p, (size_t)(body - p), "chunked", 7)) {
        memcpy(out, body, (size_t)(end - body));
        return (size_t)(end - body);
    }
    for (;;) {
        char *nl;
        size_t size = strtoul(body, &nl, 16);

        assert_true(nl > body && nl[0] == '\r' && nl[1] == '\n');
        body = nl + 2;
        if (size == 0)
            break;
        assert_true((size_t)(end - body) >= size + 2);
        memcpy(out + len, body, size);
        len += size;
        body += size;
        assert_memory_equal(body, "\r\n", 2);
        body += 2;
    }
    assert_int_equal(end - body, 2);
    assert_memory_equal(body, "\r\n", 2);
    return len;
}

/* answer: a request, and this response to it, cut so. => the response as it left. */
static size_t answer(const struct rewrite_rule *r, const char *request, const char *response,
                     size_t n, size_t most, bool end, char *out)
{
    struct rewrite_conn c;
    char sink[ROOM];

    rewrite_init(&c, r);
    run(&c, r, REWRITE_REQUESTS, request, strlen(request), most, false, sink);
    return run(&c, r, REWRITE_RESPONSES, response, n, most, end, out);
}

static void expect_body(const char *find, const char *with, const char *response, bool end,
                        const char *body)
{
    static const size_t cuts[] = {1, 2, 3, 7, 20, 100, 10000};
    struct rewrite_rule r = rule_of(find, with);
    char out[ROOM], got[ROOM];

    for (size_t i = 0; i < 70; i++) {
        size_t n = answer(&r, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", response, strlen(response),
                          cuts[i % 7], end, out);

        n = body_of(out, n, got);
        if (n != strlen(body) || memcmp(got, body, n) != 0)
            fail_msg("pieces of %zu: '%.*s', not '%s'", cuts[i % 7], (int)n, got, body);
    }
}

static void known_length(void **state)
{
    expect_body("cat", "giraffe", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\na cat, cats", false,
                "a giraffe, giraffes");
    expect_body("cat", "", "HTTP/1.1 200 OK\r\ncontent-length:3\r\nX: y\r\n\r\ncat", false, "");
    expect_body("cat", "dog", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncacatc", false,
                "cadogc");
    expect_body("aab", "x", "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\naaaabaab", false, "aaxx");
}

static void to_the_end(void **state)
{
    expect_body("cat", "giraffe", "HTTP/1.0 200 OK\r\n\r\na cat and ca", true, "a giraffe and ca");
}

static void chunks(void **state)
{
    static const char r[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "3\r\na c\r\n4;x=y\r\nat c\r\n2\r\nat\r\n0\r\n\r\n";

    expect_body("cat", "giraffe", r, false, "a giraffe giraffe");
    expect_body("cat", "", r, false, "a  ");
}

/* What is not to be changed passes as it was. */
static void left_alone(void **state)
{
    static const struct {
        const char *request, *response;
    } all[] = {
        {"GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncat"},
        {"GET / HTTP/1.1\r\n\r\n",
         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\ncat"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 206 P\r\nContent-Length: 3\r\n\r\ncat"},
        {"HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 cat\r\nContent-Length: 3\r\n\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 304 cat\r\nContent-Length: 3\r\n\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 101 cat\r\n\r\ncat cat"},
        {"CONNECT a:1 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 cat\r\n\r\ncat cat"},
        {"\x16\x03\x01 a cat", "\x16\x03\x01 a cat"},
        {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0 cat\r\n"},
    };
    struct rewrite_rule r = rule_of("cat", "giraffe");
    char out[ROOM];

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (size_t most = 1; most < 40; most++) {
            size_t n = answer(&r, all[i].request, all[i].response, strlen(all[i].response), most,
                              true, out);

            assert_int_equal(n, strlen(all[i].response));
            assert_memory_equal(out, all[i].response, n);
        }
}

static void requests(void **state)
{
    static const char p[] =
        "POST / HTTP/1.1\r\nAccept-Encoding: gzip, br\r\nContent-Length: 3\r\n\r\n"
        "catGET / HTTP/1.1\r\n\r\n";
    static const char want[] = "POST / HTTP/1.1\r\nAccept-Encoding: identity\r\nContent-Length: "
                               "3\r\n\r\ncatGET / HTTP/1.1\r\n\r\n";
    struct rewrite_rule r = rule_of("cat", "giraffe");
    char out[ROOM];

    for (size_t most = 1; most < 120; most++) {
        struct rewrite_conn c;
        size_t n;

        rewrite_init(&c, &r);
        n = run(&c, &r, REWRITE_REQUESTS, p, strlen(p), most, false, out);
        assert_int_equal(n, strlen(want));
        assert_memory_equal(out, want, n);
        assert_int_equal(c.nasked, 2);
    }
}

/* Several responses, one behind the other; an interim one. */
static void pipelined(void **state)
{
    static const char p[] =
        "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncat"
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncat\r\n0\r\nX: "
        "y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ncats";
    struct rewrite_rule r = rule_of("cat", "ox");
    char out[ROOM];

    for (size_t most = 1; most < 200; most++) {
        struct rewrite_conn c;
        size_t n, hits = 0;
        const char *at = out;

        rewrite_init(&c, &r);
        for (int i = 0; i < 4; i++)
            run(&c, &r, REWRITE_REQUESTS, "GET / HTTP/1.1\r\n\r\n", 18, most, false, out);
        n = run(&c, &r, REWRITE_RESPONSES, p, strlen(p), most, false, out);
        out[n] = '\0';
        assert_null(strstr(out, "cat"));
        while ((at = strstr(at, "ox")) != NULL) {
            hits++;
            at++;
        }
        assert_int_equal(hits, 3);
        assert_non_null(strstr(out, "0\r\nX: y\r\n\r\n"));
        assert_int_equal(c.dir[REWRITE_RESPONSES].state, REWRITE_HEAD_);
    }
}

/* Any bytes, any pattern, against a replacement of the whole. */
static void at_random(void **state)
{
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (uint64_t)time(NULL);

    print_message("SEED=%llu\n", (unsigned long long)seed);
    rng_seed(&rng, seed);
    for (int k = 0; k < 3000; k++) {
        char body[301], find[8] = "", with[12] = "", want[ROOM], response[2000];
        size_t n = rng_below(&rng, 300), nf = 1 + rng_below(&rng, 6), nw = rng_below(&rng, 11),
               len = 0;
        bool known = rng_below(&rng, 2);

        for (size_t i = 0; i < n; i++)
            body[i] = (char)('a' + rng_below(&rng, 2));
        body[n] = '\0';
        for (size_t i = 0; i < nf; i++)
            find[i] = (char)('a' + rng_below(&rng, 2));
        memset(with, 'x', nw);
        for (size_t i = 0; i < n;) {
            if (strncmp(body + i, find, nf) == 0) {
                memcpy(want + len, with, nw);
                len += nw;
                i += nf;
            } else {
                want[len++] = body[i++];
            }
        }
        want[len] = '\0';
        snprintf(response, sizeof(response), "HTTP/1.1 200 OK\r\n%s%.0zu\r\n\r\n%s",
                 known ? "Content-Length: " : "X: y", known ? n : 0, body);
        if (known && n == 0)
            continue;
        expect_body(find, with, response, !known, want);
    }
}

static void raw(void **state)
{
    struct rewrite_rule r = rule_of("cat", "giraffe");
    char out[ROOM];

    r.raw = true;
    for (size_t most = 1; most < 20; most++) {
        struct rewrite_conn c;
        size_t n;

        rewrite_init(&c, &r);
        n = run(&c, &r, REWRITE_REQUESTS, "cacat cat ca", 12, most, true, out);
        assert_int_equal(n, 20);
        assert_memory_equal(out, "cagiraffe giraffe ca", 20);
    }
}

static int down(void **state)
{
    free(o.buf);
    memset(&o, 0, sizeof(o));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_length), cmocka_unit_test(to_the_end), cmocka_unit_test(chunks),
        cmocka_unit_test(left_alone),   cmocka_unit_test(requests),   cmocka_unit_test(pipelined),
        cmocka_unit_test(at_random),    cmocka_unit_test(raw),
    };

    rng_seed(&rng, 1);
    return cmocka_run_group_tests_name("rewriter", tests, NULL, down);
}
