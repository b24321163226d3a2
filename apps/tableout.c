// SPDX-License-Identifier: BSD-2-Clause
/* tableout.c: columns as wide as what stands in them, colours for terminals only. */
#include "tableout.h"
#include "apprun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HELD_ROWS  200
#define NAME_CELLS 8 /* of the first column at least, where the screen is narrow */

static const char *const colours[] = {"", "\033[31m", "\033[33m", "\033[32m", "\033[2m"};

/* The next cell of a row: => where the rest begins, NULL if this was the last. */
static const char *next_cell(const char *row, const char *end, const char **cell, int *len,
                             int *colour)
{
    const char *tab = memchr(row, '\t', (size_t)(end - row));
    const char *stop = tab ? tab : end;

    *colour = row<stop && * row> 0 && *row <= *TABLE_DIM ? *row : 0;
    *cell = row + (*colour != 0);
    *len = (int)(stop - *cell);
    return tab ? tab + 1 : NULL;
}

static void measure(struct table *t, const char *row, const char *end)
{
    const char *cell;
    int len, colour;

    for (int i = 0; row && i < t->ncol; i++) {
        row = next_cell(row, end, &cell, &len, &colour);
        if (len > t->width[i])
            t->width[i] = len;
    }
}

static void put(struct table *t, const char *s)
{
    json_raw(&t->line, s, strlen(s));
}

static void put_blanks(struct table *t, int n)
{
    for (; n > 0; n--)
        json_raw(&t->line, " ", 1);
}

/* Too wide: less between the cells, less of the first column, which has the names. */
static void fit(struct table *t)
{
    int over = -t->most;

    for (int i = 0; i < t->ncol; i++)
        over += t->width[i] + (i > 0);
    if (t->most == 0 || over + t->ncol - 1 <= 0)
        return;
    t->gap = 1;
    if (over > 0 && t->width[0] > NAME_CELLS)
        t->width[0] = t->width[0] - over > NAME_CELLS ? t->width[0] - over : NAME_CELLS;
}

/* Cut the line where the screen ends. Colours take no room. */
static void cut(struct table *t)
{
    int seen = 0;

    for (size_t i = 0; i < t->line.len; i++) {
        if (t->line.text[i] == '\033')
            while (i < t->line.len && t->line.text[i] != 'm')
                i++;
        else if (t->line.text[i] != '\n' && ++seen > t->most)
            t->line.len = i;
    }
    if (seen > t->most)
        put(t, t->out->colour ? "\033[0m\n" : "\n");
}

/* One finished line. */
static void format_row(struct table *t, const char *row, const char *end)
{
    const char *cell;
    int len, colour;

    for (int i = 0; row && i < t->ncol; i++) {
        int pad;

        row = next_cell(row, end, &cell, &len, &colour);
        colour = t->out->colour ? colour : 0;
        if (t->most && i == 0 && len > t->width[i])
            len = t->width[i];
        pad = t->width[i] > len ? t->width[i] - len : 0;
        put_blanks(t, t->col[i].right ? pad : 0);
        put(t, colours[colour]);
        json_raw(&t->line, cell, (size_t)len);
        put(t, colour ? "\033[0m" : "");
        if (i < t->ncol - 1)
            put_blanks(t, (t->col[i].right ? 0 : pad) + t->gap);
    }
    put(t, "\n");
}

static void print_row(struct table *t, const char *row, const char *end)
{
    char *line;

    t->line.len = 0;
    format_row(t, row, end);
    if (t->most && !t->line.failed)
        cut(t);
    if (t->line.failed)
        return;
    line = t->line.text;
    while (t->line.len > 1 && line[t->line.len - 2] == ' ') /* an empty last column leaves none */
        line[--t->line.len - 1] = '\n';
    out_write(t->out, line, t->line.len);
}

static void print_title(struct table *t)
{
    char title[512] = "";
    size_t len = 0;

    for (int i = 0; i < t->ncol; i++)
        len += (size_t)snprintf(title + len, sizeof(title) - len, "%s%s", i ? "\t" : "",
                                t->col[i].title);
    print_row(t, title, title + len);
}

/* The widths are known well enough: print what was held back. */
static void start(struct table *t)
{
    if (t->started)
        return;
    t->started = true;
    fit(t);
    print_title(t);
    for (const char *row = t->held, *end; row < t->held + t->held_len; row = end + 1) {
        end = memchr(row, '\n', (size_t)(t->held + t->held_len - row));
        print_row(t, row, end);
    }
    t->held_len = 0;
}

static bool hold(struct table *t, const char *text, size_t len)
{
    if (t->held_len + len + 1 > t->held_cap) {
        size_t cap = 2 * t->held_cap + len + 1024;
        char *held = realloc(t->held, cap);

        if (!held)
            return false;
        t->held = held;
        t->held_cap = cap;
    }
    memcpy(t->held + t->held_len, text, len);
    t->held_len += len;
    t->held[t->held_len++] = '\n';
    t->nheld++;
    return true;
}

void table_init(struct table *t, struct out *out, const struct column *col, int ncol)
{
    *t = (struct table){.out = out, .col = col, .ncol = ncol, .gap = 2, .most_held = HELD_ROWS};
    for (int i = 0; i < ncol; i++)
        t->width[i] = (int)strlen(col[i].title);
}

void table_live(struct table *t, const int *width)
{
    t->most_held = 0;
    for (int i = 0; i < t->ncol && width[i]; i++)
        if (width[i] > t->width[i])
            t->width[i] = width[i];
}

void table_row(struct table *t, const char *text, size_t len)
{
    if (!t->started) {
        measure(t, text, text + len);
        if (t->nheld < t->most_held && hold(t, text, len))
            return;
        t->lost = t->nheld < t->most_held; /* it is shown, but not in its place */
        start(t);
    }
    print_row(t, text, text + len);
}

bool table_end(struct table *t)
{
    bool good;

    if (t->nheld > 0)
        start(t);
    good = !t->line.failed && !t->lost;
    free(t->held);
    t->held = NULL;
    json_free(&t->line);
    return good;
}

const char *size_text(uint64_t n, char *out)
{
    static const char units[] = "KMGTPE";
    double v = (double)n;
    int u = -1;

    while (v >= 999.5 && u < 5) {
        v /= 1024;
        u++;
    }
    if (u < 0)
        snprintf(out, SIZE_TEXT, "%u", (unsigned)n);
    else
        snprintf(out, SIZE_TEXT, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[u]);
    return out;
}

const char *time_text(uint64_t ns, char *out)
{
    time_t sec = (time_t)(ns / 1000000000);
    struct tm tm;
    size_t n;

    if (!localtime_r(&sec, &tm))
        memset(&tm, 0, sizeof(tm));
    n = strftime(out, TIME_TEXT, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(out + n, TIME_TEXT - n, ".%06u", (unsigned)(ns % 1000000000 / 1000));
    return out;
}

const char *plain_text(const char *s, size_t n, char *out, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool plain = c >= 0x20 && c < 0x7f;

        if (len + (plain ? 1 : 4) >= cap)
            break;
        if (plain)
            out[len++] = (char)c;
        else
            len += (size_t)snprintf(out + len, cap - len, "\\x%02x", c);
    }
    out[len] = '\0';
    return out;
}
