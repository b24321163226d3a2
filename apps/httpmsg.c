// SPDX-License-Identifier: BSD-2-Clause
/* httpmsg.c: start line and the three header fields that matter: Host and the two of framing. */
#include "httpmsg.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define METHOD_MAX 32

/* RFC 9110 5.6.2 */
static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A line without its end, and without blanks at either side. */
static struct http_text trimmed(const char *s, size_t n)
{
    while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r' || is_blank(s[n - 1])))
        n--;
    while (n > 0 && is_blank(*s)) {
        s++;
        n--;
    }
    return (struct http_text){s, n};
}

/* Take the first word off a text. */
static struct http_text word(struct http_text *t)
{
    struct http_text w = {t->p, 0};

    while (w.n < t->n && !is_blank(w.p[w.n]))
        w.n++;
    *t = trimmed(t->p + w.n, t->n - w.n);
    return w;
}

/* "HTTP/1.1" */
static bool is_version(struct http_text t)
{
    return t.n == 8 && memcmp(t.p, "HTTP/1.", 7) == 0 && isdigit((unsigned char)t.p[7]);
}

static bool is_method(struct http_text t, bool plain)
{
    if (t.n == 0 || t.n > METHOD_MAX)
        return false;
    for (size_t i = 0; i < t.n; i++)
        if (!is_token_char(t.p[i]) || (plain && !isupper((unsigned char)t.p[i])))
            return false;
    return true;
}

static int status_of(struct http_text t)
{
    if (t.n != 3 || t.p[0] < '1')
        return 0;
    for (int i = 0; i < 3; i++)
        if (!isdigit((unsigned char)t.p[i]))
            return 0;
    return (t.p[0] - '0') * 100 + (t.p[1] - '0') * 10 + (t.p[2] - '0');
}

bool http_start_line(bool request, const char *line, size_t n, bool plain)
{
    struct http_text t = trimmed(line, n), first, second;

    if (n == 0 || is_blank(*line))
        return false;
    first = word(&t);
    second = word(&t);
    if (request)
        return is_method(first, plain) && second.n > 0 && is_version(t);
    return is_version(first) && status_of(second) > 0;
}

bool http_may_start(bool request, const char *line, size_t n)
{
    size_t i = 0;

    if (!request)
        return memcmp(line, "HTTP/1.", n < 7 ? n : 7) == 0;
    while (i < n && is_token_char(line[i]))
        i++;
    return i <= METHOD_MAX && (i == n || (i > 0 && is_blank(line[i])));
}

static bool named(const char *line, size_t n, const char *name, struct http_text *value)
{
    size_t len = strlen(name);

    if (n <= len || line[len] != ':' || strncasecmp(line, name, len) != 0)
        return false;
    *value = trimmed(line + len + 1, n - len - 1);
    return true;
}

/* RFC 9112 6.3: a number; the same number several times, with commas, is tolerated. */
static void take_length(struct http_msg *m, struct http_text v)
{
    uint64_t n = 0;
    size_t i;

    for (i = 0; i < v.n && isdigit((unsigned char)v.p[i]); i++) {
        if (n > (INT64_MAX - 9) / 10)
            return;
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    }
    if (i == 0 || (i < v.n && v.p[i] != ',' && !is_blank(v.p[i])))
        return;
    m->has_length = true;
    m->length = n;
}

/* Chunked is always the last of the codings (RFC 9112 6.1). */
static void take_coding(struct http_msg *m, struct http_text v)
{
    if (v.n >= 7 && strncasecmp(v.p + v.n - 7, "chunked", 7) == 0)
        m->chunked = true;
}

static void take_field(struct http_msg *m, const char *line, size_t n)
{
    struct http_text v;

    if (named(line, n, "content-length", &v))
        take_length(m, v);
    else if (named(line, n, "transfer-encoding", &v))
        take_coding(m, v);
    else if (m->request && m->host.n == 0 && named(line, n, "host", &v))
        m->host = v;
}

static void take_start_line(struct http_msg *m, const char *line, size_t n)
{
    struct http_text t = trimmed(line, n), first = word(&t), second = word(&t);

    if (m->request) {
        m->method = first;
        m->target = second;
        m->version = (struct http_text){t.p + 5, 3};
    } else {
        m->version = (struct http_text){first.p + 5, 3};
        m->status = status_of(second);
        m->reason = t;
    }
}

struct http_msg *http_head(bool request, const char *head, size_t n)
{
    struct http_msg *m = calloc(1, sizeof(*m) + n);
    const char *line, *end, *next;

    if (!m)
        return NULL;
    memcpy(m->head, head, n);
    m->request = request;
    m->header_bytes = n;
    for (line = m->head, end = line + n; line < end; line = next) {
        const char *nl = memchr(line, '\n', (size_t)(end - line));

        next = nl ? nl + 1 : end;
        if (line == m->head)
            take_start_line(m, line, (size_t)(next - line));
        else
            take_field(m, line, (size_t)(next - line));
    }
    return m;
}
