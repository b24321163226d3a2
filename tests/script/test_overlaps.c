// SPDX-License-Identifier: BSD-2-Clause
/*
 * T5: holes, order and overlaps against a naive twin, for every policy, through the API. Every triple of
 * segments within six bytes, in every order, each segment with a letter of its own; packet by packet and as
 * one batch. Nothing is acknowledged, so that LAST may still rewrite everything. A RST ends it, then
 * everything held is delivered and the holes between are gaps.
 */
#include "pushlite.h"

#include <errno.h>

#include "hosttwin.h"

#define BYTES    6
#define SEGMENTS (BYTES * (BYTES + 1) / 2)

static struct lite l;
static char got[64];
static int ended;

static const struct segment {
    int from, to;
} * segments(void)
{
    static struct segment v[SEGMENTS];
    int n = 0;

    for (int from = 0; from < BYTES; from++)
        for (int to = from + 1; to <= BYTES; to++)
            v[n++] = (struct segment){from, to};
    return v;
}

/* The bytes as they come; a dot for each that never will. */
static void on_data(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    char buf[64];
    ssize_t n;

    while ((n = mtcp_peek(m, sock, side, buf, sizeof(buf))) != 0) {
        size_t len = strlen(got);

        if (n < 0 && errno != ENODATA)
            fail_msg("peek: %s", mtcp_errstr());
        if (n < 0)
            memset(got + len, '.', (size_t)-n);
        else
            memcpy(got + len, buf, (size_t)n);
        got[len + (size_t)(n < 0 ? -n : n)] = '\0';
    }
}

static void on_end(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    ended++;
    if (side == MOS_SIDE_SVR)
        on_data(m, sock, side, ev, arg);
}

static void naive(const struct segment *const s[3], enum overlap_policy policy, char *out)
{
    struct twin t;
    int end = 0;

    twin_init(&t, policy);
    for (int i = 0; i < 3; i++) {
        twin_put(&t, i + 1, s[i]->from, s[i]->to, BYTES);
        end = s[i]->to > end ? s[i]->to : end;
    }
    assert_false(t.unsure);
    for (int k = 0; k < end; k++)
        out[k] = t.own[k] ? (char)('a' + t.own[k] - 1) : '.';
    out[end] = '\0';
}

static void play(const struct segment *const s[3], bool one_batch)
{
    lite_tcp(&l, 1000, (struct frame){.flags = "S", .seq = 100});
    lite_tcp(&l, 1000, (struct frame){FRAME_REPLY, .flags = "S.", .seq = 500, .ack = 101});
    lite_tcp(&l, 1000, (struct frame){.seq = 101, .ack = 501});
    for (int i = 0; i < 3; i++) {
        char letters[BYTES];

        memset(letters, 'a' + i, sizeof(letters));
        if (!one_batch)
            lite_flush(&l);
        lite_tcp(&l, 1000,
                 (struct frame){.flags = "P.",
                                .seq = 101 + (uint32_t)s[i]->from,
                                .ack = 501,
                                .payload = letters,
                                .plen = (uint32_t)(s[i]->to - s[i]->from)});
    }
    lite_tcp(&l, 1000, (struct frame){FRAME_REPLY, .flags = "R", .seq = 501});
    lite_flush(&l);
}

static const char *const names[] = OVERLAP_NAMES;

static void one_case(const struct segment *const s[3], enum overlap_policy policy, bool one_batch)
{
    char want[BYTES + 1];

    got[0] = '\0';
    ended = 0;
    play(s, one_batch);
    naive(s, policy, want);
    if (strcmp(got, want) != 0 || ended != 2)
        fail_msg("%s, %s: a %d-%d, b %d-%d, c %d-%d: expected %s, got %s (%d ends)", names[policy],
                 one_batch ? "one batch" : "packet by packet", s[0]->from, s[0]->to, s[1]->from,
                 s[1]->to, s[2]->from, s[2]->to, want, got, ended);
}

static void every_triple(void **state)
{
    const struct segment *v = segments();
    int policy = *(const int *)*state;

    lite_init(&l, "");
    assert_int_equal(
        mtcp_setsockopt(l.ctx, l.lst, SOL_MONSOCKET, MOS_SVROVERLAP, &policy, sizeof(policy)), 0);
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data),
                     0);
    assert_int_equal(mtcp_register_callback(l.ctx, l.lst, MOS_ON_CONN_END, MOS_HK_RCV, on_end), 0);
    for (int n = 0; n < SEGMENTS * SEGMENTS * SEGMENTS; n++) {
        const struct segment *const s[3] = {&v[n % SEGMENTS], &v[n / SEGMENTS % SEGMENTS],
                                            &v[n / SEGMENTS / SEGMENTS]};

        one_case(s, (enum overlap_policy)policy, false);
        one_case(s, (enum overlap_policy)policy, true);
    }
    lite_fini(&l);
}

int main(void)
{
    static int policies[MOS_OVERLAP_POLICIES];
    struct CMUnitTest tests[MOS_OVERLAP_POLICIES];

    for (int p = 0; p < MOS_OVERLAP_POLICIES; p++) {
        policies[p] = p;
        tests[p] = (struct CMUnitTest){names[p], every_triple, NULL, NULL, &policies[p]};
    }
    return cmocka_run_group_tests_name("overlaps", tests, NULL, NULL);
}
