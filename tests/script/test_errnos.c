// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every call with every wrong argument, from every wrong place: errno_rows.inc. Each row has a
 * context of its own, so that none leans on another. A call that fails changes nothing: the
 * connection goes on to its end, and everything is given back.
 */
#define MOS_NO_OLDER_FORMS
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mos_api.h>
#include <mtcp_util.h>
#include <compat/applib.h>
#include <compat/cpu.h>

#include "frames.h"

#define START UINT64_C(1700000000000000000)
#define MS    UINT64_C(1000000)

enum where {
    BEFORE,
    NOCTX,
    SETUP,
    FIRST,
    SND,
    RCV,
    DATA,
    LOST,
    UDP,
    SIGNED,
    TIMER,
    PUSHER,
    OTHER,
    DONE,
    GONE
};
enum who { OWN, ANY };

/* ---- what rows speak of ---- */

static mctx_t m;
static int lst, raw, kid, argc;
static event_t by_hand, deep;
static struct mtcp_context far = {64};
static struct mtcp_conf mc;
static struct pkt_info pi;
static struct mtcp_frame fr;
static struct iovec iov[2];
static union monitor_filter ft;
static struct timeval tv = {1, 0}, before = {-1, 0}, before_us = {0, -1};
static int one = 1, zero_cnt, minus = -1;
static socklen_t optlen;
static char room[8192], payload[UINT16_MAX], *argv[2];
static filter_arg_t no_arg = {NULL, 7};
static uint64_t now;

static void nothing(mctx_t x, int sock, int side, event_t ev, filter_arg_t *arg)
{
}

static void nothing4(mctx_t x, int sock, int side, event_t ev)
{
}

static bool yes(mctx_t x, int sock, int side, event_t ev, filter_arg_t *arg)
{
    return true;
}

/* What a failing call returns that is not -1. */
static int null(const void *p)
{
    return p ? 0 : -1;
}

static int zero(uint64_t v)
{
    return v ? 0 : -1;
}

static int sigerr(mtcp_sighandler_t h)
{
    return h == SIG_ERR ? -1 : 0;
}

static char path[] = "/tmp/weir-errno-XXXXXX";

static const char *conf(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static int as_nobody(void)
{
    int rc;

    conf("mos { }\n");
    assert_int_equal(chmod(path, 0), 0);
    if (getuid() == 0)
        assert_int_equal(seteuid(65534), 0);
    rc = mtcp_init(path);
    if (getuid() == 0) {
        int code = errno;

        assert_int_equal(seteuid(0), 0);
        errno = code;
    }
    return rc;
}

static int change_conf(int cores, int streams, int rcvbuf)
{
    struct mtcp_conf c;

    assert_int_equal(mtcp_getconf(&c), 0);
    c.num_cores = cores;
    c.max_concurrency = streams;
    c.rcvbuf_size = rcvbuf;
    return mtcp_setconf(&c);
}

static int many_sockets(void)
{
    for (int i = 0; i < 62; i++)
        assert_true(mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0) >= 0);
    return mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
}

static int close_twice(void)
{
    int l = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);

    assert_int_equal(mtcp_close(m, l), 0);
    return mtcp_close(m, l);
}

static int get(int sock, int level, int name, socklen_t len)
{
    optlen = len;
    return mtcp_getsockopt(m, sock, level, name, room, &optlen);
}

static int set(int sock, int level, int name, int v)
{
    return mtcp_setsockopt(m, sock, level, name, &v, sizeof(v));
}

static int info_of_none(void)
{
    assert_int_equal(set(kid, SOL_MONSOCKET, MOS_CLIBUF, 0), 0);
    return get(kid, SOL_MONSOCKET, MOS_INFO_CLIBUF, 16);
}

static int off_and_on(void)
{
    assert_int_equal(set(kid, SOL_MONSOCKET, MOS_CLIBUF, 0), 0);
    return set(kid, SOL_MONSOCKET, MOS_CLIBUF, 100);
}

static int peek_none(void)
{
    assert_int_equal(set(kid, SOL_MONSOCKET, MOS_SVRBUF, 0), 0);
    return (int)mtcp_peek(m, kid, MOS_SIDE_SVR, room, 8);
}

static int bind_words(int sock, const char *syn, const char *orphan)
{
    union monitor_filter f = {0};

    f.stream_syn_filter = (char *)(uintptr_t)syn;
    f.stream_orphan_filter = (char *)(uintptr_t)orphan;
    return mtcp_bind_monitor_filter(m, sock, &f);
}

static int reg(int sock, event_t ev, int hook)
{
    return mtcp_register_callback(m, sock, ev, hook, nothing);
}

static int deepest, deepest_errno;

static void on_deep(mctx_t x, int sock, int side, event_t ev, filter_arg_t *arg)
{
    int rc = mtcp_raise_event(x, deep);

    if (rc < 0 && deepest == 0) {
        deepest = rc;
        deepest_errno = errno;
    }
}

static int raise_in_itself(void)
{
    deepest = 0;
    assert_int_equal(mtcp_raise_event(m, deep), 0);
    errno = deepest_errno;
    return deepest;
}

static int name_in(socklen_t len, int side)
{
    optlen = len;
    return mtcp_getpeername(m, kid, (void *)room, &optlen, side);
}

static int edit(int sock, off_t off, uint16_t len, int option)
{
    byte b[4] = {0};

    return mtcp_setlastpkt(m, sock, 0, off, b, len, option);
}

enum like { NO_PAYLOAD, NO_IP, NO_TCP, TOO_LONG };

static int send_like(enum like how)
{
    struct pkt_info p;

    assert_int_equal(mtcp_getlastpkt(m, kid, 0, &p), 0);
    if (how == NO_PAYLOAD)
        p.payload = NULL;
    if (how == NO_IP)
        p.iph = NULL;
    if (how == NO_TCP)
        p.tcph = NULL;
    if (how == TOO_LONG) {
        p.payload = (uint8_t *)payload;
        p.payloadlen = UINT16_MAX;
    }
    return mtcp_sendpkt(m, kid, &p);
}

static int push_type(int linktype)
{
    struct mtcp_frame f = {.data = payload, .len = 60, .linktype = linktype};

    return mtcp_push(m, &f, 1);
}

static int push_null(void)
{
    struct mtcp_frame f = {.len = 60};

    return mtcp_push(m, &f, 1);
}

static int words(const char *s)
{
    snprintf(room, sizeof(room), "%s", s);
    return StrToArgs(room, &argc, argv, 2);
}

static char nowhere[] = "/nowhere/at.all", key[] = "key";
static struct conf_var var = {.name = key};

/* load: a file with a value of so many bytes. */
static int load(int n)
{
    snprintf(room, sizeof(room), "key = %0*d\n", n, 1);
    conf(room);
    return LoadConfig(path, &var, 1);
}

/* ---- the rows ---- */

#define NAME2(line, kind) row_##kind##line
#define NAME(line, kind)  NAME2(line, kind)
#define X(call, code, file)
#define R(call, code, where, phrase, expr)                                                         \
    static long NAME(__LINE__, r)(mctx_t x)                                                        \
    {                                                                                              \
        return (expr);                                                                             \
    }
#define C(call, who, expr)                                                                         \
    static long NAME(__LINE__, c)(mctx_t x)                                                        \
    {                                                                                              \
        return (expr);                                                                             \
    }
#include "errno_rows.inc"
#undef R
#undef C

struct row {
    const char *call, *name;
    int code, where;
    const char *phrase;
    long (*run)(mctx_t x);
};

#define C(call, who, expr)
#define R(call, code, where, phrase, expr) {#call, #expr, code, where, phrase, NAME(__LINE__, r)},
static const struct row rows[] = {
#include "errno_rows.inc"
};
#undef R
#undef C
#define R(call, code, where, phrase, expr)
#define C(call, who, expr) {#call, #expr, 0, who, "", NAME(__LINE__, c)},
static const struct row contexts[] = {
#include "errno_rows.inc"
};

/* ---- one row ---- */

static const struct row *row;
static int ran, wrong;

static void check_as(const struct row *r, mctx_t x, int code, const char *phrase)
{
    long rc;

    ran++;
    errno = 0;
    rc = r->run(x);
    if (rc == -1 && errno == code && strstr(mtcp_errstr(), phrase))
        return;
    wrong++;
    print_message("# %s: returned %ld, errno %d (%s), \"%s\"\n#   expected -1, %d (%s), \"%s\"\n",
                  r->name, rc, errno, strerror(errno), mtcp_errstr(), code, strerror(code), phrase);
}

static void check(void)
{
    const struct row *r = row;

    row = NULL; /* once */
    if (r)
        check_as(r, m, r->code, r->phrase);
}

static void on_hit(mctx_t x, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;

    if (ev == MOS_ON_PKT_IN && row->where != UDP &&
        (mtcp_getlastpkt(x, sock, 0, &p) < 0 || p.payloadlen == 0))
        return;
    if (row && row->where != UDP)
        kid = sock;
    check();
}

static void on_start(mctx_t x, int sock, int side, event_t ev, filter_arg_t *arg)
{
    kid = sock;
    if (row && row->where == FIRST)
        check();
}

static void on_timer(mctx_t x, int id, int side, event_t ev, filter_arg_t *arg)
{
    check();
}

static void push(struct frame f, bool udp)
{
    static struct frame_buf b;
    struct pktbuf *pb = udp ? frame_udp(&b, f) : frame_tcp(&b, f);

    now += MS;
    fr = (struct mtcp_frame){
        .data = pb->data, .len = pb->len, .ts_ns = now, .linktype = pb->linktype};
    assert_int_equal(mtcp_push(m, &fr, 1), 1);
}

static void shake(void)
{
    push((struct frame){.flags = "S", .seq = 1000}, false);
    push((struct frame){FRAME_REPLY, .flags = "S.", .seq = 5000, .ack = 1001}, false);
    push((struct frame){.seq = 1001, .ack = 5001}, false);
}

static void up(void)
{
    kid = -1;
    now = START;
    optlen = sizeof(room);
    one = 1;
    assert_int_equal(mtcp_init(NULL), 0);
    m = mtcp_create_context(0);
    assert_non_null(m);
    lst = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_STREAM, 0);
    raw = mtcp_socket(m, AF_INET, MOS_SOCK_MONITOR_RAW, 0);
    assert_int_equal(raw, 1);
    if (deep == 0) {
        by_hand = mtcp_alloc_event(MOS_ON_PKT_IN);
        deep = mtcp_alloc_event(MOS_ON_PKT_IN);
    }
    assert_int_equal(mtcp_register_callback(m, lst, deep, MOS_HK_SND, on_deep), 0);
    assert_int_equal(mtcp_register_callback(m, lst, MOS_ON_CONN_START, MOS_HK_SND, on_start), 0);
}

static void on(int sock, event_t ev, int hook)
{
    assert_int_equal(mtcp_register_callback(m, sock, ev, hook, on_hit), 0);
}

/* set_hook: the callback in which this row's call is made. */
static void set_hook(enum where where)
{
    if (where == SND || where == SIGNED)
        on(lst, MOS_ON_PKT_IN, MOS_HK_SND);
    if (where == RCV)
        on(lst, MOS_ON_PKT_IN, MOS_HK_RCV);
    if (where == DATA)
        on(lst, MOS_ON_CONN_NEW_DATA, MOS_NULL);
    if (where == LOST)
        on(lst, MOS_ON_GAP, MOS_NULL);
    if (where == UDP)
        on(raw, MOS_ON_PKT_IN, MOS_NULL);
    if (where == TIMER)
        assert_int_equal(mtcp_settimer(m, 5, &(struct timeval){0, 1}, on_timer), 0);
}

static void traffic(enum where where)
{
    static const uint8_t md5[20] = {19, 18, [18] = 1, [19] = 1}; /* RFC 2385 */
    struct frame data = {.flags = "P.", .seq = 1001, .ack = 5001, .payload = "hello"};

    if (where == UDP) {
        push((struct frame){.dport = 53, .payload = "x"}, true);
        return;
    }
    shake();
    if (where == SIGNED) {
        data.opts = md5;
        data.optlen = sizeof(md5);
    }
    if (where == LOST)
        data.seq += 50;
    push(data, false);
    if (where == LOST)
        push((struct frame){FRAME_REPLY, .seq = 5001, .ack = 1056}, false);
    assert_int_equal(mtcp_tick(m, now += 100 * MS), 0);
}

static void *from_another(void *arg)
{
    check();
    return NULL;
}

static void run_row(const struct row *r)
{
    enum where where = (enum where)r->where;
    pthread_t t;

    row = r;
    if (where == BEFORE) {
        check();
        return;
    }
    if (where == NOCTX) {
        assert_int_equal(mtcp_init(NULL), 0);
        check();
        assert_int_equal(mtcp_destroy(), 0);
        return;
    }
    up();
    if (where == SETUP)
        check();
    set_hook(where);
    traffic(where);
    if (where == PUSHER)
        check();
    if (where == OTHER) {
        assert_int_equal(pthread_create(&t, NULL, from_another, NULL), 0);
        assert_int_equal(pthread_join(t, NULL), 0);
    }
    assert_int_equal(mtcp_push(m, NULL, 0), 0);
    if (where == DONE)
        check();
    assert_int_equal(mtcp_destroy_context(m), 0);
    if (where == GONE)
        check();
    assert_int_equal(mtcp_destroy(), 0);
    if (row) {
        wrong++;
        print_message("# %s: its place was not reached\n", r->name);
    }
}

static void wrong_arguments(void **state)
{
    ran = wrong = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        run_row(&rows[i]);
    print_message("# %d rows\n", ran);
    assert_int_equal(ran, sizeof(rows) / sizeof(rows[0]));
    assert_int_equal(wrong, 0);
}

/* ---- the context ---- */

static void *all_from_another(void *arg)
{
    for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++)
        if (contexts[i].where == OWN)
            check_as(&contexts[i], m, EPERM, "only its own thread");
    return NULL;
}

static void wrong_contexts(void **state)
{
    struct mtcp_context below = {-1}, none = {1};
    pthread_t t;

    ran = wrong = 0;
    up();
    traffic(SETUP);
    for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
        check_as(&contexts[i], NULL, EACCES, "the context is NULL");
        check_as(&contexts[i], &far, EINVAL, "number 64");
        check_as(&contexts[i], &below, EINVAL, "number -1");
        check_as(&contexts[i], &none, EPERM, "does not exist or is finished");
    }
    assert_int_equal(pthread_create(&t, NULL, all_from_another, NULL), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(mtcp_push(m, NULL, 0), 0);
    for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++)
        if (contexts[i].where == OWN && strcmp(contexts[i].call, "mtcp_getsockopt") != 0)
            check_as(&contexts[i], m, EPERM, "is finished");
    assert_int_equal(mtcp_destroy_context(m), 0);
    for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++)
        check_as(&contexts[i], m, EPERM, "does not exist or is finished");
    assert_int_equal(mtcp_destroy(), 0);
    print_message("# %d calls\n", ran);
    assert_int_equal(wrong, 0);
}

static int prepare(void **state)
{
    int fd = mkstemp(path);

    return fd < 0 || close(fd);
}

static int done(void **state)
{
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(wrong_contexts),
    };

    return cmocka_run_group_tests(tests, prepare, done);
}
