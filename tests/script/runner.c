// SPDX-License-Identifier: BSD-2-Clause
/*
 * runner.c: runs packet scripts, each as a test case of its own.
 *
 *   packet-scripts DIR            every DIR/TOPIC/NAME.pkt
 *   packet-scripts FILE.pkt...    these
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "script.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void one_script(void **state)
{
    const char *path = *state;
    struct run *r = calloc(1, sizeof(*r));
    char why[sizeof(r->why)];
    bool ok = play_file(r, path);

    memcpy(why, r->why, sizeof(why));
    free(r);
    if (!ok)
        fail_msg("%s", why);
}

/* "topic/name" */
static const char *case_name(const char *path)
{
    const char *p = strrchr(path, '/');

    while (p != NULL && p > path && p[-1] != '/')
        p--;
    return p != NULL ? p : path;
}

int main(int argc, char **argv)
{
    struct CMUnitTest *tests;
    char pattern[4096];
    glob_t g = {0};
    int rc;

    for (int i = 1; i < argc; i++) {
        size_t n = strlen(argv[i]);
        bool file = n > 4 && strcmp(argv[i] + n - 4, ".pkt") == 0;

        snprintf(pattern, sizeof(pattern), file ? "%s" : "%s/*/*.pkt", argv[i]);
        glob(pattern, i > 1 ? GLOB_APPEND : 0, NULL, &g);
    }
    if (g.gl_pathc == 0) {
        fprintf(stderr, "packet-scripts: no scripts\n");
        return 1;
    }
    tests = calloc(g.gl_pathc, sizeof(*tests));
    for (size_t i = 0; i < g.gl_pathc; i++)
        tests[i] = (struct CMUnitTest){.name = case_name(g.gl_pathv[i]),
                                       .test_func = one_script,
                                       .initial_state = g.gl_pathv[i]};
    rc = _cmocka_run_group_tests("packet scripts", tests, g.gl_pathc, NULL, NULL);
    free(tests);
    globfree(&g);
    return rc;
}
