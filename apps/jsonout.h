/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jsonout.h: JSON text, written member by member into a buffer that grows and is used again.
 *
 * Commas come by themselves. `key` is NULL inside an array. Bytes that are no valid UTF-8 are
 * written as the character of that number (Latin-1), so that every line is valid JSON.
 */
#ifndef WEIR_APPS_JSONOUT_H
#define WEIR_APPS_JSONOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    char *text; /* not ended by 0 */
    size_t len, cap;
    bool comma;  /* one is due before the next member */
    bool failed; /* out of memory: text is not to be used */
};

/* json_reset: begin a new text in the same buffer. A struct json of zeros is ready as well. */
void json_reset(struct json *j);
void json_free(struct json *j);

/* json_open, json_close: '{' with '}' or '[' with ']'. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
/* json_newline: ends a line; another object may follow in the same text. */
void json_newline(struct json *j);
/* json_raw: n bytes as they are, no comma. */
void json_raw(struct json *j, const char *s, size_t n);

void json_str(struct json *j, const char *key, const char *s);
void json_strn(struct json *j, const char *key, const char *s, size_t n);
void json_u64(struct json *j, const char *key, uint64_t v);
/* json_number: with so many decimals. */
void json_number(struct json *j, const char *key, double v, int decimals);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);
/* json_time: nanoseconds as seconds with nine decimals. */
void json_time(struct json *j, const char *key, uint64_t ns);

#endif
