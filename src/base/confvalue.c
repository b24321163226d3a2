// SPDX-License-Identifier: BSD-2-Clause
/*
 * confvalue.c: what a configured value may look like. Nothing here depends on the locale: "0.5" is
 * half a second everywhere.
 */
#include "base/conffile.h"
#include "base/errtext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int bad(const struct conf_file *f, const struct conf_item *it, const char *expected)
{
    return err_set(EINVAL, "%s:%d: %s: expected %s, got '%s'", f->path, it->line,
                   it->name ? it->name : "row", expected,
                   it->value              ? it->value
                   : it->kind == CONF_ROW ? it->word[0]
                                          : "{");
}

int conf_int(const struct conf_file *f, const struct conf_item *it, int64_t min, int64_t max,
             int64_t *out)
{
    char *end = NULL;
    long long v;

    errno = 0;
    v = it->value ? strtoll(it->value, &end, 0) : 0;
    if (!end || end == it->value || *end || errno || v < min || v > max) {
        char expected[80];

        if (min == INT64_MIN && max == INT64_MAX)
            return bad(f, it, "a number");
        snprintf(expected, sizeof(expected), "a number from %lld to %lld", (long long)min,
                 (long long)max);
        return bad(f, it, expected);
    }
    *out = v;
    return 0;
}

int conf_bool(const struct conf_file *f, const struct conf_item *it, bool *out)
{
    static const char *const word[] = {"0", "1", "off", "on", "no", "yes", "false", "true"};

    for (size_t i = 0; it->value && i < ARRAY_SIZE(word); i++) {
        if (strcasecmp(it->value, word[i]) == 0) {
            *out = i & 1;
            return 0;
        }
    }
    return bad(f, it, "0, 1, on, off, yes, no, true or false");
}

int conf_size(const struct conf_file *f, const struct conf_item *it, uint64_t *out)
{
    static const char expected[] = "a number of bytes, or of K, M or G";
    const char *s = it->value;
    unsigned shift = 0;
    uint64_t v;
    char *end;

    if (!s || s[0] < '0' || s[0] > '9')
        return bad(f, it, expected);
    errno = 0;
    v = strtoull(s, &end, 0);
    if (*end) {
        const char *unit = "KkMmGg", *u = strchr(unit, *end);

        if (!u || end[1])
            return bad(f, it, expected);
        shift = 10 * (unsigned)((u - unit) / 2 + 1);
    }
    if (errno || v > UINT64_MAX >> shift)
        return bad(f, it, expected);
    *out = v << shift;
    return 0;
}

/* The unit's length in ns. => 0 if it is none. */
static uint64_t unit_ns(const char *s)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } unit[] = {
        {"", NSEC_PER_SEC},       {"s", NSEC_PER_SEC},        {"ms", NSEC_PER_MSEC},
        {"m", 60 * NSEC_PER_SEC}, {"h", 3600 * NSEC_PER_SEC},
    };

    while (*s == ' ')
        s++;
    for (size_t i = 0; i < ARRAY_SIZE(unit); i++)
        if (strcmp(s, unit[i].name) == 0)
            return unit[i].ns;
    return 0;
}

/* "12.5 ms" -> ns. => false if it is no such thing, or too long. */
static bool parse_time(const char *s, uint64_t *ns)
{
    uint64_t whole = 0, part = 0, scale = 1, unit;

    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (whole > UINT64_MAX / 10 - 1)
            return false;
        whole = whole * 10 + (uint64_t)(*s - '0');
    }
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++)
            if (scale < 1000000) { /* finer than that nobody asks */
                part = part * 10 + (uint64_t)(*s - '0');
                scale *= 10;
            }
    unit = unit_ns(s);
    if (!unit || whole >= UINT64_MAX / unit)
        return false;
    *ns = whole * unit + part * unit / scale;
    return true;
}

int conf_time(const struct conf_file *f, const struct conf_item *it, uint64_t *ns)
{
    if (it->value && (strcmp(it->value, "-1") == 0 || strcasecmp(it->value, "off") == 0)) {
        *ns = UINT64_MAX;
        return 0;
    }
    if (!it->value || !parse_time(it->value, ns))
        return bad(f, it, "a time (30, 0.5, 200 ms, 5 m, 1 h), -1 or off");
    return 0;
}

int conf_choice(const struct conf_file *f, const struct conf_item *it, const char *const *names,
                int *out)
{
    char list[256] = "";

    for (int i = 0; names[i]; i++) {
        if (it->value && strcasecmp(it->value, names[i]) == 0) {
            *out = i;
            return 0;
        }
        if (strlen(list) + strlen(names[i]) + 5 < sizeof(list)) {
            if (i)
                strcat(list, names[i + 1] ? ", " : " or ");
            strcat(list, names[i]);
        }
    }
    return bad(f, it, list);
}

#define NAME_MAX_CMP 63

/* Levenshtein's distance, one row of the matrix at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_CMP + 1], n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diag = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diag + (a[i] != b[j]);

            diag = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (diag + 1 < best)
                best = diag + 1;
            row[j + 1] = best;
        }
    }
    return row[n];
}

const char *conf_nearest(const char *name, const char *const *known)
{
    const char *best = NULL;
    size_t least = 4;

    if (strlen(name) < least)
        least = strlen(name);
    for (; *known; known++) {
        size_t d = strlen(*known) <= NAME_MAX_CMP ? distance(name, *known) : least;

        if (d < least) {
            least = d;
            best = *known;
        }
    }
    return best;
}
