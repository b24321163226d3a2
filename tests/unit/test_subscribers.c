// SPDX-License-Identifier: BSD-2-Clause
/* Accounts of `weir abacus`: when there are too many, and put together. SUBSCRIBERS_MAX is 3 here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "subscribers.h"

static struct subscriber *get(struct subscribers *t, int number)
{
    const struct endpoint key = subscriber_number(number);

    return subscribers_get(t, &key, true);
}

static struct subscriber *get_address(struct subscribers *t, uint8_t last, bool proved)
{
    struct endpoint key = {.family = 2, .addr = {10, 0, 0, last}};

    return subscribers_get(t, &key, proved);
}

static void others_are_one(void **state)
{
    struct subscribers t = {.secret = 7};
    struct subscriber *first[3], *other;

    for (int i = 0; i < 3; i++) {
        first[i] = get(&t, i);
        assert_non_null(first[i]);
    }
    other = get(&t, 3);
    assert_non_null(other);
    assert_ptr_equal(get(&t, 4), other);
    assert_ptr_equal(get(&t, SUBSCRIBER_OTHERS), other);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(get(&t, i), first[i]); /* who is there already stays */
        assert_ptr_not_equal(first[i], other);
    }
    assert_int_equal(t.n, 4);
    subscribers_free(&t);
}

/* Who never got an answer takes half of the places at most, and knows its own again. */
static void doubtful_ones_take_half(void **state)
{
    struct subscribers t = {.secret = 7};
    struct subscriber *first, *second, *other;

    first = get_address(&t, 1, false);
    second = get_address(&t, 2, false);
    other = get_address(&t, 3, false);
    assert_ptr_equal(other, get(&t, SUBSCRIBER_OTHERS));
    assert_ptr_equal(get_address(&t, 4, false), other);
    assert_ptr_equal(get_address(&t, 1, true), first);
    assert_ptr_equal(get_address(&t, 2, false), second);
    subscribers_free(&t);

    t = (struct subscribers){.secret = 7};
    get_address(&t, 1, false);
    get_address(&t, 2, false);
    first = get_address(&t, 3, true);
    assert_ptr_not_equal(get_address(&t, 4, false), first);
    subscribers_free(&t);
}

/* Fewer still, if memory is scarce. */
static void fewer(void **state)
{
    struct subscribers t = {.secret = 7, .most = 1};
    struct subscriber *first = get(&t, 1), *other = get(&t, 2);

    assert_ptr_not_equal(first, other);
    assert_ptr_equal(get(&t, 3), other);
    subscribers_free(&t);
}

static void merged_are_others_too(void **state)
{
    struct subscribers t = {.secret = 7}, u = {.secret = 7};
    struct subscriber *s;

    for (int i = 0; i < 3; i++)
        get(&t, i)->conns = 1;
    for (int i = 2; i < 5; i++) {
        s = get(&u, i);
        s->conns = 10;
        s->way[UP] = (struct way){1, 2, 3, 4, 5, 6, 7, 8};
    }
    assert_true(subscribers_merge(&t, &u));
    assert_int_equal(u.n, 0);
    assert_int_equal(t.n, 4);
    assert_int_equal(get(&t, 2)->conns, 11);
    s = get(&t, SUBSCRIBER_OTHERS);
    assert_int_equal(s->conns, 20);
    assert_memory_equal(&s->way[UP], (&(struct way){2, 4, 6, 8, 10, 12, 14, 16}),
                        sizeof(struct way));
    subscribers_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_one),
        cmocka_unit_test(doubtful_ones_take_half),
        cmocka_unit_test(fewer),
        cmocka_unit_test(merged_are_others_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
