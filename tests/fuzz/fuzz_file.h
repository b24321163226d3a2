/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_file.h: input that the code under test reads from a file: a file in memory, with a name.
 */
#ifndef WEIR_TESTS_FUZZ_FILE_H
#define WEIR_TESTS_FUZZ_FILE_H

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

struct fuzz_file {
    int fd;
    char path[32];
};

static inline void fuzz_file_make(struct fuzz_file *f, const void *p, size_t n)
{
    f->fd = memfd_create("fuzz", 0);
    FUZZ_CHECK(f->fd >= 0, "memfd_create");
    FUZZ_CHECK(n == 0 || write(f->fd, p, n) == (ssize_t)n, "write of %zu", n);
    snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
}

static inline void fuzz_file_free(struct fuzz_file *f)
{
    close(f->fd);
}

#endif
