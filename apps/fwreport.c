// SPDX-License-Identifier: BSD-2-Clause
/* fwreport.c: counters of rules, their sums, and the report. */
#include "fwreport.h"
#include "apprun.h"
#include "jsonout.h"
#include "tableout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct column columns[] = {
    {"LINE", true},   {"ACTION", false}, {"FROM", false},   {"SPORT", false}, {"TO", false},
    {"DPORT", false}, {"CONNS", true},   {"PACKETS", true}, {"BYTES", true},
};

/* ---- sets of rules ---- */

struct fwset *fwset_read(const char *path, int ncpu, char *why, size_t cap)
{
    struct fwset *set = calloc(1, sizeof(*set));
    size_t n;

    if (!set) {
        snprintf(why, cap, "%s: out of memory", path);
        return NULL;
    }
    set->rules = fwrules_read(path, why, cap);
    if (!set->rules) {
        free(set);
        return NULL;
    }
    n = set->rules->n + 1;
    set->ncpu = ncpu;
    set->before = calloc(n, sizeof(*set->before));
    set->count = calloc(n * (size_t)ncpu, sizeof(*set->count));
    if (set->before && set->count)
        return set;
    snprintf(why, cap, "%s: out of memory", path);
    fwset_free(set);
    return NULL;
}

void fwset_free(struct fwset *set)
{
    if (!set)
        return;
    fwrules_free(set->rules);
    free(set->before);
    free(set->count);
    free(set);
}

struct fwcount *fwset_counter(const struct fwset *set, int cpu, int rule)
{
    const size_t n = set->rules->n;

    return &set->count[(size_t)cpu * (n + 1) + (rule >= 0 ? (size_t)rule : n)];
}

static uint64_t value(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_pair(struct fwpair *to, const struct fwpair *p)
{
    to->packets += value(&p->packets);
    to->bytes += value(&p->bytes);
}

/* sum: all that a rule, or the default (the last), has counted. */
static struct fwcount sum(const struct fwset *set, size_t rule)
{
    struct fwcount all = set->before[rule];

    for (int cpu = 0; cpu < set->ncpu; cpu++) {
        const struct fwcount *c = &set->count[(size_t)cpu * (set->rules->n + 1) + rule];

        all.connections += value(&c->connections);
        add_pair(&all.sum, &c->sum);
    }
    return all;
}

/* A rule of the old set, to be sorted by what it says; of two that say the same the first goes first. */
struct known {
    const struct fw_rule *rule;
    size_t number;
};

static int by_rule(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    return memcmp(x->rule, y->rule, sizeof(*x->rule));
}

static int by_rule_and_number(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    int diff = by_rule(a, b);

    return diff ? diff : (x->number > y->number) - (x->number < y->number);
}

bool fwset_inherit(struct fwset *set, const struct fwset *old)
{
    const size_t n = old->rules->n;
    struct known *v = malloc((n + 1) * sizeof(*v));

    if (!v)
        return false;
    for (size_t i = 0; i < n; i++)
        v[i] = (struct known){.rule = &old->rules->rule[i], .number = i};
    qsort(v, n, sizeof(*v), by_rule_and_number);
    for (size_t i = 0; i < set->rules->n; i++) {
        struct known key = {.rule = &set->rules->rule[i]}, *found;

        found = bsearch(&key, v, n, sizeof(*v), by_rule);
        if (!found)
            continue;
        while (found > v && by_rule(found - 1, found) == 0)
            found--;
        set->before[i] = sum(old, found->number);
    }
    set->before[set->rules->n] = sum(old, n);
    free(v);
    return true;
}

/* ---- what is asked ---- */

void fw_packet_set(struct fw_packet *p, const struct ends *ends)
{
    const struct endpoint *from = &ends->side[MOS_SIDE_CLI], *to = &ends->side[MOS_SIDE_SVR];

    memset(p, 0, sizeof(*p));
    p->family = from->family;
    memcpy(p->addr[FW_SRC], from->addr, sizeof(from->addr));
    memcpy(p->addr[FW_DST], to->addr, sizeof(to->addr));
    p->port[FW_SRC] = (uint16_t)endpoint_port(from);
    p->port[FW_DST] = (uint16_t)endpoint_port(to);
}

uint64_t fw_packet_hash(const struct fw_packet *p)
{
    uint64_t h = p->family, v;

    for (size_t i = 0; i < sizeof(p->addr); i += sizeof(v)) {
        memcpy(&v, (const uint8_t *)p->addr + i, sizeof(v));
        h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 33;
    }
    h = (h ^ ((uint64_t)p->port[FW_SRC] << 16 | p->port[FW_DST])) * UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

/* ---- reports ---- */

void fwtotal_add(struct fwtotal *t, const struct fwctx *c)
{
    add_pair(&t->strange, &c->strange);
    add_pair(&t->strange_dropped, &c->strange_dropped);
    add_pair(&t->odd, &c->odd);
    add_pair(&t->vital, &c->vital);
    add_pair(&t->other_dropped, &c->other_dropped);
}

static void put_row(struct table *t, unsigned line, const struct fw_rule *rule, int action,
                    const struct fwcount *c)
{
    static const char *const colour[] = {TABLE_GREEN, TABLE_RED, TABLE_YELLOW};
    char from[FW_TEXT] = "any", to[FW_TEXT] = "any", sport[FW_TEXT] = "any", dport[FW_TEXT] = "any";
    char row[512], where[16] = "-", bytes[SIZE_TEXT];
    int n;

    if (rule) {
        snprintf(where, sizeof(where), "%u", line);
        fw_prefix_text(rule, FW_SRC, from);
        fw_prefix_text(rule, FW_DST, to);
        fw_ports_text(rule, FW_SRC, sport);
        fw_ports_text(rule, FW_DST, dport);
    }
    n = snprintf(row, sizeof(row), "%s\t%s%s%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s",
                 where, colour[action], fw_action_names[action], rule ? "" : " (default)", from,
                 sport, to, dport, c->connections, c->sum.packets, size_text(c->sum.bytes, bytes));
    table_row(t, row, (size_t)n);
}

static void put_line(struct out *out, const char *what, const struct fwpair *p)
{
    char line[160], bytes[SIZE_TEXT];
    int n;

    if (p->packets == 0)
        return;
    n = snprintf(line, sizeof(line), "%" PRIu64 " packets %s, %s bytes\n", p->packets, what,
                 size_text(p->bytes, bytes));
    out_write(out, line, (size_t)n);
}

static void put_totals(struct out *out, const struct fwtotal *t)
{
    char line[200];
    int n = snprintf(line, sizeof(line),
                     "%" PRIu64 " frames, %" PRIu64 " dropped; %" PRIu64
                     " accepted connections are remembered\n",
                     t->frames, t->dropped, t->remembered);

    out_write(out, line, (size_t)n);
    put_line(out, "of connections that did not begin here passed", &t->strange);
    put_line(out, "of connections that did not begin here dropped", &t->strange_dropped);
    put_line(out, "with a SYN that begins nothing dropped", &t->odd);
    put_line(out, "that are not TCP dropped", &t->other_dropped);
    if (t->forgotten == 0)
        return;
    n = snprintf(line, sizeof(line),
                 "%" PRIu64 " accepted connections forgotten early (--memory)\n", t->forgotten);
    out_write(out, line, (size_t)n);
}

static bool report_table(struct out *out, const struct firewall *fw, const struct fwtotal *t,
                         bool final)
{
    const struct fwrules *r = fw->set->rules;
    struct table table;
    bool good;

    table_init(&table, out, columns, sizeof(columns) / sizeof(columns[0]));
    for (uint32_t i = 0; i <= r->n; i++) {
        const struct fwcount c = sum(fw->set, i);

        if (i < r->n)
            put_row(&table, r->line[i], &r->rule[i], r->rule[i].action, &c);
        else
            put_row(&table, 0, NULL, fw->opt->fw_default, &c);
    }
    good = table_end(&table);
    put_totals(out, t);
    if (!final)
        out_write(out, "\n", 1);
    return good;
}

static void put_count(struct json *j, const struct fwcount *c)
{
    json_u64(j, "connections", c->connections);
    json_u64(j, "packets", c->sum.packets);
    json_u64(j, "bytes", c->sum.bytes);
}

static void put_rule(struct json *j, unsigned line, const struct fw_rule *rule,
                     const struct fwcount *c)
{
    char text[FW_TEXT];

    json_open(j, NULL, '{');
    json_str(j, "record", "rule");
    json_u64(j, "line", line);
    json_str(j, "action", fw_action_names[rule->action]);
    json_str(j, "src", fw_prefix_text(rule, FW_SRC, text));
    json_str(j, "dst", fw_prefix_text(rule, FW_DST, text));
    json_str(j, "sport", fw_ports_text(rule, FW_SRC, text));
    json_str(j, "dport", fw_ports_text(rule, FW_DST, text));
    put_count(j, c);
    json_close(j, '}');
    json_newline(j);
}

static void put_pair(struct json *j, const char *key, const struct fwpair *p)
{
    json_open(j, key, '{');
    json_u64(j, "packets", p->packets);
    json_u64(j, "bytes", p->bytes);
    json_close(j, '}');
}

static void put_rest(struct json *j, const struct firewall *fw, const struct fwtotal *t, bool final)
{
    const struct fwcount c = sum(fw->set, fw->set->rules->n);

    json_open(j, NULL, '{');
    json_str(j, "record", "default");
    json_str(j, "action", fw_action_names[fw->opt->fw_default]);
    put_count(j, &c);
    json_close(j, '}');
    json_newline(j);
    json_open(j, NULL, '{');
    json_str(j, "record", "total");
    json_bool(j, "final", final);
    json_u64(j, "frames", t->frames);
    json_u64(j, "dropped", t->dropped);
    json_u64(j, "remembered", t->remembered);
    json_u64(j, "forgotten", t->forgotten);
    put_pair(j, "strangers_passed", &t->strange);
    put_pair(j, "strangers_dropped", &t->strange_dropped);
    put_pair(j, "odd_syns_dropped", &t->odd);
    put_pair(j, "other_dropped", &t->other_dropped);
    put_pair(j, "other_vital", &t->vital);
    json_close(j, '}');
    json_newline(j);
}

static bool report_json(struct out *out, const struct firewall *fw, const struct fwtotal *t,
                        bool final)
{
    const struct fwrules *r = fw->set->rules;
    struct json j = {0};
    bool good;

    for (uint32_t i = 0; i < r->n; i++) {
        const struct fwcount c = sum(fw->set, i);

        put_rule(&j, r->line[i], &r->rule[i], &c);
    }
    put_rest(&j, fw, t, final);
    good = !j.failed;
    if (good)
        out_write(out, j.text, j.len);
    json_free(&j);
    return good;
}

bool fw_report(struct out *out, const struct firewall *fw, const struct fwtotal *t, bool final)
{
    return fw->opt->json ? report_json(out, fw, t, final) : report_table(out, fw, t, final);
}
