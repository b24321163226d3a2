// SPDX-License-Identifier: BSD-2-Clause
/* The command's output queue without memory for a record, and without a thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "failing.h"
#include "outqueue.h"

static void on_gone(void *arg, int code)
{
}

/* The record is lost, and counted; those around it are written. */
static void test_no_memory(void **state)
{
    struct outqueue q;
    char text[8];
    int end[2], error;

    assert_int_equal(pipe(end), 0);
    outqueue_init(&q, end[1]);
    assert_int_equal(outqueue_start(&q, on_gone, NULL), 0);
    fail_arm(&fail_alloc, 2, 2);
    outqueue_put(&q, "1\n", 2);
    outqueue_put(&q, "2\n", 2);
    outqueue_put(&q, "3\n", 2);
    fail_disarm(&fail_alloc);
    outqueue_ending(&q);
    assert_int_equal(outqueue_finish(&q, &error), 1);
    assert_int_equal(read(end[0], text, sizeof(text)), 4);
    assert_memory_equal(text, "1\n3\n", 4);
    close(end[0]);
    close(end[1]);
}

static void test_no_thread(void **state)
{
    struct outqueue q;
    int error;

    outqueue_init(&q, STDOUT_FILENO);
    fail_arm(&fail_thread, 1, 1);
    assert_int_not_equal(outqueue_start(&q, on_gone, NULL), 0);
    fail_disarm(&fail_thread);
    outqueue_put(&q, "1\n", 2);
    outqueue_ending(&q);
    assert_int_equal(outqueue_finish(&q, &error), 1);
    assert_int_equal(error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_thread),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
