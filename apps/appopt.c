// SPDX-License-Identifier: BSD-2-Clause
/*
 * appopt.c: options. Words that are no options belong to the BPF expression, except right behind
 * -r: there a word that is the name of a file is one more input, so that `-r *.pcap` works.
 */
#include "appopt.h"
#include "applive.h"
#include "opthelp.h"
#include "natopt.h"
#include "fwrules.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OPT_WORD = 1, /* what getopt_long gives for a word that is no option */
    OPT_JSON = 256,
    OPT_STRICT,
    OPT_NO_MIDSTREAM,
    OPT_CSUM,
    OPT_OVERLAP,
    OPT_ZERO,
    OPT_CORES,
    OPT_BATCH,
    OPT_EPOCH,
    OPT_TIMEOUT,
    OPT_MEMORY,
    OPT_BY,
    OPT_PREFIXES,
    OPT_ALL,
    OPT_CHARGE,
    OPT_SAMPLE,
    OPT_INTERVAL,
    OPT_EVERY,
    OPT_OUT_IF,
    OPT_USER,
    OPT_DURATION,
    OPT_FAIL_OPEN,
    OPT_ADDRESS,
    OPT_ROUTE,
    OPT_APP,
    OPT_LOOPS,
    OPT_ROUNDS,
    OPT_RULES,
    OPT_DEFAULT,
    OPT_OTHER,
    OPT_STRICT_START,
    OPT_CHECK,
    OPT_TO,
    OPT_FROM,
    OPT_REST,
    OPT_TRANSITORY,
    OPT_PASS_OTHER,
    OPT_SEED,
    OPT_FIND,
    OPT_WITH,
    OPT_RAW,
    OPT_PAD,
};

const char *const app_overlap_names[] = {"first",     "last",    "bsd",     "bsd-right", "linux",
                                         "old-linux", "windows", "solaris", NULL};
const char *const app_program_names[] = {"none", "count", "search", "rexmit", "events", NULL};

/*
 * A long option, what a subcommand must take for it to be known (0: everyone has it), and what it
 * must not.
 */
struct optdef {
    struct option opt;
    unsigned takes, without;
};

static const struct optdef defs[] = {
    {{"read", required_argument, NULL, 'r'}, 0, 0},
    {{"write", required_argument, NULL, 'w'}, 0, TAKES_BENCH},
    {{"interface", required_argument, NULL, 'i'}, 0, TAKES_BENCH},
    {{"out", required_argument, NULL, OPT_OUT_IF}, 0, TAKES_BENCH},
    {{"user", required_argument, NULL, OPT_USER}, 0, TAKES_BENCH},
    {{"duration", required_argument, NULL, OPT_DURATION}, 0, TAKES_BENCH},
    {{"fail-open", no_argument, NULL, OPT_FAIL_OPEN}, 0, TAKES_BENCH},
    {{"address", required_argument, NULL, OPT_ADDRESS}, 0, TAKES_BENCH},
    {{"route", required_argument, NULL, OPT_ROUTE}, 0, TAKES_BENCH},
    {{"every", required_argument, NULL, OPT_EVERY}, TAKES_EVERY, 0},
    {{"json", no_argument, NULL, OPT_JSON}, 0, 0},
    {{"strict", no_argument, NULL, OPT_STRICT}, 0, TAKES_RULES},
    {{"no-midstream", no_argument, NULL, OPT_NO_MIDSTREAM}, 0, TAKES_RULES},
    {{"csum", required_argument, NULL, OPT_CSUM}, 0, TAKES_RULES},
    {{"overlap", required_argument, NULL, OPT_OVERLAP}, TAKES_OVERLAP, 0},
    {{"output", required_argument, NULL, 'o'}, TAKES_DIR, 0},
    {{"zero-fill", no_argument, NULL, OPT_ZERO}, TAKES_ZERO, 0},
    {{"cores", required_argument, NULL, OPT_CORES}, 0, 0},
    {{"batch", required_argument, NULL, OPT_BATCH}, 0, TAKES_BENCH},
    {{"epoch", required_argument, NULL, OPT_EPOCH}, 0, TAKES_BENCH},
    {{"timeout", required_argument, NULL, OPT_TIMEOUT}, 0, TAKES_BENCH},
    {{"memory", required_argument, NULL, OPT_MEMORY}, 0, TAKES_BENCH},
    {{"by", required_argument, NULL, OPT_BY}, TAKES_BILL, 0},
    {{"prefixes", required_argument, NULL, OPT_PREFIXES}, TAKES_BILL, 0},
    {{"all", no_argument, NULL, OPT_ALL}, TAKES_BILL, 0},
    {{"charge-rexmit", no_argument, NULL, OPT_CHARGE}, TAKES_BILL, 0},
    {{"sample", required_argument, NULL, OPT_SAMPLE}, TAKES_BILL, 0},
    {{"interval", required_argument, NULL, OPT_INTERVAL}, TAKES_BILL, 0},
    {{"rules", required_argument, NULL, OPT_RULES}, TAKES_RULES, 0},
    {{"default", required_argument, NULL, OPT_DEFAULT}, TAKES_RULES, 0},
    {{"other", required_argument, NULL, OPT_OTHER}, TAKES_RULES, 0},
    {{"strict-start", no_argument, NULL, OPT_STRICT_START}, TAKES_RULES, 0},
    {{"check", no_argument, NULL, OPT_CHECK}, TAKES_RULES, 0},
    {{"to", required_argument, NULL, OPT_TO}, TAKES_NAT, 0},
    {{"from", required_argument, NULL, OPT_FROM}, TAKES_NAT, 0},
    {{"rest", required_argument, NULL, OPT_REST}, TAKES_NAT, 0},
    {{"transitory", required_argument, NULL, OPT_TRANSITORY}, TAKES_NAT, 0},
    {{"seed", required_argument, NULL, OPT_SEED}, TAKES_NAT, 0},
    {{"pass-other", no_argument, NULL, OPT_PASS_OTHER}, TAKES_NAT, 0},
    {{"app", required_argument, NULL, OPT_APP}, TAKES_BENCH, 0},
    {{"loops", required_argument, NULL, OPT_LOOPS}, TAKES_BENCH, 0},
    {{"rounds", required_argument, NULL, OPT_ROUNDS}, TAKES_BENCH, 0},
    {{"find", required_argument, NULL, OPT_FIND}, TAKES_REWRITE, 0},
    {{"with", required_argument, NULL, OPT_WITH}, TAKES_REWRITE, 0},
    {{"raw", no_argument, NULL, OPT_RAW}, TAKES_REWRITE, 0},
    {{"pad", no_argument, NULL, OPT_PAD}, TAKES_REWRITE, 0},
    {{"help", no_argument, NULL, 'h'}, 0, 0},
};
#define NDEFS (sizeof(defs) / sizeof(defs[0]))

/* A line or more of the options that everyone has, and what a subcommand must not take for it. */
static const struct {
    const char *text;
    unsigned without;
} common_help[] = {
    {"  -r FILE...           read these capture files one after the other (pcap or pcapng);\n"
     "                       - is standard input\n",
     0},
    {"  -w FILE              forward what was read into this capture file\n", TAKES_BENCH},
    {"  -i IF                instead of files: what passes this interface, until it is "
     "interrupted\n"
     "  --out IF             and goes on by that one, both ways: in line (-o where that is free)\n"
     "  --user NAME          once the interfaces are open, be this user\n"
     "  --duration SECONDS   end after so long\n"
     "  --fail-open          start only if traffic goes on when weir dies: AF_XDP on two ports of\n"
     "                       a bridge\n"
     "  --address IF=ADDR/LENGTH\n"
     "                       an address of its own for one of the two: frames are routed between\n"
     "                       them, ARP and pings are answered; several times if need be\n"
     "  --route PREFIX=ADDR  then: what lies behind which router; several times if need be\n",
     TAKES_BENCH},
    {"  --json               one JSON object a line\n", 0},
    {"  --strict             forgive nothing: packets outside the windows do not count\n"
     "  --no-midstream       leave out connections whose SYN was not seen\n"
     "  --csum on|off|auto   TCP checksums: verify, ignore, or verify once a side has sent a "
     "right\n"
     "                       one (auto; with -i on)\n",
     TAKES_RULES},
    {"  --timeout SECONDS    a connection ends when nothing was seen for so long (3600)\n",
     TAKES_BENCH | TAKES_NAT},
    {"  --memory SIZE        what connections may take, such as 200M; beyond that some are\n"
     "                       forgotten, and it is said (1G)\n",
     TAKES_BENCH},
    {"  --cores N            work with N contexts; the output is the same (1)\n", 0},
    {"  --batch N            frames read at a time, 1 to 64 (64)\n"
     "  --epoch N            frames after which new data is told, 1 to 64 (64)\n",
     TAKES_BENCH},
    {"  --help               this text\n", 0},
};

static void print_help(const struct command *cmd)
{
    const char *must = cmd->takes & TAKES_DIR       ? "-o DIR "
                       : cmd->takes & TAKES_NAT     ? "--to ADDR "
                       : cmd->takes & TAKES_RULES   ? "--rules FILE "
                       : cmd->takes & TAKES_REWRITE ? "--find TEXT --with TEXT "
                                                    : "";
    const bool changes = cmd->takes & (TAKES_NAT | TAKES_RULES | TAKES_REWRITE);

    printf("usage: weir %s %s-r FILE... [OPTION...] [EXPRESSION]\n", cmd->name, must);
    if (!(cmd->takes & TAKES_BENCH))
        printf("       weir %s %s-i IF %s%s IF%s [OPTION...] [EXPRESSION]\n", cmd->name, must,
               changes ? "" : "[", cmd->takes & TAKES_DIR ? "--out" : "-o", changes ? "" : "]");
    printf("\n%s\n\nOptions:\n", cmd->about);
    if (cmd->takes & TAKES_DIR)
        fputs("  -o DIR               where the files go; made if it is not there\n", stdout);
    if (cmd->takes & TAKES_ZERO)
        fputs("  --zero-fill          write zeros where bytes are missing\n", stdout);
    if (cmd->takes & TAKES_OVERLAP)
        fputs("  --overlap POLICY     which copy of a byte counts when two differ: the first, the\n"
              "                       last, or the one that a kind of host takes: bsd, bsd-right,\n"
              "                       linux, old-linux, windows, solaris (first)\n",
              stdout);
    if (cmd->takes & TAKES_EVERY)
        fputs("  --every SECONDS      with -i: report so often\n", stdout);
    if (cmd->takes & TAKES_BILL)
        fputs(bill_help, stdout);
    if (cmd->takes & TAKES_RULES)
        fputs(rules_help, stdout);
    if (cmd->takes & TAKES_BENCH)
        fputs(bench_help, stdout);
    if (cmd->takes & TAKES_NAT)
        fputs(natopt_help, stdout);
    if (cmd->takes & TAKES_REWRITE)
        fputs(rewrite_help, stdout);
    for (size_t i = 0; i < sizeof(common_help) / sizeof(common_help[0]); i++)
        if (!(cmd->takes & common_help[i].without))
            fputs(common_help[i].text, stdout);
    printf("\nEXPRESSION is a BPF filter (pcap-filter(7)) on the frames as they were captured.\n\n"
           "Examples:\n%s\n"
           "Exit status: 0 success; 1 the input is cut off (all before that is shown) or output\n"
           "could not be written; 2 wrong use or unreadable input.\n",
           cmd->examples);
}

/* Put the options that cmd knows into out, ended by an empty one. */
static void known_options(const struct command *cmd, struct option *out)
{
    for (size_t i = 0; i < NDEFS; i++) {
        if ((!defs[i].takes || cmd->takes & defs[i].takes) && !(cmd->takes & defs[i].without))
            *out++ = defs[i].opt;
    }
    memset(out, 0, sizeof(*out));
}

static bool has_ending(const char *s, const char *end)
{
    size_t a = strlen(s), b = strlen(end);

    return a > b && strcmp(s + a - b, end) == 0;
}

/* Is a word behind -r FILE another file, or does the expression begin? */
static bool is_file(const char *word)
{
    struct stat sb;

    if (strcmp(word, "-") == 0 || has_ending(word, ".pcap") || has_ending(word, ".pcapng"))
        return true;
    return stat(word, &sb) == 0 && !S_ISDIR(sb.st_mode);
}

static int add_word(struct appopt *opt, const char *word)
{
    size_t old = opt->expr ? strlen(opt->expr) : 0, n = strlen(word);
    char *expr = realloc(opt->expr, old + n + 2);

    if (!expr)
        return complain(-1, "out of memory");
    if (old > 0)
        expr[old++] = ' ';
    memcpy(expr + old, word, n + 1);
    opt->expr = expr;
    return 0;
}

static int parse_number(const char *name, const char *text, int max, int *out)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (end == text || *end || errno || n < 1 || n > max)
        return complain(-1, "%s: expected a number from 1 to %d, got '%s'", name, max, text);
    *out = (int)n;
    return 0;
}

/* names ends with NULL; => its index goes to *out. */
static int parse_choice(const char *name, const char *text, const char *const *names, int *out)
{
    char known[128] = "";
    size_t len = 0;

    for (int i = 0; names[i]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return 0;
        }
        len +=
            (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? " or " : "", names[i]);
    }
    return complain(-1, "%s: expected %s, got '%s'", name, known, text);
}

/* Seconds as the configuration takes them: digits, perhaps with a fraction. */
static int parse_timeout(const char *name, const char *text, const char **out)
{
    size_t whole = strspn(text, "0123456789");
    const char *frac = text + whole + (text[whole] == '.');
    size_t n = strspn(frac, "0123456789");
    double sec = strtod(text, NULL);

    if (whole == 0 || whole > 9 || n > 9 || frac[n] || (text[whole] == '.' && n == 0) ||
        sec < 0.001)
        return complain(-1, "%s: expected seconds, such as 30 or 0.5, got '%s'", name, text);
    *out = text;
    return 0;
}

/* Bytes, or K, M, G of them. */
static int parse_size(const char *name, const char *text, uint64_t *out)
{
    static const char units[] = "KkMmGg";
    const char *unit;
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    unit = *end ? strchr(units, *end) : NULL;
    if (*text < '0' || *text > '9' || errno || (*end && (!unit || end[1])) || *out >> 32)
        return complain(-1, "%s: expected a size, such as 200M or 4G, got '%s'", name, text);
    *out <<= unit ? 10 * ((unit - units) / 2 + 1) : 0;
    return 0;
}

static int parse_interval(const char *name, const char *text, int *ms)
{
    const char *seconds;

    if (parse_timeout(name, text, &seconds) < 0)
        return -1;
    if (strtod(seconds, NULL) > 1000000)
        return complain(-1, "%s: expected at most 1000000 seconds, got '%s'", name, text);
    *ms = (int)(strtod(seconds, NULL) * 1000 + 0.5);
    return 0;
}

static int parse_sample(const char *text, int *one_of)
{
    if (strncmp(text, "1/", 2) != 0)
        return complain(-1, "--sample: expected a share such as 1/16, got '%s'", text);
    return parse_number("--sample 1/N", text + 2, 65536, one_of);
}

/* The options of TAKES_BILL. */
static int parse_bill(struct appopt *opt, int c, const char *arg)
{
    static const char *const keys[] = {"address", NULL};
    int key;

    switch (c) {
    case OPT_BY:
        opt->by_address = true;
        return parse_choice("--by", arg, keys, &key);
    case OPT_PREFIXES:
        opt->prefixes = arg;
        return 0;
    case OPT_ALL:
        opt->all = true;
        return 0;
    case OPT_CHARGE:
        opt->charge_rexmit = true;
        return 0;
    case OPT_SAMPLE:
        return parse_sample(arg, &opt->sample);
    default:
        return parse_interval("--interval", arg, &opt->interval_ms);
    }
}

/* The options of TAKES_RULES. */
static int parse_rules(struct appopt *opt, int c, const char *arg)
{
    static const char *const others[] = {"ACCEPT", "DROP", NULL};

    switch (c) {
    case OPT_RULES:
        opt->rules = arg;
        return 0;
    case OPT_DEFAULT:
        return parse_choice("--default", arg, fw_action_names, &opt->fw_default);
    case OPT_OTHER:
        return parse_choice("--other", arg, others, &opt->fw_other);
    case OPT_STRICT_START:
        opt->strict_start = true;
        return 0;
    default:
        opt->check = true;
        return 0;
    }
}

static int add_to_list(const char *name, const char **list, int *n, const char *arg)
{
    if (*n == APP_LISTS)
        return complain(-1, "%s: more than %d of them", name, APP_LISTS);
    list[(*n)++] = arg;
    return 0;
}

/* The options of TAKES_NAT. */
static int parse_nat(struct appopt *opt, int c, const char *arg)
{
    switch (c) {
    case OPT_TO:
        return add_to_list("--to", opt->to, &opt->nto, arg);
    case OPT_FROM:
        return add_to_list("--from", opt->from, &opt->nfrom, arg);
    case OPT_REST:
        return parse_timeout("--rest", arg, &opt->rest);
    case OPT_TRANSITORY:
        return parse_timeout("--transitory", arg, &opt->transitory);
    case OPT_SEED:
        return parse_number("--seed", arg, INT_MAX, &opt->seed);
    default:
        opt->pass_other = true;
        return 0;
    }
}

/* app_named: => the program with this name; -1: none has it. */
static int app_named(const char *name, size_t len)
{
    for (int i = 0; app_program_names[i]; i++)
        if (strlen(app_program_names[i]) == len && memcmp(app_program_names[i], name, len) == 0)
            return i;
    return -1;
}

/* --app: a name, with =TEXT behind search and =N behind events. */
static int parse_app(struct appopt *opt, const char *text)
{
    size_t len = strcspn(text, "=");
    const char *value = text[len] ? text + len + 1 : NULL;
    int app = app_named(text, len);

    if (app < 0 || (value && app != APP_SEARCH && app != APP_EVENTS_N) ||
        (app == APP_EVENTS_N && !value))
        return complain(
            -1, "--app: expected none, count, search, search=TEXT, rexmit or events=N, got '%s'",
            text);
    opt->program = (enum app_program)app;
    if (app == APP_EVENTS_N)
        return parse_number("--app events=N", value, APP_EVENTS, &opt->events);
    if (value && (*value == '\0' || strlen(value) > APP_NEEDLE))
        return complain(-1, "--app search: expected a text of 1 to %d bytes, got '%s'", APP_NEEDLE,
                        value);
    if (value)
        opt->needle = value;
    return 0;
}

/* The options of TAKES_BENCH. */
static int parse_bench(struct appopt *opt, int c, const char *arg)
{
    if (c == OPT_APP)
        return parse_app(opt, arg);
    if (c == OPT_LOOPS)
        return parse_number("--loops", arg, APP_LOOPS, &opt->loops);
    return parse_number("--rounds", arg, APP_ROUNDS, &opt->rounds);
}

/* The options of TAKES_REWRITE. */
static int parse_rewrite(struct appopt *opt, int c, const char *arg)
{
    if (arg && strlen(arg) > APP_REWRITE)
        return complain(-1, "--find, --with: expected at most %d bytes, got %zu", APP_REWRITE,
                        strlen(arg));
    if (c == OPT_FIND && (!arg || *arg == '\0'))
        return complain(-1, "--find: expected a text, got ''");
    if (c == OPT_FIND)
        opt->find = arg;
    else if (c == OPT_WITH)
        opt->with = arg;
    else
        *(c == OPT_RAW ? &opt->raw : &opt->pad) = true;
    return 0;
}

/* set_once: what there can be one of only. */
static int set_once(const char *name, const char **at, const char *arg)
{
    if (*at)
        return complain(-1, "%s: expected once, got '%s' and '%s'", name, *at, arg);
    *at = arg;
    return 0;
}

/* What -i makes sense of. */
static int parse_live(struct appopt *opt, int c, const char *arg)
{
    switch (c) {
    case 'i':
        return set_once("-i", &opt->in_if, arg);
    case OPT_OUT_IF:
        return set_once("-o, --out", &opt->out_if, arg);
    case OPT_USER:
        opt->user = arg;
        return 0;
    case OPT_FAIL_OPEN:
        opt->fail_open = true;
        return 0;
    case OPT_DURATION:
        return parse_interval("--duration", arg, &opt->duration_ms);
    case OPT_ADDRESS:
        return add_to_list("--address", opt->address, &opt->naddress, arg);
    case OPT_ROUTE:
        return add_to_list("--route", opt->route, &opt->nroute, arg);
    default:
        return parse_interval("--every", arg, &opt->interval_ms);
    }
}

static int parse_one(struct appopt *opt, int c, const char *arg)
{
    static const char *const csums[] = {"auto", "on", "off", NULL};

    switch (c) {
    case 'w':
        opt->out = arg;
        return 0;
    case 'o':
        return opt->cmd->takes & TAKES_DIR ? set_once("-o", &opt->dir, arg)
                                           : set_once("-o, --out", &opt->out_if, arg);
    case 'i':
    case OPT_OUT_IF:
    case OPT_USER:
    case OPT_DURATION:
    case OPT_FAIL_OPEN:
    case OPT_ADDRESS:
    case OPT_ROUTE:
    case OPT_EVERY:
        return parse_live(opt, c, arg);
    case OPT_JSON:
        opt->json = true;
        return 0;
    case OPT_STRICT:
        opt->strict = true;
        return 0;
    case OPT_NO_MIDSTREAM:
        opt->midstream = false;
        return 0;
    case OPT_ZERO:
        opt->zero_fill = true;
        return 0;
    case OPT_CSUM:
        return parse_choice("--csum", arg, csums, &opt->csum);
    case OPT_OVERLAP:
        return parse_choice("--overlap", arg, app_overlap_names, &opt->overlap);
    case OPT_CORES:
        return parse_number("--cores", arg, APP_MAX_CORES, &opt->cores);
    case OPT_BATCH:
        return parse_number("--batch", arg, 64, &opt->batch);
    case OPT_EPOCH:
        return parse_number("--epoch", arg, 64, &opt->epoch);
    case OPT_TIMEOUT:
        return parse_timeout("--timeout", arg, &opt->timeout);
    case OPT_APP:
    case OPT_LOOPS:
    case OPT_ROUNDS:
        return parse_bench(opt, c, arg);
    case OPT_RULES:
    case OPT_DEFAULT:
    case OPT_OTHER:
    case OPT_STRICT_START:
    case OPT_CHECK:
        return parse_rules(opt, c, arg);
    case OPT_TO:
    case OPT_FROM:
    case OPT_REST:
    case OPT_TRANSITORY:
    case OPT_PASS_OTHER:
    case OPT_SEED:
        return parse_nat(opt, c, arg);
    case OPT_FIND:
    case OPT_WITH:
    case OPT_RAW:
    case OPT_PAD:
        return parse_rewrite(opt, c, arg);
    case OPT_MEMORY:
        return parse_size("--memory", arg, &opt->memory);
    default:
        return parse_bill(opt, c, arg);
    }
}

/* The option that getopt_long has just refused, in words. */
static int refused(int c, char **argv)
{
    const char *word = argv[optind - 1];
    char letter[3] = {'-', (char)optopt, '\0'};

    if (c == ':')
        return complain(-1, "%s: a value is missing", word);
    if (strncmp(word, "--", 2) != 0)
        word = letter;
    return complain(-1, "%s: no such option here, or it takes no value; see weir %s --help", word,
                    argv[0]);
}

static const char *letters(const struct command *cmd)
{
    if (cmd->takes & TAKES_BENCH)
        return "-:r:h";
    return "-:r:w:i:o:h";
}

static int parse_all(struct appopt *opt, int argc, char **argv, bool *help)
{
    struct option known[NDEFS + 1];
    bool files = false; /* the last thing was an input file */
    int c;

    known_options(opt->cmd, known);
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, letters(opt->cmd), known, NULL)) != -1) {
        if (c == '?' || c == ':')
            return refused(c, argv);
        if (c == 'h') {
            *help = true;
            return 0;
        }
        if (c == 'r' || (c == OPT_WORD && files && is_file(optarg))) {
            opt->file[opt->nfiles++] = optarg;
            files = true;
            continue;
        }
        files = false;
        if ((c == OPT_WORD ? add_word(opt, optarg) : parse_one(opt, c, optarg)) < 0)
            return -1;
    }
    while (optind < argc) /* behind -- */
        if (add_word(opt, argv[optind++]) < 0)
            return -1;
    return 0;
}

/* Is the output the input, which may be standard input? */
static bool same_file(const char *out, const char *in)
{
    struct stat sa, sb;
    int rc = strcmp(in, "-") == 0 ? fstat(STDIN_FILENO, &sb) : stat(in, &sb);

    return rc == 0 && stat(out, &sa) == 0 && S_ISREG(sa.st_mode) && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

/* The option that has no meaning without an interface. */
static const char *needs_live(const struct appopt *opt)
{
    if (opt->out_if)
        return "-o, --out";
    return opt->user ? "--user" : opt->duration_ms ? "--duration" : "--fail-open";
}

/* Where a bridge that goes on without weir would be wrong. */
static int check_fail_open(const struct appopt *opt)
{
    if (opt->cmd->takes & TAKES_NAT)
        return complain(-1, "--fail-open: not for weir nat: a bridge that goes on without it would "
                            "let connections out untranslated");
    if (opt->naddress)
        return complain(-1, "--fail-open, --address: expected one of them only: when a router is "
                            "gone, a bridge does not do its work");
    return 0;
}

/* Interfaces or files, not both. */
static int check_live(const struct appopt *opt)
{
    bool live = opt->in_if != NULL;

    if (live && opt->nfiles)
        return complain(-1, "-i, -r: an interface or files, expected one of them only");
    if (live && opt->out)
        return complain(-1, "-w: captures are written from files only (-r); of an interface, see "
                            "tcpdump(8)");
    if (!live && (opt->out_if || opt->user || opt->duration_ms || opt->fail_open))
        return complain(-1, "%s: needs an interface, -i IF", needs_live(opt));
    if (live && !opt->out_if && opt->cmd->takes & (TAKES_NAT | TAKES_RULES | TAKES_REWRITE))
        return complain(-1, "-i %s: weir %s stands between two interfaces: -o IF is missing",
                        opt->in_if, opt->cmd->name);
    if (opt->fail_open && !opt->out_if)
        return complain(-1, "--fail-open: needs two interfaces, -i and --out");
    if (opt->fail_open && check_fail_open(opt) < 0)
        return -1;
    if (!live && opt->interval_ms && !(opt->cmd->takes & (TAKES_BILL | TAKES_RULES | TAKES_NAT)))
        return complain(-1, "--every: needs an interface, -i IF");
    if (opt->naddress + opt->nroute > 0 && !opt->out_if)
        return complain(-1, "%s: needs two interfaces, -i IF -o IF",
                        opt->naddress ? "--address" : "--route");
    if (opt->nroute && !opt->naddress)
        return complain(-1, "--route: needs addresses, --address IF=ADDR/LENGTH");
    if (opt->out_if && applive_is_same(opt->in_if, opt->out_if))
        return complain(-1, "-i %s, -o %s: that is one interface; two interfaces make a line",
                        opt->in_if, opt->out_if);
    return 0;
}

/* What no single option can see. */
static int check_together(const struct appopt *opt)
{
    int from_stdin = 0;

    if (opt->cmd->takes & TAKES_RULES && !opt->rules)
        return complain(-1, "which rules? Name a file with --rules FILE");
    if (opt->check)
        return 0;
    if (opt->nfiles == 0 && !opt->in_if)
        return complain(-1, "no input: name a capture file with -r FILE, or -r - for standard "
                            "input, or an interface with -i IF");
    if (check_live(opt) < 0)
        return -1;
    if (opt->cmd->takes & TAKES_REWRITE && (!opt->find || !opt->with))
        return complain(-1, "what is to be replaced? Name it with --find TEXT --with TEXT");
    if (opt->cmd->takes & TAKES_DIR && !opt->dir)
        return complain(-1, "where should the files go? Name a directory with -o DIR");
    if (opt->out && strcmp(opt->out, "-") == 0)
        return complain(-1, "-w: expected the name of a file; standard output has the records");
    for (const char **f = opt->file; *f; f++) {
        from_stdin += strcmp(*f, "-") == 0;
        if (opt->out && same_file(opt->out, *f))
            return complain(-1, "-w %s: that is one of the files to read", opt->out);
    }
    if (from_stdin > 1)
        return complain(-1, "-r -: standard input can be read once only");
    if (opt->by_address + opt->all + (opt->prefixes != NULL) > 1)
        return complain(-1, "--by, --prefixes, --all: expected one of them only");
    if (opt->memory / (uint64_t)opt->cores < APP_MEMORY_LEAST)
        return complain(-1, "--memory: expected 8M or more for each of --cores, %dM here",
                        8 * opt->cores);
    if (opt->interval_ms && opt->cores > 1 && opt->cmd->takes & TAKES_BILL)
        return complain(-1, "--interval: needs --cores 1: several contexts have several clocks");
    return 0;
}

int appopt_parse(struct appopt *opt, const struct command *cmd, int argc, char **argv, int *status)
{
    bool help = false;

    *opt = (struct appopt){.cmd = cmd,
                           .midstream = true,
                           .csum = -1,
                           .cores = 1,
                           .batch = 64,
                           .memory = APP_MEMORY,
                           .timeout = cmd->takes & TAKES_NAT ? "7440" : "3600", /* RFC 5382 5 */
                           .rest = "4",
                           .transitory = "240",
                           .sample = 1,
                           .fw_default = FW_DROP,
                           .fw_other = FW_ACCEPT,
                           .program = APP_COUNT,
                           .needle = "HTTP/1.1",
                           .loops = 1,
                           .rounds = 3};
    *status = APP_MISUSE;
    opt->file = calloc((size_t)argc + 1, sizeof(*opt->file));
    if (!opt->file)
        return complain(-1, "out of memory");
    if (parse_all(opt, argc, argv, &help) < 0)
        return -1;
    if (help) {
        print_help(cmd);
        *status = APP_OK;
        return -1;
    }
    if (opt->csum < 0)
        opt->csum = opt->in_if ? APP_CSUM_ON : APP_CSUM_AUTO;
    if (opt->epoch == 0)
        opt->epoch = opt->interval_ms ? 1 : 64; /* reports are due at the end of an epoch */
    return check_together(opt);
}

void appopt_free(struct appopt *opt)
{
    free(opt->file);
    free(opt->expr);
}

bool appopt_from_stdin(const struct appopt *opt)
{
    for (const char **f = opt->file; *f; f++)
        if (strcmp(*f, "-") == 0)
            return true;
    return false;
}
