// SPDX-License-Identifier: BSD-2-Clause
/* The grammar of configuration files, and every message it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/conffile.h"
#include "base/errtext.h"
#include "base/hash.h"

static struct conf_file *parse(const char *text)
{
    return conf_parse("f", text, strlen(text));
}

/* One line of text that says the whole tree. */
static void dump(char *to, const struct conf_item *it)
{
    for (; it; it = it->next) {
        char *p = to + strlen(to);

        if (it->kind == CONF_KEY) {
            sprintf(p, "%d:%s=<%s>/%d ", it->line, it->name, it->value, it->nwords);
        } else if (it->kind == CONF_ROW) {
            assert_null(it->name);
            assert_null(it->word[it->nwords]);
            p += sprintf(p, "%d:", it->line);
            for (int i = 0; i < it->nwords; i++)
                p += sprintf(p, "[%s]", it->word[i]);
            strcpy(p, " ");
        } else {
            sprintf(p, "%d:%s{ ", it->line, it->name);
            dump(to, it->child);
            strcat(to, "} ");
        }
    }
}

static void same(const char *text, const char *want)
{
    struct conf_file *f = parse(text);
    char got[2000] = "";

    if (!f)
        fail_msg("%s: %s", text, err_text());
    dump(got, f->first);
    if (got[0])
        got[strlen(got) - 1] = '\0';
    assert_string_equal(got, want);
    conf_free(f);
}

static void refused(const char *text, const char *message)
{
    errno = 0;
    err_clear();
    assert_null(parse(text));
    assert_int_equal(errno, EINVAL);
    assert_string_equal(err_text(), message);
}

static void keys_and_values(void **state)
{
    same("", "");
    same("\n\n# nothing\n   # here", "");
    same("a = 1", "1:a=<1>/1");
    same("a=1\nb =2\nc= 3\n", "1:a=<1>/1 2:b=<2>/1 3:c=<3>/1");
    same("run = ./app -f x   # remark", "1:run=<./app -f x>/3");
    same("a = x=y == z", "1:a=<x=y == z>/3");
    same("\ta\t=\t1 \t\r\nb = 2\r\n", "1:a=<1>/1 2:b=<2>/1");
    same("\xef\xbb\xbf"
         "a = 1",
         "1:a=<1>/1");
    same("a = 1#x", "1:a=<1>/1");
    same("top = { }", "1:top=<{ }>/2");
    same("top = }", "1:top=<}>/1");
}

static void quotes(void **state)
{
    same("a = \"one two # three\"", "1:a=<one two # three>/1");
    same("a = \"\"", "1:a=<>/1");
    same("a = \" x \"  # c", "1:a=< x >/1");
    same("a = \"q\\\"q\\\\ \\n\"", "1:a=<q\"q\\ \\n>/1");
    same("run = app \"two words\" x", "1:run=<app \"two words\" x>/3");
    same("a = \"b\" \"c\"", "1:a=<\"b\" \"c\">/2");
    same("b {\n\"x y\" \"}\" z\"z\n}", "1:b{ 2:[x y][}][z\"z] }");
    same("b { a = \"1 } 2\"}", "1:b{ 1:a=<1 } 2>/1 }");
}

static void blocks(void **state)
{
    same("mos {\n forward = 1\n netdev {\n  dpdk0 0x0F\n  dpdk1 0xF0 # c\n }\n arp_table {}\n}",
         "1:mos{ 2:forward=<1>/1 3:netdev{ 4:[dpdk0][0x0F] 5:[dpdk1][0xF0] } 7:arp_table{ } }");
    same("mos\n# c\n\n{\na = 1\n}\nb = 2", "1:mos{ 5:a=<1>/1 } 7:b=<2>/1");
    same("mos{a=1\nb=2}", "1:mos{ 1:a=<1>/1 2:b=<2>/1 }");
    same("mos {\nforward { a b }\nx = 1 }", "1:mos{ 2:forward{ 2:[a][b] } 3:x=<1>/1 }");
    same("a { b { c = 1 } }", "1:a{ 1:b{ 1:c=<1>/1 } }");
    same("a { b { c = 1 }}\nd = 1", "1:a{ 1:b{ 1:c=<1>/1 } } 2:d=<1>/1");
    same("a { b = ${HOME} }", "1:a{ 1:b=<${HOME}>/1 }");
    same("a {\nb = ${HOME}\n}", "1:a{ 2:b=<${HOME}>/1 }");
    same("a {\nlone\n}", "1:a{ 2:[lone] }");
    same("a {\nlone}", "1:a{ 2:[lone] }");
    same("a { \n10.0.0.0/8 aa:bb:cc:dd:ee:ff\n}", "1:a{ 2:[10.0.0.0/8][aa:bb:cc:dd:ee:ff] }");
}

static void messages(void **state)
{
    refused("a = 1\n = 2", "f:2: expected a name before '='");
    refused("{ a = 1 }", "f:1: expected a name before '{'");
    refused("a =\nb = 1", "f:1: expected a value after 'a ='");
    refused("b { a = }", "f:1: expected a value after 'a ='");
    refused("\n\nhello world\n", "f:3: expected 'KEY = VALUE' or 'NAME {', got 'hello'");
    refused("hello", "f:1: expected 'KEY = VALUE' or 'NAME {', got 'hello'");
    refused("b {\ntwo words = 1\n}", "f:2: expected one name before '='");
    refused("b {\ntwo words {\n}\n}", "f:2: expected one name before '{'");
    refused("b {\nx\n", "f:3: expected '}' for the block 'b' of line 1");
    refused("a {\n b {\n }\n", "f:4: expected '}' for the block 'a' of line 1");
    refused("a = 1\n}", "f:2: expected no '}' here: no block is open");
    refused("a {} b {}", "f:1: expected the end of the line after '}'");
    refused("a = \"x\nb = 1", "f:1: expected a closing '\"' before the end of the line");
    refused("a { \"x\n}", "f:1: expected a closing '\"' before the end of the line");
    refused("a = \"x\"y", "f:1: expected a blank after the closing '\"'");
    refused("a {\n\"x\"y\n}", "f:2: expected a blank after the closing '\"'");
    refused("a { b { c { d { e { f { g { h { i { j { k { l { m { n { o { p { q {",
            "f:1: expected no more than 16 blocks inside one another");
    assert_null(conf_parse("f", "a = 1\nb\0 = 2", 12));
    assert_string_equal(err_text(), "f:2: expected text, got a NUL byte");
}

static void from_a_file(void **state)
{
    char path[] = "/tmp/test_conffile.XXXXXX";
    int fd = mkstemp(path);
    struct conf_file *f;

    assert_true(fd >= 0);
    for (int i = 0; i < 5000; i++)
        assert_true(dprintf(fd, "key%d = %d\n", i, i) > 0);
    assert_true(dprintf(fd, "last = no newline") > 0);
    close(fd);
    f = conf_load(path);
    assert_non_null(f);
    assert_string_equal(f->path, path);
    assert_string_equal(f->first->next->name, "key1");
    conf_free(f);
    unlink(path);
    assert_null(conf_load(path));
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(err_text(), ": No such file or directory"));
    assert_null(conf_load("/tmp"));
    assert_int_equal(errno, EISDIR);
    assert_string_equal(err_text(), "/tmp: Is a directory");
    conf_free(NULL);
}

/* Pieces of the grammar in random order: no crash, and an error always has its text. */
static void random_pieces(void **state)
{
    static const char *const piece[] = {"a",  " ",  "=", "{",   "}",    "\n",
                                        "\"", "\\", "#", "b c", "\r\n", "x = 1\n"};
    struct rng r;
    int good = 0;

    rng_seed(&r, 42);
    for (int i = 0; i < 20000; i++) {
        size_t len = 0;
        char text[200];
        char *exact;
        struct conf_file *f;

        for (uint64_t n = rng_below(&r, 20); n > 0; n--) {
            const char *p = piece[rng_below(&r, ARRAY_SIZE(piece))];

            memcpy(text + len, p, strlen(p));
            len += strlen(p);
        }
        exact = malloc(len + !len);
        memcpy(exact, text, len);
        err_clear();
        f = conf_parse("f", exact, len);
        if (!f)
            assert_non_null(strstr(err_text(), "expected"));
        good += f != NULL;
        conf_free(f);
        free(exact);
    }
    assert_true(good > 1000);
}

/* The item "k = value" on line 2 of "f". */
static struct conf_file *one(const char *value)
{
    char text[200];
    struct conf_file *f;

    snprintf(text, sizeof(text), "\nk = %s\n", value);
    f = parse(text);
    assert_non_null(f);
    return f;
}

static const char *const modes[] = {"first", "last", NULL};

enum reader { INT, BOOL, SIZE, TIME, CHOICE };

static int read_value(enum reader how, const struct conf_file *f, const struct conf_item *it,
                      uint64_t *out)
{
    int64_t i = 0;
    bool b = false;
    int c = 0, rc = -1;

    switch (how) {
    case INT:
        rc = conf_int(f, it, -5, 65535, &i);
        *out = (uint64_t)i;
        break;
    case BOOL:
        rc = conf_bool(f, it, &b);
        *out = b;
        break;
    case SIZE:
        return conf_size(f, it, out);
    case TIME:
        return conf_time(f, it, out);
    case CHOICE:
        rc = conf_choice(f, it, modes, &c);
        *out = (uint64_t)c;
        break;
    }
    return rc;
}

static void reads(enum reader how, const char *value, uint64_t want)
{
    struct conf_file *f = one(value);
    uint64_t got = 0;

    if (read_value(how, f, f->first, &got) < 0)
        fail_msg("%s: %s", value, err_text());
    if (got != want)
        fail_msg("%s: %llu", value, (unsigned long long)got);
    conf_free(f);
}

static void rejects(enum reader how, const char *value, const char *expected)
{
    struct conf_file *f = one(value);
    char want[300];
    uint64_t got;

    errno = 0;
    assert_int_equal(read_value(how, f, f->first, &got), -1);
    assert_int_equal(errno, EINVAL);
    snprintf(want, sizeof(want), "f:2: k: expected %s, got '%s'", expected, value);
    assert_string_equal(err_text(), want);
    conf_free(f);
}

static void numbers(void **state)
{
    static const char *const bad[] = {"65536", "-6", "0x",  "1x",
                                      "x",     "08", "1 2", "99999999999999999999"};

    reads(INT, "10", 10);
    reads(INT, "0x1F", 31);
    reads(INT, "017", 15);
    reads(INT, "-5", (uint64_t)-5);
    reads(INT, "\"7\"", 7);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        rejects(INT, bad[i], "a number from -5 to 65535");
}

static void booleans(void **state)
{
    reads(BOOL, "1", 1);
    reads(BOOL, "Yes", 1);
    reads(BOOL, "on", 1);
    reads(BOOL, "TRUE", 1);
    reads(BOOL, "0", 0);
    reads(BOOL, "no", 0);
    reads(BOOL, "off", 0);
    reads(BOOL, "false", 0);
    rejects(BOOL, "2", "0, 1, on, off, yes, no, true or false");
    rejects(BOOL, "yes please", "0, 1, on, off, yes, no, true or false");
}

static void sizes(void **state)
{
    static const char *const bad[] = {
        "-1", "5T", "5KB", "K", "18446744073709551616", "16777216000000G", "1.5M"};

    reads(SIZE, "8192", 8192);
    reads(SIZE, "0x2000", 8192);
    reads(SIZE, "8K", 8192);
    reads(SIZE, "3m", 3 << 20);
    reads(SIZE, "2G", 2ULL << 30);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        rejects(SIZE, bad[i], "a number of bytes, or of K, M or G");
}

static void times(void **state)
{
    static const char *const bad[] = {"-2",    "x",    "1 d", "1..5", ".5", "600000000000h",
                                      "5 s s", "onoff"};

    reads(TIME, "30", 30 * NSEC_PER_SEC);
    reads(TIME, "0.5", NSEC_PER_SEC / 2);
    reads(TIME, "0", 0);
    reads(TIME, "200ms", 200 * NSEC_PER_MSEC);
    reads(TIME, "200 ms", 200 * NSEC_PER_MSEC);
    reads(TIME, "1.5 m", 90 * NSEC_PER_SEC);
    reads(TIME, "2h", 7200 * NSEC_PER_SEC);
    reads(TIME, "1.000001s", NSEC_PER_SEC + 1000);
    reads(TIME, "-1", UINT64_MAX);
    reads(TIME, "OFF", UINT64_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        rejects(TIME, bad[i], "a time (30, 0.5, 200 ms, 5 m, 1 h), -1 or off");
}

static void choices(void **state)
{
    reads(CHOICE, "first", 0);
    reads(CHOICE, "LAST", 1);
    rejects(CHOICE, "middle", "first or last");
}

static void no_values(void **state)
{
    struct conf_file *f = parse("b {\nx y\n}");
    int64_t i;

    assert_int_equal(conf_int(f, f->first, 0, 9, &i), -1);
    assert_string_equal(err_text(), "f:1: b: expected a number from 0 to 9, got '{'");
    assert_int_equal(conf_int(f, f->first->child, INT64_MIN, INT64_MAX, &i), -1);
    assert_string_equal(err_text(), "f:2: row: expected a number, got 'x'");
    conf_free(f);
    f = one("99999999999999999999"); /* strtoll would answer the greatest there is */
    assert_int_equal(conf_int(f, f->first, INT64_MIN, INT64_MAX, &i), -1);
    conf_free(f);
}

static void nearest_name(void **state)
{
    static const char *const known[] = {
        "forward", "max_concurrency", "rmem_size", "wmem_size", "port", NULL};
    char big[300];

    memset(big, 'q', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_string_equal(conf_nearest("foward", known), "forward");
    assert_string_equal(conf_nearest("max_concurency", known), "max_concurrency");
    assert_string_equal(conf_nearest("vmem_size", known), "rmem_size");
    assert_string_equal(conf_nearest("prot", known), "port");
    assert_null(conf_nearest("xyz", known));
    assert_null(conf_nearest("completely_else", known));
    assert_null(conf_nearest("", known));
    assert_null(conf_nearest(big, known));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_values), cmocka_unit_test(quotes),
        cmocka_unit_test(blocks),          cmocka_unit_test(messages),
        cmocka_unit_test(from_a_file),     cmocka_unit_test(random_pieces),
        cmocka_unit_test(numbers),         cmocka_unit_test(booleans),
        cmocka_unit_test(sizes),           cmocka_unit_test(times),
        cmocka_unit_test(choices),         cmocka_unit_test(no_values),
        cmocka_unit_test(nearest_name),
    };
    return cmocka_run_group_tests_name("conffile", tests, NULL, NULL);
}
