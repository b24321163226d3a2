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

static void length_line(struct head *h, const char *line, size_t n, const char *v, size_t len)
{
    bool again = h->has_length;

    h->length = 0;
    for (size_t i = 0; i < len; i++) {
        if (v[i] < '0' || v[i] > '9' || h->length > UINT64_MAX / 16)
            h->twice = true; /* nobody knows */
        h->length = h->length * 10 + (uint64_t)(v[i] - '0');
    }
    h->twice |= len == 0 || again;
    h->has_length = true;
    h->at[0] = line;
    h->at[1] = line + n;
}

static void read_line(struct head *h, const char *line, size_t n, bool response)
{
    const char *v;
    size_t len;

    if (value_of(line, n, "Transfer-Encoding", &v, &len))
        transfer_line(h, v, len);
    else if (value_of(line, n, "Content-Length", &v, &len))
        length_line(h, line, n, v, len);
    else if (response && value_of(line, n, "Content-Encoding", &v, &len))
        encoding_line(h, v, len);
    else if (response && value_of(line, n, "Content-Range", &v, &len))
        h->partial = true;
}

struct head read_head(const char *p, size_t n, bool response)
{
    struct head h = {.p = p, .n = n};
    size_t at = 0;

    while (at < n) {
        const char *nl = memchr(p + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - (p + at)) + 1 : n - at;

        if (at)
            read_line(&h, p + at, len, response);
        at += len;
    }
    return h;
}
