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
    n = run(&c, r, REWRITE_RESPONSES, response, n, most, end, out);
    rewrite_fini(&c);
    return n;
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
        rewrite_fini(&c);
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
        rewrite_fini(&c);
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
        rewrite_fini(&c);
    }
}

/* ---- transfer codings ---- */

#define OTHER "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncat"

/* two: responses on one connection, in pieces of any size. => their bytes. */
static size_t two(const struct rewrite_rule *r, const char *first, const char *second, size_t most,
                  char *out)
{
    struct rewrite_conn c;
    char both[2000];
    size_t n;

    rewrite_init(&c, r);
    for (int i = 0; i < 2; i++)
        run(&c, r, REWRITE_REQUESTS, "GET / HTTP/1.1\r\n\r\n", 18, most, false, out);
    snprintf(both, sizeof(both), "%s%s", first, second);
    n = run(&c, r, REWRITE_RESPONSES, both, strlen(both), most, true, out);
    rewrite_fini(&c);
    out[n] = '\0';
    return n;
}

/* Any coding but chunks passes as it was, framed by its last one. */
static void coded(void **state)
{
    static const struct {
        const char *lines;
        bool framed; /* by chunks: the next response is found */
    } all[] = {
        {"Transfer-Encoding: gzip, chunked\r\n", true},
        {"transfer-encoding: gzip\r\nTransfer-Encoding:\tCHUNKED \t\r\n", true},
        {"Transfer-Encoding: xchunked\r\n", false},
        {"Transfer-Encoding: gzip,chunked\r\nContent-Length: 3\r\n", true},
        {"Transfer-Encoding: gzip\r\nContent-Length: 3\r\n", false},
        {"Transfer-Encoding: chunked, gzip\r\n", false},
        {"Transfer-Encoding: chunked\r\nContent-Encoding: gzip, identity\r\n", true},
        {"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\n",
         true},
    };
    const struct rewrite_rule rules[] = {rule_of("cat", "giraffe"), rule_of("cat", "dog")};
    char out[ROOM], response[1000];

    for (size_t i = 0; i < 2 * sizeof(all) / sizeof(all[0]); i++)
        for (size_t most = 1; most < 60; most++) {
            uint64_t encoded = counts.encoded;
            size_t n = (size_t)snprintf(response, sizeof(response),
                                        "HTTP/1.1 200 OK\r\n%s\r\n3\r\ncat\r\n0\r\n\r\n",
                                        all[i / 2].lines);

            assert_true(two(&rules[i % 2], response, OTHER, most, out) > n);
            assert_memory_equal(out, response, n);
            assert_int_equal(counts.encoded, encoded + 1);
            assert_true((strstr(out + n, "cat") == NULL) == all[i / 2].framed);
        }
}

/* What is plain chunks, however it is said. */
static void uncoded(void **state)
{
    static const char *const lines[] = {
        "transfer-encoding:Chunked",
        "Transfer-Encoding: \tchunked\t ",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: , chunked,",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    };
    char response[1000];

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        snprintf(response, sizeof(response),
                 "HTTP/1.1 200 OK\r\n%s\r\nX: chunked\r\n\r\n3\r\nca \r\n3\r\ncat\r\n0\r\n\r\n",
                 lines[i]);
        expect_body("cat", "giraffe", response, false, "ca giraffe");
    }
}

/* Requests ask for no coding either; what they say of trailers stays. */
static void te(void **state)
{
    static const char *const all[][2] = {
        {"TE: gzip", "TE: "},
        {"te:deflate;q=0.5, gzip", "te:"},
        {"TE: trailers", "TE: trailers"},
        {"TE: gzip , Trailers", "TE: trailers"},
        {"TE:", "TE:"},
        {"ATE: gzip", "ATE: gzip"},
    };
    struct rewrite_rule r = rule_of("cat", "giraffe");
    char p[200], want[200], out[ROOM];

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        for (size_t most = 1; most < 60; most++) {
            struct rewrite_conn c;
            size_t n;

            snprintf(p, sizeof(p), "GET / HTTP/1.1\r\n%s\r\nHost: a\r\n\r\n", all[i][0]);
            snprintf(want, sizeof(want), "GET / HTTP/1.1\r\n%s\r\nHost: a\r\n\r\n", all[i][1]);
            rewrite_init(&c, &r);
            n = run(&c, &r, REWRITE_REQUESTS, p, strlen(p), most, false, out);
            rewrite_fini(&c);
            assert_int_equal(n, strlen(want));
            assert_memory_equal(out, want, n);
        }
}

/* More requests than can be remembered pass. */
static void many_requests(void **state)
{
    struct rewrite_rule r = rule_of("cat", "giraffe");
    struct rewrite_conn c;
    char out[ROOM];

    rewrite_init(&c, &r);
    for (int i = 0; i < REWRITE_ASKED + 2; i++)
        assert_int_equal(
            run(&c, &r, REWRITE_REQUESTS, "GET / HTTP/1.1\r\n\r\n", 18, 100, false, out), 18);
    rewrite_fini(&c);
}

/* ---- what is held leaves before the rest comes ---- */

/* slow: n bytes of a direction; behind the first `cut` there is a pause. => bytes in out. */
static size_t slow(struct rewrite_conn *c, const struct rewrite_rule *r, int dir, const char *p,
                   size_t n, size_t cut, char *out)
{
    size_t len, hold;

    rewrite_feed(c, r, &counts, dir, p, cut, false, &o);
    memcpy(out, o.buf ? o.buf : "", o.len);
    len = o.len;
    hold = o.hold;
    memcpy(out + len, p + cut - hold, hold);
    len += hold;
    if (hold)
        rewrite_left(c, r, &counts, dir, hold, p + cut, n - cut);
    rewrite_feed(c, r, &counts, dir, p + cut, n - cut, true, &o);
    assert_int_equal(o.hold, 0);
    memcpy(out + len, o.buf, o.len);
    return len + o.len;
}

/* A response cut behind `cut` bytes, then another one. => is the first one changed? The second one is. */
static bool slowly(const struct rewrite_rule *r, const char *response, size_t cut,
                   const char *changed)
{
    struct rewrite_conn c;
    char out[ROOM], both[1000];
    size_t n, len = strlen(response);

    rewrite_init(&c, r);
    for (int i = 0; i < 2; i++)
        run(&c, r, REWRITE_REQUESTS, "GET / HTTP/1.1\r\n\r\n", 18, 100, false, out);
    snprintf(both, sizeof(both), "%s%s", response, OTHER);
    n = slow(&c, r, REWRITE_RESPONSES, both, strlen(both), cut, out);
    rewrite_fini(&c);
    out[n] = '\0';
    assert_non_null(strstr(out, "\r\n\r\n"));
    if (memcmp(out, response, len) == 0) {
        assert_null(strstr(out + len, "cat"));
        return false;
    }
    assert_memory_equal(out, changed, strlen(changed));
    assert_null(strstr(out, "cat"));
    return true;
}

/* Where a body's length is known, or it comes in chunks, no match is missed. */
static void slow_bodies(void **state)
{
    static const char known[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na cat cat",
                      known_dog[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na dog dog",
                      in_chunks[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    "5\r\na cat\r\n4\r\n cat\r\n0\r\n\r\n",
                      chunks_dog[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     "5\r\na dog\r\n4\r\n dog\r\n0\r\n\r\n";
    struct rewrite_rule r = rule_of("cat", "dog");
    uint64_t late = counts.late;

    for (size_t cut = 1; cut < strlen(known); cut++)
        assert_true(slowly(&r, known, cut, known_dog));
    for (size_t cut = 1; cut < strlen(in_chunks); cut++)
        assert_true(slowly(&r, in_chunks, cut, chunks_dog));
    assert_int_equal(counts.late, late);
}

/* A head whose beginning has left: changed where nothing of that has to be; the next one is. */
static void slow_heads(void **state)
{
    static const char p[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\ncat",
                      start[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n";
    struct rewrite_rule r = rule_of("cat", "giraffe");

    for (size_t cut = 1; cut < strlen(p); cut++) {
        uint64_t late = counts.late;
        bool can = cut <= 17 || cut >= strlen(p) - 3;

        assert_int_equal(slowly(&r, p, cut, start), can);
        assert_int_equal(counts.late, late + !can);
    }
}

/* The same of requests; the answer is changed all the same. */
static void slow_requests(void **state)
{
    static const char p[] = "GET / HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n";
    struct rewrite_rule r = rule_of("cat", "giraffe");
    char out[ROOM];

    for (size_t cut = 1; cut < strlen(p); cut++) {
        struct rewrite_conn c;
        size_t n;

        rewrite_init(&c, &r);
        n = slow(&c, &r, REWRITE_REQUESTS, p, strlen(p), cut, out);
        out[n] = '\0';
        assert_true((strstr(out, ": identity\r\n\r\n") != NULL) == (cut <= 33));
        assert_true(cut <= 33 || strcmp(out, p) == 0);
        n = run(&c, &r, REWRITE_RESPONSES, OTHER, strlen(OTHER), 1, false, out);
        out[n] = '\0';
        assert_non_null(strstr(out, "giraffe"));
        rewrite_fini(&c);
    }
}

/* Where nothing may follow for long, what was missed is counted. */
static void missed(void **state)
{
    static const struct {
        const char *text;
        size_t cut;
        bool missed;
    } all[] = {{"a cacatch", 5, true}, {"cat", 2, true},     {"cat", 3, false},
               {"caxx", 2, false},     {"cacacat", 3, true}, {"cacatch", 4, true}};
    struct rewrite_rule r = rule_of("cacat", "lion");

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct rewrite_conn c;
        uint64_t was = counts.missed;
        char out[ROOM];

        if (i == 1)
            r = rule_of("cat", "lion");
        if (i == 4)
            r = rule_of("cacat", "lion");
        r.raw = true;
        rewrite_init(&c, &r);
        slow(&c, &r, REWRITE_RESPONSES, all[i].text, strlen(all[i].text), all[i].cut, out);
        rewrite_fini(&c);
        if (counts.missed - was != all[i].missed)
            fail_msg("'%s' at %zu", all[i].text, all[i].cut);
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
        cmocka_unit_test(known_length),
        cmocka_unit_test(to_the_end),
        cmocka_unit_test(chunks),
        cmocka_unit_test(left_alone),
        cmocka_unit_test(requests),
        cmocka_unit_test(pipelined),
        cmocka_unit_test(at_random),
        cmocka_unit_test(raw),
        cmocka_unit_test(coded),
        cmocka_unit_test(uncoded),
        cmocka_unit_test(te),
        cmocka_unit_test(many_requests),
        cmocka_unit_test(slow_bodies),
        cmocka_unit_test(slow_heads),
        cmocka_unit_test(slow_requests),
        cmocka_unit_test(missed),
    };

    rng_seed(&rng, 1);
    return cmocka_run_group_tests_name("rewriter", tests, NULL, down);
}
