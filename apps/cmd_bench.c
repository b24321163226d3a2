// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_bench.c: what a packet of this capture costs. The packets are in memory (benchset.c); each
 * round (benchrun.c) plays them to the floor (benchfloor.c) and to the library with one of five
 * programs (benchprog.c). Shown are medians, and their ratio.
 */
#include "apprun.h"
#include "benchfloor.h"
#include "benchrun.h"
#include "commands.h"
#include "jsonout.h"
#include "tableout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is shown. */
struct report {
    const struct appopt *opt;
    const struct set *set;
    struct prog_sums sums;
    int rounds;
    double ns[APP_ROUNDS], longest[APP_ROUNDS], floor[APP_ROUNDS], rss[APP_ROUNDS];
    char app[32];
    uint64_t packets, bytes; /* of all loops */
    double hz, seconds, cycles, floor_cycles;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
    double s[APP_ROUNDS];

    memcpy(s, v, (size_t)n * sizeof(*v));
    qsort(s, (size_t)n, sizeof(*s), by_value);
    return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static uint64_t set_bytes(const struct report *r)
{
    return r->set->bytes * (uint64_t)r->set->copies;
}

/* ---- rounds ---- */

/* most_at_once: connections at a time, as the floor counts them; 0: no memory. */
static uint32_t most_at_once(const struct set *s)
{
    uint32_t most = 1;

    for (int i = 0; i < s->parts; i++) {
        struct floor_tab *t = floor_new(0);
        struct floor_count c = {0};

        if (t == NULL)
            return 0;
        floor_pass(t, s, i, 0, false, &c);
        most = floor_most(t) > most ? floor_most(t) : most;
        floor_free(t);
    }
    return most;
}

static int play_rounds(struct report *r)
{
    uint32_t connections = most_at_once(r->set);

    if (connections == 0)
        return complain(APP_BROKEN, "out of memory");
    for (; r->rounds < r->opt->rounds; r->rounds++) {
        struct round one;

        run_round(&one, r->opt, r->set, connections);
        if (!one.good)
            return complain(APP_BROKEN, "%s", one.why);
        if (r->rounds && memcmp(&one.sums, &r->sums, sizeof(one.sums)) != 0)
            return complain(APP_BROKEN, "round %d has seen other things than the one before",
                            r->rounds + 1);
        r->sums = one.sums;
        r->ns[r->rounds] = (double)one.ns;
        r->longest[r->rounds] = (double)one.longest_ns;
        r->floor[r->rounds] = (double)one.floor_ns;
        r->rss[r->rounds] = (double)one.rss;
    }
    r->packets = r->set->frames * (uint64_t)r->opt->loops;
    r->bytes = r->set->bytes * (uint64_t)r->opt->loops;
    r->hz = cycle_hz();
    r->seconds = median(r->longest, r->rounds) / 1e9;
    r->cycles = median(r->ns, r->rounds) / 1e9 * r->hz / (double)r->packets;
    r->floor_cycles = median(r->floor, r->rounds) / 1e9 * r->hz / (double)r->packets;
    return APP_OK;
}

/* ---- for machines ---- */

static void put_own(struct json *j, const struct report *r)
{
    const struct prog_sums *s = &r->sums;

    switch (r->opt->program) {
    case APP_COUNT:
        json_u64(j, "counted_packets", s->counted);
        break;
    case APP_SEARCH:
        json_str(j, "text", r->opt->needle);
        json_u64(j, "searched_bytes", s->searched);
        json_u64(j, "found", s->found);
        break;
    case APP_REXMIT:
        json_u64(j, "rexmit_events", s->again);
        json_u64(j, "rexmit_event_bytes", s->again_bytes);
        break;
    case APP_EVENTS_N:
        json_u64(j, "filter_calls", s->filters);
        break;
    default:
        break;
    }
}

static void put_json(struct json *j, const struct report *r)
{
    json_open(j, NULL, '{');
    json_str(j, "app", r->app);
    json_u64(j, "packets", r->packets);
    json_u64(j, "bytes", r->bytes);
    json_number(j, "seconds", r->seconds, 6);
    json_number(j, "cycles_per_packet", r->cycles, 1);
    json_number(j, "floor_cycles_per_packet", r->floor_cycles, 1);
    json_number(j, "ratio", r->cycles / r->floor_cycles, 3);
    json_number(j, "pps", (double)r->packets / r->seconds, 0);
    json_number(j, "gbps", (double)r->bytes * 8 / r->seconds / 1e9, 3);
    json_u64(j, "connections", r->sums.connections);
    json_u64(j, "connection_packets", r->sums.packets);
    json_u64(j, "stream_bytes", r->sums.stream_bytes);
    json_u64(j, "gap_bytes", r->sums.gap_bytes);
    json_u64(j, "rexmit_packets", r->sums.rexmit_packets);
    json_u64(j, "rexmit_bytes", r->sums.rexmit_bytes);
    put_own(j, r);
    json_u64(j, "rss_bytes", (uint64_t)median(r->rss, r->rounds));
    json_u64(j, "loops", (uint64_t)r->opt->loops);
    json_u64(j, "cores", (uint64_t)r->opt->cores);
    json_u64(j, "rounds", (uint64_t)r->rounds);
    json_u64(j, "set_bytes", set_bytes(r));
    json_u64(j, "cache_bytes", r->set->cache);
    json_number(j, "cycle_hz", r->hz, 0);
    json_close(j, '}');
    json_newline(j);
}

static int show_json(struct out *out, const struct report *r)
{
    struct json j = {0};
    bool good;

    put_json(&j, r);
    good = !j.failed;
    if (good)
        out_write(out, j.text, j.len);
    json_free(&j);
    return good ? APP_OK : complain(APP_BROKEN, "out of memory");
}

/* ---- for people ---- */

static bool show_table(struct out *out, const struct column *col, int ncol, const char *row)
{
    struct table t;

    table_init(&t, out, col, ncol);
    table_row(&t, row, strlen(row));
    return table_end(&t);
}

static bool show_cost(struct out *out, const struct report *r)
{
    static const struct column col[] = {
        {"APP", false},        {"CORES", true}, {"PACKETS", true}, {"BYTES", true},
        {"SECONDS", true},     {"M/S", true},   {"GBIT/S", true},  {"CYCLES/PACKET", true},
        {"ITS FLOOR'S", true}, {"RATIO", true}, {"MEMORY", true},
    };
    char bytes[SIZE_TEXT], rss[SIZE_TEXT], row[256];

    snprintf(row, sizeof(row), "%s\t%d\t%" PRIu64 "\t%s\t%.3f\t%.2f\t%.2f\t%.0f\t%.0f\t%.2f\t%s",
             r->app, r->opt->cores, r->packets, size_text(r->bytes, bytes), r->seconds,
             (double)r->packets / r->seconds / 1e6, (double)r->bytes * 8 / r->seconds / 1e9,
             r->cycles, r->floor_cycles, r->cycles / r->floor_cycles,
             size_text((uint64_t)median(r->rss, r->rounds), rss));
    return show_table(out, col, sizeof(col) / sizeof(col[0]), row);
}

/* own_column: the number that only this program has. => false: it has none. */
static bool own_column(const struct report *r, const char **title, uint64_t *n)
{
    const struct prog_sums *s = &r->sums;
    const struct {
        const char *title;
        uint64_t n;
    } own[] = {
        [APP_COUNT] = {"COUNTED", s->counted},
        [APP_SEARCH] = {"FOUND", s->found},
        [APP_REXMIT] = {"EVENTS", s->again},
        [APP_EVENTS_N] = {"FILTER CALLS", s->filters},
    };

    if (r->opt->program == APP_NONE)
        return false;
    *title = own[r->opt->program].title;
    *n = own[r->opt->program].n;
    return true;
}

static bool show_sums(struct out *out, const struct report *r)
{
    struct column col[6] = {{"CONNS", true},
                            {"THEIR PACKETS", true},
                            {"STREAM BYTES", true},
                            {"LOST", true},
                            {"AGAIN", true}};
    const struct prog_sums *s = &r->sums;
    uint64_t own = 0;
    char row[256];
    int n =
        snprintf(row, sizeof(row), "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64,
                 s->connections, s->packets, s->stream_bytes, s->gap_bytes, s->rexmit_packets);
    bool more = own_column(r, &col[5].title, &own);

    col[5].right = true;
    if (more)
        snprintf(row + n, sizeof(row) - (size_t)n, "\t%" PRIu64, own);
    return show_table(out, col, more ? 6 : 5, row);
}

/* show_cache: are the packets found in the cache? Then they cost less than those off a wire. */
static void show_cache(struct out *out, const struct report *r)
{
    char set[SIZE_TEXT], cache[SIZE_TEXT], text[256];
    uint64_t loops = r->set->cache / (r->set->bytes | 1) + 1;
    int n;

    if (r->set->cache == 0 || set_bytes(r) > r->set->cache)
        return;
    n = snprintf(text, sizeof(text),
                 "\nAll packets (%s) fit into the last cache (%s): off a wire they cost more.",
                 size_text(set_bytes(r), set), size_text(r->set->cache, cache));
    out_write(out, text, (size_t)n);
    n = snprintf(text, sizeof(text), " --loops %" PRIu64 " is larger.", loops);
    if (loops <= APP_LOOPS && (uint64_t)r->opt->loops < loops)
        out_write(out, text, (size_t)n);
    out_write(out, "\n", 1);
}

static int show_people(struct out *out, const struct report *r)
{
    bool good = show_cost(out, r);

    out_write(out, "\n", 1);
    good = show_sums(out, r) && good;
    show_cache(out, r);
    return good ? APP_OK : complain(APP_BROKEN, "out of memory");
}

/* ---- the command ---- */

static int show(const struct report *r)
{
    struct out out;
    int status;

    out_open(&out);
    status = r->opt->json ? show_json(&out, r) : show_people(&out, r);
    return out_close(&out, status);
}

static int measure(const struct appopt *opt, const struct set *s)
{
    static struct report r;
    int status;

    r = (struct report){.opt = opt, .set = s};
    if (opt->program == APP_EVENTS_N)
        snprintf(r.app, sizeof(r.app), "events=%d", opt->events);
    else
        snprintf(r.app, sizeof(r.app), "%s", app_program_names[opt->program]);
    status = play_rounds(&r);
    return status == APP_OK ? show(&r) : status;
}

static int run(const struct appopt *opt)
{
    static struct set s;
    int status = set_load(&s, opt, opt->loops);

    if (s.frames > 0) {
        int measured = measure(opt, &s);

        status = measured > status ? measured : status;
    }
    set_free(&s);
    return status;
}

const struct command cmd_bench = {
    .name = "bench",
    .does = "what following these connections costs: cycles per packet, memory",
    .about =
        "Read the capture into memory, then play it to one of five programs, and to a loop that\n"
        "only looks each packet's connection up: the floor. Shown are cycles of CPU time for\n"
        "each packet, and how many times the floor's that is.\n"
        "\n"
        "With several --loops the addresses differ in each, and no connection goes on from one\n"
        "to the next. As many loops lie in memory as it takes to be larger than the last cache.\n"
        "With several --cores each context has a thread, and the connections that\n"
        "GetRSSCPUCore(3) says.",
    .examples = "  weir bench -r trace.pcap\n"
                "  weir bench -r trace.pcap --app search=password --loops 100\n"
                "  weir bench -r trace.pcap --app events=16 --cores 2 tcp port 443\n"
                "  weir bench --json -r trace.pcap --app none | jq .ratio\n",
    .takes = TAKES_BENCH,
    .run = run,
};
