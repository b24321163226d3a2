// SPDX-License-Identifier: BSD-2-Clause
/*
 * idle.c: what a flow takes that nothing happens to.
 *
 *      idle [--scale F] [--seed N]
 *
 * Handshake, a request that is read at once, its ACK; then silence. The growth of the resident memory
 * with 100 thousand such flows is taken from that with a million, so that what does not depend on
 * their number is not in it: record, slot, id, timer, counters are. Over IPv4 and IPv6; to a
 * listener without callbacks, and to one that reads every byte (search: the line of 64 bytes that this
 * application keeps for each flow is taken off). And what the library takes before the first packet.
 *
 * Each run is a process of its own; packets are made a million at a time. One JSON line for each row.
 * Exit status 1: wrong counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/pktbuf.h"
#include "benchapp.h"
#include "benchopt.h"
#include "inchild.h"
#include "io/io.h"
#include "measure.h"

#define AT_ONCE  (1u << 20)
#define FEW      100000
#define MANY     1000000
#define OWN_LINE 64 /* benchapp.c: of search, each flow */
#define PACKETS  5  /* of each flow */

static struct {
    double scale;
    uint64_t seed;
} opt = {.scale = 1, .seed = 1};

struct job {
    bool ipv6;
    enum bench_app app;
    uint32_t flows;
};

static const struct row {
    const char *name;
    bool ipv6;
    enum bench_app app;
    uint32_t own, goal; /* bytes a flow */
} rows[] = {
    {"IPv4, no callbacks", false, APP_NONE, 0, 256},
    {"IPv4, all bytes read", false, APP_SEARCH, OWN_LINE, 256},
    {"IPv6, no callbacks", true, APP_NONE, 0, 300},
    {"IPv6, all bytes read", true, APP_SEARCH, OWN_LINE, 300},
};

static bool run_job(const void *arg, void *out, char *why)
{
    const struct job *job = arg;
    struct app_result *r = out;
    const char *said = "";
    struct preload *p;
    struct gen_cfg c;

    gen_default(&c);
    c.seed = opt.seed;
    c.flows = c.concurrent = job->flows;
    c.ipv6 = job->ipv6;
    c.request = 40; /* no frame is larger than a SYN's: those to come fit in where they were */
    c.plant_every = 0;
    c.handshakes_first = c.idle = true;
    c.step_ns = 100;
    p = preload_stream(&c, AT_ONCE, 0, &said);
    if (p && app_run(p, job->app, 0, r, &said)) {
        if (r->flows == job->flows && r->fed == (uint64_t)job->flows * PACKETS &&
            (job->app == APP_NONE || r->stream_bytes == (uint64_t)job->flows * c.request))
            return true;
        said = "wrong counts";
    }
    snprintf(why, WHY_TEXT, "%s", said);
    return false;
}

static bool run(const struct row *row, uint32_t flows, struct app_result *r)
{
    struct job job = {.ipv6 = row->ipv6, .app = row->app, .flows = flows};
    char why[WHY_TEXT];

    if (in_child(run_job, &job, r, sizeof(*r), why))
        return true;
    fprintf(stderr, "idle: %s, %u flows: %s\n", row->name, flows, why);
    return false;
}

/* measure: one row. => false: it failed. */
static bool measure(const struct row *row, FILE *json, uint64_t *start)
{
    uint32_t few = (uint32_t)(FEW * opt.scale), many = (uint32_t)(MANY * opt.scale);
    struct app_result a, b;
    double each;

    if (!run(row, few, &a) || !run(row, many, &b))
        return false;
    each = ((double)b.rss_bytes - (double)a.rss_bytes) / (many - few) - row->own;
    *start = a.start_bytes > *start ? a.start_bytes : *start;
    printf("  %-22s %12.1f %12.1f %12.1f %8u\n", row->name, (double)a.rss_bytes / 1048576,
           (double)b.rss_bytes / 1048576, each, row->goal);
    fflush(stdout);
    fprintf(json,
            "{\"bench\":\"idle\",\"ip\":%d,\"app\":\"%s\",\"flows\":[%u,%u],\"rss_bytes\":[%" PRIu64
            ",%" PRIu64 "],\"own_bytes\":%u,\"bytes_per_flow\":%.1f,\"goal\":%u}\n",
            row->ipv6 ? 6 : 4, row->app == APP_NONE ? "none" : "search", few, many, a.rss_bytes,
            b.rss_bytes, row->own, each, row->goal);
    return true;
}

static const struct bench_opt options[] = {
    {"scale", BENCH_REAL, &opt.scale, 1e-4, 10, NULL},
    {"seed", BENCH_NUMBER, &opt.seed, 0, 0, NULL},
    {NULL, 0, NULL, 0, 0, NULL},
};

int main(int argc, char **argv)
{
    uint64_t start = 0, packets = IO_BURST * sizeof(struct pktbuf);
    FILE *json = bench_json();
    bool good = true;

    bench_options(argc, argv, "idle", options);
    printf("Flows that are silent after handshake and request: resident memory.\n"
           "  %-22s %9.0f k,MB %9.0f k,MB %12s %8s\n",
           "", FEW * opt.scale / 1000, MANY * opt.scale / 1000, "bytes a flow", "goal");
    fflush(stdout);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        good = measure(&rows[i], json, &start) && good;
    printf("  Before the first packet: %.2f MB (goal 16), %" PRIu64
           " bytes of it for packets: this device lends its own.\n",
           (double)start / 1048576, packets);
    fprintf(json,
            "{\"bench\":\"idle\",\"start_bytes\":%" PRIu64 ",\"packet_bytes\":%" PRIu64
            ",\"goal\":%u}\n",
            start, packets, 16u << 20);
    bench_json_show();
    return good ? 0 : 1;
}
