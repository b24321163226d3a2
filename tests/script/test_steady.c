// SPDX-License-Identifier: BSD-2-Clause
/*
 * No allocation per packet in steady state. One round of traffic (connections that begin, lose, repeat and
 * reorder segments, are read or not, are stopped, end by FIN, RST or silence) is played again and again, with
 * later times. After a few rounds to warm up neither the library's pools grow (counter mem_allocs) nor does
 * anything call malloc, in this process at all: the test itself makes no call between two looks.
 */
#include "pushlite.h"

#define FLOWS  300
#define STEPS  24
#define WARM   4
#define ROUNDS 6

/* ---- malloc, counted ---- */

static long mallocs;

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#endif

#ifdef UNDER_SANITIZER
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
    mallocs++;
}

static void on_free(const volatile void *p)
{
}

static void count_mallocs(void)
{
    assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}
#else
#define SEEN __attribute__((visibility("default")))
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
SEEN void *malloc(size_t n);
SEEN void *calloc(size_t n, size_t size);
SEEN void *realloc(void *p, size_t n);

SEEN void *malloc(size_t n)
{
    mallocs++;
    return __libc_malloc(n);
}

SEEN void *calloc(size_t n, size_t size)
{
    mallocs++;
    return __libc_calloc(n, size);
}

SEEN void *realloc(void *p, size_t n)
{
    mallocs++;
    return __libc_realloc(p, n);
}

static void count_mallocs(void)
{
}
#endif

/* ---- the application ---- */

static struct lite l;
static long told[16];

static void on_event(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char buf[4096];

    told[ev == MOS_ON_GAP ? 12 : ev == MOS_ON_OVERLAP ? 13 : __builtin_ctzll(ev)]++;
    if (ev == MOS_ON_CONN_NEW_DATA && sock % 3 == 0) /* the others do not read: overrun */
        while (mtcp_peek(m, sock, side, buf, sizeof(buf)) != 0)
            ;
    if (ev == MOS_ON_CONN_START && sock % 7 == 0)
        mtcp_register_callback(m, sock, MOS_ON_PKT_IN, MOS_HK_RCV, on_event);
}

static void on_stop(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    int both = MOS_SIDE_BOTH;

    told[14]++;
    mtcp_setsockopt(m, sock, SOL_MONSOCKET, MOS_STOP_MON, &both, sizeof(both));
}

/* Every eighth connection's payload is changed on its way. */
static void on_packet(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;
    byte x = 'x';

    if (mtcp_getlastpkt(m, sock, side, &p) == 0 && p.payloadlen > 10 &&
        ntohs(p.tcph->source) % 8 == 0)
        mtcp_setlastpkt(m, sock, side, 5, &x, 1,
                        MOS_TCP_PAYLOAD | MOS_OVERWRITE | MOS_UPDATE_TCP_CHKSUM);
}

static bool to_stop(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    struct pkt_info p;

    return mtcp_getlastpkt(m, sock, side, &p) == 0 && p.tcph->fin &&
           ntohs(p.tcph->source) % 11 == 0;
}

static void set_up(void)
{
    static const struct {
        event_t ev;
        int hook;
    } all[] = {
        {MOS_ON_CONN_START, MOS_HK_SND}, {MOS_ON_CONN_NEW_DATA, MOS_NULL},
        {MOS_ON_REXMIT, MOS_HK_RCV},     {MOS_ON_OVERLAP, MOS_HK_RCV},
        {MOS_ON_GAP, MOS_NULL},          {MOS_ON_ERROR, MOS_NULL},
        {MOS_ON_CONN_END, MOS_HK_RCV},   {MOS_ON_TIMEOUT, MOS_NULL},
    };
    event_t stop;

    count_mallocs();
    lite_init(&l, "rmem_size = 4096\nooo_size = 4096\ntcp_timeout = 2");
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_int_equal(mtcp_register_callback(l.ctx, l.lst, all[i].ev, all[i].hook, on_event), 0);
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_PKT_IN, MOS_HK_SND, on_packet), 0);
    stop = mtcp_define_event(MOS_ON_PKT_IN, to_stop, NULL);
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, stop, MOS_HK_SND, on_stop), 0);
}

/* ---- the traffic: what connection k does at a step, without chance ---- */

static struct frame from_client(int k, uint32_t off, uint32_t len)
{
    return (struct frame){
        .sport = (uint16_t)(2000 + k), .flags = "P.", .seq = 101 + off, .ack = 501, .plen = len};
}

static struct frame from_server(int k, uint32_t acked)
{
    return (struct frame){FRAME_REPLY, .sport = (uint16_t)(2000 + k), .seq = 501,
                          .ack = 101 + acked};
}

static void end_step(int k, int step)
{
    struct frame f = from_client(k, 8 * 500, 0);
    struct frame g = from_server(k, 8 * 500 + 1);

    switch (k % 5) {
    case 0: /* silence */
        return;
    case 1:
        f.flags = "R";
        break;
    default:
        f.flags = "F.";
        g.flags = "F.";
    }
    if (step == STEPS - 3)
        lite_tcp(&l, 2000, f);
    if (k % 5 > 1 && step == STEPS - 2)
        lite_tcp(&l, 2000, g);
    f.seq++;
    f.ack++;
    f.flags = ".";
    if (k % 5 > 1 && step == STEPS - 1)
        lite_tcp(&l, 2000, f);
}

static void one_step(int k, int step)
{
    uint32_t n = (uint32_t)(step - 3), at = n / 2 * 500;

    if (step == 0) {
        lite_tcp(&l, 2000, (struct frame){.sport = (uint16_t)(2000 + k), .flags = "S", .seq = 100});
    } else if (step == 1) {
        lite_tcp(&l, 2000,
                 (struct frame){FRAME_REPLY, .sport = (uint16_t)(2000 + k), .flags = "S.",
                                .seq = 500, .ack = 101});
    } else if (step == 2) {
        lite_tcp(&l, 2000, from_client(k, 0, 0));
    } else if (step >= STEPS - 3) {
        end_step(k, step);
    } else if (n % 2) {
        lite_tcp(&l, 2000, from_server(k, at + (k % 4 ? 500 : 0)));
    } else if ((n + (uint32_t)k) % 10 == 0 &&
               n > 2) { /* lost here; every third of them comes again, later */
        if (k % 3 == 0)
            lite_tcp(&l, 2000, from_client(k, at + 500, 300));
    } else if ((n + (uint32_t)k) % 6 == 0 && at >= 500) { /* repeated in part */
        lite_tcp(&l, 2000, from_client(k, at - 200, 700));
    } else {
        lite_tcp(&l, 2000, from_client(k, at, 500));
    }
}

static void one_round(void)
{
    for (int step = 0; step < STEPS; step++)
        for (int k = 0; k < FLOWS; k++)
            one_step((k * 7 + step) % FLOWS, step);
    lite_flush(&l);
    l.now += 5000000000ull; /* who fell silent is idle too long; holes and tombstones expire */
    assert_int_equal(mtcp_tick(l.ctx, l.now), 0);
    l.now += 1000000;
}

static void steady_state_allocates_nothing(void **state)
{
    uint64_t pools, packets;
    long before;

    set_up();
    assert_true(mallocs > 0); /* they are counted */
    for (int i = 0; i < WARM; i++)
        one_round();
    pools = lite_stat(&l, "mem_allocs");
    packets = lite_stat(&l, "packets");
    before = mallocs;
    for (int i = 0; i < ROUNDS; i++)
        one_round();
    before = mallocs - before;
    packets = lite_stat(&l, "packets") - packets;
    print_message("# %llu packets: %ld calls of malloc, pools grown %llu times\n",
                  (unsigned long long)packets, before,
                  (unsigned long long)(lite_stat(&l, "mem_allocs") - pools));
    assert_true(packets > ROUNDS * FLOWS * 10);
    assert_int_equal(before, 0);
    assert_int_equal(lite_stat(&l, "mem_allocs"), pools);
    /* and it was traffic of all kinds */
    for (int i = 0; i < 15; i++)
        if (i == 2 || i == 4 || i == 5 || i == 6 || i == 9 || i == 10 || i >= 12)
            if (told[i] == 0)
                fail_msg("event %d was never told", i);
    lite_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_state_allocates_nothing),
    };

    return cmocka_run_group_tests_name("steady state", tests, NULL, NULL);
}
