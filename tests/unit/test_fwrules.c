// SPDX-License-Identifier: BSD-2-Clause
/* Packet rules of `weir firewall`: what is taken, what is refused in which words, and which rule decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "fwrules.h"

static char why[512];

static struct fwrules *take(const char *text)
{
    struct fwrules *r = fwrules_parse(text, strlen(text), "f", why, sizeof(why));

    if (!r)
        fail_msg("refused: %s", why);
    return r;
}

static void refuse(const char *text, const char *want)
{
    struct fwrules *r = fwrules_parse(text, strlen(text), "f", why, sizeof(why));

    assert_null(r);
    assert_string_equal(why, want);
}

/* says: a rule as it is shown. */
static void says(const struct fwrules *r, uint32_t i, const char *want)
{
    char src[FW_TEXT], dst[FW_TEXT], sport[FW_TEXT], dport[FW_TEXT], all[512];
    const struct fw_rule *rule = &r->rule[i];

    snprintf(all, sizeof(all), "%u %s %s %s %s %s", r->line[i], fw_action_names[rule->action],
             fw_prefix_text(rule, FW_SRC, src), fw_prefix_text(rule, FW_DST, dst),
             fw_ports_text(rule, FW_SRC, sport), fw_ports_text(rule, FW_DST, dport));
    assert_string_equal(all, want);
}

static void what_is_taken(void **state)
{
    struct fwrules *r = take("# rules\n"
                             "\n"
                             "ACCEPT 10.0.0.0/8 any dport:80\n"
                             "\t DROP  any\t2001:db8::/32 sport:1-1023   dport:22 # ssh\r\n"
                             "REJECT 192.0.2.1 198.51.100.128/25 dport:0-65535 sport:7\n"
                             "   #DROP any any\n"
                             "ACCEPT 0.0.0.0/0 any\n"
                             "ACCEPT any ::/0 dport:65535\n"
                             "ACCEPT ::ffff:0:0/96 2001:db8::1/128 dport:0\n"
                             "DROP 128.0.0.0/1 0.0.0.0/0\n"
                             "DROP any any");

    assert_int_equal(r->n, 8);
    says(r, 0, "3 ACCEPT 10.0.0.0/8 any any 80");
    says(r, 1, "4 DROP any 2001:db8::/32 1-1023 22");
    says(r, 2, "5 REJECT 192.0.2.1 198.51.100.128/25 7 any");
    says(r, 3, "7 ACCEPT 0.0.0.0/0 0.0.0.0/0 any any");
    says(r, 4, "8 ACCEPT ::/0 ::/0 any 65535");
    says(r, 5, "9 ACCEPT ::ffff:0.0.0.0/96 2001:db8::1 any 0");
    says(r, 6, "10 DROP 128.0.0.0/1 any any any");
    says(r, 7, "11 DROP any any any any");
    fwrules_free(r);
}

static void no_rules(void **state)
{
    const char *const texts[] = {"", "\n", "# nothing\n\n", " \t\r\n"};
    const struct fw_packet p = {.family = AF_INET};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct fwrules *r = take(texts[i]);

        assert_int_equal(r->n, 0);
        assert_int_equal(fwrules_find(r, &p), -1);
        fwrules_free(r);
    }
}

#define SRC  "the source: an address, a prefix such as 192.0.2.0/24, or any"
#define DST  "the destination: an address, a prefix such as 192.0.2.0/24, or any"
#define PORT "a port from 0 to 65535, or a range that rises, such as 1-1023"

static void what_is_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } v[] = {
        {"FOO any any\n", "f:1:1: expected ACCEPT, DROP or REJECT, got 'FOO'"},
        {"\n  drop any any", "f:2:3: expected ACCEPT, DROP or REJECT, got 'drop'"},
        {"ACCEPTED any any", "f:1:1: expected ACCEPT, DROP or REJECT, got 'ACCEPTED'"},
        {"DROP", "f:1:5: expected " SRC ", got the end of the line"},
        {"DROP  # any any", "f:1:7: expected " SRC ", got the end of the line"},
        {"DROP any", "f:1:9: expected " DST ", got the end of the line"},
        {"DROP any \t\nDROP any any", "f:1:11: expected " DST ", got the end of the line"},
        {"DROP all any", "f:1:6: expected " SRC ", got 'all'"},
        {"DROP any#1 any", "f:1:6: expected " SRC ", got 'any#1'"},
        {"DROP 300.1.1.1 any", "f:1:6: expected " SRC ", got '300.1.1.1'"},
        {"DROP any 10.0.0", "f:1:10: expected " DST ", got '10.0.0'"},
        {"DROP any 2001:db8::g", "f:1:10: expected " DST ", got '2001:db8::g'"},
        {"DROP any 1::2::3/64", "f:1:10: expected " DST ", got '1::2::3/64'"},
        {"DROP /8 any", "f:1:6: expected " SRC ", got '/8'"},
        {"DROP 10.0.0.0/33 any", "f:1:15: expected a prefix length from 0 to 32, got '33'"},
        {"DROP 10.0.0.0/-1 any", "f:1:15: expected a prefix length from 0 to 32, got '-1'"},
        {"DROP 10.0.0.0/ any",
         "f:1:15: expected a prefix length from 0 to 32, got the end of the line"},
        {"DROP 10.0.0.0/8x any", "f:1:15: expected a prefix length from 0 to 32, got '8x'"},
        {"DROP any 2001::/129", "f:1:17: expected a prefix length from 0 to 128, got '129'"},
        {"DROP 10.0.0.1/8 any",
         "f:1:6: expected 10.0.0.0/8: there are bits behind the prefix length, got '10.0.0.1/8'"},
        {"DROP 1.0.0.0/0 any",
         "f:1:6: expected 0.0.0.0/0: there are bits behind the prefix length, got '1.0.0.0/0'"},
        {"DROP any 2001:db8:1::/32",
         "f:1:10: expected 2001:db8::/32: there are bits behind the prefix length, got "
         "'2001:db8:1::/32'"},
        {"DROP 10.0.0.0/8 2001::/16",
         "f:1:17: expected an IPv4 address, as the source is one, got '2001::/16'"},
        {"DROP ::/0 0.0.0.0/0",
         "f:1:11: expected an IPv6 address, as the source is one, got '0.0.0.0/0'"},
        {"DROP any any 80", "f:1:14: expected sport:, dport: or the end of the line, got '80'"},
        {"DROP any any dport",
         "f:1:14: expected sport:, dport: or the end of the line, got 'dport'"},
        {"DROP any any dport: 80", "f:1:20: expected " PORT ", got the end of the line"},
        {"DROP any any dport:http", "f:1:20: expected " PORT ", got 'http'"},
        {"DROP any any dport:65536", "f:1:20: expected " PORT ", got '65536'"},
        {"DROP any any dport:1-", "f:1:20: expected " PORT ", got '1-'"},
        {"DROP any any dport:-1", "f:1:20: expected " PORT ", got '-1'"},
        {"DROP any any dport:9-8", "f:1:20: expected " PORT ", got '9-8'"},
        {"DROP any any dport:1-2-3", "f:1:20: expected " PORT ", got '1-2-3'"},
        {"DROP any any sport:+1", "f:1:20: expected " PORT ", got '+1'"},
        {"DROP any any sport:000001", "f:1:20: expected " PORT ", got '000001'"},
        {"DROP any any sport:1 dport:2 sport:1",
         "f:1:30: expected sport: once only, got 'sport:1'"},
        {"DROP any any dport:1 dport:2", "f:1:22: expected dport: once only, got 'dport:2'"},
        {"DROP \1\xff any", "f:1:6: expected " SRC ", got '?"
                            "?'"},
        {"DROP aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee any",
         "f:1:6: expected " SRC ", got 'aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd...'"},
    };

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        refuse(v[i].text, v[i].want);
}

static void lines_that_are_none(void **state)
{
    char text[FWRULES_LINE + 2];

    memset(text, ' ', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    refuse(text, "f:1:513: expected a line of no more than 512 bytes");
    text[FWRULES_LINE] = '\0';
    fwrules_free(take(text));
    assert_null(fwrules_parse("DROP any any\nDROP \0any any", 26, "f", why, sizeof(why)));
    assert_string_equal(why, "f:2:6: expected text, got a byte 0");
}

/* Complaints fit where they are put, however little that is. */
static void little_room(void **state)
{
    for (size_t cap = 1; cap < 60; cap++) {
        memset(why, 'x', sizeof(why));
        assert_null(fwrules_parse("DROP any", 8, "name", why, cap));
        assert_true(strlen(why) < cap);
        assert_int_equal(why[cap], 'x');
    }
}

static void files(void **state)
{
    char path[] = "/tmp/weir-rules-XXXXXX", want[64];
    int fd = mkstemp(path);
    struct fwrules *r;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "DROP any any\nDROP any\n", 22), 22);
    assert_null(fwrules_read(path, why, sizeof(why)));
    snprintf(want, sizeof(want), "%s:2:9: expected the destination", path);
    assert_memory_equal(why, want, strlen(want));
    assert_int_equal(ftruncate(fd, 13), 0);
    r = fwrules_read(path, why, sizeof(why));
    assert_non_null(r);
    assert_int_equal(r->n, 1);
    fwrules_free(r);
    close(fd);
    unlink(path);
    assert_null(fwrules_read(path, why, sizeof(why)));
    snprintf(want, sizeof(want), "%s: No such file or directory", path);
    assert_string_equal(why, want);
    assert_null(fwrules_read("/", why, sizeof(why)));
    assert_string_equal(why, "/: Is a directory");
    fwrules_free(NULL);
}

static int ask(const struct fwrules *r, const char *src, unsigned sport, const char *dst,
               unsigned dport)
{
    struct fw_packet p = {.family = strchr(src, ':') ? AF_INET6 : AF_INET,
                          .port = {(uint16_t)sport, (uint16_t)dport}};

    assert_int_equal(inet_pton(p.family, src, p.addr[FW_SRC]), 1);
    assert_int_equal(inet_pton(p.family, dst, p.addr[FW_DST]), 1);
    return fwrules_find(r, &p);
}

static void the_first_decides(void **state)
{
    struct fwrules *r = take("ACCEPT 10.0.0.0/8 any dport:80\n"
                             "DROP 10.1.0.0/16 any\n"
                             "REJECT any 192.0.2.1 dport:1000-2000\n"
                             "ACCEPT any 192.0.2.0/31\n"
                             "ACCEPT any any sport:53 dport:53\n"
                             "DROP 2001:db8::/33 2001:db8::/32\n"
                             "ACCEPT 2001:db8::/32 any\n"
                             "ACCEPT 0.0.0.0/0 any dport:9\n");

    assert_int_equal(ask(r, "10.1.2.3", 5, "1.1.1.1", 80), 0);
    assert_int_equal(ask(r, "10.1.2.3", 5, "1.1.1.1", 81), 1);
    assert_int_equal(ask(r, "10.2.2.3", 5, "1.1.1.1", 81), -1);
    assert_int_equal(ask(r, "11.1.2.3", 5, "192.0.2.1", 1000), 2);
    assert_int_equal(ask(r, "11.1.2.3", 5, "192.0.2.1", 2000), 2);
    assert_int_equal(ask(r, "11.1.2.3", 5, "192.0.2.1", 2001), 3);
    assert_int_equal(ask(r, "11.1.2.3", 5, "192.0.2.0", 1000), 3);
    assert_int_equal(ask(r, "11.1.2.3", 5, "192.0.2.2", 1000), -1);
    assert_int_equal(ask(r, "11.1.2.3", 53, "192.0.2.2", 53), 4);
    assert_int_equal(ask(r, "::1", 53, "::2", 53), 4);
    assert_int_equal(ask(r, "::1", 53, "::2", 54), -1);
    assert_int_equal(ask(r, "2001:db8::1", 1, "2001:db8::2", 2), 5);
    assert_int_equal(ask(r, "2001:db8:8000::1", 1, "2001:db8::2", 2), 6);
    assert_int_equal(ask(r, "2001:db8::1", 1, "2001:db9::2", 2), 6);
    assert_int_equal(ask(r, "2001:db9::1", 1, "2001:db9::2", 9), -1); /* 0.0.0.0/0 is IPv4 */
    assert_int_equal(ask(r, "1.2.3.4", 1, "5.6.7.8", 9), 7);
    fwrules_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken),     cmocka_unit_test(no_rules),
        cmocka_unit_test(what_is_refused),   cmocka_unit_test(lines_that_are_none),
        cmocka_unit_test(little_room),       cmocka_unit_test(files),
        cmocka_unit_test(the_first_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
