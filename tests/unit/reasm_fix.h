/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reasm_fix.h: one receive stream for tests of reassembly, and payloads written as strings.
 * Include <cmocka.h> first.
 */
#ifndef WEIR_TESTS_REASM_FIX_H
#define WEIR_TESTS_REASM_FIX_H

#include <string.h>

#include "base/errtext.h"
#include "stream/chunk.h"

struct fix {
    struct memacct acct;
    struct strm_env e;
    struct flow_side sd;
    uint32_t cut; /* of the last insert */
};

static inline void setup(struct fix *f, uint16_t flags)
{
    memset(f, 0, sizeof(*f));
    strm_env_init(&f->e, &f->acct, 1000, 500);
    f->sd.flags = flags;
}

static inline void check(const struct fix *f)
{
    if (!strm_check(&f->e, &f->sd, false))
        fail_msg("%s", err_text());
}

static inline uint32_t objects(const struct fix *f)
{
    return f->e.chunks.used + f->e.strms.used + blkpool_used(&f->e.blks);
}

static inline void teardown(struct fix *f)
{
    check(f);
    strm_drop(&f->e, &f->sd);
    assert_int_equal(f->sd.strm, 0);
    assert_int_equal(objects(f), 0);
    strm_env_fini(&f->e);
    assert_int_equal(f->acct.used, 0);
}

/* put_cut: a payload whose last `more` bytes were not captured. */
static inline uint32_t put_cut(struct fix *f, uint64_t off, const char *text, uint32_t more,
                               bool store)
{
    uint32_t len = (uint32_t)strlen(text), n;

    n = strm_insert(&f->e, &f->sd,
                    &(struct strm_in){off, (const uint8_t *)text, len, len + more, store}, &f->cut);
    check(f);
    return n;
}

static inline uint32_t put(struct fix *f, uint64_t off, const char *text)
{
    uint32_t n = put_cut(f, off, text, 0, true);

    assert_int_equal(f->cut, 0);
    return n;
}

/* reads: from off on the stream holds exactly this, then a hole, a loss or the end. */
static inline void reads(const struct fix *f, uint64_t off, const char *want)
{
    struct iovec iov[32];
    char got[256];
    int cnt = 32;
    size_t n = 0, sum = strm_view(&f->e, &f->sd, off, strm_end(&f->e, &f->sd), 255, iov, &cnt);

    for (int i = 0; i < cnt; i++) {
        memcpy(got + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    got[n] = 0;
    assert_int_equal(n, sum);
    assert_string_equal(got, want);
}

#endif
