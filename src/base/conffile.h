/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conffile.h: the grammar of configuration files, nothing of their meaning.
 *
 *   file   := { item }
 *   item   := key '=' value | name '{' { item | words } '}'        one item or row per line; '}' may end a line
 *   comment:= '#' to the end of the line (not inside double quotes)
 *   word   := characters without blank, or "..." with \" and \\ inside
 *
 * A missing newline at the end is fine. Keys, values and words have no length limit. A row of words without '=' inside a
 * block is a `row` (netdev, arp_table, ...). Also accepted, as mOS files have it: the `{` on its own line, several
 * `key = value` in a block on lines of their own, a block on one line ("nic_forward_table { a b }"). A value of a
 * key is the rest of the line, blanks trimmed, quotes taken off if the whole value is quoted.
 */
#ifndef WEIR_BASE_CONFFILE_H
#define WEIR_BASE_CONFFILE_H

#include "base/compiler.h"

enum conf_kind { CONF_KEY, CONF_ROW, CONF_BLOCK };

struct conf_item {
    enum conf_kind kind;
    int line;
    char *name;              /* key or block name; NULL for a row */
    char *value;             /* CONF_KEY: the value */
    char **word;             /* CONF_ROW: the words; CONF_KEY: the value cut at blanks */
    int nwords;
    struct conf_item *child; /* CONF_BLOCK: first item inside */
    struct conf_item *next;
};

struct conf_file {
    char *path;
    struct conf_item *first;
};

/* conf_load: read and parse. => NULL with errno and text "FILE:LINE: what was expected" (ENOENT etc. from open; EINVAL). */
struct conf_file *conf_load(const char *path);
/* conf_parse: the same from memory; `path` is only for messages. */
struct conf_file *conf_parse(const char *path, const char *text, size_t len);
void conf_free(struct conf_file *f);

/*
 * Values. Each reads item->value whole and answers 0, or -1 with errno EINVAL and text
 * "FILE:LINE: KEY: expected ..., got 'VALUE'".
 */
int conf_int(const struct conf_file *f, const struct conf_item *it, int64_t min, int64_t max, int64_t *out); /* 10, 0x, 0 */
int conf_bool(const struct conf_file *f, const struct conf_item *it, bool *out);   /* 0 1 on off yes no true false */
int conf_size(const struct conf_file *f, const struct conf_item *it, uint64_t *out); /* bytes with K, M, G */
/* a time in seconds ("30", "0.5"), or with a unit ms, s, m, h -> nanoseconds; "-1" or "off" -> UINT64_MAX */
int conf_time(const struct conf_file *f, const struct conf_item *it, uint64_t *ns);
/* conf_choice: one of the names in a NULL-ended list -> its index. */
int conf_choice(const struct conf_file *f, const struct conf_item *it, const char *const *names, int *out);
/* conf_nearest: the known name with the smallest edit distance, NULL if none is within 3. */
const char *conf_nearest(const char *name, const char *const *known);

#endif
