// SPDX-License-Identifier: BSD-2-Clause
/*
 * cmd_streams.c: every direction of every connection as a file of its bytes, and an index.
 *
 * A connection begins, for us, with its first packet, whatever that is: then it gets its K, the
 * number of connections between the same ends before it. The callback that does so takes itself
 * away again, so that no later packet costs anything. Bytes are written as they come, straight from
 * where the library has them; gaps are told by mtcp_peekv. At the first of the two CONN_END both
 * directions are drained and the lines for the index are made - not of one whose file lacks something:
 * no line tells of bytes that are in no file.
 */
#include "commands.h"
#include "applive.h"
#include "apprun.h"
#include "jsonout.h"
#include "records.h"
#include "streamfile.h"
#include "tableout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define IOV_MAX_ONCE 64
#define MOST_FILES   512 /* open at once, all contexts together */

struct gap {
    uint64_t off, len;
};

/* One direction, named by its receiver as the API has it. */
struct direction {
    struct streamfile file;
    bool broken; /* something could not be written; no more is */
    uint64_t bytes, lost;
    struct gap *gap; /* ascending, neighbours merged */
    size_t ngaps, cap;
};

struct stream {
    struct ends ends;
    uint32_t k;
    struct direction dir[2]; /* [MOS_SIDE_CLI] what the client receives */
};

/* How many connections there were between two ends: open addressing, grows by doubling. */
struct seen {
    struct ends ends;
    uint32_t count; /* 0: empty */
};

struct seen_table {
    struct seen *slot;
    size_t n, size; /* size is a power of two */
};

struct streams_ctx {
    struct streamfile_pool pool;
    struct seen_table seen;
    struct json json;
};

struct streams {
    int dirfd;
    FILE *index;
    struct records records;
    struct table table;
    struct streams_ctx ctx[APP_MAX_CORES];
};

static const struct column columns[] = {
    {"FILE", false}, {"BYTES", true}, {"LOST", true}, {"GAPS", true}};

/* The user context of a connection that was written. */
static char written;

/* ---- K ---- */

static size_t hash_ends(const struct ends *e)
{
    const unsigned char *p = (const unsigned char *)e;
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < sizeof(*e); i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ h >> 32);
}

static struct seen *seen_slot(const struct seen_table *t, const struct ends *e)
{
    size_t i = hash_ends(e) & (t->size - 1);

    while (t->slot[i].count && memcmp(&t->slot[i].ends, e, sizeof(*e)) != 0)
        i = (i + 1) & (t->size - 1);
    return &t->slot[i];
}

static bool seen_grow(struct seen_table *t)
{
    struct seen_table more = {.n = t->n, .size = t->size ? 2 * t->size : 1024};

    more.slot = calloc(more.size, sizeof(*more.slot));
    if (!more.slot)
        return false;
    for (size_t i = 0; i < t->size; i++)
        if (t->slot[i].count)
            *seen_slot(&more, &t->slot[i].ends) = t->slot[i];
    free(t->slot);
    *t = more;
    return true;
}

/* => false: out of memory. A tuple is always worked off by the same context. */
static bool next_k(struct seen_table *t, const struct ends *e, uint32_t *k)
{
    struct seen *s;

    if (t->n >= t->size / 2 && !seen_grow(t))
        return false;
    s = seen_slot(t, e);
    if (!s->count) {
        s->ends = *e;
        t->n++;
    }
    *k = s->count++;
    return true;
}

/* ---- bytes ---- */

static const char *direction_name(int receiver)
{
    return receiver == MOS_SIDE_SVR ? "c2s" : "s2c";
}

static void write_failed(struct app *app, struct direction *d)
{
    d->broken = true;
    app_failed(app, "%s/%s: %s", app->opt->dir, d->file.name, strerror(errno));
}

static bool add_gap(struct direction *d, uint64_t off, uint64_t len)
{
    size_t n = d->ngaps;

    d->lost += len;
    if (n > 0 && d->gap[n - 1].off + d->gap[n - 1].len == off) {
        d->gap[n - 1].len += len;
        return true;
    }
    if (!d->gap || n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 4;
        struct gap *more = realloc(d->gap, cap * sizeof(*more));

        if (!more)
            return false;
        d->gap = more;
        d->cap = cap;
    }
    d->gap[d->ngaps++] = (struct gap){.off = off, .len = len};
    return true;
}

static void lose(struct app_ctx *c, struct direction *d, uint64_t len)
{
    struct streams_ctx *x = c->data;

    if (!add_gap(d, d->bytes + d->lost, len)) {
        d->broken = true;
        app_failed(c->app, "out of memory");
    } else if (c->app->opt->zero_fill && streamfile_zeros(&x->pool, &d->file, len) < 0)
        write_failed(c->app, d);
}

/* Read a side until nothing is left, and write it to its file. */
static void drain(struct app_ctx *c, int sock, int side, struct direction *d)
{
    struct streams_ctx *x = c->data;
    struct iovec iov[IOV_MAX_ONCE];
    int cnt = IOV_MAX_ONCE;
    ssize_t n;

    for (; !d->broken && (n = mtcp_peekv(c->mctx, sock, side, iov, &cnt)) != 0;
         cnt = IOV_MAX_ONCE) {
        if (n < 0 && errno != ENODATA)
            break;
        if (n < 0) {
            lose(c, d, (uint64_t)-n);
            continue;
        }
        d->bytes += (uint64_t)n;
        if (streamfile_write(&x->pool, &d->file, iov, cnt) < 0)
            write_failed(c->app, d);
    }
}

/* ---- connections ---- */

static void name_files(struct stream *s)
{
    char cli[ADDR_TEXT], svr[ADDR_TEXT];

    addr_text(&s->ends.side[MOS_SIDE_CLI], cli);
    addr_text(&s->ends.side[MOS_SIDE_SVR], svr);
    for (int i = 0; i < 2; i++) {
        streamfile_init(&s->dir[i].file);
        snprintf(s->dir[i].file.name, sizeof(s->dir[i].file.name), "%s.%u-%s.%u.%u.%s", cli,
                 endpoint_port(&s->ends.side[MOS_SIDE_CLI]), svr,
                 endpoint_port(&s->ends.side[MOS_SIDE_SVR]), s->k, direction_name(i));
    }
}

/* The connection's record; made at the first call. => NULL if that failed, or it is over. */
static struct stream *stream_of(struct app_ctx *c, int sock)
{
    struct streams_ctx *x = c->data;
    struct stream *s = mtcp_get_uctx(c->mctx, sock);

    if ((void *)s == &written)
        return NULL;
    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    if (!s || flow_ends(c->mctx, sock, &s->ends) < 0 || !next_k(&x->seen, &s->ends, &s->k)) {
        free(s);
        app_failed(c->app, "out of memory");
        return NULL;
    }
    name_files(s);
    mtcp_set_uctx(c->mctx, sock, s);
    return s;
}

/* One line of the index. */
static void put_line(struct json *j, const struct stream *s, int receiver)
{
    const struct direction *d = &s->dir[receiver];
    char addr[ADDR_TEXT];

    json_open(j, NULL, '{');
    json_str(j, "file", d->file.name);
    json_str(j, "client", addr_text(&s->ends.side[MOS_SIDE_CLI], addr));
    json_u64(j, "client_port", endpoint_port(&s->ends.side[MOS_SIDE_CLI]));
    json_str(j, "server", addr_text(&s->ends.side[MOS_SIDE_SVR], addr));
    json_u64(j, "server_port", endpoint_port(&s->ends.side[MOS_SIDE_SVR]));
    json_u64(j, "k", s->k);
    json_str(j, "direction", direction_name(receiver));
    json_u64(j, "stream_bytes", d->bytes);
    json_u64(j, "gap_bytes", d->lost);
    json_open(j, "gaps", '[');
    for (size_t i = 0; i < d->ngaps; i++) {
        json_open(j, NULL, '[');
        json_u64(j, NULL, d->gap[i].off);
        json_u64(j, NULL, d->gap[i].len);
        json_close(j, ']');
    }
    json_close(j, ']');
    json_close(j, '}');
    json_newline(j);
}

/*
 * The lines of both directions, if they are whole; behind them, parted by a 0, the rows that people
 * see: one for each direction, every one ended by a newline.
 */
static void put_lines(struct json *j, const struct stream *s)
{
    static const int receivers[] = {MOS_SIDE_SVR, MOS_SIDE_CLI}; /* c2s first */

    json_reset(j);
    for (int i = 0; i < 2; i++)
        if (!s->dir[receivers[i]].broken)
            put_line(j, s, receivers[i]);
    json_raw(j, "", 1);
    for (int i = 0; i < 2; i++) {
        const struct direction *d = &s->dir[receivers[i]];
        char row[STREAMFILE_NAME + 80], bytes[SIZE_TEXT], lost[SIZE_TEXT];
        int n = snprintf(row, sizeof(row), "%s\t%s\t%s%s\t%zu\n", d->file.name,
                         size_text(d->bytes, bytes), d->lost ? TABLE_RED : TABLE_DIM,
                         size_text(d->lost, lost), d->ngaps);

        if (!d->broken)
            json_raw(j, row, (size_t)n);
    }
}

static void add_lines(struct app_ctx *c, int sock, const struct stream *s)
{
    struct streams *all = c->app->data;
    struct json *j = &((struct streams_ctx *)c->data)->json;
    struct record_key key = {.ends = s->ends, .minor = s->k};
    struct mos_flow_info info;

    if (flow_info(c->mctx, sock, &info) < 0)
        return;
    key.first = flow_clock(c->mctx, sock, info.last_ns) / 1000; /* us: the clock has no more */
    key.second = info.start_ns;
    put_lines(j, s);
    if (j->failed)
        app_failed(c->app, "out of memory");
    else
        records_add(&all->records, c->mctx->cpu, &key, j->text, j->len);
}

static void free_stream(struct stream *s)
{
    free(s->dir[0].gap);
    free(s->dir[1].gap);
    free(s);
}

static void on_first_packet(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    stream_of(app_ctx_of(mctx), sock);
    mtcp_register_callback(mctx, sock, MOS_ON_PKT_IN, MOS_HK_SND, NULL);
}

static void on_data(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct app_ctx *c = app_ctx_of(mctx);
    struct stream *s = stream_of(c, sock);

    if (s)
        drain(c, sock, side, &s->dir[side]);
}

static void on_end(mctx_t mctx, int sock, int side, event_t event, filter_arg_t *arg)
{
    struct app_ctx *c = app_ctx_of(mctx);
    struct streams_ctx *x = c->data;
    struct stream *s = stream_of(c, sock);

    if (!s)
        return;
    for (int i = 0; i < 2; i++) {
        struct direction *d = &s->dir[i];

        drain(c, sock, i, d);
        if ((!d->broken || d->file.fd >= 0) && streamfile_close(&x->pool, &d->file) < 0)
            write_failed(c->app, d);
    }
    if (!s->dir[0].broken || !s->dir[1].broken)
        add_lines(c, sock, s);
    mtcp_set_uctx(mctx, sock, &written);
    free_stream(s);
}

/* ---- beginning and end ---- */

static int max_open(int cores)
{
    struct rlimit lim;
    int most = MOST_FILES;

    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < MOST_FILES + 64)
        most = lim.rlim_cur > 96 ? (int)lim.rlim_cur - 64 : 32;
    return most / cores > 1 ? most / cores : 1;
}

static FILE *open_index(int dirfd)
{
    int fd = openat(dirfd, "index.jsonl", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    return fd < 0 ? NULL : fdopen(fd, "w");
}

/* One connection, in its turn: its lines to the index, and what is shown. */
static void emit(void *arg, const char *text, size_t len)
{
    struct app *app = arg;
    struct streams *all = app->data;
    size_t lines = strnlen(text, len);
    const char *row = text + lines + 1, *end;

    fwrite(text, 1, lines, all->index);
    if (app->opt->json) {
        out_write(&app->out, text, lines);
        return;
    }
    for (; row < text + len; row = end + 1) {
        end = memchr(row, '\n', (size_t)(text + len - row));
        table_row(&all->table, row, (size_t)(end - row));
    }
}

static int begin(struct app *app)
{
    struct streams *all = app->data;
    const char *dir = app->opt->dir;

    bool made = mkdir(dir, 0777) == 0;

    if (!made && errno != EEXIST)
        return complain(APP_MISUSE, "-o %s: %s", dir, strerror(errno));
    all->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (all->dirfd < 0)
        return complain(APP_MISUSE, "-o %s: %s", dir, strerror(errno));
    if (made && app->opt->user && applive_give(all->dirfd, app->opt->user) < 0)
        return APP_MISUSE;
    all->index = open_index(all->dirfd);
    if (!all->index) {
        close(all->dirfd);
        return complain(APP_MISUSE, "%s/index.jsonl: %s", dir, strerror(errno));
    }
    table_init(&all->table, &app->out, columns, sizeof(columns) / sizeof(columns[0]));
    records_init(&all->records, app->opt->in_if ? RECORDS_LIVE : RECORDS_BY_TIME, app->opt->cores,
                 emit, app);
    return APP_OK;
}

static int setup(struct app_ctx *c)
{
    struct streams *all = c->app->data;
    struct streams_ctx *x = &all->ctx[c->mctx->cpu];

    streamfile_pool_init(&x->pool, all->dirfd, max_open(c->app->opt->cores));
    c->data = x;
    if (mtcp_register_callback(c->mctx, c->listener, MOS_ON_PKT_IN, MOS_HK_SND, on_first_packet) <
            0 ||
        mtcp_register_callback(c->mctx, c->listener, MOS_ON_CONN_NEW_DATA, MOS_NULL, on_data) < 0)
        return -1;
    return mtcp_register_callback(c->mctx, c->listener, MOS_ON_CONN_END, MOS_HK_RCV, on_end);
}

static void print_sum(struct app *app, uint64_t connections)
{
    char line[512];
    int n = snprintf(line, sizeof(line), "%llu connection%s, listed in %s/index.jsonl\n",
                     (unsigned long long)connections, connections == 1 ? "" : "s", app->opt->dir);

    if (n > 0 && (size_t)n < sizeof(line))
        out_write(&app->out, line, (size_t)n);
}

static int end(struct app *app)
{
    struct streams *all = app->data;

    if (!records_finish(&all->records))
        app_failed(app, "out of memory: lines are missing in %s/index.jsonl", app->opt->dir);
    if (fflush(all->index) != 0 || ferror(all->index))
        app_failed(app, "%s/index.jsonl: %s", app->opt->dir, strerror(errno));
    if (fclose(all->index) != 0)
        app_failed(app, "%s/index.jsonl: %s", app->opt->dir, strerror(errno));
    close(all->dirfd);
    for (int i = 0; i < app->nctx; i++) {
        free(all->ctx[i].seen.slot);
        json_free(&all->ctx[i].json);
    }
    if (!table_end(&all->table))
        app_failed(app, "out of memory: not all streams are shown");
    if (app->ran && !app->opt->json && (all->records.count > 0 || !app->broken))
        print_sum(app, all->records.count);
    return APP_OK;
}

static int run(const struct appopt *opt)
{
    static const struct app_hooks hooks = {
        .rmem = 16 * 1048576, .begin = begin, .setup = setup, .end = end};
    struct streams all = {0};

    return app_run(opt, &hooks, &all);
}

const struct command cmd_streams = {
    .name = "streams",
    .does = "the bytes of every direction of every connection as files, with an index",
    .about = "Write every direction of every TCP connection into a file of its reassembled bytes:\n"
             "DIR/CLIENT.PORT-SERVER.PORT.K.c2s and .s2c; K counts connections between the same\n"
             "ends from 0. DIR/index.jsonl has one line for each file, with the gaps: places of\n"
             "bytes that the capture never saw. They are not in the file, unless --zero-fill.",
    .examples = "  weir streams -o out -r trace.pcap\n"
                "  weir streams -o out -r trace.pcap tcp port 80\n"
                "  weir streams -o out --zero-fill --overlap last --csum off -r a.pcap b.pcap\n"
                "  jq -r 'select(.gap_bytes > 0) | .file' out/index.jsonl\n",
    .takes = TAKES_OVERLAP | TAKES_DIR | TAKES_ZERO,
    .run = run,
};
