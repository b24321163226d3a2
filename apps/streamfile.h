/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * streamfile.h: more files being written than may be open at once. The least recently used one is
 * closed when another needs its descriptor, and opened again to append. One pool for each context.
 */
#ifndef WEIR_APPS_STREAMFILE_H
#define WEIR_APPS_STREAMFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define STREAMFILE_NAME 160 /* two IPv6 addresses, two ports, a count */

struct streamfile {
    char name[STREAMFILE_NAME]; /* below the pool's directory */
    int fd;                     /* -1: closed */
    bool made;                  /* it is there; what was there before is gone */
    struct streamfile *newer, *older;
};

struct streamfile_pool {
    int dirfd;
    int open, most;
    struct streamfile *newest, *oldest;
};

/* streamfile_pool_init: files below dirfd, at most `most` of them open. */
void streamfile_pool_init(struct streamfile_pool *p, int dirfd, int most);

/* streamfile_init: nothing is made yet; the name is put there by the caller. */
void streamfile_init(struct streamfile *f);
/*
 * streamfile_write: append; the entries of iov are changed.
 * => 0; -1 with errno.
 */
int streamfile_write(struct streamfile_pool *p, struct streamfile *f, struct iovec *iov, int cnt);
/* streamfile_zeros: append n zeros, as a hole. => as streamfile_write. */
int streamfile_zeros(struct streamfile_pool *p, struct streamfile *f, uint64_t n);
/* streamfile_close: it exists from now on, even if nothing was written. => as streamfile_write. */
int streamfile_close(struct streamfile_pool *p, struct streamfile *f);

#endif
