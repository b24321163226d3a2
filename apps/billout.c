// SPDX-License-Identifier: BSD-2-Clause
/* billout.c: accounts as text. All numbers of a report are of the same moment. */
#include "billout.h"
#include "jsonout.h"
#include "tableout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NAME_TEXT (PREFIX_NAME_MAX + 1)
#define HEX_TEXT  (2 * EVIDENCE_BYTES + 1)
#define ROWS_MIN  5

static const struct column sub_columns[] = {
    {"SUBSCRIBER", false}, {"CONNS", true},   {"PKTS>", true}, {"<PKTS", true},   {"BYTES>", true},
    {"<BYTES", true},      {"CHARGED", true}, {"AGAIN", true}, {"UNKNOWN", true}, {"CHANGED", true},
};
static const struct column change_columns[] = {
    {"CHANGED AT", false}, {"SUBSCRIBER", false}, {"CLIENT", false},
    {"SERVER", false},     {"WAY", false},        {"OFFSET", true},
    {"BYTES", true},       {"FIRST COPY", false}, {"AGAIN", false},
};
static const struct column total_columns[] = {
    {"TOTAL", false}, {"PACKETS", true}, {"IP BYTES", true}};

#define NCOL(c) ((int)(sizeof(c) / sizeof((c)[0])))

/* The lines at the end; the first NTOTALS - 1 add up to the last. */
enum { ACCOUNTED, NO_SUBSCRIBER, NO_CONNECTION, NOT_TCP, NOT_IP, CAPTURE, NTOTALS };
static const char *const total_names[] = {"accounted", "no_subscriber", "no_connection",
                                          "not_tcp",   "not_ip",        "capture"};
static const char *const total_words[] = {"accounted", "of no subscriber", "TCP of no connection",
                                          "not TCP",   "not IP",           "capture"};

/* What may be shown: rows of subscribers, columns of the screen (0: any number). */
struct room {
    size_t rows;
    int columns;
};

static bool is_number(const struct subscriber *s, int number)
{
    struct endpoint key = subscriber_number(number);

    return memcmp(&s->key, &key, sizeof(key)) == 0;
}

static const char *name_text(const struct bill_report *r, const struct subscriber *s, char *out)
{
    static const char *const names[] = SUBSCRIBER_NAMES;
    int number;

    if (s->key.family)
        return addr_text(&s->key, out);
    memcpy(&number, s->key.addr, sizeof(number));
    snprintf(out, NAME_TEXT, "%s", number >= 0 ? r->list->name[number]->text : names[-1 - number]);
    return out;
}

static const char *hex_text(const struct change *c, int which, char *out)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < c->n[which]; i++)
        snprintf(out + 2 * i, 3, "%02x", c->copy[which][i]);
    return out;
}

static uint64_t charged(const struct appopt *opt, const struct way *w)
{
    return w->bytes - (opt->charge_rexmit ? 0 : w->free_bytes);
}

/*
 * What connections have counted is taken off what the raw socket has seen; a connection counts
 * nothing that is not TCP.
 */
static void add_up(const struct bill_report *r, struct subscriber *const *v, struct pair *sum)
{
    memset(sum, 0, NTOTALS * sizeof(*sum));
    for (size_t i = 0; i < r->subs->n; i++) {
        struct pair *to = &sum[is_number(v[i], SUBSCRIBER_NONE) ? NO_SUBSCRIBER : ACCOUNTED];

        to->packets += v[i]->way[UP].packets + v[i]->way[DOWN].packets;
        to->bytes += v[i]->way[UP].bytes + v[i]->way[DOWN].bytes;
    }
    sum[NO_CONNECTION].packets =
        r->tcp.packets - sum[ACCOUNTED].packets - sum[NO_SUBSCRIBER].packets;
    sum[NO_CONNECTION].bytes = r->tcp.bytes - sum[ACCOUNTED].bytes - sum[NO_SUBSCRIBER].bytes;
    sum[NOT_TCP] = r->other;
    sum[NOT_IP].packets = r->frames - r->tcp.packets - r->other.packets;
    sum[CAPTURE] = (struct pair){r->frames, r->tcp.bytes + r->other.bytes};
}

/* ---- JSON ---- */

static void head_json(struct json *j, const char *record, const struct bill_report *r)
{
    json_open(j, NULL, '{');
    json_str(j, "record", record);
    json_time(j, "ts", r->now_ns);
    json_bool(j, "final", r->final);
}

static void way_json(struct json *j, const char *key, const struct appopt *opt, const struct way *w)
{
    json_open(j, key, '{');
    json_u64(j, "packets", w->packets);
    json_u64(j, "bytes", w->bytes);
    json_u64(j, "charged_bytes", charged(opt, w));
    json_u64(j, "rexmit_packets", w->again_packets);
    json_u64(j, "rexmit_bytes", w->again_bytes);
    json_u64(j, "unknown_bytes", w->unknown_bytes);
    json_u64(j, "changed_packets", w->changed_packets);
    json_u64(j, "changed_bytes", w->changed_bytes);
    json_close(j, '}');
}

static void sub_json(struct json *j, const struct appopt *opt, const struct bill_report *r,
                     const struct subscriber *s)
{
    char name[NAME_TEXT];

    head_json(j, "subscriber", r);
    json_str(j, "subscriber", name_text(r, s, name));
    json_u64(j, "connections", s->conns);
    way_json(j, "up", opt, &s->way[UP]);
    way_json(j, "down", opt, &s->way[DOWN]);
    json_close(j, '}');
    json_newline(j);
}

static void change_json(struct json *j, const struct bill_report *r, const struct subscriber *s,
                        const struct change *c)
{
    const struct endpoint *cli = &c->ends.side[MOS_SIDE_CLI], *svr = &c->ends.side[MOS_SIDE_SVR];
    char text[NAME_TEXT];

    json_open(j, NULL, '{');
    json_str(j, "record", "changed");
    json_time(j, "ts", c->ts_ns);
    json_str(j, "subscriber", name_text(r, s, text));
    json_str(j, "direction", c->way == UP ? "up" : "down");
    json_str(j, "client", addr_text(cli, text));
    json_u64(j, "client_port", endpoint_port(cli));
    json_str(j, "server", addr_text(svr, text));
    json_u64(j, "server_port", endpoint_port(svr));
    json_u64(j, "offset", c->off);
    json_u64(j, "length", c->len);
    json_u64(j, "changed_bytes", c->differ);
    json_bool(j, "sampled", c->sampled);
    json_str(j, "first", hex_text(c, 0, text));
    json_str(j, "again", hex_text(c, 1, text));
    json_close(j, '}');
    json_newline(j);
}

static void total_json(struct json *j, const struct bill_report *r, const struct pair *sum)
{
    head_json(j, "total", r);
    for (int i = 0; i < NTOTALS; i++) {
        json_open(j, total_names[i], '{');
        json_u64(j, "packets", sum[i].packets);
        json_u64(j, "bytes", sum[i].bytes);
        json_close(j, '}');
    }
    json_u64(j, "given_up", r->given_up);
    json_close(j, '}');
    json_newline(j);
}

static bool all_json(struct out *out, const struct appopt *opt, const struct bill_report *r,
                     struct subscriber *const *v, const struct pair *sum)
{
    struct json j = {0};
    bool good;

    for (size_t i = 0; i < r->subs->n; i++)
        sub_json(&j, opt, r, v[i]);
    for (size_t i = 0; r->final && i < r->subs->n; i++)
        for (int k = 0; k < v[i]->nchange; k++)
            change_json(&j, r, v[i], &v[i]->change[k]);
    total_json(&j, r, sum);
    good = !j.failed;
    if (good)
        out_write(out, j.text, j.len);
    json_free(&j);
    return good;
}

/* ---- tables ---- */

__attribute__((format(printf, 2, 3))) static void row(struct table *t, const char *fmt, ...)
{
    char text[800];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    table_row(t, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static void text_line(struct out *out, const char *s)
{
    out_write(out, s, strlen(s));
}

static void sub_row(struct table *t, const struct appopt *opt, const struct bill_report *r,
                    const struct subscriber *s)
{
    const struct way *u = &s->way[UP], *d = &s->way[DOWN];
    uint64_t unknown = u->unknown_bytes + d->unknown_bytes;
    uint64_t changed = u->changed_bytes + d->changed_bytes;
    char name[NAME_TEXT], plain[NAME_TEXT], size[6][SIZE_TEXT];

    name_text(r, s, name);
    row(t, "%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\t%s\t%s\t%s%s\t%s%s",
        plain_text(name, strlen(name), plain, sizeof(plain)), s->conns, u->packets, d->packets,
        size_text(u->bytes, size[0]), size_text(d->bytes, size[1]),
        size_text(charged(opt, u) + charged(opt, d), size[2]),
        size_text(u->again_bytes + d->again_bytes, size[3]), unknown ? TABLE_YELLOW : TABLE_DIM,
        size_text(unknown, size[4]), changed ? TABLE_RED : TABLE_DIM, size_text(changed, size[5]));
}

/* As many subscribers as there is room for; how many are left out is said. */
static bool sub_table(struct out *out, const struct appopt *opt, const struct bill_report *r,
                      struct subscriber *const *v, struct room room)
{
    struct table t;
    char line[64];
    bool good;

    table_init(&t, out, sub_columns, NCOL(sub_columns));
    t.most = room.columns;
    for (size_t i = 0; i < r->subs->n && i < room.rows; i++)
        sub_row(&t, opt, r, v[i]);
    good = table_end(&t);
    if (r->subs->n > room.rows) {
        snprintf(line, sizeof(line), "and %zu more\n", r->subs->n - room.rows);
        text_line(out, line);
    }
    return good;
}

static void change_row(struct table *t, const struct bill_report *r, const struct subscriber *s,
                       const struct change *c)
{
    char time[TIME_TEXT], name[NAME_TEXT], plain[NAME_TEXT], cli[ENDPOINT_TEXT], svr[ENDPOINT_TEXT];
    char first[HEX_TEXT], again[HEX_TEXT];

    name_text(r, s, name);
    row(t, "%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "%s\t%s\t" TABLE_RED "%s",
        time_text(c->ts_ns, time), plain_text(name, strlen(name), plain, sizeof(plain)),
        endpoint_text(&c->ends.side[MOS_SIDE_CLI], cli),
        endpoint_text(&c->ends.side[MOS_SIDE_SVR], svr), c->way == UP ? ">" : "<", c->off,
        c->differ, c->sampled ? "*" : "", hex_text(c, 0, first), hex_text(c, 1, again));
}

static bool change_table(struct out *out, const struct bill_report *r, struct subscriber *const *v)
{
    uint64_t all = 0, shown = 0;
    struct table t;
    char line[128];
    bool good;

    table_init(&t, out, change_columns, NCOL(change_columns));
    for (size_t i = 0; i < r->subs->n; i++) {
        all += v[i]->way[UP].changed_packets + v[i]->way[DOWN].changed_packets;
        shown += (uint64_t)v[i]->nchange;
        for (int k = 0; k < v[i]->nchange; k++)
            change_row(&t, r, v[i], &v[i]->change[k]);
    }
    if (all)
        text_line(out, "\n");
    good = table_end(&t);
    if (all > shown) {
        snprintf(line, sizeof(line), "and %" PRIu64 " more; %d are kept of each subscriber\n",
                 all - shown, EVIDENCE_MAX);
        text_line(out, line);
    }
    return good;
}

static bool total_table(struct out *out, const struct bill_report *r, const struct pair *sum)
{
    struct table t;
    char line[160];
    bool good;

    text_line(out, "\n");
    table_init(&t, out, total_columns, NCOL(total_columns));
    for (int i = 0; i < NTOTALS; i++)
        if (sum[i].packets || i == ACCOUNTED || i == CAPTURE)
            row(&t, "%s\t%" PRIu64 "\t%" PRIu64, total_words[i], sum[i].packets, sum[i].bytes);
    good = table_end(&t);
    if (r->given_up) {
        snprintf(line, sizeof(line),
                 "%" PRIu64 " connections and SYNs were given up for want of memory (--memory)\n",
                 r->given_up);
        text_line(out, line);
    }
    return good;
}

/* How much fits on the screen: rows of subscribers beside everything else of a report, columns. */
static struct room screen_room(const struct out *out)
{
    struct winsize size = {0};

    if (ioctl(fileno(out->file), TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
        return (struct room){ROWS_MIN, 0};
    return (struct room){size.ws_row < 12 + ROWS_MIN ? ROWS_MIN : size.ws_row - 12U, size.ws_col};
}

static bool all_tables(struct out *out, const struct appopt *opt, const struct bill_report *r,
                       struct subscriber *const *v, const struct pair *sum)
{
    bool live = opt->interval_ms > 0;
    char time[TIME_TEXT], line[TIME_TEXT + 8];
    struct room room = {SIZE_MAX, 0};
    bool good;

    if (live && out->tty)
        text_line(out, "\033[H\033[J"); /* home, clear to the end */
    else if (live && out->used)
        text_line(out, "\n");
    if (live) {
        snprintf(line, sizeof(line), "%s\n", time_text(r->now_ns, time));
        text_line(out, line);
    }
    if (live && out->tty && !r->final)
        room = screen_room(out);
    good = sub_table(out, opt, r, v, room);
    if (r->final)
        good = change_table(out, r, v) && good;
    return total_table(out, r, sum) && good;
}

bool bill_report(struct out *out, const struct appopt *opt, const struct bill_report *r)
{
    struct subscriber **v = subscribers_list(r->subs);
    struct pair sum[NTOTALS];
    bool good = v != NULL;

    if (!good)
        return false;
    add_up(r, v, sum);
    if (opt->json)
        good = all_json(out, opt, r, v, sum);
    else
        good = all_tables(out, opt, r, v, sum);
    fflush(out->file);
    free(v);
    return good;
}
