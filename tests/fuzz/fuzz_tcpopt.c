// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_tcpopt.c: TCP options, any bytes of any length (a header has 40 at most).
 */
#include "fuzz.h"
#include "wire/decode.h"

#define OPT_FLAGS (SEG_TS | SEG_SACKOK | SEG_WSCALE | SEG_MSS | SEG_TFO | SEG_AUTH | SEG_OPT_BAD)

static void check(const struct seg *s)
{
    FUZZ_CHECK((s->flags & ~(uint32_t)OPT_FLAGS) == 0, "flags %x", s->flags);
    FUZZ_CHECK(s->nsack <= SEG_MAX_SACK, "%u", s->nsack);
    FUZZ_CHECK(s->wscale <= 14, "%u", s->wscale);
    FUZZ_CHECK((s->flags & SEG_WSCALE) || s->wscale == 0, "%u", s->wscale);
    FUZZ_CHECK((s->flags & SEG_MSS) || s->mss == 0, "%u", s->mss);
    FUZZ_CHECK((s->flags & SEG_TS) || (s->tsval | s->tsecr) == 0, "%u", s->tsval);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seg s = {0}, padded = {0};
    uint8_t *end;

    if (size > 60)
        size = 60;
    decode_tcp_options(&s, data, (uint32_t)size);
    check(&s);
    if (s.flags & SEG_OPT_BAD)
        return 0;
    end = calloc(1, size + 8); /* end of options and padding behind it change nothing */
    FUZZ_CHECK(end != NULL, "no memory");
    memcpy(end, data, size);
    decode_tcp_options(&padded, end, (uint32_t)size + 8);
    FUZZ_CHECK(memcmp(&s, &padded, sizeof(s)) == 0, "padding changed what was read");
    free(end);
    return 0;
}
