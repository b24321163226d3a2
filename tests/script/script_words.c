// SPDX-License-Identifier: BSD-2-Clause
/* script_words.c: words, strings and lists of tokens for the packet-script runner. */
#include "script.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind a quoted string, a {...} or a <...> that begins at p. */
static const char *behind_group(const char *p)
{
    char end = *p == '"' ? '"' : *p == '{' ? '}' : '>';

    for (p++; *p != '\0' && *p != end; p++)
        if (end == '"' && *p == '\\' && p[1] != '\0')
            p++;
    return *p != '\0' ? p + 1 : p;
}

static const char *behind_word(const char *p)
{
    if (*p == '"' || *p == '{' || (*p == '<' && p[1] != ' '))
        return behind_group(p);
    if (*p == ';')
        return p + 1;
    while (*p != '\0' && !isspace((unsigned char)*p) && *p != ';' && *p != '"')
        p++;
    return p;
}

void words_cut(struct words *w, const char *text)
{
    char *out;

    *w = (struct words){.text = malloc(2 * strlen(text) + 2)};
    out = w->text;
    for (const char *p = text; w->n < SCRIPT_WORDS;) {
        const char *q;
        size_t len;
        bool colon;

        while (isspace((unsigned char)*p))
            p++;
        if (*p == '\0')
            break;
        q = behind_word(p);
        len = (size_t)(q - p);
        colon = len > 1 && q[-1] == ':' && *p != '"'; /* "PKT_IN:" is two words */
        w->v[w->n++] = out;
        memcpy(out, p, len);
        out[len - colon] = '\0';
        out += len + 1;
        p = q;
    }
    *out = '\0';
    for (int i = w->n; i < SCRIPT_WORDS; i++) /* words that are not there are empty */
        w->v[i] = out;
}

void words_free(struct words *w)
{
    free(w->text);
    *w = (struct words){0};
}

size_t text_decode(const char *quoted, char *out, size_t room)
{
    size_t n = 0;

    for (const char *p = quoted + 1; *p != '\0' && *p != '"' && n < room; p++) {
        char hex[3] = {0};

        if (*p != '\\') {
            out[n++] = *p;
            continue;
        }
        if (*++p == '\0') /* a backslash at the end */
            break;
        if (*p == 'x' && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2])) {
            memcpy(hex, p + 1, 2);
            out[n++] = (char)strtoul(hex, NULL, 16);
            p += 2;
        } else {
            out[n++] = *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p;
        }
    }
    return n;
}

char *text_encode(const void *bytes, size_t len)
{
    const unsigned char *b = bytes;
    char *s = malloc(4 * len + 3), *o = s;

    *o++ = '"';
    for (size_t i = 0; i < len; i++) {
        if (b[i] == '\r' || b[i] == '\n')
            o += sprintf(o, "\\%c", b[i] == '\r' ? 'r' : 'n');
        else if (b[i] == '"' || b[i] == '\\' || !isprint(b[i]))
            o += sprintf(o, "\\x%02x", b[i]);
        else
            *o++ = (char)b[i];
    }
    *o++ = '"';
    *o = '\0';
    return s;
}

/* "@101+10": the bytes that a packet with generated payload has there. */
static char *pattern_text(const char *s, const char **end)
{
    char *e, *text;
    uint32_t seq = (uint32_t)strtoul(s + 1, &e, 10), len;
    uint8_t *b;

    len = *e == '+' ? (uint32_t)strtoul(e + 1, &e, 10) : 0;
    b = malloc(len + 1);
    for (uint32_t i = 0; i < len; i++)
        b[i] = frame_byte(seq + i);
    text = text_encode(b, len);
    free(b);
    *end = e;
    return text;
}

char *text_expected(const char *s, size_t len)
{
    char *out = NULL, bytes[1024];
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    const char *end = s + len;

    while (s < end) {
        char *t = NULL;

        if (*s == '"') {
            const char *q = behind_group(s);
            size_t n = text_decode(s, bytes, sizeof(bytes));

            t = text_encode(bytes, n);
            s = q;
        } else if (*s == '@' && isdigit((unsigned char)s[1])) {
            t = pattern_text(s, &s);
        }
        if (t != NULL)
            fputs(t, f);
        else
            fputc(*s++, f);
        free(t);
    }
    fclose(f);
    return out;
}

bool text_number(const char *s, int64_t *v)
{
    char *end;

    *v = strtoll(s, &end, 0);
    return end != s && *end == '\0';
}

const char *comment_start(const char *line)
{
    for (const char *p = line; *p != '\0'; p++) {
        if (*p == '"')
            p = behind_group(p) - 1;
        else if ((p[0] == '/' && p[1] == '/') || (p[0] == '=' && p[1] == '>'))
            return p;
    }
    return line + strlen(line);
}

void tokens_add(struct tokens *t, int line, const char *where, const char *what)
{
    struct token *k;

    if (t->n == t->cap) {
        t->cap = t->cap > 0 ? 2 * t->cap : 64;
        t->v = realloc(t->v, (size_t)t->cap * sizeof(*t->v));
    }
    k = &t->v[t->n++];
    k->line = line;
    snprintf(k->where, sizeof(k->where), "%s", where);
    k->what = strdup(what);
}

void tokens_clear(struct tokens *t)
{
    for (int i = 0; i < t->n; i++)
        free(t->v[i].what);
    t->n = 0;
}
