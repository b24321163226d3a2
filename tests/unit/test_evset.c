// SPDX-License-Identifier: BSD-2-Clause
/* Shared sets: identity by members in order, edges, references, memory that follows the number of sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "base/hash.h"
#include "event/evset_int.h"

static bool yes5(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return true;
}

static void a5(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
}

static void b5(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    assert_true(sock >= 0); /* unlike a5, so that a linker cannot make them one */
}

static void c4(mctx_t m, int sock, int side, event_t ev)
{
}

static const struct ev_cb A = {.f5 = a5};
static const struct ev_cb B = {.f5 = b5};
static const struct ev_cb C = {.arity = EV_ARGS4, .f4 = c4};

static struct memacct acct;
static struct evtab *t;

static int setup(void **state)
{
    acct = (struct memacct){0};
    t = evtab_create(&acct);
    return t ? 0 : -1;
}

static int teardown(void **state)
{
    bool ok = evset_count(t) == 0 && evtab_check(t); /* every reference was given back */

    evtab_destroy(t);
    ude_forget_all();
    return ok && acct.used == 0 ? 0 : -1;
}

static event_t ude(event_t base, uint32_t n)
{
    struct ev_filter f = {.f5 = yes5};
    filter_arg_t arg = {&n, sizeof(n)};

    return ude_define(base, &f, &arg);
}

/* What a flow does: its pointer moves on, the old reference is given back. */
static void add(uint32_t *set, event_t ev, const struct ev_cb *cb)
{
    uint32_t n = evset_add(t, *set, ev, cb);

    assert_int_not_equal(n, EVSET_NONE);
    evset_unref(t, *set);
    *set = n;
}

static void del(uint32_t *set, event_t ev)
{
    uint32_t n = evset_del(t, *set, ev);

    assert_int_not_equal(n, EVSET_NONE);
    evset_unref(t, *set);
    *set = n;
}

static void drop(uint32_t *set)
{
    evset_unref(t, *set);
    *set = 0;
}

static void empty_set(void **state)
{
    assert_int_equal(evset_mask(t, 0), 0);
    assert_int_equal(evset_members(t, 0), 0);
    assert_int_equal(evset_count(t), 0);
    assert_false(evset_has(t, 0, MOS_ON_PKT_IN, NULL));
    evset_ref(t, 0);
    evset_unref(t, 0);
    evset_unref(t, 0); /* it is not counted */
    evset_gc(t);
}

static void members_and_mask(void **state)
{
    uint32_t s = 0;
    event_t u = ude(MOS_ON_CONN_NEW_DATA, 1), v = ude(u, 2), h = ude_alloc(MOS_ON_GAP);
    struct ev_cb cb;

    add(&s, MOS_ON_PKT_IN, &A);
    assert_int_equal(evset_mask(t, s), EVB(EV_PKT_IN));
    add(&s, v, &C);
    assert_int_equal(evset_mask(t, s), EVB(EV_PKT_IN) | EVB(EV_NEW_DATA));
    add(&s, h, &B);
    assert_int_equal(evset_mask(t, s), EVB(EV_PKT_IN) | EVB(EV_NEW_DATA) | EVB(EV_GAP));
    assert_int_equal(evset_members(t, s), 3);
    assert_true(evset_has(t, s, v, &cb));
    assert_true(ev_cb_same(&cb, &C));
    assert_false(evset_has(t, s, u, &cb)); /* only on the way */
    assert_false(evset_has(t, s, MOS_ON_CONN_NEW_DATA, &cb));
    assert_false(evset_has(t, s, 3, &cb));
    assert_false(evset_has(t, s, v | 1ULL << 32, &cb));
    assert_true(evtab_check(t));
    del(&s, v);
    assert_int_equal(evset_mask(t, s), EVB(EV_PKT_IN) | EVB(EV_GAP));
    del(&s, h);
    del(&s, MOS_ON_PKT_IN);
    assert_int_equal(s, 0);
}

static void refusals_say_why(void **state)
{
    struct ev_cb none = {0}, none4 = {.arity = EV_ARGS4};
    uint32_t s = 0, n;

    errno = 0;
    assert_int_equal(evset_add(t, 0, MOS_ON_PKT_IN, &none), EVSET_NONE);
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "function"));
    assert_int_equal(evset_add(t, 0, MOS_ON_PKT_IN, &none4), EVSET_NONE);
    errno = 0;
    assert_int_equal(evset_add(t, 0, 0x1000, &A), EVSET_NONE);
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "no event"));
    add(&s, MOS_ON_PKT_IN, &A);
    errno = 0;
    n = evset_del(t, s, MOS_ON_GAP);
    assert_int_equal(n, s);
    assert_int_equal(errno, ENOENT);
    assert_non_null(strstr(err_text(), "registered"));
    evset_unref(t, n);
    drop(&s);
}

static void equal_sets_are_one(void **state)
{
    uint32_t s = 0, r = 0;
    event_t u = ude(MOS_ON_PKT_IN, 1);

    add(&s, MOS_ON_PKT_IN, &A);
    add(&s, u, &B);
    add(&r, MOS_ON_PKT_IN, &A);
    add(&r, u, &C); /* replaced below */
    assert_int_not_equal(r, s);
    add(&r, u, &B);
    assert_int_equal(r, s);
    add(&r, MOS_ON_GAP, &A);
    del(&r, MOS_ON_GAP);
    assert_int_equal(r, s); /* found by id, not by an edge */
    assert_int_equal(evset_count(t), 1);
    drop(&s);
    drop(&r);
}

static void order_makes_a_set_of_its_own(void **state)
{
    uint32_t s = 0, r = 0;

    add(&s, MOS_ON_PKT_IN, &A);
    add(&s, MOS_ON_GAP, &B);
    add(&r, MOS_ON_GAP, &B);
    add(&r, MOS_ON_PKT_IN, &A);
    assert_int_not_equal(r, s);
    assert_true(evset_at(t, r)->id == evset_at(t, s)->id);
    assert_int_equal(evset_mask(t, r), evset_mask(t, s));
    assert_int_equal(evset_count(t), 2);
    assert_true(evtab_check(t));
    add(&s, MOS_ON_PKT_IN, &C); /* replacing keeps the place ... */
    add(&s, MOS_ON_PKT_IN, &A);
    assert_int_not_equal(r, s);
    del(&s, MOS_ON_PKT_IN); /* ... removing gives it up */
    add(&s, MOS_ON_PKT_IN, &A);
    assert_int_equal(r, s);
    drop(&s);
    drop(&r);
}

static void the_same_callback_again_changes_nothing(void **state)
{
    uint32_t s = 0, before;
    uint64_t built;

    add(&s, MOS_ON_PKT_IN, &A);
    before = s;
    built = t->built;
    add(&s, MOS_ON_PKT_IN, &A);
    assert_int_equal(s, before);
    assert_int_equal(t->built, built);
    drop(&s);
}

static void equal_ids_are_told_apart(void **state)
{
    uint32_t s[4] = {0};

    t->hash_mask = 0; /* every set has id 0 */
    add(&s[0], MOS_ON_PKT_IN, &A);
    add(&s[1], MOS_ON_PKT_IN, &B);
    add(&s[2], MOS_ON_GAP, &A);
    add(&s[3], MOS_ON_PKT_IN, &A);
    add(&s[3], MOS_ON_GAP, &A);
    assert_int_equal(evset_count(t), 4);
    for (int i = 0; i < 4; i++) {
        assert_true(evset_at(t, s[i])->id == 0);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(s[i], s[k]);
    }
    assert_true(evtab_check(t));
    del(&s[3], MOS_ON_GAP);
    assert_int_equal(s[3], s[0]);
    for (int i = 0; i < 4; i++)
        drop(&s[i]);
}

static void two_swaps_cancel_but_members_decide(void **state)
{
    uint32_t s = 0, r = 0;

    t->hash_mask = 1; /* ids of one bit: collisions everywhere, and not only equal ones */
    for (event_t e = 1; e <= 0x800; e <<= 1) {
        add(&s, e, &A);
        add(&r, e, e == 0x20 ? &B : &A);
        assert_true(evtab_check(t));
    }
    assert_int_not_equal(r, s);
    add(&r, 0x20, &A);
    assert_int_equal(r, s);
    drop(&s);
    drop(&r);
}

static void known_edges_build_and_allocate_nothing(void **state)
{
    uint32_t s = 0, r = 0;
    uint64_t built, allocs, followed;

    add(&s, MOS_ON_PKT_IN, &A);
    add(&s, MOS_ON_GAP, &B);
    del(&s, MOS_ON_PKT_IN);
    built = t->built;
    allocs = acct.allocs;
    followed = t->followed;
    add(&r, MOS_ON_PKT_IN, &A);
    add(&r, MOS_ON_GAP, &B);
    del(&r, MOS_ON_PKT_IN);
    assert_int_equal(r, s);
    assert_int_equal(t->built, built);
    assert_int_equal(acct.allocs, allocs);
    assert_int_equal(t->followed, followed + 3);
    drop(&s);
    drop(&r);
}

static void freed_at_gc_and_not_before(void **state)
{
    uint32_t s = 0, dead;

    t->keep = 0;
    add(&s, MOS_ON_PKT_IN, &A);
    dead = s;
    drop(&s);
    assert_int_equal(evset_count(t), 0);
    assert_int_equal(t->sets.used, 1);
    assert_true(evset_has(t, dead, MOS_ON_PKT_IN, NULL)); /* a walk may still be on it */
    assert_true(evtab_check(t));
    add(&s, MOS_ON_PKT_IN, &A); /* and may come back */
    assert_int_equal(s, dead);
    evset_gc(t);
    assert_int_equal(t->sets.used, 1);
    drop(&s);
    evset_gc(t);
    assert_int_equal(t->sets.used, 0);
    assert_int_equal(blkpool_used(&t->blks), 0);
    assert_int_equal(t->edges.used, 0);
}

static void edges_go_with_either_end(void **state)
{
    uint32_t base = 0, x = 0, y = 0;

    t->keep = 0;
    add(&base, MOS_ON_PKT_IN, &A);
    evset_ref(t, base);
    x = base;
    add(&x, MOS_ON_GAP, &A); /* base -> x */
    evset_ref(t, x);
    y = x;
    del(&y, MOS_ON_PKT_IN); /* x -> y */
    assert_int_equal(t->edges.used, 3);
    drop(&x);
    evset_gc(t);
    assert_true(evtab_check(t));
    assert_int_equal(t->edges.used, 1); /* the empty set -> base */
    assert_int_equal(evset_count(t), 2);
    evset_ref(t, base);
    x = base;
    add(&x, MOS_ON_GAP, &A); /* not a stale edge to a set that is gone */
    assert_int_equal(evset_members(t, x), 2);
    drop(&x);
    drop(&y);
    drop(&base);
    evset_gc(t);
    assert_int_equal(t->edges.used, 0);
    assert_int_equal(t->sets.used, 0);
}

static void few_unused_sets_are_kept(void **state)
{
    uint32_t s;
    uint64_t built;

    t->keep = 16 << 10;
    for (uint32_t i = 0; i < 2000; i++) {
        s = 0;
        add(&s, ude(MOS_ON_PKT_IN, i), &A);
        drop(&s);
        evset_gc(t);
        assert_true(t->dead_bytes <= t->keep);
    }
    assert_true(t->dead_bytes > t->keep / 2);
    assert_true(evtab_check(t));
    built = t->built;
    s = 0;
    add(&s, ude(MOS_ON_PKT_IN, 1999), &A); /* the latest are there still, the first are not */
    assert_int_equal(t->built, built);
    drop(&s);
    add(&s, ude(MOS_ON_PKT_IN, 0), &A);
    assert_int_equal(t->built, built + 1);
    drop(&s);
}

/* A function that is never called: only its address counts. */
static struct ev_cb never_called(uintptr_t n)
{
    struct ev_cb cb = {.arity = EV_ARGS5};

    memcpy(&cb.f5, &n, sizeof(cb.f5));
    return cb;
}

/* A thousand sets, each one step from each other: edges stay in proportion to sets. */
static void edges_are_bounded(void **state)
{
    static uint32_t s[1000];
    struct rng r = {.s = 1};
    uint32_t most = 0;

    t->keep = 256u << 10;
    for (uint32_t i = 0; i < 100000; i++) {
        struct ev_cb cb = never_called(1 + rng_below(&r, 1000));

        add(&s[i % 1000], MOS_ON_PKT_IN, &cb);
        if (i % 64 == 0)
            evset_gc(t);
        most = t->edges.used > most ? t->edges.used : most;
    }
    assert_in_range(t->sets.used, 500, 1000);
    assert_in_range(most, 10000, 16 * 1000 + 1024);
    assert_in_range(t->nebuckets, t->edges.used, UINT32_MAX);
    assert_in_range(t->nbuckets, t->sets.used, UINT32_MAX);
    assert_true(evtab_check(t));
    for (uint32_t i = 0; i < 1000; i++)
        drop(&s[i]);
}

static void large_sets(void **state)
{
    uint32_t s = 0;
    struct ev_cb cb;

    t->keep = 0;
    for (uint32_t i = 0; i < 2500; i++) { /* 80 KB: more than a block holds */
        add(&s, ude(MOS_ON_PKT_IN, 2499 - i), i % 2 ? &A : &C);
        if (i % 16 == 0)
            evset_gc(t);
    }
    assert_int_equal(evset_members(t, s), 2500);
    assert_int_equal(evset_at(t, s)->blk, 0);
    evset_gc(t);
    assert_true(evtab_check(t));
    assert_true(evset_has(t, s, ude(MOS_ON_PKT_IN, 7), &cb));
    assert_true(ev_cb_same(&cb, &C));
    drop(&s);
}

static void deep_nesting(void **state)
{
    uint32_t s = 0;
    event_t e = MOS_ON_PKT_IN;

    for (uint32_t i = 0; i < 5000; i++)
        e = ude(e, i);
    add(&s, e, &A);
    assert_int_equal(evset_written(t, s)->nops, 5000);
    assert_int_equal(evset_at(t, s)->head.ops[0].span, 5000);
    assert_int_equal(evset_mask(t, s), EVB(EV_PKT_IN));
    drop(&s);
}

/* More operations than 16 bits count: where the ranks begin lies in the body. */
static void more_than_65535_operations(void **state)
{
    uint32_t s = 0;
    event_t e = MOS_ON_PKT_IN, h = ude_alloc(MOS_ON_GAP);
    struct ev_cb cb;

    for (uint32_t i = 0; i < 70000; i++)
        e = ude(e, i);
    add(&s, MOS_ON_CONN_END, &B);
    add(&s, h, &B);
    add(&s, e, &A);
    add(&s, MOS_ON_GAP, &C);
    assert_int_equal(evset_start(evset_written(t, s), EV_PKT_OUT), 70000);
    assert_int_equal(evset_start(evset_at(t, s), EV_RANKS), 70002);
    assert_true(evset_has(t, s, MOS_ON_GAP, &cb));
    assert_true(ev_cb_same(&cb, &C));
    assert_true(evset_has(t, s, MOS_ON_CONN_END, NULL) && evset_has(t, s, h, NULL));
    assert_false(evset_has(t, s, MOS_ON_CONN_START, NULL));
    drop(&s);
    evset_gc(t);
}

/* What is only a step on the way to another set is never written out, and found again all the same. */
static void steps_are_not_written(void **state)
{
    uint32_t s = 0, step, dead;
    uint64_t built;

    t->keep = 256u << 10;
    for (uint32_t i = 0; i < 10; i++)
        add(&s, ude(MOS_ON_PKT_IN, i), &A);
    evset_gc(t);
    assert_non_null(evset_at(t, s)->head.ops);
    assert_int_equal(blkpool_used(&t->blks), 1);
    assert_int_equal(t->sets.used, 10);
    dead = t->dead_head;
    assert_true(evset_is_outline(evset_at(t, dead)));
    assert_true(evtab_check(t));
    built = t->built;
    step = 0;
    add(&step, ude(MOS_ON_PKT_IN, 0), &A); /* along the edges that are left */
    assert_int_equal(step, dead);
    assert_int_equal(t->built, built);
    assert_int_equal(evset_members(t, step), 1);
    assert_true(evset_has(t, step, ude(MOS_ON_PKT_IN, 0), NULL));
    assert_true(evtab_check(t));
    del(&s, ude(MOS_ON_PKT_IN, 9));
    del(&s,
        ude(MOS_ON_PKT_IN, 8)); /* nobody has come by an edge: an outline of this id makes room */
    assert_int_equal(evset_members(t, s), 8);
    assert_true(evtab_check(t));
    drop(&step);
    drop(&s);
}

static void no_memory_for_a_step_is_told(void **state)
{
    uint32_t s = 0, n;

    t->keep = 256u << 10;
    add(&s, MOS_ON_PKT_IN, &A);
    add(&s, MOS_ON_GAP, &A);
    evset_gc(t); /* the first of the two is an outline */
    while (blk_alloc(&t->blks, 64) && t->blks.cls[1].nslabs < 2)
        ;
    acct.limit = acct.used;
    for (uint32_t size = 32; size <= 64; size *= 2)
        while (blk_alloc(&t->blks, size))
            ;
    errno = 0;
    n = evset_add(t, 0, MOS_ON_PKT_IN, &A);
    assert_int_equal(n, EVSET_NONE);
    assert_int_equal(errno, ENOMEM);
    assert_true(evtab_check(t));
    acct.limit = 0;
    n = evset_add(t, 0, MOS_ON_PKT_IN, &A);
    assert_int_equal(evset_members(t, n), 1);
    drop(&n);
    drop(&s);
}

static void out_of_memory_is_told(void **state)
{
    uint32_t s = 0, n;

    add(&s, MOS_ON_PKT_IN, &A);
    acct.limit = acct.used;
    for (uint32_t i = 0;; i++) {
        errno = 0;
        n = evset_add(t, s, ude(MOS_ON_PKT_IN, i), &A);
        if (n == EVSET_NONE)
            break;
        evset_unref(t, s);
        s = n;
        assert_true(i < 100000);
    }
    assert_int_equal(errno, ENOMEM);
    assert_non_null(strstr(err_text(), "memory"));
    assert_true(evtab_check(t)); /* and nothing is half made */
    acct.limit = 0;
    add(&s, MOS_ON_GAP, &A);
    drop(&s);
}

/*
 * T8: 192,000 flows, 64 events each, 1,024 different sets. Each flow begins with the listener's 54 and
 * adds ten of its own, one of two functions for each. Memory is that of the sets, not of the flows.
 */
#define FLOWS  192000u
#define KINDS  1024u
#define LIVING 8192u /* flows at a time; then they end in the order they came */

static void begin_flow(uint32_t *set, uint32_t template, const event_t *own, uint32_t kind)
{
    evset_ref(t, template);
    *set = template;
    for (int k = 0; k < 10; k++)
        add(set, own[k], kind >> (9 - k) & 1 ? &A : &B);
}

static void many_flows_share_few_sets(void **state)
{
    static uint32_t flow[LIVING];
    uint32_t template = 0;
    uint64_t used = 0, allocs = 0, built = 0;
    event_t own[10];

    for (uint32_t i = 0; i < 54; i++)
        add(&template, ude(i < 30 ? MOS_ON_PKT_IN : MOS_ON_CONN_NEW_DATA, i), &A);
    for (uint32_t k = 0; k < 10; k++)
        own[k] = ude(MOS_ON_CONN_NEW_DATA, 100 + k);
    memset(flow, 0, sizeof(flow));
    t->keep = 256u << 10; /* poison builds keep none */
    for (uint32_t i = 0; i < FLOWS; i++) {
        drop(&flow[i % LIVING]);
        begin_flow(&flow[i % LIVING], template, own, (uint32_t)hash_mix(i) % KINDS);
        if (i % 64 == 63)
            evset_gc(t);
        if (i == 2 * LIVING) {
            used = acct.used;
            allocs = acct.allocs;
            built = t->built;
        }
    }
    assert_int_equal(evset_members(t, flow[0]), 64);
    assert_in_range(evset_count(t), 1000, KINDS + 1);
    assert_int_equal(acct.used, used);
    assert_int_equal(acct.allocs, allocs);
    assert_int_equal(t->built, built); /* those on the way to the 1,024 are kept too */
    assert_true(acct.used < 16u << 20);
    assert_true(t->edges.used < 16 * KINDS);
    for (uint32_t i = 0; i < LIVING; i++)
        drop(&flow[i]);
    assert_int_equal(evset_count(t), 1);
    t->keep = 0;
    drop(&template);
    evset_gc(t);
    assert_int_equal(t->sets.used, 0);
    assert_int_equal(t->edges.used, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(empty_set),
        T(members_and_mask),
        T(refusals_say_why),
        T(equal_sets_are_one),
        T(order_makes_a_set_of_its_own),
        T(the_same_callback_again_changes_nothing),
        T(equal_ids_are_told_apart),
        T(two_swaps_cancel_but_members_decide),
        T(known_edges_build_and_allocate_nothing),
        T(freed_at_gc_and_not_before),
        T(edges_go_with_either_end),
        T(few_unused_sets_are_kept),
        T(edges_are_bounded),
        T(large_sets),
        T(deep_nesting),
        T(more_than_65535_operations),
        T(steps_are_not_written),
        T(no_memory_for_a_step_is_told),
        T(out_of_memory_is_told),
        T(many_flows_share_few_sets),
    };

    return cmocka_run_group_tests_name("evset", tests, NULL, NULL);
}
