// SPDX-License-Identifier: BSD-2-Clause
/*
 * weirgen.c: generated traffic as a capture file.  weirgen [OPTIONS] FILE   ("-": standard output)
 *
 * A workload's name sets all numbers; the options after it change single ones. At the end it says
 * on standard error what is in the file, so that whoever reads it can be checked.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"
#include "workload.h"

enum kind { U32, U64, PERCENT, FLAG, ORDER };

static const struct option_row {
    const char *name, *what;
    enum kind kind;
    size_t at;
} rows[] = {
    {"seed", "the same seed gives the same bytes", U64, offsetof(struct gen_cfg, seed)},
    {"flows", "connections in all", U32, offsetof(struct gen_cfg, flows)},
    {"concurrent", "connections at a time", U32, offsetof(struct gen_cfg, concurrent)},
    {"bytes", "the server's answer in each", U32, offsetof(struct gen_cfg, bytes)},
    {"request", "the client's request", U32, offsetof(struct gen_cfg, request)},
    {"mss", "payload of a full segment", U32, offsetof(struct gen_cfg, mss)},
    {"window", "segments in flight, at most 32", U32, offsetof(struct gen_cfg, window)},
    {"ack-every", "segments for one ACK", U32, offsetof(struct gen_cfg, ack_every)},
    {"order", "random, round or serial: whose packet is next", ORDER,
     offsetof(struct gen_cfg, order)},
    {"run", "packets of one connection in a row", U32, offsetof(struct gen_cfg, run)},
    {"handshakes-first", "all handshakes before all data", FLAG,
     offsetof(struct gen_cfg, handshakes_first)},
    {"ipv6", "IPv6", FLAG, offsetof(struct gen_cfg, ipv6)},
    {"lost-before", "percent of the segments lost before the tap", PERCENT,
     offsetof(struct gen_cfg, lost_before)},
    {"lost-after", "percent lost behind it", PERCENT, offsetof(struct gen_cfg, lost_after)},
    {"reordered", "percent held back", PERCENT, offsetof(struct gen_cfg, reordered)},
    {"reorder-max", "by 1 to this many segments", U32, offsetof(struct gen_cfg, reorder_max)},
    {"doubled", "percent that come twice", PERCENT, offsetof(struct gen_cfg, doubled)},
    {"plant-every", "each n-th answer has the string " GEN_PATTERN " (0: none)", U32,
     offsetof(struct gen_cfg, plant_every)},
    {"step", "nanoseconds between packets", U32, offsetof(struct gen_cfg, step_ns)},
};

enum { NROWS = sizeof(rows) / sizeof(rows[0]), OPT_WORKLOAD = 256, OPT_SCALE, OPT_ROW };

static _Noreturn void usage(FILE *to, int status)
{
    fprintf(to, "usage: weirgen [--workload NAME [--scale F]] [OPTIONS] FILE\n\nWorkloads:\n");
    for (int i = 0; workload_name(i); i++)
        fprintf(to, "  %-18s %s\n", workload_name(i), workload_what(workload_name(i)));
    fprintf(to, "\nOptions:\n");
    for (int i = 0; i < NROWS; i++)
        fprintf(to, "  --%-18s %s\n", rows[i].name, rows[i].what);
    exit(status);
}

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "weirgen: %s: %s\n", what, why);
    exit(2);
}

static double number(const char *name, const char *text, double max)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end || !(v >= 0 && v <= max))
        die(name, "expected a number in range");
    return v;
}

static int order_of(const char *text)
{
    static const char *const names[] = {"random", "round", "serial"};

    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    die("order", "expected random, round or serial");
}

static void set_row(struct gen_cfg *c, const struct option_row *r, const char *text)
{
    char *at = (char *)c + r->at;

    switch (r->kind) {
    case U32:
        *(uint32_t *)(void *)at = (uint32_t)number(r->name, text, UINT32_MAX);
        break;
    case U64:
        *(uint64_t *)(void *)at = (uint64_t)number(r->name, text, 1e15);
        break;
    case PERCENT:
        *(uint32_t *)(void *)at = (uint32_t)(number(r->name, text, 50) * 10000 + 0.5);
        break;
    case ORDER:
        *(int *)(void *)at = order_of(text);
        break;
    case FLAG:
        *(bool *)at = true;
        break;
    }
}

/* options: the workload first, wherever it stands, then single numbers. => index of FILE. */
static int options(int argc, char **argv, struct gen_cfg *c)
{
    struct option opt[NROWS + 4] = {
        {"workload", 1, NULL, OPT_WORKLOAD}, {"scale", 1, NULL, OPT_SCALE}, {"help", 0, NULL, 'h'}};
    const char *name = NULL, *text[NROWS] = {NULL};
    double scale = 1;
    int o;

    for (int i = 0; i < NROWS; i++)
        opt[3 + i] = (struct option){rows[i].name, rows[i].kind != FLAG, NULL, OPT_ROW + i};
    while ((o = getopt_long(argc, argv, "h", opt, NULL)) != -1) {
        if (o == OPT_WORKLOAD)
            name = optarg;
        else if (o == OPT_SCALE)
            scale = number("scale", optarg, 1e6);
        else if (o >= OPT_ROW)
            text[o - OPT_ROW] = optarg ? optarg : "";
        else
            usage(o == 'h' ? stdout : stderr, o == 'h' ? 0 : 2);
    }
    gen_default(c);
    if (name == NULL && scale != 1)
        die("scale", "it is of a --workload");
    if (name && !workload_get(name, scale, c))
        die(name, "no such workload");
    for (int i = 0; i < NROWS; i++)
        if (text[i])
            set_row(c, &rows[i], text[i]);
    if (optind + 1 != argc)
        usage(stderr, 2);
    return optind;
}

static void write_all(struct gen *g, const char *path)
{
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *d = dead ? pcap_dump_open(dead, path) : NULL;
    static uint8_t frame[GEN_FRAME_MAX];
    uint64_t ns;
    uint32_t len;

    if (d == NULL)
        die("output", dead ? pcap_geterr(dead) : "out of memory");
    while ((len = gen_next(g, frame, &ns)) != 0) {
        struct pcap_pkthdr h = {.caplen = len, .len = len};

        h.ts.tv_sec = (time_t)(ns / 1000000000);
        h.ts.tv_usec = (suseconds_t)(ns % 1000000000 / 1000);
        pcap_dump((u_char *)d, &h, frame);
    }
    if (pcap_dump_flush(d) < 0 || ferror(pcap_dump_file(d)))
        die(path, "cannot be written");
    pcap_dump_close(d);
    pcap_close(dead);
}

int main(int argc, char **argv)
{
    const struct gen_totals *t;
    const char *why, *path;
    struct gen_cfg c;
    struct gen *g;

    path = argv[options(argc, argv, &c)];
    g = gen_open(&c, &why);
    if (g == NULL)
        die("options", why);
    write_all(g, path);
    t = gen_totals(g);
    fprintf(stderr,
            "%" PRIu64 " packets, %" PRIu64 " bytes; %" PRIu64 " flows, %" PRIu64
            " stream bytes, %" PRIu64 " planted strings; lost before %" PRIu64 ", after %" PRIu64
            ", sent again %" PRIu64 ", reordered %" PRIu64 ", doubled %" PRIu64 "\n",
            t->packets, t->bytes, t->flows, t->stream_bytes, t->planted, t->lost_before,
            t->lost_after, t->rexmits, t->reordered, t->doubled);
    gen_close(g);
    return 0;
}
