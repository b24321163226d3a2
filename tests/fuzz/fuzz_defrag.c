// SPDX-License-Identifier: BSD-2-Clause
/*
 * fuzz_defrag.c: fragments of a few datagrams, in any order and overlapping, against what must hold
 * of any reassembly: each byte of a datagram is one that some fragment had there (FIRST and LAST:
 * just which one), bounds are kept, every fragment has one fate.
 *
 *   input: a header of 8 bytes (limits), then records of 8 bytes:
 *   0  which datagram (2 bits), IPv6 (1), other destination (1), more follow (1), end of burst (1)
 *   1  offset in units of 8, 2 length, 3 content (0: that of all others)
 *   4  how much later, 5 what is odd about the frame, 6 its size, 7 bytes that come again
 */
#include "base/hash.h"
#include "fuzz.h"

#include "frames.h"
#include "wire/decode.h"
#include "wire/defrag.h"
#include "wire/print.h"

#define RECMUT_HEADER 8
#define RECMUT_RECORD 8
#include "recmut.h"

static struct {
    struct defrag d;
    struct frag_room room;
    struct frame_buf buf;
    uint64_t now, in, refused, whole, lost;
    bool variants;
} fz;

/* byte_at: what all fragments of a datagram with content 0 have at an offset. A SYN's header first. */
static uint8_t byte_at(int which, uint32_t off, uint8_t content)
{
    static const uint8_t tcp[20] = {0, 80, 4,    210,  0,  0, 0, 1, 0, 0,
                                    0, 0,  0x50, 0x10, 16, 0, 0, 0, 0, 0};

    return (uint8_t)((off < 20 ? tcp[off] : off * 31 + off / 256 + (uint32_t)which * 7) + content);
}

static void set_up(const uint8_t *h)
{
    struct defrag_conf c = {
        .datagrams = 1 + h[0] % 8,
        .memory = 4096u << (h[1] % 8),
        .pieces = 2 + h[2] % 62,
        .min_tcp = h[3] % 61,
        .timeout_ns = UINT64_C(1000000) << (h[4] % 16),
        .timeout6_ns = UINT64_C(1000000) << (h[4] / 16),
        .vlan_in_key = h[5] & 1,
        .strict = h[5] & 2,
    };

    memset(&fz, 0, sizeof(fz));
    fz.now = UINT64_C(1700000000000000000);
    defrag_init(&fz.d, &c, h[6]);
}

static struct pktbuf *make_frame(const uint8_t *r)
{
    static const char *const dst[] = {"10.0.0.2", "10.0.0.3"}, *const dst6[] = {"2001:db8::2",
                                                                                "2001:db8::3"};
    static uint8_t bytes[2100];
    struct frame f = {.proto = 6,
                      .id = r[0] & 3,
                      .v6 = r[0] & 4,
                      .frag_more = r[0] & 16,
                      .frag6 = true,
                      .may_fail = true};

    f.dst = f.v6 ? dst6[r[0] >> 3 & 1] : dst[r[0] >> 3 & 1];
    f.frag_off = (uint16_t)((r[1] < 240 ? r[1] % 32u : r[1] * 32u + r[6] % 16u) * 8u);
    f.plen = r[2] < 200 ? (1 + r[2] % 12u) * 8u : r[2] < 240 ? r[2] % 64u : (r[2] - 239u) * 120u;
    for (uint32_t i = 0; i < f.plen; i++)
        bytes[i] = byte_at(r[0] & 3, f.frag_off + i, r[3] < 128 ? 0 : r[3]);
    f.payload = f.plen ? (const void *)bytes : "";
    fz.variants |= r[3] >= 128;
    switch (r[5] & 15) {
    case 1:
        f.ip_len_add = (int8_t)r[6];
        break;
    case 2:
        f.snap = 34u + r[6];
        break;
    case 3:
        f.bad_ipcsum = true;
        break;
    case 4:
        f.vlan[0] = 1 + r[6] % 3;
        break;
    case 5:
        f.proto = r[6] & 1 ? 17 : 60;
        break;
    case 6:
        f.pad = r[6];
        break;
    case 7:
        f.link = FRAME_RAW;
        break;
    case 8:
        f.tos = r[6] & 3; /* ECN */
        break;
    default:
        break;
    }
    return frame_ip(&fz.buf, f);
}

/* one_of: does some piece have this byte there? *first, *last: those that came first and last. */
static bool one_of(const struct datagram *g, uint32_t at, uint8_t v, uint8_t *first, uint8_t *last)
{
    bool found = false, any = false;

    for (uint32_t i = 0; i < g->npiece; i++) {
        const struct frag_piece *p = &g->piece[i];

        if (at < p->off || at - p->off >= p->len)
            continue;
        *last = p->data[at - p->off];
        if (!any)
            *first = *last;
        any = true;
        found |= *last == v;
    }
    return found;
}

static void check_policy(struct datagram *g, enum overlap_policy policy)
{
    uint8_t first = 0, last = 0;

    defrag_assemble(g, policy);
    for (uint32_t i = 0; i < g->len && g->overlap; i++) {
        FUZZ_CHECK(one_of(g, i, g->payload[i], &first, &last), "policy %d: byte %u is nobody's",
                   policy, i);
        FUZZ_CHECK(policy != OVERLAP_FIRST || g->payload[i] == first, "byte %u", i);
        FUZZ_CHECK(policy != OVERLAP_LAST || g->payload[i] == last, "byte %u", i);
    }
}

static void check_datagram(struct datagram *g, int which)
{
    struct seg s;
    char text[512];

    FUZZ_CHECK(g->len > 0 && g->len <= 65535, "%u", g->len);
    FUZZ_CHECK(g->payload >= g->pb.data && g->payload + g->len <= g->pb.data + g->pb.len,
               "%u in %u", g->len, g->pb.len);
    FUZZ_CHECK(g->pb.nfrags > 0 && g->overlap == (g->npiece > 0), "%u %u", g->pb.nfrags, g->npiece);
    for (int policy = 0; policy < OVERLAP_CNT; policy++)
        check_policy(g, (enum overlap_policy)policy);
    for (uint32_t i = 0; i < g->len && !fz.variants; i++)
        FUZZ_CHECK(g->payload[i] == byte_at(which, i, 0), "byte %u of %u", i, g->len);
    memset(&s, 0xaa, sizeof(s));
    decode(&s, &g->pb);
    FUZZ_CHECK(s.level >= SEG_IP && !(s.flags & (SEG_FRAG | SEG_TRUNC | SEG_IPCSUM_BAD)),
               "level %u, %x", s.level, s.flags);
    FUZZ_CHECK(s.l3_off + s.ip_len == g->pb.len, "%u + %u, %u", s.l3_off, s.ip_len, g->pb.len);
    seg_print(text, sizeof(text), &s);
}

static void input(const uint8_t *r)
{
    struct pktbuf *pb = make_frame(r), copy;
    struct frag_note *note;
    struct seg s;

    fz.now += r[4] < 128 ? 0 : UINT64_C(1000) << (r[4] % 30);
    if (pb == NULL)
        return;
    copy = *pb; /* its bytes in memory of just their size */
    copy.data = malloc(pb->len ? pb->len : 1);
    FUZZ_CHECK(copy.data != NULL, "no memory");
    memcpy(copy.data, pb->data, pb->len);
    copy.clock_ns = copy.ts_ns = fz.now;
    if (decode(&s, &copy) == REASON_IP_FRAGMENT) {
        note = defrag_input(&fz.d, &s, &fz.room);
        FUZZ_CHECK(note != NULL && note->reason < REASON_CNT, "no note");
        fz.in++;
        fz.refused += note->reason != REASON_NONE;
        fz.lost += note->timeout + note->limit + note->overlap + note->other + note->ecn;
        for (int i = 0; i < FRAG_DATAGRAMS; i++)
            if (note->dg[i]) {
                FUZZ_CHECK(!(note->dg[i]->world & FW_RFC) == (i > 0), "%u", note->dg[i]->world);
                check_datagram(note->dg[i], r[0] & 3);
                fz.whole += i == 0 ? note->dg[i]->pb.nfrags : 0;
            }
    }
    free(copy.data);
    FUZZ_CHECK(fz.d.entry.used <= fz.d.conf.datagrams, "%u datagrams", fz.d.entry.used);
    FUZZ_CHECK((uint64_t)fz.d.block.used * fz.d.block.size <= fz.d.conf.memory, "%u blocks",
               fz.d.block.used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t rec[RECMUT_RECORD];

    if (size < RECMUT_HEADER)
        return 0;
    set_up(data);
    for (size_t at = RECMUT_HEADER; at < size; at += RECMUT_RECORD) {
        memset(rec, 0, sizeof(rec));
        memcpy(rec, data + at, size - at < RECMUT_RECORD ? size - at : RECMUT_RECORD);
        input(rec);
        if (rec[0] & 32)
            frag_room_empty(&fz.room, true);
    }
    fz.lost += defrag_end(&fz.d);
    FUZZ_CHECK(fz.in == fz.refused + fz.whole + fz.lost,
               "%llu fragments: %llu refused, %llu whole, %llu lost", (unsigned long long)fz.in,
               (unsigned long long)fz.refused, (unsigned long long)fz.whole,
               (unsigned long long)fz.lost);
    FUZZ_CHECK(fz.d.entry.used == 0 && fz.d.block.used == 0, "%u, %u left", fz.d.entry.used,
               fz.d.block.used);
    defrag_fini(&fz.d);
    frag_room_fini(&fz.room);
    return 0;
}

#ifdef WEIR_LIBFUZZER
/* All of a datagram in 2 to 5 pieces, in order or not. */
static size_t recmut_typical(uint8_t *out, struct rng *r)
{
    uint32_t n = 2 + rng_below(r, 4), at = 0, which = rng_below(r, 16), len = 3 + rng_below(r, 4);
    bool back = rng_below(r, 2);

    memset(out, 0, n * RECMUT_RECORD);
    for (uint32_t i = 0; i < n; i++, at += len) {
        uint8_t *p = out + (back ? n - 1 - i : i) * RECMUT_RECORD;

        p[0] = (uint8_t)(which | (i + 1 < n ? 16 : 0));
        p[1] = (uint8_t)at;
        p[2] = (uint8_t)(len - 1);
    }
    return n;
}
#endif
