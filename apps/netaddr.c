// SPDX-License-Identifier: BSD-2-Clause
/* netaddr.c: an address, and perhaps the length of a prefix. */
#include "netaddr.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#define LENGTH_DIGITS 3

static int all_bits(const struct netaddr *a)
{
    return a->family == AF_INET6 ? 128 : 32;
}

/* What stands behind the slash. */
static bool read_length(struct netaddr *a, const char *digits)
{
    const size_t n = strspn(digits, "0123456789");

    a->has_len = true;
    a->len = atoi(digits);
    return n > 0 && n <= LENGTH_DIGITS && digits[n] == '\0' && a->len <= all_bits(a);
}

bool netaddr_read(struct netaddr *a, const char *text, size_t n)
{
    char copy[INET6_ADDRSTRLEN + 1 + LENGTH_DIGITS], *slash;

    memset(a, 0, sizeof(*a));
    if (n >= sizeof(copy) || memchr(text, '\0', n))
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    a->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    a->len = all_bits(a);
    return inet_pton(a->family, copy, a->b) == 1 && (!slash || read_length(a, slash + 1));
}

bool netaddr_has_tail(const struct netaddr *a)
{
    for (int i = a->len; i < all_bits(a); i++)
        if (a->b[i / 8] & 0x80 >> i % 8)
            return true;
    return false;
}
