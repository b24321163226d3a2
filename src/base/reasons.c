// SPDX-License-Identifier: BSD-2-Clause
#include "base/reasons.h"

static const struct {
    const char *name, *text;
} reasons[REASON_CNT] = {
#define R(id, name, text) {name, text},
    WEIR_REASONS(R)
#undef R
};

const char *reason_name(enum reason r)
{
    return (unsigned)r < REASON_CNT ? reasons[r].name : "?";
}

const char *reason_text(enum reason r)
{
    return (unsigned)r < REASON_CNT ? reasons[r].text : "?";
}
