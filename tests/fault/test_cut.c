// SPDX-License-Identifier: BSD-2-Clause
/*
 * Capture files that end anywhere: each file of tests/traces, and made ones in every byte order, is
 * cut at each length from its size down to nothing. Every frame that is whole comes, as it was;
 * then the end, or an error that names the file, the last frame and the place; never anything else.
 * In a row of files the next one is read all the same.
 *
 * Which frames are whole is worked out here, from the formats (pcap-savefile(5), pcapng draft 4.1
 * to 4.4), not by libpcap. Files above 3,000 bytes are cut at every 41st length only, unless
 * WEIR_LONG is set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mos_api.h>

#include "base/errtext.h"
#include "io/io.h"

#define MAX_FILE   (1u << 20)
#define MAX_FRAMES 4000
#define SMALL      3000

static uint8_t file[MAX_FILE];
static uint32_t size;

/* Frame i is whole if at least ends[i] bytes are there. */
static uint32_t ends[MAX_FRAMES], nframes, header; /* below `header` it cannot be opened */
static struct {
    uint64_t ts_ns;
    uint32_t len, sum;
} whole[MAX_FRAMES];

static char cut[] = "/tmp/weir-cut-XXXXXX", next[] = "/tmp/weir-next-XXXXXX",
            conf[] = "/tmp/weir-cutconf-XXXXXX";
static uint32_t next_frames;

/* ---- the formats ---- */

static bool big; /* byte order of the file */

static uint32_t get(uint32_t at, int n)
{
    uint32_t v = 0;

    for (int i = 0; i < n; i++)
        v = v << 8 | file[at + (uint32_t)(big ? i : n - 1 - i)];
    return v;
}

static void pcap_layout(void)
{
    header = 24;
    for (uint32_t at = 24; at + 16 <= size; at = ends[nframes++]) {
        assert_true(nframes < MAX_FRAMES);
        ends[nframes] = at + 16 + get(at + 8, 4);
    }
}

/* The first block with an interface makes it readable; frames are in blocks of types 6, 3 and 2. */
static void pcapng_layout(void)
{
    uint32_t len;

    for (uint32_t at = 0; at + 12 <= size; at += len) {
        uint32_t type;

        if (file[at] == 0x0a && file[at + 3] == 0x0a)
            big = file[at + 8] == 0x1a;
        type = get(at, 4);
        len = get(at + 4, 4);
        if (type == 1 && header == 0)
            header = at + len;
        if (type == 6 || type == 3 || type == 2)
            ends[nframes++] = at + len;
    }
}

static void layout(void)
{
    nframes = header = 0;
    big = file[0] == 0xa1;
    if (file[0] == 0x0a)
        pcapng_layout();
    else
        pcap_layout();
}

/* ---- reading ---- */

static uint32_t sum_of(const struct pktbuf *pb)
{
    uint32_t h = 2166136261u;

    for (uint32_t i = 0; i < pb->len; i++)
        h = (h ^ pb->data[i]) * 16777619u;
    return h;
}

/*
 * read_on: to the end; the first `mine` frames are those of the whole file. `note`: it is whole.
 * => frames; errno says how it ended.
 */
static uint32_t read_on(struct io_dev *dev, bool note, uint32_t mine)
{
    struct pktbuf *pb[IO_BURST];
    uint32_t n = 0;

    for (int calls = 0;; calls++) {
        int got = io_rx(dev, pb, IO_BURST);

        assert_true(calls < MAX_FRAMES + 10);
        if (got < 0)
            return n;
        for (int i = 0; i < got; i++, n++) {
            if (note) {
                whole[n].ts_ns = pb[i]->ts_ns;
                whole[n].len = pb[i]->len;
                whole[n].sum = sum_of(pb[i]);
            } else if (n < mine) {
                assert_true(whole[n].ts_ns == pb[i]->ts_ns);
                assert_int_equal(whole[n].len, pb[i]->len);
                assert_int_equal(whole[n].sum, sum_of(pb[i]));
            }
        }
        io_rx_done(dev);
    }
}

static struct io_dev *open_file(const char *path)
{
    char name[300];

    snprintf(name, sizeof(name), "pcap:%s", path);
    return io_open(name, NULL);
}

static uint32_t whole_below(uint32_t len)
{
    uint32_t n = 0;

    while (n < nframes && ends[n] <= len)
        n++;
    return n;
}

/* on_boundary: does the file end where a record does? */
static bool on_boundary(uint32_t len)
{
    uint32_t n = whole_below(len), at = n ? ends[n - 1] : header;

    if (file[0] != 0x0a)
        return len == at;
    for (at = 0; at < len;) /* any block */
        at += get(at + 4, 4);
    return at == len;
}

static void one_cut(uint32_t len)
{
    struct io_dev *dev[2], *row;
    uint32_t n = whole_below(len);
    char said[64];

    dev[0] = open_file(cut);
    if (dev[0] == NULL) {
        assert_true(len < header);
        assert_int_equal(errno, EINVAL);
        assert_non_null(strstr(err_text(), cut));
        return;
    }
    assert_true(len >= header);
    assert_int_equal(read_on(dev[0], false, n), n);
    assert_int_equal(errno, on_boundary(len) ? ENODATA : EILSEQ);
    if (errno == EILSEQ) {
        snprintf(said, sizeof(said), "cut off after frame %u", n);
        assert_non_null(strstr(err_text(), cut));
        assert_non_null(strstr(err_text(), said));
        snprintf(said, sizeof(said), "at byte %u", len);
        assert_non_null(strstr(err_text(), said));
    }
    io_close(dev[0]);

    dev[0] = open_file(cut);
    dev[1] = open_file(next);
    row = io_chain(dev, 2);
    assert_non_null(row);
    assert_int_equal(read_on(row, false, n), n + next_frames);
    assert_int_equal(errno, on_boundary(len) ? ENODATA : EILSEQ);
    if (errno == EILSEQ)
        assert_non_null(strstr(err_text(), cut));
    io_close(row);
}

static void write_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* all_cuts: of what is in file[]. => how many. */
static uint32_t all_cuts(const char *name)
{
    uint32_t step = size <= SMALL || getenv("WEIR_LONG") ? 1 : 41, cuts = 0, n;
    struct io_dev *dev;
    bool readable;

    write_file(cut, file, size);
    layout();
    dev = open_file(cut);
    if (dev == NULL) /* a link type that nobody knows, or no capture */
        return 0;
    n = read_on(dev, true, 0);
    readable = errno == ENODATA;
    io_close(dev);
    if (!readable) { /* interfaces of several link types, which libpcap cannot read */
        print_message("# %s: %s\n", name, err_text());
        return 0;
    }
    assert_int_equal(n, nframes);
    for (uint32_t len = size; len > 0; len = len > step ? len - step : 0, cuts++) {
        assert_int_equal(truncate(cut, len), 0);
        one_cut(len);
    }
    assert_int_equal(truncate(cut, 0), 0);
    one_cut(0);
    return cuts;
}

/* ---- made files ---- */

static void put(uint32_t v, int n, bool swap)
{
    for (int i = 0; i < n; i++)
        file[size++] = (uint8_t)(v >> 8 * (swap ? n - 1 - i : i));
}

/* An ACK of 54 bytes to start with, and some more of everything. */
static void put_frame_bytes(uint32_t n, uint8_t first)
{
    static const uint8_t head[] = {2,    0, 0,  0,  0,    1,    2,  0, 0,  0,  0, 2, 8,  0,
                                   0x45, 0, 0,  40, 0,    1,    0,  0, 64, 6,  0, 0, 10, 0,
                                   0,    1, 10, 0,  0,    2,    4,  1, 0,  80, 0, 0, 0,  1,
                                   0,    0, 0,  1,  0x50, 0x10, 16, 0, 0,  0,  0, 0};

    for (uint32_t i = 0; i < n; i++)
        file[size++] = i < sizeof(head) ? head[i] : (uint8_t)(first + i);
}

static void make_pcap(uint32_t magic, bool swap, uint32_t frames)
{
    size = 0;
    put(magic, 4, swap);
    put(2, 2, swap);
    put(4, 2, swap);
    put(0, 4, swap);
    put(0, 4, swap);
    put(65535, 4, swap);
    put(1, 4, swap);
    for (uint32_t i = 0; i < frames; i++) {
        put(1700000000 + i, 4, swap);
        put(999 * i, 4, swap);
        put(54 + 9 * i, 4, swap);
        put(54 + 9 * i + (i == 2 ? 100 : 0), 4, swap);
        put_frame_bytes(54 + 9 * i, (uint8_t)(16 * i));
    }
}

static void put_block(uint32_t type, uint32_t body, bool swap)
{
    put(type, 4, swap);
    put(12 + body, 4, swap);
}

static void make_pcapng(bool swap, uint32_t frames)
{
    size = 0;
    put_block(0x0a0d0d0a, 16, swap);
    put(0x1a2b3c4d, 4, swap);
    put(1, 2, swap);
    put(0, 2, swap);
    put(UINT32_MAX, 4, swap);
    put(UINT32_MAX, 4, swap);
    put(28, 4, swap);
    put_block(1, 8, swap);
    put(1, 2, swap);
    put(0, 2, swap);
    put(65535, 4, swap);
    put(20, 4, swap);
    for (uint32_t i = 0; i < frames; i++) {
        uint32_t len = 54 + 9 * i, body = 20 + ((len + 3) & ~3u);

        if (i == 1) { /* a block of statistics in between */
            put_block(5, 12, swap);
            for (int k = 0; k < 3; k++)
                put(0, 4, swap);
            put(24, 4, swap);
        }
        put_block(6, body, swap);
        put(0, 4, swap);
        put(0x60a00, 4, swap);
        put(0x1000 + i, 4, swap);
        put(len, 4, swap);
        put(len, 4, swap);
        put_frame_bytes((len + 3) & ~3u, (uint8_t)(16 * i));
        put(12 + body, 4, swap);
    }
}

static void made_files(void **state)
{
    for (int swap = 0; swap < 2; swap++) {
        make_pcap(0xa1b2c3d4, swap, 4);
        assert_int_equal(all_cuts("microseconds"), size);
        make_pcap(0xa1b23c4d, swap, 4);
        assert_int_equal(all_cuts("nanoseconds"), size);
        make_pcapng(swap, 4);
        assert_int_equal(all_cuts("pcapng"), size);
    }
}

static void traces(void **state)
{
    char path[512];
    const struct dirent *e;
    uint32_t files = 0, cuts = 0;
    DIR *d;

    snprintf(path, sizeof(path), "%s/tests/traces", getenv("WEIR_SOURCE"));
    d = opendir(path);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        struct stat st;
        FILE *f;

        if (strstr(e->d_name, ".pcap") == NULL)
            continue;
        snprintf(path, sizeof(path), "%s/tests/traces/%s", getenv("WEIR_SOURCE"), e->d_name);
        if (stat(path, &st) < 0 || st.st_size > MAX_FILE ||
            (st.st_size > 60000 && !getenv("WEIR_LONG")))
            continue;
        f = fopen(path, "r");
        assert_non_null(f);
        size = (uint32_t)fread(file, 1, sizeof(file), f);
        fclose(f);
        cuts += all_cuts(e->d_name);
        files += nframes > 0;
    }
    closedir(d);
    print_message("# %u files, %u cuts\n", files, cuts);
    assert_true(files > 20);
}

/* ---- through the library ---- */

static uint32_t seen;

static void on_packet(mctx_t m, int sock, int side, event_t ev, filter_arg_t *arg)
{
    __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);
}

/* run: the two files through so many contexts. => did mtcp_init take them? */
static bool run(int cores)
{
    mctx_t ctx[4];
    int code = 0;

    seen = 0;
    if (mtcp_init(conf) < 0)
        return false;
    for (int i = 0; i < cores; i++) {
        int l;

        ctx[i] = mtcp_create_context(i);
        assert_non_null(ctx[i]);
        l = mtcp_socket(ctx[i], AF_UNSPEC, MOS_SOCK_MONITOR_RAW, 0);
        assert_int_equal(mtcp_register_callback(ctx[i], l, MOS_ON_PKT_IN, MOS_NULL, on_packet), 0);
    }
    for (int i = 0; i < cores; i++) {
        mtcp_app_join(ctx[i]);
        code = errno;
    }
    for (int i = 0; i < cores; i++)
        assert_int_equal(mtcp_destroy_context(ctx[i]), 0);
    assert_int_equal(mtcp_destroy(), 0);
    errno = code;
    return true;
}

static void through_the_library(void **state)
{
    char text[300];

    for (int cores = 1; cores <= 3; cores += 2) {
        make_pcap(0xa1b2c3d4, false, 3);
        write_file(cut, file, size);
        layout();
        snprintf(text, sizeof(text), "mos {\n netdev {\n \"pcap:%s\" %x\n \"pcap:%s\"\n }\n}\n",
                 cut, (1u << cores) - 1, next);
        write_file(conf, text, strlen(text));
        for (uint32_t len = size + 1; len-- > 0;) {
            assert_int_equal(truncate(cut, len), 0);
            if (!run(cores)) {
                assert_true(len < header && errno == EINVAL && strstr(mtcp_errstr(), cut));
                continue;
            }
            assert_int_equal(errno, on_boundary(len) ? 0 : EILSEQ);
            assert_int_equal(seen, whole_below(len) + next_frames);
        }
    }
}

static int prepare(void **state)
{
    int a = mkstemp(cut), b = mkstemp(next), c = mkstemp(conf);

    if (a < 0 || b < 0 || c < 0)
        return -1;
    close(a);
    close(b);
    close(c);
    next_frames = 2;
    make_pcap(0xa1b2c3d4, true, next_frames);
    write_file(next, file, size);
    return 0;
}

static int done(void **state)
{
    return unlink(cut) || unlink(next) || unlink(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_files),
        cmocka_unit_test(traces),
        cmocka_unit_test(through_the_library),
    };

    return cmocka_run_group_tests(tests, prepare, done);
}
