// SPDX-License-Identifier: BSD-2-Clause
/*
 * jsonout.c: a small JSON writer. Not a library's, for two reasons: times are numbers with nine
 * decimals, which a double, and so every JSON library's number, cannot hold; and a line for each
 * event leaves no time for building trees.
 */
#include "jsonout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct json *j, size_t n)
{
    size_t cap = j->cap ? j->cap : 512;
    char *text;

    if (j->failed)
        return false;
    if (j->cap - j->len >= n)
        return true;
    while (cap - j->len < n)
        cap *= 2;
    text = realloc(j->text, cap);
    if (!text) {
        j->failed = true;
        return false;
    }
    j->text = text;
    j->cap = cap;
    return true;
}

void json_raw(struct json *j, const char *s, size_t n)
{
    if (n == 0 || !reserve(j, n))
        return;
    memcpy(j->text + j->len, s, n);
    j->len += n;
}

/* Length of the valid UTF-8 character at s (RFC 3629 4), 0 if there is none. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80   ? 1
                 : s[0] < 0xc2 ? 0
                 : s[0] < 0xe0 ? 2
                 : s[0] < 0xf0 ? 3
                 : s[0] < 0xf5 ? 4
                               : 0;

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0; /* overlong, a surrogate, beyond U+10FFFF */
    return len;
}

/* plain_len: bytes at s that stand for themselves: ASCII, nothing to be escaped. */
static size_t plain_len(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

static void quoted(struct json *j, const char *s, size_t n)
{
    json_raw(j, "\"", 1);
    for (size_t i = 0; i < n;) {
        const unsigned char *p = (const unsigned char *)s + i;
        size_t plain = plain_len(s + i, n - i), len;

        json_raw(j, s + i, plain);
        i += plain;
        if (i == n)
            break;
        p += plain;
        len = utf8_len(p, n - i);
        if (*p == '"' || *p == '\\') {
            json_raw(j, "\\", 1);
            json_raw(j, s + i, 1);
        } else if (*p < 0x20 || *p == 0x7f || len == 0) {
            char esc[8];
            int e = snprintf(esc, sizeof(esc), "\\u%04x", *p);

            json_raw(j, esc, (size_t)e);
        } else {
            json_raw(j, s + i, len);
        }
        i += len ? len : 1;
    }
    json_raw(j, "\"", 1);
}

/* What stands before a value. */
static void member(struct json *j, const char *key)
{
    if (j->comma)
        json_raw(j, ",", 1);
    j->comma = true;
    if (key) {
        quoted(j, key, strlen(key));
        json_raw(j, ":", 1);
    }
}

void json_reset(struct json *j)
{
    j->len = 0;
    j->comma = j->failed = false;
}

void json_free(struct json *j)
{
    free(j->text);
    *j = (struct json){0};
}

void json_open(struct json *j, const char *key, char bracket)
{
    member(j, key);
    json_raw(j, &bracket, 1);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    json_raw(j, &bracket, 1);
    j->comma = true;
}

void json_newline(struct json *j)
{
    json_raw(j, "\n", 1);
    j->comma = false;
}

void json_strn(struct json *j, const char *key, const char *s, size_t n)
{
    member(j, key);
    quoted(j, s, n);
}

void json_str(struct json *j, const char *key, const char *s)
{
    json_strn(j, key, s, strlen(s));
}

/* decimal: the digits of v, `least` of them at least, in front of `end`. => where they begin. */
static char *decimal(char *end, uint64_t v, int least)
{
    for (; v || least > 0; v /= 10, least--)
        *--end = (char)('0' + v % 10);
    return end;
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
    char text[24], *end = text + sizeof(text), *p = decimal(end, v, 1);

    member(j, key);
    json_raw(j, p, (size_t)(end - p));
}

void json_number(struct json *j, const char *key, double v, int decimals)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%.*f", decimals, v);

    member(j, key);
    json_raw(j, text, (size_t)n);
}

void json_bool(struct json *j, const char *key, bool v)
{
    member(j, key);
    json_raw(j, v ? "true" : "false", v ? 4 : 5);
}

void json_null(struct json *j, const char *key)
{
    member(j, key);
    json_raw(j, "null", 4);
}

void json_time(struct json *j, const char *key, uint64_t ns)
{
    char text[40], *end = text + sizeof(text), *p = decimal(end, ns % 1000000000, 9);

    *--p = '.';
    p = decimal(p, ns / 1000000000, 1);
    member(j, key);
    json_raw(j, p, (size_t)(end - p));
}
