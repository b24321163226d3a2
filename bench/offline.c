// SPDX-License-Identifier: BSD-2-Clause
/*
 * offline.c: whole programs reading a capture file: a bare libpcap loop, the floor, against a
 * command of ours.
 *
 *      offline [--rounds N] [--scale F] [--workload P1,P2,...] [--seed N] [--name NAME] -- COMMAND ARG...
 *
 * Each workload is written to a file below $TMPDIR (/tmp), which is removed afterwards, also when
 * the run is interrupted. The command gets the file's name as its last argument and its output goes
 * to /dev/null; its packets are all of the file's. In each round the loop runs, then the command,
 * each in a process of its own whose CPU time (user and system, all threads), wall time and peak
 * memory the kernel tells. Medians, and the ratio of the medians: tables, then JSON lines.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchopt.h"
#include "gen.h"
#include "measure.h"
#include "workload.h"

struct score {
    const char *name;
    double cpu[MEASURE_ROUNDS], wall[MEASURE_ROUNDS], rss[MEASURE_ROUNDS];
    int n;
};

static struct {
    int rounds;
    double scale;
    uint64_t seed;
    const char *workloads, *name;
    char **command; /* with room for the file's name */
} opt = {.rounds = 3, .scale = 1, .seed = 1, .workloads = "P1,P2,P3,P4", .name = "weir"};

static FILE *json;     /* all lines, shown behind the tables */
static char path[512]; /* of the capture, "" when there is none */

static void tidy(void)
{
    if (path[0])
        unlink(path);
    path[0] = '\0';
}

static void interrupted(int sig)
{
    if (path[0])
        unlink(path);
    _exit(128 + sig);
}

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "offline: %s: %s\n", what, why);
    tidy();
    exit(2);
}

/* ---- the capture ---- */

static void dump(struct gen *g, pcap_dumper_t *d)
{
    static uint8_t frame[GEN_FRAME_MAX];
    uint64_t ns;
    uint32_t len;

    while ((len = gen_next(g, frame, &ns)) != 0) {
        struct pcap_pkthdr h = {.caplen = len, .len = len};

        h.ts.tv_sec = (time_t)(ns / 1000000000);
        h.ts.tv_usec = (suseconds_t)(ns % 1000000000 / 1000);
        pcap_dump((u_char *)d, &h, frame);
    }
}

static struct gen_totals generate(const char *name)
{
    const char *dir = getenv("TMPDIR"), *why;
    struct gen_totals t;
    struct gen_cfg c;
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *d;
    struct gen *g;
    FILE *f;
    int fd;

    workload_get(name, opt.scale, &c);
    c.seed = opt.seed;
    g = gen_open(&c, &why);
    if (g == NULL || dead == NULL)
        die(name, g ? "out of memory" : why);
    snprintf(path, sizeof(path), "%s/weir-bench-XXXXXX", dir && *dir ? dir : "/tmp");
    fd = mkstemp(path);
    f = fd < 0 ? NULL : fdopen(fd, "w");
    d = f ? pcap_dump_fopen(dead, f) : NULL;
    if (d == NULL)
        die(path, "cannot be written");
    dump(g, d);
    if (pcap_dump_flush(d) < 0 || ferror(f))
        die(path, "cannot be written (disk full?)");
    pcap_dump_close(d);
    pcap_close(dead);
    t = *gen_totals(g);
    gen_close(g);
    return t;
}

/* ---- what is compared ---- */

/* bare_loop: every packet once, nothing else. */
static int bare_loop(uint64_t expected)
{
    char err[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_open_offline(path, err);
    struct pcap_pkthdr *h;
    const u_char *data;
    uint64_t n = 0, bytes = 0;

    while (p && pcap_next_ex(p, &h, &data) == 1) {
        n++;
        bytes += h->caplen;
    }
    return n == expected && bytes ? 0 : 1;
}

/* command: told what the file has in WEIR_BENCH_EXPECT, for those that check it. */
static int command(const struct gen_totals *t)
{
    int fd = open("/dev/null", O_WRONLY), n = 0;
    char has[100];

    snprintf(has, sizeof(has), "%" PRIu64 " %" PRIu64 " %" PRIu64, t->flows, t->stream_bytes,
             t->planted);
    setenv("WEIR_BENCH_EXPECT", has, 1);

    while (opt.command[n])
        n++;
    opt.command[n] = path;
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
        return 126;
    execvp(opt.command[0], opt.command);
    return 127;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void run(struct score *s, const struct gen_totals *t)
{
    struct timespec a, b;
    struct rusage ru;
    int status;
    pid_t pid;

    fflush(NULL);
    clock_gettime(CLOCK_MONOTONIC, &a);
    pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        _exit(strcmp(s->name, "libpcap loop") == 0 ? bare_loop(t->packets) : command(t));
    }
    if (pid < 0 || wait4(pid, &status, 0, &ru) < 0)
        die(s->name, "cannot be started");
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die(s->name, "failed");
    s->cpu[s->n] = seconds(ru.ru_utime) + seconds(ru.ru_stime);
    s->wall[s->n] = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
    s->rss[s->n++] = (double)ru.ru_maxrss * 1024;
}

/* ---- telling ---- */

static void print_json(const char *name, const struct gen_totals *t, const struct score *s,
                       const struct score *base)
{
    double cpu = median(s->cpu, s->n), wall = median(s->wall, s->n);

    fprintf(json,
            "{\"bench\":\"offline\",\"workload\":\"%s\",\"program\":\"%s\",\"packets\":%" PRIu64
            ",\"bytes\":%" PRIu64 ",\"flows\":%" PRIu64
            ",\"rounds\":%d,\"cpu_seconds\":%.3f,\"wall_seconds\":%.3f,\"pps\":%.0f,\"gbps\":%.2f,"
            "\"ratio\":%.3f,\"rss_bytes\":%.0f}\n",
            name, s->name, t->packets, t->bytes, t->flows, s->n, cpu, wall,
            (double)t->packets / wall, (double)t->bytes * 8 / wall / 1e9,
            cpu / median(base->cpu, base->n), median(s->rss, s->n));
}

static void print_row(const struct gen_totals *t, const struct score *s)
{
    double cpu = median(s->cpu, s->n), wall = median(s->wall, s->n);

    printf("  %-14s %8.3f %8.3f %8.3f %10.2f %10.1f", s->name, cpu, lowest(s->cpu, s->n), wall,
           (double)t->packets / wall / 1e6, median(s->rss, s->n) / 1e6);
}

static void measure(const char *name)
{
    struct score loop = {.name = "libpcap loop"}, ours = {.name = opt.name};
    struct gen_totals t = generate(name);

    for (int i = -1; i < opt.rounds; i++) {
        if (i == 0)
            loop.n = ours.n = 0; /* the first one warmed the page cache */
        run(&loop, &t);
        run(&ours, &t);
    }
    tidy();
    printf("\n%s: %s (%.3f M packets, %.2f GB)\n", name, workload_what(name),
           (double)t.packets / 1e6, (double)t.bytes / 1e9);
    printf("  %-14s %8s %8s %8s %10s %10s\n", "", "CPU s", "lowest", "wall s", "M pkt/s",
           "MB peak");
    print_row(&t, &loop);
    printf("\n");
    print_row(&t, &ours);
    printf("  %.2f x the loop's CPU time\n", median(ours.cpu, ours.n) / median(loop.cpu, loop.n));
    fflush(stdout);
    print_json(name, &t, &loop, &loop);
    print_json(name, &t, &ours, &loop);
}

/* ---- command line ---- */

static const struct bench_opt known[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS - 1, NULL},
    {"scale", BENCH_REAL, &opt.scale, 1e-6, 100, NULL},
    {"workload", BENCH_TEXT, &opt.workloads, 0, 0, workload_name},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {"name", BENCH_TEXT, &opt.name, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

/* options: ... -- COMMAND ARG... */
static void options(int argc, char **argv)
{
    int own = 1;

    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    bench_options(own, argv, "offline", known);
    if (own + 1 >= argc)
        die("usage", "offline [OPTION]... -- COMMAND ARG... (--help says which options)");
    opt.command = calloc((size_t)(argc - own) + 1, sizeof(char *));
    if (opt.command == NULL)
        die("memory", "none");
    memcpy(opt.command, argv + own + 1, (size_t)(argc - own - 1) * sizeof(char *));
}

int main(int argc, char **argv)
{
    options(argc, argv);
    json = bench_json();
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
    printf("Whole programs, capture file in the page cache. %s; %s; the command:",
           measure_machine(), measure_shown(opt.rounds));
    for (int i = 0; opt.command[i]; i++)
        printf(" %s", opt.command[i]);
    printf(" FILE\n");
    fflush(stdout);
    for (int i = 0; workload_name(i); i++)
        if (bench_listed(opt.workloads, workload_name(i)))
            measure(workload_name(i));
    bench_json_show();
    return 0;
}
