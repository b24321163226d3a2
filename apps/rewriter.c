// SPDX-License-Identifier: BSD-2-Clause
/*
 * rewriter.c: see rewriter.h. A piece is walked through by states; each takes what it knows from the
 * front, puts what that becomes into the output, and says how much it took. A state that must see more
 * first takes nothing: then the rest is held.
 */
#include "rewriter.h"
#include "headedit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a request allows its response. */
enum { ASKED_NO_BODY = 1, ASKED_CHUNKS = 2, ASKED_TUNNEL = 4 };

/* A piece on its way through. */
struct piece {
    struct rewrite_conn *c;
    const struct rewrite_rule *rule;
    struct rewrite_counts *counts;
    struct rewrite_dir *d;
    bool response, end;
    const char *p;
    size_t n;
    struct rewrite_out *o;
    size_t chunk; /* where the size of our open chunk stands in the output, + 1; 0: none is open */
};

#define CHUNK_SIZE 10 /* "0000ffff\r\n" */

void rewrite_init(struct rewrite_conn *c, const struct rewrite_rule *rule)
{
    memset(c, 0, sizeof(*c));
    if (!rule->raw)
        return;
    for (int i = 0; i < 2; i++) {
        c->dir[i].state = REWRITE_CLOSE;
        c->dir[i].change = true;
    }
}

bool rewrite_is_off(const struct rewrite_conn *c)
{
    return c->dir[0].state == REWRITE_OFF && c->dir[1].state == REWRITE_OFF;
}

bool rewrite_owes(const struct rewrite_conn *c, int dir)
{
    return c->dir[dir].frames || c->dir[dir].ncarry || c->dir[dir].last;
}

/* off: nothing of this is HTTP that we understand. A message that is under way is brought to its end. */
static void off(struct rewrite_conn *c)
{
    c->off = true;
    for (int i = 0; i < 2; i++)
        if (c->dir[i].state == REWRITE_HEAD_)
            c->dir[i].state = REWRITE_OFF;
}

/* ---- output ---- */

void rewrite_put(struct rewrite_out *o, const char *p, size_t n)
{
    if (n == 0)
        return;
    if (n > o->cap - o->len) {
        size_t cap = (o->len + n) * 2 + 4096;
        char *buf = realloc(o->buf, cap);

        if (!buf) {
            o->failed = true;
            return;
        }
        o->buf = buf;
        o->cap = cap;
    }
    memcpy(o->buf + o->len, p, n);
    o->len += n;
}

/* take: n bytes of the piece are done with. */
static void take(struct piece *x, size_t n)
{
    x->p += n;
    x->n -= n;
}

static void pass(struct piece *x, size_t n)
{
    rewrite_put(x->o, x->p, n);
    take(x, n);
}

/* open_chunk, close_chunk: body bytes between them. Its size is written when it is known. */
static void open_chunk(struct piece *x)
{
    if (!x->d->frames || x->chunk)
        return;
    x->chunk = x->o->len + 1;
    rewrite_put(x->o, "00000000\r\n", CHUNK_SIZE);
}

static void close_chunk(struct piece *x)
{
    size_t n = x->chunk ? x->o->len - (x->chunk - 1) - CHUNK_SIZE : 0;
    char size[16];

    if (!x->chunk)
        return;
    if (n == 0) { /* of a size of 0 it would be the last */
        x->o->len = x->chunk - 1;
        x->chunk = 0;
        return;
    }
    if (!x->o->failed) {
        snprintf(size, sizeof(size), "%08x", (unsigned)n);
        memcpy(x->o->buf + x->chunk - 1, size, 8);
    }
    rewrite_put(x->o, "\r\n", 2);
    x->chunk = 0;
}

/* ---- bodies ---- */

/*
 * find: the first match. memchr is several times as fast as memmem; where the first byte is so frequent that it is
 * not, memmem takes over.
 */
static const char *find(const struct rewrite_rule *r, const char *p, size_t n)
{
    for (int i = 0; i < 8; i++) {
        const char *hit = n < r->nfind ? NULL : memchr(p, r->find[0], n - r->nfind + 1);

        if (hit == NULL ||
            (hit[r->nfind - 1] == r->find[r->nfind - 1] && memcmp(hit, r->find, r->nfind) == 0))
            return hit;
        n -= (size_t)(hit + 1 - p);
        p = hit + 1;
    }
    return memmem(p, n, r->find, r->nfind);
}

/* partial: how many bytes at the end may be the beginning of a match. */
static size_t partial(const struct rewrite_rule *r, const char *p, size_t n)
{
    size_t k = r->nfind - 1 < n ? r->nfind - 1 : n;

    while (k && (p[n - k] != r->find[0] || memcmp(p + n - k, r->find, k) != 0))
        k--;
    return k;
}

/* replace: in these bytes. => how many at the end are left, as the beginning of a match. */
static size_t replace(struct piece *x, const char *p, size_t n, bool last)
{
    const struct rewrite_rule *r = x->rule;
    const char *hit;
    size_t k;

    while ((hit = find(r, p, n)) != NULL) {
        rewrite_put(x->o, p, (size_t)(hit - p));
        rewrite_put(x->o, r->with, r->nwith);
        n -= (size_t)(hit - p) + r->nfind;
        p = hit + r->nfind;
        x->counts->replaced++;
        x->counts->responses += x->response && !x->d->hit;
        x->d->hit = true;
    }
    k = last ? 0 : partial(r, p, n);
    rewrite_put(x->o, p, n - k);
    return k;
}

/* carried: the same with what was kept here in front; what is left is kept again. */
static void carried(struct piece *x, const char *p, size_t n, bool last)
{
    struct rewrite_dir *d = x->d;
    size_t take_ = n < sizeof(d->carry) ? n : sizeof(d->carry), k;
    char seam[2 * REWRITE_TEXT];

    if (d->ncarry == 0) {
        k = replace(x, p, n, last);
        memcpy(d->carry, p + n - k, k);
        d->ncarry = (uint16_t)k;
        return;
    }
    /* a match that begins in what was kept ends within the first nfind - 1 bytes */
    take_ = take_ < x->rule->nfind - 1 ? take_ : x->rule->nfind - 1;
    memcpy(seam, d->carry, d->ncarry);
    memcpy(seam + d->ncarry, p, take_);
    k = replace(x, seam, d->ncarry + take_, last && take_ == n);
    if (k <= take_ && take_ < n) { /* what is left of the seam is in the piece */
        d->ncarry = 0;
        carried(x, p + take_ - k, n - take_ + k, last);
        return;
    }
    memcpy(d->carry, seam + d->ncarry + take_ - k, k);
    d->ncarry = (uint16_t)k;
    if (take_ < n)
        carried(x, p + take_, n - take_, last);
}

/*
 * body: n bytes of it; `last`: it ends with them. Where more is known to come the beginning of a match is
 * kept here: bytes that are held leave after 50 ms, and what was lost comes later. => false: the rest is
 * to be held.
 */
static bool body(struct piece *x, size_t n, bool last)
{
    struct rewrite_dir *d = x->d;
    size_t k = 0;

    if (!d->change) {
        pass(x, n);
    } else if (d->state != REWRITE_CLOSE) {
        open_chunk(x);
        carried(x, x->p, n, last);
        take(x, n);
    } else {
        k = replace(x, x->p, n, last);
        take(x, n - k);
    }
    if (d->state != REWRITE_CLOSE)
        d->left -= n - k;
    return k == 0;
}

static void message_ends(struct piece *x)
{
    x->d->state = x->d->last ? REWRITE_BEHIND : x->c->off ? REWRITE_OFF : REWRITE_HEAD_;
    x->d->change = x->d->frames = x->d->last = x->d->hit = false;
}

static bool known_body(struct piece *x)
{
    size_t n = x->n < x->d->left ? x->n : (size_t)x->d->left;

    if (!body(x, n, n == x->d->left))
        return false;
    if (x->d->left)
        return true;
    close_chunk(x);
    if (x->d->frames)
        rewrite_put(x->o, "0\r\n\r\n", 5);
    message_ends(x);
    return true;
}

/* ---- chunks that come ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* broken: not what its sender said it is. */
static void broken(struct piece *x)
{
    close_chunk(x);
    rewrite_put(x->o, x->d->carry, x->d->ncarry);
    x->d->ncarry = 0;
    x->d->frames = x->d->change = false;
    x->d->state = REWRITE_OFF;
    off(x->c);
}

/* last_chunk: what was kept comes first, then our last chunk; trailers pass. */
static void last_chunk(struct piece *x)
{
    if (x->d->frames) {
        open_chunk(x);
        carried(x, "", 0, true);
        close_chunk(x);
        rewrite_put(x->o, "0\r\n", 3);
    }
    x->d->state = REWRITE_TRAILER;
    x->d->line = 0;
}

/* chunk_size: a line; its bytes go if we write our own. */
static void chunk_size(struct piece *x)
{
    struct rewrite_dir *d = x->d;
    char c = *x->p;
    int v = hex(c);

    if (v >= 0 && !d->digits && d->left >> 56) {
        broken(x);
        return;
    }
    if (d->frames)
        take(x, 1);
    else
        pass(x, 1);
    if (v >= 0 && !d->digits) {
        d->left = d->left << 4 | (uint64_t)v;
        d->started = true;
        return;
    }
    d->digits = true; /* an extension, or the line's end */
    if (c != '\n')
        return;
    if (!d->started) {
        broken(x);
        return;
    }
    d->started = d->digits = false;
    d->state = REWRITE_CHUNK;
    if (d->left == 0)
        last_chunk(x);
}

static void chunk_end(struct piece *x)
{
    char c = *x->p;

    if (x->d->frames)
        take(x, 1);
    else
        pass(x, 1);
    if (c == '\n')
        x->d->state = REWRITE_CHUNK_SIZE;
    else if (c != '\r')
        broken(x);
}

/* chunk: where chunks stay what they are a match ends with its own. */
static bool chunk(struct piece *x)
{
    size_t n = x->n < x->d->left ? x->n : (size_t)x->d->left;

    if (!body(x, n, !x->d->frames && n == x->d->left))
        return false;
    if (x->d->left == 0)
        x->d->state = REWRITE_CHUNK_END;
    return true;
}

/* trailer: lines up to an empty one. */
static void trailer(struct piece *x)
{
    char c = *x->p;

    pass(x, 1);
    if (c == '\n') {
        if (x->d->line == 0)
            message_ends(x);
        x->d->line = 0;
    } else if (c != '\r') {
        x->d->line = 1;
    }
}

/* ---- heads ---- */

/* how_it_ends: the state behind the head, of a message that has a body. */
static void how_it_ends(struct rewrite_dir *d, const struct head *h, bool response)
{
    d->left = 0;
    d->started = d->digits = false;
    if (h->chunked) {
        d->state = REWRITE_CHUNK_SIZE;
    } else if (h->has_length && !h->coded) {
        d->left = h->length;
        d->state = h->length ? REWRITE_BODY : REWRITE_HEAD_;
    } else {
        d->state = response ? REWRITE_CLOSE : REWRITE_HEAD_;
    }
}

/* in_doubt: its ends may not agree where this message ends, nor does anybody here know (RFC 9112 6.3). */
static void in_doubt(struct piece *x, const struct head *h)
{
    rewrite_put(x->o, h->p, h->n);
    x->counts->unframed++;
    x->d->state = REWRITE_OFF;
    off(x->c);
}

static void request(struct piece *x, const struct head *h)
{
    struct rewrite_conn *c = x->c;
    const char *nl = memchr(h->p, '\n', h->n);
    size_t first = (size_t)(nl - h->p), at = first + 1;
    uint8_t kind = 0;

    if (h->n > 5 && memcmp(h->p, "HEAD ", 5) == 0)
        kind |= ASKED_NO_BODY;
    if (h->n > 8 && memcmp(h->p, "CONNECT ", 8) == 0)
        kind |= ASKED_TUNNEL;
    first -= first && h->p[first - 1] == '\r';
    if (first >= 8 && memcmp(h->p + first - 8, "HTTP/1.1", 8) == 0)
        kind |= ASKED_CHUNKS;
    if (c->nasked == REWRITE_ASKED) {
        rewrite_put(x->o, h->p, h->n);
        off(c);
        return;
    }
    if (h->odd) {
        in_doubt(x, h);
        return;
    }
    c->asked[(c->first + c->nasked++) % REWRITE_ASKED] = kind;
    head_ask_plainly(x->o, h, at);
    how_it_ends(x->d, h, false);
    if (h->coded && !h->chunked)
        off(c); /* nobody knows where it ends */
}

/* may_change: is this response one whose body can be changed? */
static bool may_change(struct piece *x, const struct head *h, int status)
{
    struct rewrite_counts *k = x->counts;

    bool encoded = h->encoded || h->coded;

    if (encoded || status == 206 || h->partial) {
        k->encoded += encoded;
        k->partial += !encoded;
        return false;
    }
    return true;
}

/* other_length: the response will be longer or shorter: how is that to be said? => false: it cannot. */
static bool other_length(struct piece *x, const struct head *h, uint8_t kind,
                         enum head_framing *how)
{
    *how = HEAD_AS_IT_WAS;
    if (h->chunked || !h->has_length) {
        x->d->frames = h->chunked;
        *how = h->has_length ? HEAD_NO_LENGTH : HEAD_AS_IT_WAS; /* RFC 9112 6.3 */
        return true;
    }
    if ((kind & ASKED_CHUNKS) &&
        !h->old) { /* RFC 9112 6.1: chunks are for those who know HTTP/1.1 */
        *how = HEAD_IN_CHUNKS;
        x->d->frames = true;
        return true;
    }
    if (h->closes) {
        *how = HEAD_NO_LENGTH;
        x->d->last = true;
        return true;
    }
    x->counts->unframed++;
    return false;
}

static void response(struct piece *x, const struct head *h)
{
    struct rewrite_conn *c = x->c;
    int status = h->n > 12 ? atoi(h->p + 9) : 0;
    uint8_t kind = c->nasked ? c->asked[c->first] : 0;
    enum head_framing how = HEAD_AS_IT_WAS;

    x->d->change = x->d->frames = x->d->last = false;
    if (status >= 100 && status < 200 && status != 101) {
        rewrite_put(x->o, h->p, h->n);
        return; /* the answer is still to come */
    }
    if (c->nasked == 0 || status == 101 || ((kind & ASKED_TUNNEL) && status / 100 == 2)) {
        rewrite_put(x->o, h->p, h->n);
        off(c);
        return;
    }
    c->first = (uint8_t)((c->first + 1) % REWRITE_ASKED);
    c->nasked--;
    if ((kind & ASKED_NO_BODY) || status == 204 || status == 304) {
        rewrite_put(x->o, h->p, h->n);
        return;
    }
    if (h->odd) {
        in_doubt(x, h);
        return;
    }
    how_it_ends(x->d, h, true);
    if (x->d->state != REWRITE_HEAD_ && may_change(x, h, status))
        x->d->change = x->rule->nfind == x->rule->nwith || other_length(x, h, kind, &how);
    if (x->d->change)
        head_edit(x->o, h, x->rule->nfind == x->rule->nwith, how);
    else
        rewrite_put(x->o, h->p, h->n);
}

/* looks_so: can a message of this kind begin so? */
static bool looks_so(const char *p, size_t n, bool is_response)
{
    static const char version[] = "HTTP/1.";
    size_t k = n < 7 ? n : 7;

    if (is_response)
        return memcmp(p, version, k) == 0;
    for (size_t i = 0; i < n && i < 20; i++) {
        if (p[i] == ' ')
            return i > 2;
        if (p[i] < 'A' || p[i] > 'Z')
            return false;
    }
    return n < 20;
}

/* so_far: what has come of a head, with what has left of it in front. => its length; 0: no memory. */
static size_t so_far(struct piece *x, const char **p)
{
    struct rewrite_dir *d = x->d;
    size_t n = d->gone + x->n;

    *p = x->p;
    if (d->gone == 0)
        return n;
    *p = realloc(d->head, n);
    if (*p == NULL)
        return 0;
    d->head = (char *)(uintptr_t)*p;
    memcpy(d->head + d->gone, x->p, x->n);
    return n;
}

/* forget: nothing of a head is remembered. */
static void forget(struct rewrite_dir *d)
{
    free(d->head);
    d->head = NULL;
    d->gone = 0;
}

/* remember: this part of a head will be held, and may leave. Without memory for it so be it. */
static void remember(struct piece *x)
{
    struct rewrite_dir *d = x->d;

    if (d->gone)
        return; /* so_far has done it */
    free(d->head);
    d->head = malloc(x->n);
    if (d->head)
        memcpy(d->head, x->p, x->n);
}

/*
 * fit: the beginning of a head has left, and this is what the head has become, from `was` on in the output. What
 * has left stays out of it; where that was to be changed the message passes as it is.
 */
static void fit(struct piece *x, const struct head *h, size_t was)
{
    struct rewrite_out *o = x->o;
    size_t gone = x->d->gone, n = o->len - was;

    if (o->failed || gone == 0)
        return;
    if (n >= gone && memcmp(o->buf + was, h->p, gone) == 0) {
        memmove(o->buf + was, o->buf + was + gone, n - gone);
        o->len -= gone;
        return;
    }
    x->counts->late++;
    x->d->change = x->d->frames = x->d->last = false;
    o->len = was;
    rewrite_put(o, h->p + gone, h->n - gone);
}

/* whole_head: its n bytes at p, of which some may have left. */
static void whole_head(struct piece *x, const char *p, size_t n)
{
    struct head h = read_head(p, n, x->response);
    size_t was = x->o->len;

    if (x->response)
        response(x, &h);
    else
        request(x, &h);
    fit(x, &h, was);
    take(x, n - x->d->gone);
    forget(x->d);
}

/* head: => false: it has not come whole. */
static bool head(struct piece *x)
{
    const char *p;
    size_t all = so_far(x, &p), n = all ? head_end(p, all) : 0;

    if (all && !looks_so(p, all, x->response)) {
        off(x->c);
        return true;
    }
    if (n == 0 && (all == 0 || all >= REWRITE_HEAD || x->end)) {
        x->counts->late++;
        off(x->c);
        return true;
    }
    if (n == 0) {
        remember(x);
        return false;
    }
    whole_head(x, p, n);
    return true;
}

/* ---- a piece ---- */

/* step: => false: the rest is to be held. */
static bool step(struct piece *x)
{
    switch (x->d->state) {
    case REWRITE_HEAD_:
        return head(x);
    case REWRITE_BODY:
        return known_body(x);
    case REWRITE_CLOSE:
        return body(x, x->n, x->end);
    case REWRITE_CHUNK_SIZE:
        chunk_size(x);
        return true;
    case REWRITE_CHUNK:
        return chunk(x);
    case REWRITE_CHUNK_END:
        chunk_end(x);
        return true;
    case REWRITE_TRAILER:
        trailer(x);
        return true;
    case REWRITE_BEHIND:
        take(x, x->n);
        return true;
    case REWRITE_OFF:
        break;
    }
    pass(x, x->n);
    return true;
}

void rewrite_feed(struct rewrite_conn *c, const struct rewrite_rule *rule,
                  struct rewrite_counts *counts, int dir, const char *p, size_t n, bool end,
                  struct rewrite_out *o)
{
    struct piece x = {.c = c,
                      .rule = rule,
                      .counts = counts,
                      .d = &c->dir[dir],
                      .response = dir == REWRITE_RESPONSES,
                      .end = end,
                      .p = p,
                      .n = n,
                      .o = o};

    o->len = 0;
    o->failed = false;
    while (x.n && step(&x))
        ;
    if (end && x.d->ncarry) { /* it ends too soon */
        open_chunk(&x);
        rewrite_put(o, x.d->carry, x.d->ncarry);
        x.d->ncarry = 0;
    }
    close_chunk(&x);
    o->failed |= end && x.d->last; /* its length would have said that something is missing */
    o->hold = x.n;
}

bool rewrite_save(const struct rewrite_conn *c, int dir, size_t held, struct rewrite_conn *saved)
{
    const struct rewrite_dir *d = &c->dir[dir];

    *saved = *c;
    if (d->head == NULL || d->gone + held == 0) {
        saved->dir[dir].head = NULL;
        return d->gone == 0;
    }
    saved->dir[dir].head = malloc(d->gone + held);
    if (saved->dir[dir].head == NULL)
        return false;
    memcpy(saved->dir[dir].head, d->head, d->gone + held);
    return true;
}

void rewrite_back(struct rewrite_conn *c, int dir, const struct rewrite_conn *saved)
{
    free(c->dir[dir].head);
    *c = *saved;
}

void rewrite_saved(int dir, struct rewrite_conn *saved)
{
    free(saved->dir[dir].head);
}

bool rewrite_passes(const struct rewrite_conn *c, const struct rewrite_rule *rule, int dir,
                    const char *p, size_t n)
{
    const struct rewrite_dir *d = &c->dir[dir];

    if (d->state != REWRITE_CLOSE)
        return d->state == REWRITE_OFF;
    return !d->change || (!find(rule, p, n) && partial(rule, p, n) == 0);
}

/* goes_on: may a match go on with these bytes, whose first k bytes at most have left? */
static bool goes_on(const struct rewrite_rule *r, size_t k, const char *p, size_t n)
{
    size_t all = k;

    for (; k && n; k--) {
        size_t rest = r->nfind - k < n ? r->nfind - k : n;

        if (memcmp(r->find + all - k, r->find, k) == 0 && memcmp(r->find + k, p, rest) == 0)
            return true;
    }
    return false;
}

void rewrite_left(struct rewrite_conn *c, const struct rewrite_rule *rule,
                  struct rewrite_counts *counts, int dir, size_t n, const char *p, size_t np)
{
    struct rewrite_dir *d = &c->dir[dir];

    if (d->state == REWRITE_CLOSE)
        counts->missed += n < rule->nfind && goes_on(rule, n, p, np);
    if (d->state != REWRITE_HEAD_)
        return;
    if (d->head) {
        d->gone += n;
        return;
    }
    counts->late++;
    off(c);
}

void rewrite_fini(struct rewrite_conn *c)
{
    forget(&c->dir[0]);
    forget(&c->dir[1]);
}
