// SPDX-License-Identifier: BSD-2-Clause
/*
 * micro.c: single steps of a packet's way, each alone: decode, table, reassembly, dispatch.
 *
 *      micro [--rounds N] [--scale F] [--case NAME,...]
 *
 * Each case is set up once, run once to warm up, then timed N times: CPU time of the thread by the
 * number of operations, median and lowest. What a case has done is checked each time; a wrong result
 * is exit status 1. A table for people, then one JSON line for each case.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "benchopt.h"
#include "event/event.h"
#include "flow/glance.h"
#include "flow/table.h"
#include "measure.h"
#include "preload.h"
#include "stream/strm.h"
#include "wire/csum.h"
#include "wire/decode.h"

enum { FLOWS = 100000, FRAMES = 50000, SEGMENTS = 50000, EVENTS = 200000, BURST = 64, SEG = 1460 };

static struct {
    int rounds;
    double scale;
    const char *cases;
} opt = {.rounds = 7, .scale = 1};

static uint32_t n_of(uint32_t n)
{
    return n * opt.scale < BURST ? BURST : (uint32_t)(n * opt.scale);
}

static void die(const char *why)
{
    fprintf(stderr, "micro: %s\n", why);
    exit(1);
}

/* ---- decode ---- */

static struct preload *frames;
static struct pktbuf *pb;

static void load(bool ipv6)
{
    const char *why = "";
    struct gen_cfg c;

    gen_default(&c);
    c.ipv6 = ipv6;
    c.flows = n_of(FRAMES) / 18 + 1; /* 18 packets each */
    frames = preload_generate(&c, &why);
    pb = frames ? calloc(frames->n, sizeof(*pb)) : NULL;
    if (pb == NULL)
        die(frames ? "no memory" : why);
    for (uint64_t i = 0; i < frames->n; i++) {
        memcpy(&pb[i].data, &frames->pkt[i].data, sizeof(pb[i].data)); /* nobody writes to it */
        pb[i].len = pb[i].wire_len = pb[i].cap = frames->pkt[i].len;
        pb[i].linktype = 1;
    }
}

static void load4(void)
{
    load(false);
}

static void load6(void)
{
    load(true);
}

static void unload(void)
{
    preload_free(frames);
    free(pb);
}

static uint64_t run_decode(bool *good)
{
    uint64_t payload = 0;

    for (uint64_t i = 0; i < frames->n; i += BURST) {
        preload_ahead(frames, i + BURST, BURST);
        for (uint64_t k = i; k < i + BURST && k < frames->n; k++) {
            struct seg s;

            if (decode(&s, &pb[k]) == REASON_NONE)
                payload += s.plen;
        }
    }
    *good = payload == frames->tot.payload;
    return frames->n;
}

static uint64_t run_csum(bool *good)
{
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < frames->n; i++) {
        const uint8_t *ip = pb[i].data + 14, *tcp = ip + 20;
        uint32_t len = pb[i].len - 34;
        uint8_t tail[4] = {0, 6, (uint8_t)(len >> 8), (uint8_t)len};

        wrong += csum_fold(csum_add(0, ip, 20)) != 0;
        wrong += csum_fold(csum_add(csum_add(csum_add(0, tail, 4), ip + 12, 8), tcp, len)) != 0;
    }
    *good = wrong == 0;
    return frames->n;
}

/* ---- table ---- */

static struct memacct acct;
static struct ftable table;
static struct flow_key *key;
static uint32_t *order, *entered;
static uint8_t *end;

/* key_of: of flow number i; the odd ones of `other` are never entered. */
static int key_of(struct flow_key *k, uint32_t i, bool other)
{
    uint32_t cli = 0x0a000000u | (i & 0xffffff), svr = other ? 0xc0a80002u : 0xc0a80001u;

    cli = __builtin_bswap32(cli);
    svr = __builtin_bswap32(svr);
    return key_make(k, false, (const uint8_t *)&cli, (uint16_t)(i * 7 + 1024),
                    (const uint8_t *)&svr, 80, 6, 0);
}

static uint64_t run_insert(bool *good)
{
    uint32_t n = n_of(FLOWS);

    for (uint32_t i = 0; i < n; i++)
        entered[i] = ftable_new(&table, &key[i], ftable_hash(&table, &key[i]), end[i], 1);
    *good = table.count == n;
    return n;
}

static uint64_t run_delete(bool *good)
{
    uint32_t n = n_of(FLOWS);

    for (uint32_t i = 0; i < n; i++)
        ftable_del(&table, entered[order[i]]);
    *good = table.count == 0;
    return n;
}

static void setup_table(void)
{
    uint32_t n = n_of(FLOWS);
    struct rng rng;

    if (ftable_init(&table, 0, 99, &acct) < 0)
        die("no memory");
    key = calloc(n, sizeof(*key));
    end = calloc(n, 1);
    order = calloc(n, sizeof(*order));
    entered = calloc(n, sizeof(*entered));
    if (!key || !end || !order || !entered)
        die("no memory");
    rng_seed(&rng, 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = (uint32_t)rng_below(&rng, i + 1);

        end[i] = (uint8_t)key_of(&key[i], i, false);
        order[i] = order[k];
        order[k] = i;
    }
}

static void setup_full(void)
{
    bool good;

    setup_table();
    run_insert(&good);
}

static void setup_strangers(void)
{
    setup_full();
    for (uint32_t i = 0; i < n_of(FLOWS); i++)
        key_of(&key[i], i, true);
}

static void empty_table(void)
{
    while (table.count)
        ftable_del(&table, ftable_next(&table, 0));
    ftable_fini(&table);
    free(key);
    free(end);
    free(order);
    free(entered);
}

/* look_up: in random order, a burst at a time as worker.c does it. => those found. */
static uint64_t look_up(uint32_t n)
{
    const struct bucket *line[BURST];
    uint32_t hash[BURST];
    uint64_t found = 0;

    for (uint32_t i = 0; i < n; i += BURST) {
        uint32_t m = n - i < BURST ? n - i : BURST;

        for (uint32_t k = 0; k < m; k++) {
            hash[k] = ftable_hash(&table, &key[order[i + k]]);
            line[k] = ftable_prefetch(&table, hash[k]);
        }
        for (uint32_t k = 0; k < m; k++)
            ftable_expect(&table, line[k], hash[k]);
        for (uint32_t k = 0; k < m; k++)
            found += ftable_find(&table, &key[order[i + k]], hash[k], 0).idx != 0;
    }
    return found;
}

static uint64_t run_hit(bool *good)
{
    *good = look_up(n_of(FLOWS)) == n_of(FLOWS);
    return n_of(FLOWS);
}

static uint64_t run_miss(bool *good)
{
    *good = look_up(n_of(FLOWS)) == 0;
    return n_of(FLOWS);
}

/* run_alone: one after the other, nothing fetched ahead. */
static uint64_t run_alone(bool *good)
{
    uint32_t n = n_of(FLOWS);
    uint64_t found = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct flow_key *k = &key[order[i]];

        found += ftable_find(&table, k, ftable_hash(&table, k), 0).idx != 0;
    }
    *good = found == n;
    return n;
}

/* ---- reassembly ---- */

static struct strm_env streams;
static uint8_t segment[SEG];

static void setup_streams(void)
{
    strm_env_init(&streams, &acct, 1 << 20, 2 << 20);
}

static void end_streams(void)
{
    strm_env_fini(&streams);
}

static void insert(struct flow_side *sd, uint64_t nth)
{
    struct strm_in in = {nth * SEG, segment, SEG, SEG, true};
    uint32_t cut;

    strm_insert(&streams, sd, &in, &cut);
}

/* read_all: what is readable, without copying it; then it goes. */
static uint64_t read_all(struct flow_side *sd, uint64_t at)
{
    struct iovec iov[BURST];
    int cnt = BURST;
    size_t n = strm_view(&streams, sd, at, strm_end(&streams, sd), SIZE_MAX, iov, &cnt);

    strm_release(&streams, sd, at + n);
    return n;
}

/*
 * segments: so many, `step` of them in each turn the last one first; all that is readable is read
 * after each burst, and what waits is copied then, as at the end of a batch.
 */
static uint64_t segments(uint32_t step, bool *good)
{
    struct flow_side sd = {0};
    uint32_t n = n_of(SEGMENTS) / BURST * BURST;
    uint64_t got = 0;

    for (uint32_t i = 0; i < n; i += BURST) {
        for (uint32_t k = 0; k < BURST; k += step)
            for (uint32_t j = step; j-- > 0;)
                insert(&sd, i + k + j);
        got += read_all(&sd, got);
        strm_own(&streams, &sd);
    }
    *good = got == (uint64_t)n * SEG;
    strm_drop(&streams, &sd);
    return n;
}

static uint64_t run_in_order(bool *good)
{
    return segments(1, good);
}

static uint64_t run_swapped(bool *good)
{
    return segments(2, good);
}

static uint64_t run_backwards(bool *good)
{
    return segments(16, good);
}

/* again: a segment as conn/ takes it: what of it came before, and does that differ? Then in. */
static uint64_t again(struct flow_side *sd, uint64_t nth, bool store)
{
    struct strm_in in = {nth * SEG, segment, SEG, SEG, store};
    struct strm_overlap o = strm_overlap(&streams, sd, in.off, SEG);
    uint32_t cut;

    if (o.dup)
        return strm_diff(&streams, sd, in.off, segment, SEG).compared;
    strm_insert(&streams, sd, &in, &cut);
    return 0;
}

/* batch_ends: after each burst, as segments() does. */
static void batch_ends(struct flow_side *sd, uint32_t n, uint64_t *got)
{
    if (n % BURST)
        return;
    *got += read_all(sd, *got);
    strm_own(&streams, sd);
}

/* lossy: every second segment is late, by as many as `holes`: one fills the oldest hole, one leaves another. */
static uint64_t lossy(uint32_t holes, bool store, bool *good)
{
    struct flow_side sd = {0};
    uint32_t n = n_of(SEGMENTS) / BURST * BURST / 2;
    uint64_t got = 0;

    for (uint32_t i = 0; i < holes; i++)
        again(&sd, 2 * i + 1, store);
    for (uint32_t i = 0; i < n; i++) {
        again(&sd, 2 * i, store);
        again(&sd, 2 * ((uint64_t)i + holes) + 1, store);
        batch_ends(&sd, 2 * (i + 1), &got);
    }
    *good = sd.next == 2 * (uint64_t)n * SEG && (!store || got == sd.next);
    strm_drop(&streams, &sd);
    return 2 * (uint64_t)n;
}

static uint64_t run_holes10(bool *good)
{
    return lossy(10, true, good);
}

static uint64_t run_holes100(bool *good)
{
    return lossy(100, true, good);
}

static uint64_t run_holes500(bool *good)
{
    return lossy(500, true, good);
}

static uint64_t run_seen500(bool *good)
{
    return lossy(500, false, good);
}

enum { HOLES = 500 };

/* one_by_one: 500 holes, filled in random order; `ask`: what fills one comes again and is compared. */
static uint64_t one_by_one(struct rng *rng, bool ask, bool *good)
{
    struct flow_side sd = {0};
    uint16_t turn[HOLES] = {0};
    uint64_t got = 0, same = 0;

    for (uint32_t i = 0; i < HOLES; i++) {
        uint32_t k = (uint32_t)rng_below(rng, i + 1);

        turn[i] = turn[k];
        turn[k] = (uint16_t)i;
        again(&sd, 2 * i + 1, true);
        batch_ends(&sd, i + 1, &got);
    }
    for (uint32_t i = 0; i < HOLES; i++) {
        if (ask)
            same += again(&sd, 2 * (uint64_t)turn[i] + 1, true);
        again(&sd, 2 * (uint64_t)turn[i], true);
        batch_ends(&sd, i + 1, &got);
    }
    got += read_all(&sd, got);
    *good = *good && sd.next == 2 * HOLES * SEG && same <= HOLES * SEG && sd.strm;
    strm_drop(&streams, &sd);
    return ask ? 3 * HOLES : 2 * HOLES;
}

static uint64_t shuffled(bool ask, bool *good)
{
    struct rng rng;
    uint64_t n = 0;

    rng_seed(&rng, 1);
    for (*good = true; n < n_of(SEGMENTS) && *good;)
        n += one_by_one(&rng, ask, good);
    return n;
}

static uint64_t run_shuffled(bool *good)
{
    return shuffled(false, good);
}

static uint64_t run_compared(bool *good)
{
    return shuffled(true, good);
}

/* ---- dispatch ---- */

static struct evtab *sets;
static uint32_t set;
static uint64_t called;

static void on_event(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    called++;
}

static bool says_no(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    called++;
    return false;
}

static void setup_events(int filters)
{
    const struct ev_cb cb = {.arity = EV_ARGS5, .f5 = on_event};
    const struct ev_filter no = {.arity = EV_ARGS5, .f5 = says_no};

    sets = evtab_create(&acct);
    set = 0;
    for (int i = 0; sets && i <= filters; i++) {
        filter_arg_t arg = {&i, sizeof(i)};
        event_t ev = i == 0 ? MOS_ON_PKT_IN : ude_define(MOS_ON_PKT_IN, &no, &arg);
        uint32_t more = evset_add(sets, set, ev, &cb);

        evset_unref(sets, set);
        set = more;
    }
    if (sets == NULL || set == UINT32_MAX)
        die("no memory");
}

static void setup_one(void)
{
    setup_events(0);
}

static void setup_filters(void)
{
    setup_events(16);
}

static void end_events(void)
{
    evset_unref(sets, set);
    evtab_destroy(sets);
    ude_forget_all();
}

static uint64_t dispatch(uint64_t each, bool *good)
{
    struct mtcp_context ctx = {0};
    uint32_t n = n_of(EVENTS);

    called = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct ev_call c = {.tab = sets, .setp = &set, .mctx = &ctx};

        ev_dispatch(&c, EV_PKT_IN);
    }
    *good = called == n * each;
    return n;
}

static uint64_t run_callback(bool *good)
{
    return dispatch(1, good);
}

static uint64_t run_filters(bool *good)
{
    return dispatch(17, good);
}

/* ---- all of them ---- */

struct step {
    const char *name, *what;
    void (*setup)(void), (*end)(void);
    uint64_t (*run)(bool *good);  /* => operations; false in *good: a wrong result */
    uint64_t (*undo)(bool *good); /* before the next round, untimed; NULL: nothing */
};

static const struct step steps[] = {
    {"decode", "a frame, Ethernet, IPv4", load4, unload, run_decode, NULL},
    {"decode6", "a frame, Ethernet, IPv6", load6, unload, run_decode, NULL},
    {"csum", "IP and TCP checksum of a frame", load4, unload, run_csum, NULL},
    {"hit", "look-up in 100,000 flows, bursts", setup_full, empty_table, run_hit, NULL},
    {"hit-alone", "the same, nothing fetched ahead", setup_full, empty_table, run_alone, NULL},
    {"miss", "look-up of a stranger, bursts", setup_strangers, empty_table, run_miss, NULL},
    {"insert", "a new flow", setup_table, empty_table, run_insert, run_delete},
    {"delete", "a flow goes", setup_full, empty_table, run_delete, run_insert},
    {"in-order", "a segment of 1,460 in order", setup_streams, end_streams, run_in_order, NULL},
    {"swapped", "pairs the wrong way round", setup_streams, end_streams, run_swapped, NULL},
    {"backwards", "sixteen the wrong way round", setup_streams, end_streams, run_backwards, NULL},
    {"holes-10", "every second lost, 10 holes wait", setup_streams, end_streams, run_holes10, NULL},
    {"holes-100", "100 holes wait", setup_streams, end_streams, run_holes100, NULL},
    {"holes-500", "500 holes wait", setup_streams, end_streams, run_holes500, NULL},
    {"seen-500", "the same, no bytes held", setup_streams, end_streams, run_seen500, NULL},
    {"shuffled", "500 holes, filled at random", setup_streams, end_streams, run_shuffled, NULL},
    {"compared", "and some come twice", setup_streams, end_streams, run_compared, NULL},
    {"callback", "an event with one callback", setup_one, end_events, run_callback, NULL},
    {"filters", "and 16 filters that say no", setup_filters, end_events, run_filters, NULL},
};

static bool measure(const struct step *s, FILE *json)
{
    double ns[MEASURE_ROUNDS];
    bool good = true, undone = true;
    uint64_t ops = 0;

    s->setup();
    for (int r = -1; r < opt.rounds && good && undone; r++) {
        uint64_t start = thread_ns();

        ops = s->run(&good);
        if (r >= 0)
            ns[r] = (double)(thread_ns() - start) / (double)ops;
        if (s->undo)
            s->undo(&undone);
    }
    s->end();
    if (!good || !undone || acct.used != 0) {
        fprintf(stderr, "micro: %s: wrong result\n", s->name);
        return false;
    }
    printf("  %-10s %-34s %9.1f %10.1f %10.1f\n", s->name, s->what, median(ns, opt.rounds),
           median(ns, opt.rounds) * measure_hz() / 1e9,
           lowest(ns, opt.rounds) * measure_hz() / 1e9);
    fprintf(json,
            "{\"bench\":\"micro\",\"case\":\"%s\",\"ops\":%" PRIu64 ",\"rounds\":%d,\"ns\":%.2f,"
            "\"cycles\":%.1f,\"cycles_min\":%.1f}\n",
            s->name, ops, opt.rounds, median(ns, opt.rounds),
            median(ns, opt.rounds) * measure_hz() / 1e9,
            lowest(ns, opt.rounds) * measure_hz() / 1e9);
    fflush(stdout);
    return true;
}

static const char *case_name(int i)
{
    return i < (int)ARRAY_SIZE(steps) ? steps[i].name : NULL;
}

static const struct bench_opt options[] = {
    {"rounds", BENCH_INT, &opt.rounds, 1, MEASURE_ROUNDS, NULL},
    {"scale", BENCH_REAL, &opt.scale, 1e-6, 100, NULL},
    {"case", BENCH_TEXT, &opt.cases, 0, 0, case_name},
    {NULL, 0, NULL, 0, 0, NULL},
};

int main(int argc, char **argv)
{
    FILE *json = bench_json();
    bool good = true;

    bench_options(argc, argv, "micro", options);
    printf("Single steps, one core. %s; %s.\n"
           "  %-10s %-34s %9s %10s %10s\n",
           measure_machine(), measure_shown(opt.rounds), "", "", "ns", "cycles", "lowest");
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        if (bench_listed(opt.cases, steps[i].name))
            good = measure(&steps[i], json) && good;
    bench_json_show();
    return good ? 0 : 1;
}
