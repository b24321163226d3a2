// SPDX-License-Identifier: BSD-2-Clause
/*
 * failenv.c: `weir` with an allocator that says no. FAIL_AT=N fails the N-th call of the process, FAIL_TO=M all from
 * there to the M-th; what was called is written to the file FAIL_COUNT names.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "failing.h"

static uint64_t number(const char *name, uint64_t other)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : other;
}

__attribute__((constructor)) static void arm(void)
{
    uint64_t at = number("FAIL_AT", 0);

    fail_arm(&fail_alloc, at, number("FAIL_TO", at));
}

__attribute__((destructor)) static void tell(void)
{
    const char *name = getenv("FAIL_COUNT");
    char text[32];
    int fd = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)fail_alloc.calls);

    if (fd < 0 || write(fd, text, (size_t)n) != n)
        return;
    close(fd);
}
