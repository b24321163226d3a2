// SPDX-License-Identifier: BSD-2-Clause
/*
 * T10: an end in the midst of traffic: a context destroyed from a callback, twice, or with connections alive;
 * a program interrupted once, and twice. Under a sanitizer: nothing is used after it was freed, nothing leaks.
 */
#include "pushlite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static struct lite l;
static int calls, destroyed;
static int act_at = -1;

static void on_event(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    if (calls++ == act_at)
        destroyed = mtcp_destroy_context(m);
}

static void set_up(int at)
{
    calls = 0;
    destroyed = -2;
    act_at = at;
    lite_init(&l, "");
    for (int hook = 0; hook < 2; hook++) {
        int h = hook ? MOS_HK_RCV : MOS_HK_SND;

        assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_PKT_IN, h, on_event), 0);
        assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_TCP_STATE_CHANGE, h, on_event),
                         0);
        assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_CONN_END, h, on_event), 0);
    }
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_event),
                     0);
    assert_int_equal(
        mtcp_register_callback(l.ctx, l.lst, MOS_ON_CONN_NEW_DATA, MOS_HK_RCV, on_event), 0);
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_ORPHAN, MOS_NULL, on_event), 0);
}

/* A connection from SYN to RST, one left open, an orphan: as one batch. */
static int push_all(void)
{
    const struct frame v[] = {
        {.flags = "S", .seq = 100},
        {FRAME_REPLY, .flags = "S.", .seq = 500, .ack = 101},
        {.flags = "P.", .seq = 101, .ack = 501, .plen = 50},
        {.sport = 99, .flags = "S", .seq = 100},
        {.sport = 98, .seq = 100, .ack = 1},
        {FRAME_REPLY, .flags = "P.", .seq = 501, .ack = 151, .plen = 50},
        {.flags = "R", .seq = 151},
    };

    size_t i;

    for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        lite_tcp(&l, 1000, v[i]);
    i = (size_t)l.n;
    l.n = 0;
    return mtcp_push(l.ctx, l.batch, (int)i);
}

/* From every single callback of that batch in turn. */
static void destroyed_in_a_callback(void **state)
{
    int total;

    set_up(-1);
    assert_true(push_all() > 0);
    total = calls;
    assert_true(total > 20);
    lite_fini(&l);
    for (int at = 0; at < total; at++) {
        mctx_t m;

        set_up(at);
        m = l.ctx;
        push_all();
        assert_int_equal(destroyed, 0);
        errno = 0;
        assert_int_equal(push_all(), -1);
        assert_int_equal(errno, EPERM);
        mtcp_app_join(m);
        errno = 0;
        assert_int_equal(mtcp_destroy_context(m), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(mtcp_destroy(), 0);
    }
}

/* With connections alive: no CONN_END; calls on what is gone fail and say why. */
static void destroyed_while_flows_live(void **state)
{
    mctx_t m;
    int before;

    set_up(-1);
    m = l.ctx;
    assert_true(push_all() > 0);
    before = calls;
    assert_int_equal(mtcp_destroy_context(m), 0);
    assert_int_equal(calls, before);
    errno = 0;
    assert_int_equal(mtcp_close(m, l.lst), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0), -1);
    assert_int_equal(mtcp_push(m, l.batch, 1), -1);
    assert_int_equal(mtcp_destroy_context(m), -1);
    mtcp_app_join(m);
    assert_int_equal(mtcp_destroy(), 0);
}

/* ---- signals: a child process reads a capture from a pipe that does not end ---- */

static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
    interrupts++;
}

static void first_packet(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    int out = 1;

    if (mtcp_get_uctx(m, sock) == NULL && write(out, "+", 1) < 0)
        _exit(9);
}

/* The child: status 0 if every call came back as it should. */
static int capture_until_interrupted(int in, bool handler)
{
    char conf[256], path[64];
    int fd = memfd_create("conf", 0), lst;
    mctx_t m;

    if (dprintf(fd, "mos {\nnetdev {\n\"pcap:/proc/self/fd/%d\" 1\n}\n}\n", in) < 0)
        return 2;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (mtcp_init(path) < 0) {
        snprintf(conf, sizeof(conf), "%s\n", mtcp_errstr());
        return write(2, conf, strlen(conf)) > 0 ? 3 : 4;
    }
    if (handler)
        mtcp_register_signal(SIGINT, on_interrupt);
    m = mtcp_create_context(0);
    lst = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    if (lst < 0 || mtcp_register_callback(m, lst, MOS_ON_PKT_IN, MOS_HK_SND, first_packet) < 0)
        return 5;
    mtcp_app_join(m);
    if (mtcp_destroy_context(m) < 0 || mtcp_destroy() < 0)
        return 6;
    return handler && interrupts == 0 ? 7 : 0;
}

static void write_capture(int fd, const struct mtcp_frame *f)
{
    const uint32_t head[6] = {0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1};
    const uint32_t rec[4] = {1700000000, 0, f->len, f->len};

    assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
    for (int i = 0; i < 64; i++) {
        assert_int_equal(write(fd, rec, sizeof(rec)), sizeof(rec));
        assert_int_equal(write(fd, f->data, f->len), f->len);
    }
}

/* => the child's exit status, or -1 if it does not end within five seconds. */
static int wait_for(pid_t pid)
{
    struct timespec ms = {.tv_nsec = 1000000};

    for (int i = 0; i < 5000; i++) {
        int status;

        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
        nanosleep(&ms, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -1;
}

static int interrupted(bool handler, int times)
{
    static struct frame_buf b;
    struct pktbuf *p = frame_tcp(&b, (struct frame){.flags = "S", .seq = 100});
    struct mtcp_frame f = {.data = p->data, .len = p->len};
    struct timespec ms = {.tv_nsec = 100000000};
    int in[2], out[2], status;
    char c;
    pid_t pid;

    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    fflush(stdout);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(in[1]);
        dup2(out[1], 1);
        _exit(capture_until_interrupted(in[0], handler));
    }
    close(out[1]);
    write_capture(in[1], &f);
    assert_int_equal(read(out[0], &c, 1), 1); /* it has begun */
    for (int i = 0; i < times; i++) {
        nanosleep(&ms, NULL);
        kill(pid, SIGINT);
    }
    status = wait_for(pid);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    return status;
}

static void interrupt_ends_it(void **state)
{
    assert_int_equal(interrupted(false, 1), 0);
}

static void second_interrupt_ends_it_all_the_same(void **state)
{
    assert_int_equal(interrupted(true, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destroyed_in_a_callback),
        cmocka_unit_test(destroyed_while_flows_live),
        cmocka_unit_test(interrupt_ends_it),
        cmocka_unit_test(second_interrupt_ends_it_all_the_same),
    };

    return cmocka_run_group_tests_name("teardown", tests, NULL, NULL);
}
