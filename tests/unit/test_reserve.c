// SPDX-License-Identifier: BSD-2-Clause
/* The key `reserve`: what is asked for is there, and nothing is asked of the system again; what cannot be is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <mos_api.h>
#include <sys/mman.h>

#include "pushfix.h"
#include "base/errtext.h"
#include "base/pool.h"
#include "engine/engine.h"
#include "flow/buckets.h"
#include "flow/table.h"

#define MANY 20000 /* records: three regions of 2 MB */

/* ---- pools ---- */

/* resident: pages of these bytes that are the process's own. */
static size_t resident(const void *at, size_t len)
{
    static unsigned char v[4096];
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)at + page - 1) / page * page,
                    to = ((uintptr_t)at + len) / page * page;
    size_t n = 0;

    assert_true((to - from) / page <= sizeof(v));
    assert_int_equal(mincore((void *)from, to - from, v), 0);
    for (size_t i = 0; i < (to - from) / page; i++)
        n += v[i] & 1;
    return n * page;
}

static void a_pool_has_it_at_once(void **state)
{
    struct memacct acct = {0};
    struct pool p;
    uint64_t allocs;

    pool_init(&p, "t", 256, 64, 512, 0, &acct);
    assert_true(pool_reserve(&p, MANY));
    assert_true(pool_spare(&p) >= MANY);
    for (uint32_t i = 0; i < p.nslabs; i++) /* but for what begins and ends inside a page */
        assert_true(resident(p.slab[i], 512 * 256) >= 512 * 256 - 2 * 4096);
    allocs = acct.allocs;
    for (uint32_t i = 1; i <= MANY; i++)
        assert_int_equal(pool_zalloc(&p), i);
    assert_int_equal(acct.allocs, allocs);
    pool_fini(&p);
    assert_int_equal(acct.used, 0);
}

/* What a small budget counts is all that it costs: of a region of 2 MB no more is touched than has been asked for. */
static void no_more_than_is_counted(void **state)
{
    enum { SLAB = 512 * 256, PER = (2 << 20) / SLAB };
    struct memacct acct = {.limit = 64 << 20};
    struct pool p;

    pool_init(&p, "t", 256, 64, 512, 0, &acct);
    assert_true(pool_reserve(&p, PER * 512)); /* with index 0 one slab in a region */
    assert_int_equal(p.nslabs, PER + 1);
    assert_true(resident(p.slab[PER], SLAB) >= SLAB - 2 * 4096);
    assert_int_equal(resident(p.slab[PER] + SLAB, (PER - 1) * SLAB), 0);
    pool_fini(&p);
}

static void a_pool_says_that_it_cannot(void **state)
{
    struct memacct acct = {.limit = 1 << 20};
    struct pool p;

    pool_init(&p, "t", 256, 64, 512, 0, &acct);
    assert_false(pool_reserve(&p, MANY));
    assert_true(acct.used <= acct.limit);
    assert_int_equal(pool_alloc(&p), 1); /* what was to be had is there */
    pool_fini(&p);
}

/* ---- the table ---- */

static uint32_t enter(struct ftable *t, uint32_t no)
{
    const uint8_t a[4] = {10, 0, (uint8_t)(no >> 16), 1}, b[4] = {10, 0, 0, 2};
    struct flow_key k;
    int end = key_make(&k, false, a, htons((uint16_t)no), b, htons(80), 6, 0);

    return ftable_new(t, &k, ftable_hash(t, &k), end, 1);
}

static void need_nothing(uint32_t n)
{
    struct memacct acct = {0};
    struct ftable t;
    uint32_t lines;
    uint64_t used;

    assert_int_equal(ftable_init(&t, 0, 7, &acct), 0);
    assert_int_equal(ftable_reserve(&t, n), 0);
    assert_true(ftable_check(&t));
    lines = ftable_slots(&t)->n;
    used = acct.used;
    acct.limit = used; /* there is nothing more to be had */
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(enter(&t, i), i + 1);
    assert_int_equal(ftable_slots(&t)->n, lines); /* not one split */
    assert_int_equal(acct.used, used);
    assert_true(ftable_check(&t));
    acct.limit = 0;
    assert_int_not_equal(enter(&t, n), 0); /* one more: as ever */
    for (uint32_t i = 1; i <= n + 1; i++)
        ftable_del(&t, i);
    ftable_fini(&t);
    assert_int_equal(acct.used, 0);
}

/* Sizes at which a tenth, the half and nearly all of the buckets have been split since their number last doubled. */
static void flows_ask_for_nothing(void **state)
{
    for (uint32_t lines = 1 << 12; lines <= 1 << 15; lines <<= 3)
        for (uint32_t tenths = 11; tenths < 20; tenths += 4)
            need_nothing(lines * tenths / 10 * BUCKET_SLOTS * 65 / 100);
}

static void a_table_says_that_it_cannot(void **state)
{
    struct memacct acct = {0};
    struct ftable t;

    assert_int_equal(ftable_init(&t, 0, 7, &acct), 0);
    acct.limit = acct.used + (1 << 20);
    errno = 0;
    assert_int_equal(ftable_reserve(&t, MANY), -1);
    assert_int_equal(errno, ENOMEM);
    assert_string_equal(err_text(), "no memory to reserve for 20000 flows");
    assert_true(acct.used <= acct.limit);
    assert_true(ftable_check(&t));
    ftable_fini(&t);
    assert_int_equal(acct.used, 0);
}

/* ---- the key ---- */

/* context: of a configuration of these items in its mos block. => NULL as mtcp_create_context has it. */
static mctx_t context(const char *items)
{
    fix_init(items);
    errno = 0;
    return mtcp_create_context(0);
}

static int down(void **state)
{
    mtcp_destroy();
    return 0;
}

static void a_context_has_it(void **state)
{
    mctx_t ctx = context("reserve = 5000");
    const struct mon *m = engine.ctx[0].m;

    assert_non_null(ctx);
    assert_true(pool_spare(&m->env.ft.flows) >= 5000);
    assert_int_equal(m->cap_sock, 5000 + MON_LISTENERS);
    mtcp_destroy_context(ctx);
}

static void refuses(const char *items, int code, const char *text)
{
    assert_null(context(items));
    assert_int_equal(errno, code);
    assert_string_equal(mtcp_errstr(), text);
}

static void more_than_there_may_be(void **state)
{
    refuses("max_concurrency = 10\nreserve = 11", EINVAL,
            "reserve = 11: a context has no more than 10 connections (see the keys "
            "'max_concurrency' and 'max_flows')");
}

static void more_than_max_flows(void **state)
{
    refuses("max_flows = 99\nreserve = 100", EINVAL,
            "reserve = 100: a context has no more than 99 connections (see the keys "
            "'max_concurrency' and 'max_flows')");
}

static void more_than_the_budget(void **state)
{
    refuses("memory = 8M\nreserve = 100000", ENOMEM,
            "no memory to reserve for 100000 connections: see the keys 'reserve' and 'memory'");
}

#define T(f) cmocka_unit_test_teardown(f, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_has_it_at_once),
        cmocka_unit_test(no_more_than_is_counted),
        cmocka_unit_test(a_pool_says_that_it_cannot),
        cmocka_unit_test(flows_ask_for_nothing),
        cmocka_unit_test(a_table_says_that_it_cannot),
        T(a_context_has_it),
        T(more_than_there_may_be),
        T(more_than_max_flows),
        T(more_than_the_budget),
    };

#ifdef M_PERTURB
    mallopt(M_PERTURB, 0); /* which writes to all that is allocated: then everything is resident */
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
