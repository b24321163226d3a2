// SPDX-License-Identifier: BSD-2-Clause
/* test_compat.c: the helpers of <mtcp_util.h> and include/compat, each against values made
 * otherwise. */
#include <mos_api.h>
#include <mtcp_util.h>
#include <compat/applib.h>
#include <compat/cpu.h>
#include <compat/http_parsing.h>

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/hash.h"

/* Toeplitz as the definition has it, bit by bit over a 40-byte key. */
static uint32_t toeplitz(const unsigned char *input, size_t len)
{
    unsigned char key[40];
    uint32_t hash = 0;

    memset(key, 0x05, sizeof(key));
    for (size_t i = 0; i < len * 8; i++) {
        uint32_t window = 0;
        if (!(input[i / 8] >> (7 - i % 8) & 1))
            continue;
        for (size_t b = i; b < i + 32; b++)
            window = window << 1 | (key[b / 8] >> (7 - b % 8) & 1);
        hash ^= window;
    }
    return hash;
}

static void rss_is_toeplitz(void **state)
{
    struct rng r;

    rng_seed(&r, 5);
    for (int i = 0; i < 1000; i++) {
        in_addr_t sip = (in_addr_t)rng_next(&r), dip = (in_addr_t)rng_next(&r);
        in_port_t sp = (in_port_t)rng_next(&r), dp = (in_port_t)rng_next(&r);
        int n = 1 + (int)rng_below(&r, 16);
        unsigned char in[12];

        memcpy(in, &sip, 4);
        memcpy(in + 4, &dip, 4);
        memcpy(in + 8, &sp, 2);
        memcpy(in + 10, &dp, 2);
        assert_int_equal(GetRSSCPUCore(sip, dip, sp, dp, n),
                         (toeplitz(in, 12) & 0x7f) % (unsigned)n);
        assert_int_equal(GetRSSCPUCore(sip, dip, sp, dp, n), GetRSSCPUCore(dip, sip, dp, sp, n));
    }
    assert_int_equal(GetRSSCPUCore(1, 2, 3, 4, 0), 0);
    assert_int_equal(GetRSSCPUCore(1, 2, 3, 4, -1), 0);
}

static void words(void **state)
{
    char line[] = "  run -c \"two words\" 'a\"b' x'y z'\t\n", open_quote[] = "a 'b",
         four[] = "a b c d";
    char *argv[6];
    int argc = -1;

    assert_int_equal(StrToArgs(line, &argc, argv, 6), 0);
    assert_int_equal(argc, 5);
    assert_string_equal(argv[0], "run");
    assert_string_equal(argv[1], "-c");
    assert_string_equal(argv[2], "two words");
    assert_string_equal(argv[3], "a\"b");
    assert_string_equal(argv[4], "xy z");
    assert_null(argv[5]);

    errno = 0;
    assert_int_equal(StrToArgs(open_quote, &argc, argv, 6), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(StrToArgs(four, &argc, argv, 3), -1);
    assert_int_equal(errno, E2BIG);
    assert_int_equal(argc, 3);
    assert_string_equal(argv[2], "c");
    assert_int_equal(StrToArgs(NULL, &argc, argv, 3), -1);
}

/* Values of the xxHash specification's reference implementation. */
static void hashes(void **state)
{
    assert_int_equal(XXH32("", 0, 0), 0x02cc5d05);
    assert_true(XXH64("", 0, 0) == 0xef46db3751d8e999);
    assert_int_equal(XXH32("abc", 3, 0), 0x32d153ff);
    assert_true(XXH64("abc", 3, 0) == 0x44bc2cf5ad770999);
    assert_int_not_equal(XXH32("abc", 3, 1), 0x32d153ff);
}

static void cpus(void **state)
{
    cpu_set_t before;
    int cpu;

    assert_true(GetNumCPUs() >= 1);
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    for (cpu = 0; !CPU_ISSET(cpu, &before); cpu++)
        ;
    assert_int_equal(CoreAffinitize(cpu), 0);
    assert_int_equal(sched_getcpu(), cpu);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
    errno = 0;
    assert_int_equal(CoreAffinitize(-1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(CoreAffinitize(CPU_SETSIZE), -1);
}

/* temp_file: a file of these bytes, its name in `name`. */
static void temp_file(char *name, const char *text)
{
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void config_file(void **state)
{
    char name[] = "/tmp/weir-compat-XXXXXX", key1[] = "port", key2[] = "dir", key3[] = "none";
    struct conf_var var[] = {{key1, "1"}, {key2, ""}, {key3, "kept"}};

    temp_file(name,
              "# all\n\nport = 80   # web\n  dir\t/var/www data \nother = x\nport=8080\nnone\ndir");
    assert_int_equal(LoadConfig(name, var, 3), 0);
    assert_string_equal(var[0].value, "8080");
    assert_string_equal(var[1].value, "/var/www data");
    assert_string_equal(var[2].value, "kept");
    unlink(name);
    errno = 0;
    assert_int_equal(LoadConfig(name, var, 3), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(LoadConfig(NULL, var, 3), -1);
    assert_int_equal(errno, EINVAL);
}

static void config_limits(void **state)
{
    char name[] = "/tmp/weir-compat-XXXXXX", key[] = "k", text[MAX_LINE_LEN + 10];
    struct conf_var var[] = {{key, ""}};

    memset(text, 'v', sizeof(text));
    memcpy(text, "k=", 2);
    text[2 + CONF_VALUE_LEN] = '\0';
    temp_file(name, text);
    assert_int_equal(LoadConfig(name, var, 1), 0);
    assert_int_equal(strlen(var[0].value), CONF_VALUE_LEN);
    unlink(name);

    text[2 + CONF_VALUE_LEN] = 'v';
    text[3 + CONF_VALUE_LEN] = '\0';
    memcpy(name, "/tmp/weir-compat-XXXXXX", sizeof(name));
    temp_file(name, text);
    assert_int_equal(LoadConfig(name, var, 1), -1);
    assert_int_equal(errno, E2BIG);
    unlink(name);

    text[3 + CONF_VALUE_LEN] = 'v';
    text[0] = '#';
    text[MAX_LINE_LEN + 1] = '\0';
    memcpy(name, "/tmp/weir-compat-XXXXXX", sizeof(name));
    temp_file(name, text);
    assert_int_equal(LoadConfig(name, var, 1), -1);
    assert_int_equal(errno, E2BIG);
    unlink(name);
}

static void event_names(void **state)
{
    assert_string_equal(EventToString(MOS_EPOLLIN), "MOS_EPOLLIN");
    assert_string_equal(EventToString(MOS_EPOLLET), "MOS_EPOLLET");
    assert_string_equal(EventToString(MOS_EPOLLIN | MOS_EPOLLOUT), "(unknown)");
    assert_string_equal(strevent(MOS_EPOLLHUP), "MOS_EPOLLHUP");
    assert_string_equal(strevent((1ULL << 32) + MOS_EPOLLIN), "(unknown)");
    assert_string_equal(strcbevent(MOS_ON_CONN_NEW_DATA), "MOS_ON_CONN_NEW_DATA");
    assert_string_equal(strcbevent(MOS_ON_GAP), "MOS_ON_GAP");
    assert_string_equal(strcbevent(0x1000), "UDE");
    assert_string_equal(strcbevent(0xfff), "(unknown)");
}

static void http_header_end(void **state)
{
    char crlf[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody", lf[] = "\nGET /\nHost: a\n\nbody";
    int whole = (int)(strstr(crlf, "body") - crlf);

    for (int len = 0; len < whole; len++)
        assert_int_equal(find_http_header(crlf, len), 0);
    for (int len = whole; len <= (int)strlen(crlf); len++)
        assert_int_equal(find_http_header(crlf, len), whole);
    assert_int_equal(find_http_header(lf, (int)strlen(lf)), strlen(lf) - 4);
    assert_int_equal(find_http_header(NULL, 4), 0);
    assert_int_equal(find_http_header(lf, -1), 0);

    assert_int_equal(is_http_request(crlf, 4), GET);
    assert_int_equal(is_http_request(crlf, 3), 0);
    char post[] = "POST /x";
    assert_int_equal(is_http_request(post, 7), POST);
    char response[] = "HTTP/1.1 200 OK\r\n";
    assert_int_equal(is_http_response(response, 17), 1);
    assert_int_equal(is_http_response(response, 4), 0);
    assert_int_equal(is_http_request(response, 17), 0);
}

static void http_fields(void **state)
{
    char text[] = "HTTP/1.0 404 Not Found\r\nContent-Length: 1234\r\nconnection:keep-alive, x \r\n"
                  "Cache-Control: public,  max-age=60\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                  "X-Content-Length: 9\r\nBad: -5\r\n\r\nHost: body\r\n";
    int len = (int)strlen(text), code = 0, version = 0;
    char value[32];

    assert_int_equal(http_header_long_val(text, CONTENT_LENGTH_HDR, sizeof(CONTENT_LENGTH_HDR) - 1),
                     1234);
    assert_int_equal(http_header_long_val(text, "content-length", 14), 1234);
    assert_int_equal(http_header_long_val(text, "Bad:", 4), -1);
    assert_int_equal(http_header_long_val(text, "Host", 4), -1);
    assert_int_equal(http_header_long_val(text, "", 0), -1);
    assert_ptr_equal(
        http_header_str_val(text, CONN_HDR_FLD, sizeof(CONN_HDR_FLD) - 1, value, sizeof(value)),
        value);
    assert_string_equal(value, "keep-alive, x");
    assert_non_null(http_header_str_val(text, "Connection", 10, value, 5));
    assert_string_equal(value, "keep");
    assert_null(http_header_str_val(text, "Host", 4, value, sizeof(value)));
    assert_string_equal(value, "");
    assert_int_equal(http_check_header_field(text, len, CONN_HDR_FLD, KEEP_ALIVE_STR), 1);
    assert_int_equal(http_check_header_field(text, len, CONN_HDR_FLD, "close"), 0);
    assert_int_equal(http_get_maxage(text), 60);
    assert_int_equal(http_header_date(text, "Date", len), 784111777);
    assert_int_equal(http_header_date(text, "Connection", len), -1);
    assert_int_equal(http_get_status_code(text), 404);
    assert_int_equal(http_parse_first_resp_line(text, len, &code, &version), 1);
    assert_int_equal(code, 404);
    assert_int_equal(version, HTTP_10);
    assert_int_equal(http_get_http_version_resp(text, len, value, sizeof(value)), 1);
    assert_string_equal(value, "HTTP/1.0");
    assert_int_equal(http_parse_first_resp_line(text, 11, &code, &version), 0);
}

static void http_request_line(void **state)
{
    char get[] = "GET /index.html?x=1 HTTP/1.1\r\n\r\n", none[] = "GET\r\nHost: a\r\n",
         s_maxage[] = "HTTP/1.1 200 OK\r\nCache-Control: s-max-age=1, no-store\r\n\r\n";
    char value[32];

    assert_int_equal(http_get_url(get, (int)strlen(get), value, sizeof(value)), 1);
    assert_string_equal(value, "/index.html?x=1");
    assert_int_equal(http_get_url(get, (int)strlen(get), value, 7), 1);
    assert_string_equal(value, "/index");
    assert_int_equal(http_get_url(none, (int)strlen(none), value, sizeof(value)), 0);
    assert_int_equal(http_get_status_code(get), 0);
    assert_int_equal(http_get_maxage(s_maxage), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rss_is_toeplitz), cmocka_unit_test(words),
        cmocka_unit_test(hashes),          cmocka_unit_test(cpus),
        cmocka_unit_test(config_file),     cmocka_unit_test(config_limits),
        cmocka_unit_test(event_names),     cmocka_unit_test(http_header_end),
        cmocka_unit_test(http_fields),     cmocka_unit_test(http_request_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
