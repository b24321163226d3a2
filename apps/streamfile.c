// SPDX-License-Identifier: BSD-2-Clause
/* streamfile.c: a list of open files, newest first. */
#include "streamfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void streamfile_pool_init(struct streamfile_pool *p, int dirfd, int most)
{
    *p = (struct streamfile_pool){.dirfd = dirfd, .most = most};
}

void streamfile_init(struct streamfile *f)
{
    f->fd = -1;
    f->made = false;
    f->newer = f->older = NULL;
}

static void unlink_file(struct streamfile_pool *p, struct streamfile *f)
{
    if (f->newer)
        f->newer->older = f->older;
    else
        p->newest = f->older;
    if (f->older)
        f->older->newer = f->newer;
    else
        p->oldest = f->newer;
}

static void link_newest(struct streamfile_pool *p, struct streamfile *f)
{
    f->newer = NULL;
    f->older = p->newest;
    if (p->newest)
        p->newest->newer = f;
    else
        p->oldest = f;
    p->newest = f;
}

/* Give the descriptor back. => 0; -1 with errno: what was written may be lost. */
static int shut(struct streamfile_pool *p, struct streamfile *f)
{
    int rc = close(f->fd);

    unlink_file(p, f);
    f->fd = -1;
    p->open--;
    return rc;
}

static int open_file(struct streamfile_pool *p, struct streamfile *f)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (f->made ? 0 : O_TRUNC);

    if (f->fd >= 0) {
        unlink_file(p, f);
        link_newest(p, f);
        return 0;
    }
    if (p->open >= p->most && shut(p, p->oldest) < 0)
        return -1;
    /* there may be fewer descriptors than was thought */
    while ((f->fd = openat(p->dirfd, f->name, flags, 0666)) < 0)
        if ((errno != EMFILE && errno != ENFILE) || !p->oldest || shut(p, p->oldest) < 0)
            return -1;
    f->made = true;
    link_newest(p, f);
    p->open++;
    return 0;
}

/* Take n written bytes off the front. => entries that are wholly written. */
static int advance(struct iovec *iov, int cnt, size_t n)
{
    int i = 0;

    while (i < cnt && n >= iov[i].iov_len)
        n -= iov[i++].iov_len;
    if (i < cnt) {
        iov[i].iov_base = (char *)iov[i].iov_base + n;
        iov[i].iov_len -= n;
    }
    return i;
}

int streamfile_write(struct streamfile_pool *p, struct streamfile *f, struct iovec *iov, int cnt)
{
    if (open_file(p, f) < 0)
        return -1;
    while (cnt > 0) {
        ssize_t n = writev(f->fd, iov, cnt);
        int done;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done = advance(iov, cnt, (size_t)n);
        iov += done;
        cnt -= done;
    }
    return 0;
}

int streamfile_zeros(struct streamfile_pool *p, struct streamfile *f, uint64_t n)
{
    struct stat sb;

    if (open_file(p, f) < 0 || fstat(f->fd, &sb) < 0)
        return -1;
    return ftruncate(f->fd, sb.st_size + (off_t)n);
}

int streamfile_close(struct streamfile_pool *p, struct streamfile *f)
{
    if (!f->made && open_file(p, f) < 0)
        return -1;
    return f->fd >= 0 ? shut(p, f) : 0;
}
