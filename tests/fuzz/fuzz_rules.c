// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_rules.c: any bytes as a file of packet rules. They are taken, or refused with a text that names file, line and
 * column; rules that were taken find what going through them one by one finds, and are the same when they are
 * written down and read again.
 */
#include <arpa/inet.h>

#include "fuzz.h"
#include "fwrules.h"

/* names_place: does the text begin with "f:LINE:COLUMN: expected "? */
static bool names_place(const char *text)
{
    unsigned line, column;
    int n = 0;

    return sscanf(text, "f:%u:%u: expected %n", &line, &column, &n) == 2 && n > 0 && line > 0 &&
           column > 0 && column <= FWRULES_LINE + 1 && text[n];
}

static int one_by_one(const struct fwrules *r, const struct fw_packet *p)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (fw_matches(&r->rule[i], p))
            return (int)i;
    return -1;
}

/* try_packets: at each rule's corners. */
static void try_packets(const struct fwrules *r)
{
    for (uint32_t i = 0; i < r->n && i < 64; i++) {
        const struct fw_rule *rule = &r->rule[i];
        struct fw_packet p = {.family = rule->family ? rule->family : AF_INET,
                              .port = {rule->lo[0], rule->hi[1]}};
        int found;

        memcpy(p.addr, rule->addr, sizeof(p.addr));
        found = fwrules_find(r, &p);
        FUZZ_CHECK(found >= 0 && found <= (int)i, "rule %u, found %d", i, found);
        FUZZ_CHECK(found == one_by_one(r, &p), "rule %u, found %d", i, found);
        p.addr[0][rule->len[0] / 8 % 16] ^= 0x11;
        p.port[1]++;
        FUZZ_CHECK(fwrules_find(r, &p) == one_by_one(r, &p), "beside rule %u", i);
    }
}

static void write_again(const struct fwrules *r)
{
    char src[FW_TEXT], dst[FW_TEXT], sport[FW_TEXT], dport[FW_TEXT], line[4 * FW_TEXT + 40],
        why[256];

    for (uint32_t i = 0; i < r->n && i < 64; i++) {
        const struct fw_rule *rule = &r->rule[i];
        struct fwrules *again;
        int n;

        fw_ports_text(rule, FW_SRC, sport);
        fw_ports_text(rule, FW_DST, dport);
        n = snprintf(line, sizeof(line), "%s %s %s sport:%s dport:%s",
                     fw_action_names[rule->action], fw_prefix_text(rule, FW_SRC, src),
                     fw_prefix_text(rule, FW_DST, dst), strcmp(sport, "any") ? sport : "0-65535",
                     strcmp(dport, "any") ? dport : "0-65535");
        again = fwrules_parse(line, (size_t)n, "f", why, sizeof(why));
        FUZZ_CHECK(again && again->n == 1, "%s: %s", line, why);
        FUZZ_CHECK(memcmp(&again->rule[0], rule, sizeof(*rule)) == 0, "%s", line);
        fwrules_free(again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[256];
    struct fwrules *r = fwrules_parse((const char *)data, size, "f", why, sizeof(why));

    if (r) {
        try_packets(r);
        write_again(r);
        fwrules_free(r);
    } else {
        FUZZ_CHECK(names_place(why), "'%s'", why);
    }
    return 0;
}
