/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_parsing.h - just enough HTTP/1 for sample programs: find the end of a header, a field, the
 * status (RFC 9112). Nothing here keeps a pointer or allocates.
 *
 * `len` says how many bytes may be read; where a function has no length, the text ends at '\0'. A
 * field name is compared without regard to case, and may be given bare ("Host"), with its colon
 * ("Host:") and with the newline before it ("\nHost:"): it is always looked for at the beginning
 * of a line.
 */
#ifndef WEIR_COMPAT_HTTP_PARSING_H
#define WEIR_COMPAT_HTTP_PARSING_H

#include <time.h>

#define HTTP_GET           "GET"
#define CONTENT_LENGTH_HDR "\nContent-Length:"
#define CONN_HDR_FLD       "\nConnection:"
#define KEEP_ALIVE_STR     "Keep-Alive"

/* Methods and versions as numbers. */
enum { GET = 1, POST = 2 };
enum { HTTP_09 = 1, HTTP_10 = 2, HTTP_11 = 3 };

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* find_http_header: bytes of the header with its empty line (CRLF or LF); 0 if not complete. */
int find_http_header(char *data, int len);

/* is_http_response: 1 if data begins like a status line, "HTTP/", else 0. */
int is_http_response(char *data, int len);

/* is_http_request: GET or POST if data begins with that method and a blank, else 0. */
int is_http_request(char *data, int len);

/*
 * http_header_str_val: a field's value as a string, without blanks around it.
 *
 * => buf ends in '\0'. key_len: bytes of key. Cut to value_len - 1 bytes and a '\0'.
 * => value; NULL if there is no such field (value is then "").
 */
char *http_header_str_val(const char *buf, const char *key, const int key_len, char *value,
                          int value_len);

/* http_header_long_val: a field's value as a decimal number; -1 if there is none. */
long int http_header_long_val(const char *response, const char *key, int key_len);

/* http_get_http_version_resp: copy a status line's version, "HTTP/1.1". 1 if found, else 0. */
int http_get_http_version_resp(char *data, int len, char *value, int value_len);

/* http_get_url: copy a request line's target. 1 if found (cut to value_len - 1 bytes), else 0. */
int http_get_url(char *data, int data_len, char *value, int value_len);

/* http_get_status_code: a status line's three digits as a number; 0 if it is none. */
int http_get_status_code(void *response);

/* http_get_maxage: seconds of Cache-Control's max-age; -1 if there is none. */
int http_get_maxage(char *response);

/* http_header_date: a field's date (IMF-fixdate, RFC 9110 5.6.7), s since 1970; -1 if none. */
time_t http_header_date(const char *data, const char *field, int len);

/*
 * http_parse_first_resp_line: status code and version (HTTP_10, ...) of a status line; 1, else 0.
 */
int http_parse_first_resp_line(const char *data, int len, int *scode, int *http_ver);

/* http_check_header_field: 1 if the field's value begins with `value`, case ignored; else 0. */
int http_check_header_field(const char *data, const int len, const char *field, const char *value);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif /* WEIR_COMPAT_HTTP_PARSING_H */
