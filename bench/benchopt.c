// SPDX-License-Identifier: BSD-2-Clause
#include "benchopt.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

/* wants: what may stand behind this option. */
static void wants(FILE *to, const struct bench_opt *o)
{
    static const char *const kinds[] = {
        [BENCH_FLAG] = "",
        [BENCH_INT] = "a whole number",
        [BENCH_UINT] = "a whole number",
        [BENCH_NUMBER] = "a whole number",
        [BENCH_REAL] = "a number",
        [BENCH_TEXT] = "a text",
    };

    if (o->names == NULL) {
        fprintf(to, "%s", kinds[o->kind]);
        if (o->least != 0 || o->most != 0)
            fprintf(to, ", %.10g to %.10g", o->least, o->most);
        return;
    }
    fprintf(to, "one or more of ");
    for (int i = 0; o->names(i); i++)
        fprintf(to, "%s%s", i ? "," : "", o->names(i));
}

static _Noreturn void help(const char *program, const struct bench_opt *list)
{
    printf("usage: %s [OPTION]...\nOptions:\n", program);
    for (; list->name; list++) {
        printf("  --%-12s ", list->name);
        wants(stdout, list);
        printf("\n");
    }
    printf("What is measured, and how: docs/performance.md.\n");
    exit(0);
}

static _Noreturn void misuse(const char *program, const struct bench_opt *o)
{
    fprintf(stderr, "%s: --%s: expected ", program, o->name);
    wants(stderr, o);
    fprintf(stderr, "\n");
    exit(2);
}

/* known: is each of the names in "A,B,C" one of these? */
static bool known(const char *list, const char *(*names)(int i))
{
    if (*list == '\0')
        return false;
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
        const size_t len = strcspn(p, ",");
        int i = 0;

        while (names(i) && (strlen(names(i)) != len || strncmp(names(i), p, len) != 0))
            i++;
        if (names(i) == NULL)
            return false;
    }
    return true;
}

/* take: => false: it is no number, or out of range, or no name. */
static bool take(const struct bench_opt *o, const char *text)
{
    char *end = NULL;
    double v = text ? strtod(text, &end) : 0;
    bool whole = true;

    errno = 0;
    switch (o->kind) {
    case BENCH_FLAG:
        *(bool *)o->to = true;
        return true;
    case BENCH_TEXT:
        *(const char **)o->to = text;
        return o->names == NULL || known(text, o->names);
    case BENCH_NUMBER: /* all 64 bits of it */
        whole = strchr(text, '-') == NULL;
        *(uint64_t *)o->to = strtoull(text, &end, 0);
        break;
    case BENCH_INT:
        whole = v >= INT_MIN && v <= INT_MAX && v == (int)v;
        *(int *)o->to = whole ? (int)v : 0;
        break;
    case BENCH_UINT:
        whole = v >= 0 && v <= UINT32_MAX && v == (uint32_t)v;
        *(uint32_t *)o->to = whole ? (uint32_t)v : 0;
        break;
    case BENCH_REAL:
        *(double *)o->to = v;
        break;
    }
    return whole && errno == 0 && end != text && *end == '\0' &&
           ((o->least == 0 && o->most == 0) || (v >= o->least && v <= o->most));
}

void bench_options(int argc, char **argv, const char *program, const struct bench_opt *list)
{
    struct option o[MOST] = {{0}};
    int i, at;

    for (i = 0; list[i].name && i < MOST - 2; i++)
        o[i] = (struct option){.name = list[i].name, .has_arg = list[i].kind != BENCH_FLAG};
    o[i] = (struct option){.name = "help", .val = 'h'};
    while ((i = getopt_long(argc, argv, "h", o, &at)) != -1) {
        if (i == 'h')
            help(program, list);
        if (i != 0)
            exit(2); /* it was said why */
        if (!take(&list[at], optarg))
            misuse(program, &list[at]);
    }
    if (optind == argc)
        return;
    fprintf(stderr, "%s: %s is no option\n", program, argv[optind]);
    exit(2);
}

bool bench_listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    if (list == NULL)
        return true;
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == len && strncmp(p, name, len) == 0)
            return true;
    return false;
}

static char *lines;
static size_t lines_len;
static FILE *json;

FILE *bench_json(void)
{
    if (json == NULL)
        json = open_memstream(&lines, &lines_len);
    if (json == NULL) {
        perror("open_memstream");
        exit(2);
    }
    return json;
}

void bench_json_show(void)
{
    if (json)
        fclose(json);
    json = NULL;
    printf("\n%s", lines ? lines : "");
    free(lines);
    lines = NULL;
}
