// SPDX-License-Identifier: BSD-2-Clause
/* The queue before standard output: with a reader, one who sleeps, one who has gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outqueue.h"

#define MANY    20000
#define PUTTERS 3

static int end[2]; /* of the pipe: read, write */
static int code_of_gone;

static void on_gone(void *arg, int code)
{
    code_of_gone = code;
}

static void begin(struct outqueue *q)
{
    code_of_gone = 0;
    assert_int_equal(pipe(end), 0);
    outqueue_init(q, end[1]);
    assert_int_equal(outqueue_start(q, on_gone, NULL), 0);
}

struct putter {
    struct outqueue *q;
    int number;
    pthread_t thread;
};

static void *put_many(void *arg)
{
    const struct putter *p = arg;
    char line[64];

    for (int i = 0; i < MANY; i++)
        outqueue_put(p->q, line, (size_t)snprintf(line, sizeof(line), "%d %d\n", p->number, i));
    return NULL;
}

/* read_lines: up to the end. *arg: those of each putter that were whole and in order. */
static void *read_lines(void *arg)
{
    FILE *f = fdopen(end[0], "r");
    char line[64];
    int who, i, *n = arg;

    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "%d %d\n", &who, &i) == 2 && who < PUTTERS && i == n[who])
            n[who]++;
    fclose(f);
    return NULL;
}

static void test_all_is_read(void **state)
{
    struct outqueue q;
    struct putter putter[PUTTERS];
    pthread_t reader;
    int lines[PUTTERS] = {0}, error;

    begin(&q);
    pthread_create(&reader, NULL, read_lines, lines);
    for (int i = 0; i < PUTTERS; i++) {
        putter[i] = (struct putter){.q = &q, .number = i};
        pthread_create(&putter[i].thread, NULL, put_many, &putter[i]);
    }
    for (int i = 0; i < PUTTERS; i++)
        pthread_join(putter[i].thread, NULL);
    outqueue_ending(&q);
    assert_int_equal(outqueue_finish(&q, &error), 0);
    assert_int_equal(error, 0);
    close(end[1]);
    pthread_join(reader, NULL);
    for (int i = 0; i < PUTTERS; i++)
        assert_int_equal(lines[i], MANY);
}

/* A record larger than all of the queue is taken; a second one has no room beside it. */
static void test_large(void **state)
{
    const size_t len = OUTQUEUE_BYTES + 5;
    char *text = calloc(1, len);
    struct outqueue q;
    int error;

    assert_non_null(text);
    begin(&q);
    outqueue_put(&q, text, len);
    outqueue_put(&q, text, 1);
    outqueue_ending(&q);
    assert_int_equal(outqueue_finish(&q, &error), 2);
    assert_int_equal(error, 0);
    close(end[0]);
    close(end[1]);
    free(text);
}

/* Nobody reads: what the pipe has is whole, all else is counted. */
static void test_asleep(void **state)
{
    static char text[1 << 17];
    char record[100];
    struct outqueue q;
    ssize_t len;
    int error;
    uint64_t lost;

    begin(&q);
    memset(record, 'x', sizeof(record));
    for (int i = 0; i < 2 * MANY; i++)
        outqueue_put(&q, record, sizeof(record));
    outqueue_put(&q, record, 0); /* nothing */
    outqueue_ending(&q);
    lost = outqueue_finish(&q, &error);
    close(end[1]);
    len = read(end[0], text, sizeof(text));
    close(end[0]);
    assert_true(len > 0);
    assert_int_equal(len / (ssize_t)sizeof(record) + (ssize_t)lost, 2 * MANY);
}

static void test_full(void **state)
{
    static char record[1 << 16];
    const unsigned most = OUTQUEUE_BYTES / sizeof(record);
    struct outqueue q;
    int error;

    begin(&q);
    for (unsigned i = 0; i < 2 * most; i++)
        outqueue_put(&q, record, sizeof(record));
    assert_true(q.dropped >= most - 1 && q.bytes <= OUTQUEUE_BYTES);
    outqueue_ending(&q);
    outqueue_put(&q, record, sizeof(record)); /* waits in vain */
    assert_true(outqueue_finish(&q, &error) >= 2 * most);
    close(end[0]);
    close(end[1]);
}

static void test_gone(void **state)
{
    struct outqueue q;
    int error;

    begin(&q);
    close(end[0]);
    outqueue_put(&q, "a\n", 2);
    outqueue_ending(&q);
    outqueue_put(&q, "b\n", 2);
    assert_int_equal(outqueue_finish(&q, &error), 2);
    assert_int_equal(error, EPIPE);
    assert_int_equal(code_of_gone, EPIPE);
    close(end[1]);
}

/* It was never started: nobody is waited for. */
static void test_not_started(void **state)
{
    struct outqueue q;
    int error;

    outqueue_init(&q, -1);
    outqueue_put(&q, "a\n", 2);
    outqueue_ending(&q);
    assert_int_equal(outqueue_finish(&q, &error), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_read), cmocka_unit_test(test_large),
        cmocka_unit_test(test_asleep),      cmocka_unit_test(test_full),
        cmocka_unit_test(test_gone),        cmocka_unit_test(test_not_started),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
