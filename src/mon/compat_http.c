// SPDX-License-Identifier: BSD-2-Clause
/*
 * compat_http.c: "http_parsing.h": find the end of an HTTP/1 header, one field of it, its first
 * line (RFC 9112 2 to 5). Everything works on a span of bytes that is never written and never left.
 */
#include <compat/http_parsing.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span {
    const char *p;
    const char *end;
};

static const char empty[] = "";

/* span_of: the text at p up to len bytes or '\0'; empty for NULL or a negative length. */
static struct span span_of(const char *p, int len)
{
    if (p == NULL || len < 0)
        return (struct span){empty, empty};
    return (struct span){p, p + strnlen(p, (size_t)len)};
}

static size_t span_len(struct span s)
{
    return (size_t)(s.end - s.p);
}

static bool starts_with(struct span s, const char *word, size_t len)
{
    return span_len(s) >= len && strncasecmp(s.p, word, len) == 0;
}

/* next_line: cut the first line off *rest. => the line without its CRLF or LF. */
static struct span next_line(struct span *rest)
{
    struct span line = *rest;
    const char *nl = memchr(rest->p, '\n', span_len(*rest));

    if (nl != NULL)
        line.end = nl;
    rest->p = nl != NULL ? nl + 1 : rest->end;
    if (line.end > line.p && line.end[-1] == '\r')
        line.end--;
    return line;
}

/* next_word: cut the first word off *rest, and the blanks around it. */
static struct span next_word(struct span *rest)
{
    struct span word;

    while (rest->p < rest->end && isblank((unsigned char)*rest->p))
        rest->p++;
    word.p = rest->p;
    while (rest->p < rest->end && !isspace((unsigned char)*rest->p))
        rest->p++;
    word.end = rest->p;
    return word;
}

static struct span trim_span(struct span s)
{
    while (s.p < s.end && isspace((unsigned char)*s.p))
        s.p++;
    while (s.p < s.end && isspace((unsigned char)s.end[-1]))
        s.end--;
    return s;
}

static void copy_out(struct span s, char *value, int value_len)
{
    size_t n = span_len(s);

    if (value == NULL || value_len < 1)
        return;
    if (n > (size_t)value_len - 1)
        n = (size_t)value_len - 1;
    memcpy(value, s.p, n);
    value[n] = '\0';
}

/* number: leading decimal digits. => -1 if there is none, or too many for a long. */
static long number(struct span s)
{
    long v = 0;

    if (s.p == s.end || !isdigit((unsigned char)*s.p))
        return -1;
    for (; s.p < s.end && isdigit((unsigned char)*s.p); s.p++)
        if (__builtin_mul_overflow(v, 10L, &v) || __builtin_add_overflow(v, *s.p - '0', &v))
            return -1;
    return v;
}

/*
 * field: find a header field in `head`, which may go on behind the header.
 * => key as a program writes it: bare, or with "\n" before it and ":" behind it.
 * => false if there is none before the empty line; else *value without blanks around it.
 */
static bool field(struct span head, const char *key, size_t key_len, struct span *value)
{
    struct span k = trim_span((struct span){key, key + key_len});
    bool begun = false; /* empty lines before the first line are allowed, RFC 9112 2.2 */

    if (k.p < k.end && k.end[-1] == ':')
        k.end--;
    if (k.p == k.end)
        return false;
    while (head.p < head.end) {
        struct span line = next_line(&head);
        if (line.p == line.end && begun)
            return false;
        begun = begun || line.p < line.end;
        if (!starts_with(line, k.p, span_len(k)))
            continue;
        line.p += span_len(k);
        if (line.p < line.end && *line.p == ':') {
            *value = trim_span((struct span){line.p + 1, line.end});
            return true;
        }
    }
    return false;
}

/* field_of_text: the same for strings that end in '\0', NULL allowed. */
static bool field_of_text(const char *text, const char *key, int key_len, struct span *value)
{
    if (text == NULL || key == NULL || key_len < 0)
        return false;
    return field((struct span){text, text + strlen(text)}, key, strnlen(key, (size_t)key_len),
                 value);
}

/* ---- Where the header ends, what it is ------------------------------------------------------- */

int find_http_header(char *data, int len)
{
    struct span rest = span_of(data, len);
    bool begun = false;

    while (rest.p < rest.end) {
        struct span line = next_line(&rest);
        if (rest.p[-1] != '\n')
            return 0; /* the last line is not complete */
        if (line.p == line.end && begun)
            return (int)(rest.p - data);
        begun = begun || line.p < line.end;
    }
    return 0;
}

int is_http_response(char *data, int len)
{
    struct span s = span_of(data, len);

    return span_len(s) >= 5 && memcmp(s.p, "HTTP/", 5) == 0;
}

int is_http_request(char *data, int len)
{
    struct span s = span_of(data, len);

    if (span_len(s) >= 4 && memcmp(s.p, "GET ", 4) == 0)
        return GET;
    if (span_len(s) >= 5 && memcmp(s.p, "POST ", 5) == 0)
        return POST;
    return 0;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

char *http_header_str_val(const char *buf, const char *key, const int key_len, char *value,
                          int value_len)
{
    struct span v = {NULL, NULL};
    bool found = field_of_text(buf, key, key_len, &v);

    if (value == NULL || value_len < 1)
        return NULL;
    value[0] = '\0';
    if (!found)
        return NULL;
    copy_out(v, value, value_len);
    return value;
}

long int http_header_long_val(const char *response, const char *key, int key_len)
{
    struct span v = {NULL, NULL};

    return field_of_text(response, key, key_len, &v) ? number(v) : -1;
}

int http_get_maxage(char *response)
{
    static const char name[] = "max-age=";
    struct span v = {NULL, NULL};

    if (!field_of_text(response, "Cache-Control", 13, &v))
        return -1;
    for (; v.p < v.end; v.p++) {
        if (starts_with(v, name, sizeof(name) - 1)) {
            v.p += sizeof(name) - 1;
            long age = number(v);
            return age > INT32_MAX ? INT32_MAX : (int)age;
        }
        /* directives stand between commas, RFC 9111 5.2 */
        while (v.p < v.end && *v.p != ',')
            v.p++;
        while (v.p + 1 < v.end && isblank((unsigned char)v.p[1]))
            v.p++;
    }
    return -1;
}

int http_check_header_field(const char *data, const int len, const char *name, const char *value)
{
    struct span v = {NULL, NULL};

    if (name == NULL || value == NULL || !field(span_of(data, len), name, strlen(name), &v))
        return 0;
    return starts_with(v, value, strlen(value));
}

/* two_digits: 0 to 99; -1 if it is not two digits. */
static int two_digits(const char *p)
{
    if (!isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1]))
        return -1;
    return (p[0] - '0') * 10 + (p[1] - '0');
}

/* IMF-fixdate, RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". By hand: strptime asks the locale.
 */
static time_t imf_date(struct span s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};

    if (span_len(s) != 29 || memcmp(s.p + 25, " GMT", 4) != 0 || s.p[3] != ',')
        return -1;
    tm.tm_mon = -1;
    for (int m = 0; m < 12; m++)
        if (memcmp(s.p + 8, months + (size_t)m * 3, 3) == 0)
            tm.tm_mon = m;
    tm.tm_mday = two_digits(s.p + 5);
    tm.tm_year = two_digits(s.p + 12) * 100 + two_digits(s.p + 14) - 1900;
    tm.tm_hour = two_digits(s.p + 17);
    tm.tm_min = two_digits(s.p + 20);
    tm.tm_sec = two_digits(s.p + 23);
    if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 0 || tm.tm_hour < 0 ||
        tm.tm_min < 0 || tm.tm_sec < 0)
        return -1;
    return timegm(&tm);
}

time_t http_header_date(const char *data, const char *name, int len)
{
    struct span v = {NULL, NULL};

    if (name == NULL || !field(span_of(data, len), name, strlen(name), &v))
        return -1;
    return imf_date(v);
}

/* ---- First lines ----------------------------------------------------------------------------- */

/* status_line: "HTTP/1.1 200 OK". => false if it is none. */
static bool status_line(struct span s, struct span *version, long *code)
{
    struct span line = next_line(&s);
    struct span digits;

    *version = next_word(&line);
    digits = next_word(&line);
    *code = number(digits);
    return span_len(*version) > 5 && memcmp(version->p, "HTTP/", 5) == 0 && span_len(digits) == 3 &&
           *code >= 100;
}

static int version_number(struct span version)
{
    if (span_len(version) == 8 && memcmp(version.p, "HTTP/1.1", 8) == 0)
        return HTTP_11;
    if (span_len(version) == 8 && memcmp(version.p, "HTTP/1.0", 8) == 0)
        return HTTP_10;
    return HTTP_09;
}

int http_get_http_version_resp(char *data, int len, char *value, int value_len)
{
    struct span version;
    long code;

    if (!status_line(span_of(data, len), &version, &code))
        return 0;
    copy_out(version, value, value_len);
    return 1;
}

int http_get_status_code(void *response)
{
    const char *text = response;
    struct span version;
    long code;

    if (text == NULL || !status_line((struct span){text, text + strlen(text)}, &version, &code))
        return 0;
    return (int)code;
}

int http_parse_first_resp_line(const char *data, int len, int *scode, int *http_ver)
{
    struct span version;
    long code;

    if (!status_line(span_of(data, len), &version, &code))
        return 0;
    if (scode != NULL)
        *scode = (int)code;
    if (http_ver != NULL)
        *http_ver = version_number(version);
    return 1;
}

int http_get_url(char *data, int data_len, char *value, int value_len)
{
    struct span s = span_of(data, data_len);
    struct span line = next_line(&s);
    struct span url;

    next_word(&line); /* the method */
    url = next_word(&line);
    if (url.p == url.end)
        return 0;
    copy_out(url, value, value_len);
    return 1;
}
