/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tableout.h: tables for people. Rows come as text, cells parted by tabs; the first of them are
 * held back to learn how wide the columns are, the others follow as they come.
 *
 * A cell may begin with one of the colour bytes: it is shown so on a terminal.
 */
#ifndef WEIR_APPS_TABLEOUT_H
#define WEIR_APPS_TABLEOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jsonout.h"

struct out;

#define TABLE_RED    "\1"
#define TABLE_YELLOW "\2"
#define TABLE_GREEN  "\3"
#define TABLE_DIM    "\4"

#define TABLE_COLUMNS 16

struct column {
    const char *title;
    bool right; /* numbers stand at the right */
};

struct table {
    struct out *out;
    const struct column *col;
    int ncol;
    int most; /* columns of the screen that a line may take; 0, as at first: no limit */
    int gap;  /* blanks between two cells */
    int width[TABLE_COLUMNS];
    char *held; /* rows not printed yet */
    size_t held_len, held_cap;
    int nheld, most_held; /* rows: so many are held back to know how wide they are */
    bool started;         /* the title was printed */
    bool lost;            /* no memory to hold back enough */
    struct json line;
};

/* table_init: => out and col belong to the caller and stay; at most TABLE_COLUMNS of them. */
void table_init(struct table *t, struct out *out, const struct column *col, int ncol);
/*
 * table_live: rows are shown as they come, each column at least so wide. Before the first row. A 0
 * ends the widths.
 */
void table_live(struct table *t, const int *width);
/* table_row: one row, without a newline. */
void table_row(struct table *t, const char *text, size_t len);
/* table_end: print what is held back, free everything. => false: no memory, it is not as it should be. */
bool table_end(struct table *t);

#define SIZE_TEXT 16
/* size_text: bytes for people, "512", "1.4K", "20M"; out has SIZE_TEXT bytes. => out. */
const char *size_text(uint64_t n, char *out);

#define TIME_TEXT 40
/* time_text: local date and time with microseconds; out has TIME_TEXT bytes. => out. */
const char *time_text(uint64_t ns, char *out);

/*
 * plain_text: n bytes from the network in a form that does no harm to a terminal: what is not
 * printable ASCII becomes \xNN. Cut at cap - 1 bytes. => out.
 */
const char *plain_text(const char *s, size_t n, char *out, size_t cap);

#endif
