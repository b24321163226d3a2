// SPDX-License-Identifier: BSD-2-Clause
/*
 * Event sets and dispatch against a naive twin: each child has a plain list of members beside its shared set. Random adding,
 * removing, replacing, inheriting, ending, dispatching, raising; callbacks and filters do the same while a walk goes on. What
 * they do is drawn from (seed, dispatch, step), so both twins meet the same decisions as long as they run the same functions.
 *
 * SEED=n repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "event/evset_int.h"
#include "event/ude.h"
#include "repeat.h"

#define CHILDREN 12
#define NUDE     40
#define NFN      4
#define STOP     0x8
#define MAXLOG   4096
#define STEPS    60 /* after so many functions in one dispatch nobody does anything but say no */

struct list_twin {
    struct ev_member m[NUDE + EV_RANKS];
    uint32_t n;
};

struct entry {
    event_t ev;
    int what; /* number of the callback, or -1 for the filter, -2 - errno for a raise */
};

static uint64_t seed;
static struct evtab *t;
static uint32_t set[CHILDREN];
static struct list_twin twin[CHILDREN];

static event_t pool_ev[NUDE + 4]; /* user-defined and hand-raised events, and a few built-ins */
static uint32_t npool;

/* What goes on: which child, which dispatch, which of the two is running. */
static struct {
    bool naive;
    int child;
    uint64_t round;
    uint32_t step;
    uint16_t flags;
    struct ev_call call;          /* the real walk */
    const struct list_twin *snap; /* the naive walk */
    uint32_t depth;
    struct entry log[2][MAXLOG];
    uint32_t nlog[2];
} run;

static void naive_visit(event_t ev);

/* ---- changing a child in both worlds ------------------------------------------------------- */

static struct ev_cb fn[NFN];

static int at(const struct list_twin *l, event_t ev)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->m[i].ev == ev)
            return (int)i;
    return -1;
}

static void naive_add(struct list_twin *l, event_t ev, const struct ev_cb *cb)
{
    int i = at(l, ev);

    l->m[i < 0 ? (int)l->n++ : i] = (struct ev_member){ev, *cb};
}

static void naive_del(struct list_twin *l, event_t ev)
{
    int i = at(l, ev);

    if (i < 0)
        return;
    memmove(&l->m[i], &l->m[i + 1], (l->n - (uint32_t)i - 1) * sizeof(l->m[0]));
    l->n--;
}

static void real_change(uint32_t *s, event_t ev, const struct ev_cb *cb)
{
    uint32_t n = cb ? evset_add(t, *s, ev, cb) : evset_del(t, *s, ev);

    assert_int_not_equal(n, EVSET_NONE);
    evset_unref(t, *s);
    *s = n;
}

/* cb NULL: remove. */
static void change(int child, event_t ev, const struct ev_cb *cb, bool real, bool naive)
{
    if (real)
        real_change(&set[child], ev, cb);
    if (naive && cb)
        naive_add(&twin[child], ev, cb);
    else if (naive)
        naive_del(&twin[child], ev);
}

/* ---- decisions in the walk ----------------------------------------------------------------- */

static void record(event_t ev, int what)
{
    int k = run.naive;

    assert_true(run.nlog[k] < MAXLOG);
    run.log[k][run.nlog[k]++] = (struct entry){ev, what};
}

static int naive_raise(event_t ev);

static void raise_some(event_t ev)
{
    int rc = run.naive ? naive_raise(ev) : ev_raise(&run.call, ev);

    record(ev, -2 - (rc ? errno : 0));
}

/* Called for every filter and callback. => what a filter answers. */
static bool act(event_t ev, int what)
{
    uint64_t d;

    record(ev, what);
    d = hash_mix(seed ^ run.round * 0x9e3779b97f4a7c15ULL ^ (uint64_t)++run.step << 40);
    if (run.step > STEPS)
        return false;
    for (int k = 0; k < 2; k++, d = hash_mix(d)) {
        event_t other = pool_ev[d % npool];
        const struct ev_cb *cb = &fn[(d >> 16) % NFN];

        switch ((d >> 32) % 12) {
        case 0:
            change(run.child, other, cb, !run.naive, run.naive);
            break;
        case 1:
        case 2:
            change(run.child, other, NULL, !run.naive, run.naive);
            break;
        case 3:
            raise_some(other);
            break;
        case 4:
            if ((d >> 40) % 16 == 0)
                run.flags |= STOP;
            break;
        default:
            break;
        }
    }
    return (d >> 50) % 4 != 0;
}

static void cb0(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    act(ev, 0);
}

static void cb1(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    act(ev, 1);
}

static void cb2(mctx_t m, int sock, int side, event_t ev)
{
    act(ev, 2);
}

static void cb3(mctx_t m, int sock, int side, event_t ev)
{
    act(ev, 3);
}

static struct ev_cb fn[NFN] = {
    {.f5 = cb0}, {.f5 = cb1}, {.arity = EV_ARGS4, .f4 = cb2}, {.arity = EV_ARGS4, .f4 = cb3}};

static bool filter5(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return act(ev, -1);
}

static bool filter4(mctx_t m, int sock, int side, event_t ev)
{
    return act(ev, -1);
}

/* ---- the naive walk ------------------------------------------------------------------------ */

static bool may_run(const struct ev_member *m)
{
    const struct list_twin *now = &twin[run.child];
    int i = at(now, m->ev);

    return i >= 0 && ev_cb_same(&now->m[i].cb, &m->cb);
}

/*
 * Does ev lie at or below `top`, not counting what is raised by hand below it? *child is the event on
 * the way that is right below `top`.
 */
static bool lies_below(event_t ev, event_t top, event_t *child)
{
    *child = ev;
    while (ev != top) {
        const struct ude *u = ude_get(ev);

        if (!u || u->manual)
            return false;
        *child = ev;
        ev = u->base;
    }
    return true;
}

static bool any_may_run(event_t top)
{
    event_t child;

    for (uint32_t i = 0; i < run.snap->n; i++)
        if (lies_below(run.snap->m[i].ev, top, &child) && may_run(&run.snap->m[i]))
            return true;
    return false;
}

static bool stopped(void)
{
    return (run.flags & STOP) != 0;
}

static void naive_call(event_t ev)
{
    int i = at(run.snap, ev);

    if (i < 0 || stopped() || !may_run(&run.snap->m[i]))
        return;
    for (int k = 0; k < NFN; k++)
        if (ev_cb_same(&fn[k], &run.snap->m[i].cb))
            act(ev, k);
}

static void naive_below(event_t top)
{
    event_t seen[NUDE + EV_RANKS], child;
    uint32_t nseen = 0, k;

    for (uint32_t i = 0; i < run.snap->n; i++) {
        event_t ev = run.snap->m[i].ev;

        if (ev == top || !lies_below(ev, top, &child))
            continue;
        for (k = 0; k < nseen && seen[k] != child; k++)
            ;
        if (k < nseen)
            continue;
        seen[nseen++] = child;
        naive_visit(child);
    }
}

static void naive_visit(event_t ev)
{
    if (stopped() || !any_may_run(ev))
        return;
    if (!ude_get(ev)->manual && !act(ev, -1))
        return;
    naive_call(ev);
    naive_below(ev);
}

static int naive_raise(event_t ev)
{
    if (!ude_get(ev))
        errno = EINVAL;
    else if (run.depth >= 16)
        errno = ELOOP;
    else if (!any_may_run(ev))
        errno = ENOENT;
    else {
        run.depth++;
        naive_visit(ev);
        run.depth--;
        return 0;
    }
    return -1;
}

/* ---- one event told in both worlds --------------------------------------------------------- */

static void tell_real(enum ev_rank rank)
{
    run.naive = false;
    run.step = run.flags = 0;
    run.nlog[0] = 0;
    run.call =
        (struct ev_call){.tab = t, .setp = &set[run.child], .flags = &run.flags, .stop = STOP};
    if (evset_mask(t, set[run.child]) & EVB(rank))
        ev_dispatch(&run.call, rank);
}

static void tell_naive(enum ev_rank rank)
{
    struct list_twin snap = twin[run.child];

    run.naive = true;
    run.step = run.flags = 0;
    run.nlog[1] = 0;
    run.snap = &snap;
    naive_call(ev_builtin(rank));
    naive_below(ev_builtin(rank));
}

static void tell(int child, enum ev_rank rank)
{
    run.child = child;
    run.round++;
    tell_real(rank);
    tell_naive(rank);
    for (uint32_t i = 0; i < run.nlog[0] || i < run.nlog[1]; i++) {
        const struct entry *a = &run.log[0][i], *b = &run.log[1][i];

        if (i >= run.nlog[0] || i >= run.nlog[1] || a->ev != b->ev || a->what != b->what)
            fail_msg("seed %llu, dispatch %llu, step %u of %u/%u: 0x%llx %d, wanted 0x%llx %d",
                     (unsigned long long)seed, (unsigned long long)run.round, i, run.nlog[0],
                     run.nlog[1], (unsigned long long)a->ev, a->what, (unsigned long long)b->ev,
                     b->what);
    }
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void compare(int child)
{
    const struct list_twin *l = &twin[child];
    uint32_t mask = 0;
    struct ev_cb cb;

    assert_int_equal(evset_members(t, set[child]), l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        assert_true(evset_has(t, set[child], l->m[i].ev, &cb));
        assert_true(ev_cb_same(&cb, &l->m[i].cb));
        mask |= EVB(ude_root(l->m[i].ev));
    }
    assert_int_equal(evset_mask(t, set[child]), mask);
}

static bool same_list(const struct list_twin *a, const struct list_twin *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->m[i].ev != b->m[i].ev || !ev_cb_same(&a->m[i].cb, &b->m[i].cb))
            return false;
    return true;
}

/* As many sets as there are different lists, each with as many references as children. */
static void compare_all(void)
{
    uint32_t different = 0;

    for (int c = 0; c < CHILDREN; c++) {
        uint32_t refs = 0;
        bool first = twin[c].n > 0;

        compare(c);
        for (int k = 0; k < CHILDREN; k++) {
            assert_int_equal(same_list(&twin[c], &twin[k]), set[c] == set[k]);
            refs += set[c] == set[k];
            first &= !(k < c && set[c] == set[k]);
        }
        if (set[c])
            assert_int_equal(evset_at(t, set[c])->head.refs, refs);
        different += first;
    }
    assert_int_equal(evset_count(t), different);
    assert_true(evtab_check(t));
}

static void make_forest(struct rng *r)
{
    static const event_t root[] = {MOS_ON_PKT_IN, MOS_ON_CONN_NEW_DATA, MOS_ON_GAP,
                                   MOS_ON_CONN_END};

    npool = 0;
    for (size_t i = 0; i < ARRAY_SIZE(root); i++)
        pool_ev[npool++] = root[i];
    for (uint32_t i = 0; i < NUDE; i++) {
        event_t base = pool_ev[rng_below(r, npool)];
        struct ev_filter f = {.f5 = filter5};
        filter_arg_t arg = {&i, sizeof(i)};

        if (rng_below(r, 2))
            f = (struct ev_filter){.arity = EV_ARGS4, .f4 = filter4};
        pool_ev[npool++] = rng_below(r, 5) ? ude_define(base, &f, &arg) : ude_alloc(base);
    }
}

static void one_step(struct rng *r)
{
    static const enum ev_rank rank[] = {EV_PKT_IN, EV_NEW_DATA, EV_GAP, EV_CONN_END, EV_ERROR};
    int c = (int)rng_below(r, CHILDREN), from;
    event_t ev = pool_ev[rng_below(r, npool)];

    switch (rng_below(r, 10)) {
    case 0:
    case 1:
    case 2:
    case 3:
        change(c, ev, &fn[rng_below(r, NFN)], true, true);
        break;
    case 4:
        change(c, ev, NULL, true, true);
        break;
    case 5: /* a new flow inherits, an old one ends */
        from = (int)rng_below(r, CHILDREN);
        evset_ref(t, set[from]);
        evset_unref(t, set[c]);
        set[c] = set[from];
        twin[c] = twin[from];
        break;
    case 6:
        if (rng_below(r, 8) == 0) {
            evset_unref(t, set[c]);
            set[c] = 0;
            twin[c].n = 0;
        }
        evset_gc(t);
        break;
    default:
        tell(c, rank[rng_below(r, ARRAY_SIZE(rank))]);
        break;
    }
}

static void random_run(uint64_t s)
{
    struct rng r;

    seed = s;
    rng_seed(&r, s);
    t = evtab_create(NULL);
    t->keep = rng_below(&r, 2) ? 8 << 10 : 0;
    if (rng_below(&r, 4) == 0)
        t->hash_mask = 3; /* collisions all over */
    memset(set, 0, sizeof(set));
    memset(twin, 0, sizeof(twin));
    run.round = 0;
    make_forest(&r);
    for (int i = 0; i < 1500; i++) {
        one_step(&r);
        if (i % 100 == 99)
            compare_all();
    }
    for (int c = 0; c < CHILDREN; c++)
        evset_unref(t, set[c]);
    assert_int_equal(evset_count(t), 0);
    t->keep = 0;
    evset_gc(t);
    assert_int_equal(t->sets.used, 0);
    assert_int_equal(t->edges.used, 0);
    assert_int_equal(blkpool_used(&t->blks), 0);
    evtab_destroy(t);
    ude_forget_all();
}

static void against_the_naive_twin(void **state)
{
    const uint64_t one = env_number("SEED", 0), first = one ? one : 1, n = one ? 1 : 60;

    print_message("# seeds %llu to %llu\n", (unsigned long long)first,
                  (unsigned long long)(first + n - 1));
    for (uint64_t s = first; s < first + n; s++)
        random_run(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_naive_twin)};

    return cmocka_run_group_tests_name("evset_model", tests, NULL, NULL);
}
