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

const char *netaddr_not_host(int family, const uint8_t *b)
{
    static const uint8_t zero[16], all_ones[4] = {255, 255, 255, 255},
                                   mapped[12] = {[10] = 0xff, [11] = 0xff};
    const bool v6 = family == AF_INET6;

    if (v6 ? memcmp(b, zero, 16) == 0 : b[0] == 0)
        return "nobody's";
    if (v6 ? memcmp(b, zero, 15) == 0 && b[15] == 1 : b[0] == 127)
        return "that of each host itself (loopback)";
    if (v6 ? b[0] == 0xff : (b[0] & 0xf0) == 0xe0)
        return "that of a group (multicast)";
    if (v6 ? memcmp(b, mapped, 12) == 0 : memcmp(b, all_ones, 4) == 0)
        return v6 ? "one of IPv4" : "that of everybody (broadcast)";
    return NULL;
}
