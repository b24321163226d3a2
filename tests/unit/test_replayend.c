// SPDX-License-Identifier: BSD-2-Clause
/* Capture files that end early: stopped in the middle, broken, without room. */
#include "replay_fix.h"

/* ---- stops in the middle ---- */

static const struct plan long_one = {
    .in = {"s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap",
           "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap",
           "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap", "s-ftp-80-flows.pcap"},
    .batch = 64,
    .quiet = 1,
};
enum { LONG_ONE = 9 * 748 }; /* packets of connections; the rest comes after their ends */

static mctx_t all_ctx[CORES];

static void keep_ctx(mctx_t *ctx)
{
    memcpy(all_ctx, ctx, sizeof(all_ctx));
}

static void destroy_mine(mctx_t c, int sock, int side, event_t ev)
{
    if (logs[c->cpu].packets != 100 || ev != MOS_ON_PKT_IN)
        return;
    if (mtcp_destroy_context(c) != 0)
        abort();
    errno = 0;
    if (mtcp_destroy_context(c) != -1 || errno != EPERM)
        abort();
}

static void destroyed_in_a_callback(void **state)
{
    for (int cores = 1; cores <= 3; cores++) {
        struct plan p = long_one;
        char *text;

        p.cores = cores;
        p.change = destroy_mine;
        text = run(&p);
        assert_in_range(total(text, "packets"), 100 * cores,
                        (100 + 64) * cores); /* the batch at hand, no more */
        assert_true(total(text, "ends") < 80);
        assert_int_equal(total(text, "errno"), 0);
    }
}

/* One context goes, the others are not disturbed: theirs is the same log as without it. */
static void destroy_context_1(mctx_t c, int sock, int side, event_t ev)
{
    if (c->cpu == 1)
        destroy_mine(c, sock, side, ev);
}

static void one_of_several_destroyed(void **state)
{
    struct plan p = long_one;
    char *text, *whole;
    int n = 0;

    p.cores = 3;
    whole = run(&p);
    assert_int_equal(total(whole, "packets"), LONG_ONE);
    p.change = destroy_context_1;
    text = run(&p);
    assert_in_range(total(text, "packets"), LONG_ONE / 3, LONG_ONE - 1000);
    for (char *save = NULL, *s = strtok_r(text, "\n", &save); s && strncmp(s, "TOTAL", 5);
         s = strtok_r(NULL, "\n", &save), n++)
        if (strstr(whole, s) == NULL)
            fail_msg("only without context 1: %s", s);
    assert_true(n > 1000);
}

static sem_t reached;

static void slow_down(mctx_t c, int sock, int side, event_t ev)
{
    if (ev != MOS_ON_PKT_IN || logs[c->cpu].packets < 100)
        return;
    if (logs[c->cpu].packets == 100)
        sem_post(&reached);
    usleep(1000);
}

static void *destroy_all(void *arg)
{
    for (int i = 0; i < CORES; i++) {
        if (i == 0)
            sem_wait(&reached);
        if (all_ctx[i] && mtcp_destroy_context(all_ctx[i]) != 0)
            abort();
    }
    return NULL;
}

static void start_destroyer(mctx_t *ctx)
{
    keep_ctx(ctx);
    sem_init(&reached, 0, 0);
    pthread_create(&destroyer, NULL, destroy_all, NULL);
}

static void destroyed_by_another_thread(void **state)
{
    for (int cores = 1; cores <= 3; cores += 2) {
        struct plan p = long_one;
        char *text;

        p.cores = cores;
        p.change = slow_down;
        p.also = start_destroyer;
        text = run(&p);
        assert_in_range(total(text, "packets"), 100, LONG_ONE / 2);
    }
}

static void interrupt_early(mctx_t c, int sock, int side, event_t ev)
{
    static int once;

    if (ev == MOS_ON_PKT_IN && logs[c->cpu].packets == 40 &&
        !__atomic_exchange_n(&once, 1, __ATOMIC_RELAXED))
        kill(getpid(), SIGINT);
    if (__atomic_load_n(&once, __ATOMIC_RELAXED) && ev == MOS_ON_PKT_IN)
        usleep(100);
}

/* Without a handler of the program's: every context ends in good order, every flow with its CONN_END. */
static void interrupted(void **state)
{
    for (int cores = 1; cores <= 3; cores += 2) {
        struct plan p = long_one;
        char *text;

        p.cores = cores;
        p.change = interrupt_early;
        text = run(&p);
        assert_in_range(total(text, "packets"), 40, LONG_ONE - 1000);
        assert_int_equal(count(text, " S0 4 "), total(text, "ends")); /* CONN_START, CONN_END */
        assert_int_equal(total(text, "errno"), 0);
    }
}

static void on_sigint(int sig)
{
    for (int i = 0; i < CORES; i++)
        if (all_ctx[i])
            mtcp_destroy_context(all_ctx[i]);
}

static void handle_sigint(mctx_t *ctx)
{
    keep_ctx(ctx);
    if (mtcp_register_signal(SIGINT, on_sigint) != SIG_DFL)
        abort();
}

/* As programs for mOS do: the handler destroys all contexts while main waits in mtcp_app_join. */
static void interrupted_with_a_handler(void **state)
{
    for (int cores = 1; cores <= 3; cores += 2) {
        struct plan p = long_one;
        char *text;

        p.cores = cores;
        p.change = interrupt_early;
        p.also = handle_sigint;
        text = run(&p);
        assert_in_range(total(text, "packets"), 40, LONG_ONE - 1000);
        assert_null(strstr(text, "reason 5"));
    }
}

/* ---- broken input ---- */

static void cut_off_input(void **state)
{
    char cut[] = "/tmp/weir-cut-XXXXXX", *whole, path[300], *want, *got;
    const char *src = getenv("WEIR_SOURCE");
    struct plan p = {.in = {cut}, .cores = 1, .batch = 64};
    size_t len;
    int fd = mkstemp(cut);

    snprintf(path, sizeof(path), "%s/tests/traces/z-http-49-flows.pcap", src ? src : ".");
    whole = whole_file(path, &len);
    assert_int_equal(write(fd, whole, len - 1000), len - 1000);
    close(fd);
    want = run(&p);
    assert_int_equal(total(want, "errno"), EILSEQ);
    assert_non_null(strstr(strstr(want, "TOTAL"), cut)); /* the words name the file */
    assert_in_range(total(want, "packets"), 600, 654);
    assert_non_null(strstr(want, "reason 5"));
    p.cores = 3;
    got = run(&p);
    equal(&p, want, got); /* what there was is worked off, whoever reads */
    unlink(cut);
}

static void nothing_in_it(void **state)
{
    char none[] = "/tmp/weir-none-XXXXXX", *whole, path[300];
    const char *src = getenv("WEIR_SOURCE");
    size_t len;
    int fd = mkstemp(none);

    snprintf(path, sizeof(path), "%s/tests/traces/z-http-49-flows.pcap", src ? src : ".");
    whole = whole_file(path, &len);
    assert_int_equal(write(fd, whole, 24), 24); /* a file header and no frame */
    close(fd);
    for (int cores = 1; cores <= 3; cores += 2) {
        struct plan p = {.in = {none}, .cores = cores, .batch = 64};
        char *text = run(&p);

        assert_int_equal(total(text, "packets"), 0);
        assert_int_equal(total(text, "errno"), 0);
    }
    unlink(none);
}

static void output_that_is_full(void **state)
{
    for (int cores = 1; cores <= 3; cores += 2) {
        struct plan p = {.in = {"z-http-49-flows.pcap"},
                         .out = "/dev/full",
                         .cores = cores,
                         .batch = 64,
                         .quiet = 1};
        char *text = run(&p);

        assert_int_equal(total(text, "packets"), 655); /* watching goes on */
        assert_int_equal(total(text, "errno"), ENOSPC);
    }
}

/* ---- too little room ---- */

static void few_flows_at_a_time(void **state)
{
    for (int cores = 1; cores <= 3; cores += 2) {
        struct plan p = {
            .in = {"z-http-49-flows.pcap"},
            .cores = cores,
            .batch = 64,
            .quiet = 1,
            .more =
                "max_concurrency = 12\nlinger = 1 h"}; /* 2 listeners, 2 children a flow: 5 flows */
        char *text = run(&p);
        int evicts = total(text, "evicts");

        assert_true(evicts > 10);
        assert_int_equal(count(text, "reason 4"), 4 * evicts); /* CONN_END: two sides, two hooks */
        assert_int_equal(total(text, "ends"), 49);             /* every flow was taken, and ended */
    }
}

/*
 * From no room for one flow to enough for all: every packet is of a flow or an orphan, and nothing
 * breaks. In between more is not always better: what a slab is taken for depends on what comes
 * first.
 */
static void little_memory(void **state)
{
    int packets = 0;

    for (int kb = 300; kb <= 2400; kb += kb < 1000 ? 100 : 700) {
        char more[60];
        struct plan p = {.in = {"s-ftp-80-flows.pcap"}, .cores = 1, .batch = 64, .more = more};
        char *text;

        snprintf(more, sizeof(more), "memory = %dK\nlinger = 1 h", kb);
        text = run(&p);
        packets = total(text, "packets");
        assert_int_equal(packets + count(text, "orphan"), 755);
        assert_true(kb < 500 || packets > 500);
        forget(text);
    }
    assert_int_equal(packets, 755);
}

#define T(f) cmocka_unit_test_teardown(f, drop_kept)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(destroyed_in_a_callback),
        T(one_of_several_destroyed),
        T(destroyed_by_another_thread),
        T(interrupted),
        T(interrupted_with_a_handler),
        T(cut_off_input),
        T(nothing_in_it),
        T(output_that_is_full),
        T(few_flows_at_a_time),
        T(little_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
