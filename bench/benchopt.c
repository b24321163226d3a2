// SPDX-License-Identifier: BSD-2-Clause
#include "benchopt.h"

#include <getopt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

static _Noreturn void misuse(const char *program, const struct bench_opt *o)
{
    fprintf(stderr, "%s: --%s %g to %g\n", program, o->name, o->least, o->most);
    exit(2);
}

/* take: => false: it is no number, or out of range. */
static bool take(const struct bench_opt *o, const char *text)
{
    char *end = NULL;
    double v = text ? strtod(text, &end) : 0;

    switch (o->kind) {
    case BENCH_FLAG:
        *(bool *)o->to = true;
        return true;
    case BENCH_TEXT:
        *(const char **)o->to = text;
        return true;
    case BENCH_NUMBER:
        *(uint64_t *)o->to = strtoull(text, &end, 0);
        break;
    case BENCH_INT:
        *(int *)o->to = (int)v;
        break;
    case BENCH_UINT:
        *(uint32_t *)o->to = (uint32_t)v;
        break;
    case BENCH_REAL:
        *(double *)o->to = v;
        break;
    }
    return end != text && *end == '\0' &&
           ((o->least == 0 && o->most == 0) || (v >= o->least && v <= o->most));
}

void bench_options(int argc, char **argv, const char *program, const struct bench_opt *list)
{
    struct option o[MOST] = {{0}};
    int i, at;

    for (i = 0; list[i].name && i < MOST - 1; i++)
        o[i] = (struct option){.name = list[i].name, .has_arg = list[i].kind != BENCH_FLAG};
    while ((i = getopt_long(argc, argv, "", o, &at)) != -1) {
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
