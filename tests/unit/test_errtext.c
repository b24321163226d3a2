// SPDX-License-Identifier: BSD-2-Clause
/* The error text, and the table of reasons. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "base/errtext.h"
#include "base/reasons.h"

static void sets_errno_and_text(void **state)
{
    err_clear();
    assert_string_equal(err_text(), "");
    errno = 0;
    assert_int_equal(err_set(EINVAL, "%s: %d", "x", 7), -1);
    assert_int_equal(errno, EINVAL);
    assert_string_equal(err_text(), "x: 7");
    assert_null(err_null(ENOENT, "gone"));
    assert_int_equal(errno, ENOENT);
    assert_string_equal(err_text(), "gone");
}

static void may_quote_itself(void **state)
{
    err_set(EIO, "disk");
    err_set(EPERM, "a: %s", err_text());
    assert_string_equal(err_text(), "a: disk");
    assert_int_equal(err_prefix("f:%d: ", 3), -1);
    assert_string_equal(err_text(), "f:3: a: disk");
    assert_int_equal(errno, EPERM);
    err_prefix("%s|", err_text());
    assert_string_equal(err_text(), "f:3: a: disk|f:3: a: disk");
}

static void is_cut_not_overrun(void **state)
{
    char big[2000];

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    err_set(EINVAL, "%s", big);
    assert_int_equal(strlen(err_text()), 511);
    err_prefix("front: ");
    assert_int_equal(strlen(err_text()), 511);
    assert_memory_equal(err_text(), "front: xxx", 10);
}

static void *other_thread(void *arg)
{
    *(bool *)arg = err_text()[0] == '\0';
    err_set(EIO, "theirs");
    return NULL;
}

static void is_per_thread(void **state)
{
    bool was_empty = false;
    pthread_t t;

    err_set(EIO, "mine");
    assert_int_equal(pthread_create(&t, NULL, other_thread, &was_empty), 0);
    pthread_join(t, NULL);
    assert_true(was_empty);
    assert_string_equal(err_text(), "mine");
}

static void reasons_have_unique_names(void **state)
{
    for (int i = 0; i < REASON_CNT; i++) {
        assert_true(strlen(reason_name(i)) > 3);
        assert_true(strlen(reason_text(i)) > 10);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(reason_name(i), reason_name(j));
    }
    assert_string_equal(reason_name(REASON_IP_TRUNCATED), "ip-truncated");
    assert_string_equal(reason_name(REASON_CNT), "?");
    assert_string_equal(reason_text((enum reason) - 1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_errno_and_text),       cmocka_unit_test(may_quote_itself),
        cmocka_unit_test(is_cut_not_overrun),        cmocka_unit_test(is_per_thread),
        cmocka_unit_test(reasons_have_unique_names),
    };
    return cmocka_run_group_tests_name("errtext", tests, NULL, NULL);
}
