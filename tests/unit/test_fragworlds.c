// SPDX-License-Identifier: BSD-2-Clause
/* Fragments that hosts see differently: overlaps, ends, and that in strict tracking there is one truth. */
#include "fragfix.h"

/* ---- overlaps ---- */

static void header_rewritten(void **state)
{
    taken(text(1, 0, "0123456701234567012345670123456701234567", true));
    refused(FRAG_HEADER, text(1, 16, "XXXXXXXX", true)); /* byte 16 to 19 are TCP's */
    taken(text(1, 24, "XXXXXXXX", true));
    taken(text(1, 8, "01234567", true)); /* the same bytes */
}

static void header_rewritten_first(void **state)
{
    struct frag_note *n;

    taken(text(1, 16, "XXXXXXXXYYYYYYYY", true));
    refused(FRAG_HEADER, text(1, 0, "0123456701234567ZZZZZZZZ", true));
    taken(text(1, 0, "0123456701234567", true));
    n = text(1, 32, "end", false);
    assert_text(n->dg[0], OVERLAP_FIRST, "0123456701234567XXXXXXXXYYYYYYYYend");
    assert_int_equal(n->dg[0]->world, FW_KEEP);
}

/* Where a Linux host threw the datagram away it can be completed anew; others have gone on. */
static void two_worlds(void **state)
{
    struct frag_note *n;

    taken(text(1, 0, HEAD "aaaaaaaabbbbbbbb", true)); /* to 40 */
    taken(text(1, 32, "XXXXXXXXcccccccc", true));     /* overlaps: Linux throws away */
    n = text(1, 48, "end", false);
    taken(n);
    assert_non_null(n->dg[0]);
    assert_null(n->dg[1]);
    assert_int_equal(n->dg[0]->world, FW_KEEP);
    assert_true(n->dg[0]->overlap);
    assert_int_equal(n->dg[0]->pb.nfrags, 3);
    assert_text(n->dg[0], OVERLAP_FIRST, HEAD "aaaaaaaabbbbbbbbccccccccend");
    assert_text(n->dg[0], OVERLAP_LAST, HEAD "aaaaaaaaXXXXXXXXccccccccend");
    assert_text(n->dg[0], OVERLAP_BSD, HEAD "aaaaaaaabbbbbbbbccccccccend");
    assert_text(n->dg[0], OVERLAP_BSD_RIGHT, HEAD "aaaaaaaaXXXXXXXXccccccccend");
    assert_int_equal(d.entry.used, 1); /* "end", in the world of Linux */
    n = text(1, 0, HEAD "AAAAAAAABBBBBBBBCCCCCCCC", true);
    taken(n);
    assert_null(n->dg[0]); /* a new datagram for the others */
    assert_non_null(n->dg[1]);
    assert_int_equal(n->dg[1]->world, FW_DISCARD);
    assert_text(n->dg[1], OVERLAP_LINUX, HEAD "AAAAAAAABBBBBBBBCCCCCCCCend");
}

/* A repetition with other bytes: Linux ignores it, others have a choice. */
static void repeated_with_other_bytes(void **state)
{
    struct frag_note *n;

    taken(text(1, 0, HEAD, true));
    taken(text(1, 24, "aaaaaaaa", true));
    taken(text(1, 24, "XXXXXXXX", true));
    n = text(1, 32, "end", false);
    taken(n);
    assert_text(n->dg[0], OVERLAP_FIRST, HEAD "aaaaaaaaend");
    assert_text(n->dg[0], OVERLAP_LAST, HEAD "XXXXXXXXend");
    assert_text(n->dg[0], OVERLAP_OLD_LINUX, HEAD "XXXXXXXXend");
    assert_text(n->dg[0], OVERLAP_BSD, HEAD "aaaaaaaaend");
    assert_text(n->dg[1], OVERLAP_LINUX, HEAD "aaaaaaaaend");
    assert_int_equal(n->dg[1]->pb.nfrags, 4);
    assert_int_equal(n->dg[1]->pb.frag_bytes, n->dg[0]->pb.frag_bytes);
    assert_int_equal(d.entry.used, 0);
}

/* Linux's runs: within one that grew at its end a fragment is a repetition, over two it is not. */
static void runs(void **state)
{
    taken(text(1, 0, HEAD, true));
    taken(text(1, 24, "aaaaaaaa", true));
    taken(text(1, 16, "HEADHEADaaaaaaaa", true)); /* within: the worlds part, Linux goes on */
    assert_int_equal(d.entry.used, 2);
    taken(text(2, 24, "aaaaaaaa", true));
    taken(text(2, 0, HEAD, true));                /* a run of its own: it came later */
    taken(text(2, 16, "HEADHEADaaaaaaaa", true)); /* over both: Linux throws away */
    assert_int_equal(d.entry.used, 3);
}

/* The end that a repetition tells: Linux ignores its bytes alone, and does not look whether all is there. */
static void end_of_a_repetition(void **state)
{
    struct frag_note *n;

    taken(text(1, 24, "aaaaaaaa", true));
    taken(text(1, 24, "aaaaaaaa", false));
    assert_text(text(1, 0, HEAD, true)->dg[1], OVERLAP_LINUX, HEAD "aaaaaaaa");
    defrag_end(&d);
    taken(text(1, 24, "aaaaaaaa", true));
    taken(text(1, 24, "XXXXXXXX", false)); /* the same with other bytes */
    n = text(1, 0, HEAD, true);
    assert_text(n->dg[1], OVERLAP_LINUX, HEAD "aaaaaaaa");
    assert_text(n->dg[0], OVERLAP_LAST, HEAD "XXXXXXXX");
    taken(text(1, 24, "aaaaaaaa", true));
    taken(text(1, 24, "aaaaaaaa", false));
    refused(FRAG_LEN, text(1, 32, "end", false)); /* another end */
    assert_null(text(1, 0, HEAD, true)->dg[1]);
    defrag_end(&d);
    taken(text(1, 0, HEAD, true));
    taken(text(1, 24, "aaaaaaaa", true));
    n = text(1, 24, "aaaaaaaa", false);
    assert_text(n->dg[0], OVERLAP_LAST, HEAD "aaaaaaaa");
    assert_int_equal(n->dg[0]->world, FW_RFC);
    assert_null(n->dg[1]);
    assert_int_equal(d.entry.used, 2);
}

/* The BSDs take the end from the last piece that they have (4.4BSD, ip_reass), the others as RFC 791 has it. */
static void end_of_the_bsds(void **state)
{
    struct frag_note *n;

    taken(text(1, 24, "aaaaaaaa", true));
    taken(text(1, 24, "XXXXXXXX", false)); /* covered: goes with its end */
    n = text(1, 0, HEAD, true);
    assert_text(n->dg[0], OVERLAP_LAST, HEAD "XXXXXXXX");
    assert_int_equal(n->dg[0]->world, FW_RFC);
    assert_int_equal(n->dg[1]->world, FW_DISCARD);
    assert_null(n->dg[2]);
    assert_int_equal(d.entry.used, 1);
    n = text(1, 32, "end", false); /* the BSDs' end; the others begin with it */
    assert_null(n->dg[0]);
    assert_int_equal(n->dg[2]->world, FW_BSD);
    assert_text(n->dg[2], OVERLAP_BSD, HEAD "aaaaaaaaend");
    assert_int_equal(n->dg[2]->pb.nfrags, 4);
    assert_int_equal(d.entry.used, 1);
    defrag_end(&d);

    taken(text(1, 32, "bbbbbbbb", false));
    taken(text(1, 24, "AAAAAAAABBBBBBBB", true)); /* takes the place of the last one */
    n = text(1, 0, HEAD, true);
    assert_text(n->dg[0], OVERLAP_FIRST, HEAD "AAAAAAAAbbbbbbbb");
    assert_null(n->dg[2]);
    n = text(1, 40, "end", false);
    assert_text(n->dg[2], OVERLAP_BSD, HEAD "AAAAAAAABBBBBBBBend");
    defrag_end(&d);

    taken(text(1, 0, HEAD, true)); /* nothing but a repetition */
    taken(text(1, 24, "aaaaaaaa", true));
    n = text(1, 24, "aaaaaaaa", false);
    assert_int_equal(n->dg[0]->world, FW_RFC);
    assert_text(text(1, 32, "end", false)->dg[2], OVERLAP_BSD, HEAD "aaaaaaaaend");
}

/* The same for one that rewrites TCP's header; in strict tracking its host does not get it. */
static void end_of_a_refused_one(void **state)
{
    for (int strict = 0; strict < 2; strict++) {
        d.conf.strict = strict;
        taken(text(1, 16, "HEADHEADaaaaaaaa", true));
        refused(FRAG_HEADER, text(1, 16, "XXXXXXXXaaaaaaaa", false));
        assert_null(text(1, 0, "HEADHEADHEADHEAD", true)->dg[0]);
        assert_int_equal(d.entry.used, 1);
        defrag_end(&d);
    }
    d.conf.strict = false;
    taken(text(1, 16, "HEADHEADaaaaaaaa", true));
    refused(FRAG_HEADER, text(1, 16, "XXXXXXXXaaaaaaaa", false));
    assert_text(text(1, 0, "HEADHEADHEADHEAD", true)->dg[1], OVERLAP_LINUX, HEAD "aaaaaaaa");
}

static void ipv6_end_of_a_repetition(void **state)
{
    struct frag_note *n;

    taken(marked(24, "aaaaaaaa", true, true, 0));
    taken(marked(24, "XXXXXXXX", false, true, 0));
    assert_text(marked(0, HEAD, true, true, 0)->dg[0], OVERLAP_LAST, HEAD "aaaaaaaa");
    taken(marked(24, "aaaaaaaa", true, true, 0));
    taken(marked(24, "aaaaaaaa", false, true, 0));
    n = marked(32, "end", false, true, 0); /* another end */
    refused(FRAG_LEN, n);
    assert_int_equal(n->overlap, 2);
    taken(marked(0, HEAD, true, true, 0));
    taken(marked(24, "aaaaaaaa", true, true, 0));
    assert_null(marked(24, "aaaaaaaa", false, true, 0)->dg[0]);
    assert_int_equal(defrag_end(&d), 3);
}

/* Strict: nothing goes for others, whose receivers have it, nor is a stone forgotten. The new one is refused. */
static void strict_and_full(void **state)
{
    struct frag_note *n;

    d.conf.strict = true;
    d.stone.max = 64; /* as it is from the start then */
    for (uint32_t i = 1; i <= 8; i++)
        taken(text(i, 0, HEAD, true));
    for (uint32_t i = 9; i <= 64; i++) { /* the oldest goes, under a stone */
        n = text(i, 0, HEAD, true);
        taken(n);
        assert_int_equal(n->limit, 1);
        assert_int_equal(n->evicted[0], 1);
    }
    for (uint32_t i = 65; i <= 80; i++) { /* no room for another stone */
        n = text(i, 0, HEAD, true);
        refused(FRAG_LIMIT, n);
        assert_int_equal(n->limit + n->evicted[0], 0);
    }
    refused(FRAG_LIMIT, text6(0, HEAD, true, 17)); /* whatever it is */
    for (uint32_t i = 1; i <= 56; i++)             /* none that was given up becomes whole */
        refused(FRAG_LIMIT, text(i, 24, "end", false));
    assert_non_null(text(64, 24, "end", false)->dg[0]);
    taken(text(65, 24, "aaaaaaaa", true)); /* what was refused nobody has */
    taken(text(65, 0, HEAD, true));
    assert_int_equal(defrag_expire(&d, now + 30 * SEC), 7 + 2);
    now += 31 * SEC;
    refused(FRAG_TIMEOUT, text(60, 24, "end", false));
    taken(text(66, 0, HEAD, true));
    now += 30 * SEC;
    taken(text(60, 24, "end", false));
}

/* Strict, and no room for the second world, or for a piece in one of them: the datagram goes in both. */
static void strict_and_full_in_one_world(void **state)
{
    static char big[1025];
    struct frag_note *n;

    memset(big, 'x', 1024);
    d.conf.strict = true;
    d.conf.datagrams = 1; /* eight stones */
    for (uint32_t i = 11; i <= 17; i++)
        taken(text(i, 0, HEAD, true));
    taken(text(1, 0, HEAD, true));
    taken(text(1, 24, "aaaaaaaa", true));
    n = text(1, 24, "XXXXXXXX", true);
    refused(FRAG_LIMIT, n);
    assert_int_equal(n->limit, 2);
    refused(FRAG_LIMIT, text(1, 32, "end", false));
    assert_int_equal(d.entry.used, 7);
    defrag_end(&d);
    d.conf.datagrams = 8;
    d.conf.pieces = 4;
    taken(text(2, 0, HEAD, true));
    taken(text(2, 24, "aaaaaaaa", true));
    taken(text(2, 24, "XXXXXXXX", true)); /* two worlds */
    taken(text(2, 40, "aaaaaaaa", true));
    n = text(2, 32, "aaaaaaaa", true);
    refused(FRAG_LIMIT, n);
    assert_int_equal(n->limit, 4);
    assert_int_equal(d.entry.used, 0);
    refused(FRAG_LIMIT, text(2, 48, "end", false));
}

/* Several contexts: what leaves is behind what has come. A stone stands also for a time before it was set. */
static void stones_and_the_past(void **state)
{
    struct frag_key key = {.id = 1, .proto = 6}, other = {.id = 2, .proto = 6};

    defrag_bury(&d, &key, REASON_FRAG_DROPPED, now);
    assert_int_equal(defrag_buried(&d, &key, now - 1), REASON_FRAG_DROPPED);
    assert_int_equal(defrag_buried(&d, &key, now - 40 * SEC), REASON_FRAG_DROPPED);
    assert_int_equal(defrag_buried(&d, &key, now + 30 * SEC - 1), REASON_FRAG_DROPPED);
    assert_int_equal(defrag_buried(&d, &key, now + 30 * SEC), REASON_NONE);
    assert_int_equal(defrag_buried(&d, &other, now), REASON_NONE);
}

static void assert_copies(const struct frag_diff *diff, uint32_t off, uint32_t n, const char *first,
                          const char *again)
{
    assert_int_equal(diff->n, n);
    assert_int_equal(diff->off, off);
    assert_int_equal(diff->shown, strlen(first));
    assert_memory_equal(diff->copy[0], first, diff->shown);
    assert_memory_equal(diff->copy[1], again, diff->shown);
}

/* Both copies from the first byte that differs on, also over the blocks that pieces are kept in. */
static void copies_are_shown(void **state)
{
    struct frag_note *n;
    char big[601], two[601];

    taken(text(1, 0, HEAD "aaaaaaaa", true));
    taken(text(1, 24, "aaaaXXXX", true));
    taken(text(1, 24, "aaYYYYYY", true));
    n = text(1, 32, "end", false);
    assert_copies(&n->dg[0]->diff, 26, 10, "aaaaaa", "YYYYYY");
    assert_int_equal(n->dg[0]->plain, 4 * 20 + 32 + 8 + 8 + 3);

    for (int i = 0; i < 600; i++)
        big[i] = two[i] = (char)('a' + i % 26);
    big[600] = two[600] = '\0';
    memset(two + 230, '!', 300); /* the first block of a piece ends with byte 236 */
    taken(text(2, 0, HEAD, true));
    taken(text(2, 24, big, true));
    taken(text(2, 24, two, true));
    n = text(2, 624, "end", false);
    big[246] = two[246] = '\0';
    assert_copies(&n->dg[0]->diff, 24 + 230, 300, big + 230, two + 230);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        frag_test(header_rewritten),
        frag_test(header_rewritten_first),
        frag_test(two_worlds),
        frag_test(repeated_with_other_bytes),
        frag_test(runs),
        frag_test(end_of_a_repetition),
        frag_test(end_of_the_bsds),
        frag_test(end_of_a_refused_one),
        frag_test(ipv6_end_of_a_repetition),
        frag_test(strict_and_full),
        frag_test(strict_and_full_in_one_world),
        frag_test(stones_and_the_past),
        frag_test(copies_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
