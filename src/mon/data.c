// SPDX-License-Identifier: BSD-2-Clause
/*
 * data.c: what the application reads of a stream: the next unread bytes (peek, peekv), or any that
 * are held (ppeek, ppeekv).
 *
 * A child has one read offset per side. It stands on a byte that is held, on one that will never
 * come (then what is lost is said once and skipped), or at the end. Storage behind it is let go at
 * the end of the batch, not here: what peekv has handed out stays until the callback returns.
 */
#define MOS_NO_OLDER_FORMS
#include "mon/mon.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/errtext.h"

#define PIECES 16 /* views copied at a time */

/* One call: whose stream, and who reads it. */
struct reading {
    const char *call;
    struct mon *m;
    struct child *c;
    struct flow *f;
    struct flow_side *sd;
    uint32_t idx;
    int side;
};

/* begin: => 0; -1 with errno. */
static int begin(struct reading *r, const char *call, mctx_t mctx, int sock, int side)
{
    r->call = call;
    r->m = mon_enter(mctx);
    if (r->m == NULL)
        return -1;
    r->c = mon_child(r->m, sock, &r->idx);
    if (r->c == NULL)
        return err_set(EBADF, "%s: socket %d is not the child of a connection", call, sock);
    if (side != MOS_SIDE_CLI && side != MOS_SIDE_SVR)
        return err_set(EINVAL, "%s: side %d is neither MOS_SIDE_CLI nor MOS_SIDE_SVR", call, side);
    if (r->c->flags &
        (side == CLI ? CHILD_NOBUF_CLI | CHILD_META_CLI : CHILD_NOBUF_SVR | CHILD_META_SVR))
        return err_set(EINVAL, "%s: the %s's buffer is switched off", call,
                       side == CLI ? "client" : "server");
    r->side = side;
    r->f = flow_at(&r->m->env.ft, r->idx);
    r->sd = &r->f->side[side];
    return 0;
}

/*
 * ask: who reads wants the bytes from now on, and so do later children of its listener (contract
 * 1).
 * => false: there is nothing to read (the child was stopped).
 */
static bool ask(struct reading *r)
{
    uint16_t want = r->side == CLI ? CHILD_WANT_CLI : CHILD_WANT_SVR;
    uint16_t asked = r->side == CLI ? CHILD_ASKED_CLI : CHILD_ASKED_SVR;

    if (unlikely(!(r->c->flags & asked))) {
        r->c->flags |= asked;
        r->m->lst[r->c->listener].child_flags |= asked;
        if (!(r->c->flags & want))
            mon_rewant(r->m, r->idx);
    }
    return r->c->flags & want;
}

static void consume(struct reading *r, uint64_t *cursor, uint64_t n)
{
    *cursor += n;
    if (r->sd->strm) {
        struct strm *s = strm_at(&r->m->env.se, r->sd->strm);

        if (s->read_to < *cursor)
            s->read_to = *cursor;
    }
    conn_touch(&r->m->env, r->idx);
}

/* skip_lost: bytes that will never come are said once. => 0, or -L with ENODATA. */
static ssize_t skip_lost(struct reading *r, uint64_t *cursor)
{
    uint64_t lost = strm_lost(&r->m->env.se, r->sd, *cursor);

    if (likely(lost == 0))
        return 0;
    if (lost > SSIZE_MAX)
        lost = SSIZE_MAX;
    err_set(ENODATA, "%s: %llu bytes at offset %llu were lost", r->call, (unsigned long long)lost,
            (unsigned long long)*cursor);
    consume(r, cursor, lost);
    return -(ssize_t)lost;
}

/* copy_from: held bytes at off, up to `end`, `len` at most. => how many. */
static size_t copy_from(struct reading *r, uint64_t off, uint64_t end, char *buf, size_t len)
{
    struct iovec iov[PIECES];
    size_t n = 0, got;

    while (n < len) {
        int cnt = PIECES;

        got = strm_view(&r->m->env.se, r->sd, off + n, end, len - n, iov, &cnt);
        for (int i = 0; i < cnt; i++) {
            memcpy(buf + n, iov[i].iov_base, iov[i].iov_len);
            n += iov[i].iov_len;
        }
        if (got == 0 || cnt < PIECES)
            break;
    }
    return n;
}

ssize_t mtcp_peek(mctx_t mctx, int sock, int side, char *buf, size_t len)
{
    struct reading r;
    uint64_t *cursor;
    ssize_t n;

    if (begin(&r, "mtcp_peek", mctx, sock, side) < 0)
        return -1;
    if (buf == NULL)
        return err_set(EINVAL, "mtcp_peek: buf is NULL");
    if (!ask(&r))
        return 0;
    cursor = mon_cursor(r.m, r.f, r.c, side);
    n = skip_lost(&r, cursor);
    if (n < 0)
        return n;
    n = (ssize_t)copy_from(&r, *cursor, strm_end(&r.m->env.se, r.sd), buf,
                           len < SSIZE_MAX ? len : SSIZE_MAX);
    if (n > 0)
        consume(&r, cursor, (uint64_t)n);
    return n;
}

/* begin_views: begin, for calls that fill in views. => *room entries; *cnt is 0 from here on. */
static int begin_views(struct reading *r, const char *call, mctx_t mctx, int sock, int side,
                       struct iovec *iov, int *cnt, int *room)
{
    *room = cnt ? *cnt : 0;
    if (cnt)
        *cnt = 0;
    if (begin(r, call, mctx, sock, side) < 0)
        return -1;
    if (iov == NULL || *room < 1)
        return err_set(EINVAL, "%s: iov or cnt is NULL, or *cnt below 1", call);
    return 0;
}

ssize_t mtcp_peekv(mctx_t mctx, int sock, int side, struct iovec *iov, int *cnt)
{
    struct reading r;
    uint64_t *cursor, end;
    ssize_t n;
    int room;

    if (begin_views(&r, "mtcp_peekv", mctx, sock, side, iov, cnt, &room) < 0)
        return -1;
    if (!ask(&r))
        return 0;
    cursor = mon_cursor(r.m, r.f, r.c, side);
    end = strm_end(&r.m->env.se, r.sd);
    if (*cursor >= end)
        return 0;
    n = (ssize_t)strm_view(&r.m->env.se, r.sd, *cursor, end, SSIZE_MAX, iov, &room);
    if (unlikely(n == 0))
        return skip_lost(&r, cursor);
    *cnt = room;
    consume(&r, cursor, (uint64_t)n);
    return n;
}

static ssize_t not_held(const struct reading *r, uint64_t off)
{
    return err_set(ENODATA, "%s: the byte at offset %llu is not held", r->call,
                   (unsigned long long)off);
}

ssize_t mtcp_ppeek(mctx_t mctx, int sock, int side, char *buf, size_t count, uint64_t off)
{
    struct reading r;
    size_t n;

    if (begin(&r, "mtcp_ppeek", mctx, sock, side) < 0)
        return -1;
    if (buf == NULL)
        return err_set(EINVAL, "mtcp_ppeek: buf is NULL");
    ask(&r);
    if (count == 0)
        return 0;
    n = copy_from(&r, off, UINT64_MAX, buf, count < SSIZE_MAX ? count : SSIZE_MAX);
    return n ? (ssize_t)n : not_held(&r, off);
}

ssize_t mtcp_ppeekv(mctx_t mctx, int sock, int side, struct iovec *iov, int *cnt, uint64_t off)
{
    struct reading r;
    size_t n;
    int room;

    if (begin_views(&r, "mtcp_ppeekv", mctx, sock, side, iov, cnt, &room) < 0)
        return -1;
    ask(&r);
    n = strm_view(&r.m->env.se, r.sd, off, UINT64_MAX, SSIZE_MAX, iov, &room);
    *cnt = room;
    return n ? (ssize_t)n : not_held(&r, off);
}
