// SPDX-License-Identifier: BSD-2-Clause
/* headedit.c: see headedit.h. */
#include "headedit.h"

#include <string.h>

/* ---- requests ---- */

/* te_becomes: RFC 9110 10.1.4: what a client says of trailers stays, an empty list allows chunks alone. */
static const char *te_becomes(const char *v, size_t n)
{
    const char *word, *with = "";
    size_t at = 0, len;

    while (next_of(v, n, &at, &word, &len))
        if (word_is(word, len, "trailers"))
            with = "trailers";
    return with;
}

void head_ask_plainly(struct rewrite_out *o, const struct head *h, size_t at)
{
    const char *from = h->p;

    while (at < h->n) {
        const char *v, *line = h->p + at, *with = NULL;
        size_t len = line_of(line, h->n - at), n;

        if (value_of(line, len, "Accept-Encoding", &v, &n))
            with = "identity";
        else if (value_of(line, len, "TE", &v, &n))
            with = te_becomes(v, n);
        if (with) {
            rewrite_put(o, from, (size_t)(v - from));
            rewrite_put(o, with, strlen(with));
            from = v + n;
        }
        at += len;
    }
    rewrite_put(o, from, (size_t)(h->p + h->n - from));
}

/* ---- responses ---- */

/* What becomes of a header line: what holds for the body's bytes as they were cannot stay. */
enum fate {
    STAYS,
    LENGTH, /* it says how long the body is */
    WRONG,  /* a digest, or an offer of ranges */
    STRONG, /* an ETag that promises the same bytes */
};

static enum fate fate_of(const char *line, size_t n)
{
    static const char *const wrong[] = {"Content-MD5", "Digest", "Content-Digest", "Repr-Digest",
                                        "Accept-Ranges"};
    const char *v;
    size_t len;

    if (value_of(line, n, "Content-Length", &v, &len))
        return LENGTH;
    if (value_of(line, n, "ETag", &v, &len))
        return len && *v == '"' ? STRONG : STAYS;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (value_of(line, n, wrong[i], &v, &len))
            return WRONG;
    return STAYS;
}

/* weaken: RFC 9110 8.8.1: who changes what a strong validator stands for makes it a weak one. */
static void weaken(struct rewrite_out *o, const char *line, size_t n)
{
    const char *v = memchr(line, '"', n);

    rewrite_put(o, line, (size_t)(v - line));
    rewrite_put(o, "W/", 2);
    rewrite_put(o, v, (size_t)(line + n - v));
}

/* mask: where no length may change: a name that means nothing takes the place of the line's own. */
static void mask(struct rewrite_out *o, const char *line, size_t n, enum fate fate)
{
    size_t k = fate == WRONG || fate == STRONG ? 2 : 0;

    rewrite_put(o, "X-", k);
    rewrite_put(o, line + k, n - k);
}

/* put_line: a header line of a response that is longer or shorter now. */
static void put_line(struct rewrite_out *o, const char *line, size_t n, enum fate fate,
                     enum head_framing how)
{
    if (fate == STRONG)
        weaken(o, line, n);
    else if (fate == STAYS || (fate == LENGTH && how == HEAD_AS_IT_WAS))
        rewrite_put(o, line, n);
    else if (fate == LENGTH && how == HEAD_IN_CHUNKS)
        rewrite_put(o, "Transfer-Encoding: chunked\r\n", 28);
}

void head_edit(struct rewrite_out *o, const struct head *h, bool same, enum head_framing how)
{
    size_t len = line_of(h->p, h->n);
    enum fate fate = STAYS;

    rewrite_put(o, h->p, len);
    for (size_t at = len; at < h->n; at += len) {
        const char *line = h->p + at;
        const bool goes_on = *line == ' ' || *line == '\t'; /* with the line before */

        len = line_of(line, h->n - at);
        if (!goes_on)
            fate = fate_of(line, len);
        if (goes_on && (same || fate != WRONG))
            rewrite_put(o, line, len);
        else if (same)
            mask(o, line, len, fate);
        else
            put_line(o, line, len, fate, how);
        if (fate == LENGTH && how == HEAD_IN_CHUNKS)
            how = HEAD_NO_LENGTH; /* of several lines */
    }
}
