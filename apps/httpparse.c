// SPDX-License-Identifier: BSD-2-Clause
/*
 * httpparse.c: a state machine for each direction (RFC 9112 6 and 7). Each state takes what it can
 * of a piece; limits are counted in bytes of the stream, so that they too fall on the same byte
 * however it was cut.
 */
#include "httpparse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX  65536   /* a head; bytes held behind CONNECT */
#define LINE_MAX_ 8192    /* a line while searching, or before a chunk */
#define WAIT_MAX  1048576 /* bytes held behind a response; no request is that late */

enum { ASKED_OTHER, ASKED_HEAD, ASKED_CONNECT, ASKED_UNKNOWN };

static void give_up(struct http_conn *c)
{
    c->failed = true;
    c->dir[0].state = c->dir[1].state = HTTP_OFF;
}

static int number(const struct http_dir *d)
{
    return d->request ? HTTP_REQUESTS : HTTP_RESPONSES;
}

/* ---- the buffer ---- */

static void empty(struct http_dir *d)
{
    d->len = d->line = 0;
}

/* Add n bytes, of which the first lies at d->off. */
static void keep(struct http_conn *c, struct http_dir *d, const char *p, size_t n)
{
    if (d->len == 0) {
        d->begun_off = d->off;
        d->begun_ns = c->when(c->arg, number(d), d->off);
    }
    if (d->len + n > d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 512;
        char *buf;

        while (cap < d->len + n)
            cap *= 2;
        buf = realloc(d->buf, cap);
        if (!buf) {
            give_up(c);
            return;
        }
        d->buf = buf;
        d->cap = cap;
    }
    memcpy(d->buf + d->len, p, n);
    d->len += n;
}

/*
 * Keep bytes up to the end of the line, and no more than `max` in all.
 * => how many were taken; *ended: the line is whole.
 */
static size_t keep_line(struct http_conn *c, struct http_dir *d, const char *p, size_t n,
                        size_t max, bool *ended)
{
    const char *nl;

    if (n > max - d->len)
        n = max - d->len;
    nl = memchr(p, '\n', n);
    if (nl)
        n = (size_t)(nl - p) + 1;
    *ended = nl != NULL;
    keep(c, d, p, n);
    return n;
}

static bool is_empty_line(const char *s, size_t n)
{
    return n == 1 || (n == 2 && s[0] == '\r');
}

/* ---- requests that wait for their responses ---- */

static void push_asked(struct http_conn *c, uint8_t kind)
{
    if (c->requests_lost)
        return;
    if (c->nasked == c->cap_asked) {
        size_t cap = c->cap_asked ? 2 * c->cap_asked : 16;
        uint8_t *more = realloc(c->asked, cap);

        if (!more) {
            give_up(c);
            return;
        }
        c->asked = more;
        c->cap_asked = cap;
    }
    c->asked[c->nasked++] = kind;
}

static bool is_word(struct http_text t, const char *word)
{
    return t.n == strlen(word) && memcmp(t.p, word, t.n) == 0;
}

static uint8_t kind_of(const struct http_msg *m)
{
    if (is_word(m->method, "HEAD"))
        return ASKED_HEAD;
    return is_word(m->method, "CONNECT") ? ASKED_CONNECT : ASKED_OTHER;
}

/* Is it settled what the next response answers? */
static bool settled(const struct http_conn *c)
{
    return c->blind || c->nasked > 0 || c->dir[HTTP_REQUESTS].state == HTTP_OFF;
}

/* What it answers; that is taken off the list, but the mark of lost requests stays. */
static int answered(struct http_conn *c)
{
    int kind;

    if (c->blind || c->nasked == 0)
        return ASKED_UNKNOWN;
    kind = c->asked[0];
    if (kind != ASKED_UNKNOWN)
        memmove(c->asked, c->asked + 1, --c->nasked);
    return kind;
}

/* ---- messages ---- */

/* Out of step: look for the next message. Some may be missing on the way there. */
static void lose(struct http_conn *c, struct http_dir *d)
{
    empty(d);
    d->state = HTTP_SEARCH;
    d->lenient = true;
    d->skip = false;
    if (!d->request) {
        c->blind = true;
        return;
    }
    push_asked(c, ASKED_UNKNOWN);
    c->requests_lost = true;
}

/* The message at hand is over: the next may come. */
static void finish(struct http_conn *c, struct http_dir *d, bool complete)
{
    d->msg->complete = complete && d->msg->missing == 0;
    *c->last = d->msg;
    c->last = &d->msg->next;
    d->msg = NULL;
    d->state = HTTP_HEAD;
    empty(d);
}

static void to_body(struct http_conn *c, struct http_dir *d)
{
    const struct http_msg *m = d->msg;

    if (m->chunked)
        d->state = HTTP_CHUNK_SIZE;
    else if (m->has_length)
        d->state = HTTP_BODY;
    else if (!d->request)
        d->state = HTTP_UNTIL_CLOSE;
    d->left = m->has_length ? m->length : 0;
    if (d->state == HTTP_HEAD || (d->state == HTTP_BODY && d->left == 0))
        finish(c, d, true);
}

static void request_head(struct http_conn *c, struct http_dir *d)
{
    uint8_t kind = kind_of(d->msg);

    push_asked(c, kind);
    if (c->failed)
        return;
    if (kind != ASKED_CONNECT) {
        to_body(c, d);
        return;
    }
    finish(c, d, true);
    d->state = c->requests_lost ? HTTP_OFF : HTTP_HOLD;
}

/* Bytes held behind a message: the direction goes back to where they begin. => to be freed. */
static char *take_held(struct http_dir *d, size_t *n)
{
    char *held = d->buf;

    *n = d->len;
    d->off -= d->len;
    d->buf = NULL;
    d->cap = 0;
    empty(d);
    return held;
}

/* A CONNECT was refused: what follows it is HTTP after all. */
static void release(struct http_conn *c, struct http_dir *d)
{
    size_t n;
    char *held;

    if (d->state != HTTP_HOLD)
        return;
    held = take_held(d, &n);
    d->state = HTTP_HEAD;
    http_feed(c, HTTP_REQUESTS, held, n);
    free(held);
}

/* The head of a response, and it is settled what it answers. */
static void response_head(struct http_conn *c, struct http_dir *d, int asked)
{
    int status = d->msg->status;

    if (status == 101 || (asked == ASKED_CONNECT && status / 100 == 2)) {
        finish(c, d, true); /* from here on it is a tunnel */
        c->dir[0].state = c->dir[1].state = HTTP_OFF;
        return;
    }
    /* RFC 9112 6.3: these never have a body. */
    if (status < 200 || status == 204 || status == 304 || asked == ASKED_HEAD) {
        finish(c, d, true);
    } else {
        d->state = HTTP_HEAD;
        to_body(c, d);
    }
    if (asked == ASKED_CONNECT)
        release(c, &c->dir[HTTP_REQUESTS]);
}

/* A response that waited goes on, if that is settled now; perhaps the next one waits again. */
static void resume(struct http_conn *c)
{
    struct http_dir *d = &c->dir[HTTP_RESPONSES];
    size_t n;
    char *held;

    if (d->state != HTTP_WAIT || !settled(c))
        return;
    held = take_held(d, &n);
    response_head(c, d, answered(c));
    http_feed(c, HTTP_RESPONSES, held, n);
    free(held);
}

static void head_done(struct http_conn *c, struct http_dir *d)
{
    d->msg = http_head(d->request, d->buf, d->len);
    if (!d->msg) {
        give_up(c);
        return;
    }
    d->msg->off = d->begun_off;
    d->msg->ts_ns = d->begun_ns;
    d->lenient = true;
    empty(d);
    if (d->request)
        request_head(c, d);
    else if (d->msg->status < 200) /* more is to come for the same request */
        response_head(c, d, ASKED_UNKNOWN);
    else if (settled(c))
        response_head(c, d, answered(c));
    else
        d->state = HTTP_WAIT;
}

/* ---- states: each takes some of n > 0 bytes and says how many ---- */

/* The first line of a head is whole. */
static void first_line(struct http_conn *c, struct http_dir *d)
{
    if (is_empty_line(d->buf, d->len))
        empty(d); /* RFC 9112 2.2: before a request; harmless elsewhere */
    else if (http_start_line(d->request, d->buf, d->len, false))
        d->line = d->len;
    else if (d->lenient)
        lose(c, d);
    else
        d->state = HTTP_OFF;
}

static size_t step_head(struct http_conn *c, struct http_dir *d, const char *p, size_t n)
{
    bool ended;
    size_t took = keep_line(c, d, p, n, HEAD_MAX, &ended);

    if (c->failed)
        return took;
    if (!ended) {
        if (d->line == 0 && !d->lenient && !http_may_start(d->request, d->buf, d->len) &&
            d->buf[0] != '\r')
            d->state = HTTP_OFF;
        else if (d->len == HEAD_MAX) {
            lose(c, d);
            d->skip = true;
        }
    } else if (d->line == 0) {
        first_line(c, d);
    } else if (is_empty_line(d->buf + d->line, d->len - d->line)) {
        head_done(c, d);
    } else if (d->len == HEAD_MAX) {
        lose(c, d);
    } else {
        d->line = d->len;
    }
    return took;
}

static size_t step_search(struct http_conn *c, struct http_dir *d, const char *p, size_t n)
{
    bool ended;
    size_t took = keep_line(c, d, p, n, LINE_MAX_, &ended);

    if (c->failed)
        return took;
    if (!ended && d->len < LINE_MAX_)
        return took;
    if (ended && !d->skip && http_start_line(d->request, d->buf, d->len, true)) {
        d->state = HTTP_HEAD;
        d->line = d->len;
        return took;
    }
    d->skip = !ended;
    empty(d);
    return took;
}

/* Bytes of a body. */
static size_t step_bytes(struct http_conn *c, struct http_dir *d, size_t n)
{
    if (d->state != HTTP_UNTIL_CLOSE && n > d->left)
        n = d->left;
    d->msg->body_bytes += n;
    if (d->state == HTTP_UNTIL_CLOSE)
        return n;
    d->left -= n;
    if (d->left > 0)
        return n;
    if (d->state == HTTP_BODY)
        finish(c, d, true);
    else
        d->state = HTTP_CHUNK_END;
    return n;
}

/* RFC 9112 7.1: hexadecimal digits, perhaps extensions. => false: none. */
static bool chunk_size(const char *s, size_t n, uint64_t *size)
{
    size_t i;

    *size = 0;
    for (i = 0; i < n && isxdigit((unsigned char)s[i]); i++) {
        int c = tolower((unsigned char)s[i]);

        if (*size >> 58)
            return false;
        *size = *size << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return i > 0;
}

/* A line of the chunked coding is whole. => false: it makes no sense. */
static bool chunk_line(struct http_conn *c, struct http_dir *d)
{
    bool nothing = is_empty_line(d->buf, d->len);

    switch (d->state) {
    case HTTP_CHUNK_SIZE:
        if (!chunk_size(d->buf, d->len, &d->left))
            return false;
        d->state = d->left > 0 ? HTTP_CHUNK : HTTP_TRAILER;
        break;
    case HTTP_CHUNK_END:
        if (!nothing)
            return false;
        d->state = HTTP_CHUNK_SIZE;
        break;
    default:
        if (nothing)
            finish(c, d, true);
        break;
    }
    empty(d);
    return true;
}

static size_t step_chunk_line(struct http_conn *c, struct http_dir *d, const char *p, size_t n)
{
    bool ended;
    size_t took = keep_line(c, d, p, n, LINE_MAX_, &ended);

    if (c->failed)
        return took;
    if (ended ? !chunk_line(c, d) : d->len == LINE_MAX_) {
        finish(c, d, false);
        lose(c, d);
        d->skip = !ended;
    }
    return took;
}

static size_t step_wait(struct http_conn *c, struct http_dir *d, const char *p, size_t n)
{
    if (n > WAIT_MAX - d->len)
        n = WAIT_MAX - d->len;
    keep(c, d, p, n);
    return n;
}

static size_t step_hold(struct http_conn *c, struct http_dir *d, const char *p, size_t n)
{
    if (n > HEAD_MAX - d->len)
        n = HEAD_MAX - d->len;
    keep(c, d, p, n);
    if (d->len == HEAD_MAX)
        d->state = HTTP_OFF;
    return n;
}

static size_t step(struct http_conn *c, struct http_dir *d, const char *p, size_t n)
{
    switch (d->state) {
    case HTTP_HEAD:
        return step_head(c, d, p, n);
    case HTTP_SEARCH:
        return step_search(c, d, p, n);
    case HTTP_BODY:
    case HTTP_CHUNK:
    case HTTP_UNTIL_CLOSE:
        return step_bytes(c, d, n);
    case HTTP_CHUNK_SIZE:
    case HTTP_CHUNK_END:
    case HTTP_TRAILER:
        return step_chunk_line(c, d, p, n);
    case HTTP_HOLD:
        return step_hold(c, d, p, n);
    case HTTP_WAIT:
        return step_wait(c, d, p, n);
    case HTTP_OFF:
    default:
        return n;
    }
}

/* ---- the outside ---- */

void http_init(struct http_conn *c, bool lenient,
               uint64_t (*when)(void *arg, int dir, uint64_t off), void *arg)
{
    memset(c, 0, sizeof(*c));
    c->dir[HTTP_REQUESTS].request = true;
    for (int i = 0; i < 2; i++) {
        c->dir[i].lenient = lenient;
        c->dir[i].state = lenient ? HTTP_SEARCH : HTTP_HEAD;
    }
    c->blind = lenient;
    c->last = &c->first;
    c->when = when;
    c->arg = arg;
}

/* A response cannot wait any longer. */
static void wait_no_more(struct http_conn *c)
{
    if (c->dir[HTTP_RESPONSES].state != HTTP_WAIT)
        return;
    c->blind = true;
    resume(c);
}

void http_feed(struct http_conn *c, int dir, const char *p, size_t n)
{
    struct http_dir *d = &c->dir[dir];

    while (n > 0) {
        size_t took = step(c, d, p, n);

        d->off += took;
        p += took;
        n -= took;
        if (d->state == HTTP_WAIT && d->len == WAIT_MAX)
            wait_no_more(c);
    }
    if (d->request)
        resume(c);
}

/* The gap lies in bytes that are counted. => false: it reaches beyond them. */
static bool gap_in_body(struct http_conn *c, struct http_dir *d, uint64_t n)
{
    if (d->state != HTTP_UNTIL_CLOSE && n > d->left) {
        d->msg->missing += d->left;
        return false;
    }
    d->msg->missing += n;
    d->left -= d->state == HTTP_UNTIL_CLOSE ? 0 : n;
    if (d->state == HTTP_BODY && d->left == 0)
        finish(c, d, true);
    else if (d->state == HTTP_CHUNK && d->left == 0)
        d->state = HTTP_CHUNK_END;
    return true;
}

static void gap(struct http_conn *c, struct http_dir *d, uint64_t n)
{
    if (d->state == HTTP_OFF)
        return;
    if (d->state == HTTP_HOLD) {
        d->state = HTTP_OFF;
        return;
    }
    if ((d->state == HTTP_BODY || d->state == HTTP_CHUNK || d->state == HTTP_UNTIL_CLOSE) &&
        gap_in_body(c, d, n))
        return;
    if (d->msg)
        finish(c, d, false);
    lose(c, d);
}

void http_gap(struct http_conn *c, int dir, uint64_t n)
{
    struct http_dir *d = &c->dir[dir];

    if (!d->request)
        wait_no_more(c);
    gap(c, d, n);
    d->off += n;
    if (d->request)
        resume(c);
}

void http_close(struct http_conn *c)
{
    wait_no_more(c);
    for (int i = 0; i < 2; i++) {
        struct http_dir *d = &c->dir[i];

        if (d->msg)
            finish(c, d, d->state == HTTP_UNTIL_CLOSE);
        d->state = HTTP_OFF;
    }
}

uint64_t http_needed(const struct http_conn *c, int dir)
{
    const struct http_dir *d = &c->dir[dir];

    return d->state == HTTP_WAIT || d->state == HTTP_HOLD ? d->off - d->len : d->off;
}

bool http_found(const struct http_conn *c, bool request)
{
    for (const struct http_msg *m = c->first; m; m = m->next)
        if (m->request == request)
            return true;
    return false;
}

struct http_msg *http_take(struct http_conn *c, bool request)
{
    for (struct http_msg **at = &c->first; *at; at = &(*at)->next) {
        struct http_msg *m = *at;

        if (m->request != request)
            continue;
        *at = m->next;
        if (c->last == &m->next)
            c->last = at;
        m->next = NULL;
        return m;
    }
    return NULL;
}

bool http_is_off(const struct http_conn *c)
{
    return c->dir[0].state == HTTP_OFF && c->dir[1].state == HTTP_OFF;
}

void http_free(struct http_conn *c)
{
    struct http_msg *m;

    while ((m = c->first)) {
        c->first = m->next;
        free(m);
    }
    for (int i = 0; i < 2; i++) {
        free(c->dir[i].msg);
        free(c->dir[i].buf);
    }
    free(c->asked);
    http_init(c, false, c->when, c->arg);
}
