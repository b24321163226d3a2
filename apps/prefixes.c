// SPDX-License-Identifier: BSD-2-Clause
/* prefixes.c: reads the list, line by line, and finds addresses in it, bit by bit. */
#include "prefixes.h"
#include "appopt.h"

#include <ctype.h>
#include <errno.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 512
#define NO_NODE        UINT32_MAX

/* Where the reader is, for complaints. */
struct reader {
    struct prefixes *p;
    const char *path;
    unsigned line;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct reader *r, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES + 200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return complain(APP_MISUSE, "%s:%u: %s", r->path, r->line, text);
}

/* Room for one more of n elements of that size. => false: no memory. */
static bool room(void **v, size_t *cap, size_t n, size_t size)
{
    size_t more = *cap ? 2 * *cap : 64;
    void *grown;

    if (n < *cap)
        return true;
    grown = realloc(*v, more * size);
    if (!grown)
        return false;
    *v = grown;
    *cap = more;
    return true;
}

/* => 0: no memory */
static uint32_t new_node(struct prefixes *p)
{
    void *v = p->node;

    if (!room(&v, &p->cap_node, p->nnode, sizeof(*p->node)))
        return 0;
    p->node = v;
    p->node[p->nnode] = (struct prefix_node){.name = -1};
    return (uint32_t)p->nnode++;
}

static int bit(const uint8_t *addr, int i)
{
    return addr[i / 8] >> (7 - i % 8) & 1;
}

/* The node where a range ends, made if need be. => NO_NODE: no memory */
static uint32_t node_of(struct prefixes *p, const struct endpoint *e, int len)
{
    uint32_t at = e->family == AF_INET6, next;

    for (int i = 0; i < len; i++, at = next) {
        next = p->node[at].child[bit(e->addr, i)];
        if (next)
            continue;
        next = new_node(p);
        if (!next)
            return NO_NODE;
        p->node[at].child[bit(e->addr, i)] = next;
    }
    return at;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct prefix_name *)a)->text, ((const struct prefix_name *)b)->text);
}

/* => the name's index, the old one if it was there; -1: no memory */
static int name_of(struct prefixes *p, const char *text)
{
    size_t size = strlen(text) + 1;
    struct prefix_name *name, **found;
    void *v = p->name;

    if (!room(&v, &p->cap_name, (size_t)p->nname, sizeof(void *)))
        return -1;
    p->name = v;
    name = malloc(sizeof(*name) + size);
    if (!name)
        return -1;
    name->index = p->nname;
    memcpy(name->text, text, size);
    found = tsearch(name, &p->by_text, by_text);
    if (found && *found == name) {
        p->name[p->nname] = name;
        return p->nname++;
    }
    free(name);
    return found ? (*found)->index : -1;
}

/* "ADDRESS" or "ADDRESS/LENGTH", without bits behind the length. */
static int parse_prefix(const struct reader *r, char *text, struct endpoint *e, int *len)
{
    char *slash = strchr(text, '/'), *end;
    uint8_t addr[16];
    int family, max;
    long n;

    if (slash)
        *slash = '\0';
    family = strchr(text, ':') ? AF_INET6 : AF_INET;
    max = family == AF_INET6 ? 128 : 32;
    if (inet_pton(family, text, addr) != 1)
        return wrong(r, "expected an address, such as 192.0.2.0/24 or 2001:db8::/32, got '%s'",
                     text);
    endpoint_set(e, family, addr, 0);
    *len = max;
    if (!slash)
        return 0;
    n = strtol(slash + 1, &end, 10);
    if (!isdigit((unsigned char)slash[1]) || *end || n > max)
        return wrong(r, "expected a prefix length from 0 to %d, got '%s'", max, slash + 1);
    *len = (int)n;
    for (int i = *len; i < max; i++)
        if (bit(addr, i))
            return wrong(r, "%s/%d: the address has bits behind the prefix length", text, *len);
    return 0;
}

static void cut_comment(char *s)
{
    for (char *at = s; (at = strchr(at, '#')); at++) {
        if (at == s || isspace((unsigned char)at[-1])) {
            *at = '\0';
            break;
        }
    }
    for (size_t n = strlen(s); n > 0 && isspace((unsigned char)s[n - 1]);)
        s[--n] = '\0';
}

/* Is a name fit to be shown, and not one of those that abacus gives itself? */
static int check_name(const struct reader *r, const char *name)
{
    static const char *const taken[] = SUBSCRIBER_NAMES;

    if (strlen(name) > PREFIX_NAME_MAX)
        return wrong(r, "name longer than %d bytes", PREFIX_NAME_MAX);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        if (strcmp(name, taken[i]) == 0)
            return wrong(r, "%s is what abacus itself calls something else", name);
    return 0;
}

static int read_line(const struct reader *r, char *text)
{
    char whole[LINE_MAX_BYTES], *name = text;
    struct endpoint e = {0};
    uint32_t at;
    int len = 0, status;

    while (*name && !isspace((unsigned char)*name))
        name++;
    if (*name)
        *name++ = '\0';
    while (isspace((unsigned char)*name))
        name++;
    snprintf(whole, sizeof(whole), "%s", text);
    status = parse_prefix(r, text, &e, &len);
    if (status == 0)
        status = check_name(r, name);
    if (status)
        return status;
    at = node_of(r->p, &e, len);
    if (at == NO_NODE)
        return wrong(r, "out of memory");
    if (r->p->node[at].name >= 0)
        return wrong(r, "%s was there already, in line %u", whole, r->p->node[at].line);
    r->p->node[at].line = r->line;
    r->p->node[at].name = name_of(r->p, *name ? name : whole);
    return r->p->node[at].name < 0 ? wrong(r, "out of memory") : 0;
}

/* The next line, without its end. => its length; LINE_MAX_BYTES: it is too long; -1: there is none. */
static int next_line(FILE *fp, char *text)
{
    int n = 0, c;

    while ((c = getc(fp)) != EOF && c != '\n')
        if (n < LINE_MAX_BYTES)
            text[n++] = (char)c;
    if (n < LINE_MAX_BYTES)
        text[n] = '\0';
    return c == EOF && n == 0 ? -1 : n;
}

static int read_all(struct reader *r, FILE *fp)
{
    char text[LINE_MAX_BYTES] = "";
    int status = 0, n;

    while (status == 0 && (n = next_line(fp, text)) >= 0) {
        const char *s = text;

        r->line++;
        if (n > LINE_MAX_BYTES - 2)
            return wrong(r, "line longer than %d bytes", LINE_MAX_BYTES - 2);
        if (memchr(text, '\0', (size_t)n))
            return wrong(r, "there is a byte 0 in this line");
        cut_comment(text);
        while (isspace((unsigned char)*s))
            s++;
        if (*s)
            status = read_line(r, text + (s - text));
    }
    if (status == 0 && ferror(fp))
        status = complain(APP_MISUSE, "%s: %s", r->path, strerror(errno));
    if (status == 0 && r->p->nname == 0)
        status = complain(APP_MISUSE, "%s: there is no prefix in this file", r->path);
    return status;
}

int prefixes_read(struct prefixes *p, const char *path)
{
    struct reader r = {.p = p, .path = path};
    FILE *fp = fopen(path, "r");
    int status;

    if (!fp)
        return complain(APP_MISUSE, "%s: %s", path, strerror(errno));
    new_node(p);
    status = new_node(p) == 1 ? read_all(&r, fp) : complain(APP_BROKEN, "out of memory");
    fclose(fp);
    return status;
}

static void keep(void *name)
{
    (void)name;
}

void prefixes_free(struct prefixes *p)
{
    tdestroy(p->by_text, keep);
    for (int i = 0; i < p->nname; i++)
        free(p->name[i]);
    free(p->name);
    free(p->node);
}

int prefixes_find(const struct prefixes *p, const struct endpoint *e)
{
    uint32_t at = e->family == AF_INET6;
    int max = e->family == AF_INET6 ? 128 : 32, found = p->node[at].name;

    for (int i = 0; i < max; i++) {
        at = p->node[at].child[bit(e->addr, i)];
        if (!at)
            break;
        if (p->node[at].name >= 0)
            found = p->node[at].name;
    }
    return found;
}
