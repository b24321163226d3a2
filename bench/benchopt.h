/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * benchopt.h: what all benchmarks have alike: options, lists of names, and JSON lines that are shown
 * behind the tables.
 */
#ifndef WEIR_BENCH_BENCHOPT_H
#define WEIR_BENCH_BENCHOPT_H

#include <stdbool.h>
#include <stdio.h>

enum bench_opt_kind {
    BENCH_FLAG,   /* no value; to: bool */
    BENCH_INT,    /* int */
    BENCH_UINT,   /* uint32_t */
    BENCH_NUMBER, /* uint64_t */
    BENCH_REAL,   /* double */
    BENCH_TEXT,   /* const char * */
};

struct bench_opt {
    const char *name; /* without the dashes; NULL ends a list */
    enum bench_opt_kind kind;
    void *to;
    double least, most; /* what a number may be; both 0: anything from 0 on */
    const char *(*names)(
        int i); /* of a text that is a list of names, "A,B,C": those that there are; NULL ends them */
};

/*
 * bench_options: the command line as this list has it; nothing else may be on it. --help shows the list, and ends the program.
 * A mistake is told on standard error, after the program's name, and ends the program with status 2.
 */
void bench_options(int argc, char **argv, const char *program, const struct bench_opt *list);

/* bench_listed: is this one of the names in "A,B,C"? NULL: all are. */
bool bench_listed(const char *list, const char *name);

/*
 * bench_json: where JSON lines go until bench_json_show shows them, behind an empty line. One at a time; no
 * memory ends the program.
 */
FILE *bench_json(void);
void bench_json_show(void);

#endif
