// SPDX-License-Identifier: BSD-2-Clause
#include "workload.h"

#include <string.h>

#include "base/compiler.h"

struct workload {
    const char *name, *what;
    uint32_t flows, concurrent, bytes;
    bool handshakes_first;
    uint32_t lost_before, lost_after, reordered, doubled;
};

static const struct workload all[] = {
    {"W1", "192,000 flows of 8 KB at a time, handshakes first", 192000, 192000, 8192, true, 0, 0, 0,
     0},
    {"W2", "1,000 flows of 1 MB at a time", 1000, 1000, 1 << 20, false, 0, 0, 0, 0},
    {"W3", "500,000 flows of 64 bytes, 1,000 at a time", 500000, 1000, 64, false, 0, 0, 0, 0},
    {"W4", "W2, 1 % lost (half before the tap), 2 % reordered, 1 % doubled", 1000, 1000, 1 << 20,
     false, 5000, 5000, 20000, 10000},
    {"P1", "1,000 flows of 1 MB at a time", 1000, 1000, 1 << 20, false, 0, 0, 0, 0},
    {"P2", "100,000 flows of 8 KB at a time", 100000, 100000, 8192, false, 0, 0, 0, 0},
    {"P3", "300,000 flows of 64 bytes, 1,000 at a time", 300000, 1000, 64, false, 0, 0, 0, 0},
    {"P4", "P1, 1 % lost before the tap, 2 % reordered, 1 % doubled", 1000, 1000, 1 << 20, false,
     10000, 0, 20000, 10000},
};

static const struct workload *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return &all[i];
    return NULL;
}

static uint32_t scaled(uint32_t n, double scale)
{
    double v = n * scale;

    return v < 1 ? 1 : v > (1 << 24) ? 1 << 24 : (uint32_t)v;
}

bool workload_get(const char *name, double scale, struct gen_cfg *c)
{
    const struct workload *w = find(name);

    if (w == NULL)
        return false;
    gen_default(c);
    c->flows = scaled(w->flows, scale);
    c->concurrent = w->concurrent == w->flows ? c->flows : w->concurrent;
    c->bytes = w->bytes;
    c->handshakes_first = w->handshakes_first;
    c->lost_before = w->lost_before;
    c->lost_after = w->lost_after;
    c->reordered = w->reordered;
    c->doubled = w->doubled;
    return true;
}

const char *workload_what(const char *name)
{
    const struct workload *w = find(name);

    return w ? w->what : NULL;
}

const char *workload_name(int i)
{
    return i >= 0 && i < (int)ARRAY_SIZE(all) ? all[i].name : NULL;
}
