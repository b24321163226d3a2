/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay_fix.h: runs of capture files through the public API.
 *
 * The engine exists once in a process, so each run is a child process: it writes down what its callbacks are told, line by
 * line, each with the flow, the flow's own count of events, hook, event and all that can be asked then; sorts the lines and
 * sends them to the parent, and behind them a line of totals.
 */
#ifndef WEIR_TESTS_REPLAY_FIX_H
#define WEIR_TESTS_REPLAY_FIX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mos_api.h>

#include "engine/engine.h"
#include "pools.h"

#define CORES 8

struct plan {
    const char *in[20]; /* captures, by name or path */
    int cores, batch;
    const char *more;                                           /* further items of the mos block */
    const char *out;                                            /* output capture, or NULL */
    void (*change)(mctx_t ctx, int sock, int side, event_t ev); /* called at SND and NULL */
    int quiet;                 /* only events of connections, not each packet */
    void (*also)(mctx_t *ctx); /* between set-up and joining */
};

/* ---- in the child: what is told ---- */

static struct log {
    char *text;
    size_t len, cap;
    int packets, ends, evicts;
} logs[CORES];

static const struct plan *plan;
static pthread_t destroyer;

static inline void put(mctx_t c, const char *fmt, ...)
{
    struct log *l = &logs[c->cpu];
    va_list ap;

    if (l->cap - l->len < 1024) {
        l->cap = l->cap ? l->cap * 2 : 1 << 16;
        l->text = realloc(l->text, l->cap);
    }
    va_start(ap, fmt);
    l->len += (size_t)vsnprintf(l->text + l->len, 512, fmt, ap);
    va_end(ap);
}

static inline void put_name(mctx_t c, const struct sockaddr_storage *ss)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
    char addr[64];

    inet_ntop(ss->ss_family,
              ss->ss_family == AF_INET ? (const void *)&in->sin_addr
                                       : (const void *)&in6->sin6_addr,
              addr, sizeof(addr));
    put(c, "%s.%d ", addr, ntohs(in->sin_port));
}

static inline struct mos_flow_info flow_info(mctx_t c, int sock)
{
    struct mos_flow_info info;
    socklen_t len = sizeof(info);

    if (mtcp_getsockopt(c, sock, SOL_MONSOCKET, MOS_FLOW_INFO, &info, &len) < 0)
        abort();
    return info;
}

static inline void put_flow(mctx_t c, int sock)
{
    struct sockaddr_storage ss[2];
    socklen_t len = sizeof(ss);
    uintptr_t n = (uintptr_t)mtcp_get_uctx(c, sock);

    if ((mtcp_getpeername)(c, sock, (struct sockaddr *)ss, &len, MOS_SIDE_BOTH) < 0)
        abort();
    put_name(c, &ss[0]);
    put_name(c, &ss[1]);
    put(c, "%llu #%06lu ", (unsigned long long)flow_info(c, sock).start_ns, (unsigned long)n);
    mtcp_set_uctx(c, sock, (void *)(n + 1));
}

static inline void put_packet(mctx_t c, int sock)
{
    struct pkt_info p;

    if (mtcp_getlastpkt(c, sock, 0, &p) < 0)
        abort();
    put(c, " pkt %u %u %d+%d @%llu %llu", p.seq, p.ack_seq, (int)p.payloadlen, (int)p.len32,
        (unsigned long long)p.offset, (unsigned long long)p.ts_ns);
}

static inline void put_data(mctx_t c, int sock, int side)
{
    uint32_t sum = 2166136261u;
    char buf[512];
    ssize_t n;

    while ((n = mtcp_peek(c, sock, side, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno != ENODATA)
            abort();
        for (ssize_t i = 0; i < n; i++)
            sum = (sum ^ (uint8_t)buf[i]) * 16777619u;
        put(c, n > 0 ? " %d" : " lost%d", (int)(n > 0 ? n : -n));
    }
    put(c, " =%08x", sum);
}

static inline void put_end(mctx_t c, int sock)
{
    struct mos_flow_info f = flow_info(c, sock);

    put(c, " reason %u flags %x states %d %d last %llu", f.reason, f.flags, f.state[0], f.state[1],
        (unsigned long long)f.last_ns);
    for (int i = 0; i < 2; i++) {
        const struct mos_flow_dir *d = &f.dir[i];

        put(c, " / %llu %llu %llu %llu %llu %llu %llu %llu %llu", (unsigned long long)d->packets,
            (unsigned long long)d->ip_bytes, (unsigned long long)d->payload_bytes,
            (unsigned long long)d->stream_bytes, (unsigned long long)d->gap_bytes,
            (unsigned long long)d->rexmit_packets, (unsigned long long)d->rexmit_bytes,
            (unsigned long long)d->ooo_packets, (unsigned long long)d->late_bytes);
    }
}

static inline void put_details(mctx_t c, int sock, int side, event_t ev)
{
    struct mos_rexmit_info rx;
    struct mos_gap_info gap;
    socklen_t len;
    int state;

    switch (ev) {
    case MOS_ON_PKT_IN:
    case MOS_ON_ERROR:
        if (ev == MOS_ON_PKT_IN)
            put_packet(c, sock);
        break;
    case MOS_ON_TCP_STATE_CHANGE:
        len = sizeof(state);
        if (mtcp_getsockopt(c, sock, SOL_MONSOCKET,
                            side == MOS_SIDE_CLI ? MOS_TCP_STATE_CLI : MOS_TCP_STATE_SVR, &state,
                            &len) < 0)
            abort();
        put(c, " %d", state);
        break;
    case MOS_ON_REXMIT:
        len = sizeof(rx);
        if (mtcp_getsockopt(c, sock, SOL_MONSOCKET, MOS_REXMIT_INFO, &rx, &len) < 0)
            abort();
        put(c, " %llu+%u new %u kind %d content %d", (unsigned long long)rx.off, rx.len, rx.new_len,
            rx.kind, rx.content);
        break;
    case MOS_ON_GAP:
        len = sizeof(gap);
        if (mtcp_getsockopt(c, sock, SOL_MONSOCKET, MOS_GAP_INFO, &gap, &len) < 0)
            abort();
        put(c, " %llu+%llu side %d cause %d", (unsigned long long)gap.off,
            (unsigned long long)gap.len, gap.side, gap.cause);
        break;
    case MOS_ON_CONN_NEW_DATA:
        put_data(c, sock, side);
        break;
    case MOS_ON_CONN_END:
        put_end(c, sock);
        break;
    default:
        break;
    }
}

static inline void note(mctx_t c, char hook, int sock, int side, event_t ev)
{
    struct log *l = &logs[c->cpu];

    l->packets += ev == MOS_ON_PKT_IN && hook == 'S';
    l->ends += ev == MOS_ON_CONN_END && hook == 'S' && side == MOS_SIDE_CLI;
    l->evicts += ev == MOS_ON_EVICT;
    if (plan->quiet && ev == MOS_ON_PKT_IN)
        return;
    if (ev == MOS_ON_ORPHAN) {
        put(c, "orphan %u", mtcp_cb_get_ts(c));
        put_packet(c, sock);
    } else {
        put_flow(c, sock);
        put(c, "%c%d %llx %u", hook, side, (unsigned long long)ev, mtcp_cb_get_ts(c));
        put_details(c, sock, side, ev);
    }
    put(c, "\n");
}

static inline void on_snd(mctx_t c, int sock, int side, event_t ev, filter_arg_t *arg)
{
    note(c, 'S', sock, side, ev);
    if (plan->change)
        plan->change(c, sock, side, ev);
}

static inline void on_rcv(mctx_t c, int sock, int side, event_t ev, filter_arg_t *arg)
{
    note(c, 'R', sock, side, ev);
}

static inline void on_null(mctx_t c, int sock, int side, event_t ev, filter_arg_t *arg)
{
    note(c, 'N', sock, side, ev);
    if (plan->change)
        plan->change(c, sock, side, ev);
}

/* ---- in the child: one run ---- */

static inline void die(const char *what)
{
    fprintf(stderr, "# %s: %s: %s\n", what, strerror(errno), mtcp_errstr());
    _exit(9);
}

static inline void set_up(mctx_t c)
{
    static const struct {
        event_t ev;
        int hook;
        callback_t cb;
    } all[] = {
        {MOS_ON_PKT_IN, MOS_HK_SND, on_snd},
        {MOS_ON_PKT_IN, MOS_HK_RCV, on_rcv},
        {MOS_ON_CONN_START, MOS_HK_SND, on_snd},
        {MOS_ON_CONN_START, MOS_HK_RCV, on_rcv},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_SND, on_snd},
        {MOS_ON_TCP_STATE_CHANGE, MOS_HK_RCV, on_rcv},
        {MOS_ON_REXMIT, MOS_HK_RCV, on_rcv},
        {MOS_ON_OVERLAP, MOS_HK_RCV, on_rcv},
        {MOS_ON_GAP, MOS_HK_RCV, on_rcv},
        {MOS_ON_GAP, MOS_NULL, on_null},
        {MOS_ON_CONN_NEW_DATA, MOS_NULL, on_null},
        {MOS_ON_ERROR, MOS_NULL, on_null},
        {MOS_ON_TIMEOUT, MOS_NULL, on_null},
        {MOS_ON_EVICT, MOS_NULL, on_null},
        {MOS_ON_ORPHAN, MOS_NULL, on_null},
        {MOS_ON_CONN_END, MOS_HK_SND, on_snd},
        {MOS_ON_CONN_END, MOS_HK_RCV, on_rcv},
    };
    int l = mtcp_socket(c, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);
    int second = mtcp_socket(c, AF_UNSPEC, MOS_SOCK_MONITOR_STREAM, 0);

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if ((mtcp_register_callback)(c, l, all[i].ev, all[i].hook, all[i].cb) < 0)
            die("register");
    /* an independent reader, at once */
    if ((mtcp_register_callback)(c, second, MOS_ON_CONN_NEW_DATA, MOS_HK_RCV, on_rcv) < 0)
        die("register");
}

static inline void write_conf(const struct plan *p, const char *path)
{
    const char *src = getenv("WEIR_SOURCE");
    FILE *f = fopen(path, "w");

    fprintf(f, "mos {\nbatch = %d\n%s\nnetdev {\n", p->batch, p->more ? p->more : "");
    for (int i = 0; p->in[i]; i++) {
        if (*p->in[i] == '/')
            fprintf(f, "pcap:%s\n", p->in[i]);
        else
            fprintf(f, "pcap:%s/tests/traces/%s\n", src ? src : ".", p->in[i]);
    }
    fprintf(f, "}\n");
    if (p->out)
        fprintf(f, "nic_forward_table {\nmem pcap:%s\n}\n", p->out);
    fprintf(f, "}\n");
    fclose(f);
}

static inline int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* report: the sorted lines, then what mtcp_app_join left in errno and words. */
static inline void report(int fd, int code, const char *words)
{
    size_t n = 0, cap = 1 << 20;
    char **line = malloc(cap * sizeof(*line));
    FILE *f = fdopen(fd, "w");
    int packets = 0, ends = 0, evicts = 0;

    for (int i = 0; i < CORES; i++) {
        char *save = NULL;

        packets += logs[i].packets;
        ends += logs[i].ends;
        evicts += logs[i].evicts;
        for (char *s = logs[i].text ? strtok_r(logs[i].text, "\n", &save) : NULL; s && n < cap;
             s = strtok_r(NULL, "\n", &save))
            line[n++] = s;
    }
    qsort(line, n, sizeof(*line), by_line);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s\n", line[i]);
    fprintf(f, "TOTAL packets %d ends %d evicts %d errno %d %s\n", packets, ends, evicts, code,
            words);
    fclose(f);
    free(line);
    for (int i = 0; i < CORES; i++)
        free(logs[i].text);
}

static inline void child(const struct plan *p, int fd)
{
    char conf[] = "/tmp/weir-replay-XXXXXX", words[300];
    struct mtcp_conf mc;
    mctx_t ctx[CORES] = {0};
    int code;

    alarm(120);
    plan = p;
    close(mkstemp(conf));
    write_conf(p, conf);
    if (mtcp_init(conf) < 0)
        die("init");
    unlink(conf);
    mtcp_getconf(&mc);
    mc.num_cores = p->cores;
    if (mtcp_setconf(&mc) < 0)
        die("setconf");
    for (int i = 0; i < p->cores; i++) {
        ctx[i] = mtcp_create_context(i);
        if (ctx[i] == NULL)
            die("create");
        set_up(ctx[i]);
    }
    if (p->also)
        p->also(ctx);
    mtcp_app_join(ctx[0]);
    code = errno;
    snprintf(words, sizeof(words), "%s", mtcp_errstr());
    for (int i = 1; i < p->cores; i++)
        mtcp_app_join(ctx[i]);
    if (destroyer)
        pthread_join(destroyer, NULL);
    for (int i = 0; i < p->cores; i++) {
        if (engine.ctx[i].m && !engine.ctx[i].stop)
            assert_pools_empty(&engine.ctx[i].m->env);
        mtcp_destroy_context(ctx[i]);
    }
    mtcp_destroy();
    if (engine.up)
        die("something keeps the engine up");
    report(fd, code, words);
    exit(0); /* not _exit: leaks are to be found */
}

/* ---- in the parent ---- */

/* What tests have in hand: freed when they end, however they do. */
static void *kept[64];

static inline void *keep(void *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (kept[i] == NULL)
            return kept[i] = p;
    abort();
}

static inline void forget(void *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
        if (kept[i] == p)
            kept[i] = NULL;
    free(p);
}

static inline int drop_kept(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        free(kept[i]);
        kept[i] = NULL;
    }
    return 0;
}

static inline char *run(const struct plan *p)
{
    size_t len = 0, cap = 1 << 16;
    char *text = malloc(cap);
    int fd[2], status;
    ssize_t n;
    pid_t pid;

    fflush(NULL);
    assert_int_equal(pipe(fd), 0);
    pid = fork();
    if (pid == 0) {
        free(text);
        close(fd[0]);
        dup2(2, 1); /* cmocka's lines are the parent's */
        child(p, fd[1]);
    }
    close(fd[1]);
    while ((n = read(fd[0], text + len, cap - len - 1)) > 0) {
        len += (size_t)n;
        if (cap - len < 4096)
            text = realloc(text, cap *= 2);
    }
    text[len] = '\0';
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s with %d contexts, batch %d: child %s %d", p->in[0], p->cores, p->batch,
                 WIFSIGNALED(status) ? "killed by signal" : "exited with",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return keep(text);
}

/* equal: two logs, or fail with the first lines that differ. */
static inline void equal(const struct plan *p, const char *want, const char *got)
{
    const char *a = want, *b = got;

    if (strcmp(want, got) == 0)
        return;
    while (*a && *b) {
        size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");

        if (la != lb || memcmp(a, b, la) != 0)
            break;
        a += la + 1;
        b += lb + 1;
    }
    fail_msg("%s with %d contexts, batch %d:\n# expected %.*s\n# got      %.*s", p->in[0], p->cores,
             p->batch, (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

static inline int total(const char *text, const char *what)
{
    const char *t = strstr(text, "TOTAL");
    const char *at = t ? strstr(t, what) : NULL;

    if (at == NULL)
        fail_msg("no %s in the report", what);
    return atoi(at + strlen(what) + 1);
}

static inline int count(const char *text, const char *what)
{
    int n = 0;

    for (const char *s = text; (s = strstr(s, what)) != NULL; s++)
        n++;
    return n;
}

static inline char *whole_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    char *text;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    text = malloc(*len + 1);
    assert_int_equal(fread(text, 1, *len, f), *len);
    fclose(f);
    return keep(text);
}

#endif
