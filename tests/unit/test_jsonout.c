// SPDX-License-Identifier: BSD-2-Clause
/* test_jsonout.c: every line is valid JSON, whatever bytes come from the network. */
#include "jsonout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void want(struct json *j, const char *text)
{
    assert_false(j->failed);
    assert_int_equal(j->len, strlen(text));
    assert_memory_equal(j->text, text, j->len);
    json_reset(j);
}

static void commas_and_nesting(void **state)
{
    struct json j = {0};

    json_open(&j, NULL, '{');
    json_u64(&j, "n", UINT64_MAX);
    json_open(&j, "list", '[');
    json_open(&j, NULL, '[');
    json_close(&j, ']');
    json_bool(&j, NULL, true);
    json_null(&j, NULL);
    json_close(&j, ']');
    json_time(&j, "t", 1000000001);
    json_number(&j, "r", 2.346, 2);
    json_number(&j, "i", 1e12, 0);
    json_str(&j, "s", "");
    json_close(&j, '}');
    json_newline(&j);
    want(&j, "{\"n\":18446744073709551615,\"list\":[[],true,null],\"t\":1.000000001,\"r\":2.35,"
             "\"i\":1000000000000,\"s\":\"\"}\n");
    json_free(&j);
}

static void one(struct json *j, const char *s, size_t n, const char *text)
{
    json_strn(j, NULL, s, n);
    want(j, text);
}

static void escapes(void **state)
{
    struct json j = {0};

    one(&j, "a\"b\\c/\n\x7f\0z", 10, "\"a\\\"b\\\\c/\\u000a\\u007f\\u0000z\"");
    one(&j, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    one(&j, "\xff\xc3", 2, "\"\\u00ff\\u00c3\"");                       /* no start; cut off */
    one(&j, "\xc0\x80", 2, "\"\\u00c0\\u0080\"");                       /* overlong */
    one(&j, "\xe0\x9f\xbf", 3, "\"\\u00e0\\u009f\\u00bf\"");            /* overlong */
    one(&j, "\xed\xa0\x80", 3, "\"\\u00ed\\u00a0\\u0080\"");            /* surrogate */
    one(&j, "\xf4\x90\x80\x80", 4, "\"\\u00f4\\u0090\\u0080\\u0080\""); /* beyond U+10FFFF */
    json_free(&j);
}

static void grows(void **state)
{
    struct json j = {0};

    for (int i = 0; i < 10000; i++)
        json_u64(&j, NULL, 7);
    assert_false(j.failed);
    assert_int_equal(j.len, 19999);
    assert_memory_equal(j.text + j.len - 4, ",7,7", 4);
    json_free(&j);
}

static void numbers(void **state)
{
    static const char want[] = "0,10,18446744073709551615,0.000000000,18446744073.709551615";
    struct json j = {0};

    json_u64(&j, NULL, 0);
    json_u64(&j, NULL, 10);
    json_u64(&j, NULL, UINT64_MAX);
    json_time(&j, NULL, 0);
    json_time(&j, NULL, UINT64_MAX);
    assert_int_equal(j.len, sizeof(want) - 1);
    assert_memory_equal(j.text, want, j.len);
    json_free(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_and_nesting),
        cmocka_unit_test(escapes),
        cmocka_unit_test(numbers),
        cmocka_unit_test(grows),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
