// SPDX-License-Identifier: BSD-2-Clause
/* fwparse.c: a file of rules, word by word; what is wrong is told with its place. */
#include "fwrules.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#define FILE_MAX (64L << 20)
#define GOT_MAX  40 /* bytes of a wrong word that are shown */

/* A word of the line, and where it begins. */
struct word {
    const char *s;
    size_t len; /* 0: there is none any more */
};

struct reader {
    struct fwrules *r;
    const char *name;
    unsigned line;
    const char *start, *end; /* of the line; end: a comment is behind it */
    const char *at;          /* what has not been read yet */
    char *why;
    size_t cap;
};

/* ---- complaints ---- */

/* shown: a word as it may be printed. */
static const char *shown(const struct word *w, char out[GOT_MAX + 8])
{
    size_t n = w->len < GOT_MAX ? w->len : GOT_MAX;

    if (w->len == 0)
        return strcpy(out, "the end of the line");
    out[0] = '\'';
    for (size_t i = 0; i < n; i++)
        out[i + 1] = isprint((unsigned char)w->s[i]) ? w->s[i] : '?';
    strcpy(out + n + 1, w->len > n ? "...'" : "'");
    return out;
}

/* wrong: at byte `at` of the line. => false. */
__attribute__((format(printf, 3, 4))) static bool wrong(const struct reader *rd, const char *at,
                                                        const char *fmt, ...)
{
    int n = snprintf(rd->why, rd->cap, "%s:%u:%u: ", rd->name, rd->line,
                     (unsigned)(at - rd->start) + 1);
    va_list ap;

    va_start(ap, fmt);
    if (n > 0 && (size_t)n < rd->cap)
        /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the analyzer looks at us alone */
        vsnprintf(rd->why + n, rd->cap - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

static bool expected(const struct reader *rd, const struct word *w, const char *what)
{
    char got[GOT_MAX + 8];

    return wrong(rd, w->s, "expected %s, got %s", what, shown(w, got));
}

/* ---- words ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct word next_word(struct reader *rd)
{
    struct word w;

    while (rd->at < rd->end && is_blank(*rd->at))
        rd->at++;
    w.s = rd->at;
    while (rd->at < rd->end && !is_blank(*rd->at))
        rd->at++;
    w.len = (size_t)(rd->at - w.s);
    return w;
}

static bool is_word(const struct word *w, const char *text)
{
    return w->len == strlen(text) && memcmp(w->s, text, w->len) == 0;
}

/* number: n bytes, nothing but digits, up to max. => -1: it is none. */
static long number(const char *s, size_t n, long max)
{
    long v = 0;

    if (n == 0 || n > 5)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        v = v * 10 + (s[i] - '0');
    }
    return v <= max ? v : -1;
}

/* ---- the parts of a rule ---- */

static bool read_action(const struct reader *rd, const struct word *w, struct fw_rule *rule)
{
    for (int i = 0; fw_action_names[i]; i++) {
        if (is_word(w, fw_action_names[i])) {
            rule->action = (uint8_t)i;
            return true;
        }
    }
    return expected(rd, w, "ACCEPT, DROP or REJECT");
}

/* tail_bits: are there any behind the prefix? They are cleared. */
static bool tail_bits(uint8_t *addr, int len, int max)
{
    bool found = false;

    for (int i = len; i < max; i++) {
        found |= addr[i / 8] >> (7 - i % 8) & 1;
        addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
    }
    return found;
}

/* the_family: both prefixes must be of one; `any` is of either. */
static bool the_family(const struct reader *rd, const struct word *w, struct fw_rule *rule,
                       int family)
{
    if (rule->family && rule->family != family)
        return expected(rd, w,
                        rule->family == AF_INET6 ? "an IPv6 address, as the source is one"
                                                 : "an IPv4 address, as the source is one");
    rule->family = (uint8_t)family;
    return true;
}

static bool read_prefix(const struct reader *rd, const struct word *w, struct fw_rule *rule,
                        int which)
{
    const char *slash = memchr(w->s, '/', w->len);
    const size_t n = slash ? (size_t)(slash - w->s) : w->len;
    const int family = memchr(w->s, ':', n) ? AF_INET6 : AF_INET;
    const int max = family == AF_INET6 ? 128 : 32;
    char text[INET6_ADDRSTRLEN] = "", right[FW_TEXT];
    struct word length = {slash ? slash + 1 : w->s, slash ? w->len - n - 1 : 0};
    long len = max;

    if (is_word(w, "any"))
        return true;
    if (n < sizeof(text))
        memcpy(text, w->s, n);
    if (w->len == 0 || inet_pton(family, text, rule->addr[which]) != 1)
        return expected(rd, w,
                        which == FW_SRC
                            ? "the source: an address, a prefix such as 192.0.2.0/24, or any"
                            : "the destination: an address, a prefix such as 192.0.2.0/24, or any");
    if (slash)
        len = number(length.s, length.len, max);
    if (len < 0)
        return expected(rd, &length,
                        family == AF_INET6 ? "a prefix length from 0 to 128"
                                           : "a prefix length from 0 to 32");
    if (!the_family(rd, w, rule, family))
        return false;
    rule->len[which] = (uint8_t)len;
    if (!tail_bits(rule->addr[which], (int)len, max))
        return true;
    return wrong(rd, w->s, "expected %s: there are bits behind the prefix length, got '%.*s'",
                 fw_prefix_text(rule, which, right), (int)w->len, w->s);
}

static bool read_ports(const struct reader *rd, const struct word *w, struct fw_rule *rule,
                       int which)
{
    const struct word ports = {w->s + 6, w->len - 6};
    const char *dash = memchr(ports.s, '-', ports.len);
    const size_t n = dash ? (size_t)(dash - ports.s) : ports.len;
    long lo = number(ports.s, n, UINT16_MAX), hi = lo;

    if (dash)
        hi = number(dash + 1, ports.len - n - 1, UINT16_MAX);
    if (lo < 0 || hi < lo)
        return expected(rd, &ports,
                        "a port from 0 to 65535, or a range that rises, such as 1-1023");
    rule->lo[which] = (uint16_t)lo;
    rule->hi[which] = (uint16_t)hi;
    return true;
}

/* read_options: sport: and dport:, each once, in any order. */
static bool read_options(struct reader *rd, struct fw_rule *rule)
{
    static const char *const names[] = {"sport:", "dport:"};
    bool seen[2] = {false, false};
    struct word w;

    for (w = next_word(rd); w.len > 0; w = next_word(rd)) {
        int which = -1;

        for (int i = FW_SRC; i <= FW_DST; i++)
            if (w.len >= 6 && memcmp(w.s, names[i], 6) == 0)
                which = i;
        if (which < 0 || seen[which])
            return expected(rd, &w,
                            which < 0         ? "sport:, dport: or the end of the line"
                            : which == FW_SRC ? "sport: once only"
                                              : "dport: once only");
        seen[which] = true;
        if (!read_ports(rd, &w, rule, which))
            return false;
    }
    return true;
}

/* ---- lines ---- */

static bool room(struct fwrules *r)
{
    uint32_t cap = r->cap ? 2 * r->cap : 64;
    struct fw_rule *rule;
    unsigned *line;

    if (r->n < r->cap)
        return true;
    rule = realloc(r->rule, cap * sizeof(*rule));
    if (rule)
        r->rule = rule;
    line = realloc(r->line, cap * sizeof(*line));
    if (line)
        r->line = line;
    if (!rule || !line)
        return false;
    r->cap = cap;
    return true;
}

static bool add(const struct reader *rd, const struct fw_rule *rule)
{
    struct fwrules *r = rd->r;

    if (r->n == FWRULES_MAX)
        return wrong(rd, rd->start, "expected no more than %d rules", FWRULES_MAX);
    if (!room(r)) {
        snprintf(rd->why, rd->cap, "%s: out of memory", rd->name);
        return false;
    }
    r->rule[r->n] = *rule;
    r->line[r->n++] = rd->line;
    return true;
}

/* cut_comment: => where the line ends before one. */
static const char *cut_comment(const char *s, const char *end)
{
    for (const char *at = s; at < end; at++)
        if (*at == '#' && (at == s || is_blank(at[-1])))
            return at;
    return end;
}

static bool read_line(struct reader *rd)
{
    struct fw_rule rule = {.hi = {UINT16_MAX, UINT16_MAX}};
    struct word w;

    w = next_word(rd);
    if (w.len == 0)
        return true;
    if (!read_action(rd, &w, &rule))
        return false;
    for (int which = FW_SRC; which <= FW_DST; which++) {
        w = next_word(rd);
        if (!read_prefix(rd, &w, &rule, which))
            return false;
    }
    return read_options(rd, &rule) && add(rd, &rule);
}

static bool read_all(struct reader *rd, const char *text, size_t len)
{
    const char *stop = text + len;

    while (text < stop) {
        const char *nl = memchr(text, '\n', (size_t)(stop - text)), *end = nl ? nl : stop, *zero;

        rd->line++;
        rd->start = rd->at = text;
        if (end - text > FWRULES_LINE)
            return wrong(rd, text + FWRULES_LINE, "expected a line of no more than %d bytes",
                         FWRULES_LINE);
        zero = memchr(text, '\0', (size_t)(end - text));
        if (zero)
            return wrong(rd, zero, "expected text, got a byte 0");
        rd->end = cut_comment(text, end);
        if (!read_line(rd))
            return false;
        text = nl ? nl + 1 : stop;
    }
    return true;
}

struct fwrules *fwrules_parse(const char *text, size_t len, const char *name, char *why, size_t cap)
{
    struct reader rd = {
        .r = calloc(1, sizeof(struct fwrules)), .name = name, .why = why, .cap = cap};

    why[0] = '\0';
    if (rd.r && read_all(&rd, text, len) && fwrules_build(rd.r))
        return rd.r;
    if (why[0] == '\0')
        snprintf(why, cap, "%s: out of memory", name);
    fwrules_free(rd.r);
    return NULL;
}

/* ---- files ---- */

/* slurp: all of a file. => to be freed; NULL with errno. */
static char *slurp(FILE *fp, size_t *len)
{
    size_t cap = 65536, n;
    char *text = malloc(cap), *more;

    for (*len = 0; text && (n = fread(text + *len, 1, cap - *len, fp)) > 0;) {
        *len += n;
        if (*len < cap)
            continue;
        more = cap < FILE_MAX ? realloc(text, cap * 2) : NULL;
        if (!more) {
            free(text);
            errno = cap < FILE_MAX ? ENOMEM : EFBIG;
            return NULL;
        }
        text = more;
        cap *= 2;
    }
    if (text && ferror(fp)) {
        free(text);
        return NULL;
    }
    return text;
}

struct fwrules *fwrules_read(const char *name, char *why, size_t cap)
{
    struct fwrules *r = NULL;
    FILE *fp = fopen(name, "r");
    char *text = NULL;
    size_t len;

    if (fp)
        text = slurp(fp, &len);
    if (text)
        r = fwrules_parse(text, len, name, why, cap);
    else
        snprintf(why, cap, "%s: %s", name, strerror(errno));
    free(text);
    if (fp)
        fclose(fp);
    return r;
}
