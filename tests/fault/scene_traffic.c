// SPDX-License-Identifier: BSD-2-Clause
/* scene_traffic.c: what each connection of a scene says, and the frames of all of them in a row. */
#include "scene_traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "frames.h"
#include "scene.h"

#define MAX_FRAMES 4000
#define START      UINT64_C(1700000000000000000)
#define MS         UINT64_C(1000000)

int scene_frames;
char scene_capture[] = "/tmp/weir-scene-in-XXXXXX", scene_output[] = "/tmp/weir-scene-out-XXXXXX";

static struct {
    uint32_t at, len, wire_len;
    uint64_t ts_ns;
} frame[MAX_FRAMES];
static uint8_t bytes[2 << 20];
static uint32_t nbytes;
static uint64_t now = START;

/* One segment: who sends, its place in the sender's stream, and what it has acknowledged. */
struct step {
    char who; /* c, s */
    const char *flags;
    uint32_t off, len, acked;
};

#define SHAKE                                                                                      \
    {'c', "S", 0, 0, 0}, {'s', "S.", 0, 0, 0},                                                     \
    {                                                                                              \
        'c', ".", 0, 0, 0                                                                          \
    }
/* Both ends close; the client has sent a bytes, the server b. */
#define CLOSE(a, b)                                                                                \
    {'c', "F.", a, 0, b}, {'s', ".", b, 0, (a) + 1}, {'s', "F.", b, 0, (a) + 1},                   \
    {                                                                                              \
        'c', ".", (a) + 1, 0, (b) + 1                                                              \
    }

static const struct step ordinary[] = {SHAKE,
                                       {'c', "P.", 0, 200, 0},
                                       {'s', ".", 0, 0, 200},
                                       {'s', "P.", 0, 300, 200},
                                       {'c', ".", 200, 0, 300},
                                       {'c', "P.", 200, 100, 300},
                                       {'s', "P.", 300, 400, 300},
                                       {'s', "P.", 300, 400, 300},
                                       {'c', ".", 300, 0, 700},
                                       CLOSE(300, 700)};
static const struct step disorder[] = {SHAKE,
                                       {'c', "P.", 0, 100, 0},
                                       {'c', "P.", 200, 100, 0},
                                       {'c', "P.", 400, 50, 0},
                                       {'s', ".", 0, 0, 100},
                                       {'c', "P.", 400, 50, 0},
                                       {'c', "P.", 100, 100, 0},
                                       {'c', "P.", 0, 100, 0},
                                       {'c', "P.", 150, 300, 0},
                                       {'s', ".", 0, 0, 450},
                                       {'s', "P.", 100, 100, 450},
                                       {'s', "P.", 0, 200, 450},
                                       {'c', ".", 450, 0, 200},
                                       CLOSE(450, 200)};
static const struct step hole[] = {SHAKE,
                                   {'c', "P.", 0, 100, 0},
                                   {'c', "P.", 250, 100, 0},
                                   {'s', ".", 0, 0, 350},
                                   {'c', "P.", 350, 50, 0},
                                   {'s', ".", 0, 0, 400},
                                   {'s', "P.", 0, 70, 400},
                                   {'c', ".", 400, 0, 70},
                                   CLOSE(400, 70)};
static const struct step hole_at_end[] = {SHAKE,
                                          {'c', "P.", 100, 100, 0},
                                          {'c', "P.", 300, 100, 0},
                                          {'s', ".", 0, 0, 0},
                                          {'s', "P.", 0, 50, 0},
                                          {'c', "R", 400, 0, 50}};
static const struct step still_open[] = {SHAKE, {'c', "P.", 0, 50, 0}, {'s', ".", 0, 0, 50}};
static const struct step cut[] = {SHAKE,
                                  {'c', "P.", 0, 200, 0},
                                  {'s', ".", 0, 0, 200},
                                  {'c', "P.", 200, 200, 0},
                                  {'s', "P.", 0, 90, 400},
                                  {'c', ".", 400, 0, 90},
                                  CLOSE(400, 90)};
static const struct step much[] = {SHAKE,
                                   {'c', "P.", 0, 30, 0},
                                   {'s', "P.", 0, 900, 30},
                                   {'s', "P.", 900, 900, 30},
                                   {'s', "P.", 2700, 900, 30},
                                   {'c', ".", 30, 0, 1800},
                                   {'s', "P.", 1800, 900, 30},
                                   {'s', "P.", 3600, 900, 30},
                                   {'c', ".", 30, 0, 4500},
                                   {'s', "P.", 4500, 900, 30},
                                   {'s', "P.", 5400, 900, 30},
                                   {'c', ".", 30, 0, 6300},
                                   CLOSE(30, 6300)};
static const struct step syn[] = {{'c', "S", 0, 0, 0}};

#define SAYS(v)                                                                                    \
    {                                                                                              \
        v, ARRAY_SIZE(v)                                                                           \
    }
static const struct {
    const struct step *v;
    size_t n;
} says[SCENE_KINDS + 1] = {
    [SCENE_ORDINARY] = SAYS(ordinary),
    [SCENE_DISORDER] = SAYS(disorder),
    [SCENE_HOLE] = SAYS(hole),
    [SCENE_HOLE_AT_END] = SAYS(hole_at_end),
    [SCENE_STOPPED] = SAYS(ordinary),
    [SCENE_SIX] = SAYS(disorder),
    [SCENE_TRANSLATED] = SAYS(ordinary),
    [SCENE_KILLED] = SAYS(ordinary),
    [SCENE_OPEN] = SAYS(still_open),
    [SCENE_TAGGED] = SAYS(ordinary),
    [SCENE_CUT] = SAYS(cut),
    [SCENE_SIZED] = SAYS(much),
    [SCENE_LONG] = SAYS(much),
    [SCENE_FRAGMENTS] = SAYS(ordinary),
    [SCENE_SYN] = SAYS(syn),
};

enum scene_kind scene_kind(uint16_t flow)
{
    return flow < SCENE_TURNS ? (enum scene_kind)(flow % SCENE_KINDS) : SCENE_SYN;
}

static void put(const struct pktbuf *pb)
{
    int i = scene_frames++;

    if (i >= MAX_FRAMES || nbytes + pb->len > sizeof(bytes))
        abort();
    frame[i].at = nbytes;
    frame[i].len = pb->len;
    frame[i].wire_len = pb->wire_len;
    frame[i].ts_ns = now;
    memcpy(bytes + nbytes, pb->data, pb->len);
    nbytes += pb->len;
}

/* put_halves: the datagram in two fragments, the later one first. */
static void put_halves(const struct frame *f, const struct pktbuf *pb)
{
    static struct frame_buf b;
    static uint32_t id;
    const uint8_t *l4 = pb->data + 34;
    uint32_t len = pb->len - 34, half = len / 16 * 8;
    struct frame h = {.v6 = f->v6, .reply = f->reply, .proto = 6, .id = ++id};

    h.payload = l4 + half;
    h.plen = len - half;
    h.frag_off = (uint16_t)half;
    put(frame_ip(&b, h));
    now += MS / 100;
    h.payload = l4;
    h.plen = half;
    h.frag_off = 0;
    h.frag_more = true;
    put(frame_ip(&b, h));
}

/* say: step number i of this connection. => false: it has said everything. */
static bool say(uint16_t flow, size_t i)
{
    enum scene_kind kind = scene_kind(flow);
    const struct step *s = says[kind].v + i;
    static struct frame_buf b;
    bool cli, six = kind == SCENE_SIX || (kind == SCENE_STOPPED && flow % 2);
    uint32_t own, other;
    struct frame f = {.v6 = six, .sport = (uint16_t)(SCENE_PORT + flow), .dport = 80};

    if (i >= says[kind].n)
        return false;
    cli = s->who == 'c';
    own = cli ? SCENE_ISN_CLI : SCENE_ISN_SVR;
    other = cli ? SCENE_ISN_SVR : SCENE_ISN_CLI;
    f.reply = !cli;
    f.flags = s->flags;
    f.plen = s->len;
    f.seq = s->flags[0] == 'S' ? own : own + 1 + s->off;
    f.ack = strchr(s->flags, '.') ? other + 1 + s->acked : 0;
    if (kind == SCENE_TRANSLATED)
        f.dst = cli ? SCENE_VIRTUAL : SCENE_REAL;
    if (kind == SCENE_TAGGED) {
        f.vlan[0] = (uint16_t)(100 + flow);
        f.vlan[1] = 5;
        f.vlan[2] = 6;
    }
    if (kind == SCENE_CUT && s->len == 200)
        f.snap = 120;
    if (kind == SCENE_FRAGMENTS && s->len)
        put_halves(&f, frame_tcp(&b, f));
    else
        put(frame_tcp(&b, f));
    return true;
}

static void crowd(int from, int to)
{
    for (int flow = from; flow < to; flow++) {
        now += MS / 100;
        say((uint16_t)flow, 0);
    }
}

/* le: a number, least byte first. */
static void le(FILE *f, uint64_t v, int n)
{
    for (; n > 0; n--, v >>= 8)
        fputc((int)(v & 0xff), f);
}

static void write_capture(void)
{
    int fd = mkstemp(scene_capture), fd_out = mkstemp(scene_output);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    if (f == NULL || fd_out < 0)
        abort();
    close(fd_out);
    le(f, 0xa1b23c4d, 4); /* nanoseconds */
    le(f, 2, 2);
    le(f, 4, 2);
    le(f, 0, 8);
    le(f, 65535, 4);
    le(f, 1, 4);
    for (int i = 0; i < scene_frames; i++) {
        le(f, frame[i].ts_ns / 1000000000, 4);
        le(f, frame[i].ts_ns % 1000000000, 4);
        le(f, frame[i].len, 4);
        le(f, frame[i].wire_len, 4);
        fwrite(bytes + frame[i].at, 1, frame[i].len, f);
    }
    if (fclose(f) != 0)
        abort();
}

void scene_prepare(void)
{
    bool more = true;

    for (size_t i = 0; more; i++) {
        more = false;
        for (uint16_t flow = 0; flow < SCENE_TURNS; flow++) {
            now += MS;
            more |= say(flow, i);
        }
    }
    crowd(SCENE_TURNS, SCENE_FLOWS - 8);
    now += 10000 * MS; /* everything is idle */
    crowd(SCENE_FLOWS - 8, SCENE_FLOWS);
    write_capture();
}

void scene_done(void)
{
    unlink(scene_capture);
    unlink(scene_output);
}

struct mtcp_frame scene_frame(int i)
{
    return (struct mtcp_frame){.data = bytes + frame[i].at,
                               .len = frame[i].len,
                               .wire_len = frame[i].wire_len,
                               .ts_ns = frame[i].ts_ns,
                               .linktype = 1};
}

int scene_number(uint64_t ts_ns)
{
    int a = 0, b = scene_frames;

    while (a < b) {
        int m = (a + b) / 2;

        if (frame[m].ts_ns < ts_ns)
            a = m + 1;
        else
            b = m;
    }
    return a;
}
