// SPDX-License-Identifier: BSD-2-Clause
/*
 * conffile.c: one pass over the text, a stack of open blocks, and an error that names the line at
 * the first thing that does not fit. Values are looked at in confvalue.c.
 */
#include "base/conffile.h"
#include "base/errtext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16

struct parser {
    struct conf_file *f;
    const char *p, *end;
    int line;
    int depth;
    struct conf_item *block[MAX_DEPTH]; /* the open blocks */
    struct conf_item **tail;            /* where the next item goes */
};

static int bad(const struct parser *ps, const char *what)
{
    return err_set(EINVAL, "%s:%d: %s", ps->f->path, ps->line, what);
}

static int no_memory(const struct parser *ps)
{
    return err_set(ENOMEM, "%s: out of memory", ps->f->path);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool at_line_end(const struct parser *ps)
{
    return ps->p == ps->end || *ps->p == '\n' || *ps->p == '#';
}

static void skip_blanks(struct parser *ps)
{
    while (ps->p < ps->end && is_blank(*ps->p))
        ps->p++;
}

/* Skip blanks, comments and line ends. */
static void skip_lines(struct parser *ps)
{
    for (;;) {
        skip_blanks(ps);
        if (ps->p < ps->end && *ps->p == '#')
            while (ps->p < ps->end && *ps->p != '\n')
                ps->p++;
        if (ps->p == ps->end || *ps->p != '\n')
            return;
        ps->p++;
        ps->line++;
    }
}

/* The character after the closing quote of the string that starts at s, NULL if it never closes. */
static const char *quote_end(const char *s, const char *end)
{
    for (s++; s < end && *s != '\n'; s++) {
        if (*s == '\\' && s + 1 < end && (s[1] == '"' || s[1] == '\\'))
            s++;
        else if (*s == '"')
            return s + 1;
    }
    return NULL;
}

static char *copy_plain(const char *s, const char *e)
{
    size_t n = (size_t)(e - s);
    char *c = malloc(n + 1);

    if (c) {
        memcpy(c, s, n);
        c[n] = '\0';
    }
    return c;
}

/* Copy [s, e); when it starts with a quote, what is between the quotes. */
static char *copy_word(const char *s, const char *e)
{
    char *c = copy_plain(s, e), *to = c;

    if (!c || s == e || *s != '"')
        return c;
    for (s++, e--; s < e; s++) {
        if (*s == '\\' && s + 1 < e && (s[1] == '"' || s[1] == '\\'))
            s++;
        *to++ = *s;
    }
    *to = '\0';
    return c;
}

/* The end of the word at ps->p, up to one of the `stop` characters. => NULL with the error set. */
static const char *word_end(const struct parser *ps, const char *stop)
{
    const char *s = ps->p;

    if (*s == '"') {
        s = quote_end(s, ps->end);
        if (!s) {
            bad(ps, "expected a closing '\"' before the end of the line");
        } else if (s < ps->end && !is_blank(*s) && *s != '\n' && *s != '#' && !strchr(stop, *s)) {
            bad(ps, "expected a blank after the closing '\"'");
            return NULL;
        }
        return s;
    }
    while (s < ps->end && !is_blank(*s) && *s != '\n' && *s != '#' && !strchr(stop, *s))
        s++;
    return s;
}

static struct conf_item *add_item(struct parser *ps, enum conf_kind kind)
{
    struct conf_item *it = calloc(1, sizeof(*it));

    if (!it) {
        no_memory(ps);
        return NULL;
    }
    it->kind = kind;
    it->line = ps->line;
    *ps->tail = it;
    ps->tail = &it->next;
    return it;
}

static int add_word(struct parser *ps, struct conf_item *it, char *word)
{
    char **w = word ? realloc(it->word, (size_t)(it->nwords + 2) * sizeof(*w)) : NULL;

    if (!w) {
        free(word);
        return no_memory(ps);
    }
    it->word = w;
    w[it->nwords++] = word;
    w[it->nwords] = NULL;
    return 0;
}

static int open_block(struct parser *ps, const char *name, const char *name_end, int line)
{
    struct conf_item *it;

    if (ps->depth == MAX_DEPTH)
        return bad(ps, "expected no more than 16 blocks inside one another");
    it = add_item(ps, CONF_BLOCK);
    if (!it)
        return -1;
    it->line = line;
    it->name = copy_word(name, name_end);
    if (!it->name)
        return no_memory(ps);
    ps->block[ps->depth++] = it;
    ps->tail = &it->child;
    return 0;
}

/* A '}' at ps->p; behind it only more of them, or the end of the line. */
static int close_block(struct parser *ps)
{
    if (ps->depth == 0)
        return bad(ps, "expected no '}' here: no block is open");
    ps->tail = &ps->block[--ps->depth]->next;
    ps->p++;
    skip_blanks(ps);
    if (!at_line_end(ps) && *ps->p != '}')
        return bad(ps, "expected the end of the line after '}'");
    return 0;
}

/*
 * Where the value at ps->p ends. Trailing '}' that no '{' in the value opens are not part of it.
 * => NULL with the error set.
 */
static const char *value_end(struct parser *ps)
{
    const char *start = ps->p, *end = start;
    int extra = 0;

    while (skip_blanks(ps), !at_line_end(ps)) {
        const char *e = word_end(ps, *ps->p == '"' ? "}" : "");

        if (!e)
            return NULL;
        for (const char *c = ps->p; *ps->p != '"' && c < e; c++)
            extra += *c == '}' ? 1 : *c == '{' ? -1 : 0;
        if (e < ps->end && *ps->p == '"' && *e == '}') {
            extra++;
            e++;
        }
        end = ps->p = e;
    }
    if (extra > ps->depth)
        extra = ps->depth;
    while (extra > 0 && end > start && (end[-1] == '}' || is_blank(end[-1])))
        extra -= *--end == '}';
    ps->p = end;
    while (end > start && is_blank(end[-1]))
        end--;
    return end;
}

/* The words of a value that has been copied already. */
static int value_words(struct parser *ps, struct conf_item *it, const char *s, const char *end)
{
    struct parser in = *ps;

    in.p = s;
    in.end = end;
    while (skip_blanks(&in), in.p < end) {
        const char *e = word_end(&in, "");

        if (!e)
            return -1;
        if (add_word(ps, it, copy_word(in.p, e)) < 0)
            return -1;
        in.p = e;
    }
    return 0;
}

/* KEY '=' was read up to the '='. */
static int parse_value(struct parser *ps, const char *name, const char *name_end)
{
    struct conf_item *it = add_item(ps, CONF_KEY);
    const char *start, *end;

    if (!it)
        return -1;
    it->name = copy_word(name, name_end);
    if (!it->name)
        return no_memory(ps);
    skip_blanks(ps);
    start = ps->p;
    end = value_end(ps);
    if (!end)
        return -1;
    if (start == end)
        return err_set(EINVAL, "%s:%d: expected a value after '%s ='", ps->f->path, ps->line,
                       it->name);
    if (*start == '"' && quote_end(start, end) == end)
        it->value = copy_word(start, end);
    else
        it->value = copy_plain(start, end);
    return it->value ? value_words(ps, it, start, end) : no_memory(ps);
}

/* A row, of which the first word was read. */
static int parse_row(struct parser *ps, const char *first, const char *first_end)
{
    struct conf_item *it;
    const char *e;

    if (ps->depth == 0)
        return err_set(EINVAL, "%s:%d: expected 'KEY = VALUE' or 'NAME {', got '%.*s'", ps->f->path,
                       ps->line, (int)(first_end - first), first);
    it = add_item(ps, CONF_ROW);
    if (!it || add_word(ps, it, copy_word(first, first_end)) < 0)
        return -1;
    while (skip_blanks(ps), !at_line_end(ps) && *ps->p != '}') {
        if (*ps->p == '=')
            return bad(ps, "expected one name before '='");
        if (*ps->p == '{')
            return bad(ps, "expected one name before '{'");
        e = word_end(ps, "={}");
        if (!e || add_word(ps, it, copy_word(ps->p, e)) < 0)
            return -1;
        ps->p = e;
    }
    return 0;
}

/* A name without anything behind it on its line: a block if the next thing in the file is '{'. */
static int parse_lone_name(struct parser *ps, const char *name, const char *name_end)
{
    struct parser ahead = *ps;
    int line = ps->line;

    skip_lines(&ahead);
    if (ahead.p == ahead.end || *ahead.p != '{')
        return parse_row(ps, name, name_end);
    ps->p = ahead.p + 1;
    ps->line = ahead.line;
    return open_block(ps, name, name_end, line);
}

/* One item, row, or '}' at ps->p, which is no blank. */
static int parse_item(struct parser *ps)
{
    const char *name = ps->p, *name_end;

    if (*name == '}')
        return close_block(ps);
    if (*name == '=' || *name == '{')
        return bad(ps, *name == '=' ? "expected a name before '='" : "expected a name before '{'");
    name_end = word_end(ps, "={}");
    if (!name_end)
        return -1;
    ps->p = name_end;
    skip_blanks(ps);
    if (at_line_end(ps))
        return parse_lone_name(ps, name, name_end);
    if (*ps->p == '{') {
        ps->p++;
        return open_block(ps, name, name_end, ps->line);
    }
    if (*ps->p == '=') {
        ps->p++;
        return parse_value(ps, name, name_end);
    }
    return parse_row(ps, name, name_end);
}

static int parse(struct parser *ps)
{
    const char *nul = memchr(ps->p, '\0', (size_t)(ps->end - ps->p));

    if (nul) {
        for (const char *s = ps->p; s < nul; s++)
            ps->line += *s == '\n';
        return bad(ps, "expected text, got a NUL byte");
    }
    if (ps->end - ps->p >= 3 && memcmp(ps->p, "\xef\xbb\xbf", 3) == 0)
        ps->p += 3;
    while (skip_lines(ps), ps->p < ps->end)
        if (parse_item(ps) < 0)
            return -1;
    if (ps->depth > 0) {
        const struct conf_item *b = ps->block[ps->depth - 1];

        return err_set(EINVAL, "%s:%d: expected '}' for the block '%s' of line %d", ps->f->path,
                       ps->line, b->name, b->line);
    }
    return 0;
}

struct conf_file *conf_parse(const char *path, const char *text, size_t len)
{
    struct conf_file *f = calloc(1, sizeof(*f));
    struct parser ps = {.f = f, .p = text, .end = text + len, .line = 1};

    if (!f || !(f->path = strdup(path))) {
        free(f);
        return err_null(ENOMEM, "%s: out of memory", path);
    }
    ps.tail = &f->first;
    if (parse(&ps) < 0) {
        int code = errno;

        conf_free(f);
        errno = code;
        return NULL;
    }
    return f;
}

/* The whole of a stream; not from its size, since it may be a pipe. */
static char *slurp(FILE *fp, size_t *len)
{
    size_t cap = 0;
    char *buf = NULL;

    for (*len = 0;;) {
        if (*len == cap) {
            char *b = realloc(buf, cap = cap ? 2 * cap : 8192);

            if (!b)
                break;
            buf = b;
        }
        *len += fread(buf + *len, 1, cap - *len, fp);
        if (ferror(fp))
            break;
        if (feof(fp))
            return buf;
    }
    free(buf);
    return NULL;
}

struct conf_file *conf_load(const char *path)
{
    FILE *fp = fopen(path, "re");
    struct conf_file *f = NULL;
    size_t len;
    char *text;

    if (!fp)
        return err_null(errno, "%s: %s", path, strerror(errno));
    text = slurp(fp, &len);
    if (text)
        f = conf_parse(path, text, len);
    else
        err_set(errno, "%s: %s", path, strerror(errno));
    free(text);
    fclose(fp);
    return f;
}

static void free_items(struct conf_item *it)
{
    struct conf_item *next;

    for (; it; it = next) {
        next = it->next;
        free_items(it->child); /* at most MAX_DEPTH deep */
        for (int i = 0; i < it->nwords; i++)
            free(it->word[i]);
        free(it->word);
        free(it->value);
        free(it->name);
        free(it);
    }
}

void conf_free(struct conf_file *f)
{
    if (!f)
        return;
    free_items(f->first);
    free(f->path);
    free(f);
}
