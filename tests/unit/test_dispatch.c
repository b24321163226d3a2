// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dispatch: order, nesting, arguments, and what happens to a walk whose set is changed by the callbacks and filters in it.
 * Every callback and filter writes a word to a log: "A.in" is function A on the event called "in", "f1" the filter of u1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "event/evset_int.h"

#define STOP 0x4

enum what { ADD, DEL, STOPPING, RAISE };

struct action {
    const char *at; /* done when this word is logged, each time */
    const char *ev;
    enum what what;
    char fn;
};

/* The forest of these tests; (n) is a node without callback in the set `usual`. */
enum { IN, GAP, U1, U2, U3, U4, U5, H, HU, HH, NAMES };
static const char *const name[NAMES] = {"in", "gap", "u1", "u2", "u3", "u4", "u5", "h", "hu", "hh"};
static event_t ev[NAMES];
static bool says[NAMES]; /* what each filter says */

static struct memacct acct;
static struct evtab *t;
static uint32_t set;
static uint16_t flags;
static struct ev_call *now; /* the call that is walked */
static const struct action *script;
static size_t nscript;
static char logged[4096];
static struct mtcp_context ctx;
static bool args_ok;
static int raised, raise_errno;

static int named(const char *s)
{
    for (int i = 0; i < NAMES; i++)
        if (strcmp(name[i], s) == 0)
            return i;
    fail_msg("no event %s", s);
    return 0;
}

static int name_of(event_t e)
{
    for (int i = 0; i < NAMES; i++)
        if (ev[i] == e)
            return i;
    fail_msg("called for event 0x%llx", (unsigned long long)e);
    return 0;
}

/* ---- functions ---------------------------------------------------------------------------- */

static struct ev_cb fn_cb(char c);

static void perform(const struct action *a)
{
    struct ev_cb cb;
    uint32_t n;

    switch (a->what) {
    case ADD:
        cb = fn_cb(a->fn);
        n = evset_add(t, set, ev[named(a->ev)], &cb);
        evset_unref(t, set);
        set = n;
        break;
    case DEL:
        n = evset_del(t, set, ev[named(a->ev)]);
        evset_unref(t, set);
        set = n;
        break;
    case STOPPING:
        flags |= STOP;
        break;
    case RAISE:
        raised = ev_raise(now, ev[named(a->ev)]);
        raise_errno = raised ? errno : 0;
        break;
    }
}

static void note(const char *word)
{
    size_t n = strlen(logged);

    snprintf(logged + n, sizeof(logged) - n, "%s%s", n ? " " : "", word);
    for (size_t i = 0; i < nscript; i++)
        if (strcmp(script[i].at, word) == 0)
            perform(&script[i]);
}

/* The argument of each event is its own name, built-ins and hand-raised events have none. */
static void called(char fn, mctx_t m, int sock, int side, event_t e, const filter_arg_t *arg)
{
    char word[32];
    int i = name_of(e);

    args_ok &= m == &ctx && sock == 7 && side == MOS_SIDE_SVR;
    if (fn != 'D' && fn != 'f') { /* those of four arguments do not know */
        bool none = i == IN || i == GAP || i == H || i == HH;

        if (!arg)
            args_ok = false;
        else if (none)
            args_ok &= !arg->arg && arg->len == 0;
        else
            args_ok &= arg->len == 2 && memcmp(arg->arg, name[i], 2) == 0;
    }
    snprintf(word, sizeof(word), "%c.%s", fn, name[i]);
    if (fn == 'f' || fn == 'F')
        snprintf(word, sizeof(word), "f%s", name[i] + (name[i][0] == 'u'));
    note(word);
}

static void fn_a(mctx_t m, int sock, int side, event_t e, filter_arg_t *arg)
{
    called('A', m, sock, side, e, arg);
}

static void fn_b(mctx_t m, int sock, int side, event_t e, filter_arg_t *arg)
{
    called('B', m, sock, side, e, arg);
}

static void fn_d(mctx_t m, int sock, int side, event_t e)
{
    called('D', m, sock, side, e, NULL);
}

static struct ev_cb fn_cb(char c)
{
    struct ev_cb cb = {.arity = c == 'D' ? EV_ARGS4 : EV_ARGS5};

    if (c == 'D')
        cb.f4 = fn_d;
    else
        cb.f5 = c == 'A' ? fn_a : fn_b;
    return cb;
}

static bool filter5(mctx_t m, int sock, int side, event_t e, filter_arg_t *arg)
{
    called('F', m, sock, side, e, arg);
    return says[name_of(e)];
}

static bool filter4(mctx_t m, int sock, int side, event_t e)
{
    called('f', m, sock, side, e, NULL);
    return says[name_of(e)];
}

/* ---- set-up ------------------------------------------------------------------------------- */

static void define(int i, int base, bool old)
{
    struct ev_filter f = {.arity = old ? EV_ARGS4 : EV_ARGS5};
    char bytes[2] = {name[i][0], name[i][1]};
    filter_arg_t arg = {bytes, 2};

    if (old)
        f.f4 = filter4;
    else
        f.f5 = filter5;
    ev[i] = ude_define(ev[base], &f, &arg);
    assert_int_not_equal(ev[i], 0);
}

static int setup(void **state)
{
    acct = (struct memacct){0};
    t = evtab_create(&acct);
    t->keep = 0;
    set = flags = 0;
    script = NULL;
    nscript = 0;
    logged[0] = 0;
    args_ok = true;
    raised = 99;
    memset(says, true, sizeof(says));
    ev[IN] = MOS_ON_PKT_IN;
    ev[GAP] = MOS_ON_GAP;
    define(U1, IN, false);
    define(U2, U1, true);
    define(U3, IN, false);
    define(U4, U3, false);
    define(U5, IN, false);
    ev[H] = ude_alloc(ev[IN]);
    define(HU, H, false);
    ev[HH] = ude_alloc(ev[H]);
    return 0;
}

static int teardown(void **state)
{
    bool ok;

    evset_unref(t, set);
    evset_gc(t);
    ok = evset_count(t) == 0 && t->sets.used == 0 && t->edges.used == 0 && evtab_check(t);
    evtab_destroy(t);
    ude_forget_all();
    return ok && args_ok ? 0 : -1;
}

/* "A.in A.u1": register these, in this order. */
static void want_set(const char *members)
{
    char buf[256], *save, *w;

    evset_unref(t, set);
    set = 0;
    snprintf(buf, sizeof(buf), "%s", members);
    for (w = strtok_r(buf, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        struct action a = {.what = ADD, .ev = w + 2, .fn = w[0]};

        perform(&a);
    }
}

static const char *tell(enum ev_rank rank)
{
    struct ev_call c = {.tab = t, .setp = &set, .flags = &flags, .stop = STOP};
    struct ev_call *outer = now;

    c.mctx = &ctx;
    c.sock = 7;
    c.side = MOS_SIDE_SVR;
    now = &c;
    logged[0] = 0;
    ev_dispatch(&c, rank);
    now = outer;
    return logged;
}

/* ---- order and arguments ------------------------------------------------------------------ */

static void base_first_then_registration_depth_first(void **state)
{
    static const struct {
        const char *members, *want;
    } row[] = {
        {"", ""},
        {"A.in", "A.in"},
        {"A.gap", ""},
        {"A.u1", "f1 A.u1"},
        {"A.u1 A.in", "A.in f1 A.u1"},
        {"A.u2", "f1 f2 A.u2"},
        {"A.u2 A.u1", "f1 A.u1 f2 A.u2"},
        {"A.u3 A.u1", "f3 A.u3 f1 A.u1"},
        {"A.u1 A.u3", "f1 A.u1 f3 A.u3"},
        {"A.u2 A.u3 A.u1", "f1 A.u1 f2 A.u2 f3 A.u3"},
        {"A.u4 A.u5 A.u3 A.u1", "f3 A.u3 f4 A.u4 f5 A.u5 f1 A.u1"},
        {"A.gap A.u5 D.u2 B.u4 D.in", "D.in f5 A.u5 f1 f2 D.u2 f3 f4 B.u4"},
        {"A.u1 B.u1", "f1 B.u1"},
        {"A.u1 A.u3 B.u1", "f1 B.u1 f3 A.u3"},
        {"A.h A.hu A.in", "A.in"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
        want_set(row[i].members);
        assert_string_equal(tell(EV_PKT_IN), row[i].want);
        assert_true(evtab_check(t));
    }
}

static void removal_gives_up_the_place(void **state)
{
    struct action out = {.what = DEL, .ev = "u1"}, in = {.what = ADD, .ev = "u1", .fn = 'A'};

    want_set("A.u1 A.u3 A.in");
    perform(&out);
    assert_string_equal(tell(EV_PKT_IN), "A.in f3 A.u3");
    perform(&in);
    assert_string_equal(tell(EV_PKT_IN), "A.in f3 A.u3 f1 A.u1");
}

static void a_filter_that_says_no_hides_what_is_below(void **state)
{
    want_set("A.in A.u1 A.u2 A.u4 A.u5");
    says[U1] = false;
    assert_string_equal(tell(EV_PKT_IN), "A.in f1 f3 f4 A.u4 f5 A.u5");
    says[U1] = true;
    says[U2] = says[U3] = false;
    assert_string_equal(tell(EV_PKT_IN), "A.in f1 A.u1 f2 f3 f5 A.u5");
}

static void two_sets_with_equal_members_in_different_order(void **state)
{
    uint32_t first;

    want_set("A.u1 A.u3");
    first = set;
    evset_ref(t, first);
    want_set("A.u3 A.u1");
    assert_int_not_equal(set, first);
    assert_string_equal(tell(EV_PKT_IN), "f3 A.u3 f1 A.u1");
    evset_unref(t, set);
    set = first;
    assert_string_equal(tell(EV_PKT_IN), "f1 A.u1 f3 A.u3");
}

static void colliding_ids_run_their_own(void **state)
{
    uint32_t first;

    t->hash_mask = 0;
    want_set("A.u1");
    first = set;
    evset_ref(t, first);
    want_set("A.u3");
    assert_string_equal(tell(EV_PKT_IN), "f3 A.u3");
    want_set("B.u1");
    assert_string_equal(tell(EV_PKT_IN), "f1 B.u1");
    evset_unref(t, set);
    set = first;
    assert_string_equal(tell(EV_PKT_IN), "f1 A.u1");
}

static void no_flags_is_no_stop(void **state)
{
    struct ev_call c = {.tab = t, .setp = &set, .stop = 0xffff, .mctx = &ctx, .sock = 7};

    c.side = MOS_SIDE_SVR;
    want_set("A.in A.u1");
    ev_dispatch(&c, EV_PKT_IN);
    assert_string_equal(logged, "A.in f1 A.u1");
}

/* ---- changes inside the walk -------------------------------------------------------------- */

#define USUAL "A.in A.u1 A.u2 A.u4"
#define ALL   "A.in f1 A.u1 f2 A.u2 f3 f4 A.u4"

/* The set is USUAL; u5 is outside of it, u3 is only on the way to u4. */
static const struct {
    struct action act[3];
    const char *want, *then; /* this event and the next, which has no actions */
} change[] = {
    /* added: waits for the next event, wherever it was added and wherever it belongs */
    {{{"A.in", "u5", ADD, 'B'}}, ALL, ALL " f5 B.u5"},
    {{{"A.u4", "u5", ADD, 'B'}}, ALL, ALL " f5 B.u5"},
    {{{"f1", "u5", ADD, 'B'}}, ALL, ALL " f5 B.u5"},
    {{{"A.in", "u3", ADD, 'B'}}, ALL, "A.in f1 A.u1 f2 A.u2 f3 B.u3 f4 A.u4"},
    {{{"f3", "u3", ADD, 'B'}}, ALL, "A.in f1 A.u1 f2 A.u2 f3 B.u3 f4 A.u4"},
    {{{"f2", "gap", ADD, 'B'}}, ALL, ALL},
    /* removed: does not run if it has not yet */
    {{{"A.in", "in", DEL, 0}}, ALL, "f1 A.u1 f2 A.u2 f3 f4 A.u4"},
    {{{"A.in", "u1", DEL, 0}}, "A.in f1 f2 A.u2 f3 f4 A.u4", "A.in f1 f2 A.u2 f3 f4 A.u4"},
    {{{"A.in", "u2", DEL, 0}}, "A.in f1 A.u1 f3 f4 A.u4", "A.in f1 A.u1 f3 f4 A.u4"},
    {{{"A.in", "u4", DEL, 0}}, "A.in f1 A.u1 f2 A.u2", "A.in f1 A.u1 f2 A.u2"},
    {{{"A.in", "u1", DEL, 0}, {"A.in", "u2", DEL, 0}}, "A.in f3 f4 A.u4", "A.in f3 f4 A.u4"},
    {{{"f1", "u1", DEL, 0}}, "A.in f1 f2 A.u2 f3 f4 A.u4", "A.in f1 f2 A.u2 f3 f4 A.u4"},
    {{{"f1", "u2", DEL, 0}}, "A.in f1 A.u1 f3 f4 A.u4", "A.in f1 A.u1 f3 f4 A.u4"},
    {{{"f1", "u4", DEL, 0}}, "A.in f1 A.u1 f2 A.u2", "A.in f1 A.u1 f2 A.u2"},
    {{{"A.u1", "u1", DEL, 0}}, ALL, "A.in f1 f2 A.u2 f3 f4 A.u4"},
    {{{"A.u1", "u2", DEL, 0}}, "A.in f1 A.u1 f3 f4 A.u4", "A.in f1 A.u1 f3 f4 A.u4"},
    {{{"f2", "u2", DEL, 0}}, "A.in f1 A.u1 f2 f3 f4 A.u4", "A.in f1 A.u1 f3 f4 A.u4"},
    {{{"f2", "u1", DEL, 0}}, ALL, "A.in f1 f2 A.u2 f3 f4 A.u4"},
    {{{"A.u2", "u4", DEL, 0}}, "A.in f1 A.u1 f2 A.u2", "A.in f1 A.u1 f2 A.u2"},
    {{{"f3", "u4", DEL, 0}}, "A.in f1 A.u1 f2 A.u2 f3", "A.in f1 A.u1 f2 A.u2"},
    {{{"f4", "u4", DEL, 0}}, "A.in f1 A.u1 f2 A.u2 f3 f4", "A.in f1 A.u1 f2 A.u2"},
    {{{"A.u4", "u4", DEL, 0}}, ALL, "A.in f1 A.u1 f2 A.u2"},
    {{{"A.in", "gap", DEL, 0}}, ALL, ALL},
    /* replaced: neither the old nor the new function */
    {{{"A.in", "u1", ADD, 'B'}}, "A.in f1 f2 A.u2 f3 f4 A.u4", "A.in f1 B.u1 f2 A.u2 f3 f4 A.u4"},
    {{{"A.in", "u1", ADD, 'D'}}, "A.in f1 f2 A.u2 f3 f4 A.u4", "A.in f1 D.u1 f2 A.u2 f3 f4 A.u4"},
    {{{"f1", "u1", ADD, 'B'}}, "A.in f1 f2 A.u2 f3 f4 A.u4", "A.in f1 B.u1 f2 A.u2 f3 f4 A.u4"},
    {{{"A.u1", "u1", ADD, 'B'}}, ALL, "A.in f1 B.u1 f2 A.u2 f3 f4 A.u4"},
    {{{"A.in", "u2", ADD, 'B'}}, "A.in f1 A.u1 f3 f4 A.u4", "A.in f1 A.u1 f2 B.u2 f3 f4 A.u4"},
    {{{"f2", "u2", ADD, 'B'}}, "A.in f1 A.u1 f2 f3 f4 A.u4", "A.in f1 A.u1 f2 B.u2 f3 f4 A.u4"},
    {{{"f3", "u4", ADD, 'B'}}, "A.in f1 A.u1 f2 A.u2 f3", "A.in f1 A.u1 f2 A.u2 f3 f4 B.u4"},
    {{{"A.in", "in", ADD, 'B'}}, ALL, "B.in f1 A.u1 f2 A.u2 f3 f4 A.u4"},
    /* the same function again is no change; out and in again goes to the end but runs in its turn */
    {{{"A.in", "u1", ADD, 'A'}}, ALL, ALL},
    {{{"A.in", "u1", DEL, 0}, {"A.in", "u1", ADD, 'A'}}, ALL, ALL},
    {{{"A.in", "u4", DEL, 0}, {"f1", "u4", ADD, 'A'}}, ALL, ALL},
    {{{"A.in", "u1", DEL, 0}, {"A.in", "u2", DEL, 0}, {"A.in", "u1", ADD, 'A'}},
     "A.in f1 A.u1 f3 f4 A.u4",
     "A.in f3 f4 A.u4 f1 A.u1"},
    {{{"A.in", "u1", ADD, 'B'}, {"f1", "u1", ADD, 'A'}}, ALL, ALL},
    {{{"A.u1", "in", DEL, 0}, {"A.u1", "u1", DEL, 0}, {"f2", "u4", DEL, 0}},
     "A.in f1 A.u1 f2 A.u2",
     "f1 f2 A.u2"},
    /* the end of monitoring ends the walk, at once */
    {{{"A.in", NULL, STOPPING, 0}}, "A.in", ""},
    {{{"f1", NULL, STOPPING, 0}}, "A.in f1", ""},
    {{{"A.u1", NULL, STOPPING, 0}}, "A.in f1 A.u1", ""},
    {{{"f3", NULL, STOPPING, 0}}, "A.in f1 A.u1 f2 A.u2 f3", ""},
    {{{"A.u1", "u2", DEL, 0}, {"A.u1", NULL, STOPPING, 0}}, "A.in f1 A.u1", ""},
};

static void changes_inside_the_walk(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(change); i++) {
        flags = 0;
        want_set(USUAL);
        script = change[i].act;
        for (nscript = 0; nscript < 3 && change[i].act[nscript].at; nscript++)
            ;
        if (strcmp(tell(EV_PKT_IN), change[i].want) != 0)
            fail_msg("row %zu: \"%s\", wanted \"%s\"", i, logged, change[i].want);
        nscript = 0;
        if (strcmp(tell(EV_PKT_IN), change[i].then) != 0)
            fail_msg("row %zu, then: \"%s\", wanted \"%s\"", i, logged, change[i].then);
        assert_true(evtab_check(t));
        evset_gc(t);
    }
}

/* The walked set loses its last user in the walk; everything at once. */
static void the_walked_set_may_die(void **state)
{
    static const struct action act[] = {
        {"A.in", "in", DEL, 0}, {"A.in", "u1", DEL, 0},   {"A.in", "u2", DEL, 0},
        {"A.in", "u4", DEL, 0}, {"A.in", "u5", ADD, 'B'}, {"A.in", "gap", ADD, 'B'},
    };

    want_set(USUAL);
    script = act;
    nscript = ARRAY_SIZE(act);
    assert_string_equal(tell(EV_PKT_IN), "A.in");
    evset_gc(t);
    nscript = 0;
    assert_string_equal(tell(EV_PKT_IN), "f5 B.u5");
    assert_string_equal(tell(EV_GAP), "B.gap");
}

static void nothing_is_allocated_by_walks_and_known_changes(void **state)
{
    static const struct action act[] = {{"A.u1", "u2", DEL, 0}, {"f3", "u2", ADD, 'A'}};
    uint64_t allocs = 0;

    script = act;
    nscript = 2;
    want_set(USUAL);
    for (int i = 0; i < 100; i++) {
        tell(EV_PKT_IN);
        if (i == 2)
            allocs = acct.allocs;
        if (i % 2)
            evset_gc(t);
    }
    assert_int_equal(acct.allocs, allocs);
}

/* ---- raised by hand ----------------------------------------------------------------------- */

static const struct {
    const char *members;
    struct action act;
    const char *want;
    int err;
} raise_row[] = {
    {"A.in B.h", {"A.in", "h", RAISE, 0}, "A.in B.h", 0},
    {"A.in B.h A.hu", {"A.in", "h", RAISE, 0}, "A.in B.h fhu A.hu", 0},
    {"A.hu A.in", {"A.in", "h", RAISE, 0}, "A.in fhu A.hu", 0},
    {"A.in B.h A.hu", {"A.in", "hu", RAISE, 0}, "A.in fhu A.hu", 0},
    {"A.in A.u1", {"A.in", "u1", RAISE, 0}, "A.in f1 A.u1 f1 A.u1", 0}, /* and again in its turn */
    {"A.in A.u2", {"A.in", "u2", RAISE, 0}, "A.in f2 A.u2 f1 f2 A.u2", 0},
    {"A.in A.u4", {"A.in", "u3", RAISE, 0}, "A.in f3 f4 A.u4 f3 f4 A.u4", 0},
    {"A.u1 B.h A.u3", {"f1", "h", RAISE, 0}, "f1 B.h A.u1 f3 A.u3", 0},
    {"A.in B.h A.hh", {"A.in", "h", RAISE, 0}, "A.in B.h", 0}, /* each is raised for itself */
    {"A.in B.h A.hh", {"A.in", "hh", RAISE, 0}, "A.in A.hh", 0},
    {"A.in A.hh", {"A.in", "h", RAISE, 0}, "A.in", ENOENT},
    {"A.in", {"A.in", "h", RAISE, 0}, "A.in", ENOENT},
    {"A.in A.u4", {"A.in", "u5", RAISE, 0}, "A.in f3 f4 A.u4", ENOENT},
    {"A.in B.h", {"A.in", "in", RAISE, 0}, "A.in", EINVAL},
    {"A.in B.gap", {"A.in", "gap", RAISE, 0}, "A.in", EINVAL},
};

static void raising(void **state)
{
    nscript = 1;
    for (size_t i = 0; i < ARRAY_SIZE(raise_row); i++) {
        nscript = 0;
        want_set(raise_row[i].members);
        script = &raise_row[i].act;
        nscript = 1;
        if (strcmp(tell(EV_PKT_IN), raise_row[i].want) != 0)
            fail_msg("row %zu: \"%s\", wanted \"%s\"", i, logged, raise_row[i].want);
        if (raised != (raise_row[i].err ? -1 : 0) || raise_errno != raise_row[i].err)
            fail_msg("row %zu: %d, errno %d", i, raised, raise_errno);
        assert_true(!raised || err_text()[0]);
    }
}

static void raising_an_unknown_event(void **state)
{
    struct ev_call c = {.tab = t, .setp = &set};
    static const event_t unknown[] = {0, 0x1800, 3, 1ULL << 40 | 0x1000};

    want_set("A.in");
    ev_dispatch(&c, EV_GAP);
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        errno = 0;
        assert_int_equal(ev_raise(&c, unknown[i]), -1);
        assert_int_equal(errno, EINVAL);
        assert_non_null(strstr(err_text(), "user-defined"));
    }
}

static void raising_after_a_change(void **state)
{
    static const struct action out[] = {{"A.in", "h", DEL, 0}, {"A.in", "h", RAISE, 0}};
    static const struct action in[] = {{"A.in", "h", ADD, 'B'}, {"A.in", "h", RAISE, 0}};

    want_set("A.in B.h");
    script = out;
    nscript = 2;
    assert_string_equal(tell(EV_PKT_IN), "A.in");
    assert_int_equal(raise_errno, ENOENT);
    nscript = 0;
    want_set("A.in");
    script = in;
    nscript = 2;
    assert_string_equal(tell(EV_PKT_IN), "A.in"); /* added ones wait for the next event */
    assert_int_equal(raise_errno, ENOENT);
    assert_string_equal(tell(EV_PKT_IN), "A.in B.h");
}

static void changes_inside_a_raised_event_reach_the_outer_walk(void **state)
{
    static const struct action act[] = {
        {"A.in", "h", RAISE, 0}, {"B.h", "u1", DEL, 0}, {"B.h", "hu", DEL, 0}};
    static const struct action stop[] = {{"A.in", "h", RAISE, 0}, {"B.h", NULL, STOPPING, 0}};

    want_set("A.in B.h A.hu A.u1 A.u3");
    script = act;
    nscript = 3;
    assert_string_equal(tell(EV_PKT_IN), "A.in B.h f3 A.u3");
    nscript = 0;
    want_set("A.in B.h A.hu A.u1 A.u3");
    script = stop;
    nscript = 2;
    assert_string_equal(tell(EV_PKT_IN), "A.in B.h");
}

static void endless_raising_is_refused(void **state)
{
    static const struct action act[] = {{"A.in", "h", RAISE, 0}, {"B.h", "h", RAISE, 0}};
    int n = 0;

    want_set("A.in B.h");
    script = act;
    nscript = 1;
    tell(EV_PKT_IN);
    assert_int_equal(raised, 0);
    nscript = 2;
    tell(EV_PKT_IN);
    for (const char *p = logged; (p = strstr(p, "B.h")) != NULL; p++)
        n++;
    assert_int_equal(n, 16);
    nscript = 1;
    assert_string_equal(tell(EV_PKT_IN), "A.in B.h"); /* and it works again */
    assert_int_equal(raised, 0);
}

static void nesting_counts_outer_calls(void **state)
{
    struct ev_call c[18] = {{0}};

    want_set("A.gap B.h");
    for (int i = 0; i < 18; i++) {
        c[i] = (struct ev_call){.tab = t, .setp = &set, .mctx = &ctx, .sock = 7};
        c[i].side = MOS_SIDE_SVR;
        c[i].outer = i ? &c[i - 1] : NULL;
        ev_dispatch(&c[i], EV_PKT_IN);
    }
    assert_int_equal(ev_raise(&c[0], ev[H]), 0);
    assert_int_equal(ev_raise(&c[15], ev[H]), 0);
    errno = 0;
    assert_int_equal(ev_raise(&c[16], ev[H]), -1);
    assert_int_equal(errno, ELOOP);
    assert_non_null(strstr(err_text(), "16"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(base_first_then_registration_depth_first),
        T(removal_gives_up_the_place),
        T(a_filter_that_says_no_hides_what_is_below),
        T(two_sets_with_equal_members_in_different_order),
        T(colliding_ids_run_their_own),
        T(no_flags_is_no_stop),
        T(changes_inside_the_walk),
        T(the_walked_set_may_die),
        T(nothing_is_allocated_by_walks_and_known_changes),
        T(raising),
        T(raising_an_unknown_event),
        T(raising_after_a_change),
        T(changes_inside_a_raised_event_reach_the_outer_walk),
        T(endless_raising_is_refused),
        T(nesting_counts_outer_calls),
    };

    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
