// SPDX-License-Identifier: BSD-2-Clause
/* The forest of user-defined events: identity, arguments, roots, refusals, readers without lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "event/event.h"
#include "event/ude.h"

static bool f_yes(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return true;
}

static bool f_no(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return false;
}

static bool f_old(mctx_t m, int sock, int side, event_t ev)
{
    return true;
}

static const struct ev_filter yes = {.f5 = f_yes};
static const struct ev_filter no = {.f5 = f_no};
static const struct ev_filter old = {.arity = EV_ARGS4, .f4 = f_old};

static int forget(void **state)
{
    ude_forget_all();
    return 0;
}

static void built_ins_have_one_rank_each(void **state)
{
    static const event_t order[EV_RANKS] = {
        0x1,        0x2,  0x4,  0x8,        0x80,  0x200, 1ULL << 33, 0x20,
        1ULL << 32, 0x10, 0x40, 1ULL << 34, 0x100, 0x400, 0x800,
    };

    for (int r = 0; r < EV_RANKS; r++) {
        assert_int_equal(ev_rank_of(order[r]), r);
        assert_int_equal(ev_builtin((enum ev_rank)r), order[r]);
        assert_int_equal(ude_root(order[r]), r);
    }
    assert_string_equal(ev_name(MOS_ON_CONN_NEW_DATA), "MOS_ON_CONN_NEW_DATA");
    assert_string_equal(ev_name(MOS_ON_GAP), "MOS_ON_GAP");
    assert_null(ev_name(0));
    assert_null(ev_name(0x1000));
    assert_int_equal(ev_rank_of(0), -1);
    assert_int_equal(ev_rank_of(0x3), -1);
    assert_int_equal(ev_rank_of(1ULL << 35), -1);
}

static void ids_are_consecutive_from_0x1000(void **state)
{
    event_t a = ude_define(MOS_ON_PKT_IN, &yes, NULL), b, c;

    assert_int_equal(a, 0x1000);
    b = ude_define(a, &no, NULL);
    assert_int_equal(b, 0x1001);
    c = ude_define(b, &old, NULL);
    assert_int_equal(c, 0x1002);
    assert_int_equal(ude_root(c), EV_PKT_IN);
    assert_int_equal(ude_root(ude_define(MOS_ON_GAP, &yes, NULL)), EV_GAP);
}

static void the_same_definition_has_the_same_id(void **state)
{
    char x[] = "abc", y[] = "abc", z[] = "abd";
    filter_arg_t ax = {x, 3}, ay = {y, 3}, az = {z, 3}, shorter = {x, 2}, none = {NULL, 0};
    event_t a = ude_define(MOS_ON_PKT_IN, &yes, &ax);

    assert_int_equal(ude_define(MOS_ON_PKT_IN, &yes, &ay), a);
    assert_int_not_equal(ude_define(MOS_ON_PKT_IN, &yes, &az), a);
    assert_int_not_equal(ude_define(MOS_ON_PKT_IN, &yes, &shorter), a);
    assert_int_not_equal(ude_define(MOS_ON_PKT_IN, &no, &ax), a);
    assert_int_not_equal(ude_define(MOS_ON_CONN_START, &yes, &ax), a);
    assert_int_not_equal(ude_define(a, &yes, &ax), a);
    assert_int_not_equal(ude_define(MOS_ON_PKT_IN, &yes, NULL), a);
    assert_int_equal(ude_define(MOS_ON_PKT_IN, &yes, NULL), ude_define(MOS_ON_PKT_IN, &yes, &none));
    assert_int_equal(ude_define(MOS_ON_PKT_IN, &old, NULL), ude_define(MOS_ON_PKT_IN, &old, NULL));
    assert_int_equal(ude_define(MOS_ON_PKT_IN, &yes, &ax), a);
}

static void equal_hashes_are_told_apart(void **state)
{
    ude_hash_mask(0);
    the_same_definition_has_the_same_id(state);
    ude_hash_mask(UINT32_MAX);
}

static void arguments_are_copied(void **state)
{
    char bytes[] = "needle";
    filter_arg_t arg = {bytes, sizeof(bytes)}, empty = {bytes, 0};
    event_t a = ude_define(MOS_ON_PKT_IN, &yes, &arg);
    event_t b = ude_define(MOS_ON_PKT_IN, &no, &empty);

    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(ude_get(a)->arg.len, 7);
    assert_ptr_not_equal(ude_get(a)->arg.arg, bytes);
    assert_string_equal(ude_get(a)->arg.arg, "needle");
    assert_null(ude_get(b)->arg.arg);
    assert_int_equal(ude_get(b)->arg.len, 0);
}

static void refusals_say_why(void **state)
{
    struct ev_filter null5 = {0}, null4 = {.arity = EV_ARGS4};
    filter_arg_t bad = {NULL, 4};
    static const event_t unknown[] = {0, 3, 0x1000, 0xfff, 1ULL << 35, 1ULL << 40, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        errno = 0;
        assert_int_equal(ude_define(unknown[i], &yes, NULL), 0);
        assert_int_equal(errno, EINVAL);
        assert_non_null(strstr(err_text(), "no event"));
        errno = 0;
        assert_int_equal(ude_alloc(unknown[i]), 0);
        assert_int_equal(errno, EINVAL);
        errno = 0;
        assert_int_equal(ude_root(unknown[i]), -1);
        assert_int_equal(errno, EINVAL);
    }
    errno = 0;
    assert_int_equal(ude_define(MOS_ON_PKT_IN, &null5, NULL), 0);
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "filter"));
    assert_int_equal(ude_define(MOS_ON_PKT_IN, &null4, NULL), 0);
    assert_int_equal(ude_define(MOS_ON_PKT_IN, NULL, NULL), 0);
    errno = 0;
    assert_int_equal(ude_define(MOS_ON_PKT_IN, &yes, &bad), 0);
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(err_text(), "argument"));
    assert_int_equal(ude_define(MOS_ON_PKT_IN, &yes, NULL), 0x1000); /* nothing was used up */
}

static void each_allocated_event_is_new(void **state)
{
    event_t a = ude_alloc(MOS_ON_CONN_NEW_DATA), b = ude_alloc(MOS_ON_CONN_NEW_DATA);

    assert_int_not_equal(a, b);
    assert_true(ude_get(a)->manual);
    assert_int_equal(ude_root(b), EV_NEW_DATA);
    assert_int_equal(ude_root(ude_define(b, &yes, NULL)), EV_NEW_DATA);
    assert_int_not_equal(ude_alloc(a), 0);
}

#define MANY 20000u

static event_t numbered(uint32_t i)
{
    filter_arg_t arg = {&i, sizeof(i)};

    return ude_define(i ? UDE_FIRST + i / 2 : MOS_ON_PKT_IN, &yes, &arg);
}

static void many_stay_in_place(void **state)
{
    struct ude *first, *tenth;

    assert_int_equal(numbered(0), UDE_FIRST);
    first = ude_get(UDE_FIRST);
    for (uint32_t i = 1; i <= 10; i++)
        numbered(i - 1);
    tenth = ude_get(UDE_FIRST + 9);
    assert_null(ude_get(UDE_FIRST + 10));
    for (uint32_t i = 10; i < MANY; i++)
        assert_int_equal(numbered(i), UDE_FIRST + i);
    assert_ptr_equal(ude_get(UDE_FIRST), first);
    assert_ptr_equal(ude_get(UDE_FIRST + 9), tenth);
    for (uint32_t i = 1; i < MANY; i++) {
        uint32_t got;

        assert_int_equal(numbered(i), UDE_FIRST + i); /* found again */
        memcpy(&got, ude_get(UDE_FIRST + i)->arg.arg, sizeof(got));
        assert_int_equal(got, i);
    }
}

static atomic_bool writer_done;

/* What can be seen is complete. => how often it was not */
static void *reader(void *arg)
{
    uintptr_t wrong = 0;

    while (!atomic_load(&writer_done)) {
        for (uint32_t i = 0; i < MANY; i++) {
            const struct ude *u = ude_get(UDE_FIRST + i);
            uint32_t got;

            if (!u)
                break;
            memcpy(&got, u->arg.arg, sizeof(got));
            wrong += got != i || ude_root(UDE_FIRST + i) != EV_PKT_IN;
        }
    }
    return (void *)wrong;
}

static void readers_need_no_lock(void **state)
{
    pthread_t th[2];
    void *wrong;

    atomic_store(&writer_done, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&th[i], NULL, reader, NULL), 0);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(numbered(i), UDE_FIRST + i);
    atomic_store(&writer_done, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(th[i], &wrong);
        assert_null(wrong);
    }
}

static void *definer(void *arg)
{
    for (uint32_t i = 0; i < 2000; i++) {
        filter_arg_t a = {&i, sizeof(i)};

        ude_define(MOS_ON_PKT_IN, &yes, &a);
    }
    return NULL;
}

static void two_writers_agree(void **state)
{
    pthread_t th[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&th[i], NULL, definer, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(th[i], NULL);
    assert_non_null(ude_get(UDE_FIRST + 1999));
    assert_null(ude_get(UDE_FIRST + 2000));
}

static void forgotten_ids_begin_again(void **state)
{
    event_t a = ude_define(MOS_ON_PKT_IN, &yes, NULL);

    ude_forget_all();
    assert_int_equal(ude_root(a), -1);
    assert_int_equal(ude_define(MOS_ON_CONN_END, &no, NULL), a);
    assert_int_equal(ude_root(a), EV_CONN_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_ins_have_one_rank_each),
        cmocka_unit_test_teardown(ids_are_consecutive_from_0x1000, forget),
        cmocka_unit_test_teardown(the_same_definition_has_the_same_id, forget),
        cmocka_unit_test_teardown(equal_hashes_are_told_apart, forget),
        cmocka_unit_test_teardown(arguments_are_copied, forget),
        cmocka_unit_test_teardown(refusals_say_why, forget),
        cmocka_unit_test_teardown(each_allocated_event_is_new, forget),
        cmocka_unit_test_teardown(many_stay_in_place, forget),
        cmocka_unit_test_teardown(readers_need_no_lock, forget),
        cmocka_unit_test_teardown(two_writers_agree, forget),
        cmocka_unit_test_teardown(forgotten_ids_begin_again, forget),
    };

    return cmocka_run_group_tests_name("ude", tests, NULL, NULL);
}
