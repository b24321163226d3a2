/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conffile.h: the grammar of configuration files, nothing of their meaning.
 *
 *   file    := { item }                 one item or row per line
 *   item    := KEY '=' value
 *            | NAME '{' { item | row } '}'
 *   row     := word { word }            only inside a block: netdev, arp_table, ...
 *   word    := characters without blanks and braces, or "..." with \" and \\ inside
 *   value   := the rest of the line, blanks trimmed; one "..." is taken out of its quotes
 *   comment := '#' to the end of the line, not inside quotes
 *
 * Accepted as well, as mOS files have it: '{' on a line of its own, a block on one line
 * ("nic_forward_table { a b }"), a '}' at the end of a line: a value that ends in more '}' than it
 * has '{' gives them to the blocks around it. A missing newline at the end is fine, so are
 * DOS line ends. Quotes count at the start of a word only. Nothing has a length limit; blocks may
 * be nested 16 deep.
 */
#ifndef WEIR_BASE_CONFFILE_H
#define WEIR_BASE_CONFFILE_H

#include "base/compiler.h"

enum conf_kind { CONF_KEY, CONF_ROW, CONF_BLOCK };

struct conf_item {
    enum conf_kind kind;
    int line;
    char *name;  /* key or block name; NULL for a row */
    char *value; /* CONF_KEY: the value */
    char **word; /* CONF_ROW: the words; CONF_KEY: the value cut at blanks; NULL-ended */
    int nwords;
    struct conf_item *child; /* CONF_BLOCK: first item inside */
    struct conf_item *next;
};

struct conf_file {
    char *path;
    struct conf_item *first;
};

/*
 * conf_load: read and parse a file.
 * => NULL with errno EINVAL and text "FILE:LINE: expected ..."; or with open's or read's errno.
 */
struct conf_file *conf_load(const char *path);
/* conf_parse: the same from memory; `path` is only for messages. */
struct conf_file *conf_parse(const char *path, const char *text, size_t len);
/* conf_free: => NULL is fine. */
void conf_free(struct conf_file *f);

/*
 * Values. Each reads it->value whole and answers 0, or -1 with errno EINVAL and text
 * "FILE:LINE: KEY: expected ..., got 'VALUE'"; *out is written only on success.
 */

/* conf_int: a number from min to max; decimal, 0x hexadecimal or 0 octal. */
int conf_int(const struct conf_file *f, const struct conf_item *it, int64_t min, int64_t max,
             int64_t *out);
/* conf_bool: 0 1 on off yes no true false, in any case. */
int conf_bool(const struct conf_file *f, const struct conf_item *it, bool *out);
/* conf_size: bytes, or K, M, G of them (1024). */
int conf_size(const struct conf_file *f, const struct conf_item *it, uint64_t *out);
/* conf_time: seconds ("30", "0.5"), or with a unit: ms s m h. => ns; UINT64_MAX for -1 and off. */
int conf_time(const struct conf_file *f, const struct conf_item *it, uint64_t *ns);
/* conf_choice: one of the names in a NULL-ended list, in any case. => its index in *out. */
int conf_choice(const struct conf_file *f, const struct conf_item *it, const char *const *names,
                int *out);

/*
 * conf_nearest: the name in a NULL-ended list that may have been meant: smallest edit distance.
 * => NULL if that is above 3, or not below the length of `name`.
 */
const char *conf_nearest(const char *name, const char *const *known);

#endif
