/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * appopt.h: the command line of a subcommand, read once and never changed afterwards.
 */
#ifndef WEIR_APPS_APPOPT_H
#define WEIR_APPS_APPOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "complain.h"

#define APP_MAX_CORES 64

/* --memory: for each context at least this, for all together at first that. */
#define APP_MEMORY_LEAST (UINT64_C(8) << 20)
#define APP_MEMORY       (UINT64_C(1) << 30)

/* Exit statuses. */
#define APP_OK     0
#define APP_BROKEN 1 /* the input was cut off, or something could not be written */
#define APP_MISUSE 2 /* wrong use, or input that cannot be read at all */

enum { APP_CSUM_AUTO, APP_CSUM_ON, APP_CSUM_OFF };

/* Names of overlap policies, by MOS_OVERLAP_POLICY_, and NULL. */
extern const char *const app_overlap_names[];
/* Names of programs, by enum app_program, and NULL. */
extern const char *const app_program_names[];

/* What a subcommand takes besides the common options. */
#define TAKES_OVERLAP 0x1
#define TAKES_DIR     0x2   /* -o DIR, and must have it */
#define TAKES_ZERO    0x4   /* --zero-fill */
#define TAKES_BILL    0x8   /* what `weir abacus` has */
#define TAKES_BENCH   0x10  /* what `weir bench` has, and nothing about how the input is read */
#define TAKES_EVERY   0x20  /* --every SECONDS: reports while it runs */
#define TAKES_RULES   0x40  /* what `weir firewall` has */
#define TAKES_NAT     0x100 /* what `weir nat` has */

#define TAKES_REWRITE 0x400 /* what `weir rewrite` has */

#define APP_LISTS   16 /* --to, --from, --address, --route at most so often */
#define APP_NEEDLE  16 /* bytes of the string of --app search, at most */
#define APP_EVENTS  64 /* N of --app events=N, at most */
#define APP_LOOPS   10000
#define APP_ROUNDS  99
#define APP_REWRITE 1024 /* bytes of what `weir rewrite` replaces, or puts there */

/* The programs of `weir bench`. */
enum app_program { APP_NONE, APP_COUNT, APP_SEARCH, APP_REXMIT, APP_EVENTS_N };

struct appopt;

/* One subcommand. */
struct command {
    const char *name;
    const char *does;     /* one line for `weir --help` */
    const char *about;    /* a paragraph for `weir NAME --help` */
    const char *examples; /* indented lines */
    unsigned takes;       /* TAKES_ bits */
    int (*run)(const struct appopt *opt);
};

struct appopt {
    const struct command *cmd;
    const char **file; /* -r, in order, ended by NULL */
    int nfiles;
    const char *out; /* -w, or NULL */
    const char *in_if,
        *out_if;      /* -i: an interface is read, NULL: files; -o: the other one, or NULL */
    const char *user; /* --user, or NULL */
    int duration_ms;  /* 0: no end */
    const char *address[APP_LISTS], *route[APP_LISTS]; /* IF=ADDRESS/LENGTH, PREFIX=GATEWAY */
    int naddress, nroute;                              /* of them; naddress 0: nothing is routed */
    bool fail_open;
    char *expr;      /* BPF expression, or NULL */
    const char *dir; /* -o */
    bool json, strict, midstream, zero_fill;
    int csum;
    int overlap; /* MOS_OVERLAP_POLICY_ */
    int cores, batch, epoch;
    uint64_t
        memory; /* bytes that connections may take, the library's and the subcommand's, all contexts' */
    const char *timeout; /* seconds, checked, as they were given */
    /* TAKES_BILL */
    const char *prefixes; /* file, or NULL */
    bool by_address, all, charge_rexmit;
    int sample;      /* N of 1/N; 1: everything */
    int interval_ms; /* 0: none; of TAKES_EVERY too */
    /* TAKES_RULES */
    const char *rules; /* file */
    int fw_default,
        fw_other; /* enum fw_action: of connections no rule matches, of what is not TCP */
    bool strict_start, check;
    /* TAKES_NAT */
    const char *to[APP_LISTS], *from[APP_LISTS]; /* as given */
    int nto, nfrom;
    const char *rest, *transitory; /* seconds, checked */
    bool pass_other;
    int seed; /* 0: none was given */
    /* TAKES_BENCH */
    enum app_program program;
    const char *needle; /* of search */
    int events;         /* of events=N */
    int loops, rounds;
    /* TAKES_REWRITE */
    const char *find, *with;
    bool raw, pad;
};

/*
 * appopt_parse: read the command line behind the subcommand's name; argv[0] is that name.
 * => 0: go on. -1: stop, with the exit status in *status; help or a complaint was printed.
 */
int appopt_parse(struct appopt *opt, const struct command *cmd, int argc, char **argv, int *status);
void appopt_free(struct appopt *opt);

/* appopt_from_stdin: is one of the inputs standard input? */
bool appopt_from_stdin(const struct appopt *opt);

#endif
