// SPDX-License-Identifier: BSD-2-Clause
/* rewritehead.c: see rewritehead.h. */
#include "rewritehead.h"

#include <string.h>
#include <strings.h>

size_t head_end(const char *p, size_t n)
{
    const char *nl = p;

    while ((nl = memchr(nl, '\n', n - (size_t)(nl - p))) != NULL) {
        size_t i = (size_t)(++nl - p);

        if (i < n && p[i] == '\n')
            return i + 1;
        if (i + 1 < n && p[i] == '\r' && p[i + 1] == '\n')
            return i + 2;
    }
    return 0;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

bool value_of(const char *line, size_t n, const char *name, const char **v, size_t *len)
{
    size_t k = strlen(name);

    if (n <= k || line[k] != ':' || strncasecmp(line, name, k) != 0)
        return false;
    for (k++; k < n && blank(line[k]); k++)
        ;
    while (n > k && (line[n - 1] == '\r' || line[n - 1] == '\n' || blank(line[n - 1])))
        n--;
    *v = line + k;
    *len = n - k;
    return true;
}

bool next_of(const char *v, size_t n, size_t *at, const char **word, size_t *len)
{
    while (*at < n && (blank(v[*at]) || v[*at] == ','))
        ++*at;
    if (*at == n)
        return false;
    *word = v + *at;
    while (*at < n && v[*at] != ',')
        ++*at;
    *len = (size_t)(v + *at - *word);
    while (blank((*word)[*len - 1]))
        --*len;
    return true;
}

bool word_is(const char *word, size_t len, const char *what)
{
    return len == strlen(what) && strncasecmp(word, what, len) == 0;
}

/* transfer_line: RFC 9112 7: of several lines one list. A body is plain, in chunks, if nothing else is there. */
static void transfer_line(struct head *h, const char *v, size_t n)
{
    const char *word;
    size_t at = 0, len;

    while (next_of(v, n, &at, &word, &len)) {
        if (word_is(word, len, "identity"))
            continue;
        h->coded |= h->chunked || !word_is(word, len, "chunked");
        h->chunked = word_is(word, len, "chunked");
    }
}

static void encoding_line(struct head *h, const char *v, size_t n)
{
    const char *word;
    size_t at = 0, len;

    while (next_of(v, n, &at, &word, &len))
        h->encoded |= !word_is(word, len, "identity");
}

static void connection_line(struct head *h, bool *keeps, const char *v, size_t n)
{
    const char *word;
    size_t at = 0, len;

    while (next_of(v, n, &at, &word, &len)) {
        h->closes |= word_is(word, len, "close");
        *keeps |= word_is(word, len, "keep-alive");
    }
}

/* length_line: of several lines all must say the same. */
static void length_line(struct head *h, const char *v, size_t len)
{
    uint64_t length = 0;

    for (size_t i = 0; i < len; i++) {
        if (v[i] < '0' || v[i] > '9' || length > UINT64_MAX / 16)
            h->odd = true; /* nobody knows */
        length = length * 10 + (uint64_t)(v[i] - '0');
    }
    h->odd |= len == 0 || (h->has_length && length != h->length);
    h->length = length;
    h->has_length = true;
}

/* What is being read: of the line before it is known if it says how the body is framed. */
struct reading {
    bool response, framing, transfer, keeps;
};

static bool frames(const char *line, size_t n, const char *name)
{
    size_t k = strlen(name);

    return n > k && strncasecmp(line, name, k) == 0 && (line[k] == ':' || blank(line[k]));
}

/* look_for_doubt: what some read as a line that frames the body and others do not. */
static void look_for_doubt(struct head *h, struct reading *r, const char *line, size_t n)
{
    size_t text = n - (n > 0 && line[n - 1] == '\n');
    const char *v;
    size_t len;

    text -= text > 0 && line[text - 1] == '\r';
    h->odd |= memchr(line, '\r', text) != NULL;
    if (text && blank(line[0])) { /* it goes on with the line before */
        h->odd |= r->framing;
        return;
    }
    r->framing = frames(line, n, "Content-Length") || frames(line, n, "Transfer-Encoding");
    h->odd |= r->framing && !value_of(line, n, "Content-Length", &v, &len) &&
              !value_of(line, n, "Transfer-Encoding", &v, &len);
}

static void read_line(struct head *h, struct reading *r, const char *line, size_t n)
{
    const char *v;
    size_t len;

    look_for_doubt(h, r, line, n);
    if (value_of(line, n, "Transfer-Encoding", &v, &len)) {
        transfer_line(h, v, len);
        r->transfer = true;
    } else if (value_of(line, n, "Content-Length", &v, &len)) {
        length_line(h, v, len);
    } else if (!r->response) {
        return;
    } else if (value_of(line, n, "Connection", &v, &len)) {
        connection_line(h, &r->keeps, v, len);
    } else if (value_of(line, n, "Content-Encoding", &v, &len)) {
        encoding_line(h, v, len);
    } else if (value_of(line, n, "Content-Range", &v, &len)) {
        h->partial = true;
    }
}

size_t line_of(const char *p, size_t n)
{
    const char *nl = memchr(p, '\n', n);

    return nl ? (size_t)(nl - p) + 1 : n;
}

struct head read_head(const char *p, size_t n, bool response)
{
    struct reading r = {.response = response, .framing = true};
    struct head h = {.p = p, .n = n};
    size_t len = line_of(p, n);

    h.odd = len > 1 && memchr(p, '\r', len - 2) != NULL;
    h.old = response && n > 8 && p[7] == '0' && (p[8] < '0' || p[8] > '9');
    for (size_t at = len; at < n; at += len) {
        len = line_of(p + at, n - at);
        read_line(&h, &r, p + at, len);
    }
    h.closes |= h.old && !r.keeps;
    /* with "identity", which is none of RFC 9112's, the length counts for some and not for others */
    h.odd |= r.transfer && (h.old || (h.has_length && !h.chunked && !h.coded));
    return h;
}
